"""SAM's attentions against slow, obvious loops, on random tensors."""

import math

import pytest
import torch
from torch import nn

from recbole_sam.models.parts.attention import (
    CrossInterestLayer,
    by_number,
    interest_aware_attention,
    masked_mean,
    prefix_attention,
    prefix_means,
    recency_positions,
)

B, K, L, D = 5, 3, 7, 8


@pytest.fixture
def tensors():
    generator = torch.Generator().manual_seed(1)
    queries, keys, values = (torch.randn(B, n, D, generator=generator) for n in (K, L, L))
    mask = torch.arange(L) < torch.tensor([7, 1, 4, 2, 6]).unsqueeze(1)
    return queries, keys, values, mask


def test_interest_aware_attention_equals_loop(tensors):
    queries, keys, values, mask = tensors
    views, weights = interest_aware_attention(*tensors)
    for b in range(B):
        real = [i for i in range(L) if mask[b, i]]
        for k in range(K):
            powers = [math.exp(float(queries[b, k] @ keys[b, i]) / math.sqrt(D)) for i in real]
            view = sum(p / sum(powers) * values[b, i] for p, i in zip(powers, real, strict=True))
            torch.testing.assert_close(views[b, k], view, rtol=1e-4, atol=1e-5)
            for p, i in zip(powers, real, strict=True):
                assert weights[b, k, i].item() == pytest.approx(p / sum(powers), rel=1e-4)


def test_padded_positions_change_nothing(tensors):
    queries, keys, values, mask = tensors
    views, weights = interest_aware_attention(*tensors)
    assert (weights[~mask.unsqueeze(1).expand_as(weights)] == 0).all()
    keys[~mask], values[~mask] = 1e6, -1e6
    torch.testing.assert_close(interest_aware_attention(queries, keys, values, mask)[0], views)


def test_views_stay_in_the_span_of_the_values(tensors):
    queries, keys, values, mask = tensors
    views, _ = interest_aware_attention(queries, keys, torch.ones_like(values), mask)
    torch.testing.assert_close(views, torch.ones_like(views))


def test_positions_count_from_the_newest_item():
    positions = recency_positions(torch.tensor([3, 1, 5]), 5)
    assert positions[0, :3].tolist() == [2, 1, 0]
    assert positions[1, :1].tolist() == [0]
    assert positions[2].tolist() == [4, 3, 2, 1, 0]
    assert positions.min() >= 0 and positions.max() < 5  # valid rows of an embedding, padding too


def test_masked_mean_equals_loop():
    x = torch.randn(4, K, D)
    k = [3, 1, 2, 3]
    mask = torch.arange(K) < torch.tensor(k).unsqueeze(1)
    mean = masked_mean(x, mask)
    for b in range(4):
        torch.testing.assert_close(mean[b], sum(x[b, j] for j in range(k[b])) / k[b])


def cross_layer(**settings):
    torch.manual_seed(3)
    defaults = dict(hidden_size=D, inner_size=2 * D, n_heads=4, hidden_dropout=0.0, attn_dropout=0.0,
                    activation=nn.ReLU(), eps=1e-12)  # fmt: skip
    return CrossInterestLayer(**{**defaults, **settings}).eval()


def test_cross_interest_layer_equals_loop():
    layer = cross_layer()
    views = torch.randn(2, K, D)
    k = [3, 2]
    mask = torch.arange(K) < torch.tensor(k).unsqueeze(1)
    with torch.no_grad():
        out = layer(views, mask)
        weight, bias = layer.attention.in_proj_weight, layer.attention.in_proj_bias
        head = D // 4
        for b in range(2):
            normed = layer.attention_norm(views[b])
            for i in range(k[b]):
                heads = []
                for h in range(4):
                    rows = slice(h * head, (h + 1) * head)
                    q = weight[:D][rows] @ normed[i] + bias[:D][rows]
                    real = views[b, : k[b]]
                    keys = [weight[D : 2 * D][rows] @ x + bias[D : 2 * D][rows] for x in real]
                    vals = [weight[2 * D :][rows] @ x + bias[2 * D :][rows] for x in real]
                    powers = [math.exp(float(q @ key) / math.sqrt(head)) for key in keys]
                    heads.append(sum(p / sum(powers) * v for p, v in zip(powers, vals, strict=True)))
                attended = layer.attention.out_proj(torch.cat(heads))
                x = views[b, i] + attended
                first, _, second = layer.feed_forward
                x = x + second(torch.relu(first(layer.feed_forward_norm(x))))
                torch.testing.assert_close(out[b, i], x, rtol=1e-4, atol=1e-5)


def test_padded_interests_change_no_real_view():
    layer = cross_layer()
    views = torch.randn(1, K, D)
    mask = torch.tensor([[True, True, False]])
    with torch.no_grad():
        expected = layer(views, mask)[:, :2]
        views[0, 2] = 1e3
        torch.testing.assert_close(layer(views, mask)[:, :2], expected)
        torch.testing.assert_close(layer(views[:, :2], mask[:, :2]), expected)


def test_dropouts_act_in_training_only():
    layer = cross_layer(hidden_dropout=0.5, attn_dropout=0.5)
    views, mask = torch.randn(2, K, D), torch.ones(2, K, dtype=torch.bool)
    torch.testing.assert_close(layer(views, mask), layer(views, mask))
    layer.train()
    assert not torch.equal(layer(views, mask), layer(views, mask))


def test_prefix_attention_equals_the_attention_of_each_prefix(tensors):
    queries, _, items, _ = tensors
    positions = torch.randn(L + 2, D, generator=torch.Generator().manual_seed(2))
    views = prefix_attention(queries, items, positions)
    assert views.shape == (B, L, K, D)
    for end in range(L):
        seen = items[:, : end + 1]
        keys = seen + positions[: end + 1].flip(0)  # the newest has position 0
        mask = torch.ones(B, end + 1, dtype=torch.bool)
        expected, _ = interest_aware_attention(queries, keys, seen, mask)
        torch.testing.assert_close(views[:, end], expected, rtol=0, atol=3e-6)
        torch.testing.assert_close(prefix_means(items)[:, end], masked_mean(seen, mask))


def test_by_number_gives_every_view_that_counts():
    generator = torch.Generator().manual_seed(3)
    views, mask = torch.randn(4, 6, 5, 2, generator=generator), torch.rand(4, 6, 5, generator=generator) < 0.3
    groups, order = by_number(views, mask)
    assert len({group.shape[1] for group in groups}) == len(groups) > 1
    found = [rows for group in groups for rows in group]
    expected = [views[b, t][mask[b, t]] for b in range(4) for t in range(6) if mask[b, t].any()]
    assert len(order) == len(expected)
    for place, rows in zip(order.tolist(), expected, strict=True):
        assert torch.equal(found[place], rows)
