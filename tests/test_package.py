"""The package's public parts: how sounds are read, the evidence of a result, what other rooms build on."""

import dataclasses
import os
import subprocess
import sys
import typing
from pathlib import Path

import librosa
import numpy as np
import pytest

import audio_distance
import metrics
from audio_distance import Reading, energy, extraction, features, reading, resampling, storage, units, views

ROOT = Path(__file__).parents[1]
RATE = 16000


@pytest.fixture
def sets(noise):
    return [noise(seed) for seed in range(5)], [noise(seed) for seed in range(10, 14)]


class TestFace:
    def test_metrics_is_the_package(self):
        assert metrics.__all__ == audio_distance.__all__ and metrics.__version__ == audio_distance.__version__
        for name in audio_distance.__all__:
            assert getattr(metrics, name) is getattr(audio_distance, name), name

    def test_all_names_everything_public(self):
        """What the package imports from its modules is what it offers."""
        public = {name for name, thing in vars(audio_distance).items() if not name.startswith("_")}
        modules = {name for name in public if isinstance(getattr(audio_distance, name), type(sys))}
        assert public - modules == set(audio_distance.__all__)

    def test_every_public_name_is_documented(self):
        for name in audio_distance.__all__:
            thing = getattr(audio_distance, name)
            if callable(thing):
                assert thing.__doc__ and len(thing.__doc__) > 60, name

    def test_works_beside_another_metrics(self, tmp_path):
        """A project may have a metrics.py of its own: the package never imports that name."""
        (tmp_path / "metrics.py").write_text("raise RuntimeError('the wrong metrics')")
        code = "import audio_distance, numpy as np; x = np.random.default_rng(0).normal(0, .1, (4, 8000));"
        code += "print(audio_distance.compare(x[:2], x[2:], rate=16000).p_value)"
        path = {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=path)
        assert done.returncode == 0, done.stderr
        assert 0 < float(done.stdout) <= 1


class TestReading:
    def test_the_fields_are_keywords_of_every_function(self, sets):
        reference, candidate = sets
        ready = Reading(rate=RATE, peak_limit=2.0)
        by_name = metrics.compare(reference, candidate, rate=RATE, peak_limit=2.0)
        assert metrics.compare(reference, candidate, reading=ready) == by_name
        assert (
            metrics.compare_each(reference, {"candidate": candidate}, reading=ready)["candidate"] == by_name
        )
        assert metrics.distance(reference, candidate, reading=ready) == by_name.value
        assert metrics.describe(reference, reading=ready).bandwidth_rate == RATE

    def test_a_keyword_comes_before_the_reading(self, sets):
        ready = Reading(rate=RATE, peak_limit=1e-3)
        with pytest.raises(metrics.AudioError, match=r"the limit is 0\.001"):
            metrics.distance(*sets, reading=ready)
        assert np.isfinite(metrics.distance(*sets, reading=ready, peak_limit=1.0))

    def test_a_pair_of_rates_is_for_the_reference_and_all_candidates(self, sets):
        reference, candidate = sets
        both = metrics.compare_each(reference, {"a": candidate, "b": candidate}, rate=(RATE, 8000))
        assert both["a"].reference.rates == (RATE,) and both["b"].candidate.rates == (8000,)

    def test_typing_knows_every_field(self):
        fields = [field.name for field in dataclasses.fields(Reading)]
        assert list(typing.get_type_hints(reading.ReadingFields)) == fields

    @pytest.mark.parametrize(
        ("fields", "error", "message"),
        [
            (
                {"worker": 2},
                TypeError,
                r"compare\(\) got an unexpected keyword argument 'worker'; did you mean w",
            ),
            ({"permutation": 99}, TypeError, r"compare\(\) .* 'permutation'; did you mean permutations"),
            ({"zzz": 2}, TypeError, "'zzz'; there are cache, embedding, groups"),
            ({"reading": {"rate": 8000}}, TypeError, "an audio_distance.Reading is needed"),
            ({"workers": 2.5}, ValueError, "workers=2.5; a whole number is needed"),
            ({"workers": "2"}, ValueError, "workers='2'; a whole number is needed"),
            ({"rate": "16000"}, ValueError, "rate='16000'; a number of Hz is needed"),
            ({"rate": object()}, ValueError, "a number of Hz is needed"),
            ({"rate": ()}, ValueError, r"rate=\(\); a number of Hz is needed"),
            ({"rate": (16000,)}, ValueError, r"rate=\(16000,\); one number is needed, or two"),
            ({"rate": (16000, 1, 2)}, ValueError, r"rate=\(16000, 1, 2\); one number is needed, or two"),
            ({"workers": 0}, ValueError, "workers=0; at least 1 is needed"),
            ({"on_error": "ignore"}, ValueError, "on_error='ignore'; it is 'raise' or 'skip'"),
        ],
    )
    def test_what_cannot_be(self, sets, fields, error, message):
        with pytest.raises(error, match=message):
            metrics.compare(*sets, **{"rate": RATE, **fields})

    @pytest.mark.parametrize("rate", [[RATE, 8000], np.array([RATE, 8000])])
    def test_rates_may_be_a_list_or_an_array(self, sets, rate):
        reading = Reading(rate=rate)
        assert hash(reading) == hash(Reading(rate=(RATE, 8000))) and reading.rate == (RATE, 8000)
        assert metrics.compare(*sets, reading=reading).candidate.rates == (8000,)

    def test_a_rate_may_be_a_number_of_numpy(self, sets):
        for rate in (np.int32(RATE), np.array(RATE)):
            assert Reading(rate=rate) == Reading(rate=RATE)
            assert metrics.distance(*sets, rate=rate) == metrics.distance(*sets, rate=RATE)

    def test_a_side_that_carries_its_rate_needs_none(self, sets):
        reference, candidate = sets
        described = metrics.describe(candidate, rate=RATE)
        assert metrics.distance(reference, described, rate=(RATE, None)) == metrics.distance(*sets, rate=RATE)

    def test_is_frozen(self):
        with pytest.raises(dataclasses.FrozenInstanceError):
            Reading().workers = 2


class TestEvidence:
    @pytest.mark.parametrize(("count", "exact"), [(4, True), (12, False)])
    def test_the_p_value_can_be_counted_again(self, noise, count, exact):
        x, y = [noise(i) for i in range(count)], [noise(50 + i) for i in range(count)]
        result = metrics.compare(x, y, rate=RATE, permutations=199)
        null = result.null_distribution
        assert result.exact is exact and len(null) == result.permutations + (not exact)
        assert null[0] == result.statistic
        # A count over a count, the same division: exact.
        assert result.p_value == np.mean(null >= result.statistic)
        assert len(result.null_values) == result.permutations
        assert result.null_spread == result.null_values.std()
        # The observed value is one of the arrangements if these are all there are. Its sums run in another
        # order: 1e-12 is some thousand additions of numbers near 1 in float64.
        among = np.abs(result.null_values - result.value).min() < 1e-12
        assert among if exact else result.value not in result.null_values[1:]

    def test_is_not_in_the_plain_dict(self, sets):
        result = metrics.compare(*sets, rate=RATE)
        assert not {"statistic", "null_distribution", "null_values", "leave_one_out"} & set(result.to_dict())
        assert len(result.leave_one_out) == 9

    def test_the_same_set_twice(self, sets):
        result = metrics.compare(sets[0], sets[0], rate=RATE)
        assert (result.p_value, result.value, result.null_spread) == (1.0, 0.0, 0.0)
        assert result.permutations == len(result.null_values) == 0
        assert (result.statistic, result.exact, result.smallest_p) == (0.0, True, 1.0)
        assert result.null_distribution.tolist() == [0.0]

    def test_ties_up_to_rounding_are_made_equal(self, noise):
        """Two sets of one size: each arrangement has a mirror image, of the same value but for rounding."""
        for seed in range(50, 60):
            x, y = ([noise(10 * seed + i) for i in range(4 * k, 4 * k + 4)] for k in (0, 1))
            result = metrics.compare(x, y, rate=RATE)
            assert result.exact and result.p_value == np.mean(result.null_distribution >= result.statistic)


class TestParts:
    def test_describe_signal_is_prepare_windows_embed(self, noise):
        signal = noise(3, seconds=2.5)
        vectors, level, seconds = metrics.describe_signal(signal, RATE)
        prepared, expected = metrics.prepare(signal, RATE)
        assert (
            seconds == 2.5
            and level == expected
            and vectors.shape == (2, 1799)
            and vectors.dtype == np.float32
        )
        assert np.array_equal(vectors, [metrics.embed(w) for w in metrics.windows(prepared)])

    def test_split_views_takes_every_column_of_the_value_once(self):
        numbers = np.arange(2 * 1799).reshape(2, 1799)
        parts = metrics.split_views(numbers)
        assert {name: part.shape[1] for name, part in parts.items()} == metrics.VIEWS
        assert np.array_equal(np.concatenate(list(parts.values()), axis=1), numbers[:, :1032])
        assert np.array_equal(metrics.split_views(numbers[0])["attack"], parts["attack"][0])

    @pytest.mark.parametrize("grouped", [False, True])
    def test_pool_of_vectors_is_what_compare_works_on(self, grouped):
        rng = np.random.default_rng(5)
        x, y = rng.normal(0, 0.1, (6, 400)), rng.normal(0, 0.1, (5, 400))
        # Units of as many files in both sets: what is left of others when they are matched is drawn in the
        # order of the units, and that is one of contents in ``compare``.
        labels = ["a", "a", "b", "c", "d", "d", "e", "e", "f", "g", "g"]
        result = metrics.compare(
            x,
            y,
            rate=RATE,
            embedding=lambda s, r: s[:5],
            groups=(labels[:6], labels[6:]) if grouped else None,
        )
        x, y = (np.float32(v[:, :5]) for v in (x, y))
        pool = units.pool_of_vectors(x, y, groups=labels if grouped else None)
        kernels = energy.view_kernels(pool, metrics.divisors(x))
        # Units come in another order, so sums are rounded in another: 1e-12 for some hundred terms near 1.
        observed = energy.observe(kernels, pool)
        assert observed.value == pytest.approx(result.value, abs=1e-12)
        assert observed.interval == pytest.approx(result.interval, abs=1e-9)
        arranged = resampling.rearranged(
            kernels[0], pool, pool, parts={"embedding": np.arange(5)}, permutations=999, seed=0
        )
        test = resampling.permutation_test([(1.0, arranged)])
        assert test.exact and test.p_value == result.p_value

    def test_pairs_of_vectors(self):
        pool = units.pool_of_vectors(np.zeros((3, 2)), np.ones((3, 2)), paired=True)
        assert list(pool.partner) == [3, 4, 5, 0, 1, 2] and list(pool.members) == [1, 1, 1, 2, 2, 2]

    def test_vectors_of_groups_lie_together_in_the_order_they_came_in(self):
        """100 of two groups in turn: more than a sort that is not stable leaves in order."""
        x, y = np.arange(200.0).reshape(100, 2), -np.arange(200.0).reshape(100, 2)
        pool = units.pool_of_vectors(x, y, groups=[1, 0] * 50 + [2] * 100)
        assert np.array_equal(pool.vectors, np.concatenate([x[1::2], x[::2], y]))
        assert list(pool.starts) == [0, 50, 100] and list(pool.members) == [1, 1, 2]
        assert list(pool.weights) == [1 / 50] * 100 + [1 / 100] * 100
        assert list(pool.partner) == [-1, -1, -1] and list(pool.levels) == [0.0, 0.0, 0.0]
        assert pool.names == ("00000", "00001", "00002")

    @pytest.mark.parametrize(("rate", "low", "high"), [(8000, 0.0, 4000.0), (44100, 50.0, 14000.0)])
    def test_mel_filters_at_any_rate(self, rate, low, high):
        usual = librosa.filters.mel(
            sr=rate, n_fft=1024, n_mels=32, fmin=low, fmax=high, norm=None, dtype=np.float64
        )
        ours = metrics.mel_filters(1024, 32, rate=rate, low_hz=low, high_hz=high)
        np.testing.assert_allclose(ours, usual, atol=1e-9)  # corners to 1e-12 of their Hz, slopes above 1/40

    def test_the_divisors_cannot_be_changed_by_a_caller(self):
        with pytest.raises(ValueError, match="read-only"):
            metrics.constants()[0][0] = 1.0

    def test_a_shorter_signal_may_be_asked_for(self):
        with pytest.raises(metrics.AudioError, match=r"10\.0 ms, and the limit is 20\.0 ms"):
            features.check_signal(np.ones(160), RATE, shortest_seconds=0.02)


class TestStorage:
    def test_takes_the_place_at_the_end(self, tmp_path):
        path = tmp_path / "deep" / "file.txt"
        with storage.replacing(path) as part:
            part.write_text("new")
            assert not path.exists()
        assert path.read_text() == "new" and list(path.parent.iterdir()) == [path]

    def test_an_error_leaves_the_old_file(self, tmp_path):
        path = tmp_path / "file.txt"
        path.write_text("old")
        with pytest.raises(KeyboardInterrupt), storage.replacing(path) as part:
            part.write_text("half")
            raise KeyboardInterrupt
        assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


class TestMemory:
    def test_the_allocator_is_set_in_workers_only(self, sets):
        views.keep_freed_memory.cache_clear()
        metrics.compare(*sets, rate=RATE, workers=1)
        assert views.keep_freed_memory.cache_info().misses == 0
        extraction._describe_batch([], None, os.getpid())  # a thread of the caller's own process
        assert views.keep_freed_memory.cache_info().misses == 0
        extraction._describe_batch([], None, -1)
        assert views.keep_freed_memory.cache_info().misses == 1


class TestLengths:
    """What is done about sets that were cut differently is said; experiments.lengths has what it is worth."""

    def compared(self, reference, candidate, **options):
        result = metrics.compare(reference, candidate, rate=RATE, permutations=99, paired=False, **options)
        return result, " ".join(result.warnings)

    def sides(self, noise, *lengths, count=5):
        return [[noise(10 * k + i, seconds=length) for i in range(count)] for k, length in enumerate(lengths)]

    def test_windows_that_the_test_leaves_out(self, noise):
        """5 files of 2.4 s have 2 windows each, and of 3 s have 3: of 25 the test takes 20."""
        result, words = self.compared(*self.sides(noise, 2.4, 3.0))
        assert "the test looks at 20 of 25 windows" in words and not result.short_clips
        assert "windows" not in self.compared(*self.sides(noise, 1.2, 1.7))[1]

    @pytest.mark.parametrize(
        ("lengths", "words"),
        [
            ((0.3, 0.3), ""),
            (
                (0.6, 1.0),
                "clips that sound for less than 1 s differ in length (means 0.60 s and 1.00 s, without",
            ),
            ((1.0, 3.0), "the test looks at 10 of 20 windows, chosen at random"),
            ((2.0, 2.05), ""),
            ((2.0, 3.0), "the test looks at 20 of 25 windows"),
            ((3.0, 3.0), ""),
        ],
    )
    def test_files(self, noise, lengths, words):
        result, _ = self.compared(*self.sides(noise, *lengths))
        found = [line for line in result.warnings if "clips" in line or "windows" in line]
        assert len(found) == bool(words) and all(line.startswith(words) for line in found)

    def test_groups_of_one_and_of_two_files(self, noise):
        (x,), (y,) = self.sides(noise, 0.5, count=4), self.sides(noise, 0.5, count=8)
        y = [signal[::-1] for signal in y]
        groups = (list("abcd"), list("eeffgghh"))
        assert "the test looks at 8 of 12 windows" in self.compared(x, y, groups=groups)[1]
        assert "windows" not in self.compared(x, y)[1]

    @pytest.mark.parametrize(
        ("lengths", "differ"), [((0.3, 0.32), True), ((0.5, 3.0), True), ((1.2, 3.0), False)]
    )
    def test_short_clips_of_other_lengths_are_in_the_verdict(self, noise, lengths, differ):
        x, y = self.sides(noise, *lengths)
        result, words = self.compared(x, [np.convolve(signal, [1, 0.7], "same") for signal in y])
        assert result.short_clips == differ and result.p_value <= 0.05
        assert result.verdict == (
            "different, in the length of short clips at least" if differ else "different"
        )
        assert (f"for less than 1 s differ in length (means {lengths[0]:.2f} s" in words) == differ

    def test_silence_around_a_clip_is_no_length(self, noise):
        """.4 s of sound in a file of 2 s: a short clip, be it beside whole seconds or beside others."""
        x, y = self.sides(noise, 0.4, 2.0)
        padded = [np.pad(signal, (len(signal), 3 * len(signal))) for signal in x]
        result, words = self.compared(padded, y)
        assert result.verdict == "different, in the length of short clips at least"
        assert "(means 0.40 s and 2.00 s, without silent ends)" in words
        assert result.reference.seconds == pytest.approx(10, abs=0.01)  # of the files
        assert not self.compared(padded, [signal[::-1] for signal in x])[0].short_clips

    def test_sets_of_one_source_are_not_noted(self):
        """20 files of 0.3 to 2.4 s a side, eight draws, a note at 5 % in each: four come in .0004."""
        rng = np.random.default_rng(0)
        found = []
        for _ in range(8):
            sides = [[rng.normal(0, 0.1, int(RATE * s)) for s in rng.uniform(0.3, 2.4, 20)] for _ in range(2)]
            result, words = self.compared(*sides)
            assert ("length" in words) == result.short_clips
            found.append(result.short_clips)
        assert sum(found) <= 3
