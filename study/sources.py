"""What the trials measure on: sources of sound, their damaged versions, and their rows, cached.

Conventions
    source      a set of signals of at most a second each, with labels and groups (``SOURCES``):
                    digits       600 spoken digits, none of the 1,000 of ``benchmark_digits``
                    sounds       240 environmental sounds, the loudest second of each, at 22,050 Hz
                    instruments  240 rendered notes, the first second; needs no download
    version     "clean", "noise 1" to "noise 5" and so on for every distortion, "reversed",
                "shuffled 200 ms", "phase randomised", "dither". Damaged versions hold the first
                ``DAMAGED`` files only; all is seeded by names, so files and order do not matter.
    rows        float64 (files, d), one row a file: the mean over the frames of an embedding.
    cache       one .npz a source, version group and embedding, below ``metrics.cache_folder()``,
                named by the signals, and by what the version and the embedding make of the first
                ``PROBES`` of them now: code that works otherwise finds nothing and computes again.
                A run that was interrupted goes on where it was.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import soxr
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits
from tqdm import tqdm

import metrics
from audio_distance import views
from audio_distance.storage import replacing
from study import datasets, embeddings
from study.datasets import distortions
from study.datasets.distortions import DISTORTIONS, reverse, shuffle_segments

SOURCES = ("digits", "sounds", "instruments")
FILES = {"digits": 600, "sounds": 240, "instruments": 240}
BENCHMARK_DIGITS = 1000  # drawn with seed 0, on which the distance's test was chosen
DAMAGED = 80  # files of a source that have damaged versions
PROBES = 3  # signals by which the cache knows the code
UP = 1.5  # of the rate
NUISANCES = ("gain", "leading_silence", "resampling")
GRADED = tuple(name for name in DISTORTIONS if name not in NUISANCES)
SHUFFLED = {"shuffled 200 ms": 0.2, "shuffled 100 ms": 0.1, "shuffled 50 ms": 0.05}
DITHER = 2.0**-16  # standard deviation: about one step of 16 bits
VERSIONS = (
    "clean",
    *(f"{kind} {severity}" for kind in GRADED for severity in range(1, 6)),
    *(f"{kind} {severity}" for kind in NUISANCES for severity in (1, 3)),
    "reversed",
    *SHUFFLED,
    "phase randomised",
    "dither",
    "resampled up and back",
)
OWN = {  # embedding -> its columns of the numbers of the value
    "three_views": slice(None),
    **{view.replace(" ", "_"): columns for view, columns in views.VIEW_COLUMNS.items()},
}


@dataclass(frozen=True)
class Source:
    """Signals of one source, in a seeded order."""

    name: str
    signals: tuple[np.ndarray, ...]
    rate: int
    labels: np.ndarray
    groups: np.ndarray


@dataclass(frozen=True)
class Rows:
    """A source in one embedding: version -> (files, d)."""

    source: str
    embedding: str
    versions: dict[str, np.ndarray]
    labels: np.ndarray
    groups: np.ndarray


def seeded(*key) -> np.random.Generator:
    """A generator of its own for every named thing, the same on every run and for every worker."""
    text = "\0".join(map(str, key)).encode()
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text).digest()[:16], "big"))


@lru_cache(maxsize=3)
def source(name: str, files: int | None = None) -> Source:
    """A source of sound: its signals, cut to a second, in a seeded order.

    Parameters
    ----------
    name : str
        One of ``SOURCES``.
    files : int, optional
        How many, for a quick look; by default as in ``FILES``. The first ones of the same order.

    Raises
    ------
    datasets.MissingData
        Where its recordings are not on this machine.
    ValueError
        For an unknown name.
    """
    if name == "digits":
        audio = datasets.digits()
        used = set(benchmark_digits().names)
        usable = [i for i, file in enumerate(audio.names) if file not in used]
    elif name == "sounds":
        audio = datasets.sounds()
        usable = list(range(len(audio)))
    elif name == "instruments":
        audio = datasets.instruments(count=FILES[name], seed=0)
        usable = list(range(len(audio)))
    else:
        raise ValueError(f"no source {name!r}; there are {', '.join(SOURCES)}")
    usable = seeded("files", name).permutation(usable)[: files or FILES[name]]
    cut = {"digits": lambda s, r: s, "sounds": _loudest_second, "instruments": lambda s, r: s[:r]}[name]
    signals = [audio.signals[i] for i in usable]
    rate = min(audio.rate, metrics.RATE)
    if rate < audio.rate:
        signals = [soxr.resample(s, audio.rate, rate).astype(np.float32) for s in signals]
    return Source(
        name=name,
        signals=tuple(cut(s, rate) for s in signals),
        rate=rate,
        labels=np.array(audio.labels)[usable],
        groups=np.array(audio.groups)[usable],
    )


def benchmark_digits(count: int = BENCHMARK_DIGITS) -> datasets.AudioSet:
    """The digits of ``experiments.statistics``; the trials leave them out."""
    return datasets.digits(count=count, rng=np.random.default_rng(0))


def damaged(version: str, signal: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
    """One version of a signal, mono float32; ValueError for an unknown one.

    ``version`` is one of ``VERSIONS``, or "50 ms of silence"; ``rng`` draws what is random in it. The length
    stays, but for silence and for the distortions that change speed.
    """
    if version == "clean":
        return signal
    if version == "reversed":
        return reverse(signal)
    if version == "phase randomised":
        return distortions.moment_matched_signals([signal], rng)[0]
    if version == "resampled up and back":
        back = soxr.resample(soxr.resample(signal, rate, UP * rate), UP * rate, rate)
        return np.pad(back[: len(signal)], (0, max(0, len(signal) - len(back))))
    if version == "50 ms of silence":
        return np.concatenate([np.zeros(rate // 20, np.float32), signal])
    if version == "dither":
        return (signal + DITHER * rng.standard_normal(len(signal))).astype(np.float32)
    if version in SHUFFLED:
        segment = min(SHUFFLED[version], len(signal) / rate / 2)  # at least two segments
        return shuffle_segments(signal, rate, segment, rng)
    kind, _, severity = version.rpartition(" ")
    if kind not in DISTORTIONS or not severity.isdigit():
        raise ValueError(f"no version {version!r}")
    return DISTORTIONS[kind](signal, rate, int(severity), rng)


def rows(
    names: tuple[str, ...],
    embedding_names: tuple[str, ...],
    *,
    versions: tuple[str, ...] = VERSIONS,
    files: int | None = None,
    workers: int = -1,
) -> dict[tuple[str, str], Rows]:
    """Embed every source with every embedding: (source, embedding) -> ``Rows``, from the cache.

    Parameters
    ----------
    names, embedding_names : tuple of str
        Sources, and embeddings as ``study.embeddings.load`` knows them. "described", the three views and
        each of them alone are computed once.
    versions : tuple of str
        By default all; what is in the cache already is read.
    files, workers : int
        As ``source``; processes, -1 one a core. A job is a version, so that an interrupt loses little.

    Raises
    ------
    datasets.MissingData, embeddings.MissingNetwork
        Before the long part begins.
    """
    jobs, places = [], {}
    # What is divided, and a view, is part of what is described, and the mean over windows keeps it.
    computed = tuple(dict.fromkeys("described" if e in OWN else e for e in embedding_names))
    for name in names:
        known = source(name, files)
        stamp = _stamp(known.signals)
        described = {e: _described(known, e) for e in computed}
        for version in versions:
            changed = _stamp([_version_of(known, version, i) for i in range(PROBES)])
            wanted = {}
            for e in computed:
                key = hashlib.sha256("\0".join([stamp, changed, described[e]]).encode()).hexdigest()[:20]
                wanted[e] = (
                    metrics.cache_folder() / "study" / f"{name} {Path(e).name}" / f"{version} {key}.npz"
                )
            places.update({(name, version, e): path for e, path in wanted.items()})
            absent = {e: path for e, path in wanted.items() if not path.exists()}
            if absent:
                jobs.append(delayed(_embed_version)(name, files, version, absent))
    if jobs:
        done = Parallel(n_jobs=workers, return_as="generator_unordered")(jobs)
        for _ in tqdm(done, total=len(jobs), desc="embedding", unit="version"):
            pass
    tables = {}
    for name in names:
        known = source(name, files)
        for e in embedding_names:
            whole = "described" if e in OWN else e
            stored = {v: np.load(places[name, v, whole])["rows"] for v in versions}
            if e in OWN:
                stored = {v: metrics.divided(rows)[:, OWN[e]] for v, rows in stored.items()}
            tables[name, e] = Rows(name, e, stored, known.labels, known.groups)
    return tables


def at_rate(audio: datasets.AudioSet, rate: int) -> list[np.ndarray]:
    """The signals at ``rate`` Hz, resampled by soxr: arrays given together have one rate."""
    return [s if audio.rate == rate else soxr.resample(s, audio.rate, rate) for s in audio.signals]


def _loudest_second(signal: np.ndarray, rate: int) -> np.ndarray:
    if len(signal) <= rate:
        return signal
    power = np.concatenate([[0.0], np.cumsum(signal.astype(np.float64) ** 2)])
    start = int(np.argmax(power[rate:] - power[:-rate]))
    return signal[start : start + rate]


def _version_of(known: Source, version: str, index: int) -> np.ndarray:
    return damaged(version, known.signals[index], known.rate, seeded(known.name, version, index))


def _embed_version(name: str, files: int | None, version: str, places: dict[str, Path]) -> None:
    known = source(name, files)
    count = len(known.signals) if version == "clean" else min(DAMAGED, len(known.signals))
    signals = [_version_of(known, version, i) for i in range(count)]
    with threadpool_limits(1):
        for e, path in places.items():
            embedding = embeddings.load(e)
            store(path, rows=np.stack([embeddings.file_vector(embedding, s, known.rate) for s in signals]))


def _described(known: Source, e: str) -> str:
    """What an embedding makes of the probes, to six digits: processors differ in later ones."""
    embedding = embeddings.load(e)
    table = [embeddings.file_vector(embedding, s, known.rate) for s in known.signals[:PROBES]]
    return _stamp(np.char.mod("%.5e", np.stack(table)))


def store(path: Path, **arrays: np.ndarray) -> None:
    """Write named arrays as an .npz, whole or not at all."""
    with replacing(path) as part, part.open("wb") as file:
        np.savez(file, **arrays)


def _stamp(arrays: Iterable[np.ndarray]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(array.tobytes())
    return digest.hexdigest()


def code_stamp(*parts) -> str:
    """SHA-256 over the source of modules, packages and single functions.

    What was computed with other code is computed again.
    """
    digest = hashlib.sha256(metrics.constants()[1].encode())
    for part in parts:
        if inspect.isfunction(part):
            digest.update(inspect.getsource(part).encode())
            continue
        file = Path(inspect.getfile(part))
        for path in sorted(file.parent.glob("*.py")) if file.name == "__init__.py" else [file]:
            digest.update(path.read_bytes())
    return digest.hexdigest()
