"""From samples to numbers: a sound prepared, cut into windows, described by its views, and their scale.

Conventions
    signal      mono float32, (samples,), full scale 1.0; ``rate`` in Hz and never assumed.
    offset      a constant added to all samples (DC), as cheap converters do; rumble: what is below 30 Hz.
    prepared    without offset and rumble, trimmed, at 22,050 Hz, at one level: what ``prepare`` gives,
                ``windows`` and ``embed`` take.
    window      what one vector describes: 1 s of a prepared signal, or all of a shorter one.
    vectors     (windows, 1799) float32, one row a window; ``views.COLUMNS`` tells where each part stands.
    divisors    one bundled constant (``constants.json``) for each of the first 1032 numbers, those of the
                value; made from synthetic audio.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audio_distance.audio import ChannelSums, mean_of_channels
from audio_distance.containers import RATES
from audio_distance.errors import AudioError
from audio_distance.transforms import LOWEST_HZ, PREPARED_RMS, RATE
from audio_distance.views import VIEW_COLUMNS, VIEWS, embed

RECIPE_VERSION = 2
CONSTANTS_FILE = Path(__file__).with_name("constants.json")

WINDOW_SECONDS = 1.0
LACKING = 0.1  # of a window: what the last whole one may lack
SHORTEST_SECONDS = 256 / RATE  # one frame of the shortest transform
SHORTEST_PREPARED = 2048  # samples; zeros are added up to this, so that long transforms have a few frames
FRAME = RATE // 100  # samples of the frames of 10 ms that tell the level
SILENCE_PEAK = 1e-6
TRIM = 1e-3  # of the peak (-60 dB)
HIGH_PASS_ORDER = 4
TOGETHER = 12  # windows that are described at once; more are no faster
FILTERED = 2**16  # samples that are filtered at once
OFFSET_SECONDS = 0.005  # of a sound's start, from which its offset is taken


# ------------------------------------------------------------------------------------------- preparing


def check_signal(signal: NDArray[Any], rate: int, *, shortest_seconds: float = SHORTEST_SECONDS) -> float:
    """Raise ``AudioError`` unless ``signal``, (samples,), can be described; returns its peak.

    Refused, each with its value, the limit and the likely cause: a rate that no sound has, no samples, NaN
    or infinity, a peak of at most 1e-6 (``SILENCE_PEAK``), and less than ``shortest_seconds`` at ``rate``
    (Hz; by default 11.6 ms, one frame of the shortest transform).
    """
    peak = peak_of(signal)
    bad = np.flatnonzero(~np.isfinite(signal)) if not math.isfinite(peak) else ()
    refuse_unfit(len(signal), rate, peak=peak, bad=bad, shortest_seconds=shortest_seconds)
    return peak


def peak_of(signal: NDArray[Any]) -> float:
    """Largest magnitude, 0 of nothing, and not finite if a sample is not; without the copy of an ``abs``."""
    return max(float(signal.max(initial=0)), -float(signal.min(initial=0)))


def refuse_unfit(
    samples: int,
    rate: int,
    *,
    peak: float,
    bad: Sequence[int] | NDArray[np.int_] = (),
    shortest_seconds: float = SHORTEST_SECONDS,
) -> None:
    """``check_signal`` from what was seen of a signal: its ``peak``, and where it is not finite (``bad``)."""
    if not RATES[0] <= rate <= RATES[1]:
        raise AudioError(f"rate {rate} Hz is outside {RATES[0]} to {RATES[1]} Hz. Was it given in kHz?")
    if samples == 0:
        raise AudioError("zero length: 0 samples; likely an empty recording")
    if len(bad):
        raise AudioError(
            f"{len(bad)} samples are NaN or infinite, the first at {bad[0] / rate:.3f} s; "
            "likely a model that diverged"
        )
    if peak <= SILENCE_PEAK:
        raise AudioError(
            f"silent: peak {peak:.2g}, and the limit is {SILENCE_PEAK:g}; likely an empty "
            "recording, or float samples read as integers"
        )
    seconds = samples / rate
    if seconds < shortest_seconds:
        raise AudioError(
            f"too short: {samples} samples, {1e3 * seconds:.1f} ms, and the limit is "
            f"{1e3 * shortest_seconds:.1f} ms; likely cut by mistake"
        )


def prepare(
    signal: ArrayLike, rate: int, *, bandwidth_rate: int | None = None
) -> tuple[NDArray[np.float32], float]:
    """Remove offset and rumble, trim, resample to 22,050 Hz and bring to one level.

    Parameters
    ----------
    signal : array, (samples,) or (samples, channels)
        Channels are averaged.
    rate : int
        Hz.
    bandwidth_rate : int, optional
        Lowest sample rate of both sets, in Hz: the signal passes through it, so both have one bandwidth.

    Returns
    -------
    prepared : array, (samples,) float32
        At 22,050 Hz, at least 2048 samples (zeros are added), RMS of the sounding part 0.1.
    level : float
        Level that was removed: RMS of the 10 ms frames within 30 dB of the loudest, in dB relative to full
        scale. Level is reported apart, because a gain is not a difference in kind.

    Raises
    ------
    AudioError
        See ``check_signal``; where channels cancel; and where nothing sounds above 30 Hz, such as a dead
        channel with an offset.

    Notes
    -----
    All that depends on where a sound begins is done at its own rate, before resampling, and between the
    first and the last sample that is not zero: digital silence around a sound then changes nothing at
    all, whereas after it the resampler's ringing would move the cut.
    """
    return prepare_trimmed(trimmed(signal, rate), rate, bandwidth_rate=bandwidth_rate)


def trimmed(signal: ArrayLike, rate: int) -> NDArray[np.float32]:
    """``prepare`` up to there where silence is cut: what sounds, (samples,), at its own ``rate`` in Hz."""
    mono = np.asarray(signal, np.float32)
    if mono.ndim > 1:
        channels, samples = ChannelSums(), mono
        mono = mean_of_channels(samples)
        channels.add(samples, mono)
        channels.notes()  # which refuses those that cancel
    check_signal(mono, rate)
    first, last = extent(mono != 0)
    mono = mono[first:last]
    offset = offset_at_start(mono, rate)
    # A part after another, so that what is between is in the processor's cache and not in new memory.
    audible, state = np.empty_like(mono), None
    parts = [slice(i, i + FILTERED) for i in range(0, len(mono), FILTERED)]

    def magnitude(part: slice) -> NDArray[np.float32]:
        return audible_magnitude(audible[part], mono[part], offset)

    peaks = np.empty(len(parts), np.float32)
    for i, part in enumerate(parts):
        audible[part], state = high_pass(mono[part], rate, offset=offset, state=state)
        peaks[i] = magnitude(part).max()
    peak = float(peaks.max())
    refuse_inaudible(peak, offset)
    limit = TRIM * peak
    loud = [part for part, loudest in zip(parts, peaks, strict=True) if loudest > limit]
    first = loud[0].start + extent(magnitude(loud[0]) > limit)[0]
    last = loud[-1].start + extent(magnitude(loud[-1]) > limit)[1]
    return audible[first:last]


def offset_at_start(mono: NDArray[np.float32], rate: int) -> float:
    """The offset, rumble included, with which a sound begins: the mean of the middle half of its first 5 ms.

    In full scales; zeros are taken to follow a shorter one. A click or the attack of a note lies in the
    outer half: it swings about the offset, and is none.
    """
    start = np.zeros(offset_samples(rate))
    start[: len(mono)] = mono[: len(start)]
    quarter = len(start) // 4
    return float(np.sort(start)[quarter : len(start) - quarter].mean())


def offset_samples(rate: int) -> int:
    """How many samples of a sound ``offset_at_start`` looks at."""
    return round(OFFSET_SECONDS * rate)


def high_pass(
    mono: NDArray[np.float32], rate: int, *, offset: float, state: NDArray[np.float64] | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """``mono``, (samples,), without offset and rumble, by a causal Butterworth filter of order 4 at 30 Hz.

    Nobody hears them, yet they would keep silence from being cut and be what the level is measured of. The
    ``offset`` with which a sound begins is taken off before: a filter at rest would answer it with a click
    of its height, the loudest that rumble does to a sound cut out of a recording. Returns the samples and
    the ``state`` in which the next block goes on; sample after sample in float64, so that blocks give the
    same as one piece.
    """
    import scipy.signal  # takes half a second, for which sets that are described already need not wait

    sections = _high_pass_sections(rate)
    state = np.zeros((len(sections), 2)) if state is None else state
    shifted = np.subtract(mono, offset, dtype=np.float64)
    passed, state = scipy.signal.sosfilt(sections, shifted, zi=state)
    return passed.astype(np.float32), state


@cache
def _high_pass_sections(rate: int) -> NDArray[np.float64]:
    import scipy.signal

    return np.asarray(
        scipy.signal.butter(HIGH_PASS_ORDER, LOWEST_HZ, btype="highpass", fs=rate, output="sos")
    )


def audible_magnitude(
    audible: NDArray[np.float32], mono: NDArray[np.float32], offset: float
) -> NDArray[np.float32]:
    """How loud each sample is, (samples,), by which silence is cut.

    That of what ``high_pass`` left of ``mono``, but no louder than that was, about its ``offset`` or about
    zero: behind a sound the filter rings for some 50 ms, which are not a part of it.
    """
    magnitude: NDArray[np.float32] = np.abs(audible)
    other = np.abs(mono)
    np.minimum(magnitude, other, out=magnitude)
    np.subtract(mono, np.float32(offset), out=other)
    return np.minimum(magnitude, np.abs(other, out=other), out=magnitude)


def refuse_inaudible(peak: float, offset: float) -> None:
    """Raise ``AudioError`` if ``peak``, the largest ``audible_magnitude``, is silence."""
    if peak <= SILENCE_PEAK:
        raise AudioError(
            f"nothing above {LOWEST_HZ:g} Hz: a constant offset of {offset:.2g}, and beside it a peak of "
            f"{peak:.2g} (limit {SILENCE_PEAK:g}); likely a channel that was not connected"
        )


def extent(loud: NDArray[np.bool_]) -> tuple[int, int]:
    """From the first to the last that is True, as a slice; (0, 0) where none is."""
    found = loud.tobytes()  # searched from both ends, and no further than is needed
    return max(found.find(1), 0), found.rfind(1) + 1


def prepare_trimmed(
    mono: NDArray[np.float32], rate: int, *, bandwidth_rate: int | None = None
) -> tuple[NDArray[np.float32], float]:
    """``prepare`` from there on where silence is cut: resample, and bring to one level."""
    for source, target in resampling_steps(rate, bandwidth_rate):
        mono = resample(mono, source, target)
    rms = sounding_rms(frame_power(mono))
    mono = mono * np.float32(PREPARED_RMS / rms)
    if len(mono) < SHORTEST_PREPARED:
        mono = np.pad(mono, (0, SHORTEST_PREPARED - len(mono)))
    return mono, 20 * math.log10(rms)


def resampling_steps(rate: int, bandwidth_rate: int | None) -> list[tuple[int, int]]:
    """From ``rate`` to 22,050 Hz, through the ``bandwidth_rate`` if that is below both: (from, to) in Hz."""
    through = [] if bandwidth_rate is None or bandwidth_rate >= min(rate, RATE) else [bandwidth_rate]
    return [step for step in itertools.pairwise([rate, *through, RATE]) if step[0] != step[1]]


def frame_power(mono: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean square of each frame of 10 ms, (frames,), the last as short as it is; ``mono`` at 22,050 Hz."""
    starts = np.arange(0, len(mono), FRAME)
    power: NDArray[np.float64] = np.add.reduceat(mono * mono, starts) / np.diff(np.append(starts, len(mono)))
    return power


def sounding_rms(power: NDArray[np.float64]) -> float:
    """Level of what sounds: pauses would lower the mean, so frames that are 30 dB down stay out."""
    return float(np.sqrt(power[power > power.max() * 1e-3].mean()))


def resample(signal: NDArray[np.float32], rate: int, target: int) -> NDArray[np.float32]:
    """``signal``, (samples,), from ``rate`` to ``target`` Hz by soxr at its default, high quality."""
    if rate == target:
        return signal
    import soxr

    resampled: NDArray[np.float32] = soxr.resample(signal, rate, target)
    # A click of a few samples can vanish in a low rate; keep one sample so that lengths stay positive.
    return resampled if len(resampled) and np.any(resampled) else signal[np.argmax(np.abs(signal))][None]


def windows(signal: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """As many whole seconds as a prepared signal has, (samples,), from its beginning to its end.

    The statistics of a window depend on its length, so all that can have one length have it: 1 s, and not
    one sample more; a shorter signal is its own window. Windows do not overlap, but by the tenth that the
    last whole second may lack: the means of files whose windows share sound vary more from file to file than
    those of others, and a test would tell 1.1 s from 2 s of one noise by that alone. So up to nine tenths of
    a second of a file are not heard: between its windows, or behind the only one.
    """
    return [signal[first:last] for first, last in window_bounds(len(signal))]


def window_bounds(samples: int) -> list[tuple[int, int]]:
    """First sample of each of the ``windows`` of a prepared signal, and the one behind its last."""
    size = min(samples, round(WINDOW_SECONDS * RATE))
    starts = np.linspace(0, samples - size, math.floor(samples / size + LACKING)).round().astype(int)
    return [(start, start + size) for start in starts.tolist()]


# ------------------------------------------------------------------------------------------ describing


class Described(NamedTuple):
    """One sound in numbers."""

    vectors: NDArray[np.float32]  # (windows, 1799), not divided yet
    level_db: float  # of the sounding part, relative to full scale
    sounding_seconds: float  # its length, which is that of the windows where they are shorter than 1 s


def describe_signal(signal: ArrayLike, rate: int, *, bandwidth_rate: int | None = None) -> Described:
    """One sound from samples to numbers: ``prepare``, ``windows``, ``embed``.

    Returns vectors, level and the seconds that sound: see ``Described``. Arguments and errors are those of
    ``prepare``.
    """
    return describe_trimmed(trimmed(signal, rate), rate, bandwidth_rate=bandwidth_rate)


def describe_trimmed(mono: NDArray[np.float32], rate: int, *, bandwidth_rate: int | None = None) -> Described:
    """``describe_signal`` of what ``trimmed`` gives, (samples,)."""
    prepared, level = prepare_trimmed(mono, rate, bandwidth_rate=bandwidth_rate)
    return Described(np.stack(embed_each(windows(prepared))), level, len(mono) / rate)


def embed_each(windows: Iterable[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    """``embed`` of every window of a sound, which are all of one length; a few at a time, which is faster."""
    vectors: list[NDArray[np.float32]] = []
    remaining = iter(windows)
    while some := list(itertools.islice(remaining, TOGETHER)):
        vectors += list(embed(np.stack(some)))
    return vectors


def split_views(vectors: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """The columns of each view of (..., 1032 or 1799) numbers, by name; views of the array, not copies."""
    return {view: vectors[..., columns] for view, columns in VIEW_COLUMNS.items()}


# --------------------------------------------------------------------------------------------- scaling


@cache
def constants(path: Path = CONSTANTS_FILE) -> tuple[NDArray[np.float64], str]:
    """Bundled divisor of each of the 1032 numbers of the value, and the recipe's name with their checksum.

    Raises ``AudioError`` if the file is missing, or not of this recipe. Made by ``make constants``.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        version, numbers = content["recipe_version"], content["divisors"]
    except FileNotFoundError:
        raise AudioError(
            f"{path} is missing: it travels with this package. Install it again, "
            "or make it again with: python -m study.constants"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise AudioError(f"{path} is not a constants file ({error!r})") from None
    if version != RECIPE_VERSION:
        raise AudioError(
            f"{path} is of recipe version {version}, and this package is of version "
            f"{RECIPE_VERSION}: take both from one release"
        )
    counts = {name: len(values) for name, values in numbers.items()}
    scale = np.array([value for values in numbers.values() for value in values], float)
    if counts != VIEWS or not np.all(np.isfinite(scale) & (scale > 0)):
        raise AudioError(f"{path} holds {counts} positive numbers, and {VIEWS} are needed")
    digest = hashlib.sha256(scale.astype(np.float32).tobytes()).hexdigest()[:8]
    scale.setflags(write=False)  # one array for all callers
    return scale, f"{RECIPE_VERSION}-{digest}"


def divided(vectors: NDArray[Any]) -> NDArray[np.float64]:
    """The numbers of the value over their bundled divisors, (..., 1799) -> (..., 1032)."""
    scale, _ = constants()
    result: NDArray[np.float64] = vectors[..., : len(scale)] / scale
    return result


def divisors(vectors: ArrayLike, *, floor: float = 0.1) -> NDArray[np.float64]:
    """Divisor of each number of one view, so that two random windows are about 1 apart.

    ``vectors`` is (windows, numbers); returns (numbers,). Each number's standard deviation, kept off zero by
    ``floor`` times the median one (a number that hardly varies would otherwise count most), times the root
    of the median squared distance.
    """
    rows = np.asarray(vectors, float)
    spread = rows.std(axis=0)
    typical = np.median(spread[spread > 0]) if np.any(spread > 0) else 1.0
    spread = np.sqrt(spread**2 + (floor * typical) ** 2)
    scale: NDArray[np.float64] = spread * math.sqrt(_median_squared_distance(rows / spread))
    return scale


def _median_squared_distance(vectors: NDArray[np.float64], most: int = 900) -> float:
    """Of all pairs among ``most`` rows, evenly taken: enough for a median, and bounded in memory."""
    some = vectors[:: max(1, len(vectors) // most)]
    squared = squared_distances(some, some)[np.triu_indices(len(some), 1)]
    return float(np.median(squared)) or 1.0


def squared_distances(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """|x - y|^2 of all rows, (n, d) and (m, d) -> (n, m); never below 0, as rounding would have it."""
    squared = left @ right.T
    squared *= -2
    squared += np.einsum("ij,ij->i", left, left)[:, None]
    squared += np.einsum("ij,ij->i", right, right)
    return np.maximum(squared, 0, out=squared)
