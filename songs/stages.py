"""Every song of the collection once through a function, and its rows into a table.

Conventions
    settings   a text that says how the rows were made. Rows of other settings lie beside them, untouched.
    done       a song that has rows of these settings, without an error. It is not done again, so that an
               interrupted stage goes on where it was.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from audio_distance.errors import AudioError
from songs.engine import Function, run
from songs.tables import Table, connect, write_part


@dataclass(frozen=True)
class Stage:
    """What became of the songs of a collection: how many, and of which there are no rows."""

    songs: int
    done_before: int
    rows: int  # written
    faults: tuple[tuple[str, str], ...]  # path as shown, why


def each_song(table: Table, function: Function, tables: Path, *, settings: str, **engine: Any) -> Stage:
    """Bring ``table`` up to the collection.

    Parameters
    ----------
    table : whose rows they are
    function : path -> rows
        Picklable; its rows carry ``song``, the content of what it read.
    tables : folder of the tables
    settings : text
    engine
        Of ``engine.run``. Where rows are large, as sound is, ``chunk`` bounds the memory.

    Raises
    ------
    AudioError
        No song is indexed; the tables cannot be written.

    Notes
    -----
    A file that was changed since it was indexed gives a fault, and no rows. Of a song that has failed there
    is one row with the error; the next run tries it again.
    """
    with connect(tables, only=("files", table.name)) as connection:
        songs = connection.execute(
            "select content, path, path_bytes from files where error is null "
            "qualify row_number() over (partition by content order by path, path_bytes) = 1 order by content"
        ).fetchall()
        done = connection.execute(
            f"select distinct song from {table.name} where settings = ? and error is null", [settings]
        ).fetchall()
    if not songs:
        raise AudioError(
            f"no song is indexed in {tables}; first: python -m songs index FOLDER --tables {tables}"
        )
    finished = {song for (song,) in done}
    waiting = {path: (content, shown) for content, shown, path in songs if content not in finished}
    faults: list[tuple[str, str]] = []
    written = 0
    paths = [os.fsdecode(path) for path in waiting]
    for chunk in run(function, paths, schema=table.schema, stage=table.name, **engine):
        rows, failed = _checked(chunk, waiting, settings)
        faults += failed
        write_part(tables, table, rows)
        written += len(rows) - len(failed)  # of each that has failed there is a row too
    return Stage(len(songs), len(songs) - len(waiting), written, tuple(sorted(faults)))


def _checked(
    chunk: pa.Table, waiting: Mapping[bytes, tuple[str, str]], settings: str
) -> tuple[pa.Table, list[tuple[str, str]]]:
    """The rows of the songs that are asked for, and why of others there are none.

    In Arrow's columns from end to end: a chunk may hold minutes of sound.
    """
    errors: dict[bytes, str] = {}
    keys = zip(*(chunk[name].to_pylist() for name in ("path_bytes", "song", "error")), strict=True)
    for path, song, error in keys:
        if error or song != waiting[path][0]:
            errors[path] = error or ("changed since it was indexed; run index again" if song else "no rows")
    whole = chunk.filter(pc.invert(pc.is_in(chunk["path_bytes"], pa.array(errors, pa.binary()))))
    failed = pa.Table.from_pylist(
        [{"path_bytes": path, "song": waiting[path][0], "error": error} for path, error in errors.items()],
        schema=chunk.schema,
    )
    rows = pa.concat_tables([whole, failed])
    place = rows.schema.get_field_index("settings")
    rows = rows.set_column(place, rows.schema.field(place), pa.repeat(settings, len(rows)))
    return rows, [(waiting[path][1], error) for path, error in errors.items()]
