"""Pseudo-users with known interests: real items of M leaf categories, in random order.

They test whether Stage 1 finds interests that are there. They are no users, and no result of a recommender.
"""

from typing import NamedTuple

import numpy as np

LEAST = 8  # items of a leaf category that takes part
ITEMS = 12  # of a pseudo-user, about
MOST = 6  # interests of a pseudo-user
KINDS = {
    "plain": "leaves drawn at random",
    "overlapping": "leaves drawn as the most similar to one another",
    "unbalanced": "two leaves, nine items against one",
    "noisy": "plain, and three items of other categories",
}


class PseudoUser(NamedTuple):
    """Items with the interests that they were drawn from."""

    items: np.ndarray
    """int64 [n], item numbers, oldest first."""
    labels: np.ndarray
    """int64 [n], which of the M leaves an item is of; -1 for noise."""
    leaves: np.ndarray
    """int64 [M], numbers of the leaves."""


def halves(categories, seed=2026):
    """The leaf categories with at least eight items, as two halves.

    Args:
        categories (sequence of str): the last category of each item, ``""`` where there is none.
        seed (int): of the division.

    Returns:
        tuple of list of numpy.ndarray: to calibrate with, and to report; the item numbers of each leaf.
    """
    categories = np.array(categories, dtype=object)
    names, counts = np.unique(categories[categories != ""].astype(str), return_counts=True)
    leaves = [np.flatnonzero(categories == name) for name in names[counts >= LEAST]]
    order = np.random.default_rng(seed).permutation(len(leaves))
    half = len(leaves) // 2
    return tuple([leaves[number] for number in np.sort(part)] for part in (order[:half], order[half:]))


def pseudo_users(leaves, interests, count, kind="plain", vectors=None, seed=0):
    """Pseudo-users of one number of interests.

    Args:
        leaves (list of numpy.ndarray): item numbers of each leaf.
        interests (int): M.
        count (int): how many users.
        kind (str): of :data:`KINDS`.
        vectors (numpy.ndarray): float [items, H], of the items' titles, for all kinds but ``plain``.
        seed (int): of the draws.

    Returns:
        list of PseudoUser: 12 // M items a leaf, at least two.
    """
    draw = np.random.default_rng([seed, interests, *kind.encode()])
    sizes = [9, 1] if kind == "unbalanced" else [max(2, ITEMS // interests)] * interests
    similar = centroids(leaves, vectors) if kind == "overlapping" else None
    users = []
    for _ in range(count):
        chosen = draw.choice(len(leaves), len(sizes), replace=False)
        if kind == "overlapping":
            chosen = _neighbours(similar, chosen[0], len(sizes))
        drawn = [
            draw.choice(leaves[leaf], min(size, len(leaves[leaf])), replace=False)
            for leaf, size in zip(chosen, sizes, strict=True)
        ]
        labels = np.repeat(np.arange(len(chosen)), [len(items) for items in drawn])
        if kind == "noisy":
            others = np.setdiff1d(np.arange(len(vectors)), np.concatenate([leaves[leaf] for leaf in chosen]))
            drawn.append(draw.choice(others, 3, replace=False))
            labels = np.append(labels, [-1, -1, -1])
        order = draw.permutation(len(labels))
        users.append(PseudoUser(np.concatenate(drawn)[order], labels[order], np.asarray(chosen)))
    return users


def centroids(leaves, vectors):
    """The mean of each leaf's vectors as a unit vector, float [leaves, H]."""
    means = np.stack([vectors[items].mean(axis=0) for items in leaves])
    return means / np.linalg.norm(means, axis=1, keepdims=True).clip(1e-12)


def _neighbours(units, first, count):
    """``count`` leaves, each after the first the most similar to those before it."""
    chosen = [int(first)]
    while len(chosen) < count:
        likeness = (units @ units[chosen].T).max(axis=1)
        likeness[chosen] = -np.inf
        chosen.append(int(likeness.argmax()))
    return np.array(chosen)


def agreement(user, groups):
    """The adjusted Rand index of a user's groups and planted interests; noise is left out.

    Args:
        user (PseudoUser): with at least two items that are no noise.
        groups (sequence of sequence of int): positions; each position counts for the group that ranks it
            best, as routing gives a ranking of all positions a group.

    Returns:
        float: 1 for the same division, 0 for what chance gives.
    """
    from sklearn.metrics import adjusted_rand_score

    found = np.full(len(user.items), -1)
    best = np.full(len(user.items), len(user.items))
    for number, group in enumerate(groups):
        for rank, position in enumerate(group):
            if rank < best[position]:
                found[position], best[position] = number, rank
    real = user.labels >= 0
    return adjusted_rand_score(user.labels[real], found[real])
