"""How well a learner answers about songs that it has not heard, and what leaks where folds are made wrongly.

What is scored is ``learning.fit``, whole: with its choice from the grid and its calibration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy.stats import t as student_t

from songs.labelled import DIVISIONS, Samples, columns_as_samples, divide
from songs.learning import fit, song_means
from songs.scores import DRAWS, Answers, Score, Scores, scores

WHOLE_SONGS = DIVISIONS[2:]  # divisions that part no song
UNITS = ("samples", "songs")  # what an ``Evaluation`` has answers about


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Held-out answers about samples, as the estimator gives them, and about songs, calibrated.

    Where a division parts a song, nothing can be calibrated by songs: its answer is the mean of its samples'.
    """

    samples: Answers
    songs: Answers


def evaluate(
    samples: Samples,
    learner: str = "boosting",
    *,
    yes: str | None = None,
    division: str = "artists",
    folds: int = 5,
    seed: int = 0,
    workers: int = 1,
) -> Evaluation:
    """Answers about every fold by a ``fit`` to the others.

    Parameters
    ----------
    samples, learner, yes, seed
        As ``fit``.
    division : str
        Of the outer folds, and of the inner ones.
    folds : int
        Outer folds.
    workers : int
        Processes, each with a fold; 1 by default, -1: one a core. The answers do not depend on it.

    Raises
    ------
    ValueError
        As ``fit``.
    """
    fold = divide(samples, division, folds=folds, seed=seed)
    parts = Parallel(n_jobs=workers)(
        delayed(_held_out)(samples, learner, yes, division, fold, number, seed)
        for number in range(fold.max() + 1)
    )
    of_samples, of_songs = map(_joined, zip(*parts, strict=True))
    if division not in WHOLE_SONGS:
        songs, means = song_means(of_samples.probability, of_samples.song)
        first = np.unique(of_samples.song, return_index=True)[1]
        of_songs = replace(
            of_samples, **{c: getattr(of_samples, c)[first] for c in ("song", "truth", "artist")},
            probability=means, fold=np.zeros(len(songs), int),
        )  # fmt: skip
    return Evaluation(of_samples, of_songs)


def _held_out(
    samples: Samples, learner: str, yes: str | None, division: str, fold: np.ndarray, number: int, seed: int
) -> tuple[Answers, Answers]:
    test = samples.part(fold == number)
    model = fit(samples.part(fold != number), learner, yes=yes, division=division, seed=seed)
    each = model.of_samples(test.features)
    songs, means = song_means(each, test.song)
    first = np.searchsorted(test.song, songs)  # samples stand in the order of their songs
    return tuple(
        Answers(
            samples.labels,
            test.song[rows],
            np.searchsorted(samples.labels, test.label[rows]),
            probability,
            np.full(len(probability), number),
            test.artist[rows],
        )
        for rows, probability in ((slice(None), each), (first, model.calibrated(means)))
    )


def _joined(parts: Sequence[Answers]) -> Answers:
    columns = ("song", "truth", "probability", "fold", "artist")
    return Answers(
        parts[0].labels, *(np.concatenate([getattr(part, column) for part in parts]) for column in columns)
    )


def leak_table(
    samples: Samples,
    learner: str = "tree",
    *,
    yes: str | None = None,
    songs: pd.DataFrame | None = None,
    columns: Sequence[str] = ("codec", "rate"),
    shuffles: int = 20,
    folds: int = 5,
    draws: int = DRAWS,
    seed: int = 0,
    workers: int = 1,
) -> dict[str, dict[str, Score]]:
    """AUC per sample and per song by what is kept whole between learning and test: row -> unit -> AUC.

    Rows: each of ``labelled.DIVISIONS``, where the difference to "artists" is what the division leaks;
    "shuffled labels", the mean of ``shuffles`` dealings of the labels among songs, folds by artist, which has
    to be 0.5: the procedure gives nothing away; and, with the table ``songs``, what the columns of the file
    tell of the label, folds by song.

    Parameters
    ----------
    samples, learner, yes, folds, seed, workers
        As ``evaluate``.
    songs, columns
        As ``labelled.columns_as_samples``.
    shuffles : int
        One has a standard deviation of about 0.06 on a hundred songs, twenty of 0.013. Their interval is of
        their mean, by Student's t.
    draws : int
        Of artists, for the intervals of the other rows.

    Raises
    ------
    ValueError
        As ``evaluate``.
    """
    options = {"yes": yes, "folds": folds, "seed": seed, "workers": workers}

    def both(found: Evaluation) -> dict[str, Scores]:
        return {unit: scores(getattr(found, unit), yes=yes, draws=draws, seed=seed) for unit in UNITS}

    rows = {}
    for division in DIVISIONS:
        found = both(evaluate(samples, learner, division=division, **options))
        rows[division] = {unit: found[unit]["auc"] for unit in UNITS}
    chance = {unit: [] for unit in UNITS}
    for i in range(shuffles):
        found = evaluate(samples.shuffled(seed + i), learner, **options)
        for unit in UNITS:
            chance[unit].append(scores(getattr(found, unit), yes=yes, draws=0)["auc"].value)
    rows["shuffled labels"] = {unit: _mean(values) for unit, values in chance.items()}
    if songs is not None:
        # By song: what a package did to its files holds for all of them, and few packages are no folds.
        found = both(evaluate(columns_as_samples(songs, columns), learner, division="songs", **options))
        rows[" and ".join(columns)] = {unit: found[unit]["auc"] for unit in UNITS}
    return rows


def _mean(values: Sequence[float]) -> Score:
    mean, n = float(np.mean(values)), len(values)
    if n < 2:
        return Score(mean, None, None)
    half = float(student_t.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n))
    return Score(mean, mean - half, mean + half)
