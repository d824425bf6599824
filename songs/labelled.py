"""Labelled samples as arrays, and their division into folds.

Conventions
    sample     an excerpt of a song: one row of numbers. All samples of a song have its artist and its label.
    artist     who must never be on both sides of a division: the tag, else the album, else the song itself.
    fold       number of the fold that a sample is tested in, from 0; -1: only ever learned from.
    division   what is kept whole when samples are dealt to folds (``DIVISIONS``). Only by artist does a score
               tell how new music will be judged: samples of a song are alike, and so are songs of an artist.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

DIVISIONS = ("one split of samples", "samples", "songs", "artists")
TRIES = 20  # dealings, of each kind, before a division is given up
KEYS = ("song", "sample")  # columns of the table of features that are no feature


@dataclass(frozen=True, eq=False)
class Samples:
    """Labelled samples, in the order of their songs whatever order they came in: no result depends on it.

    Parameters
    ----------
    features : array (n, d)
        Float, finite; of any units, which the names tell.
    names : array (d,)
        Of the columns, each once: "tempo_bpm", or "mfcc_0" to "mfcc_19" for what was one vector.
    song, artist, label : arrays (n,)
        Content, artist and label of each sample, as text.

    Raises
    ------
    ValueError
        For shapes that do not fit, a number that is not finite, a name that is there twice, no samples, and
        a song with two artists or two labels.
    """

    features: np.ndarray
    names: np.ndarray
    song: np.ndarray
    artist: np.ndarray
    label: np.ndarray

    def __post_init__(self) -> None:
        texts = {name: np.asarray(getattr(self, name), dtype=str) for name in ("song", "artist", "label")}
        names, features = np.asarray(self.names, dtype=str), np.asarray(self.features)
        if features.dtype != np.float32:  # of which a collection of ten thousand songs has 300 MB
            features = features.astype(float)
        if features.ndim != 2 or features.shape[1] != len(names) or not features.size:
            raise ValueError(
                f"features have the shape {features.shape} with {len(names)} names; (n, names) is needed"
            )
        for name, column in texts.items():
            if column.shape != (len(features),):
                raise ValueError(f"{name} has the shape {column.shape}; {len(features)} samples need as many")
        _once(names)
        _finite(features, names, texts["song"])
        for name in ("artist", "label"):
            pairs = np.unique(np.stack([texts["song"], texts[name]]), axis=1)
            twice = np.flatnonzero(pairs[0, 1:] == pairs[0, :-1])
            if twice.size:
                song, (one, other) = pairs[0, twice[0]], pairs[1, twice[0] : twice[0] + 2]
                raise ValueError(f"song {song} has two values of {name}: {str(one)!r} and {str(other)!r}")
        order = sorted(range(len(features)), key=lambda i: (texts["song"][i], features[i].tobytes()))
        for name, value in {"features": features[order], "names": names}.items():
            object.__setattr__(self, name, value)
        for name, column in texts.items():
            object.__setattr__(self, name, column[order])

    def __len__(self) -> int:
        return len(self.features)

    @property
    def labels(self) -> tuple[str, ...]:
        """Sorted names of the labels."""
        return tuple(map(str, np.unique(self.label)))

    def part(self, chosen: np.ndarray) -> Samples:
        """The samples of a mask (n,), or of row numbers."""
        return Samples(
            self.features[chosen], self.names, self.song[chosen], self.artist[chosen], self.label[chosen]
        )

    def shuffled(self, seed: int) -> Samples:
        """The same songs with their labels dealt anew, by song: what is learned of them is chance."""
        songs, first, index = np.unique(self.song, return_index=True, return_inverse=True)
        dealt = np.random.default_rng(seed).permutation(self.label[first])
        return Samples(self.features, self.names, songs[index], self.artist, dealt[index])


def _once(names: np.ndarray) -> None:
    values, counts = np.unique(names, return_counts=True)
    if counts.max() > 1:
        raise ValueError(f"the feature {str(values[counts.argmax()])!r} is there {counts.max()} times")


def _finite(features: np.ndarray, names: np.ndarray, song: Sequence[str] | None = None) -> None:
    bad = ~np.isfinite(features)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        of_song = "" if song is None else f", first of song {song[row]}"
        raise ValueError(
            f"{bad.sum()} numbers are not finite, {bad[:, column].sum()} of them in "
            f"{str(names[column])!r}{of_song}: silence, or a feature that was not computed for every sample"
        )


def flattened(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of a table, (rows, d) float64, and their names, (d,): a list column gives name_0 to name_k.

    ``song`` and ``sample`` and columns of text are no numbers; a column without any value was not computed,
    and is left out.

    Raises
    ------
    ValueError
        For lists of unequal length in a column, and where no column has numbers.
    """
    columns, names = [], []
    for name in table.columns:
        cells = table[name]
        if name in KEYS or cells.isna().all():
            continue
        if pd.api.types.is_numeric_dtype(cells):  # truth values too
            columns.append(cells.to_numpy(float, na_value=np.nan)[:, None])
            names.append(name)
        elif isinstance(first := cells.dropna().iloc[0], list | tuple | np.ndarray):
            # A missing list is one of missing numbers, which is refused later, with its song.
            rows = [np.full(len(first), np.nan) if np.isscalar(c) or c is None else c for c in cells]
            if lengths := {len(row) for row in rows} - {len(first)}:
                raise ValueError(f"{name!r} has lists of {len(first)} and of {min(lengths)} numbers")
            columns.append(np.array([np.asarray(row, float) for row in rows]))
            names += [f"{name}_{i}" for i in range(len(first))]
    if not columns:
        raise ValueError(f"no column of numbers among {', '.join(map(str, table.columns)) or 'no columns'}")
    return np.concatenate(columns, axis=1), np.array(names)


def group_of(name: str) -> str:
    """What a column belongs to: "mfcc" for "mfcc_3", itself for "tempo_bpm"."""
    return re.sub(r"_\d+$", "", name)


def samples_from(songs: pd.DataFrame, features: pd.DataFrame) -> Samples:
    """Labelled samples of the two tables.

    Parameters
    ----------
    songs : DataFrame
        As ``attached``.
    features : DataFrame
        One row a sample: ``song`` (a content), ``sample``, and columns of numbers or of lists of numbers
        (``flattened``).

    Raises
    ------
    ValueError
        As ``attached``.
    """
    _columns(features, ("song",), "features")
    song = _text(features["song"])
    labelled = np.isin(song, labelled_songs(songs).index.to_numpy(str))
    numbers, names = flattened(features[labelled]) if labelled.any() else (np.empty((0, 0)), np.array([]))
    if strangers := set(song) - set(_text(songs["content"])):
        raise ValueError(f"features of {len(strangers)} songs that are not indexed: {min(strangers)}, ...")
    return attached(songs, numbers, names, song=song[labelled])


def attached(songs: pd.DataFrame, features: np.ndarray, names: np.ndarray, *, song: np.ndarray) -> Samples:
    """Labels and artists put to the samples of songs; samples of songs without a label are left out.

    Parameters
    ----------
    songs : DataFrame
        One row a file: ``content``, ``label``, and ``group``, ``artist`` and ``album`` if there are any.
        Copies of a content are one song. Songs without a label are left out.
    features, names, song : arrays (n, d), (d,), (n,)
        Of samples.

    Returns
    -------
    Samples
        "artist" is what must not be divided: the group, which a list may name, else the artist. They are
        compared without case and spaces around. An album stands in for a missing artist, and the content
        for both: a song whose artist nobody knows is an artist of its own (``unknown_artists``).

    Raises
    ------
    ValueError
        For missing columns, samples of a song that is not in ``songs``, copies with two labels, no labelled
        song with features, and as ``Samples``.
    """
    known = labelled_songs(songs)
    song = np.asarray(song, dtype=object)
    if strangers := set(song) - set(_text(songs["content"])):
        raise ValueError(f"features of {len(strangers)} songs that are not indexed: {min(strangers)}, ...")
    labelled = np.isin(song.astype(str), known.index.to_numpy(str))
    if not labelled.any():
        raise ValueError(f"none of {songs['content'].nunique()} songs has both a label and features")
    if not labelled.all():
        features, song = features[labelled], song[labelled]
    of_sample = known.loc[song]
    return Samples(features, names, song, of_sample["artist"].to_numpy(str), of_sample["label"].to_numpy(str))


def unknown_artists(songs: pd.DataFrame) -> int:
    """How many labelled songs name neither group nor artist nor album: each is taken for an artist."""
    return int((labelled_songs(songs)["rank"] == 2).sum())


def labelled_songs(songs: pd.DataFrame) -> pd.DataFrame:
    """Label, artist and where the artist is from, of each content that has a label, of its best tags.

    Raises
    ------
    ValueError
        For missing columns, and copies with two labels.
    """
    _columns(songs, ("content", "label"), "songs")
    content, (artist, rank) = _text(songs["content"]), artists_of_files(songs)
    known = pd.DataFrame({"label": _text(songs["label"]), "artist": artist, "rank": rank}, index=content)
    # Of copies, the one with the best tags.
    known = known[known["label"] != ""].sort_values(["rank", "artist"])
    labels = known.groupby(level=0)["label"].unique()
    for song, several in labels[labels.map(len) > 1].items():
        raise ValueError(f"copies of song {song} have the labels {', '.join(sorted(several))}")
    return known[~known.index.duplicated()]


def columns_as_samples(songs: pd.DataFrame, columns: Sequence[str]) -> Samples:
    """One sample a song of what its file is like, each value of each column a number 0 or 1.

    What these foretell of the label has nothing to do with the sound: where each label was collected from
    packages of its own, ``("codec", "rate")`` may give it away.
    """
    _columns(songs, ("content", *columns), "songs")
    table = pd.get_dummies(songs[list(columns)].fillna("unknown").astype(str), columns=list(columns))
    table["song"] = songs["content"].to_numpy()
    return samples_from(songs, table[~table["song"].duplicated()])


def _columns(table: pd.DataFrame, needed: Sequence[str], name: str) -> None:
    if missing := [column for column in needed if column not in table]:
        raise ValueError(f"the table {name} lacks {', '.join(missing)}; it has {', '.join(table.columns)}")


def _text(column: pd.Series) -> np.ndarray:
    """Values as text without spaces around; "" where there is none."""
    return np.array(["" if pd.isna(value) else str(value).strip() for value in column], dtype=object)


def artists_of_files(songs: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Artist of each row, and what it comes from: 0 its group or own tag, 1 the album, 2 the content.

    One rule for all that keeps artists whole: learning, and the distances between sets.
    """
    artist, rank = songs["content"].astype(str).to_numpy(object), np.full(len(songs), 2)
    for column, prefix, place in (("album", "album ", 1), ("artist", "", 0), ("group", "", 0)):
        if column in songs:
            tags = [unicodedata.normalize("NFKC", tag).casefold() for tag in _text(songs[column])]
            there = np.array(tags, dtype=object) != ""
            artist = np.where(there, [prefix + tag for tag in tags], artist)
            rank = np.where(there, place, rank)
    return artist, rank


def divide(samples: Samples, division: str, *, folds: int = 5, seed: int = 0) -> np.ndarray:
    """Fold of each sample, (n,).

    Parameters
    ----------
    samples : Samples
    division : str
        Of ``DIVISIONS``. "artists" is the honest one; "songs" lets a model know the artist, "samples" the
        song; "one split of samples" tests a fifth of the samples, once, and learns from the rest.
    folds : int
        Labels are spread over them as evenly as their groups allow.
    seed : int
        Of the shuffling.

    Raises
    ------
    ValueError
        For fewer than two labels, a label with fewer groups than folds, and where some side of some fold
        would lack a label: counts are named.
    """
    if division not in DIVISIONS:
        raise ValueError(f"unknown division {division!r}; of {', '.join(DIVISIONS)}")
    _enough(samples, division, folds)
    if division in DIVISIONS[:2]:
        parts = StratifiedKFold(folds, shuffle=True, random_state=seed)
        fold = np.empty(len(samples), int)
        for number, (_, test) in enumerate(parts.split(samples.features, samples.label)):
            fold[test] = number
        if division == "one split of samples":
            fold[fold > 0] = -1
        _both_sides(samples, fold)
        return fold
    songs, first, index = np.unique(samples.song, return_index=True, return_inverse=True)
    group, label = (songs if division == "songs" else samples.artist[first]), samples.label[first]
    for of_song in _dealt(label, group, folds, seed):
        if _lack(samples, of_song[index]) is None:
            break
    _both_sides(samples, of_song[index])
    return of_song[index]


def _dealt(label: np.ndarray, group: np.ndarray, folds: int, seed: int) -> Iterator[np.ndarray]:
    """Folds of songs, (songs,), to be tried in turn: evenly by label, then, which may do for few groups that
    are hard to deal evenly, by chance."""
    for attempt in range(TRIES):
        parts = StratifiedGroupKFold(folds, shuffle=True, random_state=seed + attempt)
        of_song = np.empty(len(label), int)
        for number, (_, test) in enumerate(parts.split(label, label, group)):
            of_song[test] = number
        yield of_song
    groups, index = np.unique(group, return_inverse=True)
    rng = np.random.default_rng(seed)
    for _ in range(TRIES):
        yield (rng.permutation(len(groups)) % folds)[index]


def fewest_groups(samples: Samples, division: str) -> tuple[int, str]:
    """Number of groups of the label that has fewest, and that label."""
    group = {"artists": samples.artist, "songs": samples.song}.get(division, np.arange(len(samples)))
    return min((len(np.unique(group[samples.label == label])), label) for label in samples.labels)


def _enough(samples: Samples, division: str, folds: int) -> None:
    if len(samples.labels) < 2:
        songs = len(np.unique(samples.song))
        raise ValueError(f"all {songs} songs have the label {samples.labels[0]!r}; two labels are needed")
    if folds < 2:
        raise ValueError(f"{folds} folds; at least 2 are needed")
    fewest, label = fewest_groups(samples, division)
    if fewest < folds:
        kind = "samples" if division in DIVISIONS[:2] else division
        raise ValueError(
            f"label {str(label)!r} has {fewest} {kind}, fewer than the {folds} folds: some fold would be "
            f"tested without it. Use fewer folds, or more {kind}"
        )


def _both_sides(samples: Samples, fold: np.ndarray) -> None:
    if lack := _lack(samples, fold):
        raise ValueError(
            f"{lack}: no score tells anything without both. Use fewer folds, or more artists of the label "
            "that is missing"
        )


def _lack(samples: Samples, fold: np.ndarray) -> str | None:
    """Which fold would learn from, or be tested on, songs without one of the labels; None: none would."""
    for number in range(fold.max() + 1):
        for what, chosen in (("tested on", fold == number), ("learned from", fold != number)):
            counts = [
                len(np.unique(samples.song[chosen & (samples.label == label)])) for label in samples.labels
            ]
            if not all(counts):
                told = ", ".join(f"{n} {label}" for n, label in zip(counts, samples.labels, strict=True))
                return f"fold {number + 1} of {fold.max() + 1} would be {what} {told} songs"
    return None
