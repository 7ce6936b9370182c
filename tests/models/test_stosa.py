import math

import pytest
import torch
from circle import WINDOW, circle_config, circle_data, circle_model, shaken, write_circle
from recbole.utils import get_model
from torch.nn import functional as F

from recbole_sam.errors import SettingError


@pytest.fixture
def model_and_batch(tmp_path):
    model, batch = circle_model(
        tmp_path, "STOSA", hidden_size=8, inner_size=12, n_heads=2, n_layers=2, pvn_weight=0.3
    )
    return shaken(model), batch


def elu1(x):
    return F.elu(x) + 1


def distance(a, b):
    """Squared Wasserstein distance of two Gaussians, each a pair of mean and variance."""
    total = 0.0
    for i in range(len(a[0])):
        total += (a[0][i] - b[0][i]) ** 2 + (math.sqrt(a[1][i]) - math.sqrt(b[1][i])) ** 2
    return total


def literal_block(block, mean, cov, first):
    attention = block.attention
    width, heads = mean.size(1), attention.n_heads
    size = width // heads
    qkv_mean, qkv_cov = attention.mean_qkv(mean), elu1(attention.cov_qkv(cov))
    out_mean, out_cov = torch.zeros_like(mean), torch.zeros_like(cov)
    for t in range(len(mean)):
        seen = sorted({*range(first, t), t})
        for head in range(heads):
            q, k, v = (slice(n * width + head * size, n * width + head * size + size)
                       for n in range(3))  # fmt: skip
            query = qkv_mean[t, q], qkv_cov[t, q]
            scores = [
                math.exp(-distance(query, (qkv_mean[s, k], qkv_cov[s, k])) / math.sqrt(size)) for s in seen
            ]
            here = slice(head * size, head * size + size)
            for score, s in zip(scores, seen, strict=True):
                weight = score / sum(scores)
                out_mean[t, here] += weight * qkv_mean[s, v]
                out_cov[t, here] += weight**2 * qkv_cov[s, v]
    mean = attention.mean_LayerNorm(mean + attention.mean_dense(out_mean))
    cov = attention.cov_LayerNorm(cov + attention.cov_dense(out_cov))
    streams = []
    for x, forward in ((mean, block.mean_feed_forward), (cov, block.cov_feed_forward)):
        streams.append(forward.LayerNorm(x + forward.dense_2(F.elu(forward.dense_1(x)))))
    return streams[0], elu1(streams[1])


def literal_forward(model, history):
    """One user, oldest item first: the Gaussian of the newest position."""
    first = WINDOW - len(history)
    window = torch.tensor([0] * first + history)
    mean = model.item_embedding.weight[window] + model.position_embedding.weight
    cov = model.item_cov_embedding.weight[window] + model.position_cov_embedding.weight
    mean, cov = F.elu(model.LayerNorm(mean)), elu1(model.cov_LayerNorm(cov))
    for block in model.blocks:
        mean, cov = literal_block(block, mean, cov, first)
    return mean[-1], cov[-1]


def literal_item(model, item):
    return model.item_embedding.weight[item], elu1(model.item_cov_embedding.weight[item])


@torch.no_grad()
def test_equals_a_literal_version(model_and_batch):
    model, batch = model_and_batch
    scores = model.full_sort_predict(batch)
    for row in range(0, len(batch), 9):
        history = batch["item_id_list"][row, : batch["item_length"][row]].tolist()
        user = literal_forward(model, history)
        for item in range(0, scores.size(1), 5):
            expected = -float(distance(user, literal_item(model, item)))
            torch.testing.assert_close(scores[row, item].item(), expected, rtol=1e-3, atol=1e-3)


@torch.no_grad()
def test_loss_equals_its_formula(model_and_batch):
    model, batch = model_and_batch
    total = 0.0
    for row in range(len(batch)):
        history = batch["item_id_list"][row, : batch["item_length"][row]].tolist()
        user = literal_forward(model, history)
        pos = literal_item(model, batch["item_id"][row])
        neg = literal_item(model, batch["neg_item_id"][row])
        gain = distance(user, neg) - distance(user, pos)
        total += -math.log(1 / (1 + math.exp(-gain)))
        total += 0.3 * max(0.0, distance(user, pos) - distance(pos, neg))
    loss = model.calculate_loss(batch).item()
    torch.testing.assert_close(loss, float(total) / len(batch), rtol=1e-3, atol=1e-3)


def test_training_without_negative_items_is_refused(tmp_path):
    write_circle(tmp_path)
    config = circle_config(tmp_path, "STOSA", train_neg_sample_args=None)
    train = circle_data(config)[0].dataset
    with pytest.raises(SettingError, match="train_neg_sample_args"):
        get_model("STOSA")(config, train)


def test_width_that_heads_cannot_share_is_refused(tmp_path):
    with pytest.raises(SettingError, match="hidden_size .10. must be a multiple of n_heads .4."):
        circle_model(tmp_path, "STOSA", hidden_size=10)
