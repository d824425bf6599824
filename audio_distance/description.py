"""A set described once, and kept without its audio.

Conventions
    sound      one file, or one array: what it measured, not its samples.
    content    a digest of the samples and their rate: two sounds of one content are one draw.
"""

from __future__ import annotations

import math
import mmap
import os
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from audio_distance.containers import RATES
from audio_distance.errors import AudioError
from audio_distance.features import constants
from audio_distance.sources import fault_of
from audio_distance.storage import replacing
from audio_distance.transforms import RATE
from audio_distance.views import PARTS


@dataclass(frozen=True)
class Sound:
    """One sound, described."""

    name: str
    content: str  # digest of the samples and their rate
    rate: int  # Hz
    seconds: float  # of the file, silence included
    sounding_seconds: float  # from where it begins to sound to where it ends: what is described
    level_db: float  # of the sounding part, relative to full scale
    vectors: NDArray[np.float32]  # (windows, numbers)
    notes: tuple[str, ...] = ()  # what to know of its file, though it was read; no part of ``content``
    quality: float | None = None  # predicted, if asked for: see ``quality``


@dataclass(frozen=True)
class SoundSet:
    """All sounds of one set, and the files that are not among them."""

    name: str
    sounds: tuple[Sound, ...]
    skipped: tuple[str, ...]  # one line a file that was left out
    not_audio: int  # files of a folder that were passed over
    fixed: bool = False  # the bandwidth of the call is that of a Description


def refuse_other_recipe(recipe: str) -> None:
    """Raise ``AudioError`` unless this ``recipe``, with which a set was described, is that of this package.

    Numbers of two recipes do not compare, and nothing in them would show it.
    """
    if recipe != constants()[1]:
        raise AudioError(
            f"described with recipe {recipe}, and this package has {constants()[1]}, whose values are "
            "others: describe the set again from its audio, or use the release that described it"
        )


LARGEST_NUMBER = 1e6  # of a window; those of a sound, logarithms and ratios at one level, stay below 30


def fault_of_sound(sound: Sound) -> str:
    """Why these numbers are of no sound, "" if they can be: what a damaged or hand-made file holds."""
    if not math.isfinite(sound.level_db):
        return f"a level of {sound.level_db} dB"
    if not 0 < sound.seconds < math.inf:
        return f"a length of {sound.seconds} s"
    if not 0 < sound.sounding_seconds <= sound.seconds:
        return f"{sound.sounding_seconds} s that sound, of {sound.seconds} s"
    if not RATES[0] <= sound.rate <= RATES[1]:
        return f"a rate of {sound.rate} Hz, outside {RATES[0]} to {RATES[1]} Hz"
    if sound.vectors.ndim != 2 or sound.vectors.shape[1] != sum(PARTS.values()) or not len(sound.vectors):
        return f"vectors of shape {sound.vectors.shape}; (windows, {sum(PARTS.values())}) is needed"
    if not np.all(np.isfinite(sound.vectors)):
        return "NaN or infinite numbers in its vectors"
    if (largest := float(np.abs(sound.vectors).max())) > LARGEST_NUMBER:
        return f"numbers up to {largest:.3g} in its vectors, and the limit is {LARGEST_NUMBER:g}"
    if sound.quality is not None and not math.isfinite(sound.quality):
        return f"a predicted quality of {sound.quality}"
    return ""


# Arrays of one value a sound, and their types, in the order of Sound.
_COLUMNS: dict[str, type] = {
    **{"names": str, "contents": str, "rates": int},
    **{"seconds": float, "sounding_seconds": float, "levels": float},
}


@dataclass(frozen=True, eq=False)
class Description:
    """A set described once (``describe``), without its audio; used wherever a set is.

    ``len()`` is its number of sounds. ``AudioError`` if it holds what no sound has.
    """

    name: str
    bandwidth_rate: int  # Hz, at most 22,050: its bandwidth, and that of all that is compared with it
    recipe: str  # constants()[1]
    skipped: tuple[str, ...]  # one line a file that was left out with on_error="skip"
    sounds: tuple[Sound, ...] = field(repr=False)
    quality: str = ""  # who predicted that of each sound; often nobody

    def __post_init__(self) -> None:
        """Raise ``AudioError`` for what never was a sound."""
        if not RATES[0] <= self.bandwidth_rate <= RATE:
            raise AudioError(f"bandwidth_rate {self.bandwidth_rate} Hz is outside {RATES[0]} to {RATE} Hz")
        names = [sound.name for sound in self.sounds]
        if len(set(names)) < len(names):
            double = next(name for name in names if names.count(name) > 1)
            raise AudioError(f"two sounds are called {double!r}; each needs a name of its own")
        for sound in self.sounds:
            if fault := fault_of_sound(sound):
                raise AudioError(f"{sound.name!r} has {fault}; likely damaged, or made by hand")
            if (sound.quality is None) == bool(self.quality):
                said = f"predicted by {self.quality!r}" if self.quality else "predicted by nobody"
                raise AudioError(f"{sound.name!r} has the quality {sound.quality}, {said}; likely damaged")

    def __len__(self) -> int:
        return len(self.sounds)

    def sample(self, count: int, *, seed: int) -> Description:
        """``count`` sounds (2 or more) drawn without replacement, in their old order; all, if fewer."""
        if count < 2:
            raise ValueError(f"count={count}; a set needs at least 2 sounds")
        chosen = np.sort(np.random.default_rng(seed).permutation(len(self))[:count])
        return replace(self, sounds=tuple(self.sounds[i] for i in chosen))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """As plain arrays, for any container.

        ``vectors`` (windows, 1799) float32; ``owners`` (windows,), the position of each window's sound;
        one value a sound: ``names``, ``contents`` (digests), ``rates`` (Hz), ``seconds`` (of the file),
        ``sounding_seconds`` (without its silent ends), ``levels`` (dB relative to full scale) and, if there
        are any, ``notes`` (a line each); ``skipped`` (files,); 0-d: ``bandwidth_rate`` (Hz), ``recipe``,
        ``name``. With predicted quality: ``scores``, one a sound, and 0-d ``quality``, who predicted them.
        """
        return {"vectors": np.concatenate([sound.vectors for sound in self.sounds]), **self._small_arrays()}

    def _small_arrays(self) -> dict[str, NDArray[Any]]:
        """``to_arrays`` but for the vectors."""
        rows = [(s.name, s.content, s.rate, s.seconds, s.sounding_seconds, s.level_db) for s in self.sounds]
        columns = zip(_COLUMNS.items(), zip(*rows, strict=True), strict=True)
        notes = ["\n".join(sound.notes) for sound in self.sounds]
        return {
            "owners": np.repeat(np.arange(len(self)), [len(sound.vectors) for sound in self.sounds]),
            **{key: np.array(column, kind) for (key, kind), column in columns},
            **({"notes": np.array(notes, str)} if any(notes) else {}),
            **({"scores": np.array([s.quality for s in self.sounds], float)} if self.quality else {}),
            **({"quality": np.array(self.quality)} if self.quality else {}),
            "skipped": np.array(self.skipped, str),
            **{key: np.array(getattr(self, key)) for key in ("bandwidth_rate", "recipe", "name")},
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Description:
        """From what ``to_arrays`` gives.

        ``skipped``, ``notes``, ``sounding_seconds``, and ``scores`` with ``quality`` may be missing.

        Where sounds were described before ``sounding_seconds`` was kept, the length of the file stands for
        it: clips that are short but for their silence are then taken for long ones, as they were.

        Raises ``AudioError`` if arrays are missing or do not fit each other, are of another recipe or
        width, or hold what no sound has: numbers, levels, lengths and rates not finite or out of range.
        """
        try:
            recipe, name, rate = str(arrays["recipe"]), str(arrays["name"]), int(arrays["bandwidth_rate"])
            vectors, owners = np.asarray(arrays["vectors"], np.float32), np.asarray(arrays["owners"], int)
            arrays = {"sounding_seconds": arrays["seconds"], **arrays}
            columns: list[NDArray[Any]] = [np.asarray(arrays[key], kind) for key, kind in _COLUMNS.items()]
            skipped = tuple(np.asarray(arrays.get("skipped", ()), str).tolist())
            notes = np.asarray(arrays.get("notes", [""] * len(columns[0])), str)
            quality = str(arrays.get("quality", ""))
            scores = np.asarray(arrays["scores"] if quality else [None] * len(columns[0]), object)
        except (KeyError, TypeError, ValueError) as error:
            raise AudioError(f"not a described set, or a damaged one ({error!r})") from None
        refuse_other_recipe(recipe)
        if vectors.ndim != 2 or vectors.shape[1] != sum(PARTS.values()):
            raise AudioError(f"vectors of shape {vectors.shape}; (windows, {sum(PARTS.values())}) is needed")
        some = (vectors[first : first + CHECKED_ROWS] for first in range(0, len(vectors), CHECKED_ROWS))
        if bad := sum(int((~np.isfinite(rows)).any(axis=1).sum()) for rows in some):
            raise AudioError(f"{bad} of {len(vectors)} windows hold NaN or infinite numbers; likely damaged")
        starts = np.flatnonzero(np.diff(owners.ravel(), prepend=-1))
        shapes = {column.shape for column in [*columns, notes, scores]}
        fitting = owners.shape == vectors.shape[:1] and shapes == {starts.shape}
        if not fitting or not starts.size or not np.array_equal(owners[starts], np.arange(len(starts))):
            raise AudioError(
                f"arrays that do not fit: {len(vectors)} windows, {owners.size} owners, and "
                f"{', '.join(f'{c.size} {key}' for key, c in zip(_COLUMNS, columns, strict=True))}"
            )
        lines = [tuple(text.split("\n")) if text else () for text in notes.tolist()]
        rows = zip(
            *(c.tolist() for c in columns), np.split(vectors, starts[1:]), lines, scores.tolist(), strict=True
        )
        return cls(name, rate, recipe, skipped, tuple(Sound(*row) for row in rows), quality)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write ``to_arrays`` as a ``.npz`` file, whole or not at all; the same bytes every time.

        Vectors are written sound by sound: what ``join`` has of many mapped parts is never held as a whole.
        """
        write_npz(
            Path(path), rows={"vectors": [sound.vectors for sound in self.sounds]}, **self._small_arrays()
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Description:
        """Read what ``save`` wrote; ``AudioError`` names the file and what is wrong with it.

        Vectors of 256 MiB or more (some 37,000 windows) are mapped, not read: they take memory only while
        they are looked at. Until the Description is dropped, do not write into the file; ``save`` does not,
        for it puts a new file in its place.
        """
        arrays = read_npz(path, mapped="vectors")
        try:
            return cls.from_arrays(arrays)
        except AudioError as error:
            raise AudioError(f"{path}: {error}") from None


def join(parts: Mapping[str, Description] | Iterable[Description], *, name: str | None = None) -> Description:
    """One set from parts that were described apart: on other machines, at other times.

    The result is to the byte that of ``describe`` for all sounds at once, in whatever order the parts come.

    Parameters
    ----------
    parts : mapping or iterable of Descriptions, or paths of saved ones
        Described with one ``bandwidth_rate`` and one ``quality``; large saved ones stay in their files, as
        ``Description.load`` has it. The keys of a mapping are the folders of
        the parts and go before the names of their sounds: ``join({"a": describe("set/a"), "b":
        describe("set/b")})`` is ``describe("set")``. Without keys, names are those of one folder.
    name : str, optional
        By default that of the parts, or "set" if they differ.

    Raises
    ------
    AudioError
        No parts; parts of different recipes, bandwidths or predictors of quality; a name that two parts have.

    Examples
    --------
    >>> whole = join([describe(part, bandwidth_rate=16000) for part in parts])  # the list: any map function
    """
    keyed = isinstance(parts, Mapping)
    given = parts.items() if isinstance(parts, Mapping) else enumerate(parts)
    opened = {key: part if isinstance(part, Description) else Description.load(part) for key, part in given}
    if not opened:
        raise AudioError("join: no parts are given")
    (first, whole), *others = opened.items()
    for key, part in others:
        for what, advice in (
            ("recipe", "with one release"),
            ("bandwidth_rate", "with one bandwidth_rate="),
            ("quality", "with one quality="),
        ):
            one, other = getattr(whole, what), getattr(part, what)
            if one != other:
                raise AudioError(
                    f"join: part {key!r} ({part.name}) has the {what} {other or 'None'}, and part {first!r} "
                    f"({whole.name}) {one or 'None'}; describe all parts {advice}"
                )
    owner: dict[str, str | int] = {}
    sounds, skipped = [], []
    for key, part in opened.items():
        folder = f"{key}/" if keyed else ""
        for sound in part.sounds:
            full = folder + sound.name
            if full in owner:
                raise AudioError(
                    f"join: the name {full!r} is in part {owner[full]!r} and in part {key!r}; give parts of "
                    "different folders by their folders: join({folder: part, ...})"
                )
            owner[full] = key
            sounds.append(replace(sound, name=full))
        skipped += [folder + line for line in part.skipped]
    names = {part.name for part in opened.values()}
    return Description(
        name=name if name is not None else names.pop() if len(names) == 1 else "set",
        bandwidth_rate=whole.bandwidth_rate,
        recipe=whole.recipe,
        skipped=tuple(sorted(skipped)),
        sounds=tuple(sorted(sounds, key=lambda sound: PurePosixPath(sound.name))),  # as files are listed
        quality=whole.quality,
    )


def write_npz(path: Path, *, rows: Mapping[str, Sequence[NDArray[Any]]] | None = None, **arrays: Any) -> None:
    """Arrays as a ``.npz`` file, whole or not at all, in place of an older one; the same bytes every time.

    ``rows``: name -> parts, each (rows, numbers), of one array that is written part by part, as float32.
    """
    with replacing(path) as part:
        with part.open("wb") as file:
            np.savez(file, **arrays)
        with zipfile.ZipFile(part, "a") as packed:
            for name, parts in (rows or {}).items():
                shape = (sum(map(len, parts)), parts[0].shape[1])
                header = {"descr": "<f4", "fortran_order": False, "shape": shape}
                with packed.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array_header_1_0(member, header)
                    for some in parts:
                        member.write(np.ascontiguousarray(some, "<f4").data)


CHECKED_ROWS = 4096  # at once: 7 MiB of truth values
MAPPED_BYTES = 2**28  # an array of so many is mapped; a smaller one is read, and nothing hangs on its file
UNPACKED_TIMES, UNPACKED_BYTES = 20, 2**26  # more than the one of a file's size and than the other is refused


def read_npz(path: str | os.PathLike[str], *, mapped: str = "") -> dict[str, NDArray[Any]]:
    """What ``write_npz`` wrote; ``AudioError`` names the file and what is wrong with it.

    The array that is called ``mapped`` is mapped, read-only, if it takes ``MAPPED_BYTES`` and is not packed.
    Vectors hardly compress, so a file that would unpack to much more than its size is refused before it does.
    """
    if fault := fault_of(Path(path)):
        raise AudioError(f"{path} cannot be read ({fault})")
    try:
        with open(path, "rb") as opened, zipfile.ZipFile(opened) as packed:
            size = os.fstat(opened.fileno()).st_size
            unpacked = sum(member.file_size for member in packed.infolist())
            limit = max(UNPACKED_TIMES * size, UNPACKED_BYTES)
            if unpacked > limit:
                raise AudioError(
                    f"{path}: {size:,} bytes that unpack to {unpacked:,}, and the limit is {limit:,} "
                    f"({UNPACKED_TIMES} times the file, at least {UNPACKED_BYTES:,}); not written here"
                )
            if packed.testzip() is None:
                sizes = {member.filename: member.file_size for member in packed.infolist()}
                far = None
                if sizes.get(f"{mapped}.npy", 0) >= MAPPED_BYTES:
                    far = _mapped(opened, packed.getinfo(f"{mapped}.npy"))
                opened.seek(0)
                with np.load(opened, allow_pickle=False) as file:
                    # An item is read when it is asked for.
                    return {key: far if key == mapped and far is not None else file[key] for key in file}
    except OSError as error:
        raise AudioError(f"{path} cannot be read ({error})") from None
    except AudioError:
        raise
    except Exception:  # in any of a dozen ways
        pass
    raise AudioError(f"{path}: not a described set, or a damaged one (not a whole .npz file)")


def _mapped(file: BinaryIO, member: zipfile.ZipInfo) -> NDArray[Any] | None:
    """An array where it lies in an open ``.npz`` file, read-only; None for one that has to be unpacked.

    numpy maps ``.npy`` files alone: in a ``.npz`` file it reads, whatever its ``mmap_mode`` is.
    """
    if member.compress_type != zipfile.ZIP_STORED:
        return None
    # A local header of 30 bytes and two fields, whose lengths are its last numbers, is before the content.
    file.seek(member.header_offset + 26)
    lengths = file.read(4)
    start = file.tell() + int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")
    file.seek(start)
    if np.lib.format.read_magic(file) != (1, 0):
        return None
    shape, by_columns, kind = np.lib.format.read_array_header_1_0(file)
    begin = file.tell()
    if by_columns or kind.hasobject or begin + kind.itemsize * math.prod(shape) != start + member.file_size:
        return None
    whole = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return np.ndarray(shape, kind, buffer=whole, offset=begin)
