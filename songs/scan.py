"""What a collection consists of: one row a file, with its content, facts and tags; or why it cannot be read.

Conventions
    path          of a file or folder: of this machine, or an address (``songs.places``), as it was given.
    incremental   a file of the same size and time of change is not read again, unless asked for. Of an
                  address that is a time in whole seconds, or where none is told the server's ETag; what
                  tells neither is read every time.
    gone          what lay below a folder that was indexed and no longer does. Where its content is found
                  under a new path, it has moved.
    original      is never written, renamed or touched.
    said          of a file: its label, group, tags, by a list of labels or by its folder. Who indexes again
                  and says nothing leaves label and group as they were, also of what was gone for a while.
    passed        what is no row: files without an extension of audio that is read here, hidden ones, and
                  folders that are listed already under another name.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import math
import mmap
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from pyarrow.dataset import dataset, field

from audio_distance.audio import read_source
from audio_distance.errors import AudioError
from audio_distance.output import printable
from audio_distance.sources import Source
from songs import places
from songs.engine import run
from songs.labels import labels_of
from songs.tables import FILES, connect, write_part

TAGS = ("title", "artist", "album", "genre", "year")

Row = dict[str, Any]


@dataclass(frozen=True)
class Indexed:
    """What an indexing found; paths as they are shown."""

    read: int
    unchanged: int
    passed: tuple[tuple[str, int], ...]  # files: extension, "hidden" or "without extension"; how many
    repeated: tuple[tuple[str, str], ...]  # folders, as links or behind them: path, where they are listed
    moved: tuple[tuple[str, str], ...]  # from, to
    gone: tuple[str, ...]
    faults: tuple[tuple[str, str], ...]  # of files and folders: path, why it cannot be read


def index(
    folders: Sequence[str | Path],
    tables: Path,
    *,
    labels: Path | None = None,
    label_by_folder: bool = False,
    check: bool = False,
    **engine: Any,
) -> Indexed:
    """Bring the table of files up to what lies in ``folders``.

    Parameters
    ----------
    folders : paths, or addresses that fsspec opens (s3a://bucket/music); through links, each folder once
        A folder that cannot be opened, and a link that leads nowhere or to what holds the folder, is a row
        with its error. A link back into it, as of a loop, is no row, and told of. At an address no link is
        followed: it is a row too. What lies there is listed here, and read by the workers.
    tables : folder of the tables
    labels : CSV file, optional
        See ``labels_of``. A tag that it no longer gives is found again in the file with ``check``.
    label_by_folder : bool
        The label of a file is the name of the folder in which it lies, directly below the one given.
    check : bool
        Read every file again, whatever its size and time of change say.
    engine
        Of ``engine.run``.

    Raises
    ------
    AudioError
        A folder that does not exist or holds no audio (as of a disk that is not there: nothing is taken for
        gone), an address that cannot be opened, a list that cannot be read or names what is not there, tables
        that cannot be written.
    """
    roots = [places.normal(folder) for folder in folders]
    files, passed, repeated = _listed(roots)
    said: dict[bytes, Row] | None = None
    if labels or label_by_folder:
        listed = labels_of(labels) if labels else {}
        if unknown := sorted(printable(os.fsdecode(name)) for name in listed.keys() - files.keys()):
            raise AudioError(
                f"labels: {len(unknown)} of the {len(listed)} paths in {printable(str(labels))} are in none "
                f"of the folders, the first is {unknown[0]}; relative paths are taken from the list's folder"
            )
        by_folder = _first_folders(files, roots) if label_by_folder else {}
        said = {name: {"label": by_folder.get(name), **listed.get(name, {})} for name in files}
    known = _known(tables)
    same = {
        name
        for name, found in files.items()
        if not check and name in known and _is_unchanged(known[name], found, said and said[name])
    }
    gone = _gone(known, files, roots)
    waiting = {name: found.fault for name, found in files.items() if name not in same}
    read = _read_into(tables, waiting, known, said, _lost(tables, known, gone), engine)
    write_part(tables, FILES, [{**row, "gone": True} for row in gone])
    moved = _moved(gone, (row for row in read if row["path_bytes"] not in known))
    left = {path for path, _ in moved}
    return Indexed(
        read=len(read),
        unchanged=len(same),
        passed=passed,
        repeated=repeated,
        moved=moved,
        gone=tuple(sorted(row["path"] for row in gone if row["path"] not in left)),
        faults=tuple(sorted((row["path"], row["error"]) for row in read if row["error"])),
    )


def _listed(
    roots: Sequence[str],
) -> tuple[dict[bytes, places.Found], tuple[tuple[str, int], ...], tuple[tuple[str, str], ...]]:
    """All files below the roots, each once; ``Indexed.passed`` and ``repeated``."""
    files: dict[str, places.Found] = {}
    passed: dict[str, str] = {}
    repeated: dict[str, str] = {}
    for root in roots:
        listing = places.listed(root)
        files = {**listing.files, **files}
        passed |= listing.passed
        repeated = {**listing.repeated, **repeated}
    kinds = Counter(_kind(name) for place, name in passed.items() if place not in files).items()
    return (
        {os.fsencode(place): found for place, found in files.items()},
        tuple(sorted(kinds, key=lambda kind: (-kind[1], kind[0]))),
        tuple((printable(a), printable(b)) for a, b in sorted(repeated.items()) if a not in files),
    )


def _first_folders(files: Iterable[bytes], roots: Sequence[str]) -> dict[bytes, str]:
    """The folder in which each file lies, directly below the first root in which it lies in one."""
    found: dict[bytes, str] = {}
    for root, name in itertools.product(roots, files):
        first, _, rest = (places.below(os.fsdecode(name), root) or "").partition("/")
        if rest:
            found.setdefault(name, printable(first))
    return found


def _kind(name: str) -> str:
    """Extension of a file that is passed over; of "5. Finale" it has none."""
    found = re.search(r"\.[a-z0-9]{1,5}$", name.lower())
    return "hidden" if name.startswith(".") else found[0] if found else "without extension"


def _read_into(
    tables: Path,
    faults: Mapping[bytes, str],
    known: Mapping[bytes, Row],
    said: Mapping[bytes, Row] | None,
    lost: Mapping[bytes | str, Row],
    engine: Mapping[str, Any],
) -> list[Row]:
    """The rows of all files, each with its fault or "", written by chunks; none that is there already."""

    def labelled(row: Row) -> Row:
        name = row["path_bytes"]
        row = {**row, **_place(os.fsdecode(name))}
        if said is not None:
            told = said[name]
        else:  # as it was, here or where the file lay before
            before = known.get(name) or lost.get(row["content"]) or lost.get(name) or _NOTHING
            grouped = before["group"] != before["artist"]  # by a list
            told = {"label": before["label"], "group": before["group"] if grouped else None}
        row |= {key: value for key, value in told.items() if value is not None}
        return {**row, "group": row["group"] or row["artist"]}

    faulty = [
        labelled({**_NOTHING, "path_bytes": name, "error": fault}) for name, fault in faults.items() if fault
    ]
    rows: list[Row] = []
    paths = [os.fsdecode(name) for name, fault in faults.items() if not fault]
    chunks = run(file_row, paths, schema=FILES.schema, stage="indexing", **engine)
    for found in itertools.chain([faulty], (map(labelled, chunk.to_pylist()) for chunk in chunks)):
        chunk = list(found)
        write_part(tables, FILES, [row for row in chunk if _lasting(row) != known.get(row["path_bytes"])])
        rows += chunk
    return rows


def file_row(path: str) -> list[Row]:
    """The row of one file: content, facts, tags; with an error in place of what cannot be read.

    A pure function of what lies there; the header and the container's own sums are looked at, the sound is
    not decoded.
    """
    row = _place(path)
    state = places.state_of(path)  # before it is read: a change during the reading is seen the next time
    try:
        data = places.read(path)
    except AudioError as error:
        return [{**row, "error": str(error)}]
    row |= {"bytes": len(data), "modified": state.modified, "etag": state.etag}
    row |= {"content": hashlib.sha256(data).hexdigest(), **tags_of(data)}
    try:
        row |= facts_of(data)
    except AudioError as error:
        row["error"] = str(error)
    return [row]


def facts_of(data: bytes | mmap.mmap) -> Row:
    """Seconds, rate, channels and codec of what a file holds, from its header; AudioError of damage."""
    import soundfile

    signal = read_source(Source("", data=b""), data, minimum_bits=8, peak_limit=math.inf, most=0)
    try:
        facts = soundfile.info(_file_of(data))
        known = {"channels": facts.channels, "codec": f"{facts.format}/{facts.subtype}"}
        seconds = facts.frames / facts.samplerate
    except soundfile.LibsndfileError:  # AAC, which PyAV has opened just now
        import av

        with av.open(_file_of(data)) as container:
            stream = container.streams.audio[0]
            known = {
                "channels": stream.codec_context.channels,
                "codec": f"{container.format.name}/{stream.name}",
            }
            seconds = float((stream.duration or 0) * stream.time_base)
    if not seconds > 0:
        raise AudioError("0 samples; likely an interrupted recording")
    return {"seconds": seconds, "rate": signal.rate, **known}


def tags_of(data: bytes | mmap.mmap) -> Row:
    """Title, artist, album, genre, year, license; what is not told, or makes no sense, is left out."""
    from tinytag import TinyTag

    try:
        tag = TinyTag.get(file_obj=_file_of(data))
    except Exception:  # whatever a damaged file makes of a parser; what it is the facts say
        return {}
    texts = {name: getattr(tag, name) for name in TAGS[:-1]} | {
        "license": next(iter(tag.other.get("license", tag.other.get("copyright", []))), None)
    }
    row: Row = {name: printable(text).strip() for name, text in texts.items() if text and text.strip()}
    if year := re.search(r"[12]\d{3}", str(tag.year or "")):
        row["year"] = int(year[0])
    return row


def _file_of(data: bytes | mmap.mmap) -> BinaryIO:
    """As an open file; a map of a large one is not copied."""
    if isinstance(data, bytes):
        return io.BytesIO(data)
    data.seek(0)
    return cast(BinaryIO, data)


def _place(path: str) -> Row:
    return {"path": printable(path), "path_bytes": os.fsencode(path)}


_NOTHING: Row = {column.name: None for column in FILES.columns}


def _lasting(row: Row) -> Row:
    """Without the time of writing."""
    return {name: row[name] for name in _NOTHING}


def _known(tables: Path) -> dict[bytes, Row]:
    with connect(tables, only=("files",)) as connection:
        rows = connection.sql("select * from files").to_arrow_table().to_pylist()
    return {row["path_bytes"]: _lasting(row) for row in rows}


def _lost(tables: Path, known: Mapping[bytes, Row], gone: Sequence[Row]) -> dict[bytes | str, Row]:
    """Rows of what is gone, now or since an earlier indexing, by path and by content; of several the last.

    A content that is still there under another path is found only if it goes just now, and so may have moved:
    else it is a copy, of which nothing was said.
    """
    parts = [str(part) for part in (tables / FILES.name).glob("*.parquet")]
    rows = dataset(parts, schema=FILES.schema, format="parquet").to_table(filter=field("gone"))
    earlier = rows.sort_by("written").to_pylist()
    there = {row["content"] for row in known.values()}
    found = {row["path_bytes"]: row for row in (*earlier, *gone)}
    found |= {row["content"]: row for row in earlier if row["content"] not in there}
    found |= {row["content"]: row for row in gone}
    found.pop(None, None)  # of what could not be read
    return found


def _is_unchanged(row: Row, found: places.Found, said: Row | None) -> bool:
    """Size, time of change and what is said of it are as the row has them; a fault is looked at again."""
    if found.fault or row["error"] or any(row[name] != value for name, value in (said or {}).items()):
        return False
    state = found.state or places.state_of(os.fsdecode(row["path_bytes"]))
    return state.is_told and state == (row["bytes"], row["modified"], row["etag"])


def _gone(known: Mapping[bytes, Row], files: Mapping[bytes, places.Found], roots: Sequence[str]) -> list[Row]:
    """What lay below the roots; but not below a folder that cannot be looked into now."""
    closed = [os.fsdecode(name) for name, found in files.items() if found.fault]
    return [
        row
        for name, row in known.items()
        if name not in files
        and any(places.below(os.fsdecode(name), root) for root in roots)
        and not any(places.below(os.fsdecode(name), folder) for folder in closed)
    ]


def _moved(gone: Iterable[Row], new: Iterable[Row]) -> tuple[tuple[str, str], ...]:
    """Paths from and to: a content that is gone from one path and new under another, each once."""
    places: dict[str, list[str]] = {}
    for row in gone:
        if row["content"]:
            places.setdefault(row["content"], []).append(row["path"])
    found = []
    for row in sorted(new, key=lambda row: row["path"]):
        if waiting := places.get(row["content"] or ""):
            found.append((waiting.pop(0), row["path"]))
    return tuple(found)
