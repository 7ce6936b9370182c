"""Every model of ours takes titles and the bias by the same settings."""

import pytest
import torch
from circle import circle_config, circle_data, circle_model
from conftest import experiment, first_batch, make_config
from recbole.utils import get_model

from recbole_sam.config import our_models
from recbole_sam.errors import SettingError

RIVALS = ["BSARec", "STOSA", "ComiRec", "MIND", "EIMF", "SASRecText", "UniSRec", "WEARec", "eSASRec", "HSTU"]


@pytest.mark.parametrize("name", RIVALS)
def test_an_item_is_its_id_and_its_title(tmp_path, name):
    """The model without titles gives the same scores when its ID embeddings hold the titles too."""
    model, batch = circle_model(tmp_path, name, item_text=True)
    config = circle_config(tmp_path, name, item_text=False)
    plain = get_model(name)(config, circle_data(config)[0].dataset).eval()
    assert plain.item_text is None
    with torch.no_grad():
        weights = model.state_dict()
        titles = model.item_text()
        assert titles[1:].norm(dim=1).min() > 0 and not titles[0].any()
        weights["item_embedding.weight"] = weights["item_embedding.weight"] + titles
        unread = plain.load_state_dict(weights, strict=False)
        assert not unread.missing_keys and unread.unexpected_keys
        torch.testing.assert_close(model.full_sort_predict(batch), plain.full_sort_predict(batch))
        losses = []
        for one in (model, plain):
            torch.manual_seed(1)  # of the negatives
            losses.append(one.calculate_loss(batch))
        torch.testing.assert_close(*losses)


@pytest.mark.parametrize("name", [*RIVALS, "TedRec"])
def test_the_bias_is_on_the_items_of_the_history(tmp_path, name):
    model, batch = circle_model(tmp_path, name, repeat_bias=True)
    with torch.no_grad():
        model.repeat_bias.fill_(0.7)
        scores, one = model.full_sort_predict(batch), model.predict(batch)
        bias, model.repeat_bias = model.repeat_bias, None
        expected, expected_one = model.full_sort_predict(batch), model.predict(batch)
    for row in range(len(batch)):
        history = set(batch["item_id_list"][row, : batch["item_length"][row]].tolist())
        for item in history:
            expected[row, item] += 0.7
        expected_one[row] += 0.7 * (int(batch["item_id"][row]) in history)
    torch.testing.assert_close(scores, expected)
    torch.testing.assert_close(one, expected_one)
    model.repeat_bias = bias
    model.calculate_loss(batch).backward()
    assert model.repeat_bias.grad.abs() > 0


@pytest.mark.parametrize("name", ["ComiRec", "MIND"])
def test_dropout_of_items_is_for_training_only(tmp_path, name):
    """The circle's dropout of 0.1 counts in training; without it training equals evaluation."""
    model, batch = circle_model(tmp_path, name)
    with torch.no_grad():
        exact = model.calculate_loss(batch)
        assert model.train().calculate_loss(batch) != exact
        model.dropout.p = 0.0
        assert model.calculate_loss(batch) == exact


def test_titles_are_read_only_when_asked_for(shop):
    for name in ("BSARec", "ComiRec"):
        assert not our_models.uses_item_texts(make_config(name))
        _, train, _, _, _ = experiment(name)
        assert not hasattr(train._dataset, "item_texts")
    assert not list(shop.glob("*.item-texts-*"))
    _, train, _, _, model = experiment("BSARec", item_text=True)
    assert train._dataset.item_texts.width == model.item_text.adaptor.in_features
    assert len(list(shop.glob("*.item-texts-*"))) == 1


def test_a_checkpoint_of_before_the_setting_reads_titles(shop):
    config, train, _, test, model = experiment("SASRecText")
    config["item_text"] = None
    assert our_models.uses_item_texts(config)
    again = get_model("SASRecText")(config, train._dataset)
    again.load_state_dict(model.state_dict())
    batch = first_batch(test)
    with torch.no_grad():
        assert torch.equal(again.eval().full_sort_predict(batch), model.eval().full_sort_predict(batch))
    assert not our_models.uses_item_texts(make_config("BSARec", item_text=None))


@pytest.mark.parametrize("name", ["item_text", "repeat_bias", "item_knn"])
def test_what_is_neither_on_nor_off_is_refused(shop, name):
    with pytest.raises(SettingError, match=f"{name} is 'maybe'; it must be True or False"):
        experiment("ComiRec", **{name: "maybe"})
