import pytest
from conftest import make_config

from recbole_sam.errors import SettingError, UnknownNameError
from recbole_sam.evaluation import entries


def test_names_and_settings():
    found = entries.parse("SAM, ComiRec:interest_extractor=DR:learning_rate=0.005,SASRec,SAM")
    assert [entry.model for entry in found] == ["SAM", "ComiRec", "SASRec"]
    assert found[1].given == {"interest_extractor": "DR", "learning_rate": "0.005"}
    assert found[1].label == "ComiRec:interest_extractor=DR:learning_rate=0.005"


def test_commas_inside_brackets_belong_to_the_value():
    [entry] = entries.parse("SAM:item_text_fields=['title','brand']")
    assert entry.given == {"item_text_fields": "['title','brand']"}


def test_colons_may_be_in_a_value():
    text = "STOSA:train_neg_sample_args={'distribution':'uniform','sample_num':1}:n_layers=1,SASRec"
    first, second = entries.parse(text)
    assert first.given == {
        "train_neg_sample_args": "{'distribution':'uniform','sample_num':1}", "n_layers": "1",
    }  # fmt: skip
    assert (first.model, second.model) == ("STOSA", "SASRec")
    [entry] = entries.parse("SAM:llm_base_url=http://localhost:8000/v1:llm_model=m")
    assert entry.given == {"llm_base_url": "http://localhost:8000/v1", "llm_model": "m"}


def test_the_default_is_understood():
    assert [entry.label for entry in entries.parse(entries.DEFAULT)] == entries.DEFAULT.split(",")


def test_every_ablation_is_a_setting_of_sam_with_another_value(shop):
    found = entries.parse(entries.ABLATION)
    assert found[0].label == "SAM" and len({entry.label for entry in found}) == len(found) == 15
    usual = make_config("SAM")
    for entry in found[1:]:
        config = make_config("SAM", **entry.given)
        assert all(config[name] != usual[name] for name in entry.given), entry.label


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("SASRex", "there is no model named 'SASRex'.* Did you mean SASRec"),
        ("SAM:epochs=5", "'SAM:epochs=5' sets epochs, which must be the same for all models"),
        ("SAM:config_files=my.yaml", "names a file for one model: write its settings out, as SAM:key=value"),
        ("SAM:lr", "cannot read '--lr'"),
        ("SAM:", "cannot read '--'"),
        ("BPR", "BPR is a general model of RecBole.*cannot share the split"),
        ("DeepFM", "DeepFM is a context model"),
        (" , ", "names no model"),
    ],
)
def test_mistakes(text, sentence):
    with pytest.raises((SettingError, UnknownNameError), match=sentence):
        entries.parse(text)


def test_slugs_are_file_names_and_differ():
    labels = ["SAM", "SAM:a=1", "SAM-a-1", "SAM:a=1/2", "SAM:a=1:2"]
    slugs = [entries.slug(label) for label in labels]
    assert slugs[0] == "SAM" and len(set(slugs)) == len(labels)
    assert not set("".join(slugs)) & set("/:=")
