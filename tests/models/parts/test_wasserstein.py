import math

import torch
from torch.nn import functional as F

from recbole_sam.models.parts.wasserstein import all_distances, as_points, paired_distances, positive


def gaussians(count, width=5):
    return torch.randn(count, width), torch.rand(count, width) * 2 + 0.01


def literal_distance(mean_a, cov_a, mean_b, cov_b):
    means = sum((float(x) - float(y)) ** 2 for x, y in zip(mean_a, mean_b, strict=True))
    roots = sum((math.sqrt(x) - math.sqrt(y)) ** 2 for x, y in zip(cov_a, cov_b, strict=True))
    return means + roots


def test_distances_equal_a_loop():
    torch.manual_seed(0)
    mean_a, cov_a = gaussians(4)
    mean_b, cov_b = gaussians(6)
    a, b = as_points(mean_a, cov_a), as_points(mean_b, cov_b)
    distances = all_distances(a, b)
    assert distances.shape == (4, 6)
    for i in range(4):
        for j in range(6):
            expected = literal_distance(mean_a[i], cov_a[i], mean_b[j], cov_b[j])
            torch.testing.assert_close(distances[i, j].item(), expected, rtol=1e-5, atol=1e-5)
            paired = paired_distances(a[i], b[j]).item()
            torch.testing.assert_close(paired, expected, rtol=1e-5, atol=1e-5)


def test_distance_equals_the_general_formula():
    """With full matrices: |m - n|^2 + trace(A + B - 2 (A^1/2 B A^1/2)^1/2)."""
    torch.manual_seed(1)
    mean, cov = gaussians(2)
    a, b = cov[0].double().diag(), cov[1].double().diag()
    root_a = a.sqrt()
    values = torch.linalg.eigvalsh(root_a @ b @ root_a)
    expected = (mean[0] - mean[1]).square().sum() + (a + b).trace() - 2 * values.sqrt().sum()
    points = as_points(mean, cov)
    torch.testing.assert_close(paired_distances(*points).double(), expected)


def test_distance_is_a_metric_on_the_points():
    torch.manual_seed(2)
    points = as_points(*gaussians(8))
    distance = all_distances(points, points).sqrt()
    torch.testing.assert_close(distance, distance.t())
    assert distance.diag().max() < 2e-3  # the square root of the rounding error
    detours = distance[:, :, None] + distance[None]
    assert (distance[:, None] <= detours + 5e-3).all()


def test_positive_is_elu_plus_one():
    x = torch.linspace(-10, 10, 101)
    torch.testing.assert_close(positive(x), F.elu(x) + 1)


def test_tiny_variances_have_finite_gradients():
    x = torch.tensor([-1000.0, -100.0, -20.0, 0.0, 5.0], requires_grad=True)
    points = as_points(torch.zeros(5), positive(x))
    assert (points[5:] > 0).all()
    paired_distances(points, torch.full((10,), 2.0)).backward()
    assert x.grad.isfinite().all()
    assert x.grad[2:].ne(0).all()  # in single precision ELU(-20) + 1 is 0 and learns no more
