"""Sets of recordings that are a download: looked for on this machine, and brought to it on demand.

Downloads are looked for below the folder named by the environment variable ``AUDIO_DATA``
(``fsdd/recordings/*.wav``, ``esc10/NNN - Name/*.ogg``), then in pooch's cache folder, to which

    $ python -m study.datasets download digits

brings them. Nothing is downloaded unless asked for. A set that is not there, or not all there,
raises ``MissingData``: part of a set would give other figures without a word.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import soundfile

from study.datasets.audio_set import AudioSet, MissingData, _relative

ENVIRONMENT = "AUDIO_DATA"


@dataclass(frozen=True)
class _Download:
    folder: str  # below AUDIO_DATA
    pattern: str  # of the audio files in it
    count: int | None  # None: whatever is there
    digest: str  # of the names and bytes of the audio files, see _digest
    address: str  # empty: there is none
    inside: str  # the folder inside the archive that holds what ``folder`` holds
    source: str


_DOWNLOADS = {
    "digits": _Download(
        folder="fsdd/recordings",
        pattern="*.wav",
        count=3000,
        digest="997e451901d158bdf09dde66b240f3f19310fdbf4d9c056ebd806254df4a672c",
        address="https://github.com/Jakobovski/free-spoken-digit-dataset/archive/"
        "26eb9aaf76e81b692f806f9140c2d2777410d7a1.zip",
        inside="recordings",
        source="Free Spoken Digit Dataset, commit 26eb9aa, CC BY-SA 4.0",
    ),
    "sounds": _Download(
        folder="esc10",
        pattern="*/*.ogg",
        count=400,
        digest="ce10ba7e2e6886a9b4b0a914db5caa352a080f81b418e7ada1d793fb0df39933",
        address="https://github.com/karolpiczak/ESC-10/archive/553c8f1743b9dba6b282e1323c3ca8fa76923448.zip",
        inside="",
        source="ESC-10 by K. J. Piczak, commit 553c8f1, CC BY 3.0",
    ),
    "rated": _Download(
        folder="rated",
        pattern="*/*/*.flac",
        count=None,
        digest="",
        address="",
        inside="",
        source="published listening tests, see study.datasets.RATED; most demo pages state no licence",
    ),
}


def digits(*, count: int | None = None, rng: np.random.Generator | None = None) -> AudioSet:
    """Return spoken digits at 8 kHz, 0.14 to 2.3 s: label the digit, group the speaker (of six).

    The published division: takes 0 to 4 of each digit and speaker are "test", the others "train". All
    3,000, or ``count`` of them drawn without replacement from ``rng``. Raises MissingData where the
    recordings are not there, ValueError for a count without ``rng`` or beyond the set.
    """
    paths = _draw(_files("digits"), count, rng)
    parts = [path.stem.split("_") for path in paths]
    folds = ["test" if int(p[2]) < 5 else "train" for p in parts]
    return _recordings("digits", paths, [p[0] for p in parts], [p[1] for p in parts], folds)


def sounds(*, count: int | None = None, rng: np.random.Generator | None = None) -> AudioSet:
    """Return environmental sounds at 44.1 kHz, about 5 s, ten classes of 40.

    The label is the class. The group is the recording a clip was cut from: several clips can be
    of one. Five folds are published, each recording in one. ``count``, ``rng`` and errors as in ``digits``.
    """
    paths = _draw(_files("sounds"), count, rng)
    labels = [path.parent.name.split(" - ", 1)[1] for path in paths]
    folds, groups = zip(*(path.stem.split("-")[:2] for path in paths), strict=True)
    return _recordings("sounds", paths, labels, groups, folds)


def available(name: str) -> bool:
    """Return whether the set ``name`` can be loaded here; ValueError for a name that is none."""
    if name == "tones":
        return True
    if name == "instruments":
        return all(importlib.util.find_spec(m) for m in ("midirenderer", "pretty_midi", "mido"))
    try:
        _files(name)
    except MissingData:
        return False
    return True


def download(name: str) -> Path:
    """Bring ``"digits"`` or ``"sounds"`` to pooch's cache folder; return the folder of the set.

    The commit is pinned by the address and the content by a checksum over the audio files, which
    unlike one of the archive does not depend on how it was packed. A set that is complete there
    is not fetched again. ValueError for another name, OSError if the content is not as pinned.
    """
    wanted = _wanted(name)
    if not wanted.address:
        raise ValueError(f"{name} has no download; see study.datasets.rated")
    place = _cache() / wanted.folder
    if _digest_or_none(place, wanted) == wanted.digest:
        return place
    import pooch

    place.parent.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(dir=place.parent))
    try:
        archive = pooch.retrieve(wanted.address, known_hash=None, path=stage, progressbar=False)
        unpacked = stage / "audio"
        with zipfile.ZipFile(archive) as members:
            for member in members.namelist():
                # The first part of a path in the archive is the repository and its commit.
                inside = PurePosixPath(*PurePosixPath(member).parts[1:])
                if inside.match(f"{wanted.inside}/{wanted.pattern}".lstrip("/")):
                    target = unpacked / inside.relative_to(wanted.inside)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(members.read(member))
        if _digest_or_none(unpacked, wanted) != wanted.digest:
            raise OSError(f"{wanted.address} does not hold the {wanted.count} files expected")
        shutil.rmtree(place, ignore_errors=True)
        os.replace(unpacked, place)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return place


def main(argv: list[str] | None = None) -> int:
    """Run ``python -m study.datasets download NAME``; return 0, or 2 after one line on stderr."""
    parser = argparse.ArgumentParser(
        prog="python -m study.datasets", description="Bring a set to this machine."
    )
    parser.add_argument("command", choices=["download"])
    parser.add_argument("name", choices=sorted(n for n, d in _DOWNLOADS.items() if d.address))
    options = parser.parse_args(argv)
    try:
        print(download(options.name))
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        print(f"study.datasets: error: {error}", file=sys.stderr)
        return 2
    return 0


def _wanted(name: str) -> _Download:
    if name not in _DOWNLOADS:
        raise ValueError(f"no set {name!r}; there are tones, instruments, {', '.join(_DOWNLOADS)}")
    return _DOWNLOADS[name]


def _cache() -> Path:
    import pooch

    return Path(pooch.os_cache("audio-sets"))


def _listed(folder: Path, wanted: _Download) -> list[Path]:
    return sorted(folder.glob(wanted.pattern), key=lambda path: _relative(path, folder))


def _files(name: str) -> list[Path]:
    wanted = _wanted(name)
    found = "nothing"
    local = os.environ.get(ENVIRONMENT)
    for root in ([Path(local)] if local else []) + [_cache()]:
        folder = root / wanted.folder
        paths = _listed(folder, wanted)
        if len(paths) == wanted.count or (paths and wanted.count is None):
            return paths
        if paths:
            found = f"{len(paths)} of {wanted.count} files in {folder}"
    other = (
        f", or run: python -m study.datasets download {name}" if wanted.address else "; it has no download"
    )
    raise MissingData(
        f"{name}: {found} found; set {ENVIRONMENT} to a folder that holds {wanted.folder}{other}"
    )


def _digest_or_none(folder: Path, wanted: _Download) -> str | None:
    """Return the SHA-256 over name, length and bytes of each audio file; None if files lack."""
    paths = _listed(folder, wanted)
    if not paths or wanted.count not in (None, len(paths)):
        return None
    digest = hashlib.sha256()
    for path in paths:
        content = path.read_bytes()
        digest.update(b"%s\0%d\0" % (_relative(path, folder).encode(), len(content)))
        digest.update(content)
    return digest.hexdigest()


def _draw(paths: list[Path], count: int | None, rng: np.random.Generator | None) -> list[Path]:
    if count is None:
        return paths
    if rng is None:
        raise ValueError("count needs rng, from which the recordings are drawn")
    if not 1 <= count <= len(paths):
        raise ValueError(f"count is {count}; it is 1 to {len(paths)}")
    return [paths[i] for i in np.sort(rng.choice(len(paths), size=count, replace=False))]


def _recordings(
    name: str, paths: list[Path], labels: Iterable[str], groups: Iterable[str], folds: Iterable[str]
) -> AudioSet:
    wanted = _wanted(name)
    folder = paths[0].parents[wanted.pattern.count("/")]
    signals, rates = [], set()
    for path in paths:
        signal, rate = soundfile.read(path, dtype="float32")
        if signal.ndim != 1:
            raise ValueError(f"{path} has {signal.shape[1]} channels; mono is expected")
        signals.append(signal)
        rates.add(rate)
    if len(rates) != 1:
        raise ValueError(f"{folder} holds the rates {sorted(rates)} Hz; one is expected")
    return AudioSet(
        name=name,
        signals=tuple(signals),
        rate=rates.pop(),
        names=tuple(_relative(path, folder) for path in paths),
        labels=tuple(labels),
        groups=tuple(groups),
        source=wanted.source,
        folds=tuple(folds),
    )
