"""Waveforms, spectrograms and clicks: the figures of notebooks 01 and 02.

Conventions as in ``study.signals``, whose measurements these draw. ``historic`` and ``clean`` are the two
writings of the test sets (set -> file -> int16 samples), ``pictures`` what ``study.pictures`` keeps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

import gen_audio
import metrics
from audio_distance import transforms
from report.figures.style import BLACK, BLUE, GREEN, GREY, ORANGE, heat_map, new_figure, rows, styled
from study import signals
from study.pictures import COLUMNS, ROWS, SHOWN_DB

TEST_COLOURS = {"test1": ORANGE, "test2": BLUE}
WRAPPED_WITHIN = 2.4  # degrees of a period around a peak, more than any sample that wraps is away from it
HERTZ = (250, 1000, 4000, 8000)  # named at the side of a spectrogram


@styled
def noise_and_step(clean: Mapping) -> Figure:
    """How far noise moves the integers of the clean tone that both sets share, 1000 Hz.

    A panel a test: histogram of the difference in 16-bit steps, % of samples a step.
    """
    figure, panels = new_figure(3.6, "The noise of test2 is smaller than one 16-bit step", 1, 2, sharey=True)
    tone = clean["background"]["sin_1000.wav"].astype(int)
    for axes, (test, colour) in zip(panels, TEST_COLOURS.items(), strict=True):
        moved = clean[test]["sin_1000.wav"] - tone
        seaborn.histplot(
            moved, discrete=True, stat="percent", shrink=0.8, color=colour, alpha=1, lw=0, ax=axes
        )
        axes.set_xlim(-14, 14)
        sigma = signals.levels(gen_audio.SETS[test][1])["steps"]
        unmoved = 100 * np.mean(moved == 0)  # noise that truncation took away
        axes.set_title(f"{test}: sigma {sigma:.2f} steps,\n{unmoved:.0f} % of samples as without noise")
        axes.set_xlabel("difference from the clean tone (16-bit steps)")
        axes.set_ylabel("samples (%)")
    return figure


@styled
def wrapped_samples(historic: Mapping, clean: Mapping, file: str = "sin_100.wav") -> Figure:
    """A file of test1 in time, and one of its peaks sample by sample before and after the wrap.

    Above the first 50 ms as published, in full scale; below 17 samples around the first peak that wraps, in
    16-bit steps, as they were before 16 bits: what is over the line does not fit.
    """
    figure, (wide, near) = new_figure(
        5.6, "Where noise lifts a peak over full scale, the sample jumps to the bottom", 2, 1
    )
    samples = historic["test1"][file]
    time = 1e3 * np.linspace(0, gen_audio.SECONDS, len(samples))
    wraps = signals.wrapped(samples, clean["test1"][file])
    _beginning(wide, time, samples * signals.STEP, wraps)
    _peak(near, time, wraps, file, list(clean["test1"]))
    return figure


def _beginning(axes: Axes, time: np.ndarray, samples: np.ndarray, wraps: np.ndarray) -> None:
    """The first 50 ms as they were published."""
    shown = slice(0, round(0.05 * gen_audio.RATE))
    time, samples, wraps = time[shown], samples[shown], wraps[shown]
    axes.plot(time, samples, color=BLUE, lw=1)
    axes.plot(time[wraps], samples[wraps], "^", color=ORANGE, ms=7, label="wraps")
    axes.set_ylabel("amplitude (full scale = 1)")
    axes.set_xlabel("time (ms)")


def _peak(axes: Axes, time: np.ndarray, wraps: np.ndarray, file: str, files: Sequence[str]) -> None:
    """The first peak that wraps, as it was before: the generator's noise, drawn again."""
    frequency = signals.frequency_of(file)
    period = round(gen_audio.RATE / frequency)
    peak = int(np.flatnonzero(wraps)[0]) // period * period + period // 4  # a quarter into its period
    shown = slice(peak - 8, peak + 9)
    rng = np.random.RandomState(0)  # one stream over all files, in their order
    noisy = {f: gen_audio.sine(signals.frequency_of(f), noise=1e-4, rng=rng) for f in files}[file]
    time, before, wraps = time[shown], noisy[shown] / signals.STEP, wraps[shown]
    axes.axhline(2**15, color=BLACK, lw=1)
    note = "32,768: the first that does not fit"
    axes.annotate(note, (time[0], 2**15), xytext=(0, 4), textcoords="offset points")
    axes.plot(time, signals.ideal_tone(frequency)[shown] / signals.STEP, color=GREY, lw=2, label="clean tone")
    axes.plot(time[~wraps], before[~wraps], "o", color=BLUE, ms=7, label="with noise, fits")
    axes.plot(time[wraps], before[wraps], "^", color=ORANGE, ms=7, label="wraps")
    axes.set_ylabel("amplitude (16-bit steps)")
    axes.set_xlabel("time (ms)")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.legend(loc="lower center", ncols=3)


@styled
def spectra(historic: Mapping, clean: Mapping, file: str = "sin_550.wav") -> Figure:
    """Spectra of one tone without noise, in the clean test and in the historic one, a panel a test.

    Along x kHz, along y dB relative to the tone, of frames of 4,096 samples (``signals.power_spectrum``).
    """
    figure, panels = new_figure(4.4, "Clicks lift the whole spectrum, far above the noise", 1, 2, sharey=True)
    # 16 bits without noise: what rounding alone adds.
    silent = gen_audio.to_int16(signals.ideal_tone(signals.frequency_of(file)))
    for axes, test in zip(panels, signals.TESTS, strict=True):
        for label, samples, colour, style in (
            (f"{test}, historic", historic[test][file], ORANGE, "-"),
            (f"{test}, clean", clean[test][file], BLUE, "--"),
            ("without noise", silent, BLACK, ":"),
        ):
            frequencies, level = signals.power_spectrum(samples * signals.STEP, gen_audio.RATE)
            axes.plot(frequencies / 1e3, level, color=colour, ls=style, lw=1.2, label=label)
        axes.set_xlabel("frequency (kHz)")
        axes.legend(loc="upper right")
        axes.set_ylim(-145, 5)
    panels[0].set_ylabel("level (dB relative to the tone)")
    return figure


@styled
def where_wrapped(historic: Mapping, clean: Mapping) -> Figure:
    """Phase of the wrapped samples around the peaks of the wave, with what is expected.

    A panel a test; along x degrees of a period from the peak, along y samples a bin, all files together:
    upwards those at the upper peak, downwards those at the lower one. Dashed: ``signals.wrap_probability``
    for as many samples.
    """
    figure, panels = new_figure(
        4.2, "Wrapped samples sit on the peaks, test2's only on the upper one (dashed: expected)", 1, 2
    )
    # 32 bins of 0.15 degrees.
    edges = np.linspace(-WRAPPED_WITHIN, WRAPPED_WITHIN, 33)
    centres = (edges[1:] + edges[:-1]) / 2
    for axes, (test, colour) in zip(panels, TEST_COLOURS.items(), strict=True):
        phases = signals.wrapped_phases(historic[test], clean[test])
        count = sum(len(samples) for samples in historic[test].values())
        for peak, which, sign, hatch in ((90, "upper", 1, None), (270, "lower", -1, "////")):
            inside = phases[np.abs(phases - peak) < WRAPPED_WITHIN] - peak
            heights, _ = np.histogram(inside, edges)
            axes.bar(
                centres, sign * heights, edges[1] - edges[0], color=colour if sign > 0 else "white",
                ec=colour, lw=0.5, hatch=hatch, label=f"{which} peak: {len(inside)} samples",
            )  # fmt: skip
            probability = signals.wrap_probability(np.radians(centres + peak), gen_audio.SETS[test][1])
            expected = sign * probability * count * (edges[1] - edges[0]) / 360
            axes.plot(centres, expected, color=BLACK, lw=1.5, ls="--")
        axes.axhline(0, color=BLACK, lw=0.8)
        axes.yaxis.set_major_formatter(lambda value, _: f"{abs(value):.0f}")
        axes.set_title(test)
        axes.legend(loc="upper left", bbox_to_anchor=(0, -0.17))
        axes.set_xlabel("distance from the peak (degrees of a period)")
    highest = max(np.abs(axes.dataLim.intervaly).max() for axes in panels)
    for axes in panels:
        axes.set_ylim(-1.05 * highest, 1.05 * highest)
    panels[0].set_ylabel("samples a bin\n(down: at the lower peak)")
    return figure


@styled
def counts(wrapped: Mapping[str, np.ndarray]) -> Figure:
    """Wrapped samples a file by frequency and seed, with what is expected.

    ``wrapped``: test -> (seeds, tones), as ``signals.wrapped_counts``. Along x Hz, seeds side by side;
    dashed: ``signals.expected_wraps``, which depends on the noise alone.
    """
    figure, axes = new_figure(4.2, "How many samples wrap depends on the noise, not on tone or seed")
    for (test, colour), marker in zip(TEST_COLOURS.items(), "oD", strict=True):
        number, sigma = gen_audio.SETS[test]
        frequencies = np.linspace(gen_audio.LOWEST, gen_audio.HIGHEST, number)
        expected = sum(signals.expected_wraps(sigma))
        axes.axhline(expected, color=BLACK, lw=1, ls="--")
        for index, row in enumerate(wrapped[test]):
            places = frequencies + 6 * (index - len(wrapped[test]) / 2)
            axes.plot(places, row, marker, color=colour, ms=5, alpha=0.8)
        axes.annotate(
            f"{test}: {expected:.0f} expected",
            (1060, expected),
            xytext=(0, 4),
            textcoords="offset points",
            color=colour,
        )
    axes.set_xlim(50, 1290)
    axes.set_ylim(bottom=0)
    axes.set_xticks(np.linspace(gen_audio.LOWEST, gen_audio.HIGHEST, 5))
    axes.set_xlabel("frequency of the tone (Hz; the seeds side by side)")
    axes.set_ylabel("wrapped samples in a file")
    return figure


@styled
def clicks_in_time(historic: Mapping, clean: Mapping) -> Figure:
    """When the samples of each file wrapped: a stroke a sample, a row a tone, seconds along x.

    The generator's samples drift by one over a file, so a tone whose period is a whole number of samples has
    one on its peak at both ends of the file, and nowhere between.
    """
    figure, panels = new_figure(
        4.4, "At 1000 Hz all clicks fall at the two ends of the file", 2, 1, sharex=True
    )
    for axes, (test, colour) in zip(panels, TEST_COLOURS.items(), strict=True):
        times = signals.wrapped_times(historic[test], clean[test])
        axes.eventplot(list(times.values()), colors=colour, linewidths=0.7, linelengths=0.75)
        axes.set_yticks(range(len(times)), [f"{signals.frequency_of(file):.0f}" for file in times])
        axes.set_title(test)
        axes.set_ylabel("tone (Hz)")
    panels[1].set_xlim(0, gen_audio.SECONDS)
    panels[1].set_xlabel("time (s)")
    return figure


@styled
def click_levels(levels: Sequence[Mapping]) -> Figure:
    """Levels of noise, noise with rounding, and clicks, in dB relative to the tone, a test a row.

    ``levels``: as ``signals.level_rows``, mean power over the five files.

    The grey line is how far clicks are above the noise that caused them.
    """
    figure, axes = new_figure(2.8, "The clicks have a million times the power of the noise, and more")
    styles = {"noise, drawn": (BLUE, "D"), "noise and rounding": (BLACK, "s"), "clicks": (ORANGE, "o")}
    for place, row in enumerate(levels):
        axes.plot([row["noise, drawn"], row["clicks"]], [place, place], color=GREY, lw=1.5, zorder=0)
        for name, (colour, marker) in styles.items():
            axes.plot(row[name], place, marker, color=colour, ms=9, label=name if place == 0 else None)
        axes.annotate(
            f"{row['clicks over noise']:.0f} dB over the noise",
            ((row["noise and rounding"] + row["clicks"]) / 2, place),
            xytext=(0, 6),
            textcoords="offset points",
            ha="center",
        )
    rows(axes, [row["set"] for row in levels])
    axes.set_ylim(len(levels) - 0.5, -0.5)
    axes.set_xlim(-105, 0)
    axes.set_xlabel("level (dB relative to the tone, mean over the five files)")
    figure.legend(loc="outside lower center", ncols=3)
    return figure


@styled
def waveforms(pictures: Mapping[str, Mapping]) -> Figure:
    """Waveforms, two in a row: seconds along x, amplitude over the peak along y.

    ``pictures``: title -> ``study.pictures.picture``, an even number of them.
    """
    figure, panels = new_figure(
        1.5 * len(pictures) / 2 + 0.7,
        "A waveform shows when a sound is loud, and little of what it is",
        len(pictures) // 2,
        2,
        sharey=True,
    )
    for axes, (name, picture) in zip(panels.flat, pictures.items(), strict=True):
        time = np.linspace(0, picture["seconds"], COLUMNS)
        low, high = (_numbers(picture[end]) / 100 for end in ("lowest", "highest"))
        axes.fill_between(time, low, high, color=BLUE, lw=0.8, edgecolor=BLUE)
        axes.set_title(name)
        axes.set_xlim(0, picture["seconds"])
        axes.set_ylim(-1.1, 1.1)
    for axes in panels[-1]:
        axes.set_xlabel("time (s)")
    figure.supylabel("amplitude (peak = 1)")
    return figure


@styled
def spectrograms(pictures: Mapping[str, Mapping], title: str, **options) -> Figure:
    """Log-mel spectrograms, two in a row, an even number of ``pictures``; options are ``spectrogram``'s.

    Seconds along x, 32 mel bands from 30 Hz to 11 kHz along y, dB below the loudest point of each as shade.
    """
    figure, panels = new_figure(1.7 * len(pictures) / 2 + 0.7, title, len(pictures) // 2, 2, sharey=True)
    for axes, (name, picture) in zip(panels.flat, pictures.items(), strict=True):
        image = spectrogram(axes, picture, **options)
        axes.set_title(name)
    for axes in panels[-1]:
        axes.set_xlabel("time (s)")
    figure.supylabel("frequency (kHz, mel scale)")
    # The last image stands for all: they have one scale.
    figure.colorbar(image, ax=panels, shrink=0.6, pad=0.02, label="level (dB relative to the loudest point)")
    return figure


def spectrogram(
    axes: Axes, picture: Mapping, *, highest: float | None = None, decibels: float = SHOWN_DB
) -> AxesImage:
    """One of them on ``axes``, and returned as image.

    Up to ``highest`` Hz, by default all; shaded down to ``decibels`` below the loudest point.
    """
    image = axes.imshow(
        -np.array([_numbers(band) for band in picture["db_below"]]),
        origin="lower",
        aspect="auto",
        vmin=-decibels,  # of its own loudest point, as the picture is kept
        vmax=0,
        extent=(0, picture["seconds"], 0, ROWS),
    )
    shown = [f for f in HERTZ if highest is None or f <= highest]
    axes.set_yticks([_row(f) for f in shown], [f"{f / 1e3:g}" for f in shown])
    axes.set_ylim(0, ROWS if highest is None else _row(highest))
    return image


def _row(hertz: float) -> float:
    """Where a frequency lies among the mel bands, 0 to ``ROWS``."""
    lowest, top = transforms.hz_to_mel(metrics.LOWEST_HZ), transforms.hz_to_mel(metrics.RATE / 2)
    return ROWS * (transforms.hz_to_mel(hertz) - lowest) / (top - lowest)


@styled
def same_spectra(same: Mapping) -> Figure:
    """The mean spectra of sounds that the ear tells apart at once; ``same`` as ``same_spectrum`` gives it.

    kHz along x, dB relative to the largest along y: the lines lie on one another.
    """
    figure, axes = new_figure(3.8, "Four sounds, nearly one mean spectrum")
    # Lines that lie on one another: each thinner than the one below it, in another stroke.
    styles = zip((BLACK, ORANGE, BLUE, GREEN), ("-", "--", "-", ":"), (3.5, 1.8, 1.2, 1.8), strict=True)
    for (name, text), (colour, style, width) in zip(same["spectra_db"].items(), styles, strict=True):
        level = _numbers(text)
        kilohertz = np.linspace(0, same["rate"] / 2e3, len(level))
        axes.plot(kilohertz, level, color=colour, ls=style, lw=width, label=name)
    axes.set_xlabel("frequency (kHz)")
    axes.set_ylabel("level (dB relative to the largest)")
    axes.legend()
    return figure


@styled
def delay(curves: Mapping[str, Mapping]) -> Figure:
    """Raw distance to a sound's own delayed copy, over that to other sounds: median and quartiles.

    ``curves``: name -> ``signals.delay_curve`` and ``n``; at most two. Delay in ms along x; at 1 a sound is
    as far from its copy as from another word.
    """
    figure, axes = new_figure(4.0, "For raw samples, a sound a millisecond late is a different sound")
    # The first and, where recordings were measured, the second.
    for (name, curve), colour, style in zip(curves.items(), (BLUE, ORANGE), ("-", "--"), strict=False):
        axes.fill_between(curve["ms"], curve["low"], curve["high"], color=colour, alpha=0.25, lw=0)
        label = f"{name}, n = {curve['n']}"
        axes.plot(curve["ms"], curve["median"], color=colour, ls=style, lw=2, label=label)
    axes.axhline(1, color=BLACK, lw=1)
    axes.set_ylim(bottom=0)
    axes.set_xlim(0, signals.DELAYS[-1])
    axes.set_xlabel("delay (ms)")
    axes.set_ylabel("distance to the delayed copy\n(1 = distance to other sounds)")
    figure.legend(loc="outside lower center", ncols=2, title="median, and half of the sounds")
    return figure


@styled
def ratio_table(ratios: Mapping[str, Mapping[str, float]], title: str) -> Figure:
    """Ratios as a map: rows the changes, columns the measures; views right of the white line.

    ``ratios`` as ``signals.ratios``: 0 the change is not seen, 1 it is as large as to another sound.
    """
    table = pd.DataFrame(ratios).T[list(signals.MEASURES)]
    figure, axes = new_figure(0.42 * len(table) + 1.8, title)
    table.columns = [name.replace(" ", "\n", 1) for name in table]
    heat_map(axes, table, limits=(0, 1.5), bar="distance (1 = to other sounds)")
    axes.set_xticks(axes.get_xticks(), axes.get_xticklabels(), rotation=0)
    axes.axvline(list(signals.MEASURES).index("envelope"), color="white", lw=4)  # before the views
    return figure


def _numbers(text: str) -> np.ndarray:
    return np.array(text.split(), float)
