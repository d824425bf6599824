"""What a run measures: the sounds a model makes, or how it names sounds it has not heard.

Conventions
    task      what a model can do decides: ``sample`` makes it a ``Generation``, ``probabilities`` a
              ``Classification``. Both hold the data of a config, and tell a ``result`` of a model, numbers
              of it (``measure``), and what is kept of it in files (``write``).
    headline  the number a task is told by; lower is better. ``files`` are what ``write`` makes.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import soundfile
from omegaconf import DictConfig
from sklearn.metrics import recall_score

import metrics
from ablations import splits
from ablations.config import ConfigError

PREDICTIONS = "predictions.csv"  # of a classification, one line a test file
SMALLEST = 1e-6  # a chance of 0 for what is true would make the loss infinite
BINS = 10  # of probabilities


def of(model, config: DictConfig) -> Generation | Classification:
    """The task of a model. ConfigError for one that can do neither."""
    if hasattr(model, "sample"):
        return Generation(config)
    if hasattr(model, "probabilities"):
        return Classification(config)
    raise ConfigError(f"{type(model).__name__} has neither sample nor probabilities: nothing to measure")


class Generation:
    """A model that makes sounds.

    metrics.json holds ``distance`` to the held-out recordings and its views; ``halves``, the distance of the
    even and of the odd files, which tells how much of it is sampling. ``audio/`` is the generated set, 16-bit
    FLAC; ``embedding.npz`` its rows, (windows, 1032), of ``metrics.embed`` over the bundled divisors, and
    their owners.
    """

    headline = "distance"
    files = ("audio", "embedding.npz")

    def __init__(self, config: DictConfig) -> None:
        data = splits.split(config)
        self.train, self.train_labels, self.rate = data.train, data.train_labels, data.rate
        self.reference, self.checksums = data.reference, data.checksums
        self.count, self.seed = config.generate, config.seed

    def result(self, model) -> Sequence[np.ndarray]:
        """The sounds it makes."""
        return model.sample(self.count, seed=self.seed)

    def measure(self, result: Sequence[np.ndarray]) -> dict[str, float]:
        """Distance of the sounds to the reference, and its views by name with underscores.

        A model that makes silence or NaN is refused by ``metrics``: a run has no number then.
        """
        found = metrics.compare(
            self.reference, result, rate=self.rate, workers=1, permutations=99, cache=False
        )
        views = {name.replace(" ", "_"): float(value) for name, value in found.views.items()}
        return {"distance": float(found.value), **views}

    def write(self, result: Sequence[np.ndarray], stage: Path) -> dict:
        (stage / "audio").mkdir()
        for i, sound in enumerate(result):
            path = stage / "audio" / f"{i:05d}.flac"
            soundfile.write(path, np.clip(sound, -1, 1), self.rate, subtype="PCM_16")
        rows = [embedded(sound, self.rate) for sound in result]
        owners = np.repeat(np.arange(len(rows)), [len(r) for r in rows])
        np.savez(stage / "embedding.npz", rows=np.concatenate(rows), owners=owners)
        return {
            "halves": [
                metrics.distance(self.reference, result[i::2], rate=self.rate, workers=1, cache=False)
                for i in (0, 1)
            ]
        }


class Classification:
    """A model that names sounds.

    metrics.json holds, of the fold that is held out, ``error_rate``, ``accuracy``, ``balanced_accuracy`` (the
    mean recall), ``log_loss`` in nats and ``calibration_error``; ``recall`` by label; the sizes. What each
    file was taken for is in predictions.csv: path, label, group, then the chance of each label.
    """

    headline = "error_rate"
    files = (PREDICTIONS,)

    def __init__(self, config: DictConfig) -> None:
        fold = splits.fold(config)
        self.train, self.train_labels, self.rate = fold.train.signals, fold.train.labels, fold.train.rate
        self.test, self.checksums = fold.test, fold.checksums
        self.facts = {"fold": fold.number, "train_files": len(fold.train), "test_files": len(fold.test)}

    @cached_property
    def names(self) -> list[str]:
        return sorted({*self.train_labels, *self.test.labels})

    def result(self, model) -> np.ndarray:
        """Chances of all labels, (test files, labels); 0 for one that was not trained on."""
        found = model.probabilities(self.test.signals, self.rate)
        probabilities = np.zeros((len(found), len(self.names)))
        probabilities[:, [self.names.index(name) for name in model.names]] = found
        return probabilities

    def measure(self, result: np.ndarray) -> dict:
        return {**self.facts, **scores(self.test.labels, result, self.names)}

    def write(self, result: np.ndarray, stage: Path) -> dict:
        with (stage / PREDICTIONS).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["path", "label", "group", *self.names])
            for row in zip(self.test.names, self.test.labels, self.test.groups, result, strict=True):
                writer.writerow([*row[:3], *(f"{chance:.6g}" for chance in row[3])])
        return {}


def scores(labels: Sequence[str], probabilities: np.ndarray, names: Sequence[str]) -> dict:
    """How good probabilities, (files, names), of true ``labels`` are; see ``Classification``."""
    found = np.array([list(names).index(label) for label in labels])
    taken = probabilities.argmax(axis=1)
    recall = recall_score(found, taken, labels=np.unique(found), average=None)
    right = float((found == taken).mean())
    likely = np.clip(probabilities, SMALLEST, 1)
    return {
        "error_rate": 1 - right,
        "accuracy": right,
        "balanced_accuracy": float(recall.mean()),
        "log_loss": -float(np.log(likely[np.arange(len(found)), found]).mean()),
        "calibration_error": calibration_error(found, probabilities),
        "recall": {names[i]: float(value) for i, value in zip(np.unique(found), recall, strict=True)},
    }


def calibration_error(found: np.ndarray, probabilities: np.ndarray) -> float:
    """Expected calibration error (Naeini et al. 2015): |accuracy - confidence| over ten equal bins, weighted.

    ``found`` are the true columns of ``probabilities``, (files, labels).
    """
    return sum(abs(right - sure) * count for sure, right, count in reliability(found, probabilities)) / len(
        found
    )


def reliability(found: np.ndarray, probabilities: np.ndarray) -> list[tuple[float, float, int]]:
    """Of each bin of the likeliest chance that is not empty: its mean, the share that was right, count."""
    sure, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == found
    places = np.minimum((sure * BINS).astype(int), BINS - 1)
    return [
        (float(sure[places == k].mean()), float(right[places == k].mean()), int((places == k).sum()))
        for k in np.unique(places)
    ]


def embedded(sound: np.ndarray, rate: int) -> np.ndarray:
    windows = metrics.windows(metrics.prepare(sound, rate)[0])
    return np.stack([metrics.embed(window) for window in windows]) / metrics.constants()[0]
