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
generates spectrograms; ``experiments.autoencoders`` measures it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from audio_distance import mel_filters
from audio_distance.features import check_signal

PREPARED_PEAK = 0.5  # amplitude to which every signal is brought; full scale is 1
FLOOR = 1e-8  # power; a sine of peak 0.5 has 1e3 to 1e4 in its band
LEAST_DEVIATION = 0.1  # a band that is silent in the whole set must not be divided by nothing
MOST_LOG_POWER = 15.0  # what a network makes up must not overflow
INVERSIONS = ("uniform", "nnls", "regression")
FITS = ("pad", "stretch")
SHORTEST_SECONDS = 0.02  # a few periods of a low tone
RIDGE = 0.1  # of the regression, on sums over all frames: only keeps it solvable
MATCHES = 3  # multiplicative updates after which the bands of a magnitude are nearly the ones given


@dataclass(frozen=True)
class Spectrogram:
    """A kind of log-mel spectrogram.

    Parameters
    ----------
    rate : int
        Hz. No default: a spectrogram read at another rate is of another sound.
    n_fft, hop_length : int
        Window of the transform (Hann) and the step between two, in samples.
    mels : int
        Triangular bands from 0 Hz to half the rate, on Slaney's mel scale.
    seconds : float
        The length of every sound.
    fit : "pad" or "stretch"
        How a sound comes to that length. "pad" cuts it or adds silence; "stretch" resizes the spectrogram,
        as image tools do, which loses the tempo.

    Raises
    ------
    ValueError
        For numbers that make no spectrogram, or one that cannot be come back from.
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

    @cached_property
    def filters(self) -> np.ndarray:
        """Triangular mel bands with peak 1, (mels, n_fft // 2 + 1) float32.

        Peak 1, not area 1: then the sum over bands is about the power, which ``magnitude`` divides up again.
        """
        return mel_filters(self.n_fft, self.mels, rate=self.rate, low_hz=0).astype(np.float32)

    def power(self, signal: np.ndarray) -> np.ndarray:
        """Power spectrogram of a signal that is brought to peak and length, (n_fft // 2 + 1, frames).

        ValueError for what ``checked`` refuses.
        """
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

    def waveform(self, magnitude: np.ndarray, *, iterations: int, double: bool = False) -> np.ndarray:
        """A signal that has about these magnitudes, mono float32 of ``length`` samples, peak at most 1.

        Phases by fast Griffin-Lim from seeded random ones, so the same magnitudes give the same signal on
        one kind of processor. ``double`` computes in double precision, at twice the time: then on others
        too, up to the rounding of the result.
        """
        import librosa

        signal = librosa.griffinlim(
            magnitude.astype(np.float64 if double else np.float32),
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
    """Power spectrogram of each signal. ValueError for what ``checked`` refuses, with the signal's number."""
    made = []
    for i, signal in enumerate(signals):
        try:
            made.append(spectrogram.power(signal))
        except ValueError as error:
            raise ValueError(f"sound {i}: {error}") from None
    return made


def statistics(powers: Iterable[np.ndarray], spectrogram: Spectrogram) -> Statistics:
    """Learn ``Statistics`` from power spectrograms, (bins, frames) each, in two passes over a sequence.

    The regression is ridge regression by its normal equations: (X X' + RIDGE) W = X Y' with the bands of a
    frame and its neighbours in X and the log power of the bins in Y. Sums over frames are enough for both
    sides, so the frames of all sounds are never in one matrix.
    """
    powers = list(powers)
    tables = [np.log(spectrogram.filters @ power + FLOOR) for power in powers]
    bands = np.concatenate(tables, axis=1)
    mean, deviation = bands.mean(axis=1), np.maximum(bands.std(axis=1), LEAST_DEVIATION)
    width, bins = 3 * spectrogram.mels + 1, len(powers[0])
    left, right = np.zeros((width, width)), np.zeros((width, bins))
    for table, power in zip(tables, powers, strict=True):
        # The floor of a bin lies below that of a band, in which there are several.
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
    """Magnitudes of all bins from the bands of a log-mel.

    There are more bins than bands, so it is a guess, and the three ways guess differently.

    Parameters
    ----------
    log_mel : array, (mels, frames)
        Not normalised.
    inversion : str
        - "uniform": each band's power evenly over its triangle. Voices lose their harmonics.
        - "nnls": the least squares that are not negative, as in librosa.
        - "regression": predicted by ``learned``, then corrected until the bands fit (the multiplicative
          updates of Lee and Seung 2001 for the power of one column).
    learned : Statistics
        Of the training set, for "regression".

    Returns
    -------
    array, (n_fft // 2 + 1, frames)

    Raises
    ------
    ValueError
        For another inversion, and for "regression" without ``learned``.
    """
    power = np.exp(np.clip(log_mel, np.log(FLOOR), MOST_LOG_POWER)).astype(np.float64)
    filters = spectrogram.filters
    if inversion == "uniform":
        return np.sqrt(filters.T @ (power / filters.sum(axis=1, keepdims=True)))
    if inversion == "nnls":
        import librosa

        return np.sqrt(librosa.util.nnls(filters, power))
    if inversion == "regression" and learned is not None:
        guess = np.exp(learned.regression.T @ _context(learned.normalise(log_mel))).astype(np.float64)
        guess = np.minimum(guess, np.exp(MOST_LOG_POWER))
        weight = filters.sum(axis=0)[:, None]
        heard = weight > 0  # the bins at 0 Hz and at half the rate are in no band
        for _ in range(MATCHES):
            # Lee and Seung 2001, equation 5: each bin times the mean ratio of wanted to present power over
            # the bands that hear it.
            ratio = filters.T @ (power / (filters @ guess + FLOOR))
            guess = np.where(heard, guess * ratio / np.where(heard, weight, 1.0), guess)
        return np.sqrt(guess)
    raise ValueError(f"inversion is {inversion!r}; there are {', '.join(INVERSIONS)}")


def checked(signal: np.ndarray, rate: int) -> np.ndarray:
    """The signal, if it is one that a model can learn from or name.

    Raises
    ------
    ValueError
        For other than one dimension, and for what the distance refuses too: NaN and infinity, silence, and
        less than ``SHORTEST_SECONDS``.
    """
    signal = np.asarray(signal)
    if signal.ndim != 1:
        raise ValueError(f"a signal has the shape {signal.shape}; mono, (samples,), is expected")
    check_signal(signal, rate, shortest_seconds=SHORTEST_SECONDS)
    return signal


def _at_least(signal: np.ndarray, length: int) -> np.ndarray:
    return np.pad(signal, (0, max(0, length - len(signal))))


def _context(bands: np.ndarray) -> np.ndarray:
    """Each frame with its neighbours and a constant: (mels, frames) -> (3 mels + 1, frames)."""
    padded = np.pad(bands, ((0, 0), (1, 1)), mode="edge")
    ones = np.ones((1, bands.shape[1]), dtype=bands.dtype)
    return np.concatenate([padded[:, :-2], bands, padded[:, 2:], ones])
