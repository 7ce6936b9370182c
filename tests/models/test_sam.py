"""The model on a small dataset: masks, losses, default interest, scores, checkpoints."""

import copy
import math

import pytest
import torch
from conftest import CAUSAL, experiment, first_batch, random_sequences, write_dataset
from recbole.config import Config
from recbole.utils import get_trainer
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from recbole_sam.config import yaml_files
from recbole_sam.errors import SettingError
from recbole_sam.models.parts import capsule
from recbole_sam.models.parts.attention import interest_aware_attention, masked_mean
from recbole_sam.models.parts.padding import left_pad

MEAN = CAUSAL | {"interest_readout": "mean", "learned_queries": 0, "n_layers": 1}
"""As in the paper, but for the newest item: one vector a user, of the user's interests alone."""
CHUNKED = {"loss_chunk_size": 7, "repeat_bias": False}
SAMPLED = {"loss_type": "SSM", "train_neg_sample_args": None, "loss_negatives": 5}


@pytest.fixture
def sam(shop):
    config, train, valid, test, model = experiment(**MEAN)
    return model.eval(), first_batch(test)


def test_representation_equals_a_loop_over_users(sam):
    model, batch = sam
    with torch.no_grad():
        for layer in model.cross_interest_layers:  # its own test is in test_attention
            layer.forward = lambda views, mask: views
        out = model.represent(batch).vectors[:, 0]
        item_vectors = model.item_vectors()
        for b in range(len(out)):
            user, length = int(batch["user_id"][b]), int(batch["item_length"][b])
            items = batch["item_id_list"][b, :length]
            values = math.sqrt(model.hidden_size) * item_vectors[items]
            ages = torch.arange(length - 1, -1, -1)  # the newest item has age 0
            keys = values + model.position_embedding.weight[ages]
            views = []
            for k in range(int(model.user_k[user])):
                text = model.phrase_embeddings[int(model.user_phrases[user, k])].float()
                query = model.interest_projection(text)
                weights = (keys @ query / math.sqrt(model.hidden_size)).softmax(0)
                views.append((weights.unsqueeze(1) * values).sum(0) + values[-1])
            user = nn.functional.layer_norm(torch.stack(views).mean(0), [model.hidden_size])
            torch.testing.assert_close(out[b], user, rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_the_filtered_history_is_added_to_every_view(shop):
    _, _, _, test, model = experiment(final_norm=False)
    batch = first_batch(test)
    views = model.eval().represent(batch).vectors
    moved = left_pad(batch["item_id_list"], batch["item_length"], model.history_filter.window)
    added = model.history_filter(model.item_vectors()[moved])
    model.history_filter = None
    torch.testing.assert_close(views, model.represent(batch).vectors + added.unsqueeze(1))


def test_an_item_is_matched_with_its_best_view(shop):
    """Of a user's interests and of the learned queries; training teaches the view nearest to the target."""
    _, train, _, _, model = experiment(interest_evidence=False, **CAUSAL)
    batch = first_batch(train)
    items, scores = model.eval().item_vectors(), model.full_sort_predict(batch)
    chosen = []
    for b in range(len(batch)):
        user, length = int(batch["user_id"][b]), int(batch["item_length"][b])
        history = batch["item_id_list"][b, :length]
        values = math.sqrt(model.hidden_size) * items[history]
        keys = values + model.position_embedding.weight[torch.arange(length - 1, -1, -1)]
        phrases = model.phrase_embeddings[model.user_phrases[user, : model.user_k[user]].long()].float()
        queries = torch.cat([model.interest_projection(phrases), model.learned_interests])
        assert len(queries) == model.user_k[user] + 4
        weights = (queries @ keys.T / math.sqrt(model.hidden_size)).softmax(1)
        matches = model.final_norm(weights @ values + values[-1]) @ items.T
        bias = torch.zeros(model.n_items).index_fill(0, history, 1) * model.repeat_bias
        torch.testing.assert_close(scores[b], matches.amax(0) + bias, rtol=1e-3, atol=1e-4)
        chosen.append(matches[matches[:, batch["item_id"][b]].argmax()] + bias)
    loss = nn.functional.cross_entropy(torch.stack(chosen), batch["item_id"])
    torch.testing.assert_close(model.calculate_loss(batch), loss, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("setting", [{"interest_readout": "best"}, {"learned_queries": -1}], ids=str)
def test_a_readout_that_makes_no_sense_is_refused(shop, setting):
    with pytest.raises(SettingError, match=next(iter(setting))):
        experiment(**setting)


def test_padded_interests_and_positions_change_nothing(sam):
    model, batch = sam
    with torch.no_grad():
        expected = model.represent(batch).vectors
        rank = torch.arange(model.user_phrases.shape[1])
        padded = rank >= model.user_k.unsqueeze(1)
        assert padded[1:].any(), "the dataset must have users with fewer interests than others"
        model.user_phrases[padded] = model.user_phrases.max()
        model.item_embedding.weight[0] = 1e3  # a padded position is item 0
        torch.testing.assert_close(model.represent(batch).vectors, expected)


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
        _, train, _, _, model = experiment(loss_type=loss_type, **MEAN)
        model.eval()
        batch = first_batch(train)
        user, items, bias = model.represent(batch).vectors[:, 0], model.item_vectors(), model.repeat_bias
        pos, neg = (
            (user * items[item]).sum(1) + bias * (batch["item_id_list"] == item.unsqueeze(1)).any(1)
            for item in (batch["item_id"], batch["neg_item_id"])
        )
        if loss_type == "BPR":
            expected = -torch.log(torch.sigmoid(pos - neg) + 1e-10).mean()
        else:
            expected = -(torch.log(torch.sigmoid(pos)) + torch.log(1 - torch.sigmoid(neg))).mean() / 2
        torch.testing.assert_close(model.calculate_loss(batch), expected)


def test_user_without_interests_gets_the_learned_default(sam):
    model, batch = sam
    model.user_k.zero_()
    queries, mask = model.interest_queries(batch["user_id"], batch["item_id_list"])
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
        ({"hidden_size": 10, "n_heads": 4, "n_layers": 1}, "n_heads"),
        ({"history_filter": "on"}, "history_filter is 'on'.*True or False"),
        ({"train_targets": "sequence"}, "history_filter reads a history both ways"),
        ({"compile": True}, "compiled, history_filter's Fourier transforms"),
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
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_cpu_equals_gpu(shop):
    _, _, _, test, model = experiment()
    model.eval()
    batch = first_batch(test)
    with torch.no_grad():
        expected = model.full_sort_predict(batch)
        scores = model.cuda().full_sort_predict(batch.to("cuda"))
    torch.testing.assert_close(scores.cpu(), expected, rtol=1e-4, atol=1e-5)


def test_paper_recipe_is_accepted(shop):
    recipe = str(yaml_files.folder() / "model" / "SAM-paper.yaml")
    config = Config(model="SAM", dataset="shop", config_file_list=[recipe], config_dict={"state": "ERROR"})
    assert config["loss_type"] == "BCE" and config["train_targets"] == "last" and not config["final_norm"]
    assert config["eval_args"]["mode"] == {"valid": "uni100", "test": "uni100"}
    assert config["learning_rate"] == 5e-4 and config["clip_grad_norm"] == {"max_norm": 1.0}


def loss_and_gradients(model, batch):
    model.zero_grad()
    loss = model.calculate_loss(batch)
    loss.backward()
    return {"loss": loss.detach()} | {name: each.grad.clone() for name, each in model.named_parameters()}


def same_weights(model, **settings):
    """A SAM of other settings with the weights of a model, and a training batch; both without dropout."""
    if settings.get("repeat_bias") is False:
        model.repeat_bias = None
    _, train, _, _, other = experiment(**MEAN | settings)
    other.load_state_dict(model.state_dict())
    return other.eval(), first_batch(train)


@pytest.mark.parametrize("settings", [SAMPLED, CHUNKED, {"compile": True}])
def test_settings_of_scale_change_no_checkpoint(sam, settings):
    model, _ = sam
    other, _ = same_weights(model, **settings)
    assert list(other.state_dict()) == list(model.state_dict())


def test_settings_of_scale_may_be_absent(shop):
    """A checkpoint of an earlier version has a configuration without them: they are off."""
    config, train, _, _, model = experiment()
    batch = first_batch(train)
    expected = loss_and_gradients(model.eval(), batch)
    for name in ("loss_chunk_size", "loss_negatives", "loss_distribution", "compile"):
        config[name] = None
    older = type(model)(config, train._dataset).eval()
    older.load_state_dict(model.state_dict())
    torch.testing.assert_close(loss_and_gradients(older, batch), expected, rtol=0, atol=0)


def test_final_norm_may_be_absent(shop):
    """In the configuration of a checkpoint from before there was one."""
    config, train, _, _, model = experiment()
    assert any(name.startswith("final_norm.") for name in model.state_dict())
    config["final_norm"] = None
    older = type(model)(config, train._dataset)
    assert not any(name.startswith("final_norm.") for name in older.state_dict())
    user = model.eval().represent(first_batch(train)).vectors[:, 0]
    torch.testing.assert_close(user.std(dim=1, correction=0), torch.ones(len(user)), rtol=1e-3, atol=0)


@pytest.mark.parametrize("chunk_size", [1, 7, 10**6])
def test_chunked_loss_equals_cross_entropy(sam, chunk_size):
    model, _ = sam
    chunked, batch = same_weights(model, **CHUNKED | {"loss_chunk_size": chunk_size})
    assert len(batch) > 7
    torch.testing.assert_close(loss_and_gradients(chunked, batch), loss_and_gradients(model, batch))


@pytest.mark.parametrize("distribution", ["popularity", "uniform"])
def test_sampled_softmax_draws_by_the_training_part(shop, distribution):
    _, train, _, _, model = experiment(**SAMPLED, loss_distribution=distribution)
    counts = torch.bincount(train._dataset.inter_feat["item_id"], minlength=model.n_items)
    drawn = torch.zeros(model.n_items)
    for _ in range(300):
        drawn[model.negative_sampler()] += 1
    can_be_drawn = counts > 0 if distribution == "popularity" else torch.arange(model.n_items) > 0
    assert torch.equal(drawn > 0, can_be_drawn)


def test_sampled_softmax_of_very_many_draws_is_the_full_softmax(sam):
    model, _ = sam
    many = SAMPLED | {"loss_negatives": 10**5, "loss_distribution": "uniform"}
    sampled, batch = same_weights(model, **many)
    logits = model.full_sort_predict(batch)[:, 1:]  # without the padding item
    expected = nn.functional.cross_entropy(logits, batch["item_id"] - 1)
    torch.testing.assert_close(sampled.calculate_loss(batch), expected)


def test_sampled_softmax_follows_the_seed(shop):
    losses = []
    for seed in (2020, 2020, 2021):
        _, train, _, _, model = experiment(**SAMPLED, seed=seed)
        losses.append(model.eval().calculate_loss(first_batch(train)).item())
    assert losses[0] == losses[1] != losses[2]


def test_scores_take_the_memory_of_the_result_only(sam, monkeypatch):
    """Nothing as large as the scores is made beside them."""
    monkeypatch.setattr(capsule, "ON_CPU", (64, 1024, 5000))  # pieces smaller than these scores
    model, batch = sam
    model.n_items = 5000  # so that nothing else is as large
    model.item_embedding, model.item_text = nn.Embedding(model.n_items, model.hidden_size), None
    size = len(batch) * model.n_items * 4
    made = []  # the storages, kept so that no address is used twice

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            results = result if isinstance(result, tuple | list) else (result,)
            made.extend(each.untyped_storage() for each in results if isinstance(each, torch.Tensor))
            return result

    with torch.no_grad(), Watch():
        scores = model.full_sort_predict(batch)
    large = {storage.data_ptr() for storage in made if storage.nbytes() >= size}
    assert large - {model.item_embedding.weight.data_ptr()} == {scores.data_ptr()}


@pytest.mark.parametrize("users", [1, 7])
def test_metrics_do_not_depend_on_the_evaluation_batch(shop, users):
    metrics = ["Recall", "MRR", "NDCG", "Hit", "Precision", "ItemCoverage"]
    _, _, _, _, model = experiment(metrics=metrics)
    results = []
    for size in (4096, users):
        config, train, valid, test, _ = experiment(metrics=metrics, eval_batch_size=size)
        assert len(test) == math.ceil(len(test._dataset) / size)
        trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
        trainer.eval_collector.data_collect(train)
        results.append([trainer.evaluate(part, load_best_model=False) for part in (valid, test)])
    assert results[0] == results[1]


def test_recboles_enable_amp_reaches_the_forward_pass(sam):
    """It is an autocast around the loss: some roundings to bfloat16, and gradients in float32."""
    model, batch = sam
    expected = model.calculate_loss(batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = model.calculate_loss(batch)
    rounding = torch.finfo(torch.bfloat16).eps
    assert rounded != expected and rounded.item() == pytest.approx(expected.item(), rel=rounding)
    rounded.backward()
    assert all(each.grad is None or each.grad.dtype == torch.float32 for each in model.parameters())


def check_compiled(model, fast, batch):
    torch._dynamo.reset()
    torch.testing.assert_close(
        loss_and_gradients(fast, batch), loss_and_gradients(model, batch), rtol=1e-4, atol=1e-5
    )
    duplicate = copy.deepcopy(fast)  # RecBole counts operations on one
    with torch.no_grad():
        for part in (batch, batch[:3]):
            expected = model.full_sort_predict(part)
            torch.testing.assert_close(fast.full_sort_predict(part), expected, rtol=1e-4, atol=1e-5)
        for parameter in fast.parameters():
            parameter.zero_()
        torch.testing.assert_close(duplicate.full_sort_predict(part), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_compiled_equals_eager(sam):
    model, _ = sam
    check_compiled(model, *same_weights(model, compile=True))


@pytest.mark.parametrize(
    "more",
    [
        {"interest_text": True, "item_knn": True},
        pytest.param({}, marks=pytest.mark.slow),
        pytest.param({"interest_readout": "max", "learned_queries": 2}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_compiled_forward_is_the_one_that_runs(shop, monkeypatch, more):
    """The same with torch's compiler left out, which needs no C++ compiler and no minute."""
    usual = torch.compile
    monkeypatch.setattr(torch, "compile", lambda function: usual(function, backend="eager"))
    model = experiment(**MEAN | more)[-1].eval()
    fast, batch = same_weights(model, compile=True, **more)
    calls = []
    forward = fast.compiled_forward
    fast.compiled_forward = lambda *args: calls.append(1) or forward(*args)
    check_compiled(model, fast, batch)
    assert calls


@pytest.mark.parametrize(
    "wrong, word",
    [
        ({"loss_chunk_size": 0}, "loss_chunk_size"),
        ({"loss_chunk_size": True}, "loss_chunk_size"),
        ({"loss_chunk_size": "many"}, "loss_chunk_size"),
        ({"loss_chunk_size": 8, "loss_type": "BPR", "repeat_bias": False}, "loss_chunk_size.*BPR"),
        ({"loss_chunk_size": 8}, "loss_chunk_size.*repeat_bias"),
        ({"repeat_bias": "sometimes"}, "repeat_bias is 'sometimes'.*True or False"),
        ({"interest_control": "random"}, "interest_control.*shuffled, constant, absent"),
        ({"loss_negatives": 0, "loss_type": "SSM"}, "loss_negatives"),
        ({"loss_distribution": "zipf", "loss_type": "SSM"}, "loss_distribution.*popularity or uniform"),
        ({"train_neg_sample_args": {"distribution": "uniform"}, "loss_type": "SSM"}, "train_neg_sample_args"),
        ({"compile": "yes"}, "compile"),
    ],
)
def test_senseless_settings_of_scale_are_one_sentence(shop, wrong, word):
    config, train, _, _, model = experiment()
    for name, value in wrong.items():
        config[name] = value
    with pytest.raises(SettingError, match=word) as error:
        type(model)(config, train._dataset)
    assert "\n" not in str(error.value)


needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


@pytest.mark.gpu
@needs_gpu
def test_compiled_on_gpu(sam):
    model, _ = sam
    fast, batch = same_weights(model, compile=True)
    check_compiled(model.cuda(), fast.cuda(), batch.to("cuda"))


@pytest.mark.gpu
@needs_gpu
def test_losses_of_scale_on_gpu(sam):
    model, _ = sam
    sampled, _ = same_weights(model, **SAMPLED)
    chunked, batch = same_weights(model, **CHUNKED)  # takes the model's repeat_bias away
    batch = batch.to("cuda")
    torch.testing.assert_close(
        loss_and_gradients(chunked.cuda(), batch),
        loss_and_gradients(model.cuda(), batch),
        rtol=1e-4,
        atol=1e-5,
    )
    assert sampled.cuda().calculate_loss(batch).isfinite()
