"""Names of settings, and who reads them."""

import logging

import pytest
from conftest import make_config

from recbole_sam import properties, settings


@pytest.mark.parametrize("model", ["SASRec", "BSARec", "UniSRec"])
def test_a_setting_of_another_model_is_told(shop, caplog, model):
    with caplog.at_level(logging.WARNING):
        make_config(model, interest_evidence=True)
    sentence = f"{model} does not read interest_evidence, a setting of SAM: leave it out."
    assert [record.getMessage() for record in caplog.records].count(sentence) == 1


def test_readers_are_named():
    [sentence] = settings.unread(["item_knn", "epochs", "hidden_size", "text_encoder"], "STOSA")
    assert sentence.startswith("STOSA does not read item_knn, a setting of SAM and SASRecText and UniSRec:")


def test_a_model_reads_what_its_own_file_sets():
    for model in properties.model_names():
        assert not settings.unread(settings.keys(properties.model_file(model)), model)
