"""Files and arrays in, float32 samples out; what is refused, and why.

Conventions
    source     one sound that has not been read yet: a path, or an array with its rate.
    samples    (samples, channels) float32, full scale 1.0; ``rate`` in Hz and never assumed.
    refusal    an ``AudioError`` that names value, limit and likely cause; bad input never gives a number.
"""

from __future__ import annotations

import csv
import io
import math
import mmap
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray


class AudioError(ValueError):
    """Input that cannot be measured: names every bad file, its value, the limit, the likely cause."""


HELD_BYTES = 2**27  # of a file, and of its samples in float32: 6 minutes of stereo at 44.1 kHz
BLOCK = 2**18  # samples of each channel that are decoded at once, of a sound that is not held

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
        rate_of(source)
        signal = read_source(
            source, path.read_bytes(), minimum_bits=minimum_bits, peak_limit=peak_limit, most=math.inf
        )
    except OSError as error:
        raise AudioError(f"unreadable ({error})") from None
    assert signal.samples is not None  # whatever its length
    return signal.samples, signal.rate


@dataclass(frozen=True)
class Signal:
    """A sound that is open to be described: held, or so long that every pass over it decodes it again.

    Attributes
    ----------
    rate : int
        Hz.
    samples : (samples, channels) float32, or None
        None of a long one.
    blocks : callable
        The same in blocks of at most ``BLOCK`` samples, one after another, from the start at every call. What
        only its end can tell of a file (truncated, beyond full scale) is raised behind the last block.
    """

    rate: int
    samples: NDArray[np.float32] | None
    blocks: Callable[[], Iterator[NDArray[np.float32]]]


def content_of(source: Source) -> bytes | mmap.mmap:
    """What a file holds: its bytes, or of a large one a map of them, which takes no memory of its own."""
    if source.path is None:
        return b""
    with source.path.open("rb") as file:
        if os.fstat(file.fileno()).st_size <= HELD_BYTES:
            return file.read()
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def read_source(
    source: Source,
    data: bytes | mmap.mmap,
    *,
    minimum_bits: int,
    peak_limit: float,
    most: float = HELD_BYTES,
) -> Signal:
    """The samples of a source, or AudioError with value, limit and likely cause.

    ``data`` is ``content_of`` the source: read once by the caller, who also hashes it. What takes more than
    ``most`` bytes when decoded is not held.
    """
    if source.path is None:
        assert source.array is not None
        return _held(source.rate, _from_array(source.array, peak_limit))
    if source.path.suffix.lower() in {".m4a", ".mp4", ".aac"}:
        return _open_by_av(source.path, most)

    def reopened() -> BinaryIO:
        return io.BytesIO(data) if isinstance(data, bytes) else open(path, "rb")

    import soundfile

    path = source.path
    _refuse_truncated(data)
    with _as_refusal(soundfile.SoundFileError), reopened() as raw, soundfile.SoundFile(raw) as file:
        if file.subtype in {"PCM_U8", "PCM_S8", "DPCM_8"} and minimum_bits > 8:
            raise AudioError(
                f"8-bit samples ({file.subtype}), and the limit is {minimum_bits} bits: their noise, "
                "about 50 dB below the sound, would count as a difference. Likely an export setting; "
                "convert the source again, or pass minimum_bits=8"
            )
        if 4 * file.frames * file.channels <= most:
            parts = list(_by_soundfile(file, peak_limit, max(1, file.frames)))
            return _held(file.samplerate, parts[0] if len(parts) == 1 else np.concatenate(parts))

        def blocks() -> Iterator[NDArray[np.float32]]:
            with _as_refusal(soundfile.SoundFileError), reopened() as raw, soundfile.SoundFile(raw) as again:
                yield from _by_soundfile(again, peak_limit, BLOCK)

        return Signal(file.samplerate, None, blocks)


def _held(rate: int, samples: NDArray[np.float32]) -> Signal:
    """A signal whose samples are there."""
    return Signal(rate, samples, lambda: (samples[i : i + BLOCK] for i in range(0, len(samples), BLOCK)))


@contextmanager
def _as_refusal(error_of_decoder: type[Exception]) -> Iterator[None]:
    """What a decoder raises becomes the refusal of its file."""
    try:
        yield
    except (OSError, error_of_decoder) as error:
        raise AudioError(f"unreadable ({error}); likely damaged or truncated") from None


def _by_soundfile(file: Any, peak_limit: float, size: int) -> Iterator[NDArray[np.float32]]:
    """All of an open file in blocks of ``size`` samples, at least one of them; then what its end tells."""
    # Else every read ends with a seek to where it has come, and the decoder of MP3 starts afresh there.
    file.seekable = lambda: False
    count, peak, is_float = 0, 0.0, file.subtype in {"FLOAT", "DOUBLE"}
    while len(block := file.read(size, dtype="float32", always_2d=True)) or not count:
        count += len(block)
        if is_float:
            peak = float(np.maximum(peak, np.abs(block).max(initial=0)))  # NaN stays
        yield block
        if len(block) < size:
            break
    if count < file.frames < 2**62:
        raise AudioError(f"truncated: {count} of {file.frames} samples could be read")
    _refuse_out_of_range(peak, peak_limit)


def _open_by_av(path: Path, most: float) -> Signal:
    """What libsndfile does not read."""
    with _open_av(path) as container:
        stream = container.streams.audio[0]
        rate, seconds = int(stream.rate), float((stream.duration or 0) * stream.time_base)
        if 4 * seconds * rate * stream.codec_context.channels <= most:
            (samples,) = _by_av(container, math.inf)
            return _held(rate, samples)

    def blocks() -> Iterator[NDArray[np.float32]]:
        with _open_av(path) as container:
            yield from _by_av(container, BLOCK)

    return Signal(rate, None, blocks)


def _by_av(container: Any, size: float) -> Iterator[NDArray[np.float32]]:
    """All of an open container in blocks of about ``size`` samples; its own frames are of a thousand."""
    import av

    resampler = av.AudioResampler(format="fltp")
    frames: list[NDArray[Any]] = []
    empty = True
    with _as_refusal(av.FFmpegError):
        for decoded in container.decode(audio=0):
            frames += [frame.to_ndarray() for frame in resampler.resample(decoded)]
            if sum(frame.shape[1] for frame in frames) >= size:
                yield np.concatenate(frames, axis=1).T.astype(np.float32, copy=False)
                frames, empty = [], False
    if frames:
        yield np.concatenate(frames, axis=1).T.astype(np.float32, copy=False)
    elif empty:
        raise AudioError("holds no samples; likely truncated")


def mean_of_channels(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """(samples, channels) -> (samples,): to the bit ``samples.mean(axis=1)``, in a twentieth of its time.

    A mean over a short axis costs numpy one call a sample. Below 8 channels it adds them one after another,
    from 8 on in an order of its own.
    """
    channels = samples.shape[1]
    if not 0 < channels < 8:
        return np.asarray(samples.mean(axis=1))
    total: NDArray[np.float32] = samples[:, 0] + np.float32(0)  # which turns -0.0 into 0.0, as a sum does
    for channel in range(1, channels):
        total += samples[:, channel]
    total /= np.float32(channels)
    return total


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
    _refuse_out_of_range(float(np.abs(samples).max(initial=0)), peak_limit)
    return samples


def _refuse_out_of_range(peak: float, peak_limit: float) -> None:
    if np.isfinite(peak) and peak > peak_limit:
        cause = "integer samples stored as float" if peak > 64 else "a signal that was never limited"
        raise AudioError(
            f"float samples reach {peak:.6g}, and the limit is {peak_limit:g}: a player would clip them. "
            f"Likely {cause}; scale it, or pass peak_limit="
        )


def _refuse_truncated(data: bytes | mmap.mmap) -> None:
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


def _promised_samples(data: bytes | mmap.mmap) -> tuple[int, int]:
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
        if data[: len(form)] != form:
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
