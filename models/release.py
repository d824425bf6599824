"""A classifier to hand out: every fold scored, then trained on everything, calibrated, in one file.

The score in the file is of recordings that the scored models had not heard (``ablations.splits``): each fold
is a run of the gate, ``runs/<name>/<fold>/``. What is handed out has learned from all folds, so it should be
a little better than its score. Its temperature is fitted to the predictions of all folds.
"""

from __future__ import annotations

import csv
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hydra.utils import instantiate
from joblib import delayed
from omegaconf import DictConfig
from scipy import stats
from tqdm import tqdm

import metrics
from ablations import run, splits, tasks
from ablations.config import ConfigError, load, replicates
from ablations.statistics import mean_interval
from models.classifier import Classifier, temperature, tempered
from study import datasets


@dataclass(frozen=True)
class Predictions:
    """What all folds took their test files for: ``chances`` is (files, names)."""

    paths: tuple[str, ...]
    labels: tuple[str, ...]
    groups: tuple[str, ...]
    folds: np.ndarray
    chances: np.ndarray
    names: tuple[str, ...]

    @property
    def found(self) -> np.ndarray:
        """The columns of the true labels."""
        return np.array([self.names.index(label) for label in self.labels])

    def calibrated(self) -> np.ndarray:
        """Chances at the temperature that the predictions of the other folds ask for."""
        made = np.empty_like(self.chances)
        for fold in np.unique(self.folds):
            here = self.folds == fold
            others = ~here if (~here).any() else here
            made[here] = tempered(self.chances[here], temperature(self.chances[others], self.found[others]))
        return made


def folds(name: str, overrides: Sequence[str], *, workers: int = -1) -> list[DictConfig]:
    """The configs of all folds, each of which is run unless it is there."""
    first = load([*overrides, "seed=0"], config_name=name)
    configs = replicates(first, splits.folds(first))
    run.in_parallel([delayed(run.run)(config) for config in configs], workers=workers, what="folds")
    return configs


def predictions(configs: Sequence[DictConfig]) -> Predictions:
    """Read what the folds' runs took their test files for."""
    rows, chances, names = [], [], ()
    for fold, config in enumerate(configs):
        with (run.find(config) / tasks.PREDICTIONS).open(newline="", encoding="utf-8") as file:
            reader = csv.reader(file)
            names = tuple(next(reader)[3:])
            for path, label, group, *numbers in reader:
                rows.append((path, label, group, fold))
                chances.append([float(number) for number in numbers])
    paths, labels, groups, places = zip(*rows, strict=True)
    return Predictions(paths, labels, groups, np.array(places), np.array(chances), names)


def accuracy(found: Predictions) -> dict:
    """Share of test files that were named right, with an interval.

    Over folds, Student's t; for a single fold over its files, Wilson's.
    """
    right = found.chances.argmax(axis=1) == found.found
    each = [float(right[found.folds == fold].mean()) for fold in np.unique(found.folds)]
    if len(each) > 1:
        interval = np.clip(mean_interval(each), 0, 1)
    else:
        wilson = stats.binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
        interval = [wilson.low, wilson.high]
    return {"accuracy": float(np.mean(each)), "interval": list(map(float, interval)), "folds": each}


def release(name: str, overrides: Sequence[str], out: Path | str, *, workers: int = -1) -> Classifier:
    """Score, train, calibrate, describe; write the model file ``out`` and return the model.

    An interrupted one goes on where it was. ConfigError for a config that is no classifier with a model file,
    and for a file that is there.
    """
    out = Path(out)
    if out.exists():
        raise ConfigError(f"{out} is there already; give another name to --out, or remove it")
    config = load([*overrides, "seed=0"], config_name=name)
    model = instantiate(config.model)
    if not isinstance(model, Classifier):
        raise ConfigError(f"{name} keeps no model file; release a config of models.classifier.Classifier")
    found = predictions(folds(name, overrides, workers=workers))
    data = splits.whole(config)
    checkpoint = run.folder(config).parent / f".whole.{run.identity(config)[:12]}.checkpoint" / "state"
    steps = model.train(data.signals, data.rate, labels=data.labels, seed=0, checkpoint=checkpoint)
    for _ in tqdm(steps, total=model.steps, desc="all recordings", disable=None):
        pass
    model.calibrate(found.chances, found.labels)
    model.described = model.describe(data.signals, data.rate, seed=0)
    model.facts = {
        "config": name,
        "data": data.name,
        "source": data.source,
        "files": len(data),
        "split_by": config.data.split_by,
        **accuracy(found),
        "held_out": held_out(config, model, data),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, suffix=".part") as folder:
        model.save(Path(folder, out.name))
        os.replace(Path(folder, out.name), out)
    shutil.rmtree(checkpoint.parent, ignore_errors=True)
    return model


def held_out(config: DictConfig, model: Classifier, data: datasets.AudioSet) -> list[float]:
    """Distances of each fold's test recordings to the others: what is near, for a folder of the same kind."""
    values = []
    for each in replicates(config, splits.folds(config)):
        fold = splits.fold(each, data)
        sides = [model.describe(part.signals, part.rate, seed=0) for part in (fold.train, fold.test)]
        values.append(metrics.distance(*sides))
    return values
