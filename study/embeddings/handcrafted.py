"""Embeddings of numpy, scipy and ``metrics``: always there."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import scipy.fft
import scipy.signal

import metrics
from study.embeddings.base import Describe, _resampled
from study.embeddings.inputs import power_spectra

N_FFT, HOP = 1024, 256  # of log_mel, mfcc and mean_spectrum: 46 ms and 12 ms at 22,050 Hz
SEQUENCE_FRAMES, SEQUENCE_COEFFICIENTS = 40, 13


def _by_window(row: Callable[[np.ndarray], np.ndarray]) -> Callable[[], Describe]:
    """One row for each window of 1 s of the prepared signal (the whole, up to 1.5 s)."""

    def describe(signal: np.ndarray, rate: int) -> np.ndarray:
        return np.stack([row(window) for window in metrics.windows(metrics.prepare(signal, rate)[0])])

    return lambda: describe


def _view(name: str | None) -> Callable[[np.ndarray], np.ndarray]:
    """The numbers of one view of ``metrics.embed``, all for None, over the bundled divisors."""
    sizes = list(metrics.VIEWS.values())
    first = 0 if name is None else sum(sizes[: list(metrics.VIEWS).index(name)])
    wanted = slice(first, first + (sum(sizes) if name is None else metrics.VIEWS[name]))
    return lambda window: metrics.embed(window)[wanted] / metrics.constants()[0][wanted]


def _spectra(window: np.ndarray) -> np.ndarray:
    """Power per squared window of 1024-point frames, (frames, 513); Hann's squares sum to 3 n / 8."""
    return power_spectra(window, N_FFT, hop=HOP) / np.float32(0.375 * N_FFT)


def _log_bands(window: np.ndarray, bands: int) -> np.ndarray:
    """Natural logarithm of the mel power, (frames, bands), floor 60 dB under the mean band."""
    floor = np.float32(1e-6 * metrics.PREPARED_RMS**2 * N_FFT / (2 * bands))
    return np.log(_spectra(window) @ _filters(bands) + floor)


@cache
def _filters(bands: int) -> np.ndarray:
    return metrics.mel_filters(N_FFT, bands).T.astype(np.float32)


def _mean_and_sd(frames: np.ndarray) -> np.ndarray:
    return np.concatenate([frames.mean(axis=0), frames.std(axis=0)])


def _cepstrum(window: np.ndarray, count: int) -> np.ndarray:
    """First ``count`` mel-frequency cepstral coefficients: orthonormal DCT-II of 40 log mel bands."""
    return scipy.fft.dct(_log_bands(window, 40), axis=1, norm="ortho")[:, :count]


def _mfcc(window: np.ndarray) -> np.ndarray:
    """Mean, then sd, of 20 coefficients, slopes and curvatures (least squares over 9 frames, as librosa)."""
    cepstrum = _cepstrum(window, 20)
    change = [
        scipy.signal.savgol_filter(cepstrum, 9, order, deriv=order, axis=0, mode="nearest")
        for order in (1, 2)
    ]
    return _mean_and_sd(np.hstack([cepstrum, *change]))


def _mean_spectrum(window: np.ndarray) -> np.ndarray:
    """dB relative to full scale per bin, floor -120 dB."""
    return 20 * np.log10(np.sqrt(_spectra(window)).mean(axis=0) + 1e-6)


def _mfcc_sequence() -> Describe:
    def describe(signal: np.ndarray, rate: int) -> np.ndarray:
        cepstrum = _cepstrum(metrics.prepare(signal, rate)[0], SEQUENCE_COEFFICIENTS)
        instants = np.linspace(0, len(cepstrum) - 1, SEQUENCE_FRAMES)
        columns = [np.interp(instants, np.arange(len(cepstrum)), column) for column in cepstrum.T]
        return np.stack(columns, axis=1).reshape(1, -1)

    return describe


def _waveform() -> Describe:
    def describe(signal: np.ndarray, rate: int) -> np.ndarray:
        start = _resampled(signal, rate, 8_000)[:8_000]
        return np.pad(start, (0, 8_000 - len(start)))[None]

    return describe
