"""Real processes: small modules written for the test."""

import os
import signal
import subprocess
import sys
import time

import pytest

from recbole_sam.evaluation.pool import Task, run_all

WORKER = """
import os, sys, time
from pathlib import Path
folder = Path(sys.argv[1])
(folder / "started").write_text(str(time.monotonic()))
print("slot", os.environ["SLOT"])
time.sleep(0.3)
(folder / "ended").write_text(str(time.monotonic()))
sys.exit(3 if folder.name == "bad" else 0)
"""
SLEEPER = """
import os, sys, time
from pathlib import Path
from recbole_sam.evaluation.trial import end_with_parent
end_with_parent()
(Path(sys.argv[1]) / "pid").write_text(str(os.getpid()))
time.sleep(600)
"""
PARENT = """
import sys
from pathlib import Path
from recbole_sam.evaluation.pool import Task, run_all
list(run_all([Task(("x",), "sleeper", Path(sys.argv[1]))], [{}]))
"""


@pytest.fixture
def modules(tmp_path, monkeypatch):
    (tmp_path / "worker.py").write_text(WORKER)
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    return tmp_path


def tasks(folder, names, module="worker"):
    for name in names:
        (folder / name).mkdir()
        yield Task((name,), module, folder / name)


def test_two_at_a_time_with_their_codes(modules):
    ended = list(run_all(tasks(modules, ["a", "bad", "c"]), [{"SLOT": "0"}, {"SLOT": "1"}]))
    assert {task.key[0]: code for task, code, _ in ended} == {"a": 0, "bad": 3, "c": 0}
    assert all(seconds >= 0.3 for *_, seconds in ended)
    when = {name: [float((modules / name / mark).read_text()) for mark in ("started", "ended")] for name in
            ("a", "bad", "c")}  # fmt: skip
    assert when["bad"][0] < when["a"][1] and when["a"][0] < when["bad"][1]
    assert when["c"][0] >= min(when["a"][1], when["bad"][1])
    slots = [(modules / name / "log.txt").read_text().strip() for name in ("a", "bad")]
    assert slots == ["slot 0", "slot 1"]


def test_a_task_is_made_when_its_turn_comes(modules):
    made = []

    def lazily():
        for task in tasks(modules, ["a", "b"]):
            made.append(task.key[0])
            yield task

    for task, *_ in run_all(lazily(), [{"SLOT": "0"}]):
        assert made[-1] == task.key[0]


def wait_for(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rsplit(")", 1)[1].split()[0] != "Z"


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="needs /proc to see a process end")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_their_parent(modules, how):
    folder = modules / "x"
    folder.mkdir()
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(folder)], stderr=subprocess.DEVNULL)
    wait_for(lambda: (folder / "pid").is_file() and (folder / "pid").read_text())
    worker = int((folder / "pid").read_text())
    assert alive(worker)
    parent.send_signal(how)
    parent.wait(timeout=60)
    wait_for(lambda: not alive(worker))
