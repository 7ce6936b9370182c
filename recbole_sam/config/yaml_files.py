"""Where the plugin's YAML properties are, in a checkout and in an installed wheel."""

import copy
import dataclasses
import functools
from pathlib import Path

import yaml

_PACKAGE = Path(__file__).resolve().parents[1]

# the same in C, where PyYAML was built with it: a run reads about 130 files
BaseLoader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def folder():
    """The ``properties`` folder: inside the package in a wheel, beside it in a checkout.

    Returns:
        pathlib.Path: an existing folder.

    Raises:
        FileNotFoundError: the installation is incomplete (a packaging bug, not a user's mistake).
    """
    for candidate in (_PACKAGE / "properties", _PACKAGE.parent / "properties"):
        if (candidate / "model").is_dir():
            return candidate
    raise FileNotFoundError(f"recbole_sam is installed without its properties folder beside {_PACKAGE}")


def model_file(name):
    """The YAML with the defaults of a model (a path that may not exist)."""
    return folder() / "model" / f"{name}.yaml"


def dataset_file(name):
    """The YAML with the settings of a dataset (a path that may not exist)."""
    return folder() / "dataset" / f"{name}.yaml"


def interests_file():
    """The YAML with the defaults of Stage 1 and of the dataset hook."""
    return folder() / "interests.yaml"


def llm_file():
    """The YAML with the defaults of the generators that ask a language model."""
    return folder() / "llm.yaml"


def evaluation_file():
    """The YAML with the defaults of what every model is evaluated by."""
    return folder() / "evaluation.yaml"


def dataset_names():
    """The names of all datasets the plugin has a preset for."""
    return sorted(file.stem for file in (folder() / "dataset").glob("*.yaml"))


def model_names():
    """The plugin's models: every YAML that has a model file beside it (``SAM-paper.yaml`` has none)."""
    modules = {file.stem for file in (_PACKAGE / "models").glob("*.py")}
    return sorted(file.stem for file in (folder() / "model").glob("*.yaml") if file.stem.lower() in modules)


def tuning_file(name):
    """The search ranges of a model, a ``params_file`` of RecBole (a path that may not exist)."""
    return folder() / "tuning" / f"{name}.hyper"


def text(path):
    """The text of a YAML file, read once a process as long as it is the same.

    Args:
        path (str or pathlib.Path): the file.

    Raises:
        OSError, UnicodeDecodeError: it cannot be read.
    """
    path = Path(path).resolve()  # RecBole's own paths go through ".."
    found = path.stat()
    return _text(path, found.st_mtime_ns, found.st_size)


@functools.lru_cache(maxsize=512)
def _text(path, changed, size):
    return path.read_text(encoding="utf-8")


def content(path):
    """What a packaged YAML file holds, of YAML's plain types, read once a process."""
    return copy.deepcopy(_content(path))


def default(path, name):
    """A dataclass field whose default is a setting of a packaged YAML file.

    Args:
        path (pathlib.Path): the file.
        name (str): the setting's whole name.
    """
    return dataclasses.field(default_factory=lambda: copy.deepcopy(_content(path)[name]))


@functools.cache
def _content(path):
    return yaml.load(text(path), Loader=SafeLoader)


@functools.cache
def keys(path):
    """The names that a packaged YAML file sets, a set of str."""
    # BaseLoader reads names only, so no tag or float dialect of RecBole's matters here.
    return set(yaml.load(text(path), Loader=BaseLoader) or {})
