"""Text files, plain or gzipped, line by line, with errors that name the line."""

import contextlib
import gzip
import zlib
from functools import partial

from recbole_sam.errors import DataError
from recbole_sam.files import irregular

LONGEST_LINE = 1 << 24
"""Bytes: no record of a published set comes near. What is longer is no text, or made to fill the memory."""

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
    with reading(path):
        refuse_irregular(path)
        with open(path, "rb") as plain:
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


def refuse_irregular(path):
    """Refuses what is no file: files are read more than once, and opening a pipe may wait for ever.

    Args:
        path (pathlib.Path): something that exists.

    Raises:
        DataError: it is a folder, a pipe or a device.
        OSError: it does not exist, or its folder may not be searched.
    """
    what = irregular(path)
    if what == "a pipe":
        raise DataError(f"{path} is a pipe: write it to a file first.")
    if what:
        raise DataError(f"{path} is {what}, where a file is needed.")


@contextlib.contextmanager
def reading(path):
    """Turns what the operating system or gzip says while a file is read into one sentence.

    Args:
        path (pathlib.Path): the file.

    Raises:
        DataError: the file is missing, a folder, unreadable, cut or corrupt.
    """
    try:
        yield
    except FileNotFoundError:
        raise DataError(f"{path} does not exist.") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder, where a file is needed.") from None
    except PermissionError:
        raise DataError(f"{path} may not be read (permission denied).") from None
    except EOFError:
        raise DataError(f"{path} is a truncated gzip file: fetch it again, the rest is missing.") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is a corrupt gzip file ({error}): fetch it again.") from None
    except OSError as error:  # such as a file taken for a folder, or a failing disk
        raise DataError(f"{path} cannot be read ({error.strerror or error}).") from None


def byte_lines(file, path):
    """The lines of a binary file, of bounded length, with their line ends.

    Args:
        file: of `open_bytes`, or a member of an archive.
        path (pathlib.Path): its name, for the sentence.

    Yields:
        bytes: one line.

    Raises:
        DataError: a line is too long, or the first one is UTF-16 or UTF-32.
    """
    for number, line in enumerate(iter(partial(file.readline, LONGEST_LINE + 1), b""), 1):
        if len(line) > LONGEST_LINE:
            raise DataError(
                f"{path}, line {number}: longer than {LONGEST_LINE >> 20} MB. No table or log has such "
                "lines: is it really text?"
            )
        if number == 1 and (line.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in line[:4]):
            raise DataError(
                f'{path} is UTF-16 text, as "Unicode text" of a spreadsheet is. Save it as CSV UTF-8, or '
                "convert it with `iconv -f utf-16 -t utf-8`."
            )
        yield line


def text_lines(path, seen=lambda line: None):
    """The lines of a UTF-8 file, with their line ends.

    Args:
        path (pathlib.Path): a plain or gzipped file; a byte order mark is removed.
        seen (callable): given the bytes of every line.

    Yields:
        str: one line.

    Raises:
        DataError: as `open_bytes` and `byte_lines`, there is no line in it, or one is not UTF-8 (naming it).
    """
    number = 0
    with open_bytes(path) as file:
        for number, line in enumerate(byte_lines(file, path), 1):
            seen(line)
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
