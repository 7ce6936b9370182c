"""
TedRec
################################################

Reference:
    Lanling Xu et al. "Sequence-level Semantic Representation Fusion for Recommender Systems." in CIKM
    2024. arXiv 2402.18166.

"""

import torch
from recbole.model.layers import TransformerEncoder
from torch import nn
from torch.nn import functional as F

from recbole_sam.errors import SettingError
from recbole_sam.models.checks import sizes
from recbole_sam.models.parts.initialisation import normal_weights
from recbole_sam.models.parts.item_text import ProjectedTexts
from recbole_sam.models.parts.padding import causal_mask, right_pad
from recbole_sam.models.scores.additions import length_of_titles
from recbole_sam.models.scores.next_item import NextItemModel


class PositionalExperts(nn.Module):
    """Text vectors by a mixture of linear experts, each of which subtracts a vector of the position.

    Item i at position t becomes sum_k g_ik (x_i - b_tk) W_k, with gates g_i = softmax(x_i W_g + noise),
    noise in training. The sum is M_i - sum_k g_ik (b_tk W_k), so that M and g are computed once for each
    item instead of once for each place it has in a batch.

    Args:
        width (int): H, of the text vectors.
        size (int): d.
        n_experts (int): G.
        window (int): W, positions.
        dropout (float): of the text vectors.
        std (float): of the normal distribution that the experts start from.
    """

    def __init__(self, width, size, n_experts, window, dropout, std):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(window, n_experts, width))
        self.experts = nn.Parameter(torch.randn(n_experts, width, size) * std)
        self.gate = nn.Parameter(torch.zeros(width, n_experts))
        self.gate_noise = nn.Parameter(torch.zeros(width, n_experts))
        self.dropout = nn.Dropout(dropout)

    def forward(self, texts, places):
        """Text vectors [N, H] of some items and, for each position, which of them stands there, to [B, W, d].

        Args:
            texts (torch.FloatTensor): [N, H].
            places (torch.LongTensor): [B, W], rows of ``texts``.
        """
        gates = texts @ self.gate
        if self.training:
            gates = gates + torch.randn_like(gates) * (F.softplus(texts @ self.gate_noise) + 0.01)
        gates = gates.softmax(dim=-1)  # [N G]
        mixed = self.dropout(texts) @ self.experts.transpose(0, 1).flatten(1)
        mixed = (mixed.unflatten(1, (len(self.experts), -1)) * gates.unsqueeze(2)).sum(dim=1)  # [N d]
        shifts = torch.einsum("wgh,ghd->wgd", self.shift, self.experts)
        return F.embedding(places, mixed) - torch.einsum("bwg,wgd->bwd", F.embedding(places, gates), shifts)


class SequenceFusion(nn.Module):
    """Fuses two sequences, IDs and texts, as products of their spectra: a convolution over the window.

    2 * (sigmoid(w1 c) * c + sigmoid(w2 f) * f), with c the IDs through a learned filter and f the
    circular convolution of IDs and texts.

    Args:
        window (int): W.
        hidden_size (int): d.
        std (float): of the normal distribution that filter and gates start from.
    """

    def __init__(self, window, hidden_size, std):
        super().__init__()
        self.filter = nn.Parameter(torch.randn(window // 2 + 1, hidden_size, 2) * std)
        self.item_gate = nn.Linear(hidden_size, 1)
        self.fusion_gate = nn.Linear(hidden_size, 1)

    def forward(self, items, texts):
        """Two sequences [B, W, d] to one."""
        spectrum = torch.fft.rfft(items, dim=1, norm="ortho")
        filtered = _in_time(spectrum * torch.view_as_complex(self.filter), items)
        fused = _in_time(spectrum * torch.fft.rfft(texts, dim=1, norm="ortho"), items)
        gated = filtered * self.item_gate(filtered).sigmoid() + fused * self.fusion_gate(fused).sigmoid()
        return 2 * gated


def _in_time(spectrum, like):
    """A spectrum back as a sequence [B, W, d]."""
    return torch.fft.irfft(spectrum, n=like.size(1), dim=1, norm="ortho")


class TedRec(NextItemModel):
    r"""TedRec fuses the sequence of items and the sequence of their titles in the frequency domain; SASRec's
    Transformer reads the result. Scores are cosines of users and ID embeddings, divided by a temperature.

    NOTE:
        The convolutions run over the whole window, which is always ``MAX_ITEM_LIST_LENGTH`` long, so that
        scores do not depend on how far RecBole padded a batch. As in the public code, padding has no item
        but does have what the experts subtract at its position.
    """

    had_item_text = True
    loss_types = ("CE",)

    @classmethod
    def check_settings(cls, config):
        super().check_settings(config)
        sizes.check_encoder(config)
        sizes.check(config, "n_layers", "n_experts")
        sizes.check_temperature(config)
        if config["item_text"] is not True:
            raise SettingError("TedRec fuses titles with histories: leave item_text True.")

    def __init__(self, config, dataset):
        super().__init__(config, dataset)

        # load parameters info
        self.hidden_size = config["hidden_size"]
        self.temperature = config["temperature"]

        # define layers
        window, std, dropout = self.max_seq_length, config["initializer_range"], config["hidden_dropout_prob"]
        self.item_embedding = nn.Embedding(self.n_items, self.hidden_size, padding_idx=0)
        self.position_embedding = nn.Embedding(window, self.hidden_size)
        texts = dataset.item_texts
        self.titles = ProjectedTexts(texts, nn.Identity(), length_of_titles(config))
        self.experts = PositionalExperts(
            texts.width, self.hidden_size, config["n_experts"], window, config["adaptor_dropout_prob"], std
        )
        self.fusion = SequenceFusion(window, self.hidden_size, std)
        self.LayerNorm = nn.LayerNorm(self.hidden_size, eps=config["layer_norm_eps"])
        self.dropout = nn.Dropout(dropout)
        self.trm_encoder = TransformerEncoder(
            n_layers=config["n_layers"],
            n_heads=config["n_heads"],
            hidden_size=self.hidden_size,
            inner_size=config["inner_size"],
            hidden_dropout_prob=dropout,
            attn_dropout_prob=config["attn_dropout_prob"],
            hidden_act=config["hidden_act"],
            layer_norm_eps=config["layer_norm_eps"],
        )

        # parameters initialization
        self.apply(normal_weights(std))

        # loss and additions
        self.define_loss(config, dataset)
        self.define_additions(config, dataset)

    def forward(self, item_seq, item_seq_len, item_vectors):
        item_seq = right_pad(item_seq, item_seq_len, self.max_seq_length)
        items, places = item_seq.unique(return_inverse=True)
        texts = self.experts(self.titles.texts[items], places)
        x = self.fusion(self.look_up(item_seq, item_vectors), texts) + self.position_embedding.weight
        x = self.dropout(self.LayerNorm(x))
        x = self.trm_encoder(x, causal_mask(item_seq != 0), output_all_encoded_layers=True)[-1]
        user = self.gather_indexes(x, item_seq_len - 1)  # [B d]
        return F.normalize(user, dim=-1) / self.temperature

    def define_item_text(self, config, dataset):
        """None: titles are fused with histories, and candidates are IDs alone."""
        self.item_text = None

    def match_all(self, user, items):
        return user @ F.normalize(items, dim=-1).T

    def match_one(self, user, items):
        return (user * F.normalize(items, dim=-1)).sum(dim=-1)
