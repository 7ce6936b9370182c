"""
eSASRec
################################################

Reference:
    Daria Tikhonovich et al. "eSASRec: Enhancing Transformer-based Recommendations in a Modular
    Fashion." in RecSys 2025. arXiv 2508.06450.

"""

import torch
from recbole.model.init import xavier_normal_initialization
from torch import nn
from torch.nn import functional as F

from recbole_sam.models.checks import sizes
from recbole_sam.models.scores.own_negatives import OwnNegatives
from recbole_sam.models.scores.whole_sequences import CausalModel


class CausalSelfAttention(nn.Module):
    """Multi-head self-attention, in which a position sees itself and those before it.

    Args:
        hidden_size (int): width d.
        n_heads (int): heads, a divisor of d.
        dropout_prob (float): dropout of the attention weights.
    """

    def __init__(self, hidden_size, n_heads, dropout_prob):
        super().__init__()
        self.n_heads, self.dropout_prob = n_heads, dropout_prob
        self.qkv = nn.Linear(hidden_size, 3 * hidden_size)
        self.output = nn.Linear(hidden_size, hidden_size)

    def forward(self, x):
        """Sequences [B, L, d] to sequences of the same shape."""
        query, key, value = self.qkv(x).unflatten(2, (3, self.n_heads, -1)).permute(2, 0, 3, 1, 4)
        dropout = self.dropout_prob if self.training else 0.0
        heads = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout, is_causal=True)
        return self.output(heads.transpose(1, 2).flatten(2))


class SwiGLU(nn.Module):
    """A feed-forward network with a gate, W2 Drop(SiLU(W1 x) * W3 x), without biases."""

    def __init__(self, hidden_size, inner_size, dropout_prob):
        super().__init__()
        self.gate = nn.Linear(hidden_size, inner_size, bias=False)
        self.inner = nn.Linear(hidden_size, inner_size, bias=False)
        self.output = nn.Linear(inner_size, hidden_size, bias=False)
        self.dropout = nn.Dropout(dropout_prob)

    def forward(self, x):
        return self.output(self.dropout(F.silu(self.gate(x)) * self.inner(x)))


class LiGRLayer(nn.Module):
    """A Transformer layer whose two residual branches are gated by their input (LiGR).

    x + sigmoid(W x) * Drop(Attention(LN(x))), then the same around the feed-forward network.
    Borisyuk et al. "From Features to Transformers: Redefining Ranking for Scalable Impact." 2025.
    """

    def __init__(self, config):
        super().__init__()
        size, dropout = config["hidden_size"], config["hidden_dropout_prob"]
        self.attention_norm = nn.LayerNorm(size, eps=config["layer_norm_eps"])
        self.attention = CausalSelfAttention(size, config["n_heads"], config["attn_dropout_prob"])
        self.attention_gate = nn.Linear(size, size)
        self.feed_forward_norm = nn.LayerNorm(size, eps=config["layer_norm_eps"])
        self.feed_forward = SwiGLU(size, config["inner_size"], dropout)
        self.feed_forward_gate = nn.Linear(size, size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        """Sequences [B, L, d] to sequences of the same shape; no position depends on a later one."""
        attended = self.dropout(self.attention(self.attention_norm(x)))
        x = x + torch.sigmoid(self.attention_gate(x)) * attended
        forward = self.dropout(self.feed_forward(self.feed_forward_norm(x)))
        return x + torch.sigmoid(self.feed_forward_gate(x)) * forward


class eSASRec(OwnNegatives, CausalModel):
    r"""eSASRec is a causal Transformer with gated residual branches, trained with sampled softmax.

    NOTE:
        Histories stay at the left end of the window, where RecBole puts them: under the causal mask nothing
        real sees the padding behind it. Positions are counted from the oldest item, as in SASRec; the
        authors' library counts from the newest.
    """

    loss_types = ("SSM", "CE", "BPR")

    @classmethod
    def check_settings(cls, config):
        super().check_settings(config)
        sizes.check_transformer(config)

    def __init__(self, config, dataset):
        super().__init__(config, dataset)

        # load parameters info
        self.n_layers = config["n_layers"]
        self.hidden_size = config["hidden_size"]  # same as embedding_size

        # define layers
        self.item_embedding = nn.Embedding(self.n_items, self.hidden_size, padding_idx=0)
        self.position_embedding = nn.Embedding(self.max_seq_length, self.hidden_size)
        self.dropout = nn.Dropout(config["hidden_dropout_prob"])
        self.layers = nn.ModuleList(LiGRLayer(config) for _ in range(self.n_layers))

        # parameters initialization
        self.apply(xavier_normal_initialization)
        self.item_embedding.weight.data[0].zero_()

        # loss and additions
        self.define_loss(config, dataset)
        self.define_additions(config, dataset)

    def vectors_to_learn(self, *items):
        # one draw of dropout for histories and candidates of a step, as in RecTools until 0.15
        return self.dropout(super().vectors_to_learn(*items))

    def all_states(self, item_seq, item_seq_len, item_vectors):
        positions = self.position_embedding.weight[: item_seq.size(1)]
        x = self.dropout(self.look_up(item_seq, item_vectors) + positions)
        for layer in self.layers:
            x = layer(x)
        return x  # [B L d]
