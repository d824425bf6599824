"""The trials judge planted cases as they must: made rows whose damage is known."""

import dataclasses
import json
from types import ModuleType

import numpy as np
import pytest

import metrics
from experiments import __main__ as command
from experiments import trials as experiment
from report import candidates, contrast
from study import datasets, distances, embeddings, level, soundness, sources, trials
from study.agreement import agreement, by_figures, by_laboratory, laboratory_mean
from study.draws import draw
from study.sources import GRADED, Rows, seeded

FILES, WIDTH = 240, 6


@pytest.fixture(scope="module")
def rows():
    """Clean rows are normal, by label a little apart; each version is clean plus a shift by severity."""
    rng = np.random.default_rng(0)
    labels = np.arange(FILES) % 10
    clean = rng.normal(size=(FILES, WIDTH)) + 0.3 * labels[:, None]
    versions = {}
    for version in sources.VERSIONS:
        tail = version.rpartition(" ")[2]
        shift = int(tail) if tail.isdigit() and version.startswith(GRADED) else 0
        versions[version] = clean[: sources.DAMAGED] + shift
    return Rows("sounds", "log_mel", {**versions, "clean": clean}, labels.astype(str), labels % 6)


@pytest.fixture(scope="module")
def settings():
    return trials.Settings(
        sources=("sounds",),
        embeddings=("log_mel",),
        null_draws=40,
        effect_draws=4,
        bias_draws=5,
        distances=("energy", "frechet", "lost_coverage"),
    )


def matches(table, block):
    """Places of rows of ``block`` in ``table``."""
    return [int(np.flatnonzero((table == row).all(axis=1))[0]) for row in block]


# Draws


@pytest.mark.parametrize("effect", ["clean", "noise 1", "2 labels dropped", "weights 9:1", "half duplicates"])
def test_draws_are_disjoint_and_repeat(rows, effect):
    first, second = draw(rows, effect, 20, seeded("draw"))
    again = draw(rows, effect, 20, seeded("draw"))
    assert np.array_equal(first, again[0]) and np.array_equal(second, again[1])
    assert len(first) == len(second) == 20
    table = rows.versions["noise 1" if effect == "noise 1" else "clean"]
    assert not set(matches(rows.versions["clean"], first)) & set(matches(table, second))


def test_dropped_labels_are_not_drawn(rows):
    for effect, kept in (("3 labels dropped", 7), ("all labels but 1 dropped", 1)):
        _, second = draw(rows, effect, 20, seeded(effect))
        assert len(set(rows.labels[matches(rows.versions["clean"], second)])) <= kept


def test_weights_are_as_named(rows):
    _, second = draw(rows, "weights 9:1", 20, seeded(1))
    labels = rows.labels[matches(rows.versions["clean"], second)]
    counts = np.sort(np.bincount(labels.astype(int), minlength=10))
    # 18 of the five heavy labels, 2 of the other five.
    assert counts[:5].sum() <= 2


def test_half_duplicates_and_one_repeated(rows):
    _, second = draw(rows, "half duplicates", 20, seeded(2))
    assert len(np.unique(second, axis=0)) == 10
    _, second = draw(rows, "one repeated", 20, seeded(2))
    assert len(np.unique(second, axis=0)) == 1


# Trials on planted rows


def test_power_sees_the_planted_shift_and_its_order(rows, settings):
    found = trials.power(rows, settings)
    for name in ("energy", "frechet"):
        # A shift of 3 in each of 6 columns is missed with probability below 1e-9 at N = 20.
        shares = [found[name]["found"][f"{kind} 3"] for kind in GRADED]
        assert all(hits == draws for hits, draws in shares)
        assert all(found[name]["order"][kind] == pytest.approx(1) for kind in GRADED)
    assert abs(found["energy"]["null_over_mid"]) < 0.5 * found["frechet"]["null_over_mid"]


def test_nothing_changes_under_nuisances_that_change_nothing(rows, settings):
    for row in trials.nuisance(rows, settings).values():
        assert set(row) == set(trials.NUISANCES)
        assert max(abs(v) for v in row.values()) == pytest.approx(0, abs=1e-12)


def test_more_bad_files_move_more(rows, settings):
    row = trials.robustness(rows, settings)["energy"]
    assert 0 < row["0.05"] < row["0.1"] < 1


def test_bias_of_unbiased_and_biased(rows, settings):
    found = trials.bias(rows, settings)
    assert abs(found["energy"]["10"]["mean"]) < 0.1
    assert found["frechet"]["10"]["mean"] > found["frechet"]["100"]["mean"] > 0
    assert "300" not in found["energy"]  # 240 files do not hold two samples of 300


def test_a_distance_that_is_not_defined_is_none():
    value = trials._value(distances.paired_l2, np.zeros((3, 2)), np.zeros((4, 2)), 0)
    assert value is None


def test_this_is_the_mean_of_the_views(rows):
    x, y = np.random.default_rng(1).normal(size=(2, 8, 1032))
    parts = [(0, 480), (480, 600), (600, 1032)]
    mean = np.mean([distances.energy(x[:, a:b], y[:, a:b]) for a, b in parts])
    assert trials.views_energy(x, y) == pytest.approx(mean, rel=1e-12)


def test_permutation_tests_find_what_is_planted_and_nothing_else(rows, settings):
    """80 undamaged draws at 5 %: more than 13 alarms have a probability below 1e-4 for each test."""
    found = trials.permutation(rows, settings)
    assert set(found) == set(level.names())  # compare has its own numbers only
    for name, tested in found.items():
        assert tested["clean"][1] == 2 * settings.null_draws and tested["clean"][0] <= 13
        hits, draws = tested["noise 2"]  # two standard deviations in every number
        assert draws == 3 * settings.effect_draws and hits >= draws - 2, name


@pytest.fixture
def levelled():
    """Two effects and a clean draw of ten each on one source: every rival finds half, one of them all."""
    rivals = {
        name: {"clean": [0, 10], "noise 1": [5, 10], "1 label dropped": [5, 10]} for name in level.names()
    }
    rivals["whitened energy"] |= {"noise 1": [10, 10], "1 label dropped": [10, 10]}
    own = {"clean": [1, 10], "noise 1": [8, 10], "1 label dropped": [6, 10]}
    told = {"oracle": {"1 label dropped": [7, 10]}}
    pair = {
        "must_differ": True,
        "files": 20,
        **dict.fromkeys(level.names(), [0.01] * 4),
        "compare": [0.2] * 4,
    }
    return {
        "permutation": {"digits": {"three_views": {"compare": own, **told, **rivals}, "log_mel": rivals}},
        "soundness": {"three_views": {"pair": pair}, "log_mel": {"pair": {**pair, "frechet": [0.5] * 4}}},
    }


def test_rivals_with_the_same_tools_are_told_beside_compare(levelled):
    own, *others = contrast.level(levelled)
    assert own["test"] == "compare" and own["lead"] is None and own["power"] == pytest.approx(0.7)
    assert not own["sound"] and own["wrong"] == ["pair"]
    assert len(others) == 2 * len(level.names())
    rows = {(row["embedding"], row["test"]): row for row in others}
    assert rows["log_mel", "whitened energy"]["lead"]["mean"] == pytest.approx(-0.3)
    assert rows["log_mel", "frechet"]["lead"]["mean"] == pytest.approx(0.2)
    assert not rows["log_mel", "frechet"]["sound"] and rows["three_views", "frechet"]["sound"]


def test_kinds_have_the_oracle_where_there_are_labels(levelled):
    noise, label = contrast.by_kind(levelled, [("three_views", "compare"), ("log_mel", "energy")])
    assert noise == {"kind": "noise", "effects": 1, "draws": 10, "found": [0.8, 0.5], "oracle": None}
    assert label == {"kind": "label", "effects": 1, "draws": 10, "found": [0.6, 0.5], "oracle": 0.7}


def test_soundness_of_pairs(monkeypatch, settings):
    def noise(low, high):
        def make(size, rng):
            return [[rng.normal(0, s, metrics.RATE) for _ in range(size)] for s in (low, high)] + [
                metrics.RATE
            ]

        return make

    def tones(size, rng):
        time = np.arange(metrics.RATE) / metrics.RATE
        return [rng.normal(0, 0.1, (size, metrics.RATE)), [np.sin(300 * time)] * size, metrics.RATE]

    pairs = {"tone": (True, 6, tones), "noise": (False, 6, noise(0.1, 0.1))}
    monkeypatch.setattr(soundness, "PAIRS", pairs)
    table = trials.soundness("log_mel", dataclasses.replace(settings, effect_draws=2))
    assert {name: len(row["frechet"]) for name, row in table.items()} == {"tone": 2, "noise": 4}
    assert "compare" not in table["tone"]
    found = {"soundness": {"log_mel": table}}
    assert contrast.sound(found, "log_mel", "gaussian_mmd")["tone"]
    table["noise"]["frechet"] = [0.01, 0.5, 0.5, 0.5]
    assert not contrast.sound(found, "log_mel", "frechet")["noise"]


def test_false_alarms_are_counted_over_sources():
    clean = {"log_mel": {"frechet": {"clean": [4, 100], "noise 1": [9, 10]}}}
    row = contrast.false_alarms({"permutation": {"a": clean, "b": clean}}, "log_mel", "frechet")
    assert row["share"] == 0.04 and row["draws"] == 200
    assert row["interval"][0] < 0.04 < row["interval"][1]


def test_units_deal_whole_blocks():
    """Windows of one clip are copies: as files p is uniform, as windows it is nearly always small."""
    rng = np.random.default_rng(3)
    small = {"frames": 0, "files": 0}
    for t in range(60):
        clips = rng.normal(size=(20, 3))
        pooled = np.repeat(clips, 5, axis=0) + 1e-3 * rng.normal(size=(100, 3))
        small["files"] += trials._unit_p_values(pooled, np.repeat(np.arange(20), 5), 10, t)["energy"] <= 0.05
        small["frames"] += trials._unit_p_values(pooled, np.arange(100), 50, t)["energy"] <= 0.05
    # 60 trials at 5 %: more than 10 with probability 2e-4.
    assert small["files"] <= 10 < 30 < small["frames"]


# Listeners


def test_agreement():
    ratings = {"a": 4.0, "b": 3.0, "c": 2.0, "d": 2.0}
    perfect = agreement({"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.3}, ratings)
    assert perfect["spearman"] == pytest.approx(1) and perfect["pairs"] == 1
    reverse = agreement({"a": 3, "b": 2, "c": 1, "d": 1}, ratings)
    assert reverse["spearman"] == pytest.approx(-1) and reverse["pairs"] == 0
    tied = agreement(dict.fromkeys(ratings, 1.0), ratings)
    # Without an order nothing is computed: 0 is set, and a pair counts half.
    assert (tied["spearman"], tied["kendall"], tied["pairs"]) == (0, 0, 0.5)
    assert agreement({"a": 1.0, "b": None, "c": 2.0, "d": 1.0}, ratings) is None


def test_one_laboratory_counts_as_one():
    table = {name: {"spearman": v} for name, v in zip("abcd", (1.0, 1.0, 1.0, 0.0), strict=True)}
    wide = laboratory_mean(table, {"a": "x", "b": "x", "c": "x", "d": "y"}, "spearman")
    # Of 1 and 0, not of 1, 1, 1 and 0.
    assert wide["mean"] == pytest.approx(0.5) and wide["interval"] == pytest.approx([0.0, 1.0])
    assert (wide["sets"], wide["laboratories"]) == (4, 2)


def test_a_mean_and_its_interval_are_of_one_quantity():
    """Laboratories of many sets and of one: the mean is the middle of the draws that make the interval."""
    rng = np.random.default_rng(6)
    labs = {
        f"{lab} {i}": lab
        for lab, count in zip("abcdef", (9, 1, 1, 1, 1, 1), strict=True)
        for i in range(count)
    }
    table = {name: {"spearman": float(lab == "a") + rng.normal(0, 0.01)} for name, lab in labs.items()}
    found = laboratory_mean(table, labs, "spearman")
    assert found["mean"] == pytest.approx(1 / 6, abs=0.02)
    half = laboratory_mean(table, labs, "spearman", level=0.0)["interval"]
    assert half[0] == half[1] and abs(half[0] - found["mean"]) < 0.02
    assert by_laboratory({n: r["spearman"] for n, r in table.items()}, labs)["a"] == pytest.approx(
        1, abs=0.02
    )


def test_sets_apart_by_how_their_figures_reached_us():
    figures = {"a": "read", "b": "recalled", "c": "second-hand", "d": "unknown"}
    table = {name: {"spearman": 0.0} for name in figures}
    apart = by_figures(table, figures)
    assert {name: list(group) for name, group in apart.items()} == {
        "read": ["a"],
        "recalled or second-hand": ["b", "c", "d"],
    }
    assert list(by_figures({"a": table["a"]}, figures)) == ["read"]


# The contrast


def test_kinds_of_effects():
    assert contrast.kind("noise 2") == "noise" and contrast.kind("1 label dropped") == "label"
    assert contrast.kind("shuffled 100 ms") == contrast.kind("shuffled 200 ms") == "shuffled"


def test_ranking_and_sensitivity():
    table = {("a", "x"): {"one": 1.0, "two": 0.0}, ("b", "x"): {"one": 0.0, "two": 0.5}}
    assert contrast.ranking(table)[0] == (("a", "x"), pytest.approx(0.5))
    assert contrast.ranking(table, {"two": 1})[0] == (("b", "x"), pytest.approx(0.5))
    chance = contrast.sensitivity(table, draws=4000)
    # First where w1 > w2 / 2, of a uniform w1: 2/3; five standard errors are .037.
    assert chance["a", "x"]["first"] == pytest.approx(2 / 3, abs=0.037)
    with pytest.raises(ValueError, match="no criterion three"):
        contrast.ranking(table, {"three": 1})
    with pytest.raises(ValueError, match="add up to 0"):
        contrast.ranking(table, {"one": 0})


# The examples of notebook 03


@pytest.mark.parametrize("name", distances.DISTANCES)
def test_worked_examples(name):
    _, value, given = candidates.by_hand(name)
    # MAUVE sums its integral over 25 mixtures: 1e-4 off.
    assert given == pytest.approx(value, rel=2e-4 if name == "mauve" else 1e-6, abs=1e-12)


def test_the_code_shown_is_the_code():
    assert "fidelity" in candidates.implementation("frechet")
    assert '"""' not in candidates.implementation("frechet")


# Sources and the cache


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIO_DISTANCE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_rows_are_kept_and_read_back(cache, monkeypatch):
    few = {"versions": ("clean", "noise 1"), "files": 12, "workers": 1}
    first = sources.rows(("instruments",), ("log_mel", "envelope"), **few)
    files = sorted(cache.rglob("*.npz"))
    assert len(files) == 4 and not list(cache.rglob("*.part"))
    monkeypatch.setattr(sources, "_embed_version", None)  # would fail if it were needed
    again = sources.rows(("instruments",), ("log_mel", "envelope"), **few)
    for key, table in first.items():
        assert np.array_equal(table.versions["noise 1"], again[key].versions["noise 1"])
    assert first["instruments", "envelope"].versions["clean"].shape == (12, 480)


def test_a_changed_distortion_is_computed_again(cache, monkeypatch):
    few = {"versions": ("clean", "noise 1"), "files": 12, "workers": 1}
    sources.rows(("instruments",), ("log_mel",), **few)
    before = sources.DISTORTIONS["noise"]
    monkeypatch.setitem(sources.DISTORTIONS, "noise", lambda s, r, v, rng: 0.5 * before(s, r, v, rng))
    asked = []
    monkeypatch.setattr(
        sources, "_embed_version", lambda n, f, version, places: asked.append(version) or 1 / 0
    )
    with pytest.raises(ZeroDivisionError):
        sources.rows(("instruments",), ("log_mel",), **few)
    assert asked == ["noise 1"]


def test_the_stamp_of_a_package_is_of_all_its_files(tmp_path):
    for name in ("__init__", "part"):
        (tmp_path / f"{name}.py").write_text("")
    package, module = ModuleType("package"), ModuleType("part")
    package.__file__, module.__file__ = str(tmp_path / "__init__.py"), str(tmp_path / "part.py")
    before = sources.code_stamp(package), sources.code_stamp(module)
    (tmp_path / "part.py").write_text("changed = True")
    assert sources.code_stamp(package) != before[0] and sources.code_stamp(module) != before[1]
    after = sources.code_stamp(module)
    (tmp_path / "__init__.py").write_text("changed = True")
    assert sources.code_stamp(module) == after  # a module's is of its own file


def test_an_embedding_by_view_is_part_of_three_views():
    signal = np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32)
    whole = embeddings.file_vector(embeddings.load("three_views"), signal, 8000)
    part = embeddings.file_vector(embeddings.load("fine_structure"), signal, 8000)
    assert np.array_equal(whole[sources.OWN["fine_structure"]], part)


def test_every_version_can_be_made():
    signal = np.random.default_rng(0).normal(0, 0.1, 4000).astype(np.float32)
    for version in sources.VERSIONS:
        made = sources.damaged(version, signal, 8000, seeded(version))
        assert np.isfinite(made).all() and made.dtype == np.float32, version
    with pytest.raises(ValueError, match="no version"):
        sources.damaged("noisy", signal, 8000, seeded(0))


def test_unknown_source():
    with pytest.raises(ValueError, match="no source 'birds'"):
        sources.source("birds")


@pytest.mark.skipif(not datasets.available("digits"), reason="digits are not on this machine")
def test_digits_are_none_of_those_of_the_statistics():
    used = datasets.digits(count=sources.BENCHMARK_DIGITS, rng=np.random.default_rng(0))
    known = {signal.tobytes() for signal in used.signals}
    assert not any(signal.tobytes() in known for signal in sources.source("digits").signals)


# The command


def test_list_names_everything(capsys):
    assert command.main(["list"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in (*embeddings.NAMES, *trials.GENERAL_DISTANCES, "instruments"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trials", "--embeddings", "birds"], "unknown birds"),
        (["trials", "--sources", "birds"], "unknown birds"),
        (["trials", "--workers", "0"], "0 processes"),
    ],
)
def test_misuse_is_named(arguments, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        command.main(arguments)
    assert message in capsys.readouterr().err


def test_missing_recordings_are_named(monkeypatch, capsys, tmp_path, cache):
    monkeypatch.delenv("AUDIO_DATA", raising=False)
    monkeypatch.setattr(datasets.recordings, "cache_folder", lambda: tmp_path)
    sources.source.cache_clear()
    assert command.main(["trials", "--quick", "--sources", "sounds"]) == 1
    assert "AUDIO_DATA" in capsys.readouterr().err
    sources.source.cache_clear()


def test_parts_are_resumed(cache, monkeypatch):
    """A second run computes nothing; a part that was half written is computed again."""
    settings = dataclasses.replace(
        trials.Settings(),
        sources=("instruments",),
        embeddings=("log_mel",),
        distances=("energy",),
        files=210,
        null_draws=4,
        effect_draws=2,
        bias_draws=3,
    )
    rng = np.random.default_rng(0)
    labels = np.arange(210) % 10

    def made(names, embedding_names, **_):
        clean = rng.normal(size=(210, 1040))
        tables = {v: clean[:80] + 0.1 * i for i, v in enumerate(sources.VERSIONS)} | {"clean": clean}
        return {
            (n, e): Rows(n, e, tables, labels.astype(str), labels) for n in names for e in embedding_names
        }

    kept = made(("instruments",), ("log_mel",))
    monkeypatch.setattr(sources, "rows", lambda names, e, **_: kept)
    monkeypatch.setattr(datasets, "rated_names", lambda: ())
    first = experiment.measure(settings, workers=1)
    parts = sorted(cache.rglob("*.json"))
    assert parts and not list(cache.rglob("*.part"))
    stamps = [p.stat().st_mtime_ns for p in parts]
    second = experiment.measure(settings, workers=1)
    assert [p.stat().st_mtime_ns for p in parts] == stamps
    assert json.dumps(first) == json.dumps(second)
    parts[0].unlink()
    third = experiment.measure(settings, workers=1)
    assert set(third) == set(first) and parts[0].exists()
