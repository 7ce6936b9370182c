"""The main tables for a paper: LaTeX with booktabs."""

from recbole_sam.evaluation.ranking import protocols
from recbole_sam.evaluation.report import provenance, views

_ESCAPES = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{",
    "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"$<$", ">": r"$>$",
    "±": r"$\pm$", "–": "--", "*": r"$^{*}$",
}  # fmt: skip


def text(results):
    """One table a protocol, and the groups of the main metric.

    Args:
        results (Results): the comparison.

    Returns:
        str: to be put into a document that loads booktabs; where the numbers come from stands in comments
        and, in short, in the captions.
    """
    head = [f"% {name}: {told}" for name, told in provenance.lines(results)]
    parts = ["\n".join(" ".join(line.split()) for line in head), r"% needs \usepackage{booktabs}"]
    for protocol in results.protocols:
        for number, (lengths, main) in enumerate(views.narrow(results, protocol)):
            label = f"tab:{protocol}" + "".join(f"-{length}" for length in lengths if number)
            parts.append(table(main, _caption(results, protocol), label))
        parts.append(
            table(
                views.groups(results, protocol, results.metric),
                _caption(results, protocol, "by group"),
                f"tab:{protocol}-groups",
            )
        )
    return "\n\n".join(parts) + "\n"


def table(shown, caption, label):
    """One table (views.Table) as a ``table`` environment.

    Args:
        shown (Table): what it holds.
        caption (str): plain text.
        label (str): for ``\\ref``.

    Returns:
        str: LaTeX.
    """
    rows = []
    for row, cells in enumerate(shown.rows):
        texts = [
            rf"\textbf{{{escaped(cell)}}}" if (row, column) in shown.bold else escaped(cell)
            for column, cell in enumerate(cells)
        ]
        rows.append(" & ".join(texts) + r" \\")
    return "\n".join(
        [
            r"\begin{table*}",
            r"\centering",
            rf"\caption{{{escaped(caption)}}}",
            rf"\label{{{label}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(shown.head) - 1)}}}",
            r"\toprule",
            " & ".join(map(escaped, shown.head)) + r" \\",
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table*}",
        ]
    )


def escaped(value):
    """Plain text as LaTeX."""
    return "".join(_ESCAPES.get(letter, letter) for letter in value)


def _caption(results, protocol, what=""):
    run = results.run
    notes = [provenance.SYNTHETIC] if run["synthetic"] else []
    title = f"{run['dataset']}, {protocols.NAMES[protocol]}" + (
        f", {views.shown(results.metric)} {what}" if what else ""
    )
    notes.append(
        f"{title}; {run['test_users']:,} users, leave one out; {provenance.protocols(results)[protocol]}."
    )
    notes.append(f"Seeds: {provenance.seeds(results)}. {provenance.reading(results)}")
    return " ".join(notes)
