"""Statistics that are 0 on average for one source, and see what they say they see."""

from itertools import combinations, permutations

import numpy as np
import pytest

from study import unbiased
from study.distances import frechet

EXACT = [name for name in unbiased.STATISTICS if name not in ("frechet jackknifed", "frechet less halves")]
SAMPLED = "frechet rearranged"  # whose rearrangements are drawn


def dealt(rows, count):
    """All ways of dealing rows to two sets."""
    for chosen in combinations(range(len(rows)), count):
        mask = np.isin(np.arange(len(rows)), chosen)
        yield rows[mask], rows[~mask]


@pytest.mark.parametrize("preparation", unbiased.PREPARATIONS)
@pytest.mark.parametrize("name", [n for n in EXACT if n != SAMPLED])
def test_over_all_ways_of_dealing_the_mean_is_zero(name, preparation):
    """Of 4 and 4 of 8 rows with a far one among them; to rounding, in the unit of the values' spread."""
    rows = np.random.default_rng(1).normal(size=(8, 6)) + 0.5
    rows[0] += 3
    prepare = unbiased.PREPARATIONS[preparation]
    values = [unbiased.STATISTICS[name](*prepare(x, y)) for x, y in dealt(rows, 4)]
    assert len(values) == 70 and np.std(values) > 0
    assert abs(np.mean(values)) < 1e-9 * np.std(values)


def test_frechet_rearranged_is_zero_on_average():
    """Mean over 126 dealings; each takes off a mean of 200 draws with the same standard error."""
    rows = np.random.default_rng(2).normal(size=(9, 6)) + 0.5
    sides = list(dealt(rows, 4))
    values = np.array([unbiased.frechet_rearranged(x, y, rearrangements=200) for x, y in sides])
    plain = np.array([frechet(x, y) for x, y in sides])
    # The draws are the same places in every dealing, so their errors average out; 4 standard errors.
    assert abs(values.mean()) < 4 * plain.std() / np.sqrt(200)
    assert plain.mean() > 10 * abs(values.mean())


@pytest.mark.parametrize("name", ["frechet jackknifed", "frechet less halves"])
def test_corrected_frechet_is_less_biased(name):
    rng = np.random.default_rng(3)
    draws = [(rng.normal(size=(12, 4)), rng.normal(size=(12, 4))) for _ in range(60)]
    corrected = np.mean([unbiased.STATISTICS[name](x, y) for x, y in draws])
    assert abs(corrected) < 0.5 * np.mean([frechet(x, y) for x, y in draws])


@pytest.mark.parametrize("name", unbiased.STATISTICS)
@pytest.mark.parametrize("preparation", ["", " of unit length"])
def test_another_mean_is_seen(name, preparation):
    """Standardised rows have lost the mean row, and with it much of what second moments see."""
    rng = np.random.default_rng(4)
    x, y, z = rng.normal(size=(20, 5)), rng.normal(size=(20, 5)), rng.normal(size=(20, 5)) + 2
    statistic, prepare = unbiased.STATISTICS[name], unbiased.PREPARATIONS[preparation]
    assert statistic(*prepare(x, z)) > 3 * abs(statistic(*prepare(x, y)))


def test_the_squared_covariance_difference_is_the_u_statistic():
    """Term by term over all choices of different rows, as Li and Chen write it."""
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(5, 3)) + 1, 2 * rng.normal(size=(4, 3))

    def own(rows):
        # The mean over four different rows of <a - b, c - d>^2 / 4 is tr S^2.
        terms = [
            (rows[a] - rows[b]) @ (rows[c] - rows[d]) for a, b, c, d in permutations(range(len(rows)), 4)
        ]
        return np.mean(np.square(terms)) / 4

    across = [
        ((x[a] - x[b]) @ (y[c] - y[d])) ** 2 / 4
        for a, b in permutations(range(5), 2)
        for c, d in permutations(range(4), 2)
    ]
    wanted = own(x) + own(y) - 2 * np.mean(across)
    assert unbiased.squared_covariance_difference(x, y) == pytest.approx(wanted, rel=1e-10)


def test_of_three_rows_there_are_means_alone():
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(3, 4)), rng.normal(size=(6, 4))
    with pytest.raises(ValueError, match="sets of 3 and 6 rows; covariances need at least 4"):
        unbiased.squared_covariance_difference(x, y)
    rows = np.concatenate([x, y])
    assert unbiased.mean_and_covariance(x, y) == pytest.approx(
        unbiased.squared_mean_difference(x, y) / rows.var(axis=0, ddof=1).sum()
    )
    assert unbiased.frechet_less_halves(x, x) == pytest.approx(0, abs=1e-12)  # nothing is taken off


def test_another_spread_is_seen_by_what_has_the_covariance():
    """Of one mean: by the statistics with second moments, ten times as much as by that of means."""
    rng = np.random.default_rng(7)
    x, y = rng.normal(size=(60, 5)), 2 * rng.normal(size=(60, 5))
    mean = unbiased.squared_mean_difference(x, y)
    variance = np.concatenate([x, y]).var(axis=0, ddof=1).sum()
    assert unbiased.mean_and_covariance(x, y, weight=5.0) > 10 * abs(mean / variance)
    assert unbiased.squared_covariance_difference(x, y) == pytest.approx(5 * 3**2, rel=0.5)  # of 4 I and I


def test_prepared_rows():
    rng = np.random.default_rng(8)
    x, y = rng.normal(2, 3, size=(4, 3)), rng.normal(size=(5, 3))
    x[:, 2] = y[:, 2] = 7.0
    a, b = unbiased.standardised(x, y)
    rows = np.concatenate([a, b])
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(rows.std(axis=0), [1, 1, 0], atol=1e-12)
    assert (len(a), len(b)) == (4, 5)
    a, b = unbiased.of_unit_length(x, y)
    np.testing.assert_allclose(np.linalg.norm(np.concatenate([a, b]), axis=1), 1)
    assert unbiased.as_they_are(x, y) == (x, y)
