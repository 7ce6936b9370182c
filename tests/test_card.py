import hashlib

import pytest

from recbole_sam.data.card import card_line, checksum, read_card, write_card
from recbole_sam.errors import DataError

CARD = {
    "dataset": "shop",
    "source": {"name": "Shop 2018"},
    "date": "2026-11-23",
    "counts": {"users": 1200, "items": 30, "interactions": 45000},
    "filters": {"k_core": "once", "min_count": 5},
    "titles": {"title": 28},
}


def test_a_card_comes_back_as_it_was(tmp_path):
    write_card(tmp_path, CARD)
    assert read_card(tmp_path) == CARD


def test_one_line_says_it_all():
    assert card_line(CARD) == (
        "shop: 1,200 users, 30 items, 45,000 interactions; 28 titles; Shop 2018; 5-core once; "
        "prepared 2026-11-23"
    )
    bare = {**CARD, "titles": None, "filters": {"k_core": "none", "min_count": 5}}
    assert "; no titles; Shop 2018; k-core none;" in card_line(bare)


def test_no_card_and_a_broken_card(tmp_path):
    assert read_card(tmp_path) is None
    (tmp_path / "card.json").write_text('{"dataset": ')
    with pytest.raises(DataError, match="prepare the dataset again"):
        read_card(tmp_path)


def test_checksum(tmp_path):
    (tmp_path / "x").write_bytes(b"abc" * 1_000_000)
    assert checksum(tmp_path / "x") == hashlib.sha256(b"abc" * 1_000_000).hexdigest()
