"""Which GPU a run takes: what ``use_gpu``, ``gpu_id`` and the environment say together."""

import functools
import os

from recbole_sam.compat.steps import step
from recbole_sam.errors import SettingError

VISIBLE = "CUDA_VISIBLE_DEVICES"
"""The variable by which clusters give a job its GPUs. CUDA reads it once, when it is first asked."""


def chosen(gpu_id, visible):
    """What CUDA has to be told to see some of the GPUs that it may see.

    Args:
        gpu_id (str): numbers from 0 among the visible ones, or their names, separated by commas.
        visible (str or None): the variable's value; None where it is not set, and all GPUs are visible.

    Returns:
        str: their names, separated by commas.

    Raises:
        SettingError: there is no such GPU.
    """
    if visible is None:
        return gpu_id
    names = [name.strip() for name in visible.split(",") if name.strip()]
    found = []
    for word in [word.strip() for word in gpu_id.split(",") if names and word.strip()]:
        if word.isdigit() and int(word) < len(names):
            found.append(names[int(word)])
        elif word in names:
            found.append(word)
        else:
            raise SettingError(
                f"gpu_id is {gpu_id}, but {VISIBLE}={visible} shows {len(names)} GPU(s), numbered from 0: "
                "choose among these, or give use_gpu: False for none."
            )
    return ",".join(found)


@step("gpu_id replaces CUDA_VISIBLE_DEVICES, by which clusters say which GPUs a job may take, so that all "
      "jobs take the first one", "#1955")  # fmt: skip
def gpu_id_counts_visible_gpus():
    from recbole.config import Config

    init_device = Config._init_device

    @functools.wraps(init_device)
    def init_visible_device(self):
        settings, visible = self.final_config_dict, os.environ.get(VISIBLE)
        given = _text(settings["gpu_id"])
        if settings["use_gpu"]:
            settings["gpu_id"] = os.environ[VISIBLE] = chosen(given, visible)
        try:
            init_device(self)  # asks CUDA, which reads the variable now
        finally:
            settings["gpu_id"] = given
            _set(visible)  # other processes count from what was there

    Config._init_device = init_visible_device
    return True


def _text(gpu_id):
    """A number, several, a text, or None for no GPU, as a text."""
    if gpu_id is None:
        return ""
    return ",".join(map(str, gpu_id)) if isinstance(gpu_id, tuple | list) else str(gpu_id)


def _set(visible):
    if visible is None:
        os.environ.pop(VISIBLE, None)
    else:
        os.environ[VISIBLE] = visible


@step("use_gpu: False leaves the model on the GPU, which only an empty gpu_id turns off", "UniSRec #23")
def use_gpu_decides():
    import torch
    from recbole.config import Config

    init_device = Config._init_device

    @functools.wraps(init_device)
    def init_wanted_device(self):
        init_device(self)
        if not self.final_config_dict["use_gpu"]:
            self.final_config_dict["device"] = torch.device("cpu")

    Config._init_device = init_wanted_device
    return True
