"""Any server that speaks the OpenAI chat protocol: vLLM, Ollama, llama.cpp, DashScope's compatible
mode, OpenAI itself. One POST a call, so plain ``httpx`` (which Transformers installs anyway) does.
"""

import asyncio
import os
import re
from datetime import datetime, timezone

from recbole_sam.errors import SettingError
from recbole_sam.llm.address import server_address
from recbole_sam.llm.answers import AskedOf
from recbole_sam.llm.dashscope import DEFAULT_TEMPERATURE, FATAL, price_region
from recbole_sam.llm.failures import (
    MalformedFailure,
    ProviderStopError,
    TransientFailure,
)
from recbole_sam.llm.http import decoded, http_client, http_library
from recbole_sam.llm.prices import read_price
from recbole_sam.llm.replies import (
    LONGEST,
    embedded_error,
    error_of,
    read_completion,
    redirected,
    response_failure,
)
from recbole_sam.llm.scrub import scrub, scrub_answer
from recbole_sam.llm.throttle import retry_after

DEFAULT_URL = "https://api.openai.com/v1"
PROVIDER = "openai "
"""Comes before the server's address in what is asked of whom."""
_USED_UP = (
    r"^(insufficient_quota|billing_)",
    "the account has no credit left or has reached its spending limit; see its billing page.",
)
_BY_STATUS = {
    401: "check the API key (llm_api_key_env names its variable).",
    402: "the account has no credit.",
    403: "the key may not do this.",
    404: "check llm_base_url (it usually ends in /v1) and llm_model.",
}


def asked_of_openai(settings, prompt):
    """Server, model, parameters and prompt version."""
    if not settings.model:
        raise SettingError("The openai generator needs a model: set llm_model to a name your server knows.")
    temperature = DEFAULT_TEMPERATURE if settings.temperature is None else settings.temperature
    parameters = {"temperature": float(temperature), "top_p": float(settings.top_p)}
    extra = settings.extra_body or {}
    if "max_completion_tokens" not in extra:  # OpenAI's newer models take only this one
        parameters["max_tokens"] = settings.max_tokens
    server = server_address(settings.base_url or DEFAULT_URL)
    if "aliyuncs.com" in server:
        parameters["enable_thinking"] = False
    return AskedOf(
        PROVIDER + server,
        settings.model,
        {**parameters, **extra},
        f"{prompt.name}/{prompt.version}",
    )


def openai_price(settings, asked_of):
    """The price, a Price or None, where the settings name a region or the server is Alibaba's."""
    region = settings.price_region
    if region is None and "aliyuncs.com" in asked_of.provider:
        region = price_region(asked_of.provider)
    return read_price(settings.prices(), region, asked_of.model) if region else None


class OpenAIClient:
    """A :class:`~recbole_sam.generators.live.ChatClient` on one HTTP endpoint.

    Args:
        settings (LLMSettings): address, key variable, timeout, concurrency.
        asked_of (AskedOf): model and parameters.
    """

    def __init__(self, settings, asked_of):
        self.asked_of = asked_of
        self._server = asked_of.provider.removeprefix(PROVIDER)
        self._settings = settings
        self._http = None
        self._key = None

    async def open(self):
        """Opens the connections.

        Raises:
            ProviderStopError: ``httpx`` is missing, or the key or the address cannot be one.
            SettingError: the environment's proxy or certificates cannot be used.
        """
        httpx = http_library("openai")
        try:
            httpx.URL(self._server)
        except httpx.InvalidURL as error:
            raise ProviderStopError(f"llm_base_url is no address that can be asked: {error}.") from error
        self._key = os.environ.get(self._settings.api_key_env, "").strip()
        if not re.fullmatch(r"[!-~]*", self._key):
            raise ProviderStopError(
                f"The API key in {self._settings.api_key_env} holds blanks or other characters no key "
                "has; set it again."
            )
        self._http = http_client(
            httpx.AsyncClient,
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            timeout=None,
            limits=httpx.Limits(max_connections=self._settings.concurrency),
        )

    async def close(self):
        """Closes the connections and forgets the key."""
        self._key = None
        if self._http is not None:
            await self._http.aclose()

    async def ask(self, prompt):
        """One POST to ``/chat/completions``; see :class:`ChatClient`."""
        import httpx

        body = {
            "model": self.asked_of.model,
            "messages": [{"role": "user", "content": prompt}],
            **self.asked_of.parameters,
        }
        response = failure = None
        address = f"{self._server}/chat/completions"
        try:
            response = await asyncio.wait_for(self._http.post(address, json=body), self._settings.timeout)
        except asyncio.TimeoutError:  # noqa: UP041 - not the builtin before Python 3.11
            failure = TransientFailure(f"no answer within {self._settings.timeout:g} s", sent=True)
        except httpx.DecodingError:  # its compression is broken: an answer all the same
            failure = MalformedFailure("unreadable answer")
        except httpx.RequestError as error:
            sent = not isinstance(error, httpx.ConnectError | httpx.UnsupportedProtocol)
            failure = TransientFailure(f"connection lost ({type(error).__name__})", sent=sent)
        if failure is not None:
            raise failure  # unchained: the original carries the request, and the request the key
        provider, status, content = f"The server at {self._server}", response.status_code, decoded(response)
        if 300 <= status < 400:
            target = scrub(response.headers.get("Location", ""), self._key)
            advice = "set llm_base_url to the address that answers."
            raise redirected(provider, status, address, target, advice)
        good = 200 <= status < 300
        found = embedded_error(content) if good else (status, *error_of(content))
        if found is None:
            answer = read_completion(content)
            return answer._replace(text=scrub_answer(answer.text, self._key))
        status, code, message = found
        failure = chat_failure(
            provider,
            status,
            scrub(code, self._key),
            scrub(message or response.text[:LONGEST], self._key),
            retry_after(response.headers, datetime.now(timezone.utc)),
            fatal_codes(self.asked_of.provider),
        )
        failure.sent = failure.sent or good  # an error after a good status: who knows what was done
        raise failure


def fatal_codes(provider):
    """The codes after which no call to a server can succeed, and what to do, as in ``FATAL``.

    Args:
        provider (str): with the server's address.
    """
    # Alibaba's compatible mode says insufficient_quota for its limit of tokens a minute, which passes.
    # https://www.alibabacloud.com/help/en/model-studio/error-code
    return FATAL if "aliyuncs.com" in provider else (*FATAL, _USED_UP)


def chat_failure(provider, status, code, message, wait=None, fatal=FATAL):
    """As :func:`~recbole_sam.llm.replies.response_failure`, with the advice of this protocol."""
    return response_failure(provider, status, code, message, wait, fatal, _BY_STATUS)
