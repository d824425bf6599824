"""What does it cost to train a WaveNet: by one process and by two, with little data and with much?

The shipped network on an autoregressive noise of mu-law codes, in windows of one clip each.

Conventions
    arrangement   processes x threads: 1 x 1; 1 x 2, PyTorch's own threads; 2 x 1, torch.distributed (gloo),
                  which share each batch and average the gradient.
    seconds       wall time of a step, median of those after the first ``WARM_UP``; all arrangements in turn,
                  ``ROUNDS`` times, the best of them: anything else that runs only adds to a time.
    memory        peak resident set of a whole training process, with 1 and with 20 times the data in files.
    SOURCE        the speed-up that the study this began with had in its cloud, as it was printed.
"""

from __future__ import annotations

import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy.signal import lfilter

from study.datasets.mu_law import encode

DATA = ()
NEEDS = ("PyTorch", "Hydra")
TAKES = "five minutes"

ROOT = Path(__file__).parents[1]
ARRANGEMENTS = {"1 x 1": (1, 1), "1 x 2": (1, 2), "2 x 1": (2, 1)}
ROUNDS, STEPS, WARM_UP = 2, 25, 5
CLIP, CLIPS = 5_000, 64  # codes, all of one length: each process has as many
BATCH = 8
SOURCE = {"asynchronous": 1.68, "synchronous": 2.5}  # on 4 workers and more

PROGRAM = """
import json, os, resource, sys, time
from pathlib import Path

from ablations.config import load
from models.wavenet_training import WaveNet

options, folder = json.loads(sys.argv[1]), Path(sys.argv[2])
model = WaveNet(**{k: v for k, v in load(config_name="wavenet").model.items() if k != "_target_"} | options)
losses, times = [], [time.perf_counter()]
for step in model.train(sorted(folder.glob("*.codes")), 8000, seed=0):
    times.append(time.perf_counter())
    losses.append(model.parts.get("bits"))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
if os.environ.get("RANK", "0") == "0":
    seconds = [b - a for a, b in zip(times[1:], times[2:])]
    print(json.dumps({"losses": losses[1:], "seconds": seconds, "peak": peak}))
"""


def trained(folder: Path, *, processes: int = 1, threads: int = 1, **options) -> dict:
    """Train in processes of their own: ``losses`` in bits a step, ``seconds`` of each, ``peak`` in bytes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    base = {k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE")}
    base |= {"OMP_NUM_THREADS": str(threads)}
    shared = {"WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    more = [shared | {"RANK": str(rank)} for rank in range(processes)] if processes > 1 else [{}]
    told = json.dumps({"threads": threads, **options})
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, told, str(folder)],
            cwd=ROOT,
            env=base | own,
            stdout=subprocess.PIPE,
            text=True,
        )
        for own in more
    ]
    outputs = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise RuntimeError(f"a training of {processes} processes has failed; see its error above")
    return json.loads(outputs[0])


def noise(clips: int, length: int) -> list[np.ndarray]:
    """Codes of a resonant autoregressive noise, one clip after the other from seed 0."""
    rng = np.random.default_rng(0)
    return [encode(lfilter([1], [1, -1.6, 0.8], 0.02 * rng.normal(size=length))) for _ in range(clips)]


def arrangements(folder: Path, *, rounds: int, steps: int, batch: int) -> dict:
    """Seconds a step and losses of every arrangement."""
    runs: dict[str, list[dict]] = {name: [] for name in ARRANGEMENTS}
    for _ in range(rounds):
        for name, (processes, threads) in ARRANGEMENTS.items():
            options = {"steps": steps, "batch": batch, "groups": 1}
            runs[name].append(trained(folder, processes=processes, threads=threads, **options))
    after = min(WARM_UP, steps - 1)
    seconds = {
        name: min(float(np.median(one["seconds"][after:])) for one in several)
        for name, several in runs.items()
    }
    base = np.array(runs["1 x 1"][0]["losses"])
    return {
        name: {
            "seconds": seconds[name],
            "speed_up": seconds["1 x 1"] / seconds[name],
            "losses": several[0]["losses"],
            "largest_difference_of_losses": float(np.abs(np.array(several[0]["losses"]) - base).max()),
        }
        for name, several in runs.items()
    }


def memory(folder: Path, *, megabytes: int, steps: int) -> dict:
    """Peak bytes of a training on one part of the data, and on twenty."""
    rng = np.random.default_rng(0)
    found = {}
    for times in (1, 20):
        own = folder / str(times)
        own.mkdir()
        for i in range(times):
            (own / f"{i:02d}.codes").write_bytes(rng.bytes(1_000_000 * megabytes))
        found[str(times)] = {
            "codes": 1_000_000 * megabytes * times,
            "peak": trained(own, steps=steps, window=16384, batch=2, groups=1)["peak"],
        }
    return found


def run(*, quick: bool = False) -> dict:
    """``arrangements`` and ``memory`` by name, ``settings``, ``source``, and the machine with its load."""
    rounds, steps, batch = (1, 2, 2) if quick else (ROUNDS, STEPS, BATCH)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made, "noise")
        folder.mkdir()
        for i, codes in enumerate(noise(4 if quick else CLIPS, CLIP)):
            (folder / f"{i:02d}.codes").write_bytes(codes.tobytes())
        load = os.getloadavg()[0]
        return {
            "arrangements": arrangements(folder, rounds=rounds, steps=steps, batch=batch),
            "memory": memory(Path(made), megabytes=1 if quick else 10, steps=1 if quick else 10),
            "settings": {"clip": CLIP, "batch": batch, "steps": steps, "rounds": rounds},
            "source": SOURCE,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f}",
        }


def summary(found: Mapping) -> str:
    """Seconds a step, and peaks."""
    lines = [
        f"{name}: {row['seconds']:.3f} s a step, {row['speed_up']:.2f} x, losses within "
        f"{row['largest_difference_of_losses']:.1e} bits"
        for name, row in found["arrangements"].items()
    ]
    lines += [
        f"{times} x the data, {row['codes'] / 1e6:.0f} MB: peak {row['peak'] / 2**20:.0f} MiB"
        for times, row in found["memory"].items()
    ]
    return "\n".join([*lines, found["machine"]])
