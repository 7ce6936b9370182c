"""MovieLens 1M as published: a zip of ``ratings.dat`` and ``movies.dat``, split by ``::``."""

import lzma
import zipfile
import zlib

from recbole_sam.errors import DataError
from recbole_sam.prepare.items import Item
from recbole_sam.prepare.sources import skips as reasons
from recbole_sam.prepare.sources.lines import byte_lines, refuse_irregular
from recbole_sam.prepare.sources.table import parse_number, parse_time
from recbole_sam.prepare.text import clean_token


def read_ratings(path, skips):
    """The ratings of the archive.

    Args:
        path (pathlib.Path): ``ml-1m.zip``.
        skips (Skips): where lines of another form are counted.

    Yields:
        tuple: user token, item token, rating, time in seconds.

    Raises:
        DataError: the archive is missing, a folder, damaged, or holds no ``ratings.dat``.
    """
    for number, cells in _lines(path, "ratings.dat"):
        rating, time = (parse_number(cells[2]), parse_time(cells[3])) if len(cells) == 4 else (None,) * 2
        if rating is None or time is None or not all(map(clean_token, cells[:2])):
            skips.add(reasons.NOT_RECORD, path, number)
        else:
            yield cells[0], cells[1], rating, time


def read_movies(path, skips):
    """The movies of the archive.

    Args:
        path (pathlib.Path): ``ml-1m.zip``.
        skips (Skips): where lines of another form are counted.

    Yields:
        Item: with the title as published (``"Matrix, The (1999)"``) and genres as categories.

    Raises:
        DataError: as `read_ratings`.
    """
    for number, cells in _lines(path, "movies.dat"):
        if len(cells) != 3:
            skips.add(reasons.NOT_RECORD, path, number)
        else:
            yield Item(cells[0], cells[1], "", tuple(cells[2].split("|")))


def _lines(path, member):
    try:
        refuse_irregular(path)
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.rpartition("/")[2] == member]
            if not names:
                raise DataError(f"{path} holds no {member}.")
            with archive.open(names[0]) as file:
                for number, line in enumerate(byte_lines(file, f"{path}, {member}"), 1):
                    # The README of the set says ISO-8859-1.
                    yield number, line.decode("iso-8859-1").rstrip("\r\n").split("::")
    except FileNotFoundError:
        raise DataError(f"{path} does not exist.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read as a zip archive ({error.strerror}).") from None
    except (RuntimeError, NotImplementedError) as error:  # encrypted, or of an unknown method
        raise DataError(f"{path} cannot be unpacked ({error}).") from None
    except (zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, ValueError) as error:
        raise DataError(f"{path} is a damaged zip archive ({error}): fetch it again.") from None
