"""Item texts as vectors: what the text encoder makes of every title, in a file beside the dataset.

The file has the format of an interest store, with items in place of users and an item's title as its only
phrase: distinct titles are kept once, and an item without a title has none.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import torch

from recbole_sam.config import setting_names
from recbole_sam.data import store_location
from recbole_sam.data.histories import HASH_BYTES, history_hash
from recbole_sam.data.store import ITEM_TEXTS, InterestStore
from recbole_sam.data.titles import item_titles
from recbole_sam.errors import StoreError, StoreMissingError

AT_ONCE = 1024
"""Titles read together, 1.5 MB of 768 numbers in float16: a million are 1.5 GB beside the table."""


def path(config, titles):
    """Where the vectors of some titles are kept.

    Args:
        config (Config): names the dataset and the text encoder.
        titles (dict): what :func:`item_titles` returned.

    Returns:
        pathlib.Path: a name that differs when the encoder or any title differs, so that old vectors are
        never read for new titles.
    """
    encoder = Path(str(config["text_encoder"])).name
    key = digest(config, titles)[:8]
    return store_location.folder(config) / f"{config['dataset']}.item-texts-{encoder}-{key}.safetensors"


def digest(config, titles):
    """The SHA-256 of all that the vectors are made of: titles by item, and the text encoder's settings."""
    settings = {name: config[name] for name in setting_names.ENCODER}
    content = json.dumps([settings, sorted(titles.items())], default=str)
    return hashlib.sha256(content.encode(errors="surrogatepass")).hexdigest()


def title_hashes(titles):
    """What stands in the file in place of the users' histories: a hash of every title, uint8 [items, 16]."""
    hashes = b"".join(history_hash([title]) for title in titles.values())
    return np.frombuffer(hashes, np.uint8).reshape(-1, HASH_BYTES)


def load(config, tokens):
    """The text vectors of a dataset's items.

    Args:
        config (Config): names the dataset and the text encoder.
        tokens (sequence of str): the token of every item ID; the first is padding.

    Returns:
        ItemTexts: one row an item ID.

    Raises:
        StoreMissingError: nobody encoded these titles yet.
        StoreError: the file cannot be used.
    """
    titles = item_titles(config)
    file = path(config, titles)
    if not file.exists():
        raise StoreMissingError(
            f"there are no vectors of the item texts at {file} yet: build them with: "
            f"{store_location.command(config, again=False)}"
        )
    store = InterestStore.open(file, ITEM_TEXTS)
    _check_made_of(store, config, titles)
    store_location.check_encoder(store, config)
    return ItemTexts(file, tokens)


def _check_made_of(store, config, titles):
    """Refuses a file of other titles, or of another encoder, that was put in the place of the right one.

    Raises:
        StoreError: saying so.
    """
    made_of = store.fingerprint.get("made_of")
    if made_of is None:  # of an earlier version
        same = list(store.users) == list(titles)
        same = same and np.array_equal(store.history_hashes, title_hashes(titles))
    else:
        same = made_of == digest(config, titles)
    if not same:
        raise StoreError(
            f"the item texts in {store.path} were made from other titles, or by another text encoder, than "
            f"those of '{config['dataset']}' now. Move the file away and run again: it is then made anew."
        )


class ItemTexts:
    """One text vector an item, read when asked for. Pickled as a path.

    Attributes:
        known (torch.BoolTensor): [items], which items have a text.
        width (int): H.
        encoder (dict): the fingerprint of the text encoder.
        made_of (str or None): :func:`digest` of what they are made of; None in a file of an earlier version.
    """

    def __init__(self, path, tokens):
        self._path, self._tokens = path, tokens
        store = InterestStore.open(path, ITEM_TEXTS)
        rows = store.rows(tokens)
        rows[0] = -1
        known = (rows >= 0) & (store.offsets[rows] < store.offsets[rows + 1])
        self._store, self._phrases = store, store.phrase_index[store.offsets[rows[known]]]
        self.known = torch.from_numpy(known)
        self.width, self.encoder = store.width, store.fingerprint["encoder"]
        self.made_of = store.fingerprint.get("made_of")

    def vectors(self):
        """A new FloatTensor [items, H], zeros for padding and for items without a text.

        Not kept: models keep what they make of it, and a large catalogue should not be in memory twice.
        """
        vectors = np.zeros((len(self.known), self.width), np.float32)
        items = np.flatnonzero(self.known.numpy())
        for start in range(0, len(items), AT_ONCE):
            some = slice(start, start + AT_ONCE)
            vectors[items[some]] = self._store.embeddings[self._phrases[some]]
        return torch.from_numpy(vectors)

    def __reduce__(self):
        return ItemTexts, (self._path, self._tokens)
