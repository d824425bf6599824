"""A music collection: who likes which song, what leaks, how sets of songs lie, what it costs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import seaborn
from matplotlib.figure import Figure

from report.figures.style import (
    BLACK,
    BLUE,
    DARK_GREY,
    GREEN,
    GREY,
    MARKERS,
    NOTE,
    ORANGE,
    PALETTE,
    beside,
    new_figure,
    rows,
    rung,
    styled,
    ticks,
)

LEARNERS = {  # in words; the first two learn nothing
    "majority": "share of the labels",
    "always yes": "always yes",
    "tree": "decision tree",
    "boosting": "gradient boosting",
    "neighbours": "nearest neighbours",
    "network": "small network",
}
TIMES = {  # hours, as they are written
    0.1 / 3600: "0.1 s",
    1 / 3600: "1 s",
    10 / 3600: "10 s",
    1 / 60: "1 min",
    1 / 6: "10 min",
    1: "1 h",
    10: "10 h",
    100: "100 h",
    1000: "1000 h",
}
STROKES = ("-", "--", "-.", ":")  # one a learner
COLLECTIONS = {"rendered": "rendered songs: liked?", "packages": "games' music: Wesnoth's?"}
DIVISIONS = {  # what is kept whole between learning and test, in words
    "one split of samples": "nothing: one random split",
    "samples": "nothing: folds of samples",
    "songs": "songs",
    "artists": "artists",
    "shuffled labels": "artists, labels shuffled",
    "codec and rate": "songs, from codec and rate alone",
}


@styled
def songs_roc(results: Mapping) -> Figure:
    """ROC curves of the rendered collection, per sample and per song, beside the published points.

    Left samples, right songs; along x the share of bad songs called good, along y of good ones. A line a
    learner, held out by artist; the crosses are where the published precision and recall lie if the test set
    had the collection's share of good songs. Grey: chance.

    Reads ``roc``, ``taste``, ``history`` (``points``).
    """
    curves = results["roc"]["rendered"]
    figure, panels = new_figure(
        4.6,
        "Held-out answers about excerpts, and about songs; artists kept apart",
        1,
        2,
        sharex=True,
        sharey=True,
    )
    for axes, unit in zip(panels, ("samples", "songs"), strict=True):
        axes.plot([0, 1], [0, 1], color=GREY, lw=1)
        for (learner, units), colour, style in zip(curves.items(), PALETTE, STROKES, strict=False):
            auc = results["taste"]["rendered"]["learners"][learner][unit]["auc"]["value"]
            curve = units[unit]
            axes.plot(
                curve["no"], curve["yes"], ls=style, color=colour, label=f"{LEARNERS[learner]}, {auc:.2f}"
            )
        axes.set_aspect("equal")
        axes.set_xlabel("share of bad called good")
        axes.set_title(f"per {unit[:-1]}; AUC in the legend")
    for (name, (no, yes)), marker in zip(results["history"]["points"].items(), ("x", "+"), strict=True):
        panels[0].plot(
            no, yes, marker, color=BLACK, ms=9, mew=2, label=f"published: {LEARNERS[name].split()[-1]}"
        )
    panels[0].set_ylabel("share of good called good")
    for axes in panels:
        axes.legend(loc="lower right", fontsize=NOTE, handlelength=1.8)
    return figure


@styled
def songs_leaks(results: Mapping) -> Figure:
    """AUC by what is kept whole between learning and test: a panel a collection, a row a division.

    Bars are 95 % over draws of artists (shuffled labels: of the mean of shuffles); the dotted line is chance.

    Reads ``leaks``: collection -> row -> unit -> value, low, high.
    """
    leaks = results["leaks"]
    figure, panels = new_figure(
        3.6,
        "The same songs, the same learner, by what is kept whole between learning and test",
        1,
        len(leaks),
        squeeze=False,
        sharey=True,
    )
    for axes, (name, table) in zip(panels[0], leaks.items(), strict=True):
        axes.axvline(0.5, ls=":", color=DARK_GREY, lw=1)
        for place, (row, units) in enumerate(table.items()):
            score = units["samples"]
            honest = row in ("artists", "shuffled labels")
            ends = (score["low"], score["high"]) if score["low"] is not None else (score["value"],) * 2
            rung(
                axes, place, score["value"], ends,
                colour=BLUE if honest else ORANGE, marker="o" if honest else "^",
            )  # fmt: skip
            # At the right end of the bar or the sign: above it a number would cross the dotted line.
            axes.annotate(
                f"{score['value']:.2f}", (max(ends[1], score["value"]), place), xytext=(7, 0),
                textcoords="offset points", va="center", fontsize=NOTE,
            )  # fmt: skip
        axes.set_xlim(0.3, 1.16)
        axes.set_xlabel("AUC per sample")
        axes.set_title(COLLECTIONS[name])
    divisions = next(iter(leaks.values()))
    rows(panels[0][0], [DIVISIONS.get(row, row) for row in divisions])
    panels[0][0].set_ylim(len(divisions) - 0.5, -0.5)
    panels[0][0].set_ylabel("kept whole")
    return figure


@styled
def songs_map(results: Mapping) -> Figure:
    """The collection of packages as a map: a point a song, on the two axes along which songs vary most.

    Reads ``points``: collection -> ``label``, ``x``, ``y`` (each (songs,)), ``shares`` of the variance.
    """
    figure, panels = new_figure(
        4.7, "Two collections as maps: a point a song, near where they sound alike", 1, 2
    )
    for axes, (name, points) in zip(panels, results["points"].items(), strict=True):
        labels = sorted(set(points["group"]))
        seaborn.scatterplot(
            x=points["x"],
            y=points["y"],
            hue=points["group"],
            style=points["group"],
            hue_order=labels,
            style_order=labels,
            markers=dict(zip(labels, MARKERS, strict=False)),
            palette=dict(zip(labels, PALETTE, strict=False)),
            s=35,
            ax=axes,
        )
        first, second = (f"{100 * share:.0f} %" for share in points["shares"])
        axes.set_xlabel(f"first axis, {first} of the variance (no unit)")
        axes.set_ylabel(f"second axis, {second}")
        axes.set_title({"rendered": "rendered songs, by style", "packages": "games' music, by package"}[name])
        axes.legend(
            loc="upper left", bbox_to_anchor=(0, -0.16), ncols=2, fontsize=NOTE, handletextpad=0.1,
            columnspacing=0.8,
        )  # fmt: skip
    return figure


@styled
def songs_distances(results: Mapping) -> Figure:
    """Sets of songs against each other: the plane that shows their distances, and every pair's interval.

    Reads ``distances``: name -> ``map`` (``positions``, ``share``), ``pairs``.
    """
    found = results["distances"]
    figure, panels = new_figure(
        2.8 * len(found),
        "How far sets of songs are from each other, the song as the unit",
        len(found),
        2,
        squeeze=False,
        width_ratios=(1, 1.3),
    )
    for (left, right), (name, sets) in zip(panels, found.items(), strict=True):
        for label, (x, y) in sets["map"]["positions"].items():
            left.plot(x, y, "o", color=BLUE)
            left.annotate(
                f"{label} ({sets['songs'][label]})",
                (x, y),
                xytext=(7, 0),
                textcoords="offset points",
                va="center",
            )
        left.set_aspect("equal", adjustable="datalim")
        left.margins(0.35)
        left.spines[["left", "bottom"]].set_visible(False)
        left.set_xticks([])
        left.set_yticks([])
        share = f"{100 * sets['map']['share']:.0f} % of the distances"
        left.set_title(f"{name} as a plane ({share})")
        for place, pair in enumerate(sets["pairs"]):
            seen = pair["q"] <= 0.05
            rung(
                right, place, pair["value"], pair["interval"],
                colour=BLUE if seen else DARK_GREY, marker="o" if seen else "s",
            )  # fmt: skip
        rows(right, [f"{pair['one']} / {pair['other']}" for pair in sets["pairs"]])
        right.axvline(0, ls=":", color=DARK_GREY, lw=1)
        right.set_xlabel("distance and 95 % interval (no unit)")
    return figure


@styled
def songs_stability(results: Mapping) -> Figure:
    """How steady the nearest and the farthest pair are with fewer songs of each set.

    Reads ``distances``: name -> ``stability``: pair -> ``whole``, ``songs`` (number -> 2.5, 50, 97.5 %).
    """
    pairs = [
        (pair, row)
        for sets in results["distances"].values()
        for pair, row in sets["stability"].items()
        if row["songs"]
    ]
    figure, panels = new_figure(
        3.4,
        "How much a distance between sets varies with fewer songs of each (band: 95 % of draws)",
        1,
        len(pairs),
        squeeze=False,
        sharey=True,
    )
    for axes, (pair, row) in zip(panels.flat, pairs, strict=True):
        numbers = np.array([int(number) for number in row["songs"]])
        low, middle, high = np.array(list(row["songs"].values())).T / row["whole"]
        axes.fill_between(numbers, low, high, color=BLUE, alpha=0.25, lw=0)
        axes.plot(numbers, middle, "o-", color=BLUE)
        axes.axhline(1, ls=":", color=DARK_GREY, lw=1)
        axes.set_xscale("log")
        ticks(axes.xaxis, numbers)
        axes.set_title(f"{pair.replace(' / ', ' /' + chr(10))}\n{row['whole']:.2f}")
    panels[0, 0].set_ylabel("distance, over that of all songs")
    figure.supxlabel("songs drawn of each set (above: distance of all songs, no unit)")
    return figure


@styled
def songs_duplicates(results: Mapping) -> Figure:
    """Share of edited copies that are recognised: a row an edit, a sign a collection, dotted the goal.

    Beside a row: originals and copies of other songs that are taken for each other, by collection.

    Reads ``duplicates``: collection -> ``kinds``: edit -> ``recall``, ``interval``.
    """
    found = results["duplicates"]
    kinds = list(next(iter(found.values()))["kinds"])
    figure, axes = new_figure(0.36 * len(kinds) + 2, "Copies that were changed, and are recognised")
    signs = zip(found.items(), (BLUE, ORANGE), ("o", "^"), (-0.15, 0.15), strict=False)
    for (name, sets), colour, marker, shift in signs:
        for place, kind in enumerate(kinds):
            row = sets["kinds"][kind]
            rung(axes, place + shift, row["recall"], row["interval"], colour=colour, marker=marker)
        axes.plot([], [], marker, color=colour, label=f"{COLLECTIONS[name].split(':')[0]} ({sets['songs']})")
    rows(axes, kinds)
    axes.axvline(0.95, ls=":", color=DARK_GREY, lw=1)
    for place, kind in enumerate(kinds):
        beside(axes, place, " / ".join(str(sets["kinds"][kind]["false"]) for sets in found.values()))
    beside(axes, -0.8, "wrong\npairs")
    axes.set_xlim(left=min(axes.get_xlim()[0], 0.9))
    axes.set_xlabel("recall and its 95 % interval (dotted: the goal)")
    figure.legend(loc="outside lower center", ncols=2, title="collection (songs); wrong pairs in this order")
    return figure


@styled
def songs_scaling(results: Mapping) -> Figure:
    """Left speed-up over workers beside the published one; right hours of the whole by number of songs.

    Reads ``songs_speed``: ``engines``, ``published``, ``cost``.
    """
    figure, (left, right) = new_figure(3.8, "Speed-up over workers, and what more songs cost", 1, 2)
    series = {**results["engines"], "published: Spark": results["published"]["spark_seconds"]}
    styles = zip(series.items(), (BLUE, GREEN, BLACK), MARKERS, strict=False)
    for (name, seconds), colour, marker in styles:
        workers = np.array([int(number) for number in seconds])
        times = np.array(list(seconds.values()))
        left.plot(workers, times[0] / times, marker=marker, color=colour, label=name)
    left.plot([1, 4], [1, 4], ":", color=DARK_GREY, lw=1)
    left.set_xticks([1, 2, 4])
    left.set_xlabel("workers (cores)")
    left.set_ylabel("speed-up over one")
    left.legend()
    cost = results["cost"]
    numbers = np.array([int(number) for number in cost["songs"]])
    for (stage, hours), colour, marker in zip(cost["hours"].items(), PALETTE, MARKERS, strict=False):
        right.plot(numbers, hours, marker=marker, color=colour, label=stage)
    right.set_xscale("log")
    right.set_yscale("log")
    ticks(right.xaxis, numbers)
    right.xaxis.set_major_formatter(
        lambda value, _: f"{value / 1e6:g} M" if value >= 1e6 else f"{value:,.0f}"
    )
    low, high = right.get_ylim()
    ticks(right.yaxis, [hours for hours in TIMES if low <= hours <= high])
    right.yaxis.set_major_formatter(lambda value, _: TIMES[value])
    right.set_xlabel("songs of four minutes (from measured rates)")
    right.set_ylabel("time on two cores")
    right.legend(fontsize=NOTE)
    return figure
