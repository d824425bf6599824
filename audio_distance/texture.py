"""Texture: what the test hears of a window beside the three views, 767 numbers.

Conventions
    windows     of one length, some at once: the first axis of every array.
    signal      prepared (see ``features.prepare``): mono float32, (windows, samples), at 22,050 Hz, RMS 0.1.
    power       mean over the frames of |X[t, k]|^2, n_fft = 1024, (windows, 513); ``transforms`` has the
                transform.
    log bands   L[t, b], log mel power as the envelope has it, (windows, frames, 40), of n_fft = 1024 (a frame
                every 11.6 ms) and 256 (every 2.9 ms); ten groups of four neighbouring bands.
    numbers     in the order of ``TEXTURE``. No part of the value: they have no bundled constants, for the
                test scales them by the sounds that it compares.

Texture statistics after McDermott and Simoncelli 2011, doi:10.1016/j.neuron.2011.06.032: marginal moments and
modulation power by band, without their correlations between bands.
"""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from audio_distance.transforms import ENVELOPE_BANDS, PREPARED_RMS, RATE, mel_edges

SPECTRUM_SIZE, FAST_SIZE = 1024, 256  # n_fft of spectrum, slow modulation and skewness; of fast modulation
SPECTRUM_FLOOR = 1e-8  # of the mean power of a bin: 80 dB below it
GROUPS = 10  # of mel bands
LEVEL_FRAME = RATE // 100  # samples: 10 ms
# Dense where the sound is loud: clipping, clicks and limiters live in the highest percents.
QUANTILES = np.array([*np.linspace(0.02, 0.9, 10), 0.95, 0.98, 0.99, 0.995, 0.999, 1.0])
SLOW_HZ = (0.7, 2, 4, 8, 16, 32, 44)  # edges of bands of modulation frequency, up to half of the frame rate
FAST_HZ = (2, 4, 8, 16, 32, 64, 96, 128, 173)
SKEWNESS_LAGS = (1, 2, 4, 8, 16)  # frames of 11.6 ms: 12 to 186 ms
AMPLITUDES = ("level", "slope", "curvature", "10 ms level")
TEXTURE = {
    "spectrum": SPECTRUM_SIZE // 2 + 1,
    "amplitude": len(AMPLITUDES) * len(QUANTILES),
    "slow modulation": (len(SLOW_HZ) - 1) * GROUPS,
    "fast modulation": (len(FAST_HZ) - 1) * GROUPS,
    "skewness": len(SKEWNESS_LAGS) * GROUPS,
}


def texture(
    signal: NDArray[np.float32],
    *,
    power: NDArray[np.float32],
    log_bands: NDArray[np.float32],
    fast_log_bands: NDArray[np.float32],
) -> NDArray[np.float32]:
    """The 767 numbers of each window, (windows, 767) float32, from what the views have computed of it.

    Parameters
    ----------
    signal : array, (windows, samples)
    power : array, (windows, 513)
        Mean over the frames of |X|^2 of n_fft = 1024, not yet over the sum of the squared Hann window.
    log_bands, fast_log_bands : arrays, (windows, frames, 40)
        Of n_fft = 1024 and 256.
    """
    parts = (
        _spectrum(power),
        _amplitude(signal),
        _modulation(_groups(log_bands), SPECTRUM_SIZE // 4, SLOW_HZ),
        _modulation(_group_means(fast_log_bands)[..., None], FAST_SIZE // 4, FAST_HZ),
        _skewness(_group_means(log_bands)),
    )
    return np.concatenate([part.reshape(len(signal), -1) for part in parts], axis=1)


def texture_names() -> list[str]:
    """What each of the 767 numbers is, in words: "spectrum 2153 Hz", "skewness over 46 ms, 30-560 Hz"."""
    size = ENVELOPE_BANDS // GROUPS
    edges = mel_edges(ENVELOPE_BANDS)
    groups = [f"{edges[size * g]:.0f}-{edges[size * (g + 1) + 1]:.0f} Hz" for g in range(GROUPS)]
    modulated = (("slow", SLOW_HZ), ("fast", FAST_HZ))
    return [
        *(f"spectrum {bin * RATE / SPECTRUM_SIZE:.0f} Hz" for bin in range(TEXTURE["spectrum"])),
        *(f"{amplitude}, quantile {q:.4g}" for amplitude in AMPLITUDES for q in QUANTILES),
        *(
            f"{kind} modulation {low:g}-{high:g} Hz, {group}"
            for kind, hz in modulated
            for low, high in itertools.pairwise(hz)
            for group in groups
        ),
        *(
            f"skewness over {1e3 * lag * SPECTRUM_SIZE / 4 / RATE:.0f} ms, {group}"
            for lag in SKEWNESS_LAGS
            for group in groups
        ),
    ]


def _groups(log: NDArray[np.float32]) -> NDArray[np.float32]:
    """(windows, frames, 40) -> (windows, frames, groups, bands of a group)."""
    return log.reshape(*log.shape[:2], GROUPS, ENVELOPE_BANDS // GROUPS)


def _group_means(log: NDArray[np.float32]) -> NDArray[np.float32]:
    """(windows, frames, 40) -> (windows, frames, groups): to the bit the mean over the bands of a group.

    A mean over a short axis costs numpy one call a row: a band after another takes a quarter of its time.
    """
    groups = _groups(log)
    size = groups.shape[-1]
    total: NDArray[np.float32] = groups[..., 0] + groups[..., 1]
    for band in range(2, size):
        total += groups[..., band]
    total /= np.float32(size)
    return total


def _spectrum(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """Log of the mean power of each bin, (windows, bins), over the sum of the squared window (3 n / 8).

    Every bin by itself, for what is narrow: a hum, a whistle, a notch, a band limit. With a soft floor, for
    what resamplers leave above a band lies below it.
    """
    mean = power / np.float32(0.375 * SPECTRUM_SIZE)
    return _log(mean, SPECTRUM_FLOOR * PREPARED_RMS**2)


def _amplitude(signal: NDArray[np.float32]) -> NDArray[np.float32]:
    """Log quantiles of |x|, |x'|, |x''| and of the RMS of frames of 10 ms, over the RMS.

    (windows, samples) -> (windows, 4, quantiles).
    """
    slope = signal[:, 1:] - signal[:, :-1]
    curvature = slope[:, 1:] - slope[:, :-1]
    starts, lengths = _level_frames(signal.shape[1])
    level = np.sqrt(np.add.reduceat(signal * signal, starts, axis=1) / lengths)
    values = (np.abs(signal), np.abs(slope, out=slope), np.abs(curvature, out=curvature), level)
    return _log(np.stack([_quantiles(v) for v in values], axis=1) / np.float32(PREPARED_RMS), 1e-4)


@cache
def _level_frames(samples: int) -> tuple[NDArray[np.int_], NDArray[np.float32]]:
    """First sample of each frame of 10 ms, and the samples that it has."""
    starts = np.arange(0, samples, LEVEL_FRAME)
    return starts, np.diff(np.append(starts, samples)).astype(np.float32)


def _log(values: NDArray[np.float32], floor: float) -> NDArray[np.float32]:
    """With a soft floor: everything is finite, and what lies far below it is told apart no further."""
    result: NDArray[np.float32] = np.log(values + np.float32(floor))
    return result


def _quantiles(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """``np.quantile`` at ``QUANTILES``, (windows, values) -> (windows, quantiles), in a tenth of its time.

    Sorts its argument.
    """
    below, above, share = _quantile_places(values.shape[1])
    values.sort(axis=1)
    lower = values[:, below]
    result: NDArray[np.float32] = lower + share * (values[:, above] - lower)
    return result


@cache
def _quantile_places(count: int) -> tuple[NDArray[np.int_], NDArray[np.int_], NDArray[np.float32]]:
    """Between which two of ``count`` ordered values each quantile lies, and how far from the lower one."""
    place = QUANTILES * (count - 1)
    below = place.astype(int)
    return below, np.minimum(below + 1, count - 1), (place - below).astype(np.float32)


def _modulation(log: NDArray[np.float32], hop: int, edges: tuple[float, ...]) -> NDArray[np.float32]:
    """Log power of the fluctuation of L in bands of modulation frequency::

        log(mean over bins f of a band, and over the mel bands of a group, of |F[f]|^2 / frames + 1e-3)

    (windows, frames, groups, bands of a group) -> (windows, bands of frequency, groups). ``hop`` is the
    number of samples between frames; F is the transform of L without its mean, under a Hann window.
    """
    windows, frames, groups, _ = log.shape
    window, size, starts, counts = _modulation_transform(frames, hop, edges)
    bands = log.reshape(windows, frames, -1)
    centred = bands - bands.mean(axis=1, keepdims=True)
    centred *= window
    spectra = scipy.fft.rfft(centred.swapaxes(1, 2), n=size, axis=2, overwrite_x=True)
    power = spectra.real**2 + spectra.imag**2
    power = power.reshape(windows, groups, -1, power.shape[2]).mean(axis=2)[..., : starts[-1]]
    by_band = np.add.reduceat(power, starts[:-1], axis=2) / (counts * np.float32(frames))
    return _log(by_band.swapaxes(1, 2), 1e-3)


@cache
def _modulation_transform(
    frames: int, hop: int, edges: tuple[float, ...]
) -> tuple[NDArray[np.float32], int, NDArray[np.int_], NDArray[np.float32]]:
    """Hann window, (frames, 1); size of the transform; first bin of each band and of what is above; bins.

    Short sounds are padded until the lowest bands of modulation have a bin: 1.35 Hz lies in .7 to 2 and
    2.7 Hz in 2 to 4.
    """
    size = max(frames, 16384 // hop)
    bins = np.arange(size // 2 + 1) * (RATE / hop / size)
    starts = np.searchsorted(bins, edges)
    window = np.hanning(frames + 2)[1:-1, None]  # without the zeros at its ends
    return window.astype(np.float32), size, starts, np.diff(starts).astype(np.float32)


def _skewness(log: NDArray[np.float32]) -> NDArray[np.float32]:
    """Skewness of the change of L over a lag: attack and decay, which way time runs.

    (windows, frames, groups) -> (windows, lags, groups). The .01 keeps what hardly changes from having any.
    """
    frames = log.shape[1]
    change = np.zeros((len(SKEWNESS_LAGS), *log.shape), np.float32)  # 0 adds nothing to a sum
    for row, lag in enumerate(SKEWNESS_LAGS):
        if lag < frames:
            np.subtract(log[:, lag:], log[:, :-lag], out=change[row, :, lag:])
    counts = np.maximum(frames - np.array(SKEWNESS_LAGS), 1).astype(np.float32)[:, None, None]
    square = change * change
    spread = square.sum(axis=2) / counts + np.float32(0.01)
    square *= change
    skewness: NDArray[np.float32] = square.sum(axis=2) / counts / (spread * np.sqrt(spread))
    return skewness.swapaxes(0, 1)
