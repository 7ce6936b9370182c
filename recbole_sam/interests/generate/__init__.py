"""Interest generators: K phrases for a user. Each is imported only when it is asked for."""

from importlib import import_module

from recbole_sam.errors import SettingError, nearest
from recbole_sam.interests import build

GENERATORS = {
    "extractive": "recbole_sam.interests.generate.extractive:ExtractiveGenerator",
}


def make_generator(name="extractive", **settings):
    """An interest generator by name.

    Args:
        name (str): a key of :data:`GENERATORS`.
        **settings: arguments of the generator.

    Raises:
        SettingError: there is no such generator, or it has no such setting.
    """
    if name not in GENERATORS:
        raise SettingError(
            f"There is no interest generator {name!r}; there are {', '.join(GENERATORS)}."
            f"{nearest(name, GENERATORS)}"
        )
    module, factory = GENERATORS[name].split(":")
    return build(f"{name} generator", getattr(import_module(module), factory), settings)
