"""The folder of a comparison: what is kept, where, and how it is read back."""

import contextlib
import json
import shutil
import zipfile
import zlib
from pathlib import Path

import filelock
import numpy as np

from recbole_sam.errors import DataError, RecBoleSAMError, SettingError
from recbole_sam.evaluation import json_file, shapes
from recbole_sam.evaluation import split as splits
from recbole_sam.evaluation.entries import slug
from recbole_sam.evaluation.plan import CHANGE_NO_RESULT
from recbole_sam.evaluation.ranking.protocols import DEFAULT, PROTOCOLS
from recbole_sam.evaluation.trial import JOB, RANKS, RESULT, keep_ranks, write_result
from recbole_sam.evaluation.tuning import OUTCOME

RUN, TRIALS, PER_USER, SPLIT = "run.json", "trials.json", "ranks.parquet", "split.npz"
EACH_TRIAL, SEARCHES = "trials", "tuning"
_ANOTHER = "name the folder of a comparison, or run it again in another --run folder"
_COLUMNS = ("model", "seed", "protocol", "user", "item", "rank", "history", "popularity")


class RunFolder:
    """One comparison on disk.

    ``run.json`` (what it is), ``split.npz`` (the common split), ``trials/`` (a folder a trial, finished when
    it holds ``result.json``), and, gathered from these, ``trials.json`` and ``ranks.parquet``, which are all
    that the tables and plots are made of.

    Args:
        path (str or Path): may not exist yet.
    """

    def __init__(self, path):
        self.path = Path(path)

    @contextlib.contextmanager
    def locked(self):
        """Keeps a second comparison out of this folder.

        Raises:
            SettingError: there is one at work, or the folder cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            held = filelock.FileLock(self.path / "lock", timeout=0).acquire()
        except filelock.Timeout:
            raise SettingError(
                f"another compare is at work in {self.path}: wait for it, or give --run=FOLDER."
            ) from None
        except OSError as error:
            raise SettingError(
                f"cannot write to {error.filename} ({error.strerror}): give another --run=FOLDER."
            ) from error
        with held:
            yield

    def run(self):
        """What ``run.json`` holds, a dict.

        Raises:
            DataError: there is none, or it is not readable.
        """
        run = self._json(RUN, shapes.RUN)
        _refuse(self.path / RUN, shapes.fault_of_run(run))
        return run

    def trials(self):
        """What ``trials.json`` holds, a list of dict: the last result of each trial.

        Raises:
            DataError: there is none, or it is not readable.
        """
        return self._json(TRIALS, [shapes.RESULT])

    def shown(self):
        """What tables and plots are made of.

        Returns:
            tuple: ``run.json`` (dict), ``trials.json`` (list of dict), and the ranks (DataFrame).

        Raises:
            DataError: a file is missing or broken, or one does not belong to the others.
        """
        run, trials, ranks = self.run(), self.trials(), self.ranks()
        _refuse(self.path / TRIALS, shapes.fault_of_results(trials))
        named = {(trial["model"], trial["seed"]) for trial in trials if trial["status"] == "done"}
        ranked = set(zip(ranks["model"].astype(str), ranks["seed"].astype(int), strict=True))
        if named != ranked:
            label, seed = sorted(named ^ ranked)[0]
            raise DataError(
                f"{self.path / PER_USER} and {TRIALS} do not belong together ({label} with seed {seed} is in "
                "one of them alone): copy both files from one comparison."
            )
        return run, trials, ranks

    def _json(self, name, shape):
        path = self.path / name
        try:
            missing = not path.exists()
        except OSError as error:  # a name that is too long, or a folder that may not be read
            raise DataError(f"{path} is not readable ({error.strerror}): {_ANOTHER}.") from error
        if missing:
            raise DataError(
                f"{self.path} holds no comparison ({name} is missing): name a folder that compare wrote."
            )
        return json_file.read(path, shape, _ANOTHER)

    def catch_up(self):
        """Gathers trials that ended after the last gathering, as a killed process leaves them.

        Returns:
            str or None: why that cannot be done now, where there is something older to show.

        Raises:
            RecBoleSAMError: the same, where there is nothing.
        """
        gathered = (self.path / TRIALS).exists()
        before = set(map(_ending, self.trials())) if gathered else set()
        try:
            ended = {_ending(_result(path)) for path in (self.path / EACH_TRIAL).glob(f"*/{RESULT}")}
            if before < ended:  # what was removed to be trained again is still worth showing
                with self.locked():
                    self.gather()
        except RecBoleSAMError as error:  # at work, damaged, or somebody else's
            if not gathered:
                raise
            return str(error)
        return None

    def exists(self):
        """bool: whether a comparison was begun here."""
        return (self.path / RUN).is_file()

    def begin(self, run, split):
        """Writes what the comparison is; on a comparison that is there already, checks that it is the same.

        Args:
            run (dict): from ``plan.describe``.
            split (Split): the common one.

        Raises:
            SettingError: the folder holds a comparison with other settings.
            DataError: its data was another.
        """
        if self.exists():
            before = self.run()
            changed = _changed(before, run)
            if changed:
                raise SettingError(
                    f"{self.path} holds a comparison with other settings ({changed}): give another "
                    "--run=FOLDER."
                )
            differ = splits.differences(before["checksums"], run["checksums"])
            if differ:
                raise DataError(
                    f"{self.path} was made from other data than '{run['dataset']}' is now "
                    f"({', '.join(differ)} differ): numbers of both cannot stand in one table; give another "
                    "--run=FOLDER."
                )
            run = _both(before, run)
            if not (self.path / EACH_TRIAL).exists() and (self.path / TRIALS).is_file():
                self._restore(split)
        # a split older than 2026-11-28 does not hold what users have; the checksums prove that it is the same
        if not (self.path / SPLIT).is_file() or splits.load(self.path / SPLIT).known is None:
            splits.save(split, self.path / SPLIT)
        self.write(RUN, run)

    def _restore(self, split):
        """Takes the gathered files apart into a folder a trial again.

        A comparison is handed on as its gathered files; without this, one more model leaves only its own.
        """
        ranks = self.ranks()
        users = split.user_tokens[split.users].astype(str)
        everybody = np.ones(len(users), bool)
        left = {name: everybody for name in PROTOCOLS}
        if split.known is not None:
            left["masked"] = ~split.known.holds(split.users, split.targets)
        partial = RunFolder(self.path / "restored.partial")
        shutil.rmtree(partial.path, ignore_errors=True)
        (partial.path / EACH_TRIAL).mkdir(parents=True)
        for result in self.trials():
            label, seed = result["model"], result["seed"]
            folder = partial.start(label, seed, {"label": label})
            write_result(folder, result)
            if result["status"] != "done":
                continue
            if result["tuned"] is not None:  # more seeds are of the same settings
                partial.tuning(label).mkdir(parents=True, exist_ok=True)
                json_file.write(partial.tuning(label) / OUTCOME, {"best": result["tuned"]})
            own = ranks[(ranks["model"] == label) & (ranks["seed"] == seed)]
            kept = {name: own[own["protocol"] == name] for name in PROTOCOLS}
            if not len(kept["masked"]):  # older than 2026-11-28
                del kept["masked"]
            if any(
                not np.array_equal(rows["user"].astype(str), users[left[name]]) for name, rows in kept.items()
            ):
                raise DataError(
                    f"{self.path / PER_USER} lacks ranks of {label} with seed {seed}, which {TRIALS} names: "
                    "copy both files from one comparison, or give another --run=FOLDER."
                )
            keep_ranks(folder, {name: _of_all(rows["rank"], left[name]) for name, rows in kept.items()})
        # each all at once: a part of the trials would lose the rest
        if (partial.path / SEARCHES).exists() and not (self.path / SEARCHES).exists():
            (partial.path / SEARCHES).rename(self.path / SEARCHES)
        (partial.path / EACH_TRIAL).rename(self.path / EACH_TRIAL)
        shutil.rmtree(partial.path)

    def write(self, name, content):
        """Writes a JSON file all at once."""
        json_file.write(self.path / name, content)

    def trial(self, label, seed):
        """The folder (Path) of a trial."""
        return self.path / EACH_TRIAL / f"{slug(label)}-{seed}"

    def tuning(self, label):
        """The folder (Path) of an entry's hyper-parameter search."""
        return self.path / SEARCHES / slug(label)

    def result(self, label, seed):
        """The result (dict) of a trial; None when it has not ended."""
        path = self.trial(label, seed) / RESULT
        return _result(path) if path.exists() else None

    def results(self, label):
        """The results (list of dict) of an entry's ended trials, of all seeds."""
        folders = sorted((self.path / EACH_TRIAL).glob(f"{slug(label)}-*/{RESULT}"))
        found = [_result(path) for path in folders]
        return [result for result in found if result["model"] == label]

    def start(self, label, seed, job):
        """Makes the folder of a trial anew, with what it is to do; what a broken one left is removed."""
        folder = self.trial(label, seed)
        shutil.rmtree(folder, ignore_errors=True)
        with json_file.writing(folder):
            folder.mkdir(parents=True)
            (folder / JOB).write_text(json.dumps(job, indent=1) + "\n", encoding="utf-8")
        return folder

    def gather(self):
        """Writes ``trials.json`` and ``ranks.parquet`` from all ended trials."""
        results = {}
        for path in sorted((self.path / EACH_TRIAL).glob(f"*/{RESULT}")):
            results[path.parent] = _result(path)
        order = sorted(results, key=lambda folder: (results[folder]["seed"], results[folder]["model"]))
        self.write(TRIALS, [results[folder] for folder in order])
        done = [folder for folder in order if results[folder]["status"] == "done"]
        split = splits.load(self.path / SPLIT)
        write_ranks(
            self.path / PER_USER,
            split,
            (
                (results[folder]["model"], results[folder]["seed"], _ranks_of(folder, len(split.users)))
                for folder in done
            ),
        )

    def ranks(self):
        """The per-user ranks, a DataFrame as in ``ranks.parquet``.

        Raises:
            DataError: the file is missing or not readable.
        """
        import pandas as pd
        import pyarrow

        path = self.path / PER_USER
        if not path.is_file():
            raise DataError(f"{path} is not readable (it is no file): run the comparison again.")
        try:
            ranks = pd.read_parquet(path)
        except (OSError, ValueError, TypeError, KeyError, pyarrow.ArrowException) as error:
            said = " ".join(str(error).split())[:200]
            raise DataError(f"{path} is not readable ({said}): run the comparison again.") from error
        _refuse(path, _fault_of_ranks(ranks))
        return ranks


def _of_all(ranks, left):
    """Ranks of the users that are left [n], and 0 for the others (int32 [all])."""
    values = np.zeros(len(left), np.int32)
    values[left] = ranks
    return values


def _refuse(path, wrong):
    if wrong:
        raise DataError(f"{path} is not a file that compare wrote ({wrong}): {_ANOTHER}.")


def _fault_of_ranks(ranks):
    import pandas as pd

    lacking = [name for name in _COLUMNS if name not in ranks.columns]
    if lacking:
        return f"{', '.join(lacking)} missing"
    for name in _COLUMNS:
        kind = ranks[name].dtype
        if name in ("seed", "rank", "history", "popularity"):
            fits = pd.api.types.is_integer_dtype(kind)
        else:
            kind = kind.categories.dtype if isinstance(kind, pd.CategoricalDtype) else kind
            fits = pd.api.types.is_string_dtype(kind) or not len(ranks)
        if not fits or ranks[name].isna().any():
            return f"{name} is of another type, or has gaps"
    return "rank is below 1" if (ranks["rank"] < 1).any() else None


def _ending(result):
    return result["model"], result["seed"], result["status"]


def _result(path):
    """The result (dict) in a trial's folder."""
    return json_file.read(path, shapes.RESULT, f"remove {path.parent} to train it again")


def _ranks_of(folder, users):
    """The ranks (dict of int32 [n]) in a trial's folder; a trial older than 2026-11-28 has no masked ones."""
    path = folder / RANKS
    try:
        with np.load(path, allow_pickle=False) as arrays:
            kept = [name for name in PROTOCOLS if name != "masked" or name in arrays.files]
            ranks = {name: np.asarray(arrays[name]) for name in kept}
    except (OSError, EOFError, ValueError, KeyError, TypeError, NotImplementedError, RuntimeError,
            zipfile.BadZipFile, zlib.error) as error:  # fmt: skip
        said = " ".join(str(error).split())[:200]
        raise DataError(f"{path} is not readable ({said}): remove {folder} to train it again.") from error
    if any(values.shape != (users,) or values.dtype.kind not in "iu" for values in ranks.values()):
        raise DataError(f"{path} does not hold a rank of each user: remove {folder} to train it again.")
    return ranks


def write_ranks(path, split, trials):
    """Writes the rank of every user's target, by model, seed and protocol, to one Parquet file.

    Args:
        path (Path): replaced all at once.
        split (Split): the common one.
        trials (iterable of tuple): label, seed, and a mapping from protocol to int32 [n] ranks; 0 is a user
            whom the protocol leaves out, and who gets no row.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    trials = [
        (label, seed, protocol, of_protocol)
        for label, seed, ranks in trials
        for protocol, of_protocol in ranks.items()
    ]
    n, times = len(split.users), len(trials)

    def coded(codes, words):
        codes = pa.array(np.asarray(codes, np.int32))
        return pa.DictionaryArray.from_arrays(codes, pa.array([str(word) for word in words], pa.string()))

    # A user's rows stand together: so the columns that say nothing new in them take hardly any space.
    def each(values):
        return np.tile(np.arange(times, dtype=np.int32), n), values

    def all_of(values):
        return np.repeat(np.asarray(values, np.int32), times)

    labels, seeds, protocols, ranks = zip(*trials, strict=True) if trials else ((), (), (), ())
    targets, target = np.unique(split.targets, return_inverse=True)
    table = pa.table(
        {
            "model": coded(*each(labels)),
            "seed": np.tile(np.array(seeds, np.int64), n),
            "protocol": coded(*each(protocols)),
            "user": coded(all_of(np.arange(n)), split.user_tokens[split.users]),
            "item": coded(all_of(target), split.item_tokens[targets]),
            "rank": np.array(ranks, np.int32).reshape(times, n).T.ravel(),
            "history": all_of(split.history),
            "popularity": all_of(split.popularity[split.targets]),
        }
    )
    table = table.filter(pc.not_equal(table["rank"], 0))
    partial = path.with_suffix(".partial")
    with json_file.writing(path):
        # One row group and one dictionary: the tokens, which hardly compress, are then written once.
        pq.write_table(
            table, partial, compression="zstd", compression_level=9, row_group_size=max(len(table), 1),
            dictionary_pagesize_limit=2**28,
        )  # fmt: skip
        partial.replace(path)


def _both(before, now):
    """A comparison that went on: commands, versions, machines and dates of all its sessions."""
    old, new = before["versions"], now["versions"]
    versions = {name: _joined(old.get(name), number, ", ") for name, number in new.items()}
    told = {name: _joined(before[name], now[name], "; ") for name in ("machine", "date")}
    return {
        **now,
        **told,
        "versions": versions,
        "command": _joined(before["command"], now["command"], " && "),
    }


def _joined(before, now, between):
    if before is None or now in before.split(between):
        return before or now
    return f"{before}{between}{now}"


def _changed(before, now):
    """The settings that make the results of two comparisons differ, in words; empty if there are none."""
    settings, others = (
        {
            **run["given"],
            "tune": run["budget"]["tuning"],
            "the protocol that chooses the best epoch": run.get("chosen_by", DEFAULT),
        }
        for run in (before, now)
    )
    changed = {name for name in settings | others if settings.get(name) != others.get(name)}
    # the data may lie elsewhere: the checksums tell whether it is the same
    names = sorted(changed - {*CHANGE_NO_RESULT, "data_path"})
    return ", ".join(f"{name} {settings.get(name)}, now {others.get(name)}" for name in names)
