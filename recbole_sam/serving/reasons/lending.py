"""Interests that a model is asked with for a while: those of strangers, or a user's own with changes."""

import contextlib
from typing import NamedTuple

import numpy as np
import torch

from recbole_sam.models.parts.interest_reader import InterestReader

_TABLES = ("phrase_embeddings", "user_phrases", "user_k", "support", "_projected", "_phrase_texts")


class Interests(NamedTuple):
    """The interests of n people, as a model looks them up."""

    embeddings: torch.Tensor
    """[P, H], of phrases."""
    rows: torch.Tensor
    """int32 [n, K], rows of ``embeddings``."""
    k: torch.Tensor
    """int64 [n], how many each has."""


def of_users(model, users):
    """The interests of known users (int64 [n], 0 for nobody) that a model has."""
    users = torch.as_tensor(users)
    return Interests(model.phrase_embeddings, model.user_phrases[users], model.user_k[users])


def of_strangers(model, table, count):
    """Interests made on the spot.

    Args:
        model (InterestReader): of a bundle.
        table (InterestTable or None): of :func:`recbole_sam.serving.strangers.make`; None: nobody has any.
        count (int): n, strangers.
    """
    if table is None:
        rows = torch.zeros(count, 1, dtype=torch.int32)
        return Interests(model.phrase_embeddings[:1], rows, torch.zeros(count, dtype=torch.int64))
    return Interests(table.embeddings, table.user_phrases[1:], table.user_k[1:])


def without(interests, numbers):
    """Interests less some of each person's.

    Args:
        interests (Interests): of n people.
        numbers (collection of int): counted from 1.

    Returns:
        Interests: the others keep their order.
    """
    kept = torch.tensor([rank + 1 not in numbers for rank in range(interests.rows.shape[1])])
    has = kept & (torch.arange(len(kept)) < interests.k.unsqueeze(1))
    order = (~has).to(torch.int8).argsort(dim=1, stable=True)
    return interests._replace(rows=interests.rows.gather(1, order), k=has.sum(dim=1))


@contextlib.contextmanager
def lent(model, interests, owners):
    """For a while a model knows n people with these interests, and nobody else.

    Args:
        model (SequentialRecommender): of a bundle.
        interests (Interests or None): of n people; None where the model reads none.
        owners (numpy.ndarray): int64 [n], the user each of them is, 0 for strangers.

    Yields:
        numpy.ndarray: int64 [n], the user numbers to ask the model with.
    """
    if interests is None or not isinstance(model, InterestReader):
        yield owners
        return
    before = {name: getattr(model, name) for name in _TABLES}
    neighbours = getattr(model, "item_knn", None)
    taken = neighbours and (neighbours.taken_starts, neighbours.taken)
    # only the phrases that are asked for are projected
    used, rows = interests.rows.unique(return_inverse=True)
    rows = torch.cat([rows.new_zeros(1, rows.shape[1]), rows]).int()
    k = torch.cat([interests.k.new_zeros(1), interests.k])
    try:
        model.use_interests(interests.embeddings[used.long()], rows, k)
        if neighbours is not None:  # a user's own pairs stay out of the counts
            neighbours.taken_starts, neighbours.taken = _of_owners(*taken, torch.as_tensor(owners))
        yield np.arange(1, len(owners) + 1)
    finally:
        for name, value in before.items():
            setattr(model, name, value)
        if neighbours is not None:
            neighbours.taken_starts, neighbours.taken = taken


def _of_owners(starts, taken, owners):
    """``taken_starts`` and ``taken`` of item_knn for users 1 to n, who took what their owners took."""
    owners = torch.where(owners < len(starts) - 1, owners, 0)
    parts = [taken[starts[owner] : starts[owner + 1]] for owner in owners.tolist()]
    lengths = torch.tensor([0, 0, *map(len, parts)])
    return lengths.cumsum(0), torch.cat([taken[:0], *parts])
