"""
ComiRec
################################################

Reference:
    Yukuo Cen et al. "Controllable Multi-Interest Framework for Recommendation." in KDD 2020. arXiv
    2005.09347.

"""

import torch
from torch import nn

from recbole_sam.errors import SettingError
from recbole_sam.models.checks import sizes
from recbole_sam.models.parts.capsule import route
from recbole_sam.models.parts.padding import left_pad
from recbole_sam.models.scores.multi_interest import Interests, MultiInterestModel


class SelfAttentiveInterests(nn.Module):
    """ComiRec-SA: K weighted sums of the items, the weights softmax(W2 tanh(W1 (E + P))) over time.

    Positions P take part in the weights only, so the interests stay in the space of the items.
    """

    def __init__(self, config):
        super().__init__()
        size = config["hidden_size"]
        self.position_embedding = nn.Embedding(config["MAX_ITEM_LIST_LENGTH"], size)
        self.dense_1 = nn.Linear(size, config["inner_size"], bias=False)
        self.dense_2 = nn.Linear(config["inner_size"], config["interest_size"], bias=False)

    def forward(self, items, real):
        scores = self.dense_2(torch.tanh(self.dense_1(items + self.position_embedding.weight)))
        # The smallest finite number, not -inf: a history without any item gives zeros, not NaN.
        scores = scores.masked_fill(~real.unsqueeze(2), torch.finfo(scores.dtype).min)
        return scores.softmax(dim=1).transpose(1, 2) @ items


class RoutedInterests(nn.Module):
    """ComiRec-DR: dynamic routing from zero logits, a linear map for each position and interest."""

    def __init__(self, config):
        super().__init__()
        size = config["hidden_size"]
        self.iterations = config["routing_iterations"]
        shape = (config["MAX_ITEM_LIST_LENGTH"], config["interest_size"], size, size)
        # Votes as long as the items: squash, quadratic near zero, stifles the gradient of less.
        self.weight = nn.Parameter(torch.randn(shape) * size**-0.5)

    def forward(self, items, real):
        votes = torch.einsum("bld,lkde->bkle", items, self.weight)
        return route(votes, votes.new_zeros(1, votes.size(1), 1), real, self.iterations)


EXTRACTORS = {"SA": SelfAttentiveInterests, "DR": RoutedInterests}


class ComiRec(MultiInterestModel):
    r"""ComiRec represents a user as K interests. The interest nearest to the target is trained; an
    item's score is its best match with any interest.

    NOTE:
        The paper trains with a sampled softmax because of its large catalogues; here ``loss_type:
        CE`` is the full softmax, which it approximates. The paper's controllable aggregation trades
        accuracy for diversity after ranking; at its setting for accuracy, lambda = 0, it is this
        model's ranking. Histories are moved to the right end of the window first: both extractors
        have weights for each position, and the newest item has the same position for every user.
    """

    @classmethod
    def check_settings(cls, config):
        super().check_settings(config)
        if config["interest_extractor"] not in EXTRACTORS:
            name = config["interest_extractor"]
            raise SettingError(f"interest_extractor={name!r} is none of ComiRec's: set it to SA or DR.")
        sizes.check(config, "hidden_size", "interest_size", "routing_iterations", "inner_size")

    def __init__(self, config, dataset):
        super().__init__(config, dataset)

        # load parameters info
        self.hidden_size = config["hidden_size"]  # same as embedding_size
        self.interest_extractor = config["interest_extractor"]
        self.initializer_range = config["initializer_range"]
        self.hidden_dropout_prob = config["hidden_dropout_prob"] or 0  # None in an older checkpoint

        # define layers
        self.item_embedding = nn.Embedding(self.n_items, self.hidden_size, padding_idx=0)
        self.extractor = EXTRACTORS[self.interest_extractor](config)
        self.dropout = nn.Dropout(self.hidden_dropout_prob)

        # parameters initialization
        self.apply(self._init_weights)

        # loss and additions
        self.define_loss(config, dataset)
        self.define_additions(config, dataset)

    def _init_weights(self, module):
        if isinstance(module, nn.Embedding):
            module.weight.data.normal_(mean=0.0, std=self.initializer_range)
            if module.padding_idx is not None:
                module.weight.data[module.padding_idx].zero_()
        elif isinstance(module, nn.Linear):
            nn.init.xavier_normal_(module.weight)

    def forward(self, item_seq, item_seq_len, item_vectors):
        item_seq = left_pad(item_seq, item_seq_len, self.max_seq_length)
        items = self.dropout(self.look_up(item_seq, item_vectors))
        return Interests(self.extractor(items, item_seq != 0))
