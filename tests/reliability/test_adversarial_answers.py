"""Answers of 64 KB that were made to take long: read in a moment, and never as anything but clean phrases."""

import random
import time
import unicodedata

import pytest

from recbole_sam.generators import dialogue
from recbole_sam.generators.base import InterestRequest
from recbole_sam.generators.prompts import INTERESTS
from recbole_sam.generators.reading import phrases
from recbole_sam.llm import replies, scrub

SIZE = 64 * 1024
MOST_SECONDS = 0.05
REQUEST = InterestRequest("u", ("Steel Wrench", "Red Paper Pad"), 5, ((0, 1), (1, 0)))

REPEATED = [
    "\n", " ", "\t", "\r\n", "[", "]", "{", "}", "(", "[]", "{}", '"', "'", "“", "``", "```\n", "<think>",
    "</think>",
    "<thinking>\n", "<a>", "</a>", "<a>\n</a>", "<", ">", "<|", "|>", "<|x|>", "<|channel|>",
    "<|channel|>final", "◁think▷",
    "[THINK]", "[/THINK]", "<answer>", "<answer>x</answer>", "<!--", "-->", "<!-- -->", "|", "||", "|\n",
    "|a|\n", "| a | b |\n",
    "|-|\n", "---\n", "-", "- ", "- a\n", "*", "**", "**a**: b\n", "__", "#", "# ", "# a\n", ",", ", ",
    "a,", "a, ", ";", "、",
    "，", ".", "...", ":", "a: b\n", "1", "1.", "1. ", "1. a\n", "1 ", "(1)", "①", "a", "a ", "a\n",
    "ab cd\n", "A. ", "A. a\n",
    "\\", "\\n", "\\\\", '\\"', "\\u0041", "\x00", "\ud800", "\u2028", "\u200b", "é", "护", "护\n", "🧴",
    "a\u0301", "\ufeff",
    '{"a":', '["a",', '{"a": "b"}', '{"a": "b"}\n', '["a"]', '["a"]\n', "['a',", "[ ", "] ", "{ ", '"a": ',
    "null,", "1,", "-1e9,",
    "Sure! ", "Here are ", "Here are the interests: ", "I'm sorry, ", "I can't ", "i can't i ",
    "the customer ", "抱歉，", "，我",
    "Final answer:\n", "Answer: ", "Reasoning:\n", "Thinking...\n", "...done thinking.\n", "assistantfinal",
    "analysis",
    "<td>", "<tr><td>a</td></tr>", "&lt;think", "&lt;", "<think ", "<think a=", "</", "Bearer ",
    "sk-test-0123", "%", "a\tb\n", "a,b\n",
    "word ", "steel tools\n", "- steel tools: buys wrenches\n", "1) a 2) b ", "• ", "> ", "<3", "“a” ",
    "(a) ", "[ ] a\n", "no 1-",
]  # fmt: skip


def texts():
    for unit in REPEATED:
        yield repr(unit), (unit * (SIZE // len(unit) + 1))[:SIZE]
    for a, b in [
        ("[", "]"),
        ("{", "}"),
        ("<think>", "</think>"),
        ("(", ")"),
        ('["', '"]'),
        ("**", "**"),
        ("“", "”"),
    ]:
        yield f"{a} then {b}", a * (SIZE // 2 // len(a)) + b * (SIZE // 2 // len(b))
    for head in (
        '["a',
        "{",
        "<think",
        "| a |\n|---|\n",
        "[' ",
        "]",
        '["a"]',
        "```",
        "1. ",
        "x" * 100,
        "I'm sorry",
        "**a",
        "<|channel|>",
    ):
        for fill in ("\n", " ", "a", '"', ",", "\\", "护"):
            yield f"{head!r} and {fill!r}", head + fill * (SIZE - len(head))
    for seed in range(20):
        chance = random.Random(seed)
        yield f"a mixture, {seed}", "".join(chance.choice(REPEATED) for _ in range(SIZE // 2))[:SIZE]


CASES = dict(texts())


def seconds(function, *arguments):
    """Of this process alone, the best of three: a busy machine must not fail a test."""
    best = float("inf")
    for _ in range(3):
        phrases._undecorated.cache_clear()
        phrases._words.cache_clear()
        began = time.process_time()
        function(*arguments)
        best = min(best, time.process_time() - began)
        if best < MOST_SECONDS:
            break
    return best


STEPS = {
    "usable": lambda text: dialogue.usable(text, REQUEST, INTERESTS),
    "finished": replies.finished,
    "kept": lambda text: replies.kept(text, True),
    "message": lambda text: replies.outline(500, text, text),
    "scrub": lambda text: scrub.scrub(text, "sk-test-0123456789abcdef-SECRET"),
    "scrub_answer": lambda text: scrub.scrub_answer(text, "sk-test-0123456789abcdef-SECRET"),
    "error": lambda text: replies.embedded_error({"error": {"message": text, "code": text}}),
}


@pytest.mark.parametrize("step", STEPS)
def test_no_text_takes_long(step):
    cases = CASES if step in ("usable", "scrub_answer") else {name: CASES[name] for name in list(CASES)[::3]}
    slow = {
        name: took for name, text in cases.items() if (took := seconds(STEPS[step], text)) >= MOST_SECONDS
    }
    assert not slow, {name: round(took, 3) for name, took in sorted(slow.items(), key=lambda e: -e[1])}


def test_ten_megabytes_take_no_longer_than_what_is_read_of_them():
    for text in ("\n" * 10**7, "a, " * 10**6, "[" * 10**7, "<think>" * 10**6):
        assert seconds(phrases.parse_phrases, text, 5) < 4 * MOST_SECONDS


def test_what_is_kept_is_limited():
    for text in CASES.values():
        cut = replies.limited(text * 2)
        assert len(cut) <= replies.LONGEST and (text * 2).startswith(cut)
    assert replies.limited("steel tools\n" * 9000).endswith("steel tools")


def test_whatever_comes_out_is_a_clean_phrase():
    for name, text in CASES.items():
        found = phrases.parse_phrases(text, 5)
        assert len(found) <= phrases.MOST_LINES and phrases.distinct(found) == found, name
        for phrase in found:
            assert 0 < len(phrase) <= phrases.MAX_PHRASE_LENGTH and phrase == phrase.strip(), name
            assert not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in phrase), name
            assert "<think" not in phrase.lower() and "<|" not in phrase, name
