"""Samples that share the interactions they were made of, instead of holding a padded history each.

A padded history of 50 items takes 400 bytes for every field; with these a sample takes 16.
"""

import torch
from recbole.data.interaction import Interaction

from recbole_sam.data.padded import padded


class HistoryColumn:
    """A field of the histories of n samples, [n, L, ...] padded with zeros on the right.

    Rows of it are a column, too. Whatever else is asked of it, a tensor answers that is made for the purpose.

    Args:
        values (torch.Tensor): [interactions, ...], the field.
        starts, lengths (torch.LongTensor): [n], where each history begins there, and how long it is.
        width (int): L.
    """

    def __init__(self, values, starts, lengths, width):
        self._values, self._starts, self._lengths, self._width = values, starts, lengths, width

    def __getitem__(self, rows):
        return HistoryColumn(self._values, self._starts[rows], self._lengths[rows], self._width)

    def __len__(self):
        return len(self._starts)

    @property
    def dtype(self):
        """torch.dtype, which RecBole's build asks of every field."""
        return self._values.dtype

    def __getattr__(self, name):
        if name.startswith("_"):  # asked for by copy and pickle, before there is anything
            raise AttributeError(name)
        return getattr(self.tensor(), name)

    def tensor(self):
        """The column as a torch.Tensor."""
        arrays = (each.numpy() for each in (self._values, self._starts, self._lengths))
        return torch.from_numpy(padded(*arrays, self._width))


class Samples(Interaction):
    """RecBole's ``Interaction`` with a :class:`HistoryColumn` for each field of the histories.

    A field is a tensor for whoever asks; rows are Samples again.

    Args:
        columns (dict): field to torch.Tensor [n, ...] or HistoryColumn of n samples.
    """

    def __init__(self, columns):
        self.interaction = columns
        self.length = max(len(column) for column in columns.values())

    def __getitem__(self, index):
        if isinstance(index, str):
            column = self.interaction[index]
            return column.tensor() if isinstance(column, HistoryColumn) else column
        if isinstance(index, int):
            return self.padded()[index]
        if not isinstance(index, slice):
            # A list, which RecBole makes of every index, takes half of the time.
            index = torch.as_tensor(index, dtype=None if len(index) else torch.long)
        return Samples({field: column[index] for field, column in self.interaction.items()})

    def padded(self, index=slice(None)):
        """Some samples, all by default, as RecBole makes them (Interaction)."""
        rows = self[index]
        return Interaction({field: rows[field] for field in rows})
