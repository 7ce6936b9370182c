"""What each user has already: his whole history, however few items of it a model reads."""

from typing import NamedTuple

import numpy as np

from recbole_sam.data.padded import padded


class KnownItems(NamedTuple):
    """The distinct items of U users before their test targets, m in all, in one flat array."""

    starts: np.ndarray
    """int64 [U + 1], where a user's items begin in ``items``, by user ID."""
    items: np.ndarray
    """int32 [m], item IDs."""
    late: np.ndarray
    """bool [m], which of them a user did not have yet before his validation target."""

    def before_validation(self):
        """Those that users had before their validation targets (KnownItems)."""
        early = ~self.late
        starts = np.r_[0, early.cumsum()][self.starts]
        return KnownItems(starts, self.items[early], self.late[early])

    def table(self, users):
        """The items of some users.

        Args:
            users (numpy.ndarray): int64 [B], user IDs.

        Returns:
            numpy.ndarray: int64 [B, M], a row a user, padded with 0.
        """
        starts, lengths = self.starts[users], self.starts[users + 1] - self.starts[users]
        return padded(self.items, starts, lengths, int(lengths.max(initial=1))).astype(np.int64)

    def holds(self, users, items):
        """Which users have an item already.

        Args:
            users (numpy.ndarray): int64 [n], user IDs.
            items (numpy.ndarray): int64 [n], an item ID each.

        Returns:
            numpy.ndarray: bool [n].
        """
        held = np.empty(len(users), bool)
        for begin in range(0, len(users), _CHUNK):
            some = slice(begin, begin + _CHUNK)
            held[some] = (self.table(users[some]) == items[some, None]).any(axis=1)
        return held


_CHUNK = 4096
"""Users looked up at once: a long history makes their table wide."""


def known_items(train, valid, test):
    """The known items of all users, from RecBole's samples of the three parts.

    RecBole's training samples are prefixes with their next item, cut to a window, so a user's items are the
    targets of his samples and, since his first item is no target, the history of the sample of length one.
    Histories of validation and test samples are read, too, where a benchmark file gives separate samples.

    Args:
        train, valid, test (SequentialDataset): samples, every prefix of a training history among them.

    Returns:
        KnownItems: of every user ID, padding included.
    """
    early = [_targets(train), _histories(train, train.inter_feat[train.item_list_length_field] == 1)]
    early.append(_histories(valid))
    early_keys = _keys(early, train.item_num)
    keys = _keys([*early, _targets(valid), _histories(test)], train.item_num)
    starts = np.searchsorted(keys // train.item_num, np.arange(train.user_num + 1))
    items = (keys % train.item_num).astype(np.int32)
    return KnownItems(starts, items, ~np.isin(keys, early_keys, assume_unique=True))


def _targets(part):
    return tuple(part.inter_feat[field].numpy() for field in (part.uid_field, part.iid_field))


def _histories(part, chosen=slice(None)):
    """Users and items of the histories of some samples."""
    samples = part.inter_feat[chosen]
    users, histories = samples[part.uid_field].numpy(), samples[part.item_id_list_field].numpy()
    real = histories != 0
    return np.repeat(users, real.sum(axis=1)), histories[real]


def _keys(pairs, item_num):
    """Distinct pairs as user * items + item, ascending (int64)."""
    users, items = (np.concatenate(part) for part in zip(*pairs, strict=True))
    return np.unique(users * item_num + items)
