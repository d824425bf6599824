"""The autoencoders in small: spectrograms and back, networks, training, files, commands, runs of the gate."""

import inspect
import json
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("torch", reason='pip install -e ".[models]"')
pytest.importorskip("hydra", reason='pip install -e ".[gate]"')
import torch
from hydra.utils import get_class
from omegaconf import OmegaConf
from safetensors.torch import load_file, save_file

import metrics
from ablations import run, tasks
from ablations.config import load
from models import __main__ as command
from models import prior, spectrogram, vae
from models.autoencoder import Autoencoder, CollapseWarning
from models.spectrogram import INVERSIONS, Spectrogram
from models.train import schedule, train

ROOT = Path(__file__).parents[1]
RATE = 8000
KIND = Spectrogram(RATE, 256, 64, 24, 0.25)
SMALL = {
    "n_fft": 256,
    "hop_length": 64,
    "mels": 24,
    "seconds": 0.25,
    "width": 4,
    "latent": 4,
    "codes": 16,
    "steps": 8,
    "batch": 8,
    "iterations": 4,
}


def tone(rng, label):
    """A decaying harmonic tone, high or low, 0.1 to 0.3 s."""
    time = np.arange(int(RATE * rng.uniform(0.1, 0.3))) / RATE
    pitch = rng.uniform(100, 150) * (3 if label == "high" else 1)
    harmonics = sum(np.sin(2 * np.pi * k * pitch * time) / k for k in range(1, 6))
    return (0.2 * harmonics * np.exp(-8 * time) + 0.001 * rng.normal(size=len(time))).astype(np.float32)


@pytest.fixture(scope="module")
def tones():
    """40 tones and their labels."""
    rng = np.random.default_rng(0)
    labels = ["high" if i % 2 else "low" for i in range(40)]
    return [tone(rng, label) for label in labels], labels


@pytest.fixture(scope="module")
def recordings(tones, tmp_path_factory):
    """The same in folders named as their label."""
    folder = tmp_path_factory.mktemp("tones")
    for i, (signal, label) in enumerate(zip(*tones, strict=True)):
        (folder / label).mkdir(exist_ok=True)
        soundfile.write(folder / label / f"{i:02d}.wav", signal, RATE, subtype="PCM_16")
    return folder


def small(network, **options):
    """A model of a network, with the small sizes and ``options``."""
    config = load(config_name=f"vae_{network}").model
    return Autoencoder(**{**{k: v for k, v in config.items() if k != "_target_"}, **SMALL, **options})


def trained(network, tones, seed=0, **options):
    model = small(network, **options)
    for _ in model.train(tones[0], RATE, seed=seed, labels=tones[1]):
        pass
    return model


def weights(model):
    return {name: value.clone() for name, value in model.modules.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.fixture(autouse=True)
def collapse_is_no_matter():
    """Eight steps teach nothing; the warning has its own test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)
        yield


# Spectrograms


def test_normalisation_comes_back(tones):
    powers = spectrogram.powers(tones[0], KIND)
    learned = spectrogram.statistics(powers, KIND)
    bands = KIND.log_mel(tones[0][0])
    assert bands.shape == (KIND.mels, KIND.frames) == (24, 32)
    # float32: a relative rounding of 6e-8 in each of four operations on numbers up to 20
    np.testing.assert_allclose(learned.denormalise(learned.normalise(bands)), bands, atol=2e-5)
    together = np.concatenate([learned.normalise(KIND.log_mel(s)) for s in tones[0]], axis=1)
    heard = learned.deviation > spectrogram.LEAST_DEVIATION
    np.testing.assert_allclose(together.mean(axis=1), 0, atol=1e-3)
    np.testing.assert_allclose(together[heard].std(axis=1), 1, atol=1e-3)


def test_a_louder_or_longer_signal_is_brought_to_level_and_length(tones):
    long = np.concatenate([tones[0][0]] * 5)
    np.testing.assert_allclose(KIND.log_mel(long), KIND.log_mel(long[: KIND.length] * 0.1), atol=1e-4)


@pytest.mark.parametrize("inversion", INVERSIONS)
def test_the_bands_of_the_magnitude_are_nearly_those_given(tones, inversion):
    learned = spectrogram.statistics(spectrogram.powers(tones[0], KIND), KIND)
    bands = KIND.log_mel(tones[0][1])
    found = spectrogram.magnitude(bands, spectrogram=KIND, inversion=inversion, learned=learned)
    assert found.shape == (129, 32) and np.isfinite(found).all() and (found >= 0).all()
    loud = bands > bands.max() - 6
    again = np.log(KIND.filters @ found**2 + spectrogram.FLOOR)
    # Triangles overlap, so "uniform" smears; the two others are made to fit.
    assert np.abs(again - bands)[loud].mean() < (1.0 if inversion == "uniform" else 0.2)


def test_the_better_way_back_is_nearer_in_the_distance(tones):
    """The ceiling of the report in small: regression beats spreading evenly on tones it has not seen."""
    rng = np.random.default_rng(1)
    fresh = [tone(rng, "low" if i % 2 else "high") for i in range(30)]
    learned = spectrogram.statistics(spectrogram.powers(tones[0], KIND), KIND)
    found = {}
    for inversion in ("uniform", "regression"):
        magnitudes = [
            spectrogram.magnitude(KIND.log_mel(s), spectrogram=KIND, inversion=inversion, learned=learned)
            for s in fresh
        ]
        made = [KIND.waveform(m, iterations=16)[: len(s)] for m, s in zip(magnitudes, fresh, strict=True)]
        found[inversion] = metrics.compare(fresh, made, rate=RATE, workers=1, cache=False)
    assert metrics.difference(found["regression"], found["uniform"]).interval[1] < 0


def test_in_double_precision_it_is_the_same_sound(tones):
    magnitudes = np.sqrt(KIND.power(tones[0][0].astype(float)))
    single, double = (KIND.waveform(magnitudes, iterations=8, double=double) for double in (False, True))
    assert double.dtype == np.float32 and not np.array_equal(single, double)
    np.testing.assert_allclose(double, single, atol=1e-3)


def test_stretching_keeps_the_shape_and_loses_the_length(tones):
    kind = Spectrogram(RATE, 256, 64, 24, 0.25, "stretch")
    assert kind.log_mel(tones[0][0]).shape == (24, 32)
    half = tones[0][0][: len(tones[0][0]) // 2]
    assert kind.log_mel(half)[:, -1].max() > KIND.log_mel(half)[:, -1].max() + 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 256, 64, 24, 0.25), "rate is 0"),
        ((RATE, 256, 200, 24, 0.25), "hop_length 200 is more than half of n_fft 256"),
        ((RATE, 4096, 64, 24, 0.25), "2000 samples, fewer than n_fft 4096"),
        ((RATE, 256, 64, 200, 0.25), "of 200 mel bands lie between the bins"),
        ((RATE, 256, 64, 24, 0.25, "crop"), "fit is 'crop'; there are pad, stretch"),
    ],
)
def test_messages_of_spectrograms(arguments, message):
    with pytest.raises(ValueError, match=message):
        Spectrogram(*arguments)


@pytest.mark.parametrize(
    ("signal", "message"),
    [
        (np.zeros((100, 2)), r"shape \(100, 2\); mono"),
        (np.ones(10), "too short: 10 samples, 1.2 ms, and the limit is 20.0 ms"),
        (np.array([0.1] * 200 + [np.nan]), "1 samples are NaN or infinite, the first at 0.025 s"),
        (np.zeros(1000), "silent"),
    ],
)
def test_messages_of_signals(signal, message):
    with pytest.raises(ValueError, match=message):
        KIND.log_mel(signal)
    with pytest.raises(ValueError, match="sound 1: "):
        spectrogram.powers([np.ones(1000), signal], KIND)


def test_rate_has_no_default():
    with pytest.raises(TypeError, match="rate"):
        Spectrogram(n_fft=256, hop_length=64, mels=24, seconds=0.25)
    with pytest.raises(ValueError, match="inversion is 'magic'"):
        spectrogram.magnitude(np.zeros((24, 32)), spectrogram=KIND, inversion="magic")


# Networks


@pytest.mark.parametrize("network", vae.NETWORKS)
def test_shapes_for_lengths_that_are_no_multiple(network):
    shape = (1500,) if network == "waveform" else (22, 29)
    options = {"codes": 16} if network == "vector_quantised" else {}
    made = vae.build(network, seed=0, shape=shape, width=4, latent=4, **options)
    x = torch.randn((3, 1, *shape), generator=torch.Generator().manual_seed(0)) * 0.1
    latent = made.encode(x)
    assert made.decode(latent).shape == x.shape
    if network != "vector_quantised":
        assert latent.shape == (3, made.latent)
        upper = latent[:, : made.upper]
        assert made.complete(upper, torch.Generator().manual_seed(0)).shape == latent.shape


@pytest.mark.parametrize("network", [n for n in vae.NETWORKS if n != "vector_quantised"])
@pytest.mark.parametrize("part", ["reconstruction", "kl"])
def test_each_part_of_the_loss_reaches_the_encoder(network, part):
    shape = (2048,) if network == "waveform" else (24, 32)
    made = vae.build(network, seed=0, shape=shape, width=4, latent=4)
    x = torch.randn((3, 1, *shape), generator=torch.Generator().manual_seed(0)) * 0.1
    # relative posterior and prior begin at zero, where nothing below the vector has a gradient yet
    with torch.no_grad():
        for value in made.parameters():
            value.add_(0.01)
    made.loss(x, generator=torch.Generator().manual_seed(1))[part].backward()
    gradients = [p.grad.abs().max() for p in made.encoder.parameters() if p.grad is not None]
    assert gradients and max(gradients) > 0
    decoder = [p.grad for p in made.decoder.parameters()]
    assert all(g is None or g.abs().max() == 0 for g in decoder) == (part == "kl")


def test_the_kl_of_a_gaussian_is_the_closed_form():
    """KL(N(m, s^2) | N(0, 1)) is 0 for the same, and m^2 / 2 for another mean."""
    made = vae.build("simple", seed=0, shape=(24, 32), width=4, latent=4)
    x = torch.zeros((2, 1, 24, 32))
    for mean, wanted in ((0.0, 0.0), (3.0, 4 * 4.5)):
        made.posterior = lambda x, mean=mean: (torch.full((2, 4), mean), torch.zeros((2, 4)))
        assert float(made.loss(x, generator=torch.Generator())["kl"]) == pytest.approx(wanted)


def test_the_total_counts_each_part_once(tones):
    model = small("simple", kl_weight=0.5, steps=1)
    for _ in model.train(tones[0], RATE, seed=0):
        pass
    parts = model.parts
    assert parts["total"] == pytest.approx(parts["reconstruction"] + 0.5 * parts["kl"], rel=1e-6)
    twice = small("simple", kl_weight=0.5, steps=1, reconstruction_weight=2.0)
    for _ in twice.train(tones[0], RATE, seed=0):
        pass
    assert twice.parts["total"] == pytest.approx(2 * parts["reconstruction"] + 0.5 * parts["kl"], rel=1e-6)


def test_the_gradient_passes_the_codes_by_and_the_book_follows():
    made = vae.build("vector_quantised", seed=0, shape=(24, 32), width=4, latent=4, codes=16)
    x = torch.randn((3, 1, 24, 32), generator=torch.Generator().manual_seed(0))
    before = made.book.clone()
    found = made.loss(x, generator=torch.Generator().manual_seed(1))
    found["reconstruction"].backward()
    assert max(p.grad.abs().max() for p in made.encoder.parameters() if p.grad is not None) > 0
    assert not torch.equal(before, made.book)
    made.eval()
    before = made.book.clone()
    made.loss(x, generator=torch.Generator().manual_seed(1))
    assert torch.equal(before, made.book)


def test_perplexity_counts_codes_in_even_use():
    assert float(vae.perplexity(torch.arange(8), 16)) == pytest.approx(8)
    assert float(vae.perplexity(torch.zeros(8, dtype=torch.int64), 16)) == pytest.approx(1)


# Training


def test_training_lowers_the_loss_and_repeats_by_seed(tones):
    models = [trained("residual", tones, seed, steps=30) for seed in (0, 0, 1)]
    assert same(weights(models[0]), weights(models[1]))
    assert not same(weights(models[0]), weights(models[2]))
    untrained = small("residual", steps=1)
    for _ in untrained.train(tones[0], RATE, seed=0, labels=tones[1]):
        pass
    assert models[0].parts["reconstruction"] < 0.7 * untrained.parts["reconstruction"]


@pytest.mark.parametrize("network", vae.NETWORKS)
def test_an_interrupted_training_goes_on_to_the_same_weights(tones, network, tmp_path, monkeypatch):
    monkeypatch.setattr(Autoencoder, "EVERY", 3)
    whole = trained(network, tones)
    part = small(network)
    for step in part.train(tones[0], RATE, seed=0, labels=tones[1], checkpoint=tmp_path / "state"):
        if step == 5:
            break
    resumed = small(network)
    steps = list(resumed.train(tones[0], RATE, seed=0, labels=tones[1], checkpoint=tmp_path / "state"))
    assert steps == [0, 3, 4, 5, 6, 7, 8]
    assert same(weights(whole), weights(resumed)) and whole.parts == resumed.parts
    with pytest.raises(ValueError, match="checkpoint of another training"):
        list(small(network).train(tones[0], RATE, seed=1, labels=tones[1], checkpoint=tmp_path / "state"))
    (tmp_path / "state").write_bytes(b"half")
    with pytest.raises(ValueError, match="is no checkpoint"):
        list(small(network).train(tones[0], RATE, seed=0, labels=tones[1], checkpoint=tmp_path / "state"))


@pytest.mark.parametrize("network", vae.NETWORKS)
def test_looking_at_a_model_does_not_change_its_training(tones, network):
    """A past bug: a sample in between left the network in evaluation, and the book of codes stood still."""
    looked = small(network)
    for step in looked.train(tones[0], RATE, seed=0, labels=tones[1]):
        if step in (0, 3):
            looked.sample(2, seed=0)
    assert same(weights(looked), weights(trained(network, tones)))


def test_a_loss_that_is_not_finite_says_where(tones):
    with pytest.raises(ValueError, match=r"the loss is nan at step 2 .*learning rate"):
        module = torch.nn.Linear(1, 1)

        def loss(rows, step, generator):
            return {"total": module(torch.ones(1)).sum() * (float("nan") if step == 2 else 1.0)}

        list(train(module, loss, rows=2, steps=3, batch=1, learning_rate=0.1, seed=0))
    with pytest.raises(ValueError, match="nothing to train with"):
        list(train(module, loss, rows=0, steps=3, batch=1, learning_rate=0.1, seed=0))


def test_the_learning_rate_rises_and_falls():
    rates = [schedule(step, 100) for step in range(1, 101)]
    assert rates[4] == max(rates) == pytest.approx(1) and rates[-1] == pytest.approx(0, abs=1e-12)
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


def test_collapse_is_seen(tones):
    with pytest.warns(CollapseWarning, match="the posterior has collapsed: 0 of 4 latents"):
        model = trained("simple", tones, steps=20, kl_weight=1e4)
    assert model.report()["active"] == 0 and "collapsed" in model.collapsed()
    quantised = trained("vector_quantised", tones, codes=200, steps=2)
    quantised.network_.book.fill_(1e3)
    quantised.network_.book[0] = 0
    assert quantised.report()["codes_used"] == 1
    assert "perplexity is 1.0 of 200" in quantised.collapsed()


# Priors


def test_a_mixture_is_where_its_label_is():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 400)
    rows = rng.normal(size=(800, 3)) * [1, 2, 3] + 10 * labels[:, None]
    found = prior.fit_mixture(rows, labels, components=2, seed=0)
    drawn = found.draw(np.repeat([0, 1], 2000), np.random.default_rng(1))
    # The mean of 400 rows of deviation 3 has a standard error of .15: five of them.
    np.testing.assert_allclose(drawn[:2000].mean(axis=0), 0, atol=0.8)
    np.testing.assert_allclose(drawn[2000:].mean(axis=0), 10, atol=0.8)
    np.testing.assert_allclose(drawn[:2000].std(axis=0), [1, 2, 3], rtol=0.15)
    with pytest.raises(ValueError, match="label 1 has fewer than 2"):
        prior.fit_mixture(rows[:5], np.array([0, 0, 0, 0, 1]), components=2, seed=0)


def test_the_prior_of_codes_sees_only_what_came_before():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = prior.CodePrior(codes=8, tokens=6, labels=2, width=16)
    codes = torch.randint(8, (1, 6), generator=torch.Generator().manual_seed(0))
    other = codes.clone()
    other[0, 3] = (other[0, 3] + 1) % 8
    labels = torch.zeros(1, dtype=torch.int64)
    first, second = (made(c, labels)[0] for c in (codes, other))
    assert torch.equal(first[:, :3], second[:, :3]) and not torch.equal(first[:, 3:], second[:, 3:])
    drawn = made.draw(torch.zeros(5, dtype=torch.int64), torch.Generator().manual_seed(0))
    assert drawn.shape == (5, 6) and drawn.max() < 8


# Sounds and files


@pytest.mark.parametrize("network", vae.NETWORKS)
def test_what_is_loaded_gives_the_same_sounds_to_the_bit(tones, network, tmp_path):
    model = trained(network, tones)
    sounds = model.sample(5, seed=3)
    assert [len(s) for s in sounds] == [KIND.length] * 5 and max(np.abs(s).max() for s in sounds) <= 1
    model.save(tmp_path / "model.safetensors")
    loaded = Autoencoder.load(tmp_path / "model.safetensors")
    for a, b in zip(sounds, loaded.sample(5, seed=3), strict=True):
        assert np.array_equal(a, b)
    assert loaded.draw_labels(5, seed=3) == model.draw_labels(5, seed=3)
    back = [m.reconstruct(tones[0][:3], RATE) for m in (model, loaded)]
    for a, b, signal in zip(*back, tones[0], strict=False):
        assert np.array_equal(a, b) and len(a) == min(len(signal), KIND.length)
    loaded.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "model.safetensors").read_bytes()


def test_labels_are_drawn_where_the_prior_knows_them(tones):
    assert set(trained("residual", tones).draw_labels(20, seed=0)) == {"high", "low"}
    assert set(trained("simple", tones).draw_labels(20, seed=0)) == {""}


def test_other_files_are_refused(tones, tmp_path):
    path = tmp_path / "model.safetensors"
    trained("simple", tones).save(path)
    save_file(load_file(path), path, metadata={"autoencoder": json.dumps({"version": 99})})
    with pytest.raises(ValueError, match=r"version 99 of the autoencoder's model file; this code"):
        Autoencoder.load(path)
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="no model file"):
        Autoencoder.load(path)
    with pytest.raises(ValueError, match="no model file"):
        Autoencoder.load(tmp_path / "absent")


def test_messages_of_the_model(tones):
    model = trained("simple", tones)
    with pytest.raises(ValueError, match="44100 Hz and the model was trained at 8000 Hz"):
        model.reconstruct(tones[0], 44100)
    with pytest.raises(ValueError, match="count is 0"):
        model.sample(0, seed=0)
    with pytest.raises(ValueError, match="steps is 1"):
        model.interpolate(*tones[0][:2], RATE, steps=1)
    with pytest.raises(ValueError, match="between codes there is no line"):
        trained("vector_quantised", tones).interpolate(*tones[0][:2], RATE, steps=3)
    with pytest.raises(ValueError, match="1 sounds; a set of at least 2"):
        next(model.train(tones[0][:1], RATE, seed=0))
    with pytest.raises(ValueError, match="sound 0: 1 samples are NaN"):
        broken = tones[0][0].copy()
        broken[5] = np.nan
        next(model.train([broken, *tones[0]], RATE, seed=0))
    for option, message in (
        ({"prior": "flat"}, "prior is 'flat'; there are normal, mixture"),
        ({"inversion": "magic"}, "inversion is 'magic'; there are uniform"),
    ):
        with pytest.raises(ValueError, match=message):
            small("simple", **option)


def test_a_line_has_its_ends(tones):
    model = trained("residual", tones)
    line = model.interpolate(*tones[0][:2], RATE, steps=4)
    ends = model.reconstruct(tones[0][:2], RATE)
    assert len(line) == 4
    # One batch of four and one of two: sums of float32 differ in their last digits.
    np.testing.assert_allclose(line[0][: len(ends[0])], ends[0], atol=1e-2)


def test_the_faults_of_the_report_are_in_the_configs(tones):
    names = [path.stem for path in (ROOT / "configs").glob("fault_*.yaml")]
    base = load(config_name="vae_simple").model
    for name in names:
        changed = load(config_name=name).model
        assert sum(changed[key] != base[key] for key in base) == 1, name
    assert len(names) == 5


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "configs" / "model").glob("*.yaml")))
def test_the_config_of_a_model_is_its_constructor(name):
    """All arguments, of the types that are written there, and with its defaults where it has any."""
    written = OmegaConf.load(ROOT / "configs" / "model" / f"{name}.yaml")
    arguments = inspect.signature(get_class(written.pop("_target_")), eval_str=True).parameters
    assert set(written) == set(arguments)
    for key, argument in arguments.items():
        assert type(written[key]) is argument.annotation, key
        assert argument.default in (argument.empty, written[key]), key


# Runs of the gate, and commands


@pytest.fixture
def arguments(recordings, tmp_path):
    """Overrides of a small run on the tones."""
    made = [f"data.name={recordings}", "data.labels=[]", "name=small", f"runs={tmp_path / 'runs'}"]
    made += ["data.train=20", "data.reference=8", "data.validation=6", "generate=8", "evaluate=[0,4]"]
    return [*made, *(f"model.{key}={value}" for key, value in SMALL.items())]


def test_a_training_is_a_run_and_is_used_by_command(arguments, tmp_path, capsys, recordings):
    assert command.main(["train", "vae_residual", *arguments]) == 0
    assert "small/0: distance" in capsys.readouterr().out
    place = tmp_path / "runs" / "small" / "0"
    content = run.read(place, "metrics.json")
    assert [point["step"] for point in content["curve"]] == [0, 4, 8]
    assert content["model"]["latents"] == 4 and (place / run.MODEL).exists()
    counts = {}
    for name, extra in {
        "sample": ["--count", "3"],
        "reconstruct": [],
        "interpolate": ["--steps", "4"],
    }.items():
        out = tmp_path / name
        assert command.main([name, "vae_residual", *arguments, "--out", str(out), *extra]) == 0, (
            capsys.readouterr()
        )
        counts[name] = len(list(out.glob("*.wav")))
    assert counts == {"sample": 3, "reconstruct": 6, "interpolate": 4}
    given = ["--input", str(recordings), "--out", str(tmp_path / "back")]
    assert command.main(["reconstruct", "vae_residual", *arguments, *given]) == 0
    found = metrics.compare(recordings, tmp_path / "back", workers=1, cache=False)
    assert found.paired and found.reference.files == 40


def test_an_interrupted_run_goes_on(arguments, tmp_path, monkeypatch):
    whole = load([*arguments, f"runs={tmp_path / 'whole'}"], config_name="vae_simple")
    halted = load(arguments, config_name="vae_simple")
    wanted = run.run(whole)
    monkeypatch.setattr(Autoencoder, "EVERY", 2)
    keep, kept = run._keep_curve, []

    def stop(checkpoint, curve):
        keep(checkpoint, curve)
        kept.append(checkpoint)
        if 4 in curve:
            raise KeyboardInterrupt

    monkeypatch.setattr(run, "_keep_curve", stop)
    with pytest.raises(KeyboardInterrupt):
        run.run(halted)
    assert sorted(p.name for p in kept[0].iterdir()) == ["curve.json", "state"]
    monkeypatch.setattr(run, "_keep_curve", keep)
    measured = []
    measure = tasks.Generation.measure
    monkeypatch.setattr(tasks.Generation, "measure", lambda *a: measured.append(1) or measure(*a))
    assert run.run(halted) == wanted
    assert len(measured) == 1  # the last step; the two before were kept
    places = [tmp_path / kind / "small" / "0" / "metrics.json" for kind in ("whole", "runs")]
    first, second = ({k: v for k, v in json.loads(p.read_text()).items() if k != "seconds"} for p in places)
    assert first == second
    assert [p.name for p in (tmp_path / "runs" / "small").iterdir()] == ["0"]


def test_another_process_learns_the_same(arguments, tmp_path):
    assert command.main(["train", "vae_residual", *arguments]) == 0
    line = [sys.executable, "-m", "models", "train", "vae_residual", *arguments, f"runs={tmp_path / 'other'}"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    places = [tmp_path / folder / "small" / "0" for folder in ("runs", "other")]
    for name in [run.MODEL, *(f"audio/{i:05d}.flac" for i in range(8))]:
        assert (places[0] / name).read_bytes() == (places[1] / name).read_bytes(), name


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["dance"], "no command 'dance'; there are train, sample, .*release, predict, export"),
        (["train", "vae_huge"], "no config 'vae_huge'; there are classifier, .*vae_hierarchical"),
        (["train", "vae_simple", "model.network=deep", "name=x"], "no network 'deep'"),
        (["train", "vae_simple", "model.widht=3"], "did you mean model.width?"),
        (
            ["train", "vae_simple", "data.name=a/b"],
            "neither instruments, digits, sounds nor a folder|is no name",
        ),
        (["sample", "vae_simple", "name=never", "--out", "OUT"], "never/0: no such run; train it first"),
        (["sample", "vae_simple", "--out", "FULL"], "is not empty; give a new folder"),
    ],
)
def test_messages_of_commands(line, message, tmp_path, capfd):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.wav").write_bytes(b"")
    places = {"OUT": str(tmp_path / "out"), "FULL": str(tmp_path / "full")}
    line = [places.get(part, part) for part in line]
    if line[0] != "dance":
        line.insert(2, f"runs={tmp_path / 'runs'}")
    assert command.main(line) == 2
    assert re.search(message, capfd.readouterr().err)


def test_bad_sounds_are_named(arguments, tmp_path, capfd):
    for name, message in (("empty", "no audio files"), ("short", "sound .*the limit is 20.0 ms")):
        folder = tmp_path / name
        folder.mkdir()
        if name == "short":
            for i in range(40):
                soundfile.write(folder / f"{i}.wav", np.full(50, 0.1), RATE)
        line = ["train", "vae_simple", *arguments, f"data.name={folder}"]
        assert command.main(line) == 2
        assert re.search(message, capfd.readouterr().err)


def test_another_rate_is_refused_by_command(arguments, tmp_path, capsys):
    assert command.main(["train", "vae_simple", *arguments, "evaluate=[]"]) == 0
    soundfile.write(tmp_path / "high.wav", np.random.default_rng(0).normal(0, 0.1, 5000), 44100)
    given = ["--input", str(tmp_path / "high.wav"), "--out", str(tmp_path / "out")]
    line = ["reconstruct", "vae_simple", *arguments, "evaluate=[]", *given]
    assert command.main(line) == 2
    assert "44100 Hz, and the model was trained at 8000 Hz; resample" in capsys.readouterr().err


def test_help_teaches():
    done = subprocess.run(
        [sys.executable, "-m", "models", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "python -m models train vae_residual" in done.stdout
    done = subprocess.run(
        [sys.executable, "-m", "models", "sample", "--help"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0 and "vae_waveform" in done.stdout


def test_genre_folders(tmp_path):
    """Long files of genres, cut to pieces that stay on one side of the split."""
    rng = np.random.default_rng(0)
    for genre in ("blues", "disco"):
        for i in range(6):
            place = tmp_path / "genres" / genre / f"{genre}.{i:05d}.wav"
            place.parent.mkdir(parents=True, exist_ok=True)
            pieces = [tone(rng, "high" if genre == "disco" else "low") for _ in range(6)]
            soundfile.write(place, np.concatenate(pieces), RATE)
    overrides = [f"data.name={tmp_path / 'genres'}", "data.labels=[]", "name=genres", "data.split_by=group"]
    overrides += ["data.segment_seconds=0.25", "data.train=20", "data.reference=6", "data.validation=4"]
    overrides += ["generate=6", "evaluate=[]", f"runs={tmp_path / 'runs'}"]
    config = load([*overrides, *(f"model.{k}={v}" for k, v in SMALL.items())], config_name="vae_residual")
    assert np.isfinite(run.run(config))
    assert set(Autoencoder.load(run.find(config) / run.MODEL).names) == {"blues", "disco"}
    shutil.rmtree(tmp_path / "runs")
