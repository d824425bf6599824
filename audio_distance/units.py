"""Units, the draws of a set: files or groups of files, matched by name, shared by content.

Conventions
    unit       what is drawn: a file, or with ``groups`` a group of files (a speaker, a song). Windows of one
               file and files of one group are not draws: they weigh 1 together.
    member     1 of the reference, 2 of the candidate, 3 of both (a unit whose content is in both sets).
    partner    the unit of the other set that is the same thing twice, such as a recording and its copy.
    order      units are sorted by content, and so are the files of a unit: no result depends on names or on
               the order of the files.
    block      units that are all compared with each other. Large sets are dealt to several, at random.
    part       windows that are all compared with each other; every unit of a block has some in each.
"""

from __future__ import annotations

import itertools
import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import EllipsisType
from typing import Any, TypeVar, cast, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audio_distance.description import Sound, SoundSet
from audio_distance.errors import AudioError
from audio_distance.features import WINDOW_SECONDS, divisors

BLOCK_UNITS = 2048  # of both sets that are all compared with each other
BLOCK_LEAST = 200  # of the smaller set in each block
PART_WINDOWS = 4096  # that are all compared with each other
HELD_WINDOWS = (
    2**15
)  # of a pool, at most, that are copied to one array: 225 MiB of the three views and texture

Sum = TypeVar("Sum", float, NDArray[np.float64])


class Rows:
    """Windows of many sounds, as rows of one array that is not made: only what is asked for is copied.

    The array would take as much memory again as the sounds do, and all of it where they lie in a mapped file.
    As of an array, ``[..., columns]`` is a view and ``[rows]`` a copy.
    """

    def __init__(self, parts: Sequence[NDArray[Any]]) -> None:
        self._parts = tuple(parts)
        self._starts = np.cumsum([0, *map(len, self._parts)])
        self._rows: NDArray[np.int_] | None = None  # of all rows those that are in the view; None for all
        self._columns = slice(0, self._parts[0].shape[1])

    @property
    def shape(self) -> tuple[int, int]:
        rows = int(self._starts[-1]) if self._rows is None else len(self._rows)
        return rows, self._columns.stop - self._columns.start

    def __len__(self) -> int:
        return self.shape[0]

    @overload
    def __getitem__(self, key: NDArray[np.int_]) -> NDArray[np.float32]: ...

    @overload
    def __getitem__(self, key: tuple[EllipsisType, slice]) -> Rows: ...

    def __getitem__(self, key: NDArray[np.int_] | tuple[EllipsisType, slice]) -> NDArray[np.float32] | Rows:
        """Of rows, ascending, (rows,): (rows, numbers) float32. Of ``..., slice``: these columns alone."""
        if isinstance(key, tuple):
            view = copy(self)
            chosen = range(self._columns.start, self._columns.stop)[key[1]]
            view._columns = slice(chosen.start, chosen.stop)
            return view
        result = np.empty((len(key), self.shape[1]), np.float32)
        rows = key if self._rows is None else self._rows[key]
        owner = np.searchsorted(self._starts, rows, side="right") - 1
        parts, firsts = np.unique(owner, return_index=True)
        for part, first, last in zip(parts, firsts, np.append(firsts, len(rows))[1:], strict=True):
            columns = self._parts[part][:, self._columns]
            result[first:last] = columns[rows[first:last] - self._starts[part]]
        return result

    def only(self, rows: NDArray[np.int_]) -> Rows:
        """A view of some rows, ascending, (rows,)."""
        view = copy(self)
        view._rows = rows if self._rows is None else self._rows[rows]
        return view


def windows_of(vectors: NDArray[np.float32], rows: NDArray[np.int_]) -> NDArray[np.float32]:
    """Some ``rows`` of a pool's vectors, ascending: a copy, or of ``Rows`` a view if they are too many."""
    if isinstance(vectors, Rows) and len(rows) > HELD_WINDOWS:
        return cast("NDArray[np.float32]", vectors.only(rows))
    return vectors[rows]


@dataclass(frozen=True)
class Pool:
    """All units of both sets, windows stacked unit after unit.

    Attributes
    ----------
    vectors : (windows, numbers) float32
        As described, not divided yet. ``Rows``, which has what is used of an array here, where there are
        more units than a block holds, or more than ``HELD_WINDOWS``.
    starts : (units,) int
        First window of each unit.
    weights : (windows,)
        They sum to 1 within a unit: files alike within a group, windows alike within a file.
    files : (windows,) int
        Which file a window is of, counted through all units, ascending.
    members : (units,) int
        1 for reference, 2 for candidate, 3 for both.
    partner : (units,) int
        The matched unit of the other set, or -1.
    names : (units,)
    levels : (units,)
        In dB relative to full scale.
    sounding : (units,)
        Seconds that sound, mean over the files; of each no more than the 1 s of a window, above which its
        length changes nothing of what a window is.
    pairing : str
        A sentence on names that match and are no pair, or on units whose partner is missing; often none.
    scores : (units,), optional
        Predicted quality, mean over the files; None unless it was asked for.
    """

    vectors: NDArray[np.float32]
    starts: NDArray[np.int_]
    weights: NDArray[np.float64]
    files: NDArray[np.int_]
    members: NDArray[np.int_]
    partner: NDArray[np.int_]
    names: tuple[str, ...]
    levels: NDArray[np.float64]
    sounding: NDArray[np.float64]
    pairing: str = ""
    scores: NDArray[np.float64] | None = None

    @property
    def size(self) -> int:
        return len(self.starts)

    @property
    def counts(self) -> NDArray[np.int_]:
        """Windows of each unit."""
        return np.diff(np.append(self.starts, len(self.vectors)))

    @property
    def in_reference(self) -> NDArray[np.bool_]:
        return (self.members & 1) > 0

    @property
    def in_candidate(self) -> NDArray[np.bool_]:
        return (self.members & 2) > 0


@dataclass(frozen=True)
class PairCounts:
    """How many pairs enter each mean: of units of each side, and of cross pairs that are left out."""

    reference: int
    candidate: int
    matched: int

    def value(self, within_reference: Sum, across: Sum, within_candidate: Sum) -> Sum:
        """Energy distance from sums of the kernel over ordered pairs (any array shape)::

        2 mean K(x, y) - mean K(x, x') - mean K(y, y')
        """
        n, m = self.reference, self.candidate
        return (
            2 * across / (n * m - self.matched)
            - within_reference / (n * (n - 1))
            - within_candidate / (m * (m - 1))
        )


def pair_counts(pool: Pool) -> PairCounts:
    """Of a pool: a unit in both sets and a matched pair take one pair each out of the cross term."""
    shared = int((pool.members == 3).sum())
    pairs = int((pool.partner >= 0).sum()) // 2
    return PairCounts(int(pool.in_reference.sum()), int(pool.in_candidate.sum()), shared + pairs)


def taken(pool: Pool, units: NDArray[np.int_]) -> Pool:
    """Some ``units`` (ascending, a unit with its partner or neither) as a pool of their own."""
    if len(units) == pool.size and (isinstance(pool.vectors, np.ndarray) or len(pool.vectors) > HELD_WINDOWS):
        return pool
    counts = pool.counts[units]
    rows = np.repeat(pool.starts[units] - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
    place = np.full(pool.size + 1, -1)  # the last for units without a partner
    place[units] = np.arange(len(units))
    return replace(
        pool,
        vectors=windows_of(pool.vectors, rows),
        starts=np.cumsum(counts) - counts,
        weights=pool.weights[rows],
        files=np.unique(pool.files[rows], return_inverse=True)[1],
        members=pool.members[units],
        partner=place[pool.partner[units]],
        names=tuple(pool.names[unit] for unit in units),
        levels=pool.levels[units],
        sounding=pool.sounding[units],
        scores=None if pool.scores is None else pool.scores[units],
    )


def block_units(pool: Pool) -> list[NDArray[np.int_]]:
    """The units of each block, ascending: all of them once in one block, if there are no more than 2048.

    More are dealt evenly, set by set, to blocks of at most ``BLOCK_UNITS``: units are in the order of their
    contents' digests, so dealing one after another is a random choice, the same on every run. A block is a
    small comparison of its own, and what is found is the mean over the blocks: as unbiased, because pairs of
    units are left out without looking at them; a test, because units change places within a block only.
    Memory is that of one block, and time grows with the units and not with their square. (Every block has as
    many units of each kind: paired, in both sets, in one. Where there are several kinds, pairs of units of
    different kinds are therefore met a little too often, by a share of about 1 / ``BLOCK_UNITS``.)

    What it costs: a value from all pairs has the variance s / N + t / N^2 (Hoeffding), one from blocks
    of B the variance s / N + t / (N B). Where sets differ, the first term is all that counts; of what the
    second term has grown by, ``control_variate`` takes most off the value.

    With a much smaller set on one side the other is thinned: each block has at least ``BLOCK_LEAST`` units
    of the smaller set, and as many of the larger one as it holds. 200 against 1848 instead of against any
    number have a spread that is 5 % larger at most.
    """
    if pool.size <= BLOCK_UNITS:
        return [np.arange(pool.size)]
    smaller = min(int(pool.in_reference.sum()), int(pool.in_candidate.sum()))
    count = max(1, min(math.ceil(pool.size / BLOCK_UNITS), smaller // BLOCK_LEAST))
    firsts = np.flatnonzero((pool.partner < 0) | (pool.members == 1))  # a pair is dealt as one
    block = np.zeros(pool.size, int)
    for kind in ((1, False), (2, False), (3, False), (1, True)):
        dealt = firsts[(pool.members[firsts] == kind[0]) & ((pool.partner[firsts] >= 0) == kind[1])]
        block[dealt] = np.arange(len(dealt)) % count
    paired = firsts[pool.partner[firsts] >= 0]
    block[pool.partner[paired]] = block[paired]
    blocks = [np.flatnonzero(block == number) for number in range(count)]
    # Where all are dealt, what each kind leaves over may be a few units more in the first blocks.
    return blocks if count * BLOCK_UNITS >= pool.size else [_thinned(units, pool) for units in blocks]


def block_shares(pool: Pool, blocks: Sequence[NDArray[np.int_]]) -> list[float]:
    """With what share each block counts: that of its candidate units. They sum to 1."""
    counts = np.array([pool.in_candidate[units].sum() for units in blocks])
    shares: list[float] = (counts / counts.sum()).tolist()
    return shares


def _thinned(units: NDArray[np.int_], pool: Pool) -> NDArray[np.int_]:
    """No more than ``BLOCK_UNITS`` where those that belong to the larger set alone can be left out."""
    excess = len(units) - BLOCK_UNITS
    members = pool.members[units]
    larger = 1 if (members == 1).sum() > (members == 2).sum() else 2
    alone = np.flatnonzero((members == larger) & (pool.partner[units] < 0))
    kept = max(len(alone) - max(0, excess), min(len(alone), BLOCK_LEAST))
    return np.delete(units, alone[kept:])


def window_parts(pool: Pool, most: int = PART_WINDOWS) -> list[tuple[NDArray[np.int_], NDArray[np.float64]]]:
    """Rows and weights of parts of about ``most`` windows each: every unit in every part.

    The mean of a kernel over all pairs of windows of two units is estimated without bias by the mean over
    the parts, each with all pairs of the windows that it has: files of a group with fewer files than parts
    have each some of their windows in every part, and of a group with more files some files are in each.
    Which is random, by the place of the unit in the order of contents.

    Returns
    -------
    list of (rows, weights): the windows, ascending, and weights that sum to 1 within a unit. One part with
    everything if there are no more than ``most`` windows.
    """
    total = len(pool.vectors)
    count = math.ceil(total / most)
    if count <= 1 or total == pool.size:
        return [(np.arange(total), pool.weights)]
    rng = np.random.default_rng(0)
    owner = np.repeat(np.arange(pool.size), pool.counts)
    file_starts = np.flatnonzero(np.diff(pool.files, prepend=-1))
    file_counts = np.diff(np.append(file_starts, total))
    files_of = np.bincount(owner[file_starts], minlength=pool.size)
    chosen: list[list[NDArray[np.int_]]] = [[] for _ in range(count)]
    first = 0
    for files in files_of.tolist():
        mine = range(first, first + files)
        first += files
        if files >= count:
            for part, file in zip(itertools.cycle(range(count)), rng.permutation(mine).tolist()):
                chosen[part].append(np.arange(file_starts[file], file_starts[file] + file_counts[file]))
            continue
        for file in mine:
            order = file_starts[file] + rng.permutation(file_counts[file])
            for part in range(count):
                chosen[part].append(order[part::count] if len(order) >= count else order[[part % len(order)]])
    return [_part(np.sort(np.concatenate(rows)), owner, pool.files) for rows in chosen]


def _part(
    rows: NDArray[np.int_], owner: NDArray[np.int_], files: NDArray[np.int_]
) -> tuple[NDArray[np.int_], NDArray[np.float64]]:
    """Rows with their weights: files of a unit alike, windows of a file alike."""
    starts, counts = np.unique(files[rows], return_index=True, return_counts=True)[1:]
    of_unit = np.bincount(owner[rows[starts]], minlength=owner[-1] + 1)
    return rows, np.repeat(1 / (counts * of_unit[owner[rows[starts]]]), counts)


def pool_of_vectors(
    reference: ArrayLike, candidate: ArrayLike, *, paired: bool = False, groups: ArrayLike | None = None
) -> Pool:
    """A pool of files of one vector each, for who has vectors and no sounds.

    ``reference`` is (n, numbers), ``candidate`` (m, numbers). ``paired``: they are matched row by row.
    ``groups``, (n + m,) labels, makes the group the unit (one is never in both sets); not with ``paired``.
    """
    x, y = np.asarray(reference), np.asarray(candidate)
    vectors = np.concatenate([x, y])
    labels = np.arange(len(vectors)) if groups is None else np.asarray(groups)
    order = np.argsort(labels, kind="stable")
    _, starts, counts = np.unique(labels[order], return_index=True, return_counts=True)
    partner = np.full(len(starts), -1)
    if paired:
        partner = np.concatenate([np.arange(len(x)) + len(x), np.arange(len(x))])
    return Pool(
        vectors=vectors[order],
        starts=starts,
        weights=np.repeat(1 / counts, counts),
        files=np.arange(len(vectors)),
        members=np.where(order[starts] < len(x), 1, 2),
        partner=partner,
        names=tuple(f"{i:05d}" for i in range(len(starts))),
        levels=np.zeros(len(starts)),
        sounding=np.full(len(starts), WINDOW_SECONDS),
    )


def _group_function(groups: Any, role: str, sounds: int) -> Callable[[str, int], str] | None:
    """From a sound's name and position to its group."""
    if groups is None:
        return None
    if isinstance(groups, tuple) and len(groups) == 2:
        groups = groups[role != "reference"]
    if callable(groups):
        return lambda name, _: str(groups(name))
    if isinstance(groups, str):
        if groups == "folder":
            return lambda name, _: Path(name).parent.as_posix()
        pattern = re.compile(groups)

        def searched(name: str, _: int) -> str:
            match = pattern.search(name)
            if match is None or (pattern.groups and match.group(1) is None):
                raise AudioError(f"groups: the pattern {groups!r} does not match {name!r} of the {role}")
            return str(match.group(1) if pattern.groups else match.group(0))

        return searched
    if isinstance(groups, Mapping):

        def looked_up(name: str, _: int) -> str:
            for key in (name, Path(name).name):
                if key in groups:
                    return str(groups[key])
            raise AudioError(f"groups: no group is given for {name!r} of the {role}")

        return looked_up
    labels = [str(label) for label in groups]
    if len(labels) != sounds:
        raise AudioError(
            f"groups: {len(labels)} labels for the {sounds} sounds of the {role}; one each is needed "
            "(where files are skipped, give a mapping from name to group)"
        )
    return lambda _, position: labels[position]


def _units(loaded: SoundSet, role: str, groups: Any) -> dict[str, list[Sound]]:
    """Unit name -> its sounds."""
    group_of = _group_function(groups, role, len(loaded.sounds))
    units: dict[str, list[Sound]] = defaultdict(list)
    for position, sound in enumerate(loaded.sounds):
        units[sound.name if group_of is None else group_of(sound.name, position)].append(sound)
    if len(units) < 2:
        raise AudioError(
            f"{role}: groups put all {len(loaded.sounds)} sounds into one, and the group is the "
            "draw: at least 2 groups a set are needed"
        )
    return units


def pair_key(name: str) -> str:
    """What two versions of one file have in common: extensions differ, and so do ways to write an accent.

    macOS gives names decomposed (NFD) and others composed (NFC); people see the same name.
    """
    return _composed(Path(name).with_suffix("").as_posix())


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


@dataclass(frozen=True, order=True)
class _Unit:
    """One draw, and where it belongs; ordered by content, then by what tells equal contents apart."""

    content: tuple[str, ...]
    member: int
    name: str
    sounds: tuple[Sound, ...] = field(compare=False)


def make_pool(
    reference: SoundSet, candidate: SoundSet, *, groups: Any = None, paired: bool | None = None
) -> tuple[Pool, bool, int]:
    """The units of both sets, in an order that depends on their content only.

    A unit whose content is in both sets is one draw: it enters once, as a member of both.

    Parameters
    ----------
    groups, paired
        As in ``compare``.

    Returns
    -------
    pool, whether there are pairs in it, number of units in both sets.

    Raises
    ------
    AudioError
        Groups that leave a sound without one or make fewer than two; pairs that are demanded and not there.
    """
    sides = [_units(reference, "reference", groups), _units(candidate, "candidate", groups)]
    units = _sorted_units(*sides)
    pairs, pairing = _pairs(units, reference, candidate, groups=groups, paired=paired)
    index_of = {(unit.member, unit.name): i for i, unit in enumerate(units)}
    partner = np.full(len(units), -1)
    for one, other in pairs:
        a, b = index_of[1, one], index_of[2, other]
        partner[a], partner[b] = b, a
    sounds = [sound for unit in units for sound in unit.sounds]
    windows = np.array([len(sound.vectors) for sound in sounds])
    files = np.array([len(unit.sounds) for unit in units])
    pool = Pool(
        vectors=_stacked([sound.vectors for sound in sounds], len(units)),
        starts=(np.cumsum(windows) - windows)[np.cumsum(files) - files],
        weights=np.repeat(1 / (windows * np.repeat(files, files)), windows),
        files=np.repeat(np.arange(len(sounds)), windows),
        members=np.array([unit.member for unit in units]),
        partner=partner,
        names=tuple(unit.name for unit in units),
        levels=np.array([np.mean([sound.level_db for sound in unit.sounds]) for unit in units]),
        sounding=np.array(
            [np.mean([min(s.sounding_seconds, WINDOW_SECONDS) for s in unit.sounds]) for unit in units]
        ),
        pairing=pairing,
        scores=_scores(units),
    )
    return pool, bool(pairs), sum(unit.member == 3 for unit in units)


def _scores(units: Sequence[_Unit]) -> NDArray[np.float64] | None:
    """Predicted quality of each unit, mean over its files; None where sounds have none."""
    scores = [[sound.quality for sound in unit.sounds if sound.quality is not None] for unit in units]
    if any(len(known) < len(unit.sounds) for known, unit in zip(scores, units, strict=True)):
        return None
    return np.array([np.mean(known) for known in scores])


def _stacked(parts: Sequence[NDArray[Any]], units: int) -> NDArray[np.float32]:
    if units <= BLOCK_UNITS and sum(map(len, parts)) <= HELD_WINDOWS:
        return np.concatenate(parts).astype(np.float32, copy=False)
    return cast("NDArray[np.float32]", Rows(parts))  # as far as a pool uses an array


def _sorted_units(reference: Mapping[str, list[Sound]], candidate: Mapping[str, list[Sound]]) -> list[_Unit]:
    """Every unit once; what has the same content in both sets is a member of both, under its first name."""
    contents = [
        {name: tuple(sorted(sound.content for sound in sounds)) for name, sounds in side.items()}
        for side in (reference, candidate)
    ]
    shared = Counter(contents[0].values()) & Counter(contents[1].values())
    units = []
    for member, side, content_of in ((1, reference, contents[0]), (2, candidate, contents[1])):
        remaining = shared.copy()  # copies within a set: as many are shared as both sets hold
        for name, content in content_of.items():
            sounds = tuple(sorted(side[name], key=lambda sound: sound.content))
            if remaining[content] == 0:
                units.append(_Unit(content, member, name, sounds))
                continue
            remaining[content] -= 1
            if member == 1:
                units.append(_Unit(content, 3, name, sounds))
    return sorted(units)


def _pairs(
    units: list[_Unit], reference: SoundSet, candidate: SoundSet, *, groups: Any, paired: bool | None
) -> tuple[list[tuple[str, str]], str]:
    """Names, (reference, candidate), of units that are two versions of one thing; a sentence on the others.

    Files are paired if all names match, groups each if theirs does, arrays (which have no names of their own)
    by position and only on demand. On demand, too, what has lost its partner, because that could not be read,
    takes part in no pair; every other name without a partner is an error.
    """
    left = [[unit.name for unit in units if unit.member == member] for member in (1, 2)]
    in_memory = [
        groups is None and all(_IN_MEMORY.fullmatch(sound.name) for sound in side.sounds)
        for side in (reference, candidate)
    ]
    if paired is False or (paired is None and any(in_memory)) or not any(left):
        return [], ""
    if paired is True and groups is None:
        _refuse_unlike(in_memory, reference, candidate)
    key_of = pair_key if groups is None else _composed
    keys = [{key_of(name): name for name in names} for names in left]
    common = sorted(set(keys[0]) & set(keys[1]))
    pairs = [(keys[0][key], keys[1][key]) for key in common]
    if (common and len(common) == len(left[0]) == len(left[1])) or (groups is not None and paired is None):
        return pairs, ""
    odd = [sorted(set(keys[i]) - set(common)) for i in (0, 1)]
    lost = [{pair_key(line.partition(": ")[0]) for line in side.skipped} for side in (candidate, reference)]
    alone = [[keys[i][key] for key in odd[i] if key in lost[i]] for i in (0, 1)]
    strays = [[keys[i][key] for key in odd[i] if key not in lost[i]] for i in (0, 1)]
    double = [sorted({name for name in left[i] if keys[i][key_of(name)] != name}) for i in (0, 1)]
    unit = "files" if groups is None else "groups"
    rest = "; ".join(
        f"{len(names)} {unit} of the {role} {what}, the first: {names[0]!r}"
        for what, of_both in (
            ("whose partner was left out", alone),
            ("without a partner", strays),
            ("under a name that is used twice", double),
        )
        for role, names in zip(("reference", "candidate"), of_both, strict=True)
        if names
    )
    demandable = bool(common) and not any([*strays, *double])
    if paired is True:
        if demandable:
            return pairs, f"in no pair: {rest}"
        raise AudioError(
            f"paired: {len(common)} names match, {sum(map(len, odd))} do not ({rest}); "
            "pairs need the same names below both folders (extensions may differ)"
        )
    if 2 * len(common) < max(1, min(map(len, left))):
        return [], ""  # hardly meant to match
    way = "paired=True pairs the others" if demandable else "for pairs, all must"
    return [], f"not compared in pairs, though {len(common)} names match ({way}): {rest}"


_IN_MEMORY = re.compile(r"\[\d+\]")  # a position for a name


def _refuse_unlike(in_memory: Sequence[bool], reference: SoundSet, candidate: SoundSet) -> None:
    """Sets that cannot be paired on demand, whatever their names are."""
    if in_memory[0] != in_memory[1]:
        kinds = ["sounds in memory" if held else "files" for held in in_memory]
        raise AudioError(
            f"paired: the reference has {kinds[0]} and the candidate {kinds[1]}, and only files have names; "
            "give both as one or the other"
        )
    sizes = [len(side.sounds) + len(side.skipped) for side in (reference, candidate)]
    if in_memory[0] and sizes[0] != sizes[1]:
        raise AudioError(
            f"paired: {sizes[0]} reference and {sizes[1]} candidate arrays; pairs need as many of both, in "
            "one order"
        )


def own_scale(loaded: SoundSet) -> NDArray[np.float64]:
    """Divisors of a caller's embedding, from its spread over the windows of the reference."""
    return divisors(np.concatenate([sound.vectors for sound in loaded.sounds]))
