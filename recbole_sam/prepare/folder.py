"""Replacing a dataset's folder as a whole, so that nobody ever finds half of one."""

import contextlib
import errno
import fnmatch
import glob
import os
import shutil
from pathlib import Path

from recbole_sam.errors import DataError, SettingError
from recbole_sam.prepare.text import clean_token

SYNTHETIC_MARKER = "SYNTHETIC.md"
"""A folder that holds this file holds invented data, which real data may replace unasked."""

REPORT = ("report.html", *(f"report-{name}.png" for name in ("lengths", "popularity", "time", "titles")))
"""What the report of a dataset consists of: of a replaced dataset it would be wrong."""

_MADE_OF = ("interests-*", "item-texts-*", "*.spent.jsonl")
"""What Stage 1 makes of a dataset, behind its name: of invented users it is worth nothing."""

_OLD = ".replaced"
_PARTIAL = ".partial"


LONGEST_NAME = 150
"""Bytes of a dataset's name: the names of interest stores are some 80 longer, and file systems allow 255."""


def check_name(name):
    """Refuses names that cannot be a folder's and its files'.

    Args:
        name (str): of a dataset.

    Raises:
        SettingError: it is empty, a path, too long, or not the same when it is read again.
    """
    if not name.strip():
        raise SettingError("--dataset is empty: give it a value.")
    if Path(name).name != name or name.startswith(".") or name != clean_token(name):
        raise SettingError(f"--dataset is a plain name, not {name!r}; --data_path says where.")
    if len(name.encode()) > LONGEST_NAME:
        raise SettingError(f"--dataset is longer than {LONGEST_NAME} bytes, and files are named after it.")


def is_synthetic(folder):
    """bool: whether the dataset in ``folder`` is invented."""
    return (folder / SYNTHETIC_MARKER).is_file()


def check_free(folder, overwrite):
    """Refuses to overwrite real data unasked.

    Args:
        folder (pathlib.Path): where a dataset is to be.
        overwrite (bool): whether the user asked for it.

    Raises:
        DataError: there is something that is neither empty nor synthetic, or no folder at all.
    """
    try:
        if not folder.exists():
            return
        if not folder.is_dir():
            raise DataError(f"{folder} is a file, where the dataset's folder should be.")
        if not overwrite and not is_synthetic(folder) and any(folder.iterdir()):
            raise DataError(f"{folder} exists already. Add --overwrite to replace it.")
    except OSError as error:
        raise DataError(f"{folder} cannot be looked into ({error.strerror}).") from error


@contextlib.contextmanager
def replacing(folder, overwrite=False):
    """Gives an empty folder to fill, and puts it in the place of ``folder`` when all went well.

    Whatever goes wrong before, ``folder`` is as it was and the half-filled folder is gone. Files of
    the old folder that `prepare` did not make move along: what the user put there is nobody's to
    delete. Interests and item texts stay behind when the old data was synthetic. Should the machine die
    between the two renames, the next call puts the old one back; what a killed process left
    half-filled, the next call removes.

    Args:
        folder (pathlib.Path): where the dataset is to be.
        overwrite (bool): replace real data.

    Yields:
        pathlib.Path: a new folder beside it.

    Raises:
        DataError: as `check_free`, or the disk is full or may not be written.
    """
    folder = folder.resolve()  # a link to a folder elsewhere keeps pointing there
    old = folder.with_name(f".{folder.name}{_OLD}")
    new = folder.with_name(f".{folder.name}.{os.getpid()}{_PARTIAL}")
    try:
        if old.exists():
            _recover(folder, old)
        check_free(folder, overwrite)
        folder.parent.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        new.mkdir()
    except OSError as error:
        raise _cannot_write(folder, error) from error
    try:
        yield new
        if folder.exists():
            _carry_over(folder, new)
            os.rename(folder, old)
            try:
                os.rename(new, folder)
            except BaseException:
                os.rename(old, folder)
                raise
            shutil.rmtree(old)
        else:
            os.rename(new, folder)
    except OSError as error:
        raise _cannot_write(folder, error) from error
    finally:
        if new.exists():
            shutil.rmtree(new)


def _recover(folder, old):
    if folder.exists():
        shutil.rmtree(old)
    else:
        os.rename(old, folder)


def _carry_over(source, target):
    made = _made_by_synthetic if is_synthetic(source) else _made_by_prepare
    for path in source.iterdir():
        if made(path.name, source.name) or (target / path.name).exists():
            continue
        if path.is_dir():
            shutil.copytree(path, target / path.name, symlinks=True)
        else:
            shutil.copy2(path, target / path.name, follow_symlinks=False)


def _made_by_prepare(file, dataset):
    return file in (f"{dataset}.inter", f"{dataset}.item", "card.json", *REPORT)


def _made_by_synthetic(file, dataset):
    if file == SYNTHETIC_MARKER or _made_by_prepare(file, dataset):
        return True
    name = glob.escape(dataset)
    return any(fnmatch.fnmatchcase(file, f"{name}.{rest}") for rest in _MADE_OF)


def _cannot_write(folder, error):
    if error.errno == errno.ENOSPC:
        return DataError(
            f"The disk is full: {folder} could not be written and is as it was. Free some space."
        )
    return DataError(f"{folder} could not be written and is as it was ({error.strerror or error}).")


def _sweep(folder):
    """Removes what a killed process left half-filled beside ``folder``."""
    for path in folder.parent.glob(f".{glob.escape(folder.name)}.*{_PARTIAL}"):
        maker = path.name.removesuffix(_PARTIAL).rpartition(".")[2]
        if maker.isdigit() and not _runs(int(maker)):
            shutil.rmtree(path)


def _runs(process):
    if process == os.getpid():
        return False  # an earlier process had our number
    if os.name != "posix":
        return True  # there, asking would end it
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it runs, for somebody else
    return True
