"""Names for sounds: ``python -m models predict MODEL FILE|FOLDER ... [--csv out.csv]``

Conventions
    row      one file: path, label, its probability, then the probability of each label; or its error, with
             the other columns empty. Rows come and are written in sorted order.
    cell     of the CSV file: quoted, so that commas, semicolons, quotes and line ends of a name stay inside
             of it, and never a formula: a path =1+1.wav is written ./=1+1.wav, which is the same file, and
             any other text gets a ' in front. Names that are not UTF-8 have escapes.
    warning  when the files are far from what the model was trained on. Its accuracy was measured on
             recordings like those; elsewhere it does not hold, and the probabilities flatter.
    far      p < ``ALPHA``, and the distance is more than ``NEAR_FACTOR`` times the largest that
             held-out recordings of the model's own data have, plus ``NEAR_MARGIN``: with enough files p alone
             tells any two folders apart.

Files are opened for reading only. Any rate, length and number of channels; formats as ``metrics`` reads
them, 8-bit files too.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
from tqdm import tqdm

import metrics
from audio_distance.output import complain, printable, say
from audio_distance.sources import list_folder
from audio_distance.storage import replacing

ALPHA = 0.05
NEAR_FACTOR = 2.0
NEAR_MARGIN = 0.02  # in units of the distance: held-out recordings may lie at 0
COMPARED = 100  # files of a folder that are compared with the training set, drawn at random
READING = {"minimum_bits": 8, "peak_limit": np.inf}  # what a name survives, though a distance would not


@dataclass(frozen=True)
class Far:
    """How far files are from a model's training set; ``near`` is the largest distance of held-out ones."""

    distance: float
    interval: tuple[float, float] | None
    p_value: float
    near: float
    files: int

    @property
    def is_far(self) -> bool:
        return self.p_value < ALPHA and self.distance > NEAR_FACTOR * max(self.near, 0.0) + NEAR_MARGIN

    def __str__(self) -> str:
        interval = "" if self.interval is None else " ({:.3f} to {:.3f})".format(*self.interval)
        return (
            f"distance {self.distance:.3f}{interval}, p = {self.p_value:.3g}, of {self.files} files to the "
            f"training set; its own held-out recordings are at {self.near:.3f} at most"
        )


def audio_files(inputs: Sequence[str]) -> list[Path]:
    """Audio files, sorted and each once: the ones named, and all below the folders named.

    A folder is listed as ``metrics`` lists a set: by the endings that it reads, through links, without what
    is hidden. What cannot be read, such as a folder that cannot be opened, is among them: its row says why.

    Raises
    ------
    ValueError
        For a path that is not there, and for a folder without audio.
    """
    files: set[Path] = set()
    for name in inputs:
        path = Path(name)
        if os.path.isdir(path):
            files.update(source.path for source in list_folder(path, "predict").sources)
        elif os.path.exists(path):
            files.add(path)
        else:
            raise ValueError(f"{printable(name)} does not exist (looked in {Path.cwd()})")
    return sorted(files)


def rows(model, files: Sequence[Path]) -> Iterator[dict[str, str]]:
    """What each file is taken for, one after the other, as ``columns``.

    A file that cannot be read or named has an error in its row: one of a thousand must not end the others.
    """
    for file in files:
        row = dict.fromkeys(columns(model), "") | {"path": printable(str(file))}
        try:
            samples, rate = metrics.read(file, **READING)
            probabilities = model.probabilities([samples.mean(axis=1)], rate)[0]
        except (metrics.AudioError, ValueError, OSError) as error:
            yield row | {"error": printable(" ".join(str(error).split()))}
            continue
        best = int(probabilities.argmax())
        numbers = {_column(name): f"{x:.6f}" for name, x in zip(model.names, probabilities, strict=True)}
        yield row | {"label": model.names[best], "probability": f"{probabilities[best]:.6f}"} | numbers


def columns(model) -> list[str]:
    """Of a row: path, label, probability, p(LABEL) for each label, error."""
    return ["path", "label", "probability", *map(_column, model.names), "error"]


def _column(name: str) -> str:
    return f"p({name})"


def how_far(model, files: Sequence[Path], *, seed: int = 0) -> Far | None:
    """Distance of the files to the model's training set.

    Parameters
    ----------
    model : Classifier
        With ``described``, what its training set is like.
    files : sequence of paths
        ``COMPARED`` of them, drawn by ``seed``, are compared; what cannot be read is left out.

    Returns
    -------
    Far or None
        None where nothing can be told: for a model that describes no training set, and for fewer than two
        files that can be read.
    """
    if model.described is None or len(files) < 2:
        return None
    order = np.random.default_rng(seed).permutation(len(files))[:COMPARED]
    chosen = [files[i] for i in np.sort(order)]
    try:
        comparison = metrics.compare(
            model.described, chosen, on_error="skip", paired=False, progress=False, **READING
        )
    except metrics.AudioError:
        return None
    near = max(model.facts.get("held_out", [0.0]))
    return Far(comparison.value, comparison.interval, comparison.p_value, near, comparison.candidate.files)


def write(model, files: Sequence[Path], path: Path, *, key: str) -> Iterator[dict[str, str]]:
    """``rows``, written to a CSV file on the way; goes on where an interrupted one stopped.

    ``path`` appears when all is done. Until then the rows are in a hidden file beside it, which an interrupt
    leaves there on purpose. Its name has ``key``, a digest of model and files, so that another model's rows
    are never gone on from. Rows that it holds are only ever added to; those with an error are made again.
    """
    part = path.with_name(f".{path.name}.{key[:12]}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    done = {row["path"]: row for row in _written(part, columns(model))}
    names = [printable(str(file)) for file in files]
    _write_whole(part, columns(model), done.values())
    fresh = rows(model, [file for file, name in zip(files, names, strict=True) if name not in done])
    with part.open("a", newline="", encoding="utf-8") as file:
        for name in names:
            row = done.get(name)
            if row is None:
                row = next(fresh)
                _writer(file, columns(model)).writerow(_as_cells(row))
                file.flush()
            yield row
    if done:  # a row that was made again is behind those that were kept
        found = {row["path"]: row for row in _written(part, columns(model), errors=True)}
        _write_whole(part, columns(model), [found[name] for name in names])
    os.replace(part, path)


def _writer(file: TextIO, names: Sequence[str]) -> csv.DictWriter:
    """All cells in quotes: the last line of a kill shows by the quote that it lacks, whatever names hold."""
    return csv.DictWriter(file, names, lineterminator="\n", quoting=csv.QUOTE_ALL)


def _write_whole(path: Path, names: Sequence[str], some: Iterable[dict[str, str]]) -> None:
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = _writer(file, names)
        writer.writeheader()
        writer.writerows(map(_as_cells, some))


# What spreadsheets take for a formula: https://owasp.org/www-community/attacks/CSV_Injection
FORMULA_STARTS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def _as_cells(row: Mapping[str, str]) -> dict[str, str]:
    """A row as it stands in the file; ``_as_row`` takes it back."""
    cells = dict(row)
    for name, text in row.items():
        if name == "path" and text.startswith(FORMULA_STARTS):
            cells[name] = f"./{text}"
        elif name != "path" and text.startswith((*FORMULA_STARTS, "'")):
            cells[name] = f"'{text}"
    return cells


def _as_row(cells: Mapping[str, str]) -> dict[str, str]:
    return {
        name: text.removeprefix("./" if name == "path" else "'")  # no path of ours begins with ./
        for name, text in cells.items()
    }


def _written(part: Path, names: Sequence[str], *, errors: bool = False) -> list[dict[str, str]]:
    """Rows of an interrupted run that are whole, by default without those that are to be tried again."""
    if not part.exists():
        return []
    found = []
    with part.open(newline="", encoding="utf-8", errors="replace") as file:
        reader = csv.DictReader(file, strict=True)
        try:
            if reader.fieldnames != list(names):
                return []
            for cells in reader:
                # Cut between two cells, a row has too few of them, or its error is not there yet.
                is_whole = None not in [*cells, *cells.values()] and (cells["label"] or cells["error"])
                if is_whole and (errors or not cells["error"]):
                    found.append(_as_row(cells))
        except csv.Error:  # the last line, cut inside of a cell
            return found
    return found


def main(arguments: Sequence[str]) -> int:
    """Exit code 0; 1 if a file could not be named; 2 for input that cannot be used.

    Names go to stdout, or to a CSV file; errors of single files, and how far the files are from the training
    set, to stderr, so that a pipe carries names alone. Without ``--no-distance`` up to ``COMPARED`` of the
    files are read again.
    """
    parser = argparse.ArgumentParser(
        prog="python -m models predict",
        description="Name sounds with a model file that `python -m models release` wrote.",
        epilog="example: python -m models predict families.safetensors recordings/ --csv names.csv. "
        "Exit codes: 0 all files named, 1 some could not be read (their rows say why), 2 nothing was done.",
    )
    parser.add_argument("model", help="a model file, or the folder of a run")
    parser.add_argument("input", nargs="+", help="audio files, and folders that are searched for them")
    parser.add_argument("--csv", metavar="FILE", help="write the rows there instead of to the terminal")
    parser.add_argument(
        "--no-distance", action="store_true", help="do not compare the files with the training set"
    )
    options = parser.parse_args(arguments)
    files = audio_files(options.input)
    out = Path(options.csv) if options.csv else None
    if out is not None and out.exists():
        raise ValueError(f"{printable(str(out))} is there already; give another name to --csv, or remove it")
    from models.classifier import Classifier  # PyTorch takes a second; mistakes above should not

    place = Path(options.model)
    place = place / "model.safetensors" if place.is_dir() else place
    model = Classifier.load(place)
    if model.temperature == 1.0:
        complain("note: this model is not calibrated; `python -m models release` makes one")
    key = hashlib.sha256(place.read_bytes() + b"\n".join(map(os.fsencode, files))).hexdigest()
    made = rows(model, files) if out is None else write(model, files, out, key=key)
    good, bad = [], 0
    try:
        bar = tqdm(made, total=len(files), unit="file", leave=False, disable=None)
        for file, row in zip(files, bar, strict=True):
            if row["error"]:
                bad += 1
                complain(f"{row['path']}: {row['error']}")
                continue
            good.append(file)
            if out is None:
                with tqdm.external_write_mode():
                    say(f"{row['path']}\t{row['label']}\t{row['probability']}")
        if out is not None:
            say(f"{len(good)} files named in {printable(str(out))}, {bad} with an error")
    except BrokenPipeError:  # the reader has seen enough, as of "| head"
        return 1 if bad else 0
    except OSError as error:
        raise ValueError(f"the names cannot be written ({error}); with --csv those so far are kept") from None
    if not options.no_distance:
        _tell(how_far(model, good), model)
    return 1 if bad else 0


def _tell(far: Far | None, model) -> None:
    """On stderr, so that it is read where the names go to a file or a pipe."""
    if far is None or not far.is_far:
        if far is not None:
            complain(f"near the training set: {far}")
        return
    known = ""
    if "accuracy" in model.facts:
        known = " Its accuracy on those was {:.1%} ({:.1%} to {:.1%}); expect less here.".format(
            model.facts["accuracy"], *model.facts["interval"]
        )
    complain(f"warning: far from what the model was trained on: {far}.{known}")


if __name__ == "__main__":  # without Hydra and all that training needs: what the container runs
    try:
        sys.exit(main(sys.argv[1:]))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        sys.exit(130)
