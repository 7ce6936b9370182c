"""A training step with sampled softmax projects the titles of the items that it needs, and no others."""

import pytest
import torch
from conftest import CAUSAL, experiment

from recbole_sam.models.scores.some_items import SomeItems

SAMPLED = {"loss_type": "SSM", "train_neg_sample_args": None, "loss_negatives": 3}


def first_batch(train):
    return next(iter(train))


def learned(model, batch):
    torch.manual_seed(5)
    model.zero_grad()
    loss = model.calculate_loss(batch)
    loss.backward()
    return loss.detach(), {name: weight.grad for name, weight in model.named_parameters()}


def test_items_are_looked_up_by_their_ids():
    table = torch.randn(9, 4)
    some = SomeItems.of(lambda ids: table[ids], torch.tensor([[7, 2, 0]]), torch.tensor([7, 5]))
    assert some.ids.tolist() == [0, 2, 5, 7] and some.dtype == table.dtype
    items = torch.tensor([[5, 7], [2, 2]])
    assert torch.equal(some.look_up(items), table[items])


@pytest.mark.parametrize("targets", ["all", "sequence"])
@pytest.mark.parametrize("item_text", [True, False])
def test_loss_and_gradients_are_those_of_all_items(shop, monkeypatch, targets, item_text):
    settings = {"item_text": item_text, "interest_evidence": item_text, "train_targets": targets}
    settings |= CAUSAL if targets == "sequence" else {}
    _, train, _, _, model = experiment(**SAMPLED, **settings)
    batch = first_batch(train)
    found = learned(model, batch)
    monkeypatch.setattr(type(model), "vectors_to_learn", lambda self, *items: self.item_vectors())
    torch.testing.assert_close(found, learned(model, batch))


def test_no_other_title_is_projected(shop):
    _, train, _, _, model = experiment(**SAMPLED)
    batch = first_batch(train)[:2]
    projected = []
    model.item_text.adaptor.register_forward_pre_hook(lambda _, texts: projected.append(len(texts[0])))
    model.calculate_loss(batch)
    needed = torch.cat([batch["item_id_list"].flatten(), batch["item_id"]]).unique()
    assert projected[0] <= len(needed) + 1 and projected[1] <= 3 < model.n_items
