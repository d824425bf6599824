"""Candidate embeddings: one contract over all that are installed, messages of the others, preprocessing.

Networks are not installed everywhere: a test of one that is not here is skipped and says what to install.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import metrics
from study import embeddings
from study.embeddings import MissingNetwork, file_vector, from_function, installed, load

HERE = installed()
HANDCRAFTED = embeddings.NAMES[: embeddings.NAMES.index("aisfx")]
DOWNLOADS = ("vggish", "panns", "clap", "encodec", "wav2vec2", "wavlm")
QUICK = tuple(name for name in HERE if name not in ("cdpam", *DOWNLOADS))  # cdpam: seconds a second


def chirp(rate, seconds=0.25, seed=0):
    """A falling tone in noise, float32."""
    time = np.arange(round(rate * seconds)) / rate
    noise = np.random.default_rng(seed).normal(0, 0.02, len(time))
    return (0.3 * np.sin(2 * np.pi * (900 - 500 * time) * time) + noise).astype(np.float32)


def sound(embedding):
    """What an embedding is tried on: 0.25 s, and 0.05 s of cdpam, which takes seconds for a second."""
    return chirp(embedding.rate, 0.05 if embedding.name == "cdpam" else 0.25)


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
    signal = sound(embedding)
    rows = embedding.embed(signal)
    assert rows.shape == (len(rows), embedding.dimension) and len(rows) >= 1
    assert rows.dtype == np.float32 and np.isfinite(rows).all()
    np.testing.assert_allclose(embedding.embed(signal), rows, rtol=0, atol=1e-5 * np.abs(rows).max())
    assert rows.std() > 0


def test_different_sounds_have_different_vectors(embedding):
    tone = sound(embedding)
    noise = np.random.default_rng(1).normal(0, 0.1, len(tone))
    apart = file_vector(embedding, tone, embedding.rate) - file_vector(embedding, noise, embedding.rate)
    assert np.abs(apart).max() > 1e-3


@pytest.mark.parametrize(
    ("signal", "words"),
    [
        (np.zeros(8000), "silent"),
        (np.zeros(0), "too short"),
        (np.ones(20), "too short"),
        (np.r_[np.ones(8000), np.nan], "1 of 8001 samples are NaN"),
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
    if embedding.name == "cdpam":
        pytest.skip("cdpam takes seconds of CPU for a second of audio")
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
    root = Path(embeddings.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    answer = subprocess.run(
        [sys.executable, "-c", script, *QUICK], capture_output=True, text=True, cwd=root, env=environment
    )
    assert answer.returncode == 0, answer.stderr
    for name, line in zip(QUICK, answer.stdout.splitlines(), strict=True):
        ours = file_vector(load(name), chirp(load(name).rate), load(name).rate)
        theirs = np.array(line.split(), float)
        np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-4 * np.abs(ours).max(), err_msg=name)


# ------------------------------------------------------------------------------------- loading, messages


def test_handcrafted_embeddings_are_always_there():
    assert set(HANDCRAFTED) <= set(HERE)


def test_looking_for_networks_imports_none():
    script = (
        "import sys, study.embeddings as e; e.installed()\n"
        "print(sorted({'torch', 'transformers', 'onnxruntime', 'librosa', 'aisfx', 'cdpam', 'musicnn',"
        " 'openwakeword', 'resemblyzer'} & set(sys.modules)))"
    )
    root = Path(embeddings.__file__).parents[1]
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=root)
    assert answer.stdout.strip() == "[]", answer.stderr


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown embedding 'yamnet'.*three_views, .*wavlm"):
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


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("vggish", "torch.hub.load_state_dict_from_url('https://github.com/harritaylor/torchvggish/"),
        ("panns", "torch.hub.load_state_dict_from_url('https://zenodo.org/record/3987831/"),
        ("clap", "hf download laion/clap-htsat-unfused"),
        ("encodec", "hf download facebook/encodec_24khz"),
        ("wav2vec2", "hf download facebook/wav2vec2-base"),
        ("wavlm", "hf download microsoft/wavlm-base-plus"),
    ],
)
def test_missing_weights_are_said_with_the_command(name, command, monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: object())
    for variable in ("HF_HUB_CACHE", "TORCH_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("HF_HOME", raising=False)
    load.cache_clear()
    with pytest.raises(MissingNetwork) as caught:
        load(name)
    assert command in str(caught.value) and f"weights {tmp_path}" in str(caught.value)
    load.cache_clear()


def test_a_damaged_weight_file_is_refused(tmp_path):
    pytest.importorskip("torch")
    path = tmp_path / "weights.pth"
    path.write_bytes(b"other")
    with pytest.raises(ValueError, match=r"has SHA-256 d9298a10.*another version"):
        embeddings._read_torch(path, sha256=embeddings.CDPAM_SHA256)


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
    expected = [metrics.embed(window) / metrics.constants()[0] for window in metrics.windows(prepared)]
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
    blocks = embeddings.cut(np.arange(1, 24), 10, hop=5)
    assert blocks.shape == (4, 10) and set(blocks.ravel()) == set(range(1, 24))
    np.testing.assert_array_equal(embeddings.cut(np.ones((3, 2)), 5, hop=5)[0].sum(axis=1), [2, 2, 2, 0, 0])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ((44_100, 2048, 96, 0, 22_050, "htk", "sum"), dict(htk=True, norm=1.0)),
        ((16_000, 400, 40, 0, 8_000), {}),
        ((32_000, 1024, 64, 50, 14_000), dict(fmin=50, fmax=14_000)),
    ],
    ids=["aisfx", "resemblyzer", "panns"],
)
def test_mel_filters_are_those_of_librosa(ours, theirs):
    filters = pytest.importorskip("librosa.filters")
    expected = filters.mel(sr=ours[0], n_fft=ours[1], n_mels=ours[2], **theirs)
    np.testing.assert_allclose(embeddings.mel_matrix(*ours).T, expected, atol=1e-6 * expected.max())


def test_power_spectra_follow_the_definition():
    signal = chirp(8_000, 0.1)
    spectra = embeddings.power_spectra(signal, 64, hop=16)
    hann = np.hanning(65)[:-1]
    literal = np.abs(np.fft.rfft(hann * np.pad(signal, 32)[5 * 16 : 5 * 16 + 64])) ** 2
    np.testing.assert_allclose(spectra[5], literal, rtol=1e-4, atol=1e-6)
    assert spectra.shape == (1 + len(signal) // 16, 33)
    uncentred = embeddings.power_spectra(signal, 50, hop=16, n_fft=64, padding=None)
    assert uncentred.shape == (1 + (len(signal) - 50) // 16, 33)


def vggish_mel(hz):
    return 1127 * np.log(1 + hz / 700)


def test_vggish_filters_are_triangles_in_mel():
    """The published definition, in natural logarithms."""
    edges = np.linspace(vggish_mel(125), vggish_mel(7_500), 66)
    bins = vggish_mel(np.arange(257) * 16_000 / 512)
    rise = (bins[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    expected = np.maximum(0, np.minimum(rise, fall))
    expected[0] = 0
    matrix = embeddings.mel_matrix(16_000, 512, 64, 125, 7_500, "htk in mel", "peak")
    np.testing.assert_allclose(matrix, expected, atol=2e-4)


@pytest.mark.parametrize(
    ("prepare", "rate", "shapes"),
    [
        (embeddings.aisfx_input, 44_100, {0.3: (1, 100, 96), 5: (4, 100, 96)}),
        (embeddings.cdpam_input, 22_050, {0.3: (1, 6_615), 5: (3, 44_100)}),
        (embeddings.musicnn_input, 16_000, {0.3: (1, 19, 96), 5: (2, 187, 96)}),
        (embeddings.resemblyzer_input, 16_000, {0.3: (1, 160, 40), 5: (6, 160, 40)}),
        (embeddings.openwakeword_input, 16_000, {0.3: (1, 12_480), 5: (1, 80_000)}),
        (embeddings.vggish_input, 16_000, {0.3: (1, 96, 64), 0.96: (1, 96, 64), 5: (6, 96, 64)}),
        (embeddings.panns_input, 32_000, {0.3: (1, 101, 64), 5: (1, 501, 64), 12: (2, 1001, 64)}),
        (
            lambda signal: embeddings.waveform_blocks(signal, 16_000, 10),
            16_000,
            {0.3: (1, 6_400), 12: (2, 160_000)},
        ),
    ],
    ids=["aisfx", "cdpam", "musicnn", "resemblyzer", "openwakeword", "vggish", "panns", "waveform"],
)
def test_network_inputs_have_their_shapes(prepare, rate, shapes):
    for seconds, shape in shapes.items():
        blocks = prepare(chirp(rate, seconds))
        assert blocks.shape == shape and np.isfinite(blocks).all()


def test_network_inputs_have_their_levels():
    signal = chirp(16_000, 1.0)
    assert embeddings.vggish_input(np.full(16_000, 1e-9, np.float32)).max() == pytest.approx(
        np.log(0.01), abs=1e-3
    )
    # 10 log10(1e-10) in float32: numpy's vector logarithms are right to 4 units in the last place, each at
    # most 2^-23 of the number, and the product by 10 rounds once more.
    quiet = embeddings.panns_input(np.full(32_000, 1e-9, np.float32))
    assert quiet.min() == pytest.approx(-100, rel=5 * 2**-23)
    # Clipped to a whole number, and scaled by a power of two: exact.
    assert np.abs(embeddings.openwakeword_input(2 * np.ones(16_000))).max() == 32767
    np.testing.assert_array_equal(embeddings.cdpam_input(np.full(22_050, 0.5))[0], 16_384)
    # aisfx reads at peak 1, resemblyzer raises to -30 dB and leaves what is louder.
    np.testing.assert_allclose(embeddings.aisfx_input(signal), embeddings.aisfx_input(signal / 8), atol=1e-5)
    quiet = [embeddings.resemblyzer_input(signal * gain) for gain in (1e-3, 1e-4)]
    np.testing.assert_allclose(*quiet, rtol=1e-3)
    loud = embeddings.resemblyzer_input(signal)
    np.testing.assert_allclose(embeddings.resemblyzer_input(signal / 2), loud / 4, rtol=1e-3, atol=1e-9)


# ------------------------------------------------------------------- networks against their own packages


@pytest.mark.skipif("aisfx" not in HERE, reason='aisfx is not installed: extra "networks"')
def test_aisfx_is_the_network_of_its_package():
    import torch

    module = package_module("aisfx", "models/cnn2d.py")
    network = module.EmbeddingNet("max", 3, 1, 64)
    state = embeddings._read_torch(embeddings._in_package("aisfx", "models/checkpoint.pth")()[0])[0]
    network.load_state_dict(embeddings._with_prefix(state, "embedding_net."))
    with torch.inference_mode():
        expected = network.eval()(torch.from_numpy(embeddings.aisfx_input(chirp(44_100)))).numpy()
    np.testing.assert_allclose(load("aisfx").embed(chirp(44_100)), expected, atol=1e-5)


@pytest.mark.skipif("cdpam" not in HERE, reason='cdpam is not installed: extra "networks"')
def test_cdpam_is_the_network_of_its_package():
    import torch

    network = package_module("cdpam", "models.py").base_encoder(n_layers=16, nefilters=64)
    path = embeddings._in_package("cdpam", "CDPAM_trained/scratchJNDdefault_best_model.pth")()[0]
    state = embeddings._read_torch(path, sha256=embeddings.CDPAM_SHA256)["state"]
    network.load_state_dict(embeddings._with_prefix(state, "base_encoder."))
    signal = chirp(22_050, 0.05)
    with torch.inference_mode():
        acoustics = network.eval()(torch.from_numpy(embeddings.cdpam_input(signal))[:, None])[1]
    expected = torch.nn.functional.normalize(acoustics, dim=1).numpy()
    np.testing.assert_allclose(load("cdpam").embed(signal), expected, atol=1e-5)


@pytest.mark.skipif("musicnn" not in HERE, reason='musicnn is not installed: extra "networks"')
def test_musicnn_weights_are_read_to_the_last_number():
    index, data = embeddings._in_package(
        "musicnn", "MTT_musicnn/.index", "MTT_musicnn/.data-00000-of-00001"
    )()
    weights = embeddings.read_tensorflow(index, data)
    assert sum(4 * value.size for value in weights.values()) == data.stat().st_size
    assert weights["conv2d_2/kernel"].shape == (128, 1, 1, 51) and weights["dense/kernel"].shape == (
        1506,
        200,
    )
    assert all(np.isfinite(value).all() for value in weights.values())
    assert min(value.min() for key, value in weights.items() if key.endswith("moving_variance")) >= 0


def test_a_file_that_is_no_tensorflow_index_is_refused(tmp_path):
    (tmp_path / "index").write_bytes(bytes(100))
    (tmp_path / "data").write_bytes(b"")
    with pytest.raises(ValueError, match="not the index of a TensorFlow checkpoint"):
        embeddings.read_tensorflow(tmp_path / "index", tmp_path / "data")
