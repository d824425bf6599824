"""As many windows in one set as in the other, before the test looks: sounds of unequal length compared alike.

Conventions
    count      files of a unit, then windows of a file: what is brought to one distribution in both sets.
    stratum    owners of both sets that are matched with each other, (of the reference, of the candidate): all
               free units, or one pair. A unit that is in both sets is in none and stays as it is.

Why: the mean over a unit's windows scatters less the more of them there are, so long files lie closer
together than short ones of the same source. A test of "one source" then finds the lengths.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio_distance.resampling import arrangements
from audio_distance.units import Pool, windows_of

Stratum = tuple[NDArray[np.int_], NDArray[np.int_]]

DRAWS = 5  # beside the call's seed, so that the draws here are not those of the arrangements
CHANCE = 0.1  # counts that differ by less than this p-value are taken for those of one distribution
LENGTHS_LEVEL = 0.05  # of short clips: that of the verdict, lest it finds a length that this does not
RELABELLINGS = 199


def matched(pool: Pool, *, seed: int) -> Pool:
    """The same units with the windows that the test looks at; see ``matched_windows``.

    Units without a partner are matched only where their counts differ by more than chance. Of two samples of
    one distribution of lengths a test of all windows is exact, and one of matched windows finds less: false
    alarms were 3 % instead of 5.
    """
    files_of_unit = np.bincount(np.repeat(np.arange(pool.size), pool.counts)[_first_windows(pool.files)])
    free = (pool.partner < 0) & (pool.members != 3)
    counts = [files_of_unit[free], (pool.counts / files_of_unit)[free]]
    dealt = relabelled(pool.members[free] == 1, seed=seed)
    rows, weights = matched_windows(
        pool.starts,
        pool.files,
        members=pool.members,
        partner=pool.partner,
        seed=seed,
        free=any(differ_beyond_chance(each, dealt, level=CHANCE) for each in counts),
    )
    if len(rows) == len(pool.vectors):
        return pool
    return replace(
        pool,
        vectors=windows_of(pool.vectors, rows),
        starts=np.searchsorted(rows, pool.starts),  # every unit keeps a window
        weights=weights,
        files=np.unique(pool.files[rows], return_inverse=True)[1],
    )


def short_clips_differ(pool: Pool, *, seed: int) -> bool:
    """Whether what sounds for less than a window differs in length between the sets by more than chance.

    From a second on all windows have one length; below it a window is as long as its sound, and what is
    measured of it depends on that. The units change places as they do in the test: pairs are swapped.
    """
    # To a hundredth of a second, for memory: to the sample nearly each would be a kind of its own.
    lengths = np.round(pool.sounding, 2)
    # Of a pair by how much they differ: beside that, clips of all lengths may be in a set.
    lengths = np.where(pool.partner >= 0, np.round(lengths - lengths[pool.partner], 2), lengths)
    once = pool.members != 3
    dealt, _ = arrangements(pool, RELABELLINGS, seed)
    return differ_beyond_chance(lengths[once], dealt[once].T.astype(float), level=LENGTHS_LEVEL)


def relabelled(in_reference: NDArray[np.bool_], *, seed: int) -> NDArray[np.float64]:
    """1 where a unit is dealt to the reference, (1 + ``RELABELLINGS``, units); the first row as observed."""
    rng = np.random.default_rng([seed, DRAWS, 1])
    labels = in_reference.astype(float)
    return np.concatenate([labels[None], rng.permuted(np.tile(labels, (RELABELLINGS, 1)), axis=1)])


def differ_beyond_chance(values: NDArray[Any], dealt: NDArray[np.float64], *, level: float) -> bool:
    """Whether the values of one set have another distribution than those of the other, at ``level``.

    By the share of labellings under which the two distribution functions are at least as far apart, in
    squares summed over the units (Cramer and von Mises).

    Parameters
    ----------
    values : (units,)
        Counts, or lengths; of few kinds, for memory is units times kinds.
    dealt : (labellings, units)
        1 where a unit is of the reference, else 0; as many in every row, the first as observed.
    """
    n = dealt[0].sum()
    if n in (0, len(values)) or np.ptp(values) == 0:
        return False
    kinds, units = np.unique(values, return_counts=True)
    below = (values[:, None] <= kinds).astype(float)
    apart = np.square((dealt / n - (1 - dealt) / (len(values) - n)) @ below) @ units
    return bool((apart >= apart[0] * (1 - 1e-9)).mean() <= level)


def matched_windows(
    starts: NDArray[np.int_],
    files: NDArray[np.int_],
    *,
    members: NDArray[np.int_],
    partner: NDArray[np.int_],
    seed: int,
    free: bool = True,
) -> tuple[NDArray[np.int_], NDArray[np.float64]]:
    """Which windows the test looks at, and their weights.

    First the files of the units are matched, then the windows of the files that are left: sorted by count,
    the owners of a set are its quantiles, and at each the set with more is thinned, at random, to the other's
    count.

    Parameters
    ----------
    starts : array, (units,)
        First window of each unit.
    files : array, (windows,)
        Which file a window is of: from 0, counted through all units, ascending.
    members, partner : arrays, (units,)
        As in ``units.Pool``: 1 reference, 2 candidate, 3 both; the matched unit of the other set, or -1.
    seed : int
        Of the draws: which of several owners of one count is thinned, and what is left of it. They follow the
        order of units, files and windows, and nothing else.
    free : bool
        False leaves units without a partner as they are, and matches pairs alone.

    Returns
    -------
    rows : array, (windows left,) int
        Ascending, at least one of every unit; all of them where the counts agree.
    weights : array, (windows left,)
        They sum to 1 within a unit: files alike, windows of a file alike.

    Notes
    -----
    Where counts differ, what is drawn depends on which unit is in which set, and a test of what is left
    is only nearly exact: the arrangements mix the thinned units of both sets, whose counts agree between
    the sets as observed, and between the arrangements' only on average. Pairs are not concerned: the
    larger side is thinned, whichever it is, so a test that swaps stays exact. Two ways to be exact for
    free units under one assumption fail under another. Drawing anew for every arrangement is exact for
    lengths of one distribution; for others what an arrangement mixes, long and short, loses fewer windows
    than what was observed. Exchanging units of one count only is exact where windows do not tell how many
    there are of their unit; where they do, who was thinned is in the labels. ``tests.test_matching`` has
    the levels that were simulated.
    """
    rng = np.random.default_rng([seed, DRAWS])
    unit_of_file = np.searchsorted(starts, _first_windows(files), side="right") - 1
    strata = _strata(members, partner)[0 if free else 1 :]
    files_left = _left(unit_of_file, strata, rng)
    file_strata = [
        (
            np.flatnonzero(files_left & np.isin(unit_of_file, reference)),
            np.flatnonzero(files_left & np.isin(unit_of_file, candidate)),
        )
        for reference, candidate in strata
    ]
    rows = np.flatnonzero(files_left[files] & _left(files, file_strata, rng))
    windows_of_file, files_of_unit = np.bincount(files[rows]), np.bincount(unit_of_file[files_left])
    return rows, 1 / (windows_of_file[files[rows]] * files_of_unit[unit_of_file[files[rows]]])


def _first_windows(files: NDArray[np.int_]) -> NDArray[np.int_]:
    return np.flatnonzero(np.diff(files, prepend=-1))


def _strata(members: NDArray[np.int_], partner: NDArray[np.int_]) -> list[Stratum]:
    free = [np.flatnonzero((partner < 0) & (members == member)) for member in (1, 2)]
    paired = np.flatnonzero((partner >= 0) & (members == 1))
    return [(free[0], free[1]), *((np.array([unit]), partner[[unit]]) for unit in paired.tolist())]


def _left(owners: NDArray[np.int_], strata: Iterable[Stratum], rng: np.random.Generator) -> NDArray[np.bool_]:
    """What is left of things, (things,), when their owners' counts are matched; ``owners`` ascend from 0."""
    counts = np.bincount(owners)
    target = counts.copy()
    for one, other in strata:
        target[one] = _smaller(counts[one], counts[other], rng)
        target[other] = _smaller(counts[other], counts[one], rng)
    firsts = np.cumsum(counts) - counts
    left = np.ones(len(owners), bool)
    for owner in np.flatnonzero(target < counts):
        left[firsts[owner] + rng.permutation(counts[owner])[target[owner] :]] = False
    return left


def _smaller(
    counts: NDArray[np.int_], others: NDArray[np.int_], rng: np.random.Generator
) -> NDArray[np.int_]:
    """Each count, or the other set's at its quantile, if that is less; equal counts are in random order."""
    if not len(counts) or not len(others):
        return counts
    quantiles = ((np.arange(len(counts)) + 0.5) / len(counts) * len(others)).astype(int)
    order = np.lexsort((rng.permutation(len(counts)), counts))
    result = counts.copy()
    result[order] = np.minimum(counts[order], np.sort(others)[quantiles])
    return result
