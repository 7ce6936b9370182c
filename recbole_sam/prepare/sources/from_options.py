"""Which source the options of ``prepare`` mean."""

from functools import partial
from pathlib import Path

from tqdm import tqdm

from recbole_sam.errors import DataError, SettingError, UnknownNameError, nearest
from recbole_sam.prepare.conversion import Source
from recbole_sam.prepare.sources import amazon, atomic_folder, download, lines, movielens, presets, table
from recbole_sam.prepare.sources.skips import Skips


def preset_of(args):
    """The preset the options mean.

    Args:
        args (argparse.Namespace): ``dataset`` and ``preset``.

    Returns:
        Preset or None: None when the user's own files need none.

    Raises:
        UnknownNameError: ``--preset`` names none.
    """
    preset = presets.load(args.preset or args.dataset)
    if preset is None and args.preset:
        raise UnknownNameError(f"There is no preset {args.preset!r}.{nearest(args.preset, presets.names())}")
    return preset


def open_source(args, preset):
    """The source the options mean, downloaded first if need be.

    Args:
        args (argparse.Namespace): of ``prepare``.
        preset (Preset or None): as `preset_of` returns it.

    Returns:
        Source: opened; nothing is read yet but the names of a table's columns.

    Raises:
        DataError: a file is missing or could not be downloaded.
        SettingError: two sources are given, or one that only the user can give is not, or an option
            that the source does not read.
        UnknownNameError: no file is given and the name is unknown.
    """
    way = _way(args, preset)
    _refuse_unread(args, way)
    if not getattr(args, way):
        for role, path in _download(args, preset).items():
            if getattr(args, role) is None:
                setattr(args, role, path)
    item_skips = Skips(args.strict)
    source = _WAYS[way](args, preset, Skips(args.strict), item_skips)
    for file in source.files:  # all of them before the first is read, which may take long
        with lines.reading(file):
            lines.refuse_irregular(file)
    return source._replace(title_field=_title_field(presets.load(args.dataset)), item_skips=item_skips)


def source_given(args):
    """bool: whether the options name a file or a folder to read."""
    return any(getattr(args, option) for option in (*_WAYS, "items", "meta"))


def _way(args, preset):
    """The option that gives the source, or would if the files were not downloaded."""
    given = [way for way in _WAYS if getattr(args, way)]
    if len(given) > 1:
        raise SettingError(f"--{given[0]} and --{given[1]} are two sources; give one.")
    if given:
        return given[0]
    if preset and preset.files:
        return next(role for role in preset.files if role in _WAYS)
    if preset and preset.reader == "included":
        raise SettingError(
            f"{preset.title} is inside RecBole; to give it other items, name its folder with --atomic=FOLDER."
        )
    if preset:
        raise SettingError(f"The {preset.title} is yours: give it with --interactions=FILE.")
    if titled := presets.titled(args.dataset):
        raise UnknownNameError(f"{args.dataset} is RecBole's, without titles: give --dataset={titled}.")
    raise UnknownNameError(
        f"{args.dataset} is not a dataset known here, so give its files (--interactions=, "
        f"--reviews= or --atomic=).{nearest(args.dataset, presets.names())}"
    )


def _refuse_unread(args, way):
    """Refuses options that this source would silently ignore."""
    read = set(_READS[way])
    if args.items and "items" in read:
        read.update(_OF_ITEM_TABLES)
    unread = [
        f"--{option.replace('_', '-')}"
        for option in ("items", "meta", *_OF_LOGS, *_OF_ITEM_TABLES)
        if getattr(args, option) and option not in read
    ]
    if unread:
        raise SettingError(f"--{way} does not read {', '.join(unread)}: leave that out.")
    if args.items and args.meta:
        raise SettingError("--items and --meta both describe the items; give one.")
    _refuse_pointless(args, way)


def _refuse_pointless(args, way):
    """Refuses options that would change nothing beside the others."""
    log, items = Path(args.interactions or ""), Path(args.items or "")
    tables = [path for path, given in ((log, args.interactions), (items, args.items)) if given]
    pointless = {
        "--behaviour-column names a column that only --behaviours reads": args.behaviour_column
        and not args.behaviours,
        f"--header is for a file without column names, and {log} is Parquet": args.header
        and table.is_parquet(log),
        "--delimiter is for CSV and TSV, and the tables are Parquet": args.delimiter
        and tables and all(map(table.is_parquet, tables)),
        "--cache and --offline are for downloads, and the files are given": getattr(args, way)
        and (args.cache or args.offline),
        f"--preset={args.preset} does not describe --{way}": args.preset
        and way not in (_PRESET_WAYS.get(presets.load(args.preset).reader), "atomic"),
    }  # fmt: skip
    for why, is_pointless in pointless.items():
        if is_pointless:
            raise SettingError(f"{why}: leave it out.")


def _title_field(preset):
    """The field that runs read titles from: a dataset's settings go by its name."""
    return preset.title_field if preset else "title"


def _download(args, preset):
    """Paths in the cache by role, fetched where they are missing; no metadata beside ``--items``."""
    files = {role: file for role, file in preset.files.items() if not (role == "meta" and args.items)}
    cache = Path(args.cache) if args.cache else download.cache_folder()
    paths = {}
    for role, remote in files.items():
        paths[role] = cache / remote.name
        if getattr(args, role) or paths[role].is_file():
            continue
        try:
            if args.offline:
                raise download.FetchError("--offline was given")
            with tqdm(desc=remote.name, unit="B", unit_scale=True, disable=None) as bar:
                download.fetch(remote, cache, report=lambda done, total, bar=bar: _show(bar, done, total))
        except download.FetchError as error:
            names = [each.name for each in files.values()]
            options = " ".join(f"--{part}={each.name}" for part, each in files.items())
            raise DataError(
                f"{preset.title} could not be downloaded ({error}). Fetch {' and '.join(names)} by "
                f"hand from {preset.page} and run: python -m recbole_sam prepare "
                f"--dataset={args.dataset} {options}"
            ) from None
    return paths


def _show(bar, done, total):
    bar.total = total
    bar.update(done - bar.n)


def _open_amazon(args, preset, skips, item_skips):
    path = Path(args.reviews)
    known = args.meta or args.items
    # The name and the published length hold for the published file only.
    remote = preset.files.get("reviews") if preset else None
    published = remote is not None and path.name == remote.name
    return Source(
        preset.title if published else "Amazon reviews",
        amazon.read_reviews(path, skips),
        skips,
        (path, Path(known)) if known else (path,),
        _described(args, preset, item_skips),
        remote.lines if published else None,
    )


def _open_movielens(args, preset, skips, item_skips):
    path = Path(args.archive)
    return Source(
        "MovieLens 1M",
        movielens.read_ratings(path, skips),
        skips,
        (path,),
        lambda wanted: movielens.read_movies(path, item_skips),
    )


def _open_atomic(args, preset, skips, item_skips):
    inter = atomic_folder.inter_file(Path(args.atomic))
    item = inter.with_suffix(".item")
    title = _title_field(presets.load(args.dataset))
    if args.meta or args.items:
        items = _described(args, preset, item_skips)
        known = Path(args.meta or args.items)
    elif item.is_file():
        title = args.title_column or _title_field(preset)
        items = partial(atomic_folder.read_items, item, title)
        known = item
    elif args.title_column:
        raise DataError(f"{item} does not exist, so it has no column {args.title_column!r} of titles.")
    else:
        items = known = None
    lost = ", ".join(atomic_folder.lost_fields(inter, title))
    if lost and (Path(args.data_path) / args.dataset).resolve() == inter.parent.resolve():
        raise DataError(
            f"{inter.parent} would lose columns that prepare does not take over ({lost}): prepare it under "
            "another --dataset name."
        )
    return Source(
        f"RecBole dataset {inter.stem}",
        atomic_folder.read_interactions(inter, skips),
        skips,
        (inter, known) if known else (inter,),
        items,
        notes=(f"columns not taken over: {lost}",) if lost else (),
    )


def _open_tables(args, preset, skips, item_skips):
    columns = _columns(args, preset)
    names = _listed(args.header, "--header", "column", empty=True)
    path = Path(args.interactions)
    rows = table.read_interactions(path, columns, skips, args.delimiter, names, _behaviours(args))
    if args.items and Path(args.items).resolve() == path.resolve():
        item_skips = Skips()  # its bad rows are counted as interactions already
    items, known = _described(args, preset, item_skips), args.meta or args.items
    if items is None and table.has_titles(path, columns, args.delimiter, names):
        # a log with the title in every row
        items, known = (
            lambda wanted: table.read_items(path, columns, Skips(), args.delimiter, names),
            path,
        )
    unread = [name for name in _OF_ITEM_TABLES if name != "delimiter" and getattr(args, name)]
    if items is None and unread:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in unread)
        raise SettingError(f"{options} would do nothing: {path} has no titles, and there is no --items.")
    return Source(
        preset.title if preset and preset.reader == "table" else "table",
        rows,
        skips,
        tuple(dict.fromkeys(Path(each) for each in (path, known) if each)),
        items,
    )


def _described(args, preset, item_skips):
    """The items of ``--meta`` or ``--items``; None without either."""
    if args.meta:
        return partial(amazon.read_metadata, Path(args.meta), item_skips)
    if args.items:
        columns = _columns(args, preset)
        return lambda wanted: table.read_items(Path(args.items), columns, item_skips, args.delimiter)
    return None


def _columns(args, preset):
    usual = (preset.columns or {}) if preset else {}
    return table.Columns(
        **{name: getattr(args, f"{name}_column") or usual.get(name) for name in table.Columns._fields}
    )


def _behaviours(args):
    names = _listed(args.behaviours, "--behaviours", "behaviour")
    return set(names) if names else None


def _listed(text, option, what, empty=False):
    """The names in a comma-separated option, each once; empty ones where columns may go without a name."""
    if text is None:
        return None
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if not name and not empty:
            raise SettingError(f"{option}={text} has an empty name: put one comma between two names.")
        if name and names.count(name) > 1:
            raise SettingError(f"{option}={text} names the {what} {name!r} twice.")
    return names


_WAYS = {
    "interactions": _open_tables,
    "atomic": _open_atomic,
    "reviews": _open_amazon,
    "archive": _open_movielens,
}
"""The option that gives a source -> what opens it."""

_PRESET_WAYS = {"amazon": "reviews", "movielens": "archive", "table": "interactions"}
"""The reader of a preset -> the option that gives its source."""

_OF_LOGS = (
    "header", "behaviours", "user_column", "item_column", "rating_column", "time_column", "behaviour_column",
)  # fmt: skip
_OF_ITEM_TABLES = (
    "delimiter", "item_id_column", "title_column", "brand_column", "category_column", "price_column",
)  # fmt: skip

_READS = {
    "interactions": ("items", "meta", *_OF_LOGS, *_OF_ITEM_TABLES),
    "atomic": ("items", "meta", "title_column"),
    "reviews": ("items", "meta"),
    "archive": (),
}
"""The option that gives a source -> the others it reads; with ``--items``, those of its table as well."""
