"""A comparison as its readers get it: what every table, plot and page is made of."""

from typing import NamedTuple

import pandas as pd

from recbole_sam.evaluation.ranking.protocols import DEFAULT


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
    """The protocols that are shown: some of ``full``, ``masked`` and ``uni100``."""
    metric: str
    """The metric of plots and of the short group tables, such as ``ndcg@20``."""

    def rows(self, protocol, metric, kind="all"):
        """The rows of the summary for one protocol, metric and kind of groups (a DataFrame)."""
        summary = self.summary
        return summary[(summary.protocol == protocol) & (summary.metric == metric) & (summary.kind == kind)]

    def models(self, protocol=None):
        """The models' labels, best first in the first protocol's main metric (list of str).

        Args:
            protocol (str, optional): only models with ranks of it; older trials kept no masked ones.
        """
        found = {}
        for name in self.protocols:
            rows = self.rows(name, self.metric).sort_values("mean", ascending=False, kind="stable")
            found |= dict.fromkeys(rows.model)
        if protocol is None:
            return list(found)
        ranked = set(self.rows(protocol, self.metric).model)
        return [label for label in found if label in ranked]

    def chosen_by(self):
        """The protocol that chose the best epochs (str)."""
        return self.run.get("chosen_by", DEFAULT)

    def left_out(self):
        """How many test targets masked ranking leaves out (int)."""
        rows = self.rows("masked", self.metric)
        return self.run["test_users"] - int(rows.users.iloc[0]) if len(rows) else 0

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
