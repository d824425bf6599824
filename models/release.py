"""A classifier to hand out: every fold scored, then trained on everything, calibrated, in one file.

The score in the file is of recordings that the scored models had not heard (``ablations.splits``): each fold
is a run of the gate, ``runs/<name>/<fold>/``. What is handed out has learned from all folds, so it should be
a little better than its score. Its temperature is fitted to the predictions of all folds.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from hydra.utils import instantiate
from omegaconf import DictConfig
from tqdm import tqdm

import metrics
from ablations import run, splits
from ablations.config import ConfigError, load, replicates
from ablations.cross_validation import Predictions, accuracy, folds, predictions
from models.classifier import Classifier, temperature, tempered
from study import sets


def calibrated(predictions: Predictions) -> np.ndarray:
    """Probabilities, (files, names), at the temperature that the predictions of the other folds ask for."""
    return predictions.out_of_fold(temperature, tempered)


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
    model.calibrate(found.probabilities, found.labels)
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


def held_out(config: DictConfig, model: Classifier, data: sets.AudioSet) -> list[float]:
    """Distances of each fold's test recordings to the others: what is near, for a folder of the same kind."""
    values = []
    for each in replicates(config, splits.folds(config)):
        fold = splits.fold(each, data)
        sides = [model.describe(part.signals, part.rate, seed=0) for part in (fold.train, fold.test)]
        values.append(metrics.distance(*sides))
    return values
