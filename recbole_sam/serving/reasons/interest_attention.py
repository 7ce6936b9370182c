"""What each interest of SAM looks at."""

import math

import torch
from torch.nn import functional as F

from recbole_sam.models.parts.attention import interest_aware_attention, recency_positions


def attention(model, interaction):
    """How each interest weighs the items of a history.

    Args:
        model (SequentialRecommender): of a bundle, in evaluation mode.
        interaction (Interaction): of B people.

    Returns:
        torch.Tensor or None: [B, K, L], 0 at padded places, each row of a real interest sums to 1; None for a
        model without this attention.
    """
    if not getattr(model, "interest_attention", False):
        return None
    with torch.no_grad():
        history, lengths = model.history(interaction), interaction[model.ITEM_SEQ_LEN]
        queries, _ = model.interest_queries(model.users(interaction), history)
        items = F.embedding(history, model.item_vectors()) * math.sqrt(model.hidden_size)
        keys = items + model.position_embedding(recency_positions(lengths, history.shape[1]))
        mask = torch.arange(history.shape[1]) < lengths.unsqueeze(1)
        return interest_aware_attention(queries, keys, items, mask)[1]
