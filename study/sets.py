"""Every set of audio the study measures on, by name.

Conventions
    signal      mono float32, (samples,), full scale 1.0; all signals of a set share one ``rate``,
                in Hz, that of the recordings: nothing is resampled here.
    name        of a signal, unique in its set, which is sorted by it.
    label       what a signal is (a digit, a class of sounds, a family of instruments).
    group       what made it (a speaker, a recording, an instrument): signals of one group are not
                independent draws.
    fold        the part of a published division that a signal is in, where there is one.

Sets
    tones(which)    background, test1, test2 of ``gen_audio``; made in memory.
    instruments()   notes of General MIDI instruments, rendered offline: the set that is always
                    there. 80 notes a second on one core.
    rated(name)     audio of several systems with listeners' ratings; local folders only.
    folder(path)    any folder of audio, folders in it being labels.
    table(path)     a CSV file of paths and labels.
    digits()        Free Spoken Digit Dataset, 3,000 recordings; a download.
    sounds()        ESC-10, 400 recordings; a download.

Downloads are looked for below the folder named by the environment variable ``AUDIO_DATA``
(``fsdd/recordings/*.wav``, ``esc10/NNN - Name/*.ogg``), then in pooch's cache folder, to which

    $ python -m study.sets download digits

brings them. Nothing is downloaded unless asked for. A set that is not there, or not all there,
raises ``MissingData``: part of a set would give other figures without a word.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import importlib.util
import io
import json
import os
import re
import shutil
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path, PurePosixPath

import numpy as np
import soundfile
import soxr

import gen_audio
import metrics

ENVIRONMENT = "AUDIO_DATA"
INSTRUMENT_RATE = 22_050  # Hz
RENDERED_RATE = 48_000  # Hz, fixed by midirenderer
NOTE_PEAK = 0.5
FADE_SECONDS = 0.01
PITCHES = (36, 72)  # MIDI, C2 to C5: programs 67 and 78 are silent from 81 on
VELOCITIES = (60, 120)
FAMILIES = (
    "piano",
    "chromatic percussion",
    "organ",
    "guitar",
    "bass",
    "strings",
    "ensemble",
    "brass",
    "reed",
    "pipe",
    "synth lead",
    "synth pad",
    "synth effects",
    "ethnic",
    "percussive",
    "sound effects",
)  # of eight programs each, General MIDI level 1


@dataclass(frozen=True)
class AudioSet:
    """Signals with what is known of them, sorted by name; the tuples are of equal length."""

    name: str
    signals: tuple[np.ndarray, ...]  # mono float32
    rate: int  # Hz
    names: tuple[str, ...]
    labels: tuple[str, ...]
    groups: tuple[str, ...]
    source: str  # where it is from, and its licence
    folds: tuple[str, ...] = ()  # none: no division is published

    def __len__(self) -> int:
        return len(self.signals)

    def subset(self, indices: Iterable[int]) -> AudioSet:
        """The signals at these places, in their order."""
        places = [int(i) for i in indices]
        columns = ("signals", "names", "labels", "groups", "folds")
        found = {name: getattr(self, name) for name in columns}
        return replace(
            self, **{name: tuple(column[i] for i in places) for name, column in found.items() if column}
        )


class MissingData(FileNotFoundError):
    """A set is not on this machine; the message says how to bring it."""


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
        source="published listening tests, see study.sets.RATED; most demo pages state no licence",
    ),
}

RATED = {  # set -> who ran the listening test, how its figures reached us, what its audio may be used for
    "codec_mushra": ("Graz", "read", "CC BY 4.0"),
    "hifigan_seen": ("Kakao", "recalled", "demo page, no licence stated"),
    "hifigan_unseen": ("Kakao", "recalled", "demo page, no licence stated"),
    "hifigan_tts": ("Kakao", "recalled", "demo page, no licence stated"),
    "vits_ljspeech": ("Kakao", "read", "demo page, no licence stated"),
    "vits_ablation": ("Kakao", "read", "demo page, no licence stated"),
    "vits_vctk": ("Kakao", "read", "demo page, no licence stated"),
    "bigvgan_music": ("NVIDIA", "second-hand", "demo page, no licence stated"),
    "bigvgan_libritts": ("NVIDIA", "second-hand", "demo page, no licence stated"),
    "sc09_uncond": ("DiffWave", "read", "demo page, no licence stated"),
    "tta_clotho": ("Milan", "read", "demo page, no licence stated"),
}


@dataclass(frozen=True)
class RatedSet:
    """Systems with the mean rating listeners gave each, and the recordings they imitate.

    ``figures`` says how the ratings reached us: "read" in the source, "second-hand", "recalled" from
    memory, or "unknown". Sets of one ``laboratory`` share listeners, systems or recordings: they are
    not independent, and an interval is over laboratories.
    """

    name: str
    reference: AudioSet
    systems: dict[str, AudioSet]
    ratings: dict[str, float]  # system -> mean rating, higher is better
    metric: str
    source: str
    laboratory: str
    figures: str
    licence: str


# Sets


def tones(which: str, *, seed: int = 0, overflow: str = "wrap") -> AudioSet:
    """Return ``"background"`` (10 tones), ``"test1"`` or ``"test2"`` (5): 6 s at 16 kHz.

    The samples are the int16 of ``gen_audio.test_sets`` divided by 2^15, hence what is read from
    its files. The label is the frequency, each file a group of its own. ValueError for another
    name, and as ``gen_audio.test_sets``.
    """
    if which not in gen_audio.SETS:
        raise ValueError(f"no tones {which!r}; there are {', '.join(gen_audio.SETS)}")
    files = gen_audio.test_sets(seed=seed, overflow=overflow)[which]
    names = sorted(files)
    stems = [PurePosixPath(name).stem for name in names]
    return AudioSet(
        name=f"tones {which}",
        signals=tuple((files[name] / 2**15).astype(np.float32) for name in names),
        rate=gen_audio.RATE,
        names=tuple(names),
        labels=tuple(f"{stem.removeprefix('sin_')} Hz" for stem in stems),
        groups=tuple(stems),
        source="sine tones of gen_audio.py, synthetic",
    )


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


def instruments(*, count: int = 128, seed: int = 0, families: Sequence[str] = ()) -> AudioSet:
    """Return notes of General MIDI instruments: 1 s at 22,050 Hz, peak 0.5.

    Note i is of program i modulo 128, with a pitch from C2 to C5 and a velocity from 60 to 120,
    both drawn from ``(seed, i)`` alone: a larger set begins with a smaller one. 128 by default,
    each program once; the label is the family (16), the group the program. Of these, only the notes
    of ``families`` are rendered, if any are named. ValueError for a count below 1 and for a family
    that is not in ``FAMILIES``.
    """
    if count < 1:
        raise ValueError(f"count is {count}; at least 1 note is needed")
    if unknown := set(families) - set(FAMILIES):
        raise ValueError(f"no family {', '.join(sorted(unknown))}; there are {', '.join(FAMILIES)}")
    titles = _program_names()
    names, signals, labels, groups = [], [], [], []
    for index in range(count):
        # RandomState: numpy has frozen its stream, which it has not done for Generator.
        rng = np.random.RandomState([seed, index])
        program = index % 128
        if families and FAMILIES[program // 8] not in families:
            continue
        pitch = int(rng.randint(PITCHES[0], PITCHES[1] + 1))
        velocity = int(rng.randint(VELOCITIES[0], VELOCITIES[1] + 1))
        names.append(f"{index:05d}_program{program:03d}_pitch{pitch:02d}")
        signals.append(note(program, pitch, velocity=velocity))
        labels.append(FAMILIES[program // 8])
        groups.append(titles[program])
    return AudioSet(
        name="instruments",
        signals=tuple(signals),
        rate=INSTRUMENT_RATE,
        names=tuple(names),
        labels=tuple(labels),
        groups=tuple(groups),
        source="rendered from TimGM6mb.sf2 by T. Brechbill (GPL-2), of the pretty_midi package",
    )


def folder(
    path: Path | str, *, group_pattern: str = "", seconds: float = 0.0, rate: int | None = None
) -> AudioSet:
    """Return every audio file below a folder, channels averaged.

    The label is the folder a file lies in (``genres/blues/blues.00001.wav``: blues). The group is the file,
    or what the regular expression ``group_pattern`` matches in its path below the folder (its first
    parenthesis, if it has one). With ``seconds`` above 0 each file is cut into pieces of that length, named
    by their number, and a rest of less than half of it is left out. With ``rate`` in Hz all are resampled to
    it, else they must share one. ValueError, naming the file, for no files, files that cannot be read,
    several rates, and a pattern that matches nothing.
    """
    root = Path(path)
    files = sorted(p for p in root.rglob("*") if p.suffix.lower() in metrics.EXTENSIONS and p.is_file())
    if not files:
        raise ValueError(f"{root}: no audio files ({', '.join(sorted(metrics.EXTENSIONS))})")
    names = [_relative(file, root) for file in files]
    return _read_files(
        root,
        files,
        names,
        [file.parent.name for file in files],
        _groups(files, names, group_pattern),
        seconds=seconds,
        rate=rate,
    )


def table(path: Path | str, *, seconds: float = 0.0, rate: int | None = None) -> AudioSet:
    """Return the audio files that a CSV file names: columns ``path`` and ``label``, any others unread.

    Paths are relative to the file's folder. The columns ``group`` and ``fold`` are used where there are;
    without ``group`` each file is its own. ``seconds`` and ``rate`` as in ``folder``; files of all folders
    may have one name. ValueError, naming the line, for what cannot be.
    """
    root = Path(path)
    try:
        with root.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if missing := {"path", "label"} - set(reader.fieldnames or ()):
                raise ValueError(
                    f"{root}: no column {', '.join(sorted(missing))} in its first line, "
                    f"{','.join(reader.fieldnames or ())!r}"
                )
            lines = sorted(reader, key=lambda line: line["path"])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{root}: no CSV file that can be read ({error})") from None
    if not lines:
        raise ValueError(f"{root}: no lines but the first; each names a path and its label")
    for line in lines:
        if not line["path"] or not line["label"]:
            raise ValueError(f"{root}: a line lacks path or label: {line}")
    names = [line["path"] for line in lines]
    if twice := sorted(name for name, count in Counter(names).items() if count > 1):
        raise ValueError(f"{root}: {twice[0]} is named {names.count(twice[0])} times; once is needed")
    return _read_files(
        root,
        [root.parent / name for name in names],
        names,
        [line["label"] for line in lines],
        [line.get("group") or line["path"] for line in lines],
        folds=[line["fold"] or "" for line in lines] if "fold" in lines[0] else (),
        seconds=seconds,
        rate=rate,
    )


def _groups(files: Sequence[Path], names: Sequence[str], group_pattern: str) -> list[str]:
    try:
        pattern = re.compile(group_pattern)
    except re.error as error:
        raise ValueError(f"the group pattern {group_pattern!r} is no regular expression: {error}") from None
    groups = []
    for file, name in zip(files, names, strict=True):
        found = pattern.search(name) if group_pattern else None
        if group_pattern and not found:
            raise ValueError(f"{file}: the group pattern {group_pattern!r} matches nothing in {name}")
        groups.append(name if found is None else found[1] if found.re.groups else found[0])
    return groups


def _read_files(root: Path, files, names, labels, groups, *, folds=(), seconds: float, rate: int | None):
    """The set of these files, cut and resampled as ``folder`` says."""
    if seconds < 0:
        raise ValueError(f"seconds is {seconds}; pieces have a length, or 0: files stay whole")
    rates: dict[int, Path] = {}
    columns: list[list] = [[], [], [], [], []]
    for i, file in enumerate(files):
        try:
            signal, own = soundfile.read(file, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise ValueError(f"{file}: {error.error_string} Leave it out, or convert it to WAV") from None
        signal = signal.mean(axis=1)
        if rate is not None and own != rate:
            signal, own = soxr.resample(signal, own, rate), rate
        rates.setdefault(own, file)
        if len(rates) > 1:
            first, second = ((value, rates[value].name) for value in sorted(rates))
            raise ValueError(
                f"{root} has files of {first[0]} Hz ({first[1]}) and {second[0]} Hz ({second[1]}); "
                "one rate is needed: resample them, or name one (data.rate=)"
            )
        for number, piece in enumerate(_pieces(signal, round(seconds * own))):
            row = (f"{names[i]}:{number}" if seconds else names[i], piece, labels[i], groups[i])
            for column, value in zip(columns, (*row, folds[i] if folds else ""), strict=True):
                column.append(value)
    names, signals, labels, groups, parts = map(tuple, columns)
    return AudioSet(
        name=root.name,
        signals=signals,
        rate=next(iter(rates)),
        names=names,
        labels=labels,
        groups=groups,
        source=f"{len(files)} files",
        folds=parts if folds else (),
    )


def _pieces(signal: np.ndarray, length: int) -> list[np.ndarray]:
    """The signal whole for length 0; else its pieces, one at least."""
    if not length:
        return [signal]
    starts = range(0, max(1, len(signal) - length // 2), length)
    return [signal[start : start + length] for start in starts]


def rated_names() -> tuple[str, ...]:
    """Return the rated sets in ``AUDIO_DATA/rated``, sorted; none if there is no such folder."""
    local = os.environ.get(ENVIRONMENT)
    if not local:
        return ()
    return tuple(sorted(path.parent.name for path in Path(local, "rated").glob("*/ratings.json")))


def rated(name: str) -> RatedSet:
    """Return a rated set: ``AUDIO_DATA/rated/NAME/SYSTEM/*.flac`` and ``NAME/ratings.json``.

    The label of a file is its system, its group the utterance (its name). The file ``ratings.json``
    holds ``reference`` (a system's folder), ``ratings`` (system -> mean), ``metric``, ``source``. A
    set that is not in ``RATED`` is a laboratory of its own with figures "unknown". MissingData where
    it is not there (there is no download: most are demo pages without a licence), ValueError for a
    system without files or rating and for ratings that are not finite.
    """
    if name not in rated_names():
        raise MissingData(
            f"rated set {name!r}: not found; put it below the folder rated/ of {ENVIRONMENT} "
            "(there is no download: most are demo pages that state no licence)"
        )
    folder = Path(os.environ[ENVIRONMENT]) / "rated" / name
    about = json.loads((folder / "ratings.json").read_text(encoding="utf-8"))
    laboratory, figures, licence = RATED.get(name, (name, "unknown", "unknown"))
    ratings = {system: float(value) for system, value in about["ratings"].items()}
    if not all(np.isfinite(value) for value in ratings.values()):
        raise ValueError(f"{folder / 'ratings.json'}: a rating is not finite")
    return RatedSet(
        name=name,
        reference=_system(folder / about["reference"], name, about["source"]),
        systems={system: _system(folder / system, name, about["source"]) for system in ratings},
        ratings=ratings,
        metric=about.get("metric", ""),
        source=about["source"],
        laboratory=laboratory,
        figures=figures,
        licence=licence,
    )


def _system(folder: Path, name: str, source: str) -> AudioSet:
    paths = sorted(folder.glob("*.flac"))
    if not paths:
        raise ValueError(f"{folder} holds no FLAC file; {name}/ratings.json names it as a system")
    read = [soundfile.read(path, dtype="float32", always_2d=True) for path in paths]
    rate = min(rate for _, rate in read)  # a few sets mix rates within a system
    signals = [s.mean(axis=1) if r == rate else soxr.resample(s.mean(axis=1), r, rate) for s, r in read]
    return AudioSet(
        name=f"{name} {folder.name}",
        signals=tuple(signal.astype(np.float32) for signal in signals),
        rate=rate,
        names=tuple(path.name for path in paths),
        labels=(folder.name,) * len(paths),
        groups=tuple(path.stem for path in paths),
        source=source,
    )


def note(
    program: int,
    pitch: int,
    *,
    velocity: int = 100,
    seconds: float = 1.0,
    rate: int = INSTRUMENT_RATE,
) -> np.ndarray:
    """Return one note, mono float32, (seconds * rate,), peak 0.5, the same at every call.

    ``program`` counts from 0 (General MIDI, 0 to 127), ``pitch`` is a MIDI number (60 is middle
    C). The key is released at 0.9 of the length, and the last 10 ms fade out, lest the end be a
    click. The peak is set because the SoundFont's own spread over a factor of a hundred.

    Raises ValueError for a program, pitch or velocity outside of MIDI or a note that is silent.
    """
    for what, value, lowest in (("program", program, 0), ("pitch", pitch, 0), ("vel", velocity, 1)):
        if not lowest <= value <= 127:
            name = "velocity" if what == "vel" else what
            raise ValueError(f"{name} is {value}; it is {lowest} to 127")
    import midirenderer

    wave = midirenderer.render_wave_from(_sound_font(), _midi(program, pitch, velocity, seconds))
    stereo, rendered_rate = soundfile.read(io.BytesIO(wave), dtype="float64")
    signal = soxr.resample(stereo.mean(axis=1), rendered_rate, rate)
    length = round(seconds * rate)
    signal = np.pad(signal[:length], (0, max(0, length - len(signal))))
    fade = min(length, round(FADE_SECONDS * rate))
    signal[length - fade :] *= np.linspace(1.0, 0.0, fade)
    peak = np.max(np.abs(signal))
    if peak == 0.0:
        raise ValueError(f"program {program} is silent at pitch {pitch}")
    return (NOTE_PEAK * signal / peak).astype(np.float32)


# What is there


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
        raise ValueError(f"{name} has no download; see study.sets.rated")
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
    """Run ``python -m study.sets download NAME``; return 0, or 2 after one line on stderr."""
    parser = argparse.ArgumentParser(prog="study.sets", description="Bring a set to this machine.")
    parser.add_argument("command", choices=["download"])
    parser.add_argument("name", choices=sorted(n for n, d in _DOWNLOADS.items() if d.address))
    options = parser.parse_args(argv)
    try:
        print(download(options.name))
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        print(f"study.sets: error: {error}", file=sys.stderr)
        return 2
    return 0


# Recordings


def _wanted(name: str) -> _Download:
    if name not in _DOWNLOADS:
        raise ValueError(f"no set {name!r}; there are tones, instruments, {', '.join(_DOWNLOADS)}")
    return _DOWNLOADS[name]


def _cache() -> Path:
    import pooch

    return Path(pooch.os_cache("audio-sets"))


def _listed(folder: Path, wanted: _Download) -> list[Path]:
    return sorted(folder.glob(wanted.pattern), key=lambda path: _relative(path, folder))


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


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
    other = f", or run: python -m study.sets download {name}" if wanted.address else "; it has no download"
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


# Notes


@cache
def _sound_font() -> bytes:
    found = importlib.util.find_spec("pretty_midi")
    if found is None or not found.submodule_search_locations:
        raise MissingData("instruments: the package pretty_midi, with its SoundFont, is missing")
    return (Path(found.submodule_search_locations[0]) / "TimGM6mb.sf2").read_bytes()


@cache
def _program_names() -> tuple[str, ...]:
    import pretty_midi

    return tuple(pretty_midi.program_to_instrument_name(program) for program in range(128))


def _midi(program: int, pitch: int, velocity: int, seconds: float) -> bytes:
    import mido

    held = round(900 * seconds)
    messages = [
        mido.MetaMessage("set_tempo", tempo=1_000_000),  # us a beat: a tick is 1 ms
        mido.Message("control_change", control=7, value=127),  # volume: the output has 16 bits
        mido.Message("program_change", program=program),
        mido.Message("note_on", note=pitch, velocity=velocity),
        mido.Message("note_off", note=pitch, velocity=0, time=held),
        mido.MetaMessage("end_of_track", time=round(1000 * seconds) - held),
    ]
    file = mido.MidiFile(ticks_per_beat=1000)
    file.tracks.append(mido.MidiTrack(messages))
    content = io.BytesIO()
    file.save(file=content)
    return content.getvalue()


if __name__ == "__main__":
    sys.exit(main())
