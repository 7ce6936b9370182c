"""``python -m recbole_sam compare`` as a user types it, in real processes."""

import json
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from conftest import random_sequences, write_dataset

from recbole_sam.cli.main import main
from recbole_sam.compat.devices import CHOICE, VISIBLE
from recbole_sam.errors import SettingError
from recbole_sam.evaluation import comparison, entries, plan

for package in ("rich", "matplotlib", "pyarrow"):
    pytest.importorskip(package, reason="the extra [report] is not installed")

QUICK = ["--dataset=shop", "--epochs=1", "--MAX_ITEM_LIST_LENGTH=8", "--text_encoder_dim=8", "--devices=cpu",
         "--run=run", "--topk=[5,10]", "--valid_metric=NDCG@10"]  # fmt: skip


def start(*words):
    return subprocess.Popen(
        [sys.executable, "-m", "recbole_sam", "compare", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.fixture
def call(capsys):
    """The command in this process, whose trials are processes of their own."""

    def called(*words):
        capsys.readouterr()
        code = main(["compare", *words])
        return subprocess.CompletedProcess(words, code, *capsys.readouterr())

    return called


def progress(done):
    return [line for line in done.stdout.splitlines() if line.startswith("compare: [")]


def test_comparisons_that_differ_have_folders_of_their_own(shop, call):
    words = [word for word in QUICK if not word.startswith("--run")]
    for rate in ("0.01", "0.02", "0.02"):
        call(*words, "--models=SASRec:hidden_act=foo", "--seeds=1", f"--learning_rate={rate}")
    folders = list(Path("saved/compare").iterdir())
    rates = {json.loads((folder / "run.json").read_text())["given"]["learning_rate"] for folder in folders}
    assert (
        rates == {"0.01", "0.02"}
        and {folder.name[:5] for folder in folders} == {"shop-"}
        and len(folders) == 2
    )


def test_from_nothing_to_every_output(shop, tmp_path, call):
    """A model that fails is reported and the others go on; the same command trains only what failed."""
    words = [*QUICK, "--models=SAM,SASRec,BERT4Rec:hidden_act=foo", "--seeds=1", "--jobs=2"]
    process = start(*words)
    done = subprocess.CompletedProcess(words, None, *process.communicate(timeout=300))
    assert process.returncode == 1, done.stderr[-3000:]
    lines = progress(done)
    assert len(lines) == 3 and sum("FAILED" in line for line in lines) == 1
    ranks = pd.read_parquet("run/ranks.parquet")
    counts = ranks.groupby(["model", "seed", "protocol"], observed=True).size()
    sequences = random_sequences().values()
    left = sum(items[-1] not in items[:-1] for items in sequences)
    assert 0 < left < 40 and counts.to_dict() == {
        (model, 2020, protocol): count
        for model in ("SAM", "SASRec")
        for protocol, count in {"full": 40, "masked": left, "uni100": 40}.items()
    }
    for name in ("report.html", "report.md", "report.tex", "summary.csv", "costs.csv", "run.json"):
        assert (Path("run") / name).stat().st_size > 100, name
    assert len(list(Path("run/figures").glob("*.png"))) == len(list(Path("run/figures").glob("*.svg"))) > 2
    summary = pd.read_csv("run/summary.csv", comment="#")
    row = summary[(summary.model == "SAM") & (summary.metric == "hit@10") & (summary.kind == "all")
                  & (summary.protocol == "full")]  # fmt: skip
    own = ranks[(ranks.model == "SAM") & (ranks.protocol == "full")]
    assert row["mean"].item() == pytest.approx((own["rank"] <= 10).mean())
    trials = json.loads(Path("run/trials.json").read_text())
    [recbole] = [trial["test"]["hit@10"] for trial in trials if trial["model"] == "SAM"]
    assert row["mean"].item() == pytest.approx(recbole, abs=1e-4)
    shown = done.stdout
    assert "BERT4Rec:hidden_act=foo" in shown and "SAM" in shown and "NDCG@10" in shown

    before = {path: path.stat().st_mtime for path in Path("run/trials").glob("S*/result.json")}
    again = call(*words)
    assert again.returncode == 1 and "2 of 3 trials are done already" in again.stdout
    assert len(progress(again)) == 1
    assert {path: path.stat().st_mtime for path in before} == before

    redrawn = call("--from=run", "--user-groups=2,4", "--protocol=masked,full", "--topk=[10,15]")
    assert redrawn.returncode == 0 and not progress(redrawn), redrawn.stderr[-2000:]
    assert f"{40 - left} of 40 test targets repeat an item" in " ".join(redrawn.stdout.split())
    summary = pd.read_csv("run/summary.csv", comment="#")
    assert set(summary.protocol) == {"masked", "full"}
    assert {"history <=2", "history 3-4", "history >=5"} <= set(summary.group)
    assert "Masked ranking: all users" in redrawn.stdout and "HR@15" in redrawn.stdout

    kept = {path: path.stat().st_mtime for path in Path("run/trials").glob("*/result.json")}
    other = call(*words, "--learning_rate=0.01")
    assert other.returncode == 2
    assert "other settings (learning_rate None, now 0.01): give another --run=FOLDER" in other.stderr
    (shop / "shop.inter").unlink()
    write_dataset(tmp_path / "new" / "shop", random_sequences(seed=1))
    (tmp_path / "new" / "shop" / "shop.inter").rename(shop / "shop.inter")
    other = call(*words)
    assert other.returncode == 2 and "run was made from other data than 'shop' is now" in other.stderr
    assert {path: path.stat().st_mtime for path in kept} == kept


def wait_for(condition):
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("how", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_stopped_and_started_again(shop, call, how):
    words = [*QUICK, "--models=SASRec,GRU4Rec", "--seeds=1"]
    process = start(*words)
    first = Path("run/trials/SASRec-2020/result.json")
    wait_for(lambda: first.is_file() and Path("run/trials/GRU4Rec-2020/log.txt").is_file())
    process.send_signal(how)
    process.communicate(timeout=60)
    assert process.returncode == {signal.SIGKILL: -signal.SIGKILL, signal.SIGINT: 130}[how]
    assert not Path("run/trials/GRU4Rec-2020/result.json").exists()
    before = first.stat().st_mtime
    again = call(*words)
    assert again.returncode == 0, again.stderr[-3000:]
    assert "1 of 2 trials are done already" in again.stdout and len(progress(again)) == 1
    assert first.stat().st_mtime == before


def test_a_dataset_without_texts_fails_the_models_that_read_them(shop, call):
    (shop / "shop.item").unlink()
    done = call(*QUICK, "--models=SAM,SASRec", "--seeds=1")
    assert done.returncode == 1
    [line] = [line for line in done.stdout.splitlines() if line.startswith("compare: SAM: FAILED")]
    assert "shop.item" in line
    assert set(pd.read_parquet("run/ranks.parquet").model) == {"SASRec"}
    again = call(*QUICK, "--models=SASRec", "--seeds=1")  # asks for nothing that failed
    assert again.returncode == 0 and "SAM" in again.stdout


@pytest.mark.parametrize("name", ["u", "x"])  # the same users with other histories, or other users
def test_interests_of_other_histories_end_it_before_anything_is_trained(shop, tmp_path, capsys, name):
    models = "SASRec,SAM:interest_k_max=4,SAM:interest_k_max=4:n_layers=0"
    build = ["interests", "--dataset=shop", "--interest_k_max=4", "--text_encoder_dim=8"]
    assert main(build) == 0
    others = {user.replace("u", name): items for user, items in random_sequences(seed=1).items()}
    write_dataset(tmp_path / "new" / "shop", others)
    (tmp_path / "new" / "shop" / "shop.inter").rename(shop / "shop.inter")
    assert main(["compare", *QUICK, f"--models={models}", "--seeds=1"]) == 2
    out, err = capsys.readouterr()
    sentence = err.strip().splitlines()[-1]
    assert sentence.startswith("recbole-sam: SAM:interest_k_max=4: the interests in ")
    assert "FAILED" not in out and not list(Path("run").glob("trials/*"))
    command = shlex.split(sentence.partition("with: ")[2])
    assert command == ["python", "-m", "recbole_sam", *build, "--rebuild"]
    assert main(command[3:]) == 0
    made, _ = plan.make_plan([word for word in QUICK if not word.startswith(("--devices", "--run"))])
    assert comparison.prepare_interests(made, entries.parse(models), print) == {}


@pytest.mark.slow
def test_a_search_by_masked_ranking(shop, call):
    """The settings that it chose are used, and its trials cannot stand beside those of full ranking."""
    pytest.importorskip("hyperopt", reason="hyperopt is not installed")
    Path("ranges").mkdir()
    Path("ranges/SASRec.hyper").write_text("hidden_size choice [16,32]\nn_heads choice [2]\n")
    words = [*QUICK, "--models=SASRec", "--seeds=1", "--tune=1", "--ranges=ranges"]
    done = call(*words, "--protocol=masked,full")
    assert done.returncode == 0, done.stderr[-3000:]
    [line] = progress(done)
    assert re.search(r"1 epochs, masked ndcg@10 \.?\d", line)
    run = json.loads(Path("run/run.json").read_text())
    assert run["chosen_by"] == "masked" and run["repeats"]["validation"][0] > 0
    [trial] = json.loads(Path("run/trials.json").read_text())
    assert trial["identity"]["epoch chosen by"] == "masked"
    [search] = [json.loads(text) for text in Path("run/tuning/SASRec/trials.jsonl").read_text().splitlines()]
    assert search["result"]["best_valid_score"] == trial["valid"]["ndcg@10"] > 0
    size = trial["tuned"]["hidden_size"]
    assert size in (16, 32) and trial["tuned"]["n_heads"] == 2
    assert f"Embedding(26, {size}" in Path("run/trials/SASRec-2020/log.txt").read_text()
    report = Path("run/report.md").read_text()
    assert "on NDCG@10 in masked ranking" in report and report.index("Masked") < report.index("Full ranking")
    other = call(*words, "--protocol=full,masked")
    assert other.returncode == 2
    assert "the protocol that chooses the best epoch masked, now full" in other.stderr
    Path("ranges/GRU4Rec.hyper").write_text("hidden_size choice [16]\n")
    added = call("--from=run", "--add=GRU4Rec", "--ranges=ranges")  # by the protocol of the run
    assert added.returncode == 0 and len(progress(added)) == 1, added.stderr[-3000:]
    refused = call("--from=run", "--add=GRU4Rec", "--epochs=5")
    assert refused.returncode == 2 and "it has epochs=1, which --add keeps" in refused.stderr
    set_aside = Path("run/trials.json").rename("run/trials.before")  # as a killed process leaves it
    assert call("--from=run", "--topk=[3]").returncode == 0  # the valid_metric is at another length
    assert Path("run/trials.json").read_bytes() == set_aside.read_bytes()
    assert set(pd.read_parquet("run/ranks.parquet").model) == {"SASRec", "GRU4Rec"}
    trials = json.loads(Path("run/trials.json").read_text())
    assert [trial["identity"]["epoch chosen by"] for trial in trials] == ["masked", "masked"]


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["--models=SASRex"], "there is no model named 'SASRex'"),
        (["--models=BPR"], "cannot share the split of sequential models"),
        (["--seed=3"], "seed is for a single run: a comparison takes --seeds"),
        (["--seeds=some"], "--seeds is a count such as 5"),
        (["--dataset=shoppe"], "there is no dataset 'shoppe'"),
        (["--tune=2", "--models=BERT4Rec"], "no search ranges for BERT4Rec"),
        (["--user-groups=4,2"], "--user-groups"),
        (["--metric=ndcg@7"], "ndcg@7"),
        (["--add=SASRec"], "--add extends a finished run: name it with --from=FOLDER"),
        (["--from=nowhere"], "nowhere holds no comparison"),
        (["--protocol=both"], "--protocol is a list of full, masked, uni100"),
        (["--from=run", "--seeds=2"], "--seeds cannot change a finished run"),
        (["--from=run", "--epochs=9"], "--epochs=9 cannot change a finished run"),
        (["--from="], "--from is empty"),
        (["--seeds="], "--seeds is empty"),
        (["--devices=²"], "--devices is 'cpu' or GPU numbers"),
        (["--from=run", "--add=SASRec", "--models=SAM"], "--models does not go with --add: --add says it"),
        (["--learning_rat=1"], "did you mean 'learning_rate'"),
        (["--models=SASRec,SAM:loss_type=ABC"], "SAM:loss_type=ABC: loss_type is 'ABC'; SAM knows CE, BPR"),
        (["--loss_type=BCE"], "SASRec: loss_type is 'BCE'; SASRec knows CE, BPR"),
        (["--models=SAM:hiden_size=8"], "did you mean 'hidden_size'"),
        (["--models=SAM,BSARec:final_norm=True"], "BSARec:final_norm=True: BSARec does not read final_norm"),
        (["--models=SASRec:embedding_size=8"], "SASRec does not read embedding_size, a setting of"),
        (["--models=SAM,SAM:repeat=False"], "SAM:repeat=False: the setting 'repeat' is unknown"),
        (["--models="], "--models is empty"),
        (["--models=,"], "--models names no model"),
        (["--tune=1", "--ranges=nosuch"], "--ranges is a folder of <Model>.hyper files; nosuch is none"),
        (["--train_targets=last"], "SASRec does not read train_targets and would learn from all targets"),
        (["--tune=0"], "--tune is the number of trials a model, from 1, not 0"),
        (["--jobs=0"], "--jobs is the number of processes at a time"),
        (["--devices=gpu"], "--devices is 'cpu' or GPU numbers"),
    ],
)
def test_mistakes_cost_one_sentence_and_no_training(shop, capsys, words, sentence):
    defaults = {word.split("=")[0]: word for word in (*QUICK, "--seeds=1", "--models=SASRec")}
    given = defaults | {word.split("=")[0]: word for word in words}
    if "--from" in given:
        given = {word.split("=")[0]: word for word in words}
    assert main(["compare", *given.values()]) == 2
    assert sentence in capsys.readouterr().err
    assert not list(Path("run").glob("trials/*"))


def test_processes_get_gpus_that_the_job_may_take(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.delenv(VISIBLE, raising=False)
    slots, threads, given = comparison.workers(3, "0,1")
    assert [slot[VISIBLE] for slot in slots] == ["0", "1", "0"] and given == {"gpu_id": "0"}
    assert threads == 1 and comparison.workers(None, "0").threads is None
    monkeypatch.setenv(VISIBLE, "4, 5")
    assert comparison.workers(None, "0, 1").slots == [{VISIBLE: "4", CHOICE: ""}, {VISIBLE: "5", CHOICE: ""}]


def test_processes_share_the_cores(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 12)
    monkeypatch.setattr("torch.get_num_threads", lambda: 6)
    assert comparison.workers(None, None) == ([{}], None, {})
    assert comparison.workers(3, "cpu") == ([{}] * 3, 4, {"use_gpu": "False"})
    assert comparison.workers(10_000, "cpu").threads == 1
    assert comparison.workers(None, "cpu").threads == 6  # OMP_NUM_THREADS may leave fewer than the cores
    with pytest.raises(SettingError, match="names GPU 99, but this machine has"):
        comparison.workers(None, "99")
