"""Candidate distances between two embedded sets: matrices in, one number out.

Conventions
    reference   float (n, d): one row a draw (a file, described by one vector).
    candidate   float (m, d), the same columns. n and m at least 2, because every distance here
                needs the spread within a set.
    distance    ``f(reference, candidate, *, rng=None) -> float``. ``rng`` is a
                ``numpy.random.Generator`` for those that draw; those that do not accept and ignore
                it, so that one loop calls all.
    kernel      float (n + m, n + m), symmetric, over the pooled rows, those of the reference first;
                large means alike.

Distances
    frechet         of the Gaussians of the sets' means and covariances. Biased upwards at small n.
    gaussian_mmd    unbiased squared maximum mean discrepancy, as in Kernel Audio Distance. Signed.
    energy          generalised energy distance, unbiased. Signed.

Tests
    permutation_pvalue          over rows, for every distance.
    kernel_permutation_pvalue   over rows, faster, for a statistic of a kernel.
    Rows that belong together (windows of one file) are not draws: permuting them raises false
    alarms far above the nominal level.

All of them raise ValueError, with the value and the limit, for a set that is not a finite matrix of
at least two rows, and for two sets of different width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from scipy.spatial.distance import cdist, pdist

Distance = Callable[..., float]

RELABELLINGS_AT_ONCE = 256  # bounds the memory of a permutation test over many rows
TIE = 1e-12  # of the largest statistic: labellings that are equal but for rounding count as equal


def frechet(reference: np.ndarray, candidate: np.ndarray, *, rng: np.random.Generator | None = None) -> float:
    """Return the squared Frechet (2-Wasserstein) distance of the two fitted Gaussians.

    ``|mean_1 - mean_2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2)`` with covariances over n - 1 (Dowson
    and Landau 1982, doi:10.1016/0047-259X(82)90077-X; for audio Kilgour et al. 2019,
    arXiv:1812.08466).

    With centred rows ``A = (reference - mean) / sqrt(n - 1)``, so that ``S1 = A'A``, and B
    likewise, the eigenvalues of ``S1 S2`` other than 0 are the squared singular values of ``A B'``.
    The last trace is therefore their sum, the nuclear norm: real for every input, and exact when a
    covariance is singular (n <= d), where a matrix square root turns complex or NaN. In units of
    the embedding, squared; 0 for equal sets, up to rounding.
    """
    reference, candidate = _checked(reference, candidate)
    shift = reference.mean(axis=0) - candidate.mean(axis=0)
    a, b = _covariance_factor(reference), _covariance_factor(candidate)
    fidelity = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return float(shift @ shift + np.sum(a**2) + np.sum(b**2) - 2.0 * fidelity)


def gaussian_mmd(
    reference: np.ndarray,
    candidate: np.ndarray,
    *,
    bandwidth: float | None = None,
    rng: np.random.Generator | None = None,
) -> float:
    """Return the squared maximum mean discrepancy under a Gaussian kernel, a U-statistic, signed.

    ``mean k(x, x') + mean k(y, y') - 2 mean k(x, y)`` with
    ``k = exp(-|x - y|^2 / (2 bandwidth^2))`` and no row paired with itself (Gretton et al. 2012,
    JMLR 13:723). The default ``bandwidth`` is the median distance within the reference, as in
    Kernel Audio Distance (arXiv:2502.15602, which multiplies by a constant; not done here): from
    the reference alone, so that all candidates are on one scale. From -2 to 2, without unit.

    Unbiased for a given ``bandwidth``. The median follows the reference, so by default the mean at
    equal distributions is not exactly 0 for a small reference: +.007 (standard error .0015) between
    sets of 4 normal numbers, where one value has a standard deviation of .21.
    """
    reference, candidate = _checked(reference, candidate)
    if bandwidth is None:
        bandwidth = median_distance(reference)
    pooled = np.concatenate([reference, candidate])
    return kernel_statistic(gaussian_kernel(pooled, bandwidth), len(reference))


def energy(
    reference: np.ndarray,
    candidate: np.ndarray,
    *,
    exponent: float = 0.5,
    rng: np.random.Generator | None = None,
) -> float:
    """Return the generalised energy distance, a U-statistic, signed.

    ``2 mean |x - y|^b - mean |x - x'|^b - mean |y - y'|^b`` with ``b = exponent`` and no row paired
    with itself (Szekely and Rizzo 2013, doi:10.1016/j.jspi.2013.03.018). In units of the embedding
    to the power b. Unbiased; with ``0 < b < 2`` (ValueError otherwise) its expectation is 0 for
    equal distributions only. The default, 1/2, weighs far pairs less than the usual 1; unlike a
    Gaussian kernel it has no bandwidth to get wrong.
    """
    reference, candidate = _checked(reference, candidate)
    pooled = np.concatenate([reference, candidate])
    return kernel_statistic(energy_kernel(pooled, exponent), len(reference))


def median_distance(rows: np.ndarray) -> float:
    """Return the median Euclidean distance over the pairs of different rows of (n, d).

    ValueError if it is 0 (half of the pairs are equal): it could not serve as a bandwidth.
    """
    median = float(np.median(pdist(rows)))
    if median == 0.0:
        raise ValueError(
            "the median distance within the reference is 0: at least half of its pairs of rows are "
            "equal; does it repeat a few files?"
        )
    return median


def gaussian_kernel(pooled: np.ndarray, bandwidth: float) -> np.ndarray:
    """Return ``exp(-|x - y|^2 / (2 bandwidth^2))`` for the rows of (n, d): (n, n).

    ValueError unless ``bandwidth``, in units of the rows, is finite and above 0.
    """
    if not (np.isfinite(bandwidth) and bandwidth > 0.0):
        raise ValueError(f"bandwidth is {bandwidth}; it must be finite and above 0")
    # Not through |x|^2 + |y|^2 - 2xy, which cancels where rows are close.
    return np.exp(cdist(pooled, pooled, "sqeuclidean") / (-2.0 * bandwidth**2))


def energy_kernel(pooled: np.ndarray, exponent: float = 0.5) -> np.ndarray:
    """Return ``-|x - y|^exponent`` for the rows of (n, d): (n, n).

    ValueError unless ``0 < exponent < 2``: from 2 on it is not the kernel of a distance.
    """
    if not 0.0 < exponent < 2.0:
        raise ValueError(
            f"exponent is {exponent}; it must be above 0 and below 2 (at 2, sets of equal mean "
            "are at distance 0)"
        )
    return -(cdist(pooled, pooled) ** exponent)


def kernel_statistic(kernel: np.ndarray, references: int) -> float:
    """Return ``mean k(x, x') + mean k(y, y') - 2 mean k(x, y)``, diagonals left out.

    ``kernel`` (N, N) over the pooled rows, of which the first ``references`` are the reference.
    """
    labels = np.arange(len(kernel))[None] < references
    return float(_kernel_statistics(_without_diagonal(kernel), labels)[0])


def permutation_pvalue(
    reference: np.ndarray,
    candidate: np.ndarray,
    distance: Distance,
    *,
    permutations: int = 999,
    rng: np.random.Generator,
) -> float:
    """Return the p-value of ``distance`` under exchange of rows, computed anew for each labelling.

    ``(1 + c) / (1 + permutations)``, c the labellings with a distance as large as that observed
    (Phipson and Smyth 2010, doi:10.2202/1544-6115.1585): never 0, and exact at every size, also
    where the distance fits something (a bandwidth) on the reference, for it is fitted again.
    Whatever was fitted *before* the call must be fitted on both sets together. The smallest p is
    ``1 / (1 + permutations)``, so the default can reach .001. For a kernel use
    ``kernel_permutation_pvalue``, which is much faster.
    """
    reference, candidate = _checked(reference, candidate)
    pooled = np.concatenate([reference, candidate])
    observed = distance(reference, candidate, rng=rng)
    null = [
        distance(pooled[label], pooled[~label], rng=rng)
        for labels in _relabellings(len(pooled), len(reference), permutations, rng)
        for label in labels
    ]
    return _pvalue(observed, np.array(null))


def kernel_permutation_pvalue(
    kernel: np.ndarray, references: int, *, permutations: int = 999, rng: np.random.Generator
) -> float:
    """Return the p-value of ``kernel_statistic`` under exchange of rows, from one kernel matrix.

    The same labellings and p-value as ``permutation_pvalue`` with the same ``rng``, through one
    matrix product for many labellings. Exact if the kernel does not know the labels: take the
    bandwidth from the *pooled* rows (``gaussian_kernel(pooled, median_distance(pooled))``), not
    from the reference. ValueError unless ``kernel`` is square and both sets have at least 2 rows.
    """
    if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1]:
        raise ValueError(f"the kernel has shape {kernel.shape}; it must be square")
    if not 2 <= references <= len(kernel) - 2:
        raise ValueError(f"{references} of {len(kernel)} rows are the reference; each set needs at least 2")
    kernel = _without_diagonal(kernel)
    observed = _kernel_statistics(kernel, np.arange(len(kernel))[None] < references)[0]
    null = [
        _kernel_statistics(kernel, labels)
        for labels in _relabellings(len(kernel), references, permutations, rng)
    ]
    return _pvalue(observed, np.concatenate(null))


def _checked(reference: np.ndarray, candidate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    sets = {"reference": reference, "candidate": candidate}
    for role, rows in sets.items():
        # float64 throughout: half precision puts such distances off by a percent.
        sets[role] = rows = np.asarray(rows, dtype=np.float64)
        if rows.ndim != 2 or len(rows) < 2 or rows.shape[1] < 1:
            raise ValueError(
                f"the {role} has shape {rows.shape}; it must be (rows, columns) with at least 2 "
                "rows and 1 column"
            )
        if not np.isfinite(rows).all():
            bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
            raise ValueError(f"the {role} has NaN or infinity in {len(bad)} rows, first in {bad[0]}")
    reference, candidate = sets.values()
    if reference.shape[1] != candidate.shape[1]:
        raise ValueError(
            f"the reference has {reference.shape[1]} columns and the candidate "
            f"{candidate.shape[1]}; are they from the same embedding?"
        )
    return reference, candidate


def _covariance_factor(rows: np.ndarray) -> np.ndarray:
    """Return R, (min(n, d), d), with ``R'R`` the covariance: smaller than the rows when n > d."""
    centred = (rows - rows.mean(axis=0)) / np.sqrt(len(rows) - 1)
    return np.linalg.qr(centred, mode="r") if len(rows) > rows.shape[1] else centred


def _without_diagonal(kernel: np.ndarray) -> np.ndarray:
    kernel = np.array(kernel, dtype=np.float64)
    np.fill_diagonal(kernel, 0.0)
    return kernel


def _kernel_statistics(kernel: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return (P,), one statistic a labelling: kernel (N, N), diagonal 0; labels bool (P, N)."""
    x = labels.astype(np.float64)
    to_x = x @ kernel
    to_y = kernel.sum(axis=0) - to_x
    n, m = labels.sum(axis=1), (~labels).sum(axis=1)
    within_x = np.sum(to_x * x, axis=1) / (n * (n - 1))
    within_y = np.sum(to_y * (1.0 - x), axis=1) / (m * (m - 1))
    between = np.sum(to_y * x, axis=1) / (n * m)
    return within_x + within_y - 2.0 * between


def _relabellings(
    rows: int, references: int, permutations: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yield bool (up to 256, rows) blocks, each line with ``references`` True in random places."""
    if permutations < 1:
        raise ValueError(f"permutations is {permutations}; at least 1 is needed")
    label = np.arange(rows) < references
    for start in range(0, permutations, RELABELLINGS_AT_ONCE):
        count = min(RELABELLINGS_AT_ONCE, permutations - start)
        yield rng.permuted(np.tile(label, (count, 1)), axis=1)


def _pvalue(observed: float, null: np.ndarray) -> float:
    if not (np.isfinite(observed) and np.isfinite(null).all()):
        # NaN is not as large as anything: it would pass for the smallest p-value.
        raise ValueError(f"a distance is NaN or infinite (the one observed is {observed})")
    slack = TIE * max(abs(observed), np.max(np.abs(null)))
    return float((1 + np.count_nonzero(null >= observed - slack)) / (1 + len(null)))
