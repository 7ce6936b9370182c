"""Runs jobs in processes of their own, a few at a time, and ends them when it ends."""

import contextlib
import os
import subprocess
import sys
import time
from collections import deque
from typing import NamedTuple

POLL = 0.2  # seconds between looks at the processes


class Task(NamedTuple):
    """One process to run."""

    key: tuple
    module: str
    """Run as ``python -m module folder``."""
    folder: object
    """Path; what the process prints goes to ``log.txt`` in it."""


def run_all(tasks, slots):
    """Runs tasks, one process a slot at a time.

    A process ends with the one that started it, even when that is killed: it reads from a pipe that only
    the parent holds open (see ``trial.end_with_parent``).

    Args:
        tasks (iterable of Task): taken one by one when a slot is free, so a generator may prepare each.
        slots (list of dict): environment variables of each slot, for example which GPU it sees.

    Yields:
        tuple: each ended task, its exit code and its seconds, in the order of their ends.
    """
    free, running, waiting = deque(slots), {}, iter(tasks)
    exhausted = False
    with contextlib.ExitStack() as stack:
        stack.callback(_end_all, running)
        while True:
            while free and not exhausted:
                task = next(waiting, None)
                if task is None:
                    exhausted = True
                else:
                    slot = free.popleft()
                    running[_start(task, slot)] = (task, slot, time.monotonic())
            if not running:
                return
            ended = [process for process in running if process.poll() is not None]
            for process in ended:
                task, slot, start = running.pop(process)
                process.stdin.close()
                free.append(slot)
                yield task, process.returncode, time.monotonic() - start
            if not ended:
                time.sleep(POLL)


def _start(task, environment):
    with open(task.folder / "log.txt", "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", task.module, str(task.folder)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            start_new_session=True,  # Ctrl-C is for the parent, which then ends all in good order
        )


def _end_all(running):
    for process in running:
        process.terminate()
    for process in running:
        process.wait()
