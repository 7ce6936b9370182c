"""``python -m recbole_sam interests``: Stage 1 alone."""

from pathlib import Path

from recbole_sam.config import configuration, our_models
from recbole_sam.data import check, store_location
from recbole_sam.data.histories import history_hash
from recbole_sam.data.store import InterestStore, check_replaceable
from recbole_sam.errors import DataError, LeakGuardError, SettingError, StoreMissingError
from recbole_sam.interests import stage1
from recbole_sam.interests.describe import store_lines, user_lines
from recbole_sam.interests.exporting import FORMS, export_interests
from recbole_sam.interests.grouping.grouper import catalogue_scale
from recbole_sam.interests.importing import import_interests, read_interests
from recbole_sam.interests.pipeline import catalogue
from recbole_sam.llm.answers import FILE_NAME
from recbole_sam.llm.settings import LLMSettings

SHOWN_USERS = 3


def add_parser(subparsers, help):
    """Adds the subcommand ``interests``, which takes any RecBole setting as ``--key=value``."""
    parser = subparsers.add_parser(
        "interests",
        help=help,
        description="Stage 1 of a dataset's training split, with any setting of the run script as "
        "--key=value, for example --dataset=ml-100k --interest_k_max=6. Short for settings of language "
        "models: " + ", ".join(f"--{short} ({name})" for short, name in configuration.SHORT.items()) + ".",
        allow_abbrev=False,
    )
    parser.add_argument(
        "action",
        nargs="?",
        choices=tuple(ACTIONS),
        default="build",
        help="build (default); stats; show --user=U; import FILE ...; export FILE",
    )
    parser.add_argument("files", nargs="*", metavar="FILE", help="of import and export")
    parser.add_argument("--rebuild", action="store_true", help="build again what is there already")
    parser.add_argument(
        "--dry-run", action="store_true", help="ask nothing: count prompts, tokens, price and time"
    )
    parser.add_argument("--user", metavar="U", help="of show: a user token")
    parser.add_argument("--form", choices=FORMS, default=FORMS[0], help="of export to CSV")
    parser.set_defaults(takes_settings=True)
    return parser


def run(args):
    """Does what was asked with the interests of one configuration.

    Args:
        args (argparse.Namespace): as :func:`add_parser` defines it, and ``settings``.

    Returns:
        int: 0.

    Raises:
        RecBoleSAMError: one sentence on what is wrong.
    """
    config = configuration.make_config(configuration.parse_words(args.settings))
    if not our_models.uses_interests(config["model"]):
        if args.action == "build" and not args.dry_run and our_models.uses_item_texts(config):
            print(stage1.build_item_texts(config, again=args.rebuild))
            return 0
        raise SettingError(f"{config['model']} reads no interests: name a model that does, such as SAM.")
    if args.files and args.action not in ("import", "export"):
        raise SettingError(f"cannot read '{args.files[0]}': settings are given as --key=value.")
    print("\n".join(ACTIONS[args.action](config, args)))
    return 0


def build(config, args):
    """Builds interests, and item texts, unless all are there; lines with the K histogram and a few users.

    For users whom a language model gave no answer they are built again: all other answers are in the cache.
    Interests that were made from other training histories are refused, for no model would take them.
    """
    path = store_location.path(config)
    if args.dry_run:
        return stage1.build(config, dry_run=True).lines()
    encoder = stage1.one_encoder(config)
    if args.rebuild or not path.exists():
        stage1.build(config, encoder=encoder)
    else:
        stage1.check_store(config)
        if users := stage1.unanswered(config):
            cache = Path(LLMSettings.from_config(config).cache_dir) / FILE_NAME
            if not cache.is_file():
                raise SettingError(
                    f"{users:,} users have no interests, since the language model gave no answer for them. "
                    "To ask for these alone, name the cache with the answers by --llm_cache_dir: there is "
                    f"none at {cache}. --rebuild asks for everybody."
                )
            stage1.build(config, encoder=encoder)
    if our_models.uses_item_texts(config):
        stage1.build_item_texts(config, encoder, args.rebuild)
    store = InterestStore.open(path)
    shown = [row for row in range(store.n_users) if store.offsets[row] < store.offsets[row + 1]]
    lines = [str(path), *store_lines(store, most=0)]
    for row in shown[:SHOWN_USERS]:
        lines.append(f"user {store.users[row]}")
        lines += [f"  - {phrase}" for phrase in store.phrases_of(row)]
    return lines


def stats(config, args):
    """Lines with the K histogram, coverage, phrase lengths and the most frequent phrases."""
    store = _open(config)
    return [str(store.path), *store_lines(store)]


def show(config, args):
    """Lines with one user's history, K, groups and phrases."""
    if not args.user:
        raise SettingError("name a user token: interests show --dataset=... --user=U")
    store = _open(config)
    [row] = store.rows([args.user])
    if row < 0:
        raise DataError(f"{store.path} has no user '{args.user}'.")
    texts = stage1.item_titles(config)
    history = dict(zip(*stage1.training_data(config), strict=True)).get(args.user)
    if history is None or history_hash(history) != store.history_hashes[row].tobytes():
        now = "no" if history is None else "another"
        raise LeakGuardError(
            f"user '{args.user}' is in {store.path}, but has {now} training history in '{config['dataset']}' "
            "now: the data has changed since. Build the interests again with: "
            f"{store_location.command(config)}"
        )
    encoder = stage1.text_encoder(config).fit(catalogue(texts))
    titles = [texts[item] for item in history if texts.get(item)]
    settings = stage1.extract_settings(config)
    return user_lines(
        args.user,
        titles,
        encoder.encode(titles),
        settings,
        store.phrases_of(row),
        store.status_names[store.statuses[row]],
        catalogue_scale(encoder, catalogue(texts), settings),
    )


def _open(config):
    """The interests that are there. For a misspelt dataset the error says so, and not to build them."""
    try:
        return InterestStore.open(store_location.existing(config))
    except StoreMissingError:
        check.folder_of(config)
        raise


def take_in(config, args):
    """Makes a store of interests that somebody else made; lines with what was taken."""
    if not args.files:
        raise SettingError("name the files: interests import interests.pt interests.csv --dataset=...")
    imported = read_interests(args.files)
    if not config["interest_store"]:
        config["interest_generator"] = store_location.IMPORTED  # its own file: nobody mistakes it for ours
    path = store_location.path(config)
    if path.exists() and not args.rebuild:
        raise SettingError(f"{path} exists already: add --rebuild to replace it.")
    check_replaceable(path)
    encoder = None
    if imported.vectors is None:
        encoder = stage1.text_encoder(config).fit(catalogue(stage1.item_titles(config)))
    users, histories = stage1.training_data(config)
    summary = import_interests(
        imported, users, histories, encoder, path, config["interest_dtype"], stage1.origin(config)
    )
    return [
        f"{summary.matched:,} of {summary.users:,} users have interests now, {summary.phrases:,} distinct "
        f"phrases of width {summary.width}; {summary.unknown:,} users of the files are not in the dataset",
        "The files do not say which items they were made from: that nothing of validation or test went into "
        "them rests on your word.",
        f"kept in {path}",
        "Runs use them with --interest_generator=imported"
        + (f" --interest_store={path}" if config["interest_store"] else ""),
    ]


def give_out(config, args):
    """Writes the interests to a CSV, TSV or JSONL file; a line with the count."""
    if len(args.files) != 1:
        raise SettingError("name one file: interests export interests.csv --dataset=...")
    if args.form != FORMS[0] and args.files[0].endswith(".jsonl"):
        raise SettingError(f"--form={args.form} is a form of CSV and TSV: leave it out, or name such a file.")
    store = _open(config)
    users = export_interests(store, args.files[0], args.form)
    return [f"{users:,} users written to {args.files[0]}"]


ACTIONS = {"build": build, "stats": stats, "show": show, "import": take_in, "export": give_out}
