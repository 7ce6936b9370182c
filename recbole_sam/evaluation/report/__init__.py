"""What a comparison looks like: on the terminal, in files, on a page."""

import csv
import re

import pandas as pd

from recbole_sam.evaluation.report import html, latex, markdown, plots, provenance, terminal
from recbole_sam.prepare.sources.delimited import as_text

__all__ = ["terminal", "write_all"]


def write_all(results, folder):
    """Writes every output beside the run.

    Args:
        results (Results): the comparison.
        folder (Path): of the run; files of the same names are replaced.

    Returns:
        list of Path: ``summary.csv``, ``costs.csv``, ``report.md``, ``report.tex``, ``report.html``, and the
        figures as PNG and SVG.
    """
    drawn = plots.figures(results)
    texts = {
        "summary.csv": _csv(results, results.summary),
        "costs.csv": _csv(results, results.costs),
        "report.md": markdown.text(results),
        "report.tex": latex.text(results),
        "report.html": html.text(results, drawn, folder),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts] + plots.write(results, drawn, folder / "figures")


def _csv(results, frame):
    """A table that ``pandas.read_csv(file, comment="#")`` reads, under lines that say where it comes from.

    Texts are quoted, so that a # in one of them begins no comment, and none is a formula to a spreadsheet.
    """
    lines = [f"# {name}: {_plain(text)}" for name, text in provenance.lines(results)]
    safe = frame.copy()
    for column, cells in frame.items():
        if any(as_text(cell) is not cell for cell in cells):
            safe[column] = pd.Series(map(as_text, cells), frame.index, cells.dtype)
    return "\n".join(lines) + "\n" + safe.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC)


def _plain(text):
    """A comment on one line; a spreadsheet splits it into cells, none of which may be a formula."""
    return re.sub(r"([,;])(?=[=+\-@])", r"\1 ", " ".join(text.split()))
