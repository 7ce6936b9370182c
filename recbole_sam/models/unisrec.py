"""
UniSRec
################################################

Reference:
    Yupeng Hou et al. "Towards Universal Sequence Representation Learning for Recommender Systems."
    in KDD 2022.

"""

import torch
from torch import nn
from torch.nn import functional as F

from recbole_sam.models.checks import sizes
from recbole_sam.models.sasrectext import SASRecText


class WhiteningExperts(nn.Module):
    """A text vector x to sum_k g_k (x - b_k) W_k, with gates g = softmax(x W_g + noise), noise in training.

    Args:
        width (int): H, of the text vectors.
        size (int): d.
        n_experts (int): G.
        dropout (float): of the text vectors.
        std (float): of the normal distribution that W starts from.
    """

    def __init__(self, width, size, n_experts, dropout, std):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(n_experts, 1, width))
        self.whitening = nn.Parameter(torch.empty(n_experts, width, size).normal_(std=std))
        self.gate = nn.Parameter(torch.zeros(width, n_experts))
        self.gate_noise = nn.Parameter(torch.zeros(width, n_experts))
        self.dropout = nn.Dropout(dropout)

    def forward(self, texts):
        """Text vectors [N, H] to [N, d]."""
        gates = texts @ self.gate
        if self.training:
            gates = gates + torch.randn_like(gates) * (F.softplus(texts @ self.gate_noise) + 0.01)
        # x W_k - b_k W_k in one product for all experts: x - b_k of every item would be [G N H].
        n_experts, _, size = self.whitening.shape
        experts = self.dropout(texts) @ self.whitening.transpose(0, 1).flatten(1)  # [N G*d]
        experts = experts.unflatten(1, (n_experts, size)) - (self.shift @ self.whitening).squeeze(1)
        return (gates.softmax(dim=-1).unsqueeze(-1) * experts).sum(dim=1)


class UniSRec(SASRecText):
    r"""UniSRec's form with text and ID ("transductive"), without pre-training.

    An item is its ID embedding plus its title's text vector after a mixture of whitening experts. RecBole's
    SASRec encodes the history; scores are cosines divided by a temperature; the loss is cross-entropy over
    all items.

    NOTE:
        The paper pre-trains experts and encoder on other domains, which a comparison on one dataset cannot
        have. Width (64; the paper: 300) and dropout are those of all models compared here.
    """

    loss_types = ("CE",)

    @classmethod
    def check_settings(cls, config):
        super().check_settings(config)
        sizes.check(config, "n_experts")
        sizes.check_temperature(config)

    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        self.temperature = config["temperature"]

    def text_adaptor(self, config, width):
        dropout = config["adaptor_dropout_prob"]
        return WhiteningExperts(width, self.hidden_size, config["n_experts"], dropout, self.initializer_range)

    def match_all(self, user, items):
        return F.normalize(user, dim=-1) @ F.normalize(items, dim=-1).T / self.temperature

    def match_one(self, user, items):
        return F.cosine_similarity(user, items, dim=-1) / self.temperature
