"""The Ray engine on a local instance: two workers, one of them killed midway."""

import os
import shutil
import signal
import sys
import threading
import time
from dataclasses import replace

import pytest
from llm_helpers import Elsewhere, fast, make_requests
from servers.llm_server import KEY, LLMServer, Reply

from recbole_sam.errors import SettingError
from recbole_sam.generators.on_ray import Make, RayGenerator, make_ray
from recbole_sam.llm.answers import AnswerCache
from recbole_sam.llm.failures import (
    InterruptedRunError,
    LimitReachedError,
    ProviderStopError,
    TooManyFailuresError,
)

pytest.importorskip("httpx")
try:
    import ray
except ImportError as error:
    pytest.skip(f"no working Ray here: {error}", allow_module_level=True)
if not hasattr(ray, "init"):
    pytest.skip("Ray is not installed", allow_module_level=True)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster():
    """A local Ray instance of two processes that find this project's modules."""
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "RAY_TEST_KEY": KEY}
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value


def settings_of(server, folder, **changes):
    given = {"model": "tiny", "base_url": server.compatible_url, "ray_block": 10}
    return fast(folder, api_key_env="RAY_TEST_KEY", **{**given, **changes})


def by_user(answers):
    return {answer.user: answer for answer in answers}


def test_the_answers_are_those_of_the_local_engine(cluster, tmp_path):
    requests = list(make_requests(60, k=3))
    script = lambda prompt, n: (  # noqa: E731
        Reply(text="one only") if "no 7-" in prompt and "already answered" not in prompt else None
    )
    with LLMServer(script) as server:
        local = by_user(Make("openai")(settings_of(server, tmp_path / "l")).generate(requests))
        spread = make_ray("openai", settings_of(server, tmp_path / "r"))
        assert by_user(spread.generate(requests)) == local
        assert set(server.asked.values()) == {2}  # once by either engine
        assert spread.report.asked == 61 and spread.report.users == 60
        assert spread.fingerprint() == Make("openai")(settings_of(server, tmp_path)).fingerprint()
        again = make_ray("openai", settings_of(server, tmp_path / "r"))
        assert by_user(again.generate(requests)) == local and again.report.asked == 0
        assert set(server.asked.values()) == {2}


def test_the_drivers_cache_is_enough_to_go_on(cluster, tmp_path):
    """As if each block now went to another machine: the workers' caches are gone."""
    requests = list(make_requests(40))
    with LLMServer() as server:
        settings = settings_of(server, tmp_path / "driver")
        make = Elsewhere("openai", tmp_path / "worker")
        spread = RayGenerator(make(settings), replace(settings, max_users=20), make)
        with pytest.raises(LimitReachedError, match="llm_max_users .20.: 20 new answers"):
            list(spread.generate(requests))
        assert len(server.asked) == 20
        shutil.rmtree(tmp_path / "worker")
        spread = RayGenerator(make(settings), settings, make)
        assert len(list(spread.generate(requests))) == 40
        assert set(server.asked.values()) == {1}


def test_a_worker_that_is_killed_midway_is_restarted_and_nothing_received_is_lost(
    cluster, tmp_path, monkeypatch
):
    from recbole_sam.generators import on_ray

    requests = list(make_requests(200))
    seen = []
    start = on_ray.start_workers

    def remembering(*arguments):
        workers = start(*arguments)
        seen.extend(ray.get([worker.process.remote() for worker in workers]))
        return workers

    monkeypatch.setattr(on_ray, "start_workers", remembering)
    with LLMServer(latency=0.05) as server:
        local = by_user(Make("openai")(settings_of(server, tmp_path / "l")).generate(requests))
        before = sum(server.answered.values())
        spread = make_ray("openai", settings_of(server, tmp_path / "r"))

        def kill():
            while sum(server.answered.values()) < before + 40:
                time.sleep(0.01)
            server.hold = True
            with AnswerCache(tmp_path / "r") as cache:
                while cache.count() < sum(server.answered.values()) - before:
                    time.sleep(0.01)  # what was on the wire arrives
            running = server.running
            os.kill(seen[0], signal.SIGKILL)
            while server.running == running:
                time.sleep(0.01)
            time.sleep(0.2)
            server.hold = False

        killer = threading.Thread(target=kill)
        killer.start()
        assert by_user(spread.generate(requests)) == local
        killer.join()
        assert len(set(seen)) == 2
        assert set(server.answered.values()) == {2}  # once by either engine


def test_errors_of_the_workers_are_our_sentences(cluster, tmp_path):
    with LLMServer(lambda p, n: Reply(status=404, code="model_not_found", message="x")) as server:
        with pytest.raises(ProviderStopError, match="model_not_found"):
            list(make_ray("openai", settings_of(server, tmp_path)).generate(make_requests(30)))
    with LLMServer(lambda p, n: Reply(status=500, code="bad")) as server:
        with pytest.raises(TooManyFailuresError, match="500 bad"):
            settings = settings_of(server, tmp_path / "f", tries=1)
            list(make_ray("openai", settings).generate(make_requests(30)))


def test_what_other_blocks_were_answered_is_kept_when_one_ends_the_run(cluster, tmp_path, caplog):
    """One block is told that there is no credit while the other has calls in flight; the workers' caches
    are then gone, as if each block now went to another machine."""
    requests = list(make_requests(20))
    credit = False

    def script(prompt, attempt):
        if "no 0-" in prompt and not credit:
            return Reply(status=402, code="credit", message="none left")
        return Reply(delay=0.5)

    with LLMServer(script) as server:
        settings = settings_of(server, tmp_path / "driver", concurrency=4)
        make = Elsewhere("openai", tmp_path / "worker")
        with pytest.raises(ProviderStopError, match="none left"):
            list(RayGenerator(make(settings), settings, make).generate(requests))
        assert not caplog.records
        assert 0 < server.answered.total() < 18
        with AnswerCache(tmp_path / "driver") as cache:
            assert cache.count() == server.answered.total()
        shutil.rmtree(tmp_path / "worker")
        credit = True
        assert len(list(RayGenerator(make(settings), settings, make).generate(requests))) == 20
        assert set(server.answered.values()) == {1}


def test_ctrl_c_lets_the_workers_finish_their_calls_and_keeps_the_answers(cluster, tmp_path):
    requests = list(make_requests(80))
    with LLMServer(latency=0.2) as server:
        settings = settings_of(server, tmp_path / "driver", concurrency=4, ray_block=20)
        make = Elsewhere("openai", tmp_path / "worker")

        def press():
            while server.answered.total() < 6:
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGINT)

        finger = threading.Thread(target=press)
        finger.start()
        with pytest.raises(InterruptedRunError) as caught:
            list(RayGenerator(make(settings), settings, make).generate(requests))
        finger.join()
        answered = server.answered.total()
        assert f"{answered} new answers are kept" in str(caught.value) and answered < 40
        assert server.asked == server.answered  # nothing was cut off
        shutil.rmtree(tmp_path / "worker")
        assert len(list(RayGenerator(make(settings), settings, make).generate(requests))) == 80
        assert set(server.asked.values()) == {1}


def test_what_does_not_go_with_ray_is_refused(tmp_path):
    settings = fast(tmp_path, model="m")
    for name in ("extractive", "dashscope-batch"):
        with pytest.raises(SettingError, match=name):
            make_ray(name, settings)
    generator = Make("openai")(settings)
    with pytest.raises(SettingError, match="llm_max_cost"):
        RayGenerator(generator, replace(settings, max_cost=1.0), Make("openai"))
