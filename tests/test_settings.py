"""Names of settings, and who reads them."""

import logging
import re
from pathlib import Path

import pytest
import recbole

from recbole_sam import properties, run, settings
from recbole_sam.errors import SettingError


def test_a_setting_of_another_model_is_told(shop, caplog, monkeypatch):
    trained = []
    monkeypatch.setattr("recbole.quick_start.run", lambda model, *rest, **more: trained.append(model))
    with caplog.at_level(logging.WARNING):
        run.main(["--model=BSARec", "--dataset=shop", "--interest_evidence=True", "--hidden_size=8"])
    sentence = "BSARec does not read interest_evidence, a setting of SAM: leave it out."
    assert [record.getMessage() for record in caplog.records] == [sentence] and trained == ["BSARec"]


def test_readers_are_named():
    [sentence] = settings.unread(["item_knn", "epochs", "hidden_size"], "STOSA")
    assert sentence.startswith("STOSA does not read item_knn, a setting of SAM and SASRecText and UniSRec:")
    [sentence] = settings.unread(["n_layers", "learning_rate"], "GRU4Rec")
    assert sentence.startswith("GRU4Rec does not read n_layers, a setting of BSARec, SAM, SASRecText and ")


def test_settings_of_recboles_models_have_readers_too():
    [sentence] = settings.unread(["embedding_size", "hidden_size"], "SAM")
    assert sentence.startswith("SAM does not read embedding_size, a setting of ")


def test_a_model_of_titles_reads_no_setting_of_phrases():
    names = ["text_encoder", "text_cache_dir", "interest_dtype"]
    names += ["train_targets", "interest_generator", "llm_model"]
    for model in ("SASRecText", "UniSRec"):
        unread = [sentence.split()[4].rstrip(",") for sentence in settings.unread(names, model)]
        assert unread == ["interest_generator", "llm_model", "train_targets"]
    assert not settings.unread(names, "SAM") and not settings.unread(names, "EIMF")
    assert len(settings.unread(names, "SASRec")) == len(names)


def test_what_the_code_of_recboles_sequential_models_reads_is_theirs():
    folder = Path(recbole.__file__).parent / "model" / "sequential_recommender"
    names = {name.lower(): name for name in settings.recbole_model_names()}
    files = [file for file in folder.glob("*.py") if file.stem in names]
    assert len(files) > 20
    for file in files:
        read = set(re.findall(r"config\[[\"'](\w+)[\"']\]", file.read_text(encoding="utf-8")))
        assert not settings.unread(read, names[file.stem])


def test_a_model_reads_what_its_own_file_sets():
    for model in properties.model_names():
        assert not settings.unread(settings.keys(properties.model_file(model)), model)


def test_a_misspelt_setting_of_recboles_model_is_refused(shop):
    with pytest.raises(SettingError, match="'learning_rat' is unknown to SASRec and to RecBole"):
        run.main(["--model=SASRec", "--dataset=shop", "--learning_rat=0.1"])
