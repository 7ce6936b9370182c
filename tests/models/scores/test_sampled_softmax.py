"""Sampled softmax: its draws and their probabilities, its corrections, its limit, the full softmax."""

import math

import pytest
import torch
from torch.nn import functional as F

from recbole_sam.models.scores.sampled_softmax import NegativeSampler, negative_weights, sampled_softmax

BATCH, ITEMS, WIDTH = 32, 60, 6


@pytest.fixture
def tensors():
    generator = torch.Generator().manual_seed(7)
    users = torch.randn(BATCH, WIDTH, generator=generator, dtype=torch.double).requires_grad_()
    items = torch.randn(ITEMS, WIDTH, generator=generator, dtype=torch.double).requires_grad_()
    return users, items, torch.randint(1, ITEMS, (BATCH,), generator=generator)


def zipf():
    """Popularity that falls with the item's number; item 0 is the padding."""
    weights = 1 / torch.arange(ITEMS, dtype=torch.double).clamp(min=1)
    weights[0] = 0
    return weights


def full_softmax(users, items, targets):
    """Over all items but the padding, which is no candidate."""
    return F.cross_entropy(users @ items[1:].T, targets - 1)


def loss_of(users, items, targets, negatives, log_q):
    return sampled_softmax(users, items[targets], items[negatives], targets, negatives, log_q)


def gradients(loss, users, items):
    return torch.autograd.grad(loss, (users, items))


def test_popularity_counts_the_training_targets():
    weights = negative_weights("popularity", torch.tensor([3, 1, 3, 3]), 6)
    assert weights.tolist() == [0, 1, 0, 3, 0, 0]


def test_uniform_is_all_but_the_padding():
    assert negative_weights("uniform", torch.tensor([3]), 4).tolist() == [0, 1, 1, 1]


def test_draws_are_distinct_and_as_likely_as_log_q_says():
    torch.manual_seed(11)
    rounds, draws = 4000, 20
    sampler = NegativeSampler(zipf(), draws)
    counts = torch.zeros(ITEMS)
    for _ in range(rounds):
        drawn = sampler()
        assert len(drawn.unique()) == len(drawn) <= draws
        counts[drawn] += 1
    q = sampler.log_q.exp()
    deviation = (q * (1 - q) / rounds).sqrt()
    assert counts[0] == 0 and q[0] == 0
    assert ((counts / rounds - q).abs() <= 5 * deviation).all()
    assert q[1] > 0.9 and q[-1] < 0.1  # both ends of the distribution are tested


def test_items_without_weight_are_never_drawn():
    sampler = NegativeSampler(torch.tensor([0.0, 2, 0, 1, 0]).double(), 500)
    assert sampler().tolist() == [1, 3]


def test_draws_follow_the_seed():
    sampler = NegativeSampler(zipf(), 10)
    torch.manual_seed(3)
    first, second = sampler(), sampler()
    torch.manual_seed(3)
    assert torch.equal(sampler(), first)
    assert not torch.equal(first, second)


def test_nothing_of_it_is_saved():
    assert NegativeSampler(zipf(), 10).state_dict() == {}


def test_loss_is_its_formula(tensors):
    users, items, targets = tensors
    negatives = torch.tensor([2, 5, 9, 40])
    targets[0], log_q = 5, zipf().div(2).log()  # an accidental hit
    expected = 0
    for user, target in zip(users, targets.tolist(), strict=True):
        terms = [(user @ items[i] - log_q[i]).detach() for i in [target, *negatives.tolist()]]
        hit = [False] + [i == target for i in negatives.tolist()]
        total = sum(math.exp(term) for term, is_hit in zip(terms, hit, strict=True) if not is_hit)
        expected += (math.log(total) - terms[0].item()) / BATCH
    actual = loss_of(users, items, targets, negatives, log_q)
    assert actual.item() == pytest.approx(expected, rel=1e-10)


def test_all_items_as_negatives_are_the_full_softmax(tensors):
    users, items, targets = tensors
    log_q = torch.zeros(ITEMS, dtype=torch.double)
    loss = loss_of(users, items, targets, torch.arange(1, ITEMS), log_q)
    expected = full_softmax(users, items, targets)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(gradients(loss, users, items), gradients(expected, users, items))


def test_more_draws_come_closer_to_the_full_softmax(tensors):
    users, items, targets = tensors
    expected = full_softmax(users, items, targets)
    exact = torch.cat([each.flatten() for each in gradients(expected, users, items)])
    torch.manual_seed(13)
    far = []
    for draws in (10, 100, 1000, 100_000):
        sampler = NegativeSampler(zipf(), draws)
        off = []
        for _ in range(20):
            loss = loss_of(users, items, targets, sampler(), sampler.log_q)
            gradient = torch.cat([each.flatten() for each in gradients(loss, users, items)])
            off.append(((gradient - exact).norm() / exact.norm()).item())
        far.append(sum(off) / len(off))
    assert far == sorted(far, reverse=True)
    assert far[-1] < 1e-5
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=0)


def test_correction_undoes_the_popularity_of_the_negatives():
    """Items that are equally often the target get equal scores, however often they are negatives.

    One user's scores are learned freely, so a wrong correction would show as scores that follow log Q.
    """
    torch.manual_seed(17)
    n_items, popular = 9, torch.tensor([0.0, 8, 8, 8, 8, 1, 1, 1, 1]).double()
    targets = torch.arange(1, n_items)
    user = torch.ones(len(targets), 1)

    def learned(correct):
        items = torch.zeros(n_items, 1, requires_grad=True)
        sampler = NegativeSampler(popular, 4)
        log_q = sampler.log_q if correct else torch.zeros(n_items)
        optimizer = torch.optim.Adam([items], lr=0.02)
        mean = torch.zeros(n_items)
        for step in range(2000):
            optimizer.zero_grad()
            loss_of(user, items, targets, sampler(), log_q).backward()
            optimizer.step()
            if step >= 1000:  # the noise of single steps averages out
                mean += items.detach()[:, 0] / 1000
        return (mean[1:5].mean() - mean[5:].mean()).abs().item()

    assert learned(correct=True) < 0.1
    assert learned(correct=False) > 0.5


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_cpu_equals_gpu(tensors):
    users, items, targets = tensors
    negatives, log_q = torch.arange(1, ITEMS, 2), zipf().log()
    expected = loss_of(users, items, targets, negatives, log_q)
    on_gpu = loss_of(*(each.cuda() for each in (users, items, targets, negatives, log_q)))
    torch.testing.assert_close(on_gpu.cpu(), expected)
    sampler = NegativeSampler(zipf(), 10).cuda()
    assert sampler().device.type == "cuda"
