import math

import pytest
import torch
from circle import WINDOW, circle_model

from recbole_sam.errors import SettingError

SMALL = {"hidden_size": 6, "inner_size": 10, "interest_size": 3}


def literal_self_attention(extractor, embedding, history):
    """One user, oldest item first: K sums over the items."""
    first = WINDOW - len(history)
    scores = []
    for t, item in enumerate(history):
        x = embedding[item] + extractor.position_embedding.weight[first + t]
        scores.append(extractor.dense_2.weight @ torch.tanh(extractor.dense_1.weight @ x))
    interests = []
    for k in range(3):
        weights = [math.exp(score[k]) for score in scores]
        parts = (w / sum(weights) * embedding[i] for w, i in zip(weights, history, strict=True))
        interests.append(sum(parts))
    return torch.stack(interests)


def literal_routing(extractor, embedding, history):
    first = WINDOW - len(history)
    votes = [
        [embedding[item] @ extractor.weight[first + t, k] for k in range(3)] for t, item in enumerate(history)
    ]
    logits = [[0.0] * 3 for _ in history]
    for iteration in range(3):
        capsules = []
        for k in range(3):
            s = torch.zeros(6)
            for logit, vote in zip(logits, votes, strict=True):
                s += math.exp(logit[k]) / sum(map(math.exp, logit)) * vote[k]
            capsules.append(s * s.norm() / (1 + s @ s))
        if iteration < 2:
            for logit, vote in zip(logits, votes, strict=True):
                for k in range(3):
                    logit[k] += float(vote[k] @ capsules[k])
    return torch.stack(capsules)


LITERAL = {"SA": literal_self_attention, "DR": literal_routing}


@pytest.fixture(params=["SA", "DR"])
def model_and_batch(request, tmp_path):
    return circle_model(tmp_path, "ComiRec", interest_extractor=request.param, initializer_range=1.0, **SMALL)


def literal_interests(model, batch, row):
    history = batch["item_id_list"][row, : batch["item_length"][row]].tolist()
    literal = LITERAL[model.interest_extractor]
    return literal(model.extractor, model.item_embedding.weight, history)


@torch.no_grad()
def test_equals_a_literal_version(model_and_batch):
    model, batch = model_and_batch
    scores = model.full_sort_predict(batch)
    for row in range(0, len(batch), 3):
        interests = literal_interests(model, batch, row)
        for item in range(scores.size(1)):
            best = max(float(v @ model.item_embedding.weight[item]) for v in interests)
            torch.testing.assert_close(scores[row, item].item(), best, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_loss_trains_the_interest_nearest_to_the_target(model_and_batch):
    model, batch = model_and_batch
    items, total = model.item_embedding.weight, 0.0
    for row in range(len(batch)):
        target = int(batch["item_id"][row])
        interests = literal_interests(model, batch, row)
        nearest = max(interests, key=lambda v: float(v @ items[target]))
        total -= float((items @ nearest).log_softmax(dim=0)[target])
    torch.testing.assert_close(model.calculate_loss(batch).item(), total / len(batch))


@torch.no_grad()
def test_history_without_any_item_gives_finite_scores(model_and_batch):
    model, batch = model_and_batch
    nothing = torch.zeros_like(batch["item_length"])
    interests = model.forward(batch["item_id_list"], nothing, model.item_vectors())
    assert interests.vectors.eq(0).all()


def test_unknown_extractor_is_refused(tmp_path):
    with pytest.raises(SettingError, match="'GRU'.*SA or DR"):
        circle_model(tmp_path, "ComiRec", interest_extractor="GRU")


@pytest.mark.parametrize("name", ["interest_size", "routing_iterations"])
def test_numbers_below_one_are_refused(tmp_path, name):
    with pytest.raises(SettingError, match=f"{name} is 0"):
        circle_model(tmp_path, "ComiRec", **{name: 0})
