"""What a collection consists of: one row a file, with its content, facts and tags; or why it cannot be read.

Conventions
    incremental   a file of the same size and time of change is not read again, unless asked for.
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
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from pyarrow.dataset import dataset, field

from audio_distance.audio import read_source
from audio_distance.errors import AudioError
from audio_distance.output import printable
from audio_distance.sources import Source, fault_of, list_folder
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
        A folder that cannot be opened, and a link that leads nowhere or to what holds the folder, is a row
        with its error. A link back into it, as of a loop, is no row, and told of.
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
        gone), a list that cannot be read or names what is not there, tables that cannot be written.
    """
    roots = [Path(os.path.abspath(folder)) for folder in folders]
    sources, first_folders = _listed(roots)
    passed, repeated = _beside(roots, sources)
    said: dict[bytes, Row] | None = None
    if labels or label_by_folder:
        listed = labels_of(labels) if labels else {}
        if unknown := sorted(printable(os.fsdecode(name)) for name in listed.keys() - sources.keys()):
            raise AudioError(
                f"labels: {len(unknown)} of the {len(listed)} paths in {printable(str(labels))} are in none "
                f"of the folders, the first is {unknown[0]}; relative paths are taken from the list's folder"
            )
        by_folder = first_folders if label_by_folder else {}
        said = {name: {"label": by_folder.get(name), **listed.get(name, {})} for name in sources}
    known = _known(tables)
    same = {
        name
        for name, source in sources.items()
        if not check and name in known and _is_unchanged(known[name], source, said and said[name])
    }
    gone = _gone(known, sources, roots)
    waiting = {name: source for name, source in sources.items() if name not in same}
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


def _listed(roots: Sequence[Path]) -> tuple[dict[bytes, Source], dict[bytes, str]]:
    """All files below the roots, each once; the first folder of each."""
    sources: dict[bytes, Source] = {}
    first_folders: dict[bytes, str] = {}
    for root in roots:
        if not root.is_dir():
            raise AudioError(f"{printable(str(root))} is no folder; give the folder that holds the songs")
        for source in list_folder(root, "index").sources:
            path = source.path or root  # of a folder's listing all have one
            name = os.fsencode(path)
            if name not in sources and len(path.relative_to(root).parts) > 1:
                first_folders[name] = printable(path.relative_to(root).parts[0])
            sources.setdefault(name, source)
    return sources, first_folders


def _beside(
    roots: Sequence[Path], sources: Container[bytes]
) -> tuple[tuple[tuple[str, int], ...], tuple[tuple[str, str], ...]]:
    """What lies below the roots and is not listed: ``Indexed.passed`` and ``repeated``."""
    passed: set[str] = set()
    repeated: dict[str, str] = {}
    for root in roots:
        places: dict[str, str] = {}  # real folder -> the name under which it is listed
        waiting = [str(root)]  # in the order of list_folder: links last
        while waiting:
            for folder, folders, names in os.walk(waiting.pop(0)):
                if (place := places.setdefault(os.path.realpath(folder), folder)) != folder:
                    repeated[folder] = place
                    folders.clear()
                    continue
                folders[:] = sorted(name for name in folders if not name.startswith("."))
                links = filter(os.path.islink, (os.path.join(folder, name) for name in folders))
                waiting += (link for link in links if os.fsencode(link) not in sources)
                paths = (os.path.join(folder, name) for name in names)
                passed.update(path for path in paths if os.fsencode(path) not in sources)
    kinds = Counter(map(_kind, passed)).items()
    return (
        tuple(sorted(kinds, key=lambda kind: (-kind[1], kind[0]))),
        tuple((printable(path), printable(place)) for path, place in sorted(repeated.items())),
    )


def _kind(path: str) -> str:
    """Extension of a file that is passed over; of "5. Finale" it has none."""
    name = os.path.basename(path)
    found = re.search(r"\.[a-z0-9]{1,5}$", name.lower())
    return "hidden" if name.startswith(".") else found[0] if found else "without extension"


def _read_into(
    tables: Path,
    sources: Mapping[bytes, Source],
    known: Mapping[bytes, Row],
    said: Mapping[bytes, Row] | None,
    lost: Mapping[bytes | str, Row],
    engine: Mapping[str, Any],
) -> list[Row]:
    """The rows of all ``sources``, written chunk by chunk; those that are there already are not again."""

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
        labelled({**_NOTHING, "path_bytes": name, "error": source.fault})
        for name, source in sources.items()
        if source.fault
    ]
    rows: list[Row] = []
    paths = [os.fsdecode(name) for name, source in sources.items() if not source.fault]
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
    if fault := fault_of(Path(path)):
        return [{**row, "error": fault}]
    try:
        state = os.stat(path)  # before it is read: a change during the reading is seen the next time
        data = Source(path, Path(path)).read()
    except OSError as error:
        return [{**row, "error": printable(str(error))}]
    row |= {"bytes": len(data), "modified": state.st_mtime_ns, "content": hashlib.sha256(data).hexdigest()}
    row |= tags_of(data)
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


def _is_unchanged(row: Row, source: Source, said: Row | None) -> bool:
    """Size, time of change and what is said of it are as the row has them; a fault is looked at again."""
    if source.fault or row["error"] or any(row[name] != value for name, value in (said or {}).items()):
        return False
    try:
        state = os.stat(source.path or "")
    except OSError:  # gone since it was listed
        return False
    return (row["bytes"], row["modified"]) == (state.st_size, state.st_mtime_ns)


def _gone(known: Mapping[bytes, Row], sources: Mapping[bytes, Source], roots: Sequence[Path]) -> list[Row]:
    """What lay below the roots; but not below a folder that cannot be looked into now."""
    closed = [source.path for source in sources.values() if source.fault and source.path is not None]
    gone = []
    for name in known.keys() - sources.keys():
        path = Path(os.fsdecode(name))
        if any(path.is_relative_to(root) for root in roots) and not any(map(path.is_relative_to, closed)):
            gone.append(known[name])
    return gone


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
