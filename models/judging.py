"""How sounds that a model made are judged: distance to recordings, fidelity and coverage, words recognised.

Conventions
    sounds       sequence of mono float arrays, (samples,), at ``rate`` Hz.
    reference    recordings that no model has seen.
    recogniser   ``models.classifier`` of digits or of speakers, trained on recordings only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from joblib import delayed
from omegaconf import DictConfig
from scipy import stats

import metrics
from ablations import run as gate
from ablations import splits, tasks
from models.classifier import Classifier
from study import datasets
from study.distances import nearest_neighbour_quality

SURE = 0.9  # probability of the likeliest digit from which a sound without a label counts as recognised

Sounds = Sequence[np.ndarray]


def distance(reference: Sounds, sounds: Sounds, *, rate: int) -> dict:
    """``value``, its 95 % ``interval`` over files, ``p_value`` and the values of the ``views``."""
    apart = metrics.compare(reference, sounds, rate=rate, workers=1, cache=False)
    return {
        "value": apart.value,
        "interval": list(apart.interval),
        "p_value": apart.p_value,
        "views": apart.views,
    }


def quality(reference: Sounds, sounds: Sounds, *, rate: int) -> dict[str, float]:
    """Fidelity and coverage in the embedding of the distance, one row a sound."""
    rows = [np.stack([_row(sound, rate) for sound in part]) for part in (reference, sounds)]
    return nearest_neighbour_quality(*rows)


def _row(signal: np.ndarray, rate: int) -> np.ndarray:
    return tasks.embedded(signal, rate).mean(axis=0)


def recogniser(signals: Sounds, labels: Sequence[str], rate: int, **options) -> Classifier:
    """A classifier of the labels, trained on one thread from seed 0; ``options`` of ``Classifier``."""
    torch.set_num_threads(1)
    classifier = Classifier(**options)
    for _ in classifier.train(signals, rate, labels=labels, seed=0):
        pass
    return classifier


def recognisers(config: DictConfig, *, workers: int, **options) -> dict[str, Classifier]:
    """For digits and speakers: trained on every recording of digits that a config does not hold out.

    A judge should know all of these; models learn from ``data.train`` of them. ``options`` of ``Classifier``.
    """
    whole = config.copy()
    whole.data.train = len(datasets.digits()) - config.data.reference - config.data.validation
    data = splits.split(whole)
    jobs = [
        delayed(recogniser)(data.train, labels, data.rate, **options)
        for labels in (data.train_labels, data.train_groups)
    ]
    made = gate.in_parallel(jobs, workers=workers, what="recognisers")
    return dict(zip(("digit", "speaker"), made, strict=True))


def recognised(
    sounds: Sounds, recognisers: Mapping[str, Classifier], *, rate: int, labels: Sequence[str] | None
) -> dict:
    """Share of sounds recognised, and how many of each digit and speaker there seem to be.

    Parameters
    ----------
    recognisers : mapping
        "digit" and "speaker".
    labels : sequence of str, optional
        The digits that the sounds should say. Without, only the share is told of which the recogniser is sure
        (``SURE``); with, ``right`` too, and its ``interval`` after Wilson.
    """
    torch.set_num_threads(1)
    probabilities = recognisers["digit"].probabilities(sounds, rate)
    digits = [recognisers["digit"].names[i] for i in probabilities.argmax(axis=1)]
    speakers = recognisers["speaker"].predict(sounds, rate)
    # Which pairs of digit and speaker do not occur tells of lost modes, with labels or without.
    cells = Counter(zip(digits, speakers, strict=True))
    names = [recognisers[kind].names for kind in ("digit", "speaker")]
    counted = {
        "sure": float((probabilities.max(axis=1) >= SURE).mean()),
        "count": len(sounds),
        "cells": [[cells[digit, speaker] for speaker in names[1]] for digit in names[0]],
        "digits": list(names[0]),
        "speakers": list(names[1]),
    }
    if labels is not None:
        right = int(np.sum(np.array(digits) == np.array(labels)))
        # Wilson: near 0 and 1 the normal interval leaves the unit interval.
        interval = stats.binomtest(right, len(sounds)).proportion_ci(method="wilson")
        counted |= {"right": right / len(sounds), "interval": [interval.low, interval.high]}
    return counted
