"""A pytest plugin: a test fails because the model got worse, not because the seed was unlucky.

    # conftest.py
    pytest_plugins = ["ablations.pytest_plugin"]

    # test_model.py
    @pytest.mark.regression(baseline="runs/base", margin="5%")
    def test_new_encoder(regression):
        regression("runs/new_encoder")            # all seeds of a name, or {seed: value}

Conventions
    baseline   a folder of runs, a JSON file of {seed: value}, or such a mapping. So is the candidate.
    verdict    worse fails the test. Better and no worse pass it. Undecided passes with a warning that says
               how many seeds would decide it, or fails with ``--regression-strict``.
    keywords   of the marker: metric and those of ``ablations.compare.compare``; any other is an error.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from ablations.compare import RunSet, compare, load
from ablations.statistics import Verdict

SETTINGS = ("margin", "floor", "paired", "higher_is_better", "level", "look", "looks", "test")
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
        "regression(baseline, *, metric='distance', margin=0, ...): compare a model's runs with a "
        "baseline's through the fixture regression; see ablations.pytest_plugin",
    )


@pytest.fixture
def regression(request: pytest.FixtureRequest) -> Callable[..., Verdict]:
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
    if unknown := set(settings) - {"baseline", "metric", *SETTINGS}:
        pytest.fail(f"the marker regression has no {', '.join(sorted(unknown))}; there are {SETTINGS}")
    baseline, metric = settings.pop("baseline"), settings.pop("metric", "distance")

    def judge(candidate: Path | str | Mapping[int, float]) -> Verdict:
        sides = [_runs(baseline, "baseline", metric), _runs(candidate, "candidate", metric)]
        (verdict,) = compare(sides[0], sides[1:], **settings).values()
        text = f"{sides[1].name} against {sides[0].name}, {metric}: {verdict}"
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


def _runs(source: Path | str | Mapping, role: str, metric: str) -> RunSet:
    """Runs of a folder, or values of a mapping or JSON file, by seed."""
    if isinstance(source, (str, Path)) and Path(source).suffix != ".json":
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
