"""The model on a small dataset: masks, losses, default interest, scores, checkpoints."""

import math

import pytest
import torch
from conftest import experiment, random_sequences, write_dataset
from recbole.config import Config
from torch import nn

from recbole_sam import properties
from recbole_sam.errors import SettingError
from recbole_sam.models.attention import interest_aware_attention, masked_mean


def first_batch(loader):
    batch = next(iter(loader))
    return batch[0] if isinstance(batch, tuple) else batch


@pytest.fixture
def sam(shop):
    config, train, valid, test, model = experiment()
    return model.eval(), first_batch(test)


def test_representation_equals_a_loop_over_users(sam):
    model, batch = sam
    with torch.no_grad():
        for layer in model.cross_interest_layers:  # its own test is in test_attention
            layer.forward = lambda views, mask: views
        out = model._represent(batch)
        for b in range(len(out)):
            user, length = int(batch["user_id"][b]), int(batch["item_length"][b])
            items = batch["item_id_list"][b, :length]
            values = math.sqrt(model.hidden_size) * model.item_embedding.weight[items]
            ages = torch.arange(length - 1, -1, -1)  # the newest item has age 0
            keys = values + model.position_embedding.weight[ages]
            views = []
            for k in range(int(model.user_k[user])):
                text = model.phrase_embeddings[int(model.user_phrases[user, k])].float()
                query = model.interest_projection(text)
                weights = (keys @ query / math.sqrt(model.hidden_size)).softmax(0)
                views.append((weights.unsqueeze(1) * values).sum(0))
            torch.testing.assert_close(out[b], torch.stack(views).mean(0), rtol=1e-4, atol=1e-6)


def test_padded_interests_and_positions_change_nothing(sam):
    model, batch = sam
    with torch.no_grad():
        expected = model._represent(batch)
        rank = torch.arange(model.user_phrases.shape[1])
        padded = rank >= model.user_k.unsqueeze(1)
        assert padded[1:].any(), "the dataset must have users with fewer interests than others"
        model.user_phrases[padded] = model.user_phrases.max()
        model.item_embedding.weight[0] = 1e3  # a padded position is item 0
        torch.testing.assert_close(model._represent(batch), expected)


def test_predict_equals_the_entries_of_full_sort_predict(sam):
    model, batch = sam
    with torch.no_grad():
        scores = model.full_sort_predict(batch)
        assert scores.shape == (len(batch), model.n_items)
        for item in (1, 5, model.n_items - 1):
            batch.interaction["item_id"] = torch.full((len(batch),), item)
            torch.testing.assert_close(model.predict(batch), scores[:, item])


@pytest.mark.parametrize("loss_type", ["CE", "BPR", "BCE"])
def test_losses_train_every_parameter(shop, loss_type):
    _, train, _, _, model = experiment(loss_type=loss_type)
    assert (model.user_k[1:] > 0).all()
    model.user_k[: len(model.user_k) // 2] = 0  # so that the default interest takes part as well
    loss = model.calculate_loss(first_batch(train))
    loss.backward()
    assert loss.isfinite()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_losses_are_their_formulae(shop):
    for loss_type in ("BPR", "BCE"):
        _, train, _, _, model = experiment(loss_type=loss_type)
        model.eval()
        batch = first_batch(train)
        user = model._represent(batch)
        pos = (user * model.item_embedding(batch["item_id"])).sum(1)
        neg = (user * model.item_embedding(batch["neg_item_id"])).sum(1)
        if loss_type == "BPR":
            expected = -torch.log(torch.sigmoid(pos - neg) + 1e-10).mean()
        else:
            expected = -(torch.log(torch.sigmoid(pos)) + torch.log(1 - torch.sigmoid(neg))).mean() / 2
        torch.testing.assert_close(model.calculate_loss(batch), expected)


def test_user_without_interests_gets_the_learned_default(sam):
    model, batch = sam
    model.user_k.zero_()
    queries, mask = model.interest_queries(batch["user_id"])
    assert mask.sum(dim=1).tolist() == [1] * len(batch)
    torch.testing.assert_close(queries[:, 0], model.default_interest.expand(len(batch), -1))
    scores = model.full_sort_predict(batch)
    assert scores.isfinite().all()
    scores.sum().backward()
    assert model.default_interest.grad.abs().sum() > 0


def test_every_user_without_text_trains(tmp_path):
    folder = tmp_path / "dataset" / "shop"
    sequences = random_sequences(users=12)
    write_dataset(folder, sequences)
    rows = (folder / "shop.item").read_text().splitlines()
    silent = set(sequences["u3"])  # a user none of whose items has a title
    lines = [row.split("\t")[0] + "\t" if row.split("\t")[0] in silent else row for row in rows]
    (folder / "shop.item").write_text("\n".join(lines) + "\n")
    config, train, valid, test, model = experiment()
    uid = train._dataset.token2id("user_id", "u3")
    assert model.user_k[uid] == 0 and (model.user_k > 0).any()
    assert model.calculate_loss(first_batch(train)).isfinite()


def test_interests_are_not_in_the_checkpoint(sam):
    model, _ = sam
    names = set(model.state_dict())
    assert not names & {"phrase_embeddings", "user_phrases", "user_k"}
    assert "item_embedding.weight" in names


def test_settings_shape_the_model(shop):
    _, _, _, test, model = experiment(
        hidden_size=12, n_heads=3, n_layers=2, inner_size=20, hidden_act="gelu", initializer_range=0.5
    )
    assert len(model.cross_interest_layers) == 2
    assert model.item_embedding.weight.shape[1] == 12
    assert isinstance(model.cross_interest_layers[0].feed_forward[1], nn.GELU)
    assert model.item_embedding.weight[1:].std() > 0.3
    assert model.full_sort_predict(first_batch(test)).isfinite().all()


@pytest.mark.parametrize(
    "wrong, word",
    [
        ({"hidden_act": "step"}, "hidden_act"),
        ({"hidden_size": 10, "n_heads": 4}, "n_heads"),
    ],
)
def test_senseless_settings_are_one_sentence(shop, wrong, word):
    config, train, _, _, model = experiment()
    for name, value in wrong.items():
        config[name] = value
    with pytest.raises(SettingError, match=word) as error:
        type(model)(config, train._dataset)
    assert "\n" not in str(error.value)


def test_unknown_loss_from_the_command_line(shop):
    with pytest.raises(SettingError, match="loss_type"):
        experiment(loss_type="MSE")


def test_attention_survives_a_single_item_history():
    views, weights = interest_aware_attention(
        torch.randn(1, 2, 4), torch.randn(1, 3, 4), torch.randn(1, 3, 4), torch.tensor([[True, False, False]])
    )
    assert weights[0, :, 0].tolist() == [1.0, 1.0]
    assert masked_mean(views, torch.tensor([[True, False]])).isfinite().all()


@pytest.mark.gpu
def test_cpu_equals_gpu(shop):
    _, _, _, test, model = experiment()
    model.eval()
    batch = first_batch(test)
    with torch.no_grad():
        expected = model.full_sort_predict(batch)
        scores = model.cuda().full_sort_predict(batch.to("cuda"))
    torch.testing.assert_close(scores.cpu(), expected, rtol=1e-4, atol=1e-5)


def test_paper_recipe_is_accepted(shop):
    recipe = str(properties.folder() / "model" / "SAM-paper.yaml")
    config = Config(model="SAM", dataset="shop", config_file_list=[recipe], config_dict={"state": "ERROR"})
    assert config["loss_type"] == "BCE" and config["train_targets"] == "last"
    assert config["eval_args"]["mode"] == {"valid": "uni100", "test": "uni100"}
    assert config["learning_rate"] == 5e-4 and config["clip_grad_norm"] == {"max_norm": 1.0}
