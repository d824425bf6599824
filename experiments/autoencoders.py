"""How far are an autoencoder's samples from recordings, and at which stage is it lost?

Five autoencoders and five planted faults, three seeds each, on spoken digits: 2,000 to train on, 300 held out
as reference and 300 to validate.

Conventions
    reference      held-out recordings; every distance of the ladder is to them.
    validation     as many other held-out recordings. They are what is measured as they are (the floor), after
                   the way through a spectrogram and back (the ceiling of every model behind one), and after
                   each model (its reconstructions). No model has seen either part.
    samples        what a model makes from its prior.
    recogniser     ``models.classifier``, trained on all other recordings, never on a model's sounds.

Runs are the gate's, and those that are there are not made again: the command goes on after an interrupt.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
import soundfile
import torch
from joblib import delayed
from sklearn.decomposition import PCA

import metrics
from ablations import compare, splits
from ablations import run as gate
from ablations.config import load
from ablations.run import MODEL
from ablations.splits import Split
from ablations.statistics import judge, judge_each, mean_interval
from models import judging, spectrogram
from models.autoencoder import Autoencoder
from models.classifier import Classifier
from models.spectrogram import INVERSIONS, Spectrogram
from study import datasets, results
from study.pictures import picture

DATA = ("digits",)
NEEDS = ("PyTorch", "Hydra")
TAKES = "half an hour"

MODELS = ("simple", "residual", "hierarchical", "vector_quantised", "waveform")
BASE = "simple"
FAULTS = ("truncated", "stretched", "not_denormalised", "untrained", "loss_twice")
IN_THE_SPECTROGRAM = FAULTS[:3]  # the others lie in the training
SEEDS = 3  # of every model; ten minutes each
MARGIN = "5%"  # of the mean of the baseline: the worsening that is tolerated
BANDS = (32, 64, 128)  # mel bands whose loss is measured; the models have 64
LISTEN = 4  # best and worst samples that are kept
SAMPLES = 40  # the first ones of the best model that are kept: an example page plays them
AUDIO = results.FOLDER / "autoencoders"


def config_of(kind: str, seed: int, *, runs: str, overrides: Sequence[str] = ()):
    """The config of a run on spoken digits.

    ``kind`` is a file of ``configs/`` ("vae_simple", "fault_stretched"), ``runs`` the folder of all runs,
    ``overrides`` further ``key=value`` settings. Equal configs are one run, which is not made twice.
    """
    return load(["set=digits", f"seed={seed}", f"runs={runs}", *overrides], config_name=kind)


def options(parser: argparse.ArgumentParser) -> None:
    """Adds ``--seeds``: replicates of every model, with which the gate's intervals widen or narrow."""
    parser.add_argument("--seeds", type=int, default=SEEDS, help="of every model (default %(default)s)")


def run(*, runs: str = "runs", workers: int = -1, seeds: int = SEEDS) -> dict:
    """Make the runs that are missing, and measure every rung of the ladder.

    ``seeds`` replicates of five models and five faults; ``runs`` is the folder they lie in. Distances are to
    the 300 held-out recordings, without unit; intervals are 95 %.

    Returns
    -------
    dict
        seeds, margin, sure   the settings above; ``config``: numbers of recordings, of the spectrogram, of
                              steps
        floor                 validation recordings as they are: value, interval, p_value, views, density,
                              coverage
        ceiling, bands        round trips without a model: way back -> the same; way back -> mel bands -> the
                              same
        recognised            "real" and "round trip": share right, share sure, counts by digit and speaker
        models                model -> ``samples`` and ``reconstructions`` (values by seed, mean, interval
                              over seeds), ``curves`` of (step, distance), ``quality``, ``recognised``,
                              ``verdicts``
        faults                fault -> values by seed and the verdict against ``BASE``, all together and
                              ``alone``
        best, listen          the model with the nearest samples; its nearest and farthest sounds, kept as
                              FLAC, as are the first ``SAMPLES`` under ``samples``
        pictures, latents     what notebook 07 draws; ``unseen``: a speaker that a model does not know

    Raises
    ------
    datasets.MissingData
        Without the spoken digits.
    ablations.run.RunError
        For a run of another config under the same name.
    """
    kinds = [*(f"vae_{name}" for name in MODELS), *(f"fault_{name}" for name in FAULTS)]
    configs = [config_of(kind, seed, runs=runs) for seed, kind in product(range(seeds), kinds)]
    gate.in_parallel([delayed(gate.run)(config) for config in configs], workers=workers, what="runs")
    data = splits.split(config_of(f"vae_{BASE}", 0, runs=runs))
    model = configs[0].model
    analysis = {name: model[name] for name in ("seconds", "n_fft", "hop_length")}
    recognisers = judging.recognisers(configs[0], workers=workers, **analysis)
    measured: dict = {
        "seeds": seeds,
        "margin": MARGIN,
        "sure": judging.SURE,
        "config": {
            **{name: len(getattr(data, name)) for name in ("train", "reference", "validation")},
            **{
                name: model[name]
                for name in ("n_fft", "hop_length", "mels", "seconds", "iterations", "steps")
            },
            "batch": model.batch,
            "rate": data.rate,
            "generate": configs[0].generate,
        },
    }
    measured |= _rungs(data, model, recognisers, workers)
    jobs = [
        delayed(_measured)(name, seed, runs, data, recognisers) for seed in range(seeds) for name in MODELS
    ]
    rows = gate.in_parallel(jobs, workers=workers, what="models")
    measured["models"] = {name: _gathered([row for n, row in rows if n == name]) for name in MODELS}
    _judge(measured["models"])
    measured["faults"] = _faults(runs, seeds, data)
    # By the mean over seeds: the best single run would be the luckiest.
    best = min(MODELS, key=lambda name: np.mean(measured["models"][name]["samples"]["values"]))
    measured["best"] = best
    measured["listen"] = _listen(best, runs, data)
    measured["pictures"] = _pictures(runs, data)
    measured["latents"] = _latents("residual", runs, data)
    measured["unseen"] = _unseen("vae_residual", runs, data)
    return measured


# ---------------------------------------------------------------------------------------------- rungs


def _rungs(data: Split, model, recognisers: dict[str, Classifier], workers: int) -> dict:
    """Floor and ceilings: recordings as they are, and after the way through spectrograms and back."""

    def kind(mels: int) -> Spectrogram:
        return Spectrogram(data.rate, model.n_fft, model.hop_length, mels, model.seconds)

    learned = {
        mels: spectrogram.statistics(spectrogram.powers(data.train, kind(mels)), kind(mels)) for mels in BANDS
    }
    # nnls iterates over every block of frames: at one number of bands only
    ways = [("linear", model.mels), ("nnls", model.mels), *product(("uniform", "regression"), BANDS)]
    jobs = [
        delayed(_round_trip)(data, kind(mels), learned[mels], inversion, model.iterations)
        for inversion, mels in ways
    ]
    sounds = dict(zip(ways, gate.in_parallel(jobs, workers=workers, what="round trips"), strict=True))
    table = {key: judging.distance(data.reference, value, rate=data.rate) for key, value in sounds.items()}
    shipped = sounds["regression", model.mels]  # the way that the models go
    return {
        "floor": {
            **judging.distance(data.reference, data.validation, rate=data.rate),
            **judging.quality(data.reference, data.validation, rate=data.rate),
        },
        "ceiling": {inversion: table[inversion, model.mels] for inversion in ("linear", *INVERSIONS)},
        "bands": {
            inversion: {str(m): table[inversion, m] for m in BANDS if (inversion, m) in table}
            for inversion in INVERSIONS
        },
        "recognised": {
            "real": judging.recognised(
                data.validation, recognisers, rate=data.rate, labels=data.validation_labels
            ),
            "round trip": judging.recognised(
                shipped, recognisers, rate=data.rate, labels=data.validation_labels
            ),
        },
    }


def _round_trip(
    data: Split, kind: Spectrogram, learned: spectrogram.Statistics, inversion: str, iterations: int
) -> list[np.ndarray]:
    """The validation recordings after analysis and synthesis, each as long as it was."""
    made = []
    for signal in data.validation:
        if inversion == "linear":  # every bin is known, and only the phases are lost
            magnitude = np.sqrt(kind.power(signal))
        else:
            magnitude = spectrogram.magnitude(
                kind.log_mel(signal), spectrogram=kind, inversion=inversion, learned=learned
            )
        made.append(kind.waveform(magnitude, iterations=iterations)[: len(signal)])
    return made


# -------------------------------------------------------------------------------------------- models


def _measured(name: str, seed: int, runs: str, data: Split, recognisers) -> tuple[str, dict]:
    """Reconstructions and samples of one run."""
    torch.set_num_threads(1)  # a process a core already; and sums in another order differ
    place = gate.find(config_of(f"vae_{name}", seed, runs=runs))
    model = Autoencoder.load(place / MODEL)
    samples = [soundfile.read(path, dtype="float32")[0] for path in sorted((place / "audio").glob("*.flac"))]
    # What each sample should say is drawn from the seed alone, so it need not have been kept.
    labels = model.draw_labels(len(samples), seed=seed) if model.is_conditional else None
    back = model.reconstruct(data.validation, data.rate)
    table = gate.read(place, "metrics.json")
    return name, {
        "samples": judging.distance(data.reference, samples, rate=data.rate),
        "reconstructions": judging.distance(data.reference, back, rate=data.rate),
        "quality": {
            "samples": judging.quality(data.reference, samples, rate=data.rate),
            "reconstructions": judging.quality(data.reference, back, rate=data.rate),
        },
        "recognised": {
            "samples": judging.recognised(samples, recognisers, rate=data.rate, labels=labels),
            "reconstructions": judging.recognised(
                back, recognisers, rate=data.rate, labels=data.validation_labels
            ),
        },
        "curve": [[point["step"], point["distance"]] for point in table["curve"]],
        "model": table["model"],
        "seconds": table["seconds"],
    }


def _gathered(rows: Sequence[dict]) -> dict:
    """One table a model: lists over seeds, and intervals over them."""
    table: dict = {
        "seconds": [row["seconds"] for row in rows],
        "curves": [row["curve"] for row in rows],
        "model": [row["model"] for row in rows],
        "recognised": {k: [row["recognised"][k] for row in rows] for k in rows[0]["recognised"]},
        "quality": {
            kind: {k: float(np.mean([row["quality"][kind][k] for row in rows])) for k in measures}
            for kind, measures in rows[0]["quality"].items()
        },
    }
    for kind in ("samples", "reconstructions"):
        values = np.array([row[kind]["value"] for row in rows])
        table[kind] = {
            "values": values,
            "mean": values.mean(),
            "interval": mean_interval(values),
            "files": [row[kind]["interval"] for row in rows],
            "views": {
                v: float(np.mean([row[kind]["views"][v] for row in rows])) for v in rows[0][kind]["views"]
            },
        }
    return table


def _judge(models: dict) -> None:
    """Does each model beat the simple one, seed by seed, in samples and in reconstructions?"""
    for kind in ("samples", "reconstructions"):
        baseline = models[BASE][kind]["values"]
        others = {name: row[kind]["values"] for name, row in models.items() if name != BASE}
        margin = compare.absolute(MARGIN, float(np.mean(baseline)))
        for name, verdict in judge_each(baseline, others, paired=True, margin=margin).items():
            models[name].setdefault("verdicts", {})[kind] = verdict.to_dict()


def _faults(runs: str, seeds: int, data: Split) -> dict:
    """Planted faults against the model they are planted in, as the gate has it; and without a model.

    ``round_trip`` is the distance of the validation recordings that only went through the fault's own
    spectrogram and back, for faults that lie there.
    """
    base = compare.load(gate.folder(config_of(f"vae_{BASE}", 0, runs=runs)).parent.name, runs=runs)
    sides = {
        name: compare.load(gate.folder(config_of(f"fault_{name}", 0, runs=runs)).parent.name, runs=runs)
        for name in FAULTS
    }
    values = {name: [side.values[seed] for seed in range(seeds)] for name, side in sides.items()}
    baseline = [base.values[seed] for seed in range(seeds)]  # as the gate measured it, not anew
    margin = compare.absolute(MARGIN, float(np.mean(baseline)))
    verdicts = judge_each(baseline, values, paired=True, margin=margin)
    return {
        name: {
            "values": values[name],
            **verdicts[name].to_dict(),
            "alone": judge(baseline, values[name], paired=True, margin=margin).to_dict(),
            **({"round_trip": _faulty_trip(name, runs, data)} if name in IN_THE_SPECTROGRAM else {}),
        }
        for name in FAULTS
    }


def _faulty_trip(name: str, runs: str, data: Split) -> dict:
    model = Autoencoder.load(gate.find(config_of(f"fault_{name}", 0, runs=runs)) / MODEL)
    return judging.distance(
        data.reference, model.synthesise(model.analyse(data.validation, data.rate)), rate=data.rate
    )


# ------------------------------------------------------------------------------------- to look and listen


def _listen(name: str, runs: str, data: Split) -> list[dict]:
    """The samples that lie nearest and farthest, kept as FLAC files beside the results."""
    config = config_of(f"vae_{name}", 0, runs=runs)
    place = gate.find(config)
    paths = sorted((place / "audio").glob("*.flac"))
    apart = metrics.compare(
        data.reference, [str(p) for p in paths], rate=(data.rate, None), workers=1, cache=False
    )
    labels = Autoencoder.load(place / MODEL).draw_labels(len(paths), seed=0)
    shutil.rmtree(AUDIO, ignore_errors=True)  # a sound of an earlier measurement must not stay
    (AUDIO / "samples").mkdir(parents=True)
    for path in paths[:SAMPLES]:
        shutil.copy(path, AUDIO / "samples")
    kept = []
    # ``units`` are sorted by their contribution to the value, the farthest first.
    for kind, units in (("nearest", apart.units[: -LISTEN - 1 : -1]), ("farthest", apart.units[:LISTEN])):
        for rank, unit in enumerate(units, start=1):
            source = next(path for path in paths if path.name == Path(unit.name).name)
            target = AUDIO / f"{kind}_{rank}.flac"
            shutil.copy(source, target)
            kept.append(
                {"kind": kind, "file": target.name, "value": unit.value, "label": labels[paths.index(source)]}
            )
    return kept


def _pictures(runs: str, data: Split) -> dict[str, dict]:
    """One recording at every stage, and beside each reconstruction a sample meant to be of its label."""
    signal, label = data.validation[0], data.validation_labels[0]
    pictures = {f"a recording of “{label}”": signal}
    for name in MODELS:
        place = gate.find(config_of(f"vae_{name}", 0, runs=runs))
        model = Autoencoder.load(place / MODEL)
        if len(pictures) == 1:
            back = model.synthesise(model.analyse([signal], data.rate))[0]
            pictures["its round trip"] = back[: len(signal)]
        paths = sorted((place / "audio").glob("*.flac"))
        labels = model.draw_labels(len(paths), seed=0)
        chosen = labels.index(label) if label in labels else 0
        words = name.replace("_", " ")
        pictures[f"{words}, reconstructed"] = model.reconstruct([signal], data.rate)[0]
        pictures[f"{words}, sampled"] = soundfile.read(paths[chosen], dtype="float32")[0]
    return {name: picture(sound, data.rate) for name, sound in pictures.items()}


def _latents(name: str, runs: str, data: Split) -> dict:
    """The latents of the validation recordings on their first two principal components."""
    model = Autoencoder.load(gate.find(config_of(f"vae_{name}", 0, runs=runs)) / MODEL)
    latents = model.encode(model.analyse(data.validation, data.rate)).numpy()
    pca = PCA(2, random_state=0).fit(latents)
    return {
        "model": name,
        "points": np.round(pca.transform(latents), 3),
        "explained": pca.explained_variance_ratio_,
        "labels": data.validation_labels,
        "groups": data.validation_groups,
    }


def _unseen(kind: str, runs: str, data: Split) -> dict:
    """One speaker's recordings, reconstructed by a model that knows the speaker and by one that does not."""
    overrides = ["data.split_by=group", f"name={kind}_unseen_speaker", "generate=20", "evaluate=[]"]
    # Split by speaker: the held-out recordings are all of one whom the model has never heard.
    overrides += ["data.reference=300", "data.validation=0"]
    config = config_of(kind, 0, runs=runs, overrides=overrides)
    gate.run(config)
    unseen = {signal.tobytes() for signal in splits.split(config).reference}
    whole = datasets.digits()
    speaker = next(g for s, g in zip(whole.signals, whole.groups, strict=True) if s.tobytes() in unseen)
    # Of this speaker, recordings that neither model was trained on; all others are the yardstick.
    held = [s for s, g in zip(data.validation, data.validation_groups, strict=True) if g == speaker]
    taken = {signal.tobytes() for signal in held}
    others = [
        s
        for s, g in zip(whole.signals, whole.groups, strict=True)
        if g == speaker and s.tobytes() not in taken
    ]
    models = {
        "known": Autoencoder.load(gate.find(config_of(kind, 0, runs=runs)) / MODEL),
        "unseen": Autoencoder.load(gate.find(config) / MODEL),
    }
    to_others = {
        name: metrics.compare(
            others, model.reconstruct(held, data.rate), rate=data.rate, workers=1, cache=False
        )
        for name, model in models.items()
    }
    to_others["real"] = metrics.compare(others, held, rate=data.rate, workers=1, cache=False)
    apart = metrics.difference(to_others["unseen"], to_others["known"])
    return {
        "speaker": speaker,
        "files": [len(others), len(held)],
        **{name: {"value": c.value, "interval": list(c.interval)} for name, c in to_others.items()},
        "difference": {"value": apart.value, "interval": list(apart.interval), "p_value": apart.p_value},
    }
