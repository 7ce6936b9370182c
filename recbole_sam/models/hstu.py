"""
HSTU
################################################

Reference:
    Jiaqi Zhai et al. "Actions Speak Louder than Words: Trillion-Parameter Sequential Transducers for
    Generative Recommendations." in ICML 2024. arXiv 2402.17152.

"""

import math

import torch
from torch import nn
from torch.nn import functional as F

from recbole_sam.errors import SettingError
from recbole_sam.models.checks import sizes, switches
from recbole_sam.models.parts.initialisation import normal_weights
from recbole_sam.models.scores.own_negatives import OwnNegatives
from recbole_sam.models.scores.whole_sequences import CausalModel

N_BUCKETS = 128
"""Of the logarithm of a time span, as in the public code."""


class RelativeBias(nn.Module):
    """What is added to an attention score for how long ago the key was: in positions, and in time.

    Args:
        window (int): W, the longest sequence.
        with_time (bool): whether time counts, too.
        std (float): of the normal distribution that the numbers start from.
    """

    def __init__(self, window, with_time, std):
        super().__init__()
        self.by_position = nn.Parameter(torch.randn(window) * std)
        self.by_time = nn.Parameter(torch.randn(N_BUCKETS + 1) * std) if with_time else None

    def forward(self, length, times=None):
        """The bias of each pair of a query (first) and a key (second).

        Args:
            length (int): L, at most W.
            times (torch.DoubleTensor, optional): [B, L], in seconds; float32 cannot hold today's times to the
                second. Without, time adds nothing.

        Returns:
            torch.FloatTensor: [L, L], or [B, L, L] by times; without meaning where the key is later.
        """
        steps = torch.arange(length, device=self.by_position.device)
        ages = (steps.unsqueeze(1) - steps).clamp(min=0)
        bias = self.by_position[ages]
        if self.by_time is None or times is None:
            return bias
        return bias + self.by_time[time_buckets(times.unsqueeze(2) - times.unsqueeze(1))]


def time_buckets(spans):
    """Time spans in seconds to buckets 0 .. N_BUCKETS, each about 1.35 times as long as the one before."""
    return (spans.abs().clamp(min=1).log() / 0.301).long().clamp(max=N_BUCKETS)


class SequentialTransductionUnit(nn.Module):
    """HSTU's layer: attention without softmax, its result gated, and no feed-forward network.

    U, V, Q, K = SiLU(W LN(x)); A = SiLU(Q K^T + bias) / W; x + W2 Drop(U * LN(A V)). The weights of a
    history's items do not compete, so that their sum tells how often something was taken.
    """

    def __init__(self, config, window):
        super().__init__()
        size = config["hidden_size"]
        self.n_heads, self.window, self.eps = config["n_heads"], window, config["layer_norm_eps"]
        self.uvqk = nn.Linear(size, 4 * size, bias=False)
        self.output = nn.Linear(size, size)
        self.bias = RelativeBias(window, config["time_bias"], config["initializer_range"])
        self.attn_dropout = nn.Dropout(config["attn_dropout_prob"])
        self.dropout = nn.Dropout(config["hidden_dropout_prob"])

    def forward(self, x, times=None):
        """Sequences [B, L, d] to sequences of the same shape; no position depends on a later one.

        Args:
            x (torch.FloatTensor): [B, L, d].
            times (torch.DoubleTensor, optional): [B, L], in seconds.
        """
        length = x.size(1)
        gate, value, query, key = F.silu(self.uvqk(self._normed(x))).chunk(4, dim=2)
        query, key, value = (self._heads(each) for each in (query, key, value))
        bias = self.bias(length, times)
        scores = query @ key.transpose(2, 3) + (bias.unsqueeze(1) if bias.dim() == 3 else bias)
        weights = self.attn_dropout(F.silu(scores).tril() / self.window)
        attended = (weights @ value).transpose(1, 2).flatten(2)
        return x + self.output(self.dropout(gate * self._normed(attended)))

    def _normed(self, x):
        """Layer normalisation without learned numbers."""
        return F.layer_norm(x, x.shape[-1:], eps=self.eps)

    def _heads(self, x):
        """[B, L, d] to [B, n_heads, L, d / n_heads]."""
        return x.unflatten(2, (self.n_heads, -1)).transpose(1, 2)


class HSTU(OwnNegatives, CausalModel):
    r"""HSTU reads a history by attention without softmax, gated, with biases for how long ago an item was
    taken. Scores are cosines divided by a temperature.

    NOTE:
        This is the encoder in the paper's traditional sequential setting, without actions as tokens. Time is
        measured from the newest known item; the public code measures from the item to be predicted. Without
        times in an interaction only positions count. Histories stay at the left end of the window, where
        RecBole puts them: under the causal mask nothing real sees the padding behind it.
    """

    @classmethod
    def check_settings(cls, config):
        super().check_settings(config)
        sizes.check(config, "n_layers")
        sizes.check_heads(config)
        switches.check(config, "time_bias")
        sizes.check_temperature(config)
        if config["time_bias"] and config["train_targets"] == "sequence":
            raise SettingError(
                "time_bias needs times, which whole sequences do not hold: set time_bias to False, or "
                "train_targets to 'all'."
            )

    def __init__(self, config, dataset):
        super().__init__(config, dataset)

        # load parameters info
        self.n_layers = config["n_layers"]
        self.hidden_size = config["hidden_size"]  # same as embedding_size
        self.temperature = config["temperature"]
        self.TIMES = config["TIME_FIELD"] + config["LIST_SUFFIX"]

        # define layers
        self.item_embedding = nn.Embedding(self.n_items, self.hidden_size, padding_idx=0)
        self.position_embedding = nn.Embedding(self.max_seq_length, self.hidden_size)
        self.dropout = nn.Dropout(config["hidden_dropout_prob"])
        self.layers = nn.ModuleList(
            SequentialTransductionUnit(config, self.max_seq_length) for _ in range(self.n_layers)
        )

        # parameters initialization
        self.apply(normal_weights(config["initializer_range"]))
        nn.init.normal_(self.position_embedding.weight, std=self.hidden_size**-0.5)
        for layer in self.layers:
            nn.init.xavier_uniform_(layer.output.weight)

        # loss and additions
        self.define_loss(config, dataset)
        self.define_additions(config, dataset)

    def all_states(self, item_seq, item_seq_len, item_vectors, times=None):
        items = self.look_up(item_seq, item_vectors) * math.sqrt(self.hidden_size)
        x = self.dropout(items + self.position_embedding.weight[: item_seq.size(1)])
        for layer in self.layers:
            x = layer(x, times)
        return F.normalize(x, dim=-1) / self.temperature  # [B L d]

    def represent(self, interaction, item_vectors=None):
        items = self.item_vectors() if item_vectors is None else item_vectors
        item_seq, item_seq_len, times = interaction[self.ITEM_SEQ], interaction[self.ITEM_SEQ_LEN], None
        if self.TIMES in interaction:
            times = interaction[self.TIMES][:, : item_seq.size(1)]
        return self.gather_indexes(self.all_states(item_seq, item_seq_len, items, times), item_seq_len - 1)

    def keys(self, items):
        return F.normalize(items, dim=-1)
