"""Softmax cross-entropy over very many items, without the scores of all items for a whole batch.

Shapes: B users, N items, d dimension. torch 2.13 brings the loss itself (``linear_cross_entropy``); an
older torch recomputes the scores of each chunk in the backward pass (``torch.utils.checkpoint``).
"""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint


def linear_cross_entropy(users, items, targets, chunk_size):
    """The mean of ``cross_entropy(users @ items.T, targets)``, with the scores of some users at a time.

    Memory beyond the arguments: chunk_size x N for scores and N x d for the gradient of the items, instead of
    several times B x N. The gradient can be taken once (no ``retain_graph``, no second derivatives).
    Computed in the precision of ``users`` and ``items`` also under autocast: torch's loss would come back
    in bfloat16, which cannot tell 13.80 from 13.82, and sum the items' gradients in it.

    Args:
        users (torch.Tensor): [B, d].
        items (torch.Tensor): [N, d], of the same dtype.
        targets (torch.LongTensor): [B], rows of ``items``.
        chunk_size (int): users at once, at least 1.

    Returns:
        torch.Tensor: the loss, a scalar.
    """
    chunked = torchs_own if hasattr(nn, "LinearCrossEntropyOptions") else recomputed
    with torch.autocast(users.device.type, enabled=False):
        return chunked(users, items, targets, chunk_size)


def torchs_own(users, items, targets, chunk_size):
    """:func:`linear_cross_entropy` by torch 2.13; the arguments and the result are the same."""
    options = nn.LinearCrossEntropyOptions(batch_chunk_size=chunk_size)
    return F.linear_cross_entropy(users, items, targets, options=options)


def recomputed(users, items, targets, chunk_size):
    """:func:`linear_cross_entropy` by any torch; the arguments and the result are the same."""
    chunks = zip(users.split(chunk_size), targets.split(chunk_size), strict=True)
    losses = [
        checkpoint(_summed, some, items, their, use_reentrant=False, preserve_rng_state=False)
        for some, their in chunks
    ]
    return torch.stack(losses).sum() / len(users)


def _summed(users, items, targets):
    return F.cross_entropy(users @ items.T, targets, reduction="sum")
