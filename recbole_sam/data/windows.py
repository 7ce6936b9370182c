"""Training histories as windows: one row teaches all of its positions, not only the newest."""

import numpy as np
import torch
from recbole.data.interaction import Interaction

from recbole_sam.data.padded import padded


def targets_field(item_field):
    """The name of the field that holds a window's targets, for the name of the items' field."""
    return f"{item_field}_targets"


def cut(starts, lengths, width):
    """Cuts training histories into windows, so that every item but a history's first is a target once.

    A history with up to ``width`` targets is one window. Of a longer one the windows overlap by half: the
    last ends with the newest target, and each before it half a window earlier, so that every target is
    preceded by half a window of items, or by all that there are.

    Args:
        starts (numpy.ndarray): int64 [U], where each history begins among all items.
        lengths (numpy.ndarray): int64 [U], how many items it has.
        width (int): L, the most items that a window shows.

    Returns:
        tuple: the user's row, the first item and the number of items of each window, and how many of them
        only show what went before, as their targets are in the window before (numpy.ndarray, int64
        [windows] each).
    """
    step = (width + 1) // 2
    targets = np.maximum(lengths - 1, 0)
    more = -(-np.maximum(targets - width, 0) // step)
    count = np.where(targets > 0, more + 1, 0)
    user = np.repeat(np.arange(len(starts)), count)
    to_come = np.repeat(count.cumsum(), count) - np.arange(len(user)) - 1
    end = targets[user] - step * to_come
    begin = np.maximum(end - width, 0)
    first = to_come == count[user] - 1
    shown_before = np.where(first, 0, end - step - begin)
    return user, starts[user] + begin, end - begin, shown_before


def training_windows(sequences, spans, width, fields):
    """The windows of all training histories as RecBole's rows.

    Args:
        sequences (Sequences): of all users.
        spans (tuple): start and length of each training history, of ``Sequences.training_spans``.
        width (int): L.
        fields (dict): the names of the fields ``user``, ``item``, ``items`` and ``length``.

    Returns:
        Interaction: for each window the user, the items [L], their number, the target after each item [L],
        0 where it is none, and the last target.
    """
    user, starts, lengths, shown_before = cut(*spans, width)
    items = padded(sequences.items, starts, lengths, width).astype(np.int64)
    targets = padded(sequences.items, starts + 1, lengths, width).astype(np.int64)
    last = targets[np.arange(len(user)), lengths - 1]
    targets[np.arange(width) < shown_before[:, None]] = 0
    rows = {
        fields["user"]: sequences.users[user],
        fields["item"]: last,
        fields["items"]: items,
        fields["length"]: lengths,
        targets_field(fields["item"]): targets,
    }
    return Interaction({name: torch.from_numpy(values) for name, values in rows.items()})
