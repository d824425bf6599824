"""How good is the classifier, what does each part of it bring, and what happens in a new folder?

400 environmental sounds in five published folds for the ladder; these, 3,000 spoken digits (by digit and by
unseen speakers) and rendered instruments (by unseen programs) for the whole classifier. Fold k is seed k.

Conventions
    ladder      configs that differ in one thing from the one before, each run on every fold; the gate judges
                the step, paired by fold and seed. ``repeats`` seeds a fold are averaged first: they test the
                same recordings and are no further draws.
    committees  ``NETWORKS`` networks a fold, alike but for their seed, k + ``SEEDS_APART`` j of fold k. Of
                these one alone, and every set of ``MEMBERS`` whose probabilities are averaged: the whole
                classifier is the set of the first three, to the bit.
    chosen on   the folds on which length of the window, steps and members were chosen; what was chosen is
                flattered there, and was not looked at on the last one.
    divisions   the whole classifier on every set of recordings, held out as ``configs/folds`` says; and the
                same files in as many folds of the same sizes, dealt without a look at groups, which flatters.
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
from itertools import combinations
from pathlib import Path

import joblib
import numpy as np
import soxr
from joblib import delayed
from omegaconf import OmegaConf
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import metrics
from ablations import run as gate
from ablations import splits, tasks
from ablations.config import load, replicates
from ablations.cross_validation import Predictions, accuracy, predictions
from ablations.run import MODEL
from ablations.statistics import judge, mean_interval
from models.classifier import DESCRIBED, SEEDS_APART, Classifier, temperature
from models.predict import Far
from models.release import calibrated
from study import datasets, embeddings
from study.datasets.distortions import DISTORTIONS, SEVERITIES

DATA = ("digits", "sounds")
NEEDS = ("PyTorch", "Hydra", "aisfx")
TAKES = "an hour"

LADDER = ("majority", "cepstral", "plain", "crop", "masks", "mixup", "single", "")  # "": the whole
VARIANTS = ("mfcc", "mfcc_deltas", "focal", "unnormalised")  # against SINGLE
SINGLE = "single"
LADDER_ON = "sounds"
GOAL, LISTENERS = 0.9, 0.957  # set beforehand; of people on ESC-10 (Piczak 2015)
CHOSEN = 4  # folds on which length of the window, steps and members were chosen: the first ones
NETWORKS = 5  # a fold, of which committees are made
MEMBERS = 3  # of the whole classifier on the sounds
EMBEDDING = "aisfx"  # trained by others on sound effects; a rival that begins with more than 400 sounds
STRENGTHS = tuple(np.logspace(-5, 1, 7))  # C of its logistic regression, chosen inside the training folds
DIVISIONS = ("sounds", "digits", "speakers", "families")
FLATTERED = ("speakers", "families")  # held out without a look at groups too, the same files
HELD_OUT = "held out"
NEW = {"speakers": "unknown speaker", "families": "unknown programs"}  # what their test folds are
REPEATS = 1
CHANGES = ("noise", "low_pass", "high_pass", "reverberation", "clipping", "codec_mp3", "speed")
GRADES = (2, 5)
RATES = (4000, 16000)  # Hz, at which the recordings are kept
KEPT = 3  # labels that are left where classes are missing
PERMUTATIONS = 999
DRAWS = 2000  # of the bootstrap
COSTLY = 0.1  # accuracy lost: folders that a warning should tell from the others
FEWEST = 3  # conditions a side, for which it is asked whether they are told apart


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
        ladder      rung -> accuracy, interval, ``values`` by fold, ``networks`` a fold that these are means
                    of; from the second on ``against`` the rung before, ``gain``, ``gain_interval``,
                    ``p_value`` and ``verdict``, and ``gains`` by fold, between runs of the same seeds
        committees  ``alone`` (folds, networks) and ``together`` (folds, sets of networks): accuracy;
                    ``steps``: the gain of a set over one network, its interval, p-value and verdict, on
                    the folds chosen on, on the last one and on all; ``difference``: how far probabilities
                    of networks trained alone and as members lie apart at most
        pretrained  accuracy and interval of logistic regression on ``EMBEDDING``; ``strengths`` chosen
        divisions   division -> accuracy and interval, files, groups, recall by label, ``confusion`` (rows
                    true, columns taken for), ``raw`` and ``calibrated`` (log loss in nats, calibration
                    error, reliability bins), ``temperature``, ``baselines``, ``flattered``, seconds,
                    parameters
        folders     a row each condition of each fold: data, fold, kind, grade, files, accuracy, confidence,
                    drop, less_sure, distance with interval and p_value
        prediction  division -> rank correlation of the drop with the distance and with the loss of
                    confidence, and the area under the ROC curve by which they tell costly conditions
                    (``COSTLY`` or more lost) from others; "within": means over the divisions; "all": of all
                    conditions in one heap; ``warnings``: folders by drop, how many of them were warned of,
                    and both ``by_set``
        goal, chosen, members, costly, fewest, kept, changes, grades, compared, ladder_on, repeats
                    the settings above, for the report's text

    Raises
    ------
    datasets.MissingData, embeddings.MissingNetwork
        Without the recordings, or without the network of ``EMBEDDING``.
    """
    embeddings.load(EMBEDDING)  # first, since it takes no time to find out that it is missing
    on = [f"folds={LADDER_ON}"]
    ladder = {rung: configs(rung, on, runs=runs, repeats=repeats) for rung in (*LADDER, *VARIANTS)}
    further = _further(on, runs)
    divisions = {name: configs("", [f"folds={name}"], runs=runs) for name in DIVISIONS}
    baselines = {
        (name, rung): configs(rung, [f"folds={name}"], runs=runs) for name in DIVISIONS for rung in LADDER[:2]
    }
    flattered = {name: configs("", [f"folds={name}", "data.split_by=file"], runs=runs) for name in FLATTERED}
    every = [*ladder.values(), *divisions.values(), *baselines.values(), *flattered.values(), further]
    # Divisions, baselines and ladder share runs: each is made once.
    unique = {str(gate.folder(config)): config for group in every for config in group}
    gate.in_parallel([delayed(gate.run)(config) for config in unique.values()], workers=workers, what="runs")
    committees = _committees(ladder[""], ladder[SINGLE], further, workers)
    measured = {name: _division(group) for name, group in divisions.items()}
    for (name, rung), group in baselines.items():
        measured[name].setdefault("baselines", {})[rung] = accuracy(predictions(group))
    for name, group in flattered.items():
        predicted = predictions(group)
        measured[name]["flattered"] = {**accuracy(predicted), "files": len(predicted.labels)}
    folders = _folders(divisions, flattered, measured, runs, workers)
    return {
        "ladder": _ladder(ladder, repeats, committees),
        "committees": committees,
        "pretrained": _pretrained(divisions[LADDER_ON], runs, workers),
        "ladder_on": LADDER_ON,
        "repeats": repeats,
        "goal": GOAL,
        "kept": KEPT,
        "chosen": CHOSEN,
        "members": MEMBERS,
        "costly": COSTLY,
        "fewest": FEWEST,
        "divisions": measured,
        "folders": folders,
        "prediction": _prediction(folders),
        "changes": {name: list(map(str, (SEVERITIES[name][g - 1] for g in GRADES))) for name in CHANGES},
        "grades": list(GRADES),
        "compared": DESCRIBED,
    }


# ------------------------------------------------------------------------------------------------ ladder


def _ladder(ladder: dict[str, list], repeats: int, committees: dict) -> dict:
    """Accuracy of each fold by rung, and what the gate says of the step to it."""
    values = {rung: _by_fold(group, repeats) for rung, group in ladder.items()}
    table = {}
    for i, rung in enumerate((*LADDER, *VARIANTS)):
        row = {"values": values[rung], "networks": repeats, **_mean(values[rung])}
        if i:  # the first rung has nothing below it
            before = SINGLE if rung in VARIANTS else LADDER[i - 1]
            row |= {"against": before, **_step(values[before], values[rung])}
        table[rung or "whole"] = row
    # Of these two there are more networks than one a fold, and the step between them is judged by all.
    for rung, kind in ((SINGLE, "alone"), ("whole", "together")):
        means = np.mean(committees[kind], axis=1).tolist()
        table[rung] |= {"values": means, "networks": len(committees[kind][0]), **_mean(means)}
    table["whole"] |= _step(table[SINGLE]["values"], table["whole"]["values"])
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
        "gains": (np.array(after) - before).tolist(),
    }


# -------------------------------------------------------------------------------------------- committees


def _further(overrides: Sequence[str], runs: str) -> list:
    """One network a fold and seed beyond the members of the whole: k + ``SEEDS_APART`` j of fold k.

    A member learns as one network of its own seed does, so these and the members are alike.
    """
    count = _folds(tuple(overrides))
    if SEEDS_APART % count:  # the seed says which fold is held out
        raise ValueError(f"{count} folds do not divide {SEEDS_APART}: members' seeds are of other folds")
    first = configs(SINGLE, overrides, runs=runs)
    return [
        OmegaConf.merge(config, {"seed": config.seed + SEEDS_APART * number})
        for number in range(MEMBERS, NETWORKS)
        for config in first
    ]


def _committees(whole: Sequence, single: Sequence, further: Sequence, workers: int) -> dict:
    """Accuracy of one network and of sets of ``MEMBERS``, by fold, and what the gate says of the step.

    Over folds the step is paired, each side averaged over its networks or sets first. Sets share networks,
    and of one fold there is nothing else to draw but trainings: there the interval is a jackknife over the
    networks, its pseudo-values being what the gate judges.
    """
    folds = _folds((f"folds={LADDER_ON}",))
    whole, single = whole[:folds], single[:folds]  # of the first repeat
    jobs = [delayed(_by_member)(config) for config in whole]
    members = gate.in_parallel(jobs, workers=workers, what="members")
    kept, first, others = predictions(whole), predictions(single), predictions(further)
    alone, together, jackknifed, apart = [], [], [], 0.0
    for fold, by_member in enumerate(members):
        here = kept.folds == fold
        # ``predictions`` numbers runs as they come: fold after fold, then the next seed.
        rest = [others.probabilities[others.folds == fold + folds * i] for i in range(NETWORKS - MEMBERS)]
        every = np.stack([*by_member, *rest])
        for a, b in ((by_member.mean(axis=0), kept), (by_member[0], first)):
            apart = max(apart, float(np.abs(a - b.probabilities[here]).max()))
        truth = kept.true_columns[here]
        alone.append(_accuracies(every, truth, size=1))
        together.append(_accuracies(every, truth, size=MEMBERS))
        jackknifed.append(_pseudo_values(every, truth))
    means = [np.mean(kind, axis=1) for kind in (alone, together)]
    return {
        "alone": alone,
        "together": together,
        "difference": apart,
        "steps": {
            "chosen on": _step(*(mean[:CHOSEN] for mean in means)),
            "last": _step([0.0] * NETWORKS, jackknifed[-1]),
            "all": _step(*means),
        },
    }


def _by_member(config) -> np.ndarray:
    """Probabilities by each member of a run's model, (members, sounds, names), of what it was tested on."""
    model, test = Classifier.load(gate.find(config) / MODEL), splits.fold(config).test
    alone = [model.alone(number) for number in range(model.members)]
    return np.stack([one.probabilities(test.signals, test.rate) for one in alone])


def _accuracies(networks: np.ndarray, truth: np.ndarray, *, size: int) -> list[float]:
    """Of every set of ``size`` networks whose ``networks``, (networks, sounds, names), are averaged."""
    chosen = [list(some) for some in combinations(range(len(networks)), size)]
    return [float((networks[some].mean(axis=0).argmax(axis=1) == truth).mean()) for some in chosen]


def _pseudo_values(networks: np.ndarray, truth: np.ndarray) -> list[float]:
    """Jackknife over networks of: mean accuracy of sets of ``MEMBERS`` less that of one network."""

    def gain(some: np.ndarray) -> float:
        sets, ones = (_accuracies(some, truth, size=size) for size in (MEMBERS, 1))
        return float(np.mean(sets) - np.mean(ones))

    count = len(networks)
    left = [gain(np.delete(networks, i, axis=0)) for i in range(count)]
    return [count * gain(networks) - (count - 1) * value for value in left]


# -------------------------------------------------------------------------------------------- pretrained


def _pretrained(group: Sequence, runs: str, workers: int) -> dict:
    """Logistic regression on an embedding that others have trained, on the same folds.

    Standardised; the strength of its penalty is chosen inside the training folds, each of which is held out
    in turn.
    """
    data = splits.whole(group[0])
    vectors = joblib.Memory(Path(runs) / ".vectors", verbose=0).cache(_vectors, ignore=["config"])
    x = vectors(EMBEDDING, splits.checksum(data.signals), group[0])
    labels, folds = np.array(data.labels), np.array(data.folds)
    accuracies, strengths = [], []
    for fold in sorted(set(data.folds)):
        train = folds != fold
        search = GridSearchCV(
            make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)),
            {"logisticregression__C": STRENGTHS},
            cv=LeaveOneGroupOut(),
            n_jobs=workers,
        )
        search.fit(x[train], labels[train], groups=folds[train])
        accuracies.append(float((search.predict(x[~train]) == labels[~train]).mean()))
        strengths.append(float(search.best_params_["logisticregression__C"]))
    return {
        "embedding": EMBEDDING,
        "source": embeddings.facts(EMBEDDING)["source"],
        "values": accuracies,
        **_mean(accuracies),
        "strengths": strengths,
    }


def _vectors(name: str, checksum: str, config) -> np.ndarray:
    """(sounds, dimension) of a config's recordings; ``checksum``, of these, is the cache's key."""
    embedding, data = embeddings.load(name), splits.whole(config)
    return np.stack([embeddings.file_vector(embedding, s, data.rate) for s in data.signals])


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

    By Spearman's rank correlation, and by the area under the ROC curve, over the conditions averaged over
    folds.
    """
    averaged: dict[tuple, list[dict]] = {}
    for row in folders:
        fold = f" {row['fold']}" if row["kind"] in NEW.values() else ""  # each fold is others
        averaged.setdefault((row["data"], row["kind"] + fold, row["grade"]), []).append(row)
    table = [
        {"data": key[0], "kind": key[1], **{n: _mean_of(rows, n) for n in NUMBERS}}
        for key, rows in averaged.items()
    ]
    predicted = {}
    for data in (*divisions, "all"):
        rows = [row for row in table if data in (row["data"], "all")]
        predicted[data] = _agreement([rows])
    # Sets differ in how far and how costly their conditions are: a heap of all also ranks the sets.
    predicted["within"] = _agreement([[row for row in table if row["data"] == data] for data in divisions])
    # As ``predict`` would judge, without the interval and number of files, which it only prints.
    far = [
        Far(row["distance"], None, row["p_value"], _near(folders, row["data"]), 0).is_far for row in folders
    ]
    predicted["warnings"] = []
    # Steps that a user would tell apart: nothing, a little, much, useless. -1 and 1.01 leave none out.
    for low, high in ((-1.0, 0.02), (0.02, 0.1), (0.1, 0.3), (0.3, 1.01)):
        lost = [(row["data"], w) for w, row in zip(far, folders, strict=True) if low <= row["drop"] < high]
        predicted["warnings"].append(
            {
                "least_drop": low,
                "most_drop": high,
                "folders": len(lost),
                "warned": sum(w for _, w in lost),
                "by_set": {
                    data: [sum(d == data for d, _ in lost), sum(w for d, w in lost if d == data)]
                    for data in divisions
                },
            }
        )
    return predicted


NUMBERS = ("drop", "distance", "less_sure")


def _mean_of(rows: Sequence[dict], number: str) -> float:
    """Rounded, since what is equal but for the order of a sum must not have an order of its own."""
    return round(float(np.mean([row[number] for row in rows])), 9)


def _near(folders: Sequence[dict], data: str) -> float:
    """The largest distance of held-out recordings as they are, as ``release`` keeps it."""
    return max(r["distance"] for r in folders if r["data"] == data and r["kind"] == HELD_OUT)


def _agreement(sets: Sequence[Sequence[dict]]) -> dict:
    """How the two measures go with the drop in each of ``sets`` of conditions, averaged over these."""
    return {
        **{measure: _intervals(sets, measure) for measure in ("distance", "less_sure")},
        "conditions": sum(map(len, sets)),
        "costly": sum(map(_costly, sets)),
    }


def _intervals(sets: Sequence[Sequence[dict]], measure: str) -> dict:
    """``spearman`` with ``interval``, ``area`` with ``area_interval``: by a bootstrap over kinds in each set.

    None for what is not defined: an order of equal numbers, an area of fewer than ``FEWEST`` conditions that
    are costly, or that are not. Such a set is left out of a mean.
    """
    divided = [rows for rows in sets if min(_costly(rows), len(rows) - _costly(rows)) >= FEWEST]
    found = {}
    for name, ends, statistic, chosen in (
        ("spearman", "interval", _spearman, sets),
        ("area", "area_interval", _area, divided),
    ):
        rng = np.random.default_rng(0)
        value = _averaged(statistic, chosen, measure)
        draws = [
            _averaged(statistic, [_drawn(rows, rng) for rows in chosen], measure)
            for _ in range(DRAWS if np.isfinite(value) else 0)
        ]
        # A draw of one kind alone may have no order; it is left out.
        found |= {
            name: value if draws else None,
            ends: np.nanpercentile(draws, [2.5, 97.5]).tolist() if draws else None,
        }
    return found


def _costly(rows: Sequence[dict]) -> int:
    return sum(row["drop"] >= COSTLY for row in rows)


def _averaged(statistic: Callable, sets: Sequence[Sequence[dict]], measure: str) -> float:
    return float(np.mean([statistic(rows, measure) for rows in sets])) if sets else float("nan")


def _drawn(rows: Sequence[dict], rng) -> list[dict]:
    """As many kinds as there are, with replacement; grades of one change are no independent draws."""
    by_kind: dict[tuple, list[dict]] = {}
    for row in rows:
        by_kind.setdefault((row["data"], row["kind"]), []).append(row)
    kinds = sorted(by_kind)
    return [row for k in rng.integers(len(kinds), size=len(kinds)) for row in by_kind[kinds[k]]]


def _spearman(rows: Sequence[dict], measure: str) -> float:
    columns = [[row[name] for row in rows] for name in (measure, "drop")]
    if any(len(set(column)) < 2 for column in columns):  # no order
        return float("nan")
    return float(np.corrcoef(stats.rankdata(columns, axis=1))[0, 1])


def _area(rows: Sequence[dict], measure: str) -> float:
    """Area under the ROC curve: how often a costly condition has more of ``measure`` than another one."""
    costly, value = np.array([[row["drop"] >= COSTLY, row[measure]] for row in rows]).T
    more, less = value[costly > 0][:, None], value[costly == 0]
    if not more.size or not less.size:
        return float("nan")
    return float(np.mean((more > less) + 0.5 * (more == less)))
