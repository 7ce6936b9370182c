import pytest
import yaml
from recbole.config import Config

from recbole_sam.config import yaml_files
from recbole_sam.config.setting_names import recbole_dataset_names
from recbole_sam.prepare.sources import presets

PAPER = [
    "amazon-beauty",
    "amazon-arts-crafts-sewing",
    "amazon-industrial-scientific",
    "amazon-musical-instruments",
    "amazon-office-products",
]


def test_the_paper_s_datasets_are_there_in_their_three_versions():
    known = presets.names()
    assert set(PAPER) <= set(known)
    assert {f"{name}-2023" for name in PAPER} <= set(known)
    old = {"amazon-beauty-2014", "amazon-musical-instruments-2014", "amazon-office-products-2014"}
    assert old <= set(known)


@pytest.mark.parametrize("name", presets.names())
def test_every_preset_is_well_formed(name):
    preset = presets.load(name)
    assert preset.title and preset.page
    roles = {"amazon": ["reviews", "meta"], "movielens": ["archive"], "table": [], "included": []}
    assert list(preset.files) == roles[preset.reader]
    for remote in preset.files.values():
        assert len({url.rpartition("/")[2] for url in remote.urls}) == 1  # mirrors of one file
        assert all(url.startswith("https://") for url in remote.urls)
    if preset.recbole_name:
        assert preset.recbole_name in recbole_dataset_names()


@pytest.mark.parametrize("name", ["amazon-beauty", "ml-100k"])
def test_recbole_reads_a_preset_and_loads_the_time(name):
    config = Config(model="SASRec", dataset=name, config_dict={"train_neg_sample_args": None})
    assert config["load_col"]["inter"] == ["user_id", "item_id", "timestamp"]


def test_presets_change_nothing_of_recbole_but_columns_and_history_length():
    for name in yaml_files.dataset_names():
        settings = yaml.safe_load(yaml_files.dataset_file(name).read_text(encoding="utf-8"))
        assert set(settings) <= {"load_col", "item_text_fields", "source", "MAX_ITEM_LIST_LENGTH"}
        assert settings.get("MAX_ITEM_LIST_LENGTH", 20) == 20  # the paper's


def test_the_preset_with_titles_for_recbole_s_own_names():
    assert presets.titled("amazon-all-beauty-18") == "amazon-beauty"
    assert presets.titled("amazon-office-products-23") == "amazon-office-products-2023"
    assert presets.titled("amazon-books-18") is None


def test_no_preset():
    assert presets.load("no-such-dataset") is None
