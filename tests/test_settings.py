"""Names of settings, and who reads them."""

import logging

from recbole_sam import properties, run, settings


def test_a_setting_of_another_model_is_told(shop, caplog, monkeypatch):
    trained = []
    monkeypatch.setattr("recbole.quick_start.run", lambda model, *rest, **more: trained.append(model))
    with caplog.at_level(logging.WARNING):
        run.main(["--model=BSARec", "--dataset=shop", "--interest_evidence=True", "--hidden_size=8"])
    sentence = "BSARec does not read interest_evidence, a setting of SAM: leave it out."
    assert [record.getMessage() for record in caplog.records] == [sentence] and trained == ["BSARec"]


def test_readers_are_named():
    [sentence] = settings.unread(["item_knn", "epochs", "hidden_size", "text_encoder"], "STOSA")
    assert sentence.startswith("STOSA does not read item_knn, a setting of SAM and SASRecText and UniSRec:")


def test_a_model_reads_what_its_own_file_sets():
    for model in properties.model_names():
        assert not settings.unread(settings.keys(properties.model_file(model)), model)
