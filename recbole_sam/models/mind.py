"""
MIND
################################################

Reference:
    Chao Li et al. "Multi-Interest Network with Dynamic Routing for Recommendation at Tmall." in
    CIKM 2019. arXiv 1904.08030.

"""

import math

import torch
from torch import nn

from recbole_sam.errors import SettingError
from recbole_sam.models.checks import sizes
from recbole_sam.models.parts.capsule import matches, nearest_interest, route
from recbole_sam.models.parts.padding import left_pad
from recbole_sam.models.scores.multi_interest import Interests, MultiInterestModel


def number_of_interests(lengths, most):
    """How many interests histories of given lengths have: max(1, min(K, log2 |I_u|)), rounded down.

    Args:
        lengths (torch.LongTensor): number of items in each history, shape [B].
        most (int): K, the largest number of interests.

    Returns:
        torch.LongTensor: shape [B].
    """
    # Counting the powers 2 .. 2^K that fit is exact; a logarithm might land below a whole number.
    powers = 2 ** torch.arange(1, most + 1, device=lengths.device)
    return (lengths.unsqueeze(1) >= powers).sum(dim=1).clamp(min=1)


def label_aware_attention(interests, items, power, active):
    """Mixes a user's interests by how well each matches the target: softmax(match^power).

    The paper leaves open what a power of a negative match is; here the sign stays, sign(x)
    |x|^power, so that a worse match never weighs more. Infinity picks the best match alone.

    Args:
        interests (torch.FloatTensor): shape [B, K, d].
        items (torch.FloatTensor): the targets, shape [B, d].
        power (float): p, from 1 to infinity.
        active (torch.BoolTensor): True for the interests a user has, shape [B, K].

    Returns:
        torch.FloatTensor: one vector a user, shape [B, d].
    """
    if math.isinf(power):
        return nearest_interest(interests, items, active)
    match = matches(interests, items)
    sharpened = (match.sign() * match.abs().pow(power)).masked_fill(~active, float("-inf"))
    return (sharpened.softmax(dim=1).unsqueeze(1) @ interests).squeeze(1)


class MIND(MultiInterestModel):
    r"""MIND routes a history into interest capsules that all hear the items through one bilinear
    map, then mixes the interests by their match with the target in training and takes the best
    match in serving.

    NOTE:
        RecBole gives the model no user profile, so the layer after the capsules reads the capsule
        alone. The paper trains with a sampled softmax because of its large catalogue; here
        ``loss_type: CE`` is the full softmax, which it approximates. The routing logits start at
        random numbers drawn once and kept with the model, one for each capsule and position, which
        is what makes the capsules differ. Histories are moved to the right end of the window first,
        so that the newest item has the same starting logits for every user.
    """

    @classmethod
    def check_settings(cls, config):
        super().check_settings(config)
        if not float(config["label_power"]) >= 1:
            raise SettingError(
                f"label_power={config['label_power']} makes no sense: set a number from 1 on, or "
                ".inf for the best match alone."
            )
        sizes.check(config, "hidden_size", "interest_size", "routing_iterations")

    def __init__(self, config, dataset):
        super().__init__(config, dataset)

        # load parameters info
        self.hidden_size = config["hidden_size"]  # same as embedding_size
        self.interest_size = config["interest_size"]
        self.adaptive_interests = config["adaptive_interests"]
        self.routing_iterations = config["routing_iterations"]
        self.label_power = float(config["label_power"])
        self.initializer_range = config["initializer_range"]
        self.hidden_dropout_prob = config["hidden_dropout_prob"] or 0  # None in an older checkpoint

        # define layers
        self.item_embedding = nn.Embedding(self.n_items, self.hidden_size, padding_idx=0)
        self.bilinear = nn.Linear(self.hidden_size, self.hidden_size, bias=False)
        self.dense = nn.Linear(self.hidden_size, self.hidden_size)
        self.register_buffer("routing_logits", torch.randn(self.interest_size, self.max_seq_length))
        self.dropout = nn.Dropout(self.hidden_dropout_prob)

        # parameters initialization
        self.apply(self._init_weights)

        # loss and additions
        self.define_loss(config, dataset)
        self.define_additions(config, dataset)

    def _init_weights(self, module):
        if isinstance(module, nn.Embedding):
            module.weight.data.normal_(mean=0.0, std=self.initializer_range)
            module.weight.data[module.padding_idx].zero_()
        elif isinstance(module, nn.Linear):
            nn.init.xavier_normal_(module.weight)
            if module.bias is not None:
                module.bias.data.zero_()

    def forward(self, item_seq, item_seq_len, item_vectors):
        item_seq = left_pad(item_seq, item_seq_len, self.max_seq_length)
        real = item_seq != 0
        count = torch.full_like(item_seq_len, self.interest_size)
        if self.adaptive_interests:
            count = number_of_interests(real.sum(dim=1), self.interest_size)
        active = torch.arange(self.interest_size, device=count.device) < count.unsqueeze(1)
        items = self.dropout(self.look_up(item_seq, item_vectors))
        votes = self.bilinear(items).unsqueeze(1)
        capsules = route(votes, self.routing_logits, real, self.routing_iterations, active)
        return Interests(torch.relu(self.dense(capsules)), active)

    def trained_vector(self, interests, targets):
        return label_aware_attention(interests.vectors, targets, self.label_power, interests.active)
