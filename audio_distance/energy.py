"""The energy distance as a U-statistic, and what each unit and each band does to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audio_distance.comparison import Contribution
from audio_distance.features import (
    ENVELOPE_BANDS,
    ENVELOPE_SIZES,
    LOWEST_HZ,
    RATE,
    hz_to_mel,
    mel_to_hz,
    squared_distances,
)
from audio_distance.kernel import unit_tiles
from audio_distance.resampling import jackknife_interval
from audio_distance.units import PairCounts, Pool, pair_counts

BAND_UNITS = 400  # units a side at most, for the contribution of the bands


@dataclass(frozen=True)
class Observed:
    """The value, its views, and what each unit does to it."""

    views: np.ndarray  # (views,)
    unit_contributions: np.ndarray  # (units,), for candidate units; their mean is the value
    deviations: dict[tuple[str, str], float]  # (set, name) -> leave-one-out value
    interval: tuple[float, float] | None


def observe(views: Sequence[np.ndarray], pool: Pool, *, causes: bool = True) -> Observed:
    """The value from scaled views; with ``causes``, also what each unit does to it."""
    counts = pair_counts(pool)
    n, m = counts.reference, counts.candidate
    reference, candidate = (pool.members & 1 > 0).astype(float), (pool.members & 2 > 0).astype(float)
    to_reference = np.zeros((len(views), pool.size))
    to_candidate = np.zeros((len(views), pool.size))
    sides = np.stack([reference, candidate], axis=1)
    for first, last, kernel in unit_tiles(views, pool):
        sums = kernel @ sides[first:].astype(kernel.dtype)
        below = sides[first:last].astype(kernel.dtype).T @ kernel[:, :, last - first :]
        to_reference[:, first:last] += sums[..., 0]
        to_candidate[:, first:last] += sums[..., 1]
        to_reference[:, last:] += below[:, 0]
        to_candidate[:, last:] += below[:, 1]
    xx, xy, yy = to_reference @ reference, to_reference @ candidate, to_candidate @ candidate
    by_view = counts.value(xx, xy, yy)
    xx, xy, yy = xx.mean(), xy.mean(), yy.mean()
    to_reference, to_candidate = to_reference.mean(axis=0), to_candidate.mean(axis=0)
    contributions = (
        2 * to_reference * m / (n * m - counts.matched) - to_candidate / (m - 1) - xx / (n * (n - 1))
    )
    deviations, strata = {}, defaultdict(list)
    if causes and min(n, m) >= 3:
        for i in range(pool.size):
            out = [i] if pool.partner[i] < 0 else [i, pool.partner[i]]
            joint = len(out) == 2 or pool.members[i] == 3
            if len(out) == 2 and pool.members[i] == 2:
                continue  # left out together with its partner
            from_reference = sum(to_reference[u] for u in out if pool.members[u] & 1)
            from_candidate = sum(to_candidate[u] for u in out if pool.members[u] & 2)
            across = sum(
                (to_candidate[u] if pool.members[u] & 1 else 0)
                + (to_reference[u] if pool.members[u] & 2 else 0)
                for u in out
            )
            left = PairCounts(
                n - (joint or pool.members[i] == 1),
                m - (joint or pool.members[i] == 2),
                counts.matched - joint,
            )
            role = "candidate" if pool.members[i] == 2 else "reference"
            value = left.value(xx - 2 * from_reference, xy - across, yy - 2 * from_candidate)
            deviations[role, pool.names[i]] = float(value)
            strata["joint" if joint else role].append(float(value))
    interval = jackknife_interval(float(by_view.mean()), strata.values()) if deviations else None
    return Observed(by_view, contributions, deviations, interval)


def band_contributions(envelope: np.ndarray, pool: Pool) -> tuple[Contribution, ...]:
    """Share of each mel band in the envelope view's value.

    A pair's kernel |d|^(1/2) is divided among the bands by their share of |d|^2, so the parts add up
    exactly. Of large sets: the first ``BAND_UNITS`` units a side in the order of their contents' digests
    (a random choice that is the same on every run), with at most ``BAND_UNITS`` * 4 windows.
    """
    ends = np.append(pool.starts[1:], len(pool.vectors))
    chosen = np.union1d(*(np.flatnonzero(pool.members & side)[:BAND_UNITS] for side in (1, 2)))
    if (ends - pool.starts)[chosen].sum() > 4 * BAND_UNITS:
        envelope, weights = np.add.reduceat(envelope * pool.weights[:, None], pool.starts)[chosen], None
        owner = np.arange(len(chosen))
    else:
        rows = np.concatenate([np.arange(pool.starts[unit], ends[unit]) for unit in chosen])
        owner = np.repeat(np.arange(len(chosen)), (ends - pool.starts)[chosen])
        envelope, weights = envelope[rows], pool.weights[rows]
    r, c = (np.isin(chosen, np.flatnonzero(pool.members & side)[:BAND_UNITS]) for side in (1, 2))
    allowed = (chosen[:, None] != chosen) & (pool.partner[chosen][:, None] != chosen)
    coefficient = (
        2 * allowed * np.outer(r, c) / max(allowed[np.ix_(r, c)].sum(), 1)
        - allowed * np.outer(r, r) / max(allowed[np.ix_(r, r)].sum(), 1)
        - allowed * np.outer(c, c) / max(allowed[np.ix_(c, c)].sum(), 1)
    )
    pairs = coefficient[np.ix_(owner, owner)]
    if weights is not None:
        pairs *= np.outer(weights, weights)
    pairs *= np.maximum(squared_distances(envelope, envelope), 1e-12) ** -0.75
    pairs += pairs.T
    by_band = envelope.reshape(len(envelope), len(ENVELOPE_SIZES), 4, ENVELOPE_BANDS)
    edges = mel_to_hz(np.linspace(hz_to_mel(LOWEST_HZ), hz_to_mel(RATE / 2), ENVELOPE_BANDS + 2))
    totals, result = pairs.sum(axis=1), []
    for band in range(ENVELOPE_BANDS):
        part = by_band[..., band].reshape(len(envelope), -1)
        # Half the sum over pairs of pairs[i, j] |part_i - part_j|^2, without a third axis.
        value = totals @ (part * part).sum(axis=1) - ((pairs @ part) * part).sum()
        result.append(Contribution(f"{edges[band]:.0f}-{edges[band + 2]:.0f} Hz", float(value)))
    return tuple(result)


def level_difference(pool: Pool) -> tuple[float, tuple[float, float] | None]:
    """Candidate minus reference in dB, with Welch's 95 % interval over units."""
    reference, candidate = pool.levels[pool.members & 1 > 0], pool.levels[pool.members & 2 > 0]
    value = float(candidate.mean() - reference.mean())
    if min(len(reference), len(candidate)) < 3:
        return value, None
    # The jackknife of a mean is its usual standard error.
    strata = [
        sign * np.array([s.sum() - x for x in s]) / (len(s) - 1)
        for sign, s in ((-1, reference), (1, candidate))
    ]
    return value, jackknife_interval(value, strata)
