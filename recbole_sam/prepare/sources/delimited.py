"""The rows of CSV and TSV files: what `prepare` and `interests import` read, and what exports write.

Quoting follows RFC 4180, strictly: a stray quote at the start of a cell would else swallow the rows up to the
next one.
"""

import csv
import re

from recbole_sam.errors import DataError
from recbole_sam.prepare.sources.lines import text_lines

QUOTES = (
    'A cell that begins with " ends at the next one, and a " inside it is written "". In a table without '
    "quoting (many logs are TSV like that) remove such quotes, or quote the cells."
)
"""What to do about a quote that makes no sense."""

_FORMULA = re.compile("'*[=+\\-@\t\r\uff1d\uff0b\uff0d\uff20]")
_MARKED = re.compile("''*[=+\\-@\t\r\uff1d\uff0b\uff0d\uff20]")


def as_text(cell):
    """A cell that no spreadsheet takes for a formula: ``=1+1`` becomes ``'=1+1``, as spreadsheets write it.

    Args:
        cell: text; anything else is unchanged.
    """
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell


def from_text(cell):
    """str: what :func:`as_text` was given; other cells stay as they are."""
    return cell[1:] if _MARKED.match(cell) else cell


def read_rows(path, delimiter=None, names=None, hint=""):
    """The rows of a delimited file, each with as many cells as there are names.

    Args:
        path (pathlib.Path): plain or gzipped, UTF-8.
        delimiter (str): None recognises comma, tab, semicolon and bar from the first line.
        names (list of str): the column names when the file has no line with them.
        hint (str): what to say of a delimiter that may be the wrong one.

    Yields:
        the column names first, then the line (where the row ends, counted from 1) and the cells of each row.

    Raises:
        DataError: the file cannot be read, a row has another number of cells, or a quote makes no sense.
    """
    lines = text_lines(path)
    head = next(lines)
    delimiter = delimiter or max(",\t;|", key=head.count)
    # A quoted column name may hold a line end, so the header goes through the same reader.
    reader = csv.reader(_chain(head, lines), delimiter=delimiter, strict=True)
    end = 0  # the last line of the row before
    try:
        names = names or next(reader, None)
        if not names:
            raise DataError(f"{path}, line 1: empty, where the names of the columns are needed.")
        yield [name.strip() for name in names]
        end = reader.line_num
        for cells in reader:
            start, end = end + 1, reader.line_num
            if not cells:
                continue
            if len(cells) != len(names):
                raise DataError(
                    f"{path}, line {end}: {len(cells)} columns, where the header has {len(names)} "
                    f"({', '.join(names)}). {hint.format(repr(delimiter))}"
                    + (f" The row begins in line {start}: {QUOTES}" if end > start else "")
                )
            if delimiter == "\t" and end > start and _holds_rows(cells):
                raise DataError(
                    f"{path}, line {end}: a quoted cell holds whole rows, from line {start} on. {QUOTES}"
                )
            yield end, cells
    except csv.Error as error:
        raise DataError(
            f"{path}, line {reader.line_num}, in a row that begins in line {end + 1}: {error}. {QUOTES}"
        ) from None


def _holds_rows(cells):
    """Whether each line of a row has as many tabs as a row: two stray quotes with rows in between.

    Only tabs tell: commas are common in a text of several lines.
    """
    lines = "\t".join(cells).split("\n")
    return all(line.count("\t") == len(cells) - 1 for line in lines)


def _chain(head, lines):
    yield head
    yield from lines
