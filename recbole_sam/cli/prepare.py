"""``python -m recbole_sam prepare``: published files to a RecBole dataset."""

from pathlib import Path

from tqdm import tqdm

from .. import properties
from ..data import download, filters, presets, report
from ..data.card import card_line
from ..data.folder import check_free
from ..data.prepare import Source, prepare
from ..data.skips import Skips
from ..data.sources import amazon, atomic_folder, movielens, table
from ..errors import DataError, SettingError, UnknownNameError, nearest

_NEXT = "Next: python run_recbole_sam.py --model=SAM --dataset={}"


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
        description="Writes dataset/NAME/NAME.inter, NAME.item and card.json. Datasets known by "
        f"name need no files, they are downloaded: {', '.join(properties.dataset_names())}.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--dataset", required=True, metavar="NAME", help="name of the dataset")
    add("--data_path", default="dataset", metavar="FOLDER", help="default: %(default)s")
    add("--overwrite", action="store_true", help="replace a dataset, also a real one")
    add("--strict", action="store_true", help="refuse unusable lines instead of counting them")
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
    if Path(args.dataset).name != args.dataset or args.dataset.startswith("."):
        raise SettingError(
            f"--dataset is a plain name, not {args.dataset!r}; --data_path says where."
        )
    folder = Path(args.data_path) / args.dataset
    check_free(folder, args.overwrite)  # before a long download
    if args.report:
        report.drawing()  # says what to install before the work, not after
    preset = _preset(args)
    if preset and preset.reader == "included":
        print(f"{preset.title} with titles is inside RecBole; there is nothing to prepare.")
        print(_NEXT.format(args.dataset))
        return 0
    source = _open(args, preset)
    source = source._replace(rows=tqdm(source.rows, "reading", unit=" rows", disable=None))
    chosen = filters.Filters(*(getattr(args, name) for name in filters.Filters._fields))
    made = prepare(folder, source, chosen, args.overwrite)
    print("\n".join(summary(made, source.skips)))
    print(f"Written to {folder}.")
    if args.report:
        print(f"Look at {report.write_report(folder, source.title_field)}.")
    print(_NEXT.format(args.dataset))
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
    lines += [f"repaired: {count:,} x {why}" for why, count in made["repaired"].items()]
    lines += [f"note: {note}" for note in made["notes"]]
    lines += [
        f"items: {count:,} x {kind}" for kind, count in made.get("titles", {}).items() if count
    ]
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


def _preset(args):
    """The preset to follow; None when the user's own files need none."""
    preset = presets.load(args.preset or args.dataset)
    if preset is None and args.preset:
        raise UnknownNameError(
            f"There is no preset {args.preset!r}.{nearest(args.preset, presets.names())}"
        )
    return preset


def _open(args, preset):
    skips = Skips(args.strict)
    ways = {
        "interactions": _open_tables,
        "atomic": _open_atomic,
        "reviews": _open_amazon,
        "archive": _open_movielens,
    }
    given = [way for way in ways if getattr(args, way)]
    if len(given) > 1:
        raise SettingError(f"--{given[0]} and --{given[1]} are two sources; give one.")
    if given:
        return ways[given[0]](args, preset, skips)
    if preset and preset.files:
        for role, path in _download(args, preset).items():
            if getattr(args, role) is None:
                setattr(args, role, path)
        return _open(args, preset)
    if preset:
        raise SettingError(f"The {preset.title} is yours: give it with --interactions=FILE.")
    raise UnknownNameError(
        f"{args.dataset} is not a dataset known here, so give its files (--interactions=, "
        f"--reviews= or --atomic=).{nearest(args.dataset, presets.names())}"
    )


def _download(args, preset):
    """Paths in the cache by role, fetched where they are missing."""
    cache = Path(args.cache) if args.cache else download.cache_folder()
    paths = {}
    for role, remote in preset.files.items():
        paths[role] = cache / remote.name
        if getattr(args, role) or paths[role].is_file():
            continue
        try:
            if args.offline:
                raise download.FetchError("--offline was given")
            with tqdm(desc=remote.name, unit="B", unit_scale=True, disable=None) as bar:
                download.fetch(
                    remote, cache, report=lambda done, total, bar=bar: _show(bar, done, total)
                )
        except download.FetchError as error:
            names = [each.name for each in preset.files.values()]
            options = " ".join(f"--{part}={each.name}" for part, each in preset.files.items())
            raise DataError(
                f"{preset.title} could not be downloaded ({error}). Fetch {' and '.join(names)} by "
                f"hand from {preset.page} and run: python -m recbole_sam prepare "
                f"--dataset={args.dataset} {options}"
            ) from None
    return paths


def _show(bar, done, total):
    bar.total = total
    bar.update(done - bar.n)


def _open_amazon(args, preset, skips):
    paths = [Path(file) for file in (args.reviews, args.meta) if file]
    # The name and the published length hold for the published file only.
    remote = preset.files.get("reviews") if preset else None
    published = remote is not None and paths[0].name == remote.name
    return Source(
        preset.title if published else "Amazon reviews",
        amazon.read_reviews(paths[0], skips),
        skips,
        tuple(paths),
        (lambda wanted: amazon.read_metadata(paths[1], skips, wanted)) if args.meta else None,
        remote.lines if published else None,
    )


def _open_movielens(args, preset, skips):
    path = Path(args.archive)
    return Source(
        "MovieLens 1M",
        movielens.read_ratings(path, skips),
        skips,
        (path,),
        lambda wanted: movielens.read_movies(path, skips),
        title_field=preset.title_field if preset else "title",
    )


def _open_atomic(args, preset, skips):
    inter = atomic_folder.inter_file(Path(args.atomic))
    item = inter.with_suffix(".item")
    if args.meta:
        known = Path(args.meta)
        items = lambda wanted: amazon.read_metadata(known, skips, wanted)  # noqa: E731
    elif args.items:
        known = Path(args.items)
        columns = _columns(args, preset)
        items = lambda wanted: table.read_items(known, columns, skips, args.delimiter)  # noqa: E731
    elif item.is_file():
        known = item
        items = lambda wanted: atomic_folder.read_items(item)  # noqa: E731
    else:
        known = items = None
    files = (inter, known) if known else (inter,)
    rows = atomic_folder.read_interactions(inter, skips)
    return Source(f"RecBole dataset {inter.stem}", rows, skips, files, items)


def _open_tables(args, preset, skips):
    columns = _columns(args, preset)
    names = args.header.split(",") if args.header else None
    how = {"delimiter": args.delimiter, "names": names}
    interactions = Path(args.interactions)
    items = Path(args.items) if args.items else None
    if items is None and table.has_titles(interactions, columns, **how):
        items = interactions  # a log with the title in every row
    return Source(
        preset.title if preset and preset.reader == "table" else "table",
        table.read_interactions(interactions, columns, skips, behaviours=_behaviours(args), **how),
        skips,
        tuple(dict.fromkeys(path for path in (interactions, items) if path)),
        (lambda wanted: table.read_items(items, columns, skips, **how)) if items else None,
    )


def _columns(args, preset):
    usual = (preset.columns or {}) if preset else {}
    return table.Columns(
        **{
            name: getattr(args, f"{name}_column") or usual.get(name)
            for name in table.Columns._fields
        }
    )


def _behaviours(args):
    return set(args.behaviours.split(",")) if args.behaviours else None
