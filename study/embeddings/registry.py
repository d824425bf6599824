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
from study.embeddings.networks import TORCH, _aisfx, _exported, _in_package, _resemblyzer

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
    install = f"{WHEELS} && {TORCH}"
    packages = ("torch", package)
    return _Known(rate, dimension, build, licence, source, packages, _in_package(package, *files), install)


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
    "resemblyzer": _wheel(
        "resemblyzer",
        ("pretrained.pt",),
        *(16_000, 256, _resemblyzer),
        "Apache 2.0 for the package; it says nothing of the weights on their own",
        "Wan et al. 2018, arXiv:1710.10467",
    ),
}
NAMES: tuple[str, ...] = tuple(_KNOWN)
