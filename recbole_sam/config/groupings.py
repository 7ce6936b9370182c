"""The ways to group a history's titles, and which settings of Stage 1 each of them reads."""

from recbole_sam.errors import SettingError, nearest

ROUTING, CLUSTERING = GROUPINGS = ("routing", "clustering")
_UNREAD = {
    # without them a store of routing has the name and content that it had when there was nothing else
    ROUTING: ("interest_grouping", "interest_closeness"),
    CLUSTERING: ("interest_alpha", "interest_beta", "interest_iterations"),
}
_FEWEST = {ROUTING: 2, CLUSTERING: 1}  # interests, where interest_k_min says nothing


def check_grouping(name):
    """Refuses a grouping that there is not.

    Raises:
        SettingError: naming those that there are.
    """
    if name not in GROUPINGS:
        raise SettingError(
            f"interest_grouping must be {' or '.join(GROUPINGS)}, not {name!r}."
            f"{nearest(str(name), GROUPINGS)}"
        )


def effective(values):
    """What of some settings of Stage 1 changes results under their grouping.

    Args:
        values (dict): settings by name, ``interest_grouping`` and ``interest_k_min`` among them.

    Returns:
        dict: without what the grouping does not read, and with the number that ``k_min`` stands for.
    """
    grouping = values["interest_grouping"]
    check_grouping(grouping)
    kept = {name: value for name, value in values.items() if name not in _UNREAD[grouping]}
    return {**kept, "interest_k_min": fewest(grouping, values["interest_k_min"])}


def fewest(grouping, k_min):
    """The fewest interests of a user with enough titles: ``interest_k_min``, or the grouping's own (int)."""
    return _FEWEST[grouping] if k_min is None else k_min
