"""Item text vectors: joined by token, built once, never read for other titles, used by models."""

import os
import pickle
import shutil

import numpy as np
import pytest
import torch
from conftest import experiment, make_config, write_dataset
from recbole.data import create_dataset
from safetensors.torch import load_file, save_file
from torch import nn

from recbole_sam.cli.main import main
from recbole_sam.config import our_models
from recbole_sam.data import item_texts, store_location
from recbole_sam.data.store import ITEM_TEXTS, InterestStore, write_store
from recbole_sam.errors import DataError, StoreError, StoreMissingError
from recbole_sam.interests import stage1
from recbole_sam.interests.pipeline import catalogue
from recbole_sam.models.parts.item_text import ProjectedTexts, Standard
from recbole_sam.models.scores.additions import length_of_titles


def test_vectors_are_those_of_the_encoder_by_token(shop):
    config, train, _, _, _ = experiment()
    dataset, texts = train._dataset, train._dataset.item_texts
    titles = item_texts.item_titles(config)
    encoder, vectors = stage1.text_encoder(config).fit(catalogue(titles)), texts.vectors()
    for item in range(1, dataset.item_num):
        expected = encoder.encode([titles[dataset.id2token("item_id", item)]])[0]
        np.testing.assert_allclose(vectors[item].numpy(), expected, atol=1e-3)  # kept in float16
    assert not texts.known[0] and texts.known[1:].all() and not vectors[0].any()
    again = pickle.loads(pickle.dumps(texts))
    assert torch.equal(again.vectors(), vectors) and again.encoder == texts.encoder


def test_interests_and_titles_share_the_encoder(shop):
    _, train, _, _, _ = experiment()
    assert train._dataset.item_texts.encoder == train._dataset.interests.encoder


def test_another_title_or_encoder_is_another_file(shop):
    config = make_config()
    titles = item_texts.item_titles(config)
    paths = {
        item_texts.path(config, titles),
        item_texts.path(config, titles | {"i1": "another"}),
        item_texts.path(make_config(text_encoder_dim=4), titles),
    }
    assert len(paths) == 3
    assert item_texts.path(make_config(epochs=7), titles) in paths


def test_a_missing_file_names_the_command_and_asks_no_language_model_again(shop):
    config = make_config()
    stage1.build(config)
    with pytest.raises(StoreMissingError) as caught:
        create_dataset(config).build()
    assert "python -m recbole_sam interests --dataset=shop" in str(caught.value)
    assert "--rebuild" not in str(caught.value)
    stage1.build_missing(config)
    create_dataset(config).build()


def rewritten(path, **changes):
    """Writes a file of item texts again with another fingerprint."""
    store = InterestStore.open(path, ITEM_TEXTS)
    write_store(
        path, users=list(store.users), offsets=store.offsets, phrase_index=store.phrase_index,
        phrases=list(store.phrases), embeddings=np.array(store.embeddings),
        history_hashes=store.history_hashes, statuses=store.statuses, status_names=store.status_names,
        fingerprint={"encoder": store.fingerprint["encoder"]} | changes, kind=ITEM_TEXTS,
    )  # fmt: skip


def test_only_the_file_of_these_titles_is_read(shop):
    config = make_config("SASRecText")
    path = stage1.build_item_texts(config)
    tokens = np.array(["[PAD]", *item_texts.item_titles(config)])
    vectors = item_texts.load(config, tokens).vectors()
    rewritten(path, made_of="of something else")
    with pytest.raises(StoreError, match="made from other titles, or by another text encoder.*Move the file"):
        item_texts.load(config, tokens)
    rewritten(path)  # as an earlier version wrote it
    assert torch.equal(item_texts.load(config, tokens).vectors(), vectors)
    items = shop / "shop.item"
    items.write_text(items.read_text().replace("Shampoo", "Tractor"))
    path.rename(item_texts.path(config, item_texts.item_titles(config)))
    with pytest.raises(StoreError, match="made from other titles"):
        item_texts.load(config, tokens)


def test_another_encoder_in_the_same_folder(shop, bert, tmp_path, caplog):
    folder = shutil.copytree(bert, tmp_path / "LLMs" / "mine")
    words = ["interests", "--dataset=shop", "--text_encoder_dim=8", f"--text_encoder={folder}"]
    assert main(words) == 0
    config = make_config("SAM", text_encoder=str(folder))
    create_dataset(config).build()
    texts = item_texts.path(config, item_texts.item_titles(config))
    files = texts, store_location.path(config)
    before = [file.read_bytes() for file in files]
    weights = load_file(folder / "model.safetensors")
    others = {name: -values for name, values in weights.items()}
    save_file(others, folder / "model.safetensors", {"format": "pt"})
    later = texts.stat().st_mtime + 5
    os.utime(folder / "model.safetensors", (later, later))
    for model in ("SAM", "SASRecText"):
        caplog.clear()
        create_dataset(make_config(model, text_encoder=str(folder))).build()
        assert f"text encoder {folder} changed" in caplog.text and "--rebuild" in caplog.text
    assert main([*words, "--rebuild"]) == 0
    os.utime(folder / "model.safetensors", (later, later + 5))  # newer, but the same
    caplog.clear()
    create_dataset(config).build()
    assert "changed" not in caplog.text
    assert all(file.read_bytes() != old for file, old in zip(files, before, strict=True))
    shutil.rmtree(folder)
    create_dataset(config).build()  # vectors do without their model


def test_interests_are_no_item_texts(shop):
    config = make_config(item_text=True)
    stage1.build_missing(config)
    path = item_texts.path(config, item_texts.item_titles(config))
    path.write_bytes(store_location.path(config).read_bytes())
    with pytest.raises(StoreError, match="holds interests, where item texts are needed"):
        create_dataset(config).build()


def test_it_is_built_once(shop):
    config = make_config("SASRecText")
    path = stage1.build_item_texts(config)
    before = path.stat().st_mtime_ns
    assert stage1.build_item_texts(config) == path and path.stat().st_mtime_ns == before


def test_items_without_a_title(tmp_path):
    folder = tmp_path / "dataset" / "shop"
    write_dataset(folder, {f"u{u}": [f"i{(u + step) % 12}" for step in range(8)] for u in range(10)})
    rows = (folder / "shop.item").read_text().splitlines()
    silent = [row.split("\t")[0] + "\t" if row.startswith(("i1\t", "i2\t")) else row for row in rows]
    (folder / "shop.item").write_text("\n".join(silent) + "\n")
    _, train, _, _, model = experiment("SASRecText")
    texts = train._dataset.item_texts
    ids = train._dataset.token2id("item_id", ["i1", "i2"])
    assert not texts.known[ids].any() and int(texts.known.sum()) == 10
    assert not model.item_text()[ids].any() and not model.item_text()[0].any()


def test_no_title_at_all_is_one_sentence(tmp_path):
    folder = tmp_path / "dataset" / "shop"
    write_dataset(folder, {f"u{u}": ["i1", "i2", "i3", "i4"] for u in range(5)})
    rows = (folder / "shop.item").read_text().splitlines()
    (folder / "shop.item").write_text(
        "\n".join([rows[0], *(r.split("\t")[0] + "\t" for r in rows[1:])]) + "\n"
    )
    with pytest.raises(DataError, match="no item of .shop. has a title") as caught:
        stage1.build_item_texts(make_config("SASRecText"))
    assert str(caught.value).endswith("Or do without: --item_text=False.")
    (folder / "shop.item").unlink()
    with pytest.raises(DataError, match="SAM reads item texts: .*shop.item.* --item_text=False"):
        stage1.build_item_texts(make_config("SAM"))


def test_who_reads_what(shop):
    assert our_models.uses_item_texts(make_config("SAM"))
    assert our_models.uses_item_texts(make_config("SAM", item_text=False))  # interest_evidence reads titles
    assert not our_models.uses_item_texts(make_config("SAM", item_text=False, interest_evidence=False))
    assert our_models.uses_item_texts(make_config("UniSRec")) and not our_models.uses_interests("UniSRec")
    assert not our_models.uses_item_texts(make_config("EIMF")) and our_models.uses_interests("EIMF")
    assert not our_models.uses_item_texts(make_config("SASRec"))


def test_standard():
    torch.manual_seed(0)
    texts, known = torch.randn(20, 6) * 9 + 50, torch.arange(20) > 3
    out = Standard.of(texts, known)(texts)
    torch.testing.assert_close(out[4:].mean(0), torch.zeros(6), atol=1e-5, rtol=0)
    torch.testing.assert_close(out[4:].norm(dim=1).mean(), torch.tensor(1.0))
    torch.testing.assert_close(Standard.of(texts, known, length=4)(texts), 4 * out)
    moved = texts * 3 - 7
    torch.testing.assert_close(Standard.of(moved, known)(moved), out)  # neither shift nor scale matters
    one = Standard.of(torch.ones(2, 6), torch.tensor([False, True]))(torch.ones(2, 6))
    assert one.isfinite().all() and not one.any()


def test_other_texts_are_projected_as_titles_are():
    class Texts:
        known, kept = torch.tensor([False, True, True, True]), torch.randn(4, 6) + 5
        vectors = kept.clone

    texts = ProjectedTexts(Texts, nn.Linear(6, 2, bias=False))
    torch.testing.assert_close(texts.of(Texts.kept)[1:], texts()[1:])
    assert not texts()[0].any()


@pytest.mark.parametrize("silent", [[0], [0, 2], [0, 1, 2, 3]])
def test_texts_are_standardised_where_they_are(silent):
    """A million titles of 768 numbers are 3 GB: the model holds what it was given, and no copy of it."""
    given = torch.randn(4, 6) + 5
    given[silent] = 0

    held = []

    class Texts:
        known = torch.tensor([item not in silent for item in range(4)])

        @staticmethod
        def vectors():
            held.append(given.clone())
            return held[0]

    texts = ProjectedTexts(Texts, nn.Linear(6, 2, bias=False))
    assert texts.texts.data_ptr() == held[0].data_ptr()
    expected = Standard.of(given, Texts.known)(given)
    expected[silent] = 0
    assert torch.equal(texts.texts, expected)


def test_text_scale_is_the_length_of_the_titles(shop):
    assert length_of_titles({"text_scale": None}) == 1  # a checkpoint older than the setting
    for model in ("SASRecText", "UniSRec", "SAM", "ComiRec", "TedRec"):
        for given, expected in ((3, 3.0), (None, {"UniSRec": 15.0, "TedRec": 1.0}.get(model, 4.0))):
            length = {} if given is None else {"text_scale": given}
            made = experiment(model, item_text=True, **length)[-1]
            titles = made.titles if model == "TedRec" else made.item_text
            mean = titles.texts[1:].norm(dim=1).mean()
            torch.testing.assert_close(mean, torch.tensor(expected), rtol=1e-3, atol=0)


def test_texts_are_not_saved_with_the_weights():
    class Texts:
        known, vectors = torch.ones(4, dtype=torch.bool), torch.randn(4, 6).clone

    assert list(ProjectedTexts(Texts, nn.Linear(6, 2, bias=False)).state_dict()) == ["adaptor.weight"]
