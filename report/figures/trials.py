"""The trials: what candidates find, how they rise, where their zero is, and the decision."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

from report import contrast
from report.figures.style import BLUE, FONT, GREY, ORANGE, _numbers, _words
from study import sources, trials

CONTRASTED = {  # drawn together: candidate, colour, marker
    trials.THIS: (BLUE, "o"),
    ("three_views", "frechet"): (ORANGE, "s"),
    ("three_views", "gaussian_mmd"): ("#009E73", "^"),
    ("three_views", "classifier_two_sample"): ("#E69F00", "P"),
    ("aisfx", "frechet"): ("#CC79A7", "D"),
    ("aisfx", "gaussian_mmd"): ("#000000", "v"),
}


def power_map(found: Mapping) -> Figure:
    """Mean share of small effects found, embedding by distance."""
    return _map(
        found,
        {c: contrast.power(found, c) for c in contrast.candidates(found)},
        f"What is found of small damage at N = {found['settings']['size']}\n"
        f"(mean share of draws above the 95 % quantile of undamaged ones)",
        "share found",
    )


def _map(found: Mapping, values: Mapping, title: str, quantity: str) -> Figure:
    rows = list(dict.fromkeys(e for e, _ in values))
    columns = list(dict.fromkeys(d for _, d in values))
    table = np.full((len(rows), len(columns)), np.nan)
    for (e, d), value in values.items():
        table[rows.index(e), columns.index(d)] = value
    figure = Figure(figsize=(8, 1.6 + 0.42 * len(rows)), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(table, cmap="cividis", aspect="auto")
    low, high = np.nanmin(table), np.nanmax(table)
    for (i, j), value in np.ndenumerate(table):
        if np.isnan(value):
            continue
        this = (rows[i], columns[j]) == trials.THIS
        axes.text(
            j,
            i,
            f"{value:.2f}".replace("0.", ".").replace("-.00", ".00"),
            ha="center",
            va="center",
            fontsize=FONT - 1,
            color="black" if value > (low + high) / 2 else "white",
            fontweight="bold" if this else "normal",
        )
        if this:
            axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, ec="black", lw=2))
    axes.set_xticks(range(len(columns)), [_words(c) for c in columns], rotation=40, ha="right", fontsize=FONT)
    axes.set_yticks(range(len(rows)), [_words(r) for r in rows], fontsize=FONT)
    bar = figure.colorbar(image, ax=axes, shrink=0.8)
    bar.set_label(quantity, fontsize=FONT)
    axes.set_title(title + "\nframed: this distance", fontsize=FONT + 1, loc="left")
    return figure


def effects_map(found: Mapping) -> Figure:
    """Share found of each small effect, for the contrasted candidates."""
    drawn = [c for c in CONTRASTED if c in contrast.candidates(found)]
    effects = contrast.small_effects(found)
    values = np.zeros((len(effects), len(drawn)))
    for j, candidate in enumerate(drawn):
        found_of = contrast.shares(found, candidate, effects)
        for i, effect in enumerate(effects):
            values[i, j] = np.mean([v for (_, e), v in found_of.items() if e == effect])
    figure = Figure(figsize=(8, 10), layout="constrained")
    axes = figure.subplots()
    axes.imshow(values, cmap="cividis", aspect="auto", vmin=0, vmax=1)
    _numbers(axes, values, bold=values == values.max(axis=1, keepdims=True))
    axes.set_xticks(
        range(len(drawn)),
        [contrast.label(c).replace(" / ", "\n").replace("classifier ", "classifier\n") for c in drawn],
        fontsize=FONT,
    )
    axes.set_yticks(range(len(effects)), [_words(e) for e in effects], fontsize=FONT)
    axes.set_title(
        f"Which damage is found by whom (N = {found['settings']['size']}, bold: best of the row)",
        fontsize=FONT + 1,
        loc="left",
    )
    return figure


def severity_curves(found: Mapping) -> Figure:
    """Value against severity for each distortion, in null standard deviations."""
    kinds = sources.GRADED
    figure = Figure(figsize=(8, 8.6), layout="constrained")
    panels = figure.subplots(-(-len(kinds) // 4), 4, sharex=True, sharey=True).ravel()
    for axes, kind in zip(panels, kinds, strict=False):
        for candidate, (colour, marker) in CONTRASTED.items():
            curve = _curve(found, candidate, kind)
            if curve is not None:
                axes.plot(range(6), curve, color=colour, marker=marker, ms=4, label=contrast.label(candidate))
        axes.axhline(0, color="black", lw=0.6)
        axes.set_yscale("symlog", linthresh=3)
        axes.yaxis.set_major_locator(FixedLocator([0, 3, 10, 30, 100]))
        axes.yaxis.set_major_formatter(ScalarFormatter())
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_title(_words(kind), fontsize=FONT)
        axes.tick_params(labelsize=FONT)
    for axes in panels[len(kinds) :]:
        axes.set_axis_off()
    for axes in panels[len(kinds) - 4 : len(kinds)]:  # the lowest of each column
        axes.set_xlabel("severity", fontsize=FONT)
        axes.tick_params(labelbottom=True)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=FONT, frameon=False)
    figure.supylabel("value above two real samples (null standard deviations)", fontsize=FONT)
    figure.suptitle(
        f"How far values rise with severity; speed and pitch are hardest (N = {found['settings']['size']}, "
        f"{len(found['power'])} sources)",
        fontsize=FONT + 2,
    )
    return figure


def _curve(found: Mapping, candidate: tuple[str, str], kind: str) -> list[float] | None:
    """Mean over the sources of the value at severity 0 to 5, in null standard deviations."""
    embedding, distance = candidate
    curves = []
    for source, tables in found["power"].items():
        if distance not in tables.get(embedding, {}):
            return None
        values = dict(zip(found["effects"][source], tables[embedding][distance]["curve"], strict=True))
        curves.append([0.0, *(values[f"{kind} {severity}"] for severity in range(1, 6))])
    return np.mean(curves, axis=0).tolist()


def bias_curves(found: Mapping) -> Figure:
    """Mean value between two samples of one source against their size, all distances on one embedding."""
    table = next(iter(found["bias"].values()))[trials.THIS[0]]
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    cycle = ["o", "s", "^", "v", "D", "P", "X", "*", "<", ">", "h", "p", "d", "8", "H"]
    for marker, (name, row) in zip(cycle, table.items(), strict=False):
        this = name == trials.THIS[1]
        axes.plot(
            [int(n) for n in row],
            [r["mean"] for r in row.values()],
            marker=marker,
            lw=2.5 if this else 1,
            color=BLUE if this else None,
            label="this distance" if this else _words(name),
        )
    axes.axhline(0, color="black", lw=0.8)
    axes.set_xscale("log")
    axes.set_ylim(-0.2, 1.6)
    axes.set_xticks(trials.BIAS_SIZES, [str(n) for n in trials.BIAS_SIZES])
    axes.minorticks_off()
    axes.set_xlabel("files in each set, N", fontsize=FONT)
    axes.set_ylabel("mean value, share of a mid distortion's", fontsize=FONT)
    axes.set_title("Two samples of one source: only unbiased distances lie at zero", fontsize=FONT + 2)
    axes.legend(fontsize=FONT - 1, ncols=2, frameon=False, loc="upper right")
    return figure


def units_bars(found: Mapping) -> Figure:
    """False alarms with frames, files and groups dealt."""
    units = ("frames", "files", "files of groups", "groups")
    table = found["units"]
    figure = Figure(figsize=(8, 4.4), layout="constrained")
    axes = figure.subplots()
    rows = [(e, d) for e in table for d in table[e]]
    spots = {d: m for d, m in zip(dict.fromkeys(d for _, d in rows), ("o", "s", "^"), strict=False)}
    names = list(table)
    for i, unit in enumerate(units):
        for distance, marker in spots.items():
            shares = [table[e][distance][unit][0] / table[e][distance][unit][1] for e in names]
            places = i + np.linspace(-0.28, 0.28, len(names)) + (0.03 if marker == "s" else 0)
            axes.plot(
                places,
                shares,
                marker,
                color=BLUE if distance == "energy" else ORANGE,
                label=_words(distance) if i == 0 else None,
            )
    trials_run = table[names[0]][rows[0][1]]["files"][1]
    error = 1.96 * np.sqrt(0.05 * 0.95 / trials_run)
    axes.axhspan(0.05 - error, 0.05 + error, color=GREY, alpha=0.5, lw=0)
    axes.set_xticks(
        range(4),
        ["windows of clips\n(wrong)", "clips", "files of a speaker's digit\n(wrong)", "groups of files"],
        fontsize=FONT,
    )
    axes.set_ylabel("share of p ≤ 5 % where nothing differs", fontsize=FONT)
    axes.set_ylim(0, 1.05)
    axes.legend(fontsize=FONT, frameon=False)
    axes.set_title(
        "What is dealt must be what was drawn: files, not their windows\n"
        f"(a point: an embedding, {trials_run} trials; grey: 5 % and its 95 % binomial range)",
        fontsize=FONT + 1,
        loc="left",
    )
    return figure


def decision(found: Mapping, *, count: int = 14) -> Figure:
    """Scores of the best candidates by criterion."""
    table = contrast.scores(found)
    best = contrast.ranking(table)
    shown = [c for c, _ in best[:count]]
    shown += [c for c in CONTRASTED if c in table and c not in shown]
    totals = dict(best)
    criteria = list(table[shown[0]])
    values = np.array([[*table[c].values(), totals[c]] for c in shown])
    figure = Figure(figsize=(8, 1.8 + 0.36 * len(shown)), layout="constrained")
    axes = figure.subplots()
    axes.imshow(values, cmap="cividis", aspect="auto", vmin=0, vmax=1)
    own = np.array([candidate == trials.THIS for candidate in shown])
    _numbers(axes, values, bold=np.broadcast_to(own[:, None], values.shape))
    axes.axvline(len(criteria) - 0.5, color="white", lw=3)
    axes.set_xticks(range(len(criteria) + 1), [*criteria, "mean"], rotation=40, ha="right", fontsize=FONT)
    axes.set_yticks(range(len(shown)), [contrast.label(c) for c in shown], fontsize=FONT)
    for text, candidate in zip(axes.get_yticklabels(), shown, strict=True):
        text.set_fontweight("bold" if candidate == trials.THIS else "normal")
    axes.set_title(
        "Scores by criterion (1 is best), the highest means first; bold: this distance",
        fontsize=FONT + 1,
        loc="right",
    )
    return figure
