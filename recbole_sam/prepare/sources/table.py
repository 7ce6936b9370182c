"""CSV, TSV and Parquet tables, one row an interaction or an item, with columns of any name."""

import math
import re
from datetime import datetime, timezone
from typing import NamedTuple

from recbole_sam.errors import DataError, SettingError, nearest
from recbole_sam.prepare.items import Item
from recbole_sam.prepare.sources import delimited
from recbole_sam.prepare.sources import skips as reasons
from recbole_sam.prepare.sources.lines import reading, refuse_irregular
from recbole_sam.prepare.text import clean_token

INTERACTION_NAMES = {
    "user": "user_id user uid reviewer_id customer_id visitor_id member_id".split(),
    "item": "item_id item iid parent_asin asin product_id movie_id goods_id article_id".split(),
    "rating": "rating ratings overall score stars".split(),
    "time": "timestamp time unix_review_time unix_time datetime date ts".split(),
    "behaviour": "behavior behaviour behavior_type behaviour_type event_type event".split(),
}
"""Column names recognised without being told, compared without case and punctuation."""

ITEM_NAMES = {
    "item": INTERACTION_NAMES["item"],
    "title": "title item_title product_title movie_title name item_name product_name".split(),
    "brand": "brand brand_name store manufacturer".split(),
    "category": "category categories category_name category_path genre genres class".split(),
    "price": "price item_price".split(),
}
"""The same for items."""

REVIEW_NAMES = "text review_text review_body overall".split()
"""Columns of reviews: beside one of them, ``title`` is the headline of the review, not the product."""

_WHOLE = re.compile(r"-?\d+\.0+")

LATEST_SECOND = 1e11
"""The year 5138; a larger number counts milliseconds or microseconds."""


class Columns(NamedTuple):
    """Names of the columns in the user's files; None leaves it to recognition.

    Attributes:
        user, item, rating, time, behaviour: of the interactions.
        item_id, title, brand, category, price: of the items.
    """

    user: str | None = None
    item: str | None = None
    rating: str | None = None
    time: str | None = None
    behaviour: str | None = None
    item_id: str | None = None
    title: str | None = None
    brand: str | None = None
    category: str | None = None
    price: str | None = None


def read_interactions(path, columns, skips, delimiter=None, names=None, behaviours=None):
    """The interactions of a table.

    Args:
        path (pathlib.Path): CSV or TSV (plain or gzipped, UTF-8, RFC 4180 quoting) or Parquet.
        columns (Columns): names of its columns.
        skips (Skips): where unusable rows are counted.
        delimiter (str): None recognises comma, tab, semicolon and bar from the first line.
        names (list of str): the column names when the file has no line with them.
        behaviours (collection of str): keep only rows with one of these; None keeps all.

    Yields:
        tuple: user token, item token, rating (NaN when empty or without such a column), time.

    Raises:
        DataError: the file cannot be read, has no column for user, item or time, or one column would be
            used twice.
    """
    given, table = names, _rows(path, delimiter, names)
    names = next(table)
    user, item, time = (
        _find(path, names, part, getattr(columns, part), INTERACTION_NAMES[part], f"--{part}-column")
        for part in ("user", "item", "time")
    )
    rating = _find(path, names, "rating", columns.rating, INTERACTION_NAMES["rating"])
    behaviour = None
    if behaviours is not None:
        behaviour = _find(
            path, names, "behaviour", columns.behaviour,
            INTERACTION_NAMES["behaviour"], "--behaviour-column",
        )  # fmt: skip
    roles = {"user": user, "item": item, "time": time, "rating": rating, "behaviour": behaviour}
    _refuse_twice(path, names, roles)
    floats = _float_ids(path, delimiter, given, {user, item})
    found = set()
    for line, cells in table:
        if behaviour is not None:
            found.add(_text(cells[behaviour]))
            if _text(cells[behaviour]) not in behaviours:
                skips.pass_over(reasons.OTHER_BEHAVIOUR, path, line)
                continue
        user_token, item_token = _id(cells[user], user in floats), _id(cells[item], item in floats)
        if not user_token or not item_token:
            skips.add(reasons.NO_ITEM if user_token else reasons.NO_USER, path, line)
            continue
        seconds = parse_time(cells[time])
        if seconds is None or seconds < 0:
            reason = reasons.BAD_TIME if seconds is None else reasons.NEGATIVE_TIME
            skips.add(reason, path, line)
            continue
        stars = math.nan
        if rating is not None and _text(cells[rating]):
            stars = parse_number(cells[rating])
            if stars is None:
                skips.add(reasons.BAD_RATING, path, line)
                continue
        if floats:
            skips.repair(reasons.FLOAT_ID)
        yield user_token, item_token, stars, seconds
    for name in sorted((behaviours or set()) - found):
        skips.note(
            f"{path.name} has no row with the behaviour {name!r}; it has {', '.join(sorted(found)[:10])}."
            f"{nearest(name, found)}"
        )


def read_items(path, columns, skips, delimiter=None, names=None):
    """The items of a table.

    Args:
        path (pathlib.Path): as for `read_interactions`. Of an item listed twice every row is given.
        columns (Columns): names of its columns.
        skips (Skips): where rows without an item id are counted.
        delimiter (str), names (list of str): as for `read_interactions`.

    Yields:
        Item: uncleaned; ``categories`` split at ``|`` where the text has one, else at ``,``.

    Raises:
        DataError: the file cannot be read, or has no column for the item or the title.
    """
    given, table = names, _rows(path, delimiter, names)
    names = next(table)
    token = _find(path, names, "item", columns.item_id, ITEM_NAMES["item"], "--item-id-column")
    title = _find_title(path, names, columns, "--title-column")
    brand, category, price = (
        _find(path, names, part, getattr(columns, part), ITEM_NAMES[part])
        for part in ("brand", "category", "price")
    )
    floats = _float_ids(path, delimiter, given, {token})
    for line, cells in table:
        item = _id(cells[token], token in floats)
        if not item:
            skips.add(reasons.NO_ITEM, path, line)
            continue
        yield Item(
            item,
            _text(cells[title]),
            _text(cells[brand]) if brand is not None else "",
            _path(cells[category]) if category is not None else (),
            parse_price(cells[price]) if price is not None else math.nan,
        )


def has_titles(path, columns, delimiter=None, names=None):
    """bool: whether the table has a column recognised as the title."""
    table = _rows(path, delimiter, names)
    found = _find_title(path, next(table), columns)
    table.close()
    return found is not None


def _float_ids(path, delimiter, names, columns):
    """Of the id columns, those whose ids are all whole numbers written as floats.

    A spreadsheet or pandas writes ids so when one of them is missing. A file without such ids costs one row,
    one with them a second reading.
    """
    if is_parquet(path):  # floats are floats there
        return set()
    found, table = set(), _rows(path, delimiter, names)
    next(table)
    for _, cells in table:
        for column in tuple(columns):
            token = clean_token(cells[column])
            if _WHOLE.fullmatch(token):
                found.add(column)
            elif token:
                columns = columns - {column}
        if not columns:
            break
    table.close()
    return found & columns


def _id(cell, is_float):
    """The id in a cell, of a column that :func:`_float_ids` named or not."""
    token = clean_token(_text(cell))
    return token.partition(".")[0] if is_float else token


def _refuse_twice(path, names, columns):
    """Refuses one column in two roles, which makes a user of every item, say."""
    roles = {}
    for role, column in columns.items():
        if column is not None and roles.setdefault(column, role) != role:
            raise DataError(
                f"{path}: the column {names[column]!r} would be both {roles[column]} and {role}. Name "
                f"another one with --{role}-column=."
            )


def parse_number(cell):
    """float of a cell, or None when it is not a finite number."""
    try:
        number = float(cell)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def parse_price(cell):
    """float: the number a cell such as ``$1,299.00`` begins with; NaN when there is none."""
    number = parse_number(_text(cell).replace(",", "").lstrip("$€£¥ ").partition(" ")[0])
    return math.nan if number is None else number


def parse_time(cell):
    """A moment as seconds.

    Args:
        cell (str, number, datetime or None): a number of seconds, milliseconds or microseconds
            (numbers of 1e11 and more are taken for the smaller units), or an ISO 8601 date with or
            without time, in UTC unless it says otherwise. Positions (0, 1, 2 ...) are fine too.

    Returns:
        float or None: seconds; None when the cell is empty or neither of these.
    """
    if isinstance(cell, datetime):
        return _seconds(cell)
    number = parse_number(cell)
    if number is None:
        try:
            return _seconds(datetime.fromisoformat(_text(cell).strip().replace("Z", "+00:00")))
        except ValueError:
            return None
    while abs(number) >= LATEST_SECOND:
        number /= 1000
    return number


def _seconds(moment):
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return moment.timestamp()


def _text(cell):
    """Text of a cell; of Parquet that may be bytes, or a whole number that pandas made a float."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bytes):
        # What is not UTF-8 becomes halves of surrogate pairs, which make an id unusable.
        return cell.decode("utf-8", "surrogateescape")
    if isinstance(cell, float):
        return "" if math.isnan(cell) else str(int(cell) if cell.is_integer() else cell)
    return "" if cell is None else str(cell)


def _path(cell):
    if isinstance(cell, (list, tuple)):
        return tuple(map(_text, cell))
    text = _text(cell)
    return tuple(part.strip() for part in text.split("|" if "|" in text else ","))


def _find(path, names, part, wanted, usual, option=None):
    """Position of a column; None when it is optional (no option given) and absent."""
    plain = [_plain(name) for name in names]
    if wanted is not None:
        if wanted in names:
            return _only(path, names, names.index(wanted))
        raise DataError(
            f"{path} has no column {wanted!r}; it has {', '.join(names)}.{nearest(wanted, names)}"
        )
    for name in usual:
        if _plain(name) in plain:
            return _only(path, names, plain.index(_plain(name)))
    if option is None:
        return None
    raise DataError(
        f"{path} has no column recognised as {part}; it has {', '.join(names)}. Name it with {option}=."
    )


def _find_title(path, names, columns, option=None):
    """As `_find`; a headline of reviews is taken for the title only when the user names it."""
    review = _find(path, names, "review", None, REVIEW_NAMES)
    usual = ITEM_NAMES["title"]
    if review is None:
        return _find(path, names, "title", columns.title, usual, option)
    usual = [name for name in usual if name != "title"]
    found = _find(path, names, "title", columns.title, usual)
    if found is None and option is not None:
        raise DataError(
            f"{path} has no column recognised as title; it has {', '.join(names)}. Beside {names[review]!r}, "
            f"'title' would be the headline of a review. Name the column of product titles with {option}=."
        )
    return found


def _only(path, names, column):
    """The position of a column whose name no other one has."""
    if names.count(names[column]) > 1:
        raise DataError(f"{path} has more than one column named {names[column]!r}: rename the others.")
    return column


def _plain(name):
    # "user_id:token" is how atomic files spell it.
    return "".join(c for c in name.partition(":")[0].lower() if c.isalnum())


def _rows(path, delimiter, names):
    """Yields the column names, then line number and cells of each row."""
    if is_parquet(path):
        yield from _parquet_rows(path)
    else:
        if delimiter is not None:
            delimiter = _one_character(delimiter)
        yield from delimited.read_rows(path, delimiter, names, "Is {} the delimiter (--delimiter=)?")


def is_parquet(path):
    """bool: whether the name says that a table is Parquet."""
    return path.suffix in (".parquet", ".pq")


def _one_character(delimiter):
    """The delimiter as ``csv`` takes it; a shell hands over ``\\t`` as two characters."""
    if delimiter == "\\t":
        return "\t"
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise SettingError(
            f"--delimiter={delimiter} is no delimiter: give one character such as , or ; or \\t for a tab."
        )
    return delimiter


def _parquet_rows(path):
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise DataError(
            f"{path} is a Parquet file, and reading those needs pyarrow: pip install pyarrow."
        ) from None
    if path.is_dir():
        raise DataError(
            f'{path} is a folder of Parquet files, where one file is needed. Join them: python -c "import '
            f"pyarrow.parquet as p; p.write_table(p.read_table('{path}'), '{path.stem}.joined.parquet')\""
        )
    with reading(path):
        refuse_irregular(path)
    try:
        file = pyarrow.parquet.ParquetFile(path)
    except pyarrow.ArrowException as error:
        raise DataError(f"{path} is not a Parquet file ({error}).") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error}).") from None
    with file:
        yield list(file.schema_arrow.names)
        line = 0
        try:
            for batch in file.iter_batches():
                for cells in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    line += 1
                    yield line, cells
        except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
            raise DataError(f"{path} is damaged after row {line:,} ({error}): fetch it again.") from None
