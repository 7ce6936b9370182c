import math

import numpy as np

from recbole_sam.prepare.interactions import collect


def test_rows_become_columns_of_codes():
    packed = collect(iter([("u", "a", 5, 10), ("v", "b", math.nan, 11), ("u", "b", 3, 12)]))
    assert packed.users.tolist() == [0, 1, 0]
    assert packed.items.tolist() == [0, 1, 1]
    assert (packed.user_tokens, packed.item_tokens) == (["u", "v"], ["a", "b"])
    assert packed.times.tolist() == [10, 11, 12]
    assert np.isnan(packed.ratings).tolist() == [False, True, False]
    assert sum(column.itemsize for column in packed[:4]) == 24


def test_counts_are_of_what_is_selected():
    packed = collect([("u", "a", 5, 10), ("v", "b", 5, 11), ("u", "b", 3, 12)])
    assert packed.counts() == {"users": 2, "items": 2, "interactions": 3}
    assert packed.select([2]).counts() == {"users": 1, "items": 1, "interactions": 1}
    assert packed.select([2, 0]).times.tolist() == [12, 10]


def test_nothing():
    assert collect([]).counts() == {"users": 0, "items": 0, "interactions": 0}
