"""Bringing interests in and taking them out."""

import json
import os
import pickle

import numpy as np
import pytest
import torch

from recbole_sam.data.histories import history_hash
from recbole_sam.data.store import InterestStore
from recbole_sam.errors import DataError
from recbole_sam.interests.encode import make_encoder
from recbole_sam.interests.exporting import export_interests
from recbole_sam.interests.importing import import_interests, read_interests, read_tensors

PHRASES = {"u1": ("hair care", "nails, red"), "u2": ("hair care",), "7": ("a", "b", "c")}
USERS = ["u0", "7", "u1", "u2"]
HISTORIES = [["i1"], ["i1", "i2"], ["i3"], ["i2", "i1"]]


def encoder():
    return make_encoder("lsa", dim=4, seed=1).fit(["hair care oil", "red nails", "soap a b c"])


def store_of(paths, tmp_path, **options):
    imported = read_interests(paths)
    path = tmp_path / "store.safetensors"
    summary = import_interests(imported, USERS, HISTORIES, encoder(), path, **options)
    return InterestStore.open(path), summary


def said(store):
    return {user: tuple(store.phrases_of(row)) for row, user in enumerate(store.users)}


def write_reference(tmp_path, phrases=PHRASES, width=768):
    """What the reference implementation leaves behind: integer users are possible."""
    generator = torch.Generator().manual_seed(0)
    vector = {p: torch.randn(width, generator=generator) for own in phrases.values() for p in own}
    tensors = {u: torch.stack([vector[p] for p in own]) for u, own in phrases.items()}
    torch.save(
        {int(u) if u.isdigit() else u: rows for u, rows in tensors.items()}, tmp_path / "x.pt"
    )
    lines = ["userID,interests"] + [f'{u},"{" || ".join(own)}"' for u, own in phrases.items()]
    (tmp_path / "x.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tensors


def test_the_reference_files_together_keep_text_and_vectors(tmp_path):
    tensors = write_reference(tmp_path)
    store, summary = store_of([tmp_path / "x.pt", tmp_path / "x.csv"], tmp_path, dtype="float32")
    assert said(store) == {"u0": (), **PHRASES}
    assert (summary.users, summary.matched, summary.unknown) == (4, 3, 0)
    assert (summary.phrases, summary.width) == (5, 768)
    for row, user in enumerate(store.users):
        rows = store.embeddings[store.phrase_index[store.offsets[row] : store.offsets[row + 1]]]
        if user != "u0":
            assert np.array_equal(rows, tensors[user].numpy())
        assert store.history_hashes[row].tobytes() == history_hash(HISTORIES[row])
    assert store.status_names[store.statuses[0]] == "failed"
    assert store.fingerprint["generator"]["name"] == "imported"


def test_the_pt_alone_keeps_the_vectors(tmp_path):
    tensors = write_reference(tmp_path)
    store, _ = store_of([tmp_path / "x.pt"], tmp_path, dtype="float32")
    assert np.array_equal(store.embeddings[:3], tensors["7"].numpy())
    assert "no text" in store.phrases_of(1)[0]


def test_the_csv_alone_is_encoded_here(tmp_path):
    write_reference(tmp_path)
    store, summary = store_of([tmp_path / "x.csv"], tmp_path, dtype="float32")
    assert said(store) == {"u0": (), **PHRASES} and summary.width == 3
    expected = encoder().encode(list(store.phrases))
    assert np.allclose(store.embeddings, expected)
    assert store.fingerprint["encoder"]["name"] == "lsa"


def test_repeated_phrases_of_a_user_are_dropped_with_their_vectors(tmp_path):
    write_reference(tmp_path, {"u1": ("x", "y", "x"), "u2": ("y",)})
    store, _ = store_of([tmp_path / "x.pt", tmp_path / "x.csv"], tmp_path)
    assert said(store)["u1"] == ("x", "y")


class Evil:
    def __reduce__(self):
        return os.mkdir, ("evil-was-here",)


def test_code_in_a_pt_is_never_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "evil.pt"
    torch.save({"u1": Evil()}, path)
    with pytest.raises(DataError, match="running code"):
        read_tensors(path)
    path.write_bytes(pickle.dumps({"u1": Evil()}))
    with pytest.raises(DataError):
        read_tensors(path)
    assert not (tmp_path / "evil-was-here").exists()
    pickle.loads(path.read_bytes())  # it would have worked
    assert (tmp_path / "evil-was-here").exists()


@pytest.mark.parametrize(
    "content",
    [
        [torch.zeros(2, 3)],
        {},
        {"u1": [1.0, 2.0]},
        {"u1": torch.zeros(3)},
        {"u1": torch.zeros(2, 3, dtype=torch.int64)},
        {"u1": torch.zeros(2, 3), "u2": torch.zeros(2, 4)},
        {"u1": torch.full((2, 3), torch.nan)},
    ],
)
def test_other_contents_of_a_pt_are_one_sentence(tmp_path, content):
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(DataError, match="x.pt"):
        read_tensors(tmp_path / "x.pt")


def test_a_broken_pt_is_one_sentence(tmp_path):
    for data in (b"", b"garbage", b"PK\x03\x04 broken zip"):
        (tmp_path / "x.pt").write_bytes(data)
        with pytest.raises(DataError, match="x.pt"):
            read_tensors(tmp_path / "x.pt")


def test_csv_and_pt_must_fit(tmp_path):
    write_reference(tmp_path)
    (tmp_path / "x.csv").write_text("userID,interests\nu1,a || b\nu2,c\n")
    with pytest.raises(DataError, match="only one"):
        read_interests([tmp_path / "x.pt", tmp_path / "x.csv"])
    (tmp_path / "x.csv").write_text("userID,interests\nu1,a\nu2,c\n7,x || y || z\n")
    with pytest.raises(DataError, match="1 interests"):
        read_interests([tmp_path / "x.pt", tmp_path / "x.csv"])


TABLES = {
    "rows.csv": 'user,phrase\nu1,hair care\nu1,"nails, red"\nu2,hair care\n7,a\n7,b\n7,c\n7,a\n',
    "rows.tsv": "phrase\tuser_id\nhair care\tu1\nnails, red\tu1\nhair care\tu2\na\t7\nb\t7\nc\t7\n",
    "ranked.csv": 'rank,user,phrase\n2,u1,"nails, red"\n3,7,c\n1,7,a\n 1,u1,hair care\n1,u2,hair care\n2,7,b',
    "bom.csv": "\ufeffUserID,Interests\r\nu1,hair care||nails; red\r\n",
    "lists.jsonl": "\n".join(
        json.dumps({"user": u, "interests": list(p), "more": 1}) for u, p in PHRASES.items()
    ),
    "rows.jsonl": "\n".join(
        json.dumps({"user_id": int(u) if u.isdigit() else u, "phrase": p})
        for u, own in PHRASES.items()
        for p in own
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_tables_of_user_and_phrase(tmp_path, name):
    (tmp_path / name).write_text(TABLES[name], encoding="utf-8", newline="")
    found = read_interests([tmp_path / name]).phrases
    expected = {"u1": ("hair care", "nails; red")} if name == "bom.csv" else PHRASES
    assert found == expected


BAD = {
    "a.csv": "who,what\nu1,x\n",
    "b.csv": "",
    "c.csv": "user,phrase\nu1\n",
    "d.jsonl": '{"user": "u1"}\n',
    "e.jsonl": "not json\n",
    "f.jsonl": '{"user": "u1", "interests": [1]}\n',
    "g.jsonl": '["u1", "x"]\n',
    "h.txt": "u1 x",
    "i.csv": "user,phrase\nu1,\n",
    "j.csv": "user,rank,phrase\nu1,first,x\n",
}


@pytest.mark.parametrize("name", BAD)
def test_bad_tables_are_one_sentence(tmp_path, name):
    (tmp_path / name).write_text(BAD[name])
    with pytest.raises(DataError) as caught:
        read_interests([tmp_path / name])
    assert name in str(caught.value) and "\n" not in str(caught.value)


def test_missing_or_too_many_files_are_one_sentence(tmp_path):
    with pytest.raises(DataError, match="absent.csv"):
        read_interests([tmp_path / "absent.csv"])
    with pytest.raises(DataError):
        read_interests([tmp_path / "a.csv", tmp_path / "b.csv"])
    (tmp_path / "bytes.csv").write_bytes(b"user,phrase\nu1,\xff\xfe\n")
    with pytest.raises(DataError, match=r"bytes\.csv"):
        read_interests([tmp_path / "bytes.csv"])


def test_users_that_are_not_in_the_dataset(tmp_path):
    (tmp_path / "x.csv").write_text("user,phrase\nu1,x\nstranger,y\n")
    _, summary = store_of([tmp_path / "x.csv"], tmp_path)
    assert (summary.matched, summary.unknown, summary.phrases) == (1, 1, 1)
    (tmp_path / "x.csv").write_text("user,phrase\nstranger,y\n")
    with pytest.raises(DataError, match="'stranger' there and like 'u0' here"):
        store_of([tmp_path / "x.csv"], tmp_path)


@pytest.mark.parametrize(
    ("name", "form"),
    [("o.csv", "phrases"), ("o.tsv", "phrases"), ("o.csv", "joined"), ("o.jsonl", "phrases")],
)
def test_export_and_import_again(tmp_path, name, form):
    write_reference(tmp_path)
    store, _ = store_of([tmp_path / "x.csv"], tmp_path)
    count = export_interests(store, tmp_path / "new" / name, form)
    assert count == (4 if name == "o.jsonl" else 3)
    (tmp_path / "again").mkdir()
    again, _ = store_of([tmp_path / "new" / name], tmp_path / "again")
    assert said(again) == said(store)
    assert os.listdir(tmp_path / "new") == [name]


def test_export_says_rank_and_status(tmp_path):
    write_reference(tmp_path)
    store, _ = store_of([tmp_path / "x.csv"], tmp_path)
    export_interests(store, tmp_path / "o.csv")
    lines = (tmp_path / "o.csv").read_text().splitlines()
    assert lines[0] == "user,rank,phrase,status" and 'u1,2,"nails, red",complete' in lines
    export_interests(store, tmp_path / "o.jsonl")
    first = json.loads((tmp_path / "o.jsonl").read_text().splitlines()[0])
    assert first == {"user": "u0", "status": "failed", "interests": []}


def test_export_refuses_other_endings_and_forms(tmp_path):
    write_reference(tmp_path)
    store, _ = store_of([tmp_path / "x.csv"], tmp_path)
    with pytest.raises(DataError, match=r"o\.xlsx"):
        export_interests(store, tmp_path / "o.xlsx")
    with pytest.raises(DataError, match="joined"):
        export_interests(store, tmp_path / "o.csv", "wide")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="Cannot write"):
        export_interests(store, tmp_path / "file" / "o.csv")
