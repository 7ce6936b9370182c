"""Where every command ends: a sentence for people, an exit code for scripts, never a traceback.

What a user can cause raises an error of :mod:`recbole_sam.errors` where it is noticed. This is the one place
for the rest: disks and memory, which can give out anywhere, signals, and faults of ours.
"""

import contextlib
import multiprocessing
import os
import re
import signal
import sys
import tempfile
import threading
import traceback

from recbole_sam.config.mistakes import CUT_SHORT, FULL_DISK
from recbole_sam.errors import RecBoleSAMError
from recbole_sam.llm.failures import InterruptedRunError

USER_ERROR, UNEXPECTED = 2, 1
INTERRUPTED, TERMINATED = 130, 143  # 128 and the number of the signal, as shells say it
_NO_MEMORY = ("not enough memory", "out of memory", "can't allocate memory", "Unable to allocate")
_OF_A_WORKER = re.compile(r"^recbole_sam[\w.]*\.\w+Error: (.*)", re.MULTILINE | re.DOTALL)


def guarded(function, *args):
    """Calls a function so that it ends well whatever happens.

    Args:
        function (callable): a command.
        *args: its arguments.

    Returns:
        int: what it returned; 2 when the user has to do something, which one or two sentences then say;
        130 and 143 after Ctrl-C and SIGTERM; 1 for a fault of ours, whose traceback is kept in a file.
    """
    with _sigterm_like_ctrl_c() as received:
        try:
            return function(*args)
        except InterruptedRunError as error:  # which says what was kept
            return _say(error, TERMINATED if received else INTERRUPTED)
        except RecBoleSAMError as error:
            return _say(error, USER_ERROR)
        except KeyboardInterrupt:
            for child in multiprocessing.active_children():  # else Python waits for them at its end
                child.terminate()
            return _say("terminated.", TERMINATED) if received else _say("interrupted.", INTERRUPTED)
        except BrokenPipeError:  # "| head" has seen enough
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115  what Python flushes at its end
            return UNEXPECTED
        except Exception as error:
            sentence = explained(error)
            if sentence:
                return _say(sentence, USER_ERROR)
            return _say(_kept(error), UNEXPECTED)


def explained(error):
    """What a person can do about an error that can come from anywhere.

    Args:
        error (Exception): not one of ours.

    Returns:
        str or None: one or two sentences; None for a fault of ours.
    """
    text = " ".join(str(error).split())
    worker = _OF_A_WORKER.search(str(error)) if type(error).__name__ == "ProcessRaisedException" else None
    if worker:  # of --nproc, which hands on its traceback as text
        return " ".join(worker[1].split())
    if isinstance(error, MemoryError) or any(words in text for words in _NO_MEMORY):
        return (
            f"there is not enough memory ({text[:150] or type(error).__name__}). Lower train_batch_size, "
            "eval_batch_size, MAX_ITEM_LIST_LENGTH or the model's sizes, or see docs/large-catalogues.md."
        )
    if isinstance(error, ModuleNotFoundError) and not (error.name or "recbole_sam").startswith("recbole_sam"):
        return (
            f"{sys.executable} has no module {error.name}: activate the environment that has "
            "recbole-sam (`. .venv/bin/activate`), or install it here (`pip install .`)."
        )
    if isinstance(error, RuntimeError) and CUT_SHORT.search(text):
        return "a checkpoint could not be written to its end: is the disk of checkpoint_dir full?"
    if isinstance(error, OSError) and error.errno is not None:
        where = error.filename if error.filename is not None else "a file"
        if error.errno in FULL_DISK:
            return f"the disk is full: {where} could not be written. Free some space and try again."
        if error.filename is not None:
            return f"{where} cannot be used ({error.strerror}): check the path and its permissions."
    return None


def _kept(error):
    """Writes the traceback of a fault of ours to a file that only the user can read, and says where."""
    said = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    whole = "".join(traceback.format_exception(error))
    try:
        descriptor, path = tempfile.mkstemp(prefix="recbole-sam-", suffix=".log", text=True)
        with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(whole)
    except OSError:
        return f"an unexpected error: {said}. Its traceback could not be written; please report it.\n{whole}"
    return f"an unexpected error: {said}. Please report it with the file {path}, which holds the traceback."


def _say(sentence, code):
    print(f"recbole-sam: {sentence}", file=sys.stderr)
    return code


@contextlib.contextmanager
def _sigterm_like_ctrl_c():
    """Inside, SIGTERM (of Kubernetes, Slurm, systemd) is a KeyboardInterrupt; gives a list that notes it."""
    received = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    def stop(number, frame):
        received.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield received
    finally:
        signal.signal(signal.SIGTERM, before)
