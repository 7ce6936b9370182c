"""``card.json``: what a dataset is and how it came about, kept beside it."""

import hashlib
import json

from recbole_sam.errors import DataError

NAME = "card.json"


def write_card(folder, card):
    """Writes the card of a dataset.

    Args:
        folder (pathlib.Path): the dataset's folder.
        card (dict): what JSON can hold.
    """
    text = json.dumps(card, indent=2, ensure_ascii=False)
    (folder / NAME).write_text(text + "\n", encoding="utf-8")


def read_card(folder):
    """The card of a dataset.

    Args:
        folder (pathlib.Path): the dataset's folder.

    Returns:
        dict or None: None when the folder holds no card (the dataset was not made by ``prepare``).

    Raises:
        DataError: the card is not JSON.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path} is not readable ({error}): prepare the dataset again.") from None


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


def checksum(path):
    """str: the SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
