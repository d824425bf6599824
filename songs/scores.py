"""How good answers are, with intervals that draw artists.

Conventions
    answers      what was said of samples, or of songs, by models that had not learned from them.
    yes          the label in question; all others are "no". Without one, a measure is the mean over the
                 labels, each in question once.
    called       an answer calls its likeliest label.
    precision, recall, f05   of what is called yes. F0.5 counts precision twice as much as recall. Precision
                 and F0.5 are 0 where nothing is called yes.
    auc          chance that a yes is ranked above a no *of the same fold*, ties count half. Answers of two
                 folds come from two models. Pooled, they rank below chance where there is nothing to find:
                 a fold with more yes is judged by a model that saw fewer (Parker, Guenter and Bedo 2007,
                 doi:10.1186/1471-2105-8-326).
    average_precision   mean precision over the ranks of yes, all folds in one ranking; chance is the share
                 of yes.
    brier        mean squared distance of the probability to what is true, 0 or 1; low is good.
    interval     percentile of a cluster bootstrap: artists are drawn with replacement, with all their songs
                 and samples. Too narrow with few artists; their number stands beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

MEASURES = ("precision", "recall", "f05", "auc", "average_precision", "brier")
DRAWS = 2000  # as everywhere in the report
CELLS = 2**22  # weights that are held at once, 32 MB


@dataclass(frozen=True, eq=False)
class Answers:
    """Held-out answers about samples or songs.

    Attributes
    ----------
    labels : tuple (k,)
    song : array (m,)
        What each answer is about, or a sample of.
    truth : array (m,)
        Index of its label.
    probability : array (m, k)
        Of the labels.
    fold : array (m,)
        Number of the model that answered.
    artist : array (m,)
        What the intervals draw.

    Raises
    ------
    ValueError
        For a label that no answer is about, with the counts: measures that need both would be undefined.
    """

    labels: tuple[str, ...]
    song: np.ndarray
    truth: np.ndarray
    probability: np.ndarray
    fold: np.ndarray
    artist: np.ndarray

    def __post_init__(self) -> None:
        counts = np.bincount(self.truth, minlength=len(self.labels))
        if len(counts) < 2 or not counts.all():
            told = ", ".join(f"{n} {label}" for n, label in zip(counts, self.labels, strict=True))
            raise ValueError(
                f"a test set of {told}: no measure tells anything without both; was it cut wrongly?"
            )

    def __len__(self) -> int:
        return len(self.truth)


@dataclass(frozen=True)
class Score:
    """A value and its interval; no ends where artists cannot be drawn."""

    value: float
    low: float | None
    high: float | None

    def __str__(self) -> str:
        ends = "" if self.low is None else f" ({self.low:.3f} to {self.high:.3f})"
        return f"{self.value:.3f}{ends}"


@dataclass(frozen=True)
class Scores:
    """Measures of answers: name -> ``Score``; how many answers and artists they are of.

    ``left_out``: share of the draws of artists that lacked a label, where measures are undefined. They are in
    no interval, which with many of them is one of luckier collections than this one.
    """

    measures: dict[str, Score]
    answers: int
    artists: int
    left_out: float

    def __getitem__(self, name: str) -> Score:
        return self.measures[name]


def scores(
    answers: Answers,
    *,
    yes: str | None = None,
    against: Answers | None = None,
    level: float = 0.95,
    draws: int = DRAWS,
    seed: int = 0,
) -> Scores:
    """Precision, recall, F0.5, AUC, average precision and Brier score, with intervals.

    Parameters
    ----------
    answers : Answers
    yes : str, optional
        The label in question; None takes the mean over the labels.
    against : Answers, optional
        Others about the same: the scores are then differences, ``answers`` minus these.
    level, draws, seed
        Of the intervals.

    Raises
    ------
    ValueError
        For a ``yes`` that is no label, and ``against`` about others.
    """
    if yes is not None and yes not in answers.labels:
        raise ValueError(f"no label {yes!r} among {', '.join(answers.labels)}")
    if against is not None and not (
        np.array_equal(answers.song, against.song) and np.array_equal(answers.truth, against.truth)
    ):
        raise ValueError("the answers compared are about different songs")
    artists, index = np.unique(answers.artist, return_inverse=True)
    rng = np.random.default_rng(seed)

    def measured(of_artist: np.ndarray) -> np.ndarray:
        values = _measures(answers, of_artist[:, index], yes)
        return values if against is None else values - _measures(against, of_artist[:, index], yes)

    values = measured(np.ones((1, len(artists))))[:, 0]
    drawn, batch = [np.empty((len(MEASURES), 0))], max(1, CELLS // len(answers))
    for start in range(0, draws, batch):
        count = min(batch, draws - start)
        # How often each artist is drawn, as if one at a time.
        drawn.append(measured(rng.multinomial(len(artists), np.full(len(artists), 1 / len(artists)), count)))
    table = np.concatenate(drawn, axis=1)
    whole = np.isfinite(table).all(axis=0)
    tails = [(1 - level) / 2, (1 + level) / 2]
    ends = np.quantile(table[:, whole], tails, axis=1) if whole.any() and len(artists) > 1 else None
    measures = {
        name: Score(float(values[i]), *((None, None) if ends is None else map(float, ends[:, i])))
        for i, name in enumerate(MEASURES)
    }
    return Scores(measures, len(answers), len(artists), float(1 - whole.mean()) if draws else 0.0)


def _measures(answers: Answers, weights: np.ndarray, yes: str | None) -> np.ndarray:
    """``MEASURES``, (measures, draws), of answers that count ``weights`` (draws, m) times; NaN: undefined.

    scikit-learn has all of these for one draw at a time; thousands of draws share one ranking here.
    """
    called = answers.probability.argmax(axis=1)
    of_labels = []
    for k, label in enumerate(answers.labels):
        if yes in (None, label):
            truth, score = answers.truth == k, answers.probability[:, k]
            hits, said = weights @ (truth & (called == k)), weights @ (called == k)
            there = weights @ truth
            with np.errstate(invalid="ignore", divide="ignore"):  # undefined draws are left out by name
                precision = np.where(said > 0, hits / said, 0.0)
                recall = hits / there
                f05 = 1.25 * hits / (0.25 * there + said)
                brier = weights @ np.square(score - truth) / weights.sum(axis=1)
            of_labels.append(
                [
                    *(precision, recall, f05),
                    *(_auc(truth, score, answers.fold, weights), _average_precision(truth, score, weights)),
                    brier,
                ]
            )
    return np.mean(of_labels, axis=0)


def _auc(truth: np.ndarray, score: np.ndarray, fold: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Share of the pairs (yes, no) within folds that are ranked rightly, (draws,)."""
    right, pairs = np.zeros(len(weights)), np.zeros(len(weights))
    for number in np.unique(fold):
        inside = fold == number
        yes, no = _by_rank(truth[inside], score[inside], weights[:, inside])
        right += np.sum(yes * (np.cumsum(no, axis=1) - no / 2), axis=1)
        pairs += yes.sum(axis=1) * no.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return right / pairs


def _average_precision(truth: np.ndarray, score: np.ndarray, weights: np.ndarray) -> np.ndarray:
    yes, no = _by_rank(truth, -score, weights)
    with np.errstate(invalid="ignore"):
        precision = np.cumsum(yes, axis=1) / np.cumsum(yes + no, axis=1)
        # Ranks that nobody drew before the first answer have no precision, and no yes.
        return np.sum(yes * np.nan_to_num(precision), axis=1) / yes.sum(axis=1)


def _by_rank(truth: np.ndarray, score: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights of yes and of no at each value of the score, (draws, values), low to high."""
    order = np.argsort(score, kind="stable")
    starts = np.flatnonzero(np.concatenate([[True], np.diff(score[order]) > 0]))
    sides = (weights[:, order] * side for side in (truth[order], ~truth[order]))
    return tuple(np.add.reduceat(side, starts, axis=1) for side in sides)


def roc(answers: Answers, yes: str | None = None, *, points: int = 1001) -> tuple[np.ndarray, np.ndarray]:
    """Shares of no, and of yes, that are called yes as the threshold falls, (points + 1,) each, from 0 to 1.

    The mean of the folds' curves, by their pairs, so that the area under it is ``auc``. Without ``yes``, the
    mean over the labels.
    """
    shares = np.linspace(0, 1, points)
    labels = range(len(answers.labels)) if yes is None else [answers.labels.index(yes)]
    curve = np.mean([_roc(answers, k, shares) for k in labels], axis=0)
    return np.append(0, shares), np.append(0, curve)


def _roc(answers: Answers, k: int, shares: np.ndarray) -> np.ndarray:
    curve, pairs = np.zeros(len(shares)), 0
    for number in np.unique(answers.fold):
        inside = answers.fold == number
        # Lowest rank last: the threshold falls. All count once.
        sides = _by_rank(
            answers.truth[inside] == k, -answers.probability[inside, k], np.ones((1, inside.sum()))
        )
        hits, misses = (np.append(0, np.cumsum(side)) for side in sides)
        if hits[-1] and misses[-1]:
            weight = hits[-1] * misses[-1]
            curve += weight * np.interp(shares, misses / misses[-1], hits / hits[-1])
            pairs += weight
    return curve / pairs


def reliability(answers: Answers, yes: str, *, bins: int = 5) -> list[tuple[float, float, int]]:
    """Mean probability, share of yes, and number of answers in ``bins`` of equally many, low to high."""
    k = answers.labels.index(yes)
    order = np.argsort(answers.probability[:, k], kind="stable")
    edges = np.linspace(0, len(order), min(bins, len(order)) + 1).astype(int)
    return [
        (
            float(answers.probability[order[a:b], k].mean()),
            float((answers.truth[order[a:b]] == k).mean()),
            int(b - a),
        )
        for a, b in pairwise(edges)
    ]


def table(rows: dict[str, Scores], measures: Sequence[str] = MEASURES) -> str:
    """Scores as text, a line each, with the numbers of answers and artists and what was left out."""
    lines = [["", *measures, "answers", "artists"]]
    for name, row in rows.items():
        lines.append([name, *(str(row[m]) for m in measures), str(row.answers), str(row.artists)])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = ["  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines]
    text.insert(1, "  ".join("-" * w for w in widths))
    if left_out := max((row.left_out for row in rows.values()), default=0.0):
        text.append(f"{left_out:.2%} of the draws of artists lacked a label and are in no interval")
    return "\n".join(text)
