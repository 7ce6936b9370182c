"""Every kind of response that a server may give, in both protocols: each ends in a defined outcome, in time.

The kinds that pass or fail one prompt are sent in one run of many users; those that end a run have one each.
"""

import json
import time

import pytest
from llm_helpers import fast
from servers.raw_server import RawServer, response

from recbole_sam.errors import RecBoleSAMError
from recbole_sam.generators.base import COMPLETE, FAILED, REFUSED, InterestRequest
from recbole_sam.generators.by_name import make_llm_generator
from recbole_sam.llm.failures import LimitReachedError, ProviderStopError

dashscope = pytest.importorskip("dashscope")
pytest.importorskip("httpx")

PROTOCOLS = "openai", "dashscope"
KEY = "sk-storm-0123456789abcdef-SECRET"
TRIES = 2
TEXT = "steel tools\nred paper"
FREE, TOLD, UNKNOWN = "free", "told", "unknown"
STOP = "stop"
CALLS = {"transient": TRIES, "throttled": 4 * TRIES, "once": 1}


def message_of(protocol, message, finish="stop", usage=True):
    names = (
        ("prompt_tokens", "completion_tokens") if protocol == "openai" else ("input_tokens", "output_tokens")
    )
    choices = [{"message": message, "finish_reason": finish}]
    body = (
        {"choices": choices} if protocol == "openai" else {"output": {"choices": choices}, "request_id": "r"}
    )
    if usage is True:
        usage = dict(zip(names, (10, 9), strict=True))
    elif callable(usage):
        usage = usage(names)
    return json.dumps({**body, **({} if usage is None else {"usage": usage})}).encode()


def good(protocol, content=TEXT, finish="stop", usage=True, **more):
    return message_of(protocol, {"role": "assistant", "content": content, **more}, finish, usage)


def error(protocol, code, message="no"):
    return json.dumps(
        {"error": {"code": code, "message": message}}
        if protocol == "openai"
        else {"code": code, "message": message}
    ).encode()


def kinds():
    """name -> (from the protocol to what is sent, outcome, calls, paid)."""
    found = {}

    def add(name, make, outcome, calls="once", paid=FREE):
        assert name not in found, name
        found[name] = make, outcome, calls, paid

    # good answers in odd clothes
    for status in (200, 201, 202, 203, 206, 226, 299):
        add(f"{status} with a good body", lambda p, s=status: response(s, good(p)), COMPLETE, paid=TOLD)
    contents = {
        "parts": [{"type": "text", "text": TEXT}],
        "two parts": [{"type": "text", "text": "steel tools"}, {"type": "text", "text": "red paper"}],
        "a thinking part": [{"type": "thinking", "thinking": "wrenches\nand pads"}, {"type": "text",
        "text": TEXT}],
        "parts without a type": [{"text": TEXT}], "a list of texts": ["steel tools", "red paper"],
        "one part alone": {"type": "text", "text": TEXT},
    }  # fmt: skip
    for name, content in contents.items():
        add(f"content: {name}", lambda p, c=content: response(200, good(p, c)), COMPLETE, paid=TOLD)
    usages = {
        "none": None, "a list": [1], "a text": "many", "empty": {}, "a number": 7,
        "2**63": lambda n: {n[0]: 2**63, n[1]: 2**63}, "10**400": lambda n: {n[0]: 10**400, n[1]: 10**400},
        "below 0": lambda n: {n[0]: -5, n[1]: -5}, "texts": lambda n: {n[0]: "10", n[1]: "9"},
        "booleans": lambda n: {n[0]: True, n[1]: True}, "fractions": lambda n: {n[0]: 0.5, n[1]: 1e400},
        "the input alone": lambda n: {n[0]: 10}, "nulls": lambda n: {n[0]: None, n[1]: None},
    }  # fmt: skip
    for name, usage in usages.items():
        add(f"usage: {name}", lambda p, u=usage: response(200, good(p, usage=u)), COMPLETE, paid=UNKNOWN)
    heads = {
        "no type": {"Content-Type": ""}, "text": {"Content-Type": "text/plain"},
        "odd charset": {"Content-Type": "application/json; charset=klingon"},
        "many headers": {f"X-{i}": "y" * 50 for i in range(60)}, "cookies": {"Set-Cookie": "a=b; Path=/"},
        "Retry-After": {"Retry-After": "86400"}, "closed": {"Connection": "close"},
    }  # fmt: skip
    for name, head in heads.items():
        told = COMPLETE, "once", TOLD
        add(f"good, {name}", lambda p, h=head: response(200, good(p), h.items()), *told)
    add(
        "good, after 100",
        lambda p: b"HTTP/1.1 100 Continue\r\n\r\n" + response(200, good(p)),
        COMPLETE,
        paid=TOLD,
    )
    add("good, in chunks", lambda p: response(200, b"%x\r\n%s\r\n0\r\n\r\n" % (len(good(p)), good(p)),
        [("Transfer-Encoding", "chunked")]), COMPLETE, paid=TOLD)  # fmt: skip
    add("good, megabytes", lambda p: response(200, good(p, f"{TEXT}\n" + "\n" * 2**20)), COMPLETE, paid=TOLD)
    # no answer in it: tried again, and paid for
    bodies = {
        "nothing": b"", "blank": b"  ", "half": b'{"choices": [{"mess', "null": b"null", "a list": b"[]",
        "a text": b'"x"',
        "a number": b"17", "true": b"true", "NaN": b"NaN", "HTML": b"<html>busy</html>",
        "bytes": b"\xff\xfe\x00",
        "UTF-16": "{}".encode("utf-16"), "an object": b"{}", "deep": b"[" * 50_000,
        "deep objects": b'{"a":' * 50_000,
        "no choices": b'{"choices": [], "output": {"choices": []}}',
        "null choices": b'{"choices": null, "output": null}',
        "choices of nothing": b'{"choices": [null], "output": {"choices": [null]}}',
        "choices of texts": b'{"choices": ["x"], "output": {"choices": ["x"]}}',
        "choices are a text": b'{"choices": "x", "output": "x"}',
        "events": b'data: {"choices": []}\n\ndata: [DONE]\n\n',
        "a long number": b"9" * 5_000, "twice": b"{}{}",
    }  # fmt: skip
    for name, body in bodies.items():
        add(f"200: {name}", lambda p, b=body: response(200, b), FAILED, "transient", UNKNOWN)
    for status in (204, 205, 206, 207, 250):
        add(f"{status} without a body", lambda p, s=status: response(s), FAILED, "transient", UNKNOWN)
    messages = {
        "null": None, "a text": "x", "a list": [], "empty": {}, "null content": {"content": None},
        "empty content": {"content": ""}, "blanks": {"content": " \n "}, "a number": {"content": 7},
        "no parts": {"content": []}, "odd parts": {"content": [None, 1, {"type": 7, "text": 8}, []]},
        "tool calls": {"content": None, "tool_calls": [{"id": "x"}]},
        "only a thought, and stopped": {"content": "", "reasoning_content": "wrenches"},
    }  # fmt: skip
    for name, message in messages.items():
        add(
            f"message: {name}",
            lambda p, m=message: response(200, message_of(p, m)),
            FAILED,
            "transient",
            TOLD,
        )
    thoughts = {
        "reasoning": {"content": "", "reasoning": "wrenches"}, "reasoning_content": {"content": None,
        "reasoning_content": "x"},
        "a part": {"content": [{"type": "thinking", "thinking": "x"}]}, "details": {"content": "",
        "reasoning_details": [1]},
    }  # fmt: skip
    for name, message in thoughts.items():
        add(
            f"thought: {name}",
            lambda p, m=message: response(200, message_of(p, m, "length")),
            FAILED,
            "once",
            TOLD,
        )
    add("thought: usage", lambda p: response(200, good(p, "", "length", lambda n: {n[0]: 10, n[1]: 9,
        "completion_tokens_details": {"reasoning_tokens": 9},
        "output_tokens_details": {"reasoning_tokens": 9}})),
        FAILED, "once", TOLD)  # fmt: skip
    add(
        "refused: content filter",
        lambda p: response(200, good(p, finish="content_filter")),
        REFUSED,
        "once",
        TOLD,
    )
    add(
        "refused: by the model",
        lambda p: response(200, good(p, None, refusal="I will not")),
        REFUSED,
        "once",
        TOLD,
    )
    for code in ("data_inspection_failed", "DataInspectionFailed"):
        add(f"refused: {code}", lambda p, c=code: response(400, error(p, c)), REFUSED)
    # errors by their status
    for status in (400, 405, 406, 410, 411, 413, 414, 415, 417, 418, 421, 422, 424, 426, 431, 451, 499):
        add(f"{status}", lambda p, s=status: response(s, error(p, "odd")), FAILED)
    for status in (408, 500, 501, 502, 503, 504, 507, 508, 511, 520, 522, 524, 529, 599):
        add(f"{status}", lambda p, s=status: response(s, error(p, "odd")), FAILED, "transient", UNKNOWN)
        if status in (500, 502, 503):
            add(f"{status} in HTML", lambda p, s=status: response(s, b"<html>", [("Content-Type",
                "text/html")]),
                FAILED, "transient", UNKNOWN)  # fmt: skip
            add(f"{status}, half", lambda p, s=status: response(s, b'{"err'), FAILED, "transient", UNKNOWN)
    for status in (409, 425):
        add(f"{status}", lambda p, s=status: response(s, error(p, "odd")), FAILED, "transient")
    for wait in ("0", "-5", "soon", "", "0.001", "nan", "-inf", "Thu, 01 Jan 1970 00:00:00 GMT", "5 5"):
        add(f"429, Retry-After {wait!r}", lambda p, w=wait: response(429, error(p, "x"), [("Retry-After",
            w)]),
            FAILED, "throttled")  # fmt: skip
    for wait in ("86400", "1e9", "inf", "1e999", "Fri, 31 Dec 9999 23:59:59 GMT", "9" * 400):
        add(
            f"429, Retry-After {wait[:40]}",
            lambda p, w=wait: response(429, error(p, "x"), [("Retry-After", w)]),
            STOP,
        )
        if wait in ("86400", "inf"):
            add(f"503, Retry-After {wait}", lambda p, w=wait: response(503, error(p, "x"), [("Retry-After",
                w)]),
                STOP, "once", UNKNOWN)  # fmt: skip
    for status in (401, 402, 403, 404):
        add(f"{status}", lambda p, s=status: response(s, error(p, "odd")), STOP)
        add(
            f"{status} in HTML",
            lambda p, s=status: response(s, b"<html>", [("Content-Type", "text/html")]),
            STOP,
        )
    for code in ("invalid_api_key", "Arrearage", "model_not_found", "AccessDenied", "PostpaidBillOverdue"):
        add(f"400 {code}", lambda p, c=code: response(400, error(p, c)), STOP)
    for status in (300, 301, 302, 303, 304, 305, 307, 308):
        target = [("Location", "http://{elsewhere}/v1")]
        add(f"{status}", lambda p, s=status, t=target: response(s, b"", t), STOP, "once", UNKNOWN)
        if status in (302, 307):
            add(f"{status} to nowhere", lambda p, s=status: response(s, b"{}"), STOP, "once", UNKNOWN)
    # errors inside a good response
    for code in (429, "429", "rate_limit_exceeded", "Throttling.RateQuota", "RESOURCE_EXHAUSTED"):
        add(
            f"200, error {code!r}", lambda p, c=code: response(200, error(p, c)), FAILED, "throttled", UNKNOWN
        )
    for code in (500, "503", "server_error", "overloaded", "odd", {"a": 1}):
        add(
            f"200, error {code!r}", lambda p, c=code: response(200, error(p, c)), FAILED, "transient", UNKNOWN
        )
    for code in (400, "context_length_exceeded", "invalid_request_error"):
        add(f"200, error {code!r}", lambda p, c=code: response(200, error(p, c)), FAILED, "once", UNKNOWN)
    for code in (401, "invalid_api_key", 402, 403, "404", "model_not_found"):
        add(f"200, error {code!r}", lambda p, c=code: response(200, error(p, c)), STOP, "once", UNKNOWN)
    add(
        "200, error as a text",
        lambda p: response(200, b'{"error": "too many requests"}'),
        FAILED,
        "throttled",
        UNKNOWN,
    )
    add(
        "200, error in the choice",
        lambda p: (
            response(200, b'{"choices": [{"error": {"code": 502, "message": "x"}}]}')
            if p == "openai"
            else response(200, b'{"error": {"code": 502, "message": "x"}}')
        ),
        FAILED,
        "transient",
        UNKNOWN,
    )
    # connections
    broken = {
        "dropped": lambda p: None, "dropped after the head": lambda p: (response(200, b"x" * 99)[:40], 0.0),
        "cut": lambda p: (response(200, good(p))[:-20], 0.0), "ended early": lambda p: response(
            200, good(p)[:-20], [("Content-Length", str(len(good(p)))), ("Connection", "close")]),
        "silence": lambda p: (b"", 3.6), "silence after the head": lambda p: (response(200, good(p))[:-10],
        3.6),
        "not HTTP": lambda p: (b"SSH-2.0-OpenSSH\r\n", 0.0),
        "a bad status line": lambda p: (b"HTTP/1.1 abc\r\n\r\n", 0.0),
        "a bad header": lambda p: (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", 0.0),
        "bad chunks": lambda p: (response(200, b"zz\r\n{}", [("Transfer-Encoding", "chunked")]), 0.0),
        "bad length": lambda p: (response(200, b"{}", [("Content-Length", "many")]), 0.0),
        "bad gzip": lambda p: response(200, b"not gzip", [("Content-Encoding", "gzip")]),
        "bad deflate": lambda p: response(500, b"not deflate", [("Content-Encoding", "deflate")]),
        "a huge head": lambda p: (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000 + b"\r\n\r\n", 0.0),
    }  # fmt: skip
    for name, make in broken.items():
        add(f"connection: {name}", make, FAILED, "transient", UNKNOWN)
    return found


KINDS = kinds()


def requests(names):
    for name in names:
        number = list(KINDS).index(name)
        yield InterestRequest(name, (f"steel wrench no {number:04d}", "red paper pad"), 2, ((0, 1), (1, 0)))


def kind_of(body):
    return list(KINDS)[int(body.partition(b"wrench no ")[2][:4])]


@pytest.fixture
def storm(tmp_path, monkeypatch):
    """Runs a generator against a server that gives each user a kind of response."""
    prices = tmp_path / "prices.yaml"
    prices.write_text("china: {currency: CNY, models: {m: {input: 1, output: 1}}}\n")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("DASHSCOPE_API_KEY", KEY)
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)

    def run(protocol, names, folder, **changes):
        with RawServer(lambda body: response(200, good("openai"))) as elsewhere:

            def script(body):
                data = KINDS[kind_of(body)][0](protocol)
                there = f"127.0.0.1:{elsewhere.port}".encode()
                return data.replace(b"{elsewhere}", there) if isinstance(data, bytes) else data

            with RawServer(script) as server:
                monkeypatch.setattr(dashscope, "base_http_api_url", f"{server.url}/api/v1")
                given = {
                    "model": "m", "base_url": f"{server.url}/v1", "prices_file": str(prices),
                    "price_region": "china",
                    "max_cost": 1e6, "tries": TRIES, "backoff": 0.0, "timeout": 3.0, "concurrency": 16,
                    "max_failed_share": 1.0, "max_tokens": 50,
                }  # fmt: skip
                generator = make_llm_generator(protocol, fast(tmp_path / folder, **{**given, **changes}))
                began, failure, answers = time.monotonic(), None, {}
                try:
                    answers = {answer.user: answer for answer in generator.generate(requests(names))}
                except RecBoleSAMError as stop:
                    failure = stop
                took = time.monotonic() - began
                asked = {}
                for body, count in server.asked.items():
                    asked[kind_of(body)] = asked.get(kind_of(body), 0) + count
                assert not elsewhere.asked, "something was sent to where a redirect points"
                return answers, asked, generator.report, failure, took

    return run


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_kind_that_ends_no_run(storm, protocol):
    names = [name for name, kind in KINDS.items() if kind[1] != STOP]
    answers, asked, report, failure, took = storm(protocol, names, "cache")
    assert failure is None and took < 60
    wrong = {}
    for name in names:
        _, outcome, calls, _ = KINDS[name]
        found = answers[name].status, asked[name]
        if found != (outcome, CALLS[calls]):
            wrong[name] = found
    assert not wrong
    unknown = sum(asked[name] for name in names if KINDS[name][3] == UNKNOWN)
    told = sum(asked[name] for name in names if KINDS[name][3] == TOLD)
    assert report.spending.unreported == unknown
    assert (report.spending.input_tokens, report.spending.output_tokens) == (10 * told, 9 * told)
    assert KEY not in "\n".join(report.lines())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_kind_that_ends_a_run(storm, protocol):
    for name, (_, outcome, _, paid) in KINDS.items():
        if outcome != STOP:
            continue
        _, asked, report, failure, took = storm(protocol, [name], "cache", concurrency=1)
        assert isinstance(failure, ProviderStopError) and "\n" not in str(failure) and took < 10, name
        assert KEY not in str(failure) and asked == {name: 1}, name
        assert report.spending.unreported == (paid == UNKNOWN), name
        if "Retry-After" in name:
            assert "asks to wait" in str(failure) and "llm_max_wait" in str(failure), name
        if name in ("301", "302", "303", "307", "308"):
            assert "http://127.0.0.1:" in str(failure) and "/v1. That is not followed" in str(failure), name


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "name", ["connection: dropped", "204 without a body", "206 without a body", "200, error 500"]
)
def test_the_ceiling_holds_for_what_nobody_told(storm, protocol, name):
    """Each call may cost 50 tokens of output and some of input; 400 allow a few."""
    _, asked, report, failure, _ = storm(
        protocol, [name], "cache", tries=1000, max_cost=400 / 1e6, concurrency=1
    )
    most = report.spending.unreported_cost / report.spending.unreported if report.spending.unreported else 1
    if failure is None:  # unreadable answers are tried three times only
        assert asked[name] == 3 and report.spending.unreported == 3
    else:
        assert isinstance(failure, LimitReachedError) and "llm_max_cost" in str(failure)
    assert asked[name] * most <= 400 / 1e6


def test_there_are_enough_kinds():
    assert len(KINDS) >= 150
