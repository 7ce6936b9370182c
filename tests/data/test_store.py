import builtins
import io
import json
import multiprocessing
import os
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save_file

from recbole_sam.data.histories import history_hash
from recbole_sam.data.store import InterestStore, write_store
from recbole_sam.errors import StoreError, StoreMissingError

NAMES = ("complete", "failed")


def content(seed=0, n_users=3, width=4, **changes):
    """A valid store's content: three users with 2, 0 and 3 phrases out of four."""
    random = np.random.default_rng(seed)
    parts = {
        "users": [f"u{i}" for i in range(n_users - 1)] + ["Zoë 用户"],
        "offsets": [0, 2, 2, 5] if n_users == 3 else np.minimum(np.arange(n_users + 1), 5),
        "phrase_index": [0, 2, 1, 2, 3],
        "phrases": ["red lipstick", 'crème, "fine"', "剃须刀", "tab\tand newline\n"],
        "embeddings": random.standard_normal((4, width)).astype("float32"),
        "history_hashes": [list(history_hash([f"i{u}", "x"])) for u in range(n_users)],
        "statuses": [u % 2 for u in range(n_users)],
        "status_names": NAMES,
        "fingerprint": {"generator": {"name": "extractive"}, "seed": seed, "dataset": "ßet"},
        "dtype": "float32",
    }
    return parts | changes


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "folder" / "interests.safetensors"
    write_store(path, **content())
    return path


def test_round_trip(path):
    wrote, store = content(), InterestStore.open(path)
    assert (store.n_users, store.n_phrases, store.width) == (3, 4, 4)
    assert list(store.users) == wrote["users"]
    assert list(store.phrases) == wrote["phrases"]
    assert store.phrases[-1] == wrote["phrases"][-1]
    assert store.phrases[1:3] == wrote["phrases"][1:3]
    with pytest.raises(IndexError):
        store.phrases[4]
    assert [store.phrases_of(row) for row in range(3)] == [
        ["red lipstick", "剃须刀"],
        [],
        ['crème, "fine"', "剃须刀", "tab\tand newline\n"],
    ]
    np.testing.assert_array_equal(store.embeddings, wrote["embeddings"])
    np.testing.assert_array_equal(store.history_hashes, wrote["history_hashes"])
    np.testing.assert_array_equal(store.statuses, [0, 1, 0])
    assert store.status_names == NAMES
    assert store.fingerprint == wrote["fingerprint"]


def test_rows_joins_by_token(path):
    tokens = np.array(["Zoë 用户", "nobody", "u0", "u", "\ud800", "u1"])
    rows = InterestStore.open(path).rows(tokens)
    assert rows.dtype == np.int64
    np.testing.assert_array_equal(rows, [2, -1, 0, -1, -1, 1])


def test_any_safetensors_reader_opens_it(path):
    with safe_open(path, framework="np") as file:
        np.testing.assert_array_equal(file.get_tensor("embeddings"), content()["embeddings"])
        assert json.loads(file.metadata()["fingerprint"]) == content()["fingerprint"]


def test_embeddings_stay_in_the_file(path):
    store = InterestStore.open(path)
    base = store.embeddings
    while isinstance(base.base, np.ndarray):
        base = base.base
    assert isinstance(base, np.memmap)
    tensor = store.embedding_tensor()
    assert tensor.data_ptr() == store.embeddings.ctypes.data
    torch.testing.assert_close(tensor.clone(), torch.tensor(content()["embeddings"]))
    with pytest.raises(ValueError, match="read-only"):
        store.embeddings[0] = 0


def test_half_precision_halves_the_embeddings(path):
    half = path.with_name("half.safetensors")
    write_store(half, **content(dtype="float16"))
    store = InterestStore.open(half)
    assert store.embeddings.dtype == np.float16
    np.testing.assert_allclose(store.embeddings, content()["embeddings"], rtol=1e-3)


def test_blocks_give_the_same_bytes_as_one_array(path):
    first = path.read_bytes()
    whole = content()["embeddings"]
    write_store(path, **content(embeddings=iter([whole[:1], whole[1:1], whole[1:]])))
    assert path.read_bytes() == first


def test_equal_content_gives_equal_bytes_in_another_process(path):
    other = path.with_name("other.safetensors")
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}; from test_store import *;"
        f"write_store({str(other)!r}, **content())"
    )
    environment = os.environ | {"PYTHONHASHSEED": "7"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    assert other.read_bytes() == path.read_bytes()


def test_empty_store(tmp_path):
    path = tmp_path / "empty.safetensors"
    nothing = {"users": [], "offsets": [0], "phrase_index": [], "phrases": []}
    nothing |= {"history_hashes": [], "statuses": [], "embeddings": np.zeros((0, 4), "float32")}
    write_store(path, **content(**nothing))
    store = InterestStore.open(path)
    assert (store.n_users, store.n_phrases, store.width) == (0, 0, 4)
    np.testing.assert_array_equal(store.rows(["u0"]), [-1])


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"users": ["a", "b", "a"]}, "user token occurs twice"),
        ({"phrases": ["a", "b", "a", "c"]}, "phrase occurs twice"),
        ({"phrases": ["a", "b", "\ud800", "c"]}, "not valid Unicode"),
        ({"offsets": [0, 2, 2]}, "'offsets' where 4 are expected"),
        ({"offsets": [0, 3, 2, 5]}, "'offsets' that do not fit"),
        ({"offsets": [0, 2, 2, 4]}, "'offsets' that do not fit"),
        ({"phrase_index": [0, 2, 1, 2, 4]}, "outside its 4"),
        ({"phrase_index": [0, 2, 1, 2, -1]}, "outside its 4"),
        ({"statuses": [0, 1, 2]}, "no name"),
        ({"history_hashes": [[0] * 16] * 2}, "'history_hashes' where 3 are expected"),
        ({"embeddings": np.zeros((3, 4))}, "4 phrases but 3 embeddings"),
        ({"embeddings": iter([np.zeros((2, 4)), np.zeros((2, 5))])}, r"\[2, 5\]"),
        ({"embeddings": np.full((4, 4), np.nan)}, "phrase 0 is not finite"),
        ({"embeddings": np.full((4, 4), 1e6), "dtype": "float16"}, "not finite in float16"),
        ({"dtype": "int8"}, "float16 or float32"),
    ],
)
def test_unfit_content_is_refused_and_the_old_store_stays(path, changes, sentence):
    before = path.read_bytes()
    with pytest.raises(StoreError, match=sentence):
        write_store(path, **content(**changes))
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_missing(tmp_path):
    with pytest.raises(StoreMissingError, match="There is no interest store at .*none.safetensors"):
        InterestStore.open(tmp_path / "none.safetensors")


def test_a_folder_is_not_a_store(tmp_path):
    with pytest.raises(StoreError, match="Cannot read"):
        InterestStore.open(tmp_path)


def test_cannot_write_where_a_file_is_the_folder(path):
    with pytest.raises(StoreError, match="Cannot write the interest store"):
        write_store(path / "below.safetensors", **content())


def test_truncated_at_any_byte(path):
    whole = path.read_bytes()
    for size in range(0, len(whole), 7):
        path.write_bytes(whole[:size])
        with pytest.raises(StoreError, match="is truncated"):
            InterestStore.open(path)
    path.write_bytes(whole + b"more")
    with pytest.raises(StoreError, match="bytes after its end"):
        InterestStore.open(path)


def test_foreign_safetensors_file(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({"weight": np.zeros(3)}, path)
    with pytest.raises(StoreError, match="not an interest store"):
        InterestStore.open(path)


def test_no_safetensors_file_at_all(tmp_path):
    path = tmp_path / "text.safetensors"
    path.write_text("user,interests\n1,lipstick || cream\n")
    with pytest.raises(StoreError, match="not a safetensors file.*interests import") as caught:
        InterestStore.open(path)
    assert "elete" not in str(caught.value)
    with pytest.raises(StoreError, match="not overwritten"):
        write_store(path, **content())
    assert path.read_text().startswith("user,interests")


def rewrite_header(path, change):
    """Applies ``change`` to the parsed header of the store and writes it back, as of an earlier version."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"].pop("checksums")
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])


@pytest.mark.parametrize(
    "change, sentence",
    [
        (lambda h: h["__metadata__"].update(version="2"), "format version 2.*Upgrade"),
        (lambda h: h["__metadata__"].update(version="one"), "header that cannot be read"),
        (lambda h: h["__metadata__"].update(fingerprint="{"), "header that cannot be read"),
        (lambda h: h["__metadata__"].update(fingerprint="[]"), "header that cannot be read"),
        (lambda h: h["__metadata__"].pop("status_names"), "header that cannot be read"),
        (lambda h: h["__metadata__"].update(status_names='["complete"]'), "status code.*no name"),
        (lambda h: h.update(__metadata__=[]), "header that cannot be read"),
        (lambda h: h.pop("statuses"), "lacks its part 'statuses'"),
        (lambda h: h["statuses"].update(dtype="F64"), "'statuses' of a wrong type or size"),
        (lambda h: h["statuses"].update(shape=[3, 1]), "'statuses' of a wrong type or size"),
        (lambda h: h["statuses"].update(shape=[-3]), "'statuses' of a wrong type or size"),
        (lambda h: h["statuses"].update(shape=["3"]), "'statuses' of a wrong type or size"),
        (lambda h: h["statuses"].pop("shape"), "header that cannot be read"),
        (lambda h: h.update(statuses=3), "header that cannot be read"),
        (lambda h: h["embeddings"].update(shape=[2, 8]), "'phrase_offsets' where 3 are expected"),
        (lambda h: h["phrase_offsets"].update(h["offsets"] | {}), "where 5 are expected"),
    ],
)
def test_corrupt_header(path, change, sentence):
    rewrite_header(path, change)
    with pytest.raises(StoreError, match=sentence):
        InterestStore.open(path)


def test_numbers_out_of_range(path):
    store = InterestStore.open(path)
    start = store.phrase_index.ctypes.data - store.offsets.ctypes.data
    data = bytearray(path.read_bytes())
    first = 8 + int.from_bytes(data[:8], "little")
    data[first + start] = 200
    path.write_bytes(data)
    with pytest.raises(StoreError, match="refers to phrases outside its 4"):
        InterestStore.open(path)


def test_text_that_is_not_utf8_is_named_when_it_is_read(path):
    path.write_bytes(path.read_bytes().replace("剃".encode(), b"\xff\xff\xff"))
    rewrite_header(path, lambda header: None)
    store = InterestStore.open(path)
    assert store.phrases[0] == "red lipstick"
    with pytest.raises(StoreError, match="not UTF-8"):
        store.phrases_of(0)


def flipped(path, position):
    """Turns over one bit of a file."""
    data = bytearray(path.read_bytes())
    data[position] ^= 4
    path.write_bytes(data)


def test_a_flipped_bit_in_any_part_is_refused_at_the_latest_when_the_part_is_used(path):
    whole = path.read_bytes()
    header = json.loads(whole[8 : 8 + int.from_bytes(whole[:8], "little")])
    start = len(whole) - max(entry["data_offsets"][1] for name, entry in header.items() if name[0] != "_")
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        path.write_bytes(whole)
        flipped(path, start + entry["data_offsets"][1] - 1)
        if name in ("embeddings", "phrase_text"):
            store = InterestStore.open(path)
            for _ in range(2):
                with pytest.raises(StoreError, match=f"is damaged: its part '{name}'.*Move it away"):
                    store.embedding_tensor() if name == "embeddings" else store.phrases_of(0)
        else:
            with pytest.raises(StoreError, match=f"{name}|refers to phrases|a status code"):
                InterestStore.open(path)


def test_a_changed_header_is_refused(path):
    path.write_bytes(path.read_bytes().replace(b"extractive", b"extractivf"))
    with pytest.raises(StoreError, match="its header is not the one"):
        InterestStore.open(path)


def test_a_store_of_an_earlier_version_opens_with_one_line_and_gets_checksums_when_written(path, caplog):
    new = path.read_bytes()
    rewrite_header(path, lambda header: header["__metadata__"].pop("kind"))
    for _ in range(2):
        np.testing.assert_array_equal(InterestStore.open(path).embeddings, content()["embeddings"])
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "without checksums" in caplog.text
    write_store(path, **content())
    assert path.read_bytes() == new


def test_item_texts_are_no_interests(path):
    write_store(path, **content(kind="item texts"))
    with pytest.raises(StoreError, match="holds item texts, where interests are needed"):
        InterestStore.open(path)
    rewrite_header(path, lambda header: header["__metadata__"].pop("kind"))
    InterestStore.open(path)  # content() says who generated it
    write_store(path, **content(kind="item texts", fingerprint={"encoder": {}}))
    rewrite_header(path, lambda header: header["__metadata__"].pop("kind"))
    with pytest.raises(StoreError, match="holds item texts"):
        InterestStore.open(path)


def test_a_store_is_private(path):
    assert path.stat().st_mode & 0o777 == 0o600


def test_pipes_and_deep_json_are_one_sentence(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StoreError, match="it is a pipe"):
        InterestStore.open(tmp_path / "pipe")
    with pytest.raises(StoreError, match="is a pipe.*not overwritten"):
        write_store(tmp_path / "pipe", **content())
    for text in (b"{" + b'"a":[' * 60_000, b'{"__metadata__":[]}', b'{"__metadata__":{"format":3}}'):
        (tmp_path / "deep").write_bytes(len(text).to_bytes(8, "little") + text)
        with pytest.raises(StoreError, match="deep"):
            InterestStore.open(tmp_path / "deep")


@pytest.mark.parametrize("call", ["write", "flush", "fsync", "replace", "unlink"])
def test_a_full_disk_is_one_sentence_and_the_old_store_stays(path, monkeypatch, call):
    before = path.read_bytes()

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    class Full(io.BufferedWriter):
        """Of a disk that is full from the first write or when the buffer is flushed."""

        write = full if call == "write" else io.BufferedWriter.write
        flush = full if call == "flush" else io.BufferedWriter.flush
        close = full if call in ("write", "flush") else io.BufferedWriter.close

    if call in ("fsync", "replace"):
        monkeypatch.setattr(os, call, full)
    elif call == "unlink":
        monkeypatch.setattr(os, "replace", full)
        monkeypatch.setattr(type(path), "unlink", full)
    else:
        real = builtins.open

        def opened(name, mode="r", *args, **kwargs):
            file = real(name, mode, *args, **kwargs)
            return Full(file.detach()) if mode == "xb" else file

        monkeypatch.setattr(builtins, "open", opened)
    with pytest.raises(StoreError, match="Cannot write the interest store .*No space left"):
        write_store(path, **content(seed=1))
    assert path.read_bytes() == before


def test_a_mapped_store_survives_its_replacement(path):
    store = InterestStore.open(path)
    write_store(path, **content(seed=1))
    np.testing.assert_array_equal(store.embeddings, content()["embeddings"])
    np.testing.assert_array_equal(InterestStore.open(path).embeddings, content(seed=1)["embeddings"])


def write_slowly(path, ready):
    """Writes three of four rows of embeddings, says so, and waits to be killed."""

    def blocks():
        whole = content(seed=1)["embeddings"]
        yield whole[:3]
        ready.set()
        time.sleep(60)
        yield whole[3:]

    write_store(path, **content(seed=1, embeddings=blocks()))


def write_for_ever(path, ready):
    """Writes two big stores in turn until it is killed."""
    for turn in range(1_000_000):
        write_store(path, **content(seed=turn % 2, width=20_000))
        ready.set()


def killed(target, path, after=0.0):
    """Runs ``target`` in a process of its own and kills it (SIGKILL) ``after`` seconds of work."""
    context = multiprocessing.get_context("fork")  # a fresh interpreter would import torch
    ready = context.Event()
    process = context.Process(target=target, args=(path, ready))
    process.start()
    assert ready.wait(60)
    time.sleep(after)
    process.kill()
    process.join()
    assert process.exitcode == -9


def test_kill_while_writing_leaves_the_old_store(path):
    before = path.read_bytes()
    killed(write_slowly, path)
    assert path.read_bytes() == before
    left = [name for name in os.listdir(path.parent) if name != path.name]
    assert len(left) == 1
    # The leftover of a dead process goes with the next write, once it is surely dead.
    os.utime(path.parent / left[0], (0, 0))
    write_store(path, **content(seed=1))
    assert os.listdir(path.parent) == [path.name]


def test_kill_at_any_moment_leaves_a_whole_store(path):
    whole = {}
    for seed in (0, 1):
        write_store(path, **content(seed=seed, width=20_000))
        whole[path.read_bytes()] = seed
    for after in (0.0, 0.003, 0.007, 0.011, 0.019, 0.031):
        killed(write_for_ever, path, after)
        assert path.read_bytes() in whole
        InterestStore.open(path)
