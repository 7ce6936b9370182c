"""The bias of the items a user already took."""

import math
from types import SimpleNamespace

import pytest
import torch
from conftest import experiment, first_batch, write_dataset
from recbole.data.interaction import Interaction

from recbole_sam.models.scores import repeats

HISTORY = torch.tensor([[3, 5, 3, 0], [2, 0, 0, 0], [1, 2, 3, 4]])


@pytest.mark.parametrize("at_once", [repeats.AT_ONCE, 2])
def test_the_bias_starts_at_the_log_odds(at_once, monkeypatch):
    monkeypatch.setattr(repeats, "AT_ONCE", at_once)
    fields = SimpleNamespace(ITEM_SEQ="items", ITEM_ID="target")
    # one of three targets is in its history, or none
    for targets, odds in ([3, 5, 6], 2 / 3), ([7, 7, 7], 1 / 4):
        samples = Interaction({"items": HISTORY, "target": torch.tensor(targets)})
        assert repeats.initial_bias(samples, fields).item() == pytest.approx(math.log(odds))


def test_every_item_of_the_history_gets_the_bias_once():
    bias = torch.tensor(-2.0, requires_grad=True)
    scores = repeats.add_to_all(torch.zeros(3, 7), bias, HISTORY)
    expected = torch.zeros(3, 7)
    for row, items in enumerate(HISTORY.tolist()):
        expected[row, [item for item in items if item]] = -2.0
    assert torch.equal(scores, expected)
    scores.sum().backward()
    assert bias.grad == 2 + 1 + 4  # distinct items


def test_some_scores_are_entries_of_all():
    torch.manual_seed(0)
    scores, bias = torch.randn(3, 7), torch.tensor(1.5)
    items = torch.tensor([[3, 0, 6], [2, 2, 1], [4, 5, 0]])
    everything = repeats.add_to_all(scores.clone(), bias, HISTORY)
    some = repeats.add_to_some(scores.gather(1, items), bias, HISTORY, items)
    torch.testing.assert_close(some, everything.gather(1, items))
    shared = torch.tensor([1, 3, 6])
    some = repeats.add_to_some(scores[:, shared], bias, HISTORY, shared)
    torch.testing.assert_close(some, everything[:, shared])
    for row in range(3):  # one user's own items may repeat, too
        one = slice(row, row + 1)
        some = repeats.add_to_some(scores[one].gather(1, items[one]), bias, HISTORY[one], items[one])
        torch.testing.assert_close(some, everything[one].gather(1, items[one]))


def test_the_bias_follows_the_data(tmp_path):
    """Where everybody takes the same two items in turn it starts high, where nobody repeats it starts low."""
    starts = []
    for name, sequences in {
        "again": {f"u{u}": ["i1", "i2"] * 4 for u in range(10)},
        "never": {f"u{u}": [f"i{(u + step) % 12}" for step in range(8)] for u in range(10)},
    }.items():
        folder = tmp_path / name / "dataset" / "shop"
        write_dataset(folder, sequences)
        _, train, _, _, model = experiment(data_path=str(folder.parent))
        starts.append(model.repeat_bias.item())
        model.calculate_loss(first_batch(train)).backward()
        assert model.repeat_bias.grad.abs() > 0
    assert starts[0] > 0 > starts[1]
