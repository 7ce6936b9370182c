"""What a comparison is: its settings, the same for all models, and the jobs that follow from them."""

import hashlib
import json
import os
import platform
from datetime import date
from pathlib import Path
from typing import NamedTuple

import yaml

from recbole_sam import compat
from recbole_sam.config import configuration, setting_names
from recbole_sam.errors import DataError, SettingError
from recbole_sam.evaluation.ranking import protocols
from recbole_sam.prepare.card import read_card
from recbole_sam.prepare.folder import is_synthetic
from recbole_sam.version import VERSION

DEFAULTS = {
    "metrics": "['Hit','NDCG','MRR']",
    "topk": "[10,20]",
    "valid_metric": "NDCG@20",  # paper, Sec. experiments: patience on NDCG@20
    "eval_args": "{'split':{'LS':'valid_and_test'},'order':'TO','group_by':'user','mode':'full'}",
}
"""Settings of every comparison that the user did not give."""

LENGTHS = (10, 20, 50)
"""The cut-offs of the tables where the user gives no ``topk``: ranks know every length."""

REFERENCE = "SASRec"
"""The model of RecBole's own whose configuration says what the common split is."""

_OF_A_RUN = {
    "model": "--models", "seed": "--seeds", "checkpoint_dir": "--run", "nproc": "--jobs and --devices",
    **dict.fromkeys(("world_size", "group_offset", "ip", "port", "local_rank", "offset"), "one machine"),
}  # fmt: skip
_OF_LOSS = ("loss_type", "train_neg_sample_args")

CHANGE_NO_RESULT = ("show_progress", "state", "gpu_id", "use_gpu")
"""Settings that may differ between the sessions of a comparison."""

FIRST_SEED = 2020  # RecBole's default
PACKAGES = ("recbole", "torch", "numpy", "pandas", "scipy", "transformers")


class Plan(NamedTuple):
    """A comparison without its models and seeds, so that both can be added later."""

    dataset: str
    given: dict
    """str to str: settings for all models, as ``--key=value`` gives them."""
    topk: tuple
    """Of the tables; RecBole's own metrics have those of ``given``."""
    valid_metric: str
    chosen_by: str
    """The protocol whose validation chooses the best epoch: ``full`` or ``masked``."""
    budget: dict
    """epochs, stopping_step, eval_step, and tuning: trials a model, or None."""
    key: str
    """8 hexadecimal digits that differ when a setting differs: the default folder is named by it."""


def make_plan(words, tuning=None, chosen_by=protocols.DEFAULT):
    """The plan that settings amount to.

    Args:
        words (list of str): ``--key=value``, for all models.
        tuning (int or None): trials of hyper-parameter search for each model.
        chosen_by (str): the protocol whose validation chooses the best epoch.

    Returns:
        tuple: the plan, and RecBole's ``Config`` of the reference model under it, in uni100 mode.

    Raises:
        SettingError: a setting is wrong, or one that compare sets itself.
    """
    typed = configuration.parse_words(words)
    for name, instead in _OF_A_RUN.items():
        if name in typed:
            raise SettingError(f"--{name} is for a single run: a comparison takes {instead}.")
    # their content, not the files' names: a file may be another the next time
    given = configuration.with_files(typed)
    given = {name: value for name, value in given.items() if name not in _OF_A_RUN}  # the options beat files
    try:
        metrics = yaml.safe_load(given.pop("metrics", DEFAULTS["metrics"]))
    except (yaml.YAMLError, RecursionError):
        metrics = None
    if not isinstance(metrics, list) or {str(name).lower() for name in metrics} != {"hit", "ndcg", "mrr"}:
        raise SettingError(
            "metrics is not for compare, which shows HR, NDCG and MRR of one target a user; --topk says at "
            "which lengths."
        )
    setting_names.check_names(given, "compare")
    own_lengths = "topk" in given
    given = {**DEFAULTS, **given}
    config = _reference(given)
    _check(config)
    length = config["MAX_ITEM_LIST_LENGTH"]
    # Said to every model, so that no model's own YAML can differ.
    same = {name: config[name] for name in ("epochs", "stopping_step", "eval_step")}
    given |= {name: str(value) for name, value in same.items()} | {"MAX_ITEM_LIST_LENGTH": str(length)}
    budget = {**same, "tuning": tuning}
    plan = Plan(
        config["dataset"], given, tuple(config["topk"]) if own_lengths else LENGTHS,
        config["valid_metric"].lower(), chosen_by, budget, key(given, tuning, chosen_by),
    )  # fmt: skip
    eval_args = {**config["eval_args"], "mode": "uni100"}
    return plan, _reference({**given, "eval_args": str(eval_args)})


def _reference(given):
    """The reference model's configuration, without a loss that only the compared models may know."""
    shared = {name: value for name, value in given.items() if name not in _OF_LOSS}
    return configuration.make_config({**shared, "model": REFERENCE})


def _check(config):
    if config["epochs"] < 1:
        raise SettingError(f"epochs is {config['epochs']}: a comparison trains for at least one.")
    if config["eval_step"] < 1:
        raise SettingError(f"eval_step is {config['eval_step']}: a comparison validates its epochs.")
    if config["save_dataset"] or config["save_dataloaders"]:
        raise SettingError("save_dataset and save_dataloaders are for a single run: leave them out.")
    modes = config["eval_args"]["mode"]
    modes = set(modes.values()) if isinstance(modes, dict) else {modes}
    if modes != {"full"}:
        raise SettingError(
            "compare ranks all items and keeps the ranks of every protocol: leave 'mode' out of eval_args "
            "(or 'full'), and choose what is shown with --protocol."
        )


def check_validation(plan, split):
    """Refuses a choice of the best epoch that has nothing to look at.

    Raises:
        DataError: every validation target repeats an item, so that masked ranking leaves all of them out.
    """
    repeated, count = split.repeats()["validation"]
    if plan.chosen_by == "masked" and repeated == count:
        raise DataError(
            f"all {count:,} validation targets of '{plan.dataset}' are items that the user had already, so "
            "masked ranking has none to choose the best epoch by: name full first, --protocol=full,masked."
        )


def key(given, tuning, chosen_by=protocols.DEFAULT):
    """8 hexadecimal digits that differ when something differs that changes a result (str)."""
    content = {**given, "tuning": tuning}
    if chosen_by != protocols.DEFAULT:
        content["chosen_by"] = chosen_by
    for name in CHANGE_NO_RESULT:
        content.pop(name, None)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]


def describe(plan, config, split, command):
    """What every output of the comparison reports about it.

    Args:
        plan (Plan): the plan.
        config (Config): of the reference model.
        split (Split): the common one.
        command (str): what the user typed.

    Returns:
        dict: JSON-able, kept as ``run.json``.
    """
    folder = Path(config["data_path"])
    return {
        "command": command,
        "dataset": plan.dataset,
        "card": read_card(folder),
        "synthetic": is_synthetic(folder),
        "users": len(split.user_tokens) - 1,
        "items": len(split.item_tokens) - 1,
        "interactions": split.interactions,
        "test_users": len(split.users),
        "split": "leave one out: a user's newest item is the test target, the one before it for validation",
        "checksums": {**split.parts, "candidates": split.candidates()},
        "history_length": int(config["MAX_ITEM_LIST_LENGTH"]),
        "head_from": split.head_from(),
        "topk": [length for length in plan.topk if length < len(split.item_tokens)],
        "valid_metric": plan.valid_metric,
        "chosen_by": plan.chosen_by,
        "repeats": split.repeats(),
        "budget": {**plan.budget, "train_batch_size": config["train_batch_size"]},
        "given": plan.given,
        "versions": versions(),
        "machine": machine(),
        "date": date.today().isoformat(),
    }


def versions():
    """The versions that decide what a number is, a dict of str."""
    numbers = {"recbole-sam": VERSION, "Python": platform.python_version()}
    for package in PACKAGES:
        number = compat.version(package)
        if number:
            numbers[package] = ".".join(map(str, number))
    return numbers


def machine():
    """One line on the machine that runs this."""
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), {', '.join(gpus) or 'no GPU'}, {platform.system()}"
    )


def parse_lengths(words):
    """The cut-offs of tables that are drawn again.

    Args:
        words (list of str): ``--topk=[10,20,50]``.

    Returns:
        list of int: in the order given.

    Raises:
        SettingError: they are none.
    """
    text = configuration.parse_words(words)["topk"]
    try:
        lengths = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError):
        lengths = None
    lengths = lengths if isinstance(lengths, list) else [lengths]
    if not lengths or any(type(length) is not int or length < 1 for length in lengths):
        raise SettingError(f"--topk is a list of whole numbers from 1, such as [10,20,50], not '{text}'.")
    return list(dict.fromkeys(lengths))


def parse_seeds(text):
    """Training seeds from ``--seeds``: a count, or the seeds themselves.

    Args:
        text (str): ``"5"`` for 2020 to 2024, or ``"1,2,3"``; ``"2023,"`` is one seed.

    Returns:
        list of int: distinct, in order.

    Raises:
        SettingError: it is neither.
    """
    try:
        numbers = [int(part) for part in text.removesuffix(",").split(",")]
    except ValueError:
        numbers = []
    if len(numbers) == 1 and "," not in text and 1 <= numbers[0] <= 100:
        return list(range(FIRST_SEED, FIRST_SEED + numbers[0]))
    if not numbers or min(numbers) < 0 or max(numbers) >= 2**32 or len(numbers) == 1 and "," not in text:
        raise SettingError(
            f"--seeds is a count such as 5, or the seeds such as 2020,2021, not '{text}'; a single seed ends "
            "with a comma, as in --seeds=2020,"
        )
    return list(dict.fromkeys(numbers))
