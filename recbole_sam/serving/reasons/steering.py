"""Wishes that a person types: a phrase changes the scores of the items whose titles fit it."""

from numbers import Real
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from recbole_sam.errors import DataError, SettingError

WEIGHT = 6.0
"""How many standard deviations of a person's scores the best fitting item gains at strength 1."""
NEAREST, OF = 20, 200
"""Titles that widen a phrase, as few words say little: at most 20, and at most one title in 200. Both numbers
are chosen on validation (benchmarks/steering.md)."""


class Steering(NamedTuple):
    """What some phrases do to scores."""

    phrases: tuple
    """str, as typed."""
    vectors: torch.Tensor
    """[S, H], of the text encoder."""
    fit: torch.Tensor
    """[N], how well each item fits the phrase that it fits best: 1 the best item, 0 the average one."""
    strength: float

    def part(self, scores):
        """What the phrases add to scores [B, N] of all items, [B, N]."""
        return self.strength * WEIGHT * scores[:, 1:].std(dim=1, keepdim=True) * self.fit

    def add(self, scores):
        """Scores [B, N] with what the phrases add."""
        return scores + self.part(scores)


def steering(phrases, strength, encode, item_vectors):
    """Makes phrases out of what a person typed.

    Args:
        phrases (str or sequence of str): the wishes; an item has to fit one of them.
        strength (float): 1 is the default; 0 changes nothing.
        encode (callable): from a list of str to float32 [S, H].
        item_vectors (callable): without arguments, gives the titles' vectors [N, H], padding first.

    Returns:
        Steering

    Raises:
        SettingError: a phrase or the strength makes no sense.
        DataError: no title has a word of a phrase.
    """
    phrases = tuple(phrases) if isinstance(phrases, list | tuple) else (phrases,)
    if any(not isinstance(phrase, str) or not phrase.strip() for phrase in phrases):
        raise SettingError("steer is an empty phrase or no text: type what is wanted, such as 'work gloves'.")
    if isinstance(strength, bool) or not isinstance(strength, Real) or not 0 <= strength <= 1000:
        raise SettingError(f"strength is {strength!r}; it must be a number from 0 to 1000.")
    vectors = torch.from_numpy(np.ascontiguousarray(encode(list(phrases)), np.float32))
    for phrase, says in zip(phrases, vectors.any(dim=1).tolist(), strict=True):
        if not says:
            raise DataError(f"No title has a word of the phrase '{phrase[:60]}': try other words.")
    return Steering(phrases, vectors, fits(vectors, item_vectors()).amax(dim=0), float(strength))


def fits(vectors, items):
    """How well items fit phrases: the cosine of their texts, with the phrase widened by its nearest titles.

    Rocchio. "Relevance Feedback in Information Retrieval." in The SMART Retrieval System, 1971.

    Args:
        vectors (torch.Tensor): [S, H], of phrases.
        items (torch.Tensor): [N, H], of titles, padding first; zeros say nothing.

    Returns:
        torch.Tensor: [S, N], of each phrase 1 for the best item, 0 for padding and what is no better than the
        average item. The root of what lies between: whether an item fits at all matters most.
    """
    phrases, titles = F.normalize(vectors.float(), dim=1), F.normalize(items.float(), dim=1)
    count = min(NEAREST, max(1, len(titles) // OF))
    cosines, nearest = (phrases @ titles.T).topk(count, dim=1)
    titles_nearby = (titles[nearest] * cosines.clamp(min=0).unsqueeze(2)).sum(dim=1)
    widened = F.normalize(phrases + F.normalize(titles_nearby, dim=1), dim=1) @ titles.T
    above = widened - widened[:, 1:].mean(dim=1, keepdim=True)
    best = above[:, 1:].amax(dim=1, keepdim=True).clamp(min=1e-6)
    return (above / best).clamp(0, 1).sqrt().masked_fill(~items.any(dim=1), 0)
