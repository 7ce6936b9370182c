"""The settings of a run that a bundle keeps: those that decide what the model is and what was measured."""

import json
from pathlib import Path

from recbole_sam.config import yaml_files

_ALWAYS = (
    "model", "dataset", "seed", "reproducibility", "USER_ID_FIELD", "ITEM_ID_FIELD", "TIME_FIELD",
    "LIST_SUFFIX", "ITEM_LIST_LENGTH_FIELD", "NEG_PREFIX", "MASK_FIELD", "MAX_ITEM_LIST_LENGTH", "loss_type",
    "train_neg_sample_args", "eval_args", "metrics", "topk", "valid_metric", "learning_rate", "epochs",
    "train_batch_size", "train_targets", "learner", "weight_decay", "interest_engine",
)  # fmt: skip
_PLACES = ("interest_store", "text_cache_dir", "text_batch_size")
"""Where files were on the machine that trained."""


def chosen(config, private):
    """The settings that matter, of JSON's types.

    Args:
        config (Config): of the run.
        private (bool): False takes the folder out of the text encoder's path.

    Returns:
        dict: name to value.
    """
    from recbole.utils import get_model

    name = config["model"]
    names = {*_ALWAYS, *yaml_files.keys(yaml_files.interests_file())}
    if name in yaml_files.model_names():
        names |= yaml_files.keys(yaml_files.model_file(name))
    else:
        names |= _of_recbole(get_model(name).__name__)
    found = {}
    for key in sorted(names - set(_PLACES)):
        value = config[key]
        if value is not None:
            try:
                found[key] = json.loads(json.dumps(value))
            except (TypeError, ValueError):
                found[key] = str(value)
    if not private and "text_encoder" in found:
        found["text_encoder"] = _without_folder(found["text_encoder"])
    return found


def public(generator):
    """What a published bundle may say of who wrote the phrases: no folder and no server of the maker's.

    Args:
        generator (dict or None): a fingerprint.

    Returns:
        dict or None
    """
    if not generator or "model" not in generator:
        return generator
    provider, model = generator.get("provider", "").split(" ")[0], generator["model"]
    return {**generator, "provider": provider, "model": _without_folder(model)}


def _without_folder(name):
    """The name of a model; a hub name (owner/model) is no path of a machine and stays."""
    path = Path(str(name))
    return path.name if path.is_absolute() or path.is_dir() else name


def _of_recbole(model):
    """The names in RecBole's own YAML of a model."""
    from importlib.resources import files

    return yaml_files.keys(files("recbole") / "properties" / "model" / f"{model}.yaml")
