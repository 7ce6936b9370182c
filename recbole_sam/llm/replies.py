"""What the responses of chat services say, in whatever form they come. Pure functions."""

import re
from urllib.parse import urljoin, urlsplit

from recbole_sam.llm.answers import CachedAnswer
from recbole_sam.llm.failures import (
    MalformedFailure,
    ProviderStopError,
    RefusedFailure,
    RejectedFailure,
    ThoughtFailure,
    TransientFailure,
    stop_error,
)

LONGEST = 1 << 16
"""Characters of an answer that are kept and read."""
MOST_TOKENS = 10**9
"""Of one answer, as a provider reports them; more is nonsense."""
LONGEST_MESSAGE = 2_000
"""Characters of an error message that are looked at."""
SHOWN_MESSAGE = 120
"""Characters of it in the reason of a failure, of which a run's report counts equal ones."""

_CUT = {"length", "max_tokens", "model_length", "max_output_tokens"}
_TEXT_PARTS = {None, "", "text", "output_text"}
_THOUGHTS = ("reasoning", "reasoning_content", "reasoning_details", "thinking", "thinking_blocks", "thought")
# An error's own words -> the HTTP status that it should have come with. The first match counts.
_STATUS_OF_WORDS = (
    (r"insufficient.?quota|rate.?limit|throttl|too.?many.?requests|resource.?exhausted|quota", 429),
    (r"invalid.?(api.?)?key|authenticat|unauthori[sz]ed|invalid.?authorization|incorrect.?api.?key", 401),
    (r"payment|billing|arrear|credit", 402),
    (r"permission|forbidden|access.?denied", 403),
    (r"not.?found|not.?exist", 404),
    (r"(invalid|bad).?request|invalid.?(parameter|argument)|context.?length|inspection|content.?filter", 400),
    (r"overload|unavailable|internal|server.?error|timeout|busy", 503),
)  # fmt: skip
_REFUSED = re.compile(r"data_?inspection_?failed|content_filter|content_policy", re.IGNORECASE)
_OPEN_JSON = re.compile(r"""[\[{]\s*["\[{]""")


def whole_number(value):
    """A token count as reported; 0 for anything that is none."""
    good = isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST_TOKENS
    return value if good else 0


def read_completion(content):
    """The answer in a chat completion of the OpenAI protocol.

    Args:
        content: decoded JSON of any kind, without an :func:`embedded_error`.

    Returns:
        CachedAnswer: with the usage it reports.

    Raises:
        MalformedFailure: there is no text in it.
        ThoughtFailure: thinking took all its tokens.
        RefusedFailure: a content filter ended it, or the model refused by the protocol's own means.
    """
    if not isinstance(content, dict):
        raise MalformedFailure("unreadable answer")
    return _read(content.get("choices"), content.get("usage"), "prompt_tokens", "completion_tokens")


def read_generation(content):
    """The answer in a generation of DashScope's own protocol; as :func:`read_completion`."""
    if not isinstance(content, dict):
        raise MalformedFailure("unreadable answer")
    output = content.get("output")
    choices = output.get("choices") if isinstance(output, dict) else None
    return _read(choices, content.get("usage"), "input_tokens", "output_tokens")


def _read(choices, usage, input_name, output_name):
    usage = usage if isinstance(usage, dict) else {}
    used = [whole_number(usage.get(name)) for name in (input_name, output_name)]
    choice = choices[0] if isinstance(choices, list) and choices else None
    choice = choice if isinstance(choice, dict) else {}
    message = choice.get("message")
    message = message if isinstance(message, dict) else {}
    ended = str(choice.get("finish_reason")).lower()
    text = message_text(message.get("content"))[: LONGEST + 1]  # the rest is cut off anyway
    if ended == "content_filter" or (not text.strip() and message.get("refusal")):
        raise RefusedFailure("refused by the provider's moderation", *used)
    if text.strip():
        return CachedAnswer(kept(text, ended in _CUT), False, *used)
    if ended in _CUT and _thought(message, usage):
        raise ThoughtFailure(*used)
    raise MalformedFailure("empty answer", *used)


def message_text(content):
    """The text of a message, whose content is a text or a list of parts; thoughts among these are left out.

    Args:
        content: of any kind.

    Returns:
        str: text parts one a line; empty when there is none.
    """
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [content]
    texts = []
    for part in parts:
        if isinstance(part, dict):
            kind = part.get("type")
            part = part.get("text") if not isinstance(kind, str | None) or kind in _TEXT_PARTS else None
        if isinstance(part, str) and part.strip():
            texts.append(part.strip("\n"))
    return "\n".join(texts)


def _thought(message, usage):
    """Whether a message without text, or its usage, tells of thoughts."""
    if any(message.get(name) for name in _THOUGHTS):
        return True
    if isinstance(message.get("content"), list) and message["content"]:
        return True
    details = [usage.get(name) for name in ("completion_tokens_details", "output_tokens_details")]
    return any(isinstance(d, dict) and whole_number(d.get("reasoning_tokens")) for d in details)


def embedded_error(content):
    """The error that a response with a good HTTP status holds, as if it had come with its own.

    Args:
        content: decoded JSON of any kind.

    Returns:
        tuple or None: status (int), code and message (str); None where there is no error.
    """
    if not isinstance(content, dict):
        return None
    choices = content.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    for holder in (content, first):
        error = holder.get("error") if isinstance(holder, dict) else None
        if error and error is not True:
            code, message = error_of(holder)
            return _status(error, code, message), code, message
    if not choices and not content.get("output") and content.get("code") and content.get("message"):
        code, message = error_of(content)
        return _status(content, code, message), code, message
    return None


def _status(error, code, message):
    for name in ("code", "status", "status_code", "http_code", "http_status"):
        value = error.get(name) if isinstance(error, dict) else None
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) == 3:
            value = int(value)
        if isinstance(value, int) and 400 <= value < 600:
            return value
    fields = error if isinstance(error, dict) else {}
    words = " ".join(str(fields.get(name) or "") for name in ("type", "status"))
    for said in (f"{code} {words}"[:LONGEST_MESSAGE], message[:LONGEST_MESSAGE]):
        for pattern, status in _STATUS_OF_WORDS:
            if re.search(pattern, said, re.IGNORECASE):
                return status
    return 500


def error_of(content):
    """Code and message of an error body, two str, whatever form it has."""
    error = content.get("error") or content if isinstance(content, dict) else {}
    if isinstance(error, str):
        return "", error[:LONGEST]
    if not isinstance(error, dict):
        return "", ""
    code, message = error.get("code") or error.get("type"), error.get("message") or error.get("detail")
    return tuple("" if value is None else str(value)[:LONGEST] for value in (code, message))


def response_failure(provider, status, code, message, wait, fatal, by_status):
    """What an error response means for the run.

    Args:
        provider (str): begins the sentence of an error that stops the run.
        status (int): of HTTP.
        code (str), message (str): the server's own, without the key.
        wait (float or None): of Retry-After, seconds.
        fatal (iterable): pairs of a pattern of codes after which no call can succeed, and what to do.
        by_status (dict): the same by status.

    Returns:
        Exception: to be raised: a CallFailure about this prompt, or a ProviderStopError.
    """
    message = message[:LONGEST_MESSAGE]
    if _REFUSED.search(code) or _REFUSED.search(message):
        return RefusedFailure("refused by the provider's moderation", sent=False)
    advice = next((advice for pattern, advice in fatal if re.search(pattern, code)), by_status.get(status))
    if advice:
        return stop_error(provider, f"{f'{status} {code}'.strip()}: {message}", advice)
    if status == 429 or code.startswith("Throttling"):
        return TransientFailure(f"throttled ({outline(status, code, message)})", wait, throttled=True)
    if status in (408, 409, 425) or status >= 500:
        # Whatever failed on its side may have been done, and billed, before.
        sent = status == 408 or status >= 500
        return TransientFailure(f"the provider failed ({outline(status, code, message)})", wait, sent=sent)
    return RejectedFailure(f"rejected ({outline(status, code, message)})")


def outline(status, code, message):
    """An error in a few words: status, code, and the beginning of its message.

    Numbers and names with digits in the message (request ids, counts, moments) are left out, so that equal
    errors read equal and a report can count them.
    """
    said = str(status) if str(code) in ("", str(status)) else f"{status} {code}"
    words = " ".join("…" if re.search(r"\d", word) else word for word in message[:LONGEST_MESSAGE].split())
    return " ".join(f"{said[:LONGEST_MESSAGE]}: {words[:SHOWN_MESSAGE]}".split()).rstrip(": ")


def redirected(provider, status, asked, target, advice):
    """A ProviderStopError for a redirect: nobody but the server that was named gets a prompt or a key.

    Args:
        provider (str): begins the sentence.
        status (int): of HTTP.
        asked (str): the address that was asked.
        target (str or None): of the Location header, without the key.
        advice (str): what to set.
    """
    shown = "no address"
    if target:
        try:
            parts = urlsplit(urljoin(asked, target))
            host = parts.netloc.rpartition("@")[2]
            shown = parts._replace(netloc=host, query="", fragment="").geturl()[:200]
        except ValueError:
            shown = "an address that is none"
    stop = ProviderStopError(
        f"{provider} redirects ({status}) to {shown}. That is not followed, so neither key nor prompt goes "
        f"there: {advice}"
    )
    stop.sent = True
    return stop


def limited(text):
    """An answer that is too long, without what follows its last line break or separator below the limit.

    Args:
        text (str): as the model wrote it.

    Returns:
        str: at most :data:`LONGEST` characters.
    """
    return text if len(text) <= LONGEST else finished(text[:LONGEST])


def finished(text):
    """An answer that its token limit cut off, without its unfinished end.

    Args:
        text (str): the answer.

    Returns:
        str: without the last line or, of JSON or one line, without what follows the last separator; empty
        when nothing in it was finished.
    """
    text = text.lstrip()
    if _OPEN_JSON.search(text):  # a list goes on after a comma, one value a line on the next line
        return text[: max(text.rfind(","), text.rfind("\n"), 0)]
    for separator in "\n;；、，,":
        whole, found, _ = text.rpartition(separator)
        if found:
            return whole
    return ""


def kept(text, cut):
    """What is kept of an answer.

    Args:
        text (str): as the model wrote it.
        cut (bool): whether its token limit ended it; then without its unfinished end.

    Returns:
        str: valid UTF-8; half a surrogate pair cannot be stored.
    """
    return (finished(text) if cut else text).encode("utf-8", "replace").decode("utf-8")
