"""
SASRecText
################################################

Reference:
    Wang-Cheng Kang and Julian McAuley. "Self-Attentive Sequential Recommendation." in ICDM 2018.

"""

import torch
from recbole.model.sequential_recommender.sasrec import SASRec

from recbole_sam.models.checks import sizes
from recbole_sam.models.scores.whole_sequences import CausalModel


class SASRecText(CausalModel, SASRec):
    r"""RecBole's SASRec that reads item titles: the rival with the information that SAM has.

    An item is its ID embedding plus a linear map of its title's text vector, as an input and as a candidate;
    everything else is RecBole's SASRec. With ``repeat_bias`` it also has SAM's learned number for the items
    of the history, and with ``item_knn`` SAM's votes of neighbours, so that what is left of a difference is
    due to how the two read the history.

    Raises:
        SettingError: a size or ``hidden_act`` makes no sense.
    """

    had_item_text = True

    @classmethod
    def check_settings(cls, config):
        super().check_settings(config)
        sizes.check_encoder(config)
        sizes.check(config, "n_layers")

    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        self.define_loss(config, dataset)
        self.define_additions(config, dataset)

    def all_states(self, item_seq, item_seq_len, item_vectors):
        positions = torch.arange(item_seq.shape[1], device=item_seq.device)
        x = self.look_up(item_seq, item_vectors) + self.position_embedding(positions)
        x = self.dropout(self.LayerNorm(x))
        mask = self.get_attention_mask(item_seq)
        return self.trm_encoder(x, mask, output_all_encoded_layers=True)[-1]  # [B L d]
