"""What do two published studies of music collections come to, when they are rebuilt without their faults?

Two collections go through the stages of ``songs``; their tables lie below ``runs``, and an interrupted run
goes on with them:

    rendered   songs of fictional artists in four styles, from a SoundFont; "good" is the taste of a fictional
               owner, known to the digit (``study.datasets.songs``). Always there.
    packages   music of three games from Debian's packages and generated tracks of another package, 30 s and
               more; the question is which songs are of Wesnoth, and its answer must not be the codec.

Conventions
    sample     of a song: ``SAMPLES`` of 5 s.
    interval   95 %, artists drawn with replacement.
    learner    every choice (the grid's point, the calibration) is made on inner folds by artist.
    truth      tempo and key that the generator of the tracks was asked for.
    PUBLISHED  figures of the studies that are rebuilt, as they were printed.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy.stats import binomtest
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

import metrics
from audio_distance.audio import mean_of_channels, read
from audio_distance.storage import replacing
from songs import distances, evaluation, history
from songs.duplicates import edits, find_duplicates, score
from songs.features import Settings, describe_song, key_and_tempo
from songs.fingerprint import Fingerprint, fingerprint
from songs.labelled import Samples
from songs.learning import BASELINES, LEARNERS
from songs.reading import labelled
from songs.scan import index
from songs.scores import Answers, roc, scores
from songs.stages import each_song
from songs.tables import DESCRIPTIONS, connect, features
from songs.tempo_and_key import key_relation, tempo_relation
from study.datasets import packaged
from study.datasets import songs as rendered

DATA = ()
NEEDS = ("the extra songs", "game-music")
TAKES = "half an hour"

RATE = 22_050  # Hz
SAMPLES = {"rendered": Settings(RATE, count=6), "packages": Settings(RATE, count=30)}  # 31 s hold 6
RELATED = (("menu.opus", "menu_enhanced.opus"),)  # two editions of one piece, by their names
EXCERPT = 30  # seconds of a song that are edited
YES = {"rendered": "good", "packages": "wesnoth"}
GROUP = {"rendered": "genre", "packages": "package"}  # what the points of a map are coloured by
FOLDS = {"rendered": 5, "packages": 3}  # of artists: what is not Wesnoth's has three
SHORTEST = 30.0  # seconds of a song of the packages: jingles are none
LEAKS_BY = "tree"  # the learner that was published first
MEASURES = ("precision", "recall", "f05", "auc", "average_precision", "brier")
PUBLISHED = {  # what else was printed; per-sample figures are in songs.history
    "spark_seconds": {"1": 701.9, "2": 388.9, "4": 196.2},  # local cores
    "test_set": {"good": 160, "bad": 0},
    "vocal_less": 313,  # versions without voice, called bad
}


def run(*, quick: bool = False, runs: str = "runs", workers: int = -1) -> dict:
    """Everything the chapter says of songs; ``quick`` takes a few songs of the rendered collection alone."""
    number = None if workers == -1 else workers
    folder = Path(runs, "songs")
    made = folder / "rendered"
    rendered.render(made / "music", workers=workers, **({"artists_per_style": 3} if quick else {}))
    index([made / "music"], made / "tables", labels=made / "music" / rendered.TABLE, workers=number)
    collections = {"rendered": made / "tables"}
    if not quick:
        collections["packages"] = _packages(folder / "packages", number)
    published = {**PUBLISHED, "songs": history.SONGS, "good": history.GOOD, "samples": history.PUBLISHED}
    found: dict = {"published": published, "history": _history()}
    found["settings"] = {
        "samples": {name: settings.count for name, settings in SAMPLES.items()},
        "sample_seconds": SAMPLES["rendered"].seconds,
        "folds": FOLDS,
        "excerpt_seconds": EXCERPT,
        "described": [distances.DESCRIBED.count, distances.DESCRIBED.seconds],
    }
    found["collections"] = {name: _facts(tables) for name, tables in collections.items()}
    found["taste"], found["leaks"], found["roc"], found["points"] = {}, {}, {}, {}
    for name, tables in collections.items():
        settings = SAMPLES[name]
        function = partial(describe_song, settings=settings)
        stage = each_song(features(), function, tables, settings=settings.digest, workers=number)
        found["collections"][name]["not described"] = [[Path(p).name, why] for p, why in stage.faults]
        collection = labelled(tables, settings)
        songs, samples = collection.songs, collection.samples
        yes = YES[name]
        if name == "packages":  # three of the four have one artist, or none: they are one label
            samples = replace(samples, label=np.where(samples.label == yes, yes, "other"))
            songs = songs.assign(package=songs["label"])
            songs["label"] = songs["label"].where(songs["label"].isin([yes]) | songs["label"].isna(), "other")
        found["points"][name] = _points(samples, songs.set_index("content")[GROUP[name]])
        learners = ("majority", "tree") if quick else tuple(LEARNERS)
        evaluated = {
            learner: evaluation.evaluate(samples, learner, yes=yes, folds=FOLDS[name], workers=workers)
            for learner in learners
        }
        found["taste"][name] = {
            "yes": yes,
            "learners": {learner: _scored(one, yes, learner) for learner, one in evaluated.items()},
        }
        found["roc"][name] = {
            learner: {unit: _curve(getattr(one, unit), yes) for unit in evaluation.UNITS}
            for learner, one in evaluated.items()
            if learner not in BASELINES
        }
        leaks = evaluation.leak_table(
            samples,
            LEAKS_BY,
            yes=yes,
            songs=songs,
            folds=FOLDS[name],
            shuffles=2 if quick else 10,
            workers=workers,
        )
        found["leaks"][name] = {
            row: {unit: asdict(score) for unit, score in units.items()} for row, units in leaks.items()
        }
    found["distances"] = {
        name: _distances(tables, by, workers=number, quick=quick)
        for name, by, tables in (
            ("styles", "genre", collections["rendered"]),
            *([] if quick else [("packages", "label", collections["packages"])]),
        )
    }
    found["duplicates"] = {
        name: _duplicates(tables, workers=workers, most=6 if quick else 10_000)
        for name, tables in collections.items()
    }
    if not quick:
        found["truth"] = _truth()
    return found


def _packages(folder: Path, workers: int | None) -> Path:
    """The tables of the second collection; the label of a song is its package, jingles have none."""
    generated, tracks = packaged.generated()
    games = packaged.debian_packages()
    roots = [generated, Path(os.path.commonpath([song.path for song in games]))]
    tables = folder / "tables"
    index(roots, tables, workers=workers)
    with connect(tables, only=("files",)) as connection:
        long = connection.execute(
            "select path from files where seconds >= ? and error is null", [SHORTEST]
        ).fetchall()
    package = {str(song.path): song.package.partition("-")[0] for song in games}
    package |= {str(track.path): "generated" for track in tracks}
    labels = pd.DataFrame({"path": sorted(path for (path,) in long)})
    labels["label"] = labels["path"].map(package)
    # Of two packages no song names an artist, though each is the work of one: none of them is divided.
    artist = {str(song.path): song.artist for song in games if song.artist}
    labels["group"] = labels["path"].map(artist).fillna(labels["label"])
    with replacing(folder / "labels.csv") as part:
        labels.to_csv(part, index=False)
    index(roots, tables, labels=folder / "labels.csv", workers=workers)
    return tables


def _facts(tables: Path) -> dict:
    """What a collection consists of, and which of its files cannot be read."""
    with connect(tables, only=("files",)) as connection:
        labels = connection.sql(
            "select label, count(*) as songs, sum(seconds) / 60 as minutes, "
            "count(distinct artist) as artists, "
            "list(distinct codec order by codec) as codecs, list(distinct rate order by rate) as rates "
            "from songs where label is not null group by 1 order by 1"
        ).df()
        faults = connection.execute("select path, error from files where error is not null").fetchall()
    return {
        "labels": {row.pop("label"): row for row in labels.to_dict("records")},
        "faults": [[Path(path).name, error] for path, error in faults],
    }


def _points(samples: Samples, group: pd.Series) -> dict:
    """A plane of the collection: the first two principal axes of the songs' mean features, standardised."""
    songs, first = np.unique(samples.song, return_index=True)
    means = np.stack([samples.features[samples.song == song].mean(axis=0) for song in songs])
    varying = StandardScaler().fit_transform(means)[:, means.std(axis=0) > 0]
    axes = PCA(2, svd_solver="full")
    x, y = axes.fit_transform(varying).T
    return {
        "group": group[samples.song[first]].tolist(),
        "x": x,
        "y": y,
        "shares": axes.explained_variance_ratio_,
    }


def _scored(found: evaluation.Evaluation, yes: str, learner: str) -> dict:
    """Measures of the answers about samples and about songs: unit -> measure -> value, low, high."""
    # What draws of artists say of a constant answer is what they say of the share of yes.
    return {
        unit: {
            measure: asdict(score)
            for measure, score in scores(getattr(found, unit), yes=yes).measures.items()
        }
        for unit in evaluation.UNITS
    }


def _curve(answers: Answers, yes: str) -> dict:
    no, positive = roc(answers, yes, points=101)
    return {"no": no, "yes": positive}


def _history() -> dict:
    """The faults of the studies, each in small."""
    return {
        "hop": history.hop_taken_for_window(),
        "always_yes": history.always_yes(history.GOOD, history.SONGS),
        "points": {
            name: history.operating_point(row["precision"], row["recall"], history.GOOD / history.SONGS)
            for name, row in history.PUBLISHED.items()
        },
        "checkpoint": history.checkpoint_optimism(),
        "grid": history.grid_optimism(),
        "forked": history.forked_draws(),
        "complex": history.complex_contrast(),
    }


def _distances(tables: Path, by: str, *, workers: int | None, quick: bool) -> dict:
    """Sets of a collection against each other: pairs, map, songs needed, and lengths that differ."""
    settings = distances.DESCRIBED
    function = partial(distances.description_rows, settings=settings)
    rows = distances.settings_of_rows(settings)
    each_song(DESCRIPTIONS, function, tables, settings=rows, workers=workers)
    sets = dict(distances.descriptions(tables, by=by))
    found = distances.between(sets, least=3 if quick else distances.LEAST_SONGS)
    # Of the packages three are one artist's each: there the artist is no unit.
    by_artist = distances.between(sets, distances.artists_of(tables), least=3).pairs if by == "genre" else ()
    plane, share = distances.map_of(found.matrix())
    pairs = sorted(found.pairs, key=lambda pair: pair.comparison.value)
    return {
        "by": by,
        "songs": found.songs,
        "left_out": found.left_out,
        "pairs": [_pair(pair) for pair in pairs],
        "by_artist": [_pair(pair) for pair in by_artist],
        "map": {"positions": dict(zip(found.songs, plane, strict=True)), "share": share},
        "stability": {
            f"{pair.one} / {pair.other}": _stability(sets[pair.one], sets[pair.other], 10 if quick else 100)
            for pair in (pairs[0], pairs[-1])
        },
        **({"lengths": _lengths(sets, 5 if quick else 100)} if by == "genre" else {}),
    }


def _pair(pair: distances.Pair) -> dict:
    result = pair.comparison
    return {
        "one": pair.one,
        "other": pair.other,
        "value": result.value,
        "interval": result.interval,
        "p_value": result.p_value,
        "q": pair.q,
        "units": [result.reference.units, result.candidate.units],
    }


def _stability(reference: metrics.Description, candidate: metrics.Description, draws: int) -> dict:
    found = distances.stability(reference, candidate, draws=draws)
    return {
        "whole": found.whole,
        "needed": found.needed(),
        "songs": {
            str(number): np.quantile(values, [0.025, 0.5, 0.975]) for number, values in found.values.items()
        },
    }


def _lengths(sets: Mapping[str, metrics.Description], draws: int) -> dict:
    """One set dealt to two halves, again and again, one of them with a single sample of each song.

    What long and short files of one kind do to value and p: the share of p <= .05 should be .05, whatever is
    kept of the halves. ``rivals``: the same with every window taken for a draw of its own.
    """
    name = max(sets, key=lambda one: len(distances.songs_of(sets[one])))
    whole = sets[name]
    songs = np.array(distances.songs_of(whole))
    rng = np.random.default_rng(0)
    found: dict[str, list] = {"equal": [], "unequal": []}
    for _ in range(draws):
        dealt = rng.permutation(songs)
        halves = [distances.only(whole, half) for half in np.array_split(dealt, 2)]
        for condition in found:
            one = _first_samples(halves[0]) if condition == "unequal" else halves[0]
            result = metrics.compare(one, halves[1], groups="folder", permutations=199)
            found[condition].append((result.value, result.p_value))
    return {
        "set": name,
        "draws": draws,
        **{
            condition: {
                "value": float(np.mean([value for value, _ in rows])),
                "spread": float(np.std([value for value, _ in rows], ddof=1)),
                "alarms": float(np.mean([p <= 0.05 for _, p in rows])),
            }
            for condition, rows in found.items()
        },
    }


def _first_samples(described: metrics.Description) -> metrics.Description:
    """Of each song the first sample alone: a song of 3 seconds beside one of 30."""
    seen: set[str] = set()
    kept = []
    for sound in described.sounds:
        song = sound.name.partition("/")[0]
        if song not in seen:
            seen.add(song)
            kept.append(sound)
    return replace(described, sounds=tuple(kept))


def _duplicates(tables: Path, *, workers: int, most: int) -> dict:
    """What is found of edited copies of excerpts, and which whole songs are taken for each other.

    Kinds of edit with copies found, copies, false pairs; the interval of the share is Wilson's over songs. A
    false pair is one of an original and a copy of another song, but for ``RELATED``; whatever is taken for
    each other among the originals counts as false among the copies too.
    """
    with connect(tables, only=("files",)) as connection:
        songs = connection.execute(
            "select path, seconds from songs where label is not null order by content limit ?", [most]
        ).fetchall()
    made = Parallel(n_jobs=workers)(delayed(_edited)(path, place) for place, (path, _) in enumerate(songs))
    originals = {path: prints[0] for (path, _), prints in zip(songs, made, strict=True)}
    kinds = sorted({kind for _, copies in made for kind in copies})
    copies = {
        kind: {
            path: prints[1][kind] for (path, _), prints in zip(songs, made, strict=True) if kind in prints[1]
        }
        for kind in kinds
    }
    alike = find_duplicates(originals)
    rows = score(originals, copies, related={frozenset(pair) for pair in _known(originals)})
    return {
        "songs": len(songs),
        "kinds": {
            row.kind: {
                "found": row.found,
                "copies": row.copies,
                "false": len(row.false),
                "precision": row.precision,
                "recall": row.recall,
                "interval": [*binomtest(row.found, row.copies).proportion_ci(method="wilson")],
                "missed": [Path(name).name for name in row.missed],
            }
            for row in rows
        },
        # Of the originals themselves: true relations, or what is wrongly taken for one.
        "alike": [
            [Path(pair.first).name, Path(pair.second).name, pair.share, pair.speed, pair.offset]
            for pair in alike
        ],
    }


def _known(originals: Mapping[str, Fingerprint]) -> list[tuple[str, str]]:
    """The paths of the pairs in ``RELATED``."""
    paths = {Path(path).name: path for path in originals}
    return [(paths[one], paths[other]) for one, other in RELATED if {one, other} <= paths.keys()]


def _edited(path: str, place: int) -> tuple[Fingerprint, dict[str, Fingerprint]]:
    """Fingerprints of the middle ``EXCERPT`` seconds of a song, and of its edits."""
    samples, rate = read(path)
    mono = mean_of_channels(samples)
    start = max(0, (len(mono) - EXCERPT * rate) // 2)
    excerpt = mono[start : start + EXCERPT * rate]
    copies = edits(excerpt, rate, rng=np.random.default_rng([0, place]))
    return fingerprint(excerpt, rate), {kind: fingerprint(copy, rate) for kind, copy in copies.items()}


def _truth() -> dict:
    """Tempo and key of the generated tracks, as heard and as asked for; how they relate, counted."""
    _, tracks = packaged.generated()
    rows, tempi, keys = [], Counter(), Counter()
    for track in tracks:
        key, tempo = key_and_tempo(str(track.path), Settings(RATE))
        stated = f"{track.key} {track.mode}"
        tempi[tempo_relation(tempo.bpm, track.bpm)] += 1
        keys[key_relation(key.name, stated)] += 1
        rows.append([track.path.stem, track.bpm, tempo.bpm, stated, key.name])
    return {"tracks": rows, "tempo": dict(tempi), "key": dict(keys)}


def summary(found: Mapping) -> str:
    """AUC per song of every learner, and the leaks."""
    lines = []
    for name, taste in found["taste"].items():
        for learner, units in taste["learners"].items():
            auc = units["songs"]["auc"]
            lines.append(f"{name:10} {learner:12} AUC per song {auc['value']:.3f}")
        for row, units in found["leaks"][name].items():
            lines.append(f"{name:10} {row:28} AUC per sample {units['samples']['value']:.3f}")
    return "\n".join(lines)
