"""What an item's text adds to its ID embedding, shared by the models that read item texts."""

from typing import NamedTuple

import torch
from torch import nn


class Standard(NamedTuple):
    """What the text vectors of a dataset's items have in common.

    The vectors of a pretrained encoder lie in a narrow cone and differ in length from one encoder to another
    (WhitenRec, Zhang et al., ICDE 2024). Centring and one common scale let the same initialisation serve all
    of them.
    """

    centre: torch.Tensor
    """[H], their mean."""
    scale: torch.Tensor
    """A number, their mean distance from it; 1 if that is 0."""

    @classmethod
    def of(cls, embeddings, known):
        """That of text vectors [N, H], of which the rows ``known`` ([N], bool) are of a real text."""
        texts = embeddings[known] if known.any() else torch.zeros_like(embeddings[:1])
        centre = texts.mean(dim=0)
        scale = texts.sub_(centre).norm(dim=1).mean()  # in place, of a copy: the table may be large
        return cls(centre, torch.where(scale > 0, scale, 1))  # a single title is all that is shared

    def __call__(self, vectors):
        """Vectors [..., H] of texts of the same encoder without it: titles then have length 1 on average."""
        return (vectors - self.centre).div_(self.scale)


class ProjectedTexts(nn.Module):
    """What the text of each item adds to its ID embedding.

    Args:
        item_texts (ItemTexts): of the dataset.
        adaptor (nn.Module): from text vectors [N, H] to [N, d].
    """

    def __init__(self, item_texts, adaptor):
        super().__init__()
        texts, known = item_texts.vectors(), item_texts.known.unsqueeze(1)
        standard = Standard.of(texts, item_texts.known)
        buffers = {
            "texts": standard(texts).masked_fill_(~known, 0),
            "known": known,
            **standard._asdict(),
        }
        for name, buffer in buffers.items():
            # rebuilt from the dataset instead of saved with the weights, as the interest table
            self.register_buffer(name, buffer, persistent=False)
        self.adaptor = adaptor

    def forward(self):
        """Vectors [N, d] of all items; zero for padding and for items without a text."""
        return self.adaptor(self.texts) * self.known

    def of(self, vectors):
        """Other texts' vectors [..., H] of the same encoder, projected as titles are, [..., d]."""
        return self.adaptor(Standard(self.centre, self.scale)(vectors))
