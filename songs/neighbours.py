"""Songs that are near each other, by what is measured of them.

Conventions
    song        the sha256 of its file's bytes.
    features    (songs, d): standardised by median and interquartile range, so that no outlier sets a scale;
                the distance is the root mean square over the d features. Rows do not depend on the order.

    >>> nearest(features, query, k=10, songs=songs, columns=columns)
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TextIO

import numpy as np


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


def add_similar_arguments(parser: argparse.ArgumentParser) -> None:
    """FILE, --k, --other-artists of ``songs similar``."""
    parser.add_argument("file", metavar="FILE", help="the song that is asked about")
    parser.add_argument("--k", type=int, default=10, metavar="K", help="songs to name (default: %(default)s)")
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

    ``asked`` gives the content of a file and its features: it need not be one of the collection.
    """
    song, vector = asked(args.file)
    artist = table.artists[list(table.songs).index(song)] if song in table.songs else ""
    exclude = {song}
    if args.other_artists and artist:
        exclude |= {s for s, a in zip(table.songs, table.artists, strict=True) if a == artist}
    found = nearest(
        table.vectors, vector, k=args.k, songs=table.songs, columns=table.columns, exclude=exclude
    )
    names = dict(zip(table.songs, table.names, strict=True))
    for cells in (
        ("distance", "name", "differs"),
        *((f"{n.distance:.2f}", names[n.song], n.reasons) for n in found),
    ):
        print("\t".join(cells), file=out)
    return 0
