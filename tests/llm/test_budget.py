"""Prices, estimates and ceilings."""

import pytest
import yaml
from conftest import ROOT
from llm_helpers import make_requests

from recbole_sam.errors import DataError, SettingError
from recbole_sam.generators.dry_run import estimate, least_seconds
from recbole_sam.generators.prompts import INTERESTS, question
from recbole_sam.llm.answers import AnswerCache, AskedOf, CachedAnswer
from recbole_sam.llm.prices import (
    TOKENS_PER_PHRASE,
    Price,
    Spending,
    TokenCounter,
    duration,
    read_price,
)

TABLE = ROOT / "properties" / "prices.yaml"
ASKED = AskedOf("dashscope", "qwen-flash", {}, "interests/1")


def test_every_entry_of_our_table_can_be_read_and_says_where_it_is_from():
    table = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    assert set(table) == {"china", "international"}
    for region, part in table.items():
        for model, entry in part["models"].items():
            live, batch = (read_price(TABLE, region, model, b) for b in (False, True))
            assert 0 < live.input <= live.output and live.currency in ("CNY", "USD")
            assert batch.input == live.input * entry["batch"]
            assert len(entry["source"]) > 20
    for region in table:
        assert {"qwen-flash", "qwen-turbo"} <= set(table[region]["models"])


def test_cost_is_tokens_times_price():
    assert Price(2.0, 10.0, "CNY", "").of(500_000, 100_000) == pytest.approx(2.0)


def test_unknown_models_have_no_price_and_unknown_regions_are_refused(tmp_path):
    assert read_price(TABLE, "china", "gpt-unheard-of") is None
    with pytest.raises(SettingError, match="international"):
        read_price(TABLE, "internatonal", "qwen-flash")


@pytest.mark.parametrize(
    "text",
    [
        "", "- a\n- b", "china: 3", "china: {models: {m: {input: 1, output: 2}}}",
        "china: {currency: CNY, models: {m: {input: 1}}}",
        "china: {currency: CNY, models: {m: {input: cheap, output: 2}}}",
        "china: {currency: CNY, models: {m: {input: -1, output: 2}}}",
        "china: {currency: CNY, models: {m: {input: .inf, output: 2}}}",
        "china: [unclosed",
    ],
)  # fmt: skip
def test_a_broken_table_is_one_sentence(tmp_path, text):
    path = tmp_path / "prices.yaml"
    path.write_text(text)
    with pytest.raises((DataError, SettingError)) as caught:
        read_price(path, "china", "m")
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_tokens_are_counted_by_the_sdk_offline_or_by_the_stated_rule():
    pytest.importorskip("dashscope")
    sdk, rule = TokenCounter("qwen-flash"), TokenCounter("llama")
    assert "SDK" in sdk.how and "4 characters" in rule.how
    text = "Moisturizing shampoo for dry hair, 500 ml"
    assert 7 <= sdk.count(text) <= 16 and rule.count(text) == 11
    assert rule.count("护发产品很好") == 4 and rule.count("") == 1


def test_a_run_counts_the_first_prompts_and_goes_by_length_from_there(monkeypatch):
    from recbole_sam.llm import prices

    monkeypatch.setattr(prices, "ROUGHLY_AFTER", 2)
    counter = TokenCounter("other")
    assert [counter.roughly("abcd" * n) for n in (10, 30)] == [10, 30]
    assert counter.roughly("护" * 400) == 100  # the rule of CJK is not asked any more
    assert counter.roughly("") == 1 and TokenCounter("other").roughly("护" * 6) == 4


def test_the_ceiling_counts_calls_in_flight_at_their_dearest():
    spending = Spending(Price(1.0, 1.0, "CNY", ""), max_cost=0.0025, max_output=900)
    assert spending.reserve(100) and spending.reserve(100)
    assert not spending.reserve(100)
    spending.settle(100, 100, 50)
    assert spending.cost == pytest.approx(0.00015)
    assert spending.reserve(100)
    assert not spending.reserve(100)
    spending.settle(100)  # a call that failed cost nothing
    spending.settle(100, 100, 900)
    assert spending.cost == pytest.approx(0.00115)


def test_a_call_of_unknown_cost_counts_at_its_dearest_for_good():
    spending = Spending(Price(1.0, 1.0, "CNY", ""), max_cost=0.0025, max_output=900)
    assert spending.reserve(100) and spending.reserve(100)
    spending.settle_unreported(100)
    spending.settle(100)
    assert spending.cost == 0 and spending.unreported == 1
    assert spending.unreported_cost == pytest.approx(0.001)
    assert spending.reserve(100) and not spending.reserve(100)
    unlimited = Spending(None, None, 500)
    unlimited.settle_unreported(100)
    assert unlimited.unreported == 1 and unlimited.unreported_cost == 0


def test_a_ceiling_needs_a_price():
    with pytest.raises(SettingError, match="llm_max_cost"):
        Spending(None, 1.0, 500)
    spending = Spending(None, None, 500)
    assert spending.reserve(10**9) and spending.cost is None


def test_an_estimate_counts_distinct_prompts_that_are_not_cached(tmp_path):
    requests = list(make_requests(30, k=4))
    doubled = requests + [r._replace(user="again " + r.user) for r in requests]
    with AnswerCache(tmp_path) as cache:
        for request in requests[:10]:
            key = ASKED.key(question(INTERESTS, request.titles, request.k))
            cache.store(key, ASKED, CachedAnswer("x", False, 1, 1)).result()
        counter = TokenCounter("other")
        price = Price(1.0, 2.0, "CNY", "a test")
        guess = estimate(doubled, INTERESTS, ASKED, cache, price, counter, (4, 0, 0))
    assert (guess.users, guess.prompts, guess.cached) == (60, 30, 10)
    tokens = sum(counter.count(question(INTERESTS, r.titles, r.k)) for r in requests[10:])
    assert guess.input_tokens == tokens
    assert guess.output_tokens == 20 * 4 * TOKENS_PER_PHRASE
    assert guess.cost == pytest.approx((tokens + 2 * guess.output_tokens) / 1e6)
    text = "\n".join(guess.lines())
    assert "a test" in text and "estimated at 4 characters" in text and "CNY" in text


def test_beyond_the_counted_prompts_tokens_are_scaled(tmp_path, monkeypatch):
    from recbole_sam.generators import dry_run

    requests = list(make_requests(200))
    with AnswerCache(tmp_path) as cache:
        arguments = (INTERESTS, ASKED, cache, None, TokenCounter("other"), (4, 0, 0))
        exact = estimate(requests, *arguments)
        monkeypatch.setattr(dry_run, "EXACTLY_COUNTED", 20)
        scaled = estimate(requests, *arguments)
    assert scaled.input_tokens == pytest.approx(exact.input_tokens, rel=0.02)
    assert exact.cost is None and "unknown" in "\n".join(exact.lines())
    assert "scaled" in scaled.notes[0] and "scaled" not in exact.notes[0]


def test_time_is_the_tightest_limit():
    assert least_seconds(600, 1000, 10**6, 60, 0) == 600
    assert least_seconds(60, 60_000, 10**6, 0, 1000) == 3600
    assert least_seconds(100, 0, 10, 0, 0) == pytest.approx(15)
    assert [duration(s) for s in (45, 720, 12_000)] == ["45 s", "12 min", "3 h 20 min"]
