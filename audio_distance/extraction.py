"""From sources to described sets: every file of every set once, cached by content, shared among processes."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from audio_distance.audio import AudioError, Source, list_set, rate_of, read_source
from audio_distance.description import Description, Sound, SoundSet, write_npz
from audio_distance.features import RATE, VIEWS, constants, embed, prepare, resample, windows

PARALLEL_SECONDS = 60.0  # of audio; below it starting processes costs more than it saves


Embedding = Callable[[np.ndarray, int], np.ndarray]


def _describe_sound(
    source: Source,
    *,
    bandwidth_rate: int,
    embedding: Embedding | None,
    cache: Path | None,
    minimum_bits: int,
    peak_limit: float,
) -> Sound | str:
    """One sound read, prepared and embedded; a string says why it cannot be."""
    try:
        data = None if source.path is None else source.path.read_bytes()
        entry = None
        if cache is not None and data is not None and embedding is None:
            key = hashlib.sha256(data)
            key.update(f"{constants()[1]} {bandwidth_rate} {minimum_bits} {peak_limit}".encode())
            entry = cache / f"{key.hexdigest()}.npz"
            if (found := _load_entry(entry, source.name)) is not None:
                return found
        samples = read_source(source, data, minimum_bits=minimum_bits, peak_limit=peak_limit)
        rate = rate_of(source)
        mono = samples.mean(axis=1)
        signal, level = prepare(mono, rate, bandwidth_rate=bandwidth_rate)
        if embedding is None:
            vectors = np.stack([embed(window) for window in windows(signal)])
        else:
            vectors = _embed_with(embedding, mono, rate, bandwidth_rate)
        digest = hashlib.sha256(np.ascontiguousarray(mono).tobytes() + str(rate).encode()).hexdigest()
        sound = Sound(source.name, digest, rate, len(mono) / rate, level, vectors)
        if entry is not None:
            _save_entry(entry, sound)
        return sound
    except (AudioError, OSError) as error:
        return f"{source.name}: {error}"


def _embed_with(embedding: Embedding, mono: np.ndarray, rate: int, bandwidth_rate: int) -> np.ndarray:
    """A caller's embedding gets the sound at the common rate, otherwise as it was recorded."""
    if bandwidth_rate < rate:
        mono, rate = resample(mono, rate, bandwidth_rate), bandwidth_rate
    found = embedding(mono, rate)
    try:
        found = np.asarray(found)
        vectors = np.atleast_2d(np.real(found).astype(np.float32))
    except (TypeError, ValueError) as error:
        raise AudioError(f"the embedding gave no array ({error}); (d,) or (frames, d) is needed") from None
    if np.iscomplexobj(found):
        raise AudioError("the embedding gave complex numbers; give their modulus, or both parts")
    if vectors.ndim != 2 or vectors.size == 0:
        raise AudioError(f"the embedding gave shape {vectors.shape}; (d,) or (frames, d) is needed")
    if not np.all(np.isfinite(vectors)):
        raise AudioError("the embedding gave NaN or infinite numbers")
    return vectors


def cache_folder() -> Path:
    """The user's cache folder for embeddings: $AUDIO_DISTANCE_CACHE, else the platform's usual place."""
    if os.environ.get("AUDIO_DISTANCE_CACHE"):
        return Path(os.environ["AUDIO_DISTANCE_CACHE"])
    if sys.platform == "win32" and os.environ.get("LOCALAPPDATA"):
        return Path(os.environ["LOCALAPPDATA"], "audio-distance")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "audio-distance"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "audio-distance"


def _load_entry(path: Path, name: str) -> Sound | None:
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


def load_sets(
    sources: Mapping[str, object],
    *,
    rate,
    embedding,
    on_error: str,
    workers: int | None,
    cache: bool | str | os.PathLike,
    progress: bool | None,
    minimum_bits: int,
    peak_limit: float,
    bandwidth_rate: int | None = None,
) -> tuple[list[SoundSet], int]:
    """Read and embed every set that is not a Description already.

    The common rate is ``bandwidth_rate``, else that of the Descriptions, else the lowest found in all sets.
    """
    sources = {role: _opened(source) for role, source in sources.items()}
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
    if on_error not in {"raise", "skip"}:
        raise ValueError(f"on_error={on_error!r}; it is 'raise' or 'skip'")
    rates = rate if isinstance(rate, (tuple, list)) else [rate] * len(sources)
    if len(rates) != len(sources):
        raise ValueError(f"{len(rates)} rates for {len(sources)} sets")
    listed = [
        (source.name, [], 0) if isinstance(source, Description) else list_set(source, role, r)
        for (role, source), r in zip(sources.items(), rates, strict=True)
    ]
    problems: dict[int, list[str]] = defaultdict(list)
    usable: list[list[Source]] = []
    found_rates: list[int] = []
    for index, (_, items, _) in enumerate(listed):
        usable.append([])
        for item in items:
            try:
                found_rates.append(rate_of(item))
                usable[index].append(item)
            except (AudioError, OSError) as error:
                problems[index].append(f"{item.name}: {error}")
    common = next(iter(fixed.values()), min(found_rates, default=RATE))
    folder = None
    if cache:
        folder = cache_folder() if cache is True else Path(cache)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise AudioError(f"cache: the folder {folder} cannot be made ({error})") from None
    jobs = [item for items in usable for item in items]
    options = dict(
        bandwidth_rate=common,
        embedding=embedding,
        cache=folder,
        minimum_bits=minimum_bits,
        peak_limit=peak_limit,
    )
    described = iter(list(_run(jobs, options, workers=workers, progress=progress)))
    sets = []
    for index, (source, (name, _, passed)) in enumerate(zip(sources.values(), listed, strict=True)):
        if isinstance(source, Description):
            sets.append(SoundSet(name, source._sounds, source.skipped, passed, True))
            continue
        results = [next(described) for _ in usable[index]]
        problems[index] += [result for result in results if isinstance(result, str)]
        sounds = tuple(result for result in results if isinstance(result, Sound))
        sets.append(SoundSet(name, sounds, tuple(sorted(problems[index])), passed, bool(fixed)))
    bad = [f"  {list(sources)[i]}: {line}" for i in sorted(problems) for line in sorted(problems[i])]
    if bad and on_error == "raise":
        raise AudioError(
            f"{len(bad)} of {sum(len(items) for _, items, _ in listed)} files cannot be measured:\n"
            + "\n".join(bad)
            + '\nMend or remove them, or leave them out: on_error="skip", or --skip.'
        )
    for (role, _), loaded in zip(sources.items(), sets, strict=True):
        if len(loaded.sounds) < 2:
            raise AudioError(
                f"{role}: {len(loaded.sounds)} usable sound(s) in {loaded.name}, and a distance "
                "needs at least 2: one sound says nothing about the spread of its set."
                + "".join(f"\n  {line}" for line in loaded.skipped)
            )
    widths = {sound.vectors.shape[1] for loaded in sets for sound in loaded.sounds}
    if len(widths) > 1:
        raise AudioError(f"the embedding gave vectors of different lengths: {sorted(widths)}")
    return sets, common


def _opened(source):
    """The Description in a ``.npz`` file; every other source as it is."""
    is_path = isinstance(source, (str, os.PathLike))
    saved = is_path and Path(source).suffix.lower() == ".npz" and Path(source).is_file()
    return Description.load(source) if saved else source


def _run(jobs: Sequence[Source], options: dict, *, workers: int | None, progress: bool | None) -> Iterator:
    """``_describe_sound`` over all jobs, in order; the same results for every number of workers."""
    if workers is not None and workers < 1:
        raise ValueError(f"workers={workers}; at least 1 is needed")
    if workers is None:
        workers = os.cpu_count() or 1
        if _seconds_about(jobs) < PARALLEL_SECONDS or options["embedding"] is not None:
            workers = 1
    workers = min(workers, max(1, len(jobs)))
    if workers == 1:
        results = (_describe_sound(job, **options) for job in jobs)
    else:
        from joblib import Parallel, delayed

        size = max(1, min(32, len(jobs) // (4 * workers)))
        batches = [jobs[i : i + size] for i in range(0, len(jobs), size)]
        done = Parallel(n_jobs=workers, return_as="generator")(
            delayed(_describe_batch)(batch, options) for batch in batches
        )
        results = itertools.chain.from_iterable(done)
    if progress is False or (progress is None and not sys.stderr.isatty()):
        return results
    from tqdm import tqdm

    return tqdm(results, total=len(jobs), unit="file", desc="reading", delay=0.5, leave=False)


def _describe_batch(batch: Sequence[Source], options: dict) -> list[Sound | str]:
    return [_describe_sound(job, **options) for job in batch]


def _seconds_about(jobs: Sequence[Source]) -> float:
    """Seconds of audio, roughly: files at 100 kB a second, which no format exceeds by far."""
    return sum(
        len(job.array) / job.rate if job.path is None else job.path.stat().st_size / 1e5 for job in jobs
    )
