"""From published files to recommendations for everybody, at any size.

    python -m benchmarks.endtoend --users=2000,10000 --items=1000,5000 --folder=FOLDER

For each size: makes seeded data with titles, then runs `prepare`, `interests`, one epoch of SAM on whole
histories with sampled softmax, evaluation on a sample of users, `bundle`, and `recommend --all`, every stage
in a process of its own. Prints wall and CPU seconds, peak memory and bytes on disk of each stage, and how its
CPU time and memory grew from one size to the next: at an exponent of 1, ten times the users take ten times
as much.
"""

import argparse
import json
import math
import os
import platform
import shutil
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
NAME, SEED = "made", 2026
AT_ONCE = 200_000
"""Users whose interactions are made together."""
WORDS = 6000
TITLE_WORDS = 7
OF_TRAINING = {
    "loss_type": "SSM",
    "train_neg_sample_args": "None",
    "train_targets": "sequence",
    "history_filter": "False",
    "newest_item": "True",
    "epochs": "1",
    "eval_step": "0",
    "eval_batch_size": "256",
    "show_progress": "False",
}


class Took(NamedTuple):
    """What a stage took."""

    wall: float
    cpu: float
    peak: float
    """MB that the process held at most, its children's not added."""
    disk: float
    """MB that it left."""


def make(folder, users, items):
    """Writes ``clicks.csv`` and ``items.csv``: users with a few subjects each, items of one subject.

    A user has 5 interactions and, on average, 4 more; the items of a subject are taken by popularity. A title
    has words of its subject and words of its own.

    Args:
        folder (Path): exists.
        users (int): how many.
        items (int): how many.
    """
    rng = np.random.default_rng(SEED)
    subjects = max(items // 200, 4)
    words = np.array([f"{a}{b}{c}" for a in "bdfgklmnprst" for b in "aeiou" for c in _ends()])[:WORDS]
    of_subject = rng.integers(0, len(words), (subjects, 12))
    with open(folder / "items.csv", "w", encoding="utf-8") as file:
        file.write("item_id,title\n")
        for item in range(items):
            own = rng.integers(0, len(words), TITLE_WORDS - 4)
            common = rng.choice(of_subject[item % subjects], 4, replace=False)
            file.write(f"i{item},{' '.join(words[np.r_[common, own]])} {item}\n")
    with open(folder / "clicks.csv", "w", encoding="utf-8") as file:
        file.write("user_id,item_id,timestamp\n")
        for first in range(0, users, AT_ONCE):
            some = min(AT_ONCE, users - first)
            lengths = 5 + rng.geometric(0.2, some) - 1
            user = np.repeat(np.arange(some), lengths)
            liked = rng.integers(0, subjects, (some, 3))
            subject = liked[user, rng.integers(0, 3, len(user))]
            place = (rng.random(len(user)) ** 2 * (items // subjects)).astype(np.int64)
            moment = 1_500_000_000 + np.arange(len(user)) % 10_000 * 3600
            item = place * subjects + subject
            rows = zip((user + first).tolist(), item.tolist(), moment.tolist(), strict=True)
            file.writelines(f"u{u},i{i},{t}\n" for u, i, t in rows)


def _ends():
    return [a + b for a in "bdgklmnprstvz" for b in "aeiou"] + list("aeioulmnrst")


def commands(folder, evaluated):
    """What is run after the data is made, stage to the words after the name of Python.

    Args:
        folder (Path): where everything is.
        evaluated (int): users of the evaluation.
    """
    data = [f"--dataset={NAME}", f"--data_path={folder / 'dataset'}"]
    run = [*data, f"--checkpoint_dir={folder / 'saved'}", "--use_gpu=False", "--state=WARNING"]
    bundle = folder / "bundle"
    plugin = ["-m", "recbole_sam"]
    files = [f"--interactions={folder / 'clicks.csv'}", f"--items={folder / 'items.csv'}"]
    settings = [f"--{name}={value}" for name, value in OF_TRAINING.items()]
    return {
        "prepare": [*plugin, "prepare", *data, *files],
        "interests, item texts": [*plugin, "interests", *run],
        "train, evaluate": [
            "-m",
            "benchmarks.endtoend",
            "--train",
            *run,
            *settings,
            f"--eval_users={evaluated}",
        ],
        "bundle": [*plugin, "bundle", "CHECKPOINT", f"--output={bundle}", "--with-users"],
        "recommend --all": [*plugin, "recommend", str(bundle), "--all", f"--output={folder / 'all.parquet'}"],
    }


def train(words):
    """Trains as ``run_recbole_sam.py`` does, and prints what each part of it took, as JSON."""
    import resource

    from recbole.trainer import Trainer

    from recbole_sam.run import main as run

    marks, start = [], time.perf_counter()

    def marked(name, function):
        def call(*args, **kwargs):
            mark(f"until {name}")
            result = function(*args, **kwargs)
            mark(name)
            return result

        return call

    def mark(name):
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
        marks.append((name, time.perf_counter() - start, time.process_time(), memory))

    Trainer._train_epoch = marked("one epoch", Trainer._train_epoch)
    Trainer.evaluate = marked("evaluation", Trainer.evaluate)
    result = run(words)
    print(json.dumps({"marks": marks, "test": result["test_result"]}))


def took(words, folder):
    """Runs a process and says what it took.

    Args:
        words (list of str): after the name of Python.
        folder (Path): whose growth is what it left; where it runs.

    Returns:
        tuple: Took, and what it printed (str).
    """
    before, start = size(folder), time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with open(folder / "log.txt", "w+", encoding="utf-8") as log:
        process = subprocess.Popen(
            [sys.executable, *words], cwd=folder, env=environment, stdout=log, stderr=log
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        log.seek(0)
        said = log.read()
    if status:
        raise SystemExit(f"{' '.join(words)} failed:\n{said[-3000:]}")
    left = size(folder) - before
    return Took(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000, left), said


def size(folder):
    """MB of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def one_size(folder, users, items, evaluated):
    """All stages at one size.

    Returns:
        dict: stage to Took, in order.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    done = {"make the data": took(["-m", "benchmarks.endtoend", "--make", f"{users}", f"{items}"], folder)[0]}
    for stage, words in commands(folder, evaluated).items():
        checkpoint = next(iter(sorted((folder / "saved").glob("SAM-*.pth"))), None)
        whole, said = took([str(checkpoint) if word == "CHECKPOINT" else word for word in words], folder)
        if stage == "train, evaluate":
            done |= parts(whole, json.loads(said.splitlines()[-1])["marks"])
        else:
            done[stage] = whole
        print(f"{users:,} users: {stage}: {whole}", file=sys.stderr, flush=True)
    return done


def parts(whole, marks):
    """The training process in its parts: what comes before a part ends where the part begins."""
    named = {"until one epoch": "load, build SAM", "one epoch": "one epoch", "evaluation": "evaluation"}
    found, before = {}, (0.0, 0.0)
    for name, wall, cpu, memory in marks:
        if name in named:
            found[named[name]] = Took(wall - before[0], cpu - before[1], memory, 0.0)
        before = wall, cpu
    last = next(reversed(found))
    found[last] = found[last]._replace(disk=whole.disk, peak=whole.peak)
    return found


def table(sizes, found):
    """Markdown lines: each stage at each size, and the exponents of growth."""
    lines = ["| stage | users | wall s | CPU s | peak MB | MB left | CPU exponent | memory exponent |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for stage in found[0]:
        for number, ((users, _), stages) in enumerate(zip(sizes, found, strict=True)):
            now, grown = stages[stage], ["-", "-"]
            if number:
                then = found[number - 1][stage]
                times = math.log(users / sizes[number - 1][0])
                grown = [
                    f"{math.log(b / a) / times:.2f}" for a, b in ((then.cpu, now.cpu), (then.peak, now.peak))
                ]
            cells = [f"{now.wall:,.1f}", f"{now.cpu:,.1f}", f"{now.peak:,.0f}", f"{now.disk:,.1f}", *grown]
            lines.append(f"| {stage} | {users:,} | {' | '.join(cells)} |")
    return lines


def counts(text):
    """Numbers with commas between them, as a list of int."""
    return [int(number) for number in text.split(",")]


def main():
    """Runs all sizes and prints the table."""
    if sys.argv[1:2] == ["--train"]:
        return train(sys.argv[2:])
    if sys.argv[1:2] == ["--make"]:
        return make(Path.cwd(), int(sys.argv[2]), int(sys.argv[3]))
    parser = argparse.ArgumentParser(prog="python -m benchmarks.endtoend")
    parser.add_argument("--users", type=counts, default=[2000], help="one number, or several for exponents")
    parser.add_argument("--items", type=counts, help="as many (default: half of the users)")
    parser.add_argument("--eval_users", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, required=True, help="where everything is written")
    args = parser.parse_args()
    items = args.items or [users // 2 for users in args.users]
    sizes = list(zip(args.users, items, strict=True))
    found = []
    for users, number in sizes:
        found.append(one_size(args.folder.resolve() / f"{users}", users, number, args.eval_users))
    print(
        f"\nSeed {SEED}; {os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, "
        f"{date.today()}; items: {', '.join(f'{number:,}' for number in items)}; evaluated users: at most "
        f"{args.eval_users:,}\n"
    )
    print("\n".join(table(sizes, found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
