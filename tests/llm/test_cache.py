"""The answer cache: durable, exclusive, and nothing in it that should not be."""

import os
import signal
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest
from llm_helpers import claim_and_wait, fresh_processes

from recbole_sam.llm.answers import FILE_NAME, MINE, THEIRS, AnswerCache, AskedOf, CachedAnswer
from recbole_sam.llm.failures import CacheError

ASKED = AskedOf("dashscope", "qwen-flash", {"temperature": 0.3}, "interests/1")
ANSWER = CachedAnswer("hair care\nnails", False, 120, 9)


def test_an_answer_is_on_disk_once_its_future_is_done(tmp_path):
    key = ASKED.key("prompt")
    with AnswerCache(tmp_path) as cache:
        assert cache.claim(key).result() == MINE
        cache.store(key, ASKED, ANSWER).result()
        other = sqlite3.connect(tmp_path / FILE_NAME)
        assert other.execute("SELECT text FROM answers").fetchall() == [(ANSWER.text,)]
        other.close()
    with AnswerCache(tmp_path) as cache:
        assert cache.get(key) == ANSWER and cache.claim(key).result() == ANSWER
        assert cache.count() == 1


def test_a_stored_answer_never_changes(tmp_path):
    with AnswerCache(tmp_path) as cache:
        cache.store("k", ASKED, ANSWER).result()
        cache.store("k", ASKED, ANSWER._replace(text="other")).result()
        assert cache.get("k") == ANSWER


def test_everything_that_shapes_an_answer_is_in_the_key():
    keys = {
        ASKED.key("prompt"),
        ASKED.key("prompt "),
        ASKED._replace(provider="openai").key("prompt"),
        ASKED._replace(model="qwen-turbo").key("prompt"),
        ASKED._replace(parameters={"temperature": 0.4}).key("prompt"),
        ASKED._replace(parameters={"temperature": 0.3, "top_p": 0.8}).key("prompt"),
        ASKED._replace(prompt_version="interests/2").key("prompt"),
    }
    assert len(keys) == 7 and all(len(key) == 64 for key in keys)
    assert ASKED._replace(parameters={"b": 1, "a": 2}).key("p") == ASKED._replace(
        parameters={"a": 2, "b": 1}
    ).key("p")


def test_a_claim_keeps_others_out_until_it_is_answered_or_released(tmp_path):
    with AnswerCache(tmp_path) as ours, AnswerCache(tmp_path) as theirs:
        assert ours.claim("k").result() == MINE
        assert theirs.claim("k").result() == THEIRS
        assert ours.claim("k").result() == MINE
        ours.release("k").result()
        assert theirs.claim("k").result() == MINE
        theirs.store("k", ASKED, ANSWER).result()
        assert ours.claim("k").result() == ANSWER


def test_closing_gives_up_the_claims(tmp_path):
    with AnswerCache(tmp_path) as ours:
        with AnswerCache(tmp_path) as theirs:
            assert theirs.claim("k").result() == MINE
        assert ours.claim("k").result() == MINE


def test_the_claims_of_a_killed_process_are_free_at_once(tmp_path):
    processes = fresh_processes()
    told = processes.SimpleQueue()
    process = processes.Process(target=claim_and_wait, args=(tmp_path, "k", told))
    process.start()
    assert told.get() == MINE
    with AnswerCache(tmp_path) as cache:
        assert cache.claim("k").result() == THEIRS
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert cache.claim("k").result() == MINE
    assert list((tmp_path / "owners").iterdir()) == []


def test_what_killed_processes_left_behind_is_swept_up(tmp_path):
    AnswerCache(tmp_path).close()
    old, young = tmp_path / "owners" / "old.lock", tmp_path / "owners" / "young.lock"
    for path in (old, young):
        path.touch()
    os.utime(old, (1e9, 1e9))
    with AnswerCache(tmp_path) as living:
        os.utime(tmp_path / "owners" / f"{living.owner}.lock", (1e9, 1e9))
        with AnswerCache(tmp_path):
            assert not old.exists() and young.exists()
            assert (tmp_path / "owners" / f"{living.owner}.lock").exists()


def test_many_threads_and_two_caches_claim_each_key_once(tmp_path):
    with AnswerCache(tmp_path) as one, AnswerCache(tmp_path) as two:
        keys = [f"k{i}" for i in range(200)]

        def grab(cache):
            return sum(cache.claim(key).result() == MINE for key in keys)

        with ThreadPoolExecutor(2) as pool:
            assert sum(pool.map(grab, [one, two])) == len(keys)


@pytest.mark.parametrize("content", [b"not a database at all " * 50, b"SQLite format 3\0broken" * 9])
def test_a_broken_cache_file_is_one_sentence(tmp_path, content):
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(CacheError, match="llm_cache_dir"):
        AnswerCache(tmp_path)


def test_a_cache_of_another_version_is_refused(tmp_path):
    AnswerCache(tmp_path).close()
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(CacheError, match="format 99"):
        AnswerCache(tmp_path)


def test_a_folder_that_is_a_file_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(CacheError, match="llm_cache_dir"):
        AnswerCache(tmp_path / "file")


def test_a_failing_write_reaches_whoever_waits(tmp_path):
    def broken(cache, connection):
        connection.execute("INSERT INTO nowhere VALUES (1)")

    with AnswerCache(tmp_path) as cache:
        with pytest.raises(CacheError, match="nowhere"):
            cache.call(broken).result(timeout=10)
        cache.store("k", ASKED, ANSWER).result(timeout=10)  # and the cache goes on
        assert cache.get("k") == ANSWER
    with pytest.raises(CacheError, match="closed"):
        cache.claim("k2")


UNKEEPABLE = {
    "a number above 2**63": ANSWER._replace(input_tokens=2**63),
    "half a surrogate pair": ANSWER._replace(text="\ud800"),
    "another type": ANSWER._replace(text=["a", "list"]),
    "nothing": ANSWER._replace(text=None),
}


@pytest.mark.parametrize("case", UNKEEPABLE)
def test_what_cannot_be_kept_fails_alone_and_the_writer_goes_on(tmp_path, case):
    with AnswerCache(tmp_path) as cache:
        with sqlite3.connect(tmp_path / FILE_NAME) as blocker:  # so that the three share a transaction
            blocker.execute("BEGIN IMMEDIATE")
            first = cache.store("a", ASKED, ANSWER)
            bad = cache.store("b", ASKED, UNKEEPABLE[case])
            last = cache.store("c", ASKED, ANSWER)
            blocker.execute("ROLLBACK")
        first.result(timeout=10)
        last.result(timeout=10)
        with pytest.raises(CacheError, match="cannot be kept in the answer cache.*same command"):
            bad.result(timeout=10)
        assert cache.get("a") == cache.get("c") == ANSWER and cache.get("b") is None
        assert cache.claim("d").result(timeout=10) == MINE


@pytest.mark.parametrize("error", [ValueError, OverflowError, KeyError, RecursionError, MemoryError])
def test_any_error_of_an_operation_reaches_its_future(tmp_path, error):
    def broken(cache, connection):
        raise error("odd")

    with AnswerCache(tmp_path) as cache:
        with pytest.raises(CacheError, match=f"{error.__name__}.*odd"):
            cache.call(broken).result(timeout=10)
        assert cache.claim("k").result(timeout=10) == MINE


def test_when_the_writing_thread_ends_nobody_waits_for_it(tmp_path):
    def deadly(cache, connection):
        raise SystemExit("gone")

    with AnswerCache(tmp_path) as cache:
        with pytest.raises(CacheError, match="writing thread ended"):
            cache.call(deadly).result(timeout=10)
        cache._thread.join(10)
        with pytest.raises(CacheError, match="SystemExit: gone"):
            cache.claim("k")


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no such permissions here")
def test_the_cache_is_its_owners_alone(tmp_path):
    def mode(path):
        return path.stat().st_mode & 0o777

    folder = tmp_path / "saved" / "cache"
    with AnswerCache(folder) as cache:
        cache.store("k", ASKED, ANSWER).result()
        assert mode(folder) == mode(folder / "owners") == 0o700
        assert {mode(path) for path in folder.glob("answers*")} == {0o600}
        assert len(list(folder.glob("answers*"))) == 3  # with its log and index
    (folder / FILE_NAME).chmod(0o644)  # as earlier versions made it
    AnswerCache(folder).close()
    assert mode(folder / FILE_NAME) == 0o600
    (folder / FILE_NAME).chmod(0o664)  # shared with a group on purpose
    AnswerCache(folder).close()
    assert mode(folder / FILE_NAME) == 0o664
