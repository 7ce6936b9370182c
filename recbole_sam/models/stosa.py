"""
STOSA
################################################

Reference:
    Ziwei Fan et al. "Sequential Recommendation via Stochastic Self-Attention." in WWW 2022. arXiv
    2201.06035.

"""

import math

import torch
from recbole.utils import InputType
from torch import nn
from torch.nn import functional as F

from recbole_sam.errors import SettingError
from recbole_sam.models.checks import sizes
from recbole_sam.models.parts.initialisation import normal_weights
from recbole_sam.models.parts.padding import causal_mask, left_pad
from recbole_sam.models.parts.wasserstein import all_distances, as_points, paired_distances, positive
from recbole_sam.models.scores.next_item import NextItemModel


def wasserstein_attention(query, key, mean, cov, mask, dropout):
    """Attention between Gaussians: the weights fall with the Wasserstein distance of query and key.

    Args:
        query, key (torch.FloatTensor): Gaussians as points, shape [B, n_heads, L, 2 d].
        mean, cov (torch.FloatTensor): the values' means and variances, shape [B, n_heads, L, d].
        mask (torch.FloatTensor): added before the softmax, broadcastable to [B, n_heads, L, L].
        dropout (callable): applied to the weights.

    Returns:
        tuple of torch.FloatTensor: sum of a * mean and sum of a^2 * cov, each [B, n_heads, L, d].
    """
    scores = -all_distances(query, key) / math.sqrt(mean.size(-1)) + mask
    weights = dropout(scores.softmax(dim=-1))
    return weights @ mean, weights.square() @ cov


class WassersteinAttention(nn.Module):
    """Multi-head self-attention over a sequence of Gaussians, with residuals and normalisation.

    Args:
        config (Config): reads hidden_size, n_heads, hidden_dropout_prob, attn_dropout_prob,
            layer_norm_eps.
    """

    def __init__(self, config):
        super().__init__()
        size = config["hidden_size"]
        self.n_heads = config["n_heads"]
        self.mean_qkv = nn.Linear(size, 3 * size)
        self.cov_qkv = nn.Linear(size, 3 * size)
        self.mean_dense = nn.Linear(size, size)
        self.cov_dense = nn.Linear(size, size)
        self.mean_LayerNorm = nn.LayerNorm(size, eps=config["layer_norm_eps"])
        self.cov_LayerNorm = nn.LayerNorm(size, eps=config["layer_norm_eps"])
        self.attn_dropout = nn.Dropout(config["attn_dropout_prob"])
        self.out_dropout = nn.Dropout(config["hidden_dropout_prob"])

    def forward(self, mean, cov, mask):
        mean_q, mean_k, mean_v = self._heads(self.mean_qkv(mean))
        cov_q, cov_k, cov_v = self._heads(positive(self.cov_qkv(cov)))
        query, key = as_points(mean_q, cov_q), as_points(mean_k, cov_k)
        mean_out, cov_out = wasserstein_attention(query, key, mean_v, cov_v, mask, self.attn_dropout)
        mean_out = self.out_dropout(self.mean_dense(self._joined(mean_out)))
        cov_out = self.out_dropout(self.cov_dense(self._joined(cov_out)))
        return self.mean_LayerNorm(mean + mean_out), self.cov_LayerNorm(cov + cov_out)

    def _heads(self, qkv):
        """[B, L, 3 d] to three of [B, n_heads, L, d / n_heads]."""
        return qkv.unflatten(-1, (3, self.n_heads, -1)).permute(2, 0, 3, 1, 4)

    @staticmethod
    def _joined(heads):
        """[B, n_heads, L, d / n_heads] to [B, L, d]."""
        return heads.transpose(1, 2).flatten(2)


class EluFeedForward(nn.Module):
    """LN(x + Drop(W2 ELU(W1 x))), one for each of the two streams."""

    def __init__(self, config):
        super().__init__()
        size = config["hidden_size"]
        self.dense_1 = nn.Linear(size, config["inner_size"])
        self.dense_2 = nn.Linear(config["inner_size"], size)
        self.LayerNorm = nn.LayerNorm(size, eps=config["layer_norm_eps"])
        self.dropout = nn.Dropout(config["hidden_dropout_prob"])

    def forward(self, x):
        return self.LayerNorm(x + self.dropout(self.dense_2(F.elu(self.dense_1(x)))))


class STOSABlock(nn.Module):
    """Wasserstein self-attention, then a feed-forward network a stream; ELU + 1 keeps variances
    positive."""

    def __init__(self, config):
        super().__init__()
        self.attention = WassersteinAttention(config)
        self.mean_feed_forward = EluFeedForward(config)
        self.cov_feed_forward = EluFeedForward(config)

    def forward(self, mean, cov, mask):
        mean, cov = self.attention(mean, cov, mask)
        return self.mean_feed_forward(mean), positive(self.cov_feed_forward(cov))


class STOSA(NextItemModel):
    r"""STOSA represents every item and every history as a Gaussian and scores a pair by minus the
    squared 2-Wasserstein distance. It has a separate loss: BPR on the distances, plus a hinge
    that keeps the negative item farther from the positive one than the history is.

    NOTE:
        Histories are moved to the right end of the window first, so that the newest item has the
        same learned position for every user, as in the paper. The paper trains on every position of
        a history at once; here RecBole's augmentation makes each prefix a separate sample.
    """

    input_type = InputType.PAIRWISE
    loss_types = None

    @classmethod
    def check_settings(cls, config):
        super().check_settings(config)
        sizes.check_transformer(config)
        if config["train_neg_sample_args"]["distribution"] == "none":
            raise SettingError(
                "STOSA's loss compares with a sampled item, but train_neg_sample_args is off: set "
                "--train_neg_sample_args=\"{'distribution': 'uniform', 'sample_num': 1}\"."
            )

    def __init__(self, config, dataset):
        super().__init__(config, dataset)

        # load parameters info
        self.n_layers = config["n_layers"]
        self.n_heads = config["n_heads"]
        self.hidden_size = config["hidden_size"]  # same as embedding_size
        self.hidden_dropout_prob = config["hidden_dropout_prob"]
        self.layer_norm_eps = config["layer_norm_eps"]
        self.initializer_range = config["initializer_range"]
        self.pvn_weight = config["pvn_weight"]

        # define layers
        self.item_embedding = nn.Embedding(self.n_items, self.hidden_size, padding_idx=0)
        self.item_cov_embedding = nn.Embedding(self.n_items, self.hidden_size, padding_idx=0)
        self.position_embedding = nn.Embedding(self.max_seq_length, self.hidden_size)
        self.position_cov_embedding = nn.Embedding(self.max_seq_length, self.hidden_size)
        self.LayerNorm = nn.LayerNorm(self.hidden_size, eps=self.layer_norm_eps)
        self.cov_LayerNorm = nn.LayerNorm(self.hidden_size, eps=self.layer_norm_eps)
        self.dropout = nn.Dropout(self.hidden_dropout_prob)
        self.blocks = nn.ModuleList(STOSABlock(config) for _ in range(self.n_layers))

        # parameters initialization
        self.apply(normal_weights(self.initializer_range))
        self.define_additions(config, dataset)

    def item_vectors(self):
        """Means (with ``item_text`` plus the projected titles) beside what makes variances, [N, 2 d]."""
        return torch.cat([super().item_vectors(), self.item_cov_embedding.weight], dim=1)

    @staticmethod
    def points(item_vectors):
        """Items [..., 2 d] as points of the Wasserstein space, of the same shape."""
        mean, cov = item_vectors.chunk(2, dim=-1)
        return as_points(mean, positive(cov))

    def forward(self, item_seq, item_seq_len, item_vectors):
        item_seq = left_pad(item_seq, item_seq_len, self.max_seq_length)
        mean, cov = self.look_up(item_seq, item_vectors).chunk(2, dim=-1)
        mean = F.elu(self.dropout(self.LayerNorm(mean + self.position_embedding.weight)))
        cov = positive(self.dropout(self.cov_LayerNorm(cov + self.position_cov_embedding.weight)))
        mask = causal_mask(item_seq != 0)
        for block in self.blocks:
            mean, cov = block(mean, cov, mask)
        return as_points(mean[:, -1], cov[:, -1])  # [B 2H]

    def match_all(self, user, items):
        return -all_distances(user, self.points(items))

    def match_one(self, user, items):
        return -paired_distances(user, self.points(items))

    def calculate_loss(self, interaction):
        items = self.item_vectors()
        user = self.represent(interaction, items)
        pos_items, neg_items = interaction[self.POS_ITEM_ID], interaction[self.NEG_ITEM_ID]
        pos_points, neg_points = (self.points(self.look_up(each, items)) for each in (pos_items, neg_items))
        pos_distance = paired_distances(user, pos_points)
        neg_distance = paired_distances(user, neg_points)
        pos_score = self.add_to_one(-pos_distance, interaction, pos_items)
        neg_score = self.add_to_one(-neg_distance, interaction, neg_items)
        ranking = -F.logsigmoid(pos_score - neg_score).mean()
        hinge = torch.relu(pos_distance - paired_distances(pos_points, neg_points)).mean()
        return ranking + self.pvn_weight * hinge
