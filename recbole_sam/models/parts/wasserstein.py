"""Gaussians with diagonal covariance, and the 2-Wasserstein distance between them.

For diagonal covariances W2^2 = |mean_a - mean_b|^2 + |sqrt(cov_a) - sqrt(cov_b)|^2, which is the
squared Euclidean distance between the points [mean, sqrt(cov)]. Every function here but
``as_points`` works on such points, so all pairs of n and m Gaussians cost one matrix product and
never an n x m x d tensor.
"""

import torch

# Below it a variance counts as this: the root's slope at 0 is infinite.
SMALLEST_VARIANCE = 1e-24


def positive(x):
    """ELU(x) + 1, the map that makes a variance of any number (STOSA).

    Written as exp(x) below 0, because in single precision ELU(x) + 1 is exactly 0 from x = -17 on.

    Args:
        x (torch.FloatTensor): any numbers, any shape.

    Returns:
        torch.FloatTensor: positive numbers, same shape.
    """
    return torch.where(x > 0, x + 1, x.clamp(max=0).exp())


def as_points(mean, cov):
    """The points whose Euclidean distances are the Gaussians' Wasserstein distances.

    Args:
        mean (torch.FloatTensor): means, shape [..., d].
        cov (torch.FloatTensor): variances (the diagonal of the covariance), not negative, shape
            [..., d].

    Returns:
        torch.FloatTensor: shape [..., 2 d].
    """
    return torch.cat([mean, cov.clamp(min=SMALLEST_VARIANCE).sqrt()], dim=-1)


def paired_distances(a, b):
    """Squared 2-Wasserstein distance of each pair.

    Args:
        a, b (torch.FloatTensor): points, shape [..., 2 d] each.

    Returns:
        torch.FloatTensor: shape [...].
    """
    return (a - b).square().sum(dim=-1)


def all_distances(a, b):
    """Squared 2-Wasserstein distance from every point of ``a`` to every point of ``b``.

    Args:
        a (torch.FloatTensor): points, shape [..., n, 2 d].
        b (torch.FloatTensor): points, shape [..., m, 2 d].

    Returns:
        torch.FloatTensor: shape [..., n, m].
    """
    a_squared = a.square().sum(dim=-1).unsqueeze(-1)
    b_squared = b.square().sum(dim=-1).unsqueeze(-2)
    return (a_squared + b_squared - 2 * a @ b.transpose(-1, -2)).clamp(min=0)
