"""TedRec against experts and convolutions written out one by one."""

import math

import pytest
import torch
from circle import WINDOW, check_full_softmax, circle_model, shaken
from conftest import experiment
from torch.nn import functional as F

from recbole_sam.errors import SettingError


@pytest.fixture
def model_and_batch(tmp_path):
    small = {"hidden_size": 8, "inner_size": 12, "n_heads": 2, "n_layers": 1, "n_experts": 3}
    return circle_model(tmp_path, "TedRec", text_encoder_dim=8, **small)


def literal_text(layer, text, position):
    """One item's text at one position: every expert's answer, weighed."""
    gates = (text @ layer.gate).softmax(dim=0)
    answers = [(text - layer.shift[position, g]) @ layer.experts[g] for g in range(len(gates))]
    return sum(gate * answer for gate, answer in zip(gates, answers, strict=True))


def literal_fusion(layer, items, texts):
    """Circular convolutions over the window; the learned filter's kernel is its inverse transform."""
    window, scale = len(items), math.sqrt(len(items))
    kernel = torch.fft.irfft(torch.view_as_complex(layer.filter), n=window, dim=0)
    out = torch.zeros_like(items)
    for t in range(window):
        filtered = sum(kernel[(t - s) % window] * items[s] for s in range(window))
        fused = sum(texts[(t - s) % window] * items[s] for s in range(window)) / scale
        out[t] = 2 * torch.sigmoid(layer.item_gate(filtered)) * filtered
        out[t] += 2 * torch.sigmoid(layer.fusion_gate(fused)) * fused
    return out


def literal_forward(model, history):
    """One user, oldest item first."""
    window = history + [0] * (WINDOW - len(history))
    items = model.item_embedding.weight[window]
    texts = torch.stack([literal_text(model.experts, model.titles.texts[i], t) for t, i in enumerate(window)])
    x = literal_fusion(model.fusion, items, texts) + model.position_embedding.weight
    x = model.LayerNorm(x)[: len(history)]  # causal: what comes later is not seen
    for block in model.trm_encoder.layer:
        x = block.feed_forward(literal_attention(block.multi_head_attention, x).unsqueeze(0)).squeeze(0)
    return x[-1]


def literal_attention(layer, x):
    heads, size = layer.num_attention_heads, layer.attention_head_size
    q, k, v = layer.query(x), layer.key(x), layer.value(x)
    out = torch.zeros_like(x)
    for t in range(len(x)):
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            weights = [math.exp(q[t, part] @ k[s, part] / math.sqrt(size)) for s in range(t + 1)]
            for s, weight in enumerate(weights):
                out[t, part] += weight / sum(weights) * v[s, part]
    return layer.LayerNorm(layer.dense(out) + x)


@torch.no_grad()
def test_equals_a_literal_version(model_and_batch):
    model, batch = model_and_batch
    shaken(model).item_embedding.weight[0] = 0
    scores = model.full_sort_predict(batch)
    for row in range(0, len(batch), 7):
        history = batch["item_id_list"][row, : batch["item_length"][row]].tolist()
        user = F.normalize(literal_forward(model, history), dim=0)
        expected = F.normalize(model.item_embedding.weight, dim=1) @ user / 0.07
        torch.testing.assert_close(scores[row], expected, rtol=1e-3, atol=1e-3)


def test_titles_are_read(model_and_batch):
    model, batch = model_and_batch
    before = model.full_sort_predict(batch)
    model.titles.texts.copy_(model.titles.texts.roll(1, 0))
    assert not torch.allclose(model.full_sort_predict(batch), before)


def test_loss_is_the_full_softmax(model_and_batch):
    check_full_softmax(*model_and_batch)


@pytest.mark.parametrize(
    ("name", "value"), [("item_text", False), ("n_experts", 0), ("temperature", -1), ("hidden_act", "gel")]
)
def test_settings_that_make_no_sense_are_refused(shop, name, value):
    with pytest.raises(SettingError, match=name):
        experiment("TedRec", **{name: value})
