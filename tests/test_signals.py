"""The measurements of notebooks 01 and 02 against closed forms and by hand."""

import math

import numpy as np
import pytest
from matplotlib.figure import Figure

import gen_audio
import metrics
from experiments import real_waveforms
from report import listen
from report.figures import waveforms
from study import datasets, pictures, results, signals

RATE = 16_000
TONE = np.sin(2 * np.pi * 500 * np.arange(RATE) / RATE)  # 1 s, peak 1


@pytest.fixture(scope="module")
def written():
    return [gen_audio.test_sets(overflow=overflow) for overflow in ("wrap", "clip")]


class TestLevels:
    def test_of_the_noise(self):
        levels = signals.levels(1e-4)
        assert levels["below peak (dB)"] == pytest.approx(80)
        assert levels["below tone (dB)"] == pytest.approx(80 - 10 * math.log10(2))
        assert levels["steps"] == pytest.approx(3.2768)

    def test_of_a_sine_and_of_silence(self):
        assert signals.level_db(TONE) == pytest.approx(0, abs=1e-9)
        assert signals.level_db(TONE / 10) == pytest.approx(-20)
        assert signals.level_db(np.zeros(9)) == -math.inf

    def test_truncation_as_measured(self, written):
        # 960,000 errors; their mean square is known to about 0.1 %, 0.005 dB. The tone's zeros and
        # peaks, where the error is not quite uniform, add a little.
        _, clean = written
        errors = [signals.error(x, signals.frequency_of(f)) for f, x in clean["background"].items()]
        assert signals.level_db(np.concatenate(errors)) == pytest.approx(
            signals.truncation_db()["all"], abs=0.05
        )
        parts = signals.truncation_db()
        total = 10 ** (parts["square wave"] / 10) + 10 ** (parts["rest"] / 10)
        assert signals.db(total) == pytest.approx(parts["all"])

    def test_clean_noise_is_noise_plus_truncation(self, written):
        historic, clean = written
        for row in signals.level_rows(historic, clean):
            theory = 10 ** (row["noise, drawn"] / 10) + 10 ** (signals.truncation_db()["all"] / 10)
            assert row["noise and rounding"] == pytest.approx(signals.db(theory), abs=0.2)

    def test_one_click(self):
        clean = np.zeros(96_000, np.int16)
        clean[7] = 2**15 - 1
        historic = clean.copy()
        historic[7] = -(2**15)
        # One sample that is 2 off (less half a step), in 96,000.
        expected = 10 * math.log10((2 - signals.STEP) ** 2 / 96_000 / 0.5)
        assert signals.parts_db(historic, clean, 100.0)["clicks"] == pytest.approx(expected)
        assert np.flatnonzero(signals.wrapped(historic, clean)).tolist() == [7]


class TestWraps:
    @pytest.mark.parametrize("sigma", [1e-3, 1e-4, 1e-5])
    def test_expected_at_the_top_is_the_closed_form(self, sigma):
        # E[sqrt(max(z, 0))] = 2^(1/4) Gamma(3/4) / (2 sqrt(pi)) for a standard normal z.
        root = 2**0.25 * math.gamma(0.75) / (2 * math.sqrt(math.pi))
        closed = 96_000 * math.sqrt(2 * sigma) * root / math.pi
        assert signals.expected_wraps(sigma)[0] == pytest.approx(closed, rel=1e-3)

    def test_the_bottom_has_a_step_more_room(self):
        top, bottom = signals.expected_wraps(1e-5)
        assert bottom < 0.01 * top
        top, bottom = signals.expected_wraps(1e-2)  # a step is nothing here
        assert bottom == pytest.approx(top, rel=0.01)

    def test_counts_are_as_expected(self):
        counts = signals.wrapped_counts([0, 1])
        assert counts["test1"][0].sum() == 1529
        assert counts["test2"][0].sum() == 269
        for test, wrapped in counts.items():
            expected = wrapped.size * sum(signals.expected_wraps(gen_audio.SETS[test][1]))
            assert abs(wrapped.sum() - expected) < 4 * math.sqrt(expected)  # at most Poisson

    def test_phases_and_times(self, written):
        historic, clean = (sets["test2"] for sets in written)
        phases = signals.wrapped_phases(historic, clean)
        assert len(phases) == 269
        assert np.abs(phases - 90).max() < 0.5
        times = signals.wrapped_times(historic, clean)
        assert sum(map(len, times.values())) == 269
        assert not np.any((times["sin_1000.wav"] > 0.5) & (times["sin_1000.wav"] < 5.5))

    def test_only_two_tones_are_common(self, written):
        rows = signals.file_rows(*written)
        files = {s: {r["file"] for r in rows if r["set"] == s} for s in gen_audio.SETS}
        assert files["background"] & files["test1"] == {"sin_100.wav", "sin_1000.wav"}
        assert sum(r["wrapped"] for r in rows) == 1529 + 269


class TestSpectra:
    def test_a_sine_reads_its_level_at_its_frequency(self):
        frequencies, level = signals.power_spectrum(np.tile(TONE, 6) / 10, RATE)
        assert frequencies[level.argmax()] == pytest.approx(500)
        assert level.max() == pytest.approx(-20, abs=0.01)

    def test_reversal_leaves_the_mean_spectrum(self):
        noise = np.random.default_rng(0).standard_normal(4096)
        np.testing.assert_allclose(
            signals.mean_spectrum(noise[::-1], RATE), signals.mean_spectrum(noise, RATE), rtol=1e-3
        )

    def test_log_mel_of_a_sine(self):
        mel = pictures.log_mel(TONE, RATE)
        assert mel.shape[0] == 40
        middle = mel[:, 40]
        assert middle.max() == pytest.approx(0, abs=2.5)  # its main lobe spreads over bands
        assert np.all(mel >= 10 * np.log10(pictures.FLOOR))

    def test_random_phase_keeps_every_magnitude(self):
        for length in (1000, 1001):
            x = np.random.default_rng(1).standard_normal(length)
            y = signals.random_phase(x, np.random.RandomState(0))
            assert len(y) == length
            np.testing.assert_allclose(np.abs(np.fft.rfft(y)), np.abs(np.fft.rfft(x)), atol=1e-4)
            assert signals.raw_distance(x, y) > 0.5 * np.linalg.norm(x)


class TestDistances:
    def test_raw(self):
        assert signals.raw_distance(np.array([3.0, 0]), np.array([0.0, 4, 0])) == pytest.approx(5)
        # A quarter of a period late, a sine is at a right angle to itself; but for its ends.
        quarter = signals.delayed(TONE, RATE, 0.0005)
        assert signals.raw_distance(TONE, quarter) == pytest.approx(
            math.sqrt(2) * np.linalg.norm(TONE), rel=1e-3
        )

    def test_of_a_sound_to_itself_and_to_its_half(self):
        x = np.random.default_rng(0).standard_normal(8000).astype(np.float32) / 10
        assert max(signals.distances(x, x, RATE).values()) == 0  # equal vectors: nothing is rounded
        softer = signals.distances(x, x / 2, metrics.RATE)  # all 40 bands have sound in them
        assert softer["raw samples"] == pytest.approx(np.linalg.norm(x) / 2, rel=1e-5)
        assert softer["mean log-mel"] == pytest.approx(20 * math.log10(2) * math.sqrt(40), rel=0.02)
        assert softer["envelope"] < 1e-3

    def test_ratio_to_the_only_other_is_one(self):
        one, other = TONE[:4000].astype(np.float32), np.sign(TONE[:4000]).astype(np.float32)
        ratios = signals.ratios([{"signal": one, "others": [other], "more": {"it": other}}], RATE)
        assert list(ratios) == [*signals.SAME, *signals.OTHER, "it"]
        assert ratios["it"] == pytest.approx(dict.fromkeys(signals.MEASURES, 1.0))

    def test_contrast(self):
        table = {n: dict.fromkeys(signals.MEASURES, i) for i, n in enumerate(signals.SAME + signals.OTHER)}
        assert signals.contrast(table)[0] == {
            "measure": "raw samples",
            "same sound, at most": 2,
            "another sound, at least": 3,
        }


class TestPictures:
    def test_shape_and_range(self):
        picture = pictures.picture(TONE, RATE)
        assert picture["seconds"] == 1
        assert len(picture["db_below"]) == pictures.ROWS
        below = np.array([row.split() for row in picture["db_below"]], int)
        assert below.shape == (pictures.ROWS, pictures.COLUMNS)
        assert below.min() == 0
        assert below.max() == pictures.SHOWN_DB
        assert picture["highest"].split() == ["100"] * pictures.COLUMNS

    def test_committed_results_draw_every_figure(self):
        real = results.read("real_waveforms")
        same = real["same_spectrum"]
        table = real["ratios"]["table"]
        for figure in (
            waveforms.waveforms(real["pictures"]),
            waveforms.spectrograms(same["pictures"], "title"),
            waveforms.same_spectra(same),
            waveforms.delay({"digits": real["delay"]}),
            waveforms.ratio_table(table, "title"),
        ):
            assert isinstance(figure, Figure)
            assert figure.get_suptitle()

    def test_the_example_is_rendered(self, monkeypatch):
        """No recording is carried by the notebook, nor needed."""
        monkeypatch.setattr(datasets.recordings, "files", None)
        assert "as played" in listen.example_versions().signals

    @pytest.mark.skipif(
        not (datasets.available("digits") and datasets.available("sounds")), reason="needs the recordings"
    )
    def test_committed_results_are_what_is_measured(self):
        measured, committed = results.plain(real_waveforms.run()), results.read("real_waveforms")
        assert measured["pictures"].keys() == committed["pictures"].keys()
        for name, row in committed["ratios"]["table"].items():
            assert measured["ratios"]["table"][name] == pytest.approx(row, abs=2e-3)


class TestHalves:
    def test_every_sound_is_dealt_once_and_by_the_seed(self):
        first, second = signals.halves("abcdefg", seed=1)
        assert (len(first), len(second)) == (3, 4) and sorted(first + second) == list("abcdefg")
        assert signals.halves("abcdefg", seed=1) == (first, second) != signals.halves("abcdefg", seed=2)

    def test_two_sets_need_four_sounds(self):
        assert [len(half) for half in signals.halves("abcd", seed=0)] == [2, 2]
        with pytest.raises(ValueError, match="3 sounds cannot be dealt to two sets: 4 are needed"):
            signals.halves("abc", seed=0)
