"""A folder of fetched songs: what is there, what is half done, and what is known of each.

Conventions
    key        of a song: it ends every file name, so that no two addresses share one.
    record     of a song that is there, written before the song takes its name.
"""

from __future__ import annotations

import csv
import errno
import hashlib
import json
import os
import re
import shutil
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from audio_distance.audio import rate_of
from audio_distance.containers import contents, give_back, kind_of, tag_length
from audio_distance.errors import AudioError
from audio_distance.output import printable
from audio_distance.sources import Source
from audio_distance.storage import replacing
from songs.catalogues import EXTENSIONS, Song
from songs.polite import Unfit

FULL = {errno.ENOSPC, errno.EDQUOT}
HEAD = 512  # bytes that tell a sound from an error page


@dataclass(frozen=True)
class Record:
    """One fetched song: what ``records/key.json`` holds."""

    file: str  # name below the folder
    address: str
    final_address: str  # after redirects
    sha256: str
    bytes: int
    license: str
    artist: str
    title: str
    genre: str
    fetched_at: str  # ISO 8601, UTC


@dataclass(frozen=True)
class Outcome:
    """What became of an address.

    state : "fetched", "there", "refused" (by its licence), "damaged" (all of it came and is no whole sound:
    not asked for again until one asks to) or "failed" (the next run tries again).
    """

    state: str
    address: str
    fault: str = ""
    record: Record | None = None


class DiskFull(Exception):
    """Nothing more can be written; what is half done is kept."""


class Part:
    """What is there of one address, and of which version of it."""

    def __init__(self, folder: Path, key: str) -> None:
        self.path, self._state = folder / f"{key}.part", folder / f"{key}.json"
        try:
            self.version: dict[str, Any] = json.loads(self._state.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self.version = {}

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def validator(self) -> str:
        """What If-Range may carry: a strong ETag, else a date; without one no rest can be trusted to fit."""
        etag = self.version.get("etag", "")
        return etag if etag.startswith('"') else self.version.get("last_modified", "")

    def begin(self, version: dict[str, Any]) -> None:
        """Empty, for this version. In this order: a kill in between leaves no old bytes under a new name."""
        with telling_full():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_bytes(b"")
        _write_json(self._state, version)
        self.version = version

    def clear(self) -> None:
        """Nothing of it can be used."""
        self.path.unlink(missing_ok=True)
        self._state.unlink(missing_ok=True)
        self.version = {}

    def become(self, path: Path) -> None:
        os.replace(self.path, path)
        self._state.unlink(missing_ok=True)


class Folder:
    """A folder of songs: see above. One process at a time may fetch into it (``alone``)."""

    def __init__(self, path: Path) -> None:
        self.path, self._records = path, path / "records"

    def part(self, song: Song) -> Part:
        return Part(self.path / ".parts", song.key)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """AudioError if another process fetches into the folder; a killed one holds nothing."""
        (self.path / ".parts").mkdir(parents=True, exist_ok=True)
        self._records.mkdir(exist_ok=True)
        with (self.path / ".parts" / "lock").open("w") as lock:
            with suppress(ModuleNotFoundError):  # Windows
                import fcntl

                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise AudioError(f"{self.path}: another process is fetching into it") from None
                for place in (self.path, self._records, self.path / ".parts"):
                    for left in place.glob(".*.part"):  # what a killed one was about to name
                        shutil.rmtree(left, ignore_errors=True)
            yield

    def record(self, song: Song, *, verify: bool = False) -> Record | None:
        """The record of a song that is there: its size is compared, and its checksum if ``verify``."""
        record = _record_of(self._records / f"{song.key}.json")
        if record is None:
            return None
        path, part = self.path / record.file, self.part(song)
        # A record is written before its song takes its name, so that no song is ever without one.
        if not path.exists() and part.size == record.bytes and _sha256(part.path) == record.sha256:
            part.become(path)
        if not path.is_file() or path.stat().st_size != record.bytes:
            return None
        return record if not verify or _sha256(path) == record.sha256 else None

    def keep(self, song: Song, part: Part, *, final: str) -> Record:
        """Name what a part holds, if it is a whole sound, and record it; else Unfit."""
        found = _sha256(part.path)
        if song.sha256 and found != song.sha256.lower():
            raise Unfit(f"its SHA-256 is {found[:16]}..., and the catalogue states {song.sha256[:16]}...")
        name = file_name(song, extension_of(part.path))
        record = Record(
            file=name, address=song.address, final_address=final, sha256=found, bytes=part.size,
            license=song.license, artist=song.artist, title=song.title, genre=song.genre,
            fetched_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )  # fmt: skip
        _write_json(self._records / f"{song.key}.json", asdict(record))
        part.become(self.path / name)
        (self._records / f"{song.key}.failed.json").unlink(missing_ok=True)
        return record

    def tell(self, song: Song, outcome: Outcome) -> None:
        """Record why a song did not come."""
        told = {
            "state": outcome.state,
            "fault": outcome.fault,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        _write_json(self._records / f"{song.key}.failed.json", {**asdict(song), **told})

    def damage(self, song: Song) -> str:
        """What was wrong with a song that came whole in an earlier run, "" if nothing is known."""
        try:
            told = json.loads((self._records / f"{song.key}.failed.json").read_text(encoding="utf-8"))
            same = told["sha256"] == song.sha256  # a catalogue that was corrected is believed
            return str(told["fault"]) if told["state"] == "damaged" and same else ""
        except (OSError, ValueError, LookupError, TypeError):
            return ""

    def records(self) -> list[Record]:
        """Of all songs that are there, by file name."""
        found = [_record_of(path) for path in self._records.glob("*.json") if not path.match("*.failed.json")]
        there = (record for record in found if record and (self.path / record.file).is_file())
        return sorted(there, key=lambda record: record.file)

    def write_table(self) -> None:
        """``fetched.csv``: the records, in the columns that ``songs index --labels`` reads."""
        names = [item.name for item in fields(Record) if item.name != "file"]
        with (
            _durably(self.path / "fetched.csv") as part,
            part.open("w", encoding="utf-8", newline="") as file,
        ):
            table = csv.writer(file)
            table.writerow(["path", *names])
            table.writerows(
                [record.file, *(getattr(record, name) for name in names)] for record in self.records()
            )


def _record_of(path: Path) -> Record | None:
    try:
        return Record(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None  # the song is fetched again


@contextmanager
def _durably(path: Path) -> Iterator[Path]:
    """``replacing``, on the disk before it takes its name; a disk that is full is DiskFull."""
    with telling_full(), replacing(path) as part:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())


@contextmanager
def telling_full() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise DiskFull(error.strerror) from None
        raise


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    with _durably(path) as part:
        part.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_name(song: Song, extension: str) -> str:
    """``Artist - Title [key].extension``: one name of at most 200 bytes on every file system, of one address.

    An _ replaces what some system forbids: slashes, <>:"|?*, control characters, a leading dot or dash, the
    devices of Windows. The key also keeps names apart that differ by case or accents alone.
    """
    parts = (" ".join(part.split()) for part in (song.artist, song.title))  # a blank one is none
    text = " - ".join(filter(None, parts)) or " ".join(_stem(song.address).split()) or "song"
    text = unicodedata.normalize("NFC", text)
    text = "".join(
        "_" if letter in '<>:"/\\|?*' or unicodedata.category(letter)[0] == "C" else letter for letter in text
    )
    text = re.sub(r"^[.\-~ ]", "_", text)
    text = re.sub(r"^(con|prn|aux|nul|com\d|lpt\d)(?=[.\s]|$)", r"_\1", text, flags=re.I)
    text = text.encode()[:170].decode(errors="ignore").rstrip(" .")
    return f"{text} [{song.key}].{extension}"


def _stem(address: str) -> str:
    from urllib.parse import unquote

    return unquote(urlsplit(address).path).rstrip("/").rpartition("/")[2].rpartition(".")[0]


def refuse_page(head: bytes) -> None:
    """Unfit if the first bytes of a file are those of a page, or of nothing that sounds."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text[:1] in {b"<", b"{", b"["}:
        begin = printable(" ".join(text[:60].decode("utf-8", "replace").split()))
        raise Unfit(f"is a page and no sound, likely an error with status 200; it begins {begin!r}")
    head = head.lstrip(b"\0")  # in front of some MP3
    if head and not kind_of(head[:12]) and not tag_length(head):
        raise Unfit(f"is no sound that is known here: it begins with the bytes {head[:8].hex(' ')}")


def extension_of(path: Path) -> str:
    """What the name of a sound should end with; Unfit if the file is no sound, or not whole.

    Its containers' own sizes, counts and checksums are read; it is not decoded.
    """
    source = Source(str(path), path)
    data = source.read()
    try:
        refuse_page(data[:HEAD])
        start = len(data[:HEAD]) - len(data[:HEAD].lstrip(b"\0"))
        while not kind_of(data[start : start + 12]) and (tag := tag_length(data, start)):
            start += tag
        kind = kind_of(data[start : start + 12])
        contents(data)
        if kind not in {"mp4", "adts"}:  # need a package that may not be there
            rate_of(source)
        if kind not in EXTENSIONS:
            raise AudioError("holds tags and no sound")
        return "opus" if kind == "ogg" and b"OpusHead" in data[start : start + 64] else EXTENSIONS[kind]
    except AudioError as error:
        raise Unfit(f"is no whole sound: {error}") from None
    finally:
        give_back(data)
