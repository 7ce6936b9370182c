"""The tables of the README and of the benchmark pages, from the ranks in ``benchmarks/accuracy``.

    python -m benchmarks.pages            # names the pages whose tables differ from the ranks
    python -m benchmarks.pages --write    # updates them

A table stands between ``<!-- table NAME -->``, or ``short`` or ``fair``, and ``<!-- end of table -->``. Pages
that people read first have a shorter form; the full one stands in ``benchmarks/details``. Nobody types a
number.
"""

import argparse
import functools
import math
import re
import statistics
import sys
from pathlib import Path
from typing import NamedTuple

from benchmarks.paired import cell, differences, group_of
from recbole_sam.config import our_models
from recbole_sam.evaluation import entries
from recbole_sam.evaluation.report.views import number
from recbole_sam.evaluation.run_folder import RunFolder
from recbole_sam.evaluation.statistics.aligned import aligned
from recbole_sam.evaluation.statistics.metrics import value

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "benchmarks" / "accuracy"
TABLE = re.compile(r"(<!-- (table|short|fair) (\S+) -->\n\n)(.*?)(<!-- end of table -->)", re.DOTALL)
SIGNIFICANT = 0.05


def _pages():
    """The README and every benchmark page with a mark (tuple of pathlib.Path)."""
    folders = (ROOT / "benchmarks", ROOT / "benchmarks" / "details", ROOT / "docs")
    found = [page for folder in folders for page in folder.glob("*.md")]
    marked = (page for page in sorted(found) if TABLE.search(page.read_text(encoding="utf-8")))
    return (ROOT / "README.md", *marked)


PAGES = _pages()

MODELS = ("BSARec", "SASRec", "GRU4Rec", "SINE", "STOSA", "ComiRec", "MIND")
BEFORE = "SAM:final_norm=False"
"""SAM with the default of until 2026-11-26."""
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
OLD_RATE = ":learning_rate=0.001"
"""Of all trainings of SAM until 2026-11-30, which had RecBole's default."""
OLD_TITLES = ":text_scale=1"
"""Of all trainings with titles until 2026-11-30 but those of UniSRec."""
EARLIER = "SAM:history_filter=False:newest_item=True"
"""SAM with the default of 2026-11-29: the newest item in place of the filters."""
ROUTED = f"{EARLIER}:interest_grouping=routing:interest_generator=extractive"
AS_PUBLISHED = (
    "SAM:history_filter=False:interest_grouping=routing:interest_generator=extractive:interest_readout=mean:"
    "learned_queries=0:n_layers=1:final_norm=False:item_text=False:repeat_bias=False:interest_evidence=False"
)
"""The paper's architecture, trained as all models are."""
SEQUENCE = "SASRecText:item_text=False:train_targets=sequence:train_batch_size=64"
RIVAL_SEQUENCE = f"{RIVAL}:train_targets=sequence:train_batch_size=64"
BEST, BEST_RIVAL = f"{KNN}:{FIELDS}", f"{RIVAL_KNN}:{FIELDS}"

NAMES = {
    PUBLISHED: "SAM, published architecture",
    AS_PUBLISHED: "SAM as published",
    MINILM.replace(BEFORE, "SAM"): "SAM, MiniLM encoder",
    BEST: "**SAM, tuned**",
    f"{BEST}:{SHUFFLED}": f"SAM, tuned, `{SHUFFLED}`",
    BEST_RIVAL: "SASRecText, `repeat_bias`, `item_knn`, the same text",
    **{
        f"SAM:{given}": f"SAM without semantics (`{given}`)"
        for given in (NO_SEMANTICS, f"{NO_SEMANTICS}:text_encoder_dim=128")
    },
    SEQUENCE: "SASRec, whole sequences, 64 a batch",
    "SASRecText:item_text=False": "SASRec, RecBole's samples",
    f"{ROUTED}:interest_readout=mean:learned_queries=0:n_layers=1{OLD_RATE}{OLD_TITLES}": "Early SAM",
    "SAM:history_filter=False": "SAM without filters: `history_filter=False`",
    EARLIER: "SAM, newest item instead of filters: `history_filter=False:newest_item=True`",
    "SAM:n_layers=0": "without cross-interest attention: `n_layers=0`",
    "SAM:interest_attention=False": "without interest-aware attention: `interest_attention=False`",
    "SAM:interest_k_min=4:interest_k_max=4": "without adaptive K: `interest_k_min=4:interest_k_max=4`",
}
"""Names for readers where :func:`shown` would give a worse one."""

WORDS = {
    "interest_generator=imported": "SmolLM2's phrases",
    "interest_grouping=routing": "routing",
    "interest_generator=extractive": "titles as phrases",
    "train_targets=sequence": "whole sequences",
    "train_batch_size=64": "64 a batch",
    "train_batch_size=128": "128 a batch",
    "history_filter=False": "no filters",
    "newest_item=True": "newest item",
}
"""Names for readers of single settings."""

READS_TITLES = " (reads titles too)"
MARKS = {
    "SASRecText": READS_TITLES, "UniSRec": READS_TITLES, "TedRec": READS_TITLES, "EIMF": " (our reading)",
    **{model: " (RecBole)" for model in ("SASRec", "GRU4Rec", "SINE")},
}  # fmt: skip
"""Remarks behind a model's name."""


class Table(NamedTuple):
    """What one table shows."""

    folder: str
    """Of the comparison, in ``benchmarks/accuracy``."""
    base: str
    """The label that all others are compared with."""
    rows: tuple = ()
    """The other labels; default: all of the folder."""
    left_out: tuple = ()
    """Labels that the short form leaves out; the correction of p values still counts them."""


def of_width(*labels, width=128):
    """The same entries with ``lsa`` texts of another width than the default of 512 (tuple of str)."""
    return tuple(f"{label}:text_encoder_dim={width}" for label in labels)


SCIENTIFIC, BEAUTY = "amazon-industrial-scientific", "amazon-beauty-2014"
MAIN = ("SAM", BEFORE, RIVAL, UNISREC, PUBLISHED, *MODELS, "EIMF")

_WITHOUT = [
    f"SAM:{settings}"
    for settings in (
        "interest_k_min=4:interest_k_max=4",
        "interest_attention=False",
        "n_layers=0",
        NO_SEMANTICS,
        SHUFFLED,
        "interest_control=constant",
        "interest_control=absent",
        "item_text=False",
        "newest_item=False",
        "repeat_bias=False",
        "interest_evidence=False",
    )
]
"""Of the SAM of until 2026-11-28, which read its views out by their mean."""
_WITH_TEXTS = ["SAM:interest_text=True", f"SAM:interest_text=True:{SHUFFLED}"]
ABLATION = (BEFORE, *_WITHOUT, *_WITH_TEXTS)
ABLATION_TODAY = tuple(
    f"SAM:{settings}"
    for settings in (
        "interest_attention=False",
        "interest_control=shuffled",
        "interest_control=constant",
        "learned_queries=0",
        "item_text=False",
        "history_filter=False",
        "history_filter=False:newest_item=True",
        "final_norm=False",
        "repeat_bias=False",
        "interest_evidence=False",
        "interest_text=True",
        "item_knn=True",
        "text_scale=1",
    )
)
"""Of SAM with the defaults since 2026-11-30."""
ABLATION_BEFORE = tuple(label.replace("SAM", BEFORE, 1) for label in ABLATION[1:])

TABLES = {
    "industrial-scientific": Table(SCIENTIFIC, "SAM", MAIN, left_out=(BEFORE,)),
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
    "industrial-scientific-masked": Table(f"{SCIENTIFIC}-masked", "SAM"),
    "beauty-masked": Table(f"{BEAUTY}-masked", "SAM"),
    "office-masked": Table("amazon-office-products-late-masked", "SAM"),
    "tuned-masked": Table("tuned-masked", f"SAM{OLD_TITLES}"),
    "redrawn-masked": Table("redrawn-masked", f"SAM{OLD_TITLES}"),
    "redrawn-beauty-masked": Table("redrawn-beauty-masked", f"SAM{OLD_TITLES}"),
    "ablation-today": Table(f"{SCIENTIFIC}-masked", "SAM", ABLATION_TODAY),
    "ablation-masked": Table("ablation-masked", f"SAM{OLD_RATE}{OLD_TITLES}"),
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


COMIREC = "ComiRec:item_text=True:repeat_bias=True:hidden_dropout_prob=0.5"
README_ROWS = {
    "SAM": "**SAM**",
    COMIREC: "ComiRec with SAM's titles, bias and dropout",
    "WEARec:item_text=True:repeat_bias=True": "WEARec with titles and bias",
    RIVAL_SEQUENCE: "SASRecText: SASRec with titles and bias",
    "ComiRec": "ComiRec",
    "WEARec": "WEARec",
    SEQUENCE: "SASRec",
    AS_PUBLISHED: "SAM as published",
}
"""Labels, and names for readers."""
README_COLUMNS = {
    "Industrial & Scientific": "industrial-scientific-masked",
    "Beauty": "beauty-masked",
    "Office": "office-masked",
}
"""Comparisons."""


def shown(label, base="SAM"):
    """``MODEL:a=True:b=1`` as "MODEL, `a`, `b=1`", or its name (str).

    Args:
        label (str): of an entry.
        base (str): that of the table; if it is without ``final_norm``, has the old learning rate or titles of
            length 1, all rows are so, and the page says it.
    """
    if label not in NAMES and base.startswith(BEFORE):
        label = label.replace(BEFORE, "SAM", 1)
    for old in (OLD_TITLES, OLD_RATE):
        if base.endswith(old):
            base, label = base.removesuffix(old), label.removesuffix(old)
    model, *given = label.split(":")
    said = [WORDS.get(word) or f"`{word.removesuffix('=True')}`" for word in given]
    return NAMES.get(label, ", ".join([model, *said]) + MARKS.get(model, ""))


FULL = {
    "HR@10": ("full", "hit@10", "all"),
    "NDCG@10": ("full", "ndcg@10", "all"),
    "NDCG@20": ("full", "ndcg@20", "all"),
    "NDCG@20, 1 + 100": ("uni100", "ndcg@20", "all"),
    "NDCG@20, tail items": ("full", "ndcg@20", "tail"),
    "NDCG@20, shortest histories": ("full", "ndcg@20", "short"),
}
"""Columns of a table in full: protocol, metric and group of users."""
MASKED = {
    "HR@10": ("full", "hit@10", "all"),
    "NDCG@10": ("full", "ndcg@10", "all"),
    "HR@50": ("full", "hit@50", "all"),
    "NDCG@10, masked": ("masked", "ndcg@10", "all"),
    "NDCG@20, masked": ("masked", "ndcg@20", "all"),
    "NDCG@20, masked, tail items": ("masked", "ndcg@20", "tail"),
    "NDCG@20, masked, shortest histories": ("masked", "ndcg@20", "short"),
}
"""The same where known items were masked, too."""
SHORT = {name: FULL[name] for name in ("HR@10", "NDCG@10", "NDCG@20")}
SHORT_MASKED = {name: MASKED[name] for name in ("HR@10", "NDCG@10", "NDCG@10, masked")}
"""Columns of a short table; the last one has the seeds' deviation, and decides."""
PLAIN = ("HR@10", "NDCG@10", "HR@50")
"""Columns without differences."""


def accuracy_table(table):
    """One table of differences to the base, by chance of users and seeds, Holm as in ``benchmarks.paired``.

    Args:
        table (Table): what it shows.

    Returns:
        str: Markdown, best first.
    """
    ranks, trials, _ = _rows_of(table)
    columns, order = (MASKED, "NDCG@10, masked") if "masked" in set(ranks.protocol) else (FULL, "NDCG@20")
    found = {name: _compared(table, *column) for name, column in columns.items()}
    rows = []
    for label in sorted(found[order], key=lambda label: -found[order][label][0]):
        cells = [
            number(values[label][0]) if name in PLAIN else cell(*values[label])
            for name, values in found.items()
        ]
        own = trials[label]
        time = f"{_median(own, 'seconds_per_epoch'):.0f}, {_median(own, 'best_epoch'):.0f}"
        validation = number(statistics.mean(trial["valid"]["ndcg@20"] for trial in own))
        rows.append([shown(label, table.base), str(len(own)), validation, *cells, time])
    return _markdown(["model", "seeds", "validation, NDCG@20", *columns, "s/epoch, best"], rows)


def short_table(table):
    """The same comparison in a few columns: means, and the difference to the base in the last of them.

    Args:
        table (Table): what it shows; masked, where known items were masked, too.

    Returns:
        str: Markdown, best first; a star marks p < .05 by the test of :func:`accuracy_table`.
    """
    ranks, trials, _ = _rows_of(table)
    columns = SHORT_MASKED if "masked" in set(ranks.protocol) else SHORT
    *others, last = columns
    found = {name: _compared(table, *columns[name]) for name in columns}
    spread = _of_seeds(ranks, columns[last][1], columns[last][0])
    rows = []
    for label in sorted(found[last], key=lambda label: -found[last][label][0]):
        if label not in table.left_out:
            values = [number(found[name][label][0]) for name in others]
            difference = _marked(*found[last][label][1:])
            name, seeds = shown(label, table.base), str(len(trials[label]))
            rows.append([name, seeds, *values, spread[label], difference])
    return _markdown(["model", "seeds", *columns, "difference"], rows)


FAIR_VARIANTS = (
    AS_PUBLISHED, "SAM:repeat_bias=False", "SAM:item_knn=True", f"SAM{OLD_TITLES}",
    f"SAM:repeat_bias=False{OLD_TITLES}",
)  # fmt: skip
FAIR_LEFT_OUT = {"learning_rate=0.0005", "learning_rate=0.002", "text_scale=1", "text_scale=15"}
"""Settings of rivals that validation does not prefer."""
FAIR_COLUMNS = ("model", "besides IDs", "HR@10", "NDCG@10", "HR@10, masked", "NDCG@10, masked")


def fair_table(table):
    """What each model uses, and its accuracy among all items and among those that the user has not had.

    Args:
        table (Table): what it shows, but of SAM's variants only ``FAIR_VARIANTS``, and of rivals none of
            ``FAIR_LEFT_OUT``.

    Returns:
        str: Markdown, best masked NDCG@10 first; a star marks p < .05 as in :func:`accuracy_table`.
    """
    found = {
        (protocol, metric): _compared(table, protocol, metric, "all")
        for protocol in ("full", "masked")
        for metric in ("hit@10", "ndcg@10")
    }
    best = found["masked", "ndcg@10"]
    rows = []
    for label in sorted(best, key=lambda label: -best[label][0]):
        ours, given = label.startswith("SAM:"), set(label.split(":"))
        if label not in FAIR_VARIANTS if ours else given & FAIR_LEFT_OUT:
            continue
        cells = [_starred(*values[label]) for values in found.values()]
        rows.append([shown(label, table.base).removesuffix(READS_TITLES), reads(label), *cells])
    return _markdown(FAIR_COLUMNS, rows)


def _starred(mean, relative, p):
    """``.1234 *`` with a star for a significant difference to the base, ``†`` if one seed allows no test."""
    return number(mean) + _mark(p, " †")


def reads(label):
    """What a model of a comparison uses besides item IDs, such as "titles, bias" (str)."""
    entry = entries.parse(label)[0]
    return our_models.besides_ids(entry.model, entry.given)


def _marked(relative, p):
    """``-1.2% *`` with a star for a significant difference; p is None for the base itself."""
    return "base" if p is None else f"{relative:+.1%}" + _mark(p, " (one seed)")


def _mark(p, untested):
    """A star for a significant p, ``untested`` for NaN, which one seed gives; p is None for the base."""
    if p is None:
        return ""
    return " *" if p < SIGNIFICANT else untested if math.isnan(p) else ""


def readme_table():
    """README's table: masked NDCG@10 of the models that a newcomer needs, best first (str, Markdown)."""
    found = [_compared(TABLES[name], "masked", "ndcg@10", "all") for name in README_COLUMNS.values()]
    rows = [
        [name, reads(label), *(_starred(*values[label]) if label in values else "" for values in found)]
        for label, name in sorted(README_ROWS.items(), key=lambda row: -found[0][row[0]][0])
    ]
    return _markdown(["model", "besides IDs", *README_COLUMNS], rows)


def made(name, form="table"):
    """The table of that name in one of its forms, ``table``, ``short`` or ``fair`` (str, Markdown)."""
    if name == "readme":
        return readme_table()
    return {"table": accuracy_table, "short": short_table, "fair": fair_table}[form](TABLES[name])


def filled(page):
    """A page with every table as the ranks give it.

    Args:
        page (str): Markdown with marks.

    Returns:
        str: the same page, other tables.
    """
    return TABLE.sub(lambda found: f"{found[1]}{made(found[3], found[2])}\n{found[5]}", page)


def _rows_of(table):
    return _load(table.folder, table.rows and (table.base, *table.rows))


@functools.cache
def _compared(table, protocol, metric, group):
    """Label to mean, relative difference and p, once for both forms of a table."""
    ranks, _, head_from = _rows_of(table)
    found = differences(ranks, protocol, metric, table.base, group_of(group, ranks, head_from))
    return {label: rest for label, *rest in found}


@functools.cache
def _comparison(name):
    """What several tables are made of, read once."""
    folder = RunFolder(FOLDER / name)
    return folder.ranks(), folder.trials(), folder.run()["head_from"]


@functools.cache
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


def _of_seeds(ranks, metric, protocol="full"):
    """Label to mean and deviation over seeds, as text."""
    table = aligned(ranks, protocol)
    by_seed = zip(table.models, table.by_seed(value(metric, table.ranks)), strict=True)
    means = {label: own.mean(axis=1) for label, own in by_seed}
    return {
        label: number(own.mean()) + (f" ± {number(own.std(ddof=1))}" if len(own) > 1 else "")
        for label, own in means.items()
    }


def _median(trials, name):
    return statistics.median(trial[name] for trial in trials)


def _markdown(head, rows):
    lines = ["| " + " | ".join(row) + " |" for row in [head, *rows]]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:], ""])


def main(words=None):
    """Compare or update the pages; the exit code is 1 if a page differs and was not updated.

    Args:
        words (list of str, optional): of the command line; default: this process's.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages", description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="update the tables in the pages")
    args = parser.parse_args(words)
    changed = False
    for page in PAGES:
        old = page.read_text(encoding="utf-8")
        new = filled(old)
        if new != old:
            changed = True
            print(f"{page.relative_to(ROOT)}: {'updated' if args.write else 'differs from the ranks'}")
            if args.write:
                page.write_text(new, encoding="utf-8")
    return int(changed and not args.write)


if __name__ == "__main__":
    sys.exit(main())
