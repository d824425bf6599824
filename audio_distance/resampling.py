"""Rearranging and leaving out units: the permutation test, and the jackknife."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audio_distance.kernel import unit_tiles
from audio_distance.units import Pool, pair_counts

WHITENING_RIDGE = 0.1  # of the mean variance: flat from .01 to .3 in power, see the benchmark


def jackknife_interval(value: float, strata, level: float = 0.95) -> tuple[float, float]:
    """Stratified delete-one jackknife with t; degrees of freedom after Welch and Satterthwaite."""
    from scipy.special import stdtrit

    variance, freedom = jackknife_variance(strata)
    half = float(stdtrit(freedom, 0.5 + level / 2)) * math.sqrt(variance)
    return value - half, value + half


def jackknife_variance(strata) -> tuple[float, float]:
    parts = [((len(s) - 1) * float(np.var(s)), len(s) - 1) for s in map(np.asarray, strata) if len(s) > 1]
    variance = sum(part for part, _ in parts)
    squares = sum(part**2 / freedom for part, freedom in parts)
    return variance, variance**2 / squares if squares > 0 else 1.0


def arrangements(pool: Pool, permutations: int, seed: int) -> tuple[np.ndarray, bool]:
    """Membership in the reference, (units, arrangements), the observed one first.

    Pairs are swapped, all other units dealt anew, shared ones stay in both. Every arrangement there is,
    if there are no more than ``permutations`` + 1, else that many at random.
    """
    in_reference = (pool.members & 1 > 0).astype(np.float32)
    left = np.flatnonzero((pool.partner >= 0) & (pool.members == 1))
    right = pool.partner[left]
    free = np.flatnonzero((pool.partner < 0) & (pool.members != 3))
    chosen = int((pool.members[free] == 1).sum())
    count = 2 ** min(len(left), 60) * math.comb(len(free), chosen)
    exact = count <= permutations + 1
    if exact:
        deals = list(itertools.combinations(free, chosen))
        swaps = list(itertools.product((0, 1), repeat=len(left)))
        members = np.repeat(in_reference[:, None], count, axis=1)
        for column, (swap, deal) in enumerate(itertools.product(swaps, deals)):
            members[left, column], members[right, column] = np.subtract(1, swap), swap
            members[free, column] = 0
            members[list(deal), column] = 1
        observed = int(np.flatnonzero((members == in_reference[:, None]).all(axis=0))[0])
        members[:, [0, observed]] = members[:, [observed, 0]]
        return members, True
    rng = np.random.default_rng(seed)
    members = np.repeat(in_reference[:, None], permutations + 1, axis=1)
    for column in range(1, permutations + 1):
        swap = rng.integers(0, 2, len(left))
        members[left, column], members[right, column] = 1 - swap, swap
        members[free, column] = members[rng.permutation(free), 0]
    return members, False


def arranged_values(tiles, pool: Pool, members: np.ndarray) -> np.ndarray:
    """Value for every arrangement of ``members``; ``tiles`` as ``unit_tiles`` yields, one view."""
    both = 1.0 + (pool.members == 3)
    within, toward, everything = np.zeros(members.shape[1]), np.zeros(members.shape[1]), 0.0
    for first, last, kernel in tiles:
        size = last - first
        kernel = kernel.copy()
        kernel[:, :size] /= 2  # the square on the diagonal is met from both sides
        mine, others = members[first:last], members[first:]
        within += 2 * np.einsum("up,up->p", kernel @ others.astype(kernel.dtype), mine, dtype=float)
        totals = kernel @ both[first:]
        toward += totals @ mine + (both[first:last] @ kernel) @ others
        everything += 2 * float(totals @ both[first:last])
    return pair_counts(pool).value(within, toward - within, everything - 2 * toward + within)


def standardise(view: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Each number by its standard deviation over the pooled units: the same for every arrangement."""
    centred = view - weights @ view
    spread = np.sqrt(weights @ centred**2)
    typical = np.median(spread[spread > 0]) if np.any(spread > 0) else 1.0
    return centred / np.sqrt(spread**2 + (0.1 * typical) ** 2) / math.sqrt(2 * view.shape[1])


def whiten(view: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Principal components of the pooled units, each divided by sqrt(variance + ridge)."""
    weighted = np.sqrt(weights)[:, None] * (view - weights @ view)
    if len(view) <= view.shape[1]:
        _, spread, axes = np.linalg.svd(weighted, full_matrices=False)
        variance = spread**2
    else:
        variance, axes = np.linalg.eigh(weighted.T @ weighted)
        axes = axes.T
    kept = variance > 1e-10 * max(float(variance.max(initial=0)), 1e-300)
    variance, axes = variance[kept], axes[kept]
    if not len(variance):
        return np.zeros((len(view), 1))
    scores = (view - weights @ view) @ axes.T
    return scores / np.sqrt(variance + WHITENING_RIDGE * variance.mean()) / math.sqrt(2 * len(variance))


def pooled_families(
    views: Sequence[np.ndarray], weights: np.ndarray, audible: Sequence[np.ndarray] | None = None
) -> list[list[np.ndarray]]:
    """The pooled descriptions whose statistics the test combines.

    Standardised numbers see broad changes (a class that is missing), whitened ones small consistent
    changes (a codec); whitened twice, from the numbers as they are and from standardised ones, because
    the ridge damps other directions in each. Attack is linear in the envelope, so it is never whitened.
    ``audible`` masks the numbers of each view that are used (see ``audible_numbers``).
    """
    if audible is not None:
        views = [view[:, used] for view, used in zip(views, audible, strict=True)]
    standardised = [standardise(view, weights) for view in views]
    whitened = [0] if len(views) == 1 else [0, 2]
    return [
        standardised,
        *([whiten(family[i], weights) for i in whitened] for family in (views, standardised)),
    ]


@dataclass(frozen=True)
class PermutationTest:
    p_value: float
    null_spread: float
    permutations: int
    exact: bool
    smallest_p: float


def permutation_test(
    views, scaled, pool: Pool, *, permutations: int, seed: int, audible=None
) -> PermutationTest:
    """Permutation test of "one source": the largest of three studentised energy distances.

    ``views`` are the numbers as they are, ``scaled`` those of the value (for its null spread). Every
    description is fitted on the pooled units, which no rearrangement changes, so the test is exact:
    P(p <= alpha) <= alpha for exchangeable units at every size.
    """
    members, exact = arrangements(pool, permutations, seed)
    if members.shape[1] == 1:  # every unit is in both sets
        return PermutationTest(1.0, 0.0, 0, True, 1.0)

    def arranged(family):
        tiles = ((*tile, kernel.mean(axis=0)) for *tile, kernel in unit_tiles(family, pool))
        return arranged_values(tiles, pool, members)

    families = pooled_families(views, pool.weights / pool.size, audible)
    statistics = np.array([studentise(arranged(family)) for family in families])
    largest = statistics.max(axis=0)
    count = len(largest)
    # Arrangements that are equal up to rounding are ties, and ties count as reached.
    reached = int((largest >= largest[0] - 1e-6).sum())
    symmetric = 2 if exact and int((largest >= largest.max() - 1e-6).sum()) >= 2 else 1
    null = arranged(scaled)[0 if exact else 1 :]
    return PermutationTest(
        p_value=reached / count,
        null_spread=float(null.std()),
        permutations=count if exact else count - 1,
        exact=exact,
        smallest_p=(symmetric if exact else 1) / count,
    )


def studentise(values: np.ndarray) -> np.ndarray:
    spread = values.std()
    return (values - values.mean()) / spread if spread > 1e-12 else np.zeros_like(values)
