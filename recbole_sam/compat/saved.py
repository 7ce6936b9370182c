"""Saved datasets and dataloaders: pickles, so only those are read that the user asks for."""

import contextlib
import functools
import os
import pickle
import types
from logging import getLogger
from pathlib import Path

from recbole_sam.compat.steps import step
from recbole_sam.errors import DataError, RecBoleSAMError, SettingError
from recbole_sam.files import replacing, sha256

_SUFFIXES = ("inter", "user", "item", "kg", "link", "net")
_NOWHERE = f"{os.devnull}/none"


class _Stale(Exception):
    """What was saved is of other files than are there now."""


@step("datasets and dataloaders in checkpoint_dir are unpickled unasked and used for other data; saving them "
      "is not atomic and changes the result of the run", "none yet")  # fmt: skip
def saved_files():
    from recbole import data
    from recbole.data import utils
    from recbole.data.dataset.dataset import Dataset
    from recbole.quick_start import quick_start

    create, load, load_data = utils.create_dataset, utils.load_split_dataloaders, Dataset._load_data

    @functools.wraps(create)
    def create_dataset(config):
        with _only_if_asked(config, "save_dataset", "dataset_save_path"):
            try:
                return create(config)
            except _Stale as stale:
                getLogger().warning(stale)
        with _path(config, "dataset_save_path", _NOWHERE):
            return create(config)

    @functools.wraps(load)
    def load_split_dataloaders(config):
        with _only_if_asked(config, "save_dataloaders", "dataloaders_save_path"):
            try:
                return load(config)
            except _Stale as stale:
                getLogger().warning(stale)
                return None

    @functools.wraps(load_data)
    def load_known_data(self, token, dataset_path):
        load_data(self, token, dataset_path)
        if self.config["save_dataset"] or self.config["save_dataloaders"]:
            self.read_files = files_of(self.config)

    @functools.wraps(Dataset.save)
    def save(self):
        folder = Path(self.config["checkpoint_dir"])
        file = folder / f"{self.config['dataset']}-{type(self).__name__}.pth"
        self.logger.info(f"Saving filtered dataset into [{file}]")
        with replacing(file) as stream:
            pickle.dump(self, stream)

    utils.pickle = types.SimpleNamespace(load=read_pickle, dump=pickle.dump)
    for module in (utils, data, quick_start):
        module.create_dataset = create_dataset
    for module in (utils, data):
        module.load_split_dataloaders = load_split_dataloaders
        module.save_split_dataloaders = save_split_dataloaders
    Dataset._load_data, Dataset.save = load_known_data, save


def save_split_dataloaders(config, dataloaders):
    """RecBole's, but the dataloaders keep their generators, and the file is there whole or not at all.

    Args:
        config (Config): of the run.
        dataloaders (tuple of AbstractDataLoader): training, validation, test.
    """
    file = Path(config["checkpoint_dir"]) / f"{config['dataset']}-for-{config['model']}-dataloader.pth"
    getLogger().info(f"Saving split dataloaders into [{file}]")
    states = [loader.generator.get_state() for loader in dataloaders]
    owners = [owner for loader in dataloaders for owner in (loader, loader.sampler)]
    generators = [getattr(owner, "generator", None) for owner in owners]
    for owner in owners:  # a generator cannot be pickled, its state can
        owner.generator = None
    try:
        with replacing(file) as stream:
            pickle.dump(list(zip(dataloaders, states, strict=True)), stream)
    finally:
        for owner, generator in zip(owners, generators, strict=True):
            owner.generator = generator


def read_pickle(stream):
    """A saved dataset or list of dataloaders, of the files that are there now.

    Args:
        stream (binary file): open, with a name.

    Raises:
        DataError: it is neither of these.
        _Stale: the files of the dataset have changed since, or it does not say of which it is.
    """
    from recbole.data.dataset import Dataset

    try:
        content = pickle.load(stream)
        dataset = content if isinstance(content, Dataset) else content[0][0]._dataset
        saved, now = getattr(dataset, "read_files", None), files_of(dataset.config)
    except RecBoleSAMError:
        raise
    except Exception as error:  # a pickle may raise anything
        raise DataError(
            f"{stream.name} is no dataset and no dataloaders that RecBole saved ({type(error).__name__}). "
            "Delete it, or leave out the setting that names it."
        ) from error
    if saved != now:
        raise _Stale(f"{stream.name} was saved of other data files than are there now: it is made again.")
    return content


def files_of(config):
    """The files that RecBole reads of a dataset, name to SHA-256."""
    folder, name = Path(config["data_path"]), config["dataset"]
    parts = config["benchmark_filename"] or ()
    suffixes = [*_SUFFIXES, *(config["additional_feat_suffix"] or ()), *(f"{part}.inter" for part in parts)]
    found = {}
    for path in (folder / f"{name}.{suffix}" for suffix in suffixes):
        if path.is_file():
            found[path.name] = sha256(path)
    return found


@contextlib.contextmanager
def _only_if_asked(config, switch, setting):
    """Hides RecBole's default file unless a setting of the user's asks for it.

    Raises:
        SettingError: the user names a file that is not there.
    """
    given = config[setting]
    if given and not os.path.isfile(given):
        raise SettingError(f"{setting} is {given}, which is no file: leave it out, and {switch} makes one.")
    with _path(config, setting, given or (None if config[switch] else _NOWHERE)):
        yield


@contextlib.contextmanager
def _path(config, setting, value):
    before = config[setting]
    config[setting] = value
    try:
        yield
    finally:
        config[setting] = before
