"""Distributed training: what several processes make of SAM is what one process makes of it."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import ROOT, experiment, random_sequences, write_dataset
from recbole.quick_start import load_data_and_model
from recbole.utils import get_trainer

from recbole_sam import run
from recbole_sam.compat import samplers
from recbole_sam.compat.samplers import RankBlock, RankShares
from recbole_sam.config import configuration

SCRIPT = ROOT / "run_recbole_sam.py"
METRICS = ["Recall", "NDCG", "ItemCoverage", "AveragePopularity", "ShannonEntropy", "GiniIndex",
           "TailPercentage"]  # fmt: skip
SETTINGS = {
    "model": "SAM", "dataset": "odd", "hidden_dropout_prob": 0, "attn_dropout_prob": 0, "hidden_size": 16,
    "inner_size": 16, "text_encoder_dim": 8, "MAX_ITEM_LIST_LENGTH": 8, "learning_rate": 0.01,
    "eval_batch_size": 8, "metrics": METRICS, "topk": [3, 5], "valid_metric": "NDCG@5", "use_gpu": False,
    "show_progress": False, "loss_decimal_place": 8, "metric_decimal_place": 8,
}  # fmt: skip

WORKER = """
import json, sys
from recbole_sam.registry import run_recboles
settings = json.loads(sys.argv.pop())
run_recboles(0, settings["model"], settings["dataset"], None, {"config_dict": settings})
"""


def script(settings):
    """The words that start a run."""
    return [str(SCRIPT), *(f"--{key}={value}" for key, value in settings.items())]


def worker(settings):
    """The words that start what a run's first process on a machine is."""
    return ["-c", WORKER, json.dumps(settings)]


@pytest.fixture
def start():
    """Starts a run in a folder, which goes on beside the test and not beyond it."""
    started = []

    def begin(folder, words):
        started.append(
            subprocess.Popen(
                [sys.executable, *words], cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"},
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )
        )  # fmt: skip
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.wait()


def printed(process):
    """The losses of the epochs, the best validation and the test metrics, as RecBole prints them."""
    text, _ = process.communicate(timeout=120)
    assert process.returncode == 0, text[-3000:]
    losses = [float(loss) for loss in re.findall(r"train loss: ([\d.]+)", text)]
    best, test = (
        dict(ast.literal_eval(re.search(rf"{name} ?: OrderedDict\((.*)\)", text)[1]))
        for name in ("best valid", "test result")
    )
    return losses, best, test


def trained(config, train, valid, test, model):
    """The same of one process, which is this one, and the trainer."""
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    _, best = trainer.fit(train, valid)
    return (list(trainer.train_loss_dict.values()), best, trainer.evaluate(test)), trainer


def assert_same(some, others):
    """The same epochs, losses but for rounding, and the same metrics to the last digit."""
    torch.testing.assert_close(some[0], others[0], rtol=1e-5, atol=0)
    assert some[1:] == others[1:]


def test_two_processes_train_and_evaluate_as_one(tmp_path, start, free_port):
    write_dataset(tmp_path / "dataset" / "odd", random_sequences(users=41, longest=9, seed=2))
    settings = {**SETTINGS, "epochs": 30, "stopping_step": 2, "train_batch_size": 34}
    parts = experiment(**settings)
    _, train, _, test, model = parts
    assert len(test._dataset) % 2 == 1, "one rank tests a user more"
    assert len(train._dataset) % 34 == 3, "the ranks' shares of the last batch differ"

    ranks = {"checkpoint_dir": "of two", "nproc": 2, "port": free_port}
    started = start(tmp_path, script({**settings, **ranks}))
    one, trainer = trained(*parts)
    two = printed(started)
    assert_same(two, one)
    assert len(one[0]) < 30, "both stopped early"

    # the model of two ranks, tested by one process
    (file,) = Path("of two").glob("*.pth")
    assert trainer.evaluate(test, model_file=file) == two[2]

    # RecBole's own way to load it, in one process (RecBole #2063)
    _, loaded, _, _, _, its_test = load_data_and_model(str(file))
    torch.testing.assert_close(loaded.state_dict(), model.state_dict(), rtol=0, atol=0)
    users = torch.cat([batch[0]["user_id"] for batch in its_test])
    assert users.tolist() == test._dataset.inter_feat["user_id"].tolist()


@pytest.mark.slow
def test_two_machines_with_fewer_users_than_ranks(tmp_path, start, free_port):
    sequences = random_sequences(users=9, items=10, shortest=3, longest=3)
    sequences["long"] = [f"i{item}" for item in range(7)]
    write_dataset(tmp_path / "dataset" / "odd", sequences)
    settings = {**SETTINGS, "epochs": 3, "train_batch_size": 4}
    parts = experiment(**settings)
    _, train, valid, _, _ = parts
    assert len(valid._dataset) == 1, "a rank has nobody to validate"
    assert len(train._dataset) % 4 == 1, "a rank has no share of the last batch"

    ranks = {"nproc": 1, "world_size": 2, "ip": "127.0.0.1", "port": free_port}
    runs = []
    for offset, name in enumerate(("first", "second")):
        machine = tmp_path / name
        shutil.copytree(tmp_path / "dataset", machine / "dataset")
        runs.append(start(machine, worker({**settings, **ranks, "offset": offset})))
    one, _ = trained(*parts)
    first, second = (printed(started) for started in runs)
    assert_same(first, one)
    assert second == first


def test_words_say_which_machine_this_is():
    words = ["--nproc=8", "--world_size=16", "--group_offset=8", "--ip=10.0.0.1", "--port=5679"]
    expected = {"nproc": 8, "world_size": 16, "group_offset": 8, "ip": "10.0.0.1", "port": "5679"}
    assert run._processes(configuration.parse_words(words)) == expected


@pytest.fixture
def as_rank(monkeypatch):
    def become(rank, ranks):
        monkeypatch.setattr(samplers, "rank_and_ranks", lambda: (rank, ranks))

    return become


@pytest.mark.parametrize("ranks", [1, 2, 3, 5])
@pytest.mark.parametrize("size", range(8))
def test_blocks_are_all_users_in_order(as_rank, size, ranks):
    users = []
    for rank in range(ranks):
        as_rank(rank, ranks)
        block = RankBlock(None, range(size), shuffle=False, drop_last=False)
        users += list(block)
        assert len(block) == max(len(list(block)), min(size, 1))
    assert users == list(range(size))


class Loader:
    """What a sampler of shares reads of a loader."""

    batch_size = 3

    def __init__(self):
        self.generator = torch.Generator().manual_seed(1)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("size", [1, 2, 5, 6, 7, 9, 12, 13])
def test_weighted_shares_are_the_batches_of_one_process(as_rank, size, ranks, shuffle):
    order = torch.utils.data.SequentialSampler(range(size))
    if shuffle:
        order = torch.utils.data.RandomSampler(range(size), generator=Loader().generator)
    expected = torch.tensor(list(order), dtype=torch.float64).split(3 * ranks)

    means, seen = 0, []
    for rank in range(ranks):
        as_rank(rank, ranks)
        sampler = RankShares(Loader(), range(size), shuffle=shuffle, drop_last=False)
        own = list(sampler)
        assert len(own) == len(sampler)
        weights = list(sampler.weights())
        shares = torch.tensor(own, dtype=torch.float64).split(3)
        assert len(shares) == len(weights) == len(expected), "every rank takes part in every step"
        means += torch.stack([share.mean() * weight for share, weight in zip(shares, weights, strict=True)])
        seen += [sample for share, weight in zip(shares, weights, strict=True) if weight for sample in share]
    assert sorted(sample.item() for sample in seen) == list(range(size))
    torch.testing.assert_close(means / ranks, torch.stack([batch.mean() for batch in expected]))
