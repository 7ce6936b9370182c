"""What all rows share: where and how they run, and what a row of the table is."""

import contextlib
import dataclasses
import os
from pathlib import Path

import threadpoolctl
import torch


@dataclasses.dataclass(frozen=True)
class Setup:
    """One run of the command.

    Attributes:
        folder (Path): for the invented datasets and stores; also the working directory.
        device (str): ``cpu`` or ``cuda``.
        threads (int): of torch and of numpy.
        seed (int): of all inputs.
        rounds (int): how often each rival has its turn.
        size (str): ``full``; ``guard``, large enough that ratios mean something; or ``quick``, to see that
            everything runs.
    """

    folder: Path
    device: str = "cpu"
    threads: int = 1
    seed: int = 2020
    rounds: int = 5
    size: str = "full"

    @property
    def clock(self):
        """Which seconds are measured: one thread's own on a CPU, which other work on the machine does not
        lengthen; else those on the wall."""
        return "CPU" if self.device == "cpu" and self.threads == 1 else "wall"

    def limits(self):
        """A context in which numpy keeps to ``threads``; torch keeps to them from now on."""
        torch.set_num_threads(self.threads)
        return threadpoolctl.threadpool_limits(self.threads)


@dataclasses.dataclass
class Row:
    """One target and what was measured.

    Attributes:
        group (str): the row group, as in ``--only``.
        name (str): of the row within its group.
        what (str): what is measured.
        target (str): in words.
        measured (str): in words.
        prediction (str): what was expected before the first measurement, and why.
        stayed (str): what became of the optimisation that the row is about.
        value (float or None): the number that is compared with ``limit``.
        limit (float or None): None where the issue sets no target, or none on this device.
        at_least (bool): whether ``value`` must be at least ``limit``, not at most.
        details (dict): medians, ratios, memory, sizes; JSON-able.
    """

    group: str
    name: str
    what: str
    target: str
    measured: str
    prediction: str
    stayed: str
    value: float | None = None
    limit: float | None = None
    at_least: bool = False
    details: dict = dataclasses.field(default_factory=dict)

    @property
    def behind(self):
        """How many times worse than the target: 1 or less is met; None without a target."""
        if self.limit is None:
            return None
        return self.limit / self.value if self.at_least else self.value / self.limit

    @property
    def met(self):
        """Whether the target is met; None without a target."""
        return None if self.behind is None else self.behind <= 1


def megabytes(size):
    """Bytes in words."""
    return f"{size / 1e6:,.0f} MB"


@contextlib.contextmanager
def working_in(folder):
    """RecBole writes into the working directory; it shall be a folder that nobody misses."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
