"""The tables of accuracy.md, options.md, llm.md and README.md, from the ranks in ``benchmarks/accuracy``.

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
from recbole_sam.evaluation import entries
from recbole_sam.evaluation.aligned import aligned
from recbole_sam.evaluation.metrics import value
from recbole_sam.evaluation.report.views import number
from recbole_sam.evaluation.run_folder import RunFolder

ROOT = Path(__file__).resolve().parents[1]
PAGES = (*(ROOT / "benchmarks" / f"{name}.md" for name in ("accuracy", "options", "llm")), ROOT / "README.md")
FOLDER = ROOT / "benchmarks" / "accuracy"
TABLE = re.compile(r"(<!-- table (\S+) -->\n\n)(.*?)(<!-- end of table -->)", re.DOTALL)

MODELS = ("BSARec", "SASRec", "GRU4Rec", "SINE", "STOSA", "ComiRec", "MIND")
BEFORE = "SAM:final_norm=False"
"""SAM as it was by default until 2026-11-26."""
PUBLISHED = f"{BEFORE}:item_text=False:newest_item=False:repeat_bias=False:interest_evidence=False"
MINILM = f"{BEFORE}:text_encoder=all-MiniLM-L6-v2:text_pooling=mean:text_normalize=True"
NO_SEMANTICS = "interest_control=constant:item_text=False"
SHUFFLED = "interest_control=shuffled"
WRITTEN = "SAM:interest_generator=imported"
"""With the phrases that a language model wrote."""
FIELDS = "item_text_fields=['title','brand','categories']"
KNN = f"{BEFORE}:item_knn=True"
RIVAL, UNISREC = "SASRecText:repeat_bias=True", "UniSRec:repeat_bias=True"
RIVAL_KNN = f"{RIVAL}:item_knn=True"
BEST, BEST_RIVAL = f"{KNN}:{FIELDS}", f"{RIVAL_KNN}:{FIELDS}"

NAMES = {
    PUBLISHED: "SAM, published architecture",
    MINILM.replace(BEFORE, "SAM"): "SAM, MiniLM encoder",
    BEST: "**SAM, tuned**",
    f"{BEST}:{SHUFFLED}": f"SAM, tuned, `{SHUFFLED}`",
    BEST_RIVAL: "SASRecText, `repeat_bias`, `item_knn`, the same text",
    **{
        f"SAM:{given}": f"SAM without semantics (`{given}`)"
        for given in (NO_SEMANTICS, f"{NO_SEMANTICS}:text_encoder_dim=128")
    },
    "SAM:n_layers=0": "without cross-interest attention: `n_layers=0`",
    "SAM:interest_attention=False": "without interest-aware attention: `interest_attention=False`",
    "SAM:interest_k_min=4:interest_k_max=4": "without adaptive K: `interest_k_min=4:interest_k_max=4`",
}
"""Label to what readers see, where :func:`shown` would say it worse."""

WORDS = {"interest_generator=imported": "SmolLM2's phrases"}
"""What readers see for a single setting, where that says more than the setting."""

MARKS = {
    "SASRecText": " (reads titles too)", "UniSRec": " (reads titles too)", "EIMF": " (our reading)",
    **{model: " (RecBole)" for model in ("SASRec", "GRU4Rec", "SINE")},
}  # fmt: skip
"""What is said behind the settings of a model."""


class Table(NamedTuple):
    """What one table shows."""

    folder: str
    """Of the comparison, in ``benchmarks/accuracy``."""
    base: str
    """The label that all others are held to."""
    rows: tuple = ()
    """The other labels; default: all of the folder."""


def of_width(*labels, width=128):
    """The same entries with ``lsa`` texts of another width than the default of 512 (tuple of str)."""
    return tuple(f"{label}:text_encoder_dim={width}" for label in labels)


SCIENTIFIC, BEAUTY = "amazon-industrial-scientific", "amazon-beauty-2014"
MAIN = ("SAM", BEFORE, RIVAL, UNISREC, PUBLISHED, *MODELS, "EIMF")

_WITHOUT = [label for label in entries.ABLATION.split(",")[1:] if label != BEFORE]
_WITH_TEXTS = ["SAM:interest_text=True", f"SAM:interest_text=True:{SHUFFLED}"]
ABLATION = (BEFORE, *_WITHOUT, *_WITH_TEXTS)
ABLATION_BEFORE = tuple(label.replace("SAM", BEFORE, 1) for label in ABLATION[1:])

TABLES = {
    "industrial-scientific": Table(SCIENTIFIC, "SAM", MAIN),
    "precision": Table(
        SCIENTIFIC, *of_width(BEFORE), of_width(f"{BEFORE}:autocast=bf16", f"{BEFORE}:compile=True")
    ),
    "beauty": Table(BEAUTY, "SAM", (BEFORE, RIVAL, UNISREC, *MODELS, *of_width("EIMF"))),
    "beauty-parts": Table(
        BEAUTY, BEFORE,
        (f"{BEFORE}:{SHUFFLED}", f"{BEFORE}:n_layers=0", MINILM, *of_width(f"{BEFORE}:{NO_SEMANTICS}")),
    ),
    "beauty-60": Table(f"{BEAUTY}-60", "SAM"),
    "h100": Table(f"{SCIENTIFIC}-h100", "SAM"),
    "ml-100k-20": Table("ml-100k-20", "SAM"),
    "ml-100k": Table("ml-100k", BEFORE),
    "industrial-scientific-knn": Table(
        SCIENTIFIC, *of_width(KNN),
        of_width(f"{KNN}:{SHUFFLED}", f"{KNN}:{NO_SEMANTICS}", RIVAL_KNN, BEFORE, RIVAL),
    ),
    "industrial-scientific-text": Table(
        SCIENTIFIC, BEFORE,
        (
            f"{BEFORE}:{FIELDS}", RIVAL, UNISREC, *of_width(BEFORE, f"{BEFORE}:{FIELDS}", RIVAL, UNISREC),
            *of_width(BEFORE, width=256), *of_width(BEFORE, width=1024),
        ),
    ),
    "industrial-scientific-tuned": Table(
        SCIENTIFIC, BEST,
        (
            f"{BEST}:{SHUFFLED}", BEST_RIVAL, KNN, *of_width(KNN, BEST, RIVAL_KNN),
            *of_width(KNN, width=256), *of_width(KNN, BEST, width=1024),
        ),
    ),
    "beauty-text": Table(
        BEAUTY, KNN, (BEFORE, RIVAL, RIVAL_KNN, *of_width(BEFORE, KNN, RIVAL, RIVAL_KNN))
    ),
    "ablation": Table("ablation", "SAM", ABLATION),
    "ablation-before": Table("ablation", BEFORE, ABLATION_BEFORE),
    "language-model": Table(
        "ablation", "SAM",
        (
            f"SAM:{SHUFFLED}", *_WITH_TEXTS, WRITTEN, f"{WRITTEN}:{SHUFFLED}",
            f"{WRITTEN}:interest_text=True", f"{WRITTEN}:interest_text=True:{SHUFFLED}",
        ),
    ),
}  # fmt: skip


def shown(label, base="SAM"):
    """``MODEL:a=True:b=1`` as "MODEL, `a`, `b=1`", or its name (str).

    Args:
        label (str): of an entry.
        base (str): that of the table; where it is of before ``final_norm``, all are, and the page says so.
    """
    if label not in NAMES and base.startswith(BEFORE):
        label = label.replace(BEFORE, "SAM", 1)
    model, *given = label.split(":")
    said = [WORDS.get(word) or f"`{word.removesuffix('=True')}`" for word in given]
    return NAMES.get(label, ", ".join([model, *said]) + MARKS.get(model, ""))


def accuracy_table(table):
    """One table of differences to the base, by chance of users and seeds, Holm over the rows.

    Args:
        table (Table): what it shows.

    Returns:
        str: Markdown, best first.
    """
    ranks, trials, head_from = _load(table.folder, table.rows and (table.base, *table.rows))
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
        time = f"{_median(own, 'seconds_per_epoch'):.0f}, {_median(own, 'best_epoch'):.0f}"
        validation = number(statistics.mean(trial["valid"]["ndcg@20"] for trial in own))
        rows.append([shown(label, table.base), str(len(own)), validation, *cells, time])
    return _markdown(["model", "seeds", "validation, NDCG@20", *columns, "s/epoch, best"], rows)


def readme_table():
    """README's table of Industrial & Scientific: means and deviations over seeds (str, Markdown)."""
    ranks, trials, _ = _load(SCIENTIFIC, (BEST, BEST_RIVAL, *MAIN))
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
        rows.append([shown(label), str(len(trials[label])), *cells, time])
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


def _load(folder, rows):
    ranks, all_trials, head_from = _comparison(folder)
    trials = {}
    for trial in all_trials:
        if trial["status"] == "done" and (not rows or trial["model"] in rows):
            trials.setdefault(trial["model"], []).append(trial)
    missing = [label for label in rows if label not in trials]
    if missing:
        raise KeyError(f"{FOLDER / folder} holds no trial of {missing}")
    return ranks[ranks.model.isin(trials)], trials, head_from


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
    for page in PAGES:
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
