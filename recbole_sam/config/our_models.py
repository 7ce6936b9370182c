"""Which models are ours, and what each reads of Stage 1.

A model says so by class attributes: ``dataset_hook`` names the class in ``recbole_sam.data.dataset`` that
RecBole loads its data with, ``reads_interests`` whether it reads the interest store, and ``reads_item_texts``
the settings any of which makes it read the titles' vectors.
"""

import importlib

from recbole_sam.config import yaml_files

BESIDES_IDS = {"item_text": "titles", "repeat_bias": "bias", "item_knn": "neighbours"}
"""Settings by which a model uses more than the IDs of items, and the words for it."""


def model_class(name):
    """The plugin's model class of that name, one and the same wherever it is reached from.

    Args:
        name (str): as in ``properties/model/<name>.yaml``.
    """
    return getattr(importlib.import_module(f"recbole_sam.models.{name.lower()}"), name)


def dataset_class(name):
    """The class that RecBole loads a model's data with, of one of ours that has a hook."""
    hooks = importlib.import_module("recbole_sam.data.dataset")
    return getattr(hooks, model_class(name).dataset_hook)


def uses_interests(name):
    """Whether a model, by name, is one of ours that reads the interest store."""
    return _says(name, "reads_interests")


def can_read_item_texts(name):
    """Whether a model, by name, is one of ours that can read the text vectors of the items."""
    return _says(name, "dataset_hook")


def learns_sequences(name):
    """Whether a model, by name, is one of ours that can learn from all positions of a history at once."""
    return _says(name, "learns_sequences")


def uses_item_texts(config):
    """Whether a configuration's model reads the text vectors of the items."""
    return bool(settings_of_texts(config))


def settings_of_texts(config):
    """The settings (list of str) by which a configuration's model reads the text vectors of the items."""
    names = _says(config["model"], "reads_item_texts") or ()
    return [name for name in names if (has_item_text(config) if name == "item_text" else config[name])]


def has_item_text(config):
    """Whether an item is also its title for a configuration's model.

    A checkpoint older than the setting does not hold it: SASRecText and UniSRec read titles then.
    """
    value = config["item_text"]
    return _says(config["model"], "had_item_text") if value is None else value


def besides_ids(name, given):
    """What a model uses besides the IDs of items.

    Args:
        name (str): of the model, ours or RecBole's.
        given (dict): settings that are not its own YAML's, of str or plain values.

    Returns:
        str: such as "titles, bias, interests"; "none", as for every model of RecBole.
    """
    if name not in yaml_files.model_names():
        return "none"
    settings = yaml_files.content(yaml_files.model_file(name)) | given
    found = [word for setting, word in BESIDES_IDS.items() if settings.get(setting) in (True, "True")]
    if uses_interests(name) and settings.get("interest_control") not in ("constant", "absent"):
        found.append("interests")
    return ", ".join(found) or "none"


def _says(name, attribute):
    return name in yaml_files.model_names() and getattr(model_class(name), attribute, False)
