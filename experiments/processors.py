"""To how many digits does the distance agree between processors? Measured again with fewer instructions.

Tones of the challenge and 40 synthetic windows (seed 0), 6 comparisons a setting.

Sums and logarithms round differently with other vector instructions. A processor that lacks them is stood in
for by environment variables, read by the libraries when they are loaded:

``OPENBLAS_CORETYPE``
    The kernels of OpenBLAS, behind the matrix products of numpy and scipy.
``NPY_DISABLE_CPU_FEATURES``
    Instructions that numpy's own loops leave unused. X86_V3 is AVX2 with FMA, X86_V4 the first AVX512
    (https://numpy.org/doc/stable/reference/simd/build-options.html). What a processor lacks may be named.
``ATEN_CPU_CAPABILITY``
    The same of PyTorch. The distance does not use it, the tests do.

Conventions
    setting     a name -> these variables. ``make test-processors`` runs all tests under each.
    quantity    value, views, interval and null spread of a comparison.
    difference  of a quantity between a setting and the first one: ``relative`` to its size there,
                ``absolute`` in units of the distance; the largest over the comparisons.
    digits      that agree in every quantity, by its largest relative difference; ``decimals`` by its largest
                absolute one.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import soxr

import gen_audio
import metrics
from study.datasets import synthetic

DATA = ()
TAKES = "a minute"

VARIABLES = ("OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES", "ATEN_CPU_CAPABILITY")
SETTINGS = {
    "as it is": {},
    "without AVX512": dict(zip(VARIABLES, ("Haswell", "X86_V4,AVX512_ICL,AVX512_SPR", "avx2"), strict=True)),
    "without AVX2": dict(
        zip(VARIABLES, ("Prescott", "X86_V3,X86_V4,AVX512_ICL,AVX512_SPR", "default"), strict=True)
    ),
}
QUANTITIES = ("value", "views", "interval", "null_spread")
WINDOWS = 40  # synthetic, half of them a side
NARROW = 8000  # Hz, of synthetic windows that do not fill the band


def sets() -> Iterator[tuple[str, list[np.ndarray], list[np.ndarray], int]]:
    """Name, reference, candidate and rate of every comparison; signals are mono, full scale 1.

    The challenge's sets as 16-bit tones at 16 kHz, both writings, test1 and test2; and ``WINDOWS`` synthetic
    windows in two halves at 22,050 Hz and at ``NARROW``, where the upper bands are empty.
    """
    for overflow in gen_audio.OVERFLOWS:
        tones = gen_audio.test_sets(overflow=overflow)
        sounds = {name: [samples / 2.0**15 for samples in files.values()] for name, files in tones.items()}
        for test in ("test1", "test2"):
            yield f"tones, {test}, {overflow}", sounds["background"], sounds[test], gen_audio.RATE
    windows, half = list(synthetic.windows(WINDOWS)), WINDOWS // 2
    for rate in (synthetic.RATE, NARROW):
        # In 16 bits, as files are: sines differ by processor too, and units are dealt in the order of a
        # checksum of their samples, so that other last digits would be other deals.
        signals = [
            np.round(2**15 * soxr.resample(window, synthetic.RATE, rate)) / 2**15 for window in windows
        ]
        yield f"synthetic, {rate} Hz", signals[:half], signals[half:], rate


def measure() -> dict:
    """All comparisons with the instructions of this process, and which these are.

    Returns ``kernels``, ``loops`` (``instructions``) and ``comparisons``: name -> ``QUANTITIES`` and p-value.
    """
    comparisons = {}
    for name, reference, candidate, rate in sets():
        comparison = metrics.compare(reference, candidate, rate=rate, workers=1).to_dict()
        comparisons[name] = {key: comparison[key] for key in (*QUANTITIES, "p_value")}
    return {**instructions(), "comparisons": comparisons}


def instructions() -> dict[str, list[str]]:
    """What this process computes with, so that a setting that had no effect shows.

    ``kernels``: the architectures whose OpenBLAS kernels numpy and scipy use. ``loops``: instructions for
    which numpy has loops of its own, and uses them.
    """
    import scipy.linalg  # noqa: F401  loads scipy's own OpenBLAS
    from numpy._core import _multiarray_umath as core
    from threadpoolctl import threadpool_info

    kernels = {library.get("architecture", "unknown") for library in threadpool_info()}
    return {
        "kernels": sorted(kernels),
        "loops": [name for name in core.__cpu_dispatch__ if core.__cpu_features__[name]],
    }


def run(settings: Mapping[str, Mapping[str, str]] = SETTINGS) -> dict:
    """Measure under every setting, each in a process of its own; the content of the result.

    Returns
    -------
    dict
        settings       name -> variables, kernels, loops
        comparisons    those of the first setting, in full
        differences    other settings -> ``differences`` from it
        digits, decimals, same_p
                       over all settings: significant digits and decimal places that agree, and whether every
                       p-value does. p counts rearrangements, so it is equal or visibly different.

    Raises
    ------
    subprocess.CalledProcessError
        Where a process fails; likely ``OPENBLAS_CORETYPE`` names kernels that the processor cannot run.
    """
    measured = {name: _measured(variables) for name, variables in settings.items()}
    first, *others = measured.values()
    compared = {
        name: differences(first["comparisons"], other["comparisons"])
        for name, other in zip(list(measured)[1:], others, strict=True)
    }
    rows = [row for other in compared.values() for row in other["quantities"].values()]
    return {
        "settings": {
            name: {"variables": settings[name], "kernels": row["kernels"], "loops": row["loops"]}
            for name, row in measured.items()
        },
        "comparisons": first["comparisons"],
        "differences": compared,
        "digits": places(max(row["relative"] for row in rows)),
        "decimals": places(max(row["absolute"] for row in rows)),
        "same_p": all(row["same_p"] for row in compared.values()),
    }


def differences(first: Mapping, other: Mapping) -> dict:
    """Largest differences of each quantity over comparisons made twice, and whether p-values are equal.

    ``first``, ``other``: name -> quantity -> number, list or mapping. Returns ``quantities`` (quantity ->
    ``relative`` to the size in ``first``, and ``absolute``) and ``same_p``.
    """
    rows = {}
    for quantity in QUANTITIES:
        one, two = (
            np.concatenate([_numbers(comparison[quantity]) for comparison in made.values()])
            for made in (first, other)
        )
        moved = np.abs(two - one)
        rows[quantity] = {"relative": (moved / np.abs(one)).max(), "absolute": moved.max()}
    return {"quantities": rows, "same_p": all(first[n]["p_value"] == other[n]["p_value"] for n in first)}


def places(difference: float) -> int:
    """How many decimal places two numbers share that lie ``difference`` apart.

    15, all that a double has, for equal ones; 0.0004 gives 3.
    """
    return 15 if difference == 0 else math.floor(-math.log10(difference))


def _numbers(quantity) -> np.ndarray:
    return np.ravel(list(quantity.values()) if isinstance(quantity, Mapping) else quantity)


def _measured(variables: Mapping[str, str]) -> dict:
    """``measure`` in a new process; on one thread, so that only instructions differ."""
    kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    done = subprocess.run(
        [sys.executable, "-m", "experiments.processors"],
        cwd=Path(__file__).parents[1],
        env={**kept, **variables, "OPENBLAS_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(done.stdout)


def summary(content: Mapping) -> str:
    """How far processors agree, in one line."""
    return f"{content['digits']} digits and {content['decimals']} decimals agree"


if __name__ == "__main__":  # in a process of its own, which ``_measured`` started
    json.dump(measure(), sys.stdout)
