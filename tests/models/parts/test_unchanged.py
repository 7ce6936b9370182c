"""A remembered value follows its parameters."""

import copy
import pickle

import pytest
import torch
from conftest import experiment, first_batch
from torch import nn

from recbole_sam.models.parts import interest_reader
from recbole_sam.models.parts.unchanged import WhileUnchanged


def test_computed_once_until_a_parameter_changes():
    layer, kept, calls = nn.Linear(3, 2), WhileUnchanged(), []

    def compute():
        calls.append(1)
        return layer.weight.sum().item()

    def get():
        return kept.get(compute, layer.parameters())

    assert get() == get() == layer.weight.sum().item() and len(calls) == 1
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    layer(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    assert get() == layer.weight.sum().item() and len(calls) == 2
    layer.load_state_dict(nn.Linear(3, 2).state_dict())
    assert get() == layer.weight.sum().item() and len(calls) == 3
    layer.double()
    assert get() == layer.weight.sum().item() and len(calls) == 4
    for copied in (copy.deepcopy(kept), pickle.loads(pickle.dumps(kept))):
        copied.get(compute, layer.parameters())
    assert len(calls) == 6


@pytest.mark.parametrize("limit", [0, 10**6])
def test_serving_gives_the_scores_of_a_differentiated_pass(shop, monkeypatch, limit):
    monkeypatch.setattr(interest_reader, "PROJECTED_AT_ONCE", limit)
    _, train, _, test, model = experiment()
    batch, samples = first_batch(test), first_batch(train)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    for _ in range(2):  # a second evaluation must not see the weights of the first
        model.train().calculate_loss(samples).backward()
        optimizer.step()
        expected = model.eval().full_sort_predict(batch).detach()
        with torch.no_grad():
            for _ in range(2):
                torch.testing.assert_close(model.full_sort_predict(batch), expected)
