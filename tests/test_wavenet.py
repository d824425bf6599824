"""The WaveNet in small: what it sees, what it learns, planted faults, training, files, runs of the gate."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("torch", reason='pip install -e ".[models]"')
pytest.importorskip("hydra", reason='pip install -e ".[gate]"')
import torch
from omegaconf import OmegaConf
from safetensors.torch import load_file, save_file
from scipy.signal import lfilter

from ablations import listed, run
from ablations.config import ConfigError, load
from models import __main__ as command
from models import wavenet
from models.wavenet import FAULTS, Network, nats, predict
from models.wavenet_parameters import Settings, recompute
from models.wavenet_training import WaveNet

ROOT = Path(__file__).parents[1]
TINY = Settings(residual=6, gate=5, skip=7, head=8, layers=3, blocks=2)
SMALL = {
    "residual": 8,
    "gate": 8,
    "skip": 16,
    "head": 16,
    "layers": 4,
    "blocks": 1,
    "window": 256,
    "batch": 4,
    "groups": 2,
    "steps": 8,
    "learning_rate": 0.02,
}


def network(settings=TINY, fault="", seed=0):
    """In double precision, with an output that is not 0 and biases that are not."""
    made = Network(settings, seed=seed, fault=fault).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in made.parameters():
            if value.requires_grad:
                value.add_(0.3 * torch.randn(value.shape, generator=generator, dtype=torch.float64))
    return made


def small(**options):
    written = OmegaConf.to_container(OmegaConf.load(ROOT / "configs" / "model" / "wavenet.yaml"))
    written.pop("_target_")
    return WaveNet(**{**written, **SMALL, **options})


def trained(clips, *, seed=0, checkpoint=None, stop=None, labels=None, **options):
    model = small(**options)
    for step in model.train(clips, 8000, seed=seed, checkpoint=checkpoint, labels=labels):
        if step == stop:
            break
    return model


def parameters(model):
    return {name: value.detach().clone() for name, value in model.network.parameters_by_name().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def white(rng, count, clips=4):
    return [rng.integers(256, size=count).astype(np.uint8) for _ in range(clips)]


# What it sees


def influence(fault, at=40, places=120):
    """Places whose prediction changes with the code at ``at``; logits at t are of the code at t."""
    made = network(fault=fault)
    codes = torch.randint(256, (1, places), generator=torch.Generator().manual_seed(1))
    changed = codes.clone()
    changed[0, at] = (changed[0, at] + 100) % 256
    differs = (predict(made, codes) != predict(made, changed)).any(dim=2)[0]
    return set(differs.nonzero()[:, 0].tolist())


def is_causal_and_sees(fault):
    """Whether a code changes the next R predictions at most, and the first and the last of them."""
    field, seen = TINY.receptive_field, influence(fault)
    return seen <= set(range(41, 41 + field)) and {41, 40 + field} <= seen


def test_a_code_is_seen_by_the_next_receptive_field_and_no_further():
    assert TINY.receptive_field == 1 + 2 * (2**3 - 1) == 15
    assert Settings().receptive_field == 2047 and Settings().multiply_adds == 148736
    assert is_causal_and_sees("")


@pytest.mark.parametrize("fault", ["undilated", "same"])
def test_faults_of_what_is_seen_are_caught(fault):
    assert not is_causal_and_sees(fault)


def test_padding_same_sees_ahead():
    assert min(influence("same")) < 40


@pytest.mark.parametrize("labels", [0, 3])
def test_it_is_the_network_that_is_defined(labels):
    """Against the definition in numpy, which has no silence before a row: a clip of silence goes before."""
    settings = Settings(**{**vars(TINY), "labels": labels})
    made = network(settings)
    codes = torch.randint(256, (2, 40), generator=torch.Generator().manual_seed(2))
    of_rows = torch.tensor([2, 0]) if labels else None
    logs = torch.log_softmax(predict(made, codes, labels=of_rows), dim=2)
    arrays = {name: value.detach().numpy() for name, value in made.parameters_by_name().items()}
    for row in range(2):
        padded = np.concatenate([np.full(15, 128), codes[row].numpy()])
        for t in (0, 1, 13, 14, 15, 39):
            label = int(of_rows[row]) if labels else -1
            expected = recompute(arrays, settings, padded[t : t + 15], label=label)
            np.testing.assert_allclose(logs[row, t].numpy(), expected, atol=1e-9)  # double: 1e-13 or so


def test_the_loss_is_of_the_next_code_and_of_what_is_wanted():
    made = network()
    codes = torch.randint(256, (2, 30), generator=torch.Generator().manual_seed(3))
    wanted = torch.zeros(2, 30, dtype=torch.bool)
    wanted[0, 5:20], wanted[1, 29] = True, True
    logs = torch.log_softmax(predict(made, codes), dim=2)
    expected = -logs.gather(2, codes[:, :, None])[:, :, 0][wanted].sum()
    assert nats(made, codes, wanted).item() == pytest.approx(expected.item(), rel=1e-12)


def test_windows_with_context_cost_what_the_whole_clip_does():
    """Nats of all windows of a clip are those of the clip in one row: nothing lacks what it depends on."""
    model = trained(white(np.random.default_rng(0), 900), steps=0, window=100)
    model.network = network(model.settings)
    clip = model.windows.clips[0]
    whole = torch.from_numpy(clip.read(0, 900).astype(np.int64))[None]
    expected = nats(model.network, whole, torch.ones_like(whole, dtype=torch.bool)).item()
    model.windows = model._windows([clip.held])
    total = sum(nats(model.network, *model._tensors(batch)[:2]).item() for batch in model.windows.in_turn(3))
    assert total == pytest.approx(expected, rel=1e-10)


def test_the_first_loss_is_that_of_guessing():
    codes = torch.randint(256, (1, 50), generator=torch.Generator().manual_seed(0))
    loss = nats(Network(TINY, seed=0), codes, torch.ones_like(codes, dtype=torch.bool)).item()
    assert wavenet.bits(loss, 50) == pytest.approx(8, abs=1e-5)


# What it learns; faults of the loss

WIDE = {"residual": 16, "gate": 16, "skip": 32, "head": 32, "layers": 3, "steps": 300}


def held_out_bits(clips, other, **options):
    model = trained(clips, **options)
    total = count = 0.0
    for batch in model._windows(other).in_turn(8):
        codes, wanted, _ = model._tensors(batch)
        with torch.no_grad():
            total += nats(model.network, codes, wanted, fault=model.fault).item()
        count += int(wanted.sum())
    return wavenet.bits(total, count)


def test_white_noise_cannot_be_predicted_but_copied():
    """8 bits, of which the honest network saves none; the unshifted target is there to be copied."""
    rng = np.random.default_rng(0)
    # Copying 256 codes through 16 channels is learned in 1,500 steps or so.
    clips, other = white(rng, 4000), white(rng, 2000)
    assert held_out_bits(clips, other, **WIDE) >= 7.9
    copying = {"residual": 64, "gate": 64, "skip": 64, "head": 64, "layers": 1, "steps": 200}
    assert held_out_bits(clips, other, fault="unshifted", **WIDE | copying) < 0.1


def most_likely(fault):
    """After training on a cycle: the code it expects at each place, and the one there is."""
    cycle = np.tile(np.array([10, 200, 90, 150, 30], np.uint8), 200)
    model = trained([cycle] * 4, fault=fault, **WIDE | {"steps": 60})
    codes = torch.from_numpy(cycle[:100].astype(np.int64))[None]
    return predict(model.network, codes).argmax(dim=2)[0, 20:], codes[0, 20:]


def test_codes_off_by_one_are_caught():
    expected, there = most_likely("")
    assert torch.equal(expected, there)
    expected, there = most_likely("off_by_one")
    assert torch.equal(expected, there + 1)  # so each generated sample would drift


def test_a_known_entropy_is_reached():
    """Autoregressive Gaussian noise: within .1 bit of who knows its law (see test_predictors)."""
    from test_predictors import noise

    rng = np.random.default_rng(1)
    train = noise(rng, 200_000)[0]
    test, known = noise(rng, 20_000)
    found = held_out_bits([train], [test], **WIDE | {"steps": 250, "window": 1024, "learning_rate": 0.015})
    assert -0.03 < found - known < 0.1  # 20,000 samples: a deviation of .005


def test_labels_help_where_they_tell():
    """Two labels, white among the upper and lower 128 codes: the label is worth the first code's bit."""
    rng = np.random.default_rng(2)
    labels = ["low", "high"] * 20
    clips = [(rng.integers(128, size=4) + 128 * (label == "high")).astype(np.uint8) for label in labels]
    model = trained(clips, conditional=True, labels=labels, **WIDE | {"steps": 60, "batch": 40})
    assert model.names == ("high", "low")
    first = torch.full((2, 1), 128)
    p = torch.softmax(predict(model.network, first, labels=torch.tensor([0, 1])), dim=2)[:, 0]
    assert p[0, 128:].sum() > 0.9 and p[1, :128].sum() > 0.9


# Training


def test_an_interrupted_training_goes_on_to_the_bit(tmp_path, monkeypatch):
    """In the middle of an epoch, after several of them."""
    monkeypatch.setattr(WaveNet, "EVERY", 5)
    clips = white(np.random.default_rng(0), 700)
    options = {"steps": 17, "window": 200}
    whole = trained(clips, **options)
    assert len(whole.windows) == 16 and 5 * 4 % 16  # 4 windows a step: step 5 is within the second epoch
    trained(clips, checkpoint=tmp_path / "state", stop=8, **options)
    model = small(**options)
    steps = list(model.train(clips, 8000, seed=0, checkpoint=tmp_path / "state"))
    assert steps == [0, 5, *range(6, 18)]
    assert same(parameters(model), parameters(whole))
    other = small(**options)
    with pytest.raises(ValueError, match="another training"):
        list(other.train(white(np.random.default_rng(1), 700), 8000, seed=0, checkpoint=tmp_path / "state"))


def test_seeds_give_equal_and_other_weights():
    clips = white(np.random.default_rng(0), 500)
    first, again, other = (parameters(trained(clips, seed=seed, steps=3)) for seed in (0, 0, 1))
    assert same(first, again) and not same(first, other)


def test_groups_change_nothing_but_rounding():
    """Rows sorted by length and filled up less: the same loss."""
    clips = [c[: 50 + 90 * i] for i, c in enumerate(white(np.random.default_rng(0), 500))]
    one, four = (parameters(trained(clips, groups=groups, steps=2)) for groups in (1, 4))
    for name in one:
        torch.testing.assert_close(one[name], four[name], atol=2e-3, rtol=0)  # Adam divides small gradients


TOGETHER = """
import os, sys
import numpy as np, torch
from models.wavenet_training import WaveNet

rng = np.random.default_rng(0)
clips = [rng.integers(256, size=600).astype(np.uint8) for _ in range(4)]
model = WaveNet(**eval(sys.argv[2]))
for step in model.train(clips, 8000, seed=0):
    if step == 2:
        named = model.network.named_parameters()
        gradients = {name: p.grad.clone() for name, p in named if p.requires_grad}
torch.save(gradients, sys.argv[1] + os.environ.get("RANK", ""))
"""


def test_two_processes_have_the_gradient_of_one(tmp_path):
    """Each half of the rows, gradients averaged: that of the whole batch but for rounding."""
    options = small(steps=2).options  # the output begins at 0, and lets gradients through from step 2 on
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = {
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
    }
    environments = [{}, {**address, "RANK": "0"}, {**address, "RANK": "1"}]
    done = [
        subprocess.Popen(
            [sys.executable, "-c", TOGETHER, str(tmp_path / "gradient"), repr(options)],
            cwd=ROOT,
            env={**os.environ, **more},
        )
        for more in environments
    ]
    assert [process.wait(timeout=120) for process in done] == [0, 0, 0]
    alone, first, second = (torch.load(tmp_path / f"gradient{rank}") for rank in ("", "0", "1"))
    assert same(first, second) and any(value.abs().max() > 1e-3 for value in alone.values())
    for name, value in alone.items():
        # float32: sums of 1,000 terms in another order, relative to the largest of a matrix
        torch.testing.assert_close(first[name], value, atol=1e-5 * float(value.abs().max()) + 1e-9, rtol=1e-3)


def test_more_processes_than_rows_are_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "5")
    with pytest.raises(ValueError, match=r"5 processes \(WORLD_SIZE\), and model.batch=4"):
        trained(white(np.random.default_rng(0), 300))


# Files


def test_a_model_file_is_read_as_it_was(tmp_path):
    model = trained(white(np.random.default_rng(0), 500))
    model.save(tmp_path / "a.safetensors")
    loaded, facts = wavenet.load(tmp_path / "a.safetensors")
    assert same(loaded.parameters_by_name(), parameters(model))
    assert facts["rate"] == 8000 and facts["step"] == 8 and facts["training"]["seed"] == 0
    arrays = load_file(tmp_path / "a.safetensors")
    assert {name: value.shape for name, value in arrays.items()} == model.settings.shapes()
    model.save(tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_what_is_no_model_file_is_refused(tmp_path):
    (tmp_path / "a").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="a: no model file"):
        wavenet.load(tmp_path / "a")
    save_file(
        {"head": torch.zeros(1)}, tmp_path / "b", metadata={"wavenet": '{"version": 1, "settings": {}}'}
    )
    with pytest.raises(ValueError, match=r"b: .*embedding.* are not those of its settings"):
        wavenet.load(tmp_path / "b")
    save_file(
        {"head": torch.zeros(1)}, tmp_path / "c", metadata={"wavenet": '{"version": 1, "settings": {"x": 1}}'}
    )
    with pytest.raises(ValueError, match="c: no settings of a WaveNet"):
        wavenet.load(tmp_path / "c")


def test_refusals():
    clips = white(np.random.default_rng(0), 300)
    with pytest.raises(ValueError, match="fault='half'; there are unshifted, undilated, same, off_by_one"):
        small(fault="half")
    with pytest.raises(ValueError, match="fault is 'half'"):
        Network(TINY, seed=0, fault="half")
    with pytest.raises(ValueError, match="groups=9"):
        small(groups=9)
    with pytest.raises(ValueError, match="all context: the receptive field is 16"):
        trained(clips, window=16)
    with pytest.raises(ValueError, match="conditional=true, and the sounds have no labels"):
        trained(clips, conditional=True)
    with pytest.raises(ValueError, match="a network of 0 labels"):
        Network(TINY, seed=0)(torch.zeros(1, 3, dtype=torch.long), labels=torch.zeros(1, dtype=torch.long))
    model = trained(clips, conditional=True, labels=["a", "b", "a", "b"])
    with pytest.raises(ValueError, match="the labels c; this network was trained on a, b"):
        model.bits(clips, ["a", "b", "c", "a"])


# Runs of the gate


@pytest.fixture
def folder(tmp_path):
    """Twelve resonances of half a second at 16 kHz, by two makers."""
    rng = np.random.default_rng(0)
    for i in range(12):
        signal = 0.02 * lfilter([1], [1, -1.6, 0.8], rng.normal(size=8000))
        (tmp_path / "in" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "in" / "ab"[i % 2] / f"m{i % 3}_{i}.wav", signal, 16000, subtype="PCM_16")
    return tmp_path / "in"


def arguments(folder):
    options = {**SMALL, "steps": 200, "cache": folder.parent / "codes"}
    return [
        *(f"model.{key}={value}" for key, value in options.items()),
        *(f"data.name={folder}", "data.rate=8000", "data.split_by=group", "data.validation=4"),
        *(f"runs={folder.parent / 'runs'}", "name=small", "data.group_pattern='m[0-9]'"),
    ]


def test_a_run_of_the_gate_tells_bits_beside_the_predictors(folder, capsys):
    assert command.main(["train", "wavenet", *arguments(folder)]) == 0
    assert "bits" in capsys.readouterr().out
    place = folder.parent / "runs" / "small" / "0"
    told = run.read(place, "metrics.json")
    assert told["files"] == 4 and abs(told["samples"] - 4 * 4000) <= 8
    assert told["bits"] < told["marginal"] < told["uniform"] == 8
    assert {"markov", "linear", "scaled", "adaptive"} <= set(told)
    assert told["model"]["receptive_field"] == 16
    _, facts = wavenet.load(place / run.MODEL)
    assert facts["rate"] == 8000 and "cache" not in facts["training"]
    assert len(list((folder.parent / "codes").iterdir())) == 12


def test_a_damaged_file_is_named_in_one_line(folder, capsys):
    (folder / "a" / "m0_0.wav").write_bytes(b"nothing")
    assert command.main(["train", "wavenet", *arguments(folder)]) == 2
    error = capsys.readouterr().err
    assert "m0_0.wav: unreadable" in error and "Traceback" not in error


def test_files_are_divided_by_group(folder):
    config = load(arguments(folder), config_name="wavenet")
    divided = listed.divide(config)
    makers = [{path.name[:2] for path in part} for part in (divided.train, divided.held_out)]
    assert not makers[0] & makers[1] and len(divided.held_out) == 4 and len(divided.train) == 8
    assert set(divided.train_labels) == {"a", "b"} and divided.rate == 8000
    assert listed.divide(config) == divided
    for more, message in (
        (["data.rate=0"], "the rate in Hz"),
        (["data.split_by=published"], "no published division"),
        (["data.split_by=half"], "neither published, file nor group"),
        (["data.validation=12"], "12 files, 12 held out, 0 left"),
        (["data.validation=0"], "0 held out"),
        (["data.train=9"], "data.train=9"),
        (["data.segment_seconds=1"], "uncut"),
        (["data.name=nowhere"], "nowhere"),
    ):
        with pytest.raises(ConfigError, match=message):
            listed.divide(load([*arguments(folder), *more], config_name="wavenet"))


def test_the_faults_are_in_the_configs():
    base = load(config_name="wavenet").model
    found = {}
    for path in sorted((ROOT / "configs").glob("wavenet_fault_*.yaml")):
        changed = load(config_name=path.stem).model
        assert [key for key in base if changed[key] != base[key]] == ["fault"]
        found[path.stem.removeprefix("wavenet_fault_")] = changed.fault
    assert found == {name: name for name in FAULTS if name}


def test_the_shipped_sizes_are_the_settings():
    base = load(config_name="wavenet").model
    assert all(base[key] == value for key, value in vars(Settings()).items() if key in base)
    assert load(config_name="wavenet_source").model.residual == 128


# Generation, from the shell


@pytest.fixture
def model_file(tmp_path):
    model = trained(white(np.random.default_rng(0), 500))
    model.save(tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def test_generate_stop_and_go_on(model_file, tmp_path, capsys):
    """Two pieces and the rest of them later: the bits of one generation."""
    pytest.importorskip("models.sampler")
    soundfile.write(tmp_path / "clip.wav", 0.1 * np.sin(np.arange(4000) / 9), 16000, subtype="PCM_16")
    options = ["--count", "2", "--seed", "3", "--temperature", ".9", "--prime", str(tmp_path / "clip.wav")]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert command.main(["generate", str(model_file), "--seconds", ".5", "--out", str(whole), *options]) == 0
    assert command.main(["generate", str(model_file), "--seconds", ".2", "--out", str(parts), *options]) == 0
    assert command.main(["resume", str(parts), "--seconds", ".3"]) == 0
    assert "2 clips of 0.5 s" in capsys.readouterr().out
    for name in ("00000.wav", "00001.wav"):
        signal, rate = soundfile.read(whole / name)
        assert rate == 8000 and len(signal) == 4000
        assert (whole / name).read_bytes() == (parts / name).read_bytes()
    assert (whole / "00000.wav").read_bytes() != (whole / "00001.wav").read_bytes()
    assert command.main(["resume", str(parts)]) == 0  # nothing is left to do


def test_an_interrupt_says_what_is_kept_and_how_to_go_on(model_file, tmp_path, capsys, monkeypatch):
    sampler = pytest.importorskip("models.sampler")
    from models import generate as commands

    monkeypatch.setattr(commands, "PIECE", 0.1)
    made, begun, real = tmp_path / "made", [], sampler.generate

    def interrupted(*arguments, **options):
        begun.append(1)
        if len(begun) in (1, 4):
            raise KeyboardInterrupt
        return real(*arguments, **options)

    monkeypatch.setattr(sampler, "generate", interrupted)
    generate = ["generate", str(model_file), "--seconds", ".3", "--out", str(made)]
    assert command.main(generate) == 130
    assert "0 of 0.3 s are kept; the same command goes on" in capsys.readouterr().err
    assert command.main(generate) == 130
    assert f"0.2 of 0.3 s are kept; python -m models resume {made} goes on" in capsys.readouterr().err
    assert command.main(["resume", str(made)]) == 0
    assert len(soundfile.read(made / "00000.wav")[0]) == 2400


def test_mistakes_of_generation_are_told_in_one_line(model_file, tmp_path, capsys):
    pytest.importorskip("models.sampler")
    out = ["--out", str(tmp_path / "made")]
    for arguments, message in (
        (["generate", str(tmp_path / "no"), *out], "no: no model file"),
        (["generate", str(model_file), "--seconds", "0", *out], "--seconds 0; a positive length"),
        (["generate", str(model_file), "--prime", str(tmp_path / "no.wav"), *out], "no.wav: "),
        (["generate", str(model_file), "--label", "seven", *out], "label 'seven'"),
        (["generate", str(model_file), "--temperature", "0", *out], "temperature 0"),
        (["generate", str(model_file), "--out", str(tmp_path)], "is not empty"),
        (["resume", str(tmp_path)], "no generation that was begun"),
    ):
        assert command.main(arguments) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1, error


def test_a_model_makes_sounds_for_the_gate():
    pytest.importorskip("models.sampler")
    clips = white(np.random.default_rng(0), 300) + white(np.random.default_rng(1), 500)
    model = trained(clips, conditional=True, labels=["a"] * 4 + ["b"] * 4)
    sounds = model.sample(18, seed=0)
    assert len(sounds) == 18 and {len(sound) for sound in sounds} == {300, 500}
    again = model.sample(2, seed=0)
    np.testing.assert_array_equal(again[1][:300], sounds[1][:300])
    model.seconds = 0.05
    assert {len(sound) for sound in model.sample(2, seed=0)} == {400}
