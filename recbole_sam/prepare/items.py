"""What is known of an item, and the text it gets."""

from collections import Counter
from typing import NamedTuple

from recbole_sam.prepare.text import clean_title, looks_like_code


class Item(NamedTuple):
    """One item as a source describes it, uncleaned.

    Attributes:
        token: its id.
        title: as published; ``""`` when missing.
        brand: as published; ``""`` when missing.
        categories: tuple of str, from the general to the special.
        price: in the currency of the source, NaN when missing.
    """

    token: str
    title: str = ""
    brand: str = ""
    categories: tuple = ()
    price: float = float("nan")


NO_TEXT, INSTEAD, TITLE = range(3)
"""Where the text of an item comes from, the better the higher."""


def titles_of(items, tokens):
    """Clean items for the tokens that are wanted, and where their titles come from.

    A title that is missing or a scraped script falls back to brand and most special category, then
    to nothing; a text is never invented.

    Args:
        items (iterable of Item): as a source gives them, streamed; of a token listed more than once
            the first with a title counts, else the first with any text, else the first.
        tokens (set of str): the items that have interactions.

    Returns:
        tuple: dict token -> clean `Item` (only tokens the source describes), and a dict of counts:
        ``title``, ``brand and category instead``, ``script instead of title``, ``no text``,
        ``not in the item file``.
    """
    clean = {}
    sources = {}  # token -> NO_TEXT, INSTEAD or TITLE
    scripts = set()
    for item in items:
        if item.token not in tokens or sources.get(item.token) == TITLE:
            continue
        title = clean_title(item.title)
        brand = clean_title(item.brand)
        categories = tuple(filter(None, map(clean_title, item.categories)))
        text = title or " ".join(filter(None, (brand, *categories[-1:])))
        source = TITLE if title else INSTEAD if text else NO_TEXT
        if source <= sources.get(item.token, -1):
            continue
        sources[item.token] = source
        clean[item.token] = item._replace(title=text, brand=brand, categories=categories)
        if item.title and not title and looks_like_code(item.title):
            scripts.add(item.token)
        else:
            scripts.discard(item.token)
    found = Counter(sources.values())
    counts = {
        "title": found[TITLE],
        "brand and category instead": found[INSTEAD],
        "no text": found[NO_TEXT],
        "script instead of title": len(scripts),
        "not in the item file": len(tokens) - len(clean),
    }
    return clean, counts
