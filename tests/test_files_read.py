"""A run opens each file of a dataset and each YAML file few times, counted by the interpreter itself."""

import json
import subprocess
import sys

import pytest
from conftest import write_dataset

COUNT = """
import collections, json, os, sys
opened = collections.Counter()
def note(event, given):
    if event == "open" and isinstance(given[0], str) and given[0].endswith((".inter", ".item", ".yaml")):
        opened[os.path.basename(given[0]) if "shop" in given[0] else os.path.realpath(given[0])] += 1
sys.addaudithook(note)
from recbole_sam.cli.main import main
from recbole.data.dataset import Dataset
splits, build = [], Dataset.build
def counted(self):
    splits.append(type(self).__name__)
    return build(self)
Dataset.build = counted
code = main(sys.argv[1:])
json.dump({"code": code, "opened": opened, "splits": len(splits)}, open("count.json", "w"))
"""
WORDS = ["run", "--model=SAM", "--dataset=shop", "--epochs=1", "--text_encoder_dim=8", "--use_gpu=False",
         "--MAX_ITEM_LIST_LENGTH=8",
         "--load_col={'inter': ['user_id','item_id','timestamp'], 'item': '*'}"]  # fmt: skip


@pytest.fixture
def counted(tmp_path):
    write_dataset(
        tmp_path / "dataset" / "shop", {f"u{n}": [f"i{(n + m) % 20}" for m in range(8)] for n in range(30)}
    )

    def run():
        done = subprocess.run([sys.executable, "-c", COUNT, *WORDS], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads((tmp_path / "count.json").read_text())

    return run


def test_a_run_reads_each_file_once_beside_recboles_own_two_openings(counted):
    first, second = counted(), counted()
    assert first["code"] == second["code"] == 0
    assert first["splits"] == 2 and second["splits"] == 1  # Stage 1 splits once, RecBole's run once
    files = {name: times for name, times in second["opened"].items() if name.startswith("shop")}
    assert files == {"shop.inter": 3, "shop.item": 3}
    assert {times for name, times in second["opened"].items() if name.endswith(".yaml")} == {1}
