"""A RecBole dataset folder as a source: to filter it, or to give it the titles it lacks."""

import math

from recbole_sam.errors import DataError, nearest
from recbole_sam.prepare.atomic import read_header, read_item_columns, read_rows
from recbole_sam.prepare.items import Item
from recbole_sam.prepare.sources import skips as reasons
from recbole_sam.prepare.sources.table import parse_number, parse_price, parse_time
from recbole_sam.prepare.text import clean_token

_INTERACTION_FIELDS = ("user_id", "item_id", "rating", "timestamp")
_ITEM_FIELDS = ("item_id", "brand", "categories", "price")


def inter_file(folder):
    """The ``.inter`` file of a folder.

    Args:
        folder (pathlib.Path): ``dataset/<name>``.

    Returns:
        pathlib.Path

    Raises:
        DataError: there is none, or several.
    """
    try:
        found = [path for path in sorted(folder.iterdir()) if path.suffix == ".inter"]
    except OSError as error:
        raise DataError(f"{folder} cannot be read as a RecBole dataset folder ({error.strerror}).") from error
    if len(found) != 1:
        raise DataError(f"{folder} holds {len(found)} .inter files, where a RecBole dataset folder has one.")
    return found[0]


def lost_fields(inter, title_field):
    """The columns of a dataset folder that `prepare` does not take over.

    Args:
        inter (pathlib.Path): its ``.inter`` file, with or without an ``.item`` file beside it.
        title_field (str or None): the field with the titles; None when no titles are read from it.

    Returns:
        list of str: each with its file, ``"device (.inter)"``.

    Raises:
        DataError: a file is unreadable.
    """
    item = inter.with_suffix(".item")
    kept = {inter: _INTERACTION_FIELDS, item: (*_ITEM_FIELDS, title_field)}
    return [
        f"{field} ({path.suffix})"
        for path, fields in kept.items()
        if path.is_file()
        for field in read_header(path)
        if field not in fields
    ]


def read_interactions(path, skips):
    """The interactions of an ``.inter`` file with user_id, item_id and timestamp.

    Args:
        path (pathlib.Path): the file.
        skips (Skips): where unusable rows are counted.

    Yields:
        tuple: user token, item token, rating (NaN when missing), time.

    Raises:
        DataError: the file is unreadable or lacks a field.
    """
    header = list(read_header(path))
    for field in ("user_id", "item_id", "timestamp"):
        if field not in header:
            raise DataError(f"{path} has no field {field!r}; it has {', '.join(header)}.")
    user, item, time = (header.index(field) for field in ("user_id", "item_id", "timestamp"))
    rating = header.index("rating") if "rating" in header else None
    for line, cells in read_rows(path):
        seconds = parse_time(cells[time])
        stars = parse_number(cells[rating]) if rating is not None and cells[rating] else math.nan
        tokens = clean_token(cells[user]), clean_token(cells[item])
        if not all(tokens):
            skips.add(reasons.NO_ITEM if tokens[0] else reasons.NO_USER, path, line)
        elif seconds is None or seconds < 0:
            skips.add(reasons.BAD_TIME if seconds is None else reasons.NEGATIVE_TIME, path, line)
        elif stars is None:
            skips.add(reasons.BAD_RATING, path, line)
        else:
            yield *tokens, stars, seconds


def read_items(path, title_field, wanted):
    """The items of an ``.item`` file that has titles.

    Args:
        path (pathlib.Path): the file.
        title_field (str): its field with the titles.
        wanted (set of str): item tokens; others are passed over.

    Yields:
        Item: token, title, and brand, categories and price where the file has them.

    Raises:
        DataError: the file is unreadable or has no such field.
    """
    header = read_header(path)
    if title_field not in header:
        raise DataError(
            f"{path} has no field {title_field!r}; it has {', '.join(header)}."
            f"{nearest(title_field, header)} Name the one with the titles with --title-column=."
        )
    items = read_item_columns(path, [title_field], ["brand", "categories"])
    prices = _prices(path, list(header)) if "price" in header else {}
    for token in items.keys() & wanted:
        title, brand, categories = items[token]
        shelf = tuple(filter(None, categories.split(", ")))
        yield Item(token, title, brand, shelf, prices.get(token, math.nan))


def _prices(path, header):
    """Item token -> price; as with the texts, the first row of an item counts."""
    item, price = header.index("item_id"), header.index("price")
    prices = {}
    for _, cells in read_rows(path):
        prices.setdefault(cells[item], parse_price(cells[price]))
    return prices
