"""The whole comparison as one HTML page that needs no other file."""

from recbole_sam import page
from recbole_sam.evaluation.report import provenance, views
from recbole_sam.evaluation.statistics.metrics import names, shown

REDRAW = "python -m recbole_sam compare --from={}"


def text(results, drawn, folder):
    """Tables, plots, groups for every metric, costs, failures, settings, and where the numbers come from.

    Args:
        results (Results): the comparison.
        drawn (dict): from ``plots.figures``.
        folder (Path): of the run, for the command that redraws.

    Returns:
        str: HTML.
    """
    run = results.run
    title = f"Comparison on {run['dataset']}"
    parts = [f"<h1>{page.text(title)}</h1>"]
    if run["synthetic"]:
        parts.append(f'<p class="warning">{page.text(provenance.SYNTHETIC)}</p>')
    parts.append(f'<p class="quiet">{page.text(provenance.dataset(run))}</p>')
    failed = views.failures(results)
    if failed:
        count = len(results.failures())
        parts.append(
            f'<p class="warning">{count} of {len(results.trials)} trials failed; the reasons are below.</p>'
        )
    for protocol in results.protocols:
        heading, *table = _table(views.main(results, protocol))
        ranked = provenance.protocols(results)[protocol]
        parts += [heading, f'<p class="quiet">Ranked is {page.text(ranked)}.</p>', *table]
        parts += _table(views.certainty(results, protocol))
        parts += [_figure(drawn[f"{protocol}-bars"]), _figure(drawn[f"{protocol}-groups"])]
        for metric in names(run["topk"]):
            opened = " open" if metric == results.metric else ""
            table = "".join(_table(views.groups(results, protocol, metric), heading=False))
            parts.append(
                f"<details{opened}><summary>{page.text(shown(metric))} by group</summary>{table}</details>"
            )
    parts += ["<h2>Learning curves</h2>", _figure(drawn["curves"])]
    parts += _table(views.costs(results)) + _table(views.settings(results))
    if failed:
        parts += _table(failed)
    parts.append("<h2>Where the numbers come from</h2>")
    parts += [
        f"<p><b>{page.text(name)}</b>: {page.text(told)}</p>" for name, told in provenance.lines(results)
    ]
    redraw = page.text(REDRAW.format(folder))
    parts.append(f"<p><b>Draw again</b>: <code>{redraw}</code></p>")
    return page.whole(title, "\n".join(parts))


def _table(shown_table, heading=True):
    """Heading, table and notes of a views.Table, as pieces of HTML."""
    parts = [f"<h2>{page.text(shown_table.title)}</h2>"] if heading else []
    table = page.table(shown_table.head, shown_table.rows, bold=shown_table.bold)
    words = shown_table.title in (views.FAILED, views.SETTINGS)  # sentences may wrap, numbers may not
    parts.append(table if words else f'<div class="numbers">{table}</div>')
    if shown_table.notes:
        parts.append("<ul>" + "".join(f"<li>{page.text(note)}</li>" for note in shown_table.notes) + "</ul>")
    return parts


def _figure(plot):
    return f"<figure>{plot.svg}<figcaption>{page.text(plot.caption)}</figcaption></figure>"
