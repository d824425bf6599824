"""The commands ``index``, ``samples``, ``features`` and ``query``: options, and what they print.

Conventions
    add_..._arguments   to a parser, which ``songs.__main__`` gives --tables and the engine's options besides.
    exit code           as there.
"""

from __future__ import annotations

import argparse
import csv
import io
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from audio_distance.errors import AudioError
from audio_distance.output import complain, printable, say
from songs.terminal import number_above, whole_number


def engine_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """What ``engine.run`` is given of the options."""
    return {name: getattr(arguments, name) for name in ("engine", "workers", "master")}


def add_index_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folders",
        nargs="+",
        metavar="FOLDER",
        help="of songs; links are followed. Or an address that fsspec opens, and every worker: "
        "s3a://bucket/music, hdfs://host/music, https://host/music/, zip://::file:///music.zip",
    )
    parser.add_argument(
        "--labels", type=Path, metavar="CSV", help="columns path, and label, group, artist, ..."
    )
    parser.add_argument(
        "--label", choices=("folder",), help="the label is the name of the folder below FOLDER"
    )
    parser.add_argument("--check", action="store_true", help="read every file again, not those that changed")


def index(arguments: argparse.Namespace) -> int:
    from songs.scan import index

    found = index(
        arguments.folders,
        arguments.tables,
        labels=arguments.labels,
        label_by_folder=arguments.label == "folder",
        check=arguments.check,
        **engine_of(arguments),
    )
    for one, other in found.moved:
        say(f"moved: {one} -> {other}")
    for path in found.gone:
        say(f"gone: {path}")
    for path, place in found.repeated:
        say(f"passed over: {path} leads to {place}, which is listed already")
    passed = sum(count for _, count in found.passed)
    kinds = ", ".join(f"{count} {kind}" for kind, count in found.passed)
    say(
        f"{found.read} files read, {found.unchanged} as they were, {len(found.moved)} moved, "
        f"{len(found.gone)} gone, {passed} others passed over{kinds and f': {kinds}'}"
    )
    return _told(found.faults)


def add_samples_arguments(parser: argparse.ArgumentParser) -> None:
    many = parser.add_mutually_exclusive_group()
    many.add_argument(
        "--count", type=whole_number(1), default=30, metavar="N", help="samples of a song, default 30"
    )
    many.add_argument("--whole", action="store_true", help="all of every song, cut end to end")
    parser.add_argument(
        "--seconds", type=number_above(0), default=5.0, metavar="S", help="of a sample, default 5"
    )
    parser.add_argument(
        "--rate", type=int, default=22050, metavar="HZ", help="to which all are resampled, default 22050"
    )


def samples(arguments: argparse.Namespace) -> int:
    from songs.sampling import Settings, sample_song
    from songs.tables import SAMPLES

    settings = _settings(Settings, arguments)
    # 3.3 MB a song of 30 samples of 5 s: a chunk of 8 songs a worker, not of 64.
    return each_song_told(
        SAMPLES, partial(sample_song, settings=settings), settings.digest, arguments, chunk=8
    )


def add_features_arguments(parser: argparse.ArgumentParser) -> None:
    add_samples_arguments(parser)
    parser.add_argument(
        "--harmonic", action="store_true", help="harmonic over percussive sound too: thrice the time"
    )


def features(arguments: argparse.Namespace) -> int:
    from songs import tables
    from songs.features import describe_song

    settings = settings_of(arguments)
    return each_song_told(
        tables.features(), partial(describe_song, settings=settings), settings.digest, arguments
    )


def settings_of(arguments: argparse.Namespace) -> Any:
    """``features.Settings`` of the options of ``features``."""
    from songs.features import Settings

    return _settings(Settings, arguments, harmonic=arguments.harmonic)


def _settings(kind: Any, arguments: argparse.Namespace, **more: Any) -> Any:
    try:
        return kind(
            rate=arguments.rate,
            count=None if arguments.whole else arguments.count,
            seconds=arguments.seconds,
            **more,
        )
    except ValueError as error:
        raise AudioError(str(error)) from None


def each_song_told(
    table: Any, function: Any, settings: str, arguments: argparse.Namespace, **more: Any
) -> int:
    """A stage, and what became of it in a line; 1 if songs are without rows."""
    from songs.stages import each_song

    done = each_song(table, function, arguments.tables, settings=settings, **engine_of(arguments), **more)
    say(
        f"{done.songs} songs: {done.done_before} done before, {done.rows} rows written to {table.name} "
        f"({settings}), {len(done.faults)} songs without"
    )
    return _told(done.faults)


def add_query_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "sql",
        help='of files, songs, samples, features: "select artist, count(*) from songs group by 1"; the '
        "column group needs quotes of its own",
    )
    parser.add_argument("--csv", action="store_true", help="all rows, whole; bytes beyond ASCII as \\xE9")


def query(arguments: argparse.Namespace) -> int:
    import duckdb

    from songs.tables import connect

    with connect(arguments.tables) as connection:
        try:
            kinds = [statement.type for statement in connection.extract_statements(arguments.sql)]
            if kinds != [duckdb.StatementType.SELECT]:
                raise AudioError(
                    "query: one statement that selects is needed; the tables are never changed here"
                )
            rows = connection.sql(arguments.sql)
            if not arguments.csv:
                say(printable(str(rows)).rstrip())
                return 0
            rows.create_view("answer")
            _say_csv([rows.columns])
            connection.execute("select columns(*)::varchar from answer")  # as DuckDB writes lists and bytes
            while some := connection.fetchmany(1000):
                _say_csv(some)
        except duckdb.Error as error:
            raise AudioError(f"query: {_line(error)}") from None
    return 0


def _line(error: Exception) -> str:
    """The message of DuckDB in one line, without the query and the mark below it; or what it means."""
    text = " ".join(str(error).partition("\n\nLINE ")[0].split())
    missing = re.search(r"Table with name (features|fingerprints) does not exist", text)
    return f"there are no {missing[1]} yet, which python -m songs {missing[1]} makes" if missing else text


def _say_csv(rows: Sequence[Sequence[str | None]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    say(text.getvalue(), end="")


def _told(faults: Sequence[tuple[str, str]]) -> int:
    """Name what could not be read; the exit code."""
    for path, reason in faults:
        complain(f"{path}: {reason}")
    return 1 if faults else 0
