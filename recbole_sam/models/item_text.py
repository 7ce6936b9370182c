"""What an item's text adds to its ID embedding, shared by the models that read item texts."""

import torch
from torch import nn


def standardised(embeddings, known):
    """Text vectors without what all of them share, of length 1 on average.

    The vectors of a pretrained encoder lie in a narrow cone and differ in length from one encoder to another
    (WhitenRec, Zhang et al., ICDE 2024). Centring and one common scale let the same initialisation serve all
    of them.

    Args:
        embeddings (torch.FloatTensor): [N, H].
        known (torch.BoolTensor): [N], which rows are of a real text.

    Returns:
        torch.FloatTensor: [N, H], zeros where nothing is known.
    """
    standard = embeddings - embeddings[known].mean(dim=0)
    standard[~known] = 0
    scale = standard[known].norm(dim=1).mean()
    # in place: the table of a large catalogue should not be there twice
    return standard.div_(torch.where(scale > 0, scale, 1))  # a single title is all that is shared


class ProjectedTexts(nn.Module):
    """What the text of each item adds to its ID embedding.

    Args:
        item_texts (ItemTexts): of the dataset.
        adaptor (nn.Module): from text vectors [N, H] to [N, d].
    """

    def __init__(self, item_texts, adaptor):
        super().__init__()
        # rebuilt from the dataset instead of saved with the weights, as the interest table
        texts = standardised(item_texts.embeddings, item_texts.known)
        self.register_buffer("texts", texts, persistent=False)
        self.register_buffer("known", item_texts.known.unsqueeze(1), persistent=False)
        self.adaptor = adaptor

    def forward(self):
        """Vectors [N, d] of all items; zero for padding and for items without a text."""
        return self.adaptor(self.texts) * self.known
