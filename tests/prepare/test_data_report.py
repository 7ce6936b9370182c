import html.parser
import math

import numpy as np
import pytest

from recbole_sam.page import drawing
from recbole_sam.prepare import dataset_page, filters
from recbole_sam.prepare.conversion import Source, number_cells, prepare
from recbole_sam.prepare.folder import REPORT, SYNTHETIC_MARKER
from recbole_sam.prepare.interactions import collect
from recbole_sam.prepare.items import Item
from recbole_sam.prepare.sources.skips import Skips

VOID = {"meta", "path", "use", "br"}


pytest.importorskip("matplotlib", reason="the extra [report] is not installed")


def made(folder, start=1_400_000_000, titles=("Soap 5 < 6 & Co", "Comb")):
    """Four users with six items each, 40 days apart."""
    rows = [(f"u{u}", f"i{i}", math.nan, start + 40 * 86_400 * i) for u in range(4) for i in range(6)]
    items = [Item(f"i{n}", title) for n, title in enumerate(titles)]
    skips = Skips()
    skips.add("negative time", folder, 1)
    files = (folder.parent / "source.csv",)
    files[0].write_text("x")
    source = Source("a <test>", rows, skips, files, lambda wanted: items, lines=99)
    prepare(folder, source, filters.Filters(k_core="none"))
    dataset_page.write_report(folder)


class Balanced(html.parser.HTMLParser):
    """Fails on tags that are not closed in order; collects addresses."""

    def __init__(self, page):
        super().__init__()
        self.open, self.links = [], []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.links += [value for name, value in attributes if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "x"
    made(folder)
    return folder


@pytest.fixture(scope="module")
def page(folder):
    return (folder / "report.html").read_text(encoding="utf-8")


def test_the_page_is_whole_and_needs_no_other_file(folder, page):
    links = [link for link in Balanced(page).links if not link.startswith("#")]
    assert links == []
    assert page.count("<svg") == 4
    assert {path.name for path in folder.glob("report*")} == set(REPORT)


def test_what_the_page_says(page):
    assert "Soap 5 &lt; 6 &amp; Co" in page
    assert "a &lt;test&gt;" in page
    assert "negative time" in page
    assert "its publisher says 99" in page
    assert "2014-05-13" in page
    assert page.count('<span class="role test">') == 4
    assert "<code>i5</code>" in page  # an item without a title
    assert "synthetic" not in page


def test_equal_data_gives_an_equal_page(folder, page):
    assert dataset_page.write_report(folder).read_text(encoding="utf-8") == page


def test_positions_are_not_dates_and_synthetic_data_is_said_to_be(tmp_path):
    made(tmp_path / "x", start=0, titles=("",))
    (tmp_path / "x" / SYNTHETIC_MARKER).write_text("invented")
    again = dataset_page.write_report(tmp_path / "x").read_text(encoding="utf-8")
    assert "synthetic" in again
    assert "1970" not in again
    assert again.count("<svg") == 2


def test_numbers():
    rows = [("u", "a", 1, 1), ("u", "b", 1, 2), ("v", "a", 1, 3)]
    shown = dataset_page.summarise(collect(rows), {"a": "Soap", "b": ""})
    assert shown == {
        "users": "2",
        "items": "2",
        "interactions": "3",
        "sparsity": "25.00 %",
        "mean history": "1.5",
        "median history": "2",
        "longest history": "2",
        "items with a title": "50.0 %",
        "interactions with a title": "66.7 %",
    }


def test_whole_numbers_beyond_64_bits_stay_what_they_are():
    assert number_cells(np.array([3.0, 1e19])) == [3, 1e19]
    assert number_cells(np.array([-(2.0**62), 2.0**63, np.nan, np.inf])) == [-(2**62), 2.0**63, "", np.inf]


@pytest.mark.parametrize("values", [[1], [5] * 9, [1, 10_000], list(range(1, 500)), [0, 0, 3]])
def test_a_histogram_shows_everyone(values):
    axes = drawing("a test").Figure().subplots()
    dataset_page._draw_histogram(axes, np.array(values), "x", "y")
    assert sum(bar.get_height() for bar in axes.patches) == len(values)
