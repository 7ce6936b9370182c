"""How fast a provider may be called.

Three limits hold at once: calls in flight, calls a minute, tokens a minute. The last two are paced
evenly (the vendor enforces its minute by the second), with one second's worth of slack. When the
provider says 429 the calls in flight are halved and everybody waits; each success wins a little
back (additive increase, multiplicative decrease, as in TCP).
"""

import asyncio
import logging
import math
import time
from datetime import timezone
from email.utils import parsedate_to_datetime

from recbole_sam.llm.failures import ProviderStopError
from recbole_sam.llm.prices import duration

logger = logging.getLogger(__name__)

SLACK_SECONDS = 1.0
"""How much unused pace may be caught up with."""
LOGGED_SECONDS = 5.0
"""A wait that a provider asks for is logged if it is at least this long."""


class Throttle:
    """Admits calls one after the other, in the order they came.

    Args:
        concurrency (int): most calls in flight.
        requests_per_minute (float): 0 for no limit.
        tokens_per_minute (float): 0 for no limit; counts input and output.
        clock (callable): seconds, monotonic.
        sleep (callable): coroutine function that waits for seconds; may raise to end the waiting.
    """

    def __init__(
        self,
        concurrency,
        requests_per_minute=0,
        tokens_per_minute=0,
        clock=time.monotonic,
        sleep=asyncio.sleep,
    ):
        self.concurrency = concurrency
        self.allowed = float(concurrency)
        self.running = 0
        self._seconds_a_call = 60 / requests_per_minute if requests_per_minute else 0.0
        self._seconds_a_token = 60 / tokens_per_minute if tokens_per_minute else 0.0
        self._clock = clock
        self._sleep = sleep
        self._next_call = self._next_token = self._paused_until = self._slowed_at = float("-inf")
        self._turn = asyncio.Lock()
        self._left = asyncio.Event()

    async def enter(self, tokens):
        """Waits until a call may start.

        Args:
            tokens (int): the expected input and output tokens of the call.

        Returns:
            float: the moment it started, to be handed back to the other methods.
        """
        async with self._turn:
            while True:
                self._left.clear()
                if self.running >= max(1, int(self.allowed)):
                    await self._left.wait()
                    continue
                now = self._clock()
                start = max(self._paused_until, self._next_call, self._next_token)
                if start > now:
                    await self._sleep(start - now)
                    continue
                earliest = now - SLACK_SECONDS
                self._next_call = max(self._next_call, earliest) + self._seconds_a_call
                self._next_token = max(self._next_token, earliest) + tokens * self._seconds_a_token
                self.running += 1
                return now

    def leave(self, tokens, used=None):
        """A call has ended.

        Args:
            tokens (int): as given to :meth:`enter`.
            used (int or None): the tokens it really took; None when nobody said.
        """
        self.running -= 1
        if used is not None:
            self._next_token += (used - tokens) * self._seconds_a_token
        self._left.set()

    def went_well(self):
        """A call was answered: one more call in flight for every ``allowed`` good ones."""
        self.allowed = min(self.concurrency, self.allowed + 1 / self.allowed)
        self._left.set()

    def slow_down(self, started, wait):
        """A call was throttled.

        Calls that were already under way at the last slowing down do not count again: one burst of
        refusals is one piece of news.

        Args:
            started (float): what :meth:`enter` returned.
            wait (float): seconds nobody should call, from now.
        """
        now = self._clock()
        self._paused_until = max(self._paused_until, now + wait)
        if started >= self._slowed_at:
            self.allowed = max(1.0, self.allowed / 2)
            self._slowed_at = now


def backoff(attempt, random, base=1.0, most=60.0):
    """Seconds to wait before the next try: exponential, with full jitter above half.

    Args:
        attempt (int): tries so far, from 1.
        random (random.Random): of the jitter.
        base (float): seconds after the first try.
        most (float): seconds at most.

    Returns:
        float: between half and the whole of ``min(most, base * 2 ** (attempt - 1))``.
    """
    whole = min(most, base * 2 ** (attempt - 1))
    return whole * (0.5 + 0.5 * random.random())


def retry_after(headers, now):
    """The wait a provider asks for.

    Args:
        headers (mapping or None): of the response.
        now (datetime.datetime): aware, the present.

    Returns:
        float or None: seconds, at least 0, perhaps infinite; None when the header is missing or unreadable.
        Both forms of RFC 9110, section 10.2.3, are read.
    """
    value = next((v for k, v in (headers or {}).items() if k.lower() == "retry-after"), None)
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            then = parsedate_to_datetime(value)
            then = then if then.tzinfo else then.replace(tzinfo=timezone.utc)
            seconds = then.timestamp() - now.timestamp()
        except OverflowError:  # at the very end of the year 9999
            seconds = math.inf
        except (ValueError, TypeError):
            return None
    return None if math.isnan(seconds) else max(0.0, seconds)


class Patience:
    """How long a provider may make one run wait, ``llm_max_wait``.

    Args:
        minutes (float): at most.
        provider (str): begins the sentences.
    """

    def __init__(self, minutes, provider):
        self._minutes = minutes
        self._provider = provider
        self._told = LOGGED_SECONDS

    def check(self, seconds, reason):
        """Tells of a wait that takes a while, once unless a longer one follows.

        Args:
            seconds (float or None): what the provider asks for; None when it asks for nothing.
            reason (str): what it said besides.

        Returns:
            float: the seconds to wait, at least 0.

        Raises:
            ProviderStopError: it asks for more than it may.
        """
        if seconds is None:
            return 0.0
        if seconds > 60 * self._minutes:
            raise ProviderStopError(
                f"{self._provider} asks to wait {duration(seconds)} ({reason}), and llm_max_wait allows "
                f"{self._minutes:g} minutes. What was answered is kept: run the same command again later, or "
                "with a larger llm_max_wait."
            )
        if seconds > self._told:
            self._told = 2 * seconds
            logger.warning("%s asks to wait %s (%s); waiting", self._provider, duration(seconds), reason)
        return seconds
