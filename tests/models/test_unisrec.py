"""UniSRec's experts and scores."""

import pytest
import torch
from conftest import experiment, first_batch
from torch.nn import functional as F

from recbole_sam.errors import SettingError
from recbole_sam.models.unisrec import WhiteningExperts


def test_experts_equal_a_loop():
    torch.manual_seed(0)
    experts = WhiteningExperts(width=5, size=3, n_experts=4, dropout=0.2, std=1.0).eval()
    for parameter in experts.parameters():
        parameter.data.normal_()
    texts = torch.randn(6, 5)
    out = experts(texts)
    for n in range(6):
        gates = (texts[n] @ experts.gate).softmax(0)
        parts = [(texts[n] - experts.shift[k, 0]) @ experts.whitening[k] for k in range(4)]
        torch.testing.assert_close(out[n], sum(g * part for g, part in zip(gates, parts, strict=True)))


def test_noise_and_dropout_are_for_training_only():
    torch.manual_seed(0)
    experts = WhiteningExperts(5, 3, 4, 0.2, 1.0)
    texts = torch.randn(6, 5)
    assert not torch.equal(experts(texts), experts(texts))
    experts.eval()
    assert torch.equal(experts(texts), experts(texts))


def test_scores_are_cosines_over_the_temperature(shop):
    _, _, _, test, model = experiment("UniSRec", temperature=0.5)
    batch = first_batch(test)
    with torch.no_grad():
        items = model.eval().item_embedding.weight + model.item_text()
        user = model(batch["item_id_list"], batch["item_length"], items)
        scores = model.full_sort_predict(batch)
        torch.testing.assert_close(scores[:, 3], F.cosine_similarity(user, items[3].expand_as(user)) / 0.5)
    assert scores[:, 1:].abs().max() <= 2.0001


def test_no_experts_are_refused(shop):
    with pytest.raises(SettingError, match="n_experts is 0; it must be a whole number from 1"):
        experiment("UniSRec", n_experts=0)


def test_a_temperature_of_zero_is_refused(shop):
    with pytest.raises(SettingError, match="temperature=0"):
        experiment("UniSRec", temperature=0)
