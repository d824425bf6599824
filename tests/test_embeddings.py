"""Candidate embeddings: one contract over all that are installed, messages of the others, preprocessing.

Networks are not installed everywhere: a test of one that is not here is skipped and says what to install.
"""

import hashlib
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import metrics
from audio_distance.features import resample
from study import embeddings
from study.embeddings import (
    MissingNetwork,
    file_vector,
    from_function,
    inputs,
    installed,
    load,
    networks,
)

HERE = installed()
HANDCRAFTED = embeddings.NAMES[: embeddings.NAMES.index("aisfx")]


def chirp(rate, seconds=0.25, seed=0):
    """A falling tone in noise, float32."""
    time = np.arange(round(rate * seconds)) / rate
    noise = np.random.default_rng(seed).normal(0, 0.02, len(time))
    return (0.3 * np.sin(2 * np.pi * (900 - 500 * time) * time) + noise).astype(np.float32)


def package_module(package, file):
    """A module of a package that is not imported itself, because its requirements are missing."""
    path = Path(importlib.util.find_spec(package).submodule_search_locations[0], file)
    spec = importlib.util.spec_from_file_location(f"{package}_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ---------------------------------------------------------------------------------------------- contract


@pytest.fixture(params=HERE)
def embedding(request):
    return load(request.param)


@pytest.mark.parametrize("name", embeddings.NAMES)
def test_it_loads_once_with_licence_and_source(name):
    if name not in HERE:
        pytest.skip(
            f"{name} is not installed: no test of its contract, only of its message and preprocessing"
        )
    assert load(name) is load(name) and load(name).name == name
    assert load(name).licence and load(name).source


def test_frames_are_finite_float32_and_deterministic(embedding):
    signal = chirp(embedding.rate)
    rows = embedding.embed(signal)
    assert rows.shape == (len(rows), embedding.dimension) and len(rows) >= 1
    assert rows.dtype == np.float32 and np.isfinite(rows).all()
    np.testing.assert_allclose(embedding.embed(signal), rows, rtol=0, atol=1e-5 * np.abs(rows).max())
    assert rows.std() > 0


def test_different_sounds_have_different_vectors(embedding):
    tone = chirp(embedding.rate)
    noise = np.random.default_rng(1).normal(0, 0.1, len(tone))
    apart = file_vector(embedding, tone, embedding.rate) - file_vector(embedding, noise, embedding.rate)
    assert np.abs(apart).max() > 1e-3


@pytest.mark.parametrize(
    ("signal", "words"),
    [
        (np.zeros(8000), "silent"),
        (np.zeros(0), "zero length"),
        (np.ones(20), "too short"),
        (np.r_[np.ones(8000), np.nan], "1 samples are NaN"),
        (np.ones((8000, 2)), r"shape \(8000, 2\)"),
    ],
    ids=["silence", "empty", "20 samples", "NaN", "stereo"],
)
def test_what_cannot_be_described_is_refused_alike(embedding, signal, words):
    with pytest.raises(metrics.AudioError, match=words):
        embedding.embed(signal)


def test_the_shortest_signal_gives_a_frame(embedding):
    rows = embedding.embed(chirp(embedding.rate, seconds=0.012))
    assert len(rows) >= 1 and rows.shape[1] == embedding.dimension


def test_a_longer_signal_gives_frames_that_cover_its_end(embedding):
    signal = np.concatenate([chirp(embedding.rate, 2.2), chirp(embedding.rate, 1.0, seed=2)])
    louder = np.concatenate([signal[: -embedding.rate // 5], 3 * signal[-embedding.rate // 5 :][::-1]])
    rows, changed = embedding.embed(signal), embedding.embed(louder)
    assert rows.shape == changed.shape
    assert (np.abs(rows - changed).max() > 1e-3) == (embedding.name != "waveform")


def test_file_vector_is_the_mean_at_any_rate(embedding):
    signal = chirp(48_000, 0.05)
    vector = file_vector(embedding, signal, 48_000)
    assert vector.shape == (embedding.dimension,) and vector.dtype == np.float64
    rows = embedding.embed_at(signal, 48_000)
    # A network adds in an order that may depend on where memory lies: as far apart as two calls are above.
    np.testing.assert_allclose(vector, rows.mean(axis=0, dtype=float), rtol=0, atol=1e-5 * np.abs(rows).max())


def test_two_processes_give_the_same_numbers():
    script = (
        "import sys, numpy as np; from study.embeddings import load\n"
        "from tests.test_embeddings import chirp\n"
        "for name in sys.argv[1:]:\n"
        "    e = load(name); np.savetxt(sys.stdout, e.embed(chirp(e.rate)).mean(axis=0)[None])"
    )
    root = Path(embeddings.__file__).parents[2]
    importable = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": importable, "OMP_NUM_THREADS": "1"}
    answer = subprocess.run(
        [sys.executable, "-c", script, *HERE], capture_output=True, text=True, cwd=root, env=environment
    )
    assert answer.returncode == 0, answer.stderr
    for name, line in zip(HERE, answer.stdout.splitlines(), strict=True):
        ours = file_vector(load(name), chirp(load(name).rate), load(name).rate)
        theirs = np.array(line.split(), float)
        np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-4 * np.abs(ours).max(), err_msg=name)


# ------------------------------------------------------------------------------------- loading, messages


def test_handcrafted_embeddings_are_always_there():
    assert set(HANDCRAFTED) <= set(HERE)


def test_looking_for_networks_imports_none():
    script = (
        "import sys, study.embeddings as e; e.installed()\n"
        "print(sorted({'torch', 'librosa', 'aisfx', 'resemblyzer'} & set(sys.modules)))"
    )
    root = Path(embeddings.__file__).parents[2]
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=root)
    assert answer.stdout.strip() == "[]", answer.stderr


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown embedding 'yamnet'.*three_views, .*resemblyzer"):
        load("yamnet")


@pytest.mark.parametrize("name", embeddings.NAMES[len(HANDCRAFTED) :])
def test_a_missing_package_is_said_with_the_command(name, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    load.cache_clear()
    with pytest.raises(MissingNetwork, match=f"{name}: package .* not found. Install with: pip install "):
        load(name)
    assert name not in installed()
    assert issubclass(MissingNetwork, ImportError)
    load.cache_clear()


@pytest.mark.parametrize("name", embeddings.NAMES[len(HANDCRAFTED) :])
def test_missing_weights_are_said_with_the_command(name, monkeypatch, tmp_path):
    """The package is there without its weight file, as a later version of it may be."""
    package = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: package)
    load.cache_clear()
    with pytest.raises(
        MissingNetwork, match=f"weights {re.escape(str(tmp_path))}.*Install with: pip install "
    ):
        load(name)
    assert name not in installed()
    load.cache_clear()


def test_facts_load_nothing_and_contents_follow_a_file(tmp_path):
    assert set(embeddings.facts("aisfx")) == {
        "rate",
        "dimension",
        "needs",
        "source",
        "licence of the weights",
    }
    assert embeddings.facts("log_mel")["needs"] == "nothing"
    with pytest.raises(ValueError, match="unknown embedding 'yamnet'"):
        embeddings.facts("yamnet")
    own = tmp_path / "own.pt2"
    assert embeddings.contents(["log_mel", str(own)]) == ""
    own.write_bytes(b"program")
    assert embeddings.contents(["log_mel", str(own)]) == hashlib.sha256(b"program").hexdigest()


# ------------------------------------------------------------------------------------------ one's own


def test_an_own_function_is_an_embedding():
    lengths = []

    def peak_and_length(signal):
        lengths.append(len(signal))
        return [np.abs(signal).max(), len(signal)]

    own = from_function("own", peak_and_length, rate=16_000, dimension=2)
    assert own.embed(chirp(16_000)).shape == (1, 2)
    assert file_vector(own, chirp(48_000), 48_000)[1] == 4_000
    assert lengths == [4_000, 4_000]


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (np.zeros((3, 2)), r"shape \(3, 2\).*\(frames, 4\)"),
        (np.zeros((0, 4)), r"shape \(0, 4\).*at least 1 frame"),
        (np.full((1, 4), np.inf), "4 of 4 numbers that are NaN or infinite"),
    ],
)
def test_what_an_own_function_gets_wrong_is_said(result, words):
    with pytest.raises(ValueError, match=words):
        from_function("own", lambda signal: result, rate=8_000, dimension=4).embed(chirp(8_000))


def test_an_own_function_needs_a_rate():
    with pytest.raises(ValueError, match="rate 0 Hz"):
        from_function("own", abs, rate=0, dimension=1)


# ----------------------------------------------------------------------------------------- handcrafted


def test_three_views_are_the_numbers_of_metrics():
    signal = chirp(22_050, 2.3)
    prepared = metrics.prepare(signal, 22_050)[0]
    expected = [metrics.embed(window)[:1032] / metrics.constants()[0] for window in metrics.windows(prepared)]
    rows = load("three_views").embed(signal)
    np.testing.assert_allclose(rows, expected, rtol=1e-6)
    parts = [load(name).embed(signal) for name in ("envelope", "attack", "fine_structure")]
    np.testing.assert_array_equal(np.hstack(parts), rows)  # the same numbers, cut apart


@pytest.mark.parametrize("name", HANDCRAFTED)
def test_level_and_silence_around_change_only_the_waveform(name):
    signal = chirp(16_000)
    changed = np.concatenate([np.zeros(800), 0.25 * signal, np.zeros(400)])
    before, after = file_vector(load(name), signal, 16_000), file_vector(load(name), changed, 16_000)
    assert np.allclose(before, after, atol=1e-3 * np.abs(before).max()) == (name != "waveform")


def test_waveform_is_the_first_second():
    rows = load("waveform").embed(chirp(8_000, 1.5))
    np.testing.assert_array_equal(rows[0], chirp(8_000, 1.5)[:8_000])
    assert np.count_nonzero(load("waveform").embed(np.ones(3_000))) == 3_000


def test_mean_spectrum_of_a_sine_has_its_level_at_its_frequency():
    sine = np.sin(2 * np.pi * 100 * np.arange(22_050) / 1024)  # bin 100; prepared to an RMS of 0.1
    row = load("mean_spectrum").embed(sine)[0]
    # Power per squared Hann window at the peak: (amplitude / 2)^2 (n / 2)^2 / (3 n / 8), amplitude .1 sqrt 2.
    expected = 10 * np.log10(0.02 / 4 * (1024 / 2) ** 2 / (3 * 1024 / 8))
    assert row.argmax() == 100 and row[100] == pytest.approx(expected, abs=0.3)


def test_mfcc_sequence_keeps_the_order_of_time():
    rising = np.sin(2 * np.pi * (300 + 400 * np.arange(22_050) / 22_050) * np.arange(22_050) / 22_050)
    forward, backward = load("mfcc_sequence").embed(rising)[0], load("mfcc_sequence").embed(rising[::-1])[0]
    forward, backward = forward.reshape(40, 13), backward.reshape(40, 13)
    assert np.corrcoef(forward[4:-4, 1], backward[::-1][4:-4, 1])[0, 1] > 0.95
    assert np.corrcoef(forward[4:-4, 1], backward[4:-4, 1])[0, 1] < 0


# --------------------------------------------------------------------------------------- preprocessing


def test_cut_leaves_nothing_out():
    blocks = inputs.cut(np.arange(1, 24), 10, hop=5)
    assert blocks.shape == (4, 10) and set(blocks.ravel()) == set(range(1, 24))
    np.testing.assert_array_equal(inputs.cut(np.ones((3, 2)), 5, hop=5)[0].sum(axis=1), [2, 2, 2, 0, 0])


def test_power_spectra_follow_the_definition():
    signal = chirp(8_000, 0.1)
    spectra = inputs.power_spectra(signal, 64, hop=16)
    hann = np.hanning(65)[:-1]
    literal = np.abs(np.fft.rfft(hann * np.pad(signal, 32)[5 * 16 : 5 * 16 + 64])) ** 2
    np.testing.assert_allclose(spectra[5], literal, rtol=1e-4, atol=1e-6)
    assert spectra.shape == (1 + len(signal) // 16, 33)


@pytest.mark.parametrize(
    ("prepare", "rate", "shapes"),
    [
        (inputs.aisfx_input, 44_100, {0.3: (1, 100, 96), 5: (4, 100, 96)}),
        (inputs.resemblyzer_input, 16_000, {0.3: (1, 160, 40), 5: (6, 160, 40)}),
    ],
    ids=["aisfx", "resemblyzer"],
)
def test_network_inputs_have_their_shapes(prepare, rate, shapes):
    for seconds, shape in shapes.items():
        blocks = prepare(chirp(rate, seconds))
        assert blocks.shape == shape and np.isfinite(blocks).all()


def test_network_inputs_have_their_levels():
    signal = chirp(16_000, 1.0)
    # aisfx reads at peak 1, resemblyzer raises to -30 dB and leaves what is louder.
    np.testing.assert_allclose(inputs.aisfx_input(signal), inputs.aisfx_input(signal / 8), atol=1e-5)
    quiet = [inputs.resemblyzer_input(signal * gain) for gain in (1e-3, 1e-4)]
    np.testing.assert_allclose(*quiet, rtol=1e-3)
    loud = inputs.resemblyzer_input(signal)
    np.testing.assert_allclose(inputs.resemblyzer_input(signal / 2), loud / 4, rtol=1e-3, atol=1e-9)


# ------------------------------------------------------------------- networks against their own packages


@pytest.mark.skipif("aisfx" not in HERE, reason='aisfx is not installed: extra "networks"')
def test_aisfx_is_the_network_of_its_package():
    import torch

    module = package_module("aisfx", "models/cnn2d.py")
    network = module.EmbeddingNet("max", 3, 1, 64)
    state = networks._read_torch(networks.in_package("aisfx", "models/checkpoint.pth"))[0]
    network.load_state_dict(networks._with_prefix(state, "embedding_net."))
    with torch.inference_mode():
        prepared = resample(metrics.prepare(chirp(44_100), 44_100)[0], metrics.RATE, 44_100)
        expected = network.eval()(torch.from_numpy(inputs.aisfx_input(prepared))).numpy()
    np.testing.assert_allclose(load("aisfx").embed(chirp(44_100)), expected, atol=1e-5)
