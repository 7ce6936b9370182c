"""Interest groups and their number: average-linkage clustering of a history's titles.

Shapes: B users, L history positions, N titles, H text dimension, D axes.

Two titles are alike by the cosine of their vectors, after the catalogue's mean is taken off and only its
D leading axes are kept. That makes unrelated titles score about 0 with any encoder. Every title begins as a
group. The two groups with the highest mean similarity between their titles are merged, again and again, as
long as that similarity reaches the catalogue's threshold:

    threshold = similarity of two random titles
                + closeness * (similarity of a title to its tenth neighbour - that of two random titles)

So K follows from the history, 1 included, and no label is needed. Above ``k_max`` groups the nearest are
merged all the same; at ``k_min`` merging stops.

Similarities are sums in double precision, rounded to steps of 2^-20. From there on all sums are exact, so a
user's groups depend on nobody else, on no chunk and on no padding.
"""

from typing import NamedTuple

import numpy as np
import torch

from recbole_sam.config.groupings import CLUSTERING, fewest
from recbole_sam.interests.grouping.routing import count_distinct

AXES = 256  # more neither change the groups much nor pay for their time
SAMPLE = 10_000  # titles of the catalogue that a scale is made from
QUERIES = 2_000  # of them, titles whose neighbours are looked at
NEIGHBOUR = 10
STEP = 2.0**20
HALF_LIFE = 10  # items after which an item counts half in its group's weight


class Scale(NamedTuple):
    """What similarity means in one catalogue with one encoder."""

    mean: np.ndarray
    """float64 [H], of the titles' vectors."""
    axes: np.ndarray
    """float64 [H, D], orthonormal, by falling variance."""
    random: float
    """Mean similarity of two titles."""
    near: float
    """Mean similarity of a title to its tenth neighbour, an earlier one in a catalogue below 100 titles."""

    def threshold(self, closeness):
        """The similarity from which two groups are one."""
        return self.random + closeness * (self.near - self.random)

    def units(self, vectors):
        """Vectors [n, H] as unit vectors, float32 [n, D]; one that is zero stays zero."""
        placed = (np.asarray(vectors, np.float64) - self.mean) @ self.axes
        placed[~np.any(vectors, axis=1)] = 0
        norms = np.linalg.norm(placed, axis=1, keepdims=True)
        return (placed / np.where(norms > 0, norms, 1)).astype(np.float32)


def sampled(titles):
    """The titles that a catalogue's scale is made from.

    Args:
        titles (sequence): the distinct titles of the whole catalogue, sorted, or their numbers.

    Returns:
        list: all, or a fixed sample of 10,000.
    """
    if len(titles) <= SAMPLE:
        return list(titles)
    rows = np.random.default_rng(0).choice(len(titles), SAMPLE, replace=False)
    return [titles[row] for row in np.sort(rows)]


def scale(vectors):
    """The scale of a catalogue.

    Args:
        vectors (numpy.ndarray): float [n, H], of the titles of :func:`sampled`.

    Returns:
        Scale: the same for the same vectors.
    """
    from threadpoolctl import threadpool_limits

    vectors = np.asarray(vectors, np.float64)
    mean = vectors.mean(axis=0)
    with threadpool_limits(1):  # the same numbers however many cores there are
        centred = vectors - mean
        axes = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :AXES]
        found = Scale(mean, np.ascontiguousarray(axes), 0.0, 1.0)
        units = found.units(vectors)
        rows = np.linspace(0, len(units) - 1, min(QUERIES, len(units))).astype(int)
        similar = (units[rows] @ units.T).astype(np.float64)
    others = len(units) - 1
    if others < 1:
        return found
    similar[np.arange(len(rows)), rows] = -np.inf  # a title is no neighbour of its own
    number = min(NEIGHBOUR, max(1, others // 10))  # in a tiny catalogue the tenth is as good as random
    nearest = np.partition(similar, -number, axis=1)[:, -number]
    similar[np.arange(len(rows)), rows] = 0
    random = similar.sum() / (len(rows) * others)
    return found._replace(random=float(random), near=float(nearest.mean()))


def merge(similarity, lengths, distinct, threshold, k_min=1, k_max=10):
    """Merges the nearest groups of each user, by average linkage.

    Args:
        similarity (torch.Tensor): float64 [B, L, L], symmetric, whole multiples of 2^-20.
        lengths (torch.Tensor): int64 [B], each user's number of items; what is behind them is ignored.
        distinct (torch.Tensor): int64 [B], distinct titles; K is at most that.
        threshold (float): the mean similarity from which two groups are one.
        k_min (int): fewest groups of a user with as many distinct titles.
        k_max (int): most groups.

    Returns:
        torch.Tensor: int64 [B, L], the first position of each position's group.
    """
    users, length, _ = similarity.shape
    position = torch.arange(length, device=similarity.device)
    real = position < lengths[:, None]
    pairs = (real[:, :, None] & real[:, None, :]).triu(1)
    total = similarity.clone()  # of two groups: the sum over their pairs of titles
    mean = similarity.masked_fill(~pairs, -torch.inf)  # and the mean; i < j only
    size = real.to(similarity.dtype)
    label = position.repeat(users, 1)
    result = label.clone()
    count, least, most = lengths, distinct.clamp(max=k_min), distinct.clamp(max=k_max)
    rows = torch.arange(users, device=similarity.device)
    while len(rows):
        best, pair = mean.flatten(1).max(dim=1)
        going = (count > most) | ((count > least) & (best >= threshold))
        if not going.all():
            result[rows[~going]] = label[~going]
            rows, total, mean, size, label, count, least, most, pair = (
                each[going] for each in (rows, total, mean, size, label, count, least, most, pair)
            )
        first, second = pair // length, pair % length
        row = torch.arange(len(rows), device=rows.device)
        sums = total[row, first] + total[row, second]
        total[row, first] = sums
        total[row, :, first] = sums
        size[row, first] += size[row, second]
        size[row, second] = 0
        fresh = sums / (size * size[row, first, None])
        fresh = fresh.masked_fill((size == 0) | (position == first[:, None]), -torch.inf)
        later = position > first[:, None]
        mean[row, first] = fresh.masked_fill(~later, -torch.inf)
        mean[row, :, first] = fresh.masked_fill(later, -torch.inf)
        mean[row, second] = -torch.inf
        mean[row, :, second] = -torch.inf
        label = torch.where(label == second[:, None], first[:, None], label)
        count = count - 1
    return result


class Clusterer:
    """Finds interest groups among a fixed set of titles.

    Args:
        embeddings (numpy.ndarray): float [N, H], the titles' embeddings.
        scale (Scale): of the catalogue.
        settings (ExtractSettings): limits of K, closeness, and the device.
    """

    def __init__(self, embeddings, scale, settings):
        self.units = torch.as_tensor(scale.units(embeddings), device=settings.device)
        self.threshold = scale.threshold(settings.closeness)
        self.settings = settings

    @torch.no_grad()
    def __call__(self, items):
        """The interest groups of some users.

        Args:
            items (numpy.ndarray or torch.Tensor): int64 [B, up to L], rows of the title embeddings, oldest
                first, then -1 as padding. Memory grows with B: give a thousand or so a time.

        Returns:
            list: for each user a tuple of groups, heaviest first; a group is a tuple of positions, most
            central first. Together they hold every position once.
        """
        items = torch.as_tensor(items, device=self.units.device)
        lengths = (items >= 0).sum(dim=-1)
        if not items.shape[1]:  # of users none of whose items has a title
            return [()] * len(items)
        vectors = self.units[items.clamp_min(0)].double()
        similarity = vectors @ vectors.transpose(-1, -2)
        same = items[:, :, None] == items[:, None, :]  # also where a title has no known word
        similarity = (similarity.masked_fill(same, 1.0) * STEP).round() / STEP
        label = merge(
            similarity,
            lengths,
            count_distinct(items),
            round(self.threshold * STEP) / STEP,
            fewest(CLUSTERING, self.settings.k_min),
            self.settings.k_max,
        )
        return ordered(similarity, label, lengths)


def ordered(similarity, label, lengths):
    """Groups by weight, their positions by centrality.

    An item weighs half as much as one that is ten items newer, and a group as much as its items together.
    Central is what is like the rest of its group.

    Args:
        similarity (torch.Tensor): float64 [B, L, L].
        label (torch.Tensor): int64 [B, L], of :func:`merge`.
        lengths (torch.Tensor): int64 [B].

    Returns:
        list: as of :class:`Clusterer`.
    """
    length = label.shape[1]
    position = torch.arange(length, device=label.device)
    real = position < lengths[:, None]
    together = (label[:, :, None] == label[:, None, :]) & real[:, :, None] & real[:, None, :]
    central = (similarity * together).sum(dim=-1)
    age = (lengths[:, None] - 1 - position).clamp_min(0)
    weight = torch.exp2(-age.double() / HALF_LIFE) * real
    of_group = (together * weight[:, None, :]).sum(dim=-1)
    # one sort: by group weight, then group, then centrality; stable sorts, the least important first
    order = central.masked_fill(~real, -torch.inf).sort(dim=-1, descending=True, stable=True).indices
    for key, falling in ((label, False), (of_group.masked_fill(~real, -torch.inf), True)):
        order = order.gather(1, key.gather(1, order).sort(dim=-1, descending=falling, stable=True).indices)
    positions, labels = order.tolist(), label.gather(1, order).tolist()
    return [
        _split(of_user[:n], groups[:n])
        for of_user, groups, n in zip(positions, labels, lengths.tolist(), strict=True)
    ]


def _split(positions, labels):
    """Positions as a tuple of tuples, a new one where the label changes."""
    groups, before = [], None
    for position, label in zip(positions, labels, strict=True):
        if label != before:
            groups.append([])
        groups[-1].append(position)
        before = label
    return tuple(map(tuple, groups))
