"""What is wrong with a dataset's folder, in one sentence, before RecBole reads it."""

import contextlib
import functools
import hashlib
import json
import urllib.error
from logging import getLogger
from pathlib import Path

from recbole.utils import ModelType

from recbole_sam.config import our_models, setting_names, yaml_files
from recbole_sam.data import titles
from recbole_sam.data.columns import check_header
from recbole_sam.errors import DataError, SettingError, UnknownNameError, nearest
from recbole_sam.files import read_whole
from recbole_sam.prepare.card import card_line, check_files, read_card
from recbole_sam.prepare.folder import is_synthetic
from recbole_sam.prepare.sources.lines import LONGEST_LINE


def synthetic_notice(config):
    """The line that every run on made-up data shows."""
    return (
        f"SYNTHETIC DATA: {config['data_path']} is a made-up sample, so no number of this run is a result; "
        f"`python -m recbole_sam prepare --dataset={config['dataset']}` puts the real data in its place."
    )


def folder_of(config):
    """Checks that a dataset is there and has what the model needs.

    Args:
        config (Config): RecBole's configuration; ``data_path`` is the dataset's folder.

    Raises:
        UnknownNameError: no such folder, and nothing RecBole could download.
        DataError: a file or a column is missing, or there is nothing in it, or the files are not those that
            the card describes.
        SettingError: a needed column is there but not to be loaded.
    """
    name, folder = config["dataset"], Path(config["data_path"])
    if not folder.is_dir():
        if name in setting_names.recbole_dataset_names() and not _is_another_dataset(name):
            return  # RecBole downloads it
        raise UnknownNameError(_unknown_dataset(name, folder))
    if config["benchmark_filename"] is None:
        _check_columns(folder / f"{name}.inter", config)
    if our_models.uses_item_texts(config) or our_models.uses_interests(config["model"]):
        titles.read_once(config)  # its checksum comes with it
    card = read_card(folder)
    if card is not None:
        check_files(folder, card)


def announce(config):
    """Logs what a dataset is: its card in one line, and whether it is made up."""
    folder = Path(config["data_path"])
    if is_synthetic(folder):
        getLogger().warning(synthetic_notice(config))
    card = read_card(folder)
    if card is not None:
        getLogger().info(card_line(card))


def something_left(dataset):
    """Refuses filters that leave nothing, where RecBole says that some feature is empty.

    Args:
        dataset (Dataset): of RecBole, filtered, before the rows are numbered anew.

    Raises:
        DataError: no interaction is left.
    """
    if not len(dataset.inter_feat):
        raise DataError(
            f"dataset '{dataset.config['dataset']}' has no interaction left: see user_inter_num_interval, "
            "item_inter_num_interval, val_interval and filter_inter_by_user_or_item."
        )


def has_training_samples(splits, config):
    """Refuses a split that leaves nothing to train on.

    Args:
        splits (list of Dataset): what RecBole's ``build`` returned, the training part first.
        config (Config): for the sentence.

    Raises:
        DataError: there is no training sample.
    """
    if not len(splits[0]) or sum(map(len, splits)) < 2:  # RecBole counts a model's operations on the second
        raise DataError(
            f"dataset '{config['dataset']}' leaves no training sample under the current split and filters: "
            f"{config['model']} needs users with more interactions (two items give one sample)."
        )


@contextlib.contextmanager
def loading(config):
    """Turns what RecBole or pandas says of a malformed file into one sentence.

    Raises:
        DataError: the files cannot be read as RecBole's atomic files.
    """
    try:
        yield
    except UnicodeDecodeError as error:
        # titles are read as UTF-8 whatever RecBole's setting says
        with_texts = our_models.uses_item_texts(config) or our_models.uses_interests(config["model"])
        other = "" if with_texts else ", or name their encoding: --encoding=<name>"
        raise DataError(
            f"cannot read dataset '{config['dataset']}' in {config['data_path']}: byte "
            f"0x{error.object[error.start]:02x} is not {error.encoding}. Save its files as UTF-8{other}."
        ) from error
    except urllib.error.URLError as error:
        raise DataError(
            f"dataset '{config['dataset']}' is not in {config['data_path']}, and RecBole cannot download it "
            f"({error.reason}): check the network, or put the files there by hand."
        ) from error
    except OSError as error:
        raise DataError(f"cannot read {error.filename or config['data_path']} ({error.strerror}).") from error
    # pandas' parser errors are ValueErrors; RecBole's code fails in other ways at what it does not expect
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError) as error:
        said = " ".join(str(error).split())[:160] or type(error).__name__
        raise DataError(
            f"cannot read dataset '{config['dataset']}' in {config['data_path']}: {said}"
        ) from error


def _is_another_dataset(name):
    """Whether RecBole's download of this name is not what our preset of the same name means."""
    file = yaml_files.dataset_file(name)
    return file.is_file() and "recbole_name" in yaml_files.content(file).get("source", {})


def _unknown_dataset(name, folder):
    here = [file.name for file in folder.parent.glob("*") if file.is_dir()]
    presets = yaml_files.dataset_names()
    if name in presets:
        return (
            f"dataset '{name}' is not in {folder}. `python -m recbole_sam prepare --dataset={name}` "
            "puts it there."
        )
    known = {*here, *presets, *setting_names.recbole_dataset_names()}
    return (
        f"there is no dataset '{name}' in {folder.parent}, among the presets of recbole-sam, or among "
        f"RecBole's downloads.{nearest(name, known)} A dataset of your own: `python -m recbole_sam prepare "
        f"--dataset={name} --interactions=<file> --items=<file>`."
    )


def _check_columns(file, config):
    if not file.is_file():
        raise DataError(
            f"{file} is missing: a RecBole dataset needs its interactions there. "
            f"`python -m recbole_sam prepare --dataset={config['dataset']} --interactions=<file>` makes it."
        )
    encoding = config["encoding"] or "utf-8"
    try:
        found = file.stat()
        header, has_rows = _head(file, (found.st_mtime_ns, found.st_size))
        header = header.decode(encoding, "replace")
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror or error}).") from None
    except LookupError:
        raise SettingError(f"encoding is '{encoding}', which Python does not know: try utf-8.") from None
    if not header and not has_rows:
        raise DataError(f"{file} is empty: prepare the dataset again.")
    columns = [column.split(":")[0] for column in header.split(config["field_separator"])]
    needed = [config["USER_ID_FIELD"], config["ITEM_ID_FIELD"]]
    if config["MODEL_TYPE"] == ModelType.SEQUENTIAL:
        needed.append(config["TIME_FIELD"])
    for column in filter(None, needed):
        if column not in columns:
            raise DataError(
                f"{file} has no column '{column}' (its header is '{_shown(header)}'): {config['model']} "
                f"needs {', '.join(needed)}."
            )
    load_col = config["load_col"] or {}
    chosen = load_col.get("inter", needed) if isinstance(load_col, dict) else needed
    for column in filter(None, needed):
        if chosen != "*" and column not in chosen:
            raise SettingError(
                f"load_col leaves out '{column}' of the .inter file: {config['model']} needs "
                f"{', '.join(needed)}."
            )
    if ":" not in header:
        typed = config["field_separator"].join(
            f"{name}:{'float' if name in (config['TIME_FIELD'], config['RATING_FIELD']) else 'token'}"
            for name in columns
        )
        raise DataError(f"the header of {file} has no types (it is '{_shown(header)}'): write '{typed}'.")
    check_header(file, header, config["field_separator"])
    if not has_rows:
        raise DataError(f"{file} holds no interactions.")


@functools.lru_cache(maxsize=4)
def _head(file, state):
    """The first line (bytes) and whether another follows; the file's checksum comes with it."""
    with open(file, "rb") as stream, read_whole(file) as seen:
        header = stream.readline(LONGEST_LINE)
        seen(header)
        has_rows = False
        while block := stream.read(1 << 20):
            has_rows = True
            seen(block)
    return header.rstrip(b"\r\n"), has_rows


def _shown(header):
    """A first line for a sentence: of a file that is no text, it may be anything."""
    return "".join(letter if letter.isprintable() or letter == "\t" else "?" for letter in header[:160])


def trained_on(dataset):
    """What a model that is trained on a dataset has to find again.

    RecBole numbers users and items as they come in the file: other numbers if its rows are in another order.

    Args:
        dataset (Dataset): a part of a split.

    Returns:
        dict: ``users``, ``items`` and, if the model reads them, ``item texts`` and ``interests`` to what
        identifies them.
    """
    tokens = dataset.field2id_token
    fields = {"users": dataset.uid_field, "items": dataset.iid_field}
    found = {name: _digest(tokens[field]) for name, field in fields.items() if field in tokens}
    texts, interests = getattr(dataset, "item_texts", None), getattr(dataset, "interests", None)
    if texts is not None:
        found["item texts"] = texts.made_of, texts.encoder
    if interests is not None:
        found["interests"] = interests.digest
    return found


def _digest(tokens):
    return hashlib.sha256(json.dumps(list(map(str, tokens))).encode(errors="surrogatepass")).hexdigest()
