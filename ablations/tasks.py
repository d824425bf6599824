"""What a run measures: the sounds a model makes, or how it names or predicts sounds it has not heard.

Conventions
    task      what a model can do decides: ``sample`` makes it a ``Generation``, ``probabilities`` a
              ``Classification``, ``bits`` a ``Prediction`` where ``generate`` is 0. All hold the data of a
              config, and tell a ``result`` of a model, numbers of it (``measure``), and what is kept of it in
              files (``write``).
    headline  the number a task is told by; lower is better. ``files`` are what ``write`` makes.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import soundfile
from omegaconf import DictConfig
from sklearn.metrics import recall_score

import metrics
from ablations import jackknife, listed, splits
from ablations.config import ConfigError
from audio_distance import Comparison, describe_signal
from study.distances import NEIGHBOURS, nearest_neighbour_quality

PREDICTIONS = "predictions.csv"  # of a classification, one line a test file
SMALLEST_PROBABILITY = 1e-6  # 0 for what is true would make the log loss infinite
BINS = 10  # of the reliability diagram, as is usual


def of(model, config: DictConfig) -> Task:
    """The task of a model. ConfigError for one that can do none."""
    if hasattr(model, "bits") and not config.generate:
        return Prediction(config)
    if hasattr(model, "sample"):
        return Generation(config)
    if hasattr(model, "probabilities"):
        return Classification(config)
    raise ConfigError(f"{type(model).__name__} has neither sample nor probabilities: nothing to measure")


@dataclass(frozen=True)
class Made:
    """Sounds of a model, and how they compare with the reference.

    ``rows``: (windows, 1032) a sound, as ``embedded``. ``told``: of a model with ``bits`` what that tells of
    the validation files, else nothing.
    """

    sounds: Sequence[np.ndarray]
    apart: Comparison
    rows: Sequence[np.ndarray]
    told: dict[str, float]


class Generation:
    """A model that makes sounds.

    metrics.json holds ``distance`` to the held-out recordings and its views; ``coverage`` and ``density`` in
    the same numbers (``study.distances.nearest_neighbour_quality``), which tell of lost kinds of sounds and
    of unlikely ones; where ``data.validation`` holds files out, of a model with ``bits`` what these tell.
    Of the last step further: ``errors``, the standard error of each by the choice of generated files;
    ``steps``, in which each goes, 0 for none; ``bands``, the share of each band of frequencies in the
    envelope. ``audio/`` is the generated set, 16-bit FLAC; ``embedding.npz`` its rows, (windows, 1032), of
    ``metrics.embed`` over the bundled divisors, and their owners; ``jackknife.npz`` each metric without each
    file.
    """

    headline = "distance"
    files = ("audio", "embedding.npz", jackknife.FILE)

    def __init__(self, config: DictConfig) -> None:
        data = splits.split(config)
        self.train, self.train_labels, self.rate = data.train, data.train_labels, data.rate
        self.reference, self.checksums = data.reference, data.checksums
        self.validation, self.labels = data.validation, data.validation_labels
        self.count, self.seed = config.generate, config.seed

    def result(self, model) -> Made:
        """The sounds it makes, how far they are from the reference, and how well it predicts recordings.

        A model that makes silence or NaN is refused by ``metrics``: a run has no number then.
        """
        predicts = hasattr(model, "bits") and len(self.validation) > 0
        told = model.bits(self.validation, self.labels) if predicts else {}
        sounds = model.sample(self.count, seed=self.seed)
        # Seeds are judged by their values, so few permutations do: nobody reads this p.
        apart = metrics.compare(
            self.reference, sounds, rate=self.rate, workers=1, permutations=99, cache=False
        )
        return Made(sounds, apart, [embedded(sound, self.rate) for sound in sounds], told)

    def measure(self, result: Made) -> dict[str, float]:
        """Distance of the sounds to the reference, its views, coverage and density; what was told."""
        views = {name.replace(" ", "_"): float(value) for name, value in result.apart.views.items()}
        quality = nearest_neighbour_quality(one_each(self.reference_rows), one_each(result.rows))
        return {
            "distance": float(result.apart.value),
            **views,
            **{name: quality[name] for name in ("coverage", "density")},
            **result.told,
        }

    def write(self, result: Made, stage: Path) -> dict:
        """Keep the sounds, their embedding and the jackknife below ``stage``; further numbers.

        Sounds are clipped at full scale, as a file of integers is; the numbers were measured before.
        """
        (stage / "audio").mkdir()
        for i, sound in enumerate(result.sounds):
            path = stage / "audio" / f"{i:05d}.flac"
            soundfile.write(path, np.clip(sound, -1, 1), self.rate, subtype="PCM_16")
        owners = np.repeat(np.arange(len(result.rows)), [len(r) for r in result.rows])
        np.savez(stage / "embedding.npz", rows=np.concatenate(result.rows), owners=owners)
        without = jackknife.without_each(self.reference_rows, result.rows)
        np.savez(stage / jackknife.FILE, **without)
        n, m = len(self.reference), len(result.rows)
        steps = {"coverage": 1 / n, "density": 1 / (m * min(NEIGHBOURS, n - 1, m - 1))}
        return {
            "errors": {name: jackknife.variance(values) ** 0.5 for name, values in without.items()},
            "steps": {**dict.fromkeys(without, 0.0), **steps},
            "bands": {band.name: band.value for band in result.apart.bands},
        }

    @cached_property
    def reference_rows(self) -> list[np.ndarray]:
        """(windows, 1032) a held-out recording."""
        return [embedded(signal, self.rate) for signal in self.reference]


class Classification:
    """A model that names sounds.

    metrics.json holds, of the fold that is held out, ``error_rate``, ``accuracy``, ``balanced_accuracy`` (the
    mean recall), ``log_loss`` in nats and ``calibration_error``; ``recall`` by label; the sizes. What each
    file was taken for is in predictions.csv: path, label, group, then the probability of each label.
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
        """Labels of either side, sorted: the columns of all probabilities."""
        return sorted({*self.train_labels, *self.test.labels})

    def result(self, model) -> np.ndarray:
        """Probabilities of all labels, (test files, labels); 0 for one that was not trained on."""
        learned = model.probabilities(self.test.signals, self.rate)
        probabilities = np.zeros((len(learned), len(self.names)))
        probabilities[:, [self.names.index(name) for name in model.names]] = learned
        return probabilities

    def measure(self, result: np.ndarray) -> dict:
        """``scores`` of probabilities, and the sizes of the fold."""
        return {**self.facts, **scores(self.test.labels, result, self.names)}

    def write(self, result: np.ndarray, stage: Path) -> dict:
        """Keep the probabilities below ``stage``; no further numbers for metrics.json."""
        with (stage / PREDICTIONS).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["path", "label", "group", *self.names])
            for row in zip(self.test.names, self.test.labels, self.test.groups, result, strict=True):
                writer.writerow([*row[:3], *(f"{probability:.6g}" for probability in row[3])])
        return {}


class Prediction:
    """A model that predicts each sample from those before it.

    metrics.json holds ``bits`` a sample of the held-out files, what the model compares itself with, and
    ``samples``, how many these are. Files are not read here (``ablations.listed``), but by the model, in
    pieces.
    """

    headline = "bits"
    files = ()

    def __init__(self, config: DictConfig) -> None:
        data = listed.divide(config)
        self.train, self.train_labels, self.rate = data.train, data.train_labels, data.rate
        self.held_out, self.labels, self.checksums = data.held_out, data.held_out_labels, data.checksums

    def result(self, model) -> dict[str, float]:
        """The bits of the held-out files."""
        return model.bits(self.held_out, self.labels)

    def measure(self, result: dict[str, float]) -> dict[str, float]:
        """All of them are numbers of metrics.json."""
        return {**result, "files": len(self.held_out)}

    def write(self, result: dict[str, float], stage: Path) -> dict:
        """Nothing is kept, and there are no further numbers."""
        return {}


def scores(labels: Sequence[str], probabilities: np.ndarray, names: Sequence[str]) -> dict:
    """How good predictions are, as numbers of metrics.json.

    Parameters
    ----------
    labels : sequence of str, (files,)
        The true ones, each among ``names``.
    probabilities : array, (files, names)
        Rows sum to 1. What is taken for an answer is the likeliest.

    Returns
    -------
    dict
        ``error_rate``, ``accuracy``; ``balanced_accuracy``, the mean recall of the labels that occur, so that
        frequent ones count no more; ``log_loss`` in nats; ``calibration_error``; ``recall`` by label.
    """
    true_columns = np.array([list(names).index(label) for label in labels])
    predicted = probabilities.argmax(axis=1)
    present = np.unique(true_columns)
    recall = recall_score(true_columns, predicted, labels=present, average=None)
    accuracy = float((true_columns == predicted).mean())
    of_the_truth = np.clip(probabilities, SMALLEST_PROBABILITY, 1)[np.arange(len(labels)), true_columns]
    return {
        "error_rate": 1 - accuracy,
        "accuracy": accuracy,
        "balanced_accuracy": float(recall.mean()),
        "log_loss": -float(np.log(of_the_truth).mean()),
        "calibration_error": calibration_error(true_columns, probabilities),
        "recall": {names[i]: float(value) for i, value in zip(present, recall, strict=True)},
    }


def calibration_error(true_columns: np.ndarray, probabilities: np.ndarray) -> float:
    """Expected calibration error (Naeini et al. 2015): |accuracy - confidence| over ten equal bins, weighted.

    ``true_columns``, (files,), are those of ``probabilities``, (files, labels), that should have been chosen.
    """
    bins = reliability(true_columns, probabilities)
    return sum(abs(accuracy - confidence) * files for confidence, accuracy, files in bins) / len(true_columns)


def reliability(true_columns: np.ndarray, probabilities: np.ndarray) -> list[tuple[float, float, int]]:
    """The reliability diagram: mean confidence, accuracy and files of each bin that is not empty.

    A file's confidence is the probability of its likeliest label.
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == true_columns
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)  # 1.0 belongs to the last one
    return [
        (float(confidence[bins == k].mean()), float(right[bins == k].mean()), int((bins == k).sum()))
        for k in np.unique(bins)
    ]


def embedded(sound: np.ndarray, rate: int) -> np.ndarray:
    """What the distance sees of a mono sound: ``metrics.embed`` over its divisors, (windows, 1032)."""
    return metrics.divided(describe_signal(sound, rate)[0])


def one_each(rows: Sequence[np.ndarray]) -> np.ndarray:
    """The mean row of each sound, (files, 1032), from (windows, 1032) a sound."""
    return np.stack([own.mean(axis=0) for own in rows])


Task = Generation | Classification | Prediction
