"""A model built from sizes and settings alone: what stands in for RecBole's Config and dataset."""

from typing import NamedTuple

import torch
from recbole.data.interaction import Interaction
from recbole.utils import get_model


class Settings(dict):
    """Settings by name, as a model asks RecBole's ``Config`` for them: None for one that is not there."""

    def __missing__(self, name):
        return None


class NoInterests(NamedTuple):
    """An interest table of nobody but padding."""

    width: int
    encoder: dict

    user_phrases = torch.zeros(1, 1, dtype=torch.int32)
    user_k = torch.zeros(1, dtype=torch.long)

    @property
    def embeddings(self):
        """[1, H], of no phrase."""
        return torch.zeros(1, self.width)


class NoTrainingItems:
    """The training items of nobody."""

    def __getitem__(self, users):
        return torch.zeros(len(users), 1, dtype=torch.int32)


class StandIn:
    """What a sequential model asks of its training data, with a single sample that says nothing.

    Args:
        settings (Settings): of the model.
        n_users (int), n_items (int): IDs, padding included.
        item_texts (ItemTexts, optional): vectors of the items.
        interest_width (int, optional): H of the interests, for a model that reads some.
    """

    def __init__(self, settings, n_users, n_items, item_texts=None, interest_width=None):
        self.uid_field, self.iid_field = settings["USER_ID_FIELD"], settings["ITEM_ID_FIELD"]
        self.user_num, self.item_num = n_users, n_items
        self.item_texts, self.training_items = item_texts, NoTrainingItems()
        self.interests = None
        if interest_width is not None:
            self.interests = NoInterests(interest_width, item_texts and item_texts.encoder)
        longest = settings["MAX_ITEM_LIST_LENGTH"]
        sequence = self.iid_field + settings["LIST_SUFFIX"]
        self.field2seqlen = {sequence: longest}
        one = torch.ones(1, dtype=torch.long)
        self.inter_feat = Interaction(
            {
                self.uid_field: torch.zeros(1, dtype=torch.long),
                sequence: torch.zeros(1, longest, dtype=torch.long),
                settings["ITEM_LIST_LENGTH_FIELD"]: one,
                self.iid_field: one,
            }
        )

    def num(self, field):
        """How many IDs a field has, padding included."""
        return {self.uid_field: self.user_num, self.iid_field: self.item_num}[field]


def build(settings, *sizes, **parts):
    """A model with random weights, on the CPU, in evaluation mode.

    Args:
        settings (dict): of the checkpoint.
        *sizes, **parts: as :class:`StandIn` takes them.

    Returns:
        SequentialRecommender
    """
    settings = Settings(settings)
    settings |= {"device": torch.device("cpu"), "compile": False}
    # the memory that RecBole's evaluation would take is no matter here
    settings["eval_args"] = {**settings["eval_args"], "mode": {}}
    state = torch.get_rng_state()
    try:
        return get_model(settings["model"])(settings, StandIn(settings, *sizes, **parts)).eval()
    finally:
        torch.set_rng_state(state)
