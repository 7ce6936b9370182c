"""What an item's text adds to its ID embedding, shared by the models that read item texts."""

from typing import NamedTuple

import torch
from torch import nn

AT_ONCE = 8192
"""Titles whose distances are computed together."""


class Standard(NamedTuple):
    """What the text vectors of a dataset's items have in common.

    The vectors of a pretrained encoder lie in a narrow cone and differ in length from one encoder to another
    (WhitenRec, Zhang et al., ICDE 2024). Centring and one common scale let the same initialisation serve all
    of them.
    """

    centre: torch.Tensor
    """[H], their mean."""
    scale: torch.Tensor
    """A number, their mean distance from it by the length that they are to have; 1 if the distance is 0."""

    @classmethod
    def of(cls, embeddings, known, length=1.0):
        """That of text vectors [N, H], of which the rows ``known`` ([N], bool) are of a real text."""
        if not known.any():
            texts = torch.zeros_like(embeddings[:1])
        elif known[1:].all():
            texts = embeddings[0 if known[0] else 1 :]  # no copy: a million titles are 3 GB
        else:
            texts = embeddings[known]
        centre = texts.mean(dim=0)
        scale = torch.cat([(some - centre).norm(dim=1) for some in texts.split(AT_ONCE)]).mean()
        return cls(centre, torch.where(scale > 0, scale / length, 1))  # a single title is all that is shared

    def __call__(self, vectors):
        """Vectors [..., H] of texts of the same encoder without it."""
        return (vectors - self.centre).div_(self.scale)

    def apply_(self, vectors):
        """The same, in place."""
        return vectors.sub_(self.centre).div_(self.scale)


class ProjectedTexts(nn.Module):
    """What the text of each item adds to its ID embedding.

    Args:
        item_texts (ItemTexts): of the dataset.
        adaptor (nn.Module): from text vectors [N, H] to [N, d].
        length (float): of the vectors that it reads, on average.
    """

    def __init__(self, item_texts, adaptor, length=1.0):
        super().__init__()
        texts, known = item_texts.vectors(), item_texts.known.unsqueeze(1)
        standard = Standard.of(texts, item_texts.known, length)
        standard.apply_(texts).masked_fill_(~known, 0)  # in place: no copy here either
        buffers = {"texts": texts, "known": known, **standard._asdict()}
        for name, buffer in buffers.items():
            # rebuilt from the dataset instead of saved with the weights, as the interest table
            self.register_buffer(name, buffer, persistent=False)
        self.adaptor = adaptor

    def forward(self, items=None):
        """Vectors [N, d] of all items, or [M, d] of some; zero for padding and for items without a text."""
        if items is None:
            return self.adaptor(self.texts) * self.known
        return self.adaptor(self.texts.index_select(0, items)) * self.known.index_select(0, items)

    def of(self, vectors):
        """Other texts' vectors [..., H] of the same encoder, projected as titles are, [..., d]."""
        return self.adaptor(Standard(self.centre, self.scale)(vectors))
