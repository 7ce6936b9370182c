"""The tables of the pages are what the kept ranks give."""

import pytest

from benchmarks import pages


@pytest.mark.parametrize("page", [pages.ACCURACY, pages.README], ids=["accuracy", "readme"])
def test_tables_are_what_the_ranks_give(page):
    text = page.read_text(encoding="utf-8")
    assert text.count("<!-- table ") == len(pages.TABLE.findall(text)) > 0
    assert pages.filled(text) == text, "python -m benchmarks.pages --write"


def test_every_table_has_its_place():
    names = pages.TABLE.findall(pages.ACCURACY.read_text(encoding="utf-8"))
    assert {name for _, name, *_ in names} == set(pages.TABLES)


def test_a_changed_number_is_found_and_mended(tmp_path, monkeypatch, capsys):
    page = tmp_path / "accuracy.md"
    right = pages.made("ml-100k-20")
    page.write_text("<!-- table ml-100k-20 -->\n\n" + right.replace(".1", ".2") + "\n<!-- end of table -->\n")
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    monkeypatch.setattr(pages, "ACCURACY", page)
    monkeypatch.setattr(pages, "README", page)
    assert pages.main([]) == 1 and "accuracy.md: not what the ranks give" in capsys.readouterr().out
    assert pages.main(["--write"]) == 0
    assert right in page.read_text() and pages.main([]) == 0
    head, line, best, other, *_ = right.splitlines()
    assert head.count("|") == line.count("|") == best.count("|") == other.count("|") == 11
    assert best.startswith("| SAM | 5 | .1413 | .1818 ") and "(-4.8%, p .100)" in other
