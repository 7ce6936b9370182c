"""Taking a model's thoughts out of its answer, whatever they are marked with. Pure functions, linear.

What precedes a mark of the final answer is dropped. Thoughts that never end leave nothing: better no answer,
which is asked for again, than a thought that is taken for one.
"""

import re

MOST_MARKS = 3_000
"""Brackets; a text with more of them is no answer of any kind."""
_BRACKETS = "<", "&lt;", "[", "{", "【", "◁"

_NAMES = (
    r"(?:\w{1,20}[:_])?(?:think(?:ing|s)?|thoughts?|thought[_-]?process|reason(?:s|ing)?|reflect(?:ions?|ing)?"
    r"|analy[sz](?:e|is|ing)|scratch[_-]?pad|cot|chain[_-]of[_-]thoughts?|(?:inner[_-]?)?monologue|inner[_-]?\w{1,20}"
    r"|deliberat(?:e|ion)|plan(?:ning)?|brainstorm(?:ing)?|drafts?|critique|self[_-]?\w{1,20}|internal(?:_\w{1,20})?"
    r"|rationale|explanations?|justifications?|commentary|evidence|details|context|observations?|steps?|notes?"
    r"|cot_budget_reflect|思考(?:过程)?|思维|推理|分析)"
)
_FINALS = (
    r"(?:final(?:[_ -]?(?:answer|output|response|list|interests?))?|answers?|response|solution|output"
    r"|results?"
    r"|(?:\w{1,20}_)?(?:interests|phrases|list|topics|keywords)(?:_list)?|最终答案|答案)"
)
_HEAD = r"^[>#*_\- \t]{0,12}"
_COLON = r"[ \t]*[*_]{0,3}[ \t]*[:：][*_]{0,3}"
# Everything that a mark can be, in one pass. Each alternative begins with a character that starts few others.
_MARK = re.compile(
    rf"""(?:<|&lt;)(?:
        (?P<slash>/)?\s?(?:(?P<thought>{_NAMES})|(?P<final>{_FINALS}))(?=[\s/>&])(?:\s[^<>\n]{{0,200}})?(?:>|&gt;)
      | \|(?P<end>/|end_?(?:of_?)?)?(?:begin_?(?:of_?)?|start_?(?:of_?)?)?
        (?:(?P<pipe_thought>think(?:ing)?|thoughts?|reason(?:ing)?|analysis|cot)|(?P<pipe_final>solution|{_FINALS}))\|>
      | \|channel\|?>[ \t]*(?:
          (?P<channel_final>final\b
            (?:[^\n<]{{0,40}}(?:<\|\w{{1,20}}\|>[^\n<]{{0,40}}){{0,3}}?<\|message\|>)?)
          |(?P<channel_thought>[a-z]{{2,20}}))
      | (?P<channel_close>channel\|>)
      )
      | [\[【](?P<bracket_slash>/)?(?:
          (?P<bracket>THINK(?:ING)?|THOUGHTS?|REASON(?:ING)?|ANALYSIS|思考(?:过程)?)
          |(?P<bracket_final>FINAL(?:[ ]ANSWER)?|ANSWER))[\]】]
      | ◁(?P<triangle>/)?(?:think|thinking)▷
      | (?P<glued>assistantfinal)
      | (?P<done>^\.{{3}}done\ thinking\.)
    """,
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
# Without any of these there is no mark.
_BEGINS_BEFORE = re.compile(r"[<&\[【◁]|assistant|\.\.\.done", re.IGNORECASE)
# In words: what follows such a line is the answer ...
_FINAL_LINE = re.compile(
    rf"""{_HEAD}(?:\d{{1,2}}\.[ \t])?
      (?:(?:so|thus|therefore|here(?:['’]s|\ is|\ are)|my|the|our)[, \t]{{1,3}}){{0,3}}(?:
        final\ (?:answers?|list|interests?|output|response|results?|phrases?|selection|version)
          (?:[^:：\n]{{0,40}}{_COLON}|[ \t]*[*_#]{{0,4}}[ \t]*$)
      | (?:answers?|output|response|results?|(?:customer\ |user\ |inferred\ )?(?:interests|兴趣)){_COLON}
      | (?:最终|最后)(?:答案|结果|列表|兴趣|输出)(?:[^:：\n]{{0,20}}{_COLON}|[ \t]*[*_#]{{0,4}}[ \t]*$)
      | (?:答案|回答){_COLON}
    )""",
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
# ... and what follows such a one is not, up to a line of the first kind.
_THOUGHT_LINE = re.compile(
    rf"""{_HEAD}(?:my[ ]|the[ ])?(?:(?:thoughts?|thinking|reasoning|analysis|chain[ ]of[ ]thought
        |inner[ ]monologue|step[- ]by[- ]step(?:[ ]\w{{1,12}})?)(?:[ ]process)?
        |(?:思考|分析|推理)(?:过程)?)
      (?:{_COLON}|[ \t]*[*_#]{{0,4}}[ \t]*$|\.{{3}}[ \t]*$)""",
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
_GLUED_BEGINNING = re.compile(r"\s*(?:analysis|commentary)(?=[A-Z])")
_COMMENT = re.compile(r"<!--|-->")
_ELEMENT = re.compile(r"<(?P<slash>/)?(?P<name>[a-zA-Z][\w:-]{0,40})(?:\s[^<>\n]{0,200})?>")
_HTML = set(
    "a b i u s p em strong code pre br hr div span ul ol li dl dt dd table thead tbody tr td th small".split()
)
_THOUGHT_FENCE = re.compile(
    r"^[ \t]*(```|~~~)[ \t]*(?:think(?:ing)?|thoughts?|reasoning|analysis|scratchpad)\b[^\n]*$",
    re.IGNORECASE | re.MULTILINE,
)


def without_thoughts(text):
    """What a model answered.

    Args:
        text (str): all that it wrote.

    Returns:
        str: without thoughts, and without what precedes a mark of the final answer.
    """
    if sum(map(text.count, _BRACKETS)) > MOST_MARKS:
        return ""
    if _BEGINS_BEFORE.search(text):
        text = _without_unknown(_without_marked(_without_comments(text)))
    elif _GLUED_BEGINNING.match(text):
        return ""
    return _without_spoken(_without_fenced(text) if "```" in text or "~~~" in text else text)


def _without_marked(text):
    """Without what stands between marks; all of it when the last one is not closed."""
    kept, start, thinking = [], 0, bool(_GLUED_BEGINNING.match(text))
    found_final = in_final = again = False
    for number, mark in enumerate(_MARK.finditer(text)):
        if number > MOST_MARKS // 3:
            return ""
        found = mark.groupdict()
        closing = any(found[name] for name in ("slash", "end", "bracket_slash", "triangle"))
        if any(found[name] for name in ("final", "pipe_final", "channel_final", "bracket_final", "glued")):
            if thinking and closing:
                continue
            if in_final:
                kept.append(text[start : mark.start()])
            elif not closing and (thinking or again or not found_final):  # several in a row are one answer
                kept = []
            if in_final or not closing:
                start, thinking, again, found_final, in_final = mark.end(), False, False, True, not closing
        elif closing or found["channel_close"] or found["done"]:
            if not thinking and not found_final and not found["channel_close"]:
                kept = []  # the thought began before the answer did, in the prompt
            if thinking or not found_final:
                start, thinking = mark.end(), False
        elif not mark[0].endswith(("/>", "/&gt;")) and not thinking:
            if in_final or not found_final:
                kept.append(text[start : mark.start()])
            thinking, again = True, found_final and not in_final
    if thinking:
        return ""
    if in_final or not found_final:
        kept.append(text[start:])
    return "\n".join(kept)


def _without_unknown(text):
    """Without elements of several lines whose names we do not know, where the answer follows them.

    Where nothing follows the last one, it is the answer; empty where more than a heading precedes that.
    """
    opened, elements = None, []
    for mark in _ELEMENT.finditer(text):
        name = mark["name"].lower()
        if opened is None and not mark["slash"] and name not in _HTML:
            opened = mark
        elif opened is not None and mark["slash"] and name == opened["name"].lower():
            inner = text[opened.end() : mark.start()]
            if "\n" in inner.strip():
                elements.append((opened.start(), mark.end(), inner))
            opened = None
    if not elements:
        return text
    kept, end = [], 0
    for first, last, _ in elements:
        kept.append(text[end:first])
        end = last
    if any(map(str.isalpha, text[end:])):
        return "\n".join([*kept, text[end:]])
    before = "\n".join(kept).strip()
    return "" if "\n" in before else elements[-1][2]


def _without_fenced(text):
    """Without code fences that say they hold thoughts; empty when one is not closed."""
    kept, start = [], 0
    while (fence := _THOUGHT_FENCE.search(text, start)) is not None:
        kept.append(text[start : fence.start()])
        end = re.compile(rf"^[ \t]*{fence[1]}[ \t]*$", re.MULTILINE).search(text, fence.end())
        if end is None:
            return ""
        start = end.end()
    return "".join([*kept, text[start:]])


def _without_comments(text):
    """Without HTML comments."""
    if "<!--" not in text:
        return text
    kept, start, inside = [], 0, False
    for mark in _COMMENT.finditer(text):
        if mark[0] == "<!--" and not inside:
            kept.append(text[start : mark.start()])
            inside = True
        elif mark[0] == "-->" and inside:
            start, inside = mark.end(), False
    return "".join(kept) if inside else "".join([*kept, text[start:]])


def _without_spoken(text):
    """Without what stands under a heading such as "Reasoning:", and what precedes "Final answer:"."""
    finals = [mark.end() for mark in _FINAL_LINE.finditer(text)]
    text = text[finals[-1] :] if finals else text
    for thought in _THOUGHT_LINE.finditer(text):
        heading = thought[0].strip()
        if heading.endswith("...") or re.search("[:：]", heading) or heading[0] in "#*_":
            return text[: thought.start()]
    return text
