"""Sampled softmax with negatives of each sample's own, one sample at a time."""

import math

import pytest
import torch
from circle import circle_config, circle_data, circle_model, write_circle
from recbole.utils import get_model, get_trainer

from recbole_sam.models.scores.own_negatives import scores_of, softmax_of_the_first, with_negatives


def test_every_target_gets_negatives_of_its_own():
    targets = torch.arange(1, 9)
    candidates = with_negatives(targets, 500, n_items=10)
    assert candidates.shape == (8, 501) and torch.equal(candidates[:, 0], targets)
    assert set(candidates[:, 1:].flatten().tolist()) == set(range(1, 10))  # never the padding
    assert len(candidates[:, 1:].unique(dim=0)) == 8


def test_a_drawn_target_counts_once():
    scores = torch.tensor([[1.0, 2.0, 0.5, 1.0], [0.0, 1.0, 1.0, 3.0]])
    candidates = torch.tensor([[4, 7, 2, 4], [3, 5, 5, 9]])
    first = math.exp(1) / (math.exp(1) + math.exp(2) + math.exp(0.5))
    second = 1 / (1 + 2 * math.exp(1) + math.exp(3))
    expected = -(math.log(first) + math.log(second)) / 2
    assert softmax_of_the_first(scores, candidates).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("n_items", [6, 60])
def test_scores_of_candidates_in_small_and_large_catalogues(n_items):
    """Five candidates of width 3: up to 15 items the scores of all items take less memory."""
    user, keys = torch.randn(4, 3), torch.randn(n_items, 3)
    candidates = torch.randint(n_items, (4, 5))
    found = scores_of(user, keys, candidates)
    for row in range(4):
        for place, item in enumerate(candidates[row].tolist()):
            torch.testing.assert_close(found[row, place], (user[row] * keys[item]).sum())


@pytest.mark.parametrize("name", ["eSASRec", "HSTU"])
@torch.no_grad()
def test_the_loss_is_that_of_the_scores_of_the_drawn_items(tmp_path, name):
    model, batch = circle_model(tmp_path, name, loss_negatives=5, repeat_bias=True)
    model.repeat_bias.fill_(0.7)
    torch.manual_seed(3)
    loss = model.calculate_loss(batch)
    torch.manual_seed(3)
    candidates = with_negatives(batch["item_id"], 5, model.n_items)
    scores = model.full_sort_predict(batch)
    expected = 0
    for row, (target, *others) in enumerate(candidates.tolist()):
        weights = [math.exp(scores[row, item]) for item in others if item != target]
        expected += math.log1p(sum(weights) / math.exp(scores[row, target])) / len(batch)
    assert loss.item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", ["eSASRec", "HSTU"])
@torch.no_grad()
def test_whole_sequences_teach_what_their_prefixes_teach(tmp_path, name):
    """With windows as long as the longest history, and all items in the loss, nothing differs."""
    write_circle(tmp_path)
    settings = {"MAX_ITEM_LIST_LENGTH": 14, "loss_type": "CE", "repeat_bias": True}
    settings |= {"time_bias": False} if name == "HSTU" else {}
    config = circle_config(tmp_path, name, train_targets="sequence", **settings)
    train = circle_data(config)[0].dataset
    model = get_model(name)(config, train).eval()
    model.repeat_bias.fill_(-0.7)
    windows, samples = model.calculate_loss(train.windows), model.calculate_loss(train.inter_feat)
    torch.testing.assert_close(windows, samples)


def test_sampled_negatives_teach_whole_sequences_the_circle(tmp_path):
    write_circle(tmp_path)
    few = {"loss_negatives": 16, "train_batch_size": 32, "epochs": 20, "train_targets": "sequence"}
    config = circle_config(tmp_path, "eSASRec", **few)
    train, _, test = circle_data(config)
    trainer = get_trainer(config["MODEL_TYPE"], "eSASRec")(
        config, get_model("eSASRec")(config, train.dataset)
    )
    trainer.fit(train, saved=False, show_progress=False)
    assert trainer.evaluate(test, load_best_model=False, show_progress=False)["hit@5"] >= 0.95
