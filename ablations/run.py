"""One run: config -> a trained model, the sounds it makes, and what they measure, in ``runs/<name>/<seed>/``.

Conventions
    config.yaml      the resolved config.
    metrics.json     numbers by name, which ``compare`` reads; ``seconds``; ``curve``, the same after earlier
                     steps. What they are depends on the task, see ``ablations.tasks``.
    record.json      what it was made with: versions, git commit, seed, checksums of the data, identity.
    model.safetensors  what the model has learned, if it has ``save(path)``.
    identity         SHA-256 of the config without where it is written. A run that is there with the same one
                     is not made again; with another one it is an error: one name is one model.

A model is what ``model._target_`` names: anything with ``train(signals, rate, *, seed)``, which yields steps,
and either ``sample(count, *, seed)``, sounds, or ``probabilities(signals, rate)``, (sounds, labels), of its
``names``, or ``bits(paths, labels)``, numbers by name; then ``train`` is given paths too. Its ``train`` may
take ``labels=`` too, and ``checkpoint=``, a file to write to and to go on from after an interrupt; it may
have ``report()``, numbers for metrics.json, and ``save(path)``.

A run is written to a hidden folder beside its place and renamed at the end, so it is there whole or not at
all, whoever is interrupted and whoever else runs at the same time (``ablations.stages``).
"""

from __future__ import annotations

import difflib
import hashlib
import inspect
import json
import multiprocessing
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.errors import CompactHydraException
from hydra.utils import instantiate
from joblib import Parallel
from omegaconf import DictConfig, OmegaConf

import gen_audio
import metrics
from ablations import tasks
from ablations.config import FOLDER, ConfigError, check_sweep, keys, register, with_model_types
from ablations.progress import Progress
from ablations.stages import stage
from audio_distance.errors import AudioError
from audio_distance.extraction import end_with
from audio_distance.storage import replacing
from study import results

MODEL = "model.safetensors"
FILES = ("config.yaml", "metrics.json", "record.json")
ELSEWHERE = ("runs", "tracker")  # keys that do not change what is made


class RunError(CompactHydraException, ValueError):
    """A run that cannot be made or used: names its folder and says what is wrong."""


def run(config: DictConfig) -> float:
    """Make one run, unless it is there.

    Returns
    -------
    float
        The number its task is told by (``tasks``): the distance, or the error rate. Lower is better.

    Raises
    ------
    RunError
        If the place holds a run of another config, or a damaged one.
    ConfigError
        For data or a model that cannot be; and whatever data and model raise themselves.
    """
    place = folder(config)
    wanted = identity(config)
    if place.exists():
        return _known(place, config, wanted)
    if parent := multiprocessing.parent_process():  # of a worker: a sweep, or an experiment
        end_with(parent.pid)
    checkpoint = _checkpoint(place, wanted)
    with stage(place, checkpoint=checkpoint) as made:
        content = results.plain(_make(config, made, place, wanted))  # as it will be read
        try:
            os.rename(made, place)  # fails where a folder that is not empty is in place
        except OSError:
            if not place.exists():
                raise
            return _known(place, config, wanted)  # somebody else was first
    shutil.rmtree(checkpoint, ignore_errors=True)
    if config.tracker:
        _track(config, place, content)
    return float(content[read(place, "record.json")["headline"]])


def in_parallel(jobs: Sequence, *, workers: int, what: str) -> list:
    """Results of joblib's ``delayed`` jobs, in order, with a progress bar; ``workers`` -1: one a core."""
    done = Parallel(n_jobs=workers, return_as="generator")(jobs)
    found = []
    with Progress(total=len(jobs), what=what, unit="job") as progress:
        for result in done:
            found.append(result)
            progress.at(len(found))
    return found


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
    """SHA-256 of the resolved config without ``runs`` and ``tracker``: what is made, not where."""
    content = OmegaConf.to_container(config, resolve=True)
    kept = {key: value for key, value in content.items() if key not in ELSEWHERE}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def _known(place: Path, config: DictConfig, wanted: str) -> float:
    """The number of a run that is there; RunError, with the keys that differ, if it is another model's."""
    record, numbers = (read(place, name) for name in ("record.json", "metrics.json"))
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
    return float(numbers[record["headline"]])


def read(place: Path, name: str) -> dict:
    """A JSON file of a run; RunError for a run that is missing, half there or damaged."""
    if not place.is_dir():
        raise RunError(f"{place}: no such run")
    _whole(place, FILES)
    _whole(place, _table(place / "record.json").get("files", ()))
    return _table(place / name)


def _whole(place: Path, files: Iterable[str]) -> None:
    """RunError for a run that lacks a file."""
    if missing := [file for file in files if not (place / file).exists()]:
        raise RunError(f"{place} lacks {', '.join(missing)}; likely copied half: delete it and run again")


def _table(path: Path) -> dict:
    """A JSON file that holds an object; RunError for another one."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RunError(f"{path} is damaged ({error}); delete the run and make it again") from None
    if not isinstance(content, dict):
        raise RunError(f"{path} holds no table of names; delete the run and make it again")
    return content


# ---------------------------------------------------------------------------------------------- making


def _make(config: DictConfig, stage: Path, place: Path, wanted: str) -> dict:
    """Train, measure, and write everything below ``stage``."""
    started = time.perf_counter()
    model = instantiate(config.model)  # first: its mistakes show at once, and data may take a while
    task = tasks.of(model, config)
    last, result, curve = _trained(model, task, config, place, _checkpoint(place, wanted))
    content = {
        **curve[last],
        **task.write(result, stage),
        "curve": [{"step": step, **curve[step]} for step in sorted(curve)],
        **({"model": model.report()} if hasattr(model, "report") else {}),
        "seconds": round(time.perf_counter() - started, 2),
    }
    record = {
        "identity": wanted,
        "seed": config.seed,
        "headline": task.headline,
        "files": task.files,
        "data": task.checksums,
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


def _trained(
    model, task: tasks.Task, config: DictConfig, place: Path, checkpoint: Path
) -> tuple[int, Any, dict[int, dict[str, float]]]:
    """Train a model; its last step, what it made then, and what was measured, by step.

    An interrupted training yields its last kept step again and goes on; what was measured before is kept too.
    """
    known = inspect.signature(model.train).parameters
    options = {"labels": task.train_labels, "checkpoint": checkpoint / "state"}
    steps = model.train(
        task.train, task.rate, seed=config.seed, **{k: v for k, v in options.items() if k in known}
    )
    curve = _curve(checkpoint)
    last, result = 0, None
    with Progress(total=getattr(model, "steps", None), what=str(place), unit="step") as progress:
        for last in steps:
            progress.at(last)
            result = None  # of an earlier step
            if last in config.evaluate and last not in curve:
                result = task.result(model)
                curve[last] = task.measure(result)
                if "checkpoint" in known:
                    _keep_curve(checkpoint, curve)
    if result is None:
        result = task.result(model)
    if last not in curve:
        curve[last] = task.measure(result)
    return last, result, curve


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
    """The inverse of ``_curve``."""
    with replacing(checkpoint / "curve.json") as part:
        part.write_text(json.dumps(curve), encoding="utf-8")


def commit() -> str:
    """The git commit of this code, with "+" where files differ from it; "unknown" outside of git.

    Of the code, not of the folder the command is called in.
    """
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
            numbers = {k: v for k, v in point.items() if k != "step" and isinstance(v, (int, float))}
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
    """``run`` of what Hydra composed, with a line on the terminal."""
    config = with_model_types(config)
    if not folder(config).exists():  # at once: data and the first step may take a while
        print(f"{folder(config)}: preparing", file=sys.stderr, flush=True)
    try:
        number = run(config)
    except AudioError as error:  # of a file of the data: one line, as of all that is wrong with a config
        raise RunError(str(error)) from None
    name = read(folder(config), "record.json")["headline"].replace("_", " ")
    print(f"{folder(config)}: {name} {number:.4f}", flush=True)
    return number
