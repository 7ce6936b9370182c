"""``compare``, from settings to a folder of results: plan, interests, tuning, trials."""

import os
import statistics
from typing import NamedTuple

from recbole_sam.compat import devices as gpus
from recbole_sam.config import configuration, our_models, setting_names
from recbole_sam.data import store_location
from recbole_sam.errors import LeakGuardError, RecBoleSAMError, SettingError
from recbole_sam.evaluation import identity, pool, tuning
from recbole_sam.evaluation.ranking import protocols
from recbole_sam.evaluation.run_folder import SPLIT
from recbole_sam.evaluation.trial import LOG, write_result


class Workers(NamedTuple):
    """Where trials run."""

    slots: list
    """dict of str: the environment of each process that runs at the same time."""
    threads: int | None
    """CPU threads a process; None leaves torch's."""
    given: dict
    """str to str: settings that follow, such as ``use_gpu``."""


def workers(jobs, devices):
    """Processes and what each may use.

    Args:
        jobs (int or None): how many at a time; by default one a device, or one on the CPU.
        devices (str or None): GPU numbers such as ``"0,1"``, or ``"cpu"``; by default what RecBole takes.

    Returns:
        Workers: several share out the cores evenly.

    Raises:
        SettingError: they make no sense.
    """
    if jobs is not None and jobs < 1:
        raise SettingError(f"--jobs is the number of processes at a time, from 1, not {jobs}.")
    if devices is None or devices == "cpu":
        count = jobs or 1
        given = {"use_gpu": "False"} if devices == "cpu" else {}
        return Workers([{}] * count, _threads(count) if count > 1 or given else None, given)
    numbers = devices.split(",")
    if not all(number.strip().isascii() and number.strip().isdigit() for number in numbers):
        raise SettingError(f"--devices is 'cpu' or GPU numbers such as 0,1, not '{devices}'.")
    _check_gpus(numbers)
    count = jobs or len(numbers)
    names = [gpus.chosen(number.strip(), gpus.visible()) for number in numbers]
    slots = [{gpus.VISIBLE: names[slot % len(names)], gpus.CHOICE: ""} for slot in range(count)]
    return Workers(slots, _threads(count) if count > 1 else None, {"gpu_id": "0"})


def _threads(processes):
    """An even share of the cores, and no more than this process computes with (``OMP_NUM_THREADS``)."""
    import torch

    return max(1, min((os.cpu_count() or 1) // processes, torch.get_num_threads()))


def _check_gpus(numbers):
    import torch

    found = torch.cuda.device_count()
    missing = [number for number in numbers if int(number) >= found]
    if missing:
        raise SettingError(
            f"--devices names GPU {missing[0]}, but this machine has {found}: see nvidia-smi, or "
            "--devices=cpu."
        )


def check(plan, entries):
    """Refuses settings that cannot be, before anything is trained.

    Args:
        plan (Plan): the settings for all.
        entries (list of Entry): what is compared.

    Raises:
        SettingError: naming the entry and what is wrong with it.
    """
    fewer_targets = plan.given.get("train_targets") == "last"
    for entry in entries:
        setting_names.check_names(entry.given, entry.model)
        # either would make two rows with two names, and one model
        for sentence in setting_names.unread(entry.given, entry.model):
            raise SettingError(f"{entry.label}: {sentence}")
        if setting_names.of_model(entry.model):  # a user's own model without a YAML may read what it likes
            for name in setting_names.unknown(entry.given):
                raise SettingError(f"{entry.label}: the setting '{name}' is unknown: correct or drop it.")
        if fewer_targets and setting_names.unread(["train_targets"], entry.model):
            raise SettingError(
                f"{entry.label} does not read train_targets and would learn from all targets, others from "
                "one a user: give it to single models, such as SAM:train_targets=last."
            )
        try:
            _config(plan, entry)
        except SettingError as error:
            raise SettingError(f"{entry.label}: {error}") from error


def prepare_interests(plan, entries, say):
    """Builds the interests that entries need and that are not there, once, before any trial.

    Args:
        plan (Plan): the settings for all.
        entries (list of Entry): what is compared.
        say (callable): takes a line for the user.

    Returns:
        dict: label to reason (str), of the entries whose interests cannot be built.

    Raises:
        LeakGuardError: interests that are there were made from other training histories, so that the table
            would lack this entry after hours of training the others.
    """
    from recbole_sam.interests import stage1

    failed, known = {}, set()
    for entry in entries:
        try:
            config = _config(plan, entry)
            store = store_location.path(config) if our_models.uses_interests(config["model"]) else None
            if store and store not in known and store.exists():  # loads the dataset: once a store
                stage1.check_store(config)
            stage1.build_missing(config, lambda line, label=entry.label: say(f"{label}: {line}"))
            known.add(store)
        except LeakGuardError as error:
            raise LeakGuardError(f"{entry.label}: {error}") from error
        except RecBoleSAMError as error:
            failed[entry.label] = str(error)
    return failed


def tune(folder, plan, entries, seed, trials, ranges, where, say):
    """Searches each entry's settings on validation only; what was found before is not searched again.

    A search that failed is begun again, with the trials that it kept.

    Args:
        folder (RunFolder): where the outcome of every tuning trial is kept.
        plan (Plan): the settings for all.
        entries (list of Entry): what is compared.
        seed (int): of the search, and of the models in it.
        trials (int): tuning trials an entry.
        ranges (dict): label to its search ranges (str, a params_file of RecBole).
        where (Workers): processes and devices.
        say (callable): takes a line for the user.

    Returns:
        tuple: dict from label to the settings found (dict), and dict from label to the reason of a failure.

    Raises:
        SettingError: a search was begun with other ranges.
    """
    found, failed = {}, {}
    by_label = {entry.label: entry for entry in entries}
    for label in by_label:
        tuning.check_ranges(folder.tuning(label), ranges[label])

    def tasks():
        for label, entry in by_label.items():
            if "best" not in (tuning.outcome(folder.tuning(label)) or {}):
                begun = tuning.seed_of(folder.tuning(label), seed)
                given = _given(plan, entry, begun, where)
                job = {"given": given, "trials": trials, **_common(folder, plan, where)}
                tuning.start(folder.tuning(label), job, ranges[label])
                yield pool.Task((label,), "recbole_sam.evaluation.tuning", folder.tuning(label))

    for task, code, seconds in pool.run_all(tasks(), where.slots):
        broken = (tuning.outcome(task.folder) or {}).get("failed")
        ended = f"ended with code {code}" if code else f"done, {seconds:,.0f} s"
        failed_draws = f"; {len(broken)} of {trials} draws failed, see {task.folder / LOG}" if broken else ""
        say(f"{task.key[0]}: tuning {ended}{failed_draws}")
    for label in by_label:
        outcome = tuning.outcome(folder.tuning(label)) or {}
        if "best" in outcome:
            found[label] = outcome["best"]
        else:
            failed[label] = outcome.get(
                "reason", f"the tuning process died; see {folder.tuning(label) / LOG}"
            )
    return found, failed


def run_trials(folder, plan, entries, seeds, tuned, where, say):
    """Trains and ranks what is not done yet: all models with the first seed, then all with the next.

    Args:
        folder (RunFolder): begun; what ends is kept there at once.
        plan (Plan): the settings for all.
        entries (list of Entry): what is compared.
        seeds (list of int): training seeds.
        tuned (dict): label to settings (dict) found by :func:`tune`.
        where (Workers): processes and devices.
        say (callable): takes a line for the user.

    Raises:
        SettingError: seeds that are done are of another model, since a default changed.
        DataError: or since interests or titles did.
    """
    wanted = [(entry, seed) for seed in seeds for entry in entries]
    by_label = {entry.label: entry for entry in entries}
    results = {(entry.label, seed): folder.result(entry.label, seed) for entry, seed in wanted}
    missing = [pair for pair in wanted if not _done(results[pair[0].label, pair[1]])]
    for label, entry in {entry.label: entry for entry, _ in missing}.items():
        _check_identity(folder, plan, entry, tuned.get(label))
    if len(missing) < len(wanted):
        say(f"{len(wanted) - len(missing)} of {len(wanted)} trials are done already")

    def tasks():
        for entry, seed in missing:
            found = tuned.get(entry.label)
            given = _given(plan, entry, seed, where) | (found or {})
            job = {
                "label": entry.label, "given": given, "tuned": found, "shown": entry.given,
                **_common(folder, plan, where),
            }  # fmt: skip
            task_folder = folder.start(entry.label, seed, job)
            yield pool.Task((entry.label, seed), "recbole_sam.evaluation.trial", task_folder)

    times = []
    for count, (task, code, seconds) in enumerate(pool.run_all(tasks(), where.slots), 1):
        label, seed = task.key
        result = folder.result(label, seed)
        if result is None:  # killed from outside, or out of memory
            why = f"the process died with code {code}; see {task.folder / LOG}"
            write_result(task.folder, _failed(by_label[label], seed, why))
            result = folder.result(label, seed)
        times.append(seconds)
        left = statistics.mean(times) * (len(missing) - count) / len(where.slots)
        say(f"[{count}/{len(missing)}] {label}, seed {seed}: {_line(result, plan)}, {seconds:,.0f} s"
            + (f"; about {left / 60:,.0f} min left" if count < len(missing) else ""))  # fmt: skip


def _common(folder, plan, where):
    """What the jobs of all trials and searches say alike."""
    return {"split": str(folder.path / SPLIT), "chosen_by": plan.chosen_by, "threads": where.threads}


def _check_identity(folder, plan, entry, found):
    """Refuses more seeds of an entry that is another model now than its finished trials are."""
    done = [result for result in folder.results(entry.label) if _done(result)]
    if done:
        now = identity.identity(_config(plan, entry, found), plan.chosen_by)
        for result in done:
            identity.check(result, now)


def fail(folder, entry, seeds, why):
    """Notes for each seed of an entry that is not done why it cannot be trained."""
    for seed in seeds:
        if _done(folder.result(entry.label, seed)):
            continue
        path = folder.start(entry.label, seed, {"label": entry.label})
        write_result(path, _failed(entry, seed, why))


def _failed(entry, seed, why):
    return {"model": entry.label, "class": entry.model, "seed": seed, "status": "failed", "reason": why}


def _config(plan, entry, found=None):
    own = {"model": entry.model, "dataset": plan.dataset}
    return configuration.make_config({**plan.given, **entry.given, **own, **(found or {})})


def _given(plan, entry, seed, where):
    own = {"model": entry.model, "dataset": plan.dataset, "seed": str(seed)}
    return {**plan.given, **where.given, **entry.given, **own}


def _done(result):
    return result is not None and result["status"] == "done"


def _line(result, plan):
    if result["status"] == "failed":
        return f"FAILED: {result['reason']}"
    metric = plan.valid_metric
    valid, test = result["valid"][metric], result["test"][metric]
    named = metric if plan.chosen_by == protocols.DEFAULT else f"{plan.chosen_by} {metric}"
    return f"{result['epochs']} epochs, {named} {valid:.4f} valid, {test:.4f} test"
