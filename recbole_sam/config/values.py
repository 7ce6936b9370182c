"""Which values of RecBole's settings make sense: said before any data is read, not after the first epoch."""

import ast
import math

from recbole_sam.config import our_models, yaml_files
from recbole_sam.config.forms import (
    COUNTS,
    FORMS,
    IN_EVAL_ARGS,
    MOST,
    NEEDS,
    RANGES,
    is_count,
    is_installed,
    is_interval,
)
from recbole_sam.errors import SettingError

_SHAPES = {"[": "['a', 'b']", "{": "{'a': 'b'}"}
_OF_TRANSFORM = {"mask_itemseq": "mask_ratio", "crop_itemseq": "eta", "reorder_itemseq": "beta"}
_OF_FILTERS = (
    "rm_dup_inter", "val_interval", "user_inter_num_interval", "item_inter_num_interval",
)  # fmt: skip
_OF_PROCESSES = ("nproc", "world_size", "group_offset", "ip", "port")


def check(config):
    """Refuses values that RecBole would stumble over later, or in terms of its own code.

    Args:
        config (Config): of any model.

    Raises:
        SettingError: the first one that is wrong, and what to do.
    """
    defaults = config.internal_config_dict
    check_lists({
        name: value for name, value in config.external_config_dict.items()
        if isinstance(defaults.get(name), list | dict)
    })  # fmt: skip
    check_forms(config.external_config_dict)
    _check_numbers(config)
    _check_heads(config)
    if config["eval_step"] > 0:  # else nothing is validated
        _check_valid_metric(config)
    _check_samples(config)
    _check_together(config)
    if not _is_of_recbole(config):
        our_models.model_class(config["model"]).check_settings(config)


def check_lists(given):
    """Refuses a list of bare words, such as ``[Hit,NDCG]``, which RecBole reads as one word.

    Args:
        given (dict): setting to value, as far as it should be a list or a dictionary.

    Raises:
        SettingError: how to write it.
    """
    for name, value in given.items():
        shape = _SHAPES.get(value.lstrip()[:1]) if isinstance(value, str) else None
        if shape is None or is_interval(value):
            continue
        try:
            ast.literal_eval(value)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise SettingError(
                f"{name} cannot be read: {_shown(value, 120)}. The words in it need quotes, as in "
                f'--{name}="{shape}".'
            ) from None


def check_forms(given):
    """Refuses values of another form than their setting has.

    Args:
        given (dict): setting to value, as RecBole reads them.

    Raises:
        SettingError: the first one that is wrong, with the right form.
    """
    if "config_file" in given:
        raise SettingError("config_file is read by nothing: name the YAML files by --config_files=FILE.")
    for name, value in given.items():
        _check_form(name, value, FORMS.get(name))
    arguments = given.get("eval_args")
    for name, value in (arguments or {}).items():
        _check_form(f"{name} in eval_args", value, IN_EVAL_ARGS[name])
    for name, package in NEEDS.items():
        if given.get(name) is True and not is_installed(package):
            raise SettingError(f"{name} needs {package}, which is not installed: pip install {package}.")


def _check_form(name, value, form):
    if form is None or form.optional and value is None or form.fits(value):
        return
    if not name.endswith("_num_interval"):  # an interval needs no quotes
        check_lists({name: value})
    raise SettingError(f"{name} must be {form.words}, not {_shown(value)}.")


def _shown(value, most=60):
    text = str(value) if most > 60 else repr(value)
    return text if len(text) <= most else f"{text[:most]}..."


def _check_numbers(config):
    for name, value in config.external_config_dict.items():
        default = config.internal_config_dict.get(name)
        least = COUNTS.get(name)
        if least is not None and (default is not None or value is not None):
            _check_count(config, name, value, least)
        if isinstance(default, bool) and value not in (True, False, None):
            raise SettingError(f"{name} must be True or False, not {_shown(value)}.")
        is_number = isinstance(default, int | float) and not isinstance(default, bool)
        if is_number and isinstance(value, str | list | tuple | dict):
            raise SettingError(f"{name} must be a number such as {default}, not {_shown(value)}.")
        if isinstance(default, list) and name not in FORMS and _is_of_recbole(config):
            if not isinstance(value, list | tuple):
                raise SettingError(f"{name} must be a list such as {default}, not {_shown(value)}.")
        _check_range(name, value, default)


def _check_count(config, name, value, least):
    if name in ("n_layers", "num_layers") and _is_of_recbole(config):
        least = 1  # only the plugin's models can do without
    if not is_count(value, least):
        most = f" to {MOST:,}" if isinstance(value, int) and value > MOST else ""
        raise SettingError(f"{name} must be a whole number from {least}{most}, not {_shown(value)}.")


def _check_range(name, value, default):
    least, most = (0, 1) if "dropout" in name else RANGES.get(name, (-math.inf, math.inf))
    of_numbers = name in RANGES or "dropout" in name
    # RecBole has switches whose default is 0 or 1
    if isinstance(value, bool) and (of_numbers or isinstance(default, float)) or value is None and of_numbers:
        raise SettingError(f"{name} must be a number such as {default}, not {value}.")
    if not isinstance(value, int | float):
        return
    if not least <= value <= most and not math.isnan(value):
        allowed = f"from {least} on" if most == math.inf else f"from {least} to {most}"
        raise SettingError(f"{name} must be a number {allowed}, not {_shown(value)}.")
    # a setting that knows infinity has it as its default, or no default at all
    ends = isinstance(default, int | float) and math.isfinite(default)
    if math.isnan(value) or ends and math.isinf(value):
        raise SettingError(f"{name} must be a finite number such as {default}, not {value}.")


def _is_of_recbole(config):
    return config["model"] not in yaml_files.model_names()


def _check_heads(config):
    """Heads share out the width evenly; a model of the plugin says so itself."""
    if not _is_of_recbole(config) or config["n_heads"] is None:
        return
    for name in ("hidden_size", "embedding_size"):
        if config[name] is not None:
            if is_count(config[name], 1) and config[name] % config["n_heads"]:
                raise SettingError(
                    f"{name} ({config[name]}) must be a multiple of n_heads ({config['n_heads']})."
                )
            return


def _check_valid_metric(config):
    from recbole.evaluator.register import metric_types
    from recbole.utils import EvaluatorType

    one_number = [name for name, kind in metric_types.items() if kind == EvaluatorType.VALUE] + ["gauc"]
    computed = [name.lower() for name in config["metrics"]]
    names = [name for name in computed if name in one_number]
    names += [f"{name}@{k}" for name in computed if name not in one_number for k in config["topk"]]
    if config["valid_metric"].lower() not in names:
        raise SettingError(
            f"valid_metric is '{config['valid_metric']}'; it must be one of {', '.join(sorted(names))}, for "
            f"metrics {config['metrics']} and topk {config['topk']}."
        )


def _check_samples(config):
    """The split and the negatives of a sequential model."""
    from recbole.utils import ModelType

    if config["MODEL_TYPE"] != ModelType.SEQUENTIAL:
        return
    given = config["eval_args"]
    if given["order"] != "TO":
        whole = {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": given["mode"]}
        raise SettingError(
            f"eval_args has the order '{given['order']}' (RecBole's default where it is left out), but "
            f'{config["model"]} needs time order: give all of it, such as --eval_args="{whole}".'
        )
    # a model with a transform, such as BERT4Rec, makes its own negatives
    sampled = config["train_neg_sample_args"]["distribution"] != "none" or config["transform"] is not None
    if config["loss_type"] in ("BPR", "BCE") and not sampled:
        raise SettingError(
            f"loss_type {config['loss_type']} compares with a sampled item, but train_neg_sample_args is "
            "off: leave it out."
        )


def _check_together(config):
    """Settings of which one would switch another off without a word, or break it."""
    given = config.external_config_dict
    if config["benchmark_filename"]:
        for name in (*_OF_FILTERS, "eval_args"):
            if given.get(name) is not None and not (name == "eval_args" and _only_mode(given[name])):
                raise SettingError(
                    f"{name} does nothing to the ready parts of benchmark_filename: leave one of them out."
                )
    if given.get("unload_col") and config["load_col"] is not None:
        raise SettingError("unload_col does nothing beside load_col: give --load_col=None with it.")
    if config["normalize_field"] and config["normalize_all"]:
        raise SettingError("normalize_all is for all columns, normalize_field for some: leave one out.")
    for name in config["discretization"] or {}:
        if name not in (config["numerical_features"] or []):
            raise SettingError(
                f"discretization names '{name}', which numerical_features does not: name it there too."
            )
    negatives = config["train_neg_sample_args"]
    if negatives["dynamic"] and negatives["candidate_num"] < 1:
        raise SettingError("train_neg_sample_args is dynamic, which needs a candidate_num from 1.")
    needed = _OF_TRANSFORM.get(config["transform"])
    if needed and config[needed] is None:
        raise SettingError(f"transform {config['transform']} needs {needed}: give it, or leave both out.")
    _check_fields(config)


def _only_mode(arguments):
    return isinstance(arguments, dict) and set(arguments) <= {"mode"}


def _check_fields(config):
    """Names of columns that would overwrite each other."""
    if (config["USER_ID_FIELD"] is None) != (config["ITEM_ID_FIELD"] is None):
        raise SettingError("USER_ID_FIELD and ITEM_ID_FIELD go together: name both columns, or none.")
    seen = {}
    for name in ("USER_ID_FIELD", "ITEM_ID_FIELD", "TIME_FIELD", "ITEM_LIST_LENGTH_FIELD"):
        column = config[name]
        if column is not None and seen.setdefault(column, name) != name:
            raise SettingError(f"{name} and {seen[column]} are both '{column}': name two columns.")


def check_file(content, file):
    """Refuses words of the command line in a configuration file, where nothing reads them.

    Args:
        content (dict): of the file.
        file (str): its name, for the sentence.

    Raises:
        SettingError: naming the setting.
    """
    for name in content:
        if not isinstance(name, str):
            raise SettingError(f"the configuration file {file} has the key {name!r}: keys are words.")
        if name in (*_OF_PROCESSES, "config_files"):
            raise SettingError(
                f"{name} in {file} does nothing: it is a word of the command line, --{name}=..."
            )
