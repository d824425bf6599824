"""What a classifier of sounds has to be better than; both take part in runs like any other model.

One config serves them and the network, so they take its options too (``_``) and have no use for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from models.labels import indices
from study import embeddings


class Baseline:
    """Learned in one step, without options."""

    steps = 1

    def __init__(self, **_) -> None:
        pass


class Majority(Baseline):
    """Says the commonest label of the training set, whatever it hears; its probabilities are the shares."""

    def train(
        self, signals: Sequence[np.ndarray], rate: int, *, labels: Sequence[str], seed: int
    ) -> Iterator[int]:
        classes, self.names = indices(labels, len(signals))
        self.shares = np.bincount(classes) / len(classes)
        yield 1

    def probabilities(self, signals: Sequence[np.ndarray], rate: int) -> np.ndarray:
        return np.tile(self.shares, (len(signals), 1))


class CepstralRegression(Baseline):
    """Logistic regression on mean and deviation of 20 cepstral coefficients and their differences.

    The embedding "mfcc" of ``study.embeddings``, standardised.
    """

    def train(
        self, signals: Sequence[np.ndarray], rate: int, *, labels: Sequence[str], seed: int
    ) -> Iterator[int]:
        classes, self.names = indices(labels, len(signals))
        self.pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
        self.pipeline.fit(_described(signals, rate), classes)
        yield 1

    def probabilities(self, signals: Sequence[np.ndarray], rate: int) -> np.ndarray:
        return self.pipeline.predict_proba(_described(signals, rate))


def _described(signals: Sequence[np.ndarray], rate: int) -> np.ndarray:
    """(sounds, 120): of 20 coefficients, their differences and second differences, mean and deviation."""
    embedding = embeddings.load("mfcc")
    return np.stack([embeddings.file_vector(embedding, signal, rate) for signal in signals])
