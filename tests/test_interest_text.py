"""interest_text: an interest's own text in its view."""

import pytest
import torch
from conftest import experiment

from recbole_sam.errors import SettingError


@pytest.fixture
def trained(shop):
    _, train, _, _, model = experiment(interest_text=True)
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


def test_off_means_that_nothing_of_it_is_there(shop):
    _, _, _, _, without = experiment()
    _, _, _, _, given = experiment(interest_text=True)
    assert {n: p.shape for n, p in without.named_parameters()} == {
        n: p.shape for n, p in given.named_parameters()
    }
    assert all(torch.equal(a, b) for a, b in zip(without.parameters(), given.parameters(), strict=True))


def test_the_control_without_interests_has_no_texts(shop):
    _, train, _, _, model = experiment(interest_text=True, interest_control="constant")
    assert model.calculate_loss(train.dataset.inter_feat[:10]).isfinite()


def test_it_needs_item_texts(shop):
    with pytest.raises(SettingError, match="interest_text .* set item_text to True"):
        experiment(interest_text=True, item_text=False)
