"""From a source to what is heard and seen of it: a clip, a small log-mel spectrogram, its bandwidth.

Conventions
    heard      mono at ``CLIP_RATE``, from where the sound begins, ``CLIP_SECONDS`` at most.
    picture    (bands, frames) uint8, low frequencies last; 255 is the loudest of the clip, 0 is 60 dB below.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio_distance.audio import mean_of_channels, read_source
from audio_distance.errors import AudioError
from audio_distance.features import resample
from audio_distance.reading import Reading
from audio_distance.sources import Source
from audio_distance.transforms import mel_filters

CLIP_RATE, CLIP_SECONDS = 24_000, 5.0  # Opus has no 22,050 Hz; all that is compared is below 11,025
BITRATES = (64, 48, 32, 24)  # kbit/s: below 24 the encoder is what one hears
SPARE_FILES, SPARE_KILOBITS = 10, 48  # copies in MP3, for browsers that do not play Ogg Opus
SPARE_SHARE = 1 / 8  # of the room for sounds, at most
MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)  # Hz, all that MP3 has
PICTURE = (32, 48)  # bands, frames
SEEN_SECONDS = 30.0  # of a long file, for its bandwidth
BEGINS = 1e-3  # of the peak: -60 dB
POWER_SHARE = 0.99


@dataclass(frozen=True)
class Heard:
    """What the page needs of a sound."""

    samples: NDArray[np.float32]  # (samples,) at CLIP_RATE
    picture: NDArray[np.uint8]
    bandwidth_hz: float  # below it lies 99 % of the power


def hear(source: Source, *, reading: Reading) -> Heard:
    """The first seconds of a sound; ``AudioError`` or ``OSError`` where it can no longer be read."""
    mono, rate = first_seconds(source, SEEN_SECONDS, reading=reading)
    loud = np.flatnonzero(np.abs(mono) > BEGINS * np.abs(mono).max(initial=0))
    begin = int(loud[0]) if len(loud) else 0
    clip = resample(mono[begin : begin + round(CLIP_SECONDS * rate)], rate, CLIP_RATE)
    return Heard(np.clip(clip, -1, 1), picture_of(clip), bandwidth_of(mono, rate))


def first_seconds(source: Source, seconds: float, *, reading: Reading) -> tuple[NDArray[np.float32], int]:
    """The beginning of a sound, (samples,), and its rate in Hz; no more of a file is decoded than that."""
    data = source.read()
    signal = read_source(source, data, minimum_bits=reading.minimum_bits, peak_limit=reading.peak_limit)
    blocks, count = [], 0
    for block in signal.blocks():
        blocks.append(mean_of_channels(block))
        count += len(block)
        if count >= seconds * signal.rate:
            break
    return np.concatenate(blocks)[: round(seconds * signal.rate)], signal.rate


def bandwidth_of(mono: NDArray[np.float32], rate: int) -> float:
    """Hz below which 99 % of the power of ``mono``, (samples,), lies."""
    import scipy.signal

    hz, power = scipy.signal.welch(mono, rate, nperseg=min(2048, len(mono)))
    total = np.cumsum(power)
    return float(hz[np.searchsorted(total, POWER_SHARE * total[-1])])


def picture_of(clip: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Log-mel spectrogram of a clip at ``CLIP_RATE``, in 60 dB."""
    bands, frames = PICTURE
    n_fft = 1024
    padded = np.pad(clip, (0, max(0, n_fft - len(clip))))
    starts = np.linspace(0, len(padded) - n_fft, frames).astype(int)
    spectrum = np.fft.rfft(padded[starts[:, None] + np.arange(n_fft)] * np.hanning(n_fft), axis=1)
    level = 10 * np.log10(np.abs(spectrum) ** 2 @ mel_filters(n_fft, bands, rate=CLIP_RATE).T + 1e-12)
    shade = np.clip((level - level.max() + 60) / 60, 0, 1)
    return np.asarray(np.rint(255 * shade.T[::-1]), np.uint8)


@dataclass(frozen=True)
class Sounds:
    """What is heard and seen of all sounds of a page, by position.

    Attributes
    ----------
    pictures, bandwidths
        Of every sound; a black one and None where it could not be read.
    seconds : dict
        Of each clip.
    kept : dict
        The clips, as int16, which no encoder of ``BITRATES`` tells from float; only so many as a page may
        ever hold.
    faults : tuple of str
        A line each.
    """

    pictures: list[NDArray[np.uint8]]
    bandwidths: list[float | None]
    seconds: dict[int, float]
    kept: dict[int, NDArray[np.int16]]
    faults: tuple[str, ...]


def hear_all(
    origins: Sequence[Source | None], order: Sequence[int], *, reading: Reading, largest_bytes: int
) -> Sounds:
    """Every sound once, in ``order`` (positions); ``largest_bytes`` of a page bound what is kept of them."""
    pictures = [np.zeros(PICTURE, np.uint8) for _ in origins]
    bandwidths: list[float | None] = [None] * len(origins)
    seconds: dict[int, float] = {}
    kept: dict[int, NDArray[np.int16]] = {}
    faults = []
    room = largest_bytes / (4 / 3 * BITRATES[-1] * 125)  # seconds
    for position in order:
        source = origins[position]
        if source is None:
            continue
        try:
            heard = hear(source, reading=reading)
        except (AudioError, OSError) as error:
            faults.append(f"{source.name} could not be read again: {error}")
            continue
        pictures[position], bandwidths[position] = heard.picture, heard.bandwidth_hz
        seconds[position] = len(heard.samples) / CLIP_RATE
        room -= seconds[position]
        if room > 0:
            kept[position] = np.asarray(np.rint(heard.samples * 32767), np.int16)
    return Sounds(pictures, bandwidths, seconds, kept, tuple(faults))


def clips_within(room: int, sounds: Sounds, order: Sequence[int]) -> tuple[dict[int, bytes], int]:
    """Position -> Ogg Opus, and the kbit/s: the highest at which all fit into ``room`` bytes of base64.

    Where not even the lowest lets them, those that come first in ``order``.
    """
    kilobits = next((rate for rate in BITRATES if _whole(sounds, rate) < room), BITRATES[-1])
    kept = (position for position in order if position in sounds.kept)
    clips = (
        (position, encoded(sounds.kept[position], kilobits=kilobits, serial=position + 1))
        for position in kept
    )
    return _filling(room, clips), kilobits


def _whole(sounds: Sounds, kilobits: int) -> float:
    """Bytes of a page, about, that all clips take."""
    head = 1200  # bytes of an Ogg stream, and of its script element
    return 4 / 3 * (sum(sounds.seconds.values()) * kilobits * 125 + head * len(sounds.seconds))


def room_for_spare(room: int, sounds: Sounds) -> int:
    """``SPARE_SHARE`` of the room, or none where not all clips would fit beside it.

    Copies for the few browsers without Ogg must not silence a file for all others.
    """
    spare = int(SPARE_SHARE * room)
    return spare if _whole(sounds, BITRATES[-1]) < room - spare else 0


def spare_within(room: int, sounds: Sounds, order: Sequence[int]) -> dict[int, bytes]:
    """Position -> MP3, of the first ``SPARE_FILES`` of ``order`` that fit into ``room`` bytes of base64."""
    kept = [position for position in order if position in sounds.kept][:SPARE_FILES]
    clips = (
        (position, encoded_mp3(sounds.kept[position], CLIP_RATE, kilobits=SPARE_KILOBITS))
        for position in kept
    )
    return _filling(room, clips)


def _filling(room: int, clips: Iterable[tuple[int, bytes]]) -> dict[int, bytes]:
    """The first of ``clips`` that fit into ``room`` bytes of a page; the others are not made."""
    filled = {}
    for position, data in clips:
        room -= base64_bytes(data)
        if room < 0:
            break
        filled[position] = data
    return filled


def base64_bytes(data: bytes) -> int:
    """What a clip takes of a page."""
    return 4 * (len(data) + 2) // 3 + 80


def encoded(samples: NDArray[Any], *, kilobits: int, serial: int) -> bytes:
    """A clip as Ogg Opus of so many kbit/s; ``serial`` is the number of its stream, else a random one."""
    import soundfile

    file = io.BytesIO()
    compression = 1 - (kilobits - 6) / 250  # as libsndfile maps it: 6 to 256 kbit/s a channel
    soundfile.write(file, samples, CLIP_RATE, format="OGG", subtype="OPUS", compression_level=compression)
    return with_serial(file.getvalue(), serial)


def encoded_mp3(samples: NDArray[Any], rate: int, *, kilobits: int) -> bytes:
    """Samples as MP3 by libsndfile's LAME; ``rate`` is one of ``MP3_RATES``."""
    import soundfile

    low, high = (32, 320) if rate >= 32_000 else (8, 160) if rate >= 16_000 else (8, 64)
    level = (high - kilobits) / (high - low)  # as libsndfile maps it
    file = io.BytesIO()
    form = {"format": "MP3", "subtype": "MPEG_LAYER_III", "bitrate_mode": "CONSTANT"}
    soundfile.write(file, samples, rate, compression_level=level, **form)
    return file.getvalue()


def with_serial(data: bytes, serial: int) -> bytes:
    """An Ogg stream with another serial number, so that one sound gives the same bytes every time.

    Pages and their checksums: RFC 3533, section 6.
    """
    pages, place = [], 0
    while place < len(data):
        count = data[place + 26]
        size = 27 + count + sum(data[place + 27 : place + 27 + count])
        page = bytearray(data[place : place + size])
        page[14:18] = struct.pack("<I", serial)
        page[22:26] = bytes(4)
        page[22:26] = struct.pack("<I", _ogg_crc(bytes(page)))
        pages.append(bytes(page))
        place += size
    return b"".join(pages)


def _crc_table() -> tuple[int, ...]:
    """CRC-32 of polynomial 0x04C11DB7, high bit first, of each byte."""
    table = []
    for value in range(256):
        value <<= 24
        for _ in range(8):
            value = (value << 1 ^ 0x04C11DB7 if value & 0x80000000 else value << 1) & 0xFFFFFFFF
        table.append(value)
    return tuple(table)


_TABLE = _crc_table()


def _ogg_crc(page: bytes) -> int:
    value = 0
    for byte in page:
        value = (value << 8 & 0xFFFFFFFF) ^ _TABLE[value >> 24 ^ byte]
    return value


def sprite(pictures: list[NDArray[np.uint8]], *, columns: int) -> bytes:
    """All pictures in rows of ``columns``, as one WebP in the colours of viridis."""
    from bokeh.palettes import Viridis256
    from PIL import Image

    bands, frames = PICTURE
    rows = max(1, -(-len(pictures) // columns))
    sheet = np.zeros((rows * bands, columns * frames), np.uint8)
    for i, picture in enumerate(pictures):
        y, x = i // columns * bands, i % columns * frames
        sheet[y : y + bands, x : x + frames] = picture
    colours = np.array([[int(c[k : k + 2], 16) for k in (1, 3, 5)] for c in Viridis256], np.uint8)
    file = io.BytesIO()
    Image.fromarray(colours[sheet]).save(file, "WEBP", quality=50, method=4)
    return file.getvalue()
