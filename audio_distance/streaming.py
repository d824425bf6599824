"""A long sound described block by block: the same numbers, to the bit, as in one piece.

Held whole, two hours of stereo and what is made of them take gigabytes. So they are read three times, each
time a block after another: for the peak, by which silence is cut; for the level and the length, by which
windows are scaled and placed; for the windows.

Conventions
    blocks     mono float32, (samples,), of a bounded size, one after another; every pass asks for them anew.
    step       what ``features.prepare`` does at once, done here by its own functions on one block at a time.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio_distance import features
from audio_distance.errors import AudioError
from audio_distance.features import FRAME, TRIM, Described
from audio_distance.transforms import PREPARED_RMS

HELD_SECONDS = 60.0  # what sounds for less than this is held: pauses may be all that a file is long of

Block = NDArray[np.float32]


def describe_blocks(
    blocks: Callable[[], Iterable[Block]], rate: int, digest: Any, *, bandwidth_rate: int | None = None
) -> tuple[Described, int]:
    """``features.describe_signal`` of a sound that is given in blocks.

    Parameters
    ----------
    blocks : callable
        Gives the blocks from the start each time it is called: three times.
    rate : int
        Hz.
    digest : hash object of ``hashlib``
        Updated with the bytes of all samples, on the first pass.
    bandwidth_rate : int, optional
        As for ``features.prepare``.

    Returns
    -------
    vectors, level and the seconds that sound, as of ``features.describe_signal``; number of samples.

    Raises
    ------
    AudioError
        See ``features.prepare``.
    """
    seen = _Seen(digest)
    first_pass = [
        (float(magnitude.max()), len(block), offset)
        for block, magnitude, offset in _audible(seen.all_of(blocks()), rate)
    ]
    features.refuse_unfit(seen.samples, rate, peak=seen.peak, bad=seen.bad)
    peaks, counts, offsets = zip(*first_pass, strict=True)
    peak = max(peaks)
    features.refuse_inaudible(peak, offsets[0])
    limit = TRIM * peak
    loud = np.flatnonzero(np.array(peaks, np.float32) > limit)
    first, last = int(loud[0]), int(loud[-1])

    sounding = 0  # samples, once all of what sounds has passed

    def trimmed() -> Iterator[Block]:
        nonlocal sounding
        sounding = 0
        for index, (block, magnitude, _) in enumerate(_audible(blocks(), rate)):
            if index >= first:
                start, end = features.extent(magnitude > limit)
                part = block[start if index == first else 0 : end if index == last else len(block)]
                sounding += len(part)
                yield part
            if index == last:
                return

    def resampled() -> Iterator[Block]:
        stream = trimmed()
        for source, target in features.resampling_steps(rate, bandwidth_rate):
            stream = _resampled(stream, source, target)
        return stream

    if sum(counts[first : last + 1]) <= HELD_SECONDS * rate:
        held = np.concatenate(list(trimmed()))
        return features.describe_trimmed(held, rate, bandwidth_rate=bandwidth_rate), seen.samples
    power, length = [], 0
    for block in _in_frames(resampled(), FRAME):
        power.append(features.frame_power(block))
        length += len(block)
    seconds = sounding / rate
    rms = features.sounding_rms(np.concatenate(power))
    scaled = (block * np.float32(PREPARED_RMS / rms) for block in resampled())
    bounds = features.window_bounds(length)
    vectors = features.embed_each(_cut(scaled, bounds))
    if len(vectors) < len(bounds):
        raise AudioError("ended sooner when it was read again; likely overwritten meanwhile")
    return Described(np.stack(vectors), 20 * math.log10(rms), seconds), seen.samples


@dataclass
class _Seen:
    """What passed by on the first pass: all that a sound may be refused for."""

    digest: Any
    samples: int = 0
    peak: float = 0.0
    bad: list[int] = field(default_factory=list)  # samples that are NaN or infinite

    def all_of(self, blocks: Iterable[Block]) -> Iterator[Block]:
        for block in blocks:
            self.digest.update(np.ascontiguousarray(block).data)
            peak = features.peak_of(block)
            if not math.isfinite(peak):
                self.bad += (np.flatnonzero(~np.isfinite(block)) + self.samples).tolist()
            self.peak = max(self.peak, peak)
            self.samples += len(block)
            yield block


def _audible(blocks: Iterable[Block], rate: int) -> Iterator[tuple[Block, Block, float]]:
    """Between digital silences, without offset and rumble; with its magnitude and the sound's offset."""
    state = None
    for block in _in_frames(_between_zeros(blocks), features.offset_samples(rate)):
        if state is None:
            offset = features.offset_at_start(block, rate)
        passed, state = features.high_pass(block, rate, offset=offset, state=state)
        yield passed, features.audible_magnitude(passed, block, offset), offset


def _between_zeros(blocks: Iterable[Block]) -> Iterator[Block]:
    """The same from the first to the last sample that is not zero; zeros wait for what comes after them."""
    begun, waiting = False, list[int]()
    for block in blocks:
        first, last = features.extent(block != 0)
        if last:
            yield from (np.zeros(zeros, np.float32) for zeros in waiting)
            yield block[0 if begun else first : last]
            begun = True
            waiting.clear()
        if begun and last < len(block):
            waiting.append(len(block) - last)


def _resampled(blocks: Iterable[Block], rate: int, target: int) -> Iterator[Block]:
    """``features.resample`` of a long sound: soxr gives the same samples in blocks as in one piece."""
    import soxr

    stream = soxr.ResampleStream(rate, target, 1, dtype="float32")
    waiting: Block = np.empty(0, np.float32)
    for block in blocks:  # one behind, for the last has to be called the last
        if len(waiting):
            yield stream.resample_chunk(waiting)
        waiting = np.ascontiguousarray(block)
    yield stream.resample_chunk(waiting, last=True)


def _in_frames(blocks: Iterable[Block], frame: int) -> Iterator[Block]:
    """The same samples in blocks of whole frames of ``frame`` samples; what is left over comes last."""
    rest: Block = np.empty(0, np.float32)
    for block in blocks:
        rest = np.concatenate([rest, block])
        whole = len(rest) - len(rest) % frame
        if whole:
            yield rest[:whole]
        rest = rest[whole:]
    if len(rest):
        yield rest


def _cut(blocks: Iterable[Block], bounds: Iterable[tuple[int, int]]) -> Iterator[Block]:
    """The samples from each first to each last of ``bounds``, which ascend and may overlap."""
    waiting = deque(bounds)
    held, position = np.empty(0, np.float32), 0  # of its first sample
    for block in blocks:
        held = np.concatenate([held, block])
        while waiting and waiting[0][1] <= position + len(held):
            first, last = waiting.popleft()
            yield held[first - position : last - position]
        if not waiting:
            return
        unneeded = min(waiting[0][0] - position, len(held))
        held, position = held[unneeded:], position + unneeded
