"""The value, test and interval against definitions written out with loops, on vectors chosen by hand.

``embedding=`` lets a test choose the vectors: a sound carries its vector in its level pattern, so that the
whole path (reading, units, kernel, statistics) is run and only the description is replaced.
"""

import itertools
import math
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pools import kernels_of, observed, permuted, value_of
from reference import literal

import metrics
from audio_distance import kernel, resampling
from audio_distance.units import pool_of_vectors

RATE = 16000


def carriers(vectors):
    """Sounds of 400 samples, each different, that ``spoken`` turns into the given vectors (n, d)."""
    vectors = np.asarray(vectors, float).reshape(len(vectors), -1)
    sounds = []
    for number, vector in enumerate(vectors):
        sound = np.full(400, 0.25)
        sound[: len(vector)] = vector / 1000
        sound[300] = 0.01 + number * 1e-4 + abs(float(vector.sum())) * 1e-6
        sounds.append(sound)
    return sounds


def spoken(dimension):
    return lambda signal, rate: signal[:dimension] * 1000


def compare(x, y, **options):
    x, y = (np.asarray(v, float).reshape(len(v), -1) for v in (x, y))
    return metrics.compare(carriers(x), carriers(y), rate=RATE, embedding=spoken(x.shape[1]), **options)


def literal_value(x, y, scale, left_out=()):
    def k(a, b):
        return math.sqrt(np.linalg.norm((a - b) / scale))

    across = [k(a, b) for i, a in enumerate(x) for j, b in enumerate(y) if (i, j) not in left_out]
    within = [[k(a, b) for a, b in itertools.permutations(v, 2)] for v in (x, y)]
    return 2 * np.mean(across) - np.mean(within[0]) - np.mean(within[1])


@pytest.fixture
def samples():
    rng = np.random.default_rng(3)
    return rng.normal(0, 1, (6, 3)), rng.normal(0.8, 1.5, (5, 3))


class TestValue:
    def test_is_its_definition(self, samples):
        x, y = samples
        scale = metrics.divisors(np.float32(x / 1000) * 1000)
        # float32 carriers: six digits, and the square root halves the relative error.
        assert compare(x, y).value == pytest.approx(literal_value(x, y, scale), abs=2e-5)

    def test_two_point_masses(self):
        """All of x at 0 (with a far pair that sets no scale), all of y at 1: value 2 |d|^(1/2) - 0 - 0."""
        x, y = np.zeros((4, 1)), np.ones((3, 1))
        # No spread on the reference: the divisor falls back to 0.1 times a median distance of 1.
        assert compare(x, y).value == pytest.approx(2 * math.sqrt(1 / 0.1), rel=1e-4)

    def test_unbiased_for_one_source(self):
        """Mean over 300 seeded splits within 4 standard errors of 0: fails by chance once in 16,000."""
        rng = np.random.default_rng(0)
        values = []
        for _ in range(300):
            values.append(value_of(pool_of_vectors(rng.normal(0, 1, (8, 2)), rng.normal(0, 1, (5, 2)))))
        assert abs(np.mean(values)) < 4 * np.std(values) / math.sqrt(300)
        assert np.min(values) < 0 < np.max(values)

    def test_parts_add_up(self):
        found = metrics.compare(*noises(5, 4), rate=RATE)
        assert np.mean(list(found.views.values())) == pytest.approx(found.value, abs=1e-12)
        assert np.mean([unit.value for unit in found.units]) == pytest.approx(found.value, abs=1e-9)
        assert sum(band.value for band in found.bands) == pytest.approx(found.views["envelope"], abs=1e-6)

    def test_is_symmetric_with_the_bundled_scale_only(self, samples):
        x, y = noises(4, 5)
        assert metrics.distance(x, y, rate=RATE) == pytest.approx(
            metrics.distance(y, x, rate=RATE), abs=1e-12
        )
        assert compare(*samples).value != pytest.approx(compare(*samples[::-1]).value, abs=1e-3)

    def test_distance_is_the_value_of_compare(self):
        x, y = noises(4, 5)
        assert metrics.distance(x, y, rate=RATE) == metrics.compare(x, y, rate=RATE).value

    @pytest.mark.parametrize(
        "options", [{}, {"paired": False}, {"paired": True}, {"groups": [1, 1, 2, 2, 3]}]
    )
    def test_a_set_against_itself_is_exactly_zero(self, options):
        x, _ = noises(5, 2, seconds=2.3)
        found = metrics.compare(x, x, rate=RATE, **options)
        assert (found.value, found.p_value, found.verdict) == (0.0, 1.0, "the same set")

    def test_a_set_with_copies_inside_against_itself(self):
        x, _ = noises(3, 2)
        assert metrics.distance([x[0], *x], [*x, x[0]], rate=RATE) == 0.0

    def test_shared_content_is_one_draw(self, samples):
        x, y = samples
        both = np.vstack([y, x[:2]])
        found = metrics.compare(
            carriers(x), [*carriers(y), *carriers(x)[:2]], rate=RATE, embedding=spoken(3), permutations=99
        )
        scale = metrics.divisors(np.float32(x / 1000) * 1000)
        expected = literal_value(x, both, scale, left_out={(0, 5), (1, 6)})
        assert found.value == pytest.approx(expected, abs=2e-5) and found.shared == 2
        assert "same content in both sets" in " ".join(found.warnings)

    def test_pairs_leave_the_cross_term(self, samples):
        x, y = samples[0][:5], samples[1]
        scale = metrics.divisors(np.float32(x / 1000) * 1000)
        expected = literal_value(x, y, scale, left_out={(i, i) for i in range(5)})
        assert compare(x, y, paired=True).value == pytest.approx(expected, abs=2e-5)


def noises(n, m, *, seconds=0.5):
    rng = np.random.default_rng(7)
    x = [rng.normal(0, 0.05, int(seconds * RATE)) for _ in range(n)]
    y = [np.convolve(rng.normal(0, 0.05, int(seconds * RATE)), [1, 0.5], "same") for _ in range(m)]
    return x, y


def literal_p(pool, arrangements):
    """P-value over the given memberships, every statistic recomputed by loops from the definitions."""
    units = [
        literal.Unit((name,), int(member), name, [literal.Sound(name, name, pool.vectors[[i]])])
        for i, (name, member) in enumerate(zip(pool.names, pool.members, strict=True))
    ]
    for i in np.flatnonzero(pool.partner >= 0):
        units[i].partner = units[pool.partner[i]]
    deals = [(np.flatnonzero(inside), np.flatnonzero(~inside)) for inside in arrangements]
    return literal.p_value(units, {"embedding": lambda row: row}, deals)


class TestPermutations:
    def test_all_deals_of_a_tiny_set(self):
        rng = np.random.default_rng(1)
        pool = pool_of_vectors(rng.normal(0, 1, (3, 2)), rng.normal(1, 1, (3, 2)))
        deals = [np.isin(np.arange(6), deal) for deal in itertools.combinations(range(6), 3)]
        found = permuted(pool)
        assert found.exact and found.permutations == 20
        assert found.p_value == pytest.approx(literal_p(pool, deals))
        assert found.smallest_p == pytest.approx(2 / 20)  # a deal and its mirror image are one statistic

    def test_all_swaps_of_tiny_pairs(self):
        rng = np.random.default_rng(2)
        x = rng.normal(0, 1, (4, 2))
        pool = pool_of_vectors(x, x + rng.normal(0.4, 0.3, (4, 2)), paired=True)
        swaps = [
            np.concatenate([np.array(s) == 0, np.array(s) == 1]) for s in itertools.product((0, 1), repeat=4)
        ]
        found = permuted(pool)
        assert found.exact and found.permutations == 16
        assert found.p_value == pytest.approx(literal_p(pool, swaps))

    def test_arranged_values_are_the_values_of_rearranged_sets(self):
        rng = np.random.default_rng(4)
        pool = pool_of_vectors(rng.normal(0, 1, (5, 2)), rng.normal(0, 1, (4, 2)))
        members, _ = resampling.arrangements(pool, 99, 0)
        values = resampling.arranged_values(kernels_of(pool)[0], pool, members)
        for column in (0, 1, 50, 99):
            inside = members[:, column] > 0
            again = pool_of_vectors(pool.vectors[inside], pool.vectors[~inside])
            assert values[column] == pytest.approx(value_of(again), abs=1e-12)

    @pytest.mark.parametrize("paired", [False, True])
    def test_false_alarms(self, paired):
        """400 null splits at 5 %: more than 36 alarms have probability .0003 if the level is kept."""
        rng = np.random.default_rng(5)
        alarms = 0
        for trial in range(400):
            x, y = rng.standard_t(3, (8, 3)), rng.standard_t(3, (8, 3))
            shared = rng.normal(0, 2, (8, 3)) * paired
            pool = pool_of_vectors(x + shared, y + shared, paired=paired)
            alarms += permuted(pool, seed=trial).p_value <= 0.05
        assert alarms <= 36

    def test_too_few_to_tell_is_said(self):
        found = metrics.compare(*noises(2, 2), rate=RATE)
        assert found.smallest_p > 0.05 and found.verdict == "too few files to tell"
        assert any("no p-value below" in line for line in found.warnings)


class TestInterval:
    def test_is_the_jackknife_of_really_smaller_sets(self, samples):
        x, y = samples
        pool = pool_of_vectors(x, y)
        whole = observed(pool)
        for role, n in (("reference", len(x)), ("candidate", len(y))):
            for i in range(n):
                keep = np.arange(n) != i
                less = pool_of_vectors(x[keep], y) if role == "reference" else pool_of_vectors(x, y[keep])
                name = f"{i if role == 'reference' else len(x) + i:05d}"
                assert whole.leave_one_out[role, name] == pytest.approx(value_of(less), abs=1e-9)

    def test_pairs_leave_together(self):
        rng = np.random.default_rng(8)
        x, y = rng.normal(0, 1, (5, 2)), rng.normal(0.5, 1, (5, 2))
        pool = pool_of_vectors(x, y, paired=True)
        whole = observed(pool)
        less = pool_of_vectors(x[1:], y[1:], paired=True)
        assert whole.leave_one_out["reference", "00000"] == pytest.approx(value_of(less), abs=1e-9)

    def test_is_absent_for_two_files(self):
        assert metrics.compare(*noises(2, 4), rate=RATE).interval is None

    def test_difference_is_antisymmetric(self):
        x, y = noises(6, 5)
        z = [s[::-1] for s in noises(6, 5)[0]]
        both = metrics.compare_each(x, {"y": y, "z": z}, rate=RATE)
        one, other = metrics.difference(both["y"], both["z"]), metrics.difference(both["z"], both["y"])
        # a - b and b - a round alike.
        assert one.value == -other.value
        assert one.value == pytest.approx(both["y"].value - both["z"].value, abs=1e-12)
        assert one.p_value == pytest.approx(other.p_value) and one.value > 0


class TestPastBugsOfSeveralCandidates:
    def test_one_may_be_called_reference(self):
        """It took the place of the reference, and zip() was said to be shorter."""
        x, y = noises(4, 4)
        found = metrics.compare_each(x, {"reference": y}, rate=RATE, permutations=99)
        assert found["reference"].value == metrics.distance(x, y, rate=RATE)

    def test_whose_rate_bounds_the_comparison(self, tmp_path):
        """Each was told that its own files had the lowest rate of all."""
        for i, (name, rate) in enumerate([("real", 16000), ("same", 16000), ("low", 8000)]):
            (tmp_path / name).mkdir()
            for j, sound in enumerate(noises(3, 3)[i % 2]):
                soundfile.write(tmp_path / name / f"{name}{j}.wav", 0.1 * sound[:: 16000 // rate], rate)
        sets = {name: tmp_path / name for name in ("same", "low")}
        found = metrics.compare_each(tmp_path / "real", sets, permutations=99)
        assert any("another candidate has a rate of 8000 Hz" in line for line in found["same"].warnings)
        assert any("mixed sample rates" in line for line in found["low"].warnings)


def test_large_sets_in_float32_chunks_agree_with_float64(monkeypatch):
    x, y = noises(9, 8, seconds=2.0)
    dense = metrics.compare(x, y, rate=RATE)
    monkeypatch.setattr(kernel, "DENSE_WINDOWS", 1)
    monkeypatch.setattr(kernel, "CHUNK_ELEMENTS", 100)
    chunked = metrics.compare(x, y, rate=RATE)
    # float32: relative error of a squared distance about 1e-6, a quarter of it in the kernel near 1.
    assert chunked.value == pytest.approx(dense.value, abs=1e-5)
    assert chunked.interval == pytest.approx(dense.interval, abs=1e-4)


class TestInvariances:
    @pytest.mark.parametrize("rate", [RATE, metrics.RATE])
    def test_gain(self, rate):
        """To rounding at full bandwidth; below it the phase of what is left above the band is rounding
        itself (120 dB down), and moves the value by a few 1e-4: a small part of the null's spread."""
        x, y = noises(4, 4)
        loud, soft = (metrics.compare(x, [g * s for s in y], rate=rate) for g in (1, 0.1))
        limit = 1e-5 if rate == metrics.RATE else 0.05 * loud.null_spread
        assert soft.value == pytest.approx(loud.value, abs=limit)

    def test_50_ms_of_silence_change_nothing_at_all(self):
        x, y = noises(4, 4)
        late = [np.concatenate([np.zeros(RATE // 20), s]) for s in y]
        for sound, same in zip(late, y, strict=True):
            assert np.array_equal(metrics.prepare(sound, RATE)[0], metrics.prepare(same, RATE)[0])
        # The vectors are the same; units are ordered by content, so sums are rounded in another order.
        assert metrics.distance(x, late, rate=RATE) == pytest.approx(
            metrics.distance(x, y, rate=RATE), abs=1e-12
        )

    def test_order_of_the_sounds(self):
        """To the bit: units are put in the order of their content before anything is added."""
        x, y = noises(5, 4)
        one, other = metrics.compare(x, y, rate=RATE), metrics.compare(x[::-1], y[::-1], rate=RATE)
        assert (one.value, one.p_value, one.interval) == (other.value, other.p_value, other.interval)

    def test_number_of_workers(self):
        x, y = noises(5, 4)
        one, two = (metrics.compare(x, y, rate=RATE, workers=w).to_dict() for w in (1, 2))
        assert one == two

    def test_another_process_gives_the_same_bytes(self, tmp_path):
        import soundfile

        for name, sounds in zip(("x", "y"), noises(4, 4), strict=True):
            (tmp_path / name).mkdir()
            for i, sound in enumerate(sounds):
                soundfile.write(tmp_path / name / f"{name}{i}.wav", sound, RATE)
        command = [sys.executable, "-m", "metrics", str(tmp_path / "x"), str(tmp_path / "y"), "--json"]
        runs = [
            subprocess.run(
                command, capture_output=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed}
            ).stdout
            for seed in ("1", "2")
        ]
        assert runs[0] == runs[1]


@settings(max_examples=40)
@given(
    samples=arrays(np.float32, st.integers(600, 4000), elements=st.floats(-1, 1, width=32), fill=st.just(0)),
    rate=st.sampled_from([8000, 16000, 22050, 44100, 48000]),
)
def test_every_audible_signal_gives_finite_numbers(samples, rate):
    signal = samples
    if np.abs(signal).max() <= metrics.SILENCE_PEAK:
        with pytest.raises(metrics.AudioError, match="silent"):
            metrics.prepare(signal, rate)
        return
    prepared, level = metrics.prepare(signal, rate)
    vector = metrics.embed(prepared)
    assert vector.shape == (1799,) and np.all(np.isfinite(vector)) and math.isfinite(level)


def test_unequal_lengths_are_warned_of(noise):
    short, long = ([noise(seed, seconds) for seed in range(4)] for seconds in (0.3, 1.2))
    found = metrics.compare(short, [np.roll(x, 7) for x in long], rate=16000)
    assert any(
        "for less than 1 s differ in length (means 0.30 s and 1.20 s, without silent ends)" in w
        for w in found.warnings
    )
    assert not any("clips" in line for line in metrics.compare(short, short[::-1], rate=16000).warnings)
