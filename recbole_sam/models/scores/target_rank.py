"""The rank of a target among other items, the same wherever a model is measured."""


def rank(target, others):
    """The 1-based rank of a score among others. Ties count against it.

    A model that gives every item the same score must not look good; RecBole's top-k breaks ties by chance.

    Args:
        target (torch.Tensor): [B, 1].
        others (torch.Tensor): [B, n], without the target.

    Returns:
        torch.LongTensor: [B], from 1 to n + 1.
    """
    return 1 + (others >= target).sum(dim=1)


def rank_among_all(target, scores):
    """:func:`rank` among all items [B, N], of which the target is one."""
    return rank(target, scores) - 1
