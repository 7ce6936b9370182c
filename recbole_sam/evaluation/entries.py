"""The models that are compared, as a user names them: ``SAM`` or ``ComiRec:interest_extractor=DR``."""

import hashlib
import re
from typing import NamedTuple

from recbole_sam.config import setting_names
from recbole_sam.config.configuration import parse_words
from recbole_sam.errors import SettingError

DEFAULT = (
    "SAM,ComiRec:item_text=True:repeat_bias=True:hidden_dropout_prob=0.5,SASRecText:repeat_bias=True,"
    "SASRec,GRU4Rec,SINE,BSARec,STOSA,ComiRec,MIND,EIMF"
)
"""SAM, two rivals with its titles and bias, and by IDs alone the models of the paper's table that can be
had, MIND for its routing, and two that everybody knows."""

_WITHOUT = (
    # the paper's table: without adaptive K, interest-aware attention, semantics; with cross-interest layers
    "interest_k_min=4:interest_k_max=4",
    "interest_attention=False",
    "n_layers=1",
    "interest_control=constant:item_text=False",
    # do interests have to be the user's own, or there at all?
    "interest_control=shuffled",
    "interest_control=constant",
    # what is beyond the paper
    "interest_readout=mean:n_layers=1",
    "learned_queries=0",
    "item_text=False",
    "history_filter=False",
    "history_filter=False:newest_item=True",
    "final_norm=False",
    "repeat_bias=False",
    "interest_evidence=False",
)
ABLATION = ",".join(["SAM", *(f"SAM:{settings}" for settings in _WITHOUT)])
"""SAM, and SAM without one part after another."""

SAME_FOR_ALL = (
    "epochs", "stopping_step", "eval_step", "eval_args", "metrics", "topk", "valid_metric", "seed", "dataset",
    "data_path", "MAX_ITEM_LIST_LENGTH", "checkpoint_dir", "model", "load_col", "eval_batch_size",
)  # fmt: skip
"""What no single entry may set: the comparison would not be fair, or not be one."""

_OUTSIDE_BRACKETS = r"(?![^\[\](){}]*[\])}])"
_BETWEEN = re.compile("," + _OUTSIDE_BRACKETS)
_SETTING = re.compile(r":(?=\w+=)" + _OUTSIDE_BRACKETS)  # the colon of a URL or a dictionary is the value's


class Entry(NamedTuple):
    """One row of the comparison."""

    label: str
    model: str
    given: dict
    """str to str: settings of this entry alone, as ``--key=value`` gives them."""


def parse(text):
    """Entries from the text of ``--models``.

    Args:
        text (str): entries separated by commas; each a model's name, then ``:key=value`` for each setting of
            its own.

    Returns:
        list of Entry: in order; an entry named twice counts once.

    Raises:
        SettingError: an entry cannot be read, or sets what must be the same for all.
        UnknownNameError: there is no such model.
    """
    entries = {}
    for label in filter(None, (part.strip() for part in _BETWEEN.split(text))):
        model, colon, words = label.partition(":")
        given = parse_words([f"--{word}" for word in _SETTING.split(words)] if colon else [])
        if "config_files" in given:
            raise SettingError(
                f"'{label}' names a file for one model: write its settings out, as {model}:key=value."
            )
        shared = sorted(set(given) & set(SAME_FOR_ALL))
        if shared:
            raise SettingError(
                f"'{label}' sets {shared[0]}, which must be the same for all models: give it as "
                f"--{shared[0]}={given[shared[0]]} to the whole comparison."
            )
        check(model)
        entries[label] = Entry(label, model, given)
    if not entries:
        raise SettingError(f"--models names no model: give names such as {DEFAULT}.")
    return list(entries.values())


def check(name):
    """Refuses a model that cannot be compared on a sequential split.

    Args:
        name (str): a model's name.

    Raises:
        UnknownNameError: neither RecBole nor the plugin has it.
        SettingError: it is of another family of RecBole.
    """
    setting_names.check_model(name)
    from recbole.utils import ModelType, get_model

    try:
        family = get_model(name).type
    except ImportError as error:
        raise SettingError(
            f"{name} of RecBole cannot be imported here ({error}): leave it out of --models."
        ) from error
    if family != ModelType.SEQUENTIAL:
        raise SettingError(
            f"{name} is a {family.name.lower()} model of RecBole: it takes other samples, and RecBole ranks "
            "other candidates for it (seen items are masked), so it cannot share the split of sequential "
            "models. Leave it out of --models."
        )


def slug(label):
    """A label as a file name, different for different labels."""
    plain = re.sub(r"[^A-Za-z0-9._]+", "-", label).strip("-")
    plain_enough = plain == label and len(plain) <= 200
    return plain if plain_enough else f"{plain[:190]}-{hashlib.sha256(label.encode()).hexdigest()[:6]}"
