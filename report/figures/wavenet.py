"""The WaveNet: the ladder beside the autoencoders, training, temperature and context."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from report.figures import waveforms
from report.figures.autoencoders import SEEN_DB
from report.figures.style import (
    BLACK,
    BLUE,
    DARK_GREY,
    GREEN,
    GREY,
    NOTE,
    ORANGE,
    beside,
    new_figure,
    rows,
    rung,
    styled,
    ticks,
    words,
)
from report.numbers import num
from report.tables.wavenet import models_of_one_recipe

NETWORKS = {"unconditional": ("told nothing", BLUE, "o"), "conditional": ("told the digit", ORANGE, "^")}
LINES = {"scaled": "fixed linear predictor", "adaptive": "adaptive linear predictor"}


@styled
def wavenet_ladder(results: Mapping, autoencoders: Mapping) -> Figure:
    """From recordings down to samples, WaveNets beside autoencoders: distance to the same recordings.

    A row a rung; along x the distance, no unit, linear below .01 and logarithmic above. Bars are 95 %: over
    seeds, drawn as strokes, for networks, over files for recordings. Dotted: the way through 256 codes.

    Reads ``floor``, ``ceiling`` (value, interval) and ``networks``: ``distance`` (mean, interval, values); of
    the ``autoencoders`` what ``autoencoders.ladder`` reads.
    """
    figure, axes = new_figure(
        5.6, "Drawn code by code, sounds come nearer than samples of any autoencoder here"
    )
    rungs = [
        ("recordings (floor)", results["floor"], BLACK, "D"),
        ("through 256 codes", results["ceiling"], DARK_GREY, "s"),
    ]
    for kind, marker in (("reconstructions", "<"), ("samples", "v")):
        for name, row in models_of_one_recipe(results, autoencoders).items():
            rungs.append((f"{words(name)} autoencoder: {kind}", row[kind], GREEN, marker))
    for name, (title, colour, marker) in NETWORKS.items():
        rungs.append((f"WaveNet, {title}: samples", results["networks"][name]["distance"], colour, marker))
    axes.grid(axis="x", color="#EEEEEE")
    axes.axvline(results["ceiling"]["value"], color=DARK_GREY, ls=":", lw=1)
    for place, (_, row, colour, marker) in enumerate(rungs):
        value = row["mean"] if "mean" in row else row["value"]
        rung(axes, place, value, row["interval"], colour=colour, marker=marker, seeds=row.get("values", ()))
        beside(axes, place, num(value), colour)
    axes.set_axisbelow(True)
    axes.set_xscale("symlog", linthresh=0.01, linscale=0.4)
    axes.set_xlim(min(-0.005, 1.2 * results["floor"]["interval"][0]), 1.1)
    ticks(axes.xaxis, [0, 0.01, 0.03, 0.1, 0.3, 1])
    rows(axes, [name for name, *_ in rungs])
    axes.set_xlabel("distance to held-out recordings (no unit)")
    return figure


@styled
def wavenet_training(results: Mapping) -> Figure:
    """Bits a sample and distance against the training step: mean and range over seeds, a colour a network.

    Left bits of the validation recordings, with linear predictors as lines; right the distance of samples.

    Reads ``networks``: name -> ``curves``, (seeds, points, 3): step, distance, bits; and ``predictors``.
    """
    figure, axes = new_figure(
        3.9, "Bits fall step by step; the distance wanders until the learning rate is down", 1, 2
    )
    for name, (title, colour, marker) in NETWORKS.items():
        curves = np.array(results["networks"][name]["curves"])
        for place, column in enumerate((2, 1)):
            step, values = curves[0, :, 0], curves[:, :, column]
            axes[place].plot(step, values.mean(axis=0), color=colour, marker=marker, label=title)
            axes[place].fill_between(
                step, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.15, lw=0
            )
            axes[place].set_xscale("log")
            ticks(axes[place].xaxis, step)
            axes[place].set_xlabel("step of the training")
    for name, title in LINES.items():
        bits = results["predictors"][name]
        axes[0].axhline(bits, color=DARK_GREY, ls=":", lw=1)
        axes[0].annotate(
            title, (1, bits), xycoords=("axes fraction", "data"), xytext=(0, 2), textcoords="offset points",
            ha="right", va="bottom", fontsize=NOTE, color=DARK_GREY,
        )  # fmt: skip
    axes[0].set_ylabel("bits a sample, recordings not trained on")
    axes[1].set_ylabel("distance of samples (no unit)")
    axes[1].set_ylim(bottom=0)
    axes[1].legend(title="WaveNet")
    return figure


@styled
def wavenet_choices(results: Mapping) -> Figure:
    """Temperature and context: distance of samples with 95 % intervals over files, and bits.

    Left against the temperature, both networks; middle and right against the receptive field, the network
    that is told nothing. Dotted: the way through 256 codes.

    Reads ``temperatures``: network -> temperature -> value, interval; ``contexts``: samples -> bits,
    distance, interval; ``ceiling``, ``config``.
    """
    figure, axes = new_figure(
        3.9, "Nearest at temperatures about 0.9 and 1, and with the longer context", 1, 3
    )
    for name, (title, colour, marker) in NETWORKS.items():
        table = results["temperatures"][name]
        values, ends = _with_ends(table.values(), "value")
        axes[0].errorbar(
            [float(t) for t in table], values, yerr=ends, color=colour, marker=marker, capsize=3, label=title
        )
    axes[0].set_xticks([float(t) for t in next(iter(results["temperatures"].values()))])
    axes[0].set_xlabel("temperature")
    axes[0].set_ylabel("distance of samples (no unit)")
    axes[0].legend()
    contexts = list(results["contexts"].values())
    milliseconds = [1000 * row["receptive_field"] / results["config"]["rate"] for row in contexts]
    values, ends = _with_ends(contexts, "distance")
    axes[1].errorbar(milliseconds, values, yerr=ends, color=BLUE, marker="o", capsize=3)
    axes[1].set_ylabel("distance of samples (no unit)")
    axes[2].plot(milliseconds, [row["bits"] for row in contexts], color=BLUE, marker="o")
    axes[2].set_ylabel("bits a sample")
    for place in (1, 2):
        axes[place].set_xscale("log")
        ticks(axes[place].xaxis, [round(m) for m in milliseconds])
        axes[place].set_xlabel("context (ms)")
    for place in (0, 1):
        axes[place].axhline(results["ceiling"]["value"], color=GREY, ls=":", lw=1.5)
        axes[place].set_ylim(bottom=0)
    return figure


def _with_ends(rows, key: str) -> tuple[np.ndarray, np.ndarray]:
    """Values, and how far the two ends of their intervals are from them, (2, rows)."""
    rows = list(rows)
    values = np.array([row[key] for row in rows])
    return values, np.abs(np.array([row["interval"] for row in rows]).T - values)


def wavenet_words(results: Mapping) -> Figure:
    """One recording, the same through 256 codes, and what the two networks make, as spectrograms."""
    highest = results["config"]["rate"] / 2  # above it there is nothing
    return waveforms.spectrograms(
        results["pictures"],
        "A recorded word, and what the two networks make",
        highest=highest,
        decibels=SEEN_DB,
    )
