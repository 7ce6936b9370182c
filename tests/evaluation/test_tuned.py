"""The tuned settings of a model on a dataset."""

from pathlib import Path

import pytest
from conftest import make_config

from recbole_sam.config import configuration, setting_names, yaml_files
from recbole_sam.interests import stage1
from recbole_sam.models.checks import sam_settings

FILES = sorted((yaml_files.folder() / "tuned").glob("*.yaml"))


def test_there_are_some():
    assert FILES


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_is_of_a_model_and_a_dataset_and_every_setting_is_known(file, shop):
    model, dataset = file.stem.split("-", 1)
    assert model in yaml_files.model_names() and dataset in yaml_files.dataset_names()
    text = Path(file).read_text()
    assert f"--dataset={dataset}" in text and f"--config_files=properties/tuned/{file.name}" in text
    assert "on validation" in text and "benchmarks/options.md" in text
    config = configuration.make_config({"model": model, "dataset": "shop", "config_files": str(file)})
    given = config.file_config_dict
    assert given and set(given) <= setting_names.own_names() | setting_names.recbole_names()
    assert all(config[name] == value for name, value in given.items() if not isinstance(value, dict))
    if model == "SAM":
        sam_settings.check(config)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_model_trains_with_it(file, shop):
    from recbole.quick_start import run_recbole

    of_shop = {"text_encoder_dim": 8, "item_text_fields": ["title"]}
    small = {"epochs": 1, "use_gpu": False, "show_progress": False, **of_shop}
    model = file.stem.split("-", 1)[0]
    stage1.build_missing(make_config(model, **yaml_files.content(file) | small))
    result = run_recbole(model, "shop", [str(file)], small, saved=False)
    assert 0 <= result["test_result"]["ndcg@20"] <= 1
