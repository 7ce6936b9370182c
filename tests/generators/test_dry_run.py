"""--dry-run: everything is counted, nothing is asked, no store is written."""

import pytest
from llm_helpers import fast, make_requests
from servers.llm_server import KEY, LLMServer

from recbole_sam.encoders.encode import make_encoder
from recbole_sam.generators.dry_run import DryRun, DryRunFinished
from recbole_sam.interests.extract_settings import ExtractSettings
from recbole_sam.interests.pipeline import extract

dashscope = pytest.importorskip("dashscope")
from recbole_sam.generators.batch import BatchGenerator  # noqa: E402
from recbole_sam.generators.by_name import make_dashscope  # noqa: E402


def test_nothing_is_asked_and_no_key_is_needed(tmp_path, monkeypatch):
    monkeypatch.delenv("DASHSCOPE_API_KEY", raising=False)
    histories = [["i1", "i2"], ["i1", "i2"], ["i2", "i3"]]
    titles = {"i1": "hair oil", "i2": "red nail polish", "i3": "wooden comb"}
    with LLMServer() as server:
        monkeypatch.setattr(dashscope, "base_http_api_url", server.dashscope_url)
        with pytest.raises(DryRunFinished) as end:
            extract(
                ["a", "b", "c"],
                histories,
                titles,
                make_encoder("lsa", dim=3, seed=1),
                DryRun(make_dashscope(fast(tmp_path / "cache"))),
                ExtractSettings(),
                tmp_path / "s.safetensors",
            )
        assert not server.asked
    found = end.value.estimate
    assert (found.users, found.prompts, found.cached) == (3, 2, 0)
    assert found.input_tokens > 100 and found.cost > 0
    assert not (tmp_path / "s.safetensors").exists()


def test_the_estimate_is_near_what_is_then_reported(tmp_path, monkeypatch):
    monkeypatch.setenv("DASHSCOPE_API_KEY", KEY)
    requests = list(make_requests(50, k=4))
    with LLMServer() as server:
        monkeypatch.setattr(dashscope, "base_http_api_url", server.dashscope_url)
        generator = make_dashscope(fast(tmp_path))
        with pytest.raises(DryRunFinished) as end:
            next(DryRun(generator).generate(requests))
        list(generator.generate(requests))
    found, report = end.value.estimate, generator.report
    assert report.expected_input == found.input_tokens
    assert report.expected_output == found.output_tokens
    text = "\n".join(report.lines())
    assert f"(estimated {found.input_tokens:,})" in text and "CNY" in text
    with pytest.raises(DryRunFinished) as end:
        next(DryRun(generator).generate(requests))
    assert (end.value.estimate.cached, end.value.estimate.cost) == (50, 0)


def test_a_batch_is_estimated_at_half_the_price(tmp_path):
    costs = []
    for make in (make_dashscope, BatchGenerator):
        with pytest.raises(DryRunFinished) as end:
            next(DryRun(make(fast(tmp_path))).generate(make_requests(5)))
        costs.append(end.value.estimate.cost)
    assert costs[1] == pytest.approx(costs[0] / 2)
