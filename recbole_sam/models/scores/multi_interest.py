"""Models that make several vectors of a history: which of them is trained, and which one counts."""

from typing import NamedTuple

import torch

from recbole_sam.models.parts.capsule import best_matches, matches, nearest_interest
from recbole_sam.models.scores.next_item import NextItemModel


class Interests(NamedTuple):
    """Some users' vectors."""

    vectors: torch.Tensor
    """[B, K, d]."""
    active: torch.Tensor | None = None
    """Bool [B, K], which of them a user has; None: all."""


class MultiInterestModel(NextItemModel):
    """A :class:`NextItemModel` whose ``forward`` gives :class:`Interests`.

    The vector that the target asks for is trained; an item's score is its best match with any of them, plus
    what is added to scores.
    """

    def trained_vector(self, interests, targets):
        """The vector of each user [B, d] that is trained, given the targets' vectors [B, d]."""
        return nearest_interest(interests.vectors, targets, interests.active)

    def interest_loss(self, interests, items, interaction):
        """The loss [] of interests whose users' next items an interaction holds, given all items [N, d]."""
        targets = self.look_up(interaction[self.POS_ITEM_ID], items)
        return self.next_item_loss(self.trained_vector(interests, targets), items, interaction)

    def calculate_loss(self, interaction):
        items = self.vectors_to_learn(interaction[self.ITEM_SEQ], interaction[self.POS_ITEM_ID])
        return self.interest_loss(self.represent(interaction, items), items, interaction)

    def predict(self, interaction):
        items, item = self.item_vectors(), interaction[self.ITEM_ID]
        interests = self.represent(interaction, items)
        score = matches(interests.vectors, self.look_up(item, items), interests.active).amax(dim=1)
        return self.add_to_one(score, interaction, item)  # [B]

    def full_sort_predict(self, interaction):
        items = self.item_vectors()
        interests = self.represent(interaction, items)
        scores = best_matches(interests.vectors, items, interests.active)
        return self.add_to_all(scores, interaction)  # [B n_items]
