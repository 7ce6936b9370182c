"""The interest generator that a configuration asks for."""

from recbole_sam.data.store_location import IMPORTED
from recbole_sam.data.titles import item_facts, item_titles
from recbole_sam.errors import SettingError, nearest
from recbole_sam.generators.by_name import (
    GENERATORS,
    LLM_GENERATORS,
    check_engine,
    make_generator,
    make_llm_generator,
)
from recbole_sam.generators.dry_run import DryRun
from recbole_sam.llm.settings import LLMSettings


def configured_generator(config, dry_run=False):
    """A generator by ``interest_generator``, ``interest_engine`` and the ``llm_`` settings.

    Args:
        config (mapping): RecBole's ``Config`` or a dict.
        dry_run (bool): whether only to find out what a language model would be asked.

    Returns:
        InterestGenerator: with a ``report`` (RunReport) when it asks a language model.

    Raises:
        SettingError: a name or value makes no sense, or something needed is not installed.
        DataError: a file is missing.
    """
    name = config["interest_generator"]
    engine = check_engine(config)
    if name not in LLM_GENERATORS:
        known = [*GENERATORS, *LLM_GENERATORS]
        if name == IMPORTED:
            raise SettingError(
                "there are no imported interests for this dataset, split and settings yet: "
                "`python -m recbole_sam interests import FILE ...` with the same settings makes them."
            )
        if name not in known:
            raise SettingError(
                f"There is no interest generator {name!r}; there are {', '.join(known)}."
                f"{nearest(str(name), known)}"
            )
        if dry_run:
            raise SettingError(
                f"The generator {name!r} asks no language model: there is nothing to estimate. "
                f"Use one of {', '.join(LLM_GENERATORS)}."
            )
        return make_generator(name, **({"items": _items(config)} if name == "keyphrases" else {}))
    settings = LLMSettings.from_config(config)
    if dry_run:
        return DryRun(make_llm_generator(name, settings))
    if engine == "ray":
        from recbole_sam.generators.on_ray import make_ray

        return make_ray(name, settings)
    return make_llm_generator(name, settings)


def _items(config):
    """The title, brand and category of every item, in the order of the tokens."""
    titles, facts = item_titles(config), item_facts(config)
    return [(title, *facts.get(token, ("", ""))) for token, title in sorted(titles.items())]
