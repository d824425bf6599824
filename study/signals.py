"""What the signals of the notebooks are made of: levels, spectra, wrapped samples, halves of a set.

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
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import scipy.fft
import scipy.signal
import scipy.sparse
import scipy.special

import gen_audio
import metrics
from study import datasets
from study.datasets import distortions
from study.pictures import log_mel, picture

STEP = 2.0**-15
TONE_POWER = 0.5
TESTS = ("test1", "test2")
SPECTRUM_SIZE = 4096  # samples, of power_spectrum
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
    """One row a file: ``set``, ``file``, ``seconds``, ``smallest`` and ``largest`` integer, samples that
    ``wrapped``.

    ``historic``, ``clean``: set -> file -> int16 samples.
    """
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
    """One row a test: measured levels in dB relative to the tone, mean power over its five files.

    ``noise, drawn`` is what the generator adds, in theory; ``noise and rounding`` and ``clicks`` are
    measured; ``clicks over noise`` is their difference in dB.
    """
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
    sounds = {which: [samples * STEP for samples in named.values()] for which, named in files.items()}
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


# Changes of a sound


def delayed(signal: np.ndarray, rate: int, seconds: float) -> np.ndarray:
    """The signal after ``seconds`` of silence, so longer than it was."""
    return np.concatenate([np.zeros(round(seconds * rate), signal.dtype), signal])


def random_phase(signal: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """A signal with the same magnitude at every frequency and phases drawn at random, float32.

    The phases at 0 Hz and at half the rate stay: a real signal has none to turn there.
    """
    spectrum = scipy.fft.rfft(np.asarray(signal, float))
    turned = np.abs(spectrum) * np.exp(2j * np.pi * rng.random_sample(len(spectrum)))
    turned[0] = spectrum[0]
    if len(signal) % 2 == 0:
        turned[-1] = spectrum[-1]
    return scipy.fft.irfft(turned, len(signal)).astype(np.float32)


def changes(signal: np.ndarray, rate: int, seed: int) -> dict[str, np.ndarray]:
    """Change -> changed signal, of ``SAME`` (the ear hears the same sound) and ``OTHER`` (it hears another).

    What is random is drawn from ``seed``.
    """
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
    """Euclidean distance of the samples, in full scale; the shorter signal ends in zeros."""
    length = max(len(x), len(y))
    difference = np.pad(x, (0, length - len(x))) - np.pad(y, (0, length - len(y)))
    return float(np.linalg.norm(difference.astype(float)))  # a sum in float32 differs by processor


def description(signal: np.ndarray, rate: int) -> dict[str, np.ndarray]:
    """What every measure but the raw samples keeps of a sound: measure -> vector.

    The views are those of ``metrics.embed``, each number divided by its bundled constant; a long sound
    is the mean of its windows.
    """
    windows = metrics.describe_signal(signal, rate).vectors
    views = metrics.split_views(metrics.divided(windows.mean(axis=0)))
    return {
        "mean spectrum": mean_spectrum(signal, rate),
        "mean log-mel": log_mel(signal, rate).mean(axis=1),
        **views,
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
            moved = to(signal, changed)
            rows.setdefault(name, []).append({m: moved[m] / yardstick[m] for m in MEASURES})
    return {
        name: {m: float(np.median([row[m] for row in sounds])) for m in MEASURES}
        for name, sounds in rows.items()
    }


def contrast(table: Mapping[str, Mapping[str, float]]) -> list[dict]:
    """One row a measure: the largest ratio among ``SAME``, the smallest among ``OTHER``.

    A measure that hears as people do has the first below the second. ``table``: as ``ratios`` returns it.
    """
    return [
        {
            "measure": measure,
            "same sound, at most": max(table[name][measure] for name in SAME),
            "another sound, at least": min(table[name][measure] for name in OTHER),
        }
        for measure in MEASURES
    ]


def delay_curve(bases: Sequence[Mapping], rate: int) -> dict[str, list[float]]:
    """Ratio of the raw distance after a delay: ``ms``, and quartiles ``low``, ``median``, ``high``.

    ``bases`` as in ``ratios``, over which the quartiles are; delays are ``DELAYS``, 0 to 12 ms.
    """
    curves = []
    for base in bases:
        signal = base["signal"]
        yardstick = np.mean([raw_distance(signal, other) for other in base["others"]])
        curves.append([raw_distance(signal, delayed(signal, rate, ms / 1e3)) / yardstick for ms in DELAYS])
    low, middle, high = np.percentile(curves, (25, 50, 75), axis=0)
    return {"ms": list(DELAYS), "low": low.tolist(), "median": middle.tolist(), "high": high.tolist()}


def instrument_bases(count: int = 32, pitch: int = 60) -> list[dict]:
    """Bases of ``ratios``: a middle C (MIDI ``pitch`` 60) of ``count`` of the 128 General MIDI instruments.

    The same key of the 31 others is the yardstick; ``more`` are a softer stroke and a semitone up.
    """
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
    """Bases of ``ratios``: the first take of every digit by every speaker, 60 in all.

    The other nine digits of the speaker are the yardstick; ``more`` are another take, and the next speaker.
    KeyError where ``digits`` lacks one of these recordings.
    """
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


def synthetic_pictures() -> dict[str, dict]:
    """Title -> picture of two tones and two notes, which are rendered here: always there."""
    tone, clicks = (datasets.tones("test1", overflow=o).signals[2][:16_000] for o in ("clip", "wrap"))
    return {
        "tone, 325 Hz, clean": picture(tone, gen_audio.RATE),
        "the same tone, with clicks": picture(clicks, gen_audio.RATE),
        "marimba, C4": picture(datasets.note(12, 60), datasets.INSTRUMENT_RATE),
        "trumpet, C4": picture(datasets.note(56, 60), datasets.INSTRUMENT_RATE),
    }


# Sets


def halves(sounds: Sequence, *, seed: int) -> tuple[list, list]:
    """Deal the sounds of one set to two at random: two samples of one source, which differ by chance alone.

    ``sounds`` are of any kind; of an odd number the second half has one more. ValueError for fewer than 4,
    because a set needs two sounds.
    """
    if len(sounds) < 4:
        raise ValueError(f"{len(sounds)} sounds cannot be dealt to two sets: 4 are needed, 2 for each")
    order, half = np.random.default_rng(seed).permutation(len(sounds)), len(sounds) // 2
    return [sounds[i] for i in order[:half]], [sounds[i] for i in order[half:]]
