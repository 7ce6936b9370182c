"""Where a history stands in its window.

RecBole pads histories on the RIGHT: item 0 of the window is the user's oldest item, and the newest
item's position changes with the history's length. Models whose positions or time transforms were
designed for the opposite convention (newest item always last) move the history first.
"""

import torch
from torch.nn import functional as F


def left_pad(seq, lengths, width=None):
    """Moves right-padded histories to the right end of a window: the newest item stands last.

    Only the first ``lengths[b]`` entries of a row are read: whatever stands in its padding is
    ignored. Of a history longer than the window its newest items are kept.

    Args:
        seq (torch.LongTensor): item ids, padded on the right, shape [B, L].
        lengths (torch.LongTensor): number of real items in each row, at most L, shape [B].
        width (int, optional): length of the new window. Default: L.

    Returns:
        torch.LongTensor: item ids, 0 (padding) on the left, shape [B, width].
    """
    width = seq.size(1) if width is None else width
    first = (lengths - width).unsqueeze(1)
    source = first + torch.arange(width, device=seq.device)
    return seq.gather(1, source.clamp(min=0)).masked_fill(source < 0, 0)


def causal_mask(real):
    """An additive attention mask: a position sees itself and the real positions before it.

    A padding position sees itself alone, so that no row is empty and none depends on the future.

    Args:
        real (torch.BoolTensor): True where a position holds an item, shape [B, L].

    Returns:
        torch.FloatTensor: 0 where attention is allowed, -inf elsewhere, shape [B, 1, L, L].
    """
    length = real.size(1)
    past = torch.ones(length, length, dtype=torch.bool, device=real.device).tril()
    itself = past & past.t()
    seen = (past & real.unsqueeze(1)) | itself
    mask = torch.zeros(seen.shape, device=real.device).masked_fill(~seen, float("-inf"))
    return mask.unsqueeze(1)


def real_items(item_seq, item_seq_len):
    """Histories padded on the right, with 0 beyond their ends whatever stands there.

    Args:
        item_seq (torch.LongTensor): [B, L].
        item_seq_len (torch.LongTensor): [B].

    Returns:
        torch.LongTensor: [B, L].
    """
    steps = torch.arange(item_seq.shape[1], device=item_seq.device)
    return torch.where(steps < item_seq_len.unsqueeze(1), item_seq, 0)


def right_pad(item_seq, item_seq_len, width):
    """:func:`real_items` in a window of another length.

    Args:
        item_seq (torch.LongTensor): [B, L].
        item_seq_len (torch.LongTensor): [B].
        width (int): W, at least L.

    Returns:
        torch.LongTensor: [B, W].
    """
    return F.pad(real_items(item_seq, item_seq_len), (0, width - item_seq.size(1)))
