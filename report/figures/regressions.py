"""The gate: planted bugs, and the false alarms of its verdicts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

from report.figures.style import FONT, GREY, MARKERS, RANKED, VERDICTS, _words


def regressions(found: Mapping) -> Figure:
    """Every ablation: distance over the training with its band, and at the end seed by seed, ranked."""
    rows = found["ablations"]
    ends = {name: float(np.mean(row["values"]["distance"])) for name, row in rows.items()}
    order = sorted(rows, key=ends.get)
    figure = Figure(figsize=(8, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    steps = np.array(rows["base"]["curves"])[0, :, 0]
    for colour, marker, name in zip(RANKED, MARKERS, order, strict=False):
        curves = np.array(rows[name]["curves"])  # (seeds, steps, step and distance)
        own, values = curves[0, :, 0], curves[:, :, 1]
        left.plot(own, values.mean(axis=0), color=colour, marker=marker, ms=5, label=_words(name))
        left.fill_between(own, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.15, lw=0)
    left.set_xscale("log", base=2)
    left.set_yscale("log")
    left.set_xticks(steps, [f"{step:.0f}" for step in steps])
    left.yaxis.set_major_locator(FixedLocator([0.15, 0.2, 0.3, 0.4, 0.5, 0.6]))
    left.yaxis.set_major_formatter(ScalarFormatter())
    left.yaxis.set_minor_locator(NullLocator())
    left.set_xlabel("step of the training", fontsize=FONT)
    left.set_ylabel("distance to held-out recordings", fontsize=FONT)
    left.set_title(f"Training: mean and range of {found['seeds']} seeds", fontsize=FONT)
    left.legend(fontsize=FONT - 1, frameon=False)
    base = ends["base"]
    for place, name in enumerate(order):
        verdict = rows[name].get("verdicts", {}).get("distance", {}).get(str(found["seeds"]), {})
        word = verdict.get("verdict", "")
        colour, marker = VERDICTS[word]
        values = np.array(rows[name]["values"]["distance"])
        right.plot(values, np.full(len(values), place), marker, color=colour, ms=5, alpha=0.5)
        right.plot(values.mean(), place, "|", color=colour, ms=22, mew=2)
        right.text(
            values.max() * 1.04, place, f" {word or 'the baseline'}", va="center", fontsize=FONT, color=colour
        )
    margin = base * (1 + float(found["margin"].rstrip("%")) / 100)
    right.axvspan(base, margin, color=GREY, alpha=0.5, lw=0, zorder=0)
    right.set_xscale("log")
    right.set_xlim(right.get_xlim()[0], right.get_xlim()[1] * 1.7)
    right.xaxis.set_major_locator(FixedLocator([0.1, 0.2, 0.3, 0.4, 0.6]))
    right.xaxis.set_major_formatter(ScalarFormatter())
    right.xaxis.set_minor_locator(NullLocator())
    right.set_yticks(range(len(order)), [_words(n) for n in order], fontsize=FONT)
    right.invert_yaxis()
    right.set_xlabel("distance at the end (grey: margin)", fontsize=FONT)
    right.set_title("Seeds, mean and verdict", fontsize=FONT)
    for axes in (left, right):
        axes.tick_params(labelsize=FONT)
    figure.suptitle(
        "Two planted bugs are far off, one is hard to tell, a refactoring is none", fontsize=FONT + 2
    )
    return figure


def calibration(found: Mapping) -> Figure:
    """False alarms of the verdicts by seeds, metric and pairing, with the binomial range of 5 %."""
    figure = Figure(figsize=(8, 3.8), layout="constrained")
    half = 1.96 * np.sqrt(found["level"] * (1 - found["level"]) / found["trials"])
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (kind, table) in zip(panels, found["false_alarms"].items(), strict=True):
        axes.axhspan(found["level"] - half, found["level"] + half, color=GREY, alpha=0.5, lw=0)
        for j, (metric, row) in enumerate(table.items()):
            x = np.arange(len(row)) + 0.12 * (j - 1.5)
            axes.plot(x, [c["share"] for c in row.values()], MARKERS[j], color=RANKED[j], ms=7, label=metric)
        axes.set_xticks(range(len(row)), list(row), fontsize=FONT)
        axes.set_xlabel("seeds a side", fontsize=FONT)
        axes.set_title(kind, fontsize=FONT)
        axes.set_ylim(0, 0.08)
        axes.tick_params(labelsize=FONT)
    panels[0].set_ylabel("verdicts of worse or better, nothing changed", fontsize=FONT)
    panels[1].legend(fontsize=FONT - 1, frameon=False, ncols=2, loc="upper right")
    figure.suptitle(
        f"False alarms are about 5 % or fewer (grey: 95 % range of 5 % in {found['trials']:,} comparisons)",
        fontsize=FONT + 1,
    )
    return figure
