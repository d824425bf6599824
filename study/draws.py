"""Two samples of one source of sound, the second with an effect: what every distance is tried on.

Conventions
    effect    a damaged version of every file ("noise 1", "reversed"), or damage to the set ("2 labels
              dropped"); "clean" is none, and both samples are draws of one source.
    dropped, left out    the same damage, drawn in two ways: "dropped" by ``experiments.trials``, "left
              out" by ``experiments.statistics``. Each keeps its own, for another draw is another number.
"""

from __future__ import annotations

import numpy as np

from study.datasets.distortions import moment_matched
from study.sources import GRADED, SHUFFLED, Rows

GRADED_SMALL = tuple(f"{kind} {severity}" for kind in GRADED for severity in (1, 2))
GRADED_LARGE = tuple(f"{kind} {severity}" for kind in GRADED for severity in (3, 4, 5))
STRUCTURE = (*SHUFFLED, "reversed", "phase randomised")
DIVERSITY = (
    "1 label dropped",
    "2 labels dropped",
    "3 labels dropped",
    "5 labels dropped",
    "all labels but 1 dropped",
    "weights 3:1",
    "weights 9:1",
    "half duplicates",
    "one repeated",
    "moment matched",
)
GROUP_EFFECTS = ("1 group dropped", "2 groups dropped")  # of digits: six speakers
SMALL_DIVERSITY = (*DIVERSITY[:3], "weights 3:1", "half duplicates", *GROUP_EFFECTS)


def small_effects(source: str) -> tuple[str, ...]:
    """The effects whose mean share seen is the power of a candidate: 38 of digits, 36 of other sources."""
    diversity = [e for e in SMALL_DIVERSITY if source == "digits" or "group" not in e]
    return (*GRADED_SMALL, "shuffled 200 ms", "shuffled 100 ms", "reversed", *diversity)


def all_effects(source: str) -> tuple[str, ...]:
    """The small effects, larger ones of the same kinds, and some that nobody should miss.

    ``source`` is a key of ``study.sources.FILES``; only digits have groups that can be dropped.
    """
    groups = GROUP_EFFECTS if source == "digits" else ()
    return (*GRADED_SMALL, *GRADED_LARGE, *STRUCTURE, *DIVERSITY, *groups)


def draw(rows: Rows, effect: str, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two disjoint samples of ``size`` files, the second with the effect: (size, d) each.

    Parameters
    ----------
    rows : Rows
        Embedded files in every version, with labels and groups.
    effect : str
        "clean", a version of ``rows``, or damage to the set: "2 labels dropped", "1 speaker left out",
        "weights 3:1" (of the first half of the labels to the others), "half duplicates", "one repeated",
        "moment matched" (rows drawn from a normal distribution of the same mean and covariance).
    size : int
        N. Where too few files are left for the second sample it is shorter, or shares files with the first.
    rng : numpy.random.Generator
        The order of its draws is part of every result: a branch must not draw more than it did.
    """
    clean = rows.versions["clean"]
    damaged = clean if effect == "clean" else rows.versions.get(effect)
    if damaged is not None and len(damaged) < len(clean):
        # Few files have a damaged version: the candidate is drawn first, among them.
        second = rng.permutation(len(damaged))[:size]
        first = rng.permutation(np.setdiff1d(np.arange(len(clean)), second))[:size]
        return clean[first], damaged[second]
    order = rng.permutation(len(clean))
    first, rest = order[:size], order[size:]
    if damaged is not None:
        return clean[first], damaged[rest[:size]]
    if effect == "one repeated":
        return clean[first], np.repeat(clean[rest[:1]], size, axis=0)
    if effect == "half duplicates":
        half = rest[: (size + 1) // 2]
        return clean[first], clean[np.concatenate([half, half])[:size]]
    if effect == "moment matched":
        return clean[first], moment_matched(clean, size, rng)
    if effect.endswith("left out"):
        kinds = rows.groups if "speaker" in effect else rows.labels
        left_out = rng.choice(np.unique(kinds), int(effect.split()[0]), replace=False)
        return clean[first], clean[rest[~np.isin(kinds[rest], left_out)][:size]]
    kinds = rows.groups if "group" in effect else rows.labels
    names = rng.permutation(np.unique(kinds))
    if effect.startswith("weights"):
        heavy = np.isin(kinds, names[: len(names) // 2])
        share = {"3:1": 0.75, "9:1": 0.9}[effect.split()[1]]
        count = round(share * size)
        inside, outside = rest[heavy[rest]], rest[~heavy[rest]]
        return clean[first], clean[np.concatenate([inside[:count], outside[: size - count]])]
    count = len(names) - 1 if effect.startswith("all") else int(effect.split()[0])
    rest = rest[~np.isin(kinds[rest], names[:count])]
    if len(rest) < size:  # few are left of one label: those of the first sample may come again
        rest = np.concatenate([rest, order[:size][~np.isin(kinds[order[:size]], names[:count])]])
    return clean[first], clean[rest[:size]]


def draw_groups(groups: np.ndarray, rng: np.random.Generator, *, count: int, files: int) -> list[np.ndarray]:
    """Places of ``files`` files of each of ``count`` groups, all drawn at random.

    ``groups``: (all files,), the group of each. A group of fewer files gives all it has.
    """
    names, member = np.unique(groups, return_inverse=True)
    chosen = rng.permutation(len(names))[:count]
    return [rng.permutation(np.flatnonzero(member == group))[:files] for group in chosen]
