"""What the files of a comparison hold, for whoever reads one that came from elsewhere."""

from recbole_sam.evaluation.ranking import protocols
from recbole_sam.prepare.card import card_line

NUMBER = (float, None)

_PARTS = ("validation", "test")

RUN = {
    "dataset": str,
    "given": dict,
    "budget": {"epochs": int, "stopping_step": int, "eval_step": int, "tuning": (int, None)},
    "checksums": dict,
    "topk": [int],
    "valid_metric": str,
    "chosen_by?": str,
    "repeats?": {"validation": [int], "test": [int]},
    "head_from": int,
    "versions": dict,
    "command": str,
    "machine": str,
    "date": str,
    "card": (dict, None),
    "synthetic": bool,
    "users": int,
    "items": int,
    "interactions": int,
    "test_users": int,
    "history_length": int,
    "split": str,
}
"""``run.json``."""

RESULT = {
    "model": str,
    "seed": int,
    "status": str,
    "class?": str,
    "reason?": str,
    "settings?": dict,
    "tuned?": (dict, None),
    "curve?": [{"epoch": int, "loss": float, "valid_score": NUMBER, "seconds": float}],
    "valid?": dict,
    "test?": dict,
    "identity?": dict,
    "interests?": (dict, None),
    "memory_of?": (str, None),
    **{f"{name}?": NUMBER for name in ("parameters", "epochs", "best_epoch", "seconds_per_epoch",
                                       "peak_memory_mb", "users_per_second")},
}  # fmt: skip
"""``result.json``, and each of ``trials.json``."""

OUTCOME = {"best?": dict, "reason?": str, "failed?": list}
"""``outcome.json`` of a search."""

TRIAL = {"settings": dict, "result": {"best_valid_score": float, "valid_score_bigger": bool}}
"""A line of ``trials.jsonl`` of a search."""


def fault_of_run(run):
    """What is wrong with a ``run.json`` beyond its keys; None when nothing is."""
    if run.get("chosen_by", protocols.DEFAULT) not in protocols.CHOOSING:
        return "chosen_by is no protocol that chooses an epoch"
    if "chosen_by" in run and [len(run.get("repeats", {}).get(part, ())) for part in _PARTS] != [2, 2]:
        return "repeats does not count the targets of both parts"
    if not run["topk"] or min(run["topk"]) < 1:
        return "topk is no list of whole numbers from 1"
    try:
        if run["card"] is not None:
            card_line(run["card"])
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        return "card is no card of a dataset"
    return None


def fault_of_results(results):
    """What is wrong with results that are to be shown, beyond their keys; None when nothing is."""
    needed = {"done": ("class", "settings", "tuned", "curve"), "failed": ("class", "reason")}
    for result in results:
        if result["status"] not in needed:
            return f"status is '{str(result['status'])[:40]}'"
        lacking = [name for name in needed[result["status"]] if name not in result]
        if lacking:
            return f"{', '.join(lacking)} missing"
    return None
