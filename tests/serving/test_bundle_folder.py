"""The folder: whole or absent, refused when damaged, open to others."""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from bundle_helpers import bundle, checkpoint, make_shop
from conftest import ROOT, experiment

import recbole_sam
from recbole_sam.cli.main import main
from recbole_sam.errors import DataError
from recbole_sam.serving import bundle_files
from recbole_sam.serving.making import kept_settings
from recbole_sam.serving.making.write import write_bundle

MAKE = """
import sys
from recbole_sam.serving.making.write import write_bundle
print("ready", flush=True)
write_bundle(sys.argv[1], sys.argv[2], with_users=True, overwrite=True)
"""
POINTS = [pytest.param(1, id="everyday"), pytest.param(20, id="thorough", marks=pytest.mark.slow)]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("folder")
    make_shop(root)
    return root


@pytest.fixture(scope="module")
def folder(root):
    return bundle(root, "SAM")[0]


def use(folder):
    shop = recbole_sam.load(folder)
    shop.recommend(users=["u1"], k=2)
    shop.recommend(histories=[["i1", "i2"]], k=2)
    shop.similar(["i1"], by="text")
    shop.interests(user="u1")


@pytest.mark.parametrize("small, count", ((1 << 20, 160), (0, 40)))
def test_random_corruptions_are_refused_in_a_sentence(folder, tmp_path, monkeypatch, small, count):
    """Small files when the bundle is opened, large ones when they are first used."""
    monkeypatch.setattr(bundle_files, "SMALL", small)
    chance = random.Random(count)
    names = sorted(path.name for path in folder.iterdir() if path.name != "README.md")
    damaged = tmp_path / "damaged"
    shutil.copytree(folder, damaged)
    for _ in range(count):
        name = chance.choice(names)
        good = (folder / name).read_bytes()
        kind, at = chance.choice(("flip", "cut", "add", "lose", "zero")), chance.randrange(len(good))
        bad = {
            "flip": good[:at] + bytes([good[at] ^ (1 << chance.randrange(8))]) + good[at + 1 :],
            "cut": good[:at],
            "add": good + b"\n",
            "zero": good[:at] + bytes(len(good[at : at + 64])) + good[at + 64 :],
            "lose": None,
        }[kind]
        if bad == good:
            continue
        (damaged / name).unlink()
        if bad is not None:
            (damaged / name).write_bytes(bad)
        with pytest.raises(DataError) as caught:
            use(damaged)
        assert "\n" not in str(caught.value) and str(damaged) in str(caught.value), (name, kind)
        (damaged / name).write_bytes(good)
    use(damaged)


@pytest.mark.parametrize(
    "change", ({"version": 99}, {"format": "other"}, {"files": {"../x": [1, "0"]}}, {"files": 3})
)
def test_manifests_of_others(folder, tmp_path, change):
    with pytest.raises(DataError, match="version 99" if "version" in change else "damaged"):
        recbole_sam.load(changed(folder, tmp_path / "b", lambda facts: facts.update(change)))


@pytest.mark.parametrize("field", ("live", "trims", "users"))
def test_a_bundle_that_an_earlier_version_wrote(folder, tmp_path, field):
    def take_away(facts):
        (facts["interests"] if field == "live" else facts).pop(field)

    with pytest.raises(DataError, match=f"lacks '{field}'.* Bundle it again"):
        recbole_sam.load(changed(folder, tmp_path / "b", take_away))


def changed(folder, copy, change):
    """A copy of a bundle whose manifest says something else."""
    shutil.copytree(folder, copy)
    facts = json.loads((folder / "bundle.json").read_text())
    facts.pop("checksum")
    change(facts)
    text = bundle_files._text(facts | {"checksum": bundle_files._checksum(facts)})
    (copy / "bundle.json").write_bytes(text)
    return copy


def test_what_is_no_bundle(tmp_path):
    with pytest.raises(DataError, match="There is no bundle"):
        recbole_sam.load(tmp_path / "absent")
    (tmp_path / "bundle.json").mkdir()
    with pytest.raises(DataError, match="damaged"):
        recbole_sam.load(tmp_path)


def test_a_folder_of_something_else_is_not_replaced(root, folder, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(DataError, match="is no bundle"):
        write_bundle(root / "SAM.pth", tmp_path / "mine", overwrite=True)
    with pytest.raises(DataError, match="--overwrite"):
        write_bundle(root / "SAM.pth", folder)


@pytest.mark.parametrize("content", (b"", b"no pickle", b"\x80\x04N."))
def test_what_is_no_checkpoint(tmp_path, content):
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(DataError, match="no checkpoint of RecBole"):
        write_bundle(tmp_path / "x.pth", tmp_path / "b")
    with pytest.raises(DataError, match="There is no checkpoint"):
        write_bundle(tmp_path / "y.pth", tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_other_data_than_in_training_is_refused(tmp_path, caplog):
    """RecBole numbers users and items in the order of the file: other rows first are other numbers."""
    make_shop(tmp_path)
    file, _ = checkpoint(tmp_path, "SASRecText")
    shop = tmp_path / "dataset" / "shop"
    interactions, items = shop / "shop.inter", shop / "shop.item"
    rows, titles = interactions.read_text(), items.read_text()
    head, *body = rows.splitlines()
    interactions.write_text("\n".join([head, *reversed(body)]) + "\n")
    with pytest.raises(DataError, match="users and items of 'shop' .* in another order"):
        write_bundle(file, tmp_path / "b")
    interactions.write_text(rows)
    items.write_text(titles.replace("Rose", "Lily"))
    experiment("SASRecText", "shop", data_path=f"{tmp_path}/dataset")  # encodes the new titles
    with pytest.raises(DataError, match="The item texts of 'shop'"):
        write_bundle(file, tmp_path / "b")
    assert not (tmp_path / "b").exists()
    items.write_text(titles)
    saved = torch.load(file, weights_only=False)  # RecBole's checkpoint, written by this test
    saved["config"]["trained_on"] = None  # as an earlier version left it
    torch.save(saved, file, pickle_protocol=4)
    write_bundle(file, tmp_path / "b")
    assert "does not say what it was trained on" in caplog.text


def test_what_may_be_published_names_no_folder_of_this_machine(root, bert, tmp_path, monkeypatch):
    folder, _ = bundle(root, "SASRecText", with_users=False, name="public", text_encoder=str(bert))
    assert json.loads((folder / "bundle.json").read_text())["settings"]["text_encoder"] == bert.name
    assert not [file for file in folder.iterdir() if str(bert.parent).encode() in file.read_bytes()]
    (tmp_path / "LLMs").symlink_to(bert.parent)
    monkeypatch.chdir(tmp_path)
    more = recbole_sam.load(folder).with_items({"n1": "red lipstick"})
    assert more.similar(["n1"], k=3, by="text")["item"].tolist() == ["n1"] * 3


def test_a_language_model_is_named_without_folder_and_server():
    made = {"name": "openai", "provider": "openai http://10.0.0.7:8000/v1", "model": "/home/me/Qwen3-8B"}
    expected = {"name": "openai", "provider": "openai", "model": "Qwen3-8B"}
    assert kept_settings.public(made) == expected
    assert kept_settings.public({**made, "model": "Qwen/Qwen3-8B"})["model"] == "Qwen/Qwen3-8B"
    assert kept_settings.public({"name": "keyphrases"}) == {"name": "keyphrases"}


@pytest.mark.parametrize("twice", ("save_dataset", "save_dataloaders"))
def test_a_run_from_saved_data_knows_what_it_was_trained_on(tmp_path, monkeypatch, twice):
    make_shop(tmp_path)
    monkeypatch.chdir(tmp_path)
    words = ["run", "--model=SASRec", "--dataset=shop", "--epochs=1", "--use_gpu=False", f"--{twice}=True"]
    for _ in range(2):  # the second reads what the first saved
        shutil.rmtree("saved/runs", ignore_errors=True)
        assert main(words) == 0
    newest = max(Path("saved").glob("SASRec-*.pth"), key=os.path.getmtime)
    inter = tmp_path / "dataset" / "shop" / "shop.inter"
    head, *rows = inter.read_text().splitlines()
    inter.write_text("\n".join([head, *reversed(rows)]) + "\n")
    with pytest.raises(DataError, match="users and items of 'shop'"):
        write_bundle(newest, tmp_path / "b")


def test_interests_that_were_made_again_are_refused(tmp_path, monkeypatch):
    make_shop(tmp_path)
    monkeypatch.chdir(tmp_path)
    given = {"interest_store": f"{tmp_path}/mine.safetensors", "interest_generator": "extractive"}
    file, _ = checkpoint(tmp_path, "SAM", **given)
    write_bundle(file, tmp_path / "first")
    words = ["interests", "--dataset=shop", "--text_encoder_dim=8", "--interest_generator=keyphrases"]
    assert main([*words, f"--interest_store={given['interest_store']}", "--rebuild"]) == 0
    with pytest.raises(DataError, match="The interests of 'shop'"):
        write_bundle(file, tmp_path / "second")


def test_parts_of_histories_are_those_of_training_whomever_it_evaluated(root, tmp_path):
    parts = []
    for name, settings in (("all", {}), ("some", {"eval_users": 5})):
        write_bundle(checkpoint(root, "SASRec", **settings)[0], tmp_path / name, with_users=True)
        parts.append(pq.read_table(tmp_path / name / "users.parquet").to_pydict())
        facts = json.loads((tmp_path / name / "bundle.json").read_text())
        assert facts["metrics"]["samples"] == settings.get("eval_users", 40)
    assert parts[0] == parts[1]


@pytest.mark.parametrize("points", POINTS)
def test_kill_9_leaves_the_old_bundle_or_the_new_one(root, tmp_path, points):
    file, _ = checkpoint(root, "SASRec")
    output = tmp_path / "b"
    write_bundle(file, output, with_users=True)
    chance = random.Random(3)
    for _ in range(points):
        process = subprocess.Popen(
            [sys.executable, "-c", MAKE, str(file), str(output)], stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        process.stdout.readline()
        time.sleep(chance.uniform(0, 3))
        process.kill()
        process.wait()
        if output.exists():
            assert len(recbole_sam.load(output).recommend(users=["u1"], k=3)) == 3
    write_bundle(file, output, with_users=True, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_nothing_is_pickled_and_any_reader_opens_it(folder):
    import pandas as pd
    from safetensors.numpy import load_file

    kinds = {path.suffix for path in folder.iterdir()}
    assert kinds == {".json", ".md", ".parquet", ".safetensors"}
    items = pd.read_parquet(folder / "items.parquet")
    assert len(items) == 25 and set(items.columns) == {"item", "title"}
    assert len(load_file(folder / "weights.safetensors")["item_embedding.weight"]) == 26
    size = sum(path.stat().st_size for path in folder.iterdir())
    assert size < 1_000_000


def test_the_card_is_a_model_card_of_hugging_face(folder):
    from huggingface_hub import ModelCard

    card = ModelCard.load(folder / "README.md")
    assert card.data.library_name == "recbole-sam"
    results = {result.metric_name: result for result in card.data.eval_results}
    metrics = bundle_files.BundleFiles(folder).facts["metrics"]["values"]
    assert {name: result.metric_value for name, result in results.items()} == metrics
    assert "do not publish" in card.text and "keyphrases" in card.text and "Seed" in card.text


def test_loading_reads_no_dataset_and_unpickles_nothing(folder, tmp_path):
    """In a process where reading a pickle or making a dataset of RecBole's is an error."""
    code = """
import pickle, sys
import recbole_sam
import torch
import recbole.data.dataset.dataset as dataset
def refuse(*args, **kwargs):
    raise AssertionError("unpickled, or a dataset made")
pickle.load = pickle.loads = pickle.Unpickler = torch.load = dataset.Dataset.__init__ = refuse
shop = recbole_sam.load(sys.argv[1])
shop.recommend(users=["u1"])
shop.recommend(histories=[["i1"]])
shop.with_items({"new": "Rose Balm"}).similar(["new"], by="text")
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert list(Path(tmp_path).iterdir()) == []


def test_import_stays_light():
    code = """
import sys, recbole_sam
assert recbole_sam.load and not {"torch", "recbole", "pandas"} & set(sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True
    )
    assert done.returncode == 0, done.stderr
