"""Agreement with listeners: of every candidate, of the distance set by set, and of ideas to improve it."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from report import contrast
from report.figures.style import BLUE, GREY, ORANGE, new_figure, rows, rung, styled, words
from report.figures.trials import candidate_map
from study.agreement import READ, agreement

COLUMNS = 4  # panels across
IDEAS = {  # families of measures, in few words
    "incumbents": "Frechet and Gaussian MMD",
    "a": "(a) other windows",
    "b grid": "(b) views weighted, a grid",
    "b learned": "(b) views weighted, learned",
    "c": "(c) several embeddings",
    "d": "(d) clips in other ways",
    "e": "(e) the inaudible hidden",
    "f": "(f) unbiased, on a network",
    "all": "any of (a) to (f)",
}


@styled
def listeners_map(results: Mapping) -> Figure:
    """Mean Spearman correlation with listeners, embeddings down, distances across.

    1 is their order of systems, 0 chance, mean over laboratories; this distance is framed.
    """
    values = {}
    for candidate in contrast.candidates(results):
        values[candidate] = contrast.listeners_mean(results, contrast.listeners(results, candidate))["mean"]
    laboratories = {row["laboratory"] for row in results["rated"].values()}
    return candidate_map(
        values,
        f"Agreement with listeners: Spearman correlation, mean over {len(laboratories)} laboratories with "
        f"{len(results['rated'])} sets\n"
        "(all sets were seen when measures were chosen, and they are small; framed: this distance)",
        "rank correlation",
    )


@styled
def listeners_scatter(results: Mapping) -> Figure:
    """Ratings against the distance as shipped, a panel a rated set, a point a system.

    Along x the distance to the recordings, no unit; along y the mean rating on the set's own scale (MOS,
    SMOS, CMOS or MUSHRA). Better rated systems should lie further left: the title has Spearman's
    correlation. Hollow squares: ratings that were not read in the publication itself.
    """
    names = list(results["rated"])
    lines = -(-len(names) // COLUMNS)
    figure, panels = new_figure(
        0.9 + 1.8 * lines,
        "Better rated systems should lie further left: then Spearman's correlation is 1\n"
        "(hollow squares: ratings not read in the publication, but recalled or second-hand)",
        lines,
        COLUMNS,
    )
    for axes, name in zip(panels.flat, names, strict=False):
        values, rated = results["shipped"][name], results["rated"][name]
        ratings = rated["ratings"]
        look = {"marker": "o"} if rated["figures"] == READ else {"marker": "s", "mfc": "none"}
        axes.plot(
            [values[system] for system in ratings], list(ratings.values()), color=BLUE, ls="none", **look
        )
        axes.set_title(f"{words(name)}\nSpearman {agreement(values, ratings)['spearman']:.2f}")
        axes.margins(0.15)
        axes.xaxis.set_major_locator(MaxNLocator(2))
        axes.yaxis.set_major_locator(MaxNLocator(4))
    for axes in panels.flat[len(names) :]:  # the grid has more places than there are sets
        axes.set_axis_off()
    figure.supxlabel("distance to the recordings (no unit)")
    figure.supylabel("mean rating (MOS, SMOS, CMOS or MUSHRA)")
    return figure


@styled
def listening(results: Mapping) -> Figure:
    """Families of measures: best in hindsight (hollow), and nested (filled) with its interval.

    The distance as shipped on top and as a grey line, below it ``listening.RIVAL`` where its network was
    there (both are one measure, and nothing is chosen), then a family a row; along x the mean Spearman
    correlation with listeners. The gap between hollow and filled is what choosing on the sets one judges by
    flatters.

    Reads ``shipped``, ``rival`` and ``families``: name -> ``spearman`` (mean, interval over laboratories),
    ``hindsight``, ``measures``.
    """
    shipped, families = results["shipped"]["spearman"], results["families"]
    ahead = [n for n, row in families.items() if row["lead_spearman"]["corrected"][0] > 0]
    surely = " and ".join(IDEAS[name] for name in ahead) if ahead else "nothing"
    figure, axes = new_figure(
        2.6 + 0.4 * len(families), f"Chosen on other laboratories, {surely} is surely ahead of the distance"
    )
    axes.axvline(shipped["mean"], color=GREY, lw=1, zorder=0)
    rung(axes, 0, shipped["mean"], shipped["interval"], colour=BLUE, marker="o")
    names = ["distance as shipped"]
    if "rival" in results:
        rival = results["rival"]["spearman"]
        rung(axes, 1, rival["mean"], rival["interval"], colour=BLUE, marker="o")
        names.append(words(results["rival"]["name"]))
    for place, (name, row) in enumerate(families.items(), start=len(names)):
        nested = row["spearman"]
        rung(axes, place, nested["mean"], nested["interval"], colour=BLUE, marker="o")
        if "hindsight" in row:
            axes.plot(row["hindsight"], place, "D", color=ORANGE, fillstyle="none")
        names.append(f"{IDEAS[name]}, {row['measures']} measures" if "measures" in row else IDEAS[name])
    # Nothing is drawn: entries of the legend, one each for all rows.
    axes.plot([], [], "o-", color=BLUE, label="nested: chosen on other laboratories, 95 % interval")
    axes.plot([], [], "D", color=ORANGE, fillstyle="none", label="best in hindsight")
    rows(axes, names)
    axes.set_xlabel("mean Spearman correlation with listeners (1 is perfect, 0 chance)")
    figure.legend(loc="outside lower right", ncols=2)
    return figure
