"""Which settings of sampled softmax make sense."""

from recbole_sam.errors import SettingError
from recbole_sam.models.checks import sizes
from recbole_sam.models.scores.sampled_softmax import DISTRIBUTIONS


def check(config):
    """Refuses settings that ``loss_type: SSM`` with negatives of a batch cannot work with.

    Args:
        config (Config): of a model that knows it.

    Raises:
        SettingError: the first one that is wrong, and what to do.
    """
    check_draws(config)
    if config["loss_distribution"] not in DISTRIBUTIONS:
        raise SettingError(
            f"loss_distribution is '{config['loss_distribution']}'; it must be {' or '.join(DISTRIBUTIONS)}."
        )


def check_draws(config):
    """Refuses settings that no ``loss_type: SSM`` can work with.

    Args:
        config (Config): of a model that knows it.

    Raises:
        SettingError: the first one that is wrong, and what to do.
    """
    if config["item_knn"]:
        raise SettingError(
            "item_knn needs the scores of all items of a batch: take another loss_type than SSM, or set "
            "item_knn to False."
        )
    sizes.check(config, "loss_negatives")
    if config["train_neg_sample_args"]["distribution"] != "none":
        raise SettingError(
            "loss_type SSM draws its negatives itself: set train_neg_sample_args to None, and the number of "
            "negatives by loss_negatives."
        )
