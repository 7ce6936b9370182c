"""Bundles of models with random weights, on the small dataset ``shop``."""

from pathlib import Path

import torch
from conftest import experiment, random_sequences, write_dataset

from recbole_sam.data import check
from recbole_sam.serving.making.write import write_bundle

OURS = (
    "SAM", "SASRecText", "UniSRec", "TedRec", "BSARec", "WEARec", "eSASRec", "HSTU", "STOSA", "ComiRec",
    "MIND", "EIMF",
)  # fmt: skip

SETTINGS = {"HSTU": {"time_bias": False}}
"""What a model needs to be bundled."""


def make_shop(root):
    """Writes ``root/dataset/shop``: 40 users, 25 items, histories of 3 to 12 items."""
    write_dataset(Path(root) / "dataset" / "shop", random_sequences())


def checkpoint(root, model="SAM", **settings):
    """A checkpoint as RecBole saves it, of a model with random weights.

    Returns:
        tuple: the file, and what :func:`conftest.experiment` gives.
    """
    places = {"data_path": f"{root}/dataset", "checkpoint_dir": f"{root}/saved"}
    made = experiment(model, "shop", **places, **settings)
    config, model = made[0], made[-1]
    config["trained_on"] = check.trained_on(made[1].dataset)
    with torch.no_grad():
        for parameter in model.parameters():  # scores that differ enough to be ranked
            parameter.add_(0.3 * torch.randn_like(parameter))
    file = Path(root) / f"{config['model']}.pth"
    state = {"config": config, "epoch": 0, "state_dict": model.state_dict(), "other_parameter": None}
    torch.save(state, file, pickle_protocol=4)
    return file, made


def bundle(root, model="SAM", with_users=True, name="bundle", block=16, **settings):
    """A bundle of such a checkpoint.

    Returns:
        tuple: its folder, and the model it was made of with its test part.
    """
    file, made = checkpoint(root, model, **SETTINGS.get(model, {}), **settings)
    folder = Path(root) / name
    write_bundle(file, folder, with_users, block=block)
    return folder, made
