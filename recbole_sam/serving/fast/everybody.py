"""Everybody's recommendations in one file, block by block; a killed process costs one block.

Blocks are finished files in a folder beside the output, put together in order at the end. What is in a block
depends on the bundle and the question alone, so the output has the same bytes however often it was stopped.
"""

import contextlib
import functools
import hashlib
import json
import os
import shutil
import time
from pathlib import Path

from filelock import FileLock, Timeout

from recbole_sam import files
from recbole_sam.errors import DataError
from recbole_sam.serving import table_files

_JOB, _LOCK, _WHOLE, _DONE = "job.json", "lock", "whole.partial", "done"


def write(output, job, sizes, answered, columns, overwrite=False, progress=None):
    """Writes a table block by block.

    Args:
        output (str or Path): the table.
        job (dict): what decides its content; blocks of another job are thrown away.
        sizes (list of int): users of each block.
        answered (callable): from the numbers of blocks to pairs of a number and the block's bytes
            (:func:`table_files.encoded`), in any order.
        columns (sequence of str): of the table.
        overwrite (bool): whether a table that is there is replaced.
        progress (callable, optional): told ``(users done, users)``.

    Returns:
        int: users of all blocks.

    Raises:
        DataError: the disk refuses, the table is there already, or another process writes it.
        SettingError: the ending is of no kind that we know.
    """
    output = Path(output)
    suffix = table_files.ending(output)
    parts = output.with_name(f".{output.name}.parts")
    refused = functools.partial(_refused, output)
    if not parts.exists():
        table_files.check_free(output, overwrite)
    try:
        with _only_one(parts, output):
            key = _key(job | {"ending": suffix, "blocks": len(sizes)})
            finished = (parts / _DONE).exists() and output.exists() and not (parts / _WHOLE).exists()
            if finished and _is_of(parts, key):
                _remove(parts)  # a process was killed after its last step but one
                return sum(sizes)
            table_files.check_free(output, overwrite)
            if not _is_of(parts, key):
                _begin_anew(parts, key, refused)
            names = [parts / f"{index:06d}{suffix}" for index in range(len(sizes))]
            missing = [index for index, name in enumerate(names) if not name.exists()]
            done = sum(sizes) - sum(sizes[index] for index in missing)
            if progress and done:
                progress(done, sum(sizes))
            for index, content in answered(missing):
                with files.replacing(names[index], refused) as file:
                    file.write(content)
                done += sizes[index]
                if progress:
                    progress(done, sum(sizes))
            table_files.join(names, parts / _WHOLE, suffix, columns)
            (parts / _DONE).touch()
            os.replace(parts / _WHOLE, output)
            _remove(parts)
    except OSError as error:
        raise refused(error) from error
    return sum(sizes)


@contextlib.contextmanager
def _only_one(parts, output):
    """Keeps other processes from writing the same table."""
    for _ in range(100):
        parts.mkdir(parents=True, exist_ok=True)
        lock = FileLock(parts / _LOCK, timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise DataError(
                f"Another process is writing {output}: wait for it, or name another file."
            ) from None
        except FileNotFoundError:  # the other one has just finished
            continue
        if (parts / _LOCK).exists():
            break
        lock.release()
        time.sleep(0.01)
    try:
        yield
    finally:
        lock.release()


def _key(job):
    """What the folder of parts remembers a question by (bytes)."""
    return hashlib.sha256(json.dumps(job, sort_keys=True).encode()).hexdigest().encode()


def _is_of(parts, key):
    file = parts / _JOB
    return file.exists() and file.read_bytes() == key


def _begin_anew(parts, key, refused):
    """Throws away the blocks of another question."""
    _empty(parts)
    with files.replacing(parts / _JOB, refused) as new:
        new.write(key)


def _empty(parts):
    """Takes away all but the lock, last what says which question it was."""
    for path in sorted(parts.iterdir(), key=lambda path: path.name == _JOB):
        if path.name != _LOCK:
            path.unlink()


def _remove(parts):
    """Takes away the folder, the lock last."""
    _empty(parts)
    shutil.rmtree(parts)


def _refused(output, error):
    return DataError(f"{output} could not be written ({error.strerror or error}).")
