"""
WEARec
################################################

Reference:
    Huayang Xu et al. "Wavelet Enhanced Adaptive Frequency Filter for Sequential Recommendation." in
    AAAI 2026. arXiv 2511.07028.

"""

from torch import nn

from recbole_sam.models.checks import sizes
from recbole_sam.models.parts.frequency import FilterBlock, at_newest_item
from recbole_sam.models.parts.initialisation import normal_weights
from recbole_sam.models.parts.padding import left_pad
from recbole_sam.models.scores.next_item import NextItemModel


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

    @classmethod
    def check_settings(cls, config):
        super().check_settings(config)
        sizes.check_encoder(config)
        sizes.check_share(config, "alpha")

    def __init__(self, config, dataset):
        super().__init__(config, dataset)

        # load parameters info
        self.n_layers = config["n_layers"]
        self.hidden_size = config["hidden_size"]  # same as embedding_size
        self.layer_norm_eps = config["layer_norm_eps"]
        self.window = self.max_seq_length + self.max_seq_length % 2

        # define layers
        self.item_embedding = nn.Embedding(self.n_items, self.hidden_size, padding_idx=0)
        self.position_embedding = nn.Embedding(self.window, self.hidden_size)
        self.LayerNorm = nn.LayerNorm(self.hidden_size, eps=self.layer_norm_eps)
        self.dropout = nn.Dropout(config["hidden_dropout_prob"])
        self.blocks = nn.ModuleList(
            FilterBlock(
                self.window,
                self.hidden_size,
                config["inner_size"],
                config["n_heads"],
                config["alpha"],
                config["hidden_dropout_prob"],
                config["hidden_act"],
                self.layer_norm_eps,
                config["initializer_range"],
            )
            for _ in range(self.n_layers)
        )

        # parameters initialization
        self.apply(normal_weights(config["initializer_range"]))

        # loss and additions
        self.define_loss(config, dataset)
        self.define_additions(config, dataset)

    def forward(self, item_seq, item_seq_len, item_vectors):
        item_seq = left_pad(item_seq, item_seq_len, self.window)
        x = self.look_up(item_seq, item_vectors) + self.position_embedding.weight
        x = self.dropout(self.LayerNorm(x))
        return at_newest_item(self.blocks, x)  # [B d]
