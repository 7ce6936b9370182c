"""SIGTERM, Ctrl-C and kill -9 in every command that works for long, at moments that chance picks."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from servers.llm_server import KEY, LLMServer

from recbole_sam.data.store import InterestStore
from recbole_sam.llm.answers import AnswerCache

QUICK = ["--text_encoder_dim=8", "--MAX_ITEM_LIST_LENGTH=8", "--show_progress=False", "--use_gpu=False"]
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -signal.SIGKILL}
SOON = [
    pytest.param(signal.SIGTERM, id="SIGTERM"),
    pytest.param(signal.SIGINT, id="SIGINT", marks=pytest.mark.slow),
]
EVER = [*SOON, pytest.param(signal.SIGKILL, id="SIGKILL", marks=pytest.mark.slow)]


def start(*words, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", "recbole_sam", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment}, start_new_session=True, text=True,
    )  # fmt: skip


def stop(process, number, when, most=90):
    """Sends a signal once something has happened; the exit code and what was said."""
    end = time.monotonic() + most
    while not when():
        assert process.poll() is None, process.communicate()[0][-3000:]
        assert time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(number)
    said = process.communicate(timeout=60)[0]
    assert "Traceback" not in said, said[-3000:]
    return process.returncode, said


@pytest.mark.parametrize("number", SOON)
def test_training_ends_with_a_sentence(shop, number):
    process = start("run", "--model=SASRec", "--dataset=shop", "--epochs=100000", *QUICK)
    code, said = stop(process, number, lambda: list(Path("saved").glob("SASRec-*.pth")))
    assert code == CODES[number] and said.rstrip().splitlines()[-1] in (
        "recbole-sam: terminated.", "recbole-sam: interrupted."
    )  # fmt: skip


@pytest.mark.parametrize("number", SOON)
def test_stage_1_keeps_every_answer_and_goes_on(shop, number):
    """What was answered before the signal is asked of nobody again."""
    with LLMServer(latency=0.3) as server:
        words = ["interests", "--dataset=shop", *QUICK, "--interest_generator=openai", "--llm_model=m",
                 "--llm_concurrency=2", "--llm_requests_per_minute=0"]  # fmt: skip
        given = {"OPENAI_API_KEY": KEY}
        words.append(f"--llm_base_url={server.compatible_url}")
        code, said = stop(start(*words, **given), number, lambda: sum(server.answered.values()) > 4)
        assert code == CODES[number] and "new answers are kept" in said
        with AnswerCache("saved/llm-cache") as cache:
            assert cache.count() == sum(server.answered.values())
        again = start(*words, **given)
        said = again.communicate(timeout=120)[0]
        assert again.returncode == 0, said[-3000:]
        assert set(server.asked.values()) == {1}
    [store] = shop.glob("*.interests-openai-*.safetensors")
    assert InterestStore.open(store).n_users == 40


@pytest.mark.parametrize("number", EVER)
def test_prepare_leaves_no_half_of_a_dataset(tmp_path, number):
    table = tmp_path / "log.csv"
    rows = (f"u{n % 5000},i{n % 700},{n}\n" for n in range(1_500_000))
    table.write_text("user_id,item_id,timestamp\n" + "".join(rows))
    process = start("prepare", "--dataset=mine", f"--interactions={table}")
    folder = tmp_path / "dataset"
    delay = random.Random(number).random()

    def works():
        if folder.is_dir() and list(folder.glob(".mine.*.partial")):
            time.sleep(delay)
            return True
        return False

    code, _ = stop(process, number, works)
    assert code == CODES[number] and not (folder / "mine").exists()
    left = list(folder.glob(".mine.*"))
    assert not left if number != signal.SIGKILL else len(left) == 1


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_distributed_training_ends_all_its_processes(shop, free_port, number):
    process = start("run", "--model=SASRec", "--dataset=shop", "--epochs=100000", "--nproc=2",
                    f"--port={free_port}", *QUICK)  # fmt: skip
    code, _ = stop(process, number, lambda: list(Path("saved").glob("SASRec-*.pth")), most=200)
    assert code == CODES[number]
    end = time.monotonic() + 20  # on a busy machine a process takes a while to end
    while alive := subprocess.run(["pgrep", "-a", "-g", str(process.pid)], capture_output=True).stdout:
        assert time.monotonic() < end, alive
        time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_whole_run_can_be_stopped_anywhere_and_started_again(shop, number, seed):
    """Whatever the moment, the same command then gives the same files as one that nothing happened to."""
    words = ["run", "--model=SAM", "--dataset=shop", "--epochs=1", *QUICK]
    process = start(*words)
    delay = random.Random(seed).uniform(4, 9)
    try:
        said = process.communicate(timeout=delay)[0]
    except subprocess.TimeoutExpired:
        process.send_signal(number)
        said = process.communicate(timeout=60)[0]
    assert "Traceback" not in said
    again = start(*words)
    said = again.communicate(timeout=120)[0]
    assert again.returncode == 0 and "test result" in said, said[-3000:]
    (interests,) = shop.glob("*.interests-*.safetensors")
    InterestStore.open(interests)
    assert len(list(shop.glob("*.safetensors"))) == 2
    assert number == signal.SIGKILL or not list(shop.glob(".*.tmp"))
