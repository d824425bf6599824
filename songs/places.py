"""Where songs lie: folders and files of this machine, and addresses, which fsspec opens.

Conventions
    place      of a folder or a file, as text: a path, or an address.
    address    s3://bucket/folder, hdfs://host/folder, https://host/folder/, zip://folder::file:///songs.zip;
               what stands behind "::" holds what stands before it. Hadoop's s3a:// and s3n:// are s3://.
    local      a path, or a file:// address, which is a path with another name: links, devices and loops are
               told alike of both.
    below      of a folder: what is added to its place for a file in it; addresses stay as they were given.

Credentials, endpoints and proxies are those that each file system finds for itself: the environment, its own
files, fsspec's (https://filesystem-spec.readthedocs.io/en/latest/features.html#configuration). A password in
an address would stand in every row. Nothing is written to a place. What lies at an address is read whole into
memory; of a large local file there is a map.
"""

from __future__ import annotations

import mmap
import os
import re
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, NamedTuple

from audio_distance.errors import AudioError
from audio_distance.output import printable
from audio_distance.sources import EXTENSIONS, Source, fault_of, list_folder

_ADDRESS = re.compile(r"(?:[a-z][a-z0-9+.-]*::)*[a-z][a-z0-9+.-]*://")
_LOCAL = re.compile(r"(?:file|local)://")
_CACHES = {"simplecache", "filecache", "blockcache", "cached"}  # whose folders are those of what they keep


class State(NamedTuple):
    """What tells that a file has changed; ``etag`` where a server tells no time. None: it is not told."""

    bytes: int | None
    modified: int | None  # ns since 1970; of an address whole seconds, for HTTP has no finer ones
    etag: str | None = None

    @property
    def is_told(self) -> bool:
        return self.bytes is not None and (self.modified is not None or self.etag is not None)


@dataclass(frozen=True)
class Found:
    """A file below a folder: why it cannot be read, if that is known; its state, if the listing tells it."""

    fault: str = ""
    state: State | None = None


@dataclass(frozen=True)
class Listing:
    """What lies below a folder, each by its place."""

    files: dict[str, Found] = field(default_factory=dict)  # sorted
    passed: dict[str, str] = field(default_factory=dict)  # no audio by its extension, or hidden: its name
    repeated: dict[str, str] = field(default_factory=dict)  # folders that are listed already: where


def is_address(place: str) -> bool:
    """Whether it begins as an address does; any other text is a path."""
    return _ADDRESS.match(place) is not None


def local_path(place: str) -> Path | None:
    """The path of a place of this machine, None of any other."""
    if not is_address(place):
        return Path(place)
    if not _LOCAL.match(place):
        return None
    from fsspec.implementations.local import LocalFileSystem

    return Path(LocalFileSystem._strip_protocol(place))


def normal(place: str | os.PathLike[str]) -> str:
    """The one text by which a place is known: a path made absolute, no "/" at the end of an address."""
    place = os.fspath(place)
    if (path := local_path(place)) is not None:
        return ("file://" if is_address(place) else "") + os.path.abspath(path)
    head, behind = _split(place)
    return (head if head.endswith("://") else head.rstrip("/")) + behind


def below(place: str, folder: str) -> str | None:
    """What ``place`` has behind ``folder``, without the "/" between them; None of what lies elsewhere."""
    start, behind = _split(folder)
    separator = "/" if is_address(folder) else os.sep
    start = start if start.endswith(separator) else start + separator
    is_below = place.startswith(start) and place.endswith(behind) and place != start + behind
    return place[len(start) : len(place) - len(behind)] if is_below else None


def _joined(folder: str, name: str) -> str:
    head, behind = _split(folder)
    return (head if head.endswith("/") else f"{head}/") + name + behind


def _split(place: str) -> tuple[str, str]:
    """An address as what holds the path, and "::" with all behind it; of anything else all is path."""
    if not is_address(place) or _LOCAL.match(place):
        return place, ""
    bits = place.split("::")
    first = next(i for i, bit in enumerate(bits) if bit not in _CACHES)
    bits[first] += "" if "://" in bits[first] else "://"  # zip::file:///songs.zip
    return "::".join(bits[: first + 1]), "".join(f"::{bit}" for bit in bits[first + 1 :])


# ----------------------------------------------------------------------------------------------- reading


def read(place: str) -> bytes | mmap.mmap:
    """All bytes of a file. AudioError if it cannot be read: the reason alone, for who has its place."""
    path = local_path(place)
    try:
        if path is not None:
            return Source(place, path, fault=fault_of(path)).read()
        filesystem, name = _opened(place)
        return filesystem.cat_file(name)
    except AudioError:
        raise
    except Exception as error:  # every file system has errors of its own
        raise AudioError(f"unreadable ({_reason(error)}); likely {_cause(error, path)}") from None


def state_of(place: str) -> State:
    """What tells whether a file has changed; nothing is told of what cannot be asked."""
    path = local_path(place)
    try:
        if path is not None:
            state = os.stat(path)
            return State(state.st_size, state.st_mtime_ns)
        filesystem, name = _opened(place)
        return _state(filesystem.info(name))
    except Exception:  # whoever reads it is told why
        return State(None, None)


def _opened(address: str) -> tuple[Any, str]:
    """The file system of an address, and what it calls the place. AudioError if there is no such system."""
    from fsspec.core import url_to_fs

    try:
        return url_to_fs(re.sub(r"(^|::)s3[an]://", r"\1s3://", address))
    except ImportError as error:
        missing = getattr(error.__cause__, "name", None)
        what = f"{missing} is not installed; pip install {missing}" if missing else _reason(error)
        raise AudioError(f"no way to open {printable(address)}: {what}") from None
    except ValueError as error:
        if "Protocol not known" not in str(error):
            raise
        name = printable(address.partition("://")[0])
        raise AudioError(
            f"no way to open {printable(address)}: fsspec knows no file system {name}; likely a typing error"
        ) from None


def _state(info: Mapping[str, Any]) -> State:
    """Of what a file system tells of a file, each in words of its own."""
    modified = next(filter(None, (_nanoseconds(name, info.get(name)) for name in _TIMES)), None)
    etag = info.get("ETag") or info.get("etag")
    return State(info.get("size"), modified, None if modified or not etag else str(etag))


# S3, Azure; Arrow (hdfs), SFTP, tar; WebHDFS; HTTP; Google; zip; memory.
_TIMES = (
    *("LastModified", "last_modified", "mtime", "modificationTime", "Last-Modified", "updated", "date_time"),
    "created",
)
_MILLISECONDS = {"modificationTime"}


def _nanoseconds(name: str, value: Any) -> int | None:
    """A time in any of their forms, in ns since 1970 and whole seconds; None of what is no time."""
    try:
        if isinstance(value, (int, float)):
            value = datetime.fromtimestamp(value / (1000 if name in _MILLISECONDS else 1), UTC)
        elif isinstance(value, tuple):
            value = datetime(*value)
        elif isinstance(value, str):
            value = parsedate_to_datetime(value) if "," in value else datetime.fromisoformat(value)
        if not isinstance(value, datetime):
            return None
    except (ValueError, TypeError, OverflowError):
        return None
    value = value if value.tzinfo else value.replace(tzinfo=UTC)
    return (value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1) * 10**9


def _reason(error: Exception) -> str:
    """An error in one printable line that is not too long."""
    text = " ".join(str(error).split())
    text = text if re.search(r"\w \w", text) else f"{type(error).__name__}: {text}".rstrip(": ")
    return printable(text[:200])


def _cause(error: Exception, path: Path | None = None) -> str:
    if path is not None:
        return "no permission, or a disk that failed"
    if isinstance(error, FileNotFoundError):
        return "removed or renamed, or a typing error"
    if isinstance(error, PermissionError) or "Credential" in type(error).__name__:
        return "no credentials here, or such as may not read it"
    if isinstance(error, (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError)):
        return "a damaged archive, or none"
    if re.search("libjvm|libhdfs", str(error)):
        return "no Java or no Hadoop on this machine (JAVA_HOME, HADOOP_HOME, CLASSPATH)"
    return "no network, a wrong host, or a server that failed"


# ----------------------------------------------------------------------------------------------- listing


def listed(folder: str) -> Listing:
    """All files below a folder, by extension, and what else is there; ``folder`` as ``normal`` gives it.

    What cannot be read or looked into, and what a name hides from an address, is a file with a fault.

    Raises
    ------
    AudioError
        No such folder, or one that holds no audio; an address that cannot be opened: its file system is
        unknown or not installed, refuses, or does not answer.
    """
    path = local_path(folder)
    if path is None:
        return _listed_there(folder)
    if not path.is_dir():
        raise AudioError(f"{printable(folder)} is no folder; give the folder that holds the songs")
    before = folder.removesuffix(str(path))
    files = {str(source.path): Found(source.fault) for source in list_folder(path, "index").sources}
    passed, repeated = _beside(path, files)
    return Listing(
        {before + name: found for name, found in files.items()},
        {before + name: os.path.basename(name) for name in passed},
        {before + name: before + place for name, place in repeated.items()},
    )


def _beside(root: Path, files: Mapping[str, Found]) -> tuple[set[str], dict[str, str]]:
    """What lies below a local folder and is not listed: files, and folders that are listed elsewhere."""
    passed: set[str] = set()
    repeated: dict[str, str] = {}
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
            waiting += (link for link in links if link not in files)
            passed.update(path for name in names if (path := os.path.join(folder, name)) not in files)
    return passed, repeated


def _listed_there(address: str) -> Listing:
    """``listed`` of an address: a request a folder, for ``fs.find`` tells of no folder that fails."""
    listing = Listing()
    try:
        filesystem, root = _opened(address)
        filesystem.invalidate_cache()  # of an earlier listing in this process
        root = root.rstrip("/")
        waiting = {root: filesystem.ls(root, detail=True)}
    except AudioError:
        raise
    except Exception as error:
        raise AudioError(
            f"{printable(address)} cannot be listed ({_reason(error)}); likely {_cause(error)}"
        ) from None
    if [info["name"].rstrip("/") for info in waiting[root] if info["type"] != "directory"] == [root]:
        raise AudioError(f"{printable(address)} is no folder; give the folder that holds the songs")
    seen = {root}
    while waiting:
        for info in waiting.popitem()[1]:
            path = info["name"].rstrip("/")
            name, place = path.rpartition("/")[2], _joined(address, path.removeprefix(root).lstrip("/"))
            if path in seen:  # the mark of an empty folder in S3 has its name; a page may link to one twice
                continue
            seen.add(path)
            kind, is_audio = info["type"], os.path.splitext(name)[1].lower() in EXTENSIONS
            if name.startswith("."):
                if kind != "directory":
                    listing.passed[place] = name
            elif kind == "directory":
                try:
                    waiting[path] = filesystem.ls(path, detail=True)
                except Exception as error:
                    listing.files[place] = Found(f"a folder that cannot be opened ({_reason(error)})")
            elif kind == "file" and not is_audio:
                listing.passed[place] = name
            else:
                listing.files[place] = _found(info, place, address)
    if not any(not found.fault for found in listing.files.values()):
        faults = (f"\n  {printable(place)}: {found.fault}" for place, found in sorted(listing.files.items()))
        raise AudioError(
            f"index: {printable(address)} holds no audio files ({len(listing.passed)} other files passed "
            f"over). Known extensions: {' '.join(sorted(EXTENSIONS))}." + "".join(faults)
        )
    return Listing(dict(sorted(listing.files.items())), listing.passed)


def _found(info: Mapping[str, Any], place: str, address: str) -> Found:
    if info["type"] != "file":
        return Found(f"a {info['type']}, where a file is needed; at an address it is not followed")
    if "::" in (below(place, address) or ""):
        return Found('"::" in its name, which in an address leads into another file; rename it')
    state = _state(info)
    return Found("", state if state.is_told else None)  # a page of links tells no size: it is asked for later
