"""Sets of recordings that are not part of this repository: found here, fingerprinted, brought on demand.

Conventions
    name        of a set: "digits", "sounds", "rated" or "rated_more" (rated sets, see ``ratings``).
    place       the folder of a set: below the folder named by the environment variable ``AUDIO_DATA``
                (``fsdd/recordings/*.wav``, ``esc10/NNN - Name/*.ogg``), else in pooch's cache folder.
    checksum    SHA-256 over name, length and bytes of each audio file: that of an archive would depend
                on how it was packed.

Nothing is downloaded unless asked for:

    $ python -m study.datasets download digits

A set that is not there, or not all there, raises ``MissingData``: part of a set would give other figures
without a word.
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
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import soundfile

from study.datasets.audio_set import AudioSet, MissingData, relative

ENVIRONMENT = "AUDIO_DATA"  # names the folder of recordings that one keeps oneself


@dataclass(frozen=True)
class Collection:
    """Where a set of recordings lies, how to know it is whole, and where it comes from."""

    folder: str  # below AUDIO_DATA
    pattern: str  # of the audio files in it
    source: str  # and licence
    count: int | None = None  # of audio files; None: whatever is there
    checksum: str = ""
    address: str = ""  # of an archive of one commit; empty: there is none
    inside: str = ""  # the folder of the archive that holds what ``folder`` holds

    def files(self, place: Path) -> list[Path]:
        """Return the audio files in a folder, sorted by name."""
        return sorted(place.glob(self.pattern), key=lambda path: relative(path, place))

    def whole(self, paths: Sequence[Path]) -> bool:
        """Return whether these are all: as many as were published, or any where that is open."""
        return len(paths) == self.count if self.count is not None else bool(paths)

    def place(self, path: Path) -> Path:
        """Return the folder that a file of the set was found in."""
        return path.parents[self.pattern.count("/")]


COLLECTIONS = {
    "digits": Collection(
        folder="fsdd/recordings",
        pattern="*.wav",
        source="Free Spoken Digit Dataset, commit 26eb9aa, CC BY-SA 4.0",
        count=3000,
        checksum="997e451901d158bdf09dde66b240f3f19310fdbf4d9c056ebd806254df4a672c",
        address="https://github.com/Jakobovski/free-spoken-digit-dataset/archive/"
        "26eb9aaf76e81b692f806f9140c2d2777410d7a1.zip",
        inside="recordings",
    ),
    "sounds": Collection(
        folder="esc10",
        pattern="*/*.ogg",
        source="ESC-10 by K. J. Piczak, commit 553c8f1, CC BY 3.0",
        count=400,
        checksum="ce10ba7e2e6886a9b4b0a914db5caa352a080f81b418e7ada1d793fb0df39933",
        address="https://github.com/karolpiczak/ESC-10/archive/553c8f1743b9dba6b282e1323c3ca8fa76923448.zip",
    ),
    "rated": Collection(
        folder="rated",
        pattern="*/*/*.flac",
        source="published listening tests, see study.datasets.RATED; most demo pages state no licence",
    ),
    "rated_more": Collection(
        folder="rated_more",
        pattern="*/*/*.flac",
        source="published listening tests, see study.datasets.RATED; demo pages that state no licence",
    ),
}


def digits(*, count: int | None = None, rng: np.random.Generator | None = None) -> AudioSet:
    """Return spoken digits at 8 kHz, 0.14 to 2.3 s: label the digit, group the speaker (of six).

    The published division: takes 0 to 4 of each digit and speaker are "test", the others "train". All
    3,000, or ``count`` of them drawn without replacement from ``rng``. Raises MissingData where the
    recordings are not there, ValueError for a count without ``rng`` or beyond the set.
    """
    paths = _draw(files("digits"), count, rng)
    described = [path.stem.split("_") for path in paths]  # DIGIT_SPEAKER_TAKE.wav
    labels, groups, takes = zip(*described, strict=True)
    folds = ["test" if int(take) < 5 else "train" for take in takes]
    return _read("digits", paths, labels, groups, folds)


def sounds(*, count: int | None = None, rng: np.random.Generator | None = None) -> AudioSet:
    """Return environmental sounds at 44.1 kHz, about 5 s, ten classes of 40.

    The label is the class. The group is the recording a clip was cut from: several clips can be
    of one. Five folds are published, each recording in one. ``count``, ``rng`` and errors as in ``digits``.
    """
    paths = _draw(files("sounds"), count, rng)
    labels = [path.parent.name.split(" - ", 1)[1] for path in paths]  # NNN - CLASS/
    folds, groups = zip(*(path.stem.split("-")[:2] for path in paths), strict=True)  # FOLD-RECORDING-PART.ogg
    return _read("sounds", paths, labels, groups, folds)


def available(name: str) -> bool:
    """Return whether the set ``name`` can be loaded here; ValueError for a name that is none.

    Beside the recordings it knows "tones", which are always there, and "instruments". Looks for files
    and packages, and reads none.
    """
    if name == "tones":
        return True
    if name == "instruments":
        return all(importlib.util.find_spec(m) for m in ("midirenderer", "pretty_midi", "mido"))
    try:
        files(name)
    except MissingData:
        return False
    return True


def files(name: str) -> list[Path]:
    """Return the audio files of a set of ``COLLECTIONS``, sorted by name below the set's folder.

    Raises MissingData, which says how to bring them, unless they are all there; ValueError for
    another name.
    """
    collection = _collection(name)
    there = "nothing"
    own = os.environ.get(ENVIRONMENT)
    for root in ([Path(own)] if own else []) + [cache_folder()]:
        place = root / collection.folder
        paths = collection.files(place)
        if collection.whole(paths):
            return paths
        if paths:
            there = f"{len(paths)} of {collection.count} files in {place}"
    otherwise = f", or run: python -m study.datasets download {name}"
    if not collection.address:
        otherwise = "; it has no download"
    raise MissingData(
        f"{name}: {there} found; set {ENVIRONMENT} to a folder that holds {collection.folder}{otherwise}"
    )


def fingerprint(name: str) -> dict[str, str | int | None]:
    """Return what a result was measured on: ``source``, number of ``files`` and their ``sha256``.

    The checksum is over names and contents, which are read now. Errors as in ``files``.
    """
    collection, paths = _collection(name), files(name)
    return {
        "source": collection.source,
        "files": len(paths),
        "sha256": _checksum(collection, collection.place(paths[0])),
    }


def download(name: str) -> Path:
    """Bring ``"digits"`` or ``"sounds"`` to pooch's cache folder; return the folder of the set.

    The commit is pinned by the address and the content by a checksum over the audio files. A set that
    is complete there is not fetched again. ValueError for another name, OSError if the content is not
    as pinned; then, and after an interrupt, nothing is left behind.
    """
    collection = _collection(name)
    if not collection.address:
        raise ValueError(f"{name} has no download; see study.datasets.rated")
    place = cache_folder() / collection.folder
    if _checksum(collection, place) == collection.checksum:
        return place
    import pooch

    place.parent.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(dir=place.parent))  # on one file system with its place: moved whole
    try:
        # No hash of the archive, whose bytes depend on how the host packs it: the content is checked.
        archive = pooch.retrieve(collection.address, known_hash=None, path=stage, progressbar=False)
        unpacked = stage / "audio"
        _unpack(Path(archive), collection, unpacked)
        if _checksum(collection, unpacked) != collection.checksum:
            raise OSError(f"{collection.address} does not hold the {collection.count} files expected")
        shutil.rmtree(place, ignore_errors=True)  # an incomplete one
        os.replace(unpacked, place)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return place


def main(argv: list[str] | None = None) -> int:
    """Run ``python -m study.datasets``; return 0, or 2 after one line on stderr."""
    from study.datasets import packaged  # which imports this module

    sources = {name: collection.source for name, collection in COLLECTIONS.items() if collection.address}
    sources[packaged.GAME_MUSIC] = packaged.SOURCE
    names = sorted(sources)
    parser = argparse.ArgumentParser(
        prog="python -m study.datasets",
        description="Bring recordings to this machine, and print the folder they are in.",
        epilog=f"""\
sets
{chr(10).join(f"  {name:10}  {sources[name]}" for name in names)}

A set is fetched from the commit it is pinned to, checked file by file, and kept in a cache folder,
where `study.datasets` finds it; complete, it is not fetched again. Recordings that you have already
need no download: set {ENVIRONMENT} to the folder that holds
{chr(10).join(f"  {c.folder}/{c.pattern}" for name, c in sorted(COLLECTIONS.items()) if name in names)}
The packages of {packaged.GAME_MUSIC} are fetched and verified by Debian's apt-get, and counted.

example
  python -m study.datasets download digits

exit codes
  0 the set is there    2 misuse, no network, or other content than expected
""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=["download"], help="the only one there is")
    parser.add_argument("name", choices=names, help="which set")
    options = parser.parse_args(argv)
    try:
        print(packaged.download() if options.name == packaged.GAME_MUSIC else download(options.name))
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def cache_folder() -> Path:
    """Return the folder that downloads go to, pooch's for this user."""
    import pooch

    return Path(pooch.os_cache("audio-sets"))


def _collection(name: str) -> Collection:
    if name not in COLLECTIONS:
        raise ValueError(f"no set {name!r}; there are tones, instruments, {', '.join(COLLECTIONS)}")
    return COLLECTIONS[name]


def _checksum(collection: Collection, place: Path) -> str | None:
    """SHA-256 over name, length and bytes of each audio file; None if files lack."""
    paths = collection.files(place)
    if not collection.whole(paths):
        return None
    digest = hashlib.sha256()
    for path in paths:
        content = path.read_bytes()
        # The length keeps apart where one file ends and the next begins.
        digest.update(b"%s\0%d\0" % (relative(path, place).encode(), len(content)))
        digest.update(content)
    return digest.hexdigest()


def _unpack(archive: Path, collection: Collection, target: Path) -> None:
    """Write the audio files of an archive, and nothing else that is in it."""
    with zipfile.ZipFile(archive) as members:
        for member in members.namelist():
            # The first part of a path in the archive is the repository and its commit.
            inside = PurePosixPath(*PurePosixPath(member).parts[1:])
            if inside.match(f"{collection.inside}/{collection.pattern}".lstrip("/")):
                path = target / inside.relative_to(collection.inside)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(members.read(member))


def _draw(paths: list[Path], count: int | None, rng: np.random.Generator | None) -> list[Path]:
    if count is None:
        return paths
    if rng is None:
        raise ValueError("count needs rng, from which the recordings are drawn")
    if not 1 <= count <= len(paths):
        raise ValueError(f"count is {count}; it is 1 to {len(paths)}")
    return [paths[i] for i in np.sort(rng.choice(len(paths), size=count, replace=False))]


def _read(
    name: str, paths: Sequence[Path], labels: Iterable[str], groups: Iterable[str], folds: Iterable[str]
) -> AudioSet:
    """The set of these recordings, which are published in mono and at one rate."""
    collection = _collection(name)
    place = collection.place(paths[0])
    signals, rates = [], set()
    for path in paths:
        signal, rate = soundfile.read(path, dtype="float32")
        if signal.ndim != 1:
            raise ValueError(f"{path} has {signal.shape[1]} channels; mono is expected")
        signals.append(signal)
        rates.add(rate)
    if len(rates) != 1:
        raise ValueError(f"{place} holds the rates {sorted(rates)} Hz; one is expected")
    return AudioSet(
        name=name,
        signals=tuple(signals),
        rate=rates.pop(),
        names=tuple(relative(path, place) for path in paths),
        labels=tuple(labels),
        groups=tuple(groups),
        source=collection.source,
        folds=tuple(folds),
    )
