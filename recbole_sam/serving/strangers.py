"""People who came after training: their interests, made on the spot from the items of their session."""

import functools
import tempfile
from pathlib import Path

import numpy as np

from recbole_sam.config.groupings import CLUSTERING
from recbole_sam.data.interest_table import InterestTable
from recbole_sam.data.store import ITEM_TEXTS, InterestStore
from recbole_sam.errors import SettingError
from recbole_sam.generators.by_name import GENERATORS, make_generator
from recbole_sam.interests import stage1
from recbole_sam.interests.grouping.clustering import sampled, scale
from recbole_sam.interests.grouping.grouper import catalogue_scale
from recbole_sam.interests.pipeline import extract
from recbole_sam.serving import bundle_files
from recbole_sam.serving.encoder import settings_of
from recbole_sam.serving.load import item_facts

HOW = ("live", "default")
"""``live``: by the bundle's grouping, with phrases made offline; ``default``: none."""
OFFLINE = "extractive"
"""Who writes the phrases where a language model did so in training."""
_WITHOUT = ("absent", "constant", "shuffled")
"""Controls under which a stranger has no interests."""


def check_how(how):
    """Refuses what is no way to make interests.

    Raises:
        SettingError: naming the ways.
    """
    if how not in HOW:
        raise SettingError(f"new-interests is {how!r}; it must be one of {', '.join(HOW)}.")


class Strangers:
    """Makes interests for a bundle; what all sessions share is made once.

    Args:
        files (BundleFiles): of the bundle.
        encoder (callable): without arguments, gives the bundle's text encoder.
    """

    def __init__(self, files, encoder):
        self._files, self._encoder = files, encoder
        self._settings = settings_of(files)
        self._extracting = stage1.extract_settings(self._settings)

    @functools.cached_property
    def _generator(self):
        """Who writes the phrases: as in training, if that was offline."""
        name = self._settings["interest_generator"]
        if name == "keyphrases":  # which count the words of all titles
            return make_generator(name, items=item_facts(self._files))
        return make_generator(name if name in GENERATORS else OFFLINE)

    @functools.cached_property
    def _scale(self):
        """What similarity means in the bundle's catalogue, whoever asks: as in training."""
        if self._extracting.grouping != CLUSTERING:
            return None
        if bundle_files.ITEM_TEXTS not in self._files:
            titles = sorted({title for title, *_ in item_facts(self._files) if title})
            return catalogue_scale(self._encoder(), titles, self._extracting)
        texts = InterestStore.open(self._files.path(bundle_files.ITEM_TEXTS), ITEM_TEXTS)
        return scale(texts.embeddings[sampled(range(len(texts.phrases)))].astype(np.float32))

    def hold(self):
        """Reads and computes now what all sessions share, as far as it is in the bundle."""
        made_here = {bundle_files.ITEM_TEXTS, bundle_files.WORDS}  # a pretrained encoder lies elsewhere
        return self._generator, any(name in self._files for name in made_here) and self._scale

    def interests(self, titles, histories, how):
        """The interests of some sessions.

        Args:
            titles (dict): item token to title, "" where an item has none.
            histories (list of list of str): item tokens, oldest first.
            how (str): one of :data:`HOW`.

        Returns:
            InterestTable or None: session i is user i + 1 there, ``phrases`` (list of str) are the rows of
            ``embeddings``; None when nobody has interests.
        """
        if how == "default" or self._settings["interest_control"] in _WITHOUT:
            return None
        extracting = self._extracting
        names = [str(number) for number in range(len(histories))]
        newest = [history[-extracting.history_length :] for history in histories]
        if not any(titles.get(item) for history in newest for item in history):
            return None
        with tempfile.TemporaryDirectory(prefix="recbole-sam-") as folder:
            path = Path(folder) / "interests.safetensors"
            writer = self._generator
            extract(names, newest, titles, self._encoder(), writer, extracting, path, scale=self._scale)
            store = InterestStore.open(path)
            table = InterestTable(store, ["[PAD]", *names])
            table.embeddings = table.embeddings.clone()  # the file goes
            table.phrases = list(store.phrases)
        return table
