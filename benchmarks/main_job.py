"""The main job on real data: several models through ``run_recbole_sam.py``, full ranking and uni100.

    python -m benchmarks.main_job --data=../shared/data/amazon-industrial-scientific

Prepares the dataset from ``interactions.csv`` and ``items.csv`` in a work folder, trains and tests each model
through the script in full ranking, then ranks the test item of the same model among 100 negatives (RecBole
computes a user's representation anew for each of the 101 candidates, so validating that way, every epoch,
would cost far more than the training). The table is written to ``benchmarks/main_job.md``. What is done is
not run again.
"""

import argparse
import ast
import json
import os
import platform
import re
import subprocess
import sys
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
            results.append(kept(args, model, protocol, name, work))
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


def kept(args, model, protocol, name, work):
    """The result of one experiment; read from its file when it was done before."""
    words = command(args, model, protocol, name)
    file = work / "results" / f"{model}-{protocol}-{args.seed}.json"
    if file.is_file():
        done = json.loads(file.read_text())
        if done["command"] == words:
            return done
    done = {"model": model, "protocol": protocol, "command": words}
    done |= (train if protocol == "full" else test_again)(words, model, work)
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(done, indent=1) + "\n")
    return done


def train(words, model, work):
    """Trains and tests through the script."""
    apart = [f"--checkpoint_dir=saved/{model}-full", "--show_progress=False"]
    lines = call(work, str(ROOT / words[0]), *words[1:], *apart)
    return {
        "valid": result(lines, "best valid"),
        "test": result(lines, "test result"),
        "epochs": sum("training [time" in line for line in lines),
    }


def test_again(words, model, work):
    """Tests the model that was trained last in another protocol."""
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, get_trainer, init_seed

    from recbole_sam.configuration import make_config, parse_words

    os.chdir(work)
    config = make_config(parse_words([*words[1:], "--show_progress=False", "--state=WARNING"]))
    init_seed(config["seed"], config["reproducibility"])
    training, _, test = data_preparation(config, create_dataset(config))
    trainer = get_trainer(config["MODEL_TYPE"], model)(
        config, get_model(model)(config, training._dataset).to(config["device"])
    )
    trainer.eval_collector.data_collect(training)
    checkpoint = max(Path(f"saved/{model}-full").glob("*.pth"), key=os.path.getmtime)
    print(f"{model}: ranking {len(test.dataset):,} test items among 100 negatives each")
    return {"test": dict(trainer.evaluate(test, model_file=str(checkpoint)))}


def result(lines, label):
    """The metrics of RecBole's ``best valid`` or ``test result`` line."""
    [line] = [line for line in lines if f"{label} " in line or f"{label}:" in line]
    return dict(ast.literal_eval(line[line.index("OrderedDict(") + len("OrderedDict(") :].strip()[:-1]))


def write(args, name, results):
    """Writes the table of all results so far."""
    heads = ["model", "ranking", *METRICS, "valid ndcg@10", "epochs"]
    rows = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for done in results:
        cells = [done["model"], done["protocol"], *(f"{done['test'][metric]:.4f}" for metric in METRICS)]
        if "valid" in done:
            cells += [f"{done['valid']['ndcg@10']:.4f}", str(done["epochs"])]
        else:
            cells += ["", ""]
        rows.append("| " + " | ".join(cells) + " |")
    shown = " ".join(f'"{word}"' if "'" in word else word for word in results[0]["command"])
    text = f"""# The main job on {name}

    python -m benchmarks.main_job --data=<folder of {name}> --seed={args.seed} --epochs={args.epochs} \\
        --stopping_step={args.stopping_step} --train_batch_size={args.train_batch_size}

which runs, for each model, for example

    python {shown}

{date.today()}, {os.cpu_count()} cores ({platform.machine()}), no GPU, Python {platform.python_version()}, seed {args.seed}.
Test results of the epoch that was best on validation (full ranking). `full` ranks all items, `uni100` the
positive among 100 uniform negatives, by the same trained model: the two are not comparable. Every model has its own
default YAML; split, history length, batch size, epochs and patience are the same for all. RecBole masks
seen items for general models (BPR) and not for sequential ones. One seed: differences of a few
thousandths say nothing.

"""  # noqa: E501
    (ROOT / "benchmarks" / "main_job.md").write_text(text + "\n".join(rows) + "\n")


if __name__ == "__main__":
    sys.exit(main())
