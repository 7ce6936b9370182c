"""RecBole's own tuning, of a model of ours: HyperTuning (hyperopt) and trials of a real Ray."""

import os
import subprocess
import sys

import pytest
from conftest import build_interests, make_config
from recbole.quick_start import objective_function
from recbole.trainer import HyperTuning

from recbole_sam import compat

FIXED = """
model: SAM
dataset: shop
epochs: 1
show_progress: False
use_gpu: False
state: ERROR
MAX_ITEM_LIST_LENGTH: 8
text_encoder_dim: 8
"""

TRIALS = """
import ray
from ray import tune
import recbole_sam
from recbole.quick_start import objective_function
fixed = dict(model="SAM", dataset="shop", data_path="DATA", epochs=1, show_progress=False, use_gpu=False,
             state="ERROR", MAX_ITEM_LIST_LENGTH=8, text_encoder_dim=8)
def trial(settings):
    objective_function({**fixed, **settings}, saved=False)
ray.init(num_cpus=1, include_dashboard=False)
layers = tune.grid_search([1, 2])
done = tune.run(trial, config=dict(n_layers=layers), metric="recall@10", mode="max", verbose=0)
for one in done.trials:
    assert 0 <= one.last_result["recall@10"] <= 1 and one.last_result["training_iteration"] == 1
assert len(done.trials) == 2
objective_function(dict(fixed), saved=False)  # ray is loaded, but this is no trial
"""

needs_hyperopt = pytest.mark.skipif(compat.version("hyperopt") is None, reason="hyperopt is not installed")


@pytest.fixture
def fixed(shop, tmp_path):
    build_interests(make_config())
    file = tmp_path / "fixed.yaml"
    file.write_text(FIXED)
    return [str(file)]


@needs_hyperopt
def test_exhaustive_search_tries_everything_once(fixed, tmp_path):
    tuning = HyperTuning(
        objective_function, params_dict={"choice": {"n_layers": [1, 2], "hidden_size": [8, 16]}},
        fixed_config_file_list=fixed, early_stop=9,
    )  # fmt: skip
    tuning.run()
    tried = {f"hidden_size:{size}, n_layers:{layers}" for size in (8, 16) for layers in (1, 2)}
    assert set(tuning.params2result) == tried and len(tuning.params_list) == 4
    best = tuning.params2result[tuning.params2str(tuning.best_params)]
    assert best["model"] == "SAM"
    assert best["best_valid_score"] == tuning.best_score == max(tuning.score_list)
    tuning.export_result(str(tmp_path / "result.txt"))
    assert (tmp_path / "result.txt").read_text().count("Test result:") == 4


@needs_hyperopt
@pytest.mark.parametrize("algorithm", ["random", "bayes"])
def test_continuous_settings_from_a_file(fixed, tmp_path, algorithm):
    file = tmp_path / "SAM.hyper"
    file.write_text("learning_rate loguniform -8,-4\nhidden_size choice [8,16]\n")
    tuning = HyperTuning(
        objective_function, params_file=str(file), fixed_config_file_list=fixed, algo=algorithm, max_evals=2,
        display_file=str(tmp_path / "trials.html"),
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("webbrowser.open", lambda *args, **kwargs: True)  # plotly shows what it wrote
        tuning.run()
    assert len(tuning.score_list) == 2
    assert 0.0003 < tuning.best_params["learning_rate"] < 0.02
    assert "tuning process" in (tmp_path / "trials.html").read_text()


def _ray_is_runnable():
    done = subprocess.run([sys.executable, "-c", "import ray.tune"], capture_output=True)
    return done.returncode == 0


@pytest.mark.slow
def test_metrics_reach_a_real_ray_trial(shop, tmp_path):
    if compat.version("ray") is None:
        pytest.skip("ray is not installed")
    if not _ray_is_runnable():
        pytest.skip("this ray cannot be imported with these versions of its requirements")
    build_interests(make_config())
    environment = {**os.environ, "HOME": str(tmp_path), "RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run(
        [sys.executable, "-c", TRIALS.replace("DATA", str(shop.parent))],
        capture_output=True, text=True, timeout=300, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
