"""Where two fingerprints agree: the line that a copy follows, and how alike the songs are along it.

Conventions
    alignment     the straight line on which the anchors of two songs agree:
                  second t of the first is second offset + t / speed of the second.
    share         of the anchors in the overlap of two aligned songs, those that agree: 0 to 1.
    likeness      of the spectra where anchors agree, the speed undone in their pitch: the lower decile of
                  their cosines, -1 to 1.

The line, and not the vectors, tells copies from songs that share a loop or an instrument. Songs of one band
in one key can agree on a line as copies do (shares up to 1.0), though tune and tempo differ: one voice of
three is little of a vector, and what bears a speed of 2.5 % bears a tempo. The spectra tell these apart. A
recording played v times faster sounds 12 log2(v) semitones higher, which turns coefficient k of a spectrum
over 46 semitones by 2 pi k / 46 radians a semitone; a score that is played faster stays where it was. Of
one tempo, another tune shows at some of the anchors, hence the lower decile. What was cut off or put in
between does not count: there no anchors agree.

The least likeness of a copy was set on other rendered songs and 52 of packages (see ``duplicates``); then it
was measured once, on the 128 rendered songs of the report and all 106 of packages, in ten edits. Copies
found: 1280 of 1280 and 1057 of 1060, the three of one song. Wrong pairs: 2 and 0, at most one in 129 of an
edit, where the share alone gives 252 and 0.

What it cannot tell from a copy is a score that the same instruments play again less than 1.5 % faster or
slower, or without its drums (of 8 rendered songs 5 were copies; without the tune, of 16 one). What it takes
for none, though it is: a copy played faster at its old pitch, and a transcoded one of music with little from
262 Hz to 3.7 kHz, as the song that was missed, with 92 % of its power below.

Landmarks whose ratios do not change with speed are another way to copies played faster: quads of peaks
(Sonnleitner and Widmer, DAFx 2014), triplets (Six and Leman, Panako, ISMIR 2014).
They bear 20 % and more, which is not asked here; pairs of peaks (Wang, ISMIR 2003) bear noise, but no speed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from songs.fingerprint import DIMENSIONS, FINE_ORDERS, FINE_SEMITONES, Fingerprint

SIMILARITY = 0.8  # cosine at which two vectors may be the same moment
SPEEDS = 0.035  # how far speeds are searched to each side of 1
SPEED_STEP = 0.0025  # 0.1 s in 80 s to each side of the middle; the fit finds what lies between
TOLERANCE = 0.1  # s from the line, two frames
SHORTEST = 2.0  # s of agreeing anchors, below which a speed cannot be fitted
SONGS_AT_ONCE = 1_024  # in the index: 130 MB of songs of 4 minutes
QUERIES = 32  # vectors of a song that search the others


@dataclass(frozen=True)
class Alignment:
    """How a second song follows a first: second t of the first is second ``offset + t / speed`` of it.

    Attributes
    ----------
    matches : int
        Anchors that agree on the line.
    share : float
        Of the anchors in the overlap, 0 to 1.
    speed : float
        1.025: the second is the first, 2.5 % faster. 1.0 where nothing agrees.
    offset : float
        s; -10: the second has lost 10 s at the start.
    likeness : float
        Of the spectra at the matches, -1 to 1; 0.0 where nothing agrees.
    """

    matches: int
    share: float
    speed: float
    offset: float
    likeness: float


def align(first: Fingerprint, second: Fingerprint, *, similarity: float = SIMILARITY) -> Alignment:
    """The line on which most anchors of two songs agree: a Hough search over speeds, then least squares.

    Speeds within 3.5 % are found. An anchor may agree with several of the other song, as in loops, and
    counts once. Exchanging the songs gives the inverse line.
    """
    nothing = Alignment(0, 0.0, 1.0, 0.0, 0.0)
    if not len(first.anchors) or not len(second.anchors):
        return nothing
    one, other = first.anchors.astype(np.float64), second.anchors.astype(np.float64)
    rows, columns = np.nonzero(first.unit() @ second.unit().T >= similarity)
    if not len(rows):
        return nothing
    x, y = one[rows], other[columns]
    middle = np.median(x)  # offsets there do not depend on the slope
    x = x - middle
    steps = np.arange(-round(SPEEDS / SPEED_STEP), round(SPEEDS / SPEED_STEP) + 1)
    most, slope, offset = 0, 1.0, 0.0
    for step in sorted(steps, key=abs):  # of equal speeds the one next to 1
        rest = np.sort(y - x / (1.0 + step * SPEED_STEP))
        count = np.searchsorted(rest, rest + 2 * TOLERANCE, side="right") - np.arange(len(rest))
        best = int(np.argmax(count))
        if count[best] > most:
            most, slope = int(count[best]), 1.0 / (1.0 + step * SPEED_STEP)
            offset = float(np.median(rest[best : best + most]))
    for _ in range(4):  # the line of those that agree; of a long song its ends join step by step
        near = np.abs(y - slope * x - offset) <= TOLERANCE
        if not near.any() or np.ptp(x[near]) < SHORTEST:
            break
        fitted, fitted_offset = np.polyfit(x[near], y[near], 1)
        if not abs(1.0 / fitted - 1.0) <= SPEEDS + SPEED_STEP:
            break
        slope, offset = float(fitted), float(fitted_offset)
    near = np.abs(y - slope * x - offset) <= TOLERANCE
    matches = min(len(np.unique(rows[near])), len(np.unique(columns[near])))
    offset -= slope * middle
    inside = [
        np.sum((mapped >= ends[0] - TOLERANCE) & (mapped <= ends[-1] + TOLERANCE))
        for mapped, ends in ((slope * one + offset, other), ((other - offset) / slope, one))
    ]
    share = matches / max(1, matches, min(inside))
    likeness = _likeness(first.spectra[rows[near]], second.spectra[columns[near]], 1.0 / slope)
    return Alignment(matches, float(share), float(1.0 / slope), float(offset), likeness)


def _likeness(first: np.ndarray, second: np.ndarray, speed: float) -> float:
    """The lower decile of the cosines of spectra, row by row, the second turned back by its speed."""
    if not len(first):
        return 0.0
    real = len(FINE_ORDERS)
    one, other = (s[:, :real] + 1j * s[:, real:].astype(np.float64) for s in (first, second))
    other = other * np.exp(2j * np.pi / FINE_SEMITONES * FINE_ORDERS * 12 * math.log2(speed))
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return float(np.quantile(np.sum(one.conj() * other, axis=1).real / np.maximum(lengths, 1e-9), 0.1))


def candidates(
    songs: Sequence[Fingerprint], *, queries: int = QUERIES, similarity: float = SIMILARITY
) -> list[tuple[int, int]]:
    """Pairs (i, j), i < j, sorted, of which at least one of ``queries`` vectors lies near one of the other.

    Exact: faiss compares each query with every vector by its inner product, the vectors of 1,024 songs at a
    time, so that memory grows with the fingerprints (45 kB for 4 minutes) and the queries (12 kB) alone. The
    queries of a song are spread evenly over it: of a copy that shares a tenth of the song, three see it.
    """
    import faiss

    counts = [len(song.anchors) for song in songs]
    chosen = [np.unique(np.linspace(0, n - 1, min(n, queries)).round().astype(int)) for n in counts]
    asker = np.repeat(np.arange(len(songs)), [len(c) for c in chosen])
    asked = [song.unit()[c] for song, c in zip(songs, chosen, strict=True)]
    vectors = np.concatenate([np.empty((0, DIMENSIONS), np.float32), *asked])
    pairs: set[tuple[int, int]] = set()
    for first in range(0, len(songs), SONGS_AT_ONCE):
        index = faiss.IndexFlatIP(DIMENSIONS)
        for song in songs[first : first + SONGS_AT_ONCE]:
            index.add(song.unit())
        owner = first + np.repeat(np.arange(len(songs) - first), counts[first:])
        for start in range(0, len(vectors), 2_048):  # many queries are one BLAS product, few as many scans
            limits, _, found = index.range_search(vectors[start : start + 2_048], similarity)
            who = np.repeat(asker[start : start + 2_048], np.diff(limits.astype(np.int64)))
            both = np.stack([np.minimum(who, owner[found]), np.maximum(who, owner[found])], axis=1)
            pairs.update(map(tuple, np.unique(both[both[:, 0] != both[:, 1]], axis=0).tolist()))
    return sorted(pairs)
