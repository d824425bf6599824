"""Agreement with listeners: of every candidate, of the distance set by set, and of ideas to improve it."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from report import contrast
from report.figures.style import BLUE, GREY, ORANGE, new_figure, rows, rung, styled, words
from report.figures.trials import candidate_map
from study.agreement import READ, agreement, by_laboratory

COLUMNS, CHARACTERS = 4, 22  # panels side by side, and of their titles' names what fits
IDEAS = {  # families of measures, in few words
    "incumbents": "Frechet and Gaussian MMD",
    "a": "(a) other windows",
    "b grid": "(b) views weighted, a grid",
    "b learned": "(b) views weighted, learned",
    "c": "(c) several embeddings",
    "d": "(d) clips in other ways",
    "e": "(e) the inaudible hidden",
    "f": "(f) unbiased, on a network",
    "all": "any of these ideas",
}


@styled
def listeners_map(results: Mapping) -> Figure:
    """Mean Spearman correlation with listeners, embeddings down, distances across.

    1 is their order of systems, 0 chance; mean over laboratories, each the mean of its rated sets. This
    distance is framed.
    """
    laboratories = {name: row["laboratory"] for name, row in results["rated"].items()}
    values = {}
    for candidate in contrast.candidates(results):
        each = {name: row["spearman"] for name, row in contrast.listeners(results, candidate).items()}
        values[candidate] = float(np.mean(list(by_laboratory(each, laboratories).values())))
    return candidate_map(
        values,
        f"Agreement with listeners in {len(laboratories)} rated sets\n"
        f"(mean Spearman correlation over {len(set(laboratories.values()))} laboratories; "
        "framed: this distance)",
        "rank correlation",
    )


@styled
def listeners_scatter(results: Mapping) -> Figure:
    """Ratings against the distance as shipped, a panel a rated set, a point a system.

    Along x the distance to the recordings, no unit; along y the mean rating on the set's own scale (MOS,
    SMOS, CMOS or MUSHRA). Better rated systems should lie further left: the title has Spearman's
    correlation, the highest first, and what is below 0 is orange. Hollow squares: ratings that were not read
    in the publication itself.
    """
    agreements = {
        name: agreement(results["shipped"][name], rated["ratings"])["spearman"]
        for name, rated in results["rated"].items()
    }
    names = sorted(agreements, key=agreements.get, reverse=True)
    lines = -(-len(names) // COLUMNS)
    figure, panels = new_figure(
        1.1 + 1.8 * lines,
        "Better rated systems should lie further left (above: the rank correlation, orange below 0)\n"
        "(hollow squares: ratings not read in the publication, but recalled or second-hand)",
        lines,
        COLUMNS,
        squeeze=False,
    )
    for axes, name in zip(panels.flat, names, strict=False):
        values, rated = results["shipped"][name], results["rated"][name]
        ratings = rated["ratings"]
        look = {"marker": "o"} if rated["figures"] == READ else {"marker": "s", "mfc": "none", "mew": 1.5}
        # 0 would be no order at all; below it listeners prefer what is farther away.
        look["color"] = BLUE if agreements[name] >= 0 else ORANGE
        axes.plot([values[system] for system in ratings], list(ratings.values()), ls="none", **look)
        title = textwrap.shorten(words(name), CHARACTERS, placeholder="…")
        axes.set_title(f"{title}\n{agreements[name]:.2f}")
        axes.margins(0.15)
        axes.xaxis.set_major_locator(MaxNLocator(2, min_n_ticks=2))
        axes.yaxis.set_major_locator(MaxNLocator(3))
    for axes in panels.flat[len(names) :]:  # the grid has more places than there are sets
        axes.set_axis_off()
    figure.supxlabel("distance to the recordings (no unit)")
    figure.supylabel("mean rating (MOS, SMOS, CMOS or MUSHRA)")
    return figure


@styled
def listening(results: Mapping) -> Figure:
    """Families of measures: best in hindsight (hollow), and nested (filled) with its interval.

    The distance as shipped on top and as a grey line, below it a single rival where one was measured (both
    are one measure, and nothing is chosen), then a family a row; along x the mean Spearman correlation with
    listeners. The gap between hollow and filled is what choosing on the sets one judges by flatters.

    Reads ``shipped``, ``rival`` (with its ``name``) and ``families``: name -> ``spearman`` (mean, interval
    over laboratories), ``hindsight``, ``measures``.
    """
    shipped, families = results["shipped"]["spearman"], results["families"]
    ahead = [IDEAS[n] for n, row in families.items() if row["lead_spearman"]["corrected"][0] > 0]
    names_ahead = ", ".join(ahead) or "nothing"
    figure, axes = new_figure(
        2.6 + 0.4 * len(families),
        textwrap.fill(f"Surely ahead of the distance, if chosen on other laboratories: {names_ahead}", 90),
    )
    axes.axvline(shipped["mean"], color=GREY, lw=1, zorder=0)
    shown = {"distance as shipped": {"spearman": shipped}}
    if "rival" in results:
        shown[words(results["rival"]["name"])] = {"spearman": results["rival"]["spearman"]}
    for name, row in families.items():
        count = f", {row['measures']} measures" if "measures" in row else ""
        shown[f"{IDEAS[name]}{count}"] = row
    for place, row in enumerate(shown.values()):
        nested = row["spearman"]
        rung(axes, place, nested["mean"], nested["interval"], colour=BLUE, marker="o")
        if "hindsight" in row:
            axes.plot(row["hindsight"], place, "D", color=ORANGE, fillstyle="none")
    # Nothing is drawn: entries of the legend, one each for all rows.
    axes.plot([], [], "o-", color=BLUE, label="nested: chosen on other laboratories, 95 % interval")
    axes.plot([], [], "D", color=ORANGE, fillstyle="none", label="best in hindsight")
    rows(axes, shown)
    axes.set_xlabel("mean Spearman correlation with listeners (1 is perfect, 0 chance)")
    figure.legend(loc="outside lower right", ncols=2)
    return figure
