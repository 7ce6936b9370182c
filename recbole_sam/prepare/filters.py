"""What of the interactions is kept. Pure functions on columns; each names the rows that stay."""

from typing import NamedTuple

import numpy as np

from recbole_sam.errors import SettingError

K_CORE = ("once", "iterated", "none")
REPEATS = ("all", "first", "last")
DUPLICATES = ("drop", "keep")


class Filters(NamedTuple):
    """The choices of ``prepare``, with the paper's as defaults (section 4.1, "fewer than 5").

    Attributes:
        k_core: ``once`` drops users and items with fewer than ``min_count`` interactions, both
            counted once on the file as read, exact repeats included; ``iterated`` counts and drops
            until all that remain have enough; ``none`` drops nothing.
        min_count: the number of interactions k_core asks for.
        duplicates: ``drop`` or ``keep`` exact repeats (same user, item, rating and time).
        repeats: of a user's several interactions with one item keep ``all``, the ``first`` or
            the ``last``.
        min_rating: drop ratings below this; None keeps all. A row without a rating stays.
        min_length: drop users with fewer interactions than this at the very end.
    """

    k_core: str = "once"
    min_count: int = 5
    duplicates: str = "drop"
    repeats: str = "all"
    min_rating: float | None = None
    min_length: int = 1


def check(filters):
    """Raises `SettingError` when a choice does not exist or a number makes no sense."""
    for name, choices in (("k_core", K_CORE), ("repeats", REPEATS), ("duplicates", DUPLICATES)):
        if getattr(filters, name) not in choices:
            raise SettingError(f"{name} is {getattr(filters, name)!r}; it can be {', '.join(choices)}.")
    for name in ("min_count", "min_length"):
        if getattr(filters, name) < 1:
            raise SettingError(f"{name} is {getattr(filters, name)}; it has to be at least 1.")
    if filters.min_rating is not None and not np.isfinite(filters.min_rating):
        raise SettingError(f"min_rating is {filters.min_rating}; it has to be a number of stars.")


def apply(interactions, filters):
    """Puts interactions in time order and filters them.

    Args:
        interactions (Interactions): as read.
        filters (Filters): the choices.

    Returns:
        tuple: the Interactions that stay, in time order, ties in the order of the input; and a list
        of steps, each a dict of ``step``, ``users``, ``items`` and ``interactions`` left after it.
    """
    check(filters)
    steps = [{"step": "read", **interactions.counts()}]

    def keep(rows, step):
        nonlocal interactions
        if len(rows) < len(interactions.users):
            interactions = interactions.select(rows)
        steps.append({"step": step, **interactions.counts()})

    interactions = interactions.select(np.argsort(interactions.times, kind="stable"))
    if filters.min_rating is not None:
        if len(interactions.ratings) and np.isnan(interactions.ratings).all():
            raise SettingError(
                "--min-rating has nothing to compare with: no interaction has a rating. Leave it out, or "
                "name the column with --rating-column=."
            )
        keep(rated_at_least(interactions, filters.min_rating), f"rating >= {filters.min_rating:g}")
    # The paper counts on the raw file, where exact repeats still count towards the five.
    if filters.k_core == "once":
        keep(enough(interactions, filters.min_count), f"{filters.min_count}-core, counted once")
    if filters.duplicates == "drop":
        keep(first_of_duplicates(interactions), "exact repeats dropped")
    if filters.k_core == "iterated":
        keep(k_core(interactions, filters.min_count), f"{filters.min_count}-core, iterated")
    if filters.repeats != "all":
        keep(one_per_pair(interactions, filters.repeats), f"{filters.repeats} of a pair kept")
    if filters.min_length > 1:
        lengths = np.bincount(interactions.users, minlength=1)
        keep(
            np.flatnonzero(lengths[interactions.users] >= filters.min_length),
            f"users with {filters.min_length} or more",
        )
    return interactions, steps


def rated_at_least(interactions, rating):
    """int [m]: rows whose rating is ``rating`` or more, or absent."""
    return np.flatnonzero(~(interactions.ratings < rating))


def first_of_duplicates(interactions):
    """int [m]: rows, ascending, without those that repeat an earlier row in all four columns."""
    ratings = np.nan_to_num(interactions.ratings, nan=-np.inf)
    columns = (ratings, interactions.times, interactions.items, interactions.users)
    order = np.lexsort(columns)
    fresh = np.ones(len(order), dtype=bool)
    if len(order):
        fresh[1:] = False
        for column in columns:
            fresh[1:] |= column[order[1:]] != column[order[:-1]]
    return np.sort(order[fresh])


def enough(interactions, count):
    """int [m]: rows whose user and item both have ``count`` or more, counted once."""
    users = np.bincount(interactions.users, minlength=1)
    items = np.bincount(interactions.items, minlength=1)
    return np.flatnonzero((users[interactions.users] >= count) & (items[interactions.items] >= count))


def k_core(interactions, count):
    """int [m]: rows of the largest subset in which every user and item has ``count`` or more."""
    rows = np.arange(len(interactions.users))
    while True:
        subset = interactions.select(rows)
        kept = enough(subset, count)
        if len(kept) == len(rows):
            return rows
        rows = rows[kept]


def one_per_pair(interactions, which):
    """int [m]: rows, ascending, with the ``first`` or ``last`` row of each user and item."""
    order = np.lexsort((interactions.items, interactions.users))
    changes = np.ones(len(order) + 1, dtype=bool)
    users, items = interactions.users[order], interactions.items[order]
    changes[1:-1] = (users[1:] != users[:-1]) | (items[1:] != items[:-1])
    return np.sort(order[changes[:-1] if which == "first" else changes[1:]])
