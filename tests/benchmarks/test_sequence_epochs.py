"""An epoch by whole sequences has the targets of an epoch by prefixes, and both are timed."""

import re
from argparse import Namespace

import pytest
import torch

from benchmarks import sequence_epochs
from recbole_sam.data.windows import targets_field
from recbole_sam.evaluation import entries

MODEL = "SASRecText:text_encoder_dim=8"


@pytest.fixture(autouse=True)
def in_shop(shop, monkeypatch):
    monkeypatch.chdir(shop.parent.parent)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_both_kinds_learn_from_the_same_targets():
    args = Namespace(dataset="shop", data_path="dataset")
    (entry,) = entries.parse(MODEL)
    single, whole = (sequence_epochs.batches(entry, args, kind, 16) for kind in sequence_epochs.KINDS)
    counted = sum(int((batch[targets_field("item_id")] > 0).sum()) for batch in whole)
    assert counted == len(single.dataset) > len(whole.dataset)


def test_a_row_gives_both_times_and_their_ratio(capsys):
    words = ["--dataset=shop", "--rounds=2", "--targets=64", f"--models={MODEL}"]
    assert sequence_epochs.main(words) == 0
    row = capsys.readouterr().out.splitlines()[-1]
    every, sequence, ratio = map(float, re.match(rf"{MODEL} +(\S+) s +(\S+) s +(\S+)$", row).groups())
    assert sequence > 0 and ratio == pytest.approx(every / sequence, rel=0.02)
