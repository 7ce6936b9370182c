"""Everybody's recommendations: one file, the same bytes, whatever kills the process."""

import os
import random
import subprocess
import sys
import time

import pandas as pd
import pytest
from bundle_helpers import bundle, make_shop
from conftest import ROOT
from filelock import FileLock

import recbole_sam
from recbole_sam.errors import DataError, SettingError
from recbole_sam.serving.fast import everybody

SLOWLY = """
import sys, time
import recbole_sam
from recbole_sam.serving.scores import Scorer
best = Scorer.best
def slow(*args, **kwargs):
    time.sleep(0.05)
    return best(*args, **kwargs)
Scorer.best = slow
print("ready", flush=True)
shop = recbole_sam.load(sys.argv[1])
shop.recommend_all(sys.argv[2], k=5, overwrite=True)
"""
POINTS = [pytest.param(1, id="everyday"), pytest.param(20, id="thorough", marks=pytest.mark.slow)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("everybody")
    make_shop(root)
    return bundle(root, "SASRec", block=2)[0]  # 20 blocks


@pytest.fixture(scope="module")
def shop(folder):
    return recbole_sam.load(folder)


@pytest.fixture(scope="module")
def folder_of_titles(tmp_path_factory):
    root = tmp_path_factory.mktemp("titles")
    make_shop(root)
    return recbole_sam.load(bundle(root, "SASRecText", block=2)[0])


def start(folder, output):
    process = subprocess.Popen(
        [sys.executable, "-c", SLOWLY, str(folder), str(output)], stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert process.stdout.readline() == b"ready\n"
    return process


@pytest.fixture(scope="module")
def whole(folder, tmp_path_factory):
    """The bytes of a run that nobody stops, in a process like the others: threads change last digits."""
    output = tmp_path_factory.mktemp("whole") / "top.parquet"
    assert start(folder, output).wait() == 0
    return output.read_bytes()


@pytest.mark.parametrize("ending", ("parquet", "csv", "jsonl"))
def test_everybody_gets_what_one_user_gets(shop, tmp_path, ending):
    output = tmp_path / f"top.{ending}"
    told = []
    assert shop.recommend_all(output, k=5, progress=lambda *done: told.append(done)) == 40
    assert told[0] == (2, 40) and told[-1] == (40, 40)
    frame = {"parquet": pd.read_parquet, "csv": pd.read_csv, "jsonl": lambda f: pd.read_json(f, lines=True)}[
        ending
    ](output)
    single = shop.recommend(users=[f"u{n}" for n in range(40)], k=5)
    pairs = frame.sort_values(["user", "rank"])[["user", "rank", "item"]].values.tolist()
    assert pairs == single.sort_values(["user", "rank"])[["user", "rank", "item"]].values.tolist()
    assert [path.name for path in tmp_path.iterdir()] == [output.name]
    with pytest.raises(DataError, match="--overwrite"):
        shop.recommend_all(output, k=5)


@pytest.mark.parametrize("points", POINTS)
def test_kill_9_costs_a_block_and_no_byte(folder, whole, tmp_path, points):
    chance = random.Random(7)
    output = tmp_path / "killed.parquet"
    parts = tmp_path / ".killed.parquet.parts"
    finished = 0
    for _ in range(points):
        process = start(folder, output)
        time.sleep(chance.uniform(0, 2.5))
        process.kill()
        process.wait()
        if output.exists():
            assert output.read_bytes() == whole
            output.unlink()
            finished = 0
            continue
        now = len(list(parts.glob("0*.parquet"))) if parts.exists() else 0
        assert now >= finished or now == 0
        finished = now
    assert start(folder, output).wait() == 0
    assert output.read_bytes() == whole and not parts.exists()


def test_blocks_of_another_question_are_not_taken(shop, tmp_path):
    output = tmp_path / "top.csv"

    def stop(done, total):
        if done > 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shop.recommend_all(output, k=5, progress=stop)
    assert not output.exists()
    shop.recommend_all(output, k=3)
    assert pd.read_csv(output).groupby("user").size().tolist() == [3] * 40


def test_a_process_killed_after_its_last_step_but_one(shop, tmp_path, monkeypatch):
    output, parts = tmp_path / "top.csv", tmp_path / ".top.csv.parts"

    def killed(parts):
        raise KeyboardInterrupt

    for k, rows in ((3, 3), (5, 5)):  # the same question, and another one
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(everybody, "_remove", killed)
            shop.recommend_all(output, k=3, overwrite=True)
        before = output.read_bytes()
        assert (parts / "done").exists()
        assert shop.recommend_all(output, k=k, overwrite=k != 3) == 40
        assert pd.read_csv(output).groupby("user").size().tolist() == [rows] * 40
        assert (output.read_bytes() == before) == (k == 3) and not parts.exists()


def test_blocks_of_new_items_with_other_titles_are_not_mixed(folder_of_titles, tmp_path):
    output, parts = tmp_path / "top.csv", tmp_path / ".top.csv.parts"
    first, second = (folder_of_titles.with_items({"n1": title}) for title in ("Rose Hand Cream", "Lip Balm"))
    assert first.identity != second.identity
    assert folder_of_titles.with_items({"ab": "Rose", "c": "Lip Balm"}).identity != (
        folder_of_titles.with_items({"a": "Rose", "bc": "Lip Balm"}).identity
    )

    def one_block(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        first.recommend_all(output, k=30, progress=one_block)
    assert len(list(parts.glob("*.csv"))) == 1
    second.recommend_all(output, k=30)
    frame = pd.read_csv(output)
    assert set(frame[frame.item == "n1"].title) == {"Lip Balm"}


def test_two_processes_do_not_write_one_output(shop, tmp_path):
    parts = tmp_path / ".top.csv.parts"
    parts.mkdir()
    with FileLock(parts / "lock"), pytest.raises(DataError, match="Another process is writing"):
        shop.recommend_all(tmp_path / "top.csv")
    shop.recommend_all(tmp_path / "top.csv")
    with pytest.raises(SettingError, match="must end in"):
        shop.recommend_all(tmp_path / "top.txt")


def test_two_processes_at_once_leave_one_whole_output(folder, whole, tmp_path):
    output = tmp_path / "top.parquet"
    both = [start(folder, output) for _ in range(2)]
    codes = sorted(process.wait() for process in both)
    assert codes[0] == 0
    assert output.read_bytes() == whole
