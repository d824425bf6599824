"""Distances of two sets of vectors that are 0 on average where both are draws of one distribution.

The question behind them: can what the Frechet distance sees in a network's vectors (mean and covariance) be
had without its bias, which depends on the number of files and on their spread?

Conventions
    reference   (n, d), candidate (m, d): a vector a file, at least two each. Values are signed.
    fitted      a mean, a scale or a bandwidth is taken from the rows of both sets together, which do not
                know the sets. So for given rows the mean over all ways of dealing them to the two sets is
                exactly 0 (of ``frechet_jackknifed`` and ``frechet_less_halves`` only about 0: they correct
                a biased value).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy.spatial.distance import cdist

from study import arranged
from study.distances import energy, frechet, gaussian_kernel, kernel_statistic, median_distance

Statistic = Callable[[np.ndarray, np.ndarray], float]

REARRANGEMENTS = 2000  # of ``frechet_rearranged``: the standard error is a 45th of the spread of one
HALVES = 20  # divisions of a set in ``frechet_less_halves``
BANDWIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)  # times the median distance
ALPHAS = (0.2, 0.5, 1.0, 2.0, 5.0)  # of the rational quadratic kernel


def squared_mean_difference(reference: np.ndarray, candidate: np.ndarray) -> float:
    """Return ``|mean x - mean y|^2`` without its bias: the statistic of the kernel ``<x, y>``.

    In squared units of the rows. Blind to all but the means.
    """
    rows = np.concatenate([reference, candidate])
    return kernel_statistic(rows @ rows.T, len(reference))


def squared_covariance_difference(reference: np.ndarray, candidate: np.ndarray) -> float:
    """Return ``|S_x - S_y|^2``, squared Frobenius norm, without its bias, in units of the rows to the 4th.

    The U-statistic of Li and Chen 2012 (doi:10.1214/12-AOS993), with tr S^2 in the closed form of Himeno and
    Yamada 2014 (doi:10.1016/j.jmva.2014.05.011). ValueError for fewer than 4 rows, of which there is no
    unbiased estimate of tr S^2.
    """
    if min(len(reference), len(candidate)) < 4:
        raise ValueError(
            f"sets of {len(reference)} and {len(candidate)} rows; covariances need at least 4 each"
        )
    a, b = (z - z.mean(axis=0) for z in (reference, candidate))
    both = np.sum((a @ b.T) ** 2) / ((len(a) - 1) * (len(b) - 1))  # tr S_x S_y, from independent sets
    return float(_squared_covariance(a) + _squared_covariance(b) - 2 * both)


def _squared_covariance(centred: np.ndarray) -> float:
    """tr S^2 without its bias, of centred rows."""
    n = len(centred)
    gram = centred @ centred.T
    squared, total = np.sum(gram**2) / (n - 1) ** 2, np.trace(gram) / (n - 1)
    fourth = np.sum(np.diag(gram) ** 2) / (n - 1)
    return (n - 1) / (n * (n - 2) * (n - 3)) * ((n - 1) * (n - 2) * squared + total**2 - n * fourth)


def mean_and_covariance(reference: np.ndarray, candidate: np.ndarray, *, weight: float = 1.0) -> float:
    """Return the two above in one, without unit: ``mean / v + weight * covariance / v^2``.

    v is the total variance of the rows of both sets. Of sets of fewer than 4 rows the means alone.
    """
    rows = np.concatenate([reference, candidate])
    variance = np.sum((rows - rows.mean(axis=0)) ** 2) / (len(rows) - 1)
    value = squared_mean_difference(reference, candidate) / variance
    if min(len(reference), len(candidate)) >= 4:
        value += weight * squared_covariance_difference(reference, candidate) / variance**2
    return float(value)


def polynomial(
    reference: np.ndarray,
    candidate: np.ndarray,
    *,
    degree: int,
    constant: float = 1.0,
    centred: bool = False,
    by_width: bool = False,
) -> float:
    """Return the statistic of the kernel ``(<x, y> / s + constant)^degree``, without unit.

    Degree 2 compares means and second moments, and nothing else; without ``constant`` second moments alone.
    s is the mean squared norm of the rows, ``by_width`` their number of columns: degree 3 is then the kernel
    inception distance (Binkowski et al. 2018, arXiv:1801.01401). ``centred`` takes the mean row off first.
    """
    rows = np.concatenate([reference, candidate])
    if centred:
        rows = rows - rows.mean(axis=0)
    scale = rows.shape[1] if by_width else np.mean(np.sum(rows**2, axis=1))
    return kernel_statistic((rows @ rows.T / scale + constant) ** degree, len(reference))


def gaussian(
    reference: np.ndarray, candidate: np.ndarray, *, bandwidths: tuple[float, ...] = BANDWIDTHS
) -> float:
    """Return the MMD of a sum of Gaussian kernels; ``bandwidths`` are times the median distance."""
    rows = np.concatenate([reference, candidate])
    median = median_distance(rows)
    return kernel_statistic(sum(gaussian_kernel(rows, b * median) for b in bandwidths), len(reference))


def rational_quadratic(reference: np.ndarray, candidate: np.ndarray) -> float:
    """Return the MMD of ``sum over a of (1 + |x - y|^2 / (2 a m^2))^-a``, m the median distance.

    Binkowski et al. 2018, arXiv:1801.01401, who recommend it over Gaussian kernels; ``ALPHAS``.
    """
    rows = np.concatenate([reference, candidate])
    squared = cdist(rows, rows, "sqeuclidean") / (2 * median_distance(rows) ** 2)
    return kernel_statistic(sum((1 + squared / a) ** -a for a in ALPHAS), len(reference))


def frechet_rearranged(
    reference: np.ndarray, candidate: np.ndarray, *, rearrangements: int = REARRANGEMENTS
) -> float:
    """Return the Frechet distance less its mean over random rearrangements of the rows of both sets.

    What is taken off is what sets of these sizes would have if all rows were of one source, so the value is
    0 on average there. They are the same ones for sets of the same sizes.
    """
    rows = np.concatenate([reference, candidate])
    count = len(rows)
    order = np.random.default_rng(0).permuted(np.tile(np.arange(count), (rearrangements, 1)), axis=1)
    dealt = np.vstack([np.arange(count), order]) < len(reference)
    observed, *others = arranged.frechet(rows, dealt)
    return float(observed - np.mean(others))


def frechet_jackknifed(reference: np.ndarray, candidate: np.ndarray) -> float:
    """Return the Frechet distance less the jackknife's estimate of its bias, of both sets.

    (n - 1) times what leaving out a row adds (Quenouille 1956, doi:10.1093/biomet/43.3-4.353). A set of
    two rows has none: nothing is taken off for it.
    """
    value = corrected = frechet(reference, candidate)
    if (n := len(reference)) > 2:
        without = [frechet(np.delete(reference, i, 0), candidate) for i in range(n)]
        corrected -= (n - 1) * (np.mean(without) - value)
    if (n := len(candidate)) > 2:
        without = [frechet(reference, np.delete(candidate, i, 0)) for i in range(n)]
        corrected -= (n - 1) * (np.mean(without) - value)
    return float(corrected)


def frechet_less_halves(reference: np.ndarray, candidate: np.ndarray) -> float:
    """Return the Frechet distance less that between random halves of each set, taken at its full size.

    Mean over ``HALVES`` divisions of each set, and over the sets; halved, since the bias falls as one over
    the number of rows. Of a set of fewer than 4 rows nothing is taken off.
    """
    rng = np.random.default_rng(0)

    def within(rows: np.ndarray) -> float:
        half = len(rows) // 2
        if half < 2:
            return 0.0
        orders = (rng.permutation(len(rows)) for _ in range(HALVES))
        return float(np.mean([frechet(rows[o[:half]], rows[o[half : 2 * half]]) for o in orders])) / 2

    return frechet(reference, candidate) - (within(reference) + within(candidate)) / 2


STATISTICS: dict[str, Statistic] = {
    "squared mean difference": squared_mean_difference,
    "mean and covariance": mean_and_covariance,
    "mean and covariance times 5": partial(mean_and_covariance, weight=5.0),
    "second moments": partial(polynomial, degree=2, constant=0.0),
    "polynomial 2": partial(polynomial, degree=2),
    "polynomial 3": partial(polynomial, degree=3),
    "centred polynomial 2": partial(polynomial, degree=2, centred=True),
    "centred polynomial 3": partial(polynomial, degree=3, centred=True),
    "kernel inception distance": partial(polynomial, degree=3, by_width=True),
    "gaussian": partial(gaussian, bandwidths=(1.0,)),
    "five gaussians": gaussian,
    "rational quadratic": rational_quadratic,
    **{f"energy {b:g}": partial(energy, exponent=b) for b in (0.5, 1.0, 1.5, 1.9)},
    "frechet rearranged": frechet_rearranged,
    "frechet jackknifed": frechet_jackknifed,
    "frechet less halves": frechet_less_halves,
}


def standardised(reference: np.ndarray, candidate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both sets with every column at mean 0 and standard deviation 1 over all rows; a constant one at 0."""
    from sklearn.preprocessing import scale

    rows = scale(np.concatenate([reference, candidate]))
    return rows[: len(reference)], rows[len(reference) :]


def of_unit_length(reference: np.ndarray, candidate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both sets with every row at Euclidean norm 1."""
    from sklearn.preprocessing import normalize

    return normalize(reference), normalize(candidate)


def as_they_are(reference: np.ndarray, candidate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both sets unchanged."""
    return reference, candidate


PREPARATIONS = {"": as_they_are, " standardised": standardised, " of unit length": of_unit_length}
