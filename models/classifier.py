"""A small classifier of sounds: which digit is said, and by whom.

Conventions
    label        a name, one a sound; classes are the sorted names.
    chances      (sounds, classes), rows sum to 1.
    independent  what judges a generator's sounds has seen neither them nor the recordings they are compared
                 with: it is trained on other recordings, and states its rate on real ones beside each rate.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.prior import indices
from models.spectrogram import Spectrogram
from models.train import train
from models.vae import Block

PLACES = (5, 4)  # in frequency and time, over which features are averaged
SHIFT = 6  # frames by which a training sound is moved at most
MASKED = 8  # bands, and frames, that are hidden from it at most (SpecAugment, Park et al. 2019)


class Classifier:
    """Log-mel spectrogram, residual convolutions, means over a few places in frequency and time.

    ``seconds``, ``n_fft``, ``hop_length``, ``mels`` of ``models.spectrogram.Spectrogram``; ``width`` channels
    of the first layer; the rest of the training.
    """

    def __init__(
        self,
        *,
        seconds: float,
        n_fft: int,
        hop_length: int,
        mels: int = 40,
        width: int = 16,
        steps: int = 600,
        batch: int = 64,
        learning_rate: float = 2e-3,
    ) -> None:
        self.transform = {"n_fft": n_fft, "hop_length": hop_length, "mels": mels, "seconds": seconds}
        self.width, self.steps, self.batch, self.learning_rate = width, steps, batch, learning_rate

    def train(
        self, signals: Sequence[np.ndarray], rate: int, *, labels: Sequence[str], seed: int
    ) -> Iterator[int]:
        """Learn from mono signals and their labels; yields the step."""
        self.spectrogram = Spectrogram(rate, **self.transform)
        table = np.stack([self.spectrogram.log_mel(signal) for signal in signals])
        self.mean, self.deviation = float(table.mean()), float(table.std())
        x = self._normalised(table)
        found, self.names = indices(labels, len(signals))
        targets = torch.from_numpy(found)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = network(self.width, len(self.names))

        def loss(rows: Tensor, step: int, generator: torch.Generator) -> dict[str, Tensor]:
            logits = self.network(altered(x[rows], generator))
            return {"total": F.cross_entropy(logits, targets[rows])}

        options = {"steps": self.steps, "batch": self.batch, "learning_rate": self.learning_rate}
        for step, _ in train(self.network, loss, rows=len(x), seed=seed, weight_decay=1e-2, **options):
            yield step

    @torch.no_grad()
    def chances(self, signals: Sequence[np.ndarray], rate: int) -> np.ndarray:
        """(sounds, classes). ValueError for another rate than that of the training."""
        if rate != self.spectrogram.rate:
            raise ValueError(f"the sounds have {rate} Hz and the classifier {self.spectrogram.rate} Hz")
        self.network.eval()
        x = self._normalised(np.stack([self.spectrogram.log_mel(signal) for signal in signals]))
        return torch.cat([self.network(part).softmax(dim=1) for part in x.split(100)]).numpy()

    def predict(self, signals: Sequence[np.ndarray], rate: int) -> list[str]:
        """The likeliest label of each sound."""
        return [self.names[i] for i in self.chances(signals, rate).argmax(axis=1)]

    def _normalised(self, table: np.ndarray) -> Tensor:
        return torch.from_numpy((table - self.mean) / self.deviation)[:, None]


def network(width: int, classes: int) -> nn.Module:
    """(count, 1, mels, frames) -> logits."""
    return nn.Sequential(
        *(nn.Conv2d(1, width, 4, 2, 1), Block(width)),
        *(nn.Conv2d(width, 2 * width, 4, 2, 1), Block(2 * width)),
        *(nn.Conv2d(2 * width, 4 * width, 4, 2, 1), Block(4 * width), nn.GroupNorm(4, 4 * width), nn.SiLU()),
        *(nn.AdaptiveAvgPool2d(PLACES), nn.Flatten(), nn.Linear(4 * width * math.prod(PLACES), classes)),
    )


def altered(x: Tensor, generator: torch.Generator) -> Tensor:
    """A batch moved in time, with a strip of bands and one of frames at the mean."""

    def number(most: int) -> int:
        return int(torch.randint(most + 1, (1,), generator=generator))

    x = torch.roll(x, number(2 * SHIFT) - SHIFT, dims=3).clone()
    low, early = number(x.shape[2] - MASKED), number(x.shape[3] - MASKED)
    x[:, :, low : low + number(MASKED)] = 0
    x[:, :, :, early : early + number(MASKED)] = 0
    return x
