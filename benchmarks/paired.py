"""Each model of a comparison against one of them, at any length of list, from the per-user ranks alone.

    python -m benchmarks.paired RUN --base=SAM --metrics=ndcg@20,ndcg@100,hit@100

RUN is a folder of ``python -m recbole_sam compare``. The tables of ``compare`` hold each model to the best
other one; an ablation asks for the difference to the full model.
"""

import argparse
import math
import sys

from recbole_sam.cli.main import guarded
from recbole_sam.evaluation.report.views import number, probability
from recbole_sam.evaluation.run_folder import RunFolder
from recbole_sam.evaluation.statistics.aligned import aligned
from recbole_sam.evaluation.statistics.metrics import shown, value
from recbole_sam.evaluation.statistics.significance import holm, paired_p


def differences(ranks, protocol, metric, base, group=None):
    """Every model against the base: users paired, seeds each model's own.

    Args:
        ranks (pandas.DataFrame): as in RUN/ranks.parquet.
        protocol (str): ``full``, ``masked`` or ``uni100``.
        metric (str): such as ``ndcg@20``.
        base (str): a model's label.
        group (callable, optional): from the table to a bool array of its rows; default: all users.

    Returns:
        list of tuple: label, mean, relative difference to the base, p by Holm (NaN where only one of the two
        has several seeds); the base has no p (None). Rivals and variants of the base's model are corrected
        apart, because they answer two questions: is it better, and what are its parts worth?
    """
    table = aligned(ranks, protocol)
    users = slice(None) if group is None else table.members(group(ranks).to_numpy())
    by_seed = table.by_seed(value(metric, table.ranks))
    values = {label: v[:, users] for label, v in zip(table.models, by_seed, strict=True)}
    of_base = values[base]
    own = {label for label in table.models if label.split(":")[0] == base.split(":")[0]}
    p = {}
    for family in (own - {base}, set(table.models) - own):
        p |= dict(zip(family, holm([paired_p(values[label], of_base) for label in family]), strict=True))
    return [
        (label, float(v.mean()), float(v.mean() / of_base.mean() - 1), p.get(label))
        for label, v in values.items()
    ]


def group_of(name, ranks, head_from):
    """A group that :func:`differences` takes, callable or None.

    Args:
        name (str): ``all``; ``tail``, targets that are not in the head; or ``short``, the shortest quarter of
            histories.
        ranks (pandas.DataFrame): as in RUN/ranks.parquet.
        head_from (int): the popularity from which an item is in the head.
    """
    shortest = ranks.history.quantile(0.25)
    return {
        "all": None,
        "tail": lambda table: table.popularity < head_from,
        "short": lambda table: table.history <= shortest,
    }[name]


def cell(mean, relative, p):
    """``.1234 (-1.2 %, p .003)``; the base has no difference, one seed against several no p."""
    if p is None:
        return number(mean)
    return f"{number(mean)} ({relative:+.1%}, {'one seed' if math.isnan(p) else f'p {probability(p)}'})"


def main(words=None):
    """Prints one Markdown table: models x (protocol, metric)."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paired", description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--base", default="SAM")
    parser.add_argument("--only", help="these models, separated by commas, and the base (default: all)")
    parser.add_argument("--metrics", default="ndcg@20")
    parser.add_argument("--group", choices=("all", "tail", "short"), default="all")
    args = parser.parse_args(words)
    folder = RunFolder(args.run)
    head_from, ranks = folder.run()["head_from"], folder.ranks()
    wanted = [args.base, *(args.only.split(",") if args.only else ())]
    unknown = sorted(set(wanted) - set(ranks.model))
    if unknown:
        parser.error(f"the run has no {', '.join(unknown)}; it has {', '.join(sorted(set(ranks.model)))}")
    if args.only:
        ranks = ranks[ranks.model.isin(wanted)]
    group = group_of(args.group, ranks, head_from)
    kept, names = set(ranks.protocol), {"full": "full", "masked": "masked", "uni100": "1 + 100"}
    names = {protocol: name for protocol, name in names.items() if protocol in kept}
    columns = [(protocol, metric) for metric in args.metrics.split(",") for protocol in names]
    found = {c: differences(ranks, *c, args.base, group) for c in columns}
    print(
        "| model | " + " | ".join(f"{shown(metric)} {names[protocol]}" for protocol, metric in columns) + " |"
    )
    print("|---" * (1 + len(columns)) + "|")
    for row, (label, *_) in enumerate(found[columns[0]]):
        print(f"| {label} | " + " | ".join(cell(*found[c][row][1:]) for c in columns) + " |")


if __name__ == "__main__":
    sys.exit(guarded(main))
