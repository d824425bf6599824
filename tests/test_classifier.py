"""The classifier in small: front ends against librosa, network, training, folds, files, commands."""

import csv
import hashlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

pytest.importorskip("torch", reason='pip install -e ".[models]"')
pytest.importorskip("hydra", reason='pip install -e ".[gate]"')
import librosa
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

import metrics
from ablations import compare, cross_validation, run, splits, tasks
from ablations.config import ConfigError, load
from models import __main__ as command
from models import classifier, classifier_network, predict, release
from models.baselines import CepstralRegression, Majority
from models.classifier import Classifier
from models.spectrogram import Spectrogram
from study import datasets, embeddings

ROOT = Path(__file__).parents[1]
RATE = 8000
SMALL = {
    "seconds": 0.25,
    "n_fft": 256,
    "hop_length": 128,
    "mels": 24,
    "coefficients": 8,
    "width": 4,
    "steps": 40,
    "batch": 16,
}
LABELS = ("low", "middle", "high")


def tone(rng, label, rate=RATE):
    """A noisy tone of 0.1 to 0.4 s, low, middle or high."""
    time = np.arange(int(rate * rng.uniform(0.1, 0.4))) / rate
    pitch = rng.uniform(200, 250) * 2.5 ** LABELS.index(label)
    return (0.3 * np.sin(2 * np.pi * pitch * time) + 0.01 * rng.normal(size=len(time))).astype(np.float32)


def tones(seed, count):
    rng = np.random.default_rng(seed)
    labels = [LABELS[i % 3] for i in range(count)]
    return [tone(rng, label) for label in labels], labels


@pytest.fixture(scope="module")
def model():
    """Trained on 45 tones, calibrated on 30 others."""
    made = Classifier(**SMALL)
    signals, labels = tones(0, 45)
    for _ in made.train(signals, RATE, labels=labels, seed=0):
        pass
    fresh, names = tones(1, 30)
    made.calibrate(made.probabilities(fresh, RATE), names)
    made.described = made.describe(signals, RATE, seed=0)
    made.facts = {"data": "tones", "accuracy": 0.9, "held_out": [0.01]}
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """60 tones as label/take.wav; the take's last digit is its group: two tones of each label in each."""
    place = tmp_path_factory.mktemp("tones")
    for i, (signal, label) in enumerate(zip(*tones(2, 60), strict=True)):
        (place / label).mkdir(exist_ok=True)
        soundfile.write(place / label / f"{i:02d}_{i // 3 % 10}.wav", signal, RATE)
    return place


# Front ends


@pytest.mark.parametrize("kind", classifier_network.FRONT_ENDS)
def test_front_ends_are_those_of_librosa(kind):
    """float32 transforms of 256 points: relative error below 1e-5, of logarithms up to 15."""
    spectrogram = Spectrogram(RATE, 256, 128, 24, 0.5)
    signal = np.pad(tone(np.random.default_rng(0), "middle"), (0, 4000))[:4000]
    found = classifier_network.FrontEnd(kind, spectrogram, coefficients=8).bands(
        torch.from_numpy(signal)[None]
    )[0]
    power = np.abs(librosa.stft(signal, n_fft=256, hop_length=128)) ** 2
    bands = np.log(spectrogram.filters @ power + classifier_network.FLOOR)
    wanted = bands[None]
    if kind != "log_mel":
        cepstra = librosa.feature.mfcc(S=bands, n_mfcc=8)
        changes = [librosa.feature.delta(cepstra, order=k, mode="nearest") for k in (1, 2)]
        wanted = np.stack([cepstra, *changes] if kind == "mfcc_deltas" else [cepstra])
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-4)


@given(st.integers(1, 5000), st.sampled_from(classifier_network.FRONT_ENDS))
@settings(max_examples=20)
def test_a_front_end_takes_any_length(length, kind):
    front_end = classifier_network.FrontEnd(kind, Spectrogram(RATE, 256, 128, 24, 0.5), coefficients=8)
    found = front_end(torch.zeros(2, length))
    assert found.shape[:2] == (2, front_end.channels) and torch.isfinite(found).all()
    assert found.shape[3] == 1 + max(length, 256) // 128


def test_fit_gives_mean_0_and_deviation_1():
    front_end = classifier_network.FrontEnd("log_mel", Spectrogram(RATE, 256, 128, 24, 0.5), coefficients=8)
    rng = np.random.default_rng(0)
    pictures = [
        front_end.bands(torch.from_numpy(rng.normal(size=4000).astype(np.float32))[None])[0] for _ in range(3)
    ]
    front_end.fit(pictures)
    frames = torch.cat([front_end.normalised(p[None])[0] for p in pictures], dim=2)
    np.testing.assert_allclose(frames.mean(dim=2), 0, atol=1e-4)
    np.testing.assert_allclose(frames.std(dim=2), 1, atol=1e-3)


# What is done to a batch


def test_a_window_is_cut_or_padded_with_silence():
    picture, silence = torch.arange(20.0).reshape(1, 2, 10), torch.full((1, 2, 1), -7.0)
    middle = classifier_network.window(picture, 4, silence)
    np.testing.assert_array_equal(middle[0], [[3, 4, 5, 6], [13, 14, 15, 16]])
    longer = classifier_network.window(picture, 13, silence)
    np.testing.assert_array_equal(longer[0, 0], [-7, *range(10), -7, -7])
    starts = {
        int(classifier_network.window(picture, 4, silence, np.random.default_rng(i))[0, 0, 0])
        for i in range(100)
    }
    assert starts == set(range(7))  # each is missed with probability (6/7)^100 = 2e-7


def test_hiding_takes_strips_at_the_mean_and_nothing_else():
    x = torch.ones(50, 1, 20, 30)
    classifier_network.hide(x, np.random.default_rng(0))
    hidden = x == 0
    bands, frames = hidden.all(dim=3).sum(dim=2), hidden.all(dim=2).sum(dim=2)
    assert bands.max() == 4 and frames.max() == 6  # a fifth of each, in 50 draws
    np.testing.assert_array_equal(hidden.sum(dim=(2, 3)), bands * 30 + frames * 20 - bands * frames)


def test_focal_loss_in_closed_form():
    """At equal logits each class has 1/4, so the loss is (3/4)^2 log 4; without exponent cross entropy."""
    targets = torch.eye(4)
    assert classifier_network.focal_loss(torch.zeros(4, 4), targets, 2.0) == pytest.approx(0.5625 * np.log(4))
    logits = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    wanted = torch.nn.functional.cross_entropy(logits, torch.arange(4))
    assert classifier_network.focal_loss(logits, targets, 0.0) == pytest.approx(float(wanted))


# Training and prediction


def test_it_tells_tones_apart(model):
    fresh, labels = tones(3, 30)
    assert np.mean(np.array(model.predict(fresh, RATE)) == labels) >= 0.9
    np.testing.assert_allclose(model.probabilities(fresh, RATE).sum(axis=1), 1, atol=1e-12)
    assert model.embed(fresh, RATE).shape == (30, 8 * SMALL["width"])


def test_rate_level_length_and_silence_do_not_matter(model):
    """Probabilities move by less than 0.05 when a tone is resampled; by nothing when it is louder or late."""
    signals, _ = tones(4, 6)
    plain = model.probabilities(signals, RATE)
    np.testing.assert_allclose(model.probabilities([0.01 * s for s in signals], RATE), plain, atol=1e-5)
    late = [np.pad(s, (700, 300)) for s in signals]
    np.testing.assert_allclose(model.probabilities(late, RATE), plain, atol=1e-12)
    higher = [soxr.resample(s, RATE, 44100) for s in signals]
    np.testing.assert_allclose(model.probabilities(higher, 44100), plain, atol=0.05)
    assert model.windows(np.ones(10 * RATE, np.float32)).shape == (model.crops, RATE // 4)


def test_each_sound_is_judged_alone(model):
    signals, _ = tones(5, 8)
    together = model.probabilities(signals, RATE)
    alone = np.concatenate([model.probabilities([s], RATE) for s in signals])
    np.testing.assert_allclose(together, alone, atol=1e-6)  # float32, another size of batch


def test_equal_seeds_give_equal_files_and_an_interrupt_changes_nothing(tmp_path):
    signals, labels = tones(6, 24)

    def trained(name, seed, stop=None):
        made = Classifier(**SMALL | {"steps": 6, "members": 2})
        made.EVERY = 2
        for step in made.train(signals, RATE, labels=labels, seed=seed, checkpoint=tmp_path / "state"):
            if step == stop:
                return None
        for kept in tmp_path.glob("state*"):
            kept.unlink()
        made.save(tmp_path / name)
        return hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()

    whole = trained("whole", 0)
    assert trained("cut", 0, stop=9) is None and (tmp_path / "state1").exists()
    assert trained("again", 0) == whole != trained("other", 1)


def test_members_are_averaged_and_differ():
    signals, labels = tones(14, 12)
    made, alone = (Classifier(**SMALL | {"steps": 5, "members": n}) for n in (2, 1))
    for each in (made, alone):
        steps = list(each.train(signals, RATE, labels=labels, seed=0))
        assert steps == list(range(1, each.steps + 1))
    first = alone.probabilities(signals, RATE)
    made.networks, both = made.networks[:1], made.probabilities(signals, RATE)
    np.testing.assert_array_equal(made.probabilities(signals, RATE), first)
    assert np.abs(both - first).max() > 1e-3


def test_a_member_is_the_network_of_its_own_seed():
    """To the bit; and the mean of the members is the whole, but for the order of rounding."""
    signals, labels = tones(14, 12)
    whole, one = (Classifier(**SMALL | {"steps": 5, "members": n}) for n in (3, 1))
    for each, seed in ((whole, 7), (one, 7 + 2 * classifier.SEEDS_APART)):
        for _ in each.train(signals, RATE, labels=labels, seed=seed):
            pass
    members = [whole.alone(number).probabilities(signals, RATE) for number in range(3)]
    np.testing.assert_array_equal(members[2], one.probabilities(signals, RATE))
    np.testing.assert_allclose(np.mean(members, axis=0), whole.probabilities(signals, RATE), atol=1e-6)
    with pytest.raises(IndexError, match="member 3 of a classifier of 3"):
        whole.alone(3)


@pytest.mark.parametrize("changed", [{"front_end": "mfcc_deltas"}, {"focal": 2.0}, {"members": 2}])
def test_a_model_file_gives_the_same_probabilities(changed, tmp_path):
    """Focal loss too: what a file lacks is the loss, and prediction does not need it."""
    made = Classifier(**SMALL | {"steps": 5} | changed)
    signals, labels = tones(7, 12)
    for _ in made.train(signals, RATE, labels=labels, seed=0):
        pass
    made.save(tmp_path / "model")
    again = Classifier.load(tmp_path / "model")
    np.testing.assert_array_equal(again.probabilities(signals, RATE), made.probabilities(signals, RATE))


def test_a_model_file_holds_everything(model, tmp_path):
    model.save(tmp_path / "model")
    found = Classifier.load(tmp_path / "model")
    assert found.names == ("high", "low", "middle") and found.options == model.options
    assert found.temperature == model.temperature and found.facts == model.facts and found.rate_ == RATE
    signals, _ = tones(8, 10)
    assert metrics.distance(found.described, signals, rate=RATE) == pytest.approx(
        metrics.distance(model.described, signals, rate=RATE), abs=1e-12
    )
    assert (tmp_path / "model").stat().st_size < 2 * 2**20


def test_messages_of_model_files(model, tmp_path):
    model.save(tmp_path / "model")
    broken = tmp_path / "broken"
    broken.write_bytes((tmp_path / "model").read_bytes()[:500])
    for path in (broken, tmp_path / "nowhere"):
        with pytest.raises(ValueError, match=f"{path.name}: no model file"):
            Classifier.load(path)
    save_file(load_file(tmp_path / "model"), tmp_path / "old", metadata={"classifier": '{"version": "0"}'})
    with pytest.raises(
        ValueError, match="old: version 0 of the classifier's model file; this code reads version 1"
    ):
        Classifier.load(tmp_path / "old")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"front_end": "wavelet"}, "front_end is 'wavelet'; there are log_mel, mfcc, mfcc_deltas"),
        ({"coefficients": 25}, "coefficients is 25; it is 1 to mels, 24"),
        ({"crops": 0}, "crops is 0, width 4, members 1; all are at least 1"),
        ({"mixup": -1.0}, "mixup -1.0 and focal 0.0 are 0 or more"),
        ({"dropout": 1.0}, "dropout 1.0 is below 1"),
    ],
)
def test_messages_of_options(changed, message):
    with pytest.raises(ValueError, match=message):
        Classifier(**SMALL | changed)


def test_messages_of_sounds(model):
    good = tones(9, 1)[0][0]
    for bad, message in (
        (np.zeros(RATE), "sound 1: silent: peak 0"),
        (np.full(RATE, np.nan), "sound 1: 8000 samples are NaN"),
        (np.ones((2, RATE)), r"sound 1: a signal has the shape \(2, 8000\)"),
        (np.ones(5), "sound 1: too short: 5 samples"),
    ):
        with pytest.raises(ValueError, match=message):
            model.probabilities([good, bad], RATE)
    with pytest.raises(ValueError, match="the label 'low' alone"):
        next(Classifier(**SMALL).train([good, good], RATE, labels=["low", "low"], seed=0))


# Calibration


def test_the_temperature_is_found_that_was_planted():
    """Labels are drawn from rows that are then sharpened by 1/3: the standard error of log T is 0.02."""
    rng = np.random.default_rng(0)
    true = classifier.tempered(rng.dirichlet(np.ones(4), size=4000), 1.0)
    found = [rng.choice(4, p=row) for row in true]
    assert classifier.temperature(classifier.tempered(true, 1 / 3), found) == pytest.approx(3.0, rel=0.1)
    assert classifier.temperature(true, found) == pytest.approx(1.0, rel=0.1)
    with pytest.raises(ValueError, match=r"2 labels for probabilities of the shape \(3, 4\)"):
        classifier.temperature(true[:3], [0, 1])


def test_the_calibration_error_in_closed_form():
    """Eight sounds at 0.8 of which half are right, two at 0.6 that are right: 0.8 * 0.3 + 0.2 * 0.4."""
    probabilities = np.array([[0.8, 0.2]] * 8 + [[0.6, 0.4]] * 2)
    found = np.array([0, 1] * 4 + [0, 0])
    assert tasks.calibration_error(found, probabilities) == pytest.approx(0.32)


def test_scores_count_what_is_missing():
    probabilities = np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.5, 0.4, 0.1]])
    found = tasks.scores(["a", "b", "b"], probabilities, ["a", "b", "c"])
    assert found["accuracy"] == pytest.approx(2 / 3) and found["balanced_accuracy"] == pytest.approx(0.75)
    assert found["recall"] == pytest.approx({"a": 1.0, "b": 0.5})
    assert found["log_loss"] == pytest.approx(-np.log([0.6, 0.7, 0.4]).mean())


# Folds


def configured(folder, *overrides, runs="runs", config_name="classifier"):
    """A config of the small classifier on a folder."""
    made = [f"data.name={folder}", "data.labels=[]", "data.folds=5", "name=small", f"runs={runs}"]
    made += [r"data.group_pattern='_(\d)\.'", "model.rate=0"]
    made += [f"model.{key}={value}" for key, value in SMALL.items()]
    return load([*made, *overrides], config_name=config_name)


def test_every_file_is_tested_once_and_no_group_is_on_two_sides(folder):
    tested = []
    for seed in range(5):
        fold = splits.fold(configured(folder, f"seed={seed}"))
        assert not set(fold.train.groups) & set(fold.test.groups)
        assert len(fold.train) + len(fold.test) == 60 and set(fold.test.labels) == set(LABELS)
        tested += fold.test.names
    assert len(set(tested)) == len(tested) == 60
    assert splits.fold(configured(folder, "seed=5")).test.names == splits.fold(configured(folder)).test.names


def test_a_copy_is_never_on_the_other_side(folder, tmp_path):
    """Under another name and in another group: content makes the group."""
    for path in folder.rglob("*.wav"):
        target = tmp_path / path.relative_to(folder)
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(path.read_bytes())
    source = sorted(tmp_path.rglob("*_3.wav"))[0]
    source.with_name("99_7.wav").write_bytes(source.read_bytes())
    for seed in range(5):
        fold = splits.fold(configured(tmp_path, f"seed={seed}"))
        sides = [{s.tobytes() for s in part.signals} for part in (fold.train, fold.test)]
        assert not sides[0] & sides[1]


def test_labels_left_out_and_part_of_the_training(folder):
    fold = splits.fold(configured(folder, "data.without=[high]", "data.train=20"))
    assert set(fold.train.labels) == {"low", "middle"} and len(fold.train) == 20
    assert set(fold.test.labels) == set(LABELS)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.folds=11"], "label high has 10 group.*data.folds=11 are wanted"),
        (["data.folds=1"], "data.folds=1; at least 2 are needed"),
        (["data.split_by=published"], "has no published division; data.split_by=group makes one"),
        (["data.split_by=speaker"], "neither group, published nor file"),
        (["data.labels=[low]"], "has one label, low; nothing to tell apart"),
        (["data.labels=[loud]"], "has no label loud; it has high, low, middle"),
        (["data.train=1000"], "data.train=1000, and .* are outside of the fold"),
    ],
)
def test_messages_of_folds(folder, overrides, message):
    with pytest.raises(ConfigError, match=message):
        splits.fold(configured(folder, *overrides))


def test_a_table_of_paths_labels_groups_and_folds(folder, tmp_path):
    lines = [
        {"path": str(p), "label": p.parent.name, "group": p.stem[-1], "fold": int(p.stem[-1]) % 2}
        for p in sorted(folder.rglob("*.wav"))
    ]

    def written(rows, name="labels.csv", columns=("path", "label", "group", "fold")):
        with (tmp_path / name).open("w", newline="") as file:
            writer = csv.DictWriter(file, columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
        return tmp_path / name

    table = datasets.table(written(lines), rate=4000)
    assert len(table) == 60 and table.rate == 4000 and set(table.groups) == set("0123456789")
    config = configured(written(lines), "data.split_by=published", "seed=1", "data.group_pattern=''")
    fold = splits.fold(config)
    assert splits.folds(config) == 2 and set(fold.test.groups) == set("13579") and fold.number == 1
    crossing = [row | {"fold": int(i < 25)} for i, row in enumerate(lines)]
    with pytest.raises(ConfigError, match="share their group or recording with a test file, the first is"):
        splits.fold(configured(written(crossing), "data.split_by=published", "data.group_pattern=''"))
    for rows, columns, message in (
        (lines, ("path",), "no column label in its first line, 'path'"),
        ([], ("path", "label"), "no lines but the first"),
        ([lines[0] | {"label": ""}], ("path", "label"), "a line lacks path or label"),
        (lines[:1] * 2, ("path", "label"), r"\.wav is named 2 times"),
        ([lines[0] | {"path": "none.wav"}], ("path", "label"), r"none\.wav: .*[Ll]eave it out"),
    ):
        with pytest.raises(ValueError, match=message):
            datasets.table(written(rows, columns=columns))
    (tmp_path / "latin.csv").write_bytes("path,label\nä.wav,ö\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"latin\.csv: no CSV file that can be read"):
        datasets.table(tmp_path / "latin.csv")


def test_published_digits_with_a_copy_in_both_parts(monkeypatch):
    signals, labels = tones(0, 6)
    names = tuple(f"{i}" for i in range(6))
    parts = ("train", "train", "train", "test", "test", "test")

    def made(signals):
        return datasets.AudioSet("digits", tuple(signals), RATE, names, tuple(labels), ("a",) * 6, "", parts)

    config = load(["folds=digits"], config_name="classifier")
    monkeypatch.setattr(datasets, "digits", lambda: made(signals))
    fold = splits.fold(config)
    assert fold.test.names == ("3", "4", "5") and splits.folds(config) == 1  # one speaker on both sides
    monkeypatch.setattr(datasets, "digits", lambda: made([*signals[:5], signals[0]]))
    with pytest.raises(ConfigError, match="1 training files share their recording with a test file"):
        splits.fold(config)


# Baselines, and runs of the gate


def test_baselines():
    signals, labels = tones(0, 31)  # one more "low"
    for made, least in ((Majority(), 0.33), (CepstralRegression(), 0.9)):
        assert list(made.train(signals, RATE, labels=labels, seed=0)) == [1]
        probabilities = made.probabilities(tones(1, 30)[0], RATE)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1)
        taken = [made.names[i] for i in probabilities.argmax(axis=1)]
        assert np.mean(np.array(taken) == tones(1, 30)[1]) >= least


def test_a_run_holds_what_it_took_each_file_for(folder, tmp_path):
    config = configured(folder, "evaluate=[10]", "data.train=20", runs=tmp_path)
    error = run.run(config)
    place = run.find(config)
    numbers, record = (run.read(place, name) for name in ("metrics.json", "record.json"))
    assert numbers["error_rate"] == pytest.approx(error, abs=1e-6)  # six digits
    assert error == pytest.approx(1 - numbers["accuracy"], abs=1e-6)
    assert [point["step"] for point in numbers["curve"]] == [10, 40] and numbers["fold"] == 0
    with (place / tasks.PREDICTIONS).open(newline="") as file:
        rows = list(csv.DictReader(file))
    right = [max(LABELS, key=lambda name, row=row: float(row[name])) == row["label"] for row in rows]
    assert (
        np.mean(right) == pytest.approx(numbers["accuracy"], abs=1e-6) and len(rows) == numbers["test_files"]
    )
    assert set(record["data"]) == {"train", "test", "reference"} and record["headline"] == "error_rate"
    fold = splits.fold(config)
    again = Classifier.load(place / run.MODEL).probabilities(fold.test.signals, fold.test.rate)
    saved = [[float(row[name]) for name in sorted(LABELS)] for row in rows]
    np.testing.assert_allclose(again, saved, atol=1e-5)


def test_the_gate_compares_classifiers_by_fold(folder, tmp_path, capsys):
    for seed in range(3):
        for name in ("classifier", "classifier_majority"):
            run.run(configured(folder, f"seed={seed}", f"name={name}", runs=tmp_path, config_name=name))
    arguments = ["classifier_majority", "classifier", "--metric", "error_rate", "--runs", str(tmp_path)]
    assert compare.main(arguments) == 0
    assert "better" in capsys.readouterr().out
    assert compare.main([*arguments, "--metric", "accuracy", "--higher-is-better"]) == 0


def test_a_model_without_a_task_is_refused():
    with pytest.raises(ConfigError, match="object has neither sample nor probabilities"):
        tasks.of(object(), None)


# Release, prediction, export


@pytest.fixture(scope="module")
def released(folder, tmp_path_factory):
    """A model file made by the command, from five folds."""
    place = tmp_path_factory.mktemp("released")
    overrides = ["folds=folder", f"data.name={folder}", "name=small", f"runs={place}/runs"]
    overrides += [r"data.group_pattern='_(\d)\.'", f"data.rate={RATE}", f"model.rate={RATE}"]
    overrides += [f"model.{key}={value}" for key, value in SMALL.items()]
    path = place / "tones.safetensors"
    options = ["--out", str(path), "--workers", "1"]
    assert command.main(["release", "classifier", *overrides[:2], *options, *overrides[2:]]) == 0
    return path, overrides


def test_a_release_is_scored_on_what_it_had_not_heard(released, folder, capsys):
    path, overrides = released
    found = Classifier.load(path)
    configs = [load([*overrides, f"seed={k}"], config_name="classifier") for k in range(5)]
    errors = [run.read(run.find(c), "metrics.json")["error_rate"] for c in configs]
    assert found.facts["accuracy"] == pytest.approx(1 - np.mean(errors))
    assert found.facts["files"] == 60 and found.facts["split_by"] == "group"
    assert found.temperature != 1 and len(found.facts["held_out"]) == 5 and len(found.described) == 60
    known = cross_validation.predictions(configs)
    assert sorted(known.paths) == sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.wav"))
    for fold in range(5):  # its temperature comes from the other folds alone
        here = known.folds == fold
        others = classifier.temperature(known.probabilities[~here], known.true_columns[~here])
        np.testing.assert_allclose(
            release.calibrated(known)[here], classifier.tempered(known.probabilities[here], others)
        )
    assert command.main(["release", "classifier", *overrides, "--out", str(path)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert command.main(["release", "classifier_majority", "--out", str(path.with_name("m"))]) == 2
    assert "keeps no model file" in capsys.readouterr().err


def snapshot(folder):
    return {
        p.relative_to(folder): (p.stat().st_mtime_ns, hashlib.sha256(p.read_bytes()).hexdigest())
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


@pytest.fixture
def recordings(tmp_path):
    """Tones of other rates, lengths, channels and formats, and three files that are none."""
    place = tmp_path / "recordings"
    (place / "below").mkdir(parents=True)
    rng = np.random.default_rng(11)
    for i, (name, rate, channels) in enumerate(
        [("a.wav", 44100, 2), ("b.flac", 16000, 1), ("below/c.ogg", 22050, 2), ("below/d.mp3", 24000, 1)]
    ):
        signal = tone(rng, LABELS[i % 3], rate)
        soundfile.write(place / name, np.tile(signal[:, None], (1, channels)), rate)
    soundfile.write(place / "e.wav", tone(rng, "middle"), RATE, subtype="PCM_U8")
    soundfile.write(place / "silent.wav", np.zeros(RATE), RATE)
    (place / "broken.wav").write_bytes(b"no sound")
    (place / "notes.txt").write_text("not audio")
    (place / ".hidden.wav").write_bytes(b"")
    return place


def test_predict_names_a_folder_and_touches_nothing(released, recordings, tmp_path, capsys):
    before = snapshot(recordings)
    out = tmp_path / "out" / "names.csv"
    out.parent.mkdir()
    assert command.main(["predict", str(released[0]), str(recordings), "--csv", str(out)]) == 1
    with out.open(newline="") as file:
        rows = {Path(row["path"]).name: row for row in csv.DictReader(file)}
    assert set(rows) == {"a.wav", "b.flac", "c.ogg", "d.mp3", "e.wav", "silent.wav", "broken.wav"}
    assert [rows[n]["label"] for n in ("a.wav", "b.flac", "c.ogg", "d.mp3", "e.wav")] == [
        *LABELS,
        "low",
        "middle",
    ]
    assert "silent" in rows["silent.wav"]["error"] and "unreadable" in rows["broken.wav"]["error"]
    assert rows["silent.wav"]["label"] == rows["silent.wav"]["p(low)"] == ""
    probabilities = [float(rows["a.wav"][f"p({name})"]) for name in sorted(LABELS)]
    assert sum(probabilities) == pytest.approx(1, abs=1e-5) and max(probabilities) == float(
        rows["a.wav"]["probability"]
    )
    assert snapshot(recordings) == before and [p.name for p in out.parent.iterdir()] == ["names.csv"]
    assert "5 files named" in capsys.readouterr().out
    assert command.main(["predict", str(released[0]), str(recordings), "--csv", str(out)]) == 2
    assert "is there already" in capsys.readouterr().err


def test_predict_prints_and_explains(released, recordings, tmp_path, capsys):
    (recordings / "silent.wav").unlink()
    (recordings / "broken.wav").unlink()
    assert command.main(["predict", str(released[0]), str(recordings)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5 and lines[0].split("\t")[1] == "low"
    for arguments, message in (
        ([str(tmp_path / "nowhere"), str(recordings)], "no model file"),
        ([str(released[0]), str(tmp_path / "nowhere")], "does not exist"),
        ([str(released[0]), str(released[0].parent)], None),
    ):
        code = command.main(["predict", *arguments])
        err = capsys.readouterr().err
        assert code == 2 and (message or "no audio files") in err
    with pytest.raises(SystemExit, match="0"):
        command.main(["predict", "--help"])
    assert "Exit codes" in capsys.readouterr().out


def test_predict_goes_on_where_it_stopped(model, recordings, tmp_path, monkeypatch):
    files = [p for p in predict.audio_files([str(recordings)]) if p.name not in ("silent.wav", "broken.wav")]
    out = tmp_path / "names.csv"
    steps = predict.write(model, files, out, key="k")
    first = [next(steps), next(steps)]
    steps.close()
    (part,) = tmp_path.glob(".names.csv.*.part")
    part.write_text(part.read_text() + "cut li")  # as a full disk or a kill leaves it
    read = []
    original = metrics.read
    monkeypatch.setattr(metrics, "read", lambda path, **o: read.append(path) or original(path, **o))
    rows = list(predict.write(model, files, out, key="k"))
    assert rows[:2] == first and len(rows) == 5 and read == files[2:]
    assert out.exists() and not part.exists()
    assert [row for row in predict.rows(model, files)] == rows


def test_far_sounds_are_warned_of_and_near_ones_are_not(released, tmp_path, capsys):
    """Noise is far from tones; fresh tones are near. 30 files each."""
    rng = np.random.default_rng(12)
    for kind in ("near", "far"):
        (tmp_path / kind).mkdir()
        for i in range(30):
            sound = tone(rng, LABELS[i % 3]) if kind == "near" else 0.1 * rng.normal(size=2000)
            soundfile.write(tmp_path / kind / f"{i:02d}.wav", sound, RATE)
    assert command.main(["predict", str(released[0]), str(tmp_path / "far")]) == 0
    err = capsys.readouterr().err
    assert "warning: far from what the model was trained on: distance" in err and "p = 0.001" in err
    assert re.search(r"was \d+\.\d% \(\d+\.\d% to \d+\.\d%\); expect less here", err)
    assert command.main(["predict", str(released[0]), str(tmp_path / "near")]) == 0
    assert "near the training set: distance" in capsys.readouterr().err
    assert command.main(["predict", str(released[0]), str(tmp_path / "far"), "--no-distance"]) == 0
    assert "training set" not in capsys.readouterr().err


def test_an_uncalibrated_model_says_so(folder, tmp_path, capsys):
    config = configured(folder, "model.steps=2", runs=tmp_path)
    run.run(config)
    wav = sorted(folder.rglob("*.wav"))[0]
    assert command.main(["predict", str(run.find(config)), str(wav)]) == 0
    assert "not calibrated" in capsys.readouterr().err


def test_prediction_needs_neither_hydra_nor_librosa(released, recordings):
    """What the container has: the process must not import what training needs."""
    code = (
        "import sys; from models import predict; "
        f"predict.main([{str(released[0])!r}, {str(recordings)!r}]); "
        "print([m for m in ('hydra', 'librosa', 'numba', 'sklearn', 'ablations') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_exported_embedding_needs_nothing_of_models(released, tmp_path):
    """The study reads the file in a process that has never imported ``models``; the rows are the model's."""
    path = tmp_path / "tones.pt2"
    assert command.main(["export", str(released[0]), "--out", str(path)]) == 0
    signals, _ = tones(13, 2)
    long = np.tile(signals[0], 5)
    np.save(tmp_path / "signal.npy", long)
    code = (
        "import sys, numpy as np; from study import embeddings; "
        f"e = embeddings.load({str(path)!r}); x = np.load({str(tmp_path / 'signal.npy')!r}); "
        f"np.save({str(tmp_path / 'rows.npy')!r}, e.embed_at(x, {RATE})); "
        "print(any(m.split('.')[0] == 'models' for m in sys.modules), e.name, e.dimension)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "tones", str(8 * SMALL["width"])]
    found = Classifier.load(released[0])
    (prepared,) = found.prepared([long], RATE)
    blocks = embeddings.cut(prepared, found.length, hop=found.length // 2)
    with torch.no_grad():
        wanted = found.networks[0].embed(found.front_end_(torch.from_numpy(blocks)))
    np.testing.assert_allclose(np.load(tmp_path / "rows.npy"), wanted, atol=1e-4)
    assert command.main(["export", str(released[0]), "--out", str(path)]) == 2
    for name, content in (("none.pt2", None), ("bad.pt2", b"no archive")):
        if content:
            (tmp_path / name).write_bytes(content)
        with pytest.raises((embeddings.MissingNetwork, ValueError), match=f"{name}: (not found|no exported)"):
            embeddings.load(str(tmp_path / name))


def test_every_rung_of_the_ladder_changes_one_thing():
    """From one to the next of plain, crop, masks, mixup, whole; and each variant against the whole."""
    options = {
        path.stem.removeprefix("classifier").lstrip("_"): dict(
            load(["folds=sounds"], config_name=path.stem).model
        )
        for path in (ROOT / "configs").glob("classifier*.yaml")
    }
    pairs = [("plain", "crop"), ("crop", "masks"), ("masks", "mixup"), ("mixup", "single"), ("single", "")]
    pairs += [(name, "single") for name in ("mfcc", "mfcc_deltas", "focal", "unnormalised")]
    pairs += [("majority", "single"), ("cepstral", "single")]
    for one, other in pairs:
        assert sum(options[one][key] != options[other][key] for key in options[""]) == 1, (one, other)
    assert len(options) == 12
