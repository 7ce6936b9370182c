"""One HTML page that shows a dataset: counts, filters, charts, and the first users' histories."""

import io
from datetime import datetime, timezone

import numpy as np

from recbole_sam import files, page
from recbole_sam.errors import DataError
from recbole_sam.prepare import atomic
from recbole_sam.prepare.card import read_card
from recbole_sam.prepare.folder import is_synthetic
from recbole_sam.prepare.interactions import collect
from recbole_sam.prepare.sources import atomic_folder
from recbole_sam.prepare.sources.skips import Skips

HISTORIES = 6
"""Users whose history is printed."""

SHOWN = 12
"""Newest items printed of a history."""

_REAL_TIME = 1e8  # seconds, 1973; smaller numbers are positions in a sequence

_SYNTHETIC = "This data is synthetic: its users, items, brands and purchases are invented."


def write_report(folder, title_field="title"):
    """Writes ``report.html`` and its charts as ``report-*.png`` into a dataset's folder.

    Args:
        folder (pathlib.Path): ``dataset/<name>``, with an ``.inter`` file and, if there are texts,
            an ``.item`` file.
        title_field (str): the field of the ``.item`` file with the titles.

    Returns:
        pathlib.Path: the page. It needs no other file.

    Raises:
        DataError: matplotlib is missing, the dataset cannot be read, or the report cannot be written.
    """
    figures = page.drawing("--report")
    inter = atomic_folder.inter_file(folder)
    interactions = collect(atomic_folder.read_interactions(inter, Skips()))
    item = inter.with_suffix(".item")
    texts = atomic.read_item_texts(item, [title_field]) if item.is_file() else {}
    card = read_card(folder) or {}
    charts = []
    for name, (caption, draw) in _charts(interactions, texts).items():
        figure = figures.Figure(figsize=(6, 3.4), layout="constrained")
        draw(figure.subplots())
        drawn = io.BytesIO()
        figure.savefig(drawn, format="png", dpi=150)
        _write(folder / f"report-{name}.png", drawn.getvalue())
        charts.append(f"<figure>{page.svg(figure)}<figcaption>{page.text(caption)}</figcaption></figure>")
    written = _page(inter.stem, card, interactions, texts, charts, is_synthetic(folder))
    path = folder / "report.html"
    _write(path, written.encode())
    return path


def _write(path, data):
    def refused(error):
        return DataError(
            f"The dataset in {path.parent} is whole, but its report is not: {path.name} cannot be written "
            f"({error.strerror or error})."
        )

    with files.replacing(path, refused) as file:
        file.write(data)


def summarise(interactions, texts):
    """The numbers at the head of the report.

    Args:
        interactions (Interactions): of the dataset.
        texts (dict): item token -> title, empty without titles.

    Returns:
        dict: name -> text.
    """
    counts = interactions.counts()
    lengths = np.bincount(interactions.users)
    filled = counts["interactions"] / (counts["users"] * counts["items"])
    shown = {
        "users": f"{counts['users']:,}",
        "items": f"{counts['items']:,}",
        "interactions": f"{counts['interactions']:,}",
        "sparsity": f"{100 * (1 - filled):.2f} %",
        "mean history": f"{lengths.mean():.1f}",
        "median history": f"{np.median(lengths):.0f}",
        "longest history": f"{lengths.max():,}",
    }
    titled = np.array([bool(texts.get(token)) for token in interactions.item_tokens])
    shown["items with a title"] = f"{100 * titled.mean():.1f} %"
    shown["interactions with a title"] = f"{100 * titled[interactions.items].mean():.1f} %"
    return shown


def _charts(interactions, texts):
    """Name -> caption and what draws the chart on matplotlib axes."""
    lengths = np.bincount(interactions.users)
    popularity = np.sort(np.bincount(interactions.items))[::-1]
    head = popularity[: max(len(popularity) // 10, 1)].sum() / popularity.sum()
    short = (lengths <= 5).mean()
    charts = {
        "lengths": (
            f"Length of the users' histories. {100 * short:.0f} % of users have five items or fewer.",
            lambda axes: _draw_histogram(axes, lengths, "items in the history", "users"),
        ),
        "popularity": (
            f"Interactions of each item, most popular first. A tenth of the items has "
            f"{100 * head:.0f} % of the interactions.",
            lambda axes: _draw_popularity(axes, popularity),
        ),
    }
    if np.median(interactions.times) > _REAL_TIME:
        charts["time"] = (
            "Interactions by month.",
            lambda axes: _draw_months(axes, interactions.times),
        )
    words = np.array([len(text.split()) for text in texts.values() if text])
    if len(words):
        charts["titles"] = (
            f"Length of the titles; the median is {np.median(words):.0f} words.",
            lambda axes: _draw_histogram(axes, words, "words in the title", "items"),
        )
    return charts


def _draw_histogram(axes, values, xlabel, ylabel):
    """Bars of equal width; one paler bar at the end gathers the last two per cent."""
    low, top = int(values.min()), int(np.percentile(values, 98))
    width = -(-(top - low + 1) // 40)
    edges = np.arange(low, top + width + 1, width)
    counts, _ = np.histogram(values[values < edges[-1]], edges)
    axes.bar(edges[:-1], counts, 0.9 * width, color=page.COLOUR)
    rest = (values >= edges[-1]).sum()
    if rest:
        axes.bar(edges[-1], rest, 0.9 * width, color=page.PALE)
        axes.annotate(
            f"{edges[-1]:,} to {values.max():,}",
            (edges[-1] + width / 2, rest),
            (0, 4),
            textcoords="offset points",
            ha="right",
            color="#555",
            fontsize="small",
        )
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.xaxis.get_major_locator().set_params(integer=True)
    page.tidy(axes)


def _draw_popularity(axes, popularity):
    axes.plot(np.arange(1, len(popularity) + 1), popularity, color=page.COLOUR, linewidth=2)
    axes.set(xscale="log", yscale="log", xlabel="rank of the item", ylabel="interactions")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.minorticks_off()
    page.tidy(axes)


def _draw_months(axes, times):
    months, counts = np.unique(times.astype("datetime64[s]").astype("datetime64[M]"), return_counts=True)
    full = np.arange(months[0], months[-1] + 1)
    heights = np.zeros(len(full))
    heights[(months - months[0]).astype(int)] = counts
    axes.fill_between(full.astype("datetime64[D]"), heights, color=page.COLOUR, alpha=0.8, step="post")
    axes.set(ylabel="interactions", ylim=(0, None))
    axes.xaxis.set_major_formatter(_dates(full))
    page.tidy(axes)


def _dates(months):
    from matplotlib.dates import DateFormatter

    return DateFormatter("%Y" if len(months) > 36 else "%Y-%m")


def _page(name, card, interactions, texts, charts, synthetic):
    parts = [f"<h1>{page.text(name)}</h1>"]
    if synthetic:
        parts.append(f'<p class="warning">{_SYNTHETIC}</p>')
    elif card:
        origin = f"Source: {card['source']['name']}. Prepared {card['date']}."
        parts.append(f'<p class="quiet">{page.text(origin)}</p>')
    else:
        parts.append('<p class="quiet">Not made by prepare, so where it comes from is unknown.</p>')
    parts += [f'<p class="warning">{page.text(note)}</p>' for note in card.get("notes", [])]
    tiles = summarise(interactions, texts).items()
    parts.append(_tiles(tiles))
    parts.append(f'<h2>Shape</h2><div class="charts">{"".join(charts)}</div>')
    if "steps" in card:
        parts.append("<h2>What each filter left</h2>" + _steps(card["steps"]))
    if card.get("skipped"):
        parts.append("<h2>Lines left out</h2>" + _counts("reason", card["skipped"]))
    if card.get("skipped_items"):
        parts.append("<h2>Lines of the item file left out</h2>" + _counts("reason", card["skipped_items"]))
    if card.get("repaired"):
        parts.append("<h2>Lines repaired</h2>" + _counts("reason", card["repaired"]))
    if "titles" in card:
        parts.append("<h2>Where the items' texts come from</h2>" + _counts("text", card["titles"]))
    parts.append("<h2>The first users' histories</h2>" + _histories(interactions, texts))
    if "files" in card:
        parts.append("<h2>Files</h2>" + _files(card))
    return page.whole(name, "\n".join(parts))


def _tiles(numbers):
    cells = "".join(f'<div class="tile"><b>{value}</b>{name}</div>' for name, value in numbers)
    return f'<div class="tiles">{cells}</div>'


def _steps(steps):
    rows = [
        (step["step"], *(f"{step[count]:,}" for count in ("users", "items", "interactions")))
        for step in steps
    ]
    return page.table(("step", "users", "items", "interactions"), rows)


def _counts(head, counts):
    return page.table((head, "count"), [(name, f"{count:,}") for name, count in counts.items()])


def _files(card):
    rows = [
        (file["name"], role, f"{file['bytes']:,}", file["sha256"])
        for role, listed in (("source", card["source"].get("files", [])), ("made", card["files"]))
        for file in listed
    ]
    return page.table(("file", "role", "bytes", "SHA-256"), rows, code=3)


def _histories(interactions, texts):
    parts = [
        '<p class="quiet">Oldest first. The last item is the test item of a leave-one-out split, '
        "the one before it the validation item; interests and training use neither.</p>"
    ]
    for user in range(min(HISTORIES, len(interactions.user_tokens))):
        rows = np.flatnonzero(interactions.users == user)
        first = max(len(rows) - SHOWN, 0)
        entries = []
        for position, row in enumerate(rows[first:], first):
            role = {len(rows) - 1: "test", len(rows) - 2: "validation"}.get(position)
            mark = f' <span class="role {role}">{role}</span>' if role and len(rows) > 2 else ""
            token = interactions.item_tokens[interactions.items[row]]
            title = page.text(texts[token]) if texts.get(token) else f"<code>{page.text(token)}</code>"
            entries.append(f"<li>{_day(interactions.times[row])}{title}{mark}</li>")
        head = f"{len(rows)} item" + ("s" if len(rows) > 1 else "")
        head += f" ({first} older ones not shown)" if first else ""
        parts.append(
            f"<details open><summary><b>{page.text(interactions.user_tokens[user])}</b>: {head}"
            f'</summary><ol start="{first + 1}">{"".join(entries)}</ol></details>'
        )
    return "\n".join(parts)


def _day(seconds):
    if seconds < _REAL_TIME:
        return ""
    day = datetime.fromtimestamp(seconds, timezone.utc).date()
    return f'<span class="quiet">{day}</span> '
