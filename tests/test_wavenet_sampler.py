"""Generation of a WaveNet with cached activations, against the network recomputed whole in double precision.

Networks are small, with seeded weights, scaled so that the distributions are neither flat nor certain.
"""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import soundfile
from hypothesis import strategies as st

pytest.importorskip("numba", reason='pip install -e ".[models]"')

from experiments import wavenet_speed
from models import sampling_kernels as kernels
from models.sampler import (
    CHUNK,
    KIND,
    VERSION,
    Sampler,
    State,
    generate,
    log_probabilities,
    write_wav,
)
from models.wavenet_parameters import Settings, recompute
from study import results

ROOT = Path(__file__).parents[1]
SMALL = Settings(residual=8, gate=8, skip=12, head=16, layers=4, blocks=2)
# No size is a multiple of what the kernels take at once; one layer has its dilation twice.
ODD = Settings(residual=7, gate=5, skip=11, head=13, layers=3, blocks=3, codes=19, labels=3)
EDGE = 1e-4  # draws nearer to an edge of the distribution may fall on either side in another precision


def parameters(settings, *, seed=0):
    """Normal, by the inputs that are summed: logits that differ by a few."""
    rng = np.random.default_rng(seed)
    made = {}
    for name, shape in settings.shapes().items():
        gains = {"output": 1.5, "head": 1.5, "residual": 0.7}
        gain = gains.get(name.split(".")[-1], 0.1 if "bias" in name else 1.0)
        inputs = shape[-1] if len(shape) == 2 and name != "embedding" and "label" not in name else 1
        made[name] = (gain * rng.standard_normal(shape) / np.sqrt(inputs)).astype(np.float32)
    return made


@pytest.fixture(scope="module")
def small():
    return Sampler(parameters(SMALL), SMALL)


@pytest.fixture(scope="module")
def odd():
    return Sampler(parameters(ODD), ODD, labels=("a", "b", "c"))


def after_silence(settings, codes):
    return np.concatenate([np.full(settings.receptive_field, settings.codes // 2), codes])


def windows(settings, codes):
    """What each code of a clip depends on, (n, R): the R codes before it."""
    whole, field = after_silence(settings, codes), settings.receptive_field
    return [whole[t : t + field] for t in range(len(codes))]


# Sizes


def test_sizes_of_the_two_networks():
    source = Settings(residual=128, gate=32, skip=128, head=512)
    assert source.receptive_field == Settings().receptive_field == 2047
    assert (source.multiply_adds, Settings().multiply_adds) == (688_128, 148_736)


@pytest.mark.parametrize("settings", [SMALL, ODD])
def test_multiply_adds_are_the_sizes_of_all_matrices(settings):
    sizes = [
        np.prod(shape)
        for name, shape in settings.shapes().items()
        if len(shape) == 2 and name != "embedding" and "label" not in name
    ]
    assert settings.multiply_adds == sum(sizes)


@pytest.mark.parametrize("settings", [SMALL, ODD])
def test_the_receptive_field_is_exact(settings):
    """The first code of a window moves the output; the one before has no way in."""
    p, rng = parameters(settings), np.random.default_rng(1)
    window = rng.integers(0, settings.codes, settings.receptive_field + 1)
    out = recompute(p, settings, window)
    before, first = window.copy(), window.copy()
    before[0], first[1] = (before[0] + 1) % settings.codes, (first[1] + 1) % settings.codes
    assert np.array_equal(recompute(p, settings, before), out)
    assert np.abs(recompute(p, settings, first) - out).max() > 1e-12


# The cache against the definition


@pytest.mark.parametrize(("settings", "label"), [(SMALL, None), (ODD, "a"), (ODD, 2)])
def test_cached_equals_recomputed(settings, label, small, odd):
    sampler = small if settings is SMALL else odd
    codes = np.random.default_rng(2).integers(0, settings.codes, 3 * settings.receptive_field)
    found = log_probabilities(sampler, codes, label=label)
    number = sampler.label_number(label)
    expected = [recompute(parameters(settings), settings, w, label=number) for w in windows(settings, codes)]
    assert np.abs(found - expected).max() < 1e-5
    spread = np.exp(found).max(axis=1)
    assert 0.05 < spread.mean() < 0.9  # neither flat nor certain
    assert np.exp(found).sum(axis=1) == pytest.approx(1, abs=1e-12)


def test_cached_equals_recomputed_in_the_shipped_network():
    settings = Settings()
    p = parameters(settings)
    codes = np.random.default_rng(3).integers(0, 256, 300)
    found = log_probabilities(Sampler(p, settings), codes)
    for t in (0, 1, 17, 299):
        assert np.abs(found[t] - recompute(p, settings, windows(settings, codes)[t])).max() < 1e-5


def drawn(log_p, uniform, temperature, top_p):
    """The code of a draw from its definition, and whether it lies near an edge."""
    p = np.exp((log_p - log_p.max()) / temperature)
    p /= p.sum()
    falling = np.sort(p)[::-1]
    reached = np.cumsum(falling)
    p[p < falling[np.searchsorted(reached, top_p - 1e-12)]] = 0
    edges = np.cumsum(p / p.sum())
    near = np.abs(edges - uniform).min() < EDGE or (top_p < 1 and np.abs(reached - top_p).min() < EDGE)
    return np.searchsorted(edges, uniform, side="right"), near


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.7, 1.0), (1.3, 0.9), (1.0, 0.3)])
def test_the_samples_are_those_of_the_network_recomputed(small, temperature, top_p):
    """Each draw again, given the codes before it. Of 200 draws and 256 edges, those near one are left out."""
    p = parameters(SMALL)
    prime = np.random.default_rng(4).integers(0, 256, 5)
    codes = generate(small, 200, seed=9, temperature=temperature, top_p=top_p, prime=prime).codes[0]
    uniforms = np.random.Generator(np.random.PCG64([9, 0])).random(200)
    compared = 0
    for t, window in enumerate(windows(SMALL, np.concatenate([prime, codes]))[len(prime) :]):
        code, near = drawn(recompute(p, SMALL, window), uniforms[t], temperature, top_p)
        compared += not near
        assert near or code == codes[t]
    assert compared > 150 and len(np.unique(codes)) > 10


# Clips, pieces, processors


@pytest.mark.parametrize("batch", [2, 4, 7])
@pytest.mark.parametrize("name", ["small", "odd"])
def test_a_clip_of_a_batch_is_the_clip_alone(name, batch, request):
    """The first has sizes of which the kernels take several at once, and the other none."""
    sampler = request.getfixturevalue(name)
    labels = [i % 3 if sampler.labels else None for i in range(batch)]
    together = generate(sampler, 80, seed=5, batch=batch, label=labels)
    assert together.codes.shape == (batch, 80) and together.codes.dtype == np.uint8
    for clip in range(batch):
        alone = generate(sampler, 80, seed=5, first=clip, label=labels[clip])
        assert np.array_equal(alone.codes[0], together.codes[clip])
        assert np.array_equal(alone.state.rings[0], together.state.rings[clip])
    assert len({row.tobytes() for row in together.codes}) == batch


@pytest.mark.parametrize("batch", [1, 5])
def test_pieces_from_state_files_are_one_run(small, batch, tmp_path):
    """Cut at one sample, inside of a chunk, and behind it."""
    whole = generate(small, CHUNK + 300, seed=1, batch=batch, temperature=0.9, top_p=0.95)
    state, pieces = None, []
    for count in (1, 130, CHUNK + 169):
        made = generate(small, count, seed=1, batch=batch, temperature=0.9, top_p=0.95, state=state)
        made.state.save(tmp_path / "state.npz")
        state = State.load(tmp_path / "state.npz")
        pieces.append(made.codes)
    assert np.array_equal(np.concatenate(pieces, axis=1), whole.codes)
    assert np.array_equal(state.rings, whole.state.rings) and state.drawn == CHUNK + 300
    assert [path.name for path in tmp_path.iterdir()] == ["state.npz"]


def test_a_state_is_not_changed_by_going_on(small):
    state = generate(small, 10, seed=2).state
    once, again = (generate(small, 10, seed=2, state=state).codes for _ in range(2))
    assert np.array_equal(once, again) and state.drawn == 10


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    from safetensors.numpy import save_file

    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    header = {"version": VERSION, "settings": dataclasses.asdict(SMALL), "rate": 8000, "labels": []}
    save_file(parameters(SMALL), path, metadata={KIND: json.dumps(header)})
    return path


def test_a_processor_without_vectors_draws_the_same(small, files, tmp_path):
    """Sums have one order and one rounding wherever they are made, so the bits are equal, not only close."""
    code = (
        "import sys, numpy as np; from models.sampler import Sampler, generate; "
        f"made = generate(Sampler.load({str(files)!r}), 300, seed=3, batch=5, top_p=.9); "
        f"np.save({str(tmp_path / 'rings.npy')!r}, made.state.rings); "
        f"np.save({str(tmp_path / 'codes.npy')!r}, made.codes); print('torch' in sys.modules)"
    )
    plain = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": str(tmp_path / "n")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ | plain, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "False\n"  # generating needs no PyTorch
    here = generate(small, 300, seed=3, batch=5, top_p=0.9)
    assert np.array_equal(np.load(tmp_path / "codes.npy"), here.codes)
    assert np.array_equal(np.load(tmp_path / "rings.npy"), here.state.rings)


def test_machine_code_is_kept_in_the_cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIO_DISTANCE_CACHE", str(tmp_path))
    monkeypatch.setattr(kernels.numba.config, "CACHE_DIR", "")
    place = kernels.kept.__wrapped__(kernels.sample).stats.cache_path
    assert Path(place).is_relative_to(tmp_path / "numba") and kernels.numba.config.CACHE_DIR == ""
    (tmp_path / "file").touch()
    monkeypatch.setenv("AUDIO_DISTANCE_CACHE", str(tmp_path / "file"))
    assert kernels.kept.__wrapped__(kernels.sample).stats.cache_path is None


# What a draw is


@hypothesis.given(seed=st.integers(0, 10**6), top_p=st.floats(0.01, 1), temperature=st.floats(0.05, 5))
def test_draws_are_the_softmax_of_the_nucleus(seed, top_p, temperature):
    """An even grid of 4,000 draws meets each code as often as its probability says, give or take one."""
    rng = np.random.default_rng(seed)
    logits = (3 * rng.standard_normal(rng.integers(2, 60))).astype(np.float32)
    weights = np.empty(len(logits), np.int64)
    grid = (np.arange(4000) + 0.5) / 4000
    found = [kernels.draw(logits, np.float32(1 / temperature), top_p, u, weights) for u in grid]
    p = np.exp((logits - logits.max()).astype(np.float64) / temperature)
    p /= p.sum()
    falling = np.sort(p)[::-1]
    reached = np.cumsum(falling)
    if np.abs(reached[:-1] - top_p).min() < 1e-6:  # either nucleus is right
        return
    last = falling[min(np.searchsorted(reached, top_p), len(p) - 1)]
    p[p < last * (1 - 1e-6)] = 0
    assert np.bincount(found, minlength=len(p)) == pytest.approx(4000 * p / p.sum(), abs=1.01)


def test_the_ends_of_a_draw():
    weights = np.empty(4, np.int64)
    logits = np.array([-200, 1, 2, -200], np.float32)
    one = np.float32(1)
    assert kernels.draw(logits, one, 1.0, 0.0, weights) == 1
    assert kernels.draw(logits, one, 1.0, 1 - 2**-53, weights) == 2
    assert kernels.draw(logits, one, 1e-9, 0.0, weights) == 2
    even = np.zeros(4, np.float32)  # ties of the last are kept
    assert {kernels.draw(even, one, 0.1, u, weights) for u in (0.1, 0.3, 0.6, 0.9)} == {0, 1, 2, 3}


def test_cold_draws_are_the_likeliest(small):
    codes = generate(small, 50, seed=0, temperature=1e-300).codes[0]
    assert np.array_equal(log_probabilities(small, codes).argmax(axis=1), codes)


def test_the_functions_are_exact_enough():
    """Over every 10,007th float32; 6e-8 is a step of single precision below 1."""
    x = np.arange(0, 0x7F800000, 10_007, dtype=np.int64).astype(np.int32).view(np.float32)

    @kernels.compiled
    def each(function, x):
        return np.array([function(value) for value in x])

    wide = np.concatenate([x, -x]).astype(np.float64)
    assert np.abs(each(kernels.tanh, np.concatenate([x, -x])) - np.tanh(wide)).max() < 1.2e-7
    below = -x[x < 87]
    assert np.abs(each(kernels.exp, below) / np.exp(below.astype(np.float64)) - 1).max() < 2e-7
    assert kernels.exp(np.float32(-np.inf)) < 1e-37


# Primes and labels


def test_a_short_prime_follows_silence_and_of_a_long_one_the_end_matters(small):
    rng = np.random.default_rng(6)
    prime = rng.integers(0, 256, 7)
    made = generate(small, 60, seed=1, prime=prime).codes
    field = SMALL.receptive_field
    assert np.array_equal(generate(small, 60, seed=1, prime=after_silence(SMALL, prime)).codes, made)
    long = rng.integers(0, 256, 3 * field)
    other = long.copy()
    other[:-field] = 0
    assert np.array_equal(
        generate(small, 60, seed=1, prime=long).codes, generate(small, 60, seed=1, prime=other).codes
    )
    other[-field] ^= 255
    last = [log_probabilities(small, [*p, 0])[-1] for p in (long, other)]
    assert np.abs(last[0] - last[1]).max() > 1e-6


def test_labels_by_name_and_number(odd):
    by_name, by_number, another = (generate(odd, 60, seed=1, label=x).codes for x in ("b", 1, "c"))
    assert np.array_equal(by_name, by_number) and not np.array_equal(by_name, another)


# Files


def test_a_model_file_is_the_network(files, small):
    loaded = Sampler.load(files)
    assert loaded.digest == small.digest and loaded.rate == 8000
    assert np.array_equal(generate(loaded, 30, seed=0).codes, generate(small, 30, seed=0).codes)


def test_the_last_residual_may_be_missing(small):
    p = parameters(SMALL)
    del p["layers.7.residual"], p["layers.7.residual_bias"]
    assert np.array_equal(generate(Sampler(p, SMALL), 30, seed=0).codes, generate(small, 30, seed=0).codes)


def test_model_files_that_are_none(files, tmp_path):
    from safetensors.numpy import save_file

    with pytest.raises(ValueError, match=r"nothing\.safetensors: no model file"):
        Sampler.load(tmp_path / "nothing.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(files.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"cut\.safetensors: no model file"):
        Sampler.load(tmp_path / "cut.safetensors")
    save_file(parameters(SMALL), tmp_path / "bare.safetensors")
    with pytest.raises(ValueError, match=r"bare\.safetensors: version unknown of the wavenet's"):
        Sampler.load(tmp_path / "bare.safetensors")
    header = {"version": VERSION, "settings": dataclasses.asdict(ODD)}
    save_file(parameters(SMALL), tmp_path / "wrong.safetensors", metadata={KIND: json.dumps(header)})
    with pytest.raises(ValueError, match=r"wrong\.safetensors: parameters of another network"):
        Sampler.load(tmp_path / "wrong.safetensors")


def test_states_that_are_none(small, tmp_path):
    path = tmp_path / "state.npz"
    with pytest.raises(ValueError, match=r"state\.npz: no state"):
        State.load(path)
    generate(small, 3, seed=0).state.save(path)
    whole = path.read_bytes()
    for damaged in (b"", whole[:-100], b"RIFF" + whole[4:]):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"state\.npz: no state of a generation, or a damaged one"):
            State.load(path)
    np.savez(path, version=1, seed=0)
    with pytest.raises(ValueError, match="or a damaged one"):
        State.load(path)


def test_a_wav_file_holds_the_decoded_clip(tmp_path):
    decode = pytest.importorskip("study.datasets.mu_law").decode
    codes = np.arange(256, dtype=np.uint8)
    write_wav(codes, tmp_path / "made" / "clip.wav", 8000)
    signal, rate = soundfile.read(tmp_path / "made" / "clip.wav")
    assert rate == 8000 and np.abs(signal - decode(codes)).max() <= 2**-15  # a step of 16 bits


@pytest.mark.parametrize(
    ("codes", "rate", "told"),
    [
        (np.zeros((1, 9), np.uint8), 8000, r"clip\.wav: one clip is \(n,\) uint8 codes, not \(1, 9\) uint8"),
        (np.zeros(9, int), 8000, r"not \(9,\) int64"),
        (np.zeros(0, np.uint8), 8000, r"not \(0,\) uint8"),
        (np.zeros(9, np.uint8), 0, r"clip\.wav: a rate of 0 Hz"),
    ],
)
def test_clips_that_are_no_sound(codes, rate, told, tmp_path):
    with pytest.raises(ValueError, match=told):
        write_wav(codes, tmp_path / "clip.wav", rate)
    assert not list(tmp_path.iterdir())


# What is refused


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"temperature": 0}, "temperature 0; above 0"),
        ({"temperature": -1}, "temperature -1"),
        ({"temperature": np.nan}, "temperature nan"),
        ({"temperature": np.inf}, "temperature inf"),
        ({"top_p": 0}, "top_p 0; above 0, at most 1"),
        ({"top_p": 1.01}, "top_p 1.01"),
        ({"top_p": np.nan}, "top_p nan"),
        ({"prime": [1, 256]}, "prime: codes from 1 to 256; 0 to 255"),
        ({"prime": [-1]}, "prime: codes from -1 to -1; 0 to 255"),
        ({"prime": [0.5]}, r"prime: \(n,\) whole numbers, not \(1,\) float64"),
        ({"prime": []}, r"prime: \(n,\) whole numbers, not \(0,\)"),
        ({"label": "bird"}, "label 'bird': this network was trained without labels"),
        ({"label": 0}, "label 0: this network was trained without labels"),
        ({"batch": 0}, "batch is 0; a whole number, 1 or more"),
        ({"count": 0}, "count is 0; a whole number, 1 or more"),
        ({"seed": -1}, "seed is -1; a whole number, 0 or more"),
        ({"seed": 0.5}, "seed is 0.5; a whole number"),
    ],
)
def test_what_cannot_be_drawn(small, options, told):
    given_ = {"count": 5, "seed": 0} | options
    with pytest.raises(ValueError, match=told):
        generate(small, given_.pop("count"), **given_)


@pytest.mark.parametrize(
    ("label", "told"),
    [
        (None, "no label; this network was trained on a, b, c"),
        ("d", "label 'd' is unknown; this network was trained on a, b, c"),
        (3, "label 3 is unknown"),
        (-1, "label -1 is unknown"),
        (["a", "b"], "2 labels for 1 clips"),
    ],
)
def test_labels_that_are_none(odd, label, told):
    with pytest.raises(ValueError, match=told):
        generate(odd, 5, seed=0, label=label)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"seed": 1}, "seed is 1; the state goes on with 0"),
        ({"first": 1}, "first is 1; the state goes on with 0"),
        ({"batch": 3}, "batch is 3; the state has 2 clips"),
        ({"prime": [1]}, "a prime and a state"),
        ({"label": 0}, "a label and a state"),
    ],
)
def test_a_state_goes_on_as_it_began(small, options, told):
    state = generate(small, 5, seed=0, batch=2).state
    with pytest.raises(ValueError, match=told):
        generate(small, 5, **({"seed": 0} | options), state=state)


def test_a_state_of_another_network(small):
    other = Sampler(parameters(SMALL, seed=1), SMALL)
    state = generate(other, 5, seed=0).state
    with pytest.raises(ValueError, match="the state is of another network"):
        generate(small, 5, seed=0, state=state)


@pytest.mark.parametrize(
    "bent",
    [
        {"rings": np.zeros((1, 3, 8), np.float32)},
        {"rings": np.zeros((1, 30, 8))},
        {"rings": np.full((1, 30, 8), np.nan, np.float32)},
        {"last": np.array([256])},
        {"last": np.array([-1])},
        {"last": np.array([1, 2])},
        {"labels": np.array([0])},
        {"position": -1},
    ],
)
def test_a_state_that_was_edited(small, bent):
    """The compiled code checks no index: nothing may reach it that would read beside an array."""
    state = generate(small, 5, seed=0).state
    assert state.rings.shape == (1, 30, 8)
    with pytest.raises(ValueError, match="the state is damaged"):
        generate(small, 5, seed=0, state=dataclasses.replace(state, **bent))


def test_parameters_that_do_not_fit():
    p = parameters(SMALL)
    for change, told in (
        ({"head": p["head"].T}, r"parameter head is \(12, 16\); by the settings it is \(16, 12\)"),
        ({"head": np.full_like(p["head"], np.nan)}, "parameter head is not finite"),
        ({"tail": p["head"]}, "unknown tail"),
    ):
        with pytest.raises(ValueError, match=told):
            Sampler(p | change, SMALL)
    del p["layers.0.residual"]
    with pytest.raises(ValueError, match=r"the settings.\? missing layers\.0\.residual$"):
        Sampler(p, SMALL)
    with pytest.raises(ValueError, match="2 names for 3 labels"):
        Sampler(parameters(ODD), ODD, labels=("a", "b"))


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        ({"gate": 0}, "settings: gate is 0; a whole number, 1 or more"),
        ({"codes": 257}, "settings: codes is 257; a whole number, 2 to 256"),
        ({"labels": -1}, "settings: labels is -1; a whole number, 0 or more"),
        ({"layers": 2.5}, "settings: layers is 2.5"),
    ],
)
def test_sizes_that_no_network_has(sizes, told):
    with pytest.raises(ValueError, match=told):
        Settings(**sizes)


def test_a_bar_tells_that_the_first_sample_waits_for_the_compiler(small, capsys):
    generate(small, 5, seed=0, progress=True)
    shown = capsys.readouterr().err
    assert "compiling, once a machine" in shown and "5/5" in shown
    generate(small, 5, seed=0, progress=False)
    assert capsys.readouterr().err == ""


# The measurement of speed


def test_the_measurement_in_small():
    """What it times is what it says; how fast it is, no test can tell."""
    sizes = {"residual": 8, "gate": 8, "skip": 8, "head": 8, "layers": 3}
    found = results.plain(wavenet_speed.measure(sizes, repeats=1, count=50))
    assert found["receptive_field"] == 15 and found["multiply_adds"] == Settings(**sizes).multiply_adds
    assert found["difference"] < 1e-5 and found["difference_of_single_precision"] < 1e-5
    kept = results.read("wavenet_speed")
    assert list(kept["networks"]["source"]) == list(found)
    assert kept["networks"]["shipped"]["sizes"] == wavenet_speed.NETWORKS["shipped"]
    lines = wavenet_speed.summary(kept | {"networks": {"small": found}}).splitlines()
    assert len(lines) == 7 and lines[0].startswith("small (4,416 multiply-adds a sample): 10 s at 8000 Hz in")
