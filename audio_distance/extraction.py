"""From sources to described sets: every file of every set once, cached by content, shared among processes.

Conventions
    common rate   the lowest sample rate of all sets, in Hz: all are described below half of it.
    order         sounds keep the sorted order of their set, whatever the number of processes.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from audio_distance.audio import HELD_BYTES, ChannelSums, Signal, mean_of_channels, rate_of, read_source
from audio_distance.cache import cache_or_none, entry_of, load_entry, save_entry, warn_of
from audio_distance.description import Description, Sound, SoundSet, refuse_other_recipe
from audio_distance.errors import AudioError
from audio_distance.features import Described, describe_signal, prepare_trimmed, resample, trimmed
from audio_distance.output import printable
from audio_distance.progress import counted
from audio_distance.quality import Predictor, predicted, refuse_missing, stamp_of
from audio_distance.reading import Reading
from audio_distance.sources import Listing, Source, list_set
from audio_distance.streaming import describe_blocks
from audio_distance.transforms import RATE
from audio_distance.views import keep_freed_memory

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
    quality: str | Predictor | None = None

    @property
    def own(self) -> bool:
        """A function of the caller's takes part: it may not be able to travel, and be another next time."""
        return self.embedding is not None or callable(self.quality)


class _Outcome(NamedTuple):
    """Of one source: the sound, or why there is none; and why it could not be kept in the cache."""

    sound: Sound | None
    fault: str = ""
    not_kept: str = ""


def load_sets(
    sources: Mapping[str, Any],
    *,
    reading: Reading,
    embedding: Embedding | None = None,
    bandwidth_rate: int | None = None,
    quality: str | Predictor | None = None,
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
    quality : str or callable, optional
        Who predicts the quality of each sound: see ``quality``.

    Returns
    -------
    One SoundSet for each source, and the common rate.

    Raises
    ------
    AudioError
        Names every bad file of every set, unless they are skipped; sets of fewer than two sounds;
        Descriptions whose bandwidths differ, or beside an ``embedding``, or without the ``quality`` asked
        for; a predictor that is not installed, or gives what is no score.
    ValueError
        A predictor of a name that is none.

    Warns
    -----
    UserWarning
        Of a cache that cannot be used; the result is the same without.
    """
    sources = {role: _opened(source, role) for role, source in sources.items()}
    fixed = _fixed_rates(sources, embedding, bandwidth_rate)
    _refuse_unscored(sources, quality)
    rates = reading.rate if isinstance(reading.rate, (tuple, list)) else [reading.rate] * len(sources)
    if len(rates) != len(sources):
        raise ValueError(f"{len(rates)} rates for {len(sources)} sets")
    listed = [
        Listing(source.name, []) if isinstance(source, Description) else list_set(source, role, rate)
        for (role, source), rate in zip(sources.items(), rates, strict=True)
    ]
    # The rates of all files first, from their headers: the lowest bounds what any of them is described by.
    problems: dict[int, list[str]] = defaultdict(list)
    usable: list[list[Source]] = [[] for _ in listed]
    header_rates: list[int] = []
    for index, listing in enumerate(listed):
        for item in listing.sources:
            try:
                header_rates.append(rate_of(item))
                usable[index].append(item)
            except (AudioError, OSError) as error:
                problems[index].append(f"{item.name}: {printable(str(error))}")
    common = next(iter(fixed.values()), min(header_rates, default=RATE))
    cache = cache_or_none(reading.cache)
    job = _Job(common, embedding, cache, reading.minimum_bits, reading.peak_limit, quality)
    # One queue for all sets: a small set does not leave processes idle beside a large one.
    queue = [item for items in usable for item in items]
    described = list(_described(queue, job, workers=reading.workers, progress=reading.progress))
    # A file that was left out bounds nothing: without it, the others may have more in common.
    left = min((outcome.sound.rate for outcome in described if outcome.sound is not None), default=common)
    if left > common and not fixed and reading.on_error == "skip":
        if min(left, RATE) > common:
            job = replace(job, bandwidth_rate=left)
            described = list(_described(queue, job, workers=reading.workers, progress=reading.progress))
        common = left
    warn_of((outcome.not_kept for outcome in described), cache)
    sets, outcomes = [], iter(described)
    for index, (source, listing) in enumerate(zip(sources.values(), listed, strict=True)):
        if isinstance(source, Description):
            sets.append(SoundSet(listing.name, source.sounds, source.skipped, listing.passed, True))
            continue
        results = [next(outcomes) for _ in usable[index]]
        problems[index] += [outcome.fault for outcome in results if outcome.fault]
        sounds = tuple(outcome.sound for outcome in results if outcome.sound is not None)
        skipped = tuple(sorted(problems[index]))
        sets.append(SoundSet(listing.name, sounds, skipped, listing.passed, bool(fixed)))
    if reading.on_error == "raise":
        count = sum(len(listing.sources) for listing in listed)
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


def _opened(source: Any, role: str) -> Any:
    """The Description in a ``.npz`` file; every other source as it is."""
    is_path = isinstance(source, (str, os.PathLike))
    saved = is_path and Path(source).suffix.lower() == ".npz" and Path(source).is_file()
    opened = Description.load(source) if saved else source
    if isinstance(opened, Description):
        try:
            refuse_other_recipe(opened.recipe)  # kept in memory or pickled, it may be older than the package
        except AudioError as error:
            raise AudioError(f"{role} ({opened.name}): {error}") from None
    return opened


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


def _refuse_unscored(sources: Mapping[str, Any], quality: str | Predictor | None) -> None:
    """Raise unless each source has the scores that ``quality`` asks for, or can be given them."""
    if quality is None:
        return
    read = [role for role, source in sources.items() if not isinstance(source, Description)]
    refuse_missing(quality, needed=bool(read))
    asked = quality if isinstance(quality, str) else "a function of one's own"
    for role, source in sources.items():
        if isinstance(source, Description) and (not isinstance(quality, str) or source.quality != quality):
            has = f"the quality predicted by {source.quality}" if source.quality else "no predicted quality"
            raise AudioError(
                f"quality: {role} ({source.name}) is a Description with {has}, and without audio for {asked}"
                "; give the audio"
                + (f', or describe it again with quality="{quality}"' if isinstance(quality, str) else "")
            )


def _described(
    sources: Sequence[Source], job: _Job, *, workers: int | None, progress: bool | None
) -> Iterable[_Outcome]:
    """``describe_source`` of all, in order; the same results for every number of workers and every backend.

    With ``workers`` None, what the caller has set by ``joblib.parallel_config`` (a dask cluster, threads) is
    used as it is; else all cores, once there is work for them.
    """
    if workers is None:
        joblib = sys.modules.get("joblib")  # who has set a backend has imported it; for few files nobody does
        workers = int(joblib.effective_n_jobs(None)) if joblib else 1
        if workers == 1 and _seconds_about(sources) >= PARALLEL_SECONDS and not job.own:
            workers = os.cpu_count() or 1
    workers = min(workers, max(1, len(sources)))
    results: Iterable[_Outcome]
    if workers == 1:
        results = (describe_source(source, job) for source in sources)
    else:
        # Four batches a worker: enough to even out long files, few enough that sending them costs nothing.
        size = max(1, min(32, len(sources) // (4 * workers)))
        batches = [sources[i : i + size] for i in range(0, len(sources), size)]
        results = itertools.chain.from_iterable(_in_parallel(batches, job, workers))
    return counted(results, len(sources), progress=progress)


def _in_parallel(batches: Sequence[Sequence[Source]], job: _Job, workers: int) -> Iterable[list[_Outcome]]:
    """The batches in order, by whatever backend joblib is set to."""
    from joblib import Parallel, delayed

    calls = [delayed(_describe_batch)(batch, job, os.getpid()) for batch in batches]
    try:
        done: Iterable[list[_Outcome]] = Parallel(n_jobs=workers, return_as="generator")(calls)
    except ValueError as error:  # joblib's, of a backend such as multiprocessing, before anything has run
        if "return_as" not in str(error):
            raise
        done = Parallel(n_jobs=workers)(calls)
    return done


def _describe_batch(batch: Sequence[Source], job: _Job, caller: int) -> list[_Outcome]:
    """The work of one process, or thread, at a time, for the process ``caller``."""
    import multiprocessing  # 6 ms, which a call without workers need not wait for

    if os.getpid() != caller:
        keep_freed_memory()
    started_by = multiprocessing.parent_process()  # who may have been killed since
    if started_by is not None and started_by.pid == caller:
        end_with(caller)
    return [describe_source(source, job) for source in batch]


@cache
def end_with(parent: int) -> None:
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
        else:
            seconds += len(source.data or b"") / 1e5
    return seconds


def describe_source(source: Source, job: _Job) -> _Outcome:
    """One sound read, prepared and embedded, or found in the cache; the fault says why it cannot be."""
    try:
        data = source.read()
        entry = None
        if job.cache is not None and source.array is None and not job.own:
            entry = entry_of(
                job.cache,
                data,
                bandwidth_rate=job.bandwidth_rate,
                minimum_bits=job.minimum_bits,
                peak_limit=job.peak_limit,
                quality=stamp_of(job.quality) if isinstance(job.quality, str) else "",
            )
            if (kept := load_entry(entry, source.name)) is not None:
                return _Outcome(kept)
        signal = read_source(
            source,
            data,
            minimum_bits=job.minimum_bits,
            peak_limit=job.peak_limit,
            # An embedding and a predictor of quality are given the whole sound.
            most=HELD_BYTES if job.embedding is None and job.quality is None else math.inf,
        )
        sound = _described_signal(source.name, signal, job)
        return _Outcome(sound, not_kept="" if entry is None else save_entry(entry, sound))
    except (AudioError, OSError) as error:
        return _Outcome(None, f"{source.name}: {printable(str(error))}")


def _described_signal(name: str, signal: Signal, job: _Job) -> Sound:
    """A sound that is open, described: as a whole, or a long one block by block."""
    rate, digest = signal.rate, hashlib.sha256()
    notes, quality = signal.notes, None

    def mono() -> Iterator[NDArray[np.float32]]:
        nonlocal notes
        channels = ChannelSums()
        for block in signal.blocks():
            mean = mean_of_channels(block)
            channels.add(block, mean)
            yield mean
        notes = signal.notes + channels.notes()  # behind the last block: on the first pass, which reads all

    if signal.long:
        described, samples = describe_blocks(mono, rate, digest, bandwidth_rate=job.bandwidth_rate)
    else:
        whole = np.concatenate([np.empty(0, np.float32), *mono()])
        if job.embedding is None:
            described = describe_signal(whole, rate, bandwidth_rate=job.bandwidth_rate)
        else:
            sounding = trimmed(whole, rate)
            _, level = prepare_trimmed(sounding, rate, bandwidth_rate=job.bandwidth_rate)
            vectors = _embed_with(job.embedding, whole, rate, job.bandwidth_rate)
            described = Described(vectors, level, len(sounding) / rate)
        if job.quality is not None:
            quality = predicted(job.quality, trimmed(whole, rate), rate)
        digest.update(whole.data)
        samples = len(whole)
    digest.update(str(rate).encode())
    return Sound(
        name,
        content=digest.hexdigest(),
        rate=rate,
        seconds=samples / rate,
        sounding_seconds=described.sounding_seconds,
        level_db=described.level_db,
        vectors=described.vectors,
        notes=notes,
        quality=quality,
    )


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
