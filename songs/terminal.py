"""What commands of a music collection take and print: numbers within limits, and tables for ``cut -f``.

Conventions
    limit    an option outside its limits is wrong use of the command: argparse names option, value and limit,
             and the exit code is 2.
    cell     of a table that is printed: never a tab or an end of a line, so that every row is one line and
             ``cut -f`` finds its columns, whatever a file is called.
"""

from __future__ import annotations

import argparse
import math
import unicodedata
from collections.abc import Callable, Iterable
from typing import TextIO

from audio_distance.output import say


def whole_number(least: int) -> Callable[[str], int]:
    """The ``type`` of an argparse option that takes whole numbers from ``least`` on."""

    def parsed(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"{text!r}, and a whole number of at least {least} is needed")
        return value

    return parsed


def number_above(limit: float, *, most: float = math.inf) -> Callable[[str], float]:
    """The ``type`` of an argparse option that takes finite numbers above ``limit``, and up to ``most``."""
    needed = f"a number above {limit:g}" + ("" if math.isinf(most) else f", and of at most {most:g},")

    def parsed(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not limit < value <= most or math.isinf(value):  # NaN is in no order
            raise argparse.ArgumentTypeError(f"{text!r}, and {needed} is needed")
        return value

    return parsed


def add_workers(parser: argparse.ArgumentParser) -> None:
    """``--workers N``, of every command that has any; None is one a core."""
    parser.add_argument(
        "--workers",
        type=whole_number(1),
        metavar="N",
        help="processes, default one a core; no result asks how many",
    )


# Not csv with quotes, which cut does not know. As PostgreSQL's COPY and MySQL write a table as text.
_NAMED = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}


def cell(text: str) -> str:
    r"""``text`` in a row: tab, newline and backslash as ``\t``, ``\n`` and ``\\``; other control characters,
    which could end a line or steer a terminal, by their number: ``\x1b``, ``\u2028``."""
    return "".join(_NAMED.get(letter) or _escaped(letter) for letter in text)


def _escaped(letter: str) -> str:
    if unicodedata.category(letter) not in {"Cc", "Zl", "Zp"}:
        return letter
    return f"\\x{ord(letter):02x}" if ord(letter) < 256 else f"\\u{ord(letter):04x}"


def say_rows(rows: Iterable[Iterable[str]], stream: TextIO | None = None) -> None:
    """Print rows of cells, a line each, with tabs between; by default on the standard output."""
    for row in rows:
        say("\t".join(map(cell, row)), stream)
