"""Explanations: parts sum to the score, leave-one-out is what it says, for every bundled model."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from bundle_helpers import OURS, bundle, make_shop

import recbole_sam
from recbole_sam.cli.main import main
from recbole_sam.errors import SettingError, UnknownNameError
from recbole_sam.serving.making.supported import OF_RECBOLE
from recbole_sam.serving.reasons import lending

ITEMS = ["i4", "i9"]
SPLIT = {
    "SAM": {"id", "title", "repeat_bias"},
    "SASRecText": {"id", "title"},
    "UniSRec": {"id", "title"},
    "BSARec": {"id"},
    "ComiRec": {"id"},
    "HSTU": {"id"},
    "TedRec": {"id"},
    "STOSA": {"model"},
    "SASRec": {"model"},
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("explain")
    make_shop(root)
    return root


@pytest.fixture(scope="module")
def shop(root):
    return recbole_sam.load(bundle(root, "SAM", item_knn=True, interest_text=True)[0])


def taken(shop, user):
    items, starts, lengths = shop.people.histories(shop.people.numbers([user]))
    return shop.items[items[starts[0] : starts[0] + lengths[0]]].tolist()


def scores(shop, **whom):
    frame = shop.recommend(**whom, k=100, exclude_seen=False)
    return dict(zip(frame["item"], frame["score"], strict=True))


@pytest.mark.parametrize("model", (*OURS, *OF_RECBOLE))
def test_every_model_explains(model, root):
    shop = recbole_sam.load(bundle(root, model, name=f"every-{model}")[0])
    history = taken(shop, "u7")
    for whom in ({"user": "u7"}, {"history": history}):
        asked = {"users": ["u7"]} if "user" in whom else {"histories": [history]}
        expected = scores(shop, **asked)
        for each in shop.explain(**whom, items=ITEMS):
            assert each["score"] == pytest.approx(expected[each["item"]], rel=1e-4, abs=1e-4)
            assert sum(each["parts"].values()) == pytest.approx(each["score"], rel=1e-4, abs=1e-4)
            assert set(each["parts"]) == SPLIT.get(model, set(each["parts"]))
            seen = range(max(1, len(history) - shop._ready().longest + 1), len(history) + 1)
            assert sorted(one["place"] for one in each["history"]) == list(seen)
            changes = [one["change"] for one in each["history"]]
            assert changes == sorted(changes, reverse=True) and np.isfinite(changes).all()


@pytest.mark.parametrize("model", [name for name in OURS if name not in ("SAM", "TedRec")])
def test_titles_repeats_and_neighbours_have_parts_of_their_own(model, root):
    additions = {"item_text": True, "repeat_bias": True, "item_knn": True}
    if model in ("eSASRec", "HSTU"):
        additions["loss_type"] = "CE"  # their sampled softmax knows no item_knn
    shop = recbole_sam.load(bundle(root, model, name=f"added-{model}", **additions)[0])
    expected = scores(shop, users=["u7"])
    for each in shop.explain(user="u7", items=shop.items[1:].tolist()):
        match = {"model"} if model == "STOSA" else {"id", "title"}
        assert set(each["parts"]) == match | {"repeat_bias", "neighbours"}
        assert sum(each["parts"].values()) == pytest.approx(expected[each["item"]], rel=1e-4, abs=1e-4)


def test_ranks_are_those_of_recommend(shop):
    frame = shop.recommend(users=["u5"], k=100)
    found = shop.explain(user="u5", items=frame["item"].tolist())
    assert [each["rank"] for each in found] == frame["rank"].tolist()


def test_without_an_item_is_the_answer_to_the_shorter_history(shop):
    history = taken(shop, "u5")
    candidates = [item for item in shop.items[1:] if item not in history]
    item = shop.recommend(histories=[history], k=3, new_interests="default")["item"][2]
    found = shop.explain(history=history, items=[item], new_interests="default")[0]
    whole = scores(shop, histories=[history], new_interests="default")
    assert found["history"]
    for each in found["history"]:
        rest = history[: each["place"] - 1] + history[each["place"] :]
        less = scores(shop, histories=[rest], new_interests="default")
        lead = [
            of[item] - torch.tensor([of[one] for one in candidates]).logsumexp(0).item()
            for of in (whole, less)
        ]
        assert each["change"] == pytest.approx(lead[0] - lead[1], abs=1e-4)
        assert each["rank_without"] == 1 + sum(less[one] > less[item] for one in candidates)


def test_voters_sum_to_the_neighbours_part(shop):
    found = [each for each in shop.explain(user="u5", items=shop.items[1:].tolist()) if each["voters"]]
    assert found
    for each in found:
        voted = sum(voter["part"] for voter in each["voters"])
        assert voted == pytest.approx(each["parts"]["neighbours"], abs=1e-5)


def test_repeat_bias_counts_for_what_was_taken_only(shop):
    own = taken(shop, "u5")[0]
    other = next(item for item in shop.items[1:] if item not in taken(shop, "u5"))
    first, second = shop.explain(user="u5", items=[own, other])
    assert first["parts"]["repeat_bias"] == pytest.approx(float(shop._ready().model.repeat_bias))
    assert second["parts"]["repeat_bias"] == 0


def test_interests_left_out_are_those_of_recommend(shop):
    user = next(f"u{n}" for n in range(40) if len(shop.interests(user=f"u{n}")) > 1)
    item = shop.recommend(users=[user], k=1)["item"][0]
    found = shop.explain(user=user, items=[item])[0]
    assert len(found["interests"]) == len(shop.interests(user=user))
    for each in found["interests"]:
        frame = shop.recommend(users=[user], k=100, without_interests=[each["number"]])
        assert frame[frame["item"] == item]["rank"].item() == each["rank_without"]
        assert sum(look["weight"] for look in each["attention"]) == pytest.approx(1, abs=1e-5)
        again = shop.explain(user=user, items=[item], without_interests=[each["number"]])[0]
        assert again["rank"] == each["rank_without"]
        assert each["number"] not in [one["number"] for one in again["interests"]]
    assert found["rank_without_interests"] >= 1 and found["rank_with_other_interests"] >= 1


def test_interests_have_words_and_share_the_history(shop):
    interests = shop.interests(user="u5")
    assert [each["number"] for each in interests] == list(range(1, len(interests) + 1))
    assert all(each["phrase"] for each in interests)
    items = [item["item"] for each in interests for item in each["items"]]
    assert items and not Counter(items) - Counter(taken(shop, "u5"))  # none belongs to two
    assert [each["phrase"] for each in shop.interests(history=["i1", "i2"])]


def test_asking_changes_no_later_answer(shop):
    before = shop.recommend(users=["u5", "u6"], k=25)
    shop.explain(user="u6", items=ITEMS, steer="cream", without_interests=[1])
    assert shop.recommend(users=["u5", "u6"], k=25).equals(before)


def test_threads_take_turns(shop):
    """No thread sees the interests that another one lends the model."""

    def ask(number):
        user = f"u{number % 40}"
        if number % 3 == 0:
            return shop.recommend(users=[user], k=5, without_interests=[1])["score"].tolist()
        if number % 3 == 1:
            return shop.recommend(histories=[["i1", f"i{number % 20}"]], k=5)["score"].tolist()
        return [each["score"] for each in shop.explain(user=user, items=ITEMS, without_interests=[1])]

    alone = [ask(number) for number in range(30)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(ask, range(30)))
    for one, other in zip(alone, together, strict=True):
        assert one == pytest.approx(other, rel=1e-4, abs=1e-4)


def test_lent_interests_score_as_the_users_own(shop):
    """Their own pairs stay out of the neighbours' counts too."""
    model, users = shop._ready().model, np.array([3, 9, 21])
    items, starts, lengths = shop.people.histories(users)
    from recbole_sam.serving.scores import Sessions

    own = shop._ready().scores(Sessions(users, items, starts, lengths))
    with lending.lent(model, lending.of_users(model, users), users) as numbers:
        lent = shop._ready().scores(Sessions(numbers, items, starts, lengths))
    torch.testing.assert_close(lent, own, rtol=1e-5, atol=1e-5)


def test_odd_histories(shop):
    single = shop.explain(history=["i1"], items=["i2"])[0]
    assert single["history"] == [] and single["rank"] >= 1
    long = shop.explain(history=[f"i{n % 20}" for n in range(3000)], items=["i2", "i22"])
    longest = shop._ready().longest
    assert [len(each["history"]) for each in long] == [longest, longest]
    assert max(each["place"] for each in long[0]["history"]) == 3000


def test_mistakes(shop):
    for wrong in ({"items": []}, {"items": ["i1"]}, {"items": ["i1"], "user": "u1", "history": ["i1"]},
                  {"user": "u1", "items": ["i1"], "without_interests": [99]}):  # fmt: skip
        with pytest.raises(SettingError):
            shop.explain(**wrong)
    for wrong in ({"user": "nobody", "items": ["i1"]}, {"user": "u1", "items": ["x"]},
                  {"history": ["x"], "items": ["i1"]}):  # fmt: skip
        with pytest.raises(UnknownNameError):
            shop.explain(**wrong)


def test_the_command(shop, capsys):
    folder = str(shop._files.folder)
    assert main(["explain", folder, "--user=u5", "--item=i4"]) == 0
    out = capsys.readouterr().out
    assert "rank" in out and "without this item of the history" in out and "without this interest" in out
    assert main(["explain", folder, "--items=i1,i2", "--item=i4", "--item=i5", "--json"]) == 0
    assert [each["item"] for each in json.loads(capsys.readouterr().out)] == ["i4", "i5"]
    assert main(["explain", folder, "--item=i4"]) == 2
    assert main(["explain", folder, "--user=u5", "--item=i444"]) == 2
    assert "i444" in capsys.readouterr().err
