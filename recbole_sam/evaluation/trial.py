"""One trial of a comparison, in a separate process: one model, one seed, trained and ranked by RecBole.

``python -m recbole_sam.evaluation.trial JOB`` reads ``JOB/job.json`` and leaves ``ranks.npz`` and, last of
all, ``result.json`` beside it. A separate process because a model may change its process (threads, random
state, GPU memory) and because its peak memory is one of the results.
"""

import json
import statistics
import sys
import threading
import time
from functools import wraps
from logging import getLogger
from pathlib import Path

import numpy as np

from recbole_sam.config import mistakes
from recbole_sam.errors import DataError, RecBoleSAMError
from recbole_sam.evaluation import json_file

JOB, RESULT, RANKS, LOG = "job.json", "result.json", "ranks.npz", "log.txt"
FAILED = 1


def main(folder):
    """Runs the job in a folder and writes its result; a failure becomes a result with its reason.

    Args:
        folder (str): holds ``job.json``: ``label``, ``given`` (settings as ``--key=value`` gives them),
            ``split`` (path of the common split), ``chosen_by`` (the protocol that chooses the best epoch),
            ``threads``, ``tuned`` (dict or None), ``shown`` (dict).

    Returns:
        int: 0, or 1 when the trial failed.
    """
    folder = Path(folder)
    job = json.loads((folder / JOB).read_text(encoding="utf-8"))
    head = {
        "model": job["label"],
        "class": job["given"]["model"],
        "seed": int(job["given"]["seed"]),
        "settings": job["shown"],
        "tuned": job["tuned"],
    }
    try:
        result, ranks = run_trial(job, folder)
        keep_ranks(folder, ranks)
        write_result(folder, {**head, "status": "done", **result})
        return 0
    except RecBoleSAMError as error:
        why, fault = str(error), None
    except Exception as error:  # whatever a model raises is the reason why this trial failed; the rest go on
        why, fault = reason(error, folder / LOG), error
    # Not before: an exception holds on to what it was about, such as a checkpoint that filled the disk.
    write_result(folder, {**head, "status": "failed", "reason": why})
    if fault is not None:
        raise fault
    return FAILED


def reason(error, log):
    """An unexpected exception as one sentence that names the log with its traceback."""
    text = " ".join(str(error).split()) or "no message"
    return f"{type(error).__name__}: {text[:300]} (traceback in {log})"


def keep_ranks(folder, ranks):
    """Writes ``ranks.npz``: int32 [n] for each protocol, in the order of the split; 0 is a user left out."""
    with json_file.writing(folder / RANKS), open(folder / RANKS, "wb") as file:
        np.savez_compressed(file, **ranks)


def write_result(folder, result):
    """Writes ``result.json`` all at once: where it is, the trial is over."""
    json_file.write(folder / RESULT, result)


def run_trial(job, folder):
    """Trains, tests and ranks, step by step as RecBole's ``run_recbole`` does, with the same random state.

    Args:
        job (dict): as in :func:`main`.
        folder (Path): for the checkpoint, which is removed at the end.

    Returns:
        tuple: the result (dict, JSON-able) and the ranks (dict of int32 [n], in the order of the split).

    Raises:
        DataError: this model's data is not the common split.
        RecBoleSAMError: anything else a user can fix.
    """
    from recbole_sam.evaluation.split import load

    split = load(Path(job["split"]))
    experiment = Experiment(job["given"], job["threads"], folder, masked_by(split, job["chosen_by"]))
    check_split(experiment, split)
    with mistakes.running(experiment.config):
        curve = experiment.fit(saved=True)
        test, ranks = experiment.test(split)
    for file in folder.glob("*.pth"):
        file.unlink()
    return {**experiment.facts(curve), "test": test}, ranks


def masked_by(split, chosen_by):
    """What validation masks: the known items if masked ranking chooses the best epoch, else None."""
    return split.known.before_validation() if chosen_by == "masked" else None


def check_split(experiment, split):
    """Refuses a model whose users, items or samples differ from the common ones.

    Raises:
        DataError: naming what differs.
    """
    from recbole_sam.evaluation.split import checksums, differences

    _, valid, test = experiment.data
    differ = differences(split.parts, checksums(test.dataset, valid.dataset, test.dataset))
    if differ:
        raise DataError(
            f"{experiment.config['model']} sees other data than the comparison ({', '.join(differ)}): its "
            "settings change the split, the filters, the history length or the catalogue; or the dataset "
            "changed since the run began, then give another --run folder."
        )


class Experiment:
    """RecBole's configuration, data, model and trainer of one trial.

    Args:
        given (dict): settings as ``--key=value`` gives them, model, dataset and seed among them.
        threads (int or None): CPU threads of torch; None leaves them.
        folder (Path): for the checkpoint.
        masked (KnownItems or None): what users have before their validation targets, to choose the best epoch
            in masked ranking; None for full ranking, as RecBole validates.

    Raises:
        RecBoleSAMError: a setting or the data is wrong.
    """

    def __init__(self, given, threads, folder, masked=None):
        import torch

        from recbole_sam.config.configuration import make_config

        if threads:
            torch.set_num_threads(threads)
        given = {**given, "checkpoint_dir": str(folder), "show_progress": "False"}
        self.config, self.masked = make_config(given), masked
        with mistakes.running(self.config):
            self._build(self.config)

    def _build(self, config):
        from recbole.data import create_dataset, data_preparation
        from recbole.data.transform import construct_transform
        from recbole.utils import get_flops, get_model, get_trainer, init_logger, init_seed

        from recbole_sam.evaluation.identity import identity
        from recbole_sam.evaluation.ranking.ranks import RankCollector

        init_seed(config["seed"], config["reproducibility"])
        init_logger(config)
        dataset = create_dataset(config)
        # Now: titles may be edited while it trains, and are not what it read.
        chosen_by = "full" if self.masked is None else "masked"
        self.identity, self.interests = identity(config, chosen_by), interest_facts(config)
        self.data = data_preparation(config, dataset)
        train = self.data[0]
        init_seed(config["seed"] + config["local_rank"], config["reproducibility"])
        self.model = get_model(config["model"])(config, train._dataset).to(config["device"])
        logger = getLogger()
        logger.info(self.model)
        # As in run_recbole, where this draws from the random state too: the same seed gives the same result.
        self.flops = get_flops(self.model, dataset, config["device"], logger, construct_transform(config))
        self.trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, self.model)
        if self.masked is not None:
            self.trainer.eval_collector = RankCollector(config, self.masked, masked=True)
        self.train_seconds, self.valid_seconds = [], []
        self.trainer._train_epoch = timed(self.trainer._train_epoch, self.train_seconds)
        self.trainer._valid_epoch = timed(self.trainer._valid_epoch, self.valid_seconds)

    def fit(self, saved):
        """Trains until RecBole's early stopping or the last epoch.

        Args:
            saved (bool): whether to keep the best model in the folder.

        Returns:
            list of dict: ``epoch`` (from 1), ``loss``, ``valid_score`` (None where none was taken) and
            ``seconds`` of training.
        """
        scores = {}
        train, valid, _ = self.data
        self.best_score, self.best_valid = self.trainer.fit(
            train, valid, saved=saved, callback_fn=scores.__setitem__
        )
        return [
            {"epoch": 1 + epoch, "loss": float(loss), "valid_score": scores.get(epoch), "seconds": seconds}
            for (epoch, loss), seconds in zip(
                self.trainer.train_loss_dict.items(), self.train_seconds, strict=True
            )
        ]

    def test(self, split):
        """Ranks the test targets with the model that was best on validation.

        Args:
            split (Split): the common one.

        Returns:
            tuple: RecBole's own test metrics (dict) in the protocol that chose the epoch, and the ranks of
            every protocol (dict of int32 [n], in the order of the split).
        """
        import torch

        from recbole_sam.evaluation.ranking.ranks import RankCollector

        table = torch.zeros((len(split.user_tokens), split.negatives.shape[1]), dtype=torch.long)
        table[torch.from_numpy(split.users)] = torch.from_numpy(split.negatives).long()
        collector = RankCollector(self.config, split.known, self.masked is not None, table)
        collector.data_collect(self.data[0])
        self.trainer.eval_collector = collector
        test = self.trainer.evaluate(self.data[2])
        users, ranks = collector.result()
        order = np.argsort(users)
        assert np.array_equal(users[order], split.users)  # check_split compared the samples
        return dict(test), {name: values[order].astype(np.int32) for name, values in ranks.items()}

    def facts(self, curve):
        """What is reported of a trained model beside its ranks, a JSON-able dict."""
        scored = [point for point in curve if point["valid_score"] is not None]
        sign = 1 if self.config["valid_metric_bigger"] else -1
        # the last of equal ones, which is what RecBole saved
        best = max(reversed(scored), key=lambda point: sign * point["valid_score"])
        memory, memory_of = peak_memory()
        return {
            "parameters": sum(p.numel() for p in self.model.parameters() if p.requires_grad),
            "flops": float(self.flops),
            "epochs": len(curve),
            "best_epoch": best["epoch"],
            "seconds_per_epoch": statistics.median(self.train_seconds),
            "users_per_second": len(self.data[1].dataset) / statistics.median(self.valid_seconds),
            "peak_memory_mb": memory,
            "memory_of": memory_of,
            "train_batch_size": self.config["train_batch_size"],
            "learning_rate": self.config["learning_rate"],
            "valid": dict(self.best_valid),
            "curve": curve,
            "interests": self.interests,
            "identity": self.identity,
        }


def interest_facts(config):
    """Who wrote and encoded the interests that a model reads and what they cost (dict or None)."""
    from recbole_sam.config.our_models import uses_interests
    from recbole_sam.data import store_location
    from recbole_sam.data.store import InterestStore
    from recbole_sam.interests import ledger

    if not uses_interests(config["model"]):
        return None
    path = store_location.path(config)
    made = InterestStore.open(path).fingerprint
    named = {part: made.get(part, {}).get("name", "unknown") for part in ("generator", "encoder")}
    return {**named, "cost": ledger.total(path) or "no language model was paid"}


def timed(function, seconds):
    """A function that also appends how long each call took to a list."""

    @wraps(function)
    def call(*args, **kwargs):
        start = time.perf_counter()
        result = function(*args, **kwargs)
        seconds.append(time.perf_counter() - start)
        return result

    return call


def peak_memory():
    """The most memory this process ever held.

    Returns:
        tuple: MB (float; 1 MB = 2**20 bytes), and "GPU" (what torch allocated there) or "process".
    """
    import resource

    import torch

    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated() / 2**20, "GPU"
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes / (2**20 if sys.platform == "darwin" else 2**10), "process"


def end_with_parent():
    """Ends this process when the one that started it is gone (it holds the other end of standard input)."""
    import os

    def watch():
        # not sys.stdin, whose lock a thread that waits in it holds when the interpreter shuts down
        while os.read(0, 1):
            pass
        os._exit(FAILED)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    end_with_parent()
    sys.exit(main(sys.argv[1]))
