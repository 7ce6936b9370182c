"""What a language-model generator can be told."""

import functools
import math
import os
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from recbole_sam.config import yaml_files
from recbole_sam.errors import SettingError
from recbole_sam.llm.address import server_address

PREFIX = "llm_"


default = functools.partial(yaml_files.default, yaml_files.llm_file())


@dataclass(frozen=True)
class LLMSettings:
    """Settings of the generators that ask a language model.

    In RecBole's configuration and on the command line every name begins with ``llm_``
    (``llm_model``). None means the generator's own default. Defaults are those of ``properties/llm.yaml``.

    Raises:
        SettingError: a value makes no sense.
    """

    model: str | None = default("llm_model")
    """The model's name (dashscope: qwen-flash, as the vendor retires the paper's qwen-turbo), or
    for ``transformers`` its folder."""
    temperature: float | None = default("llm_temperature")
    """Paper: 0.3, for served models; ``transformers`` defaults to 0, greedy, which is
    repeatable."""
    top_p: float = default("llm_top_p")
    """Nucleus sampling (paper: 0.8)."""
    max_tokens: int = default("llm_max_tokens")
    """Of one answer (paper: 500)."""
    prompt_file: str | None = default("llm_prompt_file")
    """A template of your own with {titles} and {k}; default: the built-in question."""
    cache_dir: str = default("llm_cache_dir")
    """Where answers are kept; may be shared by datasets, runs and processes."""

    concurrency: int = default("llm_concurrency")
    """Calls in flight at most."""
    requests_per_minute: float = default("llm_requests_per_minute")
    """Calls a minute at most, 0 for no limit. See your account's limits in the vendor's console."""
    tokens_per_minute: float = default("llm_tokens_per_minute")
    """Input and output tokens a minute at most, 0 for no limit."""
    timeout: float = default("llm_timeout")
    """Seconds a call may take."""
    tries: int = default("llm_tries")
    """Tries of one call before its user is marked failed (throttled calls: four times as many)."""
    backoff: float = default("llm_backoff")
    """Seconds before the second try; doubled each time, with jitter."""
    max_wait: float = default("llm_max_wait")
    """Minutes a provider may ask to wait (Retry-After); more stops the run."""
    max_failed_share: float = default("llm_max_failed_share")
    """Stop when more than this share of at least ten users got no answer."""

    max_cost: float | None = default("llm_max_cost")
    """Stop before a run has cost more than this, in the currency of the price table."""
    max_users: int | None = default("llm_max_users")
    """Stop after asking for this many users; users answered from the cache do not count."""
    price_region: str | None = default("llm_price_region")
    """Section of properties/prices.yaml; default: by the endpoint."""
    prices_file: str | None = default("llm_prices_file")
    """Another price table; default: properties/prices.yaml."""

    base_url: str | None = default("llm_base_url")
    """``openai`` only: the server, such as http://127.0.0.1:8000/v1, without user or password."""
    api_key_env: str = default("llm_api_key_env")
    """``openai`` only: the environment variable that holds its key; local servers need none."""
    extra_body: dict | None = default("llm_extra_body")
    """``openai`` only: more fields of the request, such as
    {"chat_template_kwargs": {"enable_thinking": false}} for Qwen3 under vLLM."""

    batch_lines: int = default("llm_batch_lines")
    """``dashscope-batch`` only: requests a file (the vendor takes up to 50,000)."""
    batch_poll: float = default("llm_batch_poll")
    """``dashscope-batch`` only: seconds between two looks at a job."""
    batch_window: str = default("llm_batch_window")
    """``dashscope-batch`` only: how long the vendor may take, ``24h`` to ``336h``."""

    ray_workers: int = default("llm_ray_workers")
    """``interest_engine: ray`` only: processes on the cluster; they share the limits above."""
    ray_block: int = default("llm_ray_block")
    """``interest_engine: ray`` only: users given to a process at once; the unit of restarting."""
    ray_address: str | None = default("llm_ray_address")
    """``interest_engine: ray`` only: of the cluster; default: ``RAY_ADDRESS``, else a local one."""

    batch_size: int = default("llm_batch_size")
    """``transformers`` only: prompts generated together."""
    device: str | None = default("llm_device")
    """``transformers`` only: ``cpu``, ``cuda``, ``cuda:1``; default: cuda where there is one."""
    seed: int = default("llm_seed")
    """``transformers`` only: of sampling, when the temperature is not 0."""

    def __post_init__(self):
        whole = ("max_tokens", "concurrency", "tries", "batch_lines", "batch_size", "ray_workers")
        whole += ("ray_block",)
        for name in whole:
            self._check(name, lambda v: v >= 1, "a whole number from 1", int)
        self._check("batch_lines", lambda v: v <= 50_000, "at most 50,000 (the vendor's limit)", int)
        if self.max_users is not None:
            self._check("max_users", lambda v: v >= 0, "a whole number from 0", int)
        for name in ("requests_per_minute", "tokens_per_minute", "backoff", "max_wait"):
            self._check(name, lambda v: v >= 0, "a number from 0")
        for name in ("timeout", "batch_poll"):
            self._check(name, lambda v: v > 0, "a number above 0")
        self._check("top_p", lambda v: 0 < v <= 1, "a number above 0, at most 1")
        self._check("max_failed_share", lambda v: 0 <= v <= 1, "a share from 0 to 1")
        if self.extra_body is not None and not isinstance(self.extra_body, dict):
            raise SettingError(f"{PREFIX}extra_body must be a mapping, not {self.extra_body!r}.")
        check_key_name(self.api_key_env)
        if self.base_url is not None:
            server_address(self.base_url)
        if self.temperature is not None:
            self._check("temperature", lambda v: 0 <= v < 2, "a number from 0 to below 2")
        if self.max_cost is not None:
            self._check("max_cost", lambda v: v >= 0, "a number from 0")

    def _check(self, name, good, rule, kind=(int, float)):
        value = getattr(self, name)
        if (
            isinstance(value, bool)
            or not isinstance(value, kind)
            or not math.isfinite(value)
            or not good(value)
        ):
            raise SettingError(f"{PREFIX}{name} must be {rule}, not {value!r}.")

    @classmethod
    def from_config(cls, config):
        """The settings in a mapping with prefixed names.

        Args:
            config (mapping): such as RecBole's ``Config`` or a dict; other names are ignored, and a
                value of None means the default.

        Returns:
            LLMSettings: checked.
        """
        given = {}
        for name in names():
            if PREFIX + name in config and config[PREFIX + name] is not None:
                given[name] = config[PREFIX + name]
        return cls(**given)

    def prices(self):
        """The price table's path."""
        if self.prices_file:
            return Path(self.prices_file)
        return yaml_files.folder() / "prices.yaml"


def check_key_name(name):
    """Refuses what is no name of an environment variable, or may be the key itself.

    Names are in capitals; others count where such a variable is there. Some keys (``hf_...``) could be names.

    Args:
        name: the setting ``llm_api_key_env``.

    Raises:
        SettingError: which does not repeat the value.
    """
    name = str(name)
    known = re.fullmatch(r"[A-Z_][A-Z0-9_]*", name) or name in os.environ
    if not known or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise SettingError(
            f"{PREFIX}api_key_env must be the NAME of an environment variable, such as OPENAI_API_KEY, "
            "and not the key itself: export the key under that name. One that is not in capitals has to be "
            "there."
        )


IDENTITY = (
    "model",
    "temperature",
    "top_p",
    "max_tokens",
    "prompt_file",
    "base_url",
    "extra_body",
    "seed",
)
"""Settings that change the answers; all others change only speed, money and place."""


def names():
    """The names of all settings, without their prefix, a list of str."""
    return [field.name for field in fields(LLMSettings)]


def defaults():
    """The defaults under their full names, a dict such as ``{"llm_top_p": 0.8}``."""
    return {PREFIX + name: value for name, value in asdict(LLMSettings()).items()}
