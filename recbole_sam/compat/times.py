"""The order of interactions: by their exact times, where RecBole sorts rounded ones."""

import functools

from recbole_sam.compat.steps import step


@step("RecBole sorts and splits by float32 times, in which moments of today within 128 seconds are equal: "
      "the order of the file decides, and a later item can stand in a history", "none yet")  # fmt: skip
def exact_times():
    import torch
    from recbole.data.dataset.dataset import Dataset

    to_interaction, build = Dataset._dataframe_to_interaction, Dataset.build

    @functools.wraps(to_interaction)
    def to_exact_interaction(self, data):
        made = to_interaction(self, data)
        column = _time_column(self, made)
        if column is not None and getattr(self, "_builds", False):
            made.interaction[self.time_field] = torch.tensor(data[self.time_field].to_numpy("float64"))
        return made

    @functools.wraps(build)
    def build_by_exact_times(self):
        self._builds = True  # float64 takes twice the memory, so only while rows are sorted and split
        try:
            parts = build(self)
        finally:
            del self._builds
        for dataset in (self, *parts):
            dataset.__dict__.pop("_builds", None)
            for field, values in dataset.inter_feat.interaction.items():
                if field == self.time_field and values.dtype == torch.float64:
                    dataset.inter_feat.interaction[field] = values.float()
        return parts

    Dataset._dataframe_to_interaction = to_exact_interaction
    Dataset.build = build_by_exact_times


def _time_column(dataset, interaction):
    """The times, a tensor [n], or None: no such field, or one that RecBole has cut into buckets."""
    if dataset.time_field not in interaction.interaction:
        return None
    column = interaction.interaction[dataset.time_field]
    return column if column.is_floating_point() and column.ndim == 1 else None


@step("removing repeated interactions leaves those of one moment in any order", "none yet")
def stable_duplicates():
    from recbole.data.dataset.dataset import Dataset

    remove = Dataset._remove_duplication

    @functools.wraps(remove)
    def remove_in_order(self):
        remove(self)
        if self.config["rm_dup_inter"] is not None and self.time_field in self.inter_feat:
            in_file = self.inter_feat.sort_index()  # the index still counts the rows of the file
            self.inter_feat = in_file.sort_values(by=self.time_field, kind="stable")

    Dataset._remove_duplication = remove_in_order
