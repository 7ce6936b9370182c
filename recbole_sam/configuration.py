"""RecBole's configuration from command-line words, with every user's mistake as one sentence."""

import math
import sys

import yaml

from recbole_sam.errors import RecBoleSAMError, SettingError

DEFAULT_MODEL = "SAM"
DEFAULT_DATASET = "amazon-beauty"
SHORT = {
    "max-cost": "llm_max_cost",
    "max-users": "llm_max_users",
    "cache-dir": "llm_cache_dir",
    "engine": "interest_engine",
}
"""Words for settings that are typed often."""


def parse_words(words):
    """Command-line words of the form ``--key=value``.

    Args:
        words (list of str): without the program's name.

    Returns:
        dict: key to value, both str. RecBole converts the values.

    Raises:
        SettingError: a word of another form, or a key given twice with different values.
    """
    given = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not key.startswith("--") or len(key) < 3 or not equals:
            raise SettingError(f"cannot read '{word}': settings are given as --key=value.")
        key = SHORT.get(key[2:], key[2:])
        if given.setdefault(key, value) != value:
            raise SettingError(f"--{key} is given twice, as '{given[key]}' and as '{value}'.")
    return given


def config_files(given):
    """The YAML files of ``--config_files``, separated by spaces (RecBole's way) or commas.

    Args:
        given (dict): what :func:`parse_words` returned.

    Returns:
        list of str or None: as RecBole takes it.
    """
    return given.get("config_files", "").replace(",", " ").split() or None


def with_files(given):
    """Settings with the content of their ``--config_files`` in place of the files' names.

    Args:
        given (dict): what :func:`parse_words` returned.

    Returns:
        dict: key to value, both str; the command line beats the files, a later file an earlier one.

    Raises:
        SettingError: a file is missing, or not of the form ``key: value``.
    """
    in_files = {name: _word(value) for name, value in _read_files(config_files(given) or []).items()}
    return in_files | {name: value for name, value in given.items() if name != "config_files"}


def _word(value):
    """A value of YAML as RecBole reads it from the command line, where ``inf`` is only a word."""
    return str(value).replace("inf", "1e999") if value in (math.inf, -math.inf) else str(value)


def make_config(given, model=None):
    """RecBole's ``Config`` of some command-line settings.

    Args:
        given (dict): what :func:`parse_words` returned.
        model (str, optional): the model when neither the words nor a file names one; SAM by default.

    Returns:
        recbole.config.Config: with the plugin's defaults in it.

    Raises:
        SettingError: a setting, a value or a configuration file is wrong.
        UnknownNameError: the model does not exist.
    """
    from recbole.config import Config

    files = config_files(given)
    in_files = _read_files(files or [])
    argv = sys.argv
    sys.argv = argv[:1]  # RecBole would read it a second time, and drop values that hold a '='
    try:
        config = Config(
            model=given.get("model", in_files.get("model", model or DEFAULT_MODEL)),
            dataset=given.get("dataset", in_files.get("dataset", DEFAULT_DATASET)),
            config_file_list=files,
            config_dict=dict(given),
        )
        _check_numbers(config)
        _check_evaluation(config)
        return config
    except RecBoleSAMError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, NotImplementedError, RuntimeError,
            ArithmeticError) as error:  # fmt: skip
        # RecBole checks values with whatever exception is at hand; nothing but settings was read so far.
        raise SettingError(f"a setting is not usable: {error}") from error
    finally:
        sys.argv = argv


_COUNTS = {
    "epochs": 0, "stopping_step": 0, "worker": 0, "seed": 0, "train_batch_size": 1, "eval_batch_size": 1,
    "MAX_ITEM_LIST_LENGTH": 1,
}  # fmt: skip
"""RecBole's settings that are whole numbers, and their least."""


def _check_numbers(config):
    """Refuses a word where the default is a number: RecBole would stumble over it much later."""
    for name, value in config.external_config_dict.items():
        least = _COUNTS.get(name)
        if least is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
            raise SettingError(f"{name} must be a whole number from {least}, not {value!r}.")
        default = config.internal_config_dict.get(name)
        is_number = isinstance(default, int | float) and not isinstance(default, bool)
        if is_number and isinstance(value, str):
            raise SettingError(f"{name} must be a number such as {default}, not '{value}'.")


def _check_evaluation(config):
    """Refuses what RecBole finds out after the first epoch, or tells in terms of its own code."""
    from recbole.evaluator.register import metric_types
    from recbole.utils import EvaluatorType, ModelType

    one_number = [name for name, kind in metric_types.items() if kind == EvaluatorType.VALUE] + ["gauc"]
    computed = [name.lower() for name in config["metrics"]]
    names = [name for name in computed if name in one_number]
    names += [f"{name}@{k}" for name in computed if name not in one_number for k in config["topk"]]
    if config["eval_step"] > 0 and config["valid_metric"].lower() not in names:
        raise SettingError(
            f"valid_metric is '{config['valid_metric']}'; it must be one of {', '.join(sorted(names))}, for "
            f"metrics {config['metrics']} and topk {config['topk']}."
        )
    if config["MODEL_TYPE"] != ModelType.SEQUENTIAL:
        return
    given = config["eval_args"]
    if given["order"] != "TO":
        whole = {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": given["mode"]}
        raise SettingError(
            f"eval_args has the order '{given['order']}' (RecBole's default where it is left out), but "
            f"{config['model']} needs time order: give all of it, such as --eval_args=\"{whole}\"."
        )
    sampled = config["train_neg_sample_args"]["distribution"] != "none"
    if config["loss_type"] in ("BPR", "BCE") and not sampled and config["transform"] is None:
        raise SettingError(
            f"loss_type {config['loss_type']} compares with a sampled item, but train_neg_sample_args is "
            "off: leave it out."
        )


def _read_files(files):
    settings = {}
    for file in files:
        try:
            with open(file, encoding="utf-8") as stream:
                content = yaml.safe_load(stream)
        except OSError as error:
            raise SettingError(f"cannot read the configuration file {file}: {error.strerror}.") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            place = " ".join(str(error).split())
            raise SettingError(f"the configuration file {file} is not YAML: {place}") from error
        if not isinstance(content, dict):
            raise SettingError(f"the configuration file {file} must hold lines of the form 'key: value'.")
        settings.update(content)
    return settings
