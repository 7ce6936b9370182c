"""The whole comparison as Markdown."""

import re

from recbole_sam.evaluation.report import provenance, views
from recbole_sam.evaluation.statistics.metrics import names


def text(results):
    """All tables, groups for every metric, and where the numbers come from.

    Args:
        results (Results): the comparison.

    Returns:
        str: Markdown that GitHub renders.
    """
    parts = [f"# Comparison on {_escaped(results.run['dataset'])}"]
    if results.run["synthetic"]:
        parts.append(f"**{provenance.SYNTHETIC}**")
    for protocol in results.protocols:
        parts += [table(views.main(results, protocol)), table(views.certainty(results, protocol))]
    for protocol in results.protocols:
        parts += [table(views.groups(results, protocol, metric)) for metric in names(results.run["topk"])]
    parts += [table(views.costs(results)), table(views.settings(results))]
    failed = views.failures(results)
    if failed:
        parts.append(table(failed))
    parts.append("## Where the numbers come from")
    parts.append(
        "\n".join(f"- **{name}**: {_escaped(told)}" for name, told in provenance.lines(results)[:-1])
    )
    # one line: a second one would end the block, and be read as Markdown
    parts.append(f"    {' '.join(results.run['command'].split())}")
    return "\n\n".join(parts) + "\n"


def table(shown):
    """One table (views.Table) with its title and notes, as Markdown."""
    rows = [shown.head, ["---"] + ["---:"] * (len(shown.head) - 1)]
    for row, cells in enumerate(shown.rows):
        rows.append(
            [f"**{cell}**" if (row, column) in shown.bold else cell for column, cell in enumerate(cells)]
        )
    lines = ["| " + " | ".join(_cell(cell) for cell in cells) + " |" for cells in rows]
    notes = "\n\n" + "\n".join(f"- {_escaped(note)}" for note in shown.notes) if shown.notes else ""
    return f"## {_escaped(shown.title)}\n\n" + "\n".join(lines) + notes


def _cell(cell):
    bold = cell.startswith("**") and cell.endswith("**") and len(cell) > 4
    inner = _escaped(cell[2:-2] if bold else cell)
    return f"**{inner}**" if bold else inner


def _escaped(value):
    """Text that Markdown shows as it is: no HTML, link, picture, code or further line comes out of it."""
    value = " ".join(value.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|~])", r"\\\1", value)
