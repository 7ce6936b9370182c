"""Which values of RecBole's settings make sense: said before any data is read, not after the first epoch."""

import ast
import math

from recbole_sam.errors import SettingError

COUNTS = {
    "epochs": 0, "stopping_step": 0, "worker": 0, "seed": 0, "train_batch_size": 1, "eval_batch_size": 1,
    "MAX_ITEM_LIST_LENGTH": 1,
}  # fmt: skip
"""RecBole's settings that are whole numbers, and their least."""

RANGES = {"learning_rate": (0, math.inf), "weight_decay": (0, math.inf), "initializer_range": (0, math.inf)}
"""Settings that are numbers between two, both allowed; so is whatever has "dropout" in its name: 0 and 1."""

_SHAPES = {"[": "['a', 'b']", "{": "{'a': 'b'}"}


def is_count(value, least):
    """Whether a value is a whole number (int, no bool) from ``least``."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


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
    _check_numbers(config)
    if config["eval_step"] > 0:  # else nothing is validated
        _check_valid_metric(config)
    _check_samples(config)


def check_lists(given):
    """Refuses a list of bare words, such as ``[Hit,NDCG]``, which RecBole reads as one word.

    Args:
        given (dict): setting to value, as far as it should be a list or a dictionary.

    Raises:
        SettingError: how to write it.
    """
    for name, value in given.items():
        shape = _SHAPES.get(value.lstrip()[:1]) if isinstance(value, str) else None
        if shape is None:
            continue
        try:
            ast.literal_eval(value)
        except (SyntaxError, ValueError):
            raise SettingError(
                f'{name} cannot be read: {value}. The words in it need quotes, as in --{name}="{shape}".'
            ) from None


def _check_numbers(config):
    for name, value in config.external_config_dict.items():
        least = COUNTS.get(name)
        if least is not None and not is_count(value, least):
            raise SettingError(f"{name} must be a whole number from {least}, not {value!r}.")
        default = config.internal_config_dict.get(name)
        if isinstance(default, bool) and value not in (True, False, None):
            raise SettingError(f"{name} must be True or False, not {value!r}.")
        is_number = isinstance(default, int | float) and not isinstance(default, bool)
        if is_number and isinstance(value, str):
            raise SettingError(f"{name} must be a number such as {default}, not '{value}'.")
        least, most = (0, 1) if "dropout" in name else RANGES.get(name, (-math.inf, math.inf))
        if isinstance(value, int | float) and not least <= value <= most:
            allowed = f"from {least} on" if most == math.inf else f"from {least} to {most}"
            raise SettingError(f"{name} must be a number {allowed}, not {value!r}.")
    clip = config["clip_grad_norm"]
    if clip is not None and not isinstance(clip, dict):
        raise SettingError(f"clip_grad_norm must be a dictionary such as {{'max_norm': 1.0}}, not {clip!r}.")


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
            f"{config['model']} needs time order: give all of it, such as --eval_args=\"{whole}\"."
        )
    # a model with a transform, such as BERT4Rec, makes its own negatives
    sampled = config["train_neg_sample_args"]["distribution"] != "none" or config["transform"] is not None
    if config["loss_type"] in ("BPR", "BCE") and not sampled:
        raise SettingError(
            f"loss_type {config['loss_type']} compares with a sampled item, but train_neg_sample_args is "
            "off: leave it out."
        )
