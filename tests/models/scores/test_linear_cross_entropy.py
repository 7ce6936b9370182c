"""The chunked loss against torch's cross-entropy over all scores at once, and its memory."""

import json
import subprocess
import sys

import loss_memory
import pytest
import torch
from torch.nn import functional as F

from recbole_sam.models.scores.linear_cross_entropy import linear_cross_entropy, recomputed, torchs_own

BATCH, ITEMS, WIDTH = 23, 301, 8
CHUNKS = [1, 7, 23, 1000]  # one user, a chunk left over, the batch, more than there are

needs_torchs_own = pytest.mark.skipif(
    not hasattr(torch.nn, "LinearCrossEntropyOptions"), reason="this torch has no linear_cross_entropy"
)
LOSSES = [
    pytest.param(torchs_own, marks=needs_torchs_own),
    pytest.param(recomputed),
    pytest.param(linear_cross_entropy),
]


def tensors(dtype, device="cpu"):
    generator = torch.Generator().manual_seed(5)
    users = torch.randn(BATCH, WIDTH, dtype=torch.double, generator=generator)
    items = torch.randn(ITEMS, WIDTH, dtype=torch.double, generator=generator)
    targets = torch.randint(ITEMS, (BATCH,), generator=generator)
    users, items = (each.to(device, dtype).requires_grad_() for each in (users, items))
    return users, items, targets.to(device)


def value_and_gradients(loss, users, items):
    return loss.detach(), *torch.autograd.grad(loss * 3, (users, items))


def check(loss, dtype, chunk_size, device="cpu", **tolerance):
    users, items, targets = tensors(dtype, device)
    expected = value_and_gradients(F.cross_entropy(users @ items.T, targets), users, items)
    actual = value_and_gradients(loss(users, items, targets, chunk_size), users, items)
    torch.testing.assert_close(actual, expected, **tolerance)


@pytest.mark.parametrize("chunk_size", CHUNKS)
@pytest.mark.parametrize("loss", LOSSES)
def test_equals_cross_entropy(loss, chunk_size):
    check(loss, torch.double, chunk_size, rtol=1e-12, atol=1e-14)
    check(loss, torch.float, chunk_size, rtol=1e-5, atol=1e-6)


def test_gradcheck_of_our_own():
    users, items, targets = tensors(torch.double)
    users, items = (each[:6].detach().requires_grad_() for each in (users, items))
    assert torch.autograd.gradcheck(lambda u, i: recomputed(u, i, targets[:6] % 6, 4), (users, items))


@needs_torchs_own
def test_gradcheck_of_torchs_own():
    """Against finite differences; torch's gradcheck itself would take the gradient twice."""
    users, items, targets = tensors(torch.double)
    _, of_users, of_items = value_and_gradients(torchs_own(users, items, targets, 7), users, items)
    step = 1e-6
    with torch.no_grad():
        for each, gradient in ((users, of_users), (items, of_items)):
            for place in range(0, each.numel(), 37):
                values = []
                for sign in (1, -1):
                    each.view(-1)[place] += sign * step
                    values.append(3 * torchs_own(users, items, targets, 7))
                    each.view(-1)[place] -= sign * step
                slope = (values[0] - values[1]) / (2 * step)
                torch.testing.assert_close(gradient.view(-1)[place], slope, rtol=1e-5, atol=1e-8)


def test_older_torch_recomputes(monkeypatch):
    monkeypatch.delattr(torch.nn, "LinearCrossEntropyOptions", raising=False)
    monkeypatch.delattr(F, "linear_cross_entropy", raising=False)
    check(linear_cross_entropy, torch.double, 7, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("loss", LOSSES)
def test_without_gradients(loss):
    users, items, targets = tensors(torch.float)
    with torch.no_grad():
        value = loss(users, items, targets, 7)
    assert not value.requires_grad
    torch.testing.assert_close(value, F.cross_entropy(users @ items.T, targets).detach())


def test_stays_in_float32_under_autocast():
    users, items, targets = tensors(torch.float)
    expected = value_and_gradients(linear_cross_entropy(users, items, targets, 7), users, items)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = linear_cross_entropy(users, items, targets, 7)
    torch.testing.assert_close(value_and_gradients(loss, users, items), expected, rtol=0, atol=0)


@pytest.mark.skipif(not loss_memory.STATUS.exists(), reason="peak memory is read from Linux's /proc")
def test_the_scores_of_the_batch_are_never_there():
    """What a process takes for the loss: with chunks, less than the scores of the batch; without, more."""
    items = 40_000
    scores = loss_memory.BATCH * items * 4 / 1e9
    taken = {}
    for chunk in ([], ["64"]):
        run = subprocess.run(
            [sys.executable, loss_memory.__file__, str(items), *chunk],
            capture_output=True, text=True, check=True, timeout=120,
        )  # fmt: skip
        result = json.loads(run.stdout)
        taken[bool(chunk)] = result
    assert taken[False]["gigabytes"] > 2 * scores
    assert taken[True]["gigabytes"] < scores / 2
    assert taken[True]["loss"] == pytest.approx(taken[False]["loss"], rel=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("loss", LOSSES)
def test_equals_cross_entropy_on_gpu(loss):
    check(loss, torch.float, 7, "cuda", rtol=1e-4, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_million_items_within_16_gb_on_gpu():
    users = torch.randn(2048, 64, device="cuda", requires_grad=True)
    items = torch.randn(1_000_000, 64, device="cuda", requires_grad=True)
    torch.cuda.reset_peak_memory_stats()
    linear_cross_entropy(users, items, torch.arange(2048, device="cuda"), 128).backward()
    assert users.grad.isfinite().all() and items.grad.isfinite().all()
    assert torch.cuda.max_memory_allocated() < 16e9
