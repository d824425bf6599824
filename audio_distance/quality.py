"""How good speech sounds to a network trained on ratings: the direction that a distance does not have.

    >>> metrics.compare("recordings/", "generated/", quality="distillmos").quality     # better, or worse?

A distance says how far two sets are apart, not which of them people would rather listen to. A network that
predicts ratings of single files, without a reference, has that sign. It is no part of the distance: it stands
beside it, as the level does.

Conventions
    score      the predicted mean opinion score of one file, 1 (bad) to 5 (excellent).
    predictor  what gives scores: the name of a network, or a function (signal, rate) -> score of one's own.
    segment    what the network looks at: 7.68 s at 16 kHz.

The network
    "distillmos" is Distill-MOS (Stahl and Gamper 2025, arXiv:2502.05356; MIT licence, weights included), for
    speech: trained on ratings of English telephone calls, noise suppression, codecs and synthesis. Its
    authors warn of other sounds, languages and tasks, and so does this package. The weights, 17 MB, lie in the
    package ``distillmos``, which is not imported: it wants torchaudio, and prints. They are read as data, and
    nothing is downloaded. PyTorch is imported with the first score.

    A sound is read as the distance reads it: mean of the channels, offset and rumble removed, silence cut at
    both ends; then soxr brings it to 16 kHz, whatever the bandwidth of the comparison is. As in the authors'
    code, zeros follow a sound of less than 7.68 s; of a longer one the score is the mean over segments that
    lie 1 s apart or closer, each brought to a peak of 1. Not as there, segments are 16 at most, evenly
    placed (sounds of more than 22.68 s are looked at with wider steps), and those that are silent beside the
    rest do not count.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio_distance.errors import AudioError
from audio_distance.features import TRIM, resample

Predictor = Callable[[NDArray[np.float32], int], float]

NAMES = ("distillmos",)
RATE = 16_000  # Hz
SEGMENT = 122_880  # samples: 7.68 s
HOP = 16_000  # samples: the widest step between segments
MOST_SEGMENTS = 16
AT_ONCE = 1  # segments; each takes 0.3 GB
INSTALL = 'pip install --no-deps distillmos, and the extra quality: pip install "audio-distance[quality]"'

# Of the network: channels of its convolutions, and its transformer.
CHANNELS = (2, 64, 64, 128, 256, 256, 256)
WIDTH, HEADS, LAYERS, FRAMES = 200, 8, 7, 384
FFT, FFT_HOP = 320, 160  # samples


def predictor_of(name: str) -> Predictor:
    """The predictor of this name, weights in memory; the same object each time.

    ``ValueError`` for a name that is none, ``AudioError`` with what to install where it is not here.
    """
    if name not in NAMES:
        raise ValueError(f"quality={name!r}; there is {', '.join(map(repr, NAMES))}, or give a function")
    missing = [package for package in ("torch", name) if importlib.util.find_spec(package) is None]
    if missing:
        raise AudioError(f'quality="{name}" needs {" and ".join(missing)}, not installed: {INSTALL}')
    return _loaded(name)


@cache
def _loaded(name: str) -> Predictor:
    """``score`` of the network, built here; its weights are read as data, which runs no code of theirs."""
    import torch

    place = importlib.util.find_spec(name)
    assert place is not None and place.submodule_search_locations is not None
    file = Path(place.submodule_search_locations[0], "weights", "distill_mos_v7.pt")
    network = _network()
    network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True)["model"])
    network.eval()

    def score(signal: NDArray[np.float32], rate: int) -> float:
        parts = torch.from_numpy(segments(resample(signal, rate, RATE))).split(AT_ONCE)
        with torch.inference_mode():
            return float(torch.cat([network(part) for part in parts]).mean())

    return score


def segments(signal: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the network looks at, (segments, ``SEGMENT``), each of peak 1; ``signal`` (samples,) at 16 kHz."""
    excess = len(signal) - SEGMENT
    if excess <= 0:
        starts = np.zeros(1, int)
        signal = np.pad(signal, (0, -excess))
    else:
        count = min(math.ceil(excess / HOP) + 1, MOST_SEGMENTS)
        starts = (np.linspace(0, 1, count) * excess).astype(int)
    cut = np.stack([signal[start : start + SEGMENT] for start in starts])
    peaks = np.abs(cut).max(axis=1, keepdims=True)
    heard = peaks[:, 0] > TRIM * peaks.max()
    return np.asarray(cut[heard] / (peaks[heard] + 1e-8), np.float32)  # 1e-8 as in the authors' code


def _network() -> Any:
    """Distill-MOS without its weights, (segments, ``SEGMENT``) -> scores, (segments,).

    Spectra compressed by the power .3, six convolutions, a transformer of seven layers, attention over time.
    Modules are called as in the file of weights.
    """
    import torch
    from torch import nn

    class Pool(nn.Module):  # type: ignore[misc]
        """A weighted mean over time, and of that one number."""

        def __init__(self) -> None:
            super().__init__()
            self.linear1, self.linear2 = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, 1)
            self.linear3 = nn.Linear(WIDTH, 1)

        def forward(self, x: Any) -> Any:
            attention = self.linear2(torch.relu(self.linear1(x))).softmax(dim=1)
            return self.linear3((attention * x).sum(dim=1))[:, 0]

    class Network(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            layers: list[nn.Module] = []
            bands, last = FFT // 2 + 1, len(CHANNELS) - 2
            for i, (before, after) in enumerate(zip(CHANNELS, CHANNELS[1:], strict=False)):
                step = 2 if i else 1  # in frequency
                layers.append(nn.Conv2d(before, after, 3, (step, 2 if i == last else 1), (0, 1)))
                layers.append(nn.LeakyReLU(0.1))
                bands = (bands - 3) // step + 1
            size = bands * CHANNELS[-1]
            encoder = nn.TransformerEncoderLayer(WIDTH, HEADS, 2 * WIDTH, dropout=0.0, batch_first=True)
            position = nn.Module()
            position.register_buffer("pe", torch.zeros(1, FRAMES, WIDTH))  # filled by the weights
            self.cnn = nn.ModuleDict({"cnn": nn.Sequential(*layers)})
            self.transformer_pool_attn = nn.ModuleDict(
                {
                    "norm_input": nn.BatchNorm1d(size),
                    "transformer": nn.ModuleDict(
                        {
                            "norm": nn.BatchNorm1d(size),
                            "position_encoding": position,
                            "linear_proj": nn.Linear(size, WIDTH),
                            "transformer_encoder": nn.TransformerEncoder(encoder, LAYERS),
                        }
                    ),
                    "norm_trans": nn.BatchNorm1d(WIDTH),
                    "pool": Pool(),
                }
            )
            self.register_buffer("window", torch.hann_window(FFT), persistent=False)

        def forward(self, x: Any) -> Any:
            parts, edge = self.transformer_pool_attn, (FFT - FFT_HOP) // 2
            x = nn.functional.pad(x, (edge, edge), mode="reflect")
            spectra = torch.stft(x, FFT, FFT_HOP, window=self.window, center=False, return_complex=True)
            magnitude = spectra.abs().clip(1e-12)
            x = torch.view_as_real(magnitude**0.3 * spectra / magnitude).permute(0, 3, 1, 2)
            x = self.cnn["cnn"](x).flatten(1, 2)  # (segments, channels * bands, frames)
            part = parts["transformer"]
            x = part["norm"](parts["norm_input"](x)).transpose(1, 2)
            x = part["transformer_encoder"](part["linear_proj"](x) + part["position_encoding"].pe)
            x = parts["norm_trans"](x.transpose(1, 2)).transpose(1, 2)
            return 1 + 4 * parts["pool"](x).sigmoid()

    return Network()
