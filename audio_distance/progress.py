"""Progress bars on standard error: how far a call is that takes longer than half a second.

Conventions
    stage      what a bar is called: "reading" counts files, "comparing" the passes over the kernel.
    progress   ``Reading.progress``: True or False, or None for "on a terminal".
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from numpy.typing import NDArray

from audio_distance.kernel import Tile, Tiles, unit_tiles
from audio_distance.units import Pool

DELAY = 0.5  # seconds; what is over sooner shows no bar

Item = TypeVar("Item")


def _is_shown(progress: bool | None) -> bool:
    return sys.stderr.isatty() if progress is None else progress


def counted(items: Iterable[Item], total: int, *, progress: bool | None) -> Iterable[Item]:
    """``items``, of which there are ``total``, under a bar that counts them as read files."""
    if not _is_shown(progress):
        return items
    from tqdm import tqdm

    bar: Iterable[Item] = tqdm(items, total=total, unit="file", desc="reading", delay=DELAY, leave=False)
    return bar


@contextmanager
def comparing(pool: Pool, name: str, passes: int, *, progress: bool | None) -> Iterator[Tiles]:
    """``unit_tiles`` for ``passes`` over the kernel of a pool, under one bar for them all."""
    if not _is_shown(progress):
        yield unit_tiles
        return
    from tqdm import tqdm

    stage = f"comparing {name}".rstrip()
    form = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
    with tqdm(total=passes * pool.size**2, desc=stage, delay=DELAY, leave=False, bar_format=form) as bar:

        def tiles(views: Sequence[NDArray[Any]], pool: Pool) -> Iterator[Tile]:
            for first, last, kernel in unit_tiles(views, pool):
                yield first, last, kernel
                # A tile takes the longer, the more of the upper half is right of it and below.
                bar.update((pool.size - first) ** 2 - (pool.size - last) ** 2)

        yield tiles
