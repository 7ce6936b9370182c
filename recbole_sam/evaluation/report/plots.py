"""The plots of a comparison, as matplotlib figures and as files."""

import textwrap
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recbole_sam import page
from recbole_sam.evaluation.ranking.protocols import NAMES
from recbole_sam.evaluation.report import provenance
from recbole_sam.evaluation.statistics.metrics import shown

COLOURS = ("#2f6690", "#d1495b", "#edae49", "#66a182", "#8d6a9f", "#3a7d44", "#c97b63", "#5b5f97", "#a0a0a0")
"""A colour a model, in the order of the table; with more models they repeat, lines dashed."""
LEGEND_WIDTH, LEGEND_LINE = 28, 0.16
"""Letters of a line of the legend, and its height in inches."""


@dataclass(frozen=True)
class Plot:
    """One plot of a report."""

    caption: str
    figure: object
    """A drawn ``matplotlib.figure.Figure``."""

    @cached_property
    def svg(self):
        """The figure as an ``<svg>`` element (str)."""
        return page.svg(self.figure)


def figures(results):
    """Every plot of a comparison.

    Args:
        results (Results): the comparison.

    Returns:
        dict: name (str) to a :class:`Plot`.
    """
    drawn = {}
    metric = shown(results.metric)
    lines = sum(len(_in_legend(results, label).splitlines()) for label in results.models())
    tall_legend = max(4.6, LEGEND_LINE * lines)
    for protocol in results.protocols:
        title = f"{metric}, {NAMES[protocol]}"
        tall = max(2.4, 0.36 * len(results.models(protocol)))
        drawn[f"{protocol}-bars"] = (
            f"{title}: mean over users and seeds, with the 95 % bootstrap interval over users.",
            _figure(results, title, lambda axes, protocol=protocol: bars(axes, results, protocol), tall),
        )
        drawn[f"{protocol}-groups"] = (
            f"{title}, in groups of users by history and by popularity of the target.",
            _figure(
                results, title, lambda axes, protocol=protocol: groups(axes, results, protocol), tall_legend
            ),
        )
    title = f"{shown(results.run['valid_metric'])} on validation, {provenance.chooser(results)}"
    drawn["curves"] = (
        f"{title}, after each epoch; a thin line a seed.",
        _figure(results, title, lambda axes: curves(axes, results), tall_legend),
    )
    return {name: Plot(*made) for name, made in drawn.items()}


def write(results, drawn, folder):
    """Writes every figure as PNG (150 dpi) and SVG.

    Args:
        results (Results): the comparison.
        drawn (dict): from :func:`figures`.
        folder (Path): created when missing.

    Returns:
        list of Path: what was written.
    """
    folder.mkdir(exist_ok=True)
    files = []
    for name, plot in drawn.items():
        files += [folder / f"{name}.png", folder / f"{name}.svg"]
        plot.figure.savefig(files[-2], dpi=150)
        files[-1].write_text('<?xml version="1.0" encoding="utf-8"?>\n' + plot.svg, encoding="utf-8")
    return files


def bars(axes, results, protocol):
    """The main metric of every model, best on top, with its interval; lying, as names may be long."""
    rows = results.rows(protocol, results.metric).set_index("model").loc[results.models(protocol)]
    means = rows["mean"].to_numpy()
    error = np.nan_to_num(np.stack([means - rows.low, rows.high - means]))
    axes.barh(
        range(len(rows)),
        means,
        0.7,
        color=_colours(results, rows.index),
        xerr=error,
        capsize=3,
        ecolor="#444",
    )
    names = [_wrapped(results.name(label), 44) for label in rows.index]
    axes.set_yticks(range(len(rows)), names, fontsize=8)
    axes.invert_yaxis()
    axes.set(xlabel=shown(results.metric), xlim=(0, None))
    page.tidy(axes)


def groups(axes, results, protocol):
    """The main metric of every model in every group, side by side."""
    labels = results.models(protocol)
    names, values = [], []
    for kind in ("history", "popularity"):
        rows = results.rows(protocol, results.metric, kind)
        for group in rows.group.unique():
            of_group = rows[rows.group == group].set_index("model")
            names.append(f"{textwrap.fill(group, 16)}\n{int(of_group.users.iloc[0]):,} users")
            values.append(of_group["mean"].loc[labels].to_numpy())
    values = np.array(values)  # [groups, models]
    width = 0.8 / len(labels)
    for number, (label, colour) in enumerate(zip(labels, _colours(results, labels), strict=True)):
        places = np.arange(len(names)) + (number - (len(labels) - 1) / 2) * width
        axes.bar(places, values[:, number], width, color=colour, label=_in_legend(results, label))
    axes.set_xticks(range(len(names)), names, fontsize=8)
    axes.set(ylabel=shown(results.metric), ylim=(0, None))
    _legend(axes)
    page.tidy(axes)


def curves(axes, results):
    """The validation score of every model by epoch: the mean over seeds, and each seed thinly."""
    labels = results.models()
    for number, (label, colour) in enumerate(zip(labels, _colours(results, labels), strict=True)):
        runs = [_curve(trial) for trial in results.done() if trial["model"] == label]
        style = "-" if number < len(COLOURS) else "--"
        for epochs, scores in runs:
            axes.plot(epochs, scores, style, color=colour, linewidth=0.7, alpha=0.35)
        shared = sorted(set.intersection(*(set(epochs) for epochs, _ in runs)))
        means = [np.mean([dict(zip(*run, strict=True))[epoch] for run in runs]) for epoch in shared]
        axes.plot(shared, means, style, color=colour, linewidth=1.8, label=_in_legend(results, label))
    axes.set(xlabel="epoch", ylabel=f"{shown(results.run['valid_metric'])}, validation", ylim=(0, None))
    axes.xaxis.get_major_locator().set_params(integer=True)
    _legend(axes)
    page.tidy(axes)


def _curve(trial):
    scored = [point for point in trial["curve"] if point["valid_score"] is not None]
    return [point["epoch"] for point in scored], [point["valid_score"] for point in scored]


def _figure(results, title, draw, height):
    figure = page.drawing("compare").Figure(figsize=(9, height + 1.1), layout="constrained")
    axes = figure.subplots()
    draw(axes)
    axes.set_title(title, fontsize=10, loc="left")
    figure.supxlabel(_footer(results), fontsize=6, color="#555", ha="left", x=0.01)
    if results.run["synthetic"]:
        figure.suptitle(provenance.SYNTHETIC, color="#b00020", fontsize=10)
    return figure


def _footer(results):
    """What a figure carries wherever it is pasted."""
    run = results.run
    told = dict(provenance.lines(results))
    parts = [told["Data"], f"leave one out, histories of {run['history_length']}; seeds: {told['Seeds']}"]
    command, *later = told["Command"].split(" && ")
    if later:  # a page of text otherwise; the report has them all
        command += f"; went on {len(later)} times, see report.md"
    parts += [told["Budget"], f"{told['Versions']}; {run['date']}", command]
    return "\n".join(textwrap.fill(part, 175) for part in parts)


def _wrapped(name, width):
    """A model's name in lines, broken between settings where there are some, and no formula to matplotlib."""
    return textwrap.fill(name.replace(":", ": "), width).replace(": ", ":").replace("$", r"\$")


def _in_legend(results, label):
    return _wrapped(results.name(label), LEGEND_WIDTH)


def _colours(results, labels):
    """A colour a label, the same in every figure."""
    order = results.models()
    return [COLOURS[order.index(label) % len(COLOURS)] for label in labels]


def _legend(axes):
    axes.legend(fontsize=8, frameon=False, ncols=1, loc="center left", bbox_to_anchor=(1, 0.5))
