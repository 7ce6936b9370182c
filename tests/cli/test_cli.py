"""The commands as a user types them, in fresh processes."""

import logging
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, write_dataset

from recbole_sam.cli.main import main
from recbole_sam.data.store import InterestStore

SCRIPT = ROOT / "run_recbole_sam.py"
QUICK = ["--epochs=1", "--text_encoder_dim=8", "--MAX_ITEM_LIST_LENGTH=8"]


def call(*words, **environment):
    environment = {**os.environ, **environment}
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, env=environment, timeout=300
    )


def run(*words, **environment):
    return call(str(SCRIPT), *words, **environment)


def command(*words, **environment):
    return call("-m", "recbole_sam", *words, **environment)


def test_sam_from_nothing_to_a_result(shop, caplog):
    first = run("--dataset=shop", *QUICK)
    assert first.returncode == 0, first.stderr[-3000:]
    assert "best valid" in first.stderr and "test result" in first.stderr
    assert "Stage 1" in first.stderr and "SYNTHETIC" not in first.stderr
    assert len(list(shop.glob("*.interests-*.safetensors"))) == 1
    with caplog.at_level(logging.INFO):
        assert main(["run", "--dataset=shop", *QUICK]) == 0
    assert "Stage 1" not in caplog.text  # the interests were kept
    results = [text.split("test result")[1].split("OrderedDict")[1] for text in (first.stderr, caplog.text)]
    assert results[0].splitlines()[0] == results[1].splitlines()[0]


def test_another_model_by_file_and_command_line(shop, tmp_path, caplog):
    (tmp_path / "my.yaml").write_text(
        "epochs: 1\nhidden_size: 32\nn_heads: 2\nmetrics: [NDCG]\nvalid_metric: NDCG@5\n"
    )
    words = ["--model=SASRec", "--dataset=shop", "--config_files=my.yaml", "--topk=[5]", "--hidden_size=16"]
    with caplog.at_level(logging.INFO):
        assert main(["run", *words]) == 0
    assert "Embedding(26, 16" in caplog.text and "ndcg@5" in caplog.text and "recall" not in caplog.text


def test_synthetic_data_is_announced_at_both_ends(shop, caplog):
    (shop / "SYNTHETIC.md").write_text("made up")
    with caplog.at_level(logging.INFO):
        assert main(["run", "--model=BPR", "--dataset=shop", "--epochs=1"]) == 0
    lines = [message for message in caplog.messages if "SYNTHETIC DATA" in message]
    assert len(lines) >= 2 and caplog.messages[-1] == lines[-1]


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["--model=SAMM", "--dataset=shop"], "Did you mean SAM"),
        (["--dataset=shopp"], "Did you mean shop"),
        (["--dataset=shop", "--interst_dim=3"], "interest_dim"),
        (["--dataset=shop", "epochs=1"], "--key=value"),
        (["--dataset=shop", "--interest_k_min=9", "--interest_k_max=3"], "interest_k_min"),
        (["--dataset=shop", "--n_layers=1", "--n_heads=5", *QUICK], "n_heads"),
        (["--dataset=shop", "--nproc=two"], "whole numbers"),
        (["--dataset=shop", "--nproc=0"], "--nproc is the number of processes that train, from 1, not 0"),
        (["--dataset=shop", "--epochs=abc"], "epochs must be a whole number"),
        (["--dataset=shop", "--hidden_size=sixty"], "hidden_size must be a whole number from 1"),
        (["--dataset=shop", "--hidden_dropout_prob=2", *QUICK], "hidden_dropout_prob"),
        (["--dataset=shop", "--interest_generator=dashcope"], "Did you mean dashscope"),
        (["--dataset=ones", "--model=SASRec"], "no training sample"),
        (["--dataset=shop", "--user_inter_num_interval=[100,inf)", "--model=SASRec"], "no interaction left"),
        (["--dataset=shop", "--checkpoint_dir=my.txt", "--model=SASRec"], "checkpoint_dir my.txt"),
        (["--dataset=shop", "--config_files=none.yaml"], "none.yaml"),
    ],
)
def test_mistakes_are_one_sentence_and_code_2(shop, capsys, words, sentence):
    write_dataset(shop.with_name("ones"), {"a": ["i1"], "b": ["i2"]})
    Path("my.txt").write_text("no folder")
    assert main(["run", *words]) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("recbole-sam: ") and sentence in last


def test_help(capsys):
    assert main(["run", "--help"]) == 0
    assert "--config_files" in capsys.readouterr().out


def test_interests_command(shop, capsys):
    words = ["interests", "--dataset=shop", "--text_encoder_dim=8", "--interest_k_max=4"]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert "coverage: 40 users" in told and "user u0" in told and "  - " in told
    [file] = shop.glob("*.interests-*.safetensors")
    before = file.stat().st_mtime_ns
    assert main(words) == 0
    assert file.stat().st_mtime_ns == before
    content = file.read_bytes()
    assert main([*words, "--rebuild"]) == 0
    assert file.stat().st_mtime_ns != before and file.read_bytes() == content


def test_interests_of_a_model_that_reads_none(shop, capsys):
    assert main(["interests", "--dataset=shop", "--model=SASRec"]) == 2
    assert "reads no interests" in capsys.readouterr().err


def test_the_leak_guard_names_the_command_that_mends(shop, capsys):
    assert main(["interests", "--dataset=shop", *QUICK]) == 0
    lines = (shop / "shop.inter").read_text().splitlines()
    (shop / "shop.inter").write_text("\n".join([lines[0], *lines[2:]]) + "\n")
    assert main(["run", "--dataset=shop", *QUICK]) == 2
    sentence = capsys.readouterr().err.strip().splitlines()[-1]
    assert "1 of 40 users" in sentence
    words = shlex.split(sentence.split("with: ")[1])
    assert words[:3] == ["python", "-m", "recbole_sam"]
    assert main(words[3:]) == 0  # the command it names mends it
    assert main(["run", "--dataset=shop", *QUICK]) == 0


@pytest.mark.parametrize(
    "settings",
    [
        ["--llm_extra_body={'chat_template_kwargs': {'enable_thinking': False}}"],  # docs/stage1.md
        ["--config_files=a.yaml b.yaml"],
        ["--item_text_fields=['title', 'title']"],
    ],
)
def test_settings_whose_value_holds_a_space(shop, tmp_path, capsys, settings):
    (tmp_path / "a.yaml").write_text("interest_k_max: 3\n")
    (tmp_path / "b.yaml").write_text("text_encoder_dim: 8\n")
    words = ["--dataset=shop", "--state=WARNING", "--text_encoder_dim=8"]
    for action in ([], ["stats"], ["show", "--user=u3"]):
        assert main(["interests", *settings, *action, *words]) == 0, action
    assert "user u3" in capsys.readouterr().out
    assert main(["interests", "stats", "a stray word", *words]) == 2
    assert "cannot read 'a stray word'" in capsys.readouterr().err


def test_the_command_that_mends_says_what_differs_from_the_defaults(shop, capsys):
    split = "--eval_args={'split':{'LS':'valid_and_test'},'order':'TO','group_by':'user','mode':'full'}"
    other = "--eval_args={'split': {'RS': [0.6, 0.2, 0.2]}, 'order': 'TO', 'mode': 'full'}"
    for given in ([split, "--interest_k_max=10", "--data_path=dataset/"], [other, "--interest_k_max=4"]):
        words = ["--dataset=shop", "--state=WARNING", *QUICK, *given]
        assert main(["interests", *words]) == 0
        lines = (shop / "shop.inter").read_text().splitlines()
        (shop / "shop.inter").write_text("\n".join([lines[0], *lines[2:]]) + "\n")
        capsys.readouterr()
        assert main(["run", *words]) == 2
        command = shlex.split(capsys.readouterr().err.strip().splitlines()[-1].partition("with: ")[2])
        differ = [other, "--interest_k_max=4"] if given[0] == other else []
        start = ["python", "-m", "recbole_sam", "interests", "--dataset=shop"]
        assert command == [*start, *differ, "--text_encoder_dim=8", "--rebuild"]
        assert main(command[3:]) == 0 and main(["run", *words]) == 0


def test_doctor_tells_what_is_here_and_never_a_key(shop):
    done = command("doctor", DASHSCOPE_API_KEY="sk-secret-value")
    assert done.returncode == 0, done.stderr[-2000:]
    for word in ("recbole 1.2.1", "numpy_names", "CPU cores", "bert-base-uncased", "shop: data", "ml-100k"):
        assert word in done.stdout
    assert "DASHSCOPE_API_KEY: present" in done.stdout and "OPENAI_API_KEY: absent" in done.stdout
    assert "secret" not in done.stdout + done.stderr


def test_a_table_given_as_a_store_is_never_said_to_be_deleted_nor_overwritten(shop, capsys):
    Path("my.csv").write_text("user,phrase\nu1,soap\n")
    words = ["--dataset=shop", f"--data_path={shop.parent}", "--interest_store=my.csv", "--text_encoder=lsa"]
    for action in (["stats"], ["show", "--user=u1"], ["export", "o.csv"], []):
        assert main(["interests", *action, *words]) == 2
        told = capsys.readouterr().err
        assert "my.csv is no interest store" in told and "interests import" in told and "elete" not in told
    for action in (["--rebuild"], ["import", "my.csv", "--rebuild"]):
        assert main(["interests", *action, *words]) == 2
        assert "is a file of something else, and no interest store: it is not" in capsys.readouterr().err
    assert Path("my.csv").read_text() == "user,phrase\nu1,soap\n"


def test_interests_of_a_misspelt_dataset(shop, capsys):
    for action in (["stats"], ["show", "--user=u1"], ["export", "o.csv"]):
        assert main(["interests", *action, "--dataset=shpo", f"--data_path={shop.parent}"]) == 2
        assert "there is no dataset 'shpo'" in capsys.readouterr().err
    assert main(["interests", "export", "o.jsonl", "--form=joined", "--dataset=shop"]) == 2
    assert "--form=joined is a form of CSV and TSV" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "required: command"),
        (["dance"], "There is no command 'dance': `recbole-sam --help` lists them."),
        (["doctor", "--verbose"], "unrecognised: --verbose. (`recbole-sam doctor --help`"),
        (["recommend", "b", "--items=a", "--topk=3"], "unrecognised: --topk=3. Did you mean --top-k?"),
        (["recommend", "b", "--item=a"], "unrecognised: --item=a. Did you mean --items"),
        (["recommend", "b", "--top-k=ten"], "argument --top-k: invalid int value: 'ten'"),
    ],
)
def test_words_the_command_line_does_not_know(capsys, words, said):
    assert main(words) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_interests_stats_show_export_and_import(shop, capsys):
    words = ["--dataset=shop", "--text_encoder_dim=8", "--state=WARNING"]
    assert main(["interests", *words]) == 0
    capsys.readouterr()
    assert main(["interests", "stats", *words]) == 0
    assert "most frequent phrases" in capsys.readouterr().out
    assert main(["interests", "show", "--user=u3", *words]) == 0
    shown = capsys.readouterr().out
    assert "user u3" in shown and "K = " in shown and "interests: complete" in shown
    assert main(["interests", "export", "mine.csv", *words]) == 0
    [file] = shop.glob("*.interests-*.safetensors")
    before = InterestStore.open(file)
    phrases = [before.phrases_of(row) for row in range(before.n_users)]
    content = file.read_bytes()
    theirs = [*words, "--interest_generator=imported"]
    assert main(["run", *theirs, "--epochs=1"]) == 2
    assert "interests import FILE" in capsys.readouterr().err
    assert main(["interests", "import", "mine.csv", *words]) == 0
    assert file.read_bytes() == content  # ours stay ours
    [imported] = shop.glob("*imported*.safetensors")
    after = InterestStore.open(imported)
    assert [after.phrases_of(row) for row in range(after.n_users)] == phrases
    assert main(["interests", "import", "mine.csv", *words]) == 2  # loses nothing unasked
    assert "add --rebuild" in capsys.readouterr().err
    assert main(["interests", "import", "absent.csv", *words]) == 2
    assert "absent.csv" in capsys.readouterr().err  # what is wrong first, whatever is there
    assert main(["run", *theirs, "--epochs=1"]) == 0


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["show"], "--user=U"),
        (["show", "--user=nobody"], "nobody"),
        (["export"], "name one file"),
        (["import"], "name the files"),
        (["stats", "stray"], "--key=value"),
        (["--dry-run"], "keyphrases"),
    ],
)
def test_mistakes_with_interests(shop, capsys, words, sentence):
    settings = ["--dataset=shop", "--text_encoder_dim=8", "--state=WARNING"]
    assert main(["interests", *settings]) == 0
    assert main(["interests", *words, *settings]) == 2
    assert sentence in capsys.readouterr().err.strip().splitlines()[-1]


@pytest.mark.parametrize("words", [["stats"], ["show", "--user=u3"], ["export", "mine.csv"]])
def test_interests_that_nobody_built_come_with_the_command_that_does(shop, capsys, words):
    settings = ["--interest_k_max=4", "--item_text_fields=['title', 'title']", "--text_encoder_dim=8"]
    assert main(["interests", *words, "--dataset=shop", "--state=WARNING", *settings]) == 2
    sentence = capsys.readouterr().err.strip().splitlines()[-1]
    command = shlex.split(sentence.partition("with: ")[2])
    assert command == ["python", "-m", "recbole_sam", "interests", "--dataset=shop", *settings]
    assert main(command[3:]) == 0
    assert main(["interests", *words, "--dataset=shop", "--state=WARNING", *settings]) == 0


def test_show_of_a_user_who_left_the_data(shop, capsys):
    settings = ["--dataset=shop", "--text_encoder_dim=8", "--state=WARNING"]
    assert main(["interests", *settings]) == 0
    lines = (shop / "shop.inter").read_text().splitlines()
    (shop / "shop.inter").write_text("\n".join(row for row in lines if not row.startswith("u39\t")) + "\n")
    assert main(["interests", "show", "--user=u39", *settings]) == 2
    sentence = capsys.readouterr().err.strip().splitlines()[-1]
    assert "user 'u39' is in" in sentence and sentence.endswith("--rebuild")


def test_interests_of_other_histories_are_refused_until_they_are_built_again(shop, capsys):
    words = ["--dataset=shop", "--text_encoder_dim=8", "--state=WARNING"]
    assert main(["interests", *words]) == 0
    [file] = shop.glob("*.interests-*.safetensors")
    content = file.read_bytes()
    lines = (shop / "shop.inter").read_text().splitlines()
    (shop / "shop.inter").write_text("\n".join([lines[0], *lines[2:]]) + "\n")  # u0's first item is gone
    capsys.readouterr()
    for action, who in ([], "1 of 40 users"), (["show", "--user=u0"], "user 'u0' is in"):
        assert main(["interests", *action, *words]) == 2
        out, err = capsys.readouterr()
        assert not out and who in err and err.strip().endswith("--rebuild")
    assert main(["interests", "show", "--user=u3", *words]) == 0
    assert file.read_bytes() == content
    assert main(["interests", "--rebuild", *words]) == 0 and main(["interests", *words]) == 0
    assert main(["interests", "show", "--user=u0", *words]) == 0


def test_interests_of_a_model_that_reads_titles_only(shop, capsys):
    words = ["interests", "--dataset=shop", "--model=SASRecText", "--text_encoder_dim=8"]
    assert main(words) == 0
    [file] = shop.glob("*.safetensors")
    assert str(file.name) in capsys.readouterr().out and ".item-texts-" in file.name
    assert main([*words[:1], "stats", *words[1:]]) == 2
    assert "SASRecText reads no interests" in capsys.readouterr().err
