"""Time: rivals take turns in one process, so that whatever slows the machine slows all of them."""

import statistics
import time

import torch


def seconds(function, setup):
    """Seconds of one call, on the clock of the setup."""
    if setup.device == "cuda":
        torch.cuda.synchronize()
    clock = time.process_time if setup.clock == "CPU" else time.perf_counter
    start = clock()
    function()
    if setup.device == "cuda":
        torch.cuda.synchronize()
    return clock() - start


def take_turns(ways, setup, warm_up=True):
    """Median seconds of each way.

    Args:
        ways (dict): name to a function without arguments.
        setup (Setup): rounds and clock.
        warm_up (bool): whether each way runs once before it counts (allocations, caches, compilation).

    Returns:
        dict: name to median seconds.
    """
    if warm_up:
        for way in ways.values():
            way()
    times = {name: [] for name in ways}
    for _ in range(setup.rounds):
        for name, way in ways.items():
            times[name].append(seconds(way, setup))
    return {name: statistics.median(values) for name, values in times.items()}
