"""The bundles of a server, by name; each can be swapped for what its folder holds now."""

import contextlib
import ctypes
import gc
import os
from logging import getLogger
from pathlib import Path

from recbole_sam.errors import DataError, SettingError, UnknownNameError, nearest
from recbole_sam.serving.bundle import Bundle
from recbole_sam.serving.web.search import Search
from recbole_sam.serving.web.together import Together


class Shelf:
    """Bundles that answer.

    Args:
        folders (sequence of str or Path): of bundles; each is called as its folder.
        limits (Limits): of waiting.
        measured (callable): told how many requests were scored together.

    Raises:
        DataError: a folder holds no bundle.
        SettingError: two have one name.
    """

    def __init__(self, folders, limits, measured=lambda count: None):
        paths = [Path(os.path.abspath(folder)) for folder in folders]  # a link may later lead elsewhere
        self.folders = {path.name: path for path in paths}
        if len(self.folders) < len(folders):
            raise SettingError("Two bundles have the same folder name: rename one, since that is its name.")
        self._places = {}
        for name, folder in self.folders.items():
            bundle = opened(folder)
            self._places[name] = Together(bundle, limits, measured)
            self._places[name].search = Search(bundle)
        _settle()

    def __getitem__(self, name):
        """The :class:`Together` of a name; None is the first."""
        name = next(iter(self._places)) if name is None else name
        if name not in self._places:
            raise UnknownNameError(f"There is no bundle {name[:60]!r}.{nearest(name, self._places)}")
        return self._places[name]

    def name(self, name):
        """The name of a bundle; None is the first."""
        return next(iter(self._places)) if name is None else name

    def items(self):
        """Pairs of name and :class:`Together`."""
        return self._places.items()

    def reload(self):
        """Opens all folders again, and swaps in what is new once all of them answer.

        Returns:
            list of str: names of the bundles that changed.

        Raises:
            DataError: a folder cannot be used; then all old bundles go on.
        """
        changed = {}
        for name, place in self._places.items():
            bundle = Bundle(self.folders[name])
            if bundle.identity != place.bundle.identity:
                changed[name] = opened(self.folders[name])
        searches = {name: Search(bundle) for name, bundle in changed.items()}
        for name, bundle in changed.items():
            self._places[name].bundle, self._places[name].search = bundle, searches[name]
        if changed:
            _settle()
        getLogger("recbole_sam").info("reloaded: %s", ", ".join(changed) or "nothing is new")
        return list(changed)

    def close(self):
        """Answers what waits, and ends."""
        for place in self._places.values():
            place.close()
        gc.unfreeze()


def _settle():
    """Keeps Python from searching open bundles for garbage, which stops all answers for half a second."""
    gc.unfreeze()  # a bundle that was replaced
    gc.collect()
    gc.freeze()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:  # glibc keeps what was freed: some 50 MB for each bundle that was replaced
        trim(0)


def opened(folder):
    """A bundle with all it needs in memory: whatever happens to its files, it goes on.

    Args:
        folder (str or Path): the bundle.

    Raises:
        DataError: there is none, or it is damaged.
    """
    bundle = Bundle(folder)
    model = bundle._ready().model
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.data = tensor.data.clone()  # a mapped file that is cut short would end the process
    bundle._ready().never_record()  # each bundle that is swapped in would leave a record behind
    bundle.hold()
    token = bundle.items[1]
    bundle.recommend(histories=[[token]], k=1)
    with contextlib.suppress(DataError):  # a model without a vector for each item
        bundle.similar([token], 1)
    return bundle
