import cmath
import math

import pytest
import torch
from circle import (
    WINDOW,
    check_full_softmax,
    check_scores,
    circle_config,
    circle_data,
    circle_model,
    shaken,
    write_circle,
)
from recbole.utils import get_model
from torch.nn import functional as F

from recbole_sam.errors import SettingError


@pytest.fixture
def model_and_batch(tmp_path):
    small = {"hidden_size": 8, "inner_size": 12, "n_heads": 2, "n_layers": 2, "cutoff": 3}
    return circle_model(tmp_path, "BSARec", alpha=0.6, **small)


def literal_low_pass(x, cutoff):
    """Explicit Fourier sums over the rows of x [T, d]; bins 0 .. cutoff // 2 and their mirrors."""
    length = len(x)
    low = torch.zeros_like(x)
    for f in range(length):
        if min(f, length - f) > cutoff // 2:
            continue
        weight = [cmath.exp(-2j * math.pi * f * t / length) for t in range(length)]
        bin_ = sum(x[t].to(torch.cfloat) * weight[t] for t in range(length))
        for t in range(length):
            low[t] += (bin_ * weight[t].conjugate()).real / length
    return low


def literal_attention(layer, x, first):
    """Position by position: an item sees itself and the items before it, padding sees the whole window.

    The items begin at ``first``.
    """
    heads, size = layer.num_attention_heads, layer.attention_head_size
    q, k, v = layer.query(x), layer.key(x), layer.value(x)
    out = torch.zeros_like(x)
    for t in range(len(x)):
        seen = range(first, t + 1) if t >= first else range(len(x))
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            weights = [math.exp(q[t, part] @ k[s, part] / math.sqrt(size)) for s in seen]
            for weight, s in zip(weights, seen, strict=True):
                out[t, part] += weight / sum(weights) * v[s, part]
    return layer.LayerNorm(layer.dense(out) + x)


def literal_forward(model, history):
    """One user, oldest item first."""
    first = WINDOW - len(history)
    window = [0] * first + history
    x = torch.stack(
        [model.item_embedding.weight[i] + model.position_embedding.weight[t]
         for t, i in enumerate(window)]
    )  # fmt: skip
    x = model.LayerNorm(x)
    for block in model.blocks:
        low = literal_low_pass(x, block.frequency.cutoff)
        rescaled = low + block.frequency.beta**2 * (x - low)
        frequency = block.frequency.LayerNorm(x + rescaled)
        x = block.alpha * frequency + (1 - block.alpha) * literal_attention(block.attention, x, first)
        forward = block.feed_forward
        x = forward.LayerNorm(x + forward.dense_2(F.gelu(forward.dense_1(x))))
    return x[-1]


@torch.no_grad()
def test_equals_a_literal_version(model_and_batch):
    model, batch = model_and_batch
    check_scores(shaken(model), batch, lambda history: literal_forward(model, history))


def test_loss_is_the_full_softmax(model_and_batch):
    check_full_softmax(*model_and_batch)


@pytest.mark.parametrize(
    ("name", "value"), [("alpha", 1.5), ("cutoff", -1), ("hidden_act", "gel"), ("n_heads", 3)]
)
def test_settings_that_make_no_sense_are_refused(tmp_path, name, value):
    with pytest.raises(SettingError, match=name):
        circle_model(tmp_path, "BSARec", **{name: value})


def test_unknown_loss_is_refused(tmp_path):
    write_circle(tmp_path)
    config = circle_config(tmp_path, "BSARec", loss_type="CE")
    train = circle_data(config)[0].dataset
    config["loss_type"] = "TOP1"
    with pytest.raises(SettingError, match="TOP1.*CE or BPR"):
        get_model("BSARec")(config, train)
