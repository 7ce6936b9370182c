"""Files and folders that only their owner may read: answers, prompts, and what they were made from."""

import os
import stat
from pathlib import Path

FILE_MODE = 0o600
FOLDER_MODE = 0o700


def private_folder(path):
    """Makes a folder (and those above it) unless it is there; a new one is its owner's alone.

    Args:
        path (str or Path): of the folder.

    Returns:
        Path: the same.
    """
    path = Path(path)
    path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    return path


def open_private(path, mode="w", **options):
    """As ``open``; a file that this makes is its owner's alone."""
    return open(path, mode, opener=lambda name, flags: os.open(name, flags, FILE_MODE), **options)


def make_private(path):
    """Makes a file its owner's alone: a new, empty one, or one of ours that others can only read.

    A file that a group or everybody may write to was shared on purpose and stays as it is.

    Args:
        path (str or Path): of the file.
    """
    try:
        # An SQLite file that is there must not be opened here: closing it would drop this process's locks.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, FILE_MODE))
        return
    except FileExistsError:
        if not hasattr(os, "getuid"):
            return
    found = os.stat(path)
    if found.st_uid == os.getuid() and stat.S_IMODE(found.st_mode) & 0o077 and not found.st_mode & 0o022:
        os.chmod(path, FILE_MODE)
