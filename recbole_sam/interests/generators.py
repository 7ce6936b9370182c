"""The interest generator that a configuration asks for."""

from recbole_sam.data.store_location import IMPORTED
from recbole_sam.errors import SettingError, nearest
from recbole_sam.interests.dry_run import DryRun
from recbole_sam.interests.generate import GENERATORS, make_generator
from recbole_sam.interests.llm_settings import LLM_GENERATORS, LLMSettings, make_llm_generator

ENGINES = ("local", "ray")
SPREAD = ("dashscope", "openai", "transformers")
"""The generators that the engine ``ray`` can spread."""


def check_engine(config):
    """Refuses an ``interest_engine`` that the configuration's generator has nothing for.

    Args:
        config (mapping): RecBole's ``Config`` or a dict.

    Returns:
        str: the engine.

    Raises:
        SettingError: there is no such engine, or it has nothing to spread.
    """
    name = config["interest_generator"]
    engine = (config["interest_engine"] if "interest_engine" in config else None) or "local"
    if engine not in ENGINES:
        raise SettingError(f"interest_engine must be {' or '.join(ENGINES)}, not {engine!r}.")
    if engine == "ray" and name not in SPREAD and name in (*GENERATORS, *LLM_GENERATORS, IMPORTED):
        raise SettingError(
            f"interest_engine=ray spreads calls to a language model, and the generator {name!r} makes none: "
            "there is nothing to spread. Leave it out, or set interest_generator to one of "
            f"{', '.join(SPREAD)}."
        )
    return engine


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
        return make_generator(name)
    settings = LLMSettings.from_config(config)
    if dry_run:
        return DryRun(make_llm_generator(name, settings))
    if engine == "ray":
        from recbole_sam.interests.ray_engine import make_ray

        return make_ray(name, settings)
    return make_llm_generator(name, settings)
