"""RecBole's configuration from command-line words, with every user's mistake as one sentence."""

import math
import sys
from pathlib import Path

import yaml

from recbole_sam.config import values, yaml_files
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


INFINITY = "1e999"
"""What RecBole reads as the number; ``inf`` and YAML's ``.inf`` are words to it."""


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
        value = INFINITY if value in ("inf", ".inf") else value
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
    return str(value).replace("inf", INFINITY) if value in (math.inf, -math.inf) else str(value)


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
        # First, so that a wrong value is refused in our words and not where RecBole happens to stumble.
        values.check_forms(Config._convert_config_dict(Config.__new__(Config), in_files | given))
        config = Config(
            model=given.get("model", in_files.get("model", model or DEFAULT_MODEL)),
            dataset=given.get("dataset", in_files.get("dataset", DEFAULT_DATASET)),
            config_file_list=files,
            config_dict=dict(given),
        )
        values.check(config)
        return config
    except RecBoleSAMError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, NotImplementedError, RuntimeError,
            ArithmeticError, AssertionError, RecursionError, MemoryError) as error:  # fmt: skip
        values.check_lists(given)  # RecBole's own word for it is that there is no metric '[Hit,NDCG]'
        # RecBole checks values with whatever exception is at hand; nothing but settings was read so far.
        raise SettingError(f"a setting is not usable: {str(error) or type(error).__name__}") from error
    finally:
        sys.argv = argv


def _read_files(files):
    settings = {}
    for file in files:
        try:
            if Path(file).exists() and not Path(file).is_file():
                raise SettingError(f"cannot read the configuration file {file}: it is no regular file.")
            content = yaml.safe_load(yaml_files.text(file))
        except OSError as error:
            raise SettingError(f"cannot read the configuration file {file}: {error.strerror}.") from error
        except RecursionError as error:
            raise SettingError(f"the configuration file {file} is nested too deeply.") from error
        except (yaml.YAMLError, ValueError) as error:
            place = " ".join(str(error).split())
            raise SettingError(f"the configuration file {file} is not YAML: {place[:200]}") from error
        if not isinstance(content, dict):
            raise SettingError(f"the configuration file {file} must hold lines of the form 'key: value'.")
        values.check_file(content, file)
        settings.update(content)
    return settings
