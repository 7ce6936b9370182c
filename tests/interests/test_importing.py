"""Bringing interests in and taking them out."""

import csv
import json
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch

from recbole_sam.data.histories import history_hash
from recbole_sam.data.store import InterestStore
from recbole_sam.encoders.encode import make_encoder
from recbole_sam.errors import DataError
from recbole_sam.interests.exporting import export_interests
from recbole_sam.interests.importing import import_interests, read_interests
from recbole_sam.interests.tensor_file import read_tensors

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
    torch.save({int(u) if u.isdigit() else u: rows for u, rows in tensors.items()}, tmp_path / "x.pt")
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


def sparse():
    return torch.sparse_coo_tensor([[0], [1]], [1.0], (2, 3))


ODD = {
    "gradient": (lambda: torch.zeros(2, 3, requires_grad=True), "with gradients"),
    "parameter": (lambda: torch.nn.Parameter(torch.zeros(2, 3)), "with gradients"),
    "sparse": (sparse, "sparse or nested"),
    "csr": (lambda: torch.zeros(2, 3).to_sparse_csr(), "sparse or nested"),
    "nested": (lambda: torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)]), "sparse or nested"),
    "float8": (lambda: torch.zeros(2, 3).to(torch.float8_e4m3fn), "float8_e4m3fn"),
    "quantized": (lambda: torch.quantize_per_tensor(torch.zeros(2, 3), 0.1, 0, torch.qint8), "qint8"),
    "complex": (lambda: torch.zeros(2, 3, dtype=torch.complex64), "complex64"),
    "bool": (lambda: torch.zeros(2, 3, dtype=torch.bool), "bool"),
    "meta": (lambda: torch.zeros(2, 3, device="meta"), "without numbers"),
    "width 0": (lambda: torch.zeros(2, 0), r"shape \[2, 0\]"),
    "k 0": (lambda: torch.zeros(0, 3), r"shape \[0, 3\]"),
    "a number": (lambda: 3.5, "is no tensor"),
    "one number": (lambda: torch.tensor(3.5), r"shape \[\]"),
    "three sides": (lambda: torch.zeros(1, 2, 3), r"shape \[1, 2, 3\]"),
    "a thousand million rows": (lambda: torch.zeros(1, 3).expand(10**9, 3), "they repeat few numbers"),
    "infinite in float32": (lambda: torch.full((2, 3), 1e300, dtype=torch.float64), "not finite"),
}


@pytest.mark.filterwarnings("ignore")  # torch calls some of these kinds unfinished
@pytest.mark.parametrize("kind", ODD)
def test_odd_tensors_are_one_sentence(tmp_path, kind):
    make, sentence = ODD[kind]
    torch.save({"u1": make()}, tmp_path / "x.pt")
    with pytest.raises(DataError, match=sentence) as caught:
        read_interests([tmp_path / "x.pt"])
    assert "\n" not in str(caught.value) and "running code" not in str(caught.value)


def test_users_that_are_no_tokens(tmp_path):
    for users, sentence in (
        ([None], "not NoneType"), ([True], "not bool"), ([(1, 2)], "not tuple"), ([1.5], "not float"),
        ([7, "7"], "user 7 occurs twice"),
    ):  # fmt: skip
        torch.save({user: torch.zeros(2, 3) for user in users}, tmp_path / "x.pt")
        with pytest.raises(DataError, match=sentence):
            read_tensors(tmp_path / "x.pt")
    torch.save({7.0: torch.zeros(2, 3), 8: torch.zeros(1, 3)}, tmp_path / "x.pt")
    assert list(read_tensors(tmp_path / "x.pt")) == ["7", "8"]


def test_one_tensor_of_many_users_is_read_but_not_without_end(tmp_path):
    shared = torch.randn(2, 300)
    torch.save({"a": shared, "b": shared, "c": shared[:1]}, tmp_path / "x.pt")
    assert np.array_equal(read_tensors(tmp_path / "x.pt")["b"], shared.numpy())
    torch.save({f"u{number}": shared for number in range(20_000)}, tmp_path / "x.pt")
    with pytest.raises(DataError, match="they repeat few numbers"):
        read_tensors(tmp_path / "x.pt")


def test_garbage_is_not_said_to_run_code(tmp_path):
    path, random = tmp_path / "x.pt", np.random.default_rng(0)
    torch.save({"u1": torch.zeros(2, 3)}, path)
    whole = path.read_bytes()
    pieces = [b"", b"garbage", b".", b"PK\x03\x04 broken", whole[:100], whole[:-30], pickle.dumps([1.0]),
              *(random.bytes(200) for _ in range(50))]  # fmt: skip
    for piece in pieces:
        path.write_bytes(piece)
        with pytest.raises(DataError, match=r"x\.pt") as caught:
            read_tensors(path)
        assert "running code" not in str(caught.value) and "\n" not in str(caught.value)
    path.write_bytes(pickle.dumps({"u1": Evil()}))
    with pytest.raises(DataError, match="running code"):
        read_tensors(path)


def test_a_compressed_archive_is_refused_before_it_is_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", pickle.dumps({}))
        archive.writestr("x/data/0", bytes(1 << 24))
    with pytest.raises(DataError, match="compressed archive"):
        read_tensors(tmp_path / "x.pt")


def test_a_stray_quote_swallows_no_rows(tmp_path):
    (tmp_path / "x.csv").write_text('user,phrase\nu1,a\nu2,"b\nu3,c\nu4,d" and e\nu5,f\n')
    with pytest.raises(DataError, match="in a row that begins in line 3.*A cell that begins with"):
        read_interests([tmp_path / "x.csv"])
    (tmp_path / "x.tsv").write_text('user\tphrase\nu1\ta\nu2\t"b\nu3\tc"\n')
    with pytest.raises(DataError, match=r"x\.tsv"):
        read_interests([tmp_path / "x.tsv"])


def test_deep_json_and_halves_of_characters_are_one_sentence(tmp_path):
    for text in ("[" * 100_000, '{"user":' * 100_000, '{"user": "u1", "phrase": "\\ud800"}'):
        (tmp_path / "x.jsonl").write_text(text)
        with pytest.raises(DataError, match="x.jsonl, line 1: must be like"):
            read_interests([tmp_path / "x.jsonl"])


def test_what_is_no_file_is_one_sentence(tmp_path):
    for suffix in (".pt", ".csv", ".jsonl"):
        os.mkfifo(tmp_path / f"pipe{suffix}")
        with pytest.raises(DataError, match="is a pipe"):
            read_interests([tmp_path / f"pipe{suffix}"])
        (tmp_path / f"folder{suffix}").mkdir()
        with pytest.raises(DataError, match="is a folder"):
            read_interests([tmp_path / f"folder{suffix}"])


def test_users_that_a_spreadsheet_wrote_as_floats(tmp_path):
    (tmp_path / "x.csv").write_text("user,phrase\n7.0,a\n8.0,b\n")
    store, summary = store_of([tmp_path / "x.csv"], tmp_path)
    assert (summary.matched, summary.unknown) == (1, 1) and said(store)["7"] == ("a",)
    (tmp_path / "x.csv").write_text("user,phrase\n7.0,a\nu8,b\n")
    with pytest.raises(DataError, match="like '7.0' there"):
        store_of([tmp_path / "x.csv"], tmp_path)


FORMULAS = ("=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "'=quoted", "''+twice", "plain", "a = b",
            "\uff1d1")  # fmt: skip


@pytest.mark.parametrize(("name", "form"), [("o.csv", "phrases"), ("o.tsv", "phrases"), ("o.csv", "joined")])
def test_formulas_are_text_to_a_spreadsheet_and_come_back(tmp_path, monkeypatch, name, form):
    monkeypatch.setitem(globals(), "USERS", ["u0", "7", "-u1", "=u2"])
    (tmp_path / "x.jsonl").write_text("\n".join(
        json.dumps({"user": user, "interests": [*FORMULAS[start:], *FORMULAS[:start]]})
        for start, user in enumerate(["-u1", "=u2", "7"])
    ))  # fmt: skip
    store, _ = store_of([tmp_path / "x.jsonl"], tmp_path)
    export_interests(store, tmp_path / name, form)
    with open(tmp_path / name, newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file, delimiter="\t" if name == "o.tsv" else ","))
    assert not [cell for row in rows for cell in row if cell[0] in "=+-@\t\r\uff1d"]
    (tmp_path / "again").mkdir()
    again, _ = store_of([tmp_path / name], tmp_path / "again")
    assert said(again) == said(store) and said(store)["7"][0] == "-2+3"


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_full_disk_while_exporting_is_one_sentence(tmp_path, monkeypatch, suffix):
    write_reference(tmp_path)
    store, _ = store_of([tmp_path / "x.csv"], tmp_path)
    (tmp_path / f"o{suffix}").write_text("old")

    def full(*args):
        raise OSError(28, "No space left on device")

    for call in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, call, full)
            with pytest.raises(DataError, match="Cannot write .*No space left"):
                export_interests(store, tmp_path / f"o{suffix}")
    assert (tmp_path / f"o{suffix}").read_text() == "old" and not list(tmp_path.glob("*.tmp"))


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
