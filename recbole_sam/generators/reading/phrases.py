"""From whatever a language model writes to a list of interest phrases. Pure functions, no state.

Models are asked for one phrase a line and mostly obey. When they do not, they number, bullet,
quote, write JSON, wrap everything in a code fence, think aloud or greet first. All of that is
decoration and is taken off; the words of a phrase are never changed. What it says besides: ``speech.py``;
what it thinks: ``thoughts.py``; JSON and tables: ``layouts.py``. All of it is linear in the text, and the
text limited.
"""

import functools
import re
import string
import unicodedata

from recbole_sam.generators.reading import chatter, layouts, thoughts
from recbole_sam.llm.replies import limited

MOST_LINES = 300
"""Lines that are read as phrases; nobody is asked for so many."""

MAX_PHRASE_LENGTH = 160
"""Characters; anything longer is prose and not an interest phrase."""

_FENCE = re.compile(r"^[ \t]*(```|~~~)[ \t]*[\w-]{0,40}[ \t]*$", re.MULTILINE)
_BLANK_LINES = re.compile(r"\n\s*\n")
_MOST_READ = 3_000  # lines, thoughts among them
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")
LONGEST_LINE = 8_000
"""Characters of a line that is read; with more of them it is no list of phrases."""
# A line break that was written as two characters.
_WRITTEN_BREAK = re.compile(r"(?<!\\)(?:\\r)?\\n")
# What is left of a layout that nobody understood.
_LEFT_OVER = re.compile(
    r"""^</?[a-zA-Z] | </?[a-zA-Z][\w:-]*> | <\| | \|> | ^\| | \|$ | \s\|\s | \\n
      | ["']\s*:\s | ": | \{" | "\}""",
    re.VERBOSE,
)
# Bold, and something that is said of it.
_BOLD_HEAD = re.compile(r"\*\*([^*\n]{2,160}?)(?:\*\*\s{0,3}[:：–—-]|[:：]\*\*)\s{0,3}(?=[^\s*])")
_HEAD = re.compile(r"([^:：\n]{2,80}?)(?:\s?[:：]\s|\s[–—-]\s|\s?\()(.+)")
_DEEPEST = 20  # layers of decoration on one phrase
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
    lines = _BLANK_LINES.sub("\n", _WRITTEN_BREAK.sub("\n", limited(text))).split("\n", _MOST_READ)
    text = thoughts.without_thoughts("\n".join(lines[:_MOST_READ]))
    text = _without_quotes(_FENCE.sub("\n", text))
    try:
        parts = layouts.from_json(text)
        if parts is None and '\\"' in text:  # JSON that was written into JSON
            parts = layouts.from_json(text.replace('\\"', '"'))
        if parts is None:
            parts = layouts.from_table(text)
        else:
            parts = [line for part in parts for line in part.splitlines() if len(line) <= LONGEST_LINE]
    except layouts.NotUnderstoodError:
        return []
    if parts is None:
        parts = _from_lines(text)
    # before they are split at commas
    parts = [part for part in parts[:MOST_LINES] if not chatter.is_speech(_plain(part))]
    if len(parts) == 1:
        parts = _split_line(parts[0], k)[:MOST_LINES]
    return distinct(filter(None, map(bare_phrase, _without_run(parts))))


def bare_phrase(text):
    """One phrase without its decoration.

    Args:
        text (str): a line, a JSON string, or a phrase.

    Returns:
        str: without numbering, bullets, quotes, markdown and end marks; empty when nothing that
        could be a phrase is left: no letter, a sentence about the customer or the model, or prose.
    """
    phrase = _undecorated(text)
    if len(phrase) > MAX_PHRASE_LENGTH or not any(map(str.isalpha, phrase)) or _LEFT_OVER.search(phrase):
        return ""
    return "" if chatter.is_about_the_customer(phrase) or chatter.is_speech(_plain(phrase)) else phrase


@functools.lru_cache(maxsize=1024)
def _undecorated(text):
    phrase = _one_line(text)
    if len(phrase) > 3 * MAX_PHRASE_LENGTH:  # prose whatever is taken off; hundreds of brackets take long
        return phrase
    for _ in range(_DEEPEST):
        before = phrase
        phrase = _ENUMERATION.sub("", phrase, count=1)
        phrase = phrase.replace("**", "").replace("__", "").replace("||", " ").lstrip("#").strip()
        phrase = phrase.rstrip(",;，；、。").strip()
        if phrase.endswith(".") and not phrase.endswith(".."):
            phrase = phrase[:-1].rstrip()
        if len(phrase) >= 2 and _QUOTES.get(phrase[0]) == phrase[-1]:
            phrase = phrase[1:-1].strip()
        phrase = " ".join(phrase.split())
        if phrase == before:
            return phrase
    return ""


def _plain(text):
    """A line as ``speech`` takes it: bare, with straight apostrophes."""
    return re.sub("[’‘ʼ`´]", "'", _undecorated(text)[: 3 * MAX_PHRASE_LENGTH])


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
    stems = {w[:-1] if len(w) > 3 and w.endswith("s") and not w.endswith("ss") else w for w in words}
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
    words = _words(phrase)
    return words.count(" ") > 3 and words in _words(instructions)


@functools.lru_cache(maxsize=1024)
def _words(text):
    """The words of a text in lower case, a blank around each."""
    return "".join(f"{word} " for word in ["", *re.findall(r"\w+", text.casefold())])


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
    return " ".join(_UNSEEN.sub(" ", text).split())


def _without_quotes(text):
    """Without one pair of quotation marks around several lines."""
    bare = text.strip()
    around = len(bare) > 1 and bare[0] == bare[-1] == '"' and "\n" in bare
    return bare[1:-1] if around and bare.count('"') - bare.count('\\"') in (1, 2) else text


def _from_lines(text):
    written = [line for line in _TAG.sub("\n", text).splitlines() if line.strip()]
    written = [line for line in written if len(line) <= LONGEST_LINE][:MOST_LINES]
    lines = [line for line in map(_one_line, written) if _has_letter(line)]
    lines = _without_reasons(_without_opening(lines))
    marks = [_ENUMERATION.match(line.replace("**", "").lstrip("#")) for line in lines]
    marked = [(line, mark[0]) for line, mark in zip(lines, marks, strict=True) if mark]
    if 2 * len(marked) >= len(lines) and marked:
        # A list with a greeting before or a remark after it; "10. ..." as the only line stays.
        return _outer(marked)
    return [line for line in lines if not chatter.is_talk(_plain(line), alone=len(lines) == 1)]


def _has_letter(line):
    """Whether anything is left of a line but its mark: a number may stand above its phrase."""
    return any(map(str.isalpha, _undecorated(line)))


def _without_opening(lines):
    """The lines from the first that may be a phrase; where every line is a heading, those are the phrases."""
    last_heading = max((n for n, line in enumerate(lines) if _HEADING.match(line)), default=-1)
    first = 0
    while first < len(lines) - 1 and (
        (chatter.is_opening(_plain(lines[first])) and not _ENUMERATION.match(lines[first]))
        or (_HEADING.match(lines[first]) and last_heading == first)
    ):
        first += 1
    return lines[first:]


def _without_reasons(lines):
    """The lines without what is said of each phrase, where that can be told from the phrase."""
    heads = [_BOLD_HEAD.search(line, 0, 200) for line in lines]
    bold = [head[1] for head in heads if head and not _ENUMERATION.fullmatch(f"{head[1]}: ")]
    if len(bold) > 1 and 2 * len(bold) >= len(lines):
        return bold if all(map(_has_letter, bold)) and not _is_run(bold) else lines
    parts = [_HEAD.fullmatch(line.replace("**", "")) for line in lines] if len(lines) > 1 else [None]
    if all(parts) and layouts.mostly_reasons([part[2] for part in parts]):
        heads = [part[1] for part in parts]
        return lines if _is_run([head.strip() for head in heads]) else heads
    return lines


def _is_run(heads):
    """Whether heads are only marks: "A", "1", "Interest 1"."""
    return any(len(_ENUMERATION.sub("", head).strip(" .:：")) < 3 for head in heads)


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
    line = chatter.without_lead_in(line.replace("**", ""))
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
