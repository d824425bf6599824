"""From sources to described sets: every file of every set once, cached by content, shared among processes.

Conventions
    common rate   the lowest sample rate of all sets, in Hz: all are described below half of it.
    order         sounds keep the sorted order of their set, whatever the number of processes.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import math
import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio_distance.audio import (
    HELD_BYTES,
    AudioError,
    Signal,
    Source,
    content_of,
    list_set,
    mean_of_channels,
    rate_of,
    read_source,
)
from audio_distance.description import Description, Sound, SoundSet, write_npz
from audio_distance.features import constants, describe_signal, prepare, resample
from audio_distance.progress import counted
from audio_distance.reading import Reading
from audio_distance.storage import cache_folder
from audio_distance.streaming import describe_blocks
from audio_distance.views import RATE, VIEWS, keep_freed_memory

PARALLEL_SECONDS = 60.0  # of audio; below it starting processes costs more than it saves

Embedding = Callable[[NDArray[np.float32], int], Any]


@dataclass(frozen=True)
class _Job:
    """What a worker needs beside the sound itself."""

    bandwidth_rate: int
    embedding: Embedding | None
    cache: Path | None
    minimum_bits: int
    peak_limit: float


def load_sets(
    sources: Mapping[str, Any],
    *,
    reading: Reading,
    embedding: Embedding | None = None,
    bandwidth_rate: int | None = None,
) -> tuple[list[SoundSet], int]:
    """Read and describe every set that is not a Description already.

    Parameters
    ----------
    sources : role -> set
        In the order of the result; the role ("reference", a candidate's name) stands in messages.
    reading : Reading
        Its ``rate`` is one for all, or one for each set.
    embedding : callable, optional
        In place of the three views.
    bandwidth_rate : int, optional
        The common rate in Hz; by default that of the Descriptions, else the lowest found in all sets.

    Returns
    -------
    One SoundSet for each source, and the common rate.

    Raises
    ------
    AudioError
        Names every bad file of every set, unless they are skipped; sets of fewer than two sounds;
        Descriptions whose bandwidths differ, or beside an ``embedding``; a cache that cannot be made.
    """
    sources = {role: _opened(source) for role, source in sources.items()}
    fixed = _fixed_rates(sources, embedding, bandwidth_rate)
    rates = reading.rate if isinstance(reading.rate, (tuple, list)) else [reading.rate] * len(sources)
    if len(rates) != len(sources):
        raise ValueError(f"{len(rates)} rates for {len(sources)} sets")
    listed = [
        (source.name, [], 0) if isinstance(source, Description) else list_set(source, role, rate)
        for (role, source), rate in zip(sources.items(), rates, strict=True)
    ]
    # The rates of all files first, from their headers: the lowest bounds what any of them is described by.
    problems: dict[int, list[str]] = defaultdict(list)
    usable: list[list[Source]] = [[] for _ in listed]
    header_rates: list[int] = []
    for index, (_, items, _) in enumerate(listed):
        for item in items:
            try:
                header_rates.append(rate_of(item))
                usable[index].append(item)
            except (AudioError, OSError) as error:
                problems[index].append(f"{item.name}: {error}")
    common = next(iter(fixed.values()), min(header_rates, default=RATE))
    job = _Job(common, embedding, _made(reading.cache), reading.minimum_bits, reading.peak_limit)
    # One queue for all sets: a small set does not leave processes idle beside a large one.
    queue = [item for items in usable for item in items]
    described = iter(list(_described(queue, job, workers=reading.workers, progress=reading.progress)))
    sets = []
    for index, (source, (name, _, passed)) in enumerate(zip(sources.values(), listed, strict=True)):
        if isinstance(source, Description):
            sets.append(SoundSet(name, source.sounds, source.skipped, passed, True))
            continue
        results = [next(described) for _ in usable[index]]
        problems[index] += [result for result in results if isinstance(result, str)]
        sounds = tuple(result for result in results if isinstance(result, Sound))
        sets.append(SoundSet(name, sounds, tuple(sorted(problems[index])), passed, bool(fixed)))
    if reading.on_error == "raise":
        count = sum(len(items) for _, items, _ in listed)
        _raise_for([(role, problems[index]) for index, role in enumerate(sources)], count)
    _refuse_unfit(list(sources), sets)
    return sets, common


def _raise_for(problems: Sequence[tuple[str, Sequence[str]]], count: int) -> None:
    """Name every file of every set that cannot be measured, of ``count``; nothing if there is none."""
    bad = [f"  {role}: {line}" for role, lines in problems for line in sorted(lines)]
    if bad:
        raise AudioError(
            f"{len(bad)} of {count} files cannot be measured:\n"
            + "\n".join(bad)
            + '\nMend or remove them, or leave them out: on_error="skip", or --skip.'
        )


def _refuse_unfit(roles: Sequence[str], sets: Sequence[SoundSet]) -> None:
    """Sets of fewer than two sounds, and vectors of more than one length."""
    for role, loaded in zip(roles, sets, strict=True):
        if len(loaded.sounds) < 2:
            raise AudioError(
                f"{role}: {len(loaded.sounds)} usable sound(s) in {loaded.name}, and a distance "
                "needs at least 2: one sound says nothing about the spread of its set."
                + "".join(f"\n  {line}" for line in loaded.skipped)
            )
    widths = {sound.vectors.shape[1] for loaded in sets for sound in loaded.sounds}
    if len(widths) > 1:
        raise AudioError(f"the embedding gave vectors of different lengths: {sorted(widths)}")


def _opened(source: Any) -> Any:
    """The Description in a ``.npz`` file; every other source as it is."""
    is_path = isinstance(source, (str, os.PathLike))
    saved = is_path and Path(source).suffix.lower() == ".npz" and Path(source).is_file()
    return Description.load(source) if saved else source


def _fixed_rates(
    sources: Mapping[str, Any], embedding: Embedding | None, bandwidth_rate: int | None
) -> dict[str, int]:
    """Who fixes the common rate to what: Descriptions, and the argument; at most one rate among them."""
    fixed = {role: s.bandwidth_rate for role, s in sources.items() if isinstance(s, Description)}
    if fixed and embedding is not None:
        raise AudioError(
            f"embedding: {' and '.join(fixed)} given as a Description, which holds the three views and no "
            "audio for another embedding; give the audio"
        )
    if bandwidth_rate is not None:
        fixed["bandwidth_rate"] = bandwidth_rate
    if len(set(fixed.values())) > 1:
        raise AudioError(
            f"bandwidth_rate: {', '.join(f'{role} {value} Hz' for role, value in fixed.items())}, and all "
            "Descriptions in one call need the same; describe them again from their audio with one, such as "
            f"bandwidth_rate={min(fixed.values())}"
        )
    return fixed


def _made(cache: bool | str | os.PathLike[str]) -> Path | None:
    """The cache folder, made if it is not there; None without a cache."""
    if not cache:
        return None
    folder = cache_folder() if cache is True else Path(cache)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AudioError(f"cache: the folder {folder} cannot be made ({error})") from None
    return folder


def _described(
    sources: Sequence[Source], job: _Job, *, workers: int | None, progress: bool | None
) -> Iterable[Sound | str]:
    """``describe_source`` of all, in order; the same results for every number of workers and every backend.

    With ``workers`` None, what the caller has set by ``joblib.parallel_config`` (a dask cluster, threads) is
    used as it is; else all cores, once there is work for them.
    """
    if workers is None:
        joblib = sys.modules.get("joblib")  # who has set a backend has imported it; for few files nobody does
        workers = int(joblib.effective_n_jobs(None)) if joblib else 1
        if workers == 1 and _seconds_about(sources) >= PARALLEL_SECONDS and job.embedding is None:
            workers = os.cpu_count() or 1
    workers = min(workers, max(1, len(sources)))
    results: Iterable[Sound | str]
    if workers == 1:
        results = (describe_source(source, job) for source in sources)
    else:
        # Four batches a worker: enough to even out long files, few enough that sending them costs nothing.
        size = max(1, min(32, len(sources) // (4 * workers)))
        batches = [sources[i : i + size] for i in range(0, len(sources), size)]
        results = itertools.chain.from_iterable(_in_parallel(batches, job, workers))
    return counted(results, len(sources), progress=progress)


def _in_parallel(batches: Sequence[Sequence[Source]], job: _Job, workers: int) -> Iterable[list[Sound | str]]:
    """The batches in order, by whatever backend joblib is set to."""
    from joblib import Parallel, delayed

    calls = [delayed(_describe_batch)(batch, job, os.getpid()) for batch in batches]
    try:
        done: Iterable[list[Sound | str]] = Parallel(n_jobs=workers, return_as="generator")(calls)
    except ValueError as error:  # joblib's, of a backend such as multiprocessing, before anything has run
        if "return_as" not in str(error):
            raise
        done = Parallel(n_jobs=workers)(calls)
    return done


def _describe_batch(batch: Sequence[Source], job: _Job, caller: int) -> list[Sound | str]:
    """The work of one process, or thread, at a time, for the process ``caller``."""
    import multiprocessing  # 6 ms, which a call without workers need not wait for

    if os.getpid() != caller:
        keep_freed_memory()
    started_by = multiprocessing.parent_process()  # who may have been killed since
    if started_by is not None and started_by.pid == caller:
        _end_with(caller)
    return [describe_source(source, job) for source in batch]


@cache
def _end_with(parent: int) -> None:
    """End this process soon after ``parent`` has.

    A pool ends its workers when its own process ends, but not when that is killed: they would wait for work
    that never comes, or finish what nobody fetches. Looked at every second and not asked of Linux
    (``PR_SET_PDEATHSIG``), which takes the thread that started a worker for its parent.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _seconds_about(sources: Sequence[Source]) -> float:
    """Seconds of audio, roughly: files at 100 kB a second, which no format exceeds by far."""
    seconds = 0.0
    for source in sources:
        if source.path is not None:
            seconds += source.path.stat().st_size / 1e5
        elif source.array is not None:
            seconds += len(source.array) / source.rate
    return seconds


def describe_source(source: Source, job: _Job) -> Sound | str:
    """One sound read, prepared and embedded; a string says why it cannot be."""
    try:
        data = content_of(source)
        entry = None
        if job.cache is not None and source.path is not None and job.embedding is None:
            # All that the result depends on: content, recipe, and what the reading would refuse.
            key = hashlib.sha256(data)
            key.update(f"{constants()[1]} {job.bandwidth_rate} {job.minimum_bits} {job.peak_limit}".encode())
            entry = job.cache / f"{key.hexdigest()}.npz"
            if (kept := _load_entry(entry, source.name)) is not None:
                return kept
        signal = read_source(
            source,
            data,
            minimum_bits=job.minimum_bits,
            peak_limit=job.peak_limit,
            most=HELD_BYTES if job.embedding is None else math.inf,  # it is given the whole sound
        )
        sound = _described_signal(source.name, signal, job)
        if entry is not None:
            _save_entry(entry, sound)
        return sound
    except (AudioError, OSError) as error:
        return f"{source.name}: {error}"


def _described_signal(name: str, signal: Signal, job: _Job) -> Sound:
    """A sound that is open, described: as a whole if it is held, else block by block."""
    rate, digest = signal.rate, hashlib.sha256()
    if signal.samples is None:
        vectors, level, samples = describe_blocks(
            lambda: map(mean_of_channels, signal.blocks()), rate, digest, bandwidth_rate=job.bandwidth_rate
        )
    else:
        mono = mean_of_channels(signal.samples)
        if job.embedding is None:
            vectors, level = describe_signal(mono, rate, bandwidth_rate=job.bandwidth_rate)
        else:
            _, level = prepare(mono, rate, bandwidth_rate=job.bandwidth_rate)
            vectors = _embed_with(job.embedding, mono, rate, job.bandwidth_rate)
        digest.update(mono.data)
        samples = len(mono)
    digest.update(str(rate).encode())
    return Sound(name, digest.hexdigest(), rate, samples / rate, level, vectors)


def _embed_with(
    embedding: Embedding, mono: NDArray[np.float32], rate: int, bandwidth_rate: int
) -> NDArray[np.float32]:
    """A caller's embedding gets the sound at the common rate, otherwise as it was recorded."""
    if bandwidth_rate < rate:
        mono, rate = resample(mono, rate, bandwidth_rate), bandwidth_rate
    given = embedding(mono, rate)
    try:
        given = np.asarray(given)
        vectors = np.atleast_2d(np.real(given).astype(np.float32))
    except (TypeError, ValueError) as error:
        raise AudioError(f"the embedding gave no array ({error}); (d,) or (frames, d) is needed") from None
    if np.iscomplexobj(given):
        raise AudioError("the embedding gave complex numbers; give their modulus, or both parts")
    if vectors.ndim != 2 or vectors.size == 0:
        raise AudioError(f"the embedding gave shape {vectors.shape}; (d,) or (frames, d) is needed")
    if not np.all(np.isfinite(vectors)):
        raise AudioError("the embedding gave NaN or infinite numbers")
    return vectors


def _load_entry(path: Path, name: str) -> Sound | None:
    """A sound of the cache, under the name it has now; None if it has to be made."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as entry:
            vectors, facts = entry["vectors"], json.loads(str(entry["facts"]))
        if vectors.ndim == 2 and vectors.shape[1] == sum(VIEWS.values()) and np.all(np.isfinite(vectors)):
            return Sound(name=name, vectors=vectors, **facts)
    except Exception:  # absent or damaged, in any of a dozen ways: it is made again
        return None
    return None


def _save_entry(path: Path, sound: Sound) -> None:
    facts = {key: getattr(sound, key) for key in ("content", "rate", "seconds", "level_db")}
    write_npz(path, vectors=sound.vectors, facts=json.dumps(facts))
