"""What the page says of a comparison beyond the comparison: a map, neighbours, what is lacking, curves.

Conventions
    point      a file: the mean over its windows of the divided numbers of the value, (1032,).
    distance   between points: Euclidean, in the scale of the value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from audio_distance.comparison import Comparison
from audio_distance.description import Sound
from audio_distance.energy import Contribution
from audio_distance.features import constants, squared_distances
from audio_distance.intervals import jackknife_interval
from audio_distance.transforms import ENVELOPE_BANDS, mel_edges
from audio_distance.units import pair_key
from audio_distance.views import ENVELOPE_SIZES, VIEWS

NEIGHBOURS = 5  # of a ball of the reference, Kynkaanniemi et al. 2019, arXiv:1904.06991
JOINED_PAIRS = 300  # by lines on the map; more would hide its points
DECIBELS = 10 / np.log(10)  # of a natural logarithm of power

Interval = tuple[float, float] | None


@dataclass(frozen=True)
class Curve:
    """Candidate minus reference, band by band: the change of the mean level, and its 95 % interval."""

    hz: NDArray[np.float64]  # centres of the bands
    decibels: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


@dataclass(frozen=True)
class Map:
    """Where the files lie, the reference's before the candidate's.

    Attributes
    ----------
    places : (files, 2)
        Principal components of the points of both sets.
    explained : (2,)
        Share of their variance.
    nearest : (files,) int
        The nearest file of the other side, and ``gaps`` (files,), how far it is.
    alone : (files,) bool
        A file of the reference near which the candidate has none, or of the candidate where the reference
        has none: outside the ball to the fifth neighbour of every file of the other side.
    """

    places: NDArray[np.float64]
    explained: NDArray[np.float64]
    nearest: NDArray[np.int_]
    gaps: NDArray[np.float64]
    alone: NDArray[np.bool_]


def points_of(sounds: Sequence[Sound], divisors: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """(files, numbers); ``divisors`` of a caller's embedding, else those of the recipe."""
    scale = constants()[0] if divisors is None else divisors
    return np.stack([sound.vectors[:, : len(scale)].mean(axis=0) / scale for sound in sounds])


def map_of(points: NDArray[np.float64], reference: int) -> Map:
    """Map of points, (files, numbers), of which the first ``reference`` are the reference's."""
    centred = points - points.mean(axis=0)
    left, sizes, right = np.linalg.svd(centred, full_matrices=False)
    kept = min(2, len(sizes))
    # The sign of a component is arbitrary: its largest weight is made positive, on every machine.
    signs = np.sign(right[np.arange(kept), np.abs(right[:kept]).argmax(axis=1)])
    places = np.zeros((len(points), 2))
    places[:, :kept] = left[:, :kept] * sizes[:kept] * signs
    power = np.zeros(2)
    power[:kept] = sizes[:kept] ** 2 / max(float((sizes**2).sum()), 1e-30)
    gaps = np.sqrt(np.maximum(squared_distances(points, points), 0))
    nearest = np.empty(len(points), int)
    alone = np.zeros(len(points), bool)
    sides = np.arange(reference), np.arange(reference, len(points))
    for own, other in (sides, sides[::-1]):
        across = gaps[np.ix_(own, other)]
        nearest[own] = other[across.argmin(axis=1)]
        rank = min(NEIGHBOURS, len(other) - 1)
        radius = np.sort(gaps[np.ix_(other, other)], axis=1)[:, rank]  # itself is the first
        alone[own] = (across > radius).all(axis=1)
    return Map(places, power, nearest, gaps[np.arange(len(points)), nearest], alone)


def pairs_of(reference: Sequence[Sound], candidate: Sequence[Sound]) -> list[tuple[int, int]]:
    """Files of one name but for the extension, (of the reference, of the candidate), counted through both."""
    first = {pair_key(sound.name): i for i, sound in enumerate(reference)}
    second = {pair_key(sound.name): i for i, sound in enumerate(candidate, len(reference))}
    return [(i, second[key]) for key, i in first.items() if key in second]


def with_partners(found: Map, points: NDArray[np.float64], pairs: Sequence[tuple[int, int]]) -> Map:
    """The map of ``points`` with the other of its pair as each file's nearest, where it has one."""
    nearest, gaps = found.nearest.copy(), found.gaps.copy()
    for one, two in pairs:
        nearest[one], nearest[two] = two, one
        gaps[one] = gaps[two] = np.linalg.norm(points[one] - points[two])
    return replace(found, nearest=nearest, gaps=gaps)


def curve_of(reference: Sequence[Sound], candidate: Sequence[Sound], *, paired: bool = False) -> Curve:
    """Level in each mel band, all at one total level, mean over the three resolutions of the envelope.

    ``paired``: see ``difference_of_means``.
    """
    columns = np.arange(VIEWS["envelope"]).reshape(len(ENVELOPE_SIZES), 4, ENVELOPE_BANDS)[:, 0]
    sides = [
        np.stack([sound.vectors.mean(axis=0)[columns].mean(axis=0) * DECIBELS for sound in sounds])
        for sounds in (reference, candidate)
    ]
    difference = sides[1].mean(axis=0) - sides[0].mean(axis=0)
    spans = [
        difference_of_means(sides[0][:, i], sides[1][:, i], paired=paired)[1] for i in range(ENVELOPE_BANDS)
    ]
    ends = np.array([(d, d) if span is None else span for d, span in zip(difference, spans, strict=True)])
    return Curve(mel_edges(ENVELOPE_BANDS)[1:-1], difference, ends[:, 0], ends[:, 1])


def difference_of_means(
    reference: NDArray[np.float64], candidate: NDArray[np.float64], *, paired: bool = False
) -> tuple[float, Interval]:
    """Candidate minus reference, and its 95 % interval (None below 3 a side).

    Welch's interval; ``paired``, where both are in one order, that of the mean of their differences.
    """
    value = float(candidate.mean() - reference.mean())
    if min(len(reference), len(candidate)) < 3:
        return value, None
    signed = [candidate - reference] if paired else [-reference, candidate]
    strata = [(side.sum() - side) / (len(side) - 1) for side in signed]
    return value, jackknife_interval(value, strata)


def strongest_band(result: Comparison, width: int = 8) -> tuple[float, float] | None:
    """Hz, (low, high), of the eight neighbouring mel bands that contribute most; None without bands."""
    edges = mel_edges(ENVELOPE_BANDS)
    firsts = [i for i in range(0, len(result.bands), width) if edges[i] < result.bandwidth_hz]
    if not firsts:
        return None
    first = max(firsts, key=lambda i: sum(band.value for band in result.bands[i : i + width]))
    high = float(edges[min(first + width + 1, ENVELOPE_BANDS + 1)])
    return float(edges[first]), min(high, result.bandwidth_hz)


def chosen(
    sounds: Sequence[Sound], contributions: Sequence[Sequence[Contribution]], most: int
) -> list[Sound]:
    """At most ``most`` of ``sounds``, in their old order, of many.

    One half are those that contribute most to any of the comparisons, the other half is spread evenly over
    all others, so that a map of what is chosen is no map of outliers.
    """
    if len(sounds) <= most:
        return list(sounds)
    largest: dict[str, float] = {}
    for parts in contributions:
        for part in parts:
            largest[part.name] = max(largest.get(part.name, -np.inf), part.value)
    order = sorted(range(len(sounds)), key=lambda i: -largest.get(sounds[i].name, -np.inf))
    top, others = order[: most // 2], order[most // 2 :]
    spread = np.linspace(0, len(others) - 1, most - len(top)).round().astype(int)
    return [sounds[i] for i in sorted([*top, *(others[k] for k in spread)])]
