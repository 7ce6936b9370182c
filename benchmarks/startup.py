"""How long commands take until they do what they were called for.

    python -m benchmarks.startup --data_path=DATASETS --dataset=NAME

Measures, in processes of their own and in turns, the CPU seconds of some commands, and those from the start
of a training run to its first batch: SAM by this plugin, with interests and item texts that are there (they
are made before, if needed), beside RecBole's own SASRec, by RecBole alone, on the same data. RecBole is only
adjusted to this machine (`recbole_sam.compat`). Prints a Markdown table of medians.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import types
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = {"--help": 0.3, "prepare --help": 0.5, "doctor": 2.0}
"""Words after ``python -m recbole_sam``, and the target in CPU seconds."""
TO_FIRST_BATCH = 1.3
"""The target for SAM, in RecBole's SASRec."""
OURS, THEIRS = "SAM", "SASRec by RecBole"
INTERACTIONS = "user_id,item_id,timestamp\n" + "".join(
    f"u{user},i{(user + step) % 9},{step}\n" for user in range(9) for step in range(6)
)


def cpu_seconds(words, **how):
    """The CPU seconds that a process takes, its children included.

    Args:
        words (list of str): after the name of Python.
        **how: for ``subprocess.run``.

    Returns:
        tuple: seconds (float), and what it printed (str).
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *words], env=environment, capture_output=True, text=True, **how
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} failed:\n{done.stderr[-2000:]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def first_batch(who, given, **how):
    """The CPU seconds of a training run until it has its first batch.

    Args:
        who (str): :data:`OURS` or :data:`THEIRS`.
        given (dict): settings, name to text.
        **how: as in :func:`cpu_seconds`.
    """
    words = ["-m", "benchmarks.startup", f"--until-first-batch={who}", json.dumps(given)]
    return cpu_seconds(words, **how)[0]


def until_first_batch(who, given):
    """Runs in this process, and ends it when the first batch is there."""
    if who == THEIRS:
        # the package without its __init__, which would register our models and checks
        package = sys.modules["recbole_sam"] = types.ModuleType("recbole_sam")
        package.__path__ = [str(ROOT / "recbole_sam")]
        from recbole_sam import compat

        compat.apply()
    else:
        import recbole_sam  # noqa: F401  registers when RecBole is imported
    from recbole.trainer import Trainer

    def stop(trainer, train_data, *args, **kwargs):
        next(iter(train_data))
        os._exit(0)

    Trainer._train_epoch = stop
    if who == THEIRS:
        from recbole.quick_start import run_recbole

        of_data = {"load_col": {"inter": ["user_id", "item_id", "timestamp"]}, "MAX_ITEM_LIST_LENGTH": 20}
        paths = {name: given[name] for name in ("data_path", "checkpoint_dir")}
        settings = {**of_data, **paths, "train_neg_sample_args": None, "state": "WARNING"}
        run_recbole(model="SASRec", dataset=given["dataset"], config_dict=settings)
    else:
        from recbole_sam.run import main

        main([f"--{name}={value}" for name, value in {"model": "SAM", "state": "WARNING", **given}.items()])
    raise SystemExit("the run ended without a batch")


def measure(given, folder, rounds):
    """All of it, in turns.

    Args:
        given (dict): settings of the runs.
        folder (Path): where ``prepare`` and the runs may write.
        rounds (int): of which the medians are taken.

    Returns:
        dict: what was called to its median CPU seconds.
    """
    (folder / "clicks.csv").write_text(INTERACTIONS)
    prepare = "prepare --dataset=tiny --interactions=clicks.csv --k-core=none --overwrite --data_path=made"
    names = [*COMMANDS, prepare]
    first_batch(OURS, given, cwd=folder)  # makes what is missing
    took = {name: [] for name in (*names, OURS, THEIRS)}
    for _ in range(rounds):
        for name in names:
            took[name].append(cpu_seconds(["-m", "recbole_sam", *name.split()], cwd=folder)[0])
        for who in (OURS, THEIRS):
            took[who].append(first_batch(who, given, cwd=folder))
    medians = {name: statistics.median(seconds) for name, seconds in took.items()}
    medians["prepare, 54 rows"] = medians.pop(prepare)
    return medians


def main():
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup")
    parser.add_argument("--data_path", default="dataset")
    parser.add_argument("--dataset", default="amazon-industrial-scientific")
    parser.add_argument("--interest_store", help="default: beside the data")
    parser.add_argument("--folder", required=True, help="for checkpoints and logs")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    folder = Path(args.folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    given = {"dataset": args.dataset, "data_path": str(Path(args.data_path).resolve())}
    given["checkpoint_dir"] = str(folder / "saved")
    if args.interest_store:
        given["interest_store"] = str(Path(args.interest_store).resolve())
    medians = measure(given, folder, args.rounds)
    print(f"\n{args.dataset}, medians of {args.rounds}; {os.cpu_count()} cores ({platform.machine()}), "
          f"Python {platform.python_version()}, {date.today()}\n")  # fmt: skip
    print("| | CPU s | target | met |\n|---|---|---|---|")
    theirs = medians[THEIRS]
    for name, seconds in medians.items():
        if name == OURS:
            name, target = f"{OURS}, to the first batch", TO_FIRST_BATCH * theirs
            shown = f"{TO_FIRST_BATCH} x SASRec's"
            value = f"{seconds:.2f} ({seconds / theirs:.2f} x)"
        else:
            target, shown, value = COMMANDS.get(name), str(COMMANDS.get(name, "-")), f"{seconds:.2f}"
            name = f"{name}, to the first batch" if name == THEIRS else f"`{name}`"
        met = "-" if target is None else "yes" if seconds <= target else "NO"
        print(f"| {name} | {value} | {shown} | {met} |")
    return 0


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1].startswith("--until-first-batch="):
        until_first_batch(sys.argv[1].partition("=")[2], json.loads(sys.argv[2]))
    sys.exit(main())
