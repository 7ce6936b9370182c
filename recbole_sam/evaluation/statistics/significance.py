"""How sure a difference between models is. Pure functions of values by seed and user."""

from itertools import combinations

import numpy as np
from scipy import special, stats

MIN_USERS = 30
"""With fewer users nothing is tested: the t-test's normal approximation of the mean is too rough."""

ALPHA = 0.05
"""A corrected p below this is called significant."""

_ROUNDING = 1e-12  # averaging the same values in another order moves them by about 1e-16
_BATCH = 4_000_000  # resampled values held at once, 32 MB


def bootstrap_interval(values, confidence=0.95, resamples=1000, seed=0):
    """The percentile bootstrap interval of the mean over users.

    Users are resampled, not values: the rows of a matrix (models, metrics) share their resamples, which
    costs hardly more than one row and gives each row what it would get alone.

    Args:
        values (array of float): [..., n], the last axis is the users.
        confidence (float): of the interval, two-sided.
        resamples (int): how often n users are drawn with replacement.
        seed (int): the same seed gives the same interval.

    Returns:
        tuple: (low, high), floats for a vector, else arrays [...]. NaN with fewer than two users.
    """
    values = np.asarray(values, dtype=float)
    shape, n = values.shape[:-1], values.shape[-1]
    if n < 2:
        return (np.nan, np.nan) if shape == () else (np.full(shape, np.nan), np.full(shape, np.nan))
    rows = values.reshape(-1, n)

    def means(drawn, axis=-1):
        """[rows, batch] means of the drawn users [batch, n]: how often each was drawn, times its values."""
        drawn = drawn.reshape(-1, n)
        cells = drawn + n * np.arange(len(drawn))[:, None]
        counts = np.bincount(cells.ravel(), minlength=drawn.size).reshape(drawn.shape)
        return rows @ counts.T.astype(float) / n

    interval = stats.bootstrap(
        (np.arange(n),),
        means,
        n_resamples=resamples,
        batch=max(1, _BATCH // n),
        vectorized=True,
        confidence_level=confidence,
        method="percentile",
        random_state=np.random.default_rng(seed),
    ).confidence_interval
    low, high = np.reshape(interval.low, shape), np.reshape(interval.high, shape)
    return (float(low), float(high)) if shape == () else (low, high)


def paired_p(a, b):
    """Two-sided t-test: how likely is such a difference of two models' means by chance of users and of seeds?

    The variance of the difference has two parts: that of the users, who are paired (all models are tested on
    the same ones; seeds averaged), as in the paired t-test, and that of the seeds' means, as in Welch's test.
    Each has its own degrees of freedom, so p is the mean of both tails, weighted by the parts; Cochran and
    Cox ("Experimental Designs", 1950) weigh critical values so. Satterthwaite's one number of degrees of
    freedom would believe two or three seeds that agree by luck. A test over users alone takes the luck of the
    seeds for the model: two parts of one model's seeds differ "significantly" in more than one of four cases
    (benchmarks/significance.md). What a seed's mean has of the users' luck counts twice, so this test errs on
    the side of caution where seeds matter little.

    Why t for the users: Urbano, Lima and Hanjalic ("Statistical Significance Testing in Information
    Retrieval: An Empirical Analysis of Type I, Type II and Type III Errors", SIGIR 2019) found it and the
    permutation test the most trustworthy for such data, before the Wilcoxon, sign and bootstrap tests.

    Args:
        a, b (array of float): [seeds, n], values of the same n >= 2 users; the seeds are each model's own.

    Returns:
        float: p; 1 where the means are equal, 0 where they differ and nothing varies. With one seed each it
        is about users alone; NaN when only one model has several: nobody knows how the other varies.
    """
    return _p(_averages(a), _averages(b))


def all_pairs(values):
    """:func:`paired_p` of every model with every other, corrected by :func:`holm` over all of them.

    Who is the best is seen in the same data: with the tests against it alone corrected, one of nine equal
    models is called worse in 13 of 100 tables instead of 5.

    Args:
        values (list of array of float): [seeds, n] for each of m >= 2 models, the same n >= 2 users.

    Returns:
        numpy.ndarray: [m, m], symmetric; NaN of a model with itself, and of models with one seed when any has
        several.
    """
    m, averages = len(values), [_averages(model) for model in values]
    enough = min(2, max(map(len, values)))
    tests = [
        _p(averages[one], averages[two]) if min(len(values[one]), len(values[two])) >= enough else np.nan
        for one, two in combinations(range(m), 2)
    ]
    p = np.full((m, m), np.nan)
    p[np.triu_indices(m, 1)] = holm(tests)
    return np.fmax(p, p.T)


def holm(p_values):
    """p values corrected for testing several at once, by the step-down method of Holm (1979).

    S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6.
    The smallest of m is multiplied by m, the next by m - 1, and so on; none falls below a smaller one's.

    Args:
        p_values (array of float): [m], in any order; NaN is no test.

    Returns:
        numpy.ndarray: [m], in the order given, at most 1.
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")[: np.count_nonzero(~np.isnan(p))]  # NaN is sorted last
    adjusted = np.full_like(p, np.nan)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)))
    return adjusted


def _averages(values):
    """Each user's mean over seeds [n] and each seed's mean over users [seeds], of values [seeds, n]."""
    values = np.asarray(values, dtype=float)
    return values.mean(axis=0), values.mean(axis=1)


def _p(a, b):
    """:func:`paired_p` of two models' :func:`_averages`."""
    difference, seeds = a[0] - b[0], (len(a[1]), len(b[1]))
    if min(seeds) == 1 < max(seeds):
        return np.nan
    mean, n = difference.mean(), len(difference)
    if abs(mean) < _ROUNDING:
        return 1.0
    of_users = difference.var(ddof=1) / n
    of_seeds, freedom = _seed_variance(a[1], b[1]) if min(seeds) > 1 else (0.0, 1)
    variance = of_users + of_seeds
    if variance < _ROUNDING**2:
        return 0.0
    tails = 2 * special.stdtr([n - 1, freedom], -abs(mean) / np.sqrt(variance))
    return float((of_users * tails[0] + of_seeds * tails[1]) / variance)


def _seed_variance(a, b):
    """What seeds add to the variance of the difference of two models, and its degrees of freedom (Welch).

    The seeds' means [seeds], at least two a model.
    """
    parts = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
    if sum(parts) == 0:
        return 0.0, 1
    return sum(parts), sum(parts) ** 2 / (parts[0] ** 2 / (len(a) - 1) + parts[1] ** 2 / (len(b) - 1))
