"""The challenge: the two distances, and the distances between known sounds."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from report.figures.style import BLUE, FONT, GREY, ORANGE

STYLES = {  # of the two writings of the test sets: label, colour, marker
    "historic": ("as published, with clicks", ORANGE, "o"),
    "clean": ("clean", BLUE, "D"),
}


def challenge(found: Mapping) -> Figure:
    """The two distances of the challenge, historic and clean, with intervals and the null band."""
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    low, high = found["split"]["central_95"]
    axes.axvspan(low, high, color=GREY, alpha=0.5, lw=0)
    axes.axvline(0, color="black", lw=0.8)
    rows, labels = [], []
    for test in ("test1", "test2"):
        for kind, (label, colour, marker) in STYLES.items():
            row = len(rows)
            c = found["sets"][kind][test]
            axes.plot(c["interval"], [row, row], color=colour, lw=2)
            axes.plot(c["value"], row, marker=marker, color=colour, ms=9)
            text = f"{c['value']:.3f}, p = {c['p_value']:.3f}"
            axes.annotate(
                text,
                (c["interval"][1], row),
                xytext=(10, 0),
                textcoords="offset points",
                va="center",
                fontsize=FONT,
                color=colour,
            )
            rows.append(row)
            labels.append(f"{test}, {label}")
    # In its own row, so that it hides nothing.
    axes.annotate(
        "grey: 95 % of the splits of the background itself",
        (high, len(rows) - 0.35),
        xytext=(10, 0),
        textcoords="offset points",
        va="center",
        fontsize=FONT,
    )
    axes.set_yticks(rows, labels, fontsize=FONT)
    axes.set_ylim(len(rows) - 0.05, -0.6)
    axes.set_xlim(right=1.4 * max(found["sets"]["historic"]["test1"]["interval"]))
    axes.set_xlabel("distance to the background (no unit; bar: 95 % interval)", fontsize=FONT)
    axes.tick_params(axis="x", labelsize=FONT)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(
        "What sets the tests apart from the background are the clicks", fontsize=FONT + 2, loc="left"
    )
    return figure


def real_audio(found: Mapping) -> Figure:
    """The distances between the classes of environmental sounds, alike classes side by side."""
    table = found["sounds"]
    values, names = np.array(table["value"]), np.array(table["names"])
    order = alike_first(values)
    values, names = values[np.ix_(order, order)], names[order]
    figure = Figure(figsize=(8, 7.2), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(values, cmap="cividis", vmin=0)
    for (i, j), value in np.ndenumerate(values):
        # Above half of the range the map is bright.
        colour = "black" if value > 0.5 * values.max() else "white"
        axes.text(
            j,
            i,
            f"{value:.2f}".replace("-0.00", "0.00"),
            ha="center",
            va="center",
            color=colour,
            fontsize=FONT,
            fontweight="bold" if i == j else "normal",
        )
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right", fontsize=FONT)
    axes.set_yticks(range(len(names)), names, fontsize=FONT)
    bar = figure.colorbar(image, ax=axes, shrink=0.8)
    bar.set_label("distance (no unit)", fontsize=FONT)
    bar.ax.tick_params(labelsize=FONT)
    axes.set_title(
        "Steady noises lie close together, short events lie close together\n"
        f"(diagonal: a class against itself, mean of {table['splits']} splits)",
        fontsize=FONT + 2,
        loc="left",
    )
    return figure


def alike_first(values: np.ndarray) -> np.ndarray:
    """An order of the rows of a distance table in which neighbours are alike."""
    condensed = np.maximum(values, 0)
    np.fill_diagonal(condensed, 0)
    return leaves_list(linkage(squareform(condensed, checks=False), "average", optimal_ordering=True))
