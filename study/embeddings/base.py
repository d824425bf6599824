"""What every embedding is: one contract, which checks what goes in and what comes out.

Conventions
    signal      mono float32, (samples,), full scale 1.0; ``rate`` in Hz.
    describe    the function inside: ``(signal, rate) -> (frames, dimension)``, any rate, at least one
                frame. It may rely on what ``checked`` refuses: no empty, silent or infinite signals.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

import metrics
from audio_distance.features import check_signal, resample

Describe = Callable[[np.ndarray, int], np.ndarray]


class MissingNetwork(ImportError):
    """A network's package or weights are not on this machine; the message is the command that brings them."""


@dataclass(frozen=True)
class Embedding:
    """A description of sounds by rows of numbers.

    ``rate`` in Hz is what the embedding works at, ``dimension`` the length of a row. ``licence`` (of the
    weights) and ``source`` (who made it, where it is published) are words for people. ``describe`` is the
    bare function: use ``embed`` or ``embed_at``, which check what goes in and what comes out.
    """

    name: str
    rate: int
    dimension: int
    describe: Describe = field(repr=False)
    licence: str = ""
    source: str = ""

    def embed(self, signal: np.ndarray) -> np.ndarray:
        """Return float32 (frames, dimension) of a mono signal, (samples,), at ``self.rate``.

        There is at least one frame. Raises as ``embed_at``.
        """
        return self.embed_at(signal, self.rate)

    def embed_at(self, signal: np.ndarray, rate: int) -> np.ndarray:
        """Return the same of a signal at any ``rate`` in Hz, which soxr brings to ``self.rate``.

        Fits the ``embedding=`` of ``metrics.compare``. Raises ``metrics.AudioError``, a ValueError, for a
        signal that cannot be described, and ValueError if what comes out is not finite (frames, dimension).
        """
        rows = np.asarray(self.describe(checked(signal, rate), rate), np.float32)
        if rows.ndim != 2 or len(rows) == 0 or rows.shape[1] != self.dimension:
            raise ValueError(
                f"{self.name} gave an array of shape {rows.shape}, and (frames, {self.dimension}) with at "
                "least 1 frame is needed; likely its dimension= is wrong, or one frame lost its first axis"
            )
        # A row that is not finite would make every distance to it so, far from here.
        if not np.isfinite(rows).all():
            raise ValueError(
                f"{self.name} gave {np.count_nonzero(~np.isfinite(rows))} of {rows.size} numbers that are "
                "NaN or infinite; likely a division by the level, or a logarithm of 0"
            )
        return rows


def from_function(
    name: str,
    function: Callable[[np.ndarray], np.ndarray],
    *,
    rate: int,
    dimension: int,
    licence: str = "not stated",
    source: str = "own function",
) -> Embedding:
    """Return an embedding of one's own.

    ``function(signal) -> (frames, dimension)`` gets mono float32 at ``rate`` Hz, resampled by soxr where
    needed. A vector ``(dimension,)`` counts as one frame. Raises ValueError for a rate or a dimension
    below 1; what the function gets wrong is said where the embedding is used.

        >>> peak = from_function("peak", lambda signal: [abs(signal).max()], rate=16_000, dimension=1)
    """
    if rate < 1 or dimension < 1:
        raise ValueError(f"{name}: rate {rate} Hz and dimension {dimension}, and both are at least 1")

    def describe(signal: np.ndarray, signal_rate: int) -> np.ndarray:
        return np.atleast_2d(function(resample(signal, signal_rate, rate)))

    return Embedding(name, rate, dimension, describe, licence, source)


def file_vector(embedding: Embedding, signal: np.ndarray, rate: int) -> np.ndarray:
    """Return one row for a file, float64 (dimension,): the mean over its frames.

    ``signal`` is mono at ``rate`` Hz. It is prepared by ``metrics.prepare`` (all but ``waveform`` and
    one's own function) and resampled to the embedding's rate by soxr. The mean, because candidate distances
    compare files, and frames of one file are not independent draws. Raises as ``Embedding.embed_at``.
    """
    return embedding.embed_at(signal, rate).mean(axis=0, dtype=np.float64)


def checked(signal: np.ndarray, rate: int) -> np.ndarray:
    """Return mono float32, (samples,); refuse what ``metrics.prepare`` refuses, so that all refuse alike.

    Raises ``metrics.AudioError`` for more than one axis, less than 11.6 ms, a sample that is NaN or
    infinite, and a peak of at most 1e-6.
    """
    signal = np.asarray(signal, np.float32)
    if signal.ndim != 1:
        raise metrics.AudioError(
            f"signal of shape {signal.shape}, and mono (samples,) is needed; likely channels not averaged"
        )
    check_signal(signal, rate)
    return signal
