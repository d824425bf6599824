"""The tables of a collection: columns and their units, immutable Parquet parts, DuckDB over them.

Conventions
    folder    where the tables lie: ``FOLDER/TABLE/*.parquet``, beside nothing else.
    part      one Parquet file: written under another name, flushed to the disk, renamed, and never changed.
              Two writers never meet, and a writer that is killed leaves no part; what it had begun the next
              one sweeps away, after an hour.
    key       of a table: of the rows with one key those written last count (``written``, ns since 1970), all
              of one part: of a song the samples of one run, never of two.
    error     of a row: why there are no numbers. No row is left out for it.

A DuckDB file would be one file, but as long as one process writes to it no other can read. The parts are
therefore read through a DuckDB in memory, which holds nothing but views.
"""

from __future__ import annotations

import glob
import os
import shutil
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from audio_distance.errors import AudioError
from audio_distance.output import printable
from audio_distance.storage import replacing

ABANDONED = 3600.0  # seconds after which an unfinished part is nobody's: it takes about one to write


@dataclass(frozen=True)
class Column:
    """One column: its Arrow type, the unit of its numbers ("" of none), and what it holds."""

    name: str
    type: pa.DataType
    unit: str
    meaning: str


@dataclass(frozen=True)
class Table:
    """What a table holds, and which columns name what its rows tell of."""

    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def schema(self) -> pa.Schema:
        """Arrow's; unit and meaning are the metadata of each field, and go into every part."""
        return pa.schema(
            [
                pa.field(c.name, c.type, metadata={"unit": c.unit, "meaning": c.meaning})
                for c in (*self.columns, _WRITTEN)
            ]
        )


_WRITTEN = Column("written", pa.int64(), "ns", "since 1970, when the row was written")
_ERROR = Column("error", pa.string(), "", "why there are no numbers; null where there are")

FILES = Table(
    "files",
    ("path_bytes",),
    (
        Column("path", pa.string(), "", "absolute, or an address; bytes that are no UTF-8 as escapes"),
        Column("path_bytes", pa.binary(), "", "the same, as the system has it"),
        Column("content", pa.string(), "", "SHA-256 of the file's bytes"),
        Column("bytes", pa.int64(), "B", "size of the file"),
        Column("modified", pa.int64(), "ns", "since 1970, when the file was changed"),
        Column("etag", pa.string(), "", "of an address that tells no time of change: its server's mark"),
        Column("seconds", pa.float64(), "s", "length that the header tells"),
        Column("rate", pa.int32(), "Hz", "sample rate"),
        Column("channels", pa.int16(), "", "number of channels"),
        Column("codec", pa.string(), "", "container and coding, in libsndfile's terms"),
        Column("title", pa.string(), "", "tag"),
        Column("artist", pa.string(), "", "tag"),
        Column("album", pa.string(), "", "tag"),
        Column("genre", pa.string(), "", "tag"),
        Column("year", pa.int16(), "", "tag"),
        Column("license", pa.string(), "", "tag, or what the list of labels says"),
        Column("label", pa.string(), "", "what is to be learnt: from a list, or the name of the folder"),
        Column("group", pa.string(), "", "what must not be divided: from a list, else the artist"),
        Column("gone", pa.bool_(), "", "the file is no longer there"),
        _ERROR,
    ),
)

SAMPLES = Table(
    "samples",
    ("song", "settings"),
    (
        Column("song", pa.string(), "", "content"),
        Column("settings", pa.string(), "", "how it was cut: number x seconds @ rate"),
        Column("sample", pa.int32(), "", "number of the sample in its song, in order of time"),
        Column("start_seconds", pa.float64(), "s", "where it begins in the song"),
        Column("seconds", pa.float64(), "s", "its length"),
        Column("overlap_seconds", pa.float64(), "s", "of it that the sample before holds too"),
        Column("rate", pa.int32(), "Hz", "of the codes"),
        Column("codes", pa.binary(), "", "mu-law, 256 codes, one byte a sample of sound, mono"),
        _ERROR,
    ),
)

DESCRIPTIONS = Table(
    "descriptions",
    SAMPLES.key,
    (
        *(c for c in SAMPLES.columns if c.name not in {"overlap_seconds", "codes", "error"}),
        Column("sounding_seconds", pa.float64(), "s", "from where it begins to sound to where it ends"),
        Column("level_db", pa.float64(), "dB", "of the sounding part, relative to full scale"),
        Column("recipe", pa.string(), "", "of the distance"),
        Column(
            "vectors", pa.binary(), "", "(windows, numbers) float32, little-endian, as the distance has them"
        ),
        _ERROR,
    ),
)


FINGERPRINTS = Table(
    "fingerprints",
    SAMPLES.key,
    (
        *(column for column in SAMPLES.columns if column.name in {"song", "settings", "seconds", "rate"}),
        Column("anchors", pa.binary(), "", "moments of the song, as songs.fingerprint packs them"),
        Column("vectors", pa.binary(), "", "what sounds about each of them, int8"),
        Column("spectra", pa.binary(), "", "what sounds from each of them on, finer than semitones, int8"),
        _ERROR,
    ),
)


@cache
def features() -> Table:
    """The table of features: of which numbers it consists ``songs.features`` says, which computes them."""
    from songs.features import COLUMNS, SONG_COLUMNS

    types = {0: pa.string(), 1: pa.float32()}
    numbers = tuple(
        Column(c.name, types.get(c.size, pa.list_(pa.float32(), c.size)), c.unit, c.meaning)
        for c in (*COLUMNS, *SONG_COLUMNS)
    )
    sample = tuple(column for column in SAMPLES.columns if column.name not in {"codes", "error"})
    fault = Column("fault", pa.string(), "", "why this sample has no numbers, though its song has; or empty")
    return Table("features", SAMPLES.key, (*sample, *numbers, fault, _ERROR))


# Of every table: what its columns are, and whether that is known without the module that computes them.
_KNOWN: dict[str, Table | Callable[[], Table]] = {
    "files": FILES,
    "samples": SAMPLES,
    "features": features,
    "descriptions": DESCRIPTIONS,
    "fingerprints": FINGERPRINTS,
}


# One row a song: of the files that hold it one with label and artist tells of it, the first by name.
_SONGS = """
create view songs as
select content, count(*) over one as copies,
    * exclude (content, path_bytes, bytes, modified, etag, gone, error, written)
from files where error is null
window one as (partition by content)
qualify row_number() over (
    partition by content order by label is null, artist is null, path, path_bytes
) = 1
"""


def write_part(folder: Path, table: Table, rows: pa.Table | Sequence[Mapping[str, Any]]) -> Path | None:
    """Add rows to a table, as one part.

    Parameters
    ----------
    folder : of the tables; made if it is not there
    table : which
    rows : (n,) dictionaries or an Arrow table, with any of the columns; others are null
        ``written`` is put in.

    Returns
    -------
    The part; None of no rows.

    Raises
    ------
    AudioError
        The disk is full, or the folder cannot be written: nothing is left of the part.
    """
    if not len(rows):
        return None
    now = time.time_ns()
    filled = _filled(rows, table.schema).set_column(
        table.schema.get_field_index("written"),
        table.schema.field("written"),
        pa.repeat(pa.scalar(now), len(rows)),
    )
    part = folder / table.name / f"{now:020d}-{uuid.uuid4().hex[:12]}.parquet"
    _sweep(part.parent)
    try:
        with replacing(part) as unfinished, unfinished.open("wb") as file:
            pq.write_table(filled, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise AudioError(
            f"{len(rows)} rows of {table.name} cannot be written to {printable(str(part.parent))} "
            f"({error.strerror or error}); likely a full disk, or a folder of another user. What was written "
            "before is whole: run it again to go on"
        ) from None
    return part


def _sweep(folder: Path) -> None:
    """Remove what killed writers have left: unfinished parts, an hour after they were begun."""
    for left in folder.glob(".*.part"):
        try:
            if time.time() - left.stat().st_mtime > ABANDONED:
                shutil.rmtree(left, ignore_errors=True)
        except OSError:  # another writer has just finished it, or swept it
            continue


def _filled(rows: pa.Table | Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """The rows in all columns of the schema, and in no other."""
    if not isinstance(rows, pa.Table):
        return pa.Table.from_pylist(list(rows), schema=schema)
    columns = [
        rows[field.name].cast(field.type)
        if field.name in rows.column_names
        else pa.nulls(len(rows), field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def connect(folder: Path, *, only: Sequence[str] = ()) -> duckdb.DuckDBPyConnection:
    """A DuckDB in memory with a view of each table: ``files``, ``songs``, ``samples``, ``features``, ...

    Parameters
    ----------
    folder : of the tables
    only : names of tables, optional
        Without parts they are empty. By default all of which there are parts; and files, songs and samples.

    Raises
    ------
    AudioError
        A part is damaged, or has a column of another type than the table or the other parts; names it.

    Notes
    -----
    The parts are those that lie there now: what is written later is seen by the next connection. A column
    that older parts have not is null in their rows.
    ``files`` leaves out what is gone; ``songs`` has one row for each content that can be read.

    What computes features needs librosa, and to read them nothing does: the columns are those of the parts.
    """
    connection = duckdb.connect()
    connection.execute("set preserve_insertion_order = false")
    connection.execute("set python_enable_replacements = false")  # else a variable here were a table
    for name in only or _KNOWN:
        known = _KNOWN[name]
        parts = sorted((folder / name).glob("*.parquet"))
        if not parts and not only and not isinstance(known, Table):
            continue
        table = known if isinstance(known, Table) else None if parts else known()
        schema = None if table is None else table.schema
        found = _columns_of(name, parts, schema)
        rows = []
        if parts:
            # What would be a pattern in the name of a folder stands for itself.
            listed = ", ".join(_quoted(glob.escape(str(part))) for part in parts)
            rows.append(f"select * from read_parquet([{listed}], union_by_name = true)")
        if schema is not None and not found >= set(schema.names):
            connection.register(f"empty_{name}", schema.empty_table())
            rows.append(f"select * from empty_{name}")
        connection.execute(_view(name, " union all by name ".join(rows)))
        if name == FILES.name:
            connection.execute(_SONGS)
    return connection


def _view(name: str, rows: str) -> str:
    """Of the rows of one key those written last; found by the key alone, for a row may hold its sound."""
    key = ", ".join(FILES.key if name == FILES.name else SAMPLES.key)
    # A file may have been damaged since. Of a content good rows stay true, whoever failed at it later.
    last = "max(written)" if name == FILES.name else "max_by(written, (error is null, written))"
    return (
        f"create view {name} as with rows as not materialized ({rows}) select * from rows semi join "
        f"(select {key}, {last} as written from rows group by all) as last using ({key}, written)"
        + (" where not coalesce(gone, false)" if name == FILES.name else "")
    )


def _columns_of(name: str, parts: Sequence[Path], schema: pa.Schema | None) -> set[str]:
    """All columns of the parts, each of one type: DuckDB would make text of numbers and text."""
    types = {} if schema is None else {field.name: (field.type, "the table") for field in schema}
    found: set[str] = set()
    for part in parts:
        try:
            fields = pq.read_schema(part)
        except (OSError, pa.ArrowException) as error:
            raise AudioError(
                f"{printable(str(part))} cannot be read ({' '.join(str(error).split())}); likely a damaged "
                "disk or copy: remove it, and run again what made it"
            ) from None
        for field in fields:
            kind, where = types.setdefault(field.name, (field.type, part.name))
            if field.type != kind:
                raise AudioError(
                    f"{printable(str(part))}: the column {field.name} is {field.type}, and {kind} in "
                    f"{where}; likely of another version: move the folder {name} away, and make it again"
                )
        found.update(fields.names)
    return found


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
