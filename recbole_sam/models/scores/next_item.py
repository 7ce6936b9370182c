"""From layers to a model: losses, predictions and full ranking, the same for every model of ours."""

import torch
from recbole.model.abstract_recommender import SequentialRecommender
from recbole.model.loss import BPRLoss
from torch import nn

from recbole_sam.errors import SettingError
from recbole_sam.models.checks import sampled_negatives, sizes, switches
from recbole_sam.models.scores.additions import Additions
from recbole_sam.models.scores.linear_cross_entropy import linear_cross_entropy
from recbole_sam.models.scores.sampled_softmax import NegativeSampler, negative_weights, sampled_softmax
from recbole_sam.models.scores.some_items import SomeItems

LOSSES = {"CE": nn.CrossEntropyLoss, "BPR": BPRLoss, "BCE": nn.BCEWithLogitsLoss}


class NextItemModel(Additions, SequentialRecommender):
    """A model that makes a user vector of a history and scores items by it.

    A subclass has layers, among them ``item_embedding``, and ``forward``; at the end of its ``__init__`` it
    calls :meth:`define_loss` and :meth:`define_additions`.
    """

    dataset_hook = "ItemTextDataset"
    loss_types = ("CE", "BPR")
    loss_chunk_size = None
    check_negatives = staticmethod(sampled_negatives.check)

    def __init__(self, config, dataset):
        self.check_settings(config)
        super().__init__(config, dataset)

    @classmethod
    def check_settings(cls, config):
        """Refuses settings that the model cannot have; ``values.check`` asks before any data is read.

        Args:
            config (Config): of the model. None is a setting that a checkpoint of an earlier version lacks.

        Raises:
            SettingError: the first one that is wrong, and what to do.
        """
        switches.check(config, "item_text", "repeat_bias", "item_knn")
        if config["item_knn"]:
            sizes.check(config, "item_knn_size")
        if cls.loss_types is not None and config["loss_type"] not in cls.loss_types:
            known = " or ".join(cls.loss_types)
            raise SettingError(
                f"loss_type={config['loss_type']!r} is no loss of {cls.__name__}: set it to {known}."
            )
        if config["loss_type"] == "SSM":
            cls.check_negatives(config)

    def define_loss(self, config, dataset):
        """RecBole's losses by ``loss_type``, and sampled softmax (``SSM``)."""
        self.loss_type = config["loss_type"]
        if self.loss_type == "SSM":
            targets = dataset.inter_feat[self.ITEM_ID]
            weights = negative_weights(config["loss_distribution"], targets, self.n_items)
            self.negative_sampler = NegativeSampler(weights, config["loss_negatives"])
        else:
            self.loss_fct = LOSSES[self.loss_type]()

    def forward(self, item_seq, item_seq_len, item_vectors):
        """User vectors [B, d].

        Args:
            item_seq (torch.LongTensor): [B, L], histories, padded on the right.
            item_seq_len (torch.LongTensor): [B], at least 1.
            item_vectors (torch.Tensor or SomeItems): [N, d], of :meth:`item_vectors`, for :meth:`look_up`.
        """
        raise NotImplementedError

    def represent(self, interaction, item_vectors=None):
        """:meth:`forward` of an interaction."""
        items = self.item_vectors() if item_vectors is None else item_vectors
        return self.forward(interaction[self.ITEM_SEQ], interaction[self.ITEM_SEQ_LEN], items)

    def match_all(self, user, items):
        """The matches [B, N] of users [B, d] with all items [N, d], before anything is added."""
        return user @ items.T

    def match_one(self, user, items):
        """The match [B] of each user [B, d] with an item of its own [B, d]."""
        return (user * items).sum(dim=-1)

    def all_scores(self, user, items, interaction):
        """The scores [B, N] of all items [N, d] for users [B, d] of an interaction."""
        return self.add_to_all(self.match_all(user, items), interaction)

    def one_score(self, user, items, interaction, item):
        """The score [B] of one item [B] for each user."""
        return self.add_to_one(self.match_one(user, self.look_up(item, items)), interaction, item)

    def vectors_to_learn(self, *items):
        """Where a training step looks its items up: all vectors [N, d]; with SSM those of ``items`` alone."""
        return SomeItems.of(self.vectors_of, *items) if self.loss_type == "SSM" else self.item_vectors()

    def next_item_loss(self, user, items, interaction):
        """The loss [] of users [B, d] whose next items stand in an interaction.

        Args:
            user (torch.Tensor): [B, d].
            items (torch.Tensor or SomeItems): [N, d], as of :meth:`vectors_to_learn`.
            interaction (Interaction or dict): their histories and next items.
        """
        pos_items = interaction[self.POS_ITEM_ID]
        if self.loss_type == "SSM":
            negatives = self.negative_sampler()
            return sampled_softmax(
                user,
                self.look_up(pos_items, items),
                self.vectors_of(negatives),
                pos_items,
                negatives,
                self.negative_sampler.log_q,
                lambda scores, candidates: self.add_repeats(scores, interaction, candidates),
            )
        if self.loss_type == "CE":
            if self.loss_chunk_size is not None:
                return linear_cross_entropy(user, items, pos_items, self.loss_chunk_size)
            return self.loss_fct(self.all_scores(user, items, interaction), pos_items)
        pos_score = self.one_score(user, items, interaction, pos_items)  # [B]
        neg_score = self.one_score(user, items, interaction, interaction[self.NEG_ITEM_ID])  # [B]
        if self.loss_type == "BPR":
            return self.loss_fct(pos_score, neg_score)
        scores = torch.cat([pos_score, neg_score])
        labels = torch.cat([torch.ones_like(pos_score), torch.zeros_like(neg_score)])
        return self.loss_fct(scores, labels)

    def calculate_loss(self, interaction):
        items = self.vectors_to_learn(interaction[self.ITEM_SEQ], interaction[self.POS_ITEM_ID])
        return self.next_item_loss(self.represent(interaction, items), items, interaction)

    def predict(self, interaction):
        items = self.item_vectors()
        user = self.represent(interaction, items)
        return self.one_score(user, items, interaction, interaction[self.ITEM_ID])  # [B]

    def full_sort_predict(self, interaction):
        items = self.item_vectors()
        return self.all_scores(self.represent(interaction, items), items, interaction)  # [B n_items]
