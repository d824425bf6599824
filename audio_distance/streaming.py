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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio_distance import features
from audio_distance.errors import AudioError
from audio_distance.features import FRAME, TRIM
from audio_distance.views import PREPARED_RMS, embed

HELD_SECONDS = 60.0  # what sounds for less than this is held: pauses may be all that a file is long of

Block = NDArray[np.float32]


def describe_blocks(
    blocks: Callable[[], Iterable[Block]], rate: int, digest: Any, *, bandwidth_rate: int | None = None
) -> tuple[NDArray[np.float32], float, int]:
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
    vectors (windows, 1799) float32, level in dB relative to full scale, number of samples.

    Raises
    ------
    AudioError
        See ``features.check_signal``.
    """
    samples, counts, peaks, bad = 0, [], [], []
    for block in blocks():
        digest.update(np.ascontiguousarray(block).data)
        counts.append(len(block))
        peaks.append(features.peak_of(block))
        if not math.isfinite(peaks[-1]):
            bad += (np.flatnonzero(~np.isfinite(block)) + samples).tolist()
        samples += len(block)
    peak = max(peaks, default=0.0)
    features.refuse_unfit(samples, rate, peak=peak, bad=bad)
    loud = np.flatnonzero(np.array(peaks, np.float32) > TRIM * peak)
    first, last = int(loud[0]), int(loud[-1])

    def trimmed() -> Iterator[Block]:
        for index, block in enumerate(blocks()):
            if index >= first:
                start = features.sounding(block, peak)[0] if index == first else 0
                yield block[start : features.sounding(block, peak)[1]] if index == last else block[start:]
            if index == last:
                return

    def resampled() -> Iterator[Block]:
        stream = trimmed()
        for source, target in features.resampling_steps(rate, bandwidth_rate):
            stream = _resampled(stream, source, target)
        return stream

    if sum(counts[first : last + 1]) <= HELD_SECONDS * rate:
        held = np.concatenate(list(trimmed()))
        prepared, level = features.prepare_trimmed(held, rate, bandwidth_rate=bandwidth_rate)
        return np.stack([embed(window) for window in features.windows(prepared)]), level, samples
    power, length = [], 0
    for block in _in_frames(resampled()):
        power.append(features.frame_power(block))
        length += len(block)
    rms = features.sounding_rms(np.concatenate(power))
    scaled = (block * np.float32(PREPARED_RMS / rms) for block in resampled())
    bounds = features.window_bounds(length)
    vectors = [embed(window) for window in _cut(scaled, bounds)]
    if len(vectors) < len(bounds):
        raise AudioError("ended sooner when it was read again; likely overwritten meanwhile")
    return np.stack(vectors), 20 * math.log10(rms), samples


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


def _in_frames(blocks: Iterable[Block]) -> Iterator[Block]:
    """The same samples in blocks of whole frames of 10 ms; what is left over comes last."""
    rest: Block = np.empty(0, np.float32)
    for block in blocks:
        rest = np.concatenate([rest, block])
        whole = len(rest) - len(rest) % FRAME
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
