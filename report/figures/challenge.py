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


@styled
def ruler(results: Mapping) -> Figure:
    """What a value means: known sounds on the scale of the distance, one ruler a bandwidth.

    Rows are pairs of sets, along x their distance, no unit, with its 95 % interval. Of each bandwidth the two
    halves of one set (mean of random splits, all sets; no interval is drawn), then the nearest pair, those a
    third and two thirds of the way through all pairs in order, and the farthest.

    Reads ``sounds`` and ``speakers``: names, value, interval_half_width, files, split_mean, bandwidth_hz.
    """
    figure, panels = new_figure(
        4.8,
        "What a value means: known sounds on the scale of the distance",
        2,
        1,
        sharex=True,
    )
    kinds = {
        "sounds": ("class", "o", BLUE, "environmental sounds"),
        "speakers": ("speaker", "D", ORANGE, "speakers of digits"),
    }
    for axes, (key, (one, marker, colour, what)) in zip(panels, kinds.items(), strict=True):
        known = results[key]
        axes.axvline(0, color=GREY, lw=0.8)
        landmarks = [(f"two halves of one {one}", known["split_mean"], 0.0), *_landmarks(known)]
        for place, (_, value, half) in enumerate(landmarks):
            rung(axes, place, value, (value - half, value + half), colour=colour, marker=marker)
            _note(axes, f"{value:.2f}".replace("-0.00", "0.00"), value + half, place, BLACK)
        names = [name for name, *_ in landmarks]
        # Classes are words, speakers are names.
        rows(
            axes,
            [
                names[0],
                *(
                    n.title().replace(" And ", " and ") if one == "speaker" else n.capitalize()
                    for n in names[1:]
                ),
            ],
        )
        axes.set_title(
            f"{what}, {known['files'][0]} files each, compared below {known['bandwidth_hz']:,.0f} Hz"
        )
    panels[-1].set_xlim(right=1.05 * panels[-1].get_xlim()[1])  # room for the last number
    panels[-1].set_xlabel("distance (no unit; bar: 95 % interval). Values compare within one bandwidth")
    return figure


def _landmarks(known: Mapping) -> list[tuple[str, float, float]]:
    """Nearest pair, two between, farthest: names, value, half of its interval."""
    value, half = np.array(known["value"]), np.array(known["interval_half_width"])
    one, other = np.triu_indices(len(value), 1)
    order = np.argsort(value[one, other])
    chosen = order[np.linspace(0, len(order) - 1, 4).round().astype(int)]
    return [
        (f"{known['names'][i]} and {known['names'][j]}", float(value[i, j]), float(half[i, j]))
        for i, j in zip(one[chosen], other[chosen], strict=True)
    ]


def alike_first(values: np.ndarray) -> np.ndarray:
    """An order of the rows of a distance table, (n, n), in which neighbours are alike: (n,) indices.

    The leaves of an average-linkage tree, turned so that neighbours are as near as the tree allows
    (Bar-Joseph et al. 2001, doi:10.1093/bioinformatics/17.suppl_1.S22). Values below 0 count as 0, and the
    diagonal does not count.
    """
    condensed = np.maximum(values, 0)  # an unbiased value may be below 0, a length in a tree may not
    np.fill_diagonal(condensed, 0)
    return leaves_list(linkage(squareform(condensed, checks=False), "average", optimal_ordering=True))
