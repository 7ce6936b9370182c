"""How a mistake is made, and what has to come of it: exit code 2 and one or two sentences that help."""

import contextlib
import io
import logging
import os
import random
import signal
import sys
import traceback

import numpy as np

from recbole_sam.cli.main import main

LONGEST = 420
SECONDS = 60


def write_shop(folder, users=30, items=30, length=8, seed=0):
    """A dataset of 30 users with 8 items each, ratings from 1 to 5, and a sequence of words an item.

    Args:
        folder (Path): made here; its name is the dataset's.
    """
    folder.mkdir(parents=True)
    draw = random.Random(seed)
    rows = ["user_id:token\titem_id:token\trating:float\ttimestamp:float\tshelf:token"]
    for user in range(users):
        for time, item in enumerate(draw.sample(range(items), length)):
            rows.append(f"u{user}\ti{item}\t{1 + item % 5}\t{100 * time + user}\ts{item % 3}")
    (folder / f"{folder.name}.inter").write_text("\n".join(rows) + "\n")
    rows = ["item_id:token\ttitle:token\twords:token_seq\tprice:float"]
    words = "rose mint red night hair honey sun steel bath beard".split()
    for item in range(items):
        rows.append(f"i{item}\t{words[item % 10].title()} cream {item}\t{words[item % 10]} cream\t{item}.5")
    (folder / f"{folder.name}.item").write_text("\n".join(rows) + "\n")


def run_command(words):
    """Runs a command inside this process.

    Args:
        words (list of str): behind ``python -m recbole_sam``.

    Returns:
        tuple: exit code (int, or a text with the traceback when an exception came through), what it printed
        on standard error, and on standard output.
    """
    out, err = io.StringIO(), io.StringIO()
    before = list(logging.getLogger().handlers)
    argv, state = list(sys.argv), np.random.get_state()
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(SECONDS)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = main(list(words))
            except SystemExit as end:  # of argparse
                code = end.code
            except BaseException:
                code = traceback.format_exc()
    finally:
        signal.alarm(0)
        sys.argv[:] = argv
        np.random.set_state(state)
        for handler in list(logging.getLogger().handlers):  # RecBole's log file, and the closed stream
            if handler not in before:
                logging.getLogger().removeHandler(handler)
                handler.close()
    return code, err.getvalue(), out.getvalue()


def _too_long(signum, frame):
    raise TimeoutError(f"hangs for more than {SECONDS} seconds")


def assert_one_sentence(words, expected, code=2):
    """A mistake ends with an exit code and one or two sentences that hold some words.

    Args:
        words (list of str): behind ``python -m recbole_sam``.
        expected (str): has to be in the sentence.
        code (int): the exit code.
    """
    found, err, out = run_command(words)
    assert not isinstance(found, str), f"TRACEBACK of {words}: {found[-1500:]}"
    assert "Traceback" not in err and "unexpected error" not in err, f"TRACEBACK of {words}: {err[-1500:]}"
    last = (err.strip().splitlines() or [""])[-1]
    assert found == code, f"ACCEPTED (code {found}): {words} {last[:300]}"
    told = last.partition(": ")[2] if last.startswith("recbole-sam") else last
    assert expected in last, f"MESSAGE of {words}: {last}"
    assert told and len(told) <= LONGEST + 2 * len(os.getcwd()), f"LONG: {last}"
