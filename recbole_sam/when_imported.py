"""Registers the plugin when RecBole is imported: ``import recbole_sam`` itself loads neither it nor torch."""

import importlib
import importlib.abc
import importlib.util
import sys

RECBOLE = "recbole"


def register_with_recbole():
    """Registers now if RecBole is there already, else right after its import begins."""
    if RECBOLE in sys.modules:
        _register()
    else:
        sys.meta_path.insert(0, _Finder())


def _register():
    importlib.import_module("recbole_sam.registry").register()


class _Finder(importlib.abc.MetaPathFinder):
    """Finds RecBole's own package, once, as the other finders do."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname != RECBOLE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(RECBOLE)
        if spec is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(importlib.abc.Loader):
    """Loads RecBole's package, whose modules are all still to be imported, then registers."""

    def __init__(self, loader):
        self._loader = loader

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        _register()
