"""What a run is made of: typed configs, composed from ``configs/`` by Hydra.

Conventions
    run          one model, trained once from one seed, and the set of sounds it then makes.
    name         of a config; its runs for several seeds are the replicates of one model.
    ablation     a file of a few lines in ``configs/ablation`` that changes something and names it.
    key          written with dots, ``data.train``; an unknown one, or a value of another type, is an
                 error that lists what exists.
    model        whatever ``model._target_`` names. Its constructor is the schema of the other keys below
                 ``model``: their names are its arguments, their types its annotations. So nothing here knows
                 a model, and a model of one's own is checked like the shipped ones. The values are in
                 ``configs/model/NAME.yaml``, which lists all keys: Hydra overrides only what is there.

    $ python -m ablations run                                            # configs/base.yaml, seed 0
    $ python -m ablations run -m ablation=base,dropped_class seed=range(0,5)
    $ python -m ablations run -m hydra/launcher=joblib seed=range(0,8)   # or submitit_slurm: extra "cluster"
    $ python -m ablations run -m --config-name search                    # Optuna, of the extra "search"
"""

from __future__ import annotations

import difflib
import inspect
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import CompactHydraException, HydraException
from omegaconf import BooleanNode, DictConfig, FloatNode, IntegerNode, OmegaConf, StringNode
from omegaconf.errors import OmegaConfBaseException, ValidationError

FOLDER = Path(__file__).parents[1] / "configs"
MOST_CHECKED = 500  # combinations of a sweep that are composed before anything starts
NODES = {int: IntegerNode, float: FloatNode, bool: BooleanNode, str: StringNode}  # convert as Hydra does
VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)  # *args and **kwargs


@dataclass
class Data:
    """Which sounds are trained on, and which the result is compared with: never the same ones."""

    name: str = "instruments"  # of study.datasets (instruments, digits, sounds), a folder, a CSV file
    labels: list[str] = field(default_factory=list)  # used at all; none: every label
    without: list[str] = field(
        default_factory=list
    )  # labels, groups left out of training, not of the reference
    train: int = 120  # files drawn for training by the run's seed; 0 for a classifier: all there are
    reference: int = 100  # files held out, the same for every seed
    validation: int = 0  # further files held out: what an autoencoder is asked to reconstruct
    split_seed: int = 0  # of what is held out
    split_by: str = "file"  # or group: no speaker, recording, program on both sides; or published
    folds: int = 5  # of a classifier's data; the run's seed chooses the one that is held out
    group_pattern: str = ""  # of a folder: a regular expression on the path, whose match is the group
    segment_seconds: float = 0.0  # of a folder: cut each file in pieces, which are then its group; 0: whole
    rate: int = 0  # Hz, to which the files of a folder are resampled; 0: the one they share


@dataclass
class Run:
    """One run: see the module's conventions."""

    name: str = "base"
    seed: int = 0
    generate: int = 120  # files made and compared
    evaluate: list[int] = field(default_factory=list)  # steps after which it is compared, beside the last
    data: Data = field(default_factory=Data)
    model: Any = None  # _target_ and its arguments: hydra.utils.instantiate makes the model
    runs: str = "runs"  # folder: runs/<name>/<seed>/
    tracker: str = ""  # MLflow tracking URI; empty: none


class ConfigError(CompactHydraException, ValueError):
    """A config that cannot be: says which key or value, and what there is."""


def register() -> None:
    """Tell Hydra the types of ``Run``; to be called before composing. Again does no harm."""
    ConfigStore.instance().store(name="run_schema", node=Run)


def load(
    overrides: Sequence[str] = (), *, config_name: str = "base", folder: Path | str = FOLDER
) -> DictConfig:
    """Compose one config, for use from Python: ``load(["ablation=dropped_class", "seed=3"])``.

    Parameters
    ----------
    overrides : sequence of str
        As on Hydra's command line.
    config_name : str
        A file of ``folder`` without its ending.
    folder : path
        Of the config files; by default the repository's.

    Returns
    -------
    DictConfig
        Resolved, with the values of ``model`` in the types of its constructor.

    Raises
    ------
    ConfigError
        For an unknown key, group or file, a value of another type, and a model that cannot be imported.
    """
    try:
        return with_model_types(_composed(overrides, config_name, folder))
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(_explained(error, overrides, config_name, Path(folder))) from None


def _composed(overrides: Sequence[str], config_name: str, folder: Path | str) -> DictConfig:
    """What Hydra makes of the files and overrides, before anything is known of the model."""
    register()
    GlobalHydra.instance().clear()  # a notebook may have composed something else before
    try:
        with initialize_config_dir(str(Path(folder).resolve()), version_base="1.3"):
            config = compose(config_name, overrides=list(overrides))
            OmegaConf.resolve(config)
            return config
    finally:
        GlobalHydra.instance().clear()


def with_model_types(config: DictConfig) -> DictConfig:
    """A copy whose values below ``model`` are checked against, and in the types of, its constructor.

    ``model.seconds=1`` becomes 1.0 where the constructor says float, so that one setting has one identity.
    Arguments that are not annotated as int, float, bool or str are left as they are.

    Raises
    ------
    ConfigError
        For a ``_target_`` that is missing or cannot be imported, a key that the constructor does not take,
        one that it needs and does not get, and a value that is not of its type.
    """
    target = OmegaConf.select(config, "model._target_")
    if not target:
        raise ConfigError("model._target_ is missing: the class of the model, as package.module.Class")
    parameters = _parameters(target)
    values = OmegaConf.to_container(config.model, resolve=True)
    options = {name for name in values if not name.startswith("_")}  # _target_ and the like are Hydra's
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    if unknown := [] if takes_any else sorted(options - set(parameters)):
        near = [n for name in unknown for n in difflib.get_close_matches(name, parameters, n=1)]
        hint = f"; did you mean {', '.join(f'model.{name}' for name in near)}?" if near else ""
        raise ConfigError(f"{target} has no option {', '.join(f'model.{n}' for n in unknown)}{hint}")
    required = {n for n, p in parameters.items() if p.default is p.empty and p.kind not in VARIADIC}
    if missing := sorted(required - options):
        raise ConfigError(f"{target} needs {', '.join(f'model.{name}' for name in missing)}")
    for name in options & set(parameters):
        kind = parameters[name].annotation
        if node := NODES.get(kind):
            try:
                values[name] = node(values[name], is_optional=False)
            except ValidationError:
                raise ConfigError(f"model.{name}={values[name]!r} is no {kind.__name__}") from None
    typed = config.copy()
    typed.model = values
    return typed


def _parameters(target: str) -> Mapping[str, inspect.Parameter]:
    """The arguments of a constructor, or of a function that makes a model; annotations evaluated."""
    try:
        made_by = pkgutil.resolve_name(target)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"model._target_={target} cannot be imported: {error}") from None
    try:
        return inspect.signature(made_by, eval_str=True).parameters
    except NameError:  # annotated with what is imported for a type checker alone
        return inspect.signature(made_by).parameters


def replicates(config: DictConfig, count: int) -> list[DictConfig]:
    """The config with the seeds 0 to ``count`` - 1."""
    return [OmegaConf.merge(config, {"seed": seed}) for seed in range(count)]


def check_sweep(overrides: Sequence[str], *, config_name: str, folder: Path | str = FOLDER) -> None:
    """Compose every combination of a sweep, so that a misspelt key ends it before the first run starts.

    The first ``MOST_CHECKED`` of them; the values that a search (Optuna) draws are not known beforehand.
    ConfigError as ``load``.
    """
    for i, combination in enumerate(_combinations(overrides)):
        if i >= MOST_CHECKED:
            return
        load(combination, config_name=config_name, folder=folder)


def _combinations(overrides: Sequence[str]) -> Iterator[list[str]]:
    """The overrides of every job of a grid; distributions of a search are left out."""
    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
    except HydraException as error:
        raise ConfigError(str(error)) from None
    jobs: list[list[str]] = [[]]
    for override in parsed:
        if not override.is_sweep_override():
            jobs = [[*job, override.input_line] for job in jobs]
        elif override.is_discrete_sweep():
            values = list(override.sweep_string_iterator())
            key = override.get_key_element()
            jobs = [[*job, f"{key}={value}"] for job in jobs for value in values][:MOST_CHECKED]
    yield from jobs


def keys(config: DictConfig, prefix: str = "") -> dict[str, Any]:
    """Every key with dots and its value."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, DictConfig):
            flat |= keys(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _explained(error: Exception, overrides: Sequence[str], config_name: str, folder: Path) -> str:
    """The message with the keys that exist, the nearest ones to what was written first."""
    # Hydra wraps what OmegaConf says of the value; our own errors say it all.
    cause = None if isinstance(error, ConfigError) else error.__cause__ or error.__context__
    text = " ".join(f"{error} {cause or ''}".split())
    if overrides or config_name != "base":
        try:
            known = keys(_composed((), config_name, folder))
        except (HydraException, OmegaConfBaseException):
            return text
        written = [part.lstrip("+~").split("=")[0] for part in overrides]
        unknown = [w for w in written if w not in known and "/" not in w]
        near = [n for w in unknown for n in difflib.get_close_matches(w, known, n=1, cutoff=0.5)]
        if near and "did you mean" not in text:
            text += f"; did you mean {', '.join(near)}?"
        text += ". Keys: " + ", ".join(f"{k} ({type(v).__name__})" for k, v in known.items())
        groups = sorted(p.parent.name + "=" + p.stem for p in folder.glob("*/*.yaml"))
        text += ". Files: " + ", ".join(groups)
    return text
