"""Interests that somebody else made: the reference implementation's files, or any table.

Nothing in these files is ever executed (see :mod:`~recbole_sam.interests.tensor_file`).
"""

import json
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from recbole_sam.data.histories import history_hash
from recbole_sam.data.store import write_store
from recbole_sam.errors import DataError
from recbole_sam.files import sha256
from recbole_sam.generators.base import COMPLETE, FAILED, STATUSES
from recbole_sam.interests.tensor_file import read_tensors
from recbole_sam.prepare.sources.delimited import from_text, read_rows
from recbole_sam.prepare.sources.lines import reading, refuse_irregular, text_lines

SEPARATOR = " || "
"""Between the interests of a user in the reference implementation's CSV."""
USER_COLUMNS = ("user", "user_id", "userid", "user_id:token", "reviewerid")
PHRASE_COLUMNS = ("phrase", "interest", "interests", "phrases")
BLOCK = 4096


class Imported(NamedTuple):
    """Interests from files."""

    phrases: dict
    """User token -> tuple of distinct phrases, strongest first."""
    vectors: dict | None
    """User token -> float32 [k, H] in the same order, or None when the files hold only text."""
    origin: dict
    """File names and SHA-256, for the store's fingerprint."""


class ImportSummary(NamedTuple):
    """What an import did."""

    users: int
    """In the store: all of the dataset's."""
    matched: int
    """Of these, users that the files have interests for."""
    unknown: int
    """Users of the files that the dataset does not know; left out."""
    phrases: int
    """Distinct ones."""
    width: int
    """H."""


def read_interests(paths):
    """Interests from one file, or from the reference implementation's ``.pt`` and ``.csv`` together.

    Args:
        paths (sequence of str or Path): ``.pt`` (user -> [k, H]); ``.csv`` or ``.tsv`` with a user
            and a phrase or interests column, several interests separated by " || ", and perhaps a rank
            column, by which the rows of a user are put in order; ``.jsonl`` with objects of user and
            phrase, or user and interests (a list).

    Returns:
        Imported: users in the order of the files.

    Raises:
        DataError: a file cannot be read, is of another form, or two files do not fit.
    """
    paths = [Path(path) for path in paths]
    tensors = [path for path in paths if path.suffix == ".pt"]
    texts = [path for path in paths if path.suffix != ".pt"]
    if not paths or len(tensors) > 1 or len(texts) > 1:
        raise DataError("Give one file to import, or the reference implementation's .pt and .csv together.")
    origin = {}
    for path in paths:
        with reading(path):
            refuse_irregular(path)
            origin[path.name] = sha256(path)
    phrases = _read_text(texts[0]) if texts else None
    if not tensors:
        return Imported(phrases, None, origin)
    vectors = read_tensors(tensors[0])
    if phrases is None:
        phrases = {
            user: tuple(f"interest {i + 1} of {user} (no text)" for i in range(len(rows)))
            for user, rows in vectors.items()
        }
        return Imported(phrases, vectors, origin)
    return Imported(*_matched(phrases, vectors, tensors[0], texts[0]), origin)


def import_interests(imported, users, histories, encoder, path, dtype="float16", extra=None):
    """Writes an interest store from imported interests.

    Which items they were made from is not in the files. The store is bound to ``histories``, the
    CURRENT training histories, on the user's word that nothing later went into the interests.

    Args:
        imported (Imported): from :func:`read_interests`.
        users (iterable of str): all users of the dataset, in the store's order.
        histories (iterable of sequence of str): their training item tokens, oldest first.
        encoder (TextEncoder or None): fitted, for the phrases; None only when ``imported`` has
            vectors, which are used as they are.
        path (str or Path): the store; an old one is replaced at the very end.
        dtype (str): ``float16`` or ``float32``.
        extra (dict): recorded in the fingerprint.

    Returns:
        ImportSummary: users that the files have nothing for get no interests (status ``failed``).

    Raises:
        DataError: not one user of the files is in the dataset.
        StoreError: the store cannot be written.
    """
    tokens, hashes, offsets, index, statuses = [], bytearray(), [0], [], []
    number_of, vectors = {}, []
    users = list(map(str, users))
    imported = _whole_ids(imported, users)
    for user, history in zip(users, histories, strict=True):
        tokens.append(str(user))
        hashes += history_hash(history)
        own = imported.phrases.get(str(user), ())
        for position, phrase in enumerate(own):
            number = number_of.setdefault(phrase, len(number_of))
            if number == len(vectors) and imported.vectors is not None:
                vectors.append(imported.vectors[str(user)][position])
            index.append(number)
        offsets.append(len(index))
        statuses.append(STATUSES.index(COMPLETE if own else FAILED))
    matched = statuses.count(STATUSES.index(COMPLETE))
    if not matched:
        theirs, ours = next(iter(imported.phrases), "none"), next(iter(tokens), "none")
        raise DataError(
            f"No user of {', '.join(imported.origin)} is in the dataset: they look like {theirs!r} "
            f"there and like {ours!r} here. Users are matched by their token in the .inter file."
        )
    phrases = list(number_of)
    embeddings = np.stack(vectors) if vectors else _encoded(phrases, encoder)
    made = {"name": "imported", "files": imported.origin}
    write_store(
        path,
        users=tokens,
        offsets=offsets,
        phrase_index=index,
        phrases=phrases,
        embeddings=embeddings,
        history_hashes=np.frombuffer(bytes(hashes), np.uint8).reshape(len(tokens), -1),
        statuses=statuses,
        status_names=STATUSES,
        fingerprint={
            **(extra or {}),
            "encoder": made if vectors else encoder.fingerprint(),
            "generator": made,
        },
        dtype=dtype,
    )
    known = set(tokens)
    return ImportSummary(
        users=len(tokens),
        matched=matched,
        unknown=sum(user not in known for user in imported.phrases),
        phrases=len(phrases),
        width=int(embeddings.shape[1]),
    )


def _whole_ids(imported, users):
    """The interests of users that a spreadsheet wrote as ``10.0``, by the ``10`` that the dataset knows.

    Only where all of them are whole numbers written as floats and the dataset knows none of them so.
    """
    found = imported.phrases
    if found.keys() & set(users) or not all(re.fullmatch(r"-?\d+\.0+", user) for user in found):
        return imported
    whole = {user: user.partition(".")[0] for user in found}
    if len(set(whole.values())) < len(whole):
        return imported
    phrases = {whole[user]: own for user, own in found.items()}
    vectors = imported.vectors and {whole[user]: own for user, own in imported.vectors.items()}
    return imported._replace(phrases=phrases, vectors=vectors)


def _encoded(phrases, encoder):
    blocks = [encoder.encode(phrases[i : i + BLOCK]) for i in range(0, len(phrases), BLOCK)]
    return np.concatenate(blocks)


def _matched(phrases, vectors, tensor_path, text_path):
    """Text and vectors of the same users, near-equal phrases of one user dropped from both."""
    if phrases.keys() != vectors.keys():
        odd = next(iter(phrases.keys() ^ vectors.keys()))
        raise DataError(f"{tensor_path} and {text_path} are not of the same users; {odd!r} is in only one.")
    # The text reader has dropped repeated phrases, so count what the file really says.
    said = _read_text(text_path, distinct=False)
    kept_phrases, kept_vectors = {}, {}
    for user, own in said.items():
        if len(own) != len(vectors[user]):
            raise DataError(
                f"User {user} has {len(own)} interests in {text_path} but "
                f"{len(vectors[user])} vectors in {tensor_path}."
            )
        first = {phrase: own.index(phrase) for phrase in own}
        kept_phrases[user] = tuple(first)
        kept_vectors[user] = vectors[user][list(first.values())]
    return kept_phrases, kept_vectors


def _read_text(path, distinct=True):
    """User -> tuple of phrases from a CSV, TSV or JSONL file."""
    if path.suffix in (".jsonl", ".ndjson"):
        rows = _json_rows(path)
    elif path.suffix in (".csv", ".tsv"):
        rows = _table_rows(path, "\t" if path.suffix == ".tsv" else ",")
    else:
        raise DataError(f"Cannot import {path}: give .pt, .csv, .tsv or .jsonl.")
    found = {}
    for user, phrase in rows:
        parts = (" ".join(part.split()) for part in phrase.split(SEPARATOR.strip()))
        found.setdefault(user, []).extend(part for part in parts if part)
    if not any(found.values()):
        raise DataError(f"{path} holds no interests.")
    return {u: tuple(dict.fromkeys(p)) if distinct else tuple(p) for u, p in found.items()}


def _table_rows(path, delimiter):
    table = read_rows(path, delimiter)
    header = [name.lower() for name in next(table)]
    user = next((header.index(name) for name in USER_COLUMNS if name in header), None)
    phrase = next((header.index(name) for name in PHRASE_COLUMNS if name in header), None)
    if user is None or phrase is None:
        raise DataError(
            f"{path} must begin with a line of column names, with a user column "
            f"({', '.join(USER_COLUMNS[:3])}) and a phrase column ({', '.join(PHRASE_COLUMNS[:3])}); "
            f"it has {', '.join(header)}."
        )
    rank = header.index("rank") if "rank" in header else None
    rows = []
    for line, row in table:
        place = "0" if rank is None else row[rank].strip()
        try:
            rows.append((int(place), from_text(row[user].strip()), from_text(row[phrase])))
        except ValueError:
            raise DataError(
                f"{path}, line {line}: the rank {place!r} is no whole number: correct it, or drop the column."
            ) from None
    # Stable: rows of one rank stay in the order of the file.
    for _, name, text in sorted(rows, key=lambda entry: entry[0]):
        yield name, text


def _json_rows(path):
    for line, text in enumerate(text_lines(path), 1):
        if not text.strip():
            continue
        try:
            entry = json.loads(text)
            user = next(entry[name] for name in USER_COLUMNS if name in entry)
            said = next(entry[name] for name in PHRASE_COLUMNS if name in entry)
            if isinstance(user, (dict, list)) or user is None:
                raise TypeError
            said = [said] if isinstance(said, str) else list(said)
            "".join([str(user), *said]).encode()  # text, and no half of a surrogate pair
        except (ValueError, TypeError, StopIteration, AttributeError, RecursionError) as error:
            raise DataError(
                f'{path}, line {line}: must be like {{"user": "u1", "interests": ["a", "b"]}} or '
                '{"user": "u1", "phrase": "a"}.'
            ) from error
        if not said:
            yield str(user), ""
        for phrase in said:
            yield str(user), phrase
