"""Waveforms, spectrograms and clicks: the figures of notebooks 01 and 02.

Conventions as in ``study.signals``, whose measurements these draw; ``show`` saves and shows a figure.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import gen_audio
import metrics
from report.figures.style import BLUE, FONT, GREY, ORANGE
from study import sets
from study.pictures import COLUMNS, ROWS, SHOWN_DB
from study.signals import (
    DELAYS,
    MEASURES,
    STEP,
    TESTS,
    changes,
    expected_wraps,
    frequency_of,
    ideal_tone,
    levels,
    power_spectrum,
    wrap_probability,
    wrapped,
    wrapped_phases,
    wrapped_times,
)

FIGURES = Path(__file__).parents[2] / "figures"


@dataclass(frozen=True)
class Versions:
    """One sound and changes of it, to be listened to."""

    signals: Mapping[str, np.ndarray]
    rate: int
    source: str

    def player(self, name: str):
        """A player of one version."""
        return player(self.signals[name], self.rate)


def example_versions() -> Versions:
    """A note and changes of it: rendered here, so that no recording is carried by the notebook."""
    return Versions(
        {"as played": sets.note(12, 60), **changes(sets.note(12, 60), sets.INSTRUMENT_RATE, 0)},
        sets.INSTRUMENT_RATE,
        "A marimba, C4, rendered from a sampled instrument.",
    )


def show(figure: Figure, name: str):
    """Save ``figure`` as ``figures/NAME.png`` and return it for display, 800 pixels wide."""
    from IPython.display import Image

    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=150, metadata={"Software": None})
    FIGURES.mkdir(exist_ok=True)
    (FIGURES / f"{name}.png").write_bytes(content.getvalue())
    return Image(data=content.getvalue(), width=800)


def player(signal: np.ndarray, rate: int, seconds: float = 1.5):
    """A player of the beginning of ``signal``, 12 dB softer."""
    from IPython.display import Audio

    return Audio(np.asarray(signal[: round(seconds * rate)], float) / 4, rate=rate, normalize=False)


def _new(height: float, rows: int = 1, columns: int = 1, title: str = "", **options):
    figure = Figure(figsize=(8, height), layout="constrained")
    axes = np.atleast_1d(figure.subplots(rows, columns, **options))
    for each in axes.flat:
        each.tick_params(labelsize=FONT)
        each.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title, fontsize=FONT + 2, x=0.01, ha="left")
    return figure, axes


def noise_and_step(clean: Mapping) -> Figure:
    """How far noise moves the integers of the clean tone that both sets share, 1000 Hz."""
    figure, axes = _new(3.6, 1, 2, "The noise of test2 is smaller than one 16-bit step", sharey=True)
    tone = clean["background"]["sin_1000.wav"].astype(int)
    for each, test, colour in zip(axes, TESTS, (ORANGE, BLUE), strict=True):
        moved = clean[test]["sin_1000.wav"] - tone
        steps, counts = np.unique(moved, return_counts=True)
        share = 100 * counts / len(moved)
        each.bar(steps, share, color=colour, width=0.8)
        each.set_xlim(-14, 14)
        sigma = levels(gen_audio.SETS[test][1])["steps"]
        unmoved = 100 * np.mean(moved == 0)
        each.set_title(
            f"{test}: sigma {sigma:.2f} steps,\n{unmoved:.0f} % of samples as without noise",
            fontsize=FONT,
            loc="left",
        )
        each.set_xlabel("difference from the clean tone (16-bit steps)", fontsize=FONT)
    axes[0].set_ylabel("samples (%)", fontsize=FONT)
    return figure


def wrapped_samples(historic: Mapping, clean: Mapping, file: str = "sin_100.wav") -> Figure:
    """A file of test1 in time, and one of its peaks sample by sample before and after the wrap."""
    figure, axes = _new(5.6, 2, 1, "Where noise lifts a peak over full scale, the sample jumps to the bottom")
    samples, other = historic["test1"][file], clean["test1"][file]
    time = 1e3 * np.linspace(0, gen_audio.SECONDS, len(samples))
    mask = wrapped(samples, other)
    wide = slice(0, round(0.05 * gen_audio.RATE))
    axes[0].plot(time[wide], samples[wide] * STEP, color=BLUE, lw=1)
    axes[0].plot(time[wide][mask[wide]], samples[wide][mask[wide]] * STEP, "o", color=ORANGE, ms=6)
    axes[0].set_ylabel("full scale", fontsize=FONT)
    axes[0].set_xlabel("time (ms)", fontsize=FONT)
    first = np.flatnonzero(mask)
    period = round(gen_audio.RATE / frequency_of(file))
    at = int(first[0]) // period * period + period // 4
    near = slice(at - 8, at + 9)
    rng = np.random.RandomState(0)
    before = {f: gen_audio.sine(frequency_of(f), noise=1e-4, rng=rng) for f in clean["test1"]}[file]
    axes[1].axhline(2**15, color="black", lw=1)
    axes[1].annotate(
        "32,768: the first that does not fit",
        (time[near][0], 2**15),
        xytext=(0, 4),
        textcoords="offset points",
        fontsize=FONT,
    )
    axes[1].plot(
        time[near], ideal_tone(frequency_of(file))[near] / STEP, color=GREY, lw=2, label="clean tone"
    )
    for chosen, colour, marker, label in (
        (~mask, BLUE, "o", "with noise, fits"),
        (mask, ORANGE, "^", "wraps"),
    ):
        axes[1].plot(
            time[near][chosen[near]],
            before[near][chosen[near]] / STEP,
            marker,
            color=colour,
            ms=7,
            label=label,
        )
    axes[1].set_ylabel("16-bit steps", fontsize=FONT)
    axes[1].set_xlabel("time (ms)", fontsize=FONT)
    axes[1].yaxis.set_major_formatter("{x:,.0f}")
    axes[1].legend(fontsize=FONT, frameon=False, loc="lower center", ncols=3)
    return figure


def spectra(historic: Mapping, clean: Mapping, file: str = "sin_550.wav") -> Figure:
    """Spectra of one tone without noise, in the clean test and in the historic one."""
    figure, axes = _new(4.4, 1, 2, "Clicks lift the whole spectrum, far above the noise", sharey=True)
    silent = gen_audio.to_int16(ideal_tone(frequency_of(file)))
    for each, test in zip(axes, TESTS, strict=True):
        for label, samples, colour, style in (
            (f"{test}, historic", historic[test][file], ORANGE, "-"),
            (f"{test}, clean", clean[test][file], BLUE, "-"),
            ("without noise", silent, "black", ":"),
        ):
            frequencies, level = power_spectrum(samples * STEP, gen_audio.RATE)
            each.plot(frequencies / 1e3, level, color=colour, ls=style, lw=1.2, label=label)
        each.set_xlabel("frequency (kHz)", fontsize=FONT)
        each.legend(fontsize=FONT, frameon=False, loc="upper right")
        each.set_ylim(-145, 5)
    axes[0].set_ylabel("level (dB relative to the tone)", fontsize=FONT)
    return figure


def where_wrapped(historic: Mapping, clean: Mapping) -> Figure:
    """Phase of the wrapped samples around the top and the bottom of the wave, with what is expected."""
    figure, axes = _new(
        5.2,
        2,
        2,
        "Wrapped samples sit on the peaks, test2's only on the upper one",
        sharex="col",
        sharey="row",
    )
    edges = np.linspace(-2.4, 2.4, 33)
    centres = (edges[1:] + edges[:-1]) / 2
    for row, test, colour in zip(axes, TESTS, (ORANGE, BLUE), strict=True):
        sigma = gen_audio.SETS[test][1]
        phases = wrapped_phases(historic[test], clean[test])
        count = sum(len(samples) for samples in historic[test].values())
        for each, peak, what in zip(row, (90, 270), ("upper", "lower"), strict=True):
            each.hist(phases - peak, edges, color=colour)
            chance = wrap_probability(np.radians(centres + peak), sigma)
            each.plot(centres, chance * count * (edges[1] - edges[0]) / 360, color="black", lw=1.5, ls="--")
            inside = int(np.sum(np.abs(phases - peak) < 2.4))
            each.set_title(f"{test}, {what} peak: {inside} samples", fontsize=FONT, loc="left")
        row[0].set_ylabel("samples a bin", fontsize=FONT)
    for each in axes[1]:
        each.set_xlabel("distance from the peak (degrees of a period)", fontsize=FONT)
    return figure


def counts(found: Mapping[str, np.ndarray]) -> Figure:
    """Wrapped samples a file by frequency and seed, with what is expected."""
    figure, (axes,) = _new(4.2, title="How many samples wrap depends on the noise, not on tone or seed")
    for test, colour, marker in zip(TESTS, (ORANGE, BLUE), "oD", strict=True):
        number, sigma = gen_audio.SETS[test]
        frequencies = np.linspace(gen_audio.LOWEST, gen_audio.HIGHEST, number)
        expected = sum(expected_wraps(sigma))
        axes.axhline(expected, color="black", lw=1, ls="--")
        for index, row in enumerate(found[test]):
            axes.plot(
                frequencies + 6 * (index - len(found[test]) / 2),
                row,
                marker,
                color=colour,
                ms=5,
                alpha=0.8,
                label=test if index == 0 else None,
            )
        axes.annotate(
            f"{test}: {expected:.0f} expected",
            (1060, expected),
            xytext=(0, 4),
            textcoords="offset points",
            fontsize=FONT,
            color=colour,
        )
    axes.set_xlim(50, 1290)
    axes.set_ylim(bottom=0)
    axes.set_xticks(np.linspace(gen_audio.LOWEST, gen_audio.HIGHEST, 5))
    axes.set_xlabel("frequency of the tone (Hz; the seeds side by side)", fontsize=FONT)
    axes.set_ylabel("wrapped samples in a file", fontsize=FONT)
    return figure


def clicks_in_time(historic: Mapping, clean: Mapping) -> Figure:
    """When the samples of each file wrapped, one row a file."""
    figure, axes = _new(4.4, 2, 1, "At 1000 Hz all clicks fall at the two ends of the file", sharex=True)
    for each, test, colour in zip(axes, TESTS, (ORANGE, BLUE), strict=True):
        times = wrapped_times(historic[test], clean[test])
        each.eventplot(list(times.values()), colors=colour, linewidths=0.7, linelengths=0.75)
        each.set_yticks(range(len(times)), [f"{frequency_of(file):.0f}" for file in times])
        each.set_title(test, fontsize=FONT, loc="left")
        each.set_ylabel("tone (Hz)", fontsize=FONT)
    axes[1].set_xlim(0, gen_audio.SECONDS)
    axes[1].set_xlabel("time (s)", fontsize=FONT)
    return figure


def click_levels(rows: Sequence[Mapping]) -> Figure:
    """Levels of noise, noise with rounding, and clicks, in dB relative to the tone."""
    figure, (axes,) = _new(2.8, title="The clicks have a million times the power of the noise, and more")
    styles = {"noise, drawn": (BLUE, "D"), "noise and rounding": ("black", "s"), "clicks": (ORANGE, "o")}
    for y, row in enumerate(rows):
        axes.plot([row["noise, drawn"], row["clicks"]], [y, y], color=GREY, lw=1.5, zorder=0)
        for name, (colour, marker) in styles.items():
            axes.plot(row[name], y, marker, color=colour, ms=9, label=name if y == 0 else None)
        middle = (row["noise and rounding"] + row["clicks"]) / 2
        axes.annotate(
            f"{row['clicks over noise']:.0f} dB over the noise",
            (middle, y),
            xytext=(0, 6),
            textcoords="offset points",
            ha="center",
            fontsize=FONT,
        )
    axes.set_yticks(range(len(rows)), [row["set"] for row in rows], fontsize=FONT)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(-105, 0)
    axes.set_xlabel("level (dB relative to the tone, mean over the five files)", fontsize=FONT)
    axes.legend(fontsize=FONT, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.28), ncols=3)
    return figure


def waveforms(pictures: Mapping[str, Mapping]) -> Figure:
    """Waveforms, two in a row."""
    figure, axes = _new(
        1.5 * len(pictures) / 2 + 0.7,
        len(pictures) // 2,
        2,
        "A waveform shows when a sound is loud, and little of what it is",
        sharey=True,
    )
    for each, (name, found) in zip(axes.flat, pictures.items(), strict=True):
        time = np.linspace(0, found["seconds"], COLUMNS)
        each.fill_between(
            time,
            _numbers(found["lowest"]) / 100,
            _numbers(found["highest"]) / 100,
            color=BLUE,
            lw=0.8,
            edgecolor=BLUE,
        )
        each.set_title(name, fontsize=FONT, loc="left")
        each.set_xlim(0, found["seconds"])
        each.set_ylim(-1.1, 1.1)
    for each in axes[-1]:
        each.set_xlabel("time (s)", fontsize=FONT)
    figure.supylabel("amplitude (peak = 1)", fontsize=FONT)
    return figure


def _draw_mel(axes, found: Mapping):
    levels_db = -np.array([_numbers(row) for row in found["db_below"]])
    image = axes.imshow(
        levels_db,
        origin="lower",
        aspect="auto",
        cmap="cividis",
        vmin=-SHOWN_DB,
        vmax=0,
        extent=(0, found["seconds"], 0, ROWS),
    )
    lowest, highest = metrics._hz_to_mel(metrics.LOWEST_HZ), metrics._hz_to_mel(metrics.RATE / 2)
    hertz = (250, 1000, 4000, 8000)
    places = [ROWS * (metrics._hz_to_mel(f) - lowest) / (highest - lowest) for f in hertz]
    axes.set_yticks(places, [f"{f / 1e3:g}" for f in hertz])
    return image


def spectrograms(pictures: Mapping[str, Mapping], title: str) -> Figure:
    """Log-mel spectrograms, two in a row."""
    figure, axes = _new(1.7 * len(pictures) / 2 + 0.7, len(pictures) // 2, 2, title, sharey=True)
    for each, (name, found) in zip(axes.flat, pictures.items(), strict=True):
        image = _draw_mel(each, found)
        each.set_title(name, fontsize=FONT, loc="left")
    for each in axes[-1]:
        each.set_xlabel("time (s)", fontsize=FONT)
    figure.supylabel("frequency (kHz, mel scale)", fontsize=FONT)
    bar = figure.colorbar(image, ax=axes, shrink=0.6, pad=0.02)
    bar.set_label("level (dB below the loudest point)", fontsize=FONT)
    bar.ax.tick_params(labelsize=FONT)
    return figure


def same_spectra(found: Mapping) -> Figure:
    """The mean spectra of sounds that the ear tells apart at once."""
    figure, (axes,) = _new(3.8, title="Four sounds, one mean spectrum")
    styles = zip(("black", ORANGE, BLUE, "#009E73"), ("-", "--", "-", ":"), (3.5, 1.8, 1.2, 1.8), strict=True)
    for (name, text), (colour, style, width) in zip(found["spectra_db"].items(), styles, strict=True):
        level = _numbers(text)
        axes.plot(
            np.linspace(0, found["rate"] / 2e3, len(level)),
            level,
            color=colour,
            ls=style,
            lw=width,
            label=name,
        )
    axes.set_xlabel("frequency (kHz)", fontsize=FONT)
    axes.set_ylabel("level (dB below the largest)", fontsize=FONT)
    axes.legend(fontsize=FONT, frameon=False)
    return figure


def delay(curves: Mapping[str, Mapping]) -> Figure:
    """Raw distance to a sound's own delayed copy, over that to other sounds."""
    figure, (axes,) = _new(4.0, title="For raw samples, a sound a millisecond late is a different sound")
    for (name, found), colour, style in zip(curves.items(), (BLUE, ORANGE), ("-", "--"), strict=False):
        axes.fill_between(found["ms"], found["low"], found["high"], color=colour, alpha=0.25, lw=0)
        axes.plot(
            found["ms"], found["median"], color=colour, ls=style, lw=2, label=f"{name}, n = {found['n']}"
        )
    axes.axhline(1, color="black", lw=1)
    axes.set_ylim(bottom=0)
    axes.set_xlim(0, DELAYS[-1])
    axes.set_xlabel("delay (ms)", fontsize=FONT)
    axes.set_ylabel("distance to the delayed copy\n(1 = distance to other sounds)", fontsize=FONT)
    axes.legend(fontsize=FONT, frameon=False, loc="lower right")
    return figure


def ratio_table(table: Mapping[str, Mapping[str, float]], title: str) -> Figure:
    """Ratios as a map: rows the changes, columns the measures."""
    rows, columns = list(table), list(MEASURES)
    values = np.array([[table[row][column] for column in columns] for row in rows])
    figure, (axes,) = _new(0.42 * len(rows) + 1.8, title=title)
    image = axes.imshow(values, cmap="cividis", vmin=0, vmax=1.5, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        axes.text(
            j,
            i,
            f"{value:.2f}",
            ha="center",
            va="center",
            fontsize=FONT,
            color="black" if value > 0.75 else "white",
        )
    axes.set_xticks(range(len(columns)), [c.replace(" ", "\n", 1) for c in columns], fontsize=FONT)
    axes.set_yticks(range(len(rows)), rows, fontsize=FONT)
    axes.axvline(2.5, color="white", lw=4)
    bar = figure.colorbar(image, ax=axes, extend="max", pad=0.02)
    bar.set_label("distance (1 = to other sounds)", fontsize=FONT)
    bar.ax.tick_params(labelsize=FONT)
    return figure


def _numbers(text: str) -> np.ndarray:
    return np.array(text.split(), float)
