"""Copies of songs that were changed, found among others.

Conventions
    song        the sha256 of its file's bytes. Files of equal bytes are one song, and the index's business:
                here two songs always differ in their bytes.
    duplicate   the same recording: transcoded, cut, made louder or softer, filtered, played faster or slower
                by up to 3.5 %, or another edition of it. Another performance of a tune is none, nor are
                songs that share a loop or instruments. See ``alignment``.
    rows        do not depend on the order of the songs: all is sorted by content.

    >>> find_duplicates({row["song"]: from_row(row) for row in rows})          # rows of fingerprint_song

A song needs 7 s or so: five anchors, none within 1.5 s of an end. What shares only a passage with another
song (a jingle in a mix, a medley) is a duplicate where the passage is most of their overlap, else none.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, TextIO

import numpy as np
import scipy.signal
import soxr

from songs.alignment import align, candidates
from songs.fingerprint import Fingerprint, fingerprint, fingerprint_song, from_row
from songs.terminal import number_above, say_rows

__all__ = [
    "Duplicate",
    "Score",
    "edits",
    "find_duplicates",
    "fingerprint",
    "fingerprint_song",
    "from_row",
    "score",
    "transcoded",
]

LEAST_MATCHES = 5  # anchors; a chance line of fewer is common among thousands of songs
LEAST_LIKENESS = 0.8  # between other songs of the band (0.74 at most) and copies (0.84 at least)
LEAST_SHARE = 0.5  # between another performance of a tune (0.3 at most) and copies (0.84 at least)
KILOBITS = 24  # a second, of the transcoded edit
OPUS_RANGE, MP3_RANGE = (256.0, 6.0), (160.0, 8.0)  # kbit/s that libsndfile's levels 0 and 1 stand for, mono


# Duplicates


@dataclass(frozen=True)
class Duplicate:
    """Two songs that are one recording; ``second`` follows ``first`` as an ``Alignment`` says.

    ``group`` counts from 0 in the order of content. Two songs of a group need not be a pair: copies of a copy
    are joined through it.
    """

    group: int
    first: str
    second: str
    share: float
    matches: int
    speed: float
    offset: float  # s


def find_duplicates(
    songs: Mapping[str, Fingerprint],
    *,
    least_share: float = LEAST_SHARE,
    least_matches: int = LEAST_MATCHES,
    least_likeness: float = LEAST_LIKENESS,
) -> list[Duplicate]:
    """All pairs of near-duplicates among songs, by group, first and second.

    Parameters
    ----------
    songs : mapping
        Fingerprints by content.
    least_share : float
        Of the anchors in the overlap of two songs. On the half of 115 songs by which it was set, copies had
        0.84 or more, different songs 0.05 or less, and a tune played 10 % faster or slower 0.3 or less.
    least_matches : int
        Anchors that agree; with less, as of songs below 7 s, there is no evidence.
    least_likeness : float
        Of the spectra at these anchors. Set on 256 rendered songs (seeds 1 and 2, where the report has 0) and
        52 of packages: copies had 0.84 or more, all but 1 % of them 0.92; what else agreed, songs of one
        artist in one key, 0.74 or less.

    Raises ValueError for a share or likeness outside 0 to 1, and for fewer than 2 matches: any two points
    lie on a line.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not 0.0 < least_share <= 1.0:
        raise ValueError(f"least_share is {least_share}; it is above 0, and 1 at most")
    if not 0.0 <= least_likeness <= 1.0:
        raise ValueError(f"least_likeness is {least_likeness}; it is 0 to 1")
    if least_matches < 2:
        raise ValueError(f"least_matches is {least_matches}; at least 2 are needed: any two lie on a line")
    names = sorted(songs)
    found = []
    for i, j in candidates([songs[name] for name in names]):
        line = align(songs[names[i]], songs[names[j]])
        enough = line.share >= least_share and line.matches >= least_matches
        if enough and line.likeness >= least_likeness:
            found.append((i, j, line))
    ends = np.array([(i, j) for i, j, _ in found], dtype=int).reshape(-1, 2)
    graph = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(len(names), len(names)))
    component = connected_components(graph, directed=False)[1]
    order = {c: g for g, c in enumerate(dict.fromkeys(component[np.sort(np.unique(ends))].tolist()))}
    pairs = [
        Duplicate(
            order[int(component[i])], names[i], names[j], line.share, line.matches, line.speed, line.offset
        )
        for i, j, line in found
    ]
    return sorted(pairs, key=lambda pair: (pair.group, pair.first, pair.second))


# Seeded edits, and what is found of them


def transcoded(
    signal: np.ndarray, rate: int, *, codec: str, kilobits: float = KILOBITS
) -> tuple[np.ndarray, float]:
    """The signal coded and decoded, (samples,), and the kbit/s that it really took.

    ``codec`` is "opus" (at the next of its rates) or "mp3" (constant, at 24 kHz at most, as encoders do at
    this bit rate). libsndfile takes a bit rate as a level from 0 to 1. ValueError for another codec.
    """
    import soundfile

    if codec not in ("opus", "mp3"):
        raise ValueError(f"codec is {codec!r}; it is 'opus' or 'mp3'")
    opus = codec == "opus"
    rates = (8_000, 12_000, 16_000, 24_000, 48_000) if opus else (16_000, 22_050, 24_000)
    most, least = OPUS_RANGE if opus else MP3_RANGE
    options = {"format": "OGG", "subtype": "OPUS"} if opus else {"format": "MP3", "bitrate_mode": "CONSTANT"}
    coding = next((r for r in rates if r >= rate), rates[-1])
    sent = signal if coding == rate else soxr.resample(signal, rate, coding)
    file = io.BytesIO()
    level = (most - kilobits) / (most - least)
    with soundfile.SoundFile(file, "w", coding, 1, compression_level=level, **options) as encoder:
        for start in range(0, len(sent), coding):  # by the second: encoders of libsndfile fail on long blocks
            encoder.write(sent[start : start + coding])
    real = 8e-3 * len(file.getvalue()) * coding / len(sent)
    file.seek(0)
    received, _ = soundfile.read(file)
    return received if coding == rate else soxr.resample(received, coding, rate), real


def edits(signal: np.ndarray, rate: int, *, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """What becomes of copies: the signal, (samples,), changed in each of ten ways, by name.

    Nine are fixed, and ``rng`` draws the last: a cut of up to 10 s at the start, a speed within 2.5 %, a
    level down to -12 dB, a low-pass at 4 kHz and Opus at 24 kbit/s, all at once. Cuts of 10 s are left out
    below 20 s, where they would leave less than they take. ValueError for a rate of 8 kHz or less, which
    has nothing above 4 kHz.
    """
    if rate <= 8_000:
        raise ValueError(f"rate is {rate} Hz; a low-pass at 4 kHz needs more than 8000")
    signal = np.asarray(signal, dtype=np.float64)
    ten = 10 * rate
    sections = scipy.signal.butter(4, 4_000, fs=rate, output="sos")

    def low_passed(sound: np.ndarray) -> np.ndarray:
        return scipy.signal.sosfiltfilt(sections, sound)

    def faster(sound: np.ndarray, speed: float) -> np.ndarray:
        return soxr.resample(sound, rate * speed, rate)

    changed = {
        "opus 24 kbit/s": transcoded(signal, rate, codec="opus")[0],
        "mp3 24 kbit/s": transcoded(signal, rate, codec="mp3")[0],
        "-12 dB": signal * 10 ** (-12 / 20),
        "low-pass 4 kHz": low_passed(signal),
        "1 % faster": faster(signal, 1.01),
        "2.5 % faster": faster(signal, 1.025),
        "2.5 % slower": faster(signal, 0.975),
    }
    if len(signal) >= 2 * ten:
        changed |= {"10 s off the start": signal[ten:], "10 s off the end": signal[:-ten]}
    cut = round(rng.uniform(0, min(ten, len(signal) / 2)))
    both = faster(signal[cut:], rng.uniform(0.975, 1.025)) * 10 ** (rng.uniform(-12, 0) / 20)
    changed["all at once"] = transcoded(low_passed(both), rate, codec="opus")[0]
    return changed


@dataclass(frozen=True)
class Score:
    """What is found of one kind of edit: copies that were found, of how many, and false pairs by name."""

    kind: str
    found: int
    copies: int
    false: tuple[tuple[str, str], ...]
    missed: tuple[str, ...]

    @property
    def recall(self) -> float:
        return self.found / self.copies

    @property
    def precision(self) -> float:
        """Of the pairs that were given, those that are true; NaN where none was."""
        given = self.found + len(self.false)
        return self.found / given if given else float("nan")


def score(
    originals: Mapping[str, Fingerprint],
    copies: Mapping[str, Mapping[str, Fingerprint]],
    *,
    related: Collection[frozenset[str]] = (),
    **thresholds: Any,
) -> list[Score]:
    """Recall and precision of ``find_duplicates`` on one collection a kind: all originals with all copies.

    Parameters
    ----------
    originals : mapping
        Fingerprints by name.
    copies : mapping
        By kind of edit, then by the name of the original.
    related : collection of pairs of names
        Originals that are known to be duplicates of each other: neither true nor false.
    thresholds
        Of ``find_duplicates``.
    """
    scores = []
    for kind, edited in copies.items():
        songs = {f"{name}\n": print_ for name, print_ in originals.items()}  # a name no copy has
        songs |= {f"{name}\n{kind}": print_ for name, print_ in edited.items()}
        pairs = [
            (pair.first.split("\n")[0], pair.second.split("\n")[0])
            for pair in find_duplicates(songs, **thresholds)
        ]
        true = {first for first, second in pairs if first == second}
        false = tuple(pair for pair in pairs if pair[0] != pair[1] and frozenset(pair) not in related)
        missed = tuple(sorted(set(edited) - true))
        scores.append(Score(kind, len(true), len(edited), false, missed))
    return scores


# Commands. Who wires them passes how tables are read.


def add_duplicates_arguments(parser: argparse.ArgumentParser) -> None:
    """--share of ``songs duplicates``."""
    parser.add_argument(
        "--share",
        type=number_above(0, most=1),
        default=LEAST_SHARE,
        help="of the moments in their overlap that two songs have in common, at least (default: %(default)s)",
    )


def duplicates(
    args: argparse.Namespace,
    *,
    read: Callable[[], Iterable[Mapping[str, Any]]],
    name_of: Callable[[str], str] = str,
    out: TextIO | None = None,
) -> int:
    """``songs duplicates``: a line a pair, tab-separated. ``read`` gives rows of ``fingerprint_song``.

    Names are written as ``terminal.cell`` says: a tab or a newline of theirs as an escape.
    """
    pairs = find_duplicates({row["song"]: from_row(row) for row in read()}, least_share=args.share)
    lines = []
    for p in pairs:
        numbers = f"{p.share:.2f}", f"{p.matches}", f"{p.speed:.4f}", f"{p.offset:z.2f}"
        lines.append((f"{p.group}", name_of(p.first), name_of(p.second), *numbers))
    say_rows([[field.name for field in fields(Duplicate)], *lines], out)
    return 0
