"""Interest groups and their number: B2I dynamic routing and the adaptive K (SAM, Stage 1).

Shapes: B users, L history positions, C capsules (the paper's K_max), N titles, H text dimension.

The formulae (``identify`` follows them exactly, up to rounding), for a user with titles e_1 .. e_n:

    u_i = W e_i
    three times: c_j = softmax over i of b_j;  s_j = sum_i c_ji u_i;  v_j = squash(s_j)
                 and, except after the last time, b_ji += <u_i, v_j>
    order the capsules by |v_j|;  mu_j = sum_i c_ji e_i / sum_i c_ji
    Consistency(k) = 1 / (k n) * sum over the k strongest j and all i of c_ji cos(e_i, mu_j)
    Diversity(k)   = 1 - mean over the pairs of the k strongest of cos(mu_j, mu_j')
    K = argmax over k of alpha * Consistency(k) + beta * Diversity(k)

Two observations make this fast. Every s_j and mu_j is a mixture of the user's own n vectors, so
all the lengths and cosines above follow from the two [n, n] tables of inner products <u_i, u_i'>
and <e_i, e_i'>: after those, nothing depends on H. And W e_i depends on the title only, so it is
computed once a title, not once a position.

Choices the paper leaves open: W is random and stays so, as in the reference implementation, here
with entries from N(0, 1/H), which keeps lengths in the mean. The initial logits b are one draw from
N(0, 1) that all users share: for each user it is a draw like any other, and no result depends on
which users are computed together. A user's n is the real history length, not the padded one.
"""

from typing import NamedTuple

import numpy as np
import torch

from recbole_sam.config.groupings import ROUTING, fewest

TIE = 1e-6  # scores nearer than float32 can tell apart: the smaller K wins


class Interests(NamedTuple):
    """The interest groups of B users."""

    k: torch.Tensor
    """int64 [B]: the number of interests, 0 only for a user without items."""
    order: torch.Tensor
    """int64 [B, C]: capsules, strongest first; the first k are the user's groups."""
    coupling: torch.Tensor
    """float [B, C, L]: c of each capsule (in the order of routing) and position; 0 on padding."""
    centrality: torch.Tensor
    """float [B, C, L]: c_ji cos(e_i, mu_j), a position's part in its group's consistency."""
    scores: torch.Tensor
    """float [B, C]: the score of k = 1 .. C."""


def draw_projection(width, seed):
    """W, float32 [H, H], from N(0, 1/H), the same on every device."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(width, width, generator=generator) / width**0.5


def draw_logits(capsules, length, seed):
    """b, float32 [C, L], from N(0, 1), the same on every device."""
    generator = torch.Generator().manual_seed(seed + 1)  # or b would repeat the numbers of W
    return torch.randn(capsules, length, generator=generator)


def squash_factor(norm):
    """squash(s) / s = |s| / (1 + |s|^2), from |s|."""
    return norm / (1 + norm * norm)


def route(gram, mask, logits, iterations=3):
    """Dynamic routing in the space of inner products.

    Args:
        gram (torch.Tensor): float [B, L, L], <u_i, u_i'>.
        mask (torch.Tensor): bool [B, L], True on real positions.
        logits (torch.Tensor): float [C, L], the initial b.
        iterations (int): the paper has 3.

    Returns:
        tuple of torch.Tensor: coupling c [B, C, L], 0 on padding, and capsule lengths |s| [B, C],
        which order the capsules as |v| does and do not saturate as it does.
    """
    hidden = ~mask[:, None, :]
    b = logits.expand(len(gram), -1, -1)
    for iteration in range(iterations):
        # A user without items has nothing to normalise over: its row of NaN becomes zeros.
        c = b.masked_fill(hidden, -torch.inf).softmax(-1).masked_fill(hidden, 0)
        agreement = c @ gram  # <s_j, u_i>, since s_j = sum_i c_ji u_i
        norm = (agreement * c).sum(-1).clamp_min(0).sqrt()
        if iteration < iterations - 1:
            b = b + squash_factor(norm)[..., None] * agreement
    return c, norm


def centres(gram, coupling):
    """Cosines of the group centres mu_j with the items and with each other.

    sum_i c_ji is 1 for everyone who has an item, and cosines ignore length: mu_j needs no division.

    Args:
        gram (torch.Tensor): float [B, L, L], <e_i, e_i'>.
        coupling (torch.Tensor): float [B, C, L].

    Returns:
        tuple of torch.Tensor: cos(mu_j, e_i) [B, C, L] and cos(mu_j, mu_j') [B, C, C]; 0 where a
        vector is zero.
    """
    with_items = coupling @ gram
    with_centres = with_items @ coupling.transpose(-1, -2)
    item_norm = _safe_root(gram.diagonal(dim1=-2, dim2=-1))
    centre_norm = _safe_root(with_centres.diagonal(dim1=-2, dim2=-1))
    to_items = with_items / (centre_norm[..., :, None] * item_norm[..., None, :])
    to_centres = with_centres / (centre_norm[..., :, None] * centre_norm[..., None, :])
    return to_items, to_centres


def _safe_root(square):
    """The root of a squared length, infinite for zero, so that dividing by it gives 0."""
    root = square.clamp_min(0).sqrt()
    return torch.where(root > 0, root, torch.inf)


def score_curve(consistency, cosines, lengths, alpha=0.6, beta=0.4):
    """alpha * Consistency(k) + beta * Diversity(k) of every k at once, by cumulative sums.

    Args:
        consistency (torch.Tensor): float [B, C], sum_i c_ji cos(e_i, mu_j), strongest
            capsule first.
        cosines (torch.Tensor): float [B, C, C], cos(mu_j, mu_j') in the same order.
        lengths (torch.Tensor): [B], the number of items n.
        alpha (float): weight of consistency, 0.6 in the paper.
        beta (float): weight of diversity, 0.4 in the paper.

    Returns:
        torch.Tensor: float [B, C], entry k - 1 is the score of k.
    """
    k = torch.arange(1, consistency.shape[1] + 1, device=consistency.device)
    mean = consistency.cumsum(-1) / (k * lengths.clamp_min(1)[:, None])
    pairs = (k * (k - 1) / 2).clamp_min(1)  # k = 1 has no pair: its diversity is 1
    similarity = cosines.triu(1).sum(-2).cumsum(-1) / pairs
    return alpha * mean + beta * (1 - similarity)


def choose_k(scores, distinct, k_min=2, k_max=10):
    """The best k within its limits, and never more than a user's distinct titles.

    Args:
        scores (torch.Tensor): float [B, C].
        distinct (torch.Tensor): int64 [B], distinct titles of each user.
        k_min (int): the paper has 2; a user with fewer distinct titles gets as many as these.
        k_max (int): the paper has 10.

    Returns:
        torch.Tensor: int64 [B]; 0 where ``distinct`` is 0.
    """
    k = torch.arange(1, scores.shape[1] + 1, device=scores.device)
    upper = distinct.clamp(max=k_max)[:, None]
    allowed = (k >= upper.clamp(max=k_min)) & (k <= upper)
    scores = scores.masked_fill(~allowed, -torch.inf)
    best = scores >= scores.amax(-1, keepdim=True) - TIE
    return torch.where(distinct > 0, best.int().argmax(-1) + 1, 0)


def count_distinct(items):
    """How many different numbers of 0 and above stand in each row: int64 [B, L] -> [B]."""
    ordered = items.sort(-1).values
    new = torch.ones_like(ordered, dtype=torch.bool)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    return (new & (ordered >= 0)).sum(-1)


class Identifier:
    """Finds interest groups among a fixed set of titles; holds what all users share.

    Args:
        embeddings (numpy.ndarray or torch.Tensor): float [N, H], the titles' embeddings.
        settings (ExtractSettings): of the routing, and the device.
    """

    def __init__(self, embeddings, settings):
        self.embeddings = torch.as_tensor(embeddings, dtype=torch.float32, device=settings.device)
        self.projection = draw_projection(self.embeddings.shape[1], settings.seed).to(settings.device)
        self.projected = self.embeddings @ self.projection.T
        self.logits = draw_logits(settings.k_max, settings.history_length, settings.seed).to(settings.device)
        self.settings = settings

    @torch.no_grad()
    def __call__(self, items):
        """The interest groups of some users.

        Args:
            items (numpy.ndarray or torch.Tensor): int64 [B, up to L], rows of the title embeddings,
                oldest first, then -1 as padding. Memory grows with B: give a thousand or so a time.

        Returns:
            Interests: on the identifier's device.
        """
        items = torch.as_tensor(items, device=self.embeddings.device)
        mask = items >= 0
        rows = items.clamp_min(0)
        coupling, strength = route(
            _gram(self.projected[rows]), mask, self.logits[:, : items.shape[1]], self.settings.iterations
        )
        cosines, between = centres(_gram(self.embeddings[rows]), coupling)
        centrality = coupling * cosines
        order = strength.sort(dim=-1, descending=True, stable=True).indices
        consistency = centrality.sum(-1).gather(1, order)
        between = between.gather(1, order[:, :, None].expand_as(between))
        between = between.gather(2, order[:, None, :].expand_as(between))
        scores = score_curve(consistency, between, mask.sum(-1), self.settings.alpha, self.settings.beta)
        k = choose_k(scores, count_distinct(items), fewest(ROUTING, self.settings.k_min), self.settings.k_max)
        return Interests(k, order, coupling, centrality, scores)


def _gram(vectors):
    """Inner products [B, L, L] of vectors [B, L, H]."""
    return vectors @ vectors.transpose(-1, -2)


def pad(values, offsets):
    """Ragged rows as a matrix filled with -1 on the right.

    Args:
        values (numpy.ndarray): int64 [n], the rows one after another.
        offsets (numpy.ndarray): int64 [B + 1], where each row begins.

    Returns:
        numpy.ndarray: int64 [B, longest row].
    """
    lengths = np.diff(offsets)
    columns = np.arange(lengths.max(initial=0))
    padded = np.full((len(lengths), len(columns)), -1)
    padded[columns < lengths[:, None]] = values[offsets[0] : offsets[-1]]
    return padded


def rankings(interests, lengths):
    """Each user's groups as positions, most central first, as generators are asked.

    Args:
        interests (Interests): of B users.
        lengths (sequence of int): [B], each user's number of items.

    Returns:
        list: for each user a tuple of k tuples of n positions.
    """
    centrality = interests.centrality.gather(1, interests.order[:, :, None].expand_as(interests.centrality))
    # Padding has centrality 0 and an item may have less: it must come last all the same.
    padding = torch.arange(centrality.shape[2], device=centrality.device)
    padding = padding >= torch.as_tensor(lengths, device=centrality.device)[:, None]
    ranked = centrality.masked_fill(padding[:, None, :], -torch.inf)
    ranked = ranked.sort(dim=-1, descending=True, stable=True).indices.tolist()
    return [
        tuple(tuple(group[:length]) for group in groups[:k])
        for groups, k, length in zip(ranked, interests.k.tolist(), lengths, strict=True)
    ]
