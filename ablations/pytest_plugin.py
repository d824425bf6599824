"""A pytest plugin: a test fails because the model got worse, not because the seed was unlucky.

    # conftest.py
    pytest_plugins = ["ablations.pytest_plugin"]

    # test_model.py
    @pytest.mark.regression(baseline="runs/base", margin="5%")
    def test_new_encoder(regression):
        regression("runs/new_encoder")            # all seeds of a name, or {seed: value}

Conventions
    baseline   a folder of runs, a JSON file of {seed: value}, or such a mapping. So is the candidate.
    judged     folders of runs by every metric of the family, as by ``python -m ablations compare``; with
               ``metric=``, and where a side is values, by one number, by default the distance.
    verdict    worse fails the test. Better and no worse pass it. Undecided passes with a warning that says
               how many seeds would decide it, or fails with ``--regression-strict``. (The command ends with
               1, 0 and 3 for these.)
    keywords   of the marker: metric and those of ``ablations.compare.compare``, or margins of the family;
               any other is an error.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from ablations.compare import MARGIN, compare, compare_family, is_higher_better
from ablations.family import FamilyVerdict
from ablations.run_sets import RunSet, load, load_family
from ablations.statistics import Verdict

SHARED = ("margin", "floor", "paired", "level", "look", "looks", "test")
SETTINGS = {"one": (*SHARED, "higher_is_better", "metric"), "family": (*SHARED, "margins")}
ROLES = ("baseline", "candidate")
PROPERTY = "regression"  # of a test's report: a verdict, which a worker of xdist sends with it


class UndecidedWarning(UserWarning):
    """The seeds do not suffice to say whether the model got worse."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds ``--regression-strict``."""
    group = parser.getgroup("regression", "has a model got worse?")
    group.addoption("--regression-strict", action="store_true", help="undecided regressions fail too")


def pytest_configure(config: pytest.Config) -> None:
    """Declares the marker, so that ``--strict-markers`` knows it."""
    config.addinivalue_line(
        "markers",
        "regression(baseline, *, margin='5%', metric=None, ...): compare a model's runs with a baseline's "
        "through the fixture regression; see ablations.pytest_plugin",
    )


@pytest.fixture
def regression(request: pytest.FixtureRequest) -> Callable[..., Verdict | FamilyVerdict]:
    """A function of the candidate's runs that fails the test if they are worse; returns the verdict.

    The candidate is a folder of runs, a JSON file, or a mapping of values by seed. Needs the marker
    ``regression`` with a baseline; a marker without one, or with a keyword that ``compare`` does not have,
    fails the test at once, for it would otherwise check nothing.
    """
    marker = request.node.get_closest_marker("regression")
    if marker is None:
        pytest.fail(
            "the fixture regression needs the marker: @pytest.mark.regression(baseline=..., margin=...)"
        )
    settings = dict(marker.kwargs)
    if len(marker.args) == 1:
        settings["baseline"] = marker.args[0]
    if "baseline" not in settings or len(marker.args) > 1:
        pytest.fail("the marker regression takes one baseline: a folder of runs, a JSON file or a mapping")
    baseline = settings.pop("baseline")

    def judge(candidate: Path | str | Mapping[int, float]) -> Verdict | FamilyVerdict:
        both = (baseline, candidate)
        single = {"metric", "higher_is_better"} & set(settings) or not all(map(_is_folder, both))
        known = SETTINGS["one" if single else "family"]
        if unknown := set(settings) - set(known):
            pytest.fail(f"the marker regression has no {', '.join(sorted(unknown))}; there are {known}")
        if single:
            options = dict(settings)
            metric = options.pop("metric", "distance")
            options.setdefault("higher_is_better", is_higher_better(metric))
            sides = [_runs(side, role, metric) for side, role in zip(both, ROLES, strict=True)]
            (verdict,) = compare(sides[0], sides[1:], **options).values()
        else:
            metric = None
            families = [load_family(side) for side in both]
            (verdict,) = compare_family(families[0], families[1:], **{"margin": MARGIN} | settings).values()
            sides = [runs.distance for runs in families]
        text = f"{sides[1].name} against {sides[0].name}{f', {metric}' if metric else ''}: {verdict}"
        request.node.user_properties.append((PROPERTY, text))
        if verdict.verdict == "worse":
            pytest.fail(text, pytrace=False)
        if verdict.verdict == "undecided":
            if request.config.getoption("--regression-strict"):
                pytest.fail(text, pytrace=False)
            warnings.warn(UndecidedWarning(text), stacklevel=2)
        return verdict

    return judge


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Every verdict at the end of the output, since passed tests say nothing."""
    reports = [report for kind in terminalreporter.stats.values() for report in kind]
    calls = [report for report in reports if getattr(report, "when", None) == "call"]
    if verdicts := [(r.nodeid, text) for r in calls for name, text in r.user_properties if name == PROPERTY]:
        terminalreporter.section("regressions")
        for test, text in verdicts:
            terminalreporter.write_line(f"{test}: {text}")


def _is_folder(source: Path | str | Mapping) -> bool:
    """Whether a side is runs, of which every metric is known, and not values of one."""
    return isinstance(source, (str, Path)) and Path(source).suffix != ".json"


def _runs(source: Path | str | Mapping, role: str, metric: str) -> RunSet:
    """Runs of a folder, or values of a mapping or JSON file, by seed."""
    if _is_folder(source):
        return load(source, metric=metric)
    name = role
    if not isinstance(source, Mapping):
        name = Path(source).stem
        try:
            source = json.loads(Path(source).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            pytest.fail(f"{role} {source}: {error}", pytrace=False)
    try:
        values = {int(seed): float(value) for seed, value in source.items()}
    except (AttributeError, TypeError, ValueError):
        pytest.fail(f"the {role} is not a table of values by seed, like {{0: 0.31, 1: 0.29}}", pytrace=False)
    return RunSet(name, Path(), dict(sorted(values.items())), recipe="", reference="")
