"""What the signals of notebooks 01 and 02 are made of: levels, spectra, wrapped samples, pictures.

What notebook 02 shows of recordings is measured by ``experiments.real_waveforms``; everything else is
measured in the notebooks.

Conventions
    signal      mono, floating point, (samples,), full scale 1.0; ``rate`` in Hz.
    dB          of power. Of a part of a test file (noise, rounding, clicks) relative to the tone, whose
                mean square is 1/2; of a spectrum relative to a sine of peak 1, which reads 0 dB.
    step        of 16-bit integers: 2^-15 of full scale.
    historic    a test set whose samples beyond 16 bits were wrapped; clean, one where they were clipped.
    error       of a file: what it holds beyond the ideal tone, in full scale.
    ratio       a distance divided by the mean distance to other sounds of the same source (other digits
                of the same speaker, other instruments at the same pitch): 1 is "as far as another word".
    figure      one function each, returning a matplotlib Figure; ``show`` saves and shows it.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import scipy.fft
import scipy.signal
import scipy.sparse
import scipy.special
import soxr
from matplotlib.figure import Figure

import gen_audio
import metrics
from audio_distance import views
from study import datasets
from study.datasets import distortions
from study.plots import BLUE, FONT, GREY, ORANGE

FIGURES = Path(__file__).parents[1] / "figures"
STEP = 2.0**-15
TONE_POWER = 0.5
TESTS = ("test1", "test2")
SPECTRUM_SIZE = 4096  # samples, of power_spectrum
FRAME, HOP = 1024, 256  # samples at 22,050 Hz, of log_mel
FLOOR = 1e-8  # of log_mel: -80 dB relative to full scale
SHOWN_DB = 80  # below the loudest point, in pictures
COLUMNS, ROWS = 80, 32  # of a picture
DELAYS = tuple(n / 4 for n in range(49))  # ms
TOGETHER = "views together"
MEASURES = ("raw samples", "mean spectrum", "mean log-mel", *metrics.VIEWS, TOGETHER)
SAME = ("5 ms later", "6 dB softer", "upside down (times -1)")
OTHER = ("random phase", "backwards", "50 ms pieces in another order")


# Levels


def db(power: float) -> float:
    """Return 10 log10 of a ratio of powers."""
    return float(10 * np.log10(power))


def level_db(signal: np.ndarray) -> float:
    """Return the power of ``signal`` relative to that of a sine of peak 1, in dB; -inf for silence."""
    power = float(np.mean(np.square(signal, dtype=float)))
    return db(power / TONE_POWER) if power else -np.inf


def levels(sigma: float) -> dict[str, float]:
    """What noise of standard deviation ``sigma`` (full scale 1) is, beside the tone and the step.

    ``below peak`` and ``below tone`` in dB: the second is 3 dB less, as the RMS of a sine is 3 dB below
    its peak. ``steps`` is sigma in 16-bit steps.
    """
    return {
        "sigma": sigma,
        "below peak (dB)": -20 * float(np.log10(sigma)),
        "below tone (dB)": -db(sigma**2 / TONE_POWER),
        "steps": sigma / STEP,
    }


def truncation_db() -> dict[str, float]:
    """Level of what truncation toward zero adds, in theory, in dB relative to the tone.

    The error of a sample is uniform between 0 and 1 step, against the sign of the sample. Its mean square
    is step^2 / 3: step^2 / 4 of a square wave that follows the tone, step^2 / 12 of the rest.
    """
    parts = {"all": 1 / 3, "square wave": 1 / 4, "rest": 1 / 12}
    return {name: db(share * STEP**2 / TONE_POWER) for name, share in parts.items()}


# Parts of a test file


def ideal_tone(frequency: float) -> np.ndarray:
    """The tone behind a file, before noise and 16 bits: float64, (96,000,)."""
    return gen_audio.sine(frequency, seconds=gen_audio.SECONDS)


def frequency_of(file: str) -> float:
    """The frequency in a name such as ``sin_325.wav``, in Hz."""
    return float(Path(file).stem.removeprefix("sin_"))


def error(samples: np.ndarray, frequency: float) -> np.ndarray:
    """What int16 ``samples`` hold beyond the ideal tone: float64, full scale 1."""
    return samples / 2.0**15 - ideal_tone(frequency)


def parts_db(historic: np.ndarray, clean: np.ndarray, frequency: float) -> dict[str, float]:
    """Level of a file's noise with its rounding, and of its clicks, in dB relative to the tone.

    The clicks are historic minus clean, -inf where nothing wrapped.
    """
    clicks = (historic.astype(float) - clean) * STEP
    return {"noise and rounding": level_db(error(clean, frequency)), "clicks": level_db(clicks)}


def wrapped(historic: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """Which samples wrapped: both writings of a file differ there and only there."""
    return historic != clean


def wrapped_counts(seeds: Sequence[int]) -> dict[str, np.ndarray]:
    """Test -> samples that wrap, (seeds, tones), tones from low to high."""
    counts = {test: [] for test in TESTS}
    for seed in seeds:
        writings = [gen_audio.test_sets(seed=seed, overflow=o) for o in gen_audio.OVERFLOWS]
        for test in TESTS:
            pairs = zip(*(writing[test].values() for writing in writings), strict=True)
            counts[test].append([int(wrapped(*pair).sum()) for pair in pairs])
    return {test: np.array(rows) for test, rows in counts.items()}


def wrap_probability(phase: np.ndarray, sigma: float) -> np.ndarray:
    """Chance that a sample at ``phase`` (radians) of a noisy tone is beyond 16 bits.

    Truncation toward zero makes the limits uneven: 1 above, but 1 and a step below.
    """
    tone = np.sin(phase)
    above = scipy.special.ndtr((tone - 1) / sigma)
    below = scipy.special.ndtr((-tone - 1 - STEP) / sigma)
    return above + below


def expected_wraps(sigma: float, samples: int = 96_000) -> tuple[float, float]:
    """How many samples of a file wrap on average, at the top and at the bottom of the wave.

    The mean of ``wrap_probability`` over the phase, which the frequency is no part of: the samples of
    a long tone fall evenly on its period. At the top it is sqrt(2 sigma) E[sqrt(max(z, 0))] / pi with
    z standard normal, as a sine is a parabola near its peak.
    """
    phase = np.pi * (np.arange(2**17) + 0.5) / 2**17
    chance = wrap_probability(phase, sigma).mean() / 2, wrap_probability(-phase, sigma).mean() / 2
    return samples * float(chance[0]), samples * float(chance[1])


def wrapped_phases(historic: Mapping, clean: Mapping) -> np.ndarray:
    """Phase in degrees, 0 to 360, of every sample of a set that wrapped."""
    phases = []
    for file, samples in historic.items():
        time = np.linspace(0, gen_audio.SECONDS, len(samples))
        turns = frequency_of(file) * time[wrapped(samples, clean[file])]
        phases.append(360 * (turns % 1))
    return np.concatenate(phases)


def wrapped_times(historic: Mapping, clean: Mapping) -> dict[str, np.ndarray]:
    """File -> times in seconds of the samples that wrapped."""
    return {
        file: np.flatnonzero(wrapped(samples, clean[file])) / gen_audio.RATE
        for file, samples in historic.items()
    }


def file_rows(historic: Mapping, clean: Mapping) -> list[dict]:
    """One row a file: set, name, length, largest and smallest integer, samples that wrapped."""
    return [
        {
            "set": which,
            "file": file,
            "seconds": len(samples) / gen_audio.RATE,
            "smallest": int(samples.min()),
            "largest": int(samples.max()),
            "wrapped": int(wrapped(samples, clean[which][file]).sum()),
        }
        for which, files in historic.items()
        for file, samples in files.items()
    ]


def level_rows(historic: Mapping, clean: Mapping) -> list[dict]:
    """One row a test: measured levels in dB relative to the tone, mean power over its files."""
    rows = []
    for test in TESTS:
        parts = [
            parts_db(samples, clean[test][file], frequency_of(file))
            for file, samples in historic[test].items()
        ]
        mean = {k: db(np.mean([10 ** (p[k] / 10) for p in parts])) for k in parts[0]}
        noise = -levels(gen_audio.SETS[test][1])["below tone (dB)"]
        rows.append({"set": test, "noise, drawn": noise, **mean, "clicks over noise": mean["clicks"] - noise})
    return rows


def heard(files: Mapping[str, Mapping]) -> dict[str, float]:
    """``metrics.distance`` from the background to each test, without intervals and tests."""
    sounds = {which: [samples * STEP for samples in found.values()] for which, found in files.items()}
    return {test: metrics.distance(sounds["background"], sounds[test], rate=gen_audio.RATE) for test in TESTS}


# Spectra


def power_spectrum(signal: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies in Hz and mean power of frames of 4096 samples, in dB relative to a sine of peak 1.

    Four-term Blackman-Harris window, whose side lobes are 92 dB down; half of each frame overlaps.
    """
    frequencies, power = scipy.signal.welch(
        signal, rate, "blackmanharris", SPECTRUM_SIZE, detrend=False, scaling="spectrum"
    )
    return frequencies, 10 * np.log10(np.maximum(power / TONE_POWER, 1e-20))


def mean_spectrum(signal: np.ndarray, rate: int) -> np.ndarray:
    """Root of the mean power spectrum of frames of 64 ms, (bins,), which no order of frames changes."""
    size = round(0.064 * rate)
    padded = np.pad(np.asarray(signal, float), size)
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[:: size // 8]
    spectra = scipy.fft.rfft(frames * scipy.signal.get_window("hann", size), axis=1)
    # The sum, not the mean: silence at the end of a file is not to count.
    return np.sqrt(np.square(np.abs(spectra)).sum(axis=0))


def log_mel(signal: np.ndarray, rate: int, bands: int = 40) -> np.ndarray:
    """Log-mel spectrogram, (bands, frames), in dB: 46 ms frames every 12 ms, 30 Hz to 11 kHz."""
    signal = np.asarray(signal, float)
    if rate != metrics.RATE:
        signal = soxr.resample(signal, rate, metrics.RATE)
    padded = np.pad(signal, FRAME // 2)
    window = scipy.signal.get_window("hann", FRAME)
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP] * window
    power = np.square(np.abs(scipy.fft.rfft(frames, axis=1))) / np.square(window.sum() / 2)
    return 10 * np.log10(np.maximum(_mel(bands) @ power.T, FLOOR))


@cache
def _mel(bands: int) -> scipy.sparse.csr_array:
    # Nearly empty, and a dense product this small spends its time on starting threads.
    return scipy.sparse.csr_array(metrics.mel_filters(FRAME, bands, rate=metrics.RATE))


# Changes of a sound


def delayed(signal: np.ndarray, rate: int, seconds: float) -> np.ndarray:
    """The signal after so much silence."""
    return np.concatenate([np.zeros(round(seconds * rate), signal.dtype), signal])


def random_phase(signal: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """A signal with the same magnitude at every frequency and phases drawn at random."""
    spectrum = scipy.fft.rfft(np.asarray(signal, float))
    turned = np.abs(spectrum) * np.exp(2j * np.pi * rng.random_sample(len(spectrum)))
    turned[0] = spectrum[0]
    if len(signal) % 2 == 0:
        turned[-1] = spectrum[-1]
    return scipy.fft.irfft(turned, len(signal)).astype(np.float32)


def changes(signal: np.ndarray, rate: int, seed: int) -> dict[str, np.ndarray]:
    """The changes of the table, by name; what is random is drawn from ``seed``."""
    # A frozen stream, of which distortions needs no more than permutation().
    rng = np.random.RandomState(seed)
    same = delayed(signal, rate, 0.005), signal / np.float32(2), -signal
    other = (
        random_phase(signal, rng),
        distortions.reverse(signal),
        distortions.shuffle_segments(signal, rate, 0.05, rng),
    )
    return dict(zip(SAME + OTHER, same + other, strict=True))


# Distances between two sounds


def raw_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Euclidean distance of the samples; the shorter signal ends in zeros."""
    length = max(len(x), len(y))
    return float(np.linalg.norm(np.pad(x, (0, length - len(x))) - np.pad(y, (0, length - len(y)))))


def description(signal: np.ndarray, rate: int) -> dict[str, np.ndarray]:
    """What every measure but the raw samples keeps of a sound: measure -> vector.

    The views are those of ``metrics.embed``, each number divided by its bundled constant; a long sound
    is the mean of its windows.
    """
    prepared, _ = metrics.prepare(signal, rate)
    embedded = np.mean([metrics.embed(window) for window in metrics.windows(prepared)], axis=0)
    parts = np.split(embedded / metrics.constants()[0], np.cumsum(list(metrics.VIEWS.values()))[:-1])
    return {
        "mean spectrum": mean_spectrum(signal, rate),
        "mean log-mel": log_mel(signal, rate).mean(axis=1),
        **dict(zip(metrics.VIEWS, parts, strict=True)),
    }


def distances(x: np.ndarray, y: np.ndarray, rate: int) -> dict[str, float]:
    """Euclidean distance between two sounds, by measure; of the views together the mean of the roots.

    That mean is the kernel of ``metrics.distance``.
    """
    return _distances(x, description(x, rate), y, description(y, rate))


def _distances(x, x_described, y, y_described) -> dict[str, float]:
    told = {m: float(np.linalg.norm(x_described[m] - y_described[m])) for m in x_described}
    together = float(np.mean([np.sqrt(told[view]) for view in metrics.VIEWS]))
    return {"raw samples": raw_distance(x, y), **told, TOGETHER: together}


def ratios(bases: Sequence[Mapping], rate: int) -> dict[str, dict[str, float]]:
    """Change -> measure -> median over sounds of its distance, over the mean distance to the others.

    A base is a dict: ``signal``, ``others`` (the yardstick: signals, the same for all measures) and
    ``more`` (name -> signal, changes beyond ``changes``).
    """
    known: dict[int, dict] = {}  # the others of one base are the signals of the next

    def to(signal, other):
        for each in (signal, other):
            if id(each) not in known:
                known[id(each)] = description(each, rate)
        return _distances(signal, known[id(signal)], other, known[id(other)])

    rows: dict[str, list[dict]] = {}
    kept = []  # an id is only unique among objects that live
    for number, base in enumerate(bases):
        signal = base["signal"]
        all_changes = {**changes(signal, rate, number), **base["more"]}
        kept.append(all_changes)
        others = [to(signal, other) for other in base["others"]]
        yardstick = {m: np.mean([other[m] for other in others]) for m in MEASURES}
        for name, changed in all_changes.items():
            found = to(signal, changed)
            rows.setdefault(name, []).append({m: found[m] / yardstick[m] for m in MEASURES})
    return {
        name: {m: float(np.median([row[m] for row in found])) for m in MEASURES}
        for name, found in rows.items()
    }


def contrast(table: Mapping[str, Mapping[str, float]]) -> list[dict]:
    """One row a measure: the largest ratio among ``SAME``, the smallest among ``OTHER``."""
    return [
        {
            "measure": measure,
            "same sound, at most": max(table[name][measure] for name in SAME),
            "another sound, at least": min(table[name][measure] for name in OTHER),
        }
        for measure in MEASURES
    ]


def delay_curve(bases: Sequence[Mapping], rate: int) -> dict[str, list[float]]:
    """Ratio of the raw distance after a delay: quartiles over the sounds, by delay in ms."""
    found = []
    for base in bases:
        signal = base["signal"]
        yardstick = np.mean([raw_distance(signal, other) for other in base["others"]])
        found.append([raw_distance(signal, delayed(signal, rate, ms / 1e3)) / yardstick for ms in DELAYS])
    low, middle, high = np.percentile(found, (25, 50, 75), axis=0)
    return {"ms": list(DELAYS), "low": low.tolist(), "median": middle.tolist(), "high": high.tolist()}


def instrument_bases(count: int = 32, pitch: int = 60) -> list[dict]:
    """Middle C of every fourth instrument: the same key of the 31 others is the yardstick."""
    programs = [128 * i // count for i in range(count)]
    notes = [datasets.note(program, pitch) for program in programs]
    return [
        {
            "signal": notes[i],
            "others": [n for j, n in enumerate(notes) if j != i],
            "more": {
                "same key, softer stroke": datasets.note(program, pitch, velocity=60),
                "one semitone higher": datasets.note(program, pitch + 1),
            },
        }
        for i, program in enumerate(programs)
    ]


def digit_bases(digits: datasets.AudioSet) -> list[dict]:
    """The first take of every digit by every speaker: the other nine digits are the yardstick."""
    named = dict(zip(digits.names, digits.signals, strict=True))
    speakers = sorted(set(digits.groups))
    return [
        {
            "signal": named[f"{digit}_{speaker}_0.wav"],
            "others": [named[f"{other}_{speaker}_0.wav"] for other in range(10) if other != digit],
            "more": {
                "same digit, another take": named[f"{digit}_{speaker}_1.wav"],
                "same digit, another speaker": named[f"{digit}_{following}_0.wav"],
            },
        }
        for speaker, following in zip(speakers, speakers[1:] + speakers[:1], strict=True)
        for digit in range(10)
    ]


# Pictures: a waveform and a spectrogram as small as they are drawn


def picture(signal: np.ndarray, rate: int) -> dict:
    """Extremes of the waveform in 80 columns, in hundredths of its peak, and its spectrogram, 32 x 80.

    Levels are whole dB below the loudest point, to 80, one text a band: small enough to be kept.
    """
    signal = np.asarray(signal, float)
    pieces = np.array_split(100 * signal / np.max(np.abs(signal)), COLUMNS)
    mel = log_mel(signal / np.max(np.abs(signal)), rate, ROWS)
    frames = np.linspace(0, mel.shape[1] - 1, COLUMNS).round().astype(int)
    shown = np.clip(np.round(mel.max() - mel[:, frames]), 0, SHOWN_DB).astype(int)
    return {
        "seconds": len(signal) / rate,
        "highest": " ".join(f"{piece.max():.0f}" for piece in pieces),
        "lowest": " ".join(f"{piece.min():.0f}" for piece in pieces),
        "db_below": [" ".join(map(str, row)) for row in shown],
    }


def _numbers(text: str) -> np.ndarray:
    return np.array(text.split(), float)


def synthetic_pictures() -> dict[str, dict]:
    """Two tones and two notes, by title: always there."""
    tone, clicks = (datasets.tones("test1", overflow=o).signals[2][:16_000] for o in ("clip", "wrap"))
    return {
        "tone, 325 Hz, clean": picture(tone, gen_audio.RATE),
        "the same tone, with clicks": picture(clicks, gen_audio.RATE),
        "marimba, C4": picture(datasets.note(12, 60), datasets.INSTRUMENT_RATE),
        "trumpet, C4": picture(datasets.note(56, 60), datasets.INSTRUMENT_RATE),
    }


# Versions to be listened to


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
        {"as played": datasets.note(12, 60), **changes(datasets.note(12, 60), datasets.INSTRUMENT_RATE, 0)},
        datasets.INSTRUMENT_RATE,
        "A marimba, C4, rendered from a sampled instrument.",
    )


# Figures


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
    lowest, highest = views.hz_to_mel(metrics.LOWEST_HZ), views.hz_to_mel(metrics.RATE / 2)
    hertz = (250, 1000, 4000, 8000)
    places = [ROWS * (views.hz_to_mel(f) - lowest) / (highest - lowest) for f in hertz]
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
