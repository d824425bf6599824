"""The experiments on the WaveNet in small, on tones in place of digits and noises in place of songs."""

import functools
import json

import numpy as np
import pytest
import soundfile

pytest.importorskip("torch", reason='pip install -e ".[models]"')
pytest.importorskip("hydra", reason='pip install -e ".[gate]"')

from test_experiment_autoencoders import tones

from experiments import wavenet, wavenet_training
from models import judging, predictors
from models.classifier import Classifier
from report import tables
from report.figures.index import FIGURES
from study import datasets, results

DRAWN = [draw for draw, *sources in FIGURES.values() if sources == ["wavenet"]]


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    rng = np.random.default_rng(0)
    for game in ("one", "other"):
        (folder / "songs" / game).mkdir(parents=True)
        for i in range(6):
            soundfile.write(folder / "songs" / game / f"{game}{i}.wav", 0.1 * rng.normal(size=4000), 8000)
    original = wavenet.config_of

    def small(name, overrides=(), **options):
        more = ["data.validation=4", "model.window=2000"] if name == "wavenet_songs" else []
        return original(name, [*overrides, *more], **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDIO_DISTANCE_CACHE", str(folder / "cache"))
        patch.setattr(datasets, "digits", functools.cache(tones))
        patch.setattr(wavenet, "config_of", small)
        patch.setattr(wavenet, "_songs", lambda: [f"data.name={folder / 'songs'}"])
        patch.setattr(wavenet, "AUDIO", folder / "audio")
        patch.setattr(predictors, "bits", lambda training, held_out: dict.fromkeys(predictors.NAMES, 8.0))
        patch.setattr(wavenet, "TEMPERATURES", (0.9, 1.0))
        patch.setattr(wavenet, "SHORTEST", 0.1)
        patch.setattr(wavenet, "RECOGNISER", {"seconds": 0.25, "n_fft": 256, "hop_length": 64})
        patch.setattr(
            judging, "Classifier", functools.partial(Classifier, mels=24, width=4, steps=60, batch=16)
        )
        content = wavenet.run(quick=True, runs=str(folder / "runs"), workers=1)
        kept = {path.name for path in (folder / "audio").iterdir()}
    return json.loads(json.dumps(results.plain(content))), kept


def test_every_network_is_measured(measured):
    content, _ = measured
    assert set(content["networks"]) == set(wavenet.VARIANTS) and set(content["songs"]["networks"]) == set(
        wavenet.SONGS
    )
    for row in content["networks"].values():
        assert len(row["bits"]["values"]) == len(row["distance"]["values"]) == 2
        assert [point[0] for point in row["curves"][0]] == [1, 3]
    assert set(content["faults"]) == {"none", "unshifted", "undilated", "same", "off_by_one"}
    assert set(content["temperatures"][wavenet.TOLD]) == {"0.9", "1"}
    assert content["predictors"]["uniform"] == 8.0


def test_the_temperature_of_the_run_gives_the_sounds_of_the_run(measured):
    """Files are of 16 bits, codes are not: the sounds differ by less than half a step of the file."""
    content, _ = measured
    for name in wavenet.VARIANTS:
        ran, again = content["networks"][name]["distance"]["values"][0], content["temperatures"][name]["1"]
        assert again["value"] == pytest.approx(ran, abs=1e-3)


def test_words_are_known_of_who_was_told_them_alone(measured):
    content, _ = measured
    told = {name: row["recognised"] for name, row in content["networks"].items()}
    assert "right" in told[wavenet.TOLD] and "right" not in told[wavenet.BASE]
    assert content["recognised"]["real"]["right"] >= 0.9


def test_sounds_are_kept(measured):
    _, kept = measured
    assert len(kept) == 2 * wavenet.LISTEN + 3 and "digits.safetensors" in kept
    assert sum(name.startswith("conditional_") for name in kept) == wavenet.LISTEN


def test_it_is_drawn(measured):
    content, _ = measured
    for draw in DRAWN:
        draw(content)
    autoencoders = results.read("autoencoders")
    rungs = 2 + len(wavenet.VARIANTS)
    both = 2 * len(autoencoders["models"])
    for recipe, models in ((autoencoders["header"]["recipe"], both), ("another", 0)):
        table = tables.wavenet_ladder(content | {"header": {"recipe": recipe}}, autoencoders)
        assert len(table) == rungs + models  # of another recipe, distances are not side by side
    draw, *_ = FIGURES["wavenet_ladder"]
    draw(content | {"header": {"recipe": recipe}}, autoencoders)
    assert len(tables.wavenet_faults(content)) == len(content["faults"])
    assert len(tables.bits_of_songs(content)) == len(content["predictors"]) + len(wavenet.SONGS)
    assert wavenet.summary(content).startswith("digits, bits: uniform 8.00")


def test_training_in_small(monkeypatch):
    """What is timed is the training that is meant: two processes have the losses of one, but for rounding."""
    kept = results.read("wavenet_training")
    monkeypatch.setattr(wavenet_training, "ARRANGEMENTS", {"1 x 1": (1, 1), "2 x 1": (2, 1)})
    monkeypatch.setattr(wavenet_training, "memory", lambda folder, **options: kept["memory"])
    found = results.plain(wavenet_training.run(quick=True))
    assert found["arrangements"]["2 x 1"]["largest_difference_of_losses"] < 1e-3  # of the first two steps
    assert set(found) == set(kept) - {"header"}
    assert len(wavenet_training.summary(found).splitlines()) == 5
