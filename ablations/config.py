"""What a run is made of: typed configs, composed from ``configs/`` by Hydra.

Conventions
    run          one model, trained once from one seed, and the set of sounds it then makes.
    name         of a config; its runs for several seeds are the replicates of one model.
    ablation     a file of a few lines in ``configs/ablation`` that changes something and names it.
    key          written with dots, ``data.files``; an unknown one, or a value of another type, is an
                 error that lists what exists.

    $ python -m ablations run                                            # configs/base.yaml, seed 0
    $ python -m ablations run -m ablation=base,dropped_class seed=range(0,5)
    $ python -m ablations run -m hydra/launcher=joblib seed=range(0,8)   # or submitit_slurm: extra "cluster"
    $ python -m ablations run -m --config-name search                    # Optuna, of the extra "search"
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import CompactHydraException, HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

FOLDER = Path(__file__).parents[1] / "configs"
MOST_CHECKED = 500  # combinations of a sweep that are composed before anything starts


@dataclass
class Data:
    """Which sounds are trained on, and which the result is compared with: never the same ones."""

    name: str = "instruments"  # of study.datasets (instruments, digits, sounds), a folder, a CSV file
    labels: list[str] = field(default_factory=list)  # used at all; none: every label
    without: list[str] = field(default_factory=list)  # left out of training, not of the reference
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


@dataclass
class Spectrogram:
    """The shipped model, ``ablations.generator.SpectrogramGenerator``, which explains each."""

    _target_: str = "ablations.generator.SpectrogramGenerator"
    n_fft: int = 1024
    hop_length: int = 256
    mels: int = 64
    seconds: float = 1.0
    components: int = 20
    mixture: int = 8
    steps: int = 32
    batch: int = 32
    learning_rate: float = 1.0
    iterations: int = 8
    denormalise: bool = True
    statistics_delay: int = 0
    single_precision: bool = False


@dataclass
class Autoencoder:
    """The variational autoencoders, ``models.autoencoder.Autoencoder``, which explains each."""

    _target_: str = "models.autoencoder.Autoencoder"
    network: str = "simple"
    seconds: float = 1.0
    n_fft: int = 1024
    hop_length: int = 256
    mels: int = 64
    fit: str = "pad"
    denormalise: bool = True
    inversion: str = "regression"
    iterations: int = 32
    width: int = 16
    latent: int = 16
    codes: int = 256
    free_bits: float = 0.0
    kl_weight: float = 1.0
    warm_up: int = 0
    reconstruction_weight: float = 1.0
    prior: str = "normal"
    components: int = 4
    steps: int = 1000
    batch: int = 32
    learning_rate: float = 1e-3
    threads: int = 1


@dataclass
class Classifier:
    """``models.classifier.Classifier``, which explains each."""

    _target_: str = "models.classifier.Classifier"
    front_end: str = "log_mel"
    rate: int = 0
    seconds: float = 1.0
    n_fft: int = 512
    hop_length: int = 256
    mels: int = 64
    coefficients: int = 20
    width: int = 16
    dropout: float = 0.3
    members: int = 1
    normalise: bool = True
    trim: bool = True
    crop: bool = True
    masks: int = 2
    mixup: float = 0.3
    focal: float = 0.0
    crops: int = 5
    steps: int = 600
    batch: int = 32
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    threads: int = 1


class ConfigError(CompactHydraException, ValueError):
    """A config that cannot be: says which key or value, and what there is."""


def register() -> None:
    """Tell Hydra the types; to be called before composing. Again does no harm."""
    store = ConfigStore.instance()
    store.store(name="run_schema", node=Run)
    store.store(group="model", name="spectrogram_schema", node=Spectrogram)
    store.store(group="model", name="autoencoder_schema", node=Autoencoder)
    store.store(group="model", name="classifier_schema", node=Classifier)


def load(
    overrides: Sequence[str] = (), *, config_name: str = "base", folder: Path | str = FOLDER
) -> DictConfig:
    """Compose one config, for use from Python: ``load(["ablation=dropped_class", "seed=3"])``.

    Raises ``ConfigError`` for an unknown key, group or file and for a value of another type.
    """
    register()
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(Path(folder).resolve()), version_base="1.3"):
            config = compose(config_name, overrides=list(overrides))
            OmegaConf.resolve(config)
            return config
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(_explained(error, overrides, config_name, Path(folder))) from None
    finally:
        GlobalHydra.instance().clear()


def replicates(config: DictConfig, count: int) -> list[DictConfig]:
    """The config with the seeds 0 to ``count`` - 1."""
    return [OmegaConf.merge(config, {"seed": seed}) for seed in range(count)]


def check_sweep(overrides: Sequence[str], *, config_name: str, folder: Path | str = FOLDER) -> None:
    """Compose every combination of a sweep, so that a misspelt key ends it before the first run starts."""
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
    found: list[list[str]] = [[]]
    for override in parsed:
        if not override.is_sweep_override():
            found = [[*head, override.input_line] for head in found]
        elif override.is_discrete_sweep():
            values = list(override.sweep_string_iterator())
            key = override.get_key_element()
            found = [[*head, f"{key}={value}"] for head in found for value in values][:MOST_CHECKED]
    yield from found


def keys(config: DictConfig, prefix: str = "") -> dict[str, Any]:
    """Every key with dots and its value."""
    found: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, DictConfig):
            found |= keys(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def _explained(error: Exception, overrides: Sequence[str], config_name: str, folder: Path) -> str:
    """The message with the keys that exist, the nearest ones to what was written first."""
    # Hydra wraps what OmegaConf says of the value.
    cause = error.__cause__ or error.__context__
    text = " ".join(f"{error} {cause or ''}".split())
    if overrides or config_name != "base":
        try:
            known = keys(load(config_name=config_name, folder=folder))
        except ConfigError:
            return text
        written = [part.lstrip("+~").split("=")[0] for part in overrides]
        unknown = [w for w in written if w not in known and "/" not in w]
        near = [n for w in unknown for n in difflib.get_close_matches(w, known, n=1, cutoff=0.5)]
        if near:
            text += f"; did you mean {', '.join(near)}?"
        text += ". Keys: " + ", ".join(f"{k} ({type(v).__name__})" for k, v in known.items())
        groups = sorted(p.parent.name + "=" + p.stem for p in folder.glob("*/*.yaml"))
        text += ". Files: " + ", ".join(groups)
    return text
