"""A checkpoint of RecBole with its data, as a bundle is made from it. It is a pickle: trusted ones only."""

import pickle
from logging import getLogger
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, init_seed

from recbole_sam.data import check
from recbole_sam.data.histories import runs
from recbole_sam.errors import DataError
from recbole_sam.registry import of_some_users
from recbole_sam.serving.making import supported


class Trained(NamedTuple):
    """A trained model and all that a bundle says about it; U users and N items, padding included."""

    config: Config
    model: torch.nn.Module
    user_tokens: np.ndarray
    """str [U]."""
    item_tokens: np.ndarray
    """str [N]."""
    histories: "Histories"
    test: object
    """The test part of the dataset, with its samples as ``inter_feat``."""
    epoch: int


class Histories(NamedTuple):
    """Whole histories of all users, oldest first."""

    items: np.ndarray
    """int32 [interactions], item numbers by user, then time."""
    offsets: np.ndarray
    """int64 [U + 1], where each user's begin."""
    train: np.ndarray
    """int32 [U], how many of them are in the training part."""
    valid: np.ndarray
    """int32 [U], how many are in the training or validation part."""


def read(file):
    """Loads a checkpoint, its dataset and its model.

    Args:
        file (str or Path): as RecBole saved it. It is unpickled, which can run code: only trusted ones.

    Returns:
        Trained: on the CPU.

    Raises:
        DataError: the file is no checkpoint, or the model is of a kind that cannot be bundled.
        RecBoleSAMError: the users, items or item texts of the dataset are not those of training.
    """
    config, saved = _unpickled(Path(file))
    supported.check(config)
    if config["benchmark_filename"] is not None:
        raise DataError(
            "A bundle needs whole user histories, which benchmark_filename does not give: train on one "
            ".inter file with a split in eval_args."
        )
    config["device"] = torch.device("cpu")
    for name in ("save_dataset", "save_dataloaders"):  # whole histories are in the files alone
        config[name] = False
    config["dataset_save_path"] = config["dataloaders_save_path"] = None
    init_seed(config["seed"], config["reproducibility"])
    dataset = create_dataset(config)
    augment, found = dataset.data_augmentation, []

    def augment_and_note():
        augment()
        found.extend(_whole(dataset, config))  # before the split puts the samples into another order

    dataset.data_augmentation = augment_and_note
    sample, config["eval_users"] = config["eval_users"], None  # what is held out of all users' histories
    train, valid, test = (loader.dataset for loader in data_preparation(config, dataset))
    config["eval_users"] = sample
    _check_data(file, config, check.trained_on(train))
    model = get_model(config["model"])(config, train).to("cpu")
    try:
        model.load_state_dict(saved["state_dict"])
    except RuntimeError as error:
        raise DataError(
            f"{file} does not fit '{config['dataset']}' as it is in {config['data_path']} now "
            f"({' '.join(str(error).split())[:200]}): give it the data that it was trained on."
        ) from error
    model.load_other_parameter(saved.get("other_parameter"))
    held_out = [
        np.bincount(part.inter_feat[dataset.uid_field].numpy(), minlength=dataset.user_num)
        for part in (valid, test)
    ]
    lengths = np.diff(found[1])
    histories = Histories(
        *found,
        train=(lengths - held_out[0] - held_out[1]).astype(np.int32),
        valid=(lengths - held_out[1]).astype(np.int32),
    )
    if sample is not None:  # the card says what training did
        test = of_some_users(test, sample)
    tokens = (dataset.field2id_token[field] for field in (dataset.uid_field, dataset.iid_field))
    return Trained(config, model.eval(), *tokens, histories, test, int(saved.get("epoch", -1)) + 1)


def _check_data(file, config, now):
    """Refuses other data than the checkpoint was trained on: its numbers would mean other users and items."""
    before = config["trained_on"]
    if before is None:
        getLogger("recbole_sam").warning(
            f"{file} does not say what it was trained on, as those of earlier versions: make sure that "
            f"{config['data_path']} is as it was."
        )
        return
    differ = [name for name in before | now if before.get(name) != now.get(name)]
    if differ:
        raise DataError(
            f"The {' and '.join(differ)} of '{config['dataset']}' in {config['data_path']} are not those "
            f"that {file} was trained on, or stand in another order: give it the same files, or train again."
        )


def _unpickled(file):
    try:
        saved = torch.load(file, map_location="cpu", weights_only=False)
        config = saved["config"]
        if not isinstance(config, Config) or not isinstance(saved["state_dict"], dict):
            raise TypeError
    except FileNotFoundError:
        raise DataError(f"There is no checkpoint {file}.") from None
    except OSError as error:
        raise DataError(f"The checkpoint {file} cannot be read ({error.strerror or error}).") from error
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, TypeError, AttributeError,
            ImportError, ValueError) as error:  # fmt: skip
        raise DataError(f"{file} is no checkpoint of RecBole, or it is damaged.") from error
    return config, saved


def _whole(dataset, config):
    """All users' items [interactions] and offsets [U + 1], from the samples of every prefix."""
    samples = dataset.inter_feat
    users = samples[dataset.uid_field].numpy()
    targets = samples[dataset.iid_field].numpy()
    who, starts, lengths = runs(users)
    firsts = samples[starts][dataset.iid_field + config["LIST_SUFFIX"]][:, 0].numpy()
    counts = np.zeros(dataset.user_num, np.int64)
    counts[who] = lengths + 1
    # a user's first item is no target: it stands before the first sample's
    items = np.insert(targets, starts, firsts).astype(np.int32)
    return items, np.r_[0, counts.cumsum()]
