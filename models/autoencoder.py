"""A network of ``models.vae`` as a model of the gate: it learns a set of sounds, and makes others like them.

Conventions
    contract   ``train``, ``sample``, ``save`` and ``report`` are what ``ablations.run`` calls.
    sound      mono float32 at ``rate``, the rate of the training, peak at most 1.
    name_      with an underscore at its end: learned.
    labels     names, one a sound; only the prior knows them. None: the model draws without.
    model file safetensors: every array, and in the header as JSON everything needed to build the model
               again. What is loaded gives the same sounds to the bit.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from models import files, prior, spectrogram, vae
from models.labels import indices
from models.spectrogram import PREPARED_PEAK, Spectrogram, Statistics
from models.train import train

VERSION = 1  # of the model file
KIND = "autoencoder"
ACTIVE = 0.01  # variance of a latent's mean over sounds, above which it says something (Burda et al. 2016)
DECODED = 100  # sounds at once: what bounds the memory
PRIORS = ("normal", "mixture")


class CollapseWarning(UserWarning):
    """The latents, or the codes, say nearly nothing of the sound."""


class Autoencoder:
    """See the module. Every option is a key of ``model`` in a config.

    Parameters
    ----------
    network : str
        Of ``models.vae.NETWORKS``.
    seconds, n_fft, hop_length, mels, fit
        Of ``models.spectrogram.Spectrogram``; "waveform" needs only ``seconds``.
    denormalise : bool
        Put mean and deviation back; False is a classic fault.
    inversion, iterations
        From bands to bins, and of Griffin-Lim: ``models.spectrogram.magnitude`` and ``waveform``.
    width, latent, codes, free_bits
        Of the network; ``codes`` of "vector_quantised" alone.
    kl_weight, warm_up, reconstruction_weight
        Of the loss; the weight of the KL rises over the first ``warm_up`` steps.
    prior, components
        What is sampled: "normal", or a "mixture" of so many Gaussians fitted to the latents, for each
        label if there are labels. "vector_quantised" has its own, which is trained beside it.
    steps, batch, learning_rate, threads
        Of the training. ``threads`` belongs to the result: sums in another order differ in the last digit.
    """

    EVERY = 100  # steps from one checkpoint to the next

    def __init__(
        self,
        *,
        network: str,
        seconds: float,
        n_fft: int,
        hop_length: int,
        mels: int,
        fit: str,
        denormalise: bool,
        inversion: str,
        iterations: int,
        width: int,
        latent: int,
        codes: int,
        free_bits: float,
        kl_weight: float,
        warm_up: int,
        reconstruction_weight: float,
        prior: str,
        components: int,
        steps: int,
        batch: int,
        learning_rate: float,
        threads: int,
    ) -> None:
        # In the order of the signature, which is that of the model file's header.
        self.options = {name: value for name, value in locals().items() if name != "self"}
        vars(self).update(self.options)
        if network not in vae.NETWORKS:
            raise ValueError(f"no network {network!r}; there are {', '.join(vae.NETWORKS)}")
        if prior not in PRIORS:
            raise ValueError(f"prior is {prior!r}; there are {', '.join(PRIORS)}")
        if inversion not in spectrogram.INVERSIONS:
            raise ValueError(f"inversion is {inversion!r}; there are {', '.join(spectrogram.INVERSIONS)}")

    # -------------------------------------------------------------------------------------- training

    def train(
        self,
        signals: Sequence[np.ndarray],
        rate: int,
        *,
        seed: int,
        labels: Sequence[str] | None = None,
        checkpoint: Path | None = None,
    ) -> Iterator[int]:
        """Learn a set of sounds; yields the number of each step, from 0: the model as it was drawn.

        After each the model can be sampled.

        Parameters
        ----------
        signals : sequence of arrays, (samples,)
            Mono, at ``rate`` Hz.
        seed : int
            Of weights, order, latents and the mixture.
        labels : sequence of str, optional
            One a signal; the prior learns to draw sounds of each.
        checkpoint : path, optional
            A file to keep the state in every ``EVERY`` steps, and to go on from if it is there.

        Raises
        ------
        ValueError
            For fewer than two sounds, and for what ``models.spectrogram`` and ``models.train`` refuse.
        """
        if len(signals) < 2:
            raise ValueError(f"{len(signals)} sounds; a set of at least 2 is needed")
        torch.set_num_threads(self.threads)
        self.rate, self.seed, self.step, self.parts = rate, seed, 0, {}
        self.index, self.names = indices(labels, len(signals))
        if self.is_waveform:
            self.statistics = None
            self.table = self.analyse(signals, rate)
        else:
            powers = spectrogram.powers(signals, self.spectrogram)
            self.statistics = spectrogram.statistics(powers, self.spectrogram)
            self.table = self._normalised([self.spectrogram.bands(power) for power in powers])
        self._build(seed)
        yield 0
        for step, parts in train(
            self.modules,
            self._loss,
            rows=len(signals),
            steps=self.steps,
            batch=self.batch,
            learning_rate=self.learning_rate,
            seed=seed,
            checkpoint=checkpoint,
            every=self.EVERY,
            key=self._key(),
        ):
            self.step, self.parts = step, parts
            yield step
        self._warn_of_collapse()

    def _loss(self, rows: Tensor, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        parts = dict(self.network_.loss(self.table[rows], generator=generator))
        parts["total"] = self.reconstruction_weight * parts["reconstruction"]
        if "kl" in parts:
            parts["total"] = parts["total"] + self.weight_of_kl(step) * parts["kl"]
        else:
            # Codes are integers, so no gradient of the prior reaches the network: both can learn at once.
            parts["prior"] = self.codes_.loss(parts["codes"], torch.from_numpy(self.index)[rows])
            parts["total"] = parts["total"] + parts["commitment"] + parts["prior"]
        return parts

    def weight_of_kl(self, step: int) -> float:
        """Of a step: it rises from 0, for in full it empties the latents before they are of use.

        KL annealing, Bowman et al. 2016.
        """
        return self.kl_weight * min(1.0, step / max(1, self.warm_up))

    def report(self) -> dict[str, float]:
        """The last parts of the loss; how many latents say something, or the perplexity of the codes."""
        numbers = dict(self.parts)
        numbers["parameters"] = sum(p.numel() for p in self.modules.parameters())
        latents = self.encode(self.table)
        if self.is_quantised:
            numbers["perplexity"] = float(vae.perplexity(latents, self.codes))
            numbers["codes_used"] = len(torch.unique(latents))
        else:
            numbers["active"] = int((latents.var(dim=0) > ACTIVE).sum())
            numbers["latents"] = self.network_.latent
        return numbers

    def collapsed(self) -> str:
        """What has collapsed, in words; empty if nothing has."""
        numbers = self.report()
        if self.is_quantised and numbers["perplexity"] < 0.05 * self.codes:
            return (
                f"the codes have collapsed: their perplexity is {numbers['perplexity']:.1f} of {self.codes}; "
                "lower model.codes or train longer"
            )
        if not self.is_quantised and numbers["active"] < 0.1 * numbers["latents"]:
            return (
                f"the posterior has collapsed: {numbers['active']} of {numbers['latents']} latents speak; "
                "lower model.kl_weight, or raise model.warm_up or model.free_bits"
            )
        return ""

    def _warn_of_collapse(self) -> None:
        if self.steps and (text := self.collapsed()):
            warnings.warn(text, CollapseWarning, stacklevel=2)

    # ------------------------------------------------------------------------------- sounds and arrays

    @property
    def is_waveform(self) -> bool:
        """Whether the network works on samples, and there is no spectrogram."""
        return self.network == "waveform"

    @property
    def is_quantised(self) -> bool:
        """Whether the latents are codes, which have a prior of their own."""
        return self.network == "vector_quantised"

    @property
    def is_conditional(self) -> bool:
        """Whether what is sampled is meant to be of a label."""
        return self.names != ("",) and (self.is_quantised or self.prior == "mixture")

    @property
    def spectrogram(self) -> Spectrogram:
        """The kind of spectrogram, at the rate of the training."""
        return Spectrogram(self.rate, self.n_fft, self.hop_length, self.mels, self.seconds, self.fit)

    def analyse(self, signals: Sequence[np.ndarray], rate: int) -> Tensor:
        """What the network sees, (count, 1, ...). ValueError for another rate than that of the training."""
        if rate != self.rate:
            raise ValueError(
                f"the sounds have {rate} Hz and the model was trained at {self.rate} Hz; resample them"
            )
        if self.is_waveform:
            length = round(self.seconds * rate)
            checked = [spectrogram.checked(signal, rate) for signal in signals]
            cut = [np.pad(s[:length], (0, max(0, length - len(s)))) / np.abs(s).max() for s in checked]
            return torch.from_numpy(PREPARED_PEAK * np.stack(cut).astype(np.float32))[:, None]
        return self._normalised([self.spectrogram.log_mel(signal) for signal in signals])

    def _normalised(self, bands: Sequence[np.ndarray]) -> Tensor:
        return torch.from_numpy(self.statistics.normalise(np.stack(bands)))[:, None]

    def synthesise(self, x: Tensor, *, progress: bool = False) -> list[np.ndarray]:
        """The way back from (count, 1, ...): sounds of ``seconds``."""
        if self.is_waveform:
            return [signal[0] for signal in x.numpy()]
        shown = tqdm(x.numpy(), desc="sounds", leave=False, disable=None if progress else True)
        return [self._sound(bands[0]) for bands in shown]

    def _sound(self, bands: np.ndarray) -> np.ndarray:
        bands = self.statistics.denormalise(bands) if self.denormalise else bands
        magnitude = spectrogram.magnitude(
            bands, spectrogram=self.spectrogram, inversion=self.inversion, learned=self.statistics
        )
        return self.spectrogram.waveform(magnitude, iterations=self.iterations)

    # --------------------------------------------------------------------------------- what it is for

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """Latents of ``analyse``d sounds; see ``models.vae``."""
        self.network_.eval()
        return torch.cat([self.network_.encode(part) for part in x.split(DECODED)])

    @torch.no_grad()
    def decode(self, latent: Tensor) -> Tensor:
        """What ``synthesise`` takes, (count, 1, ...), from latents or codes."""
        self.network_.eval()
        return torch.cat([self.network_.decode(part) for part in latent.split(DECODED)])

    def draw_labels(self, count: int, *, seed: int) -> list[str]:
        """Labels of the sounds ``sample`` makes, in the shares of the training; "" where it knows none."""
        return [self.names[i] if self.is_conditional else "" for i in self._drawn(count, seed)]

    def _drawn(self, count: int, seed: int) -> np.ndarray:
        """Indices of labels, (count,), from a stream of their own: ``draw_labels`` draws them again."""
        shares = np.bincount(self.index, minlength=len(self.names)) / len(self.index)
        return np.random.default_rng([seed, 2]).choice(len(self.names), size=count, p=shares)

    @torch.no_grad()
    def sample(self, count: int, *, seed: int, progress: bool = False) -> list[np.ndarray]:
        """``count`` sounds from the prior; equal seeds give equal sounds.

        Each is ``seconds`` long, float32 at the rate of the training. Labels are drawn first, in the shares
        of the training (``draw_labels`` gives the same ones); then codes or latents given the label; then
        what the network decodes them to. ValueError for fewer than 1.
        """
        if count < 1:
            raise ValueError(f"count is {count}; at least 1 sound is made")
        torch.set_num_threads(self.threads)
        generator = torch.Generator().manual_seed(seed)
        labels = self._drawn(count, seed)
        if self.is_quantised:
            latent = self.codes_.draw(torch.from_numpy(labels), generator)
        elif self.prior == "normal":
            latent = self._completed(
                torch.randn((count, self.network_.upper), generator=generator), generator
            )
        else:
            upper = self._mixture().draw(labels, np.random.default_rng([seed, 3]))
            latent = self._completed(torch.from_numpy(upper.astype(np.float32)), generator)
        return self.synthesise(self.decode(latent), progress=progress)

    def _completed(self, upper: Tensor, generator: torch.Generator) -> Tensor:
        """All latents: a prior describes the upper ones, the network draws the others given these."""
        self.network_.eval()
        return self.network_.complete(upper, generator)

    def reconstruct(
        self, signals: Sequence[np.ndarray], rate: int, *, progress: bool = False
    ) -> list[np.ndarray]:
        """What is left of sounds after encoding and decoding, each at most as long as it was."""
        made = self.synthesise(self.decode(self.encode(self.analyse(signals, rate))), progress=progress)
        return [sound[: len(signal)] for sound, signal in zip(made, signals, strict=True)]

    def interpolate(
        self, first: np.ndarray, second: np.ndarray, rate: int, *, steps: int
    ) -> list[np.ndarray]:
        """``steps`` sounds from the first to the second, along a line between their latents.

        ValueError for fewer than 2 steps, and for codes, between which there is no line.
        """
        if self.is_quantised:
            raise ValueError("between codes there is no line; interpolate with another network")
        if steps < 2:
            raise ValueError(f"steps is {steps}; a line has at least 2")
        ends = self.encode(self.analyse([first, second], rate))
        return self.synthesise(
            self.decode(torch.lerp(ends[:1], ends[1:], torch.linspace(0, 1, steps)[:, None]))
        )

    # --------------------------------------------------------------------------------- kept and loaded

    def save(self, path: Path | str) -> None:
        """Write the model file; equal models give equal bytes.

        A safetensors file of all weights, statistics of the spectrogram, the fitted mixture and the labels'
        shares, under a header of options, rate and seed: nothing is unpickled to read it.
        """
        arrays = {f"modules.{name}": value for name, value in self.modules.state_dict().items()}
        if self.statistics is not None:
            arrays |= {f"statistics.{k}": torch.from_numpy(v) for k, v in vars(self.statistics).items()}
        if self._has_mixture:
            arrays |= {f"mixture.{k}": torch.from_numpy(v) for k, v in vars(self._mixture()).items()}
        arrays["index"] = torch.from_numpy(self.index)
        header = {
            "model": self.options,
            "rate": self.rate,
            "seed": self.seed,
            "step": self.step,
            "labels": self.names,
        }
        files.write(path, arrays, header, kind=KIND, version=VERSION)

    @classmethod
    def load(cls, path: Path | str) -> Autoencoder:
        """Read a model file; it samples as the model that was saved did.

        ValueError, naming the file, for another version or what is no model file.
        """
        header, arrays = files.read(path, kind=KIND, version=VERSION)
        model = cls(**header["model"])
        model.rate, model.seed, model.step = (header[name] for name in ("rate", "seed", "step"))
        model.names, model.index, model.parts = tuple(header["labels"]), arrays.pop("index").numpy(), {}
        statistics, mixture = (
            {k: v.numpy() for k, v in files.part(arrays, n).items()} for n in ("statistics", "mixture")
        )
        model.statistics = Statistics(**statistics) if statistics else None
        model._build(model.seed)
        model.modules.load_state_dict(files.part(arrays, "modules"))
        if mixture:
            model._fitted = (model.step, prior.Mixture(**mixture))
        return model

    def _build(self, seed: int) -> None:
        """Network, and the prior of codes, with weights drawn from the seed."""
        options = {"width": self.width, "latent": self.latent}
        if self.is_waveform:
            options["shape"] = (round(self.seconds * self.rate),)
        else:
            options["shape"] = (self.mels, self.spectrogram.frames)
        options |= {"codes": self.codes} if self.is_quantised else {"free_bits": self.free_bits}
        self.network_ = vae.build(self.network, seed=seed, **options)
        self.modules = torch.nn.ModuleDict({"network": self.network_})
        if self.is_quantised:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                self.codes_ = prior.CodePrior(
                    codes=self.codes, tokens=self.network_.tokens, labels=len(self.names)
                )
            self.modules["codes"] = self.codes_
        self._fitted: tuple[int, prior.Mixture] | None = None

    @property
    def _has_mixture(self) -> bool:
        return self.prior == "mixture" and not self.is_quantised

    def _mixture(self) -> prior.Mixture:
        """Fitted to draws of the posterior of the training set, once after each step."""
        if self._fitted is None or self._fitted[0] != self.step:
            generator = torch.Generator().manual_seed(self.seed)
            self.network_.eval()
            with torch.no_grad():
                parts = [self.network_.posterior(part) for part in self.table.split(DECODED)]
                drawn = torch.cat([vae.draw(*part, generator) for part in parts]).numpy()
            self._fitted = (
                self.step,
                prior.fit_mixture(drawn, self.index, components=self.components, seed=self.seed),
            )
        return self._fitted[1]

    def _key(self) -> str:
        """Names the training, for its checkpoint: options, seed and data."""
        content = json.dumps([self.options, self.seed, self.rate, self.names], sort_keys=True).encode()
        return hashlib.sha256(content + self.table.numpy().tobytes() + self.index.tobytes()).hexdigest()
