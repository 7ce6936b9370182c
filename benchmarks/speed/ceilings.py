"""What the machine can do at most, measured: the rate of matrix products and of copies."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed.turns import take_turns

MATRIX = {"cpu": 1024, "cuda": 8192}
COPIED = {"cpu": 2**26, "cuda": 2**30}  # numbers, far more than any cache holds


def operations(function):
    """Floating-point operations of the matrix products in a call, as torch counts them."""
    with FlopCounterMode(display=False) as counter:
        function()
    return counter.get_total_flops()


def matrix_rate(setup):
    """Operations a second of a large float32 product."""
    n = MATRIX[setup.device]
    a, b = torch.randn(2, n, n, device=setup.device)
    return 2 * n**3 / take_turns({"product": lambda: a @ b}, setup)["product"]


def copy_rate(setup):
    """Bytes a second that a large copy reads and writes."""
    a = torch.zeros(COPIED[setup.device], device=setup.device)
    b = torch.empty_like(a)
    return 2 * a.nbytes / take_turns({"copy": lambda: b.copy_(a)}, setup)["copy"]
