import numpy as np
import pandas as pd
import pytest

from recbole_sam.errors import SettingError
from recbole_sam.evaluation.statistics.groups import everyone, item_groups, parse_edges, user_groups


def table(history, popularity=None, trainings=1):
    """Rows of ``trainings`` trainings, one for each user."""
    users = [f"u{number}" for number in range(len(history))]
    popularity = history if popularity is None else popularity
    one = pd.DataFrame({"user": users, "history": history, "popularity": popularity})
    return pd.concat([one] * trainings, ignore_index=True)


def sizes(groups):
    return {group.name: int(group.rows.sum()) for group in groups}


def test_quarters_of_the_users_shortest_first():
    found = user_groups(table([12, 3, 4, 5, 6, 7, 8, 9], trainings=3))
    assert sizes(found) == {"history 3-4": 6, "history 5-6": 6, "history 7-8": 6, "history 9+": 6}
    assert {group.kind for group in found} == {"history"}


def test_a_user_counts_once_whatever_the_number_of_rows():
    few = table([3, 4, 5, 6])
    many = pd.concat([few, few[few["user"] == "u3"], few[few["user"] == "u3"]], ignore_index=True)
    assert [group.name for group in user_groups(many)] == [group.name for group in user_groups(few)]


@pytest.mark.parametrize(
    "history, expected",
    [
        ([3, 3, 3, 4, 5, 6], {"history 3": 3, "history 4-5": 2, "history 6": 1}),
        ([3, 3, 3, 3, 3, 9], {"history 3": 5, "history 4+": 1}),
        ([2, 3, 9, 9, 9, 9, 9, 9, 9], {"history 2-3": 2, "history 4+": 7}),
        ([3, 3, 3], {"history 3": 3}),
        ([], {}),
    ],
)
def test_equal_histories_are_never_torn_apart(history, expected):
    assert sizes(user_groups(table(history))) == expected


@pytest.mark.parametrize("seed", range(5))
def test_default_groups_hold_every_user_once(seed):
    ranks = table(np.random.default_rng(seed).geometric(0.3, size=500) + 2)
    for groups in (user_groups(ranks), item_groups(ranks, 6)):
        assert len(groups) > 1
        assert (np.sum([group.rows for group in groups], axis=0) == 1).all()


def test_edges_are_the_largest_of_each_group():
    ranks = table([4, 5, 8, 9, 20])
    assert sizes(user_groups(ranks, [4, 8])) == {"history <=4": 1, "history 5-8": 2, "history >=9": 2}
    assert sizes(user_groups(ranks, [4, 5])) == {"history <=4": 1, "history 5": 1, "history >=6": 3}
    assert sizes(item_groups(ranks, 9, [4])) == {"popularity <=4": 1, "popularity >=5": 4}


def test_groups_without_users_are_left_out():
    ranks = table([5, 6], popularity=[1, 2])
    assert sizes(user_groups(ranks, [4, 8])) == {"history 5-8": 2}
    assert sizes(item_groups(ranks, 9)) == {"tail items": 2}


def test_head_and_tail():
    found = item_groups(table([3, 3, 3], popularity=[30, 31, 90]), 31)
    assert [(group.kind, group.name, group.rows.tolist()) for group in found] == [
        ("popularity", "head items (20 % most popular)", [False, True, True]),
        ("popularity", "tail items", [True, False, False]),
    ]


def test_everyone():
    group = everyone(table([3, 4]))
    assert (group.kind, group.name, group.rows.tolist()) == ("all", "all users", [True, True])


def test_edges_are_read():
    assert parse_edges("4,8", "--user-groups") == [4, 8]
    assert parse_edges(" 4 , 8 ,16", "--user-groups") == [4, 8, 16]
    assert parse_edges(4, "--item-groups") == [4]


@pytest.mark.parametrize("wrong", ["", "4,", "8,4", "4,4", "0,4", "-1", "four", "4.5", "²"])
def test_wrong_edges_are_named_with_the_option(wrong):
    with pytest.raises(SettingError) as error:
        parse_edges(wrong, "--user-groups")
    assert str(error.value).startswith(f"--user-groups={wrong} must be ascending")
