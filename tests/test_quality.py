"""Direction beside the distance: statistics of predicted scores, their words, the network, the experiment."""

import json
import math
import socket
import sys
import types
from dataclasses import replace
from importlib.util import find_spec
from itertools import combinations, product

import numpy as np
import pytest
import scipy.stats
import soundfile

import metrics
from audio_distance import comparison, extraction, quality
from audio_distance.command import main
from audio_distance.quality import Quality, quality_of, scored, segments
from audio_distance.units import pool_of_vectors
from experiments import quality as experiment
from report import tables
from report.numbers import mean_text
from report.tables import quality as measures
from study import results
from study.agreement import laboratory_mean
from study.embeddings import MissingNetwork

RATE = 16_000
HERE = pytest.mark.skipif(
    find_spec("torch") is None or find_spec("distillmos") is None, reason="needs torch and distillmos"
)


def pool(reference, candidate, *, paired=False, shared=()):
    """A pool of files with these scores; ``shared``: positions in the reference that are in both sets."""
    made = pool_of_vectors(np.zeros((len(reference), 1)), np.zeros((len(candidate), 1)), paired=paired)
    members = made.members.copy()
    members[list(shared)] = 3
    return replace(made, scores=np.concatenate([reference, candidate]), members=members)


def found(made, *, permutations=9999, seed=0):
    return quality_of("scores", [(1.0, scored(made, permutations=permutations, seed=seed))])


def length(signal, rate):
    """A predictor whose scores are known: seconds that sound."""
    return len(signal) / rate


@pytest.fixture
def noises(noise):
    """Sounds of the given lengths in seconds, each another noise."""

    def make(lengths, seed=0):
        return [noise(seed + i, seconds, RATE) for i, seconds in enumerate(lengths)]

    return make


class TestStatistics:
    def test_unpaired(self):
        """Welch's interval, and scipy's exact test of Welch's statistic."""
        x, y = np.array([3.1, 4.0, 2.7, 3.3]), np.array([4.4, 3.9, 4.1, 4.9, 4.6])
        result = found(pool(x, y))
        welch = scipy.stats.ttest_ind(y, x, equal_var=False)
        assert (result.reference, result.candidate) == pytest.approx((x.mean(), y.mean()))
        assert result.difference == pytest.approx(y.mean() - x.mean())
        assert result.interval == pytest.approx(welch.confidence_interval(0.95), abs=1e-12)
        exact = scipy.stats.permutation_test(
            (y, x),
            lambda a, b: abs(scipy.stats.ttest_ind(a, b, equal_var=False).statistic),
            alternative="greater",
            n_resamples=np.inf,
            vectorized=False,
        )
        assert result.p_value == pytest.approx(exact.pvalue) == pytest.approx(3 / 126)

    def test_pairs(self):
        """The paired t interval, and scipy's exact test of swaps."""
        x = np.array([3.1, 4.0, 2.7, 3.3, 3.0, 4.2])
        y = x + np.array([0.5, 0.2, 0.9, -0.1, 0.4, 0.3])
        result = found(pool(x, y, paired=True))
        paired = scipy.stats.ttest_rel(y, x)
        assert result.interval == pytest.approx(paired.confidence_interval(0.95), abs=1e-12)
        exact = scipy.stats.permutation_test(
            (y, x), lambda a, b: abs(np.mean(a - b)), permutation_type="samples", alternative="greater",
            n_resamples=np.inf, vectorized=False,
        )  # fmt: skip
        assert result.p_value == pytest.approx(exact.pvalue) == pytest.approx(4 / 64)

    def test_pairs_beside_others_and_shared_ones(self):
        """Every arrangement by hand, each with the jackknife of its draws: the variance is that, too."""
        rng = np.random.default_rng(3)
        x, y = rng.normal(3, 1, 6), rng.normal(4, 1, 5)
        partner = np.full(11, -1)
        for a, b in ((0, 6), (1, 7), (2, 8)):  # the 4th and 5th are free, and so are two of the candidate
            partner[a], partner[b] = b, a
        made = replace(pool(x, y, shared=[5]), partner=partner)
        got = scored(made, permutations=999, seed=0)
        everything = np.concatenate([x, y])

        def difference(reference, candidate, without=()):
            sides = [[everything[i] for i in side if i not in without] for side in (reference, candidate)]
            return np.mean(sides[1]) - np.mean(sides[0])

        literal = []
        for swaps in product((0, 1), repeat=3):
            for dealt in combinations((3, 4, 9, 10), 2):
                pairs = [(i, i + 6)[:: 1 - 2 * swap] for i, swap in enumerate(swaps)]
                others = sorted({3, 4, 9, 10} - set(dealt))
                reference = [5, *dealt, *(a for a, _ in pairs)]
                candidate = [5, *others, *(b for _, b in pairs)]
                kinds = [[(i,) for i in dealt], [(i,) for i in others], pairs, [(5,)]]
                variance = 0.0
                for kind in kinds:
                    values = [difference(reference, candidate, draw) for draw in kind]
                    variance += (len(values) - 1) * np.var(values)
                literal.append((difference(reference, candidate), variance))
        assert len(literal) == 48 == len(got.differences)
        mine = sorted(zip(got.differences, got.variances, strict=True))
        assert np.allclose(mine, sorted(literal), atol=1e-12)
        statistics = [abs(value) / math.sqrt(variance) for value, variance in literal]
        observed = abs(got.differences[0]) / math.sqrt(got.variances[0])
        p = np.mean([s >= observed * (1 - 1e-9) for s in statistics])
        assert quality_of("scores", [(1.0, got)]).p_value == pytest.approx(p)

    def test_blocks_add_up(self):
        """Of two blocks with equal shares: the mean of their differences, a quarter of their variances."""
        rng = np.random.default_rng(4)
        parts = [pool(rng.normal(3, 1, 5), rng.normal(4, 1, 7)) for _ in range(2)]
        blocks = [scored(part, permutations=999, seed=0, block=i) for i, part in enumerate(parts)]
        both = quality_of("scores", [(0.5, block) for block in blocks])
        single = [quality_of("scores", [(1.0, block)]) for block in blocks]
        assert both.difference == pytest.approx(np.mean([one.difference for one in single]))
        assert both.reference == pytest.approx(np.mean([one.reference for one in single]))
        half = (both.interval[1] - both.interval[0]) / 2
        variance = sum(block.variances[0] for block in blocks) / 4
        kinds = [values for block in blocks for values in block.without if len(values)]
        parts = [(len(values) - 1) * np.var(values) / 4 for values in kinds]
        freedom = variance**2 / sum(v**2 / n for v, n in zip(parts, (4, 6, 4, 6), strict=True))
        assert half == pytest.approx(scipy.stats.t.ppf(0.975, freedom) * math.sqrt(variance))

    @pytest.mark.parametrize(
        ("x", "y", "p"),
        [([3.3] * 4, [3.3] * 5, 1.0), ([3.1] * 4, [4.4] * 4, 2 / 70)],
        ids=["equal", "apart without spread"],
    )
    def test_scores_that_do_not_vary(self, x, y, p):
        result = found(pool(np.array(x), np.array(y)))
        assert result.p_value == pytest.approx(p) and result.difference == pytest.approx(y[0] - x[0])
        assert result.interval == pytest.approx((result.difference, result.difference), abs=1e-9)

    def test_below_three_units_there_is_no_interval(self):
        assert found(pool(np.array([1.0, 2.0]), np.array([1.5, 2.5, 3.5]))).interval is None

    def test_other_spread_is_no_direction(self):
        """40 against 10 of one mean, the few three times as spread: 5 % of 200 tests have p of 5 % or less.
        More than 22 come with probability .0002; the difference alone, not over its error, has over 30."""
        rng = np.random.default_rng(5)
        small = alone = 0
        for _ in range(200):
            made = scored(pool(rng.normal(0, 1, 40), rng.normal(0, 3, 10)), permutations=99, seed=0)
            small += quality_of("scores", [(1.0, made)]).p_value <= 0.05
            alone += np.mean(np.abs(made.differences) >= np.abs(made.differences[0])) <= 0.05
        assert small <= 22 and alone > 30


class TestCompare:
    def test_asked_for_it_stands_beside_the_distance(self, noises):
        """The same numbers as without, and the scores of what sounds, at its own rate."""
        x, y = noises([0.3, 0.4, 0.5, 0.6]), noises([0.7, 0.8, 0.9, 0.75], seed=10)
        y = [np.concatenate([np.zeros(4000), sound, np.zeros(2000)]) for sound in y]
        plain, asked = metrics.compare(x, y, rate=RATE), metrics.compare(x, y, rate=RATE, quality=length)
        assert replace(asked, quality=None) == plain and plain.quality is None
        assert asked.quality.by == "length"
        assert asked.quality.reference == pytest.approx(0.45, abs=1e-3)
        assert asked.quality.candidate == pytest.approx(0.7875, abs=1e-3)
        assert asked.quality.p_value == pytest.approx(2 / 70)
        assert "quality" not in plain.to_dict() and asked.to_dict()["quality"]["by"] == "length"
        json.dumps(asked.to_dict())

    def test_what_is_heard_is_not_limited_to_the_common_bandwidth(self, noise):
        heard = []
        sets = [[(noise(i, 0.3, rate), rate) for i in range(3)] for rate in (8000, 32000)]
        metrics.compare(*sets, quality=lambda signal, rate: heard.append(rate) or 1.0)
        assert heard == [8000] * 3 + [32000] * 3

    def test_groups_are_the_draws(self, noises):
        """Groups of unequal size: the mean over groups of their means."""
        x, y = noises([0.3, 0.5, 0.4, 0.6]), noises([0.7, 0.9, 0.8], seed=10)
        result = metrics.compare(x, y, rate=RATE, quality=length, groups=(list("aaab"), list("cdd"))).quality
        assert result.reference == pytest.approx((0.4 + 0.6) / 2, abs=1e-3)
        assert result.candidate == pytest.approx((0.7 + 0.85) / 2, abs=1e-3)
        assert result.interval is None  # two units a side

    def test_pairs_are_swapped(self, noises):
        lengths = np.array([0.3, 0.9, 0.5, 0.7])
        x, y = noises(lengths), noises(lengths + np.array([0.05, 0.06, 0.055, 0.052]), seed=10)
        paired = metrics.compare(x, y, rate=RATE, quality=length, paired=True).quality
        loose = metrics.compare(x, y, rate=RATE, quality=length, paired=False).quality
        assert paired.p_value == pytest.approx(2 / 16) and loose.p_value > 0.5
        assert paired.interval[0] > 0 > loose.interval[0]

    def test_each_candidate_has_its_own(self, noises):
        x = noises([0.3, 0.4, 0.5])
        each = metrics.compare_each(
            x, {"longer": noises([0.6, 0.7, 0.8], 10), "same": x}, rate=RATE, quality=length
        )
        assert each["longer"].quality.difference == pytest.approx(0.3, abs=1e-3)
        assert (each["same"].quality.difference, each["same"].quality.p_value) == (0, 1)

    @pytest.mark.parametrize(
        ("function", "message"),
        [
            (lambda s, r: float("nan"), "gave the score nan; a finite number is needed"),
            (lambda s, r: None, "gave no score"),
            (lambda s, r: [1.0, 2.0], "gave no score"),
        ],
    )
    def test_no_score(self, noises, function, message):
        with pytest.raises(metrics.AudioError, match=message):
            metrics.compare(noises([0.3, 0.4]), noises([0.3, 0.4], 10), rate=RATE, quality=function)

    def test_a_name_that_is_none(self, noises):
        with pytest.raises(ValueError, match=r"quality='dnsmos'; 'distillmos' is there, or a function"):
            metrics.compare(noises([0.3, 0.4]), noises([0.3, 0.4], 10), rate=RATE, quality="dnsmos")

    @pytest.mark.parametrize("missing", ["torch", "distillmos"])
    def test_without_the_package(self, noises, monkeypatch, missing):
        """Said before anything is described, and what brings it."""
        monkeypatch.setattr(
            quality.importlib.util, "find_spec", {"torch": 1, "distillmos": 1, missing: None}.get
        )
        monkeypatch.setattr(extraction, "_described", None)
        with pytest.raises(metrics.AudioError) as error:
            metrics.compare(noises([0.3, 0.4]), noises([0.3, 0.4], 10), rate=RATE, quality="distillmos")
        assert f"needs {missing}, not installed" in str(error.value)
        assert "pip install --no-deps distillmos" in str(error.value)
        assert "audio-distance[quality]" in str(error.value)

    def test_another_release_of_the_package(self, tmp_path, monkeypatch):
        spec = types.SimpleNamespace(submodule_search_locations=[str(tmp_path)])
        monkeypatch.setattr(quality.importlib.util, "find_spec", lambda name: spec)
        with pytest.raises(metrics.AudioError, match=r"needs distill_mos_v7\.pt, which another release of"):
            quality.refuse_missing("distillmos")
        (tmp_path / "weights").mkdir()
        (tmp_path / "weights" / "distill_mos_v7.pt").touch()
        quality.refuse_missing("distillmos")


@pytest.fixture
def network(monkeypatch):
    """A network of the name "distillmos" that counts what it is asked: seconds that sound, plus 3."""
    asked = []

    def score(signal, rate):
        asked.append(len(signal) / rate)
        return 3 + len(signal) / rate

    monkeypatch.setattr(quality, "_loaded", lambda name: score)
    monkeypatch.setattr(extraction, "refuse_missing", lambda name, needed=True: None)
    monkeypatch.setattr(quality.importlib.metadata, "version", lambda name: "0.0")
    return asked


class TestDescribed:
    def test_scores_are_kept_with_a_description(self, noises, network, tmp_path):
        x, y = noises([0.3, 0.4, 0.5]), noises([0.6, 0.7, 0.8], 10)
        direct = metrics.compare(x, y, rate=RATE, quality="distillmos")
        metrics.describe(x, rate=RATE, quality="distillmos").save(tmp_path / "x.npz")
        kept = metrics.compare(tmp_path / "x.npz", y, rate=RATE, quality="distillmos")
        assert kept.quality == direct.quality and direct.quality.by == "distillmos"
        half = metrics.Description.load(tmp_path / "x.npz").sample(2, seed=0)
        assert half.quality == "distillmos" and all(sound.quality > 3 for sound in half.sounds)
        asked = len(network)
        metrics.compare(tmp_path / "x.npz", half, quality="distillmos")
        assert len(network) == asked
        assert metrics.compare(tmp_path / "x.npz", y, rate=RATE).quality is None

    def test_a_description_without_them_is_refused(self, noises, network):
        x, y = noises([0.3, 0.4, 0.5]), noises([0.6, 0.7, 0.8], 10)
        described = metrics.describe(x, rate=RATE)
        with pytest.raises(
            metrics.AudioError,
            match=r'reference \(set\) is a Description with no predicted quality.*quality="distillmos"',
        ):
            metrics.compare(described, y, rate=RATE, quality="distillmos")
        scored_before = metrics.describe(x, rate=RATE, quality="distillmos")
        with pytest.raises(
            metrics.AudioError, match=r"quality predicted by distillmos, and without audio for a function"
        ):
            metrics.compare(scored_before, y, rate=RATE, quality=length)

    def test_a_function_does_not_go_into_one(self, noises):
        with pytest.raises(TypeError, match="the name of a network is needed, not a function"):
            metrics.describe(noises([0.3, 0.4]), rate=RATE, quality=length)

    def test_descriptions_need_no_package(self, noises, network, monkeypatch):
        sets = [metrics.describe(noises([0.3, 0.4, 0.5], s), rate=RATE, quality="distillmos") for s in (0, 9)]
        monkeypatch.setattr(extraction, "refuse_missing", quality.refuse_missing)
        monkeypatch.setattr(quality.importlib.util, "find_spec", lambda name: None)
        assert metrics.compare(*sets, quality="distillmos").quality.by == "distillmos"

    def test_parts_are_joined(self, noises, network):
        parts = [metrics.describe(noises([0.3, 0.4], s), rate=RATE, quality="distillmos") for s in (0, 9)]
        joined = metrics.join(dict(zip("ab", parts, strict=True)))
        assert joined.quality == "distillmos" and len(joined) == 4
        plain = metrics.describe(noises([0.3, 0.4], 9), rate=RATE)
        with pytest.raises(metrics.AudioError, match=r"has the quality None, and part 'a' .* distillmos"):
            metrics.join({"a": parts[0], "b": plain})

    def test_half_scored_is_damaged(self, noises, network):
        whole = metrics.describe(noises([0.3, 0.4]), rate=RATE, quality="distillmos")
        for sounds, who, message in (
            ((whole.sounds[0], replace(whole.sounds[1], quality=None)), "distillmos", "has the quality None"),
            (whole.sounds, "", "predicted by nobody; likely damaged"),
            ((replace(whole.sounds[0], quality=math.inf), whole.sounds[1]), "distillmos", "quality of inf"),
        ):
            with pytest.raises(metrics.AudioError, match=message):
                replace(whole, sounds=sounds, quality=who)
        arrays = whole.to_arrays()
        del arrays["scores"]
        with pytest.raises(metrics.AudioError, match="not a described set, or a damaged one"):
            metrics.Description.from_arrays(arrays)

    def test_a_description_that_was_not_asked_keeps_its_bytes(self, noises):
        assert not {"scores", "quality"} & set(metrics.describe(noises([0.3, 0.4]), rate=RATE).to_arrays())

    def test_the_cache_knows_who_was_asked(self, folder_of, network, tmp_path):
        """Kept by content; what was kept without scores is described again, once."""
        sets = folder_of("a", range(3)), folder_of("b", range(5, 8))
        options = {"cache": tmp_path / "cache", "workers": 1}
        plain = metrics.compare(*sets, **options)
        first = metrics.compare(*sets, quality="distillmos", **options)
        assert len(network) == 6
        again = metrics.compare(*sets, quality="distillmos", **options)
        assert len(network) == 6 and again == first and replace(first, quality=None) == plain
        metrics.compare(*sets, quality=length, **options)
        assert len(list((tmp_path / "cache").iterdir())) == 12  # of a function nothing is kept


class TestWords:
    def of(self, **changes):
        made = Quality("distillmos", 4.514, 4.118, -0.396, (-0.55, -0.24), 0.001)
        return comparison.quality_text(replace(made, **changes))

    def test_the_line(self):
        assert self.of() == (
            "sounds worse than the reference to a network trained on ratings of speech (distillmos): 4.12 "
            "against 4.51, difference -0.40 (-0.55 to -0.24), p = 0.001"
        )
        assert self.of(difference=0.3).startswith("sounds better than the reference to a network")
        assert self.of(p_value=0.2).startswith("no difference shown to a network")
        assert "difference -0.40, p" in self.of(interval=None)
        assert "to the function mine:" in self.of(by="mine")

    def test_in_text_and_notebook(self, noises):
        sets = noises([0.3, 0.32, 0.34, 0.36]), noises([0.5, 0.52, 0.54, 0.56], 10)
        result = metrics.compare(*sets, rate=RATE, quality=length)
        line = comparison.quality_text(result.quality)
        assert f"\n  quality, not part of the distance: {line}\n" in f"{result}\n"
        assert f"<p>Quality, not part of the distance: {line}.</p>" in result._repr_html_()

    def test_a_note_where_they_may_not_be_speech(self, noises, network, monkeypatch):
        """If neither set reaches the limit, and of the network only."""
        x, y = noises([0.3, 0.4, 0.5]), noises([0.6, 0.7, 0.8], 10)
        note = "may not be speech, and distillmos was trained on speech only"
        plain = metrics.compare(x, y, rate=RATE, quality="distillmos")  # 3.4 and 3.7
        assert not any(note in line for line in plain.warnings)
        monkeypatch.setattr(quality, "SPEECH_LEAST", 3.8)
        noted = metrics.compare(x, y, rate=RATE, quality="distillmos")
        assert (
            noted.warnings == (*plain.warnings, quality.doubt_of(noted.quality))
            and note in noted.warnings[-1]
        )
        monkeypatch.setattr(quality, "SPEECH_LEAST", 3.5)
        assert metrics.compare(x, y, rate=RATE, quality="distillmos").warnings == plain.warnings
        assert metrics.compare(x, y, rate=RATE, quality=length).warnings == plain.warnings

    def test_command(self, folder_of, network, capsys):
        x, y = folder_of("x", range(4)), folder_of("y", range(9, 13), seconds=0.5)
        assert main([str(x), str(y), "--quality", "distillmos", "--workers", "1"]) == 0
        assert "quality, not part of the distance: sounds better than" in capsys.readouterr().out
        assert main([str(x), str(y), "--quality", "distillmos", "--workers", "1", "--json"]) == 0
        (content,) = json.loads(capsys.readouterr().out)["candidates"].values()
        assert content["quality"]["difference"] == pytest.approx(0.2, abs=1e-3)
        assert main([str(x), str(y), "--workers", "1", "--json"]) == 0
        assert "quality" not in next(iter(json.loads(capsys.readouterr().out)["candidates"].values()))
        with pytest.raises(SystemExit):
            main([str(x), str(y), "--quality", "other"])

    def test_command_without_the_package(self, folder_of, monkeypatch, capsys):
        monkeypatch.setattr(quality.importlib.util, "find_spec", lambda name: None)
        sets = [str(folder_of(name, range(3))) for name in ("x", "y")]
        assert main([*sets, "--quality", "distillmos"]) == 1
        assert 'error: quality="distillmos" needs torch and distillmos' in capsys.readouterr().err


class TestSegments:
    def test_what_is_short_is_followed_by_zeros(self):
        (segment,) = segments(np.full(100, 0.25, np.float32))
        assert segment.shape == (122_880,) and np.all(segment[100:] == 0)
        assert segment[:100] == pytest.approx(1)

    @pytest.mark.parametrize(
        ("seconds", "count"), [(7.68, 1), (7.7, 2), (8.68, 2), (8.7, 3), (20, 14), (22.68, 16), (60, 16)]
    )
    def test_what_is_long_is_looked_at_from_end_to_end(self, seconds, count):
        signal = np.linspace(0.5, 1, round(seconds * 16_000), dtype=np.float32)
        made = segments(signal)
        assert made.shape == (count, 122_880)
        assert made[0, 0] == pytest.approx(0.5 / signal[122_879], abs=1e-6)
        assert made[-1, -1] == pytest.approx(1)
        if count < 16:  # steps of a second at most: none is longer than the package's
            assert (len(signal) - 122_880) / max(1, count - 1) <= 16_000

    def test_what_is_silent_beside_the_rest_does_not_count(self):
        signal = np.zeros(16_000 * 30, np.float32)
        signal[:16_000] = np.random.default_rng(0).normal(0, 0.1, 16_000)
        signal[16_000:] += 1e-5
        made = segments(signal)
        assert len(made) == 1 and np.abs(made).max() == pytest.approx(1)


def clips():
    """Two signals at 16 kHz that every machine makes alike: noise of 1 s, and vowels of 9 s."""
    time = np.arange(9 * RATE) / RATE
    pitch = 120 * (1 + 0.15 * np.sin(2 * np.pi * 0.5 * time))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    voice = sum(np.sin(n * phase) * np.exp(-(((n * pitch - 700) / 500) ** 2)) for n in range(1, 30))
    syllables = np.clip(np.sin(2 * np.pi * 2 * time), 0, None)
    noise = np.random.RandomState(0).standard_normal(RATE)
    return [(0.1 * noise).astype(np.float32), (0.1 * voice * syllables).astype(np.float32)]


@HERE
class TestNetwork:
    # What the package's own class gives for ``clips`` (distillmos 0.9.1, torch 2.13.0, CPU).
    THEIRS = (2.311733, 1.149083)

    def test_scores_are_those_of_the_package(self, monkeypatch):
        """On every processor, of which those looked at differ by less than 1e-5; and without a network."""

        def no_network(*_):
            raise AssertionError("the network was asked for")

        monkeypatch.setattr(socket.socket, "connect", no_network)
        monkeypatch.setattr(socket, "getaddrinfo", no_network)
        quality._loaded.cache_clear()
        given = [quality.predicted("distillmos", clip, RATE) for clip in clips()]
        assert given == pytest.approx(self.THEIRS, abs=1e-3)
        assert given == [quality.predicted("distillmos", clip, RATE) for clip in clips()]

    def test_the_package_s_own_class_agrees(self, monkeypatch, capsys):
        """Where its other half, xls-r-sqa, is here; torchaudio, for its command alone, is stood in for."""
        pytest.importorskip("xls_r_sqa")
        import torch

        monkeypatch.setitem(sys.modules, "torchaudio", types.ModuleType("torchaudio"))
        import distillmos

        theirs = distillmos.ConvTransformerSQAModel().eval()
        for clip in clips():
            with torch.inference_mode():
                expected = theirs(torch.from_numpy(clip)[None]).item()
            assert quality.predicted("distillmos", clip, RATE) == pytest.approx(expected, abs=1e-4)

    def test_in_a_comparison(self, tmp_path):
        for name in ("x", "y"):
            (tmp_path / name).mkdir()
            for i, clip in enumerate(clips()):
                soundfile.write(tmp_path / name / f"{i}.wav", (0.5 if name == "y" else 1) * clip, RATE)
        result = metrics.compare(tmp_path / "x", tmp_path / "y", quality="distillmos", paired=False)
        assert 1 <= result.quality.reference <= 5
        assert abs(result.quality.difference) < 0.05  # a gain is no quality: each segment has a peak of 1


class TestExperiment:
    @pytest.fixture
    def found(self):
        """Two laboratories of speech, one set of music; scores that order systems as listeners do, but for
        one set, which they order the other way round."""
        rows = {
            "a": ("speech", "L1", "read", (3.0, 4.0, 4.5)),
            "b": ("speech", "L1", "recalled", (4.5, 4.0, 3.0)),
            "c": ("speech", "L2", "read", (2.5, 3.5, 4.0)),
            "d": ("music", "L3", "second-hand", (1.2, 1.1, 1.3)),
        }
        rated = {
            name: {
                "kind": kind,
                "laboratory": laboratory,
                "figures": figures,
                "ratings": {"x": 1.0, "y": 2.0, "z": 3.0},
                "reference": [means[2] + 0.5],
                "systems": {s: [mean - 0.1, mean + 0.1] for s, mean in zip("xyz", means, strict=True)},
            }
            for name, (kind, laboratory, figures, means) in rows.items()
        }
        unlike = {
            "digits": {"ann": [2.0, 3.0], "bob": [2.0, 2.2]},
            "sounds": {"rain": [1.2], "baby": [2.6]},
            "instruments": {"organ": [2.3, 1.9]},
        }
        return {"by": "distillmos", "limit": 2.2, "rated": rated, "unlike": unlike, "outside": {}}

    @pytest.fixture
    def trials(self):
        values = {"x": 3.0, "y": 2.0, "z": 1.0}
        return {
            "shipped": {name: values for name in "abcd"},
            "ratings": {"aisfx": {name: {"frechet": values} for name in "abcd"}},
        }

    def test_agreement_by_kind_and_laboratory(self, found, trials):
        """Of sets with correlations of 1 and -1 in one laboratory, and 1 in another."""
        table = tables.direction(found, trials)
        assert list(table.index) == [
            "predicted quality",
            "its difference from the recordings', without sign",
            "this distance",
            "Frechet on aisfx",
            "mean of the ranks of predicted quality and Frechet on aisfx",
        ]
        speech = next(name for name in table.columns if name.startswith("speech (3 sets, 2 lab"))
        means = {"a": 1.0, "b": -1.0, "c": 1.0}
        laboratories = {"a": "L1", "b": "L1", "c": "L2"}
        row = laboratory_mean({s: {"spearman": m} for s, m in means.items()}, laboratories, "spearman")
        assert table[speech]["predicted quality"] == mean_text(row, 2)
        assert table[speech]["this distance"] == "1.00 (1.00 to 1.00)"
        assert table["speech, ratings recalled or second-hand (1 set)"]["predicted quality"] == "-1.00"
        assert table["music (1 set)"]["predicted quality"] == "0.50"
        assert table["effects (0 sets)"]["this distance"] == "–"
        ranks = measures.values(found, trials, "d")[measures.RANKS]  # ranks 2, 3, 1 and 3, 2, 1
        assert ranks == {"x": 2.5, "y": 2.5, "z": 1.0}

    def test_the_lead_is_of_speech_and_paired(self, found, trials):
        """0 and -2 in one laboratory, 0 in the other."""
        assert measures.lead(found, trials)["mean"] == pytest.approx(-0.5)
        assert measures.lead(found, trials)["sets"] == 3

    def test_a_set_without_distances_is_left_out_of_all(self, found, trials):
        del trials["shipped"]["c"]
        assert all(set(row) == {"a", "b", "d"} for row in measures.agreements(found, trials).values())
        alone = measures.agreements(found)
        assert set(alone) == {measures.SIGNED, measures.UNSIGNED} and set(alone[measures.SIGNED]) == set(
            "abcd"
        )
        assert alone[measures.SIGNED]["b"]["spearman"] == pytest.approx(-1)

    def test_the_note_is_counted_as_it_is_given(self, found):
        table = tables.no_speech(found)
        assert table["noted"].to_dict() == {
            "spoken digits, 5 of a speaker": 1,
            "rated speech, a system beside recordings": 0,
            "environmental sounds, 5 of a class": 1,
            "rendered notes, 5 of a family": 1,
            "rated music, a system beside recordings": 3,
        }
        assert table["missing or wrong"].tolist() == [1, 0, 1, 0, 0]
        assert table["mean scores"].iloc[0] == "2.10 to 2.50"

    def test_scores_are_of_the_first_files_of_each_system(self, monkeypatch, noise):
        def audio(name, seconds):
            signals = tuple(noise(i, seconds, RATE).astype(np.float32) for i in range(7))
            return types.SimpleNamespace(signals=signals, rate=RATE, name=name)

        rated = types.SimpleNamespace(
            reference=audio("r", 0.3), systems={"x": audio("x", 0.5)}, ratings={"x": 3.0}, laboratory="L",
            figures="read",
        )  # fmt: skip
        monkeypatch.setattr(experiment.datasets, "rated", lambda which: rated)
        monkeypatch.setattr(quality, "_loaded", lambda name: length)
        row = experiment.rated_set("bigvgan_music")
        assert row["kind"] == "music" and experiment.rated_set("other")["kind"] == "speech"
        assert row["reference"] == pytest.approx([0.3] * 5, abs=1e-3)
        assert row["systems"]["x"] == pytest.approx([0.5] * 5, abs=1e-3)

    def test_without_the_network_it_says_what_is_needed(self, monkeypatch):
        monkeypatch.setattr(quality.importlib.util, "find_spec", lambda name: None)
        with pytest.raises(MissingNetwork, match="pip install --no-deps distillmos"):
            experiment.run()

    def test_words_of_the_report_hold(self):
        """What is no speech gets low scores, whatever it is; rated speech never has the note."""
        measured = results.read("quality")
        assert measured["limit"] == quality.SPEECH_LEAST and measured["by"] in quality.NAMES
        noted = measures.noted(measured)
        assert noted["rated speech, a system beside recordings"]["noted"] == 0
        for row in noted.values():
            assert row["speech"] or row["noted"] > 0.8 * row["sets"]
        agreed = measures.agreements(measured)[measures.SIGNED]
        other = [row["spearman"] for s, row in agreed.items() if measured["rated"][s]["kind"] != "speech"]
        assert max(other) < 0.3 < np.mean([row["spearman"] for row in agreed.values()])
