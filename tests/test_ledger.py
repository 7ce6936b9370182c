import json

import pytest
from conftest import make_config
from servers.llm_server import KEY, LLMServer

from recbole_sam.data import store_location
from recbole_sam.interests import ledger, stage1
from recbole_sam.interests.budget import Price, Spending
from recbole_sam.interests.failures import LimitReachedError
from recbole_sam.interests.report import RunReport


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


def test_an_unknown_price_is_said(tmp_path):
    ledger.record(tmp_path / "a.safetensors", report(None, 3, 10, 10))
    assert ledger.total(tmp_path / "a.safetensors") == "at an unknown price (3 answers)"


def test_stage_1_notes_what_was_paid_and_nothing_for_answers_it_had(shop, monkeypatch):
    """Through the real SDK and the local server: a run that is cut short, the rest of it, and a rebuild."""
    dashscope = pytest.importorskip("dashscope")
    monkeypatch.setenv("DASHSCOPE_API_KEY", KEY)
    settings = {"interest_generator": "dashscope", "llm_requests_per_minute": 0}
    with LLMServer() as server:
        monkeypatch.setattr(dashscope, "base_http_api_url", server.dashscope_url)
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
