"""One forward over a window equals a forward for each of its prefixes."""

import pytest
import torch
from conftest import CAUSAL, experiment, random_sequences, write_dataset
from recbole.data.interaction import Interaction

from recbole_sam.models.scores.whole_sequences import at, groups

TEXT = {"interest_text": True}
CASES = [
    ("SASRecText", {}),
    ("SASRecText", {"item_text": False, "repeat_bias": True, "item_knn": True}),
    ("eSASRec", {"loss_type": "CE", "item_text": True, "repeat_bias": True}),
    ("HSTU", {"loss_type": "CE", "time_bias": False}),
    ("SAM", {}),
    ("SAM", TEXT),
    ("SAM", {"n_layers": 2, "item_knn": True}),
    ("SAM", {"interest_evidence": False, "item_text": False}),
    ("SAM", {"interest_control": "constant"}),
    ("SAM", {"interest_control": "absent"}),
    ("SAM", {"interest_attention": False, "newest_item": False, "final_norm": False}),
    ("SAM", {"n_layers": 1, "learned_queries": 0}),
    ("SAM", {"interest_readout": "mean", "n_layers": 1, "learned_queries": 0}),
    ("SAM", {"interest_readout": "mean"}),
]


def world(tmp_path, name, **settings):
    """A model with large weights and no dropout, its windows, and their prefixes as samples."""
    write_dataset(tmp_path / "dataset" / "shop", random_sequences(users=10, longest=30))
    large = {"hidden_dropout_prob": 0.0, "attn_dropout_prob": 0.0, "initializer_range": 0.2}
    settings = large | (CAUSAL if name == "SAM" else {}) | settings
    _, train, _, _, model = experiment(name, train_targets="sequence", **settings)
    windows = train._dataset[torch.arange(len(train._dataset))]
    samples = []
    for row in range(len(windows)):
        for step in windows["item_id_targets"][row].nonzero().flatten().tolist():
            history = windows["item_id_list"][row].clone()
            history[step + 1 :] = 0
            target = windows["item_id_targets"][row, step]
            samples.append((windows["user_id"][row], history, torch.tensor(step + 1), target))
    fields = ("user_id", "item_id_list", "item_length", "item_id")
    columns = (torch.stack(column) for column in zip(*samples, strict=True))
    return model, windows, Interaction(dict(zip(fields, columns, strict=True)))


def trained_user(model, sample, items):
    """The vector of a sample's user that its target teaches."""
    user = model.represent(sample, items)
    return user if isinstance(user, torch.Tensor) else model.trained_vector(user, items[sample["item_id"]])


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("name", "settings"), CASES, ids=str)
@torch.no_grad()
def test_users_and_loss_equal_the_loop_over_prefixes(tmp_path, name, settings, training):
    model, windows, samples = world(tmp_path, name, **settings)
    model.train(training)  # in training an interest counts from its supporting item on
    items = model.item_vectors()
    counted = windows["item_id_targets"] > 0
    users = model.represent_all(windows, items, counted)
    expected = torch.cat([trained_user(model, samples[row : row + 1], items) for row in range(len(samples))])
    torch.testing.assert_close(users, expected, rtol=0, atol=3e-6 * max(1.0, expected.abs().max().item()))
    torch.testing.assert_close(model.calculate_loss(windows), model.calculate_loss(samples))


@pytest.mark.parametrize(("name", "settings"), [("SASRecText", {}), ("SAM", TEXT)], ids=str)
def test_gradients_are_those_of_the_loop(tmp_path, name, settings):
    model, windows, samples = world(tmp_path, name, **settings)
    model.calculate_loss(samples).backward()
    expected = {key: weight.grad.clone() for key, weight in model.named_parameters()}
    model.zero_grad()
    model.calculate_loss(windows).backward()
    for key, weight in model.named_parameters():
        torch.testing.assert_close(weight.grad, expected[key], rtol=1e-3, atol=1e-6)


def test_the_bias_is_on_items_before_the_target_only(tmp_path):
    model, windows, samples = world(tmp_path, "SASRecText", repeat_bias=True)
    seen = {}
    model.add_to_all = lambda scores, interaction: seen.setdefault("interaction", interaction) and scores
    model.calculate_loss(windows)
    found = seen["interaction"]
    rows = sorted(zip(found["item_id_list"].tolist(), found["item_id"].tolist(), strict=True))
    width = found["item_id_list"].shape[1]
    expected = samples["item_id_list"][:, :width].tolist(), samples["item_id"].tolist()
    assert rows == sorted(zip(*expected, strict=True))


def test_sampled_softmax_counts_the_same_samples(tmp_path):
    settings = {"loss_type": "SSM", "train_neg_sample_args": None, "loss_negatives": 16}
    model, windows, samples = world(tmp_path, "SAM", **settings)
    losses = []
    for batch in (windows, samples):
        torch.manual_seed(3)
        losses.append(model.calculate_loss(batch))
    torch.testing.assert_close(*losses)


def test_groups_hold_windows_of_like_length():
    assert groups([1, 2, 4, 5, 8, 9, 50]) == [(0, 3, 4), (3, 5, 8), (5, 6, 9), (6, 7, 50)]
    assert groups([3]) == [(0, 1, 3)] and groups([70, 70]) == [(0, 2, 70)]
    assert groups([4, 4, 33, 64, 65]) == [(0, 2, 4), (2, 4, 64), (4, 5, 65)]


def test_at_takes_counted_positions_row_by_row():
    values = torch.arange(12).view(2, 3, 2)
    counted = torch.tensor([[True, False, True], [False, False, True]])
    assert torch.equal(at(values, counted), values[counted])
