"""Autoencoders: the ladder, the ceiling of a spectrogram, what samples hold, planted faults."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from report.figures import waveforms
from report.figures.regressions import seed_rows
from report.figures.style import (
    BLACK,
    BLUE,
    DARK_GREY,
    GREY,
    MARKERS,
    ORANGE,
    PALETTE,
    beside,
    in_percent,
    new_figure,
    rows,
    rung,
    styled,
    ticks,
    training_curves,
    words,
)
from report.trainings import said

SEEN_DB = 60  # below the loudest point, to which spectrograms of words are shaded: recordings have noise
SHADES = LinearSegmentedColormap.from_list("blues", ["white", BLUE, BLACK])
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


@styled
def stages(results: Mapping) -> Figure:
    """One recording at every stage, as spectrograms: its round trip, then each model's reconstruction.

    A stage a row; left what becomes of the recording, right a sample that is meant to be of the same digit.
    Seconds along x, one scale a column; kHz along y, on a mel scale, up to half of the recordings' rate,
    above which there is nothing; dB below the loudest point of each as shade.

    Reads ``pictures``: "MODEL, reconstructed" and "MODEL, sampled" of each model, before them what is no
    model's; and ``config``: ``rate``.
    """
    pictures, highest = results["pictures"], results["config"]["rate"] / 2
    stages = list(dict.fromkeys(name.partition(", ")[0] for name in pictures))
    figure, panels = new_figure(
        0.9 + 0.72 * len(stages),
        "The same word, stage by stage: what becomes of a recording, and a sample of each model",
        len(stages),
        2,
        sharex="col",
        sharey=True,
    )
    for (left, right), stage in zip(panels, stages, strict=True):
        shown = stage if stage in pictures else f"{stage}, reconstructed"
        image = waveforms.spectrogram(left, pictures[shown], highest=highest, decibels=SEEN_DB)
        left.set_ylabel(textwrap.fill(stage, 15), rotation=0, ha="right", va="center")
        if shown == stage:  # no model's, so that nothing can be drawn from it
            right.set_axis_off()
        else:
            waveforms.spectrogram(right, pictures[f"{stage}, sampled"], highest=highest, decibels=SEEN_DB)
    panels[0, 0].set_title("recorded or reconstructed (kHz)")
    first = next(i for i, stage in enumerate(stages) if stage not in pictures)
    panels[first, 1].set_title("sampled (kHz)")
    for axes, kind in zip(panels.T, ("reconstructed", "sampled"), strict=True):
        longest = max(picture["seconds"] for name, picture in pictures.items() if name.endswith(kind))
        axes[-1].set_xlim(0, longest)
        axes[-1].set_xlabel("time (s)")
    place = panels[0, 1].inset_axes([0.15, 0.6, 0.7, 0.3])  # where no sample is
    bar = figure.colorbar(image, cax=place, orientation="horizontal", extend="min")
    bar.set_label("level (dB relative to the loudest point)")
    place.set_in_layout(False)  # or that row would be higher than the others
    return figure


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
    """Density and coverage, a model a row: do sounds look real, and have recordings a sound near them?

    Naeem et al. 2020 (arXiv:2002.09797) with k = 5 in the embedding of the distance, mean of seeds. Along x
    density (left) and coverage (right), from reconstructions (filled) to samples (hollow). Dotted: the
    recordings themselves; good is near it.

    Reads ``models``: name -> ``quality``: kind -> ``density``, ``coverage``; and ``floor``.
    """
    models, floor = results["models"], results["floor"]
    figure, panels = new_figure(
        1.5 + 0.36 * len(models),
        "From reconstructions (filled) to samples (hollow), beside recordings (dotted)",
        1,
        2,
        sharey=True,
    )
    quantities = {
        "density": "density: how real the sounds look",
        "coverage": "coverage: share of recordings\nwith a sound near them",
    }
    for axes, (key, label) in zip(panels, quantities.items(), strict=True):
        axes.axvline(floor[key], color=DARK_GREY, ls=":", lw=1.5)
        for place, row in enumerate(models.values()):
            start, end = (row["quality"][kind][key] for kind in ("reconstructions", "samples"))
            axes.plot([start, end], [place, place], "-", color=GREY, lw=2, zorder=1)
            axes.plot(start, place, "o", color=BLUE, ms=8)
            axes.plot(end, place, "^", color=ORANGE, ms=8, mfc="white", mew=1.8)
        axes.set_xlim(0, 1.12 * axes.dataLim.x1)
        axes.set_xlabel(label)
    rows(panels[0], map(words, models))
    panels[0].set_ylim(len(models) - 0.5, -0.5)
    in_percent(panels[1].xaxis)
    return figure


@styled
def modes(results: Mapping) -> Figure:
    """Which digits and speakers a set seems to hold, by a classifier: recordings and each model's samples.

    A panel a set of 300 sounds, seed 0: digits down, speakers across, number of sounds as shade, a cross
    where none is. Shades end at twice the most of the recordings; the title counts the pairs that are
    missing.

    Reads ``recognised`` of recordings and of each model's first seed: ``cells``, (digits, speakers) counts,
    and the names of both.
    """
    shown = {"recordings": results["recognised"]["real"]}
    shown |= {words(name): row["recognised"]["samples"][0] for name, row in results["models"].items()}
    columns = min(len(shown), 6)
    figure, panels = new_figure(
        0.6 + 3.1 * -(-len(shown) // columns),
        "Digits (down) and speakers (across) that a recogniser hears; crosses, counted above: missing",
        -(-len(shown) // columns),
        columns,
        squeeze=False,
        sharey=True,
    )
    # A model that says one thing only would leave no shades for the others.
    most = 2 * np.max(shown["recordings"]["cells"])
    for axes, (name, recognised) in zip(panels.flat, shown.items(), strict=False):
        cells = np.array(recognised["cells"])
        image = axes.imshow(cells, cmap=SHADES, vmin=0, vmax=most, aspect="auto")
        down, across = np.nonzero(cells == 0)
        axes.plot(across, down, "x", color=ORANGE, ms=6, mew=1.8)
        axes.set_xticks(range(len(recognised["speakers"])), recognised["speakers"], rotation=90)
        axes.set_yticks(range(len(recognised["digits"])), recognised["digits"])
        axes.tick_params(length=0)
        axes.set_title(f"{textwrap.fill(name, 12)}\n{len(down)} of {cells.size}")
    for axes in panels.flat[len(shown) :]:  # the grid has more places than there are sets
        axes.set_axis_off()
    panels[0, 0].set_ylabel("digit")
    label = f"sounds (of {results['config']['generate']})"
    figure.colorbar(image, ax=panels, shrink=0.6, pad=0.02, label=label, extend="max")
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
    points = np.array(latents["points"])
    figure, panels = new_figure(
        5.2,
        f"Latents of {len(points)} held-out recordings ({words(latents['model'])}): by digit, and by speaker",
        1,
        2,
        sharex=True,
        sharey=True,
    )
    digits, speakers = sorted(set(latents["labels"])), sorted(set(latents["groups"]))
    # Digits have an order, so have their colours; the brightest of the map cannot be read on white.
    ordered = colormaps["viridis"](np.linspace(0, 0.85, len(digits)))
    looks = (
        {digit: (colour, f"${digit}$") for digit, colour in zip(digits, ordered, strict=True)},
        dict(zip(speakers, zip(PALETTE, MARKERS, strict=True), strict=False)),
    )
    keys = (np.array(latents["labels"]), np.array(latents["groups"]))
    for axes, look, key, area in zip(panels, looks, keys, (70, 40), strict=True):
        for name, (colour, marker) in look.items():
            x, y = points[key == name].T
            axes.scatter(x, y, area, color=colour, marker=marker, alpha=0.85, lw=0, label=name)
        axes.set_xlabel(f"first component ({explained[0]})")
    below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.13), "handletextpad": 0.1, "columnspacing": 1}
    panels[0].legend(  # digits say themselves what they are
        panels[0].collections, [""] * len(digits), ncols=len(digits), handlelength=1, title="digit", **below
    )
    panels[1].legend(ncols=-(-len(speakers) // 2), **below)
    panels[0].set_ylabel(f"second component ({explained[1]})")
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
