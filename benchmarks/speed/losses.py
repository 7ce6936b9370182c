"""SAM's losses over very many items: the chunked cross-entropy's memory, its time and sampled softmax's."""

import torch
from torch.nn import functional as F

from benchmarks.speed import memory
from benchmarks.speed.setup import Row
from benchmarks.speed.turns import take_turns
from recbole_sam.models.scores.linear_cross_entropy import linear_cross_entropy
from recbole_sam.models.scores.sampled_softmax import NegativeSampler, negative_weights, sampled_softmax

WIDTH, BATCH = 64, 2048
CHUNK, NEGATIVES = 128, 1280  # users at once, as docs/large-catalogues.md advises; the default of SAM.yaml
# items of the memory row, and of the time row, in which all scores of the batch are made at once
SIZES = {"full": (1_000_000, 100_000), "guard": (100_000, 50_000), "quick": (2_000, 1_000)}
LIMIT = 16e9


def measure(setup):
    """The rows of the group.

    Args:
        setup (Setup): of the run.

    Returns:
        list of Row: memory of the chunked loss; time of all losses.
    """
    many, fewer = SIZES[setup.size]
    peak = memory.alone(chunked_peak, setup, many)
    how = "torch's linear_cross_entropy"
    if not hasattr(torch.nn, "LinearCrossEntropyOptions"):
        how = "the scores computed again in the backward pass, as this torch has no linear_cross_entropy"
    on_cpu = " (the target is a GPU's; here the process's memory)" if setup.device == "cpu" else ""
    inputs = random_inputs(setup, fewer)
    times = take_turns(
        {
            "all at once": lambda: all_at_once(*inputs),
            "chunked": lambda: chunked(*inputs),
            "sampled": sampled_step(*inputs),
        },
        setup,
    )
    ratios = {name: value / times["all at once"] for name, value in times.items()}
    return [
        Row(
            group="losses",
            name="memory",
            what=f"cross-entropy over {many:,} items, batch {BATCH}, d {WIDTH}, loss_chunk_size {CHUNK}, "
            "with backward: memory",
            target=f"within 16 GB, no [B, N] scores kept{on_cpu}",
            measured=f"{peak / 1e9:.2f} GB above users and items; [B, N] scores alone would be "
            f"{4 * BATCH * many / 1e9:.2f} GB",
            prediction="0.85 GB, which docs/large-catalogues.md had measured by other means",
            stayed=f"{how}, as the setting loss_chunk_size (off by default): stayed",
            value=peak,
            limit=LIMIT,
            details={"peak bytes": peak},
        ),
        Row(
            group="losses",
            name="time",
            what=f"losses over {fewer:,} items, time / that of all scores at once",
            target="none",
            measured=f"chunked cross-entropy {ratios['chunked']:.2f} x, sampled softmax with logQ "
            f"({NEGATIVES} draws) {ratios['sampled']:.3f} x ({times['all at once']:.2f} s at once)",
            prediction="chunked 0.75 x, sampled 0.05 x, which docs/large-catalogues.md had measured",
            stayed="sampled softmax as loss_type SSM, which is another loss (off by default): stayed",
            details={"seconds": times, "ratios": ratios},
        ),
    ]


def random_inputs(setup, n_items):
    """Users and items [., d] with gradients, and targets."""
    torch.manual_seed(setup.seed)
    users = torch.randn(BATCH, WIDTH, device=setup.device, requires_grad=True)
    items = torch.randn(n_items, WIDTH, device=setup.device, requires_grad=True)
    return users, items, torch.randint(1, n_items, (BATCH,), device=setup.device)


def all_at_once(users, items, targets):
    backward(F.cross_entropy(users @ items.T, targets), users, items)


def chunked(users, items, targets):
    backward(linear_cross_entropy(users, items, targets, CHUNK), users, items)


def sampled_step(users, items, targets):
    """A function of one step: the sampler is made once, as a model does."""
    weights = negative_weights("uniform", targets, len(items))
    sampler = NegativeSampler(weights, NEGATIVES).to(users.device)

    def step():
        drawn = sampler()
        vectors = (F.embedding(chosen, items) for chosen in (targets, drawn))
        backward(sampled_softmax(users, *vectors, targets, drawn, sampler.log_q), users, items)

    return step


def backward(loss, users, items):
    torch.autograd.grad(loss, (users, items))


def chunked_peak(setup, n_items):
    """What a fresh process is asked: bytes of one chunked loss with its gradients."""
    with setup.limits():
        inputs = random_inputs(setup, n_items)
        return memory.peak_of(lambda: chunked(*inputs), setup.device)
