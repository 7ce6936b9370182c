import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recbole_sam.errors import SettingError
from recbole_sam.prepare.filters import Filters, apply, k_core
from recbole_sam.prepare.interactions import collect

NONE = Filters(k_core="none")


def tokens(interactions):
    return [
        (interactions.user_tokens[user], interactions.item_tokens[item])
        for user, item in zip(interactions.users, interactions.items, strict=True)
    ]


def block(users, items):
    """Every user with every item, in order."""
    return [(user, item, math.nan, time) for user in users for time, item in enumerate(items)]


def test_rows_come_out_in_time_order_with_ties_in_input_order():
    rows = [("u", "late", 5, 9), ("u", "tie1", 5, 3), ("v", "tie2", 5, 3), ("u", "early", 5, 1)]
    kept, steps = apply(collect(rows), NONE)
    assert [item for _, item in tokens(kept)] == ["early", "tie1", "tie2", "late"]
    assert steps[0] == {"step": "read", "users": 2, "items": 4, "interactions": 4}


def test_once_counts_the_raw_file_and_does_not_look_again():
    # d has 2 items of its own only; without d, item x falls to 4, yet x was counted with d.
    rows = [*block("abcd", "vwxyz"), ("e", "x", 1, 9), ("e", "rare", 1, 10)]
    rows = [row for row in rows if row[0] != "d" or row[1] == "x"]
    rows.append(("d", "rare", 1, 11))
    rows += block("f", "vwxyz")
    once, _ = apply(collect(rows), Filters(min_count=4))
    assert set(once.users) == {once.user_tokens.index(user) for user in "abcf"}
    iterated, _ = apply(collect(rows), Filters("iterated", min_count=4))
    assert tokens(once) == tokens(iterated)
    rows = [*block("abc", "vwxyz"), ("d", "v", 1, 9)]
    assert len(apply(collect(rows), Filters(min_count=4))[0].users) == 3
    assert len(apply(collect(rows), Filters("iterated", min_count=4))[0].users) == 0


def test_once_counts_exact_repeats_before_dropping_them():
    rows = block("abcde", "vwxyz") + [("f", "v", 4, 1)] * 5
    kept, steps = apply(collect(rows), Filters())
    assert [step["interactions"] for step in steps] == [30, 30, 26]
    kept, _ = apply(collect(rows), Filters("iterated"))
    assert kept.counts()["users"] == 5


def test_only_exact_repeats_are_dropped():
    nan = math.nan
    rows = [
        ("u", "i", 5, 1),
        ("u", "i", 5, 1),
        ("u", "i", 4, 1),
        ("u", "i", 5, 2),
        ("v", "i", 5, 1),
    ]
    rows += [("u", "i", nan, 1), ("u", "i", nan, 1)]
    assert len(apply(collect(rows), NONE)[0].users) == 5
    assert len(apply(collect(rows), NONE._replace(duplicates="keep"))[0].users) == 7


def test_first_or_last_of_a_pair():
    rows = [("u", "a", 1, 1), ("u", "b", 2, 2), ("u", "a", 3, 3), ("v", "a", 4, 4)]
    first, _ = apply(collect(rows), NONE._replace(repeats="first"))
    last, _ = apply(collect(rows), NONE._replace(repeats="last"))
    assert first.ratings.tolist() == [1, 2, 4]
    assert last.ratings.tolist() == [2, 3, 4]


def test_ratings_threshold_keeps_rows_without_rating():
    rows = [("u", "a", 3, 1), ("u", "b", 4, 2), ("u", "c", math.nan, 3)]
    kept, _ = apply(collect(rows), NONE._replace(min_rating=4))
    assert [item for _, item in tokens(kept)] == ["b", "c"]


def test_short_histories_go_last():
    rows = [*block("a", "xyz"), *block("b", "x")]
    kept, steps = apply(collect(rows), NONE._replace(min_length=2))
    assert {user for user, _ in tokens(kept)} == {"a"}
    assert steps[-1]["users"] == 1


def test_no_interactions_pass_through():
    kept, steps = apply(collect([]), Filters("iterated", repeats="last", min_length=3))
    assert len(kept.users) == 0
    assert steps[-1]["interactions"] == 0


@pytest.mark.parametrize(
    "wrong", [{"k_core": "twice"}, {"repeats": "some"}, {"min_count": 0}, {"min_length": 0}]
)
def test_senseless_filters_are_refused(wrong):
    with pytest.raises(SettingError, match=next(iter(wrong))):
        apply(collect([]), Filters(**wrong))


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=60), st.integers(1, 4))
def test_iterated_core_against_dropping_one_at_a_time(pairs, count):
    rows = collect((f"u{user}", f"i{item}", 1, 1) for user, item in pairs)
    left = list(range(len(pairs)))
    while True:
        poor = [
            row
            for row in left
            if sum(pairs[row][0] == pairs[other][0] for other in left) < count
            or sum(pairs[row][1] == pairs[other][1] for other in left) < count
        ]
        if not poor:
            break
        left.remove(poor[0])
    assert np.array_equal(k_core(rows, count), left)
