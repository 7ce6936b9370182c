"""Interactions as columns of numbers, tokens aside: 24 bytes a row, however long the ids."""

from array import array
from typing import NamedTuple

import numpy as np


class Interactions(NamedTuple):
    """Columns of n interactions.

    Attributes:
        users: int32 [n], positions in ``user_tokens``.
        items: int32 [n], positions in ``item_tokens``.
        ratings: float64 [n], NaN where there is none.
        times: float64 [n], seconds or any other growing number.
        user_tokens: list of str, may hold users without interactions after filtering.
        item_tokens: list of str, likewise.
    """

    users: np.ndarray
    items: np.ndarray
    ratings: np.ndarray
    times: np.ndarray
    user_tokens: list
    item_tokens: list

    def select(self, rows):
        """The interactions at ``rows`` (positions or a mask), in that order."""
        return self._replace(
            users=self.users[rows],
            items=self.items[rows],
            ratings=self.ratings[rows],
            times=self.times[rows],
        )

    def counts(self):
        """dict: how many users, items and interactions there are."""
        return {
            "users": int(np.count_nonzero(np.bincount(self.users))),
            "items": int(np.count_nonzero(np.bincount(self.items))),
            "interactions": len(self.users),
        }


def collect(rows):
    """Packs rows into columns as they stream by.

    Args:
        rows (iterable): tuples of user token, item token, rating (NaN for none) and time.

    Returns:
        Interactions: in the order of the rows.
    """
    user_codes, item_codes = {}, {}
    users, items = array("i"), array("i")
    ratings, times = array("d"), array("d")
    for user, item, rating, time in rows:
        users.append(user_codes.setdefault(user, len(user_codes)))
        items.append(item_codes.setdefault(item, len(item_codes)))
        ratings.append(rating)
        times.append(time)
    return Interactions(
        users=np.frombuffer(users, dtype=np.int32) if users else np.empty(0, np.int32),
        items=np.frombuffer(items, dtype=np.int32) if items else np.empty(0, np.int32),
        ratings=np.frombuffer(ratings) if ratings else np.empty(0),
        times=np.frombuffer(times) if times else np.empty(0),
        user_tokens=list(user_codes),
        item_tokens=list(item_codes),
    )
