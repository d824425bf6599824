"""Every fold of a division, trained and tested: what models took recordings for that they had not heard.

Conventions
    fold        a run of the gate, ``runs/<name>/<fold>/``: the run's seed is the number of the fold that is
                held out (``ablations.splits``).
    names       the labels, sorted: the columns of probabilities.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from joblib import delayed
from omegaconf import DictConfig
from scipy import stats

from ablations import run, splits, tasks
from ablations.config import load, replicates
from ablations.statistics import mean_interval

Fitted = TypeVar("Fitted")


@dataclass(frozen=True)
class Predictions:
    """What all folds took their test files for: ``probabilities`` is (files, names)."""

    paths: tuple[str, ...]
    labels: tuple[str, ...]
    groups: tuple[str, ...]
    folds: np.ndarray
    probabilities: np.ndarray
    names: tuple[str, ...]

    @property
    def true_columns(self) -> np.ndarray:
        """The columns of the true labels."""
        return np.array([self.names.index(label) for label in self.labels])

    def out_of_fold(
        self,
        fit: Callable[[np.ndarray, np.ndarray], Fitted],
        apply: Callable[[np.ndarray, Fitted], np.ndarray],
    ) -> np.ndarray:
        """Probabilities of each fold after a correction that was fitted to the other folds alone.

        Parameters
        ----------
        fit : function
            Of probabilities, (files, names), and the columns of their true labels, (files,): what is learned.
            Where there is one fold it is fitted to that, which flatters.
        apply : function
            Of probabilities and what was learned: the corrected ones.

        Returns
        -------
        array, (files, names)
        """
        corrected = np.empty_like(self.probabilities)
        for fold in np.unique(self.folds):
            here = self.folds == fold
            others = ~here if (~here).any() else here
            corrected[here] = apply(
                self.probabilities[here], fit(self.probabilities[others], self.true_columns[others])
            )
        return corrected


def folds(name: str, overrides: Sequence[str], *, workers: int = -1) -> list[DictConfig]:
    """The configs of all folds, each of which is run unless it is there."""
    first = load([*overrides, "seed=0"], config_name=name)
    configs = replicates(first, splits.folds(first))
    run.in_parallel([delayed(run.run)(config) for config in configs], workers=workers, what="folds")
    return configs


def predictions(configs: Sequence[DictConfig]) -> Predictions:
    """Read what the folds' runs took their test files for."""
    rows, probabilities, names = [], [], ()
    for fold, config in enumerate(configs):
        with (run.find(config) / tasks.PREDICTIONS).open(newline="", encoding="utf-8") as file:
            reader = csv.reader(file)
            names = tuple(next(reader)[3:])
            for path, label, group, *numbers in reader:
                rows.append((path, label, group, fold))
                probabilities.append([float(number) for number in numbers])
    paths, labels, groups, places = zip(*rows, strict=True)
    return Predictions(paths, labels, groups, np.array(places), np.array(probabilities), names)


def accuracy(found: Predictions) -> dict:
    """Share of test files that were named right, with an interval.

    Over folds, Student's t; for a single fold over its files, Wilson's.
    """
    right = found.probabilities.argmax(axis=1) == found.true_columns
    each = [float(right[found.folds == fold].mean()) for fold in np.unique(found.folds)]
    if len(each) > 1:
        interval = np.clip(mean_interval(each), 0, 1)
    else:
        wilson = stats.binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
        interval = [wilson.low, wilson.high]
    return {"accuracy": float(np.mean(each)), "interval": list(map(float, interval)), "folds": each}
