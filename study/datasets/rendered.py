"""Sets that are made here, of no recording: the tones of the challenge, notes of instruments.

Conventions
    program     of General MIDI level 1, from 0: 0 to 127, eight to a family.
    pitch       MIDI number: 60 is middle C, 69 is 440 Hz; a semitone is 1.
    velocity    how hard a key is struck, 1 to 127.
    SoundFont   TimGM6mb.sf2, which comes with the package pretty_midi; midirenderer plays it, offline
                and without a system library.

The same arguments give the same samples at every call.
"""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path, PurePosixPath

import numpy as np
import soundfile
import soxr

import gen_audio
from study.datasets.audio_set import AudioSet, MissingData

INSTRUMENT_RATE = 22_050  # Hz
NOTE_PEAK = 0.5  # of full scale
HELD_SHARE = 0.9  # of a note, after which the key is released
FADE_SECONDS = 0.01  # at the end of a note, lest it be a click
PROGRAMS = 128
PITCHES = (36, 72)  # MIDI, C2 to C5: programs 67 and 78 are silent from 81 on
VELOCITIES = (60, 120)
FAMILIES = (
    "piano",
    "chromatic percussion",
    "organ",
    "guitar",
    "bass",
    "strings",
    "ensemble",
    "brass",
    "reed",
    "pipe",
    "synth lead",
    "synth pad",
    "synth effects",
    "ethnic",
    "percussive",
    "sound effects",
)  # of eight programs each, General MIDI level 1


def tones(which: str, *, seed: int = 0, overflow: str = "wrap") -> AudioSet:
    """Return ``"background"`` (10 tones), ``"test1"`` or ``"test2"`` (5): 6 s at 16 kHz.

    The samples are the int16 of ``gen_audio.test_sets`` divided by 2^15, hence what is read from
    its files. The label is the frequency, each file a group of its own. ValueError for another
    name, and as ``gen_audio.test_sets``.
    """
    if which not in gen_audio.SETS:
        raise ValueError(f"no tones {which!r}; there are {', '.join(gen_audio.SETS)}")
    files = gen_audio.test_sets(seed=seed, overflow=overflow)[which]
    names = sorted(files)
    stems = [PurePosixPath(name).stem for name in names]
    return AudioSet(
        name=f"tones {which}",
        signals=tuple((files[name] / 2**15).astype(np.float32) for name in names),
        rate=gen_audio.RATE,
        names=tuple(names),
        labels=tuple(f"{stem.removeprefix('sin_')} Hz" for stem in stems),
        groups=tuple(stems),
        source="sine tones of gen_audio.py, synthetic",
    )


def instruments(*, count: int = 128, seed: int = 0, families: Sequence[str] = ()) -> AudioSet:
    """Return notes of General MIDI instruments: 1 s at 22,050 Hz, peak 0.5.

    Note i is of program i modulo 128, with a pitch from C2 to C5 and a velocity from 60 to 120,
    both drawn from ``(seed, i)`` alone: a larger set begins with a smaller one. 128 by default,
    each program once; the label is the family (16), the group the program. Of these, only the notes
    of ``families`` are rendered, if any are named. ValueError for a count below 1 and for a family
    that is not in ``FAMILIES``; MissingData where the SoundFont is not there.
    """
    if count < 1:
        raise ValueError(f"count is {count}; at least 1 note is needed")
    if unknown := set(families) - set(FAMILIES):
        raise ValueError(f"no family {', '.join(sorted(unknown))}; there are {', '.join(FAMILIES)}")
    sound_font()  # raises, and says what is missing, before an import does
    titles = _program_names()
    names, signals, labels, groups = [], [], [], []
    for index in range(count):
        # RandomState: numpy has frozen its stream, which it has not done for Generator.
        rng = np.random.RandomState([seed, index])
        program = index % PROGRAMS
        family = FAMILIES[program // (PROGRAMS // len(FAMILIES))]
        if families and family not in families:
            continue
        pitch = int(rng.randint(PITCHES[0], PITCHES[1] + 1))
        velocity = int(rng.randint(VELOCITIES[0], VELOCITIES[1] + 1))
        names.append(f"{index:05d}_program{program:03d}_pitch{pitch:02d}")
        signals.append(note(program, pitch, velocity=velocity))
        labels.append(family)
        groups.append(titles[program])
    return AudioSet(
        name="instruments",
        signals=tuple(signals),
        rate=INSTRUMENT_RATE,
        names=tuple(names),
        labels=tuple(labels),
        groups=tuple(groups),
        source="rendered from TimGM6mb.sf2 by T. Brechbill (GPL-2), of the pretty_midi package",
    )


def note(
    program: int,
    pitch: int,
    *,
    velocity: int = 100,
    seconds: float = 1.0,
    rate: int = INSTRUMENT_RATE,
) -> np.ndarray:
    """Return one note, mono float32, (seconds * rate,), peak 0.5, the same at every call.

    ``program`` (0 to 127), ``pitch`` and ``velocity`` as in MIDI, ``seconds`` the length of the result,
    ``rate`` in Hz. The key is released at 0.9 of the length, and the last 10 ms fade out, lest the end
    be a click. The peak is set because the SoundFont's own spread over a factor of a hundred.

    Raises ValueError for a program, pitch or velocity outside of MIDI or a note that is silent,
    MissingData where the SoundFont is not there.
    """
    for name, value, lowest in (("program", program, 0), ("pitch", pitch, 0), ("velocity", velocity, 1)):
        if not lowest <= value <= 127:
            raise ValueError(f"{name} is {value}; it is {lowest} to 127")
    import midirenderer

    wave = midirenderer.render_wave_from(sound_font(), _midi(program, pitch, velocity, seconds))
    stereo, rendered_rate = soundfile.read(io.BytesIO(wave), dtype="float64")
    signal = soxr.resample(stereo.mean(axis=1), rendered_rate, rate)
    length = round(seconds * rate)  # what rings on after it is cut
    signal = np.pad(signal[:length], (0, max(0, length - len(signal))))
    fade = min(length, round(FADE_SECONDS * rate))
    signal[length - fade :] *= np.linspace(1.0, 0.0, fade)
    peak = np.max(np.abs(signal))
    if peak == 0.0:
        raise ValueError(f"program {program} is silent at pitch {pitch}")
    return (NOTE_PEAK * signal / peak).astype(np.float32)


@cache
def sound_font() -> bytes:
    """Return TimGM6mb.sf2, a SoundFont of all programs; MissingData where pretty_midi is not installed."""
    package = importlib.util.find_spec("pretty_midi")  # a note needs its file, not its import
    if package is None or not package.submodule_search_locations:
        raise MissingData("instruments: the package pretty_midi, with its SoundFont, is missing")
    return (Path(package.submodule_search_locations[0]) / "TimGM6mb.sf2").read_bytes()


@cache
def _program_names() -> tuple[str, ...]:
    import pretty_midi

    return tuple(pretty_midi.program_to_instrument_name(program) for program in range(PROGRAMS))


def _midi(program: int, pitch: int, velocity: int, seconds: float) -> bytes:
    """A MIDI file of one note, in ticks of 1 ms."""
    import mido

    total, held = round(1000 * seconds), round(1000 * HELD_SHARE * seconds)
    messages = [
        mido.MetaMessage("set_tempo", tempo=1_000_000),  # us a beat of 1000 ticks
        mido.Message("control_change", control=7, value=127),  # volume: the output has 16 bits
        mido.Message("program_change", program=program),
        mido.Message("note_on", note=pitch, velocity=velocity),
        mido.Message("note_off", note=pitch, velocity=0, time=held),
        mido.MetaMessage("end_of_track", time=total - held),
    ]
    file = mido.MidiFile(ticks_per_beat=1000)
    file.tracks.append(mido.MidiTrack(messages))
    content = io.BytesIO()
    file.save(file=content)
    return content.getvalue()
