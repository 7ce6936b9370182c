"""Whose interests and training items are read: nobody's for a stranger."""

import torch


def known_users(interaction, model, count):
    """The user IDs of an interaction, 0 (padding, of which nothing is known) for a stranger.

    Args:
        interaction (Interaction or dict): with the user IDs or, where somebody hands in a session, without.
        model (SequentialRecommender): knows how they are called.
        count (int): users that are known, padding included; IDs from there on are strangers, too.

    Returns:
        torch.LongTensor: [B].
    """
    if model.USER_ID not in interaction:
        return torch.zeros_like(interaction[model.ITEM_SEQ_LEN])
    user = interaction[model.USER_ID]
    return torch.where(user < count, user, 0)
