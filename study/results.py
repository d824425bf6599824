"""Results of a measurement, one JSON file each: written whole or not at all, and read back.

Conventions
    name      of a result: ``results/NAME.json`` in the repository.
    content   a dict of plain types; numpy numbers and arrays become plain ones. NaN and infinity
              are refused: a failed measurement has no place among results.
    header    under the key ``"header"``: ``made_by`` (the command), ``recipe`` of the distance,
              ``seed`` or null, ``versions`` of the packages that numbers depend on, ``data`` (name
              of a set -> its source, number of files and SHA-256 over names and contents).
    rounding  numbers are kept to six significant digits, and what is below 1e-9 becomes 0. Where two
              processors round to either side of a digit, the file that is there stays: one made again
              is written only if it says something else (see ``says_the_same``).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

import metrics
from audio_distance.storage import replacing
from study import datasets

FOLDER = Path(__file__).parents[1] / "results"
PACKAGES = ("numpy", "scipy", "soundfile", "soxr")
DIGITS, SMALLEST = 6, 1e-9
# How far numbers lie apart that say the same: one to ten units of the last digit kept, or ten SMALLEST.
RELATIVE, ABSOLUTE = 10.0 ** (1 - DIGITS), 10 * SMALLEST


def write(
    name: str,
    content: Mapping,
    *,
    made_by: str,
    seed: int | None = None,
    data: Sequence[str] = (),
) -> Path:
    """Write ``content`` with its header, atomically, unless the file there says the same; return the path.

    ``data`` names the sets of ``study.datasets`` that were measured on ("digits", "sounds"): their
    files are hashed now. Raises ValueError for a number that is not finite, for a type JSON does
    not know, and for a content with a key "header".
    """
    if "header" in content:
        raise ValueError(f"{name}: the key 'header' is taken")
    header = {
        "made_by": made_by,
        "recipe": metrics.constants()[1],
        "seed": seed,
        "versions": versions(),
        "data": {which: datasets.fingerprint(which) for which in data},
    }
    kept = {"header": header, **plain(content)}
    path = FOLDER / f"{name}.json"
    if says_the_same(_there(path), kept):
        return path
    text = json.dumps(kept, indent=1, ensure_ascii=False, allow_nan=False)
    # A list of plain values on one line.
    text = re.sub(r"\[\s+([^\[\]{}]*?)\s+\]", lambda m: "[" + re.sub(r"\n\s+", " ", m[1]) + "]", text)
    with replacing(path) as part:
        part.write_text(text + "\n", encoding="utf-8", newline="\n")
    return path


def says_the_same(one, other) -> bool:
    """Whether two contents of plain types are equal up to what rounding on another processor moves.

    Floats by ``RELATIVE`` and ``ABSOLUTE``; everything else, the order of keys too, exactly.
    """
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(says_the_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(says_the_same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
    return type(one) is type(other) and one == other


def _there(path: Path):
    """The content of a result file; None if there is none, or a damaged one."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None


def versions() -> dict[str, str]:
    """Versions of the packages that a number may depend on, by name."""
    return {package: version(package) for package in PACKAGES}


def read(name: str) -> dict:
    """Return a result with its header; FileNotFoundError names the file that is missing."""
    path = FOLDER / f"{name}.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"results/{name}.json is missing: not measured yet") from None


def read_all() -> dict[str, dict]:
    """Every result there is, by name; hidden files are not results."""
    return {path.stem: read(path.stem) for path in sorted(FOLDER.glob("[!.]*.json"))}


def plain(value):
    """``value`` in plain types, numbers rounded to ``DIGITS``; what is below ``SMALLEST`` is 0.

    Mappings become dicts with texts as keys, arrays and tuples lists. ValueError for NaN, infinity, and any
    type that JSON does not know.
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"a result is {value}")
        return 0.0 if abs(value) < SMALLEST else float(f"{value:.{DIGITS}g}")
    raise ValueError(f"a result of type {type(value).__name__} cannot be kept: {value!r}")
