"""How many operators a training step starts: at usual sizes a GPU waits for launches, not for their work.

    python -m benchmarks.speed.operators

Counts those of forward, loss and backward on the code path that a GPU takes, which needs none. Views, which
start nothing, are left out; the optimizer, which is RecBole's for every model, too.
"""

import sys
import tempfile
from collections import Counter
from pathlib import Path

from torch.utils._python_dispatch import TorchDispatchMode

VIEWS = {
    "_reshape_alias", "_unsafe_view", "alias", "as_strided", "detach", "diagonal", "expand", "lift_fresh",
    "permute", "select", "slice", "split", "split_with_sizes", "squeeze", "t", "transpose", "unbind",
    "unsafe_split", "unsqueeze", "view",
}  # fmt: skip


class Operators(TorchDispatchMode):
    """Counts operators by name while it is entered."""

    def __init__(self):
        super().__init__()
        self.counts = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        if name not in VIEWS:
            self.counts[name] += 1
        return function(*args, **(kwargs or {}))


def of_step(model, batch):
    """The operators of a training step.

    Args:
        model (SequentialRecommender): on a CPU.
        batch (Interaction): training samples.

    Returns:
        collections.Counter: by name.
    """
    model.train()
    if hasattr(model, "compiled_forward"):  # SAM takes a GPU's path wherever the forward may be compiled
        model.compiled_forward = type(model).forward
    with Operators() as seen:
        model.calculate_loss(batch).backward()
    return seen.counts


def main():
    """Prints the counts of SAM and of RecBole's SASRec."""
    from benchmarks.speed import training, workload
    from benchmarks.speed.setup import Setup, working_in

    with tempfile.TemporaryDirectory() as folder, working_in(folder):
        setup = Setup(Path(folder), size="quick")
        shop = workload.SHOPS["quick"]
        part = workload.parts(setup, shop)[0]
        batch = workload.random_batch(part, 256, setup.seed, "cpu")
        for name in ("SAM", "SASRec"):
            counts = of_step(training.trainer(name, setup, shop, part).model, batch)
            often = ", ".join(f"{operator} {count}" for operator, count in counts.most_common(8))
            print(f"{name}: {counts.total()} operators, most often {often}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
