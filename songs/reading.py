"""What learning and searching read of the tables, and their commands: train, roc, like, similar, duplicates.

Conventions
    features   what is learned from: numbers of a sample, and tempo and strength of the key of its song. Left
               out are the views of ``metrics`` (a thousand numbers that the others tell in fewer), and what
               belongs to the file and not to the music: rate and level, which a packager chose for all.
    settings   of the samples: the options with which ``songs features`` was called name its rows.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from audio_distance.errors import AudioError
from songs.commands import add_features_arguments, each_song_told, settings_of
from songs.tables import FINGERPRINTS, connect, features

LEFT_OUT = frozenset(
    {"song", "settings", "sample", "start_seconds", "seconds", "overlap_seconds", "rate", "level_db", "views"}
    | {"fault", "error", "written"}
)
AT_ONCE = 10_000  # samples that are read at once


def labelled(tables: Path, settings: Any) -> Any:
    """``classifiers.Collection`` of the labelled songs that have features of these settings.

    What cannot be told of a short sample, such as its tempo, takes the median of the collection.

    Raises AudioError where there are none, with what there is.
    """
    from songs.classifiers import Collection
    from songs.labelled import attached

    files = _files(tables)
    if files["label"].isna().all():
        raise AudioError(
            f"none of {len(files)} songs has a label; see --labels of: python -m songs index --help"
        )
    song, names, numbers = samples_of_songs(tables, settings)
    medians = np.nanmedian(numbers, axis=0)
    for column in np.flatnonzero(np.isnan(numbers).any(axis=0)):
        numbers[np.isnan(numbers[:, column]), column] = medians[column]
    try:
        samples = attached(files, numbers, names, song=song)
    except ValueError as error:
        raise AudioError(str(error)) from None
    return Collection(samples, asdict(settings), files)


def samples_of_songs(tables: Path, settings: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Song of every sample, (n,); names of the numbers, (d,); and the numbers, (n, d) float32.

    By song and sample, of songs that are still there. Read in parts, since the whole in any other form is
    several times as large. NaN where a number cannot be told; a column of nothing else is left out.
    AudioError if no song has features of these settings.
    """
    with connect(tables, only=("files", "features")) as connection:
        found = [name for (name,) in connection.execute("select distinct settings from features").fetchall()]
        chosen = (
            "from features where settings = ? and error is null and coalesce(fault, '') = '' "
            "and song in (select content from songs)"
        )
        query = f"select song, count(*) {chosen} group by 1 order by 1"
        counts = connection.execute(query, [settings.digest]).fetchall()
        if not counts:
            raise AudioError(
                f"no features of {settings.digest} in {tables}; there are "
                f"{', '.join(sorted(found)) or 'none'}. First: songs features, with the same options"
            )
        songs = np.repeat(np.array([song for song, _ in counts], dtype=object), [n for _, n in counts])
        ends = np.cumsum([n for _, n in counts]).tolist()
        place = {song: end - n for (song, n), end in zip(counts, ends, strict=True)}  # of its next sample
        fields = [
            (field.name, field.type.list_size if pa.types.is_fixed_size_list(field.type) else 1)
            for field in features().schema  # DuckDB gives lists of any length
            if field.name not in LEFT_OUT and not pa.types.is_string(field.type)
        ]
        # A number that was computed for no sample takes no room.
        single = [name for name, size in fields if size == 1]
        there = ", ".join(f"coalesce(bool_or(not isnan({name})), false)" for name in single)
        (told,) = connection.execute(f"select {there} {chosen}", [settings.digest]).fetchall()
        absent = {name for name, is_told in zip(single, told, strict=True) if not is_told}
        fields = [(name, size) for name, size in fields if name not in absent]
        names = [name if size == 1 else f"{name}_{i}" for name, size in fields for i in range(size)]
        numbers, sample = np.empty((len(songs), len(names)), np.float32), np.empty(len(songs), int)
        # Put in order here: a sort of all rows would hold them twice more.
        reader = connection.sql(f"select * exclude (views) {chosen}", params=[settings.digest])
        for batch in reader.to_arrow_reader(AT_ONCE):
            rows = np.empty(len(batch), int)
            for i, song in enumerate(batch["song"].to_pylist()):
                rows[i] = place[song]
                place[song] += 1
            numbers[rows] = np.concatenate([_matrix(batch[name], size) for name, size in fields], axis=1)
            sample[rows] = batch["sample"].to_numpy()
    for (_, n), end in zip(counts, ends, strict=True):
        order = end - n + np.argsort(sample[end - n : end])
        numbers[end - n : end] = numbers[order]
    return songs, np.array(names), numbers


def _matrix(column: pa.Array, size: int) -> np.ndarray:
    """(rows, size) float32 of a column of numbers, or of lists of so many."""
    values = column if pa.types.is_floating(column.type) else column.flatten()
    return values.to_numpy(zero_copy_only=False).astype(np.float32).reshape(-1, size)


def _files(tables: Path) -> pd.DataFrame:
    """A row a file that can be read, copies too."""
    with connect(tables, only=("files",)) as connection:
        return connection.sql("select * from files where error is null order by path, path_bytes").df()


def song_vectors(
    song: np.ndarray, names: np.ndarray, numbers: np.ndarray
) -> tuple[list[str], list[str], np.ndarray]:
    """Songs, names of the numbers, and (songs, 2 d): mean and standard deviation over the samples of each.

    Samples stand by song. What cannot be told of a sample is left out of its song's.
    """
    songs, starts = np.unique(song.astype(str), return_index=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of a song of which it can be told of no sample: NaN
        parts = np.split(numbers.astype(float), starts[1:])
        vectors = np.array([np.r_[np.nanmean(part, axis=0), np.nanstd(part, axis=0)] for part in parts])
    return songs.tolist(), [f"{name}, {what}" for what in ("mean", "spread") for name in names], vectors


# ---------------------------------------------------------------------------------------------- commands


def add_train_arguments(parser: argparse.ArgumentParser) -> None:
    from songs.classifiers import add_train_arguments

    add_train_arguments(parser)
    add_features_arguments(parser)


def train(arguments: argparse.Namespace) -> int:
    from songs.classifiers import train_main

    return train_main(arguments, read=lambda args: labelled(args.tables, settings_of(args)))


def add_roc_arguments(parser: argparse.ArgumentParser) -> None:
    from songs.classifiers import add_roc_arguments

    add_roc_arguments(parser)
    add_features_arguments(parser)


def roc(arguments: argparse.Namespace) -> int:
    from songs.classifiers import roc_main

    return roc_main(arguments, read=lambda args: labelled(args.tables, settings_of(args)))


def like(arguments: argparse.Namespace) -> int:
    from songs.classifiers import like_main

    return like_main(arguments, describe=described)


def described(path: str, drawn: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of one file as the model's songs were described; what is left out there is left out here."""
    from songs.features import Settings, describe_song

    rows = [row for row in describe_song(path, Settings(**drawn)) if not row["fault"]]
    return [{name: value for name, value in row.items() if name not in LEFT_OUT - {"song"}} for row in rows]


def add_similar_arguments(parser: argparse.ArgumentParser) -> None:
    from songs.neighbours import add_similar_arguments

    add_similar_arguments(parser)
    add_features_arguments(parser)


def similar(arguments: argparse.Namespace) -> int:
    from songs.labelled import flattened
    from songs.neighbours import Features, similar

    settings = settings_of(arguments)
    songs, columns, vectors = song_vectors(*samples_of_songs(arguments.tables, settings))
    of_song = _files(arguments.tables).drop_duplicates("content").set_index("content").loc[songs]
    table = Features(songs, of_song["path"].tolist(), of_song["artist"].fillna("").tolist(), columns, vectors)

    def asked(path: str) -> tuple[str, np.ndarray]:
        rows = pd.DataFrame(described(path, asdict(settings)))
        numbers, names = flattened(rows)
        (song,), own, (vector,) = song_vectors(rows["song"].to_numpy(), names, numbers)
        return song, pd.Series(vector, own).reindex(columns).to_numpy()  # NaN: what it alone has not

    return similar(arguments, table, asked=asked)


def duplicates(arguments: argparse.Namespace) -> int:
    from songs.duplicates import duplicates
    from songs.fingerprint import SETTINGS, fingerprint_song

    code = each_song_told(FINGERPRINTS, partial(fingerprint_song), SETTINGS, arguments)
    names = _files(arguments.tables).drop_duplicates("content").set_index("content")["path"].to_dict()
    found = duplicates(arguments, read=lambda: _fingerprints(arguments.tables, SETTINGS), name_of=names.get)
    return max(code, found)


def _fingerprints(tables: Path, settings: str) -> Iterator[dict[str, Any]]:
    """Of the songs that are still there."""
    with connect(tables, only=("files", "fingerprints")) as connection:
        rows = connection.sql(
            "select song, f.seconds, f.rate, anchors, vectors, spectra from fingerprints f "
            "where settings = ? and f.error is null and song in (select content from songs)",
            params=[settings],
        ).to_arrow_reader(1000)
        for batch in rows:
            yield from batch.to_pylist()


def distances(arguments: argparse.Namespace) -> int:
    from songs.commands import engine_of
    from songs.distances import main

    return main(arguments, **engine_of(arguments))
