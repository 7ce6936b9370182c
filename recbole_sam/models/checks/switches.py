"""Settings that are on or off."""

from recbole_sam.errors import SettingError


def check(config, *names):
    """Refuses what is neither; None stands for a setting that a checkpoint of an earlier version lacks.

    Args:
        config (Config): of a model.
        names (str): settings.

    Raises:
        SettingError: the first one that is neither True nor False.
    """
    for name in names:
        if config[name] not in (None, True, False):
            raise SettingError(f"{name} is '{config[name]}'; it must be True or False.")
