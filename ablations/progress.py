"""How far a training is: a bar on a terminal, elsewhere a line at once and then one a minute."""

from __future__ import annotations

import sys

from tqdm import tqdm

EVERY = 60.0  # seconds between two lines in a log
LINE = "{desc}: {n_fmt} of {total_fmt} {unit}s, {elapsed} gone, {remaining} left\n"


class Progress(tqdm):
    """Counts to ``total`` on standard error; to be closed, or used as a context, at the end."""

    def __init__(self, *, total: int | None, what: str, unit: str) -> None:
        log = {"mininterval": EVERY, "maxinterval": EVERY, "bar_format": LINE}
        terminal = sys.stderr.isatty()
        super().__init__(total=total, desc=what, unit=unit, leave=not terminal, **({} if terminal else log))

    def at(self, place: int) -> None:
        """So many are done: a training that goes on does not begin at 1, and one may begin at 0."""
        self.update(place - self.n)
