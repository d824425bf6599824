"""What is not seen: the oracles are exact, the effects are what they say, and the sentences hold."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from experiments import unseen
from report import rendering, tables
from report.tables import unseen as unseen_tables
from study import oracles, results
from study.datasets import synthetic
from study.sources import Source

RATE = 8000


def rng():
    return np.random.default_rng(0)


def tone(hertz, seconds=0.5, rate=RATE):
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def voice(hertz, seconds=0.5, rate=RATE):
    return sum(tone(k * hertz, seconds, rate) / k for k in range(1, 8))


def decibels(signal):
    return 10 * np.log10(np.mean(np.square(signal)))


# Oracles: the test


@pytest.mark.parametrize(
    ("reference", "candidate"), [("aab", "bbc"), ("aaa", "bbb"), ("aabb", "abcd"), ("abab", "abab")]
)
def test_the_oracle_of_labels_is_the_enumerated_one(reference, candidate):
    """Every way of dealing so few files, each with the chi-square statistic of the textbook."""
    files = [*reference, *candidate]
    names = sorted(set(files))

    def chi_square(places):
        rows = [[(f == name) and (i in places) for i, f in enumerate(files)] for name in names]
        inside = np.sum(rows, axis=1)
        both = np.array([files.count(name) for name in names])
        return scipy.stats.chi2_contingency([inside, both - inside], correction=False).statistic

    size = len(reference)
    dealt = [chi_square(set(places)) for places in itertools.combinations(range(len(files)), size)]
    exact = np.mean(np.array(dealt) >= chi_square(set(range(size))) - 1e-9)
    assert oracles.of_counts(reference, candidate, rng=rng()) == pytest.approx(exact)


def test_the_oracle_of_means_is_exact_where_nothing_differs():
    """Of all ways of dealing six numbers a share of k / 20 has a p of k / 20 or less, for every k."""
    numbers = np.array([0.0, 1.0, 3.0, 7.0, 15.0, 31.0])  # no two sums of three are the same
    p_values = []
    for places in itertools.combinations(range(6), 3):
        inside = np.isin(np.arange(6), places)
        p_values.append(oracles.of_means(numbers[inside], numbers[~inside], direction=1, rng=rng()))
    assert sorted(p_values) == pytest.approx(np.arange(1, 21) / 20)


def test_the_oracle_of_means_looks_where_it_is_told():
    low, high = np.arange(20.0), np.arange(20.0) + 100
    assert oracles.of_means(low, high, direction=1, rng=rng()) == 1 / (oracles.PERMUTATIONS + 1)
    assert oracles.of_means(low, high, direction=-1, rng=rng()) == 1
    assert oracles.of_means(high, low, direction=-1, rng=rng()) == 1 / (oracles.PERMUTATIONS + 1)
    with pytest.raises(ValueError, match=r"direction is 0; it is 1 \(larger\) or -1 \(smaller\)"):
        oracles.of_means(low, high, direction=0, rng=rng())


# Oracles: the numbers


@pytest.mark.parametrize("hertz", [90.0, 133.3, 220.0, 310.0])
def test_the_fundamental_is_read_to_a_few_cents(hertz):
    assert oracles.log_fundamental(voice(hertz), RATE) == pytest.approx(np.log2(hertz), abs=5 / 1200)


def test_the_centroid_of_a_tone_is_the_tone():
    assert oracles.log_centroid(tone(1000.0), RATE) == pytest.approx(np.log2(1000), abs=1e-3)


def test_levels_are_read():
    loud = np.tile([1.0, -1.0], 800)  # 0.2 s
    steps = np.concatenate([loud, 0.1 * loud, np.zeros(800)])
    assert oracles.silent_share(steps, RATE) == 800 / 4000
    assert oracles.median_level(steps, RATE) == pytest.approx(-20)
    assert oracles.steepest_fall(steps, RATE) == pytest.approx(oracles.AUDIBLE + 20)
    assert oracles.steepest_fall(steps[:3200], RATE) == pytest.approx(-20)
    assert oracles.steepest_fall(loud[:80], RATE) == 0  # one frame
    assert oracles.rise(steps[:3200], RATE) == pytest.approx(-20)
    assert oracles.rise(np.concatenate([loud, 0 * loud]), RATE) == pytest.approx(oracles.FLOOR)


def test_a_hum_is_read_where_it_is_alone():
    both = np.concatenate([voice(150), np.zeros(2000)]) + 0.01 * np.sqrt(2) * tone(100, 0.75)
    expected = -40 - decibels(both)
    assert oracles.level_at(100.0, both, RATE) == pytest.approx(expected, abs=0.1)
    assert oracles.level_at(100.0, np.concatenate([voice(150), np.zeros(2000)]), RATE) == oracles.FLOOR


def test_seams_are_read():
    """Seconds that glide up go on into each other; dealt, they do not."""
    rate = synthetic.RATE
    glide = np.sin(2 * np.pi * np.cumsum(np.geomspace(200, 6000, 5 * rate)) / rate)
    changed = unseen.shuffled(glide, rate, rng())
    assert oracles.seams(glide, rate) < -0.5 < oracles.seams(changed, rate)
    with pytest.raises(ValueError, match=r"2\.50 s; three whole seconds or more have an order"):
        oracles.seams(glide[: round(2.5 * rate)], rate)


@pytest.mark.parametrize(
    "number",
    [
        oracles.log_fundamental,
        oracles.log_centroid,
        oracles.silent_share,
        oracles.median_level,
        oracles.steepest_fall,
        oracles.rise,
        oracles.seams,
        lambda signal, rate: oracles.level_at(100.0, signal, rate),
    ],
)
def test_silence_is_refused(number):
    with pytest.raises(ValueError, match="the signal is silent"):
        number(np.zeros(4 * RATE), RATE)


@pytest.mark.parametrize("number", [oracles.log_fundamental, oracles.median_level, oracles.steepest_fall])
def test_less_than_a_frame_is_refused(number):
    with pytest.raises(ValueError, match="20 samples; a frame has"):
        number(np.ones(20), RATE)


@pytest.mark.parametrize(("effect", "source"), [(e, s) for s, e in unseen._jobs() if e in unseen.CHANGES])
def test_an_effect_moves_what_its_oracle_reads_the_way_it_is_told(effect, source):
    """On a sound with a pause, harmonics and a little noise: the oracles are of use."""
    rate, seconds = (RATE, 1) if source == "digits" else (22_050, 5)
    pause = np.repeat(
        [1.0, 1e-4], [round(0.6 * seconds * rate), seconds * rate - round(0.6 * seconds * rate)]
    )
    fading = np.linspace(1.0, 0.05, seconds * rate) if effect == "compressed 2:1" else 1.0
    sound = pause * voice(120.0, seconds, rate) * fading + 1e-5 * rng().standard_normal(seconds * rate)
    if effect == "seconds in another order":
        sound = np.sin(2 * np.pi * np.cumsum(np.geomspace(200, 6000, 5 * rate)) / rate)
    change, readings = unseen.CHANGES[effect]
    reading = readings[source]
    before, after = (reading.of(s, rate) for s in (sound, change(sound, rate, rng())))
    assert reading.direction * (after - before) > 1e-3


# Effects


@pytest.mark.parametrize("share", [0.01, 0.02, 0.03])
def test_faster_is_shorter_and_higher(share):
    sound = voice(120.0, 1.0)
    changed = unseen.faster(share)(sound, RATE, rng())
    assert len(changed) == pytest.approx(len(sound) / (1 + share), abs=1)
    assert oracles.log_fundamental(changed, RATE) - oracles.log_fundamental(sound, RATE) == pytest.approx(
        np.log2(1 + share), abs=5 / 1200
    )


@pytest.mark.parametrize(
    ("effect", "semitones"), [("an eighth of a tone higher", 0.25), ("a quarter tone higher", 0.5)]
)
def test_higher_is_as_long(effect, semitones):
    sound = voice(120.0, 1.0)
    changed = unseen.CHANGES[effect][0](sound, RATE, rng())
    assert len(changed) == len(sound)
    assert oracles.log_fundamental(changed, RATE) - oracles.log_fundamental(sound, RATE) == pytest.approx(
        semitones / 12, abs=5 / 1200
    )


def test_the_gate_silences_what_is_45_db_down_and_nothing_else():
    steps = np.concatenate([10 ** (level / 20) * np.tile([1.0, -1.0], 200) for level in (0, -44, -46, -20)])
    changed = unseen.gated(steps[:-30], RATE, rng())
    np.testing.assert_array_equal(changed[800:1200], 0)
    kept = np.r_[0:800, 1200:1570]
    np.testing.assert_array_equal(changed[kept], steps[kept])


def test_the_compressor_halves_what_is_above_its_threshold():
    tones = [10 ** (level / 20) * np.tile([1.0, -1.0], 800) for level in (0, -10, -30)]
    changed = np.split(unseen.compressed(np.concatenate(tones), RATE, rng()), 3)
    levels = [decibels(part[400:1200]) for part in changed]  # away from where the level changes
    assert levels == pytest.approx([-10, -15, -30], abs=1e-6)


def test_the_drift_is_6_db_from_end_to_end():
    changed = unseen.drifting(np.ones(1001), RATE, rng())
    assert 20 * np.log10(changed[[0, 500, 1000]]) == pytest.approx([0, -3, -6])


def test_the_hum_is_100_hz_40_db_down():
    sound = 0.3 * voice(150.0, 1.0)
    added = unseen.humming(sound, RATE, rng()) - sound
    assert decibels(added) - decibels(sound) == pytest.approx(-40, abs=1e-6)
    assert np.argmax(np.abs(np.fft.rfft(added))) == 100


def test_the_tail_is_22_db_down_and_falls_60_db_in_its_time():
    impulse = np.zeros(RATE)
    impulse[0] = 1.0
    tail = unseen.reverberant(impulse, RATE, rng())
    assert len(tail) == RATE and tail[0] == pytest.approx(1)
    start = 1 + round(unseen.TAIL_DELAY * RATE)
    assert np.abs(tail[1:start]).max() < 1e-12
    assert 10 * np.log10(np.sum(tail[start:] ** 2)) == pytest.approx(-22, abs=1e-6)
    length = round(unseen.TAIL_SECONDS * RATE)
    first, _, last = (decibels(part) for part in np.split(tail[start : start + length], 3))
    assert last - first == pytest.approx(-40, abs=2)  # of noise with this seed
    assert np.abs(tail[start + length :]).max() < 1e-12


def test_no_second_follows_the_one_it_followed():
    seconds = np.repeat(np.arange(5.0), RATE)
    for seed in range(20):
        changed = unseen.shuffled(np.append(seconds, 7.0), RATE, np.random.default_rng(seed))
        order = changed[::RATE]
        assert sorted(order) == [0, 1, 2, 3, 4] and not np.any(np.diff(order) == 1)
        np.testing.assert_array_equal(changed, np.repeat(order, RATE))


# Draws


def digits(signals=()):
    """Six speakers, ten words, five takes: the labels of 300 files, or of as many as there are signals."""
    speakers, words = np.divmod(np.arange(len(signals) or 300) % 60, 10)
    groups = np.char.add("speaker ", speakers.astype(str))
    return Source("digits", tuple(signals), RATE, words.astype(str), groups)


@pytest.mark.parametrize("size", [20, 50])
@pytest.mark.parametrize("mix", ["clean", *(mix for mix, _ in unseen.MIXES.values())])
def test_samples_are_disjoint_and_mixed_as_named(mix, size):
    known = digits()
    first, second = unseen.mixed(known, mix, size, rng())
    assert len(set(first) | set(second)) == 2 * size
    words, speakers = (
        [kinds[places] for places in (first, second)] for kinds in (known.labels, known.groups)
    )
    if "dropped" in mix:
        assert len(set(words[1])) <= 10 - int(mix.split()[0])
    if mix in (unseen.OTHER_WORDS, unseen.EXCHANGED):
        assert speakers[0].tolist() == speakers[1].tolist()
    if mix == unseen.OTHER_WORDS:
        assert not set(words[0]) & set(words[1])
    if mix == unseen.EXCHANGED:
        said = [set(zip(*which, strict=True)) for which in zip(speakers, words, strict=True)]
        assert not said[0] & said[1]
        if size == 50:  # a word is missing among 50 with a probability of .05
            assert min(len(set(words[0])), len(set(words[1]))) >= 9


def test_a_row_counts_draws_and_what_each_test_found(monkeypatch):
    """A hum as loud as the sound is found by both in every draw."""
    kept = (unseen._changed, unseen._described)
    for cache in kept:
        cache.cache_clear()
    signals = rng().normal(0, 0.1, (60, RATE // 4)).astype(np.float32)
    monkeypatch.setattr(unseen, "_source", lambda name: digits(signals))
    monkeypatch.setattr(unseen, "SIZES", {20: 5})
    monkeypatch.setattr(unseen, "NOTHING_DRAWS", {10: 3})
    monkeypatch.setattr(unseen, "HUM_DB", 0.0)
    row = unseen._measured("digits", "hum of 100 Hz", 2)
    assert row["reads"] == "least level at 100 Hz" and row["files"] == 60
    assert row["found"] == {"20": {"draws": 2, "distance": 2, "oracle": 2}}
    row = unseen._measured("digits", unseen.NOTHING, None)
    assert row["reads"] == "what the other rows read, in turn" and row["found"]["10"]["draws"] == 3
    for cache in kept:
        cache.cache_clear()


def test_the_interval_is_that_of_clopper_and_pearson():
    assert unseen.interval(0, 40) == pytest.approx((0, 1 - 0.025 ** (1 / 40)))
    assert unseen.interval(40, 40) == pytest.approx((0.025 ** (1 / 40), 1))
    low, high = unseen.interval(7, 40)
    assert scipy.stats.binom.sf(6, 40, low) == pytest.approx(0.025)
    assert scipy.stats.binom.cdf(7, 40, high) == pytest.approx(0.025)


# The result


@pytest.fixture(scope="module")
def kept():
    return results.read("unseen")


def shares(kept, effect, source):
    """(Files a side, test) -> share of draws."""
    (row,) = [row for row in kept["rows"] if (row["effect"], row["source"]) == (effect, source)]
    return {(s, test): f[test] / f["draws"] for s, f in row["found"].items() for test in unseen.TESTS}


def test_the_kept_result_is_whole(kept):
    assert [(row["source"], row["effect"]) for row in kept["rows"]] == unseen._jobs()
    for row in kept["rows"]:
        drawn = unseen.NOTHING_DRAWS if row["effect"] == unseen.NOTHING else unseen.SIZES
        assert {int(size): found["draws"] for size, found in row["found"].items()} == drawn
    assert len(unseen.summary(kept).splitlines()) == len(kept["rows"]) + 1


def test_where_nothing_differs_neither_test_finds_more_than_it_may(kept):
    """The 95 % interval of every share of false alarms begins at 5 % or below."""
    for row in kept["rows"]:
        if row["effect"] == unseen.NOTHING:
            for found in row["found"].values():
                for test in unseen.TESTS:
                    assert unseen.interval(found[test], found["draws"])[0] <= unseen.ALPHA, row


def told(kept, who):
    """Every effect with its source that the report says is found by ``who``: "hum of 100 Hz (digits)"."""
    return [
        f"{effect} ({source})"
        for effect, cells in tables.who_finds(kept).iterrows()
        for source, cell in cells.items()
        if cell == who
    ]


def test_every_effect_is_told_once(kept):
    """Each stands in one of the three lists; what the box shows is what the oracle is ahead in."""
    lists = {who: told(kept, who) for who in unseen_tables.FINDERS}
    names = [name for each in lists.values() for name in each]
    assert len(names) == len(set(names)) == sum(row["effect"] != unseen.NOTHING for row in kept["rows"])
    assert all(lists.values())  # the sentences of the report name some of each
    box = tables.most_missed(kept)
    assert len(box) == 5 and set(box.index) <= set(lists["the oracle alone"])
    whole = tables.not_seen(kept)
    assert len(whole) == len(kept["rows"]) and not whole.isna().any().any()


def test_a_table_shows_what_was_found():
    row = {"effect": "hum", "source": "digits", "reads": "level", "files": 9}
    row["found"] = {
        "20": {"draws": 40, "distance": 0, "oracle": 20},
        "50": {"draws": 10, "distance": 5, "oracle": 10},
    }
    content = {
        "rows": [row, {**row, "effect": unseen.NOTHING}, {**row, "effect": "mute", "source": "sounds"}]
    }
    table = tables.not_seen(content)
    assert [*table.index] == ["hum", "mute", unseen.NOTHING]
    assert table.iloc[0].tolist() == [
        *("digits", "level", "0.0 % (0 % to 9 %)", "50.0 % (34 % to 66 %)", "50.0 % (19 % to 81 %)"),
        *("100.0 % (69 % to 100 %)", "40 / 10"),
    ]
    assert tables.most_missed(content, count=1).iloc[0].tolist() == ["0 %", "50 %", "50 %", "100 %"]
    found = {"draws": 10, "distance": 4, "oracle": 5}
    content["rows"] += [{**row, "source": "notes"}, {**row, "effect": "echo", "found": {"50": found}}]
    content["rows"].append({**row, "effect": "cut", "found": {"50": {**found, "oracle": 4}}})
    who = tables.who_finds(content)
    assert who.columns.tolist() == ["digits", "sounds", "notes"]
    assert who.loc["hum"].tolist() == ["the test", "–", "the test"]
    assert who.loc["mute"].tolist() == ["–", "the test", "–"]
    assert who.loc[["echo", "cut"], "digits"].tolist() == ["the oracle alone", "nobody"]


def test_a_quotation_is_one_in_every_line():
    assert rendering.quoted("a\n\nb") == "> a\n>\n> b"


def test_words_of_the_chapter_and_the_page_hold(kept):
    """The order of seconds is no part of the test; the vocoder is found, and no pitch."""
    for (_, test), share in shares(kept, "seconds in another order", "long sounds").items():
        assert share <= 0.1 if test == "distance" else share >= 0.9
    assert "a quarter tone higher (digits)" in told(kept, "the test")
    assert "3 % faster (digits)" in told(kept, "nobody")
    for effect in ("a quarter tone higher", "3 % faster"):
        assert shares(kept, effect, "digits")["50", "oracle"] < 0.5


def test_readme_names_what_the_oracle_alone_finds(kept):
    text = " ".join((Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8").split())
    assert (
        "With 50 files a side its test mostly misses" in text and list(kept["rows"][0]["found"])[-1] == "50"
    )
    names = {  # those of the report's box
        "an end that is 6 dB quieter": ["6 dB quieter at the end (long sounds)"],
        "seconds in another order": ["seconds in another order (long sounds)"],
        "gated room tone": ["room tone gated (digits)", "room tone gated (sounds)"],
        "a hum of 100 Hz": ["hum of 100 Hz (digits)", "hum of 100 Hz (sounds)"],
        "half of ten words missing": ["half of the classes missing (digits)"],
    }
    assert all(words in text for words in names)
    named = {name for each in names.values() for name in each}
    assert {*tables.most_missed(kept).index} <= named <= set(told(kept, "the oracle alone"))
