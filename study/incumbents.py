"""The distance on embedded files, and its incumbents on the same numbers with the same rearrangements.

Conventions
    rows         one embedded file a row: (files, 1799) as ``metrics.embed`` gives it for the distance itself,
                 (files, d) on any scale for the incumbents.
    incumbents   Frechet distance and Gaussian-kernel MMD. The bandwidth is the median distance of the
                 reference for the value, and of the pooled files for the test: a kernel that knew the sets
                 would make the test anticonservative.
    p-values     of permutation tests with ``PERMUTATIONS`` rearrangements, those of ``metrics.compare`` with
                 the same seed, so that no test is luckier than another.
"""

from __future__ import annotations

import numpy as np

import metrics
from audio_distance.energy import Observed, observe, view_kernels
from audio_distance.matching import matched
from audio_distance.pooling import usable_numbers
from audio_distance.resampling import arrangements, permutation_test, rearranged
from audio_distance.units import pool_of_vectors
from study.distances import frechet, gaussian_kernel, gaussian_mmd, median_distance

PERMUTATIONS = 199  # of each trial: p in steps of .005


def scaled(rows: np.ndarray) -> np.ndarray:
    """Rows as the incumbents see them: the views' numbers over the bundled divisors."""
    return metrics.divided(rows)


def _observed(reference: np.ndarray, candidate: np.ndarray, *, causes: bool) -> Observed:
    pool = pool_of_vectors(reference, candidate)
    return observe(view_kernels(pool), pool, causes=causes)


def own_value(reference: np.ndarray, candidate: np.ndarray) -> float:
    """The value of ``metrics.distance`` for one window a file; rows not yet over the divisors."""
    return _observed(reference, candidate, causes=False).value


def own_interval(reference: np.ndarray, candidate: np.ndarray) -> tuple[float, float] | None:
    """The 95 % interval of ``metrics.compare`` for one window a file."""
    return _observed(reference, candidate, causes=True).interval


VALUES = {
    "this distance": own_value,
    "Frechet": lambda x, y: frechet(scaled(x), scaled(y)),
    "Gaussian MMD": lambda x, y: gaussian_mmd(scaled(x), scaled(y)),
}


def own_p_value(
    reference: np.ndarray,
    candidate: np.ndarray,
    *,
    seed: int,
    rate: int,
    paired: bool = False,
    owners: np.ndarray | None = None,
) -> float:
    """The p-value of ``metrics.compare`` for one window a file, of sounds at ``rate`` Hz.

    ``paired`` swaps within pairs, row i with row i; ``owners``, (files of both,), makes groups the units.
    """
    pool = pool_of_vectors(reference, candidate, paired=paired, groups=owners)
    arranged = rearranged(
        view_kernels(pool).mean(axis=0),
        pool,
        matched(pool, seed=seed),
        parts=usable_numbers(rate),
        permutations=PERMUTATIONS,
        seed=seed,
    )
    return permutation_test([(1.0, arranged)]).p_value


def incumbent_p_values(
    reference: np.ndarray,
    candidate: np.ndarray,
    *,
    seed: int,
    paired: bool = False,
    frechet_too: bool = True,
) -> dict[str, float]:
    """P-values of the incumbents: "Gaussian MMD" and, unless left out, "Frechet".

    Rows, (files, d) on any scale, with the rearrangements of ``metrics.compare`` for ``seed``; ``paired``
    swaps row i with row i. ``frechet_too=False`` leaves the slow one out: it needs singular values for every
    rearrangement. All rearrangements of the kernel are one matrix product: with z the membership of files in
    the reference, z'Kz is the sum within it.
    """
    pool = pool_of_vectors(reference, candidate, paired=paired)
    # (files, arrangements): 1 where a file is in the reference, the observed arrangement first.
    members, _ = arrangements(pool, PERMUTATIONS, seed)
    rows = pool.vectors
    kernel = gaussian_kernel(rows, median_distance(rows))
    np.fill_diagonal(kernel, 0)
    inside = members.astype(float)
    n, m = len(reference), len(candidate)
    toward = kernel @ inside
    within = np.einsum("up,up->p", toward, inside)
    across = toward.sum(axis=0) - within
    other = kernel.sum() - 2 * across - within
    statistic = within / (n * (n - 1)) + other / (m * (m - 1)) - 2 * across / (n * m)
    # An arrangement that ties but for rounding counts as at least as large.
    p_values = {"Gaussian MMD": float((statistic >= statistic[0] - 1e-12).mean())}
    if frechet_too:
        values = _frechet_arranged(rows, members > 0)
        p_values["Frechet"] = float((values >= values[0] - 1e-9 * abs(values[0])).mean())
    return p_values


def _frechet_arranged(rows: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Frechet distance for every arrangement, through the files' Gram matrix.

    tr sqrt(S1 S2) is the nuclear norm of the product of the two centred data factors, an n x m matrix
    of inner products, so nothing of size 1032 x 1032 appears. ``frechet`` gives the same (tested).
    """
    gram = rows @ rows.T
    result = np.empty(members.shape[1])
    for column in range(members.shape[1]):
        a, b = np.flatnonzero(members[:, column]), np.flatnonzero(~members[:, column])
        aa, bb, ab = gram[np.ix_(a, a)], gram[np.ix_(b, b)], gram[np.ix_(a, b)]
        mean = aa.mean() + bb.mean() - 2 * ab.mean()
        spread = (np.trace(aa) / len(a) - aa.mean()) * len(a) / (len(a) - 1) + (
            np.trace(bb) / len(b) - bb.mean()
        ) * len(b) / (len(b) - 1)
        centred = ab - ab.mean(axis=0) - ab.mean(axis=1)[:, None] + ab.mean()
        nuclear = np.linalg.svd(centred, compute_uv=False).sum() / np.sqrt((len(a) - 1) * (len(b) - 1))
        result[column] = mean + spread - 2 * nuclear
    return result
