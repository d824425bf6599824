"""Files and arrays in, float32 samples out; what is refused, and why.

Conventions
    samples    (samples, channels) float32, full scale 1.0; ``rate`` in Hz and never assumed.
    refusal    an ``AudioError`` that names value, limit and likely cause; bad input never gives a number.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio_distance.errors import AudioError
from audio_distance.sources import Source, fault_of, refuse_out_of_range, samples_of


def rate_of(source: Source) -> int:
    """Sample rate from the header; raises AudioError with the reason if there is none."""
    if source.array is not None:
        return source.rate
    import soundfile

    if source.fault:
        raise AudioError(source.fault)
    if (len(source.data or b"") if source.path is None else source.path.stat().st_size) == 0:
        raise AudioError("0 bytes; likely an interrupted copy or a disk that was full")
    if source.path is not None and source.path.suffix.lower() in {".m4a", ".mp4", ".aac"}:
        with _open_av(source.path) as container:
            return int(container.streams.audio[0].rate)
    try:
        if source.path is None:
            return int(soundfile.info(io.BytesIO(source.data or b"")).samplerate)
        # As bytes, where paths are bytes: soundfile cannot encode a name that is not UTF-8.
        path = os.fsencode(source.path) if os.name == "posix" else str(source.path)
        return int(soundfile.info(path).samplerate)
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
    source = Source(str(path), path, fault=fault_of(path))
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
    if source.array is not None:
        return samples_of(source.array, peak_limit)
    if source.path is not None and source.path.suffix.lower() in {".m4a", ".mp4", ".aac"}:
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
        refuse_out_of_range(samples, peak_limit)
    return samples


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
        if len(page) < 27 or last + 27 + len(lengths) + sum(lengths) > len(data):
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
