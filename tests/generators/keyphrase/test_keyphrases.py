"""Phrases of 2 to 5 words from a group's titles."""

import pytest

from recbole_sam.generators.base import COMPLETE, InterestRequest
from recbole_sam.generators.extractive import ExtractiveGenerator
from recbole_sam.generators.keyphrase.keyphrases import KeyphraseGenerator
from recbole_sam.generators.keyphrase.title_words import Lexicon, folded, phrases_in, words_of

ITEMS = [
    *[(f"{b} {c} Gel Pen Set, {n} Colors", b, "Gel Pens") for b in ("Pilo", "Zebo") for c in ("Fine", "Bold")
      for n in (12, 24, 48)],
    *[(f"{b} All-in-One Inkjet Printer, Model {b[0]}X-{n}", b, "Printers") for b in ("Epsa", "Brotha")
      for n in range(5)],
    *[(f"{b} Ring Binder, {n}-inch, Pack of {n}", b, "Binders") for b in ("Avera", "Kardo")
      for n in range(1, 5)],
    *[(f"{b} Premium Copy Paper {n} Sheets", b, "Paper") for b in ("Hamer", "Domta") for n in range(1, 5)],
]  # fmt: skip


def ask(generator, *groups):
    """The phrases for groups of titles."""
    titles = [title for group in groups for title in group]
    positions, start = [], 0
    for group in groups:
        positions.append(tuple(range(start, start + len(group))))
        start += len(group)
    [answer] = generator.generate([InterestRequest("u", tuple(titles), len(groups), tuple(positions), True)])
    assert answer.status == COMPLETE and len(set(answer.phrases)) == len(answer.phrases) == len(groups)
    return answer.phrases


def titles_of(category, count=3):
    return [title for title, _, own in ITEMS if own == category][:count]


def test_phrases_say_what_a_group_is():
    generator = KeyphraseGenerator([(title, brand, "") for title, brand, _ in ITEMS])
    pens, printers, binders = ask(generator, *map(titles_of, ("Gel Pens", "Printers", "Binders")))
    assert "gel pen" in pens and "inkjet printer" in printers and "ring binder" in binders


@pytest.mark.parametrize("branded", [True, False])
def test_no_brand_number_size_or_marketing(branded):
    """Brands by their column, or by standing at the start of titles."""
    generator = KeyphraseGenerator([(title, brand if branded else "", "") for title, brand, _ in ITEMS])
    brands = {brand.lower() for _, brand, _ in ITEMS}
    for category in {category for _, _, category in ITEMS}:
        for count in (1, 3):
            [phrase] = ask(generator, titles_of(category, count))
            words = phrase.lower().split()
            assert 2 <= len(words) <= 5
            assert not brands & set(words) and not any(map(str.isdigit, phrase))
            assert not {"premium", "pack", "inch", "colors", "sheets", "model"} & set(words)


def test_the_categories_name_is_a_candidate():
    items = [(f"Acma Bolt M{n} Zinc", "Acma", "Hex Head Fasteners") for n in range(9)] + ITEMS
    [phrase] = ask(KeyphraseGenerator(items), [title for title, _, _ in items[:3]])
    assert phrase == "hex head fasteners"


def test_two_groups_of_one_kind_get_different_phrases():
    generator = KeyphraseGenerator(ITEMS)
    pens = titles_of("Gel Pens", 12)
    first, second = ask(generator, pens[:6], pens[6:])
    assert first != second


def test_a_title_without_words_is_its_own_phrase():
    generator = KeyphraseGenerator([*ITEMS, ("2000", "", ""), ("!!!", "", "")])
    assert ask(generator, ["2000"], ["!!!"]) == ("2000", "!!!")


def test_a_catalogue_without_words_gives_its_titles():
    [phrase] = ask(KeyphraseGenerator([("2000", "", ""), ("31", "", "")]), ["2000"])
    assert phrase == "2000"


def test_groups_of_routing_are_answered_too():
    titles = tuple(titles_of("Gel Pens") + titles_of("Printers"))
    request = InterestRequest("u", titles, 2, ((0, 1, 2, 3, 4, 5), (4, 5, 3, 0, 1, 2)))
    [answer] = KeyphraseGenerator(ITEMS).generate([request])
    assert "gel pen" in answer.phrases[0] and "printer" in answer.phrases[1]


def test_the_order_of_items_changes_nothing():
    requests = [titles_of(category) for category in ("Gel Pens", "Printers", "Binders")]
    assert ask(KeyphraseGenerator(ITEMS), *requests) == ask(KeyphraseGenerator(ITEMS[::-1]), *requests)


def sold(brands, names, sizes):
    """Titles of every brand, name and size; names have a ``{}`` for the size."""
    return [f"{brand} {name.format(size)}" for brand in brands for name in names for size in sizes]


CHINESE = [title.replace(" ", "", 1) for title in (
    *sold(("华为", "小米"), ("无线蓝牙耳机 入耳式 {}小时", "无线蓝牙耳机 头戴式 {}小时"), (5, 8)),
    *sold(("富光", "哈尔斯"), ("不锈钢保温杯 {}毫升",), (350, 500, 800)),
)]  # fmt: skip
GERMAN = [
    *sold(("Emso", "Sigo"), ("Edelstahl Trinkflasche für Kinder, {} ml",), (300, 500, 750)),
    *sold(("Schneida", "Pelika"), ("Kugelschreiber mit blauer Mine, {} Stück",), (10, 20, 50)),
]
ARABIC = [
    *sold(("سوني", "جيبرا"), ("سماعات بلوتوث لاسلكية {} ساعة",), (5, 8, 10)),
    *sold(("ستانلي", "كونتيجو"), ("زجاجة ماء حرارية {} مل",), (350, 500, 750)),
]


@pytest.mark.parametrize(
    ("titles", "first", "expected"),
    [
        (CHINESE, slice(0, 4), "蓝牙耳机"),
        (CHINESE, slice(8, 11), "保温杯"),
        (GERMAN, slice(0, 3), "edelstahl trinkflasche"),
        (GERMAN, slice(6, 9), "kugelschreiber"),
        (ARABIC, slice(0, 3), "سماعات بلوتوث"),
        (ARABIC, slice(6, 9), "زجاجة ماء"),
    ],
)
def test_other_languages(titles, first, expected):
    [phrase] = ask(KeyphraseGenerator([(title, "", "") for title in titles]), titles[first])
    assert expected in phrase and not any(map(str.isdigit, phrase))
    assert not {"stück", "ml", "ساعة", "مل"} & set(phrase.split())


def test_words_are_read_in_runs_and_numbers_are_left_out():
    runs = words_of("Acma's 3D-Printer Filament 1.75mm, Pack of 6 & 2 Spools (Black)")
    assert [[token.key for token in run] for run in runs] == [
        ["acma", "filament"], ["pack", "of", "and", "spool"], ["black"],
    ]  # fmt: skip
    beside = {token.key for run in runs for token in run if token.beside_number}
    assert beside == {"pack", "spool"}
    assert [folded(word) for word in ("Batteries", "Pens", "glass", "Nexus", "Bus")] == [
        "battery", "pen", "glass", "nexus", "bus",
    ]  # fmt: skip


def test_a_unit_is_what_stands_beside_numbers():
    lexicon = Lexicon(
        ["Rope 5 fathoms", "Line 9 fathoms", "Cord, 3 fathoms", "Cord and line"], [""] * 4, [""] * 4
    )
    assert lexicon.units == {"fathom"}
    assert list(phrases_in("Cord 3 fathoms line", lexicon)) == []


def test_titles_as_phrases_stay_a_setting():
    [answer] = ExtractiveGenerator().generate([InterestRequest("u", ("a b", "c d"), 2, ((1,), (0,)), True)])
    assert answer.phrases == ("c d", "a b")
