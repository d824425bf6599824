"""A set described once, and kept without its audio.

Conventions
    sound      one file, or one array: what it measured, not its samples.
    content    a digest of the samples and their rate: two sounds of one content are one draw.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio_distance.audio import AudioError
from audio_distance.features import constants
from audio_distance.storage import replacing
from audio_distance.views import VIEWS


@dataclass(frozen=True)
class Sound:
    """One sound, described."""

    name: str
    content: str  # digest of the samples and their rate
    rate: int  # Hz
    seconds: float
    level_db: float  # of the sounding part, relative to full scale
    vectors: NDArray[np.float32]  # (windows, numbers)


@dataclass(frozen=True)
class SoundSet:
    """All sounds of one set, and the files that are not among them."""

    name: str
    sounds: tuple[Sound, ...]
    skipped: tuple[str, ...]  # one line a file that was left out
    not_audio: int  # files of a folder that were passed over
    fixed: bool = False  # the bandwidth of the call is that of a Description


# Arrays of one value a sound, and their types, in the order of Sound.
_COLUMNS: dict[str, type] = {"names": str, "contents": str, "rates": int, "seconds": float, "levels": float}


@dataclass(frozen=True, eq=False)
class Description:
    """A set described once (``describe``), without its audio; used wherever a set is.

    ``len()`` is its number of sounds.
    """

    name: str
    bandwidth_rate: int  # Hz, at most 22,050: its bandwidth, and that of all that is compared with it
    recipe: str  # constants()[1]
    skipped: tuple[str, ...]  # one line a file that was left out with on_error="skip"
    sounds: tuple[Sound, ...] = field(repr=False)

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

        ``vectors`` (windows, 1032) float32; ``owners`` (windows,), the position of each window's sound;
        one value a sound: ``names``, ``contents`` (digests), ``rates`` (Hz), ``seconds``, ``levels`` (dB
        relative to full scale); ``skipped`` (files,); 0-d: ``bandwidth_rate`` (Hz), ``recipe``, ``name``.
        """
        rows = [(s.name, s.content, s.rate, s.seconds, s.level_db) for s in self.sounds]
        columns = zip(_COLUMNS.items(), zip(*rows, strict=True), strict=True)
        return {
            "vectors": np.concatenate([sound.vectors for sound in self.sounds]),
            "owners": np.repeat(np.arange(len(self)), [len(sound.vectors) for sound in self.sounds]),
            **{key: np.array(column, kind) for (key, kind), column in columns},
            "skipped": np.array(self.skipped, str),
            **{key: np.array(getattr(self, key)) for key in ("bandwidth_rate", "recipe", "name")},
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Description:
        """From what ``to_arrays`` gives (``skipped`` may be missing).

        Raises ``AudioError`` if arrays are missing or do not fit each other, are of another recipe or
        width, or not finite.
        """
        try:
            recipe, name, rate = str(arrays["recipe"]), str(arrays["name"]), int(arrays["bandwidth_rate"])
            vectors, owners = np.asarray(arrays["vectors"], np.float32), np.asarray(arrays["owners"], int)
            columns: list[NDArray[Any]] = [np.asarray(arrays[key], kind) for key, kind in _COLUMNS.items()]
            skipped = tuple(np.asarray(arrays.get("skipped", ()), str).tolist())
        except (KeyError, TypeError, ValueError) as error:
            raise AudioError(f"not a described set, or a damaged one ({error!r})") from None
        if recipe != constants()[1]:
            raise AudioError(
                f"described with recipe {recipe}, and this package has {constants()[1]}: describe the "
                "set again from its audio"
            )
        if vectors.ndim != 2 or vectors.shape[1] != sum(VIEWS.values()):
            raise AudioError(f"vectors of shape {vectors.shape}; (windows, {sum(VIEWS.values())}) is needed")
        if bad := int((~np.isfinite(vectors)).any(axis=1).sum()):
            raise AudioError(f"{bad} of {len(vectors)} windows hold NaN or infinite numbers; likely damaged")
        starts = np.flatnonzero(np.diff(owners.ravel(), prepend=-1))
        fitting = owners.shape == vectors.shape[:1] and {c.shape for c in columns} == {starts.shape}
        if not fitting or not starts.size or not np.array_equal(owners[starts], np.arange(len(starts))):
            raise AudioError(
                f"arrays that do not fit: {len(vectors)} windows, {owners.size} owners, and "
                f"{', '.join(f'{c.size} {key}' for key, c in zip(_COLUMNS, columns, strict=True))}"
            )
        rows = zip(*(c.tolist() for c in columns), np.split(vectors, starts[1:]), strict=True)
        return cls(name, rate, recipe, skipped, tuple(Sound(*row) for row in rows))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write ``to_arrays`` as a ``.npz`` file, whole or not at all; the same bytes every time."""
        write_npz(Path(path), **self.to_arrays())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Description:
        """Read what ``save`` wrote; ``AudioError`` names the file and what is wrong with it."""
        try:
            with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
                whole = file.zip.testzip() is None
                arrays = dict(file)
        except OSError as error:
            raise AudioError(f"{path} cannot be read ({error})") from None
        except Exception:  # in any of a dozen ways
            whole = False
        if not whole:
            raise AudioError(f"{path}: not a described set, or a damaged one (not a whole .npz file)")
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
        Described with one ``bandwidth_rate``. The keys of a mapping are the folders of the parts and go
        before the names of their sounds: ``join({"a": describe("set/a"), "b": describe("set/b")})`` is
        ``describe("set")``. Without keys, names are those of one folder.
    name : str, optional
        By default that of the parts, or "set" if they differ.

    Raises
    ------
    AudioError
        No parts; parts of different recipes or bandwidths; a name that two parts have.

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
        for what, advice in (("recipe", "with one release"), ("bandwidth_rate", "with one bandwidth_rate=")):
            one, other = getattr(whole, what), getattr(part, what)
            if one != other:
                raise AudioError(
                    f"join: part {key!r} ({part.name}) has the {what} {other}, and part {first!r} "
                    f"({whole.name}) {one}; describe all parts {advice}"
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
    )


def write_npz(path: Path, **arrays: Any) -> None:
    """Arrays as a ``.npz`` file, whole or not at all, in place of an older one; the same bytes every time."""
    with replacing(path) as part, part.open("wb") as file:
        np.savez(file, **arrays)
