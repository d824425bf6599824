"""Pooled descriptions: what the test looks at, fitted on the windows of both sets together.

Conventions
    weights      (windows,), summing to 1 over all windows: units alike, files of a unit alike, windows of a
                 file alike. With them, means and variances are those of a unit drawn at random.
    parts        name -> columns of ``vectors`` that take part: those of ``usable_numbers``, or one part
                 called "embedding" for a caller's own numbers.
    described    views of windows whose kernels are averaged: name -> list of (windows, numbers).
    numbers      means of units, for what is looked at number by number: (units, numbers).
    arrangement  a column of ``members``, (units, arrangements): 1 where a unit is dealt to the reference.

Nothing here knows which unit is in which set, so no rearrangement changes a description, and a test of
arrangements is exact with any of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from audio_distance.kernel import DENSE_WINDOWS
from audio_distance.texture import GROUPS, TEXTURE
from audio_distance.transforms import ENVELOPE_BANDS, FINE_BANDS, LOWEST_HZ, RATE, mel_edges
from audio_distance.views import COLUMNS

SAFE = 0.913  # of half a sample rate: the pass band of soxr's high quality; above it resamplers differ
JOINT_RIDGE = 0.01  # of the mean variance, where all numbers are whitened together
FREED_RIDGE = 0.1  # where the numbers of a part are freed from each other
LINEAR = "attack"  # rises minus falls, both in the envelope: whitened, it would be rounding
SPREAD_FLOOR = 0.1  # of the typical spread of a part
ROUNDING = 1e-10  # of the largest variance: a direction below it is rounding
STEP = 2.0**-22  # of a number: two steps of float32, which vectors are


@dataclass(frozen=True)
class Pooled:
    """Descriptions of pooled windows.

    Attributes
    ----------
    described : name -> list of (windows, numbers) float64
        "standardised": the three views (or the embedding), each number over its spread. Sees what is broad: a
        class of sounds that is missing, a change of level in many bands.
        "whitened": all numbers at once on their principal axes. Sees what is small and always the same.
        Scaled so that two random windows are about 1 apart.
    numbers : name -> (units, numbers) float64
        "plain": the standardised numbers of all parts. Sees what is in one number, and says in which.
        "freed": each number without what the others of its part foretell of it.
    """

    described: dict[str, list[NDArray[np.float64]]]
    numbers: dict[str, NDArray[np.float64]]


def usable_numbers(rate: int) -> dict[str, NDArray[np.int_]]:
    """Columns that resampling does not touch, by part, for sets whose lowest sample rate is ``rate`` (Hz).

    Of bands, those that end below ``SAFE`` times half the rate: two resamplers agree up to there, and differ
    from there on by more than sets do. Nothing is left out from 24.2 kHz on, where that is above 11,025 Hz,
    but for the two bins of the spectrum below 30 Hz: what is removed there, an offset or rumble, is not a
    difference. A part without any column is not in the result.
    """
    top = SAFE * rate / 2 if rate * SAFE < RATE else math.inf
    ends = {bands: mel_edges(bands)[2:] for bands in (ENVELOPE_BANDS, FINE_BANDS)}
    bins = np.arange(TEXTURE["spectrum"]) * (RATE / 2 / (TEXTURE["spectrum"] - 1))
    # By part, up to where each number hears, once for all rows of bands; what is NaN is below no frequency.
    hears = {
        "envelope": ends[ENVELOPE_BANDS],
        "attack": ends[ENVELOPE_BANDS],
        "fine structure": ends[FINE_BANDS],
        "spectrum": np.where(bins < LOWEST_HZ, np.nan, bins),
        "amplitude": np.zeros(1),
        **dict.fromkeys(
            ("slow modulation", "fast modulation", "skewness"),
            ends[ENVELOPE_BANDS][ENVELOPE_BANDS // GROUPS - 1 :: ENVELOPE_BANDS // GROUPS],
        ),
    }
    parts = {
        part: np.arange(place.start, place.stop)[np.resize(hears[part] <= top, place.stop - place.start)]
        for part, place in COLUMNS.items()
    }
    return {part: columns for part, columns in parts.items() if len(columns)}


def families(
    vectors: NDArray[np.float32],
    weights: NDArray[np.float64],
    starts: NDArray[np.int_],
    parts: Mapping[str, NDArray[np.int_]],
) -> Pooled:
    """What the four statistics of the test are computed of.

    Parameters
    ----------
    vectors : array, (windows, numbers)
        As described, not divided.
    weights : array, (windows,)
    starts : array, (units,)
        First window of each unit.
    parts : name -> columns

    Notes
    -----
    All numbers are whitened together, so that what one part foretells of another is taken out too; a part
    weighs with the root of its size there, halfway between each number and each part alike. The freed numbers
    are whitened and turned back (ZCA): the closest to the numbers themselves that are uncorrelated, after the
    transformed two-sample test of Cai, Liu and Xia 2014, doi:10.1111/rssb.12034, with a ridge in place of an
    estimated precision matrix.

    Memory: four float64 arrays of the size of ``vectors`` (8192 windows: .5 GB) and the smaller of the two
    Gram matrices; time: that matrix and its eigenvectors, 3 s for 1679 numbers.
    """
    precision = np.float64 if len(vectors) <= DENSE_WINDOWS else np.float32
    weights = weights.astype(precision)
    own = {
        name: standardise(vectors[:, columns].astype(precision), weights) for name, columns in parts.items()
    }
    whole = weights / np.add.reduceat(weights, starts).repeat(np.diff(np.append(starts, len(weights))))

    def of_units(rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Means of units: what follows is linear, and units are fewer than windows."""
        if len(starts) == len(rows):
            return rows
        means: NDArray[np.float64] = np.add.reduceat(rows * whole[:, None], starts)
        return means

    freeable = [part for part in own if part != LINEAR]
    freed = []
    for part in freeable:
        scores, axes = whiten(own[part], weights, ridge=FREED_RIDGE)
        freed.append(of_units(scores) @ axes.T)
    joint = whitened(
        np.hstack([own[part] * precision(own[part].shape[1] ** 0.25) for part in freeable]), weights
    )
    return Pooled(
        described={
            "standardised": [own[part] for part in own if part not in TEXTURE],
            "whitened": [joint],
        },
        numbers={
            "plain": np.hstack([of_units(rows) for rows in own.values()]),
            "freed": np.hstack(freed),
        },
    )


def standardise(view: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each number by its standard deviation over the pooled units: the same for every arrangement.

    ``view`` is (windows, numbers), ``weights`` (windows,) sum to 1. A number that hardly varies is kept from
    counting most by a tenth of the typical spread. Scaled so that two random windows are about 1 apart.
    """
    centred = _centred(view, weights)
    # In units of the largest: squares of a caller's own numbers may be out of float32's range.
    largest = np.abs(centred).max(axis=0)
    centred /= np.where(largest > 0, largest, 1)
    spread = largest * np.sqrt(weights @ centred**2)
    typical = np.median(spread[spread > 0]) if np.any(spread > 0) else 1.0
    centred *= largest / np.hypot(spread, SPREAD_FLOOR * typical) / math.sqrt(2 * view.shape[1])
    return centred


def whiten(
    view: NDArray[np.float64], weights: NDArray[np.float64], *, ridge: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Principal components of the pooled units, each divided by sqrt(variance + ridge).

    Parameters
    ----------
    view : array, (windows, numbers)
    weights : array, (windows,)
        They sum to 1 over all units.
    ridge : float
        Of the mean variance. It keeps directions that the sample hardly shows from counting as much as the
        others: with fewer units than numbers these would be most of the statistic.

    Returns
    -------
    scores : array, (windows, components)
        Scaled so that two random windows are about 1 apart; one column of zeros where nothing varies.
    axes : array, (numbers, components)
        Of length 1: ``scores @ axes.T`` turns the components back to numbers.
    """
    centred = _centred(view, weights)
    weighted = np.sqrt(weights)[:, None] * centred
    # Of the two ways to the same axes the one with the smaller matrix.
    few = len(view) <= view.shape[1]
    variance, vectors = _components(weighted @ weighted.T if few else weighted.T @ weighted)
    if not len(variance):
        return np.zeros((len(view), 1)), np.zeros((view.shape[1], 1))
    if few:
        axes = weighted.T @ (vectors / np.sqrt(variance))
        return _scores_of_windows(variance, vectors, weights, ridge), axes
    return centred @ (vectors / _damped(variance, ridge)), vectors


def _components(gram: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Variances, (components,), and vectors, one a column."""
    variance, vectors = np.linalg.eigh(gram)
    # Components that are rounding would be blown up to count like the others.
    kept = variance > ROUNDING * max(float(variance.max(initial=0)), 1e-300)
    return variance[kept], vectors[:, kept]


def _damped(variance: NDArray[Any], ridge: float) -> NDArray[Any]:
    return np.asarray(np.sqrt((variance + ridge * variance.mean()) * 2 * len(variance)))


def _scores_of_windows(
    variance: NDArray[Any], vectors: NDArray[Any], weights: NDArray[Any], ridge: float
) -> NDArray[Any]:
    """Where the vectors are of windows, the projections are these themselves."""
    return np.asarray(vectors * (np.sqrt(variance) / _damped(variance, ridge)) / np.sqrt(weights)[:, None])


def whitened(view: NDArray[Any], weights: NDArray[Any], *, ridge: float = JOINT_RIDGE) -> NDArray[Any]:
    """Windows that are as far apart as the scores of ``whiten``, (windows, components or numbers).

    With more windows than numbers by a Cholesky factor of the covariance matrix with its ridge, which takes a
    tenth of the time of its eigenvectors; the mean variance is then that of the numbers that vary.
    """
    centred = _centred(view, weights)
    weighted = np.sqrt(weights)[:, None] * centred
    if len(view) <= view.shape[1]:
        variance, vectors = _components(weighted @ weighted.T)
        if not len(variance):
            return np.zeros((len(view), 1))
        return _scores_of_windows(variance, vectors, weights, ridge)
    covariance = weighted.T @ weighted
    variance = np.diagonal(covariance)
    varied = int((variance > ROUNDING * max(float(variance.max(initial=0)), 1e-300)).sum())
    if not varied:
        return np.zeros((len(view), 1), view.dtype)
    covariance[np.diag_indices_from(covariance)] += ridge * float(variance.sum()) / varied
    factor = np.linalg.cholesky(covariance)
    scores: NDArray[Any] = scipy.linalg.solve_triangular(factor, centred.T, lower=True, check_finite=False).T
    return scores / math.sqrt(2 * varied)


def _centred(view: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """Without the mean; 0 where a number varies by rounding alone: over its spread that would count fully."""
    centred: NDArray[Any] = view - weights @ view
    lowest, highest = view.min(axis=0), view.max(axis=0)
    centred[:, highest - lowest <= STEP * np.maximum(highest, -lowest)] = 0
    return centred


# ---------------------------------------------------------------------------------------- number by number


def differences(
    unit_means: NDArray[np.float64],
    members: NDArray[np.float32],
    *,
    sets: NDArray[np.int_],
    partner: NDArray[np.int_],
) -> NDArray[np.float64]:
    """Difference between the sets' means of every number, as z under the arrangements.

    Parameters
    ----------
    unit_means : array, (units, numbers)
    members : array, (units, arrangements)
    sets, partner : arrays, (units,)
        As in ``units.Pool``: 3 is a unit of both sets, and -1 a unit without a partner.

    Returns
    -------
    (arrangements, numbers): mean 0 and variance 1 over all arrangements there are, in closed form (a
    sample without replacement of the units that are dealt, a coin for each pair); 0 for a number that never
    changes.

    Notes
    -----
    The sum over all units does not change, so the difference of the means is, but for a factor and a
    constant, the sum over the reference: shared units and unequal sizes need no case of their own.
    """
    moving = moving_parts(unit_means, sets=sets, partner=partner)
    return np.asarray(members.T.astype(moving.dtype) @ moving)


def moving_parts(
    unit_means: NDArray[np.float64], *, sets: NDArray[np.int_], partner: NDArray[np.int_]
) -> NDArray[np.float64]:
    """What each unit adds to ``differences`` where it is dealt to the reference, (units, numbers)."""
    left = np.flatnonzero((partner >= 0) & (sets == 1))
    free = np.flatnonzero((partner < 0) & (sets != 3))
    dealt = int((sets[free] == 1).sum())
    half = (unit_means[left] - unit_means[partner[left]]) / 2
    centred = unit_means - unit_means.mean(axis=0)
    of_free = centred[free]
    free_mean = of_free.mean(axis=0) if len(free) else np.zeros(unit_means.shape[1])
    variance = (half**2).sum(axis=0)
    if len(free) > 1:
        apart = of_free - free_mean
        spread = np.square(apart, out=apart).mean(axis=0)
        variance += spread * dealt * (len(free) - dealt) / (len(free) - 1)
    deviation = np.sqrt(variance)
    # In units of what the number varies, lest rounding of a constant one becomes a difference.
    least = max(1e-9, 1000 * float(np.finfo(deviation.dtype).eps))
    varied = deviation > least * max(float(deviation.max(initial=0)), 1e-300)
    deviation[~varied] = np.inf
    of_free /= deviation
    of_free -= free_mean / deviation
    # Free units and the swapped half of each pair; the rest is the same in every arrangement.
    moving: NDArray[np.float64] = np.zeros_like(centred)
    moving[free] = of_free
    moving[left] = (centred[left] / deviation - centred[partner[left]] / deviation) / 2
    moving[partner[left]] = -moving[left]
    return moving


def largest(differences: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Sum of the squares of the ``count`` largest of each row, (arrangements, numbers) -> (arrangements,).

    Of all, if there are fewer numbers.
    """
    squared = differences * differences
    count = min(count, squared.shape[1])
    if count == 1:
        return np.asarray(squared.max(axis=1))
    squared.partition(-count, axis=1)
    return np.asarray(squared[:, -count:].sum(axis=1))


def normal_scores(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values of one statistic under all arrangements, (arrangements,), on a normal scale; zeros where equal.

    By mean, spread and skewness of a gamma distribution (Pearson's type III) and its cube root (Wilson and
    Hilferty 1931, doi:10.1073/pnas.17.12.684).

    Notes
    -----
    Energy distances of few broad directions are skewed like a chi-square of few degrees of freedom, those of
    many are nearly normal: of studentised ones the largest would nearly always be the skewed one. The map is
    monotone and the same for all arrangements, the observed one included, so a test of the largest is exact.
    """
    spread = values.std()
    if spread <= 1e-12:
        return np.zeros_like(values)
    standardised = (values - values.mean()) / spread
    # Of a gamma of this shape the skewness is 2 / sqrt(shape). Kept off 0, where the map is the identity,
    # and from where few outliers make it.
    shape = 4 / np.clip((standardised**3).mean(), 0.1, 3) ** 2
    gamma = np.maximum(1 + standardised / math.sqrt(shape), 0)  # of mean 1
    scores: NDArray[np.float64] = 3 * math.sqrt(shape) * (np.cbrt(gamma) - 1 + 1 / (9 * shape))
    return scores
