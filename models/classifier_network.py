"""What the classifier is made of: front end, residual network, what is done to a batch, and the loss.

Conventions
    signals   (count, samples) float32 at the rate of the front end.
    picture   (channels, bands, frames): log-mel, cepstral coefficients, or these and their differences.
              ``bands`` makes it, ``normalised`` brings each band to mean 0 and deviation 1.
    logits    (count, classes), before softmax.
    rng       ``numpy.random.Generator``; every alteration of a batch is drawn from the one passed in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import scipy.fft
import torch
from scipy.signal import savgol_filter
from torch import Tensor, nn
from torch.nn import functional as F

from models.spectrogram import Spectrogram

FRONT_ENDS = ("log_mel", "mfcc", "mfcc_deltas")
FLOOR = 1e-4  # power in a band, 80 dB below a sine of peak 0.5: what is quieter is the recorder's noise
DELTA_WIDTH = 9  # frames, as librosa's deltas
LEAST_DEVIATION = 0.1  # a band that never changes must not be divided by nothing


class FrontEnd(nn.Module):
    """Windows to normalised pictures, (count, samples) -> (count, channels, bands, frames).

    ``mean`` and ``deviation`` of each band, (channels, bands, 1), are 0 and a constant until ``fit``.
    """

    def __init__(self, kind: str, spectrogram: Spectrogram, *, coefficients: int) -> None:
        super().__init__()
        self.kind, self.n_fft, self.hop_length = kind, spectrogram.n_fft, spectrogram.hop_length
        self.channels = 3 if kind == "mfcc_deltas" else 1
        self.register_buffer("hann", torch.hann_window(self.n_fft).clone())
        self.register_buffer("filters", torch.from_numpy(spectrogram.filters))
        bands = spectrogram.mels
        if kind != "log_mel":
            cosines = scipy.fft.dct(np.eye(bands), axis=0, norm="ortho")[:coefficients]
            self.register_buffer("cosines", torch.from_numpy(cosines.astype(np.float32)))
            bands = coefficients
        if kind == "mfcc_deltas":
            self.register_buffer("slopes", torch.from_numpy(slopes(bands)))
        self.register_buffer("mean", torch.zeros(self.channels, bands, 1))
        self.register_buffer("deviation", torch.full((self.channels, bands, 1), 5.0))

    def bands(self, signals: Tensor) -> Tensor:
        """Pictures before normalising, (count, channels, bands, frames), of signals of any number of samples.

        The logarithm of mel power, or its cosine transform, with its differences as further channels.
        Shorter signals than ``n_fft`` are padded with zeros.
        """
        short = max(0, self.n_fft - signals.shape[1])
        spectrum = torch.stft(
            F.pad(signals, (0, short)),
            self.n_fft,
            self.hop_length,
            window=self.hann,
            center=True,
            pad_mode="constant",
            return_complex=True,
        )
        power = torch.view_as_real(spectrum).square().sum(dim=-1)
        x = torch.log(self.filters @ power + FLOOR)
        if self.kind == "log_mel":
            return x[:, None]
        x = self.cosines @ x
        if self.kind == "mfcc":
            return x[:, None]
        changes = F.conv1d(
            F.pad(x, (DELTA_WIDTH // 2,) * 2, mode="replicate"), self.slopes, groups=x.shape[1]
        )
        return torch.stack([x, changes[:, 0::2], changes[:, 1::2]], dim=1)

    def forward(self, signals: Tensor) -> Tensor:
        return self.normalised(self.bands(signals))

    def normalised(self, bands: Tensor) -> Tensor:
        return (bands - self.mean) / self.deviation

    @property
    def silence(self) -> Tensor:
        """A normalised frame of silence, (channels, bands, 1)."""
        return self(torch.zeros(1, self.n_fft))[0, :, :, :1]

    def fit(self, pictures: Sequence[Tensor]) -> None:
        """Learn mean and deviation of each band from pictures that are not normalised."""
        frames = torch.cat(list(pictures), dim=2).double()
        self.mean = frames.mean(dim=2, keepdim=True).float()
        self.deviation = frames.std(dim=2, keepdim=True).clamp(min=LEAST_DEVIATION).float()

    def learned(self) -> dict[str, Tensor]:
        return {"mean": self.mean, "deviation": self.deviation}

    def learn(self, arrays: Mapping[str, Tensor]) -> None:
        """The inverse of ``learned``."""
        self.mean, self.deviation = arrays["mean"], arrays["deviation"]


def slopes(bands: int) -> np.ndarray:
    """Weights of first and second difference in turn, (2 bands, 1, DELTA_WIDTH), for a grouped convolution.

    A fit of a polynomial to ``DELTA_WIDTH`` frames (Savitzky and Golay 1964), as librosa's deltas.
    """
    impulse = np.zeros(2 * DELTA_WIDTH + 1)
    impulse[DELTA_WIDTH] = 1.0
    half = slice(DELTA_WIDTH - DELTA_WIDTH // 2, DELTA_WIDTH + DELTA_WIDTH // 2 + 1)
    fits = [savgol_filter(impulse, DELTA_WIDTH, polyorder=order, deriv=order) for order in (1, 2)]
    pair = [fit[half][::-1] for fit in fits]
    return np.tile(np.array(pair, np.float32)[:, None], (bands, 1, 1))


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut (He et al. 2016), at half the resolution for stride 2.

    The shortcut averages before it takes every second value, which loses nothing (ResNet-D, He et al. 2019).
    (count, channels, bands, frames) -> (count, out, bands / stride, frames / stride).
    """

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv2d(channels, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU()),
            *(nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out)),
        )
        self.shortcut = nn.Identity()
        if channels != out or stride != 1:
            self.shortcut = nn.Sequential(
                nn.AvgPool2d(stride, ceil_mode=True),
                nn.Conv2d(channels, out, 1, bias=False),
                nn.BatchNorm2d(out),
            )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.layers(x) + self.shortcut(x))


class ResNet(nn.Module):
    """A residual network (He et al. 2016) of four blocks, for pictures of any number of frames.

    (count, channels, bands, frames) -> logits, (count, classes). After the last block the mean over bands,
    then mean plus maximum over time (Kong et al. 2020): the mean hears what lasts, the maximum what happens
    once. ``width`` is the channels of the first block; the last has ``features``, eight times as many.
    """

    def __init__(self, channels: int, width: int, classes: int) -> None:
        super().__init__()
        self.features = 8 * width
        self.stages = nn.Sequential(
            *(nn.Conv2d(channels, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()),
            *(ResidualBlock(width, width, 1), ResidualBlock(width, 2 * width, 2)),
            *(ResidualBlock(2 * width, 4 * width, 2), ResidualBlock(4 * width, 8 * width, 2)),
        ).to(memory_format=torch.channels_last)  # a fifth faster on a CPU
        self.last = nn.Linear(self.features, classes)

    def embed(self, x: Tensor) -> Tensor:
        """What the last layer sees, (count, features)."""
        x = self.stages(x.contiguous(memory_format=torch.channels_last)).mean(dim=2)
        return x.mean(dim=2) + x.amax(dim=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.embed(x))


class Embedder(nn.Module):
    """Windows -> features of all networks side by side: what is exported."""

    def __init__(self, front_end: FrontEnd, networks: nn.ModuleList) -> None:
        super().__init__()
        self.front_end, self.networks = front_end, networks

    def forward(self, signals: Tensor) -> Tensor:
        pictures = self.front_end(signals)
        return torch.cat([network.embed(pictures) for network in self.networks], dim=1)


def window(picture: Tensor, frames: int, silence: Tensor, rng=None) -> Tensor:
    """``frames`` of a picture, (channels, bands, frames), from a random place, or the middle without ``rng``.

    A shorter picture is padded with ``silence``, (channels, bands, 1), on both sides.
    """
    over = picture.shape[2] - frames
    if over >= 0:
        start = over // 2 if rng is None else int(rng.integers(over + 1))
        return picture[:, :, start : start + frames].clone()
    before = -over // 2 if rng is None else int(rng.integers(-over + 1))
    return torch.cat(
        [
            silence.expand(-1, -1, before),
            picture,
            silence.expand(-1, -1, -over - before),
        ],
        dim=2,
    )


def hide(x: Tensor, rng) -> None:
    """Set a strip of up to a fifth of the bands, and of the frames, of each picture to the mean, in place.

    SpecAugment (Park et al. 2019) without its warp of time. ``x`` is normalised, (count, channels, bands,
    frames), so the mean is 0: a value that says nothing.
    """
    for axis in (2, 3):
        most = x.shape[axis] // 5
        width = rng.integers(most + 1, size=len(x))
        start = rng.integers(x.shape[axis] - width + 1)
        places = np.arange(x.shape[axis])
        hidden = (places >= start[:, None]) & (places < (start + width)[:, None])
        shape = [len(x), 1, 1, 1]
        shape[axis] = x.shape[axis]
        x.masked_fill_(torch.from_numpy(hidden).view(shape), 0.0)


def focal_loss(logits: Tensor, targets: Tensor, exponent: float) -> Tensor:
    """Mean of -(1 - p) ** exponent log p over sounds, weighted by ``targets``, (count, classes).

    Lin et al. 2017: what is sure already counts less. With exponent 0 it is the cross entropy; targets may be
    shares, as mixup makes them.
    """
    log_probabilities = F.log_softmax(logits, dim=1)
    weights = targets * (1 - log_probabilities.exp()) ** exponent if exponent else targets
    return -(weights * log_probabilities).sum(dim=1).mean()
