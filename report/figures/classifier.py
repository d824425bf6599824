"""The classifier: its ladder, what it confuses, how sure it is, and new folders."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from report.figures.style import (
    BLACK,
    BLUE,
    DARK_GREY,
    ORANGE,
    VERDICTS,
    beside,
    heat_map,
    new_figure,
    rows,
    rung,
    slanted,
    styled,
    ticks,
)

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
PROBABILITIES = {  # of the likeliest label: colour, marker, in words
    "raw": (ORANGE, "o", "as trained"),
    "calibrated": (BLUE, "D", "calibrated"),
}
CHANGED = "changed recordings"
FOLDERS = {  # kinds of folder, in words; all others are changed recordings
    "held out": "of the known kind, held out",
    "unknown speaker": "unknown speaker or programs",
    "unknown programs": "unknown speaker or programs",
    "classes missing": "classes missing",
}
SIGNS = {  # of these: colour, marker, area in square points
    CHANGED: (DARK_GREY, "X", 30),
    "classes missing": (BLACK, "s", 30),
    "unknown speaker or programs": (ORANGE, "*", 130),
    "of the known kind, held out": (BLUE, "o", 40),
}


@styled
def classifier_ladder(results: Mapping) -> Figure:
    """Accuracy of every rung: folds, mean and interval, and the gate's verdict on the step.

    A rung a row, baselines on top, then the network part by part, then other networks. Along x accuracy in
    %: strokes are folds, the sign their mean, the bar its 95 % interval (t over folds), the dotted line the
    goal set beforehand. Beside a row the gain over the rung it is judged against, in percentage points;
    colour and sign are the verdict's.

    Reads ``ladder``: rung -> accuracy, interval, ``values``, (folds,), all shares of one; gain and verdict,
    which the first lacks.
    """
    ladder = results["ladder"]
    figure, axes = new_figure(
        5.4,
        "What each part of the classifier brings (accuracy, gain, and the gate's verdict on it)",
    )
    place, places = 0.0, []
    for name, row in ladder.items():
        place += 0.7 if name in ("plain", "mfcc") else 0.0  # baselines, the network, other networks
        colour, marker = VERDICTS[row.get("verdict", "")]
        percent = {key: 100 * np.array(row[key]) for key in ("accuracy", "interval", "values")}
        rung(
            axes,
            place,
            percent["accuracy"],
            percent["interval"],
            colour=colour,
            marker=marker,
            seeds=percent["values"],
        )
        step = f"  {100 * row['gain']:+.1f}, {row['verdict']}" if "verdict" in row else ""
        beside(axes, place, f"{100 * row['accuracy']:.1f} %{step}", colour)
        places.append(place)
        place += 1
    rows(axes, [RUNGS[name] for name in ladder], places)
    axes.set_xlim(0, 102)
    axes.axvline(100 * results["goal"], color=BLACK, ls=":", lw=1)
    folds = len(ladder["whole"]["values"])
    axes.set_xlabel(f"accuracy (%; strokes: {folds} folds; bar: 95 %; dotted: the goal)")
    return figure


def confusion_sounds(results: Mapping) -> Figure:
    """Environmental sounds: rows what a clip is, columns what it was taken for, text: files."""
    return _confusion(results["divisions"]["sounds"], DIVISIONS["sounds"])


def confusion_families(results: Mapping) -> Figure:
    """Instruments of unknown programs: rows what a note is, columns what it was taken for, text: files."""
    return _confusion(results["divisions"]["families"], DIVISIONS["families"])


@styled
def _confusion(division: Mapping, held_out: str) -> Figure:
    """Rows are what a file is, columns what it was taken for; shade: share of the row, text: files."""
    counts = np.array(division["confusion"])
    recalls = [f"{name}  {100 * division['recall'][name]:.0f} %" for name in division["names"]]
    # Shades are shares of a row: labels have different numbers of files.
    shares = pd.DataFrame(counts / counts.sum(axis=1, keepdims=True), recalls, division["names"])
    right, low, high = (100 * share for share in (division["accuracy"], *division["interval"]))
    figure, axes = new_figure(
        6,
        f"{held_out[0].upper()}{held_out[1:]}: "
        f"{right:.1f} % ({low:.0f} to {high:.0f} %) of {division['files']} files are right",
    )
    heat_map(axes, shares, texts=np.where(counts, counts.astype(str), ""))
    slanted(axes)
    axes.set_xlabel("taken for (number of files)")
    axes.set_ylabel("is, and share of it that was recognised")
    return figure


@styled
def reliability(results: Mapping) -> Figure:
    """How often the classifier is right when it is so sure, before and after the temperature.

    A panel a division. Along x the mean probability of the likeliest label in a bin of a tenth, along y the
    share of its files that was right, both in %; the area of a sign grows with its files. Below the
    line it is too sure. The titles have the expected calibration error in percentage points. Where there is
    one fold nothing is held out to fit a temperature on, and only the raw probabilities are drawn.

    Reads ``divisions``: name -> ``raw`` and ``calibrated`` -> ``bins``, (bins, 3): mean probability, share
    right, files.
    """
    figure, panels = new_figure(
        6.8,
        "Is it right as often as it says? On the line, yes; the larger a sign, the more files",
        2,
        2,
        sharex=True,
        sharey=True,
    )
    for axes, (name, division) in zip(panels.flat, results["divisions"].items(), strict=True):
        axes.plot([0, 100], [0, 100], color=BLACK, lw=0.8, ls=":")
        errors = []
        for kind, (colour, marker, name_of_kind) in PROBABILITIES.items():
            if division[kind] is None:  # too few errors to fit a temperature to
                continue
            sure, right, count = np.array(division[kind]["bins"]).T
            axes.plot(100 * sure, 100 * right, color=colour, lw=1, alpha=0.6)
            # Diameter by the root of the share, so that the rarest bins can still be seen.
            area = np.square(3 + 9 * np.sqrt(count / count.max()))
            signs = {"color": colour, "marker": marker, "alpha": 0.8, "lw": 0, "clip_on": False}
            axes.scatter(100 * sure, 100 * right, area, **signs)
            errors.append(f"{100 * division[kind]['error']:.1f} {name_of_kind}")
        axes.set_title(f"{DIVISIONS[name]}\noff by (points): {', '.join(errors)}")
        axes.set_xlim(0, 100)
        axes.set_ylim(0, 100)
        axes.set_xticks(range(0, 101, 20))
        axes.set_yticks(range(0, 101, 20))
    signs = [  # in the legend all have one size
        Line2D([], [], color=colour, marker=marker, lw=1, label=name)
        for colour, marker, name in PROBABILITIES.values()
    ]
    figure.legend(handles=signs, loc="outside lower center", ncols=len(signs))
    for axes in panels[1]:
        axes.set_xlabel("chance given to the likeliest label (%)")
    figure.supylabel("share that was right (%)")
    return figure


@styled
def new_folders(results: Mapping) -> Figure:
    """Accuracy lost in every new folder over its distance from the training folder.

    A panel a division, a sign a folder of one fold: colour, shape and size say what is new about it. Along x
    the distance, no unit, logarithmic from ``NEAREST`` (smaller and negative ones are drawn there); along y
    percentage points of accuracy. The title has Spearman's correlation over conditions with its bootstrap
    interval.

    Reads ``folders``, a row a folder of a fold (``experiments.classifier``), and ``prediction``.
    """
    folders = _folders(results)
    shown = results["prediction"]["all"]["distance"]["interval"][0] > 0
    figure, panels = new_figure(
        7.4,
        "The farther a new folder, the more accuracy is lost, by and large"
        if shown
        else "How far a new folder is does not show how much accuracy is lost",
        2,
        2,
        sharex=True,
        sharey=True,
    )
    for axes, name in zip(panels.flat, DIVISIONS, strict=True):
        axes.axhline(0, color=BLACK, lw=0.8)
        _signs(axes, folders[folders["data"] == name], legend=name == "sounds")
        prediction = results["prediction"][name]["distance"]
        low, high = prediction["interval"]
        correlation = f"rank correlation {prediction['spearman']:.2f} ({low:.2f} to {high:.2f})"
        axes.set_title(f"{DIVISIONS[name]}\n{correlation}")
        axes.set(xlabel="", ylabel="", xscale="log")  # seaborn has written the names of columns
        ticks(axes.xaxis, [NEAREST, 0.01, 0.1, 1])
    first = panels.flat[0]  # its legend, for all panels
    handles, labels = first.get_legend_handles_labels()
    first.get_legend().remove()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    for axes in panels[1]:
        axes.set_xlabel("distance to the training folder (no unit)")
    figure.supylabel("accuracy lost (percentage points)")
    return figure


def _folders(results: Mapping) -> pd.DataFrame:
    """A row a folder of a fold: ``data``, ``folder`` (a key of ``SIGNS``), ``distance``, ``lost``."""
    folders = pd.DataFrame(results["folders"])
    folders["folder"] = folders["kind"].map(FOLDERS).fillna(CHANGED)
    folders["distance"] = folders["distance"].clip(lower=NEAREST)
    folders["lost"] = 100 * folders["drop"]
    # What is rare is drawn last, on top of what is many.
    return folders.sort_values("folder", key=lambda names: names.map(list(SIGNS).index), kind="stable")


def _signs(axes: Axes, folders: pd.DataFrame, *, legend: bool) -> None:
    palette, markers, sizes = map(list, zip(*SIGNS.values(), strict=True))
    seaborn.scatterplot(
        folders,
        x="distance",
        y="lost",
        hue="folder",
        hue_order=list(SIGNS),
        style="folder",
        style_order=list(SIGNS),
        size="folder",
        size_order=list(SIGNS),
        linewidth=0.5,
        alpha=0.8,
        legend="brief" if legend else False,
        ax=axes,
        palette=palette,
        markers=markers,
        sizes=sizes,
    )
