"""``card.json``: what a dataset is and how it came about, kept beside it."""

import json
import os

from recbole_sam import files
from recbole_sam.errors import DataError
from recbole_sam.files import sha256, sha256_once

NAME = "card.json"
COUNTS = ("users", "items", "interactions")
_MEND = "prepare the dataset again, or delete the card to do without one."


def write_card(folder, card):
    """Writes the card of a dataset.

    Args:
        folder (pathlib.Path): the dataset's folder.
        card (dict): what JSON can hold.
    """
    text = json.dumps(card, indent=2, ensure_ascii=False)
    with files.replacing(folder / NAME, lambda error: error) as file:
        file.write(f"{text}\n".encode())


def read_card(folder):
    """The card of a dataset.

    Args:
        folder (pathlib.Path): the dataset's folder.

    Returns:
        dict or None: None when the folder holds no card (the dataset was not made by ``prepare``).

    Raises:
        DataError: the card cannot be read, or is none.
    """
    path = folder / NAME
    try:
        if not path.is_file():
            return None
        card = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}).") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not readable ({error}): {_MEND}") from None
    try:
        sound = _is_card(card)
    except (KeyError, TypeError, AttributeError):
        sound = False
    if not sound:
        raise DataError(f"{path} is not a card as prepare writes it: {_MEND}")
    return card


def _is_card(card):
    """Whether all is there that is read of a card, in the form that is read; may raise instead."""

    def number(value):
        return isinstance(value, int | float) and not isinstance(value, bool)

    def counts(of):
        return all(isinstance(name, str) and number(count) for name, count in of.items())

    def listed(of):
        return all(
            isinstance(file["name"], str) and isinstance(file["sha256"], str) and number(file["bytes"])
            for file in of
        )

    filters = card.get("filters", {"k_core": "none"})
    return (
        all(isinstance(text, str) for text in (card["dataset"], card["source"]["name"], card["date"]))
        and all(number(card["counts"][name]) for name in COUNTS)
        and (not card.get("titles") or (number(card["titles"]["title"]) and counts(card["titles"])))
        and isinstance(filters["k_core"], str)
        and (filters["k_core"] == "none" or number(filters["min_count"]))
        and all(counts(card.get(part, {})) for part in ("skipped", "skipped_items", "repaired"))
        and all(isinstance(note, str) for note in card.get("notes", []))
        and isinstance(card.get("notes", []), list)
        and all(isinstance(step["step"], str) for step in card.get("steps", []))
        and all(number(step[name]) for step in card.get("steps", []) for name in COUNTS)
        and listed(card.get("files", []))
        and listed(card["source"].get("files", []))
    )


def check_files(folder, card):
    """Refuses files of a dataset that are not those on the card; each is read once a process.

    Args:
        folder (pathlib.Path): the dataset's folder.
        card (dict): as `read_card` returns it.

    Raises:
        DataError: a file was changed, cut off or lost since.
    """
    for file in card.get("files", []):
        path = folder / os.path.basename(file["name"])
        accept = f"python -m recbole_sam prepare --dataset={folder.name} --data_path={folder.parent} --accept"
        try:
            same = path.stat().st_size == file["bytes"] and file["sha256"] == sha256_once(path)
        except FileNotFoundError:
            same = False
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror or error}).") from None
        if not same:
            raise DataError(
                f"{path} is not the file that {NAME} describes: it was changed, cut off or lost since. "
                f"Prepare the dataset again, or accept what is there now with: {accept}"
            )


def fingerprint(path):
    """dict: name, size and SHA-256 of a file, as a card lists it."""
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": sha256(path)}


def card_line(card):
    """A card in one line, for the head of every run.

    Args:
        card (dict): as `read_card` returns it.

    Returns:
        str: name, counts, title coverage, source, filters and date.
    """
    counts = card["counts"]
    parts = [
        f"{card['dataset']}: {counts['users']:,} users, {counts['items']:,} items, "
        f"{counts['interactions']:,} interactions"
    ]
    titles = card.get("titles")
    if titles:
        parts.append(f"{titles['title']:,} titles")
    else:
        parts.append("no titles")
    parts.append(card["source"]["name"])
    if "filters" in card:
        k_core = card["filters"]["k_core"]
        if k_core != "none":
            k_core = f"{card['filters']['min_count']}-core {k_core}"
        parts.append(f"k-core {k_core}" if k_core == "none" else k_core)
    parts.append(f"prepared {card['date']}")
    return "; ".join(parts)
