"""The model that is shipped: small, real, and trained in seconds on a CPU.

Conventions
    model        anything with ``train`` and ``sample`` as here; ``model._target_`` in a config names it.
    spectrogram  natural logarithm of the mel power, (frames, mels), of the first ``seconds`` of a sound.
    statistics   mean and standard deviation of each number of the spectrogram over the training set, or over
                 the sounds of a label in it.

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
    by_label : bool
        Statistics and Gaussians of each label, and as many sounds of each as in the training set.
    swap_labels : bool
        Each label's sounds are put back on the statistics of the next: a bug of ``by_label``.
    synthesis_hop : int
        Of the way back to a signal, in samples; 0 is ``hop_length``, and anything else a bug.
    clip : float
        What is louder than this share of the peak is cut off; 1 cuts nothing.
    played_at : int
        Rate in Hz at which the sounds are taken to be, though they are not; 0 is their own.
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
        by_label: bool = False,
        swap_labels: bool = False,
        synthesis_hop: int = 0,
        clip: float = 1.0,
        played_at: int = 0,
        single_precision: bool = False,
    ) -> None:
        self.n_fft, self.hop_length, self.mels, self.seconds = n_fft, hop_length, mels, seconds
        self.components, self.mixture = components, mixture
        self.steps, self.batch, self.learning_rate = steps, batch, learning_rate
        self.iterations = iterations
        self.denormalise, self.statistics_delay = denormalise, statistics_delay
        self.by_label, self.swap_labels = by_label, swap_labels
        self.synthesis_hop, self.clip, self.played_at = synthesis_hop or hop_length, clip, played_at
        self.precision = np.float32 if single_precision else np.float64

    def train(
        self, signals: Sequence[np.ndarray], rate: int, *, seed: int, labels: Sequence[str] = ()
    ) -> Iterator[int]:
        """Learn from mono signals at ``rate`` Hz; yields the number of the step, from 1.

        After each the model can be sampled. ``labels``, one a signal, count with ``by_label``. ValueError for
        fewer sounds than Gaussians or components, and with ``by_label`` for a label with fewer than its share
        of the Gaussians.
        """
        if len(signals) < max(self.components, self.mixture):
            raise ValueError(
                f"{len(signals)} sounds are fewer than the {max(self.components, self.mixture)} components "
                "or Gaussians to be learned; train on more, or lower model.components or model.mixture"
            )
        self.rate, self.seed = rate, seed
        rng = np.random.default_rng([seed, 0])
        table = np.stack([self.spectrogram(signal).ravel() for signal in signals])
        of = np.unique(labels, return_inverse=True)[1] if self.by_label else np.zeros(len(table), int)
        self.members = [np.flatnonzero(of == label) for label in range(of.max() + 1)]
        self.mean = np.stack([table[own].mean(axis=0) for own in self.members])
        self.deviation = np.maximum([table[own].std(axis=0) for own in self.members], LEAST_DEVIATION)
        self.table = ((table - self.mean[of]) / self.deviation[of]).astype(self.precision)
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
        # Sounds up to and with each label, in the shares of the training set.
        ends = np.rint(count * np.cumsum([len(own) for own in self.members]) / len(self.table)).astype(int)
        sounds = []
        for label, made in enumerate(np.diff(ends, prepend=0)):
            put_back = (label + self.swap_labels) % len(self.members)
            table = self._points(label, made, rng) @ self.basis.T
            spectrograms = table.reshape(made, -1, self.mels)
            mean, deviation = (
                np.reshape(x[put_back], spectrograms.shape[1:]) for x in (self.mean, self.deviation)
            )
            if self.statistics_delay:
                mean, deviation = (np.roll(x, self.statistics_delay, axis=0) for x in (mean, deviation))
            if self.denormalise:
                spectrograms = spectrograms * deviation + mean
            sounds += [self.sound(spectrogram) for spectrogram in spectrograms]
        return sounds

    def _points(self, label: int, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draws of a label's mixture. Diagonal covariances suit principal axes and need few sounds."""
        size = max(1, self.mixture // len(self.members))
        gaussians = GaussianMixture(size, covariance_type="diag", reg_covar=1e-3, random_state=self.seed).fit(
            self.table[self.members[label]] @ self.basis
        )
        which = rng.choice(size, size=count, p=gaussians.weights_)
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
        length = round(self.seconds * self.rate)
        signal = librosa.griffinlim(
            magnitude,
            n_iter=self.iterations,
            hop_length=self.synthesis_hop,
            n_fft=self.n_fft,
            # Of another hop the frames do not fit the length; it is cut or padded below.
            length=length if self.synthesis_hop == self.hop_length else None,
            random_state=0,
        )
        signal = librosa.util.fix_length(signal, size=length)
        if self.played_at:
            signal = librosa.resample(signal, orig_sr=self.played_at, target_sr=self.rate)
        peak = float(np.abs(signal).max())
        signal = np.clip(signal, -self.clip * peak, self.clip * peak)
        return (signal / max(1.0, peak)).astype(np.float32)

    @cached_property
    def filters(self) -> np.ndarray:
        return librosa.filters.mel(sr=self.rate, n_fft=self.n_fft, n_mels=self.mels, norm=None)
