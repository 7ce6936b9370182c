"""Samples without padded histories answer as RecBole's padded ones do."""

import copy
import pickle

import numpy as np
import pytest
import torch
from conftest import make_config
from recbole.data.interaction import Interaction, cat_interactions

from recbole_sam.data.dataset import SAMDataset
from recbole_sam.data.samples import Samples

ROWS = [
    slice(3, 9), slice(None), [2, 0, 2], np.array([5, 1]), torch.tensor([4]), torch.arange(40) % 3 == 0,
    np.arange(40) % 2 == 0, [], 7,
]  # fmt: skip


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
