"""The end of every command: a sentence and an exit code, whatever happened."""

import errno
import os
import re
import signal
import sys
from pathlib import Path

import pytest
import torch

from recbole_sam.cli.boundary import guarded
from recbole_sam.errors import DataError
from recbole_sam.llm.failures import InterruptedRunError


def raising(error):
    def command():
        raise error

    return command


def grab():
    return torch.empty(1 << 60)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "saved/x.pth"), "disk is full: saved/x.pth"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk is full: a file"),
        (PermissionError(errno.EACCES, "Permission denied", "log"), r"log cannot be used \(Permission"),
        (OSError(errno.EROFS, "Read-only file system", "log"), r"log cannot be used \(Read-only"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "log/SAM"), "log/SAM cannot be used"),
        (RuntimeError("[enforce fail at inline_container.cc:668] . unexpected pos 64"), "a checkpoint could"),
        (MemoryError(), r"there is not enough memory \(MemoryError\). Lower train_batch_size"),
        (ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn"), "has no module torch.nn: act"),
        (DataError("the file is empty."), "the file is empty."),
    ],
)
def test_what_people_disks_and_memory_cause_is_a_sentence(capsys, error, words):
    assert guarded(raising(error)) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "Traceback" not in said
    assert re.search(words, said)


def test_memory_that_torch_cannot_have(capsys):
    assert guarded(grab) == 2
    assert "there is not enough memory" in capsys.readouterr().err


def test_the_error_of_a_distributed_worker_is_its_own_sentence(capsys):
    from torch.multiprocessing import ProcessRaisedException

    text = '\n\n-- Process 1 terminated with the following error:\nTraceback ...\n  File "x"\n'
    error = ProcessRaisedException(f"{text}recbole_sam.errors.DataError: no item\nhas a title.\n", 1, 1)
    assert guarded(raising(error)) == 2
    assert capsys.readouterr().err == "recbole-sam: no item has a title.\n"


def test_a_fault_of_ours_keeps_its_traceback_in_a_private_file(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert guarded(raising(KeyError("user_id"))) == 1
    said = capsys.readouterr().err
    [file] = tmp_path.glob("recbole-sam-*.log")
    assert said.count("\n") == 1 and "Please report it" in said and str(file) in said
    assert "KeyError: 'user_id'" in file.read_text() and "Traceback" in file.read_text()
    assert file.stat().st_mode & 0o077 == 0


def test_a_missing_module_of_ours_is_a_fault_of_ours(capsys):
    assert guarded(raising(ModuleNotFoundError("No module", name="recbole_sam.lost"))) == 1


def test_a_full_disk_does_not_hide_the_traceback(capsys, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(Path("no/such/folder")))
    assert guarded(raising(KeyError("user_id"))) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_signals_end_a_command_in_good_order(capsys, number, code, word):
    left = []

    def command():
        try:
            os.kill(os.getpid(), number)
            signal.pause()
        finally:
            left.append("in good order")

    before = signal.getsignal(signal.SIGTERM)
    assert guarded(command) == code and left == ["in good order"]
    assert capsys.readouterr().err == f"recbole-sam: {word}.\n"
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_that_says_what_it_kept_ends_with_the_signals_code(capsys, number, code):
    def command():
        try:
            os.kill(os.getpid(), number)
            signal.pause()
        except KeyboardInterrupt:
            raise InterruptedRunError("Interrupted: 3 users are done.") from None

    assert guarded(command) == code and "3 users are done" in capsys.readouterr().err


def test_a_reader_that_has_seen_enough(capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    assert guarded(raising(BrokenPipeError(errno.EPIPE, "Broken pipe"))) == 1
    assert capsys.readouterr().err == ""
