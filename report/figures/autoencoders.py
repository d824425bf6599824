"""Autoencoders: the ladder, the ceiling of a spectrogram, what samples hold, planted faults."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import seaborn
from matplotlib import colormaps
from matplotlib.figure import Figure

from report.figures import waveforms
from report.figures.regressions import seed_rows
from report.figures.style import (
    BLACK,
    BLUE,
    DARK_GREY,
    GREY,
    MARKERS,
    NOTE,
    ORANGE,
    PALETTE,
    beside,
    heat_map,
    new_figure,
    rows,
    rung,
    slanted,
    styled,
    ticks,
    training_curves,
    words,
)
from report.trainings import said

CEILINGS = {  # from mel bands back to bins
    "linear": "all bins known",
    "uniform": "bands spread evenly",
    "nnls": "least squares, not negative",
    "regression": "regression",
}


@styled
def ladder(results: Mapping) -> Figure:
    """From recordings down to samples: every distance to the same held-out recordings, with intervals.

    A row a rung; along x the distance, no unit, linear below .01 and logarithmic above. Bars are 95 %: over
    files for recordings and round trips, over seeds, drawn as strokes, for models. Dotted: the round
    trip of the spectrogram that the models share.

    Reads ``floor``, ``ceiling`` (value, interval) and ``models``: ``reconstructions`` and ``samples`` (mean,
    interval, and ``values``, (seeds,)).
    """
    way = results["ceiling"]["regression"]["value"]
    nearest = min(model["reconstructions"]["mean"] for model in results["models"].values())
    figure, axes = new_figure(
        6.6, f"The way back from a spectrogram alone is at {way:.3f}, the nearest model at {nearest:.3f}"
    )
    rungs = {"recordings (floor)": (results["floor"], BLACK, "D")}
    for name, trip in results["ceiling"].items():
        rungs[f"round trip, {CEILINGS[name]}"] = (trip, DARK_GREY, "s")
    for kind, colour, marker in (("reconstructions", BLUE, "o"), ("samples", ORANGE, "^")):
        for name, model in results["models"].items():
            rungs[f"{words(name)}: {kind}"] = (model[kind], colour, marker)
    axes.grid(axis="x", color="#EEEEEE")
    axes.axvline(way, color=DARK_GREY, ls=":", lw=1)
    # Of models the mean over seeds, of anything else one value.
    for place, (row, colour, marker) in enumerate(rungs.values()):
        value = row["mean"] if "mean" in row else row["value"]
        rung(axes, place, value, row["interval"], colour=colour, marker=marker, seeds=row.get("values", ()))
        beside(axes, place, f"{value:.3f}", colour)
    axes.set_axisbelow(True)
    # The floor is about 0, to either side; from .01 on every rung is a factor.
    axes.set_xscale("symlog", linthresh=0.01, linscale=0.4)
    axes.set_xlim(min(-0.005, 1.2 * results["floor"]["interval"][0]), 1.1)
    ticks(axes.xaxis, [0, 0.01, 0.03, 0.1, 0.3, 1])
    rows(axes, rungs)
    axes.set_xlabel("distance to held-out recordings (no unit; dotted: the ceiling used)")
    return figure


def stages(results: Mapping) -> Figure:
    """One recording at every stage, as spectrograms: its round trip, then each model's reconstruction.

    And beside each a sample that is meant to be of the same digit.
    """
    return waveforms.spectrograms(results["pictures"], "The same word, stage by stage")


@styled
def ceiling(results: Mapping) -> Figure:
    """Round trips by the number of mel bands, for each way from bands to bins.

    Along x mel bands, along y the distance of the validation recordings to the reference after the way there
    and back, no unit, with 95 % intervals over files. Dashed with its band: all bins known, only the phases
    lost.

    Reads ``bands``: way back -> number of bands -> value, interval; and ``ceiling``.
    """
    figure, axes = new_figure(
        3.8, "The mel bands are what is lost, not the phases; a learned inverse regains half or more"
    )
    shapes = zip(results["bands"].items(), (ORANGE, DARK_GREY, BLUE), "^so", strict=True)
    for (name, row), colour, marker in shapes:
        values = np.array([trip["value"] for trip in row.values()])
        ends = np.array([trip["interval"] for trip in row.values()])
        bars = {"yerr": np.abs(ends.T - values), "capsize": 3}
        bands = [int(count) for count in row]
        axes.errorbar(bands, values, color=colour, marker=marker, ms=7, label=CEILINGS[name], **bars)
    linear = results["ceiling"]["linear"]  # has no bands, so a line across
    axes.axhspan(*linear["interval"], color=GREY, alpha=0.5, lw=0)
    axes.axhline(linear["value"], color=BLACK, lw=1, ls="--", label=CEILINGS["linear"])
    axes.set_xscale("log", base=2)
    ticks(axes.xaxis, [int(count) for count in results["bands"]["regression"]])
    axes.set_ylim(bottom=0)
    axes.set_xlabel("mel bands")
    axes.set_ylabel("distance to held-out recordings (no unit)")
    axes.legend(title="from bands to bins (bars: 95 %)")
    return figure


@styled
def autoencoder_training(results: Mapping) -> Figure:
    """Distance of samples against the training step: mean and range over seeds, a colour a model.

    Both axes logarithmic; step 0 is the untrained model. Dotted: the ceiling.

    Reads ``models``: name -> ``curves``, (seeds, points, 2): step and distance.
    """
    figure, axes = new_figure(
        4,
        f"Training brings samples nearer (mean and range of {results['seeds']} seeds)",
    )
    curves = {words(name): row["curves"] for name, row in results["models"].items()}
    training_curves(axes, curves)
    trip = results["ceiling"]["regression"]["value"]
    axes.axhline(trip, color=DARK_GREY, ls=":", lw=1.5, label="ceiling")
    axes.set_xscale("symlog", linthresh=100, linscale=0.3)  # step 0 has no logarithm
    ticks(axes.xaxis, np.array(next(iter(curves.values())))[0, :, 0])
    axes.set_yscale("log")
    ticks(axes.yaxis, [0.03, 0.05, 0.1, 0.2, 0.5, 1])
    axes.set_xlabel("step of the training (0: untrained)")
    axes.set_ylabel("distance of samples (no unit)")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


@styled
def fidelity_and_coverage(results: Mapping) -> Figure:
    """Density against coverage: sounds that look real, and recordings that have a sound near them.

    Naeem et al. 2020 (arXiv:2002.09797) with k = 5 in the embedding of the distance, mean of seeds.
    Reconstructions are filled, samples hollow, the recordings themselves a star: good is near it.
    """
    figure, axes = new_figure(4.4, "From reconstructions (filled) to samples (hollow), mean of seeds")
    floor = results["floor"]
    axes.plot(floor["coverage"], floor["density"], "*", color=BLACK, ms=14, label="recordings")
    for (name, row), colour, marker in zip(results["models"].items(), PALETTE, MARKERS, strict=False):
        ends = [row["quality"][kind] for kind in ("reconstructions", "samples")]
        x, y = ([end[key] for end in ends] for key in ("coverage", "density"))
        axes.plot(x, y, "-", color=colour, lw=1, alpha=0.5)
        axes.plot(x[0], y[0], marker, color=colour, ms=9, label=words(name))
        axes.plot(x[1], y[1], marker, color=colour, ms=9, mfc="white", mew=1.5)
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.04, 1.1 * max(1.0, axes.get_ylim()[1] / 1.1))
    axes.set_xlabel("coverage: recordings with a sound near them (share)")
    axes.set_ylabel("density: how real the sounds look")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


@styled
def modes(results: Mapping) -> Figure:
    """Which digits and speakers a set seems to hold, by a classifier: recordings and each model's samples.

    A panel a set of 300 sounds, seed 0: digits down, speakers across, number of sounds in a cell, bold where
    none is. Shades end at twice the most of the recordings; the title counts the pairs that are missing.

    Reads ``recognised`` of recordings and of each model's first seed: ``cells``, (digits, speakers) counts,
    and the names of both.
    """
    shown = {"recordings": results["recognised"]["real"]}
    shown |= {words(name): row["recognised"]["samples"][0] for name, row in results["models"].items()}
    figure, panels = new_figure(
        6.8,
        "Digits (rows) and speakers (columns) that a recogniser hears: number of sounds\n"
        "(dark: a digit of a speaker that is missing; bright: twice as often as in recordings, or more)",
        -(-len(shown) // 3),
        3,
    )
    # A model that says one thing only would leave no shades for the others.
    most = 2 * np.max(shown["recordings"]["cells"])
    for axes, (name, recognised) in zip(panels.flat, shown.items(), strict=False):
        table = pd.DataFrame(recognised["cells"], recognised["digits"], recognised["speakers"])
        missing = (table == 0).to_numpy()
        heat_map(axes, table, texts=table.astype(str).to_numpy(), limits=(0, most), bold=missing)
        axes.set_yticks(axes.get_yticks(), axes.get_yticklabels(), rotation=0)
        slanted(axes, 60)
        axes.set_title(f"{name}: {missing.sum()} of {missing.size} missing")
    for axes in panels.flat[len(shown) :]:  # the grid has more places than there are sets
        axes.set_axis_off()
    return figure


@styled
def latent_map(results: Mapping) -> Figure:
    """Held-out recordings on the first two principal components of their latents.

    Left each drawn as its digit, right as its speaker; axes in units of the latents, with the share of the
    variance they explain. What lies in groups is what the model describes a sound by.

    Reads ``latents``: ``points``, (recordings, 2); ``explained``, (2,) shares; ``labels`` and ``groups``,
    (recordings,).
    """
    latents = results["latents"]
    explained = [f"{100 * share:.0f} % of the variance" for share in latents["explained"]]
    table = pd.DataFrame(latents["points"], columns=["first", "second"])
    table = table.assign(digit=latents["labels"], speaker=latents["groups"])
    figure, (left, right) = new_figure(
        4.6,
        f"Latents of {len(table)} held-out recordings ({words(latents['model'])}): by digit, and by speaker",
        1,
        2,
        sharex=True,
        sharey=True,
    )
    digits = sorted(set(table["digit"]))
    # The brightest part of the map is hard to read as text on white.
    shades = dict(zip(digits, colormaps["cividis"](np.linspace(0, 0.75, len(digits))), strict=True))
    for row in table.itertuples():
        place = {"ha": "center", "va": "center", "fontsize": NOTE}
        left.text(row.first, row.second, row.digit, color=shades[row.digit], **place)
    speakers = sorted(set(table["speaker"]))
    seaborn.scatterplot(
        table,
        x="first",
        y="second",
        hue="speaker",
        hue_order=speakers,
        style="speaker",
        style_order=speakers,
        palette=list(PALETTE[: len(speakers)]),
        markers=list(MARKERS[: len(speakers)]),
        edgecolor="none",
        alpha=0.8,
        ax=right,
    )
    right.margins(0.06)  # shared: texts at the left have no extent that the limits would know
    for axes in (left, right):
        axes.set_xlabel(f"first component ({explained[0]})")
    left.set_ylabel(f"second component ({explained[1]})")
    right.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


@styled
def faults(results: Mapping) -> Figure:
    """Planted faults, seed by seed, against the model they are planted in, which is the first row.

    Along x the distance of samples to held-out recordings, no unit; verdicts in colour, sign and word.
    Dotted: the mean of the model itself.
    """
    figure, axes = new_figure(3.4, "Historic faults, planted in the simple autoencoder: the gate's verdicts")
    # As the gate measures the faults: the last evaluation of every run.
    base = [curve[-1][1] for curve in results["models"]["simple"]["curves"]]
    values = {"the model itself": base} | {name: row["values"] for name, row in results["faults"].items()}
    verdicts = {"the model itself": ""} | {name: said(row) for name, row in results["faults"].items()}
    axes.axvline(np.mean(base), color=BLACK, ls=":", lw=1)
    seed_rows(axes, values, verdicts)
    axes.set_xlim(0, 1.25 * max(map(max, values.values())))
    axes.set_xlabel(f"distance of samples to held-out recordings ({results['seeds']} seeds and their mean)")
    return figure
