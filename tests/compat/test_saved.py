"""Saved datasets and dataloaders: read when asked for, of the same files, and without changing a result."""

import pickle
from pathlib import Path

import pytest
from conftest import make_config
from recbole.data import create_dataset, data_preparation, load_split_dataloaders
from recbole.quick_start import run_recbole

from recbole_sam.errors import DataError, SettingError

QUICK = {"epochs": 2, "show_progress": False, "use_gpu": False, "state": "ERROR",
         "train_neg_sample_args": None, "MAX_ITEM_LIST_LENGTH": 8, "train_batch_size": 16}  # fmt: skip
DATASET, LOADERS = "saved/shop-SequentialDataset.pth", "saved/shop-for-SASRec-dataloader.pth"


class Runs:
    """What a file of somebody else's may hold."""

    def __reduce__(self):
        return open, ("ran", "w")


def put(file, content):
    Path(file).parent.mkdir(exist_ok=True)
    Path(file).write_bytes(content if isinstance(content, bytes) else pickle.dumps(content))


def test_no_pickle_is_read_unasked(shop):
    for file in (DATASET, LOADERS):
        put(file, Runs())
    config = make_config("SASRec")
    data_preparation(config, create_dataset(config))
    assert not Path("ran").exists()


@pytest.mark.parametrize("content", [b"", b"garbage", {"a": 1}, [], [(1, 2)], b"\x80\x04."])
def test_garbage_is_a_sentence(shop, content):
    for file in (DATASET, LOADERS):
        put(file, content)
    with pytest.raises(DataError, match="is no dataset and no dataloaders that RecBole saved"):
        create_dataset(make_config("SASRec", save_dataset=True))
    with pytest.raises(DataError, match="is no dataset and no dataloaders that RecBole saved"):
        load_split_dataloaders(make_config("SASRec", save_dataloaders=True))


def test_a_file_that_is_named_has_to_be_there(shop):
    with pytest.raises(SettingError, match="dataset_save_path is mine.pth"):
        create_dataset(make_config("SASRec", dataset_save_path="mine.pth"))
    with pytest.raises(SettingError, match="dataloaders_save_path is mine.pth"):
        load_split_dataloaders(make_config("SASRec", dataloaders_save_path="mine.pth"))


def test_a_named_file_is_used(shop, caplog):
    caplog.set_level("INFO")
    create_dataset(make_config("SASRec", save_dataset=True))
    Path(DATASET).rename("mine.pth")
    create_dataset(make_config("SASRec", dataset_save_path="mine.pth", state="INFO"))
    assert "Load filtered dataset" in caplog.text and not Path(DATASET).exists()


@pytest.mark.parametrize("setting", ["save_dataset", "save_dataloaders"])
def test_saving_changes_no_result(shop, setting):
    """The first run trained with unseeded batches once it had saved its dataloaders."""
    plain = run_recbole("SASRec", "shop", config_dict=QUICK)
    for _ in range(2):
        assert run_recbole("SASRec", "shop", config_dict={**QUICK, setting: True}) == plain


@pytest.mark.parametrize("setting", ["save_dataset", "save_dataloaders"])
def test_what_was_saved_of_other_files_is_made_again(shop, setting, caplog):
    config = make_config("SASRec", **{setting: True})
    data_preparation(config, create_dataset(config))
    file = shop / "shop.inter"
    file.write_text(file.read_text() + "u0\ti1\t99\n")
    config = make_config("SASRec", **{setting: True})
    test = data_preparation(config, create_dataset(config))[2]._dataset
    assert "was saved of other data files" in caplog.text
    last = test.inter_feat[test.iid_field][test.inter_feat[test.uid_field] == test.token2id("user_id", "u0")]
    assert test.id2token("item_id", int(last)) == "i1"
    assert not list(Path("saved").glob(".*"))
