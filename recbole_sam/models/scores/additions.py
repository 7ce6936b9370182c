"""What every model of ours can read beside item IDs, by the same settings: titles, repeats, neighbours."""

import torch
from torch import nn
from torch.nn import functional as F

from recbole_sam.config import our_models
from recbole_sam.models.parts.item_text import ProjectedTexts
from recbole_sam.models.parts.padding import real_items
from recbole_sam.models.parts.unchanged import WhileUnchanged
from recbole_sam.models.parts.unsaved import unsaved_buffers
from recbole_sam.models.scores import item_knn, repeats
from recbole_sam.models.scores.known_users import known_users
from recbole_sam.models.scores.some_items import SomeItems


def length_of_titles(config):
    """The length (float) that titles' vectors have on average: ``text_scale``, 1 in an older checkpoint."""
    return 1.0 if config["text_scale"] is None else config["text_scale"]


class Additions:
    """The part of a model that adds what it reads to its items and to its scores.

    - ``item_text``: an item's vector is its ID embedding plus its title's, projected: E + W t.
    - ``repeat_bias``: one learned number on the scores of the items in the history.
    - ``item_knn``: votes of the history's items for what others took with them.

    Parameters stay on the model, whose checkpoints name them. The model has ``item_embedding`` before it
    calls :meth:`define_additions`, and ``initializer_range`` among its settings.
    """

    reads_item_texts = ("item_text",)

    def define_additions(self, config, dataset):
        """The additions that a configuration asks for; last of all layers, so that the others' weights start
        as without them."""
        self.define_item_text(config, dataset)
        self.define_score_additions(config, dataset)

    def define_item_text(self, config, dataset):
        """The projection of titles, ``self.item_text``; None without the setting."""
        self._items = WhileUnchanged()
        self.item_text = None
        if our_models.has_item_text(config):
            texts = dataset.item_texts
            self.item_text = ProjectedTexts(
                texts, self.text_adaptor(config, texts.width), length_of_titles(config)
            )

    def text_adaptor(self, config, width):
        """A new module from text vectors [N, width] to [N, d]."""
        # without bias: a constant added to all items changes no ranking
        adaptor = nn.Linear(width, self.item_embedding.embedding_dim, bias=False)
        nn.init.normal_(adaptor.weight, std=config["initializer_range"])
        return adaptor

    def define_score_additions(self, config, dataset):
        """``self.repeat_bias`` and ``self.item_knn``, each None without its setting."""
        self.repeat_bias = repeats.initial_bias(dataset.inter_feat, self) if config["repeat_bias"] else None
        self.item_knn = item_knn.configured(config, dataset, self)

    @property
    def _ddp_params_and_buffers_to_ignore(self):
        """What DistributedDataParallel need not send, as every process makes the same from its dataset."""
        return unsaved_buffers(self)

    def is_serving(self):
        """Whether parameters cannot change between calls: evaluation without gradients."""
        return not (self.training or torch.is_grad_enabled())

    def item_vectors(self):
        """All item vectors [N, d]: the ID embeddings, with ``item_text`` plus the projected titles."""
        ids, texts = self.item_embedding.weight, self.item_text
        if texts is None:
            return ids
        if self.is_serving():
            return self._items.get(lambda: ids + texts(), [ids, texts.texts, *texts.parameters()])
        return ids + texts()

    def vectors_of(self, items):
        """The vectors [M, d] of some items [M]: of no other item the title is projected."""
        ids, texts = F.embedding(items, self.item_embedding.weight), self.item_text
        return ids if texts is None else ids + texts(items)

    def look_up(self, items, item_vectors):
        """The vectors of some items.

        Args:
            items (torch.LongTensor): [...], 0 at padded places, which no gradient reaches.
            item_vectors (torch.Tensor or SomeItems): [N, d], of :meth:`item_vectors`, or those of a batch.

        Returns:
            torch.Tensor: [..., d].
        """
        if isinstance(item_vectors, SomeItems):
            return item_vectors.look_up(items)
        return F.embedding(items, item_vectors, padding_idx=0)

    def history(self, interaction):
        """The items of the histories [B, L], 0 at padded places."""
        return real_items(interaction[self.ITEM_SEQ], interaction[self.ITEM_SEQ_LEN])

    def add_to_all(self, scores, interaction):
        """Scores [B, N] of all items with what is added to them; changed in place."""
        if self.repeat_bias is not None:
            scores = repeats.add_to_all(scores, self.repeat_bias, self.history(interaction))
        if self.item_knn is not None:
            scores = self.item_knn.add_to_all(scores, *self._voters(interaction))
        return scores

    def add_to_one(self, score, interaction, item):
        """The score [B] of one item [B] for each user with what is added to it."""
        score = self.add_repeats(score.unsqueeze(1), interaction, item.unsqueeze(1)).squeeze(1)
        if self.item_knn is not None:
            score = self.item_knn.add_to_one(score, *self._voters(interaction), item)
        return score

    def add_repeats(self, scores, interaction, items):
        """Scores [B, M] of some items ([B, M] or [M]) with the bias on those of the history."""
        if self.repeat_bias is None:
            return scores
        return repeats.add_to_some(scores, self.repeat_bias, self.history(interaction), items)

    def _voters(self, interaction):
        user = known_users(interaction, self, self.item_knn.n_users)
        return user, self.history(interaction), interaction[self.ITEM_SEQ_LEN]
