"""
EIMF
################################################

Reference:
    Shutong Qiao et al. "LLM-assisted Explicit and Implicit Multi-interest Learning Framework for
    Sequential Recommendation." arXiv 2411.09410.

"""

import torch
from torch import nn
from torch.nn import functional as F

from recbole_sam.errors import StoreMissingError
from recbole_sam.models.checks import sizes
from recbole_sam.models.comirec import ComiRec
from recbole_sam.models.parts.attention import masked_mean
from recbole_sam.models.scores.multi_interest import Interests


def alignment_loss(behaviour, semantics, users, temperature):
    """Contrasts each user's behavioural vector with the semantic vectors of all users of the batch.

    InfoNCE on cosines: a user's own pair has to stand out. Further samples of the same user are no
    negatives: their semantic vector is the same.

    Args:
        behaviour (torch.FloatTensor): shape [B, d].
        semantics (torch.FloatTensor): shape [B, d].
        users (torch.LongTensor): user ids, shape [B].
        temperature (float): what the cosines are divided by.

    Returns:
        torch.FloatTensor: shape [].
    """
    cosines = F.normalize(behaviour, dim=-1) @ F.normalize(semantics, dim=-1).t() / temperature
    twins = users.unsqueeze(1) == users
    others = twins & ~torch.eye(len(users), dtype=torch.bool, device=users.device)
    cosines = cosines.masked_fill(others, float("-inf"))
    return F.cross_entropy(cosines, torch.arange(len(users), device=users.device))


class EIMF(ComiRec):
    r"""EIMF learns a user's interests from behaviour (IBIM) and, in training only, from what a
    language model says about the user (ESIM). Two auxiliary tasks carry the semantics over; serving
    reads behaviour alone. Results of this class are "EIMF (our reading)": the authors published no
    code.

    NOTE:
        From the paper's abstract: the two modules, the two tasks, and that IBIM alone serves. Ours,
        because the paper's equations were not at hand:

        - IBIM is ComiRec: the paper leaves the backbone free.
        - ESIM reads the interest store that SAM reads, projected linearly into the item space,
          s = W t + b, so that both models get the same texts and a difference is the models'. The
          paper asks the language model about typical users only, found by clustering, to save cost;
          every user with interests in the store counts here, so a store of some users does that.
        - Modality alignment: InfoNCE between the means of a user's behavioural and of the user's
          semantic interests, the common way to bring two modalities together without collapse.
        - Semantic prediction: the semantic interest nearest to the target predicts it by the
          backbone's own loss, as ComiRec trains its behavioural interests.
        - Loss = recommendation + alignment_weight * alignment + semantic_weight * prediction, each
          auxiliary a mean over the samples whose user has interests.

        A training sample's interests stem from the user's whole training history, so also from
        items after the sample's; nothing of validation or test is in them.
    """

    dataset_hook = "OptionalInterestsDataset"
    reads_interests = True

    @classmethod
    def check_settings(cls, config):
        super().check_settings(config)
        sizes.check_temperature(config, "alignment_temperature")

    def __init__(self, config, dataset):
        super().__init__(config, dataset)

        # load parameters info
        self.alignment_weight = config["alignment_weight"]
        self.alignment_temperature = config["alignment_temperature"]
        self.semantic_weight = config["semantic_weight"]

        # the interest table: looked up, never trained, not saved with the weights
        interests = dataset.interests
        self.semantic_projection = None
        if interests is not None:
            self.register_buffer("phrase_embeddings", interests.embeddings, persistent=False)
            self.register_buffer("user_phrases", interests.user_phrases, persistent=False)
            self.register_buffer("user_k", interests.user_k, persistent=False)
            self.semantic_projection = nn.Linear(interests.width, self.hidden_size)
            nn.init.xavier_normal_(self.semantic_projection.weight)
            nn.init.zeros_(self.semantic_projection.bias)

    def load_state_dict(self, state_dict, *args, **kwargs):
        """Loads trained weights; without a store not ESIM's, since nothing will read them."""
        if self.semantic_projection is None:
            state_dict = {
                name: weight
                for name, weight in state_dict.items()
                if not name.startswith("semantic_projection.")
            }
        return super().load_state_dict(state_dict, *args, **kwargs)

    def semantic_interests(self, user):
        """The semantic interests of some users, in the space of the items.

        Args:
            user (torch.LongTensor): user ids, shape [B].

        Returns:
            Interests: of which a user has some.
        """
        count = self.user_k[user]
        width = max(int(count.max()), 1)
        texts = F.embedding(self.user_phrases[user, :width], self.phrase_embeddings)
        real = torch.arange(width, device=user.device) < count.unsqueeze(1)
        return Interests(self.semantic_projection(texts.to(self.semantic_projection.weight.dtype)), real)

    def calculate_loss(self, interaction):
        if self.semantic_projection is None:
            raise StoreMissingError(
                "EIMF serves without an interest store but cannot train without one: build it with "
                "`python -m recbole_sam interests --dataset=<name> --model=EIMF`."
            )
        items = self.item_vectors()
        interests = self.represent(interaction, items)
        loss = self.interest_loss(interests, items, interaction)

        known = self.user_k[interaction[self.USER_ID]] > 0
        if not known.any():
            return loss
        behaviour, interaction = interests.vectors[known].mean(dim=1), interaction[known]
        user = interaction[self.USER_ID]
        semantic = self.semantic_interests(user)
        alignment = alignment_loss(behaviour, masked_mean(*semantic), user, self.alignment_temperature)
        prediction = self.interest_loss(semantic, items, interaction)
        return loss + self.alignment_weight * alignment + self.semantic_weight * prediction
