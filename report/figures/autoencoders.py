"""Autoencoders: the ladder, the ceiling of a spectrogram, what samples hold, planted faults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from report.figures import waveforms
from report.figures.style import BLUE, FONT, GREY, MARKERS, ORANGE, RANKED, VERDICTS, _words

CEILINGS = {  # from mel bands back to bins
    "linear": "all bins known",
    "uniform": "bands spread evenly",
    "nnls": "least squares, not negative",
    "regression": "regression",
}


def ladder(found: Mapping) -> Figure:
    """From recordings down to samples: every distance to the same held-out recordings, with intervals."""
    figure = Figure(figsize=(8, 6.6), layout="constrained")
    axes = figure.subplots()
    rows: list[tuple[str, float, Sequence[float], Sequence[float], str, str]] = []
    rung = found["floor"]
    rows.append(("recordings (floor)", rung["value"], rung["interval"], (), "black", "D"))
    for name, rung in found["ceiling"].items():
        text = f"round trip, {CEILINGS[name]}"
        rows.append((text, rung["value"], rung["interval"], (), "#555555", "s"))
    for kind, colour, marker in (("reconstructions", BLUE, "o"), ("samples", ORANGE, "^")):
        for name, row in found["models"].items():
            rung = row[kind]
            label = f"{_words(name)}: {kind}"
            rows.append((label, rung["mean"], rung["interval"], rung["values"], colour, marker))
    for place, (_, value, interval, dots, colour, marker) in enumerate(rows):
        axes.plot(interval, [place, place], color=colour, lw=2)
        axes.plot(dots, [place] * len(dots), "|", color=colour, ms=9, alpha=0.6)
        axes.plot(value, place, marker, color=colour, ms=7)
        axes.text(
            1.02, place, f"{value:.3f}", transform=axes.get_yaxis_transform(), va="center", fontsize=FONT
        )
    ceiling = found["ceiling"]["regression"]["value"]
    axes.axvline(ceiling, color="#555555", ls=":", lw=1)
    axes.set_xscale("symlog", linthresh=0.01, linscale=0.4)
    axes.set_xlim(min(-0.005, 1.2 * found["floor"]["interval"][0]), 1.1)
    ticks = [0, 0.01, 0.03, 0.1, 0.3, 1]
    axes.set_xticks(ticks, [str(t) for t in ticks], fontsize=FONT)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_yticks(range(len(rows)), [row[0] for row in rows], fontsize=FONT)
    axes.invert_yaxis()
    axes.grid(axis="x", color="#EEEEEE")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("distance to held-out recordings (dotted: the ceiling used)", fontsize=FONT)
    figure.suptitle("What the way back loses is little beside what the models lose", fontsize=FONT + 2)
    return figure


def stages(found: Mapping) -> Figure:
    """One recording at every stage, as spectrograms."""
    return waveforms.spectrograms(found["pictures"], "The same word, stage by stage")


def ceiling(found: Mapping) -> Figure:
    """Round trips by the number of mel bands, for each way from bands to bins."""
    figure = Figure(figsize=(8, 3.8), layout="constrained")
    axes = figure.subplots()
    for (name, row), colour, marker in zip(
        found["bands"].items(), (ORANGE, "#555555", BLUE), "^so", strict=True
    ):
        bands = [int(count) for count in row]
        values = np.array([rung["value"] for rung in row.values()])
        ends = np.array([rung["interval"] for rung in row.values()])
        axes.errorbar(
            bands,
            values,
            yerr=np.abs(ends.T - values),
            color=colour,
            marker=marker,
            ms=7,
            capsize=3,
            label=CEILINGS[name],
        )
    linear = found["ceiling"]["linear"]
    axes.axhspan(*linear["interval"], color=GREY, alpha=0.5, lw=0)
    axes.axhline(linear["value"], color="black", lw=1, ls="--", label=CEILINGS["linear"])
    axes.set_xscale("log", base=2)
    bands = [int(count) for count in found["bands"]["regression"]]
    axes.set_xticks(bands, [str(b) for b in bands], fontsize=FONT)
    axes.set_ylim(bottom=0)
    axes.tick_params(labelsize=FONT)
    axes.set_xlabel("mel bands", fontsize=FONT)
    axes.set_ylabel("distance to held-out recordings", fontsize=FONT)
    axes.legend(fontsize=FONT, frameon=False)
    axes.set_title(
        "The mel bands are what is lost, not the phases; a learned inverse gives half of it back",
        fontsize=FONT + 1,
        loc="left",
    )
    return figure


def autoencoder_training(found: Mapping) -> Figure:
    """Distance of samples against the training step: mean and range over seeds."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    for (name, row), colour, marker in zip(found["models"].items(), RANKED, MARKERS, strict=False):
        curves = np.array(row["curves"])  # (seeds, points, step and distance)
        steps, values = curves[0, :, 0], curves[:, :, 1]
        axes.plot(steps, values.mean(axis=0), color=colour, marker=marker, ms=6, label=_words(name))
        axes.fill_between(steps, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.15, lw=0)
    axes.axhline(found["ceiling"]["regression"]["value"], color="#555555", ls=":", lw=1.5, label="ceiling")
    axes.set_xscale("symlog", linthresh=100, linscale=0.3)
    axes.set_xticks(steps, [f"{step:.0f}" for step in steps], fontsize=FONT)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_yscale("log")
    ticks = [0.03, 0.05, 0.1, 0.2, 0.5, 1]
    axes.set_yticks(ticks, [str(t) for t in ticks], fontsize=FONT)
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("step of the training (0: untrained)", fontsize=FONT)
    axes.set_ylabel("distance of samples", fontsize=FONT)
    axes.legend(fontsize=FONT, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    axes.set_title(
        f"Training brings samples nearer: mean and range of {found['seeds']} seeds", fontsize=FONT + 1
    )
    return figure


def fidelity_and_coverage(found: Mapping) -> Figure:
    """Density against coverage: sounds that look real, and recordings that have a sound near them."""
    figure = Figure(figsize=(8, 4.4), layout="constrained")
    axes = figure.subplots()
    axes.plot(
        found["floor"]["coverage"], found["floor"]["density"], "*", color="black", ms=14, label="recordings"
    )
    for (name, row), colour, marker in zip(found["models"].items(), RANKED, MARKERS, strict=False):
        ends = [row["quality"][kind] for kind in ("reconstructions", "samples")]
        x, y = ([end[key] for end in ends] for key in ("coverage", "density"))
        axes.plot(x, y, "-", color=colour, lw=1, alpha=0.5)
        axes.plot(x[0], y[0], marker, color=colour, ms=9, label=_words(name))
        axes.plot(x[1], y[1], marker, color=colour, ms=9, mfc="white", mew=1.5)
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.04, 1.1 * max(1.0, axes.get_ylim()[1] / 1.1))
    axes.tick_params(labelsize=FONT)
    axes.set_xlabel("coverage: recordings with a sound near them (share)", fontsize=FONT)
    axes.set_ylabel("density: how real the sounds look", fontsize=FONT)
    axes.legend(fontsize=FONT, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle("From reconstructions (filled) to samples (hollow), mean of seeds", fontsize=FONT + 2)
    return figure


def modes(found: Mapping) -> Figure:
    """Which digits and speakers a set seems to hold, by a classifier: recordings and each model's samples."""
    figure = Figure(figsize=(8, 6.4), layout="constrained")
    shown = {"recordings": found["recognised"]["real"]}
    shown |= {_words(name): row["recognised"]["samples"][0] for name, row in found["models"].items()}
    most = max(np.max(table["cells"]) for table in shown.values())
    panels = figure.subplots(-(-len(shown) // 3), 3).ravel()
    for spare in panels[len(shown) :]:
        spare.set_axis_off()
    for axes, (name, table) in zip(panels, shown.items(), strict=False):
        cells = np.array(table["cells"])
        axes.imshow(cells, cmap="cividis", aspect="auto", vmin=0, vmax=most)
        for (i, j), count in np.ndenumerate(cells):
            colour = "black" if count > most / 2 else "white"
            bold = "bold" if count == 0 else "normal"
            axes.text(j, i, count, ha="center", va="center", fontsize=FONT - 1, color=colour, fontweight=bold)
        axes.set_xticks(range(len(table["speakers"])), table["speakers"], rotation=60, fontsize=FONT)
        axes.set_yticks(range(len(table["digits"])), table["digits"], fontsize=FONT)
        axes.set_title(f"{name}: {int((cells == 0).sum())} of {cells.size} missing", fontsize=FONT)
    figure.suptitle(
        "Digits (rows) and speakers (columns) that a recogniser hears, in sounds", fontsize=FONT + 2
    )
    return figure


def latent_map(found: Mapping) -> Figure:
    """Held-out recordings on the first two principal components of their latents."""
    table = found["latents"]
    points = np.array(table["points"])
    figure = Figure(figsize=(8, 4.6), layout="constrained")
    for axes, (name, kinds) in zip(
        figure.subplots(1, 2), (("digit", table["labels"]), ("speaker", table["groups"])), strict=True
    ):
        names = sorted(set(kinds))
        own = np.array(kinds)
        for i, kind in enumerate(names):
            at = points[own == kind]
            if name == "digit":
                for x, y in at:
                    axes.text(
                        x, y, kind, fontsize=FONT - 1, ha="center", va="center", color=_shade(i, len(names))
                    )
            else:
                axes.plot(*at.T, MARKERS[i], color=RANKED[i], ms=5, alpha=0.8, label=kind)
        low, high = points.min(axis=0), points.max(axis=0)
        axes.set_xlim(low[0] - 0.3, high[0] + 0.3)
        axes.set_ylim(low[1] - 0.3, high[1] + 0.3)
        axes.set_xlabel(
            f"first component ({100 * table['explained'][0]:.0f} % of the variance)", fontsize=FONT
        )
        axes.set_title(f"by {name}", fontsize=FONT)
        axes.tick_params(labelsize=FONT)
    figure.axes[0].set_ylabel(f"second ({100 * table['explained'][1]:.0f} %)", fontsize=FONT)
    figure.axes[1].legend(fontsize=FONT - 1, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.suptitle(
        f"Latents of {len(points)} held-out recordings ({_words(table['model'])})", fontsize=FONT + 2
    )
    return figure


def _shade(index: int, count: int) -> tuple:
    """Dark colours of cividis and orange by turns; the text itself tells the digit."""
    return colormaps["cividis"](0.85 * index / max(1, count - 1))


def faults(found: Mapping) -> Figure:
    """Planted faults, seed by seed, against the model they are planted in."""
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    axes = figure.subplots()
    base = [curve[-1][1] for curve in found["models"]["simple"]["curves"]]  # as the gate measures the faults
    rows = {
        "the model itself": (base, ""),
        **{n: (r["values"], r["verdict"]) for n, r in found["faults"].items()},
    }
    for place, (values, verdict) in enumerate(rows.values()):
        colour, marker = VERDICTS[verdict]
        axes.plot(values, [place] * len(values), marker, color=colour, ms=7, alpha=0.7)
        axes.text(
            max(values), place, f"   {verdict or 'the baseline'}", va="center", fontsize=FONT, color=colour
        )
    axes.axvline(np.mean(base), color="black", ls=":", lw=1)
    axes.set_yticks(range(len(rows)), [_words(name) for name in rows], fontsize=FONT)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.25 * max(max(values) for values, _ in rows.values()))
    axes.tick_params(labelsize=FONT)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel(f"distance of samples to held-out recordings, {found['seeds']} seeds", fontsize=FONT)
    axes.set_title("Historic faults, planted in the simple autoencoder", fontsize=FONT + 2, loc="left")
    return figure
