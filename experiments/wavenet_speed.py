"""How fast does a WaveNet generate, beside full recomputation and what the machine can multiply?

Two networks with random weights, which cost what trained ones do: the source's (residual 128, gate 32, skip
128, head 512) and the one that is shipped. Samples a second of CPU on one core (``time.process_time``, BLAS
held to one thread), the best of several passes, because anything else that runs only adds to a time.

Beside each rate, in the same run: the naive way, all layers at all places of the receptive field for every
sample, timed on a few samples and extrapolated; and two limits of the machine, with no layers, no past and no
draws. Bandwidth is that of one product of BLAS with a vector (sgemv) that has as many weights, which every
sample of a single clip must read from the cache. Arithmetic is that of a product of square matrices (sgemm),
which reads each weight hundreds of times: more is not possible for any batch.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

DATA = ()
NEEDS = ("numba",)
TAKES = "two minutes"

NETWORKS = {
    "source": {"residual": 128, "gate": 32, "skip": 128, "head": 512},
    "shipped": {"residual": 24, "gate": 24, "skip": 96, "head": 128},
}
CLIPS = (1, 4, 16)
SECONDS, RATE = 10, 8000
COMPARED = 20  # places of a clip where cached and recomputed log-probabilities are compared
ROOT = Path(__file__).parents[1]


def best(function: Callable, repeats: int) -> float:
    """CPU seconds of a call, the best of ``repeats``."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


def random_parameters(settings, seed: int = 0) -> dict[str, np.ndarray]:
    """Normal weights, by the number of inputs, so that outputs are neither flat nor certain."""
    rng = np.random.default_rng(seed)

    def gain(name: str, shape: tuple[int, ...]) -> float:
        if name == "embedding":
            return 1.0
        return 0.1 if "bias" in name else (0.7 if ".residual" in name else 1.2) / np.sqrt(shape[-1])

    return {
        name: (gain(name, shape) * rng.standard_normal(shape)).astype(np.float32)
        for name, shape in settings.shapes().items()
    }


def limits(multiply_adds: int, repeats: int) -> dict[str, float]:
    """Samples a second that the products alone would allow: ``bandwidth``, ``arithmetic``."""
    rng = np.random.default_rng(0)

    def a_second(size: int, columns: int, calls: int) -> float:
        """Multiply-adds of (size, size) @ (size, columns)."""
        weights = rng.standard_normal((size, size), dtype=np.float32)
        inputs = rng.standard_normal((size, columns), dtype=np.float32)
        inputs = inputs[:, 0] if columns == 1 else inputs

        def products() -> None:
            for _ in range(calls):
                weights @ inputs

        return calls * size * size * columns / best(products, repeats)

    return {
        "bandwidth": a_second(round(multiply_adds**0.5), 1, 1000) / multiply_adds,
        "arithmetic": a_second(512, 512, 4) / multiply_adds,
    }


def layouts(settings, repeats: int) -> dict[str, float]:
    """Products of one clip alone, samples a second: along outputs, as the kernels have it, and along inputs.

    The second is four dot products at once under fastmath: it needs no sums of vectors in memory, but sums
    across their lanes.
    """
    from numba import njit

    from models import sampling_kernels as kernels

    @njit(fastmath=True)
    def dot_products(out, weights, inputs):
        rows, columns = weights.shape
        for i in range(0, rows, 4):
            a = b = c = d = np.float32(0)
            for j in range(columns):
                x = inputs[0, j]
                a += weights[i, j] * x
                b += weights[i + 1, j] * x
                c += weights[i + 2, j] * x
                d += weights[i + 3, j] * x
            out[0, i] += a
            out[0, i + 1] += b
            out[0, i + 2] += c
            out[0, i + 3] += d

    gates, mixed, layers = 2 * settings.gate, settings.residual + settings.skip, len(settings.dilations)
    shapes = {  # how many, outputs, inputs
        "taps": (layers, gates, 2 * settings.residual),
        "mix": (layers, mixed, settings.gate),
        "head": (1, settings.head, settings.skip),
        "output": (1, settings.codes, settings.head),
    }

    def rate(product, transposed: bool) -> float:
        @njit
        def pass_through(count, weights, inputs, outs):
            for _ in range(count):
                for layer in range(len(weights[1])):
                    product(outs[0], weights[0][layer], inputs[0])
                    product(outs[1], weights[1][layer], inputs[1])
                product(outs[2], weights[2][0], inputs[2])
                product(outs[3], weights[3][0], inputs[3])

        rng, order = np.random.default_rng(0), (0, 2, 1) if transposed else (0, 1, 2)
        weights = tuple(
            np.ascontiguousarray(rng.standard_normal(shape, dtype=np.float32).transpose(order))
            for shape in shapes.values()
        )
        inputs = tuple(1e-6 * np.ones((1, shape[2]), np.float32) for shape in shapes.values())
        outs = tuple(np.zeros((1, shape[1]), np.float32) for shape in shapes.values())
        pass_through(1, weights, inputs, outs)
        return 1000 / best(lambda: pass_through(1000, weights, inputs, outs), repeats)

    return {"along_outputs": rate(kernels.add_product, True), "along_inputs": rate(dot_products, False)}


def measure(sizes: dict[str, int], *, repeats: int, count: int) -> dict:
    """Rates of one network; see ``run``."""
    from models.sampler import Sampler, generate, log_probabilities
    from models.wavenet_parameters import Settings, recompute

    settings = Settings(**sizes)
    parameters = random_parameters(settings)
    sampler, field = Sampler(parameters, settings), settings.receptive_field
    batches = {}
    for clips in CLIPS:
        state = generate(sampler, 1, seed=0, batch=clips).state  # compiled, and primed
        steps = max(count // clips, 50)

        def go(top_p: float = 1.0, state=state, steps=steps, clips=clips) -> None:
            generate(sampler, steps, seed=0, batch=clips, state=state, top_p=top_p)

        batches[str(clips)] = {
            "per_second": clips * steps / best(go, repeats),
            "with_top_p_per_second": clips * steps / best(lambda: go(0.9), repeats),
        }
    window = np.random.default_rng(0).integers(0, settings.codes, field)
    naive = best(lambda: recompute(parameters, settings, window, dtype=np.float32), repeats)
    clip = np.random.default_rng(1).integers(0, settings.codes, COMPARED)
    heard = np.concatenate([np.full(field, settings.codes // 2), clip])
    exact, single = (
        np.array(
            [recompute(parameters, settings, heard[t : t + field], dtype=dtype) for t in range(COMPARED)]
        )
        for dtype in (np.float64, np.float32)
    )
    whole = SECONDS * RATE
    return {
        "sizes": sizes,
        "multiply_adds": settings.multiply_adds,
        "receptive_field": field,
        "batches": batches,
        "limits_per_second": limits(settings.multiply_adds, repeats),
        "naive_per_second": 1 / naive,
        "naive_timed_samples": repeats,
        "ten_seconds_cpu": best(lambda: generate(sampler, whole, seed=0), 1 if count < 1000 else 3),
        "ten_seconds_naive_cpu": whole * naive,
        "products_per_second": layouts(settings, repeats),
        "difference": np.abs(log_probabilities(sampler, clip) - exact).max(),
        "difference_of_single_precision": np.abs(single - exact).max(),
    }


def first_call() -> dict[str, float]:
    """Wall seconds of a process that makes one sample: with nothing kept, and with the machine code kept."""
    code = (
        "import numpy as np; from models.sampler import Sampler, generate; "
        "from models.wavenet_parameters import Settings; s = Settings(layers=2); "
        "generate(Sampler({k: np.zeros(v) for k, v in s.shapes().items()}, s), 1, seed=0)"
    )
    with tempfile.TemporaryDirectory() as folder:
        times = []
        for _ in range(2):
            start = time.perf_counter()
            subprocess.run(
                [sys.executable, "-c", code],
                cwd=ROOT,
                env={**os.environ, "AUDIO_DISTANCE_CACHE": folder, "NUMBA_CACHE_DIR": ""},
                check=True,
            )
            times.append(time.perf_counter() - start)
    return {"compiling_seconds": times[0], "kept_seconds": times[1]}


def run(*, quick: bool = False) -> dict:
    """All rates of this machine, as the content of ``results/wavenet_speed.json``.

    Returns
    -------
    dict
        networks      name -> sizes, multiply-adds a sample (of all matrices, without the embedding),
                      receptive field; ``batches``: clips -> samples a second of all clips together, all
                      codes or top-p .9; ``limits_per_second``; ``naive_per_second``; CPU seconds for 10 s at
                      8 kHz, the silence before included, and for the naive way, extrapolated; products alone
                      in two layouts; the largest difference of log-probabilities to double precision, and
                      that of numpy in single
        first_call    wall seconds of a process
        machine       architecture, cores, and how many processes waited for them on average (load)
    """
    repeats, count = (2, 200) if quick else (15, 4000)
    with threadpool_limits(1):
        return {
            "networks": {name: measure(s, repeats=repeats, count=count) for name, s in NETWORKS.items()},
            "first_call": first_call(),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        }


def summary(measured: dict) -> str:
    """The rates, a line each."""
    lines = []
    for name, found in measured["networks"].items():
        lines.append(
            f"{name} ({found['multiply_adds']:,} multiply-adds a sample): {SECONDS} s at {RATE} Hz in "
            f"{found['ten_seconds_cpu']:.2f} s of CPU; naive {found['ten_seconds_naive_cpu']:,.0f} s "
            f"({found['naive_per_second']:.0f} samples a second, extrapolated from "
            f"{found['naive_timed_samples']})"
        )
        limit = found["limits_per_second"]
        lines.append(
            f"  limits: {limit['bandwidth']:,.0f} samples a second by bandwidth for one clip, "
            f"{limit['arithmetic']:,.0f} by arithmetic for any"
        )
        for clips, rates in found["batches"].items():
            lines.append(
                f"  {clips:>2} at once: {rates['per_second']:,.0f} samples a second, "
                f"{rates['with_top_p_per_second']:,.0f} with top-p .9"
            )
        alone = found["products_per_second"]
        lines.append(
            f"  products alone: {alone['along_outputs']:,.0f} along outputs, {alone['along_inputs']:,.0f} "
            f"along inputs; log-probabilities within {found['difference']:.1e} of double precision (numpy in "
            f"single: {found['difference_of_single_precision']:.1e})"
        )
    first = measured["first_call"]
    lines.append(
        f"first sample of a process: {first['compiling_seconds']:.1f} s where all is compiled, "
        f"{first['kept_seconds']:.1f} s where it is kept; {measured['machine']}"
    )
    return "\n".join(lines)
