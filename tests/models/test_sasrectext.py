"""SASRec with item texts is RecBole's SASRec where the texts say nothing."""

import pytest
import torch
from conftest import experiment, first_batch
from recbole.model.sequential_recommender.sasrec import SASRec

from recbole_sam.errors import SettingError


def test_without_text_and_bias_it_is_recboles_sasrec(shop):
    _, train, _, test, model = experiment("SASRecText")
    with torch.no_grad():
        model.eval().item_text.adaptor.weight.zero_()
        batch, samples = first_batch(test), first_batch(train)
        torch.testing.assert_close(model.full_sort_predict(batch), SASRec_scores(model, batch))
        model.train()
        losses = []
        for scores in (model.full_sort_predict, lambda batch: SASRec_scores(model, batch)):
            torch.manual_seed(1)
            losses.append(model.loss_fct(scores(samples), samples["item_id"]))
        assert losses[0] == losses[1]


def test_without_item_text_it_is_recboles_sasrec_by_names_and_scores(shop):
    _, train, _, test, model = experiment("SASRecText", item_text=False)
    _, _, _, _, recboles = experiment("SASRec")
    assert list(model.state_dict()) == list(recboles.state_dict())
    for name, weights in recboles.state_dict().items():
        assert torch.equal(model.state_dict()[name], weights), name  # the same draws, too
    batch, samples = first_batch(test), first_batch(train)
    losses = []
    for each in (model, recboles):
        torch.manual_seed(1)
        losses.append(each.train().calculate_loss(samples))
    assert losses[0] == losses[1]
    with torch.no_grad():
        assert torch.equal(model.eval().full_sort_predict(batch), recboles.eval().full_sort_predict(batch))
        assert torch.equal(model.predict(batch), recboles.predict(batch))


def SASRec_scores(model, batch):
    user = SASRec.forward(model, batch["item_id_list"], batch["item_length"])
    return user @ model.item_embedding.weight.T


def test_the_text_enters_histories_and_candidates(shop):
    _, train, _, _, model = experiment("SASRecText")
    model.calculate_loss(first_batch(train)).backward()
    assert model.item_text.adaptor.weight.grad.abs().sum() > 0
    with torch.no_grad():
        batch = first_batch(train)
        before = model.eval().full_sort_predict(batch)
        model.item_text.texts.copy_(model.item_text.texts.roll(1, 0))
        assert not torch.allclose(model.full_sort_predict(batch), before)


def test_repeat_bias_is_sams(shop):
    _, train, _, test, plain = experiment("SASRecText")
    _, _, _, _, model = experiment("SASRecText", repeat_bias=True)
    missing = model.load_state_dict(plain.state_dict(), strict=False).missing_keys
    assert missing == ["repeat_bias"]
    batch = first_batch(test)
    with torch.no_grad():
        difference = model.eval().full_sort_predict(batch) - plain.eval().full_sort_predict(batch)
    for b in range(len(batch)):
        history = batch["item_id_list"][b, : batch["item_length"][b]].unique()
        expected = torch.zeros(model.n_items).index_fill_(0, history, model.repeat_bias.item())
        torch.testing.assert_close(difference[b], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("name", "value"), [("hidden_size", 65), ("hidden_size", 0), ("n_layers", 0), ("hidden_act", "silu")]
)
def test_sizes_that_cannot_be_are_one_sentence(shop, name, value):
    with pytest.raises(SettingError, match=name):
        experiment("SASRecText", **{name: value})
