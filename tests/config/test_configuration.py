import sys

import pytest

from recbole_sam.config import configuration
from recbole_sam.errors import SettingError, UnknownNameError


def test_words_become_settings():
    assert configuration.parse_words(["--model=SAM", "--a=b=c", "--a=b=c"]) == {"model": "SAM", "a": "b=c"}


@pytest.mark.parametrize("word", ["inf", ".inf"])
def test_infinity_is_a_number(shop, word):
    given = configuration.parse_words(["--model=MIND", "--dataset=shop", f"--label_power={word}"])
    assert configuration.make_config(given)["label_power"] == float("inf")


def test_short_words():
    given = configuration.parse_words(["--max-cost=1", "--cache-dir=x"])
    assert given == {"llm_max_cost": "1", "llm_cache_dir": "x"}


@pytest.mark.parametrize("word", ["model=SAM", "--model", "-m=1", "SAM", "--=3"])
def test_other_words_are_refused(word):
    with pytest.raises(SettingError, match="--key=value"):
        configuration.parse_words([word])


def test_a_setting_given_twice_is_refused():
    with pytest.raises(SettingError, match="twice"):
        configuration.parse_words(["--seed=1", "--seed=2"])


def test_files_then_command_line(shop, tmp_path):
    (tmp_path / "a.yaml").write_text("model: SASRec\ndataset: shop\nseed: 1\nepochs: 7\n")
    config = configuration.make_config({"config_files": "a.yaml", "seed": "3"})
    assert (config["model"], config["seed"], config["epochs"]) == ("SASRec", 3, 7)


def test_the_process_arguments_are_left_as_they_were(shop, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["prog", "--seed=9"])
    assert configuration.make_config({"dataset": "shop", "seed": "4"})["seed"] == 4
    assert sys.argv == ["prog", "--seed=9"]


@pytest.mark.parametrize(
    "content, word",
    [(None, "No such file"), (b"a: [1", "not YAML"), (b"- 1\n", "key: value"), (b"", "key: value"),
     (b"a: \xff", "not YAML")],
)  # fmt: skip
def test_unusable_configuration_files(shop, tmp_path, content, word):
    if content is not None:
        (tmp_path / "my.yaml").write_bytes(content)
    with pytest.raises(SettingError, match=word) as caught:
        configuration.make_config({"config_files": "my.yaml", "dataset": "shop"})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong", [{"metrics": "Foo"}, {"topk": "0"}, {"eval_args": "3"}, {"loss_type": "MSE"}]
)
def test_values_recbole_refuses_are_one_sentence(shop, wrong):
    with pytest.raises(SettingError):
        configuration.make_config({"dataset": "shop", **wrong})


def test_unknown_model_keeps_its_own_sentence(shop):
    with pytest.raises(UnknownNameError):
        configuration.make_config({"model": "SAMM", "dataset": "shop"})
