"""kill -9 at any point, two processes at once: nothing is paid twice, the store is the same."""

import os
import random
import signal
import time

import pytest
from llm_helpers import build_store, fresh_processes
from servers.llm_server import LLMServer

from recbole_sam.llm.answers import AnswerCache

pytest.importorskip("dashscope")

USERS = 150
LATENCY = 0.02


@pytest.fixture(scope="module")
def processes():
    return fresh_processes()


@pytest.fixture(scope="module")
def undisturbed(processes, tmp_path_factory):
    """The store of a run that nothing happened to, as bytes."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with LLMServer() as server:
        process = processes.Process(
            target=build_store,
            args=(server.dashscope_url, folder / "cache", USERS, folder / "store.safetensors"),
        )
        process.start()
        finish(process)
        assert set(server.asked.values()) == {1}
    return files_of(folder, "store")


def files_of(folder, prefix):
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.name.startswith(prefix)}


def wait_for(condition, seconds=60):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


def finish(process, seconds=120):
    process.join(seconds)
    assert process.exitcode == 0


def test_kill_9_at_quiet_moments_pays_for_no_prompt_twice(processes, tmp_path, undisturbed):
    """Quiet: the server sends nothing for a moment, so no answer is on the wire."""
    chance = random.Random(1)
    store = tmp_path / "store.safetensors"
    with LLMServer(latency=LATENCY) as server:
        arguments = (server.dashscope_url, tmp_path / "cache", USERS, store)
        for number in range(4):
            before = sum(server.answered.values())
            process = processes.Process(target=build_store, args=arguments)
            process.start()
            goal = before + chance.randint(1, 30)
            wait_for(lambda goal=goal: sum(server.answered.values()) >= goal)
            server.hold = True
            with AnswerCache(tmp_path / "cache") as cache:
                # what was on the wire has arrived
                wait_for(lambda cache=cache: cache.count() == len(server.answered))
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            wait_for(lambda: server.running == 0)
            server.hold = False
            assert not store.exists(), number
        process = processes.Process(target=build_store, args=arguments)
        process.start()
        finish(process)
        assert set(server.answered.values()) == {1}
        # asked but never answered: only what was in flight when it was killed
        assert sum(server.asked.values()) <= len(server.asked) + 4 * 8
    assert files_of(tmp_path, "store") == undisturbed


def test_kill_9_at_any_moment_asks_nothing_again_that_was_received(processes, tmp_path, undisturbed):
    chance = random.Random(2)
    store = tmp_path / "store.safetensors"
    kept = {}
    with LLMServer(latency=LATENCY) as server:
        arguments = (server.dashscope_url, tmp_path / "cache", USERS, store)
        for _ in range(4):
            before = sum(server.asked.values())
            process = processes.Process(target=build_store, args=arguments)
            process.start()
            wait_for(lambda before=before: sum(server.asked.values()) > before)
            time.sleep(chance.uniform(0, 0.15))
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            time.sleep(0.05)
            with AnswerCache(tmp_path / "cache") as cache:
                for prompt in server.asked:
                    if cache.get(key_of(prompt)) is not None:
                        kept.setdefault(prompt, server.asked[prompt])
        process = processes.Process(target=build_store, args=arguments)
        process.start()
        finish(process)
        assert len(kept) > 8
        assert {p: server.asked[p] for p in kept} == kept
        # twice answered: at most what was on the wire in the moment of a kill
        assert sum(server.answered.values()) <= len(server.answered) + 4 * 8
    assert files_of(tmp_path, "store") == undisturbed


def key_of(prompt):
    from llm_helpers import fast

    from recbole_sam.generators.prompts import prompt_of
    from recbole_sam.llm.dashscope import asked_of_dashscope

    settings = fast("unused")
    return asked_of_dashscope(settings, prompt_of(settings)).key(prompt)


def test_two_processes_at_once_share_the_work_and_pay_once(processes, tmp_path, undisturbed):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with LLMServer(latency=LATENCY) as server:
        both = [
            processes.Process(
                target=build_store,
                args=(
                    server.dashscope_url,
                    tmp_path / "cache",
                    USERS,
                    tmp_path / name / "store.safetensors",
                ),
            )
            for name in "ab"
        ]
        for process in both:
            process.start()
        for process in both:
            finish(process)
        assert len(server.asked) == USERS and set(server.asked.values()) == {1}
    assert files_of(tmp_path / "a", "store") == files_of(tmp_path / "b", "store") == undisturbed


def test_one_of_two_processes_is_killed_and_the_other_ends_the_work(processes, tmp_path, undisturbed):
    with LLMServer(latency=LATENCY) as server:
        url, cache = server.dashscope_url, tmp_path / "cache"
        victim = processes.Process(
            target=build_store, args=(url, cache, USERS, tmp_path / "victim.safetensors")
        )
        other = processes.Process(
            target=build_store, args=(url, cache, USERS, tmp_path / "store.safetensors")
        )
        victim.start()
        other.start()
        wait_for(lambda: sum(server.answered.values()) >= 30)
        os.kill(victim.pid, signal.SIGKILL)
        victim.join()
        finish(other)
        assert sum(server.answered.values()) <= USERS + 8
    assert files_of(tmp_path, "store") == undisturbed
