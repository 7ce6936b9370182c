"""The titles of a dataset's items, and a digest that changes with any of them."""

import functools
import hashlib
import json
from pathlib import Path

from recbole_sam.errors import DataError
from recbole_sam.prepare.atomic import read_item_texts
from recbole_sam.prepare.sources import presets
from recbole_sam.prepare.text import clean_title


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
    other = presets.titled(config["dataset"])
    if other is not None and not path.is_file():
        raise DataError(
            f"'{config['dataset']}' is RecBole's download, which has ratings and no titles: the same "
            f"category with titles is '{other}' (python -m recbole_sam prepare --dataset={other})."
        )
    texts = read_item_texts(path, *_columns(config))
    return {token: clean_title(text) for token, text in texts.items()}


def titles_digest(config):
    """The SHA-256 of all titles as published, in whatever order the file has them.

    Args:
        config (Config): as of :func:`item_titles`.

    Returns:
        str or None: 64 hexadecimal digits; None where the dataset has no titles that can be read, of which
        :func:`item_titles` tells who needs them.
    """
    path = _file(config)
    try:
        state = path.stat()
        return _digest(path, *_columns(config), (state.st_mtime_ns, state.st_size))
    except (OSError, DataError):
        return None


@functools.lru_cache(maxsize=8)
def _digest(path, fields, id_field, separator, state):
    """Kept as long as the file's state is the same, for a run asks often. A million titles take 3 s as they
    are published; cleaned they would take 20.
    """
    titles = sorted(read_item_texts(path, fields, id_field, separator).items())
    return hashlib.sha256(json.dumps(titles).encode()).hexdigest()


def _file(config):
    return Path(config["data_path"]) / f"{config['dataset']}.item"


def _columns(config):
    fields = config["item_text_fields"]
    fields = (fields,) if isinstance(fields, str) else tuple(fields)
    return fields, config["ITEM_ID_FIELD"], config["field_separator"]
