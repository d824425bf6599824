"""How far a training is: a bar on a terminal, elsewhere a line at once and then one a minute."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TypeVar

from tqdm import tqdm

EVERY = 60.0  # seconds between two lines in a log
LINE = "{desc}: {n_fmt} of {total_fmt} {unit}s, {elapsed} gone, {remaining} left\n"

Item = TypeVar("Item")


def counted(items: Iterable[Item], *, total: int | None, what: str, unit: str) -> Iterable[Item]:
    """``items``, of which there are ``total``, counted on standard error as ``what``."""
    if sys.stderr.isatty():
        return tqdm(items, total=total, desc=what, unit=unit, leave=False)
    return tqdm(
        items, total=total, desc=what, unit=unit, mininterval=EVERY, maxinterval=EVERY, bar_format=LINE
    )
