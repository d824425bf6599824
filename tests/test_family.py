"""Several metrics judged as one, against the rules written out once more; what files do to a number."""

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

pytest.importorskip("hydra", reason='pip install -e ".[gate]"')

from ablations import compare, family, jackknife, run_sets
from ablations.family import METRICS, WEIGHTS
from ablations.run import RunError
from ablations.seeds import assurance, power, seeds_needed
from ablations.statistics import holm, judge
from study.distances import energy, nearest_neighbour_quality

MARGINS = dict.fromkeys(METRICS, 1.0)
ZEROS = dict.fromkeys(METRICS, np.zeros(4))


# Holm with weights


def literal_closed_test(p_values, weights):
    """Holm's weighted procedure as the closed test that it is: the smallest level that rejects each.

    An intersection is rejected at a level where some p of it is at most its share of the level; a hypothesis
    where every intersection with it is.
    """
    count = len(p_values)
    found = []
    for i in range(count):
        others = [j for j in range(count) if j != i]
        levels = []
        for size in range(count):
            for chosen in itertools.combinations(others, size):
                together = [i, *chosen]
                total = sum(weights[j] for j in together)
                levels.append(min(p_values[j] * total / weights[j] for j in together))
        found.append(min(1.0, max(levels)))
    return found


@given(
    st.lists(st.tuples(st.floats(0, 1), st.sampled_from([1.0, 2.0, 5.0])), min_size=1, max_size=5),
)
@settings(max_examples=60)
def test_holm_with_weights_is_a_closed_test(pairs):
    p_values, weights = zip(*pairs, strict=True)
    assert holm(p_values, weights) == pytest.approx(literal_closed_test(p_values, weights), abs=1e-12)


def test_the_distance_has_half_of_the_level():
    assert WEIGHTS["distance"] == sum(WEIGHTS[m] for m in METRICS if m != "distance") == 5
    assert holm([0.02, 0.9, 0.9, 0.9, 0.9, 0.9], list(WEIGHTS.values()))[0] == pytest.approx(0.04)


# The rules


def columns(**effects):
    """A candidate against ``ZEROS``: noise about an effect by metric, so that 4 pairs tell 0.1 from 0."""
    noise = np.array([0.01, -0.01, 0.02, -0.02])
    return {m: effects.get(m, 0.0) + noise for m in METRICS}


@pytest.mark.parametrize(
    ("effects", "verdict", "worse", "better"),
    [
        ({}, "no worse", [], []),
        ({"distance": -1.0}, "better", [], ["distance"]),
        ({"distance": 2.0}, "worse", ["distance"], []),
        # Hidden by the mean: a view is worse, the distance better.
        ({"distance": -1.0, "envelope": 2.0}, "worse", ["envelope"], ["distance"]),
        # Of coverage less is worse.
        ({"coverage": -2.0}, "worse", ["coverage"], []),
        ({"coverage": 2.0, "density": 0.5}, "better", [], ["coverage", "density"]),
        # Worse within the margin is no worse, and a gain elsewhere does not pay for it.
        ({"attack": 0.5, "distance": -1.0}, "no worse", [], ["distance"]),
    ],
)
def test_rules(effects, verdict, worse, better):
    found = family.judge_family(ZEROS, columns(**effects), paired=True, margins=MARGINS)
    assert found.verdict == verdict and list(found.members) == list(METRICS)
    assert found.called("worse") == worse and found.called("better") == better
    assert found.exit_code == {"worse": 1}.get(verdict, 0) and found.more is None
    assert str(found).startswith(verdict)


def test_a_sure_loss_within_the_margin_is_named():
    found = family.judge_family(ZEROS, columns(attack=0.5, distance=-1.0), paired=True, margins=MARGINS)
    assert found.members["attack"].tolerated and not found.members["envelope"].tolerated
    assert str(found).startswith("no worse: better in distance; ")
    assert str(found).endswith("; worse within the margin in attack")


def test_better_in_one_and_unknown_in_another_is_undecided():
    """Better needs evidence of no harm in all others, and not only no evidence of harm."""
    candidate = columns(distance=-1.0) | {"coverage": np.array([3.0, -3.0, 2.0, -2.0])}
    found = family.judge_family(ZEROS, candidate, paired=True, margins=MARGINS)
    assert found.verdict == "undecided" and found.exit_code == 3
    assert found.called("better") == ["distance"] and found.called("undecided") == ["coverage"]
    need = seeds_needed(1.0, np.std(candidate["coverage"], ddof=1), paired=True)
    assert found.more == need
    assert str(found) == (
        "undecided: better in distance; undecided in coverage; no worse in envelope, attack, fine structure, "
        f"density; about {need} seeds a side would decide it"
    )
    # With a margin of 0 in the undecided metric nothing but its worsening or improving decides.
    found = family.judge_family(ZEROS, candidate, paired=True, margins=MARGINS | {"coverage": 0.0})
    assert found.more is None and "more than 10,000 seeds a side would decide it" in str(found)


@pytest.mark.parametrize("case", range(12))
@pytest.mark.parametrize("paired", [True, False])
def test_every_number_of_a_member(case, paired):
    """p by scipy and the closed test, the p of the margin and the interval as for one number alone."""
    rng = np.random.default_rng([case, paired])
    sides = [{m: rng.normal(size=5) for m in METRICS} for _ in range(2)]
    sides[1] = {m: 0.5 * rng.normal() + values for m, values in sides[1].items()}
    found = family.judge_family(*sides, paired=paired, margins=MARGINS)
    known, margins = [], []
    for metric, member in found.members.items():
        sign = -1 if metric in ("coverage", "density") else 1
        a, b = (sign * side[metric] for side in sides)
        test = stats.ttest_rel(b, a) if paired else stats.ttest_ind(b, a, equal_var=False)
        assert member.interval == pytest.approx(tuple(test.confidence_interval()), rel=1e-9)
        less = (
            stats.ttest_rel(b - 1, a, alternative="less")
            if paired
            else stats.ttest_ind(b - 1, a, equal_var=False, alternative="less")
        )
        margins.append(min(1.0, 2 * less.pvalue))
        assert member.p_margin == pytest.approx(margins[-1], rel=1e-9)
        known.append(test.pvalue)
    corrected = literal_closed_test(known, [5, 1, 1, 1, 1, 1])
    assert [m.p_value for m in found.members.values()] == pytest.approx(corrected, rel=1e-9)
    words = []
    for p, p_margin, member in zip(corrected, margins, found.members.values(), strict=True):
        if p <= 0.05 and member.effect < 0:
            words.append("better")
        elif p_margin <= 0.05:
            words.append("no worse")
        else:
            words.append("worse" if p <= 0.05 else "undecided")
    assert [m.verdict for m in found.members.values()] == words
    passed = set(words) <= {"better", "no worse"}
    overall = "better" if "better" in words else "no worse"
    assert found.verdict == ("worse" if "worse" in words else overall if passed else "undecided")


def test_candidates_are_corrected_together():
    """Twelve claims of two candidates: p by the closed test of all; the p of the margin counts double."""
    rng = np.random.default_rng(3)
    candidates = {n: {m: rng.normal(0.8, 1, size=4) for m in METRICS} for n in ("one", "two")}
    alone = {n: family.judge_alone(ZEROS, c, paired=True, margins=MARGINS) for n, c in candidates.items()}
    found = family.judged_together(alone)
    claims = [(n, m) for n in candidates for m in METRICS]
    known = holm([alone[n][m].p_value for n, m in claims], [WEIGHTS[m] for _, m in claims])
    assert [found[n].members[m].p_value for n, m in claims] == pytest.approx(known)
    for n, m in claims:
        assert found[n].members[m].p_margin == min(1.0, 2 * alone[n][m].p_margin)
        test = stats.ttest_rel((-1 if m in family.HIGHER_IS_BETTER else 1) * candidates[n][m], np.zeros(4))
        assert found[n].members[m].interval == pytest.approx(tuple(test.confidence_interval(0.975)), rel=1e-9)


def test_more_is_the_nearer_of_one_worse_and_all_no_worse():
    noise = np.array([1.0, -1.0, 0.5, -0.5])
    spread = float(np.std(noise, ddof=1))
    candidate = columns() | {"envelope": 0.8 + noise, "density": noise}
    found = family.judge_family(ZEROS, candidate, paired=True, margins=MARGINS)
    assert found.verdict == "undecided"
    to_worse = seeds_needed(0.8, spread, paired=True, level=0.05 / 10)
    to_pass = [seeds_needed(gap, spread, paired=True) for gap in (0.2, 1.0)]
    assert found.more == min(to_worse, max(to_pass)) == to_worse
    candidate["envelope"] = 0.1 + noise
    found = family.judge_family(ZEROS, candidate, paired=True, margins=MARGINS)
    assert found.more == max(seeds_needed(gap, spread, paired=True) for gap in (0.9, 1.0))


def test_more_is_not_of_what_the_margin_tolerates():
    """A worsening that is small and sure is no worse with any number of seeds: it decides nothing."""
    candidate = columns(attack=0.1) | {"coverage": np.array([3.0, -3.0, 2.0, -2.0])}
    found = family.judge_family(ZEROS, candidate, paired=True, margins=MARGINS)
    assert found.called("undecided") == ["coverage"] and found.members["attack"].seeds_to("worse") == 4
    assert found.more == found.members["coverage"].seeds_to("no worse") > 4
    # Not yet shown to be no worse, but sooner so than worse.
    candidate |= {"attack": 0.2 + np.array([2.0, -2.0, 1.0, -1.0])}
    found = family.judge_family(ZEROS, candidate, paired=True, margins=MARGINS)
    assert found.called("undecided") == ["attack", "coverage"]
    assert found.more == max(found.members[m].seeds_to("no worse") for m in ("attack", "coverage"))


def test_more_by_permutations_is_what_these_can_reach():
    def judged(seeds):
        far = 5 + 0.1 * (np.arange(seeds) % 3)
        baseline = dict.fromkeys(METRICS, np.zeros(seeds))
        candidate = {m: -far if m in family.HIGHER_IS_BETTER else far for m in METRICS}
        return family.judge_family(baseline, candidate, paired=True, margins=MARGINS, test="permutation")

    # 2 / 2^7 is the first within the half of 5 % that is the distance's.
    assert judged(4).more == 7
    assert judged(6).verdict == "undecided" and judged(7).verdict == "worse"


def test_refused():
    message = "^metrics are distance and envelope; both sides need the same, of distance, envelope, attack, "
    with pytest.raises(ValueError, match=message):
        family.judge_family({"distance": [1, 2]}, {"envelope": [1, 2]}, paired=True, margins=MARGINS)
    odd = {"error_rate": [1.0, 2.0]}
    with pytest.raises(ValueError, match=r"^metrics are error_rate and error_rate; "):
        family.judge_family(odd, odd, paired=True, margins=MARGINS)


# Where


@pytest.mark.parametrize(
    ("changes", "worse", "found"),
    [
        ([0, 1, 4, 3, 1], True, "20-50 Hz"),  # bands 2 and 3 have half of the largest or more
        ([0, 0, 0, 0, 2], True, "40-60 Hz"),
        ([2, 0, 0, 2, 2], True, "0-20 Hz"),  # the first of equals, without what is beyond a gap
        ([-1, -3, 9, 0, 0], False, "10-30 Hz"),
        ([-1, -3, 0, 0, 0], True, ""),
        ([], True, ""),
    ],
)
def test_where_the_envelope_differs(changes, worse, found):
    names = [f"{10 * i}-{10 * i + 20} Hz" for i in range(len(changes))]
    before = {name: 0.5 for name in names}
    after = {name: 0.5 + change for name, change in zip(names, changes, strict=True)}
    assert family.frequencies(before, after, worse=worse) == found


# What a file does to a number


def test_a_number_without_each_file_is_that_of_the_others():
    """Brute force: the distances and qualities of the sets without the file, of one window a file."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(9, 1032)), rng.normal(0.2, 1, size=(7, 1032))
    y[:2] += 3
    found = jackknife.without_each([row[None] for row in x], [row[None] for row in y])
    parts = {"envelope": slice(0, 480), "attack": slice(480, 600), "fine_structure": slice(600, 1032)}
    for i in range(len(y)):
        left = np.delete(y, i, axis=0)
        views = {name: energy(x[:, own], left[:, own]) for name, own in parts.items()}
        for name, value in views.items():
            assert found[name][i] == pytest.approx(value, rel=1e-9)
        assert found["distance"][i] == pytest.approx(np.mean(list(views.values())), rel=1e-9)
        quality = nearest_neighbour_quality(x, left)
        assert found["coverage"][i] == pytest.approx(quality["coverage"])
        assert found["density"][i] == pytest.approx(quality["density"])
    assert jackknife.without_each([x[:1]] * 2, [y[:1]] * 7) == {}


def test_windows_of_a_file_count_together():
    """A file of equal windows is the file of one."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(6, 1, 1032)), rng.normal(size=(5, 1, 1032))
    once = jackknife.without_each(list(x), list(y))
    twice = jackknife.without_each(
        [np.repeat(r, 1 + i % 3, axis=0) for i, r in enumerate(x)], [*y[:4], y[4, [0, 0]]]
    )
    for name, values in once.items():
        assert twice[name] == pytest.approx(values, rel=1e-9)


def test_jackknife_of_a_mean_is_its_variance():
    values = np.array([1.0, 4.0, 2.0, 7.0])
    without = [np.delete(values, i).mean() for i in range(4)]
    assert jackknife.variance(without) == pytest.approx(values.var(ddof=1) / 4)


# From run folders


def write(folder, name, shift, *, seeds=(0, 1, 2, 3), without=0.0, old=False):
    rng = np.random.default_rng(5)
    for seed in seeds:
        place = folder / name / str(seed)
        place.mkdir(parents=True)
        noise = rng.normal(0, 0.01, size=len(METRICS)) + 1e-4 * rng.normal(size=len(METRICS)) * bool(shift)
        table = {m: 0.5 + n + shift.get(m, 0.0) for m, n in zip(METRICS, noise, strict=True)}
        table["bands"] = {"0-20 Hz": 0.1, "10-30 Hz": 0.1 + shift.get("envelope", 0.0)}
        table["steps"] = dict.fromkeys(METRICS, 0.0)
        if old:
            del table["coverage"], table["density"], table["bands"], table["steps"]
        (place / "metrics.json").write_text(json.dumps(table))
        (place / "record.json").write_text(json.dumps({"recipe": "2", "data": {"reference": "r"}}))
        (place / "config.yaml").write_text(f"name: {name}\n")
        np.savez(place / jackknife.FILE, **dict.fromkeys(METRICS, np.array([0.0, without])))
    return folder / name


def test_runs_are_judged_by_all_metrics(tmp_path, capsys):
    write(tmp_path, "base", {})
    write(tmp_path, "bug", {"envelope": 0.2, "fine_structure": -0.2, "distance": 0.0})
    write(tmp_path, "same", {"distance": 1e-6})
    sides = [run_sets.load_family(name, runs=tmp_path) for name in ("base", "bug", "same")]
    found = compare.compare_family(sides[0], sides[1:])
    assert found["bug"].verdict == "worse" and found["same"].verdict == "no worse"
    assert str(found["bug"]).startswith("worse in envelope (10-30 Hz); better in fine structure; ")
    mean = np.mean(list(sides[0].distance.values.values()))
    margins = {m: member.margin for m, member in found["bug"].members.items()}
    assert margins == pytest.approx(
        dict.fromkeys(METRICS[:4], 0.05 * mean) | {"coverage": 0.05, "density": 0.05}
    )
    assert compare.main(["base", "bug", "same", "--runs", str(tmp_path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("bug against base: worse in envelope (10-30 Hz); better in fine struct")
    assert compare.main(["base", "same", "--runs", str(tmp_path), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)["same"]
    assert content["verdict"] == "no worse" and list(content["members"]) == list(METRICS)
    # The one number does not see it.
    assert (
        compare.main(["base", "bug", "--runs", str(tmp_path), "--metric", "distance", "--margin", "5%"]) == 0
    )
    # That more coverage is better is known of it alone too.
    write(tmp_path, "lost", {"coverage": -0.2})
    assert compare.main(["base", "lost", "--runs", str(tmp_path), "--metric", "coverage"]) == 1
    # Tolerated where it is said so, and by nobody else.
    arguments = ["base", "bug", "--runs", str(tmp_path), "--margin", "5%", "--margin"]
    assert compare.main([*arguments, "envelope=0.5"]) == 0
    shares = compare.compare_family(sides[0], sides[1:2], margins={"attack": "10%", "coverage": "10%"})["bug"]
    attack = np.mean(list(sides[0].sides["attack"].values.values()))
    margins = [shares.members[metric].margin for metric in ("attack", "coverage", "density")]
    assert margins == pytest.approx([0.1 * attack, 0.1, 0.05])
    assert compare.main([*arguments, "attack=0.5"]) == 1
    with pytest.raises(ValueError, match=r"^margin of pitch: the family has distance, envelope, attack"):
        compare.main([*arguments, "pitch=0.5"])
    with pytest.raises(
        ValueError, match=r"^margin of attack 'much' is neither a number nor a share like 5%$"
    ):
        compare.main([*arguments, "attack=much"])
    for wrong in (
        ["7%"],
        ["attack=1", "--metric", "distance"],
        ["attack=1", "--higher-is-better"],
        ["attack=1", "--margin", "attack=2"],
    ):
        with pytest.raises(SystemExit):
            compare.main([*arguments, *wrong])


def test_what_files_alone_do_is_part_of_the_spread(tmp_path):
    """Two files: half the squared distance of what each leaves is the variance; both sides' add up."""
    write(tmp_path, "base", {}, without=0.0)
    write(tmp_path, "noisy", {"distance": 0.05}, without=0.4)
    sides = [run_sets.load_family(name, runs=tmp_path) for name in ("base", "noisy")]
    (found,) = compare.compare_family(*[sides[0], sides[1:]]).values()
    # 1/2 of the sum of (0 - .2)^2 and (.4 - .2)^2, over 4 pairs.
    assert found.members["distance"].error == pytest.approx(math.sqrt(0.04 / 4))
    assert found.members["distance"].verdict == "undecided"
    (apart,) = compare.compare_family(sides[0], sides[1:], paired=False).values()
    own = np.var(list(sides[0].distance.values.values()), ddof=1)
    assert apart.members["distance"].error == pytest.approx(math.sqrt((own + 0.04) / 4))


def test_the_coarser_steps_count(tmp_path):
    """Sides of other numbers of files: the values alone would not show the steps of either."""
    write(tmp_path, "base", {})
    write(tmp_path, "fewer", {"coverage": -0.001})
    for name, step in (("base", 0.125), ("fewer", 0.5)):
        for place in (tmp_path / name).iterdir():
            table = json.loads((place / "metrics.json").read_text())
            table["steps"]["coverage"] = step
            (place / "metrics.json").write_text(json.dumps(table))
    sides = [run_sets.load_family(name, runs=tmp_path) for name in ("base", "fewer")]
    for both in (sides, sides[::-1]):
        (found,) = compare.compare_family(both[0], both[1:]).values()
        assert found.members["coverage"].error == pytest.approx(math.sqrt(0.5**2 / 6 / 4))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04cut", b"nothing"])
def test_a_damaged_jackknife_is_named(tmp_path, content):
    (write(tmp_path, "base", {}) / "2" / jackknife.FILE).write_bytes(content)
    with pytest.raises(
        RunError, match=r"2/jackknife\.npz is damaged \(.*\); delete the run and make it again$"
    ):
        run_sets.load_family("base", runs=tmp_path)


def test_runs_that_were_measured_before(tmp_path):
    place = write(tmp_path, "old", {}, old=True)
    message = (
        "old: seeds 0, 1, 2, 3 were measured by an older version, which knew neither coverage nor density; "
        "delete these runs and make them again, or judge one number of them, with --metric distance"
    )
    with pytest.raises(RunError, match=message):
        run_sets.load_family(place)
    assert len(run_sets.load(place).values) == 4


# Assurance


@pytest.mark.parametrize("degrees", [1, 2, 4, 9])
def test_assurance_of_very_many_seeds_is_a_noncentral_t(degrees):
    """P(Z + l W > z) with W = chi / sqrt(k): with 10,000 seeds the test itself is normal, to 1e-4."""
    for ratio in (1.0, 3.0, 8.0):
        found = assurance(10_000, ratio / 100, 1.0, degrees=degrees, paired=True)
        assert found == pytest.approx(stats.nct.cdf(ratio, degrees, stats.norm.isf(0.025)), abs=1e-4)


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("degrees", [1, 2, 4])
def test_assurance_is_the_mean_power(degrees, paired):
    for seeds, effect, level in ((2, 3.0, 0.05), (5, 1.0, 0.05), (12, 0.7, 0.01)):

        def weighed(square, seeds=seeds, effect=effect, level=level):
            sigma = math.sqrt(degrees / square)
            return stats.chi2.pdf(square, degrees) * power(seeds, effect, sigma, paired=paired, level=level)

        known = integrate.quad(weighed, 0, np.inf, limit=200)[0]
        found = assurance(seeds, effect, 1.0, degrees=degrees, paired=paired, level=level)
        assert found == pytest.approx(known, abs=1e-6)


def test_assurance_at_its_ends():
    ends = {"degrees": 2, "paired": True}
    assert assurance(1, 1.0, 1.0, **ends) == 0.0
    assert assurance(2, 1.0, 0.0, **ends) == 1.0 and assurance(2, 0.0, 0.0, **ends) == 0.0
    assert assurance(9, 0.0, 1.0, **ends) == pytest.approx(0.025, abs=1e-9)
    # Ever more is known of the spread.
    known = power(9, 1.0, 1.0, paired=True)
    assert assurance(9, 1.0, 1.0, degrees=10_000, paired=True) == pytest.approx(known, abs=1e-3)
    with pytest.raises(
        ValueError, match=r"^degrees are 0; a spread is seen with 1 degree of freedom or more$"
    ):
        seeds_needed(1.0, 1.0, paired=True, degrees=0)


def test_a_single_number_still_is_judge():
    """The face of one metric is what the family is made of."""
    a, b = np.array([0.5, 0.6, 0.4]), np.array([0.9, 1.1, 0.8])
    alone = family.judge_alone({"distance": a}, {"distance": b}, paired=True, margins=MARGINS)
    assert alone["distance"] == judge(a, b, paired=True, margin=1.0)
