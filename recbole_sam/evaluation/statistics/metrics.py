"""Ranking metrics of one relevant item, from its rank alone; RecBole's names and definitions."""

import numpy as np

from recbole_sam.errors import SettingError

METRICS = ("hit", "ndcg", "mrr")
"""What RecBole calls them. With one target a user, "recall" equals "hit"."""

_SHOWN = {"hit": "HR", "ndcg": "NDCG", "mrr": "MRR"}


def value(metric, ranks):
    """A metric of each user.

    Args:
        metric (str): for example ``"ndcg@10"``.
        ranks (array of int): any shape, 1 is best.

    Returns:
        numpy.ndarray: float64, the shape of ``ranks``; zero where the target is not among the first k.

    Raises:
        SettingError: the metric does not exist or its k is no positive whole number.
    """
    name, k = _parsed(metric)
    ranks = np.asarray(ranks)
    if name == "hit":
        gain = np.ones(ranks.shape)
    elif name == "ndcg":
        gain = 1 / np.log2(ranks + 1.0)  # the ideal list has the one target first, whose gain is 1
    else:
        gain = 1.0 / ranks
    return np.where(ranks <= k, gain, 0.0)


def names(topk):
    """Every metric at every k, in the order of the tables.

    Args:
        topk (list of int): for example ``[10, 20]``.

    Returns:
        list of str: ``["hit@10", "ndcg@10", "mrr@10", "hit@20", ...]``.
    """
    return [f"{metric}@{k}" for k in topk for metric in METRICS]


def shown(metric):
    """The name readers know: ``"HR@10"`` for ``"hit@10"``.

    Args:
        metric (str): for example ``"hit@10"``.

    Returns:
        str: the literature's name.

    Raises:
        SettingError: as for `value`.
    """
    name, k = _parsed(metric)
    return f"{_SHOWN[name]}@{k}"


def _parsed(metric):
    """("ndcg", 10) of "ndcg@10"; RecBole ignores case, so "NDCG@10" is the same."""
    name, _, k = metric.lower().partition("@")
    if name not in METRICS or not (k.isascii() and k.isdigit()) or int(k) < 1:
        raise SettingError(
            f"There is no metric {metric!r}: write {', '.join(METRICS[:-1])} or {METRICS[-1]}, then @ and "
            "the length of the list, as in ndcg@10."
        )
    return name, int(k)
