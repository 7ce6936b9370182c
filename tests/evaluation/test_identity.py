"""The seeds of one row are of one model."""

import json

import pytest
from conftest import build_interests, make_config

from recbole_sam.errors import DataError, SettingError
from recbole_sam.evaluation import comparison, entries, identity, plan
from recbole_sam.evaluation.run_folder import RunFolder
from recbole_sam.evaluation.trial import write_result


def test_it_holds_defaults_and_what_is_read_of_stage_1(shop):
    sasrec = identity.identity(make_config("SASRec"))
    assert sasrec["n_layers"] == 2 and sasrec["learning_rate"] == 0.001 and "item texts" not in sasrec
    sam = identity.identity(make_config())
    assert sam["history_filter"] is True and sam["interests"].startswith("shop.interests-keyphrases-lsa-")
    assert identity.identity(make_config("SASRecText"))["item texts"] == sam["item texts"]
    assert json.loads(json.dumps(sam)) == sam


def test_other_titles_and_settings_of_stage_1_are_another_model(shop):
    before = identity.identity(make_config())
    narrow = identity.identity(make_config(text_encoder_dim=16))
    assert before["interests"] != narrow["interests"] and before["item texts"] != narrow["item texts"]
    titles = (shop / "shop.item").read_text()
    (shop / "shop.item").write_text(titles.rstrip("\n") + " edited\n")
    after = identity.identity(make_config())
    assert {name for name in after if after[name] != before[name]} == {"interests", "item texts"}


def test_a_row_of_two_models_is_refused():
    result = {"model": "SAM", "seed": 3, "identity": {"n_layers": 2, "interests": "a"}}
    identity.check(result, {"n_layers": 2, "interests": "a"})
    identity.check({"model": "SAM", "seed": 3}, {"n_layers": 7})  # of before such things were kept
    identity.check(result, {"n_layers": 2, "interests": "a", "item_knn": False})  # a setting of today
    for name, before, default in (("interest_readout", "mean", "max"), ("history_filter", False, True)):
        identity.check(result, {"n_layers": 2, "interests": "a", name: before})
        with pytest.raises(SettingError, match=f"with {name} {before}, a default that is {default} now"):
            identity.check(result, {"n_layers": 2, "interests": "a", name: default})
    with pytest.raises(SettingError, match=r"SAM with seed 3 was .* n_layers 2, .* as SAM:n_layers=1\."):
        identity.check(result, {"n_layers": 1, "interests": "a"})
    with pytest.raises(DataError, match="trained with other interests .a, now b., since"):
        identity.check(result, {"n_layers": 2, "interests": "b"})


def test_titles_of_another_length_are_another_model(shop):
    """Titles had length 1 before that was a setting; without titles it is no part of a model."""
    for model, default in (("UniSRec", 15.0), ("WEARec", 4.0)):
        now = identity.identity(make_config(model, item_text=True))
        before = {name: value for name, value in now.items() if name != "text_scale"}
        result = {"model": model, "seed": 3, "identity": before}
        with pytest.raises(SettingError, match=f"with text_scale 1.0, a default that is {default} now"):
            identity.check(result, now)
        identity.check(result, {**now, "text_scale": 1.0})
    for model in ("WEARec", "EIMF", "SASRec"):
        now = identity.identity(make_config(model))
        assert "text_scale" not in now
        identity.check({"model": model, "seed": 3, "identity": {**now, "text_scale": 1.0}}, now)


def test_what_chose_the_epoch_is_part_of_a_model(shop):
    full, masked = (identity.identity(make_config("SASRec"), name) for name in ("full", "masked"))
    assert {name for name in full if full[name] != masked[name]} == {"epoch chosen by"}
    kept = {name: value for name, value in full.items() if name != "epoch chosen by"}  # an older one
    for before in ({"identity": kept}, {"identity": full}, {}):
        result = {"model": "SASRec", "seed": 3, **before}
        identity.check(result, full)
        with pytest.raises(SettingError, match="best epoch chosen by the protocol full, now masked"):
            identity.check(result, masked)


def test_more_seeds_of_another_model_are_not_trained(shop, tmp_path):
    made, _ = plan.make_plan(["--dataset=shop", "--epochs=1", "--use_gpu=False"])
    chosen, folder = entries.parse("SASRec,SAM"), RunFolder(tmp_path / "run")
    build_interests(make_config())
    for entry, name in zip(chosen, ("n_layers", "history_filter"), strict=True):
        now = identity.identity(make_config(entry.model, MAX_ITEM_LIST_LENGTH=50))
        done = {"model": entry.label, "class": entry.model, "seed": 2020, "status": "done"}
        write_result(folder.start(entry.label, 2020, {}), {**done, "identity": {**now, name: "other"}})
        where = comparison.Workers([{}], 1, {})
        with pytest.raises(SettingError, match=f"was trained with {name} other, a default that is"):
            comparison.run_trials(folder, made, [entry], [2020, 2021], {}, where, print)
        assert folder.result(entry.label, 2021) is None
