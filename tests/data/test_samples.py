"""The samples are RecBole's own, entry for entry, and answer as its padded ones do."""

import copy
import pickle

import numpy as np
import pytest
import torch
from conftest import make_config, random_sequences, write_dataset
from recbole.data.dataset import SequentialDataset
from recbole.data.interaction import Interaction, cat_interactions

from recbole_sam.data.dataset import SAMDataset
from recbole_sam.data.samples import Samples, newest_sample, of_some_users, prefix_samples

ROWS = [
    slice(3, 9), slice(None), [2, 0, 2], np.array([5, 1]), torch.tensor([4]), torch.arange(40) % 3 == 0,
    np.arange(40) % 2 == 0, [], 7,
]  # fmt: skip


def both(**settings):
    config = make_config("SAM", **settings)
    datasets = [SequentialDataset(config), SAMDataset(config)]
    for dataset in datasets:
        dataset._change_feat_format()
    return [dataset.inter_feat for dataset in datasets]


@pytest.mark.parametrize("longest", [1, 3, 50])
def test_samples_equal_recboles(shop, longest):
    recbole, ours = both(MAX_ITEM_LIST_LENGTH=longest)
    assert list(recbole) == list(ours)
    for field in recbole:
        assert recbole[field].dtype == ours[field].dtype, field
        assert torch.equal(recbole[field], ours[field]), field


def test_samples_equal_recboles_with_every_kind_of_field(tmp_path):
    folder = tmp_path / "dataset" / "shop"
    write_dataset(folder, random_sequences(users=6))
    lines = (folder / "shop.inter").read_text().splitlines()
    header = lines[0] + "\trating:float\tkind:token\ttags:token_seq\tsizes:float_seq"
    rng = np.random.default_rng(0)
    rows = [
        f"{line}\t{rng.integers(1, 6)}\tk{rng.integers(3)}\ta b{rng.integers(3)}\t1.5 {rng.random():.3f}"
        for line in lines[1:]
    ]
    (folder / "shop.inter").write_text("\n".join([header, *rows]) + "\n")
    recbole, ours = both(load_col=None, numerical_features=["rating"], normalize_all=False)
    assert {"rating_list", "kind_list", "tags_list", "sizes_list"} <= set(ours.columns)
    for field in recbole:
        assert torch.equal(recbole[field], ours[field]), field


def test_users_with_one_interaction_give_no_sample():
    samples = prefix_samples(np.array([1, 2, 2, 3]), max_length=5)
    assert samples.targets.tolist() == [2] and samples.lengths.tolist() == [1]


def test_nobody_gives_no_samples():
    samples = prefix_samples(np.array([], dtype=np.int64), max_length=5)
    assert all(len(part) == 0 for part in samples)


def test_some_users_are_the_same_in_every_part():
    users = np.repeat(np.arange(1, 40), 3)
    found = [users[of_some_users(users, count, 40)] for count in (5, 5, 6, None)]
    assert len(found[0]) == 15 and set(found[0]) == set(found[1]) < set(found[2])
    assert np.array_equal(found[3], users)
    rest = users[users != found[0][0]]  # a part in which one of them has no sample
    assert set(found[0]) - {found[0][0]} < set(rest[of_some_users(rest, 5, 40)])


def test_newest_sample_of_each_user():
    assert newest_sample(np.array([4, 4, 2, 4, 2, 7])).tolist() == [3, 4, 5]


@pytest.fixture
def samples(shop):
    dataset = SAMDataset(make_config("SAM", MAX_ITEM_LIST_LENGTH=4))
    dataset._change_feat_format()
    return dataset.inter_feat[:40]


def same(ours, theirs):
    assert ours.columns == theirs.columns and len(ours) == len(theirs)
    for field in theirs:
        assert ours[field].dtype == theirs[field].dtype and torch.equal(ours[field], theirs[field]), field


@pytest.mark.parametrize("rows", ROWS, ids=str)
def test_rows(samples, rows):
    whole = Interaction(dict(samples.padded().interaction))
    same(samples[rows], whole[rows])
    if not isinstance(rows, int):
        same(samples.padded(rows), whole[rows])


def test_only_what_is_asked_for_is_padded(samples):
    assert isinstance(samples[:3], Samples)
    assert type(samples.padded(slice(3))) is Interaction


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.to("cpu"),
        lambda rows: rows.cpu(),
        lambda rows: rows.repeat(2),
        lambda rows: rows.repeat_interleave(3),
        lambda rows: cat_interactions([rows, rows]),
        lambda rows: Interaction({field: torch.from_numpy(column) for field, column in rows.numpy().items()}),
        copy.deepcopy,
        lambda rows: pickle.loads(pickle.dumps(rows)),
        lambda rows: rows.sort(by="item_id") or rows,
        lambda rows: rows.sort(by=["user_id", "item_length"]) or rows,
        lambda rows: rows.drop("item_id_list") or rows,
        lambda rows: rows.update(Interaction({"item_id_list": torch.ones(40, 2)})) or rows,
        lambda rows: rows.add_prefix("neg_") or rows,
    ],
)
def test_what_recbole_does_with_samples(samples, change):
    same(change(samples[:]), change(samples.padded()))


def test_a_shuffle_keeps_rows_together(samples):
    before = {tuple(row[:4].tolist()) for row in rows_of(samples)}
    torch.manual_seed(0)
    samples.shuffle()
    assert {tuple(row[:4].tolist()) for row in rows_of(samples)} == before


def rows_of(samples):
    return torch.cat([samples["user_id"].unsqueeze(1), samples["item_id_list"]], dim=1)
