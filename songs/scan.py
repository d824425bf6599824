"""What a collection consists of: one row a file, with its content, facts and tags; or why it cannot be read.

Conventions
    incremental   a file of the same size and time of change is not read again, unless asked for.
    gone          what lay below a folder that was indexed and no longer does. Where its content is found
                  under a new path, it has moved.
    original      is never written, renamed or touched.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audio_distance.audio import read_source
from audio_distance.errors import AudioError
from audio_distance.output import printable
from audio_distance.sources import PATH_HEADERS, Source, fault_of, list_folder
from songs.engine import run
from songs.tables import FILES, connect, write_part

TAGS = ("title", "artist", "album", "genre", "year")
LISTED = ("label", "group", "license", *TAGS)  # of a list of labels; they go before a file's own tags

Row = dict[str, Any]


@dataclass(frozen=True)
class Indexed:
    """What an indexing found; paths as they are shown."""

    read: int
    unchanged: int
    passed: int  # files without an extension of audio, and hidden ones
    moved: tuple[tuple[str, str], ...]  # from, to
    gone: tuple[str, ...]
    faults: tuple[tuple[str, str], ...]  # of files and folders: path, why it cannot be read


def index(
    folders: Sequence[Path],
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
    folders : searched through links too, each real folder once
        A folder that cannot be opened, and a link that leads nowhere or back, is a row with its error.
    tables : folder of the tables
    labels : CSV file, optional
        See ``labels_of``.
    label_by_folder : bool
        The label of a file is the name of the folder in which it lies, directly below the one given.
    check : bool
        Read every file again, whatever its size and time of change say.
    engine
        Of ``engine.run``.

    Raises
    ------
    AudioError
        A folder that does not exist or holds no audio, a list that cannot be read, tables that cannot be
        written.
    """
    listed = labels_of(labels) if labels else {}
    sources: dict[bytes, Source] = {}
    given: dict[bytes, Row] = {}
    passed = 0
    roots = [Path(os.path.abspath(folder)) for folder in folders]
    for root in roots:
        listing = list_folder(_existing(root), "folder")
        passed += listing.passed
        for source in listing.sources:
            assert source.path is not None
            name = os.fsencode(source.path)
            sources.setdefault(name, source)
            by_folder = _first_folder(source.path, root) if label_by_folder else None
            given.setdefault(name, {"label": by_folder, **listed.get(name, {})})
    if unknown := sorted(os.fsdecode(name) for name in listed.keys() - sources.keys()):
        raise AudioError(
            f"{len(unknown)} of {len(listed)} paths of {labels} lie in none of the folders, the first is "
            f"{printable(unknown[0])}; relative paths are taken from the folder of the list"
        )
    known = _known(tables)
    same = {
        name
        for name, source in sources.items()
        if not check and name in known and _is_unchanged(known[name], source, given[name])
    }
    read = _read_into(tables, [name for name in sources if name not in same], sources, given, engine)
    gone = {
        name: row
        for name, row in known.items()
        if name not in sources and any(Path(os.fsdecode(name)).is_relative_to(root) for root in roots)
    }
    write_part(tables, FILES, [{**row, "gone": True} for row in gone.values()])
    moved = _moved(gone.values(), (row for row in read if row["path_bytes"] not in known))
    left = {path for path, _ in moved}
    faults = [(row["path"], row["error"]) for row in [*read, *(known[name] for name in same)] if row["error"]]
    return Indexed(
        read=len(read),
        unchanged=len(same),
        passed=passed,
        moved=moved,
        gone=tuple(sorted(row["path"] for row in gone.values() if row["path"] not in left)),
        faults=tuple(sorted(faults)),
    )


def _read_into(
    tables: Path,
    names: Sequence[bytes],
    sources: Mapping[bytes, Source],
    given: Mapping[bytes, Row],
    engine: Mapping[str, Any],
) -> list[Row]:
    """The rows of all ``names``, which are written chunk by chunk."""
    faulty = [
        {**_place(os.fsdecode(name)), **given[name], "error": sources[name].fault}
        for name in names
        if sources[name].fault
    ]
    write_part(tables, FILES, faulty)
    rows: list[Row] = list(faulty)
    paths = [os.fsdecode(name) for name in names if not sources[name].fault]
    for chunk in run(file_row, paths, schema=FILES.schema, stage="indexing", **engine):
        found = [_labelled(row, given[row["path_bytes"]]) for row in chunk.to_pylist()]
        write_part(tables, FILES, found)
        rows += found
    return rows


def file_row(path: str) -> list[Row]:
    """The row of one file: content, facts, tags; with an error in place of what cannot be read.

    A pure function of what lies there; the header and the container's own sums are looked at, the sound is
    not decoded.
    """
    row = _place(path)
    if fault := fault_of(Path(path)):
        return [{**row, "error": fault}]
    try:
        state = os.stat(path)
        data = Source(path, Path(path)).read()
    except OSError as error:
        return [{**row, "error": printable(str(error))}]
    row |= {"bytes": len(data), "modified": state.st_mtime_ns, "content": hashlib.sha256(data).hexdigest()}
    row |= tags_of(bytes(data))
    try:
        row |= facts_of(bytes(data))
    except AudioError as error:
        row["error"] = str(error)
    return [row]


def facts_of(data: bytes) -> Row:
    """Seconds, rate, channels and codec of what a file holds, from its header; AudioError of damage."""
    signal = read_source(Source("", data=data), data, minimum_bits=8, peak_limit=math.inf, most=0)
    import soundfile

    try:
        facts = soundfile.info(io.BytesIO(data))
        known = {"channels": facts.channels, "codec": f"{facts.format}/{facts.subtype}"}
        seconds = facts.frames / facts.samplerate
    except soundfile.LibsndfileError:  # AAC, which PyAV has opened just now
        import av

        with av.open(io.BytesIO(data)) as container:
            stream = container.streams.audio[0]
            known = {
                "channels": stream.codec_context.channels,
                "codec": f"{container.format.name}/{stream.name}",
            }
            seconds = float((stream.duration or 0) * stream.time_base)
    if not seconds > 0:
        raise AudioError("0 samples; likely an interrupted recording")
    return {"seconds": seconds, "rate": signal.rate, **known}


def tags_of(data: bytes) -> Row:
    """Title, artist, album, genre, year, license; what is not told, or makes no sense, is left out."""
    from tinytag import TinyTag, TinyTagException

    try:
        tag = TinyTag.get(file_obj=io.BytesIO(data))
    except (
        TinyTagException,
        ValueError,
        OSError,
        IndexError,
        KeyError,
    ):  # of damage; what it is the facts say
        return {}
    texts = {name: getattr(tag, name) for name in TAGS[:-1]} | {
        "license": next(iter(tag.other.get("license", tag.other.get("copyright", []))), None)
    }
    row: Row = {name: text.strip() for name, text in texts.items() if text and text.strip()}
    if year := re.search(r"\d{4}", tag.year or ""):
        row["year"] = int(year[0])
    return row


def labels_of(path: Path) -> dict[bytes, Row]:
    """What a CSV says of files: path -> columns among ``LISTED``.

    Its first line names the columns: one of paths (path, file, file_name, ...), absolute or relative to the
    folder of the list, and any of label, group, license, title, artist, album, genre, year. Empty cells say
    nothing.

    Raises
    ------
    AudioError
        No such file, not UTF-8, no column of paths, none of the others, a year that is no number.
    """
    try:
        rows = list(
            csv.DictReader(path.read_text(encoding="utf-8-sig", errors="surrogateescape").splitlines())
        )
    except OSError as error:
        raise AudioError(f"labels: {printable(str(path))} cannot be read ({error.strerror})") from None
    columns = {name.strip().lower(): name for name in (rows[0] if rows else {}) if name}
    paths = next((columns[name] for name in columns if name in PATH_HEADERS), None)
    told = [name for name in LISTED if name in columns]
    if paths is None or not told:
        raise AudioError(
            f"labels: {printable(str(path))} has the columns {', '.join(columns) or '(none)'}; one of paths "
            f"(path, file, ...) is needed and at least one of {', '.join(LISTED)}"
        )
    found: dict[bytes, Row] = {}
    for number, row in enumerate(rows, 2):
        cells: Row = {name: row[columns[name]].strip() for name in told if (row[columns[name]] or "").strip()}
        if "year" in cells:
            if not cells["year"].isdigit():
                raise AudioError(
                    f"labels: {path}, line {number}: the year is {cells['year']!r}, and a number is needed"
                )
            cells["year"] = int(cells["year"])
        found[os.fsencode(os.path.abspath(path.parent / row[paths]))] = cells
    return found


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise AudioError(f"{printable(str(folder))} is no folder; give the folder that holds the songs")
    return folder


def _place(path: str) -> Row:
    return {"path": printable(path), "path_bytes": os.fsencode(path)}


def _first_folder(path: Path, root: Path) -> str | None:
    """The folder directly below ``root`` in which a file lies; None of a file in ``root`` itself."""
    parts = path.relative_to(root).parts
    return printable(parts[0]) if len(parts) > 1 else None


def _labelled(row: Row, given: Row) -> Row:
    """With what was said of the file; its group is its artist if nothing else was said."""
    row = {
        **row,
        **_place(os.fsdecode(row["path_bytes"])),
        **{k: v for k, v in given.items() if v is not None},
    }
    return {**row, "group": row["group"] or row["artist"]}


def _known(tables: Path) -> dict[bytes, Row]:
    with connect(tables, only=("files",)) as connection:
        rows = connection.sql("select * exclude (written) from files").to_arrow_table().to_pylist()
    return {row["path_bytes"]: row for row in rows}


def _is_unchanged(row: Row, source: Source, given: Row) -> bool:
    """Size, time of change and what is said of it are as the row has them; a fault is looked at again."""
    if source.fault or row["error"] or any(row[name] != value for name, value in given.items()):
        return False
    state = os.stat(source.path or "")
    return (row["bytes"], row["modified"]) == (state.st_size, state.st_mtime_ns)


def _moved(gone: Iterator[Row] | Any, new: Iterator[Row]) -> tuple[tuple[str, str], ...]:
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
