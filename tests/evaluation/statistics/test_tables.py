from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from recbole_sam.errors import DataError
from recbole_sam.evaluation.statistics import metrics, tables
from recbole_sam.evaluation.statistics.groups import everyone, item_groups, user_groups
from recbole_sam.evaluation.statistics.significance import bootstrap_interval, holm, paired_p

USERS = 80


def training(model, seed, worst, users=USERS, protocol="full"):
    """Ranks from 1 to ``worst``; a smaller ``worst`` is a better model."""
    number = np.arange(users)
    rng = np.random.default_rng([seed, worst])
    return pd.DataFrame(
        {
            "model": model,
            "seed": seed,
            "protocol": protocol,
            "user": [f"u{n}" for n in number],
            "item": [f"i{n % 7}" for n in number],
            "rank": rng.integers(1, worst + 1, size=users),
            "history": 3 + number % 6,
            "popularity": 10 * (1 + number % 7),
        }
    )


@pytest.fixture
def ranks():
    """Three models, C with one seed more; the rows of each training in another order."""
    parts = [
        training(model, seed, worst, protocol=protocol).sample(frac=1, random_state=worst + seed)
        for protocol, factor in (("full", 3), ("uni100", 1))
        for model, seed, worst in (
            ("A", 1, 60 * factor), ("A", 2, 60 * factor), ("B", 1, 14 * factor), ("B", 2, 14 * factor),
            ("C", 1, 16 * factor), ("C", 2, 16 * factor), ("C", 3, 16 * factor),
        )
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def by_hand(ranks, metric, protocol="full"):
    part = ranks[ranks["protocol"] == protocol]
    part = part.assign(value=metrics.value(metric, part["rank"]))
    return part.groupby(["model", "user"])["value"].mean().unstack("model")


def seeds_by_hand(ranks, model, metric):
    """[seeds, users] of full ranking."""
    part = ranks[(ranks["protocol"] == "full") & (ranks["model"] == model)]
    part = part.assign(value=metrics.value(metric, part["rank"]))
    return part.pivot(index="seed", columns="user", values="value").to_numpy()


def test_summary_by_hand(ranks):
    found = tables.summary(ranks, [10, 20], [everyone(ranks)])
    assert list(found.columns) == tables.SUMMARY
    assert len(found) == 2 * 6 * 3
    row = found[(found["protocol"] == "full") & (found["metric"] == "ndcg@20")].set_index("model")
    values = by_hand(ranks, "ndcg@20")
    assert row["mean"].to_dict() == pytest.approx(values.mean().to_dict())
    assert row["seeds"].to_dict() == {"A": 2, "B": 2, "C": 3}
    assert (row["users"] == USERS).all()
    seeds = [metrics.value("ndcg@20", training("A", seed, 180)["rank"]).mean() for seed in (1, 2)]
    assert row.loc["A", "sd"] == pytest.approx(abs(seeds[0] - seeds[1]) / np.sqrt(2))
    order = ranks.loc[ranks["protocol"] == "full", "user"].drop_duplicates()
    assert row.loc["B", ["low", "high"]].tolist() == pytest.approx(bootstrap_interval(values.loc[order, "B"]))

    best, second = values.mean().sort_values(ascending=False).index[:2]
    assert row["opponent"].to_dict() == {**dict.fromkeys("ABC", best), best: second}
    pairs = list(combinations("ABC", 2))
    of = {name: seeds_by_hand(ranks, name, "ndcg@20") for name in "ABC"}
    tests = holm([paired_p(of[one], of[two]) for one, two in pairs])
    p = {name: test for pair, test in zip(pairs, tests, strict=True) if best in pair for name in pair}
    p[best] = p[second]
    assert row["p"].to_dict() == pytest.approx(p)
    assert row["significant"].to_dict() == {name: p[name] < 0.05 for name in "ABC"}
    assert p["A"] < 0.05 < p[second]  # both answers occur
    assert row.loc["A", "difference"] == pytest.approx(values["A"].mean() - values[best].mean())
    assert row.loc[best, "difference"] == pytest.approx(values[best].mean() - values[second].mean())
    assert row.loc["A", "relative"] == pytest.approx(values["A"].mean() / values[best].mean() - 1)


def test_groups_hold_their_own_users(ranks):
    groups = [*user_groups(ranks, [4]), *item_groups(ranks, 60)]
    found = tables.summary(ranks, [10], groups)
    names = ["all users", "history <=4", "history >=5", "head items (20 % most popular)", "tail items"]
    assert list(found["group"].unique()) == names  # all users are added
    short = found[(found["group"] == "history <=4") & (found["protocol"] == "uni100")]
    values = by_hand(ranks[ranks["history"] <= 4], "hit@10", "uni100")
    assert short[short["metric"] == "hit@10"].set_index("model")["mean"].to_dict() == pytest.approx(
        values.mean().to_dict()
    )
    assert (short["users"] == len(values)).all() and len(values) < USERS
    of_all = found["kind"] == "all"
    assert found.loc[of_all, ["low", "high"]].notna().all(axis=None)
    assert found.loc[~of_all, ["low", "high"]].isna().all(axis=None)


def test_one_seed_beside_several_is_shown_and_not_tested(ranks):
    lucky = training("D", 1, 10), training("D", 1, 3, protocol="uni100")  # better than all others
    found = tables.summary(pd.concat([ranks, *lucky], ignore_index=True), [20], [])
    row = found[(found["protocol"] == "full") & (found["metric"] == "ndcg@20")].set_index("model")
    assert row["mean"].idxmax() == "D" and np.isnan(row.loc["D", "sd"]) and np.isnan(row.loc["D", "p"])
    assert row.loc["D", "significant"] is None and row.loc["D", "relative"] > 0
    best, second = row.drop(index="D")["mean"].sort_values(ascending=False).index[:2]
    assert row["opponent"].to_dict() == {**dict.fromkeys("ABCD", best), best: second}
    without = tables.summary(ranks, [20], [])
    same = without[(without["protocol"] == "full") & (without["metric"] == "ndcg@20")].set_index("model")
    assert row.loc[list("ABC"), "p"].to_dict() == same["p"].to_dict()


def test_categories_give_the_same_numbers(ranks):
    groups = user_groups(ranks)
    typed = ranks.astype(dict.fromkeys(["model", "protocol", "user", "item"], "category"))
    pd.testing.assert_frame_equal(tables.summary(typed, [10], groups), tables.summary(ranks, [10], groups))


def test_one_model_has_no_opponent(ranks):
    found = tables.summary(ranks[ranks["model"] == "B"], [10], [])
    assert set(found["opponent"]) == {None} and set(found["significant"]) == {None}
    assert found[["difference", "relative", "p"]].isna().all(axis=None)
    assert found["mean"].between(0, 1).all()


@pytest.mark.parametrize("users, tested", [(29, False), (30, True)])
def test_few_users_are_not_tested(users, tested):
    ranks = pd.concat([training("A", 1, 5, users), training("B", 1, 500, users)], ignore_index=True)
    found = tables.summary(ranks, [10], [])
    assert set(found["significant"]) == ({True} if tested else {None})
    assert found["p"].notna().all() == tested
    assert list(found["opponent"][:2]) == ["B", "A"]


def test_models_that_never_hit_are_equal():
    ranks = pd.concat([training("A", 1, 5), training("B", 1, 5)], ignore_index=True).assign(rank=50)
    found = tables.summary(ranks, [10], [])
    assert (found["p"] == 1).all() and set(found["significant"]) == {False}
    assert found["relative"].isna().all()
    assert list(found["opponent"][:2]) == ["B", "A"]


def test_a_missing_user_is_named(ranks):
    lost = (ranks["model"] == "B") & (ranks["seed"] == 2) & (ranks["user"] == "u5")
    with pytest.raises(DataError, match="B with seed 2 has no rank for the user 'u5'"):
        tables.summary(ranks[~lost], [10], [])


def test_a_user_ranked_twice_is_named(ranks):
    row = ranks[(ranks["model"] == "C") & (ranks["user"] == "u5")]
    with pytest.raises(DataError, match="C with seed 1 has 2 ranks for the user 'u5'"):
        tables.summary(pd.concat([ranks, row]), [10], [])


@pytest.mark.parametrize(
    "field, value, what",
    [("item", "i99", "target"), ("history", 99, "history"), ("popularity", 99, "popularity")],
)
def test_another_split_is_named(ranks, field, value, what):
    ranks.loc[(ranks["model"] == "C") & (ranks["user"] == "u5"), field] = value
    found = rf"{what} of the user 'u5' is .* for A \(seed 1\) but i?99 for C \(seed 1\)"
    with pytest.raises(DataError, match=found):
        tables.summary(ranks, [10], [])


def trial(model, seed, **other):
    known = {
        "model": model, "class": model, "seed": seed, "status": "done", "parameters": 1000, "epochs": 20,
        "best_epoch": 10, "seconds_per_epoch": 2.0, "users_per_second": 500.0, "peak_memory_mb": 800.0,
        "memory_of": "process", "interests": None,
    }  # fmt: skip
    return {**known, **other}


def test_costs_over_the_seeds():
    interests = {"generator": "extractive", "encoder": "lsa", "cost": "none (no language model)"}
    found = tables.costs(
        [
            trial("SAM", 1, interests=interests),
            trial("MIND", 1, peak_memory_mb=None),
            {"model": "SAM", "class": "SAM", "seed": 4, "status": "failed", "reason": "no memory"},
            trial("SAM", 2, interests=interests, epochs=10, best_epoch=7, seconds_per_epoch=9.0),
            trial("SAM", 3, interests=interests, epochs=15, seconds_per_epoch=3.0, peak_memory_mb=900.0),
            {"model": "EIMF", "class": "EIMF", "seed": 1, "status": "failed", "reason": "no memory"},
        ]
    ).set_index("model")
    assert list(found.columns) == tables.COSTS[1:]
    assert list(found.index) == ["SAM", "MIND"]
    assert found.loc["SAM"].to_dict() == {
        "parameters": 1000, "epochs": 15, "best_epoch": 9, "seconds_per_epoch": 3, "peak_memory_mb": 900,
        "memory_of": "process", "users_per_second": 500,
        "interests": "extractive, lsa; cost: none (no language model)",
    }  # fmt: skip
    assert np.isnan(found.loc["MIND", "peak_memory_mb"]) and found.loc["MIND", "interests"] == ""


def test_nothing_finished_costs_nothing():
    assert list(tables.costs([]).columns) == tables.COSTS and tables.costs([]).empty
