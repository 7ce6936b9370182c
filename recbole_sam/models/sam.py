r"""
SAM
################################################

Reference:
    Yang, Liu, Xu, Zhu, Gao and Li. "SAM: LLM-Based Semantic-Augmented Adaptive Multi-Interest Model for
    Sequential Recommendation." in WWW 2026.
"""

import math

import torch
from recbole.model.abstract_recommender import SequentialRecommender
from recbole.model.loss import BPRLoss
from torch import nn
from torch.nn import functional as F

from recbole_sam.data.dataset import SAMDataset
from recbole_sam.errors import SettingError
from recbole_sam.models.attention import (
    CrossInterestLayer,
    interest_aware_attention,
    masked_mean,
    recency_positions,
)

ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU, "tanh": nn.Tanh}


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
    loss_types = ("CE", "BPR", "BCE")

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
        self._check_settings()

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
        else:  # self.loss_type = 'CE'
            self.loss_fct = nn.CrossEntropyLoss()

        # parameters initialization
        self.apply(self._init_weights)
        nn.init.normal_(self.default_interest, std=self.initializer_range)

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

    def _represent(self, interaction):
        return self.forward(
            interaction[self.USER_ID], interaction[self.ITEM_SEQ], interaction[self.ITEM_SEQ_LEN]
        )

    def calculate_loss(self, interaction):
        user_output = self._represent(interaction)
        pos_items = interaction[self.POS_ITEM_ID]
        if self.loss_type == "CE":
            logits = user_output @ self.item_embedding.weight.T
            return self.loss_fct(logits, pos_items)
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
        return self._represent(interaction) @ self.item_embedding.weight.T  # [B n_items]
