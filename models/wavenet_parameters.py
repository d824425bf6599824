"""Sizes and parameters of a WaveNet, and what it computes, in plain numpy: no PyTorch, nothing compiled.

Conventions
    network    van den Oord et al. 2016 (arXiv:1609.03499), causal convolutions of two taps:
                   h = embedding[code]
                   y = now h[t] + then h[t - dilation] + bias (+ the label's row), at each layer
                   z = tanh(y[:gate]) sigmoid(y[gate:]);  skips += skip z + bias;  h += residual z + bias
                   logits of the NEXT code = output relu(head relu(skips) + bias) + bias
    parameter  an array by name: ``embedding``, ``layers.3.now``, ``head_bias`` ... (``Settings.shapes``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Settings:
    """Sizes of a network: ``blocks`` times ``layers`` layers with dilations 1, 2, 4, ... 2^(layers - 1).

    The defaults are the network that is shipped. ``labels`` is the number of labels it is conditioned on, or
    0. ValueError for sizes that no network has.
    """

    residual: int = 24
    gate: int = 24
    skip: int = 96
    head: int = 128
    layers: int = 10
    blocks: int = 2
    codes: int = 256
    labels: int = 0

    def __post_init__(self):
        for name, value in asdict(self).items():
            least, most = {"codes": (2, 256), "labels": (0, math.inf)}.get(name, (1, math.inf))
            if not (isinstance(value, int) and least <= value <= most):
                upper = f" to {most}" if most < math.inf else " or more"
                raise ValueError(f"settings: {name} is {value!r}; a whole number, {least}{upper}")

    @property
    def dilations(self) -> tuple[int, ...]:
        return tuple(2**layer for layer in range(self.layers)) * self.blocks

    @property
    def receptive_field(self) -> int:
        """Codes that an output depends on: 1 + blocks (2^layers - 1)."""
        return 1 + sum(self.dilations)

    @property
    def multiply_adds(self) -> int:
        """A sample: the sizes of all matrices, of the last layer's residual too, without the embedding."""
        layer = self.gate * (4 * self.residual + self.residual + self.skip)
        return len(self.dilations) * layer + self.skip * self.head + self.head * self.codes

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of the parameters, by name; matrices are (outputs, inputs), the embedding (codes, residual)."""
        layer = {
            "now": (2 * self.gate, self.residual),
            "then": (2 * self.gate, self.residual),
            "bias": (2 * self.gate,),
            "residual": (self.residual, self.gate),
            "residual_bias": (self.residual,),
            "skip": (self.skip, self.gate),
            "skip_bias": (self.skip,),
        } | ({"label": (self.labels, 2 * self.gate)} if self.labels else {})
        places = range(len(self.dilations))
        return {
            "embedding": (self.codes, self.residual),
            **{f"layers.{place}.{name}": shape for place in places for name, shape in layer.items()},
            "head": (self.head, self.skip),
            "head_bias": (self.head,),
            "output": (self.codes, self.head),
            "output_bias": (self.codes,),
        }


def checked(parameters: Mapping[str, np.ndarray], settings: Settings) -> dict[str, np.ndarray]:
    """float32 arrays of all names, the last residual filled with 0 where it is missing.

    ValueError for a parameter that is missing, of another shape, not finite, or not of the settings.
    """
    shapes = settings.shapes()
    final = [f"layers.{len(settings.dilations) - 1}.{name}" for name in ("residual", "residual_bias")]
    missing = [name for name in shapes if name not in parameters and name not in final]
    unknown = [name for name in parameters if name not in shapes]
    if missing or unknown:
        lists = [f"{word} {', '.join(names)}" for word, names in (("missing", missing), ("unknown", unknown))]
        told = "; ".join(words for words, names in zip(lists, (missing, unknown), strict=True) if names)
        raise ValueError(f"parameters of another network than the settings'? {told}")
    arrays = {}
    for name, shape in shapes.items():
        array = np.asarray(parameters.get(name, np.zeros(shape)), np.float32, order="C")
        if array.shape != shape:
            raise ValueError(f"parameter {name} is {array.shape}; by the settings it is {shape}")
        if not np.isfinite(array).all():
            raise ValueError(f"parameter {name} is not finite; was the training?")
        arrays[name] = array
    return arrays


def recompute(
    parameters: Mapping[str, np.ndarray],
    settings: Settings,
    window: np.ndarray,
    *,
    label: int = -1,
    dtype: type = np.float64,
) -> np.ndarray:
    """log p of the code after a window, (codes,), by all layers at all places: the definition.

    ``window`` (n,) holds at least R codes; ``label`` is a number, -1 for none. Skips are taken at the last
    place only, where alone they matter.
    """
    p = {name: np.asarray(value, dtype) for name, value in parameters.items()}
    h, skips = p["embedding"][window], np.zeros(settings.skip, dtype)
    for place, dilation in enumerate(settings.dilations):
        name = f"layers.{place}."
        y = h[dilation:] @ p[name + "now"].T + h[:-dilation] @ p[name + "then"].T + p[name + "bias"]
        if label >= 0:
            y += p[name + "label"][label]
        z = np.tanh(y[:, : settings.gate]) / (1 + np.exp(-y[:, settings.gate :]))
        skips += p[name + "skip"] @ z[-1] + p[name + "skip_bias"]
        if place < len(settings.dilations) - 1:
            h = h[dilation:] + z @ p[name + "residual"].T + p[name + "residual_bias"]
    hidden = np.maximum(p["head"] @ np.maximum(skips, 0) + p["head_bias"], 0)
    return log_softmax(p["output"] @ hidden + p["output_bias"])


def checked_codes(codes: ArrayLike, settings: Settings, name: str) -> np.ndarray:
    """(n,) int64. ValueError, which calls them ``name``, for what are no codes of the network."""
    codes = np.asarray(codes)
    if codes.ndim != 1 or not len(codes) or codes.dtype.kind not in "iu":
        raise ValueError(f"{name}: (n,) whole numbers, not {codes.shape} {codes.dtype}")
    if codes.min() < 0 or codes.max() >= settings.codes:
        raise ValueError(f"{name}: codes from {codes.min()} to {codes.max()}; 0 to {settings.codes - 1}")
    return codes.astype(np.int64)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Along the last axis, in the type given."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
