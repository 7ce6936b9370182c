import hashlib
import json
from pathlib import Path

import pytest

from recbole_sam.errors import DataError, SettingError
from recbole_sam.evaluation import plan
from recbole_sam.evaluation.split import make_split
from recbole_sam.prepare.folder import SYNTHETIC_MARKER

WORDS = ["--dataset=shop", "--epochs=3", "--MAX_ITEM_LIST_LENGTH=8"]


def test_the_same_budget_is_said_to_all(shop):
    made, config = plan.make_plan(WORDS)
    assert made.budget == {"epochs": 3, "stopping_step": 10, "eval_step": 1, "tuning": None}
    assert made.given["stopping_step"] == "10" and made.given["MAX_ITEM_LIST_LENGTH"] == "8"
    assert made.topk == (10, 20, 50) and made.valid_metric == "ndcg@20"
    assert config["eval_args"]["mode"] == {"valid": "uni100", "test": "uni100"}


def test_the_key_differs_with_what_changes_results_only(shop):
    def key(*words, **options):
        return plan.make_plan([*WORDS, *words], **options)[0].key

    assert key() == key("--show_progress=True") == key("--state=ERROR")
    assert len({key(), key("--learning_rate=0.1"), key("--topk=[5,20]"), key(tuning=4)}) == 4


def test_what_chooses_the_epoch_is_part_of_the_key(shop):
    full, masked = (plan.make_plan(WORDS, chosen_by=name)[0] for name in ("full", "masked"))
    assert full.key == plan.make_plan(WORDS)[0].key != masked.key and full.given == masked.given


def test_the_key_of_runs_that_are_kept(shop):
    """Folders are found again by it: what is new since must not change it."""
    budget = {"epochs": "3", "stopping_step": "10", "eval_step": "1", "MAX_ITEM_LIST_LENGTH": "8"}
    before = {**plan.DEFAULTS, "dataset": "shop", **budget, "tuning": None}
    content = json.dumps(before, sort_keys=True).encode()
    assert before["topk"] == "[10,20]"
    assert plan.make_plan(WORDS)[0].key == hashlib.sha256(content).hexdigest()[:8]


def test_masked_validation_needs_a_target(shop):
    made, config = plan.make_plan(WORDS, chosen_by="masked")
    split = make_split(config)
    plan.check_validation(made, split)
    whole = split._replace(valid_repeats=split.repeats()["validation"][1])
    plan.check_validation(made._replace(chosen_by="full"), whole)
    with pytest.raises(DataError, match=r"all \d+ validation targets of 'shop' are items that the user had"):
        plan.check_validation(made, whole)


def test_a_loss_that_the_reference_does_not_know_is_the_models_matter(shop):
    made, config = plan.make_plan([*WORDS, "--loss_type=BCE"])
    assert made.given["loss_type"] == "BCE" and config["loss_type"] == "CE"


def test_a_file_counts_by_what_it_says(shop):
    text = "topk: [5]\nvalid_metric: HIT@5\ntrain_batch_size: 256\nlearning_rate: 1e-2\nepochs: 9\n"
    Path("my.yaml").write_text(text)
    made, config = plan.make_plan([*WORDS, "--config_files=my.yaml"])
    assert made.topk == (5,) and made.valid_metric == "hit@5" and made.budget["epochs"] == 3
    assert config["train_batch_size"] == 256 and config["learning_rate"] == 0.01
    words = ["--topk=[5]", "--valid_metric=HIT@5", "--train_batch_size=256", "--learning_rate=1e-2"]
    assert plan.make_plan([*WORDS, *words])[0] == made  # the same comparison, however it is said
    Path("my.yaml").write_text(text.replace("256", "2048"))
    assert plan.make_plan([*WORDS, "--config_files=my.yaml"])[0].key != made.key
    Path("my.yaml").write_text("model: SAM\nseed: 3\nlabel_power: .inf\n")  # made for a single run
    made, config = plan.make_plan([*WORDS, "--config_files=my.yaml"])
    assert not {"model", "seed"} & set(made.given) and config["label_power"] == float("inf")


@pytest.mark.parametrize(
    "word, sentence",
    [
        ("--model=SAM", "--model is for a single run: a comparison takes --models"),
        ("--seed=1", "takes --seeds"),
        ("--checkpoint_dir=x", "takes --run"),
        ("--metrics=['Hit']", "metrics is not for compare"),
        ("--metrics=Hit", "metrics is not for compare"),
        ("--valid_metric=NDCG@7", "valid_metric is 'NDCG@7'; it must be one of hit@10, hit@20"),
        ("--eval_args={'order':'TO','mode':'uni100'}", "leave 'mode' out of eval_args"),
    ],
)
def test_mistakes(shop, word, sentence):
    with pytest.raises(SettingError, match=sentence):
        plan.make_plan([*WORDS, word])


def test_no_epoch_is_no_comparison(shop):
    with pytest.raises(SettingError, match="epochs is 0: a comparison trains for at least one"):
        plan.make_plan(["--dataset=shop", "--epochs=0"])


def test_seeds():
    assert plan.parse_seeds("3") == [2020, 2021, 2022]
    assert plan.parse_seeds("7,1,7") == [7, 1]
    assert plan.parse_seeds("2020,2020") == plan.parse_seeds("2020,") == [2020]
    for text in ("0", "x", "1,x", "-1,2", "2020"):
        with pytest.raises(SettingError, match="--seeds is a count such as 5"):
            plan.parse_seeds(text)


def test_lengths_of_tables_that_are_drawn_again():
    assert plan.parse_lengths(["--topk=[10,20,50]"]) == [10, 20, 50]
    assert plan.parse_lengths(["--topk=5"]) == [5]
    for word in ("--topk=[0]", "--topk=[]", "--topk=many", "--topk=[1.5]", "--topk=[true]", "--topk=[["):
        with pytest.raises(SettingError, match="--topk is a list of whole numbers from 1"):
            plan.parse_lengths([word])


def test_what_every_output_tells(shop):
    made, config = plan.make_plan(WORDS)
    told = plan.describe(made, config, make_split(config), "python -m recbole_sam compare")
    assert (told["users"], told["items"], told["test_users"]) == (40, 25, 40)
    assert told["topk"] == [10, 20]  # of 25 items nobody wants the first 50
    assert told["chosen_by"] == "full" and told["repeats"]["test"][1] == 40
    assert told["synthetic"] is False and told["versions"]["recbole"] == "1.2.1"
    assert set(told["checksums"]) == {"users", "items", "validation", "test", "candidates"}
    (shop / SYNTHETIC_MARKER).write_text("made up")
    assert plan.describe(made, config, make_split(config), "")["synthetic"] is True
