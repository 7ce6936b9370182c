"""How sure a difference between models is. Pure functions of per-user values."""

import numpy as np
from scipy import stats

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
    """Two-sided paired t-test over users: how likely is such a difference of means by chance of users alone?

    Why t: Urbano, Lima and Hanjalic ("Statistical Significance Testing in Information Retrieval: An Empirical
    Analysis of Type I, Type II and Type III Errors", SIGIR 2019) found it and the permutation test the most
    trustworthy for such data, before the Wilcoxon, sign and bootstrap tests. It says nothing of the seeds.

    Args:
        a, b (array of float): [..., n], values of the same n >= 2 users, broadcast against each other.

    Returns:
        float or numpy.ndarray: p, [...]; 1 where the two are identical.
    """
    difference = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    difference[np.abs(difference) < _ROUNDING] = 0.0
    # without variance t is 0/0 or infinite; scipy would warn and give NaN
    constant = np.ptp(difference, axis=-1) < _ROUNDING
    p = np.where(difference[..., 0] == 0, 1.0, 0.0)
    if not constant.all():
        # paired: the test of a - b against 0, which is ttest_rel(a, b)
        p[~constant] = stats.ttest_rel(difference[~constant], 0 * difference[~constant], axis=-1).pvalue
    return float(p) if p.ndim == 0 else p


def all_pairs(values):
    """:func:`paired_p` of every model with every other, corrected by :func:`holm` over all of them.

    Who is the best is seen in the same data: with the tests against it alone corrected, one of nine equal
    models is called worse in 13 of 100 tables instead of 5.

    Args:
        values (array of float): [m, n], m >= 2 models, n >= 2 users.

    Returns:
        numpy.ndarray: [m, m], symmetric; NaN of a model with itself.
    """
    m = len(values)
    tests = [paired_p(values[one], values[one + 1 :]) for one in range(m - 1)]
    p = np.full((m, m), np.nan)
    p[np.triu_indices(m, 1)] = holm(np.concatenate(tests))
    return np.fmax(p, p.T)


def holm(p_values):
    """p values corrected for testing several at once, by the step-down method of Holm (1979).

    S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6.
    The smallest of m is multiplied by m, the next by m - 1, and so on; none falls below a smaller one's.

    Args:
        p_values (array of float): [m], in any order.

    Returns:
        numpy.ndarray: [m], in the order given, at most 1.
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted
