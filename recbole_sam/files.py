"""Files that are there whole or not at all, and what is in them."""

import contextlib
import hashlib
import os
import secrets


@contextlib.contextmanager
def replacing(path, mode="wb", **how):
    """Opens a new file that takes the place of ``path`` when all goes well.

    Args:
        path (Path): its folder is made if need be.
        mode (str), **how: as of :func:`open`.

    Yields:
        file: open for writing, beside ``path``; whatever goes wrong, ``path`` stays what it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with open(partial, mode, **how) as file:
            yield file
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def sha256(path):
    """str: the SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
