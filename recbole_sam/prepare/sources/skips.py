"""Rows that cannot be used: counted by reason, or refused."""

from recbole_sam.errors import DataError

NOT_UTF8 = "not UTF-8"
NOT_RECORD = "not a record of the expected form"
CUT_OFF = "last line cut off"
NO_USER = "no usable user id"
NO_ITEM = "no usable item id"
BAD_RATING = "rating is not a number"
BAD_TIME = "time missing or not readable"
NEGATIVE_TIME = "negative time"
MILLISECONDS = "time in milliseconds instead of seconds"
FLOAT_ID = "id written as a float (10.0), read as the whole number it is"
OTHER_BEHAVIOUR = "other behaviour"

_HINTS = {
    BAD_TIME: "times are numbers of seconds, milliseconds or microseconds, or ISO dates like 2026-11-28 or "
    "2026-11-28T12:30:00",
}
"""What to do about it, where that is not plain."""


class Skips:
    """Counts the rows a reader leaves out.

    Args:
        strict (bool): raise at the first row instead.
    """

    def __init__(self, strict=False):
        self.strict = strict
        self.counts = {}
        self.repaired = {}
        self.examples = {}
        self.notes = []

    def add(self, reason, path, line):
        """Notes one row.

        Args:
            reason (str): why it cannot be used.
            path (pathlib.Path): its file.
            line (int): its line, counted from 1.

        Raises:
            DataError: in strict mode.
        """
        if self.strict:
            raise DataError(
                f"{path}, line {line}: {reason}{_hint(reason)}. "
                "Without --strict such lines are left out and counted."
            )
        self.pass_over(reason, path, line)

    def pass_over(self, reason, path, line):
        """Notes one row that is sound but not asked for; strict mode does not mind it."""
        self.counts[reason] = self.counts.get(reason, 0) + 1
        self.examples.setdefault(reason, f"{path.name}, line {line}")

    def repair(self, reason):
        """Counts a row that is used after all, because what is wrong with it is plain."""
        self.repaired[reason] = self.repaired.get(reason, 0) + 1

    def note(self, sentence):
        """Notes what the output and the card are to say of the source as a whole.

        Raises:
            DataError: in strict mode.
        """
        if self.strict:
            raise DataError(sentence)
        self.notes.append(sentence)

    def sentences(self):
        """What was left out, a line a reason, with where it was first seen.

        Returns:
            list of str
        """
        return [
            f"{count:,} x {reason} (first: {self.examples[reason]}{_hint(reason, '; ')})"
            for reason, count in self.counts.items()
        ]


def _hint(reason, before=": "):
    return before + _HINTS[reason] if reason in _HINTS else ""
