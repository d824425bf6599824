"""The classifier: its ladder, what it confuses, how sure it is, and new folders."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator

from report.figures.style import BLUE, FONT, ORANGE, VERDICTS

NEAREST = 0.001  # distances are drawn from here on a logarithmic axis
RUNGS = {  # of the classifier's ladder, in words
    "majority": "always the commonest label",
    "cepstral": "MFCC statistics, logistic regression",
    "plain": "residual network on log-mel",
    "crop": "+ random crop",
    "masks": "+ hidden bands and frames",
    "mixup": "+ mixed pairs",
    "single": "+ average over windows",
    "whole": "+ three networks: the whole",
    "mfcc": "one network, on MFCC",
    "mfcc_deltas": "one network, on MFCC and deltas",
    "focal": "one network, focal loss",
    "unnormalised": "one network, not normalised",
}
DIVISIONS = {  # what is held out, in words
    "sounds": "environmental sounds, unknown recordings",
    "digits": "digits, known speakers",
    "speakers": "digits, unknown speakers",
    "families": "instruments, unknown programs",
}


def classifier_ladder(found: Mapping) -> Figure:
    """Accuracy of every rung: folds, mean and interval, and the gate's verdict on the step."""
    figure = Figure(figsize=(8, 5.4), layout="constrained")
    axes = figure.subplots()
    rows = found["ladder"]
    place, ticks = 0.0, []
    for name, row in rows.items():
        place += 0.7 if name in ("plain", "mfcc") else 0.0
        colour, marker = VERDICTS[row.get("verdict", "")]
        values = 100 * np.array(row["values"])
        axes.plot(values, np.full(len(values), place), marker, color=colour, ms=5, alpha=0.4)
        axes.plot(100 * np.array(row["interval"]), [place, place], color=colour, lw=2)
        axes.plot(100 * row["accuracy"], place, "|", color=colour, ms=16, mew=3)
        text = f"{100 * row['accuracy']:.1f} %"
        if "verdict" in row:
            text += f"  {100 * row['gain']:+.1f}, {row['verdict']}"
        axes.text(1.01, place, text, transform=axes.get_yaxis_transform(), va="center", fontsize=FONT)
        ticks.append(place)
        place += 1
    axes.set_yticks(ticks, [RUNGS[name] for name in rows], fontsize=FONT)
    axes.invert_yaxis()
    axes.set_xlim(0, 102)
    axes.axvline(100 * found["goal"], color="black", ls=":", lw=1)
    axes.tick_params(labelsize=FONT)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel(
        f"accuracy, % (dots: {len(rows['whole']['values'])} folds; line: 95 %; dotted: the goal)",
        fontsize=FONT,
    )
    figure.suptitle("What each part of the classifier brings", fontsize=FONT + 2)
    return figure


def confusion_sounds(found: Mapping) -> Figure:
    """Environmental sounds: what each was taken for."""
    return _confusion(found["divisions"]["sounds"], DIVISIONS["sounds"])


def confusion_families(found: Mapping) -> Figure:
    """Instruments of unknown programs: what each was taken for."""
    return _confusion(found["divisions"]["families"], DIVISIONS["families"])


def _confusion(row: Mapping, words: str) -> Figure:
    table = np.array(row["confusion"])
    shares = table / table.sum(axis=1, keepdims=True)
    figure = Figure(figsize=(8, 6), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for (i, j), count in np.ndenumerate(table):
        if count:
            axes.text(
                j,
                i,
                count,
                ha="center",
                va="center",
                fontsize=FONT,
                color="black" if shares[i, j] > 0.5 else "white",
            )
    recalls = [f"{name}  {row['recall'][name]:.0%}" for name in row["names"]]
    axes.set_yticks(range(len(table)), recalls, fontsize=FONT)
    axes.set_xticks(range(len(table)), row["names"], rotation=40, ha="right", fontsize=FONT)
    axes.set_xlabel("taken for", fontsize=FONT)
    axes.set_ylabel("is, and share of it that was recognised", fontsize=FONT)
    axes.set_title(
        f"{words[0].upper()}{words[1:]}: {row['accuracy']:.1%} of {row['files']} files",
        fontsize=FONT + 2,
        loc="left",
    )
    return figure


def reliability(found: Mapping) -> Figure:
    """How often the classifier is right when it is so sure, before and after the temperature."""
    figure = Figure(figsize=(8, 6.4), layout="constrained")
    for axes, (name, row) in zip(figure.subplots(2, 2).flat, found["divisions"].items(), strict=True):
        axes.plot([0, 100], [0, 100], color="black", lw=0.8, ls=":")
        for kind, colour, marker, words in (
            ("raw", ORANGE, "o", "as trained"),
            ("calibrated", BLUE, "D", "calibrated"),
        ):
            if row[kind] is None:
                continue
            sure, right, count = np.array(row[kind]["bins"]).T
            size = 3 + 9 * np.sqrt(count / count.max())
            label = f"{words}: off by {100 * row[kind]['error']:.1f}"
            axes.plot(100 * sure, 100 * right, color=colour, lw=1, alpha=0.6)
            for x, y, s in zip(100 * sure, 100 * right, size, strict=True):
                axes.plot(x, y, marker, color=colour, ms=s, alpha=0.8)
            axes.plot([], [], marker, color=colour, label=label)
        axes.set_title(f"{DIVISIONS[name]}", fontsize=FONT)
        axes.legend(fontsize=FONT, frameon=False, loc="upper left")
        axes.set_xlim(0, 103)
        axes.set_ylim(0, 103)
        axes.tick_params(labelsize=FONT)
    figure.supxlabel("chance of the likeliest label, %", fontsize=FONT)
    figure.supylabel("share that was right, %", fontsize=FONT)
    figure.suptitle("Is it right as often as it says? On the line, yes", fontsize=FONT + 2)
    return figure


FOLDERS = {  # kinds of folder: in words, marker, colour, size; all others are changed recordings
    "held out": ("of the known kind, held out", "o", BLUE, 6),
    "unknown speaker": ("unknown speaker or programs", "*", ORANGE, 12),
    "unknown programs": ("unknown speaker or programs", "*", ORANGE, 12),
    "classes missing": ("classes missing", "s", "black", 5),
    "": ("changed recordings", "x", "#666666", 6),
}


def new_folders(found: Mapping) -> Figure:
    """Accuracy lost in every new folder over its distance from the training folder."""
    figure = Figure(figsize=(8, 7.2), layout="constrained")
    panels = figure.subplots(2, 2, sharex=True, sharey=True)
    for axes, name in zip(panels.flat, DIVISIONS, strict=True):
        for row in (r for r in found["folders"] if r["data"] == name):
            _, marker, colour, size = FOLDERS.get(row["kind"], FOLDERS[""])
            axes.plot(
                max(row["distance"], NEAREST),
                100 * row["drop"],
                marker,
                color=colour,
                ms=size,
                mec=colour if marker == "x" else "white",
                mew=1 if marker == "x" else 0.5,
                zorder=2 if marker == "x" else 3,
            )
        row = found["prediction"][name]["distance"]
        low, high = row["interval"]
        axes.set_title(
            f"{DIVISIONS[name]}\nrank correlation {row['spearman']:.2f} ({low:.2f} to {high:.2f})",
            fontsize=FONT,
        )
        axes.axhline(0, color="black", lw=0.8)
        axes.tick_params(labelsize=FONT)
    panels[0, 0].set_xscale("log")
    panels[0, 0].xaxis.set_major_locator(FixedLocator([NEAREST, 0.01, 0.1, 1]))
    panels[0, 0].xaxis.set_major_formatter("{x:g}")
    for axes in panels[1]:
        axes.set_xlabel("distance to the training folder", fontsize=FONT)
    handles = {
        words: Line2D([], [], ls="", marker=marker, color=colour, ms=size)
        for words, marker, colour, size in FOLDERS.values()
    }
    figure.legend(
        handles.values(), handles, loc="outside lower center", ncols=2, fontsize=FONT, frameon=False
    )
    figure.supylabel("accuracy lost, percentage points", fontsize=FONT)
    figure.suptitle("Accuracy lost in a new folder, over its distance", fontsize=FONT + 2)
    return figure
