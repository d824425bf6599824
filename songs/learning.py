"""Learning labels from samples, and answers about songs: fitted, calibrated, with reasons.

Conventions
    learner        a name in ``LEARNERS``; scikit-learn does the learning. Two of them learn nothing:
                   "majority" answers with the shares of the labels, "always yes" with one label.
    answer         about a song: the mean probability of its samples, calibrated. The mean, since it is
                   bounded: of log-odds, one leaf of a tree that saw few samples could decide a song.
    calibration    Platt's (1999): per label, expit(slope * log-odds + offset), then normalised, fitted to
                   songs that the model had not learned from. Two numbers a label, since songs are few:
                   isotonic regression overfits below about a thousand (scikit-learn's guide). The slope is
                   never below zero: where nothing was learned, the answer is the share of the label, and
                   not its opposite.
    nested         whatever is chosen, the grid's point and the calibration, is chosen on inner folds of
                   what is learned from, divided as the outer ones are.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.special import expit, logit
from sklearn.base import BaseEstimator, clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from songs.labelled import Samples, divide, fewest_groups, group_of
from songs.scores import DRAWS

INNER_FOLDS = 3  # fewer where a label has fewer artists
SURE = 1e-3  # nearest that a probability comes to 0 or 1: a leaf of a tree may say 0 of what it never saw
BASELINES = ("majority", "always yes")


@dataclass(frozen=True)
class Learner:
    """``make(seed, yes)`` gives an unfitted classifier, ``grid`` the values of parameters to choose from."""

    make: Callable[[int, str | None], BaseEstimator]
    grid: Mapping[str, Sequence]


# Early stopping stays off: its own validation set is drawn from samples, not from artists.
LEARNERS: dict[str, Learner] = {
    "majority": Learner(lambda seed, yes: DummyClassifier(strategy="prior"), {}),
    "always yes": Learner(lambda seed, yes: DummyClassifier(strategy="constant", constant=yes), {}),
    "tree": Learner(
        lambda seed, yes: DecisionTreeClassifier(random_state=seed),
        {"max_depth": [2, 4, 8], "min_samples_leaf": [1, 10, 100]},
    ),
    "boosting": Learner(
        lambda seed, yes: HistGradientBoostingClassifier(early_stopping=False, random_state=seed),
        {"max_iter": [30, 100], "max_leaf_nodes": [4, 16]},
    ),
    "neighbours": Learner(
        lambda seed, yes: make_pipeline(StandardScaler(), KNeighborsClassifier(algorithm="brute")),
        {"kneighborsclassifier__n_neighbors": [5, 15, 45, 135]},
    ),
    "network": Learner(
        lambda seed, yes: make_pipeline(
            StandardScaler(), MLPClassifier((32,), max_iter=100, random_state=seed)
        ),
        {"mlpclassifier__alpha": [1e-3, 1e-1, 10.0]},
    ),
}


@dataclass(frozen=True)
class Reason:
    """What a group of features does to an answer: the change of its log-odds against the training median.

    ``value`` and ``median`` are of a group of one column, the song's mean first; None for vectors.
    """

    group: str
    change: float
    value: float | None
    median: float | None


@dataclass(frozen=True)
class Answer:
    """Of one song: ``label`` in question, its ``probability``, and the ``share`` of its samples called so.

    ``low`` and ``high``: 95 % interval that draws the song's samples. It tells how much the answer hangs on
    the excerpts drawn, not how often such answers are right, which is what the probability tells.
    """

    label: str
    probability: float
    low: float
    high: float
    share: float
    samples: int
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, eq=False)
class Classifier:
    """A fitted learner with its calibration; ``fit`` makes it.

    Attributes
    ----------
    learner : str
    labels : tuple (k,)
        Sorted.
    yes : str or None
        The label in question, if one is.
    names : array (d,)
        Of the features, in the order in which the estimator takes them.
    medians : array (d,)
        Of the features that it was fitted to.
    estimator
        Of scikit-learn, fitted.
    slope, offset : arrays (k,)
        Of the calibration.
    facts : dict
        What is known of it and can be JSON: scores, numbers of songs, how samples were drawn.
    """

    learner: str
    labels: tuple[str, ...]
    yes: str | None
    names: np.ndarray
    medians: np.ndarray
    estimator: BaseEstimator
    slope: np.ndarray
    offset: np.ndarray
    facts: dict = field(default_factory=dict)

    def of_samples(self, features: np.ndarray) -> np.ndarray:
        """Probabilities of the labels of each sample, (n, k), as the estimator gives them."""
        features = np.asarray(features, float)
        if features.ndim != 2 or features.shape[1] != len(self.names):
            raise ValueError(f"features have the shape {features.shape}; (n, {len(self.names)}) is needed")
        if not np.isfinite(features).all():
            column = self.names[np.argwhere(~np.isfinite(features))[0, 1]]
            raise ValueError(f"{column} is not finite: silence, or a feature that was not computed")
        return self.estimator.predict_proba(features)

    def calibrated(self, means: np.ndarray) -> np.ndarray:
        """Probabilities of the labels of songs, (..., k), from the means of their samples'."""
        if self.learner in BASELINES:
            return means
        each = expit(self.slope * _log_odds(means) + self.offset)
        return each / each.sum(axis=-1, keepdims=True)

    def of_songs(self, features: np.ndarray, song: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Songs, sorted, and the calibrated probabilities of their labels, (songs, k)."""
        songs, means = song_means(self.of_samples(features), song)
        return songs, self.calibrated(means)

    def answer(self, features: np.ndarray, *, draws: int = DRAWS, seed: int = 0) -> Answer:
        """What is said of one song by its samples, (n, d): about ``yes``, else about its likeliest label."""
        each = self.of_samples(features)
        probability = self.calibrated(each.mean(axis=0))
        k = int(probability.argmax()) if self.yes is None else self.labels.index(self.yes)
        n = len(each)
        weights = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), draws) / n
        low, high = np.quantile(self.calibrated(weights @ each)[:, k], [0.025, 0.975])
        return Answer(
            self.labels[k],
            float(probability[k]),
            float(low),
            float(high),
            float(np.mean(each.argmax(axis=1) == k)),
            n,
            tuple(self.reasons(features, self.labels[k])),
        )

    def reasons(self, features: np.ndarray, label: str) -> list[Reason]:
        """Groups of features by how much they speak for (above 0) or against a label, largest first.

        All columns of a group (``labelled.group_of``) take the training median in all samples of the song:
        the change of the answer's log-odds is what the group had said. Of groups that say the same thing,
        each gets less than it would alone.
        """
        features, k = np.asarray(features, float), self.labels.index(label)
        groups = np.array([group_of(name) for name in self.names])

        def log_odds(values: np.ndarray) -> float:
            return float(logit(self.calibrated(self.of_samples(values).mean(axis=0))[k]))

        found, whole = [], log_odds(features)
        for group in np.unique(groups):
            inside = groups == group
            change = whole - log_odds(np.where(inside, self.medians, features))
            single = (
                (features[:, inside].mean(), self.medians[inside][0]) if inside.sum() == 1 else (None,) * 2
            )
            found.append(Reason(str(group), change, *(None if x is None else float(x) for x in single)))
        return sorted(found, key=lambda reason: (-abs(reason.change), reason.group))


def song_means(values: np.ndarray, song: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Songs, sorted, and the means of the rows (n, k) of each, (songs, k)."""
    table = pd.DataFrame(values).groupby(np.asarray(song, dtype=str), sort=True).mean()
    return table.index.to_numpy(str), table.to_numpy()


def _log_odds(probability: np.ndarray) -> np.ndarray:
    return logit(np.clip(probability, SURE, 1 - SURE))


def _log_likelihood(estimator: BaseEstimator, features: np.ndarray, label: np.ndarray) -> float:
    """Mean log-probability of what is true: what grids are scored by, for any number of labels."""
    column = np.searchsorted(estimator.classes_, label)
    right = estimator.predict_proba(features)[np.arange(len(label)), column]
    return float(np.mean(np.log(np.maximum(right, SURE))))


def fit(
    samples: Samples,
    learner: str = "boosting",
    *,
    yes: str | None = None,
    division: str = "artists",
    folds: int = INNER_FOLDS,
    seed: int = 0,
) -> Classifier:
    """A classifier of songs by their samples.

    Parameters
    ----------
    samples : Samples
    learner : str
        Of ``LEARNERS``.
    yes : str, optional
        The label in question; "always yes" needs it.
    division : str
        Of the inner folds (``labelled.divide``), on which the grid's point and the calibration are chosen.
        Anything but "artists" is there to show what leaks.
    folds : int
        Inner folds, at most; a label with fewer artists has as many as these.
    seed : int
        Of the learner and of the folds.

    Raises
    ------
    ValueError
        For an unknown learner or label, and as ``divide``.
    """
    if learner not in LEARNERS:
        raise ValueError(f"unknown learner {learner!r}; of {', '.join(LEARNERS)}")
    if (yes is None and learner == "always yes") or yes not in (None, *samples.labels):
        raise ValueError(f"yes is {yes!r}; one of the labels {', '.join(samples.labels)} is needed")
    estimator = LEARNERS[learner].make(seed, yes)
    slope, offset = np.ones(len(samples.labels)), np.zeros(len(samples.labels))
    if learner in BASELINES:
        estimator.fit(samples.features, samples.label)
    else:
        division = "samples" if division == "one split of samples" else division
        folds = min(folds, fewest_groups(samples, division)[0])
        fold = divide(samples, division, folds=max(folds, 2), seed=seed)
        with warnings.catch_warnings():
            # A network that stops after its epochs is what the grid compares.
            warnings.simplefilter("ignore", ConvergenceWarning)
            estimator = _chosen(estimator, LEARNERS[learner].grid, samples, fold)
            slope, offset = _calibration(samples, fold, estimator)
    medians = np.median(samples.features, axis=0)
    return Classifier(learner, samples.labels, yes, samples.names, medians, estimator, slope, offset)


def _chosen(
    estimator: BaseEstimator, grid: Mapping[str, Sequence], samples: Samples, fold: np.ndarray
) -> BaseEstimator:
    """The point of the grid that held-out samples are likeliest by, fitted to all samples."""
    smallest = len(samples) - np.bincount(fold).max()
    possible = {
        name: [v for v in values if not name.endswith("n_neighbors") or v <= smallest] or [int(smallest)]
        for name, values in grid.items()
    }
    search = GridSearchCV(estimator, possible, scoring=_log_likelihood, cv=PredefinedSplit(fold))
    return search.fit(samples.features, samples.label).best_estimator_


def _calibration(
    samples: Samples, fold: np.ndarray, estimator: BaseEstimator
) -> tuple[np.ndarray, np.ndarray]:
    """Slope and offset of each label, from songs answered by the same estimator without their fold."""
    means, truth = [], []
    for number in range(fold.max() + 1):
        inside = fold == number
        held_out = clone(estimator).fit(samples.features[~inside], samples.label[~inside])
        songs, mean = song_means(held_out.predict_proba(samples.features[inside]), samples.song[inside])
        means.append(mean)
        truth.append(labels_of(songs, samples))
    scale, truth = _log_odds(np.concatenate(means)), np.concatenate(truth)
    slope, offset = np.zeros(len(samples.labels)), np.zeros(len(samples.labels))
    for k in range(len(samples.labels)):
        # A weak penalty: songs that are all told apart would ask for an infinite slope.
        line = LogisticRegression(C=10.0).fit(scale[:, [k]], truth == k)
        if line.coef_[0, 0] < 0:
            line = LogisticRegression(C=10.0).fit(np.zeros((len(truth), 1)), truth == k)
        slope[k], offset[k] = line.coef_[0, 0], line.intercept_[0]
    return slope, offset


def labels_of(songs: np.ndarray, samples: Samples) -> np.ndarray:
    """Index of the label of each of the songs."""
    known, first = np.unique(samples.song, return_index=True)
    return np.searchsorted(samples.labels, samples.label[first[np.searchsorted(known, songs)]])
