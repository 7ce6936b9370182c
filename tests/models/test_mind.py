import math

import pytest
import torch
from circle import WINDOW, circle_model

from recbole_sam.errors import SettingError
from recbole_sam.models.mind import label_aware_attention, number_of_interests

SMALL = {"hidden_size": 6, "interest_size": 3, "initializer_range": 1.0}


def literal_interests(model, history, adaptive=True):
    """One user, oldest item first."""
    count = max(1, min(3, math.floor(math.log2(len(history))))) if adaptive else 3
    first = WINDOW - len(history)
    votes = [model.bilinear.weight @ model.item_embedding.weight[item] for item in history]
    logits = [[float(model.routing_logits[k, first + t]) for k in range(count)]
              for t in range(len(history))]  # fmt: skip
    for iteration in range(3):
        capsules = []
        for k in range(count):
            s = torch.zeros(6)
            for logit, vote in zip(logits, votes, strict=True):
                s += math.exp(logit[k]) / sum(map(math.exp, logit)) * vote
            capsules.append(s * s.norm() / (1 + s @ s))
        if iteration < 2:
            for logit, vote in zip(logits, votes, strict=True):
                for k in range(count):
                    logit[k] += float(vote @ capsules[k])
    return [(model.dense.weight @ v + model.dense.bias).clamp(min=0) for v in capsules]


@pytest.mark.parametrize("adaptive", [True, False])
@torch.no_grad()
def test_equals_a_literal_version(tmp_path, adaptive):
    model, batch = circle_model(tmp_path, "MIND", adaptive_interests=adaptive, **SMALL)
    model.dense.bias.normal_()
    scores = model.full_sort_predict(batch)
    for row in range(0, len(batch), 3):
        history = batch["item_id_list"][row, : batch["item_length"][row]].tolist()
        interests = literal_interests(model, history, adaptive)
        for item in range(scores.size(1)):
            best = max(float(v @ model.item_embedding.weight[item]) for v in interests)
            torch.testing.assert_close(scores[row, item].item(), best, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("power", [1, 2, 3, math.inf])
@torch.no_grad()
def test_loss_mixes_interests_by_their_match_with_the_target(tmp_path, power):
    model, batch = circle_model(tmp_path, "MIND", label_power=power, **SMALL)
    items, total = model.item_embedding.weight, 0.0
    for row in range(len(batch)):
        history = batch["item_id_list"][row, : batch["item_length"][row]].tolist()
        interests = literal_interests(model, history)
        target = int(batch["item_id"][row])
        match = [float(v @ items[target]) for v in interests]
        if power == math.inf:
            user = interests[match.index(max(match))]
        else:
            weights = [math.exp(math.copysign(abs(m) ** power, m)) for m in match]
            user = sum(w / sum(weights) * v for w, v in zip(weights, interests, strict=True))
        total -= float((items @ user).log_softmax(dim=0)[target])
    torch.testing.assert_close(model.calculate_loss(batch).item(), total / len(batch))


def test_a_large_power_is_nearly_the_best_match():
    interests = torch.tensor([[[2.0, 0.0], [1.0, 1.0], [9.0, 9.0]]])
    active = torch.tensor([[True, True, False]])
    target = torch.tensor([[1.0, 0.0]])
    assert label_aware_attention(interests, target, math.inf, active).tolist() == [[2.0, 0.0]]
    close = label_aware_attention(interests, target, 6.0, active)
    torch.testing.assert_close(close, torch.tensor([[2.0, 0.0]]))


def test_number_of_interests():
    lengths = torch.arange(1, 70)
    for most in (1, 3, 6):
        expected = [max(1, min(most, int(math.log2(n)))) for n in lengths.tolist()]
        assert number_of_interests(lengths, most).tolist() == expected


def test_saved_models_keep_their_routing_logits(tmp_path):
    model, _ = circle_model(tmp_path, "MIND")
    assert "routing_logits" in model.state_dict()
    assert not model.routing_logits.requires_grad


@pytest.mark.parametrize("power", [0.5, -1, float("nan")])
def test_power_that_makes_no_sense_is_refused(tmp_path, power):
    with pytest.raises(SettingError, match="label_power"):
        circle_model(tmp_path, "MIND", label_power=power)


@pytest.mark.parametrize("name", ["interest_size", "routing_iterations"])
def test_numbers_below_one_are_refused(tmp_path, name):
    with pytest.raises(SettingError, match=f"{name} is 0"):
        circle_model(tmp_path, "MIND", **{name: 0})
