"""WEARec against Fourier sums, pairs and heads written out one by one."""

import cmath
import math

import pytest
import torch
from circle import WINDOW, check_full_softmax, check_scores, circle_model, shaken
from torch.nn import functional as F

from recbole_sam.errors import SettingError

EVEN_WINDOW = WINDOW + 1  # the wavelet needs pairs


@pytest.fixture
def model_and_batch(tmp_path):
    small = {"hidden_size": 8, "inner_size": 12, "n_heads": 2, "n_layers": 2, "alpha": 0.4}
    return circle_model(tmp_path, "WEARec", **small)


def literal_filter(layer, x):
    """Every head's spectrum, times and plus what the mean of x [W, d] asks for, summed up again."""
    window, size = x.shape
    width = size // layer.n_heads
    bins = window // 2 + 1
    adjusted = layer.adjust[2](F.gelu(layer.adjust[0](x.mean(dim=0))))
    out = torch.zeros_like(x)
    for head in range(layer.n_heads):
        for column in range(head * width, (head + 1) * width):
            for f in range(bins):
                place = 2 * (head * bins + f)
                scale, shift = adjusted[place], adjusted[place + 1]
                turns = [cmath.exp(-2j * math.pi * f * t / window) for t in range(window)]
                found = sum(complex(x[t, column]) * turns[t] for t in range(window)) / math.sqrt(window)
                found *= complex(layer.factor[head, f, 0] * (1 + scale))
                found += complex(layer.shift[head, f, 0] + shift)
                both = 1 if f in (0, window / 2) else 2  # and its mirror, the conjugate
                for t in range(window):
                    out[t, column] += both * (found * turns[t].conjugate()).real / math.sqrt(window)
    return out


def literal_wavelet(layer, x):
    """Pair by pair, number by number."""
    width = x.size(1) // layer.n_heads
    out = torch.zeros_like(x)
    for pair in range(len(x) // 2):
        for column in range(x.size(1)):
            first, second = x[2 * pair, column], x[2 * pair + 1, column]
            weight = layer.weight[column // width, pair, column % width]
            mean, detail = (first + second) / 2, (first - second) / 2
            out[2 * pair, column] = mean + weight * detail
            out[2 * pair + 1, column] = mean - weight * detail
    return out


def literal_forward(model, history):
    """One user, oldest item first."""
    window = [0] * (EVEN_WINDOW - len(history)) + history
    x = torch.stack(
        [model.item_embedding.weight[i] + model.position_embedding.weight[t]
         for t, i in enumerate(window)]
    )  # fmt: skip
    x = model.LayerNorm(x)
    for block in model.blocks:
        mixed = 0.4 * literal_filter(block.filter, x) + 0.6 * literal_wavelet(block.wavelet, x)
        x = block.LayerNorm(x + mixed)
        forward = block.feed_forward
        x = forward.LayerNorm(x + forward.dense_2(F.gelu(forward.dense_1(x))))
    return x[-1]


@torch.no_grad()
def test_equals_a_literal_version(model_and_batch):
    model, batch = model_and_batch
    check_scores(shaken(model), batch, lambda history: literal_forward(model, history))


def test_loss_is_the_full_softmax(model_and_batch):
    check_full_softmax(*model_and_batch)


@pytest.mark.parametrize(("name", "value"), [("alpha", -0.1), ("n_heads", 3), ("n_heads", 0)])
def test_settings_that_make_no_sense_are_refused(tmp_path, name, value):
    with pytest.raises(SettingError, match=name):
        circle_model(tmp_path, "WEARec", **{name: value})
