"""Interactions stand in the order of their exact times, whatever the order of the file."""

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import make_config
from recbole.data import create_dataset

from recbole_sam.interests import stage1

START = 1_600_000_000  # float32 tells moments of these days apart from 128 seconds on
MODELS = ["SASRec", "SAM", "DIEN"]


def write_shuffled(folder, users=30, length=8, seconds=5, repeats=False):
    """A dataset whose rows are in random order; gives each user's items in time order."""
    rng = np.random.default_rng(7)
    folder.mkdir(parents=True)
    rows, truth = [], {}
    for user in range(users):
        items = rng.choice(40, length, replace=False).tolist()
        truth[f"u{user}"] = [f"i{item}" for item in items]
        for place, item in enumerate(items):
            rows.append((f"u{user}", f"i{item}", START + seconds * place))
            if repeats and place == 0:
                rows.append((f"u{user}", f"i{item}", START + seconds * length))
    rows = [rows[place] for place in rng.permutation(len(rows))]
    lines = ["user_id:token\titem_id:token\ttimestamp:float", *("\t".join(map(str, row)) for row in rows)]
    (folder / f"{folder.name}.inter").write_text("\n".join(lines) + "\n")
    titles = [f"i{item}\tthing {item}" for item in range(40)]
    (folder / f"{folder.name}.item").write_text("\n".join(["item_id:token\ttitle:token", *titles]) + "\n")
    return truth


def sequences(part):
    """User token -> history and target tokens of a split's part with one sample a user."""
    feat, field = part.inter_feat, part.iid_field
    tokens, found = part.field2id_token[field], {}
    lists = feat[part.item_id_list_field].numpy()
    lengths, targets = feat[part.item_list_length_field].numpy(), feat[field].numpy()
    for row, user in enumerate(feat[part.uid_field].numpy()):
        history = tokens[lists[row][: lengths[row]]].tolist()
        found[part.field2id_token[part.uid_field][user]] = [*history, tokens[targets[row]]]
    return found


def parts_of(model, **settings):
    config = make_config(model, "mixed", MAX_ITEM_LIST_LENGTH=50, **settings)
    if model == "SAM":
        stage1.build_missing(config)
    return create_dataset(config).build()


@pytest.mark.parametrize("model", MODELS)
def test_the_newest_item_is_the_test_item_whatever_the_order_of_the_file(tmp_path, model):
    truth = write_shuffled(tmp_path / "dataset" / "mixed")
    train, valid, test = parts_of(model, **({"load_col": None} if model == "DIEN" else {}))
    assert sequences(test) == truth
    assert sequences(valid) == {user: items[:-1] for user, items in truth.items()}
    assert {part.inter_feat[part.time_field].dtype for part in (train, valid, test)} == {torch.float32}


def test_moments_that_are_equal_keep_the_order_of_the_file(tmp_path):
    folder = tmp_path / "dataset" / "mixed"
    truth = write_shuffled(folder, seconds=0)
    rows = pd.read_csv(folder / "mixed.inter", sep="\t")
    truth = rows.groupby("user_id:token")["item_id:token"].agg(list).to_dict()
    assert sequences(parts_of("SASRec")[2]) == truth


def test_removing_repeats_keeps_the_order(tmp_path):
    truth = write_shuffled(tmp_path / "dataset" / "mixed", repeats=True)
    assert sequences(parts_of("SASRec", rm_dup_inter="first")[2]) == truth
    later = {user: [*items[1:], items[0]] for user, items in truth.items()}
    assert sequences(parts_of("SASRec", rm_dup_inter="last")[2]) == later


@pytest.mark.parametrize("split", [{"TS": [0.7, 0.1, 0.2]}, {"RS": [0.8, 0.1, 0.1]}])
def test_a_split_by_time_holds_out_what_came_last(tmp_path, split):
    """Without groups every training target is older than every test target, to the second."""
    write_shuffled(tmp_path / "dataset" / "mixed", seconds=11)
    by_user = {"group_by": None} if "RS" in split else {"group_by": "user"}
    parts = parts_of("SASRec", eval_args={"split": split, "order": "TO", "mode": "full", **by_user})
    rows = pd.read_csv(tmp_path / "dataset" / "mixed" / "mixed.inter", sep="\t")
    time = rows.set_index(["user_id:token", "item_id:token"])["timestamp:float"]
    times = []
    for part in parts:
        users = part.field2id_token[part.uid_field][part.inter_feat[part.uid_field].numpy()]
        items = part.field2id_token[part.iid_field][part.inter_feat[part.iid_field].numpy()]
        times.append(np.array([time[pair] for pair in zip(users, items, strict=True)]))
    assert len(times[2]) and max(times[0].max(), times[1].max()) <= times[2].min()


@pytest.mark.slow
def test_ml_100k_holds_out_the_newest_ratings():
    """As RecBole sorts, 4 of 943 users had another test item and 37 a misordered history."""
    config = make_config("SASRec", "ml-100k", MAX_ITEM_LIST_LENGTH=1000)
    dataset = create_dataset(config)
    rows = dataset.inter_feat.sort_values("timestamp", kind="stable")
    truth = {
        dataset.id2token("user_id", user): dataset.id2token("item_id", items.to_numpy()).tolist()
        for user, items in rows.groupby("user_id")["item_id"]
    }
    assert sequences(dataset.build()[2]) == truth
