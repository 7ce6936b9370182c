"""What RecBole, pandas and torch raise at a person's mistake, as one sentence.

Each function is a context for one step of a run. An error that no person caused passes through unchanged.
"""

import contextlib
import errno
import os
import re
from pathlib import Path

from recbole_sam.config import setting_names
from recbole_sam.errors import DataError, RecBoleSAMError, SettingError
from recbole_sam.files import own_name

_RAISED = (
    ValueError, KeyError, TypeError, IndexError, AttributeError, NotImplementedError, AssertionError,
    ArithmeticError, RuntimeError,
)  # fmt: skip
_SIZES = (
    "hidden_size", "embedding_size", "inner_size", "n_layers", "num_layers", "train_batch_size",
    "eval_batch_size", "MAX_ITEM_LIST_LENGTH", "text_encoder_dim", "interest_k_max", "loss_negatives",
    "loss_chunk_size", "item_knn_size", "mlp_hidden_size", "topk", "worker",
)  # fmt: skip
_OF_DATA = (
    "val_interval", "threshold", "normalize_field", "normalize_all", "discretization", "numerical_features",
    "preload_weight", "alias_of_user_id", "alias_of_item_id", "rm_dup_inter", "user_inter_num_interval",
    "item_inter_num_interval", "load_col", "unload_col", "unused_col", "seq_len", "additional_feat_suffix",
    "benchmark_filename", "eval_args", "MAX_ITEM_LIST_LENGTH", "LIST_SUFFIX", "NEG_PREFIX",
)  # fmt: skip
FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_OF_DISKS = (*FULL_DISK, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)
CUT_SHORT = re.compile("PytorchStreamWriter failed|inline_container|iostream error")  # torch.save, disk full
_SAVES = ("_save_checkpoint", "save_pretrained_model", "save", "save_split_dataloaders")


class TrainingError(RecBoleSAMError):
    """Training went astray, and other settings may help."""


@contextlib.contextmanager
def preparing(config):
    """RecBole's steps on loaded data: filters, numbers for words, labels, the split.

    Raises:
        DataError: they do not work on this data with these settings.
        TrainingError: the memory does not suffice.
    """
    try:
        yield
    except RecBoleSAMError:
        raise
    except Exception as error:
        raise_memory(error, config)
        if isinstance(error, _RAISED):
            raise _not_prepared(error, config) from error
        raise


def _not_prepared(error, config):
    given = _given(config, _OF_DATA)
    return DataError(
        f"RecBole cannot prepare dataset '{config['dataset']}' for {config['model']} ({_said(error)})"
        + (f": check {given}." if given else ": check its files.")
    )


@contextlib.contextmanager
def running(config):
    """A whole run: data, model, training and test.

    Raises:
        DataError: the data cannot be split or sampled with these settings, or a disk is full or read-only.
        SettingError: the model cannot be built with the settings that were given for it.
        TrainingError: the memory does not suffice.
    """
    try:
        yield
    except RecBoleSAMError:
        raise
    except Exception as error:
        raise_memory(error, config)
        raise_disk(error, config)
        if isinstance(error, _RAISED):
            given = _given(config, setting_names.of_model(config["model"]))
            if given and _passed(error, _builds_a_model):
                raise SettingError(
                    f"{config['model']} cannot be built with {given}: {_said(error)}"
                ) from error
            if _passed(error, lambda frame: frame.f_code.co_name == "data_preparation"):
                raise _not_prepared(error, config) from error
        raise


def raise_memory(error, config):
    """Raises an error about memory again, as a sentence that names the settings to make smaller.

    Args:
        error (Exception): of any kind; nothing happens when it is not about memory.
        config (Config): of the run.

    Raises:
        TrainingError: it is about memory.
    """
    text = str(error)
    is_memory = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    if not is_memory and not re.search(
        r"not enough memory|allocate memory|out of memory|Storage size calculation overflowed|"
        r"numel.*overflow|invalid memory size|array is too big|Maximum allowed (dimension|size)",
        text,
    ):
        return
    asked = re.search(r"allocate ([\d.]+ ?(?:bytes|[KMGTPE]i?B))", text)
    asked = f", {_size(asked[1])} at once" if asked else ""
    raise TrainingError(
        f"{config['model']} on '{config['dataset']}' needs more memory than there is{asked}: make "
        f"{_largest(config)} smaller."
    ) from error


def check_scores(scores, config):
    """Refuses scores that are no numbers: they would rank as the best.

    Args:
        scores (torch.Tensor): of any shape.
        config (Config): of the run.

    Raises:
        TrainingError: there is a NaN.
    """
    if scores.numel() and scores.max().isnan():  # max keeps NaN, and needs no memory
        raise not_a_number(config)


def not_a_number(config):
    """The error for a loss or scores that are no numbers.

    Args:
        config (Config): of the run.

    Returns:
        TrainingError: to raise.
    """
    return TrainingError(
        f"training {config['model']} went astray, for its loss or its scores are no numbers (NaN): try a "
        f"smaller learning_rate (now {config['learning_rate']}) or clip_grad_norm."
    )


def check_topk(config, items):
    """Refuses lists that are longer than there are items.

    Args:
        config (Config): of the run.
        items (int): of the filtered dataset, RecBole's padding included.

    Raises:
        SettingError: RecBole would fail at the first evaluation.
    """
    if max(config["topk"]) > items:
        raise SettingError(
            f"topk asks for {max(config['topk'])} items, but '{config['dataset']}' has {items - 1} after its "
            "filters: ask for fewer."
        )


@contextlib.contextmanager
def whole_file(path):
    """Gives the name of a file beside ``path``, which takes its place when all went well.

    A checkpoint replaces that of the best epoch so far, which a full disk must not cost. All ranks of
    distributed training come here, and one writes: each has its own name.

    Args:
        path (str): of the file.

    Yields:
        str: where to write; nothing may be written either.
    """
    partial = str(own_name(Path(path)))
    try:
        yield partial
        if os.path.exists(partial):
            os.replace(partial, path)
    finally:
        if os.path.exists(partial):
            os.remove(partial)


def raise_disk(error, config):
    """Raises an error of a disk again, as a sentence that says which folder it was.

    Args:
        error (Exception): of any kind; nothing happens when no disk is full or read-only.
        config (Config): of the run.

    Raises:
        DataError: one is.
    """
    is_disk = isinstance(error, OSError) and error.errno in _OF_DISKS
    if not is_disk and not (isinstance(error, RuntimeError) and CUT_SHORT.search(str(error))):
        return
    if _passed(error, lambda frame: frame.f_code.co_name in _SAVES):
        where = f"checkpoint_dir {config['checkpoint_dir']}"
    elif _passed(error, lambda frame: "tensorboard" in frame.f_globals.get("__name__", "")):
        where = "./log_tensorboard"
    elif getattr(error, "filename", None):
        where = error.filename
    else:
        where = f"beside the dataset in {config['data_path']}"
    reason = getattr(error, "strerror", None) or "is the disk full?"
    raise DataError(f"cannot write {where} ({reason}): make room there, or name another folder.") from error


def _given(config, names):
    found = [f"{name}={config[name]}" for name in config.external_config_dict if name in names]
    return ", ".join(text if len(text) <= 60 else f"{text[:60]}..." for text in found[:4])


def _said(error):
    text = " ".join(str(error).split())
    if isinstance(error, KeyError | AssertionError) or not text:
        text = f"{type(error).__name__} {text}".strip()
    return text if len(text) <= 160 else f"{text[:160]}..."


def _passed(error, is_it):
    """Whether an error came through a frame (a call of a function) of some kind."""
    trace = error.__traceback__
    while trace is not None:
        if is_it(trace.tb_frame):
            return True
        trace = trace.tb_next
    return False


def _builds_a_model(frame):
    from recbole.model.abstract_recommender import AbstractRecommender

    return frame.f_code.co_name == "__init__" and isinstance(frame.f_locals.get("self"), AbstractRecommender)


def _size(text):
    number, unit = re.fullmatch(r"([\d.]+) ?(\w+)", text).groups()
    if unit != "bytes":
        return f"{number} {unit}"
    return f"{int(number) / 2**30:,.1f} GB" if int(number) >= 2**28 else f"{int(number) / 2**20:,.1f} MB"


def _largest(config):
    """The settings that were given above their default; else those that usually matter."""
    raised = []
    for name in _SIZES:
        given, default = config.external_config_dict.get(name), config.internal_config_dict.get(name)
        if isinstance(given, int) and (not isinstance(default, int) or given > default):
            raised.append(f"{name} ({given})")
    return " or ".join(raised) or "train_batch_size, eval_batch_size or the model's sizes"
