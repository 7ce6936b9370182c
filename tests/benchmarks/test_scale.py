"""The sizes of docs/scale.md: rates are read, and formulas agree with real arrays, files and models."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from conftest import ROOT, experiment, random_sequences, write_dataset

from recbole_sam.config import configuration, setting_names
from recbole_sam.data.store import write_store

FOLDER = ROOT / "docs" / "scale"
sys.path.insert(0, str(ROOT))

from benchmarks.scale import __main__ as command  # noqa: E402
from benchmarks.scale import assumptions, sizes, tables, words  # noqa: E402

ASSUME = assumptions.Assumptions()


def row(group, name, what, device="cpu", **details):
    return {"group": group, "name": name, "what": what, "environment": {"device": device}, "details": details}


@pytest.fixture
def rates(tmp_path):
    """Rates of round numbers, from a file with a GPU's rows after the CPU's."""
    floor = {"operations a second": 1e9, "bytes a second": 1e8}
    rows = [
        row("augmentation", "time", "of 1,000 interactions (L 20)", seconds={"recbole-sam": 2.0}),
        row("augmentation", "memory", "of 2,000 interactions", **{"peak bytes": {"recbole-sam": 4000}}),
        row("routing", "time", "routing", **{"seconds a user": {"chunked": 0.25}}),
        row("store", "added memory", "store of 100 users x 6", bytes={"joining": 900, "before": 400}),
        row("training", "step", "(L 20, batch 2048, CE, 10 items)", seconds={"SAM": 1.0}, floor=floor),
        row("evaluation", "full ranking", "of 10 users x 20 items", seconds={"SAM": 400.0}),
        row("losses", "time", "losses over 100 items",
            seconds={"all at once": 5.0, "chunked": 3.0, "sampled": 0.5}),
        row("losses", "memory", "over 1,000 items, batch", **{"peak bytes": 7000}),
    ]  # fmt: skip
    rows += [{**r, "environment": {"device": "cuda"}, "details": {}} for r in rows]
    (tmp_path / "speed.json").write_text(json.dumps(rows))
    return assumptions.read_rates(tmp_path / "speed.json")


def values(table, what):
    found = [row.values for row in table.rows if row.what == what]
    assert len(found) == 1, f"{len(found)} rows {what!r}"
    return found[0]


def test_rates_are_those_of_the_file(rates):
    assert rates == assumptions.Rates(
        augmentation_seconds=0.002, augmentation_bytes=2.0, routing_seconds=0.25, joining_bytes=5.0,
        step_seconds=1.0, step_items=10, step_batch=2048, evaluation_seconds=2.0, loss_seconds=0.05,
        chunked_seconds=0.03, sampled_seconds=0.5, chunked_bytes=7.0, operations_a_second=1e9,
        bytes_a_second=1e8,
    )  # fmt: skip


def test_a_missing_row_is_no_rate(tmp_path):
    (tmp_path / "speed.json").write_text("[]")
    with pytest.raises(KeyError):
        assumptions.read_rates(tmp_path / "speed.json")


def test_a_step_by_hand(rates):
    adam = 7 * 4 * 100 * 64 / 1e8
    rest = 1.0 - 10 * 0.05
    assert sizes.step_seconds(100, "CE", ASSUME, rates) == pytest.approx(rest + 5 + adam)
    assert sizes.step_seconds(100, "chunked", ASSUME, rates) == pytest.approx(rest + 3 + adam)
    assert sizes.step_seconds(100, "SSM", ASSUME, rates) == pytest.approx(rest + 0.5 + adam)
    double = replace(ASSUME, batch=4096)  # twice the work, but one update
    assert sizes.step_seconds(100, "SSM", double, rates) == pytest.approx(2 * (rest + 0.5) + adam)


def test_ten_times_the_users_take_ten_times_as_much(rates):
    for make in (tables.dataset, tables.stage1):
        for one in make([1000, 10_000], ASSUME, rates).rows:
            assert one.values[1] == pytest.approx(10 * one.values[0]), one.what
    table = tables.epochs([2048], [100, 1000], ASSUME, rates)
    assert values(table, "full ranking, time") == [2.0 * 2048 * 100, 2.0 * 2048 * 1000]
    assert values(table, "steps of an epoch") == [17, 17]  # 20 items: one first, two held out
    [seconds] = values(tables.dataset([10], ASSUME, rates), "time to make them")
    assert seconds == pytest.approx(10 * 20 * 0.002)


def test_what_a_language_model_costs_by_hand():
    table = tables.language_model([1_000_000], ASSUME)
    read, written = 1e6 * 201_207 / 943, 1e6 * 6 * 9
    assert sizes.llm_tokens(1_000_000, ASSUME) == (pytest.approx(read), written)
    # China 0.2 and 1.5 CNY a million tokens, properties/prices.yaml
    assert values(table, "cost, qwen-flash, china") == [pytest.approx((read * 0.2 + written * 1.5) / 1e6)]
    assert values(table, "cost, qwen-flash, china, batch") == [
        pytest.approx(values(table, "cost, qwen-flash, china")[0] / 2)
    ]
    assert values(table, "time at 600 calls a minute") == [pytest.approx(100_000)]


def test_a_price_that_nobody_looked_up_says_so():
    rows = {row.what: row.basis for row in tables.language_model([1], ASSUME).rows}
    assert "FROM MEMORY" in rows["cost, qwen-flash, international"]
    assert "FROM MEMORY" not in rows["cost, qwen-flash, china"]


def test_the_formula_of_a_store_is_the_file_to_the_byte(tmp_path):
    write_store(
        tmp_path / "s.safetensors", users=["u1", "u2", "u3"], offsets=[0, 2, 2, 4], phrase_index=[0, 1, 1, 0],
        phrases=["abc", "def"], embeddings=np.zeros((2, 5)), history_hashes=np.zeros((3, 16)),
        statuses=[0, 0, 0], status_names=["complete"], fingerprint={},
    )  # fmt: skip
    data = (tmp_path / "s.safetensors").read_bytes()
    body = len(data) - 8 - int.from_bytes(data[:8], "little")
    last_of_offsets = 3 * 8
    assert sizes.store_bytes(3, 4, 2, 5, owner_bytes=2, text_bytes=3) + last_of_offsets == body


def test_the_formula_of_a_store_gives_the_measured_size():
    rows = json.loads((ROOT / "benchmarks" / "speed.json").read_text())
    measured = next(r["details"]["bytes"] for r in rows if (r["group"], r["name"]) == ("store", "disk"))
    computed = sizes.store_bytes(10**6, 6 * 10**6, 300_000, 768, ASSUME.token_bytes, ASSUME.phrase_bytes)
    assert computed == pytest.approx(measured, rel=0.01)


def yaml_settings(name):
    return yaml.safe_load((FOLDER / name).read_text())


def test_samples_tables_and_parameters_are_as_large_as_computed(tmp_path):
    """ddp.yaml makes a model, and its arrays have the bytes of the formulas."""
    write_dataset(tmp_path / "dataset" / "shop", random_sequences())
    given = yaml_settings("ddp.yaml") | {"text_encoder_dim": 8}
    _, train, _, _, model = experiment(**given)
    samples = train._dataset.inter_feat.interaction
    assert sum(v.nbytes for v in samples.values()) == len(train._dataset.inter_feat) * sizes.sample_bytes(20)
    k_max = model.user_phrases.shape[1]
    of_users = model.user_phrases.nbytes + model.user_k.nbytes + model.support.nbytes
    assert of_users == len(model.user_k) * sizes.user_table_bytes(replace(ASSUME, k_max=k_max))
    dataset = train._dataset
    sequences, spans = dataset.sequences, (dataset.training_items._starts, dataset.training_items._lengths)
    held = [sequences.items, sequences.users, sequences.starts, sequences.lengths, *spans]
    of_one = replace(ASSUME, interactions=len(sequences.items) / len(sequences.users))
    computed = len(sequences.users) * sizes.sequence_bytes(of_one)
    assert sum(array.nbytes for array in held) == pytest.approx(computed)
    n = model.n_items
    computed = tables.training([n], replace(ASSUME, width=8), assumptions.read_rates())
    assert values(computed, "item vectors") == [model.item_embedding.weight.nbytes]
    sampler = sum(buffer.nbytes for buffer in model.negative_sampler.buffers())
    assert values(computed, "loss SSM: the sampler") == [sampler]
    texts = tables.titles([n], replace(ASSUME, width=8))
    assert values(texts, "`item_text`: table in the model") == [model.item_text.texts.nbytes]
    assert torch.isfinite(model.calculate_loss(next(iter(train))))


@pytest.mark.parametrize("name", ["ddp.yaml", "ray.yaml"])
def test_configuration_files_load_and_hold_known_settings(shop, name, caplog):
    given = yaml_settings(name)
    assert set(given) <= setting_names.own_names() | setting_names.recbole_names()
    config = configuration.make_config({"config_files": str(FOLDER / name), "dataset": "shop"})
    for key, value in given.items():
        if not isinstance(value, dict) and key != "train_neg_sample_args":
            assert config[key] == value, key


def test_the_ray_file_is_accepted_by_the_ray_engine(shop):
    from recbole_sam.llm.settings import LLMSettings

    given = yaml_settings("ray.yaml")
    assert "llm_max_cost" not in given  # the engine refuses it
    own = {key.removeprefix("llm_"): value for key, value in given.items() if key.startswith("llm_")}
    made = LLMSettings(**own)
    assert made.concurrency // made.ray_workers == 64


def test_the_page_has_the_tables_of_the_command(capsys):
    command.main([])
    page = command.PAGE.read_text()
    printed = capsys.readouterr().out.strip()
    between = page.split(command.BEGIN)[1].split(command.END)[0].strip()
    assert between == printed, "python -m benchmarks.scale --write"
    explained = (ROOT / "docs" / "scale.md").read_text()
    for name in ("ddp.yaml", "ray.yaml", "tables.md"):
        assert f"scale/{name}" in explained


def test_json_has_numbers_and_options_are_assumptions(capsys):
    command.main(["--users=1000", "--items=500", "--width=128", "--json"])
    found = {table["title"]: table for table in json.loads(capsys.readouterr().out)}
    rows = {row["what"]: row["values"] for row in found["Titles"]["rows"]}
    assert rows["`item_text`: table in the model"] == [500 * 128 * 4]


def test_writing_replaces_the_tables_and_nothing_else():
    page = f"before\n{command.BEGIN}\nold\n{command.END}\nafter\n"
    new = command.replaced(page, "tables")
    assert new == f"before\n{command.BEGIN}\n\ntables\n{command.END}\nafter\n"
    assert command.replaced(new, "tables") == new


@pytest.mark.parametrize(
    "value, unit, text",
    [(1, "bytes", "1 bytes"), (2.5e9, "bytes", "2.5 GB"), (4e15, "bytes", "4,000 TB"),
     (0.5, "seconds", "0.5 s"), (90, "seconds", "1.5 min"), (2 * 86400, "seconds", "2 days"),
     (365 * 86400, "seconds", "1 years"),
     (1234.4, "CNY", "1,234 CNY"), (999_000, "count", "999,000"), (2e6, "count", "2M")],
)  # fmt: skip
def test_numbers_are_written_with_their_units(value, unit, text):
    assert words.written(value, unit) == text
