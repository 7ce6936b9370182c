"""The pairwise table of an ablation."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from run_helpers import a_run

from benchmarks import paired
from recbole_sam.evaluation.statistics.significance import paired_p

RANKS = {
    ("SAM", 1): [1, 2, 3, 40],
    ("SAM", 2): [1, 2, 4, 30],
    ("other", 1): [2, 2, 50, 60],
    ("other", 2): [2, 3, 50, 9],
}


def a_table():
    rows = [
        {"model": model, "seed": seed, "protocol": protocol, "user": f"u{user}", "item": f"i{user}",
         "rank": rank + (protocol == "uni100"), "history": 3 + user, "popularity": 10 * user}
        for (model, seed), ranks in RANKS.items() for protocol in ("full", "uni100")
        for user, rank in enumerate(ranks)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_differences_of_paired_users_and_own_seeds():
    found = {label: rest for label, *rest in paired.differences(a_table(), "full", "hit@10", "SAM")}
    assert found["SAM"] == [0.75, 0.0, None]
    mean, relative, p = found["other"]
    assert mean == pytest.approx((1 + 1 + 0 + 0.5) / 4) and relative == pytest.approx(0.625 / 0.75 - 1)
    sam, other = [[1, 1, 1, 0], [1, 1, 1, 0]], [[1, 1, 0, 0], [1, 1, 0, 1]]
    assert p == pytest.approx(paired_p(sam, other))


def test_rivals_and_variants_are_corrected_apart():
    more = [a_table().query("model == 'other'").assign(model=name) for name in ("third", "SAM:a=1")]
    found = paired.differences(pd.concat([a_table(), *more]), "full", "ndcg@20", "SAM")
    found = {label: p for label, *_, p in found}
    _, (*_, alone) = paired.differences(a_table(), "full", "ndcg@20", "SAM")
    assert found["SAM:a=1"] == pytest.approx(alone)
    assert found["other"] == found["third"] == pytest.approx(min(1, 2 * alone))


def test_a_group_of_users():
    found = paired.differences(a_table(), "full", "hit@10", "SAM", lambda table: table.popularity < 15)
    assert [mean for _, mean, *_ in found] == [1.0, 1.0]


def test_the_command_prints_one_row_a_model(tmp_path, capsys):
    (tmp_path / "run.json").write_text(json.dumps(a_run(head_from=15)))
    a_table().to_parquet(tmp_path / "ranks.parquet")
    paired.main([str(tmp_path), "--metrics=hit@10,ndcg@20", "--group=tail"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| model | HR@10 full | HR@10 1 + 100 | NDCG@20 full | NDCG@20 1 + 100 |"
    assert lines[2].startswith("| SAM | 1.0000 |") and "%, p" in lines[3]


def test_only_some_models(tmp_path, capsys):
    three = pd.concat([a_table(), a_table().query("model == 'other'").assign(model="third")])
    three.to_parquet(tmp_path / "ranks.parquet")
    (tmp_path / "run.json").write_text(json.dumps(a_run(head_from=20)))
    paired.main([str(tmp_path), "--only=third"])
    rows = [line.split("|")[1].strip() for line in capsys.readouterr().out.splitlines()[2:]]
    assert rows == ["SAM", "third"]
    with pytest.raises(SystemExit):
        paired.main([str(tmp_path), "--only=thrid"])
    assert "the run has no thrid; it has SAM, other, third" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        paired.main([str(tmp_path), "--base=SAN"])
    assert "the run has no SAN;" in capsys.readouterr().err


def test_a_folder_without_a_comparison_is_one_sentence(tmp_path):
    command = [sys.executable, "-m", "benchmarks.paired", str(tmp_path)]
    root = Path(paired.__file__).parents[1]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert f"{tmp_path} holds no comparison (run.json is missing)" in done.stderr
