"""What does each statistic of the test add, and each part of the texture? All, and without each of them.

Two samples of one source, the second damaged or not: the same draws and the same 199 rearrangements for every
combination. Sounds of at most a second, one window each: spoken digits, environmental sounds at 22.05 and at
44.1 kHz, and synthetic mixtures. Everything is seeded by names.

Conventions
    combination  the largest normal score of "all" statistics of all parts; of all but one of either
                 ("without freed", "without spectrum"), or but several parts ("without modulation, skewness");
                 of one statistic ("only plain"); "views alone": all statistics of the 1032 numbers of the
                 value; "version 1": three studentised energies of these, which were the test before.
    effect       damage to each file of the second sample (``EFFECTS``), to a share of them (``OF_SETS``), or
                 labels that it lacks. None but the last is among those that the test was chosen on.
    harmless     what a recording goes through without being another (``HARMLESS``); "nothing" is two draws
                 of one source.
    found        share of draws with p of 5 % or less: power of an effect, and false alarms of the harmless.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
import scipy.ndimage
import scipy.signal
import scipy.spatial.distance
import soxr
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits
from tqdm import tqdm

import metrics
from audio_distance import pooling
from audio_distance.texture import TEXTURE
from study import datasets
from study.datasets import synthetic
from study.incumbents import first_version
from study.sources import seeded, source

DATA = ("digits", "sounds")
TAKES = "a quarter of an hour"

FILES, PERMUTATIONS, ALPHA = 160, 199, 0.05
SIZES = {20: 40, 50: 12}  # files a side: draws of an effect
HARMLESS_DRAWS, CLEAN_DRAWS = 40, 200
SOURCES = ("digits", "sounds", "sounds, 44.1 kHz", "mixtures")

Signal = np.ndarray
Effect = Callable[[Signal, int, np.random.Generator], Signal]


# ------------------------------------------------------------------------------------------------ damage


def tilt(signal: Signal, rate: int, rng: np.random.Generator) -> Signal:
    """1 dB an octave brighter."""
    spectrum = np.fft.rfft(signal)
    hz = np.fft.rfftfreq(len(signal), 1 / rate)
    return np.fft.irfft(spectrum * (np.maximum(hz, 50) / 1000) ** (1 / 6.02), len(signal))


def notch(signal: Signal, rate: int, rng: np.random.Generator) -> Signal:
    """An eighth of an octave is missing around 1.3 kHz."""
    return scipy.signal.lfilter(*scipy.signal.iirnotch(1300, 11, fs=rate), signal)


def hum(signal: Signal, rate: int, rng: np.random.Generator) -> Signal:
    """60 Hz and four harmonics, 40 dB down together."""
    time = np.arange(len(signal)) / rate + rng.uniform()
    tone = sum(np.sin(2 * np.pi * 60 * k * time) / k for k in range(1, 6))
    return signal + 0.01 * _rms(signal) / _rms(tone) * tone


def whistle(signal: Signal, rate: int, rng: np.random.Generator) -> Signal:
    """A steady 3.1 kHz, 45 dB down."""
    time = np.arange(len(signal)) / rate
    return signal + 10 ** (-45 / 20) * _rms(signal) * np.sqrt(2) * np.sin(2 * np.pi * 3100 * time)


def echo(signal: Signal, rate: int, rng: np.random.Generator) -> Signal:
    """One reflection after 35 ms, 12 dB down."""
    return signal + 0.25 * _delayed(signal, round(0.035 * rate))


def comb(signal: Signal, rate: int, rng: np.random.Generator) -> Signal:
    """One reflection after 1 ms, 14 dB down."""
    return signal + 0.2 * _delayed(signal, round(0.001 * rate))


def tremolo(signal: Signal, rate: int, rng: np.random.Generator) -> Signal:
    """The level swings at 7 Hz, by a fifth each way."""
    time = np.arange(len(signal)) / rate
    return signal * (1 + 0.2 * np.sin(2 * np.pi * (7 * time + rng.uniform())))


def roughness(signal: Signal, rate: int, rng: np.random.Generator) -> Signal:
    """The level swings at 45 Hz, by an eighth each way."""
    time = np.arange(len(signal)) / rate
    return signal * (1 + 0.125 * np.sin(2 * np.pi * (45 * time + rng.uniform())))


def drift(signal: Signal, rate: int, rng: np.random.Generator) -> Signal:
    """8 dB quieter at the end than at the beginning."""
    return signal * 10 ** (-8 / 20 * np.arange(len(signal)) / len(signal))


def vibrato(signal: Signal, rate: int, rng: np.random.Generator) -> Signal:
    """The pitch swings at 5 Hz, by 20 cents each way."""
    at = np.arange(len(signal))
    depth = (2 ** (20 / 1200) - 1) * rate / (2 * np.pi * 5)
    return np.interp(at + depth * np.sin(2 * np.pi * (5 * at / rate + rng.uniform())), at, signal)


def saturation(signal: Signal, rate: int, rng: np.random.Generator) -> Signal:
    """A tanh, driven to a gain of half at the peak."""
    drive = 1.0 / max(np.abs(signal).max(), 1e-9)
    return np.tanh(drive * signal) / drive


def compression(signal: Signal, rate: int, rng: np.random.Generator) -> Signal:
    """3:1 above 20 dB below the peak, within 10 ms."""
    level = np.sqrt(_smoothed(signal**2, round(0.01 * rate)) + 1e-12)
    return signal * np.minimum(1, (0.1 * level.max() / level) ** (2 / 3))


def gate(signal: Signal, rate: int, rng: np.random.Generator) -> Signal:
    """Bins 45 dB below the loudest are cut, as noise suppression leaves it."""
    return _by_frames(signal, lambda s: np.where(np.abs(s) < 10 ** (-45 / 20) * np.abs(s).max(), 0, s))


def smearing(signal: Signal, rate: int, rng: np.random.Generator) -> Signal:
    """Magnitudes are averaged over three frames of 8 ms, phases stay."""
    return _by_frames(
        signal, lambda s: scipy.ndimage.uniform_filter1d(np.abs(s), 3, axis=1) * np.exp(1j * np.angle(s))
    )


def jitter(signal: Signal, rate: int, rng: np.random.Generator) -> Signal:
    """Every bin's phase off by .5 rad at random, as vocoders have it."""
    return _by_frames(signal, lambda s: s * np.exp(0.5j * rng.standard_normal(s.shape)))


def dispersion(signal: Signal, rate: int, rng: np.random.Generator) -> Signal:
    """Low frequencies come up to 8 ms late: no magnitude changes."""
    hz = np.fft.rfftfreq(len(signal), 1 / rate)
    phase = -2 * np.pi * np.cumsum(0.008 * np.exp(-hz / 800)) * (rate / len(signal))
    return np.fft.irfft(np.fft.rfft(signal) * np.exp(1j * phase), len(signal))


def aliasing(signal: Signal, rate: int, rng: np.random.Generator) -> Signal:
    """Every second sample is held, 26 dB down."""
    return signal + 0.05 * (np.repeat(signal[::2], 2)[: len(signal)] - signal)


def stutter(signal: Signal, rate: int, rng: np.random.Generator) -> Signal:
    """25 ms are said twice, once."""
    size = round(0.025 * rate)
    start = rng.integers(0, max(1, len(signal) - 2 * size))
    return np.concatenate([signal[: start + size], signal[start : len(signal) - size]])


def warble(signal: Signal, rate: int, rng: np.random.Generator) -> Signal:
    """1.5 % faster."""
    return soxr.resample(signal, 1.015 * rate, rate)


def hiss(signal: Signal, rate: int, rng: np.random.Generator) -> Signal:
    """Blue noise, 40 dB down."""
    noise = np.diff(rng.standard_normal(len(signal) + 1))
    return signal + 0.01 * _rms(signal) * noise / _rms(noise)


def crackle(signal: Signal, rate: int, rng: np.random.Generator) -> Signal:
    """One sample in a thousand off by a twentieth of the peak."""
    places = rng.uniform(size=len(signal)) < 1e-3
    return signal + places * rng.choice([-0.05, 0.05], len(signal)) * np.abs(signal).max()


def fades(signal: Signal, rate: int, rng: np.random.Generator) -> Signal:
    """In and out over 60 ms."""
    ramp = np.minimum(1, (np.arange(len(signal)) + 1) / (0.06 * rate))
    return signal * ramp * ramp[::-1]


EFFECTS: dict[str, Effect] = {
    function.__name__: function
    for function in (
        *(
            tilt,
            notch,
            hum,
            whistle,
            echo,
            comb,
            tremolo,
            roughness,
            drift,
            vibrato,
            saturation,
            compression,
            gate,
            smearing,
        ),
        *(jitter, dispersion, aliasing, stutter, warble, hiss, crackle, fades),
    )
}
# Of the second sample this share is damaged, the rest is as it was.
OF_SETS = {
    "a third reversed": (1 / 3, lambda signal, rate, rng: signal[::-1]),
    "half with echo": (1 / 2, echo),
}
LABELS_DROPPED = {"2 labels dropped": 2, "5 labels dropped": 5}  # of ten, at random, from the second sample


# --------------------------------------------------------------------------------------------- harmless


def gain(signal: Signal, rate: int, rng: np.random.Generator) -> Signal:
    return 0.37 * signal


def silence(signal: Signal, rate: int, rng: np.random.Generator) -> Signal:
    return np.concatenate([np.zeros(round(0.13 * rate)), signal, np.zeros(round(0.07 * rate))])


def dither(signal: Signal, rate: int, rng: np.random.Generator) -> Signal:
    """To 16 bits, with triangular dither of a step."""
    return np.round(32768 * signal + rng.uniform(-0.5, 0.5, (2, len(signal))).sum(axis=0)) / 32768


def up_and_back(signal: Signal, rate: int, rng: np.random.Generator) -> Signal:
    return soxr.resample(soxr.resample(signal, rate, 48_000), 48_000, rate)


def polyphase(signal: Signal, rate: int, rng: np.random.Generator) -> Signal:
    """By 5/4 and back with another resampler's filters."""
    return scipy.signal.resample_poly(scipy.signal.resample_poly(signal, 5, 4), 4, 5)


def through(target: int, quality: str) -> Effect:
    """Stored at a lower rate, by soxr at a quality or scipy's filters."""

    def stored(signal: Signal, rate: int, rng: np.random.Generator) -> Signal:
        if quality == "scipy":
            common = np.gcd(rate, target)
            return scipy.signal.resample_poly(signal, target // common, rate // common)
        return soxr.resample(signal, rate, target, quality=quality)

    return stored


HARMLESS: dict[str, tuple[Effect, int | None]] = {  # and the rate it leaves the file at
    **{f.__name__: (f, None) for f in (gain, silence, dither)},
    "48 kHz and back": (up_and_back, None),
    "5/4 and back": (polyphase, None),
    "stored at 16 kHz": (through(16_000, "VHQ"), 16_000),
    "stored at 11.025 kHz": (through(11_025, "scipy"), 11_025),
    "stored at 8 kHz": (through(8_000, "MQ"), 8_000),
}


# ------------------------------------------------------------------------------------------ measurement


def run(*, workers: int = -1, quick: bool = False) -> dict:
    """Shares found, by combination; MissingData without the recordings.

    Returns ``power`` and ``harmless``: rows with ``source``, ``effect``, ``files`` a side, ``draws`` and
    ``found``, combination -> share.
    """
    jobs = [(name, effect) for name in SOURCES for effect in (*EFFECTS, *OF_SETS, "nothing", *HARMLESS)]
    jobs += [(name, effect) for name in SOURCES if name != "mixtures" for effect in LABELS_DROPPED]
    if quick:
        jobs = [(name, effect) for name in SOURCES[:1] for effect in ("notch", "nothing", "stored at 16 kHz")]
    done = Parallel(n_jobs=workers, return_as="generator")(
        delayed(_measured)(*job, 10 if quick else None) for job in jobs
    )
    rows = [row for of_job in tqdm(done, total=len(jobs), unit="effect") for row in of_job]
    damage = {*EFFECTS, *OF_SETS, *LABELS_DROPPED}
    return {
        "permutations": PERMUTATIONS,
        "alpha": ALPHA,
        "power": [row for row in rows if row["effect"] in damage],
        "harmless": [row for row in rows if row["effect"] not in damage],
    }


def summary(content: Mapping) -> str:
    """A line a combination: power by size and source, and false alarms."""
    lines = []
    tables = [("power", size) for size in SIZES] + [("harmless", 20)]
    for kind, size in tables:
        rows = [row for row in content[kind] if row["files"] == size]
        if not rows:
            continue
        names = list(dict.fromkeys(row["source"] for row in rows))
        lines.append(f"{kind}, {size} files a side, per cent: all, {', '.join(names)}; all - this one")
        for combination in rows[0]["found"]:
            shares = [
                100 * np.mean([r["found"][combination] for r in rows if r["source"] == n]) for n in names
            ]
            gains = [100 * (row["found"]["all"] - row["found"][combination]) for row in rows]
            error = np.std(gains) / np.sqrt(len(gains))
            lines.append(
                f"  {combination:28} {np.mean(shares):5.1f}   {'  '.join(f'{s:5.1f}' for s in shares)}"
                f"   {np.mean(gains):+5.1f} +- {error:.1f}"
            )
    return "\n".join(lines)


def _measured(name: str, effect: str, most: int | None) -> list[dict]:
    """Rows of one source and effect, one a size."""
    with threadpool_limits(1):
        function, share, target = _of(effect)
        signals, rate, labels = _signals(name)
        rate_of_both = min(rate, target or rate)
        clean = _clean(name, min(rate_of_both, metrics.RATE))
        damaged = clean
        if function is not None:
            changed = [
                function(s.astype(float), rate, seeded(name, effect, i)) for i, s in enumerate(signals)
            ]
            damaged = _described(changed, target or rate, min(rate_of_both, metrics.RATE))
        sizes = SIZES
        if effect == "nothing" or effect in HARMLESS:
            sizes = {20: CLEAN_DRAWS if effect == "nothing" else HARMLESS_DRAWS}
        rows = []
        for size, draws in sizes.items():
            draws = min(draws, most or draws)
            found: dict[str, list[bool]] = {}
            for draw in range(draws):
                rng = seeded("combinations", name, effect, size, draw)
                order = rng.permutation(len(clean))
                first, rest = order[:size], order[size:]
                if effect in LABELS_DROPPED:
                    dropped = rng.permutation(np.unique(labels))[: LABELS_DROPPED[effect]]
                    rest = rest[~np.isin(labels[rest], dropped)]
                chosen = rest[:size]
                hit = np.arange(len(chosen)) < share * size
                second = np.where(hit[:, None], damaged[chosen], clean[chosen])
                for key, p_value in _p_values(clean[first], second, rate_of_both, rng).items():
                    found.setdefault(key, []).append(p_value <= ALPHA)
            shares = {key: float(np.mean(hits)) for key, hits in found.items()}
            rows.append({"source": name, "effect": effect, "files": size, "draws": draws, "found": shares})
        return rows


def _of(effect: str) -> tuple[Effect | None, float, int | None]:
    """Function, share of the files that it damages, rate that it leaves them at."""
    if effect in HARMLESS:
        function, target = HARMLESS[effect]
        return function, 1, target
    if effect in OF_SETS:
        share, function = OF_SETS[effect]
        return function, share, None
    return EFFECTS.get(effect), 1, None


@cache
def _signals(name: str) -> tuple[tuple[Signal, ...], int, np.ndarray]:
    """The sounds of a source, of at most a second, their rate and labels."""
    if name == "mixtures":
        return tuple(synthetic.windows(FILES, seed=77)), synthetic.RATE, np.zeros(FILES)
    if name in ("digits", "sounds"):
        known = source(name)
        chosen = seeded("combinations", name).permutation(len(known.signals))[:FILES]
        return tuple(known.signals[i] for i in chosen), known.rate, known.labels[chosen]
    audio = datasets.sounds()
    chosen = seeded("combinations", name).permutation(len(audio))[:FILES]
    middles = [audio.signals[i][: 3 * audio.rate] for i in chosen]
    starts = [max(0, int(np.argmax(np.abs(s))) - audio.rate // 4) for s in middles]
    cut = tuple(s[start:][: audio.rate] for s, start in zip(middles, starts, strict=True))
    return cut, audio.rate, np.array(audio.labels)[chosen]


@cache
def _clean(name: str, bandwidth_rate: int) -> np.ndarray:
    signals, rate, _ = _signals(name)
    return _described(signals, rate, bandwidth_rate)


def _described(signals: tuple[Signal, ...] | list[Signal], rate: int, bandwidth_rate: int) -> np.ndarray:
    """First window of each sound, (files, numbers)."""
    return np.stack(
        [metrics.describe_signal(np.float32(s), rate, bandwidth_rate=bandwidth_rate)[0][0] for s in signals]
    )


def _p_values(first: np.ndarray, second: np.ndarray, rate: int, rng: np.random.Generator) -> dict[str, float]:
    """p by combination, of one draw and one set of arrangements."""
    vectors, units = np.concatenate([first, second]), len(first) + len(second)
    in_first = np.repeat(np.float32([1, 0]), (len(first), len(second)))
    dealt = [in_first, *(in_first[rng.permutation(units)] for _ in range(PERMUTATIONS))]
    members = np.stack(dealt, axis=1)
    parts = pooling.usable_numbers(rate)
    whole = _scores(vectors, members, parts)
    combinations = {"all": whole}
    for left_out in whole:
        combinations[f"without {left_out}"] = {k: v for k, v in whole.items() if k != left_out}
    for left_out in TEXTURE:
        fewer = {part: columns for part, columns in parts.items() if part != left_out}
        combinations[f"without {left_out}"] = _scores(vectors, members, fewer)
    spectral = {p: columns for p, columns in parts.items() if "modulation" not in p and p != "skewness"}
    combinations["without modulation, skewness"] = _scores(vectors, members, spectral)
    views = {part: columns for part, columns in parts.items() if part in metrics.VIEWS}
    combinations["views alone"] = _scores(vectors, members, views)
    combinations |= {f"only {name}": {name: scores} for name, scores in whole.items()}
    combinations["version 1"] = {"": first_version(vectors, members.T > 0, rate=rate)}
    return {name: _p_value(np.max(list(scores.values()), axis=0)) for name, scores in combinations.items()}


def _scores(
    vectors: np.ndarray, members: np.ndarray, parts: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Normal scores of the four statistics, each (arrangements,)."""
    units = len(vectors)
    pooled = pooling.families(vectors, np.full(units, 1 / units), np.arange(units), parts)
    sets = np.where(members[:, 0] > 0, 1, 2)
    values = {name: _energies(views, members) for name, views in pooled.described.items()}
    for name, count in (("plain", 1), ("freed", 5)):
        changes = pooling.differences(pooled.numbers[name], members, sets=sets, partner=np.full(units, -1))
        values[name] = pooling.largest(changes, count)
    return {name: pooling.normal_scores(arranged) for name, arranged in values.items()}


def _energies(views: list[np.ndarray], members: np.ndarray) -> np.ndarray:
    """Energy distance under every arrangement, of units of one window."""
    kernel = np.mean([np.sqrt(scipy.spatial.distance.cdist(view, view)) for view in views], axis=0)
    n = members[:, 0].sum()
    m = len(members) - n
    toward = kernel @ members
    within = (toward * members).sum(axis=0)
    across = toward.sum(axis=0) - within
    other = kernel.sum() - 2 * across - within
    return 2 * across / (n * m) - within / (n * (n - 1)) - other / (m * (m - 1))


def _p_value(arranged: np.ndarray) -> float:
    return float((arranged >= arranged[0] - 1e-6).mean())


def _rms(signal: Signal) -> float:
    return float(np.sqrt(np.mean(signal**2)))


def _delayed(signal: Signal, samples: int) -> Signal:
    return np.concatenate([np.zeros(samples), signal])[: len(signal)]


def _smoothed(values: np.ndarray, samples: int) -> np.ndarray:
    return scipy.ndimage.uniform_filter1d(values, samples)


def _by_frames(signal: Signal, change: Callable[[np.ndarray], np.ndarray]) -> Signal:
    """A signal whose spectra, (bins, frames) of 32 ms at 22,050 Hz and every 8 ms, are changed."""
    size = min(704, len(signal))
    _, _, spectra = scipy.signal.stft(signal, nperseg=size, noverlap=size - size // 4)
    _, changed = scipy.signal.istft(change(spectra), nperseg=size, noverlap=size - size // 4)
    return np.pad(changed, (0, max(0, len(signal) - len(changed))))[: len(signal)]
