"""Names of settings, and who reads them."""

import inspect
import logging
import re
from functools import cache

import pytest
from conftest import make_config
from recbole.utils import get_model, get_trainer

from recbole_sam import run
from recbole_sam.config import setting_names
from recbole_sam.errors import SettingError


def test_a_setting_of_another_model_is_told(shop, caplog, monkeypatch):
    trained = []
    monkeypatch.setattr("recbole.quick_start.run", lambda model, *rest, **more: trained.append(model))
    with caplog.at_level(logging.WARNING):
        run.main(["--model=BSARec", "--dataset=shop", "--interest_evidence=True", "--hidden_size=8"])
    sentence = "BSARec does not read interest_evidence, a setting of SAM: leave it out."
    assert [record.getMessage() for record in caplog.records] == [sentence] and trained == ["BSARec"]


@pytest.mark.parametrize("given, said", [("7", True), ("-1", False), (None, False)])
def test_a_gpu_that_is_not_there_is_named(shop, caplog, monkeypatch, given, said):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("recbole.quick_start.run", lambda *rest, **more: None)
    words = ["--model=BSARec", "--dataset=shop"] + ([f"--gpu_id={given}"] if given else [])
    with caplog.at_level(logging.WARNING):
        run.main(words)
    assert ("gpu_id is 7, but no such GPU was found: the CPU is used." in caplog.text) == said


def test_readers_are_named():
    [sentence] = setting_names.unread(["interest_size", "epochs", "hidden_size"], "STOSA")
    assert sentence.startswith(
        "STOSA does not read interest_size, a setting of ComiRec and EIMF and MIND and SINE:"
    )
    [sentence] = setting_names.unread(["n_layers", "learning_rate"], "GRU4Rec")
    assert sentence.startswith("GRU4Rec does not read n_layers, a setting of BSARec, HSTU, SAM and ")
    assert sentence.endswith(": did you mean num_layers?")


def test_settings_of_recboles_models_have_readers_too():
    [sentence] = setting_names.unread(["embedding_size", "hidden_size"], "SAM")
    assert sentence.startswith("SAM does not read embedding_size, a setting of ")
    assert sentence.endswith(": did you mean hidden_size?")
    [sentence] = setting_names.unread(["dropout"], "SAM")
    assert sentence == "SAM does not read dropout, a setting of NNCF: did you mean hidden_dropout_prob?"


def test_a_model_of_titles_reads_no_setting_of_phrases():
    names = ["text_encoder", "text_cache_dir", "interest_dtype"]
    names += ["train_targets", "interest_generator", "llm_model"]
    for model in ("SASRecText", "UniSRec"):
        unread = [sentence.split()[4].rstrip(",") for sentence in setting_names.unread(names, model)]
        assert unread == ["interest_generator", "llm_model"]
    assert not setting_names.unread(names, "SAM") and not setting_names.unread(names, "EIMF")
    assert len(setting_names.unread(names, "SASRec")) == len(names)


def classes_of(model):
    """A model's class, its trainer's, and all that they inherit of RecBole."""
    found = get_model(model)
    return {
        each
        for kind in (found, get_trainer(found.type, model))
        for each in kind.__mro__
        if each.__module__.startswith("recbole.")
    }


def test_what_the_code_of_recboles_models_reads_is_theirs():
    source = cache(inspect.getsource)  # models share classes, and finding one takes long
    set_by_recbole = {"device", "eval_type", "single_spec", "feature_num"}
    known, seen = setting_names.recbole_names() | set_by_recbole, 0
    for model in setting_names.recbole_model_names():
        try:
            sources = "".join(map(source, classes_of(model)))
        except ImportError:  # of what the model needs, such as xgboost
            continue
        read = set(re.findall(r"config\[[\"'](\w+)[\"']\]", sources))
        assert not setting_names.unread(read, model), model
        unknown = {name for name in read - known if name.islower()}
        assert not unknown, model
        seen += 1
    assert seen > 80


def test_a_misspelt_setting_of_recboles_model_is_refused(shop):
    with pytest.raises(SettingError, match="'learning_rat' is unknown to SASRec and to RecBole"):
        run.main(["--model=SASRec", "--dataset=shop", "--learning_rat=0.1"])


@pytest.mark.parametrize("name, meant", setting_names.OTHER_LIBRARIES.items())
def test_what_other_libraries_call_a_setting_names_ours(name, meant):
    known = setting_names.recbole_names() | setting_names.own_names()
    assert meant in known and name not in known  # a known one is not refused
    with pytest.raises(SettingError, match=f"'{name}' is unknown .* did you mean '{meant}'"):
        setting_names.check_names({name: 1}, "SAM")


def test_a_setting_of_an_earlier_version_says_what_to_do_instead(shop):
    with pytest.raises(SettingError, match="use RecBole's enable_amp=True"):
        make_config(autocast="bf16")
    make_config(autocast=None)
    assert setting_names.unknown({"autocast": None, "autocst": 1}) == ["autocst"]
