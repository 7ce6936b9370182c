import gzip
import importlib
import json
import math
import sys

import pytest
from conftest import REAL_DATA

from recbole_sam.errors import DataError
from recbole_sam.prepare.sources import amazon
from recbole_sam.prepare.sources.skips import Skips

SHARED = REAL_DATA

REVIEW_2018 = {
    "overall": 4.0, "verified": True, "reviewTime": "09 1, 2016", "reviewerID": "U1", "asin": "A1",
    "style": {"Size:": " 7.0 oz"},
    "reviewText": "It said \"asin\": \"ZZ\"",
    "unixReviewTime": 1472688000,
}  # fmt: skip
REVIEW_2023 = {
    "rating": 5.0, "title": "Such a lovely scent", "text": "Nice", "images": [], "asin": "CHILD",
    "parent_asin": "P1", "user_id": "AGKHL", "timestamp": 1588687728923, "verified_purchase": True,
}  # fmt: skip
META_2014 = (
    "{'asin': 'A1', 'title': \"Crabtree & Evelyn's Hand Cream\", 'price': 12.5, "
    "'brand': 'Crabtree', 'categories': [['Beauty', 'Hand Care'], ['Gifts']], "
    "'related': {'also_bought': ['B1']}}"
)
META_2018 = {
    "category": ["Office Products", "Paper"], "title": "Pads", "brand": "Acme", "asin": "A1",
    "price": "$7.99", "main_cat": "Office Products",
}  # fmt: skip
META_2023 = {
    "main_category": "All Beauty", "title": "Howard LC0008", "price": None, "store": "Howard Co",
    "categories": [], "details": {"Brand": "Howard"}, "parent_asin": "P1",
}  # fmt: skip


def put(tmp_path, lines, name="x.json"):
    path = tmp_path / name
    raw = b"".join(
        (line if isinstance(line, bytes) else (line if isinstance(line, str) else json.dumps(line)).encode())
        + b"\n"
        for line in lines
    )
    path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    return path


def reviews(path, skips=None):
    return list(amazon.read_reviews(path, skips or Skips()))


def metadata(path, wanted, skips=None):
    return list(amazon.read_metadata(path, skips or Skips(), wanted))


@pytest.fixture(params=["json", "orjson"])
def parser(request, monkeypatch):
    """Runs a test with the standard library's parser and with the faster one."""
    if request.param == "json":
        monkeypatch.setitem(sys.modules, "orjson", None)
    else:
        pytest.importorskip("orjson", reason="the extra [fast] is not installed")
    yield importlib.reload(amazon)
    monkeypatch.undo()
    importlib.reload(amazon)


def test_reviews_of_every_version(tmp_path, parser):
    literal = str(REVIEW_2018)
    path = put(tmp_path, [REVIEW_2018, literal, REVIEW_2023], "x.json.gz")
    assert reviews(path) == [
        ("U1", "A1", 4.0, 1472688000),
        ("U1", "A1", 4.0, 1472688000),
        ("AGKHL", "P1", 5.0, 1588687728.923),
    ]


def test_metadata_of_every_version(tmp_path, parser):
    old, new, newest = metadata(put(tmp_path, [META_2014, META_2018, META_2023]), {"A1", "P1"})
    assert old == (
        "A1",
        "Crabtree & Evelyn's Hand Cream",
        "Crabtree",
        ("Beauty", "Hand Care"),
        12.5,
    )
    assert new == ("A1", "Pads", "Acme", ("Office Products", "Paper"), 7.99)
    assert newest[:4] == ("P1", "Howard LC0008", "Howard", ("All Beauty",))
    assert math.isnan(newest.price)


def test_only_wanted_items_are_given(tmp_path):
    other = META_2014.replace("'A1'", "'A2'")
    path = put(tmp_path, [other, META_2014, {**META_2018, "asin": "A3"}])
    assert [item.token for item in metadata(path, {"A1"})] == ["A1"]


def test_a_literal_is_parsed_not_run(tmp_path):
    fuse = tmp_path / "ran"
    evil = f"{{'asin': 'A1', 'title': open({str(fuse)!r}, 'w')}}"
    skips = Skips()
    assert metadata(put(tmp_path, [evil, META_2014]), {"A1"}, skips)[0].title.startswith("Crabtree")
    assert skips.counts == {"not a record of the expected form": 1}
    assert not fuse.exists()


def test_odd_fields_in_metadata_are_missing_not_errors(tmp_path):
    odd = {"asin": "A1", "title": None, "brand": ["x"], "category": [3, "Soap"], "price": ".a-box{"}
    (item,) = metadata(put(tmp_path, [odd]), {"A1"})
    assert item[:4] == ("A1", "", "", ("Soap",))
    assert math.isnan(item.price)


def test_half_a_surrogate_pair_in_a_title(tmp_path, parser):
    (item,) = metadata(put(tmp_path, [b'{"asin": "A1", "title": "Half \\ud83d"}']), {"A1"})
    assert item.title == "Half \ud83d"  # clean_title removes it


def test_unusable_lines_are_counted(tmp_path, parser):
    def without(field):
        return {key: value for key, value in REVIEW_2018.items() if key != field}

    lines = [
        without("reviewerID"), without("asin"), without("unixReviewTime"),
        {**REVIEW_2018, "unixReviewTime": -1}, {**REVIEW_2018, "overall": "five"},
        {**REVIEW_2018, "unixReviewTime": 1472688000000}, without("overall"),
        b'{"reviewerID": "caf\xe9"}', "", "[1, 2]", "{broken", REVIEW_2018,
    ]  # fmt: skip
    path = put(tmp_path, lines)
    with open(path, "ab") as file:
        file.write(b'{"overall": 5.0, "reviewerID": "U')
    skips = Skips()
    kept = reviews(path, skips)
    assert [row[3] for row in kept] == [1472688000] * 3
    assert math.isnan(kept[1][2])
    assert skips.counts == {
        "no usable user id": 1,
        "no usable item id": 1,
        "time missing or not readable": 1,
        "negative time": 1,
        "rating is not a number": 1,
        "not UTF-8": 1,
        "not a record of the expected form": 2,
        "last line cut off": 1,
    }
    assert skips.repaired == {"time in milliseconds instead of seconds": 1}
    with pytest.raises(DataError, match="line 1: no usable user id"):
        reviews(path, Skips(strict=True))


def test_truncated_and_empty_files(tmp_path):
    path = put(tmp_path, [REVIEW_2018] * 500, "x.json.gz")
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(DataError, match="truncated gzip"):
        reviews(path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match="is empty"):
        reviews(path)


def test_the_real_all_beauty():
    path = SHARED / "amazon-all-beauty-raw" / "All_Beauty_5.json.gz"
    if not path.is_file():
        pytest.skip(f"the real data in {SHARED} is not on this machine")
    skips = Skips()
    rows = reviews(path, skips)
    assert skips.counts == {}
    assert len(rows) == 5269
    assert len({row[0] for row in rows}) == 991
    assert len({row[1] for row in rows}) == 85


@pytest.mark.parametrize("review", [REVIEW_2018, REVIEW_2023])
def test_reviews_are_refused_as_metadata(tmp_path, review):
    with pytest.raises(DataError, match="x.json, line 2: a review, .*--reviews="):
        metadata(put(tmp_path, [META_2018, review]), {"A1"})


@pytest.mark.parametrize(
    ("category", "parts"),
    [("Beauty", ("Beauty",)), ({"a": "b"}, ("Office",)), (7, ("Office",)), ("", ("Office",))],
)
def test_categories_that_are_no_list(tmp_path, category, parts):
    for field in ("category", "categories"):
        record = {"asin": "A1", field: category, "main_cat": "Office"}
        assert metadata(put(tmp_path, [record]), {"A1"})[0].categories == parts
