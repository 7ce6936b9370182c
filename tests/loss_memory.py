"""Peak memory and time of cross-entropy over many items: one training step of the loss, in this process.

    python tests/loss_memory.py ITEMS [CHUNK]

Without CHUNK, all scores of the batch at once. Prints JSON; the peak is that of the whole process, less what
it held before the loss (users, items, torch itself). Random users and items, batch 2048, width 64.
"""

import json
import sys
import time
from pathlib import Path

import torch
from torch.nn import functional as F

from recbole_sam.models.scores.linear_cross_entropy import linear_cross_entropy

BATCH, WIDTH = 2048, 64
STATUS = Path("/proc/self/status")


def peak():
    """The most memory this process ever held, in bytes.

    Linux's own count for this program: that of getrusage begins with the peak of the process that started it.
    """
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def measure(n_items, chunk_size, batch=BATCH, width=WIDTH):
    """One loss and its gradients.

    Args:
        n_items (int): N.
        chunk_size (int or None): users at once; None for all at once.
        batch (int): users.
        width (int): d.

    Returns:
        dict: ``loss``, ``seconds``, and ``gigabytes`` that the process's peak grew by.
    """
    torch.manual_seed(0)
    users = torch.randn(batch, width, requires_grad=True)
    items = torch.randn(n_items, width, requires_grad=True)
    targets = torch.randint(n_items, (batch,))
    before, start = peak(), time.perf_counter()
    if chunk_size is None:
        loss = F.cross_entropy(users @ items.T, targets)
    else:
        loss = linear_cross_entropy(users, items, targets, chunk_size)
    loss.backward()
    return {
        "items": n_items,
        "chunk": chunk_size,
        "loss": loss.item(),
        "seconds": time.perf_counter() - start,
        "gigabytes": (peak() - before) / 1e9,
    }


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]]
    print(json.dumps(measure(numbers[0], numbers[1] if len(numbers) > 1 else None)))
