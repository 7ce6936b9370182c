import numpy as np
import pytest
import torch
from recbole.evaluator.metrics import MRR, NDCG, Hit

import recbole_sam  # noqa: F401 - mends RecBole for today's NumPy
from recbole_sam.errors import SettingError
from recbole_sam.evaluation.statistics import metrics


@pytest.mark.parametrize("recbole, name", [(Hit, "hit"), (NDCG, "ndcg"), (MRR, "mrr")])
def test_the_metrics_are_recboles(recbole, name):
    ranks = np.random.default_rng(0).integers(1, 41, size=300)
    topk = [1, 5, 10, 20]
    hits = np.zeros((300, 20), dtype=int)
    inside = ranks <= 20
    hits[np.flatnonzero(inside), ranks[inside] - 1] = 1
    recorded = {"rec.topk": torch.tensor(np.hstack([hits, np.ones((300, 1), dtype=int)]))}  # one target each
    theirs = recbole({"topk": topk, "metric_decimal_place": 12}).calculate_metric(recorded)
    ours = {f"{name}@{k}": metrics.value(f"{name}@{k}", ranks).mean() for k in topk}
    assert ours == pytest.approx(theirs, abs=1e-9)
    assert 0 < ours[f"{name}@1"] < ours[f"{name}@20"] < 1


def test_a_value_a_user_in_the_shape_of_the_ranks():
    assert metrics.value("ndcg@3", [[1, 3], [4, 2]]).tolist() == [[1, 0.5], [0, 1 / np.log2(3)]]
    assert metrics.value("mrr@3", [4, 2]).tolist() == [0, 0.5]
    assert metrics.value("HIT@3", [3, 4]).tolist() == [1, 0]


def test_names_in_the_order_of_the_tables():
    assert metrics.names([10, 20]) == ["hit@10", "ndcg@10", "mrr@10", "hit@20", "ndcg@20", "mrr@20"]
    assert [metrics.shown(name) for name in metrics.names([5])] == ["HR@5", "NDCG@5", "MRR@5"]


@pytest.mark.parametrize("wrong", ["recall@10", "ndcg", "ndcg@", "ndcg@0", "ndcg@-1", "ndcg@1.5", "hit@ten"])
def test_an_unknown_metric_is_named(wrong):
    with pytest.raises(SettingError, match=f"'{wrong}'.*ndcg@10"):
        metrics.value(wrong, [1])
    with pytest.raises(SettingError, match=f"'{wrong}'"):
        metrics.shown(wrong)
