"""Progress bars on standard error: how far a call is that takes longer than half a second.

Conventions
    stage      what a bar is called: "reading" counts files, "comparing" the kernels of views and blocks.
    progress   ``Reading.progress``: True or False, or None for "on a terminal".
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audio_distance.kernel import Kernel, unit_kernel
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
def comparing(kernels: int, name: str, *, progress: bool | None) -> Iterator[Kernel]:
    """``unit_kernel``, under a bar that ends when it has been called ``kernels`` times."""
    if not _is_shown(progress):
        yield unit_kernel
        return
    from tqdm import tqdm

    stage = f"comparing {name}".rstrip()
    form = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
    with tqdm(total=kernels, desc=stage, delay=DELAY, leave=False, bar_format=form) as bar:

        def counted_kernel(view: NDArray[Any], pool: Pool, divisors: ArrayLike = 1.0) -> NDArray[np.float64]:
            found = unit_kernel(view, pool, divisors)
            bar.update()
            return found

        yield counted_kernel
