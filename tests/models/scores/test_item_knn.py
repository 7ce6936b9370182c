"""Item-based nearest neighbours as a second score."""

import math

import numpy as np
import pytest
import torch
from conftest import experiment, first_batch, write_dataset
from recbole.data.interaction import Interaction

from recbole_sam.errors import SettingError
from recbole_sam.models.scores import item_knn
from recbole_sam.models.scores.item_knn import FADING, NEWEST_WEIGHT, ItemNeighbours, neighbours, taken_pairs

N_ITEMS = 7
BASKETS = [[], [1, 2, 3], [2, 3], [1, 3, 4], [5], [2, 4, 3, 2]]  # of users 0 (padding) to 5


class Fields:
    """What the votes ask of a model."""

    USER_ID, ITEM_SEQ, ITEM_ID = "user", "history", "item"
    max_seq_length = 4


class Part:
    """A training part: its samples, and how many users and items there are."""

    item_num = N_ITEMS

    def __init__(self, baskets):
        self.user_num = len(baskets)
        self.inter_feat = samples(baskets)


def samples(baskets, length=4):
    """A sample for each prefix, as RecBole makes them."""
    rows = [
        (user, (taken[:end] + [0] * length)[:length], taken[end])
        for user, taken in enumerate(baskets)
        for end in range(1, len(taken))
    ]
    users, histories, targets = map(torch.tensor, zip(*rows, strict=True))
    return Interaction({"user": users, "history": histories, "item": targets})


def similarities(baskets, user, item):
    """Cosine of an item with each; both were taken by how many others."""
    popularity = [sum(each in taken for taken in baskets) for each in range(N_ITEMS)]
    others = [set(taken) for who, taken in enumerate(baskets) if who != user]
    both = [sum(item in taken and each in taken for taken in others) for each in range(N_ITEMS)]
    return [
        both[each] / math.sqrt(popularity[item] * popularity[each]) if both[each] and each != item else 0.0
        for each in range(N_ITEMS)
    ]


def literal(baskets, user, history, weights):
    """The votes by their definition: everybody else's pairs, one at a time."""
    votes = [0.0] * N_ITEMS
    for age, item in enumerate(reversed(history)):
        for other, similarity in enumerate(similarities(baskets, user, item)):
            votes[other] += weights[age] * similarity
    return votes


def test_pairs_are_what_the_training_part_holds_each_once():
    users, items = taken_pairs(*(samples(BASKETS)[f].numpy() for f in ("user", "history", "item")))
    # user 4 took one item only and has no sample
    expected = [(u, i) for u, taken in enumerate(BASKETS) if u != 4 for i in sorted(set(taken))]
    assert list(zip(users.tolist(), items.tolist(), strict=True)) == expected


@pytest.mark.parametrize("at_once", [2, 1024])
def test_neighbours_are_the_most_similar_best_first(monkeypatch, at_once):
    monkeypatch.setattr(item_knn, "AT_ONCE", at_once)
    users, items = np.array([1, 1, 2, 2, 3]), np.array([1, 2, 1, 2, 1])
    users, items = np.r_[users, 3, 4], np.r_[items, 3, 3]
    found, together, rejected = neighbours(users, items, 5, size=2)
    assert found.tolist() == [[0, 0], [2, 3], [1, 0], [1, 0], [0, 0]]
    assert together.tolist() == [[0, 0], [2, 1], [2, 0], [1, 0], [0, 0]] and not rejected.any()
    few = neighbours(users, items, 5, size=1)
    assert np.array_equal(few[0], found[:, :1]) and np.array_equal(few[1], together[:, :1])
    np.testing.assert_allclose(few[2], [0, 1 / math.sqrt(2), 0, 0, 0], rtol=1e-5)  # item 3, of two users
    assert neighbours(users, items, 5, size=10**9)[0].shape == (5, 2)


def test_votes_are_those_of_other_users():
    votes = ItemNeighbours(Part(BASKETS), Fields, size=10)
    weights = [NEWEST_WEIGHT * FADING**age for age in range(4)]
    # user 4 took nothing in training, but has a history now; the last one's newest item is not of training
    users = [1, 2, 5, 4, 2]
    histories = [[1, 2], [2], [2, 4, 3, 2], [5, 3], [2, 3, 4]]
    item_seq = torch.tensor([row + [0] * (4 - len(row)) for row in histories])
    lengths = torch.tensor([len(row) for row in histories])
    scores = votes.add_to_all(torch.zeros(5, N_ITEMS), torch.tensor(users), item_seq, lengths)
    baskets = [taken if user != 4 else [] for user, taken in enumerate(BASKETS)]
    expected = [literal(baskets, u, h, weights) for u, h in zip(users, histories, strict=True)]
    torch.testing.assert_close(scores, torch.tensor(expected))
    for item in range(1, N_ITEMS):
        one = votes.add_to_one(torch.zeros(5), torch.tensor(users), item_seq, lengths, torch.full((5,), item))
        torch.testing.assert_close(one, scores[:, item])


def test_what_only_the_user_took_together_gets_no_vote():
    """Otherwise the target of a training sample would vote for itself."""
    baskets = [[], [1, 2], [3, 4], [3, 4]]
    votes = ItemNeighbours(Part(baskets), Fields, size=10)
    seq, length = torch.tensor([[1, 0, 0, 0], [3, 0, 0, 0]]), torch.tensor([1, 1])
    scores = votes.add_to_all(torch.zeros(2, N_ITEMS), torch.tensor([1, 2]), seq, length)
    assert scores[0].eq(0).all()
    assert scores[1, 4].item() == pytest.approx(NEWEST_WEIGHT / 2)  # one of the two users who took both


def test_a_neighbour_only_because_of_the_user_has_no_vote():
    """Else the target of a sample would be known by its place in a list that it got by itself."""
    baskets = [[], [1, 3], [1, 3], [4, 3], [1, 2]]  # without a user who took it, item 3 comes after item 2
    votes = ItemNeighbours(Part(baskets), Fields, size=1)
    assert votes.items[1].tolist() == [3]
    seq, length = torch.tensor([[1, 0, 0, 0]] * 2), torch.tensor([1, 1])
    scores = votes.add_to_all(torch.zeros(2, N_ITEMS), torch.tensor([1, 4]), seq, length)
    assert scores[0].eq(0).all()
    assert scores[1, 3].item() == pytest.approx(NEWEST_WEIGHT * 2 / math.sqrt(3 * 3))


def test_no_list_holds_what_it_would_not_without_the_user():
    rng = np.random.default_rng(0)
    drawn = (rng.choice(np.arange(1, N_ITEMS), rng.integers(2, 5), False) for _ in range(40))
    baskets = [[], *(basket.tolist() for basket in drawn)]
    size, dropped = 3, 0
    votes = ItemNeighbours(Part(baskets), Fields, size)
    for user, (item, *_) in enumerate(baskets[1:], 1):
        seq = torch.tensor([[item, 0, 0, 0]])
        [found] = votes.add_to_all(torch.zeros(1, N_ITEMS), torch.tensor([user]), seq, torch.tensor([1]))
        exact = torch.tensor(similarities(baskets, user, item)) * NEWEST_WEIGHT
        given = found > 0
        torch.testing.assert_close(found[given], exact[given])
        assert (found[given] >= exact.sort().values[-size] - 1e-5).all()
        dropped += size - int(given.sum())
    assert dropped > 0


def test_the_weights_learn_and_nothing_else_is_saved():
    votes = ItemNeighbours(Part(BASKETS), Fields, size=10)
    assert list(votes.state_dict()) == ["log_weights"]
    seq, length = torch.tensor([[2, 3, 0, 0]]), torch.tensor([2])
    votes.add_to_all(torch.zeros(1, N_ITEMS), torch.tensor([3]), seq, length).sum().backward()
    assert (votes.log_weights.grad[:2] > 0).all() and votes.log_weights.grad[2:].eq(0).all()


@pytest.mark.parametrize(
    ("model", "loss"),
    [("SAM", "CE"), ("SAM", "BPR"), ("SASRecText", "CE"), ("SASRecText", "BPR"), ("UniSRec", "CE")],
)
def test_models_learn_with_it(tmp_path, model, loss):
    """Held-out items do not vote, and single scores are entries of all."""
    sequences = {f"u{u}": [f"i{(u + step) % 12}" for step in range(8)] for u in range(10)}
    write_dataset(tmp_path / "dataset" / "shop", sequences)
    drawn = {"distribution": "uniform", "sample_num": 1}
    negatives = {} if loss == "CE" else {"train_neg_sample_args": drawn}
    _, train, _, test, net = experiment(
        data_path=str(tmp_path / "dataset"), model=model, item_knn=True, loss_type=loss, **negatives
    )
    votes, names = net.item_knn, train.dataset.field2id_token
    for user in range(1, train.dataset.user_num):
        taken = votes.taken[votes.taken_starts[user] : votes.taken_starts[user + 1]]
        assert set(names["item_id"][taken]) == set(sequences[names["user_id"][user]][:-2])
    net.calculate_loss(first_batch(train)).backward()
    assert votes.log_weights.grad.abs().sum() > 0
    net.eval()
    batch = first_batch(test)
    with torch.no_grad():
        everything = net.full_sort_predict(batch)
        torch.testing.assert_close(
            net.predict(batch), everything.gather(1, batch["item_id"].unsqueeze(1)).squeeze(1)
        )
        net.item_knn = None
        assert not torch.allclose(net.full_sort_predict(batch), everything)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"item_knn": "yes"}, "item_knn is 'yes'"),
        ({"item_knn": "no", "model": "SASRecText"}, "item_knn is 'no'"),
        ({"item_knn": True, "item_knn_size": 0}, "item_knn_size is 0"),
        ({"item_knn": True, "repeat_bias": False, "loss_chunk_size": 64}, "item_knn needs the scores of all"),
        ({"item_knn": True, "loss_type": "SSM", "train_neg_sample_args": None}, "item_knn needs the scores"),
    ],
)
def test_settings_that_make_no_sense(tmp_path, given, words):
    write_dataset(tmp_path / "dataset" / "shop", {f"u{u}": ["i1", "i2", "i3", "i4"] for u in range(4)})
    with pytest.raises(SettingError, match=words):
        experiment(data_path=str(tmp_path / "dataset"), **given)
