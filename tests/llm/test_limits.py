"""The throttle, on a clock that only moves when somebody sleeps."""

import asyncio
import logging
import math
import random
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest

from recbole_sam.llm.failures import ProviderStopError
from recbole_sam.llm.throttle import Patience, Throttle, backoff, retry_after


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        assert seconds > 0
        self.now += seconds
        await asyncio.sleep(0)


def starts(calls, tokens=0, **limits):
    """When each of ``calls`` immediate calls is admitted, seconds from the first."""

    async def go():
        clock = Clock()
        throttle = Throttle(concurrency=10, clock=clock, sleep=clock.sleep, **limits)
        moments = []
        for _ in range(calls):
            moments.append(await throttle.enter(tokens))
            throttle.leave(tokens)
        return [moment - 100.0 for moment in moments]

    return asyncio.run(go())


def test_requests_are_paced_evenly_after_one_seconds_worth():
    moments = starts(300, requests_per_minute=600)
    assert moments[10] == pytest.approx(0.0, abs=0.11)
    assert moments[-1] == pytest.approx((300 - 11) / 10, abs=0.11)
    # no minute sees more than the limit and the slack
    for first, moment in enumerate(moments):
        within = sum(moment <= other < moment + 60 for other in moments[first:])
        assert within <= 600 + 11


def test_tokens_are_paced_too_and_corrected_by_real_usage():
    assert starts(61, tokens=1000, tokens_per_minute=60_000)[-1] == pytest.approx(59, abs=1.01)

    async def go():
        clock = Clock()
        throttle = Throttle(10, tokens_per_minute=60_000, clock=clock, sleep=clock.sleep)
        for _ in range(3):
            await throttle.enter(1000)
            throttle.leave(1000, used=3000)
        return await throttle.enter(1000) - 100

    assert asyncio.run(go()) == pytest.approx(8, abs=0.01)


def test_no_limit_means_no_waiting():
    assert starts(1000, tokens=10**9) == [0.0] * 1000


def test_calls_in_flight_are_limited_in_the_order_they_came():
    async def go():
        throttle = Throttle(2)
        order = []

        async def call(number):
            await throttle.enter(0)
            order.append(number)
            assert throttle.running <= 2
            await asyncio.sleep(0.001)
            throttle.leave(0)

        await asyncio.gather(*(call(number) for number in range(20)))
        return order

    assert asyncio.run(go()) == list(range(20))


def test_a_burst_of_429_halves_once_and_success_wins_back():
    async def go():
        clock = Clock()
        throttle = Throttle(16, clock=clock, sleep=clock.sleep)
        started = [await throttle.enter(0) for _ in range(16)]
        for moment in started:
            clock.now += 0.01
            throttle.slow_down(moment, wait=5)
            throttle.leave(0)
        assert throttle.allowed == 8
        later = await throttle.enter(0)
        assert later == pytest.approx(100 + 16 * 0.01 + 5)
        throttle.slow_down(later, wait=1)
        throttle.leave(0)
        assert throttle.allowed == 4
        for _ in range(200):
            throttle.went_well()
        assert throttle.allowed == 16
        for _ in range(10):
            clock.now += 1
            throttle.slow_down(clock.now, wait=0)
        assert throttle.allowed == 1

    asyncio.run(go())


def test_backoff_doubles_with_jitter_and_has_an_end():
    chance = random.Random(0)
    for attempt in range(1, 40):
        whole = min(60.0, 2.0 ** (attempt - 1))
        assert whole / 2 <= backoff(attempt, chance) <= whole
    assert len({backoff(3, chance) for _ in range(10)}) == 10


def test_retry_after_in_both_forms():
    now = datetime(2026, 11, 23, 12, 0, 0, tzinfo=timezone.utc)
    assert retry_after({"Retry-After": "7"}, now) == 7
    assert retry_after({"retry-after": "0.5"}, now) == 0.5
    date = format_datetime(now + timedelta(seconds=30), usegmt=True)
    assert retry_after({"Retry-After": date}, now) == 30
    past = format_datetime(now - timedelta(seconds=30), usegmt=True)
    assert retry_after({"Retry-After": past}, now) == 0
    for useless in (
        {},
        None,
        {"Retry-After": "soon"},
        {"Retry-After": "nan"},
    ):
        assert retry_after(useless, now) is None


def test_a_wait_of_any_length_is_read():
    now = datetime(2026, 11, 23, 12, 0, 0, tzinfo=timezone.utc)
    for value, least in {
        "86400": 86_400, "1e9": 1e9, "inf": math.inf, "Infinity": math.inf, "1e999": math.inf,
        "9" * 400: math.inf,
        "Fri, 31 Dec 9999 23:59:59 GMT": 2e11, "Fri, 31 Dec 9999 23:59:59 -2359": 2e11,
        "Fri, 01 Jan 2027 00:00:00 -0000": 3e6,
    }.items():  # fmt: skip
        assert retry_after({"Retry-After": value}, now) >= least, value
    for value in ("-5", "-inf", "-1e9", "Mon, 01 Jan 0001 00:00:00 GMT", "Thu, 01 Jan 1970 00:00:00 GMT"):
        assert retry_after({"Retry-After": value}, now) in (0, None), value


def test_a_long_wait_stops_with_its_length_and_a_short_one_is_told_once(caplog):
    caplog.set_level(logging.WARNING)
    patience = Patience(10, "The server")
    assert patience.check(None, "429") == 0 and patience.check(3, "429") == 3 and not caplog.records
    assert patience.check(120, "429 slow down") == 120 and patience.check(120, "429 slow down") == 120
    assert [record.getMessage() for record in caplog.records] == [
        "The server asks to wait 2 min (429 slow down); waiting"
    ]
    for seconds, said in {
        601: "10 min",
        86_400: "24 h",
        1e9: "11,574 days",
        math.inf: "more than 100 years",
    }.items():
        with pytest.raises(
            ProviderStopError, match=f"asks to wait {said} .*llm_max_wait allows 10 minutes.*is kept"
        ):
            patience.check(seconds, "429")
    with pytest.raises(ProviderStopError, match="llm_max_wait allows 0 minutes"):
        Patience(0, "The server").check(1, "429")
