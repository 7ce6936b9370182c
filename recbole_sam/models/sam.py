r"""
SAM
################################################

Reference:
    Yang, Liu, Xu, Zhu, Gao and Li. "SAM: LLM-Based Semantic-Augmented Adaptive Multi-Interest Model for
    Sequential Recommendation." in WWW 2026.
"""

import contextlib
import math
from logging import getLogger

import torch
from recbole.model.abstract_recommender import SequentialRecommender
from recbole.model.loss import BPRLoss
from torch import nn
from torch.nn import functional as F

from recbole_sam.data.dataset import SAMDataset
from recbole_sam.errors import SettingError
from recbole_sam.models import score_memory
from recbole_sam.models.attention import (
    CrossInterestLayer,
    interest_aware_attention,
    masked_mean,
    recency_positions,
)
from recbole_sam.models.compilation import compiled
from recbole_sam.models.linear_cross_entropy import linear_cross_entropy
from recbole_sam.models.sampled_softmax import (
    DISTRIBUTIONS,
    NegativeSampler,
    negative_weights,
    sampled_softmax,
)

ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU, "tanh": nn.Tanh}


def _check_count(name, value):
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise SettingError(f"{name} is {value}; it must be a whole number from 1.")


class SAM(SequentialRecommender):
    """A user's history, read once for each of the user's interests.

    Stage 1 gave every user K interest phrases as text embeddings (:class:`SAMDataset` attaches them). Each
    interest, projected into the ID space, attends to the history; a Transformer lets the K views look at
    each other; their mean is the user, scored against the item embeddings.

    Differences to the reference implementation, all of them the paper's meaning: padded interests are
    masked in the attention and in the mean; positions are counted from the newest item, because RecBole
    pads on the right; a user without interests gets one learned default interest.

    Raises:
        SettingError: a setting that makes no sense, or a dataset without interests.
    """

    dataset_class = SAMDataset
    loss_types = ("CE", "BPR", "BCE", "SSM")

    def __init__(self, config, dataset):
        super().__init__(config, dataset)

        # load parameters info
        self.hidden_size = config["hidden_size"]
        self.n_layers = config["n_layers"]
        self.n_heads = config["n_heads"]
        self.inner_size = config["inner_size"]
        self.hidden_dropout_prob = config["hidden_dropout_prob"]
        self.attn_dropout_prob = config["attn_dropout_prob"]
        self.hidden_act = config["hidden_act"]
        self.layer_norm_eps = config["layer_norm_eps"]
        self.initializer_range = config["initializer_range"]
        self.loss_type = config["loss_type"]
        self.loss_chunk_size = config["loss_chunk_size"]
        self.loss_negatives = config["loss_negatives"]
        self.loss_distribution = config["loss_distribution"]
        self.autocast = config["autocast"]
        self._check_settings()
        self._check_scale_settings(config)

        # the interest table: looked up, never trained, and rebuilt from the dataset instead of being
        # saved with the weights (a 1 MB model must not have a 134 MB checkpoint)
        interests = dataset.interests
        self.register_buffer("phrase_embeddings", interests.embeddings, persistent=False)
        self.register_buffer("user_phrases", interests.user_phrases, persistent=False)
        self.register_buffer("user_k", interests.user_k, persistent=False)
        # DistributedDataParallel would send these from rank 0 before every step
        self._ddp_params_and_buffers_to_ignore = ["phrase_embeddings", "user_phrases", "user_k"]

        # define layers and loss
        self.item_embedding = nn.Embedding(self.n_items, self.hidden_size, padding_idx=0)
        self.position_embedding = nn.Embedding(self.max_seq_length, self.hidden_size)
        self.interest_projection = nn.Linear(interests.width, self.hidden_size)
        self.default_interest = nn.Parameter(torch.empty(self.hidden_size))
        self.cross_interest_layers = nn.ModuleList(
            CrossInterestLayer(
                self.hidden_size,
                self.inner_size,
                self.n_heads,
                self.hidden_dropout_prob,
                self.attn_dropout_prob,
                ACTIVATIONS[self.hidden_act](),
                self.layer_norm_eps,
            )
            for _ in range(self.n_layers)
        )
        self.dropout = nn.Dropout(self.hidden_dropout_prob)

        if self.loss_type == "BPR":
            self.loss_fct = BPRLoss()
        elif self.loss_type == "BCE":
            self.loss_fct = nn.BCEWithLogitsLoss()
        elif self.loss_type == "SSM":
            targets = dataset.inter_feat[self.ITEM_ID]
            weights = negative_weights(self.loss_distribution, targets, self.n_items)
            self.negative_sampler = NegativeSampler(weights, self.loss_negatives)
            self._ddp_params_and_buffers_to_ignore += [
                f"negative_sampler.{name}" for name, _ in self.negative_sampler.named_buffers()
            ]
        else:  # self.loss_type = 'CE'
            self.loss_fct = nn.CrossEntropyLoss()
        self.compiled_forward = compiled(type(self).forward) if config["compile"] else None

        # parameters initialization
        self.apply(self._init_weights)
        nn.init.normal_(self.default_interest, std=self.initializer_range)

        warning = score_memory.warning(config, dataset, self.parameters())
        if warning:
            getLogger().warning(warning)

    def _check_settings(self):
        for name in ("hidden_dropout_prob", "attn_dropout_prob"):
            if not 0 <= getattr(self, name) < 1:
                raise SettingError(f"{name} is {getattr(self, name)}; it must be from 0 to below 1.")
        if self.hidden_act not in ACTIVATIONS:
            raise SettingError(
                f"hidden_act is '{self.hidden_act}'; SAM knows {', '.join(sorted(ACTIVATIONS))}."
            )
        if self.hidden_size % self.n_heads:
            raise SettingError(
                f"hidden_size ({self.hidden_size}) must be a multiple of n_heads ({self.n_heads})."
            )

    def _check_scale_settings(self, config):
        # None also stands for a setting that a checkpoint of an earlier version lacks
        if self.loss_chunk_size is not None:
            _check_count("loss_chunk_size", self.loss_chunk_size)
            if self.loss_type != "CE":
                raise SettingError(
                    f"loss_chunk_size is for loss_type CE: leave it out for {self.loss_type}, which needs no "
                    "scores of all items."
                )
        if self.loss_type == "SSM":
            _check_count("loss_negatives", self.loss_negatives)
            if self.loss_distribution not in DISTRIBUTIONS:
                raise SettingError(
                    f"loss_distribution is '{self.loss_distribution}'; it must be "
                    f"{' or '.join(DISTRIBUTIONS)}."
                )
            if config["train_neg_sample_args"]["distribution"] != "none":
                raise SettingError(
                    "loss_type SSM draws its negatives itself: set train_neg_sample_args to None, and the "
                    "number of negatives by loss_negatives."
                )
        if self.autocast not in (None, "bf16"):
            raise SettingError(f"autocast is '{self.autocast}'; it must be bf16 or left out.")
        if config["compile"] not in (None, True, False):
            raise SettingError(f"compile is '{config['compile']}'; it must be True or False.")

    def _init_weights(self, module):
        """Initialize the weights"""
        if isinstance(module, (nn.Linear, nn.Embedding)):
            module.weight.data.normal_(mean=0.0, std=self.initializer_range)
            if isinstance(module, nn.Embedding) and module.padding_idx is not None:
                module.weight.data[module.padding_idx].zero_()
        elif isinstance(module, nn.LayerNorm):
            module.bias.data.zero_()
            module.weight.data.fill_(1.0)
        if isinstance(module, nn.Linear) and module.bias is not None:
            module.bias.data.zero_()

    def interest_queries(self, user):
        """The queries of some users' interests.

        Args:
            user (torch.LongTensor): [B].

        Returns:
            tuple: queries [B, K, d] and their mask [B, K]; K is the most that any user has. A user without
            interests has the learned default as the only one.
        """
        k = self.user_k[user]
        phrases = F.embedding(self.user_phrases[user], self.phrase_embeddings)
        queries = self.interest_projection(phrases.to(self.interest_projection.weight.dtype))
        rank = torch.arange(queries.shape[1], device=user.device)
        is_default = (k == 0).unsqueeze(1) & (rank == 0)
        queries = torch.where(is_default.unsqueeze(-1), self.default_interest, queries)
        return queries, rank < k.clamp(min=1).unsqueeze(1)

    def forward(self, user, item_seq, item_seq_len):
        """User representations [B, d] from user IDs [B], histories [B, L] and their lengths [B]."""
        queries, interest_mask = self.interest_queries(user)
        positions = recency_positions(item_seq_len, item_seq.shape[1])
        items = self.dropout(self.item_embedding(item_seq) * math.sqrt(self.hidden_size))
        keys = items + self.position_embedding(positions)
        mask = torch.arange(item_seq.shape[1], device=user.device) < item_seq_len.unsqueeze(1)
        views, _ = interest_aware_attention(queries, keys, items, mask)
        for layer in self.cross_interest_layers:
            views = layer(views, interest_mask)
        return masked_mean(views, interest_mask)  # [B d]

    def _autocast(self):
        if self.autocast is None:
            return contextlib.nullcontext()  # autocast(enabled=False) would undo RecBole's enable_amp
        return torch.autocast(self.item_embedding.weight.device.type, dtype=torch.bfloat16)

    def _represent(self, interaction):
        inputs = interaction[self.USER_ID], interaction[self.ITEM_SEQ], interaction[self.ITEM_SEQ_LEN]
        with self._autocast():
            if self.compiled_forward is not None:
                user_output = self.compiled_forward(self, *inputs)
            else:
                user_output = self.forward(*inputs)
        return user_output.to(self.item_embedding.weight.dtype)

    def calculate_loss(self, interaction):
        with self._autocast():
            return self._loss(self._represent(interaction), interaction)

    def _loss(self, user_output, interaction):
        items = self.item_embedding.weight
        pos_items = interaction[self.POS_ITEM_ID]
        if self.loss_type == "SSM":
            return sampled_softmax(
                user_output, items, pos_items, self.negative_sampler(), self.negative_sampler.log_q
            )
        if self.loss_type == "CE":
            if self.loss_chunk_size is not None:
                return linear_cross_entropy(user_output, items, pos_items, self.loss_chunk_size)
            return self.loss_fct(user_output @ items.T, pos_items)
        neg_items = interaction[self.NEG_ITEM_ID]
        pos_score = (user_output * self.item_embedding(pos_items)).sum(dim=-1)  # [B]
        neg_score = (user_output * self.item_embedding(neg_items)).sum(dim=-1)  # [B]
        if self.loss_type == "BPR":
            return self.loss_fct(pos_score, neg_score)
        scores = torch.cat([pos_score, neg_score])
        labels = torch.cat([torch.ones_like(pos_score), torch.zeros_like(neg_score)])
        return self.loss_fct(scores, labels)

    def predict(self, interaction):
        user_output = self._represent(interaction)
        return (user_output * self.item_embedding(interaction[self.ITEM_ID])).sum(dim=1)  # [B]

    def full_sort_predict(self, interaction):
        # in float32 also with autocast: bfloat16 would tie items that differ
        return self._represent(interaction) @ self.item_embedding.weight.T  # [B n_items]
