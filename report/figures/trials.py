"""The trials: what candidates find, how their values rise, where their zero is, and the decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from scipy.stats import binom

from report import contrast
from report.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    NOTE,
    ORANGE,
    PINK,
    YELLOW,
    beside_ends,
    heat_map,
    in_percent,
    new_figure,
    slanted,
    styled,
    ticks,
    words,
)
from study import arranged, sources, trials

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
ZEROS = {  # drawn by name where zeros are compared: colour, marker, stroke
    trials.THIS[1]: (BLUE, "o", "-"),
    "gaussian_mmd": (GREEN, "^", "-"),
    "frechet": (ORANGE, "s", "-"),
    "frechet_infinite": (ORANGE, "D", "--"),
    "sliced_wasserstein": (PINK, "v", "-."),
    "sinkhorn": (BLACK, "P", ":"),
}
DISTANCES = {  # as they are written beside lines and below columns; others by their names
    "gaussian_mmd": "Gaussian MMD",
    "frechet": "Frechet",
    "frechet_infinite": "Frechet extrapolated",
    "sliced_wasserstein": "sliced Wasserstein",
    "sinkhorn": "Sinkhorn",
    "classifier_two_sample": "classifier",
}
STRUCTURE = ("shuffled", "reversed")
SORTS = {  # of small damage, by ``contrast.kind``
    "distorted sounds (the two mildest severities)": lambda kind: kind in sources.GRADED,
    "the same sounds, in another order of time": lambda kind: kind in STRUCTURE,
    "fewer kinds of sound": lambda kind: kind not in (*sources.GRADED, *STRUCTURE),
}
KINDS = {  # that are not called as they are in code
    "label": "labels dropped",
    "group": "speakers dropped",
    "weights": "labels weighted otherwise",
    "shuffled": "pieces shuffled",
}
SIDES = {  # of a unit: in words, colour, marker, how far from the middle
    "energy": ("energy", BLUE, "o", -0.2),
    "gaussian_mmd": ("Gaussian MMD", ORANGE, "^", 0.2),
}


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
    """Share found of each kind of small damage (a row), by test and by the contrasted values (a column).

    A panel a sort of damage: sounds are distorted, cut up or chosen otherwise; within it what is found most
    is on top. First the test of this distance, then values, and last an oracle that reads labels, where there
    are any. Draws of all severities and sources count alike; the best value of a row is bold unless chance
    alone reaches as many in 5 % of rows.

    Reads ``power``: source -> embedding -> distance -> ``found`` and ``draws``, in the order of ``effects``;
    and ``permutation``: source -> embedding -> test -> effect -> [found, draws].
    """
    drawn = [c for c in CONTRASTED if c in contrast.candidates(results)]
    found, draws = (_counts(results, drawn, key) for key in ("found", "draws"))
    shares = found / draws
    by_chance = draws.map(lambda count: binom.isf(trials.ALPHA, count, trials.ALPHA))
    best = shares.eq(shares.max(axis=1), axis=0) & (found > by_chance)
    # Tests are no values: a value above most undamaged draws is not a p-value.
    for place, test in ((0, "compare"), (len(drawn) + 1, "oracle")):
        counts = _test_counts(results, test).reindex(found.index)
        shares.insert(place, test, counts["found"] / counts["draws"])
        best.insert(place, test, False)
    panels = {title: [kind for kind in shares.index if sort(kind)] for title, sort in SORTS.items()}
    figure, axes = new_figure(
        2.7 + 0.27 * len(shares),
        "Which small damage is found by the test, by values, and by who knows the labels\n"
        f"(share found, N = {results['settings']['size']}; bold: the best value)",
        len(panels),
        1,
        sharex=True,
        height_ratios=[len(kinds) for kinds in panels.values()],
    )
    for panel, (title, kinds) in zip(axes, panels.items(), strict=True):
        rows = shares.loc[kinds].assign(mean=lambda table: table.drop(columns="oracle").mean(axis=1))
        rows = rows.sort_values("mean", ascending=False, kind="stable").drop(columns="mean")
        bold = best.loc[rows.index].to_numpy()
        heat_map(panel, rows.rename(lambda kind: KINDS.get(kind, words(kind))), bold=bold)
        panel.set_yticks(panel.get_yticks(), panel.get_yticklabels(), rotation=0)
        panel.set_title(title)
        for column in range(1, len(drawn)):
            if drawn[column][0] != drawn[column - 1][0]:  # another embedding
                panel.axvline(column + 1, color="white", lw=5)
        for column in (1, len(drawn) + 1):  # a test, values, and the oracle
            panel.axvline(column, color="white", lw=5)
        panel.tick_params(labelbottom=False)
    names = [f"{_short(candidate)}, {words(candidate[0])}" for candidate in drawn]
    names = ["this distance, its test", *names, "oracle: labels"]
    axes[-1].tick_params(labelbottom=True)
    axes[-1].set_xticks(axes[-1].get_xticks(), names)
    slanted(axes[-1], 30)
    return figure


def _counts(results: Mapping, candidates: Sequence[contrast.Candidate], key: str) -> pd.DataFrame:
    """Sums over sources and severities of ``found`` or ``draws``: kinds of small effects by candidates."""
    small = contrast.small_effects(results)
    counts = [
        {"kind": contrast.kind(effect), "candidate": place, "count": count}
        for source, tables in results["power"].items()
        for place, (embedding, distance) in enumerate(candidates)
        for effect, count in zip(results["effects"][source], tables[embedding][distance][key], strict=True)
        if effect in small
    ]
    table = pd.DataFrame(counts)
    return table.pivot_table("count", "kind", "candidate", aggfunc="sum", sort=False)


def _test_counts(results: Mapping, test: str) -> pd.DataFrame:
    """Sums over sources and severities of what a permutation test found, kinds of small effects by
    ``found`` and ``draws``: "compare", or "oracle", which has the kinds that change labels alone."""
    counts = [
        {"kind": contrast.kind(effect), "found": hits, "draws": count}
        for tables in results["permutation"].values()
        for effect, (hits, count) in tables[trials.THIS[0]][test].items()
        if effect != "clean"
    ]
    return pd.DataFrame(counts).groupby("kind", sort=False).sum()


def _short(candidate: contrast.Candidate) -> str:
    """The distance of a candidate in few words."""
    return "this distance" if candidate == trials.THIS else DISTANCES.get(candidate[1], words(candidate[1]))


@styled
def severity_curves(results: Mapping) -> Figure:
    """Value against severity for each distortion, mean over the sources.

    A panel a distortion: along x severity, 0 (none) to 5; along y the value above that of two real samples,
    in standard deviations of these, linear below 3 and logarithmic above. A curve should rise, and begin to
    at 1.

    Reads ``curve`` of ``power``. A candidate that was not tried on all sources has no curve.
    """
    kinds = sources.GRADED
    own = {kind: _curve(results, trials.THIS, kind) for kind in kinds}
    hardest = sorted(kinds, key=lambda kind: own[kind][-1])[:2]
    figure, panels = new_figure(
        8.6,
        "How far values rise with severity "
        f"(N = {results['settings']['size']}, mean of {len(results['power'])} sources):\n"
        f"{' and '.join(map(words, hardest))} move this distance least",
        -(-len(kinds) // 4),
        4,
        sharex=True,
        sharey=True,
    )
    for axes, kind in zip(panels.flat, kinds, strict=False):
        for candidate, (colour, marker) in CONTRASTED.items():
            curve = _curve(results, candidate, kind)
            if curve is not None:
                this = candidate == trials.THIS
                style = {"lw": 2.5, "ms": 5, "zorder": 3} if this else {"lw": 1, "ms": 4}
                label = "this distance" if this else contrast.label(candidate)
                axes.plot(range(6), curve, color=colour, marker=marker, label=label, **style)
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
    value. Lines with a name are those of ``ZEROS``, thin grey ones the others.

    Reads ``bias`` of the first source: three_views -> distance -> N -> ``mean``.
    """
    table = next(iter(results["bias"].values()))[trials.THIS[0]]
    figure, axes = new_figure(
        4.6,
        "Two samples of one source: the value should be 0, however few the files\n"
        "(grey: the other distances)",
    )
    axes.axhline(0, color=BLACK, lw=0.8)
    ends = {}
    for name, row in table.items():
        sizes, means = [int(n) for n in row], [cell["mean"] for cell in row.values()]
        if name not in ZEROS:
            axes.plot(sizes, means, color=GREY, lw=1, zorder=0)
            continue
        colour, marker, style = ZEROS[name]
        this = name == trials.THIS[1]
        axes.plot(
            sizes,
            means,
            style,
            color=colour,
            marker=marker,
            lw=2.5 if this else 1.5,
            zorder=4 if this else 3,
            clip_on=False,
        )
        ends["this distance" if this else DISTANCES[name]] = (means[-1], colour)
    beside_ends(axes, ends, apart=0.06)
    axes.set_xscale("log")
    ticks(axes.xaxis, trials.BIAS_SIZES)
    axes.set_xlim(right=trials.BIAS_SIZES[-1])
    axes.set_xlabel("files in each set, N")
    axes.set_ylabel("mean value (share of a mid distortion's)")
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
    for distance, (side, colour, marker, shift) in SIDES.items():
        for place, unit in enumerate(UNITS):
            counts = [distances[distance][unit] for distances in results["units"].values()]
            shares = [small / dealt for small, dealt in counts]
            axes.plot(
                [place + shift] * len(shares), shares, marker, color=colour, ms=7, alpha=0.7,
                label=side if place == 0 else None,
            )  # fmt: skip
    axes.set_xticks(range(len(UNITS)), UNITS.values())
    figure.legend(loc="outside lower center", ncols=2)
    axes.set_ylim(0, 1.05)
    in_percent(axes.yaxis)
    axes.set_xlabel("what is dealt to the two sets")
    axes.set_ylabel("share of p ≤ 5 % where nothing differs")
    return figure


@styled
def rearranged(statistics: Mapping[str, np.ndarray]) -> Figure:
    """A statistic of two sets as they are, among those of the same files dealt anew: a panel each.

    Along x standard deviations of the rearrangements about their mean, as each statistic has a unit of its
    own; where its 0 lies stands above, and is drawn if it is near.

    ``statistics``: name -> (arrangements,), as observed first, as ``study.level.statistics`` gives them; an
    even number of names, two a row.
    """
    title = "One pair of sets, as it is (orange) among rearrangements of its files (blue)"
    figure, panels = new_figure(1 + 1.9 * (len(statistics) // 2), title, len(statistics) // 2, 2)
    for axes, (name, values) in zip(panels.flat, statistics.items(), strict=True):
        mean, spread = values[1:].mean(), values[1:].std(ddof=1)
        observed, *dealt = (values - mean) / spread
        zero = -mean / spread
        axes.hist(dealt, bins=np.linspace(-5, 5, 41), color=BLUE)
        axes.axvline(observed, color=ORANGE, lw=2, ls="--")
        where = f", 0 is at {zero:,.0f}"
        if abs(zero) < 5:
            where = ""
            axes.axvline(zero, color=BLACK, lw=0.8)
        axes.set_title(f"{words(name)}: p = {arranged.p_value(values):.3f}{where}")
        axes.set(xlim=(-5, 5), xlabel="statistic (standard deviations)", ylabel="rearrangements")
    return figure


@styled
def around_zero(halvings: Sequence[float], others: Mapping[str, float]) -> Figure:
    """Values between random halves of one set, on both sides of 0, and beside them values of changed sets.

    ``halvings`` (deals,); ``others``: what was changed, in words -> value.
    """
    figure, axes = new_figure(1.9, "Halves of one set (blue) lie on both sides of 0, a changed one does not")
    axes.plot(halvings, [0] * len(halvings), "o", color=BLUE, ms=7, alpha=0.5, mec="none")
    axes.plot(list(others.values()), range(1, len(others) + 1), "s", color=ORANGE, ms=7)
    axes.axvline(0, color=BLACK, lw=0.8)
    axes.set_yticks(range(1 + len(others)), [f"{len(halvings)} halvings", *others])
    axes.set_ylim(len(others) + 0.5, -0.5)
    axes.set_xlabel("distance (no unit)")
    return figure


@styled
def decision(results: Mapping, *, count: int = 14) -> Figure:
    """Scores by criterion of the ``count`` best candidates and the contrasted ones; 1 is best.

    A candidate a row, the highest mean first, the contrasted ones that are not among the best below a line;
    columns are ``contrast.CRITERIA``, weighing alike, and the
    mean.
    """
    scores = contrast.scores(results)
    ranking = dict(contrast.ranking(scores))
    shown = list(ranking)[:count]
    # The incumbents too, wherever they stand.
    below = [c for c in ranking if c in CONTRASTED and c not in shown]
    table = pd.DataFrame(
        {contrast.label(c): {**scores[c], "mean": ranking[c]} for c in shown + below},
    ).T
    figure, axes = new_figure(
        1.8 + 0.36 * len(table),
        f"Scores by criterion, 1 is best: the {len(shown)} highest means of {len(ranking)}\n"
        "(bold: this distance; below the line: incumbents that are not among them)",
    )
    own = np.array([candidate == trials.THIS for candidate in shown + below])
    heat_map(axes, table, bold=np.broadcast_to(own[:, None], table.shape))
    axes.axvline(table.shape[1] - 1, color="white", lw=4)  # before the mean
    axes.axhline(len(shown), color="white", lw=6)
    slanted(axes)
    for label, is_own in zip(axes.get_yticklabels(), own, strict=True):
        label.set_fontweight("bold" if is_own else "normal")
    return figure
