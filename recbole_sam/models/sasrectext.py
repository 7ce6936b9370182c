"""
SASRecText
################################################

Reference:
    Wang-Cheng Kang and Julian McAuley. "Self-Attentive Sequential Recommendation." in ICDM 2018.

"""

import torch
from recbole.model.sequential_recommender.sasrec import SASRec
from torch import nn
from torch.nn import functional as F

from recbole_sam.models.checks import sizes
from recbole_sam.models.parts.item_text import ProjectedTexts
from recbole_sam.models.parts.padding import real_items
from recbole_sam.models.parts.unsaved import unsaved_buffers
from recbole_sam.models.scores import item_knn, repeats
from recbole_sam.models.scores.known_users import known_users


class SASRecText(SASRec):
    r"""RecBole's SASRec that reads item titles: the rival with the information that SAM has.

    An item is its ID embedding plus a linear map of its title's text vector, as an input and as a candidate;
    everything else is RecBole's SASRec. With ``repeat_bias`` it also has SAM's learned number for the items
    of the history, and with ``item_knn`` SAM's votes of neighbours, so that what is left of a difference is
    due to how the two read the history.

    Raises:
        SettingError: a size or ``hidden_act`` makes no sense.
    """

    dataset_hook = "ItemTextDataset"
    reads_item_texts = True
    loss_types = ("CE", "BPR")

    def __init__(self, config, dataset):
        sizes.check_encoder(config)
        sizes.check(config, "n_layers")
        super().__init__(config, dataset)
        texts = dataset.item_texts
        self.item_text = ProjectedTexts(texts, self.text_adaptor(config, texts.width))
        self.repeat_bias = repeats.initial_bias(dataset.inter_feat, self) if config["repeat_bias"] else None
        self.item_knn = item_knn.configured(config, dataset, self)
        self._ddp_params_and_buffers_to_ignore = unsaved_buffers(self)

    def text_adaptor(self, config, width):
        """A new module from text vectors [N, width] to [N, d]."""
        adaptor = nn.Linear(width, self.hidden_size, bias=False)
        nn.init.normal_(adaptor.weight, std=self.initializer_range)
        return adaptor

    def similarity(self, user, item_vectors):
        """Scores [B, N] of users [B, d] and items [N, d]."""
        return user @ item_vectors.T

    def forward(self, item_seq, item_seq_len, item_vectors):
        """User representations [B, d] of histories [B, L], given all item vectors [N, d]."""
        positions = torch.arange(item_seq.shape[1], device=item_seq.device)
        x = F.embedding(item_seq, item_vectors) + self.position_embedding(positions)
        x = self.dropout(self.LayerNorm(x))
        x = self.trm_encoder(x, self.get_attention_mask(item_seq), output_all_encoded_layers=True)[-1]
        return self.gather_indexes(x, item_seq_len - 1)  # [B d]

    def calculate_loss(self, interaction):
        scores, pos_items = self.full_sort_predict(interaction), interaction[self.POS_ITEM_ID]
        if self.loss_type == "CE":
            return self.loss_fct(scores, pos_items)
        return self.loss_fct(_at(scores, pos_items), _at(scores, interaction[self.NEG_ITEM_ID]))

    def predict(self, interaction):
        return _at(self.full_sort_predict(interaction), interaction[self.ITEM_ID])  # [B]

    def full_sort_predict(self, interaction):
        item_seq, item_seq_len = interaction[self.ITEM_SEQ], interaction[self.ITEM_SEQ_LEN]
        item_vectors = self.item_embedding.weight + self.item_text()
        scores = self.similarity(self.forward(item_seq, item_seq_len, item_vectors), item_vectors)
        history = real_items(item_seq, item_seq_len)
        if self.repeat_bias is not None:
            scores = repeats.add_to_all(scores, self.repeat_bias, history)
        if self.item_knn is not None:
            user = known_users(interaction, self, self.item_knn.n_users)
            scores = self.item_knn.add_to_all(scores, user, history, item_seq_len)
        return scores  # [B n_items]


def _at(scores, item):
    """Entry [B] of each row of scores [B, N]."""
    return scores.gather(1, item.unsqueeze(1)).squeeze(1)
