"""Runs that start together share nothing they write."""

import os
import re
import subprocess
import sys
from pathlib import Path

QUICK = ["--epochs=2", "--MAX_ITEM_LIST_LENGTH=8", "--show_progress=False", "--use_gpu=False"]


def start(*words):
    return subprocess.Popen(
        [sys.executable, "-m", "recbole_sam", "run", "--dataset=shop", "--model=SASRec", *QUICK, *words],
        stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def test_two_runs_of_one_model_each_test_their_own_weights(shop):
    """With other hidden sizes, the weights of one do not even fit into the other."""
    together = [start(f"--hidden_size={size}") for size in (16, 32)]
    for process in together:
        said = process.communicate(timeout=200)[1]
        assert process.returncode == 0 and "test result" in said, said[-2000:]
    assert len(list(Path("saved").glob("SASRec-*.pth"))) == 2
    assert len(list(Path("log/SASRec").iterdir())) == 2
    assert len(list(Path("log_tensorboard").iterdir())) == 2
    names = [re.search(r"-(\w{6})\.pth$", file.name)[1] for file in Path("saved").iterdir()]
    assert len(set(names)) == 2
