"""The candidate distances on paper: what each is, an example by hand, its code, a picture of what it sees.

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
from report.figures.style import BLACK, BLUE, GREY, NOTE, ORANGE, new_figure, rows, styled, words
from study import distances
from study.distances import DISTANCES
from study.sources import seeded

# Of each, for a table: ``cost`` in O() for n rows of d columns in either set, n < d; ``biased`` where
# two samples of one distribution are not at distance 0 on average.
NOTES: dict[str, dict[str, str | bool]] = {
    "frechet": {
        "formula": "|m1 - m2|² + tr(S1 + S2 - 2 (S1 S2)^½)",
        "cost": "n² d + n³",
        "sees": "means and covariances",
        "misses": "all else of the distribution; its zero moves with n",
        "source": "Dowson and Landau 1982; Kilgour et al. 2019, arXiv:1812.08466",
        "biased": True,
    },
    "frechet_infinite": {
        "formula": "Frechet of subsets against 1/n, the line's value at 1/n = 0",
        "cost": "16 times Frechet",
        "sees": "means and covariances",
        "misses": "as Frechet; the bias is no straight line while n < d",
        "source": "Chong and Forsyth 2020, arXiv:1911.07023; Gui et al. 2023, arXiv:2311.01616",
        "biased": True,
    },
    "gaussian_mmd": {
        "formula": "E k(x,x') + E k(y,y') - 2 E k(x,y), k = exp(-|x-y|² / 2s²)",
        "cost": "n² d",
        "sees": "every difference near its bandwidth",
        "misses": "differences far from its bandwidth",
        "source": "Gretton et al. 2012, JMLR 13:723; Chung et al. 2025, arXiv:2502.15602",
        "biased": False,
    },
    "energy": {
        "formula": "2 E|x-y|^½ - E|x-x'|^½ - E|y-y'|^½",
        "cost": "n² d",
        "sees": "every difference, at all scales",
        "misses": "rare modes, among many columns that do not matter",
        "source": "Szekely and Rizzo 2013, doi:10.1016/j.jspi.2013.03.018",
        "biased": False,
    },
    "energy_1": {
        "formula": "2 E|x-y| - E|x-x'| - E|y-y'|",
        "cost": "n² d",
        "sees": "every difference, large ones most",
        "misses": "as energy; outliers weigh more",
        "source": "Szekely and Rizzo 2013, doi:10.1016/j.jspi.2013.03.018",
        "biased": False,
    },
    "sliced_wasserstein": {
        "formula": "(mean over directions u of W2²(u'x, u'y))^½",
        "cost": "128 n (d + log n)",
        "sees": "marginals in every direction",
        "misses": "what shows in few directions; its zero moves with n",
        "source": "Bonneel et al. 2015, doi:10.1007/s10851-014-0506-3",
        "biased": True,
    },
    "sinkhorn": {
        "formula": "T(x,y) - ½ T(x,x) - ½ T(y,y), T entropic transport",
        "cost": "n² (d + iterations)",
        "sees": "shape and place of the whole set",
        "misses": "small effects under the bias of small n",
        "source": "Genevay et al. 2018, arXiv:1706.00292",
        "biased": True,
    },
    "classifier_two_sample": {
        "formula": "cross-validated balanced accuracy of ridge regression - ½",
        "cost": "n² d + 5 n³",
        "sees": "what a plane can separate",
        "misses": "equal means; how far, once a plane separates the sets",
        "source": "Lopez-Paz and Oquab 2017, arXiv:1610.06545",
        "biased": False,
    },
    "lost_precision": {
        "formula": "1 - share of y within the k-balls of x, k = 5",
        "cost": "n² d",
        "sees": "bad samples",
        "misses": "lost modes, mild damage",
        "source": "Kynkaanniemi et al. 2019, arXiv:1904.06991",
        "biased": True,
    },
    "lost_recall": {
        "formula": "1 - share of x within the k-balls of y, k = 5",
        "cost": "n² d",
        "sees": "lost modes",
        "misses": "bad samples beside good ones; outliers widen the balls",
        "source": "Kynkaanniemi et al. 2019, arXiv:1904.06991",
        "biased": True,
    },
    "lost_density": {
        "formula": "1 - mean number of k-balls of x around a y, over k, k = 5",
        "cost": "n² d",
        "sees": "bad samples",
        "misses": "lost modes: a repeated typical clip looks good",
        "source": "Naeem et al. 2020, arXiv:2002.09797",
        "biased": False,
    },
    "lost_coverage": {
        "formula": "1 - share of k-balls of x that hold a y, k = 5",
        "cost": "n² d",
        "sees": "lost modes",
        "misses": "mild damage, weights of modes",
        "source": "Naeem et al. 2020, arXiv:2002.09797",
        "biased": True,
    },
    "mauve": {
        "formula": "1 - area under (exp(-5 KL(Q|R)), exp(-5 KL(P|R))) of k-means histograms",
        "cost": "n² d + n k d an iteration",
        "sees": "weights of clusters",
        "misses": "all within a cluster; few files make few clusters",
        "source": "Pillutla et al. 2021, arXiv:2102.01454",
        "biased": True,
    },
    "mean_difference": {
        "formula": "|m1 - m2|",
        "cost": "n d",
        "sees": "a shift of the mean",
        "misses": "spread, modes, everything of second order",
        "source": "what people try first",
        "biased": True,
    },
    "paired_l2": {
        "formula": "mean |x_i - y_i|",
        "cost": "n d",
        "sees": "errors of a copy",
        "misses": "everything without an exact twin; a delay looks like another sound",
        "source": "what people try first",
        "biased": True,
    },
    "dynamic_time_warping": {
        "formula": "mean cost per step of the best alignment, all pairs",
        "cost": "n² frames² 13",
        "sees": "another course of timbre in time",
        "misses": "sets: a varied set is far from itself",
        "source": "Sakoe and Chiba 1978, doi:10.1109/TASSP.1978.1163055",
        "biased": True,
    },
}


SEEN = 2  # null standard deviations, from which a bar is blue
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
    """The working of an example, its value, and what the function gives: text, float, float.

    ``name`` is a distance of ``study.distances.DISTANCES``. The two numbers agree to the tolerance of a test.
    """
    reference, candidate, working, value = EXAMPLES[name]
    function = partial(DISTANCES[name], **_OPTIONS.get(name, {}))
    return working, value, function(np.array(reference), np.array(candidate), rng=seeded(name))


_CALLED = {  # by a candidate, and part of what it computes
    "sliced_wasserstein": ("_transport_1d",),
    "sinkhorn": ("_entropic_plan",),
    "classifier_two_sample": ("_stratified_folds", "_ridge_scores"),
    "mauve": ("_frontier_area",),
    "dynamic_time_warping": ("_alignment_cost",),
    "energy": ("energy_kernel", "kernel_statistic", "kernel_statistics"),
}


def _rows(rows: list) -> str:
    """Rows as one writes them: 0, 2 for two rows of one column, (0 2), (0 2) for two of two."""
    words = [" ".join(f"{value:g}" for value in row) for row in rows]
    return ", ".join(f"({w})" if len(row) > 1 else w for w, row in zip(words, rows, strict=True))


def implementation(name: str) -> str:
    """The code of a candidate, and of the functions that hold part of it, without docstrings.

    Read from the source that is run, so that what a notebook shows cannot be another.
    """
    return "\n\n\n".join(_code(part) for part in (name, *_CALLED.get(name, ())))


def _code(name: str) -> str:
    text = inspect.getsource(getattr(distances, name))
    parts = text.split('"""')  # before, in and after the docstring
    return parts[0].rstrip() + parts[2].rstrip() if len(parts) == 3 else text.rstrip()


def card(name: str) -> str:
    """Idea, cost and blind spots of a candidate, and its example by hand: two paragraphs of Markdown.

    The second states the number worked out and the one the function gives, to three digits.
    """
    note = NOTES[name]
    working, value, given = by_hand(name)
    return (
        f"**{words(name)}**: `{note['formula']}`. Cost {note['cost']}. Sees: "
        f"{note['sees']}. Misses: {note['misses']}. Source: {note['source']}.\n\n"
        f"By hand, with {_rows(EXAMPLES[name][0])} against {_rows(EXAMPLES[name][1])}: {working}. "
        f"That is {value:.3g}; the function gives {given:.3g}."
    )


@styled
def scenes_picture() -> Figure:
    """The scenes themselves, a panel each: reference as blue dots, candidate as orange crosses.

    60 points a side in the plane, no unit; first the scene without a change, then those of
    ``experiments.scenes``.
    """
    figure, panels = new_figure(
        4.4, "What is changed: reference (blue dots) and candidate (orange crosses)", 2, 4
    )
    for axes, (scene, make) in zip(panels.flat, {"nothing": clusters, **SCENES}.items(), strict=True):
        rng = seeded(scene, 0)
        axes.plot(*clusters(rng).T, "o", ms=3, color=BLUE)
        axes.plot(*make(rng).T, "x", ms=5, mew=1.3, color=ORANGE)
        axes.set_title(scene)
        far = 22 if "outliers" in scene else 10  # they lie at (20, 20)
        axes.set(xlim=(-9, far), ylim=(-5, far), xticks=[], yticks=[])
        axes.spines[["top", "right"]].set_visible(True)
    return figure


@styled
def picture(name: str, values: Mapping[str, float]) -> Figure:
    """What a candidate sees of the scenes, a row each.

    ``values``: scene -> number, as in results/scenes.json. Along x standard deviations of samples without a
    change: blue from 2, grey below, where one cannot tell. Bars end at -10 and 30; the number beside says
    what they would be.
    """
    figure, axes = new_figure(3, f"{words(name)}: what it sees (blue) and what it cannot tell (grey)")
    shown = np.clip(list(values.values()), -10, 30)  # the number says what a bar that is cut would be
    colours = [BLUE if value >= SEEN else GREY for value in values.values()]
    axes.barh(range(len(values)), shown, 0.7, color=colours)
    for place, (end, value) in enumerate(zip(shown, values.values(), strict=True)):
        axes.annotate(
            f"{value:.1f}", (max(end, 0), place), (4, 0), textcoords="offset points", va="center",
            fontsize=NOTE,
        )  # fmt: skip
    axes.axvline(0, color=BLACK, lw=0.8)
    axes.set_xlim(-10.5, 35)
    rows(axes, values)
    axes.set_xlabel("value (standard deviations of samples without a change)")
    return figure
