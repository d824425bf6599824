"""Graded damage to a signal, and damage to a set.

Conventions
    signal      mono, floating point, (samples,), full scale 1.0; never modified.
    rate        Hz, that of the signal; the result has it too.
    severity    0 to 5. 0 returns the signal bit for bit; 1 and 2 are at the threshold of hearing
                or just above, 3 is plain, 5 is strong. What it means is in ``SEVERITIES``.
    rng         ``numpy.random.Generator``. With the same state the severities of a distortion use
                the same noise, tail or places, so that they differ by their strength alone.
    result      float32, of the same length except for ``speed`` and ``leading_silence``. Nothing
                is clipped or normalised: a result may exceed full scale, as float allows.

``DISTORTIONS`` has the functions by name, all called ``f(signal, rate, severity, rng)``, and
``SEVERITIES`` the five values of each one's parameter, from mild to strong, in the units its
docstring states. All work from 0.15 s at 8 kHz on. All raise ValueError for a severity that is not
0 to 5 and for a signal that is not one-dimensional floating point, finite and of two samples or
more; integers would be read as full scale times 2^15.

Clicks and dropouts are so many a second and at least one: below half a second their mildest
severities coincide.

The values were set by judgement, in roughly equal ratios, before anything was measured with them.
``gain``, ``leading_silence`` and mild ``resampling`` are not damage to most ears: a distance may
be asked not to see them.
"""

from __future__ import annotations

import functools
import io
import operator
from collections.abc import Callable, Sequence

import numpy as np
import scipy.signal
import soundfile
import soxr

Distortion = Callable[[np.ndarray, int, int, np.random.Generator], np.ndarray]

DISTORTIONS: dict[str, Distortion] = {}
SEVERITIES: dict[str, tuple] = {}

FILTER_ORDER = 4  # of a pass; each filter passes forwards and backwards
PREDELAY = 0.005  # s, from the direct sound to the tail
DROPOUT_SECONDS = (0.010, 0.020)
MU = 255.0  # of ITU-T G.711
OVERLAP = 4  # frames over each sample, in pitch and griffin_lim
FFT_SIZE = 512  # of griffin_lim
MOMENTUM = 0.99  # Perraudin, Balazs and Sondergaard 2013, doi:10.1109/WASPAA.2013.6701851
OPUS_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)  # Hz
OPUS_RANGE = (256.0, 6.0)  # kb/s, at compression level 0 and 1 of libsndfile
MP3_RATES = (16_000, 22_050, 24_000)  # Hz, MPEG-2, whose table of bit rates goes down to 8 kb/s
MP3_RANGE = (160.0, 8.0)  # kb/s, likewise
MP3_DELAY = 1105  # samples of encoder and decoder together


def _graded(*values: float | tuple[float, ...]) -> Callable[[Callable], Distortion]:
    """Make ``f(signal, rate, value, rng)`` a distortion by severity, and register it."""

    def decorate(function: Callable) -> Distortion:
        @functools.wraps(function)
        def distortion(signal: np.ndarray, rate: int, severity: int, rng: np.random.Generator) -> np.ndarray:
            signal = _checked(signal)
            if isinstance(severity, bool | np.bool_) or severity not in range(6):
                raise ValueError(f"severity is {severity!r}; it is a whole number from 0 to 5")
            if severity == 0:
                return signal.astype(np.float32)
            value = values[operator.index(severity) - 1]
            return function(signal.astype(np.float64), rate, value, rng).astype(np.float32)

        del distortion.__wrapped__  # its signature is not the one to show
        DISTORTIONS[function.__name__] = distortion
        SEVERITIES[function.__name__] = values
        return distortion

    return decorate


# Noise and level


@_graded(40.0, 30.0, 20.0, 10.0, 0.0)
def noise(signal, rate, snr, rng):
    """Add white Gaussian noise at a signal-to-noise ratio in dB, by RMS over the whole signal."""
    rms = np.sqrt(np.mean(signal**2))
    return signal + rms * 10.0 ** (-snr / 20.0) * rng.standard_normal(len(signal))


@_graded(-1.5, -3.0, -6.0, -12.0, -24.0)
def gain(signal, rate, level, rng):
    """Change the level by so many dB."""
    return signal * 10.0 ** (level / 20.0)


@_graded(0.7, 0.5, 0.3, 0.15, 0.05)
def clipping(signal, rate, share, rng):
    """Clip at a share of the signal's peak, without making up for the level."""
    limit = share * np.max(np.abs(signal))
    return np.clip(signal, -limit, limit)


@_graded(10, 8, 6, 4, 2)
def quantisation(signal, rate, bits, rng):
    """Round to so many bits of the range from minus to plus the signal's peak.

    Of the peak, not of full scale, at which a quiet recording would be rounded to nothing.
    """
    step = _peak(signal) / 2 ** (bits - 1)
    return step * np.round(signal / step)


@_graded(128, 64, 32, 16, 8)
def mu_law(signal, rate, levels, rng):
    """Round to so many mu-law levels (mu = 255) of the signal's peak; telephony has 256."""
    peak = _peak(signal)
    # F(x) = sgn x log(1 + mu |x|) / log(1 + mu) and its inverse; 0 is a level, so one fewer lies above it.
    companded = np.sign(signal) * np.log1p(MU * np.abs(signal) / peak) / np.log1p(MU)
    rounded = np.clip(np.round(companded * levels / 2), -levels / 2, levels / 2 - 1) * 2 / levels
    return peak * np.sign(rounded) * np.expm1(np.abs(rounded) * np.log1p(MU)) / MU


@_graded(2.0, 5.0, 12.0, 30.0, 75.0)
def clicks(signal, rate, density, rng):
    """Add so many one-sample clicks a second, at least one, of 1/4 to 1/2 of the peak."""
    damaged = signal.copy()
    peak = np.max(np.abs(signal))
    for _ in range(_events(density, signal, rate)):
        place, size, sign = rng.integers(len(signal)), rng.uniform(0.25, 0.5), rng.choice([-1, 1])
        damaged[place] += sign * size * peak
    return damaged


# Spectrum


@_graded(0.8, 0.6, 0.4, 0.2, 0.1)
def low_pass(signal, rate, share, rng):
    """Low-pass at a share of the Nyquist frequency (-6 dB there, 48 dB an octave, zero phase)."""
    return _filtered(signal, share, "lowpass")


@_graded(80.0, 160.0, 320.0, 640.0, 1280.0)
def high_pass(signal, rate, cutoff, rng):
    """High-pass at so many Hz (-6 dB there, 48 dB an octave, zero phase)."""
    return _filtered(signal, 2 * cutoff / rate, "highpass")


@_graded(0.8, 0.6, 0.4, 0.25, 0.125)
def resampling(signal, rate, share, rng):
    """Resample to a share of the rate and back: a brick wall, where ``low_pass`` has a slope."""
    return _fitted(_resampled(_resampled(signal, rate, share * rate), share * rate, rate), signal)


@_graded((0.2, -20.0), (0.3, -14.0), (0.5, -9.0), (0.8, -5.0), (1.5, 0.0))
def reverberation(signal, rate, room, rng):
    """Add a tail: (RT60 in s, its level in dB against the direct sound, by energy).

    The tail is Gaussian noise that decays exponentially, from 5 ms after the direct sound.
    """
    decay, level = room
    length = round(decay * rate)
    # RT60: after ``decay`` seconds 60 dB lower, a factor of 10^-3 in amplitude.
    tail = rng.standard_normal(length) * 10.0 ** (-3.0 * np.arange(length) / length)
    tail *= 10.0 ** (level / 20.0) / np.sqrt(np.sum(tail**2))
    response = np.concatenate([[1.0], np.zeros(round(PREDELAY * rate)), tail])
    return scipy.signal.fftconvolve(signal, response)[: len(signal)]


# Time


@_graded(1.01, 1.02, 1.05, 1.1, 1.25)
def speed(signal, rate, factor, rng):
    """Play faster by a factor: shorter, and higher in pitch."""
    return _resampled(signal, factor * rate, rate)


@_graded(0.25, 0.5, 1.0, 2.0, 4.0)
def pitch(signal, rate, semitones, rng):
    """Raise the pitch by so many semitones at the same length, by a phase vocoder.

    It makes the signal longer by a factor at the same pitch (Flanagan and Golden 1966,
    doi:10.1002/j.1538-7305.1966.tb01706.x), which resampling then undoes, raising the pitch. Its
    window is the power of two nearest to 50 ms.
    """
    factor = 2.0 ** (semitones / 12.0)
    size = 2 ** round(np.log2(0.05 * rate))
    spectrum = _spectrum(signal, size)
    # What the phase of a bin gains from frame to frame: what its centre does, and a rest within +-pi.
    expected = 2 * np.pi * (size // OVERLAP) * np.arange(len(spectrum))[:, None] / size
    change = np.diff(np.angle(spectrum), axis=1) - expected
    advance = expected + (change + np.pi) % (2 * np.pi) - np.pi
    # Frames are read at fractions: magnitudes between two frames, phases by adding up the gains.
    place = np.arange(0.0, spectrum.shape[1] - 1, 1.0 / factor)
    frame, share = place.astype(int), place % 1.0
    magnitude = np.abs(spectrum)
    magnitude = (1 - share) * magnitude[:, frame] + share * magnitude[:, frame + 1]
    phase = np.angle(spectrum[:, :1]) + np.cumsum(advance[:, frame], axis=1) - advance[:, :1]
    longer = _waveform(magnitude * np.exp(1j * phase), size)
    return _fitted(_resampled(longer, factor * rate, rate), signal)


@_graded(2.0, 4.0, 8.0, 16.0, 32.0)
def dropouts(signal, rate, density, rng):
    """Silence so many gaps a second, at least one, of 10 to 20 ms each."""
    damaged = signal.copy()
    for _ in range(_events(density, signal, rate)):
        length = min(round(rng.uniform(*DROPOUT_SECONDS) * rate), len(signal))
        start = int(rng.uniform() * (len(signal) - length + 1))
        damaged[start : start + length] = 0.0
    return damaged


@_graded(0.02, 0.05, 0.1, 0.2, 0.5)
def leading_silence(signal, rate, seconds, rng):
    """Put so many seconds of digital silence before the signal."""
    return np.concatenate([np.zeros(round(seconds * rate)), signal])


# Coding


@_graded(64, 16, 8, 3, 1)
def griffin_lim(signal, rate, iterations, rng):
    """Forget the phase, and find one by so many iterations of (fast) Griffin-Lim.

    From the magnitudes of a transform of 512 samples every 128, starting at random phases.
    """
    magnitude = np.abs(_spectrum(signal, FFT_SIZE))
    phase = np.exp(2j * np.pi * rng.random(magnitude.shape))
    before = 0.0
    for _ in range(iterations):
        rebuilt = _spectrum(_waveform(magnitude * phase, FFT_SIZE), FFT_SIZE)
        # Fast Griffin-Lim goes on in the direction of the last step; only the phase is kept.
        phase = rebuilt - MOMENTUM / (1.0 + MOMENTUM) * before
        phase /= np.maximum(np.abs(phase), np.finfo(float).tiny)
        before = rebuilt
    return _fitted(_waveform(magnitude * phase, FFT_SIZE), signal)


@_graded(48, 32, 20, 12, 6)
def codec_opus(signal, rate, bit_rate, rng):
    """Code with Opus at so many kb/s, at the next rate that Opus has (48 kHz above that)."""
    return _coded(signal, rate, bit_rate, OPUS_RATES, OPUS_RANGE, format="OGG", subtype="OPUS")


@_graded(64, 48, 32, 16, 8)
def codec_mp3(signal, rate, bit_rate, rng):
    """Code with MP3 at so many kb/s, constant, at 16, 22.05 or 24 kHz, whichever is next.

    Above 24 kHz the rate is lowered to it, as encoders do at these bit rates, and the band with
    it to below 12 kHz.
    """
    return _coded(
        signal,
        rate,
        bit_rate,
        MP3_RATES,
        MP3_RANGE,
        format="MP3",
        subtype="MPEG_LAYER_III",
        bitrate_mode="CONSTANT",
    )


# Damage to a set


def shuffle_segments(
    signal: np.ndarray, rate: int, segment_seconds: float, rng: np.random.Generator
) -> np.ndarray:
    """Return the signal with its segments in another order: what it is made of, but not when.

    The last segment may be shorter. An order that changes nothing is drawn again. Raises
    ValueError for a signal of less than two segments and as every distortion.
    """
    signal = _checked(signal)
    length = round(segment_seconds * rate)
    if not 1 <= length < len(signal):
        raise ValueError(
            f"segments of {segment_seconds} s in a signal of {len(signal) / rate} s; at least two are needed"
        )
    segments = np.split(signal, range(length, len(signal), length))
    order = np.arange(len(segments))
    while np.array_equal(order, np.arange(len(segments))):
        order = rng.permutation(len(segments))
    return np.concatenate([segments[i] for i in order]).astype(np.float32)


def reverse(signal: np.ndarray) -> np.ndarray:
    """Return the signal backwards, float32: the same spectrum, another sound."""
    return _checked(signal)[::-1].astype(np.float32)


def drop_labels(labels: Sequence[str], dropped: Sequence[str]) -> np.ndarray:
    """Return the indices, (kept,), of the labels that are not dropped: lost classes, or speakers.

    Labels are any names: ``drop_labels(digits.groups, ["jackson"])`` leaves a speaker out.

    Raises ValueError if one to drop is not there, or if nothing would be left.
    """
    unknown = sorted(set(dropped) - set(labels))
    if unknown:
        raise ValueError(f"no label {', '.join(map(repr, unknown))}; nothing to drop")
    kept = np.array([i for i, label in enumerate(labels) if label not in set(dropped)], dtype=int)
    if not len(kept):
        raise ValueError("every label is dropped; nothing is left")
    return kept


def repeat_one(n: int, rng: np.random.Generator) -> np.ndarray:
    """Return one index below ``n``, (n,) times: a generator that has collapsed to one output."""
    if n < 1:
        raise ValueError(f"n is {n}; at least 1 is needed")
    return np.full(n, rng.integers(n))


def share_of_bad(
    signals: Sequence[np.ndarray],
    bad: Sequence[np.ndarray],
    share: float,
    rng: np.random.Generator,
) -> list[np.ndarray]:
    """Return the signals with ``round(share * n)`` of them replaced by bad ones, in their places.

    Places and bad signals are drawn without replacement. Raises ValueError for a share outside 0
    to 1 and for too few bad signals.
    """
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"share is {share}; it is 0 to 1")
    count = round(share * len(signals))
    if count > len(bad):
        raise ValueError(f"{count} bad signals are needed, {len(bad)} are given")
    mixed = list(signals)
    places = rng.choice(len(signals), size=count, replace=False)
    for place, index in zip(places, rng.choice(len(bad), size=count, replace=False), strict=True):
        mixed[place] = bad[index]
    return mixed


def change_weights(
    labels: Sequence[str], weights: dict[str, float], n: int, rng: np.random.Generator
) -> np.ndarray:
    """Return ``n`` indices whose labels have shares in proportion to ``weights``: modes out of balance.

    Counts are rounded by largest remainder, places drawn without replacement and sorted. Raises
    ValueError for a label that is not there, a negative weight, weights that are all 0, and for more
    of a label than there are.
    """
    total = sum(weights.values())
    if unknown := sorted(set(weights) - set(labels)):
        raise ValueError(f"no label {', '.join(map(repr, unknown))}; nothing to weigh")
    if total <= 0 or min(weights.values()) < 0:
        raise ValueError(f"weights are {weights}; they are 0 or more, and not all 0")
    exact = np.array([n * weight / total for weight in weights.values()])
    counts = np.floor(exact).astype(int)
    # Those with the largest remainder get what rounding down has left over.
    counts[np.argsort(counts - exact, kind="stable")[: n - counts.sum()]] += 1
    chosen = []
    for label, count in zip(weights, counts, strict=True):
        places = np.flatnonzero(np.asarray(labels) == label)
        if count > len(places):
            raise ValueError(f"{count} of label {label!r} are needed, there are {len(places)}")
        chosen.append(rng.choice(places, size=count, replace=False))
    return np.sort(np.concatenate(chosen))


def duplicates(n: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """Return ``n`` indices below ``n`` of which ``round(share * n)`` repeat one of the others.

    Raises ValueError for a share outside 0 to 1, and if no other would be left.
    """
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"share is {share}; it is 0 to 1")
    copies = round(share * n)
    if copies >= n:
        raise ValueError(f"{copies} of {n} would be copies; at least one must be left to copy")
    order = rng.permutation(n)
    kept = order[: n - copies]
    return np.concatenate([kept, rng.choice(kept, size=copies)])


def moment_matched(rows: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return (n, d) Gaussian rows with the mean and covariance of ``rows`` (m, d), in expectation.

    What a Frechet distance cannot tell from the rows, whatever their distribution. Also for m <= d.
    Raises ValueError for fewer than two rows and n below 1.
    """
    rows = np.asarray(rows, dtype=np.float64)
    if rows.ndim != 2 or len(rows) < 2 or n < 1:
        raise ValueError(f"rows have shape {rows.shape} and n is {n}; at least 2 rows and 1 are needed")
    centre = rows.mean(axis=0)
    # z (X - mean) / sqrt(m - 1), z normal, has the covariance of X, and no d x d matrix is factored.
    return centre + rng.standard_normal((n, len(rows))) @ (rows - centre) / np.sqrt(len(rows) - 1)


def moment_matched_signals(signals: Sequence[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """Return each signal with its phases drawn anew: the same long-term spectrum, another sound.

    The magnitudes of the transform over the whole signal stay, and with them the level and every
    linear statistic of second order (a surrogate, Theiler et al. 1992,
    doi:10.1016/0167-2789(92)90102-S). Raises ValueError as every distortion.
    """
    fakes = []
    for signal in map(_checked, signals):
        spectrum = np.fft.rfft(signal)
        phase = np.exp(2j * np.pi * rng.random(len(spectrum)))
        phase[0] = 1.0  # the mean stays
        if len(signal) % 2 == 0:
            phase[-1] = 1.0  # real at the Nyquist frequency
        fakes.append(np.fft.irfft(spectrum * phase, len(signal)).astype(np.float32))
    return fakes


# Parts of the above


def _checked(signal: np.ndarray) -> np.ndarray:
    signal = np.asarray(signal)
    if signal.ndim != 1 or len(signal) < 2 or not np.issubdtype(signal.dtype, np.floating):
        raise ValueError(
            f"signal is {signal.dtype} of shape {signal.shape}; it is floating point, (samples,)"
        )
    if not np.all(np.isfinite(signal)):
        raise ValueError("signal has values that are not finite")
    return signal


def _peak(signal: np.ndarray) -> float:
    """Largest modulus, and 1 for a silent signal, which is divided by it."""
    return float(np.max(np.abs(signal))) or 1.0  # silence stays silence


def _events(density: float, signal: np.ndarray, rate: int) -> int:
    """``density`` a second over the signal, one at least."""
    return max(1, round(density * len(signal) / rate))


def _spectrum(signal: np.ndarray, size: int) -> np.ndarray:
    """Return the short-time Fourier transform, (size / 2 + 1, frames), Hann window."""
    padded = np.pad(signal, (0, max(0, size - len(signal))))
    return scipy.signal.stft(padded, nperseg=size, noverlap=size - size // OVERLAP)[2]


def _waveform(spectrum: np.ndarray, size: int) -> np.ndarray:
    return scipy.signal.istft(spectrum, nperseg=size, noverlap=size - size // OVERLAP)[1]


def _filtered(signal: np.ndarray, share: float, kind: str) -> np.ndarray:
    """Butterworth at a share of the Nyquist frequency, forwards and backwards: no phase, twice the slope."""
    sections = scipy.signal.butter(FILTER_ORDER, share, kind, output="sos")
    return scipy.signal.sosfiltfilt(sections, signal, padlen=min(50, len(signal) - 1))


def _resampled(signal: np.ndarray, rate: float, target: float) -> np.ndarray:
    return signal if rate == target else soxr.resample(signal, rate, target)


def _fitted(signal: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Cut or padded with zeros at the end, to the length of another."""
    return np.pad(signal[: len(like)], (0, max(0, len(like) - len(signal))))


def _coded(
    signal: np.ndarray,
    rate: int,
    bit_rate: float,
    rates: Sequence[int],
    bit_rates: tuple[float, float],
    **format_options: str,
) -> np.ndarray:
    """Return the signal written and read; libsndfile takes bit rates as a level from 0 to 1."""
    coding_rate = next((r for r in rates if r >= rate), rates[-1])
    most, least = bit_rates
    level = (most - bit_rate) / (most - least)
    sent = _resampled(signal, rate, coding_rate)
    file = io.BytesIO()
    soundfile.write(
        file,
        sent,
        coding_rate,
        compression_level=min(level, 0.999),  # libsndfile refuses 1 for MP3
        **format_options,
    )
    file.seek(0)
    received, _ = soundfile.read(file)
    if format_options["format"] == "MP3" and len(received) > len(sent):
        # At low bit rates a frame has no room for the header that tells the decoder of the delay.
        received = received[MP3_DELAY:]
    return _fitted(_resampled(_fitted(received, sent), coding_rate, rate), signal)
