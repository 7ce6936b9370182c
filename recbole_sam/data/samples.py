"""RecBole's sequential samples, every prefix of a history with its next item, without loops or copies.

RecBole's own ``data_augmentation`` walks over all interactions in Python, once for the indices and once a
field for the padded tensors (issues #1809, #1298, #704). The samples here are the same, entry for entry, but
share the interactions: a padded history of 50 items would take 400 bytes for every field, where 16 do.
"""

from typing import NamedTuple

import numpy as np
import torch
from recbole.data.interaction import Interaction

from recbole_sam.data.histories import runs
from recbole_sam.data.padded import padded

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


class HistoryColumn:
    """A field of the histories of n samples, [n, L, ...] padded with zeros on the right.

    Rows of it are a column, too. Whatever else is asked of it, a tensor answers that is made for the purpose.

    Args:
        values (torch.Tensor): [interactions, ...], the field.
        starts, lengths (torch.LongTensor): [n], where each history begins there, and how long it is.
        width (int): L.
    """

    def __init__(self, values, starts, lengths, width):
        self._values, self._starts, self._lengths, self._width = values, starts, lengths, width

    def __getitem__(self, rows):
        return HistoryColumn(self._values, self._starts[rows], self._lengths[rows], self._width)

    def __len__(self):
        return len(self._starts)

    @property
    def dtype(self):
        """torch.dtype, which RecBole's build asks of every field."""
        return self._values.dtype

    def __getattr__(self, name):
        if name.startswith("_"):  # asked for by copy and pickle, before there is anything
            raise AttributeError(name)
        return getattr(self.tensor(), name)

    def tensor(self):
        """The column as a torch.Tensor."""
        arrays = (each.numpy() for each in (self._values, self._starts, self._lengths))
        return torch.from_numpy(padded(*arrays, self._width))


class Samples(Interaction):
    """RecBole's ``Interaction`` with a :class:`HistoryColumn` for each field of the histories.

    A field is a tensor for whoever asks; rows are Samples again.

    Args:
        columns (dict): field to torch.Tensor [n, ...] or HistoryColumn of n samples.
    """

    def __init__(self, columns):
        self.interaction = columns
        self.length = max(len(column) for column in columns.values())

    def __getitem__(self, index):
        if isinstance(index, str):
            column = self.interaction[index]
            return column.tensor() if isinstance(column, HistoryColumn) else column
        if isinstance(index, int):
            return self.padded()[index]
        if not isinstance(index, slice):
            # A list, which RecBole makes of every index, takes half of the time.
            index = torch.as_tensor(index, dtype=None if len(index) else torch.long)
        return Samples({field: column[index] for field, column in self.interaction.items()})

    def padded(self, index=slice(None)):
        """Some samples, all by default, as RecBole makes them (Interaction)."""
        rows = self[index]
        return Interaction({field: rows[field] for field in rows})


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
