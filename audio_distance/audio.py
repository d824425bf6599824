"""Files and arrays in, float32 samples out; what is refused, and why.

Conventions
    samples    (samples, channels) float32, full scale 1.0; ``rate`` in Hz and never assumed.
    refusal    an ``AudioError`` that names value, limit and likely cause; bad input never gives a number.
"""

from __future__ import annotations

import hashlib
import math
import mmap
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from audio_distance.containers import Part, contents, kind_of, mpeg_rate, refuse_rate, tag_length
from audio_distance.errors import AudioError
from audio_distance.sources import Source, fault_of, refuse_out_of_range, samples_of

HELD_BYTES = 2**27  # of samples in float32; a sound of more is long: 6 minutes of stereo at 44.1 kHz
BLOCK = 2**18  # samples of each channel that are decoded at once


@dataclass(frozen=True)
class Signal:
    """A sound that is open to be described: every pass over a file decodes it.

    Attributes
    ----------
    rate : int
        Hz.
    blocks : callable
        The samples, (samples, channels) float32, in blocks of about ``BLOCK``, one after another, from the
        start at every call. What only its end can tell of a file (truncated, beyond full scale) is raised
        behind the last block.
    long : bool
        Not to be held as a whole.
    notes : tuple of str
        What to know of a file that was read all the same: see ``containers``.
    """

    rate: int
    blocks: Callable[[], Iterator[NDArray[np.float32]]]
    long: bool = False
    notes: tuple[str, ...] = ()


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
        signal = read_source(
            source, source.read(), minimum_bits=minimum_bits, peak_limit=peak_limit, most=math.inf
        )
        blocks = list(signal.blocks())
    except OSError as error:
        raise AudioError(f"unreadable ({error})") from None
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks), signal.rate


def read_source(
    source: Source,
    data: bytes | mmap.mmap,
    *,
    minimum_bits: int,
    peak_limit: float,
    most: float = HELD_BYTES,
) -> Signal:
    """A sound, or AudioError with value, limit and likely cause.

    ``data`` is what the file holds (empty for an array): read once by the caller, who also hashes it. What
    takes more than ``most`` bytes when decoded is long.
    """
    if source.array is not None:
        samples = samples_of(source.array, peak_limit)
        parts = range(0, len(samples), BLOCK)
        return Signal(source.rate, lambda: (samples[i : i + BLOCK] for i in parts))
    if not len(data):
        raise AudioError("0 bytes; likely an interrupted copy or a disk that was full")
    with _as_refusal("damaged or truncated"):
        checked = contents(data)
        facts = [_facts(part, minimum_bits) for part in checked.parts]
        shapes = sorted({(fact.rate, fact.channels) for fact in facts})
        if len(shapes) > 1:
            seen = " and ".join(f"{rate} Hz with {channels} channel(s)" for rate, channels in shapes)
            raise AudioError(f"joined from files of {seen}; a sound has one rate")

    def blocks() -> Iterator[NDArray[np.float32]]:
        with _as_refusal("damaged or truncated"):
            for part, fact in zip(checked.parts, facts, strict=True):
                yield from _decode(part, fact.rate, peak_limit)

    long = 4 * sum(fact.samples * fact.channels for fact in facts) > most
    return Signal(refuse_rate(facts[0].rate), blocks, long, checked.notes)


_BY_AV = {"mp4", "adts"}  # all others by libsndfile


@contextmanager
def _as_refusal(cause: str) -> Iterator[None]:
    """Whatever a decoder raises, and they raise much, becomes the refusal of one file."""
    try:
        yield
    except AudioError:
        raise
    except Exception as error:
        # libsndfile's own words, without the place in memory that it was given for a name.
        text = getattr(error, "error_string", str(error)) or type(error).__name__
        raise AudioError(f"unreadable ({text}); likely {cause}") from None


def _kind_of_file(file: BinaryIO) -> tuple[str, bytes]:
    """``containers.kind_of`` and the bytes that show it, behind the tags in front."""
    while True:
        head = file.read(32)
        tag = tag_length(head)
        if (kind := kind_of(head)) or not tag:
            return kind, head
        file.seek(tag - len(head), os.SEEK_CUR)


class _Facts(NamedTuple):
    """What the head of a part says; of its length only about."""

    rate: int
    channels: int
    samples: float


def _facts(part: Part, minimum_bits: int) -> _Facts:
    if kind_of(part.data[:32]) in _BY_AV:
        with _open_av(part.opened()) as container:
            stream = container.streams.audio[0]
            seconds = float((stream.duration or 0) * stream.time_base)
            return _Facts(int(stream.rate), stream.codec_context.channels, seconds * stream.rate)
    import soundfile

    with soundfile.SoundFile(part.opened()) as file:
        if file.subtype in {"PCM_U8", "PCM_S8", "DPCM_8"} and minimum_bits > 8:
            raise AudioError(
                f"8-bit samples ({file.subtype}), and the limit is {minimum_bits} bits: their noise, "
                "about 50 dB below the sound, would count as a difference. Likely an export setting; "
                "convert the source again, or pass minimum_bits=8"
            )
        return _Facts(file.samplerate, file.channels, file.frames)


def _decode(part: Part, rate: int, peak_limit: float) -> Iterator[NDArray[np.float32]]:
    """One stream, and all of it; behind the last block what only its end tells."""
    by_av = kind_of(part.data[:32]) in _BY_AV
    count = 0
    for block in _decode_by_av(part) if by_av else _decode_by_soundfile(part, peak_limit):
        count += len(block)
        yield block
    if count < part.least:
        raise AudioError(f"damaged: {count} of at least {part.least} samples could be read")
    if abs(count / rate - (part.seconds or count / rate)) > 0.1:
        raise AudioError(
            f"damaged: the frames last {part.seconds:.2f} s, and {count / rate:.2f} s could be read"
        )


def _decode_by_soundfile(part: Part, peak_limit: float) -> Iterator[NDArray[np.float32]]:
    import soundfile

    with soundfile.SoundFile(part.opened()) as file:
        # Else every read ends with a seek to where it has come, and the decoder of MP3 starts afresh there.
        file.seekable = lambda: False
        # What has a digest is read as integers: 16 bits as they are, others at the upper end of 32.
        kind = "float32" if not part.digest else "int16" if part.bits == 16 else "int32"
        is_float = file.subtype in {"FLOAT", "DOUBLE"}
        digest, count, peak = hashlib.md5(usedforsecurity=False), 0, 0.0
        while len(block := file.read(BLOCK, dtype=kind, always_2d=True)) or not count:
            if part.digest:
                width = block.itemsize
                octets = block.astype(block.dtype.newbyteorder("<"), copy=False).view(np.uint8)
                used = octets.reshape(-1, width)[:, width - part.bits // 8 :] if width > 2 else octets
                digest.update(np.ascontiguousarray(used).data)
                block = block.astype(np.float32)
                block *= np.float32(0.5 ** (8 * width - 1))  # exact to 24 bits
            elif is_float:
                peak = float(np.maximum(peak, np.abs(block).max(initial=0)))  # NaN stays
            count += len(block)
            yield block
            if len(block) < BLOCK:
                break
        if part.digest and digest.digest() != part.digest:
            raise AudioError(
                f"damaged: the header gives the MD5 {part.digest.hex()[:8]}..., {count} samples have "
                f"{digest.hexdigest()[:8]}...; likely a faulty copy, or a header that promises too few"
            )
        # Of Opus fewer samples than the shortest packet holds, 2.5 ms, are no packet that is missing: some
        # encoders promise too much. Whether all pages are there, ``containers`` has checked.
        allowed = file.samplerate // 400 if file.subtype == "OPUS" else 1
        if count + allowed <= file.frames < 2**62:
            raise AudioError(f"truncated: {count} of {file.frames} samples could be read")
        if is_float:
            refuse_out_of_range(peak, peak_limit)


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


def _decode_by_av(part: Part) -> Iterator[NDArray[np.float32]]:
    with _open_av(part.opened()) as container:
        import av

        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format="fltp")
        waiting: list[NDArray[Any]] = []  # frames of about a thousand samples
        rates: set[int] = set()
        packets, count = 0, 0
        for packet in container.demux(stream):
            packets += packet.size > 0
            if packet.is_corrupt:
                raise AudioError(f"truncated: packet {packets} is not whole; likely an interrupted copy")
            for frame in packet.decode():
                rates.add(frame.sample_rate)
                waiting += [resampled.to_ndarray() for resampled in resampler.resample(frame)]
            if waiting and sum(frame.shape[1] for frame in waiting) >= BLOCK:
                block = np.concatenate(waiting, axis=1).T.astype(np.float32, copy=False)
                count, waiting = count + len(block), []
                yield block
        if waiting:
            block = np.concatenate(waiting, axis=1).T.astype(np.float32, copy=False)
            count += len(block)
            yield block
        promised = float(stream.duration * stream.time_base) if stream.frames and stream.duration else 0.0
        if packets < stream.frames:
            raise AudioError(f"truncated: {packets} of {stream.frames} packets are there")
    if not count:
        raise AudioError("holds no samples; likely truncated")
    if len(rates) > 1:
        raise AudioError(f"changes its rate on the way ({' and '.join(map(str, sorted(rates)))} Hz)")
    (rate,) = rates
    if promised and abs(count / rate - promised) > 0.1:
        raise AudioError(f"the header promises {promised:.2f} s, and {count / rate:.2f} s could be read")


def mean_of_channels(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """(samples, channels) -> (samples,): to the bit ``samples.mean(axis=1)``, in a twentieth of its time.

    A mean over a short axis costs numpy one call a sample. Below 8 channels it adds them one after another,
    from 8 on in an order of its own.
    """
    channels = samples.shape[1]
    if not 0 < channels < 8:
        return np.asarray(samples.mean(axis=1))
    total: NDArray[np.float32] = samples[:, 0] + (samples[:, 1] if channels > 1 else np.float32(0))
    for channel in range(2, channels):
        total += samples[:, channel]
    total += np.float32(0)  # which turns -0.0 into 0.0, as a sum does
    total /= np.float32(channels)
    return total


CANCELLED, NEARLY_CANCELLED = 1e-4, 1e-2  # power of the mean over that of the channels: -40 and -20 dB
SILENT_CHANNEL = 1e-6  # of the power of the loudest channel: -60 dB


class ChannelSums:
    """What the mean of the channels makes of them, told from sums over the blocks of a sound.

    Of two channels with opposite polarity the mean is rounding, and would be described as if it were sound.
    A channel that is silent only lowers the level.
    """

    FOLD = 64  # samples side by side in a row: sums over columns of few channels would be slow

    def __init__(self) -> None:
        self.samples = 0
        self.first = self.second = np.zeros(1)  # sums and sums of squares: of the mean, then of each channel

    def add(self, block: NDArray[np.float32], mono: NDArray[np.float32]) -> None:
        """One block, (samples, channels), and the mean of its channels; nothing is told of a single one."""
        channels = block.shape[1]
        if channels < 2:
            return
        whole = len(block) - len(block) % self.FOLD
        parts = [block[:whole].reshape(-1, self.FOLD * channels), block[whole:]]
        with np.errstate(all="ignore"):  # what is not finite is refused elsewhere
            first = sum(part.sum(axis=0).reshape(-1, channels).sum(axis=0) for part in parts)
            second = sum(
                np.einsum("ij,ij->j", part, part).reshape(-1, channels).sum(axis=0) for part in parts
            )
            self.first = self.first + np.append(mono.sum(), first).astype(float)
            self.second = self.second + np.append(mono @ mono, second).astype(float)
        self.samples += len(block)

    def notes(self) -> tuple[str, ...]:
        """What to know of the channels; ``AudioError`` where they cancel. Offsets count for nothing."""
        if not self.samples:
            return ()
        with np.errstate(all="ignore"):
            mean, *channels = self.second / self.samples - (self.first / self.samples) ** 2
            left = max(mean, 0) / np.mean(channels)  # 1 of equal channels, NaN of silence
            silent = [i + 1 for i, power in enumerate(channels) if power < SILENT_CHANNEL * max(channels)]
        which = "channels 1 and 2" if len(channels) == 2 else f"the {len(channels)} channels"
        if left < CANCELLED:
            raise AudioError(
                f"{which} cancel: their mean is {_below(left)} below them, and the limit is "
                f"{_below(CANCELLED)}; likely one with inverted polarity: invert it, or give one channel"
            )
        notes = []
        if left < NEARLY_CANCELLED:
            notes.append(
                f"{which} nearly cancel: their mean is {_below(NEARLY_CANCELLED)} or more below them"
            )
        if silent:
            names = f"s {', '.join(map(str, silent))} are" if len(silent) > 1 else f" {silent[0]} is"
            notes.append(f"channel{names} silent beside the others")
        return tuple(notes)


def _below(share: float) -> str:
    """A share of power in dB, as so much below."""
    return f"{-10 * math.log10(share):.0f} dB" if share > 1e-9 else "90 dB or more"
