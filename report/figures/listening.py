"""Agreement with listeners."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from report import contrast
from report.figures.style import BLUE, FONT, GREY, ORANGE
from report.figures.trials import _map
from study import trials


def listeners_map(found: Mapping) -> Figure:
    """Mean Spearman correlation with listeners, embedding by distance."""
    values = {}
    for c in contrast.candidates(found):
        each = contrast.listeners(found, c)
        values[c] = float(np.mean([row["spearman"] for row in each.values()]))
    return _map(
        found,
        values,
        f"Agreement with listeners (mean Spearman correlation over {len(found['rated'])} rated sets)\n"
        "most rows were seen when the recipe was chosen, and the sets are small",
        "rank correlation",
    )


def listeners_scatter(found: Mapping) -> Figure:
    """Ratings against the distance as shipped, a panel a rated set."""
    names = list(found["rated"])
    figure = Figure(figsize=(8, 8.4), layout="constrained")
    panels = figure.subplots(-(-len(names) // 3), 3).ravel()
    for axes, name in zip(panels, names, strict=False):
        values, row = found["shipped"][name], found["rated"][name]
        x = [values[s] for s in row["ratings"]]
        axes.plot(x, list(row["ratings"].values()), "o", color=BLUE)
        agreed = trials.agreement(values, row["ratings"])
        figures = "" if row["figures"] == "read" else f", {row['figures']}"
        axes.set_title(f"{name}{figures}\nSpearman {agreed['spearman']:.2f}", fontsize=FONT)
        axes.tick_params(labelsize=FONT)
        axes.margins(0.15)
        axes.xaxis.set_major_locator(MaxNLocator(3))
        axes.yaxis.set_major_locator(MaxNLocator(4))
    for axes in panels[len(names) :]:
        axes.set_axis_off()
    figure.supxlabel("distance to the recordings (no unit)", fontsize=FONT)
    figure.supylabel("mean rating (MOS, SMOS or MUSHRA)", fontsize=FONT)
    figure.suptitle("Better rated systems should lie further left", fontsize=FONT + 2)
    return figure


def listening(found: Mapping) -> Figure:
    """Families of measures: best in hindsight, and nested with its interval over laboratories."""
    rows = found["families"]
    figure = Figure(figsize=(8, 1.4 + 0.42 * (len(rows) + 1)), layout="constrained")
    axes = figure.subplots()
    labels = ["distance as shipped"]
    labels += [
        f"{name}, {row['measures']} measures" if "measures" in row else name for name, row in rows.items()
    ]
    for place, row in enumerate([found["shipped"], *rows.values()]):
        mean, (low, high) = row["spearman"]["mean"], row["spearman"]["interval"]
        axes.errorbar(mean, place, xerr=[[mean - low], [high - mean]], fmt="o", color=BLUE, capsize=3)
        if "hindsight" in row:
            axes.plot(row["hindsight"], place, "D", color=ORANGE, fillstyle="none")
    axes.axvline(found["shipped"]["spearman"]["mean"], color=GREY, lw=1, zorder=0)
    axes.plot([], [], "o", color=BLUE, label="nested: chosen on other laboratories, 95 % interval")
    axes.plot([], [], "D", color=ORANGE, fillstyle="none", label="best in hindsight")
    axes.legend(fontsize=FONT - 1, loc="upper center", bbox_to_anchor=(0.45, -0.16), ncols=2, frameon=False)
    axes.set_yticks(range(len(labels)), labels, fontsize=FONT)
    axes.invert_yaxis()
    axes.set_xlabel("mean Spearman correlation with listeners (1 is perfect, 0 chance)", fontsize=FONT)
    axes.set_title(
        "What looks ahead in hindsight is not when chosen on other laboratories", fontsize=FONT + 1
    )
    return figure
