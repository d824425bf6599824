"""Seeded scores in four contrasting styles: notes whose tempo, key and instruments are known.

Conventions
    style       one of ``STYLES``: tempo, metre, harmony, rhythm, register and families of instruments.
    artist      number within a style, from 0. An artist has a palette of its own (programs, drum kit, mix,
                reverberation), a tempo that its songs keep within 4 bpm, three favourite keys and two
                progressions a mode: its songs resemble each other more than those of another artist.
    number      of a song within its artist, from 0.
    degree      of the scale, from 0, the tonic; 7 is the tonic an octave above.
    tick        1/480 of a quarter note: start and length of notes are whole numbers, the tempo is exact.
    program     of General MIDI level 1, from 0; pitch in MIDI numbers, 60 is middle C.

A score is a function of its arguments alone. Each draw has a numpy ``RandomState`` of its own, whose stream
numpy has frozen, seeded by what it belongs to: artist 3 is the same whether there are 4 artists or 40.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

TICKS = 480  # a quarter note
KEYS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
DRUMS = 9  # the channel of percussion in General MIDI
DRUMS_VOLUME = 70  # MIDI controller 7: the key is to be heard through them
KICK, SNARE, CLOSED_HAT, CRASH = 36, 38, 42, 49
TEMPO_SPREAD = 4  # bpm about the tempo of an artist
# Every progression begins on the tonic: the key is the chord that a song keeps coming back to, and ends on.
PROGRESSIONS = {
    "major": ((0, 3, 4, 0), (0, 5, 3, 4), (0, 4, 5, 3), (0, 1, 4, 0), (0, 3, 1, 4)),
    "minor": ((0, 3, 4, 0), (0, 5, 3, 4), (0, 6, 5, 4), (0, 3, 6, 4)),
}


@dataclass(frozen=True)
class Style:
    """What the artists of a style have in common."""

    bpm: tuple[int, int]  # quarter notes a minute, both ends included
    metre: int  # quarter notes a bar
    bars_a_chord: int
    minor: float  # share of songs
    centres: tuple[int, int, int]  # pitch about which melody, harmony and bass lie
    palette: tuple[tuple[int, ...], ...]  # programs to choose from for melody, harmony and bass
    rhythms: tuple[tuple[float, ...], ...]  # of the melody in a bar, in quarter notes; below 0: a rest
    kits: tuple[int, ...] = ()  # programs of drum kits; none: no drums


STYLES = {
    "chorale": Style(  # strings and voices, held chords, in three
        bpm=(60, 80),
        metre=3,
        bars_a_chord=1,
        minor=0.5,
        centres=(67, 58, 43),
        palette=((40, 52, 68, 71), (48, 49, 19, 52), (42, 43, 70)),
        rhythms=((2, 1), (1, 1, 1), (1, 2), (1.5, 0.5, 1)),
    ),
    "dance": Style(  # four to the floor, bass and chords between the beats
        bpm=(118, 142),
        metre=4,
        bars_a_chord=1,
        minor=0.75,
        centres=(76, 62, 36),
        palette=((80, 81, 84, 87), (90, 62, 81, 4), (38, 39, 87)),
        rhythms=((0.5, 0.5, -0.5, 0.5, 1, 1), (0.75, 0.75, 0.5, 0.75, 0.75, 0.5), (-0.5, 0.5, 1, -0.5, 1.5)),
        kits=(24, 25, 8),
    ),
    "ballad": Style(  # broken chords of plucked strings under a slow tune
        bpm=(76, 98),
        metre=4,
        bars_a_chord=1,
        minor=0.4,
        centres=(74, 60, 45),
        palette=((73, 75, 79, 11), (24, 25, 46, 0), (32, 24, 45)),
        rhythms=((2, 1, 1), (-1, 1, 2), (3, 1), (1, 1, 2)),
    ),
    "march": Style(  # brass over bass and off-beats, snare drum
        bpm=(100, 124),
        metre=2,
        bars_a_chord=2,
        minor=0.1,
        centres=(69, 57, 41),
        palette=((56, 60, 61, 72), (57, 60, 61), (58, 57, 43)),
        rhythms=((0.75, 0.25, 1), (0.5, 0.5, 0.5, 0.5), (1, 0.75, 0.25), (1.5, 0.5)),
        kits=(0, 48),
    ),
}


class Note(NamedTuple):
    """A note; start and length in ticks."""

    channel: int
    start: int
    length: int
    pitch: int
    velocity: int


@dataclass(frozen=True)
class Artist:
    """What the songs of an artist share."""

    style: str
    number: int
    programs: tuple[int, int, int]  # of melody, harmony and bass, which have the channels 0, 1, 2
    volumes: tuple[int, int, int]  # MIDI controller 7
    reverb: int  # MIDI controller 91
    kit: int | None  # program of the drums
    bpm: int
    tonics: tuple[int, ...]  # of its keys, semitones above C
    minor: float  # share of its songs
    progressions: dict[str, tuple[tuple[int, ...], ...]]  # mode -> two


@dataclass(frozen=True)
class Score:
    """A song as notes, with what is true of it."""

    artist: Artist
    bpm: int
    tonic: int  # semitones above C
    mode: str  # "major" or "minor"
    bars: int
    notes: tuple[Note, ...]  # by start

    @property
    def key(self) -> str:
        """Return the tonic's name: C, C#, D, Eb, E, F, F#, G, Ab, A, Bb or B."""
        return KEYS[self.tonic]

    @property
    def seconds(self) -> float:
        """Return the length of the bars, without what rings on."""
        return self.bars * STYLES[self.artist.style].metre * 60 / self.bpm


def artist(style: str, number: int, *, seed: int) -> Artist:
    """Return an artist of a style; ValueError for another style, a negative number or seed."""
    rng = generator(seed, "artist", style, number)
    common = STYLES[style]
    low, high = common.bpm
    return Artist(
        style=style,
        number=number,
        programs=tuple(int(rng.choice(programs)) for programs in common.palette),
        volumes=tuple(int(rng.randint(*limits)) for limits in ((80, 101), (55, 86), (70, 101))),
        reverb=int(rng.randint(10, 100)),
        kit=int(rng.choice(common.kits)) if common.kits else None,
        bpm=int(rng.randint(low + TEMPO_SPREAD, high - TEMPO_SPREAD + 1)),
        tonics=tuple(int(tonic) for tonic in rng.choice(len(KEYS), size=3, replace=False)),
        minor=float(np.clip(common.minor + rng.uniform(-0.25, 0.25), 0, 1)),
        progressions={
            mode: tuple(bank[i] for i in rng.choice(len(bank), size=2, replace=False))
            for mode, bank in PROGRESSIONS.items()
        },
    )


def compose(style: str, artist_number: int, *, number: int, seconds: float, seed: int) -> Score:
    """Return a song of whole bars, of ``seconds`` or more, which ends on its tonic.

    The tune of each bar is one of two motifs, set to the bar's chord; the second progression of the artist
    takes over from the first after each has been heard twice. ValueError for another style, and for numbers,
    a seed or seconds that cannot be.
    """
    if not 0 < seconds < math.inf:
        raise ValueError(f"seconds is {seconds}; a song lasts longer than 0 seconds, and ends")
    own = artist(style, artist_number, seed=seed)
    common = STYLES[style]
    rng = generator(seed, "song", style, artist_number, number)
    bpm = own.bpm + int(rng.randint(-TEMPO_SPREAD, TEMPO_SPREAD + 1))
    tonic = int(rng.choice(own.tonics))
    mode = "minor" if rng.random_sample() < own.minor else "major"
    motifs = [_motif(common.rhythms, rng) for _ in range(2)]
    bars = max(2, math.ceil(seconds * bpm / (60 * common.metre)))
    notes: list[Note] = []
    for bar in range(bars):
        phrase, place = divmod(bar // common.bars_a_chord, 4)
        root = own.progressions[mode][phrase // 2 % 2][place]
        last = bar == bars - 1
        chord = _chord(tonic, mode, 0 if last else root)
        start = bar * common.metre * TICKS
        if last:
            notes += _final(chord, common, start, drums=own.kit is not None)
            break
        notes += _melody(motifs[bar % 4 == 2], tonic, mode, root, common.centres[0], start, rng)
        notes += _PATTERNS[style](chord, common, start, bar)
    return Score(own, bpm, tonic, mode, bars, tuple(sorted(notes, key=lambda note: note[1:])))


def midi(score: Score, *, ring: float = 0.0) -> bytes:
    """Return the score as a MIDI file of type 1, which goes on for ``ring`` seconds after its last bar."""
    import mido

    own = score.artist
    events: list[tuple[int, int, mido.Message]] = []  # tick, releases before what is struck anew, message
    for note in score.notes:
        struck = mido.Message("note_on", channel=note.channel, note=note.pitch, velocity=note.velocity)
        released = mido.Message("note_off", channel=note.channel, note=note.pitch, velocity=0)
        events += [(note.start, 1, struck), (note.start + note.length, 0, released)]
    events.sort(key=lambda event: event[:2])
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(score.bpm))])
    channels = [*zip(range(3), own.programs, own.volumes, strict=True)]
    if own.kit is not None:
        channels.append((DRUMS, own.kit, DRUMS_VOLUME))
    for channel, program, volume in channels:
        for control, value in ((7, volume), (91, own.reverb)):
            track.append(mido.Message("control_change", channel=channel, control=control, value=value))
        track.append(mido.Message("program_change", channel=channel, program=program))
    now = 0
    for tick, _, message in events:
        track.append(message.copy(time=tick - now))
        now = tick
    end = score.bars * STYLES[own.style].metre * TICKS + round(ring * score.bpm / 60 * TICKS)
    track.append(mido.MetaMessage("end_of_track", time=max(0, end - now)))
    file = mido.MidiFile(ticks_per_beat=TICKS)
    file.tracks.append(track)
    content = io.BytesIO()
    file.save(file=content)
    return content.getvalue()


def generator(seed: int, purpose: str, style: str = "", *numbers: int) -> np.random.RandomState:
    """Return the generator of one purpose ("artist", "song", "names", "album", "taste") and what it is of.

    ValueError for a style that is not in ``STYLES`` and for a seed or number outside 0 to 2^32 - 1.
    """
    if style and style not in STYLES:
        raise ValueError(f"no style {style!r}; there are {', '.join(STYLES)}")
    for name, value in (("seed", seed), *(("number", number) for number in numbers)):
        if not 0 <= value < 2**32:
            raise ValueError(f"{name} is {value}; it is 0 to 2^32 - 1")
    purposes = ("artist", "song", "names", "album", "taste")
    place = [*STYLES].index(style) if style else len(STYLES)
    return np.random.RandomState([seed, purposes.index(purpose), place, *numbers])


# Tune and harmony


def _motif(rhythms: tuple[tuple[float, ...], ...], rng: np.random.RandomState) -> list[tuple[float, int]]:
    """Lengths in quarter notes, below 0 a rest, each with the degrees above the chord's root."""
    rhythm = rhythms[rng.randint(len(rhythms))]
    steps = [int(rng.choice((0, 2, 4)))]  # a note of the chord on the first beat
    for _ in rhythm[1:]:
        steps.append(int(np.clip(steps[-1] + rng.choice((-2, -1, 1, 2)), -3, 7)))
    return list(zip(rhythm, steps, strict=True))


def _melody(
    motif: list[tuple[float, int]],
    tonic: int,
    mode: str,
    root: int,
    centre: int,
    start: int,
    rng: np.random.RandomState,
) -> list[Note]:
    notes = []
    base = _near(tonic, centre - 5)
    root = root if root < 4 else root - 7  # the tune stays within two octaves
    for length, step in motif:
        ticks = round(abs(length) * TICKS)
        velocity = int(rng.randint(84, 105))
        if length > 0:
            octave, degree = divmod(root + step, 7)
            raised = mode == "minor" and root % 7 == 4 and degree == 6  # as in the chord
            pitch = base + 12 * octave + SCALES[mode][degree] + raised
            notes.append(Note(0, start, ticks - ticks // 8, pitch, velocity))
        start += ticks
    return notes


def _chord(tonic: int, mode: str, root: int) -> tuple[int, int, int]:
    """Pitch classes of the triad on a degree; that on the fifth of minor is major, as is the custom."""
    classes = [tonic + SCALES[mode][(root + third) % 7] for third in (0, 2, 4)]
    if mode == "minor" and root == 4:
        classes[1] += 1
    return tuple(pitch % 12 for pitch in classes)


def _near(pitch_class: int, centre: int) -> int:
    """The pitch of a class that is nearest to a centre."""
    return centre + (pitch_class - centre + 6) % 12 - 6


def _held(pitches: list[int], channel: int, start: int, beats: float, velocity: int) -> list[Note]:
    return [Note(channel, start, round(beats * TICKS) - TICKS // 16, pitch, velocity) for pitch in pitches]


def _drum(pitch: int, start: int, beats: float, velocity: int) -> Note:
    return Note(DRUMS, start + round(beats * TICKS), TICKS // 8, pitch, velocity)


def _voiced(chord: tuple[int, int, int], common: Style) -> tuple[list[int], int, int]:
    """The chord about its centre from below, and its root and fifth in the bass."""
    _, middle, low = common.centres
    bass = _near(chord[0], low)
    return sorted(_near(pitch, middle) for pitch in chord), bass, bass + 7 if bass < low else bass - 5


# What goes with the tune in a bar, by style


def _chorale(chord: tuple[int, int, int], common: Style, start: int, bar: int) -> list[Note]:
    pitches, root, fifth = _voiced(chord, common)
    notes = _held(pitches, 1, start, 3, 72)
    return notes + _held([root], 2, start, 2, 88) + _held([fifth], 2, start + 2 * TICKS, 1, 76)


def _dance(chord: tuple[int, int, int], common: Style, start: int, bar: int) -> list[Note]:
    pitches, root, _ = _voiced(chord, common)
    notes = [_drum(CRASH, start, 0, 90)] if bar % 8 == 0 else []
    for beat in range(4):
        here = start + beat * TICKS
        notes += [_drum(KICK, here, 0, 118), _drum(CLOSED_HAT, here, 0.5, 88)]
        notes += [_drum(SNARE, here, 0, 100)] if beat % 2 else []
        notes += _held(pitches, 1, here + TICKS // 2, 0.4, 84)
        notes += _held([root], 2, here, 0.5, 104) + _held([root + 12], 2, here + TICKS // 2, 0.5, 92)
    return notes


def _ballad(chord: tuple[int, int, int], common: Style, start: int, bar: int) -> list[Note]:
    (first, second, third), root, fifth = _voiced(chord, common)
    up = (first, second, third, first + 12)
    notes = _held([root], 2, start, 2, 84) + _held([fifth], 2, start + 2 * TICKS, 2, 74)
    for eighth, pitch in enumerate((*up, second + 12, *up[:0:-1])):
        here = start + eighth * TICKS // 2
        beats = 1 if eighth < 7 else 0.5  # each rings into the next, the last not into the next bar
        notes += _held([pitch], 1, here, beats, 92 if eighth % 4 == 0 else 70)
    return notes


def _march(chord: tuple[int, int, int], common: Style, start: int, bar: int) -> list[Note]:
    pitches, root, fifth = _voiced(chord, common)
    notes = [_drum(CRASH, start, 0, 84)] if bar % 8 == 0 else []
    for beat, bass in enumerate((root, fifth)):
        here = start + beat * TICKS
        notes += _held([bass], 2, here, 0.5, 108) + _held(pitches, 1, here + TICKS // 2, 0.4, 80)
        notes += [_drum(KICK, here, 0, 96), _drum(SNARE, here, 0, 92), _drum(SNARE, here, 0.5, 70)]
        notes += [_drum(SNARE, here, 0.75, 76)] if (bar + beat) % 2 else []
    return notes


_PATTERNS = {"chorale": _chorale, "dance": _dance, "ballad": _ballad, "march": _march}


def _final(chord: tuple[int, int, int], common: Style, start: int, *, drums: bool) -> list[Note]:
    """The last bar: the tonic chord, with its root in tune and bass."""
    pitches, root, _ = _voiced(chord, common)
    tune = _near(chord[0], common.centres[0])
    notes = _held([tune], 0, start, common.metre, 96) + _held(pitches, 1, start, common.metre, 80)
    notes += _held([root], 2, start, common.metre, 96)
    return notes + ([_drum(KICK, start, 0, 118), _drum(CRASH, start, 0, 92)] if drums else [])
