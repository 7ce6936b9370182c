r"""
SAM
################################################

Reference:
    Yang, Liu, Xu, Zhu, Gao and Li. "SAM: LLM-Based Semantic-Augmented Adaptive Multi-Interest Model for
    Sequential Recommendation." in WWW 2026.
"""

import math
from logging import getLogger

import torch
from torch import nn

from recbole_sam.data.windows import targets_field
from recbole_sam.models.checks import sam_settings
from recbole_sam.models.parts.attention import (
    CrossInterestLayer,
    by_number,
    interest_aware_attention,
    masked_mean,
    prefix_attention,
    prefix_means,
    recency_positions,
)
from recbole_sam.models.parts.compilation import compiled
from recbole_sam.models.parts.frequency import HistoryFilter
from recbole_sam.models.parts.initialisation import normal_weights
from recbole_sam.models.parts.interest_reader import InterestReader
from recbole_sam.models.parts.padding import left_pad
from recbole_sam.models.scores import score_memory
from recbole_sam.models.scores.multi_interest import Interests, MultiInterestModel
from recbole_sam.models.scores.whole_sequences import WholeSequenceModel, at


class SAM(InterestReader, WholeSequenceModel, MultiInterestModel):
    """A user's history, read once for each of the user's interests.

    Stage 1 gave every user K interest phrases as text embeddings (``SAMDataset`` attaches them). Each
    interest, projected into the ID space, attends to the history; ``n_layers`` of a Transformer let the K
    views look at each other (by default none); an item's score is its best match with any of them.

    Unlike the reference implementation, and as the paper means it, padded interests are masked; positions
    count from the newest item, as RecBole pads on the right; users without interests get learned ones.

    Beyond the paper, each a setting (docs/method.md; ``SAM-paper.yaml`` turns all of them off):
    ``interest_readout`` (the best match counts, where the paper takes the mean of the views),
    ``learned_queries`` (interests that all users have), ``item_text`` (an item is also its title),
    ``history_filter`` (what WEARec's filters make of the history is added to every view), ``newest_item`` (so
    is the newest item), ``final_norm`` (a LayerNorm of each view, or of their mean), ``repeat_bias`` (one
    learned number for the items already in the history), ``interest_evidence`` (a training sample sees an
    interest only with an item that supports it), ``interest_text`` (an interest's own text is added to its
    view), ``item_knn`` (the history's items vote for what others took with them).

    Raises:
        SettingError: a setting that makes no sense, or a dataset without interests.
    """

    dataset_hook = "SAMDataset"
    reads_interests = True
    reads_item_texts = ("item_text", "interest_evidence")
    loss_types = ("CE", "BPR", "BCE", "SSM")

    @classmethod
    def check_settings(cls, config):
        super().check_settings(config)
        sam_settings.check(config)

    def __init__(self, config, dataset):
        super().__init__(config, dataset)

        # load parameters info
        self.hidden_size = config["hidden_size"]
        self.layer_norm_eps = config["layer_norm_eps"]
        self.initializer_range = config["initializer_range"]
        self.newest_item = config["newest_item"]
        self.interest_text = config["interest_text"] and config["interest_control"] != "constant"
        # None stands for a setting that a checkpoint of an earlier version lacks
        self.interest_readout = config["interest_readout"] or sam_settings.BEFORE["interest_readout"]
        self.learned_queries = config["learned_queries"] or sam_settings.BEFORE["learned_queries"]
        self.interest_attention = config["interest_attention"] is not False
        self.interest_control = config["interest_control"]
        self.loss_chunk_size = config["loss_chunk_size"]
        self.attach_interests(config, dataset)

        # define layers and loss
        self.item_embedding = nn.Embedding(self.n_items, self.hidden_size, padding_idx=0)
        self.define_item_text(config, dataset)
        self.position_embedding = nn.Embedding(self.max_seq_length, self.hidden_size)
        self.define_interest_layers(dataset.interests.width)
        self.cross_interest_layers = nn.ModuleList(
            CrossInterestLayer(
                self.hidden_size,
                config["inner_size"],
                config["n_heads"],
                config["hidden_dropout_prob"],
                config["attn_dropout_prob"],
                sam_settings.ACTIVATIONS[config["hidden_act"]](),
                self.layer_norm_eps,
            )
            for _ in range(config["n_layers"])
        )
        self.final_norm = None
        if config["final_norm"]:
            self.final_norm = nn.LayerNorm(self.hidden_size, eps=self.layer_norm_eps)
        self.dropout = nn.Dropout(config["hidden_dropout_prob"])
        self.history_filter = None
        if config["history_filter"]:
            self.history_filter = HistoryFilter(
                self.max_seq_length,
                self.hidden_size,
                config["hidden_dropout_prob"],
                self.layer_norm_eps,
                self.initializer_range,
            )
        self.define_score_additions(config, dataset)
        self.define_loss(config, dataset)
        self.compiled_forward = compiled(type(self).forward) if config["compile"] else None

        # parameters initialization
        self.apply(normal_weights(self.initializer_range))
        nn.init.normal_(self.learned_interest(), std=self.initializer_range)

        warning = score_memory.warning(config, dataset, self.parameters())
        if warning:
            getLogger().warning(warning)

    def text_adaptor(self, config, width):
        return nn.Linear(width, self.hidden_size, bias=False)  # initialised with all other layers

    def forward(self, user, item_seq, item_seq_len, item_vectors):
        """The users' views, or with the read-out ``mean`` their mean (Interests, [B, K or 1, d]).

        K counts the learned queries, too.

        Args:
            user (torch.LongTensor): [B].
            item_seq (torch.LongTensor): [B, L], histories, padded on the right.
            item_seq_len (torch.LongTensor): [B], at least 1.
            item_vectors (torch.Tensor or SomeItems): [N, d], for :meth:`look_up`.
        """
        queries, interest_mask = self.interest_queries(user, item_seq)
        positions = recency_positions(item_seq_len, item_seq.shape[1])
        items = self.dropout(self.look_up(item_seq, item_vectors) * math.sqrt(self.hidden_size))
        mask = torch.arange(item_seq.shape[1], device=user.device) < item_seq_len.unsqueeze(1)
        if self.interest_attention:
            keys = items + self.position_embedding(positions)
            views, _ = interest_aware_attention(queries, keys, items, mask)
        else:
            views = masked_mean(items, mask).unsqueeze(1).expand(queries.shape)
        if self.newest_item:
            views = views + self.gather_indexes(items, item_seq_len - 1).unsqueeze(1)
        if self.history_filter is not None:
            moved = left_pad(item_seq, item_seq_len, self.history_filter.window)
            views = views + self.history_filter(self.look_up(moved, item_vectors)).unsqueeze(1)
        if self.interest_text:
            views = views + self.interest_texts(user, item_seq) * math.sqrt(self.hidden_size)
        return self.mixed(views, interest_mask)

    def represent_all(self, windows, item_vectors, counted):
        user, item_seq = self.users(windows), self.history(windows)
        queries, interest_mask = self.interests_over_time(user, item_seq)
        items = self.dropout(self.look_up(item_seq, item_vectors) * math.sqrt(self.hidden_size))
        if self.interest_attention:
            views = prefix_attention(queries, items, self.position_embedding.weight)  # [B L K d]
        else:
            views = prefix_means(items).unsqueeze(2).expand(*interest_mask.shape, -1)
        if self.newest_item:
            views = views + items.unsqueeze(2)
        if self.interest_text:
            texts = self.interest_texts_over_time(user, interest_mask)
            views = views + texts * math.sqrt(self.hidden_size)
        groups, order = by_number(views, interest_mask & counted.unsqueeze(-1))
        targets = at(windows[targets_field(self.ITEM_ID)], counted)[order.argsort()]
        targets = self.look_up(targets, item_vectors).split([len(group) for group in groups])
        users = []
        for group, wanted in zip(groups, targets, strict=True):
            interests = self.mixed(group, group.new_ones(group.shape[:2], dtype=torch.bool))
            users.append(self.trained_vector(interests, wanted))
        return torch.cat(users).index_select(0, order)

    def mixed(self, views, interest_mask):
        """The users (Interests) of views [B, K, d] with their mask [B, K]: all views or their mean."""
        for layer in self.cross_interest_layers:
            views = layer(views, interest_mask)
        if self.interest_readout == "mean":
            views, interest_mask = masked_mean(views, interest_mask).unsqueeze(1), None
        return Interests(views if self.final_norm is None else self.final_norm(views), interest_mask)

    def represent(self, interaction, item_vectors=None):
        """:meth:`forward` of an interaction, in the precision of the item embeddings."""
        items = self.item_vectors() if item_vectors is None else item_vectors
        inputs = self.users(interaction), self.history(interaction), interaction[self.ITEM_SEQ_LEN], items
        if self.compiled_forward is not None:
            interests = self.compiled_forward(self, *inputs)
        else:
            interests = self.forward(*inputs)
        return interests._replace(vectors=interests.vectors.to(self.item_embedding.weight.dtype))
