"""From whatever a language model writes to a list of interest phrases. Pure functions, no state.

Models are asked for one phrase a line and mostly obey. When they do not, they number, bullet,
quote, write JSON, wrap everything in a code fence, think aloud or greet first. All of that is
decoration and is taken off; the words of a phrase are never changed. What it says besides: ``speech.py``.
"""

import functools
import json
import re
import string
import unicodedata

from recbole_sam.interests import speech

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
        [-*+>•·‣▪●○◦–—]+\s+ | [•·‣▪●○◦✓✔✅►▸➤] | [-–—](?=[^\W\d_])
      | [(（\[【]\s*\d{1,3}\s*[)）\]】]\s*[.:：、]?
      | \[[\ x]?\]\s | \d{1,3}\s*\\?[.．](?!\d)[)）]? | \d{1,3}\s*[)）、][.．]?
      | [①-⑳] | \d\ufe0f?\u20e3
      | (?:interest|兴趣)\s*\#?\s*(?:\d{1,3}\s*[.:：)、-] | [一二三四五六七八九十]{0,2}\s*[:：])
    )\s*""",
    re.VERBOSE | re.IGNORECASE,
)
# These marks are the phrase's own in "A. Lange watches" and "7: the board game"; only a run of them
# down the answer is an enumeration.
_RUN_MARK = re.compile(
    r"""[(（\[]?(?P<letter>[a-z]|[ivx]{1,4}|[一二三四五六七八九十])(?:[.:]\s+|\s*[)）\]．：、]\s*)
      | (?P<number>\d{1,3})(?:\s?[:–—-]\s+|\s*：\s*)""",
    re.VERBOSE | re.IGNORECASE,
)
_RUNS = (
    list(string.ascii_lowercase),
    ["i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x"],
    list("一二三四五六七八九十"),
)
_HEADING = re.compile(r"#{1,6}\s")
_OPEN_JSON = re.compile(r"""[\[{]\s*["\[{]""")
# One value a line, or objects that nobody put into a list.
_BETWEEN_JSON = re.compile(r"(?<=[\]}])\s*[,;]?\s*(?:\d{1,3}[.)]\s*|[-*]\s+)?(?=[\[{])")
# Lists that are not quite JSON: Python's quotes, a comma after the last, an inch mark inside.
_QUOTED_LIST = re.compile(r"""\[\s*(["'][^\[\]]*["'])[\s,]*(?:\]|\Z)""")
_TAG = re.compile(r"</?[a-z][\w-]*\s*/?>|<\|\w+\|>", re.IGNORECASE)
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "「": "」", "『": "』", "`": "`", "«": "»"}
_QUOTES |= {"[": "]", "*": "*", "_": "_"}
_SEPARATORS = (
    r"\s*\|\|?\s*", r"\s*[;；]\s*(?:and\s+)?", r"\s*[•●▪]\s*", r"\s*、\s*", r"\s*，\s*",
    r"\s*,\s+(?:and\s+)?", r"\s*,(?!\d)\s*",
)  # fmt: skip
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
    parts = [part for part in parts if not speech.is_speech(_plain(part))]  # before it is split at commas
    if len(parts) == 1:
        parts = _split_line(parts[0], k)
    return distinct(filter(None, map(bare_phrase, _without_run(parts))))


def finished(text):
    """An answer that its token limit cut off, without its unfinished end.

    Args:
        text (str): the answer.

    Returns:
        str: without the last line or, of JSON or one line, without what follows the last separator; empty
        when nothing in it was finished.
    """
    text = text.lstrip()
    if _OPEN_JSON.search(text):  # a list goes on after a comma, one value a line on the next line
        return text[: max(text.rfind(","), text.rfind("\n"), 0)]
    for separator in "\n;；、，,":
        whole, found, _ = text.rpartition(separator)
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
        could be a phrase is left: no letter, a sentence about the customer or the model, or prose.
    """
    phrase = _undecorated(text)
    if len(phrase) > MAX_PHRASE_LENGTH or not any(map(str.isalpha, phrase)):
        return ""
    return "" if speech.is_about_the_customer(phrase) or speech.is_speech(_plain(phrase)) else phrase


@functools.lru_cache(maxsize=1024)
def _undecorated(text):
    phrase = _one_line(text)
    if len(phrase) > 20 * MAX_PHRASE_LENGTH:  # prose whatever is taken off; thousands of brackets take long
        return phrase
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
    return phrase


def _plain(text):
    """A line as ``speech`` takes it: bare, with straight apostrophes."""
    return re.sub("[’‘ʼ`´]", "'", _undecorated(text))


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
        found = []
        if opening in text[max(start, end) :]:  # the last was never closed
            found += [_joined(text[start:].rstrip().rstrip(",") + closing) for closing in closings]
        if start < end:
            found += [text[start : end + 1], _joined(text[start : end + 1])]
        for each in found:
            try:
                strings = _strings(json.loads(each))
            except (ValueError, RecursionError):
                continue
            if strings or each == text.strip():
                return strings
    for quoted in _QUOTED_LIST.findall(text):
        strings = re.split(r"""(?<=["'])\s*,\s*(?=["'])""", quoted)
        if len(strings) > 1:
            return strings
    return None


def _joined(values):
    """One JSON list of JSON values that follow each other; a single value stays as it is."""
    joined, borders = _BETWEEN_JSON.subn(",", values)
    return f"[{joined}]" if borders else values


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
    lines = [line for line in map(_one_line, _TAG.sub("\n", text).splitlines()) if _has_letter(line)]
    lines = _without_opening(lines)
    marks = [_ENUMERATION.match(line.replace("**", "").lstrip("#")) for line in lines]
    marked = [(line, mark[0]) for line, mark in zip(lines, marks, strict=True) if mark]
    if 2 * len(marked) >= len(lines) and marked:
        # A list with a greeting before or a remark after it; "10. ..." as the only line stays.
        return _outer(marked)
    return [line for line in lines if not speech.is_talk(_plain(line), alone=len(lines) == 1)]


def _has_letter(line):
    """Whether anything is left of a line but its mark: a number may stand above its phrase."""
    return any(map(str.isalpha, _undecorated(line)))


def _without_opening(lines):
    """The lines from the first that may be a phrase; where every line is a heading, those are the phrases."""
    while len(lines) > 1 and (
        (speech.is_opening(_plain(lines[0])) and not _ENUMERATION.match(lines[0]))
        or (_HEADING.match(lines[0]) and not any(map(_HEADING.match, lines[1:])))
    ):
        lines = lines[1:]
    return lines


def _outer(marked):
    """The lines of a list, without the bullets that explain each number of a numbered one."""
    numbered = [line for line, mark in marked if any(map(str.isdigit, mark))]
    if len(numbered) > 1 and numbered[0] == marked[0][0]:
        return numbered
    return [line for line, _ in marked]


def _without_run(parts):
    """The parts without an enumeration by letters or by marks that only a run of them makes one."""
    bare = [_undecorated(part) for part in parts]
    found = [(phrase, match) for phrase in bare if (match := _RUN_MARK.match(phrase))]
    marks = [(match["letter"] or match["number"]).lower() for _, match in found]
    if len(found) > 1 and 2 * len(found) > len(parts) and _in_order(marks):
        return [phrase[match.end() :] for phrase, match in found]
    return parts


def _in_order(marks):
    if marks[0].isdecimal():  # a repair may go on counting
        return marks == [str(int(marks[0]) + i) for i in range(len(marks))]
    return any(marks == run[: len(marks)] for run in _RUNS)


def _split_line(line, k):
    """Several phrases that a model wrote on one line, or the line itself."""
    line = speech.without_lead_in(line.replace("**", ""))
    if k == 1:
        return [line]
    numbered = re.split(r"(?:^|\s)[(（]?\d{1,2}[.)）．、](?!\d)\s*|[①-⑳]", line)
    numbered = [part for part in numbered if part.strip()]
    if len(numbered) == k:
        return numbered
    line = _ENUMERATION.sub("", line, count=1)
    if line.startswith("[") and line.endswith("]"):
        line = line[1:-1]
    for separator in _SEPARATORS:
        parts = [part for part in re.split(separator, line) if part.strip()]
        if len(parts) >= k:
            return parts
    return [line]
