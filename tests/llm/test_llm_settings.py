"""Settings of the language-model generators, and the generator a configuration asks for."""

import pytest
import yaml
from conftest import make_config
from llm_helpers import make_requests

from recbole_sam.cli.main import main
from recbole_sam.config import yaml_files
from recbole_sam.errors import DataError, SettingError
from recbole_sam.generators.by_name import make_llm_generator
from recbole_sam.generators.choose import configured_generator
from recbole_sam.interests import stage1
from recbole_sam.llm import settings as llm_settings
from recbole_sam.llm.settings import LLMSettings


def test_the_yaml_holds_exactly_our_defaults():
    path = yaml_files.folder() / "llm.yaml"
    table = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert table.pop("interest_engine") == "local"
    assert table == llm_settings.defaults()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("concurrency", 0), ("concurrency", 1.5), ("concurrency", True), ("tries", 0),
        ("max_tokens", "500"), ("top_p", 0), ("top_p", 1.1), ("temperature", 2), ("timeout", 0),
        ("timeout", float("nan")), ("max_failed_share", 1.5), ("max_cost", -1), ("max_users", -1),
        ("requests_per_minute", -1), ("batch_lines", 50_001), ("extra_body", "x"), ("ray_block", 0),
        ("max_wait", -1), ("max_wait", float("inf")),
    ],
)  # fmt: skip
def test_bad_values_are_one_sentence_with_the_full_name(name, value):
    with pytest.raises(SettingError, match=f"llm_{name}"):
        LLMSettings(**{name: value})


@pytest.mark.parametrize("key", ("sk-12345-secret", "hf_AbSecretCdEf", "AIzaSecret0123456789"))
def test_a_key_in_the_place_of_its_variable_is_refused_and_not_repeated(key, shop, tmp_path, capfd, caplog):
    with pytest.raises(SettingError, match="llm_api_key_env must be the NAME") as told:
        LLMSettings(api_key_env=key)
    assert key not in str(told.value)
    given = ["--dataset=shop", "--interest_generator=extractive", f"--llm_api_key_env={key}"]
    assert main(["run", "--model=SAM", *given]) == 2  # asks nobody, but RecBole would log and pickle it
    kept = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert key not in "".join(capfd.readouterr()) + caplog.text and key.encode() not in kept


def test_a_variable_that_is_there_may_have_any_name(monkeypatch):
    monkeypatch.setenv("my_key", "x")
    assert LLMSettings(api_key_env="my_key").api_key_env == "my_key"


def test_settings_are_taken_from_a_configuration_by_their_full_names():
    config = {"llm_model": "m", "llm_top_p": None, "llm_tries": 3, "interest_k_max": 4}
    assert LLMSettings.from_config(config) == LLMSettings(model="m", tries=3)


def test_every_generator_can_be_asked_for(tmp_path):
    pytest.importorskip("dashscope")
    base = {"llm_cache_dir": str(tmp_path), "llm_model": "m"}
    for name in ("dashscope", "dashscope-batch", "openai"):
        generator = configured_generator({**base, "interest_generator": name})
        assert generator.name == name and generator.fingerprint()["model"] == "m"
        dry = configured_generator({**base, "interest_generator": name}, dry_run=True)
        assert dry.fingerprint() == generator.fingerprint()
    with pytest.raises(DataError, match="llm_model"):
        configured_generator({**base, "interest_generator": "transformers"})
    request = next(make_requests(1, k=2))
    (answer,) = configured_generator({"interest_generator": "extractive"}).generate([request])
    assert len(answer.phrases) == 2


def test_what_cannot_be_is_refused():
    with pytest.raises(SettingError, match="local or ray"):
        configured_generator({"interest_generator": "openai", "interest_engine": "cloud"})
    with pytest.raises(SettingError, match="nothing to estimate"):
        configured_generator({"interest_generator": "extractive"}, dry_run=True)
    with pytest.raises(SettingError, match="nothing to spread"):
        configured_generator({"interest_generator": "extractive", "interest_engine": "ray"})
    with pytest.raises(SettingError, match="Did you mean dashscope"):
        make_llm_generator("dashscop", LLMSettings())


def test_only_settings_that_change_answers_change_the_fingerprint(tmp_path):
    pytest.importorskip("dashscope")
    template = tmp_path / "p.txt"
    template.write_text("{titles} {k}")
    changes = {
        "model": "other", "temperature": 1.0, "top_p": 0.5, "max_tokens": 9,
        "prompt_file": str(template), "base_url": "http://h/v1", "extra_body": {"a": 1}, "seed": 1,
        "concurrency": 1, "tries": 1, "timeout": 1.0, "max_users": 1, "backoff": 0.0,
        "requests_per_minute": 1, "cache_dir": str(tmp_path), "batch_size": 1, "ray_workers": 1,
    }  # fmt: skip
    base = {"model": "m"}
    before = make_llm_generator("openai", LLMSettings(**base)).fingerprint()
    for name, value in changes.items():
        settings = LLMSettings(**{**base, name: value})
        after = make_llm_generator("openai", settings).fingerprint()
        ours = name in llm_settings.IDENTITY and name != "seed"  # the seed is of transformers
        assert (after != before) == ours, name


def test_ray_beside_a_generator_that_asks_nobody_is_refused_also_with_a_store_that_is_there(shop, capsys):
    words = ["interests", "--dataset=shop", "--text_encoder_dim=8"]
    assert main(words) == 0
    capsys.readouterr()
    for more in ([], ["--interest_generator=dashscope-batch"]):
        assert main([*words, "--engine=ray", *more]) == 2
        told = capsys.readouterr().err
        assert "interest_engine=ray spreads calls to a language model" in told and told.count("\n") == 1
    for generator in ("extractive", "imported"):
        with pytest.raises(SettingError, match="nothing to spread"):
            stage1.build_missing(make_config(interest_engine="ray", interest_generator=generator))
    with pytest.raises(SettingError, match="local or ray"):
        stage1.build_missing(make_config(interest_engine="cloud"))
