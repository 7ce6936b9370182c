"""The loss that ``loss_type`` names, of models that know RecBole's two."""

from recbole.model.loss import BPRLoss
from torch import nn

from recbole_sam.errors import SettingError

LOSSES = {"CE": nn.CrossEntropyLoss, "BPR": BPRLoss}


def loss_function(model):
    """A new loss module for a model.

    Args:
        model (SequentialRecommender): with ``loss_type``.

    Raises:
        SettingError: it names neither.
    """
    if model.loss_type not in LOSSES:
        name = type(model).__name__
        raise SettingError(f"loss_type={model.loss_type!r} is no loss of {name}: set it to CE or BPR.")
    return LOSSES[model.loss_type]()
