"""A set of audio, and how files of one's own become one.

Conventions
    signal      mono float32, (samples,), full scale 1.0; all signals of a set share one ``rate``, in
                Hz, that of the recordings: nothing is resampled unless asked for.
    name        of a signal, unique in its set, which is sorted by it (pieces of a file by their number).
    label       what a signal is (a digit, a class of sounds, a family of instruments).
    group       what made it (a speaker, a recording, an instrument): signals of one group are not
                independent draws.
    fold        the part of a published division that a signal is in, where there is one.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
import soxr

import metrics


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
        """Return the signals at these places, in their order, with what is known of them."""
        places = [int(i) for i in indices]
        chosen = {}
        for column in ("signals", "names", "labels", "groups", "folds"):
            if values := getattr(self, column):  # there may be no folds
                chosen[column] = tuple(values[i] for i in places)
        return replace(self, **chosen)


class MissingData(FileNotFoundError):
    """A set is not on this machine; the message says how to bring it."""


@dataclass(frozen=True)
class _File:
    """A file to be read, and what is known of it."""

    path: Path
    name: str
    label: str
    group: str
    fold: str = ""


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
    paths = sorted(p for p in root.rglob("*") if p.suffix.lower() in metrics.EXTENSIONS and p.is_file())
    if not paths:
        raise ValueError(f"{root}: no audio files ({', '.join(sorted(metrics.EXTENSIONS))})")
    names = [relative(file, root) for file in paths]
    groups = _groups(paths, names, group_pattern)
    files = [
        _File(file, name, file.parent.name, group)
        for file, name, group in zip(paths, names, groups, strict=True)
    ]
    return _read(root, files, seconds=seconds, rate=rate)


def table(path: Path | str, *, seconds: float = 0.0, rate: int | None = None) -> AudioSet:
    """Return the audio files that a CSV file names: columns ``path`` and ``label``, any others unread.

    Paths are relative to the file's folder. The columns ``group`` and ``fold`` are used where there are;
    without ``group`` each file is its own. ``seconds`` and ``rate`` as in ``folder``; files of all folders
    may have one name. ValueError, naming the line, for what cannot be.
    """
    root = Path(path)
    try:
        with root.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets write a byte-order mark
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
    counts = Counter(line["path"] for line in lines)
    if repeated := sorted(name for name, count in counts.items() if count > 1):
        raise ValueError(f"{root}: {repeated[0]} is named {counts[repeated[0]]} times; once is needed")
    files = [
        _File(
            root.parent / line["path"],
            line["path"],
            line["label"],
            line.get("group") or line["path"],
            line.get("fold") or "",
        )
        for line in lines
    ]
    return _read(root, files, seconds=seconds, rate=rate, divided="fold" in lines[0])


def relative(path: Path, root: Path) -> str:
    """Return the path below a folder, with "/" on every system: names must not depend on it."""
    return path.relative_to(root).as_posix()


def _groups(paths: Sequence[Path], names: Sequence[str], group_pattern: str) -> Sequence[str]:
    if not group_pattern:
        return names
    try:
        pattern = re.compile(group_pattern)
    except re.error as error:
        raise ValueError(f"the group pattern {group_pattern!r} is no regular expression: {error}") from None
    groups = []
    for path, name in zip(paths, names, strict=True):
        match = pattern.search(name)
        if not match:
            raise ValueError(f"{path}: the group pattern {group_pattern!r} matches nothing in {name}")
        groups.append(match[1] if pattern.groups else match[0])
    return groups


def _read(
    root: Path, files: Sequence[_File], *, seconds: float, rate: int | None, divided: bool = False
) -> AudioSet:
    """The set of these files, cut and resampled as ``folder`` says; ``divided``: with its folds."""
    if seconds < 0:
        raise ValueError(f"seconds is {seconds}; pieces have a length, or 0: files stay whole")
    rates: dict[int, Path] = {}  # rate -> the first file of it
    signals: list[np.ndarray] = []
    names: list[str] = []
    origins: list[_File] = []
    for file in files:
        signal, own_rate = read_mono(file.path)
        if rate is not None and own_rate != rate:
            signal, own_rate = soxr.resample(signal, own_rate, rate), rate
        rates.setdefault(own_rate, file.path)
        if len(rates) > 1:
            low, high = sorted(rates)
            raise ValueError(
                f"{root} has files of {low} Hz ({rates[low].name}) and {high} Hz ({rates[high].name}); "
                "one rate is needed: resample them, or name one (rate=, in the gate data.rate=)"
            )
        for number, piece in enumerate(_pieces(signal, round(seconds * own_rate))):
            signals.append(piece)
            names.append(f"{file.name}:{number}" if seconds else file.name)
            origins.append(file)
    return AudioSet(
        name=root.name,
        signals=tuple(signals),
        rate=next(iter(rates)),
        names=tuple(names),
        labels=tuple(file.label for file in origins),
        groups=tuple(file.group for file in origins),  # pieces of a file are of its group
        source=f"{len(files)} files",
        folds=tuple(file.fold for file in origins) if divided else (),
    )


def read_mono(path: Path) -> tuple[np.ndarray, int]:
    """Return the mean over the channels, (samples,) float32, and the rate in Hz.

    ValueError, naming the file, for what libsndfile cannot read.
    """
    try:
        channels, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise ValueError(f"{path}: {error.error_string} Leave it out, or convert it to WAV") from None
    return channels.mean(axis=1), rate


def _pieces(signal: np.ndarray, length: int) -> list[np.ndarray]:
    """The signal whole for length 0; else its pieces, one at least."""
    if not length:
        return [signal]
    # A rest of half a piece or more is one: what starts there is less than half a length from the end.
    starts = range(0, max(1, len(signal) - length // 2), length)
    return [signal[start : start + length] for start in starts]
