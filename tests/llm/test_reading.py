"""What responses of chat services mean: the given cases, and the same of batch results."""

import json

import pytest
from conftest import ROOT
from llm_helpers import fast, make_requests
from servers.llm_server import KEY, LLMServer, Reply

from recbole_sam.generators.by_name import make_openai
from recbole_sam.llm import replies
from recbole_sam.llm.batch_jobs import read_line
from recbole_sam.llm.failures import (
    MalformedFailure,
    ProviderStopError,
    RefusedFailure,
    RejectedFailure,
    ThoughtFailure,
    TooManyFailuresError,
    TransientFailure,
)

pytest.importorskip("httpx")

CASES = {
    case["case"]: case
    for case in map(
        json.loads,
        (ROOT / "tests" / "cases" / "llm-responses.jsonl").read_text(encoding="utf-8").splitlines(),
    )
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Asks a server that answers every call with one of the cases."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    def ask(case, users=30, **changes):
        given = CASES[case]
        reply = Reply(
            status=given["status"], body=json.dumps(given["json"]).encode(), headers=given.get("headers", {})
        )
        with LLMServer(lambda prompt, attempt: reply) as server:
            settings = {
                "model": "m",
                "base_url": server.compatible_url,
                "concurrency": 2,
                "tries": 1,
                **changes,
            }
            generator = make_openai(fast(tmp_path, **settings))
            failure, answers = None, []
            try:
                answers = list(generator.generate(make_requests(users, k=2)))
            except Exception as error:
                failure = error
            return answers, generator.report, failure, sum(server.asked.values())

    return ask


def test_an_error_inside_200_counts_as_its_own_status(run):
    _, report, failure, asked = run("error inside HTTP 200", users=1)
    assert isinstance(failure, TooManyFailuresError) and "rate limit reached, slow down" in str(failure)
    assert asked == 4 and report.retries == 3  # four times llm_tries, as for 429
    assert list(report.reasons) == ["throttled (429: rate limit reached, slow down)"]
    _, _, failure, asked = run("error inside HTTP 200, key refused")
    assert isinstance(failure, ProviderStopError) and "invalid key" in str(failure) and asked <= 4


def test_content_in_parts_is_the_text_of_its_parts(run):
    answers, report, failure, asked = run("content as a list of parts", users=3)
    assert failure is None and asked == 3
    assert {answer.phrases for answer in answers} == {("steel tools", "red paper")}
    assert {answer.status for answer in answers} == {"complete"} and report.spending.output_tokens == 27


def test_thinking_that_uses_up_the_tokens_is_told_with_what_to_do_and_not_paid_for_again(run):
    _, report, failure, asked = run("empty content, all tokens spent on reasoning", users=300)
    assert isinstance(failure, TooManyFailuresError)
    assert "thinking used up llm_max_tokens" in str(failure) and "enable_thinking" in str(failure)
    assert asked < 30 and report.retries == 0 and report.spending.output_tokens == 500 * asked


def test_a_wait_of_a_day_and_a_redirect_stop(run):
    _, report, failure, asked = run("Retry-After of a day")
    assert isinstance(failure, ProviderStopError) and "asks to wait 24 h" in str(failure) and asked <= 4
    _, _, failure, asked = run("redirect")
    assert isinstance(failure, ProviderStopError) and asked <= 4
    assert "redirects (307) to http://127.0.0.1:1/elsewhere. That is not followed" in str(failure)


def line(body, status=200):
    return {"custom_id": "k", "error": None, "response": {"status_code": status, "body": body}}


def test_lines_of_batch_results_are_read_in_the_same_way():
    bodies = {name: case["json"] for name, case in CASES.items()}
    answer, failure = read_line(line(bodies["content as a list of parts"]))
    assert failure is None and answer.text == "steel tools\nred paper"
    for name, kind in {
        "error inside HTTP 200": TransientFailure,
        "error inside HTTP 200, key refused": ProviderStopError,
        "empty content, all tokens spent on reasoning": ThoughtFailure,
    }.items():
        answer, failure = read_line(line(bodies[name]))
        assert answer is None and isinstance(failure, kind) and failure.sent
    assert isinstance(read_line(line({"error": {"code": "x"}}, 500))[1], TransientFailure)


ODD_LINES = [
    {}, {"response": None}, {"response": "x"}, {"response": []}, {"response": {"status_code": "200"}},
    {"response": {"status_code": None, "body": None}}, {"response": {"status_code": 200, "body": "x"}},
    {"response": {"status_code": 200, "body": {"choices": [{"message": []}]}}}, {"error": "x"},
    {"error": ["x"]},
    {"response": {"status_code": 2**70, "body": {"error": 5}}}, {"response": {"status_code": -1},
    "error": {"code": []}},
]  # fmt: skip


@pytest.mark.parametrize("entry", ODD_LINES, ids=json.dumps)
def test_odd_lines_of_batch_results_are_failures_of_their_prompt(entry):
    answer, failure = read_line(entry)
    assert answer is None
    assert isinstance(failure, TransientFailure | RejectedFailure | MalformedFailure)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({"choices": [{"message": {"content": "x"}}]}, None), ({"choices": [{}], "error": None}, None),
        ({"error": {}}, None), ([{"error": 1}], None), ("error", None), (None, None),
        ({"error": {"code": 429, "message": "slow"}}, (429, "429", "slow")),
        ({"error": {"code": "429", "message": "slow"}}, (429, "429", "slow")),
        ({"error": {"type": "authentication_error", "message": "no"}}, (401, "authentication_error", "no")),
        ({"error": {"message": "Too many requests"}}, (429, "", "Too many requests")),
        ({"error": "the server is overloaded"}, (503, "", "the server is overloaded")),
        ({"error": {"message": "?"}}, (500, "", "?")),
        ({"object": "error", "code": 400, "message": "too long"}, (400, "400", "too long")),
        ({"code": "Throttling.RateQuota", "message": "slow"}, (429, "Throttling.RateQuota", "slow")),
        ({"choices": [{"error": {"code": 502, "message": "gone"}}]}, (502, "502", "gone")),
        ({"error": {"code": 500, "message": "cut"}, "choices": [{"message": {"content": "x"}}]}, (500,
        "500", "cut")),
    ],
)  # fmt: skip
def test_errors_are_found_wherever_they_stand(content, found):
    assert replies.embedded_error(content) == found


def test_reasons_read_equal_whatever_numbers_they_hold():
    first = replies.outline(
        429, "rate_limit", "Limit 30000, used 29017 in org-a81: try again in 2.5s (req_0a9)"
    )
    second = replies.outline(
        429, "rate_limit", "Limit 30000, used 28999 in org-a81: try again in 8s (req_77)"
    )
    assert first == second == "429 rate_limit: Limit … used … in … try again in … …"
    assert replies.outline(500, "", "") == "500" and replies.outline(429, "429", "slow") == "429: slow"


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("https://other.example/v1?key=x#y", "https://other.example/v1"), ("/elsewhere", "http://a.b/elsewhere"),
        ("//c.d/e", "http://c.d/e"), ("http://me:secret@c.d/e", "http://c.d/e"), ("", "no address"),
        (None, "no address"), ("http://[broken", "an address that is none"),
    ],
)  # fmt: skip
def test_a_redirect_names_its_target_without_what_may_be_secret(target, shown):
    stop = replies.redirected("The server", 307, "http://a.b/v1/chat", target, "set it.")
    assert f"redirects (307) to {shown}. That is not followed" in str(stop) and stop.sent


def test_a_refusal_by_the_protocols_own_means():
    with pytest.raises(RefusedFailure):
        replies.read_completion({"choices": [{"message": {"content": None, "refusal": "I will not"}}]})
