"""Settings are read as literals: nothing in them runs."""

from pathlib import Path

import pytest
from conftest import make_config

from recbole_sam.compat.literals import read
from recbole_sam.config import configuration
from recbole_sam.errors import RecBoleSAMError, SettingError

CODE = [
    "__import__('os').system('touch ran')",
    "open('ran', 'w')",
    "[open('ran', 'w')]",
    "{'a': open('ran', 'w')}",
    "(lambda: open('ran', 'w'))()",
    "[x for x in [open('ran', 'w')]]",
    "exec(\"open('ran', 'w')\")",
    "f\"{open('ran', 'w')}\"",
    "().__class__.__base__.__subclasses__()",
]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5), ("-3", -3), ("1e-3", 0.001), ("1e999", float("inf")), ("1_000", 1000), (" 7", 7),
        ("True", True), ("None", None), ("'a-b'", "a-b"), ("[1, 'x']", [1, "x"]), ("0,1", (0, 1)),
        ("{'split': {'LS': 'valid_and_test'}}", {"split": {"LS": "valid_and_test"}}), ("[]", []),
    ],
)  # fmt: skip
def test_literals_are_what_they_are_to_recbole(text, value):
    assert read(text) == value == eval(text.strip())


WORDS = ["amazon-beauty", "next.txt", "max", "a b", "[Hit,NDCG]", "", "1.2.3"]


@pytest.mark.parametrize("text", [*WORDS, *CODE])
def test_words_names_and_calls_stay_texts(text, tmp_path):
    with pytest.raises(NameError):
        read(text)
    assert not Path("ran").exists()


@pytest.mark.parametrize("text", ["2*3", "10-5", "2**100", "[1]*5", "1 if True else 2", "not True", "[2*3]"])
def test_expressions_are_refused(text):
    with pytest.raises(SettingError, match="is an expression"):
        read(text)


@pytest.mark.parametrize("text", ["[" * 5000, "(" * 100_001, "9" * 5000, "-" * 3000 + "1", "\0"])
def test_what_is_too_deep_or_long_is_a_sentence(text):
    with pytest.raises((SettingError, NameError)) as refused:
        read(text)
    assert len(str(refused.value)) < 6000 and "Traceback" not in str(refused.value)


@pytest.mark.parametrize("code", CODE)
def test_no_way_of_giving_a_setting_runs_code(shop, tmp_path, code):
    """Command line, dictionary and YAML (whose values compare hands on as words)."""
    file = tmp_path / "handed-on.yaml"
    file.write_text(f"loss_type: {code!r}\n")
    for given in ({"loss_type": code}, {"config_files": str(file)}):
        with pytest.raises(RecBoleSAMError):
            configuration.make_config({"dataset": "shop", **given})
        with pytest.raises(RecBoleSAMError):
            configuration.make_config(configuration.with_files({"dataset": "shop", **given}))
    assert not Path("ran").exists()


def test_yaml_with_python_objects_is_refused(shop, tmp_path):
    from recbole.config import Config

    file = tmp_path / "objects.yaml"
    for text in ("seed: !!python/name:os.system", "seed: !!python/object/apply:os.system ['touch ran']"):
        file.write_text(text + "\n")
        with pytest.raises(SettingError, match="is not YAML"):
            configuration.make_config({"config_files": str(file)})
        with pytest.raises(Exception, match="could not determine a constructor"):
            Config(model="SASRec", dataset="shop", config_file_list=[str(file)])
    assert not Path("ran").exists()


def test_numbers_of_a_file_are_recboles(shop, tmp_path):
    (tmp_path / "own.yaml").write_text("learning_rate: 1e-4\nweight_decay: 0.5\nepochs: 3\n")
    config = configuration.make_config({"dataset": "shop", "config_files": "own.yaml"})
    assert (config["learning_rate"], config["weight_decay"], config["epochs"]) == (1e-4, 0.5, 3)
    assert make_config(learning_rate="1e-4")["learning_rate"] == 1e-4


@pytest.mark.parametrize(
    "line",
    ["n_layers choice __import__('os').system('touch ran')", "n_layers choice [open('ran','w')]",
     "n_layers choice 5",
     "n_layers choice [a,b]", "n_layers choice 2*[3]", "n_layers uniform a,b", "n_layers uniform 1",
     "n_layers sometimes 1,2"],
)  # fmt: skip
def test_search_ranges_run_nothing_either(tmp_path, line):
    pytest.importorskip("hyperopt")
    from recbole.trainer import HyperTuning

    (tmp_path / "Mine.hyper").write_text(line + "\n")
    with pytest.raises(SettingError):
        HyperTuning(len, params_file=str(tmp_path / "Mine.hyper"))
    assert not Path("ran").exists()
    (tmp_path / "Mine.hyper").write_text("n_layers choice [1, 2]\nlearning_rate loguniform -8,0\n")
    assert set(HyperTuning(len, params_file=str(tmp_path / "Mine.hyper"), algo="random").space) == {
        "n_layers", "learning_rate"
    }  # fmt: skip


def test_the_teacher_of_a_model_is_a_name(shop):
    """RecBole evaluates this setting of one model as well."""
    with pytest.raises(SettingError, match="teacher"):
        make_config("KD_DAGFM", teacher="open('ran', 'w')")
    assert not Path("ran").exists()
