"""What learning and searching read of the tables, and their commands: train, roc, like, similar, duplicates.

Conventions
    features   what is learned from: numbers of a sample, and tempo and strength of the key of its song. Left
               out are the views of ``metrics`` (a thousand numbers that the others tell in fewer), the
               harmonic share (computed on demand only), and what belongs to the file and not to the music:
               rate and level, which a packager chose for all his songs.
    settings   of the samples: the options with which ``songs features`` was called name its rows.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from audio_distance.errors import AudioError
from songs.commands import add_features_arguments, each_song_told, settings_of
from songs.tables import FINGERPRINTS, connect

LEFT_OUT = (
    *("settings", "start_seconds", "seconds", "overlap_seconds", "rate", "level_db", "views"),
    *("harmonic_db", "fault", "error", "written"),
)


def labelled(tables: Path, settings: Any) -> Any:
    """``classifiers.Collection`` of the labelled songs that have features of these settings.

    Raises AudioError where there are none, with what there is.
    """
    from songs.classifiers import Collection
    from songs.labelled import samples_from

    songs, rows = _songs(tables), features_of(tables, settings)
    if songs["label"].isna().all():
        raise AudioError(
            f"none of {len(songs)} songs has a label; see: python -m songs index --help, --labels"
        )
    try:
        samples = samples_from(songs, rows[rows["song"].isin(songs.loc[songs["label"].notna(), "content"])])
    except ValueError as error:
        raise AudioError(str(error)) from None
    return Collection(samples, asdict(settings), songs)


def features_of(tables: Path, settings: Any) -> pd.DataFrame:
    """Song, sample and numbers of every sample of these settings that has some; AudioError if none has."""
    with connect(tables, only=("features",)) as connection:
        found = [name for (name,) in connection.execute("select distinct settings from features").fetchall()]
        if settings.digest not in found:
            raise AudioError(
                f"no features of {settings.digest} in {tables}; there are "
                f"{', '.join(sorted(found)) or 'none'}. First: songs features, with the same options"
            )
        return connection.execute(
            f"select * exclude ({', '.join(LEFT_OUT)}) from features "
            "where settings = ? and error is null and coalesce(fault, '') = '' order by song, sample",
            [settings.digest],
        ).df()


def _songs(tables: Path) -> pd.DataFrame:
    with connect(tables, only=("files",)) as connection:
        return connection.sql("select * from songs").df()


def song_vectors(rows: pd.DataFrame) -> tuple[list[str], list[str], np.ndarray]:
    """Songs, names of the numbers, and (songs, 2 d): mean and standard deviation over the samples of each."""
    from songs.labelled import flattened

    numbers, names = flattened(rows)
    samples = pd.DataFrame(numbers, columns=names).groupby(rows["song"].to_numpy())
    vectors = pd.concat(
        [samples.mean().add_suffix(", mean"), samples.std(ddof=0).add_suffix(", spread")], axis=1
    )
    return vectors.index.tolist(), vectors.columns.tolist(), vectors.to_numpy()


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
    return [{name: value for name, value in row.items() if name not in LEFT_OUT} for row in rows]


def add_similar_arguments(parser: argparse.ArgumentParser) -> None:
    from songs.neighbours import add_similar_arguments

    add_similar_arguments(parser)
    add_features_arguments(parser)


def similar(arguments: argparse.Namespace) -> int:
    from songs.neighbours import Features, similar

    settings = settings_of(arguments)
    songs, columns, vectors = song_vectors(features_of(arguments.tables, settings))
    of_song = _songs(arguments.tables).set_index("content").reindex(songs)
    table = Features(
        songs, of_song["path"].fillna("").tolist(), of_song["artist"].fillna("").tolist(), columns, vectors
    )

    def asked(path: str) -> tuple[str, np.ndarray]:
        (song,), _, (vector,) = song_vectors(pd.DataFrame(described(path, asdict(settings))))
        return song, vector

    return similar(arguments, table, asked=asked)


def duplicates(arguments: argparse.Namespace) -> int:
    from songs.duplicates import duplicates
    from songs.fingerprint import SETTINGS, fingerprint_song

    code = each_song_told(FINGERPRINTS, partial(fingerprint_song), SETTINGS, arguments)
    names = _songs(arguments.tables).set_index("content")["path"].to_dict()
    found = duplicates(arguments, read=lambda: _fingerprints(arguments.tables, SETTINGS), name_of=names.get)
    return max(code, found)


def _fingerprints(tables: Path, settings: str) -> Iterator[dict[str, Any]]:
    """Of the songs that are still there."""
    with connect(tables, only=("files", "fingerprints")) as connection:
        rows = connection.sql(
            "select song, f.seconds, f.rate, anchors, vectors from fingerprints f "
            "where settings = ? and f.error is null and song in (select content from songs)",
            params=[settings],
        ).to_arrow_reader(1000)
        for batch in rows:
            yield from batch.to_pylist()


def distances(arguments: argparse.Namespace) -> int:
    from songs.commands import engine_of
    from songs.distances import main

    return main(arguments, **engine_of(arguments))
