"""A full and a read-only disk in each phase: one sentence, exit code 2, and nothing that was there is lost.

Real file systems of a few kilobytes, where this machine lets us mount one; else a place to write fails by
itself. Permission bits are no test: root may write everywhere.
"""

import contextlib
import errno
import json
import logging
import os
import shutil
import subprocess
import sys

import pytest
from mistake_helpers import assert_one_sentence, run_command, write_shop
from test_mistakes_in_comparisons import OTHER, TRAIN, finished  # noqa: F401  a fixture
from test_mistakes_in_settings import words_of

SAM = ["--dataset=shop", "--epochs=1", "--text_encoder_dim=8", "--MAX_ITEM_LIST_LENGTH=8", "--hidden_size=8"]


@pytest.fixture
def small(tmp_path):
    """Mounts a file system of a given size (bytes) on a folder; skips the test where it may not."""
    with contextlib.ExitStack() as stack:

        def mount(folder, size=2**20):
            folder.mkdir(parents=True, exist_ok=True)
            command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
            if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
                pytest.skip("this machine does not let tests mount a file system")
            stack.callback(subprocess.run, ["umount", "-l", str(folder)], capture_output=True)
            return folder

        yield mount


def fill(folder, leave=0):
    """Leaves so many bytes on a small file system, in pages of 4096."""
    space = os.statvfs(folder)
    rest = space.f_bavail * space.f_frsize - leave
    with open(folder / "filler", "wb") as file:
        file.write(b"\0" * max(rest, 0))


def no_writing(folder):
    """Makes a mounted file system read-only."""
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True, capture_output=True)


@pytest.fixture
def home(tmp_path):
    write_shop(tmp_path / "dataset" / "shop")
    return tmp_path


BEGIN = [("log", "cannot write to ./log"), ("log_tensorboard", "cannot write to ./log_tensorboard"),
         ("saved", "cannot write to checkpoint_dir saved")]  # fmt: skip


@pytest.mark.parametrize("state", [fill, no_writing], ids=["full", "read-only"])
@pytest.mark.parametrize("folder, sentence", BEGIN, ids=[folder for folder, _ in BEGIN])
def test_a_disk_that_is_full_before_training(home, small, state, folder, sentence):
    state(small(home / folder))
    assert_one_sentence(words_of([]), sentence)


def test_a_disk_that_fills_while_the_checkpoint_is_written(home, small):
    """The checkpoint of the best epoch so far stays whole."""
    saved = small(home / "saved")
    code, err, _ = run_command(words_of([]))
    assert code == 0, err
    [checkpoint] = saved.glob("*.pth")
    kept = checkpoint.read_bytes()
    fill(saved, leave=len(kept) // 2)
    assert_one_sentence(words_of([]), "cannot write checkpoint_dir saved")
    assert [path.name for path in saved.iterdir() if path.name != "filler"] == [checkpoint.name]
    assert checkpoint.read_bytes() == kept


def test_a_disk_that_fills_while_the_log_is_written(home, small, monkeypatch):
    """A log is no result: one line says that it ends, and the run goes on."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # beside pytest's, RecBole adds none of its own
    fill(small(home / "log"), leave=4096)
    code, err, _ = run_command(words_of([]))
    assert code == 0 and "Traceback" not in err and list((home / "saved").glob("*.pth"))
    assert err.count("No space left") == 1, err


def no_space(*args, **kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_disk_that_fills_while_tensorboard_writes(home, monkeypatch):
    from tensorboard.summary.writer.record_writer import RecordWriter

    monkeypatch.setattr(RecordWriter, "write", no_space)
    assert_one_sentence(words_of([]), "cannot write ./log_tensorboard")


@pytest.mark.parametrize("setting", ["save_dataset=True", "save_dataloaders=True"])
def test_a_disk_that_fills_while_data_is_saved(home, small, setting):
    saved = small(home / "saved")
    fill(saved, leave=4096)
    assert_one_sentence(words_of([setting]), "cannot write checkpoint_dir saved")
    assert [path.name for path in saved.iterdir()] == ["filler"]


@pytest.mark.parametrize("state", [fill, no_writing], ids=["full", "read-only"])
@pytest.mark.parametrize("words", [["run", *SAM], ["interests", *SAM], ["run", "--model=UniSRec", *SAM]],
                         ids=["run", "interests", "item texts"])  # fmt: skip
def test_a_disk_that_is_full_where_texts_and_interests_go(home, small, words, state):
    shop = small(home / "small") / "shop"
    shutil.move(home / "dataset" / "shop", shop)
    state(home / "small")
    before = sorted(shop.iterdir())
    assert_one_sentence([*words, "--data_path=small"], "small")  # names what cannot be written
    assert sorted(shop.iterdir()) == before


@pytest.fixture
def run(finished, home, small):  # noqa: F811
    """A finished comparison on a file system of its own, with the words that go on with it."""
    folder = small(home / "run")
    shutil.copytree(finished / "run", folder, dirs_exist_ok=True)
    shutil.rmtree(home / "dataset")
    shutil.copytree(finished / "dataset", home / "dataset")
    return folder


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*")
            if path.is_file() and path.name not in ("filler", "lock")}  # fmt: skip


@pytest.mark.parametrize("state", [fill, no_writing], ids=["full", "read-only"])
@pytest.mark.parametrize(
    "words", [["compare", "--from=run", "--protocol=full"], TRAIN], ids=["report", "gather"]
)
def test_a_disk_that_is_full_where_a_comparison_is_kept(run, words, state):
    before = contents(run)
    state(run)
    assert_one_sentence(words, "cannot write")
    after = contents(run)
    # an output that was begun is no loss: the next --from draws it again
    assert {path: after.get(path) for path in before} == before


@pytest.mark.parametrize("leave", [0, 8192])
def test_a_disk_that_is_full_where_a_comparison_begins(home, small, leave):
    fill(small(home / "other"), leave=leave)
    assert_one_sentence(OTHER, "cannot write")
    assert not list((home / "other").glob("trials/*/result.json"))


def test_a_disk_that_fills_in_a_trial(home, small):
    """The trial that could not be kept failed, and says why; the same command trains it again."""
    other = small(home / "other", 2**21)
    words = [word for word in OTHER if not word.startswith("--models")] + ["--models=SASRec:hidden_size=512"]
    code, err, out = run_command(words)
    assert code == 2 and "unexpected" not in err, err
    assert "cannot write checkpoint_dir" in err, err
    [result] = other.glob("trials/*/result.json")
    assert json.loads(result.read_text())["status"] == "failed"


def test_a_disk_that_fills_in_a_search(home, small, monkeypatch):
    pytest.importorskip("hyperopt", reason="hyperopt is not installed")
    from recbole_sam.errors import DataError
    from recbole_sam.evaluation import tuning

    folder = small(home / "search", 2**14)
    fill(folder, leave=4096)
    kept = tuning.Kept(folder / tuning.TRIALS)
    with pytest.raises(DataError, match="cannot write .*trials.jsonl"):
        for number in range(99):
            kept.add({"n": number}, {"best_valid_score": 0.5, "valid_score_bigger": True, "why": "x" * 500})
    whole = [line for line in (folder / tuning.TRIALS).read_text().split("\n")[:-1]]
    assert len(tuning.Kept(folder / tuning.TRIALS).trials) == len(whole) > 3


def test_a_limit_of_file_sizes(home):
    """Where a quota and not the disk ends a file, in a process of its own, as the limit is the process's."""
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000));"
        "from recbole_sam.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words_of([])], capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr[-2000:]
    assert "cannot write checkpoint_dir saved" in done.stderr.splitlines()[-1]
