"""What do files of unequal length do to the p-value? Sets of one source, one cut longer than the other.

Both sets of every trial are draws of one source, so a p-value of 5 % or less should come in 5 % of trials.
Environmental clips of 5 s (ESC-10, one of every recording, so that no recording is on both sides) and 400 of
white noise, 1,000 trials a condition, 199 rearrangements, seed 0.

Conventions
    condition    lengths in seconds of the files of the reference and of the candidate, 20 a side where
                 nothing else is said; a piece starts at a random place of its clip. "mixed": each file has
                 one of several lengths at random. "groups": of so many 1 s files, are the draws.
                 "pairs": both sides hold the same clips, each cut twice; the test swaps within pairs.
                 "short": clips below a second, whose windows differ in length: what the verdict says.
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
TAKES = "a quarter of an hour"

CLIP_SECONDS, CLIPS = 5.0, 400
FILES, TRIALS, PERMUTATIONS = 20, 1000, 199
ALPHA = 0.05
Described = Mapping[tuple[float, int], Sequence[Sound | None]]  # (length, take) -> a piece of every clip
LENGTHS = (  # of files in the reference and in the candidate, in seconds
    (1.0, 1.0),
    (5.0, 5.0),
    (1.0, 1.05),
    (1.05, 2.0),
    (1.0, 5.0),
    (1.4, 1.6),
    (2.0, 2.05),
    (2.0, 5.0),
    (3.0, 4.0),
)
SHORT = ((0.5, 1.0),)
MIXED = ("1 to 5", "1 to 2")  # seconds: each file one of the lengths above in between
UNEQUAL_FILES = ((5.0, 1.0), (50, 10))  # lengths, and files
PAIRS = ((2.0, 2.0), (1.4, 1.6), (1.0, 5.0))
GROUPS = ((2, 2), (1, 2), (1, 4))  # files of 1 s in a group
TAKES_OF_A_CLIP = 4  # pieces of 1 s, for groups


def run(*, workers: int = -1, quick: bool = False) -> dict:
    """Shares of small p-values in every condition; MissingData without the recordings.

    Returns ``conditions``, a list of rows with ``source``, ``unit`` ("files", "mixed", "short", "unequal
    files", "groups", "pairs"), ``reference`` and ``candidate`` (seconds of a file, or files of a group),
    ``windows``, ``found``, ``noted``, ``short`` (share of verdicts that say so) and ``value`` (mean over the
    trials).
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
                    "short": float(np.mean([e["short"] for e in each])),
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
            f"{row['source']:21} {row['unit']:13} {row['reference']!s:6} {row['candidate']!s:6}   "
            f"{hits / trials:6.1%} of {trials} with p <= .05, noted {row['noted']:.0%}, "
            f"in the verdict {row['short']:.0%}"
        )
    return "\n".join(lines)


def _conditions() -> list[tuple[str, tuple[float, float]]]:
    return [
        *(("files", lengths) for lengths in LENGTHS),
        *(("short", lengths) for lengths in SHORT),
        ("mixed", MIXED),
        ("unequal files", UNEQUAL_FILES[0]),
        *(("pairs", lengths) for lengths in PAIRS),
        *(("groups", counts) for counts in GROUPS),
    ]


def _described(source: str, workers: int) -> dict[tuple[float, int], list[Sound | None]]:
    """(Length in seconds, take) -> one described piece of every clip."""
    if source == "white noise":
        rng, rate = seeded("lengths", source), metrics.RATE
        clips = [rng.normal(0, 0.1, int(CLIP_SECONDS * rate)).astype(np.float32) for _ in range(CLIPS)]
    else:
        sounds = datasets.sounds()
        _, firsts = np.unique(sounds.groups, return_index=True)
        clips, rate = [sounds.signals[i] for i in firsts], sounds.rate
    wanted = {length for lengths in (*LENGTHS, *SHORT, *PAIRS) for length in lengths}
    jobs = [(length, 0) for length in sorted(wanted)]
    # Another piece of a clip for pairs of one length: the same would be one draw in both sets.
    jobs += [(one, 1) for one, two in PAIRS if one == two]
    jobs += [(1.0, take) for take in range(1, TAKES_OF_A_CLIP)]
    done = Parallel(n_jobs=workers)(
        delayed(_describe_pieces)(clips, rate, source, length, take) for length, take in jobs
    )
    return dict(zip(jobs, done, strict=True))


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
                described = metrics.describe_signal(clip[start : start + size], rate)
            except metrics.AudioError:
                pieces.append(None)
            else:
                seconds = min(size, len(clip)) / rate
                pieces.append(
                    Sound(
                        name,
                        content=name,
                        rate=rate,
                        seconds=seconds,
                        sounding_seconds=described.sounding_seconds,
                        level_db=described.level_db,
                        vectors=described.vectors,
                    )
                )
    return pieces


def _sides(described: Described, source: str, kind: str, condition: tuple, trial: int) -> list[list[Sound]]:
    """Two samples of one source; for pairs the same clips twice."""
    rng = seeded("lengths", source, kind, condition, trial)
    clips = rng.permutation(len(described[1.0, 0]))
    sizes = UNEQUAL_FILES[1] if kind == "unequal files" else (FILES, FILES)
    pieces = []
    for side, wanted in enumerate(condition):
        if kind == "groups":
            keys = [[(1.0, take) for take in range(wanted)] for _ in clips]
        elif kind == "mixed":
            low, high = (float(end) for end in wanted.split(" to "))
            between = sorted({one for pair in LENGTHS for one in pair if low <= one <= high})
            keys = [[(between[i], 0)] for i in rng.integers(len(between), size=len(clips))]
        else:
            again = kind == "pairs" and side == 1 and condition[0] == condition[1]
            keys = [[(wanted, int(again))] for _ in clips]
        pieces.append(
            [[described[key][clip] for key in of_clip] for clip, of_clip in zip(clips, keys, strict=True)]
        )
    # A clip of which any piece is silent is left out.
    whole = [i for i in range(len(clips)) if all(s is not None for side in pieces for s in side[i])]
    chosen = [whole[: sizes[0]], whole[: sizes[0]] if kind == "pairs" else whole[sizes[0] : sum(sizes)]]
    sides = [[s for i in some for s in side[i]] for side, some in zip(pieces, chosen, strict=True)]
    if kind == "pairs":  # the same names on both sides
        sides = [[dataclasses.replace(s, name=s.name.split()[0]) for s in side] for side in sides]
    return sides


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
    units = (result.reference.units, result.candidate.units)
    windows = [sum(len(s.vectors) for s in side) for side in (reference, candidate)]
    return {
        "p_value": result.p_value,
        "value": result.value,
        "windows": [count / n for count, n in zip(windows, units, strict=True)],
        "noted": any("windows" in line for line in result.warnings),
        "short": result.short_clips,
    }


def _description(sounds: Sequence[Sound]) -> Description:
    ordered = tuple(sorted(sounds, key=lambda sound: sound.name))
    return Description("pieces", min(sounds[0].rate, metrics.RATE), metrics.constants()[1], (), ordered)
