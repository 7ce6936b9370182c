"""No two runs share a checkpoint, a log file or a TensorBoard folder."""

import contextlib
import errno
import logging
from pathlib import Path

from conftest import make_config
from recbole.quick_start import run_recbole
from recbole.trainer import trainer
from recbole.utils import get_local_time, init_logger, logger, utils

QUICK = {"epochs": 1, "show_progress": False, "use_gpu": False, "train_neg_sample_args": None,
         "MAX_ITEM_LIST_LENGTH": 8}  # fmt: skip


@contextlib.contextmanager
def new_logging():
    """RecBole's logging as in a new process; what pytest listens with comes back."""
    root = logging.getLogger()
    before, root.handlers[:] = root.handlers[:], []
    try:
        yield root
    finally:
        for handler in root.handlers:
            handler.close()
        root.handlers[:] = before


def test_every_time_is_another_name_for_all_of_recbole():
    for module in (utils, trainer, logger):
        assert module.get_local_time is get_local_time
    names = {get_local_time() for _ in range(1000)}
    assert len(names) == 1000 and all(":" not in name and "/" not in name for name in names)


def test_runs_of_one_model_keep_their_own_files(shop):
    with new_logging():
        for _ in range(2):
            run_recbole("SASRec", "shop", config_dict=QUICK)
    assert len(list(Path("saved").glob("SASRec-*.pth"))) == 2
    assert len([folder for folder in Path("log_tensorboard").iterdir() if any(folder.iterdir())]) == 2


def test_a_dot_in_the_datasets_name_does_not_end_the_folders_name(shop):
    config = make_config("SASRec")
    config["dataset"] = "my.shop"
    with new_logging() as root:
        init_logger(config)
        trainer.get_tensorboard(root).close()
    [folder] = Path("log_tensorboard").iterdir()
    [log] = Path("log/SASRec").iterdir()
    assert log.name == f"{folder.name}.log" and "my.shop" in folder.name


def test_a_full_disk_under_the_log_is_said_once(shop, capsys):
    class Full:
        def write(self, text):
            raise OSError(errno.ENOSPC, "No space left on device")

    with new_logging() as root:
        init_logger(make_config("SASRec", state="INFO"))
        [handler] = [one for one in root.handlers if isinstance(one, logging.FileHandler)]
        handler.setStream(Full())
        for number in range(3):
            root.info("line %s", number)
        handler.stream = None
    said = capsys.readouterr().err
    assert said.count("cannot be written") == 1 and "Traceback" not in said and "line 2" in said
