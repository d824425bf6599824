"""Which embeddings there are, by name; which are on this machine; loading them."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import metrics
from study.embeddings.base import Describe, Embedding, MissingNetwork
from study.embeddings.handcrafted import (
    N_FFT,
    SEQUENCE_COEFFICIENTS,
    SEQUENCE_FRAMES,
    _by_window,
    _log_bands,
    _mean_and_sd,
    _mean_spectrum,
    _mfcc,
    _mfcc_sequence,
    _view,
    _waveform,
)
from study.embeddings.networks import (
    TORCH,
    _aisfx,
    _cdpam,
    _clap_rows,
    _encodec_rows,
    _exported,
    _hidden_rows,
    _hub_snapshot,
    _in_package,
    _musicnn,
    _openwakeword,
    _panns,
    _resemblyzer,
    _torch_checkpoint,
    _transformers,
    _vggish,
)

WHEELS = "pip install --no-deps -r requirements-networks.txt"
EXPORTED = ".pt2"  # of torch.export


@dataclass(frozen=True)
class _Known:
    """What is known of a named embedding before anything is loaded.

    ``packages`` are top-level modules that must be found, ``weights`` gives the paths that must exist,
    ``install`` the command that brings both; ``build`` gets these paths and returns ``describe``.
    """

    rate: int
    dimension: int
    build: Callable[..., Describe]
    licence: str
    source: str
    packages: tuple[str, ...] = ()
    weights: Callable[[], tuple[Path, ...]] = tuple
    install: str = ""

    def missing(self) -> list[str]:
        absent = [f"package {name}" for name in self.packages if importlib.util.find_spec(name) is None]
        return absent or [f"weights {path}" for path in self.weights() if not path.exists()]


@cache
def load(name: str) -> Embedding:
    """The embedding of this name or ``.pt2`` file, weights in memory; the same object each time.

    Raises ``ValueError`` for a name not in ``NAMES`` and for a file that is no such program, and
    ``MissingNetwork`` with the command to run if its package or its weights are not on this machine. Never
    downloads.
    """
    if name.endswith(EXPORTED):
        return _exported(Path(name))
    if name not in _KNOWN:
        raise ValueError(f"unknown embedding {name!r}; known are {', '.join(NAMES)}, and files *{EXPORTED}")
    known = _KNOWN[name]
    if absent := known.missing():
        raise MissingNetwork(f"{name}: {', '.join(absent)} not found. Install with: {known.install}")
    describe = known.build(*known.weights())
    return Embedding(name, known.rate, known.dimension, describe, known.licence, known.source)


def contents(names: Sequence[str]) -> str:
    """SHA-256 of each exported file among ``names``: what these are is not fixed by this code."""
    files = [Path(name) for name in names if name.endswith(EXPORTED)]
    return "".join(hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file.exists())


def facts(name: str) -> dict[str, object]:
    """Rate (Hz), dimension, the command that brings it, source and licence; loads nothing.

    ``ValueError`` for a name not in ``NAMES``.
    """
    if name not in _KNOWN:
        raise ValueError(f"unknown embedding {name!r}; known are {', '.join(NAMES)}")
    known = _KNOWN[name]
    return {
        "rate": known.rate,
        "dimension": known.dimension,
        "needs": known.install or "nothing",
        "source": known.source,
        "licence of the weights": known.licence or "none needed",
    }


def installed() -> tuple[str, ...]:
    """Names that ``load`` would load, found by looking for files; imports nothing."""
    return tuple(name for name in NAMES if not _KNOWN[name].missing())


def _handcrafted(
    dimension: int, build, *, rate: int = metrics.RATE, source: str = "common practice"
) -> _Known:
    return _Known(rate, dimension, build, "none needed: computed by this repository", source)


def _wheel(package: str, files: tuple[str, ...], rate: int, dimension: int, build, licence, source) -> _Known:
    engine = "onnxruntime" if package == "openwakeword" else "torch"
    install = f"{WHEELS} && pip install {engine}"
    packages = (engine, package)
    return _Known(rate, dimension, build, licence, source, packages, _in_package(package, *files), install)


def _download(url: str, file: str, rate: int, dimension: int, build, source: str) -> _Known:
    fetch = f"import torch; torch.hub.load_state_dict_from_url('{url}', file_name='{file}')"
    install = f'{TORCH} && python -c "{fetch}"'
    return _Known(rate, dimension, build, NOT_CHECKED, source, ("torch",), _torch_checkpoint(file), install)


def _hub(repository: str, rate: int, dimension: int, rows, seconds: float, source: str) -> _Known:
    install = f"{TORCH} transformers && hf download {repository}"
    build = _transformers(rows, rate=rate, seconds=seconds)
    packages = ("torch", "transformers")
    return _Known(rate, dimension, build, NOT_CHECKED, source, packages, _hub_snapshot(repository), install)


NOT_CHECKED = "not checked by this repository: see the page the weights come from"
_OWN = "metrics.py of this repository"
_KNOWN: dict[str, _Known] = {
    "three_views": _handcrafted(1032, _by_window(_view(None)), source=_OWN),
    "envelope": _handcrafted(480, _by_window(_view("envelope")), source=_OWN),
    "attack": _handcrafted(120, _by_window(_view("attack")), source=_OWN),
    "fine_structure": _handcrafted(432, _by_window(_view("fine structure")), source=_OWN),
    "log_mel": _handcrafted(160, _by_window(lambda window: _mean_and_sd(_log_bands(window, 80)))),
    "mfcc": _handcrafted(
        120, _by_window(_mfcc), source="Davis and Mermelstein 1980, doi:10.1109/TASSP.1980.1163420"
    ),
    "mean_spectrum": _handcrafted(N_FFT // 2 + 1, _by_window(_mean_spectrum)),
    "mfcc_sequence": _handcrafted(
        SEQUENCE_FRAMES * SEQUENCE_COEFFICIENTS,
        _mfcc_sequence,
        source="Sakoe and Chiba 1978, doi:10.1109/TASSP.1978.1163055",
    ),
    "waveform": _handcrafted(8_000, _waveform, rate=8_000),
    "aisfx": _wheel(
        "aisfx",
        ("models/checkpoint.pth",),
        *(44_100, 512, _aisfx),
        "CC BY 4.0, stated for the model (the classifier of the package says MIT)",
        "Ma and Lerch 2022, Proc. ISMIR, pp. 866-875",
    ),
    "cdpam": _wheel(
        "cdpam",
        ("CDPAM_trained/scratchJNDdefault_best_model.pth",),
        *(metrics.RATE, 512, _cdpam),
        "MIT by the package's classifier; the package holds no licence text and says nothing of the weights",
        "Manocha et al. 2021, arXiv:2102.05109",
    ),
    "musicnn": _wheel(
        "musicnn",
        ("MTT_musicnn/.index", "MTT_musicnn/.data-00000-of-00001"),
        *(16_000, 200, _musicnn),
        "ISC for the package; it says nothing of the weights, which were trained on MagnaTagATune",
        "Pons and Serra 2019, arXiv:1909.06654",
    ),
    "openwakeword": _wheel(
        "openwakeword",
        ("resources/models/melspectrogram.onnx", "resources/models/embedding_model.onnx"),
        *(16_000, 96, _openwakeword),
        "CC BY-NC-SA 4.0, stated for all models in the package: no commercial use. (It also says that Google "
        "gives the speech embedding under Apache 2.0; read here as the stricter)",
        "Lin et al. 2020, arXiv:2002.01322",
    ),
    "resemblyzer": _wheel(
        "resemblyzer",
        ("pretrained.pt",),
        *(16_000, 256, _resemblyzer),
        "Apache 2.0 for the package; it says nothing of the weights on their own",
        "Wan et al. 2018, arXiv:1710.10467",
    ),
    "vggish": _download(
        "https://github.com/harritaylor/torchvggish/releases/download/v0.1/vggish-10086976.pth",
        "vggish-10086976.pth",
        *(16_000, 128, _vggish),
        "Hershey et al. 2017, arXiv:1609.09430",
    ),
    "panns": _download(
        "https://zenodo.org/record/3987831/files/Cnn14_mAP%3D0.431.pth",
        "Cnn14_mAP=0.431.pth",
        *(32_000, 2048, _panns),
        "Kong et al. 2020, arXiv:1912.10211",
    ),
    "clap": _hub("laion/clap-htsat-unfused", 48_000, 512, _clap_rows, 10, "Wu et al. 2023, arXiv:2211.06687"),
    "encodec": _hub(
        "facebook/encodec_24khz", 24_000, 128, _encodec_rows, 10, "Defossez et al. 2022, arXiv:2210.13438"
    ),
    "wav2vec2": _hub(
        "facebook/wav2vec2-base", 16_000, 768, _hidden_rows, 10, "Baevski et al. 2020, arXiv:2006.11477"
    ),
    "wavlm": _hub(
        "microsoft/wavlm-base-plus", 16_000, 768, _hidden_rows, 10, "Chen et al. 2022, arXiv:2110.13900"
    ),
}
NAMES: tuple[str, ...] = tuple(_KNOWN)
