"""Replacing a dataset's folder as a whole, so that nobody ever finds half of one."""

import errno
import fnmatch
import glob
import shutil
from pathlib import Path

from recbole_sam import folders
from recbole_sam.errors import DataError, SettingError
from recbole_sam.prepare.text import clean_token

SYNTHETIC_MARKER = "SYNTHETIC.md"
"""A folder that holds this file holds invented data, which real data may replace unasked."""

REPORT = ("report.html", *(f"report-{name}.png" for name in ("lengths", "popularity", "time", "titles")))
"""What the report of a dataset consists of: of a replaced dataset it would be wrong."""

_MADE_OF = ("interests-*", "item-texts-*", "*.spent.jsonl")
"""What Stage 1 makes of a dataset, behind its name: of invented users it is worth nothing."""


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


def replacing(folder, overwrite=False):
    """Gives an empty folder to fill, and puts it in the place of ``folder`` when all went well.

    As :func:`recbole_sam.folders.replacing`. Files of the old folder that `prepare` did not make move along:
    what the user put there is nobody's to delete. Interests and item texts stay behind when the old data was
    synthetic.

    Args:
        folder (pathlib.Path): where the dataset is to be.
        overwrite (bool): replace real data.

    Returns:
        context manager: gives a new folder (pathlib.Path) beside it.

    Raises:
        DataError: as `check_free`, or the disk is full or may not be written.
    """
    return folders.replacing(
        folder,
        check=lambda place: check_free(place, overwrite),
        refused=lambda error: _cannot_write(folder.resolve(), error),
        carry_over=_carry_over,
    )


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
