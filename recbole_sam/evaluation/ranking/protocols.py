"""The protocols: among which items a target is ranked, and which of them chooses the best epoch."""

from recbole_sam.errors import SettingError

NAMES = {"full": "full ranking", "masked": "masked ranking", "uni100": "1 + 100 ranking"}
"""What readers call them, in the order of the tables."""

PROTOCOLS = tuple(NAMES)

CHOOSING = ("full", "masked")
"""Those that may choose the best epoch: rankings of a catalogue. Among 100 negatives no epoch is chosen."""

DEFAULT = "full"
"""What chooses the epoch where nothing else is asked for, and chose it in runs that do not say."""


def parse(text):
    """Protocols from ``--protocol``.

    Args:
        text (str): names separated by commas, such as ``"masked,full"``.

    Returns:
        tuple of str: distinct, in the order given.

    Raises:
        SettingError: there is no such protocol.
    """
    named = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    for name in named:
        if name not in NAMES:
            raise SettingError(
                f"--protocol is a list of {', '.join(NAMES)}, such as masked,full, not '{text}'."
            )
    return named


def chooser(named):
    """The protocol that chooses the best epoch: the first that may.

    Args:
        named (tuple of str): protocols, or nothing.

    Returns:
        str: ``full`` or ``masked``.
    """
    return next((name for name in named if name in CHOOSING), DEFAULT)


def in_order(first):
    """All protocols, one of them first (tuple of str)."""
    return (first, *(name for name in PROTOCOLS if name != first))
