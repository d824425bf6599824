"""Three small sets of sine tones from a seed: a clean background and two faintly noisy tests.

    $ python -m gen_audio --test_files "test_audio"

writes, below ``test_audio``, ten clean tones (``background/``), five with white Gaussian noise of
standard deviation 1e-4 of the peak (``test1/``) and five with 1e-5 (``test2/``), and for each set a
file list ``test_files_SET.csv``, one path a line. They are the files on which the Frechet distance
of VGGish embeddings was published: 12.44 for test1 and 4.77 for test2.

Conventions
    samples     float64, (n,), full scale 1.0; ``rate`` in Hz.
    integers    int16, (n,): ``2**15 * samples`` truncated toward zero. Full scale does not fit: a
                sample of 1.0 or more, or of -32769/32768 or less, is *beyond 16 bits*.
    overflow    what becomes of a sample beyond 16 bits. ``"wrap"`` keeps its lowest 16 bits, a
                click of twice full scale; ``"clip"`` takes the nearest value that fits. The files
                behind the published figures were wrapped, hence the default. They were made by a C
                cast, whose result beyond 16 bits is undefined; here the wrap is explicit.
    noise       standard deviation as a share of the tone's peak. Against the tone's RMS that is 77
                dB down for test1 and 97 dB for test2, where it is below one bit.

The same on every machine. ``numpy.random.RandomState`` is used because numpy guarantees its stream
to be frozen, which it does not for ``Generator``. What is left is the last digit of ``sin`` and
``log``, which may differ between processors by a few units: 1e-11 of a bit here. With seed 0 no
value comes nearer than 1e-7 to a whole number at which truncation would change (a test measures
it; a value near zero is truncated to zero from both sides), so all files agree to the bit.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator

import numpy as np
import scipy.io.wavfile

RATE = 16_000  # Hz
SECONDS = 6.0
SETS = {"background": (10, 0.0), "test1": (5, 1e-4), "test2": (5, 1e-5)}  # tones, noise
LOWEST, HIGHEST = 100.0, 1000.0  # Hz
OVERFLOWS = ("wrap", "clip")
LARGEST_SEED = 2**32 - 1  # of numpy.random.RandomState


def sine(
    frequency: float,
    *,
    noise: float = 0.0,
    rng: np.random.RandomState | None = None,
    seconds: float = 6.0,
    rate: int = RATE,
) -> np.ndarray:
    """Return a sine of ``frequency`` Hz and peak 1, with noise: float64, (seconds * rate,).

    Gaussian noise of standard deviation ``noise`` times the peak is drawn from ``rng``; without
    noise (the default) nothing is drawn. The time axis includes its end point, as in the files of
    the published figures: the tone is 1 / (seconds * rate - 1) too high, 0.02 cents by default.

    Raises ValueError for a negative noise, for noise without ``rng``, for less than two samples.
    """
    count = int(seconds * rate)
    if count < 2:
        raise ValueError(f"{seconds} s at {rate} Hz are {count} samples; at least 2 are needed")
    if not noise >= 0.0:
        raise ValueError(f"noise is {noise}; a standard deviation is not negative")
    samples = np.sin(2 * np.pi * np.linspace(0, seconds, count) * frequency)
    if noise:
        if rng is None:
            raise ValueError("noise needs rng, a numpy.random.RandomState")
        samples = samples + rng.normal(0, noise, count) * np.max(np.abs(samples))
    return samples


def to_int16(samples: np.ndarray, *, overflow: str = "wrap") -> np.ndarray:
    """Return ``2**15 * samples``, truncated toward zero, as int16 of the same shape.

    ``overflow`` is ``"wrap"`` (the default, as the published files) or ``"clip"``. Raises
    ValueError for another word and for samples that are not finite.
    """
    if overflow not in OVERFLOWS:
        raise ValueError(f"overflow is {overflow!r}; it is one of {', '.join(OVERFLOWS)}")
    integers = _integers(samples)
    if overflow == "clip":
        return np.clip(integers, -(2**15), 2**15 - 1).astype(np.int16)
    return ((integers + 2**15) % 2**16 - 2**15).astype(np.int16)


def wrapped_samples(samples: np.ndarray) -> int:
    """Return how many samples are beyond 16 bits, hence would wrap. Errors as ``to_int16``."""
    integers = _integers(samples)
    return int(np.count_nonzero((integers < -(2**15)) | (integers > 2**15 - 1)))


def test_sets(*, seed: int = 0, overflow: str = "wrap") -> dict[str, dict[str, np.ndarray]]:
    """Return set -> file name -> int16 samples (96,000,), sets and tones in the order drawn.

    Noise is drawn for test1, then test2, from low to high tones; the background draws nothing.
    Raises ValueError for a seed outside 0 to 2^32 - 1 and as ``to_int16``.
    """
    sets: dict[str, dict[str, np.ndarray]] = {name: {} for name in SETS}
    for set_name, file_name, samples in _tones(seed):
        sets[set_name][file_name] = to_int16(samples, overflow=overflow)
    return sets


def write(folder: str, *, seed: int = 0, overflow: str = "wrap") -> dict[str, int]:
    """Write the sets and their file lists below ``folder``; return set -> samples beyond 16 bits.

    The lists hold ``os.path.join(folder, set, name)``, as given, so a relative folder resolves
    from the working directory. Everything is written to a temporary folder beside its place and
    moved when it is complete: files of an earlier run are replaced, others are left alone, and a
    failure leaves what was there before.

    Raises OSError where the folder cannot be written, ValueError for a seed or an overflow as
    ``test_sets``, and for a folder that is empty or holds a line break (a list is one path a line).
    """
    folder = os.fspath(folder)
    if not folder or "\n" in folder or "\r" in folder or "\0" in folder:
        raise ValueError(f"test_files is {folder!r}; it is the path of a folder, on one line")
    beyond = dict.fromkeys(SETS, 0)
    lists: dict[str, list[str]] = {name: [] for name in SETS}
    contents: dict[str, np.ndarray | str] = {}
    for set_name, file_name, samples in _tones(seed):
        beyond[set_name] += wrapped_samples(samples)
        lists[set_name].append(os.path.join(folder, set_name, file_name))
        contents[os.path.join(set_name, file_name)] = to_int16(samples, overflow=overflow)
    for set_name, paths in lists.items():
        contents[f"test_files_{set_name}.csv"] = "".join(f"{p}\n" for p in sorted(paths))
    _write_all(folder, contents)
    return beyond


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return 0, or 2 after one line on stderr if the input is bad."""
    parser = _Parser(
        prog="gen_audio",
        description="Write three small sets of sine tones: background (10, clean), test1 (5, with\n"
        "noise of 1e-4 of the peak) and test2 (5, 1e-5); 6 s, 16 kHz, 16 bits; and\n"
        "a list of the files of each set.",
        epilog='example:\n  python -m gen_audio --test_files "test_audio"\n'
        "writes test_audio/background/sin_100.wav and 19 more, and\n"
        "test_audio/test_files_background.csv, ..._test1.csv and ..._test2.csv.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--test_files",
        default="test_audio",
        metavar="FOLDER",
        help="folder to write to, made if missing; files of an earlier run are replaced "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of the noise, 0 to 2^32 - 1 (default: %(default)s)"
    )
    parser.add_argument(
        "--overflow",
        choices=OVERFLOWS,
        default="wrap",
        help="what a sample beyond 16 bits becomes: wrap makes clicks, as in the files behind the "
        "published figures; clip makes none (default: %(default)s)",
    )
    try:
        options = parser.parse_args(argv)
        beyond = write(options.test_files, seed=options.seed, overflow=options.overflow)
    except SystemExit as stop:  # --help, or a line already printed
        return int(stop.code or 0)
    except OSError as error:
        reason = error.strerror or error
        print(f"gen_audio: error: cannot write {options.test_files}: {reason}", file=sys.stderr)
        return 2
    except ValueError as error:
        print(f"gen_audio: error: {error}", file=sys.stderr)
        return 2
    done = {"wrap": "wrapped", "clip": "clipped"}[options.overflow]
    for set_name, (count, _) in SETS.items():
        place = os.path.join(options.test_files, set_name)
        print(f"{place}: {count} files, {beyond[set_name]} samples {done}")
    return 0


# Tones


def _tones(seed: int) -> Iterator[tuple[str, str, np.ndarray]]:
    if not 0 <= seed <= LARGEST_SEED:
        raise ValueError(f"seed is {seed}; it is a whole number from 0 to {LARGEST_SEED}")
    rng = np.random.RandomState(seed)
    for set_name, (count, noise) in SETS.items():
        for frequency in np.linspace(LOWEST, HIGHEST, count):
            samples = sine(frequency, noise=noise, rng=rng, seconds=SECONDS)
            yield set_name, f"sin_{frequency:.0f}.wav", samples


def _integers(samples: np.ndarray) -> np.ndarray:
    scaled = np.trunc(2**15 * np.asarray(samples, dtype=np.float64))
    if not np.all(np.abs(scaled) < 2**62):  # false for NaN too
        raise ValueError("samples are not all finite (or beyond the range of int64)")
    return scaled.astype(np.int64)


# Files


def _write_all(folder: str, contents: dict[str, np.ndarray | str]) -> None:
    """Write every content (relative path -> int16 samples or text) below folder, or none."""
    places = [folder, *(os.path.join(folder, name) for name in SETS)]
    missing = _missing_folders(places)
    for path in places:
        if path not in missing and not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError(f"{path} is not writable")
    for path in (os.path.join(folder, name) for name in contents):
        if os.path.isdir(path):
            raise IsADirectoryError(f"{path} is a folder; a file is to be written there")
    base = os.path.dirname(missing[0]) if missing else folder
    made = []
    # Below the nearest folder that exists: the same file system, so that moving is atomic.
    stage = tempfile.mkdtemp(prefix=".gen_audio_", dir=base or os.curdir)
    try:
        for number, content in enumerate(contents.values()):
            staged = os.path.join(stage, str(number))
            if isinstance(content, str):
                with open(staged, "w", encoding="utf-8", newline="\n") as file:
                    file.write(content)
            else:
                scipy.io.wavfile.write(staged, RATE, content)
        for path in missing:
            os.mkdir(path)
            made.append(path)
        for number, name in enumerate(contents):
            os.replace(os.path.join(stage, str(number)), os.path.join(folder, name))
    except BaseException:
        for path in reversed(made):
            shutil.rmtree(path, ignore_errors=True)
        raise
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _missing_folders(folders: list[str]) -> list[str]:
    """Return the folders to make, parents first; raise if a file is in the way of one."""
    missing: list[str] = []
    for folder in folders:
        above = []
        while folder and not os.path.isdir(folder):
            if os.path.lexists(folder):
                raise NotADirectoryError(f"{folder} is in the way, not a folder")
            above.append(folder)
            folder = os.path.dirname(folder)
        missing += [path for path in reversed(above) if path not in missing]
    return missing


class _Parser(argparse.ArgumentParser):
    """argparse prints its usage before an error; here an error is one line."""

    def error(self, message: str) -> None:
        self.exit(2, f"{self.prog}: error: {message}; see --help\n")


if __name__ == "__main__":
    sys.exit(main())
