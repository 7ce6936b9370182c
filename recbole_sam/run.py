"""What ``run_recbole_sam.py`` does: check, build missing interests, hand over to RecBole."""

import socket
import sys
import tempfile
from logging import getLogger
from pathlib import Path

from recbole_sam import registry
from recbole_sam.config import configuration, mistakes, setting_names, yaml_files
from recbole_sam.data import check
from recbole_sam.errors import SettingError
from recbole_sam.interests import stage1
from recbole_sam.prepare.folder import is_synthetic

LOGS = ("log", "log_tensorboard")
"""Folders that RecBole makes where it is started, whatever the settings."""

USAGE = """\
usage: python run_recbole_sam.py [--model=SAM] [--dataset=amazon-beauty] [--config_files="a.yaml b.yaml"] [--key=value ...]

Trains and evaluates any RecBole model or any model of recbole-sam. Every setting of RecBole and of the
model may be given; the command line beats the files, the files beat the defaults.

  --model=NAME          SAM, SASRec, GRU4Rec, ...
  --dataset=NAME        a folder below --data_path (default: dataset/), or ml-100k
  --config_files=FILES  YAML files, separated by spaces
  --bundle=FOLDER       also makes a bundle (docs/recommend.md), without users
  --nproc=N             processes (one a GPU); --ip, --port, --world_size, --group_offset as in RecBole
"""  # noqa: E501


def main(words=None):
    """Runs one experiment from command-line words.

    Args:
        words (list of str, optional): without the program's name; default: of this process.

    Returns:
        dict: RecBole's result, with ``best_valid_result`` and ``test_result``; None when help was asked for.

    Raises:
        RecBoleSAMError: the user has to fix something.
    """
    words = sys.argv[1:] if words is None else words
    if "--help" in words or "-h" in words:
        print(USAGE, end="")
        return None
    given = configuration.parse_words(words)
    bundle = given.pop("bundle", None)
    processes = _processes(given)
    config = configuration.make_config(given)
    if bundle is not None:
        _check_bundle(bundle, processes["nproc"], config)
    if config["model"] not in yaml_files.model_names():  # of ours they are checked wherever a Config is made
        setting_names.check_names(config.external_config_dict, config["model"])
    for sentence in setting_names.unread(config.external_config_dict, config["model"]):
        getLogger().warning(sentence)
    check_folders(config)
    _check_devices(config, processes["nproc"])
    with mistakes.running(config):
        stage1.build_missing(config)

    from recbole.quick_start import run

    # RecBole logs this, and reads the settings from it
    sys.argv = [sys.argv[0], *(f"--{key}={value}" for key, value in given.items())]
    with mistakes.running(config):
        result = run(
            config["model"],
            config["dataset"],
            config_file_list=configuration.config_files(given),
            config_dict=dict(given),
            **processes,
        )
    if is_synthetic(Path(config["data_path"])):
        getLogger().warning(check.synthetic_notice(config))
    if bundle is not None:
        from recbole_sam.serving.making.write import write_bundle

        write_bundle(registry.last_checkpoint(), bundle)
        getLogger().info(f"Bundle: {bundle}")
    return result


def _check_bundle(folder, nproc, config):
    """Refuses before training what would be refused after it."""
    if nproc > 1:
        raise SettingError(
            "--bundle is for one process: train with --nproc, then `python -m recbole_sam bundle`."
        )
    from recbole_sam.serving import bundle_files
    from recbole_sam.serving.making import supported
    from recbole_sam.serving.making.write import check_free

    supported.check(config)
    bundle_files.pyarrow_parquet()
    check_free(Path(folder), overwrite=False)


def check_folders(config):
    """Makes the folders that a run writes to now: after the first epoch it would be late to find out.

    Args:
        config (Config): for ``checkpoint_dir``.

    Raises:
        SettingError: one cannot be made, or nothing can be written there.
    """
    folders = {config["checkpoint_dir"]: f"checkpoint_dir {config['checkpoint_dir']}"}
    folders |= {name: f"./{name}, where RecBole keeps its logs" for name in LOGS}
    for folder, words in folders.items():
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as file:
                file.write(b"1")
        except OSError as error:
            instead = "name another" if folder not in LOGS else "start in another folder"
            raise SettingError(f"cannot write to {words} ({error.strerror}): {instead}.") from error


def _processes(given):
    """The arguments of RecBole's ``run`` that say how many processes train, and where."""
    for name in ("local_rank", "offset"):
        if name in given:
            raise SettingError(f"--{name} is RecBole's own: give --nproc, and --group_offset beside it.")
    numbers = {"nproc": 1, "world_size": -1, "group_offset": 0, "port": 5678}
    try:
        chosen = {name: int(given.get(name, default)) for name, default in numbers.items()}
    except ValueError as error:
        raise SettingError(
            f"--nproc, --world_size, --group_offset and --port are whole numbers: {error}"
        ) from None
    nproc, world, offset, port = chosen.values()
    if nproc < 1:
        raise SettingError(f"--nproc is the number of processes that train, from 1, not {nproc}.")
    if world == 0 or world < -1:
        raise SettingError(f"--world_size is the number of processes on all machines, from 1, not {world}.")
    if offset < 0 or offset + nproc > (nproc if world == -1 else world):
        raise SettingError(
            f"--group_offset={offset} and --nproc={nproc} go beyond --world_size={world}: it counts the "
            "processes of all machines, and --group_offset those of the machines before this one."
        )
    if not 1 <= port <= 65535:
        raise SettingError(f"--port is a number from 1 to 65535, not {port}.")
    ip = given.get("ip", "localhost")
    if nproc > 1 or world > 1:
        _check_address(ip, port, offset == 0)
    return {**chosen, "ip": ip, "port": str(port)}


def _check_address(ip, port, is_first):
    """Refuses an address that the processes could not meet at; they would look for each other for minutes."""
    try:
        family, _, _, _, address = socket.getaddrinfo(ip, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise SettingError(f"--ip={ip} is no address that this machine knows ({error}).") from None
    if not is_first:
        return
    try:
        with socket.socket(family, socket.SOCK_STREAM) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
    except OSError as error:
        raise SettingError(
            f"--port={port} of --ip={ip} cannot be used by this machine ({error.strerror}): give another."
        ) from None


def _check_devices(config, nproc):
    asked = str(config.external_config_dict.get("gpu_id", "")) not in ("", "-1")  # -1: of no GPU
    if asked and config["use_gpu"] and config["device"].type == "cpu":
        getLogger().warning("gpu_id is %s, but no such GPU was found: the CPU is used.", config["gpu_id"])
    gpus = len([one for one in str(config["gpu_id"]).split(",") if one.strip()])
    if nproc > 1 and config["device"].type == "cuda" and gpus < nproc:
        raise SettingError(
            f"--nproc={nproc} needs as many GPUs, but gpu_id names {gpus}: give --gpu_id=0,1,..., or "
            "--use_gpu=False."
        )
