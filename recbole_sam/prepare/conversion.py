"""From a source's rows to a RecBole dataset: filter, order, clean, write, swap into place."""

import contextlib
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

import numpy as np

from recbole_sam.errors import DataError
from recbole_sam.prepare import atomic, card, filters
from recbole_sam.prepare.folder import replacing
from recbole_sam.prepare.interactions import collect
from recbole_sam.prepare.items import Item, titles_of
from recbole_sam.prepare.sources import atomic_folder
from recbole_sam.prepare.sources.skips import Skips

_BLOCK = 100_000  # rows turned into text at a time


class Source(NamedTuple):
    """Published data, opened by one of the readers in ``data/sources``.

    Attributes:
        name: what it is, for the card: ``"table"``, ``"Amazon Review Data 2018, All Beauty"``.
        rows: iterable of user token, item token, rating and time.
        skips: the `Skips` that the reader of the rows fills.
        files: the paths it is read from.
        items: callable that is given the set of item tokens with interactions and returns an
            iterable of `Item`; None when nothing is known of the items.
        lines: how many lines the publisher says the interactions have, or None.
        title_field: the field of the ``.item`` file that gets the titles.
        item_skips: the `Skips` that the reader of the items fills, apart from those of the rows: a bad
            line of metadata is no lost interaction. None when the items have no lines of their own.
        notes: what the output and the card are to say besides.
    """

    name: str
    rows: object
    skips: Skips
    files: tuple = ()
    items: object = None
    lines: int | None = None
    title_field: str = "title"
    item_skips: Skips | None = None
    notes: tuple = ()


def prepare(folder, source, chosen=None, overwrite=False):
    """Writes ``<name>.inter``, ``<name>.item`` and ``card.json`` for RecBole.

    The folder appears as a whole or not at all (`replacing`). Rows of the ``.inter`` file are in
    time order, ties in the order of the source; the rating column is there when the source has any
    rating, and likewise brand, categories and price. The ``.item`` file, there when the source has
    items, has a row for every item with interactions, an empty title where the source has none.

    Args:
        folder (pathlib.Path): ``dataset/<name>``; its last part names the dataset.
        source (Source): where rows and items come from. Both are streamed once.
        chosen (Filters): the choices; None takes the paper's.
        overwrite (bool): replace a dataset that is not synthetic.

    Returns:
        dict: the card, as `card.read_card` gives it.

    Raises:
        DataError: the source cannot be read, nothing is left, no item is described, the folder is
            taken, or it cannot be written.
        SettingError: a filter makes no sense.
    """
    chosen = chosen or filters.Filters()
    filters.check(chosen)
    with replacing(Path(folder), overwrite) as new:
        name = Path(folder).name
        with _reading(source):
            interactions, steps = filters.apply(collect(source.rows), chosen)
        _refuse_nothing(source, steps)
        notes = [*_count_lines(source, steps[0]["interactions"]), *source.notes, *source.skips.notes]
        made = {"dataset": name, "source": {"name": source.name}}
        made["date"] = datetime.now(timezone.utc).date().isoformat()
        made["counts"] = describe(interactions)
        made["filters"] = chosen._asdict()
        made["steps"] = steps
        _write_interactions(new / f"{name}.inter", interactions)
        if source.items is not None:
            tokens = [interactions.item_tokens[code] for code in np.unique(interactions.items)]
            wanted = set(tokens)
            with _reading(source):
                items, made["titles"] = titles_of(_noting(source.items(wanted), described := []), wanted)
            _refuse_foreign_items(source, items, tokens, described)
            # RecBole drops interactions with items that the .item file does not list.
            listed = [items.get(token) or Item(token) for token in tokens]
            _write_items(new / f"{name}.item", listed, source.title_field)
        made["skipped"] = dict(source.skips.counts)
        if source.item_skips:
            made["skipped_items"] = dict(source.item_skips.counts)
        made["repaired"] = dict(source.skips.repaired)
        made["notes"] = notes
        with _reading(source):
            made["source"]["files"] = [card.fingerprint(path) for path in source.files]
        made["files"] = [card.fingerprint(path) for path in sorted(new.iterdir())]
        card.write_card(new, made)
    return made


def accept(folder):
    """Takes what a prepared dataset's files hold now for right: their card is written anew.

    Args:
        folder (pathlib.Path): ``dataset/<name>``, made by `prepare` and changed since.

    Returns:
        dict: the card.

    Raises:
        DataError: there is no card, a file cannot be read, or the card cannot be written.
    """
    made = card.read_card(folder)
    if made is None:
        raise DataError(f"{folder} has no {card.NAME}, and without one its files are not checked.")
    inter = folder / f"{folder.name}.inter"
    made["counts"] = describe(collect(atomic_folder.read_interactions(inter, Skips(strict=True))))
    item = inter.with_suffix(".item")
    for _ in atomic.read_rows(item) if item.is_file() else ():
        pass  # what is cut off inside a row is no dataset
    now = [card.fingerprint(path) for path in (inter, item) if path.is_file()]
    changed = [file["name"] for file in now if file not in made.get("files", [])]
    if changed:
        today = datetime.now(timezone.utc).date().isoformat()
        note = f"changed by hand and accepted on {today}: {', '.join(changed)}"
        made["notes"] = [*made.get("notes", []), note]
    made["files"] = now
    try:
        card.write_card(folder, made)
    except OSError as error:
        raise DataError(f"{folder / card.NAME} cannot be written ({error.strerror or error}).") from error
    return made


@contextlib.contextmanager
def _reading(source):
    """Names an error of reading for what it is: `replacing` takes the others for errors of writing."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{_names(source)} could not be read to the end ({error}).") from error


def describe(interactions):
    """Counts of a dataset.

    Args:
        interactions (Interactions): at least one.

    Returns:
        dict: users, items, interactions, and the shortest, mean, median and longest history.
    """
    lengths = np.bincount(interactions.users)
    lengths = lengths[lengths > 0]
    return {
        **interactions.counts(),
        "shortest_history": int(lengths.min()),
        "mean_history": round(float(lengths.mean()), 2),
        "median_history": float(np.median(lengths)),
        "longest_history": int(lengths.max()),
    }


def number_cells(numbers):
    """Numbers as an atomic file holds them.

    Args:
        numbers (np.ndarray): float64 [n]; NaN is a missing value.

    Returns:
        list: int where the value is whole, ``""`` where it is missing, else float.
    """
    whole = (np.abs(numbers) < 2**63) & (np.floor(numbers) == numbers)
    if whole.all():
        return numbers.astype(np.int64).tolist()
    return [
        int(number) if is_whole else "" if number != number else number
        for number, is_whole in zip(numbers.tolist(), whole.tolist(), strict=True)
    ]


def _write_interactions(path, interactions):
    header = {"user_id": "token", "item_id": "token"}
    rated = not np.isnan(interactions.ratings).all()
    if rated:
        header["rating"] = "float"
    header["timestamp"] = "float"
    users, items = interactions.user_tokens, interactions.item_tokens

    def rows():
        for start in range(0, len(interactions.users), _BLOCK):
            block = interactions.select(slice(start, start + _BLOCK))
            columns = [
                [users[code] for code in block.users.tolist()],
                [items[code] for code in block.items.tolist()],
                number_cells(block.times),
            ]
            if rated:
                columns.insert(2, number_cells(block.ratings))
            yield from zip(*columns, strict=True)

    atomic.write_rows(path, header, rows())


def _write_items(path, items, title_field):
    header = {"item_id": "token", title_field: "token"}
    if any(item.brand for item in items):
        header["brand"] = "token"
    if any(item.categories for item in items):
        header["categories"] = "token"
    if any(item.price == item.price for item in items):
        header["price"] = "float"

    def rows():
        for item in items:
            cells = {
                "item_id": item.token,
                title_field: item.title,
                "brand": item.brand,
                "categories": ", ".join(item.categories),
                "price": number_cells(np.array([item.price]))[0],
            }
            yield [cells[field] for field in header]

    atomic.write_rows(path, header, rows())


def _count_lines(source, usable):
    found = usable + sum(source.skips.counts.values())
    if source.lines in (None, found):
        return []
    note = (
        f"{source.files[0].name} has {found:,} lines where its publisher says {source.lines:,}: "
        "it is another version, or not whole"
    )
    if source.skips.strict:
        raise DataError(f"{note}.")
    return [note]


def _refuse_nothing(source, steps):
    files = _names(source)
    if not steps[0]["interactions"]:
        skipped = "; ".join(source.skips.sentences())
        raise DataError(f"{files} has no usable interaction" + (f" ({skipped})." if skipped else "."))
    if not steps[-1]["interactions"]:
        emptied = next(step["step"] for step in steps if not step["interactions"])
        raise DataError(
            f"Nothing is left of the {steps[0]['interactions']:,} interactions in {files} after "
            f"{emptied!r}. Lower --min-count or choose --k-core=none."
        )


def _noting(items, first):
    """The items of a source; the tokens of the first three are noted."""
    for item in items:
        if len(first) < 3:
            first.append(item.token)
        yield item


def _refuse_foreign_items(source, items, tokens, described):
    if len(items) * 10 < len(tokens):
        theirs = f" and there like {', '.join(map(repr, described))}" if described else ""
        raise DataError(
            f"Only {len(items):,} of the {len(tokens):,} items are described in {source.files[-1].name}. The "
            f"interactions name them like {', '.join(map(repr, tokens[:3]))}{theirs}: are the ids written in "
            "another way, or is it the item file of another dataset?"
        )


def _names(source):
    return ", ".join(path.name for path in source.files) or source.name
