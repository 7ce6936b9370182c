"""What a trained model is but for its seed: the seeds of one row of a table have to share it.

A comparison goes on for weeks, and its settings name only what the user set. A default that a new version
changed, or titles that were edited, would make other models of the next seeds under the same label.
"""

import json

from recbole_sam.config import our_models, setting_names
from recbole_sam.data import item_texts, store_location
from recbole_sam.data.titles import item_titles
from recbole_sam.errors import DataError, SettingError
from recbole_sam.evaluation.ranking import protocols
from recbole_sam.models.checks import sam_settings

_TRAINING = ("learning_rate", "learner", "weight_decay", "clip_grad_norm", "train_batch_size",
             "train_neg_sample_args", "train_targets")  # fmt: skip
_FILES = ("interests", "item texts")
_CHOICE = "epoch chosen by"
_BEFORE = {_CHOICE: protocols.DEFAULT, "text_scale": 1.0}
"""What was done before there were these settings, where a default does something else now."""


def identity(config, chosen_by=protocols.DEFAULT):
    """What decides what a model is, of defaults and given settings alike.

    Args:
        config (Config): of a model and a dataset, with whatever the model reads of Stage 1.
        chosen_by (str): the protocol whose validation chooses the best epoch.

    Returns:
        dict: JSON-able; the model's own settings, those of training, and the names of the files of Stage 1,
        which differ when a setting of it, a title or a prompt does.
    """
    model = config["model"]
    values = {name: config[name] for name in sorted({*setting_names.of_model(model), *_TRAINING})}
    if not our_models.has_item_text(config):
        values.pop("text_scale", None)  # does nothing then, and its default was another
    if our_models.uses_interests(model):
        values["interests"] = store_location.path(config).name
    if our_models.uses_item_texts(config):
        values["item texts"] = item_texts.path(config, item_titles(config)).name
    values[_CHOICE] = chosen_by
    return json.loads(json.dumps(values, default=str))


def check(result, now):
    """Refuses to train another model under the label of one that is done.

    Args:
        result (dict): of a finished trial; one of before 2026-11-26 does not say what it is, and passes.
        now (dict): :func:`identity` of what is to be trained.

    Raises:
        SettingError: a default is another than it was, or the protocol that chooses the best epoch.
        DataError: interests or titles are others.
    """
    unsaid = {name: value for name, value in now.items() if name != _CHOICE}
    before = {**_BEFORE, **sam_settings.BEFORE, **(result.get("identity") or unsaid)}
    trained = f"{result['model']} with seed {result['seed']} was trained"
    for name, value in now.items():
        new = name not in before and name not in _FILES  # a new setting's default changes nothing
        if new or before.get(name) == value:
            continue
        if name in _FILES:
            raise DataError(
                f"{trained} with other {name} ({before.get(name)}, now {value}), since titles or settings of "
                "Stage 1 were others: seeds of both cannot stand in one row; give another --run=FOLDER."
            )
        if name == _CHOICE:
            raise SettingError(
                f"{trained} with the best epoch chosen by the protocol {before[name]}, now {value}: seeds of "
                "both cannot stand in one row; give another --run=FOLDER."
            )
        raise SettingError(
            f"{trained} with {name} {before.get(name)}, a default that is {value} now: seeds of both cannot "
            f"stand in one row; give another --run=FOLDER, or a separate row, such as "
            f"{result['model']}:{name}={value}."
        )
