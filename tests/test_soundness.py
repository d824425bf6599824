"""Pairs that the distance was not developed with: what is drawn, how it is judged, what the report says."""

import numpy as np
import pytest

import metrics
from experiments import soundness
from report import rendering, tables
from report.tables import pairs
from study import datasets, further_pairs, incumbents, level, results
from study import soundness as known_pairs
from study.datasets import synthetic

RATE = 8_000

EMBEDDINGS = level.EMBEDDINGS  # before a fixture takes fewer


@pytest.fixture(scope="module")
def noises():
    """24 described noises of .3 s and 6 of 2.5 s."""
    rng = np.random.default_rng(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(level, "EMBEDDINGS", ("described", "mean_spectrum"))
        yield [
            soundness.heard([rng.normal(0, 0.1, round(seconds * RATE)) for _ in range(count)], RATE)
            for seconds, count in ((0.3, 24), (2.5, 6))
        ]


@pytest.fixture(scope="module")
def kept():
    return results.read("soundness")


# What is done to sounds


@pytest.mark.parametrize("name", soundness.CHANGES)
def test_a_harmless_change_is_that_of_the_first_list(monkeypatch, name):
    rng = np.random.default_rng(0)
    signals = tuple(rng.normal(0, 0.1, 2000 + i).astype(np.float32) for i in range(4))
    words = tuple(map(str, range(4)))
    made = datasets.AudioSet("digits", signals, RATE, words, words, words, "made here")
    monkeypatch.setattr(datasets, "digits", lambda *, count, rng: made)
    must_differ, _, make = known_pairs.PAIRS[name]
    x, y, rate = make(2, np.random.default_rng(1))
    assert not must_differ and rate == RATE
    before = {len(s): s for s in signals if not any(s is kept for kept in x)}
    assert len(before) == 2
    for signal, theirs in zip(sorted(before.values(), key=len), sorted(y, key=len), strict=True):
        ours = soundness.CHANGES[name](signal.astype(float), rate, np.random.default_rng(2))
        least = 2.0**-15 if "dither" in name else 1e-6  # no two draws of a dither are equal
        assert len(ours) == len(theirs) and np.abs(ours - theirs).max() <= 2 * least


def test_every_harmless_pair_of_the_list_is_asked_of_every_source():
    listed = {name for name, (must_differ, _, _) in known_pairs.PAIRS.items() if not must_differ}
    assert listed - {"another split, white noise"} == {soundness.SPLIT, *soundness.CHANGES}
    for name in soundness.POOLS:
        asked = soundness.changes_of(name)
        assert set(soundness.RESAMPLED[:2]) <= set(asked)
        assert listed - {"another split, white noise"} <= set(asked) or name in (
            *("sounds, 8 kHz", "sounds, 16 kHz"),
        )
        assert (soundness.HALF_AS_MUCH_AGAIN in asked) == name.startswith("sounds")


def test_every_further_pair_is_measured_once():
    planned = [name for source in soundness.DRAWN_FROM for name in soundness.harmless_changes(source)]
    planned += [name for name, pair in further_pairs.PAIRS.items() if pair.must_differ]
    assert sorted([*planned, *soundness.MADE_ANEW]) == sorted(further_pairs.PAIRS)
    parts = {name for group, name in soundness._parts(quick=False) if group == "further"}
    assert parts == {*soundness.DRAWN_FROM, *planned, *soundness.MADE_ANEW} - {
        name for source in soundness.DRAWN_FROM for name in soundness.harmless_changes(source)
    }


def test_a_pair_in_both_versions_is_of_the_same_files(monkeypatch):
    def speech(count, rng):
        return [rng.normal(0, 0.1, 50).astype(np.float32) for _ in range(count)], RATE

    pair = further_pairs.Pair("speech", False, further_pairs._changed(speech, further_pairs._inverted))
    monkeypatch.setitem(further_pairs.PAIRS, "upside down", pair)
    monkeypatch.setitem(soundness.DRAWN_FROM, "speech", speech)
    before, after, rate = soundness.in_both_versions("upside down", 5)
    assert rate == RATE and len(before) == 5
    assert all(np.array_equal(a, -b) for a, b in zip(before, after, strict=True))


def test_tones_are_higher_by_a_twentieth():
    x, y, rate, (low, high) = soundness._tones(np.random.default_rng(0))
    for signal, octaves in ((x[0], low[0]), (y[0], high[0])):
        peak = np.argmax(np.abs(np.fft.rfft(signal))) * rate / len(signal)
        assert peak == pytest.approx(2**octaves, abs=1)
    lowest = np.log2(soundness.TONES[0])
    assert lowest <= low.min() and lowest + np.log2(soundness.SHIFT) <= high.min()
    assert np.log2(soundness.TONES[1]) < high.max()  # one of 40 in the topmost 1.6 %: with this seed


def test_mixtures_are_brighter_by_3_db_an_octave(monkeypatch):
    monkeypatch.setattr(soundness, "SIDE", 1)
    x, y, rate, _ = soundness._mixtures(np.random.default_rng(0))
    number = int(np.random.default_rng(0).choice(2**31, 2)[1])
    gain = np.abs(np.fft.rfft(y[0]) / np.fft.rfft(synthetic.window(number, seed=77)))
    assert len(x) == len(y) == 1 and rate == synthetic.RATE
    assert 20 * np.log10(gain[4000] / gain[1000]) == pytest.approx(2 * soundness.TILT, abs=1e-3)


# How it is judged


def test_compare_is_the_test_of_the_distance(noises):
    """Files of one window are rows to ``incumbents``, the same rearrangements included."""
    short, _ = noises
    x, y = short.some(range(12)), short.some(range(12, 24))
    found = soundness.p_values(x, y, seed=3)
    rows = [np.stack([sound.vectors[0] for sound in side.sounds]) for side in (x, y)]
    own = incumbents.own_p_value(*rows, seed=3, rate=RATE)
    assert found["compare"] == pytest.approx(own, abs=1.5 / incumbents.PERMUTATIONS)
    rivals = level.of_rows(*rows, "described", rate=RATE, seed=3)
    assert {test: found[test] for test in rivals if test != "compare"} == pytest.approx(
        {test: p for test, p in rivals.items() if test != "compare"}
    )
    assert len(found) == 1 + 2 * len(level.names())


def test_compare_sees_windows_and_the_others_their_mean(noises):
    _, long = noises
    assert [len(sound.vectors) for sound in long.sounds] == 6 * [2]
    mean = np.mean(long.sounds[0].vectors, axis=0, dtype=float)
    assert long.rows["three_views"][0] == pytest.approx(metrics.divided(mean[None])[0])
    assert 0 < soundness.p_values(long.some([0, 1, 2]), long.some([3, 4, 5]), seed=0)["compare"] <= 1


def test_an_oracle_reads_labels_and_pitches(noises):
    x, y = noises[0].some(range(12)), noises[0].some(range(12, 24))
    for apart, alike in (
        ((np.zeros(12, int), np.ones(12, int)), (np.arange(12) % 2, np.arange(12) % 2)),
        ((np.linspace(0, 1, 12), np.linspace(2, 3, 12)), (np.linspace(0, 1, 12), np.linspace(0, 1, 12))),
    ):
        assert soundness.p_values(x, y, seed=0, truth=apart)["oracle"] == 1 / (1 + incumbents.PERMUTATIONS)
        assert soundness.p_values(x, y, seed=0, truth=alike)["oracle"] > 0.5
    assert "oracle" not in soundness.p_values(x, y, seed=0)


@pytest.mark.parametrize(
    ("must_differ", "draws", "found", "right"),
    [(True, 10, 5, True), (True, 10, 4, False), (False, 20, 3, True), (False, 20, 4, False)],
)
def test_right_is_half_the_draws_or_few(must_differ, draws, found, right):
    row = soundness._row("further", "a / b", "noise", must_differ, 20, draws, {"compare": found})
    assert soundness.is_right(row, "compare") == right


def test_missing_recordings_are_said_before_anything_is_measured(monkeypatch):
    def missing(name):
        raise datasets.MissingData(f"{name}: nothing found")

    monkeypatch.setattr(level, "EMBEDDINGS", ("described",))
    monkeypatch.setattr(datasets, "files", missing)
    monkeypatch.setattr(soundness, "computed", lambda *_, **__: pytest.fail("measured"))
    with pytest.raises(datasets.MissingData, match="digits: nothing found"):
        soundness.run()


# What the report says


def made(found, *, must_differ=False, group="further", pair="a / b"):
    """A row of 20 draws; whatever is not said is found in none."""
    each = dict.fromkeys((*pairs.TESTS, "log_mel / frechet"), 0) | found
    return soundness._row(group, pair, "noise", must_differ, 20, 20, each)


def test_tables_say_who_is_right_and_where():
    rows = [
        made({"compare": 3, "aisfx / frechet": 4}),
        made({"compare": 10, "log_mel / frechet": 20}, must_differ=True, pair="c / d"),
        made({"compare": 9, "oracle": 8}, must_differ=True, group="classes", pair="e / f"),
    ]
    table = tables.unfamiliar_pairs({"rows": rows})
    assert (
        table.loc["a / b (noise)", "`compare`"] == "15 %"
        and table.loc["a / b (noise)", "Frechet, aisfx"] == "**20 %**"
    )
    assert (
        table.loc["e / f (noise)", "`compare`"] == "**45 %**"
        and table.loc["e / f (noise)", "oracle"] == "**40 %**"
    )
    assert table.loc["c / d (noise)", "oracle"] == "–"
    assert table.loc["judged right, of 3", "`compare`"] == "2"
    assert table.loc["judged right, of 3", "oracle"] == "0 of 1"
    right = tables.judged_right({"rows": rows})
    assert right.loc["`compare`"].tolist() == [2, 1, 0, 0, 0, 2]
    assert right.columns[0] == "all, of 3" and right.columns[1] == "must not differ, of 1"
    assert right.loc["the best of 1 others: log mel / frechet", "all, of 3"] == 2
    assert tables.judged_wrong({"rows": rows}, must_differ=True) == ["e / f (noise, N = 20, 9 of 20)"]
    assert tables.judged_wrong({"rows": rows}, must_differ=True, group="further") == []
    assert tables.judged_wrong({"rows": rows}, must_differ=False) == []
    assert tables.told_by_labels({"rows": rows}) == 0
    rows[2]["found"]["oracle"] = 10
    assert tables.told_by_labels({"rows": rows}) == 1


def test_the_kept_result_is_whole(kept):
    rows = kept["rows"]
    groups = {group: [row for row in rows if row["group"] == group] for group in pairs.GROUPS}
    assert sum(map(len, groups.values())) == len(rows)
    assert len(groups["harmless"]) == sum(len(soundness.changes_of(name)) for name in soundness.POOLS)
    assert len(groups["few files"]) == len(soundness.FEW_FILES) + 1
    assert len(groups["classes"]) == 2 * len(soundness.MISSING) * len(soundness.SIZES)
    assert {row["pair"] for row in groups["further"]} == {*further_pairs.PAIRS} and len(
        groups["further"]
    ) == 20
    for row in rows:
        assert row["draws"] == soundness.DRAWS[row["must_differ"]]
        assert {*row["found"]} - {"oracle"} == {
            "compare",
            *(
                f"{'three_views' if e == 'described' else e} / {test}"
                for e in EMBEDDINGS
                for test in level.names()
            ),
        }
    # What the report says of luck: 4 or more of 20 draws.
    assert kept["false_wrong"] == pytest.approx(1 - sum(binomial(k, 20, 0.05) for k in range(4)), rel=1e-4)


def binomial(k, n, p):
    from math import comb

    return comb(n, k) * p**k * (1 - p) ** (n - k)


def test_the_report_names_every_pair_that_compare_judges_wrong(kept):
    """In a list, but for those where classes are missing; these stand in the table, in bold like all."""
    lines = rendering.render(results.read_all(), rendering.CHAPTERS / "pairs.md").splitlines()
    classes = tables.judged_wrong(kept, must_differ=True, group="classes")
    for must_differ in (True, False):
        for words in tables.judged_wrong(kept, must_differ=must_differ):
            assert (f"- {words}" in lines) != (words in classes)
    cells = [line.split(" | ") for line in lines if line.startswith("| ") and " | must" in line]
    bold = {(row[0].removeprefix("| "), row[1]) for row in cells if row[3].startswith("**")}
    wrong = [row for row in kept["rows"] if not soundness.is_right(row, "compare")]
    assert bold == {(f"{row['pair']} ({row['source']})", f"{row['files']}, {row['draws']}") for row in wrong}


def test_what_the_report_says_in_words(kept):
    """That it hardly notices a missing class."""
    ones = [row for row in kept["rows"] if row["pair"].startswith("1 of")]
    assert len(ones) == 4 and not any(soundness.is_right(row, "compare") for row in ones)
