"""What is known of an item, and the text it gets."""

from typing import NamedTuple

from recbole_sam.data.text import clean_title, looks_like_code


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


def titles_of(items, tokens):
    """Clean items for the tokens that are wanted, and where their titles come from.

    A title that is missing or a scraped script falls back to brand and most special category, then
    to nothing; a text is never invented.

    Args:
        items (iterable of Item): as a source gives them, streamed; the first of a token counts.
        tokens (set of str): the items that have interactions.

    Returns:
        tuple: dict token -> clean `Item` (only tokens the source describes), and a dict of counts:
        ``title``, ``brand and category instead``, ``script instead of title``, ``no text``,
        ``not in the item file``.
    """
    clean = {}
    counts = {"title": 0, "brand and category instead": 0, "no text": 0}
    scripts = 0
    for item in items:
        if item.token not in tokens or item.token in clean:
            continue
        title = clean_title(item.title)
        brand = clean_title(item.brand)
        categories = tuple(filter(None, map(clean_title, item.categories)))
        scripts += bool(item.title) and not title and looks_like_code(item.title)
        if title:
            counts["title"] += 1
        else:
            title = " ".join(filter(None, (brand, *categories[-1:])))
            counts["brand and category instead" if title else "no text"] += 1
        clean[item.token] = item._replace(title=title, brand=brand, categories=categories)
    counts["script instead of title"] = scripts
    counts["not in the item file"] = len(tokens) - len(clean)
    return clean, counts
