"""Memory as Linux counts it, or CUDA's allocator.

Linux's own counters of this program: those of ``getrusage`` begin with the peak of the process that
started it.
"""

import contextlib
import multiprocessing
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch

STATUS = Path("/proc/self/status")
RESET = Path("/proc/self/clear_refs")
RESET_PEAK = "5"  # see proc(5)
SAMPLING_SECONDS = 0.005
LIBRARIES = ["recbole_sam", "recbole_sam.models.sam", "recbole.trainer", "torch._dynamo"]
"""What a fresh process has imported: once for all of them, which takes seconds. The last is what torch itself
imports for the first optimizer, 66 MB with sympy."""


def held(field):
    """Bytes this process holds: ``VmRSS`` all, ``RssAnon`` without pages of files, ``VmHWM`` the peak."""
    [line] = [line for line in STATUS.read_text().splitlines() if line.startswith(f"{field}:")]
    return int(line.split()[1]) * 1024


def peak_of(function, device="cpu"):
    """By how many bytes a call's peak is above what was held before it."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        function()
        return torch.cuda.max_memory_allocated() - before
    RESET.write_text(RESET_PEAK)
    before = held("VmRSS")
    function()
    return held("VmHWM") - before


@contextlib.contextmanager
def peak_without_files():
    """The largest ``RssAnon`` within, of which Linux keeps no peak; sampled. Yields a list of one number."""
    peak, done = [held("RssAnon")], threading.Event()

    def sample():
        while not done.is_set():
            peak[0] = max(peak[0], held("RssAnon"))
            time.sleep(SAMPLING_SECONDS)

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def alone(function, setup, *args):
    """What ``function(setup, *args)`` returns in a fresh process without data (a CPU: with libraries)."""
    if setup.device == "cuda":  # does not survive a fork, and an imported library may have looked for GPUs
        context = multiprocessing.get_context("spawn")
    else:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(LIBRARIES)
    with ProcessPoolExecutor(1, context) as process:
        return process.submit(function, setup, *args).result()
