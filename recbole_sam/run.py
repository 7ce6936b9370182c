"""What ``run_recbole_sam.py`` does: check, build missing interests, hand over to RecBole."""

import sys
from logging import getLogger
from pathlib import Path

from recbole_sam import configuration, properties, settings
from recbole_sam.data import check
from recbole_sam.data.folder import is_synthetic
from recbole_sam.errors import SettingError
from recbole_sam.interests import stage1

USAGE = """\
usage: python run_recbole_sam.py [--model=SAM] [--dataset=amazon-beauty] [--config_files="a.yaml b.yaml"] [--key=value ...]

Trains and evaluates any RecBole model or any model of recbole-sam. Every setting of RecBole and of the
model may be given; the command line beats the files, the files beat the defaults.

  --model=NAME          SAM, SASRec, GRU4Rec, ...
  --dataset=NAME        a folder below --data_path (default: dataset/), or ml-100k
  --config_files=FILES  YAML files, separated by spaces
  --nproc=N             processes (one a GPU); --ip, --port, --world_size, --group_offset as in RecBole
"""  # noqa: E501


def main(words=None):
    """Runs one experiment from command-line words.

    Args:
        words (list of str, optional): without the program's name; default: of this process.

    Returns:
        dict: RecBole's result, with ``best_valid_result`` and ``test_result``; None when help was asked for.

    Raises:
        RecBoleSAMError: the user has to mend something.
    """
    words = sys.argv[1:] if words is None else words
    if "--help" in words or "-h" in words:
        print(USAGE, end="")
        return None
    given = configuration.parse_words(words)
    processes = _processes(given)
    config = configuration.make_config(given)
    if config["model"] not in properties.model_names():  # of ours they are checked wherever a Config is made
        settings.check_names(config.external_config_dict, config["model"])
    for sentence in settings.unread(config.external_config_dict, config["model"]):
        getLogger().warning(sentence)
    _check_folder(config["checkpoint_dir"])
    stage1.build_missing(config)

    from recbole.quick_start import run

    # RecBole logs this, and reads the settings from it
    sys.argv = [sys.argv[0], *(f"--{key}={value}" for key, value in given.items())]
    result = run(
        config["model"],
        config["dataset"],
        config_file_list=configuration.config_files(given),
        config_dict=dict(given),
        **processes,
    )
    if is_synthetic(Path(config["data_path"])):
        getLogger().warning(check.synthetic_notice(config))
    return result


def _check_folder(name):
    """Makes the folder of the checkpoints now: after the first epoch it would be late to find out."""
    try:
        Path(name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError(
            f"cannot write to checkpoint_dir {name} ({error.strerror}): name another."
        ) from error


def _processes(given):
    """The arguments of RecBole's ``run`` that say how many processes train, and where."""
    numbers = {"nproc": 1, "world_size": -1, "group_offset": 0}
    try:
        chosen = {name: int(given.get(name, default)) for name, default in numbers.items()}
    except ValueError as error:
        raise SettingError(f"--nproc, --world_size and --group_offset are whole numbers: {error}") from None
    if chosen["nproc"] < 1:
        raise SettingError(f"--nproc is the number of processes that train, from 1, not {chosen['nproc']}.")
    return {**chosen, "ip": given.get("ip", "localhost"), "port": given.get("port", "5678")}
