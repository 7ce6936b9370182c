"""The warning about evaluation batches that do not fit."""

import logging

import psutil
import pytest
import torch
from conftest import experiment

from recbole_sam.models.scores import score_memory


def test_a_batch_that_fits_is_no_matter():
    assert score_memory.too_large(users=10, n_items=1000, free=80_000) is None


def test_the_batch_that_fits_is_named():
    sentence = score_memory.too_large(users=4096, n_items=1_000_001, free=20 * 10**9)
    assert "32.8 GB" in sentence and "20.0 GB are free" in sentence
    assert "set eval_batch_size to 2,499 or less" in sentence and "\n" not in sentence
    assert score_memory.too_large(users=2499, n_items=1_000_001, free=20 * 10**9) is None
    assert score_memory.too_large(users=2500, n_items=1_000_001, free=20 * 10**9) is not None


def test_votes_take_memory_of_their_own():
    free = 1_000 * (4_000 * 9 + 50 * 100 * score_memory.BYTES_PER_VOTE)
    assert score_memory.too_large(1_000, 4_000, free, votes=50 * 100) is None
    assert "eval_batch_size to 1,000 or less" in score_memory.too_large(1_001, 4_000, free, votes=50 * 100)
    assert score_memory.too_large(1_001, 4_000, free) is None


def test_the_votes_of_a_run_count(shop, monkeypatch, caplog):
    monkeypatch.setattr(score_memory, "COPIES_OF_PARAMETERS", 0)
    monkeypatch.setattr(score_memory, "free_memory", lambda device: 41 * 26 * score_memory.BYTES_PER_SCORE)
    assert warnings_of(caplog) == []
    (sentence,) = warnings_of(caplog, item_knn=True)
    assert "batch of 41 users" in sentence


def test_one_user_is_the_least():
    assert "eval_batch_size to 1 or less" in score_memory.too_large(users=5, n_items=1000, free=0)


def test_free_memory_of_this_machine():
    assert 0 < score_memory.free_memory(torch.device("cpu")) <= psutil.virtual_memory().total


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_memory_that_torch_keeps_is_free():
    device = torch.device("cuda", 0)
    before = score_memory.free_memory(device)
    held = torch.empty(10**9, dtype=torch.uint8, device=device)
    assert before - score_memory.free_memory(device) >= 10**9
    del held
    assert before - score_memory.free_memory(device) < 10**8


@pytest.fixture
def no_memory(monkeypatch):
    monkeypatch.setattr(score_memory, "free_memory", lambda device: 0)


def warnings_of(caplog, **settings):
    with caplog.at_level(logging.WARNING):
        experiment(**settings)
    return [record.getMessage() for record in caplog.records if "eval_batch_size" in record.getMessage()]


def test_a_run_that_ranks_all_items_is_warned(shop, no_memory, caplog):
    (sentence,) = warnings_of(caplog)
    assert "batch of 41 users" in sentence  # of 40 users (and the padding) one sample each, not 4096


def test_the_batch_counts_where_users_have_several_samples(shop, no_memory, caplog):
    splits = {"split": {"RS": [0.8, 0.1, 0.1]}, "order": "TO", "group_by": "user", "mode": "full"}
    (sentence,) = warnings_of(caplog, eval_args=splits)
    assert "batch of 4,096 users" in sentence


def test_sampled_candidates_need_no_warning(shop, no_memory, caplog):
    sampled = {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "uni10"}
    assert warnings_of(caplog, eval_args=sampled) == []


def test_a_small_run_is_not_warned(shop, caplog):
    assert warnings_of(caplog) == []
