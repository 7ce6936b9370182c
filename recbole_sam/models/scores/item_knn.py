"""Item-based nearest neighbours as a second score: what others took together.

The dot product of a learned user and learned items has to find out from gradients which items go together;
for items that few people took there are too few of them. Counting says it at once (item-based collaborative
filtering: Sarwar et al., WWW 2001; Deshpande and Karypis, TOIS 2004). The items of a history vote for their
neighbours, the newest with a learned weight of its own, and so on back.

A user's own pairs of items are left out of the counts for that user's votes: in training they hold the
target, and a model that was trained with them would trust the votes too much. So a neighbour whose similarity
without the user would not be among the largest has no vote either. (The item that would take its place does
not come back: it has the weakest vote of all. How popular items are counts the user, too: with that left out
as well, validation was no better.)
"""

import math

import numpy as np
import torch
from scipy import sparse
from torch import nn

from recbole_sam.models.parts.attention import recency_positions

NEWEST_WEIGHT, FADING = 8.0, 0.8
"""Where the weights of the votes start, by prototypes on validation (benchmarks/tried.md): a cosine of the
newest item counts 8, each older item's 0.8 times the one's after it. Both are learned from there."""

AT_ONCE = 1024
"""Items whose pairs are counted together."""

TIE = 1e-6
"""Similarities that differ by less, relatively, are equal but for rounding."""


class ItemNeighbours(nn.Module):
    """The votes of a history's items for the items that other training users took with them.

    Args:
        dataset (SequentialDataset): the training part.
        model (SequentialRecommender): that knows the fields of its samples.
        size (int): neighbours kept of each item, ``item_knn_size``.
    """

    def __init__(self, dataset, model, size):
        super().__init__()
        samples, fields = dataset.inter_feat, (model.USER_ID, model.ITEM_SEQ, model.ITEM_ID)
        users, items = taken_pairs(*(samples[field].numpy() for field in fields))
        tables = neighbours(users, items, dataset.item_num, size)
        per_root = one_per_root(items, dataset.item_num)
        starts = np.searchsorted(users, np.arange(dataset.user_num + 1))
        for name, table in zip(
            ("items", "together", "rejected", "per_root", "taken_starts", "taken"),
            (*tables, per_root, starts, items),
            strict=True,
        ):
            self.register_buffer(name, torch.from_numpy(table), persistent=False)
        self.n_users = dataset.user_num
        age = torch.arange(model.max_seq_length)
        self.log_weights = nn.Parameter(math.log(NEWEST_WEIGHT) + math.log(FADING) * age)

    def add_to_all(self, scores, user, item_seq, item_seq_len):
        """Scores of all items with the votes; changed in place.

        Args:
            scores (torch.Tensor): [B, N].
            user (torch.LongTensor): [B].
            item_seq (torch.LongTensor): [B, L], 0 at padded places.
            item_seq_len (torch.LongTensor): [B].

        Returns:
            torch.Tensor: [B, N].
        """
        items, votes = self._votes(user, item_seq, item_seq_len)
        return scores.scatter_add_(1, items, votes.to(scores.dtype))

    def add_to_one(self, scores, user, item_seq, item_seq_len, item):
        """:meth:`add_to_all` for the score [B] of one item [B] a user."""
        items, votes = self._votes(user, item_seq, item_seq_len)
        return scores + (votes * (items == item.unsqueeze(1))).sum(dim=1)

    def _votes(self, user, item_seq, item_seq_len):
        """Who is voted for and how strongly, both [B, L * M]; padding votes with 0 for padding."""
        items = self.items[item_seq]  # [B L M]
        own = self._own(user, torch.cat([items.flatten(1), item_seq], dim=1))
        own_items, own_voters = own.split([items[0].numel(), item_seq.shape[1]], dim=1)
        # a pair was counted for the user only when both were taken in training: at test the newest was not
        counted = own_items.view_as(items) & own_voters.unsqueeze(2)
        similarity = (self.together[item_seq] - counted.float()) * self.per_root[items]
        dropped = counted & (similarity < self.rejected[item_seq].unsqueeze(2))
        weights = self.log_weights.exp()[recency_positions(item_seq_len, item_seq.shape[1])]  # [B L]
        weights = weights * self.per_root[item_seq]
        votes = similarity.masked_fill_(dropped, 0) * weights.unsqueeze(-1)
        return items.flatten(1), votes.flatten(1)

    def _own(self, user, items):
        """Which of some items [B, n] are among the user's own training items, bool [B, n]."""
        starts, ends = self.taken_starts[user], self.taken_starts[user + 1]
        rows = torch.arange(len(user), device=user.device).repeat_interleave(ends - starts)
        within = torch.arange(len(rows), device=user.device)
        offsets = starts - torch.cat([starts.new_zeros(1), (ends - starts).cumsum(0)[:-1]])
        own = torch.zeros(len(user), len(self.items), dtype=torch.bool, device=user.device)
        own[rows, self.taken[within + offsets[rows]]] = True
        return own.gather(1, items)


def configured(config, dataset, model):
    """The votes that a configuration asks for.

    Args:
        config (Config): with ``item_knn`` and ``item_knn_size``; None is a checkpoint of a version without.
        dataset (SequentialDataset), model (SequentialRecommender): as for :class:`ItemNeighbours`.

    Returns:
        ItemNeighbours or None: None without ``item_knn``.
    """
    if not config["item_knn"]:
        return None
    return ItemNeighbours(dataset, model, config["item_knn_size"])


def taken_pairs(users, histories, targets):
    """Who took what in the training part, each pair once.

    Args:
        users (numpy.ndarray): int64 [samples].
        histories (numpy.ndarray): int64 [samples, L], 0 at padded places.
        targets (numpy.ndarray): int64 [samples].

    Returns:
        tuple: users and items (numpy.ndarray, int64 [pairs]), by user, then item.
    """
    n_items = int(max(histories.max(initial=0), targets.max(initial=0))) + 1
    taken = np.unique(
        np.concatenate([(users[:, None] * n_items + histories)[histories > 0], users * n_items + targets])
    )
    return taken // n_items, taken % n_items


def one_per_root(items, n_items):
    """1 / sqrt(how many took each item), float32 [N]; 1 where nobody did."""
    return 1 / np.sqrt(np.maximum(np.bincount(items, minlength=n_items), 1)).astype(np.float32)


def neighbours(users, items, n_items, size):
    """The most similar items of each, by the cosine of who took them.

    Args:
        users, items (numpy.ndarray): int64 [pairs], each pair once.
        n_items (int): N, padding included.
        size (int): neighbours of an item at most.

    Returns:
        tuple: neighbours (int64 [N, M], best first, 0 where there are no more; M at most ``size``), how many
        took both (float32 [N, M]), and the similarity below which an item is no neighbour (float32 [N]; 0
        where there are no more). The similarity is the cosine but for the root of an item's own popularity,
        which is the same for all its neighbours.
    """
    ones = np.ones(len(users), np.float32)
    took = sparse.csc_matrix((ones, (users, items)), shape=(users.max() + 1, n_items))
    per_root = one_per_root(items, n_items)
    size = min(size, n_items)
    found = np.zeros((n_items, size), np.int64)
    together = np.zeros((n_items, size), np.float32)
    rejected = np.zeros(n_items, np.float32)
    for start in range(0, n_items, AT_ONCE):  # the pairs of all items may be more than the memory holds
        pairs = (took[:, start : start + AT_ONCE].T @ took).tocoo()
        row, column, count = pairs.row + start, pairs.col, pairs.data
        row, column, count = (each[row != column] for each in (row, column, count))
        similarity = count * per_root[column]
        order = np.lexsort((column, -similarity, row))
        row, column, count, similarity = (each[order] for each in (row, column, count, similarity))
        rank = np.arange(len(row)) - np.searchsorted(row, row)
        kept, next_best = rank < size, rank == size
        found[row[kept], rank[kept]] = column[kept]
        together[row[kept], rank[kept]] = count[kept]
        rejected[row[next_best]] = similarity[next_best] * (1 - TIE)
    width = max(int((together > 0).sum(axis=1).max()), 1)
    return found[:, :width], together[:, :width], rejected
