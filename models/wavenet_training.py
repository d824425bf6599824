"""A WaveNet as a model of the gate: it learns codes of recordings, and tells bits a sample of others.

Conventions
    contract     ``train``, ``bits``, ``sample``, ``save`` and ``report`` are what ``ablations.run`` calls.
    sound        a path of an audio file or of codes, or an array: see ``models.code_windows.clip_of``.
                 Files are read in windows, as they are needed, so that memory does not grow with them.
    step         one batch of windows; which ones follows from seed and step alone. A training that goes on
                 from its checkpoint is the one that was not interrupted, to the bit.
    processes    of ``torchrun``, or any that set RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT, share each
                 batch and average the gradient (gloo). The batch is the same, and but for rounding the loss.

    $ torchrun --nproc_per_node 2 -m models train wavenet
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, distributed, nn

from audio_distance.storage import cache_folder
from models import predictors, wavenet
from models.code_windows import Batch, Clip, Windows, clip_of
from models.labels import indices
from models.train import train
from models.wavenet_parameters import Settings
from study.datasets.mu_law import decode

LEARNED_BY_PREDICTORS = 4_000_000  # codes at most, of training clips drawn by the seed
PIECE = 20_000  # codes: a spoken word whole, and of songs so much that all of them are among the 4 million
CLIPS_AT_ONCE = 16  # generated


class WaveNet:
    """See the module. Every option is a key of ``model`` in a config.

    Parameters
    ----------
    residual, gate, skip, head, layers, blocks
        Of ``models.wavenet_parameters.Settings``.
    conditional : bool
        On the label of each sound.
    window : int
        Codes of a row, of which all but a clip's first have a receptive field of context.
    batch : int
        Rows of a step, over all processes.
    groups : int
        Of a step's rows, by length: rows are filled up to the longest of their group only.
    steps, learning_rate, threads
        Of the training. ``threads`` belongs to the result: sums in another order differ in the last digit.
    fault : str
        Of ``models.wavenet.FAULTS``; "" is none.
    seconds : float
        Of a generated sound; 0: as long as training sounds are, drawn by the seed.
    temperature, top_p : float
        Of ``models.sampler.generate``.
    cache : str
        Folder of codes of audio files; "" is one in the user's cache.
    """

    EVERY = 100  # steps from one checkpoint to the next

    def __init__(
        self,
        *,
        residual: int,
        gate: int,
        skip: int,
        head: int,
        layers: int,
        blocks: int,
        conditional: bool,
        window: int,
        batch: int,
        groups: int,
        steps: int,
        learning_rate: float,
        threads: int,
        fault: str,
        seconds: float,
        temperature: float,
        top_p: float,
        cache: str,
    ) -> None:
        self.options = {name: value for name, value in locals().items() if name != "self"}
        vars(self).update(self.options)
        if fault not in wavenet.FAULTS:
            known = ", ".join(filter(None, wavenet.FAULTS))
            raise ValueError(f"model.fault={fault!r}; there are {known}, or none")
        if batch < 1 or not 1 <= groups <= batch:
            raise ValueError(
                f"model.batch={batch}, model.groups={groups}; 1 to model.batch groups are needed"
            )

    # -------------------------------------------------------------------------------------- training

    def train(
        self,
        signals: Sequence[np.ndarray | Path | str],
        rate: int,
        *,
        seed: int,
        labels: Sequence[str] | None = None,
        checkpoint: Path | None = None,
    ) -> Iterator[int]:
        """Learn sounds; yields the number of each step, from 0: the network as it was drawn.

        Parameters
        ----------
        signals : sequence of paths or arrays
            See the module; of audio files the codes are kept in ``cache``.
        rate : int
            Hz, of the codes and of arrays.
        seed : int
            Of weights and order.
        labels : sequence of str, optional
            One a sound; for ``conditional``.
        checkpoint : path, optional
            A file to keep the state in every ``EVERY`` steps, and to go on from if it is there.

        Raises
        ------
        ValueError
            For a window within the receptive field, for ``conditional`` without labels, and what
            ``models.code_windows`` and ``models.train`` refuse.
        """
        torch.set_num_threads(self.threads)
        self.rate, self.seed, self.step, self.parts = rate, seed, 0, {}
        self.index, self.names = indices(labels if self.conditional else None, len(signals))
        if self.conditional and self.names == ("",):
            raise ValueError("model.conditional=true, and the sounds have no labels")
        self.settings = self._settings(len(self.names) if self.conditional else 0)
        self.network = wavenet.Network(self.settings, seed=seed, fault=self.fault)
        self.windows = self._windows(signals)
        self._told: dict[str, dict] = {}
        yield 0
        with _processes(self.batch) as (rank, world):
            summed = _Nats(self.network, self.fault)
            if world > 1:
                summed = nn.parallel.DistributedDataParallel(summed)

            def loss(_: Tensor, step: int, __: torch.Generator) -> dict[str, Tensor]:
                return self._loss(summed, step, rank, world)

            for step, parts in train(
                self.network,
                loss,
                rows=len(self.windows),
                steps=self.steps,
                batch=1,  # of rows that are not used: windows are known by the step
                learning_rate=self.learning_rate,
                seed=seed,
                checkpoint=checkpoint,
                every=self.EVERY,
                key=self._key(),
            ):
                self.step, self.parts = step, parts
                yield step

    def _settings(self, labels: int) -> Settings:
        sizes = ("residual", "gate", "skip", "head", "layers", "blocks")
        return Settings(**{name: self.options[name] for name in sizes}, labels=labels)

    def _windows(self, signals: Sequence[np.ndarray | Path | str]) -> Windows:
        folder = Path(self.cache) if self.cache else cache_folder() / "codes"
        clips = [clip_of(signal, self.rate, cache=folder) for signal in signals]
        return Windows(clips, size=self.window, receptive_field=self.settings.receptive_field)

    def _loss(self, summed: nn.Module, step: int, rank: int, world: int) -> dict[str, Tensor]:
        """Mean nats over the targets of the whole batch, of which this process has every ``world``-th row.

        Processes average their gradients, so each one's share is taken ``world`` times.
        """
        first = (step - 1) * self.batch
        drawn = [self.windows.drawn(first + i, seed=self.seed) for i in range(self.batch)]
        count = sum(window.targets for window in drawn)
        own = sorted(drawn[rank::world], key=lambda window: window.context + window.targets)
        parts = [own[places[0] : places[-1] + 1] for places in self._grouped(len(own))]
        total = summed([self._tensors(self.windows.batch(part)) for part in parts]) * (world / count)
        bits = total.detach() / np.log(2)
        if world > 1:  # what is told is of the whole batch
            distributed.all_reduce(bits)
            bits /= world
        return {"total": total, "bits": bits}

    def _grouped(self, rows: int) -> list[np.ndarray]:
        return [places for places in np.array_split(np.arange(rows), self.groups) if len(places)]

    def _tensors(self, batch: Batch, index: np.ndarray | None = None) -> tuple[Tensor, Tensor, Tensor | None]:
        index = self.index if index is None else index
        labels = torch.from_numpy(index[batch.clips]) if self.conditional else None
        return torch.from_numpy(batch.codes.astype(np.int64)), torch.from_numpy(batch.wanted), labels

    def _key(self) -> str:
        """Names the training, for its checkpoint: options that change it, seed and data."""
        told = {
            k: v for k, v in self.options.items() if k not in ("cache", "seconds", "temperature", "top_p")
        }
        digest = hashlib.sha256(json.dumps([told, self.seed, self.rate, self.names], sort_keys=True).encode())
        digest.update(_digest(self.windows.clips) + self.index.tobytes())
        return digest.hexdigest()

    # --------------------------------------------------------------------------------------- judging

    def bits(
        self, signals: Sequence[np.ndarray | Path | str], labels: Sequence[str] | None = None
    ) -> dict[str, float]:
        """Bits a sample of sounds that were not trained on, all their codes, each sound after silence.

        Returns ``bits``, of the network, then of ``models.predictors`` by name, which learn on training
        sounds (at most 4 million codes of them) and are measured on the same codes; and ``samples``, how
        many these are. ValueError for labels that were not trained on.
        """
        own = self.own_bits(signals, labels)
        clips = self._windows(signals).clips
        key = _digest(clips).hex()
        if key not in self._told:
            self._told[key] = predictors.bits(
                [clip.read(0, clip.length) for clip in self._some()],
                [clip.read(0, clip.length) for clip in clips],
            )
        return {"bits": own["bits"], **self._told[key], "samples": own["samples"]}

    @torch.no_grad()
    def own_bits(
        self, signals: Sequence[np.ndarray | Path | str], labels: Sequence[str] | None = None
    ) -> dict[str, float]:
        """``bits`` and ``samples`` of ``bits``, of the network alone."""
        held_out = self._windows(signals)
        index = self._known(labels, len(signals))
        total = count = 0.0
        self.network.eval()
        for batch in held_out.in_turn(max(1, self.batch // self.groups)):
            codes, wanted, numbers = self._tensors(batch, index)
            total += float(
                wavenet.nats(self.network, codes, wanted, labels=numbers, fault=self.fault).double()
            )
            count += int(wanted.sum())
        return {"bits": wavenet.bits(total, count), "samples": int(count)}

    def _known(self, labels: Sequence[str] | None, count: int) -> np.ndarray:
        if not self.conditional:
            return np.zeros(count, np.int64)
        if labels is None or (unknown := set(labels) - set(self.names)):
            told = "no labels" if labels is None else f"the labels {', '.join(sorted(unknown))}"
            raise ValueError(f"{told}; this network was trained on {', '.join(self.names)}")
        return np.array([self.names.index(label) for label in labels], np.int64)

    def _some(self) -> list[Clip]:
        """Pieces of training clips in random order, as many as the predictors learn from; the last is cut."""
        clips = self.windows.clips
        pieces = [(clip, start) for clip in clips for start in range(0, clip.length, PIECE)]
        taken, left = [], LEARNED_BY_PREDICTORS
        for i in np.random.default_rng([self.seed, 4]).permutation(len(pieces)):
            clip, start = pieces[i]
            length = min(left, PIECE, clip.length - start)
            held = None if clip.held is None else clip.held[start : start + length]
            taken.append(Clip(length, clip.path, clip.offset + start, held))
            left -= length
            if left <= 0:
                break
        return taken

    def report(self) -> dict[str, float]:
        """The last loss, and what the network is."""
        return {
            **self.parts,
            "parameters": sum(p.numel() for p in self.network.parameters() if p.requires_grad),
            "multiply_adds": self.settings.multiply_adds,
            "receptive_field": self.settings.receptive_field,
            "epochs": self.step * self.batch / len(self.windows),
            "codes": int(sum(clip.length for clip in self.windows.clips)),
        }

    # -------------------------------------------------------------------------------- sounds and files

    def sample(self, count: int, *, seed: int, progress: bool = False) -> list[np.ndarray]:
        """``count`` sounds, float32; lengths and labels are drawn as they are in the training."""
        from models import sampler  # which compiles

        drawn = lenders(count, len(self.windows.clips), seed=seed)
        if self.seconds:
            lengths = np.full(count, round(self.seconds * self.rate))
        else:
            lengths = np.array([self.windows.clips[i].length for i in drawn])
        arrays = {name: value.detach().numpy() for name, value in self.network.parameters_by_name().items()}
        names = self.names if self.conditional else ()
        network = sampler.Sampler(arrays, self.settings, labels=names, rate=self.rate)
        labels = [self.names[i] for i in self.index[drawn]] if self.conditional else None
        return sounds_of(
            network,
            lengths,
            labels=labels,
            seed=seed,
            temperature=self.temperature,
            top_p=self.top_p,
            progress=progress,
        )

    def save(self, path: Path | str) -> None:
        """Write the model file; equal models give equal bytes. ``models.wavenet.load`` reads it."""
        facts = {
            "rate": self.rate,
            "labels": list(self.names) if self.conditional else [],
            "step": self.step,
            "training": {**self.options, "seed": self.seed, "codes": self.report()["codes"]},
            "bits": self.parts.get("bits"),
        }
        facts["training"].pop("cache")  # of this machine
        wavenet.save(path, self.network, facts)


def sounds_of(
    network, lengths: Sequence[int], *, labels: Sequence[str] | None, seed: int, temperature: float, **options
) -> list[np.ndarray]:
    """A sound of each length in samples, float32, by a ``models.sampler.Sampler``.

    ``labels``, one a sound, of a network that has them; ``options`` of ``models.sampler.generate``. So many
    as ``CLIPS_AT_ONCE`` are drawn together.
    """
    from models.sampler import generate  # which compiles

    sounds: list[np.ndarray] = []
    for first in range(0, len(lengths), CLIPS_AT_ONCE):
        part = slice(first, first + CLIPS_AT_ONCE)
        made = generate(
            network,
            int(max(lengths[part])),
            seed=seed,
            first=first,
            batch=len(lengths[part]),
            label=None if labels is None else labels[part],
            temperature=temperature,
            **options,
        )
        sounds += [decode(codes[:n]) for codes, n in zip(made.codes, lengths[part], strict=True)]
    return sounds


def lenders(count: int, clips: int, *, seed: int) -> np.ndarray:
    """Which training sounds, of ``clips``, lend length and label to generated ones: (count,) places."""
    return np.random.default_rng([seed, 2]).integers(clips, size=count)


class _Nats(nn.Module):
    """Nats of all groups of a step, so that processes meet once a step."""

    def __init__(self, network: nn.Module, fault: str) -> None:
        super().__init__()
        self.network, self.fault = network, fault

    def forward(self, groups: Sequence[tuple[Tensor, Tensor, Tensor | None]]) -> Tensor:
        return sum(wavenet.nats(self.network, c, w, labels=l, fault=self.fault) for c, w, l in groups)


@contextmanager
def _processes(batch: int) -> Iterator[tuple[int, int]]:
    """Rank and number of the processes that train together: one, unless the environment says more.

    ValueError for more processes than rows of a batch.
    """
    world = int(os.environ.get("WORLD_SIZE", 1))
    if world == 1:
        yield 0, 1
        return
    if world > batch:
        raise ValueError(f"{world} processes (WORLD_SIZE), and model.batch={batch}: some would have no row")
    distributed.init_process_group("gloo")
    try:
        yield distributed.get_rank(), world
    finally:
        distributed.destroy_process_group()


def _digest(clips: Sequence[Clip]) -> bytes:
    """Of codes: held ones by content, files by name (of audio files that is their content), and length."""
    digest = hashlib.sha256()
    for clip in clips:
        content = clip.held.tobytes() if clip.held is not None else Path(clip.path).name.encode()
        digest.update(hashlib.sha256(b"%d %d " % (clip.length, clip.offset) + content).digest())
    return digest.digest()
