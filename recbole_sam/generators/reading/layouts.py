"""Answers that are written as JSON or as a table. Pure functions, linear in the text.

Which of several fields or columns holds the phrases is known by their names, else by what stands beside them.
Where neither says so, the answer is not understood, and nothing of it is taken: it is asked for again.
"""

import csv
import json
import re

_WORDS = r"(?:(?:customer|user|inferred|key|main|top|likely|core|short[ -]term|long[ -]term)\s+)*"
_PHRASES = re.compile(
    rf"{_WORDS}(?:interests?|phrases?|noun phrases?|preferences?|likes|兴趣(?:点|短语)?|短语|偏好)"
    r"(?:\s+(?:phrases?|names?|areas?|topics?|list))?(?:\s*\(.*\))?",
    re.IGNORECASE,
)
_MAYBE_PHRASES = re.compile(
    r"(?:themes?|topics?|categor(?:y|ies)|keywords?|names?|titles?|labels?|tags?|values?|texts?|contents?|answers?"
    r"|outputs?|results?|response|list|items?|products?|data|类别|主题|关键词|名称)",
    re.IGNORECASE,
)
_OTHERS = re.compile(
    r"(?:reason(?:s|ing)?|thoughts?|why|because|explanations?|explained|evidence|rationale|justifications?"
    r"|descriptions?|examples?|based on|support(?:ing|ed by)?.*|details?|notes?|comments?|sources?|scores?"
    r"|confidence|weights?|probability|relevance|strength|counts?|frequency|rank(?:ing)?|no\.?|num(?:ber)?|nr\.?|ids?"
    r"|index|#|n|order|purchase[sd]?.*|related.*|status|errors?|message|原因|理由|说明|依据|解释|序号|编号|排名|#\s*\w*)",
    re.IGNORECASE,
)
_LABEL = re.compile(
    r"#?\d{1,3}[.)]?|[a-z]|[ivx]{1,4}|first|second|third|fourth|fifth|one|two|three|four|five|sixth|six|seven(?:th)?"
    r"|eight(?:h)?|nine|ninth|ten(?:th)?|(?:short|mid|long|medium)[ -]term|primary|secondary|main|other"
    r"|[一二三四五六七八九十]",
    re.IGNORECASE,
)
_REASON = re.compile(
    r"\b(?:buys?|bought|buying|purchas\w*|owns?|owned|likes?|liked|loves?|because|since|shows?|shown|indicat\w*"
    r"|suggest\w*|seen|(?:the|this|their) (?:customer|user|history)|appears?|frequently|based on|due to"
    r"|(?:multiple|several|repeated|many) (?:purchases|items|titles|orders|products)"
    r"|interested|prefers?|preferred|orders?|ordered|such as|reflects?|implies|from the titles?)\b"
    r"|e\.g\.|[.。]\s*$|购买|买了|喜欢|因为|多次",
    re.IGNORECASE,
)
# One value a line, or objects that nobody put into a list.
_BETWEEN_JSON = re.compile(r"(?<=[\]}])\s*(?:[,;]\s*)?(?:\d{1,3}[.)]\s*|[-*]\s+)?(?=[\[{])")
# Lists that are not quite JSON: Python's quotes, a comma after the last, an inch mark inside.
_QUOTED_LIST = re.compile(r"""\[\s*(["'][^\[\]]*["'])[\s,]*(?:\]|\Z)""")
_RULE = set("|:-+ \t")
_CELL_TAGS = (
    (re.compile(r"<t[dh](?:\s[^<>\n]{0,200})?>", re.IGNORECASE), "|"),
    (re.compile(r"</tr\s*>", re.IGNORECASE), "|\n"),
    (re.compile(r"<tr(?:\s[^<>\n]{0,200})?>", re.IGNORECASE), "\n"),
    (re.compile(r"</t[dh]\s*>", re.IGNORECASE), ""),
)
_BAR = re.compile(r"(?<!\\)\|")


MOST = 300
"""Strings or rows that are read; nobody is asked for so many phrases."""


class NotUnderstoodError(Exception):
    """Which part of an answer holds the phrases cannot be told."""


def looks_like_a_reason(text):
    """Whether a text explains a phrase rather than being one (bool)."""
    return len(text.split()) > 8 or _REASON.search(text[:400]) is not None


def mostly_reasons(texts):
    """Whether two thirds of some texts look like reasons (bool)."""
    return bool(texts) and 3 * sum(map(looks_like_a_reason, texts)) >= 2 * len(texts)


# JSON


def from_json(text):
    """The phrases of a JSON list or object in a text.

    Args:
        text (str): of an answer.

    Returns:
        list of str or None: None when there is no such thing.

    Raises:
        NotUnderstoodError: there is, and which of its strings are the phrases cannot be told.
    """
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
                strings = _strings(json.loads(each, strict=False))
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
    """One JSON list of JSON values that follow each other; a single value stays unchanged."""
    joined, borders = _BETWEEN_JSON.subn(",", values)
    return f"[{joined}]" if borders else values


def _strings(value):
    """The phrases in a decoded JSON value."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return _of_object(value)
    if not isinstance(value, list):
        return []
    value = value[:MOST]
    rows = [item for item in value if isinstance(item, list) and len(item) > 1]
    if len(rows) == len(value) > 1 and all(isinstance(cell, str) for row in rows for cell in row):
        if mostly_reasons([row[1] for row in rows]):
            return [row[0] for row in rows]
    found = []
    for item in value:
        inner = _strings(item)
        found += inner[:1] if isinstance(item, dict) and len(value) > 1 else inner
    return found


def _of_object(value):
    keys = {key: " ".join(re.sub(r"[_\s]+", " ", key).split()) for key in value}
    named = _named(keys)
    if named:
        return [phrase for key in named for phrase in _strings(value[key])]
    rest = {key: value[key] for key, name in keys.items() if not _OTHERS.fullmatch(name)}
    if all(_LABEL.fullmatch(keys[key]) for key in rest):
        return [phrase for inner in rest.values() for phrase in _first(inner)]
    spoken = [key for key in rest if " " in key.strip()]
    if len(rest) == 1:
        [(key, inner)] = rest.items()
        if isinstance(inner, list | dict):
            return _strings(inner)
        if not isinstance(inner, str):
            return []
        return [key] if spoken or ("_" not in key and looks_like_a_reason(inner)) else [inner]
    texts = [inner for inner in rest.values() if isinstance(inner, str)]
    if 2 * len(spoken) >= len(rest):  # {"steel tools": "buys wrenches"}, {"steel tools": 0.9}
        return list(rest)
    if texts:
        if len(texts) == len(rest) and mostly_reasons(texts):
            return list(rest)
        raise NotUnderstoodError
    lists = [inner for inner in rest.values() if isinstance(inner, list | dict)]
    if lists and len(lists) < len(rest):
        return _strings(lists[0])
    if lists and all("_" in key for key in rest):
        return [phrase for inner in lists for phrase in _strings(inner)]
    if lists:
        raise NotUnderstoodError
    return []


def _first(value):
    return _strings(value)[:1] if isinstance(value, dict) else _strings(value)


def _named(keys):
    """The keys of an object whose names say that they hold the phrases.

    Args:
        keys (dict): key -> its words.
    """
    bare = {key: re.sub(r"\s*#?\d+$", "", re.sub(r"(?<=[a-z])\d+$", "", name)) for key, name in keys.items()}
    best = [key for key, name in bare.items() if _PHRASES.fullmatch(name)]
    if best:
        return best
    maybe = [key for key, name in bare.items() if _MAYBE_PHRASES.fullmatch(name)]
    return [key for key in maybe if bare[key] == bare[maybe[0]]]


# tables


def from_table(text):
    """The phrases in a table: Markdown, HTML, or lines of equally many cells with a tab between them.

    Args:
        text (str): of an answer.

    Returns:
        list of str or None: None when there is no table.

    Raises:
        NotUnderstoodError: there is one, and which of its columns holds the phrases cannot be told.
    """
    if re.search(r"<t[dh][\s>]", text, re.IGNORECASE):
        for tag, sign in _CELL_TAGS:
            text = tag.sub(sign, text)
    lines = [line.strip(" ") for line in text.splitlines() if line.strip()][:MOST]
    for number, line in enumerate(lines):
        if number and "|" in line and "-" in line and set(line) <= _RULE and "|" in lines[number - 1]:
            rows = _while_barred(lines[number + 1 :])
            return _column(_cells(lines[number - 1]), rows)
    barred = [_cells(line) for line in lines if len(line) > 2 and line[0] == line[-1] == "|"]
    if len(barred) > 1 and 2 * len(barred) >= len(lines):
        head = _is_head(barred[0])
        return _column(barred[0] if head else None, barred[1:] if head else barred)
    for sign in "\t,;":
        rows = _separated(lines, sign)
        if rows and (_is_head(rows[0], whole=True) or sign == "\t"):
            head = _is_head(rows[0], whole=True)
            return _column(rows[0] if head else None, rows[1:] if head else rows)
    return None


def _while_barred(lines):
    rows = []
    for line in lines:
        if "|" not in line:
            break
        if not set(line) <= _RULE:
            rows.append(_cells(line))
    return rows


def _cells(line):
    cells = _BAR.split(line.strip().removeprefix("|"))
    if cells and not cells[-1].strip():
        cells = cells[:-1]
    return [cell.replace("\\|", "|").strip(" *_`") for cell in cells]


def _separated(lines, sign):
    """The cells of lines that all have equally many, two or more; None for other lines."""
    lines = [line for line in lines if not line.startswith(("```", "~~~"))]
    if len(lines) < 2 or sign not in lines[0]:
        return None
    try:
        rows = list(csv.reader(lines, delimiter=sign, skipinitialspace=True))
    except csv.Error:
        return None
    if len({len(row) for row in rows}) != 1:
        return None
    return [[cell.strip() for cell in row] for row in rows]


def _is_head(cells, whole=False):
    names = _PHRASES, _MAYBE_PHRASES, _OTHERS
    known = [any(pattern.fullmatch(cell) for pattern in names) for cell in cells]
    return all(known) if whole else any(known)


def _has_letter(cell):
    return any(map(str.isalpha, cell))


def _column(head, rows):
    """The column of a table that holds the phrases."""
    width = max(map(len, rows), default=0)
    columns = [[row[n] for row in rows if n < len(row) and row[n]] for n in range(min(width, 20))]
    texts = [n for n, cells in enumerate(columns) if 2 * sum(map(_has_letter, cells)) > len(cells)]
    if head is not None:
        names = dict(enumerate(head[:20]))
        for pattern in (_PHRASES, _MAYBE_PHRASES):
            for n in texts:
                if len(texts) > 1 and pattern.fullmatch(names.get(n, "")):
                    return columns[n]
        texts = [n for n in texts if not _OTHERS.fullmatch(names.get(n, ""))] or texts
    if len(texts) > 1 and all(mostly_reasons(columns[n]) for n in texts[1:]):
        texts = texts[:1]
    if len(texts) > 1:
        raise NotUnderstoodError
    return columns[texts[0]] if texts else []
