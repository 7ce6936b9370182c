"""Whatever dies in a run (a task, a thread, the writer) ends it in a sentence; what came before is kept."""

import asyncio
import json
import threading

import pytest
from llm_helpers import fast, make_requests
from servers.llm_server import KEY, LLMServer, Reply

from recbole_sam.errors import RecBoleSAMError
from recbole_sam.generators import live
from recbole_sam.generators.by_name import make_openai
from recbole_sam.generators.live import ServedGenerator
from recbole_sam.llm import answers as caches
from recbole_sam.llm.answers import AnswerCache, AskedOf, CachedAnswer
from recbole_sam.llm.failures import BrokenRunError, CacheError, ProviderStopError

pytest.importorskip("httpx")


class Client:
    """A ChatClient that answers until it has to break.

    Args:
        error (BaseException): raised by the call ``at``.
        at (int): from 1; 0 for ``open``.
    """

    asked_of = AskedOf("test", "m", {}, "interests/1")

    def __init__(self, error, at=5):
        self.error, self.at, self.calls = error, at, 0

    async def open(self):
        if self.at == 0:
            raise self.error

    async def close(self):
        pass

    async def ask(self, prompt):
        self.calls += 1
        mine = self.calls
        await asyncio.sleep(0.01)
        if mine == self.at:
            raise self.error
        return CachedAnswer("steel tools\nred paper\nblue glass", False, 10, 9)


def in_time(function, seconds=20):
    """What a function raises, in another thread, so that a hang is a failure and not for ever."""
    found = []

    def run():
        try:
            function()
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), "it hangs"
    return found[0] if found else None


ODD = [
    ValueError("odd"), OverflowError("Python int too large"), TypeError("odd"), KeyError("odd"),
        RuntimeError("odd"),
    MemoryError(), RecursionError("deep"), UnicodeEncodeError("utf-8", "\ud800", 0, 1, "odd"),
        asyncio.CancelledError(),
    AssertionError("odd"), StopAsyncIteration(), OSError(28, "No space left"), SystemExit("odd"),
        GeneratorExit(),
]  # fmt: skip


@pytest.mark.parametrize("error", ODD, ids=lambda error: type(error).__name__)
def test_a_task_that_dies_ends_the_run_and_keeps_the_answers(tmp_path, error):
    client = Client(error)
    generator = ServedGenerator("test", client, fast(tmp_path, concurrency=2))
    found = in_time(lambda: list(generator.generate(make_requests(40))))
    assert isinstance(found, BrokenRunError) and type(error).__name__ in str(found)
    assert "same command again" in str(found) and "\n" not in str(found) and found.__cause__ is not None
    with AnswerCache(tmp_path) as cache:
        assert 4 <= cache.count() <= client.calls
    assert not [thread for thread in threading.enumerate() if thread.name == "llm-calls"]


def test_what_breaks_before_the_first_call_is_a_sentence(tmp_path):
    generator = ServedGenerator("test", Client(ValueError("odd"), at=0), fast(tmp_path))
    found = in_time(lambda: list(generator.generate(make_requests(3))))
    assert isinstance(found, BrokenRunError) and "Getting ready" in str(found)


@pytest.mark.parametrize("step", ["exchange", "usage"])
def test_a_fault_of_ours_between_the_calls_is_a_sentence(tmp_path, monkeypatch, step):
    def broken(*arguments):
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(live, step, broken)
    generator = ServedGenerator("test", Client(None, at=-1), fast(tmp_path))
    found = in_time(lambda: list(generator.generate(make_requests(3))))
    assert isinstance(found, BrokenRunError) and "ZeroDivisionError: ours" in str(found)


def test_a_writing_thread_that_dies_ends_the_run(tmp_path, monkeypatch):
    store, stored = caches._store, []

    def deadly(cache, connection, key, asked_of, answer):
        stored.append(key)
        if len(stored) == 5:
            raise SystemExit("gone")
        store(cache, connection, key, asked_of, answer)

    monkeypatch.setattr(caches, "_store", deadly)
    generator = ServedGenerator("test", Client(None, at=-1), fast(tmp_path, concurrency=2))
    assert isinstance(in_time(lambda: list(generator.generate(make_requests(40)))), RecBoleSAMError)
    monkeypatch.undo()
    with AnswerCache(tmp_path) as cache:
        assert cache.count() >= 2


@pytest.mark.parametrize("count", [2**63, 2**64, 10**400, -1, 1e300, True, "9", None, [1]])
def test_a_count_of_tokens_that_is_none_costs_no_answer(tmp_path, monkeypatch, count):
    body = {
        "choices": [{"message": {"content": "combs\nsoap\nrazors"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": count, "completion_tokens": count},
    }
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with LLMServer(lambda p, n: Reply(body=json.dumps(body).encode())) as server:
        generator = make_openai(fast(tmp_path, model="m", base_url=server.compatible_url))
        answers = []
        assert in_time(lambda: answers.extend(generator.generate(make_requests(6)))) is None
        assert len(answers) == 6 and generator.report.spending.unreported == 6
        assert generator.report.spending.input_tokens == 0


def test_one_answer_that_cannot_be_kept_does_not_take_the_others_with_it(tmp_path):
    client = Client(None, at=-1)
    ask = client.ask

    async def odd(prompt):
        answer = await ask(prompt)
        return answer._replace(input_tokens=2**63) if "no 7-" in prompt else answer

    client.ask = odd
    generator = ServedGenerator("test", client, fast(tmp_path, concurrency=4))
    found = in_time(lambda: list(generator.generate(make_requests(40))))
    assert isinstance(found, CacheError) and "cannot be kept" in str(found)
    with AnswerCache(tmp_path) as cache:
        assert cache.count() == client.calls - 1


def test_a_wait_of_a_day_stops_the_run_and_one_of_a_minute_is_told(tmp_path, monkeypatch, caplog):
    caplog.set_level("WARNING")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    waits = {"no 3-": "86400"}

    def script(prompt, attempt):
        wait = next((wait for word, wait in waits.items() if word in prompt), None)
        return (
            wait
            and attempt == 1
            and Reply(status=429, code="quota", message="slow", headers={"Retry-After": wait})
        )

    with LLMServer(script) as server:
        settings = {"model": "m", "base_url": server.compatible_url, "concurrency": 1}
        found = in_time(lambda: list(make_openai(fast(tmp_path, **settings)).generate(make_requests(9))))
        assert isinstance(found, ProviderStopError)
        assert "asks to wait 24 h (throttled (429 quota: slow)), and llm_max_wait allows 10" in str(found)
        with AnswerCache(tmp_path) as cache:
            assert cache.count() == 3
        waits["no 3-"] = "0.3"
        monkeypatch.setattr("recbole_sam.llm.throttle.LOGGED_SECONDS", 0.2)
        server.asked.clear()
        assert (
            in_time(lambda: list(make_openai(fast(tmp_path, **settings)).generate(make_requests(9)))) is None
        )
        told = [record.getMessage() for record in caplog.records]
        assert told == ["The provider asks to wait 0 s (throttled (429 quota: slow)); waiting"]


def test_a_local_model_that_runs_out_of_memory_says_which_setting(tmp_path):
    from recbole_sam.errors import SettingError
    from recbole_sam.generators.local import _unanswered

    settings = fast(tmp_path, batch_size=512)
    for error in (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), MemoryError()):
        told = _unanswered(error, settings, 512, tmp_path)
        assert isinstance(told, SettingError) and "llm_batch_size=512" in str(told)
    assert isinstance(_unanswered(ValueError("odd"), settings, 2, tmp_path), BrokenRunError)


@pytest.mark.parametrize("foreseen", [True, False])
def test_a_process_on_a_cluster_gives_back_a_sentence_and_what_was_answered(tmp_path, foreseen):
    """Without Ray: what its driver is given, and makes of it."""
    from recbole_sam.generators.on_ray import Worker, named_error

    class Odd(ServedGenerator):
        def generate(self, requests):
            for answer in super().generate(requests):
                yield answer
                if not foreseen and self.report.users == 3:
                    raise ZeroDivisionError("ours")

    client = Client(ValueError("odd") if foreseen else None, at=5 if foreseen else -1)
    worker = Worker(lambda settings: Odd("test", client, settings), fast(tmp_path, concurrency=2))
    answers, rows, counts, error = worker.answer(list(make_requests(12)), [])
    told = named_error(*error)
    said = "odd" if foreseen else "ZeroDivisionError: ours"
    assert isinstance(told, BrokenRunError) and said in str(told)
    assert len(rows) >= len(answers) > 0 and counts["asked"] == len(rows)
