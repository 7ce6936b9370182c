"""RecBole 1.2.1 on today's Python stack.

One small named function an adjustment, each with the reason and the upstream issue beside it. A function
looks whether it is needed here, changes RecBole (or what RecBole sees) only then, and returns whether it
did. RecBole's files are never copied and the installed package is never written to.

Checked combinations stand in ``docs/compatibility.md``.
"""

import contextlib
import functools
import importlib.metadata
import importlib.util
import os
import sys
import types
import warnings
from typing import NamedTuple


class Adjustment(NamedTuple):
    """What was looked at, and whether RecBole had to be bent."""

    name: str
    reason: str
    upstream: str
    applied: bool


_STEPS = []
_report = None


def _step(reason, upstream):
    def register(function):
        function.reason, function.upstream = reason, upstream
        _STEPS.append(function)
        return function

    return register


def apply():
    """Applies every adjustment that this machine needs, once a process.

    Returns:
        tuple of Adjustment: all of them, in order, with ``applied`` telling which were needed.
    """
    global _report
    if _report is None:
        _report = tuple(
            Adjustment(step.__name__, step.reason, step.upstream, bool(step())) for step in _STEPS
        )
    return _report


def version(package):
    """The installed version of a package as a tuple of its leading integers; None when it is absent."""
    try:
        text = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
    numbers = []
    for part in text.split("+")[0].split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
    return tuple(numbers)


@_step("RecBole reads names that numpy 1.24 and 2.0 removed (np.float, np.float_, ...)", "#2174, #2203")
def numpy_names():
    import numpy as np

    missing = {
        "float_": np.float64,
        "complex_": np.complex128,
        "unicode_": np.str_,
        # Config.__init__ sets these itself; a dataset or checkpoint that is unpickled needs them before.
        "float": float,
        "int": int,
        "object": object,
        "str": str,
    }
    with warnings.catch_warnings():  # numpy warns when a removed name is merely asked for
        warnings.simplefilter("ignore")
        missing = {name: value for name, value in missing.items() if not hasattr(np, name)}
    for name, value in missing.items():
        setattr(np, name, value)
    return missing


@_step("RecBole imports ray, for one call of tune.report; ray <= 2.6.3 cannot be imported with numpy 2 or "
       "setuptools 82, has no wheel for Python 3.12, and later versions changed the call", "#2155, #2215")
def ray_tune():
    if _ray_can_be_imported():
        return False
    stand_in = types.ModuleType("ray")
    stand_in.tune = types.ModuleType("ray.tune")
    stand_in.tune.report = _report_to_live_ray
    with _stand_ins(stand_in, stand_in.tune):
        import recbole.quick_start.quick_start  # noqa: F401  binds the stand-in as its own ``tune``
    return True


def _ray_can_be_imported():
    """Whether the ray that is installed is one that RecBole can use, told without importing it."""
    installed = version("ray")
    return bool(
        installed
        and installed <= (2, 6, 3)
        and version("numpy") < (2,)
        and importlib.util.find_spec("pkg_resources")
    )


@contextlib.contextmanager
def _stand_ins(*modules):
    """Modules that can be imported inside; after it, nobody may mistake them for those they stand in for."""
    names = [module.__name__ for module in modules]
    saved = {name: sys.modules[name] for name in names if name in sys.modules}
    sys.modules.update(zip(names, modules, strict=True))
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]
        sys.modules.update(saved)


def _report_to_live_ray(**metrics):
    """``tune.report`` of RecBole's dialect, for the ray that runs this process; outside ray, nothing."""
    tune = sys.modules.get("ray.tune")
    if tune is None:
        return
    if version("ray") <= (2, 6, 3):
        tune.report(**metrics)
        return
    session = tune if hasattr(tune, "get_context") else sys.modules["ray.train"]  # where older rays have it
    with warnings.catch_warnings():  # ray warns when it is asked outside a trial
        warnings.simplefilter("ignore")
        trial = session.get_context().get_trial_id()
    if trial is not None:
        session.report(metrics)


@_step("in a worker of Ray, RecBole takes Ray's own command line for its settings", "none yet")
def ray_worker_words():
    if os.path.basename(sys.argv[0]) != "default_worker.py":
        return False
    from recbole.config.configurator import Config

    Config._load_cmd_line = lambda self: {}
    return True


@_step("thop, with which RecBole counts operations, imports distutils, which Python 3.12 removed", "none yet")
def thop_distutils():
    if importlib.util.find_spec("distutils") is not None:  # setuptools brings its own
        return False
    from torch.torch_version import TorchVersion

    stand_in = types.ModuleType("distutils")
    stand_in.version = types.ModuleType("distutils.version")
    stand_in.version.LooseVersion = TorchVersion  # thop compares versions of torch, nothing else
    with _stand_ins(stand_in, stand_in.version):
        import thop.profile  # noqa: F401
    return True


@_step("pandas 3 turns df[field].fillna(inplace=True) into a no-op, so missing values would stay", "none yet")
def pandas_fillna():
    if version("pandas") < (3,):
        return False
    import pandas as pd
    from recbole.data.dataset import dataset as module
    from recbole.utils import FeatureType

    class PandasWithFilledSequences:
        """pandas as ``recbole.data.dataset.dataset`` sees it: sequence columns are read without holes."""

        def __getattr__(self, name):
            return getattr(pd, name)

        @staticmethod
        def read_csv(*args, **kwargs):
            frame = pd.read_csv(*args, **kwargs)
            sequences = [column for column in frame if column.endswith("_seq")]
            return frame.fillna(dict.fromkeys(sequences, ""))

    fill_nan = module.Dataset._fill_nan

    @functools.wraps(fill_nan)
    def filled(self):
        for feat_name in self.feat_name_list:
            feat = getattr(self, feat_name)
            for field in feat:
                if self.field2type[field] == FeatureType.TOKEN:
                    feat[field] = feat[field].fillna(0)
                elif self.field2type[field] == FeatureType.FLOAT:
                    feat[field] = feat[field].fillna(feat[field].mean())
        with _quiet_chained_assignment():
            return fill_nan(self)

    load_feat = module.Dataset._load_feat

    @functools.wraps(load_feat)
    def quiet_load_feat(self, filepath, source):
        with _quiet_chained_assignment():
            return load_feat(self, filepath, source)

    to_interaction = module.Dataset._dataframe_to_interaction

    @functools.wraps(to_interaction)
    def quiet_to_interaction(self, data):
        with warnings.catch_warnings():  # pandas 3 hands out read-only arrays; RecBole only reads them
            warnings.filterwarnings("ignore", message=".*not writable.*")
            return to_interaction(self, data)

    module.pd = PandasWithFilledSequences()
    module.Dataset._dataframe_to_interaction = quiet_to_interaction
    module.Dataset._fill_nan = filled
    module.Dataset._load_feat = quiet_load_feat
    return True


@_step("pandas 2.2 warns in every run of the same fillna, which still works there", "none yet")
def pandas_fillna_warning():
    if not (2, 2) <= version("pandas") < (3,):
        return False
    warnings.filterwarnings(
        "ignore", message="A value is trying to be set on a copy", category=FutureWarning,
        module=r"recbole\.data\.",
    )  # fmt: skip
    return True


@_step("pandas 3 applies agg(len) to a column as a whole; RecBole means each sequence in it", "none yet")
def pandas_agg_len():
    if version("pandas") < (3,):
        return False
    import pandas as pd

    agg = pd.Series.agg

    @functools.wraps(agg)
    def agg_for_recbole(self, func=None, *args, **kwargs):
        if func is len and _called_by_recbole():
            return self.map(len)
        return agg(self, func, *args, **kwargs)

    pd.Series.agg = agg_for_recbole
    return True


def _called_by_recbole():
    """Whether the function that asks was called from RecBole's own code, and not from anybody else's."""
    return sys._getframe(2).f_globals.get("__name__", "").startswith("recbole.")


@contextlib.contextmanager
def _quiet_chained_assignment():
    """RecBole's own fillna calls find nothing left to fill, so pandas' warning about them says nothing."""
    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pd.errors.ChainedAssignmentError)
        yield


@_step("torch 2.6 loads weights only by default, but RecBole's checkpoints hold a pickled Config",
       "#2174, #2212, #2215")
def torch_load():
    import torch

    if version("torch") < (2, 6):
        return False
    load = torch.load

    @functools.wraps(load)
    def load_for_recbole(*args, **kwargs):
        # Full unpickling runs code: only RecBole's own call sites, which read RecBole's own files, get it.
        if _called_by_recbole():
            kwargs.setdefault("weights_only", False)
        return load(*args, **kwargs)

    torch.load = load_for_recbole
    return True


@_step("torch.cuda.amp is deprecated since torch 2.4 and warns in every epoch", "#2174")
def amp_names():
    import torch

    if version("torch") < (2, 4):
        return False
    from recbole.trainer import trainer

    trainer.amp = types.SimpleNamespace(
        GradScaler=functools.partial(torch.amp.GradScaler, "cuda"),
        autocast=functools.partial(torch.amp.autocast, "cuda"),
    )
    return True


@_step("distributed training asks for NCCL and CUDA even where there is none", "#1684, #1811")
def distributed_on_cpu():
    import torch
    from recbole.config.configurator import Config
    from recbole.trainer import trainer

    if torch.cuda.is_available():
        return False
    init_device = Config._init_device

    @functools.wraps(init_device)
    def init_device_or_gloo(self):
        settings = self.final_config_dict
        if "local_rank" not in settings:
            return init_device(self)
        torch.distributed.init_process_group(
            backend="gloo",
            rank=settings["local_rank"] + settings["offset"],
            world_size=settings["world_size"],
            init_method=f"tcp://{settings['ip']}:{settings['port']}",
        )
        settings["gpu_id"] = str(settings["gpu_id"])
        settings["device"] = torch.device("cpu")
        settings["single_spec"] = False
        if settings["local_rank"] != 0:
            settings["state"] = "error"
            settings["show_progress"] = False
            settings["verbose"] = False

    distributed_data_parallel = trainer.DistributedDataParallel

    @functools.wraps(distributed_data_parallel)
    def parallel_on_cpu(model, device_ids=None, **kwargs):
        return distributed_data_parallel(model, **kwargs)  # device ids must be None on a CPU

    Config._init_device = init_device_or_gloo
    trainer.DistributedDataParallel = parallel_on_cpu
    return True


@_step("in distributed training each process names the checkpoint by its own clock, and reads it while the "
       "first may still be writing", "#1684, #1811")
def distributed_checkpoint():
    import torch
    from recbole.trainer.trainer import Trainer

    initialise, evaluate = Trainer.__init__, Trainer.evaluate

    @functools.wraps(initialise)
    def initialise_together(self, config, model):
        initialise(self, config, model)
        if not config["single_spec"]:
            name = [self.saved_model_file]
            torch.distributed.broadcast_object_list(name, src=0)
            self.saved_model_file = name[0]

    @functools.wraps(evaluate)
    def evaluate_together(self, eval_data, load_best_model=True, model_file=None, show_progress=False):
        if load_best_model and not self.config["single_spec"]:
            torch.distributed.barrier()
        return evaluate(self, eval_data, load_best_model, model_file, show_progress)

    Trainer.__init__ = initialise_together
    Trainer.evaluate = evaluate_together
    return True


@_step("in distributed evaluation some users count twice, so that all ranks have as many, and the metrics of "
       "the ranks are averaged by numbers of batches, whether they are means over users or not", "#1872")
def distributed_evaluation():
    import torch
    from recbole.data.dataloader import FullSortEvalDataLoader, NegSampleEvalDataLoader
    from recbole.evaluator import Collector
    from recbole.trainer.trainer import Trainer

    for loader in (FullSortEvalDataLoader, NegSampleEvalDataLoader):
        _sample_with(_RankBlock, loader)
    get_data_struct = Collector.get_data_struct

    @functools.wraps(get_data_struct)
    def data_of_all_ranks(self):
        struct = get_data_struct(self)
        if self.config["single_spec"]:
            return struct
        # What the collector has just forgotten is about users; the rest (item counts, ...) is known to all.
        own = {key: value for key, value in struct._data_dict.items() if key not in self.data_struct}
        parts = [None] * torch.distributed.get_world_size()
        torch.distributed.all_gather_object(parts, own)
        for key in dict.fromkeys(key for part in parts for key in part):
            struct.set(key, torch.cat([part[key] for part in parts if key in part]))
        return struct

    Collector.get_data_struct = data_of_all_ranks
    Trainer._map_reduce = lambda self, result, num_sample: result  # every rank has the metrics of all users
    return True


@_step("distributed training shuffles in one way whatever the seed, trains on some samples twice, so that "
       "all ranks have as many, and reports the loss of the first rank alone", "#1872")
def distributed_batches():
    import torch
    from recbole.data.dataloader import TrainDataLoader, UserDataLoader
    from recbole.trainer.trainer import Trainer

    for loader in (TrainDataLoader, UserDataLoader):
        _sample_with(_RankShares, loader)
    train_epoch = Trainer._train_epoch

    @functools.wraps(train_epoch)
    def train_epoch_together(self, train_data, epoch_idx, loss_func=None, show_progress=False):
        sampler = getattr(train_data, "sampler", None)  # knowledge graph loaders have none, but two inside
        if self.config["single_spec"] or not isinstance(sampler, _RankShares):
            return train_epoch(self, train_data, epoch_idx, loss_func, show_progress)
        loss_func = loss_func or self.model.calculate_loss
        weights = sampler.weights()

        def weighted_loss(interaction):
            losses, weight = loss_func(interaction), next(weights)
            if isinstance(losses, tuple):
                return tuple(loss * weight for loss in losses)
            return losses * weight

        losses = train_epoch(self, train_data, epoch_idx, weighted_loss, show_progress)
        total = torch.tensor(losses, dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(total)
        total = (total / torch.distributed.get_world_size()).tolist()
        return tuple(total) if isinstance(losses, tuple) else total

    Trainer._train_epoch = train_epoch_together
    return True


@_step("metrics that need counts of the data (ItemCoverage, GiniIndex, AveragePopularity, TailPercentage) "
       "stop the run: RecBole moves the counts to the CPU as if they were tensors", "#2191, #2194, #2209")
def counts_stay_numbers():
    import torch
    from recbole.evaluator import Collector

    get_data_struct = Collector.get_data_struct

    @functools.wraps(get_data_struct)
    def data_with_counts(self):
        collected = self.data_struct._data_dict
        counts = {key: value for key, value in collected.items() if not isinstance(value, torch.Tensor)}
        for key in counts:
            del collected[key]
        struct = get_data_struct(self)
        for key, value in counts.items():
            struct.set(key, value)
            collected[key] = value
        return struct

    Collector.get_data_struct = data_with_counts
    return True


def _sample_with(sampler, loader_class):
    """Loaders of a class get a sampler of ours where RecBole asks torch for its ``DistributedSampler``."""
    from torch.utils.data import distributed

    initialise = loader_class.__init__

    @functools.wraps(initialise)
    def initialise_with_sampler(self, *args, **kwargs):
        usual = distributed.DistributedSampler
        distributed.DistributedSampler = functools.partial(sampler, self)
        try:
            initialise(self, *args, **kwargs)
        finally:
            distributed.DistributedSampler = usual

    loader_class.__init__ = initialise_with_sampler


class _RankBlock:
    """A sampler of one rank's block of the evaluated users: the blocks, in rank order, are all users."""

    def __init__(self, loader, data, shuffle, drop_last):
        self._size = len(data)

    def _block(self):
        rank, ranks = _rank_and_ranks()
        return range(self._size * rank // ranks, self._size * (rank + 1) // ranks)

    def __iter__(self):
        return iter(self._block())

    def __len__(self):
        # RecBole skips the evaluation with a loader of length 0, but a rank without users must take part.
        return min(max(len(self._block()), 1), self._size)


class _RankShares:
    """A sampler of one rank's share of every batch that a run of one process would train on.

    Shares of a batch differ by at most one sample. A rank whose share of the last batch is empty gets one
    sample with weight 0, since torch averages the gradients of all ranks.
    """

    def __init__(self, loader, data, shuffle, drop_last):
        self._loader, self._size, self._shuffle = loader, len(data), shuffle

    def _batches(self, order):
        size = self._loader.batch_size * _rank_and_ranks()[1]
        return [order[start : start + size] for start in range(0, self._size, size)]

    def __iter__(self):
        from torch.utils.data import RandomSampler

        rank, ranks = _rank_and_ranks()
        order = range(self._size)
        if self._shuffle:
            # the loader's generator is what one process shuffles with, too
            order = list(RandomSampler(order, generator=self._loader.generator))
        for batch in self._batches(order):
            yield from batch[rank::ranks] or batch[:1]

    def __len__(self):
        rank, ranks = _rank_and_ranks()
        return sum(max(len(batch[rank::ranks]), 1) for batch in self._batches(range(self._size)))

    def weights(self):
        """Yields what makes the mean over the ranks' losses, batch by batch, the mean over the batch."""
        rank, ranks = _rank_and_ranks()
        for batch in self._batches(range(self._size)):
            yield len(batch[rank::ranks]) * ranks / len(batch)

    def set_epoch(self, epoch):
        """Nothing to do: the loader's generator goes on from epoch to epoch, as in one process."""


def _rank_and_ranks():
    """This process's rank and the number of ranks; a checkpoint of many may be read by one process."""
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


@_step("two processes that make the same folder at once: the second one fails", "#1684, #1811")
def folders_made_together():
    from recbole.utils.utils import ensure_dir

    def make(dir_path):
        os.makedirs(dir_path, exist_ok=True)

    ensure_dir.__code__ = make.__code__  # RecBole's modules hold this function, not its name
    return True


@_step("after a download RecBole waits for other processes even when there are none", "#1989, #2050")
def barrier_after_download():
    import torch
    from recbole.data.dataset.dataset import Dataset

    download = Dataset._download

    @functools.wraps(download)
    def download_alone(self):
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            return download(self)
        barrier = torch.distributed.barrier
        torch.distributed.barrier = lambda *args, **kwargs: None
        try:
            return download(self)
        finally:
            torch.distributed.barrier = barrier

    Dataset._download = download_alone
    return True


@_step("numpy 2 prints np.float64(0.1) where RecBole's result lines used to print 0.1", "#2203")
def plain_metrics():
    if version("numpy") < (2,):
        return False
    from recbole.evaluator.evaluator import Evaluator

    evaluate = Evaluator.evaluate

    @functools.wraps(evaluate)
    def evaluate_plain(self, dataobject):
        result = evaluate(self, dataobject)
        for metric, value in result.items():
            result[metric] = float(value)
        return result

    Evaluator.evaluate = evaluate_plain
    return True


@_step("scipy 1.13 removed dok_matrix._update, with which RecBole's graph models fill their matrix",
       "#2034, #2090, #2185")
def dok_matrix_update():
    from scipy.sparse import dok_matrix

    if hasattr(dok_matrix, "_update"):
        return False

    def update(self, data):
        self._dict.update(data)

    dok_matrix._update = update
    return True


@_step("importing any sequential model of RecBole imports SINE, which turns on autograd's anomaly detection: "
       "a debugging aid that slows the training of all models", "none yet")
def anomaly_detection():
    import torch

    before = torch.is_anomaly_enabled()
    importlib.import_module("recbole.model.sequential_recommender.sine")
    after = torch.is_anomaly_enabled()
    torch.autograd.set_detect_anomaly(before)
    return after and not before


@_step("hyperopt 0.2.6 draws from numpy's Generator, but RecBole's exhaustive search hands it a RandomState",
       "#1081, #1240, #1868")
def exhaustive_search_draws():
    if (version("hyperopt") or (0,)) < (0, 2, 6):
        return False
    import numpy as np
    from recbole.trainer import hyper_tuning as module

    class NumpyWithGenerators:
        """numpy as ``recbole.trainer.hyper_tuning`` sees it: a RandomState is a Generator."""

        random = types.SimpleNamespace(RandomState=np.random.default_rng)

        def __getattr__(self, name):
            return getattr(np, name)

    module.np = NumpyWithGenerators()
    return True
