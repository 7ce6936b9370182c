"""RecBole's own functions must know the plugin, in this process and in fresh ones."""

import pickle
import subprocess
import sys

import pytest
import torch
from conftest import build_interests, make_config
from recbole.config import Config
from recbole.data import create_dataset
from recbole.model.sequential_recommender import SASRec
from recbole.quick_start import load_data_and_model, objective_function, run, run_recbole
from recbole.trainer import Trainer
from recbole.utils import InputType, ModelType, get_model, get_trainer

import recbole_sam
from recbole_sam import registry
from recbole_sam.config import our_models, yaml_files
from recbole_sam.data.dataset import SAMDataset
from recbole_sam.errors import SettingError, UnknownNameError
from recbole_sam.models.sam import SAM

QUICK = {"epochs": 1, "show_progress": False, "use_gpu": False, "state": "ERROR", "text_encoder_dim": 8,
         "MAX_ITEM_LIST_LENGTH": 8}  # fmt: skip


def test_register_twice_changes_nothing():
    load = Config._load_internal_config_dict
    registry.register()
    recbole_sam.when_imported.register_with_recbole()
    assert Config._load_internal_config_dict is load


def test_each_class_exists_once():
    import recbole.data.dataset

    assert get_model("SAM") is SAM is our_models.model_class("SAM")
    assert recbole.data.dataset.SAMDataset is SAMDataset
    assert pickle.loads(pickle.dumps(SAM)) is SAM


def test_every_yaml_with_a_model_file_is_a_model():
    assert "SAM" in yaml_files.model_names() and "SAM-paper" not in yaml_files.model_names()
    for name in yaml_files.model_names():
        assert get_model(name).__name__ == name
        assert get_model(name).type == ModelType.SEQUENTIAL


def test_get_trainer_gives_recboles_own():
    assert get_trainer(ModelType.SEQUENTIAL, "SAM") is Trainer


def test_defaults_come_from_our_yaml_and_are_overridden_in_recboles_order(shop, tmp_path):
    assert make_config()["interest_k_max"] == 10
    (tmp_path / "my.yaml").write_text("interest_k_max: 6\ninterest_k_min: 3\n")
    config = Config("SAM", "shop", [str(tmp_path / "my.yaml")], {"interest_k_min": 4})
    assert config["interest_k_max"] == 6 and config["interest_k_min"] == 4


def test_command_line_beats_everything(shop, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["run", "--interest_k_max=7"])
    assert Config("SAM", "shop", config_dict={"interest_k_max": 6})["interest_k_max"] == 7


def test_builtin_models_keep_their_defaults(shop):
    config = make_config("SASRec")
    assert config["n_layers"] == 2 and "interest_k_max" not in config
    assert config["train_neg_sample_args"]["distribution"] == "none"  # RecBole refuses its own default here
    assert make_config("BPR")["train_neg_sample_args"]["distribution"] == "uniform"


def test_negatives_given_by_hand_are_recboles_business(shop):
    with pytest.raises(ValueError, match="should be None"):
        make_config("SASRec", train_neg_sample_args={"distribution": "uniform", "sample_num": 1})


@pytest.mark.parametrize("loss, kind", [("CE", InputType.POINTWISE), ("BPR", InputType.PAIRWISE),
                                        ("BCE", InputType.PAIRWISE)])  # fmt: skip
def test_loss_decides_the_kind_of_sample(shop, loss, kind):
    assert make_config(loss_type=loss)["MODEL_INPUT_TYPE"] == kind


@pytest.mark.parametrize("name, offered", [("SMA", "SAM"), ("sam", "SAM"), ("SASRek", "SASRec")])
def test_unknown_model_offers_the_nearest(shop, name, offered):
    with pytest.raises(UnknownNameError, match=offered):
        make_config(name)


def test_misspelt_setting_offers_the_nearest(shop):
    with pytest.raises(SettingError, match="interst_dim.*interest_dim"):
        make_config(interst_dim=64)


def test_setting_nobody_knows_is_warned_of(shop, caplog):
    caplog.set_level("WARNING")  # RecBole sets the level of the whole process, in test_hypertuning for one
    make_config(zzz=1)
    assert "zzz" in caplog.text


def test_run_recbole_and_reload(shop):
    build_interests(make_config())
    result = run_recbole(model="SAM", dataset="shop", config_dict={**QUICK, "checkpoint_dir": "mine"})
    assert 0 <= result["test_result"]["recall@10"] <= 1
    [file] = [file for file in (shop.parents[1] / "mine").iterdir()]
    assert file.stat().st_size < 2_000_000
    config, model, dataset, train, valid, test = load_data_and_model(str(file))
    assert isinstance(model, SAM) and isinstance(dataset, SAMDataset)
    state = torch.load(file, weights_only=False)["state_dict"]
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name])
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    again = trainer.evaluate(test, load_best_model=False)
    assert dict(again) == dict(result["test_result"])


@pytest.mark.slow
def test_reload_in_a_fresh_process(shop):
    build_interests(make_config())
    run_recbole(model="SAM", dataset="shop", config_dict={**QUICK, "checkpoint_dir": "mine"})
    code = """
import glob, sys
import recbole_sam
from recbole.model.sequential_recommender import SASRec
from recbole.quick_start import load_data_and_model
print(type(load_data_and_model(glob.glob("mine/*.pth")[0])[1]).__name__)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip().endswith("SAM"), done.stderr[-2000:]


def test_objective_function(shop):
    build_interests(make_config())
    result = objective_function({**QUICK, "model": "SAM", "dataset": "shop"}, saved=False)
    assert result["model"] == "SAM" and result["best_valid_score"] >= 0


def test_objective_function_is_found_by_a_worker_that_knows_us():
    assert pickle.loads(pickle.dumps(objective_function)) is registry.objective_function


@pytest.mark.slow
def test_two_distributed_workers(shop, free_port):
    build_interests(make_config())
    settings = {**QUICK, "gpu_id": "0,1", "checkpoint_dir": "mine"}
    result = run("SAM", "shop", config_dict=settings, nproc=2, port=str(free_port))
    assert result["best_valid_result"]["recall@10"] >= 0


def test_saved_dataset_is_used_again_unless_our_settings_differ(shop, caplog):
    caplog.set_level("INFO")
    build_interests(make_config(save_dataset=False))
    config = make_config(save_dataset=True, state="INFO")
    create_dataset(config)
    assert "Load filtered dataset" not in caplog.text
    create_dataset(make_config(save_dataset=True, state="INFO"))
    assert "Load filtered dataset" in caplog.text
    other_split = {"split": {"RS": [0.5, 0.2, 0.3]}, "order": "TO", "group_by": "user", "mode": "full"}
    for other in ({"train_targets": "last"}, {"eval_args": other_split}, {"item_text": False}):
        caplog.clear()
        create_dataset(make_config(save_dataset=True, state="INFO", **other))
        assert "Load filtered dataset" not in caplog.text


def test_import_needs_no_network_and_loads_no_model():
    code = """
import socket
def refuse(*args, **kwargs):
    raise SystemExit("network access at import")
socket.socket.connect = refuse
import sys, recbole_sam
assert not {"transformers", "dashscope", "torch", "recbole", "numpy", "yaml"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


class Mine(SASRec):
    """A model of a user's own, with a loss of a name of its own."""


@pytest.mark.slow
def test_the_gpu_is_chosen_before_cuda_is_asked(shop):
    """CUDA reads which GPUs it may see when it is first asked: after that ``gpu_id`` chooses nothing."""
    code = """
import os, torch
os.environ.pop("CUDA_VISIBLE_DEVICES", None)
seen = []
for name in ("is_available", "device_count"):
    def ask(asked=getattr(torch.cuda, name)):
        seen.append(os.environ.get("CUDA_VISIBLE_DEVICES"))
        return asked()
    setattr(torch.cuda, name, ask)
from recbole_sam import run
words = "--model=SAM --dataset=shop --gpu_id=1 --epochs=1 --text_encoder_dim=8 --show_progress=False"
run.main(words.split())
print("first", seen[0])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[-2] == "first 1"


def test_a_users_own_model_in_recboles_folder_needs_no_yaml(shop, tmp_path, monkeypatch):
    import recbole.model.sequential_recommender as folder

    base = "from recbole.model.sequential_recommender.sasrec import SASRec"
    (tmp_path / "ownone.py").write_text(f"{base}\nclass OwnOne(SASRec):\n    pass\n")
    monkeypatch.setattr(folder, "__path__", [*folder.__path__, str(tmp_path)])
    assert Config(model="OwnOne", dataset="shop", config_dict={"loss_type": "CE"})["model"] == "OwnOne"


def test_a_users_own_model_may_call_its_loss_what_it_likes(shop):
    given = {"loss_type": "sampled", "train_neg_sample_args": None}
    assert Config(model=Mine, dataset="shop", config_dict=given)["loss_type"] == "sampled"
    with pytest.raises(SettingError, match="loss_type is 'sampled'; SASRec knows CE, BPR"):
        Config(model="SASRec", dataset="shop", config_dict=given)
