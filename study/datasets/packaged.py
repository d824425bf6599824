"""Music that packages carry: generated tracks on PyPI, the music of three games in Debian.

Conventions
    place       a folder below the one that ``AUDIO_DATA`` names, else in pooch's cache folder.
    truth       of a generated track: what its package states, the tempo, key and seed that it was asked of
                the model with, not what was measured in it.
    artist      of a song: its first tag of that name; "" where there is none.

Licences
    immich-memories-music     MIT, generated with ACE-Step 1.5, as its LICENSE-MUSIC says
    wesnoth-1.16-music        GPL-2 or later, the Battle for Wesnoth contributors
    warzone2100-music         GPL-2 or later, Eidos Interactive and the Warzone 2100 Project
    singularity-music         CC BY-SA 3.0, Max McCracken (Maxstack)
as ``usr/share/doc/PACKAGE/copyright`` of each Debian package has them; it is unpacked with the music.

Nothing is downloaded unless asked for:

    $ python -m study.datasets download game-music     # 280 MB; Debian's apt-get and dpkg, no root
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from study.datasets.audio_set import MissingData, relative
from study.datasets.recordings import ENVIRONMENT, cache_folder

GENERATED = "immich-memories-music"
GAME_MUSIC = "game-music"  # the folder of the Debian packages, and what `download` calls them
SOURCE = "Music of Wesnoth, Warzone 2100 (GPL-2+) and Singularity (CC BY-SA 3.0), of Debian's packages"
DOWNLOAD_SECONDS = 1800  # after which a mirror is held to hang

_TRACK = re.compile(
    r"(?P<name>\w+\.opus)\s+(?P<bpm>\d+) bpm\s+(?P<key>[A-G][b#]?) (?P<mode>major|minor)"
    r"\s+seed (?P<seed>\d+)\s+\[(?P<kind>acoustic|electronic)\]"
)


@dataclass(frozen=True)
class Track:
    """A generated track and what its package states of it."""

    path: Path
    mood: str  # the folder it lies in
    kind: str  # "acoustic" or "electronic"
    bpm: int
    key: str  # as in "Bb"
    mode: str  # "major" or "minor"
    seed: int


@dataclass(frozen=True)
class Package:
    """A Debian package of music: where its songs lie, how many there are, and their licence."""

    name: str
    pattern: str
    count: int  # in Debian 12, of the version beside it
    version: str
    licence: str


PACKAGES = (
    Package(
        name="wesnoth-1.16-music",
        pattern="usr/share/games/wesnoth/1.16/data/core/music/*.ogg",
        count=41,
        version="1:1.16.9-1",
        licence="GPL-2+",
    ),
    Package(
        name="warzone2100-music",
        pattern="usr/share/games/warzone2100/music/**/*.opus",
        count=30,
        version="4.3.3-3",
        licence="GPL-2+",
    ),
    Package(
        name="singularity-music",
        pattern="usr/share/games/singularity/music/**/*.ogg",
        count=16,
        version="007-2",
        licence="CC BY-SA 3.0",
    ),
)


@dataclass(frozen=True)
class PackagedSong:
    """A song of a Debian package."""

    path: Path
    package: str
    artist: str  # "" where the file has no such tag
    licence: str


def generated() -> tuple[Path, tuple[Track, ...]]:
    """Return the folder of the 28 generated tracks of about 30 s, and what is stated of each, by path.

    Raises MissingData where the package immich-memories-music is not installed, or lacks a track that its
    licence names; ValueError for a track of which nothing is stated.
    """
    try:
        files = importlib.metadata.distribution(GENERATED).files or []
    except importlib.metadata.PackageNotFoundError:
        raise MissingData(f"{GENERATED} is not installed: pip install {GENERATED}") from None
    notices = [file for file in files if file.name == "LICENSE-MUSIC"]
    tracks = {file.name: Path(str(file.locate())) for file in files if file.suffix == ".opus"}
    if not notices or not tracks:
        raise MissingData(
            f"{GENERATED}: {len(tracks)} tracks and {len(notices)} files LICENSE-MUSIC are installed; "
            f"pip install --force-reinstall --no-deps {GENERATED}"
        )
    folder = next(iter(tracks.values())).parents[1]  # MOOD/TRACK.opus below it
    table = stated(notices[0].read_text(encoding="utf-8"), folder)
    if missing := [track.path for track in table if not track.path.is_file()]:
        raise MissingData(
            f"{missing[0]}: {len(missing)} of the {len(table)} tracks of {GENERATED} are not there; "
            f"pip install --force-reinstall --no-deps {GENERATED}"
        )
    if unknown := set(tracks) - {track.path.name for track in table}:
        raise ValueError(f"LICENSE-MUSIC of {GENERATED} states nothing of {', '.join(sorted(unknown))}")
    return folder, table


def stated(notice: str, folder: Path) -> tuple[Track, ...]:
    """Return the tracks that the text of a LICENSE-MUSIC names, below a folder, by path.

    A line ``MOOD/`` begins a mood; a line of a track has its file, tempo, key, seed and kind. ValueError,
    quoting it, for a line that names a track and cannot be read, and for a text that names none.
    """
    tracks, mood = [], ""
    for line in notice.splitlines():
        if re.fullmatch(r"\w+/", line):
            mood = line.removesuffix("/")
        elif ".opus" in line:
            match = _TRACK.fullmatch(line.strip())
            if not match or not mood:
                raise ValueError(
                    f"LICENSE-MUSIC: {line!r} is not NAME.opus BPM bpm KEY MODE seed SEED [KIND] below MOOD/"
                )
            tracks.append(
                Track(
                    path=folder / mood / match["name"],
                    mood=mood,
                    kind=match["kind"],
                    bpm=int(match["bpm"]),
                    key=match["key"],
                    mode=match["mode"],
                    seed=int(match["seed"]),
                )
            )
    if not tracks:
        raise ValueError("LICENSE-MUSIC names no track")
    return tuple(sorted(tracks, key=lambda track: track.path))


def debian_packages(folder: str | os.PathLike[str] | None = None) -> tuple[PackagedSong, ...]:
    """Return the 87 songs of the three Debian packages, by package and path, with the artist of their tags.

    ``folder`` holds ``PACKAGE/usr/share/...``; by default ``AUDIO_DATA/game-music`` or, where that is not
    whole, the cache folder's. MissingData, which says how to bring them, unless they are all there. The
    package that a song is from is known from its codec and rate alone (Vorbis at 44.1 and 48 kHz, Opus).
    """
    own = os.environ.get(ENVIRONMENT)
    roots = [Path(folder)] if folder else [Path(own, GAME_MUSIC)] if own else []
    if not folder:
        roots.append(cache_folder() / GAME_MUSIC)
    complaints = [complaint for root in roots if (complaint := _incomplete(root))]
    if len(complaints) == len(roots):
        raise MissingData(
            f"{GAME_MUSIC}: {'; '.join(complaints)}. Run: python -m study.datasets download {GAME_MUSIC}, "
            f"or, in a folder {GAME_MUSIC} of the one that {ENVIRONMENT} names: {_by_hand()}"
        )
    root = next(root for root in roots if not _incomplete(root))
    return tuple(
        PackagedSong(path, package.name, _artist(path), package.licence)
        for package in PACKAGES
        for path in _songs(root, package)
    )


def download(folder: str | os.PathLike[str] | None = None) -> Path:
    """Bring the three Debian packages to a folder, the cache's by default; return it.

    ``apt-get download`` fetches and verifies them as the system's sources say, ``dpkg -x`` unpacks them, both
    without root. Packages that are there whole are not fetched again. MissingData where these programs are
    not there, with the commands to run where they are; OSError, with what it said, if one fails, and if a
    package has not as many songs as in Debian 12. Then, and after an interrupt, no part of it is left.
    """
    root = Path(folder) if folder else cache_folder() / GAME_MUSIC
    for program in ("apt-get", "dpkg"):
        if not shutil.which(program):
            raise MissingData(f"{GAME_MUSIC}: no {program} here; on Debian 12: {_by_hand()}")
    root.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES:
        if len(_songs(root, package)) == package.count:
            continue
        with tempfile.TemporaryDirectory(dir=root, prefix=".", suffix=".part") as stage:
            _run("apt-get", "download", package.name, folder=stage)
            (archive,) = Path(stage).glob("*.deb")
            _run("dpkg", "-x", archive.name, package.name, folder=stage)
            if complaint := _incomplete(Path(stage), (package,)):
                raise OSError(f"{archive.name}: {complaint}; Debian 12 has {package.name} {package.version}")
            shutil.rmtree(root / package.name, ignore_errors=True)  # an incomplete one
            os.replace(Path(stage, package.name), root / package.name)
    return root


def _songs(root: Path, package: Package) -> list[Path]:
    place = root / package.name
    return sorted(place.glob(package.pattern), key=lambda path: relative(path, place))


def _incomplete(root: Path, packages: tuple[Package, ...] | None = None) -> str:
    """What lacks below a folder; "" where nothing does."""
    lacks = [
        f"{len(found)} of {package.count} songs of {package.name}"
        for package in packages or PACKAGES
        if len(found := _songs(root, package)) != package.count
    ]
    return f"{', '.join(lacks)} in {root}" if lacks else ""


def _artist(path: Path) -> str:
    from tinytag import TinyTag

    return TinyTag.get(path).artist or ""


def _by_hand() -> str:
    names = " ".join(package.name for package in PACKAGES)
    return f'apt-get download {names} && for deb in *.deb; do dpkg -x "$deb" "${{deb%%_*}}"; done'


def _run(*command: str, folder: str) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=DOWNLOAD_SECONDS)
    except subprocess.TimeoutExpired:
        raise OSError(f"{' '.join(command)}: no end after {DOWNLOAD_SECONDS} s; is the mirror up?") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["nothing"]
        raise OSError(f"{' '.join(command)}: exit code {done.returncode}, {said[-1]}")
