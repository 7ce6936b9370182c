import warnings

import numpy as np
import pytest
from scipy import stats

from recbole_sam.evaluation.statistics import significance
from recbole_sam.evaluation.statistics.significance import all_pairs, bootstrap_interval, holm, paired_p


def test_the_interval_is_scipys_plain_bootstrap():
    values = np.random.default_rng(1).random(200)
    plain = stats.bootstrap(
        (values,), np.mean, n_resamples=1000, method="percentile", random_state=np.random.default_rng(0)
    ).confidence_interval
    assert bootstrap_interval(values) == pytest.approx((plain.low, plain.high), abs=1e-12)


def test_the_interval_is_about_two_standard_errors():
    values = np.random.default_rng(2).normal(5, 2, size=4000)
    low, high = bootstrap_interval(values, resamples=4000)
    error = values.std(ddof=1) / np.sqrt(4000)
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)
    narrow = bootstrap_interval(values, confidence=0.5, resamples=4000)
    assert low < narrow[0] < narrow[1] < high


def test_rows_get_what_each_gets_alone():
    values = np.random.default_rng(3).random((2, 3, 50))
    low, high = bootstrap_interval(values, resamples=200)
    assert low.shape == high.shape == (2, 3)
    for row in np.ndindex(2, 3):
        assert (low[row], high[row]) == pytest.approx(bootstrap_interval(values[row], resamples=200))


def test_the_batch_bounds_memory_and_changes_nothing(monkeypatch):
    values = np.random.default_rng(4).random(50)
    at_once = bootstrap_interval(values)
    monkeypatch.setattr(significance, "_BATCH", 350)  # seven resamples
    assert bootstrap_interval(values) == pytest.approx(at_once, abs=1e-12)
    assert bootstrap_interval(values, seed=1) != pytest.approx(at_once, abs=1e-12)


def test_one_user_has_no_interval():
    assert np.isnan(bootstrap_interval([0.5])).all()
    assert np.isnan(bootstrap_interval(np.ones((3, 1)))[1]).tolist() == [True] * 3


def test_one_seed_each_is_the_paired_t_test():
    # differences 1, 2, 3: mean 2, deviation 1, t = 2 sqrt(3) = 3.4641 with 2 degrees of freedom; for those
    # p = 1 - t / sqrt(t^2 + 2) = 1 - sqrt(12 / 14)
    assert paired_p([[2.0, 4.0, 6.0]], [[1.0, 2.0, 3.0]]) == pytest.approx(1 - np.sqrt(12 / 14))
    a, b = np.random.default_rng(5).random((2, 1, 60))
    assert paired_p(a, b) == pytest.approx(stats.ttest_rel(a[0], b[0]).pvalue)


def test_users_and_seeds_by_hand():
    a, b = [[3.0, 4.0, 5.0], [4.0, 5.0, 9.0]], [[1.0, 2.0, 3.0], [2.0, 1.0, 3.0], [0.0, 1.0, 5.0]]
    # seed averages 3.5, 4.5, 7 and 1, 4/3, 11/3: differences 5/2, 19/6, 10/3, mean 3, variance 7/36
    # seed means 4, 6 and 2, 2, 2: variances 2 and 0
    users, seeds = 7 / 36 / 3, 2 / 2
    t = 3 / np.sqrt(users + seeds)
    expected = (users * 2 * stats.t.sf(t, 2) + seeds * 2 * stats.t.sf(t, 1)) / (users + seeds)
    assert paired_p(a, b) == pytest.approx(expected) == pytest.approx(paired_p(b, a))
    # many users that do not differ: what is left is Welch's test of the seeds' means
    many = [np.repeat(np.array(means)[:, None], 1000, axis=1) for means in ([4.0, 6.0], [2.0, 2.5, 3.0])]
    welch = stats.ttest_ind([4, 6], [2, 2.5, 3], equal_var=False).pvalue
    assert paired_p(*many) == pytest.approx(welch)


def test_one_seed_against_several_is_no_test():
    rng = np.random.default_rng(4)
    one, several = rng.random((1, 50)), rng.random((3, 50))
    assert np.isnan(paired_p(one, several)) and np.isnan(paired_p(several, one))
    p = all_pairs([one, several, several + 0.1, one + 1])
    assert np.argwhere(~np.isnan(p)).tolist() == [[1, 2], [2, 1]]
    assert p[1, 2] == paired_p(several, several + 0.1)  # Holm counts the one test
    assert not np.isnan(all_pairs([one, one + 1])[0, 1])


@pytest.mark.parametrize(
    "a, b, expected",
    [
        ([[0.1, 0.2, 0.3]], [[0.1, 0.2, 0.3]], 1),
        ([[0.1 + 0.2, 0.5]], [[0.3, 0.5]], 1),  # rounding is no difference
        ([[1, 1, 1]], [[0, 0, 0]], 0),
        ([[0.3, 0.4, 0.5]], [[0.2, 0.3, 0.4]], 0),
        ([[1, 1, 1], [1, 1, 1]], [[0, 0, 0], [0, 0, 0]], 0),  # seeds that change nothing
    ],
)
def test_differences_without_variance(a, b, expected):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert paired_p(a, b) == expected


def test_false_alarms_are_as_rare_as_promised():
    rng = np.random.default_rng(6)
    hits = rng.random((2, 2000, 1, 50)) < 0.3  # of two equally good models, one seed each
    found = [paired_p(a, b) < 0.05 for a, b in zip(*hits, strict=True)]
    assert np.mean(found) == pytest.approx(0.05, abs=0.015)


@pytest.mark.parametrize("seeds", [(2, 2), (3, 3), (3, 5), (5, 5)])
@pytest.mark.parametrize("own", [0.0, 0.5])
def test_the_luck_of_seeds_is_not_taken_for_the_model(seeds, own):
    """Two equal models, each seed of which is good or bad for all users, and which suit other users each."""
    rng, alone, both, strictly = np.random.default_rng(8), [], [], []
    for _ in range(600):
        users = rng.normal(size=400)
        a, b = (
            users
            + rng.normal(size=400) * own
            + rng.normal(size=(n, 1)) * 0.05
            + rng.normal(size=(n, 400)) * 0.4
            for n in seeds
        )
        alone.append(stats.ttest_rel(a.mean(axis=0), b.mean(axis=0)).pvalue < 0.05)
        p = paired_p(a, b)
        both.append(p < 0.05)
        strictly.append(p < 0.005)
    assert np.mean(alone) > 0.1
    for found, promised in ((both, 0.05), (strictly, 0.005)):
        assert np.mean(found) <= promised + 2 * np.sqrt(promised / 600)


def test_a_real_difference_is_found():
    rng, found = np.random.default_rng(9), []
    for _ in range(200):
        users = rng.normal(size=400)
        a, b = (users + rng.normal(size=(5, 1)) * 0.05 + rng.normal(size=(5, 400)) * 0.4 for _ in range(2))
        found.append(paired_p(a + 0.15, b) < 0.05)
    assert np.mean(found) > 0.9


def test_holm_by_hand():
    # sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1: 0.02, 0.03, 0.06, 0.04; the last is
    # raised to 0.06
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_is_capped_monotone_and_below_bonferroni():
    p = np.random.default_rng(7).random(20) ** 3
    adjusted = holm(p)
    assert (np.diff(adjusted[np.argsort(p)]) >= 0).all()
    assert (adjusted >= p).all() and (adjusted <= np.minimum(1, 20 * p)).all()
    assert holm([0.6, 0.7]).tolist() == [1, 1]
    assert holm([0.03]).tolist() == [0.03]
    np.testing.assert_array_equal(holm([0.01, np.nan, 0.04]), [0.02, np.nan, 0.04])
    assert holm([]).tolist() == []


def test_all_pairs_by_hand():
    rng = np.random.default_rng(0)
    values = [rng.normal(size=(seeds, 50)) + mean for seeds, mean in ((3, 0.0), (2, 0.2), (4, 0.9))]
    tests = holm([paired_p(values[one], values[two]) for one, two in ((0, 1), (0, 2), (1, 2))])
    p = all_pairs(values)
    assert np.isnan(p.diagonal()).all() and np.array_equal(p, p.T, equal_nan=True)
    assert [p[0, 1], p[0, 2], p[1, 2]] == tests.tolist()


@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_equal_models_are_seldom_told_apart(seeds):
    """Against the best of seven equal ones, which is chosen by the same data, 5 of 100 tables err at most."""
    rng, wrong = np.random.default_rng(1), 0
    for _ in range(400):
        of_seeds = rng.normal(size=(7, seeds, 1)) * (0.3 if seeds > 1 else 0)
        values = rng.normal(size=(7, 1, 60)) + of_seeds
        p = all_pairs(list(values))[values.mean(axis=(1, 2)).argmax()]
        wrong += bool(np.nanmin(p) < 0.05)
    assert wrong <= 400 * 0.05 + 2 * np.sqrt(400 * 0.05 * 0.95)
