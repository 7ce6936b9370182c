"""Files that appear whole or not at all, private where they should be, and their checksums."""

import glob
import hashlib
import os
import secrets
import stat
import time
from contextlib import contextmanager, suppress
from pathlib import Path

FILE_MODE, FOLDER_MODE = 0o600, 0o700
"""Of what only its owner may read: answers, prompts, and what was made of them."""

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
def replacing(path, refused=lambda error: error, private=False):
    """Gives a new file to write, which replaces ``path`` if all goes well.

    A process killed midway leaves ``path`` unchanged and a temporary file, which a later writer of the same
    path removes.

    Args:
        path (pathlib.Path): the file; missing folders are made.
        refused (callable): makes of an OSError the error to raise; by default itself.
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

    with disk():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = own_name(path)
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


def own_name(path):
    """A name beside ``path`` that no other process writes to; removes what killed ones left under such names.

    Args:
        path (pathlib.Path): of a file that the new one is to replace.

    Returns:
        pathlib.Path
    """
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*-????????.tmp"):
        with suppress(FileNotFoundError):  # another writer was quicker
            if time.time() - leftover.stat().st_mtime > _LEFTOVER_SECONDS:
                leftover.unlink()
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")


def private_opener(path, flags):
    """For ``open(..., opener=private_opener)``: a new file may be read by the user alone."""
    return os.open(path, flags, FILE_MODE)


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
    return open(path, mode, opener=private_opener, **options)


def make_private(path):
    """Makes a file its owner's alone: a new, empty one, or one of ours that others can only read.

    A file that a group or everybody may write to was shared on purpose and stays unchanged.

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


def sha256(path):
    """str: the SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


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


_known = {}  # path, time of the last change and size -> SHA-256


def sha256_once(path):
    """:func:`sha256`, computed once a process as long as a file is the same."""
    state = _state(path)
    if state not in _known:
        _known[state] = sha256(path)
    return _known[state]


@contextmanager
def read_whole(path):
    """Remembers the SHA-256 of a file that is read to its end anyway, for :func:`sha256_once`.

    Args:
        path (pathlib.Path): the file.

    Yields:
        callable: to be given every piece of bytes.
    """
    state, digest, length = _state(path), hashlib.sha256(), 0

    def update(data):
        nonlocal length
        digest.update(data)
        length += len(data)

    yield update
    if length == state[2]:
        _known[state] = digest.hexdigest()


def _state(path):
    found = os.stat(path)
    return os.path.abspath(path), found.st_mtime_ns, found.st_size
