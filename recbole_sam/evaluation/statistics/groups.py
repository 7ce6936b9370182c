"""Groups of users in which the models are compared: by length of history, by popularity of the target."""

from typing import NamedTuple

import numpy as np

from recbole_sam.errors import SettingError


class Group(NamedTuple):
    """Some of the users.

    Attributes:
        kind (str): ``all``, ``history`` or ``popularity``.
        name (str): what a reader sees.
        rows (numpy.ndarray): bool [rows of the ranks], all rows of the group's users.
    """

    kind: str
    name: str
    rows: np.ndarray


def everyone(ranks):
    """All users.

    Args:
        ranks (pandas.DataFrame): as in RUN/ranks.parquet.

    Returns:
        Group: of kind ``all``.
    """
    return Group("all", "all users", np.ones(len(ranks), dtype=bool))


def user_groups(ranks, edges=None):
    """Users by the number of their training items, shortest (cold start) first.

    Without edges: quarters of the users. Many users have equally short histories, so borders may coincide and
    the groups are then fewer and unequal; the names say what each holds.

    Args:
        ranks (pandas.DataFrame): columns ``user`` and ``history``.
        edges (list of int): the largest history of each group but the last, ascending; None for quarters.

    Returns:
        list of Group: of kind ``history``; groups without users are left out.
    """
    history = ranks["history"].to_numpy()
    if edges is not None:
        return _between("history", history, edges)
    of_users = history[~ranks["user"].duplicated().to_numpy()]
    if not len(of_users):
        return []
    least, most = of_users.min(), of_users.max()
    quarters = np.quantile(of_users, [0.25, 0.5, 0.75], method="inverted_cdf")
    edges = [edge for edge in np.unique(quarters) if edge < most]
    if not edges and least < most:  # over three quarters share the longest history: show the others anyway
        edges = [of_users[of_users < most].max()]
    found = []
    for low, high in zip([least, *(edge + 1 for edge in edges)], [*edges, None], strict=True):
        if high is None:
            label = f"history {low}+" if low < most else f"history {low}"
        else:
            label = f"history {_span(low, high)}"
        found.append(Group("history", label, _within(history, low, high)))
    return found


def item_groups(ranks, head_from, edges=None):
    """Users by the number of training interactions of their test item, rare items first with edges.

    Args:
        ranks (pandas.DataFrame): column ``popularity``.
        head_from (int): items with at least that many training interactions are the head.
        edges (list of int): the largest popularity of each group but the last, ascending; LLM-ESR (NeurIPS
            2024) uses ``[4]``. None for head and tail.

    Returns:
        list of Group: of kind ``popularity``; groups without users are left out.
    """
    popularity = ranks["popularity"].to_numpy()
    if edges is not None:
        return _between("popularity", popularity, edges)
    head = popularity >= head_from
    groups = [
        Group("popularity", "head items (20 % most popular)", head),
        Group("popularity", "tail items", ~head),
    ]
    return [group for group in groups if group.rows.any()]


def parse_edges(text, option):
    """Borders between groups, as written on the command line.

    Args:
        text (str): for example ``"4,8"``.
        option (str): its name, for the error.

    Returns:
        list of int: ``[4, 8]``.

    Raises:
        SettingError: not ascending positive whole numbers.
    """
    parts = [part.strip() for part in str(text).split(",")]
    edges = [int(part) for part in parts if part.isascii() and part.isdigit()]
    rising = all(a < b for a, b in zip(edges, edges[1:], strict=False))
    if len(edges) < len(parts) or edges[0] < 1 or not rising:
        raise SettingError(
            f"{option}={text} must be ascending positive whole numbers, the largest of each group but the "
            f"last, as in {option}=4,8 for up to 4, 5 to 8, and 9 or more."
        )
    return edges


def _between(kind, numbers, edges):
    """The groups that ``edges`` make of ``numbers``, without empty ones."""
    groups = [Group(kind, f"{kind} <={edges[0]}", _within(numbers, None, edges[0]))]
    for before, high in zip(edges, edges[1:], strict=False):
        groups.append(Group(kind, f"{kind} {_span(before + 1, high)}", _within(numbers, before + 1, high)))
    groups.append(Group(kind, f"{kind} >={edges[-1] + 1}", _within(numbers, edges[-1] + 1, None)))
    return [group for group in groups if group.rows.any()]


def _within(numbers, low, high):
    rows = np.ones(len(numbers), dtype=bool)
    if low is not None:
        rows &= numbers >= low
    if high is not None:
        rows &= numbers <= high
    return rows


def _span(low, high):
    return f"{low}" if low == high else f"{low}-{high}"
