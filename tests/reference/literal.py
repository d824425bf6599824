"""The distance's statistics written out a second time, from the definition, and the pins made with them.

    python -m tests.reference.literal           # writes literal.json next to this file
    python -m tests.reference.literal --check   # writes nothing, fails if a number moved by 1e-9

float64, one loop for each sum, every rearrangement computed from its own two sets; nothing of the code
under test is imported. Audio is described by ``recipe`` beside this file. ``literal.json`` holds what
``measure`` gives for ``CASES``; the tests make the same sets and ask the code under test.

The order of things, which a p-value depends on and which therefore belongs to the recipe
    units     sorted by the digests of their sounds' contents, then 1 (reference), 3 (both), 2 (candidate)
              in the order 1, 2, 3, then the name. Digest: sha256 of the float32 mono samples and the rate.
    deals     numpy's ``default_rng(seed)``; for every rearrangement first one ``integers(0, 2, pairs)``, pair
              after pair in the order of their reference units (1: swapped), then one ``permutation`` of the
              units that are neither paired nor shared: place i gets the side of the unit drawn for it.
    all       every rearrangement once, in place of random ones, if there are at most ``permutations`` + 1.
"""

import hashlib
import itertools
import json
import math
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import scipy.stats

from . import recipe

PLACE = Path(__file__).with_suffix(".json")
CONSTANTS = Path(__file__).parents[2] / "audio_distance/constants.json"

VIEWS = {"envelope": 480, "attack": 120, "fine structure": 432}
RATE = 22050
RIDGE = 0.1  # of the mean variance
FLOOR = 0.1  # of the median standard deviation
TIE = 1e-6  # of a standard deviation over the rearrangements


# ---------------------------------------------------------------------------------------- sets and units


@dataclass
class Sound:
    name: str
    content: str
    windows: np.ndarray  # (windows, numbers) float32
    signal: np.ndarray | None = None


@dataclass
class Unit:
    content: tuple[str, ...]
    side: int  # 1 reference, 2 candidate, 3 both
    name: str
    sounds: list[Sound]
    partner: "Unit | None" = None

    def windows(self):
        """Every window with its weight: files weigh alike in a unit, windows alike in a file."""
        return [
            (row, 1 / (len(self.sounds) * len(sound.windows)))
            for sound in self.sounds
            for row in sound.windows.astype(float)
        ]


def units_of(reference, candidate, groups=None, paired=None):
    """Units of both sets in the recipe's order; ``groups`` is a pair of lists of labels."""
    sides = []
    for side, sounds in enumerate((reference, candidate)):
        named = {}
        for position, sound in enumerate(sounds):
            named.setdefault(groups[side][position] if groups else sound.name, []).append(sound)
        sides.append(
            [Unit(tuple(sorted(s.content for s in v)), side + 1, name, v) for name, v in named.items()]
        )
    counts = [Counter(unit.content for unit in side) for side in sides]
    both = counts[0] & counts[1]
    kept = []
    for side, found in enumerate(sides):
        left = Counter(both)
        for unit in found:
            if left[unit.content]:
                left[unit.content] -= 1
                if side == 1:
                    continue  # it is in the list already, as its copy of the reference
                unit.side = 3
            kept.append(unit)
    free = [{u.name: u for u in kept if u.side == side} for side in (1, 2)]
    matching = set(free[0]) & set(free[1])
    all_match = len(matching) == len(free[0]) == len(free[1])
    arrays = any(name.startswith("[") for side in free for name in side)
    if paired or (paired is None and (groups or (all_match and not arrays))):
        for name in matching:
            free[0][name].partner, free[1][name].partner = free[1][name], free[0][name]
    return sorted(kept, key=lambda u: (u.content, u.side, u.name))


# ------------------------------------------------------------------------------------------------- value


def rows_of(units, view):
    """The numbers that a view takes of every window, unit after unit."""
    return [view(row) for unit in units for row, _ in unit.windows()]


def distance_table(units, rows):
    """K[i][j]: |x - y|^(1/2) averaged over the windows of two units, each with itself left at 0."""
    waiting = iter(rows)
    weighed = [[(next(waiting), weight) for _, weight in unit.windows()] for unit in units]
    table = np.zeros((len(units), len(units)))
    for i, j in itertools.combinations(range(len(units)), 2):
        total = 0.0
        for x, a in weighed[i]:
            for y, b in weighed[j]:
                total += a * b * math.sqrt(math.sqrt(float((x - y) @ (x - y))))
        table[i, j] = table[j, i] = total
    return table


def energy(table, units, x, y):
    """2 mean K(x, y) - mean K(x, x') - mean K(y, y') over two lists of positions in ``units``."""
    across = [table[i, j] for i in x for j in y if i != j and units[i].partner is not units[j]]
    inside = [[table[i, j] for i in side for j in side if i != j] for side in (x, y)]
    return 2 * mean(across) - mean(inside[0]) - mean(inside[1])


def mean(numbers):
    return math.fsum(numbers) / len(numbers)


def sides(units):
    return [[i for i, u in enumerate(units) if u.side & side] for side in (1, 2)]


def own_divisors(rows, floor=FLOOR):
    """Divisor of each number: two random rows are about 1 apart."""
    rows = np.asarray(rows, float)
    spread = rows.std(axis=0)
    typical = np.median(spread[spread > 0]) if (spread > 0).any() else 1.0
    spread = np.sqrt(spread**2 + (floor * typical) ** 2)
    squares = [((a - b) / spread) @ ((a - b) / spread) for a, b in itertools.combinations(rows, 2)]
    return spread * math.sqrt(np.median(squares) or 1.0)


def slices():
    ends = np.cumsum(list(VIEWS.values()))
    return [slice(end - size, end) for end, size in zip(ends, VIEWS.values(), strict=True)]


def bundled_divisors():
    numbers = json.loads(CONSTANTS.read_text(encoding="utf-8"))["divisors"]
    return np.concatenate([numbers[name] for name in VIEWS])


def contributions(table, units, x, y):
    """What each candidate brings, so that their mean is the value.

    Its distances to the reference, weighed as they are in the cross term; minus those to the other
    candidates; minus the mean within the reference.
    """
    pairs = sum(1 for i in x for j in y if i != j and units[i].partner is not units[j])
    within = mean([table[i, j] for i in x for j in x if i != j])
    found = {}
    for j in y:
        across = math.fsum(table[i, j] for i in x if i != j and units[i].partner is not units[j])
        others = mean([table[j, k] for k in y if k != j])
        found[units[j].name] = 2 * across * len(y) / pairs - others - within
    return found


def band_shares(units, divisors):
    """Of each mel band in the envelope's value: |d|^(1/2) is divided as |d|^2 divides over the bands."""
    x, y = sides(units)
    rows = [[(row[:480] / divisors[:480], w) for row, w in unit.windows()] for unit in units]

    def shares(i, j):
        total = np.zeros(40)
        for a, u in rows[i]:
            for b, v in rows[j]:
                squares = ((a - b) ** 2).reshape(3, 4, 40).sum(axis=(0, 1))
                if squares.any():
                    total += u * v * squares / squares.sum() ** 0.75
        return total

    def over(pairs):
        return np.mean([shares(i, j) for i, j in pairs], axis=0)

    found = 2 * over([(i, j) for i in x for j in y if i != j and units[i].partner is not units[j]])
    for side in (x, y):
        found -= over(list(itertools.permutations(side, 2)))
    edges = recipe._hz(np.linspace(recipe._mel(30.0), recipe._mel(RATE / 2), 40 + 2))
    names = [f"{low:.0f}-{high:.0f} Hz" for low, high in zip(edges[:-2], edges[2:], strict=True)]
    return dict(zip(names, found.tolist(), strict=True))


# ---------------------------------------------------------------------------------------------- interval


@dataclass
class LeftOut:
    role: str
    name: str
    joint: bool  # in both sets, or left out together with its partner
    value: float


def leave_one_out(table, units):
    """The value without each unit in turn; a pair leaves together. None for fewer than 3 units a side."""
    x, y = sides(units)
    if min(len(x), len(y)) < 3:
        return None
    found = []
    for i, unit in enumerate(units):
        if unit.side == 2 and unit.partner:
            continue
        gone = {i} | {j for j, other in enumerate(units) if other is unit.partner}
        value = energy(table, units, [j for j in x if j not in gone], [j for j in y if j not in gone])
        role = "candidate" if unit.side == 2 else "reference"
        found.append(LeftOut(role, unit.name, unit.side == 3 or unit.partner is not None, value))
    return found


def jackknife(strata):
    """Standard error and degrees of freedom: (n - 1) / n times the sum of squares in each stratum."""
    parts = [
        ((len(s) - 1) / len(s) * math.fsum((v - mean(s)) ** 2 for v in s), len(s) - 1)
        for s in strata
        if len(s) > 1
    ]
    variance = math.fsum(part for part, _ in parts)
    squares = math.fsum(part**2 / freedom for part, freedom in parts)
    return math.sqrt(variance), variance**2 / squares if squares else 1.0


def interval(value, strata):
    error, freedom = jackknife(strata)
    half = float(scipy.stats.t.ppf(0.975, freedom)) * error
    return [value - half, value + half]


def by_stratum(left_out):
    strata = {}
    for one in left_out:
        strata.setdefault("joint" if one.joint else one.role, []).append(one.value)
    return list(strata.values())


def difference(first, second):
    """First minus second, as (value, interval, p) from two pairs of value and ``leave_one_out``.

    A unit that both hold (every one of the reference, candidates of one name) leaves both at once; strata
    are the reference, the candidates of both, those of the first alone and those of the second alone.
    """
    kept = [{(o.role, o.name): o.value - value for o in left_out} for value, left_out in (first, second)]
    strata = {}
    for key in {**kept[0], **kept[1]}:
        held = (key[0], key in kept[0], key in kept[1])
        strata.setdefault(held, []).append(kept[0].get(key, 0.0) - kept[1].get(key, 0.0))
    value = first[0] - second[0]
    error, freedom = jackknife(list(strata.values()))
    p = 2 * float(scipy.stats.t.sf(abs(value) / error, freedom)) if error else 1.0
    return value, interval(value, list(strata.values())), min(p, 1.0)


# -------------------------------------------------------------------------------------------------- test


def moments(rows, weights):
    centre = sum(w * row for w, row in zip(weights, rows, strict=True))
    return centre, sum(w * np.outer(row - centre, row - centre) for w, row in zip(weights, rows, strict=True))


def standardise(rows, weights):
    centre = sum(w * row for w, row in zip(weights, rows, strict=True))
    spread = np.sqrt(sum(w * (row - centre) ** 2 for w, row in zip(weights, rows, strict=True)))
    typical = np.median(spread[spread > 0]) if (spread > 0).any() else 1.0
    return [
        (row - centre) / np.sqrt(spread**2 + (FLOOR * typical) ** 2) / math.sqrt(2 * len(row)) for row in rows
    ]


def whiten(rows, weights):
    centre, covariance = moments(rows, weights)
    variance, axes = np.linalg.eigh(covariance)
    kept = variance > 1e-10 * max(variance.max(), 1e-300)
    if not kept.any():
        return [np.zeros(1) for _ in rows]
    variance, axes = variance[kept], axes[:, kept]
    damped = np.sqrt(variance + RIDGE * variance.mean())
    return [(row - centre) @ axes / damped / math.sqrt(2 * len(variance)) for row in rows]


def audible(bandwidth_rate):
    """Which of the 432 numbers of the fine structure lie in bands below half of ``bandwidth_rate``."""
    edges = recipe._hz(np.linspace(recipe._mel(30.0), recipe._mel(RATE / 2), 24 + 2))
    return np.array(
        [edges[band + 2] <= bandwidth_rate / 2 + 1e-6 for _ in range(3 * 6) for band in range(24)]
    )


def families(views, weights):
    """Three descriptions, each a list of views, each a list of windows.

    Standardised; whitened from the numbers as they are; whitened from standardised ones. The attack is
    linear in the envelope and never whitened; an own embedding is one view, and whitened.
    """
    standard = [standardise(view, weights) for view in views]
    white = [0] if len(views) == 1 else [0, 2]
    return [
        standard,
        [whiten(views[v], weights) for v in white],
        [whiten(standard[v], weights) for v in white],
    ]


def arrangements(units, permutations, seed):
    """Every (reference, candidate), the observed one first, and whether they are all there are."""
    pairs = [i for i, u in enumerate(units) if u.side == 1 and u.partner]
    partner = {i: next(j for j, u in enumerate(units) if u is units[i].partner) for i in pairs}
    free = [i for i, u in enumerate(units) if u.side != 3 and not u.partner]
    shared = [i for i, u in enumerate(units) if u.side == 3]
    mine = [i for i in free if units[i].side == 1]

    def deal(swaps, chosen):
        x = [partner[i] if s else i for i, s in zip(pairs, swaps, strict=True)] + list(chosen) + shared
        y = [i if s else partner[i] for i, s in zip(pairs, swaps, strict=True)]
        return x, y + [i for i in free if i not in chosen] + shared

    observed = deal([0] * len(pairs), mine)
    if 2 ** len(pairs) * math.comb(len(free), len(mine)) <= permutations + 1:
        every = [
            deal(swaps, chosen)
            for swaps in itertools.product((0, 1), repeat=len(pairs))
            for chosen in itertools.combinations(free, len(mine))
        ]
        return [observed] + [one for one in every if sorted(one[0]) != sorted(observed[0])], True
    rng = np.random.default_rng(seed)
    found = [observed]
    for _ in range(permutations):
        swaps = rng.integers(0, 2, len(pairs))
        drawn = rng.permutation(free)
        found.append(deal(swaps, [place for place, unit in zip(free, drawn, strict=True) if unit in mine]))
    return found, False


def permutation_test(units, views, scaled, deals, exact):
    """``views``, ``scaled``: functions from a window to its numbers, those of the test and of the value."""
    if len(deals) == 1:
        return dict(reached=1, of=1, smallest=1, exact=True, permutations=0, null_spread=0.0)
    weights = [weight / len(units) for unit in units for _, weight in unit.windows()]
    described = families([rows_of(units, view) for view in views], weights)
    studentised = []
    for family in described:
        table = sum(distance_table(units, view) for view in family) / len(family)
        values = np.array([energy(table, units, x, y) for x, y in deals])
        spread = values.std()
        studentised.append((values - values.mean()) / spread if spread > 1e-12 else np.zeros(len(values)))
    largest = np.max(studentised, axis=0)
    gaps = np.abs(largest - largest[0])
    clear = float(gaps[gaps > 1e-9].min(initial=np.inf))
    tops = int((largest >= largest.max() - TIE).sum())
    table = sum(distance_table(units, rows_of(units, view)) for view in scaled) / len(scaled)
    null = np.array([energy(table, units, x, y) for x, y in deals])
    return dict(
        reached=int((largest >= largest[0] - TIE).sum()),
        of=len(deals),
        smallest=2 if exact and tops >= 2 else 1,
        exact=exact,
        permutations=len(deals) if exact else len(deals) - 1,
        null_spread=float((null if exact else null[1:]).std()),
        clear=clear,
        leads=int(np.argmax([s[0] for s in studentised])),
    )


# ------------------------------------------------------------------------------------------------- cases


@dataclass
class Case:
    """Two sets and the options with which they are compared."""

    reference: list[Sound]
    candidate: list[Sound]
    rate: int = RATE  # of the signals, and the bandwidth of the vectors
    groups: tuple | None = None
    paired: bool | None = None
    permutations: int = 499
    seed: int = 0
    own: bool = False  # an own embedding in place of the three views
    options: dict = field(init=False)

    def __post_init__(self):
        self.options = dict(
            groups=self.groups, paired=self.paired, permutations=self.permutations, seed=self.seed
        )


def draw(random, count, *, windows=1, shift=0.0, spread=1.0, effect=None):
    """Sounds as vectors: a few directions in common, the rest on its own, offset by a constant."""
    divisors = bundled_divisors()
    sizes = np.concatenate([np.full(size, math.sqrt(2 * size)) for size in VIEWS.values()])
    loadings = np.random.RandomState(1000).normal(size=(6, len(divisors)))
    direction = np.random.RandomState(1001).normal(size=len(divisors))
    found = []
    for _ in range(count):
        rows = random.normal(size=6) @ loadings * 0.4 + spread * random.normal(size=len(divisors))
        rows = rows + shift * direction + (0 if effect is None else effect)
        rows = rows + 0.5 * random.normal(size=(1 + random.randint(windows), len(divisors)))
        found.append(np.float32((rows - 3) * divisors / sizes))
    return found


def vectors(seed, n, m, *, windows=1, names=None, shared=0, copies=0, **candidate):
    random = np.random.RandomState(seed)
    tables = [draw(random, n, windows=windows), draw(random, m, windows=windows, **candidate)]
    names = names or ([f"r{i:02d}.wav" for i in range(n)], [f"c{i:02d}.wav" for i in range(m)])
    digests = [f"{number:04x}" for number in random.permutation(n + m)]
    found = [
        [Sound(*row) for row in zip(labels, digests[start:], table, strict=False)]
        for labels, start, table in zip(names, (0, n), tables, strict=True)
    ]
    for i in range(shared):  # the same content and vectors, under the candidate's name
        found[1][i] = Sound(found[1][i].name, found[0][i].content, found[0][i].windows)
    for i in range(copies):  # once more in the reference
        found[0][-1 - i] = Sound(found[0][-1 - i].name, found[0][i].content, found[0][i].windows)
    return found


def digest(signal, rate):
    return hashlib.sha256(np.float32(signal).tobytes() + str(rate).encode()).hexdigest()


MARK = 0.25  # a signal whose first sample is MARK + i / 1024 stands for row i of the tables


def embedded(seed, n, m, numbers, *, windows=1, shift=0.5, constant=False):
    """Sets for an own embedding: signals that say which table they stand for."""
    random = np.random.RandomState(seed)
    found = [[], []]
    for i in range(n + m):
        rows = random.normal(size=(1 + random.randint(windows), numbers)) + random.normal(size=numbers)
        rows = np.float32(rows * np.arange(1, numbers + 1) + shift * (i >= n))
        if constant:
            rows[:, -1] = 1
        signal = np.full(400, 0.5, np.float32)
        signal[0] = MARK + i / 1024
        side = found[i >= n]
        side.append(Sound(f"[{len(side):0{len(str((n, m)[i >= n]))}d}]", digest(signal, RATE), rows, signal))
    return found


def windows_of(signal):
    if len(signal) < RATE:
        return [signal]
    count = math.ceil(len(signal) / RATE)
    starts = np.linspace(0, len(signal) - RATE, count).round().astype(int)
    return [signal[start : start + RATE] for start in starts]


def audio(seed, n, m, rate, seconds, tone=0.0):
    """Noises that decay, the candidate's a little darker or with a tone; described by ``recipe``."""
    random = np.random.RandomState(seed)
    found = []
    for side, count in enumerate((n, m)):
        sounds = []
        for _ in range(count):
            length = int((seconds[0] + (seconds[1] - seconds[0]) * random.uniform()) * rate)
            time = np.arange(length) / rate
            signal = random.normal(0, 0.05, length) * np.exp(-random.uniform(0, 3) * time)
            signal += random.uniform(0.02, 0.1) * np.sin(2 * np.pi * random.uniform(200, 900) * time)
            if side:
                signal = np.convolve(signal, [1, 0.25], "same")
                signal += tone * np.sin(2 * np.pi * 1500 * time)
            signal = np.float32(signal)
            rows = [np.concatenate(recipe.embed(w)) for w in windows_of(recipe.prepare(signal, rate))]
            sounds.append(Sound(f"[{len(sounds)}]", digest(signal, rate), np.array(rows), signal))
        found.append(sounds)
    return found


def alike(count):
    return [[f"{i:02d}.wav" for i in range(count)]] * 2


def above(bandwidth_rate, size):
    """Added to every number of the fine structure above a bandwidth, where the test must not look."""
    return np.concatenate([np.zeros(600), size * ~audible(bandwidth_rate)])


VECTOR_CASES = {
    "unpaired": lambda: Case(*vectors(1, 9, 8, shift=0.3)),
    "unpaired, another seed": lambda: Case(*vectors(1, 9, 8, shift=0.3), seed=7),
    "unpaired, spread": lambda: Case(*vectors(2, 8, 10, spread=1.15)),
    "several windows": lambda: Case(*vectors(3, 8, 7, windows=4, shift=0.4)),
    "broad": lambda: Case(*vectors(4, 8, 8, effect=0.25), permutations=299),
    "paired": lambda: Case(*vectors(5, 11, 11, names=alike(11), shift=0.3)),
    "paired, several windows": lambda: Case(*vectors(6, 10, 10, names=alike(10), windows=3, shift=0.3)),
    "names alike, not paired": lambda: Case(*vectors(7, 8, 8, names=alike(8), shift=0.3), paired=False),
    "all deals": lambda: Case(*vectors(8, 5, 4, shift=0.3), permutations=125),
    "one deal too many": lambda: Case(*vectors(8, 5, 4, shift=0.3), permutations=124),
    "all swaps": lambda: Case(*vectors(9, 7, 7, names=alike(7), shift=0.2), permutations=127),
    "one swap too many": lambda: Case(*vectors(9, 7, 7, names=alike(7), shift=0.2), permutations=126),
    "mirror images": lambda: Case(*vectors(10, 4, 4, shift=0.3), permutations=99),
    "three and four": lambda: Case(*vectors(22, 3, 4, shift=0.3), permutations=99),
    "three and two": lambda: Case(*vectors(11, 3, 2), permutations=99),
    "groups": lambda: Case(
        *vectors(12, 12, 11, windows=2, shift=0.3), groups=(list("aaabbccdefgh"), list("iijjjklmnop"))
    ),
    "groups, some in both": lambda: Case(
        *vectors(13, 13, 12, shift=0.3), groups=(list("aaabbccdefghi"), list("aabbbcjklmno"))
    ),
    "groups, some in both, not paired": lambda: Case(
        *vectors(13, 13, 12, shift=0.3),
        groups=(list("aaabbccdefghi"), list("aabbbcjklmno")),
        paired=False,
    ),
    "shared": lambda: Case(*vectors(14, 9, 8, shared=3, shift=0.3)),
    "shared, a copy more in the reference": lambda: Case(*vectors(21, 9, 8, shared=2, copies=1, shift=0.3)),
    "shared, all deals": lambda: Case(*vectors(15, 6, 6, shared=2, shift=0.3), permutations=99),
    "shared and paired": lambda: Case(*vectors(16, 12, 12, names=alike(12), shared=2, shift=0.3)),
    "the reference in the candidate": lambda: Case(*vectors(17, 4, 6, shared=4), permutations=99),
    "8 kHz": lambda: Case(*vectors(18, 8, 9, effect=above(8000, 0.5), shift=0.3), rate=8000),
    "16 kHz": lambda: Case(*vectors(19, 8, 8, effect=above(16000, 0.5), shift=0.3), rate=16000),
    # More windows than numbers of the fine structure in use: 216 of 432.
    "8 kHz, many windows": lambda: Case(*vectors(23, 9, 9, windows=30, shift=0.2), rate=8000),
    "8 kHz, another draw": lambda: Case(
        *vectors(20, 8, 8, effect=above(8000, 0.5), shift=0.2), rate=8000, seed=3
    ),
}
OWN_CASES = {
    "own embedding": lambda: Case(*embedded(30, 8, 9, 5), own=True),
    "own embedding, several windows": lambda: Case(*embedded(31, 8, 7, 12, windows=3), own=True),
    "own embedding, a number that never changes": lambda: Case(
        *embedded(32, 8, 8, 4, constant=True), own=True
    ),
    "own embedding, pairs by position": lambda: Case(*embedded(33, 10, 10, 3), own=True, paired=True),
}
AUDIO_CASES = {
    "audio at 22,050 Hz": lambda: Case(*audio(44, 8, 7, 22050, (0.3, 0.5)), permutations=199),
    "audio at 44,100 Hz, several windows": lambda: Case(
        *audio(53, 7, 6, 44100, (0.4, 2.4)), rate=44100, permutations=199
    ),
    "audio at 8,000 Hz": lambda: Case(*audio(45, 8, 8, 8000, (0.3, 0.5)), rate=8000, permutations=199),
}
CASES = {**VECTOR_CASES, **OWN_CASES, **AUDIO_CASES}


def candidates():
    """One reference and three candidates: two have names in common, the third none."""
    reference, near = vectors(50, 7, 6, names=([f"r{i}" for i in range(7)], list("abcdef")), shift=0.2)
    _, far = vectors(51, 7, 7, names=([f"r{i}" for i in range(7)], list("bcdefgh")), shift=0.6)
    _, other = vectors(52, 7, 5, names=([f"r{i}" for i in range(7)], list("vwxyz")), spread=1.3)
    for prefix, sounds in (("n", near), ("f", far), ("o", other)):
        for sound in sounds:
            sound.content = prefix + sound.content
    return reference, {"near": near, "far": far, "other": other}


def value_views(case):
    """Functions from a window to the numbers of the test and of the value, a list over views each."""
    if case.own:
        scale = own_divisors([row for sound in case.reference for row in sound.windows])
        return [lambda row: row], [lambda row: row / scale]
    divisors = bundled_divisors()
    used = [np.ones(480, bool), np.ones(120, bool), audible(case.rate)]
    return (
        [lambda row, s=s, u=u: row[s][u] for s, u in zip(slices(), used, strict=True)],
        [lambda row, s=s: row[s] / divisors[s] for s in slices()],
    )


def measure(case):
    """All that the comparison of a case is, in plain numbers."""
    units = units_of(case.reference, case.candidate, case.groups, case.paired)
    x, y = sides(units)
    views, scaled = value_views(case)
    tables = [distance_table(units, rows_of(units, view)) for view in scaled]
    table = sum(tables) / len(tables)
    value = energy(table, units, x, y)
    left_out = leave_one_out(table, units)
    return {
        "value": value,
        "views": [energy(one, units, x, y) for one in tables],
        "interval": interval(value, by_stratum(left_out)) if left_out else None,
        "units": contributions(table, units, x, y),
        "bands": {} if case.own else band_shares(units, bundled_divisors()),
        "counts": [
            len(x),
            len(y),
            sum(u.side == 3 for u in units),
            sum(u.partner is not None for u in units) // 2,
        ],
        **permutation_test(units, views, scaled, *arrangements(units, case.permutations, case.seed)),
    }


def differences():
    reference, others = candidates()
    sides_of = {}
    for name, sounds in others.items():
        case = Case(reference, sounds)
        units = units_of(reference, sounds)
        table = sum(distance_table(units, rows_of(units, view)) for view in value_views(case)[1]) / 3
        sides_of[name] = energy(table, units, *sides(units)), leave_one_out(table, units)
    return {f"{a} - {b}": difference(sides_of[a], sides_of[b]) for a, b in itertools.permutations(others, 2)}


def make():
    pins = {"cases": {name: measure(case()) for name, case in CASES.items()}, "differences": differences()}
    # A p-value is pinned as a count, so no rearrangement may be so near the observed one that another
    # processor's rounding moves it over: 1e-6 of a statistic from given vectors, 5e-3 from audio in float32.
    for name, case in pins["cases"].items():
        least = 5e-3 if name in AUDIO_CASES else 1e-5
        if case.pop("clear", math.inf) < least:
            sys.exit(f"{name}: a rearrangement nearly ties with the observed one; take another seed")
    # Every family decides somewhere, or a mistake in it could pass.
    leading = Counter(case.pop("leads", None) for case in pins["cases"].values())
    if not all(leading[family] >= 3 for family in range(3)):
        sys.exit(f"the families lead {dict(leading)} times; each has to lead in three cases")
    return pins


def moved(old, new, path=""):
    """Every place where two pin files disagree."""
    if isinstance(new, dict):
        keys = sorted({*old, *new})
        return [line for key in keys for line in moved(old.get(key), new.get(key), f"{path}/{key}")]
    if isinstance(new, (list, tuple)) and isinstance(old, (list, tuple)) and len(old) == len(new):
        return [
            line for i, (a, b) in enumerate(zip(old, new, strict=True)) for line in moved(a, b, f"{path}/{i}")
        ]
    same = abs(old - new) <= 1e-9 if type(old) is type(new) is float else old == new
    return [] if same else [f"{path}: {old} -> {new}"]


def main(arguments):
    pins = make()
    if arguments == ["--check"]:
        sys.exit("\n".join(moved(json.loads(PLACE.read_text(encoding="utf-8")), pins)) or 0)
    PLACE.write_text(json.dumps(pins, indent=1, allow_nan=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
