"""How often a test tells a model from itself."""

import json

import numpy as np
import pandas as pd
import pytest

from benchmarks import pages, same_model


@pytest.mark.parametrize("one, other, count", [(1, 1, 10), (1, 2, 30), (2, 2, 15), (2, 3, 10)])
def test_pairs_are_all_parts_without_a_common_seed(one, other, count):
    values = np.arange(5)[:, None] * np.ones((1, 3))
    found = [(tuple(a[:, 0]), tuple(b[:, 0])) for a, b in same_model.pairs(values, one, other)]
    assert len({frozenset(pair) for pair in found}) == len(found) == count
    assert all(len(a) == one and len(b) == other and not set(a) & set(b) for a, b in found)


def test_seeds_that_differ_for_all_users_fool_a_test_over_users_alone():
    rng = np.random.default_rng(2)
    users = rng.normal(size=2000)
    models = [users + rng.normal(size=(5, 1)) * 0.1 + rng.normal(size=(5, 2000)) * 0.2 for _ in range(20)]
    alone, both = same_model.false_alarms(models, 2, 3)
    assert alone > 0.7 and both < 0.1


def a_run(folder, seeds):
    rng = np.random.default_rng(3)
    frames = [
        pd.DataFrame(
            {"model": "SAM", "seed": seed, "protocol": protocol, "user": [f"u{n}" for n in range(40)],
             "item": "i1", "rank": rng.integers(1, 30, size=40), "history": np.arange(40) % 5,
             "popularity": np.arange(40) % 20}
        )
        for seed in range(seeds) for protocol in ("full", "uni100")
    ]  # fmt: skip
    pd.concat(frames).to_parquet(folder / "ranks.parquet")
    run = json.loads((pages.ROOT / "benchmarks/accuracy/ml-100k-20/run.json").read_text())
    (folder / "run.json").write_text(json.dumps(run | {"head_from": 15, "dataset": "mine"}))


def test_the_command_prints_every_group_and_the_mean(tmp_path, capsys):
    a_run(tmp_path, 5)
    same_model.main([str(tmp_path)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| NDCG@20 | models | 1 against 1 | 2 against 2 | 2 against 3 |"
    assert len(lines) == 2 + 2 * 3 + 1
    assert lines[2].startswith("| mine, full ranking, all users | 1 | ") and lines[2].count("%, ") == 3
    assert lines[-1].startswith("| **mean** | | ")


def test_too_few_seeds_are_one_sentence(tmp_path, capsys):
    a_run(tmp_path, 4)
    with pytest.raises(SystemExit):
        same_model.main([str(tmp_path)])
    assert f"no model of {tmp_path} has 5 seeds" in capsys.readouterr().err
