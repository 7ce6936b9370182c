"""
BSARec
################################################

Reference:
    Yehjin Shin et al. "An Attentive Inductive Bias for Sequential Recommendation beyond the
    Self-Attention." in AAAI 2024. arXiv 2312.10325.

"""

import torch
from recbole.model.layers import MultiHeadAttention
from torch import nn

from recbole_sam.models.checks import sizes
from recbole_sam.models.parts.frequency import FeedForward, at_newest_item, split_frequencies
from recbole_sam.models.parts.initialisation import normal_weights
from recbole_sam.models.parts.padding import causal_mask, left_pad
from recbole_sam.models.scores.next_item import NextItemModel


class FrequencyLayer(nn.Module):
    """Rescales a sequence's high frequencies: LN(x + Drop(low + beta^2 * high)).

    beta is learned, one number for each dimension.

    Args:
        hidden_size (int): width d.
        cutoff (int): how much of the spectrum is low, see ``split_frequencies``.
        dropout_prob (float): dropout of the rescaled sequence.
        layer_norm_eps (float): added to the variance in the layer normalisation.
    """

    def __init__(self, hidden_size, cutoff, dropout_prob, layer_norm_eps):
        super().__init__()
        self.cutoff = cutoff
        self.beta = nn.Parameter(torch.randn(hidden_size))
        self.dropout = nn.Dropout(dropout_prob)
        self.LayerNorm = nn.LayerNorm(hidden_size, eps=layer_norm_eps)

    def forward(self, x):
        low, high = split_frequencies(x, self.cutoff)
        return self.LayerNorm(x + self.dropout(low + self.beta.square() * high))


class BSARecBlock(nn.Module):
    """alpha * FrequencyLayer(x) + (1 - alpha) * MultiHeadAttention(x), then feed-forward.

    All three layers carry their own residual connection and layer normalisation.
    """

    def __init__(self, config):
        super().__init__()
        size, eps = config["hidden_size"], config["layer_norm_eps"]
        dropout = config["hidden_dropout_prob"]
        self.alpha = config["alpha"]
        self.frequency = FrequencyLayer(size, config["cutoff"], dropout, eps)
        self.attention = MultiHeadAttention(
            config["n_heads"], size, dropout, config["attn_dropout_prob"], eps
        )
        self.feed_forward = FeedForward(size, config["inner_size"], dropout, config["hidden_act"], eps)

    def forward(self, x, mask, newest=False):
        mixed = self.alpha * self.frequency(x) + (1 - self.alpha) * self.attention(x, mask)
        return self.feed_forward(mixed[:, -1] if newest else mixed)


class BSARec(NextItemModel):
    r"""BSARec adds a branch to each Transformer block that lets high frequencies of the history
    through, which self-attention, a low-pass filter, smooths away.

    NOTE:
        Histories are moved to the right end of the window first: the Fourier transform runs over
        the whole window, and the newest item has to stand in the same place for every user. As in
        the authors' code the padding before it takes part: it carries the learned position vectors
        and attends to the whole window, which the next block's filter spreads. The window is always
        ``MAX_ITEM_LIST_LENGTH`` long, so scores do not depend on how far RecBole padded a batch.
    """

    @classmethod
    def check_settings(cls, config):
        super().check_settings(config)
        sizes.check_encoder(config)
        sizes.check_share(config, "alpha")
        sizes.check(config, "cutoff", least=0)

    def __init__(self, config, dataset):
        super().__init__(config, dataset)

        # load parameters info
        self.n_layers = config["n_layers"]
        self.hidden_size = config["hidden_size"]  # same as embedding_size
        self.hidden_dropout_prob = config["hidden_dropout_prob"]
        self.layer_norm_eps = config["layer_norm_eps"]
        self.initializer_range = config["initializer_range"]

        # define layers
        self.item_embedding = nn.Embedding(self.n_items, self.hidden_size, padding_idx=0)
        self.position_embedding = nn.Embedding(self.max_seq_length, self.hidden_size)
        self.LayerNorm = nn.LayerNorm(self.hidden_size, eps=self.layer_norm_eps)
        self.dropout = nn.Dropout(self.hidden_dropout_prob)
        self.blocks = nn.ModuleList(BSARecBlock(config) for _ in range(self.n_layers))

        # parameters initialization
        self.apply(normal_weights(self.initializer_range))

        # loss and additions
        self.define_loss(config, dataset)
        self.define_additions(config, dataset)

    def forward(self, item_seq, item_seq_len, item_vectors):
        item_seq = left_pad(item_seq, item_seq_len, self.max_seq_length)
        x = self.look_up(item_seq, item_vectors) + self.position_embedding.weight
        x = self.dropout(self.LayerNorm(x))
        real = item_seq != 0
        # the authors add -10000 to what is not to be seen: where that is everything, it changes nothing
        mask = causal_mask(real).masked_fill(~real[:, None, :, None], 0)
        return at_newest_item(self.blocks, x, mask)  # [B H]
