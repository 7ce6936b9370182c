"""From a user vector to scores of items and to the loss, with what is added to a dot product."""

import torch
from recbole.model.loss import BPRLoss
from torch import nn
from torch.nn import functional as F

from recbole_sam.models.parts.padding import real_items
from recbole_sam.models.scores import repeats
from recbole_sam.models.scores.known_users import known_users
from recbole_sam.models.scores.linear_cross_entropy import linear_cross_entropy
from recbole_sam.models.scores.sampled_softmax import NegativeSampler, negative_weights, sampled_softmax


class ItemScores:
    """The part of a model that scores items. Parameters stay on the model, whose checkpoints name them.

    The model has ``item_embedding``, ``item_text``, ``repeat_bias``, ``item_knn``, ``user_k`` and
    ``is_serving``; all but the first may be None.
    """

    def define_loss(self, config, dataset):
        """RecBole's losses by ``loss_type``, and sampled softmax (``SSM``)."""
        self.loss_type, self.loss_chunk_size = config["loss_type"], config["loss_chunk_size"]
        if self.loss_type == "BPR":
            self.loss_fct = BPRLoss()
        elif self.loss_type == "BCE":
            self.loss_fct = nn.BCEWithLogitsLoss()
        elif self.loss_type == "SSM":
            targets = dataset.inter_feat[self.ITEM_ID]
            weights = negative_weights(config["loss_distribution"], targets, self.n_items)
            self.negative_sampler = NegativeSampler(weights, config["loss_negatives"])
        else:  # self.loss_type = 'CE'
            self.loss_fct = nn.CrossEntropyLoss()

    def item_vectors(self):
        """All item vectors [N, d]: the ID embeddings, with ``item_text`` plus the projected titles."""
        ids, texts = self.item_embedding.weight, self.item_text
        if texts is None:
            return ids
        if self.is_serving():
            return self._items.get(lambda: ids + texts(), [ids, *texts.parameters()])
        return ids + texts()

    def history(self, interaction):
        """The items of the histories [B, L], 0 at padded places."""
        return real_items(interaction[self.ITEM_SEQ], interaction[self.ITEM_SEQ_LEN])

    def users(self, interaction):
        """User IDs [B]; 0 for users that the interest table does not know."""
        return known_users(interaction, self, len(self.user_k))

    def next_item_loss(self, user_output, items, interaction):
        """The loss [] of users [B, d] whose next items stand in an interaction, given all items [N, d]."""
        pos_items = interaction[self.POS_ITEM_ID]
        if self.loss_type == "SSM":
            return sampled_softmax(
                user_output,
                items,
                pos_items,
                self.negative_sampler(),
                self.negative_sampler.log_q,
                lambda scores, candidates: self._with_repeats(scores, interaction, candidates),
            )
        if self.loss_type == "CE":
            if self.loss_chunk_size is not None:
                return linear_cross_entropy(user_output, items, pos_items, self.loss_chunk_size)
            return self.loss_fct(self.all_scores(user_output, items, interaction), pos_items)
        pos_score = self.one_score(user_output, items, interaction, pos_items)  # [B]
        neg_score = self.one_score(user_output, items, interaction, interaction[self.NEG_ITEM_ID])  # [B]
        if self.loss_type == "BPR":
            return self.loss_fct(pos_score, neg_score)
        scores = torch.cat([pos_score, neg_score])
        labels = torch.cat([torch.ones_like(pos_score), torch.zeros_like(neg_score)])
        return self.loss_fct(scores, labels)

    def _with_repeats(self, scores, interaction, candidates):
        """Scores of candidates ([B, M] or [1, M]) with the bias on those of the history."""
        if self.repeat_bias is None:
            return scores
        return repeats.add_to_some(scores, self.repeat_bias, self.history(interaction), candidates)

    def all_scores(self, user_output, items, interaction):
        """The scores of all items for each user, [B, N]."""
        scores, history = user_output @ items.T, self.history(interaction)
        if self.repeat_bias is not None:
            scores = repeats.add_to_all(scores, self.repeat_bias, history)
        if self.item_knn is not None:
            lengths = interaction[self.ITEM_SEQ_LEN]
            scores = self.item_knn.add_to_all(scores, self.users(interaction), history, lengths)
        return scores

    def one_score(self, user_output, items, interaction, item):
        """The score of one item [B] for each user, [B]."""
        score = (user_output * F.embedding(item, items)).sum(dim=-1)
        score = self._with_repeats(score.unsqueeze(1), interaction, item.unsqueeze(1)).squeeze(1)
        if self.item_knn is not None:
            history, lengths = self.history(interaction), interaction[self.ITEM_SEQ_LEN]
            score = self.item_knn.add_to_one(score, self.users(interaction), history, lengths, item)
        return score
