"""The speed benchmark runs, and the CPU ratios that it measures stay near their targets."""

import json
import subprocess
import sys

import pytest
import torch
from conftest import ROOT

GROUPS = ["training", "augmentation", "routing", "store", "evaluation", "losses"]
FURTHER_BEHIND = 1.5  # than this: something became slower, and not the machine
RATIOS = [  # rows that compare rivals, whatever the sizes
    ("training", "step"),
    ("training", "look-up"),
    ("training", "projection"),
    ("augmentation", "time"),
    ("augmentation", "memory"),
    ("routing", "time"),
    ("evaluation", "full ranking"),
]


def run(folder, *words):
    """The command in a process of its own, whose threads are its own; gives the rows by group and name."""
    words = ["-m", "benchmarks.speed", f"--output={folder}", *words]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *words], cwd=ROOT, text=True, capture_output=True, timeout=900
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads((folder / "speed.json").read_text())
    return done.stdout, {(row["group"], row["name"]): row for row in rows}


@pytest.mark.slow
def test_every_group_runs_and_is_written_down(tmp_path):
    printed, rows = run(tmp_path, "--quick")
    page = (tmp_path / "speed.md").read_text()
    assert list(dict.fromkeys(group for group, _ in rows)) == GROUPS
    for key, row in rows.items():
        assert row["measured"] in printed and row["measured"] in page
        assert row["prediction"] in page
        assert (row["limit"] is None) == (key in [("losses", "time"), ("training", "item_knn")])
    # what does not depend on sizes
    assert rows["augmentation", "memory"]["details"]["identical"]
    assert rows["evaluation", "full ranking"]["details"]["identical"]
    assert rows["training", "look-up"]["details"]["no per-user Python"]
    assert rows["routing", "time"]["details"]["same K"] > 0.9
    assert rows["store", "opening"]["met"] and rows["store", "disk"]["met"]


def test_a_group_measured_again_replaces_itself_only(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.speed.report import merged

    file = tmp_path / "speed.json"
    other = {"group": "training", "environment": {"device": "cpu"}, "what": "kept"}
    file.write_text(json.dumps([other, {**other, "group": "losses", "what": "old"}]))
    new = {**other, "group": "losses", "what": "new"}
    assert [row["what"] for row in merged(file, [new])] == ["kept", "new"]
    on_gpu = {**new, "environment": {"device": "cuda"}, "what": "gpu"}
    assert [row["what"] for row in merged(file, [on_gpu])] == ["kept", "old", "gpu"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(monkeypatch, capsys):
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.speed.__main__ import main

    with pytest.raises(SystemExit):
        main(["--device=cuda"])
    assert "needs a GPU" in capsys.readouterr().err


@pytest.mark.slow
def test_no_cpu_ratio_falls_behind(tmp_path):
    _, rows = run(tmp_path, "--size=guard", f"--only={','.join(dict.fromkeys(group for group, _ in RATIOS))}")
    late = {key: rows[key]["measured"] for key in RATIOS if rows[key]["behind"] > FURTHER_BEHIND}
    assert not late
