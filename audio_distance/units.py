"""Units, the draws of a set: files or groups of files, matched by name, shared by content."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audio_distance.audio import AudioError
from audio_distance.description import Sound, SoundSet
from audio_distance.features import VIEWS, constants, divisors


@dataclass(frozen=True)
class Pool:
    """All units of both sets, windows stacked unit after unit.

    ``members`` is 1 for reference, 2 for candidate, 3 for a unit that is in both; ``partner[i]`` is the
    matched unit of the other set or -1; ``weights`` (windows,) sum to 1 within a unit.
    """

    vectors: np.ndarray
    starts: np.ndarray
    weights: np.ndarray
    members: np.ndarray
    partner: np.ndarray
    names: tuple[str, ...]
    levels: np.ndarray

    @property
    def size(self) -> int:
        return len(self.starts)


@dataclass(frozen=True)
class PairCounts:
    """How many pairs enter each mean."""

    reference: int
    candidate: int
    matched: int

    def value(self, within_reference, across, within_candidate):
        """Energy distance from sums over ordered pairs (any array shape)."""
        n, m = self.reference, self.candidate
        return (
            2 * across / (n * m - self.matched)
            - within_reference / (n * (n - 1))
            - within_candidate / (m * (m - 1))
        )


def pair_counts(pool: Pool) -> PairCounts:
    shared = int((pool.members == 3).sum())
    pairs = int((pool.partner >= 0).sum()) // 2
    return PairCounts(int((pool.members & 1 > 0).sum()), int((pool.members & 2 > 0).sum()), shared + pairs)


def _group_function(groups, role: str, sounds: int) -> Callable[[str, int], str] | None:
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

        def searched(name, _):
            match = pattern.search(name)
            if match is None or (pattern.groups and match.group(1) is None):
                raise AudioError(f"groups: the pattern {groups!r} does not match {name!r} of the {role}")
            return match.group(1) if pattern.groups else match.group(0)

        return searched
    if isinstance(groups, Mapping):

        def looked_up(name, _):
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


def _units(loaded: SoundSet, role: str, groups) -> dict[str, list[Sound]]:
    """Unit name -> its sounds."""
    group_of = _group_function(groups, role, len(loaded.sounds))
    units = defaultdict(list)
    for position, sound in enumerate(loaded.sounds):
        units[sound.name if group_of is None else group_of(sound.name, position)].append(sound)
    if len(units) < 2:
        raise AudioError(
            f"{role}: groups put all {len(loaded.sounds)} sounds into one, and the group is the "
            "draw: at least 2 groups a set are needed"
        )
    return units


def _pair_key(name: str) -> str:
    return Path(name).with_suffix("").as_posix()


def make_pool(
    reference: SoundSet, candidate: SoundSet, *, groups, paired: bool | None
) -> tuple[Pool, bool, int]:
    """Units of both sets in one order that depends on their content only; pairs; number of shared units.

    A unit whose content is in both sets is one draw: it enters once, as a member of both.
    """
    sides = [_units(reference, "reference", groups), _units(candidate, "candidate", groups)]
    contents = [
        {name: tuple(sorted(sound.content for sound in sounds)) for name, sounds in side.items()}
        for side in sides
    ]
    shared = Counter(contents[0].values()) & Counter(contents[1].values())
    rows: list[tuple[tuple, int, str, list[Sound]]] = []
    left: list[list[str]] = [[], []]
    for index in (0, 1):
        remaining = shared.copy()
        for name, content in contents[index].items():
            if remaining[content] > 0:
                remaining[content] -= 1
                if index == 0:
                    rows.append((content, 3, name, sides[0][name]))
            else:
                left[index].append(name)
                rows.append((content, index + 1, name, sides[index][name]))
    keys = [{_pair_key(name) if groups is None else name: name for name in names} for names in left]
    common = set(keys[0]) & set(keys[1])
    named = groups is not None or all(not name.startswith("[") for names in left for name in names)
    matched = bool(common) and len(keys[0]) == len(left[0]) == len(left[1]) == len(keys[1]) == len(common)
    if paired is True and groups is None and not named:  # arrays: by position
        if len(left[0]) != len(left[1]):
            raise AudioError(
                f"paired: {len(reference.sounds)} reference and {len(candidate.sounds)} "
                "candidate arrays; pairs need as many of both, in one order"
            )
        matched, common = True, set(keys[0]) & set(keys[1])
    elif paired is True and not matched and sum(map(len, left)):
        odd = sorted({*keys[0], *keys[1]} - common)
        raise AudioError(
            f"paired: {len(common)} names match, {len(odd)} do not, the first is {odd[0]!r}; "
            "pairs need the same names below both folders (extensions may differ)"
        )
    use_pairs = paired is not False and ((matched and (named or paired is True)) or groups is not None)
    rows.sort(key=lambda row: (row[0], row[1], row[2]))
    index_of = {(member, name): i for i, (_, member, name, _) in enumerate(rows)}
    partner = np.full(len(rows), -1)
    if use_pairs:
        for key in common:
            a, b = index_of[1, keys[0][key]], index_of[2, keys[1][key]]
            partner[a], partner[b] = b, a
    vectors, starts, weights = [], [], []
    position = 0
    for *_, sounds in rows:
        starts.append(position)
        for sound in sounds:
            vectors.append(sound.vectors)
            weights.append(np.full(len(sound.vectors), 1 / (len(sound.vectors) * len(sounds))))
            position += len(sound.vectors)
    pool = Pool(
        vectors=np.concatenate(vectors).astype(np.float32),
        starts=np.array(starts),
        weights=np.concatenate(weights),
        members=np.array([member for _, member, _, _ in rows]),
        partner=partner,
        names=tuple(name for _, _, name, _ in rows),
        levels=np.array([np.mean([sound.level_db for sound in sounds]) for *_, sounds in rows]),
    )
    return pool, bool((partner >= 0).any()), sum(shared.values())


def value_views(pool: Pool, own: np.ndarray | None) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Numbers as they are and scaled for the value, a list over views each."""
    if own is not None:
        return [pool.vectors.astype(float)], [pool.vectors / own]
    sizes = np.cumsum(list(VIEWS.values()))[:-1]
    scale, _ = constants()
    return (
        np.split(pool.vectors.astype(float), sizes, axis=1),
        np.split(pool.vectors / scale, sizes, axis=1),
    )


def own_scale(loaded: SoundSet) -> np.ndarray:
    return divisors(np.concatenate([sound.vectors for sound in loaded.sounds]))
