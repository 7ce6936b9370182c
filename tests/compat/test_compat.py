"""Each adjustment is proven needed: RecBole fails without it and works with it, in a fresh process."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import find_port
from packaging.version import Version

from recbole_sam import compat

PACKAGE = Path(compat.__file__).parent.parent

# A package without recbole_sam's __init__, which would apply everything first.
PRELUDE = f"""
import sys, types, warnings
package = sys.modules["recbole_sam"] = types.ModuleType("recbole_sam")
package.__path__ = [{str(PACKAGE)!r}]
from recbole_sam import compat
skipped = sys.argv.pop()
compat.STEPS[:] = [step for step in compat.STEPS if step.__name__ not in skipped.split(",")]
compat.apply()
"""

RUN = """
from recbole.quick_start import run_recbole
run_recbole(model="BPR", dataset="shop", config_dict=dict(
    epochs=1, embedding_size=4, train_batch_size=64, show_progress=False, use_gpu=False, state="ERROR"))
"""

TRIAL = """
import inspect
from recbole.quick_start import objective_function
if (compat.version("ray") or (0,)) > (2, 6, 3):
    import ray.tune
    if hasattr(ray.tune, "report"):  # outside a trial, ray only warns of a wrong call: see it as a trial does
        ray.tune.report = inspect.unwrap(ray.tune.report)
objective_function(dict(
    model="BPR", dataset="shop", epochs=1, show_progress=False, use_gpu=False, state="ERROR"), saved=False)
"""

HOLES = """
from recbole.config import Config
from recbole.data import create_dataset
config = Config(model="BPR", dataset="holes", config_dict=dict(
    load_col=None, normalize_all=False, state="ERROR"))
dataset = create_dataset(config)
item = dataset.item_feat
assert not item.isnull().any().any(), item
assert item["brand"].tolist()[0] == 0 and dataset.id2token("brand", int(item["brand"].iloc[2])) == "[PAD]"
assert item["price"].tolist()[2] == (1.0 + 3.0) / 2, item["price"].tolist()
assert len(item["tags"].iloc[2]) == 0 and len(item["tags"].iloc[1]) == 2
dataset.build()
"""

SEQUENCES = """
from recbole.config import Config
from recbole.data import create_dataset
config = Config(model="SASRec", dataset="full", config_dict=dict(
    load_col=None, train_neg_sample_args=None, state="ERROR"))
dataset = create_dataset(config)
assert [len(tags) for tags in dataset.item_feat["tags"]] == [0, 2, 1, 1]
dataset.build()
"""

PRELOADED = """
import pickle
import torch
class Thing: pass
torch.save({"state_dict": {}, "thing": Thing()}, "own.pth")
try:
    torch.load("own.pth")
except pickle.UnpicklingError:
    pass
else:
    raise SystemExit("a file that RecBole did not ask for was fully unpickled")
"""

DISTRIBUTED = """
import torch
from recbole.config import Config
config = Config(model="BPR", dataset="shop", config_dict=dict(
    local_rank=0, world_size=1, offset=0, ip="localhost", port=PORT, nproc=1, use_gpu=False, state="ERROR"))
assert config["device"].type == "cpu" and not config["single_spec"]
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer
data = create_dataset(config)
train, valid, test = data_preparation(config, data)
trainer = get_trainer(config["MODEL_TYPE"], "BPR")(config, get_model("BPR")(config, train._dataset))
trainer.fit(train, saved=False)
"""

CHECKPOINT = """
import os
import torch
child = os.fork()
rank = 0 if child else 1
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.trainer import trainer as module
from recbole.utils import get_model
module.get_local_time = lambda: f"at the second of rank {rank}"
config = Config(model="BPR", dataset="shop", config_dict=dict(
    local_rank=rank, world_size=2, offset=0, ip="localhost", port=PORT, nproc=2, gpu_id="0,1", epochs=1,
    use_gpu=False, state="ERROR", show_progress=False))
train, valid, test = data_preparation(config, create_dataset(config))
trainer = module.Trainer(config, get_model("BPR")(config, train._dataset))
trainer.fit(train, valid)
trainer.evaluate(test)
torch.distributed.destroy_process_group()  # as RecBole does; its threads may abort a process that just ends
if child:
    _, status = os.waitpid(child, 0)
    raise SystemExit(os.waitstatus_to_exitcode(status))
"""

# What two ranks make of a model, and what one process makes of it.
TWO_RANKS = """
import os
import torch
child = os.fork()
rank = 0 if child else 1
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.trainer import Trainer
from recbole.utils import get_model, init_seed

def trained(model, **settings):
    config = Config(model=model, dataset="shop", config_dict=dict(
        settings, epochs=2, eval_batch_size=8, metric_decimal_place=12, state="ERROR", show_progress=False,
        use_gpu=False))
    init_seed(config["seed"], True)
    train, valid, test = data_preparation(config, create_dataset(config))
    trainer = Trainer(config, get_model(model)(config, train._dataset))
    trainer.fit(train, valid, saved=False)
    return trainer, trainer.evaluate(test, load_best_model=False)

def by_two_and_by_one(model, **settings):
    ranks = dict(local_rank=rank, world_size=2, offset=0, ip="localhost", port=PORT, nproc=2, gpu_id="0,1")
    by_two = trained(model, **settings, **ranks)
    torch.distributed.destroy_process_group()  # as RecBole does; its threads may abort a process that ends
    return by_two, trained(model, **settings)
"""

BOTH_ENDED = """
if child:
    _, status = os.waitpid(child, 0)
    raise SystemExit(os.waitstatus_to_exitcode(status))
"""

EVALUATION = (
    TWO_RANKS
    + """
(_, two), (_, one) = by_two_and_by_one(
    "Pop", user_inter_num_interval="[6,inf)", metrics=["Recall", "ShannonEntropy"], valid_metric="Recall@10")
assert two == one, (rank, two, one)
"""
    + BOTH_ENDED
)

BATCHES = (
    TWO_RANKS
    + """
(two, _), (one, _) = by_two_and_by_one(
    "SASRec", train_neg_sample_args=None, load_col=None, train_batch_size=50, hidden_dropout_prob=0,
    attn_dropout_prob=0, n_layers=1, hidden_size=8, inner_size=8)
torch.testing.assert_close(two.train_loss_dict, one.train_loss_dict, rtol=1e-5, atol=0)
torch.testing.assert_close(two.model.state_dict(), one.model.state_dict(), rtol=1e-4, atol=1e-5)
"""
    + BOTH_ENDED
)

COUNTS = RUN.replace("epochs=1", "metrics=['ItemCoverage'], valid_metric='ItemCoverage@10', epochs=1")

FOLDERS = """
import os
from recbole.utils import ensure_dir
exists = os.path.exists
os.path.exists = lambda path: False  # what a process sees that looks just before the other one makes it
ensure_dir("logs/SAM")
ensure_dir("logs/SAM")
assert exists("logs/SAM")
"""

DOWNLOAD = """
import zipfile
from recbole.data.dataset import dataset as module
from recbole.config import Config
module.Dataset._get_download_url = lambda self, name, allow_none=False: "http://localhost/away.zip"
module.decide_download = lambda url: True
def download_url(url, folder):
    with zipfile.ZipFile(folder + "/away.zip", "w") as archive:
        archive.write("dataset/shop/shop.inter", "away.inter")
    return folder + "/away.zip"
module.download_url = download_url
from recbole.data import create_dataset
assert create_dataset(Config(model="BPR", dataset="away", config_dict=dict(state="ERROR"))).user_num == 41
"""

WORKER = """
from recbole.config import Config
config = Config(model="BPR", dataset="shop", config_dict=dict(state="ERROR"))
assert "worker-id" not in config
"""

GRAPH = RUN.replace("BPR", "LightGCN")

EXHAUSTIVE = """
from recbole.trainer import HyperTuning
def objective(settings, files):
    score = settings["layers"] * settings["heads"]
    return dict(model="BPR", best_valid_score=score, valid_score_bigger=True, best_valid_result={},
                test_result={})
tuning = HyperTuning(objective, params_dict=dict(choice=dict(layers=[1, 2, 3], heads=[2, 1])), early_stop=9)
tuning.run()
assert tuning.best_params == dict(layers=3, heads=2), tuning.best_params
assert len(tuning.params2result) == 6, tuning.params2result
"""

UNWARNED = (
    """
seen = []
warnings.showwarning = lambda message, *rest: seen.append(str(message))
"""
    + RUN
    + """
assert not [message for message in seen if "chained assignment" in message], seen
"""
)
QUIET = "warnings.filterwarnings('error', message='.*torch.cuda.amp')" + RUN
PRINTED = (
    RUN.replace("run_recbole(model", "result = run_recbole(model")
    + """
assert "np.float64" not in repr(result["test_result"]), result
"""
)


ANOMALY = """
import torch
from recbole.utils import get_model
get_model("SASRec")
assert not torch.is_anomaly_enabled()
torch.autograd.set_detect_anomaly(True)
get_model("GRU4Rec")
assert torch.is_anomaly_enabled()  # a user's own wish
"""

GPUS = """
import os
import torch
seen = []
def is_available():
    seen.append(os.environ.get("CUDA_VISIBLE_DEVICES"))
    return True
torch.cuda.is_available = is_available
from recbole.config import Config
from recbole.utils import get_environment
def take(**given):
    seen.clear()
    config = Config(model="BPR", dataset="ml-100k", config_dict=dict(given, state="ERROR"))
    return config, (seen[-1] if seen else "not asked"), config["device"].type
def shown(visible, **given):
    os.environ.pop("RECBOLE_SAM_GPUS", None)
    os.environ.pop("CUDA_VISIBLE_DEVICES", None)
    if visible is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = visible
    return take(**given)[1:]
assert shown(None, gpu_id=1) == shown(None, gpu_id="1") == ("1", "cuda")
assert shown("4,5", gpu_id=1) == ("5", "cuda") and take(gpu_id=0)[1] == "4" and take(gpu_id=1)[1] == "5"
assert shown("4,5", gpu_id=(0, 1)) == ("4,5", "cuda")
for visible, given in (("4,5", dict(use_gpu=False)), ("4,5", dict(gpu_id=None)), ("", dict(gpu_id=0))):
    assert shown(visible, **given) == ("not asked", "cpu") and os.environ["CUDA_VISIBLE_DEVICES"] == visible
    get_environment(take(**given)[0])  # asks for the usage of a GPU unless use_gpu is False
"""

# What holds before anything is imported.
BEFORE = {
    "ray_worker_words": "import sys\nsys.argv[:1] = ['ray/default_worker.py', '--worker-id=1']\n",
    # Python 3.12 without setuptools, on any Python
    "thop_distutils": "import sys\nsys.modules['distutils'] = None\n",
}


def run(code, skipped="", before="", folder=None):
    return subprocess.run(
        [sys.executable, "-c", before + PRELUDE + code, skipped],
        capture_output=True, text=True, timeout=300, cwd=folder,
    )  # fmt: skip


@pytest.fixture
def holes(tmp_path):
    folder = tmp_path / "dataset" / "holes"
    folder.mkdir(parents=True)
    (folder / "holes.inter").write_text(
        "user_id:token\titem_id:token\ttimestamp:float\nu1\ti1\t1\nu1\ti2\t2\nu1\ti3\t3\n"
    )
    (folder / "holes.item").write_text(
        "item_id:token\tbrand:token\tprice:float\ttags:token_seq\n"
        "i1\tb1\t1\tred big\ni2\t\t\t\ni3\tb3\t3\tblue\n"
    )
    full = folder.with_name("full")
    full.mkdir()
    (full / "full.inter").write_text((folder / "holes.inter").read_text())
    (full / "full.item").write_text("item_id:token\ttags:token_seq\ni1\tred big\ni2\tred\ni3\tblue\n")


def _installed(package):
    try:
        return Version(importlib.metadata.version(package))
    except importlib.metadata.PackageNotFoundError:
        return Version("0")


two_ranks = pytest.mark.skipif(not hasattr(os, "fork"), reason="two forked processes are needed")

NEEDED = [
    pytest.param("numpy_names", RUN, marks=pytest.mark.skipif(
        _installed("numpy") < Version("2"), reason="numpy 1 has these names")),
    pytest.param("ray_tune", TRIAL, marks=pytest.mark.skipif(
        compat.stack._ray_can_be_imported(), reason="RecBole can import this ray itself")),
    pytest.param("ray_worker_words", WORKER),
    pytest.param("thop_distutils", RUN),
    pytest.param("pandas_fillna", HOLES, marks=pytest.mark.skipif(
        _installed("pandas") < Version("3"), reason="pandas 2 fills in place")),
    pytest.param("pandas_fillna_warning", UNWARNED, marks=pytest.mark.skipif(
        not Version("2.2") <= _installed("pandas") < Version("3"), reason="this pandas does not warn")),
    pytest.param("pandas_agg_len", SEQUENCES, marks=pytest.mark.skipif(
        _installed("pandas") < Version("3"), reason="pandas 2 applies it to each")),
    pytest.param("torch_load", RUN, marks=pytest.mark.skipif(
        _installed("torch") < Version("2.6"), reason="this torch unpickles fully by default")),
    pytest.param("amp_names", QUIET, marks=pytest.mark.skipif(
        _installed("torch") < Version("2.4"), reason="this torch does not deprecate torch.cuda.amp")),
    pytest.param("plain_metrics", PRINTED, marks=pytest.mark.skipif(
        _installed("numpy") < Version("2"), reason="numpy 1 prints plain numbers")),
    pytest.param("dok_matrix_update", GRAPH, marks=pytest.mark.skipif(
        _installed("scipy") < Version("1.13"), reason="this scipy still has it")),
    pytest.param("exhaustive_search_draws", EXHAUSTIVE, marks=pytest.mark.skipif(
        _installed("hyperopt") < Version("0.2.6"), reason="no hyperopt, or one that takes a RandomState")),
    pytest.param("distributed_on_cpu", DISTRIBUTED),
    pytest.param("distributed_checkpoint", CHECKPOINT, marks=two_ranks),
    pytest.param("distributed_evaluation", EVALUATION, marks=two_ranks),
    # most of a minute; test_distributed.py shows in every run that it is enough
    pytest.param("distributed_batches", BATCHES, marks=[two_ranks, pytest.mark.slow]),
    pytest.param("folders_made_together", FOLDERS),
    pytest.param("barrier_after_download", DOWNLOAD),
    pytest.param("gpus_of_the_job", GPUS),
    pytest.param("counts_stay_numbers", COUNTS),
    pytest.param("anomaly_detection", ANOMALY),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name, code", NEEDED)
def test_adjustment_is_needed_and_enough(name, code, shop, holes, tmp_path):
    def start(skipped, folder):  # the two side by side, each in a folder of its own
        shutil.copytree(tmp_path / "dataset", folder / "dataset")
        own = code.replace("PORT", str(find_port()))
        return pool.submit(run, own, skipped=skipped, before=BEFORE.get(name, ""), folder=folder)

    with ThreadPoolExecutor(2) as pool:
        without, adjusted = start(name, tmp_path / "without"), start("", tmp_path / "adjusted")
    assert without.result().returncode != 0, f"RecBole works without {name}: drop it"
    assert adjusted.result().returncode == 0, adjusted.result().stderr[-3000:]


# One file a check; a check fails where the adjustment of its name is missing.
PROMISES = """
import logging, os, pathlib, pickle, sys, traceback
from recbole.config import Config
from recbole.data import create_dataset
from recbole.utils import get_local_time, init_logger
from recbole.trainer import HyperTuning, trainer

def config(**given):
    return Config(model="SASRec", dataset="late", config_dict=dict(
        state="ERROR", train_neg_sample_args=None, use_gpu=False, MAX_ITEM_LIST_LENGTH=400, load_col=None,
        **given))

def write(lines):
    folder = pathlib.Path("dataset/late")
    folder.mkdir(parents=True, exist_ok=True)
    head = "user_id:token\\titem_id:token\\ttimestamp:float"
    folder.joinpath("late.inter").write_text("\\n".join([head, *lines]) + "\\n")

def history(**given):
    test = create_dataset(config(**given)).build()[2]
    row, length = test.inter_feat["item_id_list"][0], int(test.inter_feat["item_length"][0])
    return test.id2token("item_id", [*row[:length].tolist(), int(test.inter_feat["item_id"][0])]).tolist()

def exact_times():
    write([f"u\\ti{n}\\t{1_600_000_000 + n}" for n in reversed(range(30))])
    assert history() == [f"i{n}" for n in range(30)]

def stable_duplicates():
    write([f"u\\ti{n}\\t{n % 3}" for n in range(300)])
    assert history(rm_dup_inter="first") == [f"i{n}" for m in range(3) for n in range(m, 300, 3)]

def unique_names():
    assert len({get_local_time() for _ in range(50)}) == 50

def unique_tensorboard():
    logger = logging.Logger("own")
    logger.addHandler(logging.FileHandler("SAM-my.shop.log", delay=True))
    assert trainer.get_tensorboard(logger).log_dir != trainer.get_tensorboard(logger).log_dir

def quiet_log_file():
    init_logger(config())
    files = [each for each in logging.getLogger().handlers if isinstance(each, logging.FileHandler)]
    assert files and all("handleError" in vars(each) for each in files)

def saved_files():
    pathlib.Path("saved").mkdir(exist_ok=True)
    pathlib.Path("saved/late-SequentialDataset.pth").write_bytes(b"garbage")
    create_dataset(config())

def settings_are_literals():
    config(mine="open('ran-1', 'w')")
    assert not os.path.exists("ran-1")

def ranges_are_literals():
    pathlib.Path("x.hyper").write_text("n_layers choice [open('ran-2','w')]")
    try:
        HyperTuning(len, params_file="x.hyper")
    except Exception:
        pass
    assert not os.path.exists("ran-2")

for check in (exact_times, stable_duplicates, unique_names, unique_tensorboard, quiet_log_file, saved_files,
              settings_are_literals, ranges_are_literals):
    try:
        check()
    except Exception:
        traceback.print_exc()
        print(check.__name__)
    for leftover in ("saved/late-SequentialDataset.pth",):
        pathlib.Path(leftover).unlink(missing_ok=True)
"""
OF_PROMISES = re.findall(r"^def (\w+)\(\):", PROMISES, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.skipif(_installed("hyperopt") == Version("0"), reason="hyperopt is not installed")
def test_adjustments_that_keep_our_promises_are_needed_and_enough(tmp_path):
    """Together in two processes: each check alone would take ten seconds."""
    (tmp_path / "with").mkdir()
    (tmp_path / "without").mkdir()
    without = run(PROMISES, skipped=",".join(OF_PROMISES), folder=tmp_path / "without")
    assert without.stdout.split() == OF_PROMISES, without.stderr[-3000:]
    adjusted = run(PROMISES, folder=tmp_path / "with")
    assert adjusted.returncode == 0 and adjusted.stdout == "", adjusted.stderr[-3000:]


def test_every_adjustment_has_a_test():
    tested = [case.values[0] for case in NEEDED] + OF_PROMISES
    assert sorted(step.__name__ for step in compat.STEPS) == sorted(tested)


@pytest.mark.slow
@pytest.mark.skipif(_installed("torch") < Version("2.6"), reason="this torch unpickles fully by default")
def test_only_recbole_gets_full_unpickling(shop):
    done = run(PRELOADED)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.slow
def test_stand_in_for_ray_is_not_left_behind(shop):
    done = run("""
import recbole.quick_start
fake = sys.modules.get("ray")
assert fake is None or getattr(fake, "__file__", None), fake
""")
    assert done.returncode == 0, done.stderr[-2000:]


def test_applying_twice_changes_nothing():
    assert compat.apply() is compat.apply()


@pytest.mark.parametrize("package, expected", [("no-such-package", None)])
def test_version_of_absent_package(package, expected):
    assert compat.version(package) is expected


def test_version_is_numbers():
    assert compat.version("recbole") == (1, 2, 1)
