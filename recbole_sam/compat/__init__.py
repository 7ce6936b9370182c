"""RecBole 1.2.1 on today's Python stack.

One small named function an adjustment, each with the reason and the upstream issue beside it: ``stack`` for
newer libraries, ``distributed`` for several processes, ``devices`` for GPUs, ``times`` for the order of
interactions, ``names`` for the files a run writes, ``saved`` for pickles, ``literals`` for values of
settings, ``faults`` for RecBole's other faults. A condition beside it says whether it is needed here; only
then it changes RecBole (or what RecBole sees). RecBole's files are never copied and the installed package is
never written to.

Checked combinations stand in ``docs/compatibility.md``.
"""

# applied in this order
from recbole_sam.compat import stack, distributed, devices, times, names, saved, literals, faults  # isort: skip
from recbole_sam.compat.steps import STEPS, Adjustment, apply, report, version

__all__ = [
    "STEPS", "Adjustment", "apply", "devices", "distributed", "faults", "literals", "names", "report",
    "saved", "stack", "times", "version",
]  # fmt: skip
