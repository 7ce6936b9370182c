"""The tables of accuracy.md and README.md, made of the per-user ranks kept in ``benchmarks/accuracy``.

    python -m benchmarks.pages            # says which tables are not what the ranks give
    python -m benchmarks.pages --write    # puts them in

A table stands between ``<!-- table NAME -->`` and ``<!-- end of table -->``. Nobody types a number.
"""

import argparse
import functools
import re
import statistics
import sys
from pathlib import Path
from typing import NamedTuple

from benchmarks.paired import cell, differences, group_of
from recbole_sam.evaluation.aligned import aligned
from recbole_sam.evaluation.metrics import value
from recbole_sam.evaluation.report.views import number
from recbole_sam.evaluation.run_folder import RunFolder

ROOT = Path(__file__).resolve().parents[1]
ACCURACY, README = ROOT / "benchmarks" / "accuracy.md", ROOT / "README.md"
FOLDER = ROOT / "benchmarks" / "accuracy"
TABLE = re.compile(r"(<!-- table (\S+) -->\n\n)(.*?)(<!-- end of table -->)", re.DOTALL)

PUBLISHED = "SAM:item_text=False:newest_item=False:repeat_bias=False:interest_evidence=False"
MINILM = "SAM:text_encoder=all-MiniLM-L6-v2:text_pooling=mean:text_normalize=True"
NO_SEMANTICS = "interest_control=constant:item_text=False"
EIMF = {"EIMF": "EIMF (our reading)"}
RIVAL = "SASRecText:repeat_bias=True"
FAIR = {label: f"`{label}` (equal information)" for label in (RIVAL, "UniSRec:repeat_bias=True")}
KNN = {
    "SAM:item_knn=True": "SAM, `item_knn`",
    "SAM:item_knn=True:interest_control=shuffled": "SAM, `item_knn`, `interest_control=shuffled`",
    f"SAM:item_knn=True:{NO_SEMANTICS}": f"SAM, `item_knn`, without semantics (`{NO_SEMANTICS}`)",
    f"{RIVAL}:item_knn=True": "SASRecText, `repeat_bias`, `item_knn` (equal information)",
}
FIELDS = "item_text_fields=['title','brand','categories']"
SHOWN_FIELDS = f"`{FIELDS}`"
WIDE = f"text_encoder_dim=512:{FIELDS}"
BEST, BEST_BEAUTY = f"SAM:item_knn=True:{WIDE}", "SAM:item_knn=True:text_encoder_dim=512"
BEST_RIVAL = f"{RIVAL}:item_knn=True:{WIDE}"
SAME_TEXT = "SASRecText, `repeat_bias`, `item_knn`, the same text (equal information)"
TEXT = {
    **{f"SAM:text_encoder_dim={width}": f"SAM, `text_encoder_dim={width}`" for width in (256, 512, 1024)},
    f"SAM:{FIELDS}": f"SAM, {SHOWN_FIELDS}",
    f"SAM:{WIDE}": f"SAM, `text_encoder_dim=512`, {SHOWN_FIELDS}",
    f"{RIVAL}:text_encoder_dim=512": "SASRecText, `repeat_bias`, `text_encoder_dim=512` (equal information)",
}
TUNED = {
    **{
        f"SAM:item_knn=True:text_encoder_dim={width}": f"SAM, `item_knn`, `text_encoder_dim={width}`"
        for width in (256, 512, 1024)
    },
    f"SAM:item_knn=True:{FIELDS}": f"SAM, `item_knn`, {SHOWN_FIELDS}",
    f"SAM:item_knn=True:text_encoder_dim=1024:{FIELDS}":
        f"SAM, `item_knn`, `text_encoder_dim=1024`, {SHOWN_FIELDS}",
    BEST: "**SAM, tuned**",
    f"{BEST}:interest_control=shuffled": "SAM, tuned, `interest_control=shuffled`",
    BEST_RIVAL: SAME_TEXT,
}  # fmt: skip
TUNED_BEAUTY = {
    BEST_BEAUTY: "**SAM, tuned**",
    f"{RIVAL}:item_knn=True:text_encoder_dim=512": SAME_TEXT,
}
PRECISION = {"SAM:autocast=bf16": "`autocast: bf16`", "SAM:compile=True": "`compile: True`"}
BEAUTY = {
    "SAM:interest_control=shuffled": "SAM, `interest_control=shuffled`",
    MINILM: "SAM, MiniLM encoder", f"SAM:{NO_SEMANTICS}": f"SAM without semantics (`{NO_SEMANTICS}`)",
}  # fmt: skip


class Table(NamedTuple):
    """What one table shows."""

    folder: str
    """Of the comparison, in ``benchmarks/accuracy``."""
    base: str
    """The label that all others are held to."""
    names: dict
    """Label to what readers see; of other labels their settings, or the model's name."""
    only: tuple = ()
    """Labels; default: all of the folder, but for those of ``without``."""
    without: tuple = ()


def _with_knn(folder):
    rows = (*KNN, "SAM", RIVAL)
    return Table(folder, "SAM:item_knn=True", KNN | FAIR, only=rows)


TABLES = {
    "industrial-scientific": Table(
        "amazon-industrial-scientific", "SAM", {PUBLISHED: "SAM, published architecture", **FAIR, **EIMF},
        without=(*KNN, *PRECISION, *TEXT, *TUNED),
    ),
    "precision": Table("amazon-industrial-scientific", "SAM", PRECISION, only=("SAM", *PRECISION)),
    "beauty": Table("amazon-beauty-2014", "SAM", {**BEAUTY, **FAIR, **EIMF}, without=(*KNN, *TUNED_BEAUTY)),
    "ml-100k-20": Table("ml-100k-20", "SAM", FAIR),
    "ml-100k": Table("ml-100k", "SAM", BEAUTY),
    "industrial-scientific-knn": _with_knn("amazon-industrial-scientific"),
    "beauty-knn": _with_knn("amazon-beauty-2014"),
    "industrial-scientific-text": Table(
        "amazon-industrial-scientific", "SAM", TEXT | FAIR, only=(*TEXT, "SAM", RIVAL)
    ),
    "industrial-scientific-tuned": Table(
        "amazon-industrial-scientific", BEST, KNN | TUNED,
        only=(*TUNED, "SAM:item_knn=True", f"{RIVAL}:item_knn=True"),
    ),
    "beauty-tuned": Table(
        "amazon-beauty-2014", BEST_BEAUTY, KNN | TUNED_BEAUTY,
        only=(*TUNED_BEAUTY, "SAM:item_knn=True", f"{RIVAL}:item_knn=True"),
    ),
    "ablation": Table(
        "ablation", "SAM",
        {
            "SAM:n_layers=0": "without cross-interest attention: `n_layers=0`",
            "SAM:interest_attention=False": "without interest-aware attention: `interest_attention=False`",
            "SAM:interest_k_min=4:interest_k_max=4":
                "without adaptive K: `interest_k_min=4:interest_k_max=4`",
            f"SAM:{NO_SEMANTICS}": f"without semantics: `{NO_SEMANTICS}`",
            "SAM:interest_text=True": "with `interest_text=True`",
            "SAM:interest_text=True:interest_control=shuffled":
                "with `interest_text=True`, `interest_control=shuffled`",
        },
    ),
}  # fmt: skip

README_NAMES = {
    BEST: "SAM, tuned for this set",
    BEST_RIVAL: "SASRecText with `repeat_bias`, `item_knn`, the same text",
    "SAM:item_knn=True": "SAM with `item_knn`",
    f"{RIVAL}:item_knn=True": "SASRecText with `repeat_bias`, `item_knn`",
    RIVAL: "SASRecText with `repeat_bias`",
    "UniSRec:repeat_bias=True": "UniSRec with `repeat_bias`",
    PUBLISHED: "SAM, published architecture",
    **EIMF,
    **{model: f"{model} (RecBole)" for model in ("SASRec", "SINE", "GRU4Rec")},
}
README_LEFT_OUT = [label for label in (*KNN, *PRECISION, *TEXT, *TUNED) if label not in README_NAMES]


def accuracy_table(table):
    """One table of accuracy.md: differences to the base, paired over users, Holm over the rows.

    Args:
        table (Table): what it shows.

    Returns:
        str: Markdown, best first.
    """
    ranks, trials, head_from = _load(table.folder, table.only, table.without)
    tail, short = (group_of(name, ranks, head_from) for name in ("tail", "short"))
    columns = {
        "HR@10": ("full", "hit@10", None),
        "NDCG@10": ("full", "ndcg@10", None),
        "NDCG@20": ("full", "ndcg@20", None),
        "NDCG@20, 1 + 100": ("uni100", "ndcg@20", None),
        "NDCG@20, tail items": ("full", "ndcg@20", tail),
        "NDCG@20, shortest histories": ("full", "ndcg@20", short),
    }
    found = {
        name: {label: rest for label, *rest in differences(ranks, protocol, metric, table.base, group)}
        for name, (protocol, metric, group) in columns.items()
    }
    rows = []
    for label in sorted(found["NDCG@20"], key=lambda label: -found["NDCG@20"][label][0]):
        cells = [
            number(values[label][0]) if "@10" in name else cell(*values[label])
            for name, values in found.items()
        ]
        own = trials[label]
        name = table.names.get(label, _code(label))
        time = f"{_median(own, 'seconds_per_epoch'):.0f}, {_median(own, 'best_epoch'):.0f}"
        validation = number(statistics.mean(trial["valid"]["ndcg@20"] for trial in own))
        rows.append([name, str(len(own)), validation, *cells, time])
    return _markdown(["model", "seeds", "validation, NDCG@20", *columns, "s/epoch, best"], rows)


def readme_table():
    """README's table of Industrial & Scientific: means and deviations over seeds (str, Markdown)."""
    ranks, trials, _ = _load("amazon-industrial-scientific", without=README_LEFT_OUT)
    columns = [
        ("full", "hit@10", "HR@10 full"), ("full", "ndcg@10", "NDCG@10 full"),
        ("full", "hit@20", "HR@20 full"), ("full", "ndcg@20", "NDCG@20 full"),
        ("uni100", "ndcg@20", "NDCG@20 1 + 100"), ("uni100", "mrr@20", "MRR@20 1 + 100"),
    ]  # fmt: skip
    seeds = {}
    for protocol, metric, name in columns:
        table = aligned(ranks, protocol)
        of_models = table.by_seed(value(metric, table.ranks))
        seeds[name] = {
            label: own.mean(axis=1) for label, own in zip(table.models, of_models, strict=True)
        }
    rows = []
    for label in sorted(trials, key=lambda label: -seeds["NDCG@20 full"][label].mean()):
        cells = []
        for means in seeds.values():
            own = means[label]
            text = number(own.mean()) + (f" ± {number(own.std(ddof=1))}" if len(own) > 1 else "")
            best = own.mean() == max(other.mean() for other in means.values())
            cells.append(f"**{text}**" if best else text)
        time = f"{_median(trials[label], 'seconds_per_epoch'):.1f}"
        rows.append([README_NAMES.get(label, label), str(len(trials[label])), *cells, time])
    return _markdown(["model", "seeds", *seeds, "s/epoch"], rows)


def made(name):
    """The table of that name (str, Markdown)."""
    return readme_table() if name == "readme" else accuracy_table(TABLES[name])


def filled(page):
    """A page with every table as the ranks give it.

    Args:
        page (str): Markdown with marks.

    Returns:
        str: the same page, other tables.
    """
    return TABLE.sub(lambda found: f"{found[1]}{made(found[2])}\n{found[4]}", page)


@functools.cache
def _comparison(name):
    """What several tables are made of, read once."""
    folder = RunFolder(FOLDER / name)
    return folder.ranks(), folder.trials(), folder.run()["head_from"]


def _load(folder, only=(), without=()):
    ranks, all_trials, head_from = _comparison(folder)
    trials = {}
    for trial in all_trials:
        shown = trial["model"] in only if only else trial["model"] not in without
        if shown and trial["status"] == "done":
            trials.setdefault(trial["model"], []).append(trial)
    return ranks[ranks.model.isin(trials)], trials, head_from


def _code(label):
    """``SAM:a=1`` as the setting alone, a model's name as it is."""
    model, _, given = label.partition(":")
    return f"`{given}`" if given else model


def _median(trials, name):
    return statistics.median(trial[name] for trial in trials)


def _markdown(head, rows):
    lines = ["| " + " | ".join(row) + " |" for row in [head, *rows]]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:], ""])


def main(words=None):
    """Compares or writes; 1 when a page had another table and it was not written.

    Args:
        words (list of str, optional): of the command line; default: this process's.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages", description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="put the tables into the pages")
    args = parser.parse_args(words)
    changed = False
    for page in (ACCURACY, README):
        old = page.read_text(encoding="utf-8")
        new = filled(old)
        if new != old:
            changed = True
            print(f"{page.relative_to(ROOT)}: {'written' if args.write else 'not what the ranks give'}")
            if args.write:
                page.write_text(new, encoding="utf-8")
    return int(changed and not args.write)


if __name__ == "__main__":
    sys.exit(main())
