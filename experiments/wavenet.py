"""How near recordings does a WaveNet come, sample by sample, and what is each part of it worth?

On spoken digits: the network as it is shipped and one that is told the digit, several seeds each; shorter
contexts; temperatures; planted faults. All from the 2,000 recordings that the autoencoders learn from, judged
with the same 300 held-out ones, so that both stand in one ladder. On songs of three games: longer training, a
wider context, the label.

Conventions
    bits           a sample, of what is held out: 300 validation recordings of digits, or whole songs, every
                   code, each recording after silence. ``predictors`` are measured on the same codes.
    distance       of as many generated sounds as there are reference recordings; temperature 1 unless said.
    ceiling        of any model of codes: the validation recordings, encoded to 256 codes and decoded.
    interval       95 %; over files for one set of sounds, over seeds for networks.
    claim          bits that a faulty network tells of itself, by its own faulty loss.

Runs are the gate's, and those that are there are not made again: the command goes on after an interrupt.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import soundfile
from hydra.utils import instantiate
from joblib import delayed
from omegaconf import DictConfig

from ablations import compare, listed, splits
from ablations import run as gate
from ablations.config import load
from ablations.run import MODEL
from ablations.splits import Split
from ablations.statistics import judge, mean_interval
from models import judging, wavenet
from models.classifier import Classifier
from models.predictors import NAMES
from models.sampler import Sampler, generate
from models.wavenet import FAULTS
from models.wavenet_training import LEARNED_BY_PREDICTORS, WaveNet, lenders, sounds_of
from study import results
from study.datasets import packaged
from study.datasets.mu_law import decode, encode
from study.pictures import picture

DATA = ("digits",)
NEEDS = ("PyTorch", "Hydra", "game-music")
TAKES = "two and a half hours"

SEEDS = 3  # of the network with and without labels; nine minutes each
MARGIN = "5%"  # of the mean of the baseline: the worsening that is tolerated
BASE, TOLD = "unconditional", "conditional"
VARIANTS = {  # of the config wavenet_judged; name -> overrides
    BASE: (),
    TOLD: ("model.conditional=true", "name=wavenet_conditional_digits"),
}
CONTEXTS = {layers: (f"model.layers={layers}", f"name=wavenet_layers_{layers}_digits") for layers in (4, 7)}
SONGS = {  # of the config wavenet_songs
    "shipped sizes": ("model.steps=600",),
    "longer training": ("model.steps=2800", "name=wavenet_songs_long", "evaluate=[1000]"),
    "wider context": ("model.steps=600", "model.layers=12", "name=wavenet_songs_wide"),
    "told the game": ("model.steps=600", "model.conditional=true", "name=wavenet_songs_conditional"),
}
TEMPERATURES = (0.7, 0.8, 0.9, 1.0, 1.1)
FAULT_STEPS = 300  # of the trainings with planted faults, and of one without
WHITE = {"residual": 64, "gate": 64, "skip": 64, "head": 64, "layers": 3, "blocks": 1, "window": 400}
SHORTEST = 30.0  # s, of a held-out song: jingles are none
RECOGNISER = {"seconds": 1.0, "n_fft": 512, "hop_length": 128}
LISTEN = 4  # sounds of each network that are kept: the first ones, not the best
SONG_SECONDS, SONG_TEMPERATURE = 10.0, 0.9
AUDIO = results.FOLDER / "wavenet"


def config_of(
    name: str, overrides: Sequence[str] = (), *, seed: int = 0, runs: str = "runs", quick: bool = False
):
    """A run of the config ``name``, "wavenet_judged" or "wavenet_songs". ``quick``: to try the code."""
    small = ("model.steps=3", "model.layers=2", "model.residual=8", "model.gate=8", "evaluate=[1]")
    sized = ("data.train=60", "data.reference=20", "data.validation=20", "generate=20")
    more = (*small, *(sized if name == "wavenet_judged" else ())) if quick else ()
    return load([f"seed={seed}", f"runs={runs}", *overrides, *more], config_name=name)


def options(parser: argparse.ArgumentParser) -> None:
    """Adds ``--seeds``: trainings with and without labels, over which the intervals are."""
    parser.add_argument("--seeds", type=int, default=SEEDS, help="of both networks (default %(default)s)")


def run(*, quick: bool = False, runs: str = "runs", workers: int = -1, seeds: int = SEEDS) -> dict:
    """Make the runs that are missing, and measure.

    Returns
    -------
    dict
        config         numbers of recordings, steps, sizes, seeds, margin
        predictors     bits by name, of digits
        floor, ceiling validation recordings as they are, and through mu-law: distance, quality
        networks       variant -> ``bits``, ``distance`` (values by seed, mean, interval), ``curves`` of
                       (step, distance, bits), ``views``, ``quality``, ``recognised`` of seed 0
        verdicts       of the gate on the network that is told the digit: by distance, by bits
        contexts       receptive field -> bits, distance with interval, of seed 0
        temperatures   variant -> temperature -> distance with interval, quality, recognised
        recognised     of real recordings and of the ceiling
        faults         fault -> claim on digits and on white noise
        songs          variant -> bits, steps, epochs, receptive field; ``predictors``; what is held out
        pictures       what notebook 10 draws; sounds are kept as FLAC in ``results/wavenet``
    """
    where = {"runs": runs, "quick": quick}
    seeds = 2 if quick else seeds
    digits = {
        (name, seed): config_of("wavenet_judged", more, seed=seed, **where)
        for (name, more), seed in product(VARIANTS.items(), range(seeds))
    }
    contexts = {
        layers: config_of("wavenet_judged", [more[1]] if quick else more, **where)
        for layers, more in CONTEXTS.items()
    }
    faults = {fault: config_of("wavenet_judged", _fault(fault), **where) for fault in FAULTS}
    songs = {name: config_of("wavenet_songs", (*_songs(), *more), **where) for name, more in SONGS.items()}
    configs = [part for table in (songs, digits, contexts, faults) for part in table.values()]
    gate.in_parallel([delayed(gate.run)(config) for config in configs], workers=workers, what="runs")

    base = digits[BASE, 0]
    data = splits.split(base)
    recognisers = judging.recognisers(base, workers=workers, **RECOGNISER)
    found: dict = {"config": _facts(base, data, seeds)}
    found["predictors"] = {name: _metrics(base)[name] for name in NAMES}
    back = [decode(encode(signal)) for signal in data.validation]
    found["floor"], found["ceiling"] = (_judged(data, sounds) for sounds in (data.validation, back))
    found["recognised"] = {
        kind: judging.recognised(sounds, recognisers, rate=data.rate, labels=data.validation_labels)
        for kind, sounds in (("real", data.validation), ("mu-law", back))
    }
    found["networks"] = {
        name: _network([digits[name, seed] for seed in range(seeds)], data, recognisers) for name in VARIANTS
    }
    found["verdicts"] = _verdicts(found["networks"])
    found["contexts"] = {
        str(place["receptive_field"]): place
        for config in (*contexts.values(), base)
        for place in [_context(config, data)]
    }
    jobs = [
        delayed(_at_temperature)(digits[name, 0], temperature, data, recognisers)
        for name, temperature in product(VARIANTS, TEMPERATURES)
    ]
    rows = gate.in_parallel(jobs, workers=workers, what="temperatures")
    found["temperatures"] = {
        name: {
            f"{temperature:g}": row
            for (other, temperature), row in zip(product(VARIANTS, TEMPERATURES), rows, strict=True)
            if other == name
        }
        for name in VARIANTS
    }
    found["faults"] = _faults(faults, data, steps=3 if quick else FAULT_STEPS)
    found["songs"] = _bits_of_songs(songs, workers)
    found["pictures"] = _kept(digits, songs, data, seconds=0.1 if quick else SONG_SECONDS)
    return found


def _fault(fault: str) -> list[str]:
    return [
        f"model.fault={fault}",
        f"model.steps={FAULT_STEPS}",
        "evaluate=[]",
        f"name=wavenet_fault_{fault or 'none'}_digits",
    ]


def _songs() -> list[str]:
    """The folder of all three packages; labels are theirs."""
    return [f"data.name={os.path.commonpath([song.path for song in packaged.debian_packages()])}"]


def _facts(config, data: Split, seeds: int) -> dict:
    sizes = ("residual", "gate", "skip", "head", "layers", "blocks", "steps", "batch", "learning_rate")
    told = _metrics(config)["model"]
    return {
        **{name: len(getattr(data, name)) for name in ("train", "reference", "validation")},
        **{name: config.model[name] for name in sizes},
        **{name: told[name] for name in ("parameters", "multiply_adds", "receptive_field", "epochs")},
        "codes": _metrics(config)["samples"],
        "rate": data.rate,
        "generate": config.generate,
        "seeds": seeds,
        "margin": MARGIN,
        "sure": judging.SURE,
        "fault_steps": FAULT_STEPS,
    }


def _metrics(config) -> dict:
    return gate.read(gate.find(config), "metrics.json")


def _sounds(config) -> list[np.ndarray]:
    """What a run has made, in its order."""
    paths = sorted((gate.find(config) / "audio").glob("*.flac"))
    return [soundfile.read(path, dtype="float32")[0] for path in paths]


def _labels(config, data: Split, count: int) -> list[str] | None:
    """What the sounds of a run should say; None of a network that is not told."""
    if not config.model.conditional:
        return None
    own = splits.split(config)  # training recordings are drawn by the seed
    return [own.train_labels[i] for i in lenders(count, len(own.train), seed=config.seed)]


def _judged(data: Split, sounds: Sequence[np.ndarray]) -> dict:
    return {
        **judging.distance(data.reference, sounds, rate=data.rate),
        "quality": judging.quality(data.reference, sounds, rate=data.rate),
    }


# ------------------------------------------------------------------------------------------- digits


def _network(configs: Sequence, data: Split, recognisers: Mapping[str, Classifier]) -> dict:
    """All seeds of one network."""
    tables = [_metrics(config) for config in configs]
    made = [_sounds(config) for config in configs]
    judged = [_judged(data, sounds) for sounds in made]
    distances = np.array([row["value"] for row in judged])
    bits = np.array([table["bits"] for table in tables])
    return {
        "distance": _over_seeds(distances) | {"files": [row["interval"] for row in judged]},
        "bits": _over_seeds(bits),
        "curves": [
            [[point["step"], point["distance"], point["bits"]] for point in table["curve"]]
            for table in tables
        ],
        "views": {
            view: float(np.mean([row["views"][view] for row in judged])) for view in judged[0]["views"]
        },
        "quality": {
            measure: float(np.mean([row["quality"][measure] for row in judged]))
            for measure in judged[0]["quality"]
        },
        "recognised": judging.recognised(
            made[0], recognisers, rate=data.rate, labels=_labels(configs[0], data, len(made[0]))
        ),
        "minutes": [table["seconds"] / 60 for table in tables],
    }


def _over_seeds(values: np.ndarray) -> dict:
    return {"values": values, "mean": values.mean(), "interval": mean_interval(values)}


def _verdicts(networks: Mapping[str, Mapping]) -> dict:
    """Is the network that is told the digit better, seed by seed?"""
    found = {}
    for measure in ("distance", "bits"):
        baseline, candidate = (list(networks[name][measure]["values"]) for name in (BASE, TOLD))
        margin = compare.absolute(MARGIN, float(np.mean(baseline)))
        found[measure] = judge(baseline, candidate, paired=True, margin=margin).to_dict()
    return found


def _context(config, data: Split) -> dict:
    table = _metrics(config)
    apart = judging.distance(data.reference, _sounds(config), rate=data.rate)
    return {
        "receptive_field": table["model"]["receptive_field"],
        "multiply_adds": table["model"]["multiply_adds"],
        "bits": table["bits"],
        "distance": apart["value"],
        "interval": apart["interval"],
    }


def _at_temperature(config, temperature: float, data: Split, recognisers: Mapping[str, Classifier]) -> dict:
    """As many sounds of a network as the run has made, with their lengths and labels, at a temperature."""
    network = Sampler.load(gate.find(config) / MODEL)
    own = splits.split(config)
    lent = lenders(config.generate, len(own.train), seed=config.seed)
    labels = _labels(config, data, config.generate)
    sounds = sounds_of(
        network,
        [len(own.train[i]) for i in lent],
        labels=labels,
        seed=config.seed,
        temperature=temperature,
        progress=False,
    )
    return _judged(data, sounds) | {
        "recognised": judging.recognised(sounds, recognisers, rate=data.rate, labels=labels)
    }


# ------------------------------------------------------------------------------------------- faults


def _faults(configs: Mapping[str, object], data: Split, *, steps: int) -> dict:
    """What faulty networks tell of themselves."""
    white = [np.random.default_rng([0, i]).integers(256, size=2000).astype(np.uint8) for i in range(20)]
    options = {k: v for k, v in load(config_name="wavenet").model.items() if k != "_target_"} | WHITE
    found = {}
    for fault, config in configs.items():
        table = _metrics(config)
        small = WaveNet(**options | {"fault": fault, "steps": steps})
        for _ in small.train(white[:16], data.rate, seed=0):
            pass
        found[fault or "none"] = {
            "claim": table["bits"],
            "claim_on_noise": small.bits(white[16:])["bits"],
        }
    return found


# ------------------------------------------------------------------------------------------- songs


def _bits_of_songs(configs: Mapping[str, DictConfig], workers: int) -> dict:
    """Of every network, and of the predictors, which learn from pieces of all songs.

    What the runs measured is not taken: among their held-out songs are a jingle, and one with another edition
    in the training.
    """
    first = next(iter(configs.values()))
    data = listed.divide(first)
    chosen = [i for i, path in enumerate(data.held_out) if _is_new(path, data)]
    jobs = [delayed(_bits_of)(config, chosen, with_predictors=config is first) for config in configs.values()]
    rows = gate.in_parallel(jobs, workers=workers, what="bits of songs")
    tables = {name: _metrics(config)["model"] for name, config in configs.items()}
    seconds = tables[next(iter(configs))]["codes"] / data.rate
    return {
        "networks": {
            name: {
                "bits": row["bits"],
                "steps": config.model.steps,
                "minutes": _metrics(config)["seconds"] / 60,
                **{k: tables[name][k] for k in ("epochs", "receptive_field", "multiply_adds")},
            }
            for (name, config), row in zip(configs.items(), rows, strict=True)
        },
        "predictors": {name: rows[0][name] for name in NAMES},
        "learned_by_predictors": min(LEARNED_BY_PREDICTORS, round(seconds * data.rate)) / data.rate / 60,
        "held_out": {"songs": len(chosen), "minutes": rows[0]["samples"] / data.rate / 60},
        "trained_on_minutes": seconds / 60,
    }


def _is_new(path: Path, data: listed.Listed) -> bool:
    """Whether a held-out song is one, and no edition of it is trained on."""
    name = path.stem.removesuffix("_enhanced")
    known = {other.stem.removesuffix("_enhanced") for other in data.train}
    return soundfile.info(path).duration >= SHORTEST and name not in known


def _bits_of(config: DictConfig, chosen: Sequence[int], *, with_predictors: bool) -> dict:
    """Bits of a trained run on some of its held-out files."""
    data = listed.divide(config)
    model = instantiate(config.model)
    next(model.train(data.train, data.rate, seed=config.seed, labels=data.train_labels))
    network, _ = wavenet.load(gate.find(config) / MODEL)
    model.network.load_state_dict(network.state_dict())
    signals, labels = ([of[i] for i in chosen] for of in (data.held_out, data.held_out_labels))
    return (model.bits if with_predictors else model.own_bits)(signals, labels)


# -------------------------------------------------------------------------------- to look and listen


def _kept(digits: Mapping, songs: Mapping, data: Split, *, seconds: float) -> dict:
    """The first sounds of each network as FLAC files, and the one that knows digits; pictures of a word."""
    shutil.rmtree(AUDIO, ignore_errors=True)  # a sound of an earlier measurement must not stay
    AUDIO.mkdir(parents=True)
    signal, label = data.validation[0], data.validation_labels[0]
    shutil.copy(gate.find(digits[TOLD, 0]) / MODEL, AUDIO / "digits.safetensors")
    pictures = {f"a recording of “{label}”": signal, "through 256 codes": decode(encode(signal))}
    for name in VARIANTS:
        config = digits[name, 0]
        made = _sounds(config)
        labels = _labels(config, data, len(made))
        for i, sound in enumerate(made[:LISTEN]):
            said = f"_{labels[i]}" if labels else ""
            _write(AUDIO / f"{name}_{i}{said}.flac", sound, data.rate)
        place = labels.index(label) if labels and label in labels else 0
        pictures["made, told the word" if labels else "made, told nothing"] = made[place]
    for name in ("longer training", "told the game"):
        path = gate.find(songs[name]) / MODEL
        network = Sampler.load(path)
        label = network.labels[-1] if network.labels else None
        made = generate(
            network,
            round(seconds * network.rate),
            seed=0,
            temperature=SONG_TEMPERATURE,
            label=label,
            progress=False,
        )
        _write(AUDIO / f"song_{name.replace(' ', '_')}.flac", decode(made.codes[0]), network.rate)
    return {name: picture(sound, data.rate) for name, sound in pictures.items()}


def _write(path: Path, sound: np.ndarray, rate: int) -> None:
    soundfile.write(path, np.clip(sound, -1, 1), rate, subtype="PCM_16")


def summary(found: Mapping) -> str:
    """Bits beside the predictors, and distances beside floor and ceiling."""
    lines = ["digits, bits: " + ", ".join(f"{name} {bits:.2f}" for name, bits in found["predictors"].items())]
    for name, row in found["networks"].items():
        lines.append(f"{name}: {row['bits']['mean']:.3f} bits, distance {row['distance']['mean']:.4f}")
    lines.append(f"floor {found['floor']['value']:.4f}, mu-law {found['ceiling']['value']:.4f}")
    told = found["songs"]
    lines.append(
        "songs, bits: " + ", ".join(f"{name} {bits:.2f}" for name, bits in told["predictors"].items())
    )
    lines += [f"{name}: {row['bits']:.3f} bits" for name, row in told["networks"].items()]
    return "\n".join(lines)
