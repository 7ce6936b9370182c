"""The openai generator against a local server that speaks the chat protocol."""

import json
import logging
import traceback
from collections import Counter

import pytest
from llm_helpers import fast, make_requests
from servers.llm_server import KEY, Reply

from recbole_sam.errors import SettingError
from recbole_sam.generators.base import COMPLETE, FAILED, REFUSED, REPAIRED
from recbole_sam.generators.by_name import make_openai
from recbole_sam.llm.failures import LimitReachedError, ProviderStopError, TransientFailure
from recbole_sam.llm.openai import chat_failure, fatal_codes

pytest.importorskip("httpx")


def run(server, folder, requests, **changes):
    settings = fast(folder, **{"model": "tiny", "base_url": server.compatible_url, **changes})
    generator = make_openai(settings)
    return {answer.user: answer for answer in generator.generate(requests)}, generator


def marked(word, reply):
    return lambda prompt, attempt: reply(attempt) if word in prompt else None


def test_users_are_answered_and_cached(serve, tmp_path):
    server = serve()
    answers, generator = run(server, tmp_path, make_requests(30, k=4))
    assert all(a.status == COMPLETE and len(a.phrases) == 4 for a in answers.values())
    assert len(answers) == 30 and generator.report.spending.output_tokens > 0
    again, _ = run(server, tmp_path, make_requests(30, k=4))
    assert again == answers and set(server.asked.values()) == {1}


def test_what_is_sent(serve, tmp_path):
    server = serve()
    extra = {"chat_template_kwargs": {"enable_thinking": False}}
    run(server, tmp_path, make_requests(1), extra_body=extra)
    (body,) = server.bodies
    assert body.pop("messages")[0]["role"] == "user"
    assert body == {
        "model": "tiny", "temperature": 0.3, "top_p": 0.8, "max_tokens": 500, **extra
    }  # fmt: skip


def test_answers_without_usage_count_under_the_ceiling(serve, tmp_path):
    reply = {"choices": [{"message": {"content": "combs\nsoap\nrazors"}, "finish_reason": "stop"}]}
    server = serve(lambda prompt, attempt: Reply(body=json.dumps(reply).encode()))
    prices = tmp_path / "prices.yaml"
    prices.write_text("china: {currency: CNY, models: {tiny: {input: 100, output: 1000}}}\n")
    options = {"prices_file": str(prices), "max_tokens": 50, "price_region": "china", "max_cost": 0.4}
    with pytest.raises(LimitReachedError, match="llm_max_cost"):
        run(server, tmp_path / "cache", make_requests(25), **options)
    assert 2 < sum(server.asked.values()) < 8


def test_a_proxy_that_cannot_be_used_is_one_sentence(serve, tmp_path, monkeypatch):
    server = serve()
    for proxy in ("socks://127.0.0.1:9", "nonsense://127.0.0.1:9"):
        monkeypatch.setenv("ALL_PROXY", proxy)
        with pytest.raises(SettingError, match="The proxy in ALL_PROXY.* cannot be used") as caught:
            run(server, tmp_path, make_requests(1))
        assert proxy not in str(caught.value)
    assert not server.asked


FAULTS = {
    "429": lambda n: (
        Reply(status=429, code="rate_limit_exceeded", headers={"Retry-After": "0.1"}) if n < 3 else None
    ),
    "500": lambda n: Reply(status=500, body=b"Internal Server Error") if n < 3 else None,
    "hang": lambda n: Reply(delay=30) if n < 2 else None,
    "cut": lambda n: Reply(cut=True) if n < 3 else None,
    "dropped": lambda n: Reply(drop=True) if n < 3 else None,
    "half JSON": lambda n: Reply(body=b'{"choices": [{"message"') if n < 3 else None,
    "other JSON": lambda n: Reply(body=b'[{"choices": null}]') if n < 3 else None,
    "no content": lambda n: (
        Reply(body=b'{"choices": [{"message": {"content": null}}], "usage": {"prompt_tokens": "x"}}')
        if n < 3
        else None
    ),
    "broken gzip": lambda n: Reply(body=b"not gzip", headers={"Content-Encoding": "gzip"}) if n < 3 else None,
    "empty": lambda n: Reply(text="") if n < 3 else None,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_passing_faults_are_survived(serve, tmp_path, fault):
    server = serve(marked("no 3-", FAULTS[fault]))
    answers, _ = run(server, tmp_path, make_requests(8), timeout=0.6)
    assert Counter(a.status for a in answers.values()) == {COMPLETE: 8}
    assert {n for p, n in server.asked.items() if "no 3-" not in p} == {1}


def test_lasting_faults_refusals_and_repairs(serve, tmp_path):
    def script(prompt, attempt):
        if "no 1-" in prompt:
            return Reply(status=500, code="server_error")
        if "no 2-" in prompt:
            return Reply(status=400, code="data_inspection_failed", message="no")
        if "no 3-" in prompt and "already answered" not in prompt:
            return Reply(text="one phrase only")
        if "no 5-" in prompt and "already answered" not in prompt:
            return Reply(text="finished\nfinished as well\nunfin", finish="length")
        if "no 4-" in prompt:
            return Reply(status=400, code="context_length_exceeded", message="too long")
        return None

    server = serve(script)
    answers, _ = run(server, tmp_path, make_requests(24), tries=2)
    assert answers["u1"].status == FAILED and answers["u4"].status == FAILED
    assert answers["u2"].status == REFUSED and len(answers["u2"].phrases) == 3
    assert answers["u3"].status == REPAIRED and answers["u3"].phrases[0] == "one phrase only"
    assert answers["u5"].status == REPAIRED and "unfin" not in answers["u5"].phrases
    assert answers["u5"].phrases[:2] == ("finished", "finished as well")
    assert sum(a.status == COMPLETE for a in answers.values()) == 19


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "invalid_api_key"), (402, "x"), (403, "x"), (404, "model_not_found"), (404, ""),
        (429, "insufficient_quota"), (400, "billing_hard_limit_reached"),
    ],
)  # fmt: skip
def test_fatal_errors_stop_at_once(serve, tmp_path, status, code):
    server = serve(lambda p, n: Reply(status=status, code=code, message="the vendor's hint"))
    with pytest.raises(ProviderStopError, match="the vendor's hint"):
        run(server, tmp_path, make_requests(300), concurrency=4)
    assert sum(server.asked.values()) <= 8


def test_alibabas_insufficient_quota_is_its_limit_a_minute_and_passes():
    for provider in ("openai https://dashscope.aliyuncs.com/compatible-mode/v1", "openai http://10.0.0.1/v1"):
        failure = chat_failure("A", 429, "insufficient_quota", "quota", None, fatal_codes(provider))
        assert isinstance(failure, TransientFailure) is ("aliyuncs" in provider)
    assert chat_failure("The batch service", 429, "insufficient_quota", "quota").throttled


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_longer_answer_that_the_extra_body_allows_is_reserved(serve, tmp_path, name):
    server = serve()
    prices = tmp_path / "prices.yaml"
    prices.write_text("china: {currency: CNY, models: {tiny: {input: 1, output: 1000}}}\n")
    changes = {"prices_file": str(prices), "price_region": "china", "extra_body": {name: 8000}}
    with pytest.raises(LimitReachedError, match="llm_max_cost"):
        run(server, tmp_path, make_requests(3), max_cost=7.9, **changes)
    assert not server.asked
    answers, _ = run(server, tmp_path, make_requests(3), max_cost=8.5, **changes)
    assert len(answers) == 3


def test_an_answer_that_is_too_long_is_cut_and_noted(serve, tmp_path):
    server = serve(lambda prompt, attempt: Reply(text="combs\nsoap\nrazors\n" + "word " * 40_000))
    answers, generator = run(server, tmp_path, make_requests(3))
    assert {answer.status for answer in answers.values()} == {COMPLETE}
    assert "  3 x answer cut at 64 KB" in generator.report.lines()
    stored = sum(f.stat().st_size for f in tmp_path.rglob("answers*") if f.is_file())
    assert stored < 3 * 200_000


def test_the_key_is_nowhere(serve, tmp_path, monkeypatch, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    server = serve(marked("no 2-", lambda n: Reply(status=400, code=KEY, message=KEY)))
    _, generator = run(server, tmp_path, make_requests(12))
    seen = [json.dumps(generator.fingerprint()), *generator.report.lines()]
    wrong = "sk-another-secret-key"
    monkeypatch.setenv("OPENAI_API_KEY", wrong)
    with pytest.raises(ProviderStopError) as caught:
        run(server, tmp_path, make_requests(1, seed=5))
    assert "***" in str(caught.value)
    seen += traceback.format_exception(caught.value)
    printed = capfd.readouterr()
    seen += [printed.out, printed.err, caplog.text]
    stored = b"".join(f.read_bytes() for f in tmp_path.rglob("*") if f.is_file())
    for secret in (KEY, wrong):
        assert secret.encode() not in stored and secret not in "\n".join(seen)


def test_a_server_without_a_key_gets_none(serve, tmp_path, monkeypatch):
    server = serve()
    monkeypatch.delenv("OPENAI_API_KEY")
    server._unauthorised = lambda request: Reply(status=401) if "Authorization" in request.headers else None
    answers, _ = run(server, tmp_path, make_requests(2))
    assert len(answers) == 2


def test_a_key_across_the_end_of_what_is_shown_is_hidden_whole(serve, tmp_path):
    page = b"<html>" + b"x" * 174 + b"Bearer " + KEY.encode()  # the key begins at character 187 of 200
    server = serve(lambda p, n: Reply(status=401, body=page))
    with pytest.raises(ProviderStopError) as caught:
        run(server, tmp_path, make_requests(1))
    assert "Bearer ***" in str(caught.value) and KEY[:4] not in str(caught.value)


def test_an_address_that_nobody_can_have_is_one_sentence(tmp_path):
    generator = make_openai(fast(tmp_path, model="m", base_url="http://256.1.1.1/v1"))
    with pytest.raises(ProviderStopError, match="llm_base_url is no address.*256.1.1.1"):
        list(generator.generate(make_requests(1)))


def test_a_model_is_needed(tmp_path):
    with pytest.raises(SettingError, match="llm_model"):
        make_openai(fast(tmp_path))
