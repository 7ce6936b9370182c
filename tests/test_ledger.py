import json

from recbole_sam.interests import ledger
from recbole_sam.interests.budget import Price, Spending
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
