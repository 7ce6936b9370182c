"""The newest training items of any users, as rows of a table that is never whole."""

import numpy as np
import torch

from recbole_sam.data.padded import padded


class TrainingItems:
    """What Stage 1 saw of each user, padded when it is asked for: 80 MB a million users, were it kept.

    Args:
        sequences (Sequences): of all users.
        starts (numpy.ndarray): int64 [U], where each user's training history begins in ``sequences.items``.
        lengths (numpy.ndarray): int64 [U], how long it is.
        longest (int): L.
    """

    def __init__(self, sequences, starts, lengths, longest):
        self._sequences, self._starts, self._lengths = sequences, starts, lengths
        self.longest = longest

    def __getitem__(self, users):
        """IntTensor [n, L] of some user IDs (LongTensor [n]): oldest first, 0 beyond the end."""
        users, known = users.numpy(), self._sequences.users
        rows = np.searchsorted(known, users).clip(max=len(known) - 1)
        lengths = np.where(known[rows] == users, self._lengths[rows], 0)
        items = padded(self._sequences.items, self._starts[rows], lengths, self.longest)
        return torch.from_numpy(items.astype(np.int32))
