import json
import shutil

import pytest
from conftest import make_config

from recbole_sam.config import yaml_files
from recbole_sam.errors import SettingError
from recbole_sam.evaluation import comparison, entries, plan, split, tuning
from recbole_sam.evaluation.run_folder import SPLIT, RunFolder

pytest.importorskip("hyperopt", reason="hyperopt is not installed")

WORDS = ["--dataset=shop", "--epochs=1", "--MAX_ITEM_LIST_LENGTH=8", "--use_gpu=False", "--state=ERROR"]
RANGES = "learning_rate choice [0.001,0.01,0.1]\nhidden_size choice [8,16]\nn_layers choice [1,2]\n"


@pytest.fixture
def job(shop, tmp_path):
    made, config = plan.make_plan(WORDS)
    given = {**made.given, "model": "SASRec", "seed": "2020"}
    split.save(split.make_split(config), tmp_path / SPLIT)
    common = {"split": str(tmp_path / SPLIT), "chosen_by": made.chosen_by}
    return {"given": given, "trials": 2, "threads": 1, **common}


def kept(folder):
    return [json.loads(line) for line in (folder / tuning.TRIALS).read_text().splitlines()]


def search(folder, job, ranges=RANGES):
    tuning.start(folder, job, ranges)
    code = tuning.main(folder)
    return code, tuning.outcome(folder)


def test_finds_the_best_on_validation_and_goes_on(job, tmp_path):
    folder = tmp_path / "tuning"
    assert tuning.outcome(folder) is None
    code, found = search(folder, job)
    trials = kept(folder)
    assert code == 0 and len(trials) == 2 and trials == found["trials"]
    best = max(trials, key=lambda one: one["result"]["best_valid_score"])
    assert found["best"] == best["settings"] and found["valid"] == best["result"]["best_valid_score"]
    assert set(found["best"]) == {"learning_rate", "hidden_size", "n_layers"}
    assert all(one["result"]["test_result"] == {} for one in trials)
    # killed in the middle of writing, and asked for one more: what had ended is not trained again
    (folder / tuning.TRIALS).write_text(json.dumps(trials[0]) + "\n" + json.dumps(trials[1])[:20])
    marked = {**trials[0], "result": {**trials[0]["result"], "best_valid_score": 99.0}}
    text = (folder / tuning.TRIALS).read_text()
    (folder / tuning.TRIALS).write_text(json.dumps(marked) + "\n" + text.split("\n", 1)[1])
    _, found = search(folder, {**job, "trials": 3})
    assert [one["settings"] for one in kept(folder)[:2]] == [one["settings"] for one in trials]
    assert len(kept(folder)) == 3 and found["valid"] == 99.0 and found["best"] == trials[0]["settings"]


def test_a_search_keeps_its_seed(job, tmp_path):
    assert tuning.seed_of(tmp_path / "tuning", "2021") == "2021"
    tuning.start(tmp_path / "tuning", job, RANGES)
    assert tuning.seed_of(tmp_path / "tuning", "2021") == "2020"


@pytest.mark.parametrize(
    "text, sentence",
    [("", "holds no line of the form"), ("n_layers choice [1,2\n", "cannot be read"),
     ("n_layers oneof [1,2]\n", "cannot be read")],
)  # fmt: skip
def test_ranges_that_cannot_be_read(job, tmp_path, text, sentence):
    code, found = search(tmp_path / "tuning", job, text)
    assert code == tuning.FAILED and sentence in found["reason"]


def test_what_is_set_is_not_searched(job, tmp_path):
    job["given"] |= {"learning_rate": "0.02", "hidden_size": "8"}
    _, found = search(tmp_path / "tuning", job)
    assert [set(one["settings"]) for one in found["trials"]] == [{"n_layers"}] * 2
    job["given"]["n_layers"] = "1"
    code, found = search(tmp_path / "other", job)
    assert code == tuning.FAILED and "is set already: leave one out, or --tune." in found["reason"]


def test_what_must_be_the_same_for_all_is_not_searched(job, tmp_path):
    code, found = search(tmp_path / "tuning", job, RANGES + "MAX_ITEM_LIST_LENGTH choice [4,8]\n")
    assert code == tuning.FAILED
    assert "searches MAX_ITEM_LIST_LENGTH, which must be the same for all models" in found["reason"]


def test_a_search_that_failed_is_begun_again_in_the_same_ranges_only(job, tmp_path, monkeypatch):
    folder, where = RunFolder(tmp_path / "run"), comparison.Workers([{}], 1, {"use_gpu": "False"})
    made, _ = plan.make_plan(WORDS)
    [entry] = entries.parse("SASRec")
    arguments = folder, made, [entry], 2020, 1, {"SASRec": RANGES}, where, print
    path = folder.tuning("SASRec")
    tuning.start(path, job, RANGES)
    (path / tuning.OUTCOME).write_text('{"reason": "--tune needs hyperopt"}')
    shutil.copy(job["split"], folder.path / SPLIT)
    found, failed = comparison.tune(*arguments)
    assert not failed and set(found["SASRec"]) == {"learning_rate", "hidden_size", "n_layers"}
    other = *arguments[:5], {"SASRec": "n_layers choice [1,2]"}, where, print
    with pytest.raises(SettingError, match="has other ranges .* than are given now"):
        comparison.tune(*other)


def test_a_model_that_fails_is_the_reason(job, tmp_path, monkeypatch):
    code, found = search(tmp_path / "tuning", {**job, "given": {**job["given"], "n_heads": "7"}})
    assert code == tuning.FAILED and "must be a multiple of n_heads (7)" in found["reason"]

    def breaks(*_):
        raise RuntimeError("of any kind")

    monkeypatch.setattr(tuning, "validate", breaks)
    with pytest.raises(RuntimeError):
        search(tmp_path / "tuning", job)
    assert "traceback in" in tuning.outcome(tmp_path / "tuning")["reason"]


def test_shipped_ranges_fit_their_models(shop):
    """Every name is a setting of the model, and its default is in the range or beside it."""
    from recbole.trainer import HyperTuning

    files = sorted((yaml_files.folder() / "tuning").glob("*.hyper"))
    assert {file.stem for file in files} >= {*yaml_files.model_names(), "SASRec", "GRU4Rec", "SINE"}
    for file in files:
        config = make_config(file.stem)
        space = HyperTuning(lambda *_: None, params_file=str(file), algo="random").space
        assert "learning_rate" in space
        for name in space:
            assert name in config.final_config_dict, (file.stem, name)


def test_own_ranges_come_first(tmp_path):
    from recbole_sam.cli.compare import _ranges

    (tmp_path / "SAM.hyper").write_text(RANGES)
    ranges = _ranges(entries.parse("SAM,SASRec"), str(tmp_path))
    assert ranges == {"SAM": RANGES, "SASRec": yaml_files.tuning_file("SASRec").read_text()}
    with pytest.raises(SettingError, match="no search ranges for BERT4Rec"):
        _ranges(entries.parse("BERT4Rec"), None)


def test_a_draw_that_breaks_is_noted_and_the_others_are_searched(job, tmp_path):
    code, found = search(tmp_path / "tuning", {**job, "trials": 8}, "n_heads choice [1,2,7]\n")
    assert code == 0 and {one["settings"]["n_heads"] for one in found["trials"]} == {1, 2}
    assert found["best"] in [one["settings"] for one in found["trials"]]
    assert {one["settings"]["n_heads"] for one in found["failed"]} == {7}
    assert "traceback in" in found["failed"][0]["reason"]
    assert all(one["result"]["best_valid_score"] >= 0 for one in kept(tmp_path / "tuning"))
