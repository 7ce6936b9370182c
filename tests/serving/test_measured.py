"""What a model card says of a model: what `compare` measures, ties included."""

import pytest
import torch
from bundle_helpers import checkpoint, make_shop

from recbole_sam.evaluation.ranking.known_items import known_items
from recbole_sam.evaluation.ranking.ranks import RankCollector
from recbole_sam.evaluation.statistics import metrics
from recbole_sam.serving.making.write import write_bundle


@pytest.mark.parametrize("kinds", (25, 4, 1))
def test_the_card_has_what_compare_measures(tmp_path, kinds):
    """Of 25 items some have the same vector: a model that tells none apart must not look good."""
    make_shop(tmp_path)
    file, (config, train, valid, test, model) = checkpoint(tmp_path, "SASRec")
    items = model.item_embedding.weight.data
    items[1:] = items[1 : 1 + kinds].repeat(25, 1)[:25]
    saved = torch.load(file, weights_only=False)
    torch.save(saved | {"state_dict": model.state_dict()}, file)
    facts = write_bundle(file, tmp_path / "bundle")["metrics"]
    known = known_items(train.dataset, valid.dataset, test.dataset)
    ranks = RankCollector(config, known, False, torch.zeros(41, 1, dtype=torch.long))
    model.eval()
    for samples, _, rows, items in test:
        with torch.no_grad():
            scores = model.full_sort_predict(samples).view(len(samples), -1)
        scores[:, 0] = -torch.inf
        ranks.eval_batch_collect(scores, samples, rows, items)
    found = ranks.result()[1]["full"]
    expected = {name: metrics.value(name, found).mean() for name in ("hit@10", "ndcg@10")}
    values = {metrics.shown(name): value for name, value in expected.items()}
    assert facts["values"] == pytest.approx(values, abs=1e-4) and facts["samples"] == len(found) == 40
    assert (max(values.values()) == 0) == (kinds == 1)
