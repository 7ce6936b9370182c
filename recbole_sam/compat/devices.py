"""Which GPU a run takes: what ``use_gpu``, ``gpu_id`` and the environment say together."""

import functools
import json
import os

from recbole_sam.compat.steps import step
from recbole_sam.errors import SettingError

VISIBLE = "CUDA_VISIBLE_DEVICES"
"""The variable by which clusters give a job its GPUs. CUDA reads it once, when it is first asked."""
CHOICE = "RECBOLE_SAM_GPUS"
"""Beside a choice: what :data:`VISIBLE` was before, and what was chosen, as JSON. Later configurations and
processes that inherit both count from what was before."""


def visible():
    """The GPUs that this process was given, before a configuration chose among them; None for all."""
    now = os.environ.get(VISIBLE)
    before, choice = json.loads(os.environ.get(CHOICE) or "[null, null]")
    return before if now == choice else now


def chosen(gpu_id, given):
    """What CUDA has to be told to see some of the GPUs that it may see.

    Args:
        gpu_id (str): numbers from 0 among the given ones, or their names, separated by commas.
        given (str or None): names, separated by commas; None where all GPUs are visible.

    Returns:
        str: names, separated by commas; empty for no GPU.

    Raises:
        SettingError: there is no such GPU, or one is named twice.
    """
    if given is None:
        return gpu_id
    names, words = _words(given), _words(gpu_id)
    if not names:
        return ""
    if all(word.isdigit() and int(word) < len(names) for word in words):
        words = [names[int(word)] for word in words]
    if not set(words) <= set(names) or len(set(words)) < len(words):
        raise SettingError(
            f"gpu_id is {gpu_id}, but {VISIBLE}={given} shows {len(names)} GPU(s), numbered from 0: "
            "choose among these, or give use_gpu: False for none."
        )
    return ",".join(words)


def _words(text):
    return [word.strip() for word in text.split(",") if word.strip()]


def _text(gpu_id):
    """A number, several, a text, or None for no GPU, as a text."""
    if gpu_id is None:
        return ""
    return ",".join(map(str, gpu_id)) if isinstance(gpu_id, tuple | list) else str(gpu_id)


@step("use_gpu: False takes a GPU all the same, and gpu_id replaces CUDA_VISIBLE_DEVICES, by which clusters "
      "say which GPUs a job may take", "#1955, UniSRec #23")  # fmt: skip
def gpus_of_the_job():
    from recbole.config import Config

    init_device = Config._init_device

    @functools.wraps(init_device)
    def init_chosen_device(self):
        settings, shown = self.final_config_dict, os.environ.get(VISIBLE)
        gpu_id, given = _text(settings["gpu_id"]), visible()
        names = chosen(gpu_id, given) if settings["use_gpu"] else ""
        settings["use_gpu"] = bool(names)
        settings["gpu_id"] = names  # RecBole puts it into the variable; where it is empty, CUDA is not asked
        if names:
            os.environ[VISIBLE] = names
            os.environ[CHOICE] = json.dumps([given, names])
        try:
            init_device(self)
        finally:
            settings["gpu_id"] = gpu_id
            if not names:
                _set(shown)

    Config._init_device = init_chosen_device


def _set(shown):
    if shown is None:
        os.environ.pop(VISIBLE, None)
    else:
        os.environ[VISIBLE] = shown
