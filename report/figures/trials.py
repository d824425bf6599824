"""The trials: what candidates find, how their values rise, where their zero is, and the decision."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import seaborn
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from report import contrast
from report.candidates import NOTES
from report.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    NOTE,
    ORANGE,
    PINK,
    YELLOW,
    heat_map,
    in_percent,
    new_figure,
    slanted,
    styled,
    ticks,
    words,
)
from study import sources, trials

CONTRASTED = {  # drawn together: candidate, colour, marker
    trials.THIS: (BLUE, "o"),
    ("three_views", "frechet"): (ORANGE, "s"),
    ("three_views", "gaussian_mmd"): (GREEN, "^"),
    ("three_views", "classifier_two_sample"): (YELLOW, "P"),
    ("aisfx", "frechet"): (PINK, "D"),
    ("aisfx", "gaussian_mmd"): (BLACK, "v"),
}
UNITS = {  # what a test deals to the two sets, in words
    "frames": "windows of clips\n(wrong)",
    "files": "clips",
    "files of groups": "files of a speaker's digit\n(wrong)",
    "groups": "groups of files",
}
SIDES = {"energy": "energy (left)", "gaussian_mmd": "Gaussian MMD (right)"}


@styled
def power_map(results: Mapping) -> Figure:
    """Mean share of small effects found, embeddings down, distances across; 1 is all, .05 chance.

    Found: above the 95 % quantile of undamaged draws of the same source. Mean over effects and sources;
    white where a distance is not defined. This distance is framed.
    """
    return candidate_map(
        {c: contrast.power(results, c) for c in contrast.candidates(results)},
        f"What is found of small damage at N = {results['settings']['size']}\n"
        "(mean share of draws above the 95 % quantile of undamaged ones; framed: this distance)",
        "share found",
    )


def candidate_map(values: Mapping[contrast.Candidate, float], title: str, quantity: str) -> Figure:
    """A number of every candidate, embeddings down and distances across, this distance in a frame.

    ``values`` by candidate; shades run from the smallest to the largest, which the bar calls ``quantity``.
    Called by functions that are styled.
    """
    table = pd.Series(values).unstack(sort=False)
    figure, axes = new_figure(1.6 + 0.42 * len(table), title)
    limits = np.nanmin(table), np.nanmax(table)  # NaN: a distance that is not defined there
    # Without the leading zero, two digits fit a cell of so many columns.
    texts = table.map(lambda value: f"{value:.2f}".replace("0.", ".").replace("-.00", ".00")).to_numpy()
    row, column = table.index.get_loc(trials.THIS[0]), table.columns.get_loc(trials.THIS[1])
    bold = np.zeros(table.shape, bool)
    bold[row, column] = True
    table = table.rename(words).rename(columns=words)
    heat_map(axes, table, texts=texts, limits=limits, bold=bold, bar=quantity)
    axes.add_patch(Rectangle((column, row), 1, 1, fill=False, ec=BLACK, lw=2, clip_on=False))
    slanted(axes)
    return figure


@styled
def effects_map(results: Mapping) -> Figure:
    """Share found of each small effect (a row), for the contrasted candidates (a column).

    Mean over the sources that have the effect, of 10 draws each; the best of a row is bold.

    Reads ``power``: source -> embedding -> distance -> ``found`` and ``draws``, in the order of ``effects``.
    """
    drawn = [c for c in CONTRASTED if c in contrast.candidates(results)]
    effects = contrast.small_effects(results)
    columns = {}
    for candidate in drawn:
        shares = contrast.shares(results, candidate, effects)
        title = contrast.label(candidate).replace(" / ", "\n").replace("classifier ", "classifier\n")
        columns[title] = [np.mean([s for (_, e), s in shares.items() if e == effect]) for effect in effects]
    table = pd.DataFrame(columns, index=[words(e) for e in effects])
    figure, axes = new_figure(
        10,
        "Which damage is found by whom "
        f"(share found, N = {results['settings']['size']}; bold: best of the row)",
    )
    best = table.eq(table.max(axis=1), axis=0).to_numpy()
    heat_map(axes, table, bold=best)
    axes.set_xticks(axes.get_xticks(), axes.get_xticklabels(), rotation=0)
    return figure


@styled
def severity_curves(results: Mapping) -> Figure:
    """Value against severity for each distortion, mean over the sources.

    A panel a distortion: along x severity, 0 (none) to 5; along y the value above that of two real samples,
    in standard deviations of these, linear below 3 and logarithmic above. A curve should rise, and begin to
    at 1.

    Reads ``curve`` of ``power``. A candidate that was not tried on all sources has no curve.
    """
    kinds = sources.GRADED
    figure, panels = new_figure(
        8.6,
        "How far values rise with severity: speed and pitch are hardest to hear\n"
        f"(N = {results['settings']['size']}, mean of {len(results['power'])} sources)",
        -(-len(kinds) // 4),
        4,
        sharex=True,
        sharey=True,
    )
    for axes, kind in zip(panels.flat, kinds, strict=False):
        for candidate, (colour, marker) in CONTRASTED.items():
            curve = _curve(results, candidate, kind)
            if curve is not None:
                axes.plot(range(6), curve, color=colour, marker=marker, ms=4, label=contrast.label(candidate))
        axes.axhline(0, color=BLACK, lw=0.6)
        axes.set_yscale("symlog", linthresh=3)  # noise is linear, so that it does not look like a trend
        ticks(axes.yaxis, [0, 3, 10, 30])
        axes.set_xticks(range(6))
        axes.set_title(words(kind))
    spare = panels.flat[len(kinds) :]
    for axes in spare:
        axes.set_axis_off()
    if len(spare):
        handles, labels = panels.flat[0].get_legend_handles_labels()
        # In the first empty panel; out of the layout, or that panel would grow and all others shrink.
        spare[0].legend(
            handles, labels, loc="center left", fontsize=NOTE, bbox_to_anchor=(-0.1, 0.5)
        ).set_in_layout(False)
    figure.supxlabel("severity (0: none)")
    figure.supylabel("value above that of two real samples (null standard deviations)")
    return figure


def _curve(results: Mapping, candidate: tuple[str, str], kind: str) -> list[float] | None:
    """Mean over the sources of the value at severity 0 to 5, in null standard deviations."""
    embedding, distance = candidate
    curves = []
    for source, tables in results["power"].items():
        if distance not in tables.get(embedding, {}):
            return None  # not installed when it was measured, or not tried
        values = dict(zip(results["effects"][source], tables[embedding][distance]["curve"], strict=True))
        curves.append([0.0, *(values[f"{kind} {severity}"] for severity in range(1, 6))])
    return np.mean(curves, axis=0).tolist()


@styled
def bias_curves(results: Mapping) -> Figure:
    """Mean value between two samples of one source against their size, all distances on one embedding.

    Along x N, files in each set, logarithmic; along y the mean over draws as a share of a mid distortion's
    value. Left the distances whose estimator is unbiased, right those whose zero moves with N.

    Reads ``bias`` of the first source: three_views -> distance -> N -> ``mean``. ``report.candidates.NOTES``
    says which estimators are biased.
    """
    table = next(iter(results["bias"].values()))[trials.THIS[0]]
    figure, panels = new_figure(
        5.2, "Two samples of one source: only unbiased distances lie at zero", 1, 2, sharey=True, sharex=True
    )
    shapes = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")
    for axes, biased in zip(panels, (False, True), strict=True):
        # The value of this distance is none of the candidates that have a note: it is unbiased.
        names = [n for n in table if NOTES.get(n, {"biased": False})["biased"] == biased]
        colours = seaborn.color_palette("cividis", len(names))
        for colour, marker, name in zip(colours, shapes, names, strict=False):
            this = name == trials.THIS[1]
            means = [row["mean"] for row in table[name].values()]
            label = "this distance" if this else words(name)
            style = {"color": ORANGE, "lw": 2.5, "zorder": 3} if this else {"color": colour, "lw": 1}
            axes.plot([int(n) for n in table[name]], means, marker=marker, label=label, **style)
        axes.axhline(0, color=BLACK, lw=0.8)
        axes.set_xscale("log")
        ticks(axes.xaxis, trials.BIAS_SIZES)
        axes.set_xlabel("files in each set, N")
        axes.set_title("biased: the zero depends on N" if biased else "unbiased by definition")
        axes.legend(loc="upper right")
    panels[0].set_ylabel("mean value (share of a mid distortion's)")
    return figure


@styled
def units_bars(results: Mapping) -> Figure:
    """False alarms with windows, files and groups dealt: the share of p at most 5 % where nothing differs.

    Along x what the permutation test deals, along y the share of 200 trials; a point is an embedding, left
    by the energy distance, right by Gaussian MMD. An exact test lies in the grey band, the 95 % binomial
    range of 5 %.

    Reads ``units``: embedding -> distance -> unit -> [p at most 5 %, trials].
    """
    # The same number for every embedding, distance and unit.
    deals = next(iter(next(iter(results["units"].values())).values()))["files"][1]
    figure, axes = new_figure(
        4.4,
        "What is dealt must be what was drawn: files, not their windows\n"
        f"(a point: an embedding, {deals} trials; grey: 5 % and its 95 % binomial range)",
    )
    error = 1.96 * np.sqrt(trials.ALPHA * (1 - trials.ALPHA) / deals)
    axes.axhspan(trials.ALPHA - error, trials.ALPHA + error, color=GREY, alpha=0.5, lw=0)
    seaborn.stripplot(
        _dealt(results),
        x="unit",
        y="share",
        hue="distance",
        palette=[BLUE, ORANGE],
        dodge=True,
        jitter=False,  # which would be random
        size=7,
        alpha=0.7,
        ax=axes,
    )
    axes.legend()
    axes.set_ylim(0, 1.05)
    in_percent(axes.yaxis)
    axes.set_xlabel("what is dealt to the two sets")
    axes.set_ylabel("share of p ≤ 5 % where nothing differs")
    return figure


def _dealt(results: Mapping) -> pd.DataFrame:
    """A row an embedding, distance and unit: ``unit`` and ``distance`` in words, ``share`` of p <= 5 %."""
    return pd.DataFrame(
        [
            {"unit": UNITS[unit], "share": row[unit][0] / row[unit][1], "distance": SIDES[distance]}
            for distances in results["units"].values()
            for distance, row in distances.items()
            for unit in UNITS
        ]
    )


@styled
def decision(results: Mapping, *, count: int = 14) -> Figure:
    """Scores by criterion of the ``count`` best candidates and the contrasted ones; 1 is best.

    A candidate a row, the highest mean first; columns are ``contrast.CRITERIA``, weighing alike, and the
    mean.
    """
    scores = contrast.scores(results)
    ranking = dict(contrast.ranking(scores))
    shown = list(ranking)[:count]
    # The incumbents too, wherever they stand.
    shown += [c for c in CONTRASTED if c in scores and c not in shown]
    table = pd.DataFrame(
        {contrast.label(c): {**scores[c], "mean": ranking[c]} for c in shown},
    ).T
    figure, axes = new_figure(
        1.8 + 0.36 * len(shown),
        "Scores by criterion (1 is best), the highest means first; bold: this distance",
    )
    own = np.array([candidate == trials.THIS for candidate in shown])
    heat_map(axes, table, bold=np.broadcast_to(own[:, None], table.shape))
    axes.axvline(table.shape[1] - 1, color="white", lw=4)  # before the mean
    slanted(axes)
    for label, is_own in zip(axes.get_yticklabels(), own, strict=True):
        label.set_fontweight("bold" if is_own else "normal")
    return figure
