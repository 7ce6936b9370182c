"""RecBole in several processes: one result, whatever their number."""

import functools
import os

from recbole_sam.compat.samplers import RankBlock, RankShares
from recbole_sam.compat.steps import step


@step(
    "distributed training asks for NCCL and CUDA even where there is none, or use_gpu is False",
    "#1684, #1811",
)
def distributed_on_cpu():
    import torch
    from recbole.config.configurator import Config
    from recbole.trainer import trainer

    init_device = Config._init_device

    @functools.wraps(init_device)
    def init_device_or_gloo(self):
        settings = self.final_config_dict
        if "local_rank" not in settings or (settings["use_gpu"] and torch.cuda.is_available()):
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
    def parallel_or_on_cpu(model, device_ids=None, **kwargs):
        if next(model.parameters()).device.type == "cpu":
            device_ids = None
        return distributed_data_parallel(model, device_ids=device_ids, **kwargs)

    Config._init_device = init_device_or_gloo
    trainer.DistributedDataParallel = parallel_or_on_cpu


@step(
    "in distributed training each process names the checkpoint by its own clock, and reads it while the "
    "first may still be writing",
    "#1684, #1811",
)
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


@step(
    "in distributed evaluation some users count twice, so that all ranks have as many, and the metrics of "
    "the ranks are averaged by numbers of batches, whether they are means over users or not",
    "#1872",
)
def distributed_evaluation():
    import torch
    from recbole.data.dataloader import FullSortEvalDataLoader, NegSampleEvalDataLoader
    from recbole.evaluator import Collector
    from recbole.trainer.trainer import Trainer

    for loader in (FullSortEvalDataLoader, NegSampleEvalDataLoader):
        _sample_with(RankBlock, loader)
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


@step(
    "distributed training shuffles in one way whatever the seed, trains on some samples twice, so that "
    "all ranks have as many, and reports the loss of the first rank alone",
    "#1872",
)
def distributed_batches():
    import torch
    from recbole.data.dataloader import TrainDataLoader, UserDataLoader
    from recbole.trainer.trainer import Trainer

    for loader in (TrainDataLoader, UserDataLoader):
        _sample_with(RankShares, loader)
    train_epoch = Trainer._train_epoch

    @functools.wraps(train_epoch)
    def train_epoch_together(self, train_data, epoch_idx, loss_func=None, show_progress=False):
        sampler = getattr(train_data, "sampler", None)  # knowledge graph loaders have none, but two inside
        if self.config["single_spec"] or not isinstance(sampler, RankShares):
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


@step("two processes that make the same folder at once: the second one fails", "#1684, #1811")
def folders_made_together():
    from recbole.utils.utils import ensure_dir

    def make(dir_path):
        os.makedirs(dir_path, exist_ok=True)

    ensure_dir.__code__ = make.__code__  # RecBole's modules hold this function, not its name


@step("after a download RecBole waits for other processes even when there are none", "#1989, #2050")
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
