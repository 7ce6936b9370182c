"""Interests out of a store, for people and for other programs."""

import csv
import json
from pathlib import Path

from recbole_sam import files
from recbole_sam.errors import DataError
from recbole_sam.interests.importing import SEPARATOR
from recbole_sam.prepare.sources.delimited import as_text

FORMS = ("phrases", "joined")


def export_interests(store, path, form="phrases"):
    """Writes all users' interests; the file appears whole or not at all.

    Args:
        store (InterestStore): an open store.
        path (str or Path): ``.jsonl``: one object a user with user, status and interests.
            ``.csv`` or ``.tsv``: see ``form``.
        form (str): ``phrases``: one row a phrase with user, rank (from 1), phrase, status;
            ``joined``: one row a user with userID and interests joined by " || ", as the reference
            implementation writes it. Cells that a spreadsheet would take for a formula begin with ``'``,
            which the import removes.

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

    def refused(error):
        return DataError(f"Cannot write {path}: {error.strerror or error}.")

    with files.replacing(path, refused) as file:
        return write(_users(store), _Text(file), "\t" if path.suffix == ".tsv" else ",")


class _Text:
    """A file for text over one for bytes."""

    def __init__(self, file):
        self._file = file

    def write(self, text):
        self._file.write(text.encode())


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
        for rank, phrase in enumerate(phrases, 1):
            writer.writerow((as_text(user), rank, as_text(phrase), status))
    return count


def _write_joined(users, file, delimiter):
    writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
    writer.writerow(["userID", "interests"])
    count = 0
    for user, _, phrases in users:
        if phrases:
            count += 1
            writer.writerow([as_text(user), as_text(SEPARATOR.join(phrases))])
    return count
