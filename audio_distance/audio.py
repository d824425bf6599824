"""Files and arrays in, float32 samples out; what is refused, and why.

Conventions
    source     one sound that has not been read yet: a path, or an array with its rate.
    samples    (samples, channels) float32, full scale 1.0; ``rate`` in Hz and never assumed.
    refusal    an ``AudioError`` that names value, limit and likely cause; bad input never gives a number.
"""

from __future__ import annotations

import csv
import io
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class AudioError(ValueError):
    """Input that cannot be measured: names every bad file, its value, the limit, the likely cause."""


EXTENSIONS = frozenset(
    {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".mp4", ".aac"}
    | {".aif", ".aiff", ".aifc", ".au", ".caf", ".w64", ".rf64"}
)


@dataclass(frozen=True)
class Source:
    """One sound that has not been read yet."""

    name: str
    path: Path | None = None
    array: NDArray[Any] | None = None
    rate: int = 0


def list_set(source: Any, role: str, rate: int | None) -> tuple[str, list[Source], int]:
    """The sounds of a set, not read yet.

    Parameters
    ----------
    source : path, list of paths, or arrays
        A folder (searched recursively), a ``.csv`` or ``.txt`` file list, a list of paths, or arrays of shape
        (samples,) or (samples, channels), which need ``rate``.
    role : str
        What the set is in the call ("reference"), for messages.
    rate : int or None
        Of arrays, in Hz; files carry their own.

    Returns
    -------
    name, sources in sorted order, number of files passed over (hidden ones, and of no audio extension).

    Raises
    ------
    AudioError
        What does not exist, is one file, is empty, or is an array without a rate or with one that cannot be.
    """
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        if path.is_dir():
            return str(source), *list_folder(path, role)
        if not path.exists():
            raise AudioError(
                f"{role}: {path} does not exist (looked in {Path.cwd()}). "
                "Give a folder, a .csv or .txt file list, a list of paths, or arrays with rate=."
            )
        if path.suffix.lower() in {".csv", ".txt"}:
            return str(source), _list_file(path, role), 0
        raise AudioError(
            f"{role}: {path} is one file, and a set needs at least 2. "
            "Give a folder, or a .csv or .txt file with one path a line."
        )
    items = list(source)
    if not items:
        raise AudioError(f"{role}: the set is empty (0 sounds, at least 2 are needed).")
    if all(isinstance(item, (str, os.PathLike)) for item in items):
        return role, _sources([Path(item) for item in items]), 0
    if rate is None:
        raise AudioError(
            f"{role}: arrays need rate= in Hz (one number, or a pair for reference and candidate); "
            "a rate that is guessed wrong changes the result silently."
        )
    if not 1000 <= rate <= 768_000:
        raise AudioError(f"{role}: rate {rate} Hz is outside 1000 to 768000 Hz. Was it given in kHz?")
    if any(np.ndim(item) == 0 for item in items):
        raise AudioError(
            f"{role}: a set of arrays is a list of signals, and this one holds single values or paths; "
            "likely one signal given as the set, or paths and arrays in one list"
        )
    width = len(str(len(items)))
    return (
        role,
        [Source(f"[{i:0{width}d}]", array=np.asarray(item), rate=int(rate)) for i, item in enumerate(items)],
        0,
    )


def list_folder(folder: Path, role: str) -> tuple[list[Source], int]:
    """Audio files below ``folder``, by extension, sorted; the number of others, hidden ones among them."""
    paths, passed = [], 0
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith(".") and Path(name).suffix.lower() in EXTENSIONS:
                paths.append(Path(root, name))
            else:
                passed += 1
    if not paths:
        raise AudioError(
            f"{role}: {folder} holds no audio files ({passed} other files passed over). "
            f"Known extensions: {' '.join(sorted(EXTENSIONS))}."
        )
    return _sources(paths, folder), passed


def _list_file(path: Path, role: str) -> list[Source]:
    """Paths of a file list: the first column; relative to the working directory, else to the list."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise AudioError(
            f"{role}: the file list {path} is not UTF-8 ({error}); likely saved by a spreadsheet in "
            "another encoding"
        ) from None
    if path.suffix.lower() == ".csv":
        entries = [row[0].strip() for row in csv.reader(lines, skipinitialspace=True) if row]
    else:
        entries = [line.strip() for line in lines]
    entries = [entry for entry in entries if entry and not entry.startswith("#")]
    if entries and entries[0].lower() in {"path", "file", "filename", "file_name", "name"}:
        entries = entries[1:]
    if not entries:
        raise AudioError(f"{role}: the file list {path} names no files.")
    found = [Path(entry) if Path(entry).exists() else path.parent / entry for entry in entries]
    missing = [entry for entry, file in zip(entries, found, strict=True) if not file.exists()]
    if missing:
        raise AudioError(
            f"{role}: {len(missing)} of {len(entries)} files in {path} do not exist, the first is "
            f"{missing[0]}. Paths are taken relative to the working directory ({Path.cwd()}) "
            f"or to the list's folder."
        )
    return _sources(found)


def _sources(paths: Sequence[Path], folder: Path | None = None) -> list[Source]:
    """Named by the path below the folder; without one, below the deepest common folder."""
    paths = sorted(paths)
    if folder is None:
        folder = Path(os.path.commonpath([path.absolute().parent for path in paths]))
        return [Source(path.absolute().relative_to(folder).as_posix(), path) for path in paths]
    return [Source(path.relative_to(folder).as_posix(), path) for path in paths]


def rate_of(source: Source) -> int:
    """Sample rate from the header; raises AudioError with the reason if there is none."""
    if source.path is None:
        return source.rate
    import soundfile

    if source.path.stat().st_size == 0:
        raise AudioError("0 bytes; likely an interrupted copy or a disk that was full")
    if source.path.suffix.lower() in {".m4a", ".mp4", ".aac"}:
        with _open_av(source.path) as container:
            return int(container.streams.audio[0].rate)
    try:
        return int(soundfile.info(str(source.path)).samplerate)
    except (soundfile.SoundFileError, OSError) as error:
        raise AudioError(f"unreadable ({error}); likely not audio, or damaged") from None


def _open_av(path: Path) -> Any:
    """A container of PyAV, which reads what libsndfile does not; optional, because it brings 100 MB."""
    try:
        import av
    except ModuleNotFoundError:
        raise AudioError(
            f"{path.suffix} needs the optional package av (pip install av), which is not installed"
        ) from None
    try:
        container = av.open(str(path))
    except (av.FFmpegError, OSError) as error:
        raise AudioError(f"unreadable ({error}); likely not audio, or damaged") from None
    if not container.streams.audio:
        container.close()
        raise AudioError("holds no audio stream")
    return container


def read(
    path: str | os.PathLike[str], *, minimum_bits: int = 16, peak_limit: float = 1.0
) -> tuple[NDArray[np.float32], int]:
    """One file as the distance reads it: (samples, channels) float32, full scale 1.0, and its rate in Hz.

    ``AudioError`` with value, limit and likely cause, as ``compare`` tells of a file.
    """
    path = Path(path)
    source = Source(str(path), path)
    try:
        rate = rate_of(source)
        samples = read_source(source, path.read_bytes(), minimum_bits=minimum_bits, peak_limit=peak_limit)
    except OSError as error:
        raise AudioError(f"unreadable ({error})") from None
    return samples, rate


def read_source(source: Source, data: bytes, *, minimum_bits: int, peak_limit: float) -> NDArray[np.float32]:
    """Samples as (samples, channels) float32, or AudioError with value, limit and likely cause.

    ``data`` is what the file holds (empty for an array): read once by the caller, who also hashes it.
    """
    if source.path is None:
        assert source.array is not None
        return _from_array(source.array, peak_limit)
    if source.path.suffix.lower() in {".m4a", ".mp4", ".aac"}:
        with _open_av(source.path) as container:
            import av

            try:
                frames = [frame.to_ndarray() for frame in _frames_as_float(container)]
            except av.FFmpegError as error:
                raise AudioError(f"unreadable ({error}); likely damaged or truncated") from None
        if not frames:
            raise AudioError("holds no samples; likely truncated")
        return np.concatenate(frames, axis=1).T.astype(np.float32, copy=False)
    import soundfile

    _refuse_truncated(data)
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            if file.subtype in {"PCM_U8", "PCM_S8", "DPCM_8"} and minimum_bits > 8:
                raise AudioError(
                    f"8-bit samples ({file.subtype}), and the limit is {minimum_bits} bits: their noise, "
                    "about 50 dB below the sound, would count as a difference. Likely an export setting; "
                    "convert the source again, or pass minimum_bits=8"
                )
            expected, is_float = file.frames, file.subtype in {"FLOAT", "DOUBLE"}
            samples: NDArray[np.float32] = file.read(dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        raise AudioError(f"unreadable ({error}); likely damaged or truncated") from None
    if len(samples) < expected < 2**62:
        raise AudioError(f"truncated: {len(samples)} of {expected} samples could be read")
    if is_float:
        _refuse_out_of_range(samples, peak_limit)
    return samples


def _from_array(array: NDArray[Any], peak_limit: float) -> NDArray[np.float32]:
    """An array as samples; integers by their full scale."""
    if array.ndim not in (1, 2) or array.dtype.kind not in "fiu":
        raise AudioError(
            f"array of shape {array.shape} and type {array.dtype}; a sound is (samples,) or "
            "(samples, channels) of float or integer type"
        )
    if array.ndim == 2 and array.shape[1] > 64:
        raise AudioError(
            f"array of shape {array.shape} has {array.shape[1]} channels (limit 64); "
            "is it (channels, samples)? Transpose it"
        )
    if array.dtype.kind in "iu":
        if array.dtype.itemsize < 2 or array.dtype.kind == "u":
            raise AudioError(f"array of type {array.dtype}; integer samples must be int16 or int32")
        return np.atleast_2d((array / -float(np.iinfo(array.dtype).min)).astype(np.float32).T).T
    samples = np.atleast_2d(array.astype(np.float32).T).T
    _refuse_out_of_range(samples, peak_limit)
    return samples


def _refuse_out_of_range(samples: NDArray[np.float32], peak_limit: float) -> None:
    peak = float(np.abs(samples).max(initial=0))
    if np.isfinite(peak) and peak > peak_limit:
        cause = "integer samples stored as float" if peak > 64 else "a signal that was never limited"
        raise AudioError(
            f"float samples reach {peak:.6g}, and the limit is {peak_limit:g}: a player would clip them. "
            f"Likely {cause}; scale it, or pass peak_limit="
        )


def _frames_as_float(container: Any) -> Iterator[Any]:
    import av

    resampler = av.AudioResampler(format="fltp")
    for frame in container.decode(audio=0):
        yield from resampler.resample(frame)


def _refuse_truncated(data: bytes) -> None:
    """libsndfile reads a cut file as a shorter one without a word; compare sizes with the headers."""
    promised, start = _promised_samples(data)
    held = len(data) - start
    if promised > held and promised % 2**32 < 0xFFFFFF00:  # streams write no size
        raise AudioError(
            f"truncated: the header promises {promised} bytes of samples, "
            f"the file holds {held}; likely an interrupted copy"
        )
    if data[:4] == b"OggS":
        last = data.rfind(b"OggS")
        page = data[last : last + 27 + 255]
        lengths = page[27 : 27 + page[26]] if len(page) >= 27 else b""
        # As many lengths as the head says, and as many bytes as the lengths say.
        if len(page) < 27 or len(lengths) < page[26] or last + 27 + len(lengths) + sum(lengths) > len(data):
            raise AudioError("truncated: the last Ogg page is cut; likely an interrupted copy")


def _promised_samples(data: bytes) -> tuple[int, int]:
    """Bytes of samples after the header of a WAV, RF64, W64, AIFF or AU file, and where they start."""
    if data[:4] == b".snd" and len(data) >= 12:
        start, size = struct.unpack_from(">II", data, 4)
        return size, start
    # Form, layout of a chunk's head, first chunk, name of the samples' chunk, alignment.
    for form, head, position, samples, align in (
        (b"RIFF", "<4sI", 12, b"data", 2),
        (b"RF64", "<4sI", 12, b"data", 2),
        (b"FORM", ">4sI", 12, b"SSND", 2),
        (b"riff", "<16sQ", 40, b"data", 8),
    ):
        if not data.startswith(form):
            continue
        long_size = None
        while position + struct.calcsize(head) <= len(data):
            name, size = struct.unpack_from(head, data, position)
            position += struct.calcsize(head)
            if form == b"riff":  # W64 counts the head as well
                size = max(0, size - struct.calcsize(head))
            if name == b"ds64" and position + 16 <= len(data):
                long_size = struct.unpack_from("<Q", data, position + 8)[0]
            if name[:4] == samples:
                return (long_size if size == 0xFFFFFFFF and long_size is not None else size), position
            position += -(-size // align) * align
    return 0, 0
