"""The command line: ``audio-distance``, ``python -m audio_distance`` and ``python -m metrics`` alike.

Conventions
    exit code    0 measured, 1 input that cannot be measured, 2 wrong use of the command, 130 interrupted.
    output       the table, or JSON, on standard output; errors and progress on standard error.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import sys
from collections.abc import Mapping, Sequence

from audio_distance import __version__
from audio_distance.audio import AudioError
from audio_distance.comparison import Comparison, interval_text, table
from audio_distance.distance import compare_each, difference
from audio_distance.features import RECIPE_VERSION

_EPILOG = """\
examples:
  {prog} recordings/ generated/
  {prog} recordings/ model_a/ model_b/ --json > result.json
  {prog} test_files_background.csv test_files_test1.csv
  {prog} recordings/ generated/ --groups '^(speaker\\d+)_'

reading the table:
  distance   signed; 0 on average for two samples of one source, so a small negative value means "none seen"
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
        help="folder, .csv/.txt file list or .npz description of real sounds",
    )
    parser.add_argument("candidates", metavar="CANDIDATE", nargs="+", help="the same of sounds to judge")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
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
        help="files of the same name are two versions of one thing (default: if all match)",
    )
    parser.add_argument("--permutations", type=int, default=999, metavar="N", help="default 999")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the permutations, default 0")
    parser.add_argument("--workers", type=int, metavar="N", help="processes, default: all cores on long work")
    parser.add_argument("--skip", action="store_true", help="leave bad files out instead of stopping")
    parser.add_argument(
        "--cache",
        action="store_true",
        help="keep embeddings in the user's cache folder; an interrupted run resumes",
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
    parser = _parser(prog)
    arguments = parser.parse_args(argv)
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
        results = compare_each(
            arguments.reference,
            {name: name for name in arguments.candidates},
            groups=arguments.groups,
            paired={"auto": None, "yes": True, "no": False}[arguments.paired],
            permutations=arguments.permutations,
            seed=arguments.seed,
            workers=arguments.workers,
            on_error="skip" if arguments.skip else "raise",
            cache=arguments.cache,
        )
    except AudioError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; with --cache the files read so far are kept", file=sys.stderr)
        return 130
    if arguments.json:
        print(
            json.dumps(
                {
                    "reference": arguments.reference,
                    "candidates": {name: r.to_dict() for name, r in results.items()},
                },
                indent=2,
            )
        )
        return 0
    print(table(results))
    for name, result in results.items():
        body = str(result).split("\n")[1:]
        print("\n".join(["", f"{name}", *body]))
    if ranks := ranking(results):
        print("\n".join(["", *ranks]))
    return 0
