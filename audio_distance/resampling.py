"""Rearranging units: the permutation test.

Conventions
    members      (units, arrangements) float32: 1 where a unit is dealt to the reference; first as observed.
    chunk        arrangements that are looked at together, so that many take no more memory than few.
    exact        every arrangement there is was made; else ``permutations`` random ones beside the observed.
    p_value      share of arrangements, the observed among them, whose statistic is at least the observed one
                 (Phipson and Smyth 2010, doi:10.2202/1544-6115.1585): never 0, and exact at every size.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio_distance import pooling
from audio_distance.kernel import Kernel, unit_kernel
from audio_distance.units import Pool, pair_counts, window_parts

TIE = 1e-6  # normal scores that differ by less are equal up to rounding
TIED_UNITS = 512  # above them arrangements are summed in float32
TESTED_WINDOWS = 8192  # of a block, at most, in the test
CHUNK = 1024  # arrangements, of which differences of some 1,700 numbers are held at once: 7 MiB in float32
CACHED = 64  # arrangements in float64: .9 MiB, which stay in the processor's cache
CACHED_UNITS = 256  # of more units the parts would be read too often
MOST = {"plain": 1, "freed": 5}  # of single numbers, how many of the largest differences are added


def arrangements(
    pool: Pool, permutations: int, seed: int, *, block: int | None = None
) -> tuple[NDArray[np.float32], bool]:
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
    block : int, optional
        Of several: never every arrangement, and the generator is that of [seed, block].

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
    count = possible_arrangements(pool)
    exact = block is None and count <= permutations + 1
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
    rng = np.random.default_rng(seed if block is None else [seed, block])
    members = np.repeat(in_reference[:, None], permutations + 1, axis=1)
    if len(left) and len(free):
        for column in range(1, permutations + 1):
            swapped = rng.integers(0, 2, len(left))
            members[left, column], members[right, column] = 1 - swapped, swapped
            members[free, column] = members[rng.permutation(free), 0]
        return members, False
    # Of one kind alone all draws follow each other: one call makes the same ones, in a tenth of the time.
    swapped = rng.integers(0, 2, (permutations, len(left))).T
    members[left, 1:], members[right, 1:] = 1 - swapped, swapped
    members[free, 1:] = rng.permuted(np.tile(members[free, 0], (permutations, 1)), axis=1).T
    return members, False


def possible_arrangements(pool: Pool) -> int:
    """How many arrangements there are; beyond 60 pairs, which is far above any limit, at least so many."""
    pairs = int((pool.partner >= 0).sum()) // 2
    free = pool.members[(pool.partner < 0) & (pool.members != 3)]
    count: int = 2 ** min(pairs, 60) * math.comb(len(free), int((free == 1).sum()))
    return count


def arranged_values(
    kernel: NDArray[np.float64], pool: Pool, members: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Value for every arrangement of ``members`` (units, arrangements); ``kernel`` is (units, units).

    With r = 1 in the reference, the sums within, across and of everything are r' K r, r' K 1 and 1' K 1.
    """
    # Beyond some hundred units no two arrangements tie but by rounding, and half the time counts.
    precision: type[np.floating[Any]] = np.float64 if pool.size <= TIED_UNITS else np.float32
    arranged: NDArray[Any] = members.astype(precision, copy=False)
    toward_reference: NDArray[Any] = kernel.astype(precision, copy=False) @ arranged
    within = np.einsum("up,up->p", toward_reference, arranged, dtype=float)
    totals = kernel @ (1.0 + (pool.members == 3))  # a shared unit is in both sets
    toward = totals @ members
    everything = float(totals @ (1.0 + (pool.members == 3)))
    return pair_counts(pool).value(within, toward - within, everything - 2 * toward + within)


def chunks(count: int, size: int) -> list[slice]:
    """``size`` of ``count`` arrangements after another; in the last also what is left, for it may be one.

    A product with one column is another routine's, which rounds in another way. In float64 no chunk rounds
    otherwise than the whole would (OpenBLAS); in float32 about 1 % of the differences do, in the last bit.
    """
    starts = list(range(0, max(1, count // size) * size, size))
    return [slice(first, last) for first, last in zip(starts, [*starts[1:], count], strict=True)]


@dataclass(frozen=True)
class Differences:
    """``pooling.differences`` of all arrangements, whose rows are made when they are asked for.

    Attributes
    ----------
    parts : (units, numbers)
        ``pooling.moving_parts``.
    members : (units, distinct arrangements) float32
    place : (arrangements,) int
        Which of these each arrangement is.
    """

    parts: NDArray[np.float64]
    members: NDArray[np.float32]
    place: NDArray[np.int_]

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.place), self.parts.shape[1]

    @property
    def together(self) -> int:
        """How many rows to ask for at once: of few units what the processor's cache holds, in half the time.

        Not in float32, where another chunk would round otherwise: see ``chunks``.
        """
        few = len(self.parts) <= CACHED_UNITS and self.parts.dtype == np.float64
        return min(CACHED, CHUNK) if few else CHUNK

    def __len__(self) -> int:
        return len(self.place)

    def __getitem__(self, rows: slice) -> NDArray[np.float64]:
        """``rows``, consecutive; (rows, numbers)."""
        if len(self) == self.members.shape[1]:
            return self._made(self.members[:, rows])
        columns, back = np.unique(self.place[rows], return_inverse=True)
        return self._made(self.members[:, columns])[back]

    def _made(self, members: NDArray[np.float32]) -> NDArray[np.float64]:
        return members.T.astype(self.parts.dtype) @ self.parts


@dataclass(frozen=True)
class Arranged:
    """What the test looks at in one block, under every arrangement; the observed one first.

    Attributes
    ----------
    values : (arrangements,)
        The distance itself.
    energies : name -> (arrangements,)
        Energy distances of pooled descriptions.
    numbers : name -> Differences
        Of the means of single numbers, each of mean 0 and variance 1.
    windows : int
        That matching has left; the test draws ``TESTED_WINDOWS`` of more.
    possible : int
        Arrangements that there are.
    exact : bool
        Each of them was made.
    """

    values: NDArray[np.float64]
    energies: dict[str, NDArray[np.float64]]
    numbers: dict[str, Differences]
    windows: int
    possible: int
    exact: bool


def rearranged(
    kernel: NDArray[np.float64],
    pool: Pool,
    tested: Pool,
    *,
    parts: Mapping[str, NDArray[np.int_]],
    permutations: int,
    seed: int,
    block: int | None = None,
    unit_kernel: Kernel = unit_kernel,
) -> Arranged:
    """The statistics of one block under its arrangements.

    Every description is fitted on the pooled units, which no rearrangement changes.

    Parameters
    ----------
    kernel : (units, units)
        The value's, for its own distribution.
    pool, tested : Pool
        The block, and what the test takes of its windows: see ``matching``. The units are the same.
    parts : name -> columns
        The numbers of ``vectors`` that take part: see ``pooling.usable_numbers``.
    permutations, seed, block : int
        See ``arrangements``; blocks are arranged independently.
    unit_kernel : callable
        ``kernel.unit_kernel``, or that with a progress bar; called four times, twice for an embedding.
    """
    dealt, exact = arrangements(pool, permutations, seed, block=block)
    members, place = _distinct(dealt)
    # What the windows of a test weigh together is bounded, so that its memory is.
    windows = len(tested.vectors)
    rows, weights = window_parts(tested, TESTED_WINDOWS)[0]
    tested = replace(
        tested,
        vectors=tested.vectors[rows],
        starts=np.searchsorted(rows, tested.starts),
        weights=weights,
        files=tested.files[rows],
    )
    pooled = pooling.families(tested.vectors, weights / tested.size, tested.starts, parts)
    energies = {}
    for name, views in pooled.described.items():
        total = np.zeros((pool.size, pool.size))
        for view in views:
            total += unit_kernel(view, tested)
        energies[name] = arranged_values(total / len(views), tested, members)
    numbers = {
        name: Differences(
            pooling.moving_parts(means, sets=pool.members, partner=pool.partner), members, place
        )
        for name, means in pooled.numbers.items()
    }
    return Arranged(
        values=arranged_values(kernel, pool, members)[place],
        energies={name: values[place] for name, values in energies.items()},
        numbers=numbers,
        windows=windows,
        possible=possible_arrangements(pool),
        exact=exact,
    )


def _distinct(members: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int_]]:
    """Each arrangement once, in order, and where each of all is among them: equal ones are equal to the bit.

    With few units that can change places, most random arrangements are one of a few.
    """
    places: dict[bytes, int] = {}
    place = np.array([places.setdefault(column.tobytes(), len(places)) for column in members.T])
    if len(places) == members.shape[1]:
        return members, place
    return members[:, np.unique(place, return_index=True)[1]], place


@dataclass(frozen=True)
class PermutationTest:
    """What the permutation test found.

    Attributes
    ----------
    p_value, statistic : float
        The largest of the normal scores of the statistics, and the share of arrangements that reach it.
    null_distribution : (arrangements,)
        The statistic under every arrangement, the observed one first; what ties with it but for rounding is
        set equal to it, so ``p_value`` is the share that is at least ``statistic``.
    null_values : (permutations,)
        The distance itself under the arrangements; the observed one first if exact, else left out.
    permutations : int
        Rearrangements made; all there are if ``exact``.
    smallest_p : float
        The smallest p-value that these units can give.
    scores : name -> float
        The normal score of each statistic; the largest is ``statistic``.
    differences : (numbers,)
        Of every single number, in the order of ``parts``: candidate mean minus reference mean, in standard
        deviations over the arrangements.
    windows : int
        That took part; fewer than there are where counts had to be matched.
    """

    p_value: float
    statistic: float
    null_distribution: NDArray[np.float64]
    null_values: NDArray[np.float64]
    permutations: int
    exact: bool
    smallest_p: float
    scores: dict[str, float]
    differences: NDArray[np.float64]
    windows: int

    @property
    def null_spread(self) -> float:
        return float(self.null_values.std()) if len(self.null_values) else 0.0


def permutation_test(blocks: Iterable[tuple[float, Arranged]]) -> PermutationTest:
    """Permutation test of "one source": the largest of several statistics, each as a normal score.

    ``blocks`` are shares that add up to 1, and what ``rearranged`` gives. No description is changed by a
    rearrangement, so the test is exact: P(p <= alpha) <= alpha for exchangeable units at every size.

    Notes
    -----
    The largest of several statistics, each brought to one scale by its own null distribution, is again one
    statistic: its p-value needs no correction for having looked at several.
    """
    values: Any = 0.0
    energies: dict[str, Any] = defaultdict(float)
    numbers: dict[str, Any] = {}
    exact, windows, possible = False, 0, 1
    for share, block in blocks:
        values = values + share * block.values
        for name, of_block in block.energies.items():
            energies[name] = energies[name] + share * of_block
        for name, differences in block.numbers.items():
            if share == 1:  # nothing to add: never held as a whole
                numbers[name] = differences
                continue
            total = numbers.setdefault(name, np.zeros(differences.shape, differences.parts.dtype))
            for chunk in chunks(len(total), CHUNK):
                total[chunk] += math.sqrt(share) * differences[chunk]  # of variance 1, as each is
        exact = block.exact
        windows += block.windows
        possible *= block.possible
    count = len(values)
    if possible == 1:  # every unit is in both sets
        none = np.zeros(numbers["plain"].shape[1])
        return PermutationTest(1.0, 0.0, np.zeros(1), np.zeros(0), 0, True, 1.0, {}, none, windows)
    largest_numbers, observed = {}, {}
    for name in numbers:
        largest_numbers[name], observed[name] = _largest(numbers[name], MOST[name])
    statistics = {**energies, **largest_numbers}
    scores = {name: pooling.normal_scores(arranged) for name, arranged in statistics.items()}
    largest = np.max(list(scores.values()), axis=0)
    # Arrangements that are equal up to rounding are ties, and ties count as reached.
    largest[np.abs(largest - largest[0]) <= TIE] = largest[0]
    reached = int((largest >= largest[0]).sum())
    # Two sets of one size are at the same distance with their names exchanged: p is 2 of all at best.
    symmetric = 2 if exact and int((largest >= largest.max() - TIE).sum()) >= 2 else 1
    return PermutationTest(
        p_value=reached / count,
        statistic=float(largest[0]),
        null_distribution=largest,
        null_values=values[0 if exact else 1 :],
        permutations=count if exact else count - 1,
        exact=exact,
        smallest_p=max((symmetric if exact else 1) / count, 1 / possible),
        scores={name: float(arranged[0]) for name, arranged in scores.items()},
        differences=-observed["plain"],
        windows=windows,
    )


def _largest(
    differences: Differences | NDArray[np.float64], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """``pooling.largest`` of every arrangement, and the differences of the first: all are made once."""
    found: list[NDArray[np.float64]] = []
    size = differences.together if isinstance(differences, Differences) else CHUNK
    for rows in chunks(len(differences), size):
        made = differences[rows]
        if not found:
            first = made[0].copy()
        found.append(pooling.largest(made, count))
    return np.concatenate(found), first
