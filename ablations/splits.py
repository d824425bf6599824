"""Which recordings are trained on and which are held out, from a run's config.

Conventions
    split   for a model that makes sounds: training, reference, validation. The question is what it makes, so
            by default speakers, recordings and programs are on all sides.
    fold    for a model that tells sounds apart: training and test. The question is how it does on what it
            does not know, so by default no group (speaker, recording, program) is on both sides, and each
            seed holds out the next fold: as many seeds as folds test every recording once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from omegaconf import DictConfig
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from ablations.config import ConfigError
from study import datasets

NOTES = 1152  # nine of each instrument


@dataclass(frozen=True)
class Split:
    """What is trained on and what is held out; labels and groups one a signal, checksums by part."""

    train: list[np.ndarray]
    train_labels: list[str]
    train_groups: list[str]
    reference: list[np.ndarray]
    validation: list[np.ndarray]
    validation_labels: list[str]
    validation_groups: list[str]
    rate: int
    checksums: dict[str, str]


def split(config: DictConfig) -> Split:
    """The parts of the data, which share no file, and with ``data.split_by=group`` no group.

    Reference and validation depend on ``data.split_seed`` alone, so all seeds are measured against the same
    recordings. Training files are drawn by ``seed`` from all others, so equal seeds of two configs draw alike
    where their data are alike: that is what makes them pairs. By default speakers, recordings and programs
    are on all sides: the question is what a model makes, not whether it generalises.

    Raises
    ------
    ConfigError
        For labels that are not there, too few files for what is wanted, an unknown ``split_by``, and data
        that cannot be read.
    """
    data = config.data
    recordings = sounds(data)
    labels = recordings.labels
    usable = _usable(recordings, data)
    rng = np.random.default_rng([data.split_seed, 0])
    sizes = (data.reference, data.validation)
    if data.split_by == "file":
        reference, validation, pool = np.split(rng.permutation(usable), np.cumsum(sizes))
    elif data.split_by == "group":
        reference, validation, pool = _by_group(np.array(usable), np.array(recordings.groups), sizes, rng)
    else:
        raise ConfigError(f"data.split_by={data.split_by}: neither file nor group")
    pool = pool[~_left_out(recordings.subset(pool), data)] if len(pool) else pool
    if len(reference) < data.reference or len(validation) < data.validation or len(pool) < data.train:
        groups = len({recordings.groups[i] for i in usable})
        raise ConfigError(
            f"data {data.name} has {len(usable)} usable files"
            f"{f' in {groups} groups' if data.split_by == 'group' else ''}, "
            f"{len(pool)} of them for training; {data.reference} for reference, "
            f"{data.validation} for validation and {data.train} for training are wanted"
        )
    training = np.random.default_rng([config.seed, 1]).permutation(pool)[: data.train]
    parts = {"train": training, "reference": reference, "validation": validation}
    chosen = {name: [recordings.signals[i] for i in part] for name, part in parts.items()}
    return Split(
        **chosen,
        train_labels=[labels[i] for i in training],
        train_groups=[recordings.groups[i] for i in training],
        validation_labels=[labels[i] for i in validation],
        validation_groups=[recordings.groups[i] for i in validation],
        rate=recordings.rate,
        checksums={name: checksum(part) for name, part in chosen.items() if part},
    )


def _by_group(usable: np.ndarray, groups: np.ndarray, sizes: Sequence[int], rng) -> list[np.ndarray]:
    """Whole groups, in random order, to each part until it is full; what is over of the last is dropped."""
    order = list(rng.permutation(np.unique(groups[usable])))
    parts = []
    for size in sizes:
        taken: list[int] = []
        while order and len(taken) < size:
            taken += rng.permutation(usable[groups[usable] == order.pop()]).tolist()
        parts.append(np.array(taken[:size], dtype=int))
    return [*parts, usable[np.isin(groups[usable], order)]]


@dataclass(frozen=True)
class Fold:
    """What is trained on and what is tested on. The checksum "reference" is of all that is tested in turn."""

    train: datasets.AudioSet
    test: datasets.AudioSet
    number: int
    checksums: dict[str, str]


def fold(config: DictConfig, recordings: datasets.AudioSet | None = None) -> Fold:
    """Training and test recordings of a run: fold ``seed`` modulo their number is held out.

    ``data.split_by`` is

    - "group": folds of whole groups, with about the same labels in each (``data.folds``, dealt by
      ``data.split_seed``). Files of equal content are one group, whatever they are called.
    - "published": the division of the set's authors.
    - "file": folds that do not look at groups. It flatters; for showing by how much.

    ``recordings`` are those of ``whole``, where they have been read already. All outside of the fold are
    trained on, or ``data.train`` of them, drawn by the seed.
    ConfigError for a division that is not there, for a published one with a group or a recording on both
    sides, and for a label with fewer groups than folds.
    """
    data, chosen = config.data, whole(config) if recordings is None else recordings
    if len(set(chosen.labels)) < 2:
        raise ConfigError(f"data {data.name} has one label, {chosen.labels[0]}; nothing to tell apart")
    groups = _joined(chosen)
    if data.split_by == "published":
        test = _published(chosen, groups, config)
    elif data.split_by in ("group", "file"):
        test = _dealt(chosen, groups if data.split_by == "group" else np.arange(len(chosen)), config)
    else:
        raise ConfigError(f"data.split_by={data.split_by}: neither group, published nor file")
    training = np.flatnonzero(~test & ~_left_out(chosen, data))
    if data.train:
        if data.train > len(training):
            raise ConfigError(f"data.train={data.train}, and {len(training)} are outside of the fold")
        training = np.random.default_rng([config.seed, 1]).permutation(training)[: data.train]
    parts = {"train": chosen.subset(training), "test": chosen.subset(np.flatnonzero(test))}
    everything = {**parts, "reference": chosen}
    return Fold(
        **parts,
        number=config.seed % (_parts(chosen) if data.split_by == "published" else data.folds),
        checksums={name: checksum(part.signals) for name, part in everything.items()},
    )


def whole(config: DictConfig) -> datasets.AudioSet:
    """All recordings whose label is wanted: what the folds are dealt from."""
    recordings = sounds(config.data)
    return recordings.subset(_usable(recordings, config.data))


def folds(config: DictConfig) -> int:
    """How many folds a config's division has: as many seeds test every recording that is tested."""
    published = config.data.split_by == "published"
    return _parts(sounds(config.data)) if published else int(config.data.folds)


def _parts(recordings: datasets.AudioSet) -> int:
    """Folds of the published division: one, where it is into training and test."""
    parts = set(recordings.folds)
    return 1 if parts == {"train", "test"} else max(1, len(parts))


def _published(chosen: datasets.AudioSet, groups: np.ndarray, config: DictConfig) -> np.ndarray:
    """Which recordings the authors test on. Of digits all speakers are on both sides: that is their test."""
    parts = sorted(set(chosen.folds))
    if len(parts) < 2 or "" in parts:
        raise ConfigError(f"data {config.data.name} has no published division; data.split_by=group makes one")
    if set(parts) == {"train", "test"}:
        test = np.array(chosen.folds) == "test"
        contents = _contents(chosen)
        across = np.isin(contents, contents[test]) & ~test
        what = "recording"
    else:
        test = np.array(chosen.folds) == parts[config.seed % len(parts)]
        across, what = np.isin(groups, groups[test]) & ~test, "group or recording"
    if across.any():
        name = chosen.names[int(np.flatnonzero(across)[0])]
        raise ConfigError(
            f"data {config.data.name}: {across.sum()} training files share their {what} with a test file, "
            f"the first is {name}; data.split_by=group keeps them together"
        )
    return test


def _dealt(chosen: datasets.AudioSet, groups: np.ndarray, config: DictConfig) -> np.ndarray:
    """Which recordings are tested, (files,): the fold of the seed, labels in like shares."""
    data = config.data
    if data.folds < 2:
        raise ConfigError(f"data.folds={data.folds}; at least 2 are needed, one to test on and one to learn")
    for label in sorted(set(chosen.labels)):
        count = len(set(groups[np.array(chosen.labels) == label]))
        if count < data.folds:
            raise ConfigError(
                f"label {label} has {count} group(s), and data.folds={data.folds} are wanted; lower it, or "
                "give data.group_pattern"
            )
    options = {"n_splits": data.folds, "shuffle": True, "random_state": data.split_seed}
    if data.split_by == "file":
        divided = StratifiedKFold(**options).split(groups, chosen.labels)
    else:
        divided = StratifiedGroupKFold(**options).split(groups, chosen.labels, groups)
    test = np.zeros(len(chosen), bool)
    # Of the pair (training, test) the second.
    test[list(divided)[config.seed % data.folds][1]] = True
    return test


def _joined(chosen: datasets.AudioSet) -> np.ndarray:
    """A number a group, (files,); groups that hold a recording of the same content are one.

    Groups and contents are the nodes of a graph, each recording links its two: what hangs together is one.
    """
    _, groups = np.unique(chosen.groups, return_inverse=True)
    contents = _contents(chosen)
    nodes = groups.max() + 1 + contents.max() + 1
    links = (np.ones(len(groups)), (groups, groups.max() + 1 + contents))
    return connected_components(coo_array(links, shape=(nodes, nodes)), directed=False)[1][groups]


def _contents(chosen: datasets.AudioSet) -> np.ndarray:
    """A number a recording, (files,): equal for equal samples."""
    return np.unique([checksum([signal]) for signal in chosen.signals], return_inverse=True)[1]


def _left_out(recordings: datasets.AudioSet, data: DictConfig) -> np.ndarray:
    """Which recordings are not to be trained on, (files,): by their label or by their group."""
    return np.isin(recordings.labels, list(data.without)) | np.isin(recordings.groups, list(data.without))


def _usable(recordings: datasets.AudioSet, data: DictConfig) -> list[int]:
    """Places of the recordings whose label is wanted at all."""
    known = set(recordings.labels)
    if unknown := {*data.labels, *data.without} - known - (set(recordings.groups) - set(data.labels)):
        raise ConfigError(
            f"data {data.name} has no label {', '.join(sorted(unknown))}; it has {', '.join(sorted(known))}"
        )
    return [i for i, label in enumerate(recordings.labels) if not data.labels or label in data.labels]


def sounds(data: DictConfig) -> datasets.AudioSet:
    """A named set, a folder or a CSV file, as ``study.datasets`` reads them.

    ConfigError for a name that is none of these, and for a folder or table that cannot be read.
    """
    if data.name == "instruments":
        # Notes are made on demand, of all families in turn. Their number must not depend on what an
        # ablation changes, or the reference would be another one: so it goes in large steps.
        share = len(data.labels) / len(datasets.FAMILIES) if data.labels else 1.0
        count = NOTES
        while count * share < 1.3 * (data.reference + data.validation + data.train):
            count *= 2
        if unknown := set(data.labels) - set(datasets.FAMILIES):
            raise ConfigError(
                f"instruments have no label {', '.join(sorted(unknown))}; "
                f"there are {', '.join(datasets.FAMILIES)}"
            )
        return _instruments(count, data.split_seed, tuple(sorted(data.labels)))
    if data.name in ("digits", "sounds"):
        return getattr(datasets, data.name)()
    options = {"seconds": data.segment_seconds, "rate": data.rate or None}
    try:
        if Path(data.name).is_dir():
            return datasets.folder(data.name, group_pattern=data.group_pattern, **options)
        if Path(data.name).suffix.lower() == ".csv":
            return datasets.table(data.name, **options)
        raise ConfigError(
            f"data.name={data.name}: neither instruments, digits, sounds, nor a folder or a .csv file"
        )
    except ValueError as error:
        raise ConfigError(str(error)) from None


@lru_cache(maxsize=1)  # a sweep in one process renders once
def _instruments(count: int, seed: int, families: tuple[str, ...]) -> datasets.AudioSet:
    """``study.datasets.instruments``, kept."""
    return datasets.instruments(count=count, seed=seed, families=families)


def checksum(signals: Sequence[np.ndarray]) -> str:
    """SHA-256 of the samples of signals, one after the other."""
    digest = hashlib.sha256()
    for signal in signals:
        digest.update(np.ascontiguousarray(signal).tobytes())
    return digest.hexdigest()
