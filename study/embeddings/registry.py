"""Which embeddings there are, by name; which of them this machine has; loading them.

Conventions
    name        of ``NAMES``, or the path of a file ``*.pt2`` (``EXPORTED``) that holds one's own.
    entry       what is known of a named embedding before anything is loaded.

Nothing is imported and nothing downloaded until ``load``, which downloads nothing either.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import metrics
from study.embeddings import handcrafted, networks
from study.embeddings.base import Describe, Embedding, MissingNetwork

EXPORTED = ".pt2"  # of torch.export
INSTALL = f"pip install --no-deps aisfx Resemblyzer -c constraints.txt && {networks.TORCH}"


@dataclass(frozen=True)
class Handcrafted:
    """An entry that needs nothing: ``describe`` is the function itself. ``rate`` in Hz."""

    dimension: int
    describe: Describe
    source: str = "common practice"
    rate: int = metrics.RATE
    licence: str = "none needed: computed by this repository"
    install: str = ""

    def missing(self) -> list[str]:
        """Return what is not on this machine, in words: nothing."""
        return []

    def build(self) -> Describe:
        """Return the function."""
        return self.describe


@dataclass(frozen=True)
class Network:
    """An entry whose weights, ``file``, lie inside an installed ``package``; ``make(path)`` reads them."""

    package: str
    file: str
    rate: int
    dimension: int
    make: Callable[[Path], Describe]
    licence: str
    source: str
    install: str = INSTALL

    def missing(self) -> list[str]:
        """Return what is not on this machine, in words; imports nothing."""
        packages = [name for name in ("torch", self.package) if importlib.util.find_spec(name) is None]
        if packages:
            return [f"package {name}" for name in packages]
        weights = networks.in_package(self.package, self.file)
        return [] if weights.exists() else [f"weights {weights}"]

    def build(self) -> Describe:
        """Return the function, weights in memory."""
        return self.make(networks.in_package(self.package, self.file))


_OWN = "this repository"
_ENTRIES: dict[str, Handcrafted | Network] = {
    "described": Handcrafted(1799, handcrafted.by_window(metrics.embed), _OWN),
    "three_views": Handcrafted(1032, handcrafted.by_window(handcrafted.view(None)), _OWN),
    "envelope": Handcrafted(480, handcrafted.by_window(handcrafted.view("envelope")), _OWN),
    "attack": Handcrafted(120, handcrafted.by_window(handcrafted.view("attack")), _OWN),
    "fine_structure": Handcrafted(432, handcrafted.by_window(handcrafted.view("fine structure")), _OWN),
    "log_mel": Handcrafted(2 * handcrafted.LOG_MEL_BANDS, handcrafted.by_window(handcrafted.log_mel)),
    "mfcc": Handcrafted(
        2 * 3 * handcrafted.MFCC_COEFFICIENTS,
        handcrafted.by_window(handcrafted.mfcc),
        "Davis and Mermelstein 1980, doi:10.1109/TASSP.1980.1163420",
    ),
    "mean_spectrum": Handcrafted(
        handcrafted.N_FFT // 2 + 1, handcrafted.by_window(handcrafted.mean_spectrum)
    ),
    "mfcc_sequence": Handcrafted(
        handcrafted.SEQUENCE_FRAMES * handcrafted.SEQUENCE_COEFFICIENTS,
        handcrafted.mfcc_sequence,
        "Sakoe and Chiba 1978, doi:10.1109/TASSP.1978.1163055",
    ),
    "waveform": Handcrafted(handcrafted.WAVEFORM_RATE, handcrafted.waveform, rate=handcrafted.WAVEFORM_RATE),
    "aisfx": Network(
        package="aisfx",
        file="models/checkpoint.pth",
        rate=44_100,
        dimension=512,
        make=networks.aisfx,
        licence="CC BY 4.0, stated for the model (the classifier of the package says MIT)",
        source="Ma and Lerch 2022, Proc. ISMIR, pp. 866-875",
    ),
    "resemblyzer": Network(
        package="resemblyzer",
        file="pretrained.pt",
        rate=16_000,
        dimension=256,
        make=networks.resemblyzer,
        licence="Apache 2.0 for the package; it says nothing of the weights on their own",
        source="Wan et al. 2018, arXiv:1710.10467",
    ),
}
NAMES: tuple[str, ...] = tuple(_ENTRIES)


@cache
def load(name: str) -> Embedding:
    """Return the embedding of this name or ``.pt2`` file, weights in memory; the same object each time.

    Raises ValueError for a name not in ``NAMES`` and for a file that is no such program, and
    ``MissingNetwork`` with the command to run if its package or its weights are not on this machine. Never
    downloads.
    """
    if name.endswith(EXPORTED):
        return networks.exported(Path(name))
    entry = _entry(name, or_else=f", and files *{EXPORTED}")
    if missing := entry.missing():
        raise MissingNetwork(f"{name}: {', '.join(missing)} not found. Install with: {entry.install}")
    return Embedding(name, entry.rate, entry.dimension, entry.build(), entry.licence, entry.source)


def contents(names: Sequence[str]) -> str:
    """Return the SHA-256 of each exported file among ``names``, joined; empty if there is none.

    What such a file holds is not fixed by this code, so a cache of its results needs it in the key. A file
    that is not there is left out: ``load`` says so.
    """
    files = [Path(name) for name in names if name.endswith(EXPORTED)]
    return "".join(hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file.exists())


def facts(name: str) -> dict[str, object]:
    """Return rate (Hz), dimension, the command that brings it, source and licence; loads nothing.

    Raises ValueError for a name not in ``NAMES``.
    """
    entry = _entry(name)
    return {
        "rate": entry.rate,
        "dimension": entry.dimension,
        "needs": entry.install or "nothing",
        "source": entry.source,
        "licence of the weights": entry.licence,
    }


def installed() -> tuple[str, ...]:
    """Return the names that ``load`` would load, found by looking for files; imports nothing."""
    return tuple(name for name, entry in _ENTRIES.items() if not entry.missing())


def _entry(name: str, *, or_else: str = "") -> Handcrafted | Network:
    if name not in _ENTRIES:
        raise ValueError(f"unknown embedding {name!r}; known are {', '.join(NAMES)}{or_else}")
    return _ENTRIES[name]
