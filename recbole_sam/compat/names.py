"""Names of checkpoints, logs and TensorBoard folders: no two runs share one."""

import functools
import logging
import sys
from pathlib import Path

from recbole_sam.compat.steps import step


@step("runs of one model that start in the same second share a checkpoint: one is tested with the weights of "
      "the other", "none yet")  # fmt: skip
def unique_names():
    from recbole.utils.utils import get_local_time

    def now():
        import datetime
        import secrets  # which leaves the seeded generators alone

        letters = "".join(secrets.choice("0123456789abcdefghijklmnopqrstuvwxyz") for _ in range(6))
        return f"{datetime.datetime.now():%b-%d-%Y_%H-%M-%S}-{letters}"

    get_local_time.__code__ = now.__code__  # RecBole's modules hold this function, not its name


@step(
    "runs in one process, and runs of a dataset with a dot in its name, share a TensorBoard folder",
    "none yet",
)
def unique_tensorboard():
    from recbole import utils
    from recbole.trainer import trainer
    from torch.utils.tensorboard import SummaryWriter

    def get_tensorboard(logger):
        """RecBole's: the folder is called as the log file; a second one of a process gets a number."""
        logs = (handler for handler in logger.handlers if hasattr(handler, "baseFilename"))
        log = next((Path(handler.baseFilename) for handler in logs), None)
        name = log.name.removesuffix(".log") if log else f"model-{utils.get_local_time()}"
        folder, number = Path("log_tensorboard") / name, 2
        while folder.exists():
            folder, number = folder.with_name(f"{name}-{number}"), number + 1
        return SummaryWriter(str(folder))

    for module in (utils, utils.utils, trainer):
        module.get_tensorboard = get_tensorboard


@step("a log file that cannot be written prints a traceback for every line", "none yet")
def quiet_log_file():
    from recbole import utils
    from recbole.quick_start import quick_start
    from recbole.utils import logger as module

    init_logger = module.init_logger

    @functools.wraps(init_logger)
    def init_careful_logger(config):
        init_logger(config)
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.FileHandler):
                handler.handleError = functools.partial(_give_up, handler)

    for module_ in (module, utils, quick_start):
        module_.init_logger = init_careful_logger


def _give_up(handler, record):
    """Says once that a log file ends here: the run itself goes on."""
    logging.getLogger().removeHandler(handler)
    print(
        f"recbole-sam: the log file {handler.baseFilename} cannot be written ({sys.exc_info()[1]}). The run "
        "goes on without it.",
        file=sys.stderr,
    )
