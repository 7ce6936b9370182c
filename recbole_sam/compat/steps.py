"""What an adjustment of RecBole is, and how all of them are applied."""

import importlib.metadata
import sys
from typing import NamedTuple

STEPS = []
"""Functions, in the order in which they are applied."""
_report = None


class Adjustment(NamedTuple):
    """What was looked at, and whether RecBole had to be bent."""

    name: str
    reason: str
    upstream: str
    applied: bool


def step(reason, upstream):
    """Decorates an adjustment: a function without arguments that returns whether it was needed.

    Args:
        reason (str): what breaks without it.
        upstream (str): issues of RecBole's.
    """

    def register(function):
        function.reason, function.upstream = reason, upstream
        STEPS.append(function)
        return function

    return register


def apply():
    """Applies every adjustment that this machine needs, once a process.

    Returns:
        tuple of Adjustment: all of them, in order, with ``applied`` telling which were needed.
    """
    global _report
    if _report is None:
        _report = tuple(Adjustment(step.__name__, step.reason, step.upstream, bool(step())) for step in STEPS)
    return _report


def version(package):
    """The installed version of a package as a tuple of its leading integers; None when it is absent."""
    try:
        text = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
    numbers = []
    for part in text.split("+")[0].split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
    return tuple(numbers)


def called_by_recbole():
    """Whether the function that asks was called from RecBole's own code, and not from anybody else's."""
    return sys._getframe(2).f_globals.get("__name__", "").startswith("recbole.")
