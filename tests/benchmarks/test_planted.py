"""Pseudo-users with planted interests, and what they find out about a grouping."""

import numpy as np
import pytest

from benchmarks import planted


@pytest.fixture
def categories():
    """Ten leaves of ten items, one of seven, and items without a category."""
    return [f"leaf {number % 10}" for number in range(100)] + ["small"] * 7 + [""] * 20


def test_halves_are_fixed_apart_and_of_leaves_with_eight_items(categories):
    first, second = planted.halves(categories)
    assert len(first) == len(second) == 5
    items = np.concatenate(first + second)
    assert sorted(items) == list(range(100))
    again = planted.halves(categories)[1]
    assert all((one == other).all() for one, other in zip(second, again, strict=True))


@pytest.mark.parametrize(("interests", "each"), [(1, 10), (2, 6), (3, 4), (4, 3), (5, 2)])
def test_a_pseudo_user_has_twelve_items_or_two_a_leaf(categories, interests, each):
    leaves, _ = planted.halves(categories)
    for user in planted.pseudo_users(leaves, interests, 20):
        assert np.bincount(user.labels).tolist() == [each] * interests
        assert len(set(user.items)) == len(user.items) == each * interests
        for item, label in zip(user.items, user.labels, strict=True):
            assert item in leaves[user.leaves[label]]
    assert (user.labels != np.sort(user.labels)).any() or interests == 1


def test_the_other_kinds(categories):
    leaves, _ = planted.halves(categories)
    vectors = np.zeros((len(categories), 2))
    vectors[:100, 0] = np.arange(100) % 10  # leaves on a line, seen from its middle
    vectors[:100, 1] = 5 - np.arange(100) % 10
    [user] = planted.pseudo_users(leaves, 2, 1, "unbalanced")
    assert sorted(np.bincount(user.labels)) == [1, 9]
    [user] = planted.pseudo_users(leaves, 2, 1, "noisy", vectors)
    noise = user.items[user.labels < 0]
    assert len(noise) == 3 and not set(noise) & set(np.concatenate([leaves[leaf] for leaf in user.leaves]))
    units = planted.centroids(leaves, vectors)
    for user in planted.pseudo_users(leaves, 2, 10, "overlapping", vectors):
        first, second = user.leaves
        likeness = units @ units[first]
        assert likeness[second] == np.delete(likeness, first).max()


def test_agreement_is_one_for_the_planted_groups_and_leaves_noise_out():
    user = planted.PseudoUser(np.arange(5), np.array([0, 1, 0, -1, 1]), np.array([3, 4]))
    assert planted.agreement(user, ((2, 0), (1, 4, 3))) == 1
    assert planted.agreement(user, ((0, 1, 2, 3, 4),)) == 0
    assert planted.agreement(user, ((0, 2, 1, 4, 3), (4, 1, 3, 0, 2))) == 1  # rankings, as of routing
