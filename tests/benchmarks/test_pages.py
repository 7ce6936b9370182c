"""The tables of the pages are what the kept ranks give."""

import math

import pytest

from benchmarks import pages


@pytest.mark.parametrize("page", pages.PAGES, ids=lambda page: f"{page.parent.name}-{page.stem}")
def test_tables_are_what_the_ranks_give(page):
    text = page.read_text(encoding="utf-8")
    marks = sum(text.count(f"<!-- {form} ") for form in ("table", "short", "fair"))
    assert marks == len(pages.TABLE.findall(text)) > 0
    assert pages.filled(text) == text, "python -m benchmarks.pages --write"


def test_every_table_stands_once_in_full():
    found = [mark for page in pages.PAGES for mark in pages.TABLE.findall(page.read_text("utf-8"))]
    assert sorted(name for _, form, name, *_ in found if form == "table") == sorted([*pages.TABLES, "readme"])
    assert {name for _, form, name, *_ in found if form == "short"} <= {*pages.TABLES, "readme"}


def test_a_changed_number_is_found_and_fixed(tmp_path, monkeypatch, capsys):
    page = tmp_path / "accuracy.md"
    right = pages.made("ml-100k-20")
    page.write_text("<!-- table ml-100k-20 -->\n\n" + right.replace(".1", ".2") + "\n<!-- end of table -->\n")
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    monkeypatch.setattr(pages, "PAGES", (page,))
    assert pages.main([]) == 1 and "accuracy.md: differs from the ranks" in capsys.readouterr().out
    assert pages.main(["--write"]) == 0
    assert right in page.read_text() and pages.main([]) == 0
    head, line, *rows = right.splitlines()
    assert all(row.count("|") == 11 for row in (head, line, *rows))
    assert rows[0].startswith("| SAM | 3 | ") and " (" not in rows[0]


def cells(name, form):
    rows = (row.strip("| ").split(" | ") for row in pages.made(name, form).splitlines())
    return [row for row in rows if not row[0].startswith("---")]


def test_the_short_form_shows_the_same_comparison():
    full, short = cells("precision", "table"), cells("precision", "short")
    assert [row[:2] for row in full] == [row[:2] for row in short] and {len(row) for row in short} == {6}
    for (*_, hit, ndcg, long, _, _, _, _), (_, _, *few, spread, difference) in zip(full, short, strict=True):
        assert [hit, ndcg] == few and long.split(" ")[0] == spread.split(" ")[0]
        assert difference in ("base", "difference") or difference.split("%")[0] in long


def test_the_short_form_of_a_masked_comparison_ends_with_the_masked_metric():
    full, short = cells("ablation-masked", "table"), cells("ablation-masked", "short")
    assert short[0][-2:] == ["NDCG@10, masked", "difference"] and len(full) == len(short)
    for (name, seeds, _, hit, ndcg, _, masked, *_), (*few, spread, difference) in zip(
        full, short, strict=True
    ):
        assert [name, seeds, hit, ndcg] == few
        assert spread == "NDCG@10, masked" or masked.split(" ")[0] == spread.split(" ")[0]
        assert difference in ("base", "difference") or difference.split("%")[0] in masked


def test_the_fair_form_says_what_is_read_and_shows_both_rankings():
    head, *rows = cells("industrial-scientific-masked", "fair")
    assert head == list(pages.FAIR_COLUMNS) and rows
    masked = [row[-1].rstrip(" *†") for row in rows]
    assert masked == sorted(masked, reverse=True)
    seeds = {row[0]: row[1] for row in cells("industrial-scientific-masked", "table")}
    assert {row[-1].endswith("†") for row in rows} == {True, False}
    for name, *_, value in rows:
        assert value.endswith("†") == (seeds.get(name, seeds.get(name + pages.READS_TITLES)) == "1"), name
    named = {row[0]: row for row in rows}
    assert named["SAM"][1] == "titles, bias, interests" and not any("*" in value for value in named["SAM"])
    short = {row[0]: row for row in cells("readme", "table")[1:]}
    assert set(short) == set(pages.README_ROWS.values())
    assert short["**SAM**"][1:3] == [named["SAM"][1], named["SAM"][-1]]


@pytest.mark.parametrize(
    "label, words",
    [
        ("SASRec", "none"), ("SASRecText:item_text=False", "none"), ("EIMF", "interests"),
        ("SAM:interest_control=constant", "titles, bias"),
        ("ComiRec:item_text=True:repeat_bias=True", "titles, bias"),
    ],
)  # fmt: skip
def test_what_a_model_reads(label, words):
    assert pages.reads(label) == words


@pytest.mark.parametrize(
    "p, text", [(None, "base"), (0.04, "-1.2% *"), (0.05, "-1.2%"), (math.nan, "-1.2% (one seed)")]
)
def test_a_star_marks_what_is_significant(p, text):
    assert pages._marked(-0.0123, p) == text


def test_a_row_without_a_trial_is_refused(monkeypatch):
    monkeypatch.setitem(pages.TABLES, "few", pages.Table("ml-100k-20", "SAM", ("SAM:n_layers=7",)))
    with pytest.raises(KeyError, match=r"ml-100k-20 holds no trial of \['SAM:n_layers=7'\]"):
        pages.made("few")


@pytest.mark.parametrize(
    "label, text",
    [
        ("SAM", "SAM"),
        ("SAM:item_knn=True:text_encoder_dim=128", "SAM, `item_knn`, `text_encoder_dim=128`"),
        ("SASRecText:repeat_bias=True", "SASRecText, `repeat_bias` (reads titles too)"),
        ("SINE", "SINE (RecBole)"),
        (pages.PUBLISHED, "SAM, published architecture"),
    ],
)
def test_entries_are_named_for_readers(label, text):
    assert pages.shown(label) == text


def test_a_table_without_final_norm_does_not_repeat_it():
    label = f"{pages.KNN}:text_encoder_dim=128"
    assert pages.shown(label) == "SAM, `final_norm=False`, `item_knn`, `text_encoder_dim=128`"
    assert pages.shown(label, pages.KNN) == "SAM, `item_knn`, `text_encoder_dim=128`"
    assert pages.shown(pages.BEFORE, pages.KNN) == "SAM"
    assert pages.shown(pages.BEST, pages.KNN) == "**SAM, tuned**"
