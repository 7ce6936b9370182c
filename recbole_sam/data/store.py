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

The header's ``__metadata__`` is the readable part: format, version, kind, status names, fingerprint, and the
CRC-32 of every tensor and of the header. Large tensors are held to theirs when they are first used, all
others when the file is opened. (Version 0.1 wrote no checksums, and reads these files all the same.)

The file is written and read here rather than by the safetensors package for three reasons: the
package needs all tensors in memory to write, orders the metadata at random (we promise equal bytes
for equal content), and copies when it reads into numpy. Nothing is ever pickled.
"""

import functools
import hashlib
import json
import math
import warnings
import zlib
from collections.abc import Iterable, Sequence
from itertools import chain, pairwise
from logging import getLogger
from pathlib import Path

import numpy as np

from recbole_sam import files
from recbole_sam.data.histories import HASH_BYTES
from recbole_sam.data.padded import padded
from recbole_sam.errors import StoreError, StoreMissingError

FORMAT = "recbole-sam-interests"
VERSION = 1
INTERESTS, ITEM_TEXTS = KINDS = ("interests", "item texts")
"""What a file of this format holds."""
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
_LARGE = ("embeddings", "phrase_text")  # not read before they are used
_CHECKED = {*_LAYOUT, "header"}
_MAX_HEADER = 100_000_000  # the safetensors format's own limit, bytes
_REBUILD = "Move it away and build it again with `python -m recbole_sam interests --dataset=<name>`."
_IMPORT = "Interests from a table come in by `python -m recbole_sam interests import FILE --dataset=<name>`."


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

    Embeddings and phrases are held to their checksums when they are first asked for, which may raise
    StoreError; everything else when the store is opened.

    The arrays are read-only views of the file; copy what you want to change.

    Attributes:
        path (Path): the file.
        fingerprint (dict): what the interests were made of, as given to :func:`write_store`.
        status_names (tuple of str): the meaning of the codes in ``statuses``.
        digest (str): SHA-256 of the checksums of all parts, which a store of an earlier version lacks.
        offsets (numpy.ndarray): int64 [U + 1], see the module.
        phrase_index (numpy.ndarray): int32 or int64 [N].
        history_hashes (numpy.ndarray): uint8 [U, 16].
        statuses (numpy.ndarray): uint8 [U].
        users (TextTable): user tokens, one a row.
    """

    def __init__(self, path, fingerprint, status_names, tensors, checksums):
        self.path, self.fingerprint, self.status_names = path, fingerprint, status_names
        self._tensors, self._unchecked = tensors, dict(checksums)
        self.digest = hashlib.sha256(json.dumps(checksums, sort_keys=True).encode()).hexdigest()
        self.offsets = tensors["offsets"]
        self.phrase_index = tensors["phrase_index"]
        self.history_hashes = tensors["history_hashes"]
        self.statuses = tensors["statuses"]
        self.users = TextTable(tensors["user_text"], tensors["user_offsets"], path)
        self._phrases = TextTable(tensors["phrase_text"], tensors["phrase_offsets"], path)

    @classmethod
    def open(cls, path, kind=INTERESTS):
        """Maps a store and checks that its parts fit together and are those that were written.

        Args:
            path (str or Path): the ``*.safetensors`` file.
            kind (str): one of :data:`KINDS`, what the file is to hold.

        Raises:
            StoreMissingError: there is no such file.
            StoreError: it is truncated, corrupt, no interest store, of another kind, or of a newer format
                version.
        """
        path = Path(path)
        metadata, tensors = _map(path)
        misfit = _misfit(tensors, metadata["status_names"])
        if misfit:
            raise _corrupt(path, misfit)
        store = cls(path, metadata["fingerprint"], tuple(metadata["status_names"]), tensors,
                    metadata["checksums"])  # fmt: skip
        for name in _LAYOUT:
            if name not in _LARGE:
                store._checked(name)
        if metadata["kind"] != kind:
            raise StoreError(
                f"{path} holds {metadata['kind']}, where {kind} are needed: give another path, or move it "
                "away."
            )
        if not metadata["checksums"]:
            _tell_unchecked(path)
        return store

    def _checked(self, name):
        """A tensor, after its bytes were compared once with the checksum of the header."""
        tensor, written = self._tensors[name], self._unchecked.pop(name, None)
        if written is not None and written != _checksum(tensor):
            self._unchecked[name] = written  # refused again when it is asked for again
            raise _corrupt(self.path, f"is damaged: its part {name!r} is not the one that was written")
        return tensor

    @property
    def embeddings(self):
        """numpy.ndarray: float16 or float32 [P, H]."""
        return self._checked("embeddings")

    @property
    def phrases(self):
        """TextTable: distinct phrases, one a row of ``embeddings``."""
        self._checked("phrase_text")
        return self._phrases

    @property
    def n_users(self):
        """U, the number of users."""
        return len(self.users)

    @property
    def n_phrases(self):
        """P, the number of distinct phrases."""
        return len(self._tensors["embeddings"])

    @property
    def width(self):
        """H, the embedding width."""
        return self._tensors["embeddings"].shape[1]

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
    kind=INTERESTS,
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
        kind (str): one of :data:`KINDS`.

    Raises:
        StoreError: the parts do not fit together, a number is not finite in ``dtype``, ``path`` is a file of
            something else, or the disk refuses.
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
    check_replaceable(path)
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "kind": kind,
        "status_names": list(status_names),
        "fingerprint": fingerprint,
    }
    checksums = dict.fromkeys(_LAYOUT, 0)
    with files.replacing(path, functools.partial(_refused, path), private=True) as file:
        file.write(bytes(len(_header(metadata, tensors, checksums))))  # checksums are known at the end
        for name in _LAYOUT:
            parts = [tensors[name]]
            if name == "embeddings":
                parts = _converted(blocks, (len(phrases), width), DTYPES[dtype], path)
            for part in parts:
                data = np.ascontiguousarray(part).data
                file.write(data)
                checksums[name] = zlib.crc32(data, checksums[name])
        file.write_start(_header(metadata, tensors, checksums))


def check_replaceable(path):
    """Refuses to write a store over a file of something else.

    Args:
        path (str or Path): where a store is to be.

    Raises:
        StoreError: there is a file that no version of recbole-sam wrote as a store, or something else that
            is no file.
    """
    path, what = Path(path), None
    try:
        if path.exists():
            what = files.irregular(path) or _something_else(path)
    except OSError as error:
        raise _refused(path, error) from error
    if what:
        raise StoreError(
            f"{path} is {what}, and no interest store: it is not overwritten. Give another path, or move it "
            "away."
        )


def _something_else(path):
    """What a file that no version of us wrote is called, or None."""
    with open(path, "rb") as file:
        start = file.read(256)
    return "a file of something else" if start and FORMAT.encode() not in start else None


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


def _header(metadata, tensors, checksums):
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
    checksums = {name: f"{checksum:08x}" for name, checksum in checksums.items()}
    checksums["header"] = f"{_header_checksum(entries):08x}"
    entries["__metadata__"]["checksums"] = json.dumps(checksums)
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _header_checksum(entries):
    """The CRC-32 of all that a header says but checksums."""
    metadata = {name: value for name, value in entries["__metadata__"].items() if name != "checksums"}
    return zlib.crc32(json.dumps({**entries, "__metadata__": metadata}, sort_keys=True).encode())


def _checksum(tensor):
    return zlib.crc32(tensor.data) if tensor.size else 0


def _refused(path, error):
    return StoreError(f"Cannot write the interest store {path}: {error.strerror or error}.")


@functools.cache
def _tell_unchecked(path):
    """Once a process: a run opens its store more than once."""
    getLogger().warning(
        f"{path} was written by an earlier recbole-sam, without checksums, so damage to it would not be "
        "noticed; it gets them when it is built again."
    )


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
        what = files.irregular(path)
        if what:
            raise StoreError(f"Cannot read the interest store {path}: it is {what}, no file.")
        size = path.stat().st_size
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = file.read(length) if length <= _MAX_HEADER else b""
    except OSError as error:
        raise StoreError(f"Cannot read the interest store {path}: {error.strerror}.") from error
    if size < 8 or (length <= _MAX_HEADER and len(header) < length):
        raise _corrupt(path, f"is truncated: it ends inside its header, after {size:,} bytes")
    if not header.startswith(b"{"):
        raise StoreError(f"{path} is no interest store: it is not a safetensors file. {_IMPORT}")
    try:
        entries = json.loads(header)
        metadata = entries["__metadata__"] if "__metadata__" in entries else {}
        is_ours = metadata.get("format") == FORMAT
    except (ValueError, AttributeError, RecursionError) as error:
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
    written = metadata["checksums"].get("header")
    if written is not None and written != _header_checksum(entries):
        raise _corrupt(path, "is damaged: its header is not the one that was written")
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
                f"reads up to {VERSION}. Upgrade recbole-sam, or move it away and build it again."
            )
        fingerprint = json.loads(metadata["fingerprint"])
        status_names = json.loads(metadata["status_names"])
        checksums = json.loads(metadata.get("checksums", "{}"))
        checksums = {name: int(checksum, 16) for name, checksum in checksums.items()}
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise _corrupt(path, "has a header that cannot be read") from error
    names_ok = isinstance(status_names, list) and all(isinstance(name, str) for name in status_names)
    if not isinstance(fingerprint, dict) or not names_ok or set(checksums) not in (set(), _CHECKED):
        raise _corrupt(path, "has a header that cannot be read")
    # Earlier versions did not say; interests were always made by some generator, item texts by none.
    kind = metadata.get("kind", INTERESTS if "generator" in fingerprint else ITEM_TEXTS)
    return {"fingerprint": fingerprint, "status_names": status_names, "checksums": checksums, "kind": kind}


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
