"""The numbers of a comparison: quality in every group, with its certainty, and what each model costs."""

import numpy as np
import pandas as pd

from recbole_sam.evaluation.statistics import metrics
from recbole_sam.evaluation.statistics.aligned import aligned
from recbole_sam.evaluation.statistics.groups import everyone
from recbole_sam.evaluation.statistics.significance import ALPHA, MIN_USERS, all_pairs, bootstrap_interval

SUMMARY = (
    "protocol kind group users metric model seeds mean sd low high opponent difference relative p significant"
).split()
"""Columns of `summary`."""

COSTS = (
    "model parameters epochs best_epoch seconds_per_epoch peak_memory_mb memory_of users_per_second interests"
).split()
"""Columns of `costs`."""


def summary(ranks, topk, groups):
    """Every metric of every model in every group, with its certainty.

    ``sd`` is the deviation over the seeds' means and ``low``, ``high`` the 95 % bootstrap interval over users
    of the seed-averaged values: one tells the chance of training, the other that of the users. Each model is
    tested against the best other: the best against the runner-up, all others against the best. The p values
    (:func:`paired_p`: chance of users and of seeds) are Holm-corrected over all pairs of models within their
    protocol, group and metric, because which one is the best is seen in the same data; not over groups and
    metrics.
    So ``significant`` says that a model differs from its opponent; the sign of ``difference`` says which is
    better. Beside models of several seeds, one with a single seed is neither tested nor tested against.

    Args:
        ranks (pandas.DataFrame): as in RUN/ranks.parquet.
        topk (list of int): lengths of the lists.
        groups (list of Group): the group of all users is added when it is missing.

    Returns:
        pandas.DataFrame: a row for each protocol, group, metric and model, columns `SUMMARY`; models in order
        of appearance. NaN: ``sd`` with one seed, ``low`` and ``high`` but for all users, ``relative`` to 0,
        ``p`` without a test.
        ``significant`` is True, False, or None without a test (one model, fewer than `MIN_USERS` users, or a
        single seed beside models of several).

    Raises:
        DataError: the models were not tested on the same users and targets.
        SettingError: a k is no positive whole number.
    """
    if not any(group.kind == "all" for group in groups):
        groups = [everyone(ranks), *groups]
    cells = []
    for protocol in ranks["protocol"].unique():
        matrix = aligned(ranks, protocol)
        names = metrics.names(topk)
        by_seed = [matrix.by_seed(metrics.value(metric, matrix.ranks)) for metric in names]
        for group in groups:
            members = matrix.members(group.rows)
            if not members.any():
                continue
            inside = [[model[:, members] for model in of_metric] for of_metric in by_seed]
            low = high = np.full((len(names), len(matrix.models)), np.nan)
            if group.kind == "all":
                averaged = [[model.mean(axis=0) for model in of_metric] for of_metric in inside]
                low, high = bootstrap_interval(averaged)
            for number, metric in enumerate(names):
                cell = _compared(inside[number], matrix.models)
                seed_means = [model.mean(axis=1) for model in inside[number]]
                cell["seeds"] = [len(means) for means in seed_means]
                cell["sd"] = [means.std(ddof=1) if len(means) > 1 else np.nan for means in seed_means]
                cell["low"], cell["high"] = low[number], high[number]
                cell["protocol"], cell["kind"], cell["group"] = str(protocol), group.kind, group.name
                cell["users"], cell["metric"] = int(members.sum()), metric
                cells.append(pd.DataFrame(cell))
    return pd.concat(cells, ignore_index=True)[SUMMARY] if cells else pd.DataFrame(columns=SUMMARY)


def costs(trials):
    """What training and ranking takes, a row a model with at least one finished training.

    Args:
        trials (list of dict): finished and failed trainings; failed ones are skipped.

    Returns:
        pandas.DataFrame: columns `COSTS`: trained parameters, epochs and best epoch (means over seeds),
        median training seconds an epoch, largest peak memory (MB) and whose it is, median users ranked a
        second, and where the interests come from ("" for a model without). What is not known is NaN.
    """
    by_model = {}
    for trial in trials:
        if trial["status"] == "done":
            by_model.setdefault(trial["model"], []).append(trial)
    rows = []
    for model, done in by_model.items():
        rows.append(
            {
                "model": model,
                "parameters": _known(np.max, done, "parameters"),
                "epochs": _known(np.mean, done, "epochs"),
                "best_epoch": _known(np.mean, done, "best_epoch"),
                "seconds_per_epoch": _known(np.median, done, "seconds_per_epoch"),
                "peak_memory_mb": _known(np.max, done, "peak_memory_mb"),
                "memory_of": _distinct(trial.get("memory_of") or "" for trial in done),
                "users_per_second": _known(np.median, done, "users_per_second"),
                "interests": _distinct(_interests(trial.get("interests")) for trial in done),
            }
        )
    return pd.DataFrame(rows, columns=COSTS)


def _compared(values, models):
    """Means, opponents and tests of one protocol, group and metric; ``values`` [seeds, users] a model."""
    means = np.array([model.mean() for model in values])
    cell = {"model": models, "mean": means}
    if len(models) == 1:
        unknown = dict.fromkeys(("difference", "relative", "p"), np.nan)
        return {**cell, **unknown, "opponent": [None], "significant": [None]}
    seeds = np.array([len(model) for model in values])
    # beside models of several seeds, one with a single seed is neither tested nor tested against
    order = np.lexsort((-means, seeds < min(2, seeds.max())))
    best, runner_up = order[:2]
    opponent = np.full(len(models), best)
    opponent[best] = runner_up
    p = np.full(len(models), np.nan)
    if values[0].shape[1] >= MIN_USERS:
        p = all_pairs(values)[best]
        p[best] = p[runner_up]
    significant = [None if np.isnan(one) else bool(one < ALPHA) for one in p]
    difference = means - means[opponent]
    base = np.where(means[opponent] == 0, np.nan, means[opponent])
    return {
        **cell,
        "opponent": [models[number] for number in opponent],
        "difference": difference,
        "relative": difference / base,
        "p": p,
        "significant": np.array(significant, dtype=object),
    }


def _known(statistic, trials, field):
    """The statistic of a field where it is known; NaN when it never is."""
    numbers = [trial[field] for trial in trials if trial.get(field) is not None]
    return float(statistic(numbers)) if numbers else np.nan


def _distinct(texts):
    return " / ".join(text for text in dict.fromkeys(texts) if text)


def _interests(interests):
    """ "extractive, lsa; cost: none (no language model)" of a trial's interests, "" of None."""
    if not interests:
        return ""
    source = ", ".join(str(interests[key]) for key in ("generator", "encoder") if interests.get(key))
    return f"{source}; cost: {interests['cost']}" if interests.get("cost") else source
