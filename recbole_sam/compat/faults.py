"""Errors of RecBole's own, on any stack."""

import functools
import importlib

from recbole_sam.compat.steps import step


@step(
    "metrics that need counts of the data (ItemCoverage, GiniIndex, AveragePopularity, TailPercentage) "
    "stop the run: RecBole moves the counts to the CPU as if they were tensors",
    "#2191, #2194, #2209",
)
def counts_stay_numbers():
    import torch
    from recbole.evaluator import Collector

    get_data_struct = Collector.get_data_struct

    @functools.wraps(get_data_struct)
    def data_with_counts(self):
        collected = self.data_struct._data_dict
        counts = {key: value for key, value in collected.items() if not isinstance(value, torch.Tensor)}
        for key in counts:
            del collected[key]
        struct = get_data_struct(self)
        for key, value in counts.items():
            struct.set(key, value)
            collected[key] = value
        return struct

    Collector.get_data_struct = data_with_counts


@step(
    "importing any sequential model of RecBole imports SINE, which turns on autograd's anomaly detection: "
    "a debugging aid that slows the training of all models",
    "none yet",
)
def anomaly_detection():
    import torch

    before = torch.is_anomaly_enabled()
    importlib.import_module("recbole.model.sequential_recommender.sine")
    torch.autograd.set_detect_anomaly(before)
