"""Interest groups by clustering."""

import numpy as np
import pytest
import torch
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from recbole_sam.interests.extract_settings import ExtractSettings
from recbole_sam.interests.grouping import clustering
from recbole_sam.interests.grouping.clustering import Clusterer, merge, sampled, scale
from recbole_sam.interests.grouping.routing import pad

KINDS, EACH, H = 8, 40, 32


@pytest.fixture(scope="module")
def vectors():
    """320 titles of 8 kinds, 40 of each, far from the origin as those of a BERT are."""
    draw = np.random.default_rng(0)
    centres = np.repeat(2 * draw.standard_normal((KINDS, H)), EACH, axis=0)
    return (5 + centres + draw.standard_normal((KINDS * EACH, H))).astype(np.float32)


def clusterer(vectors, **settings):
    return Clusterer(vectors, scale(vectors), ExtractSettings(grouping="clustering", **settings))


def of_kinds(*kinds):
    """A history with an item of each kind named."""
    return [kind * EACH + number for number, kind in enumerate(kinds)]


def padded(*histories):
    values = np.concatenate([np.asarray(history, int) for history in histories])
    return pad(values, np.cumsum([0, *map(len, histories)]))


def similarity(vectors, items):
    units = scale(vectors).units(vectors)[items].astype(np.float64)
    return (units @ units.T * clustering.STEP).round() / clustering.STEP


def test_groups_are_the_kinds_and_one_is_allowed(vectors):
    items = padded(of_kinds(3, 3, 3, 3), of_kinds(0, 5, 0, 5, 5), of_kinds(1, 2, 4, 6), of_kinds(7))
    found = clusterer(vectors)(items)
    assert [sorted(map(sorted, groups)) for groups in found] == [
        [[0, 1, 2, 3]], [[0, 2], [1, 3, 4]], [[0], [1], [2], [3]], [[0]],
    ]  # fmt: skip


def test_average_linkage_is_scipys(vectors):
    """The same division as SciPy's for random histories and several thresholds."""
    draw = np.random.default_rng(1)
    for threshold in (0.0, 0.1, 0.3):
        items = draw.choice(len(vectors), (30, 15), replace=True)
        items = np.stack([np.unique(row)[:10] for row in items])
        tables = np.stack([similarity(vectors, row) for row in items])
        lengths = torch.full((30,), 10)
        label = merge(torch.as_tensor(tables), lengths, lengths, threshold, k_max=10).numpy()
        for row, table in zip(label, tables, strict=True):
            tree = linkage(squareform(1 - table, checks=False), "average")
            theirs = fcluster(tree, 1 - threshold, "distance")
            assert ((row[:, None] == row) == (theirs[:, None] == theirs)).all()


def test_above_k_max_the_nearest_are_merged_and_k_min_stops(vectors):
    history = of_kinds(*range(KINDS), 0, 0)
    [three] = clusterer(vectors, k_max=3)(padded(history))
    assert len(three) == 3
    similar = similarity(vectors, history)
    tree = linkage(squareform(1 - similar, checks=False), "average")
    theirs = fcluster(tree, 3, "maxclust")
    assert {frozenset(group) for group in three} == {
        frozenset(np.flatnonzero(theirs == number)) for number in (1, 2, 3)
    }
    [two] = clusterer(vectors, k_min=2)(padded(of_kinds(3, 3, 3)))
    assert len(two) == 2
    [one] = clusterer(vectors, k_min=2)(padded([9, 9, 9]))  # one distinct title
    assert one == ((0, 1, 2),)


def test_no_result_depends_on_who_is_computed_together(vectors):
    draw = np.random.default_rng(2)
    histories = [draw.integers(0, len(vectors), draw.integers(1, 21)) for _ in range(200)]
    one = clusterer(vectors)
    together = one(padded(*histories))
    assert together == [one(padded(history))[0] for history in histories]
    for groups, history in zip(together, histories, strict=True):
        assert sorted(position for group in groups for position in group) == list(range(len(history)))


def test_heavy_and_new_groups_come_first_and_central_items_first_in_theirs(vectors):
    [large, new] = clusterer(vectors)(padded(of_kinds(0, 0, 0, 1), of_kinds(0, 1)))
    assert sorted(large[0]) == [0, 1, 2] and large[1] == (3,)
    assert new == ((1,), (0,))
    history = of_kinds(4, 4, 4, 4, 4)
    [[group]] = clusterer(vectors)(padded(history))
    central = similarity(vectors, history).sum(axis=1)
    assert list(group) == sorted(range(5), key=lambda position: -central[position])


def test_closeness_makes_more_groups(vectors):
    history = padded(of_kinds(0, 0, 1, 1, 2, 2, 3, 3))
    ks = [len(clusterer(vectors, closeness=closeness)(history)[0]) for closeness in (0.0, 0.25, 1.0)]
    assert ks == sorted(ks) and ks[0] < ks[1] < ks[2]


def test_the_scale_does_not_see_how_long_or_where_vectors_are(vectors):
    """A pretrained encoder's vectors lie far from the origin: without the mean all titles are alike."""
    one, other = scale(vectors), scale(7 * vectors + 100)
    assert one.random == pytest.approx(0, abs=0.02) and one.near > 0.5
    assert other.random == pytest.approx(one.random, abs=1e-4)
    assert other.near == pytest.approx(one.near, abs=1e-4)


def test_titles_without_a_known_word_and_tiny_catalogues():
    vectors = np.zeros((9, 4), np.float32)
    vectors[np.arange(8), np.arange(8) // 2] = 1
    [groups] = clusterer(vectors)(padded([8, 0, 8, 8]))
    assert sorted(map(sorted, groups)) == [[0, 2, 3], [1]]  # the same title is the same interest
    [alone] = clusterer(np.ones((1, 4), np.float32))(padded([0]))
    assert alone == ((0,),)
    assert clusterer(vectors)(np.full((2, 0), -1)) == [(), ()]


def test_a_large_catalogue_is_sampled_and_a_small_one_is_not(monkeypatch):
    monkeypatch.setattr(clustering, "SAMPLE", 5)
    titles = [f"t{number}" for number in range(9)]
    assert sampled(titles[:5]) == titles[:5]
    few = sampled(titles)
    assert len(few) == 5 and few == sorted(few) and few == sampled(titles)
