"""Softmax over the target and sampled negatives, corrected by how likely each of them is to be sampled.

    Bengio and Senecal. "Adaptive Importance Sampling to Accelerate Training of a Neural Probabilistic
    Language Model." in IEEE TNN 2008.
    Yi et al. "Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations." in RecSys 2019.

Shapes: B users, N items, M drawn negatives, d dimension.
"""

import torch
from torch import nn
from torch.nn import functional as F

DISTRIBUTIONS = ("popularity", "uniform")


def negative_weights(distribution, targets, n_items):
    """How often each item is drawn as a negative, up to a factor.

    Args:
        distribution (str): ``popularity``, in proportion to the training targets, or ``uniform``.
        targets (torch.LongTensor): [samples], the training targets.
        n_items (int): N, with the padding item 0, which is never drawn.

    Returns:
        torch.DoubleTensor: [N].
    """
    if distribution == "popularity":
        return torch.bincount(targets, minlength=n_items).double()
    weights = torch.ones(n_items, dtype=torch.double)
    weights[0] = 0
    return weights


class NegativeSampler(nn.Module):
    """Draws the negatives that a batch shares.

    ``n_draws`` draws with replacement, of which every item counts once. Q, an item's probability of being
    among them, is then exactly ``1 - (1 - q) ** n_draws``, q being that of a single draw.

    Args:
        weights (torch.DoubleTensor): [N], how often each item is drawn, up to a factor.
        n_draws (int): draws a batch.
    """

    def __init__(self, weights, n_draws):
        super().__init__()
        self.n_draws = n_draws
        q = weights / weights.sum()
        cumulative = q.cumsum(0)
        # float64: the steps of a million items would drown in float32's rounding
        self.register_buffer("cumulative", cumulative / cumulative[-1], persistent=False)
        log_q = (-torch.expm1(n_draws * torch.log1p(-q))).log()
        self.register_buffer("log_q", log_q.to(torch.get_default_dtype()), persistent=False)

    def forward(self):
        """Distinct items, a LongTensor [M], M at most ``n_draws``, by torch's global generator."""
        points = torch.rand(self.n_draws, dtype=self.cumulative.dtype, device=self.cumulative.device)
        return torch.searchsorted(self.cumulative, points, right=True).unique()


def sampled_softmax(users, target_vectors, negative_vectors, targets, negatives, log_q, adjust=None):
    """The mean cross-entropy of the targets among themselves and the negatives.

    Every score is reduced by log Q of its item. A negative that is the user's target is left out.
    With Q = 1 for all items this is the full softmax.

    Args:
        users (torch.Tensor): [B, d].
        target_vectors (torch.Tensor): [B, d], of each user's target.
        negative_vectors (torch.Tensor): [M, d], of the negatives.
        targets (torch.LongTensor): [B].
        negatives (torch.LongTensor): [M], distinct.
        log_q (torch.Tensor): [N], log of each item's probability of being among the negatives; finite
            for targets and negatives.
        adjust (callable, optional): from scores [B, M'] and their items ([B, M'] or [M']) to the scores
            that count.

    Returns:
        torch.Tensor: the loss, a scalar.
    """
    positive = (users * target_vectors).sum(dim=-1, keepdim=True)
    negative = users @ negative_vectors.T
    if adjust:
        positive, negative = adjust(positive, targets.unsqueeze(1)), adjust(negative, negatives)
    positive, negative = positive - log_q[targets].unsqueeze(1), negative - log_q[negatives]
    negative = negative.masked_fill(negatives == targets.unsqueeze(1), -torch.inf)
    logits = torch.cat([positive, negative], dim=1)  # [B 1+M]
    return F.cross_entropy(logits, torch.zeros_like(targets))
