"""From whatever a language model writes to a list of interest phrases. Pure functions, no state.

Models are asked for one phrase a line and mostly obey. When they do not, they number, bullet,
quote, write JSON, wrap everything in a code fence, think aloud or greet first. All of that is
decoration and is taken off; the words of a phrase are never changed.
"""

import functools
import json
import re
import unicodedata

MAX_PHRASE_LENGTH = 160
"""Characters; anything longer is prose and not an interest phrase."""

# Some chat templates write <think> into the prompt, so that an answer begins in the middle of a thought.
_THOUGHT = re.compile(
    r"(\A((?!<think>).)*|<think>.*?)</think>|<think>.*", re.DOTALL | re.IGNORECASE
)
_FENCE = re.compile(r"^\s*(```|~~~)\s*[\w-]*\s*$", re.MULTILINE)
# A number counts as an enumeration only before a mark, and "1." only when no digit follows: "1.5
# inch curling iron", "3D printing" and "100% cotton" are phrases.
_ENUMERATION = re.compile(
    r"""^\s*(?:
        [-*+•·‣▪●○◦–—]+\s+ | [•·‣▪●○◦]
      | [(（\[【]\s*\d{1,3}\s*[)）\]】]\s*[.:：、]?
      | \d{1,3}\s*[.．](?!\d) | \d{1,3}\s*[)）、]
      | [①②③④⑤⑥⑦⑧⑨⑩]
      | (?:interest|兴趣)\s*\#?\s*\d{1,3}\s*[.:：)、-]
    )\s*""",
    re.VERBOSE | re.IGNORECASE,
)
_PREAMBLE = re.compile(
    r"^(sure|certainly|of course|okay|ok|here (are|is)|based on|the (customer|user)'?s? |these are"
    r"|below (are|is)|以下是|根据|好的|当然)",
    re.IGNORECASE,
)
# A sentence about the customer instead of an interest, as small models write.
_ABOUT = re.compile(
    r"""^(this|the|a|our)\ (customer|user|buyer|shopper|person)\ (\w+ly\ |also\ )?
    (is|was|has|had|may|might|can|could|would|will|who|likes|loves|prefers|enjoys|wants|needs|seems|appears|tends|looks
    |shows|uses|buys|bought|purchase[ds]|interested)\b""",
    re.IGNORECASE | re.VERBOSE,
)
_OPEN_JSON = re.compile(r"""[\[{]\s*["\[{]""")
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "「": "」", "『": "』", "`": "`", "«": "»"}
_SEPARATORS = (r"\s*\|\|?\s*", r"\s*[;；]\s*", r"\s*、\s*", r"\s*，\s*", r"\s*,\s+")
_SMALL_WORDS = {"and", "or", "the", "a", "an", "of", "for", "in", "to", "with"}


def parse_phrases(text, k):
    """The interest phrases in an answer, in their order.

    Args:
        text (str): the model's whole answer.
        k (int): how many were asked for; only used to decide whether a single line is one phrase
            or several.

    Returns:
        list of str: distinct phrases, at most ``MAX_PHRASE_LENGTH`` characters each; may be empty,
        and may hold more than ``k``.
    """
    text = _THOUGHT.sub("\n", text)
    text = _FENCE.sub("\n", text)
    parts = _from_json(text)
    if parts is None:
        parts = _from_lines(text)
        if len(parts) == 1 and k > 1:
            parts = _split_line(parts[0], k)
    return distinct(filter(None, map(bare_phrase, parts)))


def finished(text):
    """An answer that its token limit cut off, without its unfinished end.

    Args:
        text (str): the answer.

    Returns:
        str: without the last line or, of JSON or one line, without what follows the last separator; empty
        when nothing in it was finished.
    """
    for separator in "," if _OPEN_JSON.search(text) else "\n;；、，,":
        whole, found, _ = text.lstrip().rpartition(separator)
        if found:
            return whole
    return ""


def kept(text, cut):
    """What is kept of an answer.

    Args:
        text (str): as the model wrote it.
        cut (bool): whether its token limit ended it; then without its unfinished end.

    Returns:
        str: valid UTF-8; half a surrogate pair cannot be stored.
    """
    return (finished(text) if cut else text).encode("utf-8", "replace").decode("utf-8")


def bare_phrase(text):
    """One phrase without its decoration.

    Args:
        text (str): a line, a JSON string, or a phrase.

    Returns:
        str: without numbering, bullets, quotes, markdown and end marks; empty when nothing that
        could be a phrase is left: no letter, a sentence about the customer, or prose.
    """
    phrase = _one_line(text)
    before = None
    while phrase != before:
        before = phrase
        phrase = _ENUMERATION.sub("", phrase, count=1)
        phrase = phrase.replace("**", "").replace("__", "").replace("||", " ").lstrip("#").strip()
        phrase = phrase.rstrip(",;，；、。").strip()
        if phrase.endswith(".") and not phrase.endswith(".."):
            phrase = phrase[:-1].rstrip()
        if len(phrase) >= 2 and _QUOTES.get(phrase[0]) == phrase[-1]:
            phrase = phrase[1:-1].strip()
        phrase = " ".join(phrase.split())
    if len(phrase) > MAX_PHRASE_LENGTH or not any(map(str.isalpha, phrase)) or _ABOUT.match(phrase):
        return ""
    return phrase


def meaning_key(phrase):
    """What two phrases share when they are the same interest for us.

    Args:
        phrase (str): a bare phrase.

    Returns:
        frozenset of str: its words in lower case, without small words and plural endings, in any
        order. ``"Hair & skin care"`` and ``"skin care and hair"`` are near-duplicates.
    """
    folded = unicodedata.normalize("NFKC", phrase).casefold()
    words = re.findall(r"\w+", folded)
    stems = {
        w[:-1] if len(w) > 3 and w.endswith("s") and not w.endswith("ss") else w for w in words
    }
    return frozenset(stems - _SMALL_WORDS) or frozenset(stems) or frozenset({folded})


def distinct(phrases, taken=()):
    """The phrases without near-duplicates, the first of each kept.

    Args:
        phrases (iterable of str): bare phrases.
        taken (iterable of str): phrases that are spoken for already.

    Returns:
        list of str: those that are new.
    """
    seen = {meaning_key(phrase) for phrase in taken}
    kept = []
    for phrase in phrases:
        key = meaning_key(phrase)
        if key not in seen:
            seen.add(key)
            kept.append(phrase)
    return kept


def echoes(phrase, instructions):
    """Whether a phrase only repeats words of the question, as small models do.

    Args:
        phrase (str): a bare phrase.
        instructions (str): the question without the titles.

    Returns:
        bool: true for three or more words that stand in ``instructions`` in this order; fewer may be
        an interest's own.
    """
    words = re.findall(r"\w+", phrase.casefold())
    asked = " ".join(re.findall(r"\w+", instructions.casefold()))
    return len(words) >= 3 and f" {' '.join(words)} " in f" {asked} "


def foreign(phrase, title_scripts):
    """Whether a phrase is written in none of the scripts its titles are written in.

    Args:
        phrase (str): a bare phrase.
        title_scripts (set of str): :func:`scripts` of the item titles the model was shown.

    Returns:
        bool: true for Chinese characters on English titles and the like; false when either side
        has no letters.
    """
    ours = scripts(phrase)
    return bool(ours and title_scripts) and not ours & title_scripts


def scripts(text):
    """The scripts of the letters in ``text``: a set of names such as ``LATIN``, ``CJK``."""
    return {_script(c) for c in set(text) if c.isalpha()}


@functools.lru_cache(maxsize=8192)
def _script(letter):
    name = unicodedata.name(letter, "UNKNOWN").removeprefix("FULLWIDTH ").removeprefix("HALFWIDTH ")
    first = name.partition(" ")[0].partition("-")[0]
    return "CJK" if first in ("HIRAGANA", "KATAKANA", "IDEOGRAPHIC") else first


def _one_line(text):
    seen = (" " if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") else c for c in text)
    return " ".join("".join(seen).split())


def _from_json(text):
    """The strings of a JSON list or object in ``text``, or None when there is no such thing."""
    for opening, *closings in (("[", "]", "}]"), ("{", "}", "]}")):
        start, end = text.find(opening), text.rfind(closings[0])
        if start < 0:
            continue
        if start < end:
            found = [text[start : end + 1]]
        else:  # never closed
            found = [text[start:].rstrip().rstrip(",") + closing for closing in closings]
        for each in found:
            try:
                strings = _strings(json.loads(each))
            except (ValueError, RecursionError):
                continue
            if strings or each == text.strip():
                return strings
    return None


def _strings(value):
    """The phrases in a decoded JSON value: list items, or the first string or list of an object."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        lists = [item for item in value.values() if isinstance(item, list)]
        if lists:
            return _strings(lists[0])
        return [item for item in value.values() if isinstance(item, str)]
    if isinstance(value, list):
        found = []
        for item in value:
            inner = _strings(item)
            # {"interest": "...", "reason": "..."}: the first string is the phrase
            found += inner[:1] if isinstance(item, dict) else inner
        return found
    return []


def _from_lines(text):
    lines = [line for line in map(_one_line, text.splitlines()) if any(c.isalnum() for c in line)]
    marked = [bool(_ENUMERATION.match(line)) for line in lines]
    if 2 * sum(marked) >= len(lines) and sum(marked) > 0:
        # A list with a greeting before or a remark after it; "10. ..." as the only line stays.
        return [line for line, mark in zip(lines, marked, strict=True) if mark]
    return [line for line in lines if not _is_talk(line, len(lines))]


def _is_talk(line, count):
    """A heading or greeting rather than a phrase."""
    return line.endswith((":", "：")) or (
        count > 1 and bool(_PREAMBLE.match(line)) and len(line) > 40
    )


def _split_line(line, k):
    """Several phrases that a model wrote on one line, or the line itself."""
    numbered = re.split(r"(?:^|\s)(?:\d{1,2}[.)．、])(?!\d)\s*", line)
    numbered = [part for part in numbered if part.strip()]
    if len(numbered) == k:
        return numbered
    line = _ENUMERATION.sub("", line, count=1)
    for separator in _SEPARATORS:
        parts = [part for part in re.split(separator, line) if part.strip()]
        if len(parts) >= k:
            return parts
    return [line]
