"""What a bundle answers: known users, sessions, candidates, new items, mistakes."""

import json
import logging
import os

import numpy as np
import pandas as pd
import pytest
import torch
from bundle_helpers import bundle, make_shop
from recbole.utils.case_study import full_sort_topk

import recbole_sam
from recbole_sam.errors import DataError, SettingError, UnknownNameError
from recbole_sam.serving import table_files


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("recommend")
    make_shop(root)
    return bundle(root, "SAM")


@pytest.fixture(scope="module")
def shop(made):
    return recbole_sam.load(made[0])


def taken(shop, user, part="full"):
    items, starts, lengths = shop.people.histories(shop.people.numbers([user]), part)
    return shop.items[items[starts[0] : starts[0] + lengths[0]]].tolist()


def test_histories_are_whole_and_cut_as_the_split_cuts_them(shop):
    from conftest import random_sequences

    for user, items in random_sequences().items():
        assert taken(shop, user) == items
        if len(items) > 3:  # of three RecBole holds out one only
            assert taken(shop, user, "valid") == items[:-1] and taken(shop, user, "train") == items[:-2]


@pytest.mark.parametrize("part, loader", (("valid", 3), ("train", 2)))
def test_ranks_are_those_of_full_sort_topk(made, shop, part, loader):
    folder, experiment = made
    data, model = experiment[loader], experiment[-1].eval()
    dataset = data.dataset
    users = dataset.inter_feat[dataset.uid_field].numpy()
    _, expected = full_sort_topk(users, model, data, 10)
    frame = shop.recommend(
        users=dataset.id2token(dataset.uid_field, users), k=10, history=part, exclude_seen=False
    )
    assert frame["item"].tolist() == dataset.id2token(dataset.iid_field, expected).ravel().tolist()
    assert frame["rank"].tolist() == list(range(1, 11)) * len(users)


def test_known_users_are_answered_from_everything_and_without_what_they_have(shop):
    frame = shop.recommend(users=["u5"], k=25)
    assert list(frame.columns) == ["user", "rank", "item", "title", "score"]
    assert set(frame["item"]) == set(shop.items[1:]) - set(taken(shop, "u5"))
    assert frame["score"].is_monotonic_decreasing
    assert frame["title"][0].endswith(frame["item"][0])
    everything = shop.recommend(users=["u5"], k=25, exclude_seen=False)
    assert len(everything) == 25
    part = everything[everything["item"].isin(frame["item"])]
    assert part["item"].tolist() == frame["item"].tolist()
    np.testing.assert_allclose(part["score"], frame["score"], rtol=1e-5, atol=1e-6)


def test_one_user_at_a_time_gives_what_all_together_get(shop):
    users = [f"u{n}" for n in range(40)]
    together = shop.recommend(users=users, k=3).set_index("user")
    for user in users[:5]:
        alone = shop.recommend(users=[user], k=3)
        assert alone["item"].tolist() == together.loc[user, "item"].tolist()


def test_plain_rows_say_what_the_table_says(shop):
    asked = {"users": ["u1", "u2"], "k": 30}
    rows = shop.recommend(**asked, as_frame=False)
    assert pd.DataFrame(rows).values.tolist() == shop.recommend(**asked).values.tolist()
    more = shop.with_items({"new1": "Rose Lip Balm"})
    rows = more.recommend(**asked, as_frame=False)
    assert sum(row["new"] for row in rows) == 2 and list(rows[0]) == list(more.recommend(**asked))
    assert shop.recommend(users=["nobody"], as_frame=False) == []


def test_a_record_of_the_model_is_not_asked_for_lent_interests(made):
    shop = recbole_sam.load(made[0])
    asked = ({"users": ["u1"]}, {"users": ["u1"], "without_interests": [2]}, {"histories": [["i1", "i2"]]},
             {"users": ["u5"]})  # fmt: skip
    before = [shop.recommend(**each, k=25) for each in asked]
    shop._ready()._one_person.record(shop._ready()._made_up())
    assert shop._ready()._one_person._record is not None
    for each, frame in zip(asked, before, strict=True):
        pd.testing.assert_frame_equal(shop.recommend(**each, k=25), frame)
    assert not before[0]["score"].equals(before[1]["score"])


@pytest.mark.parametrize("lent", [{"users": ["u1"], "without_interests": [1]}, {"histories": [["i1", "i2"]]}])
def test_lent_interests_are_never_recorded(made, lent):
    from recbole_sam.serving.fast.recorded import AFTER

    shop = recbole_sam.load(made[0])
    expected = shop.recommend(users=["u5"], k=25)
    for _ in range(AFTER):
        shop.recommend(**lent)
    pd.testing.assert_frame_equal(shop.recommend(users=["u5"], k=25), expected)


def test_what_serve_opens_is_never_recorded(made):
    """Torch keeps a record for good, so every bundle that is swapped in would cost its size."""
    from recbole_sam.serving.fast.recorded import AFTER
    from recbole_sam.serving.web.shelf import opened

    shop = opened(made[0])
    for _ in range(AFTER + 2):
        shop.recommend(users=["u1"])
    assert shop._scorer._one_person._record is None


def test_a_model_is_recorded_after_some_calls(made):
    from recbole_sam.serving.fast.recorded import AFTER

    shop = recbole_sam.load(made[0])
    for call in range(AFTER):
        assert shop._scorer is None or shop._scorer._one_person._record is None, call
        shop.recommend(users=["u1"])
    assert shop._scorer._one_person._record is not None
    fresh = recbole_sam.load(made[0])  # what was computed for recommending serves explaining, too
    assert shop.explain(user="u1", items=["i1"]) == fresh.explain(user="u1", items=["i1"])
    pd.testing.assert_frame_equal(shop.similar(["i1"]), fresh.similar(["i1"]))


def test_candidates(shop):
    frame = shop.recommend(histories=[["i1"]], among=["i1", "i4", "i4", "i2"])
    assert sorted(frame["item"]) == ["i2", "i4"]
    rest = shop.recommend(histories=[["i1"]], without=["i4", "i2"], k=100)
    assert set(rest["item"]) == set(shop.items[1:]) - {"i1", "i2", "i4"}
    with pytest.raises(SettingError, match="no candidate"):
        shop.recommend(histories=[["i1"]], among=["i4"], without=["i4"])


def test_unknown_names_are_counted_and_the_rest_is_answered(shop, caplog):
    with caplog.at_level(logging.WARNING):
        frame = shop.recommend(users=["nobody", "u1"], k=2)
        shop.recommend(histories={"a": ["i1", "i999"], "b": ["x"], "c": []}, k=2, among=["i3", "zz"])
    assert frame["user"].tolist() == ["u1", "u1"]
    said = " ".join(record.message for record in caplog.records)
    assert "Users that are not in the bundle: 1 (nobody)" in said and "2 (i999, x)" in said
    assert "without any known item, left out: 2 (b, c)" in said and "1 (zz)" in said
    for given in ({"users": ["nobody"]}, {"histories": [["i1", "i999"]]}, {"histories": [[]]}):
        with pytest.raises(UnknownNameError):
            shop.recommend(**given, strict=True)
    assert shop.recommend(users=["nobody"]).empty


def test_odd_histories(shop):
    long = shop.recommend(histories=[[f"i{n % 20}" for n in range(10_000)]], k=100)
    newest = shop.recommend(histories=[[f"i{n % 20}" for n in range(9_980, 10_000)]], k=100)
    assert set(long["item"]) == {f"i{n}" for n in range(20, 25)}
    assert long["item"].tolist() == newest["item"].tolist()
    assert len(shop.recommend(histories=[["i3", "i3", "i3"]], k=100)) == 24


@pytest.mark.parametrize(
    "given, words",
    (
        ({}, "either users or histories"),
        ({"users": ["u1"], "histories": [["i1"]]}, "either users or histories"),
        ({"users": ["u1"], "k": 0}, "k is 0"),
        ({"users": ["u1"], "k": True}, "k is True"),
        ({"users": ["u1"], "history": "all"}, "full, valid, train"),
        ({"histories": [["i1"]], "new_interests": "no"}, "live, default"),
        ({"histories": "i1"}, "one text"),
        ({"histories": ["i1"]}, "not one text"),
    ),
)
def test_arguments_that_make_no_sense(shop, given, words):
    with pytest.raises(SettingError, match=words):
        shop.recommend(**given)


@pytest.mark.parametrize("values", (3, 40, 1_000_000))
@pytest.mark.parametrize("n", (6, 100, 997, 5000))
def test_equal_scores_stand_by_number(n, values):
    """Among few different values most are equal."""
    from recbole_sam.serving.scores import top

    generator = torch.Generator().manual_seed(n)
    scores = torch.randint(values, (64, n), generator=generator).float()
    scores[::2, n // 2 :] = -torch.inf
    expected = scores.sort(dim=1, descending=True, stable=True)
    for k in (1, 2, 5, 20):
        found, index = top(scores, min(k, n))
        assert found.equal(expected.values[:, :k]) and index.equal(expected.indices[:, :k])


def test_live_interests_are_those_of_stage_1(made, shop):
    """Of the training items, as the store has them: grouping, phrases and vectors."""
    users = [f"u{n}" for n in range(40)]
    histories = [taken(shop, user, "train") for user in users]
    titles = dict(zip(shop.items, shop.titles, strict=True))
    table = shop._strangers.interests(titles, histories, "live")
    model = shop._ready().model
    numbers = shop.people.numbers(users)
    assert table.user_k[1:].equal(model.user_k[numbers])
    for row, number in enumerate(numbers, 1):
        k = int(table.user_k[row])
        live = table.embeddings[table.user_phrases[row, :k].long()]
        assert live.equal(model.phrase_embeddings[model.user_phrases[number, :k].long()])


def test_live_interests_do_not_depend_on_who_else_asks(shop):
    histories = [taken(shop, f"u{number}") for number in range(10)]
    together = shop.recommend(histories=histories, k=5)["score"].to_numpy().reshape(10, 5)
    for history, scores in zip(histories, together, strict=True):
        assert shop.recommend(histories=[history], k=5)["score"].tolist() == pytest.approx(scores, rel=1e-5)


def test_interests_of_strangers_are_lent_and_taken_back(shop):
    before = shop.recommend(users=["u1"], k=5)
    live = shop.recommend(histories=[["i1", "i2", "i3"]], k=100)  # the best may not depend on them
    default = shop.recommend(histories=[["i1", "i2", "i3"]], k=100, new_interests="default")
    assert live["score"].tolist() != default["score"].tolist()
    pd.testing.assert_frame_equal(before, shop.recommend(users=["u1"], k=5))


def test_new_items_are_scored_by_their_titles(shop):
    twin = shop.titles[shop.catalogue.number_of["i4"]]
    more = shop.with_items({"new1": twin, "new2": "Quantum chromodynamics", "i3": "known"})
    frame = more.recommend(histories=[["i1"]], k=100)
    assert frame["new"].sum() == 2 and set(frame.loc[frame["new"], "item"]) == {"new1", "new2"}
    old = frame[~frame["new"]]
    plain = shop.recommend(histories=[["i1"]], k=100)
    assert old["item"].tolist() == plain["item"].tolist()
    np.testing.assert_allclose(old["score"], plain["score"], rtol=1e-5, atol=1e-6)
    near = more.similar(["new1"], k=1, by="text")
    assert near["similar"][0] == "i4" and near["similarity"][0] == pytest.approx(1, abs=1e-3)
    model, number = more._ready().model, more.catalogue.number_of
    texts = model.item_text()  # the same title adds the same to both
    assert torch.allclose(texts[number["new1"]], texts[number["i4"]], atol=1e-4)
    assert not model.item_embedding.weight[number["new1"]].any()
    assert len(more.recommend(histories=[["new1", "i2"]], k=3)) == 3  # as a history, too
    with pytest.raises(DataError, match="None of the new items is new"):
        shop.with_items({"i3": "known"})


def test_a_new_item_may_be_named_by_a_number(shop):
    more = shop.with_items({7: "Rose Lip Balm"})
    assert "7" in more
    with pytest.raises(DataError, match="None of the new items is new"):
        more.with_items({7: "Lip Balm"})
    assert more.similar([7], k=1)["item"][0] == "7"


def test_similar(shop):
    pd.testing.assert_frame_equal(shop.similar("i1", k=3), shop.similar(["i1"], k=3))
    frame = shop.similar(["i1", "i2"], k=3)
    assert list(frame.columns) == ["item", "rank", "similar", "title", "similarity"]
    vectors = shop._ready().model.item_vectors()
    cosines = torch.nn.functional.normalize(vectors, dim=1)
    number = shop.catalogue.number_of["i1"]
    cosines = (cosines @ cosines[number])[1:]
    cosines[number - 1] = -2
    assert frame["similar"][0] == shop.items[int(cosines.argmax()) + 1]
    with pytest.raises(UnknownNameError, match="Did you mean"):
        shop.similar(["i11x"])
    with pytest.raises(SettingError, match="model or text"):
        shop.similar(["i1"], by="title")
    with pytest.raises(SettingError, match="Give items"):
        shop.similar([])


def test_nothing_is_near_an_item_that_says_nothing(shop, caplog):
    more = shop.with_items({"n1": "qwzx"})  # a word of no title
    for by in ("text", "model"):
        assert more.similar(["n1", "i1"], k=3, by=by)["item"].tolist() == ["i1"] * 3
    assert "none is near: 1 (n1)" in caplog.text


def test_a_bundle_is_only_read(made):
    folder = made[0]
    for path in [*folder.iterdir(), folder]:
        os.chmod(path, 0o555)
    before = {path.name: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.iterdir()}
    try:
        shop = recbole_sam.load(folder)
        shop.recommend(users=["u1"])
        shop.recommend(histories=[["i1"]])
        shop.with_items({"new": "Rose Lip Balm"}).similar(["new"], by="text")
        after = {path.name: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.iterdir()}
        assert before == after
    finally:
        for path in [folder, *folder.iterdir()]:
            os.chmod(path, 0o755)


@pytest.mark.parametrize("ending", table_files.ENDINGS)
def test_sessions_of_each_kind_of_file(ending, tmp_path):
    file = tmp_path / f"today{ending}"
    frame = pd.DataFrame({"session": ["b", "a", "b"], "item": ["1", "2", "3"], "time": [9, 5, 7], "x": 0})
    if ending == ".csv":
        frame.to_csv(file, index=False)
    elif ending == ".jsonl":
        file.write_text("".join(json.dumps(row) + "\n" for row in frame.to_dict("records")))
    else:
        frame.to_parquet(file)
    assert table_files.sessions(file) == {"b": ["3", "1"], "a": ["2"]}
    out = tmp_path / f"out{ending}"
    answers = pd.DataFrame(
        {
            "user": ["é", "b"],
            "rank": [1, 1],
            "item": ["i,1", '"q"'],
            "title": ["A", None],
            "score": [0.5, 2.0],
        }
    )
    table_files.write(answers, out)
    read = {
        ".csv": lambda: pd.read_csv(out, keep_default_na=False).replace({"title": {"": None}}),
        ".jsonl": lambda: pd.read_json(out, lines=True),
        ".parquet": lambda: pd.read_parquet(out),
    }[ending]()
    read, answers = (frame.astype(object).where(frame.notna(), None) for frame in (read, answers))
    assert read.values.tolist() == answers.values.tolist()


@pytest.mark.parametrize(
    "content, words",
    (
        ("session,thing\na,b\n", "no column 'item'"),
        ("session,item\na,\n", "no item in row 1"),
        ("session,item,time\na,b,noon\n", "time 'noon'"),
        ("", "no readable CSV"),
        ("session,item\n", "holds no sessions"),
        ("session,item\na,b,c\n", "more cells than its first line"),
        ('session,item\n"a', "no readable CSV|no item"),
    ),
)
def test_session_files_with_mistakes(content, words, tmp_path):
    file = tmp_path / "today.csv"
    file.write_text(content)
    with pytest.raises(DataError, match=words):
        table_files.sessions(file)
    with pytest.raises(DataError, match="cannot be read"):
        table_files.sessions(tmp_path / "absent.csv")
    with pytest.raises(SettingError, match="must end in"):
        table_files.sessions(tmp_path / "today.xlsx")


def test_imported_interests_give_new_people_none(tmp_path, caplog):
    """Their vectors are of no text encoder that the bundle has."""
    from circle import circle_config, circle_data, write_circle
    from recbole.utils import get_model

    from recbole_sam.serving.making.write import write_bundle

    write_circle(tmp_path)
    config = circle_config(tmp_path, "SAM")
    model = get_model("SAM")(config, circle_data(config)[0].dataset)
    state = {"config": config, "epoch": 0, "state_dict": model.state_dict(), "other_parameter": None}
    torch.save(state, tmp_path / "circle.pth", pickle_protocol=4)
    write_bundle(tmp_path / "circle.pth", tmp_path / "b", with_users=True)
    circle = recbole_sam.load(tmp_path / "b")
    with caplog.at_level(logging.WARNING):
        live = circle.recommend(histories=[["i1", "i2"]], k=5)
    assert "made elsewhere" in caplog.text
    default = circle.recommend(histories=[["i1", "i2"]], k=5, new_interests="default")
    pd.testing.assert_frame_equal(live, default)
    assert len(circle.recommend(users=["u1"], k=5)) == 5
