"""Twenty further pairs of sets that a distance must tell apart, or must not: ``PAIRS``.

They were written without looking at the recipe of the distance or at any result of it, committed alone, and
not changed after the first look at a result. ``study.soundness`` has the pairs that were there while the
distance was developed; the rule is its own: a pair must differ where anybody hears at once that it does, and
must not where no listener could name the change.

Conventions
    source   ``source(count, rng)`` returns ``count`` signals in random order, mono, and their rate in Hz.
    change   ``change(signal, rate, rng)`` returns a changed signal; what is random in it is drawn for every
             signal anew.
    sets     disjoint: no sound is in both, changed or not.

Sources
    speech       spoken digits at 8 kHz, whole
    sounds       environmental sounds at 44.1 kHz, the two loudest seconds of each
    instruments  rendered notes of pitched instruments at 22,050 Hz, one second each
    music        three seconds at 22,050 Hz of chords, bass, a tune and drums, made here of sines and noise
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
import soundfile
import soxr
from scipy.signal import butter, sosfiltfilt

from study import datasets
from study.datasets.audio_set import read_mono

FILES = 20  # a side
SOUND_SECONDS = 2.0
MUSIC_RATE = 22_050  # Hz
MUSIC_SECONDS = 3.0
NOTES = 640  # rendered, of which each draw takes some
NOTES_SEED = 1  # the notes of the other studies have seed 0
PITCHED = datasets.FAMILIES[:12]  # the other four are effects and drums
PROGRESSIONS = ((0, 7, 9, 5), (0, 9, 5, 7), (9, 5, 0, 7), (0, 5, 7, 5))  # roots in semitones above the tonic
MINOR_ROOTS = (2, 4, 9)  # of a major scale: their triads are minor
PENTATONIC = (0, 2, 4, 7, 9)

Signals = list[np.ndarray]
Draw = Callable[[int, np.random.Generator], tuple[Signals, int]]
Change = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Pair:
    """Two sets: ``make(files, rng)`` returns reference, candidate (``files`` signals each) and rate."""

    source: str
    must_differ: bool
    make: Callable[[int, np.random.Generator], tuple[Signals, Signals, int]]
    files: int = FILES

    def draw(self, rng: np.random.Generator) -> tuple[Signals, Signals, int]:
        """Return reference, candidate and rate; what is beyond full scale is made softer, as in a file."""
        x, y, rate = self.make(self.files, rng)
        return [_within_full_scale(s) for s in x], [_within_full_scale(s) for s in y], rate


def _within_full_scale(signal: np.ndarray) -> np.ndarray:
    return (signal / max(1.0, np.abs(signal).max())).astype(np.float32)


# ------------------------------------------------------------------------------------------- sources


def speech(count: int, rng: np.random.Generator) -> tuple[Signals, int]:
    """Draw spoken digits, whole, at 8 kHz."""
    digits = datasets.digits(count=count, rng=rng)
    return [digits.signals[i] for i in rng.permutation(count)], digits.rate


def sounds(count: int, rng: np.random.Generator) -> tuple[Signals, int]:
    """Draw environmental sounds of all ten classes, the two loudest seconds of each, at 44.1 kHz."""
    drawn = datasets.sounds(count=count, rng=rng)
    return [_loudest(drawn.signals[i], drawn.rate) for i in rng.permutation(count)], drawn.rate


def instruments(
    count: int, rng: np.random.Generator, *, families: Sequence[str] = PITCHED
) -> tuple[Signals, int]:
    """Draw rendered notes of these families, one second each, at 22,050 Hz."""
    notes = _notes(tuple(families))
    places = rng.choice(len(notes), size=count, replace=False)
    return [notes.signals[i] for i in places], notes.rate


def music(
    count: int, rng: np.random.Generator, *, tuning: float = 440.0, in_tune: bool = True, steady: bool = True
) -> tuple[Signals, int]:
    """Make so many pieces of chords, bass, a tune and drums, three seconds each, at 22,050 Hz.

    ``tuning`` is the A above middle C in Hz. Not ``in_tune``: every note is 30 to 60 cents too high or too
    low, each by its own amount. Not ``steady``: everything that is struck comes up to 0.1 s early or late.
    """
    return [_piece(rng, tuning=tuning, in_tune=in_tune, steady=steady) for _ in range(count)], MUSIC_RATE


@lru_cache(maxsize=3)
def _notes(families: tuple[str, ...]) -> datasets.AudioSet:
    return datasets.instruments(count=NOTES, seed=NOTES_SEED, families=families)


def _loudest(signal: np.ndarray, rate: int) -> np.ndarray:
    """The part of ``SOUND_SECONDS`` with the most power: some clips end in silence."""
    length = round(SOUND_SECONDS * rate)
    if len(signal) <= length:
        return signal
    power = np.concatenate([[0.0], np.cumsum(signal.astype(np.float64) ** 2)])
    start = int(np.argmax(power[length:] - power[:-length]))
    return signal[start : start + length]


def _class_of_sounds(name: str, count: int, rng: np.random.Generator) -> tuple[Signals, int]:
    paths = [path for path in datasets.files("sounds") if path.parent.name.endswith(f" - {name}")]
    read = [read_mono(paths[i]) for i in rng.choice(len(paths), size=count, replace=False)]
    return [_loudest(signal, rate) for signal, rate in read], read[0][1]


def _piece(rng: np.random.Generator, *, tuning: float, in_tune: bool, steady: bool) -> np.ndarray:
    total = round(MUSIC_SECONDS * MUSIC_RATE)
    piece = np.zeros(total)
    eighth = 30 / rng.uniform(90, 130)  # s, of the beats a minute
    tonic = 48 + int(rng.integers(12))  # MIDI number, C3 to B3
    progression = PROGRESSIONS[rng.integers(len(PROGRESSIONS))]
    roll_off = rng.uniform(0.8, 1.6)  # amplitudes of harmonics fall with this power of their number

    def place(sound: np.ndarray, seconds: float) -> None:
        late = 0.0 if steady else rng.uniform(-0.1, 0.1)
        start = max(0, round((seconds + late) * MUSIC_RATE))
        end = min(total, start + len(sound))
        piece[start:end] += sound[: max(0, end - start)]

    def tone(number: float, seconds: float, decay: float) -> np.ndarray:
        cents = 0.0 if in_tune else rng.choice([-1, 1]) * rng.uniform(30, 60)
        hz = tuning * 2 ** ((number - 69 + cents / 100) / 12)
        time = np.arange(round(seconds * MUSIC_RATE)) / MUSIC_RATE
        orders = np.arange(1, 11)
        orders = orders[orders * hz < 0.45 * MUSIC_RATE]
        phases = rng.uniform(0, 2 * np.pi, size=(len(orders), 1))
        waves = np.sin(2 * np.pi * hz * orders[:, None] * time + phases) / orders[:, None] ** roll_off
        return waves.sum(axis=0) * np.exp(-time / decay) * _fades(len(time), MUSIC_RATE, 0.005)

    def drum(seconds: float, decay: float) -> np.ndarray:
        time = np.arange(round(seconds * MUSIC_RATE)) / MUSIC_RATE
        return rng.standard_normal(len(time)) * np.exp(-time / decay)

    def kick() -> np.ndarray:
        time = np.arange(round(0.15 * MUSIC_RATE)) / MUSIC_RATE
        return np.sin(2 * np.pi * (60 * time + 3 * np.exp(-time / 0.02))) * np.exp(-time / 0.05)

    for step in range(int(np.ceil(MUSIC_SECONDS / eighth))):
        now = step * eighth
        root = progression[step // 4 % 4]
        if step % 4 == 0:
            third = 3 if root in MINOR_ROOTS else 4
            for interval in (0, third, 7):
                place(0.25 * tone(tonic + 12 + (root + interval) % 12, 4 * eighth, 1.5), now)
        if step % 2 == 0:
            place(0.4 * tone(tonic - 12 + root % 12, 2 * eighth, 0.4), now)
            if step % 4 == 0:
                place(0.9 * kick(), now)
            else:
                place(0.3 * drum(0.2, 0.05), now)
        place(0.08 * np.diff(drum(0.08, 0.02), prepend=0.0), now)
        if rng.uniform() < 0.7:
            number = tonic + 24 + PENTATONIC[rng.integers(len(PENTATONIC))]
            place(0.3 * tone(number, eighth, 0.3), now)
    return (0.5 * piece / np.abs(piece).max()).astype(np.float32)


def _fades(length: int, rate: int, seconds: float) -> np.ndarray:
    """A gain that rises at the start and falls at the end within so many seconds."""
    ramp = np.minimum(np.arange(length), np.arange(length)[::-1]) / (seconds * rate)
    return np.minimum(1.0, ramp)


# ------------------------------------------------------------------------------------------- changes


def _rms(signal: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(signal, dtype=np.float64))))


def _ring_modulated(signal, rate, rng):
    return signal * np.sin(2 * np.pi * (150 * np.arange(len(signal)) / rate + rng.uniform()))


def _room_for_echo(signal, rate, rng):
    return np.pad(signal, (0, rate // 4))


def _echo(signal, rate, rng):
    longer = _room_for_echo(signal, rate, rng)
    delay = rate // 5
    return longer + 0.7 * np.pad(longer, (delay, 0))[: len(longer)]


def _alarm(signal, rate, rng):
    """Beeps of 0.15 s every half second, as loud as the sound itself."""
    time = np.arange(len(signal)) / rate + rng.uniform(0, 0.5)
    beeping = (time % 0.5 < 0.15) * np.sin(2 * np.pi * 1000 * time)
    return signal + _rms(signal) / _rms(beeping) * beeping


def _looped(signal, rate, rng):
    """The loudest tenth of a second, again and again."""
    length = rate // 10
    starts = np.arange(0, len(signal) - length + 1, length)
    loudest = max(starts, key=lambda start: _rms(signal[start : start + length]))
    return np.resize(signal[loudest : loudest + length], len(signal))


def _vibrato(signal, rate, rng):
    """The pitch swings by a semitone up and down, six times a second."""
    time = np.arange(len(signal)) / rate
    swing = (2 ** (1 / 12) - 1) / (2 * np.pi * 6)  # s, of the playing position
    place = time + swing * np.sin(2 * np.pi * (6 * time + rng.uniform()))
    # Read from four times the rate, where lines between samples are close enough.
    return np.interp(place * 4 * rate, np.arange(4 * len(signal)), soxr.resample(signal, rate, 4 * rate))


def _inverted(signal, rate, rng):
    return -signal


def _delayed(signal, rate, rng):
    """Later by 0.1 to 0.9 of a sample."""
    padded = np.pad(signal, 64)
    turn = np.exp(-2j * np.pi * np.fft.rfftfreq(len(padded)) * rng.uniform(0.1, 0.9))
    return np.fft.irfft(np.fft.rfft(padded) * turn, len(padded))[64:-64]


def _level(signal, rate, rng):
    """Louder or softer by up to half a decibel."""
    return signal * 10 ** (rng.uniform(-0.5, 0.5) / 20)


def _trimmed(signal, rate, rng):
    """Up to 20 ms cut off at each end."""
    first, last = rng.integers(0, rate // 50, size=2)
    return signal[first : len(signal) - last]


def _no_infrasound(signal, rate, rng):
    """Without what lies below 15 Hz, zero phase."""
    return sosfiltfilt(butter(4, 15.0, "highpass", fs=rate, output="sos"), signal)


def _coded(signal, rate, rng, **options):
    file = io.BytesIO()
    soundfile.write(file, signal, rate, **options)
    file.seek(0)
    decoded, _ = soundfile.read(file)
    return np.pad(decoded[: len(signal)], (0, max(0, len(signal) - len(decoded))))


# The best that libsndfile writes: 320 kb/s for MP3 at 44.1 kHz, quality 10 of 10 for Vorbis.
_mp3 = partial(_coded, format="MP3", subtype="MPEG_LAYER_III", bitrate_mode="CONSTANT", compression_level=0.0)
_vorbis = partial(_coded, format="OGG", subtype="VORBIS", compression_level=0.0)


# --------------------------------------------------------------------------------------------- pairs


def _changed(source: Draw, candidate: Change, *, reference: Change | None = None):
    """Two disjoint samples of a source, of which the candidate, or both, are changed."""

    def make(size, rng):
        signals, rate = source(2 * size, rng)
        x, y = signals[:size], signals[size:]
        x = [reference(s, rate, rng) for s in x] if reference else x
        return x, [candidate(s, rate, rng) for s in y], rate

    return make


def _drawn(reference: Draw, candidate: Draw):
    """A sample of each of two sources that share a rate."""

    def make(size, rng):
        x, rate = reference(size, rng)
        y, _ = candidate(size, rng)
        return x, y, rate

    return make


def _two_talkers(size, rng):
    """Digits, and digits with one of another speaker on top, who starts with the first, equally loud."""
    digits = datasets.digits(count=6 * size, rng=rng)  # among so many a second speaker is always left
    order = list(rng.permutation(len(digits)))
    x = [digits.signals[order.pop()] for _ in range(size)]
    y = []
    for _ in range(size):
        one = order.pop()
        other = next(i for i in order if digits.groups[i] != digits.groups[one])
        order.remove(other)
        a, b = digits.signals[one], digits.signals[other]
        length = max(len(a), len(b))
        y.append(np.pad(a, (0, length - len(a))) + _rms(a) / _rms(b) * np.pad(b, (0, length - len(b))))
    return x, y, digits.rate


def _takes(size, rng):
    """Takes of even and of odd number: the same speakers, who said the same digits again."""
    digits = datasets.digits()
    takes = np.array([int(name.removesuffix(".wav").split("_")[2]) for name in digits.names])
    x, y = (rng.permutation(np.flatnonzero(takes % 2 == odd))[:size] for odd in (0, 1))
    return [digits.signals[i] for i in x], [digits.signals[i] for i in y], digits.rate


def _same_room(size, rng):
    """Speech 20 dB above the noise of a room, of which each set has its own ten seconds, in pieces."""
    signals, rate = speech(2 * size, rng)
    sets = []
    for part in (signals[:size], signals[size:]):
        noise = rng.standard_normal(10 * rate)
        pieces = [noise[start : start + len(s)] for s in part for start in [rng.integers(5 * rate)]]
        sets.append([s + 0.1 * _rms(s) * piece for s, piece in zip(part, pieces, strict=True)])
    return *sets, rate


PAIRS = {
    "one talker / two at once": Pair("speech", True, _two_talkers),
    "speech / ring modulated at 150 Hz": Pair("speech", True, _changed(speech, _ring_modulated)),
    "speech / an echo after 0.2 s": Pair("speech", True, _changed(speech, _echo, reference=_room_for_echo)),
    "baby cry / rooster": Pair(
        "sounds", True, _drawn(partial(_class_of_sounds, "Baby cry"), partial(_class_of_sounds, "Rooster"))
    ),
    "sounds / an alarm beeps in them": Pair("sounds", True, _changed(sounds, _alarm)),
    "sounds / 0.1 s of each, looped": Pair("sounds", True, _changed(sounds, _looped)),
    "notes / with a vibrato": Pair("instruments", True, _changed(instruments, _vibrato)),
    "organ / guitar": Pair(
        "instruments",
        True,
        _drawn(partial(instruments, families=("organ",)), partial(instruments, families=("guitar",))),
    ),
    "music / out of tune": Pair("music", True, _drawn(music, partial(music, in_tune=False))),
    "music / stumbling": Pair("music", True, _drawn(music, partial(music, steady=False))),
    "polarity inverted": Pair("speech", False, _changed(speech, _inverted)),
    "another take": Pair("speech", False, _takes),
    "another time in one noisy room": Pair("speech", False, _same_room),
    "MP3 at 320 kb/s": Pair("sounds", False, _changed(sounds, _mp3)),
    "up to 20 ms cut at each end": Pair("sounds", False, _changed(sounds, _trimmed)),
    "nothing below 15 Hz": Pair("sounds", False, _changed(sounds, _no_infrasound)),
    "delayed by part of a sample": Pair("instruments", False, _changed(instruments, _delayed)),
    "up to 0.5 dB louder or softer": Pair("instruments", False, _changed(instruments, _level)),
    "tuned to 440 / to 441 Hz": Pair("music", False, _drawn(music, partial(music, tuning=441.0))),
    "Vorbis at its best quality": Pair("music", False, _changed(music, _vorbis)),
}
