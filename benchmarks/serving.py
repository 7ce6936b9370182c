"""How fast does a bundle answer, beside RecBole's ``full_sort_topk``?

    python -m benchmarks.serving --dataset=amazon-industrial-scientific        # prepared in dataset/

Weights are random: they change no time. Both take turns in one process; numbers are medians of CPU seconds.
Prints the table of ``benchmarks/serving.md``.
"""

import argparse
import importlib.util
import math
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

MODELS = ("SASRec", "SAM")
K, BATCH = 20, 4096
LISTS = 32
TURN = 50
"""Calls for one user until the next one's turn. The first turn does not count: a bundle records its model."""


def arguments(words):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="amazon-industrial-scientific")
    parser.add_argument("--data_path", default="dataset")
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=200, help="single users")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--items", default="10000,100000,1000000", help="catalogues of the growth rows")
    return parser.parse_args(words)


def made(model, args, folder):
    """A bundle of a model with random weights, and RecBole's model and test data.

    Args:
        model (str): its name.
        args (argparse.Namespace): of the command line.
        folder (Path): to write to.

    Returns:
        tuple: the bundle's folder, model, test data.
    """
    import torch
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, init_seed

    from recbole_sam.interests import stage1
    from recbole_sam.serving.making.write import write_bundle

    settings = {"data_path": str(Path(args.data_path).resolve()), "use_gpu": False, "state": "WARNING",
                "show_progress": False}  # fmt: skip
    config = Config(model, args.dataset, config_dict=settings)
    stage1.build_missing(config)
    init_seed(config["seed"], True)
    train, _, test = data_preparation(config, create_dataset(config))
    trained = get_model(model)(config, train.dataset).eval()
    file = folder / f"{model}.pth"
    state = {"config": config, "epoch": 0, "state_dict": trained.state_dict(), "other_parameter": None}
    torch.save(state, file, pickle_protocol=4)
    write_bundle(file, folder / model, with_users=True)
    return folder / model, trained, test


def everybody(bundle, model, test, setup):
    """CPU seconds of the top 20 of all users: RecBole's and the bundle's."""
    import numpy as np
    from recbole.utils.case_study import full_sort_topk

    from benchmarks.speed.turns import take_turns

    field = test.dataset.uid_field
    users = test.dataset.inter_feat[field].numpy()
    tokens = test.dataset.id2token(field, users).tolist()
    items = test.dataset.field2id_token[test.dataset.iid_field]
    kept = {}

    def recbole():
        parts = [full_sort_topk(users[i : i + BATCH], model, test, K)[1] for i in range(0, len(users), BATCH)]
        kept["recbole"] = items[np.concatenate(parts).ravel()]

    def ours():
        frame = bundle.recommend(users=tokens, k=K, history="valid", exclude_seen=False)
        kept["ours"] = frame["item"].to_numpy()

    times = take_turns({"recbole": recbole, "ours": ours}, setup)
    same = float((kept["recbole"] == kept["ours"]).mean())
    return times, same, len(users)


def singly(bundle, model, test, calls):
    """Median CPU milliseconds of a call for one user: RecBole's, the bundle's table and its plain rows."""
    from recbole.utils.case_study import full_sort_topk

    field = test.dataset.uid_field
    users = test.dataset.inter_feat[field].numpy()[:: max(1, len(test.dataset) // calls)][:calls]
    tokens = test.dataset.id2token(field, users).tolist()
    one = {"k": K, "history": "valid", "exclude_seen": False}
    ways = {
        "recbole": lambda user, token: full_sort_topk([user], model, test, K),
        "table": lambda user, token: bundle.recommend(users=[token], **one),
        "rows": lambda user, token: bundle.recommend(users=[token], **one, as_frame=False),
    }
    pairs = list(zip(users, tokens, strict=True))
    times = {name: [] for name in ways}
    for first in range(0, len(pairs), TURN):
        for name, call in ways.items():
            for pair in pairs[first : first + TURN]:
                start = time.process_time()
                call(*pair)
                times[name].append(time.process_time() - start)
    return {name: 1000 * statistics.median(values[TURN:]) for name, values in times.items()}


def growth(n_items, setup, users=256, width=64):
    """CPU milliseconds a user of the item product alone, of product and top 20 together, and of an index."""
    import torch

    from benchmarks.speed.turns import take_turns
    from recbole_sam.serving.fast.faiss_index import built, faiss_library
    from recbole_sam.serving.scores import top

    generator = torch.Generator().manual_seed(0)
    items = torch.randn(n_items, width, generator=generator)
    people = torch.randn(users, width, generator=generator)

    def product():
        for some in people.split(64):
            some @ items.T

    def both():
        for some in people.split(64):
            top(some @ items.T, K)

    ways = {"product": product, "both": both}
    if importlib.util.find_spec("faiss"):
        faiss = faiss_library()
        faiss.omp_set_num_threads(torch.get_num_threads())
        index = built(faiss, items.numpy(), LISTS)
        ways["index"] = lambda: index.search(people.numpy(), K)
    times = take_turns(ways, setup)
    return {name: 1000 * seconds / users for name, seconds in times.items()}


def main(words=None):
    """Measures and prints a Markdown table.

    Args:
        words (list of str, optional): of the command line; default: this process's.
    """
    args = arguments(sys.argv[1:] if words is None else words)
    sys.argv = sys.argv[:1]  # RecBole reads them, too
    import torch

    import recbole_sam

    torch.set_num_threads(args.threads)
    setup = SimpleNamespace(device="cpu", clock="CPU", rounds=args.rounds)
    print(f"{args.dataset}, top {K}, {args.threads} thread(s), {args.rounds} rounds; {os.cpu_count()} cores "
          f"({platform.machine()}), load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}, "
          f"torch {torch.__version__}\n")  # fmt: skip
    print("| what | model | RecBole | bundle | ratio |\n|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in filter(None, args.models.split(",")):
            place, model, test = made(name, args, Path(folder))
            start = time.process_time()
            bundle = recbole_sam.load(place)
            bundle.recommend(users=[bundle.people.block(0)[0][0]])
            loaded = time.process_time() - start
            times, same, users = everybody(bundle, model, test, setup)
            ratio = times["recbole"] / times["ours"]
            what = f"all {users:,} users, CPU s ({same:.2%} of ranks equal)"
            print(f"| {what} | {name} | {times['recbole']:.2f} | {times['ours']:.2f} | {ratio:.1f} x |")
            times = singly(bundle, model, test, args.calls + TURN)
            for way in ("rows", "table"):
                ratio = times["recbole"] / times[way]
                print(f"| one user a call, {way}, CPU ms | {name} | {times['recbole']:.2f} "
                      f"| {times[way]:.2f} | {ratio:.1f} x |")  # fmt: skip
            print(f"| load and first answer, CPU s | {name} | | {loaded:.2f} | |", flush=True)
    print(f"\n| items | product, ms a user | product and top 20 | ratio | {LISTS} lists of an index |\n"
          "|---|---|---|---|---|")  # fmt: skip
    for n_items in map(int, args.items.split(",")):
        times = growth(n_items, setup)
        print(f"| {n_items:,} | {times['product']:.3f} | {times['both']:.3f} "
              f"| {times['both'] / times['product']:.2f} x | {times.get('index', math.nan):.3f} |",
              flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
