"""From run folders to verdicts and plans, against the numbers that were written into them.

The folders hold what ``compare`` and ``plan`` read and nothing was trained for them; the expected numbers
come from scipy and from the definitions. ``test_ablations.py`` has real runs.
"""

import json
import math
from functools import partial

import numpy as np
import pytest
from scipy import integrate, optimize, stats

pytest.importorskip("hydra", reason='pip install -e ".[gate]"')

from ablations import __main__ as command
from ablations import compare, jackknife, plan, run_sets
from ablations.run import RunError
from ablations.run_sets import RunSet

GOOD = {0: 0.25, 1: 0.5, 2: 0.375, 3: 0.625, 10: 0.25}
BAD = {0: 1.5, 1: 1.0, 2: 1.25, 3: 1.875, 11: 9.0}
COMMON = [0, 1, 2, 3]


def side(name, values, *, recipe="2-abc", reference="r1", folder="somewhere"):
    return RunSet(name, folder, dict(values), recipe=recipe, reference=reference)


def write_runs(
    parent, name, values, *, only=None, metrics=None, record=None, config="", files=12, without=0.25
):
    """A folder of runs; ``metrics``, ``record`` and ``config`` change those of seed ``only``, or of all.

    Two files, without which the distance is 0 and ``without``: of so few the jackknife is the square of half
    of that, 1/64.
    """
    for seed, value in values.items():
        place = parent / name / str(seed)
        (place / "audio").mkdir(parents=True)
        for i in range(files):
            (place / "audio" / f"{i}.wav").touch()
        table = {
            "distance": value,
            "accuracy": 1 - value,
            "balanced_accuracy": 1 - value / 2,
            "curve": [
                {"step": 10, "distance": value + 1},
                {"step": 20, "distance": value, "accuracy": 1 - value},
            ],
            "label": "a",
            "none": None,
        }
        known = {
            "recipe": "2-abc",
            "data": {"reference": "r1"},
            "versions": {"numpy": "2", "scipy": "1"},
            "files": ["audio"],
        }
        text = f"seed: {seed}\nruns: {place}\ntracker: {seed}\ngenerate: 12\nname: {name}\n"
        if only in (None, seed):
            table, known, text = table | (metrics or {}), known | (record or {}), text + config
        (place / "metrics.json").write_text(json.dumps(table))
        (place / "record.json").write_text(json.dumps(known))
        (place / "config.yaml").write_text(text)
        if without:
            np.savez(place / jackknife.FILE, distance=[0.0, without])
    return parent / name


@pytest.fixture
def write(tmp_path):
    return partial(write_runs, tmp_path)


# Reading


def test_all_seeds_of_a_name_are_read(write, tmp_path):
    place = write("good", GOOD)
    (place / ".unfinished").mkdir()
    (place / "notes.txt").touch()
    found = compare.load(place)
    assert found == RunSet("good", place, GOOD, recipe="2-abc", reference="r1")
    assert list(found.values) == [0, 1, 2, 3, 10]  # by number, not by text
    assert compare.load("good", runs=tmp_path) == found
    assert compare.load(place, metric="accuracy").values == {s: 1 - v for s, v in GOOD.items()}
    assert compare.load(place, metric="curve:10:distance").values == {s: v + 1 for s, v in GOOD.items()}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"record": {"recipe": "1-old"}},
            "seeds 0, 1, 10, 3 and 2 have another recipe of the distance; they",
        ),
        (
            {"record": {"data": {"reference": "r2"}}},
            "seeds 0, 1, 10, 3 and 2 have another reference recordings",
        ),
        ({"record": {"versions": {"numpy": "1"}}}, "seeds 0, 1, 10, 3 and 2 have another package versions"),
        ({"config": "steps: 3\n"}, "seeds 0, 1, 10, 3 and 2 have another config"),
        (
            {"metrics": {"distance": math.nan}},
            r"good/2: distance is nan, not a finite number; did the model div",
        ),
        ({"metrics": {"distance": None}}, r"good/2: distance is None, not a finite number"),
        ({"metrics": {"distance": "0.1"}}, r"good/2: no metric 'distance'; there are accuracy, balanced_acc"),
    ],
)
def test_a_run_unlike_its_neighbours_is_an_error(write, changed, message):
    with pytest.raises(RunError, match=message):
        compare.load(write("good", GOOD, only=2, **changed))


def test_where_a_run_lies_and_the_order_of_versions_do_not_matter(write):
    place = write("good", GOOD, only=2, record={"versions": {"scipy": "1", "numpy": "2"}})
    assert compare.load(place).values == GOOD


def test_messages_of_reading(write, tmp_path):
    with pytest.raises(RunError, match=r"none/god: no such runs; below .*none there are none$"):
        compare.load("god", runs=tmp_path / "none")
    place = write("good", GOOD)
    (tmp_path / ".cache").mkdir()
    (tmp_path / "a_file").touch()
    with pytest.raises(RunError, match=r"/god: no such runs; below .* there are good$"):
        compare.load("god", runs=tmp_path)
    for metric in ("label", "curve"):
        with pytest.raises(RunError, match=f"no metric '{metric}'; there are distance, accuracy, bal"):
            compare.load(place, metric=metric)
    with pytest.raises(RunError, match=r"good/0: nothing was measured after step 15; there are 10, 20$"):
        compare.load(place, metric="curve:15:distance")
    with pytest.raises(RunError, match=r"no metric 'accuracy'; there are step, distance$"):
        compare.load(place, metric="curve:10:accuracy")
    (place / "3" / "config.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RunError, match=r"3/config.yaml is damaged; delete the run and make it again$"):
        compare.load(place)
    (place / "3").rename(place / "best")
    with pytest.raises(RunError, match=r"good holds best, and a run's folder is its seed, a number$"):
        compare.load(place)
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match=r"empty: no runs$"):
        compare.load("empty", runs=tmp_path)


# Comparing


def expected(baseline, candidate, *, paired, higher=False, level=0.05):
    """Effect, interval and p of scipy's test, in the sense of "worse"."""
    a, b = (np.array(v) * (-1 if higher else 1) for v in (baseline, candidate))
    known = stats.ttest_rel(b, a) if paired else stats.ttest_ind(b, a, equal_var=False)
    interval = tuple(known.confidence_interval(1 - level))
    return b.mean() - a.mean(), interval, known.pvalue


def test_seeds_of_both_sides_pair():
    found = compare.compare(side("good", GOOD), [side("bad", BAD)])["bad"]
    sides = [[values[s] for s in COMMON] for values in (GOOD, BAD)]
    effect, interval, p = expected(*sides, paired=True)
    assert found.paired and (list(found.baseline), list(found.candidate)) == tuple(sides)
    assert found.effect == pytest.approx(effect) and found.interval == pytest.approx(interval)
    assert found.p_value == pytest.approx(p) and (found.margin, found.floor) == (0.0, 0.0)


@pytest.mark.parametrize("asked", [True, False])
def test_all_seeds_of_both_sides_count_where_they_do_not_pair(asked):
    """Asked for, or because the seeds are other ones but one."""
    bad = BAD if asked else {0: 1.5, 21: 1.0, 22: 1.25}
    options = {"paired": False} if asked else {}
    found = compare.compare(side("good", GOOD), [side("bad", bad)], **options)["bad"]
    effect, interval, p = expected([*GOOD.values()], [*bad.values()], paired=False)
    assert not found.paired and (found.baseline, found.candidate) == (
        tuple(GOOD.values()),
        tuple(bad.values()),
    )
    assert found.effect == pytest.approx(effect) and found.interval == pytest.approx(interval)
    assert found.p_value == pytest.approx(p)
    with pytest.raises(RunError, match=r"^few, one: fewer than 2 seeds in common with good$"):
        compare.compare(
            side("good", GOOD),
            [side("few", {0: 1.0, 7: 2.0}), side("bad", BAD), side("one", {1: 1.0})],
            paired=True,
        )


def test_one_candidate_that_does_not_pair_unpairs_all():
    others = [side("bad", BAD), side("far", {30: 1.0, 31: 2.0})]
    found = compare.compare(side("good", GOOD), others)
    assert not found["bad"].paired and not found["far"].paired
    assert found["bad"].comparisons == 2
    two_common = [side("bad", BAD), side("near", {2: 1.0, 3: 2.0, 99: 1.0})]
    found = compare.compare(side("good", GOOD), two_common)
    assert found["bad"].paired and len(found["bad"].baseline) == 4
    assert found["near"].baseline == (0.375, 0.625) and found["near"].candidate == (1.0, 2.0)


def test_shares_are_of_the_whole_baselines_mean():
    found = compare.compare(side("good", GOOD), [side("bad", BAD)], margin="50%", floor="25%")["bad"]
    assert (found.margin, found.floor) == pytest.approx((0.2, 0.1))  # of 0.4, with seed 10
    found = compare.compare(side("good", GOOD), [side("bad", BAD)], margin=0.75, floor="0.5")["bad"]
    assert (found.margin, found.floor) == (0.75, 0.5)


def test_settings_are_handed_on():
    sides = side("good", GOOD), [side("bad", BAD), side("worse", {s: v + 1 for s, v in BAD.items()})]
    found = compare.compare(*sides, higher_is_better=True, level=0.1, look=1, looks=1)["bad"]
    pairs = [[values[s] for s in COMMON] for values in (GOOD, BAD)]
    effect, interval, _ = expected(*pairs, paired=True, higher=True, level=0.1 / 2)
    assert found.effect == pytest.approx(effect) and found.interval == pytest.approx(interval)
    assert found.level == 0.1
    second = compare.compare(*sides, look=2, looks=2)["bad"]
    assert second.level == pytest.approx(0.05 - 2 * stats.norm.sf(stats.norm.isf(0.025) * math.sqrt(2)))
    swapped = compare.compare(*sides, test="permutation")["bad"]
    assert swapped.test == "permutation" and swapped.p_value == 2 * 2 / 2**4


@pytest.mark.parametrize(
    ("differing", "what"), [("recipe", "recipe of the distance"), ("reference", "reference recordings")]
)
def test_numbers_of_another_kind_do_not_compare(differing, what):
    baseline = side("good", GOOD, folder="runs/good")
    other = side("bad", BAD, folder="runs/bad", **{differing: "other"})
    with pytest.raises(
        RunError, match=f"^runs/good and runs/bad differ in the {what}: their numbers do not compare$"
    ):
        compare.compare(baseline, [side("fine", BAD), other])
    # Values that somebody noted say neither, and compare.
    for known in (True, False):
        blank = side("bad", BAD, **{differing: ""})
        pair = (baseline, [blank]) if known else (side("good", GOOD, **{differing: ""}), [other])
        assert compare.compare(*pair)["bad"].verdict == "worse"


@pytest.mark.parametrize(
    ("amount", "mean", "value"),
    [
        (0.25, 8.0, 0.25),
        ("0.25", 8.0, 0.25),
        ("25%", 8.0, 2.0),
        (" 25 % ", -8.0, 2.0),
        ("0%", 8.0, 0.0),
        (2, 8.0, 2),
    ],
)
def test_amounts(amount, mean, value):
    assert compare.absolute(amount, mean) == value


@pytest.mark.parametrize("amount", ["much", "%", "", "5%%", "5 percent"])
def test_amounts_refused(amount):
    with pytest.raises(ValueError, match=f"^margin '{amount}' is neither a number nor a share like 5%$"):
        compare.absolute(amount, 1.0)
    for name, amounts in (("margin", {"margin": amount}), ("floor", {"floor": amount})):
        with pytest.raises(ValueError, match=f"^{name} '{amount}' is neither"):
            compare.compare(side("good", GOOD), [side("bad", BAD)], **amounts)


def test_candidates_of_one_name_are_not_taken_for_one_another():
    """A past bug: verdicts go by name, and the worse of two candidates called alike was not judged."""
    old, new = side("bad", BAD, folder="old/bad"), side("bad", GOOD, folder="new/bad")
    message = r"^several candidates are called bad: verdicts go by name; give each another$"
    with pytest.raises(RunError, match=message):
        compare.compare(side("good", GOOD), [old, side("other", BAD), new], margin=1.0)
    assert compare.compare(side("good", GOOD), [side("good", BAD)])["good"].verdict == "worse"


# The command


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    near = zip(GOOD.items(), (0.01, -0.01, 0.02, 0.0, 0.0), strict=True)
    write_runs(folder, "good", GOOD)
    write_runs(folder, "bad", BAD)
    write_runs(folder, "same", {s: v + d for (s, v), d in near})
    write_runs(folder, "better", {s: v - 2 for s, v in GOOD.items()})
    return folder


@pytest.fixture
def gate(runs, capsys):
    """``compare`` on written runs: exit code, standard output and error."""

    def call(*arguments):
        alone = () if "--metric" in arguments else ("--metric", "distance")
        code = compare.main([*arguments, *alone, "--runs", str(runs)])
        return (code, *capsys.readouterr())

    return call


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("good", "bad"), 1),
        (("good", "better"), 0),
        (("good", "same"), 3),
        (("good", "same", "--margin", "0.1"), 0),
        (("good", "same", "--margin", "25%"), 0),
        (("good", "same", "--margin", "1%"), 3),
        (("good", "same", "bad"), 1),  # worse before undecided
        (("good", "bad", "same", "--margin", "0.1"), 1),
        (("good", "better", "same"), 3),  # undecided before better
        (("good", "bad", "--higher-is-better"), 0),
        (("good", "bad", "--metric", "accuracy"), 1),  # of which more is better, said or not
        (("good", "bad", "--metric", "accuracy", "--higher-is-better"), 1),
        (("good", "bad", "--metric", "curve:20:accuracy"), 1),
        (("good", "better", "--metric", "balanced_accuracy"), 0),
        (("better", "good", "--metric", "balanced_accuracy"), 1),
        (("good", "bad", "--floor", "5"), 3),
        (("good", "bad", "--floor", "500%"), 3),
        (("good", "bad", "--level", "0.001"), 3),
        (("good", "bad", "--look", "1/5"), 3),
        (("good", "bad", "--look", "5/5"), 1),
        (("good", "bad", "--test", "permutation"), 3),  # four pairs reach 1/8
        (("good", "bad", "--test", "permutation", "--level", "0.2"), 1),
        (("good", "bad", "--unpaired"), 3),  # with the runs of seeds 10 and 11
    ],
)
def test_exit_codes(gate, arguments, code):
    assert gate(*arguments)[0] == code


def test_a_mistake_of_the_program_is_not_worse(runs, monkeypatch, capsys):
    """Python's exit code for what nobody caught is 1, which here is a verdict."""
    arguments = ["compare", "good", "same", "--runs", str(runs), "--metric", "distance"]
    assert command.main(arguments) == 3
    monkeypatch.setattr(compare, "compare", lambda *_, **__: {}["same"])
    assert command.main(arguments) == 2
    assert "Traceback" in (said := capsys.readouterr().err) and said.endswith("KeyError: 'same'\n")


def test_a_baseline_is_not_its_own_candidate(runs, capsys):
    """A path that was copied wrongly would pass for ever."""
    for name in ("good", str(runs / "good")):
        arguments = ["compare", "good", "same", name, "--runs", str(runs), "--metric", "distance"]
        assert command.main(arguments) == 2
        message = "error: good is the baseline itself, and no worse than that it always is\n"
        assert capsys.readouterr() == ("", message)


def test_a_line_a_candidate_and_a_note_of_what_is_left_out(gate):
    _, out, err = gate("good", "bad", "same")
    said, rows = ([line for line in out.splitlines() if line.startswith("  ") == table] for table in (0, 1))
    assert [line.split(": ")[:2] for line in said] == [
        ["bad against good, distance", "worse"],
        ["same against good, distance", "undecided"],
    ]
    assert [row.split()[:2] for row in rows] == [  # a table below each
        ["metric", "verdict"],
        ["distance", "worse"],
        ["metric", "verdict"],
        ["distance", "undecided"],
    ]
    note = "note: seeds 10, 11 are not in both good and bad: not used; run them, or compare with --unpaired\n"
    assert err == note
    assert gate("good", "bad", "--unpaired")[2] == gate("good", "same")[2] == ""


def test_json_is_the_whole_verdict(gate):
    _, out, _ = gate("good", "same", "bad", "--json", "--margin", "0.001")
    content = json.loads(out)
    assert list(content) == ["same", "bad"]
    known = compare.compare(
        side("good", GOOD),
        [side("bad", BAD), side("same", zip(GOOD, content["same"]["candidate"], strict=True))],
    )
    assert content["bad"]["p_value"] == known["bad"].p_value
    assert content["bad"]["more"] is None and content["same"]["more"] > 5
    assert set(content["bad"]) == {*vars(known["bad"]), "more"}


@pytest.mark.parametrize("look", ["2", "two/three", "1/2/3", ""])
def test_looks_that_are_none(gate, look, capsys):
    with pytest.raises(SystemExit, match="2"):
        gate("good", "bad", "--look", look)
    assert f"--look: {look!r} is not like 2/3" in capsys.readouterr().err


# Plans


def chance(seeds, effect, spread, *, paired, level=0.05):
    degrees = seeds - 1 if paired else 2 * seeds - 2
    noncentrality = effect / spread * math.sqrt(seeds / (1 if paired else 2))
    return stats.nct.sf(stats.t.isf(level / 2, degrees), degrees, noncentrality)


def fewest(effect, spread, *, wanted=0.8, **options):
    return next(n for n in range(2, 10_001) if chance(n, effect, spread, **options) >= wanted)


def averaged(seeds, effect, spread, *, degrees, **options):
    """``chance`` over the spreads that are behind one seen with so many degrees of freedom, by quadrature."""

    def weighed(square):
        sigma = spread * math.sqrt(degrees / square)
        return stats.chi2.pdf(square, degrees) * chance(seeds, effect, sigma, **options)

    return integrate.quad(weighed, 0, np.inf, limit=200)[0]


def is_fewest(seeds, effect, spread, *, wanted=0.8, **options):
    enough, fewer = (averaged(n, effect, spread, **options) for n in (seeds, seeds - 1))
    return enough >= wanted > fewer


def test_a_plan_by_its_formulas(write):
    """Files without which 0 and .25 is left are a variance of .25^2 / 4; the rest is the model's."""
    pilot = compare.load(write("good", GOOD))
    values = np.array([*GOOD.values()])
    spread, share = values.std(ddof=1), 0.25**2 / 4 / values.var(ddof=1)
    found = plan.plan(pilot, margin="25%", level=0.1, power_wanted=0.9)
    assert (found.effect, found.spread) == pytest.approx((0.1, spread))
    assert found.file_share == pytest.approx(share) and 0 < share < 1
    assert run_sets.file_variance(pilot) == pytest.approx(1 / 64)
    # (n - 1) s^2 / sigma^2 is chi-squared with n - 1 degrees.
    low, high = found.spread_interval
    assert stats.chi2.cdf([4 * spread**2 / low**2, 4 * spread**2 / high**2], 4) == pytest.approx(
        [0.975, 0.025]
    )
    assert (found.paired, found.power, found.level) == (False, 0.9, 0.1)
    assert (found.files, found.pilot_seeds) == (12, 5)
    options = {"paired": False, "level": 0.1}
    assert found.now == pytest.approx(averaged(5, 0.1, spread, degrees=4, **options), abs=1e-6)
    model, file = spread**2 * (1 - share), spread**2 * share * 12
    assert list(found.seeds) == list(found.between) == [6, 12, 24, 48]
    for n, seeds in found.seeds.items():
        own = math.sqrt(model + file / n)
        assert is_fewest(seeds, 0.1, own, degrees=4, wanted=0.9, **options)
        ends = [fewest(0.1, own * end / spread, wanted=0.9, **options) for end in (low, high)]
        assert list(found.between[n]) == ends and ends[0] < seeds < ends[1]


def test_a_plan_for_pairs(write):
    """The differences of the seeds in common, and what a file does to these: 0 and .5 is left of the one."""
    good, bad = compare.load(write("good", GOOD)), compare.load(write("bad", BAD, files=10, without=0.75))
    found = plan.plan(good, bad, margin=0.25)
    differences = np.array([BAD[s] - GOOD[s] for s in COMMON])
    spread = differences.std(ddof=1)
    assert found.paired and (found.files, found.pilot_seeds, found.effect) == (10, 4, 0.25)
    assert (found.power, found.level) == (0.8, 0.05)
    assert found.spread == pytest.approx(spread)
    share = 0.5**2 / 4 / spread**2
    assert found.file_share == pytest.approx(share)
    assert found.now == pytest.approx(averaged(4, 0.25, spread, degrees=3, paired=True), abs=1e-6)
    assert list(found.seeds) == [5, 10, 20, 40]
    for n, seeds in found.seeds.items():
        own = spread * math.sqrt(1 - share + share * 10 / n)
        assert is_fewest(seeds, 0.25, own, degrees=3, paired=True)
    # One of several metrics, judged at a fifth of the level.
    strict = plan.plan(good, bad, margin=0.25, share=0.2)
    assert is_fewest(strict.seeds[10], 0.25, spread, degrees=3, paired=True, level=0.01)
    assert strict.now == pytest.approx(
        averaged(4, 0.25, spread, degrees=3, paired=True, level=0.01), abs=1e-6
    )
    # A share is of the whole pilot's mean, 0.4, not of the seeds in common.
    assert plan.plan(good, bad, margin="50%").effect == pytest.approx(0.2)


def test_a_plan_where_the_files_share_is_not_known(write):
    """Of another metric, or of runs without a jackknife, only the files of the pilot are planned with."""
    good = compare.load(write("good", GOOD))
    spread = np.std([*GOOD.values()], ddof=1)
    place = write("old", GOOD)
    (place / "2" / jackknife.FILE).unlink()
    for pilot in (compare.load(place), compare.load(place.parent / "good", metric="accuracy")):
        assert run_sets.file_variance(pilot) is None
        found = plan.plan(pilot, margin=0.25)
        assert found.file_share is None and list(found.seeds) == [12]
        assert is_fewest(found.seeds[12], 0.25, spread, degrees=4, paired=False)
        assert plan.plan(good, pilot, margin=0.25).file_share is None
    # Files farther apart than the runs: all of the variance is the files', and no more than that.
    far = compare.load(write("far", GOOD, without=5.0))
    assert plan.plan(far, margin=0.25).file_share == 1.0
    # Runs all alike have no variance to share out, where nothing else is known of it.
    alike = plan.plan(compare.load(write("alike", dict.fromkeys(GOOD, 0.5), without=0)), margin=0.25)
    assert alike.file_share is None and alike.seeds == {12: 2} and alike.now == 1.0


def test_a_plan_takes_no_less_spread_than_files_alone_give(write):
    """As a verdict does: runs that happen to be alike are luck."""
    alike = dict.fromkeys(GOOD, 0.5)
    pilot, other = compare.load(write("one", alike)), compare.load(write("two", alike, without=0.75))
    found = plan.plan(pilot, margin=0.25)
    assert (found.spread, found.file_share) == (1 / 8, 1.0)
    assert is_fewest(found.seeds[12], 0.25, 1 / 8, degrees=4, paired=False)
    assert plan.plan(pilot, other, margin=0.25).spread == 1 / 4
    # Files that do the same to both sides of a pair do nothing to the difference.
    same = plan.plan(pilot, compare.load(write("same", alike)), margin=0.25)
    assert (same.spread, same.file_share, same.now) == (0.0, None, 1.0)


def test_a_plan_is_of_models_that_make_sounds(write):
    place = write("good", GOOD)
    for file in (place / "3" / "audio").iterdir():
        file.unlink()
    (place / "3" / "audio").rmdir()
    (place / "3" / "record.json").write_text((place / "3" / "record.json").read_text().replace("audio", ""))
    message = r"good/3/audio: no such folder; a plan is of models that make sounds$"
    with pytest.raises(RunError, match=message):
        plan.plan(compare.load(place), margin=0.25)


def test_a_run_has_two_files_at_least(write):
    """Half of three files is one, and one tells nothing."""
    assert list(plan.plan(compare.load(write("few", GOOD, files=3)), margin=0.25).seeds) == [3, 6, 12]
    assert list(plan.plan(compare.load(write("four", GOOD, files=4)), margin=0.25).seeds) == [2, 4, 8, 16]


def test_the_run_with_fewest_files_counts(write):
    place = write("good", GOOD)
    (place / "2" / "audio" / "0.wav").unlink()
    assert plan.plan(compare.load(place), margin=0.25).files == 11


@pytest.mark.parametrize("margin", [0, "0%", -0.1, math.nan])
def test_a_plan_needs_a_margin(write, margin):
    message = "^margin is 0: no number of seeds finds a worsening by nothing; try --margin 5%$"
    with pytest.raises(ValueError, match=message):
        plan.plan(compare.load(write("good", GOOD)), margin=margin)


def test_a_plan_needs_two_seeds(write):
    good = compare.load(write("good", GOOD))
    one = compare.load(write("one", {0: 0.1}))
    message = "^1 pilot seeds tell nothing of the spread; run 2 or more$"
    for sides in ((one,), (good, one)):
        with pytest.raises(ValueError, match=message):
            plan.plan(*sides, margin=0.1)
    two = plan.plan(compare.load(write("two", {0: 0.1, 1: 0.3})), margin=0.1)
    assert two.pilot_seeds == 2
    # What two seeds know is next to nothing, and it says so.
    assert two.seeds[12] > 100 and two.between[12][0] < 10
    assert two.between[12][1] is None


def test_what_a_plan_says(write, tmp_path, capsys):
    write("good", GOOD)
    write("bad", BAD)
    arguments = ["good", "--runs", str(tmp_path), "--margin", "50%"]
    assert plan.main([*arguments, "--metric", "distance"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "effect 0.2, spread 0.163 (95 % 0.09765 to 0.4683) over 5 seeds a side of 12 files: found in 38% of "
        "cases as it is",
        "59% of the variance is the choice of generated files",
        "     6 files a run: 27 seeds a side for a chance of 80% (8 to 138, as the spread may be), smallest "
        "p of a permutation test 1e-15",
        "    12 files a run: 18 seeds a side for a chance of 80% (5 to 88, as the spread may be), smallest "
        "p of a permutation test 2.2e-10",
        "    24 files a run: 13 seeds a side for a chance of 80% (4 to 62, as the spread may be), smallest "
        "p of a permutation test 1.9e-07",
        "    48 files a run: 11 seeds a side for a chance of 80% (4 to 50, as the spread may be), smallest "
        "p of a permutation test 2.8e-06",
    ]
    # As one of a family the distance has half of the level.
    assert plan.main(arguments) == 0
    good = compare.load(tmp_path / "good")
    assert capsys.readouterr().out == f"{plan.plan(good, margin='50%', share=0.5)}\n"
    arguments = [
        "good",
        "bad",
        "--runs",
        str(tmp_path),
        "--margin",
        "0.5",
        "--power",
        "0.9",
        "--level",
        "0.1",
        "--metric",
        "distance",
    ]
    assert plan.main(arguments) == 0
    pairs = capsys.readouterr().out.splitlines()
    assert "over 4 pairs of seeds of 12 files" in pairs[0] and "for a chance of 90%" in pairs[2]
    found = plan.plan(
        *(compare.load(tmp_path / n) for n in ("good", "bad")), margin=0.5, power_wanted=0.9, level=0.1
    )
    assert "\n".join(pairs) == str(found)
    assert plan.main(["good", "--runs", str(tmp_path), "--margin", "1e-9"]) == 2
    out = capsys.readouterr().out
    assert (
        "12 files a run: over 10,000 seeds a side for a chance of 80% (over 10,000 to over 10,000, as" in out
    )
    arguments = ["good", "--runs", str(tmp_path), "--margin", "0.2", "--metric", "accuracy"]
    assert plan.main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and lines[1].startswith("    12 files a run: 18 seeds a side")


def test_a_plan_that_only_more_files_make_possible_is_one(write, tmp_path, capsys):
    """Exit code 2 is for where no number of files helps."""
    spread = np.std([*GOOD.values()], ddof=1)
    write("good", GOOD, without=2 * spread)
    # Of many seeds the assurance is the noncentral t of the pilot's degrees of freedom, 4. With all variance
    # by files, four times the files halve the spread: just enough at 10,000 seeds.
    critical = stats.norm.isf(0.025)
    ratio = optimize.brentq(lambda r: stats.nct.cdf(r, 4, critical) - 0.8, 1, 20)
    margin = 0.8 * spread * ratio * math.sqrt(2 / 10_000)
    arguments = ["good", "--runs", str(tmp_path), "--margin", str(margin), "--metric", "distance"]
    assert plan.main(arguments) == 0
    assert "12 files a run: over 10,000" in capsys.readouterr().out
