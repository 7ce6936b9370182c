"""The tables of the pages are what the kept ranks give."""

import pytest

from benchmarks import pages


@pytest.mark.parametrize("page", pages.PAGES, ids=lambda page: page.stem)
def test_tables_are_what_the_ranks_give(page):
    text = page.read_text(encoding="utf-8")
    assert text.count("<!-- table ") == len(pages.TABLE.findall(text)) > 0
    assert pages.filled(text) == text, "python -m benchmarks.pages --write"


def test_every_table_has_its_place():
    names = [name for page in pages.PAGES for _, name, *_ in pages.TABLE.findall(page.read_text("utf-8"))]
    assert sorted(names) == sorted([*pages.TABLES, "readme"])


def test_a_changed_number_is_found_and_mended(tmp_path, monkeypatch, capsys):
    page = tmp_path / "accuracy.md"
    right = pages.made("ml-100k-20")
    page.write_text("<!-- table ml-100k-20 -->\n\n" + right.replace(".1", ".2") + "\n<!-- end of table -->\n")
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    monkeypatch.setattr(pages, "PAGES", (page,))
    assert pages.main([]) == 1 and "accuracy.md: not what the ranks give" in capsys.readouterr().out
    assert pages.main(["--write"]) == 0
    assert right in page.read_text() and pages.main([]) == 0
    head, line, *rows = right.splitlines()
    assert head.count("|") == line.count("|") == rows[0].count("|") == rows[1].count("|") == 11
    assert rows[2].startswith("| SAM, `final_norm=False`, `text_encoder_dim=128` | 5 | .1413 | .1818 ")
    assert "(-4.5%, p .697)" in rows[3]


def test_a_row_without_a_trial_is_told(monkeypatch):
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


def test_a_table_of_before_final_norm_does_not_repeat_it():
    label = f"{pages.KNN}:text_encoder_dim=128"
    assert pages.shown(label) == "SAM, `final_norm=False`, `item_knn`, `text_encoder_dim=128`"
    assert pages.shown(label, pages.KNN) == "SAM, `item_knn`, `text_encoder_dim=128`"
    assert pages.shown(pages.BEFORE, pages.KNN) == "SAM"
    assert pages.shown(pages.BEST, pages.KNN) == "**SAM, tuned**"
