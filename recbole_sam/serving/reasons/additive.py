"""The exact parts of a score, where a score is a sum."""

import torch
from torch.nn import functional as F

from recbole_sam.models.hstu import HSTU
from recbole_sam.models.parts.capsule import matches
from recbole_sam.models.scores.multi_interest import MultiInterestModel
from recbole_sam.models.scores.next_item import NextItemModel
from recbole_sam.models.stosa import STOSA
from recbole_sam.models.tedrec import TedRec
from recbole_sam.models.unisrec import UniSRec

COSINES = (UniSRec, TedRec, HSTU)
"""Their scores are products with item vectors of length 1."""


def parts(model, interaction, items):
    """The score of some items for one person, taken apart.

    Args:
        model (SequentialRecommender): of a bundle, in evaluation mode.
        interaction (Interaction): of one person.
        items (torch.LongTensor): [n], item numbers.

    Returns:
        tuple: parts (dict of str to FloatTensor [n]; they sum to the score) and voters (FloatTensor [L, n] or
        None): what each place of the history adds as the neighbour of an item; they sum to ``neighbours``.
        ``id`` comes from the item's number, ``title`` from its title, ``repeat_bias`` from being in the
        history; a model whose score is no such sum has the single part ``model``.
    """
    with torch.no_grad():
        if not isinstance(model, NextItemModel):
            return {"model": model.full_sort_predict(interaction).view(-1)[items]}, None
        found = _match(model, interaction, items)
        if model.repeat_bias is not None:
            taken = (items.unsqueeze(1) == model.history(interaction)).any(dim=1)
            found["repeat_bias"] = model.repeat_bias * taken
        if model.item_knn is None:
            return found, None
        user, history, lengths = model._voters(interaction)
        voted, votes = model.item_knn._votes(user, history, lengths)
        voted, votes = (each.unflatten(1, (history.shape[1], -1))[0] for each in (voted, votes))
        voters = torch.stack([(votes * (voted == item)).sum(dim=1) for item in items], dim=1)
        found["neighbours"] = voters.sum(dim=0)
        return found, voters


def _match(model, interaction, items):
    """How well a person and items match before anything is added: two parts, if it is a product."""
    vectors = model.item_vectors()
    person = model.represent(interaction, vectors)
    if isinstance(model, STOSA):  # a distance
        return {"model": model.match_all(person, vectors)[0, items]}
    if isinstance(model, MultiInterestModel):
        person = _nearest(person, vectors[items])
    if isinstance(model, UniSRec):
        person = F.normalize(person, dim=-1) / model.temperature
    scale = 1 / vectors[items].norm(dim=1).clamp(min=1e-12) if isinstance(model, COSINES) else 1
    ids = model.item_embedding.weight[items]
    found = {"id": (ids * person).sum(dim=1) * scale}
    if model.item_text is not None:
        found["title"] = ((vectors[items] - ids) * person).sum(dim=1) * scale
    return found


def _nearest(interests, vectors):
    """The vector [n, d] of one person that matches each of some items [n, d] best: the one that counts."""
    everyone = interests.vectors.expand(len(vectors), -1, -1)
    active = None if interests.active is None else interests.active.expand(len(vectors), -1)
    best = matches(everyone, vectors, active).argmax(dim=1)
    return interests.vectors[0, best]
