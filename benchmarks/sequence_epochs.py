"""How much faster is an epoch by whole sequences?

    python -m benchmarks.sequence_epochs --dataset=amazon-beauty-2014 \\
        --models=SASRecText,SAM:history_filter=False:newest_item=True:loss_type=SSM

Training steps with ``train_targets`` ``all`` and ``sequence`` take turns in one process on one thread, with
about as many targets. An epoch is the median step times their number, in CPU seconds.
"""

import argparse
import sys
from itertools import cycle

import torch

from benchmarks.speed.setup import Setup
from benchmarks.speed.turns import take_turns
from recbole_sam.cli.main import guarded
from recbole_sam.config.configuration import make_config
from recbole_sam.evaluation import entries
from recbole_sam.interests.stage1 import build_missing

KINDS = ("all", "sequence")
EACH = "{:70} {:>8} {:>9} {:>6}"


def main(words=None):
    """Measures each model and prints a row of it.

    Args:
        words (list of str, optional): of the command line; default: this process's.

    Returns:
        int: 0.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--data_path", default="dataset")
    parser.add_argument("--models", required=True, help="as for compare")
    parser.add_argument("--targets", type=int, default=2048, help="of a training step")
    parser.add_argument("--rounds", type=int, default=40, help="steps of each kind")
    args = parser.parse_args(words)
    torch.set_num_threads(1)
    print(EACH.format("model", *KINDS, "ratio"))
    for entry in entries.parse(args.models):
        taken = epochs(entry, args)
        seconds = [f"{taken[kind]:.3g} s" for kind in KINDS]
        print(EACH.format(entry.label, *seconds, f"{taken['all'] / taken['sequence']:.3g}"), flush=True)
    return 0


def epochs(entry, args):
    """The CPU seconds of an epoch by each kind of targets."""
    every = batches(entry, args, "all", args.targets)
    windows = len(batches(entry, args, "sequence", args.targets).dataset)
    a_step = max(1, round(args.targets * windows / len(every.dataset)))
    loaders = {"all": every, "sequence": batches(entry, args, "sequence", a_step)}
    times = take_turns(
        {kind: step(loader) for kind, loader in loaders.items()}, Setup(None, rounds=args.rounds)
    )
    return {kind: seconds * len(loaders[kind]) for kind, seconds in times.items()}


def batches(entry, args, kind, batch_size):
    """RecBole's loader of training batches for one kind of targets."""
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import init_seed

    given = {
        "model": entry.model,
        "dataset": args.dataset,
        "data_path": args.data_path,
        "train_targets": kind,
        "train_batch_size": str(batch_size),
        "use_gpu": "False",
        "show_progress": "False",
    }
    config = make_config({**given, **entry.given})
    build_missing(config)
    init_seed(config["seed"], True)
    return data_preparation(config, create_dataset(config))[0]


def step(loader):
    """A function that trains a new model on the next batch by RecBole's own step."""
    from recbole.trainer import Trainer
    from recbole.utils import get_model

    config = loader.dataset.config
    trainer = Trainer(config, get_model(config["model"])(config, loader.dataset))
    upcoming = cycle(loader)
    return lambda: trainer._train_epoch([next(upcoming)], 0)


if __name__ == "__main__":
    sys.exit(guarded(main))
