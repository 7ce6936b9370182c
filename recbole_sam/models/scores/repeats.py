"""How much a user's own items differ, as candidates, from all others.

RecBole ranks the items of a user's history like any other. In some data (books, cosmetics) people hardly
ever take the same item twice, in others (music, groceries) they do all the time; the dot product of what was
liked with what is like it cannot tell one from the other. One learned number can: a bias on the scores of
the items in the history.
"""

import math

import torch
from torch import nn

AT_ONCE = 100_000
"""Samples whose histories are in memory together."""


def initial_bias(samples, model):
    """The bias before training.

    Args:
        samples (Interaction): of the training part.
        model (SequentialRecommender): that knows their fields.

    Returns:
        nn.Parameter: a scalar, the log-odds that a target is in the history before it; finite, by one sample
        added to either side.
    """
    repeats = 0
    for start in range(0, len(samples), AT_ONCE):
        some = samples[start : start + AT_ONCE]
        repeats += int((some[model.ITEM_SEQ] == some[model.ITEM_ID].unsqueeze(1)).any(dim=1).sum())
    return nn.Parameter(torch.tensor(math.log((repeats + 1) / (len(samples) - repeats + 1))))


def add_to_all(scores, bias, item_seq):
    """Scores of all items with the bias on those of the history, each once; changed in place.

    Args:
        scores (torch.Tensor): [B, N].
        bias (torch.Tensor): a scalar.
        item_seq (torch.LongTensor): [B, L], 0 at padded places.

    Returns:
        torch.Tensor: [B, N].
    """
    same = item_seq.unsqueeze(2) == item_seq.unsqueeze(1)
    again = same.tril(-1).any(dim=-1)  # an item that came before in the same history
    counted = ((item_seq != 0) & ~again).to(scores.dtype)
    return scores.scatter_add_(1, item_seq, bias.to(scores.dtype) * counted)


def add_to_some(scores, bias, item_seq, items):
    """:func:`add_to_all` for the scores of some items.

    Args:
        scores (torch.Tensor): [B, M].
        bias (torch.Tensor): a scalar.
        item_seq (torch.LongTensor): [B, L].
        items (torch.LongTensor): [B, M], or [M], distinct and the same for all users.

    Returns:
        torch.Tensor: [B, M].
    """
    if items.dim() == 1:
        repeated = _among_shared(item_seq, items)
    else:
        repeated = (item_seq.unsqueeze(2) == items.unsqueeze(1)).any(dim=1)
    return scores + bias * (repeated & (items != 0))


def _among_shared(item_seq, items):
    """Which of some distinct items [M] are in each history [B, L], bool [B, M]; no B x L x M comparisons."""
    ordered, place = items.sort()
    nearest = torch.searchsorted(ordered, item_seq).clamp(max=len(items) - 1)
    column = torch.where(ordered[nearest] == item_seq, place[nearest], len(items))
    found = torch.zeros(len(item_seq), len(items) + 1, dtype=torch.bool, device=items.device)
    return found.scatter_(1, column, True)[:, :-1]
