"""The challenge: its two distances, and the distances between sounds that everybody knows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from report.figures.style import BLACK, BLUE, GREY, ORANGE, heat_map, new_figure, rows, rung, slanted, styled

WRITINGS = {  # of the test sets: label, colour, marker
    "historic": ("as published, with clicks", ORANGE, "o"),
    "clean": ("clean", BLUE, "D"),
}


@styled
def challenge(results: Mapping) -> Figure:
    """The two distances of the challenge, as published and clean, with intervals and the null band.

    A row each test and writing; along x the distance to the background, no unit, with its 95 % interval and
    p. Grey is where 95 % of the splits of the background itself lie: a distance within it is nothing.

    Reads ``sets``: writing -> test -> value, interval, p_value; and ``split``: ``central_95``.
    """
    figure, axes = new_figure(4.2, "What moves the tests away from the background are the clicks")
    low, high = results["split"]["central_95"]
    axes.axvspan(low, high, color=GREY, alpha=0.5, lw=0)
    axes.axvline(0, color=BLACK, lw=0.8)
    names = []
    for test in ("test1", "test2"):
        for writing, (label, colour, marker) in WRITINGS.items():
            comparison = results["sets"][writing][test]
            value, interval = comparison["value"], comparison["interval"]
            rung(axes, len(names), value, interval, colour=colour, marker=marker)
            text = f"{value:.3f}, p = {comparison['p_value']:.3f}"
            _note(axes, text, interval[1], len(names), colour)
            names.append(f"{test}, {label}")
    # In its own row, so that it hides nothing.
    _note(axes, "grey: 95 % of the splits of the background itself", high, len(names) - 0.35, BLACK)
    rows(axes, names)
    axes.set_ylim(len(names) - 0.05, -0.6)  # room for the note below the last row
    axes.set_xlim(right=1.4 * max(results["sets"]["historic"]["test1"]["interval"]))
    axes.set_xlabel("distance to the background (no unit; bar: 95 % interval)")
    return figure


def _note(axes, text: str, x: float, y: float, colour: str) -> None:
    axes.annotate(text, (x, y), xytext=(10, 0), textcoords="offset points", va="center", color=colour)


@styled
def real_audio(results: Mapping) -> Figure:
    """The distances between the ten classes of environmental sounds, alike classes side by side.

    Rows and columns are classes of 40 clips, numbers and shades distances, no unit; on the diagonal, bold, a
    class against itself: the mean of random splits, which is 0 but for chance.
    """
    classes = results["sounds"]
    order = alike_first(np.array(classes["value"]))
    names = np.array(classes["names"])[order]
    table = pd.DataFrame(np.array(classes["value"])[np.ix_(order, order)], names, names)
    figure, axes = new_figure(
        7.2,
        "Steady noises lie close together, short events lie close together\n"
        f"(diagonal: a class against itself, mean of {classes['splits']} splits)",
    )
    limits = (0, table.to_numpy().max())
    itself = np.eye(len(table), dtype=bool)  # the diagonal is another kind of number: bold
    heat_map(axes, table, limits=limits, bold=itself, bar="distance (no unit)", square=True)
    slanted(axes)
    return figure


def alike_first(values: np.ndarray) -> np.ndarray:
    """An order of the rows of a distance table, (n, n), in which neighbours are alike: (n,) indices.

    The leaves of an average-linkage tree, turned so that neighbours are as near as the tree allows
    (Bar-Joseph et al. 2001, doi:10.1093/bioinformatics/17.suppl_1.S22). Values below 0 count as 0, and the
    diagonal does not count.
    """
    condensed = np.maximum(values, 0)  # an unbiased value may be below 0, a length in a tree may not
    np.fill_diagonal(condensed, 0)
    return leaves_list(linkage(squareform(condensed, checks=False), "average", optimal_ordering=True))
