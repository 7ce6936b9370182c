"""A RecBole dataset folder as a source: to filter it, or to give it the titles it lacks."""

import math

from recbole_sam.data import skips as reasons
from recbole_sam.data.atomic import read_header, read_item_texts, read_rows
from recbole_sam.data.items import Item
from recbole_sam.data.sources.table import parse_number, parse_time
from recbole_sam.data.text import clean_token
from recbole_sam.errors import DataError


def inter_file(folder):
    """The ``.inter`` file of a folder.

    Args:
        folder (pathlib.Path): ``dataset/<name>``.

    Returns:
        pathlib.Path

    Raises:
        DataError: there is none, or several.
    """
    found = sorted(folder.glob("*.inter"))
    if len(found) != 1:
        raise DataError(
            f"{folder} holds {len(found)} .inter files, where a RecBole dataset folder has one."
        )
    return found[0]


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
        Item: token, title, and brand and categories where the file has them.

    Raises:
        DataError: the file is unreadable or has no such field.
    """
    header = read_header(path)
    titles = read_item_texts(path, [title_field])
    brands = read_item_texts(path, ["brand"]) if "brand" in header else {}
    shelves = read_item_texts(path, ["categories"]) if "categories" in header else {}
    for token in titles.keys() & wanted:
        shelf = tuple(filter(None, shelves.get(token, "").split(", ")))
        yield Item(token, titles[token], brands.get(token, ""), shelf)
