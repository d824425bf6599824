"""A classifier to hand out: every fold scored, then trained on everything, calibrated, in one file.

The score in the file is of recordings that the scored models had not heard (``ablations.splits``): each fold
is a run of the gate, ``runs/<name>/<fold>/``. What is handed out has learned from all folds, so it should be
a little better than its score. Its temperature is fitted to the predictions of all folds.
"""

from __future__ import annotations

import shutil
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
from study import datasets


def calibrated(predictions: Predictions) -> np.ndarray:
    """Probabilities, (files, names), at the temperature that the predictions of the other folds ask for."""
    return predictions.out_of_fold(temperature, tempered)


def release(name: str, overrides: Sequence[str], out: Path | str, *, workers: int = -1) -> Classifier:
    """Score, train, calibrate, describe; write the model file ``out`` and return the model.

    An interrupted one goes on where it was.

    Parameters
    ----------
    name, overrides
        The config, as ``ablations.config.load``; seed 0 is what is trained on all recordings.
    out : path
        Of the model file, .safetensors; its folder is made.
    workers : int
        Processes for the folds; -1: one a core.

    Returns
    -------
    Classifier
        Its ``facts`` are in the file too: config, data, source, number of files, ``split_by``, the accuracy
        with its interval and that of each fold, and ``held_out``, distances of the folds to the rest.

    Raises
    ------
    ConfigError
        For a config that is no classifier with a model file, and for a file that is there.
    """
    out = Path(out)
    if out.exists():
        raise ConfigError(f"{out} is there already; give another name to --out, or remove it")
    config = load([*overrides, "seed=0"], config_name=name)
    # First, since it takes no time to find out that the config is of another model.
    model = instantiate(config.model)
    if not isinstance(model, Classifier):
        raise ConfigError(f"{name} keeps no model file; release a config of models.classifier.Classifier")
    held_out = predictions(folds(name, overrides, workers=workers))
    data = splits.whole(config)
    checkpoint = run.folder(config).parent / f".whole.{run.identity(config)[:12]}.checkpoint" / "state"
    steps = model.train(data.signals, data.rate, labels=data.labels, seed=0, checkpoint=checkpoint)
    for _ in tqdm(steps, total=model.steps, desc="all recordings", disable=None):
        pass
    # Its own predictions would be of what it has learned: the temperature is that of the folds' models.
    model.calibrate(held_out.probabilities, held_out.labels)
    model.described = model.describe(data.signals, data.rate, seed=0)
    model.facts = {
        "config": name,
        "data": data.name,
        "source": data.source,
        "files": len(data),
        "split_by": config.data.split_by,
        **accuracy(held_out),
        "held_out": distances_held_out(config, model, data),
    }
    model.save(out)
    shutil.rmtree(checkpoint.parent, ignore_errors=True)
    return model


def distances_held_out(config: DictConfig, model: Classifier, data: datasets.AudioSet) -> list[float]:
    """Distance of each fold's test recordings to its others: how near a folder of the same kind is.

    A folder to be named is far where it lies beyond the largest of them (``models.predict``).
    """
    values = []
    for each in replicates(config, splits.folds(config)):
        fold = splits.fold(each, data)
        sides = [model.describe(part.signals, part.rate, seed=0) for part in (fold.train, fold.test)]
        values.append(metrics.distance(*sides))
    return values
