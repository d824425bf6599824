"""Songs that are near each other, by what is measured of them.

Conventions
    song        the sha256 of its file's bytes.
    features    (songs, d): standardised by median and interquartile range, so that no outlier sets a scale.
                NaN: what a song has not, such as the tempo of two seconds; infinity is refused.
    distance    of two songs: root mean square over the features that both have. Rows do not depend on the
                order.
    spread      of a feature over the collection: a standard deviation, as its interquartile range tells it.

    >>> nearest(features, query, k=10, songs=songs, columns=columns)
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from audio_distance.errors import AudioError
from songs.terminal import say_rows, whole_number

MOST = 10.0  # spreads, as which a feature counts at most
AT_ONCE = 1_024  # songs whose differences are held: 4 MB of 500 features
TOLD = 3  # groups of features in words
# What groups of features are called, by how the names of their columns begin; the longest that fits.
WORDS = {
    "level": "level",
    "log_mel": "loudness by band (log mel)",
    "mfcc": "timbre (MFCC)",
    "mfcc_delta": "change of timbre (slope of MFCC)",
    "chroma": "harmony (chroma)",
    "contrast": "peaks over valleys (spectral contrast)",
    "flux": "onsets (spectral flux)",
    "centroid": "brightness (centroid)",
    "rolloff": "brightness (roll-off)",
    "peak": "loudest frequency (peak)",
    "zero_crossings": "zero crossings",
    "tempo": "tempo",
    "tempo_strength": "strength of the beat",
    "key_strength": "clearness of the key",
    "low_share": "bass (share below 150 Hz)",
    "harmonic": "harmonic over percussive",
    "views": "views of the distance",
}


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
        Such as mean and standard deviation over the samples of a song; NaN: what a song has not.
    """

    songs: Sequence[str]
    names: Sequence[str]
    artists: Sequence[str]
    columns: Sequence[str]
    vectors: np.ndarray


@dataclass(frozen=True)
class Neighbour:
    """A song near another, its distance in spreads of the collection, and the distance in words.

    The distance is infinite of a song that has no feature in common with the one that is asked about.
    """

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
    names: Sequence[str] | None = None,
    exclude: Collection[str] = (),
) -> list[Neighbour]:
    """The k songs nearest to ``query``, nearest first, of equal distance by content; fewer if there are less.

    Parameters
    ----------
    vectors : (songs, d)
        One row a song, in any order; NaN where a song has not a feature.
    query : (d,)
        The same features of the song that is asked about.
    k : int
        1 or more.
    songs, columns : sequences of str
        Content of each row; name of each feature, for the words.
    names : sequence of str, optional
        What errors call each song, such as its path; by default its content.
    exclude : collection of str
        Songs to leave out: itself, and those of its artist, whom nearest neighbours otherwise find by the
        sound of the album (Flexer and Schnitzer, Computer Music Journal 34(3), 2010).

    Raises
    ------
    ValueError
        Shapes that do not fit, a song that is there twice, an infinite number (named by song and feature), a
        k below 1, and features of which none varies.

    Notes
    -----
    A feature is divided by its interquartile range over the songs that have it, brought to the scale of a
    standard deviation; one that has none is left out, and none counts with more than 10 spreads. A feature
    that either of two songs lacks does not count for the two; with none left, the song comes last. Exact:
    every song is compared, 10,000 of 500 features in a fraction of a second.
    """
    vectors, query = np.asarray(vectors, dtype=np.float64), np.asarray(query, dtype=np.float64)
    names = songs if names is None else names
    _check(vectors, query, k, songs, columns, names)
    left_out = set(exclude)
    kept = np.array([i for i in np.argsort(np.asarray(songs, dtype=object)) if songs[i] not in left_out])
    if not len(kept):
        return []
    spread = _spreads(vectors)
    varies = np.flatnonzero(spread > 0)
    if not len(varies):
        raise ValueError(f"none of {len(columns)} features varies over {len(songs)} songs; nothing is near")

    def differences(rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """In spreads, (rows, varying features)."""
        return (vectors[np.ix_(rows, varies)] - query[varies]) / spread[varies]

    blocks = np.split(kept, range(AT_ONCE, len(kept), AT_ONCE))
    distances = np.concatenate([_root_mean_squares(differences(block)) for block in blocks])
    best = np.argsort(distances, kind="stable")[:k]  # ``kept`` is sorted: of equal distance by content
    words = _in_words(differences(kept[best]), [columns[i] for i in varies])
    return [
        Neighbour(songs[i], float(distance), reasons)
        for i, distance, reasons in zip(kept[best], distances[best], words, strict=True)
    ]


def _check(
    vectors: NDArray[np.float64],
    query: NDArray[np.float64],
    k: int,
    songs: Sequence[str],
    columns: Sequence[str],
    names: Sequence[str],
) -> None:
    """ValueError as ``nearest`` says."""
    if vectors.shape != (len(songs), len(columns)) or query.shape != (len(columns),):
        raise ValueError(
            f"vectors are {vectors.shape} and query {query.shape} for {len(songs)} songs and "
            f"{len(columns)} features"
        )
    if len(names) != len(songs):
        raise ValueError(f"{len(names)} names for {len(songs)} songs")
    if k < 1:
        raise ValueError(f"k is {k}; at least 1 is needed")
    if len(set(songs)) < len(songs):
        twice = next(i for i, song in enumerate(songs) if song in songs[:i])
        raise ValueError(f"song {names[twice]} is there twice; equal content is one song")
    for numbers, called in ((vectors, names), (query[None], ["asked about"])):
        for row, column in np.argwhere(np.isinf(numbers))[:1]:
            raise ValueError(
                f"song {called[row]}: {columns[column]} is {numbers[row, column]}; likely a fault of the "
                "step before: what a song has not is NaN"
            )


def _spreads(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each feature, (d,): the standard deviation of a normal distribution with its quartiles, or 0."""
    spread = np.zeros(vectors.shape[1])
    whole = ~np.isnan(vectors).any(axis=0)
    for chosen, percentile in (
        (whole, np.percentile),
        (~whole & ~np.isnan(vectors).all(axis=0), np.nanpercentile),  # which takes ten times as long
    ):
        if chosen.any():
            low, middle, high = percentile(vectors[:, chosen], [25, 50, 75], axis=0)
            wide = (high - low) / 1.349
            spread[chosen] = np.where(wide > 1e-9 * np.maximum(1.0, np.abs(middle)), wide, 0.0)
    return spread


def _root_mean_squares(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """(rows, d) -> (rows,): of those that are no NaN, each 10 at most; infinity where all are NaN."""
    squares = np.square(np.clip(differences, -MOST, MOST))
    common = np.count_nonzero(~np.isnan(squares), axis=1)
    sums = np.nansum(squares, axis=1)
    return np.sqrt(np.divide(sums, common, out=np.full(len(sums), math.inf), where=common > 0))


def words_for(column: str) -> str:
    """What the group of a feature is called, by the name of its column: "mfcc_mean_db_3, mean" is timbre."""
    name = column.removeprefix("song_")
    fitting = [start for start in WORDS if re.match(rf"{start}(?![a-z])", name)]
    return WORDS[max(fitting, key=len)] if fitting else re.sub(r"(_\d+)?(, \w+)?$", "", column)


def _in_words(differences: NDArray[np.float64], columns: Sequence[str]) -> Iterator[str]:
    """Where each distance comes from, (rows, d) in spreads: the groups with the largest shares of its square.

    Of a group that is one thing, as the tempo, its first difference is told too: as it is, and not as it
    counts. Of many, as mel bands, there is no one way.
    """
    groups = list(dict.fromkeys(map(words_for, columns)))
    group = np.array([groups.index(words_for(column)) for column in columns])
    first: dict[int, int] = {}
    for i, column in enumerate(columns):
        if not re.search(r"_\d+(, \w+)?$|, spread$", column):
            first.setdefault(int(group[i]), i)
    for row in differences:
        has = ~np.isnan(row)
        lacking = [groups[g] for g in np.unique(group[~has])]
        if not has.any():
            yield "no feature that both have"
            continue
        squares = np.square(np.clip(row[has], -MOST, MOST))
        shares = np.bincount(group[has], squares, len(groups)) / max(squares.sum(), 1e-300)
        told = []
        for g in np.argsort(-shares, kind="stable")[:TOLD]:
            if shares[g] >= 0.005:  # what would read 0 % is no reason
                difference = _difference(row[first[g]]) if g in first else ""
                told.append(f"{groups[g]} {100 * shares[g]:.0f} %{difference}")
        text = ", ".join(told) if np.abs(row[has]).max() >= 0.5 else "every feature within half a spread"
        yield text + (f"; not compared: {', '.join(lacking)}" if lacking else "")


def _difference(difference: float) -> str:
    """How far and which way; "" below half a spread, and where either song lacks the feature."""
    if not abs(difference) >= 0.5:
        return ""
    return f" ({abs(difference):.1f} spreads {'higher' if difference > 0 else 'lower'})"


def add_similar_arguments(parser: argparse.ArgumentParser) -> None:
    """FILE, --k, --other-artists of ``songs similar``."""
    parser.add_argument("file", metavar="FILE", help="the song that is asked about, or its address")
    parser.add_argument(
        "--k", type=whole_number(1), default=10, metavar="K", help="songs to name (default: %(default)s)"
    )
    parser.add_argument(
        "--other-artists", action="store_true", help="leave out songs of its artist, who are often the album"
    )


def similar(
    args: argparse.Namespace,
    table: Features,
    *,
    asked: Callable[[str], tuple[str, np.ndarray]],
    out: TextIO | None = None,
) -> int:
    """``songs similar``: distance, name and words of each, a line a song.

    ``asked`` gives the content of a file and its features: it need not be one of the collection. Names are
    written as ``terminal.cell`` says. AudioError, which names the file, where it cannot be read or compared.
    """
    try:
        song, vector = asked(args.file)
        artist = table.artists[list(table.songs).index(song)] if song in table.songs else ""
        exclude = {song}
        if args.other_artists and artist:
            exclude |= {s for s, a in zip(table.songs, table.artists, strict=True) if a == artist}
        found = nearest(
            table.vectors,
            vector,
            k=args.k,
            songs=table.songs,
            columns=table.columns,
            names=table.names,
            exclude=exclude,
        )
    except ValueError as error:
        raise AudioError(f"{args.file}: {error}") from None
    names = dict(zip(table.songs, table.names, strict=True))
    rows = [(f"{near.distance:.2f}", names[near.song], near.reasons) for near in found]
    say_rows([("distance", "name", "differs"), *rows], out)
    return 0
