"""Where items stand for variants of one person: another history, other interests."""

from typing import NamedTuple

import numpy as np
import torch

from recbole_sam.serving.reasons import lending
from recbole_sam.serving.scores import AT_ONCE, Sessions


class Person(NamedTuple):
    """Whose recommendations are explained."""

    number: int
    """Of the user; 0 for a stranger."""
    items: np.ndarray
    """int [m], the item numbers of the whole history, oldest first."""
    interests: lending.Interests | None
    """Of this one person; None where the model reads none."""


class Variant(NamedTuple):
    """What a person could have been like."""

    items: np.ndarray
    """int [m], at least 1."""
    interests: lending.Interests | None
    """Of this one person, from the same table of phrases as those of the other variants."""


class Standing(NamedTuple):
    """Of n items for V variants."""

    scores: torch.Tensor
    """[V, n]."""
    leads: torch.Tensor
    """[V, n], scores less the log of the candidates' summed exponentials: how likely the item is among them
    by a softmax, as a logarithm. What raises all scores alike does not count."""
    ranks: torch.Tensor
    """int64 [V, n], from 1, among the candidates."""


def candidates(person, n_items):
    """The items [N], bool, that can be recommended to a person: all but those of the history."""
    allowed = torch.ones(n_items, dtype=torch.bool)
    allowed[0] = False
    allowed[torch.from_numpy(person.items.astype(np.int64))] = False
    return allowed


def standing(scorer, person, variants, items, steering=None):
    """Scores and ranks of some items for all variants, a few batches of them.

    Args:
        scorer (Scorer): of a bundle.
        person (Person): the candidates are the items outside their history, whatever the variant.
        variants (list of Variant): V of them.
        items (torch.LongTensor): [n], item numbers; each is a candidate itself.
        steering (Steering, optional): what the person asked for.

    Returns:
        Standing
    """
    allowed = candidates(person, scorer.n_items)
    step = max(1, AT_ONCE // 4 // scorer.n_items)
    batches = [variants[start : start + step] for start in range(0, len(variants), step)]
    found = [_of_batch(scorer, person, some, items, steering, allowed) for some in batches]
    return Standing(*map(torch.cat, zip(*found, strict=True)))


def _of_batch(scorer, person, variants, items, steering, allowed):
    lengths = np.array([len(variant.items) for variant in variants], np.int64)
    flat = np.concatenate([variant.items for variant in variants])
    owners = np.full(len(variants), person.number, np.int64)
    sessions = Sessions(owners, flat, lengths.cumsum() - lengths, lengths)
    with lending.lent(scorer.model, _stacked(variants), owners) as users:
        scores = scorer.scores(sessions._replace(users=users))
    if steering is not None:
        scores = steering.add(scores)
    own = scores[:, items]
    ranks = []
    for place, item in enumerate(items.tolist()):
        least = own[:, place : place + 1]
        ahead = scores > least
        ahead[:, :item] |= scores[:, :item] == least
        ranks.append(1 + (ahead & allowed).sum(dim=1))
    all_together = scores[:, allowed].logsumexp(dim=1, keepdim=True) if allowed.any() else 0
    return own, own - all_together, torch.stack(ranks, dim=1)


def _stacked(variants):
    """The interests of all variants in one table."""
    if variants[0].interests is None:
        return None
    width = max(variant.interests.rows.shape[1] for variant in variants)
    rows = torch.zeros(len(variants), width, dtype=torch.int32)
    for row, variant in zip(rows, variants, strict=True):
        row[: variant.interests.rows.shape[1]] = variant.interests.rows[0]
    k = torch.cat([variant.interests.k for variant in variants])
    return lending.Interests(variants[0].interests.embeddings, rows, k)
