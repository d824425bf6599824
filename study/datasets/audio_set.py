"""A set of audio, and how one's own files become one.

Conventions
    signal      mono float32, (samples,), full scale 1.0; all signals of a set share one ``rate``,
                in Hz, that of the recordings: nothing is resampled here.
    name        of a signal, unique in its set, which is sorted by it.
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
        """The signals at these places, in their order."""
        places = [int(i) for i in indices]
        columns = ("signals", "names", "labels", "groups", "folds")
        found = {name: getattr(self, name) for name in columns}
        return replace(
            self, **{name: tuple(column[i] for i in places) for name, column in found.items() if column}
        )


class MissingData(FileNotFoundError):
    """A set is not on this machine; the message says how to bring it."""


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


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
