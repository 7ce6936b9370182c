"""Single trials, in this process; ``test_compare.py`` runs them in their own."""

import json
import math

import numpy as np
import pytest
from conftest import build_interests, make_config, random_sequences

from recbole_sam.evaluation import identity, plan, split, trial
from recbole_sam.evaluation.run_folder import SPLIT
from recbole_sam.evaluation.statistics import metrics

WORDS = ["--dataset=shop", "--epochs=2", "--MAX_ITEM_LIST_LENGTH=8", "--topk=[5,10]", "--valid_metric=NDCG@5",
         "--use_gpu=False", "--state=ERROR"]  # fmt: skip


@pytest.fixture
def comparison(shop, tmp_path):
    """A plan and the path of its split."""
    made, config = plan.make_plan(WORDS)
    split.save(split.make_split(config), tmp_path / SPLIT)
    return made


def job(comparison, folder, model="SASRec", **settings):
    folder.mkdir()
    given = {**comparison.given, "model": model, "seed": "5", "text_encoder_dim": "8", **settings}
    content = {"label": f"my {model}", "given": given, "split": str(folder.parent / SPLIT), "threads": 1,
               "tuned": None, "shown": {}, "chosen_by": "full"}  # fmt: skip
    (folder / trial.JOB).write_text(json.dumps(content))
    return folder


def result_of(folder):
    return json.loads((folder / trial.RESULT).read_text())


@pytest.mark.parametrize("model", ["SASRec", "SAM"])
def test_same_result_as_recboles_run(comparison, tmp_path, model):
    """The same settings and seed through RecBole's own ``run_recbole``: the same number to the last digit."""
    from recbole.quick_start import run_recbole

    if model == "SAM":
        build_interests(make_config(text_encoder_dim=8))
    folder = job(comparison, tmp_path / "trial", model)
    assert trial.main(folder) == 0
    ours = result_of(folder)
    given = json.loads((folder / trial.JOB).read_text())["given"]
    theirs = run_recbole(model, "shop", config_dict=dict(given))
    assert ours["test"] == dict(theirs["test_result"])
    assert ours["valid"] == dict(theirs["best_valid_result"])
    ranks = np.load(folder / trial.RANKS)
    means = {name: round(float(metrics.value(name, ranks["full"]).mean()), 4) for name in ours["test"]}
    assert means == pytest.approx(ours["test"], abs=1e-4)
    assert len(ranks["uni100"]) == len(ranks["full"])


def masked_ndcg(experiment, split, length):
    """NDCG on validation, the slow way: RecBole's model, the raw sequences, a loop over users and items.

    Returns:
        tuple of float: of masked and of full ranking.
    """
    part = experiment.data[1].dataset
    tokens, sums, counts = part.field2id_token[part.iid_field], [0, 0], [0, 0]
    for number in range(len(part)):
        sample = part.inter_feat[[number]]
        sequence = random_sequences()[str(split.user_tokens[sample[part.uid_field].item()])]
        history, target = sequence[:-2], sequence[-2]
        scores = experiment.model.full_sort_predict(sample).view(-1)[1:].tolist()
        score = dict(zip(map(str, tokens[1:]), scores, strict=True))
        for place, known in enumerate((history, [])):
            if target in known:
                continue
            rank = 1 + sum(score[i] >= score[target] for i in score if i != target and i not in known)
            sums[place] += 1 / math.log2(1 + rank) if rank <= length else 0
            counts[place] += 1
    assert counts == [counts[1] - split.valid_repeats, len(part)] and split.valid_repeats
    return sums[0] / counts[0], sums[1] / counts[1]


def test_the_best_epoch_in_masked_ranking(comparison, tmp_path):
    """Early stopping, the checkpoint and the tested model follow it, and it is another than the full one."""
    common = split.load(tmp_path / SPLIT)
    folder = job(comparison, tmp_path / "trial", epochs="10", learning_rate="0.01", seed="3")
    given = json.loads((folder / trial.JOB).read_text())["given"]
    experiment = trial.Experiment(given, 1, folder, trial.masked_by(common, "masked"))
    slow, states, validate = [], [], experiment.trainer._valid_epoch

    def watched(*args, **kwargs):
        result = validate(*args, **kwargs)
        slow.append(masked_ndcg(experiment, common, 5))
        states.append({name: values.clone() for name, values in experiment.model.state_dict().items()})
        return result

    experiment.trainer._valid_epoch = watched
    curve = experiment.fit(saved=True)
    assert [point["valid_score"] for point in curve] == pytest.approx([one for one, _ in slow], abs=6e-5)
    best = experiment.facts(curve)["best_epoch"] - 1
    masked, full = zip(*slow, strict=True)
    assert masked[best] == max(masked) and full[best] < max(full)
    test, ranks = experiment.test(common)
    for name, values in experiment.model.state_dict().items():
        assert values.equal(states[best][name])
    left = ranks["masked"][ranks["masked"] > 0]
    assert len(left) == len(common.users) - common.repeats()["test"][0]
    means = {name: round(float(metrics.value(name, left).mean()), 4) for name in test}
    assert means == pytest.approx(test, abs=1e-4)
    assert experiment.facts(curve)["identity"]["epoch chosen by"] == "masked"


def test_what_is_told_of_a_trial(comparison, tmp_path):
    folder = job(comparison, tmp_path / "trial", "SAM", learning_rate="0.01")
    build_interests(make_config(text_encoder_dim=8))
    trial.main(folder)
    told = result_of(folder)
    assert (told["model"], told["class"], told["seed"], told["status"]) == ("my SAM", "SAM", 5, "done")
    assert told["epochs"] == 2 == len(told["curve"]) and told["best_epoch"] in (1, 2)
    best = max(told["curve"], key=lambda point: point["valid_score"])
    assert best["epoch"] == told["best_epoch"] and best["valid_score"] == told["valid"]["ndcg@5"]
    assert told["curve"][0]["loss"] > told["curve"][1]["loss"] > 0
    assert told["learning_rate"] == 0.01 and told["parameters"] > 1000
    assert told["seconds_per_epoch"] > 0 and told["users_per_second"] > 0 and told["peak_memory_mb"] > 10
    assert told["interests"] == {
        "generator": "keyphrases", "encoder": "lsa", "cost": "no language model was paid",
    }  # fmt: skip
    assert told["identity"]["learning_rate"] == 0.01 and told["identity"]["n_heads"] == 4
    assert not list(folder.glob("*.pth"))


def test_titles_that_are_edited_while_it_trains_are_not_its_own(comparison, tmp_path, shop):
    folder = job(comparison, tmp_path / "trial", "SAM")
    build_interests(make_config(text_encoder_dim=8))
    given = json.loads((folder / trial.JOB).read_text())["given"]
    experiment = trial.Experiment(given, 1, folder)
    before = identity.identity(experiment.config)
    curve = experiment.fit(saved=False)
    (shop / "shop.item").write_text((shop / "shop.item").read_text().rstrip("\n") + " edited\n")
    assert experiment.facts(curve)["identity"] == before != identity.identity(experiment.config)


def test_the_best_of_equal_epochs_is_the_one_that_was_saved(comparison, tmp_path):
    folder = job(comparison, tmp_path / "trial", learning_rate="0.0")
    trial.main(folder)
    first, last = (point["valid_score"] for point in result_of(folder)["curve"])
    assert first == last and result_of(folder)["best_epoch"] == 2  # RecBole saves the last of equal ones


def test_a_user_mistake_becomes_the_reason(comparison, tmp_path):
    folder = job(comparison, tmp_path / "trial", "SAM", n_layers="1", n_heads="7")
    build_interests(make_config(text_encoder_dim=8))
    assert trial.main(folder) == trial.FAILED
    assert result_of(folder)["reason"] == "hidden_size (64) must be a multiple of n_heads (7)."


def test_another_window_is_not_the_same_split(comparison, tmp_path):
    folder = job(comparison, tmp_path / "trial", MAX_ITEM_LIST_LENGTH="3")
    assert trial.main(folder) == trial.FAILED
    assert "SASRec sees other data than the comparison (validation, test)" in result_of(folder)["reason"]


def test_an_exception_becomes_the_reason_and_is_raised(comparison, tmp_path, monkeypatch):
    def breaks(*_):
        raise LookupError("of any kind")

    monkeypatch.setattr(trial.Experiment, "fit", breaks)
    folder = job(comparison, tmp_path / "trial", "GRU4Rec")
    with pytest.raises(Exception) as raised:
        trial.main(folder)
    reason = result_of(folder)["reason"]
    assert reason.startswith(type(raised.value).__name__) and reason.endswith("log.txt)")
