"""Which sizes of a model make sense."""

from recbole_sam.config.values import is_count
from recbole_sam.errors import SettingError


def check(config, *names, least=1):
    """Refuses what is no size.

    Args:
        config (Config): of a model.
        names (str): settings that must be whole numbers.
        least (int): the smallest that is allowed.

    Raises:
        SettingError: the first one that is none.
    """
    for name in names:
        value = config[name]
        if not is_count(value, least):
            raise SettingError(f"{name} is {value}; it must be a whole number from {least}.")


ACTIVATIONS = ("gelu", "relu", "sigmoid", "swish", "tanh")
"""What RecBole's ``FeedForward`` knows."""


def check_encoder(config):
    """Refuses settings that RecBole's Transformer encoder cannot have.

    Raises:
        SettingError: of a size, or of ``hidden_act``.
    """
    check_transformer(config)
    if config["hidden_act"] not in ACTIVATIONS:
        raise SettingError(
            f"hidden_act={config['hidden_act']!r} is unknown: set it to one of {', '.join(ACTIVATIONS)}."
        )


def check_transformer(config):
    """Refuses sizes that no Transformer has: widths, heads, and layers, of which there may be none.

    Raises:
        SettingError: the first one that is wrong.
    """
    check(config, "inner_size")
    check(config, "n_layers", least=0)
    if config["n_layers"]:
        check_heads(config)
    check(config, "hidden_size")


def check_heads(config):
    """Refuses a width that cannot be split among the heads.

    Raises:
        SettingError: of the width or of the heads.
    """
    check(config, "hidden_size", "n_heads")
    if config["hidden_size"] % config["n_heads"]:
        raise SettingError(
            f"hidden_size ({config['hidden_size']}) must be a multiple of n_heads ({config['n_heads']})."
        )


def check_temperature(config, name="temperature"):
    """Refuses a temperature that scores cannot be divided by.

    Raises:
        SettingError: it is not above 0.
    """
    if not config[name] > 0:
        raise SettingError(f"{name}={config[name]} makes no sense: set it above 0.")


def check_share(config, name):
    """Refuses what is no share.

    Raises:
        SettingError: it is not from 0 to 1.
    """
    if not 0 <= config[name] <= 1:
        raise SettingError(f"{name}={config[name]} is no share: set it from 0 to 1.")


def check_dropout(config, *names):
    """Refuses what is no probability below 1.

    Raises:
        SettingError: the first one that is none.
    """
    for name in names:
        if not 0 <= config[name] < 1:
            raise SettingError(f"{name} is {config[name]}; it must be from 0 to below 1.")
