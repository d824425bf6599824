"""Sounds <-> log-mel spectrograms, with everything that is needed to come back.

Conventions
    signal       mono float32, (samples,), at ``rate`` Hz, which never has a default.
    log-mel      natural logarithm of the power in each mel band, (mels, frames), of a signal brought to
                 the peak ``PREPARED_PEAK`` (the distance leaves level out) and to a fixed length.
    normalised   log-mel minus the mean of each band over the training set, divided by its standard
                 deviation. Both are kept in ``Statistics`` and undone on the way back.
    magnitude    modulus of the short-time Fourier transform, (n_fft // 2 + 1, frames).

The way back has two steps, and each loses something: the bins of the transform from the mel bands
(``magnitude``, three ways, ``INVERSIONS``), then the phases (``waveform``, Griffin and Lim 1984 with the
momentum of Perraudin et al. 2013, as librosa has it). What they lose is the ceiling of every model that
generates spectrograms; ``models.autoencoder_study`` measures it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from study.embeddings import mel_matrix

PREPARED_PEAK = 0.5  # amplitude to which every signal is brought; full scale is 1
FLOOR = 1e-8  # power; a sine of peak 0.5 has 1e3 to 1e4 in its band
LEAST_DEVIATION = 0.1  # a band that is silent in the whole set must not be divided by nothing
MOST_LOG_POWER = 15.0  # what a network makes up must not overflow
INVERSIONS = ("uniform", "nnls", "regression")
FITS = ("pad", "stretch")
RIDGE = 0.1  # of the regression, on sums over all frames: only keeps it solvable
MATCHES = 3  # multiplicative updates after which the bands of a magnitude are nearly the ones given


@dataclass(frozen=True)
class Spectrogram:
    """A kind of log-mel spectrogram.

    ``rate`` in Hz, ``n_fft`` and ``hop_length`` in samples, ``seconds`` the length of every sound. ``fit``
    says how a sound comes to it: "pad" cuts or pads with silence; "stretch" resizes the spectrogram, which
    image tools do and which loses the tempo. ValueError for numbers that make no spectrogram.
    """

    rate: int
    n_fft: int
    hop_length: int
    mels: int
    seconds: float
    fit: str = "pad"

    def __post_init__(self) -> None:
        if self.fit not in FITS:
            raise ValueError(f"fit is {self.fit!r}; there are {', '.join(FITS)}")
        for name in ("rate", "n_fft", "hop_length", "mels", "seconds"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it is above 0")
        if self.hop_length > self.n_fft // 2:
            raise ValueError(
                f"hop_length {self.hop_length} is more than half of n_fft {self.n_fft}: the windows would "
                "not overlap enough to come back"
            )
        if self.length < self.n_fft:
            raise ValueError(
                f"{self.seconds} s at {self.rate} Hz are {self.length} samples, fewer than n_fft "
                f"{self.n_fft}; raise seconds or lower n_fft"
            )
        if empty := int(np.sum(self.filters.max(axis=1) == 0)):
            raise ValueError(
                f"{empty} of {self.mels} mel bands lie between the bins of n_fft {self.n_fft} at "
                f"{self.rate} Hz; lower mels or raise n_fft"
            )

    @property
    def length(self) -> int:
        """Samples of every sound."""
        return round(self.seconds * self.rate)

    @property
    def frames(self) -> int:
        return 1 + self.length // self.hop_length

    @property
    def filters(self) -> np.ndarray:
        """Triangular mel bands with peak 1, (mels, n_fft // 2 + 1)."""
        return mel_matrix(self.rate, self.n_fft, self.mels, 0, self.rate / 2, norm="peak").T

    def power(self, signal: np.ndarray) -> np.ndarray:
        """Power spectrogram of a signal that is brought to the length, (n_fft // 2 + 1, frames)."""
        import librosa  # takes seconds, and the classifier's front end needs the bands alone

        signal = checked(signal, self.rate) * (PREPARED_PEAK / np.abs(signal).max())
        if self.fit == "stretch":
            power = np.abs(librosa.stft(_at_least(signal, self.n_fft), **self._transform)) ** 2
            return ndimage.zoom(power, (1, self.frames / power.shape[1]), order=1, mode="nearest")
        return np.abs(librosa.stft(_at_least(signal[: self.length], self.length), **self._transform)) ** 2

    def log_mel(self, signal: np.ndarray) -> np.ndarray:
        """Log-mel of a signal, (mels, frames) float32. ValueError for what ``checked`` refuses."""
        return self.bands(self.power(signal))

    def bands(self, power: np.ndarray) -> np.ndarray:
        """Log-mel of a power spectrogram, (mels, frames) float32."""
        return np.log(self.filters @ power + FLOOR).astype(np.float32)

    def waveform(self, magnitude: np.ndarray, *, iterations: int) -> np.ndarray:
        """A signal that has about these magnitudes, mono float32 of ``length`` samples, peak at most 1.

        Phases by fast Griffin-Lim from seeded random ones, so the same magnitudes give the same signal.
        """
        import librosa

        signal = librosa.griffinlim(
            magnitude.astype(np.float32),
            n_iter=iterations,
            length=self.length,
            random_state=0,
            **self._transform,
        )
        return (signal / max(1.0, float(np.abs(signal).max()))).astype(np.float32)

    @property
    def _transform(self) -> dict:
        return {"n_fft": self.n_fft, "hop_length": self.hop_length}


@dataclass(frozen=True)
class Statistics:
    """What is learned from a training set on the way in, and needed on the way back.

    ``mean`` and ``deviation`` of each band, (mels,). ``regression`` are the coefficients that predict the
    log power of each bin from the normalised bands of a frame and of its two neighbours, and a constant:
    (3 mels + 1, bins).
    """

    mean: np.ndarray
    deviation: np.ndarray
    regression: np.ndarray

    def normalise(self, log_mel: np.ndarray) -> np.ndarray:
        """(..., mels, frames) float32."""
        return ((log_mel - self.mean[:, None]) / self.deviation[:, None]).astype(np.float32)

    def denormalise(self, normalised: np.ndarray) -> np.ndarray:
        """The inverse of ``normalise``."""
        return (normalised * self.deviation[:, None] + self.mean[:, None]).astype(np.float32)


def powers(signals: Sequence[np.ndarray], spectrogram: Spectrogram) -> list[np.ndarray]:
    """Power spectrograms of signals; an error says which signal."""
    found = []
    for i, signal in enumerate(signals):
        try:
            found.append(spectrogram.power(signal))
        except ValueError as error:
            raise ValueError(f"sound {i}: {error}") from None
    return found


def statistics(powers: Iterable[np.ndarray], spectrogram: Spectrogram) -> Statistics:
    """Learn ``Statistics`` from power spectrograms, (bins, frames) each, in two passes over a sequence.

    The regression is ridge regression by its normal equations, so the set is never in memory at once.
    """
    powers = list(powers)
    tables = [np.log(spectrogram.filters @ power + FLOOR) for power in powers]
    bands = np.concatenate(tables, axis=1)
    mean, deviation = bands.mean(axis=1), np.maximum(bands.std(axis=1), LEAST_DEVIATION)
    width, bins = 3 * spectrogram.mels + 1, len(powers[0])
    left, right = np.zeros((width, width)), np.zeros((width, bins))
    for table, power in zip(tables, powers, strict=True):
        context = _context((table - mean[:, None]) / deviation[:, None])
        left += context @ context.T
        right += context @ np.log(power + FLOOR / 10).T
    regression = np.linalg.solve(left + RIDGE * np.eye(width), right)
    return Statistics(*(x.astype(np.float32) for x in (mean, deviation, regression)))


def magnitude(
    log_mel: np.ndarray,
    *,
    spectrogram: Spectrogram,
    inversion: str,
    learned: Statistics | None = None,
) -> np.ndarray:
    """Magnitudes of all bins from the bands of a log-mel, (bins, frames).

    ``inversion`` is one of

    - "uniform": each band's power evenly over its triangle. Voices lose their harmonics.
    - "nnls": the least squares that are not negative, as in librosa.
    - "regression": predicted by ``learned``, then corrected until the bands fit (the multiplicative
      updates of Lee and Seung 2001 for the power of one column).

    ValueError for another one.
    """
    power = np.exp(np.clip(log_mel, np.log(FLOOR), MOST_LOG_POWER)).astype(np.float64)
    filters = spectrogram.filters
    if inversion == "uniform":
        return np.sqrt(filters.T @ (power / filters.sum(axis=1, keepdims=True)))
    if inversion == "nnls":
        import librosa

        return np.sqrt(librosa.util.nnls(filters, power))
    if inversion == "regression" and learned is not None:
        found = np.exp(learned.regression.T @ _context(learned.normalise(log_mel))).astype(np.float64)
        found = np.minimum(found, np.exp(MOST_LOG_POWER))
        reach = filters.sum(axis=0)[:, None]
        heard = reach > 0
        for _ in range(MATCHES):
            ratio = filters.T @ (power / (filters @ found + FLOOR))
            found = np.where(heard, found * ratio / np.where(heard, reach, 1.0), found)
        return np.sqrt(found)
    raise ValueError(f"inversion is {inversion!r}; there are {', '.join(INVERSIONS)}")


def checked(signal: np.ndarray, rate: int) -> np.ndarray:
    """The signal, if it is one. ValueError for other than one dimension, too short, NaN, silence."""
    signal = np.asarray(signal)
    if signal.ndim != 1:
        raise ValueError(f"a signal has the shape {signal.shape}; mono, (samples,), is expected")
    if len(signal) < 0.02 * rate:
        raise ValueError(
            f"a signal has {len(signal)} samples, {1000 * len(signal) / rate:.1f} ms at {rate} Hz; "
            "20 ms are the least. Likely an empty or broken file"
        )
    if not np.isfinite(signal).all():
        raise ValueError(f"{np.sum(~np.isfinite(signal))} of {len(signal)} samples are NaN or infinite")
    if np.abs(signal).max() < 1e-6:
        raise ValueError("a signal is silent: its peak is below 1e-6")
    return signal


def _at_least(signal: np.ndarray, length: int) -> np.ndarray:
    return np.pad(signal, (0, max(0, length - len(signal))))


def _context(bands: np.ndarray) -> np.ndarray:
    """Each frame with its neighbours and a constant: (mels, frames) -> (3 mels + 1, frames)."""
    padded = np.pad(bands, ((0, 0), (1, 1)), mode="edge")
    ones = np.ones((1, bands.shape[1]), dtype=bands.dtype)
    return np.concatenate([padded[:, :-2], bands, padded[:, 2:], ones])
