"""Interests out of a store, for people and for other programs."""

import csv
import json
import os
from contextlib import contextmanager
from pathlib import Path

from recbole_sam.errors import DataError
from recbole_sam.interests.importing import SEPARATOR

FORMS = ("phrases", "joined")


def export_interests(store, path, form="phrases"):
    """Writes all users' interests; the file appears whole or not at all.

    Args:
        store (InterestStore): an open store.
        path (str or Path): ``.jsonl``: one object a user with user, status and interests.
            ``.csv`` or ``.tsv``: see ``form``.
        form (str): ``phrases``: one row a phrase with user, rank (from 1), phrase, status;
            ``joined``: one row a user with userID and interests joined by " || ", as the reference
            implementation writes it.

    Returns:
        int: users written; those without interests are written to JSONL only.

    Raises:
        DataError: another ending or form, or the file cannot be written.
    """
    path = Path(path)
    if form not in FORMS:
        raise DataError(f"Interests are exported as {' or '.join(FORMS)}, not as {form!r}.")
    if path.suffix == ".jsonl":
        write = _write_jsonl
    elif path.suffix in (".csv", ".tsv"):
        write = _write_joined if form == "joined" else _write_phrases
    else:
        raise DataError(f"Cannot export to {path}: give a name that ends in .csv, .tsv or .jsonl.")
    with _replacing(path) as file:
        return write(_users(store), file, "\t" if path.suffix == ".tsv" else ",")


def _users(store):
    """(user, status, phrases) of every user; each distinct phrase is decoded once."""
    phrases = list(store.phrases)
    index = store.phrase_index.tolist()
    offsets = store.offsets.tolist()
    for row, (user, status) in enumerate(zip(store.users, store.statuses.tolist(), strict=True)):
        own = [phrases[i] for i in index[offsets[row] : offsets[row + 1]]]
        yield user, store.status_names[status], own


def _write_jsonl(users, file, delimiter):
    count = 0
    for user, status, phrases in users:
        count += 1
        entry = {"user": user, "status": status, "interests": phrases}
        file.write(json.dumps(entry, ensure_ascii=False) + "\n")
    return count


def _write_phrases(users, file, delimiter):
    writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
    writer.writerow(["user", "rank", "phrase", "status"])
    count = 0
    for user, status, phrases in users:
        count += bool(phrases)
        writer.writerows((user, rank, phrase, status) for rank, phrase in enumerate(phrases, 1))
    return count


def _write_joined(users, file, delimiter):
    writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
    writer.writerow(["userID", "interests"])
    count = 0
    for user, _, phrases in users:
        if phrases:
            count += 1
            writer.writerow([user, SEPARATOR.join(phrases)])
    return count


@contextmanager
def _replacing(path):
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(temporary, "w", encoding="utf-8", newline="") as file:
                yield file
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"Cannot write {path}: {error.strerror}.") from error
