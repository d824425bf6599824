"""Songs that are near each other: the nearest by what is measured of them, and copies that were changed.

Conventions
    song        the sha256 of its file's bytes. Files of equal bytes are one song, and the index's business:
                here two songs always differ in their bytes.
    similar     by features, (songs, d): standardised by median and interquartile range, so that no outlier
                sets a scale; the distance is the root mean square over the d features.
    duplicate   the same recording: transcoded, cut, made louder or softer, filtered, played faster or slower
                by up to 3.5 %, or another edition of it. Another performance of a tune is none, nor are
                songs that share a loop or instruments. See ``fingerprint``.
    rows        do not depend on the order of the songs: all is sorted by content.

    >>> find_duplicates({row["song"]: from_row(row) for row in rows})          # rows of fingerprint_song
    >>> nearest(features, query, k=10, songs=songs, columns=columns)

A song needs 7 s or so: five anchors, none within 1.5 s of an end. What shares only a passage with another
song (a jingle in a mix, a medley) is a duplicate where the passage is most of their overlap, else none.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TextIO

import numpy as np
import scipy.signal
import soxr

from songs.fingerprint import Fingerprint, align, candidates, fingerprint, fingerprint_song, from_row

__all__ = [
    "Duplicate",
    "Features",
    "Neighbour",
    "Score",
    "edits",
    "find_duplicates",
    "fingerprint",
    "fingerprint_song",
    "from_row",
    "nearest",
    "score",
    "transcoded",
]

LEAST_MATCHES = 5  # anchors; a chance line of fewer is common among thousands of songs
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

    Raises ValueError for a share outside 0 to 1, and for fewer than 2 matches: any two points lie on a line.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not 0.0 < least_share <= 1.0:
        raise ValueError(f"least_share is {least_share}; it is above 0, and 1 at most")
    if least_matches < 2:
        raise ValueError(f"least_matches is {least_matches}; at least 2 are needed: any two lie on a line")
    names = sorted(songs)
    found = []
    for i, j in candidates([songs[name] for name in names]):
        line = align(songs[names[i]], songs[names[j]])
        if line.share >= least_share and line.matches >= least_matches:
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


# Neighbours


@dataclass(frozen=True)
class Features:
    """What is known of a collection for ``similar``: one row a song.

    Attributes
    ----------
    songs : sequence of str
        Content of each.
    names : sequence of str
        What to call each, such as its path.
    artists : sequence of str
        Of each, "" where unknown.
    columns : sequence of str
        Names of the d features, with their units.
    vectors : (songs, d)
        Such as mean and standard deviation over the samples of a song.
    """

    songs: Sequence[str]
    names: Sequence[str]
    artists: Sequence[str]
    columns: Sequence[str]
    vectors: np.ndarray


@dataclass(frozen=True)
class Neighbour:
    """A song near another, its distance in spreads of the collection, and the distance in words."""

    song: str
    distance: float
    reasons: str


def nearest(
    vectors: np.ndarray,
    query: np.ndarray,
    *,
    k: int,
    songs: Sequence[str],
    columns: Sequence[str],
    exclude: Collection[str] = (),
) -> list[Neighbour]:
    """The k songs nearest to ``query``, nearest first, of equal distance by content; fewer if there are less.

    Parameters
    ----------
    vectors : (songs, d)
        One row a song, in any order.
    query : (d,)
        The same features of the song that is asked about.
    k : int
        1 or more.
    songs, columns : sequences of str
        Content of each row; name of each feature, for the words.
    exclude : collection of str
        Songs to leave out: itself, and those of its artist, whom nearest neighbours otherwise find by the
        sound of the album (Flexer and Schnitzer, Computer Music Journal 34(3), 2010).

    A feature is divided by its interquartile range over the collection, brought to the scale of a standard
    deviation; one that has none is left out, and none counts with more than 10. Exact search, by faiss.
    Raises ValueError for shapes that do not fit, a song that is there twice, numbers that are not finite
    (named by song and feature), a k below 1, and features of which none varies.
    """
    import faiss

    vectors, query = np.asarray(vectors, dtype=np.float64), np.asarray(query, dtype=np.float64)
    if vectors.shape != (len(songs), len(columns)) or query.shape != (len(columns),):
        raise ValueError(
            f"vectors are {vectors.shape} and query {query.shape} for {len(songs)} songs and "
            f"{len(columns)} features"
        )
    if k < 1:
        raise ValueError(f"k is {k}; at least 1 is needed")
    if len(set(songs)) < len(songs):
        twice = next(song for song in songs if list(songs).count(song) > 1)
        raise ValueError(f"song {twice} is there twice; equal content is one song")
    for i, bad in np.argwhere(~np.isfinite(np.vstack([vectors, query])))[:1].tolist():
        name, value = ("asked about", query[bad]) if i == len(songs) else (songs[i], vectors[i, bad])
        raise ValueError(f"song {name}: {columns[bad]} is {value}; likely a sample without sound")
    kept = [i for i in np.argsort(np.asarray(songs, dtype=object)) if songs[i] not in set(exclude)]
    if not kept:
        return []
    low, middle, high = np.percentile(vectors, [25, 50, 75], axis=0)
    spread = (high - low) / 1.349  # a standard deviation, of a normal distribution
    varies = spread > 1e-9 * np.maximum(1.0, np.abs(middle))
    if not varies.any():
        raise ValueError(f"none of {len(columns)} features varies over {len(songs)} songs; nothing is near")
    scaled = np.clip((vectors[kept] - query)[:, varies] / spread[varies], -10.0, 10.0)
    # About the query at 0, so that float32 is exact where it matters: next to it.
    index = faiss.IndexFlatL2(scaled.shape[1])
    index.add(scaled.astype(np.float32))
    asked = min(k + 8, len(kept))
    while True:  # further until the last is plainly behind the k-th: those between are tied, in float32
        squares, near = index.search(np.zeros((1, scaled.shape[1]), np.float32), asked)
        if asked == len(kept) or squares[0, -1] > squares[0, k - 1] * (1 + 1e-4):
            break
        asked = min(2 * asked, len(kept))
    distances = np.sqrt(np.mean(scaled[near[0]] ** 2, axis=1))
    named = [name for name, there in zip(columns, varies, strict=True) if there]
    best = sorted(zip(distances.tolist(), (songs[kept[i]] for i in near[0]), near[0].tolist(), strict=True))
    return [Neighbour(song, distance, _in_words(scaled[i], named)) for distance, song, i in best[:k]]


def _in_words(differences: np.ndarray, columns: Sequence[str], *, most: int = 3) -> str:
    """Where the distance comes from: the largest differences, those below half a spread left out."""
    order = np.argsort(-np.abs(differences), kind="stable")[:most]
    parts = [
        f"{columns[i]} {abs(differences[i]):.1f} spreads {'higher' if differences[i] > 0 else 'lower'}"
        for i in order
        if abs(differences[i]) >= 0.5
    ]
    return ", ".join(parts) or "every feature within half a spread"


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


def add_similar_arguments(parser: argparse.ArgumentParser) -> None:
    """FILE, --k, --other-artists of ``songs similar``."""
    parser.add_argument("file", metavar="FILE", help="the song that is asked about")
    parser.add_argument("--k", type=int, default=10, metavar="K", help="songs to name (default: %(default)s)")
    parser.add_argument(
        "--other-artists", action="store_true", help="leave out songs of its artist, who are often the album"
    )


def similar(
    args: argparse.Namespace,
    *,
    read: Callable[[], Features],
    content_of: Callable[[str], str],
    out: TextIO | None = None,
) -> int:
    """``songs similar``: distance, name and words of each, a line a song; 1 if the song has no features.

    ``read`` gives the features of the collection, ``content_of`` the content of a file.
    """
    table, song = read(), content_of(args.file)
    if song not in table.songs:
        print(f"{args.file}: no features of song {song[:12]}; run: songs features", file=sys.stderr)
        return 1
    row = list(table.songs).index(song)
    artist = table.artists[row]
    exclude = {song}
    if args.other_artists and artist:
        exclude |= {s for s, a in zip(table.songs, table.artists, strict=True) if a == artist}
    found = nearest(
        table.vectors, table.vectors[row], k=args.k, songs=table.songs, columns=table.columns, exclude=exclude
    )
    names = dict(zip(table.songs, table.names, strict=True))
    lines = ((f"{n.distance:.2f}", names[n.song], n.reasons) for n in found)
    return _print(("distance", "name", "differs"), lines, out)


def add_duplicates_arguments(parser: argparse.ArgumentParser) -> None:
    """--share of ``songs duplicates``."""
    parser.add_argument(
        "--share",
        type=float,
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
    """``songs duplicates``: a line a pair, tab-separated. ``read`` gives rows of ``fingerprint_song``."""
    pairs = find_duplicates({row["song"]: from_row(row) for row in read()}, least_share=args.share)
    lines = []
    for p in pairs:
        numbers = f"{p.share:.2f}", f"{p.matches}", f"{p.speed:.4f}", f"{p.offset:.2f}"
        lines.append((f"{p.group}", name_of(p.first), name_of(p.second), *numbers))
    return _print([field.name for field in fields(Duplicate)], lines, out)


def _print(header: Iterable[str], lines: Iterable[Iterable[str]], out: TextIO | None) -> int:
    for line in [header, *lines]:
        print("\t".join(line), file=out)
    return 0
