"""RecBole's atomic files: tab-separated, a header of ``name:type``, one row a line.

RecBole reads them by ``pandas.read_csv(delimiter="\\t", engine="python")``, that is with Python's
``csv`` rules. They are written and read with the same rules here, so a title with quotes comes back
as it went in.
"""

import csv

from recbole_sam.errors import DataError, nearest
from recbole_sam.files import read_whole
from recbole_sam.prepare.sources.lines import reading, text_lines

TYPES = ("token", "token_seq", "float", "float_seq")
"""RecBole's feature types."""

SEPARATOR = "\t"
"""RecBole's default ``field_separator``."""


def write_rows(path, header, rows):
    """Writes an atomic file, row by row.

    Args:
        path (pathlib.Path): the file to create.
        header (dict): field name -> RecBole type, in the order of the columns.
        rows (iterable of sequences): one cell a field; text, a number, or ``""`` when missing.

    Returns:
        None.
    """
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=SEPARATOR, lineterminator="\n")
        writer.writerow([f"{name}:{kind}" for name, kind in header.items()])
        writer.writerows(rows)


def read_header(path, separator=SEPARATOR):
    """The fields of an atomic file.

    Args:
        path (pathlib.Path): the file.
        separator (str): RecBole's ``field_separator``.

    Returns:
        dict: field name -> RecBole type, in the order of the columns.

    Raises:
        DataError: the file is missing, empty or not UTF-8, or its first line is no header.
    """
    lines = text_lines(path)
    try:
        return _parse_header(path, next(lines), separator)
    finally:
        lines.close()


def read_rows(path, separator=SEPARATOR):
    """The rows of an atomic file below its header.

    Args:
        path (pathlib.Path): the file.
        separator (str): RecBole's ``field_separator``.

    Yields:
        tuple: line number (where the row ends, counted from 1) and the list of cells.

    Raises:
        DataError: as `read_header`, or a row has another number of columns than the header.
    """
    table = _table(path, separator)
    next(table)
    yield from table


def _table(path, separator, seen=lambda line: None):
    """Yields the header, then what :func:`read_rows` does; ``seen`` gets the bytes of every line."""
    lines = text_lines(path, seen)
    header = _parse_header(path, next(lines), separator)
    yield header
    reader = csv.reader(lines, delimiter=separator)
    try:
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                raise DataError(
                    f"{path}, line {reader.line_num + 1}: {len(cells)} columns, "
                    f"where the header names {len(header)}."
                )
            yield reader.line_num + 1, cells
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num + 1}: {error}.") from None


def read_item_texts(path, fields=("title",), id_field="item_id", separator=SEPARATOR):
    """The text of every item: :func:`read_item_columns` without other columns (dict, item token to text)."""
    items = read_item_columns(path, fields, (), id_field, separator)
    return {token: text for token, (text,) in items.items()}


def read_item_columns(path, fields=("title",), also=(), id_field="item_id", separator=SEPARATOR):
    """The text of every item and what else is known of it, straight from an ``.item`` file, in one reading.

    Args:
        path (pathlib.Path): the ``.item`` file.
        fields (sequence of str): the fields that make the text, of type token or token_seq. Several
            are joined by ``", "``; missing ones are left out.
        also (sequence of str): further columns, of type token; not every file has them.
        id_field (str): the field with the item's token.
        separator (str): RecBole's ``field_separator``.

    Returns:
        dict: item token -> the text, empty where an item has none, and the cell of each column of ``also``
        ("" where the file has no such column). Of an item that appears more than once the first row counts,
        as in RecBole.

    Raises:
        DataError: the file is missing, empty, not UTF-8 or ragged, lacks one of ``fields``, or the field is
            numeric.
    """
    if not path.exists():
        raise DataError(
            f"{path} does not exist, so {path.stem} has no texts. Give it titles with: python -m "
            f"recbole_sam prepare --dataset={path.stem} --atomic={path.parent} --meta=FILE --k-core=none "
            "--duplicates=keep --overwrite (FILE: Amazon metadata; --items=TABLE for a table)."
        )
    with reading(path), read_whole(path) as seen:
        return _items(_table(path, separator, seen), path, fields, also, id_field)


def _items(table, path, fields, also, id_field):
    header = next(table)
    for field in (id_field, *fields):
        if field not in header:
            raise DataError(
                f"{path} has no field {field!r}; it has {', '.join(header)}."
                f"{nearest(field, header)} Set item_text_fields to the field with the titles."
            )
        if header[field].startswith("float"):
            raise DataError(f"{path}: the field {field!r} is numeric, so it is no text.")
    names = list(header)
    id_column = names.index(id_field)
    text_columns = [names.index(field) for field in fields]
    more = [names.index(field) if header.get(field) == "token" else None for field in also]
    items = {}
    for _, cells in table:
        token = cells[id_column]
        if token not in items:
            parts = (cells[column].strip() for column in text_columns)
            text = ", ".join(part for part in parts if part)
            items[token] = (text, *("" if column is None else cells[column].strip() for column in more))
    return items


def _parse_header(path, line, separator):
    names = line.rstrip("\r\n").split(separator)
    header = {}
    for name in names:
        field, colon, kind = name.rpartition(":")
        if not (field and colon) or kind not in TYPES:
            raise DataError(
                f"{path}, line 1: {name!r} is not of the form field:type, the types being {', '.join(TYPES)}."
            )
        if field in header:
            raise DataError(f"{path}, line 1: the field {field!r} appears twice.")
        header[field] = kind
    return header
