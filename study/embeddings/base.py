"""What every embedding is: a signal in, rows of numbers out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

import metrics

Describe = Callable[[np.ndarray, int], np.ndarray]


class MissingNetwork(ImportError):
    """A network's package or weights are not on this machine: says what to run."""


@dataclass(frozen=True)
class Embedding:
    """A description of sounds: see the module's conventions.

    ``describe(signal, rate) -> (frames, dimension)`` takes any rate; use ``embed`` or ``embed_at``, which
    check what goes in and what comes out.
    """

    name: str
    rate: int
    dimension: int
    describe: Describe = field(repr=False)
    licence: str = ""
    source: str = ""

    def embed(self, signal: np.ndarray) -> np.ndarray:
        """float32 (frames, dimension) of a mono signal at ``self.rate``; at least one frame."""
        return self.embed_at(signal, self.rate)

    def embed_at(self, signal: np.ndarray, rate: int) -> np.ndarray:
        """The same of a signal at any rate, which is resampled by soxr.

        Raises ``metrics.AudioError`` for a signal that cannot be described, and ``ValueError`` if what
        comes out is not finite (frames, dimension).
        """
        rows = np.asarray(self.describe(_checked(signal, rate), rate), np.float32)
        if rows.ndim != 2 or len(rows) == 0 or rows.shape[1] != self.dimension:
            raise ValueError(
                f"{self.name} gave an array of shape {rows.shape}, and (frames, {self.dimension}) with at "
                "least 1 frame is needed; likely its dimension= is wrong, or one frame lost its first axis"
            )
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
    """An embedding of one's own.

    ``function(signal) -> (frames, dimension)`` gets mono float32 at ``rate`` Hz, resampled by soxr where
    needed. A vector ``(dimension,)`` counts as one frame.

        >>> peak = from_function("peak", lambda signal: [abs(signal).max()], rate=16_000, dimension=1)
    """
    if rate < 1 or dimension < 1:
        raise ValueError(f"{name}: rate {rate} Hz and dimension {dimension}, and both are at least 1")
    return Embedding(
        name, rate, dimension, lambda x, r: np.atleast_2d(function(_resampled(x, r, rate))), licence, source
    )


def file_vector(embedding: Embedding, signal: np.ndarray, rate: int) -> np.ndarray:
    """One row for a file, float64 (dimension,): the mean over its frames.

    ``signal`` is mono at ``rate`` Hz. It is resampled to the embedding's rate by soxr; the handcrafted
    embeddings trim it before that, as ``metrics.prepare`` does. Raises as ``Embedding.embed_at``.
    """
    return embedding.embed_at(signal, rate).mean(axis=0, dtype=np.float64)


def _checked(signal: np.ndarray, rate: int) -> np.ndarray:
    """Mono float32, refused as ``metrics.prepare`` refuses, so that all embeddings refuse alike."""
    signal = np.asarray(signal, np.float32)
    if signal.ndim != 1:
        raise metrics.AudioError(
            f"signal of shape {signal.shape}, and mono (samples,) is needed; likely channels not averaged"
        )
    seconds = len(signal) / rate
    if seconds < metrics.SHORTEST_SECONDS:
        raise metrics.AudioError(
            f"too short: {len(signal)} samples, {1e3 * seconds:.1f} ms, and the limit is "
            f"{1e3 * metrics.SHORTEST_SECONDS:.1f} ms; likely an empty recording, or cut by mistake"
        )
    peak = float(np.abs(signal).max())
    if not math.isfinite(peak):
        raise metrics.AudioError(
            f"{np.count_nonzero(~np.isfinite(signal))} of {len(signal)} samples are NaN or infinite; "
            "likely a model that diverged"
        )
    if peak <= metrics.SILENCE_PEAK:
        raise metrics.AudioError(
            f"silent: peak {peak:.2g}, and the limit is {metrics.SILENCE_PEAK:g}; likely an empty recording"
        )
    return signal


def _resampled(signal: np.ndarray, rate: int, target: int) -> np.ndarray:
    if rate == target:
        return signal
    import soxr

    return soxr.resample(signal, rate, target)
