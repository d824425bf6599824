"""A small classifier of sounds: spectrogram in, probabilities of each label out.

Conventions
    signal         mono float32, (samples,), of any length; each call states its rate in Hz. It is cut where
                   it is silent at both ends, resampled to ``rate`` of the classifier, and brought to one
                   peak: how loud and how long a recording is says nothing.
    window         ``seconds`` of a signal, (samples,): what the network sees at once. Training draws it at
                   random (``crop``); prediction averages over ``crops`` of them, spread evenly. A shorter
                   signal is padded with silence.
    picture        what the front end makes of a window, (channels, bands, frames); see
                   ``models.classifier_network``.
    label          a name, one a sound; classes are the sorted names.
    probabilities  (sounds, classes), rows sum to 1, tempered: p ** (1 / temperature), normalised (Guo et al.
                   2017). The temperature is 1 until ``calibrate`` has been called with predictions of sounds
                   that were not trained on.
    independent    what judges a generator's sounds has seen neither them nor the recordings they are compared
                   with: it is trained on other recordings, and its accuracy on real ones stands beside.

A model file (safetensors) holds everything prediction needs: weights, front end, labels, temperature,
version, and what the training set is like (``metrics.Description``), to tell when new sounds are far from it.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import soxr
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn import functional as F

import metrics
from models import files
from models.classifier_network import FRONT_ENDS, Embedder, FrontEnd, ResNet, focal_loss, hide, window
from models.labels import indices
from models.spectrogram import PREPARED_PEAK, Spectrogram, checked
from models.train import train

VERSION = 1  # of the model file
KIND = "classifier"
TRIM = 1e-3  # of the peak: what is quieter at both ends is cut
TEMPERATURES = (0.05, 20.0)  # between which it is looked for
SMALLEST_PROBABILITY = 1e-12  # its logarithm is finite
AT_ONCE = 64  # windows in a batch of prediction
SEEDS_APART = 1000  # between members, so that runs of neighbouring seeds share none
DESCRIBED = 100  # sounds of a training set that its model file describes


class Classifier:
    """Front end, residual network, and the ways to train it.

    Parameters
    ----------
    front_end : "log_mel", "mfcc" or "mfcc_deltas"
        ``mels`` bands; ``coefficients`` of their cosine transform; these with first and second differences
        as three channels.
    rate : int
        Hz at which it works; 0: that of the training set.
    seconds, n_fft, hop_length : float, int, int
        Of a window, and of its transform in samples.
    width, dropout : int, float
        Channels of the first of four stages, which double; share of features dropped in training.
    members : int
        Networks that are trained from other seeds, one after the other, and whose probabilities are averaged
        (Lakshminarayanan et al. 2017). More help where recordings are few.
    normalise : bool
        Bring each band to mean 0 and deviation 1 over the training set; False divides by a constant.
    trim : bool
        Cut silence at both ends.
    crop : bool
        Draw a window at random in training; False takes the middle one.
    masks : int
        Strips of bands, and of frames, that are hidden in training (SpecAugment, Park et al. 2019).
    mixup : float
        Pairs of sounds are mixed in shares from Beta(mixup, mixup) (Zhang et al. 2018); 0: not.
    focal : float
        Exponent of the focal loss (Lin et al. 2017); 0: cross entropy.
    crops : int
        Windows over which a prediction is averaged; 1: the middle one.
    steps, batch, learning_rate, weight_decay, threads
        Of the training of each member. One thread by default: equal seeds give equal weights.
    """

    EVERY = 100  # steps, after which a checkpoint is kept

    def __init__(
        self,
        *,
        seconds: float,
        n_fft: int,
        hop_length: int,
        front_end: str = "log_mel",
        rate: int = 0,
        mels: int = 64,
        coefficients: int = 20,
        width: int = 16,
        dropout: float = 0.3,
        members: int = 1,
        normalise: bool = True,
        trim: bool = True,
        crop: bool = True,
        masks: int = 2,
        mixup: float = 0.3,
        focal: float = 0.0,
        crops: int = 5,
        steps: int = 600,
        batch: int = 32,
        learning_rate: float = 3e-3,
        weight_decay: float = 0.05,
        threads: int = 1,
    ) -> None:
        self.options = {k: v for k, v in locals().items() if k not in ("self", "__class__")}
        for name, value in self.options.items():
            setattr(self, name, value)
        self.steps, self.steps_each = members * steps, steps
        if front_end not in FRONT_ENDS:
            raise ValueError(f"front_end is {front_end!r}; there are {', '.join(FRONT_ENDS)}")
        if not 0 < coefficients <= mels:
            raise ValueError(f"coefficients is {coefficients}; it is 1 to mels, {mels}")
        if crops < 1 or width < 1 or members < 1:
            raise ValueError(f"crops is {crops}, width {width}, members {members}; all are at least 1")
        if masks < 0 or mixup < 0 or focal < 0 or not 0 <= dropout < 1:
            raise ValueError(
                f"masks {masks}, mixup {mixup} and focal {focal} are 0 or more, dropout {dropout} is below 1"
            )
        self.temperature, self.facts, self.described = 1.0, {}, None

    # -------------------------------------------------------------------------------------- training

    def train(
        self,
        signals: Sequence[np.ndarray],
        rate: int,
        *,
        labels: Sequence[str],
        seed: int,
        checkpoint: Path | None = None,
    ) -> Iterator[int]:
        """Learn to name sounds; yields the number of each step, from 1, over all members.

        Parameters
        ----------
        signals : sequence of arrays, (samples,)
            Mono, at ``rate`` Hz, each as long as it is.
        labels : sequence of str
            One a signal; their sorted names become the classes.
        seed : int
            Of weights, order, windows and everything else that is drawn.
        checkpoint : path, optional
            A file to keep the state in every ``EVERY`` steps (one a member, its number appended), and to go
            on from if it is there: to the same weights, to the bit.

        Raises
        ------
        ValueError
            For fewer than two labels, for what ``models.spectrogram.checked`` refuses, and for the
            checkpoint of another training.
        """
        torch.set_num_threads(self.threads)
        classes, names = indices(labels, len(signals))
        if len(names) < 2:
            raise ValueError(f"the sounds have the label {names[0]!r} alone; there is nothing to tell apart")
        self._build(rate if self.rate == 0 else self.rate, names, seed)
        pictures = [self.front_end_.bands(torch.from_numpy(s)[None])[0] for s in self.prepared(signals, rate)]
        if self.normalise:
            self.front_end_.fit(pictures)
        pictures = [self.front_end_.normalised(picture[None])[0] for picture in pictures]
        targets = F.one_hot(torch.from_numpy(classes), len(names)).float()

        options = {"batch": self.batch, "learning_rate": self.learning_rate}
        options |= {"weight_decay": self.weight_decay, "rows": len(pictures), "every": self.EVERY}
        # What the training depends on: another's checkpoint must not be gone on from.
        key = hashlib.sha256(json.dumps([self.options, seed, names]).encode() + classes.tobytes())
        for picture in pictures:
            key.update(picture.numpy().tobytes())
        for number, network in enumerate(self.networks):
            steps = train(
                network,
                partial(self._loss, network, pictures, targets),
                steps=self.steps_each,
                seed=seed + SEEDS_APART * number,
                checkpoint=checkpoint and checkpoint.with_name(f"{checkpoint.name}{number}"),
                key=f"{key.hexdigest()} {number}",
                **options,
            )
            for step, _ in steps:
                yield number * self.steps_each + step

    def _loss(self, network, pictures, targets, rows: Tensor, step: int, generator) -> dict[str, Tensor]:
        # A numpy generator anew at each step, from the one whose state a checkpoint keeps.
        rng = np.random.default_rng(int(torch.randint(2**62, (1,), generator=generator)))
        x, wanted = self._batch([pictures[i] for i in rows], targets[rows], rng)
        # Dropout by hand: torch's own draws from the global generator.
        kept = torch.from_numpy(rng.random((len(x), network.features)) >= self.dropout)
        features = network.embed(x) * kept / (1 - self.dropout)
        return {"total": focal_loss(network.last(features), wanted, self.focal)}

    def _batch(self, pictures: Sequence[Tensor], targets: Tensor, rng) -> tuple[Tensor, Tensor]:
        """Windows of pictures, altered, (count, channels, bands, frames), and what they should be called."""
        empty = self.front_end_.silence
        x = torch.stack([window(p, self.frames, empty, rng if self.crop else None) for p in pictures])
        for _ in range(self.masks):
            hide(x, rng)
        if self.mixup:
            share = torch.from_numpy(rng.beta(self.mixup, self.mixup, len(x)).astype(np.float32))
            other = torch.from_numpy(rng.permutation(len(x)))
            targets = share[:, None] * targets + (1 - share[:, None]) * targets[other]
            share = share[:, None, None, None]
            x = share * x + (1 - share) * x[other]
        return x, targets

    def report(self) -> dict[str, float]:
        """Numbers for metrics.json: how many parameters all members have."""
        return {"parameters": sum(p.numel() for p in self.networks.parameters())}

    # ------------------------------------------------------------------------------------ prediction

    def prepared(self, signals: Sequence[np.ndarray], rate: int) -> list[np.ndarray]:
        """Signals at the classifier's rate and peak, without silence at the ends.

        ValueError, with the number of the sound, for what ``models.spectrogram.checked`` refuses, and for one
        of which resampling leaves nothing.
        """
        prepared = []
        for i, signal in enumerate(signals):
            try:
                prepared.append(self._prepared(signal, rate))
            except ValueError as error:
                raise ValueError(f"sound {i}: {error}" if len(signals) > 1 else str(error)) from None
        return prepared

    def _prepared(self, signal: np.ndarray, rate: int) -> np.ndarray:
        signal = checked(np.asarray(signal, np.float32), rate)
        if self.trim:  # at its own rate: a resampler rings before the first sound
            loud = np.flatnonzero(np.abs(signal) > TRIM * np.abs(signal).max())
            signal = signal[loud[0] : loud[-1] + 1]
        if rate != self.rate_:
            signal = soxr.resample(signal, rate, self.rate_)
        peak = np.abs(signal).max(initial=0)
        if peak == 0:  # a click of a few samples can vanish in a low rate
            raise ValueError(
                f"nothing is left of a signal at {rate} Hz when it is resampled to {self.rate_} Hz"
            )
        return (signal * np.float32(PREPARED_PEAK / peak)).astype(np.float32)

    def windows(self, signal: np.ndarray) -> np.ndarray:
        """What a prediction is averaged over, (windows, samples), of a prepared signal."""
        length = self.length
        if len(signal) <= length:
            short = length - len(signal)
            return np.pad(signal, (short // 2, short - short // 2))[None]
        over = len(signal) - length
        starts = [over // 2] if self.crops == 1 else np.linspace(0, over, self.crops).round().astype(int)
        return np.stack([signal[start : start + length] for start in starts])

    def probabilities(self, signals: Sequence[np.ndarray], rate: int) -> np.ndarray:
        """Of each label, (sounds, classes) float64, columns as ``names``. ValueError as ``prepared``."""
        raw, _ = self._forward(signals, rate)
        return tempered(raw, self.temperature)

    def embed(self, signals: Sequence[np.ndarray], rate: int) -> np.ndarray:
        """What the last layers see, averaged over windows, (sounds, features of all members) float32."""
        return self._forward(signals, rate)[1]

    def alone(self, number: int) -> Classifier:
        """Member ``number``, from 0, as a classifier of its own; the weights are shared, not copied.

        It is what training one network gives with the seed ``seed + SEEDS_APART * number``, to the bit: a
        member learns from nothing that another one draws. Its temperature is 1, for that of the whole was
        fitted to the mean of all. IndexError for a member that there is not.
        """
        if not 0 <= number < self.members:
            raise IndexError(f"member {number} of a classifier of {self.members}; they count from 0")
        one = Classifier(**{**self.options, "members": 1})
        one.rate_, one.names, one.front_end_ = self.rate_, self.names, self.front_end_
        one.networks = torch.nn.ModuleList([self.networks[number]])
        return one

    def predict(self, signals: Sequence[np.ndarray], rate: int) -> list[str]:
        """The likeliest label of each sound."""
        return [self.names[i] for i in self.probabilities(signals, rate).argmax(axis=1)]

    @torch.no_grad()
    def _forward(self, signals: Sequence[np.ndarray], rate: int) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities before tempering, and features, of each sound.

        All windows of all sounds go through the networks in batches; then each sound averages its own.
        """
        torch.set_num_threads(self.threads)
        self.networks.eval()
        parts = [self.windows(signal) for signal in self.prepared(signals, rate)]
        seen = [
            [(network.last(e := network.embed(picture)).softmax(dim=1), e) for network in self.networks]
            for picture in map(self.front_end_, torch.from_numpy(np.concatenate(parts)).split(AT_ONCE))
        ]
        probabilities = torch.cat([torch.stack([c for c, _ in batch]).mean(dim=0) for batch in seen])
        features = torch.cat([torch.cat([e for _, e in batch], dim=1) for batch in seen])
        bounds = np.cumsum([len(part) for part in parts])[:-1]
        return tuple(
            np.stack([part.mean(axis=0) for part in np.split(table.numpy(), bounds)])
            for table in (probabilities.double(), features)
        )

    def calibrate(self, probabilities: np.ndarray, labels: Sequence[str]) -> float:
        """Set, and return, the temperature at which these ``labels`` are most likely.

        ``probabilities``, (sounds, classes), must be of sounds that the network which gave them was not
        trained on, for instance of ``ablations.cross_validation``. ValueError as ``temperature``.
        """
        self.temperature = temperature(probabilities, [self.names.index(label) for label in labels])
        return self.temperature

    def describe(self, signals: Sequence[np.ndarray], rate: int, *, seed: int) -> metrics.Description:
        """What these sounds are like to the distance, to tell whether others are near.

        Of ``DESCRIBED`` of them, drawn by ``seed``: enough for the distance, and the model file stays small.
        Up to the classifier's rate, above which it hears nothing itself. A peak above full scale is no reason
        to refuse a sound that can be named.
        """
        order = np.sort(np.random.default_rng([seed, 4]).permutation(len(signals))[:DESCRIBED])
        return metrics.describe(
            [signals[i] for i in order],
            rate=rate,
            bandwidth_rate=min(self.rate_, metrics.RATE),
            workers=1,
            peak_limit=np.inf,
        )

    # ------------------------------------------------------------------------------- kept and loaded

    @property
    def length(self) -> int:
        """Samples of a window."""
        return round(self.seconds * self.rate_)

    @property
    def frames(self) -> int:
        """Frames of a window."""
        return 1 + self.length // self.hop_length

    def _build(self, rate: int, names: Sequence[str], seed: int) -> None:
        self.rate_, self.names = rate, tuple(names)
        spectrogram = Spectrogram(rate, self.n_fft, self.hop_length, self.mels, self.seconds)
        self.front_end_ = FrontEnd(self.front_end, spectrogram, coefficients=self.coefficients)
        self.networks = torch.nn.ModuleList()
        for number in range(self.members):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed + SEEDS_APART * number)
                self.networks.append(ResNet(self.front_end_.channels, self.width, len(names)))

    def save(self, path: Path | str) -> None:
        """Write the model file; equal models give equal bytes. See the module for what it holds.

        A safetensors file: nothing is unpickled to read it.
        """
        arrays = {f"networks.{k}": v for k, v in self.networks.state_dict().items()}
        arrays |= {f"front_end.{k}": v for k, v in self.front_end_.learned().items()}
        header = {
            "model": self.options,
            "rate": self.rate_,
            "labels": self.names,
            "temperature": self.temperature,
            "facts": self.facts,
        }
        if self.described is not None:
            table = self.described.to_arrays()
            # Texts, integers and single numbers have no place among tensors: they go into the header.
            plain = {k: v for k, v in table.items() if v.dtype.kind == "f" and v.ndim}
            arrays |= {f"described.{k}": torch.from_numpy(v) for k, v in plain.items()}
            header["described"] = {k: [str(v.dtype), v.tolist()] for k, v in table.items() if k not in plain}
        files.write(path, arrays, header, kind=KIND, version=VERSION)

    @classmethod
    def load(cls, path: Path | str) -> Classifier:
        """Read a model file; it predicts as the model that was saved did.

        ValueError, naming the file, for another version or what is no model file.
        """
        header, arrays = files.read(path, kind=KIND, version=VERSION)
        model = cls(**header["model"])
        model._build(header["rate"], header["labels"], seed=0)
        model.networks.load_state_dict(files.part(arrays, "networks"))
        model.networks.eval()
        model.front_end_.learn(files.part(arrays, "front_end"))
        model.temperature, model.facts = header["temperature"], header["facts"]
        if "described" in header:
            table = {k: np.array(value, dtype) for k, (dtype, value) in header["described"].items()}
            table |= {k: v.numpy() for k, v in files.part(arrays, "described").items()}
            model.described = metrics.Description.from_arrays(table)
        return model

    def export(self, path: Path | str) -> None:
        """Write the embedding as a program of its own: a window of peak ``PREPARED_PEAK`` in, features out.

        A ``torch.export`` archive that needs PyTorch and nothing of this repository, (1, samples) ->
        (1, features); the entry ``embedding.json`` says rate, window and dimension.
        """
        networks = copy.deepcopy(self.networks).to(memory_format=torch.contiguous_format)
        module = Embedder(self.front_end_, networks).eval()
        program = torch.export.export(module, (torch.zeros(1, self.length),))
        about = {
            "rate": self.rate_,
            "window": self.length,
            "dimension": sum(network.features for network in self.networks),
            "level": PREPARED_PEAK,
            "trim": TRIM if self.trim else 0.0,
            "labels": self.names,
            "facts": self.facts,
        }
        torch.export.save(program, path, extra_files={"embedding.json": json.dumps(about)})


def tempered(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """probabilities ** (1 / temperature), rows summing to 1: above 1 less sure, below it surer."""
    logs = np.log(np.clip(probabilities, SMALLEST_PROBABILITY, None)) / temperature
    powers = np.exp(logs - logs.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def temperature(probabilities: np.ndarray, true_columns: Sequence[int]) -> float:
    """The temperature that makes the true labels most likely (temperature scaling, Guo et al. 2017).

    One number for all classes, so it changes how sure the classifier is and never what it says.

    Parameters
    ----------
    probabilities : array, (sounds, classes)
        Of sounds that the classifier was not trained on; on its training set it is surer than it may be.
    true_columns : sequence of int, (sounds,)
        The column of each sound's true label.

    Raises
    ------
    ValueError
        For no sounds, and for probabilities of another shape.
    """
    probabilities, true_columns = np.asarray(probabilities, float), np.asarray(true_columns)
    if probabilities.ndim != 2 or len(probabilities) != len(true_columns) or len(true_columns) == 0:
        raise ValueError(f"{len(true_columns)} labels for probabilities of the shape {probabilities.shape}")

    def log_loss(log_temperature: float) -> float:
        rows = tempered(probabilities, np.exp(log_temperature))
        of_the_truth = rows[np.arange(len(rows)), true_columns]
        return -float(np.log(np.clip(of_the_truth, SMALLEST_PROBABILITY, None)).mean())

    # Over its logarithm: halving and doubling the temperature are equal steps.
    return float(np.exp(minimize_scalar(log_loss, bounds=np.log(TEMPERATURES), method="bounded").x))
