import cmath
import math

import pytest
import recbole.model.layers
import torch
from circle import circle_model, shaken
from torch import nn

from recbole_sam.models.parts.frequency import (
    FeedForward,
    FilterBlock,
    HistoryFilter,
    at_newest_item,
    rescale_details,
    split_frequencies,
)
from recbole_sam.models.parts.padding import left_pad


def literal_low(x, cutoff):
    """The low part of one sequence of numbers by the explicit discrete Fourier transform.

    Bin f of a real sequence has a mirror image, bin T - f; rfft keeps one of the two, so both stay.
    """
    length, kept = len(x), cutoff // 2 + 1
    turn = [cmath.exp(-2j * math.pi * n / length) for n in range(length)]
    low = []
    for time in range(length):
        total = 0
        for f in range(length):
            if min(f, length - f) < kept:
                weight = sum(x[t] * turn[f * t % length] for t in range(length)) / math.sqrt(length)
                total += weight * turn[f * time % length].conjugate() / math.sqrt(length)
        assert abs(total.imag) < 1e-12
        low.append(total.real)
    return low


@pytest.mark.parametrize("length", [1, 2, 7, 10])
@pytest.mark.parametrize("cutoff", [0, 1, 4, 5, 30])
def test_equals_an_explicit_transform(length, cutoff):
    torch.manual_seed(length)
    x = torch.randn(2, length, 3, dtype=torch.double)
    low, high = split_frequencies(x, cutoff)
    for user in range(2):
        for dimension in range(3):
            expected = literal_low(x[user, :, dimension].tolist(), cutoff)
            torch.testing.assert_close(low[user, :, dimension].tolist(), expected)
    torch.testing.assert_close(low + high, x)


def test_constant_is_low_and_alternation_is_high():
    constant = torch.full((1, 8, 1), 3.0)
    alternating = torch.tensor([1.0, -1.0]).repeat(4).view(1, 8, 1)
    low, high = split_frequencies(constant + alternating, cutoff=5)
    torch.testing.assert_close(low, constant)
    torch.testing.assert_close(high, alternating)


def test_gradient():
    x = torch.randn(1, 6, 2, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: split_frequencies(x, 3), x)


def test_details_are_rescaled_pair_by_pair():
    x, weight = torch.randn(2, 6, 3), torch.randn(3, 3)
    out = rescale_details(x, weight)
    for user in range(2):
        for pair in range(3):
            for column in range(3):
                first, second = x[user, 2 * pair, column], x[user, 2 * pair + 1, column]
                mean, detail = (first + second) / 2, weight[pair, column] * (first - second) / 2
                torch.testing.assert_close(out[user, 2 * pair, column], mean + detail)
                torch.testing.assert_close(out[user, 2 * pair + 1, column], mean - detail)


def test_details_times_one_are_unchanged_and_times_zero_are_gone():
    x = torch.tensor([3.0, 1.0, -2.0, 4.0]).view(1, 4, 1)
    torch.testing.assert_close(rescale_details(x, torch.ones(2, 1)), x)
    assert rescale_details(x, torch.zeros(2, 1)).flatten().tolist() == [2, 2, 1, 1]


@torch.no_grad()
def test_a_history_filter_is_wearec_with_the_settings_of_its_published_run(tmp_path):
    """WEARec has a literal test of its own."""
    wearec, batch = circle_model(tmp_path, "WEARec", hidden_size=16, inner_size=64)
    reader = HistoryFilter(wearec.max_seq_length, 16, 0.5, 1e-12, 0.02).eval()
    reader.load_state_dict(shaken(wearec).state_dict(), strict=False)
    moved = left_pad(batch["item_id_list"], batch["item_length"], reader.window)
    vectors = wearec.item_vectors()
    torch.testing.assert_close(reader(vectors[moved]), wearec.represent(batch))


@pytest.mark.parametrize("size, heads", [(64, 8), (12, 4), (7, 1)])
def test_as_many_heads_as_divide_the_width(size, heads):
    reader = HistoryFilter(5, size, 0.0, 1e-12, 0.02)
    assert reader.window == 6 and reader.blocks[0].filter.n_heads == heads
    assert reader(torch.randn(3, 6, size)).shape == (3, size)


@pytest.mark.parametrize("n_blocks", [0, 1, 3])
def test_the_newest_item_of_a_stack_is_that_of_all_positions(n_blocks):
    blocks = nn.ModuleList(FilterBlock(6, 8, 12, 2, 0.3, 0.0, "gelu", 1e-12, 0.5) for _ in range(n_blocks))
    x = whole = torch.randn(3, 6, 8)
    for block in blocks:
        whole = block(whole)
    torch.testing.assert_close(at_newest_item(blocks, x), whole[:, -1])


@pytest.mark.parametrize("activation", ["gelu", "relu", "swish"])
def test_the_feed_forward_layer_is_that_of_recbole(activation):
    theirs = recbole.model.layers.FeedForward(8, 32, 0.0, activation, 1e-12)
    ours = FeedForward(8, 32, 0.0, activation, 1e-12)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(5, 7, 8)
    found = []
    for layer in (ours, theirs):
        given = x.clone().requires_grad_()
        y = layer(given)
        (y * x).sum().backward()
        found.append((y, given.grad, layer.dense_1.weight.grad))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)
