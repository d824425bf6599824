"""A music collection that is made here: songs of fictional artists, rendered from a SoundFont, offline.

    >>> from study.datasets import songs
    >>> table = songs.render("collection")          # 4 styles x 8 artists x 4 songs of 30 s and more
    >>> pandas.DataFrame(table)                     # what is true of them, a row a song

Conventions
    song        a function of (style, artist, number, seed) alone: score, tags and label everywhere, samples
                and bytes on one machine with one set of packages.
    file        ``ARTIST/ALBUM/NN - TITLE.flac`` below the folder, 16 bits, mono, with the tags title, artist,
                album, genre, date and track number. FLAC, not Ogg: libsndfile gives each Ogg stream a serial
                number of the clock, so that no two renderings would be one content.
    table       ``songs.csv`` in the folder, a line a song, with the fields of ``Song`` as its columns.
    label       "good" or "bad", the taste of a fictional owner: see ``LIKING``.
    truth       tempo in quarter notes a minute, key and mode: those of the score, hence exact.

SoundFont TimGM6mb.sf2 by T. Brechbill (GPL-2), of the package pretty_midi. The scores are in ``scores``;
collections of real and generated music that packages carry are in ``packaged``.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import soundfile
import soxr
from joblib import Parallel, delayed

from audio_distance.storage import replacing
from study.datasets import scores
from study.datasets.rendered import INSTRUMENT_RATE, sound_font
from study.datasets.scores import STYLES

PEAK = 0.9  # of full scale
RING_SECONDS = 1.0  # after the last bar, the second half of it fading out
SONGS_AN_ALBUM = 2
TABLE = "songs.csv"  # the catalogue, beside the songs

# The owner's taste. A song is good where its appeal is above 0: the liking of its style, of a quick tempo
# within it (from -1/2 for the slowest to 1/2 for the quickest), and what no feature tells: a normal draw for
# the artist, the reason why folds that share artists look better than they are, and one for the song. The
# default catalogue has many artists of few songs: what holds for artists is learned from artists.
LIKING = {"chorale": -0.6, "dance": 0.3, "ballad": -0.8, "march": -0.1}
TEMPO_LIKING = 1.2
ARTIST_SIGMA = 0.7
SONG_SIGMA = 0.4

ADJECTIVES = (
    "Amber", "Brass", "Copper", "Crimson", "Distant", "Eastern", "Electric", "Frozen", "Gentle", "Golden",
    "Hidden", "Hollow", "Idle", "Ivory", "Late", "Little", "Lunar", "Northern", "Quiet", "Red", "Silent",
    "Silver", "Velvet", "Winter",
)  # fmt: skip
BEINGS = (
    "Anchors", "Bridges", "Clocks", "Engines", "Falcons", "Foxes", "Gardens", "Harbours", "Islands",
    "Lanterns", "Meadows", "Mirrors", "Orchards", "Otters", "Pilots", "Rivers", "Sparrows", "Stations",
    "Streets", "Tides", "Towers", "Travellers", "Windows", "Wolves",
)  # fmt: skip
THINGS = (
    "Afternoon", "Avenue", "Autumn", "Carousel", "Ceremony", "Coast", "Departure", "Dream", "Echo",
    "Evening", "Fountain", "Horizon", "Letter", "Morning", "Parade", "Promise", "Rain", "Return", "River",
    "Shadow", "Signal", "Summer", "Valley", "Voyage",
)  # fmt: skip


@dataclass(frozen=True)
class Song:
    """What is true of a song, and how it came about."""

    path: str  # below the folder, with "/" on every system
    title: str
    artist: str
    album: str
    genre: str  # the style
    year: int
    label: str  # "good" or "bad"
    bpm: int  # quarter notes a minute
    key: str  # C, C#, D, Eb, E, F, F#, G, Ab, A, Bb or B
    mode: str  # "major" or "minor"
    seconds: float  # of the file
    artist_number: int  # within the style
    number: int  # within the artist
    seed: int


def catalogue(
    *, artists_per_style: int = 8, songs_per_artist: int = 4, seconds: float = 30.0, seed: int = 0
) -> tuple[Song, ...]:
    """Return what ``render`` would write, by style, artist and number; nothing is rendered.

    A smaller catalogue is part of a larger one. ValueError for counts below 1, more artists than there are
    names (144 a style), seconds that are not above 0 and a seed outside 0 to 2^32 - 1.
    """
    return tuple(song for song, _ in _songs(artists_per_style, songs_per_artist, seconds, seed))


def render(
    folder: str | os.PathLike[str],
    *,
    artists_per_style: int = 8,
    songs_per_artist: int = 4,
    seconds: float = 30.0,
    seed: int = 0,
    rate: int = INSTRUMENT_RATE,
    workers: int = 1,
) -> tuple[Song, ...]:
    """Write the songs of the catalogue into a folder, and the catalogue as ``songs.csv``; return it.

    Each lasts ``seconds`` or more: whole bars, and a second in which they ring out. ``rate`` in Hz, 22,050 by
    default; ``workers`` processes share the songs, with the same files as the result. Each file is written
    whole or not at all, and one that is there stays: an interrupted call is resumed by the same call.
    Raises ValueError as ``catalogue`` does, and for a file that is there and is another song (its seed,
    seconds or rate differ): a folder holds one collection. MissingData where the SoundFont is not there.
    """
    if rate < 1000:
        raise ValueError(f"rate is {rate} Hz; 1000 Hz at least, as for 22050")
    sound_font()  # raises before anything is written
    made = list(_songs(artists_per_style, songs_per_artist, seconds, seed))
    waiting = [(song, score) for song, score in made if not _there(Path(folder, song.path), score, rate)]
    Parallel(n_jobs=workers)(delayed(_write)(Path(folder), song, score, rate) for song, score in waiting)
    table = tuple(song for song, _ in made)
    with (
        replacing(Path(folder, TABLE)) as part,
        part.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, [field.name for field in fields(Song)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(song) for song in table)
    return table


def waveform(score: scores.Score, rate: int) -> np.ndarray:
    """Return a score as sound: mono float32, (samples,), peak 0.9, ``rate`` in Hz.

    Rendered at 44.1 kHz with 16 bits, the mean of two channels, resampled. ValueError for a score so loud
    that the renderer clips.
    """
    import midirenderer

    wave = midirenderer.render_wave_from(sound_font(), scores.midi(score, ring=RING_SECONDS))
    stereo, rendered_rate = soundfile.read(io.BytesIO(wave), dtype="int16", always_2d=True)
    loudest = int(np.max(np.abs(stereo.astype(np.int32))))
    if loudest >= 2**15 - 1:
        raise ValueError(f"the renderer clips a {score.artist.style} of artist {score.artist.number}")
    signal = soxr.resample(stereo.mean(axis=1, dtype=np.float32), rendered_rate, rate)
    length = round(_seconds(score) * rate)
    signal = np.pad(signal[:length], (0, max(0, length - len(signal))))
    fade = round(RING_SECONDS / 2 * rate)
    signal[length - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
    return (PEAK * signal / np.max(np.abs(signal))).astype(np.float32)


def _songs(artists: int, each: int, seconds: float, seed: int) -> Iterator[tuple[Song, scores.Score]]:
    most = len(ADJECTIVES) * len(BEINGS) // len(STYLES)
    if not 1 <= artists <= most:
        raise ValueError(f"artists_per_style is {artists}; there are names for 1 to {most}")
    if each < 1:
        raise ValueError(f"songs_per_artist is {each}; at least 1 song is needed")
    for style in STYLES:
        for artist in range(artists):
            for number in range(each):
                yield _song(style, artist, number, seconds, seed)


def _song(style: str, artist: int, number: int, seconds: float, seed: int) -> tuple[Song, scores.Score]:
    score = scores.compose(style, artist, number=number, seconds=seconds, seed=seed)
    # Names are dealt from one shuffled pack, which takes care that no two artists share theirs.
    pack = scores.generator(seed, "names").permutation(len(ADJECTIVES) * len(BEINGS))
    first, second = divmod(int(pack[artist * len(STYLES) + [*STYLES].index(style)]), len(BEINGS))
    name = f"The {ADJECTIVES[first]} {BEINGS[second]}"
    volume = number // SONGS_AN_ALBUM
    debut = 1970 + int(scores.generator(seed, "album", style, artist).randint(45))
    album = _title(scores.generator(seed, "album", style, artist, volume))
    title = _title(scores.generator(seed, "names", style, artist, number))
    song = Song(
        path=f"{name}/{album}/{number + 1:02d} - {title}.flac",
        title=title,
        artist=name,
        album=album,
        genre=style,
        year=debut + 2 * volume,
        label=_label(score, number, seed),
        bpm=score.bpm,
        key=score.key,
        mode=score.mode,
        seconds=_seconds(score),
        artist_number=artist,
        number=number,
        seed=seed,
    )
    return song, score


def _title(rng: np.random.RandomState) -> str:
    return f"{ADJECTIVES[rng.randint(len(ADJECTIVES))]} {THINGS[rng.randint(len(THINGS))]}"


def _label(score: scores.Score, number: int, seed: int) -> str:
    style, artist = score.artist.style, score.artist.number
    low, high = STYLES[style].bpm
    appeal = LIKING[style] + TEMPO_LIKING * ((score.bpm - low) / (high - low) - 0.5)
    appeal += ARTIST_SIGMA * scores.generator(seed, "taste", style, artist).standard_normal()
    appeal += SONG_SIGMA * scores.generator(seed, "taste", style, artist, number).standard_normal()
    return "good" if appeal > 0 else "bad"


def _seconds(score: scores.Score) -> float:
    return score.seconds + RING_SECONDS


def _recipe(score: scores.Score) -> str:
    """What a file says of its making: with its rate, whether it is the song that would be written."""
    return f"TimGM6mb.sf2, score {hashlib.sha256(scores.midi(score, ring=RING_SECONDS)).hexdigest()}"


def _there(path: Path, score: scores.Score, rate: int) -> bool:
    """Whether a song is written; ValueError for a file in its place that is none, or another."""
    if not path.exists():
        return False
    try:
        with soundfile.SoundFile(path) as file:
            found = (file.comment, file.samplerate)
    except soundfile.LibsndfileError as error:
        raise ValueError(f"{path}: {error.error_string} Remove it, to have it rendered again") from None
    if found != (_recipe(score), rate):
        raise ValueError(
            f"{path} is another song, of {found[1]} Hz: it was rendered with another seed, other seconds or "
            f"another rate than {rate} Hz, or is not of here; name an empty folder"
        )
    return True


def _write(folder: Path, song: Song, score: scores.Score, rate: int) -> None:
    signal = waveform(score, rate)
    with (
        replacing(folder / song.path) as part,
        soundfile.SoundFile(part, "w", rate, channels=1, format="FLAC", subtype="PCM_16") as file,
    ):
        # Tags come before the samples in the file, hence here.
        file.title, file.artist, file.album, file.genre = song.title, song.artist, song.album, song.genre
        file.date, file.tracknumber = str(song.year), str(song.number + 1)
        file.comment = _recipe(score)
        file.write(signal)
