"""The distance on embedded files, and its incumbents on the same numbers with the same rearrangements.

Conventions
    rows         one embedded file a row: (files, 1799) as ``metrics.embed`` gives it for the distance itself,
                 (files, d) on any scale for the incumbents.
    incumbents   Frechet distance and Gaussian-kernel MMD. The bandwidth is the median distance of the
                 reference for the value, and of the pooled files for the test: a kernel that knew the sets
                 would make the test anticonservative.
    version 1    the test of the recipe's first version on the numbers of the one at work.
    p-values     of permutation tests with ``PERMUTATIONS`` rearrangements, those of ``metrics.compare`` with
                 the same seed, so that no test is luckier than another.
"""

from __future__ import annotations

import numpy as np

import metrics
from audio_distance import pooling
from audio_distance.energy import Observed, observe, view_kernels
from audio_distance.matching import matched
from audio_distance.pooling import usable_numbers
from audio_distance.resampling import arrangements, permutation_test, rearranged
from audio_distance.transforms import FINE_BANDS, mel_edges
from audio_distance.units import pool_of_vectors
from study import arranged
from study.distances import energy_kernel, frechet, gaussian_mmd, kernel_statistics

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
    block = rearranged(
        view_kernels(pool).mean(axis=0),
        pool,
        matched(pool, seed=seed),
        parts=usable_numbers(rate),
        permutations=PERMUTATIONS,
        seed=seed,
    )
    return permutation_test([(1.0, block)]).p_value


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
    rearrangement.
    """
    pool = pool_of_vectors(reference, candidate, paired=paired)
    dealt = arrangements(pool, PERMUTATIONS, seed)[0].T > 0
    p_values = {"Gaussian MMD": arranged.p_value(arranged.gaussian_mmd(pool.vectors, dealt))}
    if frechet_too:
        p_values["Frechet"] = arranged.p_value(arranged.frechet(pool.vectors, dealt))
    return p_values


def first_version_p_value(
    reference: np.ndarray, candidate: np.ndarray, *, seed: int, rate: int, paired: bool = False
) -> float:
    """The p-value of the test of version 1, for rows and options as ``own_p_value`` has them."""
    pool = pool_of_vectors(reference, candidate, paired=paired)
    dealt = arrangements(pool, PERMUTATIONS, seed)[0].T > 0
    return arranged.p_value(first_version(pool.vectors, dealt, rate=rate))


def first_version(rows: np.ndarray, dealt: np.ndarray, *, rate: int) -> np.ndarray:
    """The statistic of version 1 under every arrangement, (arrangements,), of ``rows`` as described.

    The largest of three energy distances over the views, each brought to mean 0 and spread 1 by its own
    arrangements: of standardised numbers, and of envelope and fine structure whitened, as they are and
    standardised. Bands of the fine structure above half of ``rate`` (Hz) are left out.
    """
    weights = np.full(len(rows), 1 / len(rows))
    views = metrics.split_views(rows.astype(float))
    heard = np.tile(mel_edges(FINE_BANDS)[2:] <= rate / 2 + 1e-6, 18)
    views["fine structure"] = views["fine structure"][:, heard]
    standard = {name: pooling.standardise(view, weights) for name, view in views.items()}
    whitened = [
        [pooling.whiten(family[name], weights, ridge=0.1)[0] for name in ("envelope", "fine structure")]
        for family in (views, standard)
    ]
    energies = []
    for family in (list(standard.values()), *whitened):
        kernel = np.mean([energy_kernel(view) for view in family], axis=0)
        energies.append(kernel_statistics(kernel, dealt))
    return np.max([(e - e.mean()) / max(e.std(), 1e-12) for e in energies], axis=0)
