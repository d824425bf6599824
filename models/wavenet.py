"""A WaveNet in PyTorch: network, loss, file. The definition and its sizes: ``models.wavenet_parameters``.

Conventions
    codes      (rows, places) int64 of 0 to 255. A row is a piece of a clip.
    silence    what goes before a row, for ever: its layers hold what they would after any number of codes
               ``SILENCE``, which is one column a layer. So a clip's first codes are learned at no cost, and
               as they are generated: after silence.
    layout     activations are (channels, rows * places) within, so that each layer is two matrix products
               over all places and a copy that is shifted: 61,000 samples a second and core, forth and back,
               where dilated ``conv1d`` did 42,000 (AMD EPYC, the network that is shipped).
    bits       cross-entropy in bits a sample: nats / ln 2.
    fault      of ``FAULTS``: mistakes that were found in the wild, planted on request and caught by tests.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from models import files
from models.wavenet_parameters import Settings
from study.datasets.mu_law import SILENCE

KIND, VERSION = "wavenet", 1  # of the model file
FAULTS = {
    "": "none",
    "unshifted": "the target is the input, which the network sees: it learns to copy",
    "undilated": "every dilation is 1",
    "same": 'padding "same": each layer sees as far ahead as a causal one sees back',
    "off_by_one": "what is learned is the code + 1",
}


class Network(nn.Module):
    """The layers of ``models.wavenet_parameters``, all places of a row at once.

    Parameters
    ----------
    settings : Settings
    seed : int
        Of the initial weights: normal, variance 1 / inputs (LeCun et al. 1998), where the inputs of a sum
        are those of all its terms; near codes have near embeddings (``_waves``: after 530 steps on spoken
        digits 4.50 bits a sample, and 4.74 with independent ones and wider skips). Biases are 0, and so is
        the output, so that the first loss is that of guessing, 8 bits.
    fault : str
        Of ``FAULTS``; "", the default, is none.

    Raises
    ------
    ValueError
        For a fault that is not known.
    """

    def __init__(self, settings: Settings, *, seed: int, fault: str = "") -> None:
        super().__init__()
        if fault not in FAULTS:
            raise ValueError(f"fault is {fault!r}; there are {', '.join(filter(None, FAULTS))}, or none")
        self.settings, self.fault = settings, fault
        self.dilations = tuple(1 if fault == "undilated" else d for d in settings.dilations)
        generator = torch.Generator().manual_seed(seed)
        summed = {"now": 2, "then": 2, "skip": len(self.dilations)}  # products that are: inputs of one
        last = f"layers.{len(self.dilations) - 1}.residual"  # leads nowhere: 0, and not learned
        for name, shape in settings.shapes().items():
            value = torch.zeros(shape)
            if name == "embedding":
                value = _waves(*shape, generator)
            elif len(shape) == 2 and name != "output" and not name.endswith("label"):
                value.normal_(generator=generator).mul_(
                    (shape[1] * summed.get(name.split(".")[-1], 1)) ** -0.5
                )
            if name.startswith(last):
                parameter = nn.Parameter(torch.zeros(shape), requires_grad=False)
            else:
                parameter = nn.Parameter(value)
            self.register_parameter(name.replace(".", "_"), parameter)  # torch forbids dots

    def forward(self, codes: Tensor, *, labels: Tensor | None = None, wanted: Tensor | None = None) -> Tensor:
        """Logits of the next code, (n, codes): at ``wanted`` (n,) places of all rows end to end, or at all.

        ``codes`` is (rows, places); ``labels`` (rows,) int64, of a network with labels.
        ValueError for labels that are not there, or not asked for.
        """
        settings, p, gate = self.settings, self.parameters_by_name(), self.settings.gate
        if (labels is not None) != bool(settings.labels):
            raise ValueError(f"a network of {settings.labels} labels, and labels are {labels}")
        rows, places = codes.shape
        h = p["embedding"][codes].permute(2, 0, 1).reshape(settings.residual, -1)
        quiet = p["embedding"][settings.codes // 2][:, None].expand(-1, rows)
        gated = []
        for layer, dilation in enumerate(self.dilations):
            now, then, bias = (p[f"layers.{layer}.{name}"] for name in ("now", "then", "bias"))
            bias = bias[:, None]
            of_row = p[f"layers.{layer}.label"][labels].T if labels is not None else 0  # (2 gate, rows)
            past = _shifted(h.view(-1, rows, places), quiet, dilation, ahead=self.fault == "same")
            y = torch.addmm(torch.addmm(bias, now, h), then, past.reshape(settings.residual, -1))
            if labels is not None:
                y = (y.view(-1, rows, places) + of_row[:, :, None]).view(2 * gate, -1)
            z = torch.tanh(y[:gate]) * torch.sigmoid(y[gate:])
            gated.append(z if wanted is None else z[:, wanted])
            residual, shift = p[f"layers.{layer}.residual"], p[f"layers.{layer}.residual_bias"][:, None]
            if layer < len(self.dilations) - 1:
                h = h + torch.addmm(shift, residual, z)
                y = (now + then) @ quiet + bias + of_row
                quiet = quiet + residual @ (torch.tanh(y[:gate]) * torch.sigmoid(y[gate:])) + shift
        layers = range(len(self.dilations))
        skip = torch.cat([p[f"layers.{layer}.skip"] for layer in layers], dim=1)  # their sum in one product
        shift = sum(p[f"layers.{layer}.skip_bias"] for layer in layers)[:, None]
        skips = torch.relu(torch.addmm(shift, skip, torch.cat(gated)))
        hidden = torch.relu(torch.addmm(p["head_bias"][:, None], p["head"], skips))
        return torch.addmm(p["output_bias"][:, None], p["output"], hidden).T

    def parameters_by_name(self) -> dict[str, Tensor]:
        """The parameters under the names of ``Settings.shapes``."""
        return {name: getattr(self, name.replace(".", "_")) for name in self.settings.shapes()}


def _waves(codes: int, channels: int, generator: torch.Generator) -> Tensor:
    """An embedding in which near codes are near, (codes, channels): random Fourier features of the curve.

    Rahimi and Recht 2007. Frequencies are those of a kernel that is as wide as a quarter of the curve.
    """
    curve = torch.linspace(-1, 1, codes)[:, None]
    frequency = 4 * torch.randn(channels, generator=generator)
    phase = 2 * math.pi * torch.rand(channels, generator=generator)
    return 2**0.5 * torch.cos(frequency * curve + phase)


def _shifted(h: Tensor, quiet: Tensor, dilation: int, *, ahead: bool) -> Tensor:
    """h at t - dilation, (residual, rows, places): before a row it is silence, ``quiet`` (residual, rows)."""
    dilation = min(dilation, h.shape[2])
    silence = quiet[:, :, None].expand(-1, -1, dilation)
    if ahead:  # the fault
        return torch.cat([h[:, :, dilation:], silence], dim=2)
    return torch.cat([silence, h[:, :, : h.shape[2] - dilation]], dim=2)


def nats(
    network: nn.Module, codes: Tensor, wanted: Tensor, *, labels: Tensor | None = None, fault: str = ""
) -> Tensor:
    """Sum over the wanted places of -log p(code | codes before it), a scalar.

    Parameters
    ----------
    network : module
        ``Network``, or what wraps one.
    codes : (rows, places) int64
        Each row after silence. What is right of a row's end may be any code: nothing wanted sees it.
    wanted : (rows, places) bool
        Which codes are to be predicted.
    labels : (rows,) int64, optional
    fault : str
        Of ``FAULTS``.
    """
    inputs = codes if fault == "unshifted" else _before(codes)
    where = wanted.flatten().nonzero()[:, 0]
    targets = codes.flatten()[where] + (fault == "off_by_one")
    logits = network(inputs, labels=labels, wanted=where)
    return functional.cross_entropy(logits, targets % logits.shape[1], reduction="sum")


@torch.no_grad()
def predict(network: Network, codes: Tensor, *, labels: Tensor | None = None) -> Tensor:
    """Logits of each code given those before it, and silence before them: (rows, places, codes).

    Logits at t do not depend on ``codes[:, t:]``.
    """
    return network(_before(codes), labels=labels).view(*codes.shape, -1)


def _before(codes: Tensor) -> Tensor:
    """The input at each place: the code before it, silence at a row's beginning."""
    return torch.cat([torch.full_like(codes[:, :1], SILENCE), codes[:, :-1]], dim=1)


def bits(nats_of_all: float, count: int) -> float:
    """Nats of ``count`` samples in bits a sample."""
    return nats_of_all / count / math.log(2)


def save(path: Path | str, network: Network, facts: Mapping) -> None:
    """Write a model file: every parameter by its name, and settings and ``facts`` as JSON.

    ``facts`` hold ``rate`` in Hz, ``labels`` (names), and whatever is to be known. Whole or not at all.
    """
    arrays = {name: value.detach() for name, value in network.parameters_by_name().items()}
    header = {"settings": vars(network.settings), **facts}
    files.write(path, arrays, header, kind=KIND, version=VERSION)


def load(path: Path | str) -> tuple[Network, dict]:
    """Network and facts of a model file.

    ValueError, naming it, for what is no model file, or one whose parameters are not those of its settings.
    """
    facts, arrays = files.read(path, kind=KIND, version=VERSION)
    try:
        settings = Settings(**facts.pop("settings"))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: no settings of a WaveNet ({error})") from None
    network = Network(settings, seed=0)
    found = {name: tuple(value.shape) for name, value in arrays.items()}
    if wrong := {
        name for name in found | settings.shapes() if found.get(name) != settings.shapes().get(name)
    }:
        raise ValueError(
            f"{path}: {', '.join(sorted(wrong))} are not those of its settings, {settings}; likely edited"
        )
    with torch.no_grad():
        for name, value in network.parameters_by_name().items():
            value.copy_(arrays[name])
    return network, facts
