"""The names of all settings, and the refusal of misspelt ones."""

import difflib
import functools
import importlib.util
from logging import getLogger
from pathlib import Path

from recbole_sam.config import our_models, yaml_files
from recbole_sam.errors import SettingError, UnknownNameError, nearest

# Read by RecBole's code, or by run(), but listed in none of RecBole's YAML files.
_RECBOLE_UNLISTED = {
    "model", "dataset", "config_files", "config_file", "nproc", "ip", "port", "world_size",
    "group_offset", "offset", "local_rank", "additional_feat_suffix", "benchmark_filename",
    "numerical_features", "discretization", "log_root", "valid_metric_bigger", "encoding",
    "tail_ratio", "token_num_threshold", "eta", "xgb_early_stopping_rounds", "norm", "contrast", "sim",
    "use_filter", "has_residual",
    # in the YAML of some models, and read by the trainer or base class of more
    "train_rec_step", "train_kg_step", "double_tower", "reg_weight",
}  # fmt: skip
LISTED_OF_MODELS = ("item_text", "interest_evidence", "loss_type")
"""Settings of models that `registry` lists among those of a saved dataset."""
RETIRED = {"autocast": "autocast left the plugin: use RecBole's enable_amp=True, on a GPU."}
"""Settings of earlier versions and what to do instead; None, their default, still stands in old files."""
OTHER_LIBRARIES = {
    "lr": "learning_rate", "batch_size": "train_batch_size", "num_epochs": "epochs", "n_epochs": "epochs",
    "patience": "stopping_step", "optimizer": "learner", "max_len": "MAX_ITEM_LIST_LENGTH",
    "max_seq_length": "MAX_ITEM_LIST_LENGTH", "maxlen": "MAX_ITEM_LIST_LENGTH",
    "embedding_dim": "embedding_size", "hidden_dim": "hidden_size", "max_epochs": "epochs",
    "bs": "train_batch_size", "device": "use_gpu",
}  # fmt: skip
"""What other libraries call settings of RecBole, where spelling would lead to none or to a wrong one."""
_OTHER_NAMES = {
    "dropout": "hidden_dropout_prob", "dropout_prob": "hidden_dropout_prob", "num_heads": "n_heads",
    "num_layers": "n_layers", "n_layers": "num_layers", "embedding_size": "hidden_size",
    "hidden_size": "embedding_size",
}  # fmt: skip
"""Settings of some of RecBole's models, and what others of them call the same."""
# What an item's text vector depends on.
ENCODER = ("item_text_fields", "text_encoder", "text_encoder_dim", "text_pooling", "text_max_length",
           "text_normalize", "interest_seed", "interest_dtype")  # fmt: skip
# All that a model reads of which only the items' titles count.
OF_ITEM_TEXTS = (*ENCODER, "text_batch_size", "text_cache_dir")
# Read by the code of these models, and listed in the YAML of others only.
_RECBOLE_UNLISTED_READERS = {"tau": ["FEARec"]}


def _recbole_properties():
    import recbole

    return Path(recbole.__file__).parent / "properties"


@functools.cache
def recbole_model_names():
    """RecBole's own model names, a set of str."""
    return {file.stem for file in (_recbole_properties() / "model").glob("*.yaml")}


def check_model(name):
    """Refuses a model's name that nobody knows.

    Raises:
        UnknownNameError: neither RecBole nor the plugin has it.
    """
    known = recbole_model_names() | set(yaml_files.model_names())
    if name not in known and not (name.isidentifier() and _is_a_users_own(name)):
        raise UnknownNameError(
            f"there is no model named '{name[:60]}' in RecBole or recbole-sam.{nearest(name[:60], known)}"
        )


def _is_a_users_own(name):
    """Whether somebody put a model into RecBole's folders, where it needs no YAML."""
    import torch

    for family in ("general", "context_aware", "sequential", "knowledge_aware"):
        module = f"recbole.model.{family}_recommender.{name.lower()}"
        if importlib.util.find_spec(module) is not None:
            found = getattr(importlib.import_module(module), name, None)
            return isinstance(found, type) and issubclass(found, torch.nn.Module)
    return False


def of_model(name):
    """The settings in a model's own YAML, RecBole's or the plugin's, a set of str."""
    files = yaml_files.model_file(name), _recbole_properties() / "model" / f"{name}.yaml"
    # a user's own model needs none
    return next((yaml_files.keys(file) for file in files if file.is_file()), set())


@functools.cache
def recbole_dataset_names():
    """The datasets RecBole can download by name, a set of str."""
    return yaml_files.keys(_recbole_properties() / "dataset" / "url.yaml")


@functools.cache
def recbole_names():
    """Every setting RecBole 1.2.1 knows, of any of its models, a set of str."""
    return _general_names().union(*map(yaml_files.keys, (_recbole_properties() / "model").glob("*.yaml")))


@functools.cache
def _general_names():
    """RecBole's settings that are of no model alone, a set of str."""
    from recbole.utils import argument_list

    names = set(_RECBOLE_UNLISTED)
    for file in _recbole_properties().rglob("*.yaml"):
        if file.parent.name != "model" and file.stem not in ("url", "kg_url"):
            names |= yaml_files.keys(file)
    for group in ("general", "training", "evaluation", "dataset"):
        names |= set(getattr(argument_list, f"{group}_arguments"))
    return names - set(LISTED_OF_MODELS)


@functools.cache
def own_names():
    """Every setting of the plugin's own, a set of str."""
    files = [yaml_files.interests_file(), yaml_files.llm_file(), yaml_files.evaluation_file()]
    files += (yaml_files.folder() / "model").glob("*.yaml")
    return set().union(*map(yaml_files.keys, files))


@functools.cache
def _readers():
    """The models (set of str) that read each setting that is of some models alone."""
    files = {file.stem: file for file in (_recbole_properties() / "model").glob("*.yaml")}
    ours = {name: yaml_files.model_file(name) for name in yaml_files.model_names()}
    readers = {name: set(models) for name, models in _RECBOLE_UNLISTED_READERS.items()}
    for model, file in (files | ours).items():
        for name in yaml_files.keys(file) - _general_names():
            readers.setdefault(name, set()).add(model)
    with_texts = {model for model in ours if our_models.can_read_item_texts(model)}
    with_interests = {model for model in ours if our_models.uses_interests(model)}
    for name in yaml_files.keys(yaml_files.interests_file()) | yaml_files.keys(yaml_files.llm_file()):
        reads_it = with_texts if name in (*OF_ITEM_TEXTS, "train_targets") else with_interests
        readers[name] = readers.get(name, set()) | reads_it
    return readers


def unread(given, model):
    """Settings of other models, which this model does not read.

    Args:
        given (iterable of str): names.
        model (str): of RecBole or of the plugin.

    Returns:
        list of str: a sentence each.
    """
    readers = _readers()
    sentences = []
    for name in sorted(set(given) & set(readers)):
        if model not in readers[name]:
            other = _OTHER_NAMES.get(name)
            advice = f"did you mean {other}?" if model in readers.get(other, ()) else "leave it out."
            sentences.append(f"{model} does not read {name}, a setting of {_listed(readers[name])}: {advice}")
    return sentences


def _listed(models):
    models = sorted(models, key=lambda name: (name not in yaml_files.model_names(), name))  # ours first
    if len(models) > 4:
        models = [", ".join(models[:3]), f"{len(models) - 3} more"]
    return " and ".join(models)


def unknown(given):
    """The settings that neither RecBole nor the plugin knows.

    Args:
        given (dict): names and values; a retired setting at its old default is no unknown one.

    Returns:
        list of str: sorted.
    """
    harmless = {name for name in RETIRED if given.get(name) in (None, "None")}
    return sorted(set(given) - own_names() - recbole_names() - harmless)


def check_names(given, model):
    """Refuses settings that look like a misspelt one; warns of others that nobody knows.

    Args:
        given (dict): settings from the command line, configuration files and dictionaries.
        model (str): the model that runs, for the sentence.

    Raises:
        SettingError: a name is unknown and close to a known one, or is of an earlier version.
    """
    for name in unknown(given):
        if name in RETIRED:
            raise SettingError(RETIRED[name])
        close = difflib.get_close_matches(name, sorted(own_names() | recbole_names()), n=1, cutoff=0.8)
        meant = OTHER_LIBRARIES.get(name) or (close and close[0])
        if meant:
            raise SettingError(
                f"the setting '{name}' is unknown to {model} and to RecBole: did you mean '{meant}'?"
            )
        getLogger().warning("the setting '%s' is unknown to %s and RecBole; it changes nothing", name, model)
