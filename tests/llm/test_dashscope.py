"""The dashscope generator through the real SDK against a local server, faults included."""

import logging
import os
import signal
import threading
import time
import traceback
from collections import Counter

import pytest
from llm_helpers import fast, make_requests
from servers.llm_server import KEY, LLMServer, Reply, good_answer

from recbole_sam.errors import RecBoleSAMError, SettingError
from recbole_sam.generators.base import COMPLETE, FAILED, FILLED, REFUSED, REPAIRED
from recbole_sam.generators.by_name import make_dashscope  # noqa: E402
from recbole_sam.generators.dialogue import exchange
from recbole_sam.generators.prompts import INTERESTS
from recbole_sam.generators.reading.phrases import parse_phrases
from recbole_sam.llm.answers import AnswerCache
from recbole_sam.llm.failures import (
    CacheError,
    InterruptedRunError,
    LimitReachedError,
    ProviderStopError,
    TooManyFailuresError,
)

dashscope = pytest.importorskip("dashscope")
from recbole_sam.llm import dashscope as ours  # noqa: E402


def run(tmp_path, requests, **changes):
    generator = make_dashscope(fast(tmp_path, **changes))
    return {answer.user: answer for answer in generator.generate(requests)}, generator


def marked(word, reply):
    """A script that treats prompts with a word in a title specially."""
    return lambda prompt, attempt: reply(attempt) if word in prompt else None


def test_every_user_gets_exactly_k_phrases_and_each_prompt_is_asked_once(serve, tmp_path):
    server = serve()
    answers, generator = run(tmp_path, make_requests(40, k=4))
    assert len(answers) == 40 and set(server.asked.values()) == {1}
    assert all(a.status == COMPLETE and len(a.phrases) == 4 for a in answers.values())
    assert generator.report.asked == 40 and generator.report.spending.input_tokens > 0
    again, second = run(tmp_path, make_requests(40, k=4))
    assert again == answers and sum(server.asked.values()) == 40
    assert second.report.asked == 0 and second.report.from_cache == 40


def test_what_the_vendor_is_sent(serve, tmp_path):
    server = serve()
    run(tmp_path, make_requests(1))
    (body,) = server.bodies
    assert body["model"] == "qwen-flash"
    parameters = {k: v for k, v in body["parameters"].items() if k != "user_agent"}
    assert parameters == {
        "temperature": 0.3, "top_p": 0.8, "max_tokens": 500, "enable_thinking": False,
        "result_format": "message",
    }  # fmt: skip
    (message,) = body["input"]["messages"]
    assert message["role"] == "user" and "- " in message["content"]
    run(tmp_path, make_requests(1), model="qwen-turbo", temperature=0)
    assert server.bodies[1]["model"] == "qwen-turbo"
    assert server.bodies[1]["parameters"]["temperature"] == 0


def test_equal_histories_are_asked_once_even_at_the_same_moment(serve, tmp_path):
    server = serve(latency=0.05)
    one = next(make_requests(1))
    answers, generator = run(tmp_path, [one._replace(user=f"u{i}") for i in range(20)])
    assert len(answers) == 20 and len({a.phrases for a in answers.values()}) == 1
    assert list(server.asked.values()) == [1]
    assert generator.report.asked == 1 and generator.report.from_cache == 19


def test_equal_histories_without_an_answer_are_not_told_as_answered_from_the_cache(serve, tmp_path):
    serve(lambda prompt, attempt: Reply(status=500, code="InternalError"), latency=0.05)
    one = next(make_requests(1))
    same = [one._replace(user=f"u{i}") for i in range(3)]
    answers, generator = run(tmp_path, same, tries=1, max_failed_share=1.0)
    assert {answer.status for answer in answers.values()} == {FAILED}
    assert generator.report.asked == generator.report.from_cache == 0


FAULTS = {
    "429": lambda n: Reply(status=429, code="Throttling.RateQuota", message="slow") if n < 4 else None,
    "429 with Retry-After": lambda n: Reply(
        status=429, code="Throttling", headers={"Retry-After": "0.2"}
    )
    if n < 2
    else None,
    "500": lambda n: Reply(status=500, code="InternalError") if n < 3 else None,
    "503 in HTML": lambda n: Reply(status=503, body=b"<html>no</html>") if n < 3 else None,
    "500 with broken JSON": lambda n: Reply(
        status=500, body=b'{"code": "Inter', headers={"Content-Type": "application/json"}
    )
    if n < 2
    else None,
    "hang": lambda n: Reply(delay=30) if n < 2 else None,
    "cut off": lambda n: Reply(cut=True) if n < 3 else None,
    "dropped": lambda n: Reply(drop=True) if n < 5 else None,
    "half JSON": lambda n: Reply(body=b'{"output": {"choices": [') if n < 3 else None,
    "no output": lambda n: Reply(body=b'{"request_id": "x"}') if n < 3 else None,
    "no choices": lambda n: Reply(body=b'{"output": {"choices": []}}') if n < 3 else None,
    "output of another type": lambda n: Reply(body=b'{"output": [1]}') if n < 3 else None,
    "empty answer": lambda n: Reply(text=" \n ") if n < 3 else None,
    "slow": lambda n: Reply(delay=0.3),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_passing_faults_are_survived(serve, tmp_path, fault):
    server = serve(marked("no 3-", FAULTS[fault]))
    answers, generator = run(tmp_path, make_requests(8), timeout=0.6)
    assert all(a.status == COMPLETE and len(a.phrases) == 3 for a in answers.values())
    assert len(answers) == 8
    others = [n for prompt, n in server.asked.items() if "no 3-" not in prompt]
    assert set(others) == {1}
    assert generator.report.retries == (0 if fault == "slow" else generator.report.retries)


def test_a_dropped_connection_is_one_call_and_counted(serve, tmp_path):
    """The SDK by itself sends a call again when the connection breaks before any answer."""
    server = serve(lambda prompt, attempt: Reply(drop=True))
    _, generator = run(tmp_path, make_requests(1), tries=3, max_failed_share=1.0)
    assert server.asked.total() == 3 == generator.report.spending.unreported


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_names_its_target(serve, tmp_path, status):
    with LLMServer() as elsewhere:
        target = {"Location": elsewhere.dashscope_url + "/services/aigc/text-generation/generation"}
        server = serve(lambda prompt, attempt: Reply(status=status, body=b"", headers=target))
        with pytest.raises(ProviderStopError, match=f"redirects .{status}. to {elsewhere.dashscope_url}"):
            run(tmp_path, make_requests(1))
        assert server.asked.total() == 1 and not elsewhere.asked and not elsewhere.bodies


LASTING = {
    "500": Reply(status=500, code="InternalError"),
    "empty": Reply(text=""),
    "cut": Reply(cut=True),
    "garbage": Reply(body=b"\xff\xfe garbage"),
    "too long": Reply(status=400, code="InvalidParameter", message="Range of input length"),
}


@pytest.mark.parametrize("fault", LASTING)
def test_a_lasting_fault_marks_its_user_and_no_other(serve, tmp_path, fault):
    server = serve(marked("no 3-", lambda n: LASTING[fault]))
    answers, generator = run(tmp_path, make_requests(12), tries=3)
    assert answers["u3"].status == FAILED and answers["u3"].phrases == ()
    assert Counter(a.status for a in answers.values()) == {COMPLETE: 11, FAILED: 1}
    assert max(server.asked.values()) <= 3 and sum(generator.report.reasons.values()) >= 1
    # a failure is not kept: the next run asks again
    server.script = lambda prompt, attempt: None
    answers, _ = run(tmp_path, make_requests(12))
    assert answers["u3"].status == COMPLETE


def test_a_refusal_marks_the_user_goes_on_and_is_not_asked_again(serve, tmp_path):
    refusal = Reply(
        status=400,
        code="DataInspectionFailed",
        message="Input data may contain inappropriate content.",
    )
    server = serve(marked("no 3-", lambda n: refusal))
    requests = list(make_requests(6))
    answers, _ = run(tmp_path, requests)
    assert answers["u3"].status == REFUSED
    assert len(answers["u3"].phrases) == 3 and set(answers["u3"].phrases) <= set(requests[3].titles)
    assert sum(a.status == COMPLETE for a in answers.values()) == 5
    again, _ = run(tmp_path, requests)
    assert again == answers and set(server.asked.values()) == {1}


FATAL = {
    "arrears": (
        400,
        "Arrearage",
        "Access denied, please make sure your account is in good standing.",
    ),
    "unknown model": (404, "ModelNotFound", "The model x does not exist"),
    "unknown model, old form": (400, "InvalidParameter", "Model not exist."),
    "no access": (403, "Model.AccessDenied", "Model access denied."),
    "not activated": (403, "AccessDenied.Unpurchased", "Access to model denied."),
    "overdue bill": (429, "PostpaidBillOverdue", "The postpaid bill is overdue."),
    "free tier": (403, "AllocationQuota.FreeTierOnly", "The free tier has been exhausted"),
}


@pytest.mark.parametrize("case", FATAL)
def test_fatal_errors_stop_at_once_with_hint_and_advice(serve, tmp_path, case):
    status, code, message = FATAL[case]
    server = serve(lambda prompt, attempt: Reply(status=status, code=code, message=message))
    with pytest.raises(ProviderStopError) as caught:
        run(tmp_path, make_requests(500), concurrency=4)
    assert code in str(caught.value) and message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert sum(server.asked.values()) <= 8  # what was under way, and nothing after


def test_wrong_key_and_no_key(serve, tmp_path, monkeypatch):
    server = serve()
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-wrong")
    with pytest.raises(ProviderStopError, match="check the API key"):
        run(tmp_path, make_requests(3))
    monkeypatch.delenv("DASHSCOPE_API_KEY")
    monkeypatch.setattr(dashscope, "api_key", None)
    monkeypatch.setattr(dashscope, "api_key_file_path", str(tmp_path / "absent"))
    with pytest.raises(ProviderStopError, match="DASHSCOPE_API_KEY"):
        run(tmp_path, make_requests(3))
    (tmp_path / "key").write_text(KEY + "\n")
    monkeypatch.setattr(dashscope, "api_key_file_path", str(tmp_path / "key"))
    answers, _ = run(tmp_path, make_requests(3))
    assert len(answers) == 3 == sum(server.asked.values())


@pytest.mark.parametrize("key", ["sk with blank", "sk\nnewline", "schlüssel"])
def test_an_impossible_key_is_refused_without_showing_it(serve, tmp_path, monkeypatch, key):
    serve()
    monkeypatch.setenv("DASHSCOPE_API_KEY", key)
    with pytest.raises(ProviderStopError) as caught:
        run(tmp_path, make_requests(1))
    assert key not in str(caught.value)


COUNTS = {
    "none of the promised": ("...", 3, REPAIRED),
    "one": ("wooden combs", 3, REPAIRED),
    "two and the same again": ("wooden combs\nlip care\nLip care\nCombs, wooden", 3, REPAIRED),
    "too many": ("\n".join(f"thing number {i}" for i in range(9)), 3, COMPLETE),
    "another language": ("护发产品\n指甲油\n香水", 3, REPAIRED),
}


@pytest.mark.parametrize("case", COUNTS)
def test_wrong_counts_and_languages_are_repaired_with_one_more_request(serve, tmp_path, case):
    text, k, status = COUNTS[case]
    first = parse_phrases(text, k)
    server = serve(lambda prompt, n: None if "already answered" in prompt else Reply(text=text))
    answers, _ = run(tmp_path, make_requests(4, k=k))
    for answer in answers.values():
        assert answer.status == status and len(answer.phrases) == k == len(set(answer.phrases))
        if status == COMPLETE:
            assert answer.phrases == tuple(first[:k])
    calls = 4 if status == COMPLETE else 8
    assert sum(server.asked.values()) == calls
    if case == "two and the same again":
        repair = next(p for p in server.asked if "already answered" in p)
        assert "exactly 1 more" in repair and "- wooden combs\n- lip care\n" in repair


def test_a_cut_answer_is_repaired_where_it_was_cut(serve, tmp_path):
    text = "wooden combs\nlip care\nnail po"
    server = serve(
        lambda prompt, n: None if "already answered" in prompt else Reply(text=text, finish="length")
    )
    answers, _ = run(tmp_path, make_requests(4, k=3))
    for answer in answers.values():
        assert answer.status == REPAIRED and answer.phrases[:2] == ("wooden combs", "lip care")
        assert "nail po" not in answer.phrases
    assert sum(server.asked.values()) == 8
    repair = next(p for p in server.asked if "already answered" in p)
    assert "exactly 1 more" in repair


def test_what_stays_missing_is_drawn_from_the_titles(serve, tmp_path):
    server = serve(lambda prompt, n: Reply(text="wooden combs"))
    requests = list(make_requests(4, k=3))
    answers, _ = run(tmp_path, requests)
    for request in requests:
        answer = answers[request.user]
        assert answer.status == FILLED and answer.phrases[0] == "wooden combs"
        assert len(answer.phrases) == 3 and set(answer.phrases[1:]) <= set(request.titles)
    assert sum(server.asked.values()) == 8  # one repair each, no more


def test_the_exchange_is_the_same_without_any_network():
    request = next(make_requests(1, k=2))
    steps = exchange(request, INTERESTS, lambda r: r.titles)
    next(steps)
    with pytest.raises(StopIteration) as end:
        steps.send(None)
    assert end.value.value.status == FAILED


def test_a_storm_of_429_slows_the_run_down_and_everybody_is_served(serve, tmp_path):
    storm = {"left": 60}

    def script(prompt, attempt):
        if storm["left"] > 0:
            storm["left"] -= 1
            return Reply(status=429, code="Throttling.RateQuota", headers={"Retry-After": "0.05"})
        return None

    server = serve(script, latency=0.01)
    answers, generator = run(tmp_path, make_requests(60), concurrency=32)
    assert all(a.status == COMPLETE for a in answers.values()) and len(answers) == 60
    assert sum(server.asked.values()) == 120 and generator.report.retries == 60
    assert generator.report.asked == 60


def test_concurrency_is_kept(serve, tmp_path):
    server = serve(latency=0.03)
    run(tmp_path, make_requests(30), concurrency=5)
    assert server.most_running == 5


def test_requests_a_minute_are_kept(serve, tmp_path):
    server = serve()
    run(tmp_path, make_requests(60), requests_per_minute=1200, concurrency=60)
    first, last = min(server.started_at), max(server.started_at)
    # one second's worth (20) at once, the other 40 at 20 a second; a busy machine blurs it
    assert last - first >= 1.4


def test_when_most_users_fail_the_run_stops_before_it_spends_the_rest(serve, tmp_path):
    server = serve(lambda prompt, n: Reply(status=500, code="InternalError"))
    with pytest.raises(TooManyFailuresError, match="InternalError"):
        run(tmp_path, make_requests(2000), tries=2, concurrency=4)
    assert len(server.asked) < 60


def test_few_users_who_all_fail_are_an_error_too(serve, tmp_path):
    serve(lambda prompt, n: Reply(status=500, code="InternalError"))
    with pytest.raises(TooManyFailuresError):
        run(tmp_path, make_requests(3), tries=2)


def test_max_users_stops_cleanly_and_resumes(serve, tmp_path):
    server = serve()
    with pytest.raises(LimitReachedError, match="llm_max_users"):
        run(tmp_path, make_requests(25), max_users=10)
    assert len(server.asked) == 10
    with pytest.raises(LimitReachedError):
        run(tmp_path, make_requests(25), max_users=10)
    assert len(server.asked) == 20
    answers, _ = run(tmp_path, make_requests(25), max_users=10)
    assert len(answers) == 25 and set(server.asked.values()) == {1}


def test_max_cost_is_never_passed_and_resumes(serve, tmp_path):
    server = serve()
    prices = tmp_path / "prices.yaml"
    prices.write_text("china: {currency: CNY, models: {qwen-flash: {input: 100, output: 1000}}}\n")
    options = {"prices_file": str(prices), "max_tokens": 50, "price_region": "china"}
    ceiling = 0.4
    rounds, spent = 0, 0.0
    while True:
        rounds += 1
        generator = make_dashscope(fast(tmp_path / "c", max_cost=ceiling, **options))
        try:
            answers = list(generator.generate(make_requests(25)))
            break
        except LimitReachedError as stop:
            assert "llm_max_cost" in str(stop) and generator.report.asked > 0
        finally:
            assert 0 <= generator.report.spending.cost <= ceiling
            spent += generator.report.spending.cost
        assert rounds < 20
    assert len(answers) == 25 and rounds > 2 and set(server.asked.values()) == {1}
    usage = [(len(p) // 4, len(good_answer(p)) // 4) for p in server.asked]
    assert spent == pytest.approx(sum(100 * i + 1000 * o for i, o in usage) / 1e6)


def test_what_may_be_billed_without_being_told_counts_under_the_ceiling(serve, tmp_path):
    server = serve(lambda prompt, attempt: Reply(delay=5.0))  # a vendor may bill answers nobody waited for
    prices = tmp_path / "prices.yaml"
    prices.write_text("china: {currency: CNY, models: {qwen-flash: {input: 100, output: 1000}}}\n")
    options = {"prices_file": str(prices), "max_tokens": 50, "price_region": "china", "timeout": 0.2}
    generator = make_dashscope(fast(tmp_path / "c", max_cost=0.4, **options))
    with pytest.raises(LimitReachedError, match="llm_max_cost"):
        list(generator.generate(make_requests(25)))
    spending = generator.report.spending
    assert spending.cost == 0 and 0.3 < spending.unreported_cost <= 0.4
    assert sum(server.asked.values()) <= spending.unreported < 8
    assert f"{spending.unreported} x usage not reported: up to" in "\n".join(generator.report.lines())


def test_a_run_that_pays_for_nothing_usable_is_stopped(serve, tmp_path):
    server = serve(lambda prompt, attempt: Reply(text="<think>Let me see. The user", finish="length"))
    with pytest.raises(TooManyFailuresError, match="Nothing could be used in the answers for 1. of 1."):
        run(tmp_path, make_requests(200), concurrency=2)
    assert len(server.asked) < 60  # not the 400 of everybody and a repair each


def test_an_unanswered_repair_is_asked_again_in_the_next_run(serve, tmp_path):
    def script(prompt, attempt):
        if "already answered" in prompt and "no 1-" in prompt and len(broken) < 2:
            broken.append(attempt)
            return Reply(status=500)
        return Reply(text="one phrase only") if "already answered" not in prompt else None

    broken, server = [], serve(script)
    answers, _ = run(tmp_path, make_requests(20), tries=2)
    assert answers["u1"].status == FAILED and not answers["u1"].phrases
    asked = dict(server.asked)
    again, _ = run(tmp_path, make_requests(20), tries=2)
    assert again["u1"].status == REPAIRED
    assert sum(server.asked.values()) == sum(asked.values()) + 1


def test_a_ceiling_without_a_price_is_refused(serve, tmp_path):
    serve()
    with pytest.raises(SettingError, match="prices.yaml"):
        run(tmp_path, make_requests(1), model="qwen-unheard-of", max_cost=1.0)


def test_ctrl_c_finishes_what_is_in_flight_and_the_same_command_goes_on(serve, tmp_path):
    server = serve(latency=0.3)

    def interrupt():
        while not server.answered:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(InterruptedRunError, match="same command"):
        run(tmp_path, make_requests(400), concurrency=8)
    time.sleep(0.5)  # nothing may still arrive
    asked = dict(server.asked)
    assert 8 <= len(asked) <= 64 and sum(server.answered.values()) == len(asked)
    server.latency = 0.0
    answers, generator = run(tmp_path, make_requests(400), concurrency=32)
    assert len(answers) == 400 and set(server.asked.values()) == {1}
    assert generator.report.from_cache == len(asked)


def test_leaving_early_keeps_what_was_paid_for(serve, tmp_path):
    server = serve(latency=0.1)
    generator = make_dashscope(fast(tmp_path))
    answers = generator.generate(make_requests(100))
    next(answers)
    answers.close()
    asked = len(server.asked)
    assert sum(server.answered.values()) == asked
    server.latency = 0.0
    run(tmp_path, make_requests(100))
    assert set(server.asked.values()) == {1}


def test_a_full_disk_stops_the_run_and_keeps_what_is_there(serve, tmp_path, monkeypatch):
    server = serve()
    connect = AnswerCache._connect

    def small(self):
        connection = connect(self)
        connection.execute("PRAGMA max_page_count = 24")  # "database or disk is full" beyond
        return connection

    with monkeypatch.context() as patch:
        patch.setattr(AnswerCache, "_connect", small)
        with pytest.raises(CacheError, match="full.*llm_cache_dir"):
            run(tmp_path, make_requests(400), concurrency=4)
    with AnswerCache(tmp_path) as cache:
        kept = cache.count()
    assert 0 < kept and len(server.asked) <= kept + 16
    _, generator = run(tmp_path, make_requests(400))
    assert generator.report.from_cache == kept


def test_users_are_taken_in_as_they_are_needed(serve, tmp_path):
    serve(latency=0.01)
    taken = []

    def requests():
        for request in make_requests(400):
            taken.append(request.user)
            yield request

    generator = make_dashscope(fast(tmp_path, concurrency=4))
    ahead = max(len(taken) - n for n, _ in enumerate(generator.generate(requests())))
    assert ahead <= 4 * 4 + 1


def test_the_key_is_nowhere(serve, tmp_path, monkeypatch, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("DASHSCOPE_LOGGING_LEVEL", "debug")
    logging.getLogger("dashscope").setLevel(logging.DEBUG)
    sentences = []
    wrong = "sk-wrong-key-that-must-stay-secret"
    server = serve(marked("no 3-", lambda n: Reply(cut=True)))
    _, generator = run(tmp_path / "cache", make_requests(12), tries=2)
    sentences += [generator.fingerprint(), generator.report.lines(), vars(generator.client.asked_of)
                  if hasattr(generator.client.asked_of, "__dict__") else ""]  # fmt: skip
    scripts = [
        lambda p, n: Reply(status=403, code="AccessDenied", message=f"key {KEY} may not"),
        lambda p, n: Reply(status=400, code=f"Odd.{KEY}", message=f"Bearer {KEY}"),
        lambda p, n: Reply(status=500, body=f"<html>{KEY}</html>".encode()),
        lambda p, n: Reply(body=f'{{"output": "{KEY}"}}'.encode()),
    ]
    for number, script in enumerate(scripts):
        server.script = script
        with pytest.raises(RecBoleSAMError) as caught:
            run(tmp_path / "cache", make_requests(3, prefix="x", seed=number + 1), tries=2)
        sentences += traceback.format_exception(caught.value)
        sentences += [repr(caught.value), repr(vars(caught.value))]
        link = caught.value
        while link is not None:
            sentences.append(repr(link.args))
            link = link.__cause__ or link.__context__
    monkeypatch.setenv("DASHSCOPE_API_KEY", wrong)
    server.script = lambda p, n: None
    with pytest.raises(ProviderStopError) as caught:
        run(tmp_path / "cache", make_requests(1, prefix="y", seed=9))
    assert "***" in str(caught.value)  # the server did repeat it
    sentences += traceback.format_exception(caught.value)
    printed = capfd.readouterr()
    sentences += [printed.out, printed.err, caplog.text]
    sentences += [repr(record.__dict__.get("args")) for record in caplog.records]
    stored = b"".join(f.read_bytes() for f in (tmp_path / "cache").rglob("*") if f.is_file())
    for secret in (KEY, wrong):
        assert secret.encode() not in stored
        assert secret not in "\n".join(map(str, sentences))
    assert len(stored) > 1000 and caplog.records


def test_which_prices_an_endpoint_has():
    region = ours.price_region
    assert region("https://dashscope.aliyuncs.com/api/v1") == "china"
    assert region("https://dashscope-intl.aliyuncs.com/api/v1") == "international"
    assert region("https://ws.ap-southeast-1.maas.aliyuncs.com/api/v1") == "international"
    assert region("https://ws.cn-beijing.maas.aliyuncs.com/api/v1") == "china"
    assert region("https://ws.cn-hongkong.maas.aliyuncs.com/api/v1") == "international"
    assert region("https://dashscope-us.aliyuncs.com/api/v1") == "international"


def test_a_region_without_its_workspace_is_one_sentence(serve, tmp_path, monkeypatch):
    serve()
    address = "https://{workspace_id}.ap-southeast-1.maas.aliyuncs.com/api/v1"
    monkeypatch.setattr("dashscope.base_http_api_url", address)
    with pytest.raises(ProviderStopError, match="The DashScope SDK .*DASHSCOPE_WORKSPACE_ID"):
        run(tmp_path, make_requests(1))
