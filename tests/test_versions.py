"""Versions of the recipe side by side: the column at work is made of the results that there are."""

import pytest

import metrics
from experiments import versions
from report import tables
from study import results


def current():
    recipe = metrics.constants()[1]
    read = results.read_all()
    return recipe, {name: content for name, content in read.items() if content["header"]["recipe"] == recipe}


def test_the_kept_column_is_what_the_results_say():
    """A result that was made again without this one would leave an old number here."""
    recipe, measured = current()
    kept = results.read("versions")["versions"][recipe]
    column = results.plain(dict(versions.measures(measured)))
    assert set(versions.ONCE) <= column.keys()
    column |= versions.measured_once(kept)
    assert {"power, digits, N = 20", "false alarms, unequal lengths, mean"} <= column.keys()
    for name, row in column.items():
        # Kept of numbers that are rounded to six digits themselves, and of differences of some.
        assert row["value"] == pytest.approx(kept[name]["value"], rel=1e-4, abs=1e-6), name
        assert (row["n"], row["share"]) == (kept[name]["n"], kept[name]["share"]), name
    others = kept.keys() - column.keys()
    assert all(name.startswith("listeners") for name in others)


def test_a_version_keeps_its_column():
    content = results.read("versions")
    first, *_, last = content["versions"]
    assert first.startswith("1-") and last == metrics.constants()[1]
    table = tables.versions_beside(content)
    assert list(table.columns) == ["version 1", "version 2"] and not table.isna().any().any()


def test_listeners_are_a_mean_over_laboratories():
    found = {
        name: {"spearman": value, "pairs": 0.5, "laboratory": laboratory}
        for name, value, laboratory in (("a", 1.0, "x"), ("b", 0.0, "x"), ("c", 0.0, "y"))
    }
    column = dict(versions._of_listeners(found))
    assert column["listeners, Spearman"]["value"] == pytest.approx(0.25)  # of .5 and 0
    assert column["listeners, Spearman"]["n"] == 2


def test_times_are_those_of_the_hour_in_which_both_versions_were_measured():
    content = results.read("versions")["versions"]
    first, *_, last = (versions.measured_once(column) for column in content.values())
    assert first.keys() == last.keys() == {*versions.ONCE}
    assert 0 < first[versions.ONCE[0]]["value"] < last[versions.ONCE[0]]["value"]
    assert versions.measured_once({}) == {}
