"""The tables of a comparison as plain text cells, the same for the terminal, Markdown, LaTeX and HTML."""

import json
from typing import NamedTuple

import numpy as np

from recbole_sam.config import our_models
from recbole_sam.evaluation.ranking import protocols
from recbole_sam.evaluation.statistics.metrics import names, shown
from recbole_sam.evaluation.statistics.significance import MIN_USERS

SIDE_BY_SIDE = 2
"""Cut-offs in one table where width counts: on a terminal and on paper."""

MARK = "*"
UNKNOWN = "–"
FAILED, SETTINGS = "Failed", "Settings"


class Table(NamedTuple):
    """One table; the first column names the row."""

    title: str
    head: list
    """str, a name a column."""
    rows: list
    """list of list of str."""
    bold: set
    """(row, column) of the cells to stress."""
    notes: list
    """str, what stands below."""


def main(results, protocol, lengths=None):
    """Every metric of every model: the mean over users and seeds, ± the deviation over seeds.

    Args:
        results (Results): the comparison.
        protocol (str): ``full``, ``masked`` or ``uni100``.
        lengths (list of int, optional): only these cut-offs; default: all.

    Returns:
        Table: models x metrics, the best of each bold, ``*`` where it is significantly better than the next.
    """
    metrics = names(lengths or results.run["topk"])
    labels = results.models(protocol)
    rows, bold = [[results.name(label)] for label in labels], set()
    for column, metric in enumerate(metrics, 1):
        of_metric = results.rows(protocol, metric).set_index("model")
        best = of_metric["mean"].idxmax()
        for row, label in enumerate(labels):
            if label == best:
                bold.add((row, column))
            rows[row].append(_mean(of_metric.loc[label]) + (MARK if is_better(of_metric.loc[label]) else ""))
    return Table(
        f"{_title(protocol)}: all users",
        ["model", *map(shown, metrics)],
        rows,
        bold,
        [*remarks(results, protocol), *(verdict(results, protocol, metric) for metric in metrics)],
    )


def narrow(results, protocol):
    """:func:`main` in tables of `SIDE_BY_SIDE` cut-offs.

    Returns:
        list of tuple: cut-offs (list of int) and Table; remarks stand below the first alone.
    """
    lengths = results.run["topk"]
    parts = [lengths[begin : begin + SIDE_BY_SIDE] for begin in range(0, len(lengths), SIDE_BY_SIDE)]
    tables = [main(results, protocol, part) for part in parts]
    said = len(remarks(results, protocol))
    return list(zip(parts, [tables[0], *(t._replace(notes=t.notes[said:]) for t in tables[1:])], strict=True))


def remarks(results, protocol):
    """Notes (list of str) on what a protocol's numbers are of."""
    of_protocol = [*unranked(results, protocol), *left_out(results, protocol)]
    return [*missing(results), *of_protocol, *unequal(results)]


def certainty(results, protocol):
    """The main metric of every model with its interval and its test against the best other (a Table)."""
    of_metric = results.rows(protocol, results.metric).set_index("model")
    rows = []
    for label in results.models(protocol):
        row = of_metric.loc[label]
        alone = row.opponent is None
        rows.append(
            [
                results.name(label),
                number(row["mean"]),
                f"{number(row.low)} to {number(row.high)}",
                UNKNOWN if alone else results.name(row.opponent),
                UNKNOWN if alone else percent(row.relative),
                probability(row.p),
                UNKNOWN if alone else judgement(row),
            ]
        )
    metric, interval = shown(results.metric), "95 % interval over users"
    head = ["model", metric, interval, "best other", "difference", "p", "verdict"]
    return Table(f"{_title(protocol)}: how sure it is, {shown(results.metric)}", head, rows, set(), [])


def groups(results, protocol, metric):
    """One metric of every model in every group of users.

    Returns:
        Table: models x groups, the best of each group bold, ``*`` as in :func:`main`.
    """
    labels = results.models(protocol)
    rows, bold, head, notes = [[results.name(label)] for label in labels], set(), ["model"], []
    for kind in ("history", "popularity"):
        of_kind = results.rows(protocol, metric, kind)
        for group in of_kind.group.unique():
            of_group = of_kind[of_kind.group == group].set_index("model")
            users = int(of_group.users.iloc[0])
            best = of_group["mean"].idxmax()
            for row, label in enumerate(labels):
                if label == best:
                    bold.add((row, len(head)))
                mark = MARK if is_better(of_group.loc[label]) else ""
                rows[row].append(number(of_group.loc[label, "mean"]) + mark)
            head.append(f"{group} ({users:,})")
            if users < MIN_USERS and len(labels) > 1:
                notes.append(f"{group}: too few users for a test ({users}).")
    return Table(f"{_title(protocol)}: {shown(metric)} by group (users in brackets)", head, rows, bold, notes)


def costs(results):
    """What each model needs (a Table)."""
    known = results.costs.set_index("model")
    rows = []
    for label in results.models():
        row = known.loc[label]
        rows.append(
            [
                results.name(label),
                _count(row.parameters),
                f"{row.epochs:.1f} ({row.best_epoch:.1f})",
                f"{row.seconds_per_epoch:.1f}",
                f"{row.peak_memory_mb:,.0f} ({row.memory_of})",
                _count(row.users_per_second),
            ]
        )
    head = ["model", "parameters", "epochs (best)", "s/epoch", "peak MB (of)", "users/s ranked"]
    paid = {
        results.name(label): known.loc[label].interests
        for label in results.models()
        if known.loc[label].interests
    }
    notes = [f"Interests of {name}: {text}." for name, text in paid.items()]
    return Table("Cost", head, rows, set(), notes)


def settings(results):
    """What each model uses besides IDs, and where its trials differ from its own YAML (a Table)."""
    rows, uses = [], besides_ids(results)
    for label in results.models():
        trial = _trial(results, label)
        given = _given(trial)
        told = ", ".join(f"{name}={value}" for name, value in given.items()) or "its own YAML"
        rows.append(
            [
                results.name(label),
                uses[label],
                told,
                _text(trial.get("learning_rate")),
                _text(trial.get("train_batch_size")),
            ]
        )
    return Table(SETTINGS, ["model", "besides IDs", "set here", "learning rate", "batch"], rows, set(), [])


def besides_ids(results):
    """What each model uses besides the IDs of items (dict of label to str)."""
    of_all = results.run.get("given", {})
    found = {}
    for label in results.models():
        trial = _trial(results, label)
        found[label] = our_models.besides_ids(trial["class"], of_all | _given(trial))
    return found


def unequal(results):
    """A note (list of str) on models that do not use the same information."""
    who = {}
    for label, uses in besides_ids(results).items():
        who.setdefault(uses, []).append(results.name(label))
    if len(who) < 2:
        return []
    told = "; ".join(f"{uses} ({', '.join(models)})" for uses, models in who.items())
    return [f"Not all models use the same besides item IDs: {told}. Part of a lead may come from that."]


def _trial(results, label):
    return next(trial for trial in results.done() if trial["model"] == label)


def _given(trial):
    return {**trial["settings"], **(trial["tuned"] or {})}


def failures(results):
    """What failed, and why (a Table), one row for all seeds with the same reason; None when nothing did."""
    reasons = {}
    for (label, seed), why in results.failures().items():
        reasons.setdefault((label, why), []).append(str(seed))
    rows = [[results.name(label), ", ".join(seeds), why] for (label, why), seeds in reasons.items()]
    return Table(FAILED, ["model", "seeds", "reason"], rows, set(), []) if rows else None


def missing(results):
    """Notes (list of str) on models that have fewer seeds or none: trials failed or are to come."""
    seeds = {}
    for trial in results.done():
        seeds.setdefault(trial["model"], []).append(trial["seed"])
    lost = dict.fromkeys(results.name(label) for label, _ in results.failures() if label not in seeds)
    notes = [f"Failed, see below: {', '.join(lost)}."] if lost else []
    if len({tuple(sorted(numbers)) for numbers in seeds.values()}) == 1:
        return notes
    most = max(map(len, seeds.values()))
    fewer = [results.name(label) for label, numbers in seeds.items() if len(numbers) < most]
    if not fewer:
        return [*notes, "Not all models have the same seeds."]
    return [*notes, f"Not every model has all seeds: fewer than {most} of {', '.join(fewer)}."]


def unranked(results, protocol):
    """A note (list of str) on models with trials older than the ranks of a protocol."""
    seeds = results.rows(protocol, results.metric).set_index("model").seeds
    trained = [trial["model"] for trial in results.done()]
    lacking = [label for label in dict.fromkeys(trained) if trained.count(label) > seeds.get(label, 0)]
    if not lacking:
        return []
    names_of = ", ".join(
        results.name(label) + (" (some seeds)" if label in seeds.index else "") for label in lacking
    )
    return [f"Trained before ranks of this protocol were kept, and not counted here: {names_of}."]


def left_out(results, protocol):
    """A note (list of str) on the targets that masked ranking leaves out."""
    if protocol != "masked":
        return []
    return [
        f"{results.left_out():,} of {results.run['test_users']:,} test targets repeat an item of the user's "
        "history and are left out."
    ]


def verdict(results, protocol, metric):
    """One sentence on who leads a metric, and whether that is more than chance."""
    rows = results.rows(protocol, metric)
    best = rows.loc[rows["mean"].idxmax()]
    name = results.name(best.model)
    if best.opponent is None:
        return f"{shown(metric)}: {name} alone, nothing to compare with."
    lead = (
        f"{shown(metric)}: {name} leads {results.name(best.opponent)} by {percent(best.relative).lstrip('+')}"
    )
    sure = {
        "better": f"significant (p {probability(best.p)})",
        "not significant": f"not significant (p {probability(best.p)})",
    }
    second = rows[rows.model == best.opponent].iloc[0]
    alone = "; one seed each" if best.seeds == second.seeds == 1 else ""
    return f"{lead}, {sure.get(judgement(best), judgement(best))}{alone}."


def is_better(row):
    """bool: whether a row of the summary is significantly better than the best other model."""
    return row.significant is not None and bool(row.significant) and row.difference > 0


def judgement(row):
    """What the test of a row of the summary says, in two or three words."""
    if row.significant is None:
        return "too few users for a test" if row.users < MIN_USERS else "one seed, not tested"
    if not row.significant:
        return "not significant"
    return "better" if row.difference > 0 else "worse"


def number(value):
    """A metric with four decimals, such as ``.0623``."""
    return UNKNOWN if np.isnan(value) else f"{value:.4f}".replace("0.", ".", 1)


def percent(value):
    """A signed share in percent; a dash where it is unknown."""
    return UNKNOWN if np.isnan(value) else f"{100 * value:+.1f} %"


def probability(p):
    """A p value as text."""
    if np.isnan(p):
        return UNKNOWN
    return "< .001" if p < 0.001 else f"{p:.3f}".replace("0.", ".", 1)


def _mean(row):
    return number(row["mean"]) + ("" if np.isnan(row.sd) else f"±{number(row.sd)}")


def _count(value):
    return UNKNOWN if np.isnan(value) else f"{value:,.0f}"


def _text(value):
    return UNKNOWN if value is None else json.dumps(value)


def _title(protocol):
    return protocols.NAMES[protocol].capitalize()
