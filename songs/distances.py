"""Collections against each other: how far genres, artists or labels are, by the distance of ``metrics``.

Conventions
    set      all songs that share a genre (artist, label).
    song     the unit of value, test and interval: its samples are no draws of their own. Songs of one artist
             resemble each other: between genres the artist is the cautious unit.
    value    the distance of ``metrics.compare``, from samples of each song and not from all of it: memory
             grows with the songs, not with their length.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control

import metrics
from audio_distance.comparison import interval_text
from audio_distance.description import Sound
from audio_distance.errors import AudioError
from audio_distance.features import constants, describe_signal
from audio_distance.output import complain, say
from audio_distance.views import PARTS, RATE
from songs.labelled import artists_of_files
from songs.sampling import Settings, samples_of
from songs.stages import each_song
from songs.tables import DESCRIPTIONS, connect
from songs.terminal import number_above, whole_number

Row = dict[str, Any]

BY = ("genre", "artist", "label")
UNITS = ("song", "artist")
LEAST_SONGS = 5  # of a set; a distance from fewer says little, and their number is said
DESCRIBED = Settings(RATE, count=10, seconds=3.0)  # 30 windows a song


@dataclass(frozen=True)
class Pair:
    """Two sets and what ``metrics.compare`` found.

    ``q``: the share of chance findings among all pairs with a q up to this one (Benjamini and Hochberg 1995).
    """

    one: str
    other: str
    comparison: metrics.Comparison
    q: float


@dataclass(frozen=True)
class Distances:
    """Every pair of sets, the sets' numbers of songs, and what was left out (set, songs)."""

    songs: dict[str, int]
    pairs: tuple[Pair, ...]
    left_out: tuple[tuple[str, int], ...]

    def matrix(self) -> NDArray[np.float64]:
        """(sets, sets) values, in the order of ``songs``; 0 on the diagonal."""
        names = list(self.songs)
        values = np.zeros((len(names), len(names)))
        for pair in self.pairs:
            i, j = names.index(pair.one), names.index(pair.other)
            values[i, j] = values[j, i] = pair.comparison.value
        return values


def description_rows(path: str, settings: Settings = DESCRIBED) -> list[Row]:
    """What the distance needs of a song, a row a sample: its windows, level and content.

    Samples in which nothing sounds (a pause, a fade) are left out; of a song with no other there is an error.
    """
    rows, silent = [], ""
    for sample in samples_of(path, settings):
        try:
            described = describe_signal(sample.signal, sample.rate, bandwidth_rate=settings.rate)
        except AudioError as error:
            silent = str(error)
            continue
        rows.append(
            {
                "song": sample.content,
                "sample": sample.index,
                "start_seconds": sample.start,
                "seconds": sample.seconds,
                "rate": sample.rate,
                "level_db": described.level_db,
                "sounding_seconds": described.sounding_seconds,
                "recipe": constants()[1],
                "vectors": described.vectors.astype("<f4").tobytes(),
            }
        )
    if not rows:
        raise AudioError(f"no sample of it can be described; the last: {silent}")
    return rows


def settings_of_rows(settings: Settings) -> str:
    """The settings of the table: the samples, and the recipe that describes them."""
    return f"{constants()[1]}-{settings.digest}"


def descriptions(tables: Path, *, by: str, settings: Settings = DESCRIBED) -> Iterator[tuple[str, Any]]:
    """The sets of the collection, described: name and ``metrics.Description``, in order of their names.

    The sounds are called CONTENT/SAMPLE, so that ``groups="folder"`` makes the song the unit.
    """
    if by not in BY:
        raise ValueError(f"by: {by!r} is none of {', '.join(BY)}")
    with connect(tables, only=("files", "descriptions")) as connection:
        names = connection.execute(
            f"select distinct {by} from songs where {by} is not null order by 1"
        ).fetchall()
        for (name,) in names:
            rows = connection.execute(
                "select song, sample, d.rate, d.seconds, sounding_seconds, level_db, recipe, vectors "
                "from descriptions d "
                f"join songs on content = song where {by} = ? and settings = ? and error is null "
                "order by song, sample",
                [name, settings_of_rows(settings)],
            ).fetchall()
            if rows:
                yield name, _description(name, rows, settings.rate)


def _description(name: str, rows: Sequence[tuple], bandwidth_rate: int) -> metrics.Description:
    sounds = tuple(
        Sound(f"{song}/{sample:04d}", f"{song}/{sample}", rate, seconds, sounding, level, _vectors(data))
        for song, sample, rate, seconds, sounding, level, _, data in rows
    )
    (recipe,) = {row[6] for row in rows}
    return metrics.Description(name, bandwidth_rate, recipe, (), sounds)


def _vectors(data: bytes) -> NDArray[np.float32]:
    return np.frombuffer(data, "<f4").reshape(-1, sum(PARTS.values())).astype(np.float32)


def songs_of(described: metrics.Description) -> tuple[str, ...]:
    """The contents of its songs, each once, sorted."""
    return tuple(sorted({sound.name.partition("/")[0] for sound in described.sounds}))


def only(described: metrics.Description, songs: Sequence[str]) -> metrics.Description:
    """The part of a set that consists of these songs."""
    kept = set(songs)
    return replace(described, sounds=tuple(s for s in described.sounds if s.name.partition("/")[0] in kept))


def between(
    sets: Mapping[str, metrics.Description],
    artists: Mapping[str, str] | None = None,
    *,
    least: int = LEAST_SONGS,
    permutations: int = 999,
    seed: int = 0,
) -> Distances:
    """Every set against every other.

    Parameters
    ----------
    sets : name -> Description, of ``descriptions``
    artists : song -> artist, optional
        Makes the artist the unit; a song without one is its own.
    least : int
        Sets of fewer units are left out, and named.
    permutations, seed
        Of ``metrics.compare``.

    Raises
    ------
    AudioError
        Fewer than two sets have enough songs.
    """

    def unit(name: str) -> str:
        song = name.partition("/")[0]
        return (artists or {}).get(song, song)

    sizes = {name: len({unit(sound.name) for sound in one.sounds}) for name, one in sets.items()}
    large = [name for name in sets if sizes[name] >= least]
    if len(large) < 2:
        raise AudioError(
            f"{len(large)} of {len(sets)} sets have {least} or more songs (artists, if they are the unit), "
            f"and 2 are needed: {', '.join(f'{name} {size}' for name, size in sizes.items()) or 'none'}; "
            "likely files without tags: see index --labels, or lower --least"
        )
    pairs = list(combinations(large, 2))
    found = [
        metrics.compare(sets[one], sets[other], groups=unit, permutations=permutations, seed=seed)
        for one, other in pairs
    ]
    q = false_discovery_control([result.p_value for result in found])
    return Distances(
        {name: len(songs_of(sets[name])) for name in large},
        tuple(Pair(*pair, result, float(q)) for pair, result, q in zip(pairs, found, q, strict=True)),
        tuple((name, size) for name, size in sizes.items() if name not in large),
    )


def map_of(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """A plane on which the sets lie about as far apart as they are.

    Parameters
    ----------
    values : (sets, sets) of ``Distances.matrix``
        An energy distance is a squared distance of points (Szekely and Rizzo 2013), so that classical scaling
        of their roots is exact in enough dimensions; values below zero are taken for zero.

    Returns
    -------
    Positions, (sets, 2), and the share of the squared distances that the plane shows.
    """
    # Not scikit-learn's ClassicalMDS, which takes roots of eigenvalues that rounding leaves below zero.
    centring = np.eye(len(values)) - 1 / len(values)
    roots, axes = np.linalg.eigh(-0.5 * centring @ np.clip(values, 0, None) @ centring)
    roots, axes = np.clip(roots[::-1], 0, None), axes[:, ::-1]
    plane = axes[:, :2] * np.sqrt(roots[:2])
    # An axis has no direction of its own: its coordinate of largest size is made positive.
    plane *= np.where(plane[np.abs(plane).argmax(axis=0), [0, 1]] < 0, -1, 1)
    return plane, float(roots[:2].sum() / max(roots.sum(), 1e-12))


@dataclass(frozen=True)
class Stability:
    """What the value of two sets does with fewer songs of each: (draws,) values for each number of songs."""

    values: dict[int, NDArray[np.float64]]
    whole: float  # from all songs

    def needed(self, *, within: float = 0.25, share: float = 0.95) -> int | None:
        """The least number of songs with which ``share`` of the draws lie ``within`` of the value from all.

        None if no number that was tried suffices. Draws from a finite collection overlap, so that numbers
        near its size look steadier than they are.
        """
        for songs, values in sorted(self.values.items()):
            if np.mean(np.abs(values - self.whole) <= within * abs(self.whole)) >= share:
                return songs
        return None


def stability(
    reference: metrics.Description,
    candidate: metrics.Description,
    *,
    numbers: Sequence[int] = (3, 5, 8, 12, 20, 30, 50, 80),
    draws: int = 100,
    seed: int = 0,
) -> Stability:
    """The value from few songs of each set, drawn without replacement, again and again.

    Numbers beyond two thirds of the smaller set are not tried: such draws are nearly the whole.
    """
    rng = np.random.default_rng(seed)
    songs = [songs_of(one) for one in (reference, candidate)]

    def value(parts: Sequence[metrics.Description]) -> float:
        return metrics.distance(*parts, groups="folder")

    possible = [n for n in numbers if n <= 2 * min(map(len, songs)) / 3]
    values = {
        n: np.array(
            [
                value(
                    [
                        only(one, rng.choice(names, n, replace=False))
                        for one, names in zip((reference, candidate), songs, strict=True)
                    ]
                )
                for _ in range(draws)
            ]
        )
        for n in possible
    }
    return Stability(values, value((reference, candidate)))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``songs distances``."""
    parser.add_argument("--by", choices=BY, default="genre", help="what makes a set, default genre")
    parser.add_argument(
        "--unit", choices=UNITS, default="song", help="of test and interval; artist is the cautious choice"
    )
    parser.add_argument(
        "--least",
        type=whole_number(2),
        default=LEAST_SONGS,
        metavar="N",
        help=f"units of a set, default {LEAST_SONGS}",
    )
    parser.add_argument("--permutations", type=whole_number(99), default=999, metavar="N", help="default 999")
    parser.add_argument("--seed", type=whole_number(0), default=0, metavar="N", help="default 0")
    parser.add_argument(
        "--count", type=whole_number(1), default=DESCRIBED.count, metavar="N", help="samples a song"
    )
    parser.add_argument(
        "--seconds", type=number_above(0), default=DESCRIBED.seconds, metavar="S", help="of a sample"
    )


def main(arguments: argparse.Namespace, **engine: Any) -> int:
    """``songs distances``: describes what is not described yet, and prints a row a pair."""
    settings = Settings(RATE, count=arguments.count, seconds=arguments.seconds)
    stage = each_song(
        DESCRIPTIONS,
        partial(description_rows, settings=settings),
        arguments.tables,
        settings=settings_of_rows(settings),
        **engine,
    )
    for path, reason in stage.faults:
        complain(f"{path}: {reason}")
    sets = dict(descriptions(arguments.tables, by=arguments.by, settings=settings))
    artists = artists_of(arguments.tables) if arguments.unit == "artist" else None
    found = between(
        sets, artists, least=arguments.least, permutations=arguments.permutations, seed=arguments.seed
    )
    say(table_of(found))
    for name, size in found.left_out:
        complain(f"left out: {name}, {size} {arguments.unit}(s), and --least is {arguments.least}")
    return 1 if stage.faults else 0


def table_of(found: Distances) -> str:
    """The pairs as a table of text, from near to far."""
    pairs = sorted(found.pairs, key=lambda pair: pair.comparison.value)
    width = max(len(f"{pair.one} / {pair.other}") for pair in pairs)
    lines = [f"{'':{width}}  distance  95 % interval     p      q"]
    for pair in pairs:
        result = pair.comparison
        lines.append(
            f"{f'{pair.one} / {pair.other}':{width}}  {result.value:+8.3f}  "
            f"{interval_text(result.interval):15}  {result.p_value:<6.3g} {pair.q:.3g}"
        )
    sizes = ", ".join(f"{name} {songs}" for name, songs in found.songs.items())
    return "\n".join([*lines, f"songs: {sizes}"])


def artists_of(tables: Path) -> dict[str, str]:
    """song -> what must not be divided, as learning has it; of the songs of which it is known."""
    with connect(tables, only=("files",)) as connection:
        songs = connection.sql("select * from songs").df()
    artists, ranks = artists_of_files(songs)
    return {song: name for song, name, rank in zip(songs["content"], artists, ranks, strict=True) if rank < 2}
