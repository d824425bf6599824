"""One function a figure: results in, a matplotlib Figure out.

Conventions
    argument   the content of a results file, as ``study.results.read`` returns it; nothing is
               measured here, nothing is read or written.
    size       8 inches wide and drawn for 800 pixels: text of 10 points or more.
    colour     blue and orange of the Okabe-Ito palette and the map cividis, which do not depend on
               telling red from green; every colour is doubled by a shape or a number.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator, ScalarFormatter
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from study import contrast, sources, trials
from study.agreement import agreement

NEAREST = 0.001  # distances are drawn from here on a logarithmic axis
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#BBBBBB"
FONT = 10  # points
STYLES = {  # of the two writings of the test sets: label, colour, marker
    "historic": ("as published, with clicks", ORANGE, "o"),
    "clean": ("clean", BLUE, "D"),
}


def challenge(found: Mapping) -> Figure:
    """The two distances of the challenge, historic and clean, with intervals and the null band."""
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    low, high = found["split"]["central_95"]
    axes.axvspan(low, high, color=GREY, alpha=0.5, lw=0)
    axes.axvline(0, color="black", lw=0.8)
    rows, labels = [], []
    for test in ("test1", "test2"):
        for kind, (label, colour, marker) in STYLES.items():
            row = len(rows)
            c = found["sets"][kind][test]
            axes.plot(c["interval"], [row, row], color=colour, lw=2)
            axes.plot(c["value"], row, marker=marker, color=colour, ms=9)
            text = f"{c['value']:.3f}, p = {c['p_value']:.3f}"
            axes.annotate(
                text,
                (c["interval"][1], row),
                xytext=(10, 0),
                textcoords="offset points",
                va="center",
                fontsize=FONT,
                color=colour,
            )
            rows.append(row)
            labels.append(f"{test}, {label}")
    # In its own row, so that it hides nothing.
    axes.annotate(
        "grey: 95 % of the splits of the background itself",
        (high, len(rows) - 0.35),
        xytext=(10, 0),
        textcoords="offset points",
        va="center",
        fontsize=FONT,
    )
    axes.set_yticks(rows, labels, fontsize=FONT)
    axes.set_ylim(len(rows) - 0.05, -0.6)
    axes.set_xlim(right=1.4 * max(found["sets"]["historic"]["test1"]["interval"]))
    axes.set_xlabel("distance to the background (no unit; bar: 95 % interval)", fontsize=FONT)
    axes.tick_params(axis="x", labelsize=FONT)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(
        "What sets the tests apart from the background are the clicks", fontsize=FONT + 2, loc="left"
    )
    return figure


def real_audio(found: Mapping) -> Figure:
    """The distances between the classes of environmental sounds, alike classes side by side."""
    table = found["sounds"]
    values, names = np.array(table["value"]), np.array(table["names"])
    order = alike_first(values)
    values, names = values[np.ix_(order, order)], names[order]
    figure = Figure(figsize=(8, 7.2), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(values, cmap="cividis", vmin=0)
    for (i, j), value in np.ndenumerate(values):
        # Above half of the range the map is bright.
        colour = "black" if value > 0.5 * values.max() else "white"
        axes.text(
            j,
            i,
            f"{value:.2f}".replace("-0.00", "0.00"),
            ha="center",
            va="center",
            color=colour,
            fontsize=FONT,
            fontweight="bold" if i == j else "normal",
        )
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right", fontsize=FONT)
    axes.set_yticks(range(len(names)), names, fontsize=FONT)
    bar = figure.colorbar(image, ax=axes, shrink=0.8)
    bar.set_label("distance (no unit)", fontsize=FONT)
    bar.ax.tick_params(labelsize=FONT)
    axes.set_title(
        "Steady noises lie close together, short events lie close together\n"
        f"(diagonal: a class against itself, mean of {table['splits']} splits)",
        fontsize=FONT + 2,
        loc="left",
    )
    return figure


def alike_first(values: np.ndarray) -> np.ndarray:
    """An order of the rows of a distance table in which neighbours are alike."""
    condensed = np.maximum(values, 0)
    np.fill_diagonal(condensed, 0)
    return leaves_list(linkage(squareform(condensed, checks=False), "average", optimal_ordering=True))


# ------------------------------------------------------------------------------------- the contrast


def power_map(found: Mapping) -> Figure:
    """Mean share of small effects found, embedding by distance."""
    return _map(
        found,
        {c: contrast.power(found, c) for c in contrast.candidates(found)},
        f"What is found of small damage at N = {found['settings']['size']}\n"
        f"(mean share of draws above the 95 % quantile of undamaged ones)",
        "share found",
    )


def listeners_map(found: Mapping) -> Figure:
    """Mean Spearman correlation with listeners, embedding by distance."""
    values = {}
    for c in contrast.candidates(found):
        each = contrast.listeners(found, c)
        values[c] = float(np.mean([row["spearman"] for row in each.values()]))
    return _map(
        found,
        values,
        f"Agreement with listeners (mean Spearman correlation over {len(found['rated'])} rated sets)\n"
        "most rows were seen when the recipe was chosen, and the sets are small",
        "rank correlation",
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


CONTRASTED = {  # drawn together: candidate, colour, marker
    trials.THIS: (BLUE, "o"),
    ("three_views", "frechet"): (ORANGE, "s"),
    ("three_views", "gaussian_mmd"): ("#009E73", "^"),
    ("three_views", "classifier_two_sample"): ("#E69F00", "P"),
    ("aisfx", "frechet"): ("#CC79A7", "D"),
    ("aisfx", "gaussian_mmd"): ("#000000", "v"),
}


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


def _numbers(axes, values: np.ndarray, *, bold: np.ndarray) -> None:
    """Write every value, 0 to 1, into its cell of a map that is dark below one half."""
    for (i, j), value in np.ndenumerate(values):
        axes.text(
            j,
            i,
            f"{value:.2f}",
            ha="center",
            va="center",
            fontsize=FONT - 1,
            color="black" if value > 0.5 else "white",
            fontweight="bold" if bold[i, j] else "normal",
        )


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


def listeners_scatter(found: Mapping) -> Figure:
    """Ratings against the distance as shipped, a panel a rated set."""
    names = list(found["rated"])
    figure = Figure(figsize=(8, 8.4), layout="constrained")
    panels = figure.subplots(-(-len(names) // 3), 3).ravel()
    for axes, name in zip(panels, names, strict=False):
        values, row = found["shipped"][name], found["rated"][name]
        x = [values[s] for s in row["ratings"]]
        axes.plot(x, list(row["ratings"].values()), "o", color=BLUE)
        agreed = agreement(values, row["ratings"])
        figures = "" if row["figures"] == "read" else f", {row['figures']}"
        axes.set_title(f"{name}{figures}\nSpearman {agreed['spearman']:.2f}", fontsize=FONT)
        axes.tick_params(labelsize=FONT)
        axes.margins(0.15)
        axes.xaxis.set_major_locator(MaxNLocator(3))
        axes.yaxis.set_major_locator(MaxNLocator(4))
    for axes in panels[len(names) :]:
        axes.set_axis_off()
    figure.supxlabel("distance to the recordings (no unit)", fontsize=FONT)
    figure.supylabel("mean rating (MOS, SMOS or MUSHRA)", fontsize=FONT)
    figure.suptitle("Better rated systems should lie further left", fontsize=FONT + 2)
    return figure


def listening(found: Mapping) -> Figure:
    """Families of measures: best in hindsight, and nested with its interval over laboratories."""
    rows = found["families"]
    figure = Figure(figsize=(8, 1.4 + 0.42 * (len(rows) + 1)), layout="constrained")
    axes = figure.subplots()
    labels = ["distance as shipped"]
    labels += [
        f"{name}, {row['measures']} measures" if "measures" in row else name for name, row in rows.items()
    ]
    for place, row in enumerate([found["shipped"], *rows.values()]):
        mean, (low, high) = row["spearman"]["mean"], row["spearman"]["interval"]
        axes.errorbar(mean, place, xerr=[[mean - low], [high - mean]], fmt="o", color=BLUE, capsize=3)
        if "hindsight" in row:
            axes.plot(row["hindsight"], place, "D", color=ORANGE, fillstyle="none")
    axes.axvline(found["shipped"]["spearman"]["mean"], color=GREY, lw=1, zorder=0)
    axes.plot([], [], "o", color=BLUE, label="nested: chosen on other laboratories, 95 % interval")
    axes.plot([], [], "D", color=ORANGE, fillstyle="none", label="best in hindsight")
    axes.legend(fontsize=FONT - 1, loc="upper center", bbox_to_anchor=(0.45, -0.16), ncols=2, frameon=False)
    axes.set_yticks(range(len(labels)), labels, fontsize=FONT)
    axes.invert_yaxis()
    axes.set_xlabel("mean Spearman correlation with listeners (1 is perfect, 0 chance)", fontsize=FONT)
    axes.set_title(
        "What looks ahead in hindsight is not when chosen on other laboratories", fontsize=FONT + 1
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


VERDICTS = {  # of the gate: colour and marker
    "better": (BLUE, "v"),
    "no worse": (BLUE, "o"),
    "undecided": ("#555555", "s"),
    "worse": (ORANGE, "^"),
    "": ("black", "D"),
}
CEILINGS = {  # from mel bands back to bins
    "linear": "all bins known",
    "uniform": "bands spread evenly",
    "nnls": "least squares, not negative",
    "regression": "regression",
}
RANKED = ("#000000", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#D55E00")  # as many as ablations
MARKERS = "Dov^sP"


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
    from study import signals  # which draws with this module's colours

    return signals.spectrograms(found["pictures"], "The same word, stage by stage")


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


def image(figure: Figure):
    """The figure as a picture that a notebook shows, 800 pixels wide: an ``IPython.display.Image``."""
    from IPython.display import Image

    stage = io.BytesIO()
    figure.savefig(stage, format="png", dpi=100, metadata={"Software": None})
    return Image(stage.getvalue())


def _words(name: str) -> str:
    return name.replace("_", " ")


FIGURES = {  # file below figures/ -> the result it is drawn from, and the function
    "challenge": ("challenge", challenge),
    "real_audio": ("real_audio", real_audio),
    "power_map": ("trials", power_map),
    "listeners_map": ("trials", listeners_map),
    "effects_map": ("trials", effects_map),
    "severity_curves": ("trials", severity_curves),
    "bias_curves": ("trials", bias_curves),
    "units_bars": ("trials", units_bars),
    "listeners_scatter": ("trials", listeners_scatter),
    "listening": ("listening", listening),
    "decision": ("trials", decision),
    "regressions": ("regressions", regressions),
    "calibration": ("calibration", calibration),
    "ladder": ("autoencoders", ladder),
    "stages": ("autoencoders", stages),
    "ceiling": ("autoencoders", ceiling),
    "autoencoder_training": ("autoencoders", autoencoder_training),
    "fidelity_and_coverage": ("autoencoders", fidelity_and_coverage),
    "modes": ("autoencoders", modes),
    "latent_map": ("autoencoders", latent_map),
    "faults": ("autoencoders", faults),
    "classifier_ladder": ("classifier", classifier_ladder),
    "confusion_sounds": ("classifier", confusion_sounds),
    "confusion_families": ("classifier", confusion_families),
    "reliability": ("classifier", reliability),
    "new_folders": ("classifier", new_folders),
}
