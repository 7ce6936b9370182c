"""Stage 1 for a RecBole configuration: its dataset, its split, its settings, one interest store."""

import functools
import sys
from logging import getLogger

import numpy as np

from recbole_sam.config import our_models
from recbole_sam.config.groupings import ROUTING
from recbole_sam.config.setting_names import unknown
from recbole_sam.data import check, item_texts, store_location
from recbole_sam.data.store import ITEM_TEXTS, InterestStore, check_replaceable, write_store
from recbole_sam.data.titles import item_titles
from recbole_sam.encoders.embedding_cache import CachedEncoder
from recbole_sam.encoders.encode import make_encoder
from recbole_sam.errors import DataError, SettingError, StoreError
from recbole_sam.generators.base import COMPLETE, FAILED
from recbole_sam.generators.by_name import LLM_GENERATORS, check_engine
from recbole_sam.generators.choose import configured_generator
from recbole_sam.generators.dry_run import DryRunFinished
from recbole_sam.interests import ledger
from recbole_sam.interests.extract_settings import ExtractSettings
from recbole_sam.interests.pipeline import catalogue, extract
from recbole_sam.interests.progress import Progress

_TRANSFORMERS_SETTINGS = ("pooling", "max_length", "batch_size", "normalize")


def build_missing(config, say=None):
    """Builds what the configuration's model reads and nobody built yet: interests, item texts, or both.

    Interests that are there stay as they are, also where a language model left users without: two runs with
    equal settings train on equal data. A line says so, and what asks again.

    Args:
        config (Config): of any model.
        say (callable, optional): told, before the interests are built, who writes them; by default the log
            is told what cannot be seen there anyway.

    Raises:
        RecBoleSAMError: as :func:`build` and :func:`build_item_texts`.
    """
    encoder = one_encoder(config)
    if our_models.uses_interests(config["model"]):
        check_engine(config)
        if not store_location.path(config).exists():
            if say:
                say(f"building interests, generator {config['interest_generator']}")
            build(config, encoder=encoder)
        elif users := unanswered(config):
            (say or getLogger().warning)(
                f"{users:,} users have no interests, since the language model gave no answer for them. Ask "
                f"again for these with: {store_location.command(config, again=False)}"
            )
    if our_models.uses_item_texts(config):
        build_item_texts(config, encoder)


def check_store(config):
    """The leak guard on interests that are there, before anything is made of them. Loads the dataset.

    Args:
        config (Config): of a model that reads interests.

    Raises:
        StoreMissingError: there are none.
        StoreError: the store cannot be read.
        LeakGuardError: they were made from other training histories than the configuration's.
    """
    from recbole.data import create_dataset

    check_engine(config)
    dataset = create_dataset(config)
    dataset.open_store(dataset.split())


def unanswered(config):
    """How many users a language model gave no answer for, in a store that is there.

    Args:
        config (Config): of a model that reads interests.

    Returns:
        int: 0 also for a store that Stage 1 would not make with this configuration (another generator's, or
        one of other settings, by ``interest_store``).

    Raises:
        StoreError: the store cannot be read.
    """
    store = InterestStore.open(store_location.path(config))
    ours = store.fingerprint.get("configuration") == store_location.content(config)
    if config["interest_generator"] not in LLM_GENERATORS or not ours or FAILED not in store.status_names:
        return 0
    return int((store.statuses == store.status_names.index(FAILED)).sum())


def build_item_texts(config, encoder=None, again=False):
    """Encodes the titles of a dataset's items and keeps the vectors, unless they are there already.

    Args:
        config (Config): of a model that reads item texts.
        encoder (callable, optional): of :func:`one_encoder`, to learn from the titles once.
        again (bool): whether also if they are there.

    Returns:
        pathlib.Path: the file.

    Raises:
        RecBoleSAMError: the dataset has no texts, a setting makes no sense, or the file cannot be written.
    """
    check.folder_of(config)
    settings = our_models.settings_of_texts(config)
    without = f" Or do without: {' '.join(f'--{name}=False' for name in settings)}."
    try:
        titles = item_titles(config)
    except DataError as error:
        raise DataError(f"{config['model']} reads item texts: {error}{without}") from error
    path = item_texts.path(config, titles)
    if path.exists() and not again:
        return path
    distinct = catalogue(titles)
    if not distinct:
        raise DataError(
            f"{config['model']} reads item texts, and no item of '{config['dataset']}' has a title: give the "
            f"dataset an .item file with texts (prepare --items=...).{without}"
        )
    encoder = (encoder or one_encoder(config))().fit(distinct)
    row_of = {title: row for row, title in enumerate(distinct)}
    has_text = [bool(title) for title in titles.values()]
    write_store(
        path,
        users=list(titles),
        offsets=np.concatenate([[0], np.cumsum(has_text)]),
        phrase_index=[row_of[title] for title in titles.values() if title],
        phrases=distinct,
        embeddings=encoder.encode(distinct),
        history_hashes=item_texts.title_hashes(titles),
        statuses=[0] * len(titles),
        status_names=[COMPLETE],
        fingerprint={
            "dataset": config["dataset"],
            "encoder": encoder.fingerprint(),
            "made_of": item_texts.digest(config, titles),
        },
        dtype=config["interest_dtype"],
        kind=ITEM_TEXTS,
    )
    getLogger().info(
        f"Item texts: {sum(has_text):,} of {len(titles):,} items have one, encoded by "
        f"{config['text_encoder']}; kept in {path}"
    )
    return path


def build(config, dry_run=False, encoder=None):
    """Builds the interests of a configuration's training split and keeps them.

    Args:
        config (Config): of a model that reads interests. Its dataset is loaded here as RecBole loads it,
            and only what the split leaves for training is read.
        dry_run (bool): whether only to find out what a language model would be asked; nothing is kept.
        encoder (callable, optional): of :func:`one_encoder`, to learn from the titles once.

    Returns:
        ExtractSummary: counts and time; an Estimate after a dry run.

    Raises:
        RecBoleSAMError: the dataset has no texts, a setting makes no sense, the store cannot be written,
            or a language model stopped the run; what it answered until then is kept.
    """
    from recbole.utils import init_logger

    init_logger(config)
    check.folder_of(config)
    if config["interest_generator"] in LLM_GENERATORS:
        _refuse_unknown(config)
        if not dry_run:
            _refuse_second_payment(config)
    settings = extract_settings(config)
    encoder = (encoder or one_encoder(config))()
    generator = configured_generator(config, dry_run)
    titles = item_titles(config)
    path = store_location.path(config)
    check_replaceable(path)  # before anybody is asked
    logger = getLogger()
    logger.info(
        "Stage 1: interests of '%s' from its training items, generator %s, text encoder %s",
        config["dataset"], config["interest_generator"], config["text_encoder"],
    )  # fmt: skip
    users, histories = training_data(config)
    generator = ledger.noted(generator, path)
    try:
        # every run of a language model has its own report
        cost = (lambda: generator.report.cost()) if hasattr(generator, "report") else None
        with Progress(config["show_progress"], cost) as progress:
            summary = extract(
                users,
                histories,
                titles,
                encoder,
                generator,
                settings,
                path,
                extra=origin(config),
                progress=progress,
            )
    except DryRunFinished as finished:
        return finished.estimate
    finally:
        settle(generator)
    logger.info("Stage 1: %s", describe(summary))
    logger.info("Stage 1: kept in %s", path)
    return summary


def _refuse_unknown(config):
    """Refuses settings that nobody knows, where money is spent: one of them may be meant as a limit.

    Raises:
        SettingError: naming the first.
    """
    for name in unknown(config.external_config_dict):
        raise SettingError(
            f"the setting '{name}' is unknown, and a run that asks a language model starts with none that "
            "may be meant as a limit: leave it out. There are --dry-run (of the interests command, without a "
            "value), --llm_max_cost and --llm_max_users."
        )


def _refuse_second_payment(config):
    """Refuses to ask for other groups only because a default has changed, where answers are paid for already.

    Raises:
        SettingError: the interests of routing are there, and nobody chose another grouping.
    """
    chosen = "interest_grouping" in config.external_config_dict
    if chosen or config["interest_grouping"] == ROUTING or store_location.path(config).exists():
        return
    paid = store_location.path(config, ROUTING)
    if paid.exists():
        raise SettingError(
            f"{paid} holds interests of the grouping 'routing' that a language model has written already: "
            "keep using them with --interest_grouping=routing. What those of the new default would cost: "
            f"{store_location.command(config)} --interest_grouping={config['interest_grouping']} --dry-run."
        )


def settle(generator):
    """Tells what a generator did, and notes what of its spending is not noted yet.

    Nothing is logged for one that makes no calls.

    Args:
        generator (InterestGenerator): of :func:`ledger.noted`, after a run, also one that was stopped.

    Raises:
        StoreError: what was paid cannot be noted. When another error is under way, which this must not
            hide, it is logged instead.
    """
    if not hasattr(generator, "report"):
        return
    under_way = sys.exc_info()[1]
    if generator.report.users:
        getLogger().info("Stage 1, %s:\n%s", generator.name, "\n".join(generator.report.lines()))
    try:
        generator.note()
    except StoreError as error:
        if under_way is None:
            raise
        getLogger().error("%s", error)


def training_data(config):
    """The users of a configuration and the newest items of their training histories.

    Args:
        config (Config): of a model that reads interests.

    Returns:
        tuple: user tokens and, for each, its item tokens, oldest first.
    """
    from recbole.data import create_dataset

    dataset = create_dataset(config)
    return tuple(zip(*dataset.training_histories(dataset.split()), strict=True))


def origin(config):
    """What the store's fingerprint says of the data and the settings, a dict."""
    return {"dataset": config["dataset"], "configuration": store_location.content(config)}


def extract_settings(config):
    """The settings of routing and store, checked.

    Raises:
        SettingError: a value makes no sense.
    """
    names = (
        "grouping",
        "closeness",
        "k_min",
        "k_max",
        "alpha",
        "beta",
        "iterations",
        "history_length",
        "seed",
    )
    names += ("dtype",)
    return ExtractSettings(
        **{name: config[f"interest_{name}"] for name in names}, device=str(config["device"])
    )


def one_encoder(config):
    """A function that gives :func:`text_encoder` of a configuration, one object at all calls."""
    return functools.cache(lambda: text_encoder(config))


def text_encoder(config):
    """The text encoder of a configuration.

    Raises:
        SettingError: a value makes no sense.
        DataError: there is no such encoder or model.
    """
    name = str(config["text_encoder"])
    if name == "lsa":
        dim = config["text_encoder_dim"]
        if not isinstance(dim, int):
            raise SettingError(f"text_encoder_dim must be a whole number, not {dim!r}.")
        return make_encoder("lsa", dim=dim, seed=config["interest_seed"])
    settings = {key: config[f"text_{key}"] for key in _TRANSFORMERS_SETTINGS}
    encoder = make_encoder(name, device=str(config["device"]), **settings)
    folder = config["text_cache_dir"]
    return CachedEncoder(encoder, folder) if folder else encoder


def describe(summary):
    """A summary in one line.

    Args:
        summary (ExtractSummary): what :func:`build` returned.
    """
    histogram = "  ".join(f"K={k}: {users:,}" for k, users in summary.k_histogram.items())
    line = (
        f"{summary.users:,} users, {summary.phrases:,} distinct phrases of width {summary.width}, "
        f"{summary.seconds:.1f} s; {histogram}"
    )
    if summary.without_text:
        line += f" ({summary.without_text:,} users have no item with a text and get the default interest)"
    if summary.items_without_text:
        line += f"; {summary.items_without_text:,} of {summary.items:,} items have no text"
    others = {name: users for name, users in summary.statuses.items() if users and name != "complete"}
    return line + "".join(f"; {name}: {users:,}" for name, users in others.items())
