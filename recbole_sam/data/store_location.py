"""Where a dataset's interests are kept, and what to type to build them."""

import hashlib
import json
import shlex
from logging import getLogger
from pathlib import Path

from recbole_sam.config import yaml_files
from recbole_sam.config.groupings import ROUTING, effective
from recbole_sam.config.yaml_files import interests_file, llm_file
from recbole_sam.data.store import InterestStore
from recbole_sam.data.titles import facts_digest, titles_digest
from recbole_sam.encoders.changed import has_changed
from recbole_sam.errors import SettingError, StoreError, StoreMissingError

# Settings that change how the file is reached or read, not what is in it.
_NOT_CONTENT = {"interest_store", "interest_dim", "train_targets", "text_batch_size", "text_cache_dir"}
IMPORTED = "imported"
"""What ``interest_generator`` is called when somebody else made the interests."""
OFFLINE = ("extractive", "keyphrases")
"""The generators that ask no language model."""
# What a language model is asked, and how.
_LLM_CONTENT = ("llm_model", "llm_temperature", "llm_top_p", "llm_max_tokens", "llm_prompt_file",
                "llm_base_url", "llm_extra_body", "llm_seed")  # fmt: skip
# RecBole's settings that decide which items are training items.
_SPLIT = ("eval_args", "user_inter_num_interval", "item_inter_num_interval", "rm_dup_inter",
          "val_interval", "filter_inter_by_user_or_item", "benchmark_filename", "USER_ID_FIELD",
          "ITEM_ID_FIELD", "TIME_FIELD")  # fmt: skip


def content(config, grouping=None):
    """What decides what the interests are: settings, and the texts that they are made from.

    Args:
        config (Config): of a model that reads interests.
        grouping (str, optional): in place of ``interest_grouping``.

    Returns:
        dict: name to value, JSON-able.

    Raises:
        SettingError: ``llm_prompt_file`` cannot be used.
    """
    values = {name: config[name] for name in _settings(config)}
    if grouping or config["interest_generator"] == IMPORTED:  # imported interests have no groups
        values["interest_grouping"] = grouping or ROUTING
    values = effective(values)
    values["eval_args"] = _held_out(config["eval_args"])
    if values.get("llm_prompt_file"):  # its text counts, wherever it lies
        values["llm_prompt_file"] = hashlib.sha256(_prompt(values["llm_prompt_file"])).hexdigest()
    if config["interest_generator"] != IMPORTED:
        values["titles"] = titles_digest(config)
    if config["interest_generator"] == "keyphrases":
        values["item_facts"] = facts_digest(config)
    return json.loads(json.dumps(values, default=str))


def _held_out(eval_args):
    """What says which items are held out: how samples are ranked in evaluation does not change that."""
    return {name: value for name, value in eval_args.items() if name != "mode"}


def _prompt(path):
    """The bytes of a user's own question, with the line ends that reading it as text gives."""
    try:
        return Path(path).read_text(encoding="utf-8").encode()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(
            f"Cannot read the prompt template {path} ({error}); give a UTF-8 text file as llm_prompt_file."
        ) from error


def _is_default(config, name):
    """Whether a setting that was given is what it would be anyway."""
    default = config.internal_config_dict.get(name)
    if name == "eval_args":  # RecBole adds this to its own default for sequential models, which leaves it out
        return _held_out(config["eval_args"]) == _held_out({"group_by": "user", **default})
    return config.external_config_dict[name] == default


def _settings(config):
    """The names of the settings in :func:`content`."""
    names = sorted(yaml_files.keys(interests_file()) - _NOT_CONTENT) + list(_SPLIT)
    return names if config["interest_generator"] in OFFLINE else [*names, *_LLM_CONTENT]


def folder(config):
    """The folder of the dataset's own files that may be written to.

    RecBole reads ml-100k out of its installed package; its interests go to where the other datasets are.
    """
    if config["dataset"] == "ml-100k":
        given = {**config.internal_config_dict, **config.external_config_dict}
        return Path(given["data_path"]) / config["dataset"]
    return Path(config["data_path"])


def path(config, grouping=None):
    """The interest store of a configuration.

    Args:
        config (Config): of a model that reads interests.
        grouping (str, optional): in place of ``interest_grouping``.

    Returns:
        pathlib.Path: ``interest_store``, or a name beside the dataset that differs when a setting, a title or
        the prompt differs, so that runs never overwrite, or take, each other's interests.

    Raises:
        SettingError: ``llm_prompt_file`` cannot be used.
    """
    if config["interest_store"]:
        return Path(config["interest_store"])
    key = hashlib.sha256(json.dumps(content(config, grouping), sort_keys=True).encode()).hexdigest()[:8]
    encoder = Path(str(config["text_encoder"])).name
    return folder(config) / (
        f"{config['dataset']}.interests-{config['interest_generator']}-{encoder}-{key}.safetensors"
    )


def existing(config):
    """The interest store of a configuration, which has to be there.

    Args:
        config (Config): of a model that reads interests.

    Returns:
        pathlib.Path: as :func:`path`.

    Raises:
        StoreMissingError: nobody built it yet; the sentence names the command that does.
        SettingError: as :func:`path`.
    """
    store = path(config)
    if not store.exists():
        raise StoreMissingError(f"there are no interests at {store} yet: build them with: {command(config)}")
    return store


def open_existing(config):
    """The interest store of a configuration, which has to be there and to belong to it.

    A store that ``interest_store`` names is the user's choice: other settings are none of our business, and
    titles that have changed since are logged.

    Args:
        config (Config): of a model that reads interests.

    Returns:
        InterestStore: open.

    Raises:
        StoreMissingError: as :func:`existing`.
        StoreError: the store cannot be read, or is not the one that belongs in its place.
        SettingError: as :func:`path`.
    """
    store = InterestStore.open(existing(config))
    made, now = store.fingerprint.get("configuration"), content(config)
    if not isinstance(made, dict):  # somebody made the file by hand
        return store
    if not config["interest_store"] and made != now:
        raise StoreError(
            f"{store.path} was made with other settings or from other titles than its name says, so it was "
            f"put there in place of the right one. Move it away, or build the interests again with: "
            f"{command(config)}"
        )
    if not config["interest_store"]:
        check_encoder(store, config)
    ours, theirs = now.get("titles"), made.get("titles")
    same_fields = made.get("item_text_fields") == now["item_text_fields"]
    if same_fields and None not in (ours, theirs) and ours != theirs:
        getLogger().warning(
            f"the interests in {store.path} were made from other titles than the items of "
            f"'{config['dataset']}' have now; they are used because interest_store names them"
        )
    return store


def check_encoder(store, config):
    """Warns of vectors whose pretrained model has got other files since.

    Args:
        store (InterestStore): of interests or item texts.
        config (Config): names the text encoder.
    """
    name = str(config["text_encoder"])
    if has_changed(name, store.fingerprint.get("encoder") or {}, store.path):
        getLogger().warning(
            f"{store.path} was made before files of the text encoder {name} changed. If its weights did, "
            f"build all vectors again with: {command(config, again=False)} --rebuild"
        )


def command(config, again=True):
    """What to type to build what a configuration reads of Stage 1, as one shell command.

    It names only what differs from the defaults: ``compare`` gives every model the whole split.

    Args:
        config (Config): of a model that reads interests or item texts.
        again (bool): whether interests that are there are to be built again.
    """
    relevant = set(_settings(config)) | {"data_path", "interest_store", "text_batch_size", "text_cache_dir"}
    relevant |= yaml_files.keys(llm_file())
    given = config.external_config_dict
    words = ["python", "-m", "recbole_sam", "interests", f"--dataset={config['dataset']}"]
    if config["model"] != "SAM":
        words.append(f"--model={config['model']}")
    needed = sorted(name for name in relevant & set(given) if not _is_default(config, name))
    words += [f"--{name}={given[name]}" for name in needed]
    if again and path(config).exists():
        words.append("--rebuild")
    return " ".join(map(shlex.quote, words))
