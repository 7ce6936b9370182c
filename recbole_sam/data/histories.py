"""Each user's training history, by token, and its hash."""

import hashlib

import numpy as np

SEPARATOR = "\x1f"  # ASCII's unit separator: no token of an atomic file holds it
HASH_BYTES = 16


def history_hash(tokens):
    """A fingerprint of exactly these items in exactly this order.

    Args:
        tokens (iterable of str): item tokens, oldest first.

    Returns:
        bytes: the first 16 bytes of the SHA-256 of the joined tokens.
    """
    return hashlib.sha256(SEPARATOR.join(tokens).encode()).digest()[:HASH_BYTES]


class Sequences:
    """All users' whole sequences of item IDs, in time order, in one flat array.

    Attributes:
        items (numpy.ndarray): int32 [interactions], item IDs sorted by user, then time. They stay in memory
            beside the samples, hence half of RecBole's width.
        users (numpy.ndarray): int64 [U], the user ID of each sequence.
        starts (numpy.ndarray): int64 [U], where a user's sequence begins in ``items``.
        lengths (numpy.ndarray): int64 [U], how long it is.
    """

    def __init__(self, users, items):
        """Splits interactions that are sorted by user, then time.

        Args:
            users (numpy.ndarray): int64 [interactions], user IDs.
            items (numpy.ndarray): integers [interactions], item IDs.
        """
        self.items = items.astype(np.int32)
        self.users, self.starts, self.lengths = runs(users)

    def training_spans(self, held_out_users, n_users, newest):
        """Where each user's training history is: what is left without the held-out targets at the end.

        RecBole orders a user's samples by time and holds out the newest, so the items before the first
        held-out target are exactly those that no validation or test sample has as its target. (The first
        item of a sequence is never a target; it belongs to the history of all.)

        Args:
            held_out_users (numpy.ndarray): int64, the user ID of every validation and test sample.
            n_users (int): number of user IDs, padding included.
            newest (int): how many of the newest training items to keep.

        Returns:
            tuple: start and length (numpy.ndarray, int64 [U]) in ``items``, in the order of ``users``.
        """
        held_out = np.bincount(held_out_users, minlength=n_users)[self.users]
        lengths = np.minimum(self.lengths - held_out, newest)
        return self.starts + self.lengths - held_out - lengths, lengths

    def slices(self, starts, lengths):
        """The items of some spans, one a user.

        Args:
            starts, lengths (numpy.ndarray): int64 [U], such as :meth:`training_spans` gives.

        Yields:
            tuple: user ID and its item IDs (numpy.ndarray), oldest first.
        """
        for user, start, length in zip(self.users.tolist(), starts.tolist(), lengths.tolist(), strict=True):
            yield user, self.items[start : start + length]


def runs(values):
    """The runs of equal neighbours in an array.

    Args:
        values (numpy.ndarray): [n].

    Returns:
        tuple: the value, start and length of each run, in order.
    """
    starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]])[: len(values)]
    return values[starts], starts, np.diff(np.r_[starts, len(values)])
