"""Full ranking of all users through RecBole's own ``Trainer.evaluate``."""

import torch
from recbole.data.dataloader import FullSortEvalDataLoader
from recbole.model.abstract_recommender import SequentialRecommender

from benchmarks.speed import memory, workload
from benchmarks.speed.setup import Row
from benchmarks.speed.training import trainer
from benchmarks.speed.turns import take_turns

UNCHUNKED = {"full": 8_192, "guard": 2_048, "quick": 200}  # users ranked in one batch, for comparison
CHUNK = 100  # and in how small ones


class Free(SequentialRecommender):
    """A model whose scores cost nothing: what is left is RecBole's evaluation."""

    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        self.scores = torch.randn(config["eval_batch_size"], self.n_items, device=config["device"])
        self.parameter = torch.nn.Parameter(torch.zeros(1))  # Trainer makes an optimizer

    def full_sort_predict(self, interaction):
        return self.scores[: len(interaction)]


def measure(setup):
    """The rows of the group.

    Args:
        setup (Setup): of the run.

    Returns:
        list of Row: time against SASRec with the check that chunks change no metric.
    """
    shop = workload.SHOPS[setup.size]
    _, _, test = workload.parts(setup, shop)
    config = workload.config("SAM", setup, shop)
    trainers = {name: trainer(name, setup, shop, test) for name in ("SASRec", "SAM")}
    trainers["scores for free"] = type(trainers["SAM"])(config, Free(config, test).to(config["device"]))
    loader = FullSortEvalDataLoader(config, test, None)
    ways = {name: (lambda t=t: t.evaluate(loader, load_best_model=False)) for name, t in trainers.items()}
    times = take_turns(ways, setup, warm_up=setup.device == "cuda")
    few = test.copy(test.inter_feat[: UNCHUNKED[setup.size]])
    sam = trainers["SAM"]
    peaks = {name: memory.alone(peak, setup, name) for name in ("SASRec", "SAM")}
    identical = evaluated(sam, setup, shop, few, len(few)) == evaluated(sam, setup, shop, few, CHUNK)
    ratio = times["SAM"] / times["SASRec"]
    memory_ratio = peaks["SAM"] / peaks["SASRec"]
    floor = times["scores for free"] / times["SASRec"]
    return [
        Row(
            group="evaluation",
            name="full ranking",
            what=f"full ranking of {len(test):,} users x {shop.items:,} items through Trainer.evaluate, "
            "SAM / RecBole SASRec",
            target="at most 0.6 x, metrics identical to the unchunked path",
            measured=f"{ratio:.2f} x ({times['SAM']:.1f} / {times['SASRec']:.1f} s); a model whose scores "
            f"cost nothing {floor:.2f} x, that is RecBole's own top K and matrix of positives; metrics of "
            f"{len(few):,} users in one batch and in batches of {CHUNK} "
            f"{'identical' if identical else 'DIFFERENT'}; peak memory of a batch {memory_ratio:.2f} x",
            prediction="0.75 x: both pay for the scores of all items, their top 10 and RecBole's positives",
            stayed="titles and phrases projected once an evaluation, not once a batch (2026-11-24, 0.59 x to "
            "0.48 x): stayed",
            value=ratio if identical else float("inf"),
            limit=0.6,
            details={
                "seconds": times,
                "ratio": ratio,
                "ratio of scores for free": floor,
                "peak bytes": peaks,
                "identical": identical,
            },
        )
    ]


def evaluated(model_trainer, setup, shop, part, batch):
    """RecBole's metrics of a part in batches of some users."""
    config = workload.config("SAM", setup, shop, eval_batch_size=batch)
    return dict(model_trainer.evaluate(FullSortEvalDataLoader(config, part, None), load_best_model=False))


def peak(setup, model):
    """What a fresh process is asked: bytes that a batch of RecBole's default size adds to data and model."""
    shop = workload.FEW_USERS[setup.size]
    with setup.limits():
        test = workload.parts(setup, shop)[2]
        batch = workload.config(model, setup, shop)["eval_batch_size"]
        model_trainer = trainer(model, setup, shop, test)
        few = test.copy(test.inter_feat[:batch])
        return memory.peak_of(lambda: evaluated(model_trainer, setup, shop, few, batch), setup.device)
