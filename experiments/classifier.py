"""How good is the classifier, what does each part of it bring, and what happens in a new folder?

400 environmental sounds in five published folds for the ladder; these, 3,000 spoken digits (by digit and by
unseen speakers) and rendered instruments (by unseen programs) for the whole classifier. Fold k is seed k.

Conventions
    ladder      configs that differ in one thing from the one before, each run on every fold; the gate judges
                the step, paired by fold. ``repeats`` seeds a fold are averaged first: they test the same
                recordings and are no further draws.
    divisions   the whole classifier on every set of recordings, held out as ``configs/folds`` says; and the
                same recordings held out without a look at their groups, which flatters.
    condition   a new folder: recordings that were not trained on, as they are or changed. ``drop`` is the
                accuracy on held-out recordings of the kind that was trained on ("held out": the same
                sources, speakers, programs) minus the accuracy there.
    distance    ``metrics.compare`` of ``DESCRIBED`` training recordings with the folder. It does not look at
                labels. ``confidence`` is the mean probability of the likeliest label, which does not either.

Runs are the gate's, and conditions are kept beside them (joblib's cache): the command goes on after an
interrupt.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path

import joblib
import numpy as np
import soxr
from joblib import delayed
from scipy import stats
from sklearn.metrics import confusion_matrix

import metrics
from ablations import run as gate
from ablations import splits, tasks
from ablations.config import load, replicates
from ablations.cross_validation import Predictions, accuracy, predictions
from ablations.run import MODEL
from ablations.statistics import judge, mean_interval
from models.classifier import DESCRIBED, Classifier, temperature
from models.predict import Far
from models.release import calibrated
from study import datasets
from study.datasets.distortions import DISTORTIONS, SEVERITIES

DATA = ("digits", "sounds")
NEEDS = ("PyTorch", "Hydra")
TAKES = "an hour and a half"

LADDER = ("majority", "cepstral", "plain", "crop", "masks", "mixup", "single", "")  # "": the whole
VARIANTS = ("mfcc", "mfcc_deltas", "focal", "unnormalised")  # against SINGLE
SINGLE = "single"
LADDER_ON = "sounds"
GOAL, LISTENERS = 0.9, 0.957  # set beforehand; of people on ESC-10 (Piczak 2015)
CHOSEN_ON = "folds 1 to 4"  # length of the window, steps, members
DIVISIONS = ("sounds", "digits", "speakers", "families")
FLATTERED = {  # of the same kind, held out without a look at groups: a division, or overrides of the own one
    "speakers": "digits",
    "families": ("folds=families", "data.split_by=file"),
}
HELD_OUT = "held out"
NEW = {"speakers": "unknown speaker", "families": "unknown programs"}  # what their test folds are
REPEATS = 1
CHANGES = ("noise", "low_pass", "high_pass", "reverberation", "clipping", "codec_mp3", "speed")
GRADES = (2, 5)
RATES = (4000, 16000)  # Hz, at which the recordings are kept
KEPT = 3  # labels that are left where classes are missing
PERMUTATIONS = 999
DRAWS = 2000  # of the bootstrap


def name_of(rung: str) -> str:
    """The config of a rung of the ladder or of a variant: "crop" is ``classifier_crop``, "" the whole."""
    return f"classifier_{rung}" if rung else "classifier"


def configs(rung: str, overrides: Sequence[str], *, runs: str, repeats: int = 1) -> list:
    """One config a fold and repeat; fold k is seeds k, k + folds, ...

    ``rung`` as in ``name_of``; ``overrides`` say which division (``folds=sounds``), and ``runs`` where runs
    lie. The number of folds is read from the set: five published ones of ESC-10, one of the digits.
    """
    first = load([*overrides, f"runs={runs}"], config_name=name_of(rung))
    return replicates(first, repeats * _folds(tuple(overrides)))


@lru_cache  # the set is read for it, and a dozen groups of runs ask
def _folds(overrides: Sequence[str]) -> int:
    """Of a division; the set is read to count its published ones."""
    return splits.folds(load(list(overrides), config_name="classifier"))


def options(parser: argparse.ArgumentParser) -> None:
    """Adds ``--repeats``: seeds of every fold, averaged before the gate judges."""
    parser.add_argument(
        "--repeats", type=int, default=REPEATS, help="seeds of every fold in the ladder (default %(default)s)"
    )


def run(*, runs: str = "runs", workers: int = -1, repeats: int = REPEATS) -> dict:
    """Make the runs that are missing, and measure ladder, divisions and new folders.

    ``runs`` is the folder of the runs, ``repeats`` the seeds of every fold in the ladder. All shares are of
    one; intervals are 95 % (over folds: Student's t; over files: as
    ``ablations.cross_validation.accuracy``).

    Returns
    -------
    dict
        ladder      rung -> accuracy, interval, ``values`` by fold; from the second on ``against`` the rung
                    before, ``gain``, ``gain_interval``, ``p_value`` and ``verdict``
        divisions   division -> accuracy and interval, files, groups, recall by label, ``confusion`` (rows
                    true, columns taken for), ``raw`` and ``calibrated`` (log loss in nats, calibration
                    error, reliability bins), ``temperature``, ``baselines``, ``flattered``, seconds,
                    parameters
        folders     a row each condition of each fold: data, fold, kind, grade, files, accuracy, confidence,
                    drop, less_sure, distance with interval and p_value
        prediction  division or "all" -> rank correlation of the drop with the distance and with the loss of
                    confidence; ``warnings``: folders by drop, and how many of them were warned of
        goal, listeners, chosen_on, kept, changes, grades, compared, ladder_on, repeats
                    the settings above, for the report's text

    Raises
    ------
    datasets.MissingData
        Without the recordings.
    """
    ladder = {
        rung: configs(rung, [f"folds={LADDER_ON}"], runs=runs, repeats=repeats)
        for rung in (*LADDER, *VARIANTS)
    }
    divisions = {name: configs("", [f"folds={name}"], runs=runs) for name in DIVISIONS}
    baselines = {
        (name, rung): configs(rung, [f"folds={name}"], runs=runs) for name in DIVISIONS for rung in LADDER[:2]
    }
    flattered = {
        name: divisions[other] if other in divisions else configs("", other, runs=runs)
        for name, other in FLATTERED.items()
    }
    every = [*ladder.values(), *divisions.values(), *baselines.values(), *flattered.values()]
    # Divisions, baselines and ladder share runs: each is made once.
    unique = {str(gate.folder(config)): config for group in every for config in group}
    gate.in_parallel([delayed(gate.run)(config) for config in unique.values()], workers=workers, what="runs")
    measured = {name: _division(group) for name, group in divisions.items()}
    for (name, rung), group in baselines.items():
        measured[name].setdefault("baselines", {})[rung] = accuracy(predictions(group))
    for name, group in flattered.items():
        measured[name]["flattered"] = accuracy(predictions(group))
    folders = _folders(divisions, flattered, measured, runs, workers)
    return {
        "ladder": _ladder(ladder, repeats),
        "ladder_on": LADDER_ON,
        "repeats": repeats,
        "goal": GOAL,
        "kept": KEPT,
        "chosen_on": CHOSEN_ON,
        "listeners": LISTENERS,
        "divisions": measured,
        "folders": folders,
        "prediction": _prediction(folders),
        "changes": {name: list(map(str, (SEVERITIES[name][g - 1] for g in GRADES))) for name in CHANGES},
        "grades": list(GRADES),
        "compared": DESCRIBED,
    }


# ------------------------------------------------------------------------------------------------ ladder


def _ladder(ladder: dict[str, list], repeats: int) -> dict:
    """Accuracy of each fold by rung, and what the gate says of the step to it."""
    values = {rung: _by_fold(group, repeats) for rung, group in ladder.items()}
    table = {}
    for i, rung in enumerate(LADDER):
        table[rung or "whole"] = {"values": values[rung], **_mean(values[rung])}
        if i:  # the first rung has nothing below it
            table[rung or "whole"] |= {"against": LADDER[i - 1], **_step(values[LADDER[i - 1]], values[rung])}
    for rung in VARIANTS:
        table[rung] = {
            "values": values[rung],
            **_mean(values[rung]),
            "against": SINGLE,
            **_step(values[SINGLE], values[rung]),
        }
    return table


def _by_fold(group: Sequence, repeats: int) -> list[float]:
    each = [gate.read(gate.find(config), "metrics.json")["accuracy"] for config in group]
    # Seeds k, k + folds, ... are one fold: a row a repeat, a column a fold.
    return np.array(each).reshape(repeats, -1).mean(axis=0).tolist()


def _mean(values: Sequence[float]) -> dict:
    return {"accuracy": float(np.mean(values)), "interval": mean_interval(values)}


def _step(before: Sequence[float], after: Sequence[float]) -> dict:
    verdict = judge(before, after, paired=True, higher_is_better=True)
    low, high = (-x for x in verdict.interval[::-1])  # the gate counts worsening
    return {
        "verdict": verdict.verdict,
        "gain": -verdict.effect,
        "gain_interval": [low, high],
        "p_value": verdict.p_value,
    }


# --------------------------------------------------------------------------------------------- divisions


def _division(group: Sequence) -> dict:
    """The whole classifier on one division: accuracy, recall, confusions, calibration, cost."""
    predicted = predictions(group)
    tables = [gate.read(gate.find(config), "metrics.json") for config in group]
    taken = predicted.probabilities.argmax(axis=1)
    return {
        **accuracy(predicted),
        "files": len(predicted.labels),
        "names": predicted.names,
        "recall": tasks.scores(predicted.labels, predicted.probabilities, predicted.names)["recall"],
        "confusion": confusion_matrix(predicted.true_columns, taken, labels=np.arange(len(predicted.names))),
        "raw": _calibration(predicted, predicted.probabilities),
        # Each fold by a temperature fitted on the others; of one fold there are no others.
        "calibrated": _calibration(predicted, calibrated(predicted)) if len(group) > 1 else None,
        "temperature": temperature(predicted.probabilities, predicted.true_columns),
        "seconds": [table["seconds"] for table in tables],
        "parameters": tables[0]["model"]["parameters"],
        "rate": group[0].model.rate,
        "groups": len(set(predicted.groups)),
    }


def _calibration(predicted: Predictions, probabilities: np.ndarray) -> dict:
    """How far probabilities can be believed, and the bins that show it."""
    scores = tasks.scores(predicted.labels, probabilities, predicted.names)
    return {
        "log_loss": scores["log_loss"],
        "error": scores["calibration_error"],
        "bins": tasks.reliability(predicted.true_columns, probabilities),
    }


# ------------------------------------------------------------------------------------------- new folders


def _folders(divisions: dict, flattered: dict, measured: dict, runs: str, workers: int) -> list[dict]:
    """Every condition of every fold's model, and the held-out folders of what was trained on."""
    # By the run's identity, not by its config, which also says where runs lie.
    cached = joblib.Memory(Path(runs) / ".conditions", verbose=0).cache(_conditions, ignore=["config"])
    jobs = []
    for name, group in divisions.items():
        usual = measured[name]["flattered"]["accuracy"] if name in flattered else None
        jobs += [delayed(cached)(name, gate.identity(c), c, usual, True) for c in group]
        if name in flattered:
            jobs += [delayed(cached)(name, gate.identity(c), c, usual, False) for c in flattered[name]]
    return [row for rows in gate.in_parallel(jobs, workers=workers, what="new folders") for row in rows]


def _conditions(name: str, identity: str, config, usual: float | None, is_new: bool) -> list[dict]:
    """The conditions of one run (``identity`` is the cache's key): its test fold as it is, and changed.

    ``usual`` is the accuracy on known speakers or programs, if the test fold holds others; by default that on
    the test fold as it is. With ``is_new`` False the fold is of known ones, and only it is measured.
    """
    fold = splits.fold(config)
    model = Classifier.load(gate.find(config) / MODEL)
    train = model.describe(fold.train.signals, fold.train.rate, seed=0)
    first: dict[str, float] = {}
    rows = []
    for kind, grade, signals, labels, rate in changed(fold.test):
        probabilities = model.probabilities(signals, rate)
        right = probabilities.argmax(axis=1) == [model.names.index(label) for label in labels]
        number = {"accuracy": float(right.mean()), "confidence": float(probabilities.max(axis=1).mean())}
        first = first or number  # of the fold as it is: what a drop is counted from
        here = model.describe(signals, rate, seed=0)
        apart = metrics.compare(train, here, paired=False, permutations=PERMUTATIONS)
        rows.append(
            {
                "data": name,
                "fold": fold.number,
                "kind": NEW.get(name, HELD_OUT) if not kind and is_new else kind or HELD_OUT,
                "grade": grade,
                "files": len(signals),
                **number,
                "drop": (first["accuracy"] if usual is None else usual) - number["accuracy"],
                "less_sure": first["confidence"] - number["confidence"],
                "distance": apart.value,
                "interval": apart.interval,
                "p_value": apart.p_value,
            }
        )
        if not is_new:  # changes of known ones are another division's
            break
    return rows


Condition = tuple[str, int, Sequence[np.ndarray], Sequence[str], int]


def changed(test: datasets.AudioSet) -> Iterator[Condition]:
    """Kind, grade, signals, labels and rate of each new folder that is made of a test fold.

    First the recordings as they are (kind ""), then each of ``CHANGES`` at severities ``GRADES``, kept at
    ``RATES``, and two folders with ``KEPT`` labels each: nothing about a sound changes there, but the
    mixture does. What is random is seeded by the place of a recording in the fold.
    """
    yield "", 0, test.signals, test.labels, test.rate
    for kind in CHANGES:
        for grade in GRADES:
            change = partial(DISTORTIONS[kind], rate=test.rate, severity=grade)
            yield kind, grade, _each(change, test), test.labels, test.rate
    for grade, rate in enumerate(RATES, start=1):
        yield (
            f"at {rate} Hz",
            grade,
            [soxr.resample(s, test.rate, rate) for s in test.signals],
            test.labels,
            rate,
        )
    names = sorted(set(test.labels))
    for grade, kept in enumerate((names[:KEPT], names[-KEPT:]), start=1):
        places = [i for i, label in enumerate(test.labels) if label in kept]
        some = test.subset(places)
        yield "classes missing", grade, some.signals, some.labels, some.rate


def _each(change: Callable, test: datasets.AudioSet) -> list[np.ndarray]:
    return [change(signal, rng=np.random.default_rng(i)) for i, signal in enumerate(test.signals)]


def _prediction(folders: Sequence[dict], divisions: Sequence[str] = DIVISIONS) -> dict:
    """How well the distance, and the loss of confidence, put the folders in the order of their drop.

    Spearman's rank correlation, over the conditions averaged over folds; the interval is a bootstrap that
    draws kinds of change, for grades of one change are no independent draws.
    """
    averaged: dict[tuple, list[dict]] = {}
    for row in folders:
        fold = f" {row['fold']}" if row["kind"] in NEW.values() else ""  # each fold is others
        averaged.setdefault((row["data"], row["kind"] + fold, row["grade"]), []).append(row)
    table = [
        {"data": key[0], "kind": key[1], **{n: float(np.mean([r[n] for r in rows])) for n in NUMBERS}}
        for key, rows in averaged.items()
    ]
    predicted = {}
    for data in (*divisions, "all"):
        rows = [row for row in table if data in (row["data"], "all")]
        predicted[data] = {measure: _correlation(rows, measure) for measure in ("distance", "less_sure")} | {
            "conditions": len(rows)
        }
    # As ``predict`` would judge, without the interval and number of files, which it only prints.
    far = [
        Far(row["distance"], None, row["p_value"], _near(folders, row["data"]), 0).is_far for row in folders
    ]
    predicted["warnings"] = [
        {
            "least_drop": low,
            "most_drop": high,
            "folders": sum(low <= row["drop"] < high for row in folders),
            "warned": sum(w for w, row in zip(far, folders, strict=True) if low <= row["drop"] < high),
        }
        # Steps that a user would tell apart: nothing, a little, much, useless. -1 and 1.01 leave none out.
        for low, high in ((-1.0, 0.02), (0.02, 0.1), (0.1, 0.3), (0.3, 1.01))
    ]
    return predicted


NUMBERS = ("drop", "distance", "less_sure")


def _near(folders: Sequence[dict], data: str) -> float:
    """The largest distance of held-out recordings as they are, as ``release`` keeps it."""
    return max(r["distance"] for r in folders if r["data"] == data and r["kind"] == HELD_OUT)


def _correlation(rows: Sequence[dict], measure: str) -> dict:
    kinds = sorted({(row["data"], row["kind"]) for row in rows})  # what the bootstrap draws
    by_kind = {kind: [row for row in rows if (row["data"], row["kind"]) == kind] for kind in kinds}
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(DRAWS):
        drawn = [row for k in rng.integers(len(kinds), size=len(kinds)) for row in by_kind[kinds[k]]]
        draws.append(_spearman(drawn, measure))
    # A draw of one kind alone may have no order; it is left out.
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return {"spearman": _spearman(rows, measure), "interval": [float(low), float(high)]}


def _spearman(rows: Sequence[dict], measure: str) -> float:
    columns = [[row[name] for row in rows] for name in (measure, "drop")]
    if any(len(set(column)) < 2 for column in columns):  # no order; scipy would warn
        return float("nan")
    return float(stats.spearmanr(*columns).statistic)
