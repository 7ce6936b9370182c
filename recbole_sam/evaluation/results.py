"""A comparison as its readers get it: what every table, plot and page is made of."""

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from recbole_sam.evaluation.ranking.protocols import DEFAULT


@dataclass(frozen=True)
class Results:
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
        return self._parts.get((protocol, metric, kind), self.summary.iloc[:0])

    @cached_property
    def _parts(self):  # outputs ask for the same rows many times
        return dict(iter(self.summary.groupby(["protocol", "metric", "kind"], observed=True)))

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
