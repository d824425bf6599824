"""What do files of unequal length do to the p-value? Sets of one source, one cut longer than the other.

Both sets of every trial are draws of one source, so a p-value of 5 % or less should come in 5 % of trials.
Environmental clips of 5 s (ESC-10, one of every recording, so that no recording is on both sides) and 400 of
white noise, 20 files a side, 200 trials a condition, 199 rearrangements, seed 0.

Conventions
    condition    lengths in seconds of the files of the reference and of the candidate; a piece starts at a
                 random place of its clip. "groups of 1 and 2": groups of so many 1 s files are the draws.
                 "pairs": both sides hold the same clips, each cut twice; the test swaps within pairs.
    windows      mean number of windows a unit, of either side: what the lengths become in the distance.
    found        trials with p of 5 % or less, and trials.
    noted        share of the trials whose result says in a note that lengths differ.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits
from tqdm import tqdm

import metrics
from audio_distance.description import Description, Sound
from study import datasets
from study.sources import seeded

DATA = ("sounds",)
TAKES = "ten minutes"

CLIP_SECONDS, CLIPS = 5.0, 400
FILES, TRIALS, PERMUTATIONS = 20, 200, 199
ALPHA = 0.05
LENGTHS = (  # of files in the reference and in the candidate, in seconds
    (1.0, 1.0),
    (5.0, 5.0),
    (0.5, 1.0),
    (1.0, 5.0),
    (1.4, 1.6),
    (2.0, 2.05),
    (2.0, 5.0),
)
PAIRS = ((2.0, 2.0), (1.4, 1.6), (1.0, 5.0))
GROUPS = ((2, 2), (1, 2))  # files of 1 s in a group


def run(*, workers: int = -1, quick: bool = False) -> dict:
    """Shares of small p-values in every condition; MissingData without the recordings.

    Returns ``conditions``, a list of rows with ``source``, ``unit`` ("files", "groups", "pairs"),
    ``reference`` and ``candidate`` (seconds of a file, or files of a group), ``windows``, ``found``,
    ``noted`` and ``value`` (mean over the trials).
    """
    trials = 10 if quick else TRIALS
    rows = []
    for source in ("environmental sounds", "white noise"):
        described = _described(source, workers)
        for kind, condition in _conditions():
            # Chosen here, so that a worker is sent 40 sounds and not all of them.
            jobs = (
                delayed(_compared)(*_sides(described, source, kind, condition, trial), kind, trial)
                for trial in range(trials)
            )
            done = Parallel(n_jobs=workers, return_as="generator")(jobs)
            label = f"{source}, {kind} {condition[0]} and {condition[1]}"
            each = list(tqdm(done, total=trials, desc=label, unit="trial", leave=False))
            rows.append(
                {
                    "source": source,
                    "unit": kind,
                    "reference": condition[0],
                    "candidate": condition[1],
                    "windows": [float(np.mean([e["windows"][side] for e in each])) for side in (0, 1)],
                    "found": [sum(e["p_value"] <= ALPHA for e in each), trials],
                    "noted": float(np.mean([e["noted"] for e in each])),
                    "value": float(np.mean([e["value"] for e in each])),
                }
            )
    return {"files": FILES, "permutations": PERMUTATIONS, "alpha": ALPHA, "conditions": rows}


def summary(content: Mapping) -> str:
    """A line a condition."""
    lines = []
    for row in content["conditions"]:
        hits, trials = row["found"]
        lines.append(
            f"{row['source']:21} {row['unit']:7} {row['reference']:5} {row['candidate']:5}   "
            f"{hits / trials:6.1%} of {trials} with p <= .05, noted {row['noted']:.0%}"
        )
    return "\n".join(lines)


def _conditions() -> list[tuple[str, tuple[float, float]]]:
    return [
        *(("files", lengths) for lengths in LENGTHS),
        *(("pairs", lengths) for lengths in PAIRS),
        *(("groups", counts) for counts in GROUPS),
    ]


def _described(source: str, workers: int) -> dict[float, list[Sound]]:
    """Length in seconds -> one described piece of every clip; minus a length -> a second piece."""
    if source == "white noise":
        rng, rate = seeded("lengths", source), metrics.RATE
        clips = [rng.normal(0, 0.1, int(CLIP_SECONDS * rate)).astype(np.float32) for _ in range(CLIPS)]
    else:
        sounds = datasets.sounds()
        _, firsts = np.unique(sounds.groups, return_index=True)
        clips, rate = [sounds.signals[i] for i in firsts], sounds.rate
    wanted = sorted({length for lengths in (*LENGTHS, *PAIRS) for length in lengths})
    # Two pieces of a clip where both are needed: for groups of two files, and for pairs of one length.
    twice = {1.0, *(one for one, two in PAIRS if one == two)}
    jobs = [(length, take) for length in wanted for take in ((0, 1) if length in twice else (0,))]
    done = Parallel(n_jobs=workers)(
        delayed(_describe_pieces)(clips, rate, source, length, take) for length, take in jobs
    )
    described = dict(zip(jobs, done, strict=True))
    return {(length if take == 0 else -length): described[length, take] for length, take in jobs}


def _describe_pieces(
    clips: Sequence[np.ndarray], rate: int, source: str, length: float, take: int
) -> list[Sound | None]:
    """One piece of every clip; None where it is silent."""
    pieces = []
    with threadpool_limits(1):
        for number, clip in enumerate(clips):
            size = round(length * rate)
            start = seeded("lengths", source, number, length, take).integers(0, max(1, len(clip) - size + 1))
            name = f"{number:03d} {length} {take}"
            try:
                vectors, level = metrics.describe_signal(clip[start : start + size], rate)
            except metrics.AudioError:
                pieces.append(None)
            else:
                pieces.append(Sound(name, name, rate, min(size, len(clip)) / rate, level, vectors))
    return pieces


def _sides(
    described: Mapping[float, Sequence[Sound | None]],
    source: str,
    kind: str,
    condition: tuple[float, float],
    trial: int,
) -> list[list[Sound]]:
    """Two samples of one source; for pairs the same clips twice."""
    rng = seeded("lengths", source, kind, condition, trial)
    order = rng.permutation(len(described[1.0]))
    one, two = condition
    if kind == "pairs" and one == two:
        two = -two  # another piece: the same one would be one draw in both sets
    needed = (1.0, -1.0) if kind == "groups" else (one, two)
    whole = [i for i in order if all(described[length][i] is not None for length in needed)]
    left = whole[:FILES]
    right = left if kind == "pairs" else whole[FILES : 2 * FILES]
    return [_pieces(described, kind, one, left), _pieces(described, kind, two, right)]


def _compared(reference: Sequence[Sound], candidate: Sequence[Sound], kind: str, trial: int) -> dict:
    """One comparison."""
    options = {"groups": r"^\d+"} if kind == "groups" else {"paired": kind == "pairs"}
    with threadpool_limits(1):
        result = metrics.compare(
            _description(reference),
            _description(candidate),
            permutations=PERMUTATIONS,
            seed=trial,
            **options,
        )
    return {
        "p_value": result.p_value,
        "value": result.value,
        "windows": [sum(len(s.vectors) for s in side) / FILES for side in (reference, candidate)],
        "noted": any("durations" in line or "windows" in line for line in result.warnings),
    }


def _pieces(
    described: Mapping[float, Sequence[Sound | None]], kind: str, length: float, chosen: Sequence[int]
) -> list[Sound]:
    """Of pairs the same names on both sides; of groups so many pieces of 1 s of each clip."""
    if kind != "groups":
        pieces = [described[length][i] for i in chosen]
        return [dataclasses.replace(s, name=s.name.split()[0]) for s in pieces] if kind == "pairs" else pieces
    return [described[take][i] for i in chosen for take in (1.0, -1.0)[: int(length)]]


def _description(sounds: Sequence[Sound]) -> Description:
    ordered = tuple(sorted(sounds, key=lambda sound: sound.name))
    return Description("pieces", min(sounds[0].rate, metrics.RATE), metrics.constants()[1], (), ordered)
