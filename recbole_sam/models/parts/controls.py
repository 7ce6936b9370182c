"""What SAM's interests are compared with: do they have to be the user's own, or there at all?"""

import torch

CONTROLS = ("shuffled", "constant", "absent")
CONSTANT = 4
"""Learned queries of the control ``constant``; ComiRec's number of interests."""


def controlled(control, interests, seed):
    """The interests of every user under a control.

    Args:
        control (str or None): ``shuffled``: those of another user with the same number of interests;
            ``constant`` and ``absent``: none; None: the user's own.
        interests (InterestTable): ``user_phrases`` [U, K] and ``user_k`` [U].
        seed (int): of the shuffling.

    Returns:
        tuple: ``user_phrases`` and ``user_k``, of the same shapes.
    """
    if control in ("constant", "absent"):
        return interests.user_phrases, torch.zeros_like(interests.user_k)
    if control == "shuffled":
        return interests.user_phrases[derangement(interests.user_k, seed)], interests.user_k
    return interests.user_phrases, interests.user_k


def derangement(groups, seed):
    """For each member of a group, another one of the same group; a group of one keeps its own.

    Args:
        groups (torch.LongTensor): [n], the group of each.
        seed (int): of the order.

    Returns:
        torch.LongTensor: [n], a permutation.
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(groups), generator=generator)
    order = order[groups[order].argsort(stable=True)]
    other = torch.empty_like(order)
    for group in order.split(groups.unique(return_counts=True)[1].tolist()):
        other[group] = group.roll(1)
    return other
