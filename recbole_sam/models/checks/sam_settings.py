"""Which settings of SAM make sense, alone and together."""

from torch import nn

from recbole_sam.errors import SettingError
from recbole_sam.models.checks import sizes, switches
from recbole_sam.models.parts.controls import CONTROLS

SWITCHES = (
    "newest_item", "final_norm", "interest_evidence", "interest_attention", "interest_text", "history_filter",
    "compile",
)  # fmt: skip

READOUTS = ("max", "mean")
BEFORE = {"interest_readout": "mean", "learned_queries": 0, "history_filter": False}
"""What SAM did before there were these settings, where their defaults do something else."""
ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU, "tanh": nn.Tanh}


def check(config):
    """Refuses settings that make no sense; None stands for one that a checkpoint of an earlier version lacks.

    Args:
        config (Config): of SAM.

    Raises:
        SettingError: the first one that is wrong, and what to do.
    """
    _check_model(config)
    _check_loss(config)


def _check_model(config):
    switches.check(config, *SWITCHES)
    sizes.check_dropout(config, "hidden_dropout_prob", "attn_dropout_prob")
    if config["hidden_act"] not in ACTIVATIONS:
        raise SettingError(
            f"hidden_act is '{config['hidden_act']}'; SAM knows {', '.join(sorted(ACTIVATIONS))}."
        )
    sizes.check_transformer(config)
    if config["interest_readout"] not in (None, *READOUTS):
        raise SettingError(
            f"interest_readout is '{config['interest_readout']}'; it must be {' or '.join(READOUTS)}."
        )
    if config["learned_queries"] is not None:
        sizes.check(config, "learned_queries", least=0)
    if config["interest_text"] and not config["item_text"]:
        raise SettingError(
            "interest_text projects interests as item texts are projected: set item_text to True, or "
            "interest_text to False."
        )
    if config["interest_text"] and not config["interest_evidence"]:
        raise SettingError(
            "interest_text would show a training sample the texts of what it is to predict: set "
            "interest_evidence to True, or interest_text to False."
        )
    if config["compile"] and config["train_targets"] == "sequence":
        raise SettingError(
            "compile is for training from one history at a time: set it to False, or train_targets to 'all'."
        )
    if config["history_filter"] and config["train_targets"] == "sequence":
        raise SettingError(
            "history_filter reads a history both ways, so train_targets 'sequence' cannot use it: set it to "
            "False, and newest_item to True in its place; or train_targets to 'all'."
        )
    if config["history_filter"] and config["compile"]:  # off by .003 with torch 2.13: complex numbers
        raise SettingError(
            "compiled, history_filter's Fourier transforms give other numbers: set compile to False; or "
            "history_filter to False, and newest_item to True in its place."
        )
    control = config["interest_control"]
    if control is not None and control not in CONTROLS:
        raise SettingError(
            f"interest_control is '{control}'; it must be {', '.join(CONTROLS)}, or left out for the user's "
            "own interests."
        )


def _check_loss(config):
    loss, chunk = config["loss_type"], config["loss_chunk_size"]
    if chunk is not None:
        sizes.check(config, "loss_chunk_size")
        if config["item_knn"]:
            raise SettingError(
                "item_knn needs the scores of all items of a batch: leave loss_chunk_size out, or set "
                "item_knn to False."
            )
        if config["repeat_bias"]:
            raise SettingError(
                "loss_chunk_size computes no single score, to which repeat_bias could be added: set "
                "repeat_bias to False, or take loss_type SSM."
            )
        if loss != "CE":
            raise SettingError(
                f"loss_chunk_size is for loss_type CE: leave it out for {loss}, which needs no scores of all "
                "items."
            )
