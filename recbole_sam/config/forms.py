"""Which form the values of RecBole's settings have: one table of setting, check and right form.

RecBole reads many of them late, and ignores what it cannot read: ``--user_inter_num_interval=5`` filters
nothing, and ``--val_interval="{'rating':'3'}"`` drops one arbitrary row. Only what a user gives is held to
the table; whether the columns exist is known once the data is read (`data.columns`).
"""

import codecs
import importlib.util
import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

MOST = 2**31 - 1
"""The largest whole number that every step of RecBole, numpy and torch can hold."""


class Form(NamedTuple):
    """What a setting must be."""

    fits: Callable[[Any], bool]
    words: str
    """Behind "must be": the right form, with an example."""
    optional: bool = False
    """Whether None, for "not used", is right too."""


def is_number(value, least=-math.inf, most=math.inf):
    """Whether a value is a finite number in a range, and no bool."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and least <= value <= most


def is_count(value, least, most=MOST):
    """Whether a value is a whole number (int, no bool) from ``least``."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def is_word(value):
    """Whether a value is a text with something in it."""
    return isinstance(value, str) and bool(value.strip())


def is_words(value):
    """Whether a value is a list of texts."""
    return isinstance(value, list | tuple) and all(map(is_word, value))


def is_interval(value):
    """Whether RecBole reads a value as an interval, or as several separated by semicolons.

    Args:
        value: a text such as ``[5,inf)``, or the list or tuple that Python makes of ``[3,5]``.

    Returns:
        bool: False too where nothing is inside, as in ``[5,2]``.
    """
    if not isinstance(value, str | list | tuple):
        return False
    return all(_is_one_interval(part.strip()) for part in str(value).split(";"))


def _is_one_interval(text):
    found = re.fullmatch(r"([\[(])([^,]*),([^,]*)([\])])", text)
    if not found:
        return False
    left, low, high, right = found.groups()
    try:
        low, high = float(low), float(high)
    except ValueError:
        return False
    return low < high or low == high and left + right == "[]"


def one_of(*words, optional=False):
    """The form of a setting that is one of some words, in any case."""
    return Form(
        lambda value: isinstance(value, str) and value.lower() in words,
        "one of " + ", ".join(words) + (", or None" if optional else ""),
        optional,
    )


def table(keys, values):
    """A check of dictionaries: every key and every value has to pass."""
    return lambda value: (
        isinstance(value, dict) and all(keys(key) and values(content) for key, content in value.items())
    )


def record(known, needed=()):
    """A check of dictionaries with some keys, each with its own check."""
    return lambda value: (
        isinstance(value, dict)
        and set(needed) <= set(value) <= set(known)
        and all(known[key](content) for key, content in value.items())
    )


def _is_flag(value):
    return isinstance(value, bool)


def _is_split(value):
    if not isinstance(value, dict) or len(value) != 1:
        return False
    [(kind, parts)] = value.items()
    if kind == "LS":
        return parts in ("valid_and_test", "valid_only", "test_only")
    return kind in ("RS", "TS") and _are_shares(parts)


def _are_shares(parts):
    """Three parts of a whole: fractions that add up to 1, or whole numbers such as 8, 1, 1."""
    if not isinstance(parts, list | tuple) or len(parts) != 3 or not all(is_number(one, 0) for one in parts):
        return False
    whole = all(isinstance(one, int) for one in parts)
    return 0 < parts[0] and (whole or abs(sum(parts) - 1) < 0.02)


def _is_mode(value):
    if isinstance(value, dict):
        return bool(value) and set(value) <= {"valid", "test"} and all(map(_is_mode, value.values()))
    return isinstance(value, str) and bool(re.fullmatch(r"full|labeled|(uni|pop)[1-9]\d{0,8}", value))


def _is_load_col(value):
    return table(is_word, lambda names: names == "*" or is_words(names))(value)


def _is_discretization(value):
    methods = {"method": lambda name: name in ("ED", "LD"), "bucket": lambda count: is_count(count, 1)}
    return table(is_word, record(methods, ["method"]))(value) and all(
        "bucket" in one for one in value.values() if one["method"] == "ED"
    )


def _is_gpu(value):
    """Numbers, or the names that CUDA gives to GPUs and to their parts; nothing, or -1, for none."""
    if isinstance(value, list | tuple):
        return all(is_count(one, 0) for one in value)
    if isinstance(value, str):
        return all(re.fullmatch(r"\s*(\d+|-1|(GPU|MIG)-[\w/-]+)\s*", one) for one in value.split(",") if one)
    return is_count(value, -1)


def _is_encoding(value):
    try:
        return is_word(value) and bool(codecs.lookup(value))
    except (LookupError, ValueError):
        return False


def _is_topk(value):
    return (
        is_count(value, 1)
        or isinstance(value, list | tuple)
        and value
        and all(is_count(one, 1) for one in value)
    )


def _is_folder_name(value):
    """A name that can be a folder's and begin those of files (255 bytes on every common system)."""
    return (
        is_word(value)
        and not re.search(r"[/\\\x00-\x1f]", value)
        and value not in (".", "..")
        and len(value.encode("utf-8", "replace")) <= 150
    )


_NEGATIVES = {
    "distribution": lambda value: value is None or value in ("uniform", "popularity", "none", "None"),
    "sample_num": lambda value: is_count(value, 1) or value in (None, "none"),
    "alpha": lambda value: is_number(value) or value in (None, "none"),
    "dynamic": _is_flag,
    "candidate_num": lambda value: is_count(value, 0),
}
_CLIP = {
    "max_norm": lambda value: is_number(value, 0) and value > 0,
    "norm_type": lambda value: value in ("inf", math.inf) or is_number(value, 0) and value > 0,
    "error_if_nonfinite": _is_flag,
    "foreach": lambda value: value is None or _is_flag(value),
}
_EVAL = {
    "split": _is_split,
    "order": lambda value: value in ("RO", "TO"),
    "group_by": lambda value: value in (None, "none", "None", "user"),
    "mode": _is_mode,
}

_FLAG = Form(_is_flag, "True or False", optional=True)
_WORD = Form(is_word, "a word")
_NAME = Form(is_word, "the name of a column, such as 'user_id'", optional=True)
_PATH = Form(is_word, "a path; write ./5 for one that reads like a number", optional=True)
_COLUMNS = Form(is_words, "a list of columns, such as \"['rating']\"", optional=True)
_COLUMNS_BY_FILE = Form(
    table(is_word, is_words),
    "a dictionary from file to columns, such as \"{'inter': ['rating']}\"",
    optional=True,
)
_INTERVAL = Form(is_interval, 'an interval such as "[5,inf)" or "[5,20]"', optional=True)

FORMS = {
    "model": _WORD,
    "dataset": Form(_is_folder_name, "the name of a folder below data_path, at most 150 letters long"),
    "data_path": _PATH,
    "checkpoint_dir": _PATH,
    "dataset_save_path": _PATH,
    "dataloaders_save_path": _PATH,
    "wandb_project": _WORD,
    "state": one_of("info", "debug", "warning", "error", "critical", optional=True),
    "gpu_id": Form(_is_gpu, "numbers of GPUs, such as 0 or 0,1; --use_gpu=False takes none", optional=True),
    "seed": Form(lambda value: is_count(value, 0, 2**32 - 1), "a whole number from 0 to 4294967295"),
    # of Stage 1
    "interest_seed": Form(lambda value: is_count(value, 0, 2**32 - 1), "a whole number from 0 to 4294967295"),
    "interest_readout": one_of("max", "mean"),
    "interest_store": _PATH,
    "text_cache_dir": _PATH,
    "text_encoder": Form(is_word, "lsa, or the folder or name of a model; write ./5 for a folder 5"),
    "item_text_fields": Form(
        lambda value: is_word(value) or is_words(value) and len(value) > 0,
        "a list of columns, such as \"['title','brand']\"",
    ),
    "llm_model": Form(is_word, "the name of a model; write ./5 for a folder 5", optional=True),
    "llm_prompt_file": _PATH,
    "llm_cache_dir": _PATH,
    "llm_prices_file": _PATH,
    "llm_price_region": Form(is_word, "a section of the price table", optional=True),
    # columns and files
    "USER_ID_FIELD": _NAME,
    "ITEM_ID_FIELD": _NAME,
    "TIME_FIELD": _NAME,
    "RATING_FIELD": _NAME,
    "LABEL_FIELD": _NAME,
    "ITEM_LIST_LENGTH_FIELD": _NAME,
    "POSITION_FIELD": _NAME,
    "LIST_SUFFIX": _WORD,
    "NEG_PREFIX": _WORD,
    "field_separator": Form(
        lambda value: isinstance(value, str) and bool(value), "the letters between cells"
    ),
    "seq_separator": Form(lambda value: isinstance(value, str) and bool(value), "the letters between words"),
    "encoding": Form(_is_encoding, "the name of an encoding, such as utf-8 or latin1", optional=True),
    "load_col": Form(
        _is_load_col, "a dictionary from file to columns or '*', such as \"{'inter': '*'}\"", optional=True
    ),
    "unload_col": _COLUMNS_BY_FILE,
    "unused_col": _COLUMNS_BY_FILE,
    "additional_feat_suffix": Form(
        lambda value: is_word(value) or is_words(value),
        "a list of endings of files, such as \"['emb']\"",
        optional=True,
    ),
    "benchmark_filename": Form(
        lambda value: is_words(value) and len(value) == 3,
        "the three parts of a split, such as \"['train','valid','test']\"",
        optional=True,
    ),
    "seq_len": Form(
        table(is_word, lambda value: is_count(value, 1)),
        "a dictionary from column to length, such as \"{'words': 10}\"",
        optional=True,
    ),
    "numerical_features": _COLUMNS,
    # filters
    "rm_dup_inter": one_of("first", "last", optional=True),
    "val_interval": Form(
        table(is_word, lambda value: is_interval(value) or is_words(value) and len(value) > 0),
        "a dictionary from column to an interval, or to a list of words, such as "
        "\"{'rating': '[3,5]', 'item_id': ['i1','i2']}\"",
        optional=True,
    ),
    "user_inter_num_interval": _INTERVAL,
    "item_inter_num_interval": _INTERVAL,
    "entity_kg_num_interval": _INTERVAL,
    "relation_kg_num_interval": _INTERVAL,
    "filter_inter_by_user_or_item": _FLAG,
    # other steps on the data
    "threshold": Form(
        lambda value: table(is_word, is_number)(value) and len(value) == 1,
        "a dictionary of one column of numbers and its least value, such as \"{'rating': 3}\"",
        optional=True,
    ),
    "normalize_field": _COLUMNS,
    "normalize_all": _FLAG,
    "discretization": Form(
        _is_discretization,
        "a dictionary such as \"{'age': {'method': 'ED', 'bucket': 10}}\", the methods being ED and LD",
        optional=True,
    ),
    "preload_weight": Form(
        table(is_word, is_word),
        "a dictionary from column of IDs to column of numbers, such as \"{'ent_id': 'ent_emb'}\"",
        optional=True,
    ),
    "alias_of_user_id": _COLUMNS,
    "alias_of_item_id": _COLUMNS,
    "alias_of_entity_id": _COLUMNS,
    "alias_of_relation_id": _COLUMNS,
    # training and evaluation
    "learner": one_of("adam", "adamw", "sgd", "adagrad", "rmsprop", "sparse_adam"),
    "train_neg_sample_args": Form(
        record(_NEGATIVES),
        "None, or a dictionary with some of distribution (uniform or popularity), "
        "sample_num, alpha, dynamic and candidate_num",
        optional=True,
    ),
    "clip_grad_norm": Form(
        record(_CLIP, ["max_norm"]),
        "a dictionary such as {'max_norm': 1.0}, with norm_type where it is not 2",
        optional=True,
    ),
    "transform": one_of(
        "mask_itemseq", "inverse_itemseq", "crop_itemseq", "reorder_itemseq", "user_defined", optional=True
    ),
    "eval_args": Form(
        lambda value: isinstance(value, dict) and set(value) <= set(_EVAL),
        "a dictionary with some of split, order, group_by and mode",
    ),
    "metrics": Form(
        lambda value: is_word(value) and value.isalnum() or is_words(value) and len(value) > 0,
        "a list of metrics, such as \"['Hit','NDCG']\"",
    ),
    "topk": Form(_is_topk, "whole numbers from 1, such as [10,20]"),
    "valid_metric": Form(is_word, "the name of a metric, such as NDCG@10"),
    "valid_metric_bigger": _FLAG,
}

IN_EVAL_ARGS = {
    "split": Form(
        _EVAL["split"],
        "{'LS': 'valid_and_test'} (or valid_only, test_only), {'RS': [0.8,0.1,0.1]} or {'TS': ...}, "
        "with three shares from 0 that add up to 1",
    ),
    "order": Form(_EVAL["order"], "RO (random) or TO (by time)"),
    "group_by": Form(_EVAL["group_by"], "user or None"),
    "mode": Form(
        _EVAL["mode"],
        "full, labeled, uni100 or pop100 (any number), or a dictionary of these for valid and test",
    ),
}

COUNTS = {
    "epochs": 0,
    "stopping_step": 0,
    "eval_step": 0,
    "eval_users": 1,
    "worker": 0,
    "train_batch_size": 1,
    "eval_batch_size": 1,
    "MAX_ITEM_LIST_LENGTH": 1,
    "metric_decimal_place": 0,
    "loss_decimal_place": 0,
    "hidden_size": 1,
    "embedding_size": 1,
    "inner_size": 1,
    "kg_embedding_size": 1,
    "attention_size": 1,
    "n_heads": 1,
    "num_heads": 1,
    "n_layers": 0,
    "num_layers": 1,
    "text_encoder_dim": 1,
    "text_max_length": 1,
    "text_batch_size": 1,
}
"""Settings that are whole numbers, and their least."""

RANGES = {
    "learning_rate": (0, math.inf),
    "weight_decay": (0, math.inf),
    "initializer_range": (0, math.inf),
    "layer_norm_eps": (0, math.inf),
    "alignment_weight": (0, math.inf),
    "semantic_weight": (0, math.inf),
    "pvn_weight": (0, math.inf),
    "text_scale": (0, math.inf),
}
"""Settings that are numbers between two, both allowed; so is whatever has "dropout" in its name: 0 and 1."""

NEEDS = {"log_wandb": "wandb"}
"""Packages that a setting needs when it is True, and that RecBole imports after the data was read."""


def is_installed(package):
    """Whether a package can be imported."""
    return importlib.util.find_spec(package) is not None
