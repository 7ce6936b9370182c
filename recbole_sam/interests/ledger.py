"""What a language model was paid for an interest store, kept beside it run by run."""

import json
import os
from collections import defaultdict
from datetime import datetime, timezone


def ledger_file(store):
    """The ledger (Path) of an interest store (Path)."""
    return store.with_suffix(".spent.jsonl")


def record(store, report):
    """Notes what one run of Stage 1 paid, also one that was stopped half-way.

    Args:
        store (Path): the interest store that the run builds; it may not be there yet.
        report (RunReport): of the run.
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
    store.parent.mkdir(parents=True, exist_ok=True)
    with open(ledger_file(store), "a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")
        file.flush()
        os.fsync(file.fileno())


def total(store):
    """What was paid for a store in all runs, as text.

    Args:
        store (Path): an interest store.

    Returns:
        str or None: such as ``"0.0910 CNY (943 answers)"``; None when no run asked a language model.
    """
    path = ledger_file(store)
    if not path.is_file():
        return None
    answers, costs = 0, defaultdict(float)
    for line in path.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        answers += entry["answers"]
        if entry["cost"] is None:
            costs["at an unknown price"] += 0
        else:
            costs[entry["currency"]] += entry["cost"]
    paid = " + ".join(f"{cost:,.4f} {currency}" if cost else currency for currency, cost in costs.items())
    return f"{paid} ({answers:,} answers)"
