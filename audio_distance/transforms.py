"""What every description of a window starts from: transforms, and bands on the mel scale.

Conventions
    spectrum    X[t, k], frame t and bin k: periodic Hann window of n_fft samples, hop n_fft / 4, centred.
    bands       triangles on Slaney's mel scale, 30 Hz to 11,025 Hz; arrays are (frames, bins or bands).
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

RATE = 22_050  # Hz, at which every signal is described
PREPARED_RMS = 0.1
LOWEST_HZ = 30.0
ENVELOPE_BANDS, FINE_BANDS = 40, 24


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


class Bands:
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

    def __call__(self, spectra: NDArray[np.float32], *, out: NDArray[np.float32]) -> None:
        """Of each frame, (frames, bins) -> ``out``, (frames, bands)."""
        for first, used, part in self.pieces:
            np.matmul(spectra[:, used], part, out=out[:, first : first + part.shape[1]])


@cache
def transform(n_fft: int) -> tuple[NDArray[np.float32], Bands, Bands]:
    """Periodic Hann window; mel power bands (per squared window); means over binary bands."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    mel = mel_filters(n_fft, ENVELOPE_BANDS, rate=RATE).T / (window @ window)
    binary = (mel_filters(n_fft, FINE_BANDS, rate=RATE) > 0).T.astype(float)
    binary /= np.maximum(binary.sum(axis=0), 1)
    return window.astype(np.float32), Bands(mel), Bands(binary)


def band_floor(n_fft: int) -> np.float32:
    """60 dB under the mean power of a mel band at the prepared level: what is added before a logarithm."""
    return np.float32(1e-6 * PREPARED_RMS**2 * n_fft / (2 * ENVELOPE_BANDS))
