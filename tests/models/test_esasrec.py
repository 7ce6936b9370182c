"""eSASRec's LiGR layers and its loss, position by position."""

import math

import pytest
import torch
from circle import check_scores, circle_model, shaken

from recbole_sam.errors import SettingError


@pytest.fixture
def model_and_batch(tmp_path):
    small = {"hidden_size": 8, "inner_size": 12, "n_heads": 2, "n_layers": 2}
    return circle_model(tmp_path, "eSASRec", **small)


def literal_attention(layer, x):
    """Position by position; each sees itself and the items before it."""
    size = x.size(1)
    width = size // layer.n_heads
    q, k, v = layer.qkv(x).split(size, dim=1)
    out = torch.zeros_like(x)
    for t in range(len(x)):
        for head in range(layer.n_heads):
            part = slice(head * width, (head + 1) * width)
            weights = [math.exp(q[t, part] @ k[s, part] / math.sqrt(width)) for s in range(t + 1)]
            for s, weight in enumerate(weights):
                out[t, part] += weight / sum(weights) * v[s, part]
    return layer.output(out)


def literal_feed_forward(layer, x):
    gate = x @ layer.gate.weight.T
    return (gate * torch.sigmoid(gate) * (x @ layer.inner.weight.T)) @ layer.output.weight.T


def literal_states(model, history):
    """One user, oldest item first: a state for each position."""
    x = torch.stack(
        [model.item_embedding.weight[i] + model.position_embedding.weight[t] for t, i in enumerate(history)]
    )
    for layer in model.layers:
        attended = literal_attention(layer.attention, layer.attention_norm(x))
        x = x + torch.sigmoid(layer.attention_gate(x)) * attended
        forward = literal_feed_forward(layer.feed_forward, layer.feed_forward_norm(x))
        x = x + torch.sigmoid(layer.feed_forward_gate(x)) * forward
    return x


@torch.no_grad()
def test_equals_a_literal_version(model_and_batch):
    model, batch = model_and_batch
    check_scores(shaken(model), batch, lambda history: literal_states(model, history)[-1])


@torch.no_grad()
def test_states_are_those_of_every_beginning(model_and_batch):
    model, batch = model_and_batch
    items = shaken(model).item_vectors()
    row = int(batch["item_length"].argmax())
    history = batch["item_id_list"][row].tolist()
    states = model.all_states(batch["item_id_list"][row : row + 1], None, items)[0]
    torch.testing.assert_close(states, literal_states(model, history), rtol=1e-3, atol=1e-3)
    for length in range(1, len(history)):
        torch.testing.assert_close(states[length - 1], literal_states(model, history[:length])[-1])


@torch.no_grad()
def test_training_drops_out_the_vectors_of_items(model_and_batch):
    model, batch = model_and_batch
    items = shaken(model).item_vectors()
    assert torch.equal(model.eval().vectors_to_learn(), items)
    model.dropout.p = 0.5
    learned = model.train().vectors_to_learn()[1:]
    kept = learned != 0
    assert 0.3 < kept.float().mean() < 0.7
    torch.testing.assert_close(learned[kept], 2 * items[1:][kept])


@pytest.mark.parametrize(
    ("name", "value"),
    [("n_heads", 3), ("hidden_size", 0), ("loss_negatives", 0), ("loss_type", "TOP1"), ("item_knn", True)],
)
def test_settings_that_make_no_sense_are_refused(tmp_path, name, value):
    with pytest.raises(SettingError, match=name):
        circle_model(tmp_path, "eSASRec", **{name: value})
