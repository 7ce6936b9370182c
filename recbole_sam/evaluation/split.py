"""What all compared models have in common: the test users, their targets, and the candidates."""

import hashlib
import zipfile
import zlib
from typing import NamedTuple

import numpy as np

from recbole_sam.errors import DataError
from recbole_sam.evaluation import json_file
from recbole_sam.evaluation.ranking.known_items import KnownItems, known_items

NEGATIVES = 100
CANDIDATE_SEED = 2020
"""Of the 1 + 100 candidate lists: the same for all models and training seeds. RecBole's default seed."""
HEAD_SHARE = 0.2
_LATER = ("known", "valid_repeats", "validated")


class Split(NamedTuple):
    """A leave-one-out test of n users out of U, with I items (padding included, as RecBole counts)."""

    user_tokens: np.ndarray
    """str [U], by user ID."""
    item_tokens: np.ndarray
    """str [I], by item ID."""
    users: np.ndarray
    """int64 [n], user IDs, ascending."""
    targets: np.ndarray
    """int64 [n], item IDs."""
    history: np.ndarray
    """int64 [n], how many training items a user has."""
    popularity: np.ndarray
    """int64 [I], training interactions of each item."""
    negatives: np.ndarray
    """int32 [n, 100], item IDs; 0 where a draw repeated an earlier one of the user."""
    interactions: int
    """Of the dataset as loaded and filtered."""
    parts: dict
    """str to str: checksums of users, items, validation and test samples; equal means the same split."""
    known: KnownItems | None = None
    """What each user had before; None in a split that was saved before 2026-11-28."""
    valid_repeats: int = 0
    """How many validation targets repeat an item that the user had."""
    validated: int = 0
    """How many validation targets there are; 0 in a split that was saved before 2026-11-29, which has all."""

    def head_from(self):
        """The popularity from which an item is in the head: the 20 % most popular items, or fewer."""
        counts = np.sort(self.popularity[1:])[::-1]
        return int(counts[int(HEAD_SHARE * len(counts))]) + 1

    def repeats(self):
        """How many validation and test targets masked ranking leaves out, and out of how many.

        Returns:
            dict: ``validation`` and ``test`` to a list of two int.
        """
        rest = self.interactions - int(self.popularity.sum()) - len(self.users)
        repeated = int(self.known.holds(self.users, self.targets).sum())
        return {
            "validation": [self.valid_repeats, self.validated or rest],
            "test": [repeated, len(self.users)],
        }

    def candidates(self):
        """A checksum of the 1 + 100 candidate lists, 16 hexadecimal digits."""
        return _digest(self.users, self.targets, self.negatives.astype(np.int64))


def checksums(dataset, valid, test):
    """What two experiments must have in common to be compared.

    Args:
        dataset (SequentialDataset): for the tokens.
        valid (SequentialDataset): the validation samples.
        test (SequentialDataset): the test samples.

    Returns:
        dict: str to 16 hexadecimal digits, for users, items, validation and test.
    """
    tokens = {
        "users": dataset.field2id_token[dataset.uid_field],
        "items": dataset.field2id_token[dataset.iid_field],
    }
    sums = {name: _digest(*map(str, values)) for name, values in tokens.items()}
    for name, part in (("validation", valid), ("test", test)):
        fields = (part.uid_field, part.iid_field, part.item_list_length_field, part.item_id_list_field)
        values = [part.inter_feat[field].numpy() for field in fields]
        order = np.argsort(values[0], kind="stable")  # RecBole's loaders order the samples differently
        sums[name] = _digest(*(value[order] for value in values))
    return sums


def differences(ours, theirs):
    """The names of the parts whose checksums differ, a list of str."""
    return [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]


def make_split(config):
    """The split of a configuration, by RecBole's own classes, and its candidates, by RecBole's own sampler.

    Args:
        config (Config): of a sequential model of RecBole's, with ``eval_args.mode`` uni100.

    Returns:
        Split: of the test part.

    Raises:
        DataError: a user has more than one test target.
    """
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import init_seed

    init_seed(CANDIDATE_SEED, True)
    whole = create_dataset(config)
    interactions = len(whole.inter_feat)
    train, valid, test = data_preparation(config, whole)
    dataset, samples = test.dataset, test.dataset.inter_feat
    users, targets = (samples[field].numpy() for field in (dataset.uid_field, dataset.iid_field))
    if not len(users) or len(np.unique(users)) < len(users):
        raise DataError(
            f"the split of '{config['dataset']}' does not leave every test user exactly one target: compare "
            "needs leave one out, eval_args={'split': {'LS': 'valid_and_test'}}."
        )
    sums = checksums(dataset, valid.dataset, dataset)
    parts = [part.dataset for part in (train, valid, test)]
    popularity, history = training_counts(train.dataset, whole)
    known = known_items(*parts)
    validated = [valid.dataset.inter_feat[field].numpy() for field in (dataset.uid_field, dataset.iid_field)]
    return Split(
        dataset.field2id_token[dataset.uid_field].astype(str),
        dataset.field2id_token[dataset.iid_field].astype(str),
        users,
        targets,
        history[users],
        popularity,
        draw_negatives(test),
        interactions,
        sums,
        known,
        int(known.before_validation().holds(*validated).sum()),
        len(valid.dataset),
    )


def training_counts(train, whole):
    """How often items and users occur in training.

    RecBole's training samples are prefixes with their next item, so a user's first item is no target; it is
    the history of the sample of length one, in whichever part that is.

    Args:
        train (SequentialDataset): the training samples.
        whole (SequentialDataset): the samples of all parts, ``eval_users`` or not.

    Returns:
        tuple: int64 [items] and int64 [users], by ID.
    """
    first = whole.inter_feat[whole.inter_feat[whole.item_list_length_field] == 1]
    users = train.inter_feat[train.uid_field].numpy(), first[whole.uid_field].numpy()
    items = train.inter_feat[train.iid_field].numpy(), first[whole.item_id_list_field][:, 0].numpy()
    popularity = np.bincount(np.concatenate(items), minlength=train.item_num)
    return popularity, np.bincount(np.concatenate(users), minlength=train.user_num)


def draw_negatives(loader):
    """The negatives of RecBole's sampled evaluation, one walk through its loader.

    Args:
        loader (NegSampleEvalDataLoader): of the test part, a sample a user.

    Returns:
        numpy.ndarray: int32 [n, 100], in the order of the samples. RecBole draws with replacement and counts
        a repeated item once, so a repetition is 0 here, the padding that scores minus infinity.
    """
    field = loader.iid_field
    blocks = [batch[field].view(-1, 1 + NEGATIVES)[:, 1:].numpy() for batch, *_ in loader]
    drawn = np.concatenate(blocks)
    order = np.argsort(drawn, axis=1, kind="stable")
    in_order = np.take_along_axis(drawn, order, axis=1)
    repeated = np.zeros(drawn.shape, bool)
    np.put_along_axis(repeated, order[:, 1:], in_order[:, 1:] == in_order[:, :-1], axis=1)
    return np.where(repeated, 0, drawn).astype(np.int32)


def save(split, path):
    """Writes a split to an ``.npz`` file without pickles, all at once."""
    arrays = split._asdict()
    names, known = arrays.pop("parts"), arrays.pop("known")
    if known is None:
        del arrays["valid_repeats"]
    else:
        arrays |= {f"known_{name}": values for name, values in known._asdict().items()}
    partial = path.with_suffix(".partial.npz")
    sums = np.array([f"{name} {value}" for name, value in names.items()])
    with json_file.writing(path):
        np.savez_compressed(partial, parts=sums, **arrays)
        partial.replace(path)


def load(path):
    """The split in a file that :func:`save` wrote.

    Raises:
        DataError: it is not such a file.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            values = {name: arrays[name] for name in Split._fields if name not in _LATER}
            values["interactions"] = int(values["interactions"])
            if "valid_repeats" in arrays.files:
                values["valid_repeats"] = int(arrays["valid_repeats"])
                values["validated"] = int(arrays["validated"]) if "validated" in arrays.files else 0
                values["known"] = KnownItems(*(arrays[f"known_{name}"] for name in KnownItems._fields))
            values["parts"] = dict(part.split(" ") for part in values["parts"].tolist())
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, NotImplementedError,
            RuntimeError, zipfile.BadZipFile, zlib.error) as error:  # fmt: skip
        said = " ".join(str(error).split())[:200]
        raise DataError(f"{path} is not a split of compare ({said}): give another --run folder.") from error
    split = Split(**values)
    if not _fits_together(split):
        raise DataError(f"{path} is not a split of compare (its parts differ): give another --run folder.")
    return split


def _fits_together(split):
    users, items, n = len(split.user_tokens), len(split.item_tokens), len(split.users)
    numbers = (split.users, split.targets, split.history, split.popularity, split.negatives)
    return (
        all(array.dtype.kind in "iu" for array in numbers)
        and split.targets.shape == split.history.shape == (n,)
        and split.popularity.shape == (items,)
        and split.negatives.shape == (n, NEGATIVES)
        and _within(split.users, users)
        and all(_within(array, items) for array in (split.targets, split.negatives))
        and (split.known is None or _known_fit(split.known, users, items))
    )


def _known_fit(known, users, items):
    ordered = known.starts.shape == (users + 1,) and known.starts.dtype.kind in "iu"
    return (
        ordered
        and known.starts[0] == 0
        and (np.diff(known.starts) >= 0).all()
        and known.items.shape == known.late.shape == (known.starts[-1],)
        and known.items.dtype.kind in "iu"
        and known.late.dtype == bool
        and _within(known.items, items)
    )


def _within(ids, count):
    return not ids.size or 0 <= ids.min() and ids.max() < count


def _digest(*values):
    digest = hashlib.sha256()
    for value in values:
        digest.update(value.encode() + b"\x1f" if isinstance(value, str) else np.ascontiguousarray(value))
    return digest.hexdigest()[:16]
