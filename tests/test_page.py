import builtins
import html.parser

import pytest

from recbole_sam import page
from recbole_sam.errors import DataError


def test_without_matplotlib_it_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DataError, match=r"pip install matplotlib"):
        page.drawing("--report")


class Cells(html.parser.HTMLParser):
    """The texts of all cells, and those that are bold."""

    def __init__(self, text):
        super().__init__()
        self.cells, self.bold, self.inside = [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.inside = tag == "b" or self.inside and tag != "td"

    def handle_data(self, data):
        self.cells.append(data)
        if self.inside:
            self.bold.append(data)


def test_a_table_shows_any_text_as_text():
    cells = Cells(page.table(["a <b>", "n"], [["x & y", "1"], ["<script>", "2"]], bold={(1, 1)}))
    assert cells.cells == ["a <b>", "n", "x & y", "1", "<script>", "2"] and cells.bold == ["2"]


def test_a_page_is_whole():
    made = page.whole("<title>", "<p>body</p>")
    assert made.startswith("<!doctype html>") and "<title>&lt;title&gt;</title>" in made
    assert made.count("<p>body</p>") == 1 and made.endswith("</html>\n")


def test_equal_figures_give_equal_drawings():
    drawn = []
    for _ in range(2):
        figure = page.drawing("a test").Figure()
        axes = figure.subplots()
        axes.bar([1, 2], [3, 4])
        page.tidy(axes)
        drawn.append(page.svg(figure))
    assert drawn[0] == drawn[1] and drawn[0].startswith("<svg") and "</svg>" in drawn[0]
