"""Several interests a user: routing a history into capsules, and reading scores out of them.

Shapes: B users, L history length, K capsules, N items, d dimension.
"""

import torch

ON_CPU, ON_GPU = (64, 1024, 250_000), (4096, 1_000_000, 50_000_000)
"""Users, items, and products of interests with items, at once. A CPU's cache holds such a piece (1 MB)."""


def squash(s):
    """Shrinks vectors to a length below 1 and keeps their direction: |s|^2 / (1 + |s|^2) * s / |s|.

    Args:
        s (torch.FloatTensor): shape [..., d].

    Returns:
        torch.FloatTensor: shape [..., d]; a zero vector stays one, with a finite gradient.
    """
    length = torch.linalg.vector_norm(s, dim=-1, keepdim=True)
    return s * length / (1 + length.square())


def route(votes, logits, real, iterations, active=None):
    """Dynamic routing from behaviours to interests, as in MIND (votes shared) and ComiRec-DR (votes
    of its own).

    In each iteration every item divides itself among the capsules (softmax over the capsules), a
    capsule is the squashed sum of what it got, and an item's logit for a capsule grows by their
    agreement. The gradient flows through the last iteration only: the ones before it merely find
    the weights.

    Args:
        votes (torch.FloatTensor): what the items say, shape [B, K, L, d] when each capsule hears
            its own transform of them, [B, 1, L, d] when all hear the same.
        logits (torch.FloatTensor): initial routing logits, broadcastable to [B, K, L].
        real (torch.BoolTensor): True where a position holds an item, shape [B, L].
        iterations (int): number of iterations, at least 1.
        active (torch.BoolTensor, optional): True for the capsules a user has, at least one each,
            shape [B, K]. Default: all.

    Returns:
        torch.FloatTensor: the capsules, zero where not active, shape [B, K, d].
    """
    batch, own, length, _ = votes.shape
    agreement = logits.expand(batch, -1, -1)
    settled = votes.detach()
    for _ in range(iterations - 1):
        capsules = squash(_gather(agreement, settled, real, active))
        # Capsules that hear the same votes stand in one group, so that no vote is copied.
        grouped = capsules.unflatten(1, (own, -1))
        agreement = agreement + (grouped @ settled.transpose(2, 3)).flatten(1, 2)
    return squash(_gather(agreement, votes, real, active))


def _gather(agreement, votes, real, active):
    """What each capsule gets from the items: [B, K, L] logits and [B, K or 1, L, d] votes to [B, K,
    d]."""
    if active is not None:
        agreement = agreement.masked_fill(~active.unsqueeze(2), float("-inf"))
    shares = agreement.softmax(dim=1) * real.unsqueeze(1)
    return (shares.unflatten(1, (votes.size(1), -1)) @ votes).flatten(1, 2)


def matches(interests, items, active=None):
    """The match of each of a user's interests with one item of that user: dot products.

    Args:
        interests (torch.FloatTensor): shape [B, K, d].
        items (torch.FloatTensor): one item a user, shape [B, d].
        active (torch.BoolTensor, optional): True for the interests a user has, shape [B, K].
            Default: all.

    Returns:
        torch.FloatTensor: shape [B, K], -inf where not active.
    """
    scores = (interests @ items.unsqueeze(2)).squeeze(2)
    return scores if active is None else scores.masked_fill(~active, float("-inf"))


def nearest_interest(interests, items, active=None):
    """The interest that matches the user's item best.

    Args:
        interests, items, active: as in ``matches``.

    Returns:
        torch.FloatTensor: one interest a user, shape [B, d].
    """
    if interests.size(1) == 1:
        return interests[:, 0]
    best = matches(interests, items, active).argmax(dim=1)
    return interests[torch.arange(interests.size(0), device=interests.device), best]


def best_matches(interests, items, active=None):
    """The best match of any of a user's interests with every item: max_k <interest_k, item>.

    Args:
        interests (torch.FloatTensor): shape [B, K, d].
        items (torch.FloatTensor): shape [N, d].
        active (torch.BoolTensor, optional): True for the interests a user has, one at least, shape
            [B, K]. Default: all.

    Returns:
        torch.FloatTensor: shape [B, N].
    """
    if len(interests) == 1:
        one = interests[0] if active is None else interests[0, active[0]]
        return (one @ items.t()).amax(dim=0, keepdim=True)
    if active is None:
        active = interests.new_ones(interests.shape[:2], dtype=torch.bool)
    # The interests a user has, then the first of them again: a maximum does not mind.
    own = active.to(torch.uint8).argsort(dim=1, descending=True, stable=True)
    own = torch.where(active.gather(1, own), own, own[:, :1])
    counts = active.sum(dim=1)
    users_at_once, items_at_once, products_at_once = ON_CPU if interests.device.type == "cpu" else ON_GPU
    best = interests.new_empty((len(interests), len(items)))
    for users in counts.argsort(stable=True).split(users_at_once):  # with about as many interests
        theirs = interests[users.unsqueeze(1), own[users, : int(counts[users[-1]])]]  # [n k d]
        rows = theirs.flatten(0, 1)
        step = min(items_at_once, max(products_at_once // len(rows), 1))
        for start in range(0, len(items), step):
            products = rows @ items[start : start + step].t()
            best[users, start : start + step] = products.unflatten(0, theirs.shape[:2]).amax(dim=1)
    return best
