"""A shared test over all models that can be bundled: a bundle scores as its checkpoint does."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from bundle_helpers import OURS, bundle, checkpoint, make_shop
from conftest import ROOT

import recbole_sam
from recbole_sam.errors import DataError
from recbole_sam.serving.making.supported import NEEDS, OF_RECBOLE
from recbole_sam.serving.making.write import write_bundle
from recbole_sam.serving.scores import Sessions

MODELS = (*OURS, *OF_RECBOLE)
OF_USERS = ("Caser", "FOSSIL", "FPMC", "HGN", "HRM", "NPE", "SHAN", "TransRec")
"""They have a vector for each user, which a session of the same items does not have."""
NOT_RECORDED = ("GCSAN", "HRM", "SHAN", "SRGNN")
ITEMS = 25
ASK = """
import json, sys
import recbole_sam
found = {}
for name, folder in json.load(sys.stdin).items():
    frame = recbole_sam.load(folder).recommend(
        users=[f"u{n}" for n in range(40)], k=100, history="valid", exclude_seen=False
    )
    found[name] = frame[["user", "item", "score"]].values.tolist()
json.dump(found, sys.stdout)
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    make_shop(root)
    return root


@pytest.fixture(scope="module")
def bundles(root):
    """Model -> folder and what it was made of."""
    return {model: bundle(root, model, name=model) for model in MODELS}


@pytest.fixture(scope="module")
def answers(bundles, tmp_path_factory):
    """Model -> user -> item -> score, out of a fresh process in an empty folder."""
    folders = {name: str(folder) for name, (folder, _) in bundles.items()}
    done = subprocess.run(
        [sys.executable, "-c", ASK], input=json.dumps(folders), capture_output=True, text=True,
        cwd=tmp_path_factory.mktemp("empty"), env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = {}
    for name, rows in json.loads(done.stdout).items():
        for user, item, score in rows:
            found.setdefault(name, {}).setdefault(user, {})[item] = score
    return found


def of_checkpoint(made):
    """User -> item -> score as the model itself gives them for the test part."""
    config, _, _, test, model = made
    dataset = test.dataset
    model.eval()
    with torch.no_grad():
        scores = model.full_sort_predict(dataset.inter_feat).view(len(dataset.inter_feat), -1).numpy()
    users = dataset.id2token(dataset.uid_field, dataset.inter_feat[dataset.uid_field])
    items = dataset.field2id_token[dataset.iid_field]
    return {
        user: dict(zip(items[1:], row[1 : len(items)], strict=True))
        for user, row in zip(users, scores, strict=True)
    }


@pytest.mark.parametrize("model", MODELS)
def test_scores_are_those_of_the_checkpoint(model, bundles, answers):
    expected = of_checkpoint(bundles[model][1])
    assert len(expected) == 40 and answers[model].keys() == expected.keys()
    for user, scores in expected.items():
        assert answers[model][user].keys() == scores.keys()
        found = [answers[model][user][item] for item in scores]
        np.testing.assert_allclose(found, list(scores.values()), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("model", MODELS)
def test_a_record_of_the_model_scores_as_it_does(model, bundles):
    """Those have one that decide nothing in Python."""
    shop = recbole_sam.load(bundles[model][0])
    scorer = shop._ready()
    scorer._one_person.record(scorer._made_up())
    assert (scorer._one_person._record is None) == (model in NOT_RECORDED)
    users, items, starts, lengths = shop._known([f"u{n}" for n in range(40)], "full", True)[1]
    for row in range(40):
        some = slice(row, row + 1)
        one = Sessions(users[some], items, starts[some], lengths[some])
        with torch.no_grad():
            wanted = scorer.model.full_sort_predict(scorer.interaction(one)).view(1, -1)
        torch.testing.assert_close(scorer.scores(one), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("model", [name for name in MODELS if name not in OF_USERS])
def test_a_session_is_answered_as_the_user_who_took_the_same(model, bundles):
    """SAM's interests come from the training items: so do those of the sessions here."""
    shop = recbole_sam.load(bundles[model][0])
    users = ["u0", "u7", "u33"]
    numbers = shop.people.numbers(users)
    items, starts, lengths = shop.people.histories(numbers, "train")
    sessions = {
        user: shop.items[items[start : start + length]].tolist()
        for user, start, length in zip(users, starts, lengths, strict=True)
    }
    known = shop.recommend(users=users, k=5, history="train")
    new = shop.recommend(histories=sessions, k=5)
    assert known["item"].tolist() == new["item"].tolist()
    np.testing.assert_allclose(known["score"], new["score"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("model", sorted(NEEDS))
def test_other_models_are_refused_with_what_they_need(model):
    from recbole_sam.serving.making import supported

    with pytest.raises(DataError, match=f"{model} cannot be bundled: it is built from"):
        supported.check({"model": model})


def test_times_are_not_in_a_bundle(root):
    file, _ = checkpoint(root, "HSTU")
    with pytest.raises(DataError, match="HSTU with time_bias cannot be bundled.*time_bias=False"):
        write_bundle(file, root / "hstu")


def test_a_model_that_is_not_sequential_is_refused(root):
    file, _ = checkpoint(root, "SASRec")
    saved = torch.load(file, weights_only=False)
    saved["config"]["model"] = "BPR"
    torch.save(saved, root / "bpr.pth")
    with pytest.raises(DataError, match="BPR cannot be bundled"):
        write_bundle(root / "bpr.pth", root / "bpr")


@pytest.mark.parametrize("model", ("SAM", "FPMC"))
def test_without_users_no_user_is_in_any_file(model, root):
    folder, _ = bundle(root, model, with_users=False, name=f"{model}-public")
    assert {"users.parquet", "interests.safetensors"}.isdisjoint(path.name for path in folder.iterdir())
    shop = recbole_sam.load(folder)
    assert len(shop.recommend(histories=[["i1", "i2"]], k=5)) == 5
    with pytest.raises(DataError, match="--with-users"):
        shop.recommend(users=["u0"])


@pytest.mark.parametrize(
    "settings", ({"item_knn": True}, {"loss_type": "SSM", "train_neg_sample_args": None}), ids=str
)
@pytest.mark.parametrize("with_users", (True, False))
def test_options_of_sam(settings, with_users, root):
    folder, made = bundle(root, "SAM", with_users, name=f"o{with_users}{len(settings)}", **settings)
    shop = recbole_sam.load(folder)
    assert len(shop.recommend(histories=[["i1", "i2"]], k=5)) == 5
    if with_users:
        expected = of_checkpoint(made)["u3"]
        frame = shop.recommend(users=["u3"], k=100, history="valid", exclude_seen=False)
        np.testing.assert_allclose(frame["score"], [expected[item] for item in frame["item"]], 1e-5, 1e-5)
        before = [shop.recommend(users=[f"u{n}"], k=9, as_frame=False) for n in range(40)]
        shop._ready()._one_person.record(shop._ready()._made_up())
        for n, rows in enumerate(before):
            again = shop.recommend(users=[f"u{n}"], k=9, as_frame=False)
            assert [row["item"] for row in again] == [row["item"] for row in rows]
