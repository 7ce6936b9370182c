"""The dataset hook's samples against RecBole's own loops: time, memory, and that they are the same."""

import copy
import hashlib

from recbole.data.dataset import Dataset, SequentialDataset

from benchmarks.speed import memory, workload
from benchmarks.speed.setup import Row, megabytes
from benchmarks.speed.turns import take_turns
from recbole_sam.data.dataset import SAMDataset

WAYS = {"RecBole": SequentialDataset, "recbole-sam": SAMDataset}


def measure(setup):
    """The rows of the group.

    Args:
        setup (Setup): of the run.

    Returns:
        list of Row: time; peak memory with the check that the samples are identical.
    """
    shop = workload.SHOPS[setup.size]
    before = loaded(setup, shop)
    ways = {way: lambda way=way: whole(augmented(before, way)) for way in WAYS}
    times = take_turns(ways, setup, warm_up=False)
    alone = {way: memory.alone(peak_and_digest, setup, shop, way) for way in WAYS}
    peaks = {way: peak for way, (peak, _) in alone.items()}
    identical = len({digest for _, digest in alone.values()}) == 1
    ratio = times["RecBole"] / times["recbole-sam"]
    memory_ratio = peaks["recbole-sam"] / peaks["RecBole"]
    what = f"data_augmentation of {shop.interactions:,} interactions (L {workload.LENGTH})"
    stayed = (
        "no loop over samples: stayed; a masked copy for 16,384 samples at a time instead of a loop over the "
        "columns of a history (2026-11-24, 0.40 to 0.10 s of CPU for both fields): stayed; targets taken by "
        "a tensor, of which RecBole's Interaction would make a list (2026-11-24, 20 x to 42 x): stayed; "
        "histories padded when they are read (2026-11-29; the time is with all of them read once): stayed"
    )
    return [
        Row(
            group="augmentation",
            name="time",
            what=f"{what}: RecBole's time / the dataset hook's",
            target="at least 20 x",
            measured=f"{ratio:.0f} x ({times['RecBole']:.2f} / {times['recbole-sam']:.3f} s)",
            prediction="50 x: 10 microseconds a sample and field in Python, against 20 gathered numbers",
            stayed=stayed,
            value=ratio,
            limit=20,
            at_least=True,
            details={"seconds": times, "ratio": ratio},
        ),
        Row(
            group="augmentation",
            name="memory",
            what=f"{what}: peak memory of the hook / RecBole's, each in a fresh process (VmHWM, reset after "
            "loading, less what was held)",
            target="no higher, identical samples",
            measured=f"{memory_ratio:.2f} x ({megabytes(peaks['recbole-sam'])} / "
            f"{megabytes(peaks['RecBole'])}); samples "
            f"{'identical' if identical else 'DIFFERENT'} (SHA-256 of all fields)",
            prediction="0.8 x: the same result, without a list of a slice for each sample",
            stayed=stayed,
            value=memory_ratio if identical else float("inf"),
            limit=1,
            details={"peak bytes": peaks, "ratio": memory_ratio, "identical": identical},
        ),
    ]


def loaded(setup, shop):
    """RecBole's dataset as it is right before the augmentation."""
    dataset = SequentialDataset(workload.config("SASRec", setup, shop))
    Dataset._change_feat_format(dataset)  # SequentialDataset's own would augment
    return dataset


def augmented(dataset, way):
    """The samples of a dataset, which stays as it is."""
    dataset = copy.copy(dataset)
    dataset.inter_feat = copy.copy(dataset.inter_feat)
    dataset.inter_feat.interaction = dict(dataset.inter_feat.interaction)
    WAYS[way].data_augmentation(dataset)
    return dataset.inter_feat


def whole(samples):
    """All fields as tensors (dict)."""
    return {field: samples[field] for field in samples}


def peak_and_digest(setup, shop, way):
    """What a fresh process is asked: bytes above what the loaded dataset needs, and a digest."""
    with setup.limits():
        dataset = loaded(setup, shop)
        made = []
        peak = memory.peak_of(lambda: made.append(augmented(dataset, way)))
    digest = hashlib.sha256()
    for field, values in whole(*made).items():
        digest.update(f"{field} {values.dtype} {tuple(values.shape)}".encode())
        digest.update(values.numpy().tobytes())
    return peak, digest.hexdigest()
