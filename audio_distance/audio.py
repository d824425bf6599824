"""Files and arrays in, float32 samples out; what is refused, and why.

Conventions
    samples    (samples, channels) float32, full scale 1.0; ``rate`` in Hz and never assumed.
    refusal    an ``AudioError`` that names value, limit and likely cause; bad input never gives a number.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from audio_distance.containers import Part, contents, kind_of, mpeg_rate, refuse_rate, tag_length
from audio_distance.errors import AudioError
from audio_distance.sources import Source, fault_of, refuse_out_of_range, samples_of


@dataclass(frozen=True)
class Signal:
    """One sound that has been read."""

    samples: NDArray[np.float32]  # (samples, channels), full scale 1.0
    rate: int  # Hz
    notes: tuple[str, ...] = ()  # what to know of a file that was read all the same: see ``containers``


def rate_of(source: Source) -> int:
    """Sample rate from the header; raises AudioError with the reason if there is none."""
    if source.fault:
        raise AudioError(source.fault)
    if source.array is not None:
        return source.rate
    with source.opened() as file, _as_refusal("not audio, or damaged"):
        if not file.read(1):
            raise AudioError("0 bytes; likely an interrupted copy or a disk that was full")
        file.seek(0)
        kind, head = _kind_of_file(file)
        if kind == "mpeg" and (rate := mpeg_rate(head)):
            return rate
        file.seek(0)
        if kind in _BY_AV:
            with _open_av(file) as container:
                return refuse_rate(container.streams.audio[0].rate)
        import soundfile

        return refuse_rate(soundfile.info(file).samplerate)


def read(
    path: str | os.PathLike[str], *, minimum_bits: int = 16, peak_limit: float = 1.0
) -> tuple[NDArray[np.float32], int]:
    """One file as the distance reads it: (samples, channels) float32, full scale 1.0, and its rate in Hz.

    ``AudioError`` with value, limit and likely cause, as ``compare`` tells of a file.
    """
    path = Path(path)
    source = Source(str(path), path, fault=fault_of(path))
    try:
        signal = read_source(source, source.read(), minimum_bits=minimum_bits, peak_limit=peak_limit)
    except OSError as error:
        raise AudioError(f"unreadable ({error})") from None
    return signal.samples, signal.rate


def read_source(source: Source, data: bytes, *, minimum_bits: int, peak_limit: float) -> Signal:
    """A sound, or AudioError with value, limit and likely cause.

    ``data`` is what the file holds (empty for an array): read once by the caller, who also hashes it.
    """
    if source.array is not None:
        return Signal(samples_of(source.array, peak_limit), source.rate)
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
# Samples of all channels that are decoded at once: a header may promise more than memory holds.
_BLOCK = 2**22


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


def _kind_of_file(file: BinaryIO) -> tuple[str, bytes]:
    """``containers.kind_of`` and the bytes that show it, behind the tags in front."""
    while True:
        head = file.read(32)
        tag = tag_length(head)
        if (kind := kind_of(head)) or not tag:
            return kind, head
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
            refuse_out_of_range(samples, peak_limit)
        return Signal(samples, file.samplerate)


def _open_av(file: BinaryIO) -> Any:
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
