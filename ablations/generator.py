"""The model that is shipped: small, real, and trained in seconds on a CPU.

Conventions
    model        anything with ``train`` and ``sample`` as here; ``model._target_`` in a config names it.
    spectrogram  natural logarithm of the mel power, (frames, mels), of the first ``seconds`` of a sound.
    statistics   mean and standard deviation of each number of the spectrogram over the training set.

Spectrograms are standardised and projected on principal components, which are learned step by step from
minibatches (Oja 1982). A Gaussian mixture is fitted to the projections (one Gaussian is probabilistic
PCA, Tipping and Bishop 1999). A sample goes the way back, and Griffin-Lim (1984) finds the phases. It is
no good synthesiser. It is one that gets better by training and can be made worse in known ways.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

import librosa
import numpy as np
from sklearn.mixture import GaussianMixture

FLOOR = 1e-8  # power, -80 dB
LEAST_DEVIATION = 0.05  # numbers that are the same everywhere must not be divided by nothing
MOST_LOG_POWER = 15.0  # what lies far outside of the training set would overflow


class SpectrogramGenerator:
    """Learns a set of sounds, and makes others like them.

    Parameters
    ----------
    n_fft, hop_length, mels : int
        Of the spectrogram, in samples and bands.
    seconds : float
        Length of what is made; sounds are cut or padded with silence.
    components, mixture : int
        Principal components, and Gaussians in their space.
    steps, batch : int
        Minibatches of the training, and sounds in each.
    learning_rate : float
        Of the components: 1 moves a random direction of average variance by its own length.
    iterations : int
        Of Griffin-Lim.
    denormalise : bool
        Put the statistics back; False is a classic bug.
    statistics_delay : int
        Put them back so many hops late; anything but 0 is another.
    single_precision : bool
        float32 instead of float64: a refactoring that should not matter.
    """

    def __init__(
        self,
        *,
        n_fft: int,
        hop_length: int,
        mels: int,
        seconds: float,
        components: int,
        mixture: int,
        steps: int,
        batch: int,
        learning_rate: float,
        iterations: int,
        denormalise: bool = True,
        statistics_delay: int = 0,
        single_precision: bool = False,
    ) -> None:
        self.n_fft, self.hop_length, self.mels, self.seconds = n_fft, hop_length, mels, seconds
        self.components, self.mixture = components, mixture
        self.steps, self.batch, self.learning_rate = steps, batch, learning_rate
        self.iterations = iterations
        self.denormalise, self.statistics_delay = denormalise, statistics_delay
        self.precision = np.float32 if single_precision else np.float64

    def train(self, signals: Sequence[np.ndarray], rate: int, *, seed: int) -> Iterator[int]:
        """Learn from mono signals at ``rate`` Hz; yields the number of the step, from 1.

        After each the model can be sampled. ValueError for fewer sounds than Gaussians or components.
        """
        if len(signals) < max(self.components, self.mixture):
            raise ValueError(
                f"{len(signals)} sounds are fewer than the {max(self.components, self.mixture)} components "
                "or Gaussians to be learned; train on more, or lower model.components or model.mixture"
            )
        self.rate, self.seed = rate, seed
        rng = np.random.default_rng([seed, 0])
        table = np.stack([self.spectrogram(signal).ravel() for signal in signals])
        self.mean, self.deviation = table.mean(axis=0), np.maximum(table.std(axis=0), LEAST_DEVIATION)
        self.table = ((table - self.mean) / self.deviation).astype(self.precision)
        basis = rng.standard_normal((self.table.shape[1], self.components)).astype(self.precision)
        self.basis = np.linalg.qr(basis)[0]
        for step in range(1, self.steps + 1):
            part = self.table[rng.integers(len(self.table), size=self.batch)]
            gradient = part.T @ (part @ self.basis) * (self.components / np.sum(part**2))
            self.basis = np.linalg.qr(self.basis + self.learning_rate * gradient)[0]
            yield step

    def sample(self, count: int, *, seed: int) -> list[np.ndarray]:
        """``count`` sounds, mono float32 at the rate of the training, peak at most 1."""
        rng = np.random.default_rng([seed, 1])
        table = self._points(count, rng) @ self.basis.T
        spectrograms = table.reshape(count, -1, self.mels)
        mean, deviation = (np.reshape(x, spectrograms.shape[1:]) for x in (self.mean, self.deviation))
        if self.statistics_delay:
            mean, deviation = (np.roll(x, self.statistics_delay, axis=0) for x in (mean, deviation))
        if self.denormalise:
            spectrograms = spectrograms * deviation + mean
        return [self.sound(spectrogram) for spectrogram in spectrograms]

    def _points(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draws of the mixture. Diagonal covariances suit principal axes and need few sounds."""
        gaussians = GaussianMixture(
            self.mixture, covariance_type="diag", reg_covar=1e-3, random_state=self.seed
        ).fit(self.table @ self.basis)
        which = rng.choice(self.mixture, size=count, p=gaussians.weights_)
        noise = rng.standard_normal((count, self.components))
        return gaussians.means_[which] + noise * np.sqrt(gaussians.covariances_[which])

    def spectrogram(self, signal: np.ndarray) -> np.ndarray:
        """(frames, mels) of the first ``seconds`` of a signal."""
        length = round(self.seconds * self.rate)
        signal = np.pad(signal[:length], (0, max(0, length - len(signal))))
        power = np.abs(librosa.stft(signal, n_fft=self.n_fft, hop_length=self.hop_length)) ** 2
        return np.log(self.filters @ power + FLOOR).T

    def sound(self, spectrogram: np.ndarray) -> np.ndarray:
        """The way back: a signal whose spectrogram is about the one given."""
        power = np.exp(np.clip(spectrogram.T, np.log(FLOOR), MOST_LOG_POWER))
        # Each band's power is spread evenly over its triangle.
        magnitude = np.sqrt(self.filters.T @ (power / self.filters.sum(axis=1, keepdims=True)))
        signal = librosa.griffinlim(
            magnitude,
            n_iter=self.iterations,
            hop_length=self.hop_length,
            n_fft=self.n_fft,
            length=round(self.seconds * self.rate),
            random_state=0,
        )
        return (signal / max(1.0, float(np.abs(signal).max()))).astype(np.float32)

    @cached_property
    def filters(self) -> np.ndarray:
        return librosa.filters.mel(sr=self.rate, n_fft=self.n_fft, n_mels=self.mels, norm=None)
