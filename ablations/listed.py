"""Recordings divided without being read: for models that read files in windows, as they need them.

Conventions
    listed   paths with labels and groups: a named set, a folder (labels are folders in it), or a file list
             (``.csv``, ``.txt``), which knows no labels.
    group    of a folder or list what ``data.group_pattern`` matches in the path, else the file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from omegaconf import DictConfig

from ablations.config import ConfigError
from audio_distance.errors import AudioError
from audio_distance.sources import list_set
from study import datasets


@dataclass(frozen=True)
class Listed:
    """What is trained on and what is held out; labels one a path, ``rate`` in Hz, checksums by part."""

    train: list[Path]
    train_labels: list[str]
    held_out: list[Path]
    held_out_labels: list[str]
    rate: int
    checksums: dict[str, str]


def divide(config: DictConfig) -> Listed:
    """The files of a config, which share no file between training and what is held out.

    ``data.split_by`` is "published", the division of the set's authors; or "file" or "group": whole groups in
    an order drawn by ``data.split_seed`` are held out until they are ``data.validation`` files or more. Of
    the others ``data.train`` are trained on, drawn by the run's seed, or all with 0.

    ConfigError for a set that is not there, one of these that leaves nothing to train on or to hold out, and
    a folder without ``data.rate``.
    """
    data = config.data
    if data.segment_seconds:
        raise ConfigError(f"data.segment_seconds={data.segment_seconds}: files are read in windows, uncut")
    paths, labels, groups, folds, rate = _named(data) if data.name in NAMED else _found(data)
    wanted = [i for i, label in enumerate(labels) if not data.labels or label in data.labels]
    if data.split_by == "published":
        if set(folds) != {"train", "test"}:
            raise ConfigError(f"data {data.name} has no published division into training and test")
        held_out = [i for i in wanted if folds[i] == "test"]
    elif data.split_by in ("file", "group"):
        units = groups if data.split_by == "group" else [str(path) for path in paths]
        held_out = _drawn(wanted, units, data)
    else:
        raise ConfigError(f"data.split_by={data.split_by}: neither published, file nor group")
    taken = set(held_out)
    pool = [i for i in wanted if i not in taken and not {labels[i], groups[i]} & set(data.without)]
    if not held_out or not pool or data.train > len(pool):
        raise ConfigError(
            f"data {data.name}: {len(wanted)} files, {len(held_out)} held out, {len(pool)} left to train on; "
            f"data.train={data.train} (0: all) of these are wanted, and data.validation={data.validation}"
        )
    if data.train:
        pool = sorted(np.random.default_rng([config.seed, 1]).permutation(pool)[: data.train])
    parts = {"train": pool, "reference": held_out}
    return Listed(
        train=[paths[i] for i in pool],
        train_labels=[labels[i] for i in pool],
        held_out=[paths[i] for i in held_out],
        held_out_labels=[labels[i] for i in held_out],
        rate=data.rate or rate,
        checksums={name: _checksum([paths[i] for i in part]) for name, part in parts.items()},
    )


NAMED = ("digits", "sounds")


def _named(data: DictConfig):
    """Paths, labels, groups, folds and the rate of a set that ``study.datasets`` knows."""
    recordings, paths = getattr(datasets, data.name)(), datasets.files(data.name)
    return paths, recordings.labels, recordings.groups, recordings.folds, recordings.rate


def _found(data: DictConfig):
    """The same of a folder or a list of files, whose rate is to be told."""
    if not data.rate:
        raise ConfigError(f"data {data.name}: data.rate=0; the rate in Hz to be resampled to is needed")
    try:
        sources = list_set(Path(data.name), "data", None).sources
        pattern = re.compile(data.group_pattern)
    except (AudioError, re.error) as error:
        raise ConfigError(
            f"data.name={data.name}, data.group_pattern={data.group_pattern}: {error}"
        ) from None
    if faults := [f"{source.name}: {source.fault}" for source in sources if source.fault]:
        raise ConfigError(f"data {data.name}: {'; '.join(faults[:5])}")
    paths = [source.path for source in sources]
    names = [source.name for source in sources]
    is_folder = Path(data.name).is_dir()
    labels = [name.split("/")[0] if is_folder and "/" in name else "" for name in names]
    matches = [pattern.search(name) if data.group_pattern else None for name in names]
    groups = [name if match is None else match.group() for name, match in zip(names, matches, strict=True)]
    return paths, labels, groups, (), data.rate


def _drawn(wanted: Sequence[int], units: Sequence[str], data: DictConfig) -> list[int]:
    """Whole units, in random order, until they are ``data.validation`` files or more."""
    names = sorted({units[i] for i in wanted})
    held_out: list[int] = []
    for place in np.random.default_rng([data.split_seed, 0]).permutation(len(names)):
        if len(held_out) >= data.validation:
            break
        held_out += [i for i in wanted if units[i] == names[place]]
    return sorted(held_out)


def _checksum(paths: Sequence[Path]) -> str:
    """SHA-256 of the contents of files, one after the other."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
