"""Tempo and key, of one sample or of all samples of a song.

Conventions
    onsets         (frames,) how much rises at each frame, dB/s, mean over bands; ``frames_per_second`` is the
                   rate over the hop length.
    pitch power    (12,) power of each pitch class, C first.
    key            "C major", "F# minor": tonic and mode, 24 in all.

Measured on the 28 tracks of ``immich-memories-music`` 0.1.0 (30 s each, generated; bpm and key as stated
with them), by 30 samples of 5 s at 22,050 Hz: tempo within 4 % on 24, and on 3 more an octave off; tonic and
mode exact on 19, and on 21 cut end to end. No number was fitted to the tracks, but they served to choose
among what others published, by whole tracks:

* tempo: autocorrelation, spectrum, or their product, with one or several multiples, and two priors. The
  product with multiples is right on 15 with librosa's prior (120 BPM, an octave wide), on 24 with Parncutt's,
  and on all 28 up to an octave with either.
* key: seven pairs of profiles, on the power of pitch classes: Krumhansl-Kessler 11, Temperley 14,
  Kostka-Payne, Albrecht-Shanahan and Sapp 17, Bellman-Budge 18, Aarden 20. Left out in turn, every track has
  the same choice. Other spectra under Aarden's (magnitudes, logarithms, peaks; windows of 93 to 743 ms) gave
  6 to 21.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import scipy.fft
from numpy.typing import NDArray

SLOWEST, FASTEST = 40.0, 240.0  # BPM
SHORTEST_SECONDS = 3.0  # two beats of the slowest tempo; of less no tempo is told
# dB/s, standard deviation of the onsets; below it nothing begins. A steady tone of 30 Hz or more has 0.7 at
# most, at rates from 16 to 96 kHz, as its lines at both signs of frequency interfere. The least of 840
# samples of music has 37, and notes of a single sine 30.
LEAST_ONSETS = 1.0

# ----------------------------------------------------------------------------------------------- tempo

_BPM = np.exp(np.arange(math.log(SLOWEST), math.log(FASTEST), 0.005))  # 0.5 % apart
_PULSE_BINS = 2**14  # of the spectrum of onsets, about 0.08 BPM apart
# Parncutt 1994 (doi:10.2307/40285633): pulses of 600 ms are the most salient, and a fifth of a decade of
# periods either way is the standard deviation.
_PRIOR = np.exp(-0.5 * (np.log10(_BPM / 100) / 0.2) ** 2)


class Pulse(NamedTuple):
    """How the onsets of one signal repeat: autocorrelation by lag in frames, and power by frequency."""

    frames_per_second: float
    correlation: NDArray[np.float64]
    power: NDArray[np.float64]


class Tempo(NamedTuple):
    """BPM, and the correlation of the onsets with themselves a beat later; NaN and 0 where there is none."""

    bpm: float
    strength: float


class Key(NamedTuple):
    """ "F# minor", and how well it fits, -1 to 1; "" and NaN where nothing has a pitch."""

    name: str
    strength: float


def pulse_of(onsets: NDArray[np.floating[Any]], frames_per_second: float) -> Pulse | None:
    """How onsets, (frames,), repeat; None of less than ``SHORTEST_SECONDS``, or if nothing begins."""
    if (
        len(onsets) < SHORTEST_SECONDS * frames_per_second - 5
    ):  # 5: within the last window, and the first rise
        return None
    width = round(2 * frames_per_second)
    about = np.convolve(onsets, np.ones(width) / width, "same")
    peaks = np.maximum(onsets - about, 0)  # what stands out of two seconds
    peaks -= peaks.mean()
    frames = len(peaks)
    correlation = scipy.fft.irfft(np.abs(scipy.fft.rfft(peaks, 2 * frames)) ** 2)[: frames * 9 // 10]
    if correlation[0] <= LEAST_ONSETS**2 * frames:
        return None
    correlation *= frames / (frames - np.arange(len(correlation)))  # over the pairs that there are
    power = np.abs(scipy.fft.rfft(peaks * np.hanning(frames), 2 * _PULSE_BINS)) ** 2
    return Pulse(frames_per_second, correlation, power)


def tempo_of(pulses: Iterable[Pulse | None]) -> Tempo:
    """The tempo that all signals of a song share; of those without a pulse nothing is asked.

    The product of autocorrelation and spectrum (Peeters 2007, doi:10.1155/2007/67215): the first also peaks
    at multiples of the beat, the second at its fractions, and both at the beat alone. Both are summed over
    multiples (lags 1 to 4, harmonics 1, 2 and 4), which tells the period four times as exactly as frames of
    23 ms do, and weighted by how readily people tap along. A peak of seven frames could only say 80.7, 40.4,
    26.9, 20.2, 16.1 or 13.5 BPM.

    Clicks alone are told exactly from 62 to 176 BPM; slower ones are heard at twice, faster ones at half
    their tempo, as nothing else says which beat is meant.
    """
    given = [pulse for pulse in pulses if pulse is not None]
    if not given:
        return Tempo(math.nan, 0.0)
    longest = max(len(pulse.correlation) for pulse in given)
    given = [
        pulse for pulse in given if len(pulse.correlation) >= 0.9 * longest
    ]  # without a song's short rest
    shortest = min(len(pulse.correlation) for pulse in given)
    correlation = np.mean([pulse.correlation[:shortest] for pulse in given], axis=0)
    correlation /= correlation[0]
    spectrum = np.sqrt(np.mean([pulse.power for pulse in given], axis=0))
    per_second = given[0].frames_per_second
    lags, hertz = 60 / _BPM * per_second, np.arange(len(spectrum)) * (per_second / (2 * _PULSE_BINS))

    def again(multiple: int) -> NDArray[np.float64]:
        return np.maximum(np.interp(multiple * lags, np.arange(shortest), correlation, right=0), 0)

    def harmonic(multiple: int) -> NDArray[np.float64]:
        return np.interp(multiple * _BPM / 60, hertz, spectrum) / multiple

    salience = sum(map(again, (1, 2, 3, 4))) * sum(map(harmonic, (1, 2, 4))) * _PRIOR
    best = int(np.argmax(salience))
    if salience[best] <= 0:
        return Tempo(math.nan, 0.0)
    return Tempo(float(_BPM[best]), float(min(again(1)[best], 1.0)))


# ------------------------------------------------------------------------------------------------- key

PITCH_CLASSES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
KEYS = tuple(f"{tonic} {mode}" for mode in ("major", "minor") for tonic in PITCH_CLASSES)
# Aarden 2003, "Dynamic melodic expectancy" (Ohio State), from the Essen folk songs: how often each step of
# the scale occurs, in percent.
_MAJOR = "17.7661 .145624 14.9265 .160186 19.8049 11.3587 .291248 22.062 .145624 8.15494 .232998 4.95122"
_MINOR = "18.2648 .737619 14.0499 16.8599 .702494 14.4362 .702494 18.6161 4.56621 1.93186 7.37619 1.75623"


@cache
def _profiles() -> NDArray[np.float64]:
    """(24, 12), in the order of ``KEYS``: mean 0, length 1."""
    modes = [np.array(text.split(), float) for text in (_MAJOR, _MINOR)]
    rows = np.stack([np.roll(mode, tonic) for mode in modes for tonic in range(12)])
    rows -= rows.mean(axis=1, keepdims=True)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def key_of(pitch_power: NDArray[np.floating[Any]]) -> Key:
    """The key whose profile correlates best with the power of the pitch classes, (12,) from C on.

    Krumhansl's method (1990, "Cognitive foundations of musical pitch", chapter 4) with Aarden's profiles.
    """
    total, spread = pitch_power.sum(), pitch_power - pitch_power.mean()
    if not total > 1e-20 or np.linalg.norm(spread) < 1e-9 * total:
        return Key("", math.nan)
    scores = _profiles() @ (spread / np.linalg.norm(spread))
    best = int(scores.argmax())
    return Key(KEYS[best], float(scores[best]))


def key_relation(found: str, stated: str) -> str:
    """How a key that was found lies to the one that is stated ("Bb minor" is as good as "A# minor").

    "exact"; "fifth" (one fifth up or down, same mode), "relative" (same notes, other mode), "parallel" (same
    tonic, other mode), which are the usual confusions; or "other". ValueError for what is no key.
    """
    (tonic, mode), (stated_tonic, stated_mode) = _key(found), _key(stated)
    up = (tonic - stated_tonic) % 12
    if mode == stated_mode:
        return {0: "exact", 5: "fifth", 7: "fifth"}.get(up, "other")
    return {0: "parallel", 9 if stated_mode == "major" else 3: "relative"}.get(up, "other")


def _key(name: str) -> tuple[int, str]:
    tonic, _, mode = name.partition(" ")
    if tonic[:1] not in set("CDEFGAB") or tonic[1:] not in {"", "#", "b"} or mode not in {"major", "minor"}:
        raise ValueError(f"{name!r} is no key; one such as 'F# minor' is needed")
    return (PITCH_CLASSES.index(tonic[0]) + {"": 0, "#": 1, "b": -1}[tonic[1:]]) % 12, mode


def tempo_relation(found: float, stated: float, *, tolerance: float = 0.04) -> str:
    """How a tempo lies to the one that is stated, both in BPM: "exact", "octave" (twice or half), or "other".

    ``tolerance`` is relative; 4 % is the usual one (Gouyon et al. 2006, doi:10.1109/TSA.2005.858509).
    """
    for name, ratios in (("exact", (1.0,)), ("octave", (0.5, 2.0))):
        if any(abs(found / (ratio * stated) - 1) <= tolerance for ratio in ratios):
            return name
    return "other"
