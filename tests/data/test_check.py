"""What a user sees when a dataset is not what it should be."""

import logging
import os
import shlex
from pathlib import Path

import pytest
from conftest import build_interests, make_config
from recbole.data import create_dataset

from recbole_sam.cli.main import main
from recbole_sam.data.titles import item_titles
from recbole_sam.errors import DataError, SettingError, UnknownNameError

HEADER = "user_id:token\titem_id:token\ttimestamp:float\n"


def assert_refused(error, match, dataset="shop", model="SASRec", **settings):
    with pytest.raises(error, match=match) as caught:
        create_dataset(make_config(model, dataset, **settings))
    assert "\n" not in str(caught.value)


def test_unknown_dataset_offers_the_nearest_here(shop):
    assert_refused(UnknownNameError, "shp.*Did you mean shop.*prepare", dataset="shp")


def test_missing_preset_says_how_to_prepare_it(shop):
    assert_refused(UnknownNameError, "prepare --dataset=amazon-beauty", dataset="amazon-beauty")


def test_folder_without_interactions(shop):
    (shop / "shop.inter").unlink()
    assert_refused(DataError, "shop.inter is missing")


@pytest.mark.parametrize("content", ["", HEADER])
def test_empty_file(shop, content):
    (shop / "shop.inter").write_text(content)
    assert_refused(DataError, "shop.inter")


def test_a_changed_or_truncated_file_is_refused_until_it_is_accepted(shop):
    words = ["prepare", "--dataset=shop", f"--data_path={shop.parent}"]
    assert main([*words, f"--atomic={shop}", "--k-core=none", "--overwrite"]) == 0
    create_dataset(make_config("SASRec"))
    items = shop / "shop.item"
    items.write_bytes(items.read_bytes()[:-40])
    for model in ("SASRec", "SAM"):
        assert_refused(DataError, "shop.item is not the file that card.json describes.*--accept", model=model)
    assert main([*words, "--accept"]) == 0
    create_dataset(make_config("SASRec"))


def test_an_encoding_that_does_not_exist(shop):
    assert_refused(SettingError, "encoding is 'latin-one', which Python does not know", encoding="latin-one")


@pytest.mark.parametrize("name", ["shop.inter", "shop.item", "card.json"])
def test_what_is_no_file_is_one_sentence_and_nothing_waits(shop, name):
    (shop / name).unlink(missing_ok=True)
    os.mkfifo(shop / name)
    if name == "card.json":
        create_dataset(make_config("SASRec"))  # no card, no check
    elif name == "shop.inter":
        assert_refused(DataError, "shop.inter is missing")
    else:
        with pytest.raises(DataError, match="shop.item is a pipe"):
            item_titles(make_config("SAM"))


def test_a_header_without_types(shop):
    (shop / "shop.inter").write_text("user_id\titem_id\ttimestamp\nu1\ti1\t1\nu1\ti2\t2\n")
    assert_refused(DataError, "header of .*shop.inter has no types .* write '" + HEADER.rstrip("\n") + "'")


def test_titles_are_given_without_losing_an_interaction(shop):
    """What the sentence about missing titles says to type keeps all that was there."""
    before = (shop / "shop.inter").read_text()
    (shop / "shop.item").unlink()
    with pytest.raises(DataError) as caught:
        item_titles(make_config("SAM"))
    words = shlex.split(str(caught.value).split("python -m recbole_sam ")[1].split(" (FILE")[0])
    items = sorted({line.split("\t")[1] for line in before.splitlines()[1:]})
    Path("titles.csv").write_text("item_id,title\n" + "".join(f"{item},Title {item}\n" for item in items))
    assert main([word.replace("--meta=FILE", "--items=titles.csv") for word in words]) == 0
    assert len((shop / "shop.inter").read_text().splitlines()) == len(before.splitlines())
    assert set(item_titles(make_config("SAM")).values()) == {f"Title {item}" for item in items}


def test_missing_column_is_named_with_the_header(shop):
    (shop / "shop.inter").write_text("user_id:token\titem_id:token\nu1\ti1\n")
    assert_refused(DataError, "no column 'timestamp'.*user_id:token")


def test_time_is_not_asked_of_models_that_need_none(shop):
    (shop / "shop.inter").write_text("user_id:token\titem_id:token\nu1\ti1\nu2\ti2\n")
    create_dataset(make_config("BPR"))


def test_needed_column_not_loaded(shop):
    columns = {"inter": ["user_id", "item_id"]}
    assert_refused(SettingError, "load_col leaves out 'timestamp'", load_col=columns)


def test_bytes_that_are_not_utf8(shop):
    (shop / "shop.inter").write_bytes(HEADER.encode() + b"u\xe9\ti1\t1\nu2\ti1\t2\n")
    with pytest.raises(DataError, match="0xe9 is not utf-8.*--encoding=<name>"):
        create_dataset(make_config("SASRec"))
    with pytest.raises(DataError, match=r"Save its files as UTF-8\.$"):  # titles are read as that alone
        create_dataset(make_config("SAM"))


def test_a_word_where_a_number_should_be(shop):
    (shop / "shop.inter").write_text(HEADER + "u1\ti1\tyesterday\n")
    assert_refused(DataError, "cannot read dataset 'shop'.*timestamp")


def test_no_network_for_a_download_of_recbole(shop, monkeypatch):
    import urllib.error

    from recbole.data.dataset import dataset as module

    def refuse(url):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(module, "decide_download", refuse)
    assert_refused(DataError, "cannot download it", dataset="amazon-books")


def test_synthetic_data_is_announced_whatever_the_model(shop, caplog):
    caplog.set_level(logging.WARNING)
    create_dataset(make_config("SASRec"))
    assert "SYNTHETIC" not in caplog.text
    (shop / "SYNTHETIC.md").write_text("made up")
    create_dataset(make_config("SASRec"))
    assert "SYNTHETIC DATA" in caplog.text and "prepare --dataset=shop" in caplog.text


def test_no_item_file_for_sam(shop):
    (shop / "shop.item").unlink()
    with pytest.raises(DataError, match="shop.item"):
        build_interests(make_config())


def test_titleless_download_of_recbole_names_the_set_with_titles(shop):
    folder = shop.with_name("amazon-all-beauty-18")
    folder.mkdir()
    (folder / "amazon-all-beauty-18.inter").write_text((shop / "shop.inter").read_text())
    with pytest.raises(DataError, match="prepare --dataset=amazon-beauty"):
        build_interests(make_config(dataset="amazon-all-beauty-18"))


def test_item_file_without_the_text_field(shop):
    with pytest.raises(DataError, match="titel.*title"):
        build_interests(make_config(item_text_fields=["titel"]))


def test_no_text_at_all(shop):
    (shop / "shop.item").write_text("item_id:token\ttitle:token\ni1\t\n")
    with pytest.raises(DataError, match="title"):
        build_interests(make_config())


@pytest.mark.parametrize(
    "wrong",
    [{"interest_k_min": 5, "interest_k_max": 4}, {"interest_k_min": 0}, {"interest_dtype": "int8"},
     {"text_encoder_dim": "wide"}, {"interest_generator": "oracle"}, {"text_encoder": "no/such/folder/here"}],
)  # fmt: skip
def test_senseless_stage_1_settings(shop, wrong):
    with pytest.raises((SettingError, DataError)) as caught:
        build_interests(make_config(**wrong))
    assert "\n" not in str(caught.value)
    assert not list(shop.glob("*.safetensors"))
