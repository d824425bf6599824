"""How fast is the distance? Ratios against a floor and a peer, measured in the same run.

30 synthetic seconds (seed 0), and sets of up to a million random windows. CPU time on one core
(``time.process_time``, BLAS and torch held to one thread), the best of several repeats, because anything else
that runs only ever adds to a time.

The floor is the five short-time Fourier transforms alone. The peer, where torch is installed, is a
network of VGGish's topology (Hershey et al. 2017: six convolutions, three dense layers, one 96 x 64
log-mel patch a .96 s) with random weights, which cost what trained ones do.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import scipy.fft
import scipy.signal
import soundfile
from numpy.lib.stride_tricks import sliding_window_view
from threadpoolctl import threadpool_limits

import metrics
from audio_distance import audio, extraction, features
from study.datasets import synthetic

DATA = ()
NEEDS = ("PyTorch for the peer",)
TAKES = "half an hour, and 15 GB of disk while it runs"

COMPARED = ((20, 1), (100, 1), (1_000, 1), (10_000, 1), (1_000, 10), (20, 1_800), (100_000, 1))
MAPPED = ((10_000, 10), (100_000, 10))  # of saved parts, which are not held in memory
PART_WINDOWS = 50_000  # of a saved part: 343 MiB
STEREO_RATE = 44_100  # Hz
# Largest resident size of a process, on Linux; ru_maxrss starts at what its parent had when it forked.
PEAK = """
import re
def peak_mib():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024
"""
# Of what is mapped pages stay as long as there is room, and leave when there is none: what a process holds
# is the rest, of which the system keeps no largest size.
ANONYMOUS_PEAK = """
import re, threading, time
sizes = [0]
def watch():
    while True:
        sizes[0] = max(sizes[0], int(re.search(r"RssAnon:\\s+(\\d+)", open("/proc/self/status").read())[1]))
        time.sleep(0.01)
threading.Thread(target=watch, daemon=True).start()
def peak_mib():
    return sizes[0] / 1024
"""
SETS = """
import numpy as np
import metrics
from audio_distance.description import Description, Sound
scale, recipe = metrics.constants()
directions = np.random.default_rng(0).standard_normal((60, 1799), dtype=np.float32) / 8
def described(name, shift, seed, some):
    sounds = []
    for i in some:
        rng = np.random.default_rng([seed, i])
        of_file = rng.standard_normal((1, 60), dtype=np.float32)
        of_window = rng.standard_normal((windows, 60), dtype=np.float32)
        vectors = (of_file + 0.3 * of_window) @ directions + shift
        vectors += 0.2 * rng.standard_normal(vectors.shape, dtype=np.float32)
        vectors[:, :1032] *= scale
        vectors = vectors.astype(np.float32)
        seconds = float(windows)
        sounds.append(Sound(name + str(i), name + str(i), 44100, seconds, seconds, -20.0, vectors))
    return Description(name, metrics.RATE, recipe, (), tuple(sounds))
"""


def cpu_per_second(function, signals, *, repeats: int = 7) -> float:
    """Milliseconds of CPU a second of audio, on one thread; ``signals`` are one second each.

    ``function`` is called with each signal in turn; the best of ``repeats`` passes over all of them counts.
    """
    best = np.inf
    with threadpool_limits(1):
        for _ in range(repeats):
            start = time.process_time()
            for signal in signals:
                function(signal)
            best = min(best, (time.process_time() - start) / len(signals))
    return 1e3 * best


def transforms_only(signal: np.ndarray) -> None:
    """The floor: every short-time Fourier transform of the recipe, nothing else."""
    for n_fft in sorted({*metrics.ENVELOPE_SIZES, *metrics.FINE_SIZES}):
        window = scipy.signal.windows.hann(n_fft, sym=False).astype(np.float32)
        frames = sliding_window_view(np.pad(signal, n_fft // 2), n_fft)[:: n_fft // 4]
        scipy.fft.rfft(frames * window, axis=1, overwrite_x=True)


def vggish_topology(seconds: int) -> float | None:
    """CPU milliseconds a second of audio of the peer, on one thread; None without PyTorch.

    One batch of ``seconds`` log-mel patches of .96 s, best of four passes. The spectrogram before it is not
    counted, which is in the peer's favour. Layers as in the published VGGish (Hershey et al. 2017,
    arXiv:1609.09430): convolutions of 64, 128, 256, 256, 512, 512 channels, then dense ones of 4096, 4096,
    128.
    """
    try:
        import torch
        from torch import nn
    except ModuleNotFoundError:
        return None
    torch.set_num_threads(1)
    torch.manual_seed(0)
    layers, channels = [], 1  # one channel in: the log-mel patch
    for width in (64, "pool", 128, "pool", 256, 256, "pool", 512, 512, "pool"):
        if width == "pool":
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
    layers += [
        nn.Flatten(),
        nn.Linear(512 * 6 * 4, 4096),
        nn.ReLU(),
        nn.Linear(4096, 4096),
        nn.ReLU(),
        nn.Linear(4096, 128),
    ]
    network = nn.Sequential(*layers).eval()
    patches = torch.randn(seconds, 1, 96, 64)
    best = np.inf
    with torch.inference_mode():
        for _ in range(4):
            start = time.process_time()
            network(patches)
            best = min(best, time.process_time() - start)
    return 1e3 * best / (0.96 * seconds)


def comparing() -> list[dict]:
    """Time and memory of ``compare`` (value, test, interval) of described sets, a row a size.

    ``files`` a side and ``windows`` a file; ``seconds`` of CPU on one thread; ``peak_mib``, the largest
    resident size, sets included, of a process of its own, so that nothing measured before counts.
    Numbers of a random-effects model: files differ in 60 directions, windows of a file in the same ones.
    """
    return [_compared(files, windows) for files, windows in COMPARED]


def _compared(files: int, windows: int) -> dict:
    # The peak never falls, so a process of its own.
    code = f"""
import json, time
files, windows = {files}, {windows}
{SETS}
sets = described("x", 0, 0, range(files)), described("y", 0.02, 1, range(files))
start = time.process_time()
metrics.compare(*sets, paired=False, progress=False)
print(json.dumps({{"seconds": time.process_time() - start, "peak_mib": peak_mib()}}))
"""
    return {"files": files, "windows": windows, **_told_by(PEAK + code)}


def comparing_mapped() -> list[dict]:
    """The same of sets that were described and saved in parts, joined, and never read as a whole.

    ``seconds`` with those of joining, which checks the files; ``peak_mib`` of memory that the process has for
    itself: pages of the mapped files are not in it. One size at a time is on the disk.
    """
    return [_compared_mapped(files, windows) for files, windows in MAPPED]


def _compared_mapped(files: int, windows: int) -> dict:
    step = max(1, PART_WINDOWS // windows)
    with tempfile.TemporaryDirectory() as folder:
        saving = f"""
files, windows, step = {files}, {windows}, {step}
{SETS}
for name, shift, seed in (("x", 0, 0), ("y", 0.02, 1)):
    for first in range(0, files, step):
        some = range(first, min(first + step, files))
        described(name, shift, seed, some).save(f"{folder}/{{name}}/{{first:09d}}.npz")
print("{{}}")
"""
        _told_by(saving)
        code = f"""
import json, time
from pathlib import Path
import metrics
start = time.process_time()
sets = [metrics.join(sorted(Path("{folder}", name).iterdir())) for name in "xy"]
metrics.compare(*sets, paired=False, progress=False)
print(json.dumps({{"seconds": time.process_time() - start, "peak_mib": peak_mib()}}))
"""
        return {"files": files, "windows": windows, **_told_by(ANONYMOUS_PEAK + code)}


def _told_by(code: str) -> dict:
    """What a process of its own, on one thread, prints as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        },  # read when numpy is imported
    )
    told: dict = json.loads(done.stdout)
    return told


def write_stereo(path: Path, minutes: int) -> None:
    """A FLAC of seeded tones in noise, 44.1 kHz and 16 bits: one minute, at another level each time."""
    time_of_minute = np.arange(60 * STEREO_RATE) / STEREO_RATE
    glide = 0.2 * np.sin(2 * np.pi * (200 + 5 * time_of_minute) * time_of_minute)
    minute = np.stack([glide, np.roll(glide, 1000)], axis=1)
    rng = np.random.default_rng(0)
    with soundfile.SoundFile(path, "w", STEREO_RATE, 2) as file:
        for i in range(minutes):
            file.write(minute * (0.5 + 0.5 * np.sin(i) ** 2) + rng.normal(0, 0.01, minute.shape))


def describing(repeats: int = 7) -> dict:
    """CPU milliseconds a second of a minute of stereo at 44.1 kHz, from FLAC to numbers, best of ``repeats``.

    ``read``, ``mean`` of the channels, ``prepare``, ``views``, and ``all`` of it as ``describe`` does it.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "minute.flac")
        write_stereo(path, 1)
        samples, rate = metrics.read(path)
        mono = audio.mean_of_channels(samples)
        windows = metrics.windows(metrics.prepare(mono, rate)[0])
        job = extraction._Job(metrics.RATE, None, None, 16, 1.0)
        stages = {
            "read": lambda: metrics.read(path),
            "mean": lambda: audio.mean_of_channels(samples),
            "prepare": lambda: metrics.prepare(mono, rate),
            "views": lambda: features.embed_each(windows),
            "all": lambda: extraction.describe_source(audio.Source("minute", path), job),
        }
        return {
            stage: cpu_per_second(lambda call: call(), [call], repeats=repeats) / 60
            for stage, call in stages.items()
        }


def long_file() -> dict:
    """Memory and time of a file of two hours, in a process of its own: ``hours``, ``peak_mib``,
    ``cpu_ms_per_second``, and the ``file_mib`` that it has."""
    code = """
import json, sys, time
from pathlib import Path
from audio_distance import audio, extraction
start = time.process_time()
job = extraction._Job(22050, None, None, 16, 1.0)
sound = extraction.describe_source(audio.Source("long", Path(sys.argv[1])), job).sound
milliseconds = 1e3 * (time.process_time() - start) / sound.seconds
print(json.dumps({"hours": sound.seconds / 3600, "peak_mib": peak_mib(), "cpu_ms_per_second": milliseconds}))
"""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "long.flac")
        write_stereo(path, 120)
        done = subprocess.run(
            [sys.executable, "-c", PEAK + code, path], capture_output=True, text=True, check=True
        )
        return {"file_mib": path.stat().st_size / 2**20, **json.loads(done.stdout)}


def start_up(repeats: int = 5) -> dict:
    """Wall seconds from nothing to the end of the command's help, best of ``repeats``.

    ``help_seconds``, and beside it ``numpy_seconds``, Python with numpy alone: what no program of this kind
    can save.
    """

    def best(*arguments: str) -> float:
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
            times.append(time.perf_counter() - start)
        return min(times)  # the first reads files that later ones find in memory

    return {"help_seconds": best("-m", "metrics", "--help"), "numpy_seconds": best("-c", "import numpy")}


def run() -> dict:
    """All times of this machine, as the content of ``results/speed.json``.

    Returns
    -------
    dict
        embed_ms_per_second, prepare_ms_per_second, transforms_ms_per_second
                          CPU milliseconds a second of audio: views and texture, before them, the floor
        vggish_topology_ms_per_second
                          the peer; null where PyTorch is not installed
        describing, long_file, comparing, comparing_mapped, start_up
                          see the functions
        machine           architecture and cores; ``peak_mib_of_this_process``
    """
    signals = [metrics.prepare(signal, metrics.RATE)[0] for signal in synthetic.windows(30)]
    raw = list(synthetic.windows(30))  # preparing is timed on what a file holds
    return {
        "embed_ms_per_second": cpu_per_second(metrics.embed, signals),
        "prepare_ms_per_second": cpu_per_second(lambda s: metrics.prepare(s, metrics.RATE), raw),
        "transforms_ms_per_second": cpu_per_second(transforms_only, signals),
        "vggish_topology_ms_per_second": vggish_topology(30),
        "describing": describing(),
        "long_file": long_file(),
        "comparing": comparing(),
        "comparing_mapped": comparing_mapped(),
        "start_up": start_up(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "peak_mib_of_this_process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def share_of_describing(row: dict, measured: dict) -> float:
    """CPU of comparing over that of describing the same sounds from FLAC, for one row of ``comparing``."""
    seconds_of_audio = 2 * row["files"] * row["windows"]
    return row["seconds"] / (1e-3 * measured["describing"]["all"] * seconds_of_audio)


def summary(measured: dict) -> str:
    """The times and their ratios, a line each."""
    embed, floor = measured["embed_ms_per_second"], measured["transforms_ms_per_second"]
    peer = measured["vggish_topology_ms_per_second"]
    long = measured["long_file"]
    return "\n".join(
        [
            f"views and texture: {embed:.2f} ms of CPU a second of audio, "
            f"{embed / floor:.1f} x the transforms alone ({floor:.2f} ms); "
            f"preparing: {measured['prepare_ms_per_second']:.2f} ms",
            "VGGish's topology: "
            + (
                f"{peer:.1f} ms, {peer / embed:.1f} x that"
                if peer
                else "torch is not installed, not measured"
            ),
            "from a stereo FLAC of 44.1 kHz, a second: "
            + ", ".join(f"{stage} {time:.2f}" for stage, time in measured["describing"].items())
            + " ms",
            f"a file of {long['hours']:.0f} hours: peak {long['peak_mib']:.0f} MiB, "
            f"{long['cpu_ms_per_second']:.2f} ms of CPU a second",
            *(
                f"compare {row['files']:,} files of {row['windows']:,} windows a side: "
                f"{row['seconds']:.2f} s of CPU, {share_of_describing(row, measured):.2f} of describing, "
                f"peak {row['peak_mib']:.0f} MiB"
                for row in [*measured["comparing"], *measured.get("comparing_mapped", [])]
            ),
            f"python -m metrics --help: {measured['start_up']['help_seconds']:.2f} s "
            f"(numpy alone {measured['start_up']['numpy_seconds']:.2f} s)",
        ]
    )
