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


def power_spectra(
    signal: np.ndarray, window: int, *, hop: int, n_fft: int | None = None, padding: str | None = "constant"
) -> np.ndarray:
    """Squared magnitude of the short-time Fourier transform, (frames, n_fft // 2 + 1) float32.

    Periodic Hann window of ``window`` samples, not normalised. Frames are centred on multiples of ``hop``
    and the ends padded (``padding`` as in ``numpy.pad``); with None the first frame starts at sample 0 and
    no frame passes the end. A signal shorter than a frame is padded with zeros first.
    """
    signal = np.pad(signal, (0, max(0, window - len(signal))))
    if padding is not None:
        signal = np.pad(signal, window // 2, mode=padding)
    frames = sliding_window_view(signal, window)[::hop]
    hann = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)).astype(np.float32)
    spectra = scipy.fft.rfft(frames * hann, n_fft or window, axis=1)
    return spectra.real**2 + spectra.imag**2


@cache
def mel_matrix(
    rate: int, n_fft: int, bands: int, low: float, high: float, scale: str = "slaney", norm: str = "area"
) -> np.ndarray:
    """Triangular mel filters, (n_fft // 2 + 1, bands) float32, to multiply spectra from the right.

    ``low`` and ``high`` in Hz. ``scale``: "slaney" or "htk", triangles straight in Hz, as in librosa, or
    "htk in mel", triangles straight in mel with the bin at 0 Hz left out, as VGGish has them. ``norm``:
    "area" (2 / width in Hz), "sum" (weights of a band add up to 1) or "peak" (height 1).
    """
    bins = np.arange(n_fft // 2 + 1) * rate / n_fft
    if scale == "slaney":
        edges = metrics._mel_to_hz(np.linspace(metrics._hz_to_mel(low), metrics._hz_to_mel(high), bands + 2))
    else:
        mels = np.linspace(_htk_mel(low), _htk_mel(high), bands + 2)
        edges = mels if scale == "htk in mel" else 700 * (10 ** (mels / 2595) - 1)
    if scale == "htk in mel":
        bins = _htk_mel(bins)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    matrix = np.maximum(0, np.minimum(rising, falling))
    if scale == "htk in mel":
        matrix[:, 0] = 0
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


def cdpam_input(signal: np.ndarray) -> np.ndarray:
    """22,050 Hz -> (blocks, samples): 2 s side by side, in steps of 16-bit samples, up to +-32768.

    The authors average over the whole recording; blocks bound the memory. Up to 2 s the two agree.
    """
    steps = np.round(signal * 32768)
    return cut(steps, min(len(steps), 44_100), hop=44_100)


def musicnn_input(signal: np.ndarray) -> np.ndarray:
    """16,000 Hz -> (blocks, at most 187, 96): log mel of 3 s, side by side.

    512-point frames every 256; 96 bands of Slaney's scale up to 8 kHz; log10(1 + 10^4 power). A shorter
    signal is not padded, because the network pools over what there is. (The authors round the power to
    16 bits first, which changes values by less than 1e-3.)
    """
    log = np.log10(1 + 1e4 * (power_spectra(signal, 512, hop=256) @ mel_matrix(16_000, 512, 96, 0, 8_000)))
    return cut(log, min(len(log), 187), hop=187)


def resemblyzer_input(signal: np.ndarray) -> np.ndarray:
    """16,000 Hz -> (blocks, 160, 40): mel power (no logarithm) of 1.6 s, every 0.77 s.

    Raised, never lowered, to an RMS of -30 dB relative to full scale; 400-point frames every 160. The
    authors also cut out what a voice detector calls no speech; not done here, where not all is speech.
    """
    rms = math.sqrt(float(np.mean(signal.astype(float) ** 2)))
    signal = signal * np.float32(max(1.0, 10 ** (-30 / 20) / rms))
    return cut(power_spectra(signal, 400, hop=160) @ mel_matrix(16_000, 400, 40, 0, 8_000), 160, hop=77)


def openwakeword_input(signal: np.ndarray) -> np.ndarray:
    """16,000 Hz -> (1, samples) in steps of 16-bit samples; zeros at the end up to the 0.78 s of a frame."""
    steps = np.clip(np.round(signal * 32768), -32768, 32767)
    return np.pad(steps, (0, max(0, 12_480 - len(steps))))[None]


def vggish_input(signal: np.ndarray) -> np.ndarray:
    """16,000 Hz -> (blocks, 96, 64): log(magnitude mel + 0.01) of 0.96 s, side by side.

    400-sample frames every 160 in a 512-point transform, not centred; 64 bands from 125 to 7,500 Hz
    (Hershey et al. 2017, arXiv:1609.09430, and the code with it).
    """
    magnitude = np.sqrt(power_spectra(signal, 400, hop=160, n_fft=512, padding=None))
    bands = magnitude @ mel_matrix(16_000, 512, 64, 125, 7_500, "htk in mel", "peak")
    return cut(np.log(cut(bands, max(len(bands), 96), hop=1)[0] + np.float32(0.01)), 96, hop=96)


def panns_input(signal: np.ndarray) -> np.ndarray:
    """32,000 Hz -> (blocks, at most 1001, 64): mel power in dB of 10 s, side by side.

    1024-point frames every 320, ends reflected; 64 bands of Slaney's scale from 50 to 14,000 Hz; floor
    -100 dB (Kong et al. 2020, arXiv:1912.10211). Shorter than 1 s is padded with zeros to 1 s, because the
    network halves time five times.
    """
    signal = np.pad(signal, (0, max(0, 32_000 - len(signal))))
    power = power_spectra(signal, 1024, hop=320, padding="reflect") @ mel_matrix(32_000, 1024, 64, 50, 14_000)
    decibels = 10 * np.log10(np.maximum(power, 1e-10))
    return cut(decibels, min(len(decibels), 1001), hop=1001)


def waveform_blocks(signal: np.ndarray, rate: int, seconds: float) -> np.ndarray:
    """(blocks, samples) of at most ``seconds``, side by side; at least 0.4 s, padded with zeros."""
    signal = np.pad(signal, (0, max(0, round(0.4 * rate) - len(signal))))
    longest = round(seconds * rate)
    return cut(signal, min(len(signal), longest), hop=longest)
