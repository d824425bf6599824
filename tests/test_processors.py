"""Other processors are really stood in for, and differences between them are measured as they are."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from experiments import processors
from study import results

ROOT = Path(__file__).parents[1]
MADE = {
    "a": {
        "value": 0.5,
        "views": {"x": 0.1, "y": 2.0},
        "interval": [-1.0, 2.0],
        "null_spread": 1.0,
        "p_value": 0.1,
    },
    "b": {
        "value": -0.01,
        "views": {"x": 1.0, "y": 1.0},
        "interval": [0.5, 1.0],
        "null_spread": 1.0,
        "p_value": 0.2,
    },
}


def test_differences_are_the_largest_of_all_comparisons():
    other = json.loads(json.dumps(MADE))
    assert processors.differences(MADE, other)["same_p"]
    other["b"]["value"] += 1e-4  # a hundredth of it
    other["a"]["views"]["y"] += 4e-3
    other["b"]["p_value"] = 0.21
    found = processors.differences(MADE, other)
    rows = found["quantities"]
    assert rows["value"] == pytest.approx({"relative": 1e-2, "absolute": 1e-4})
    assert rows["views"] == pytest.approx({"relative": 2e-3, "absolute": 4e-3})
    assert rows["interval"] == {"relative": 0, "absolute": 0}  # copies
    assert not found["same_p"]


@pytest.mark.parametrize(("difference", "places"), [(0, 15), (2e-6, 5), (0.9e-6, 6), (0.3, 0)])
def test_places(difference, places):
    assert processors.places(difference) == places


@pytest.mark.parametrize("setting", processors.SETTINGS)
def test_a_setting_takes_effect(setting):
    """What is named is used no more, on a processor that has it, and the libraries load all the same."""
    variables = processors.SETTINGS[setting]
    kept = {name: value for name, value in os.environ.items() if name not in processors.VARIABLES}
    script = "import json; from experiments import processors; print(json.dumps(processors.instructions()))"
    whole, found = (
        json.loads(
            subprocess.run(
                [sys.executable, "-c", script],
                cwd=ROOT,
                env={**kept, **each},
                capture_output=True,
                check=True,
            ).stdout
        )
        for each in ({}, variables)
    )
    off = variables.get("NPY_DISABLE_CPU_FEATURES", "").split(",")
    assert found["loops"] == [name for name in whole["loops"] if name not in off]
    if variables and "X86_V4" in whole["loops"]:
        assert found["kernels"] != whole["kernels"]


def test_the_tests_run_under_the_settings_that_are_measured():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    for variables in filter(None, processors.SETTINGS.values()):
        assert f":= {' '.join(f'{name}={value}' for name, value in variables.items())}\n" in text


def test_the_result_is_of_these_settings():
    found = results.read("processors")
    assert {name: row["variables"] for name, row in found["settings"].items()} == processors.SETTINGS
    assert len({tuple(row["kernels"] + row["loops"]) for row in found["settings"].values()}) == 3
    # float32 descriptions have seven digits; a value near 0 is a difference of sums of order 1.
    assert found["digits"] >= 4 and found["decimals"] >= 6 and found["same_p"]
