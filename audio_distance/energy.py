"""The energy distance as a U-statistic, and what each unit and each band does to it.

Conventions
    views      scaled vectors, each (windows, numbers); the value is the mean over them.
    value      2 mean K(x, y) - mean K(x, x') - mean K(y, y'), no unit with itself or its partner: unbiased,
               so signed, at every number of units (Szekely and Rizzo 2013, doi:10.1016/j.jspi.2013.03.018).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio_distance.features import constants, split_views, squared_distances
from audio_distance.intervals import Moments, combined, interval, jackknife_interval, moments
from audio_distance.kernel import Kernel, unit_kernel
from audio_distance.transforms import ENVELOPE_BANDS, mel_edges
from audio_distance.units import Pool, pair_counts, taken, window_parts
from audio_distance.views import ENVELOPE_SIZES

BAND_UNITS = 400  # units a side at most, for the contribution of the bands


@dataclass(frozen=True)
class Contribution:
    """A part of the value: a candidate file (or group) or a frequency band."""

    name: str
    value: float


@dataclass(frozen=True)
class Observed:
    """The value, its views, and what each unit does to it.

    Attributes
    ----------
    views : (views,)
        The value of each view; their mean is the value.
    contributions : tuple of Contribution
        Of the candidate's units, the largest first; their mean is the value.
    reference_contributions : tuple of Contribution
        The same of the reference's units, with the sets exchanged.
    moments : Moments or None
        What each draw does to the value; None below 3 units a side, and for who wants the value alone.
    draws : tuple of (set, unit's name)
        Of the moments; a pair, and a unit that is in both sets, go by the reference's name.
    """

    views: NDArray[np.float64]
    contributions: tuple[Contribution, ...]
    reference_contributions: tuple[Contribution, ...] = ()
    moments: Moments | None = None
    draws: tuple[tuple[str, str], ...] = ()

    @property
    def value(self) -> float:
        return float(self.views.mean())

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 %; None below 3 units a side."""
        return None if self.moments is None else interval(self.moments)

    @property
    def leave_one_out(self) -> dict[tuple[str, str], float]:
        """(set, unit's name) -> the value without that unit and its partner."""
        without = [] if self.moments is None else self.moments.without.tolist()
        return dict(zip(self.draws, without, strict=True))


def view_kernels(
    pool: Pool, own: NDArray[np.float64] | None = None, *, kernel: Kernel = unit_kernel
) -> NDArray[np.float64]:
    """The kernel of every view of the value, (views, units, units), from divided numbers.

    With ``own`` divisors, (numbers,), of a caller's embedding, all numbers are one view. ``kernel`` is
    ``kernel.unit_kernel``, or that with a progress bar.
    """
    return np.stack([kernel(view, pool, divisors) for view, divisors in divided_views(pool.vectors, own)])


def divided_views(
    vectors: NDArray[Any], own: NDArray[np.float64] | None = None
) -> list[tuple[NDArray[Any], NDArray[np.float64]]]:
    """(numbers, divisors) of each view of the value; with ``own`` divisors all numbers are one view."""
    if own is not None:
        return [(vectors, own)]
    scale = split_views(constants()[0])
    return [(view, scale[name]) for name, view in split_views(vectors).items()]


def observe(kernels: NDArray[np.float64], pool: Pool, *, causes: bool = True) -> Observed:
    """The value from the views' kernels; with ``causes``, also what each unit does to it.

    Parameters
    ----------
    kernels : (views, units, units)
        As ``view_kernels`` gives them.
    pool : Pool
        Which unit is in which set, and which are partners.
    causes : bool
        False leaves the moments out, and with them the interval, for who needs the value alone.
    """
    counts = pair_counts(pool)
    n, m = counts.reference, counts.candidate
    # 1 where a unit belongs to a set: a shared unit belongs to both.
    reference, candidate = pool.in_reference.astype(float), pool.in_candidate.astype(float)
    # Sums of the kernel from each unit to all of either set, (views, units).
    to_reference, to_candidate = kernels @ reference, kernels @ candidate
    sums_by_view = to_reference @ reference, to_reference @ candidate, to_candidate @ candidate
    by_view = counts.value(*sums_by_view)
    xx, yy = float(sums_by_view[0].mean()), float(sums_by_view[2].mean())
    to_reference, to_candidate = to_reference.mean(axis=0), to_candidate.mean(axis=0)
    crossing = n * m - counts.matched
    of_candidate = 2 * to_reference * m / crossing - to_candidate / (m - 1) - xx / (n * (n - 1))
    of_reference = 2 * to_candidate * n / crossing - to_reference / (n - 1) - yy / (m * (m - 1))
    parts, reference_parts = (
        _sorted_contributions(Contribution(pool.names[i], float(of[i])) for i in np.flatnonzero(inside))
        for of, inside in ((of_candidate, candidate), (of_reference, reference))
    )
    if not causes or min(n, m) < 3:
        return Observed(by_view, parts, reference_parts)
    found = moments(kernels.mean(axis=0), pool.members, partner=pool.partner)
    return Observed(by_view, parts, reference_parts, found, tuple(found.keys(pool.names)))


def moved(observed: Observed, by: NDArray[np.float64]) -> Observed:
    """The same with each view's value higher ``by`` so much, (views,), and all that is on its scale.

    What each unit does to the value, as in the contributions and in leaving it out, stays what it does in its
    block.
    """
    up = float(by.mean())
    parts, others = (
        tuple(Contribution(part.name, part.value + up) for part in of_set)
        for of_set in (observed.contributions, observed.reference_contributions)
    )
    found = observed.moments
    if found is not None:
        found = replace(found, value=found.value + up, without=found.without + up)
    return Observed(observed.views + by, parts, others, found, observed.draws)


def _sorted_contributions(parts: Iterable[Contribution]) -> tuple[Contribution, ...]:
    return tuple(sorted(parts, key=lambda part: (-part.value, part.name)))


def mean_of_blocks(shares: Sequence[float], blocks: Sequence[Observed]) -> Observed:
    """What is observed of all units, from independent blocks that count with ``shares``, which sum to 1."""
    if len(blocks) == 1:
        return blocks[0]
    views = np.sum([share * block.views for share, block in zip(shares, blocks, strict=True)], axis=0)
    parts = _sorted_contributions(part for block in blocks for part in block.contributions)
    others = _sorted_contributions(part for block in blocks for part in block.reference_contributions)
    each = [block.moments for block in blocks if block.moments is not None]
    if len(each) < len(blocks):
        return Observed(views, parts, others)
    draws = tuple(draw for block in blocks for draw in block.draws)
    return Observed(views, parts, others, combined(each, shares), draws)


def level_difference(pool: Pool) -> tuple[float, tuple[float, float] | None]:
    """Candidate minus reference in dB, with Welch's 95 % interval over units (None below 3 a side)."""
    reference, candidate = pool.levels[pool.in_reference], pool.levels[pool.in_candidate]
    value = float(candidate.mean() - reference.mean())
    if min(len(reference), len(candidate)) < 3:
        return value, None
    # The jackknife of a mean is its usual standard error, so one function serves both intervals.
    strata = [sign * (s.sum() - s) / (len(s) - 1) for sign, s in ((-1, reference), (1, candidate))]
    return value, jackknife_interval(value, strata)


def band_contributions(pool: Pool) -> tuple[Contribution, ...]:
    """Share of each mel band in the envelope view's value.

    A pair's kernel |d|^(1/2) is divided among the bands by their share of |d|^2, so the parts add up
    exactly. Of large sets: the first ``BAND_UNITS`` units a side in the order of their contents' digests
    (a random choice that is the same on every run), with about ``BAND_UNITS`` * 4 of their windows.

    Returns
    -------
    One ``Contribution`` a band, named by its lower and upper edge in Hz ("30-150 Hz"), from low to high;
    neighbours overlap by half, as triangular bands do.
    """
    pool = taken(pool, _first_units(pool))
    sides = [np.flatnonzero(inside) for inside in (pool.in_reference, pool.in_candidate)]
    chosen = np.arange(pool.size)
    # Of too many windows for a table of their pairs, some of every unit.
    rows, weights = window_parts(pool, 4 * BAND_UNITS)[0]
    owner = np.repeat(chosen, pool.counts)[rows]
    envelope = split_views(pool.vectors)["envelope"][rows] / split_views(constants()[0])["envelope"]
    pairs = _pair_coefficients(chosen, sides, pool)[np.ix_(owner, owner)]
    pairs *= np.outer(weights, weights)
    # |d|^(1/2) = |d|^2 (|d|^2)^(-3/4), and |d|^2 is a sum over bands.
    # A pair of copies has no distance to divide: the floor keeps its share finite, and 0.
    pairs *= np.maximum(squared_distances(envelope, envelope), 1e-12) ** -0.75
    pairs += pairs.T
    by_band = envelope.reshape(len(envelope), len(ENVELOPE_SIZES), 4, ENVELOPE_BANDS)
    edges = mel_edges(ENVELOPE_BANDS)
    totals, result = pairs.sum(axis=1), []
    for band in range(ENVELOPE_BANDS):
        part = by_band[..., band].reshape(len(envelope), -1)
        # Half the sum over pairs of pairs[i, j] |part_i - part_j|^2, without a third axis.
        value = totals @ (part * part).sum(axis=1) - ((pairs @ part) * part).sum()
        result.append(Contribution(f"{edges[band]:.0f}-{edges[band + 2]:.0f} Hz", float(value)))
    return tuple(result)


def _first_units(pool: Pool) -> NDArray[np.int_]:
    """The first ``BAND_UNITS`` of either set, and their partners."""
    sides = [np.flatnonzero(inside)[:BAND_UNITS] for inside in (pool.in_reference, pool.in_candidate)]
    chosen = np.union1d(*sides)
    partners = pool.partner[chosen]
    return np.union1d(chosen, partners[partners >= 0])


def _pair_coefficients(
    chosen: NDArray[np.int_], sides: Sequence[NDArray[np.int_]], pool: Pool
) -> NDArray[np.float64]:
    """How much each pair of the chosen units counts in the value: (chosen, chosen)."""
    x, y = (np.isin(chosen, side) for side in sides)
    allowed = (chosen[:, None] != chosen) & (pool.partner[chosen][:, None] != chosen)
    coefficients: NDArray[np.float64] = (
        2 * allowed * np.outer(x, y) / allowed[np.ix_(x, y)].sum()
        - allowed * np.outer(x, x) / allowed[np.ix_(x, x)].sum()
        - allowed * np.outer(y, y) / allowed[np.ix_(y, y)].sum()
    )
    return coefficients
