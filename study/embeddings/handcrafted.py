"""Embeddings of numpy, scipy and the distance's own parts: always there, nothing learned.

Conventions
    window      mono float32, 1 s at 22,050 Hz (all of a shorter sound), prepared: trimmed at both
                ends, an RMS of 0.1. A frame of these embeddings is a window.
    row         what is computed of a window, (dimension,).
    describe    ``(signal, rate) -> (windows, dimension)``, as ``base`` says.

The incumbents (log mel, MFCC) are given the distance's own preparation and windows: what differs in a
comparison is then the numbers, not the level or the silence around a sound.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import scipy.fft
import scipy.signal

import metrics
from audio_distance.features import resample
from audio_distance.views import VIEW_COLUMNS
from study.embeddings.base import Describe
from study.embeddings.inputs import power_spectra

N_FFT, HOP = 1024, 256  # of log_mel, mfcc and mean_spectrum: 46 ms and 12 ms at 22,050 Hz
HANN_POWER = 0.375  # mean square of a Hann window
LOG_MEL_BANDS = 80
MFCC_BANDS, MFCC_COEFFICIENTS, MFCC_CONTEXT = 40, 20, 9  # context in frames: librosa's width of a delta
SEQUENCE_FRAMES, SEQUENCE_COEFFICIENTS = 40, 13  # few enough to align all pairs of files
WAVEFORM_RATE = 8_000  # Hz
DECIBEL_FLOOR = 1e-6  # amplitude: -120 dB

Row = Callable[[np.ndarray], np.ndarray]


def by_window(row: Row) -> Describe:
    """Return the description with one row for each window of the prepared signal."""

    def describe(signal: np.ndarray, rate: int) -> np.ndarray:
        return np.stack([row(window) for window in metrics.windows(metrics.prepare(signal, rate)[0])])

    return describe


def view(name: str | None) -> Row:
    """Return the row of one view of ``metrics.embed``, of all three for None, over the bundled divisors."""
    columns = slice(None) if name is None else VIEW_COLUMNS[name]
    return lambda window: metrics.divided(metrics.embed(window))[columns]


def log_mel(window: np.ndarray) -> np.ndarray:
    """Return mean, then standard deviation over time of 80 log mel bands, (160,)."""
    return _mean_and_sd(_log_bands(window, LOG_MEL_BANDS))


def mfcc(window: np.ndarray) -> np.ndarray:
    """Return mean, then standard deviation of 20 coefficients, their slopes and curvatures, (120,).

    Slopes and curvatures are those of least squares over 9 frames, as librosa has them. Davis and
    Mermelstein 1980, doi:10.1109/TASSP.1980.1163420.
    """
    cepstrum = _cepstrum(window, MFCC_COEFFICIENTS)
    deltas = [
        scipy.signal.savgol_filter(cepstrum, MFCC_CONTEXT, order, deriv=order, axis=0, mode="nearest")
        for order in (1, 2)
    ]
    return _mean_and_sd(np.hstack([cepstrum, *deltas]))


def mean_spectrum(window: np.ndarray) -> np.ndarray:
    """Return the magnitude spectrum averaged over time, (513,), in dB, with a floor of -120 dB."""
    return 20 * np.log10(np.sqrt(_spectra(window)).mean(axis=0) + DECIBEL_FLOOR)


def mfcc_sequence(signal: np.ndarray, rate: int) -> np.ndarray:
    """Describe a whole sound by 13 coefficients at 40 instants, flattened: one row, (1, 520).

    The instants are spread over the sound, so that dynamic time warping (Sakoe and Chiba 1978,
    doi:10.1109/TASSP.1978.1163055) aligns courses of one length.
    """
    cepstrum = _cepstrum(metrics.prepare(signal, rate)[0], SEQUENCE_COEFFICIENTS)
    instants = np.linspace(0, len(cepstrum) - 1, SEQUENCE_FRAMES)
    columns = [np.interp(instants, np.arange(len(cepstrum)), column) for column in cepstrum.T]
    return np.stack(columns, axis=1).reshape(1, -1)


def waveform(signal: np.ndarray, rate: int) -> np.ndarray:
    """Describe a sound by its first second at 8 kHz, (1, 8000): nothing trimmed, nothing levelled."""
    start = resample(signal, rate, WAVEFORM_RATE)[:WAVEFORM_RATE]
    return np.pad(start, (0, WAVEFORM_RATE - len(start)))[None]


def _spectra(window: np.ndarray) -> np.ndarray:
    """Power over the sum of the squared Hann window, 3 n / 8, of 1024-point frames: (frames, 513)."""
    return power_spectra(window, N_FFT, hop=HOP) / np.float32(HANN_POWER * N_FFT)


def _log_bands(window: np.ndarray, bands: int) -> np.ndarray:
    """Natural logarithm of the mel power, (frames, bands)."""
    # White noise of the prepared level has n RMS^2 / (2 bands) in a mean band: the floor is 60 dB below.
    floor = np.float32(1e-6 * metrics.PREPARED_RMS**2 * N_FFT / (2 * bands))
    return np.log(_spectra(window) @ _filters(bands) + floor)


@cache
def _filters(bands: int) -> np.ndarray:
    return metrics.mel_filters(N_FFT, bands, rate=metrics.RATE).T.astype(np.float32)


def _mean_and_sd(frames: np.ndarray) -> np.ndarray:
    return np.concatenate([frames.mean(axis=0), frames.std(axis=0)])


def _cepstrum(window: np.ndarray, count: int) -> np.ndarray:
    """First ``count`` mel-frequency cepstral coefficients: orthonormal DCT-II of 40 log mel bands."""
    return scipy.fft.dct(_log_bands(window, MFCC_BANDS), axis=1, norm="ortho")[:, :count]
