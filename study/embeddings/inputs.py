"""What a network reads: blocks, spectra and mel bands as its authors make them."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view

import metrics


def cut(frames: np.ndarray, length: int, *, hop: int) -> np.ndarray:
    """Blocks of ``length`` along the first axis, (blocks, length, ...): none of the input is left out.

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
    """Squared magnitude of the short-time Fourier transform, (frames, window // 2 + 1) float32.

    Periodic Hann window of ``window`` samples, not normalised. Frames are centred on multiples of ``hop``,
    and the ends padded with zeros. A signal shorter than a frame is padded with zeros first.
    """
    signal = np.pad(signal, (0, max(0, window - len(signal))))
    signal = np.pad(signal, window // 2)
    frames = sliding_window_view(signal, window)[::hop]
    hann = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)).astype(np.float32)
    spectra = scipy.fft.rfft(frames * hann, axis=1)
    return spectra.real**2 + spectra.imag**2


@cache
def mel_matrix(
    rate: int, n_fft: int, bands: int, low: float, high: float, scale: str = "slaney", norm: str = "area"
) -> np.ndarray:
    """Triangular mel filters, (n_fft // 2 + 1, bands) float32, to multiply spectra from the right.

    ``low`` and ``high`` in Hz. ``scale``: "slaney" or "htk", triangles straight in Hz, as in librosa.
    ``norm``: "area" (2 / width in Hz), "sum" (weights of a band add up to 1) or "peak" (height 1).
    """
    bins = np.arange(n_fft // 2 + 1) * rate / n_fft
    if scale == "slaney":
        edges = metrics._mel_to_hz(np.linspace(metrics._hz_to_mel(low), metrics._hz_to_mel(high), bands + 2))
    else:
        edges = 700 * (10 ** (np.linspace(_htk_mel(low), _htk_mel(high), bands + 2) / 2595) - 1)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    matrix = np.maximum(0, np.minimum(rising, falling))
    if norm == "area":
        matrix *= (2 / (edges[2:] - edges[:-2]))[:, None]
    elif norm == "sum":
        matrix /= np.maximum(matrix.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    return matrix.T.astype(np.float32)


def _htk_mel(hz):
    return 2595 * np.log10(1 + np.asarray(hz) / 700)


def aisfx_input(signal: np.ndarray) -> np.ndarray:
    """44,100 Hz -> (blocks, 100, 96): log mel of 2.3 s, half overlapping, as aisfx's own librosa variant.

    Peak 1; 2048-point frames every 1024; 96 bands of the HTK scale up to 22,050 Hz, weights adding up to 1;
    log10(1 + 10^4 power) over 9.4578, the largest value of the authors' training data.
    """
    power = power_spectra(signal / np.abs(signal).max(), 2048, hop=1024)
    log = np.log10(1 + 1e4 * (power @ mel_matrix(44_100, 2048, 96, 0, 22_050, "htk", "sum")))
    return cut(log / np.float32(9.457798957824707), 100, hop=50)


def resemblyzer_input(signal: np.ndarray) -> np.ndarray:
    """16,000 Hz -> (blocks, 160, 40): mel power (no logarithm) of 1.6 s, every 0.77 s.

    Raised, never lowered, to an RMS of -30 dB relative to full scale; 400-point frames every 160. The
    authors also cut out what a voice detector calls no speech; not done here, where not all is speech.
    """
    rms = math.sqrt(float(np.mean(signal.astype(float) ** 2)))
    signal = signal * np.float32(max(1.0, 10 ** (-30 / 20) / rms))
    return cut(power_spectra(signal, 400, hop=160) @ mel_matrix(16_000, 400, 40, 0, 8_000), 160, hop=77)
