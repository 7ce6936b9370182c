import hashlib
import json
import os
from pathlib import Path

import pytest

from recbole_sam import files
from recbole_sam.errors import DataError
from recbole_sam.files import sha256
from recbole_sam.prepare.card import card_line, check_files, fingerprint, read_card, write_card

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


BROKEN = {
    "deep": "[" * 100_000,
    "a list": "[]",
    "a text": '"card"',
    "null": "null",
    "nothing": "",
    "not UTF-8": b"\xff\xfe{}",
    "empty": "{}",
    **{
        f"{part} is {value!r}": json.dumps({**CARD, part: value})
        for part in ("dataset", "source", "date", "counts", "filters")
        for value in (None, [], 3, {"name": None})
    },
    "titles in words": json.dumps({**CARD, "titles": {"title": "many"}}),
    "counts in words": json.dumps({**CARD, "counts": {"users": "1", "items": 2, "interactions": 3}}),
    "files that are none": json.dumps({**CARD, "files": ["a.inter"]}),
    "files without size": json.dumps({**CARD, "files": [{"name": "a.inter", "sha256": "0"}]}),
    "steps that are none": json.dumps({**CARD, "steps": [{"step": "read"}]}),
    "notes that are none": json.dumps({**CARD, "notes": [3]}),
    "skipped that is none": json.dumps({**CARD, "skipped": {"reason": "many"}}),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_card_of_another_shape_is_one_sentence(tmp_path, kind):
    data = BROKEN[kind]
    (tmp_path / "card.json").write_bytes(data if isinstance(data, bytes) else data.encode())
    with pytest.raises(DataError, match="card.json is not .*prepare the dataset again") as caught:
        read_card(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_card_that_may_not_be_read_or_written(tmp_path, monkeypatch):
    write_card(tmp_path, CARD)

    def forbidden(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", forbidden)
    with pytest.raises(DataError, match="card.json cannot be read .Permission denied"):
        read_card(tmp_path)


def test_files_are_held_to_the_card_and_read_once(tmp_path, monkeypatch):
    file = tmp_path / "a.inter"
    file.write_bytes(b"1234")
    made = {**CARD, "files": [fingerprint(file)]}
    asked = []
    monkeypatch.setattr(files, "sha256", lambda path: asked.append(path) or sha256(path))
    for _ in range(3):
        check_files(tmp_path, made)
    assert len(asked) == 1
    file.write_bytes(b"12345")
    with pytest.raises(DataError, match="a.inter is not the file .*prepare --dataset=.* --accept"):
        check_files(tmp_path, made)
    assert len(asked) == 1  # its size says enough
    file.write_bytes(b"1235")
    os.utime(file, ns=(1, 1))
    with pytest.raises(DataError, match="changed, cut off or lost"):
        check_files(tmp_path, made)
    file.unlink()
    with pytest.raises(DataError, match="changed, cut off or lost"):
        check_files(tmp_path, made)
    check_files(tmp_path, CARD)  # lists no files


def test_checksum(tmp_path):
    (tmp_path / "x").write_bytes(b"abc" * 1_000_000)
    assert sha256(tmp_path / "x") == hashlib.sha256(b"abc" * 1_000_000).hexdigest()
