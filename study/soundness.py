"""Pairs of sets that a distance must tell apart, and pairs that it must not: ``PAIRS``.

Conventions
    maker    ``make(size, rng)`` returns reference, candidate (``size`` signals each) and their rate in Hz.
    change   ``change(signal, rate, rng)`` returns a changed signal.

A pair must differ if anybody hears at once that it does; it must not where a change leaves no trace that a
listener could name (gain, silence, dither, resampling), or where both sets are draws of one source.
"""

from __future__ import annotations

import numpy as np
import soxr
from scipy.signal import fftconvolve, lfilter

import metrics
from study import datasets
from study.datasets.distortions import DISTORTIONS, reverse


def _speech(count: int, rng) -> tuple[list[np.ndarray], int]:
    digits = datasets.digits(count=count, rng=rng)
    order = rng.permutation(count)
    return [digits.signals[i] for i in order], digits.rate


def _halves(change_reference=None, change_candidate=None):
    """Two disjoint samples of digits, one or both changed."""

    def make(size, rng):
        signals, rate = _speech(2 * size, rng)
        x, y = signals[:size], signals[size:]
        x = [change_reference(s, rate, rng) for s in x] if change_reference else x
        y = [change_candidate(s, rate, rng) for s in y] if change_candidate else y
        return x, y, rate

    return make


def _made(left, right):
    """Two sets of synthetic signals at 22,050 Hz, one second each."""

    def make(size, rng):
        return [left(rng) for _ in range(size)], [right(rng) for _ in range(size)], metrics.RATE

    return make


def _white(rng):
    return rng.normal(0, 0.1, metrics.RATE)


def _tilted(signal, db_per_octave, rate):
    spectrum = np.fft.rfft(signal)
    hz = np.maximum(np.fft.rfftfreq(len(signal), 1 / rate), 50.0)
    return np.fft.irfft(spectrum * (hz / 1000) ** (db_per_octave / 6.0206), len(signal))


def _pink(rng):
    return _tilted(_white(rng), -3.0103, metrics.RATE)


def _tone(low, high):
    def make(rng):
        hz = rng.uniform(low, high)
        return 0.5 * np.sin(2 * np.pi * (hz * np.arange(metrics.RATE) / metrics.RATE + rng.uniform()))

    return make


def _modulated(hz):
    def make(rng):
        time_axis = np.arange(metrics.RATE) / metrics.RATE
        return _white(rng) * (1 + 0.9 * np.sin(2 * np.pi * (hz * time_axis + rng.uniform())))

    return make


def _pulses(shuffled):
    """A voiced sound, or noise of the same long-term spectrum (phases drawn anew)."""

    def make(rng):
        signal = np.zeros(metrics.RATE)
        signal[:: int(metrics.RATE / rng.uniform(90, 200))] = 1
        signal = lfilter([1], [1, -1.6, 0.8], signal)
        if shuffled:
            spectrum = np.abs(np.fft.rfft(signal)) * np.exp(
                2j * np.pi * rng.uniform(size=len(signal) // 2 + 1)
            )
            signal = np.fft.irfft(spectrum, len(signal))
        return signal / np.abs(signal).max()

    return make


def _two_digits(share):
    """Two of the ten digits, ``share`` of the candidate from the first one, half of the reference."""

    def make(size, rng):
        digits = datasets.digits()
        label, signals = np.array(digits.labels), digits.signals
        one, other = (
            rng.permutation(np.flatnonzero(label == d)) for d in rng.permutation(np.unique(label))[:2]
        )
        half, part = size // 2, round(share * size)
        x = [*one[:half], *other[:half]]
        y = [*one[half : half + part], *other[half : half + size - part]]
        return [signals[i] for i in x], [signals[i] for i in y], digits.rate

    return make


def _one_repeated(size, rng):
    signals, rate = _speech(size + 1, rng)
    return signals[:size], [signals[size]] * size, rate


def _one_class_left(size, rng):
    digits = datasets.digits()
    order = rng.permutation(len(digits.signals))
    label = np.array(digits.labels)
    y = [i for i in order[size:] if label[i] == label[order[0]]][:size]
    return [digits.signals[i] for i in order[:size]], [digits.signals[i] for i in y], digits.rate


def _speakers(size, rng):
    digits = datasets.digits()
    group = np.array(digits.groups)
    one, other = rng.permutation(np.unique(group))[:2]
    x, y = (rng.permutation(np.flatnonzero(group == g))[:size] for g in (one, other))
    return [digits.signals[i] for i in x], [digits.signals[i] for i in y], digits.rate


def _distorted(kind, severity):
    return _halves(None, lambda s, rate, rng: DISTORTIONS[kind](s, rate, severity, rng))


def _there_and_back(signal, rate, rng):
    return soxr.resample(soxr.resample(signal, rate, 2 * rate + 1000), 2 * rate + 1000, rate)


def _room(signal, rate, rng):
    tail = rng.normal(size=rate // 2) * np.exp(-6.9 * np.arange(rate // 2) / (rate // 2))
    return fftconvolve(signal, np.concatenate([[1.0], 0.1 * tail]))[: len(signal)]


PAIRS = {
    # name: (must differ, files a side, maker)
    "white / pink noise": (True, 20, _made(_white, _pink)),
    "speech / tilted 3 dB per octave": (True, 20, _halves(None, lambda s, r, g: _tilted(s, 3, r))),
    "tones 200-400 Hz / 800-1600 Hz": (True, 20, _made(_tone(200, 400), _tone(800, 1600))),
    "forward / reversed speech": (True, 20, _halves(None, lambda s, r, g: reverse(s))),
    "one speaker / another": (True, 20, _speakers),
    "modulated at 4 Hz / at 12 Hz": (True, 20, _made(_modulated(4), _modulated(12))),
    "voiced / same spectrum, random phase": (True, 20, _made(_pulses(False), _pulses(True))),
    "speech / in a room": (True, 20, _halves(None, _room)),
    "speech / Griffin-Lim round trip": (True, 50, _distorted("griffin_lim", 2)),
    "two digits 50/50 / 90/10": (True, 50, _two_digits(0.9)),
    "varied / one clip repeated": (True, 20, _one_repeated),
    "ten digits / one digit": (True, 20, _one_class_left),
    "gain -12 dB": (False, 20, _halves(None, lambda s, r, g: 0.25 * s)),
    "50 ms of silence": (False, 20, _halves(None, lambda s, r, g: np.r_[np.zeros(r // 20), s])),
    "dither of 16 bits": (
        False,
        20,
        _halves(None, lambda s, r, g: s + g.triangular(-1, 0, 1, len(s)) / 2**15),
    ),
    "resampled there and back": (False, 20, _halves(None, _there_and_back)),
    "another split": (False, 20, _halves()),
    "another split, white noise": (False, 20, _made(_white, _white)),
}
