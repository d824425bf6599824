"""Networks: weight files are read, the network is built here, and no package of theirs is imported.

Conventions
    blocks      what a network reads, (blocks, ...) float32, as ``inputs`` makes them.
    rows        what it gives for them, (blocks, dimension) float32.
    weights     read as data: a file of weights runs no code of its own.

PyTorch is imported where a network is loaded, never with this module.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

import metrics
from audio_distance.features import resample
from study.embeddings.base import Describe, Embedding, MissingNetwork
from study.embeddings.inputs import aisfx_input, cut, resemblyzer_input

TORCH = "pip install torch"
BLOCKS_AT_ONCE = 16  # bounds the memory of a long recording
AISFX_WIDTHS = (64, 128, 256, 512)  # channels of its four blocks
LEAST_PEAK = 1e-9  # a signal that resampling has emptied is not divided by nothing


def aisfx(path: Path) -> Describe:
    """Return the description by aisfx: 512 numbers for each 2.3 s at 44.1 kHz.

    A convolutional network trained on sound effects (Ma and Lerch 2022). ``path`` is its checkpoint.
    """
    import torch

    blocks = _double_convolutions(AISFX_WIDTHS).eval()
    blocks.load_state_dict(_with_prefix(_read_torch(path)[0], "embedding_net."))

    def network(spectrograms):
        x = spectrograms[:, None]  # one channel
        for i, block in enumerate(blocks, 1):
            x = block(x)
            if i < len(blocks):
                x = torch.nn.functional.max_pool2d(x, 2)
        return x.mean(dim=3).amax(dim=2)  # mean over bands, then maximum over time

    return _by_block(network, aisfx_input, 44_100)


def resemblyzer(path: Path) -> Describe:
    """Return the description by resemblyzer: 256 numbers for each 1.6 s at 16 kHz, of length 1.

    d-vectors (Wan et al. 2018, arXiv:1710.10467): the last state of three LSTM layers, projected. ``path``
    is its checkpoint.
    """
    import torch
    from torch import nn

    network = nn.ModuleDict(
        {"lstm": nn.LSTM(40, 256, num_layers=3, batch_first=True), "linear": nn.Linear(256, 256)}
    )
    state = _read_torch(path)["model_state"]
    # "similarity" scales the loss of the training, and is no part of the network.
    network.load_state_dict({key: value for key, value in state.items() if not key.startswith("similarity")})

    def encode(spectrograms):
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # 480 small products in a row: threads would mostly wait for each other
        try:
            hidden = network["lstm"](spectrograms)[1][0][-1]
        finally:
            torch.set_num_threads(threads)
        return nn.functional.normalize(network["linear"](hidden).relu(), dim=1)

    return _by_block(encode, resemblyzer_input, 16_000)


def exported(path: Path) -> Embedding:
    """Return the embedding that a file of ``torch.export`` holds, as ``python -m models export`` writes it.

    A program (1, window) -> (1, dimension), and the entry embedding.json: ``rate`` in Hz, ``window`` in
    samples, ``dimension``, ``trim``, ``level``, ``facts``. The signal is cut where it is quieter than
    ``trim`` of its peak at both ends, brought to ``level`` peak, and read in windows that overlap by half.

    Raises MissingNetwork where the file or PyTorch is not there, ValueError for a file that is no such
    program.
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
        # Trimmed before resampling, whose ringing would move the ends.
        loud = np.flatnonzero(np.abs(signal) > about["trim"] * np.abs(signal).max())
        signal = resample(signal[loud[0] : loud[-1] + 1], signal_rate, rate)
        signal = signal * np.float32(about["level"] / max(float(np.abs(signal).max()), LEAST_PEAK))
        if len(signal) < window:
            before = (window - len(signal)) // 2  # in the middle, as in training
            signal = np.pad(signal, (before, window - len(signal) - before))
        blocks = torch.from_numpy(cut(signal.astype(np.float32), window, hop=window // 2))
        with torch.inference_mode():
            return np.concatenate([program(block[None]).numpy() for block in blocks])

    source = f"trained on {about.get('facts', {}).get('data', 'unknown data')}, {path.name}"
    return Embedding(path.stem, rate, dimension, describe, "that of its training data", source)


def in_package(package: str, file: str) -> Path:
    """Return the path of a file inside an installed package, which is not imported."""
    return Path(importlib.util.find_spec(package).submodule_search_locations[0], file)


def _by_block(network: Callable, blocks_of: Callable[[np.ndarray], np.ndarray], rate: int) -> Describe:
    """Describe by a torch function of blocks -> rows; ``blocks_of`` makes blocks of a signal at ``rate``.

    The signal is prepared as for every embedding: untrimmed silence once moved a network by more than a mid
    distortion, and was held against it.
    """
    import torch

    def describe(signal: np.ndarray, signal_rate: int) -> np.ndarray:
        prepared, _ = metrics.prepare(signal, signal_rate)
        blocks = np.ascontiguousarray(blocks_of(resample(prepared, metrics.RATE, rate)), np.float32)
        with torch.inference_mode():
            parts = torch.from_numpy(blocks).split(BLOCKS_AT_ONCE)
            return np.concatenate([network(part).numpy() for part in parts])

    return describe


def _double_convolutions(widths: tuple[int, ...]):
    """Pairs of 3 x 3 convolution, batch norm and ReLU, named as in the weight file of aisfx."""
    from torch import nn

    blocks = nn.Sequential()
    for i, (before, after) in enumerate(zip((1, *widths), widths, strict=False), 1):
        block = nn.Sequential()
        for j, width in ((1, before), (2, after)):
            # Without bias: the normalisation has one.
            block.add_module(f"conv{j}", nn.Conv2d(width, after, 3, padding=1, bias=False))
            block.add_module(f"bn{j}", nn.BatchNorm2d(after))
            block.add_module(f"relu{j}", nn.ReLU())
        blocks.add_module(f"conv_block{i}", block)
    return blocks


def _with_prefix(state: dict, prefix: str) -> dict:
    """The entries of a state whose names begin so, without the prefix: of one part of a network."""
    return {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}


def _read_torch(path: Path):
    """A torch checkpoint, read without running code from it; numpy numbers (as of aisfx) may be in it."""
    import torch

    # Checkpoints of older numpy name these by another path than numpy does today.
    scalar, array = np.int64(0).__reduce__()[0], np.zeros(0).__reduce__()[0]
    allowed = [(scalar, "numpy.core.multiarray.scalar"), (array, "numpy.core.multiarray._reconstruct")]
    allowed += [scalar, array, np.ndarray, np.dtype, *(type(np.dtype(kind)) for kind in ("i8", "f8", "f4"))]
    with torch.serialization.safe_globals(allowed):
        return torch.load(path, map_location="cpu", weights_only=True)
