"""
WEARec
################################################

Reference:
    Huayang Xu et al. "Wavelet Enhanced Adaptive Frequency Filter for Sequential Recommendation." in
    AAAI 2026. arXiv 2511.07028.

"""

import torch
from recbole.model.layers import FeedForward
from torch import nn

from recbole_sam.errors import SettingError
from recbole_sam.models.checks import sizes
from recbole_sam.models.parts.frequency import rescale_details
from recbole_sam.models.parts.initialisation import normal_weights
from recbole_sam.models.parts.padding import left_pad
from recbole_sam.models.scores.next_item import NextItemModel


class AdaptiveFilter(nn.Module):
    """Filters the spectrum of a sequence, by a filter that the sequence itself adjusts.

    Every head h and frequency f has a learned factor w and shift b. A small network looks at the mean
    of the sequence and changes both: F'[h, f] = F[h, f] * w[h, f] * (1 + s[h, f]) + b[h, f] + a[h, f].

    Args:
        window (int): W, length of the sequences.
        hidden_size (int): width d.
        n_heads (int): how many filters share the width.
    """

    def __init__(self, window, hidden_size, n_heads):
        super().__init__()
        self.window, self.n_heads, self.n_bins = window, n_heads, window // 2 + 1
        self.factor = nn.Parameter(torch.ones(n_heads, self.n_bins, 1))
        self.shift = nn.Parameter(torch.full((n_heads, self.n_bins, 1), -0.1))
        self.adjust = nn.Sequential(
            nn.Linear(hidden_size, hidden_size),
            nn.GELU(),
            nn.Linear(hidden_size, n_heads * self.n_bins * 2),
        )

    def forward(self, x):
        """Sequences [B, W, d] to sequences of the same shape."""
        spectrum = torch.fft.rfft(_heads(x, self.n_heads), dim=2, norm="ortho")
        adjusted = self.adjust(x.mean(dim=1)).unflatten(1, (self.n_heads, self.n_bins, 2))
        scale, shift = adjusted.split(1, dim=3)  # [B n_heads n_bins 1]
        spectrum = spectrum * (self.factor * (1 + scale)) + (self.shift + shift)
        return _joined(torch.fft.irfft(spectrum, n=self.window, dim=2, norm="ortho"))


class WaveletEnhancement(nn.Module):
    """Rescales what differs between two neighbours of a sequence, the detail of a Haar wavelet.

    Args:
        window (int): W, even.
        hidden_size (int): width d.
        n_heads (int): heads that share the width.
        std (float): of the normal distribution that the factors start from.
    """

    def __init__(self, window, hidden_size, n_heads, std):
        super().__init__()
        self.n_heads = n_heads
        self.weight = nn.Parameter(torch.randn(n_heads, window // 2, hidden_size // n_heads) * std)

    def forward(self, x):
        """Sequences [B, W, d] to sequences of the same shape."""
        return _joined(rescale_details(_heads(x, self.n_heads), self.weight))


class WEARecBlock(nn.Module):
    """alpha * AdaptiveFilter(x) + (1 - alpha) * WaveletEnhancement(x), then feed-forward.

    Both halves have a residual connection and layer normalisation.
    """

    def __init__(self, config, window):
        super().__init__()
        size, heads, eps = config["hidden_size"], config["n_heads"], config["layer_norm_eps"]
        dropout = config["hidden_dropout_prob"]
        self.alpha = config["alpha"]
        self.filter = AdaptiveFilter(window, size, heads)
        self.wavelet = WaveletEnhancement(window, size, heads, config["initializer_range"])
        self.dropout = nn.Dropout(dropout)
        self.LayerNorm = nn.LayerNorm(size, eps=eps)
        self.feed_forward = FeedForward(size, config["inner_size"], dropout, config["hidden_act"], eps)

    def forward(self, x):
        mixed = self.alpha * self.filter(x) + (1 - self.alpha) * self.wavelet(x)
        return self.feed_forward(self.LayerNorm(x + self.dropout(mixed)))


def _heads(x, n_heads):
    """[B, W, d] to [B, n_heads, W, d / n_heads]."""
    return x.unflatten(2, (n_heads, -1)).transpose(1, 2)


def _joined(heads):
    """[B, n_heads, W, d / n_heads] to [B, W, d]."""
    return heads.transpose(1, 2).flatten(2)


class WEARec(NextItemModel):
    r"""WEARec replaces self-attention by a filter of the history's frequencies, which the history itself
    adjusts, and a wavelet that sharpens what changes from one item to the next.

    NOTE:
        Histories are moved to the right end of the window first: the newest item has to stand in the same
        place for every user. As in the public code the padding before it is no silence: it carries the
        learned position vectors. The window is always ``MAX_ITEM_LIST_LENGTH`` long, rounded up to an even
        number for the wavelet's pairs. Where the paper's text and its public code differ, this is the code,
        whose checkpoint gives the published numbers (``benchmarks.checkpoints``).
    """

    def __init__(self, config, dataset):
        super().__init__(config, dataset)

        # load parameters info
        self.n_layers = config["n_layers"]
        self.hidden_size = config["hidden_size"]  # same as embedding_size
        self.layer_norm_eps = config["layer_norm_eps"]
        self.window = self.max_seq_length + self.max_seq_length % 2
        sizes.check_encoder(config)
        if not 0 <= config["alpha"] <= 1:
            raise SettingError(f"alpha={config['alpha']} is no share: set it from 0 to 1.")

        # define layers
        self.item_embedding = nn.Embedding(self.n_items, self.hidden_size, padding_idx=0)
        self.position_embedding = nn.Embedding(self.window, self.hidden_size)
        self.LayerNorm = nn.LayerNorm(self.hidden_size, eps=self.layer_norm_eps)
        self.dropout = nn.Dropout(config["hidden_dropout_prob"])
        self.blocks = nn.ModuleList(WEARecBlock(config, self.window) for _ in range(self.n_layers))

        # parameters initialization
        self.apply(normal_weights(config["initializer_range"]))

        # loss and additions
        self.define_loss(config, dataset)
        self.define_additions(config, dataset)

    def forward(self, item_seq, item_seq_len, item_vectors):
        item_seq = left_pad(item_seq, item_seq_len, self.window)
        x = self.look_up(item_seq, item_vectors) + self.position_embedding.weight
        x = self.dropout(self.LayerNorm(x))
        for block in self.blocks:
            x = block(x)
        return x[:, -1]  # [B d]
