import math
from pathlib import Path

import pytest
import torch
from circle import circle_config, circle_data, circle_model, write_circle
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model
from torch.nn import functional as F

from recbole_sam.errors import SettingError, StoreMissingError
from recbole_sam.models.eimf import alignment_loss

SMALL = {"hidden_size": 6, "inner_size": 10, "interest_size": 3, "initializer_range": 1.0}


def test_alignment_equals_a_loop():
    torch.manual_seed(0)
    behaviour, semantics = torch.randn(5, 4), torch.randn(5, 4)
    users = torch.tensor([7, 8, 7, 9, 8])
    total = 0.0
    for i in range(5):
        weights = {
            j: math.exp(F.cosine_similarity(behaviour[i], semantics[j], dim=0) / 0.2)
            for j in range(5)
            if j == i or users[j] != users[i]
        }
        total -= math.log(weights[i] / sum(weights.values()))
    loss = alignment_loss(behaviour, semantics, users, temperature=0.2)
    torch.testing.assert_close(loss.item(), total / 5)


def test_alignment_pulls_a_users_two_sides_together():
    torch.manual_seed(1)
    behaviour, semantics = torch.randn(6, 4, requires_grad=True), torch.randn(6, 4)
    users = torch.arange(6)
    before = F.cosine_similarity(behaviour, semantics).mean()
    for _ in range(20):
        (slope,) = torch.autograd.grad(alignment_loss(behaviour, semantics, users, 0.1), behaviour)
        behaviour = (behaviour - slope).detach().requires_grad_()
    assert F.cosine_similarity(behaviour, semantics).mean() > before + 0.2


@torch.no_grad()
def test_loss_equals_its_formula(tmp_path):
    model, batch = circle_model(tmp_path, "EIMF", alignment_weight=0.3, semantic_weight=0.7, **SMALL)
    items = model.item_embedding.weight

    def nearest_loss(interests, target):
        nearest = max(interests, key=lambda v: float(v @ items[target]))
        return -float((items @ nearest).log_softmax(dim=0)[target])

    behaviour = model.represent(batch).vectors
    recommendation, prediction, means = 0.0, 0.0, []
    for row, user in enumerate(batch["user_id"].tolist()):
        target = int(batch["item_id"][row])
        recommendation += nearest_loss(behaviour[row], target)
        phrases = model.user_phrases[user, : model.user_k[user]].long()
        if len(phrases) == 0:
            continue
        texts = model.phrase_embeddings[phrases].float()
        projection = model.semantic_projection
        semantics = texts @ projection.weight.t() + projection.bias
        prediction += nearest_loss(semantics, target)
        means.append((behaviour[row].mean(dim=0), semantics.mean(dim=0), user))
    assert 0 < len(means) < len(batch)  # one user has no interests
    left, right, users = zip(*means, strict=True)
    alignment = alignment_loss(torch.stack(left), torch.stack(right), torch.tensor(users), temperature=0.1)
    expected = recommendation / len(batch) + 0.3 * float(alignment) + 0.7 * prediction / len(means)
    torch.testing.assert_close(model.calculate_loss(batch).item(), expected, rtol=1e-4, atol=1e-4)


def test_batch_of_users_without_interests_trains_on_behaviour_alone(tmp_path):
    model, batch = circle_model(tmp_path, "EIMF", **SMALL)
    unknown = batch[model.user_k[batch["user_id"]] == 0]
    assert len(unknown) > 0
    items = model.item_vectors()
    expected = model.interest_loss(model.represent(unknown, items), items, unknown)
    torch.testing.assert_close(model.calculate_loss(unknown), expected)


@torch.no_grad()
def test_serves_without_the_store_that_it_trained_with(tmp_path):
    model, batch = circle_model(tmp_path, "EIMF", **SMALL)
    assert not any("phrase" in name for name in model.state_dict())

    config = circle_config(tmp_path, "EIMF", **SMALL)
    Path(config["interest_store"]).unlink()
    train = data_preparation(config, create_dataset(config))[0].dataset
    served = get_model("EIMF")(config, train).eval()
    served.load_state_dict(model.state_dict())
    assert torch.equal(served.full_sort_predict(batch), model.full_sort_predict(batch))
    assert torch.equal(served.predict(batch), model.predict(batch))
    with pytest.raises(StoreMissingError, match="cannot train"):
        served.calculate_loss(batch)


def test_temperature_of_zero_is_refused(tmp_path):
    write_circle(tmp_path)
    config = circle_config(tmp_path, "EIMF", alignment_temperature=0.0)
    train = circle_data(config)[0].dataset
    with pytest.raises(SettingError, match="alignment_temperature"):
        get_model("EIMF")(config, train)
