"""The titles of a dataset's items, and a digest that changes with any of them."""

import functools
import hashlib
import json
from pathlib import Path

from recbole_sam.errors import DataError
from recbole_sam.prepare.atomic import read_item_columns
from recbole_sam.prepare.sources import presets
from recbole_sam.prepare.text import clean_title

BRAND, CATEGORIES = "brand", "categories"
"""The columns of an .item file, as `prepare` names them."""


def item_titles(config):
    """The cleaned texts of a dataset's items.

    Args:
        config (Config): names the dataset and ``item_text_fields``.

    Returns:
        dict: item token (str) to text (str), empty where an item has none.

    Raises:
        DataError: there is no readable ``.item`` file with those fields.
    """
    path = _file(config)
    if not path.is_file() and (other := presets.titled(config["dataset"])) is not None:
        raise DataError(
            f"'{config['dataset']}' is RecBole's download, which has ratings and no titles: the same "
            f"category with titles is '{other}' (python -m recbole_sam prepare --dataset={other})."
        )
    return dict(_clean(path, *_columns(config), _state(path)))


def titles_digest(config):
    """The SHA-256 of all titles as published, in whatever order the file has them.

    Args:
        config (Config): as of :func:`item_titles`.

    Returns:
        str or None: 64 hexadecimal digits; None where the dataset has no titles that can be read, of which
        :func:`item_titles` lists who needs them.
    """
    path = _file(config)
    try:
        return _digest(path, *_columns(config), _state(path))
    except DataError:
        return None


def item_facts(config):
    """What the items' brands and categories are, where the dataset has columns for them.

    Args:
        config (Config): as of :func:`item_titles`.

    Returns:
        dict: item token to brand and category (tuple of str, "" for what is unknown); the category is the
        last, narrowest one.

    Raises:
        DataError: as :func:`item_titles`.
    """
    path = _file(config)
    return dict(_facts(path, *_columns(config), _state(path)))


def facts_digest(config):
    """The SHA-256 of :func:`item_facts`; None where the dataset has no items that can be read."""
    path = _file(config)
    try:
        return _facts_digest(path, *_columns(config), _state(path))
    except DataError:
        return None


def read_once(config):
    """Reads the titles before anything else does, so that a run reads the file once."""
    titles_digest(config)


# Kept as long as the file's state is the same, since a run asks often: one read, one digest, one cleaning.


@functools.lru_cache(maxsize=4)
def _digest(*file):
    # as they are published: a million titles take 3 s, cleaned they would take 20
    return _sha256((token, text) for token, (text, *_) in _published(*file).items())


@functools.lru_cache(maxsize=4)
def _facts_digest(*file):
    return _sha256(_facts(*file).items())


def _sha256(pairs):
    return hashlib.sha256(json.dumps(sorted(pairs)).encode()).hexdigest()


@functools.lru_cache(maxsize=4)
def _clean(*file):
    return {token: clean_title(text) for token, (text, *_) in _published(*file).items()}


@functools.lru_cache(maxsize=4)
def _published(path, fields, id_field, separator, state):
    return read_item_columns(path, fields, (BRAND, CATEGORIES), id_field, separator)


@functools.lru_cache(maxsize=4)
def _facts(*file):
    items = _published(*file)
    if not any(brand or categories for _, brand, categories in items.values()):
        return {}
    return {
        token: (clean_title(brand), clean_title(categories.split(", ")[-1]))
        for token, (_, brand, categories) in items.items()
    }


def _state(path):
    """What changes with a file; None where it cannot be found, which its reader says."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _file(config):
    return Path(config["data_path"]) / f"{config['dataset']}.item"


def _columns(config):
    fields = config["item_text_fields"]
    fields = (fields,) if isinstance(fields, str) else tuple(fields)
    return fields, config["ITEM_ID_FIELD"], config["field_separator"]
