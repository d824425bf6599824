"""Closed forms, with tolerances derived. Seeds are fixed: a stated probability is a new seed's.

A statistic is compared with its expectation at five of its standard errors: a correct estimator
misses that with probability 6e-7 if it is normal.
"""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import beta, gamma, hyp1f1

from report import candidates
from study import distances

PINS = json.loads((Path(__file__).parent / "reference" / "distances_pins.json").read_text())
NAMES = sorted(distances.DISTANCES)
COLUMNS = 26  # two frames of 13, for dynamic_time_warping

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
    """Pairs at distance 1, 2 and 3 have median 2, exactly; the candidate must not change it."""
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


# Closed forms of the others


def test_extrapolation_finds_the_intercept_from_subsets_without_repeats(monkeypatch):
    """Where the distance is 3 + 7 / k exactly, the value at infinite k is 3."""
    sizes = []

    def linear(x, y):
        assert len(x) == len(y) == len(np.unique(x, axis=0)) == len(np.unique(y, axis=0))
        sizes.append(len(x))
        return 3.0 + 7.0 / len(x)

    monkeypatch.setattr(distances, "frechet", linear)
    rng = np.random.default_rng(16)
    x, y = rng.normal(size=(20, 2)), rng.normal(size=(30, 2))
    assert distances.frechet_infinite(x, y, rng=rng) == pytest.approx(3.0, rel=1e-9)
    assert sorted(set(sizes)) == [10, 12, 14, 16, 18, 20]


def test_extrapolation_removes_the_bias_where_rows_outnumber_columns():
    """Two samples of 60 rows of 4 columns. 40 trials: Frechet is plainly above 0 (more than ten
    standard errors), its extrapolation below a third of that."""
    rng = np.random.default_rng(17)
    plain, extrapolated = [], []
    for _ in range(40):
        x, y = rng.normal(size=(60, 4)), rng.normal(size=(60, 4))
        plain.append(distances.frechet(x, y))
        extrapolated.append(distances.frechet_infinite(x, y, rng=rng))
    assert np.mean(plain) > 10 * np.std(plain) / np.sqrt(40)
    assert abs(np.mean(extrapolated)) < np.mean(plain) / 3


def test_sliced_wasserstein_of_a_shifted_copy_is_the_shift_times_a_mean_cosine():
    """The transport of a copy shifted by s moves every projection by s'u: the value is the root of
    the mean of (s'u)^2, on average |s| / sqrt(d). The mean over P directions of a squared cosine has
    a relative standard error below sqrt(2 / P), its root half of that: 5 of them are 5 / sqrt(2 P)."""
    x, shift = np.random.default_rng(18).normal(size=(15, 6)), np.array([3.0, 0, 4.0, 0, 0, 0])
    value = distances.sliced_wasserstein(x, x + shift, rng=np.random.default_rng(19))
    directions = np.random.default_rng(19).standard_normal((6, distances.PROJECTIONS))
    directions /= np.linalg.norm(directions, axis=0)
    assert value == pytest.approx(np.sqrt(np.mean((shift @ directions) ** 2)), rel=1e-12)
    assert value == pytest.approx(5.0 / np.sqrt(6), rel=5 / np.sqrt(2 * distances.PROJECTIONS))


def test_transport_in_one_dimension_between_sets_of_unequal_size():
    """Quantiles 0 | 6 against 0 | 3 | 6: |0-0| on [0, 1/3], 3 on [1/3, 1/2] and on [1/2, 2/3], 0 on
    the rest; squared and integrated, 9 / 3 = 3."""
    x, y = np.array([[6.0], [0.0]]), np.array([[3.0], [6.0], [0.0]])
    assert distances._transport_1d(x, y) == pytest.approx([3.0], rel=1e-14)


@given(st.integers(2, 9), st.integers(2, 9), st.integers(2, 4), st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_transport_does_not_change_when_all_rows_repeat(n, m, times, seed):
    """Repeating every row leaves the quantile function as it is, and makes the sizes unequal."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, 2)), rng.normal(size=(m, 2))
    repeated = distances._transport_1d(np.repeat(x, times, axis=0), y)
    assert repeated == pytest.approx(distances._transport_1d(x, y), rel=1e-9)


def test_sinkhorn_of_two_far_sets_is_near_the_squared_shift():
    """The debiased divergence of a copy shifted by s is |s|^2: the cost differs from that within the
    set by terms of one row each, which move no plan. What 200 iterations leave is below 1e-4."""
    x = np.random.default_rng(22).normal(size=(20, 3))
    assert distances.sinkhorn(x, x + np.array([0.0, 5.0, 0.0])) == pytest.approx(25.0, rel=1e-4)
    assert distances.sinkhorn(x, x) == 0.0  # T - (T + T) / 2 of one T rounds nowhere
    assert distances.sinkhorn(x, x + 1e4) == pytest.approx(3e8, rel=1e-4)  # no underflow


def test_classifier_finds_separated_sets_and_nothing_in_equal_means():
    """Sets on two circles of one centre have equal means: no plane separates them, the accuracy is
    chance. 100 rows each: 5 standard errors of the share right are 5 / sqrt(800) = .18."""
    rng = np.random.default_rng(23)
    x, far = rng.normal(size=(20, 4)), 30.0 + rng.normal(size=(15, 4))
    assert distances.classifier_two_sample(x, far, rng=rng) == 0.5  # a count: every row is right
    angle = rng.uniform(0, 2 * np.pi, (2, 100))
    inner, outer = (r * np.c_[np.cos(a), np.sin(a)] for r, a in zip((1, 3), angle, strict=True))
    assert abs(distances.classifier_two_sample(inner, outer, rng=rng)) < 0.18
    assert distances.energy(inner, outer) > 0.05


def test_classifier_folds_are_even_in_both_labels():
    labels = np.repeat([0, 1], [23, 12])
    fold = distances._stratified_folds(labels, np.random.default_rng(24))
    assert sorted(np.bincount(fold[labels == 0])) == [4, 4, 5, 5, 5]
    assert sorted(np.bincount(fold[labels == 1])) == [2, 2, 2, 3, 3]


def test_the_classifier_is_unbiased_at_unequal_sizes():
    """400 null sets: the mean within 4 standard errors of 0, and the spread far from 0."""
    rng = np.random.default_rng(25)
    values = [
        distances.classifier_two_sample(rng.normal(size=(13, 3)), rng.normal(size=(8, 3)), rng=rng)
        for _ in range(400)
    ]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(400)
    assert np.std(values) > 0.05


def test_neighbours_by_hand():
    """k is lowered to 2. Balls of the reference 0 1 2: radii 2 1 2; of the candidate 1.5 2.5 10:
    radii 8.5 7.5 8.5. In the balls of 0 and 1 and 2 lies 1.5, of 2 alone 2.5, of none 10. Each
    reference row is in the balls of 1.5 and of 2.5."""
    x, y = np.array([[0.0], [1.0], [2.0]]), np.array([[1.5], [2.5], [10.0]])
    expected = {"precision": 2 / 3, "recall": 1.0, "density": 4 / 3 / 2, "coverage": 1.0}
    assert distances.nearest_neighbour_quality(x, y) == pytest.approx(expected, rel=1e-14)
    for name, value in expected.items():
        assert distances.DISTANCES[f"lost_{name}"](x, y) == pytest.approx(1 - value, abs=1e-14)


def test_density_and_coverage_of_two_samples_of_one_distribution():
    """Density is 1 on average, coverage 1 - the product over j < k of (n-1-j) / (n+m-1-j) (Naeem et
    al. 2020, lemma 2): 300 trials, within 4 standard errors."""
    rng, n, m = np.random.default_rng(26), 12, 9
    found = [
        distances.nearest_neighbour_quality(rng.normal(size=(n, 3)), rng.normal(size=(m, 3)))
        for _ in range(300)
    ]
    coverage = 1 - np.prod([(n - 1 - j) / (n + m - 1 - j) for j in range(5)])
    for name, expected in {"density": 1.0, "coverage": coverage}.items():
        values = [trial[name] for trial in found]
        assert np.mean(values) == pytest.approx(expected, abs=4 * np.std(values) / np.sqrt(300))


def test_mauve_of_disjoint_and_of_equal_clusters():
    """Two far clusters: one set in each has a frontier x = (1 - s)^5, y = s^5, of area 5 B(6, 5), to
    which the trapezoids of 25 mixtures add 2 %; both sets alike in both have distance 0."""
    rng = np.random.default_rng(27)
    clusters = 100.0 * np.repeat([[0.0], [1.0]], 5, axis=0) + rng.normal(size=(10, 1))
    apart = distances.mauve(clusters[:5], clusters[5:], rng=rng)
    assert 1 - apart == pytest.approx(5 * beta(6, 5), rel=0.03)
    assert distances.mauve(clusters, clusters + 0.1, rng=rng) == pytest.approx(0.0, abs=1e-12)
    assert distances.mauve(np.ones((5, 2)), np.ones((4, 2)), rng=rng) == 0.0  # set, not computed


def test_the_naive_ones_of_a_shifted_copy():
    x = np.random.default_rng(28).normal(size=(7, COLUMNS))
    shift = np.zeros(COLUMNS)
    shift[[0, 13]] = 2.0
    assert distances.mean_difference(x, x + shift) == pytest.approx(np.sqrt(8.0), rel=1e-12)
    assert distances.paired_l2(x, x + shift) == pytest.approx(np.sqrt(8.0), rel=1e-12)
    assert distances.mean_difference(x, x[::-1]) == pytest.approx(0.0, abs=1e-14)
    assert distances.paired_l2(x, x[::-1]) > 1.0


def test_dynamic_time_warping_of_constant_sequences_and_of_a_delayed_one():
    """Constant sequences 3-4-5 apart cost 5 a step whatever the path; a delay by one frame within
    silence costs nothing, row by row."""
    x, y = np.zeros((3, 4 * 13)), np.zeros((2, 4 * 13))
    y[:, 0::13], y[:, 5::13] = 3.0, 4.0
    assert distances.dynamic_time_warping(x, y) == pytest.approx(5.0, rel=1e-14)
    early = np.zeros((4, 6, 13))
    early[:, 1:3] = np.random.default_rng(29).normal(size=(4, 2, 13))
    late = np.roll(early, 1, axis=1).reshape(4, -1)
    early = early.reshape(4, -1)
    assert distances.dynamic_time_warping(early, late, paired=True) == 0.0  # equal frames: x - x
    assert distances.dynamic_time_warping(early, late) > 0.1
    assert distances.paired_l2(early, late) > 1.0


def test_dynamic_time_warping_in_blocks_is_the_same(monkeypatch):
    rng = np.random.default_rng(30)
    x, y = rng.normal(size=(7, 39)), rng.normal(size=(5, 39))
    whole = distances.dynamic_time_warping(x, y)
    monkeypatch.setattr(distances, "PAIRS_AT_ONCE", 11)
    assert distances.dynamic_time_warping(x, y) == pytest.approx(whole, rel=1e-13)


# Reference implementations: tests/reference/distances_pins.py


def pinned(name):
    entry = PINS["sets"][name]
    return np.array(entry["reference"]), np.array(entry["candidate"]), entry


@pytest.mark.parametrize("name", PINS["sets"])
def test_pins_without_randomness(name):
    """Literal transcriptions with scipy, and loops: equal up to rounding of some hundred terms."""
    x, y, entry = pinned(name)
    for distance in ("frechet", "gaussian_mmd", "energy", "energy_1"):
        if distance in entry:
            value = distances.DISTANCES[distance](x, y)
            assert value == pytest.approx(entry[distance], rel=1e-10), distance
    assert distances._transport_1d(x, y) == pytest.approx(entry["transport_1d"], rel=1e-12)


@pytest.mark.parametrize("name", PINS["sets"])
def test_sinkhorn_equals_pot_run_to_convergence(name):
    """200 iterations leave a marginal error below 1e-4 (of 1), the cost's share in the same order."""
    x, y, entry = pinned(name)
    assert distances.sinkhorn(x, y) == pytest.approx(entry["sinkhorn"], rel=1e-4)


@pytest.mark.parametrize("name", PINS["sets"])
def test_sinkhorn_equals_pot_after_as_many_iterations(name):
    """The same iteration, ended alike: equal up to rounding, which the iteration contracts."""
    x, y, entry = pinned(name)
    assert distances.sinkhorn(x, y) == pytest.approx(entry["sinkhorn_200"], rel=1e-10)


@pytest.mark.parametrize("name", PINS["sets"])
def test_sliced_wasserstein_equals_pot_for_the_same_directions(name):
    x, y, entry = pinned(name)
    value = distances.sliced_wasserstein(x, y, rng=np.random.RandomState(31))
    assert value == pytest.approx(entry["sliced_wasserstein"], rel=1e-10)


@pytest.mark.parametrize("name", PINS["sets"])
def test_scores_equal_the_ridge_classifier_of_scikit_learn(name):
    x, y, entry = pinned(name)
    rows, labels = np.concatenate([x, y]), np.repeat([0, 1], [len(x), len(y)])
    rows -= rows.mean(axis=0)
    fold = np.r_[np.arange(len(x)), np.arange(len(y))] % min(distances.FOLDS, len(x), len(y))
    scores = distances._ridge_scores(rows @ rows.T, labels, fold)
    assert scores == pytest.approx(entry["scores"], rel=1e-9, abs=1e-10)


@pytest.mark.parametrize("name", PINS["sets"])
def test_neighbours_equal_prdc(name):
    x, y, entry = pinned(name)
    quality = distances.nearest_neighbour_quality(x, y, neighbours=entry["neighbours"])
    assert quality == pytest.approx({key: entry[key] for key in quality}, rel=1e-12)


def test_dynamic_time_warping_equals_the_loop():
    x, y = (np.array(PINS["sequences"][role]) for role in ("reference", "candidate"))
    pairs = np.array(PINS["sequences"]["dynamic_time_warping"])
    assert distances.dynamic_time_warping(x, y) == pytest.approx(pairs.mean(), rel=1e-12)
    paired = distances.dynamic_time_warping(x[:2], y, paired=True)
    assert paired == pytest.approx(np.diag(pairs).mean(), rel=1e-12)


@pytest.mark.parametrize("name", PINS["histograms"])
def test_the_frontier_equals_the_loop(name):
    entry = PINS["histograms"][name]
    area = distances._frontier_area(np.array(entry["p"]), np.array(entry["q"]))
    assert area == pytest.approx(entry["frontier"], rel=1e-12)


# All of DISTANCES


def call(name, x, y, seed=32):
    return distances.DISTANCES[name](x, y, rng=np.random.default_rng(seed))


@pytest.fixture
def rows():
    """Two samples of one distribution, 20 rows of 26 columns: covariances are singular."""
    rng = np.random.default_rng(33)
    return rng.normal(size=(20, COLUMNS)), rng.normal(size=(20, COLUMNS))


def test_the_registry_and_its_notes_agree():
    assert distances.DISTANCES.keys() == candidates.NOTES.keys()
    for name, distance in distances.DISTANCES.items():
        assert distance.__name__ == name
        note = candidates.NOTES[name]
        assert list(note) == ["formula", "cost", "sees", "misses", "source", "biased"]
        assert all(isinstance(note[key], str) and note[key] for key in list(note)[:-1])
        assert "Cost " in distance.__doc__ and "lind" in distance.__doc__


@pytest.mark.parametrize("name", NAMES)
def test_biased_says_whether_like_sets_are_at_zero_on_average(name):
    """300 pairs (100 for sinkhorn, the slowest) of samples of one distribution: the mean within 4
    standard errors of 0, or beyond 6.
    Few columns, because in many the balls of neighbours hold everything, but more than rows for the
    extrapolation, which else removes most of the bias."""
    rng = np.random.default_rng(34)
    special = {"dynamic_time_warping": (6, 13), "sinkhorn": (8, 2), "frechet_infinite": (10, 30)}
    shape, trials = special.get(name, (30, 2)), 100 if name == "sinkhorn" else 300
    values = [
        distances.DISTANCES[name](rng.normal(size=shape), rng.normal(size=shape), rng=rng)
        for _ in range(trials)
    ]
    away = abs(np.mean(values)) / (np.std(values) / np.sqrt(trials))
    assert away > 6 if candidates.NOTES[name]["biased"] else away < 4


@pytest.mark.parametrize("name", NAMES)
def test_a_shifted_set_is_farther_than_a_like_one(name, rows):
    x, y = rows
    values = [call(name, x, y + shift) for shift in (0.0, 2.0)]
    assert values[1] > values[0]
    assert all(type(value) is float for value in values)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_generator_gives_the_same_value_and_the_sets_stay(name, rows):
    x, y = rows
    before, state = (x.copy(), y.copy()), np.random.get_state()[1].copy()
    assert call(name, x, y) == call(name, x, y)
    np.testing.assert_array_equal([x, y], before)
    np.testing.assert_array_equal(np.random.get_state()[1], state)


@pytest.mark.parametrize("name", NAMES)
def test_a_generator_is_asked_for_where_one_is_needed(name, rows):
    if name in distances.DRAWING:
        with pytest.raises(ValueError, match=f"{name} draws at random and rng is None"):
            distances.DISTANCES[name](*rows)
        values = {call(name, rows[0], rows[1] + 0.3, seed) for seed in range(8)}
        assert len(values) > 1
    else:
        assert distances.DISTANCES[name](*rows) == call(name, *rows)


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"frechet_infinite", "classifier_two_sample", "mauve"}))
def test_order_of_rows_does_not_matter(name, rows):
    """Of the three left out each draw depends on the place of a row. Pairs move together."""
    x, y = rows[0], rows[1] + 0.3
    order = np.random.default_rng(35).permutation(len(x))
    other = order if name == "paired_l2" else order[::-1]
    assert call(name, x[order], y[other]) == pytest.approx(call(name, x, y), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_translation_and_rotation_of_both_do_not_matter(name, rows):
    """By one rotation a frame for dynamic_time_warping; sliced_wasserstein only on average over
    directions, so it is only translated."""
    x, y = rows[0], rows[1] + 0.3
    frame = np.linalg.qr(np.random.default_rng(36).normal(size=(13, 13)))[0]
    whole = np.linalg.qr(np.random.default_rng(36).normal(size=(COLUMNS, COLUMNS)))[0]
    special = {"dynamic_time_warping": np.kron(np.eye(2), frame), "sliced_wasserstein": np.eye(COLUMNS)}
    rotation = special.get(name, whole)
    move = np.tile(np.linspace(-3, 5, 13), 2)
    moved = call(name, x @ rotation + move, y @ rotation + move)
    assert moved == pytest.approx(call(name, x, y), rel=1e-8, abs=1e-10)


@pytest.mark.parametrize("name", NAMES)
@given(
    n=st.integers(4, 9),
    exponent=st.integers(-4, 4),
    far=st.sampled_from([0.0, 1.0, 1e5]),
    seed=st.integers(0, 99),
)
@settings(max_examples=15)
def test_finite_and_quiet_at_few_rows_and_any_scale(name, n, exponent, far, seed):
    """Also for low rank: the rows have two dimensions of 26."""
    rng = np.random.default_rng(seed)
    x, y = (10.0**exponent * rng.normal(size=(n, 2)) @ rng.normal(size=(2, COLUMNS)) for _ in range(2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(call(name, x, y + far * 10.0**exponent))


@pytest.mark.parametrize("name", NAMES)
def test_all_refuse_what_they_cannot_measure(name, rows):
    good, bad = rows[0], rows[0].copy()
    bad[2, 1] = np.nan
    cases = {
        r"candidate has shape \(1, 26\)": (good, good[:1]),
        r"reference has shape \(20,\)": (good[:, 0], good),
        "reference has NaN or infinity in 1 rows, first in 2": (bad, good),
        "candidate has NaN or infinity in 20 rows, first in 0": (good, np.full_like(good, np.inf)),
        "26 columns and the candidate 13": (good, good[:, :13]),
    }
    for message, (x, y) in cases.items():
        with pytest.raises(ValueError, match=message):
            call(name, x, y)


def test_settings_and_shapes_of_single_distances_are_checked(rows):
    x, y = rows
    with pytest.raises(ValueError, match="20 rows and the candidate 19; pairs need as many"):
        distances.paired_l2(x, y[:-1])
    with pytest.raises(ValueError, match="pairs need as many"):
        distances.dynamic_time_warping(x, y[:-1], paired=True)
    with pytest.raises(ValueError, match="25 columns are no multiple of 13 coefficients"):
        distances.dynamic_time_warping(x[:, :-1], y[:, :-1])
    with pytest.raises(ValueError, match="the smaller set has 3 rows; extrapolation needs at least 4"):
        call("frechet_infinite", x, y[:3])
    with pytest.raises(ValueError, match="neighbours is 0"):
        distances.nearest_neighbour_quality(x, y, neighbours=0)
    with pytest.raises(ValueError, match="median distance within the reference is 0"):
        distances.sinkhorn(np.zeros((4, 2)), np.ones((4, 2)))


# Signed and Frechet, with unequal sizes


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
    assert generic == fast  # counts of 301; no drawn statistic is within rounding of the observed one
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
