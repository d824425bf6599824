"""``songs train | roc | like``: which songs have a label, how surely that is known, and why.

    python -m songs train --out taste.skops          # scores of all learners, and a model file of one
    python -m songs roc --out roc.png                # the curves, per sample and per song
    python -m songs like new/*.ogg --model taste.skops

Conventions
    read        function that the commands are given: arguments -> ``Collection``. Adding its arguments to the
                parser is its owner's.
    describe    function that ``like`` is given: (path, how samples were drawn) -> one dictionary a sample, of
                numbers and lists of numbers, as a row of the table of features.
    learner     what the model file holds is named beforehand (``--learner``): to take the best of those
                scored, and report its score, would be to choose on the set that is reported.
    exit code   0 done, 1 input that cannot be learned from or answered, 130 interrupted. ``like`` answers all
                files that it can before it ends with 1.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import precision_recall_curve

from audio_distance.output import complain, printable, say
from audio_distance.storage import replacing
from songs import history, model_files
from songs.evaluation import UNITS, Evaluation, evaluate, leak_table
from songs.labelled import Samples, flattened, unknown_artists
from songs.learning import BASELINES, LEARNERS, Answer, Classifier, fit
from songs.scores import Answers, Score, reliability, roc, scores, table
from songs.terminal import add_workers

LEARNED_DIGITS = 16  # of the contents that a model has learned from, which its file names
REASONS = 3  # that are printed for, and against


@dataclass(frozen=True, eq=False)
class Collection:
    """Labelled samples; how they were ``drawn``, of what JSON can hold; and the table ``songs``, if there is
    one: content, label, tags, and columns of the file that may give a label away."""

    samples: Samples
    drawn: dict = field(default_factory=dict)
    songs: pd.DataFrame | None = None


Read = Callable[[argparse.Namespace], Collection]
Describe = Callable[[str, dict], Sequence[Mapping]]


def add_train_arguments(parser: argparse.ArgumentParser) -> None:
    """``--out MODEL``, ``--learner``, ``--leaks``, and what ``roc`` takes too."""
    parser.add_argument("--out", metavar="MODEL", required=True, help="model file to write (.skops)")
    parser.add_argument(
        "--learner",
        choices=[name for name in LEARNERS if name not in BASELINES],
        default="boosting",
        help="what the model file holds; default boosting. Name it before you see the scores",
    )
    parser.add_argument(
        "--leaks", action="store_true", help="print what wrongly made folds would report, too"
    )
    _add_scoring(parser)


def add_roc_arguments(parser: argparse.ArgumentParser) -> None:
    """``--out PNG``, and what ``train`` takes too."""
    parser.add_argument("--out", metavar="PNG", required=True, help="picture to write")
    _add_scoring(parser)


def add_like_arguments(parser: argparse.ArgumentParser) -> None:
    """``FILE...``, ``--model MODEL``, ``--json``."""
    parser.add_argument("files", metavar="FILE", nargs="+", help="songs, or their addresses")
    parser.add_argument("--model", metavar="MODEL", required=True, help="what songs train wrote")
    parser.add_argument("--json", action="store_true", help="one line of JSON a song")


def _add_scoring(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--scored",
        metavar="A,B",
        type=_learners,
        default=tuple(LEARNERS),
        help=f"learners that are scored, of {', '.join(LEARNERS)}; default all",
    )
    parser.add_argument("--yes", metavar="LABEL", help="the label in question; default good, if there is one")
    parser.add_argument("--folds", type=int, default=5, metavar="N", help="of artists; default 5")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default 0")
    add_workers(parser)


def _learners(text: str) -> tuple[str, ...]:
    chosen = tuple(text.split(","))
    if unknown := [name for name in chosen if name not in LEARNERS]:
        raise argparse.ArgumentTypeError(f"unknown {', '.join(unknown)}; of {', '.join(LEARNERS)}")
    return chosen


def train_main(args: argparse.Namespace, *, read: Read) -> int:
    """Score learners on artists they have not heard, then write a model that has learned from all songs."""
    return _answered(lambda: _train(args, read))


def roc_main(args: argparse.Namespace, *, read: Read) -> int:
    """Draw the curves of held-out answers, and print their scores."""
    return _answered(lambda: _roc(args, read))


def like_main(args: argparse.Namespace, *, describe: Describe) -> int:
    """Print what a model says of songs: probability, share of the samples, interval, reasons."""
    return _answered(lambda: _like(args, describe))


def _answered(command: Callable[[], int]) -> int:
    try:
        return command()
    except BrokenPipeError:  # a reader who has left is no fault
        raise
    except (ValueError, OSError) as error:
        complain(f"error: {printable(str(error))}")
        return 1
    except ModuleNotFoundError as error:
        complain(f'error: {error}; pip install -e ".[songs]"')
        return 1
    except KeyboardInterrupt:
        complain("interrupted")
        return 130


def _train(args: argparse.Namespace, read: Read) -> int:
    import skops.io  # noqa: F401 - where it is missing, that is said before minutes of work

    place = Path(args.out).absolute().parent
    if not place.is_dir():  # this too
        raise ValueError(f"--out {args.out}: {place} is no folder; make it first")
    collection = read(args)
    _tell_unknown(collection)
    samples, yes = collection.samples, question(collection.samples, args.yes)
    found = _scored(args, samples, yes)
    say(_report(found, samples, yes))
    if args.leaks:
        options = {"folds": args.folds, "seed": args.seed, "workers": args.workers or -1}
        rows = leak_table(samples, yes=yes, songs=collection.songs, **options)
        say(f"\nAUC of a tree by what folds keep whole\n{leaks_text(rows)}")
    model = fit(samples, args.learner, yes=yes, seed=args.seed)
    learned = sorted({song[:LEARNED_DIGITS] for song in samples.song.tolist()})
    facts = {
        **counts(samples),
        "learned": learned,
        "drawn": collection.drawn,
        "folds": args.folds,
        "seed": args.seed,
    }
    if args.learner in found:
        held_out = scores(found[args.learner].songs, yes=yes, seed=args.seed)
        facts["scores"] = {name: asdict(score) for name, score in held_out.measures.items()}
    model_files.save(replace(model, facts=facts), args.out)
    say(f"\n{args.out}: {args.learner}, learned from all {facts['songs']} songs")
    return 0


def _roc(args: argparse.Namespace, read: Read) -> int:
    collection = read(args)
    _tell_unknown(collection)
    samples = collection.samples
    yes = question(samples, args.yes)
    found = _scored(args, samples, yes)
    draw_roc(found, args.out, yes=yes)
    say(_report(found, samples, yes))
    return 0


def _like(args: argparse.Namespace, describe: Describe) -> int:
    model, code = model_files.load(args.model), 0
    for path in args.files:
        try:
            rows = describe(path, model.facts.get("drawn", {}))
            answer = model.answer(features_of(rows, model))
            learned = {str(row.get("song", ""))[:LEARNED_DIGITS] for row in rows} & set(
                model.facts["learned"]
            )
        except (ValueError, OSError) as error:
            complain(f"{printable(path)}: {printable(str(error))}")
            code = 1
            continue
        if args.json:
            say(json.dumps({"path": printable(path), "learned_from": bool(learned), **asdict(answer)}))
        else:
            say(f"{printable(path)}: {answer_text(answer)}")
            if learned:
                say("  the model has learned from this very song: what it says of it is no prediction")
    return code


def _tell_unknown(collection: Collection) -> None:
    """Of how many songs the artist is not known, since each is then taken for one."""
    if collection.songs is None or not (unknown := unknown_artists(collection.songs)):
        return
    songs = len(np.unique(collection.samples.song))
    complain(
        f"note: {unknown} of {songs} songs name neither group nor artist nor album. Each is taken for an "
        "artist of its own, and scores flatter if they are not: see --labels of index"
    )


def question(samples: Samples, yes: str | None = None) -> str | None:
    """The label in question: ``yes``, else "good" if there is one, else none of them more than another.

    Raises
    ------
    ValueError
        For a ``yes`` that is no label.
    """
    if yes is not None and yes not in samples.labels:
        raise ValueError(f"no song has the label {yes!r}; there are {', '.join(samples.labels)}")
    return yes or ("good" if "good" in samples.labels else None)


def counts(samples: Samples) -> dict:
    """Numbers of samples, songs, artists, and songs of each label."""
    songs, first = np.unique(samples.song, return_index=True)
    of_labels = {label: int((samples.label[first] == label).sum()) for label in samples.labels}
    artists = len(np.unique(samples.artist))
    return {"samples": len(samples), "songs": len(songs), "artists": artists, "labels": of_labels}


def features_of(rows: Sequence[Mapping], model: Classifier) -> np.ndarray:
    """The numbers that a model asks for, (samples, d), of described samples.

    Raises
    ------
    ValueError
        For no samples, and for features that were not described.
    """
    if not len(rows):
        raise ValueError("no samples: is the song shorter than one?")
    numbers, names = flattened(pd.DataFrame(list(rows)))
    told = {name: numbers[:, i] for i, name in enumerate(names)}
    # A column of nothing but NaN is there, and cannot be told of these samples: their song is too short.
    told |= {name: np.full(len(rows), np.nan) for name in rows[0] if name in model.names and name not in told}
    if missing := [name for name in model.names if name not in told]:
        raise ValueError(
            f"{len(missing)} of {len(model.names)} features are missing: {', '.join(missing[:5])}; "
            "the model learned from samples that were described otherwise"
        )
    columns = np.stack([told[name] for name in model.names], axis=1)
    return np.where(np.isnan(columns), model.medians, columns)  # as the songs that were learned from


def answer_text(answer: Answer) -> str:
    """An answer in words, over several lines."""
    ends = f"{answer.low:.2f} to {answer.high:.2f} by the samples drawn"
    share = f"{answer.share:.0%} of {answer.samples} samples"
    lines = [f"{answer.label} {answer.probability:.2f} ({ends}), {share}"]
    for word, sign in (("for", 1), ("against", -1)):
        told = [
            f"{reason.group} {reason.change:+.2f}"
            + ("" if reason.value is None else f" ({reason.value:.4g}, usually {reason.median:.4g})")
            for reason in answer.reasons
            if sign * reason.change >= 0.005  # what would read 0.00 is no reason
        ]
        if told:
            lines.append(f"  {word} {answer.label}, in log-odds: {', '.join(told[:REASONS])}")
    return "\n".join(lines)


def _scored(args: argparse.Namespace, samples: Samples, yes: str | None) -> dict[str, Evaluation]:
    return {
        name: evaluate(samples, name, yes=yes, folds=args.folds, seed=args.seed, workers=args.workers or -1)
        for name in args.scored
        if yes is not None or name != "always yes"
    }


def _report(found: Mapping[str, Evaluation], samples: Samples, yes: str | None) -> str:
    number = counts(samples)
    labels = ", ".join(f"{n} {label}" for label, n in number["labels"].items())
    asked = f"{yes!r} in question" if yes else "means over the labels"
    text = [f"{number['songs']} songs of {number['artists']} artists: {labels}; {asked}; artists kept apart"]
    for unit in UNITS:
        rows = {name: scores(getattr(held_out, unit), yes=yes) for name, held_out in found.items()}
        text.append(f"\nper {unit[:-1]}\n{table(rows)}")
    if yes:
        text.append("\nprobability said and share that it is, a fifth of the songs each")
        for name, held_out in found.items():
            if name not in BASELINES:
                pairs = (f"{said:.2f} {true:.2f}" for said, true, _ in reliability(held_out.songs, yes))
                text.append(f"{name.ljust(12)}{'   '.join(pairs)}")
    return "\n".join(text)


def leaks_text(rows: Mapping[str, Mapping[str, Score]]) -> str:
    """The rows of ``evaluation.leak_table`` as text."""
    wide = max(map(len, rows))
    return "\n".join(
        f"{name.ljust(wide)}  per sample {row['samples']}  per song {row['songs']}"
        for name, row in rows.items()
    )


def draw_roc(found: Mapping[str, Evaluation], path: str, *, yes: str | None) -> None:
    """Write a picture of the curves, per sample and per song: ROC and, of one label, precision over recall.

    Per sample with what was published on other songs: where its precision and recall lie, if the share of
    good in its test set was that of its collection. Whole or not at all.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 9 if yes else 5.2), layout="constrained")
    panels = figure.subplots(2 if yes else 1, 2, sharey="row", squeeze=False)
    for column, unit in enumerate(UNITS):
        axes = panels[0, column]
        for name, held_out in found.items():
            if name in BASELINES:
                continue
            answers = getattr(held_out, unit)
            measured = scores(answers, yes=yes, draws=0)
            axes.plot(*roc(answers, yes), label=f"{name}, AUC {measured['auc'].value:.2f}")
            if yes:
                mean = measured["average_precision"].value
                recall, precision = precision_over_recall(answers, yes)
                panels[1, column].plot(recall, precision, label=f"{name}, mean {mean:.2f}")
        axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8)
        axes.set(xlabel=f"share of others called {yes or 'so'}", title=f"per {unit[:-1]}", aspect="equal")
    panels[0, 0].set_ylabel(f"share of {yes or 'a label'} called so")
    if yes:
        for (name, told), marker in zip(history.PUBLISHED.items(), "os", strict=True):
            point = history.operating_point(told["precision"], told["recall"], history.GOOD / history.SONGS)
            panels[0, 0].plot(*point, marker, color="0.4", label=f"published {name}, AUC {told['auc']}")
            panels[1, 0].plot(
                told["recall"], told["precision"], marker, color="0.4", label=f"published {name}"
            )
        panels[1, 0].set_ylabel(f"precision: share of what is called {yes} that is")
        for axes in panels[1]:
            axes.set(xlabel=f"recall: share of {yes} called so", ylim=(0, 1.02))
    for axes in panels.flat:
        axes.legend(fontsize=7, loc="lower right" if axes in panels[0] else "upper right")
    with replacing(path) as part:
        figure.savefig(part, dpi=150, format="png")


def precision_over_recall(answers: Answers, yes: str) -> tuple[np.ndarray, np.ndarray]:
    """Recall and precision as the threshold falls, of all folds together, as ``average_precision`` is."""
    k = answers.labels.index(yes)
    precision, recall, _ = precision_recall_curve(answers.truth == k, answers.probability[:, k])
    return recall[::-1], precision[::-1]
