"""Self-contained HTML pages and figures without a screen: what the reports share."""

import html
import io

from recbole_sam.errors import DataError

COLOUR = "#2f6690"
PALE = "#a9c4d6"

STYLE = """
:root { color-scheme: light }
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fafaf8; margin: 0 }
main { max-width: 60rem; margin: 0 auto; padding: 2rem 1.5rem 4rem }
h1 { margin: 0; font-size: 2rem; overflow-wrap: anywhere }
h2 { margin: 2.5rem 0 .75rem; font-size: 1.25rem }
p { margin: .25rem 0; max-width: 48rem }
.quiet { color: #666 }
.warning { background: #fff3cd; padding: .75rem 1rem; border-radius: .5rem; margin: 1rem 0 }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .75rem;
  margin-top: 1.5rem }
.tile { background: #fff; border: 1px solid #e4e4e0; border-radius: .5rem; padding: .75rem 1rem }
.tile b { display: block; font-size: 1.5rem; line-height: 1.3; font-weight: 600 }
table { border-collapse: collapse; background: #fff; border: 1px solid #e4e4e0; display: block;
  width: fit-content; max-width: 100%; overflow-x: auto }
th, td { padding: .35rem .9rem; text-align: right; border-bottom: 1px solid #eee }
th:first-child, td:first-child { text-align: left }
.numbers th, .numbers td { white-space: nowrap; padding: .35rem .6rem; font-size: .92rem }
figure + figure { margin-top: 1rem }
th { font-weight: 600; background: #f3f3ef }
.charts { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(24rem, 100%), 1fr)) }
figure { margin: 0; background: #fff; border: 1px solid #e4e4e0; border-radius: .5rem;
  padding: 1rem }
figure svg { width: 100%; height: auto; display: block }
figcaption { font-size: .9rem; color: #555; margin-top: .5rem }
details { background: #fff; border: 1px solid #e4e4e0; border-radius: .5rem; margin: .5rem 0;
  padding: .6rem 1rem }
summary { cursor: pointer }
ol { margin: .5rem 0; padding-left: 2.5rem }
li { margin: .15rem 0; overflow-wrap: anywhere }
li .role { font-size: .8rem; border-radius: .3rem; padding: 0 .4rem; margin-left: .3rem }
.validation { background: #dcebf7 } .test { background: #f9e0d2 }
code { font-size: .85rem; overflow-wrap: anywhere }
"""


def drawing(what):
    """matplotlib, set up to draw without a screen.

    Args:
        what (str): who draws, for the sentence.

    Returns:
        module: ``matplotlib.figure``.

    Raises:
        DataError: matplotlib is not installed.
    """
    try:
        import matplotlib.figure
    except ImportError:
        raise DataError(
            f"{what} draws with matplotlib, which is not installed: pip install matplotlib."
        ) from None
    return matplotlib.figure


def whole(title, body):
    """A page that needs no other file.

    Args:
        title (str): plain text.
        body (str): HTML.

    Returns:
        str: the page.
    """
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{text(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def table(head, rows, code=None, bold=()):
    """An HTML table.

    Args:
        head (list of str): names of the columns.
        rows (list of list): what stands in the cells, plain text.
        code (int, optional): the column that is shown as code.
        bold (set of tuple): row and column of the cells to stress.

    Returns:
        str: HTML.
    """

    def cell(row, column, value):
        shown = f"<code>{text(value)}</code>" if column == code else text(value)
        return f"<td><b>{shown}</b></td>" if (row, column) in bold else f"<td>{shown}</td>"

    top = "".join(f"<th>{text(name)}</th>" for name in head)
    body = "".join(
        "<tr>" + "".join(cell(row, column, value) for column, value in enumerate(values)) + "</tr>"
        for row, values in enumerate(rows)
    )
    return f"<table><tr>{top}</tr>{body}</table>"


def text(value):
    """str: a value as HTML text."""
    return html.escape(str(value))


def svg(figure):
    """A figure as an ``<svg>`` element; equal figures give equal bytes, and text stays text.

    Args:
        figure (matplotlib.figure.Figure): drawn.

    Returns:
        str: to be put into a page, or into a file.
    """
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "recbole-sam"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    drawn = buffer.getvalue()
    return drawn[drawn.index("<svg") :]


def tidy(axes):
    """Takes away what a plot does not need."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e5e5e5", linewidth=0.8)
    axes.set_axisbelow(True)
