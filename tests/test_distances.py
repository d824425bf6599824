"""Closed forms, with tolerances derived. Seeds are fixed: a stated probability is a new seed's.

A statistic is compared with its expectation at five of its standard errors: a correct estimator
misses that with probability 6e-7 if it is normal.
"""

import numpy as np
import pytest
from scipy.special import gamma, hyp1f1

from study import distances

SIGNED = [distances.gaussian_mmd, distances.energy]
ALL = [distances.frechet, *SIGNED]


def sample_with(mean, covariance, rows, rng):
    """Rows with this sample mean and covariance (n - 1) up to rounding; rows > columns."""
    white = rng.normal(size=(rows, len(mean)))
    white -= white.mean(axis=0)
    factor = np.linalg.qr(white)[0] * np.sqrt(rows - 1)
    return factor @ np.linalg.cholesky(covariance).T + mean


def random_covariance(columns, rng):
    square = rng.normal(size=(columns, columns))
    return square @ square.T + 0.1 * np.eye(columns)


def literal_frechet(x, y):
    """The formula as printed: the trace of (S1 S2)^(1/2) from the eigenvalues of the product."""
    s1, s2 = np.cov(x.T), np.cov(y.T)
    eigenvalues = np.linalg.eigvals(s1 @ s2)
    root = np.sqrt(np.maximum(eigenvalues.real, 0.0)).sum()
    return np.sum((x.mean(0) - y.mean(0)) ** 2) + np.trace(s1) + np.trace(s2) - 2 * root


def standard_error(kernel, n):
    """Of the U-statistic, from the variance of its first-order projection on each row."""
    m = len(kernel) - n
    kernel = kernel - np.diag(np.diag(kernel))
    x = kernel[:n, :n].sum(1) / (n - 1) - kernel[:n, n:].mean(1)
    y = kernel[n:, n:].sum(1) / (m - 1) - kernel[n:, :n].mean(1)
    return 2.0 * np.sqrt(x.var(ddof=1) / n + y.var(ddof=1) / m)


# Frechet


def test_frechet_of_commuting_covariances():
    """With S1 = diag(a^2) and S2 = diag(b^2) it is |mean difference|^2 + sum (a - b)^2."""
    rng = np.random.default_rng(0)
    a, b = np.array([1.0, 2.0, 3.0]), np.array([4.0, 0.5, 3.0])
    x = sample_with(np.zeros(3), np.diag(a**2), 50, rng)
    y = sample_with(np.array([1.0, 2.0, -2.0]), np.diag(b**2), 40, rng)
    assert distances.frechet(x, y) == pytest.approx(9.0 + np.sum((a - b) ** 2), rel=1e-12)


def test_frechet_of_normal_0_1_and_normal_10_1():
    """Population value 100, the squared difference of the means. The standard error of that
    difference is sqrt(2 / n) = 0.01, of its square 2 x 10 x 0.01 = 0.2; five are 1.0. The spreads
    add less than 0.001."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(0, 1, (20_000, 1)), rng.normal(10, 1, (20_000, 1))
    assert distances.frechet(x, y) == pytest.approx(100.0, abs=1.0)


def test_frechet_of_two_point_masses_is_their_squared_distance():
    x, y = np.tile([1.0, 2.0], (5, 1)), np.tile([4.0, 6.0], (3, 1))
    assert distances.frechet(x, y) == pytest.approx(25.0, rel=1e-14)


def test_frechet_is_symmetric_and_zero_for_equal_sets():
    rng = np.random.default_rng(2)
    for rows in (6, 100):  # below and above the 20 columns
        x, y = rng.normal(size=(rows, 20)), 1.0 + 2.0 * rng.normal(size=(rows + 3, 20))
        assert distances.frechet(x, y) == pytest.approx(distances.frechet(y, x), rel=1e-12)
        assert distances.frechet(x, x) == pytest.approx(0.0, abs=1e-12 * 20)


@pytest.mark.parametrize("n, m", [(200, 150), (8, 12), (8, 150)])
def test_frechet_equals_the_literal_formula_also_when_rank_deficient(n, m):
    """An eigenvalue that should be 0 comes out near eps |S1| |S2|, its root near 1.5e-8 of |S|: 30
    of them stay under 1e-6 of the result. That is the literal formula's error, not ours."""
    rng = np.random.default_rng(3)
    x = rng.multivariate_normal(np.zeros(30), random_covariance(30, rng), n)
    y = rng.multivariate_normal(np.ones(30), random_covariance(30, rng), m)
    assert distances.frechet(x, y) == pytest.approx(literal_frechet(x, y), rel=1e-5)


def test_frechet_of_orthogonal_supports_is_exact():
    """Singular covariances without a common direction: the square root of their product is 0."""
    rng = np.random.default_rng(4)
    x, y = np.zeros((5, 40)), np.zeros((6, 40))
    x[:, :20], y[:, 20:] = rng.normal(size=(5, 20)), rng.normal(size=(6, 20))
    spread = x.var(0, ddof=1).sum() + y.var(0, ddof=1).sum()
    expected = np.sum((x.mean(0) - y.mean(0)) ** 2) + spread
    assert distances.frechet(x, y) == pytest.approx(expected, rel=1e-12)


# Kernels


@pytest.mark.parametrize("exponent", [0.5, 1.0, 1.5])
def test_energy_of_normal_0_1_and_normal_10_1(exponent):
    """E|Z|^b for Z ~ N(mu, 2) is 2^b Gamma((1 + b) / 2) / sqrt(pi) 1F1(-b/2; 1/2; -mu^2 / 4)."""

    def moment(mu):
        scale = 2.0**exponent * gamma((1 + exponent) / 2) / np.sqrt(np.pi)
        return scale * hyp1f1(-exponent / 2, 0.5, -(mu**2) / 4)

    rng = np.random.default_rng(5)
    x, y = rng.normal(0, 1, (500, 1)), rng.normal(10, 1, (400, 1))
    error = standard_error(distances.energy_kernel(np.concatenate([x, y]), exponent), 500)
    value = distances.energy(x, y, exponent=exponent)
    assert value == pytest.approx(2 * moment(10.0) - 2 * moment(0.0), abs=5 * error)
    assert error < 0.02 * value  # or the line above would show nothing


@pytest.mark.parametrize("shift", [1.0, 10.0])
def test_mmd_of_normal_0_1_and_normal_shift_1(shift):
    """E k for a difference N(mu, 2) is s / sqrt(s^2 + 2) exp(-mu^2 / (2 (s^2 + 2)))."""
    s = 1.5

    def mean_kernel(mu):
        return s / np.sqrt(s**2 + 2) * np.exp(-(mu**2) / (2 * (s**2 + 2)))

    rng = np.random.default_rng(6)
    x, y = rng.normal(0, 1, (800, 1)), rng.normal(shift, 1, (700, 1))
    error = standard_error(distances.gaussian_kernel(np.concatenate([x, y]), s), 800)
    value = distances.gaussian_mmd(x, y, bandwidth=s)
    assert value == pytest.approx(2 * mean_kernel(0.0) - 2 * mean_kernel(shift), abs=5 * error)
    assert error < 0.2 * value


def test_the_bandwidth_is_the_median_of_the_reference():
    """Pairs at distance 1, 2 and 3 have median 2; the candidate must not change it."""
    x, y = np.array([[0.0], [1.0], [3.0]]), np.array([[50.0], [90.0], [99.0]])
    assert distances.gaussian_mmd(x, y) == distances.gaussian_mmd(x, y, bandwidth=2.0)


def test_two_point_masses():
    x, y = np.zeros((4, 2)), np.tile([3.0, 4.0], (6, 1))
    assert distances.energy(x, y) == pytest.approx(2 * np.sqrt(5.0), rel=1e-14)
    assert distances.energy(x, y, exponent=1.0) == pytest.approx(10.0, rel=1e-14)
    expected = 2.0 - 2.0 * np.exp(-25.0 / 8.0)
    assert distances.gaussian_mmd(x, y, bandwidth=2.0) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("kind", ["mmd", "energy"])
def test_unbiased_at_small_sizes(kind):
    """800 null sets of 8 against 12 rows: the mean within 4 standard errors of 0, missed with
    probability 6e-5 by an unbiased statistic. With the diagonals kept the same check must fail."""
    rng = np.random.default_rng(7)
    unbiased, with_diagonals = [], []
    for _ in range(800):
        pooled = rng.normal(size=(20, 3))
        x, y = pooled[:8], pooled[8:]
        if kind == "mmd":
            unbiased.append(distances.gaussian_mmd(x, y, bandwidth=2.0))
            k = distances.gaussian_kernel(pooled, 2.0)
        else:
            unbiased.append(distances.energy(x, y))
            k = distances.energy_kernel(pooled)
        with_diagonals.append(k[:8, :8].mean() + k[8:, 8:].mean() - 2 * k[:8, 8:].mean())

    def errors_from_zero(values):
        return np.mean(values) / (np.std(values, ddof=1) / np.sqrt(len(values)))

    assert abs(errors_from_zero(unbiased)) < 4
    assert min(unbiased) < 0 < max(unbiased)  # signed: nothing is clipped
    assert errors_from_zero(with_diagonals) > 20


# All


@pytest.mark.parametrize("distance", ALL)
def test_grows_with_a_shift_and_ignores_rotation_translation_and_order(distance):
    rng = np.random.default_rng(8)
    x, y = rng.normal(size=(30, 5)), rng.normal(size=(25, 5))
    values = [distance(x, y + shift) for shift in (0.0, 0.5, 1.0, 2.0)]
    assert np.all(np.diff(values) > 0)
    rotation = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    moved = distance(x[::-1] @ rotation + 3.0, rng.permutation(y) @ rotation + 3.0)
    assert moved == pytest.approx(values[0], rel=1e-9)


@pytest.mark.parametrize("distance", ALL)
def test_refuses_what_it_cannot_measure(distance):
    good = np.random.default_rng(9).normal(size=(4, 3))
    bad = good.copy()
    bad[2, 1] = np.nan
    with pytest.raises(ValueError, match=r"candidate has shape \(1, 3\)"):
        distance(good, good[:1])
    with pytest.raises(ValueError, match=r"reference has shape \(4,\)"):
        distance(good[:, 0], good)
    with pytest.raises(ValueError, match="NaN or infinity in 1 rows, first in 2"):
        distance(bad, good)
    with pytest.raises(ValueError, match="3 columns and the candidate 2"):
        distance(good, good[:, :2])


def test_refuses_meaningless_settings():
    x, y = np.zeros((4, 2)), np.ones((4, 2))
    with pytest.raises(ValueError, match="median distance within the reference is 0"):
        distances.gaussian_mmd(x, y)
    with pytest.raises(ValueError, match="bandwidth is 0"):
        distances.gaussian_mmd(x, y, bandwidth=0.0)
    for exponent in (0.0, 2.0):
        with pytest.raises(ValueError, match="exponent"):
            distances.energy(x, y, exponent=exponent)


# Permutation tests


def test_the_fast_pvalue_equals_the_generic_one():
    rng = np.random.default_rng(10)
    x, y = rng.normal(size=(9, 3)), 0.4 + rng.normal(size=(7, 3))
    generic = distances.permutation_pvalue(
        x, y, distances.energy, permutations=300, rng=np.random.default_rng(11)
    )
    fast = distances.kernel_permutation_pvalue(
        distances.energy_kernel(np.concatenate([x, y])),
        9,
        permutations=300,
        rng=np.random.default_rng(11),
    )
    assert generic == fast
    assert 0.01 < fast < 0.9  # neither end, where any two tests agree


@pytest.mark.parametrize("distance", ALL)
def test_far_sets_reach_the_smallest_pvalue(distance):
    """Of 12870 labellings of 8 + 8 rows two are as extreme: 99 draws hit one with
    probability .015."""
    rng = np.random.default_rng(12)
    x, y = rng.normal(size=(8, 2)), 20.0 + rng.normal(size=(8, 2))
    assert distances.permutation_pvalue(x, y, distance, permutations=99, rng=rng) == 0.01


def test_equal_rows_give_a_pvalue_of_one():
    """Every labelling ties with the one observed, and a tie counts as as large."""
    kernel = distances.energy_kernel(np.repeat([[0.1, 0.7]], 12, axis=0))
    rng = np.random.default_rng(13)
    assert distances.kernel_permutation_pvalue(kernel, 5, permutations=99, rng=rng) == 1.0


def test_the_level_is_kept():
    """P(p <= .1) is .1 with 19 permutations; of 1000 null trials 100 +- 9.5, so 55 to 145 is nearly
    5 standard deviations: missed with probability 2e-6."""
    rng = np.random.default_rng(14)
    alarms = 0
    for _ in range(1_000):
        kernel = distances.energy_kernel(rng.normal(size=(13, 2)))
        alarms += distances.kernel_permutation_pvalue(kernel, 6, permutations=19, rng=rng) <= 0.1
    assert 55 <= alarms <= 145


def test_pvalues_refuse_what_they_cannot_test():
    rng = np.random.default_rng(15)
    kernel = distances.energy_kernel(rng.normal(size=(6, 2)))
    with pytest.raises(ValueError, match="5 of 6 rows"):
        distances.kernel_permutation_pvalue(kernel, 5, rng=rng)
    with pytest.raises(ValueError, match="square"):
        distances.kernel_permutation_pvalue(kernel[:4], 2, rng=rng)
    with pytest.raises(ValueError, match="observed is nan"):
        distances.kernel_permutation_pvalue(np.full((6, 6), np.nan), 3, rng=rng)
    with pytest.raises(ValueError, match="permutations is 0"):
        distances.kernel_permutation_pvalue(kernel, 3, permutations=0, rng=rng)
