"""What a network reads: blocks of log mel bands, made as its authors make them.

Conventions
    signal      mono float32, (samples,), full scale 1.0, at the rate that a function's first line names.
    spectra     (frames, bins): time first, so that mel filters, (bins, bands), multiply from the right.
    block       what a network reads at once: (blocks, frames, bands), float32.

Equations are those of the authors' code; mel filters come from librosa, which that code calls.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view

AISFX_LARGEST = 9.457798957824707  # log power, in the authors' training data
RESEMBLYZER_LEAST_RMS = 10 ** (-30 / 20)  # -30 dB relative to full scale


def cut(frames: np.ndarray, length: int, *, hop: int) -> np.ndarray:
    """Return blocks of ``length`` along the first axis, (blocks, length, ...): nothing is left out.

    Blocks start about ``hop`` apart, spread evenly so that the last one ends with the input (the networks'
    own code drops or pads the rest, which makes the result depend on it). Shorter input is one block,
    padded with zeros at the end.
    """
    if len(frames) <= length:
        return np.pad(frames, [(0, length - len(frames)), *[(0, 0)] * (frames.ndim - 1)])[None]
    count = math.ceil((len(frames) - length) / hop) + 1
    starts = np.linspace(0, len(frames) - length, count).round().astype(int)
    return np.stack([frames[start : start + length] for start in starts])


def power_spectra(signal: np.ndarray, window: int, *, hop: int) -> np.ndarray:
    """Return |STFT|^2, (frames, window // 2 + 1) float32.

    Periodic Hann window of ``window`` samples, not normalised. Frames are centred on multiples of ``hop``
    samples, and the ends padded with zeros, as in librosa. A signal shorter than a frame is padded first.
    """
    signal = np.pad(signal, (0, max(0, window - len(signal))))
    frames = sliding_window_view(np.pad(signal, window // 2), window)[::hop]
    hann = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)).astype(np.float32)
    spectra = scipy.fft.rfft(frames * hann, axis=1)
    return spectra.real**2 + spectra.imag**2


@cache
def _mel_filters(rate: int, n_fft: int, bands: int, *, norm: str | int, htk: bool = False) -> np.ndarray:
    """librosa's mel filters from 0 Hz to half of ``rate``, (n_fft // 2 + 1, bands) float32."""
    import librosa  # a second, and only for networks

    filters = librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=bands, htk=htk, norm=norm, dtype=np.float64)
    return filters.T.astype(np.float32)


def aisfx_input(signal: np.ndarray) -> np.ndarray:
    """44,100 Hz -> (blocks, 100, 96): log mel of 2.3 s, half overlapping, as aisfx's own librosa variant.

    Peak 1; 2048-point frames every 1024; 96 bands of the HTK scale up to 22,050 Hz, weights adding up to 1;
    log10(1 + 10^4 power) over 9.4578, the largest value of the authors' training data.
    """
    power = power_spectra(signal / np.abs(signal).max(), 2048, hop=1024)
    log = np.log10(1 + 1e4 * (power @ _mel_filters(44_100, 2048, 96, htk=True, norm=1)))
    return cut(log / np.float32(AISFX_LARGEST), 100, hop=50)


def resemblyzer_input(signal: np.ndarray) -> np.ndarray:
    """16,000 Hz -> (blocks, 160, 40): mel power (no logarithm) of 1.6 s, every 0.77 s.

    Raised, never lowered, to an RMS of -30 dB relative to full scale; 400-point frames every 160. The
    authors also cut out what a voice detector calls no speech; not done here, where not all is speech.
    """
    rms = math.sqrt(float(np.mean(signal.astype(float) ** 2)))
    signal = signal * np.float32(max(1.0, RESEMBLYZER_LEAST_RMS / rms))
    power = power_spectra(signal, 400, hop=160)
    return cut(power @ _mel_filters(16_000, 400, 40, norm="slaney"), 160, hop=77)
