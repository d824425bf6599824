"""The three views: what is measured of one prepared window, 1032 numbers.

Conventions
    signal      prepared (see ``features.prepare``): mono float32, (samples,), at 22,050 Hz, RMS 0.1.
    spectrum    X[t, k], frame t and bin k: periodic Hann window of n_fft samples, hop n_fft / 4, centred.
    bands       triangles on Slaney's mel scale, 30 Hz to 11,025 Hz; arrays are (frames, bins or bands).
    numbers     in the order of ``VIEWS``: envelope (480), attack (120), fine structure (432).
"""

from __future__ import annotations

import itertools
import math
from functools import cache, lru_cache

import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

RATE = 22_050  # Hz, at which every signal is described
PREPARED_RMS = 0.1
LOWEST_HZ = 30.0
ENVELOPE_SIZES, ENVELOPE_BANDS = (256, 1024, 4096), 40
FINE_SIZES, FINE_BANDS = (512, 1024, 2048), 24
VIEWS = {"envelope": 480, "attack": 120, "fine structure": 432}
VIEW_COLUMNS = {  # where the numbers of each view stand among all
    view: slice(end - numbers, end)
    for (view, numbers), end in zip(VIEWS.items(), itertools.accumulate(VIEWS.values()), strict=True)
}


def mel_filters(
    n_fft: int, bands: int, *, rate: int, low_hz: float = LOWEST_HZ, high_hz: float | None = None
) -> NDArray[np.float64]:
    """Triangular mel filters of peak 1, (bands, n_fft // 2 + 1), on Slaney's mel scale.

    From ``low_hz`` (30 Hz by default: below it rumble, not sound) to ``high_hz`` (by default half of
    ``rate``, Hz). The same as ``librosa.filters.mel(norm=None)`` (a test compares them); written out because
    the first import of librosa compiles for about 10 s.
    """
    edges = mel_edges(bands, low_hz, rate / 2 if high_hz is None else high_hz)
    bins = np.arange(n_fft // 2 + 1) * rate / n_fft
    width = np.diff(edges)
    rising = (bins - edges[:-2, None]) / width[:-1, None]
    falling = (edges[2:, None] - bins) / width[1:, None]
    return np.maximum(0, np.minimum(rising, falling))


def mel_edges(bands: int, low_hz: float = LOWEST_HZ, high_hz: float = RATE / 2) -> NDArray[np.float64]:
    """Corners of the triangles in Hz, (bands + 2,): band i rises from i, peaks at i + 1, ends at i + 2."""
    return mel_to_hz(np.linspace(hz_to_mel(low_hz), hz_to_mel(high_hz), bands + 2))


def hz_to_mel(hz: float) -> float:
    """Slaney's scale (Auditory Toolbox): linear below 1000 Hz, logarithmic above."""
    return hz * 3 / 200 if hz < 1000 else 15 + math.log(hz / 1000) * 27 / math.log(6.4)


def mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of ``hz_to_mel``, for arrays."""
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * math.log(6.4) / 27))


class _Bands:
    """A band matrix (bins, bands) kept as a few dense pieces: low bands touch only low bins.

    A mel matrix is nearly empty, and eight bands at a time over their own bins cost a third of one
    dense product.
    """

    def __init__(self, matrix: NDArray[np.float64], piece: int = 8) -> None:
        self.bands = matrix.shape[1]
        self.pieces: list[tuple[int, slice, NDArray[np.float32]]] = []
        for first in range(0, self.bands, piece):
            part = matrix[:, first : first + piece]
            used = np.flatnonzero(part.any(axis=1))
            low, high = (used[0], used[-1] + 1) if len(used) else (0, 1)
            self.pieces.append((first, slice(low, high), np.ascontiguousarray(part[low:high], np.float32)))

    def __call__(self, spectra: NDArray[np.float32]) -> NDArray[np.float32]:
        result = np.empty((len(spectra), self.bands), np.float32)
        for first, used, part in self.pieces:
            np.matmul(spectra[:, used], part, out=result[:, first : first + part.shape[1]])
        return result


@cache
def _transform(n_fft: int) -> tuple[NDArray[np.float32], _Bands, _Bands]:
    """Periodic Hann window; mel power bands (per squared window); means over binary bands."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    mel = mel_filters(n_fft, ENVELOPE_BANDS, rate=RATE).T / (window @ window)
    binary = (mel_filters(n_fft, FINE_BANDS, rate=RATE) > 0).T.astype(float)
    binary /= np.maximum(binary.sum(axis=0), 1)
    return window.astype(np.float32), _Bands(mel), _Bands(binary)


def embed(signal: NDArray[np.float32]) -> NDArray[np.float32]:
    """Describe one window: envelope (480), attack (120) and fine structure (432) as (1032,) float32.

    ``signal`` is prepared (see ``prepare``), 2048 samples to 1 s at 22,050 Hz. Everything is finite for
    every finite signal, digital silence and a single impulse included.

    Notes
    -----
    Written as products of real and imaginary parts. The same in complex numpy, as the equations in
    ``_fine_structure`` stand, takes 2.1 ms of CPU a second of audio instead of 1.7.
    """
    envelope, attack, fine = [], [], []
    # Every size once, 1024 for both views, and one padding for all: half of the longest transform.
    sizes = sorted({*ENVELOPE_SIZES, *FINE_SIZES})
    margin = sizes[-1] // 2
    padded = np.pad(signal, margin)
    for n_fft in sizes:
        window, mel, binary = _transform(n_fft)
        centred = padded[margin - n_fft // 2 : len(padded) - margin + n_fft // 2]
        frames = sliding_window_view(centred, n_fft)[:: n_fft // 4]
        spectrum = scipy.fft.rfft(frames * window, axis=1, overwrite_x=True)
        # Apart and contiguous: complex products cost a quarter more (see Notes).
        real, imaginary = np.ascontiguousarray(spectrum.real), np.ascontiguousarray(spectrum.imag)
        power = real * real
        power += imaginary * imaginary
        if n_fft in ENVELOPE_SIZES:
            statistics = _envelope(mel(power), n_fft)
            envelope.append(statistics)
            attack.append(statistics[2] - statistics[3])  # rises minus falls: the sign of time
        if n_fft in FINE_SIZES:
            fine.append(_fine_structure(real, imaginary, power, binary))
    return np.concatenate([np.ravel(part) for part in (*envelope, *attack, *fine)])


@lru_cache(maxsize=1)
def keep_freed_memory() -> None:
    """Let glibc keep the arrays of one transform for the next instead of giving them back.

    Its allocator takes blocks of 128 KiB afresh from the system, page by page, until one larger block has
    been freed; describing a folder in one process took a sixth less time afterwards. For processes that are
    ours, workers and the command: a caller's allocator is left as it is, unless the caller calls this.
    """
    np.empty(2**20)


def _envelope(bands: NDArray[np.float32], n_fft: int) -> NDArray[np.float32]:
    """Mean, sd, rms of rises and rms of falls of the log mel power, (frames, bands) -> (4, bands)::

        L[t, b] = log(sum_k mel[b, k] |X[t, k]|^2 + floor),   D[t, b] = L[t + 1, b] - L[t, b]
        rises   = sqrt(mean_t max(D, 0)^2),                   falls   = sqrt(mean_t min(D, 0)^2)

    ``floor`` is 60 dB under the mean power of a band at the prepared level, so that digital silence and
    what a recording leaves between sounds are told apart no further than an ear does.
    """
    floor = np.float32(1e-6 * PREPARED_RMS**2 * n_fft / (2 * ENVELOPE_BANDS))
    log = np.log(bands + floor)
    change = np.diff(log, axis=0)
    frames = max(len(change), 1)
    rises = np.maximum(change, 0)
    change -= rises
    return np.stack(
        [
            *_mean_and_sd(log),
            np.sqrt(np.einsum("tb,tb->b", rises, rises) / frames),
            np.sqrt(np.einsum("tb,tb->b", change, change) / frames),
        ]
    )


def _fine_structure(
    real: NDArray[np.float32], imaginary: NDArray[np.float32], power: NDArray[np.float32], binary: _Bands
) -> NDArray[np.float32]:
    """What a log-mel spectrogram cannot see, per band, (frames, bins) -> (6, bands)::

        Q[t, k]  = |X[t, k]|^2 + floor,     w = sqrt(Q),     U = X / w
        flatness = mean_k log Q - log mean_k Q                                         over bins k of a band
        steady   = sum_k w U[t+1, k] conj(U[t, k])^2 U[t-1, k] / sum_k w               over time
        smooth   = sum_k w U[t, k+1] conj(U[t, k])^2 U[t, k-1] / sum_k w               over frequency

    The rows are mean and sd over time of flatness, mean and sd of the real part of steady, mean of its
    modulus, mean of the real part of smooth. A phase that advances evenly gives 1 (a steady tone, over time;
    a click, over frequency), noise about 0: vocoders, codecs and Griffin-Lim are heard here.

    ``floor`` is 75 dB under the mean power of a bin at the prepared level, a little above the noise of 16
    bits: a bin well below it counts as even and without phase. What resamplers and encoders leave in an
    empty band would otherwise count like the sound. Products only; no arctangent. Overwrites its arguments.
    """
    n_fft = 2 * (power.shape[1] - 1)
    power += np.float32(10**-7.5 * PREPARED_RMS**2 * 3 / 8 * n_fft)  # 3 / 8: mean square of the Hann window
    weight = np.sqrt(power)
    real /= weight
    imaginary /= weight
    level = np.log(binary(power))
    flatness = binary(np.log(power, out=power)) - level
    total = binary(weight)
    result = np.zeros((6, binary.bands), np.float32)
    result[:2] = _mean_and_sd(flatness)
    # Over frequency on flattened arrays, which is faster: what wraps around a row's end falls on the
    # first and last bin, and both lie outside every band. The products take the place of the power.
    flat_real, flat_imaginary, between = real.ravel(), imaginary.ravel(), power.ravel()
    step = _turn(flat_real[1:], flat_imaginary[1:], flat_real[:-1], flat_imaginary[:-1])
    np.multiply(step[0][1:], step[0][:-1], out=between[1:-1])
    between[1:-1] += np.multiply(step[1][1:], step[1][:-1], out=step[0][1:])
    power *= weight
    power[:, 0] = power[:, -1] = 0
    result[5] = _mean(binary(power) / total)
    if len(real) >= 4:  # fewer frames hold no second difference worth a spread
        step = _turn(real[1:], imaginary[1:], real[:-1], imaginary[:-1])
        along, across = _turn(step[0][1:], step[1][1:], step[0][:-1], step[1][:-1])
        along *= weight[1:-1]
        across *= weight[1:-1]
        steady, drift = binary(along) / total[1:-1], binary(across) / total[1:-1]
        result[2:4] = _mean_and_sd(steady)
        result[4] = _mean(np.sqrt(steady * steady + drift * drift))
    return result


def _mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Over time, (frames, bands) -> (bands,); a product is three times as fast as ``mean`` at these sizes."""
    return np.full(len(values), 1 / len(values), np.float32) @ values


def _mean_and_sd(values: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    mean = _mean(values)
    centred = values - mean
    return mean, np.sqrt(np.einsum("tb,tb->b", centred, centred) / len(values))


def _turn(
    real: NDArray[np.float32],
    imaginary: NDArray[np.float32],
    real_before: NDArray[np.float32],
    imaginary_before: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Real and imaginary part of U conj(V)."""
    along = real * real_before
    along += imaginary * imaginary_before
    across = imaginary * real_before
    across -= real * imaginary_before
    return along, across
