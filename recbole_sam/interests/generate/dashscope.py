"""Qwen models through Alibaba Cloud's DashScope SDK.

Endpoint, region and workspace are the SDK's own settings (``DASHSCOPE_HTTP_BASE_URL``,
``DASHSCOPE_API_REGION``, ...). The key comes from ``DASHSCOPE_API_KEY`` or the SDK's key file, and
is handed to the SDK and to nobody else.
"""

import asyncio
import logging
import os
import re
import ssl
from datetime import datetime, timezone

from recbole_sam.interests.budget import read_price
from recbole_sam.interests.cache import AskedOf, CachedAnswer
from recbole_sam.interests.failures import (
    MalformedFailure,
    ProviderStopError,
    RefusedFailure,
    RejectedFailure,
    TransientFailure,
    scrub,
)
from recbole_sam.interests.generate.extractive import central_titles
from recbole_sam.interests.generate.served import ServedGenerator, stop_error
from recbole_sam.interests.limits import retry_after
from recbole_sam.interests.parse import kept

DEFAULT_MODEL = "qwen-flash"
DEFAULT_TEMPERATURE = 0.3  # paper
PROVIDER = "dashscope"
CUT = "length"  # the finish_reason of an answer that ran into its token limit, here and at OpenAI

# Codes of the vendor after which no call can succeed, and what to do. The first match counts.
# https://help.aliyun.com/en/model-studio/error-code
FATAL = (
    (r"^(InvalidApiKey|invalid_api_key|InvalidAuthorization)", "check the API key, and that key and "
     "endpoint are of the same region."),
    (r"^Arrearage", "the account is in arrears; settle it in the vendor's console."),
    (r"FreeTierOnly", "the free quota is used up and the account is set to free use only; change that "
     "in the vendor's console."),
    (r"^(ModelNotFound|Model\.NotFound|model_not_found|ModelNotExist|UnsupportedModel)",
     "check llm_model, and that this model is offered in the endpoint's region."),
    (r"^(AccessDenied|access_denied|Model\.AccessDenied|Workspace|App\.AccessDenied|Unpurchased)",
     "the key may not use this model or workspace; check its permissions and whether Model Studio is "
     "activated."),
    (r"^(PrepaidBillOverdue|PostpaidBillOverdue|CommodityNotPurchased|BudgetLimitExceeded)",
     "a bill is overdue, the service is not bought, or a budget is used up; see the vendor's console."),
)  # fmt: skip
_MODEL_MISSING = re.compile(r"model .*(not exist|not found|not supported)|model not exist", re.I)
_REFUSED = re.compile(r"data_?inspection_?failed", re.IGNORECASE)


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
    asked_of = asked_of_dashscope(settings)
    price = dashscope_price(settings, asked_of.model)
    return ServedGenerator("dashscope", DashScopeClient(settings, asked_of), settings, price, fill)


def asked_of_dashscope(settings):
    """Model and parameters, the same for live calls and batch jobs: they share their answers."""
    temperature = DEFAULT_TEMPERATURE if settings.temperature is None else settings.temperature
    prompt = settings.prompt()
    return AskedOf(
        PROVIDER,
        settings.model or DEFAULT_MODEL,
        {
            "temperature": float(temperature),
            "top_p": float(settings.top_p),
            "max_tokens": settings.max_tokens,
            "enable_thinking": False,
        },
        f"{prompt.name}/{prompt.version}",
    )


def dashscope_price(settings, model, batch=False):
    """The price at the SDK's endpoint, a Price or None."""
    region = settings.price_region or price_region(sdk().base_http_api_url)
    return read_price(settings.prices(), region, model, batch)


def price_region(url):
    """``international`` or ``china``, by the host of an endpoint."""
    abroad = re.search(r"-(intl|us)\.|//[^/]*(ap|us|eu|me|sa|af)-[a-z]+-\d|cn-hongkong", url)
    return "international" if abroad else "china"


def sdk():
    """The ``dashscope`` module, imported at first use.

    Raises:
        ProviderStopError: it is not installed.
    """
    try:
        import dashscope
    except ImportError as error:
        raise ProviderStopError(
            "The dashscope generators need the vendor's SDK: pip install 'recbole-sam[dashscope]'."
        ) from error
    return dashscope


def find_key():
    """The API key, from ``DASHSCOPE_API_KEY`` or the SDK's key file.

    Raises:
        ProviderStopError: there is none, or it cannot be a key. The sentence does not show it.
    """
    sdk()
    from dashscope.common.api_key import get_default_api_key
    from dashscope.common.error import AuthenticationError

    try:
        key = os.environ.get("DASHSCOPE_API_KEY") or get_default_api_key()
    except (AuthenticationError, OSError, UnicodeDecodeError):
        key = ""
    key = key.strip()
    if not key:
        raise ProviderStopError(
            "No DashScope API key: set the environment variable DASHSCOPE_API_KEY, or put the key in "
            "the SDK's key file (~/.dashscope/api_key)."
        )
    if not re.fullmatch(r"[!-~]+", key):
        raise ProviderStopError(
            "The DashScope API key holds blanks, line breaks or other characters no key has; set "
            "DASHSCOPE_API_KEY again."
        )
    return key


class DashScopeClient:
    """A :class:`~recbole_sam.interests.generate.served.ChatClient` on the SDK's ``AioGeneration``.

    Args:
        settings (LLMSettings): the timeout and the concurrency.
        asked_of (AskedOf): model and parameters.
    """

    def __init__(self, settings, asked_of):
        self.asked_of = asked_of
        self._settings = settings
        self._session = None
        self._key = None

    async def open(self):
        """Finds the key and opens the connections.

        Raises:
            ProviderStopError: no SDK or no key.
        """
        import aiohttp
        import certifi

        self._key = find_key()
        # The SDK reports each failed call with a traceback on the error stream; we report them
        # ourselves. Who sets DASHSCOPE_LOGGING_LEVEL wants to see them.
        if "DASHSCOPE_LOGGING_LEVEL" not in os.environ:
            logging.getLogger("dashscope").setLevel(logging.CRITICAL + 1)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self._settings.concurrency,
                ssl=ssl.create_default_context(cafile=certifi.where()),
            ),
            trust_env=True,
        )

    async def close(self):
        """Closes the connections and forgets the key."""
        self._key = None
        if self._session is not None:
            await self._session.close()

    async def ask(self, prompt):
        """One call through the SDK; see :class:`ChatClient`."""
        import aiohttp
        from dashscope.common.error import DashScopeException

        response = failure = None
        try:
            response = await sdk().AioGeneration.call(
                model=self.asked_of.model,
                messages=[{"role": "user", "content": prompt}],
                result_format="message",
                api_key=self._key,
                request_timeout=self._settings.timeout,
                session=self._session,
                **self.asked_of.parameters,
            )
        except asyncio.TimeoutError:  # noqa: UP041 - not the builtin before Python 3.11
            failure = TransientFailure(f"no answer within {self._settings.timeout:g} s", sent=True)
        except aiohttp.ClientError as error:
            sent = not isinstance(error, aiohttp.ClientConnectorError)
            failure = TransientFailure(f"connection lost ({type(error).__name__})", sent=sent)
        except DashScopeException as error:  # of the SDK's own settings, such as a region without a workspace
            said = scrub(error, self._key)
            failure = stop_error("The DashScope SDK", said, "check the variables DASHSCOPE_... it names.")
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            # What the SDK makes of a body that is not the JSON it should be.
            failure = MalformedFailure(f"unreadable answer ({type(error).__name__})")
        if failure is not None:
            # Raised out here, unchained: those errors carry the request, and the request the key.
            raise failure
        if response.status_code == 200:
            return _read(response)
        raise failure_of(
            response.status_code,
            scrub(response.code or "", self._key),
            scrub(response.message or "", self._key),
            retry_after(response.headers, datetime.now(timezone.utc)),
        )


def _read(response):
    usage = response.usage or {}
    used = (whole_number(usage.get("input_tokens")), whole_number(usage.get("output_tokens")))
    try:
        choice = response.output.choices[0]
        text = choice.message.content
    except (AttributeError, IndexError, KeyError, TypeError):
        choice, text = {}, None
    return readable(text, *used, choice.get("finish_reason") == CUT)


def readable(text, input_tokens, output_tokens, cut):
    """An answer that holds text, or MalformedFailure with what it cost.

    Args:
        text: of any kind.
        input_tokens, output_tokens (int): as reported.
        cut (bool): whether ``llm_max_tokens`` ended it.
    """
    if not isinstance(text, str) or not text.strip():
        raise MalformedFailure("empty answer", input_tokens, output_tokens)
    return CachedAnswer(kept(text, cut), False, input_tokens, output_tokens)


def whole_number(value):
    """A token count as reported; 0 for anything that is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def failure_of(status, code, message, wait=None):
    """What an error response of the vendor means for the run.

    Args:
        status (int): of HTTP.
        code (str): the vendor's, such as ``Throttling.RateQuota``.
        message (str): the vendor's, without the key.
        wait (float or None): of Retry-After, seconds.

    Returns:
        Exception: to be raised: a CallFailure about this prompt, or a ProviderStopError.
    """
    said = f"{status} {code}".strip()
    if _REFUSED.search(code) or _REFUSED.search(message):
        return RefusedFailure("refused by the provider's moderation")
    for pattern, advice in FATAL:
        if re.search(pattern, code):
            return stop_error("DashScope", f"{said}: {message}", advice)
    if status == 401:
        return stop_error("DashScope", f"{said}: {message}", FATAL[0][1])
    if status == 403:
        return stop_error("DashScope", f"{said}: {message}", FATAL[4][1])
    if status == 404 or _MODEL_MISSING.search(message):
        return stop_error("DashScope", f"{said}: {message}", FATAL[3][1])
    if status == 429 or code.startswith("Throttling"):
        return TransientFailure(f"throttled ({said})", wait, throttled=True)
    if status in (408, 409, 425) or status >= 500:
        return TransientFailure(f"the provider failed ({said})", wait)
    return RejectedFailure(f"rejected ({said}: {' '.join(message.split())[:120]})")
