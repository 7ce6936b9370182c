"""What a language model was paid for an interest store, kept beside it run by run."""

import json
import os
from collections import defaultdict
from datetime import datetime, timezone

from recbole_sam.errors import StoreError


def ledger_file(store):
    """The ledger (Path) of an interest store (Path)."""
    return store.with_suffix(".spent.jsonl")


def record(store, report):
    """Notes what one run of Stage 1 paid, also one that was stopped half-way.

    Args:
        store (Path): the interest store that the run builds; it may not be there yet.
        report (RunReport): of the run.

    Raises:
        StoreError: the ledger cannot be written; the sentence says what should stand in it.
    """
    spending = report.spending
    entry = {
        "at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "answers": report.asked,
        "input_tokens": spending.input_tokens,
        "output_tokens": spending.output_tokens,
        "cost": spending.cost,
        "currency": spending.price.currency if spending.price else None,
    }
    path = ledger_file(store)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "ab+") as file:
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
        read)"``.
    """
    path = ledger_file(store)
    if not path.is_file():
        return None
    answers, unreadable, costs = 0, 0, defaultdict(float)
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
            count, cost, currency = (entry[name] for name in ("answers", "cost", "currency"))
        except (ValueError, KeyError, TypeError):
            unreadable += 1
            continue
        answers += count
        if cost is None:
            costs["at an unknown price"] += 0
        else:
            costs[currency] += cost
    paid = " + ".join(f"{cost:,.4f} {currency}" if cost else currency for currency, cost in costs.items())
    told = f"{answers:,} answers"
    if unreadable:
        told += f"; {unreadable:,} {'line' if unreadable == 1 else 'lines'} cannot be read"
    return f"{paid or 'unknown'} ({told})"
