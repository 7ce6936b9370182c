import json
import resource
import subprocess
import sys

import pytest
from conftest import make_config
from servers.llm_server import KEY, Reply

from recbole_sam.data import store_location
from recbole_sam.errors import StoreError
from recbole_sam.generators.run_report import RunReport
from recbole_sam.interests import ledger, stage1
from recbole_sam.llm.failures import LimitReachedError
from recbole_sam.llm.prices import Price, Spending


def report(price, answers, used_input, used_output):
    made = RunReport(Spending(price, None, 500))
    made.asked = answers
    made.spending.settle(0, used_input, used_output)
    return made


def test_runs_add_up(tmp_path):
    store = tmp_path / "folder" / "shop.interests-dashscope-lsa-1.safetensors"
    assert ledger.total(store) is None
    price = Price(0.3, 0.6, "CNY", "a test")
    first, second = report(price, 10, 1000, 500), report(price, 5, 400, 100)
    ledger.record(store, first)
    ledger.record(store, second)
    assert ledger.total(store) == f"{first.spending.cost + second.spending.cost:,.4f} CNY (15 answers)"
    assert first.spending.cost > second.spending.cost > 0
    lines = [json.loads(line) for line in ledger.ledger_file(store).read_text().splitlines()]
    assert [line["input_tokens"] for line in lines] == [1000, 400]


def test_what_came_since_the_last_time_is_noted(tmp_path):
    store, price = tmp_path / "a.safetensors", Price(1.0, 1.0, "CNY", "a test")
    run = report(price, 10, 10**6, 0)
    told = ledger.record(store, run)
    assert ledger.record(store, run, told) == told  # nothing new, no line
    run.asked += 5
    run.spending.settle(0, 10**6, 10**6)
    run.spending.settle_unreported(100)
    ledger.record(store, run, told)
    assert ledger.total(store) == "3.0000 CNY (15 answers; 1 call of unknown cost)"
    assert len(ledger.ledger_file(store).read_text().splitlines()) == 2


def test_lines_of_any_shape_are_counted_as_unreadable(tmp_path):
    store = tmp_path / "a.safetensors"
    ledger.record(store, report(Price(1.0, 1.0, "CNY", "a test"), 10, 10**6, 0))
    assert ledger.ledger_file(store).stat().st_mode & 0o777 == 0o600
    odd = ["[" * 100_000, "3", "null", "[]", "{}",
           '{"answers": "x", "cost": 1, "currency": "CNY"}',
           '{"answers": 1, "cost": "much", "currency": "CNY"}',
           '{"answers": 1, "cost": [1], "currency": "CNY"}',
           '{"answers": 1e999, "cost": 1, "currency": "CNY"}']  # fmt: skip
    with open(ledger.ledger_file(store), "a") as file:
        file.write("\n".join(odd) + "\n")
    assert ledger.total(store) == f"1.0000 CNY (10 answers; {len(odd)} lines cannot be read)"


def test_a_ledger_that_may_not_be_read_is_one_sentence(tmp_path, monkeypatch):
    store = tmp_path / "a.safetensors"
    ledger.ledger_file(store).write_text("{}")

    def forbidden(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(store), "read_text", forbidden)
    with pytest.raises(StoreError, match="spent.jsonl, which holds what was paid, cannot be read"):
        ledger.total(store)


def test_a_run_that_is_killed_has_noted_what_it_paid_so_far(shop, served, monkeypatch):
    monkeypatch.setattr(ledger, "EVERY", 5)
    server, given = served
    config = make_config(**given)
    path, killed = store_location.path(config), []

    def wait(self, requests, real=ledger.Noted.generate):
        for number, answer in enumerate(real(self, requests), 1):
            yield answer
            if number == 30:
                killed.append(ledger.total(path))  # what a kill -9 would leave behind

    monkeypatch.setattr(ledger.Noted, "generate", wait)
    stage1.build(config)
    answers = int(killed[0].split("(")[1].split()[0])
    assert 25 <= answers <= len(server.asked)
    assert f"({len(server.asked)} answers)" in ledger.total(path)


def test_an_unknown_price_is_said(tmp_path):
    ledger.record(tmp_path / "a.safetensors", report(None, 3, 10, 10))
    assert ledger.total(tmp_path / "a.safetensors") == "at an unknown price (3 answers)"


def test_a_line_that_was_cut_off_is_counted_and_spoils_no_other(tmp_path):
    store, price = tmp_path / "a.safetensors", Price(0.3, 0.6, "CNY", "a test")
    ledger.ledger_file(store).write_text('{"at": "2026-01-01", "answers": 3, "inp')
    assert ledger.total(store) == "unknown (0 answers; 1 line cannot be read)"
    ledger.record(store, report(price, 10, 10**6, 0))
    ledger.record(store, report(price, 5, 10**6, 0))
    assert ledger.total(store) == "0.6000 CNY (15 answers; 1 line cannot be read)"


def test_a_ledger_that_cannot_be_written_is_one_sentence_with_the_sum(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"cost 0.3000 CNY, 10 answers.*a.spent.jsonl.*interest_store"):
        ledger.record(tmp_path / "file" / "a.safetensors", report(Price(0.3, 0.6, "CNY", ""), 10, 10**6, 0))


@pytest.fixture
def served(serve):
    """Settings of the openai generator, and the server it asks."""
    pytest.importorskip("httpx")
    server = serve()
    return server, {
        "interest_generator": "openai", "llm_model": "tiny", "llm_base_url": server.compatible_url,
        "llm_requests_per_minute": 0, "llm_cache_dir": "answers",
    }  # fmt: skip


def test_a_ledger_that_cannot_be_written_is_told_by_a_run_that_did_well(shop, served):
    config = make_config(**served[1])
    path = store_location.path(config)
    ledger.ledger_file(path).mkdir(parents=True)
    with pytest.raises(StoreError, match="cannot be noted"):
        stage1.build(config)
    assert path.is_file()


def test_a_ledger_that_cannot_be_written_does_not_hide_why_the_run_ended(shop, served, tmp_path, caplog):
    """The store's folder is a file."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="Cannot write the interest store file/a.safetensors"):
        stage1.build(make_config(**served[1], interest_store="file/a.safetensors"))
    assert sum("cannot be noted" in record.message for record in caplog.records) == 1


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs Linux: limits on another process")
def test_a_disk_that_fills_up_midway_stops_the_run_and_says_what_was_paid(shop, served):
    """The disk of a process of its own: a limit on files would hit pytest's files too."""
    server, settings = served
    words = [f"--{name}={value}" for name, value in settings.items()]
    run = subprocess.Popen(
        [sys.executable, "-m", "recbole_sam", "interests", "--dataset=shop", "--llm_concurrency=1",
         "--text_encoder_dim=8", *words],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip

    def fills_up(prompt, attempt):
        if server.asked.total() == 10:
            resource.prlimit(run.pid, resource.RLIMIT_FSIZE, (0, 0))
        return Reply()

    server.script = fills_up
    said = run.communicate(timeout=120)[1]
    assert run.returncode == 2 and "Traceback" not in said, said
    assert "cannot be noted" in said and "cannot be used" in said and "free some space" in said, said


def test_stage_1_notes_what_was_paid_and_nothing_for_answers_it_had(shop, serve):
    """Through the real SDK and the local server: a run that is cut short, the rest of it, and a rebuild."""
    pytest.importorskip("dashscope")
    settings = {"interest_generator": "dashscope", "llm_requests_per_minute": 0}
    server = serve()
    with pytest.raises(LimitReachedError):
        stage1.build(make_config(**settings, llm_max_users=10))
    config = make_config(**settings)
    stage1.build(config)
    paid = ledger.total(store_location.path(config))
    stage1.build(config)
    assert ledger.total(store_location.path(config)) == paid
    prompts = sum(server.answered.values())
    assert paid.endswith(f"({prompts:,} answers)") and "CNY" in paid
    lines = ledger.ledger_file(store_location.path(config)).read_text().splitlines()
    assert len(lines) == 2 and KEY not in "".join(lines)
