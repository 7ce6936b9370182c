"""Amazon reviews and metadata as published: 2014, 2018 and 2023, one record a line.

========  ============================  ==================================================
version   a line is                     fields used
========  ============================  ==================================================
2014      JSON or a Python literal      reviewerID asin overall unixReviewTime;
                                        asin title brand categories price
2018      JSON                          the same; asin title brand category main_cat price
2023      JSON                          user_id parent_asin rating timestamp (milliseconds);
                                        parent_asin title store details categories price
========  ============================  ==================================================

The fields of a line say which version it is. Python literals are parsed by ``ast.literal_eval``,
which builds values and runs nothing. ``orjson`` (extra ``fast``) is used where installed.
"""

import ast
import json
import math
import re

from recbole_sam.errors import DataError
from recbole_sam.prepare.items import Item
from recbole_sam.prepare.sources import skips as reasons
from recbole_sam.prepare.sources.lines import byte_lines, open_bytes
from recbole_sam.prepare.sources.table import LATEST_SECOND, parse_number, parse_price, parse_time
from recbole_sam.prepare.text import clean_token

try:
    from orjson import loads as _loads
except ImportError:
    _loads = json.loads

_LITERAL_ASIN = re.compile(rb"""'asin': ['"]([^'"]*)""")


def read_reviews(path, skips):
    """The reviews of a file, without their texts.

    Args:
        path (pathlib.Path): plain or gzipped.
        skips (Skips): where unusable lines are counted.

    Yields:
        tuple: user token, item token, rating (NaN when missing), time in seconds.

    Raises:
        DataError: the file is missing, empty, or its gzip stream is cut; in strict mode also for
            the first unusable line.
    """
    for number, record in _records(path, skips):
        user, item = record.get("reviewerID"), record.get("asin")
        rating, time = record.get("overall"), record.get("unixReviewTime")
        if user is None and "user_id" in record:
            user, item = record["user_id"], record.get("parent_asin") or item
            rating, time = record.get("rating"), record.get("timestamp")
        elif isinstance(time, (int, float)) and time >= LATEST_SECOND:
            skips.repair(reasons.MILLISECONDS)
        user, item = _token(user), _token(item)
        if not user or not item:
            skips.add(reasons.NO_ITEM if user else reasons.NO_USER, path, number)
            continue
        seconds = parse_time(time)
        if seconds is None or seconds < 0:
            reason = reasons.BAD_TIME if seconds is None else reasons.NEGATIVE_TIME
            skips.add(reason, path, number)
            continue
        stars = math.nan if rating is None else parse_number(rating)
        if stars is None:
            skips.add(reasons.BAD_RATING, path, number)
            continue
        yield user, item, stars, seconds


def read_metadata(path, skips, wanted):
    """The products of a metadata file.

    Args:
        path (pathlib.Path): plain or gzipped.
        skips (Skips): where unusable lines are counted.
        wanted (set of str): item tokens; others are passed over. (Python literals are slow to
            parse, and a metadata file describes many times the items that have reviews.)

    Yields:
        Item: uncleaned.

    Raises:
        DataError: as `read_reviews`; or the file holds reviews, whose titles are headlines.
    """
    for number, record in _records(path, skips, wanted):
        if "reviewerID" in record or "user_id" in record:
            raise DataError(
                f"{path}, line {number}: a review, where the description of a product is needed. Give the "
                "metadata file (its name begins with meta_); reviews are given with --reviews=."
            )
        token = _token(record.get("parent_asin") or record.get("asin"))
        if not token:
            skips.add(reasons.NO_ITEM, path, number)
        elif token in wanted:
            yield Item(
                token,
                _string(record.get("title")),
                _brand(record),
                _categories(record),
                parse_price(record.get("price")),
            )


def _records(path, skips, wanted=None):
    with open_bytes(path) as file:
        for number, line in enumerate(byte_lines(file, path), 1):
            if wanted is not None and _passed_over(line, wanted):
                continue
            try:
                record = _loads(line)
            except (ValueError, RecursionError):  # the latter of brackets in brackets
                record = _parse_odd(line)
            if isinstance(record, dict):
                yield number, record
            elif line.strip():
                skips.add(_why(line), path, number)


def _parse_odd(line):
    """The record of a line of bytes that is no plain JSON; None when it holds none."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        return None
    try:
        # orjson refuses halves of surrogate pairs, which json reads and `text` then removes.
        return json.loads(text)
    except RecursionError:
        return None
    except ValueError:
        pass
    if not text.startswith("{'"):
        return None
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):  # its documented failures
        return None


def _why(line):
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return reasons.NOT_UTF8
    return reasons.NOT_RECORD if line.endswith(b"\n") else reasons.CUT_OFF


def _passed_over(line, wanted):
    if not line.startswith(b"{'"):
        return False
    found = _LITERAL_ASIN.search(line)
    return bool(found) and found[1].decode("utf-8", "replace") not in wanted


def _token(value):
    return clean_token(value) if isinstance(value, str) else ""


def _string(value):
    return value if isinstance(value, str) else ""


def _brand(record):
    details = record.get("details")
    named = details.get("Brand") if isinstance(details, dict) else None
    return _string(record.get("brand")) or _string(named) or _string(record.get("store"))


def _categories(record):
    path = _parts(record.get("category")) or _parts(record.get("categories"))
    if path and isinstance(path[0], list):  # 2014 lists several paths; the first is the main one
        path = path[0]
    if not path:
        path = [record.get("main_cat") or record.get("main_category")]
    return tuple(part for part in path if isinstance(part, str))


def _parts(value):
    """A list unchanged, a text as its only part, and nothing of any other value."""
    if isinstance(value, str):
        return [value] if value else []
    return value if isinstance(value, list) else []
