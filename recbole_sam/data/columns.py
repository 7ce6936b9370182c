"""Settings that name columns, held to the columns that were loaded.

RecBole meets a wrong one in the middle of its steps, with the exception at hand, or leaves the step out.
"""

import numpy as np
from recbole.utils import FeatureType, ModelType

from recbole_sam.config.forms import is_interval, is_words
from recbole_sam.errors import DataError, SettingError

_NUMBERS = (FeatureType.FLOAT, FeatureType.FLOAT_SEQ)
_TYPES = tuple(kind.value for kind in FeatureType)


def check_header(file, header, separator):
    """Refuses a first line that is not of RecBole's form.

    Args:
        file (Path): for the sentence.
        header (str): its first line, without the end.
        separator (str): between columns.

    Raises:
        DataError: naming the first column that is wrong.
    """
    names = []
    for cell in header.split(separator):
        name, colon, kind = cell.partition(":")
        if not colon or not name or kind not in _TYPES:
            raise DataError(
                f"the header of {file} has the column '{cell[:60]}': it must be name:type, the types being "
                f"{', '.join(_TYPES)}."
            )
        if name in names:
            raise DataError(f"the header of {file} names the column '{name}' twice.")
        names.append(name)


def check_loaded(dataset):
    """Refuses settings that name columns which are not there, or of another type.

    Args:
        dataset (Dataset): of RecBole, loaded, before anything is filtered.

    Raises:
        SettingError: the first one that is wrong, and what to do.
        DataError: the times that a sequential model needs are not all there.
    """
    config = dataset.config
    given = config.external_config_dict
    for suffix, names in (given.get("load_col") or {}).items():
        _check_wanted(dataset, suffix, names)
    for suffix in config["additional_feat_suffix"] or []:
        if getattr(dataset, f"{suffix}_feat", None) is None:
            raise SettingError(
                f"additional_feat_suffix names '{suffix}', but load_col loads none of its columns: name them "
                f"there, or give --load_col=None."
            )
    for name, interval in (config["val_interval"] or {}).items():
        _check_interval(_typed(dataset, "val_interval", name), name, interval)
    for name in config["threshold"] or {}:
        if name not in dataset.inter_feat or _typed(dataset, "threshold", name) != FeatureType.FLOAT:
            raise SettingError(
                f"threshold names '{name}', which is no loaded column of numbers in the .inter file "
                f"(loaded: {_listed(dataset)}): see load_col."
            )
        if name == dataset.time_field and config["MODEL_TYPE"] == ModelType.SEQUENTIAL:
            raise SettingError(f"threshold takes '{name}' away, which {config['model']} needs: name another.")
    for setting in ("normalize_field", "numerical_features"):
        for name in given.get(setting) or []:
            if _typed(dataset, setting, name) not in _NUMBERS:
                raise SettingError(f"{setting} names '{name}', which is no column of numbers.")
    for setting in ("alias_of_user_id", "alias_of_item_id", "alias_of_entity_id", "alias_of_relation_id"):
        for name in config[setting] or []:
            if _typed(dataset, setting, name) in _NUMBERS:
                raise SettingError(f"{setting} names '{name}', which is a column of numbers, not of words.")
    for name in given.get("seq_len") or {}:
        if not _typed(dataset, "seq_len", name).value.endswith("seq"):
            raise SettingError(
                f"seq_len names '{name}', which is no column of sequences (token_seq, float_seq)."
            )
    for ids, numbers in (config["preload_weight"] or {}).items():
        _typed(dataset, "preload_weight", ids)
        if _typed(dataset, "preload_weight", numbers) not in _NUMBERS:
            raise SettingError(f"preload_weight names '{numbers}', which is no column of numbers.")
    for suffix, names in (given.get("unused_col") or {}).items():
        _check_unused(dataset, suffix, names)
    _check_times(dataset)


def _typed(dataset, setting, name):
    """The type of a column that a setting names."""
    if name not in dataset.field2type:
        raise SettingError(
            f"{setting} names the column '{name}', which is not loaded (loaded: {_listed(dataset)}): "
            "see load_col."
        )
    return dataset.field2type[name]


def _listed(dataset):
    return ", ".join(list(dataset.field2type)[:12])


def _check_wanted(dataset, suffix, names):
    source = {"inter": dataset.inter_feat, "user": dataset.user_feat, "item": dataset.item_feat}.get(suffix)
    if (
        source is None or names == "*"
    ):  # a file that is not there is RecBole's way to say there are no features
        return
    missing = [name for name in names if name not in source]
    if missing:
        raise SettingError(
            f"load_col names '{missing[0]}', which the .{suffix} file of '{dataset.dataset_name}' does not "
            "have: leave it out, or correct it."
        )


def _check_interval(kind, name, interval):
    if kind == FeatureType.FLOAT and not is_interval(interval):
        raise SettingError(
            f"val_interval gives '{name}', a column of numbers, words: give an interval, such as "
            f"\"{{'{name}': '[3,5]'}}\"."
        )
    if kind == FeatureType.TOKEN and not is_words(interval):
        raise SettingError(
            f"val_interval gives '{name}', a column of words, an interval: give a list in quotes, such as "
            f"\"{{'{name}': ['1','2']}}\"."
        )
    if kind not in (FeatureType.FLOAT, FeatureType.TOKEN):
        raise SettingError(
            f"val_interval names '{name}', a column of sequences, which RecBole cannot filter."
        )


def _check_unused(dataset, suffix, names):
    feat = getattr(dataset, f"{suffix}_feat", None)
    if feat is None:
        raise SettingError(f"unused_col names '{suffix}', but no .{suffix} file is loaded: see load_col.")
    for name in names:
        if name not in feat:
            raise SettingError(f"unused_col names '{name}', which is no loaded column of the .{suffix} file.")
        if name in (dataset.uid_field, dataset.iid_field):
            raise SettingError(f"unused_col names '{name}', which every model needs: leave it out.")


def _check_times(dataset):
    """RecBole gives rows without a time the mean of all times, and so another place in the history."""
    name = dataset.time_field
    if dataset.config["MODEL_TYPE"] != ModelType.SEQUENTIAL or name not in dataset.inter_feat:
        return
    if dataset.field2type[name] != FeatureType.FLOAT:
        raise DataError(
            f"the column '{name}' of '{dataset.dataset_name}' holds times, so its type must be float: write "
            f"{name}:float in the header of the .inter file."
        )
    missing = int((~np.isfinite(dataset.inter_feat[name].to_numpy())).sum())
    if missing:
        raise DataError(
            f"{missing:,} rows of the .inter file of '{dataset.dataset_name}' have no finite '{name}': "
            "correct or drop them."
        )
