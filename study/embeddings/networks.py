"""Networks: their weight files are read, the network is built here."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from study.embeddings.base import Describe, Embedding, MissingNetwork, _resampled
from study.embeddings.inputs import aisfx_input, cut, resemblyzer_input

TORCH = "pip install torch"


def _in_package(package: str, *files: str) -> Callable[[], tuple[Path, ...]]:
    """Paths of files inside an installed package, which is not imported."""

    def paths() -> tuple[Path, ...]:
        folder = Path(importlib.util.find_spec(package).submodule_search_locations[0])
        return tuple(folder / file for file in files)

    return paths


def _torch_describe(network, prepare: Callable[[np.ndarray], np.ndarray], rate: int, at_once: int = 16):
    """Describe with a torch function of (blocks, ...) -> (rows, dimension), some blocks at a time."""
    import torch

    def describe(signal: np.ndarray, signal_rate: int) -> np.ndarray:
        blocks = torch.from_numpy(
            np.ascontiguousarray(prepare(_resampled(signal, signal_rate, rate)), np.float32)
        )
        with torch.inference_mode():
            return np.concatenate([network(part).numpy() for part in blocks.split(at_once)])

    return describe


def _exported(path: Path) -> Embedding:
    """A program of ``torch.export``, (1, window) -> (1, dimension), and its entry embedding.json.

    The signal is cut where it is quieter than ``trim`` of its peak at both ends, brought to ``level`` peak,
    and read in windows that overlap by half.
    """
    if not path.exists():
        raise MissingNetwork(f"{path}: not found. Make it with: python -m models export MODEL --out {path}")
    try:
        import torch
    except ImportError:
        raise MissingNetwork(f"{path}: needs PyTorch. Install with: {TORCH}") from None

    entry = {"embedding.json": ""}
    try:
        program = torch.export.load(path, extra_files=entry).module()
        about = json.loads(entry["embedding.json"])
        rate, window, dimension = (int(about[key]) for key in ("rate", "window", "dimension"))
    except Exception as error:  # zip, flatbuffer and JSON errors of several libraries
        raise ValueError(f"{path}: no exported embedding ({type(error).__name__}: {error})") from None

    def describe(signal: np.ndarray, signal_rate: int) -> np.ndarray:
        loud = np.flatnonzero(np.abs(signal) > about["trim"] * np.abs(signal).max())
        signal = _resampled(signal[loud[0] : loud[-1] + 1], signal_rate, rate)
        signal = signal * np.float32(about["level"] / max(float(np.abs(signal).max()), 1e-9))
        if len(signal) < window:
            before = (window - len(signal)) // 2
            signal = np.pad(signal, (before, window - len(signal) - before))
        blocks = torch.from_numpy(cut(signal.astype(np.float32), window, hop=window // 2))
        with torch.inference_mode():
            return np.concatenate([program(block[None]).numpy() for block in blocks])

    source = f"trained on {about.get('facts', {}).get('data', 'unknown data')}, {path.name}"
    return Embedding(path.stem, rate, dimension, describe, "that of its training data", source)


def _double_convolutions(widths: tuple[int, ...]):
    """Pairs of 3 x 3 convolution, batch norm and ReLU, the blocks of PANNs (arXiv:1912.10211) and aisfx."""
    from torch import nn

    blocks = nn.Sequential()
    for i, (before, after) in enumerate(zip((1, *widths), widths, strict=False), 1):
        block = nn.Sequential()
        for j, width in ((1, before), (2, after)):
            block.add_module(f"conv{j}", nn.Conv2d(width, after, 3, padding=1, bias=False))
            block.add_module(f"bn{j}", nn.BatchNorm2d(after))
            block.add_module(f"relu{j}", nn.ReLU())
        blocks.add_module(f"conv_block{i}", block)
    return blocks


def _with_prefix(state: dict, prefix: str) -> dict:
    return {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}


def _read_torch(path: Path):
    """A torch checkpoint, read without running code from it; numpy numbers (as of aisfx) may be in it."""
    import torch

    scalar, array = np.int64(0).__reduce__()[0], np.zeros(0).__reduce__()[0]
    allowed = [(scalar, "numpy.core.multiarray.scalar"), (array, "numpy.core.multiarray._reconstruct")]
    allowed += [scalar, array, np.ndarray, np.dtype, *(type(np.dtype(kind)) for kind in ("i8", "f8", "f4"))]
    with torch.serialization.safe_globals(allowed):
        return torch.load(path, map_location="cpu", weights_only=True)


def _aisfx(path: Path) -> Describe:
    import torch

    blocks = _double_convolutions((64, 128, 256, 512)).eval()
    blocks.load_state_dict(_with_prefix(_read_torch(path)[0], "embedding_net."))

    def network(spectrograms):
        x = spectrograms[:, None]
        for i, block in enumerate(blocks, 1):
            x = block(x)
            if i < 4:
                x = torch.nn.functional.max_pool2d(x, 2)
        return x.mean(dim=3).amax(dim=2)

    return _torch_describe(network, aisfx_input, 44_100)


def _resemblyzer(path: Path) -> Describe:
    """d-vectors (Wan et al. 2018, arXiv:1710.10467): last state of three LSTM layers, projected, length 1."""
    import torch
    from torch import nn

    network = nn.ModuleDict(
        {"lstm": nn.LSTM(40, 256, num_layers=3, batch_first=True), "linear": nn.Linear(256, 256)}
    )
    state = _read_torch(path)["model_state"]
    network.load_state_dict({key: value for key, value in state.items() if not key.startswith("similarity")})

    def encode(spectrograms):
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # 480 small products in a row: threads would mostly wait for each other
        try:
            hidden = network["lstm"](spectrograms)[1][0][-1]
        finally:
            torch.set_num_threads(threads)
        return nn.functional.normalize(network["linear"](hidden).relu(), dim=1)

    return _torch_describe(encode, resemblyzer_input, 16_000)
