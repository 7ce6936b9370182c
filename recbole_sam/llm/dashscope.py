"""Qwen models through Alibaba Cloud's DashScope SDK.

Endpoint, region and workspace are the SDK's own settings (``DASHSCOPE_HTTP_BASE_URL``,
``DASHSCOPE_API_REGION``, ...). The key comes from ``DASHSCOPE_API_KEY`` or the SDK's key file, and
is handed to the SDK and to nobody else.
"""

import asyncio
import contextvars
import json
import logging
import os
import re
import ssl
from datetime import datetime, timezone

from recbole_sam.llm.answers import AskedOf
from recbole_sam.llm.failures import (
    MalformedFailure,
    ProviderStopError,
    TransientFailure,
    stop_error,
)
from recbole_sam.llm.prices import read_price
from recbole_sam.llm.replies import (
    LONGEST,
    LONGEST_MESSAGE,
    embedded_error,
    error_of,
    read_generation,
    redirected,
    response_failure,
)
from recbole_sam.llm.scrub import scrub, scrub_answer
from recbole_sam.llm.throttle import retry_after

DEFAULT_MODEL = "qwen-flash"
DEFAULT_TEMPERATURE = 0.3  # paper
PROVIDER = "dashscope"

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
_BY_STATUS = {401: FATAL[0][1], 402: FATAL[1][1], 403: FATAL[4][1], 404: FATAL[3][1]}


def asked_of_dashscope(settings, prompt):
    """Model, parameters and prompt version. Live calls and batch jobs share them, and so their answers."""
    temperature = DEFAULT_TEMPERATURE if settings.temperature is None else settings.temperature
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
            "The dashscope generators need the vendor's SDK: pip install dashscope."
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


class _LostError(Exception):
    """A connection broke after the request had gone out. The SDK would send it again, unasked and uncounted,
    had it been aiohttp's own error."""


class _RedirectError(Exception):
    """The endpoint wants to send us elsewhere."""

    def __init__(self, status, asked, target):
        super().__init__("redirect")
        self.status, self.asked, self.target = status, asked, target


# What came back to the call that the current task makes: the SDK passes on only a part of it.
_seen = contextvars.ContextVar("response", default=None)


def _watch():
    """An aiohttp ``TraceConfig`` that keeps the SDK's calls to one request each, and to one address."""
    import aiohttp

    async def keep_head(session, context, given):
        if (seen := _seen.get()) is not None:
            seen.update(status=given.response.status, headers=given.response.headers)

    async def keep_body(session, context, given):
        if (seen := _seen.get()) is not None:
            seen["body"].append(given.chunk)

    async def refuse_redirect(session, context, given):
        response = given.response
        raise _RedirectError(response.status, str(given.url), response.headers.get("Location"))

    async def send_once(session, context, given):
        unsent = isinstance(given.exception, aiohttp.ClientConnectorError)
        if isinstance(given.exception, aiohttp.ClientConnectionError) and not unsent:
            raise _LostError(type(given.exception).__name__)

    watch = aiohttp.TraceConfig()
    watch.on_request_end.append(keep_head)
    watch.on_response_chunk_received.append(keep_body)
    watch.on_request_redirect.append(refuse_redirect)
    watch.on_request_exception.append(send_once)
    return watch


class DashScopeClient:
    """A :class:`~recbole_sam.generators.live.ChatClient` on the SDK's ``AioGeneration``.

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
            trace_configs=[_watch()],
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

        failure = None
        seen = {"status": None, "headers": {}, "body": []}
        _seen.set(seen)
        try:
            await sdk().AioGeneration.call(
                model=self.asked_of.model,
                messages=[{"role": "user", "content": prompt}],
                result_format="message",
                api_key=self._key,
                request_timeout=self._settings.timeout,
                session=self._session,
                **self.asked_of.parameters,
            )
        except _RedirectError as error:
            target = scrub(error.target or "", self._key)
            advice = "set DASHSCOPE_HTTP_BASE_URL to the address that answers."
            failure = redirected("DashScope", error.status, error.asked, target, advice)
        except _LostError as error:
            failure = TransientFailure(f"connection lost ({error})", sent=True)
        except asyncio.TimeoutError:  # noqa: UP041 - not the builtin before Python 3.11
            failure = TransientFailure(f"no answer within {self._settings.timeout:g} s", sent=True)
        except aiohttp.ClientResponseError:  # JSON under another type, broken compression
            failure = MalformedFailure("unreadable answer")
        except aiohttp.ClientError as error:
            sent = not isinstance(error, aiohttp.ClientConnectorError)
            failure = TransientFailure(f"connection lost ({type(error).__name__})", sent=sent)
        except DashScopeException as error:  # of the SDK's own settings, such as a region without a workspace
            said = scrub(error, self._key)
            failure = stop_error("The DashScope SDK", said, "check the variables DASHSCOPE_... it names.")
        except Exception as error:
            # What the SDK makes of a body that is not the JSON it should be.
            failure = MalformedFailure(f"unreadable answer ({type(error).__name__})")
        if isinstance(failure, MalformedFailure) and seen["body"]:
            failure = None  # we read it ourselves
        if failure is not None:
            # Raised out here, unchained: those errors carry the request, and the request the key.
            raise failure
        return self._read(seen["status"], seen["headers"], b"".join(seen["body"]))

    def _read(self, status, headers, body):
        """The answer in a response, whose status may be None; raises what else it means."""
        content = _decoded(body)
        if status is not None and 300 <= status < 400:
            target = scrub(headers.get("Location", ""), self._key)
            advice = "set DASHSCOPE_HTTP_BASE_URL to the address that answers."
            raise redirected("DashScope", status, sdk().base_http_api_url, target, advice)
        good = status is None or 200 <= status < 300
        error = embedded_error(content) if good else (status, *error_of(content))
        if error is None:
            answer = read_generation(content)
            return answer._replace(text=scrub_answer(answer.text, self._key))
        status, code, message = error
        message = message or body[:LONGEST].decode(errors="replace")
        wait = retry_after(headers, datetime.now(timezone.utc))
        failure = failure_of(status, scrub(code, self._key), scrub(message, self._key), wait)
        failure.sent = failure.sent or good  # an error after a good status: who knows what was done
        raise failure


def _decoded(body):
    """The JSON of a response's body (bytes), or None when it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def failure_of(status, code, message, wait=None):
    """As :func:`~recbole_sam.llm.replies.response_failure`, for the vendor's own protocol."""
    missing = {status: FATAL[3][1]} if _MODEL_MISSING.search(message[:LONGEST_MESSAGE]) else {}
    return response_failure("DashScope", status, code, message, wait, FATAL, missing | _BY_STATUS)
