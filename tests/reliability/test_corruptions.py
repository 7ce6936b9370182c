"""Files that were damaged: each is refused in one sentence, or read to exactly what was written.

200 random damages (seeded) and 50 targeted ones of interest stores, item texts, cards and prepared data.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import build_interests, make_config, random_sequences, write_dataset

from recbole_sam.data import check, item_texts, store_location
from recbole_sam.data.interest_table import InterestTable
from recbole_sam.data.store import InterestStore
from recbole_sam.errors import RecBoleSAMError
from recbole_sam.interests import stage1
from recbole_sam.prepare.card import read_card
from recbole_sam.prepare.conversion import accept

RANDOM, SEED = 200, 21
KINDS = ("store", "item texts", "inter", "item", "card")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A prepared dataset with interests and item texts: its configuration and the five files by kind."""
    root = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setattr("sys.argv", ["test"])
        folder = root / "dataset" / "shop"
        write_dataset(folder, random_sequences())
        card = {"dataset": "shop", "source": {"name": "a test"}, "date": "2026-11-28", "files": []}
        card["counts"] = {"users": 1, "items": 1, "interactions": 1}
        (folder / "card.json").write_text(json.dumps(card))
        accept(folder)
        config = make_config(data_path=str(root / "dataset"))
        build_interests(config)
        stage1.build_item_texts(config)
        files = {
            "store": store_location.path(config),
            "item texts": item_texts.path(config, item_texts.item_titles(config)),
            "inter": folder / "shop.inter", "item": folder / "shop.item", "card": folder / "card.json",
        }  # fmt: skip
        return config, files


def used(config, files):
    """All that a run reads of the five files, each part used: bytes that can be compared."""
    check.folder_of(config)
    store = InterestStore.open(files["store"])
    table = InterestTable(store, np.array(["[PAD]", *store.users]))
    titles = InterestStore.open(files["item texts"], "item texts")
    tokens = np.array(["[PAD]", *titles.users])
    vectors = item_texts.load(config, tokens).vectors()
    card = read_card(files["card"].parent)
    return [
        table.embeddings.numpy().tobytes(), table.user_phrases.numpy().tobytes(), list(store.phrases),
        list(store.users), store.history_hashes.tobytes(), store.statuses.tobytes(), store.fingerprint,
        store.status_names, vectors.numpy().tobytes(), tokens.tolist(), list(titles.phrases),
        files["inter"].read_bytes(), files["item"].read_bytes(), card["files"],
    ]  # fmt: skip


def outcome(whole, kind, damaged):
    """``refused`` with its sentence, or ``same``; the file is put back."""
    config, files = whole
    before, file = files[kind].read_bytes(), files[kind]
    expected = used(config, files)
    try:
        file.unlink()
        file.write_bytes(damaged)
        try:
            got = used(config, files)
        except RecBoleSAMError as error:
            assert str(error) and "\n" not in str(error), (kind, str(error))
            return "refused", str(error)
        assert got == expected, f"{kind}: accepted, and read to something else"
        return "same", ""
    finally:
        file.unlink()
        file.write_bytes(before)


def random_damage(data, rng):
    """One of: flipped bits, bytes overwritten, a cut, a doubled piece, two pieces exchanged, zeros, more."""
    data, way = bytearray(data), rng.integers(7)
    start = int(rng.integers(len(data)))
    size = int(rng.integers(1, 40))
    if way == 0:
        for position in rng.integers(0, len(data), rng.integers(1, 4)):
            data[position] ^= 1 << int(rng.integers(8))
    elif way == 1:
        data[start : start + size] = rng.bytes(len(data[start : start + size]))
    elif way == 2:
        del data[start:]
    elif way == 3:
        data[start:start] = data[start : start + size]
    elif way == 4:
        other = int(rng.integers(len(data)))
        first, second = data[start : start + size], data[other : other + size]
        data[other : other + len(first)], data[start : start + len(second)] = first, second
    elif way == 5:
        data[start : start + 10 * size] = bytes(len(data[start : start + 10 * size]))
    else:
        data += rng.bytes(size)
    return bytes(data)


def test_random_damages_are_refused_or_harmless(whole):
    rng, told = np.random.default_rng(SEED), {kind: {"refused": 0, "same": 0} for kind in KINDS}
    for number in range(RANDOM):
        kind = KINDS[number % len(KINDS)]
        data = whole[1][kind].read_bytes()
        damaged = random_damage(data, rng)
        result, _ = outcome(whole, kind, damaged)
        told[kind][result] += 1
    print(told)
    assert sum(sum(counts.values()) for counts in told.values()) == RANDOM
    # a card may change in what nobody reads, such as a note; data and stores may not change at all
    assert all(counts["refused"] > 30 for kind, counts in told.items() if kind != "card")


def header_of(data):
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), 8 + length


def with_header(data, change):
    header, start = header_of(data)
    change(header)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[start:]


def last_byte_of(part):
    """Flips the lowest bit of a part's last byte."""

    def damage(data, _):
        header, start = header_of(data)
        position = start + header[part]["data_offsets"][1] - 1
        return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]

    return damage


def in_header(change):
    return lambda data, _: with_header(data, change)


def rows_exchanged(data, _):
    header, start = header_of(data)
    width = header["embeddings"]["shape"][1] * 2
    first = start + header["embeddings"]["data_offsets"][0]
    return (data[:first] + data[first + width : first + 2 * width] + data[first : first + width]
            + data[first + 2 * width :])  # fmt: skip


def replaced(old, new):
    def damage(data, _):
        assert old in data
        return data.replace(old, new, 1)

    return damage


def another(kind):
    return lambda _, files: files[kind].read_bytes()


PARTS = ("offsets", "user_offsets", "phrase_offsets", "phrase_index", "embeddings", "history_hashes",
         "statuses", "user_text", "phrase_text")  # fmt: skip
BINARY = {
    **{f"last byte of {part}": last_byte_of(part) for part in PARTS},
    "two rows of embeddings exchanged": rows_exchanged,
    "one checksum of another number": in_header(
        lambda h: h["__metadata__"].update(
            checksums=json.dumps(json.loads(h["__metadata__"]["checksums"]) | {"embeddings": "00000000"})
        )
    ),
    "one checksum lost": in_header(
        lambda h: h["__metadata__"].update(checksums=json.dumps({"header": "00000000"}))
    ),
    "checksums that are none": in_header(lambda h: h["__metadata__"].update(checksums="[]")),
    "another fingerprint": in_header(lambda h: h["__metadata__"].update(fingerprint="{}")),
    "another kind": in_header(lambda h: h["__metadata__"].update(kind="weights")),
    "nothing": lambda data, _: b"",
    "a table": lambda data, _: b"user,phrase\nu1,a\n" * 99,
    "deep JSON": lambda data, _: (99_999).to_bytes(8, "little") + b'{"a":' * 20_000,
    "cut in the last byte": lambda data, _: data[:-1],
    "one byte more": lambda data, _: data + b"\0",
}
TARGETED = [
    *(("store", name, damage) for name, damage in BINARY.items()),
    *(("item texts", name, damage) for name, damage in BINARY.items() if name != "a table"),
    ("item texts", "the interests copied over it", another("store")),
    ("store", "the item texts copied over it", another("item texts")),
    ("inter", "the last row cut", lambda data, _: data[: data.rstrip(b"\n").rindex(b"\n") + 1]),
    ("inter", "two rows exchanged", lambda data, _: b"\n".join(
        [(rows := data.split(b"\n"))[0], rows[2], rows[1], *rows[3:]])),
    ("item", "the last row cut", lambda data, _: data[: data.rstrip(b"\n").rindex(b"\n") + 1]),
    ("item", "one letter of a title", replaced(b"Shampoo", b"Shampou")),
    ("card", "another checksum", lambda data, _: data.replace(b'"sha256": "', b'"sha256": "0', 1)),
    ("card", "a list", lambda data, _: b"[]"),
    ("card", "deep JSON", lambda data, _: b"[" * 100_000),
    ("card", "files that are none", replaced(b'"files": [', b'"files": [3, ')),
    ("card", "not UTF-8", lambda data, _: b"\xff\xfe" + data),
]  # fmt: skip


def test_targeted_damages_are_refused(whole):
    assert len(TARGETED) >= 50
    for kind, name, damage in TARGETED:
        result, _ = outcome(whole, kind, damage(whole[1][kind].read_bytes(), whole[1]))
        assert result == "refused", (kind, name)


def test_a_changed_file_is_taken_once_it_is_accepted(whole, tmp_path):
    config, files = whole
    copy = shutil.copytree(files["inter"].parent, tmp_path / "dataset" / "shop")
    item = copy / "shop.item"
    item.write_text(item.read_text().replace("Shampoo", "Conditioner"))
    config = make_config(data_path=str(tmp_path / "dataset"))
    with pytest.raises(RecBoleSAMError, match="--accept"):
        check.folder_of(config)
    accept(copy)
    check.folder_of(config)
    (copy / "card.json").unlink()  # without a card nothing is held to it
    item.write_text(item.read_text().replace("Conditioner", "Soap"))
    check.folder_of(config)
    assert Path(files["item"]).read_text().count("Shampoo")
