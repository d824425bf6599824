"""The description of a sound agrees with an independent implementation, and so does the value."""

import json

import numpy as np
import pytest
from reference import recipe

import metrics
from audio_distance import features
from study import constants

RATE = metrics.RATE


def signals():
    rng = np.random.default_rng(0)
    t = np.arange(RATE) / RATE
    noise = rng.normal(0, 0.1, RATE)
    return {
        "noise": (noise, RATE),
        "tone": (np.sin(2 * np.pi * 440 * t[:9000]), RATE),
        "chirp": (np.sin(2 * np.pi * (200 * t + 2000 * t**2)), RATE),
        "impulse": (np.eye(1, 3000)[0], RATE),
        "short constant": (np.concatenate([np.full(60, 0.3), np.zeros(500)]), RATE),
        "offset": (noise[:9000] + 0.2, RATE),
        "rumble": (noise[:15000] + 0.3 * np.sin(2 * np.pi * 7 * t[:15000] + 1), RATE),
        "silence in front, hiss behind": (
            np.concatenate([np.zeros(700), noise[:9000], rng.normal(0, 1e-6, 3000)]),
            RATE,
        ),
        "longer than a window": (rng.normal(0, 0.1, RATE + RATE // 3), RATE),
        "ten samples, padded": (np.concatenate([rng.normal(0, 1, 10), np.zeros(500)]), RATE),
        "one bit": (np.sign(noise) * 0.5, RATE),
        "half silence": (np.concatenate([noise[:8000], np.zeros(6000), noise[:100]]), RATE),
        "8 kHz": (noise[:8000], 8000),
        "16 kHz": (noise[:16000], 16000),
        "44.1 kHz": (rng.normal(0, 0.1, 44100), 44100),
        "stereo": (rng.normal(0, 0.1, (RATE, 2)), RATE),
    }


@pytest.mark.parametrize("name", signals())
def test_describes_as_the_reference(name):
    signal, rate = signals()[name]
    expected = recipe.prepare(signal, rate)
    prepared, _ = metrics.prepare(signal, rate)
    # float32 sums in another order; 1e-6 of the level is -120 dB.
    np.testing.assert_allclose(prepared, expected, atol=1e-6)
    prepared, expected = prepared[:RATE], expected[:RATE]
    # A float32 mean of n terms of one sign: an addition rounds by at most 2^-24 of the sum so far, on average
    # n/2 terms; here and in the reference together n 2^-24, of logarithms near -17. The shortest transform
    # has the most frames.
    frames = 1 + RATE // 64
    np.testing.assert_allclose(
        metrics.embed(prepared)[:1032],
        np.concatenate(recipe.embed(expected)),
        rtol=frames * 2**-24,
        atol=5e-5,
    )


@pytest.mark.parametrize("samples", [2048, 2049, 7001, RATE])
@pytest.mark.parametrize("windows", [1, 2, 5])
def test_windows_together_are_as_one_by_one(windows, samples):
    """To the bit, whatever their neighbours are: a file's description may not depend on how it was read."""
    signals = np.random.default_rng(samples).normal(0, 0.1, (windows, samples)).astype(np.float32)
    signals[0, : samples // 2] = 0
    found = metrics.embed(signals)
    assert found.shape == (windows, 1799) and found.dtype == np.float32
    assert np.array_equal(found, [metrics.embed(signal) for signal in signals])


@pytest.mark.parametrize("at_once", [1, 2, 3, 4])
def test_a_sound_is_described_in_order_however_many_windows_at_once(at_once, monkeypatch):
    windows = list(np.random.default_rng(0).normal(0, 0.1, (3, 3000)).astype(np.float32))
    expected = [metrics.embed(window) for window in windows]
    monkeypatch.setattr(features, "TOGETHER", at_once)
    assert np.array_equal(features.embed_each(iter(windows)), expected)
    assert features.embed_each([]) == []


def test_a_constant_is_no_sound_to_the_reference_either():
    with pytest.raises(ValueError, match="silent"):
        recipe.prepare(np.full(4000, 0.3), RATE)


def test_value_is_the_references():
    """Sets of files of several windows, through the block means of the reference."""
    rng = np.random.default_rng(1)
    sounds = [rng.normal(0, 0.1, int(s * RATE)) for s in (0.4, 1.2, 2.5, 3.1)]
    others = [np.cumsum(rng.normal(0, 0.1, int(s * RATE))) * 0.01 for s in (0.9, 1.7, 2.2)]
    owners, rows = [], []
    for number, sound in enumerate(sounds + others):
        for window in metrics.windows(recipe.prepare(sound, RATE)):
            rows.append(np.concatenate(recipe.embed(window)))
            owners.append(number)
    scaled = np.array(rows) / metrics.constants()[0]
    views = np.split(scaled, np.cumsum(list(metrics.VIEWS.values()))[:-1], axis=1)
    expected = np.mean([recipe.statistic(recipe.blocks(view, owners), len(sounds))[0] for view in views])
    assert metrics.distance(sounds, others, rate=RATE, peak_limit=9) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_views_are_the_references_at_other_rates(rate):
    """Each view by itself, on files of one and of several windows, trimmed and resampled by both."""
    rng = np.random.default_rng(rate)
    sounds = [rng.normal(0, 0.1, int(s * rate)) for s in (0.5, 1.6, 2.4, 0.9, 1.1, 2.2, 0.3)]
    sounds[4:] = [np.convolve(s, [1, 0.9], "same") for s in sounds[4:]]
    owners, rows = [], []
    for number, sound in enumerate(sounds):
        # Below full bandwidth the phase of the empty bands is rounding: described from the same samples.
        for window in metrics.windows(metrics.prepare(sound, rate)[0]):
            rows.append(np.concatenate(recipe.embed(window)))
            owners.append(number)
    scaled = np.array(rows) / metrics.constants()[0]
    views = np.split(scaled, np.cumsum(list(metrics.VIEWS.values()))[:-1], axis=1)
    expected = [recipe.statistic(recipe.blocks(view, owners), 4)[0] for view in views]
    found = metrics.compare(sounds[:4], sounds[4:], rate=rate, paired=False)
    # float32 descriptions agree to 1e-4 of numbers whose divisors are of order 10 and more.
    assert list(found.views.values()) == pytest.approx(expected, abs=1e-4)


def test_divisors_are_the_references():
    rows = np.random.default_rng(2).normal(0, [1, 5, 0, 1e-3], (60, 4))  # one number without spread
    np.testing.assert_allclose(metrics.divisors(rows), recipe.scales(rows), rtol=1e-12)


@pytest.mark.parametrize("bands", [24, 40])
@pytest.mark.parametrize("n_fft", [256, 1024, 4096])
def test_mel_filters_are_the_usual_ones(n_fft, bands):
    import librosa

    usual = librosa.filters.mel(sr=RATE, n_fft=n_fft, n_mels=bands, fmin=30, fmax=RATE / 2, norm=None)
    np.testing.assert_allclose(metrics.mel_filters(n_fft, bands, rate=metrics.RATE), usual, atol=1e-6)


class TestConstants:
    def test_the_bundled_file_is_what_the_command_makes(self):
        bundled = json.loads(metrics.CONSTANTS_FILE.read_text(encoding="utf-8"))
        # Six digits are kept; what two processors' rounding moves is below 1e-4.
        assert constants.largest_change(constants.make(), bundled) < 1e-4

    def change(self, tmp_path, **changes):
        content = json.loads(metrics.CONSTANTS_FILE.read_text(encoding="utf-8"))
        path = tmp_path / "constants.json"
        path.write_text(json.dumps({**content, **changes}), encoding="utf-8")
        return path

    def test_missing(self, tmp_path):
        with pytest.raises(metrics.AudioError, match=r"is missing.*python -m study\.constants"):
            metrics.constants(tmp_path / "none.json")

    def test_of_another_recipe(self, tmp_path):
        with pytest.raises(metrics.AudioError, match="recipe version 99"):
            metrics.constants(self.change(tmp_path, recipe_version=99))

    def test_foreign(self, tmp_path):
        path = tmp_path / "foreign.json"
        path.write_text("[1, 2]", encoding="utf-8")
        with pytest.raises(metrics.AudioError, match="not a constants file"):
            metrics.constants(path)
        with pytest.raises(metrics.AudioError, match="numbers"):
            metrics.constants(self.change(tmp_path, divisors={"envelope": [1.0]}))

    def test_making_them_is_deterministic(self):
        first, second, other = (constants.make(20, seed=seed) for seed in (0, 0, 1))
        assert first == second and constants.largest_change(first, other) > 1e-3
        assert {name: len(values) for name, values in first["divisors"].items()} == metrics.VIEWS

    @pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
    def test_every_divisor_must_be_a_positive_number(self, tmp_path, bad):
        numbers = json.loads(metrics.CONSTANTS_FILE.read_text(encoding="utf-8"))["divisors"]
        numbers["attack"][7] = bad
        with pytest.raises(metrics.AudioError, match="positive numbers"):
            metrics.constants(self.change(tmp_path, divisors=numbers))

    def test_their_name_follows_their_content(self, tmp_path):
        """A value says which constants it was made with: the recipe's version and a checksum."""
        numbers = json.loads(metrics.CONSTANTS_FILE.read_text(encoding="utf-8"))["divisors"]
        (tmp_path / "a").mkdir()
        (tmp_path / "b").mkdir()
        copy = metrics.constants(self.change(tmp_path / "a", made_by="hand"))[1]
        numbers["attack"][7] *= 1.01
        changed = metrics.constants(self.change(tmp_path / "b", divisors=numbers))[1]
        assert copy == metrics.constants()[1] != changed
        assert copy.startswith(f"{metrics.RECIPE_VERSION}-")
