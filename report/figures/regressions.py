"""The gate: planted bugs, and the false alarms of its verdicts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from report.figures.style import (
    GREY,
    MARKERS,
    PALETTE,
    VERDICTS,
    in_percent,
    new_figure,
    rows,
    styled,
    ticks,
    training_curves,
    words,
)

CURVES = (  # as many as there are colours; the others train as the base does
    "base",
    "dropped_class",
    "off_by_one_hop",
    "short_training",
    "doubled_rate",
    "wrong_normalisation",
)


@styled
def regressions(results: Mapping) -> Figure:
    """Every ablation: distance over the training with its band, and at the end seed by seed, ranked.

    Left, of those in ``CURVES``, along x the step, along y the distance to held-out recordings, both
    logarithmic: mean and range over seeds. Right a row an ablation, best on top: every seed, their mean as a
    stroke, the gate's verdict by all metrics as colour, sign and word; grey is the margin above the base,
    within which a worsening of the distance is tolerated.

    Reads ``ablations``: name -> ``curves``, (seeds, points, 2); ``values`` of the distance, (seeds,);
    ``family`` and ``verdicts``, which the base lacks. And ``margin``, a percentage as text.
    """
    ablations = results["ablations"]
    judged = [row for row in ablations.values() if "family" in row]
    by_all = sum(row["family"]["verdict"] == "worse" for row in judged)
    alone = sum(row["verdicts"]["distance"]["verdict"] == "worse" for row in judged)
    ends = {name: float(np.mean(row["values"]["distance"])) for name, row in ablations.items()}
    ranked = sorted(ablations, key=ends.get)
    figure, (left, right) = new_figure(
        6.4,
        f"All metrics together call {by_all} of {len(judged)} changes worse, the distance alone {alone}",
        1,
        2,
        width_ratios=(1, 1.2),
    )
    # The base first: black, with the sign that it has at the right.
    drawn = sorted((n for n in ranked if n in CURVES), key=lambda name: name != "base")
    training_curves(left, {words(name): ablations[name]["curves"] for name in drawn})
    left.set_xscale("log", base=2)
    left.set_yscale("log")
    ticks(left.xaxis, np.array(ablations["base"]["curves"])[0, :, 0])
    ticks(left.yaxis, [0.2, 0.3, 0.4, 0.5, 0.6])
    left.set_xlabel("step of the training")
    left.set_ylabel("distance to held-out recordings (no unit)")
    left.set_title(f"Training: mean and range of {results['seeds']} seeds")
    handles, labels = left.get_legend_handles_labels()
    left.get_legend().remove()
    figure.legend(handles, labels, loc="outside lower left", ncols=3)

    verdicts = {name: row["family"]["verdict"] if "family" in row else "" for name, row in ablations.items()}
    # Above the base: only what is worse needs to be tolerated.
    margin = ends["base"] * (1 + float(results["margin"].rstrip("%")) / 100)
    right.axvspan(ends["base"], margin, color=GREY, alpha=0.5, lw=0)
    values = {name: ablations[name]["values"]["distance"] for name in ranked}
    seed_rows(right, values, verdicts)
    right.set_xscale("log")
    right.set_xlim(right.get_xlim()[0], right.get_xlim()[1] * 1.7)  # room for the verdicts
    ticks(right.xaxis, [0.2, 0.3, 0.4, 0.6])
    right.set_xlabel("distance at the end (grey: the margin)")
    right.set_title("Seeds, mean and verdict by all metrics")
    return figure


def seed_rows(axes: Axes, values: Mapping[str, list[float]], verdicts: Mapping[str, str]) -> None:
    """A row a change: every seed, their mean as a stroke, and the gate's verdict in colour, sign and word.

    ``values``: name -> a number a seed; ``verdicts``: name -> a key of ``VERDICTS``, "" for the baseline.
    """
    for place, (name, own) in enumerate(values.items()):
        colour, marker = VERDICTS[verdicts[name]]
        axes.plot(own, [place] * len(own), marker, color=colour, ms=6, alpha=0.5)
        axes.plot(np.mean(own), place, "|", color=colour, ms=20, mew=2)
        axes.annotate(
            verdicts[name] or "the baseline",
            (max(own), place),
            xytext=(10, 0),
            textcoords="offset points",
            va="center",
            color=colour,
        )
    rows(axes, map(words, values))


@styled
def calibration(results: Mapping) -> Figure:
    """False alarms of the verdicts by seeds, metric and pairing, with the binomial range of 5 %.

    Left paired seeds, right unpaired; along x seeds a side, along y the share of comparisons called worse or
    better though nothing changed, a sign a distribution of the metric. Grey is where an exact 5 % lies in 95
    % of such experiments; below it the gate is careful, above it would cry wolf.

    Reads ``false_alarms``: pairing -> metric -> seeds -> ``share``; ``level`` and ``trials``.
    """
    level, trials = results["level"], results["trials"]
    figure, panels = new_figure(
        3.8,
        f"False alarms are about {100 * level:.0f} % or fewer\n"
        f"(grey: 95 % range of {100 * level:.0f} % in {trials:,} comparisons)",
        1,
        2,
        sharey=True,
    )
    half = 1.96 * np.sqrt(level * (1 - level) / trials)
    for axes, (pairing, metrics) in zip(panels, results["false_alarms"].items(), strict=True):
        table = pd.DataFrame(
            [
                {"metric": metric, "seeds": seeds, "share": cell["share"]}
                for metric, row in metrics.items()
                for seeds, cell in row.items()
            ]
        )
        axes.axhspan(level - half, level + half, color=GREY, alpha=0.5, lw=0)
        seaborn.pointplot(
            table,
            x="seeds",
            y="share",
            hue="metric",
            palette=list(PALETTE[: len(metrics)]),
            markers=list(MARKERS[: len(metrics)]),
            linestyles="none",  # numbers of seeds are no course that a line could follow
            dodge=0.4,
            errorbar=None,  # one value a point; its error is the grey band
            ax=axes,
        )
        axes.set_xlabel("seeds a side")
        axes.set_ylabel("called worse or better, nothing changed")
        axes.set_title(f"{pairing} seeds")
        axes.set_ylim(0, 0.1)
        in_percent(axes.yaxis)
    panels[0].get_legend().remove()
    panels[1].legend(title="distribution of the metric", ncols=2, loc="upper right")
    return figure
