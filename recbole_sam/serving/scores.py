"""From histories to scores and to the best items: every answer of a bundle comes from here.

Shapes: B people, L items of a history, N items of the catalogue with padding as number 0.
"""

import math
from typing import NamedTuple

import numpy as np
import torch

from recbole_sam.data.padded import padded
from recbole_sam.serving.fast import recorded

AT_ONCE = 32_000_000
"""Scores in memory together: 128 MB of float32, unless FEWEST people have more."""
FEWEST, MOST = 64, 1024
"""People scored together."""
SMALLEST_BLOCK, WORTHWHILE = 4, 100_000
"""Items of a block, and scores of a batch, from which on :func:`top` looks at blocks."""


class Sessions(NamedTuple):
    """Whose next items are asked for; n people."""

    users: np.ndarray
    """int64 [n], user numbers; 0 for strangers."""
    items: np.ndarray
    """int [m], item numbers of all histories."""
    starts: np.ndarray
    """int64 [n], where each history begins in ``items``, oldest item first."""
    lengths: np.ndarray
    """int64 [n], at least 1."""


class Scorer:
    """A model with what is needed to ask it.

    Args:
        model (SequentialRecommender): in evaluation mode.
        trims (bool): whether a history's padding can be left out without changing a score.
        n_users (int): user numbers that the model knows, padding included.
    """

    def __init__(self, model, trims, n_users=1):
        self.model, self.trims = model, trims
        self.n_users, self.n_items, self.longest = n_users, model.n_items, model.max_seq_length
        self._one_person = recorded.OnePerson(model)

    def interaction(self, sessions):
        """The newest items of each history, as a model reads them (dict of tensors)."""
        model = self.model
        lengths = np.minimum(sessions.lengths, self.longest)
        starts = sessions.starts + sessions.lengths - lengths
        width = int(lengths.max()) if self.trims else self.longest
        histories = padded(sessions.items, starts, lengths, width).astype(np.int64, copy=False)
        return {
            model.USER_ID: torch.from_numpy(sessions.users),
            model.ITEM_SEQ: torch.from_numpy(histories),
            model.ITEM_SEQ_LEN: torch.from_numpy(lengths),
        }

    def scores(self, sessions):
        """The scores of all items, a FloatTensor [n, N], of the newest items of each history."""
        asked = self.interaction(sessions)
        with torch.no_grad():
            if len(sessions.users) == 1:
                scores = self._one_person.scores(asked, self._made_up)
            else:
                scores = self.model.full_sort_predict(asked)
        return scores.view(len(sessions.users), -1)

    def never_record(self):
        """Leaves answers for one person as they are: torch never frees what it recorded."""
        self._one_person.never_record()

    def _made_up(self):
        """People to try a record on (list of dict)."""
        people = recorded.histories(self.n_users, self.n_items, self.longest)
        start = np.zeros(1, np.int64)
        return [
            self.interaction(Sessions(np.array([user]), items, start, np.array([len(items)])))
            for user, items in people
        ]

    def best(self, sessions, k, exclude_seen=True, allowed=None, add=None):
        """The best items of each.

        Args:
            sessions (Sessions): n people.
            k (int): how many items.
            exclude_seen (bool): whether the items of the whole history are left out.
            allowed (torch.LongTensor, optional): the only candidates, item numbers, ascending; default: all.
            add (callable, optional): from scores [B, N] to the scores that count.

        Returns:
            tuple: item numbers (numpy.ndarray, int64 [n, k]; 0 where there are no more) and scores
            (float32 [n, k]), best first, of equal ones the lower number first. k is at most the number of
            candidates.
        """
        n = len(sessions.users)
        k = min(k, self.n_items - 1 if allowed is None else len(allowed))
        if n == 1:  # without what puts many into order
            best, index = self._best_of(sessions, k, exclude_seen, allowed, add)
            return index.masked_fill_(best == -torch.inf, 0).numpy(), best.numpy()
        found, values = np.zeros((n, k), np.int64), np.full((n, k), -np.inf, np.float32)
        # people with equally long histories together: their padding is the shortest
        order = np.argsort(np.minimum(sessions.lengths, self.longest), kind="stable")
        for rows in np.split(order, range(step := max(FEWEST, min(MOST, AT_ONCE // self.n_items)), n, step)):
            some = Sessions(sessions.users[rows], sessions.items, *(each[rows] for each in sessions[2:]))
            best, index = self._best_of(some, k, exclude_seen, allowed, add)
            found[rows], values[rows] = index.masked_fill(best == -torch.inf, 0).numpy(), best.numpy()
        return found, values

    def _best_of(self, sessions, k, exclude_seen, allowed, add):
        """Scores and item numbers of the best, both [B, k], of people who are scored together."""
        scores = self.scores(sessions)
        scores = scores if add is None else add(scores)
        scores[:, 0] = -torch.inf
        if exclude_seen:
            _leave_out(scores, sessions)
        if allowed is not None:
            scores = scores[:, allowed]
        best, index = top(scores, k)
        return best, index if allowed is None else allowed[index]


def top(scores, k):
    """The k largest of each row, of equal ones the first.

    In a long row only the blocks with the largest maxima are looked into: at least k items of them are as
    large as the last of these maxima, so no item of another block is larger.

    Args:
        scores (torch.Tensor): [B, N].
        k (int): at most N.

    Returns:
        tuple: values and indices, both [B, k].
    """
    n = scores.shape[1]
    size = math.isqrt(n // (k + 2))
    if size < SMALLEST_BLOCK or scores.numel() < WORTHWHILE:
        return _first_of_equals(scores, k)
    blocks = n // size
    maxima = scores[:, : blocks * size].unflatten(1, (blocks, size)).amax(dim=2)
    largest, which = maxima.topk(k + 2)
    columns = (which.sort(dim=1).values.unsqueeze(2) * size + torch.arange(size)).flatten(1)
    rest = torch.arange(blocks * size, n).expand(len(scores), -1)
    columns = torch.cat([columns, rest], dim=1)
    candidates = scores.gather(1, columns)
    values, index = _first_of_equals(candidates, k)
    index = columns.gather(1, index)
    # an item as large as the last one may stand in another block, and come first there
    rows = (largest[:, -1] >= values[:, -1]).nonzero().squeeze(1)
    if len(rows):
        values[rows], index[rows] = _first_of_equals(scores[rows], k)
    return values, index


def _first_of_equals(scores, k):
    """As :func:`top`, of rows that are looked at whole."""
    values, index = scores.topk(min(k + 1, scores.shape[1]))
    equal = values[:, 1:] == values[:, :-1]
    if equal.any():  # torch orders equal ones at will
        rows = equal.any(dim=1).nonzero().squeeze(1)
        ordered, where = scores[rows].sort(dim=1, descending=True, stable=True)
        values[rows], index[rows] = ordered[:, : values.shape[1]], where[:, : values.shape[1]]
    return values[:, :k], index[:, :k]


def _leave_out(scores, sessions):
    """Gives all that is in the histories the lowest score, in place."""
    if len(scores) == 1:
        start = sessions.starts[0]
        items = sessions.items[start : start + sessions.lengths[0]]
        scores.index_fill_(1, torch.from_numpy(items.astype(np.int64)), -torch.inf)
        return
    rows = np.repeat(np.arange(len(sessions.users)), sessions.lengths)
    within = np.arange(len(rows)) - np.repeat(sessions.lengths.cumsum() - sessions.lengths, sessions.lengths)
    items = sessions.items[np.repeat(sessions.starts, sessions.lengths) + within]
    scores[torch.from_numpy(rows), torch.from_numpy(items.astype(np.int64))] = -torch.inf
