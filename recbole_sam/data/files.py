"""Files that appear whole or not at all, and are private where they should be."""

import glob
import os
import secrets
import stat
import time
from contextlib import contextmanager, suppress

_LEFTOVER_SECONDS = 3600  # a temporary file untouched for so long belongs to a killed process


class NewFile:
    """A file that is being written; what the operating system refuses is raised as the caller wants it."""

    def __init__(self, file, disk):
        self._file, self._disk = file, disk

    def write(self, data):
        """Appends bytes."""
        with self._disk():
            self._file.write(data)

    def write_start(self, data):
        """Overwrites the first bytes; nothing may be appended after that."""
        with self._disk():
            self._file.seek(0)
            self._file.write(data)


@contextmanager
def replacing(path, refused, private=False):
    """Gives a new file to write, which replaces ``path`` if all goes well.

    A process killed midway leaves ``path`` unchanged and a temporary file, which a later writer of the same
    path removes.

    Args:
        path (pathlib.Path): the file; missing folders are made.
        refused (callable): makes of an OSError the error to raise.
        private (bool): only the user may read it.

    Yields:
        NewFile
    """

    @contextmanager
    def disk():
        try:
            yield
        except OSError as error:
            raise refused(error) from error

    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    with disk():
        path.parent.mkdir(parents=True, exist_ok=True)
        for leftover in path.parent.glob(f".{glob.escape(path.name)}.*-????????.tmp"):
            with suppress(FileNotFoundError):  # another writer was quicker
                if time.time() - leftover.stat().st_mtime > _LEFTOVER_SECONDS:
                    leftover.unlink()
        file = open(temporary, "xb", opener=private_opener if private else None)
    try:
        yield NewFile(file, disk)
        with disk():
            file.flush()
            os.fsync(file.fileno())
            file.close()
            os.replace(temporary, path)
            _sync_folder(path.parent)
    finally:
        # A full disk refuses once more what is still buffered; the first refusal is the one to report.
        with suppress(OSError):
            file.close()
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def private_opener(path, flags):
    """For ``open(..., opener=private_opener)``: a new file may be read by the user alone."""
    return os.open(path, flags, 0o600)


def irregular(path):
    """What a path is instead of a file, or None: reading a pipe would wait for ever.

    Args:
        path (pathlib.Path): something that exists.

    Returns:
        str or None: such as ``"a folder"``.

    Raises:
        OSError: it does not exist, or its folder may not be searched.
    """
    mode = os.stat(path).st_mode
    if stat.S_ISREG(mode):
        return None
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a pipe" if stat.S_ISFIFO(mode) else "a device or socket"


def _sync_folder(folder):
    """Makes a rename durable; Windows has no such call and needs none."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
