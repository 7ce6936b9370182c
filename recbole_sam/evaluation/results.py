"""A comparison as its readers get it: what every table, plot and page is made of."""

from typing import NamedTuple

import pandas as pd


class Results(NamedTuple):
    """All that the outputs know; they compute nothing but the way it looks."""

    run: dict
    """``run.json``: dataset, split, budget, versions, machine, command."""
    trials: list
    """``trials.json``: a dict a trial, done or failed."""
    summary: pd.DataFrame
    """From ``tables.summary``."""
    costs: pd.DataFrame
    """From ``tables.costs``."""
    protocols: tuple
    """The protocols that are shown: ``full``, ``uni100`` or both."""
    metric: str
    """The metric of plots and of the short group tables, such as ``ndcg@20``."""

    def rows(self, protocol, metric, kind="all"):
        """The rows of the summary for one protocol, metric and kind of groups (a DataFrame)."""
        summary = self.summary
        return summary[(summary.protocol == protocol) & (summary.metric == metric) & (summary.kind == kind)]

    def models(self):
        """The models' labels, best first in the first protocol's main metric (list of str)."""
        rows = self.rows(self.protocols[0], self.metric)
        return rows.sort_values("mean", ascending=False, kind="stable").model.tolist()

    def name(self, label):
        """How readers see a model: a class that is our reading of a paper without code says so."""
        classes = {trial["model"]: trial["class"] for trial in self.trials}
        return f"{label} (our reading)" if classes.get(label) == "EIMF" else label

    def done(self):
        """The finished trials (list of dict)."""
        return [trial for trial in self.trials if trial["status"] == "done"]

    def failures(self):
        """Label and seed to reason (dict), of the trials that failed."""
        return {
            (trial["model"], trial["seed"]): trial["reason"]
            for trial in self.trials
            if trial["status"] != "done"
        }
