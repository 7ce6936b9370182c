"""A comparison's run.json, as tests of its readers need it."""

N = 5
"""Users and items."""


def a_run(**changes):
    """What run.json holds, with changes."""
    budget = {"epochs": 3, "stopping_step": 10, "eval_step": 1, "tuning": None}
    return {"dataset": "shop", "given": {"epochs": "3"}, "budget": budget,
            "card": None, "synthetic": False, "users": N, "items": N, "interactions": 99, "test_users": N,
            "history_length": 8, "split": "leave one out",
            "topk": [10], "valid_metric": "ndcg@10", "head_from": 3,
            "checksums": {"users": "a", "candidates": "e"}, "command": "compare", "machine": "m",
            "date": "2026-11-24", "versions": {"torch": "2.13.0"}, **changes}  # fmt: skip
