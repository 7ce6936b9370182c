"""What every interest generator is asked, and what it answers."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

COMPLETE = "complete"  # exactly K phrases at the first try
REPAIRED = "repaired"  # exactly K phrases after one more request
FILLED = "filled"  # the missing phrases were drawn from the user's own item titles
UNUSABLE = "unusable"  # nothing in the model's answers could be used; phrases drawn from the titles instead
REFUSED = "refused"  # the provider's moderation declined; phrases drawn from the titles instead
FAILED = "failed"  # no answer, or none to the repair, after all tries; no phrases
STATUSES = (COMPLETE, REPAIRED, FILLED, UNUSABLE, REFUSED, FAILED)


class InterestRequest(NamedTuple):
    """One user's question to a generator; everything in it comes from TRAINING items."""

    user: str
    """The user's token, as in the atomic files."""
    titles: tuple[str, ...]
    """Cleaned item titles of the training history, oldest first."""
    k: int
    """How many interest phrases to write, at least 1."""
    rankings: tuple[tuple[int, ...], ...]
    """For each of the k interest groups, strongest first: positions in ``titles``, most central first."""
    apart: bool = False
    """Whether the groups share no title, so that each can be shown alone."""

    def groups(self):
        """The titles of each group, oldest first; none where groups are not apart."""
        if not self.apart:
            return ()
        return tuple(tuple(self.titles[position] for position in sorted(group)) for group in self.rankings)


class InterestAnswer(NamedTuple):
    """A generator's answer for one user."""

    user: str
    phrases: tuple[str, ...]
    """Distinct phrases, at most k; none only when ``status`` is ``failed``."""
    status: str
    """One of :data:`STATUSES`."""


class InterestGenerator(Protocol):
    """Turns histories into interest phrases. Streams: bounded look-ahead, answers in any order."""

    name: str

    def fingerprint(self) -> dict:
        """Everything that changes the answers, JSON-able; never a key or a secret."""

    def generate(self, requests: Iterable[InterestRequest]) -> Iterator[InterestAnswer]:
        """Answers each request once, in any order."""
