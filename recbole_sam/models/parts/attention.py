"""SAM's two attentions on plain tensors.

Shapes: B users, L history length, K interests, d dimension. Masks are bool, True where there is something
real.
"""

import math

import torch
from torch import nn


def recency_positions(lengths, max_length):
    """Positions counted from the newest item of histories that are padded on the right.

    The newest item has position 0 whatever the length (the paper pads on the left, RecBole on the right,
    issue #1094), so a position means the same age for every user.

    Args:
        lengths (torch.LongTensor): [B], number of real items.
        max_length (int): L.

    Returns:
        torch.LongTensor: [B, L]; 0 at the padded places, where a mask must hide it.
    """
    steps = torch.arange(max_length, device=lengths.device)
    return (lengths.unsqueeze(1) - 1 - steps).clamp(min=0)


def interest_aware_attention(queries, keys, values, mask):
    """One view of the history for each interest (paper, interest-guided representation enhancement).

    Args:
        queries (torch.Tensor): [B, K, d], projected interests.
        keys (torch.Tensor): [B, L, d], item plus position embeddings.
        values (torch.Tensor): [B, L, d], item embeddings without positions, so views stay in the ID space.
        mask (torch.BoolTensor): [B, L], real positions; at least one a user.

    Returns:
        tuple: views [B, K, d] and weights [B, K, L], which are 0 at padded positions and sum to 1.
    """
    scores = queries @ keys.transpose(1, 2) / math.sqrt(queries.shape[-1])
    weights = scores.masked_fill(~mask.unsqueeze(1), -math.inf).softmax(dim=-1)
    return weights @ values, weights


def prefix_attention(queries, items, positions):
    """:func:`interest_aware_attention` for all prefixes of histories at once.

    With the keys ``items + positions``, the score of item i for the prefix that ends at t is
    q . x_i + q . p_(t - i): each product is computed once a history instead of once a prefix.

    Args:
        queries (torch.Tensor): [B, K, d].
        items (torch.Tensor): [B, L, d], padded on the right.
        positions (torch.Tensor): [L or more, d], of the newest item first.

    Returns:
        torch.Tensor: [B, L, K, d], the views of the prefix that ends at each item.
    """
    length = items.shape[1]
    scale = math.sqrt(queries.shape[-1])
    by_item = queries @ items.transpose(1, 2) / scale  # [B K L]
    by_age = queries @ positions[:length].T / scale  # [B K L]
    # Row t of the last two dimensions is by_age[t], ..., by_age[0], then what is masked.
    by_age = nn.functional.pad(by_age.flip(-1), (0, length - 1)).unfold(-1, length, 1).flip(-2)
    scores = by_item.unsqueeze(2) + by_age  # [B K L L]
    future = torch.ones(length, length, dtype=torch.bool, device=items.device).triu(1)
    weights = scores.masked_fill(future, -math.inf).softmax(dim=-1)
    return (weights @ items.unsqueeze(1)).transpose(1, 2)


def prefix_means(items):
    """The mean of each history [B, L, d] up to each of its items, [B, L, d]."""
    counts = torch.arange(1, items.shape[1] + 1, device=items.device)
    return items.cumsum(dim=1) / counts.unsqueeze(1)


def by_number(views, mask):
    """The views that count, of positions with equally many together: most have far fewer than the most.

    Args:
        views (torch.Tensor): [B, L, K, d].
        mask (torch.BoolTensor): [B, L, K]; a position without any is left out.

    Returns:
        tuple: the groups (list of torch.Tensor, [n, k, d] with k = 1, 2, ...), and where each position, row
        by row, stands among their rows (torch.LongTensor, [positions]).
    """
    most, mask = mask.shape[-1], mask.flatten(0, 1)
    counts = mask.sum(dim=1)
    position = counts.argsort(stable=True)[int((counts == 0).sum()) :]
    row, interest = mask[position].nonzero(as_tuple=True)
    picked = views.flatten(0, 2).index_select(0, position[row] * most + interest)
    numbers, sizes = counts[position].unique_consecutive(return_counts=True)
    groups = picked.split((numbers * sizes).tolist())
    groups = [group.unflatten(0, (-1, k)) for group, k in zip(groups, numbers.tolist(), strict=True)]
    return groups, position.argsort()


def masked_mean(x, mask):
    """Mean over the real entries only.

    Args:
        x (torch.Tensor): [B, K, d].
        mask (torch.BoolTensor): [B, K], at least one real entry a user.

    Returns:
        torch.Tensor: [B, d].
    """
    weights = mask.unsqueeze(-1).to(x.dtype)
    return (x * weights).sum(dim=1) / weights.sum(dim=1)


class CrossInterestLayer(nn.Module):
    """One pre-norm Transformer layer over a user's K views.

    As published, only the query is normalised before the attention: ``x + Drop(MHA(LN(x), x, x))``, then
    ``x + Drop(FFN(LN(x)))``.
    """

    def __init__(self, hidden_size, inner_size, n_heads, hidden_dropout, attn_dropout, activation, eps):
        super().__init__()
        self.attention_norm = nn.LayerNorm(hidden_size, eps=eps)
        self.attention = nn.MultiheadAttention(hidden_size, n_heads, dropout=attn_dropout, batch_first=True)
        self.feed_forward_norm = nn.LayerNorm(hidden_size, eps=eps)
        self.feed_forward = nn.Sequential(
            nn.Linear(hidden_size, inner_size), activation, nn.Linear(inner_size, hidden_size)
        )
        self.dropout = nn.Dropout(hidden_dropout)

    def forward(self, views, mask):
        """Views [B, K, d] and their mask [B, K] to views [B, K, d]; padded views influence no real one."""
        attended, _ = self.attention(
            self.attention_norm(views), views, views, key_padding_mask=~mask, need_weights=False
        )
        views = views + self.dropout(attended)
        return views + self.dropout(self.feed_forward(self.feed_forward_norm(views)))
