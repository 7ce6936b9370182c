import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas._libs.parsers import STR_NA_VALUES

from recbole_sam.prepare.text import MAX_TITLE, MISSING_MARKS, clean_title, clean_token, looks_like_code


@pytest.mark.parametrize(
    ("published", "clean"),
    [
        ("Plain Title, 8 oz", "Plain Title, 8 oz"),
        ("Salt &amp; Pepper", "Salt & Pepper"),
        ("Twice &amp;amp; escaped", "Twice & escaped"),
        ("<b>Bold</b> claim<br/>here", "Bold claim here"),
        ("&lt;span class=x&gt;Soap&lt;/span&gt;", "Soap"),
        ("tab\there\r\nand\n\nlines", "tab here and lines"),
        ("  many   spaces\u00a0\u2003", "many spaces"),
        ("bell\x07 and nul\x00", "bell and nul"),
        ("soft\u00adhyphen\ufeff", "softhyphen"),
        ("half \ud83d a pair", "half a pair"),
        ('12" ruler, "the best"', '12" ruler, "the best"'),
        ("I <3 soap, 5 < 6 > 4", "I <3 soap, 5 < 6 > 4"),
        ("Crème brûlée 保湿", "Crème brûlée 保湿"),
        ("Lip Balm<script>alert(1)</script>", "Lip Balm"),
        ("Lip Balm<style>.a{color:red}", "Lip Balm"),
        ("", ""),
        (None, ""),
    ],
)
def test_titles_come_out_as_plain_text(published, clean):
    assert clean_title(published) == clean


@pytest.mark.parametrize(
    "code",
    [
        "var aPageStart = (new Date()).getTime();",
        "\n\n var ue_t0=ue_t0||+new Date();",
        "(function(e){var c=e;document.write(c)})",
        "window.ue_ihb = 1;",
        ".a-section { margin-bottom: 22px }",
        "<script>var x = 1;</script>",
        "function go() { return }",
    ],
)
def test_scraped_code_is_no_title(code):
    assert clean_title(code) == ""


@pytest.mark.parametrize(
    "title",
    [
        "Function Generator {2 channels}, 10 MHz",
        "Window. Cleaner",
        "Var Meter; let = allow",
        "Document Holder (A4)",
        "Style: Modern Lamp",
        "Braces {set of 2}: steel",
    ],
)
def test_products_that_merely_sound_like_code_keep_their_title(title):
    assert not looks_like_code(title)
    assert clean_title(title) == title


def test_an_absurdly_long_title_is_cut_between_words():
    cut = clean_title("word " * 1000)
    assert len(cut) <= MAX_TITLE
    assert set(cut.split()) == {"word"}
    assert len(clean_title("x" * 5000)) == MAX_TITLE


def test_a_pasted_text_takes_milliseconds():
    started = time.perf_counter()
    assert clean_title("lorem ipsum dolor " * 6000).startswith("lorem ipsum")
    assert time.perf_counter() - started < 1  # it took several


@given(st.text(alphabet=st.sampled_from('ab <>/&;#amplt"\t\n\x00{}=\ud800\u200b'), max_size=60))
def test_cleaning_twice_changes_nothing(text):
    once = clean_title(text)
    assert clean_title(once) == once
    assert "\t" not in once and "\n" not in once
    once.encode("utf-8")


def test_missing_marks_are_those_of_pandas():
    assert MISSING_MARKS == set(STR_NA_VALUES)


@pytest.mark.parametrize("token", ["", "  ", None, "NA", "null", "[PAD]", "a\tb", "a\nb", "\udc00"])
def test_ids_recbole_cannot_carry_are_refused(token):
    assert clean_token(token) == ""


def test_usable_ids_keep_their_spelling():
    assert clean_token(" 007 ") == "007"
    assert clean_token('with "quotes" and spaces') == 'with "quotes" and spaces'
