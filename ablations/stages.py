"""Folders in which a run is made, and who makes it: none outlives a process that was killed.

Conventions
    stage   a hidden folder ``.<seed>.*.part`` beside a run's place, renamed to it when the run is whole.
    held    locked (``flock``) by the process that makes it. The system lets go of a lock however a process
            ends, so a stage whose lock is free is nobody's. Where there are no such locks, nothing is swept.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None


@contextmanager
def stage(place: Path, *, checkpoint: Path) -> Iterator[Path]:
    """A new stage for the run at ``place``; what killed processes left beside it is removed first.

    Beside its place, for a rename is only atomic within one file system. Parts of files in ``checkpoint``,
    which all who make this run share, are removed if nobody else makes it now. A stage that is still there
    at the end is removed.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    with _locked(place.parent):  # else a stage could be swept between its making and its locking
        _sweep(place.parent)
        others = list(place.parent.glob(f".{place.name}.*.part"))
        for left in [] if others else checkpoint.glob(".*.part"):
            shutil.rmtree(left, ignore_errors=True)
        made = Path(tempfile.mkdtemp(prefix=f".{place.name}.", suffix=".part", dir=place.parent))
        held = _lock(made)
    try:
        yield made
    finally:
        if held is not None:
            os.close(held)
        shutil.rmtree(made, ignore_errors=True)


def _sweep(folder: Path) -> None:
    """Remove the stages in ``folder`` that no process holds."""
    if fcntl is None:
        return
    for left in folder.glob(".*.part"):
        lock = _lock(left, wait=False)
        if lock is not None:
            shutil.rmtree(left, ignore_errors=True)
            os.close(lock)


def _lock(folder: Path, *, wait: bool = True) -> int | None:
    """A descriptor that holds ``folder`` until it is closed; None if another has it, or it cannot be held."""
    if fcntl is None:
        return None
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # swept by another, or of another user
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:  # held; or a file system without locks
        os.close(descriptor)
        return None
    return descriptor


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    lock = _lock(folder)
    try:
        yield
    finally:
        if lock is not None:
            os.close(lock)
