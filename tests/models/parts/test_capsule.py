import math

import pytest
import torch

from recbole_sam.models.parts import capsule
from recbole_sam.models.parts.capsule import best_matches, matches, nearest_interest, route, squash


def literal_squash(s):
    squared = sum(float(x) ** 2 for x in s)
    return s * (squared / (1 + squared)) / math.sqrt(squared)


def literal_route(votes, logits, items, capsules, iterations):
    """Routing of one user: votes[k][i] and logits[k][i], real items and own capsules by index."""
    logits = logits.clone()
    for iteration in range(iterations):
        result = {}
        for k in capsules:
            total = torch.zeros(votes.size(-1))
            for i in items:
                shares = sum(math.exp(logits[j, i]) for j in capsules)
                total += math.exp(logits[k, i]) / shares * votes[k, i]
            result[k] = literal_squash(total)
        if iteration < iterations - 1:
            for k in capsules:
                for i in items:
                    logits[k, i] += votes[k, i] @ result[k]
    return result


REAL = torch.tensor([[1, 1, 1, 1, 1], [0, 0, 1, 1, 1], [0, 0, 0, 0, 1]]).bool()
COUNTS = [3, 2, 1]


@pytest.mark.parametrize("own_votes", [True, False], ids=["own votes", "shared votes"])
@pytest.mark.parametrize("adaptive", [True, False])
@pytest.mark.parametrize("iterations", [1, 2, 3])
def test_route_equals_a_loop(own_votes, adaptive, iterations):
    torch.manual_seed(0)
    votes = torch.randn(3, 3 if own_votes else 1, 5, 4)
    logits = torch.randn(3, 5)
    counts = COUNTS if adaptive else [3, 3, 3]
    active = torch.arange(3) < torch.tensor(counts)[:, None]
    capsules = route(votes, logits, REAL, iterations, active if adaptive else None)
    for user, count in enumerate(counts):
        items = torch.where(REAL[user])[0].tolist()
        expected = literal_route(votes[user].expand(3, -1, -1), logits, items, range(count), iterations)
        for k in range(3):
            wanted = expected.get(k, torch.zeros(4))
            torch.testing.assert_close(capsules[user, k], wanted, rtol=1e-5, atol=1e-6)


def test_route_has_the_gradient_of_its_last_iteration():
    """The weights found by the earlier iterations count as constants."""
    torch.manual_seed(1)
    votes = torch.randn(1, 2, 4, 3, requires_grad=True)
    logits, real = torch.randn(2, 4), torch.ones(1, 4).bool()
    route(votes, logits, real, iterations=3).square().sum().backward()

    agreement = logits.clone()
    for _ in range(2):
        shares = agreement.softmax(dim=0)
        capsules = squash((shares[..., None] * votes[0].detach()).sum(dim=1))
        agreement += (votes[0].detach() * capsules[:, None]).sum(dim=-1)
    copy = votes.detach().clone().requires_grad_()
    last = squash((agreement.softmax(dim=0)[..., None] * copy[0]).sum(dim=1))
    last.square().sum().backward()
    torch.testing.assert_close(votes.grad, copy.grad)


def test_squash():
    torch.manual_seed(2)
    s = torch.randn(6, 4) * torch.tensor([1e-3, 0.1, 1, 1, 10, 1e3])[:, None]
    for before, after in zip(s, squash(s), strict=True):
        torch.testing.assert_close(after, literal_squash(before))
    assert (squash(s).norm(dim=-1) <= 1).all()


def test_squash_of_nothing_is_nothing_with_a_finite_gradient():
    s = torch.zeros(2, 3, requires_grad=True)
    out = squash(s)
    out.sum().backward()
    assert out.eq(0).all() and s.grad.isfinite().all()


@pytest.mark.parametrize("at_once", [capsule.ON_CPU, (2, 9, 15), (2, 2, 50), (1, 1, 1)])
@pytest.mark.parametrize("adaptive", [True, False])
def test_readouts_equal_a_loop(adaptive, at_once, monkeypatch):
    monkeypatch.setattr(capsule, "ON_CPU", at_once)
    torch.manual_seed(3)
    interests, items = torch.randn(3, 3, 4), torch.randn(7, 4)
    counts = COUNTS if adaptive else [3, 3, 3]
    active = torch.arange(3) < torch.tensor(counts)[:, None] if adaptive else None
    scores = best_matches(interests, items, active)
    assert scores.shape == (3, 7)
    for item in range(7):
        target = items[item].expand(3, -1)
        single = matches(interests, target, active)
        nearest = nearest_interest(interests, target, active)
        for user, count in enumerate(counts):
            dots = [(interests[user, k] @ items[item]).item() for k in range(count)]
            torch.testing.assert_close(scores[user, item].item(), max(dots), rtol=1e-5, atol=1e-6)
            torch.testing.assert_close(single[user, :count].tolist(), dots, rtol=1e-5, atol=1e-6)
            assert single[user, count:].eq(float("-inf")).all()
            assert torch.equal(nearest[user], interests[user, dots.index(max(dots))])


def test_which_interests_a_user_has_is_free():
    torch.manual_seed(4)
    interests, items = torch.randn(3, 4, 5), torch.randn(6, 5)
    active = torch.tensor([[False, True, False, True], [True, True, True, True], [False, False, True, False]])
    expected = [(own[has] @ items.T).amax(dim=0) for own, has in zip(interests, active, strict=True)]
    torch.testing.assert_close(best_matches(interests, items, active), torch.stack(expected))
