"""Model files of classifiers: loaded without running code that is in them.

Conventions
    file      skops' format, a zip of a JSON schema and .npy arrays. Of the safe kinds it takes the least
              code: an estimator of any learner is kept as it is, to the last bit. ONNX would round to
              float32 and needs two large packages; arrays alone would need a ``predict_proba`` of our own
              for each learner. A pickle runs what its author likes.
    trusted   types that are built from a file: skops' own list (numpy, scipy, scikit-learn's estimators),
              and ``TRUSTED``, written here. What a file itself asks to be trusted is never taken.
    sound     trees and neighbours are walked by compiled code that checks no index. Every index is checked
              before anything is asked of a model, or a file could read memory that is not its own.
"""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import numpy as np
import sklearn
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.tree import DecisionTreeClassifier

from audio_distance.storage import replacing
from songs.learning import LEARNERS, Classifier

VERSION = 1
LARGEST = 2**31  # bytes, unpacked: a zip of zeros can be a thousand times larger than its file
TRUSTED = (  # parts of fitted estimators; the private modules that scikit-learn 1.9 has them in
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.tree._tree.Tree",
)
_ARRAYS = ("names", "medians", "slope", "offset")


def save(classifier: Classifier, path: str | os.PathLike[str]) -> None:
    """Write a model file, whole or not at all; what was there is replaced."""
    import skops.io

    content = {
        "version": VERSION,
        "scikit-learn": sklearn.__version__,
        "learner": classifier.learner,
        "labels": list(classifier.labels),
        "yes": classifier.yes,
        **{name: getattr(classifier, name) for name in _ARRAYS},
        "estimator": classifier.estimator,
        "facts": json.dumps(classifier.facts),
    }
    with replacing(path) as part, open(part, "wb") as file:
        skops.io.dump(content, file)
        file.flush()
        os.fsync(file.fileno())


def load(path: str | os.PathLike[str]) -> Classifier:
    """The classifier of a model file.

    Raises
    ------
    ValueError
        Naming the file: no model file, one that asks for a type that is not trusted, of another version of
        this code or of scikit-learn, or with parts that do not fit each other.
    OSError
        For a file that cannot be opened.
    """
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > LARGEST:
            raise ValueError(f"{size} bytes when unpacked; at most {LARGEST} are read")
        content = skops.io.load(Path(path), trusted=list(TRUSTED))
    except UntrustedTypesFoundException as error:
        raise ValueError(f"{path}: not loaded, it asks for code that no model has ({error})") from None
    except OSError:
        raise
    except Exception as error:  # whatever a damaged zip or schema makes skops stumble over
        raise ValueError(f"{path}: no model file ({type(error).__name__}: {error})") from None
    try:
        return _classifier(content)
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        raise ValueError(f"{path}: no model file of this code ({error})") from None


def _classifier(content: dict) -> Classifier:
    for name, own in (("version", VERSION), ("scikit-learn", sklearn.__version__)):
        if _series(content[name]) != _series(own):
            raise ValueError(
                f"{name} {content[name]}, here it is {own}: train again, or use what it was made by"
            )
    model = Classifier(
        learner=content["learner"],
        labels=tuple(content["labels"]),
        yes=content["yes"],
        **{name: np.asarray(content[name], str if name == "names" else float) for name in _ARRAYS},
        estimator=content["estimator"],
        facts=json.loads(content["facts"]),
    )
    _sound(model)
    return model


def _series(version: object) -> str:
    """Major and minor: fitted estimators are read by their own series alone."""
    return ".".join(str(version).split(".")[:2])


def _sound(model: Classifier) -> None:
    """ValueError where the parts do not fit each other, or an index leads outside."""
    d, k = len(model.names), len(model.labels)
    shapes = {name: getattr(model, name).shape for name in _ARRAYS}
    if shapes != {"names": (d,), "medians": (d,), "slope": (k,), "offset": (k,)}:
        raise ValueError(f"arrays of the shapes {shapes} for {d} features and {k} labels")
    # The learner's own estimator, and nothing that only calls itself so.
    expected = LEARNERS[model.learner].make(0, model.yes)
    if _kinds(model.estimator) != _kinds(expected):
        raise ValueError(f"a {model.estimator!r} as the learner {model.learner!r}")
    last = _steps(model.estimator)[-1]
    if list(last.classes_) != list(model.labels) or model.estimator.n_features_in_ != d:
        raise ValueError(f"an estimator of {last.n_features_in_} features and of the labels {last.classes_}")
    if isinstance(last, DecisionTreeClassifier):
        tree = last.tree_
        _tree(tree.children_left, tree.children_right, tree.feature, tree.children_left < 0, d)
    elif isinstance(last, HistGradientBoostingClassifier):
        for nodes in (predictor.nodes for stage in last._predictors for predictor in stage):
            if nodes["is_categorical"].any():
                raise ValueError("a tree that asks for categories")
            _tree(nodes["left"], nodes["right"], nodes["feature_idx"], nodes["is_leaf"] > 0, d)
    elif isinstance(last, KNeighborsClassifier):
        _within(last._y, k, "label of a neighbour")
        if last._fit_X.shape != (len(last._y), d):
            raise ValueError(f"neighbours of the shape {last._fit_X.shape} with {len(last._y)} labels")
    _, probability = model.of_songs(model.medians[None], np.array(["any"]))
    if probability.shape != (1, k) or not np.isclose(probability.sum(), 1):
        raise ValueError(f"probabilities {probability}, which are none")


def _steps(estimator: object) -> list:
    return [step for _, step in estimator.steps] if isinstance(estimator, Pipeline) else [estimator]


def _kinds(estimator: object) -> list[type]:
    return [type(estimator), *map(type, _steps(estimator))]


def _tree(left: np.ndarray, right: np.ndarray, feature: np.ndarray, leaf: np.ndarray, d: int) -> None:
    """Children come after their parents, so that every walk ends, and inside of the tree."""
    count, inner = len(leaf), ~leaf
    if not count or not leaf[-1]:
        raise ValueError("a tree without an end")
    _within(feature[inner], d, "feature of a tree")
    for child in (left, right):
        _within(child[inner], count, "node of a tree")
        if np.any(child[inner].astype(np.int64) <= np.flatnonzero(inner)):
            raise ValueError("a tree that leads back")


def _within(index: np.ndarray, count: int, what: str) -> None:
    index = np.asarray(index)
    if index.size and (index.astype(np.int64).min() < 0 or index.astype(np.int64).max() >= count):
        raise ValueError(f"{what} outside of the {count} there are")
