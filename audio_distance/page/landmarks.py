"""What known faults of the reference itself measure: marks on the scale of the value.

Of up to ``FILES`` sounds of the reference, drawn by seed, the first seconds of each, against themselves after
the fault (as pairs, so that no two files are compared but those of different names). Two halves of the same
sounds say what no fault measures.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from audio_distance.distance import distance
from audio_distance.errors import AudioError
from audio_distance.features import resample
from audio_distance.page.clips import CLIP_SECONDS, first_seconds
from audio_distance.reading import Reading
from audio_distance.sources import Source
from audio_distance.transforms import RATE

FILES, LEAST_FILES = 24, 4
LEAST_PEAK, LEAST_SECONDS = 0.01, 0.1  # of a sound that still is one behind a telephone line
TELEPHONE_RATE = 8000  # Hz
MP3_KILOBITS = 64
MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)

Signal = tuple[NDArray[np.float32], int]


class Landmark(NamedTuple):
    """A fault and the value that it has."""

    name: str
    value: float


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
    plain = [_at(sound, target) for sound in sounds]
    quiet = Reading(workers=1, progress=False)
    found = [("two samples of it", distance(plain[0::2], plain[1::2], paired=False, reading=quiet))]
    faults: tuple[tuple[str, Callable[[Signal], Signal]], ...] = (
        (f"mp3 at {MP3_KILOBITS} kbit/s", _as_mp3),
        ("8 kHz telephone line", _by_telephone),
        ("noise at 20 dB", lambda sound: _with_noise(sound, rng)),
    )
    for name, fault in faults:
        spoiled = [_at(fault(sound), target) for sound in sounds]
        try:
            found.append((name, distance(plain, spoiled, paired=True, reading=quiet)))
        except AudioError:  # nothing is left of a sound behind the fault: no mark then
            continue
    return tuple(Landmark(name, value) for name, value in found)


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
    low, high = (32, 320) if rate >= 32_000 else (8, 160) if rate >= 16_000 else (8, 64)
    file = io.BytesIO()
    level = (high - MP3_KILOBITS) / (high - low)  # as libsndfile maps it
    form = {"format": "MP3", "subtype": "MPEG_LAYER_III", "bitrate_mode": "CONSTANT"}
    soundfile.write(file, samples, rate, compression_level=level, **form)
    file.seek(0)
    decoded, _ = soundfile.read(file, dtype="float32")
    return _at((decoded, rate), sound[1])
