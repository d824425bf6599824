"""Networks: their weight files are read, the network is built here."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

import metrics
from study.embeddings.base import Describe, Embedding, MissingNetwork, _resampled
from study.embeddings.inputs import (
    aisfx_input,
    cdpam_input,
    cut,
    musicnn_input,
    openwakeword_input,
    panns_input,
    resemblyzer_input,
    vggish_input,
    waveform_blocks,
)
from study.embeddings.tensorflow import read_tensorflow

TORCH = "pip install torch"
CDPAM_SHA256 = "453c8b6edee1a94f0120236156436ff28fe4d8d884485e4a67695c8e8570bdfe"


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


def _read_torch(path: Path, *, sha256: str | None = None):
    """A torch checkpoint, read without running code from it; numpy numbers, which some hold, are let through.

    Given ``sha256``, the file is of a kind that can only be read by running what it says: it has to be
    that very file, else ValueError.
    """
    import torch

    if sha256 is not None:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != sha256:
            raise ValueError(
                f"{path} has SHA-256 {found}, and {sha256} is expected; likely another version of the package"
            )
        return torch.load(path, map_location="cpu", weights_only=False)
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


def _cdpam(path: Path) -> Describe:
    """The "acoustics" half of the encoder's output, of length 1, which the authors' distance compares."""
    from torch import nn

    network, width, before = nn.ModuleDict({"encoder": nn.ModuleList(), "ebatch": nn.ModuleList()}), 64, 1
    for i in range(1, 17):
        width *= 2 if i % 4 == 0 else 1
        network["encoder"].append(nn.Conv1d(before, width, 15, padding=7))
        network["ebatch"].append(nn.BatchNorm1d(width))
        before = width
    network.eval().load_state_dict(
        _with_prefix(_read_torch(path, sha256=CDPAM_SHA256)["state"], "base_encoder.")
    )

    def encode(signals):
        x = signals[:, None]
        for i, (convolve, normalise) in enumerate(
            zip(network["encoder"], network["ebatch"], strict=True), start=1
        ):
            x = nn.functional.leaky_relu(normalise(convolve(x)), 0.1)
            if i % 4 == 0:
                x = x[:, :, ::2]
        return nn.functional.normalize(x.mean(dim=2)[:, :512], dim=1)

    return _torch_describe(encode, cdpam_input, metrics.RATE, at_once=1)


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


def _openwakeword(mel_path: Path, embedding_path: Path) -> Describe:
    """Google's speech embedding: a row for each 0.78 s, every 80 ms."""
    import onnxruntime

    mel = onnxruntime.InferenceSession(mel_path, providers=["CPUExecutionProvider"])
    network = onnxruntime.InferenceSession(embedding_path, providers=["CPUExecutionProvider"])

    def describe(signal: np.ndarray, rate: int) -> np.ndarray:
        steps = openwakeword_input(_resampled(signal, rate, 16_000))
        bands = mel.run(None, {"input": steps})[0].reshape(-1, 32) / 10 + 2
        blocks = cut(bands, 76, hop=8)[..., None]
        parts = [blocks[i : i + 64] for i in range(0, len(blocks), 64)]
        return np.concatenate([network.run(None, {"input_1": part})[0].reshape(-1, 96) for part in parts])

    return describe


def _musicnn(index: Path, data: Path) -> Describe:
    """The penultimate layer of MTT_musicnn (200 numbers), which the tags are read from."""
    layers = _musicnn_layers(read_tensorflow(index, data))
    return _torch_describe(lambda spectrograms: layers(spectrograms)[0], musicnn_input, 16_000, at_once=4)


def _musicnn_layers(weights: dict[str, np.ndarray]):
    """(blocks, frames, 96) -> (penultimate layer, logits of the 50 tags of MagnaTagATune)."""
    import torch
    from torch.nn import functional

    weights = {key: torch.from_numpy(value) for key, value in weights.items()}

    def numbered(name: str, number: int, part: str):
        return weights[f"{name}_{number}/{part}" if number else f"{name}/{part}"]

    def normalise(x, number: int):
        parts = [
            numbered("batch_normalization", number, part)
            for part in ("moving_mean", "moving_variance", "gamma", "beta")
        ]
        return functional.batch_norm(x, *parts, eps=1e-3)  # TensorFlow's default

    def convolve(x, number: int):
        kernel = numbered("conv2d", number, "kernel").permute(3, 2, 0, 1)
        before = (kernel.shape[2] - 1) // 2
        x = functional.pad(x, (0, 0, before, kernel.shape[2] - 1 - before))  # as "same" pads along time
        x = functional.conv2d(x, kernel, numbered("conv2d", number, "bias")).relu()
        return normalise(x, number + 1).amax(dim=3)

    def layers(spectrograms):
        x = normalise(spectrograms[:, None], 0)
        front = torch.cat([convolve(x, number) for number in range(5)], dim=1)
        parts = [front, convolve(front.mT[:, None], 5)]
        for number in (6, 7):
            parts.append(convolve(parts[-1].mT[:, None], number) + parts[-1])
        x = torch.cat(parts, dim=1)
        x = normalise(torch.stack([x.amax(dim=2), x.mean(dim=2)], dim=2).flatten(1), 9)
        x = normalise((x @ weights["dense/kernel"] + weights["dense/bias"]).relu(), 10)
        return x, x @ weights["dense_1/kernel"] + weights["dense_1/bias"]

    return layers


def _torch_checkpoint(file: str) -> Callable[[], tuple[Path, ...]]:
    """Where ``torch.hub`` keeps a downloaded file."""

    def paths() -> tuple[Path, ...]:
        cache_folder = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return (Path(os.environ.get("TORCH_HOME") or Path(cache_folder, "torch"), "hub/checkpoints", file),)

    return paths


def _hub_snapshot(repository: str) -> Callable[[], tuple[Path, ...]]:
    """Files of a model in the cache of the Hugging Face hub: configuration, preprocessing, weights."""

    def paths() -> tuple[Path, ...]:
        cache_folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        home = Path(os.environ.get("HF_HOME") or cache_folder / "huggingface")
        folder = Path(
            os.environ.get("HF_HUB_CACHE") or home / "hub", f"models--{repository.replace('/', '--')}"
        )
        reference = folder / "refs" / "main"
        snapshot = folder / "snapshots" / (reference.read_text().strip() if reference.exists() else "main")
        weights = snapshot / "pytorch_model.bin"
        if not weights.exists():
            weights = snapshot / "model.safetensors"
        return snapshot / "config.json", snapshot / "preprocessor_config.json", weights

    return paths


def _vggish(path: Path) -> Describe:
    """The 128 numbers before the last ReLU, without the authors' PCA and quantisation."""
    from torch import nn

    layers: list[nn.Module] = []
    for before, after, pooled in (
        *((1, 64, True), (64, 128, True), (128, 256, False)),
        *((256, 256, True), (256, 512, False), (512, 512, True)),
    ):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()] + [nn.MaxPool2d(2)] * pooled
    dense = [nn.Linear(12_288, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 128)]
    network = nn.ModuleDict({"features": nn.Sequential(*layers), "embeddings": nn.Sequential(*dense)})
    network.load_state_dict(_read_torch(path))

    def encode(spectrograms):
        maps = network["features"](spectrograms[:, None])
        return network["embeddings"](maps.permute(0, 2, 3, 1).flatten(1))  # channels last, as TensorFlow

    return _torch_describe(encode, vggish_input, 16_000)


def _panns(path: Path) -> Describe:
    """CNN14's 2048 numbers before the classes."""
    import torch
    from torch import nn

    network = nn.ModuleDict({"bn0": nn.BatchNorm2d(64), "fc1": nn.Linear(2048, 2048)})
    network.update(dict(_double_convolutions((64, 128, 256, 512, 1024, 2048)).named_children()))
    state = _read_torch(path)["model"]
    network.load_state_dict({key: state[key] for key in network.state_dict()})
    network.eval()

    def encode(spectrograms):
        x = network["bn0"](spectrograms.mT[..., None]).transpose(1, 3)  # normalised per band
        for i in range(1, 7):
            x = network[f"conv_block{i}"](x)
            if i < 6:
                x = nn.functional.avg_pool2d(x, 2)
        x = x.mean(dim=3)
        return torch.relu(network["fc1"](x.amax(dim=2) + x.mean(dim=2)))

    return _torch_describe(encode, panns_input, 32_000, at_once=4)


def _transformers(rows: Callable, *, rate: int, seconds: float) -> Callable[..., Describe]:
    """A model of the Hugging Face hub; ``rows(model, inputs)`` gives (rows, dimension) of a block."""

    def build(configuration: Path, *_: Path) -> Describe:
        import torch
        from transformers import AutoFeatureExtractor, AutoModel

        extract = AutoFeatureExtractor.from_pretrained(configuration.parent, local_files_only=True)
        model = AutoModel.from_pretrained(configuration.parent, local_files_only=True).eval()

        def describe(signal: np.ndarray, signal_rate: int) -> np.ndarray:
            blocks = waveform_blocks(_resampled(signal, signal_rate, rate), rate, seconds)
            with torch.inference_mode():
                inputs = [extract(block, sampling_rate=rate, return_tensors="pt") for block in blocks]
                return np.concatenate([rows(model, each).numpy() for each in inputs])

        return describe

    return build


def _clap_rows(model, inputs):
    features = model.get_audio_features(**inputs)
    return features if hasattr(features, "numpy") else features.pooler_output  # from transformers 5 on


def _encodec_rows(model, inputs):
    return model.encoder(inputs["input_values"])[0].T


def _hidden_rows(model, inputs):
    return model(**inputs).last_hidden_state[0]
