"""``python -m recbole_sam prepare``: published files to a RecBole dataset."""

import os.path
from pathlib import Path

from tqdm import tqdm

from recbole_sam import page
from recbole_sam.errors import SettingError
from recbole_sam.prepare import dataset_page, filters
from recbole_sam.prepare.card import card_line
from recbole_sam.prepare.conversion import accept, prepare
from recbole_sam.prepare.folder import check_free, check_name
from recbole_sam.prepare.sources import presets, table
from recbole_sam.prepare.sources.from_options import open_source, preset_of, source_given

_PATHS = ("data_path", "cache", "reviews", "meta", "archive", "atomic", "interactions", "items")
_NEXT = "Next: python run_recbole_sam.py --model={} --dataset={}"


def add_parser(subparsers, help):
    """Adds the subcommand ``prepare``.

    Args:
        subparsers: what ``ArgumentParser.add_subparsers`` returns.

    Returns:
        argparse.ArgumentParser: the subcommand's parser.
    """
    parser = subparsers.add_parser(
        "prepare",
        help=help,
        description="Writes dataset/NAME/NAME.inter, NAME.item and card.json. These datasets "
        f"need no files, they are downloaded: {', '.join(presets.downloaded())}.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--dataset", required=True, metavar="NAME", help="name of the dataset")
    add("--data_path", default="dataset", metavar="FOLDER", help="default: %(default)s")
    add("--overwrite", action="store_true", help="replace a dataset, also a real one")
    add("--strict", action="store_true", help="refuse unusable lines instead of counting them")
    add("--accept", action="store_true",
        help="only take the files as they are now for right, after you changed them by hand")  # fmt: skip
    add("--report", action="store_true", help="also write report.html and charts beside the data")
    add("--preset", metavar="NAME", help="the known dataset to follow, if not --dataset")
    add("--cache", metavar="FOLDER", help="downloads (default: recbole-sam in your cache folder)")
    add("--offline", action="store_true", help="do not download")
    _add_files(parser.add_argument_group("published files (plain or .gz)"))
    _add_tables(parser.add_argument_group("tables (CSV, TSV, Parquet)"))
    _add_filters(parser.add_argument_group("what is kept"))
    return parser


def run(args):
    """Prepares a dataset and prints its counts.

    Args:
        args (argparse.Namespace): parsed by `add_parser`'s parser.

    Returns:
        int: 0.

    Raises:
        RecBoleSAMError: one sentence on what is wrong.
    """
    check_name(args.dataset)
    for name in _PATHS:  # shells leave the ~ of --option=~/x as it is
        setattr(args, name, getattr(args, name) and os.path.expanduser(getattr(args, name)))
    folder = Path(args.data_path) / args.dataset
    if args.accept:
        return _accept(args, folder)
    _refuse_no_filter(args)
    check_free(folder, args.overwrite)  # before a long download
    if args.report:
        page.drawing("--report")  # says what to install before the work, not after
    preset = preset_of(args)
    if preset and preset.reader == "included" and not source_given(args):
        print(f"{preset.title} with titles is inside RecBole; there is nothing to prepare.")
        print(_NEXT.format("SAM", args.dataset))
        return 0
    source = open_source(args, preset)
    source = source._replace(rows=tqdm(source.rows, "reading", unit=" rows", disable=None))
    chosen = filters.Filters(*(getattr(args, name) for name in filters.Filters._fields))
    made = prepare(folder, source, chosen, args.overwrite)
    print("\n".join(summary(made, source.skips, source.item_skips)))
    if source.items is None:
        print("Without titles: models that read texts need --meta=FILE or --items=FILE.")
    print(f"Written to {folder}.")
    if args.report:
        print(f"Look at {dataset_page.write_report(folder, source.title_field)}.")
    print(_NEXT.format("SAM" if source.items else "SASRec", args.dataset))
    return 0


def _refuse_no_filter(args):
    if args.k_core == "none" and args.min_count != filters.Filters().min_count:
        raise SettingError("--min-count does nothing beside --k-core=none: leave one of them out.")


def _accept(args, folder):
    """Makes the card of a changed dataset true again."""
    read = {"dataset", "data_path", "accept", "run", "settings"}
    defaults = filters.Filters()._asdict()
    for name, value in vars(args).items():
        if name not in read and value not in (None, False, defaults.get(name)):
            raise SettingError(f"--accept reads nothing else: leave out --{name.replace('_', '-')}.")
    print(card_line(accept(folder)))
    print(f"{folder} is accepted as it is now.")
    return 0


def summary(made, skips, item_skips):
    """What was read, left out, kept and found, a line each.

    Args:
        made (dict): a card.
        skips (Skips): the rows left out, with examples.
        item_skips (Skips): the same of the items.

    Returns:
        list of str
    """
    width = max(len(step["step"]) for step in made["steps"])
    lines = [f"{'':{width}}  {'users':>9} {'items':>9} {'interactions':>13}"]
    for step in made["steps"]:
        lines.append(
            f"{step['step']:{width}}  {step['users']:>9,} {step['items']:>9,} {step['interactions']:>13,}"
        )
    lines += [f"left out: {sentence}" for sentence in skips.sentences()]
    lines += [f"of the items left out: {sentence}" for sentence in item_skips.sentences()]
    lines += [f"repaired: {count:,} x {why}" for why, count in made["repaired"].items()]
    lines += [f"note: {note}" for note in made["notes"]]
    lines += [f"items: {count:,} x {kind}" for kind, count in made.get("titles", {}).items() if count]
    lines.append(card_line(made))
    return lines


def _add_files(group):
    add = group.add_argument
    add("--reviews", metavar="FILE", help="Amazon reviews of 2014, 2018 or 2023")
    add("--meta", metavar="FILE", help="Amazon metadata: titles for --reviews or --atomic")
    add("--archive", metavar="FILE", help="ml-1m.zip")
    add("--atomic", metavar="FOLDER", help="a RecBole dataset, to filter or give titles")


def _add_tables(group):
    add = group.add_argument
    add("--interactions", metavar="FILE", help="a row an interaction")
    add("--items", metavar="FILE", help="a row an item")
    add("--delimiter", metavar="C", help="default: recognised from the first line")
    add("--header", metavar="A,B", help="the column names of a file that has none")
    add("--behaviours", metavar="A,B", help="keep only rows with these behaviours")
    for name in table.Columns._fields:
        option = f"--{name.replace('_', '-')}-column"
        add(option, metavar="COLUMN", help="default: the usual names are recognised")


def _add_filters(group):
    defaults = filters.Filters()

    def add(name, text, **how):
        default = getattr(defaults, name)
        text += "" if default is None else " (default: %(default)s)"
        group.add_argument(f"--{name.replace('_', '-')}", default=default, help=text, **how)

    add(
        "k_core",
        "drop rare users and items: counted once on the raw file as in the paper, or repeatedly "
        "until all have enough",
        choices=filters.K_CORE,
    )
    add("min_count", "interactions a user and an item need", type=int, metavar="N")
    add("duplicates", "exact repeats of a row", choices=filters.DUPLICATES)
    add("repeats", "of a user's interactions with one item", choices=filters.REPEATS)
    add("min_rating", "drop lower ratings", type=float, metavar="R")
    add("min_length", "shortest history, at the very end", type=int, metavar="N")
