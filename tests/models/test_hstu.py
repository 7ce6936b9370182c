"""HSTU's layers and its scores, position by position."""

import math

import pytest
import torch
from circle import WINDOW, circle_model, shaken
from conftest import experiment, first_batch
from torch.nn import functional as F

from recbole_sam.errors import SettingError
from recbole_sam.models.hstu import N_BUCKETS, time_buckets


@pytest.fixture
def model_and_batch(tmp_path):
    return circle_model(tmp_path, "HSTU", hidden_size=8, n_heads=2, n_layers=2)


def silu(x):
    return x / (1 + math.exp(-x))


def literal_norm(x, eps):
    centred = x - x.mean()
    return centred / torch.sqrt((centred**2).mean() + eps)


def literal_layer(layer, x, times):
    size = x.size(1)
    width = size // layer.n_heads
    projected = [layer.uvqk.weight @ literal_norm(row, layer.eps) for row in x]
    u, v, q, k = ([F.silu(row[n * size : (n + 1) * size]) for row in projected] for n in range(4))
    out = []
    for t in range(len(x)):
        attended = torch.zeros(size)
        for head in range(layer.n_heads):
            part = slice(head * width, (head + 1) * width)
            for s in range(t + 1):
                span = max(abs(float(times[t] - times[s])), 1.0)
                bias = layer.bias.by_position[t - s] + layer.bias.by_time[int(math.log(span) / 0.301)]
                weight = silu(float(q[t][part] @ k[s][part] + bias)) / WINDOW
                attended[part] += weight * v[s][part]
        out.append(x[t] + layer.output(u[t] * literal_norm(attended, layer.eps)))
    return torch.stack(out)


def literal_states(model, history, times):
    """One user, oldest item first: a state for each position."""
    scale = math.sqrt(model.item_embedding.weight.size(1))
    x = torch.stack(
        [model.item_embedding.weight[i] * scale + model.position_embedding.weight[t]
         for t, i in enumerate(history)]
    )  # fmt: skip
    for layer in model.layers:
        x = literal_layer(layer, x, times)
    return x


def cosine(a, b):
    return a @ b / (a.norm() * b.norm())


@torch.no_grad()
def test_equals_a_literal_version(model_and_batch):
    model, batch = model_and_batch
    shaken(model)
    batch["timestamp_list"] *= 1000.0  # steps of 1 would all fall into the first bucket or two
    scores = model.full_sort_predict(batch)
    for row in range(0, len(batch), 7):
        length = batch["item_length"][row]
        history, times = batch["item_id_list"][row, :length].tolist(), batch["timestamp_list"][row]
        user = literal_states(model, history, times)[-1]
        expected = torch.stack([cosine(user, item) / 0.05 for item in model.item_embedding.weight])
        torch.testing.assert_close(scores[row], expected, rtol=1e-3, atol=1e-3)


def test_time_spans_fall_into_growing_buckets():
    spans = torch.tensor([0.0, 1.0, -5.0, 5.0, 86400.0, 1e30])
    expected = [0, 0, *[int(math.log(5) / 0.301)] * 2, int(math.log(86400) / 0.301), N_BUCKETS]
    assert time_buckets(spans).tolist() == expected


def test_spans_of_seconds_are_exact_at_todays_times(tmp_path):
    steps = torch.tensor([12, 10, 40, 86_400, 100_000_000, 3, 7])
    times = 1_600_000_000 + steps.cumsum(0)
    rows = [f"u{u}\ti{(u + n) % 9}\t{time}" for u in range(6) for n, time in enumerate(times.tolist())]
    folder = tmp_path / "dataset" / "shop"
    folder.mkdir(parents=True)
    head = "user_id:token\titem_id:token\ttimestamp:float"
    (folder / "shop.inter").write_text("\n".join([head, *rows]) + "\n")
    _, _, _, test, _ = experiment("HSTU")
    seen = first_batch(test)["timestamp_list"][0, : len(steps) - 1]
    assert (seen - seen[0]).tolist() == (times[:-1] - times[0]).tolist()


def test_without_times_it_scores_by_positions(model_and_batch):
    model, batch = model_and_batch
    with torch.no_grad():
        model.layers[0].bias.by_time.fill_(0.5)
        timed = model.full_sort_predict(batch)
        batch.interaction.pop("timestamp_list")
        untimed = model.full_sort_predict(batch)
    assert untimed.isfinite().all() and not torch.allclose(timed, untimed)


@torch.no_grad()
def test_states_are_those_of_every_beginning(model_and_batch):
    model, batch = model_and_batch
    row = int(batch["item_length"].argmax())
    history, times = batch["item_id_list"][row : row + 1], 1000.0 * batch["timestamp_list"][row : row + 1]
    items = model.item_vectors()
    states = model.all_states(history, None, items, times)
    for length in range(1, history.size(1) + 1):
        cut = model.all_states(history[:, :length], None, items, times[:, :length])
        torch.testing.assert_close(states[:, :length], cut)


@pytest.mark.parametrize(
    ("name", "value"),
    [("n_heads", 3), ("n_layers", 0), ("temperature", 0), ("time_bias", "often"), ("loss_negatives", 0)],
)
def test_settings_that_make_no_sense_are_refused(tmp_path, name, value):
    with pytest.raises(SettingError, match=name):
        circle_model(tmp_path, "HSTU", **{name: value})


def test_whole_sequences_hold_no_times(tmp_path):
    with pytest.raises(SettingError, match="time_bias needs times"):
        circle_model(tmp_path, "HSTU", train_targets="sequence")
