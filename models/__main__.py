"""Models by one command: configs in, sounds out.

$ python -m models train vae_residual                                # on rendered instruments: no data needed
$ python -m models train vae_residual set=digits seed=1              # runs/vae_residual_digits/1/
$ python -m models train vae_simple data.name=genres data.labels=[] data.segment_seconds=1 name=genres
$ python -m models sample vae_residual --count 20 --out made
$ python -m models reconstruct vae_residual --out back     # what was held out; or --input FOLDER
$ python -m models interpolate vae_residual --out line     # or --input FIRST.wav SECOND.wav
$ python -m models train classifier folds=sounds seed=0     # holds out the first of five folds
$ python -m models release classifier --out families.safetensors   # all folds scored, then trained on all
$ python -m models predict families.safetensors recordings/ --csv names.csv
$ python -m models export families.safetensors --out families.pt2  # its embedding, for other programs
$ python -m models train wavenet data.name=FOLDER data.split_by=file data.validation=8   # or digits, without
$ python -m models generate runs/wavenet_digits/0/model.safetensors --seconds 10 --temperature .9 --out made
$ python -m models resume made --seconds 5                 # goes on with it, after an interrupt too

CONFIG is a file of ``configs/`` (vae_simple, vae_residual, vae_hierarchical, vae_vector_quantised,
vae_waveform, classifier, wavenet and their variants); what follows it are overrides, ``model.steps=200``,
as in ``python -m ablations run --help``.
A training is a run of the gate: ``python -m ablations compare vae_simple_digits vae_residual_digits`` judges
two, ``train CONFIG -m "seed=range(0,5)"`` makes several. An interrupted one goes on where it was.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

from ablations import run, splits
from ablations.command import answer
from ablations.config import FOLDER, ConfigError, load
from ablations.run import MODEL, RunError
from study.datasets import folder

USES = ("sample", "reconstruct", "interpolate")


def train(arguments: Sequence[str]) -> int:
    """Delegated to the gate, with the config's name first."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__)
        return 0 if arguments else 2
    name, *overrides = arguments
    if name not in configs():
        raise ConfigError(f"no config {name!r}; there are {', '.join(configs())}")
    return run.main(["--config-name", name, *overrides])


def use(command: str, arguments: Sequence[str]) -> int:
    """Sounds of a trained model, as WAV files in a new folder."""
    options = _parser(command).parse_intermixed_args(arguments)
    out = Path(options.out)
    if out.exists() and any(out.iterdir()):
        raise ValueError(f"{out} is not empty; give a new folder to --out")
    config = load(options.overrides, config_name=options.config)
    path = run.find(config) / MODEL
    if not path.exists():
        raise RunError(f"{path} is missing: this model keeps nothing to load")
    from models.autoencoder import Autoencoder  # PyTorch takes a second; mistakes above should not

    model = Autoencoder.load(path)
    if command == "sample":
        sounds = model.sample(options.count, seed=options.seed, progress=True)
        labels = model.draw_labels(options.count, seed=options.seed)
        names = [f"{i:05d}{'_' * bool(label)}{label}.wav" for i, label in enumerate(labels)]
    elif command == "reconstruct":
        names, signals = _inputs(options.input, config, model.rate)
        sounds = model.reconstruct(signals, model.rate, progress=True)
    else:
        names, signals = _inputs(options.input, config, model.rate)
        if len(signals) < 2:
            raise ValueError("a line has two ends; give two files to --input")
        sounds = model.interpolate(signals[0], signals[1], model.rate, steps=options.steps)
        names = [f"{i:05d}.wav" for i in range(len(sounds))]
    for name, sound in zip(names, sounds, strict=True):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(out / name, sound, model.rate, subtype="PCM_16")
    print(f"{len(sounds)} sounds of {path.parent} in {out}")
    return 0


def _inputs(paths: Sequence[str], config, rate: int) -> tuple[list[str], list[np.ndarray]]:
    """Names and signals of a folder, of files, or of what the config holds out for validation.

    The first two that are held out have different labels, if there are two. ValueError for another rate than
    the model's, and for a file that cannot be read.
    """
    if not paths:
        data = splits.split(config)
        if not data.validation:
            raise ConfigError("data.validation is 0: nothing is held out; give --input")
        labels = data.validation_labels
        other = next((i for i, label in enumerate(labels) if label != labels[0]), 1)  # two ends that differ
        order = [0, other, *(i for i in range(1, len(labels)) if i != other)]
        return [f"{i:05d}_{labels[i]}.wav" for i in order], [data.validation[i] for i in order]
    if len(paths) == 1 and Path(paths[0]).is_dir():
        recordings = folder(paths[0])
        _same_rate(recordings.rate, rate, paths[0])
        return [str(Path(name).with_suffix(".wav")) for name in recordings.names], list(recordings.signals)
    names, signals = [], []
    for path in paths:
        try:
            signal, own = soundfile.read(path, dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, OSError) as error:
            raise ValueError(f"{path}: {error}") from None
        _same_rate(own, rate, path)
        names.append(Path(path).with_suffix(".wav").name)
        signals.append(signal.mean(axis=1))
    return names, signals


def _same_rate(own: int, wanted: int, path: str) -> None:
    if own != wanted:
        raise ValueError(
            f"{path}: {own} Hz, and the model was trained at {wanted} Hz; resample, for instance with "
            "soxr or ffmpeg"
        )


def configs() -> list[str]:
    """Configs of models that can be trained, by name."""
    patterns = ("vae_*", "fault_*", "classifier*", "wavenet*")
    return sorted(path.stem for pattern in patterns for path in FOLDER.glob(f"{pattern}.yaml"))


def _parser(command: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m models {command}",
        description=use.__doc__,
        epilog="The run is found by the config and the overrides it was trained with.",
    )
    parser.add_argument("config", help=f"one of {', '.join(configs())}")
    parser.add_argument("overrides", nargs="*", help="as in training: set=digits seed=1")
    parser.add_argument("--out", required=True, help="folder to be made, for WAV files")
    if command == "sample":
        parser.add_argument("--count", type=int, default=20, help="sounds (default %(default)s)")
        parser.add_argument("--seed", type=int, default=0, dest="seed", help="of the draw (default 0)")
    else:
        most = "FIRST SECOND, two files" if command == "interpolate" else "a folder, or files"
        parser.add_argument(
            "--input",
            nargs="+",
            default=[],
            help=f"{most}; without: what the config holds out for validation",
        )
    if command == "interpolate":
        parser.add_argument("--steps", type=int, default=7, help="sounds, both ends included (default 7)")
    return parser


def release(arguments: Sequence[str]) -> int:
    """A classifier to hand out: every fold scored, then trained on all recordings and calibrated."""
    parser = argparse.ArgumentParser(
        prog="python -m models release",
        description=release.__doc__,
        epilog="example: python -m models release classifier folds=folder data.name=FOLDER name=mine --out "
        "mine.safetensors, for FOLDER/label/*.wav or a CSV file with the columns path and label (and group). "
        "Files that belong together (one recording, one speaker) stay on one side by the column group, or "
        "in a folder by a pattern in their names, such as \"data.group_pattern='([^/_]+)_'\".",
    )
    parser.add_argument("config", help=f"one of {', '.join(c for c in configs() if c.startswith('class'))}")
    parser.add_argument(
        "overrides", nargs="*", help="folds=families (default), folder, sounds, digits, speakers; key=value"
    )
    parser.add_argument("--out", required=True, help="model file to be made, .safetensors")
    parser.add_argument("--workers", type=int, default=-1, help="processes; -1: one a core (default)")
    options = parser.parse_intermixed_args(arguments)  # overrides may follow --out
    from models.release import release as make  # with PyTorch

    model = make(options.config, options.overrides, options.out, workers=options.workers)
    facts = model.facts
    print(
        f"{options.out}: {len(model.names)} labels, {facts['files']} files; accuracy on what was held out "
        f"{facts['accuracy']:.1%} ({facts['interval'][0]:.1%} to {facts['interval'][1]:.1%}), split by "
        f"{facts['split_by']}"
    )
    return 0


def export(arguments: Sequence[str]) -> int:
    """The embedding of a classifier as a program of its own (torch.export)."""
    parser = argparse.ArgumentParser(prog="python -m models export", description=export.__doc__)
    parser.add_argument("model", help="a model file that `python -m models release` wrote")
    parser.add_argument("--out", required=True, help="file to be made, .pt2")
    options = parser.parse_args(arguments)
    if Path(options.out).exists():
        raise ValueError(f"{options.out} is there already; give another name to --out, or remove it")
    from models.classifier import Classifier  # with PyTorch

    Classifier.load(options.model).export(options.out)
    print(options.out)
    return 0


def predict(arguments: Sequence[str]) -> int:
    """Name sounds; see ``models.predict.main``, which loads PyTorch only when its arguments are right."""
    from models import predict

    return predict.main(arguments)


def generate(arguments: Sequence[str]) -> int:
    """Sound from a WaveNet, sample by sample; see ``models.generate``."""
    from models import generate as commands

    return commands.generate(arguments)


def resume(arguments: Sequence[str]) -> int:
    """Go on with it; see ``models.generate``."""
    from models import generate as commands

    return commands.resume(arguments)


COMMANDS = {
    "train": train,
    **{name: partial(use, name) for name in USES},
    "generate": generate,
    "resume": resume,
    "release": release,
    "predict": predict,
    "export": export,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0, or 2 after one line that says what is wrong."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: print(f"warning: {message}", file=sys.stderr)
        return answer(COMMANDS, arguments, usage=__doc__)


if __name__ == "__main__":
    sys.exit(main())
