"""Hyper-parameter search of one entry by RecBole's HyperTuning, on validation only, resumable by trial.

``python -m recbole_sam.evaluation.tuning JOB`` reads ``JOB/job.json``, keeps every trial in
``JOB/trials.jsonl`` the moment it ends, and leaves ``JOB/outcome.json``.
"""

import json
import os
import sys
from logging import getLogger
from pathlib import Path

from recbole_sam.errors import DataError, RecBoleSAMError, SettingError
from recbole_sam.evaluation import json_file, shapes, split
from recbole_sam.evaluation.entries import SAME_FOR_ALL
from recbole_sam.evaluation.trial import FAILED, JOB, LOG, Experiment, end_with_parent, masked_by, reason

OUTCOME, TRIALS, RANGES = "outcome.json", "trials.jsonl", "ranges.hyper"
WORST = -1.0
"""The validation score of a draw that breaks, below any HR, NDCG or MRR."""


def start(folder, job, ranges):
    """Makes the folder of a search; trials that an earlier one kept stay.

    Args:
        folder (Path): of the search.
        job (dict): ``given`` (settings), ``split`` (path of the common split), ``chosen_by`` (the protocol
            that judges), ``trials`` and ``threads``.
        ranges (str): text of a params_file of RecBole.
    """
    with json_file.writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / OUTCOME).unlink(missing_ok=True)
        (folder / RANGES).write_text(ranges, encoding="utf-8")
        json_file.write(folder / JOB, job)


def seed_of(folder, default):
    """The seed (str) of a search that was begun, whose draws go on; a default for a new one.

    Args:
        folder (Path): of the search.
        default (str): the first seed of the comparison.
    """
    job = folder / JOB
    return json.loads(job.read_text(encoding="utf-8"))["given"]["seed"] if job.is_file() else default


def check_ranges(folder, ranges):
    """Refuses to go on with a search in other ranges.

    Args:
        folder (Path): of a search, which may not exist.
        ranges (str): text of a params_file.

    Raises:
        SettingError: the search was begun with others.
    """
    path = folder / RANGES
    if path.is_file() and path.read_text(encoding="utf-8", errors="replace") != ranges:
        raise SettingError(
            f"the search in {folder} has other ranges ({path}) than are given now: give its own by "
            "--ranges, or another --run=FOLDER."
        )


def outcome(folder):
    """The outcome of a search that ended; None before that.

    Returns:
        dict or None: ``best`` (settings) and ``valid`` (score), or ``reason`` of a failure.
    """
    path = folder / OUTCOME
    again = f"remove it, and the search goes on from {TRIALS} beside it"
    return json_file.read(path, shapes.OUTCOME, again) if path.exists() else None


def main(folder):
    """Searches and writes the outcome.

    Returns:
        int: 0, or 1 when it failed.
    """
    folder = Path(folder)
    job = json.loads((folder / JOB).read_text(encoding="utf-8"))
    try:
        found = search(job, folder)
    except RecBoleSAMError as error:
        json_file.write(folder / OUTCOME, {"reason": str(error)})
        return FAILED
    except Exception as error:  # as in a trial: the reason why this entry fails; the others go on
        json_file.write(folder / OUTCOME, {"reason": reason(error, folder / LOG)})
        raise
    json_file.write(folder / OUTCOME, found)
    return 0


def search(job, folder):
    """The best settings of a number of random draws from the ranges.

    What the user set is unchanged and not searched. A draw whose training breaks (a loss that is no
    number, no memory left) is a bad draw: it is noted, and the others are searched.

    Args:
        job (dict): as in :func:`start`.
        folder (Path): keeps each trial, so that one that ended is never trained again.

    Returns:
        dict: ``best`` (settings), ``valid`` (score), ``trials`` (list of what was tried, with its score) and
        ``failed`` (list of ``settings`` and ``reason``).

    Raises:
        SettingError: hyperopt is missing, the ranges cannot be read, or nothing is left to search.
        Exception: of the first draw, when all of them break.
    """
    # hyperopt takes its seed from here; the same seed proposes the same settings, so a search can go on
    os.environ["HYPEROPT_FMIN_SEED"] = job["given"]["seed"]
    kept, broken = Kept(folder / TRIALS), []
    masked = masked_by(split.load(Path(job["split"])), job["chosen_by"])

    def objective(settings, _files):
        settings = _plain(settings)
        result = kept.get(settings)
        try:
            return result or kept.add(
                settings, validate({**job["given"], **settings}, job["threads"], folder, masked)
            )
        except Exception as error:  # whatever a model raises with these settings; the next may do
            getLogger().exception("%s breaks", settings)
            broken.append((settings, error))
            return _result(job["given"]["model"], WORST, True, {})

    tuning = open_ranges(folder / RANGES, job["trials"], objective)
    tuning.space = {name: drawn for name, drawn in tuning.space.items() if name not in job["given"]}
    if not tuning.space:
        raise SettingError(
            f"every setting with a range in {folder / RANGES} is set already: leave one out, or --tune."
        )
    tuning.run()
    if not kept.trials:
        raise broken[0][1]
    best = kept.best()
    return {
        "best": best["settings"],
        "valid": best["result"]["best_valid_score"],
        "trials": kept.trials,
        "failed": [
            {"settings": settings, "reason": reason(error, folder / LOG)} for settings, error in broken
        ],
    }


def open_ranges(path, trials=1, objective=print):
    """RecBole's search in the ranges of a file.

    Args:
        path (Path): a params_file of RecBole.
        trials (int): draws.
        objective (callable): trains once with the settings of a draw.

    Returns:
        HyperTuning: not begun.

    Raises:
        SettingError: hyperopt is missing, or the ranges cannot be read, or search what no entry may set.
    """
    try:
        import hyperopt  # noqa: F401
    except ImportError as error:
        raise SettingError(f"--tune needs hyperopt ({error}): pip install hyperopt.") from error
    from recbole.trainer import HyperTuning

    try:
        tuning = HyperTuning(
            objective, params_file=str(path), algo="random", max_evals=trials, early_stop=trials
        )
    except RecBoleSAMError:
        raise
    except (ValueError, SyntaxError, NameError, OSError, TypeError, IndexError, KeyError, AttributeError,
            ArithmeticError, RecursionError, MemoryError) as error:  # fmt: skip
        raise SettingError(f"cannot read the search ranges in {path}: {error}.") from error
    if not tuning.space:
        raise SettingError(f"{path} holds no line of the form 'name choice [a,b]'.")
    shared = sorted(set(tuning.space) & set(SAME_FOR_ALL))
    if shared:
        raise SettingError(
            f"{path} searches {shared[0]}, which must be the same for all models: take it out, "
            f"and give it as --{shared[0]}=VALUE."
        )
    return tuning


def validate(given, threads, folder, masked=None):
    """Trains once and looks at validation alone; the test part is not ranked.

    Args:
        given, threads, folder, masked: as :class:`~recbole_sam.evaluation.trial.Experiment` takes them.

    Returns:
        dict: as RecBole's HyperTuning takes it, with an empty test result.
    """
    experiment = Experiment(given, threads, folder, masked)
    experiment.fit(saved=False)
    bigger = bool(experiment.config["valid_metric_bigger"])
    return _result(given["model"], float(experiment.best_score), bigger, dict(experiment.best_valid))


def _result(model, score, bigger, valid):
    return {
        "model": model,
        "best_valid_score": score,
        "valid_score_bigger": bigger,
        "best_valid_result": valid,
        "test_result": {},
    }


class Kept:
    """The tuning trials that ended, one a line of a file.

    Args:
        path (Path): created by the first trial. A line that a killed process left half-written is dropped.
    """

    def __init__(self, path):
        self.path, self.trials = path, []
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n") if path.is_file() else [""]
        self.trials = [self._read(number, line) for number, line in enumerate(lines[:-1], 1)]
        if lines[-1]:
            path.write_text("".join(line + "\n" for line in lines[:-1]), encoding="utf-8")

    def _read(self, number, line):
        try:
            trial = json.loads(line)
        except (ValueError, RecursionError):
            trial = None
        if json_file.fault(trial, shapes.TRIAL):
            raise DataError(
                f"{self.path}, line {number} is no tuning trial: remove the line to run that trial again."
            )
        return trial

    def get(self, settings):
        """The result of a trial with exactly these settings; None when there was none."""
        return next((trial["result"] for trial in self.trials if trial["settings"] == settings), None)

    def add(self, settings, result):
        """Keeps a trial and gives its result back."""
        trial = {"settings": settings, "result": result}
        with json_file.writing(self.path), open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(trial) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.trials.append(trial)
        return result

    def best(self):
        """The trial with the best validation score; the first of equal ones."""
        sign = 1 if self.trials[0]["result"]["valid_score_bigger"] else -1
        return max(self.trials, key=lambda trial: sign * trial["result"]["best_valid_score"])


def _plain(settings):
    """Settings as JSON gives them back (hyperopt hands out tuples and numpy numbers)."""
    return json.loads(json.dumps(settings, default=lambda value: value.item()))


if __name__ == "__main__":
    end_with_parent()
    sys.exit(main(sys.argv[1]))
