"""Cleaning what shops and logs call a title, and the ids RecBole can carry."""

import html
import re

MAX_TITLE = 400
"""Longest title kept, in characters. Shops ask for at most 200; longer ones are pasted
descriptions, and the text encoders read 64 tokens of them."""

MISSING_MARKS = frozenset({
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
    "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
})  # fmt: skip
"""What ``pandas.read_csv`` takes for a missing value: RecBole would silently drop such an id."""

PADDING_TOKEN = "[PAD]"
"""RecBole's own name for id 0."""

_TAG = re.compile(r"<[A-Za-z/!][^<>]*>")
_BLOCK = re.compile(r"<(script|style)\b.*?(</\1\s*>|$)", re.IGNORECASE | re.DOTALL)
# Zero-width and direction marks; not the zero-width joiner, which emoji and Indic scripts need.
_INVISIBLE = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\ufeff\ufffd]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_SURROGATE = re.compile("[\ud800-\udfff]")
# Signs of JavaScript or CSS that a scraper took for the title. Each needs syntax, not just a word:
# products are called "Function Generator" and "Var Meter". A selector is looked for at every word, so its
# length is bounded: without that a pasted text of 60,000 characters takes seconds.
_CODE = re.compile(
    r"\bfunction\s*\w*\([\w\s,]*\)\s*\{"
    r"|(^|[;{}]\s*)(var|let|const)\s+[\w$]+\s*="
    r"|\bnew Date\(\)|\.getTime\(\)"
    r"|\b(window|document)\.[A-Za-z_$][\w$]*\s*[=(.\[]"
    r"|(^|[}\s])[.#@]?[A-Za-z][\w .#:>-]{0,200}\{\s*[a-z-]+\s*:[^}]*(\}|$)"
)


def looks_like_code(text):
    """Whether ``text`` is a fragment of JavaScript or CSS rather than a title.

    Args:
        text (str): a title as published.

    Returns:
        bool: true for example for ``"var aPageStart = (new Date()).getTime();"``.
    """
    return bool(_CODE.search(text))


def clean_title(text):
    """A title on one line of plain text.

    HTML entities are resolved (also doubly escaped ones), tags, control and invisible characters
    removed, runs of whitespace become one space, and the result is cut at a word boundary to
    ``MAX_TITLE`` characters. Cleaning a clean title changes nothing.

    Args:
        text (str or None): a title as published.

    Returns:
        str: the clean title; empty when there was none or it was a script or style fragment.
    """
    if not text:
        return ""
    before = None
    while text != before:
        before = text
        text = html.unescape(text)
        text = _TAG.sub(" ", _BLOCK.sub(" ", text))
        if looks_like_code(text):
            return ""
        text = _SURROGATE.sub("", _INVISIBLE.sub("", text))
        text = " ".join(_CONTROL.sub(" ", text).split())
        if len(text) > MAX_TITLE:
            text = text[: MAX_TITLE + 1].rpartition(" ")[0] or text[:MAX_TITLE]
    return text


def clean_token(text):
    """An id as RecBole can carry it.

    Args:
        text (str or None): a user or item id as published.

    Returns:
        str: the id without surrounding whitespace; empty when it is missing, when pandas or RecBole
        give it another meaning (``"NA"``, ``"null"``, ``"[PAD]"``), or when it holds control
        characters or half a surrogate pair.
    """
    text = text or ""
    if text.isalnum() and text not in MISSING_MARKS:  # nearly every id, and the quickest check
        return text
    text = text.strip()
    if text in MISSING_MARKS or text == PADDING_TOKEN:
        return ""
    if _CONTROL.search(text) or _SURROGATE.search(text):
        return ""
    return text
