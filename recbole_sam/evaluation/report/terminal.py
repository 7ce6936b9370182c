"""The tables on the terminal, by rich."""

from recbole_sam.evaluation.report import provenance, views

WIDTH = 100
"""Where the output is no terminal, such as a file."""

NAME_WIDTH = 12
"""What a model's name keeps where a table is too wide; a longer one folds."""

OF_TEXTS = ("best other", "verdict")
"""Columns of names and words, beside the first."""


def show(results, console=None):
    """Prints the main tables, the groups of the main metric, costs and failures.

    Args:
        results (Results): the comparison.
        console (rich.console.Console, optional): where to; default: standard output.
    """
    from rich.console import Console

    if console is None:
        console = Console()
        if not console.is_terminal:
            console = Console(width=WIDTH)
    if results.run["synthetic"]:
        console.print(f"[bold red]{provenance.SYNTHETIC}[/]", highlight=False)
    for protocol in results.protocols:
        for _, table in views.narrow(results, protocol):
            _print(console, table)
        _print(console, views.certainty(results, protocol))
        _print(console, views.groups(results, protocol, results.metric))
    _print(console, views.costs(results))
    failed = views.failures(results)
    if failed:
        _print(console, failed)
    for name, text in provenance.lines(results):
        console.print(f"{name}: {text}", markup=False, highlight=False, style="dim")


def _print(console, table):
    from rich import box
    from rich.table import Table
    from rich.text import Text

    shown = Table(
        title=table.title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    texts = table.title == views.FAILED
    for column, name in enumerate(table.head):
        left = column == 0 or texts or name in OF_TEXTS
        widest = max((len(row[column]) for row in table.rows), default=0)
        # what is too wide folds: names and heads, never a number
        shown.add_column(
            Text(name),
            justify="left" if left else "right",
            overflow="fold",
            min_width=min(widest, NAME_WIDTH) if left else widest,
        )
    for row, cells in enumerate(table.rows):
        shown.add_row(
            *(Text(cell, "bold" if (row, column) in table.bold else "") for column, cell in enumerate(cells))
        )
    console.print(shown)
    for note in table.notes:
        console.print(f"  {note}", markup=False, highlight=False)
    if table.notes:
        console.print()
