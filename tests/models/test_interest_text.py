"""interest_text: an interest's own text in its view."""

import pytest
import torch
from conftest import experiment

from recbole_sam.errors import SettingError
from recbole_sam.models.sam import SAM


@pytest.fixture
def trained(shop):
    _, train, _, _, model = experiment(interest_text=True, learned_queries=0)
    return model, train.dataset.inter_feat


def test_only_what_a_sample_sees_is_added(trained):
    model, samples = trained
    user, history = samples["user_id"], samples["item_id_list"]
    texts = model.train().interest_texts(user, history)
    seen = (model.support[user].unsqueeze(2) == history.unsqueeze(1)).any(2) & (model.support[user] > 0)
    assert 0 < seen.sum() < model.user_k[user].sum()
    phrases = model.phrase_embeddings[model.user_phrases[user].long()].float()
    torch.testing.assert_close(texts[seen], model.item_text.of(phrases)[seen])
    assert not texts[~seen].any()


def test_serving_adds_all_and_follows_the_weights(trained):
    model, samples = trained
    user, history = samples["user_id"], samples["item_id_list"]
    real = torch.arange(model.user_phrases.shape[1]) < model.user_k[user].unsqueeze(1)
    with torch.no_grad():
        for _ in range(2):
            phrases = model.phrase_embeddings[model.user_phrases[user].long()].float()
            expected = model.item_text.of(phrases) * real.unsqueeze(-1)
            torch.testing.assert_close(model.eval().interest_texts(user, history), expected)
            model.item_text.adaptor.weight.mul_(2)


def test_a_phrase_reaches_an_item_that_the_history_does_not_hold(trained):
    """What the setting is for: the score of an item rises with a phrase that is its title."""
    model, samples = trained
    batch = samples[:50]
    model.eval()
    with torch.no_grad():
        # IDs that say nothing, and a projection that keeps what two titles have in common
        model.item_embedding.weight.mul_(0.01)
        torch.nn.init.orthogonal_(model.item_text.adaptor.weight)
        before = model.full_sort_predict(batch)
        title = model.item_text.texts[1] * model.item_text.scale + model.item_text.centre
        row = model.user_phrases[batch["user_id"]][:, 0].long()
        table = model.phrase_embeddings.float().clone()
        table[row] = title
        model.phrase_embeddings = table
        model._phrase_texts, model._projected = type(model._phrase_texts)(), type(model._projected)()
        after = model.full_sort_predict(batch)
    others = ~(batch["item_id_list"] == 1).any(1)
    gain = (after - before)[others]
    assert others.sum() > 5
    assert (gain[:, 1] > gain[:, 2:].mean(1)).float().mean() > 0.9


def test_it_has_no_parameters_and_is_off_by_default(shop):
    _, _, _, test, without = experiment()
    _, _, _, _, given = experiment(interest_text=True)
    assert all(torch.equal(a, b) for a, b in zip(without.parameters(), given.parameters(), strict=True))
    batch = test.dataset.inter_feat[:20]
    off, on = (model.eval().full_sort_predict(batch) for model in (without, given))
    assert not torch.allclose(off, on)
    given.interest_text = False
    torch.testing.assert_close(given.full_sort_predict(batch), off)


def test_a_text_weighs_as_a_title_in_the_history(shop):
    """A history of one item without an ID, and a phrase that is its title: two equal parts of the view."""
    _, _, _, _, model = experiment(
        interest_text=True,
        interest_attention=False,
        history_filter=False,
        n_layers=0,
        final_norm=False,
        repeat_bias=False,
    )
    user, item = torch.tensor([1]), torch.tensor([[3]])
    with torch.no_grad():
        model.eval().item_embedding.weight.zero_()
        model.user_k[:] = 1
        model.user_phrases.zero_()
        model.phrase_embeddings = model.item_text.texts[3:4] * model.item_text.scale + model.item_text.centre
        vectors = model.item_vectors()
        out = model(user, item, torch.tensor([1]), vectors).vectors[:, 0]
    torch.testing.assert_close(out, 2 * model.hidden_size**0.5 * vectors[3:4])


def test_the_control_without_interests_has_no_texts(shop):
    _, train, _, _, model = experiment(interest_text=True, interest_control="constant")
    assert model.calculate_loss(train.dataset.inter_feat[:10]).isfinite()


@pytest.mark.parametrize("without", ["item_text", "interest_evidence"])
def test_it_needs_titles_and_evidence(shop, without):
    with pytest.raises(SettingError, match=f"interest_text .* set {without} to True"):
        experiment(interest_text=True, **{without: False})


def test_texts_of_another_encoder_are_refused(shop):
    config, train, _, _, _ = experiment(interest_text=True)
    train.dataset.interests.encoder = {"name": "another"}
    with pytest.raises(SettingError, match="another text encoder"):
        SAM(config, train.dataset)
