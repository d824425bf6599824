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
    """What all folds took their test files for; one file after the other, fold after fold."""

    paths: tuple[str, ...]
    labels: tuple[str, ...]  # the true ones
    groups: tuple[str, ...]
    folds: np.ndarray  # (files,): which of them tested the file
    probabilities: np.ndarray  # (files, names), of the model that had not heard the file
    names: tuple[str, ...]

    @property
    def true_columns(self) -> np.ndarray:
        """The columns of the true labels, (files,)."""
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
    """Run all folds of a config, but those that are there; return the config of each.

    Parameters
    ----------
    name, overrides
        As ``ablations.config.load``; an override of the seed is itself overridden.
    workers : int
        Processes, of which each trains one fold after the other; -1: one a core.

    Raises
    ------
    ConfigError, RunError
        As ``ablations.run.run``.
    """
    first = load([*overrides, "seed=0"], config_name=name)
    configs = replicates(first, splits.folds(first))
    run.in_parallel([delayed(run.run)(config) for config in configs], workers=workers, what="folds")
    return configs


def predictions(configs: Sequence[DictConfig]) -> Predictions:
    """Read what the folds' runs took their test files for. RunError for a fold that has not been run."""
    files, probabilities, names = [], [], ()
    for fold, config in enumerate(configs):
        with (run.find(config) / tasks.PREDICTIONS).open(newline="", encoding="utf-8") as file:
            reader = csv.reader(file)
            names = tuple(next(reader)[3:])
            for path, label, group, *numbers in reader:
                files.append((path, label, group, fold))
                probabilities.append([float(number) for number in numbers])
    paths, labels, groups, tested_by = zip(*files, strict=True)
    return Predictions(paths, labels, groups, np.array(tested_by), np.array(probabilities), names)


def accuracy(predictions: Predictions) -> dict:
    """Share of test files that were named right, averaged over folds, with a 95 % interval.

    Files of one fold share the model that judged them, so the fold is the unit: Student's t over folds. A
    single fold leaves only its files (Wilson's interval), and says nothing of another division.

    Returns
    -------
    dict
        ``accuracy``, ``interval`` [low, high], ``folds``: the accuracy of each.
    """
    right = predictions.probabilities.argmax(axis=1) == predictions.true_columns
    each = [float(right[predictions.folds == fold].mean()) for fold in np.unique(predictions.folds)]
    if len(each) > 1:
        interval = np.clip(mean_interval(each), 0, 1)
    else:
        wilson = stats.binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
        interval = [wilson.low, wilson.high]
    return {"accuracy": float(np.mean(each)), "interval": list(map(float, interval)), "folds": each}
