"""The experiment on autoencoders in small, on tones in place of digits: every rung, and its drawing."""

import functools
import json
import warnings

import numpy as np
import pytest

pytest.importorskip("torch", reason='pip install -e ".[models]"')
pytest.importorskip("hydra", reason='pip install -e ".[gate]"')

from ablations import run
from experiments import autoencoders
from models import judging
from models.autoencoder import CollapseWarning
from models.classifier import Classifier
from report import tables
from report.figures.index import FIGURES
from study import datasets, results

RATE = 8000
MODELS = ("simple", "residual", "vector_quantised")  # all five train in test_models.py
SIZES = {"n_fft": 256, "hop_length": 64, "mels": 24, "width": 4, "codes": 16, "batch": 8, "iterations": 2}
DRAWN = [draw for draw, *sources in FIGURES.values() if sources == ["autoencoders"]]


def tones():
    """216 tones: three pitches, three timbres as speakers, 24 of each pair."""
    rng = np.random.default_rng(0)
    signals, labels, groups = [], [], []
    for i in range(216):
        label, group = i % 3, i // 3 % 3
        time = np.arange(int(RATE * rng.uniform(0.1, 0.2))) / RATE
        pitch = rng.uniform(100, 120) * 2**label
        partials = sum(np.sin(2 * np.pi * k * pitch * time) * (0.3 * (group + 1)) ** k for k in range(1, 5))
        noise = 0.001 * rng.normal(size=len(time))
        signals.append((0.1 * partials * np.exp(-8 * time) + noise).astype(np.float32))
        labels.append(str(label))
        groups.append("abc"[group])
    names = tuple(f"{i:03d}" for i in range(216))
    return datasets.AudioSet("digits", tuple(signals), RATE, names, tuple(labels), tuple(groups), "made here")


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    original = autoencoders.config_of

    def small(kind, seed, *, runs, overrides=()):
        made = [f"model.{key}={value}" for key, value in SIZES.items()]
        made += ["data.train=60", "data.reference=20", "data.validation=20", "generate=20", "evaluate=[0]"]
        made += [] if kind == "fault_untrained" else ["model.steps=4"]
        made += [] if kind == "fault_truncated" else ["model.seconds=0.25"]
        given = [o for o in overrides if not o.startswith(("data.reference", "evaluate"))]
        return original(kind, seed, runs=runs, overrides=[*made, *given])

    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)  # a few steps teach nothing
        patch.setattr(datasets, "digits", functools.cache(tones))
        patch.setattr(autoencoders, "config_of", small)
        patch.setattr(autoencoders, "BANDS", (24,))
        patch.setattr(autoencoders, "MODELS", MODELS)
        patch.setattr(autoencoders, "AUDIO", folder / "audio")
        patch.setattr(
            judging, "Classifier", functools.partial(Classifier, mels=24, width=4, steps=60, batch=16)
        )
        content = autoencoders.run(runs=str(folder / "runs"), seeds=2, workers=1)
        kept = {path.relative_to(folder / "audio").as_posix() for path in folder.glob("audio/**/*.*")}
        made = {path.name for path in (folder / "runs").iterdir() if not path.name.startswith(".")}
    return json.loads(json.dumps(results.plain(content))), kept, made


def test_every_rung_is_measured(measured):
    content, kept, made = measured
    assert set(content["models"]) == set(MODELS) and set(content["faults"]) == set(autoencoders.FAULTS)
    for row in content["models"].values():
        assert len(row["samples"]["values"]) == len(row["reconstructions"]["values"]) == 2
        assert row["samples"]["interval"][0] < row["samples"]["mean"] < row["samples"]["interval"][1]
        assert [point[0] for point in row["curves"][0]] == [0, 4]
    assert set(content["ceiling"]) == {"linear", *autoencoders.INVERSIONS}
    listen = {row["file"] for row in content["listen"]}
    assert kept == listen | {f"samples/{i:05}.flac" for i in range(20)}
    assert len(listen) == 2 * autoencoders.LISTEN
    assert len(made) == len(MODELS) + len(autoencoders.FAULTS) + 1  # and the unseen speaker


def test_the_floor_is_below_the_ceiling_and_the_ceiling_below_the_models(measured):
    content, *_ = measured
    assert content["floor"]["value"] < content["ceiling"]["linear"]["value"]
    for name in ("linear", "regression"):
        assert content["ceiling"][name]["value"] < content["models"]["simple"]["reconstructions"]["mean"]


def test_the_recogniser_knows_real_tones_and_counts_all(measured):
    content, *_ = measured
    assert content["recognised"]["real"]["right"] >= 0.9  # three pitches an octave apart
    for row in (content["recognised"]["real"], content["models"]["residual"]["recognised"]["samples"][0]):
        assert np.sum(row["cells"]) == row["count"] == 20
    assert "right" not in content["models"]["simple"]["recognised"]["samples"][0]


def test_the_unseen_speaker_was_not_trained_on(measured):
    content, *_ = measured
    assert content["unseen"]["speaker"] in {"a", "b", "c"}
    assert sum(content["unseen"]["files"]) == 72


def test_it_is_drawn(measured):
    content, *_ = measured
    for draw in DRAWN:
        draw(content)
    assert len(tables.ladder(content)) == 5 + 2 * len(MODELS)
    assert len(tables.recognised(content)) == 2 + 2 * len(MODELS)
    assert list(tables.faults(content).index) == [name.replace("_", " ") for name in autoencoders.FAULTS]


def test_a_run_of_another_config_is_not_taken(measured, tmp_path):
    config = autoencoders.config_of("vae_simple", 0, runs=str(tmp_path))
    with pytest.raises(run.RunError, match="no such run"):
        run.find(config)
