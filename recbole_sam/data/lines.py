"""Text files, plain or gzipped, line by line, with errors that name the line."""

import contextlib
import gzip
import zlib

from recbole_sam.errors import DataError

NO_TEXT = {
    b"PAR1\x15": "a Parquet file, where text is needed (a table may be Parquet if its name ends in .parquet)",
    b"PK\x03\x04": "a zip archive or an Excel workbook, where text is needed: unpack it, or save it as CSV",
}
"""What files that begin with these bytes are. Advice to convert them to UTF-8 would wreck them."""


@contextlib.contextmanager
def open_bytes(path):
    """Opens a plain or gzipped file for reading; the bytes decide, not the name.

    Args:
        path (pathlib.Path): the file.

    Yields:
        a binary file object.

    Raises:
        DataError: the file is missing, a folder, a pipe, unreadable, empty, Parquet or zip, or its gzip
            stream is cut or corrupt (also when that shows only later, while it is being read).
    """
    try:
        with open(path, "rb") as plain:
            if not plain.seekable():  # files are read more than once
                raise DataError(f"{path} is a pipe: write it to a file first.")
            magic = plain.read(5)
            if not magic:
                raise DataError(f"{path} is empty.")
            for start, what in NO_TEXT.items():
                if magic.startswith(start):
                    raise DataError(f"{path} is {what}.")
            plain.seek(0)
            if magic.startswith(b"\x1f\x8b"):
                with gzip.GzipFile(fileobj=plain) as unzipped:
                    yield unzipped
            else:
                yield plain
    except FileNotFoundError:
        raise DataError(f"{path} does not exist.") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder, where a file is needed.") from None
    except PermissionError:
        raise DataError(f"{path} may not be read (permission denied).") from None
    except EOFError:
        raise DataError(
            f"{path} is a truncated gzip file: fetch it again, the rest is missing."
        ) from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is a corrupt gzip file ({error}): fetch it again.") from None
    except OSError as error:  # such as a file taken for a folder, or a failing disk
        raise DataError(f"{path} cannot be read ({error.strerror or error}).") from None


def text_lines(path):
    """The lines of a UTF-8 file, with their line ends.

    Args:
        path (pathlib.Path): a plain or gzipped file; a byte order mark is removed.

    Yields:
        str: one line.

    Raises:
        DataError: as `open_bytes`, there is no line in it, or one is not UTF-8 (naming it).
    """
    number = 0
    with open_bytes(path) as file:
        for number, line in enumerate(file, 1):
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            try:
                yield line.decode("utf-8")
            except UnicodeDecodeError:
                raise not_utf8(path, number) from None
    if not number:  # a gzip file has a head, and may have nothing else
        raise DataError(f"{path} is empty.")


def not_utf8(path, line):
    """The error for bytes that are not UTF-8.

    Args:
        path (pathlib.Path): the file.
        line (int): the line, counted from 1.

    Returns:
        DataError: to be raised.
    """
    return DataError(
        f"{path}, line {line}: not UTF-8. Convert the file first, for example with "
        f"`iconv -f latin1 -t utf-8`."
    )
