"""``python -m recbole_sam prepare``: published files to a RecBole dataset."""

from pathlib import Path

from ..data import filters
from ..data.card import card_line
from ..data.prepare import Source, prepare
from ..data.skips import Skips
from ..data.sources import table
from ..errors import SettingError


def add_parser(subparsers):
    """Adds the subcommand ``prepare``.

    Args:
        subparsers: what ``ArgumentParser.add_subparsers`` returns.

    Returns:
        argparse.ArgumentParser: the subcommand's parser.
    """
    parser = subparsers.add_parser(
        "prepare",
        help="make a RecBole dataset from published files",
        description="Writes dataset/NAME/NAME.inter, NAME.item and card.json.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--dataset", required=True, metavar="NAME", help="name of the dataset")
    add("--data_path", default="dataset", metavar="FOLDER", help="default: %(default)s")
    add("--overwrite", action="store_true", help="replace a dataset, also a real one")
    add("--strict", action="store_true", help="refuse unusable lines instead of counting them")
    _add_files(parser.add_argument_group("tables (CSV, TSV, Parquet)"))
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
    if Path(args.dataset).name != args.dataset or args.dataset.startswith("."):
        raise SettingError(
            f"--dataset is a plain name, not {args.dataset!r}; --data_path says where."
        )
    folder = Path(args.data_path) / args.dataset
    chosen = filters.Filters(*(getattr(args, name) for name in filters.Filters._fields))
    source = _open(args)
    made = prepare(folder, source, chosen, args.overwrite)
    print("\n".join(summary(made, source.skips)))
    print(f"Written to {folder}.")
    print(f"Next: python run_recbole_sam.py --model=SAM --dataset={args.dataset}")
    return 0


def summary(made, skips):
    """What was read, left out, kept and found, a line each.

    Args:
        made (dict): a card.
        skips (Skips): the rows left out, with examples.

    Returns:
        list of str
    """
    width = max(len(step["step"]) for step in made["steps"])
    lines = [f"{'':{width}}  {'users':>9} {'items':>9} {'interactions':>13}"]
    for step in made["steps"]:
        lines.append(
            f"{step['step']:{width}}  {step['users']:>9,} {step['items']:>9,} "
            f"{step['interactions']:>13,}"
        )
    lines += [f"left out: {sentence}" for sentence in skips.sentences()]
    lines += [
        f"items: {count:,} x {kind}" for kind, count in made.get("titles", {}).items() if count
    ]
    lines.append(card_line(made))
    return lines


def _add_files(group):
    add = group.add_argument
    add("--interactions", metavar="FILE", help="a row an interaction")
    add("--items", metavar="FILE", help="a row an item")
    add("--delimiter", metavar="C", help="default: recognised from the first line")
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


def _open(args):
    if not args.interactions:
        raise SettingError("prepare needs --interactions=FILE.")
    columns = table.Columns(*(getattr(args, f"{name}_column") for name in table.Columns._fields))
    skips = Skips(args.strict)
    paths = [Path(file) for file in (args.interactions, args.items) if file]
    behaviours = set(args.behaviours.split(",")) if args.behaviours else None
    return Source(
        "table",
        table.read_interactions(paths[0], columns, skips, args.delimiter, behaviours),
        skips,
        tuple(paths),
        table.read_items(paths[1], columns, skips, args.delimiter) if args.items else None,
    )
