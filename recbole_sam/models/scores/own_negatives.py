"""Sampled softmax with negatives of each sample's own, as in eSASRec and HSTU."""

import torch
from torch.nn import functional as F

from recbole_sam.models.checks import sampled_negatives


def with_negatives(targets, n_negatives, n_items):
    """Each target, followed by items drawn uniformly with replacement, for each target anew.

    Args:
        targets (torch.LongTensor): [B].
        n_negatives (int): M.
        n_items (int): N, with the padding item 0, which is never drawn.

    Returns:
        torch.LongTensor: [B, 1 + M].
    """
    negatives = torch.randint(1, n_items, (len(targets), n_negatives), device=targets.device)
    return torch.cat([targets.unsqueeze(1), negatives], dim=1)


def softmax_of_the_first(scores, candidates):
    """The mean cross-entropy of the first candidate of each row; a later one that equals it is left out.

    All items are equally likely to be drawn, so that no score needs a correction.

    Args:
        scores (torch.Tensor): [B, 1 + M].
        candidates (torch.LongTensor): [B, 1 + M], of :func:`with_negatives`.

    Returns:
        torch.Tensor: the loss, a scalar.
    """
    again = candidates == candidates[:, :1]
    again[:, 0] = False
    first = torch.zeros_like(candidates[:, 0])
    return F.cross_entropy(scores.masked_fill(again, -torch.inf), first)


def scores_of(user, keys, candidates):
    """The dot products of users with candidates of their own.

    Args:
        user (torch.Tensor): [B, d].
        keys (torch.Tensor): [N, d], of all items.
        candidates (torch.LongTensor): [B, M], rows of ``keys``.

    Returns:
        torch.Tensor: [B, M].
    """
    if len(keys) <= candidates.size(1) * keys.size(1):  # fewer numbers than candidates' vectors have
        return (user @ keys.T).gather(1, candidates)
    return (F.embedding(candidates, keys) @ user.unsqueeze(2)).squeeze(2)


class OwnNegatives:
    """The part of a model whose ``loss_type: SSM`` draws ``loss_negatives`` items for each sample.

    It stands before the model's class of ``next_item`` or ``whole_sequences``. A match is the dot product of
    a user with :meth:`keys` of items.
    """

    loss_types = ("SSM", "CE")
    check_negatives = staticmethod(sampled_negatives.check_draws)

    def define_loss(self, config, dataset):
        if config["loss_type"] == "SSM":
            self.loss_type, self.n_negatives = "SSM", config["loss_negatives"]
        else:
            super().define_loss(config, dataset)

    def vectors_to_learn(self, *items):
        return self.item_vectors()  # each sample draws others, which together are most of them

    def keys(self, items):
        """What users are matched with, [..., d], of item vectors [..., d]."""
        return items

    def match_all(self, user, items):
        return user @ self.keys(items).T

    def match_one(self, user, items):
        return (user * self.keys(items)).sum(dim=-1)

    def next_item_loss(self, user, items, interaction):
        if self.loss_type != "SSM":
            return super().next_item_loss(user, items, interaction)
        candidates = with_negatives(interaction[self.POS_ITEM_ID], self.n_negatives, len(items))
        scores = scores_of(user, self.keys(items), candidates)
        return softmax_of_the_first(self.add_repeats(scores, interaction, candidates), candidates)
