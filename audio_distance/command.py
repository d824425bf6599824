"""The command line: ``audio-distance``, ``python -m audio_distance`` and ``python -m metrics`` alike.

Conventions
    exit code    0 measured, 1 input that cannot be measured, 2 wrong use of the command, 130 interrupted.
    output       the table, or JSON, on standard output, with escapes for what its encoding lacks; errors,
                 warnings and progress on standard error. A reader who leaves early (``| head``) changes
                 no code.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import re
import warnings
from collections.abc import Mapping, Sequence

from audio_distance import __version__
from audio_distance.comparison import Comparison, interval_text, table
from audio_distance.distance import compare_described, described_each, difference
from audio_distance.errors import AudioError
from audio_distance.features import RECIPE_VERSION
from audio_distance.output import complain, printable, say
from audio_distance.quality import NAMES
from audio_distance.reading import Reading
from audio_distance.views import keep_freed_memory

_EPILOG = """\
examples:
  {prog} recordings/ generated/
  {prog} recordings/ model_a/ model_b/ --json > result.json
  {prog} recordings/ model_a/ model_b/ --page comparison.html
  {prog} test_files_background.csv test_files_test1.csv
  {prog} recordings/ generated/ --groups '^(speaker\\d+)_'

reading the table:
  distance   signed; 0 on average for two samples of one source, so a small negative value shows
             no difference, though p still may
  interval   95 %, from leaving out one file (or group) at a time
  p          chance of a split at least this uneven if both sets came from one source

exit codes: 0 measured, 1 input that cannot be measured, 2 wrong use of the command, 130 interrupted
"""


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Distance from one set of sounds to others, with interval, p-value and causes.",
        epilog=_EPILOG.replace("{prog}", prog),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "reference",
        metavar="REFERENCE",
        help="folder (links are followed), .csv/.txt file list or .npz description of real sounds",
    )
    parser.add_argument("candidates", metavar="CANDIDATE", nargs="+", help="the same of sounds to judge")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument(
        "--page",
        metavar="FILE",
        help="also write an HTML file to look at and listen to, of 5 MB at most, that needs no network "
        "(the extra page: Bokeh)",
    )
    parser.add_argument(
        "--groups",
        metavar="PATTERN",
        help="regular expression found in the file name, or 'folder': what it captures "
        "(speaker, song) is the unit of test and interval",
    )
    parser.add_argument(
        "--paired",
        choices=("auto", "yes", "no"),
        default="auto",
        help="files of the same name are two versions of one thing (default: if all match; yes: all must, "
        "but for those whose partner --skip leaves out)",
    )
    parser.add_argument(
        "--quality",
        choices=NAMES,
        help="also say which set sounds better, to a network trained on ratings of speech; no part of the "
        "distance (the extra quality: PyTorch)",
    )
    parser.add_argument("--permutations", type=int, default=999, metavar="N", help="default 999")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the permutations, default 0")
    parser.add_argument("--workers", type=int, metavar="N", help="processes, default: all cores on long work")
    parser.add_argument("--skip", action="store_true", help="leave bad files out instead of stopping")
    parser.add_argument(
        "--cache",
        action="store_true",
        help="keep embeddings in the user's cache folder; an interrupted run resumes. A cache that cannot be "
        "used is a warning, and the numbers are the same",
    )
    version = f"recipe version {RECIPE_VERSION}, audio-distance {__version__}"
    parser.add_argument("--version", action="version", version=version)
    return parser


def ranking(results: Mapping[str, Comparison]) -> list[str]:
    """Which candidate is closer, in words, for neighbours in the order of distance."""
    order = sorted(results, key=lambda name: results[name].value)
    lines = []
    for near, far in itertools.pairwise(order):
        if results[near].interval is None or results[far].interval is None:
            continue
        gap = difference(results[far], results[near])
        sure = "is closer than" if gap.p_value <= 0.05 else "cannot be told from"
        lines.append(
            f"{near} {sure} {far}: difference {gap.value:.3f} "
            f"({interval_text(gap.interval)}), p = {gap.p_value:.2g}"
        )
    return lines


def main(argv: Sequence[str] | None = None, *, prog: str = "audio-distance") -> int:
    """Run the command with the arguments of the process, or ``argv``; return the exit code.

    ``prog`` is what the help calls the command.
    """
    if argv is None:
        keep_freed_memory()  # the process is the command's own
    parser = _parser(prog)
    try:
        arguments = parser.parse_args(argv)
    except SystemExit:  # after --help or --version, which nobody may read to their end either
        with contextlib.suppress(OSError):
            say("", end="")
        raise
    for name, value, least in (
        ("--permutations", arguments.permutations, 99),
        ("--seed", arguments.seed, 0),
        ("--workers", arguments.workers, 1),
    ):
        if value is not None and value < least:
            parser.error(f"{name} {value}: at least {least} is needed")
    if arguments.seed >= 2**63:
        parser.error(f"--seed {arguments.seed}: at most 2**63 - 1 is possible")
    if arguments.groups not in (None, "folder"):
        try:
            re.compile(arguments.groups)
        except re.error as error:
            parser.error(f"--groups {arguments.groups!r} is not a regular expression: {error}")
    if len(set(arguments.candidates)) < len(arguments.candidates):
        parser.error("a candidate is named twice")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("always", "cache: ")
            warnings.showwarning = lambda message, *_, **__: complain(f"warning: {message}")
            results = _results(arguments)
    except AudioError as error:
        complain(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        complain("interrupted; with --cache the files read so far are kept")
        return 130
    try:
        say(_as_json(arguments.reference, results) if arguments.json else _as_text(results))
    except BrokenPipeError:
        return 0  # the reader has seen enough, as of "| head"
    except OSError as error:
        complain(f"error: the result cannot be written ({error})")
        return 1
    return 0


def _results(arguments: argparse.Namespace) -> dict[str, Comparison]:
    """Of all candidates; written as a page, too, if one is asked for."""
    if arguments.page:
        from audio_distance.page import refuse_without_bokeh

        refuse_without_bokeh()  # before what takes long
    candidates = {name: name for name in arguments.candidates}
    reading = Reading(
        workers=arguments.workers,
        on_error="skip" if arguments.skip else "raise",
        cache=arguments.cache,
    )
    sets, common = described_each(
        arguments.reference,
        candidates,
        embedding=None,
        permutations=arguments.permutations,
        seed=arguments.seed,
        quality=arguments.quality,
        reading=reading,
    )
    results = compare_described(
        sets,
        common,
        tuple(candidates),
        groups=arguments.groups,
        paired={"auto": None, "yes": True, "no": False}[arguments.paired],
        own=False,
        permutations=arguments.permutations,
        seed=arguments.seed,
        quality=arguments.quality,
        progress=None,
    )
    if arguments.page:
        from audio_distance.page import write_page

        write_page(
            arguments.page,
            results,
            reference=arguments.reference,
            candidates=candidates,
            described=(sets, common),
            reading=reading,
        )
    return results


def _as_json(reference: str, results: Mapping[str, Comparison]) -> str:
    content = {
        "reference": printable(reference),
        "candidates": {printable(name): result.to_dict() for name, result in results.items()},
    }
    return json.dumps(content, indent=2)


def _as_text(results: Mapping[str, Comparison]) -> str:
    """The table, each comparison under its name, and who is closer."""
    results = {printable(name): result for name, result in results.items()}
    parts = [table(results)]
    for name, result in results.items():
        parts.append("\n".join(["", name, *str(result).split("\n")[1:]]))
    if ranks := ranking(results):
        parts += ["", *ranks]
    return "\n".join(parts)
