"""How often a test tells a model from itself: two parts of the seeds of one model, compared as two models.

    python -m benchmarks.same_model RUN [RUN ...]

RUN is a folder of ``python -m recbole_sam compare``. Of every model with `SEEDS` seeds or more, all pairs of
parts without a common seed are compared. A test that keeps what it promises finds a "significant" difference
(p < .05) in 5 of 100 pairs.
"""

import argparse
import sys
from itertools import combinations

import numpy as np
from scipy import stats

from benchmarks.paired import group_of
from recbole_sam.cli.main import guarded
from recbole_sam.evaluation.ranking.protocols import NAMES
from recbole_sam.evaluation.run_folder import RunFolder
from recbole_sam.evaluation.statistics.aligned import aligned
from recbole_sam.evaluation.statistics.metrics import shown, value
from recbole_sam.evaluation.statistics.significance import ALPHA, paired_p

PARTS = ((1, 1), (2, 2), (2, 3))
"""Seeds of the one and of the other part; one against several is no test."""
SEEDS = max(map(sum, PARTS))
GROUPS = {"all": "all users", "tail": "tail items", "short": "shortest histories"}


def pairs(values, one, other):
    """All pairs of parts of a model's seeds without a common seed, each once.

    Args:
        values (numpy.ndarray): [seeds, users].
        one, other (int): seeds of the parts.

    Yields:
        tuple: [one, users] and [other, users].
    """
    seeds = range(len(values))
    for first in combinations(seeds, one):
        for second in combinations([seed for seed in seeds if seed not in first], other):
            if one != other or first < second:
                yield values[list(first)], values[list(second)]


def false_alarms(models, one, other):
    """How often two parts of one model differ "significantly".

    Args:
        models (list of numpy.ndarray): [seeds, users] for each model.
        one, other (int): seeds of the parts.

    Returns:
        tuple: the share of pairs with p < .05 by a paired t-test over users, seeds averaged, and by
        :func:`paired_p`.
    """
    found = [
        (stats.ttest_rel(a.mean(axis=0), b.mean(axis=0)).pvalue < ALPHA, paired_p(a, b) < ALPHA)
        for values in models
        for a, b in pairs(values, one, other)
    ]
    return tuple(np.mean(found, axis=0))


def rows(folder, metric):
    """A row for each protocol and group of a comparison.

    Args:
        folder (RunFolder): of the comparison.
        metric (str): such as ``ndcg@20``.

    Yields:
        tuple: protocol, group, number of models, and :func:`false_alarms` for each of `PARTS`; nothing when
        no model has enough seeds.
    """
    ranks, head_from = folder.ranks(), folder.run()["head_from"]
    kept = set(ranks["protocol"])  # an older run has no masked ranks
    for protocol, told in NAMES.items():
        if protocol not in kept:
            continue
        table = aligned(ranks, protocol)
        models = [v for v in table.by_seed(value(metric, table.ranks)) if len(v) >= SEEDS]
        for name, group in GROUPS.items():
            chosen = group_of(name, ranks, head_from)
            users = slice(None) if chosen is None else table.members(chosen(ranks).to_numpy())
            inside = [values[:, users] for values in models]
            if inside:
                yield told, group, len(inside), [false_alarms(inside, *sizes) for sizes in PARTS]


def main(words=None):
    """Prints one Markdown table; each cell is the share over users alone, then over users and seeds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.same_model", description=__doc__)
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--metric", default="ndcg@20")
    args = parser.parse_args(words)
    sizes = " | ".join(f"{one} against {other}" for one, other in PARTS)
    print(f"| {shown(args.metric)} | models | {sizes} |")
    print("|---" * (2 + len(PARTS)) + "|")
    seen = []
    for run in args.runs:
        folder = RunFolder(run)
        found = list(rows(folder, args.metric))
        if not found:
            parser.error(f"no model of {run} has {SEEDS} seeds")
        for protocol, group, models, alarms in found:
            seen.append(alarms)
            print(f"| {folder.run()['dataset']}, {protocol}, {group} | {models} | {_cells(alarms)} |")
    print(f"| **mean** | | {_cells(np.mean(seen, axis=0))} |")


def _cells(alarms):
    return " | ".join(f"{alone:.0%}, {both:.0%}" for alone, both in alarms)


if __name__ == "__main__":
    sys.exit(guarded(main))
