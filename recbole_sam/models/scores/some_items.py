"""The vectors of some items in place of those of all, for a training step that needs no others."""

from typing import NamedTuple

import torch
from torch.nn import functional as F


class SomeItems(NamedTuple):
    """Looked up as a table [N, d] of all items is, by item IDs."""

    ids: torch.Tensor
    """int64 [M], distinct and ascending, the padding item 0 first."""
    vectors: torch.Tensor
    """[M, d]."""

    @classmethod
    def of(cls, vectors_of, *items):
        """The vectors of all items that stand in some tensors.

        Args:
            vectors_of (callable): from distinct items, a LongTensor [M], to their vectors [M, d].
            *items (torch.LongTensor): of any shapes.
        """
        padding = items[0].new_zeros(1)
        ids = torch.cat([padding, *(each.flatten() for each in items)]).unique()
        return cls(ids, vectors_of(ids))

    @property
    def dtype(self):
        """Of the vectors."""
        return self.vectors.dtype

    def look_up(self, items):
        """The vectors [..., d] of items [...] among those that it knows; no gradient reaches the padding."""
        return F.embedding(torch.searchsorted(self.ids, items), self.vectors, padding_idx=0)
