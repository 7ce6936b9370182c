"""Things made from settings by name."""

import inspect

from recbole_sam.errors import SettingError, nearest


def build(what, factory, settings):
    """Makes a part of Stage 1 from settings by name, refusing names that it does not know.

    Args:
        what (str): the part, for the sentence, such as ``lsa encoder``.
        factory (type): its class.
        settings (dict): arguments by name.

    Raises:
        SettingError: the class takes no argument of such a name.
    """
    known = inspect.signature(factory).parameters
    for name in settings:
        if name not in known:
            raise SettingError(f"The {what} has no setting {name!r}.{nearest(name, known)}")
    return factory(**settings)
