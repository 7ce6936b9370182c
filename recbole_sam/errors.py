"""The named errors of the plugin.

``str(error)`` is the one sentence a user sees: what is wrong, where, and what to do. The command line
prints it and exits with code 2; a traceback is kept for our own bugs.
"""

import difflib


class RecBoleSAMError(Exception):
    """Base of every error a user can cause or fix."""


class SettingError(RecBoleSAMError):
    """A setting is unknown, misspelt, or its value makes no sense."""


class UnknownNameError(RecBoleSAMError):
    """A model, dataset or other named thing does not exist."""


class DataError(RecBoleSAMError):
    """A data file is missing, unreadable, or lacks what is needed."""


class StoreError(RecBoleSAMError):
    """An interest store is corrupt, foreign, or of another version."""


class StoreMissingError(StoreError):
    """There is no interest store where one is needed."""


class LeakGuardError(StoreError):
    """An interest store was built from other histories than the current training split."""


def nearest(name, candidates, count=3):
    """The candidates spelt most like ``name``, as a clause to end a sentence with.

    Args:
        name (str): what the user wrote.
        candidates (iterable of str): what exists.
        count (int): how many to offer at most.

    Returns:
        str: ``" Did you mean SAM or SASRec?"``, or an empty string when nothing is near.
    """
    by_lower = {candidate.lower(): candidate for candidate in candidates}
    close = difflib.get_close_matches(name.lower(), by_lower, n=count, cutoff=0.6)
    if not close:
        return ""
    return " Did you mean " + " or ".join(by_lower[c] for c in close) + "?"
