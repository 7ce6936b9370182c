"""The exact parts of a score, where a score is a sum."""

import torch
from torch.nn import functional as F

from recbole_sam.models.parts.padding import real_items
from recbole_sam.models.sasrectext import SASRecText
from recbole_sam.models.scores.item_scores import ItemScores
from recbole_sam.models.scores.known_users import known_users
from recbole_sam.models.unisrec import UniSRec


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
        if not isinstance(model, ItemScores | SASRecText):
            return {"model": model.full_sort_predict(interaction).view(-1)[items]}, None
        found = _dot(model, interaction, items)
        history = _history(model, interaction)
        if model.repeat_bias is not None:
            taken = (items.unsqueeze(1) == history).any(dim=1)
            found["repeat_bias"] = model.repeat_bias * taken
        if model.item_knn is None:
            return found, None
        user = _user(model, interaction)
        voted, votes = model.item_knn._votes(user, history, interaction[model.ITEM_SEQ_LEN])
        voted, votes = (each.unflatten(1, (history.shape[1], -1))[0] for each in (voted, votes))
        voters = torch.stack([(votes * (voted == item)).sum(dim=1) for item in items], dim=1)
        found["neighbours"] = voters.sum(dim=0)
        return found, voters


def _dot(model, interaction, items):
    """The two parts of the product of a person and items."""
    ids = model.item_embedding.weight[: model.n_items]
    texts = None if model.item_text is None else model.item_text()
    vectors = ids if texts is None else ids + texts
    if isinstance(model, ItemScores):
        person = model.represent(interaction)
    else:
        person = model.forward(interaction[model.ITEM_SEQ], interaction[model.ITEM_SEQ_LEN], vectors)
    scale = 1
    if isinstance(model, UniSRec):
        person = F.normalize(person, dim=-1) / model.temperature
        scale = 1 / vectors[items].norm(dim=1).clamp(min=1e-12)
    found = {"id": (ids[items] @ person[0]) * scale}
    if texts is not None:
        found["title"] = (texts[items] @ person[0]) * scale
    return found


def _history(model, interaction):
    return real_items(interaction[model.ITEM_SEQ], interaction[model.ITEM_SEQ_LEN])


def _user(model, interaction):
    count = len(model.user_k) if isinstance(model, ItemScores) else model.item_knn.n_users
    return known_users(interaction, model, count)
