"""Learning from all positions of a history in one forward (``train_targets: sequence``)."""

import torch

from recbole_sam.data.windows import targets_field
from recbole_sam.errors import SettingError
from recbole_sam.models.parts.padding import real_items
from recbole_sam.models.scores.next_item import NextItemModel

SHORTEST = 4
"""Items of the shortest windows that are computed by themselves; from there on by doubles."""


class WholeSequenceModel(NextItemModel):
    """A :class:`NextItemModel` that can learn from whole windows: every position predicts its next item.

    A subclass gives the users of all positions by :meth:`represent_all`, each from the items up to there
    alone. The loss is that of :class:`NextItemModel` over the prefixes, which end at these positions, so
    what is added to scores sees the items before a target and no others.
    """

    learns_sequences = True

    @classmethod
    def check_settings(cls, config):
        super().check_settings(config)
        if config["train_targets"] == "sequence" and config["loss_type"] not in ("CE", "SSM"):
            raise SettingError(
                f"train_targets 'sequence' draws no negatives for {config['loss_type']}: set loss_type to "
                "CE, or train_targets to 'all'."
            )

    def represent_all(self, windows, item_vectors, counted):
        """The users [T, d] that the counted positions of windows stand for, row by row.

        Args:
            windows (dict): as an interaction, cut to the longest.
            item_vectors (torch.Tensor or SomeItems): [N, d], for :meth:`look_up`.
            counted (torch.BoolTensor): [B, L], True at T positions.
        """
        raise NotImplementedError

    def calculate_loss(self, interaction):
        targets = targets_field(self.ITEM_ID)
        if targets not in interaction:
            return super().calculate_loss(interaction)
        items = self.vectors_to_learn(interaction[self.ITEM_SEQ], interaction[targets])
        lengths = interaction[self.ITEM_SEQ_LEN]
        order = lengths.argsort(stable=True)
        fields = (self.ITEM_SEQ, self.ITEM_SEQ_LEN, self.USER_ID, targets)
        rows = {field: interaction[field][order] for field in fields if field in interaction}
        users = []
        for start, end, longest in groups(lengths[order].tolist()):
            some = {field: values[start:end] for field, values in rows.items()}
            some = {
                field: values[:, :longest] if values.dim() > 1 else values for field, values in some.items()
            }
            users.append(self.represent_all(some, items, some[targets] > 0))
        users = torch.cat(users).to(items.dtype)  # under autocast a layer may leave them in another
        return self.next_item_loss(users, items, self._prefixes(rows, targets))

    def _prefixes(self, rows, targets):
        """The counted positions of windows as samples: each the items up to there, and its target."""
        width = int(rows[self.ITEM_SEQ_LEN][-1])
        row, step = (rows[targets] > 0).nonzero(as_tuple=True)
        samples = {
            self.ITEM_SEQ: real_items(rows[self.ITEM_SEQ][row, :width], step + 1),
            self.ITEM_SEQ_LEN: step + 1,
            self.POS_ITEM_ID: rows[targets][row, step],
        }
        if self.USER_ID in rows:
            samples[self.USER_ID] = rows[self.USER_ID][row]
        return samples


class CausalModel(WholeSequenceModel):
    """A :class:`WholeSequenceModel` with one state a position, the newest of which is the user."""

    def all_states(self, item_seq, item_seq_len, item_vectors):
        """The states [B, L, d] after each item, of which each reads the items up to its own.

        Args:
            item_seq (torch.LongTensor): [B, L], histories, padded on the right; what stands at padded places
                is read by states there only.
            item_seq_len (torch.LongTensor): [B], at least 1.
            item_vectors (torch.Tensor): [N, d], of :meth:`item_vectors`.
        """
        raise NotImplementedError

    def forward(self, item_seq, item_seq_len, item_vectors):
        return self.gather_indexes(self.all_states(item_seq, item_seq_len, item_vectors), item_seq_len - 1)

    def represent_all(self, windows, item_vectors, counted):
        states = self.all_states(windows[self.ITEM_SEQ], windows[self.ITEM_SEQ_LEN], item_vectors)
        return at(states, counted)


def groups(lengths):
    """Windows of about the same length, to be computed together: most are far shorter than the longest.

    Args:
        lengths (list of int): ascending.

    Returns:
        list of tuple: the first row, the end and the longest window of each group; its shortest is longer
        than half of that, or than nothing up to :data:`SHORTEST`.
    """
    found, start = [], 0
    limit = SHORTEST
    for end, length in enumerate([*lengths, float("inf")]):
        if length > limit:
            if end > start:
                found.append((start, end, lengths[end - 1]))
            start = end
            while limit < length and end < len(lengths):
                limit *= 2
    return found


def at(values, counted):
    """The entries [T, ...] of values [B, L, ...] where counted [B, L] is True, row by row."""
    return values.flatten(0, 1).index_select(0, counted.flatten().nonzero().squeeze(1))
