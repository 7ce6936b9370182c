"""The batch service against a local one: files, jobs, results, and crashes between any two
steps."""

import importlib.util
import json
import re
from collections import Counter
from pathlib import Path

import pytest
from llm_helpers import fast, make_requests
from servers.llm_server import KEY, Reply

from recbole_sam.errors import SettingError
from recbole_sam.generators.base import COMPLETE, FAILED, FILLED, REFUSED, REPAIRED
from recbole_sam.llm.answers import AnswerCache
from recbole_sam.llm.failures import (
    CacheError,
    InterruptedRunError,
    LimitReachedError,
    PendingBatchError,
    ProviderStopError,
)

dashscope = pytest.importorskip("dashscope")
pytest.importorskip("httpx")
from recbole_sam.generators import batch as dashscope_batch  # noqa: E402
from recbole_sam.generators.batch import BatchGenerator, Jobs, Service  # noqa: E402
from recbole_sam.generators.by_name import make_dashscope  # noqa: E402


def run(folder, requests, **changes):
    generator = BatchGenerator(fast(folder, **{"batch_poll": 0.02, **changes}))
    return {answer.user: answer for answer in generator.generate(requests)}, generator


def test_users_are_answered_by_jobs_and_live_calls_find_the_answers(serve, tmp_path):
    server = serve(batch_seconds=0.1)
    requests = list(make_requests(25, k=4))
    answers, generator = run(tmp_path, requests, batch_lines=10)
    assert len(answers) == 25 and {a.status for a in answers.values()} == {COMPLETE}
    assert len(server.batches) == 3 and set(server.asked.values()) == {1}
    assert generator.report.asked == 25
    live = {a.user: a for a in make_dashscope(fast(tmp_path)).generate(requests)}
    assert live == answers and set(server.asked.values()) == {1}
    again, _ = run(tmp_path, requests)
    assert again == answers and len(server.batches) == 3
    assert list((tmp_path / "batches").iterdir()) == []


def test_equal_prompts_on_both_sides_of_a_full_job_are_sent_once(serve, tmp_path):
    server = serve()
    requests = list(make_requests(3))
    requests.append(requests[0]._replace(user="twin"))
    answers, _ = run(tmp_path, requests, batch_lines=2)
    assert answers["twin"].phrases == answers["u0"].phrases and len(answers) == 4
    assert len(server.batches) == 2 and set(server.asked.values()) == {1}


def test_what_is_sent(serve, tmp_path):
    server = serve()
    run(tmp_path, make_requests(2), batch_window="48h")
    (batch,) = server.batches.values()
    assert batch["endpoint"] == "/v1/chat/completions" and batch["completion_window"] == "48h"
    for line in server.files[batch["input_file_id"]].decode().splitlines():
        entry = json.loads(line)
        assert len(entry["custom_id"]) == 64
        assert entry["body"].pop("messages")[0]["role"] == "user"
        assert entry["body"] == {
            "model": "qwen-flash", "temperature": 0.3, "top_p": 0.8, "max_tokens": 500,
            "enable_thinking": False,
        }  # fmt: skip


def test_it_costs_half(serve, tmp_path):
    serve()
    requests = list(make_requests(6))
    _, batch = run(tmp_path / "a", requests)
    live = make_dashscope(fast(tmp_path / "b"))
    list(live.generate(requests))
    assert batch.report.spending.cost == pytest.approx(live.report.spending.cost / 2)


def test_repairs_refusals_failures_and_lines_without_a_result(serve, tmp_path):
    def script(prompt, attempt):
        repair = "already answered" in prompt
        if "no 1-" in prompt and not repair:
            return Reply(text="one phrase only")
        if "no 2-" in prompt:
            return Reply(status=400, code="data_inspection_failed", message="no")
        if "no 3-" in prompt:
            return Reply(status=500, code="internal_error")
        if "no 4-" in prompt:
            return Reply(status=400, code="invalid_parameter", message="too long")
        if "no 5-" in prompt and attempt == 1:
            return Reply(drop=True)
        if "no 6-" in prompt and attempt < 3:
            return Reply(status=503, code="busy")
        if "no 7-" in prompt:
            return Reply(text="never enough")
        return None

    server = serve(script)
    answers, generator = run(tmp_path, make_requests(40))
    found = {user: a.status for user, a in answers.items() if a.status != COMPLETE}
    assert found == {"u1": REPAIRED, "u2": REFUSED, "u3": FAILED, "u4": FAILED, "u7": FILLED}
    assert answers["u1"].phrases[0] == "one phrase only" and len(answers["u2"].phrases) == 3
    per_user = Counter()
    for prompt, count in server.asked.items():
        for number in (2, 3, 4, 5, 6):
            if f"no {number}-" in prompt:
                per_user[number] += count
    assert per_user == {2: 1, 3: 3, 4: 1, 5: 2, 6: 3}


class Crash(BaseException):
    """The process is gone: nothing catches this."""


STEPS = {
    "before the upload": (Service, "upload", "before"),
    "after the upload": (Service, "upload", "after"),
    "before the job exists": (Service, "create", "before"),
    "after the job exists": (Service, "create", "after"),
    "while waiting": (Service, "show", "after"),
    "before the download": (Service, "download", "before"),
    "after the download": (Service, "download", "after"),
    "after the answers are kept": (Jobs, "_read", "after"),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_crash_at_any_step_submits_nothing_twice(serve, tmp_path, monkeypatch, step):
    owner, method, when = STEPS[step]
    server = serve(batch_seconds=0.05)
    original = getattr(owner, method)

    def crashing(self, *arguments):
        if when == "after":
            original(self, *arguments)
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(owner, method, crashing)
        with pytest.raises(Crash):
            run(tmp_path, make_requests(12))
    # meanwhile a live run must not pay for what the job holds
    if method in ("create", "show"):
        with pytest.raises(PendingBatchError, match="dashscope-batch"):
            list(make_dashscope(fast(tmp_path)).generate(make_requests(12)))
    answers, _ = run(tmp_path, make_requests(12))
    assert len(answers) == 12 and {a.status for a in answers.values()} == {COMPLETE}
    assert len(server.batches) == 1 and set(server.asked.values()) == {1}


def test_a_lost_answer_to_create_does_not_create_twice(serve, tmp_path, monkeypatch):
    import httpx

    server = serve()
    post = httpx.Client.post
    lost = []

    def losing(self, url, **options):
        response = post(self, url, **options)
        if url == "/batches" and not lost:
            lost.append(response)
            raise httpx.ReadTimeout("lost")
        return response

    monkeypatch.setattr(httpx.Client, "post", losing)
    answers, _ = run(tmp_path, make_requests(5))
    assert lost and len(answers) == 5 and len(server.batches) == 1


def test_ctrl_c_while_waiting_says_what_is_under_way(serve, tmp_path, monkeypatch):
    server = serve(batch_seconds=0.2)

    def interrupted(seconds):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(dashscope_batch.time, "sleep", interrupted)
        with pytest.raises(InterruptedRunError, match="1 batch jobs are with the vendor"):
            run(tmp_path, make_requests(5))
    answers, _ = run(tmp_path, make_requests(5))
    assert len(answers) == 5 and len(server.batches) == 1


def interrupt(monkeypatch, folder, requests, **changes):
    """A run that gets Ctrl-C while it waits for the first time."""

    def interrupted(seconds):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(dashscope_batch.time, "sleep", interrupted)
        with pytest.raises(InterruptedRunError):
            run(folder, requests, **changes)


def let_jobs_end(server):
    server.batch_seconds = 0
    for batch in server.batches.values():
        batch["_until"] = 0


def dear(folder):
    """Settings under which an answer costs up to half a unit, and a few hundredths as a rule."""
    prices = folder / "prices.yaml"
    prices.write_text("china: {currency: CNY, models: {qwen-flash: {input: 100, output: 1000}}}\n")
    return {"prices_file": str(prices), "price_region": "china", "max_tokens": 500}


def test_restarts_while_jobs_are_open_do_not_renew_max_cost(serve, tmp_path, monkeypatch):
    server = serve(batch_seconds=3600)
    requests, changes = list(make_requests(120)), {**dear(tmp_path), "max_cost": 2.0}
    for _ in range(3):
        interrupt(monkeypatch, tmp_path, requests, **changes)
    assert len(server.batches) == 1
    let_jobs_end(server)
    generator = BatchGenerator(fast(tmp_path, **{"batch_poll": 0.02, **changes}))
    with pytest.raises(LimitReachedError, match="llm_max_cost"):
        list(generator.generate(requests))
    assert 1.0 < generator.report.spending.cost <= 2.0 and set(server.asked.values()) == {1}
    sent = len(server.asked)
    with pytest.raises(LimitReachedError, match="llm_max_cost"):  # a new run has a new allowance
        run(tmp_path, requests, **changes)
    assert len(server.asked) > sent and set(server.asked.values()) == {1}


def test_what_an_open_job_leaves_of_max_cost_is_submitted_beside_it(serve, tmp_path, monkeypatch):
    server = serve(batch_seconds=3600)
    requests, changes = list(make_requests(10)), dear(tmp_path)
    interrupt(monkeypatch, tmp_path, requests[:2], max_cost=10.0, **changes)
    interrupt(monkeypatch, tmp_path, requests, max_cost=2.2, **changes)
    lines = [len(data.splitlines()) for data in server.files.values()]
    assert lines == [2, 2]


def test_an_open_job_above_max_cost_or_without_its_request_file_lets_nothing_in(serve, tmp_path, monkeypatch):
    server = serve(batch_seconds=3600)
    requests, changes = list(make_requests(30)), dear(tmp_path)
    interrupt(monkeypatch, tmp_path, requests[:20], **changes)
    interrupt(monkeypatch, tmp_path, requests, max_cost=1.0, **changes)
    for file in (tmp_path / "batches").glob("*.jsonl"):
        file.unlink()
    interrupt(monkeypatch, tmp_path, requests, max_cost=1000.0, **changes)
    assert len(server.batches) == 1
    let_jobs_end(server)
    answers, _ = run(tmp_path, requests, max_cost=1000.0, **changes)
    assert len(answers) == 30 and set(server.asked.values()) == {1}


def test_restarts_while_jobs_are_open_do_not_renew_max_users(serve, tmp_path, monkeypatch):
    server = serve(batch_seconds=3600)
    for _ in range(3):
        interrupt(monkeypatch, tmp_path, make_requests(20), max_users=3)
    let_jobs_end(server)
    with pytest.raises(LimitReachedError, match="llm_max_users"):
        run(tmp_path, make_requests(20), max_users=3)
    assert len(server.asked) == 3
    with pytest.raises(LimitReachedError, match="llm_max_users"):
        run(tmp_path, make_requests(20), max_users=3)
    assert len(server.asked) == 6 and set(server.asked.values()) == {1}


def test_a_job_that_another_process_collects_gives_its_reservation_back(serve, tmp_path, monkeypatch):
    server = serve(batch_seconds=3600)
    requests = list(make_requests(10))
    changes = {**dear(tmp_path), "max_cost": 2.0}
    other = []

    def meanwhile(seconds):
        if not other:
            other.append(True)
            let_jobs_end(server)
            other.append(run(tmp_path, requests[:2]))

    monkeypatch.setattr(dashscope_batch.time, "sleep", meanwhile)
    answers, generator = run(tmp_path, requests, batch_lines=2, **changes)
    assert len(answers) == 10 and set(server.asked.values()) == {1}
    assert generator.report.asked == 8 and 0 < generator.report.spending.cost <= 2.0


def test_a_declined_job_is_one_sentence_and_frees_its_prompts(serve, tmp_path):
    server = serve()
    server.batch_faults["work"] = Reply(code="model_not_found", message="no such model for batches")
    with pytest.raises(ProviderStopError, match="no such model for batches"):
        run(tmp_path, make_requests(3))
    server.batch_faults.clear()
    answers, _ = run(tmp_path, make_requests(3))
    assert len(answers) == 3 and set(server.asked.values()) == {1}


def test_a_declined_job_whose_reason_repeats_the_key_does_not_show_it(serve, tmp_path):
    server = serve()
    server.batch_faults["work"] = Reply(code=f"no {KEY}", message=f"wrong\nkey {KEY}")
    with pytest.raises(ProviderStopError, match=r"\(no \*\*\*: wrong key \*\*\*\)") as caught:
        run(tmp_path, make_requests(3))
    assert KEY not in str(caught.value)


def live_run_pays(folder, requests):
    """Whether a live run is free to ask, and does."""
    return {a.status for a in make_dashscope(fast(folder)).generate(requests)} == {COMPLETE}


def test_a_refused_upload_leaves_no_prompt_locked(serve, tmp_path, monkeypatch):
    server = serve()
    with monkeypatch.context() as patch:
        patch.setenv("DASHSCOPE_API_KEY", "sk-of-another-region")
        with pytest.raises(ProviderStopError, match="401 .*prompts are free again"):
            run(tmp_path, make_requests(9), batch_lines=4)
    assert not server.files and list((tmp_path / "batches").iterdir()) == []
    assert live_run_pays(tmp_path, make_requests(9))


@pytest.mark.parametrize("list_too", [False, True])
def test_a_refused_create_leaves_no_prompt_locked(serve, tmp_path, list_too):
    server = serve()
    refusal = Reply(status=403, code="forbidden", message="batch is not activated")
    server.batch_faults = {"create": refusal, **({"list": refusal} if list_too else {})}
    with pytest.raises(ProviderStopError, match="not activated.*prompts are free again"):
        run(tmp_path, make_requests(9), batch_lines=4)
    assert not server.batches and list((tmp_path / "batches").iterdir()) == []
    assert live_run_pays(tmp_path, make_requests(9))


def test_what_is_refused_for_now_stays_remembered(serve, tmp_path):
    server = serve()
    server.batch_faults["create"] = Reply(status=429, code="limit", message="too many")
    with pytest.raises(ProviderStopError, match="try the same command later"):
        run(tmp_path, make_requests(3), tries=2)
    with pytest.raises(PendingBatchError):
        list(make_dashscope(fast(tmp_path)).generate(make_requests(3)))
    server.batch_faults.clear()
    answers, _ = run(tmp_path, make_requests(3))
    assert len(answers) == 3 and len(server.files) == 2  # one of requests, one of results


def crash_after_create(monkeypatch, folder, requests):
    create = Service.create

    def crashing(self, *arguments):
        create(self, *arguments)
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(Service, "create", crashing)
        with pytest.raises(Crash):
            run(folder, requests)


def test_a_job_that_may_have_been_created_is_found_before_a_refusal_counts(serve, tmp_path, monkeypatch):
    server = serve()
    crash_after_create(monkeypatch, tmp_path, make_requests(3))
    refusal = Reply(status=403, code="forbidden", message="not activated")
    server.batch_faults = {"create": refusal, "list": refusal}
    with pytest.raises(ProviderStopError, match="earlier try .* may have been paid"):
        run(tmp_path, make_requests(3))
    with pytest.raises(PendingBatchError):
        list(make_dashscope(fast(tmp_path)).generate(make_requests(3)))
    del server.batch_faults["list"]
    answers, _ = run(tmp_path, make_requests(3))
    assert len(answers) == 3 and len(server.batches) == 1 and set(server.asked.values()) == {1}


def test_a_crash_before_a_refused_create_leaves_no_prompt_locked(serve, tmp_path, monkeypatch):
    server = serve()
    crash_after_create(monkeypatch, tmp_path, make_requests(3))
    server.batches.clear()  # as if the crash had come before the vendor heard of it
    server.batch_faults["create"] = Reply(status=400, code="bad_file", message="gone")
    with pytest.raises(ProviderStopError, match="gone.*prompts are free again"):
        run(tmp_path, make_requests(3))
    assert live_run_pays(tmp_path, make_requests(3))


@pytest.mark.parametrize("lost", ["job", "results"])
def test_a_job_that_the_vendor_does_not_know_is_given_up_only_on_request(serve, tmp_path, monkeypatch, lost):
    server = serve(batch_seconds=3600)
    interrupt(monkeypatch, tmp_path, make_requests(3))
    if lost == "job":
        server.batches.clear()
    else:
        (batch,) = server.batches.values()
        batch.update(status="completed", output_file_id="deleted")
    for _ in range(2):
        with pytest.raises(ProviderStopError, match="another region or account") as caught:
            run(tmp_path, make_requests(3))
    assert "llm_base_url" not in str(caught.value) and not server.asked
    with pytest.raises(PendingBatchError):
        list(make_dashscope(fast(tmp_path)).generate(make_requests(3)))
    server.batch_seconds = 0
    Path(re.search(r"empty file (\S+) and", str(caught.value))[1]).touch()
    answers, _ = run(tmp_path, make_requests(3))
    assert {a.status for a in answers.values()} == {COMPLETE} and set(server.asked.values()) == {1}
    assert list((tmp_path / "batches").iterdir()) == []


@pytest.mark.parametrize(
    "proxy, advice",
    [
        pytest.param(
            "socks5://me:secret@127.0.0.1:1080", "socks",
            marks=pytest.mark.skipif(
                importlib.util.find_spec("socksio") is not None, reason="httpx can use SOCKS proxies here"
            ),
        ),
        ("socks://me:secret@127.0.0.1:1080", "http://host:port"),
        ("http://[::me:secret", "http://host:port"),
    ],
)  # fmt: skip
def test_a_proxy_that_cannot_be_used_is_one_sentence(serve, tmp_path, monkeypatch, proxy, advice):
    serve()
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(SettingError, match=f"ALL_PROXY.* cannot be used: .*{advice}") as caught:
        run(tmp_path, make_requests(3))
    assert "secret" not in str(caught.value) and caught.value.__suppress_context__


def test_an_unusable_address_or_certificate_file_is_one_sentence(serve, tmp_path, monkeypatch):
    serve()
    with monkeypatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
        with pytest.raises(SettingError, match="SSL_CERT_FILE"):
            run(tmp_path, make_requests(3))
    monkeypatch.setattr(dashscope, "base_compatible_api_url", "http://[::bad")
    with pytest.raises(SettingError, match="DASHSCOPE_COMPATIBLE_BASE_URL"):
        run(tmp_path, make_requests(3))


def test_arrears_and_a_wrong_key_stop_at_once(serve, tmp_path, monkeypatch):
    server = serve()
    server.batch_faults["create"] = Reply(status=400, code="Arrearage", message="settle your bill")
    with pytest.raises(ProviderStopError, match="settle your bill"):
        run(tmp_path, make_requests(3))
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-wrong")
    with pytest.raises(ProviderStopError) as caught:
        run(tmp_path / "other", make_requests(3))
    assert "sk-wrong" not in str(caught.value)


def test_an_expired_job_keeps_what_it_has_and_the_rest_goes_again(serve, tmp_path):
    server = serve(lambda p, n: Reply(drop=True) if n == 1 and "no 3-" in p else None)
    server.batch_faults["expire"] = True
    answers, _ = run(tmp_path, make_requests(8))
    assert {a.status for a in answers.values()} == {COMPLETE}
    assert sorted(server.asked.values()) == [1] * 7 + [2]


def test_max_users_and_max_cost_submit_what_is_allowed_and_resume(serve, tmp_path):
    server = serve()
    with pytest.raises(LimitReachedError, match="llm_max_users"):
        run(tmp_path, make_requests(10), max_users=4)
    assert len(server.asked) == 4
    prices = tmp_path / "prices.yaml"
    prices.write_text("china: {currency: CNY, models: {qwen-flash: {input: 100, output: 1000}}}\n")
    changes = {"prices_file": str(prices), "price_region": "china", "max_tokens": 500}
    with pytest.raises(LimitReachedError, match="llm_max_cost"):
        run(tmp_path / "b", make_requests(10), max_cost=0.6, **changes)
    assert 0 < server.asked.total() - 4 < 10
    answers, _ = run(tmp_path, make_requests(10))
    assert len(answers) == 10


def test_a_ceiling_that_was_enough_for_everybody_is_no_limit_reached(serve, tmp_path):
    """Several rounds: the dearest cost of all prompts is above the ceiling, what they really cost below."""
    server = serve()
    prices = tmp_path / "prices.yaml"
    prices.write_text("china: {currency: CNY, models: {qwen-flash: {input: 100, output: 1000}}}\n")
    changes = {"prices_file": str(prices), "price_region": "china", "max_cost": 2.0}
    answers, generator = run(tmp_path, make_requests(10), **changes)
    assert len(answers) == 10 and len(server.batches) > 1
    assert 0 < generator.report.spending.cost <= 2.0


def test_a_result_file_that_cannot_be_written_is_one_sentence_and_fetched_again(serve, tmp_path, monkeypatch):
    """A folder in the file's place stands for the disk that is full."""
    server = serve()
    download = Service.download

    def blocked(self, file_id, path):
        path.mkdir()
        try:
            download(self, file_id, path)
        finally:
            path.rmdir()

    with monkeypatch.context() as patch:
        patch.setattr(Service, "download", blocked)
        with pytest.raises(CacheError, match="result file .* cannot be written .*same command"):
            run(tmp_path, make_requests(5))
    answers, _ = run(tmp_path, make_requests(5))
    assert len(answers) == 5 and len(server.batches) == 1


@pytest.mark.parametrize("at_a_line", (False, True))
def test_a_result_file_that_is_cut_off_is_fetched_again_and_pays_nothing_twice(serve, tmp_path, at_a_line):
    server = serve()
    server.batch_faults |= {"cut": 1, "at_a_line": at_a_line}
    answers, _ = run(tmp_path / "once", make_requests(20))
    assert {answer.status for answer in answers.values()} == {COMPLETE} and len(server.batches) == 1
    server.batch_faults["cut"] = 2
    with pytest.raises(ProviderStopError, match="same command fetches them again"):
        run(tmp_path / "twice", make_requests(20))
    answers, _ = run(tmp_path / "twice", make_requests(20))
    assert len(answers) == 20 and len(server.batches) == 2 and set(server.answered.values()) == {2}


def test_a_wrong_count_does_not_hide_results_that_are_there(serve, tmp_path, monkeypatch):
    show = Service.show

    def miscounted(self, batch_id):
        return {**show(self, batch_id), "request_counts": {"total": 6, "completed": 6, "failed": 0}}

    server = serve()
    monkeypatch.setattr(Service, "show", miscounted)
    answers, _ = run(tmp_path, make_requests(5))
    assert {answer.status for answer in answers.values()} == {COMPLETE} and len(server.batches) == 1


def test_request_and_result_files_are_their_owners_alone(serve, tmp_path, monkeypatch):
    modes = {}

    def noting(owner, name):
        method = getattr(owner, name)

        def wrapped(self, *arguments):
            result = method(self, *arguments)
            for path in (tmp_path / "cache" / "batches").glob("*.*"):
                if path.suffix != ".lock":
                    modes[path.suffix] = path.stat().st_mode & 0o777
            return result

        monkeypatch.setattr(owner, name, wrapped)

    serve()
    noting(Service, "upload")
    noting(Service, "download")
    run(tmp_path / "cache", make_requests(3))
    assert modes == {".jsonl": 0o600, ".output_file_id": 0o600}
    assert (tmp_path / "cache" / "batches").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("step", ["/files", "/batches"])
def test_a_redirect_is_not_followed_and_names_its_target(serve, tmp_path, monkeypatch, step):
    import httpx

    server = serve()
    send = httpx.Client.send

    def redirecting(self, request, **options):
        response = send(self, request, **options)
        if request.url.path.endswith(step):
            response.status_code = 307
            response.headers["Location"] = "http://127.0.0.1:1/elsewhere"
        return response

    monkeypatch.setattr(httpx.Client, "send", redirecting)
    with pytest.raises(ProviderStopError, match="redirects .307. to http://127.0.0.1:1/elsewhere"):
        run(tmp_path, make_requests(3))
    assert not server.asked


def test_a_wait_of_a_day_while_polling_stops_and_the_job_is_remembered(serve, tmp_path, monkeypatch):
    import httpx

    server = serve()
    send = httpx.Client.send

    def busy(self, request, **options):
        response = send(self, request, **options)
        if "/batches/" in request.url.path:
            response.status_code = 429
            response.headers["Retry-After"] = "86400"
        return response

    with monkeypatch.context() as patch:
        patch.setattr(httpx.Client, "send", busy)
        with pytest.raises(ProviderStopError, match="batch service asks to wait 24 h .*llm_max_wait"):
            run(tmp_path, make_requests(3))
    answers, _ = run(tmp_path, make_requests(3))
    assert len(answers) == 3 and len(server.batches) == 1


def test_lines_that_are_no_results_are_left_out(serve, tmp_path, monkeypatch):
    from recbole_sam.llm.batch_service import Service

    download = Service.download

    def spoilt(self, file_id, path):
        download(self, file_id, path)
        odd = [
            b"[]",
            b"7",
            b"null",
            b'"x"',
            b'{"custom_id": []}',
            b'{"custom_id": {}}',
            b"\xff",
            b"[" * 9999,
            b"",
        ]
        path.write_bytes(b"\n".join([*odd, path.read_bytes()]))

    serve()
    monkeypatch.setattr(Service, "download", spoilt)
    answers, _ = run(tmp_path, make_requests(3))
    assert {answer.status for answer in answers.values()} == {COMPLETE}


def test_answers_without_usage_count_at_their_dearest(serve, tmp_path, monkeypatch):
    from servers import llm_server

    monkeypatch.setattr(llm_server, "_usage", lambda prompt, text: {"input_tokens": 0, "output_tokens": 0})
    serve()
    changes = {**dear(tmp_path), "max_cost": 100.0}
    _, generator = run(tmp_path, make_requests(3), **changes)
    spending = generator.report.spending
    assert spending.unreported == 3 and spending.unreported_cost > 3 * 0.25
    assert spending._reserved == pytest.approx(0)


def test_two_generators_at_once_wait_for_the_same_job(serve, tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    server = serve(batch_seconds=0.3)
    with ThreadPoolExecutor(2) as pool:
        one, two = (pool.submit(run, tmp_path, list(make_requests(20))) for _ in range(2))
        assert one.result()[0] == two.result()[0]
    assert set(server.asked.values()) == {1}


def test_the_key_is_in_no_file(serve, tmp_path):
    serve(lambda p, n: Reply(status=400, code=KEY, message=KEY) if "no 1-" in p else None)
    _, generator = run(tmp_path, make_requests(12), batch_lines=5)
    stored = b"".join(f.read_bytes() for f in tmp_path.rglob("*") if f.is_file())
    assert KEY.encode() not in stored
    told = [json.dumps(generator.fingerprint()), *generator.report.lines()]
    assert KEY not in "\n".join(told) and "***" in "\n".join(told)
    with AnswerCache(tmp_path) as cache:
        assert cache.count() == 11
