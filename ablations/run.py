"""One run: config -> a trained model, the sounds it makes, and what they measure, in ``runs/<name>/<seed>/``.

Conventions
    config.yaml      the resolved config.
    metrics.json     numbers by name: ``distance`` to the held-out recordings and its views, ``seconds``;
                     ``curve``, the same after earlier steps; ``halves``, the distance of the even and
                     of the odd files, which tells how much of it is sampling. What ``compare`` reads.
    record.json      what it was made with: versions, git commit, seed, checksums of the data, identity.
    audio/           the generated set, 16-bit FLAC.
    embedding.npz    its rows, (windows, 1032), of ``metrics.embed`` over the bundled divisors, and owners.
    model.safetensors  what the model has learned, if it has ``save(path)``.
    identity         SHA-256 of the config without where it is written. A run that is there with the same one
                     is not made again; with another one it is an error: one name is one model.

A model is what ``model._target_`` names: anything with ``train(signals, rate, *, seed)``, which yields steps,
and ``sample(count, *, seed)``. Its ``train`` may take ``labels=`` too, and ``checkpoint=``, a file to write
to and to go on from after an interrupt; it may have ``report()``, numbers for metrics.json.

A run is written to a hidden folder beside its place and renamed at the end, so it is there whole or not at
all, whoever is interrupted and whoever else runs at the same time.
"""

from __future__ import annotations

import difflib
import hashlib
import inspect
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import hydra
import numpy as np
import soundfile
from hydra.errors import CompactHydraException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from tqdm import tqdm

import gen_audio
import metrics
from ablations.config import FOLDER, ConfigError, check_sweep, keys, register
from study import results, sets

MODEL = "model.safetensors"
FILES = ("config.yaml", "metrics.json", "record.json", "embedding.npz")
ELSEWHERE = ("runs", "tracker")  # keys that do not change what is made
NOTES = 1152  # nine of each instrument


class RunError(CompactHydraException, ValueError):
    """A run that cannot be made or used: names its folder and says what is wrong."""


def run(config: DictConfig) -> float:
    """Make one run, unless it is there; return its distance.

    Raises ``RunError`` if the place holds a run of another config, and what data and model raise.
    """
    place = folder(config)
    wanted = identity(config)
    if place.exists():
        return _known(place, config, wanted)
    place.parent.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(prefix=f".{config.seed}.", suffix=".part", dir=place.parent))
    try:
        content = results.plain(_make(config, stage, place, wanted))  # as it will be read
        try:
            os.rename(stage, place)
        except OSError:
            if not place.exists():
                raise
            return _known(place, config, wanted)  # somebody else was first
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    shutil.rmtree(_checkpoint(place, wanted), ignore_errors=True)
    if config.tracker:
        _track(config, place, content)
    return content["distance"]


def folder(config: DictConfig) -> Path:
    """Where a config's run is, or will be. ConfigError for a name that is a path."""
    if not config.name or Path(config.name).name != config.name:
        raise ConfigError(f"name={config.name!r} is no name of a folder; give name=")
    return Path(config.runs) / config.name / str(config.seed)


def find(config: DictConfig) -> Path:
    """The folder of a config's run. RunError if it is not there, or another config's."""
    place = folder(config)
    if not place.exists():
        raise RunError(f"{place}: no such run; train it first")
    _known(place, config, identity(config))
    return place


def identity(config: DictConfig) -> str:
    """SHA-256 of the resolved config without ``runs`` and ``tracker``."""
    content = OmegaConf.to_container(config, resolve=True)
    kept = {key: value for key, value in content.items() if key not in ELSEWHERE}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def _known(place: Path, config: DictConfig, wanted: str) -> float:
    """The distance of a run that is there; RunError if it is another model's."""
    record, found = (read(place, name) for name in ("record.json", "metrics.json"))
    if record.get("identity") != wanted:
        old = OmegaConf.load(place / "config.yaml")
        change = difflib.ndiff(
            *([f"{k}={v}" for k, v in sorted(keys(c).items()) if k not in ELSEWHERE] for c in (old, config))
        )
        differs = [line for line in change if line[0] in "+-"]
        raise RunError(
            f"{place} holds a run of another config; give this one another name=. "
            f"There (-) and here (+): {' '.join(differs)}"
        )
    return float(found["distance"])


def read(place: Path, name: str) -> dict:
    """A JSON file of a run; RunError for a run that is missing, half there or damaged."""
    if not place.is_dir():
        raise RunError(f"{place}: no such run")
    missing = [file for file in FILES if not (place / file).exists()]
    if missing:
        raise RunError(f"{place} lacks {', '.join(missing)}; likely copied half: delete it and run again")
    try:
        content = json.loads((place / name).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RunError(f"{place / name} is damaged ({error}); delete the run and make it again") from None
    if not isinstance(content, dict):
        raise RunError(f"{place / name} holds no table of names; delete the run and make it again")
    return content


# ------------------------------------------------------------------------------------------------ data


@dataclass(frozen=True)
class Split:
    """What is trained on and what is held out; labels and groups one a signal, checksums by part."""

    train: list[np.ndarray]
    train_labels: list[str]
    train_groups: list[str]
    reference: list[np.ndarray]
    validation: list[np.ndarray]
    validation_labels: list[str]
    validation_groups: list[str]
    rate: int
    checksums: dict[str, str]


def split(config: DictConfig) -> Split:
    """The parts of the data, which share no file, and with ``data.split_by=group`` no group.

    Reference and validation depend on ``data.split_seed`` alone. Training files are drawn by ``seed`` from
    all others, so equal seeds of two configs draw alike where their data are alike. By default speakers,
    recordings and programs are on all sides: the question is the model's, not that of generalising.
    """
    data = config.data
    found = _sounds(data)
    labels = found.labels
    usable = [i for i, label in enumerate(labels) if not data.labels or label in data.labels]
    if unknown := {*data.labels, *data.without} - set(labels):
        raise ConfigError(
            f"data {data.name} has no label {', '.join(sorted(unknown))}; "
            f"it has {', '.join(sorted(set(labels)))}"
        )
    rng = np.random.default_rng([data.split_seed, 0])
    sizes = (data.reference, data.validation)
    if data.split_by == "file":
        reference, validation, pool = np.split(rng.permutation(usable), np.cumsum(sizes))
    elif data.split_by == "group":
        reference, validation, pool = _by_group(np.array(usable), np.array(found.groups), sizes, rng)
    else:
        raise ConfigError(f"data.split_by={data.split_by}: neither file nor group")
    pool = pool[[labels[i] not in data.without for i in pool]] if len(pool) else pool
    if len(reference) < data.reference or len(validation) < data.validation or len(pool) < data.train:
        raise ConfigError(
            f"data {data.name} has {len(usable)} usable files"
            f"{f' in {len({found.groups[i] for i in usable})} groups' if data.split_by == 'group' else ''}, "
            f"{len(pool)} of them for training; {data.reference} for reference, "
            f"{data.validation} for validation and {data.train} for training are wanted"
        )
    training = np.random.default_rng([config.seed, 1]).permutation(pool)[: data.train]
    parts = {"train": training, "reference": reference, "validation": validation}
    chosen = {name: [found.signals[i] for i in part] for name, part in parts.items()}
    return Split(
        **chosen,
        train_labels=[labels[i] for i in training],
        train_groups=[found.groups[i] for i in training],
        validation_labels=[labels[i] for i in validation],
        validation_groups=[found.groups[i] for i in validation],
        rate=found.rate,
        checksums={name: _checksum(part) for name, part in chosen.items() if part},
    )


def _by_group(usable: np.ndarray, groups: np.ndarray, sizes: Sequence[int], rng) -> list[np.ndarray]:
    """Whole groups, in random order, to each part until it is full; what is over of the last is dropped."""
    order = list(rng.permutation(np.unique(groups[usable])))
    parts = []
    for size in sizes:
        taken: list[int] = []
        while order and len(taken) < size:
            taken += rng.permutation(usable[groups[usable] == order.pop()]).tolist()
        parts.append(np.array(taken[:size], dtype=int))
    return [*parts, usable[np.isin(groups[usable], order)]]


def _sounds(data: DictConfig) -> sets.AudioSet:
    """A named set, or a folder as ``study.sets.folder`` reads it."""
    if data.name == "instruments":
        # Notes are made on demand, of all families in turn. Their number must not depend on what an
        # ablation changes, or the reference would be another one: so it goes in large steps.
        share = len(data.labels) / len(sets.FAMILIES) if data.labels else 1.0
        count = NOTES
        while count * share < 1.3 * (data.reference + data.validation + data.train):
            count *= 2
        if unknown := {*data.labels, *data.without} - set(sets.FAMILIES):
            raise ConfigError(
                f"instruments have no label {', '.join(sorted(unknown))}; "
                f"there are {', '.join(sets.FAMILIES)}"
            )
        return _instruments(count, data.split_seed, tuple(sorted(data.labels)))
    if data.name in ("digits", "sounds"):
        return getattr(sets, data.name)()
    if not Path(data.name).is_dir():
        raise ConfigError(f"data.name={data.name}: neither instruments, digits, sounds nor a folder")
    try:
        return sets.folder(data.name, group_pattern=data.group_pattern, seconds=data.segment_seconds)
    except ValueError as error:
        raise ConfigError(str(error)) from None


@lru_cache(maxsize=1)  # a sweep in one process renders once
def _instruments(count: int, seed: int, families: tuple[str, ...]) -> sets.AudioSet:
    return sets.instruments(count=count, seed=seed, families=families)


def _checksum(signals: Sequence[np.ndarray]) -> str:
    digest = hashlib.sha256()
    for signal in signals:
        digest.update(np.ascontiguousarray(signal).tobytes())
    return digest.hexdigest()


# ---------------------------------------------------------------------------------------------- making


def _make(config: DictConfig, stage: Path, place: Path, wanted: str) -> dict:
    """Train, sample, measure, and write everything below ``stage``."""
    started = time.perf_counter()
    model = instantiate(config.model)  # first: its mistakes show at once, and data may take a while
    data = split(config)
    reference, rate = data.reference, data.rate
    known = inspect.signature(model.train).parameters
    checkpoint = _checkpoint(place, wanted)
    options = {"labels": data.train_labels, "checkpoint": checkpoint / "state"}
    steps = model.train(
        data.train, rate, seed=config.seed, **{k: v for k, v in options.items() if k in known}
    )
    curve = _curve(checkpoint)
    last, sounds = 0, None
    for last in tqdm(steps, total=getattr(model, "steps", None), desc=str(place), leave=False, disable=None):
        sounds = None
        if last in config.evaluate and last not in curve:
            sounds = model.sample(config.generate, seed=config.seed)
            curve[last] = measure(reference, sounds, rate=rate)
            if "checkpoint" in known:
                _keep_curve(checkpoint, curve)
    if sounds is None:
        sounds = model.sample(config.generate, seed=config.seed)
    if last not in curve:
        curve[last] = measure(reference, sounds, rate=rate)
    (stage / "audio").mkdir()
    for i, sound in enumerate(sounds):
        soundfile.write(stage / "audio" / f"{i:05d}.flac", np.clip(sound, -1, 1), rate, subtype="PCM_16")
    rows = [embedded(sound, rate) for sound in sounds]
    owners = np.repeat(np.arange(len(rows)), [len(r) for r in rows])
    np.savez(stage / "embedding.npz", rows=np.concatenate(rows), owners=owners)
    halves = [metrics.distance(reference, sounds[i::2], rate=rate, workers=1, cache=False) for i in (0, 1)]
    content = {
        **curve[last],
        "halves": halves,
        "curve": [{"step": step, **curve[step]} for step in sorted(curve)],
        **({"model": model.report()} if hasattr(model, "report") else {}),
        "seconds": round(time.perf_counter() - started, 2),
    }
    record = {
        "identity": wanted,
        "seed": config.seed,
        "data": data.checksums,
        "recipe": metrics.constants()[1],
        "commit": commit(),
        "versions": {**results.versions(), "hydra-core": hydra.__version__},
        "machine": platform.machine(),
    }
    (stage / "config.yaml").write_text(OmegaConf.to_yaml(config, resolve=True), encoding="utf-8")
    for name, table in (("metrics.json", content), ("record.json", record)):
        (stage / name).write_text(json.dumps(results.plain(table), indent=1) + "\n", encoding="utf-8")
    if hasattr(model, "save"):
        model.save(stage / MODEL)
    return content


def _checkpoint(place: Path, wanted: str) -> Path:
    """Folder in which an unfinished training of this config waits."""
    return place.with_name(f".{place.name}.{wanted[:12]}.checkpoint")


def _curve(checkpoint: Path) -> dict[int, dict[str, float]]:
    """What an interrupted run has measured already, by step."""
    try:
        kept = json.loads((checkpoint / "curve.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return {int(step): point for step, point in kept.items()}


def _keep_curve(checkpoint: Path, curve: Mapping[int, Mapping[str, float]]) -> None:
    checkpoint.mkdir(parents=True, exist_ok=True)
    part = checkpoint / f"curve.{os.getpid()}.part"
    part.write_text(json.dumps(curve), encoding="utf-8")
    os.replace(part, checkpoint / "curve.json")


def measure(reference: Sequence[np.ndarray], sounds: Sequence[np.ndarray], *, rate: int) -> dict[str, float]:
    """Distance of the sounds to the reference, and its views by name with underscores.

    A model that makes silence or NaN is refused by ``metrics``: a run has no number then.
    """
    found = metrics.compare(reference, sounds, rate=rate, workers=1, permutations=99, cache=False)
    views = {name.replace(" ", "_"): float(value) for name, value in found.views.items()}
    return {"distance": float(found.value), **views}


def embedded(sound: np.ndarray, rate: int) -> np.ndarray:
    windows = metrics.windows(metrics.prepare(sound, rate)[0])
    return np.stack([metrics.embed(window) for window in windows]) / metrics.constants()[0]


def commit() -> str:
    """The git commit of this code, with "+" where files differ from it; "unknown" outside of git."""
    try:
        head, changes = (
            subprocess.run(
                ["git", *command],
                cwd=Path(gen_audio.__file__).parent,
                capture_output=True,
                text=True,
                check=True,
            ).stdout.strip()
            for command in (["rev-parse", "HEAD"], ["status", "--porcelain"])
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head + ("+" if changes else "")


def _track(config: DictConfig, place: Path, content: Mapping) -> None:
    """The same to MLflow: parameters, metrics over the steps, the config; the audio stays where it is."""
    try:
        import mlflow
    except ImportError:
        raise ConfigError(f"tracker={config.tracker} needs MLflow: pip install mlflow-skinny") from None
    mlflow.set_tracking_uri(config.tracker)
    mlflow.set_experiment(config.name)
    with mlflow.start_run(run_name=f"{config.name} {config.seed}"):
        mlflow.log_params({k: str(v) for k, v in keys(config).items() if k not in ELSEWHERE})
        for point in content["curve"]:
            numbers = {k: v for k, v in point.items() if k != "step"}
            mlflow.log_metrics(numbers, step=point["step"])
        mlflow.log_metric("seconds", content["seconds"])
        mlflow.set_tags({"folder": str(place.resolve()), "commit": commit()})
        for name in ("config.yaml", "record.json"):
            mlflow.log_artifact(str(place / name))


# --------------------------------------------------------------------------------------------- command


def main(arguments: Sequence[str]) -> int:
    """``python -m ablations run``: Hydra's command line, checked first; see ``ablations.config``."""
    name, overrides = _hydra_arguments(arguments)
    if not {"-h", "--help", "--hydra-help", "--version", "--cfg", "-c", "--info", "-i"} & set(arguments):
        check_sweep(overrides, config_name=name)
    register()
    sys.argv = ["python -m ablations run", *arguments]
    try:
        hydra.main(version_base="1.3", config_path=str(FOLDER), config_name="base")(_reported)()
    except SystemExit as stop:  # Hydra has told why; 1 would say "worse"
        return 2 if stop.code else 0
    return 0


def _hydra_arguments(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """Config name and overrides among Hydra's arguments; a further config folder becomes an override."""
    name, overrides, rest = "base", [], list(arguments)
    while rest:
        argument = rest.pop(0)
        option, _, value = argument.partition("=")
        if option in ("--config-name", "-cn"):
            name = value or rest.pop(0)
        elif option in ("--config-dir", "-cd"):
            overrides.append(f"hydra.searchpath=[file://{Path(value or rest.pop(0)).resolve()}]")
        elif not argument.startswith("-"):
            overrides.append(argument)
    return name, overrides


def _reported(config: DictConfig) -> float:
    """``run`` with a line on the terminal."""
    distance = run(config)
    print(f"{config.runs}/{config.name}/{config.seed}: distance {distance:.4f}", flush=True)
    return distance
