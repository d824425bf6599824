"""Tests that are told what to look at: how well could anybody find an effect in so many files?

A distance that misses an effect may be blind to it, or the files may be too few for anybody. An oracle knows
the effect, reads from each file the one number or label that it changes, and compares the two sets by that
alone, in the direction that it was told. Its p-value is that of a permutation test over files, so it is exact
where nothing differs, and it can be compared with that of ``metrics.compare``.

Conventions
    signal    mono, floating point, (samples,); rate in Hz.
    level     dB of the mean square of a frame of ``FRAME`` seconds, those of a sound relative to its loudest
              frame and no lower than ``FLOOR``: digital silence has a level, too.
    reading   of several that were tried for an effect, the one that found it most often: an oracle is what
              a test could be at best, so it may flatter.
    refused   a signal that is silent or shorter than a frame: ValueError.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.stats

PERMUTATIONS = 199  # p in steps of .005, as that of ``study.incumbents``
FRAME = 0.01  # s
FLOOR = -100.0  # dB
PITCH_FRAME, PITCH_HOP = 0.05, 0.0125  # s: three periods of the lowest voice, and a quarter of that
VOICES = (70.0, 350.0)  # Hz, of the fundamental
FIRST, FINER = 0.9, 8  # of the highest peak; lags a sample
VOICED_DB = -25.0  # frames below this level are not asked for a pitch
PAUSE = 0.1  # s: where a hum is looked for
FALL, AUDIBLE = 0.05, -60.0  # s; dB
SEAM = 0.1  # s on each side of the place where two seconds meet
SEAM_BANDS = 20


# Tests


def of_counts(
    reference: Sequence[str],
    candidate: Sequence[str],
    *,
    rng: np.random.Generator,
    permutations: int = PERMUTATIONS,
) -> float:
    """P-value of the chi-square statistic of two sets' label counts, by permutation.

    ``reference``, ``candidate``: the label of every file. With the counts of both sets together given, the
    statistic grows as the sum over labels of (files of the reference)^2 / (files of both). Few permutations
    are all enumerated.
    """
    names, codes = np.unique([*reference, *candidate], return_inverse=True)
    both = np.bincount(codes)

    def statistic(x: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
        counts = (np.moveaxis(x, axis, -1)[..., None] == np.arange(len(names))).sum(axis=-2)
        return (counts**2 / both).sum(axis=-1)

    return _p_value(codes[: len(reference)], codes[len(reference) :], statistic, rng, permutations)


def of_means(
    reference: Sequence[float],
    candidate: Sequence[float],
    *,
    direction: int,
    rng: np.random.Generator,
    permutations: int = PERMUTATIONS,
) -> float:
    """P-value of the difference of two means, by permutation, one-sided.

    ``direction`` is 1 where the candidate's numbers are said to be larger, -1 where smaller; else ValueError.
    Few permutations are all enumerated.
    """
    if direction not in (1, -1):
        raise ValueError(f"direction is {direction}; it is 1 (larger) or -1 (smaller)")

    def statistic(x: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
        return direction * (np.mean(y, axis=axis) - np.mean(x, axis=axis))

    return _p_value(np.asarray(reference, float), np.asarray(candidate, float), statistic, rng, permutations)


def _p_value(x, y, statistic, rng, permutations) -> float:
    found = scipy.stats.permutation_test(
        (x, y),
        statistic,
        n_resamples=permutations,
        alternative="greater",
        vectorized=True,
        random_state=rng,
    )
    return float(found.pvalue)


# Numbers


def log_fundamental(signal: np.ndarray, rate: int) -> float:
    """Base-2 logarithm of the fundamental frequency in Hz: 1/12 is a semitone.

    Median over the more periodic half of the frames that are loud enough, each by the first peak of its
    normalised autocorrelation, between the lags of ``VOICES``, that is ``FIRST`` of the highest or more: a
    period is one, and two periods are another.
    """
    size, hop = round(PITCH_FRAME * rate), round(PITCH_HOP * rate)
    frames = _cut(signal, size, hop)
    power = (frames**2).mean(axis=1)
    frames = frames[power >= 10 ** (VOICED_DB / 10) * power.max()]
    frames = frames - frames.mean(axis=1, keepdims=True)
    spectrum = np.fft.rfft(frames, 2 * size, axis=1)
    # As a longer transform it is interpolated between the samples: a lag of one is 2 % of a high voice's.
    same = np.fft.irfft(np.abs(spectrum) ** 2, 2 * size * FINER, axis=1)[:, : size * FINER]
    # A later lag has fewer products: without this the peak is drawn to shorter lags.
    same = same / np.maximum(same[:, :1], np.finfo(float).tiny)
    same = same * (size * FINER / (size * FINER - np.arange(size * FINER)))
    lags = np.arange(round(FINER * rate / VOICES[1]), min(round(FINER * rate / VOICES[0]), size * FINER - 2))
    highest = same[:, lags].max(axis=1)
    peaks = (same[:, lags] >= same[:, lags - 1]) & (same[:, lags] >= same[:, lags + 1])
    # Where no peak lies between, the highest value is at an end.
    good = same[:, lags] >= np.where(peaks, FIRST, 1.0) * highest[:, None]
    lag = lags[good.argmax(axis=1)]
    return float(np.median(np.log2(FINER * rate / lag)[highest >= np.median(highest)]))


def log_centroid(signal: np.ndarray, rate: int) -> float:
    """Base-2 logarithm of the spectrum's centre of gravity in Hz, of magnitudes."""
    magnitude = np.abs(np.fft.rfft(_sounding(signal)))
    return float(np.log2((np.fft.rfftfreq(len(signal), 1 / rate) * magnitude).sum() / magnitude.sum()))


def silent_share(signal: np.ndarray, rate: int) -> float:
    """Share of the samples that are exactly 0."""
    return float(np.mean(_sounding(signal) == 0))


def median_level(signal: np.ndarray, rate: int) -> float:
    """Median level of the frames, dB: nearer to 0 where the loud parts stand out less."""
    return float(np.median(_levels(signal, rate)))


def rise(signal: np.ndarray, rate: int) -> float:
    """Level of the second half of the signal over that of the first, dB."""
    signal = _sounding(signal)
    first, second = (np.mean(half**2) for half in (signal[: len(signal) // 2], signal[len(signal) // 2 :]))
    least = 10 ** (FLOOR / 10) * (first + second)
    return float(10 * np.log10(max(second, least) / max(first, least)))


def level_at(hertz: float, signal: np.ndarray, rate: int) -> float:
    """Level at ``hertz`` where that is quietest, relative to the whole signal, dB: what a steady tone leaves.

    Of windows of ``PAUSE`` seconds (Hann), a quarter of that apart.
    """
    size = round(PAUSE * rate)
    window = np.hanning(size)
    tone = window * np.exp(-2j * np.pi * hertz * np.arange(size) / rate)
    amplitude = 2 * np.abs(_cut(signal, size, size // 4) @ tone).min() / window.sum()
    power = amplitude**2 / 2 / np.mean(np.square(signal, dtype=float))
    return float(10 * np.log10(max(power, 10 ** (FLOOR / 10))))


def steepest_fall(signal: np.ndarray, rate: int) -> float:
    """Largest fall of the level within ``FALL`` seconds, dB (below 0): a tail leaves none so steep.

    Levels below ``AUDIBLE`` count as that.
    """
    levels = np.maximum(_levels(signal, rate), AUDIBLE)
    frames = min(round(FALL / FRAME), len(levels) - 1)
    return float((levels[frames:] - levels[: len(levels) - frames]).min())


def seams(signal: np.ndarray, rate: int) -> float:
    """How much less alike two neighbouring seconds are where they meet than any two are.

    Of the log power in ``SEAM_BANDS`` bands, as far apart on a logarithmic scale, of the last tenth of every
    whole second and the first tenth of every other: mean distance of those that meet, less that of those that
    do not, as a share of the latter. Below 0 where sounds go on, near 0 where the order is by chance.
    ValueError for fewer than three whole seconds.
    """
    seconds = len(_sounding(signal)) // rate
    if seconds < 3:
        raise ValueError(f"{len(signal) / rate:.2f} s; three whole seconds or more have an order to look at")
    size = round(SEAM * rate)
    pieces = np.reshape(signal[: seconds * rate], (seconds, rate))
    ends, starts = (_bands(part, rate) for part in (pieces[:, -size:], pieces[:, :size]))
    apart = np.sqrt(((ends[:, None] - starts[None, :]) ** 2).mean(axis=-1))
    meet = np.eye(seconds, k=1, dtype=bool)
    others = ~meet & ~np.eye(seconds, dtype=bool)
    return float(apart[meet].mean() / apart[others].mean() - 1)


# Parts of the above


def _sounding(signal: np.ndarray) -> np.ndarray:
    signal = np.asarray(signal, dtype=float)
    if not signal.any():
        raise ValueError("the signal is silent")
    return signal


def _cut(signal: np.ndarray, size: int, hop: int) -> np.ndarray:
    """(frames, size); ValueError for less than one frame."""
    signal = _sounding(signal)
    if len(signal) < size:
        raise ValueError(f"{len(signal)} samples; a frame has {size}")
    return np.lib.stride_tricks.sliding_window_view(signal, size)[::hop]


def _levels(signal: np.ndarray, rate: int) -> np.ndarray:
    size = round(FRAME * rate)
    power = (_cut(signal, size, size) ** 2).mean(axis=1)
    return 10 * np.log10(np.maximum(power / power.max(), 10 ** (FLOOR / 10)))


def _bands(pieces: np.ndarray, rate: int) -> np.ndarray:
    """Log power of each piece (n, samples) by band, in nepers: (n, bands)."""
    power = np.abs(np.fft.rfft(pieces * np.hanning(pieces.shape[1]))) ** 2
    hertz = np.fft.rfftfreq(pieces.shape[1], 1 / rate)
    edges = np.geomspace(50, rate / 2, SEAM_BANDS + 1)
    band = np.searchsorted(edges, hertz, side="right") - 1
    sums = np.stack([power[:, band == b].sum(axis=1) for b in range(SEAM_BANDS)], axis=1)
    return np.log(sums + 1e-8 * power.sum(axis=1).max())
