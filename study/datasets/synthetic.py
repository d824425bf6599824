"""Seeded synthetic one-second windows, from which the scale constants of the distance are made.

Conventions
    window      mono float32, (22,050,), 1 s at 22,050 Hz, peak 0.5 of full scale.
    source      (22,050,) float64 of any level; a window is the sum of one to three of them.
    envelope    (22,050,) float64, not negative.
    rng         ``numpy.random.RandomState``: numpy has frozen its stream, which it has not done for
                ``Generator``, so a window is the same with every version, up to rounding.
    Frequencies are in Hz, times in s, slopes in dB per octave, levels in dB.

Why synthetic: no download, no licence, and nothing in common with whatever is measured later. Why
mixed: a constant fitted on one kind of sound (speech) makes the distance blind to what varies
little in that kind.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.fft
import scipy.signal

RATE = 22_050  # Hz
LENGTH = RATE  # samples: 1 s
PEAK = 0.5  # of full scale
QUIETEST_SOURCE = -30.0  # dB, of a mixture
FLOOR_RANGE = (-90.0, -40.0)  # dB against the mixture, as recordings have
LOW_PASS_SHARE = 0.4  # of the windows
LOW_PASS_RANGE = (1_500.0, 10_000.0)  # Hz
MOST_HARMONICS = 40  # keeps low tones cheap


def windows(count: int = 900, *, seed: int = 0) -> Iterator[np.ndarray]:
    """Yield ``count`` windows, float32 of shape (22,050,); number i is ``window(i, seed=seed)``.

    900 by default: constants made from 300 serve as well, so 900 leaves a margin at a cost of
    seconds. ``count`` below 1 raises ValueError when the first window is asked for.
    """
    if count < 1:
        raise ValueError(f"count is {count}; at least 1 window is needed")
    for index in range(count):
        yield window(index, seed=seed)


def window(index: int, *, seed: int = 0) -> np.ndarray:
    """Return window number ``index`` of the series ``seed``: float32, (22,050,), peak 0.5.

    A sum of one to three sources, each under its own envelope, brought to an RMS of 0 to -30 dB;
    then white noise at -90 to -40 dB of the sum; then, four times in ten, a low-pass at 1.5 to 10
    kHz, as recordings of a lower bandwidth have. A window depends on ``(seed, index)`` alone, both
    from 0 to 2^32 - 1 (ValueError otherwise).
    """
    rng = np.random.RandomState([seed, index])  # draws below are in order: another would make other windows
    mixture = np.zeros(LENGTH)
    for _ in range(rng.randint(1, 4)):
        source = SOURCES[rng.randint(len(SOURCES))](rng)
        envelope = ENVELOPES[rng.randint(len(ENVELOPES))](rng)
        mixture += _gain(rng.uniform(QUIETEST_SOURCE, 0.0)) * _unit_rms(source * envelope)
    floor = _gain(rng.uniform(*FLOOR_RANGE)) * rng.standard_normal(LENGTH)
    signal = _unit_rms(mixture) + floor
    if rng.uniform() < LOW_PASS_SHARE:
        cutoff = _log_uniform(rng, *LOW_PASS_RANGE)
        signal = scipy.signal.sosfilt(scipy.signal.butter(8, cutoff, fs=RATE, output="sos"), signal)
    return (PEAK * signal / np.max(np.abs(signal))).astype(np.float32)


# Sources


def sines(rng: np.random.RandomState) -> np.ndarray:
    """Return one to eight sines, unrelated, 50 Hz to 10 kHz, each at 0 to -20 dB."""
    count = rng.randint(1, 9)
    frequency = _log_uniform(rng, 50.0, 10_000.0, count)
    phase = rng.uniform(0.0, 2 * np.pi, count)
    gain = _gain(rng.uniform(-20.0, 0.0, count))
    return gain @ np.sin(2 * np.pi * frequency[:, None] * _time() + phase[:, None])


def tilted_noise(rng: np.random.RandomState) -> np.ndarray:
    """Return noise with a slope of -12 to +6 dB per octave above 30 Hz: brown, pink, white or blue.

    Below 30 Hz it is flat, or brown noise would be all drift.
    """
    slope = rng.uniform(-12.0, 6.0)
    octaves = np.log2(np.maximum(_frequencies(), 30.0) / 1_000.0)
    return _shaped_noise(rng, _gain(slope * octaves))


def band_noise(rng: np.random.RandomState) -> np.ndarray:
    """Return noise in a band 0.1 to 2 octaves wide around 100 Hz to 8 kHz, with steep flanks."""
    centre = _log_uniform(rng, 100.0, 8_000.0)
    width = _log_uniform(rng, 0.1, 2.0)
    octaves = np.log2(np.maximum(_frequencies(), 1.0) / centre)
    return _shaped_noise(rng, 1.0 / np.sqrt(1.0 + (2.0 * octaves / width) ** 8))


def harmonic_tone(rng: np.random.RandomState) -> np.ndarray:
    """Return a tone with harmonics, vibrato (to half a semitone) and a glide (to half an octave).

    60 Hz to 1.2 kHz; harmonics fall by 3 to 15 dB per octave; three times in ten only the odd ones.
    """
    pitch = _pitch(rng, 60.0, 1_200.0, semitones=6.0, vibrato=0.5)
    slope = rng.uniform(-15.0, -3.0)
    step = 2 if rng.uniform() < 0.3 else 1
    highest = min(MOST_HARMONICS, int(0.5 * RATE / pitch.max()))
    order = np.arange(1, highest + 1, step)
    start = rng.uniform(0.0, 2 * np.pi, MOST_HARMONICS)[: len(order)]  # as many draws for every pitch
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    return _gain(slope * np.log2(order)) @ np.sin(order[:, None] * phase + start[:, None])


def plucked_string(rng: np.random.RandomState) -> np.ndarray:
    """Return a string plucked one to four times: Karplus and Strong 1983, doi:10.2307/3680062.

    ``y[n] = x[n] + g ((1 - b) y[n-N] + b y[n-N-1])``, x a burst of N noise samples for each pluck,
    N samples a period (60 Hz to 1 kHz), b the damping of the highs, and g such that the string
    decays by 60 dB in 0.3 to 3 s.
    """
    period = int(RATE / _log_uniform(rng, 60.0, 1_000.0))
    damping = rng.uniform(0.1, 0.5)
    loop_gain = _gain(-60.0 * period / (RATE * _log_uniform(rng, 0.3, 3.0)))
    excitation = np.zeros(LENGTH)
    for onset in _onsets(rng, 4):
        burst = rng.uniform(-1.0, 1.0, period)
        place = excitation[onset : onset + period]
        place += burst[: len(place)]
    feedback = np.zeros(period + 2)
    feedback[0] = 1.0
    feedback[period:] = -loop_gain * (1.0 - damping), -loop_gain * damping
    return scipy.signal.lfilter([1.0], feedback, excitation)


def voiced_pulses(rng: np.random.RandomState) -> np.ndarray:
    """Return pulses (60 to 350 Hz, gliding) through the resonators of one to four vowels.

    A vowel is four resonators in cascade, near the formants of speech, 50 to 250 Hz wide, after a
    one-pole low-pass for the slope of the glottis; between vowels the filtered pulses are
    cross-faded.
    """
    pitch = _pitch(rng, 60.0, 350.0, semitones=6.0, vibrato=0.3)
    # A pulse wherever the phase, in cycles, passes a whole number.
    pulses = np.diff(np.floor(np.cumsum(pitch) / RATE), prepend=-1.0)
    pulses *= 1.0 + 0.1 * rng.standard_normal(LENGTH)
    pulses += _gain(rng.uniform(-60.0, -20.0)) * rng.standard_normal(LENGTH)  # breath
    pulses -= pulses.mean()  # or the low-pass would turn them into an offset
    pulses = scipy.signal.lfilter([1.0], [1.0, -rng.uniform(0.5, 0.97)], pulses)
    count = rng.randint(1, 5)
    vowels = np.stack([_vowel(rng, pulses) for _ in range(count)])
    position = np.linspace(0.0, count - 1.0, LENGTH)  # weights fall linearly from vowel to vowel
    weights = np.maximum(0.0, 1.0 - np.abs(position - np.arange(count)[:, None]))
    return np.sum(weights * vowels, axis=0)


def _vowel(rng: np.random.RandomState, pulses: np.ndarray) -> np.ndarray:
    """Pulses through four two-pole resonators, of radius exp(-pi bandwidth / rate) (Klatt 1980)."""
    formants = np.array([(250, 900), (900, 2_300), (2_300, 3_200), (3_300, 4_500)], float)  # Hz
    for frequency in rng.uniform(formants[:, 0], formants[:, 1]):
        radius = np.exp(-np.pi * rng.uniform(50.0, 250.0) / RATE)
        poles = [1.0, -2 * radius * np.cos(2 * np.pi * frequency / RATE), radius**2]
        pulses = scipy.signal.lfilter([sum(poles)], poles, pulses)  # gain 1 at 0 Hz
    return _unit_rms(pulses)


SOURCES = (sines, tilted_noise, harmonic_tone, band_noise, plucked_string, voiced_pulses)


# Envelopes


def constant(rng: np.random.RandomState) -> np.ndarray:
    """Return ones."""
    return np.ones(LENGTH)


def decaying(rng: np.random.RandomState) -> np.ndarray:
    """Return ``exp(-t / tau)``, tau from 0.05 to 1 s."""
    return np.exp(-_time() / _log_uniform(rng, 0.05, 1.0))


def modulated(rng: np.random.RandomState) -> np.ndarray:
    """Return ``1 - depth (1 + sin) / 2``: depth 0.2 to 1, 1 to 40 Hz."""
    angle = 2 * np.pi * _log_uniform(rng, 1.0, 40.0) * _time() + rng.uniform(0.0, 2 * np.pi)
    return 1.0 - 0.5 * rng.uniform(0.2, 1.0) * (1.0 + np.sin(angle))


def attacked(rng: np.random.RandomState) -> np.ndarray:
    """Return one to six attacks at random times, rising in 1 to 50 ms, decaying in 30 to 500 ms."""
    total = np.zeros(LENGTH)
    for onset in _onsets(rng, 6):
        rise, fall = _log_uniform(rng, 0.001, 0.05), _log_uniform(rng, 0.03, 0.5)
        since = _time()[: LENGTH - onset]
        shape = np.minimum(since / rise, 1.0) * np.exp(-np.maximum(since - rise, 0.0) / fall)
        total[onset:] += _gain(rng.uniform(-12.0, 0.0)) * shape
    return total


ENVELOPES = (constant, decaying, modulated, attacked)


# Parts of the above


def _pitch(
    rng: np.random.RandomState, low: float, high: float, *, semitones: float, vibrato: float
) -> np.ndarray:
    """Return a frequency in Hz for every sample; glide and vibrato each in half of the cases."""
    start = _log_uniform(rng, low, high)
    glide = rng.uniform(-semitones, semitones) * (rng.uniform() < 0.5)
    depth = rng.uniform(0.0, vibrato) * (rng.uniform() < 0.5)
    wave = np.sin(2 * np.pi * rng.uniform(4.0, 8.0) * _time() + rng.uniform(0.0, 2 * np.pi))
    return start * 2.0 ** ((glide * _time() + depth * wave) / 12.0)


def _onsets(rng: np.random.RandomState, most: int) -> np.ndarray:
    """Return one to ``most`` sample numbers; the first within 0.2 s, so that no window is empty."""
    later = rng.uniform(0.0, 0.9, rng.randint(most))
    return (RATE * np.append(rng.uniform(0.0, 0.2), later)).astype(int)


def _shaped_noise(rng: np.random.RandomState, magnitude: np.ndarray) -> np.ndarray:
    """Gaussian noise with these magnitudes, (LENGTH // 2 + 1,), and no mean."""
    spectrum = scipy.fft.rfft(rng.standard_normal(LENGTH)) * magnitude
    spectrum[0] = 0.0
    return scipy.fft.irfft(spectrum, LENGTH)


def _log_uniform(
    rng: np.random.RandomState, low: float, high: float, size: int | None = None
) -> np.ndarray | float:
    return np.exp(rng.uniform(np.log(low), np.log(high), size))


def _gain(level: np.ndarray | float) -> np.ndarray | float:
    """The amplitude of a level in dB."""
    return 10.0 ** (level / 20.0)


def _unit_rms(signal: np.ndarray) -> np.ndarray:
    return signal / np.sqrt(np.mean(signal**2))


def _time() -> np.ndarray:
    return np.arange(LENGTH) / RATE


def _frequencies() -> np.ndarray:
    return scipy.fft.rfftfreq(LENGTH, 1.0 / RATE)
