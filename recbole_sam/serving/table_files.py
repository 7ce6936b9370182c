"""Tables that come in (sessions, candidates, new items) and go out (recommendations), by their ending."""

import functools
import json
import os
import shutil
from pathlib import Path

from recbole_sam import files
from recbole_sam.errors import DataError, SettingError
from recbole_sam.serving.bundle_files import pyarrow_parquet

ENDINGS = (".parquet", ".csv", ".jsonl")
ALIASES = {
    "session": ("session", "session_id", "user", "user_id"),
    "item": ("item", "item_id"),
    "time": ("time", "timestamp"),
    "title": ("title",),
}


def ending(path):
    """The ending of a table's file, in lower case.

    Raises:
        SettingError: it is of no kind that we know.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in ENDINGS:
        raise SettingError(
            f"{path} must end in {', '.join(ENDINGS)}: the ending says what kind of file it is."
        )
    return suffix


def read(path, needed, optional=()):
    """Some columns of a table.

    Args:
        path (str or Path): a CSV, Parquet or JSONL file.
        needed (sequence of str), optional (sequence of str): keys of :data:`ALIASES`.

    Returns:
        pandas.DataFrame: these columns, of str but ``time``; optional ones that are not there are left out.

    Raises:
        DataError: the file cannot be read, or lacks a column, or a value.
        SettingError: its ending is of no kind that we know.
    """
    import pandas as pd

    suffix = ending(path)
    try:
        if what := files.irregular(path):
            raise DataError(f"{path} is {what}, no file.")
        if suffix == ".csv":
            table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
            if not isinstance(table.index, pd.RangeIndex):  # pandas takes the first cells for names of rows
                raise DataError(
                    f"{path} has rows with more cells than its first line has names: put texts that hold "
                    "commas between quotes."
                )
        elif suffix == ".jsonl":
            with open(path, encoding="utf-8-sig") as lines:
                table = pd.DataFrame([json.loads(line) for line in lines if line.strip()])
        else:
            table = pyarrow_parquet().read_table(path).to_pandas()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}).") from error
    except (ValueError, TypeError, AttributeError, RecursionError) as error:  # pandas', json's and pyarrow's
        said = " ".join(str(error).split())[:150]
        raise DataError(f"{path} is no readable {suffix[1:].upper()} table: {said}") from error
    found = {}
    for name in (*needed, *optional):
        column = next((alias for alias in ALIASES[name] if alias in table), None)
        if column is None and name in needed:
            raise DataError(
                f"{path} has no column '{name}' (it has {', '.join(map(str, table.columns)) or 'none'}): it "
                f"needs {', '.join(needed)}."
            )
        if column is not None:
            found[name] = table[column]
    table = pd.DataFrame(found)
    for name in table:
        if table[name].isna().any() or (name != "title" and (table[name].astype(str) == "").any()):
            row = int((table[name].isna() | (table[name].astype(str) == "")).to_numpy().argmax()) + 1
            raise DataError(f"{path} has no {name} in row {row}: fill it in, or leave the row out.")
        table[name] = _times(path, table[name]) if name == "time" else table[name].astype(str)
    return table


def _times(path, column):
    import pandas as pd

    times = pd.to_numeric(column, errors="coerce")
    if times.isna().any():
        value = column[times.isna()].iloc[0]
        raise DataError(
            f"{path} has the time {value!r}, which is no number: give seconds, or leave times out."
        )
    return times


def sessions(path):
    """Sessions of a table with the columns session, item and, if they are not in order, time.

    Returns:
        dict: session to item tokens (list of str), oldest first, in order of appearance.

    Raises:
        DataError, SettingError: as :func:`read`; or there is none.
    """
    table = read(path, ("session", "item"), ("time",))
    if not len(table):
        raise DataError(f"{path} holds no sessions.")
    if "time" in table:
        order = list(dict.fromkeys(table["session"]))
        table = table.sort_values("time", kind="stable")
    else:
        order = []
    grouped = {name: [] for name in order}
    for name, item in zip(table["session"], table["item"], strict=True):
        grouped.setdefault(name, []).append(item)
    return grouped


def items(path):
    """Item tokens: one a line of a text file, or the column ``item`` of a table.

    Returns:
        list of str
    """
    if Path(path).suffix.lower() in ENDINGS:
        return read(path, ("item",))["item"].tolist()
    return lines(path)


def lines(path):
    """The lines of a text file that are not empty.

    Returns:
        list of str

    Raises:
        DataError: it cannot be read.
    """
    try:
        if what := files.irregular(path):
            raise DataError(f"{path} is {what}, no file.")
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}).") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no UTF-8 text: give one name a line.") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def check_free(path, overwrite):
    """Refuses an output that is there already, or whose ending says nothing.

    Raises:
        DataError, SettingError: what to do instead.
    """
    ending(path)
    if Path(path).exists() and not overwrite:
        raise DataError(f"{path} exists already. Add --overwrite to replace it.")


def write(frame, path):
    """Writes a table whole or not at all, by its ending.

    Args:
        frame (pandas.DataFrame): of recommendations.
        path (str or Path): where to.

    Raises:
        DataError: the disk refuses.
    """
    path = Path(path)
    suffix = ending(path)
    refused = functools.partial(_refused, path)
    with files.replacing(path, refused) as file:
        file.write(header(suffix, frame.columns) + encoded(frame, suffix))


def _refused(path, error):
    return DataError(f"{path} could not be written ({error.strerror or error}).")


def header(suffix, columns):
    """The bytes before the first row of a table."""
    return (",".join(columns) + "\n").encode() if suffix == ".csv" else b""


def encoded(frame, suffix):
    """The bytes of a table's rows; of Parquet a whole file."""
    if suffix == ".csv":
        return frame.to_csv(index=False, header=False, lineterminator="\n").encode()
    if suffix == ".jsonl":
        rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    import pyarrow as pa

    buffer = pa.BufferOutputStream()
    pyarrow_parquet().write_table(_arrow(frame), buffer)
    return buffer.getvalue().to_pybytes()


def _arrow(frame):
    import pyarrow as pa

    kinds = {"rank": pa.int32(), "score": pa.float32(), "similarity": pa.float32(), "new": pa.bool_()}
    columns = {
        name: pa.array(frame[name].tolist(), kinds.get(name, pa.string()), from_pandas=True) for name in frame
    }
    return pa.table(columns)


def join(parts, path, suffix, columns):
    """Puts parts of a table one behind the other; the same parts give the same bytes.

    Args:
        parts (list of Path): each written by :func:`encoded`.
        path (Path): the whole; not there in part should the process die, if the caller renames it.
        suffix (str): the kind of file.
        columns (sequence of str): of the table.
    """
    if suffix == ".parquet":
        parquet, writer = pyarrow_parquet(), None
        for part in parts:
            table = parquet.read_table(part)
            writer = writer or parquet.ParquetWriter(path, table.schema)
            writer.write_table(table, row_group_size=max(len(table), 1))
        if writer is not None:
            writer.close()
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
        return
    with open(path, "wb") as whole:
        whole.write(header(suffix, columns))
        for part in parts:
            with open(part, "rb") as file:
                shutil.copyfileobj(file, whole)
        whole.flush()
        os.fsync(whole.fileno())


def shown(frame, width=None):
    """A table for the terminal.

    Args:
        frame (pandas.DataFrame): with one row an item.
        width (int, optional): columns of the terminal; titles are cut to it.

    Returns:
        str: lines.
    """
    width = width or shutil.get_terminal_size((110, 24)).columns
    rows = [[_cell(value) for value in row] for row in frame.itertuples(index=False)]
    names = list(frame.columns)
    wide = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
    if "title" in names:
        at = names.index("title")
        others = sum(wide) - wide[at] + 2 * len(wide)
        wide[at] = max(min(wide[at], width - others), 12)
    lines = []
    for row in [names, *rows]:
        cells = []
        for name, cell, room in zip(names, row, wide, strict=True):
            cell = cell if len(cell) <= room else cell[: room - 3] + "..."
            cells.append(cell.rjust(room) if name in ("rank", "score", "similarity") else cell.ljust(room))
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _cell(value):
    if isinstance(value, float):
        return "" if value != value else f"{value:.4f}"
    return "" if value is None else " ".join(str(value).split())


def listed(names):
    """Some names for a sentence: the first five, and how many more there are."""
    more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
    return ", ".join(str(name)[:60] for name in names[:5]) + more
