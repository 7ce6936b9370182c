"""Interest generators by name, each imported only when it is asked for."""

from importlib import import_module

from recbole_sam.config.construct import build
from recbole_sam.data.store_location import IMPORTED
from recbole_sam.errors import SettingError, nearest
from recbole_sam.generators.extractive import central_titles
from recbole_sam.generators.prompts import prompt_of

GENERATORS = {
    "extractive": "recbole_sam.generators.extractive:ExtractiveGenerator",
    "keyphrases": "recbole_sam.generators.keyphrase.keyphrases:KeyphraseGenerator",
}

LLM_GENERATORS = {
    "dashscope": "recbole_sam.generators.by_name:make_dashscope",
    "dashscope-batch": "recbole_sam.generators.batch:BatchGenerator",
    "openai": "recbole_sam.generators.by_name:make_openai",
    "transformers": "recbole_sam.generators.local:LocalGenerator",
}
"""The generators that ask a language model; each is called with ``settings=LLMSettings(...)``."""

ENGINES = ("local", "ray")
SPREAD = ("dashscope", "openai", "transformers")
"""The generators that the engine ``ray`` can spread."""


def make_generator(name, **settings):
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


def make_llm_generator(name, settings):
    """A generator that asks a language model, imported only now.

    Args:
        name (str): a key of :data:`LLM_GENERATORS`.
        settings (LLMSettings): what to ask, of whom, how fast.

    Raises:
        SettingError: there is no such generator, or a setting does not suit it.
        DataError: a file it needs is missing.
    """
    if name not in LLM_GENERATORS:
        raise SettingError(
            f"There is no language-model generator {name!r}; there are "
            f"{', '.join(LLM_GENERATORS)}.{nearest(name, LLM_GENERATORS)}"
        )
    module, factory = LLM_GENERATORS[name].split(":")
    return getattr(import_module(module), factory)(settings=settings)


def make_dashscope(settings, fill=central_titles):
    """The ``dashscope`` generator: one live call a prompt.

    Args:
        settings (LLMSettings): what to ask and how fast.
        fill (callable): phrases for what the model leaves open.

    Returns:
        ServedGenerator: ready; the key is looked for when it starts to generate.

    Raises:
        ProviderStopError: the SDK is not installed.
        SettingError, DataError: a setting or the price table is wrong.
    """
    from recbole_sam.generators.live import ServedGenerator
    from recbole_sam.llm.dashscope import DashScopeClient, asked_of_dashscope, dashscope_price

    asked_of = asked_of_dashscope(settings, prompt_of(settings))
    price = dashscope_price(settings, asked_of.model)
    return ServedGenerator("dashscope", DashScopeClient(settings, asked_of), settings, price, fill)


def make_openai(settings, fill=central_titles):
    """The ``openai`` generator.

    Args:
        settings (LLMSettings): ``model`` is needed; ``base_url`` says where, ``extra_body`` adds
            fields.
        fill (callable): phrases for what the model leaves open.

    Returns:
        ServedGenerator: ready.

    Raises:
        SettingError: no model, or an address that is none.
    """
    from recbole_sam.generators.live import ServedGenerator
    from recbole_sam.llm.openai import OpenAIClient, asked_of_openai, openai_price

    asked_of = asked_of_openai(settings, prompt_of(settings))
    price = openai_price(settings, asked_of)
    return ServedGenerator("openai", OpenAIClient(settings, asked_of), settings, price, fill)


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
