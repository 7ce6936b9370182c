"""RecBole's sequential samples, every prefix of a history with its next item, without loops.

RecBole's own ``data_augmentation`` walks over all interactions in Python, once for the indices and once a
field for the padded tensors (issues #1809, #1298, #704). The samples here are the same, entry for entry.
"""

from typing import NamedTuple

import numpy as np

from recbole_sam.data.histories import runs

USERS_SEED = 2020
"""Of the users that ``eval_users`` draws: not a run's, since other training seeds keep the users."""


class Prefixes(NamedTuple):
    """Which interactions make up each sample; n samples."""

    targets: np.ndarray
    """int64 [n], the interaction to predict."""
    starts: np.ndarray
    """int64 [n], the oldest interaction of the history."""
    lengths: np.ndarray
    """int64 [n], how many interactions the history has, at most ``max_length``."""


def prefix_samples(users, max_length):
    """Every interaction but a user's first is a target once, after the newest items before it.

    Args:
        users (numpy.ndarray): int64 [interactions], sorted by user, then time.
        max_length (int): longest history.

    Returns:
        Prefixes: in the order of the interactions.
    """
    _, starts, lengths = runs(users)
    first = np.repeat(starts, lengths)
    index = np.arange(len(users))
    targets = np.flatnonzero(index > first)
    history_starts = np.maximum(first[targets], targets - max_length)
    return Prefixes(targets, history_starts, targets - history_starts)


def of_some_users(users, count, n_users):
    """The samples of a few users, the same ones in every part, run and model.

    Args:
        users (numpy.ndarray): int64 [n], the user of each sample of a part.
        count (int or None): of all users, in a seeded order, the first that have a sample here; None for all.
        n_users (int): of the dataset, the padding user counted.

    Returns:
        numpy.ndarray: int64, indices of samples, ascending.
    """
    present = np.unique(users)
    if count is not None:
        place = np.random.default_rng(USERS_SEED).permutation(n_users)
        present = present[np.argsort(place[present])[:count]]
    return np.flatnonzero(np.isin(users, present))


def newest_sample(users):
    """The last sample of each user, in order.

    Args:
        users (numpy.ndarray): int64 [n], the user of each sample, a user's samples in time order.

    Returns:
        numpy.ndarray: int64, indices of samples, ascending.
    """
    _, from_the_end = np.unique(users[::-1], return_index=True)
    return np.sort(len(users) - 1 - from_the_end)
