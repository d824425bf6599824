"""What known faults of the reference itself measure: marks on the scale of the value.

Of up to ``FILES`` sounds of the reference, drawn by seed, the first seconds of each, against themselves after
the fault (as pairs, so that no two files are compared but those of different names). Two halves of the same
sounds, dealt many times, say what no fault measures.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from audio_distance.description import Description
from audio_distance.distance import compare, describe, distance
from audio_distance.errors import AudioError
from audio_distance.features import resample
from audio_distance.page.clips import CLIP_SECONDS, MP3_RATES, encoded_mp3, first_seconds
from audio_distance.reading import Reading
from audio_distance.sources import Source
from audio_distance.transforms import RATE

FILES, LEAST_FILES = 40, 4  # of 5 s each: five seconds of a processor
DEALS = 40
LEAST_PEAK, LEAST_SECONDS = 0.01, 0.1  # of a sound that still is one behind a telephone line
TELEPHONE_RATE = 8000  # Hz
MP3_KILOBITS = 64

Signal = tuple[NDArray[np.float32], int]


class Landmark(NamedTuple):
    """A fault, the value that it has, and a 95 % interval of it (None with fewer than 3 pairs)."""

    name: str
    value: float
    interval: tuple[float, float] | None


def landmarks_of(
    sources: Sequence[Source], *, common: int, seed: int, reading: Reading
) -> tuple[Landmark, ...]:
    """Landmarks at the bandwidth of ``common`` (Hz), none where fewer than 4 sounds can be read."""
    rng = np.random.default_rng(seed)
    drawn = [sources[i] for i in np.sort(rng.permutation(len(sources))[:FILES])]
    sounds = []
    for source in drawn:
        try:
            samples, rate = first_seconds(source, CLIP_SECONDS, reading=reading)
        except (AudioError, OSError):  # gone since: its file is named where it would be played
            continue
        if np.abs(samples).max(initial=0) > LEAST_PEAK and len(samples) > LEAST_SECONDS * rate:
            sounds.append((samples, rate))
    if len(sounds) < LEAST_FILES:
        return ()
    target = min(common, RATE)
    quiet = Reading(workers=1, progress=False)
    plain = describe([_at(sound, target) for sound in sounds], reading=quiet)
    found = [_two_samples(plain, rng)]
    faults: list[tuple[str, Callable[[Signal], Signal]]] = [
        (f"mp3 at {MP3_KILOBITS} kbit/s", _as_mp3),
        ("noise at 20 dB", lambda sound: _with_noise(sound, rng)),
    ]
    if target > TELEPHONE_RATE:  # else every sound is one behind such a line
        faults.insert(1, ("8 kHz telephone line", _by_telephone))
    for name, fault in faults:
        spoiled = [_at(fault(sound), target) for sound in sounds]
        try:
            result = compare(plain, spoiled, paired=True, permutations=99, reading=quiet)
        except AudioError:  # nothing is left of a sound behind the fault: no mark then
            continue
        found.append(Landmark(name, result.value, result.interval))
    return tuple(found)


def _two_samples(plain: Description, rng: np.random.Generator) -> Landmark:
    """Halves of the sounds, dealt ``DEALS`` times: the mean, and the middle 95 %."""
    values = []
    for _ in range(DEALS):
        order = rng.permutation(len(plain))
        halves = [
            replace(plain, sounds=tuple(plain.sounds[i] for i in half)) for half in (order[::2], order[1::2])
        ]
        values.append(distance(*halves, paired=False))
    low, high = np.quantile(values, [0.025, 0.975])
    return Landmark("two samples of it", float(np.mean(values)), (float(low), float(high)))


def _at(sound: Signal, rate: int) -> Signal:
    return np.clip(resample(sound[0], sound[1], rate), -1, 1), rate


def _with_noise(sound: Signal, rng: np.random.Generator) -> Signal:
    """White noise 20 dB below the RMS of the sound."""
    samples, rate = sound
    noise = rng.standard_normal(len(samples)) * np.sqrt(np.mean(samples.astype(float) ** 2)) / 10
    return np.asarray(samples + noise, np.float32), rate


def _by_telephone(sound: Signal) -> Signal:
    return _at(_at(sound, TELEPHONE_RATE), sound[1])


def _as_mp3(sound: Signal) -> Signal:
    """Through libsndfile's LAME and back, at the nearest rate that MP3 has."""
    import soundfile

    rate = min(MP3_RATES, key=lambda known: abs(known - sound[1]))
    samples, _ = _at(sound, rate)
    file = io.BytesIO(encoded_mp3(samples, rate, kilobits=MP3_KILOBITS))
    decoded, _ = soundfile.read(file, dtype="float32")
    return _at((decoded, rate), sound[1])
