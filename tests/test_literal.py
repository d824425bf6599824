"""The distance's statistics against an independent implementation, number by number and count by count.

``reference/literal.json`` holds what ``reference/literal.py`` gives for small seeded sets: it writes the
definition out with loops and imports nothing of the code under test. P-values are pinned as counts of
rearrangements, so a change of the recipe that moves a single one over the observed one fails here.
"""

import functools
import json
from dataclasses import replace

import numpy as np
import pytest
from reference import literal

import metrics
from audio_distance.views import number_names

PINS = json.loads(literal.PLACE.read_text(encoding="utf-8"))

# From given vectors: float64 sums over the same float32 numbers in another order. A squared distance of
# order 1 is right to 1e-13, and so is its fourth root where no two vectors nearly coincide; the whitened
# rows come from another decomposition, but only counts are taken from them.
GIVEN = 1e-10
# From audio: descriptions in float32 agree to 1e-4 of numbers whose divisors are of order 10 and more.
FROM_AUDIO = 1e-4


def described(sounds, name, rate):
    """The set as a Description of exactly these windows."""
    return metrics.Description.from_arrays(
        {
            "vectors": np.concatenate([sound.windows for sound in sounds]),
            "owners": np.repeat(np.arange(len(sounds)), [len(sound.windows) for sound in sounds]),
            "names": [sound.name for sound in sounds],
            "contents": [sound.content for sound in sounds],
            "rates": [rate] * len(sounds),
            "seconds": [1.0] * len(sounds),
            "levels": [-20.0] * len(sounds),
            "bandwidth_rate": rate,
            "recipe": metrics.constants()[1],
            "name": name,
        }
    )


@functools.cache
def measured(name):
    case = literal.CASES[name]()
    if case.own or case.reference[0].signal is not None:
        sets = [[sound.signal for sound in side] for side in (case.reference, case.candidate)]
        tables = [sound.windows for side in (case.reference, case.candidate) for sound in side]
        options = {"embedding": lambda s, _: tables[round((float(s[0]) - literal.MARK) * 1024)]}
        return metrics.compare(*sets, rate=case.rate, **case.options, **(options if case.own else {}))
    sets = [described(s, n, case.rate) for s, n in ((case.reference, "r"), (case.candidate, "c"))]
    return metrics.compare(*sets, **case.options)


def tolerance(name, pin):
    """Below full bandwidth the phase of what is left above the band is rounding, and moves the value by a
    small part of the null's spread (and no p-value, which does not look there)."""
    if name not in literal.AUDIO_CASES:
        return GIVEN
    return FROM_AUDIO if literal.CASES[name]().rate >= metrics.RATE else 0.05 * pin["null_spread"]


def test_the_pins_are_of_these_cases():
    assert list(PINS["cases"]) == list(literal.CASES)


@pytest.mark.parametrize("name", literal.CASES)
class TestCase:
    @pytest.fixture
    def one(self, name):
        return measured(name), PINS["cases"][name], tolerance(name, PINS["cases"][name])

    def test_p_value_is_the_same_count(self, one):
        result, pin, _ = one
        assert result.exact == pin["exact"] and result.permutations == pin["permutations"]
        # Whole numbers in a fraction: no tolerance but that of one division.
        assert result.p_value * pin["of"] == pytest.approx(pin["reached"], abs=1e-9)
        assert result.smallest_p * pin["of"] == pytest.approx(pin["smallest"], abs=1e-9)

    def test_value_and_views(self, one):
        result, pin, limit = one
        assert result.value == pytest.approx(pin["value"], abs=limit)
        assert list(result.views.values()) == pytest.approx(pin["views"], abs=3 * limit)

    def test_scores(self, one):
        """Of the four statistics: a whitened description is right to 1e-10 / .01^(1/2), its ridge."""
        result, pin, limit = one
        assert result.scores == pytest.approx(pin["scores"], abs=100 * limit)
        assert result.statistic == max(result.scores.values(), default=0.0)

    def test_numbers(self, one):
        """The ten that differ most, by name; of equal ones none is pinned."""
        result, pin, limit = one
        names, found = number_names(), [number for number in result.numbers if number.value]
        assert [number.name for number in found] == [names[place] for place, _ in pin["numbers"]]
        assert [number.value for number in found] == pytest.approx(
            [value for _, value in pin["numbers"]], abs=10 * limit
        )

    def test_null_spread(self, one):
        result, pin, limit = one
        assert result.null_spread == pytest.approx(pin["null_spread"], abs=limit)

    def test_interval(self, one):
        """Its margins are sums over leave-one-out values times n - 1, at most 12 here, and t; their third
        powers are in the skewness, over the third power of the spread."""
        result, pin, limit = one
        if pin["interval"] is None:
            assert result.interval is None
        else:
            assert result.interval == pytest.approx(pin["interval"], abs=50 * limit)

    def test_units(self, one):
        result, pin, limit = one
        units = {unit.name: unit.value for unit in result.units}
        assert units.keys() == pin["units"].keys()
        assert list(units.values()) == sorted(units.values(), reverse=True)
        assert units == pytest.approx(pin["units"], abs=10 * limit)
        counts = [result.reference.units, result.candidate.units, result.shared]
        assert counts == pin["counts"][:3] and result.paired == (pin["counts"][3] > 0)

    def test_bands(self, one):
        """Of two copies in one set nothing is left but rounding, 1e-15, times 1e-12 ** -.75: 1e-6."""
        result, pin, limit = one
        if any("are copies of others" in line for line in result.warnings):
            limit = 1e-6
        assert [band.name for band in result.bands] == list(pin["bands"])
        assert [band.value for band in result.bands] == pytest.approx(list(pin["bands"].values()), abs=limit)


class TestDifference:
    @pytest.fixture
    def compared(self):
        reference, others = literal.candidates()
        return metrics.compare_each(
            described(reference, "r", metrics.RATE),
            {name: described(sounds, name, metrics.RATE) for name, sounds in others.items()},
            permutations=99,
        )

    @pytest.mark.parametrize("names", PINS["differences"])
    def test_value_interval_and_p(self, compared, names):
        """Candidates of one name leave together: some of both, some of one alone, or none in common."""
        found = metrics.difference(*(compared[name] for name in names.split(" - ")))
        value, interval, p = PINS["differences"][names]
        assert found.value == pytest.approx(value, abs=GIVEN)
        assert found.interval == pytest.approx(interval, abs=50 * GIVEN)
        assert found.p_value == pytest.approx(p, rel=1e-6)


class TestAgain:
    """The literal implementation itself: that it still gives its pins, on the cases that are quick."""

    @pytest.mark.parametrize("name", ["shared and paired", "groups, some in both", "8 kHz", "all swaps"])
    def test_gives_its_pins(self, name):
        made = literal.measure(literal.CASES[name]())
        del made["numbers"][10:]
        pin = PINS["cases"][name]
        assert literal.moved(pin, {key: made[key] for key in pin}) == []

    def test_difference_of_known_sets(self):
        assert literal.moved(PINS["differences"], literal.differences()) == []


def test_names_change_nothing():
    """Units are in the order of their contents; of names only which are the same may count."""
    case = literal.CASES["several windows"]()
    plain, renamed = (
        metrics.compare(
            described(case.reference, "r", case.rate),
            described([replace(s, name=f"{start}{s.name}") for s in case.candidate], "c", case.rate),
            permutations=99,
        )
        for start in ("", "a/")
    )
    assert (plain.value, plain.interval, plain.p_value) == (renamed.value, renamed.interval, renamed.p_value)
    assert [f"a/{unit.name}" for unit in plain.units] == [unit.name for unit in renamed.units]


class TestCopies:
    """Files of other content but of one and the same description are at distance 0, not at the root of a
    root of rounding: 1e-4 in float64, .02 in float32."""

    def sets(self, windows):
        """a a b against a a a c, each a description of ``windows`` equal windows.

        b and c are farther from the mean of all than a: the floor is a share of the farthest norm. What all
        have in common, 50 divisors in every number, is taken off before float32 can round it.
        """
        scale, _ = metrics.constants()
        scale = np.concatenate([scale, np.ones(sum(literal.TEXTURE.values()))])
        random = np.random.RandomState(0)
        a, away = (random.normal(size=len(scale)) for _ in range(2))
        kinds = {"a": 50 + a, "b": 50 + a + 1.7, "c": 50 + a - 2 * away}
        made = []
        for name, letters in (("r", "aab"), ("c", "aaac")):
            rows = [np.repeat([np.float32(kinds[letter] * scale)], windows, axis=0) for letter in letters]
            made.append([literal.Sound(f"{name}{i}", f"{name}{i}", row) for i, row in enumerate(rows)])
        return made

    @pytest.mark.parametrize(
        ("windows", "limit"),
        # 7 x 600 windows are more than 1,024, and than 4,096: float32, in two parts. A kernel of far units is
        # right to 1e-6 there, and sums of 600 numbers one after the other to 600 eps / 2, 2e-5 of a value
        # near 1.8.
        [(1, 1e-12), (3, 1e-12), (600, 1e-4)],
    )
    def test_are_at_distance_zero(self, windows, limit):
        units = literal.units_of(*self.sets(1))
        _, scaled = literal.tested_and_scaled(literal.Case([], []))
        table = sum(literal.distance_table(units, literal.rows_of(units, view)) for view in scaled) / 3
        assert (table == 0).sum() == 7 + 5 * 4  # each with itself, and five copies of a
        expected = literal.energy(table, units, *literal.sides(units))
        found = metrics.distance(*(described(side, "set", metrics.RATE) for side in self.sets(windows)))
        assert found == pytest.approx(expected, abs=limit)

    def test_a_set_of_nothing_but_copies(self):
        reference, candidate = self.sets(2)
        found = metrics.compare(
            *(described(side, "set", metrics.RATE) for side in (reference[:2], candidate[:3]))
        )
        assert (found.value, found.null_spread, found.p_value) == (0.0, 0.0, 1.0)
