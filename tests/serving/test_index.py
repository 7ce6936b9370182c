"""Answers from a FAISS index: exact where all lists are read, refused where it cannot hold the model."""

import sys

import numpy as np
import pandas as pd
import pytest
from bundle_helpers import bundle, make_shop

import recbole_sam
from recbole_sam.cli.main import main
from recbole_sam.errors import DataError, SettingError

pytest.importorskip("faiss")
USERS = [f"u{n}" for n in range(40)]
ALL = 1000
"""Lists: more than there are, so the index is exact."""
HELD = {"SAM": {}, "ComiRec": {}, "SASRecText": {"repeat_bias": True}, "SASRec": {}, "SRGNN": {}}
REFUSED = {"SAM": {"item_knn": True}, "STOSA": {}, "FPMC": {}, "CORE": {}}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("index")
    make_shop(root)
    return root


@pytest.fixture(scope="module")
def folder(root):
    return bundle(root, "SAM", name="b")[0]


def same(found, wanted):
    assert found["item"].tolist() == wanted["item"].tolist()
    np.testing.assert_allclose(found["score"], wanted["score"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("model", HELD)
@pytest.mark.parametrize("with_users", (True, False))
def test_an_exact_index_answers_as_all_scores_do(root, model, with_users):
    folder, _ = bundle(root, model, with_users, name=f"{model}{with_users}", **HELD[model])
    shop = recbole_sam.load(folder)
    index = shop.with_index(ALL)
    assert index.index_recall(5) == (1, 40 if with_users else 25)
    histories = [["i1", "i2", "i1"], ["i3"], [f"i{n % 20}" for n in range(500)]]
    people = [{"histories": histories}] + [{"users": USERS}] * with_users
    for asked in people:
        for how in ({"k": 5}, {"k": 100}, {"k": 100, "exclude_seen": False}):
            same(index.recommend(**asked, **how), shop.recommend(**asked, **how))


@pytest.mark.parametrize("bias", (-3.0, 3.0))
def test_the_bias_counts_after_retrieval(folder, bias):
    shop = recbole_sam.load(folder)
    shop._ready().model.repeat_bias.fill_(bias)
    asked = {"users": USERS, "k": 4, "exclude_seen": False}
    same(shop.with_index(ALL).recommend(**asked), shop.recommend(**asked))


def test_lists_trade_recall(folder):
    shop = recbole_sam.load(folder)
    few, many = (shop.with_index(lists).index_recall(5)[0] for lists in (2, 12))
    assert 0 < few < many <= 1
    frame = shop.with_index(2).recommend(users=USERS, k=5)
    assert frame["item"].notna().all() and set(frame["rank"]) <= {1, 2, 3, 4, 5}
    taken = {
        (user, item)
        for user in USERS
        for item in shop.items[np.setdiff1d(np.arange(1, 26), numbers(shop, user))]
    }
    assert set(zip(frame["user"], frame["item"], strict=True)) <= taken


def numbers(shop, user):
    items, starts, lengths = shop.people.histories(shop.people.numbers([user]))
    return items[starts[0] : starts[0] + lengths[0]]


@pytest.mark.parametrize("model", REFUSED)
def test_models_that_no_index_holds_are_refused(root, model):
    folder, _ = bundle(root, model, name=f"no{model}", **REFUSED[model])
    with pytest.raises(DataError, match=f"{model} as it was trained cannot be answered from an index"):
        recbole_sam.load(folder).with_index()


def test_new_items_are_in_the_index(folder):
    shop = recbole_sam.load(folder).with_items({"new1": "Rose Lip Balm"})
    asked = {"histories": [["new1", "i2"]], "k": 100}
    wanted = shop.recommend(**asked)
    same(shop.with_index(ALL).recommend(**asked), wanted)
    same(recbole_sam.load(folder).with_index(ALL).with_items({"new1": "Rose Lip Balm"}).recommend(**asked),
         wanted)  # fmt: skip


def test_what_an_index_does_not_know(folder):
    index = recbole_sam.load(folder).with_index()
    for how in ({"among": ["i1"]}, {"without": ["i1"]}, {"steer": "rose"}):
        with pytest.raises(SettingError, match="leave out --index"):
            index.recommend(users=["u1"], **how)
    with pytest.raises(SettingError, match="reads 0 lists"):
        index.with_index(0)


def test_the_command(folder, capsys, tmp_path):
    words = ("recommend", str(folder), "--index=12")
    assert main((*words, "--user=u1", "--top-k=3")) == 0
    said = capsys.readouterr()
    assert "of the exact top 3 of 40 people found" in said.err and len(said.out.splitlines()) == 4
    assert main((*words, "--all", "--top-k=3", "--output=top.csv")) == 0
    frame = pd.read_csv("top.csv")
    same(frame[frame["user"] == "u1"], recbole_sam.load(folder).with_index(12).recommend(users=["u1"], k=3))


def test_without_faiss_it_ends_in_a_sentence(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(SettingError, match=r"pip install faiss-cpu"):
        recbole_sam.load(folder).with_index()
