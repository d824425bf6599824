"""Rearranging and leaving out units: the permutation test, and the jackknife.

Conventions
    members      (units, arrangements) float32: 1 where a unit is dealt to the reference; first as observed.
    exact        every arrangement there is was made; else ``permutations`` random ones beside the observed.
    p_value      share of arrangements, the observed among them, whose statistic is at least the observed one
                 (Phipson and Smyth 2010, doi:10.2202/1544-6115.1585): never 0, and exact at every size.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from audio_distance.kernel import Tile, Tiles, unit_tiles
from audio_distance.units import Pool, pair_counts

WHITENING_RIDGE = 0.1  # of the mean variance: flat from .01 to .3 in power, see the benchmark
TEST_PASSES = 4  # over the kernel: three families, and the value's own
TIE = 1e-6  # studentised statistics that differ by less are equal up to rounding


def jackknife_interval(value: float, strata: Iterable[ArrayLike], level: float = 0.95) -> tuple[float, float]:
    """Stratified delete-one jackknife with t; degrees of freedom after Welch and Satterthwaite.

    Parameters
    ----------
    value : float
        The estimate with all units.
    strata : iterable of arrays
        For each independent sample, the values without each of its units in turn.
    level : float
        Coverage, .95 by default.

    Returns
    -------
    (low, high), symmetric about ``value``; of zero width where no unit makes a difference.

    Notes
    -----
    Not a bootstrap: a resampled set holds copies, a copy of a file is at distance zero from itself, and
    the interval then covers nothing (measured: 0 %). Deterministic besides.
    """
    variance, freedom = jackknife_variance(strata)
    half = float(stdtrit(freedom, 0.5 + level / 2)) * math.sqrt(variance)
    return value - half, value + half


def jackknife_variance(strata: Iterable[ArrayLike]) -> tuple[float, float]:
    """Variance of a sum over independent samples, and its degrees of freedom.

    The variance of a stratum of n is (n - 1) / n sum_i (x_i - mean x)^2 (Efron and Stein 1981,
    doi:10.1214/aos/1176345462); degrees of freedom after Satterthwaite (1946, doi:10.2307/3002019).
    A stratum of one unit says nothing of its spread and is left out.
    """
    parts = [((len(s) - 1) * float(np.var(s)), len(s) - 1) for s in map(np.asarray, strata) if len(s) > 1]
    variance = sum(part for part, _ in parts)
    squares = sum(part**2 / freedom for part, freedom in parts)
    return variance, variance**2 / squares if squares > 0 else 1.0


def arrangements(pool: Pool, permutations: int, seed: int) -> tuple[NDArray[np.float32], bool]:
    """Membership in the reference, (units, arrangements), the observed one first; and whether that is all.

    Pairs are swapped, all other units dealt anew, shared ones stay in both. Every arrangement there is,
    if there are no more than ``permutations`` + 1, else that many at random.

    Parameters
    ----------
    permutations : int
        Random arrangements beside the observed one.
    seed : int
        Of ``numpy.random.default_rng``: for each arrangement first a swap or none for each pair in the order
        of the units, then a permutation of the units that are free.

    Returns
    -------
    members : array, (units, arrangements) float32
    exact : bool
    """
    in_reference = pool.in_reference.astype(np.float32)
    left = np.flatnonzero((pool.partner >= 0) & (pool.members == 1))
    right = pool.partner[left]
    free = np.flatnonzero((pool.partner < 0) & (pool.members != 3))
    chosen = int((pool.members[free] == 1).sum())
    # Beyond 60 pairs the number is far above any limit, and need not be written out.
    count = 2 ** min(len(left), 60) * math.comb(len(free), chosen)
    exact = count <= permutations + 1
    if exact:
        deals = list(itertools.combinations(free, chosen))
        swaps = itertools.product((0, 1), repeat=len(left))
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
        swapped = rng.integers(0, 2, len(left))
        members[left, column], members[right, column] = 1 - swapped, swapped
        members[free, column] = members[rng.permutation(free), 0]
    return members, False


def arranged_values(tiles: Iterable[Tile], pool: Pool, members: NDArray[np.float32]) -> NDArray[np.float64]:
    """Value for every arrangement of ``members``; ``tiles`` as ``unit_tiles`` yields, of one view.

    One pass over the upper half of the kernel serves all arrangements: with r = 1 in the reference, the sums
    within, across and of everything follow from r' K r, r' K 1 and 1' K 1.
    """
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


def standardise(view: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each number by its standard deviation over the pooled units: the same for every arrangement.

    ``view`` is (windows, numbers), ``weights`` (windows,) sum to 1. A number that hardly varies is kept from
    counting most by a tenth of the typical spread.
    """
    centred = view - weights @ view
    spread = np.sqrt(weights @ centred**2)
    typical = np.median(spread[spread > 0]) if np.any(spread > 0) else 1.0
    scaled: NDArray[np.float64] = (
        centred / np.sqrt(spread**2 + (0.1 * typical) ** 2) / math.sqrt(2 * view.shape[1])
    )
    return scaled


def whiten(view: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Principal components of the pooled units, each divided by sqrt(variance + ridge).

    Parameters
    ----------
    view : array, (windows, numbers)
    weights : array, (windows,)
        They sum to 1 over all units.

    Returns
    -------
    (windows, components), scaled so that two random windows are about 1 apart; one column of zeros where
    nothing varies.

    Notes
    -----
    The ridge, a tenth of the mean variance, keeps directions that the sample hardly shows from counting as
    much as the others: with fewer units than numbers these would be most of the statistic.
    """
    weighted = np.sqrt(weights)[:, None] * (view - weights @ view)
    # Of the two ways to the same axes the one with the smaller matrix.
    if len(view) <= view.shape[1]:
        _, spread, axes = np.linalg.svd(weighted, full_matrices=False)
        variance = spread**2
    else:
        variance, axes = np.linalg.eigh(weighted.T @ weighted)
        axes = axes.T
    # Components that are rounding would be blown up to count like the others.
    kept = variance > 1e-10 * max(float(variance.max(initial=0)), 1e-300)
    variance, axes = variance[kept], axes[kept]
    if not len(variance):
        return np.zeros((len(view), 1))
    scores = (view - weights @ view) @ axes.T
    whitened: NDArray[np.float64] = (
        scores / np.sqrt(variance + WHITENING_RIDGE * variance.mean()) / math.sqrt(2 * len(variance))
    )
    return whitened


def pooled_families(
    views: Sequence[NDArray[np.float64]],
    weights: NDArray[np.float64],
    audible: Sequence[NDArray[np.bool_]] | None = None,
) -> list[list[NDArray[np.float64]]]:
    """The pooled descriptions whose statistics the test combines.

    Standardised numbers see broad changes (a class that is missing), whitened ones small consistent
    changes (a codec); whitened twice, from the numbers as they are and from standardised ones, because
    the ridge damps other directions in each. Attack is linear in the envelope, so it is never whitened.
    ``audible`` masks the numbers of each view that are used (see ``features.audible_numbers``).
    """
    if audible is not None:
        views = [view[:, used] for view, used in zip(views, audible, strict=True)]
    standardised = [standardise(view, weights) for view in views]
    whitened = [0] if len(views) == 1 else [0, 2]  # envelope and fine structure
    return [
        standardised,
        *([whiten(family[i], weights) for i in whitened] for family in (views, standardised)),
    ]


@dataclass(frozen=True)
class PermutationTest:
    """What the permutation test found.

    Attributes
    ----------
    p_value, statistic : float
        The largest of the studentised energy distances, and the share of arrangements that reach it.
    null_distribution : (arrangements,)
        The statistic under every arrangement, the observed one first; what ties with it but for rounding is
        set equal to it, so ``p_value`` is the share that is at least ``statistic``.
    null_values : (permutations,)
        The distance itself under the arrangements; the observed one first if exact, else left out.
    permutations : int
        Rearrangements made; all there are if ``exact``.
    smallest_p : float
        The smallest p-value that these units can give.
    """

    p_value: float
    statistic: float
    null_distribution: NDArray[np.float64]
    null_values: NDArray[np.float64]
    permutations: int
    exact: bool
    smallest_p: float

    @property
    def null_spread(self) -> float:
        return float(self.null_values.std()) if len(self.null_values) else 0.0


def permutation_test(
    views: Sequence[NDArray[np.float64]],
    scaled: Sequence[NDArray[np.float64]],
    pool: Pool,
    *,
    permutations: int,
    seed: int,
    audible: Sequence[NDArray[np.bool_]] | None = None,
    tiles: Tiles = unit_tiles,
) -> PermutationTest:
    """Permutation test of "one source": the largest of three studentised energy distances.

    ``views`` are the numbers as they are, ``scaled`` those of the value (for its null spread). Every
    description is fitted on the pooled units, which no rearrangement changes, so the test is exact:
    P(p <= alpha) <= alpha for exchangeable units at every size.

    Parameters
    ----------
    views, scaled : sequences of arrays, each (windows, numbers)
        As ``units.value_views`` gives them.
    permutations, seed : int
        See ``arrangements``.
    audible : sequence of arrays of bool, each (numbers,), optional
        Numbers of each view that take part (``features.audible_numbers``); all by default.
    tiles : callable
        ``kernel.unit_tiles``, or that with a progress bar; called ``TEST_PASSES`` times.

    Returns
    -------
    PermutationTest

    Notes
    -----
    The largest of several statistics, each brought to one scale by its own null distribution, is again one
    statistic: its p-value needs no correction for having looked at three.
    """
    members, exact = arrangements(pool, permutations, seed)
    if members.shape[1] == 1:  # every unit is in both sets
        return PermutationTest(1.0, 0.0, np.zeros(1), np.zeros(0), 0, True, 1.0)

    def arranged(family: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        means = ((first, last, kernel.mean(axis=0)) for first, last, kernel in tiles(family, pool))
        return arranged_values(means, pool, members)

    families = pooled_families(views, pool.weights / pool.size, audible)
    largest = np.max([studentise(arranged(family)) for family in families], axis=0)
    count = len(largest)
    # Arrangements that are equal up to rounding are ties, and ties count as reached.
    largest[np.abs(largest - largest[0]) <= TIE] = largest[0]
    reached = int((largest >= largest[0]).sum())
    # Two sets of one size are at the same distance with their names exchanged: p is 2 of all at best.
    symmetric = 2 if exact and int((largest >= largest.max() - TIE).sum()) >= 2 else 1
    return PermutationTest(
        p_value=reached / count,
        statistic=float(largest[0]),
        null_distribution=largest,
        null_values=arranged(scaled)[0 if exact else 1 :],
        permutations=count if exact else count - 1,
        exact=exact,
        smallest_p=(symmetric if exact else 1) / count,
    )


def studentise(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centred and divided by the spread over the arrangements; zeros where all are equal."""
    spread = values.std()
    return (values - values.mean()) / spread if spread > 1e-12 else np.zeros_like(values)
