"""What an adjustment of RecBole is, and how all of them are applied."""

import importlib.metadata
import sys
from typing import NamedTuple

STEPS = []
"""Functions, in the order in which they are applied."""
_report = None


class Adjustment(NamedTuple):
    """What RecBole has to be bent for, and whether it has to on this machine."""

    name: str
    reason: str
    upstream: str
    needed: bool


def always():
    """The condition of an adjustment that RecBole 1.2.1 needs everywhere."""
    return True


def at_least(package, *numbers):
    """The condition that a package is installed in a version (its leading integers) or a later one."""
    return lambda: (version(package) or ()) >= numbers


def step(reason, upstream, needed=always):
    """Decorates an adjustment, a function without arguments.

    Args:
        reason (str): what breaks without it.
        upstream (str): issues of RecBole's.
        needed (callable): without arguments, whether this machine needs it, told without importing RecBole.
    """

    def register(function):
        function.reason, function.upstream, function.needed = reason, upstream, needed
        STEPS.append(function)
        return function

    return register


def report():
    """What this machine needs, told from versions: nothing is imported or applied.

    Returns:
        tuple of Adjustment: all of them, in order.
    """
    return tuple(Adjustment(step.__name__, step.reason, step.upstream, step.needed()) for step in STEPS)


def apply():
    """Applies every adjustment that this machine needs, once a process.

    Returns:
        tuple of Adjustment: as of :func:`report`.
    """
    global _report
    if _report is None:
        _report = report()
        for function, told in zip(STEPS, _report, strict=True):
            if told.needed:
                function()
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
