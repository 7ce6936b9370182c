"""Interests on disk: one file holding "user -> its K interest phrases and their embeddings".

The file is a valid ``*.safetensors`` file; any safetensors reader opens it. Distinct phrases are
kept once and users are ragged. With U users, P distinct phrases, H the embedding width and N the
number of (user, phrase) pairs it holds

==================  ==============  ==============================================================
tensor              shape, dtype    meaning
==================  ==============  ==============================================================
``offsets``         [U + 1] i64     user u has ``phrase_index[offsets[u]:offsets[u + 1]]``
``user_offsets``    [U + 1] i64     the same for the user's token in ``user_text``
``phrase_offsets``  [P + 1] i64     the same for a phrase in ``phrase_text``
``phrase_index``    [N] i32/i64     rows of ``embeddings``, a user's strongest interest first
``embeddings``      [P, H] f16/f32  one row a distinct phrase
``history_hashes``  [U, 16] u8      ``data.histories.history_hash`` of exactly the items used
``statuses``        [U] u8          how the phrases came about: an index into the status names
``user_text``       [bytes] u8      UTF-8
``phrase_text``     [bytes] u8      UTF-8
==================  ==============  ==============================================================

The header's ``__metadata__`` is the readable part: format, version, status names, fingerprint.

The file is written and read here rather than by the safetensors package for three reasons: the
package needs all tensors in memory to write, orders the metadata at random (we promise equal bytes
for equal content), and copies when it reads into numpy. Nothing is ever pickled.
"""

import json
import math
import os
import secrets
import time
import warnings
from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from itertools import chain, pairwise
from pathlib import Path

import numpy as np

from recbole_sam.data.histories import HASH_BYTES
from recbole_sam.data.padded import padded
from recbole_sam.errors import StoreError, StoreMissingError

FORMAT = "recbole-sam-interests"
VERSION = 1
DTYPES = {"float16": np.dtype("<f2"), "float32": np.dtype("<f4")}

_CODES = {
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "F32": DTYPES["float32"],
    "F16": DTYPES["float16"],
    "U8": np.dtype("u1"),
}
# In file order, widest first, so that every tensor is aligned: dimensions and allowed dtypes.
_LAYOUT = {
    "offsets": (1, ("I64",)),
    "user_offsets": (1, ("I64",)),
    "phrase_offsets": (1, ("I64",)),
    "phrase_index": (1, ("I64", "I32")),
    "embeddings": (2, ("F32", "F16")),
    "history_hashes": (2, ("U8",)),
    "statuses": (1, ("U8",)),
    "user_text": (1, ("U8",)),
    "phrase_text": (1, ("U8",)),
}
_MAX_HEADER = 100_000_000  # the safetensors format's own limit, bytes
_LEFTOVER_SECONDS = 3600  # a temporary file untouched for so long belongs to a killed process
_REBUILD = "Delete it and build it again with `python -m recbole_sam interests --dataset=<name>`."


class TextTable(Sequence):
    """Read-only strings in one UTF-8 blob, each decoded only when it is asked for."""

    def __init__(self, blob, offsets, path):
        self._blob, self._offsets, self._path = blob, offsets, path

    def __len__(self):
        return len(self._offsets) - 1

    def __getitem__(self, index):
        row = range(len(self))[index]
        if isinstance(row, range):
            return [self[i] for i in row]
        return self._decode(self._blob[self._offsets[row] : self._offsets[row + 1]].tobytes())

    def __iter__(self):
        data = self._blob.tobytes()
        return (self._decode(data[start:stop]) for start, stop in pairwise(self._offsets.tolist()))

    def array(self):
        """All strings as UTF-8 in an array of bytes (``S``): joins on bytes need no decoding."""
        lengths = np.diff(self._offsets)
        width = max(int(lengths.max(initial=0)), 1)
        return padded(self._blob, self._offsets[:-1], lengths, width).view(f"S{width}").ravel()

    def _decode(self, data):
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise _corrupt(self._path, f"holds text that is not UTF-8 ({error.reason})") from error


class InterestStore:
    """A memory-mapped interest store. Opening reads no embedding and decodes no text.

    The arrays are read-only views of the file; copy what you want to change.

    Attributes:
        path (Path): the file.
        fingerprint (dict): what the interests were made of, as given to :func:`write_store`.
        status_names (tuple of str): the meaning of the codes in ``statuses``.
        offsets (numpy.ndarray): int64 [U + 1], see the module.
        phrase_index (numpy.ndarray): int32 or int64 [N].
        embeddings (numpy.ndarray): float16 or float32 [P, H].
        history_hashes (numpy.ndarray): uint8 [U, 16].
        statuses (numpy.ndarray): uint8 [U].
        users (TextTable): user tokens, one a row.
        phrases (TextTable): distinct phrases, one a row of ``embeddings``.
    """

    def __init__(self, path, fingerprint, status_names, tensors):
        self.path, self.fingerprint, self.status_names = path, fingerprint, status_names
        self.offsets = tensors["offsets"]
        self.phrase_index = tensors["phrase_index"]
        self.embeddings = tensors["embeddings"]
        self.history_hashes = tensors["history_hashes"]
        self.statuses = tensors["statuses"]
        self.users = TextTable(tensors["user_text"], tensors["user_offsets"], path)
        self.phrases = TextTable(tensors["phrase_text"], tensors["phrase_offsets"], path)

    @classmethod
    def open(cls, path):
        """Maps a store and checks that its parts fit together.

        Args:
            path (str or Path): the ``*.safetensors`` file.

        Raises:
            StoreMissingError: there is no such file.
            StoreError: it is truncated, corrupt, no interest store, or of a newer format version.
        """
        path = Path(path)
        metadata, tensors = _map(path)
        misfit = _misfit(tensors, metadata["status_names"])
        if misfit:
            raise _corrupt(path, misfit)
        return cls(path, metadata["fingerprint"], tuple(metadata["status_names"]), tensors)

    @property
    def n_users(self):
        """U, the number of users."""
        return len(self.users)

    @property
    def n_phrases(self):
        """P, the number of distinct phrases."""
        return len(self.embeddings)

    @property
    def width(self):
        """H, the embedding width."""
        return self.embeddings.shape[1]

    def rows(self, tokens):
        """The row of each user token, joined by text: about a second a million users.

        Args:
            tokens (sequence of str): user tokens in any order.

        Returns:
            numpy.ndarray: int64 [len(tokens)], -1 where the store does not know the user.
        """
        # Sorted arrays and no dict: a third of the memory.
        own, wanted = self.users.array(), _bytes(np.asarray(tokens, str))
        if not len(own):
            return np.full(len(wanted), -1)
        order = own.argsort()
        rows = order[np.searchsorted(own, wanted, sorter=order).clip(max=len(own) - 1)]
        return np.where(own[rows] == wanted, rows, -1)

    def phrases_of(self, row):
        """The phrases of the user in ``row``, strongest interest first, as a list of str."""
        start, stop = self.offsets[row], self.offsets[row + 1]
        return [self.phrases[i] for i in self.phrase_index[start:stop]]

    def embedding_tensor(self):
        """``embeddings`` as a torch tensor over the same mapped memory; never write to it."""
        import torch

        with warnings.catch_warnings():
            # torch warns of every read-only array; a writable private map would instead be charged
            # against the machine's memory limit, which a large store may exceed.
            warnings.filterwarnings("ignore", message=".*not writable.*")
            return torch.from_numpy(self.embeddings)


def _bytes(tokens):
    """Strings (numpy.ndarray of ``U``) as UTF-8 (of ``S``)."""
    try:
        return tokens.astype("S")
    except UnicodeEncodeError:  # more than ASCII
        return np.char.encode(tokens, "utf-8", "surrogatepass")


def write_store(
    path,
    *,
    users,
    offsets,
    phrase_index,
    phrases,
    embeddings,
    history_hashes,
    statuses,
    status_names,
    fingerprint,
    dtype="float16",
):
    """Writes a store; at every moment ``path`` is absent, the old file, or the whole new one.

    Equal content gives equal bytes. Embeddings may come in blocks, so that they never need to be
    in memory together.

    Args:
        path (str or Path): the file; missing folders are made.
        users (sequence of str): U distinct user tokens.
        offsets (array_like): int [U + 1], where each user's phrases begin in ``phrase_index``.
        phrase_index (array_like): int [N], rows of ``phrases``, strongest interest first.
        phrases (sequence of str): P distinct phrases.
        embeddings (numpy.ndarray or iterable of numpy.ndarray): [P, H], or blocks [n, H] in order.
        history_hashes (array_like): uint8 [U, 16].
        statuses (array_like): [U], indices into ``status_names``.
        status_names (sequence of str): what the codes mean.
        fingerprint (dict): anything JSON holds; the store does not look into it.
        dtype (str): ``float16`` or ``float32``, the embeddings' precision on disk.

    Raises:
        StoreError: the parts do not fit together, a number is not finite in ``dtype``, or the disk
            refuses.
    """
    path = Path(path)
    if dtype not in DTYPES:
        raise StoreError(f"Interests are stored as {' or '.join(DTYPES)}, not as {dtype!r}.")
    for what, texts in (("user token", users), ("phrase", phrases)):
        if len(set(texts)) != len(texts):
            raise StoreError(f"Cannot write {path}: a {what} occurs twice; each must be distinct.")
    user_text, user_offsets = _join(users, path)
    phrase_text, phrase_offsets = _join(phrases, path)
    blocks, width = _blocks(embeddings)
    wide_index = len(phrases) > np.iinfo(np.int32).max
    tensors = {
        "offsets": np.asarray(offsets, "<i8"),
        "user_offsets": user_offsets,
        "phrase_offsets": phrase_offsets,
        "phrase_index": np.asarray(phrase_index, "<i8" if wide_index else "<i4"),
        "embeddings": np.broadcast_to(np.zeros((), DTYPES[dtype]), (len(phrases), width)),
        "history_hashes": np.asarray(history_hashes, "u1").reshape(-1, HASH_BYTES),
        "statuses": np.asarray(statuses, "u1"),
        "user_text": user_text,
        "phrase_text": phrase_text,
    }
    misfit = _misfit(tensors, status_names)
    if misfit:
        raise StoreError(f"Cannot write {path}: what it was given {misfit}.")
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "status_names": list(status_names),
        "fingerprint": fingerprint,
    }
    with _replacing(path) as write:
        write(_header(metadata, tensors))
        for name in _LAYOUT:
            if name == "embeddings":
                for block in _converted(blocks, (len(phrases), width), DTYPES[dtype], path):
                    write(block.data)
            else:
                write(np.ascontiguousarray(tensors[name]).data)


def _join(texts, path):
    """Strings as one UTF-8 array uint8 and their offsets int64 [n + 1]."""
    try:
        encoded = [text.encode() for text in texts]
    except UnicodeEncodeError as error:
        raise StoreError(f"Cannot write {path}: {error.object!r} is not valid Unicode.") from error
    ends = np.cumsum([0, *map(len, encoded)], dtype="<i8")
    return np.frombuffer(b"".join(encoded), "u1"), ends


def _blocks(embeddings):
    """Embeddings as an iterator of blocks [n, H], and H."""
    if isinstance(embeddings, np.ndarray):
        return iter([embeddings]), embeddings.shape[1]
    blocks = iter(embeddings)
    first = next(blocks)
    return chain([first], blocks), first.shape[1]


def _converted(blocks: Iterable[np.ndarray], shape, dtype, path):
    """The blocks in ``dtype``, checked to be finite and to add up to ``shape``."""
    count = 0
    for block in blocks:
        with np.errstate(over="ignore"):
            block = np.ascontiguousarray(block, dtype)
        if block.ndim != 2 or block.shape[1] != shape[1]:
            raise StoreError(
                f"Cannot write {path}: a block of embeddings has shape {list(block.shape)}, "
                f"where [n, {shape[1]}] is expected."
            )
        if not np.isfinite(block).all():
            bad = count + int(np.flatnonzero(~np.isfinite(block).all(axis=1))[0])
            raise StoreError(
                f"Cannot write {path}: the embedding of phrase {bad} is not finite in "
                f"{dtype.name}; store in float32, or look at the text encoder."
            )
        count += len(block)
        yield block
    if count != shape[0]:
        raise StoreError(f"Cannot write {path}: {shape[0]} phrases but {count} embeddings.")


def _header(metadata, tensors):
    """The safetensors header: length, then JSON padded with spaces to a multiple of eight bytes."""
    codes = {dtype: code for code, dtype in _CODES.items()}
    # The format wants strings, and JSON of JSON is unreadable only for the nested values.
    entries = {
        "__metadata__": {
            key: value if isinstance(value, str) else json.dumps(value, sort_keys=True)
            for key, value in metadata.items()
        }
    }
    end = 0
    for name in _LAYOUT:
        tensor = tensors[name]
        start, end = end, end + tensor.nbytes
        entries[name] = {
            "dtype": codes[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


@contextmanager
def _replacing(path):
    """Yields a function that writes bytes to a new file, which replaces ``path`` if all goes well.

    A process killed midway leaves ``path`` as it was and a temporary file, which a later writer of
    the same store removes.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    with _disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        for leftover in path.parent.glob(f".{path.name}.*.tmp"):
            if time.time() - leftover.stat().st_mtime > _LEFTOVER_SECONDS:
                leftover.unlink(missing_ok=True)
        file = open(temporary, "xb")

    def write(data):
        with _disk(path):
            file.write(data)

    try:
        with file:
            yield write
            with _disk(path):
                file.flush()
                os.fsync(file.fileno())
        with _disk(path):
            os.replace(temporary, path)
            _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _disk(path):
    """Turns what the operating system refuses into one sentence."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"Cannot write the interest store {path}: {error.strerror}.") from error


def _sync_folder(folder):
    """Makes a rename durable; Windows has no such call and needs none."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _corrupt(path, what):
    return StoreError(f"The interest store {path} {what}. {_REBUILD}")


def _map(path):
    """The metadata, and the tensors as views of one read-only memory map."""
    if not path.exists():
        raise StoreMissingError(
            f"There is no interest store at {path}. "
            "Build it with `python -m recbole_sam interests --dataset=<name>`."
        )
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = file.read(length) if length <= _MAX_HEADER else b""
    except OSError as error:
        raise StoreError(f"Cannot read the interest store {path}: {error.strerror}.") from error
    if size < 8 or (length <= _MAX_HEADER and len(header) < length):
        raise _corrupt(path, f"is truncated: it ends inside its header, after {size:,} bytes")
    try:
        entries = json.loads(header)
        metadata = entries.pop("__metadata__", {})
        is_ours = metadata.get("format") == FORMAT
    except (ValueError, AttributeError) as error:
        raise _corrupt(path, "has a header that cannot be read") from error
    if not is_ours:
        raise StoreError(
            f"{path} is a safetensors file but not an interest store of recbole-sam. "
            "Give another path, or move it away."
        )
    metadata = _parse_metadata(path, metadata)
    spans = {name: _span(path, name, entries.get(name)) for name in _LAYOUT}
    end = 8 + length + max(stop for _, _, _, stop in spans.values())
    if size != end:
        state = "is truncated" if size < end else "has bytes after its end"
        raise _corrupt(path, f"{state}: it has {size:,} bytes and should have {end:,}")
    data = np.memmap(path, np.uint8, "r")[8 + length :].view(np.ndarray)
    return metadata, {
        name: data[start:stop].view(dtype).reshape(shape)
        for name, (dtype, shape, start, stop) in spans.items()
    }


def _parse_metadata(path, metadata):
    """The header's readable part with its JSON values parsed, of a version that we know."""
    try:
        version = int(metadata["version"])
        if version > VERSION:
            raise StoreError(
                f"The interest store {path} has format version {version}, and this recbole-sam "
                f"reads up to {VERSION}. Upgrade recbole-sam, or delete it and build it again."
            )
        fingerprint = json.loads(metadata["fingerprint"])
        status_names = json.loads(metadata["status_names"])
    except (KeyError, TypeError, ValueError) as error:
        raise _corrupt(path, "has a header that cannot be read") from error
    if not isinstance(fingerprint, dict) or not isinstance(status_names, list):
        raise _corrupt(path, "has a header that cannot be read")
    return {"fingerprint": fingerprint, "status_names": status_names}


def _span(path, name, entry):
    """dtype, shape, first and last byte of a tensor, from its entry in the header."""
    dimensions, allowed = _LAYOUT[name]
    if entry is None:
        raise _corrupt(path, f"lacks its part {name!r}")
    try:
        code, shape, (start, stop) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        numbers_ok = all(isinstance(n, int) and n >= 0 for n in (*shape, start, stop))
    except (KeyError, TypeError, ValueError) as error:
        raise _corrupt(path, "has a header that cannot be read") from error
    if (
        not numbers_ok
        or code not in allowed
        or len(shape) != dimensions
        or stop - start != math.prod(shape) * _CODES[code].itemsize
    ):
        raise _corrupt(path, f"has a part {name!r} of a wrong type or size")
    return _CODES[code], shape, start, stop


def _misfit(tensors, status_names):
    """What does not fit together, or None: linear in users, and the embeddings are not read."""
    users, phrases = len(tensors["statuses"]), len(tensors["embeddings"])
    for name, size in (
        ("offsets", users + 1),
        ("user_offsets", users + 1),
        ("phrase_offsets", phrases + 1),
        ("history_hashes", users),
    ):
        if len(tensors[name]) != size:
            return f"has {len(tensors[name])} entries in {name!r} where {size} are expected"
    if tensors["history_hashes"].shape[1] != HASH_BYTES:
        return f"has history hashes that are not {HASH_BYTES} bytes long"
    for name, target in (
        ("offsets", "phrase_index"),
        ("user_offsets", "user_text"),
        ("phrase_offsets", "phrase_text"),
    ):
        offsets = tensors[name]
        ordered = offsets[0] == 0 and (offsets[1:] >= offsets[:-1]).all()
        if not ordered or offsets[-1] != len(tensors[target]):
            return f"has {name!r} that do not fit {target!r}"
    index = tensors["phrase_index"]
    if len(index) and not 0 <= index.min() <= index.max() < phrases:
        return f"refers to phrases outside its {phrases}"
    if users and tensors["statuses"].max() >= len(status_names):
        return "has a status code that has no name"
    return None
