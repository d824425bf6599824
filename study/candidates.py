"""The candidate distances by hand: examples to check, scenes to see what each is blind to.

Conventions
    example   two tiny sets, the value worked out in words, and its number: ``EXAMPLES``, tested.
    scene     a change of a toy set in the plane (``experiments.scenes``). A bar is the value in standard
              deviations of fresh samples without a change; grey below 2, where one cannot tell.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from experiments.scenes import SCENES, clusters
from study import distances
from study.distances import DISTANCES, NOTES
from study.plots import BLUE, FONT, GREY, ORANGE
from study.sources import seeded

PAIR = ([[0.0], [2.0]], [[1.0], [3.0]])
FAR = ([[0.0], [1.0], [2.0], [3.0], [4.0]], [[100.0], [101.0], [102.0], [103.0], [104.0]])

# name -> reference, candidate, working, value
EXAMPLES: dict[str, tuple[list, list, str, float]] = {
    "frechet": (*PAIR, "means 1 and 2, both variances 2: (1 - 2)² + (√2 - √2)² = 1", 1.0),
    "frechet_infinite": (
        *([[0.0]] * 6, [[3.0]] * 6),
        "no spread, so every subset gives (0 - 3)² = 9: a flat line, 9 at 1/k = 0",
        9.0,
    ),
    "gaussian_mmd": (
        *PAIR,
        "bandwidth 2, k = exp(-d²/8): 2 k(2) - 2 (3 k(1) + k(3)) / 4",
        2 * math.exp(-1 / 2) - (3 * math.exp(-1 / 8) + math.exp(-9 / 8)) / 2,
    ),
    "energy": (*PAIR, "2 (3 √1 + √3) / 4 - √2 - √2", (3 + math.sqrt(3)) / 2 - 2 * math.sqrt(2)),
    "energy_1": (*PAIR, "2 (1 + 1 + 1 + 3) / 4 - 2 - 2 = -1: below zero, as unbiased values are", -1.0),
    "sliced_wasserstein": (*PAIR, "one dimension: sorted, 0 to 1 and 2 to 3, each moves by 1", 1.0),
    "sinkhorn": (*FAR, "each moves by 100: 100² = 10000, less what blurs within the sets", 10000.0),
    "classifier_two_sample": (*FAR, "a threshold between 4 and 100 is always right: 1 - ½", 0.5),
    "lost_precision": (*PAIR, "k = 1, balls of radius 2 around 0 and 2 hold 1 and 3: 1 - 1", 0.0),
    "lost_recall": (*PAIR, "balls of radius 2 around 1 and 3 hold 0 and 2: 1 - 1", 0.0),
    "lost_density": (*PAIR, "1 lies in two balls, 3 in one: 1 - (2 + 1) / 2", -0.5),
    "lost_coverage": (*PAIR, "both balls hold a candidate: 1 - 1", 0.0),
    "mauve": (
        *FAR,
        "two clusters, nothing shared: 1 - ∫ t⁵ d(1-(1-t)⁵) = 1 - 5 · 5! 4! / 10!",
        1 - 5 * math.factorial(5) * math.factorial(4) / math.factorial(10),
    ),
    "mean_difference": (*PAIR, "|1 - 2|", 1.0),
    "paired_l2": (*PAIR, "(|0 - 1| + |2 - 3|) / 2", 1.0),
    "dynamic_time_warping": (
        [[0.0, 2.0]] * 2,
        [[1.0, 3.0]] * 2,
        "frames 0 2 against 1 3: costs 1 3 / 1 1, best path 1 + 1, over its 2 steps",
        1.0,
    ),
}

_OPTIONS = {"gaussian_mmd": {"bandwidth": 2.0}, "dynamic_time_warping": {"coefficients": 1}}


def by_hand(name: str) -> tuple[str, float, float]:
    """The working of an example, its value, and what the function gives."""
    reference, candidate, working, value = EXAMPLES[name]
    function = partial(DISTANCES[name], **_OPTIONS.get(name, {}))
    return working, value, function(np.array(reference), np.array(candidate), rng=seeded(name))


_CALLED = {  # by a candidate, and part of what it computes
    "sliced_wasserstein": ("_transport_1d",),
    "sinkhorn": ("_entropic_plan",),
    "classifier_two_sample": ("_stratified_folds", "_ridge_scores"),
    "mauve": ("_frontier_area",),
    "dynamic_time_warping": ("_alignment_cost",),
    "energy": ("energy_kernel", "kernel_statistic", "_kernel_statistics"),
}


def _rows(rows: list) -> str:
    """Rows as one writes them: 0, 2 for two rows of one column, (0 2), (0 2) for two of two."""
    words = [" ".join(f"{value:g}" for value in row) for row in rows]
    return ", ".join(f"({w})" if len(row) > 1 else w for w, row in zip(words, rows, strict=True))


def implementation(name: str) -> str:
    """The code of a candidate, and of the functions that hold part of it, without docstrings."""
    return "\n\n\n".join(_code(part) for part in (name, *_CALLED.get(name, ())))


def _code(name: str) -> str:
    text = inspect.getsource(getattr(distances, name))
    parts = text.split('"""')
    return parts[0].rstrip() + parts[2].rstrip() if len(parts) == 3 else text.rstrip()


def card(name: str) -> str:
    """Idea, cost and blind spots of a candidate, its example: markdown."""
    note = NOTES[name]
    working, value, given = by_hand(name)
    return (
        f"**{name.replace('_', ' ')}**: `{note['formula']}`. Cost {note['cost']}. Sees: "
        f"{note['sees']}. Misses: {note['misses']}. Source: {note['source']}.\n\n"
        f"By hand, with {_rows(EXAMPLES[name][0])} against {_rows(EXAMPLES[name][1])}: {working}. "
        f"That is {value:.3g}; the function gives {given:.3g}."
    )


# -------------------------------------------------------------------------------------------- scenes


def scenes_picture() -> Figure:
    """The scenes themselves: reference in blue, candidate in orange."""
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    panels = figure.subplots(2, 4).ravel()
    for axes, (scene, make) in zip(panels, {"nothing": clusters, **SCENES}.items(), strict=True):
        rng = seeded(scene, 0)
        axes.plot(*clusters(rng).T, "o", ms=3, color=BLUE)
        axes.plot(*make(rng).T, "x", ms=4, color=ORANGE)
        axes.set_title(scene, fontsize=FONT)
        far = 22 if "outliers" in scene else 10
        axes.set_xlim(-9, far)
        axes.set_ylim(-5, far)
        axes.set_xticks([])
        axes.set_yticks([])
    figure.suptitle(
        "What is changed: reference (blue dots) and candidate (orange crosses)", fontsize=FONT + 1
    )
    return figure


def picture(name: str, values: Mapping[str, float]) -> Figure:
    """What a candidate sees of the scenes: ``values`` as ``scene_values`` gives them, from results."""
    figure = Figure(figsize=(8, 2.3), layout="constrained")
    axes = figure.subplots()
    heights = [np.clip(v, -10, 30) for v in values.values()]
    colours = [BLUE if v >= 2 else GREY for v in values.values()]
    bars = axes.bar(range(len(values)), heights, color=colours)
    for bar, v in zip(bars, values.values(), strict=True):
        axes.annotate(
            f"{v:.1f}",
            (bar.get_x() + bar.get_width() / 2, max(bar.get_height(), 0)),
            ha="center",
            va="bottom",
            fontsize=FONT - 1,
        )
    axes.axhline(0, color="black", lw=0.8)
    axes.set_ylim(-11, 34)
    axes.set_xticks(range(len(values)), list(values), fontsize=FONT - 1)
    axes.set_ylabel("null sd", fontsize=FONT)
    axes.set_title(
        f"{name.replace('_', ' ')}: what it sees (blue) and what it cannot tell (grey)", fontsize=FONT
    )
    return figure
