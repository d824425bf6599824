"""Which pairs of sets does each test judge wrong, among pairs that the distance was not developed with?

``study.soundness`` has the list that was there while the distance was developed: 18 pairs, most of them of
speech, that must differ or must not. Here are others. Everything is seeded by names.

Conventions
    group    "harmless": what must not differ in that list, on every source. "few files": pairs of which
             earlier tests missed some at N = 20. "classes": labels that the second set lacks. "further": the
             twenty pairs of ``study.further_pairs``, written without looking at the recipe.
    must     of a pair: its sources differ, or no listener could name what is done to one. So few files may be
             unable to show that sources differ; the oracle says where.
    draw     two disjoint samples of a pool: of ``POOL`` files, each in both versions, where a pair must not
             differ, and of ``SIDE`` files a side where it must; of more for "classes". What has something in
             common that is drawn (the noise of a room, a pair of digits), takes and tunings are made anew.
    test     "compare", which sees the windows of every file, and those of ``study.level``, which see their
             mean: the same draws and rearrangements for all. "oracle" is told what each file is (its label,
             the pitch of a tone) and nothing of its sound: where it finds nothing, no test can be blamed.
    found    draws with p of 5 % or less.
    right    at least half of the draws found of a pair that must differ, at most ``MOST_ALARMS`` of the draws
             of one that must not.
"""

from __future__ import annotations

import dataclasses
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import scipy.stats
import soxr

import metrics
from audio_distance.description import Description, Sound
from study import arranged, datasets, embeddings, further_pairs, incumbents, level, sources
from study import soundness as known_pairs
from study.datasets import synthetic
from study.draws import draw
from study.parts import Key, Part, computed
from study.sources import Rows, seeded

DATA = ("digits", "sounds")
NEEDS = ("the extra networks",)
TAKES = "five minutes"

FILES, ALPHA, MOST_ALARMS = 20, 0.05, 0.15
DRAWS = {True: 10, False: 20}  # of a pair that must differ, and of one that must not
POOL = 80  # files, of which a draw takes two times FILES
SIDE = 40  # files a side, of which a draw takes FILES: there are no more of one class of sounds
LABELLED = {"digits": 240, "sounds": 240}  # files, of which classes are left out
MISSING, SIZES = (1, 2, 3, 5), (20, 50)  # labels of ten; files a side
RATES = (8_000, 16_000, 22_050, 44_100)  # Hz, of environmental sounds
TONES = (200.0, 4000.0)  # Hz, the lowest and the highest
SHIFT = 1.05
TILT = 3.0  # dB an octave
SPLIT = "another split"
COMPARE, ORACLE = "compare", "oracle"

Signals = Sequence[np.ndarray]
Truth = tuple[np.ndarray, np.ndarray] | None  # what each file of either set is, for an oracle


@dataclasses.dataclass(frozen=True)
class Heard:
    """Files as the tests see them: for ``compare`` windows, for the others embedding -> (files, d)."""

    sounds: tuple[Sound, ...]
    rows: dict[str, np.ndarray]

    def some(self, places: Sequence[int]) -> Heard:
        """Some of the files, in the order of their places."""
        rows = {name: each[places] for name, each in self.rows.items()}
        return Heard(tuple(self.sounds[i] for i in places), rows)


# ------------------------------------------------------------------------------------------- harmless

# What is done in the list, as functions of any source: a test holds them to it.
CHANGES: dict[str, Callable] = {
    "gain -12 dB": lambda signal, rate, rng: 0.25 * signal,
    "50 ms of silence": lambda signal, rate, rng: np.concatenate([np.zeros(rate // 20), signal]),
    "dither of 16 bits": lambda signal, rate, rng: signal + rng.triangular(-1, 0, 1, len(signal)) / 2**15,
    "resampled there and back": lambda signal, rate, rng: soxr.resample(
        soxr.resample(signal, rate, 2 * rate + 1000), 2 * rate + 1000, rate
    ),
}
HALF_AS_MUCH_AGAIN = "resampled to 1.5 times the rate and back"
RESAMPLED = (SPLIT, "resampled there and back", HALF_AS_MUCH_AGAIN)
POOLS = ("digits", "instruments", "synthetic mixtures", *(f"sounds, {rate / 1000:g} kHz" for rate in RATES))


def changes_of(name: str) -> tuple[str, ...]:
    """What must not differ on one of ``POOLS``: all of ``CHANGES``, and on sounds resampling in two ways.

    On sounds below 22,050 Hz nothing but the latter, which depends on the bandwidth.
    """
    if not name.startswith("sounds"):
        return (SPLIT, *CHANGES)
    if _rate_of(name) < metrics.RATE:
        return RESAMPLED
    return (SPLIT, *CHANGES, HALF_AS_MUCH_AGAIN)


def _rate_of(name: str) -> int:
    return round(1000 * float(name.split()[1]))


def _pool(name: str, files: int) -> tuple[Signals, int]:
    """Signals of one of ``POOLS`` and their rate in Hz; the sounds are the same at every rate."""
    rng = seeded("soundness", "pool", name.split(",")[0])
    if name == "synthetic mixtures":
        return [synthetic.window(int(i), seed=77) for i in rng.choice(2**31, files)], synthetic.RATE
    if name in sources.SOURCES:
        known = sources.source(name, files)
        return known.signals, known.rate
    signals, own = further_pairs.sounds(files, rng)
    rate = _rate_of(name)
    return [s if rate == own else soxr.resample(s, own, rate) for s in signals], rate


def _changed(change: str, name: str, index: int, signal: np.ndarray, rate: int) -> np.ndarray:
    rng = seeded("soundness", change, name, index)
    if change == HALF_AS_MUCH_AGAIN:
        return sources.damaged("resampled up and back", signal, rate, rng)
    return CHANGES[change](signal.astype(float), rate, rng)


def _harmless(name: str, files: int, draws: int) -> list[dict]:
    """Rows of one source, one a change."""
    signals, rate = _pool(name, files)
    clean = heard(signals, rate)
    rows = []
    for change in changes_of(name):
        other = clean
        if change != SPLIT:
            other = heard([_changed(change, name, i, s, rate) for i, s in enumerate(signals)], rate)
        found = _of_a_pool(clean, other, (name, change), draws)
        rows.append(_row("harmless", change, name, False, FILES, draws, found))
    return rows


def _of_a_pool(clean: Heard, changed: Heard, key: tuple[str, ...], draws: int) -> Counter:
    """Two disjoint samples of the same files, the second in another version."""
    found: Counter = Counter()
    for index in range(draws):
        order = seeded("soundness", *key, index).permutation(len(clean.sounds))
        found.update(_found(clean.some(order[:FILES]), changed.some(order[FILES : 2 * FILES]), index))
    return found


def _of_two_sides(
    reference: Heard, candidate: Heard, key: tuple[str, ...], draws: int, truth: Truth = None
) -> Counter:
    """A sample of each of two pools of other files."""
    found: Counter = Counter()
    for index in range(draws):
        rng = seeded("soundness", *key, index)
        i, j = (rng.permutation(len(side.sounds))[:FILES] for side in (reference, candidate))
        of_some = None if truth is None else (truth[0][i], truth[1][j])
        found.update(_found(reference.some(i), candidate.some(j), index, of_some))
    return found


# ------------------------------------------------------------------------------------------ few files


def _griffin_lim(rng: np.random.Generator) -> tuple[Signals, Signals, int, Truth]:
    return *known_pairs.PAIRS["speech / Griffin-Lim round trip"][2](SIDE, rng), None


def _tones(rng: np.random.Generator) -> tuple[Signals, Signals, int, Truth]:
    """Tones of a second, spread evenly over octaves, and others 5 % higher; an oracle is told the pitch."""
    hz = TONES[0] * (TONES[1] / TONES[0]) ** rng.uniform(size=(2, SIDE))
    hz[1] *= SHIFT
    time = np.arange(metrics.RATE) / metrics.RATE
    x, y = ([0.5 * np.sin(2 * np.pi * (f * time + rng.uniform())) for f in side] for side in hz)
    return x, y, metrics.RATE, (np.log2(hz[0]), np.log2(hz[1]))


def _mixtures(rng: np.random.Generator) -> tuple[Signals, Signals, int, Truth]:
    """Synthetic mixtures of every kind, and others 3 dB an octave brighter."""
    made = [synthetic.window(int(i), seed=77) for i in rng.choice(2**31, 2 * SIDE)]
    hz = np.maximum(np.fft.rfftfreq(len(made[0]), 1 / synthetic.RATE), 50)
    slope = (hz / 1000) ** (TILT / (20 * np.log10(2)))
    brighter = [np.fft.irfft(np.fft.rfft(signal) * slope, len(signal)) for signal in made[SIDE:]]
    return made[:SIDE], brighter, synthetic.RATE, None


TWO_DIGITS = "two digits 50/50 / 90/10"
FEW_FILES = {
    "speech / Griffin-Lim round trip": ("digits", _griffin_lim),
    "tones / 5 % higher": ("tones", _tones),
    "mixtures / tilted 3 dB per octave": ("synthetic mixtures", _mixtures),
}


def _few_files(name: str, draws: int) -> list[dict]:
    source, make = FEW_FILES[name]
    x, y, rate, truth = make(seeded("soundness", name))
    found = _of_two_sides(heard(x, rate), heard(y, rate), (name,), draws, truth)
    return [_row("few files", name, source, True, FILES, draws, found)]


def _two_digits(draws: int) -> list[dict]:
    """Which two digits is drawn each time; an oracle is told which of the two a file is."""
    one, other = FILES // 2, round(0.9 * FILES)
    truth = np.arange(FILES) >= one, np.arange(FILES) >= other
    found: Counter = Counter()
    for index in range(draws):
        x, y, rate = known_pairs.PAIRS[TWO_DIGITS][2](FILES, seeded("soundness", TWO_DIGITS, index))
        found.update(_found(heard(x, rate), heard(y, rate), index, truth))
    return [_row("few files", TWO_DIGITS, "digits", True, FILES, draws, found)]


# -------------------------------------------------------------------------------------------- classes


def _classes(name: str, files: int, draws: int) -> list[dict]:
    """Rows of one source, one a number of labels that are missing and a number of files."""
    known = sources.source(name, files)
    everything = heard(known.signals, known.rate)
    places = Rows(name, "place", {"clean": np.arange(files)}, known.labels, known.groups)
    label = np.unique(known.labels, return_inverse=True)[1]
    rows = []
    for size in SIZES:
        for count in MISSING:
            effect = f"{count} label{'s' if count > 1 else ''} dropped"
            found: Counter = Counter()
            for index in range(draws):
                x, y = draw(places, effect, size, seeded("soundness", name, effect, size, index))
                found.update(_found(everything.some(x), everything.some(y), index, (label[x], label[y])))
            what = f"{count} of {len(np.unique(label))} classes missing"
            rows.append(_row("classes", what, name, True, size, draws, found))
    return rows


# -------------------------------------------------------------------------------------------- further


MADE_ANEW = ("another take", "another time in one noisy room", "tuned to 440 / to 441 Hz")
DRAWN_FROM = {
    "speech": further_pairs.speech,
    "sounds": further_pairs.sounds,
    "instruments": further_pairs.instruments,
    "music": further_pairs.music,
}


def harmless_changes(source: str) -> tuple[str, ...]:
    """The further pairs that must not differ and are one change of a source's sounds."""
    return tuple(
        name
        for name, pair in further_pairs.PAIRS.items()
        if pair.source == source and not pair.must_differ and name not in MADE_ANEW
    )


def in_both_versions(name: str, files: int) -> tuple[Signals, Signals, int]:
    """So many files before and after the change of a pair, and their rate in Hz.

    A pair changes the second half of what it draws, and the generator draws that half again.
    """
    pair = further_pairs.PAIRS[name]

    def make(size: int, rng: np.random.Generator) -> tuple[Signals, Signals, int]:
        signals, rate = DRAWN_FROM[pair.source](2 * size, rng)
        return signals[:size], signals[size:], rate

    unchanged = further_pairs.Pair(pair.source, False, make)
    (_, before, _), (_, after, rate) = (
        dataclasses.replace(each, files=files).draw(seeded("soundness", "further", pair.source))
        for each in (unchanged, pair)
    )
    return before, after, rate


def _further_changes(source: str, files: int, draws: int) -> list[dict]:
    """Rows of one source, one a harmless change: the sounds before it are the same for all."""
    clean, rows = None, []
    for name in harmless_changes(source):
        before, after, rate = in_both_versions(name, files)
        clean = clean or heard(before, rate)
        found = _of_a_pool(clean, heard(after, rate), (name,), draws)
        rows.append(_row("further", name, source, False, FILES, draws, found))
    return rows


def _further_differences(name: str, draws: int) -> list[dict]:
    pair = further_pairs.PAIRS[name]
    x, y, rate = dataclasses.replace(pair, files=SIDE).draw(seeded("soundness", name))
    found = _of_two_sides(heard(x, rate), heard(y, rate), (name,), draws)
    return [_row("further", name, pair.source, True, FILES, draws, found)]


def _further_anew(name: str, draws: int) -> list[dict]:
    pair = further_pairs.PAIRS[name]
    found: Counter = Counter()
    for index in range(draws):
        x, y, rate = pair.draw(seeded("soundness", name, index))
        found.update(_found(heard(x, rate), heard(y, rate), index))
    return [_row("further", name, pair.source, False, pair.files, draws, found)]


# ------------------------------------------------------------------------------------------- the tests


def heard(signals: Signals, rate: int) -> Heard:
    """Describe and embed every signal once; the embeddings are those of ``level``."""
    signals = [np.asarray(signal, np.float32) for signal in signals]
    described = [metrics.describe_signal(signal, rate) for signal in signals]
    sounds = tuple(
        Sound(
            name="",
            content="",
            rate=rate,
            seconds=len(signal) / rate,
            sounding_seconds=each.sounding_seconds,
            level_db=each.level_db,
            vectors=each.vectors,
        )
        for signal, each in zip(signals, described, strict=True)
    )
    means = np.stack([each.vectors.mean(axis=0, dtype=np.float64) for each in described])
    rows = {"three_views": metrics.divided(means)}
    for name in level.EMBEDDINGS[1:]:
        embedding = embeddings.load(name)
        rows[name] = np.stack([embeddings.file_vector(embedding, signal, rate) for signal in signals])
    return Heard(sounds, rows)


def p_values(reference: Heard, candidate: Heard, *, seed: int, truth: Truth = None) -> dict[str, float]:
    """Test -> p, of ``compare``, of every rival and, where ``truth`` is known, of an oracle."""
    sides = [_description(side, number) for number, side in enumerate((reference, candidate))]
    compared = metrics.compare(*sides, permutations=incumbents.PERMUTATIONS, seed=seed)
    table = {COMPARE: compared.p_value}
    for name, rows in reference.rows.items():
        each = level.p_values(rows, candidate.rows[name], seed=seed)
        table |= {f"{name} / {test}": p for test, p in each.items()}
    if truth is not None:
        table[ORACLE] = _oracle(*truth, seed=seed)
    return table


def _oracle(reference: np.ndarray, candidate: np.ndarray, *, seed: int) -> float:
    if reference.dtype.kind == "f":
        return level.p_values(reference[:, None], candidate[:, None], seed=seed, tests=("energy",))["energy"]
    return level.oracle_p_value(reference, candidate, seed=seed)


def _description(side: Heard, number: int) -> Description:
    """Of files in their order, all different and none in both sets, so that all tests deal them alike."""
    named = tuple(
        dataclasses.replace(sound, name=f"{number} {i:04d}", content=f"{number} {i:04d}")
        for i, sound in enumerate(side.sounds)
    )
    return Description("drawn", min(named[0].rate, metrics.RATE), metrics.constants()[1], (), named)


def _found(reference: Heard, candidate: Heard, index: int, truth: Truth = None) -> dict[str, int]:
    each = p_values(reference, candidate, seed=index, truth=truth)
    return {test: int(p <= ALPHA) for test, p in each.items()}


def _row(
    group: str, pair: str, source: str, must_differ: bool, files: int, draws: int, found: Mapping[str, int]
) -> dict:
    return {
        "group": group,
        "pair": pair,
        "source": source,
        "files": files,
        "draws": draws,
        "must_differ": must_differ,
        "found": dict(found),
    }


def is_right(row: Mapping, test: str) -> bool:
    """Whether a test judges a row of the result as it must."""
    share = row["found"][test] / row["draws"]
    return share >= 0.5 if row["must_differ"] else share <= MOST_ALARMS


# ------------------------------------------------------------------------------------------ everything


def run(*, workers: int = -1, quick: bool = False, fresh: bool = False) -> dict:
    """Every pair, judged by every test; parts done before (same code) are read back.

    Returns ``rows``: a list with ``group``, ``pair``, ``source``, ``files`` a side, ``draws``,
    ``must_differ`` and ``found``, test -> draws with p of 5 % or less; ``false_wrong``, the chance that an
    exact test is wrong in a row that must not differ; ``alpha``, ``most_alarms``, ``permutations``. Raises
    MissingData without the recordings, MissingNetwork without the network of ``level``.
    """
    for name in level.EMBEDDINGS:
        embeddings.load(name)  # raises before the long part
    for name in DATA:
        datasets.files(name)
    contents = computed(_parts(quick=quick), "soundness", workers=workers, keep=not fresh)
    most = int(MOST_ALARMS * DRAWS[False])
    return {
        "alpha": ALPHA,
        "most_alarms": MOST_ALARMS,
        "permutations": incumbents.PERMUTATIONS,
        "false_wrong": float(scipy.stats.binom.sf(most, DRAWS[False], ALPHA)),
        "rows": [row for rows in contents.values() for row in rows],
    }


def summary(content: Mapping) -> str:
    """How many rows each test judges right, and which ``compare`` does not."""
    rows = content["rows"]
    tests = [test for test in rows[0]["found"] if test != ORACLE]
    lines = [f"{test:38} {sum(is_right(row, test) for row in rows):3} right of {len(rows)}" for test in tests]
    lines += [
        f"wrong: {row['pair']}, {row['source']}, N = {row['files']}: found {row['found'][COMPARE]} of "
        f"{row['draws']}"
        for row in rows
        if not is_right(row, COMPARE)
    ]
    return "\n".join(lines)


def _parts(*, quick: bool) -> dict[Key, Part]:
    """A source, or a pair, each."""
    pool, must, must_not = (50, 2, 2) if quick else (POOL, DRAWS[True], DRAWS[False])
    code = sources.code_stamp(
        arranged, datasets, embeddings, further_pairs, incumbents, known_pairs, level, sources
    )
    code += sources.code_stamp(draw, sys.modules[__name__])
    planned: dict[Key, tuple[Callable, tuple]] = {}
    for name, pair in further_pairs.PAIRS.items():
        if pair.must_differ:
            planned["further", name] = _further_differences, (name, must)
    for name in DRAWN_FROM:
        planned["further", name] = _further_changes, (name, pool, must_not)
    planned |= {("further", name): (_further_anew, (name, must_not)) for name in MADE_ANEW}
    planned |= {("harmless", name): (_harmless, (name, pool, must_not)) for name in POOLS}
    planned |= {("few files", name): (_few_files, (name, must)) for name in FEW_FILES}
    planned["few files", TWO_DIGITS] = _two_digits, (must,)
    planned |= {("classes", name): (_classes, (name, files, must)) for name, files in LABELLED.items()}
    if quick:
        quick_ones = ("digits", "speech", TWO_DIGITS, "one talker / two at once")
        planned = {key: part for key, part in planned.items() if key[1] in quick_ones}
    return {
        key: Part(function, arguments, [code, list(arguments)])
        for key, (function, arguments) in planned.items()
    }
