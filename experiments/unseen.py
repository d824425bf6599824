"""What does the test not see, and could anybody have seen it in so few files?

Two sets of recordings, the second with an effect: small changes of every file, or other shares of the
classes. Beside ``metrics.compare`` stands an oracle (``study.oracles``): a test that is told what to look at,
and looks at nothing else. What neither finds is not in so few files; what the oracle alone finds, the test
does not see. 600 spoken digits, 400 environmental sounds of a second, and 5 s of those of them that sound
throughout; 120 draws of 20 and 60 of 50 files a side, 199 rearrangements, seed 0.

Conventions
    effect    what is other in the second set (``CHANGES``: in every file; ``MIXES``: in the set), or
              "nothing", where both sets are draws of one source. The sets never share a file.
    source    "digits"; "sounds" (the loudest second of each); "long sounds" (5 s).
    reads     what the oracle looks at: one number of every file, or its labels. For "nothing", that of every
              effect of the source in turn.
    found     draws with p of 5 % or less, of ``distance`` and ``oracle``, and ``draws``; by files a side. The
              95 % intervals are of Clopper and Pearson: of what other draws from these recordings would give.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.ndimage
import scipy.signal
import scipy.stats
import soxr

import audio_distance
import metrics
from audio_distance.description import Description, Sound
from study import datasets, draws, oracles, sources
from study.datasets import distortions
from study.parts import Part, computed
from study.sources import Rows, Source, seeded

DATA = ("digits", "sounds")
TAKES = "a quarter of an hour"

SIZES = {20: 120, 50: 60}  # files a side: draws
NOTHING_DRAWS = {20: 300, 50: 150}
PERMUTATIONS, ALPHA, LEVEL = 199, 0.05, 0.95
SOURCES = ("digits", "sounds", "long sounds")
FILES = {"digits": 600, "sounds": 400}
LONG_SECONDS, LONG_RANGE = 5, 30.0  # s; dB below the loudest second, which every second reaches

NOTHING = "nothing"
TESTS = ("distance", "oracle")
HUM_HERTZ, HUM_DB = 100.0, -40.0
GATE_DB, DRIFT_DB = -45.0, -6.0
TAIL_DB, TAIL_SECONDS, TAIL_DELAY = -22.0, 0.3, 0.005
THRESHOLD_DB, RATIO, ATTACK = -20.0, 2.0, 0.01

Signal = np.ndarray
Change = Callable[[Signal, int, np.random.Generator], Signal]


# ------------------------------------------------------------------------------------------------ effects


def faster(share: float) -> Change:
    """Played faster by a share: shorter, and higher in pitch (1 % is 17 cents)."""

    def change(signal: Signal, rate: int, rng: np.random.Generator) -> Signal:
        return soxr.resample(signal, (1 + share) * rate, rate)

    return change


def higher(severity: int) -> Change:
    """Pitch raised at the same length by a phase vocoder: ``distortions.pitch``."""

    def change(signal: Signal, rate: int, rng: np.random.Generator) -> Signal:
        return distortions.pitch(signal, rate, severity, rng)

    return change


def gated(signal: Signal, rate: int, rng: np.random.Generator) -> Signal:
    """Frames of 10 ms more than 45 dB below the loudest are digital silence."""
    size = round(oracles.FRAME * rate)
    frames = np.reshape(np.pad(signal, (0, -len(signal) % size)), (-1, size))
    power = (frames**2).mean(axis=1)
    kept = power >= 10 ** (GATE_DB / 10) * power.max()
    return (frames * kept[:, None]).ravel()[: len(signal)]


def compressed(signal: Signal, rate: int, rng: np.random.Generator) -> Signal:
    """2:1 above 20 dB below the highest level, which is followed over 10 ms."""
    size = round(ATTACK * rate)
    # A running mean is kept up by adding and taking away, and what is left of silence may be below 0.
    level = np.sqrt(np.maximum(scipy.ndimage.uniform_filter1d(signal**2, size), 0.0))
    above = np.maximum(level / (10 ** (THRESHOLD_DB / 20) * level.max()), 1.0)
    return signal * above ** (1 / RATIO - 1)


def drifting(signal: Signal, rate: int, rng: np.random.Generator) -> Signal:
    """6 dB quieter at the end than at the beginning, evenly."""
    return signal * 10 ** (DRIFT_DB / 20 * np.linspace(0, 1, len(signal)))


def humming(signal: Signal, rate: int, rng: np.random.Generator) -> Signal:
    """A tone of 100 Hz, 40 dB below the sound."""
    time = np.arange(len(signal)) / rate
    tone = np.sqrt(2) * np.sin(2 * np.pi * (HUM_HERTZ * time + rng.uniform()))
    return signal + 10 ** (HUM_DB / 20) * np.sqrt(np.mean(signal**2)) * tone


def reverberant(signal: Signal, rate: int, rng: np.random.Generator) -> Signal:
    """A tail of 0.3 s (to -60 dB), 22 dB below the direct sound by energy; the length stays."""
    length = round(TAIL_SECONDS * rate)
    tail = rng.standard_normal(length) * 10 ** (-3 * np.arange(length) / length)
    tail *= 10 ** (TAIL_DB / 20) / np.sqrt(np.sum(tail**2))
    response = np.concatenate([[1.0], np.zeros(round(TAIL_DELAY * rate)), tail])
    return scipy.signal.fftconvolve(signal, response)[: len(signal)]


def shuffled(signal: Signal, rate: int, rng: np.random.Generator) -> Signal:
    """Its whole seconds in another order, in which none follows the one that it followed."""
    pieces = np.reshape(signal[: len(signal) // rate * rate], (-1, rate))
    while True:
        order = rng.permutation(len(pieces))
        if not np.any(np.diff(order) == 1):
            return pieces[order].ravel()


@dataclass(frozen=True)
class Reading:
    """What an oracle reads of a file, in words; whether the effect makes it larger (1) or smaller (-1)."""

    words: str
    of: Callable[[Signal, int], float]
    direction: int = 1


PITCH = Reading("fundamental frequency", oracles.log_fundamental)
CENTROID = Reading("spectral centroid", oracles.log_centroid)
ZEROS = Reading("share of samples that are 0", oracles.silent_share)
MEDIAN = Reading("median level below the loudest 10 ms", oracles.median_level)
RISE = Reading("second half over the first, dB", oracles.rise, -1)
HUM = Reading("least level at 100 Hz", functools.partial(oracles.level_at, HUM_HERTZ))
FALL = Reading("steepest fall of the level", oracles.steepest_fall)
SEAMS = Reading("likeness where two seconds meet", oracles.seams)

CHANGES: dict[str, tuple[Change, dict[str, Reading]]] = {  # and, by source, what its oracle reads
    "1 % faster": (faster(0.01), {"digits": PITCH, "sounds": CENTROID}),
    "2 % faster": (faster(0.02), {"digits": PITCH, "sounds": CENTROID}),
    "3 % faster": (faster(0.03), {"digits": PITCH, "sounds": CENTROID}),
    "an eighth of a tone higher": (higher(1), {"digits": PITCH}),
    "a quarter tone higher": (higher(2), {"digits": PITCH}),
    "room tone gated": (gated, {"digits": ZEROS, "sounds": ZEROS}),
    "compressed 2:1": (compressed, {"digits": MEDIAN, "sounds": MEDIAN}),
    "6 dB quieter at the end": (drifting, {"digits": RISE, "sounds": RISE, "long sounds": RISE}),
    "hum of 100 Hz": (humming, {"digits": HUM, "sounds": HUM}),
    "reverberation, -22 dB": (reverberant, {"digits": FALL, "sounds": FALL}),
    "seconds in another order": (shuffled, {"long sounds": SEAMS}),
}
OTHER_WORDS, EXCHANGED = "other words", "exchanged"
MIXES: dict[str, tuple[str, tuple[str, ...]]] = {  # what ``mixed`` calls it; sources
    "one class of ten missing": ("1 label dropped", ("digits", "sounds")),
    "half of the classes missing": ("5 labels dropped", ("digits", "sounds")),
    "three of four files from half of the classes": ("weights 3:1", ("digits", "sounds")),
    "other words by the same speakers": (OTHER_WORDS, ("digits",)),
    "who says which word exchanged": (EXCHANGED, ("digits",)),
}
LABELS, SPEAKERS_AND_WORDS = "labels", "speaker and word"


# -------------------------------------------------------------------------------------------- measurement


def run(*, workers: int = -1, quick: bool = False, fresh: bool = False) -> dict:
    """Shares found by the test and by the oracle; MissingData without the recordings.

    Returns ``rows``, with ``effect``, ``source``, ``files`` (of the source), ``reads`` and ``found`` (files a
    side -> draws, and those with a p-value of 5 % or less of ``distance`` and ``oracle``), and the settings.
    ``quick`` makes ten draws of one row a source; ``fresh`` computes again what the cache holds.
    """
    code = sources.code_stamp(audio_distance, distortions, draws, oracles, sources, sys.modules[__name__])
    data = [datasets.fingerprint(name)["sha256"] for name in DATA]
    parts = {
        (source, effect): Part(_measured, (source, effect, 10 if quick else None), [code, data, quick])
        for source, effect in _jobs()
        if not quick or effect in ("room tone gated", "seconds in another order")
    }
    measured = computed(parts, "unseen", workers=workers, keep=not fresh, unit="effect")
    rows = [{"effect": effect, "source": source, **found} for (source, effect), found in measured.items()]
    return {"permutations": PERMUTATIONS, "alpha": ALPHA, "level": LEVEL, "rows": rows}


def interval(found: int, drawn: int) -> tuple[float, float]:
    """The 95 % interval of a share, of Clopper and Pearson (1934)."""
    ends = scipy.stats.binomtest(found, drawn).proportion_ci(LEVEL, method="exact")
    return float(ends.low), float(ends.high)


def summary(content: Mapping) -> str:
    """A line an effect and source."""
    lines = [f"{'found by the test, by the oracle':58} " + ", ".join(f"N = {size}" for size in SIZES)]
    for row in content["rows"]:
        shares = [
            " ".join(f"{found[test] / found['draws']:4.0%}" for test in TESTS) + f" of {found['draws']}"
            for found in row["found"].values()
        ]
        lines.append(f"{row['effect']:45} {row['source']:12} {'   '.join(shares)}   {row['reads']}")
    return "\n".join(lines)


def _jobs() -> list[tuple[str, str]]:
    """(Source, effect) of every row."""
    used = {effect: sources for effect, (_, sources) in (MIXES | CHANGES).items()} | {NOTHING: SOURCES}
    # Source by source, so that a worker has described the recordings already.
    return [(source, effect) for source in SOURCES for effect, its in used.items() if source in its]


def _measured(name: str, effect: str, most: int | None) -> dict:
    """One row: draws, and by how many each test found the effect."""
    known = _source(name)
    recorded = _described(name, NOTHING)
    changed = _described(name, effect) if effect in CHANGES else recorded
    oracle, reads = _oracle(name, effect, known)
    found: dict[str, dict[str, int]] = {}
    for size, drawn in (NOTHING_DRAWS if effect == NOTHING else SIZES).items():
        hits = []
        for number in range(min(drawn, most or drawn)):
            rng = seeded("unseen", name, effect, size, number)
            first, second = mixed(known, MIXES[effect][0] if effect in MIXES else "clean", size, rng)
            result = metrics.compare(
                _set([recorded[i] for i in first]),
                _set([changed[i] for i in second]),
                permutations=PERMUTATIONS,
                seed=number,
            )
            hits.append((result.p_value <= ALPHA, oracle(number, first, second, rng) <= ALPHA))
        found[str(size)] = {"draws": len(hits), **dict(zip(TESTS, np.sum(hits, axis=0), strict=True))}
    return {"reads": reads, "files": len(known.signals), "found": found}


def mixed(known: Source, mix: str, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Places of two disjoint samples of ``size`` files, the second mixed otherwise.

    ``mix``: "other words" (the labels are halved at random, and the second sample holds those that the first
    lacks, by the same speakers, file by file), "exchanged" (speakers are halved too: in the first sample
    either half says its own half of the words, in the second the other's), or what ``study.draws.draw``
    knows.
    """
    if mix not in (OTHER_WORDS, EXCHANGED):
        places = Rows(
            known.name, "places", {"clean": np.arange(len(known.labels))}, known.labels, known.groups
        )
        return draws.draw(places, mix, size, rng)

    def half(kinds: np.ndarray) -> np.ndarray:
        names = rng.permutation(np.unique(kinds))
        return np.isin(kinds, names[: len(names) // 2])

    own = half(known.labels)
    if mix == EXCHANGED:
        own = own == half(known.groups)
    order = rng.permutation(len(own))
    first = order[own[order]][:size]
    left = {group: list(order[~own[order] & (known.groups[order] == group)]) for group in set(known.groups)}
    return first, np.array([left[known.groups[place]].pop() for place in first])


def _oracle(name: str, effect: str, known: Source) -> tuple[Callable[..., float], str]:
    """P-value of (number of the draw, places, places, rng), and what it reads."""
    if effect == NOTHING:
        others = [other for source, other in _jobs() if source == name and other != NOTHING]
        each = [_told(other, known, known.signals) for other in others]
        return lambda number, *draw: each[number % len(each)](*draw), "what the other rows read, in turn"
    told = _told(effect, known, _changed(name, effect) if effect in CHANGES else known.signals)
    return lambda number, *draw: told(*draw), _reads(effect, name)


def _told(effect: str, known: Source, second_signals: Sequence[Signal]) -> Callable[..., float]:
    """P-value of (places, places, rng) by what the effect changes.

    ``second_signals``: those of the second sample, one for every place.
    """
    if effect in MIXES:
        labels = known.labels
        if _reads(effect, known.name) == SPEAKERS_AND_WORDS:
            labels = np.char.add(known.groups, known.labels)
        return lambda first, second, rng: oracles.of_counts(labels[first], labels[second], rng=rng)
    reading = CHANGES[effect][1][known.name]
    one, two = (
        np.array([reading.of(signal, known.rate) for signal in signals])
        for signals in (known.signals, second_signals)
    )
    return lambda first, second, rng: oracles.of_means(
        one[first], two[second], direction=reading.direction, rng=rng
    )


def _reads(effect: str, name: str) -> str:
    if effect in CHANGES:
        return CHANGES[effect][1][name].words
    return SPEAKERS_AND_WORDS if MIXES[effect][0] == EXCHANGED else LABELS


@functools.cache
def _source(name: str) -> Source:
    """Signals of a source, in a seeded order."""
    if name in FILES:
        return sources.source(name, FILES[name])
    audio = datasets.sounds()
    rate = metrics.RATE
    whole = {}
    for i in seeded("unseen", name).permutation(len(audio)):
        signal = soxr.resample(audio.signals[i], audio.rate, rate)[: LONG_SECONDS * rate]
        if len(signal) < LONG_SECONDS * rate:
            continue
        power = (np.reshape(signal, (LONG_SECONDS, rate)).astype(float) ** 2).mean(axis=1)
        if power.min() >= 10 ** (-LONG_RANGE / 10) * power.max():
            whole[i] = signal
    kept = list(whole)
    labels, groups = (np.array(kinds)[kept] for kinds in (audio.labels, audio.groups))
    return Source(name, tuple(whole.values()), rate, labels, groups)


@functools.lru_cache(maxsize=1)
def _changed(name: str, effect: str) -> list[Signal]:
    known = _source(name)
    change = CHANGES[effect][0]
    return [
        np.float32(change(signal.astype(float), known.rate, seeded("unseen", name, effect, i)))
        for i, signal in enumerate(known.signals)
    ]


@functools.lru_cache(maxsize=2)
def _described(name: str, effect: str) -> list[Sound]:
    """All files of a source, recorded or changed."""
    known = _source(name)
    signals = known.signals if effect == NOTHING else _changed(name, effect)
    sounds = []
    for i, signal in enumerate(signals):
        described = metrics.describe_signal(signal, known.rate)
        file = f"{i:03d} {effect}"
        sounds.append(
            Sound(
                file,
                content=file,
                rate=known.rate,
                seconds=len(signal) / known.rate,
                sounding_seconds=described.sounding_seconds,
                level_db=described.level_db,
                vectors=described.vectors,
            )
        )
    return sounds


def _set(sounds: list[Sound]) -> Description:
    ordered = tuple(sorted(sounds, key=lambda sound: sound.name))
    return Description("recordings", min(sounds[0].rate, metrics.RATE), metrics.constants()[1], (), ordered)
