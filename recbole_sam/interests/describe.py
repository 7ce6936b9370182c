"""A store and a user in words: what ``interests stats`` and ``interests show`` print."""

import heapq

import numpy as np

from recbole_sam.config.groupings import CLUSTERING
from recbole_sam.generators.base import COMPLETE, REPAIRED
from recbole_sam.interests.grouping.clustering import Clusterer
from recbole_sam.interests.grouping.routing import Identifier, rankings

BAR = 40  # characters of the longest bar


def store_lines(store, most=10):
    """A store's statistics.

    Args:
        store (InterestStore): an open store.
        most (int): how many of the most frequent phrases to name.

    Returns:
        list of str: K histogram, coverage, statuses, phrase lengths, most frequent phrases.
    """
    counts = np.diff(store.offsets)
    covered = int((counts > 0).sum())
    users = len(counts)
    lines = [f"{users:,} users, {store.n_phrases:,} distinct phrases, width {store.width}"]
    if not users:
        return lines
    lines += [f"coverage: {covered:,} users ({covered / users:.1%}) have interests", "K:"]
    histogram = np.bincount(counts)
    for k in np.flatnonzero(histogram):
        share = histogram[k] / histogram.max()
        lines.append(f"  {k:>3} {histogram[k]:>10,} {'#' * max(1, round(BAR * share))}")
    lines.append("how they came about:")
    for code, name in enumerate(store.status_names):
        number = int((store.statuses == code).sum())
        if number:
            lines.append(f"  {name:<10} {number:>10,}")
    phrases = list(store.phrases)
    if not phrases:
        return lines
    words = np.array([len(phrase.split()) for phrase in phrases])
    characters = np.array([len(phrase) for phrase in phrases])
    for what, values in (("words", words), ("characters", characters)):
        low, median, high = np.percentile(values, [5, 50, 95], method="nearest")
        lines.append(f"{what} a phrase: {median:.0f} in the median, {low:.0f} to {high:.0f} for 90 %")
    uses = np.bincount(store.phrase_index, minlength=len(phrases))
    if most:
        lines.append("most frequent phrases:")
    for row in heapq.nsmallest(most, range(len(phrases)), key=lambda i: (-uses[i], phrases[i])):
        lines.append(f"  {uses[row]:>8,} {phrases[row]}")
    return lines


def user_lines(user, titles, vectors, settings, phrases, status, near=None):
    """How one user came to their interests.

    Args:
        user (str): the token.
        titles (sequence of str): n item titles of the training history, oldest first.
        vectors (numpy.ndarray): float32 [n, H], their embeddings.
        settings (ExtractSettings): of the grouping.
        phrases (sequence of str): the stored interests.
        status (str): the stored status.
        near (Scale): of the catalogue, for the grouping ``clustering``.

    Returns:
        list of str: history, then K, groups and phrases; of routing also the score of every K.
    """
    lines = [f"user {user}", f"history ({len(titles)} items with a title, oldest first):"]
    lines += [f"  {position + 1:>3} {title}" for position, title in enumerate(titles)]
    if not len(titles):
        return [*lines, "  none of the items has a title, so there are no interests"]
    rows, where = np.unique(np.array(titles, dtype=object), return_inverse=True)
    first = [list(where).index(number) for number in range(len(rows))]
    vectors, where = np.asarray(vectors)[first], where.reshape(1, -1)
    if settings.grouping == CLUSTERING:
        [groups] = Clusterer(vectors, near, settings)(where)
        return lines + _clustered(titles, groups, phrases, status)
    return lines + _routed(titles, Identifier(vectors, settings)(where), phrases, status)


def _clustered(titles, groups, phrases, status):
    by_group = status in (COMPLETE, REPAIRED) and len(phrases) == len(groups)
    lines = [f"K = {len(groups)} groups, heaviest first (many items, new items):"]
    for number, group in enumerate(groups, 1):
        lines.append(f"  {number:>3} {phrases[number - 1] if by_group else '(see below)'}")
        lines += [f"        {position + 1:>3} {titles[position]}" for position in sorted(group)]
    if by_group:
        return [*lines, f"interests: {status}, one a group"]
    return [*lines, f"interests ({status}):", *(f"  {n:>3} {phrase}" for n, phrase in enumerate(phrases, 1))]


def _routed(titles, interests, phrases, status):
    k = int(interests.k[0])
    lines = ["score by K:"]
    for number, score in enumerate(interests.scores[0].tolist(), 1):
        bar = "#" * max(0, round(BAR * score))
        lines.append(f"  {number:>3} {score:>8.4f} {bar}{'  <- K' if number == k else ''}")
    lines.append("groups, strongest first, each by its most central items:")
    for number, ranking in enumerate(rankings(interests, [len(titles)])[0], 1):
        lines.append(f"  {number:>3} " + "; ".join(titles[i] for i in ranking[:3]))
    lines.append(f"interests ({status}):")
    return lines + [f"  {number:>3} {phrase}" for number, phrase in enumerate(phrases, 1)]
