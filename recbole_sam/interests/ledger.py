"""What a language model was paid for an interest store, kept beside it run by run."""

import json
import os
from collections import defaultdict
from contextlib import closing
from datetime import datetime, timezone

from recbole_sam.errors import StoreError
from recbole_sam.files import private_opener

EVERY = 1000
"""Answers after which a running generator's spending is noted: a killed run loses no more of the account."""


class Noted:
    """A generator whose spending is noted while it runs; everything else is the generator's own.

    Args:
        generator (InterestGenerator): with a ``report``.
        store (Path): of the interests that it is run for.
    """

    def __init__(self, generator, store):
        self._generator, self._store, self._told = generator, store, {}

    def __getattr__(self, name):
        return getattr(self._generator, name)

    def generate(self, requests):
        """As the generator's; raises StoreError as well, when the ledger cannot be written."""
        self._told = {}
        with closing(self._generator.generate(requests)) as answers:
            for answer in answers:
                if self.report.asked - self._told.get("answers", 0) >= EVERY:
                    self.note()
                yield answer

    def note(self):
        """Notes what was paid since the last time, if anything was.

        Raises:
            StoreError: as :func:`record`.
        """
        self._told = record(self._store, self.report, self._told)


def noted(generator, store):
    """A generator as :class:`Noted` when it asks a language model, else unchanged."""
    return Noted(generator, store) if hasattr(generator, "report") else generator


def ledger_file(store):
    """The ledger (Path) of an interest store (Path)."""
    return store.with_suffix(".spent.jsonl")


def record(store, report, before=None):
    """Notes what one run of Stage 1 paid, also one that was stopped half-way; nothing where nothing was.

    Args:
        store (Path): the interest store that the run builds; it may not be there yet.
        report (RunReport): of the run.
        before (dict, optional): what this returned the last time: only what came since is noted.

    Returns:
        dict: the run's sums until now.

    Raises:
        StoreError: the ledger cannot be written; the sentence says what should stand in it.
    """
    spending, price = report.spending, report.spending.price
    sums = {
        "answers": report.asked,
        "input_tokens": spending.input_tokens,
        "output_tokens": spending.output_tokens,
        "unreported": spending.unreported,
    }
    new = {name: number - (before or {}).get(name, 0) for name, number in sums.items()}
    if not any(new.values()):
        return sums
    entry = {
        "at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        **new,
        "cost": price and price.of(new["input_tokens"], new["output_tokens"]),
        "currency": price and price.currency,
    }
    path = ledger_file(store)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "ab+", opener=private_opener) as file:
            apart = b"" if _ends_whole(file) else b"\n"
            file.write(apart + json.dumps(entry).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StoreError(
            f"What this run paid (cost {report.cost()}, {report.asked:,} answers) cannot be noted in {path} "
            f"({error.strerror}); free some space, check the permissions, or set interest_store to another "
            "place. The answers are kept in llm_cache_dir."
        ) from error
    return sums


def _ends_whole(file):
    """Whether the last line of a ledger, opened for appending, was written to its end."""
    if not file.tell():
        return True
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def total(store):
    """What was paid for a store in all runs, as text.

    Args:
        store (Path): an interest store.

    Returns:
        str or None: such as ``"0.0910 CNY (943 answers)"``; None when no run asked a language model.
        Lines that a full disk or a power cut left unfinished are counted: ``"(943 answers; 1 line cannot be
        read)"``; and so are calls whose usage is unknown.
    """
    path = ledger_file(store)
    try:
        if not path.is_file():
            return None
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise StoreError(f"{path}, which holds what was paid, cannot be read ({error.strerror}).") from error
    answers, unreported, unreadable, costs = 0, 0, 0, defaultdict(float)
    for line in lines:
        try:
            entry = json.loads(line)
            count, cost, currency = int(entry["answers"]), entry["cost"], str(entry["currency"])
            unknown, cost = int(entry.get("unreported", 0)), None if cost is None else float(cost)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
            unreadable += 1
            continue
        answers += count
        unreported += unknown
        if cost is None:
            costs["at an unknown price"] += 0
        else:
            costs[currency] += cost
    paid = " + ".join(f"{cost:,.4f} {currency}" if cost else currency for currency, cost in costs.items())
    told = f"{answers:,} answers"
    if unreported:
        told += f"; {unreported:,} {'call' if unreported == 1 else 'calls'} of unknown cost"
    if unreadable:
        told += f"; {unreadable:,} {'line' if unreadable == 1 else 'lines'} cannot be read"
    return f"{paid or 'unknown'} ({told})"
