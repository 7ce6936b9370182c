"""How much a caller may ask for, and the errors that only a server has."""

from typing import NamedTuple

from recbole_sam.errors import RecBoleSAMError, SettingError


class Limits(NamedTuple):
    """What one request may be."""

    body: int = 1 << 20
    """Bytes."""
    history: int = 1000
    """Items of a session."""
    k: int = 1000
    """Items of an answer."""
    seconds: float = 10.0
    """Until a request that still waits is answered with 503."""
    waiting: int = 1000
    """Requests that may wait for a bundle; more are answered with 429."""

    def check(self, k, items):
        """Refuses a request that asks for too much.

        Args:
            k (int): items of the answer.
            items (sequence): the session, or None.

        Raises:
            SettingError: naming the limit.
        """
        if k > self.k:
            raise SettingError(f"k is {k}; this server answers at most {self.k}.")
        if items is not None and len(items) > self.history:
            raise SettingError(
                f"The session has {len(items):,} items; this server takes at most {self.history:,}: send the "
                "newest."
            )


class BusyError(RecBoleSAMError):
    """Too many requests wait already."""


class LateError(RecBoleSAMError):
    """The answer took too long."""
