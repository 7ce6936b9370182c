"""The main job on real data: several models through ``run_recbole_sam.py``, full ranking and uni100.

    python -m benchmarks.main_job --data=../shared/data/amazon-industrial-scientific

Prepares the dataset from ``interactions.csv`` and ``items.csv`` in a work folder, trains every model twice
(early stopping watches the protocol that is reported), and writes the table to ``benchmarks/main_job.md``.
A model that is done is not run again.
"""

import argparse
import ast
import json
import os
import platform
import re
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
METRICS = ("hit@10", "ndcg@10", "hit@20", "ndcg@20", "mrr@20")
SPLIT = {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user"}
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def main():
    args = arguments()
    work = Path(args.work).resolve()
    name = Path(args.data).name
    prepare(name, Path(args.data).resolve(), work)
    results = []
    for model in args.models.split(","):
        for protocol in ("full", "uni100"):
            results.append(experiment(args, model, protocol, name, work))
            write(args, name, results)
    return 0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder with interactions.csv and items.csv")
    parser.add_argument("--models", default="SAM,SASRec,GRU4Rec,SINE,BPR")
    parser.add_argument("--work", default="benchmarks/work", help="where everything is written")
    parser.add_argument("--seed", default="2020")
    parser.add_argument("--epochs", default="30")
    parser.add_argument("--stopping_step", default="3")
    parser.add_argument("--train_batch_size", default="512")
    return parser.parse_args()


def prepare(name, data, work):
    """Makes the dataset unless it is there."""
    if (work / "dataset" / name).is_dir():
        return
    files = [f"--interactions={data / 'interactions.csv'}", f"--items={data / 'items.csv'}"]
    call(work, "-m", "recbole_sam", "prepare", f"--dataset={name}", *files)


def call(work, *words):
    """Runs Python on words in the work folder, its output shown and returned."""
    work.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, *words], cwd=work, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    lines = []
    for line in process.stdout:
        print(line, end="")
        lines.append(COLOUR.sub("", line))
    if process.wait():
        raise SystemExit(f"{' '.join(words)} ended with code {process.returncode}")
    return lines


def command(args, model, protocol, name):
    """The words of one experiment, after ``python``."""
    settings = {
        "model": model,
        "dataset": name,
        "seed": args.seed,
        "epochs": args.epochs,
        "stopping_step": args.stopping_step,
        "train_batch_size": args.train_batch_size,
        "MAX_ITEM_LIST_LENGTH": 20,
        "metrics": "['Hit','NDCG','MRR']",
        "topk": "[10,20]",
        "valid_metric": "NDCG@10",
        "eval_args": str({**SPLIT, "mode": protocol}).replace(" ", ""),
    }
    return ["run_recbole_sam.py", *(f"--{key}={value}" for key, value in settings.items())]


def experiment(args, model, protocol, name, work):
    """One training and test; read from its result file when it was done before."""
    words = command(args, model, protocol, name)
    file = work / "results" / f"{model}-{protocol}-{args.seed}.json"
    if file.is_file():
        done = json.loads(file.read_text())
        if done["command"] == words:
            return done
    start = time.perf_counter()
    apart = [f"--checkpoint_dir=saved/{model}-{protocol}", "--show_progress=False"]
    lines = call(work, str(ROOT / words[0]), *words[1:], *apart)
    done = {
        "model": model,
        "protocol": protocol,
        "command": words,
        "valid": result(lines, "best valid"),
        "test": result(lines, "test result"),
        "epochs": sum("training [time" in line for line in lines),
        "epoch_seconds": median(re.search(r"training \[time: ([\d.]+)s", line) for line in lines),
        "seconds": round(time.perf_counter() - start),
    }
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(done, indent=1) + "\n")
    return done


def result(lines, label):
    """The metrics of RecBole's ``best valid`` or ``test result`` line."""
    [line] = [line for line in lines if f"{label} " in line or f"{label}:" in line]
    return dict(ast.literal_eval(line[line.index("OrderedDict(") + len("OrderedDict(") :].strip()[:-1]))


def median(matches):
    """The median of the first groups of those matches that are one."""
    values = sorted(float(match[1]) for match in matches if match)
    return values[len(values) // 2]


def write(args, name, results):
    """Writes the table of all results so far."""
    heads = ["model", "ranking", *METRICS, "valid ndcg@10", "epochs", "s/epoch"]
    rows = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for done in results:
        cells = [done["model"], done["protocol"], *(f"{done['test'][metric]:.4f}" for metric in METRICS)]
        cells += [f"{done['valid']['ndcg@10']:.4f}", str(done["epochs"]), f"{done['epoch_seconds']:.1f}"]
        rows.append("| " + " | ".join(cells) + " |")
    shown = " ".join(f'"{word}"' if "'" in word else word for word in results[0]["command"])
    text = f"""# The main job on {name}

    python -m benchmarks.main_job --data=<folder of {name}> --seed={args.seed} --epochs={args.epochs} \\
        --stopping_step={args.stopping_step} --train_batch_size={args.train_batch_size}

which runs, for each model and protocol, for example

    python {shown}

{date.today()}, {os.cpu_count()} cores ({platform.machine()}), no GPU, Python {platform.python_version()}, seed {args.seed}.
Test results of the epoch that was best on validation, in the same protocol. `full` ranks all items,
`uni100` the positive among 100 uniform negatives: the two are not comparable. Every model has its own
default YAML; split, history length, batch size, epochs and patience are the same for all. RecBole masks
seen items for general models (BPR) and not for sequential ones. One seed: differences of a few
thousandths say nothing. Seconds an epoch were measured on a machine shared with other work.

"""  # noqa: E501
    (ROOT / "benchmarks" / "main_job.md").write_text(text + "\n".join(rows) + "\n")


if __name__ == "__main__":
    sys.exit(main())
