"""What a run would ask and cost, in place of the run."""

import sqlite3
from typing import NamedTuple

from recbole_sam.generators.local import LocalGenerator
from recbole_sam.generators.prompts import question
from recbole_sam.llm.answers import AnswerCache
from recbole_sam.llm.prices import TOKENS_PER_PHRASE, TokenCounter, duration

EXACTLY_COUNTED = 2_000
"""Prompts whose tokens are counted for an estimate; the rest are scaled by their length."""
ASSUMED_SECONDS_A_CALL = 1.5
"""Of a small model writing some fifty tokens; only used to estimate how long a run takes."""


class Estimate(NamedTuple):
    """What a run would do; shown by ``--dry-run`` before anything is spent."""

    users: int
    prompts: int
    """Distinct ones."""
    cached: int
    input_tokens: int
    """Of the prompts that are not cached."""
    output_tokens: int
    cost: float | None
    currency: str
    seconds: float | None
    """At least, under the limits and ``ASSUMED_SECONDS_A_CALL``; None for a model on this machine."""
    notes: tuple[str, ...]
    """How the numbers came about, a sentence each."""

    def lines(self):
        """The estimate as lines of text, a list of str."""
        cost = "unknown" if self.cost is None else f"{self.cost:,.4f} {self.currency}"
        time = "unknown" if self.seconds is None else duration(self.seconds)
        return [
            f"users                {self.users:>14,}",
            f"distinct prompts     {self.prompts:>14,}",
            f"  already answered   {self.cached:>14,}",
            f"  to be asked        {self.prompts - self.cached:>14,}",
            f"input tokens         {self.input_tokens:>14,}",
            f"output tokens        {self.output_tokens:>14,}",
            f"cost                 {cost:>14}",
            f"time, at least       {time:>14}",
            *(f"note: {note}" for note in self.notes),
        ]


def estimate(requests, prompt, asked_of, cache, price, counter, limits):
    """What asking would take, without asking. Memory does not grow with the number of users.

    Args:
        requests (iterable of InterestRequest): every user.
        prompt (Prompt): what would be asked.
        asked_of (AskedOf): whom.
        cache (AnswerCache): what is answered already.
        price (Price or None): None when unknown.
        counter (TokenCounter): for the input.
        limits (tuple or None): calls in flight, calls a minute, tokens a minute (0 for none); None for a
            model on this machine, which has no limits and no price.

    Returns:
        Estimate: repairs are left out, as nobody can know them.
    """
    users = prompts = cached = counted = 0
    counted_tokens = counted_characters = characters = output = 0
    seen = sqlite3.connect("")  # a temporary file: a set of ten million keys would not fit
    seen.execute("CREATE TABLE seen (key BLOB PRIMARY KEY) WITHOUT ROWID")
    try:
        for request in requests:
            users += 1
            text = question(prompt, request.titles, request.k, request.groups())
            key = asked_of.key(text)
            new = seen.execute("INSERT OR IGNORE INTO seen VALUES (?)", (bytes.fromhex(key),))
            if not new.rowcount:
                continue
            prompts += 1
            if cache.get(key) is not None:
                cached += 1
                continue
            output += TOKENS_PER_PHRASE * request.k
            characters += len(text)
            if counted < EXACTLY_COUNTED:
                counted += 1
                counted_characters += len(text)
                counted_tokens += counter.count(text)
    finally:
        seen.close()
    share = counted_tokens / counted_characters if counted_characters else 0.0
    tokens = counted_tokens + round((characters - counted_characters) * share)
    notes = [
        f"input tokens {counter.how}"
        + (f"; counted for {counted:,} prompts, scaled by length for the rest"
           if prompts - cached > counted else ""),
        f"output tokens estimated at {TOKENS_PER_PHRASE} a phrase; repairs are not in it",
    ]  # fmt: skip
    if limits is None:
        notes.append("a model on this machine costs time only: --llm_max_users=20 shows how much")
    else:
        notes.append(f"price: {price.source}" if price else
                     f"no price for {asked_of.model} in properties/prices.yaml; add one")  # fmt: skip
    return Estimate(
        users, prompts, cached, tokens, output,
        price and price.of(tokens, output), price.currency if price else "",
        limits and least_seconds(prompts - cached, tokens + output, *limits), tuple(notes),
    )  # fmt: skip


def least_seconds(calls, tokens, concurrency, requests_per_minute, tokens_per_minute):
    """The time that calls and tokens take under the limits (0 for none), in seconds."""
    return max(
        calls * ASSUMED_SECONDS_A_CALL / concurrency,
        60 * calls / requests_per_minute if requests_per_minute else 0.0,
        60 * tokens / tokens_per_minute if tokens_per_minute else 0.0,
    )


class DryRunFinished(Exception):
    """The end of a dry run; not an error.

    Args:
        estimate (Estimate): what it found.
    """

    def __init__(self, estimate):
        super().__init__("dry run")
        self.estimate = estimate


class DryRun:
    """Stands in for a language-model generator: reads all requests, asks nothing, and stops.

    Args:
        generator: a generator with settings, prompt, asked_of and price, which is never run.
    """

    def __init__(self, generator):
        self.name = generator.name
        self._generator = generator

    def fingerprint(self):
        """The generator's own."""
        return self._generator.fingerprint()

    def generate(self, requests):
        """Raises DryRunFinished after the last request, so that no store is written."""
        generator = self._generator
        settings = generator.settings
        limits = None
        if generator.name != LocalGenerator.name:
            limits = settings.concurrency, settings.requests_per_minute, settings.tokens_per_minute
        with AnswerCache(settings.cache_dir) as cache:
            found = estimate(
                requests,
                generator.prompt,
                generator.asked_of,
                cache,
                generator.price,
                TokenCounter(generator.asked_of.model),
                limits,
            )
        yield from ()  # a generator function, as the interface wants
        raise DryRunFinished(found)
