"""Files and arrays in, float32 samples out; what is refused, and why.

Conventions
    source     one sound that has not been read yet: a path, or an array with its rate.
    samples    (samples, channels) float32, full scale 1.0; ``rate`` in Hz and never assumed.
    refusal    an ``AudioError`` that names value, limit and likely cause; bad input never gives a number.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio_distance.containers import Part, contents, kind_of, refuse_rate, tag_length
from audio_distance.errors import AudioError as AudioError

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


@dataclass(frozen=True)
class Signal:
    """One sound that has been read."""

    samples: NDArray[np.float32]  # (samples, channels), full scale 1.0
    rate: int  # Hz
    notes: tuple[str, ...] = ()  # what to know of a file that was read all the same: see ``containers``


def rate_of(source: Source) -> int:
    """Sample rate from the header; raises AudioError with the reason if there is none."""
    if source.path is None:
        return source.rate
    if source.path.stat().st_size == 0:
        raise AudioError("0 bytes; likely an interrupted copy or a disk that was full")
    with _as_refusal("not audio, or damaged"):
        if _kind_of_file(source.path) in _BY_AV:
            with _open_av(str(source.path)) as container:
                return refuse_rate(container.streams.audio[0].rate)
        import soundfile

        return refuse_rate(soundfile.info(str(source.path)).samplerate)


def read(
    path: str | os.PathLike[str], *, minimum_bits: int = 16, peak_limit: float = 1.0
) -> tuple[NDArray[np.float32], int]:
    """One file as the distance reads it: (samples, channels) float32, full scale 1.0, and its rate in Hz.

    ``AudioError`` with value, limit and likely cause, as ``compare`` tells of a file.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise AudioError(f"unreadable ({error})") from None
    signal = read_source(Source(str(path), path), data, minimum_bits=minimum_bits, peak_limit=peak_limit)
    return signal.samples, signal.rate


def read_source(source: Source, data: bytes, *, minimum_bits: int, peak_limit: float) -> Signal:
    """A sound, or AudioError with value, limit and likely cause.

    ``data`` is what the file holds (empty for an array): read once by the caller, who also hashes it.
    """
    if source.path is None:
        assert source.array is not None
        return Signal(_from_array(source.array, peak_limit), source.rate)
    if not data:
        raise AudioError("0 bytes; likely an interrupted copy or a disk that was full")
    with _as_refusal("damaged or truncated"):
        checked = contents(data)
        parts = [_decode(part, minimum_bits, peak_limit) for part in checked.parts]
    shapes = sorted({(part.rate, part.samples.shape[1]) for part in parts})
    if len(shapes) > 1:
        seen = " and ".join(f"{rate} Hz with {channels} channel(s)" for rate, channels in shapes)
        raise AudioError(f"joined from files of {seen}; a sound has one rate")
    samples = parts[0].samples if len(parts) == 1 else np.concatenate([part.samples for part in parts])
    return Signal(samples, refuse_rate(parts[0].rate), checked.notes)


_BY_AV = {"mp4", "adts"}  # all others by libsndfile
_BLOCK = (
    2**22
)  # samples of all channels that are decoded at once: a header may promise more than memory holds


@contextmanager
def _as_refusal(cause: str) -> Iterator[None]:
    """Whatever a decoder raises, and they raise much, becomes the refusal of one file."""
    try:
        yield
    except AudioError:
        raise
    except Exception as error:
        text = str(error) or type(error).__name__
        raise AudioError(f"unreadable ({text}); likely {cause}") from None


def _kind_of_file(path: Path) -> str:
    """``containers.kind_of``, behind the tags in front."""
    with path.open("rb") as file:
        while True:
            head = file.read(32)
            tag = tag_length(head)
            if (kind := kind_of(head)) or not tag:
                return kind
            file.seek(tag - len(head), os.SEEK_CUR)


def _decode(part: Part, minimum_bits: int, peak_limit: float) -> Signal:
    """One stream, and all of it."""
    if kind_of(part.data[:32]) in _BY_AV:
        signal = _decode_by_av(part.data)
    else:
        signal = _decode_by_soundfile(part, minimum_bits, peak_limit)
    samples, seconds = signal.samples, len(signal.samples) / signal.rate
    if len(samples) < part.least:
        raise AudioError(f"damaged: {len(samples)} of at least {part.least} samples could be read")
    if abs(seconds - (part.seconds or seconds)) > 0.1:
        raise AudioError(f"damaged: the frames last {part.seconds:.2f} s, and {seconds:.2f} s could be read")
    return signal


def _decode_by_soundfile(part: Part, minimum_bits: int, peak_limit: float) -> Signal:
    import soundfile

    with soundfile.SoundFile(io.BytesIO(part.data)) as file:
        if file.subtype in {"PCM_U8", "PCM_S8", "DPCM_8"} and minimum_bits > 8:
            raise AudioError(
                f"8-bit samples ({file.subtype}), and the limit is {minimum_bits} bits: their noise, "
                "about 50 dB below the sound, would count as a difference. Likely an export setting; "
                "convert the source again, or pass minimum_bits=8"
            )
        # What has a digest is read as integers: 16 bits as they are, others at the upper end of 32.
        kind = "float32" if not part.digest else "int16" if part.bits == 16 else "int32"
        size, digest = max(1, _BLOCK // file.channels), hashlib.md5(usedforsecurity=False)
        blocks: list[NDArray[np.float32]] = []
        while not blocks or len(blocks[-1]) == size:
            block = file.read(size, dtype=kind, always_2d=True)
            if part.digest:
                width = block.itemsize
                octets = block.astype(block.dtype.newbyteorder("<"), copy=False).view(np.uint8)
                used = octets.reshape(-1, width)[:, width - part.bits // 8 :] if width > 2 else octets
                digest.update(np.ascontiguousarray(used).data)
                block = block.astype(np.float32) * np.float32(0.5 ** (8 * width - 1))  # exact to 24 bits
            blocks.append(block)
        samples: NDArray[np.float32] = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
        if part.digest and digest.digest() != part.digest:
            raise AudioError(
                f"damaged: the header gives the MD5 {part.digest.hex()[:8]}..., {len(samples)} samples have "
                f"{digest.hexdigest()[:8]}...; likely a faulty copy, or a header that promises too few"
            )
        if len(samples) < file.frames < 2**62:
            raise AudioError(f"truncated: {len(samples)} of {file.frames} samples could be read")
        if file.subtype in {"FLOAT", "DOUBLE"}:
            _refuse_out_of_range(samples, peak_limit)
        return Signal(samples, file.samplerate)


def _open_av(file: str | io.BytesIO) -> Any:
    """A container of PyAV, which reads what libsndfile does not; optional, because it brings 100 MB."""
    try:
        import av
    except ModuleNotFoundError:
        raise AudioError(
            "AAC (m4a, mp4, aac) needs the optional package av (pip install av), which is not installed"
        ) from None
    container = av.open(file)
    if not container.streams.audio:
        container.close()
        raise AudioError("holds no audio stream")
    return container


def _decode_by_av(data: bytes) -> Signal:
    with _open_av(io.BytesIO(data)) as container:
        import av

        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format="fltp")
        blocks: list[NDArray[np.float32]] = []
        rates: set[int] = set()
        packets = 0
        for packet in container.demux(stream):
            packets += packet.size > 0
            if packet.is_corrupt:
                raise AudioError(f"truncated: packet {packets} is not whole; likely an interrupted copy")
            for frame in packet.decode():
                rates.add(frame.sample_rate)
                blocks += [block.to_ndarray() for block in resampler.resample(frame)]
        promised = float(stream.duration * stream.time_base) if stream.frames and stream.duration else 0.0
        if packets < stream.frames:
            raise AudioError(f"truncated: {packets} of {stream.frames} packets are there")
    if not blocks:
        raise AudioError("holds no samples; likely truncated")
    if len(rates) > 1:
        raise AudioError(f"changes its rate on the way ({' and '.join(map(str, sorted(rates)))} Hz)")
    samples = np.concatenate(blocks, axis=1).T.astype(np.float32, copy=False)
    (rate,) = rates
    if promised and abs(len(samples) / rate - promised) > 0.1:
        raise AudioError(
            f"the header promises {promised:.2f} s, and {len(samples) / rate:.2f} s could be read"
        )
    return Signal(samples, rate)


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
