"""What a person can get wrong with ``compare``: words, search ranges, and run folders that are broken.

No row trains: each is one or two sentences and exit code 2, and loses no file of the run.
"""

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from mistake_helpers import assert_one_sentence, run_command, write_shop

from recbole_sam.evaluation import plan, tuning
from recbole_sam.evaluation.run_folder import PER_USER, RUN, SPLIT, TRIALS, RunFolder
from recbole_sam.evaluation.split import make_split
from recbole_sam.evaluation.trial import RANKS, RESULT, keep_ranks, write_result

for package in ("rich", "matplotlib", "pyarrow"):
    pytest.importorskip(package, reason="the extra [report] is not installed")

SETTINGS = ["--dataset=shop", "--epochs=1", "--MAX_ITEM_LIST_LENGTH=8", "--state=ERROR"]
TRAIN = ["compare", *SETTINGS, "--devices=cpu", "--run=run", "--models=SASRec,GRU4Rec", "--seeds=1"]
OTHER = ["--run=other" if word == "--run=run" else word for word in TRAIN]
DRAW = ["compare", "--from=run"]
ADD = ["compare", "--from=run", "--add=SINE", "--devices=cpu"]

WORDS = [
    ([], ["--models=SASRecc"], "Did you mean SASRec"),
    ([], ["--models="], "--models is empty"),
    ([], ["--models=,"], "--models names no model"),
    ([], ["--models=BPR"], "is a general model of RecBole"),
    ([], ["--models=../SASRec"], "there is no model named"),
    ([], ["--models=SASRec:hidden_size=0"], "hidden_size must be a whole number from 1"),
    ([], ["--models=SASRec:n_heads=7"], "must be a multiple of n_heads (7)"),
    ([], ["--models=SASRec:hiden_size=8"], "did you mean 'hidden_size'"),
    ([], ["--models=SASRec:hidden_size"], "settings are given as --key=value"),
    ([], ["--models=SASRec:seed=3"], "must be the same for all models"),
    ([], ["--models=SASRec:config_files=a.yaml"], "names a file for one model"),
    ([], ["--models=SASRec:n_interests=4"], "SASRec"),
    ([], ["--models=SASRec:learning_rate=inf"], "learning_rate must be a"),
    ([], ["--models=SASRec:user_inter_num_interval=5"], "user_inter_num_interval must be an interval"),
    ([], ["--models=SASRec:loss_type=MSE"], "loss_type"),
    *[
        ([], [f"--seeds={wrong}"], "--seeds is a count")
        for wrong in ("none", "-1", "1.5", "2020", "1,,2", "1;2", "0", "4294967296,", "-3,")
    ],
    *[([], [f"--jobs={wrong}"], "--jobs") for wrong in ("0", "-1", "two", "1.5")],
    *[([], [f"--devices={wrong}"], "--devices") for wrong in ("gpu", "99", "0;1", "-1", "0,first")],
    *[([], [f"--tune={wrong}"], "--tune") for wrong in ("0", "-3", "many", "1.5")],
    *[([], [f"--user-groups={wrong}"], "--user-groups") for wrong in ("a", "5,3", "0", "3,3", "2.5")],
    *[([], [f"--item-groups={wrong}"], "--item-groups") for wrong in ("x,y", "-1")],
    ([], ["--protocol=half"], "--protocol is a list of full, masked, uni100"),
    ([], ["--metric=NDCG@7"], "--metric is one of"),
    ([], ["--metric=AUC"], "--metric is one of"),
    ([], ["--metrics=['AUC']"], "metrics is not for compare"),
    ([], ["--metrics=[Hit"], "metrics is not for compare"),
    ([], ["--model=SASRec"], "--model is for a single run"),
    ([], ["--seed=3"], "--seed is for a single run"),
    ([], ["--checkpoint_dir=x"], "--checkpoint_dir is for a single run"),
    ([], ["--nproc=2"], "--nproc is for a single run"),
    ([], ["--world_size=2"], "--world_size is for a single run"),
    ([], ["--epochs=0"], "a comparison trains for at least one"),
    ([], ["--eval_step=0"], "a comparison validates"),
    ([], ["--eval_step=-3"], "eval_step must be a whole number from 0"),
    ([], ["--save_dataset=True"], "are for a single run"),
    ([], ["--topk=[0]"], "topk must be whole numbers from 1"),
    ([], ["--topk=[100]", "--valid_metric=NDCG@100"], "topk asks for 100 items"),
    ([], ["--valid_metric=NDCG@7"], "valid_metric is"),
    (
        [],
        ["--eval_args={'split':{'RS':[0.4,0.3,0.3]},'order':'TO','group_by':'user','mode':'full'}"],
        "leave one out",
    ),
    ([], ["--eval_args={'split':{'LS':'valid_and_test'},'order':'TO','mode':'uni100'}"], "leave 'mode' out"),
    ([], ["--dataset=shopp"], "Did you mean shop"),
    ([], ["--dataset=a/b"], "dataset must be the name of a folder"),
    ([], ["--config_files=none.yaml"], "none.yaml: No such file"),
    ([], ["--learning_rat=3"], "did you mean 'learning_rate'"),
    ([], ["--ablation", "--models=SAM"], "leave out --models"),
    ([], ["--unknown"], "--unknown"),
    ([], ["word"], "word"),
    ([], ["--run=taken.txt"], "taken.txt"),
    ([], ["--run=/proc/none"], "cannot write to"),
    ([], ["--run=" + "x" * 300], "cannot write to"),
    ([], ["--tune=2", "--ranges=none"], "--ranges is a folder"),
    ([], ["--tune=2", "--ranges=taken.txt"], "--ranges is a folder"),
    ([], ["--tune=2", "--models=BERT4Rec"], "there are no search ranges for BERT4Rec"),
]


def words_of(changed):
    names = {word.partition("=")[0] for word in changed}
    names |= {"--models"} & ({"--models"} if "--ablation" in changed else set())
    return [word for word in OTHER if word.partition("=")[0] not in names] + changed


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with the dataset, and with a comparison whose two trials are made up."""
    home, before = tmp_path_factory.mktemp("finished"), Path.cwd()
    os.chdir(home)
    argv, sys.argv = sys.argv, ["test"]
    try:
        write_shop(home / "dataset" / "shop")
        made, config = plan.make_plan(SETTINGS)
        split = make_split(config)
        folder = RunFolder("run")
        with folder.locked():
            folder.begin(plan.describe(made, config, split, "compare"), split)
            for label in ("SASRec", "GRU4Rec"):
                path = folder.start(label, 2020, {})
                ranks = np.arange(1, len(split.users) + 1, dtype=np.int32)
                keep_ranks(path, {"full": ranks, "uni100": ranks})
                write_result(path, a_result(label))
            folder.gather()
        (home / "run" / "lock").unlink(missing_ok=True)
    finally:
        os.chdir(before)
        sys.argv = argv
    return home


def a_result(label):
    return {
        "model": label,
        "class": label,
        "seed": 2020,
        "status": "done",
        "settings": {},
        "tuned": None,
        "parameters": 10,
        "flops": 1.0,
        "epochs": 1,
        "best_epoch": 1,
        "seconds_per_epoch": 0.1,
        "users_per_second": 9.0,
        "peak_memory_mb": 1.0,
        "memory_of": "process",
        "train_batch_size": 8,
        "learning_rate": 0.1,
        "valid": {"ndcg@20": 0.1},
        "test": {"ndcg@20": 0.1},
        "interests": None,
        "curve": [{"epoch": 1, "loss": 1.0, "valid_score": 0.1, "seconds": 0.1}],
    }


@pytest.fixture
def here(finished, tmp_path):
    for path in finished.iterdir():
        shutil.copytree(path, tmp_path / path.name)
    (tmp_path / "taken.txt").write_text("a file")
    return tmp_path


@pytest.mark.parametrize("_, words, sentence", WORDS, ids=lambda value: str(value)[:60])
def test_a_wrong_word_is_one_sentence(here, _, words, sentence):
    assert_one_sentence(words_of(words), sentence)
    assert not list(here.glob("other/trials/*"))


def test_right_words_draw_the_tables(here):
    code, err, out = run_command([*DRAW, "--protocol=full", "--user-groups=2,4"])
    assert code == 0 and "report.html" in out, err


AGAIN = [
    (DRAW, ["--models=SASRec"], "--from only draws it again"),
    (DRAW, ["--seeds=2"], "--from only draws it again"),
    (DRAW, ["--epochs=3"], "--from only draws it again"),
    (DRAW, ["--tune=3"], "--from only draws it again"),
    (DRAW, ["--metric=NDCG@7"], "--metric is one of"),
    (DRAW, ["--protocol=masked"], "nothing is left to show: name another --protocol, of full, uni100"),
    (DRAW, ["--topk=[0]"], "--topk is a list of whole numbers from 1"),
    (TRAIN, ["--protocol=masked"], "the protocol that chooses the best epoch full, now masked"),
    (DRAW, ["--user-groups=5,3"], "--user-groups"),
    (["compare", "--from=nowhere"], [], "holds no comparison"),
    (["compare", "--from=taken.txt"], [], "holds no comparison"),
    (["compare", "--from=dataset"], [], "holds no comparison"),
    (["compare", "--from=" + "x" * 300], [], "x"),
    (["compare", "--add=SINE"], [], "--add extends a finished run"),
    (["compare", "--from=nowhere", "--add=SINE"], [], "holds no comparison"),
    (ADD, ["--models=SASRec"], "does not go with --add"),
    (ADD, ["--run=elsewhere"], "does not go with --add"),
    (ADD, ["--tune=3"], "does not go with --add"),
    (["compare", "--from=run", "--add=SINEE"], [], "Did you mean SINE"),
    (["compare", "--from=run", "--add=SINE:epochs=3"], [], "must be the same for all models"),
    (
        ["compare", "--from=run", "--add=SAM:interest_control=random"],
        [],
        "SAM:interest_control=random: interest",
    ),
    (["compare", "--from=run", "--add=SAM:compile=True"], [], "SAM:compile=True: compiled, history_filter's"),
    (ADD, ["--learning_rate=0.1"], "other settings"),
    (ADD, ["--epochs=2"], "it has epochs=1, which --add keeps"),
    (TRAIN, ["--learning_rate=0.1"], "other settings"),
]


@pytest.mark.parametrize("command, words, sentence", AGAIN, ids=lambda value: " ".join(value)[:50])
def test_a_wrong_word_beside_a_finished_run_is_one_sentence(here, command, words, sentence):
    assert_one_sentence([*command, *words], sentence)


def text(name, content):
    """Replaces a file of the run by a text or bytes."""

    def change(run):
        data = content if isinstance(content, bytes) else content.encode()
        (run / name).write_bytes(data)

    return change


def alone(change):
    """The same without the trials' own folders, from which the rest would be made again."""

    def both(run):
        shutil.rmtree(run / "trials")
        change(run)

    return both


def changed(name, key, value):
    """Changes one value of a JSON file of the run; a key of a list's first element as well."""

    def change(run):
        content = json.loads((run / name).read_text())
        one = content[0] if isinstance(content, list) else content
        if value is ...:
            del one[key]
        else:
            one[key] = value
        (run / name).write_text(json.dumps(content))

    return change


def special(name, make):
    def change(run):
        (run / name).unlink()
        make(run / name)

    return change


def ranks(edit):
    """Changes the table of ranks."""

    def change(run):
        import pandas as pd

        edit(pd.read_parquet(run / PER_USER)).to_parquet(run / PER_USER)

    return change


def cut(name, share):
    """Cuts a file of the run short."""

    def change(run):
        data = (run / name).read_bytes()
        (run / name).write_bytes(data[: int(len(data) * share)])

    return change


A_RESULT = f"trials/SASRec-2020/{RESULT}"
A_RANKS = f"trials/SASRec-2020/{RANKS}"
DEEP = "[" * 100_000

BROKEN = [
    # run.json
    *[
        (DRAW, text(RUN, wrong), RUN)
        for wrong in (
            "",
            "{",
            "[]",
            "3",
            "null",
            '"x"',
            "{}",
            DEEP,
            '{"key": ' + DEEP,
            b"\xff\xfe\x00",
            "[{}]",
            "nan",
        )
    ],
    *[
        (DRAW, changed(RUN, key, wrong), RUN)
        for key, wrong in (
            ("topk", 3),
            ("topk", []),
            ("topk", [0]),
            ("topk", ["a"]),
            ("topk", None),
            ("given", []),
            ("given", None),
            ("budget", {}),
            ("budget", 3),
            ("versions", "x"),
            ("card", {}),
            ("card", [1]),
            ("card", {"counts": 3}),
            ("checksums", []),
            ("dataset", 3),
            ("command", None),
            ("head_from", "x"),
            ("users", "x"),
            ("synthetic", 3),
            ("split", None),
            ("command", ...),
            ("machine", ...),
            ("date", 3),
            ("history_length", ...),
            ("valid_metric", None),
            ("chosen_by", "uni100"),
            ("chosen_by", 3),
            ("repeats", ...),
            ("repeats", {"validation": [], "test": [1, 2]}),
        )
    ],
    (DRAW, special(RUN, os.mkdir), RUN),
    (DRAW, special(RUN, os.mkfifo), RUN),
    (DRAW, lambda run: (run / RUN).unlink(), "holds no comparison"),
    # trials.json
    *[
        (DRAW, text(TRIALS, wrong), TRIALS)
        for wrong in (
            "",
            "{",
            "{}",
            "3",
            "null",
            "[3]",
            "[[]]",
            "[{}]",
            DEEP,
            '[{"model": "SASRec"}]',
            b"\xff",
        )
    ],
    *[
        (DRAW, changed(TRIALS, key, wrong), TRIALS)
        for key, wrong in (
            ("model", 3),
            ("model", None),
            ("seed", "x"),
            ("seed", ...),
            ("status", "begun"),
            ("status", ...),
            ("status", "failed"),
            ("class", ...),
            ("settings", []),
            ("settings", ...),
            ("tuned", "x"),
            ("curve", {}),
            ("curve", [3]),
            ("curve", [{}]),
            ("curve", ...),
            ("epochs", "many"),
            ("parameters", []),
            ("interests", "x"),
            ("model", "SINE"),
            ("seed", 7),
        )
    ],
    (DRAW, special(TRIALS, os.mkdir), TRIALS),
    (DRAW, alone(lambda run: (run / TRIALS).unlink()), "trials.json is missing"),
    (DRAW, alone(text(TRIALS, "[]")), "do not belong together"),
    # ranks.parquet
    *[
        (DRAW, text(PER_USER, wrong), PER_USER)
        for wrong in ("", "PAR1", "rubbish", b"PAR1" + b"\0" * 99 + b"PAR1")
    ],
    (DRAW, cut(PER_USER, 0.5), PER_USER),
    (DRAW, special(PER_USER, os.mkdir), PER_USER),
    (DRAW, special(PER_USER, os.mkfifo), PER_USER),
    (DRAW, lambda run: (run / PER_USER).unlink(), PER_USER),
    (DRAW, ranks(lambda table: table.drop(columns="rank")), "rank missing"),
    (DRAW, ranks(lambda table: table.assign(rank="first")), "rank is of another type"),
    (DRAW, ranks(lambda table: table.assign(rank=0)), "rank is below 1"),
    (DRAW, ranks(lambda table: table.assign(rank=1.5)), "rank is of another type"),
    (DRAW, ranks(lambda table: table.assign(seed="x")), "seed is of another type"),
    (DRAW, ranks(lambda table: table.assign(user=None)), "user is of another type, or has gaps"),
    (DRAW, ranks(lambda table: table.assign(item=3)), "item is of another type"),
    (DRAW, ranks(lambda table: table.assign(model=3)), "model is of another type"),
    (DRAW, ranks(lambda table: table.assign(history=[[1]] * len(table))), "history is of another type"),
    (DRAW, ranks(lambda table: table[table["model"] == "SASRec"]), "do not belong together"),
    (DRAW, ranks(lambda table: table.iloc[3:]), "has no rank for the user"),
    (DRAW, ranks(lambda table: table.iloc[[0, *range(len(table))]]), "ranks for the user"),
    # where the run goes on
    *[
        (TRAIN, text(A_RESULT, wrong), RESULT)
        for wrong in (
            "",
            "{",
            "[]",
            "3",
            "{}",
            DEEP,
            b"\xff",
            '{"model": "SASRec", "seed": 2020, "status": 3}',
        )
    ],
    (TRAIN, special(A_RESULT, os.mkdir), RESULT),
    *[(TRAIN, text(RUN, wrong), RUN) for wrong in ("", "[]", "{}")],
    (TRAIN, changed(RUN, "checksums", {}), "was made from other data"),
    (TRAIN, changed(RUN, "checksums", {"users": "x"}), "was made from other data"),
    *[(TRAIN, text(SPLIT, wrong), SPLIT) for wrong in ("", "rubbish", b"PK\x03\x04" + b"\0" * 50)],
    (TRAIN, cut(SPLIT, 0.7), SPLIT),
    (TRAIN, special(SPLIT, lambda path: np.savez(path, users=np.arange(3))), SPLIT),
    *[(TRAIN, text(A_RANKS, wrong), RANKS) for wrong in ("", "rubbish")],
    (TRAIN, cut(A_RANKS, 0.5), RANKS),
    (TRAIN, special(A_RANKS, lambda path: np.savez(path, full=np.arange(3))), RANKS),
    (TRAIN, special(A_RANKS, lambda path: np.savez(path, full=np.arange(3), uni100=np.arange(3))), RANKS),
    (TRAIN, special(A_RANKS, os.mkdir), RANKS),
    (TRAIN, lambda run: (run / A_RANKS).unlink(), RANKS),
    (TRAIN, lambda run: (run / "lock").mkdir(), "cannot write to"),
    (ADD, text(RUN, "{}"), RUN),
    (ADD, changed(RUN, "given", {"epochs": "many"}), "epochs must be a whole number"),
    (ADD, changed(RUN, "given", {"dataset": "gone"}), "there is no dataset 'gone'"),
    (ADD, changed(RUN, "given", {"model": "SAM"}), "--model is for a single run"),
    (ADD, changed(RUN, "budget", {"epochs": 1, "stopping_step": 10, "eval_step": 1, "tuning": "x"}), RUN),
    (ADD, alone(text(TRIALS, "[]")), "give --seeds=N"),
    (ADD, text(TRIALS, "3"), TRIALS),
]


@pytest.mark.parametrize("command, change, sentence", BROKEN, ids=range(len(BROKEN)))
def test_a_broken_run_folder_is_one_sentence(here, command, change, sentence):
    change(here / "run")
    before = {path: path.stat().st_size for path in (here / "run").rglob("*") if path.is_file()}
    assert_one_sentence(command, sentence)
    lost = [path for path in before if not path.exists()]
    assert not lost, lost


RANGES = [
    ("", "holds no line of the form"),
    ("# nothing\n", "holds no line of the form"),
    ("n_layers choice [1,2\n", "SASRec.hyper cannot be read"),
    ("n_layers oneof [1,2]\n", "SASRec.hyper cannot be read"),
    ("n_layers\n", "SASRec.hyper"),
    ("n_layers choice\n", "SASRec.hyper"),
    ("learning_rate uniform 0.1\n", "SASRec.hyper"),
    ("learning_rate loguniform a,b\n", "SASRec.hyper"),
    ("n_layers choice " + "[" * 5000 + "\n", "SASRec.hyper"),
    ("MAX_ITEM_LIST_LENGTH choice [4,8]\n", "must be the same for all models"),
    (b"\xff\xfe", "cannot read the search ranges"),
]


@pytest.mark.parametrize("content, sentence", RANGES, ids=range(len(RANGES)))
def test_broken_search_ranges_are_one_sentence(here, content, sentence):
    pytest.importorskip("hyperopt", reason="hyperopt is not installed")
    (here / "ranges").mkdir()
    (here / "ranges" / "SASRec.hyper").write_bytes(
        content if isinstance(content, bytes) else content.encode()
    )
    words = words_of(["--models=SASRec", "--tune=2", "--ranges=ranges"])
    assert_one_sentence(words, sentence)
    assert not list(here.glob("other/tuning/*/log.txt"))


@pytest.mark.parametrize(
    "name, content",
    [
        (tuning.OUTCOME, "{"),
        (tuning.OUTCOME, "[]"),
        (tuning.OUTCOME, '{"best": 3}'),
        (tuning.OUTCOME, DEEP),
        (tuning.RANGES, "n_layers choice [9]\n"),
    ],
    ids=str,
)
def test_a_broken_search_is_one_sentence(here, name, content):
    pytest.importorskip("hyperopt", reason="hyperopt is not installed")
    (here / "ranges").mkdir()
    (here / "ranges" / "SASRec.hyper").write_text("n_layers choice [1,2]\n")
    folder = here / "other" / "tuning" / "SASRec"
    folder.mkdir(parents=True)
    (folder / name).write_text(content)
    assert_one_sentence(words_of(["--models=SASRec", "--tune=2", "--ranges=ranges"]), name)
    assert (folder / name).read_text() == content


@pytest.mark.parametrize("line", ["{", "3", "{}", '{"settings": {}, "result": 3}', DEEP, "\0"], ids=range(6))
def test_a_broken_line_of_a_search_is_named(tmp_path, line):
    from recbole_sam.errors import DataError

    (tmp_path / tuning.TRIALS).write_text(line + "\n")
    with pytest.raises(DataError, match="trials.jsonl, line 1 is no tuning trial"):
        tuning.Kept(tmp_path / tuning.TRIALS)
