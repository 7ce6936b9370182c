"""RecBole's sequential samples, every prefix of a history with its next item, without loops.

RecBole's own ``data_augmentation`` walks over all interactions in Python, once for the indices and once a
field for the padded tensors (issues #1809, #1298, #704). The samples here are the same, entry for entry.
"""

from typing import NamedTuple

import numpy as np
import torch

from recbole_sam.data.histories import runs

_CHUNK = 16_384  # samples filled in at once; their index fits a processor's cache


class Samples(NamedTuple):
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
        Samples: in the order of the interactions.
    """
    _, starts, lengths = runs(users)
    first = np.repeat(starts, lengths)
    index = np.arange(len(users))
    targets = np.flatnonzero(index > first)
    history_starts = np.maximum(first[targets], targets - max_length)
    return Samples(targets, history_starts, targets - history_starts)


def padded_histories(values, samples, max_length):
    """One field of all histories, padded with zeros on the right.

    Args:
        values (torch.Tensor): [interactions, ...], the field.
        samples (Samples): n samples over those interactions.
        max_length (int): L.

    Returns:
        torch.Tensor: [n, L, ...] of the same type.
    """
    # numpy: its masked assignment takes a third of torch's time, and its zeros cost nothing until written to.
    values = values.numpy()
    padded = np.zeros((len(samples.targets), max_length, *values.shape[1:]), values.dtype)
    columns = np.arange(max_length)
    # Some samples at a time: the index of all would be as large as the result, or larger.
    for begin in range(0, len(padded), _CHUNK):
        chunk = slice(begin, begin + _CHUNK)
        starts, lengths = samples.starts[chunk], samples.lengths[chunk]
        rows = np.repeat(starts - (lengths.cumsum() - lengths), lengths) + np.arange(lengths.sum())
        padded[chunk][columns < lengths[:, None]] = values[rows]
    return torch.from_numpy(padded)


def newest_sample(users):
    """The last sample of each user, in order.

    Args:
        users (numpy.ndarray): int64 [n], the user of each sample, a user's samples in time order.

    Returns:
        numpy.ndarray: int64, indices of samples, ascending.
    """
    _, from_the_end = np.unique(users[::-1], return_index=True)
    return np.sort(len(users) - 1 - from_the_end)
